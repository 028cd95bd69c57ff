/* SPDX-License-Identifier: MIT */
/*
 * The batch as the queue uses it: commands that are checked already.
 */
#ifndef SMMUINV_LIB_BATCH_H
#define SMMUINV_LIB_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/batch.h>

#include "counters.h"
#include "execute.h"

/* Where who uses the batch counts what the batch cannot. */
struct tally *smmuinv__batch_tally(struct smmuinv_batch *batch);

/* There is no room for another command, or none for another CMD_SYNC. */
bool smmuinv__batch_is_full(const struct smmuinv_batch *batch);

/* @rule says why nothing is to be sent, or is SMMUINV_RULE_NONE. */
void smmuinv__batch_push(struct smmuinv_batch *batch,
			 const struct smmuinv_command *canonical,
			 enum smmuinv_rule rule);

/* The same of a command that nobody has sent, so it does not count as read. */
void smmuinv__batch_push_own(struct smmuinv_batch *batch,
			     const struct smmuinv_command *canonical,
			     enum smmuinv_rule rule);

/* What was taken out of a row of entries. */
struct batch_taken {
	uint32_t commands;
	uint32_t syncs;
	uint32_t kinds; /* RANK_BIT() of the commands */
};

/*
 * Push those of @n entries, from the first on, that are forwarded or are
 * CMD_SYNCs without a closer look, as long as there is room. If that is not all
 * and there is room still, the next is smmuinv__batch_rejected(), as it was
 * read.
 */
struct batch_taken smmuinv__batch_take(struct smmuinv_batch *batch,
				       const struct smmuinv_command *entries,
				       uint32_t n);

const struct smmuinv_command *
smmuinv__batch_rejected(const struct smmuinv_batch *batch);

/* There are as many places for CMD_SYNCs as for commands. */
void smmuinv__batch_push_sync(struct smmuinv_batch *batch,
			      const struct smmuinv_command *command);
uint32_t smmuinv__batch_syncs(const struct smmuinv_batch *batch,
			      const struct window_sync **syncs);

/*
 * Have the host execute the commands from @first on; the batch stays as it is.
 * What the outcome counts, it counts from @first, and commands only.
 */
void smmuinv__batch_execute(struct smmuinv_batch *batch, uint32_t first,
			    struct outcome *outcome);

/* The same for commands that are not the guest's, and not counted as such. */
void smmuinv__batch_execute_own(struct smmuinv_batch *batch, uint32_t first,
				struct outcome *outcome);

/* Take @n commands out, from @first on, and every CMD_SYNC. */
void smmuinv__batch_discard(struct smmuinv_batch *batch, uint32_t first,
			    uint32_t n);

/* Keep the first @n commands only, and no CMD_SYNC. */
void smmuinv__batch_truncate(struct smmuinv_batch *batch, uint32_t n);

/* The canonical form of one of those that were pushed. */
const struct smmuinv_command *
smmuinv__batch_command(const struct smmuinv_batch *batch, uint32_t index);

/* A retry, if there is one, is of something else. */
void smmuinv__batch_forget_done(struct smmuinv_batch *batch);

/* The same of those that were forgotten themselves. */
void smmuinv__batch_forget_again(struct smmuinv_batch *batch);

/* After smmuinv__batch_execute(): of so many, how many were not sent. */
uint32_t smmuinv__batch_dropped(const struct smmuinv_batch *batch,
				uint32_t first, uint32_t n);

/* After smmuinv__batch_execute(): why nothing was sent for a command, or NONE.
 */
enum smmuinv_rule smmuinv__batch_rule(const struct smmuinv_batch *batch,
				      uint32_t index);

#endif /* SMMUINV_LIB_BATCH_H */
