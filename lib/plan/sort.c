/* SPDX-License-Identifier: MIT */
/*
 * Second step of a plan: runs in the order of plan_before(). It sorts digit by
 * digit, and only by digits in which runs differ, so the work grows linearly
 * with the number of runs. A window that is sorted already, as most are, takes
 * one pass.
 */
#include "plan.h"

#define DIGIT_BITS 8
#define DIGITS     (1u << DIGIT_BITS)

/* At most so many runs are sorted by insertion. */
#define FEW 32

/* One pass of the sort; equal digits stay in their order. */
static void sort_pass(const struct plan *plan, const uint32_t *from,
		      uint32_t *to, bool by_group, unsigned int shift)
{
	const struct plan_run *runs = plan->runs;
	uint32_t places[DIGITS] = { 0 };
	uint32_t place = 0;
	uint32_t i;

	for (i = 0; i < plan->run_count; i++) {
		uint64_t key = by_group ? runs[i].group : runs[i].first;

		places[key >> shift & (DIGITS - 1)]++;
	}
	for (i = 0; i < DIGITS; i++) {
		uint32_t n = places[i];

		places[i] = place;
		place += n;
	}
	for (i = 0; i < plan->run_count; i++) {
		const struct plan_run *run = &runs[from[i]];
		uint64_t key = by_group ? run->group : run->first;

		to[places[key >> shift & (DIGITS - 1)]++] = from[i];
	}
}

/* True if the runs are sorted already, or few enough for insertion. */
static bool sort_few(const struct plan *plan, uint32_t *order)
{
	const struct plan_run *runs = plan->runs;
	uint32_t i;

	for (i = 0; i < plan->run_count; i++) {
		uint32_t j = i;

		order[i] = i;
		if (!i || !plan_before(&runs[i], &runs[order[i - 1]]))
			continue;
		if (plan->run_count > FEW)
			return false;
		for (; j && plan_before(&runs[i], &runs[order[j - 1]]); j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
	return true;
}

/* The other order is for the heads that merge finds. */
const uint32_t *smmuinv__plan_sort(struct plan *plan)
{
	uint32_t *from = plan->order[0];
	uint32_t *to = plan->order[1];
	uint64_t differs[2] = { 0, 0 };
	unsigned int key;
	uint32_t i;

	plan->heads = to;
	if (sort_few(plan, from))
		return from;
	for (i = 0; i < plan->run_count; i++) {
		from[i] = i;
		differs[0] |= plan->runs[i].first ^ plan->runs[0].first;
		differs[1] |= plan->runs[i].group ^ plan->runs[0].group;
	}
	for (key = 0; key < 2; key++) {
		while (differs[key]) {
			unsigned int shift =
				(unsigned int)__builtin_ctzll(differs[key]);
			uint32_t *swap = from;

			sort_pass(plan, from, to, key == 1, shift);
			differs[key] &= ~((uint64_t)(DIGITS - 1) << shift);
			from = to;
			to = swap;
		}
	}
	plan->heads = to;
	return from;
}
