/* SPDX-License-Identifier: MIT */
/*
 * A guest's Command queue as a VMM keeps it: the ring, its registers, and the
 * library's queue that reads it.
 */
#ifndef TEST_VMM_H
#define TEST_VMM_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/queue.h>
#include <smmuinv/vsmmu.h>

/* The ways in which a queue can be read. */
enum way {
	SEEING, /* with all callbacks */
	QUICK,  /* who wants to see no single command gets many at a time */
	QUICK_BY_CALLBACK,
	WAYS
};

/*
 * The first member of whatever a test keeps besides, so that the opaque of the
 * callbacks is both.
 */
struct vmm_queue {
	struct smmuinv_queue *queue;
	struct smmuinv_command *ring;
	uint32_t log2size;
	uint32_t prod;
	uint32_t cons;
	uint32_t max_commands;
	bool by_callback; /* the ring is read by one, not in place */
	int unreadable;   /* by a callback: an index, or -1 */
	struct smmuinv_progress progress; /* of the last call */
};

/* An empty ring of 2^@log2size; but for SEEING, without @ops' `seen`. */
void vmm_queue_open(struct vmm_queue *q, struct smmuinv_vsmmu *vsmmu,
		    const struct smmuinv_queue_ops *ops, enum way way,
		    uint32_t log2size, uint32_t window);
void vmm_queue_close(struct vmm_queue *q);

/* The callback `read`. */
int vmm_read(void *opaque, uint32_t index, struct smmuinv_command *command);

void vmm_write(struct vmm_queue *q, struct smmuinv_command command);

/* The doorbell. */
int vmm_consume(struct vmm_queue *q);

#endif /* TEST_VMM_H */
