/* SPDX-License-Identifier: MIT */
#include "vmm.h"

#include <errno.h>
#include <stdlib.h>

#include "support.h"

void vmm_queue_open(struct vmm_queue *q, struct smmuinv_vsmmu *vsmmu,
		    const struct smmuinv_queue_ops *ops, enum way way,
		    uint32_t log2size, uint32_t window)
{
	struct smmuinv_queue_ops used = *ops;
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &used,
		.opaque = q,
		.window = window,
	};

	if (way != SEEING)
		used.seen = NULL;
	*q = (struct vmm_queue){
		/* Of just that size, for sanitizers to see what is outside. */
		.ring = calloc((size_t)1 << log2size, sizeof(*q->ring)),
		.log2size = log2size,
		.by_callback = way == QUICK_BY_CALLBACK,
		.unreadable = -1,
	};
	assert_non_null(q->ring);
	assert_int_equal(smmuinv_queue_new(vsmmu, &params, &q->queue), 0);
}

void vmm_queue_close(struct vmm_queue *q)
{
	smmuinv_queue_free(q->queue);
	free(q->ring);
}

int vmm_read(void *opaque, uint32_t index, struct smmuinv_command *command)
{
	const struct vmm_queue *q = opaque;

	assert_true(index < 1u << q->log2size);
	if ((int)index == q->unreadable)
		return -EFAULT;
	*command = q->ring[index];
	return 0;
}

void vmm_write(struct vmm_queue *q, struct smmuinv_command command)
{
	uint32_t size = 1u << q->log2size;

	q->ring[q->prod % size] = command;
	q->prod = (q->prod + 1) % (2 * size);
}

int vmm_consume(struct vmm_queue *q)
{
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = q->by_callback ? NULL : q->ring,
		.log2size = q->log2size,
		.prod = q->prod,
		.cons = q->cons,
		.max_commands = q->max_commands,
	};
	int rc;

	q->progress = (struct smmuinv_progress){ .size = sizeof(q->progress) };
	rc = smmuinv_queue_consume(q->queue, &ring, &q->progress);
	q->cons = q->progress.cons;
	if (rc >= 0)
		assert_int_equal(rc, q->progress.consumed);
	return rc;
}
