/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "mock/radix.h"

#define ENTRIES 2048

/* A sparse array as simple as it can be. */
struct reference {
	uint32_t index[ENTRIES];
	void *value[ENTRIES];
	size_t count;
};

static void **reference_at(struct reference *reference, uint32_t index)
{
	size_t i;

	for (i = 0; i < reference->count; i++) {
		if (reference->index[i] == index)
			return &reference->value[i];
	}
	assert_true(i < ENTRIES);
	reference->index[i] = index;
	reference->value[i] = NULL;
	reference->count++;
	return &reference->value[i];
}

/* Values are addresses in here, so that each can count its releases. */
static unsigned char values[ENTRIES];

static void count_release(void *value, void *arg)
{
	size_t *total = arg;

	(*(unsigned char *)value)++;
	(*total)++;
}

static int setup(void **state)
{
	(void)state;
	heap.live = 0;
	heap.left = -1;
	memset(values, 0, sizeof(values));
	return 0;
}

static void an_empty_array_holds_nothing_anywhere(void **state)
{
	struct radix radix = { 0 };
	unsigned int bit;

	(void)state;
	assert_null(smmuinv__radix_get(&radix, 0));
	assert_null(smmuinv__radix_get(&radix, UINT32_MAX));
	for (bit = 0; bit < 32; bit++)
		assert_null(smmuinv__radix_get(&radix, UINT32_C(1) << bit));
	assert_int_equal(heap.live, 0);
	smmuinv__radix_free(&radix, NULL, NULL);
	smmuinv__radix_free(&radix, count_release, NULL);
	assert_int_equal(heap.live, 0);
}

static void every_single_bit_of_the_index_counts(void **state)
{
	struct radix radix = { 0 };
	size_t released = 0;
	unsigned int bit;

	(void)state;
	assert_int_equal(smmuinv__radix_set(&radix, 0, &values[32]), 0);
	for (bit = 0; bit < 32; bit++)
		assert_int_equal(smmuinv__radix_set(&radix, UINT32_C(1) << bit,
						    &values[bit]),
				 0);
	assert_ptr_equal(smmuinv__radix_get(&radix, 0), &values[32]);
	for (bit = 0; bit < 32; bit++) {
		assert_ptr_equal(smmuinv__radix_get(&radix, UINT32_C(1) << bit),
				 &values[bit]);
		assert_null(smmuinv__radix_get(&radix, ~(UINT32_C(1) << bit)));
	}
	smmuinv__radix_free(&radix, count_release, &released);
	assert_int_equal(released, 33);
	assert_int_equal(heap.live, 0);
}

static void neighbours_of_a_filled_index_stay_empty(void **state)
{
	static const uint32_t indices[] = {
		0,        255,       256,        65535,      65536,
		0xffffff, 0x1000000, 0x80000000, UINT32_MAX,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(indices); i++) {
		struct radix radix = { 0 };
		uint32_t index = indices[i];

		assert_int_equal(smmuinv__radix_set(&radix, index, values), 0);
		assert_ptr_equal(smmuinv__radix_get(&radix, index), values);
		assert_null(smmuinv__radix_get(&radix, index + 1));
		assert_null(smmuinv__radix_get(&radix, index - 1));
		smmuinv__radix_free(&radix, NULL, NULL);
		assert_int_equal(heap.live, 0);
	}
}

/* Clustered, so that paths are shared, forked, and taken twice. */
static uint32_t random_index(void)
{
	uint32_t index = (uint32_t)test_random_edge();

	if (test_chance(50))
		index &= 0x010203ff;
	return index;
}

static void it_agrees_with_a_simple_list_over_random_indices(void **state)
{
	static struct reference reference;
	struct radix radix = { 0 };
	size_t released = 0;
	size_t filled = 0;
	size_t i;

	(void)state;
	reference.count = 0;
	for (i = 0; i < test_iterations(ENTRIES); i++) {
		uint32_t index = random_index();
		void **expected;

		if (reference.count == ENTRIES)
			break;
		expected = reference_at(&reference, index);
		assert_ptr_equal(smmuinv__radix_get(&radix, index), *expected);
		*expected = test_chance(25) ? NULL : &values[i % ENTRIES];
		assert_int_equal(smmuinv__radix_set(&radix, index, *expected),
				 0);
	}
	for (i = 0; i < reference.count; i++) {
		assert_ptr_equal(smmuinv__radix_get(&radix, reference.index[i]),
				 reference.value[i]);
		filled += reference.value[i] != NULL;
	}
	smmuinv__radix_free(&radix, count_release, &released);
	assert_int_equal(released, filled);
	assert_null(radix.root);
	assert_int_equal(heap.live, 0);
}

static void a_null_empties_a_place_and_another_value_replaces_it(void **state)
{
	struct radix radix = { 0 };
	size_t released = 0;

	(void)state;
	assert_int_equal(smmuinv__radix_set(&radix, 77, &values[0]), 0);
	assert_int_equal(smmuinv__radix_set(&radix, 77, &values[1]), 0);
	assert_ptr_equal(smmuinv__radix_get(&radix, 77), &values[1]);
	assert_int_equal(smmuinv__radix_set(&radix, 77, NULL), 0);
	assert_null(smmuinv__radix_get(&radix, 77));
	smmuinv__radix_free(&radix, count_release, &released);
	assert_int_equal(released, 0);
	assert_int_equal(heap.live, 0);
}

static void free_releases_each_value_exactly_once(void **state)
{
	struct radix radix = { 0 };
	size_t released = 0;
	size_t i;

	(void)state;
	for (i = 0; i < ENTRIES; i++)
		assert_int_equal(smmuinv__radix_set(&radix,
						    (uint32_t)(i * 2099863),
						    &values[i]),
				 0);
	smmuinv__radix_free(&radix, count_release, &released);
	assert_int_equal(released, ENTRIES);
	for (i = 0; i < ENTRIES; i++)
		assert_int_equal(values[i], 1);
	assert_int_equal(heap.live, 0);
}

static void an_array_can_be_used_again_after_free(void **state)
{
	struct radix radix = { 0 };

	(void)state;
	assert_int_equal(smmuinv__radix_set(&radix, 5, values), 0);
	smmuinv__radix_free(&radix, NULL, NULL);
	assert_null(smmuinv__radix_get(&radix, 5));
	assert_int_equal(smmuinv__radix_set(&radix, 5, values), 0);
	assert_ptr_equal(smmuinv__radix_get(&radix, 5), values);
	smmuinv__radix_free(&radix, NULL, NULL);
	assert_int_equal(heap.live, 0);
}

static void reading_never_allocates(void **state)
{
	struct radix radix = { 0 };
	long before;
	size_t i;

	(void)state;
	assert_int_equal(smmuinv__radix_set(&radix, 1, values), 0);
	before = heap.live;
	for (i = 0; i < test_iterations(1000); i++)
		smmuinv__radix_get(&radix, (uint32_t)test_random());
	assert_int_equal(heap.live, before);
	smmuinv__radix_free(&radix, NULL, NULL);
}

static void emptying_a_filled_place_allocates_nothing(void **state)
{
	struct radix radix = { 0 };

	(void)state;
	assert_int_equal(smmuinv__radix_set(&radix, 0x12345678, values), 0);
	heap.left = 0;
	assert_int_equal(smmuinv__radix_set(&radix, 0x12345678, NULL), 0);
	assert_null(smmuinv__radix_get(&radix, 0x12345678));
	assert_null(radix.root);
	assert_int_equal(heap.live, 0);
}

/* Three indices that share no node but the root, after one that is there. */
static const uint32_t wanted[] = { 0x01000000, 0x02000000, 0xff00ff00 };

static void a_failed_allocation_changes_nothing_and_can_be_retried(void **state)
{
	long fail_at;

	(void)state;
	for (fail_at = 0; fail_at <= 12; fail_at++) {
		struct radix radix = { 0 };
		size_t released = 0;
		size_t failed = 0;
		size_t i;

		heap.left = -1;
		assert_int_equal(smmuinv__radix_set(&radix, 7, &values[7]), 0);
		heap.left = fail_at;
		for (i = 0; i < ARRAY_SIZE(wanted); i++) {
			long before = heap.live;
			int r = smmuinv__radix_set(&radix, wanted[i],
						   &values[i]);

			assert_true(r == 0 || r == -ENOMEM);
			failed += r != 0;
			assert_int_equal(heap.live, before + (r ? 0 : 3));
			assert_ptr_equal(smmuinv__radix_get(&radix, wanted[i]),
					 r ? NULL : &values[i]);
			assert_ptr_equal(smmuinv__radix_get(&radix, 7),
					 &values[7]);
		}
		/* Each of the three needs three nodes below the root. */
		assert_int_equal(failed, 3 - (fail_at > 9 ? 9 : fail_at) / 3);
		heap.left = -1;
		for (i = 0; i < ARRAY_SIZE(wanted); i++)
			assert_int_equal(smmuinv__radix_set(&radix, wanted[i],
							    &values[i]),
					 0);
		smmuinv__radix_free(&radix, count_release, &released);
		assert_int_equal(released, 4);
		assert_int_equal(heap.live, 0);
	}
}

static void a_failed_first_allocation_leaves_an_empty_array(void **state)
{
	long fail_at;

	(void)state;
	for (fail_at = 0; fail_at < 4; fail_at++) {
		struct radix radix = { 0 };
		size_t released = 0;

		heap.left = fail_at;
		assert_int_equal(smmuinv__radix_set(&radix, 9, values),
				 -ENOMEM);
		assert_null(smmuinv__radix_get(&radix, 9));
		assert_null(radix.root);
		assert_int_equal(heap.live, 0);
		smmuinv__radix_free(&radix, count_release, &released);
		assert_int_equal(released, 0);
		assert_int_equal(heap.live, 0);
	}
}

/* The nodes that a simple list would need: one for each distinct prefix. */
static long reference_nodes(const struct reference *reference)
{
	long nodes = 0;
	unsigned int shift;
	size_t i, j;

	for (shift = 8; shift <= 32; shift += 8) {
		for (i = 0; i < reference->count; i++) {
			bool first = reference->value[i];

			for (j = 0; first && j < i; j++)
				first = !reference->value[j] ||
					(uint64_t)reference->index[j] >>
							shift !=
						(uint64_t)reference->index[i] >>
							shift;
			nodes += first;
		}
	}
	return nodes;
}

static void memory_follows_the_content_step_by_step(void **state)
{
	static struct reference reference;
	size_t rounds = test_iterations(20);

	(void)state;
	while (rounds--) {
		struct radix radix = { 0 };
		size_t i;

		reference.count = 0;
		for (i = 0; i < 150; i++) {
			uint32_t index = random_index();
			void **expected = reference_at(&reference, index);

			*expected = test_chance(50) ? NULL : &values[i];
			assert_int_equal(
				smmuinv__radix_set(&radix, index, *expected),
				0);
			assert_int_equal(heap.live,
					 reference_nodes(&reference));
		}
		for (i = 0; i < reference.count; i++)
			smmuinv__radix_set(&radix, reference.index[i], NULL);
		assert_null(radix.root);
		assert_int_equal(heap.live, 0);
	}
}

static void a_value_that_moves_through_all_indices_keeps_one_path(void **state)
{
	struct radix radix = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(200000); i++) {
		uint32_t index = (uint32_t)(i * 2099863);

		assert_int_equal(smmuinv__radix_set(&radix, index, values), 0);
		assert_int_equal(heap.live, 4);
		assert_int_equal(smmuinv__radix_set(&radix, index, NULL), 0);
		assert_int_equal(heap.live, 0);
	}
}

static void emptying_an_empty_place_allocates_nothing(void **state)
{
	struct radix radix = { 0 };

	(void)state;
	heap.left = 0;
	assert_int_equal(smmuinv__radix_set(&radix, 3, NULL), 0);
	assert_null(radix.root);
	heap.left = -1;
	assert_int_equal(smmuinv__radix_set(&radix, 3, values), 0);
	heap.left = 0;
	assert_int_equal(smmuinv__radix_set(&radix, 4, NULL), 0);
	assert_int_equal(smmuinv__radix_set(&radix, UINT32_MAX, NULL), 0);
	assert_int_equal(heap.live, 4);
	assert_ptr_equal(smmuinv__radix_get(&radix, 3), values);
	smmuinv__radix_free(&radix, NULL, NULL);
	assert_int_equal(heap.live, 0);
	/* What runs at the exit, as gcov does, allocates too. */
	heap.left = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup(test, setup)
		T(an_empty_array_holds_nothing_anywhere),
		T(every_single_bit_of_the_index_counts),
		T(neighbours_of_a_filled_index_stay_empty),
		T(it_agrees_with_a_simple_list_over_random_indices),
		T(a_null_empties_a_place_and_another_value_replaces_it),
		T(free_releases_each_value_exactly_once),
		T(an_array_can_be_used_again_after_free),
		T(reading_never_allocates),
		T(emptying_a_filled_place_allocates_nothing),
		T(a_failed_allocation_changes_nothing_and_can_be_retried),
		T(a_failed_first_allocation_leaves_an_empty_array),
		T(memory_follows_the_content_step_by_step),
		T(a_value_that_moves_through_all_indices_keeps_one_path),
		T(emptying_an_empty_place_allocates_nothing),
#undef T
	};

	return cmocka_run_group_tests_name("radix", tests, NULL, NULL);
}
