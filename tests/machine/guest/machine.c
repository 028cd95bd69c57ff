/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct {
	const char *type;
	const char *folder;
} mounts[] = {
	{ "proc", "/proc" },
	{ "sysfs", "/sys" },
	{ "devtmpfs", "/dev" },
	{ "tmpfs", "/tmp" },
};

static bool is_init(void)
{
	return getpid() == 1;
}

static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const char *folder = mounts[i].folder;

		mkdir(folder, 0755);
		if (mount(mounts[i].type, folder, mounts[i].type, 0, NULL))
			machine_fail(folder, errno);
	}
}

/* The kernel gives /init the console already, unless /dev/console was amiss. */
static void console_open(void)
{
	int fd;

	if (fcntl(STDOUT_FILENO, F_GETFD) >= 0)
		return;
	fd = open("/dev/console", O_RDWR);
	if (fd < 0)
		return;
	for (int target = 0; target <= STDERR_FILENO; target++)
		dup2(fd, target);
	if (fd > STDERR_FILENO)
		close(fd);
}

/*
 * The kernel writes to the console at once, in the middle of what the tests
 * have written. So only what boot.sh must see comes from here on: warnings and
 * worse.
 */
static void console_quieten(void)
{
	const int set_console_level = 8;
	const int above_warnings = 5;

	if (klogctl(set_console_level, NULL, above_warnings))
		machine_fail("the console's level", errno);
}

void machine_boot_init(void)
{
	if (is_init()) {
		mount_all();
		console_open();
		console_quieten();
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
}

void machine_power_off(int status)
{
	/* The empty line keeps it apart from what was not ended. */
	printf("\nMACHINE: exit %d\n", status);
	fflush(NULL);
	if (!is_init())
		exit(status);
	sync();
	reboot(RB_POWER_OFF);
	/* Not reached. Process 1 must not return: the kernel would panic. */
	for (;;)
		pause();
}

bool machine_kernel_is_at_least(unsigned int major, unsigned int minor)
{
	struct utsname name;
	unsigned int have_major;
	unsigned int have_minor;

	if (uname(&name))
		machine_fail("uname", errno);
	if (sscanf(name.release, "%u.%u", &have_major, &have_minor) != 2)
		machine_fail("the kernel's version", EINVAL);
	return have_major > major ||
	       (have_major == major && have_minor >= minor);
}

void machine_fail(const char *what, int error)
{
	printf("failed: %s: %s\n", what, strerror(abs(error)));
	machine_power_off(1);
}
