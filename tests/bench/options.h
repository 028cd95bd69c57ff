/* SPDX-License-Identifier: MIT */
/*
 * The command line that the benchmarks share.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>

struct options {
	bool json;
	const char *corpus;
	unsigned int repeat;
	char **names; /* what is named besides, NULL at the end */
};

/* @usage: what --help prints. Exits for it, and for what it does not know. */
void options_parse(struct options *options, int argc, char **argv,
		   const char *usage);

/* Is @name among those named, or is none named? */
bool options_want(const struct options *options, const char *name);

/* Ends the program with a message if @rc is not 0. */
void must(int rc, const char *what);

/* A line of progress on a terminal, NULL to wipe it. */
void progress(const struct options *options, const char *what);

#endif
