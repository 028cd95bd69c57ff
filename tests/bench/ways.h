/* SPDX-License-Identifier: MIT */
/*
 * The three ways of carrying a guest's commands to the host, over any backend:
 * one call for each, one for each run between CMD_SYNCs, and the library's.
 */
#ifndef BENCH_WAYS_H
#define BENCH_WAYS_H

#include <stdint.h>

#include "meter.h"
#include "player.h"

enum way {
	WAY_EACH,    /* one ioctl for each command */
	WAY_RUN,     /* one for each run between CMD_SYNCs */
	WAY_TO_SYNC, /* the library, called at each CMD_SYNC */
	WAY_64,      /* the library, 64 commands a call */
	WAY_WHOLE,   /* the library, all that the guest has written */
	WAYS,
};

/* What went to the host, and the shortest of the times that it took. */
struct figures {
	uint64_t forwarded; /* guest commands */
	uint64_t commands;
	uint64_t tlbis;
	uint64_t ioctls;
	uint64_t syncs;
	uint64_t host_ns;    /* in the backend */
	uint64_t total_ns;   /* with the library */
	uint64_t longest_ns; /* of one call of the library's or the host's */
};

const char *way_name(enum way way);

/*
 * @player: made over @meter's backend; its streams are those that the other
 * ways forward for, too. Returns 0 or a negative errno.
 */
int ways_measure(struct meter *meter, struct player *player, uint32_t viommu,
		 enum way way, unsigned int repetitions,
		 struct figures *figures);

/* One line, of a table or as JSON; @stream with what it ran on: "mock". */
void ways_print_head(void);
void ways_print(const struct stream *stream, enum way way,
		const struct figures *figures);
void ways_print_json(const struct stream *stream, const char *host,
		     enum way way, const struct figures *figures);

#endif
