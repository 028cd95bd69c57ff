/* SPDX-License-Identifier: MIT */
#include "kernel-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka-all.h"

/* The kernel's own bound for a record is 8 KiB. */
#define RECORD_MAX 8192

#define LEVEL_MASK    7
#define LEVEL_WARNING 4
/* Not for the console, where it would cut into the tests' own lines. */
#define LEVEL_DEBUG "<7>"

#define MARK_MAX 64

/* The kernel bounds what user space may write here, so: one line a reading. */
static void write_mark(char mark[MARK_MAX])
{
	static unsigned int marks;
	char line[MARK_MAX + sizeof(LEVEL_DEBUG "\n")];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	int length;

	assert_true(fd >= 0);
	snprintf(mark, MARK_MAX, "smmuinv: mark %u.", ++marks);
	length = snprintf(line, sizeof(line), LEVEL_DEBUG "%s\n", mark);
	assert_int_equal(write(fd, line, (size_t)length), length);
	close(fd);
}

/* "LEVEL,SEQUENCE,TIME,FLAGS;TEXT" */
static void count(struct kernel_log *log, const char *record)
{
	long level = strtol(record, NULL, 10) & LEVEL_MASK;
	const char *text = strchr(record, ';');

	assert_non_null(text);
	log->lines++;
	log->warnings += level <= LEVEL_WARNING;
	if (strstr(text, "CMDQ error"))
		log->queue_errors++;
	else if (strstr(text, "CMD_SYNC timeout"))
		log->sync_timeouts++;
	else if (strstr(text, "CMDQ timeout") ||
		 strstr(text, "global error reported"))
		log->other_errors++;
}

/* False at the end. A gap in the log (EPIPE) ends the test. */
static bool read_record(int fd, char record[RECORD_MAX])
{
	ssize_t size = read(fd, record, RECORD_MAX - 1);

	if (size < 0 && errno == EAGAIN)
		return false;
	if (size < 0)
		fail_msg("/dev/kmsg: %s", strerror(errno));
	record[size] = '\0';
	return true;
}

struct kernel_log kernel_log_read(void)
{
	static char record[RECORD_MAX];
	struct kernel_log log = { 0 };
	char mark[MARK_MAX];
	bool marked = false;
	int fd;

	write_mark(mark);
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	while (read_record(fd, record)) {
		count(&log, record);
		if (strstr(record, mark))
			marked = true;
	}
	close(fd);
	assert_true(marked);
	/* The boot's messages are there too: nothing was overwritten. */
	assert_true(log.lines > 20);
	return log;
}

void kernel_log_print(const struct kernel_log *log, const char *when)
{
	printf("LOG %s: %u lines, %u warnings, %u CMDQ errors, %u CMD_SYNC "
	       "timeouts, %u others\n",
	       when, log->lines, log->warnings, log->queue_errors,
	       log->sync_timeouts, log->other_errors);
}

void kernel_log_assert_quiet(const char *when)
{
	struct kernel_log log = kernel_log_read();

	kernel_log_print(&log, when);
	assert_int_equal(log.queue_errors, 0);
	assert_int_equal(log.sync_timeouts, 0);
	assert_int_equal(log.other_errors, 0);
}
