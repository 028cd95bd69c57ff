/* SPDX-License-Identifier: MIT */
/*
 * The life of a program that is /init of a machine made by boot.sh.
 */
#ifndef GUEST_MACHINE_H
#define GUEST_MACHINE_H

#include <stdbool.h>

/*
 * Mounts proc, sysfs, devtmpfs and a tmpfs on /tmp, and makes stdout the
 * console, flushed at each line; of the kernel's messages only warnings still
 * get there. Does nothing but the flushing outside process 1, so that a program
 * can be tried elsewhere.
 */
void machine_boot_init(void);

/*
 * Prints the line that boot.sh takes the verdict from, "MACHINE: exit STATUS",
 * and powers off. Only exits outside process 1.
 */
_Noreturn void machine_power_off(int status);

/* Is this Linux @major.@minor or newer? */
bool machine_kernel_is_at_least(unsigned int major, unsigned int minor);

/* Prints the message, with the text of @error (positive or negative). */
_Noreturn void machine_fail(const char *what, int error);

#endif
