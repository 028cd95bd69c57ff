/* SPDX-License-Identifier: MIT */
/*
 * A backend that passes everything on to another one, and prints each command
 * that it hands over while a window is open:
 *
 *	WINDOW begin NAME
 *	CALL 2				so many commands in one ioctl
 *	SENT DW0 DW1			each of them
 *	RESULT -5 1			the kernel's answer: error and count
 *	WINDOW end
 *
 * compare-trace.py holds that against what QEMU's SMMU executed. The kernel has
 * commands of its own for that SMMU (at attach, say), so a window is marked
 *there too, by two commands that nobody else sends.
 */
#ifndef GUEST_RECORDER_H
#define GUEST_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/smmuinv.h>

/* ASIDs of the TLBI_NH_ASID that stand at a window's begin and end. */
#define RECORDER_ASID_BEGIN 0xbe91
#define RECORDER_ASID_END   0xe0d1

struct recorder {
	struct smmuinv_backend *inner;
	struct smmuinv_backend *backend; /* the recording one */
	uint32_t viommu;
	bool open;
	uint64_t commands;
	uint64_t calls;
};

/* Over @inner, which stays the caller's. Returns 0 or a negative errno. */
int recorder_init(struct recorder *recorder, struct smmuinv_backend *inner,
		  uint32_t viommu);
void recorder_free(struct recorder *recorder);

/* A window; a failure of its marks ends the test. */
void recorder_begin(struct recorder *recorder, const char *name);
void recorder_end(struct recorder *recorder);

#endif
