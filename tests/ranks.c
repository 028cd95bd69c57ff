/* SPDX-License-Identifier: MIT */
/*
 * What a CMD_SYNC keeps apart, for every two sorts of commands: one call to the
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

/* In how many calls the two go down, and that the first is not later. */
static uint32_t calls_for(enum smmuinv_plan plan, size_t a, size_t b, bool sync)
{
	struct smmuinv_command first = raw(kinds[a].dw0, kinds[a].dw1);
	struct smmuinv_command second = raw(kinds[b].dw0, kinds[b].dw1);
	struct smmuinv_batch *batch;
	struct fixture f;
	uint32_t calls;

	fixture_open_with(&f, &everything, &everything, plan);
	fixture_plug(&f, VSID_OTHER);
	assert_int_equal(smmuinv_batch_new(f.vsmmu, 8, &batch), 0);
	assert_int_equal(smmuinv_batch_add(batch, &first, NULL),
			 SMMUINV_FORWARD);
	if (sync)
		assert_int_equal(smmuinv_batch_sync(batch), 0);
	assert_int_equal(smmuinv_batch_add(batch, &second, NULL),
			 SMMUINV_FORWARD);
	assert_int_equal(smmuinv_batch_flush(batch, NULL), 0);
	assert_true(last_call_of(&f, &first) >= 0);
	assert_true(last_call_of(&f, &second) >= 0);
	if (kinds[a].sort < kinds[b].sort)
		assert_true(last_call_of(&f, &first) <=
			    last_call_of(&f, &second));
	calls = f.call_count;
	smmuinv_batch_free(batch);
	fixture_close(&f);
	return calls;
}

static const enum smmuinv_plan plans[] = { SMMUINV_PLAN_FEWEST,
					   SMMUINV_PLAN_AS_WRITTEN };

static void a_sync_keeps_apart_what_may_be_made_again(void **state)
{
	size_t p, a, b;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (a = 0; a < ARRAY_SIZE(kinds); a++) {
			for (b = 0; b < ARRAY_SIZE(kinds); b++) {
				bool apart = kinds[a].sort < kinds[b].sort;

				assert_int_equal(
					calls_for(plans[p], a, b, true),
					apart ? 2 : 1);
			}
		}
	}
}

static void without_a_sync_everything_goes_together(void **state)
{
	size_t p, a, b;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (a = 0; a < ARRAY_SIZE(kinds); a++) {
			for (b = 0; b < ARRAY_SIZE(kinds); b++)
				assert_int_equal(
					calls_for(plans[p], a, b, false), 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sync_keeps_apart_what_may_be_made_again),
		cmocka_unit_test(without_a_sync_everything_goes_together),
	};

	return cmocka_run_group_tests_name("ranks", tests, NULL, NULL);
}
