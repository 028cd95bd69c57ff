/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "radix.h"

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

static void emptying_a_filled_place_needs_no_memory(void **state)
{
	struct radix radix = { 0 };

	(void)state;
	assert_int_equal(smmuinv__radix_set(&radix, 0x12345678, values), 0);
	heap.left = 0;
	assert_int_equal(smmuinv__radix_set(&radix, 0x12345678, NULL), 0);
	assert_null(smmuinv__radix_get(&radix, 0x12345678));
	assert_int_equal(smmuinv__radix_set(&radix, 0x12345678, values), 0);
	smmuinv__radix_free(&radix, NULL, NULL);
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
			int r = smmuinv__radix_set(&radix, wanted[i],
						   &values[i]);

			assert_true(r == 0 || r == -ENOMEM);
			failed += r != 0;
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
		smmuinv__radix_free(&radix, count_release, &released);
		assert_int_equal(released, 0);
		assert_int_equal(heap.live, 0);
	}
}

/* The first at @from or above, by looking at all. */
static void *reference_next(const struct reference *reference, uint32_t from,
			    uint32_t *index)
{
	void *found = NULL;
	size_t i;

	for (i = 0; i < reference->count; i++) {
		uint32_t at = reference->index[i];

		if (!reference->value[i] || at < from || (found && at > *index))
			continue;
		found = reference->value[i];
		*index = at;
	}
	return found;
}

static void assert_next_is(const struct radix *radix,
			   const struct reference *reference, uint32_t from)
{
	uint32_t expected_index = from;
	uint32_t index = from;
	void *expected = reference_next(reference, from, &expected_index);

	assert_ptr_equal(smmuinv__radix_next(radix, &index), expected);
	/* Where there is nothing, the index stays. */
	assert_int_equal(index, expected_index);
}

/* Where nodes begin and end, and the ends of the whole. */
static const uint32_t corners[] = {
	0,          1,          0xfe,       0xff,       0x100,
	0x101,      0xffff,     0x10000,    0x10001,    0xffffff,
	0x1000000,  0x1000100,  0x7fffffff, 0x80000000, 0xff000000,
	0xfffffeff, 0xffffff00, 0xfffffffe, UINT32_MAX,
};

/* From every corner and its neighbours; where they wrap, it is a corner too. */
static void assert_next_at_corners(const struct radix *radix,
				   const struct reference *reference)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(corners); i++) {
		assert_next_is(radix, reference, corners[i] - 1);
		assert_next_is(radix, reference, corners[i]);
		assert_next_is(radix, reference, corners[i] + 1);
	}
}

static void there_is_no_next_in_an_empty_array(void **state)
{
	static const struct reference nothing;
	struct radix radix = { 0 };

	(void)state;
	assert_next_at_corners(&radix, &nothing);
	/* Nodes that are left, with nothing in them. */
	assert_int_equal(smmuinv__radix_set(&radix, 0, values), 0);
	assert_int_equal(smmuinv__radix_set(&radix, UINT32_MAX, values), 0);
	assert_int_equal(smmuinv__radix_set(&radix, 0, NULL), 0);
	assert_int_equal(smmuinv__radix_set(&radix, UINT32_MAX, NULL), 0);
	assert_next_at_corners(&radix, &nothing);
	smmuinv__radix_free(&radix, NULL, NULL);
}

/* Of up to three corners, all that are filled, and all but one of them. */
static void every_three_corners_are_found_from_every_corner(void **state)
{
	size_t a, b, c;

	(void)state;
	for (a = 0; a < ARRAY_SIZE(corners); a++) {
		for (b = a; b < ARRAY_SIZE(corners); b++) {
			for (c = b; c < ARRAY_SIZE(corners); c++) {
				const size_t filled[] = { a, b, c };
				struct reference reference = { .count = 0 };
				struct radix radix = { 0 };
				size_t i;

				for (i = 0; i < 3; i++) {
					uint32_t index = corners[filled[i]];

					assert_int_equal(smmuinv__radix_set(
								 &radix, index,
								 &values[i]),
							 0);
					*reference_at(&reference, index) =
						&values[i];
				}
				assert_next_at_corners(&radix, &reference);
				smmuinv__radix_set(&radix, corners[b], NULL);
				*reference_at(&reference, corners[b]) = NULL;
				assert_next_at_corners(&radix, &reference);
				smmuinv__radix_free(&radix, NULL, NULL);
			}
		}
	}
}

/* Two leaves side by side, each place of them filled or not, against a map. */
static void every_place_of_two_neighbouring_leaves_is_found(void **state)
{
	enum { PLACES = 512 };
	static const uint32_t bases[] = { 0, 0xfe00, 0xffff00, 0xfffffe00 };
	size_t b, round;

	(void)state;
	for (b = 0; b < ARRAY_SIZE(bases); b++) {
		for (round = 0; round < test_iterations(40); round++) {
			unsigned int percent = 1u << test_random_below(7);
			bool map[PLACES] = { false };
			struct radix radix = { 0 };
			uint32_t i, next;

			for (i = 0; i < PLACES; i++) {
				map[i] = test_chance(percent);
				if (map[i])
					assert_int_equal(
						smmuinv__radix_set(&radix,
								   bases[b] + i,
								   &values[i]),
						0);
			}
			next = PLACES;
			for (i = PLACES; i--;) {
				uint32_t index = bases[b] + i;
				void *found;

				if (map[i])
					next = i;
				found = smmuinv__radix_next(&radix, &index);
				assert_ptr_equal(found, next < PLACES ?
								&values[next] :
								NULL);
				assert_int_equal(
					index,
					bases[b] + (next < PLACES ? next : i));
			}
			smmuinv__radix_free(&radix, NULL, NULL);
		}
	}
}

/* Going through it finds each exactly once, in order. */
static void random_indices_are_gone_through_in_order(void **state)
{
	size_t rounds = test_iterations(60);

	(void)state;
	while (rounds--) {
		size_t count = 1 + (size_t)test_random_below(300);
		static struct reference reference;
		struct radix radix = { 0 };
		uint64_t from = 0;
		size_t filled = 0;
		size_t found = 0;
		size_t i;

		reference.count = 0;
		for (i = 0; i < count; i++) {
			uint32_t index = (uint32_t)test_random_edge();
			void *value = test_chance(80) ? &values[i] : NULL;

			assert_int_equal(
				smmuinv__radix_set(&radix, index, value), 0);
			*reference_at(&reference, index) = value;
			assert_next_is(&radix, &reference,
				       (uint32_t)test_random_edge());
		}
		for (i = 0; i < reference.count; i++)
			filled += reference.value[i] != NULL;
		while (from <= UINT32_MAX) {
			uint32_t index = (uint32_t)from;

			assert_next_is(&radix, &reference, index);
			if (!smmuinv__radix_next(&radix, &index))
				break;
			found++;
			from = (uint64_t)index + 1;
		}
		assert_int_equal(found, filled);
		smmuinv__radix_free(&radix, NULL, NULL);
	}
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
		T(emptying_a_filled_place_needs_no_memory),
		T(a_failed_allocation_changes_nothing_and_can_be_retried),
		T(a_failed_first_allocation_leaves_an_empty_array),
		T(there_is_no_next_in_an_empty_array),
		T(every_three_corners_are_found_from_every_corner),
		T(every_place_of_two_neighbouring_leaves_is_found),
		T(random_indices_are_gone_through_in_order),
#undef T
	};

	return cmocka_run_group_tests_name("radix", tests, NULL, NULL);
}
