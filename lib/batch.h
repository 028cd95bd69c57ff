/* SPDX-License-Identifier: MIT */
/*
 * The batch as the queue uses it: entries that are checked already.
 */
#ifndef SMMUINV_LIB_BATCH_H
#define SMMUINV_LIB_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/batch.h>

#include "command.h"
#include "plan/plan.h"
#include "vsmmu.h"

struct smmuinv_batch {
	struct smmuinv_vsmmu *vsmmu;
	uint32_t capacity;
	/*
	 * What the guest wrote, as struct plan_window has it. Marks from @count
	 * on are zero: most commands need none, and theirs are not touched.
	 */
	struct smmuinv_command *commands;
	struct mark *marks;
	uint32_t count;
	uint32_t first_sync;
	uint32_t last_sync;
	uint32_t kinds; /* RANK_BIT() of the commands */
	bool rules;     /* some command has a rule */
	struct tally tally;
	struct plan plan;
};

static inline bool batch_is_full(const struct smmuinv_batch *batch)
{
	return batch->count == batch->capacity;
}

/* @rule says why nothing is to be sent, or is SMMUINV_RULE_NONE. */
void smmuinv__batch_push(struct smmuinv_batch *batch,
			 const struct smmuinv_command *canonical,
			 uint32_t rule);
void smmuinv__batch_push_sync(struct smmuinv_batch *batch,
			      const struct smmuinv_command *raw);

/*
 * Push those of @n entries of a queue, from the first on, that are forwarded or
 * are CMD_SYNCs without a closer look, as long as there is a place. Returns
 * their number. If that is less than @n and there is a place, the next is in
 * batch->commands[batch->count], as it was read.
 */
uint32_t smmuinv__batch_take(struct smmuinv_batch *batch,
			     const struct smmuinv_command *from, uint32_t n);

/*
 * Have every host execute the batch, which stays as it is. Entries before
 * account.undone are done, except that devices owe from account.owed on.
 */
void smmuinv__batch_execute(struct smmuinv_batch *batch, struct account *a);

/* Of @n entries from @first on, so many commands were not sent. */
uint32_t smmuinv__batch_dropped(const struct smmuinv_batch *batch,
				uint32_t first, uint32_t n);

#endif /* SMMUINV_LIB_BATCH_H */
