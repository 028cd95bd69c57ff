/* SPDX-License-Identifier: MIT */
/*
 * The plan as a whole: from windows to calls, merged and as written; and every
 * window of three commands over a small alphabet, against modelled caches.
 * Random windows are in property/windows.c, and order in property/order.c.
 * Sections are those of Arm IHI 0070.
 */
#include "planner.h"

#include <stdlib.h>
#include <string.h>

#include <smmuinv/caches.h>

static void ranks_come_one_after_the_other(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(atc(2, 0, 0), nh_va(1, 0x1000), cd(2, 0, 0),
			 nh_va(1, LEAF), cd(1, 0, LEAF), atc(1, 0, 0),
			 nh_va(1, 0), nh_asid(1)),
		    LIST(cd(2, 0, 0), cd(1, 0, LEAF), nh_asid(1),
			 ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 2),
			 atc(1, 0, 0), atc(2, 0, 0)));
	assert_memory_equal(p->plan.calls.origin,
			    ((uint32_t[]){ 2, 4, 7, 1, 5, 0 }),
			    6 * sizeof(uint32_t));
	planner_assert_ends(p, ENDS(4, 6));
	planner_merged(p, NULL, 0);
	assert_int_equal(p->plan.calls.count, 0);
	assert_int_equal(p->plan.calls.end_count, 0);
}

/* docs: what was made from something stale goes in a later call. */
static void a_cmd_sync_is_a_new_call_only_where_order_needs_it(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	/* In the order of the ranks, each after a CMD_SYNC. */
	ASSERT_UNCHANGED(p, cd_all(1), nh_asid(1), atc(1, 0, 0));
	planner_assert_ends(p, ENDS(2, 3));
	assert_plan(p,
		    LIST(cd_all(1), synced(), nh_asid(1), synced(),
			 nh_va(1, LEAF), synced(), atc(1, 0, 0)),
		    LIST(cd_all(1), nh_asid(1), nh_va(1, LEAF), atc(1, 0, 0)));
	planner_assert_ends(p, ENDS(1, 2, 3, 4));
	/* Against it, or of one rank. */
	assert_plan(
		p,
		LIST(nh_va(1, LEAF), synced(), nh_asid(1), synced(),
		     cd(1, 0, LEAF), synced(), cd_all(2)),
		LIST(cd_all(2), cd(1, 0, LEAF), nh_asid(1), nh_va(1, LEAF)));
	planner_assert_ends(p, ENDS(4));
	assert_plan(p, LIST(nh_va(1, LEAF), synced(), nh_va(1, 0x1000 | LEAF)),
		    LIST(ranged(nh_va(1, LEAF), SMMUINV_TG_4K, 0, 0, 2)));
	planner_assert_ends(p, ENDS(1));
}

/* The classes of facts about order: what may never share a call. */
static void a_leaf_goes_after_anothers_tables(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(nh_vaa(0x5000), synced(), nh_va(2, 0x1000)),
		    LIST(nh_vaa(0x1000), nh_vaa(0x5000)));
	assert_plan(p,
		    LIST(nh_va(2, 0x1000), synced(), nh_va(3, 0x5000), synced(),
			 nh_va(2, 0x1000 | LEAF)),
		    LIST(nh_vaa(0x5000), nh_va(2, 0x1000),
			 nh_va(2, 0x1000 | LEAF)));
	planner_assert_ends(p, ENDS(2, 3));
}

static void what_is_merged_is_counted(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	planner_merged(p, LIST(nh_va(1, 0), nh_va(1, 0x1000), synced(),
			       nh_va(2, LEAF), nh_va(1, 0), cd_all(1)));
	assert_int_equal(p->plan.calls.count, 3);
	assert_int_equal(p->plan.merged, 2);
	planner_merged(p, LIST(nh_va(1, 0)));
	assert_int_equal(p->plan.merged, 0);
	planner_merged(p, NULL, 0);
	assert_int_equal(p->plan.merged, 0);
	planner_as_written(p, LIST(nh_va(1, 0), nh_va(1, 0)));
	assert_int_equal(p->plan.merged, 0);
	/* Pages of a range are more than was asked for. */
	p = planner_open(ONLY_4K, WITHOUT_RANGES);
	planner_merged(p, LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 4)));
	assert_int_equal(p->plan.merged, 0);
}

static void what_has_a_rule_or_another_slot_is_not_sent(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	const struct smmuinv_command guest[] = {
		cd(1, 0, 0), nh_va(1, 0),       atc(1, 0, 0), nh_va(1, 0x1000),
		cd(2, 0, 0), atc(1, 0x1000, 0), cd(3, 0, 0),
	};
	struct plan_window window = planner_window(p, guest, 7);

	(void)state;
	p->marks[0].rule = SMMUINV_RULE_STREAM_UNKNOWN;
	p->marks[2].rule = SMMUINV_RULE_STREAM_UNKNOWN;
	p->marks[6].slot = 2;
	smmuinv__plan_merged(&p->plan, &window);
	planner_assert(p, LIST(guest[4],
			       ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 2),
			       guest[5]));
	smmuinv__plan_as_written(&p->plan, &window);
	planner_assert(p, LIST(guest[1], guest[3], guest[4], guest[5]));
	assert_int_equal(p->plan.calls.origin[3], 5);
	window.slot = 2;
	smmuinv__plan_as_written(&p->plan, &window);
	planner_assert(p, LIST(guest[1], guest[3], guest[6]));
	/* Nothing is left of it. */
	p->marks[1].rule = SMMUINV_RULE_NO_VIOMMU;
	p->marks[3].rule = SMMUINV_RULE_NO_VIOMMU;
	p->marks[6].rule = SMMUINV_RULE_STREAM_UNKNOWN;
	smmuinv__plan_merged(&p->plan, &window);
	assert_int_equal(p->plan.calls.count, 0);
	assert_int_equal(p->plan.calls.end_count, 0);
	smmuinv__plan_as_written(&p->plan, &window);
	assert_int_equal(p->plan.calls.count, 0);
	assert_int_equal(p->plan.calls.end_count, 0);
}

/*
 * As written
 */

static void as_written_is_as_written(void **state)
{
	struct planner *p = planner_open_sized(ONLY_4K, WITH_RANGES, 6);
	const struct smmuinv_command guest[] = {
		cd(1, 0, 0),
		nh_va(1, 0),
		nh_va(1, 0x1000),
		nh_va(1, 0x1000),
		ranged(nh_vaa(0), SMMUINV_TG_4K, 0, 0, 2),
		cd_all(1),
	};

	(void)state;
	planner_as_written(p, guest, 6);
	planner_assert(p, guest, 6);
	assert_memory_equal(p->plan.calls.origin,
			    ((uint32_t[]){ 0, 1, 2, 3, 4, 5 }),
			    6 * sizeof(uint32_t));
	planner_assert_ends(p, ENDS(6));
	planner_as_written(p, guest + 1, 4);
	planner_assert(p, guest + 1, 4);
	planner_assert_ends(p, ENDS(4));
	planner_as_written(p, NULL, 0);
	assert_int_equal(p->plan.calls.count, 0);
	assert_int_equal(p->plan.calls.end_count, 0);
}

static void as_written_a_call_ends_at_each_cmd_sync(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	planner_as_written(p, LIST(synced(), nh_va(1, 0), nh_va(2, 0), synced(),
				   synced(), nh_va(1, 0), synced()));
	planner_assert(p, LIST(nh_va(1, 0), nh_va(2, 0), nh_va(1, 0)));
	planner_assert_ends(p, ENDS(2, 3));
	assert_memory_equal(p->plan.calls.origin, ((uint32_t[]){ 1, 2, 5 }),
			    3 * sizeof(uint32_t));
	/* The same with streams' commands among them. */
	planner_as_written(p, LIST(synced(), cd_all(1), nh_va(2, 0), synced(),
				   synced(), nh_va(1, 0), synced()));
	planner_assert(p, LIST(cd_all(1), nh_va(2, 0), nh_va(1, 0)));
	planner_assert_ends(p, ENDS(2, 3));
}

static void as_written_atc_invs_have_calls_of_their_own(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	const struct smmuinv_command guest[] = {
		atc(1, 0, 0), atc(2, 0, 0), nh_va(1, 0),
		cd_all(1),    atc(1, 0, 0), nh_va(1, 0),
	};

	(void)state;
	planner_as_written(p, guest, 6);
	planner_assert(p, guest, 6);
	planner_assert_ends(p, ENDS(2, 4, 5, 6));
	planner_as_written(
		p, LIST(nh_va(1, 0), atc(1, 0, 0), synced(), atc(1, 0, 0)));
	planner_assert_ends(p, ENDS(1, 2, 3));
}

static void as_written_ranges_are_pages_on_a_host_without(void **state)
{
	struct planner *p = planner_open_sized(ALL_GRANULES, WITHOUT_RANGES, 8);
	const struct smmuinv_command guest[] = {
		atc(1, 0x1000, 52),
		ranged(nh_va(1, 0x2000), SMMUINV_TG_4K, 0, 0, 2),
		ranged(nh_va(1, 2 * MIB | LEAF), SMMUINV_TG_4K, 2, 9, 1),
		nh_va(1, 0),
		ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, PLANNER_PAGES_MAX + 1),
		cd(1, 0, 1),
		/* 4.4.1.1: not aligned, and so rounded out. */
		ranged(nh_va(1, 0x1000), SMMUINV_TG_16K, 0, 0, 2),
	};

	(void)state;
	planner_as_written(p, guest, 7);
	planner_assert(p, LIST(guest[0], nh_va(1, 0x2000), nh_va(1, 0x3000),
			       nh_va(1, 2 * MIB | LEAF), guest[3], nh_all(),
			       guest[5], nh_va(1, 0), nh_va(1, 0x4000),
			       nh_va(1, 0x8000)));
	assert_memory_equal(p->plan.calls.origin,
			    ((uint32_t[]){ 0, 1, 1, 2, 3, 4, 5, 6, 6, 6 }),
			    10 * sizeof(uint32_t));
}

/* Not of one range, but of all together. */
static void
as_written_there_are_no_more_pages_in_a_window_than_may_be(void **state)
{
	struct planner *p = planner_open_sized(ALL_GRANULES, WITHOUT_RANGES, 5);
	const struct smmuinv_command most =
		ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, PLANNER_PAGES_MAX - 2);
	const struct smmuinv_command three =
		ranged(nh_va(2, 0), SMMUINV_TG_4K, 0, 0, 3);
	const struct smmuinv_command two =
		ranged(nh_va(3, 0), SMMUINV_TG_4K, 0, 0, 2);
	const struct calls *calls = &p->plan.calls;
	uint32_t pages = PLANNER_PAGES_MAX - 2;

	(void)state;
	planner_as_written(p, LIST(most, synced(), three, two, two));
	assert_int_equal(calls->count, pages + 4);
	assert_true(test_command_equal(&calls->commands[pages],
				       COMMANDS(nh_all())));
	assert_true(test_command_equal(&calls->commands[pages + 2],
				       COMMANDS(nh_va(3, 0x1000))));
	assert_true(test_command_equal(&calls->commands[pages + 3],
				       COMMANDS(nh_all())));
	assert_int_equal(calls->origin[pages], 2);
	assert_int_equal(calls->origin[pages + 3], 4);
	planner_assert_ends(p, ENDS(pages, pages + 4));
}

/*
 * Every small window
 */

#define SMALL_MAX 128u

struct small {
	struct planner *p;
	struct smmuinv_caches *caches;
	struct smmuinv_cache_entry entries[SMALL_MAX];
	uint32_t entry_count;
	struct smmuinv_command alphabet[64];
	/* What each of them removes. */
	bool removes[64][SMALL_MAX];
	uint32_t letters;
};

static struct small small;

static void small_entry(uint8_t kind, uint16_t asid, bool global, uint8_t tg,
			uint8_t level, uint64_t address)
{
	const struct smmuinv_cache_entry e = {
		.size = sizeof(e),
		.kind = kind,
		.asid = asid,
		.global = global,
		.tg = tg,
		.level = level,
		.address = address,
		.length = UINT64_C(1) << planner_entry_log2(tg, level),
	};

	small.entries[small.entry_count++] = e;
}

/* Of ASID 1, of ASID 2, and of neither but global. */
static void small_entries(uint8_t kind, uint8_t tg, uint8_t level,
			  uint64_t address)
{
	small_entry(kind, 1, false, tg, level, address);
	small_entry(kind, 2, false, tg, level, address);
	small_entry(kind, 3, true, tg, level, address);
}

static void small_fill_4k(void)
{
	static const uint64_t pages[] = { 0xf000,  0x10000,  0x11000, 0x12000,
					  0x13000, 0x1ff000, 0x200000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		small_entries(SMMUINV_CACHED_LEAF, SMMUINV_TG_4K, 3, pages[i]);
	small_entries(SMMUINV_CACHED_LEAF, SMMUINV_TG_4K, 2, 0);
	small_entries(SMMUINV_CACHED_LEAF, SMMUINV_TG_4K, 2, 0x200000);
	small_entries(SMMUINV_CACHED_TABLE, SMMUINV_TG_4K, 2, 0);
	small_entries(SMMUINV_CACHED_TABLE, SMMUINV_TG_4K, 1, 0);
}

static void small_fill_others(void)
{
	small_entries(SMMUINV_CACHED_LEAF, SMMUINV_TG_16K, 3, 0xc000);
	small_entries(SMMUINV_CACHED_LEAF, SMMUINV_TG_16K, 3, 0x10000);
	small_entries(SMMUINV_CACHED_LEAF, SMMUINV_TG_16K, 3, 0x14000);
	small_entries(SMMUINV_CACHED_TABLE, SMMUINV_TG_16K, 2, 0);
	small_entries(SMMUINV_CACHED_LEAF, SMMUINV_TG_64K, 3, 0x10000);
}

static void small_fill_devices(void)
{
	struct smmuinv_cache_entry e = { .size = sizeof(e) };
	uint32_t i;

	for (i = 0; i < 4; i++) {
		e.kind = SMMUINV_CACHED_CD;
		e.sid = 1 + i / 3;
		e.ssid = i % 3;
		small.entries[small.entry_count++] = e;
	}
	e.kind = SMMUINV_CACHED_L1CD;
	e.sid = 1;
	e.ssid = 0;
	e.ssids = 1;
	small.entries[small.entry_count++] = e;
	for (i = 0; i < 10; i++) {
		e.kind = SMMUINV_CACHED_ATC;
		e.address = i % 5 * 0x1000;
		e.length = 0x1000;
		e.ssv = i >= 5;
		e.ssid = e.ssv;
		small.entries[small.entry_count++] = e;
	}
}

static void small_alphabet(void)
{
	const struct smmuinv_command a = nh_va(1, 0x10000);
	const struct smmuinv_command letters[] = {
		a,
		nh_va(1, 0x10000 | LEAF),
		nh_va(1, 0x11000),
		nh_va(1, 0x11000 | LEAF),
		nh_va(1, 0x13000),
		nh_va(2, 0x10000),
		nh_va(2, 0x11000 | LEAF),
		nh_vaa(0x10000),
		nh_vaa(0x11000 | LEAF),
		ranged(a, SMMUINV_TG_4K, 0, 0, 4),
		ranged(a, SMMUINV_TG_4K, 3, 0, 1),
		ranged(nh_va(1, 0x12000 | LEAF), SMMUINV_TG_4K, 3, 1, 1),
		ranged(nh_va(1, 0x1ff000), SMMUINV_TG_4K, 3, 0, 1),
		ranged(nh_va(1, 0x200000), SMMUINV_TG_4K, 2, 0, 1),
		ranged(nh_va(1, 0x200000 | LEAF), SMMUINV_TG_4K, 2, 9, 1),
		ranged(nh_va(2, 0), SMMUINV_TG_4K, 2, 9, 2),
		ranged(nh_vaa(0x10000), SMMUINV_TG_4K, 0, 1, 1),
		ranged(nh_vaa(0x11000 | LEAF), SMMUINV_TG_4K, 3, 0, 2),
		ranged(a, SMMUINV_TG_16K, 0, 0, 2),
		ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 1 + 1),
		ranged(nh_va(1, 0xf000), SMMUINV_TG_4K, 2, 0, 3),
		nh_asid(1),
		nh_asid(2),
		nh_all(),
		nsnh_all(),
		cd(1, 0, 0),
		cd(1, 0, LEAF),
		cd(1, 1, LEAF),
		cd(2, 0, 0),
		cd_all(1),
		atc(2, 0, 0),
		atc(2, 0x1000, 0),
		atc(2, 0x3000, 1),
		tagged(atc(2, 0, 0), 1, false),
		tagged(atc(2, 0x1000, 0), 1, true),
	};

	memcpy(small.alphabet, letters, sizeof(letters));
	small.letters = ARRAY_SIZE(letters);
}

static void small_prepare(void)
{
	uint32_t c;
	uint32_t e;

	assert_int_equal(smmuinv_caches_new(SMALL_MAX, &small.caches), 0);
	for (e = 0; e < small.entry_count; e++)
		assert_int_equal(
			smmuinv_caches_insert(small.caches, &small.entries[e]),
			e);
	for (c = 0; c < small.letters; c++) {
		assert_true(planner_canonical(small.p, &small.alphabet[c],
					      &small.alphabet[c]));
		smmuinv_caches_refill(small.caches);
		smmuinv_caches_execute(small.caches, &small.alphabet[c]);
		for (e = 0; e < small.entry_count; e++)
			small.removes[c][e] =
				!smmuinv_caches_has(small.caches, e);
	}
}

/* Of the commands that the guest wrote before @end, none has left anything. */
static void small_assert_complete(const uint32_t *window, uint32_t end,
				  uint32_t done)
{
	uint32_t i;
	uint32_t e;

	for (i = 0; i < end; i++) {
		for (e = 0; e < small.entry_count; e++) {
			if (small.removes[window[i]][e] &&
			    smmuinv_caches_has(small.caches, e))
				fail_msg("%s has left entry %u after %u of %u",
					 test_text(&small.alphabet[window[i]]),
					 e, done, small.p->plan.calls.count);
		}
	}
}

static uint32_t first_incomplete(const struct plan *plan, uint32_t done,
				 uint32_t count)
{
	uint32_t i;

	for (i = done; i < plan->calls.count; i++) {
		if (plan->calls.origin[i] < count)
			count = plan->calls.origin[i];
	}
	return count;
}

/* After each of the host's commands, too. */
static void small_check(const uint32_t *window, uint32_t n)
{
	const struct plan *plan = &small.p->plan;
	struct smmuinv_command commands[8];
	uint32_t i;

	for (i = 0; i < n; i++)
		commands[i] = small.alphabet[window[i]];
	planner_merged(small.p, commands, n);
	assert_true(plan->calls.count <= n || !plan->ril);
	smmuinv_caches_refill(small.caches);
	for (i = 0; i <= plan->calls.count; i++) {
		small_assert_complete(window, first_incomplete(plan, i, n), i);
		if (i == plan->calls.count)
			break;
		assert_true(planner_legal(small.p, &plan->calls.commands[i]));
		smmuinv_caches_execute(small.caches, &plan->calls.commands[i]);
	}
}

static void small_check_all(void)
{
	uint32_t w[4];
	size_t more = test_iterations(100000);
	uint32_t i;

	for (w[0] = 0; w[0] < small.letters; w[0]++) {
		small_check(w, 1);
		for (w[1] = 0; w[1] < small.letters; w[1]++) {
			small_check(w, 2);
			for (w[2] = 0; w[2] < small.letters; w[2]++)
				small_check(w, 3);
		}
	}
	while (more--) {
		for (i = 0; i < 4; i++)
			w[i] = (uint32_t)test_random_below(small.letters);
		small_check(w, 4);
	}
}

static void small_open(unsigned int shown, enum planner_host kind)
{
	memset(&small, 0, sizeof(small));
	small.p = planner_open(shown, kind);
	small_alphabet();
	small_fill_4k();
	small_fill_devices();
}

static void small_close(void)
{
	smmuinv_caches_free(small.caches);
	planner_close();
}

static void every_small_window_when_4k_is_all_there_is(void **state)
{
	(void)state;
	small_open(ONLY_4K, WITH_RANGES);
	small_prepare();
	small_check_all();
	small_close();
}

static void every_small_window_when_nothing_is_certain(void **state)
{
	(void)state;
	small_open(ALL_GRANULES, WITH_RANGES);
	small_fill_others();
	small_prepare();
	small_check_all();
	small_close();
}

static void every_small_window_on_a_host_without_ranges(void **state)
{
	(void)state;
	small_open(ALL_GRANULES, WITHOUT_RANGES);
	small_fill_others();
	small_prepare();
	small_check_all();
	small_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_teardown(test, planner_teardown)
		T(ranks_come_one_after_the_other),
		T(a_cmd_sync_is_a_new_call_only_where_order_needs_it),
		T(a_leaf_goes_after_anothers_tables),
		T(what_is_merged_is_counted),
		T(what_has_a_rule_or_another_slot_is_not_sent),
		T(as_written_is_as_written),
		T(as_written_a_call_ends_at_each_cmd_sync),
		T(as_written_atc_invs_have_calls_of_their_own),
		T(as_written_ranges_are_pages_on_a_host_without),
		T(as_written_there_are_no_more_pages_in_a_window_than_may_be),
		T(every_small_window_when_4k_is_all_there_is),
		T(every_small_window_when_nothing_is_certain),
		T(every_small_window_on_a_host_without_ranges),
#undef T
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
