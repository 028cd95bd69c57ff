/* SPDX-License-Identifier: MIT */
/*
 * replay's command line.
 */
#ifndef EXAMPLE_OPTIONS_H
#define EXAMPLE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/smmuinv.h>

enum exit_status { EXIT_DIFFERENT = 1, EXIT_USAGE = 2, EXIT_HOST = 3 };

#define IDR3_RIL (1u << 10)

struct options {
	const char *file;
	bool iommufd;
	const char *device;
	struct smmuinv_features guest;
	struct smmuinv_features host;
	bool host_given;
	bool host_ril;
	bool host_ril_given;
	uint32_t granule; /* the only one that the guest is shown, or 0 */
	bool as_written;
	bool ats;
	bool json;
	bool list;
	uint32_t log2size;
	uint32_t doorbell;
	bool doorbell_sync;
	const char *streams; /* NULL: every vSID that the file names */
};

/* As replay; ends the program after --help, or when an option is wrong. */
void options_parse(int argc, char **argv, struct options *options);

/* Those that concern the features of a host that is found. */
void options_adjust_host(const struct options *options,
			 struct smmuinv_features *host);

/* A number at the begin of @text, @max at most; @end is what follows it. */
bool options_number(const char *text, char **end, uint64_t max,
		    uint32_t *value);

/* A line on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* EXAMPLE_OPTIONS_H */
