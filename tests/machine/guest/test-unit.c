/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "child.h"
#include "tests.h"

#define FOLDER  "/unit"
#define SECONDS 120

static int is_program(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int run(const char *name)
{
	char path[sizeof(FOLDER) + sizeof(((struct dirent *)0)->d_name) + 1];
	const char *const argv[] = { path, NULL };
	int status;

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	status = child_run(argv, SECONDS);
	printf("UNIT %s %d\n", name, status);
	return status != 0;
}

int test_unit(void)
{
	struct dirent **entries;
	int count = scandir(FOLDER, &entries, is_program, alphasort);
	int failed = 0;

	printf("UNITS begin\n");
	for (int i = 0; i < count; i++) {
		failed += run(entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return failed;
}
