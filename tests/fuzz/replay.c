/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target without a fuzzer: runs the inputs named on the command line, as
 * a test in any build, or to look at one that crashed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 20)

static int run(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX);
	FILE *file = fopen(path, "rb");
	uint8_t *exact;
	size_t size;

	if (!file || !data) {
		perror(path);
		free(data);
		return 1;
	}
	size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	/* No byte more than the input, so that reading past it is seen. */
	exact = realloc(data, size ? size : 1);
	LLVMFuzzerTestOneInput(exact ? exact : data, size);
	free(exact ? exact : data);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;
	int i;

	for (i = 1; i < argc; i++)
		failed |= run(argv[i]);
	printf("%d inputs\n", argc - 1);
	return failed;
}
