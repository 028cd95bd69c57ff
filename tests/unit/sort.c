/* SPDX-License-Identifier: MIT */
/*
 * Second step of a plan: whatever the runs are, they come out in the order that
 * the C library's sort gives, and equal ones in the order of arrival.
 */
#include "planner.h"

#include <stdlib.h>
#include <string.h>

/* Below and above the number that is moved one by one. */
#define SIZES 80u
#define MANY  4096u

static const struct plan_run *compared;

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left;
	uint32_t b = *(const uint32_t *)right;
	const struct plan_run *x = &compared[a];
	const struct plan_run *y = &compared[b];

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return a < b ? -1 : 1;
}

static void assert_sorted(struct plan *plan, uint32_t n)
{
	static uint32_t wanted[MANY];
	const uint32_t *sorted;
	uint32_t i;

	for (i = 0; i < n; i++)
		wanted[i] = i;
	compared = plan->runs;
	qsort(wanted, n, sizeof(*wanted), compare);
	plan->run_count = n;
	sorted = smmuinv__plan_sort(plan);
	for (i = 0; i < n; i++)
		assert_int_equal(sorted[i], wanted[i]);
	/* The other order is for the heads. */
	assert_true(sorted == plan->order[0] || sorted == plan->order[1]);
	assert_true(plan->heads == plan->order[0] ||
		    plan->heads == plan->order[1]);
	assert_true(sorted != plan->heads);
}

static struct plan *open_plan(void)
{
	return &planner_open_sized(ONLY_4K, WITH_RANGES, MANY)->plan;
}

static void set(struct plan *plan, uint32_t i, uint64_t group, uint64_t first)
{
	plan->runs[i] = (struct plan_run){ .group = group, .first = first };
}

static void random_runs_of_every_size(void **state)
{
	struct plan *plan = open_plan();
	size_t rounds = test_iterations(100);
	uint32_t n;
	uint32_t i;

	(void)state;
	while (rounds--) {
		for (n = 0; n <= SIZES; n++) {
			for (i = 0; i < n; i++)
				set(plan, i, test_random(), test_random());
			assert_sorted(plan, n);
		}
	}
	for (i = 0; i < MANY; i++)
		set(plan, i, test_random(), test_random());
	assert_sorted(plan, MANY);
}

static void equal_runs_stay_in_the_order_of_arrival(void **state)
{
	struct plan *plan = open_plan();
	size_t rounds = test_iterations(50);
	uint32_t n;
	uint32_t i;

	(void)state;
	while (rounds--) {
		for (n = 0; n <= SIZES; n++) {
			for (i = 0; i < n; i++)
				set(plan, i, test_random_below(3),
				    test_random_below(3));
			assert_sorted(plan, n);
		}
	}
	for (n = 0; n <= SIZES; n++) {
		for (i = 0; i < n; i++)
			set(plan, i, 7, 7);
		assert_sorted(plan, n);
	}
}

static void what_comes_sorted_or_backwards(void **state)
{
	struct plan *plan = open_plan();
	uint32_t n;
	uint32_t i;

	(void)state;
	for (n = 0; n <= SIZES; n++) {
		for (i = 0; i < n; i++)
			set(plan, i, i / 4, i % 4);
		assert_sorted(plan, n);
		for (i = 0; i < n; i++)
			set(plan, i, (n - i) / 4, (n - i) % 4);
		assert_sorted(plan, n);
	}
}

/* Every digit of either key, alone, and as the highest of all that differ. */
static void every_bit_counts_as_much_as_it_should(void **state)
{
	struct plan *plan = open_plan();
	unsigned int bit;
	uint32_t i;

	(void)state;
	for (bit = 0; bit < 64; bit++) {
		const uint64_t one = UINT64_C(1) << bit;

		for (i = 0; i < SIZES; i++)
			set(plan, i, 0, i % 2 ? 0 : one);
		assert_sorted(plan, SIZES);
		for (i = 0; i < SIZES; i++)
			set(plan, i, i % 2 ? 0 : one, i);
		assert_sorted(plan, SIZES);
		for (i = 0; i < SIZES; i++)
			set(plan, i, test_random() & (one | (one - 1)),
			    test_random() & (one | (one - 1)));
		assert_sorted(plan, SIZES);
	}
}

/* With an odd and an even number of passes over the digits. */
static void one_run_out_of_order_among_many(void **state)
{
	struct plan *plan = open_plan();
	uint32_t at;
	uint32_t i;

	(void)state;
	for (at = 0; at < SIZES; at++) {
		for (i = 0; i < SIZES; i++)
			set(plan, i, 0, i);
		set(plan, at, 0, SIZES - at);
		assert_sorted(plan, SIZES);
		set(plan, at, 1, 0);
		assert_sorted(plan, SIZES);
		set(plan, at, 1, UINT64_MAX);
		assert_sorted(plan, SIZES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_teardown(test, planner_teardown)
		T(random_runs_of_every_size),
		T(equal_runs_stay_in_the_order_of_arrival),
		T(what_comes_sorted_or_backwards),
		T(every_bit_counts_as_much_as_it_should),
		T(one_run_out_of_order_among_many),
#undef T
	};

	return cmocka_run_group_tests_name("sort", tests, NULL, NULL);
}
