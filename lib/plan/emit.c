/* SPDX-License-Identifier: MIT */
/*
 * Last step of a plan: heads become commands, and breaks become ends of calls.
 */
#include "plan.h"

static void put(struct calls *calls, uint64_t dw0, uint64_t dw1,
		uint32_t origin)
{
	calls->commands[calls->count] = command_make(dw0, dw1);
	calls->origin[calls->count++] = origin;
}

/*
 * The fewest ranges that reach the span. This is one, unless the span is longer
 * than any range. A length that NUM and SCALE cannot express is rounded up, by
 * less than a sixteenth.
 */
static void put_ranges(struct plan *plan, const struct plan_run *run,
		       uint64_t dw0, uint64_t dw1)
{
	enum { UNITS_MAX = 32, UNITS_LOG2 = 5 };
	unsigned int tg = run->group & GROUP_TG;
	unsigned int granule = GRANULE_LOG2(tg);
	uint64_t left = ((run->last - run->first) >> granule) + 1;
	uint64_t va = run->first;

	dw0 &= ~DW0_RIL;
	dw1 &= DW1_LEAF;
	for (;;) {
		unsigned int bits = 64 - (unsigned int)__builtin_clzll(
						 (left - 1) | (UNITS_MAX - 1));
		unsigned int scale = bits - UNITS_LOG2;
		uint64_t units;

		if (scale > plan->scale_max)
			scale = plan->scale_max;
		units = (left + (UINT64_C(1) << scale) - 1) >> scale;
		if (units > UNITS_MAX)
			units = UNITS_MAX;
		/* TG alone is reserved: one granule of any level has none. */
		if (left == 1 && !run->ttl)
			put(&plan->calls, dw0, dw1 | va, run->origin);
		else
			put(&plan->calls,
			    dw0 | (units - 1) << DW0_NUM_SHIFT |
				    (uint64_t)scale << DW0_SCALE_SHIFT,
			    dw1 | va | (uint64_t)tg << DW1_TG_SHIFT |
				    (uint64_t)run->ttl << DW1_TTL_SHIFT,
			    run->origin);
		if (units << scale >= left)
			break;
		va += units << scale << granule;
		left -= units << scale;
	}
}

/* One address in each leaf drops it, whatever its size is (4.4.1.1). */
uint64_t smmuinv__plan_pages(const struct plan_run *run)
{
	unsigned int log2 = leaf_log2(run->group & GROUP_TG, run->ttl);

	return ((run->last - run->first) >> log2) + 1;
}

void smmuinv__plan_emit_pages(struct plan *plan, const struct plan_run *run,
			      uint64_t dw0, uint64_t dw1)
{
	uint64_t step = UINT64_C(1)
			<< leaf_log2(run->group & GROUP_TG, run->ttl);
	uint64_t left = smmuinv__plan_pages(run);
	uint64_t va = run->first;

	for (; left; left--, va += step)
		put(&plan->calls, dw0 & ~DW0_RIL, (dw1 & DW1_LEAF) | va,
		    run->origin);
}

static void put_head(struct plan *plan, const struct plan_run *head,
		     const struct smmuinv_command *source)
{
	bool tlbi = GROUP_IS_TLBI(head->group);
	uint64_t dw0 = command_dw0(source);
	uint64_t dw1 = command_dw1(source);

	/* key may have made an NH_VAA of an NH_VA. */
	if (tlbi && GROUP_KIND(head->group) >= TLBI_PLAIN &&
	    !(head->group & GROUP_ONE_ASID))
		dw0 = SMMUINV_CMD_TLBI_NH_VAA |
		      (dw0 & ~(DW0_OPCODE | DW0_ASID));
	if (tlbi && !plan->ril && dw1 & DW1_TG)
		smmuinv__plan_emit_pages(plan, head, dw0, dw1);
	else if (!head->joined)
		put(&plan->calls, dw0, dw1, head->origin);
	else if (tlbi)
		put_ranges(plan, head, dw0, dw1);
	else
		put(&plan->calls, dw0, head->first | (head->log2 - 12u),
		    head->origin);
}

/* Are there more pages to send than it takes to drop everything? */
static bool too_many_pages(const struct plan *plan)
{
	uint64_t pages = 0;
	uint32_t i;

	for (i = 0; i < plan->head_count; i++) {
		const struct plan_run *head = &plan->runs[plan->heads[i]];
		uint64_t more;

		if (!GROUP_IS_TLBI(head->group) ||
		    GROUP_KIND(head->group) != TLBI_SPAN)
			continue;
		more = smmuinv__plan_pages(head);
		if (more > plan->pages_max || pages + more > plan->pages_max)
			return true;
		pages += more;
	}
	return false;
}

/* One command instead of all TLBIs from the head @from on; returns their end.
 */
static uint32_t put_everything(struct plan *plan, uint32_t from)
{
	uint32_t origin = UINT32_MAX;
	uint32_t i;

	for (i = from; i < plan->head_count; i++) {
		const struct plan_run *head = &plan->runs[plan->heads[i]];

		if (!GROUP_IS_TLBI(head->group))
			break;
		if (head->origin < origin)
			origin = head->origin;
	}
	put(&plan->calls, SMMUINV_CMD_TLBI_NH_ALL, 0, origin);
	return i;
}

static void end_call(struct calls *calls)
{
	uint32_t begun =
		calls->end_count ? calls->ends[calls->end_count - 1] : 0;

	if (calls->count > begun)
		calls->ends[calls->end_count++] = calls->count;
}

/* Every head as a command, in their order, which is that of the ranks. */
void smmuinv__plan_emit(struct plan *plan,
			const struct smmuinv_command *commands)
{
	bool everything = !plan->ril && too_many_pages(plan);
	uint32_t breaks = plan->breaks;
	uint32_t i = 0;

	plan->calls.count = 0;
	plan->calls.end_count = 0;
	while (i < plan->head_count) {
		const struct plan_run *head = &plan->runs[plan->heads[i]];
		bool all = everything && GROUP_IS_TLBI(head->group);
		unsigned int rank =
			all ? COMMAND_RANK_TABLE : GROUP_RANK(head->group);
		/* Breaks before this rank that have not come yet. */
		uint32_t due = breaks & ((2u << rank) - 1);

		if (due)
			end_call(&plan->calls);
		breaks &= ~due;
		if (all) {
			i = put_everything(plan, i);
		} else {
			put_head(plan, head, &commands[head->source]);
			i++;
		}
	}
	end_call(&plan->calls);
}
