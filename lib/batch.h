/* SPDX-License-Identifier: MIT */
/*
 * The batch as the queue uses it: commands that are checked already.
 */
#ifndef SMMUINV_LIB_BATCH_H
#define SMMUINV_LIB_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/batch.h>

/* What became of one execution; struct smmuinv_result explains the fields. */
struct batch_outcome {
	int error;
	enum smmuinv_cerror cerror;
	uint32_t completed;
	uint32_t fault_index;
	uint32_t fault_vsid;
	uint32_t dropped;
	int host_error;
	uint32_t host_count;
	uint32_t host_commands;
	uint32_t ioctls;
};

bool smmuinv__batch_is_full(const struct smmuinv_batch *batch);

/* @rule says why nothing is to be sent, or is SMMUINV_RULE_NONE. */
void smmuinv__batch_push(struct smmuinv_batch *batch,
			 const struct smmuinv_command *canonical,
			 enum smmuinv_rule rule);

/*
 * Have the host execute the commands from @first on; the batch stays as it is.
 * What the outcome counts, it counts from @first.
 */
void smmuinv__batch_execute(struct smmuinv_batch *batch, uint32_t first,
			    struct batch_outcome *outcome);

/* Take @n commands out, from @first on. */
void smmuinv__batch_discard(struct smmuinv_batch *batch, uint32_t first,
			    uint32_t n);

/* Keep the first @n commands only. */
void smmuinv__batch_truncate(struct smmuinv_batch *batch, uint32_t n);

/* After smmuinv__batch_execute(): why nothing was sent for a command, or NONE.
 */
enum smmuinv_rule smmuinv__batch_rule(const struct smmuinv_batch *batch,
				      uint32_t index);

#endif /* SMMUINV_LIB_BATCH_H */
