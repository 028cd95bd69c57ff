/* SPDX-License-Identifier: MIT */
/*
 * What CMD_SYNCs keep apart, for every three sorts of commands: one call to the
 * host must not hold what may be made again from what the guest had asked to be
 * rid of before, and everything else goes together.
 */
#include "support.h"

#include <string.h>

#include "fixture.h"

#define VSID_OTHER 0x20

/* In the order in which a walk goes through them (4.3, 4.4, 4.5). */
enum sort {
	L1CD, /* the tables that lead to CDs */
	CD,
	TABLE, /* the tables that lead to leaves */
	LEAF,
	ATC,
};

static const struct {
	enum sort sort;
	uint64_t dw0;
	uint64_t dw1;
} kinds[] = {
	{ L1CD, (uint64_t)VSID_OTHER << 32 | SMMUINV_CMD_CFGI_CD_ALL, 0 },
	{ L1CD, (uint64_t)FIXTURE_VSID << 32 | 1 << 12 | SMMUINV_CMD_CFGI_CD,
	  0 },
	{ CD, (uint64_t)FIXTURE_VSID << 32 | 2 << 12 | SMMUINV_CMD_CFGI_CD, 1 },
	{ TABLE, UINT64_C(7) << 48 | SMMUINV_CMD_TLBI_NH_ASID, 0 },
	{ TABLE, UINT64_C(5) << 48 | SMMUINV_CMD_TLBI_NH_VA, 0x10000000 },
	{ LEAF, UINT64_C(5) << 48 | SMMUINV_CMD_TLBI_NH_VA, 0x20000001 },
	{ LEAF, SMMUINV_CMD_TLBI_NH_VAA, 0x30000001 },
	{ ATC, (uint64_t)FIXTURE_VSID << 32 | SMMUINV_CMD_ATC_INV, 0x40000000 },
};

/* Three commands, and where CMD_SYNCs stand between them. */
struct row {
	size_t kind[3];
	bool sync[2]; /* behind the first, behind the second */
};

#define ROWS (ARRAY_SIZE(kinds) * ARRAY_SIZE(kinds) * ARRAY_SIZE(kinds) * 4)

static struct row row_at(size_t n)
{
	struct row row;
	size_t i;

	for (i = 0; i < 3; i++, n /= ARRAY_SIZE(kinds))
		row.kind[i] = n % ARRAY_SIZE(kinds);
	row.sync[0] = n & 1;
	row.sync[1] = n & 2;
	return row;
}

static struct smmuinv_command command_of(const struct row *row, size_t i)
{
	return raw(kinds[row->kind[i]].dw0, kinds[row->kind[i]].dw1);
}

static enum sort sort_of(const struct row *row, size_t i)
{
	return kinds[row->kind[i]].sort;
}

/* Must @a be complete before @b begins? */
static bool apart(const struct row *row, size_t a, size_t b)
{
	bool sync = a == 0 ? row->sync[0] || (b == 2 && row->sync[1]) :
			     row->sync[1];

	return sync && sort_of(row, a) < sort_of(row, b);
}

/*
 * Is every two that must be apart parted, if a call ends before each sort that is
 * in @parts? Leaves may be joined to tables, so they wait for what these must wait
 * for.
 */
static bool is_parted(const struct row *row, uint32_t parts)
{
	size_t a, b;

	for (a = 0; a < 3; a++) {
		for (b = a + 1; b < 3; b++) {
			enum sort low = sort_of(row, a);
			enum sort high = sort_of(row, b);

			if (high == LEAF && low < TABLE)
				high = TABLE;
			if (apart(row, a, b) &&
			    !(parts & ((2u << high) - (2u << low))))
				return false;
		}
	}
	return true;
}

static uint32_t calls_of(const struct row *row, uint32_t parts)
{
	uint32_t calls = 0;
	bool something = false;
	enum sort sort;
	size_t i;

	for (sort = L1CD; sort <= ATC; sort++) {
		if (parts >> sort & 1) {
			calls += something;
			something = false;
		}
		for (i = 0; i < 3; i++)
			something = something || sort_of(row, i) == sort;
	}
	return calls + something;
}

/* Every way to part them is tried. */
static uint32_t fewest_calls(const struct row *row)
{
	uint32_t fewest = UINT32_MAX;
	uint32_t parts;

	for (parts = 0; parts < 2u << ATC; parts++) {
		uint32_t calls = calls_of(row, parts);

		if (is_parted(row, parts) && calls < fewest)
			fewest = calls;
	}
	return fewest;
}

/* In how many calls they go down; what must be complete before others is. */
static uint32_t calls_for(enum smmuinv_plan plan, const struct row *row)
{
	struct smmuinv_batch *batch;
	struct fixture f;
	uint32_t calls;
	size_t a, b;

	fixture_open_with(&f, &everything, &everything, plan);
	fixture_plug(&f, VSID_OTHER);
	assert_int_equal(smmuinv_batch_new(f.vsmmu, 8, &batch), 0);
	for (a = 0; a < 3; a++) {
		struct smmuinv_command command = command_of(row, a);

		assert_int_equal(smmuinv_batch_add(batch, &command, NULL),
				 SMMUINV_FORWARD);
		if (a < 2 && row->sync[a])
			assert_int_equal(smmuinv_batch_sync(batch), 0);
	}
	assert_int_equal(smmuinv_batch_flush(batch, NULL), 0);
	for (a = 0; a < 3; a++) {
		struct smmuinv_command first = command_of(row, a);

		assert_true(last_call_of(&f, &first) >= 0);
		for (b = a + 1; b < 3; b++) {
			struct smmuinv_command second = command_of(row, b);

			if (apart(row, a, b))
				assert_true(first_call_of(&f, &first) <
					    last_call_of(&f, &second));
		}
	}
	calls = f.call_count;
	smmuinv_batch_free(batch);
	fixture_close(&f);
	return calls;
}

/* Every two sorts are among every three. */
static void a_sync_keeps_apart_what_may_be_made_again(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; n < ROWS; n++) {
		const struct row row = row_at(n);

		calls_for(SMMUINV_PLAN_AS_WRITTEN, &row);
		calls_for(SMMUINV_PLAN_FEWEST, &row);
	}
}

/*
 * The price of joining: a table that need not wait for descriptors waits with a
 * leaf that must, because the leaf may have become part of it.
 */
static uint32_t leaf_waits_with_a_table(const struct row *row)
{
	bool waits = false;
	bool table = false;
	size_t a, b;

	for (b = 0; b < 3; b++) {
		for (a = 0; a < b; a++)
			waits = waits || (sort_of(row, b) == LEAF &&
					  sort_of(row, a) < TABLE &&
					  apart(row, a, b));
		table = table || sort_of(row, b) == TABLE;
	}
	return waits && table;
}

static void there_are_as_few_calls_as_can_be(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; n < ROWS; n++) {
		const struct row row = row_at(n);
		uint32_t calls = calls_for(SMMUINV_PLAN_FEWEST, &row);

		assert_int_equal(calls, fewest_calls(&row));
		assert_true(calls <=
			    calls_for(SMMUINV_PLAN_AS_WRITTEN, &row) +
				    leaf_waits_with_a_table(&row));
	}
}

static void without_a_sync_everything_goes_together(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; n < ROWS; n++) {
		const struct row row = row_at(n);

		if (row.sync[0] || row.sync[1])
			continue;
		assert_int_equal(calls_for(SMMUINV_PLAN_FEWEST, &row), 1);
		assert_int_equal(calls_for(SMMUINV_PLAN_AS_WRITTEN, &row), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sync_keeps_apart_what_may_be_made_again),
		cmocka_unit_test(there_are_as_few_calls_as_can_be),
		cmocka_unit_test(without_a_sync_everything_goes_together),
	};

	return cmocka_run_group_tests_name("ranks", tests, NULL, NULL);
}
