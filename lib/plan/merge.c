/* SPDX-License-Identifier: MIT */
/*
 * Third step of a plan: what is equal or part of something else is sent once,
 * and what touches becomes one. Sorted runs become heads, each of which stands
 * for those that were joined to it.
 */
#include "plan.h"

static struct plan_run *head_at(const struct plan *plan, uint32_t index)
{
	return &plan->runs[plan->heads[index]];
}

static void head_push(struct plan *plan, uint32_t index)
{
	plan->heads[plan->head_count++] = index;
}

/* @head stands for @run too. */
static void stand_for(struct plan_run *head, const struct plan_run *run)
{
	if (run->origin < head->origin)
		head->origin = run->origin;
}

/* Is @run, seen as one of another group, part of a head there? */
static bool covered(const struct plan *plan, uint64_t group,
		    const struct plan_run *run)
{
	const struct plan_run wanted = { .group = group, .first = run->first };
	uint32_t low = 0;
	uint32_t high = plan->head_count;
	struct plan_run *head;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (plan_before(&wanted, head_at(plan, middle)))
			high = middle;
		else
			low = middle + 1;
	}
	if (!low)
		return false;
	head = head_at(plan, low - 1);
	if (head->group != group || head->last < run->last ||
	    (head->ttl && head->ttl != run->ttl))
		return false;
	stand_for(head, run);
	return true;
}

/* The same group, of tables (Leaf=0) instead of leaves. */
#define OF_TABLES(group) ((group) - (UINT64_C(1) << GROUP_RANK_SHIFT))

/*
 * Does a head of a wider group reach all of it already? Only groups that the
 * window has are searched.
 */
static bool reached(const struct plan *plan, const struct plan_run *run,
		    uint32_t ranks, bool every_asid)
{
	uint64_t every = run->group & ~(GROUP_ONE_ASID | GROUP_ASID);
	bool tables = GROUP_RANK(run->group) == COMMAND_RANK_LEAF &&
		      (ranks & RANK_BIT(COMMAND_RANK_TABLE));

	if (tables && !plan->leaves_last &&
	    covered(plan, OF_TABLES(run->group), run))
		return true;
	if (!every_asid || every == run->group)
		return false;
	return covered(plan, every, run) ||
	       (tables && covered(plan, OF_TABLES(every), run));
}

/* Of one group: overlapping, or next to each other. */
static bool join_span(struct plan_run *head, const struct plan_run *run)
{
	if (run->first > head->last && run->first - 1 != head->last)
		return false;
	stand_for(head, run);
	if (head->ttl && head->ttl != run->ttl) {
		head->ttl = 0;
		head->joined = true;
	}
	if (run->last > head->last) {
		head->last = run->last;
		head->joined = true;
	}
	return true;
}

static bool join_tlbi(struct plan_run *head, const struct plan_run *run)
{
	if (GROUP_KIND(run->group) == TLBI_SPAN)
		return join_span(head, run);
	if (run->first != head->first)
		return false;
	stand_for(head, run);
	return true;
}

/* The TLBIs that merge has met so far. */
struct met {
	struct plan_run *everything; /* it stands for every TLBI */
	uint32_t ranks;              /* of addresses */
	bool every_asid;             /* there are NH_VAAs */
};

static void merge_tlbi(struct plan *plan, struct plan_run *head, uint32_t index,
		       struct met *met)
{
	struct plan_run *run = &plan->runs[index];
	enum tlbi_kind kind = GROUP_KIND(run->group);

	if (met->everything) {
		stand_for(met->everything, run);
		return;
	}
	if (head && head->group == run->group && join_tlbi(head, run))
		return;
	if (kind >= TLBI_PLAIN) {
		if (reached(plan, run, met->ranks, met->every_asid))
			return;
		met->ranks |= RANK_BIT(GROUP_RANK(run->group));
		met->every_asid |= !(run->group & GROUP_ONE_ASID);
	}
	if (kind == TLBI_EVERYTHING)
		met->everything = run;
	head_push(plan, index);
}

static void merge_cfgi(struct plan *plan, struct plan_run *head, uint32_t index)
{
	const struct plan_run *run = &plan->runs[index];

	if (head && head->group == run->group && run->first <= head->last)
		stand_for(head, run);
	else if (GROUP_RANK(run->group) == COMMAND_RANK_CD_TABLE ||
		 !covered(plan, OF_TABLES(run->group), run))
		head_push(plan, index);
}

/* Two halves of a span that is aligned to twice their size. */
static bool are_buddies(const struct plan_run *a, const struct plan_run *b)
{
	return a->group == b->group && a->log2 == b->log2 &&
	       a->last + 1 == b->first && !(a->first >> a->log2 & 1);
}

/*
 * Spans are powers of two and aligned. So two spans are apart, or one is part
 * of the other. A joined span reaches exactly what its parts reached.
 */
static void merge_atc(struct plan *plan, struct plan_run *head, uint32_t index)
{
	struct plan_run *run = &plan->runs[index];

	if (!head || head->group != run->group || head->last < run->first) {
		head_push(plan, index);
	} else if (run->last <= head->last) {
		stand_for(head, run);
	} else {
		stand_for(run, head);
		plan->heads[plan->head_count - 1] = index;
	}
	while (plan->head_count > 1) {
		struct plan_run *a = head_at(plan, plan->head_count - 2);
		const struct plan_run *b = head_at(plan, plan->head_count - 1);

		if (!are_buddies(a, b))
			return;
		stand_for(a, b);
		a->last = b->last;
		a->log2++;
		a->joined = true;
		plan->head_count--;
	}
}

void smmuinv__plan_merge(struct plan *plan, const uint32_t *sorted)
{
	struct met met = { 0 };
	uint32_t i;

	plan->head_count = 0;
	for (i = 0; i < plan->run_count; i++) {
		struct plan_run *head =
			plan->head_count ? head_at(plan, plan->head_count - 1) :
					   NULL;

		switch (GROUP_RANK(plan->runs[sorted[i]].group)) {
		case COMMAND_RANK_CD_TABLE:
		case COMMAND_RANK_CD:
			merge_cfgi(plan, head, sorted[i]);
			break;
		case COMMAND_RANK_ATC:
			merge_atc(plan, head, sorted[i]);
			break;
		default:
			merge_tlbi(plan, head, sorted[i], &met);
			break;
		}
	}
}
