/* SPDX-License-Identifier: MIT */
/*
 * The rules of lib/params.h: how a structure that starts with its size passes
 * between a caller and a library of different ages.
 */
#include "support.h"

#include <endian.h>
#include <string.h>

#include "params.h"

/* As release 0.1 had it, and as a later one might. */
struct old {
	size_t size;
	uint64_t a;
};

struct new
{
	size_t size;
	uint64_t a;
	uint64_t b;
};

struct reserving {
	size_t size;
	uint32_t a;
	uint8_t reserved[4];
};

/* What any caller may pass: large enough for every size there is a rule for. */
union caller {
	struct old old;
	struct new new;
	struct reserving reserving;
	unsigned char bytes[PARAMS_SIZE_MAX + 64];
};

static union caller caller;

static int setup(void **state)
{
	(void)state;
	memset(&caller, 0, sizeof(caller));
	return 0;
}

/* The library knows struct new; the oldest caller has struct old. */
static bool copy(struct new *to)
{
	return params_copy(to, sizeof(*to), &caller, sizeof(struct old));
}

static void a_structure_of_the_same_age_is_copied_whole(void **state)
{
	struct new to;

	(void)state;
	caller.new = (struct new){ sizeof(caller.new), 1, 2 };
	assert_true(copy(&to));
	assert_int_equal(to.size, sizeof(struct new));
	assert_int_equal(to.a, 1);
	assert_int_equal(to.b, 2);
}

static void what_an_older_caller_lacks_is_zero(void **state)
{
	struct new to;

	(void)state;
	memset(&to, 0xff, sizeof(to));
	caller.new = (struct new){ sizeof(struct old), 1, 2 };
	assert_true(copy(&to));
	assert_int_equal(to.a, 1);
	assert_int_equal(to.b, 0);
}

static void a_size_between_two_releases_keeps_only_its_bytes(void **state)
{
	struct new to;

	(void)state;
	memset(&caller, 0xff, sizeof(caller));
	caller.new.size = sizeof(struct old) + 2;
	assert_true(copy(&to));
	assert_int_equal(le64toh(to.b), 0xffff);
}

static void a_newer_caller_is_accepted_while_its_tail_is_zero(void **state)
{
	struct new to;
	size_t size;

	(void)state;
	for (size = sizeof(struct new); size <= PARAMS_SIZE_MAX; size++) {
		caller.new = (struct new){ size, 3, 4 };
		assert_true(copy(&to));
		assert_int_equal(to.a, 3);
		assert_int_equal(to.b, 4);
	}
}

static void any_byte_set_in_an_unknown_tail_is_refused(void **state)
{
	struct new to;
	size_t at;

	(void)state;
	caller.new = (struct new){ sizeof(struct new) + 64, 3, 4 };
	for (at = sizeof(struct new); at < caller.new.size; at++) {
		caller.bytes[at] = 1;
		assert_false(copy(&to));
		caller.bytes[at] = 0;
	}
	/* What follows the size is not the library's to read. */
	caller.bytes[at] = 1;
	assert_true(copy(&to));
}

static void every_size_below_the_oldest_release_is_refused(void **state)
{
	struct new to;
	size_t size;

	(void)state;
	for (size = 0; size < sizeof(struct old); size++) {
		caller.new.size = size;
		assert_false(copy(&to));
	}
}

static void a_size_that_no_structure_can_have_is_refused(void **state)
{
	static const size_t sizes[] = {
		PARAMS_SIZE_MAX + 1,
		SIZE_MAX,
		SIZE_MAX / 2,
		UINT32_MAX,
	};
	struct new to;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		caller.new.size = sizes[i];
		assert_false(copy(&to));
		assert_false(params_writable(&caller, sizeof(struct old)));
	}
}

static void a_null_structure_is_refused(void **state)
{
	struct new to;

	(void)state;
	assert_false(params_copy(&to, sizeof(to), NULL, sizeof(struct old)));
}

static void the_destination_is_left_alone_on_refusal(void **state)
{
	struct new to = { 7, 8, 9 };

	(void)state;
	caller.new.size = 1;
	assert_false(copy(&to));
	caller.new.size = sizeof(struct new) + 1;
	caller.bytes[sizeof(struct new)] = 1;
	assert_false(copy(&to));
	assert_int_equal(to.size, 7);
	assert_int_equal(to.a, 8);
	assert_int_equal(to.b, 9);
}

static void an_output_is_writable_from_the_oldest_size_on(void **state)
{
	size_t size;

	(void)state;
	for (size = 0; size <= PARAMS_SIZE_MAX + 1; size++) {
		caller.new.size = size;
		assert_int_equal(params_writable(&caller, sizeof(struct old)),
				 size >= sizeof(struct old) &&
					 size <= PARAMS_SIZE_MAX);
	}
}

static void nothing_is_written_beyond_an_older_callers_size(void **state)
{
	const struct new from = { 0, 1, 2 };

	(void)state;
	caller.new = (struct new){ sizeof(struct old), 0, 99 };
	params_store(&caller, &from, sizeof(from));
	assert_int_equal(caller.new.size, sizeof(struct old));
	assert_int_equal(caller.new.a, 1);
	assert_int_equal(caller.new.b, 99);
}

static void a_newer_callers_tail_is_zero(void **state)
{
	const struct old from = { 0, 1 };

	(void)state;
	caller.new = (struct new){ sizeof(struct new), 0, 99 };
	params_store(&caller, &from, sizeof(from));
	assert_int_equal(caller.new.size, sizeof(struct new));
	assert_int_equal(caller.new.a, 1);
	assert_int_equal(caller.new.b, 0);
}

static void a_caller_keeps_the_size_that_it_set(void **state)
{
	const struct new from = { 12345, 1, 2 };

	(void)state;
	caller.new.size = sizeof(struct new);
	params_store(&caller, &from, sizeof(from));
	assert_int_equal(caller.new.size, sizeof(struct new));
	assert_int_equal(caller.new.b, 2);
}

static void a_structure_is_taken_only_if_nothing_reserved_is_set(void **state)
{
	struct reserving *from = &caller.reserving;
	struct reserving to;
	size_t at;

	(void)state;
	from->size = sizeof(*from);
	from->a = 1;
	for (at = 0; test_only_byte(from->reserved, sizeof(from->reserved), at);
	     at++)
		assert_false(PARAMS_TAKE(&to, from));
	assert_true(PARAMS_TAKE(&to, from));
	assert_int_equal(to.a, 1);
	from->size--;
	assert_false(PARAMS_TAKE(&to, from));
}

static void structures_need_no_alignment(void **state)
{
	struct new from = { sizeof(from), 5, 6 };
	struct new to;

	(void)state;
	memcpy(caller.bytes + 1, &from, sizeof(from));
	assert_true(params_copy(&to, sizeof(to), caller.bytes + 1,
				sizeof(struct old)));
	assert_int_equal(to.b, 6);
	assert_true(params_writable(caller.bytes + 1, sizeof(struct old)));
	from.b = 7;
	params_store(caller.bytes + 1, &from, sizeof(from));
	memcpy(&to, caller.bytes + 1, sizeof(to));
	assert_int_equal(to.b, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup(test, setup)
		T(a_structure_of_the_same_age_is_copied_whole),
		T(what_an_older_caller_lacks_is_zero),
		T(a_size_between_two_releases_keeps_only_its_bytes),
		T(a_newer_caller_is_accepted_while_its_tail_is_zero),
		T(any_byte_set_in_an_unknown_tail_is_refused),
		T(every_size_below_the_oldest_release_is_refused),
		T(a_size_that_no_structure_can_have_is_refused),
		T(a_null_structure_is_refused),
		T(the_destination_is_left_alone_on_refusal),
		T(an_output_is_writable_from_the_oldest_size_on),
		T(nothing_is_written_beyond_an_older_callers_size),
		T(a_newer_callers_tail_is_zero),
		T(a_caller_keeps_the_size_that_it_set),
		T(a_structure_is_taken_only_if_nothing_reserved_is_set),
		T(structures_need_no_alignment),
#undef T
	};

	return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
