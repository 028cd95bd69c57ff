/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void become(const char *const argv[], unsigned int seconds)
{
	/* Kept by exec; the signal's default ends the program. */
	alarm(seconds);
	execv(argv[0], (char *const *)(const void *)argv);
	_exit(127);
}

int child_run(const char *const argv[], unsigned int seconds)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (pid == 0)
		become(argv, seconds);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
