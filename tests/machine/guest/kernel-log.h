/* SPDX-License-Identifier: MIT */
/*
 * What the kernel has logged about its SMMU's command queue.
 */
#ifndef GUEST_KERNEL_LOG_H
#define GUEST_KERNEL_LOG_H

struct kernel_log {
	unsigned int lines;
	/* Warnings and worse, of whatever part of the kernel. */
	unsigned int warnings;
	unsigned int queue_errors;  /* "CMDQ error" */
	unsigned int sync_timeouts; /* "CMD_SYNC timeout" */
	/* Any other trouble of the queue or the SMMU as a whole. */
	unsigned int other_errors;
};

/*
 * All of it, since the boot. Ends the test when the log cannot be read or is
 * not complete: a mark is written first, and must be found at the log's end.
 */
struct kernel_log kernel_log_read(void);

/* Prints a line for the record. */
void kernel_log_print(const struct kernel_log *log, const char *when);

/* Ends the test if the host's queue was ever in trouble since the boot. */
void kernel_log_assert_quiet(const char *when);

#endif
