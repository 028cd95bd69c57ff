/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static unsigned int number(const char *text, const char *usage)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || !value || value > 1000000) {
		fprintf(stderr, "%s", usage);
		exit(EXIT_USAGE);
	}
	return (unsigned int)value;
}

void options_parse(struct options *options, int argc, char **argv,
		   const char *usage)
{
	static const struct option known[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ "corpus", required_argument, NULL, 'c' },
		{ "repeat", required_argument, NULL, 'r' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (c) {
		case 'h':
			printf("%s", usage);
			exit(EXIT_SUCCESS);
		case 'j':
			options->json = true;
			break;
		case 'c':
			options->corpus = optarg;
			break;
		case 'r':
			options->repeat = number(optarg, usage);
			break;
		default:
			fprintf(stderr, "%s", usage);
			exit(EXIT_USAGE);
		}
	}
	options->names = argv + optind;
}

bool options_want(const struct options *options, const char *name)
{
	char **wanted = options->names;

	if (!*wanted)
		return true;
	for (; *wanted; wanted++) {
		if (!strncmp(*wanted, name, strlen(*wanted)))
			return true;
	}
	return false;
}

void must(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(abs(rc)));
	exit(EXIT_FAILURE);
}

void progress(const struct options *options, const char *what)
{
	/* A table on the terminal is progress enough. */
	if (!options->json || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%s", what ? what : "");
}
