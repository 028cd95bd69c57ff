/* SPDX-License-Identifier: MIT */
/*
 * Last step of a plan: heads become commands, and breaks become ends of calls.
 * Sections are those of Arm IHI 0070.
 */
#include "planner.h"

#include <stdlib.h>
#include <string.h>

static void a_page_by_itself_stays_what_it_is(void **state)
{
	struct planner *p = planner_open(ONLY_64K, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000));
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000), nh_va(1, 0x20000));
	ASSERT_UNCHANGED(p, nh_va(1, 0), nh_va(2, 0x10000));
	ASSERT_UNCHANGED(p, nh_vaa(0), nh_va(0, 0x10000));
}

static uint64_t bytes_of(unsigned int tg)
{
	return UINT64_C(1) << planner_entry_log2(tg, 3);
}

/* The smallest length of a range that is not below. */
static uint64_t rounded_up(uint64_t granules)
{
	unsigned int scale = 0;

	while ((granules + (UINT64_C(1) << scale) - 1) >> scale > 32)
		scale++;
	return (granules + (UINT64_C(1) << scale) - 1) >> scale << scale;
}

static void assert_one_range(const struct planner *p, uint64_t first,
			     uint64_t granules, unsigned int tg)
{
	const struct smmuinv_command *c = &p->plan.calls.commands[0];
	struct reach r;

	assert_int_equal(p->plan.calls.count, 1);
	if (granules == 1)
		return;
	r = planner_reach(c);
	assert_int_equal(planner_get(c, SMMUINV_FIELD_TG), tg);
	assert_int_equal(r.first, first);
	assert_int_equal(r.last - first + 1,
			 rounded_up(granules) * bytes_of(tg));
	assert_true(rounded_up(granules) - granules <= granules / 16);
	assert_true(planner_legal(p, c));
}

static void every_length_up_to_2048_pages_is_one_command(void **state)
{
	static struct smmuinv_command pages[2048];
	unsigned int tg;
	uint32_t n;

	(void)state;
	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		struct planner *p = planner_open(1u << (tg - 1), WITH_RANGES);

		fill_pages(pages, 2048, nh_va(1, GIB), bytes_of(tg));
		for (n = 1; n <= 2048; n++) {
			planner_merged(p, pages, n);
			assert_one_range(p, GIB, n, tg);
		}
		planner_close();
	}
}

/*
 * A span of any length as a guest may say it, in ranges that are exact; in any
 * order. Returns how many.
 */
static uint32_t fill_span(struct smmuinv_command *commands, uint64_t granules,
			  unsigned int tg)
{
	uint64_t va = 0;
	uint32_t n = 0;

	while (granules) {
		unsigned int bits =
			64 - (unsigned int)__builtin_clzll(granules);
		unsigned int scale = bits > 5 ? bits - 5 : 0;
		uint64_t units;

		if (scale > 31)
			scale = 31;
		units = granules >> scale;
		if (units > 32)
			units = 32;
		commands[n++] = units << scale == 1 ?
					nh_va(1, va) :
					ranged(nh_va(1, va), tg, 0, scale,
					       (unsigned int)units);
		va += units << scale << planner_entry_log2(tg, 3);
		granules -= units << scale;
	}
	shuffle(commands, n);
	return n;
}

static uint64_t random_length(unsigned int bits)
{
	return 1 + (test_random() >> (64 - bits) >> test_random_below(bits));
}

static void every_length_that_a_range_can_have_is_one_command(void **state)
{
	struct smmuinv_command parts[64];
	size_t n = test_iterations(100000);

	(void)state;
	while (n--) {
		unsigned int tg = 1 + (unsigned int)test_random_below(3);
		struct planner *p =
			planner_open_sized(1u << (tg - 1), WITH_RANGES, 64);
		uint64_t length = random_length(36);

		planner_merged(p, parts, fill_span(parts, length, tg));
		assert_one_range(p, 0, length, tg);
		planner_close();
	}
}

/* Five bits of SCALE, or six of which 39 is the most (4.4.1.1). */
static void what_is_longer_than_any_range_is_as_few_as_can_be(void **state)
{
	const uint64_t longest = UINT64_C(1) << 36;
	struct smmuinv_command parts[64];
	size_t n = test_iterations(2000);

	(void)state;
	while (n--) {
		uint64_t length = longest + random_length(39);
		uint32_t count;

		struct planner *p =
			planner_open_sized(ONLY_4K, WITH_RANGES, 64);
		count = fill_span(parts, length, SMMUINV_TG_4K);
		planner_merged(p, parts, count);
		assert_int_equal(p->plan.calls.count,
				 (length + longest - 1) / longest);
		assert_true(p->plan.calls.count <= count);
		assert_int_equal(planner_get(&p->plan.calls.commands[0],
					     SMMUINV_FIELD_SCALE),
				 31);
		planner_close();

		p = planner_open_sized(ONLY_4K, WITH_LONG_RANGES, 64);
		planner_merged(p, parts, count);
		assert_one_range(p, 0, length, SMMUINV_TG_4K);
		planner_close();
	}
}

static void a_range_that_has_one_granule_left_over(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);
	const uint64_t longest = UINT64_C(1) << 48;

	(void)state;
	/* With a level it is a range of one, without it an address. */
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 0), SMMUINV_TG_4K, 2, 31, 32),
			 ranged(nh_va(1, longest), SMMUINV_TG_4K, 2, 0, 1));
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 31, 32),
			 ranged(nh_va(1, longest), SMMUINV_TG_4K, 3, 0, 1)),
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 31, 32),
			 nh_va(1, longest)));
}

static void the_top_of_the_address_space_is_an_end(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	const uint64_t last = 0 - UINT64_C(0x1000);

	(void)state;
	assert_plan(
		p,
		LIST(nh_va(1, last - 0x1000), nh_va(1, last), nh_va(1, 0),
		     nh_va(1, 0x1000)),
		LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 2),
		     ranged(nh_va(1, last - 0x1000), SMMUINV_TG_4K, 0, 0, 2)));
	/* What would wrap ends there, and so is no longer than the other. */
	assert_plan(
		p,
		LIST(ranged(nh_va(1, last), SMMUINV_TG_4K, 0, 4, 32),
		     nh_va(1, last - 0x1000)),
		LIST(ranged(nh_va(1, last - 0x1000), SMMUINV_TG_4K, 0, 0, 2)));
}

static void a_range_is_pages_on_a_host_without(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITHOUT_RANGES);

	(void)state;
	assert_plan(p, LIST(ranged(nh_va(1, 0x4000), SMMUINV_TG_16K, 0, 0, 3)),
		    LIST(nh_va(1, 0x4000), nh_va(1, 0x8000), nh_va(1, 0xc000)));
	assert_plan(
		p,
		LIST(ranged(nh_va(1, 0x4000 | LEAF), SMMUINV_TG_4K, 3, 0, 1)),
		LIST(nh_va(1, 0x4000 | LEAF)));
	assert_plan(p, LIST(ranged(nh_vaa(HIGH), SMMUINV_TG_64K, 0, 1, 1)),
		    LIST(nh_vaa(HIGH), nh_vaa(HIGH + 0x10000)));
}

/* Of the lower half too. A range does not go on in the other half (4.4.1.1). */
static void pages_of_a_range_end_with_its_half(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITHOUT_RANGES);
	static const uint64_t ends[] = { UINT64_C(1) << 63, 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ends); i++)
		assert_plan(p,
			    LIST(ranged(nh_va(1, ends[i] - 0x2000),
					SMMUINV_TG_4K, 0, 0, 4)),
			    LIST(nh_va(1, ends[i] - 0x2000),
				 nh_va(1, ends[i] - 0x1000)));
}

static void addresses_stay_what_they_are_on_a_host_without_ranges(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITHOUT_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(1, 0), nh_va(1, 0x1000));
	assert_plan(p, LIST(nh_va(1, 0), nh_vaa(0), nh_va(1, 0)),
		    LIST(nh_vaa(0)));
}

static void of_a_known_level_it_is_one_page_for_each_entry(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITHOUT_RANGES);

	(void)state;
	assert_plan(p, LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 2)),
		    LIST(nh_va(1, 2 * MIB), nh_va(1, 4 * MIB)));
	assert_plan(p, LIST(ranged(nh_va(1, GIB), SMMUINV_TG_4K, 1, 18, 2)),
		    LIST(nh_va(1, GIB), nh_va(1, 2 * GIB)));
	assert_plan(p, LIST(ranged(nh_va(1, 0), SMMUINV_TG_16K, 2, 11, 2)),
		    LIST(nh_va(1, 0), nh_va(1, 32 * MIB)));
	assert_plan(p, LIST(ranged(nh_va(1, 0), SMMUINV_TG_64K, 2, 13, 2)),
		    LIST(nh_va(1, 0), nh_va(1, 512 * MIB)));
	/* The part of an entry is an entry. */
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 4 * MIB), SMMUINV_TG_4K, 2, 0, 1)),
		    LIST(nh_va(1, 2 * MIB), nh_va(1, 4 * MIB)));
	/* Another level beside it is another range. */
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 4 * MIB), SMMUINV_TG_4K, 3, 0, 2)),
		    LIST(nh_va(1, 2 * MIB), nh_va(1, 4 * MIB),
			 nh_va(1, 4 * MIB + 0x1000)));
}

static void ranges_that_touch_are_pages_only_once(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITHOUT_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0x2000), SMMUINV_TG_4K, 0, 0, 2),
			 ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0, 2)),
		    LIST(nh_va(1, 0x1000), nh_va(1, 0x2000), nh_va(1, 0x3000)));
	assert_int_equal(p->plan.calls.origin[0], 0);
	assert_int_equal(p->plan.calls.origin[2], 0);
}

static void an_unaligned_range_is_rounded_out_to_pages(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITHOUT_RANGES);

	(void)state;
	assert_plan(p, LIST(ranged(nh_va(1, 0x11000), SMMUINV_TG_64K, 3, 0, 1)),
		    LIST(nh_va(1, 0x10000), nh_va(1, 0x20000)));
	/* Of whatever level. */
	assert_plan(
		p,
		LIST(ranged(nh_va(1, 2 * MIB + 0x1000), SMMUINV_TG_4K, 2, 0,
			    2)),
		LIST(nh_va(1, 2 * MIB + 0x1000), nh_va(1, 2 * MIB + 0x2000)));
}

static void beyond_the_threshold_of_a_window_all_goes(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITHOUT_RANGES);
	static struct smmuinv_command pages[PLANNER_PAGES_MAX + 2];

	(void)state;
	fill_pages(pages, PLANNER_PAGES_MAX, nh_va(1, 0), 0x1000);
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0,
				PLANNER_PAGES_MAX)),
		    pages, PLANNER_PAGES_MAX);
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0,
				PLANNER_PAGES_MAX + 1)),
		    LIST(nh_all()));
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0,
				PLANNER_PAGES_MAX + 1),
			 nh_va(1, 0)),
		    LIST(nh_all()));
	/* All ranges of the window together. */
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0,
				PLANNER_PAGES_MAX - 1),
			 ranged(nh_va(1, 0), SMMUINV_TG_4K, 3, 0, 1)),
		    (fill_pages(pages + 1, PLANNER_PAGES_MAX - 1,
				nh_va(1, 0x1000), 0x1000),
		     pages[PLANNER_PAGES_MAX] = pages[0], pages + 1),
		    PLANNER_PAGES_MAX);
	assert_plan(p,
		    LIST(atc(1, 0, 0),
			 ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0,
				PLANNER_PAGES_MAX),
			 nh_va(2, 0),
			 ranged(nh_va(2, 0), SMMUINV_TG_4K, 3, 0, 1),
			 nh_asid(3), cd(1, 0, 0)),
		    LIST(cd(1, 0, 0), nh_all(), atc(1, 0, 0)));
	assert_int_equal(p->plan.calls.origin[1], 1);
	/* Addresses are no pages of ranges, however many. */
	fill_pages(pages, PLANNER_PAGES_MAX + 2, nh_va(1, 0), 0x1000);
	assert_plan(p, pages, PLANNER_PAGES_MAX + 2, pages,
		    PLANNER_PAGES_MAX + 2);
	/* The longest that there is, alone and not. */
	assert_plan(p, LIST(ranged(nh_va(1, 0), SMMUINV_TG_64K, 0, 31, 32)),
		    LIST(nh_all()));
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_64K, 0, 31, 32),
			 nh_va(2, 0)),
		    LIST(nh_all()));
}

static void there_is_room_for_a_full_window_and_the_pages(void **state)
{
	struct planner *p = planner_open_sized(ALL_GRANULES, WITHOUT_RANGES, 4);

	(void)state;
	planner_merged(p, LIST(atc(1, 0, 0), nh_va(1, 0), nh_asid(1),
			       ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0,
				      PLANNER_PAGES_MAX)));
	assert_int_equal(p->plan.calls.count, 3 + PLANNER_PAGES_MAX);
}

/* A head as merge could have left it: it stands for more than its source. */
static void emit_head(struct planner *p, struct plan_run head,
		      struct smmuinv_command source)
{
	head.joined = true;
	p->plan.runs[0] = head;
	p->plan.heads = p->plan.order[1];
	p->plan.heads[0] = 0;
	p->plan.head_count = 1;
	p->plan.breaks = 0;
	smmuinv__plan_emit(&p->plan, &source);
}

/* One after the other, from the first byte to at most a sixteenth too far. */
static void assert_ranges_reach(const struct planner *p,
				const struct plan_run *head)
{
	const struct calls *calls = &p->plan.calls;
	unsigned int granule = planner_entry_log2(head->group & GROUP_TG, 3);
	uint64_t length = ((head->last - head->first) >> granule) + 1;
	uint64_t longest = UINT64_C(32) << p->plan.scale_max;
	uint64_t at = head->first;
	uint64_t sent = 0;
	uint32_t i;

	assert_int_equal(calls->count, (length + longest - 1) / longest);
	for (i = 0; i < calls->count; i++) {
		const struct smmuinv_command *c = &calls->commands[i];
		bool one = !planner_get(c, SMMUINV_FIELD_TG);
		uint64_t units = planner_get(c, SMMUINV_FIELD_NUM) + 1;
		uint64_t scale = planner_get(c, SMMUINV_FIELD_SCALE);

		assert_int_equal(planner_get(c, SMMUINV_FIELD_VA), at);
		assert_true(planner_legal(p, c));
		assert_int_equal(calls->origin[i], head->origin);
		if (!one) {
			assert_int_equal(planner_get(c, SMMUINV_FIELD_TG),
					 head->group & GROUP_TG);
			assert_int_equal(planner_get(c, SMMUINV_FIELD_TTL),
					 head->ttl);
		}
		sent += units << scale;
		at += units << scale << granule;
	}
	assert_true(sent >= length);
	assert_true(sent - length < 1 + length / 16);
}

static void ranges_are_exact_or_less_than_a_sixteenth_longer(void **state)
{
	size_t n = test_iterations(100000);
	struct planner *p = NULL;

	(void)state;
	while (n--) {
		unsigned int tg = 1 + (unsigned int)test_random_below(3);
		unsigned int log2 = planner_entry_log2(tg, 3);
		uint64_t length = 1 + (test_random() >> (24 + log2) >>
				       test_random_below(40 - log2));
		bool leaf = test_chance(50);
		struct plan_run head = {
			.group = GROUP_OF(leaf ? COMMAND_RANK_LEAF :
						 COMMAND_RANK_TABLE,
					  TLBI_SPAN) |
				 GROUP_ONE_ASID |
				 UINT64_C(7) << GROUP_ASID_SHIFT | tg,
			.first = test_random_below(1u << 20) << log2,
			.origin = 3,
			.ttl = (uint8_t)test_random_below(4),
		};

		if (n % 512 == 0 || !p)
			p = planner_open_sized(ALL_GRANULES,
					       test_chance(50) ?
						       WITH_RANGES :
						       WITH_LONG_RANGES,
					       64);
		/* 4.4.1.1: 16K and level 1 only with DS. */
		if (head.ttl == 1)
			head.ttl = 2;
		head.last = head.first + (length << log2) - 1;
		emit_head(p, head, nh_va(7, head.first | leaf));
		assert_ranges_reach(p, &head);
	}
}

/* What key has made an NH_VAA goes down as one, with its range. */
static void the_opcode_is_the_groups(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(nh_va(2, 0x1000), synced(), nh_va(1, 0x5000)),
		    LIST(nh_vaa(0x5000), nh_va(2, 0x1000)));
	assert_plan(p,
		    LIST(nh_asid(2), synced(),
			 ranged(nh_va(1, 0x4000), SMMUINV_TG_4K, 3, 1, 2)),
		    LIST(nh_asid(2),
			 ranged(nh_vaa(0x4000), SMMUINV_TG_4K, 3, 1, 2)));
	p = planner_open(ONLY_4K, WITHOUT_RANGES);
	assert_plan(p,
		    LIST(nh_asid(2), synced(),
			 ranged(nh_va(1, 0x4000), SMMUINV_TG_4K, 0, 0, 2)),
		    LIST(nh_asid(2), nh_vaa(0x4000), nh_vaa(0x5000)));
}

/* One head of each rank in @ranks. */
static void emit_ranks(struct planner *p, uint32_t ranks, uint32_t breaks)
{
	static const struct smmuinv_command commands[COMMAND_RANKS];
	struct plan *plan = &p->plan;
	unsigned int rank;

	plan->heads = plan->order[1];
	plan->head_count = 0;
	plan->breaks = breaks;
	for (rank = 0; rank < COMMAND_RANKS; rank++) {
		if (!(ranks & RANK_BIT(rank)))
			continue;
		plan->heads[plan->head_count++] = rank;
		plan->runs[rank] = (struct plan_run){
			.group = GROUP_OF(rank, TLBI_PLAIN),
			.source = rank,
		};
	}
	smmuinv__plan_emit(plan, commands);
}

/* A break before a rank is between what is below it and what is not. */
static void assert_calls_of(const struct planner *p, uint32_t ranks,
			    uint32_t breaks)
{
	uint32_t ends[COMMAND_RANKS];
	uint32_t n = 0;
	uint32_t count = 0;
	uint32_t between = 0; /* ranks since the last command's */
	unsigned int rank;

	for (rank = 0; rank < COMMAND_RANKS; rank++) {
		between |= RANK_BIT(rank);
		if (!(ranks & RANK_BIT(rank)))
			continue;
		if (count && (breaks & between))
			ends[n++] = count;
		count++;
		between = 0;
	}
	if (count)
		ends[n++] = count;
	planner_assert_ends(p, ends, n);
	assert_int_equal(p->plan.calls.count, count);
}

static void calls_end_where_ranks_ask_for_it_and_nowhere_else(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	uint32_t all = RANK_BIT(COMMAND_RANKS);
	uint32_t ranks;
	uint32_t breaks;

	(void)state;
	for (ranks = 0; ranks < all; ranks++) {
		for (breaks = 0; breaks < all; breaks++) {
			emit_ranks(p, ranks, breaks);
			assert_calls_of(p, ranks, breaks);
		}
	}
}

/* What stands for all TLBIs goes before what the first of them goes before. */
static void everything_is_in_the_call_of_tables(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITHOUT_RANGES);
	const struct smmuinv_command many = ranged(
		nh_va(1, LEAF), SMMUINV_TG_4K, 0, 0, PLANNER_PAGES_MAX + 1);

	(void)state;
	assert_plan(p, LIST(cd(1, 0, LEAF), many, atc(1, 0, 0)),
		    LIST(cd(1, 0, LEAF), nh_all(), atc(1, 0, 0)));
	planner_assert_ends(p, ENDS(2, 3));
	assert_plan(p, LIST(cd(1, 0, LEAF), synced(), many),
		    LIST(cd(1, 0, LEAF), nh_all()));
	planner_assert_ends(p, ENDS(1, 2));
	/* A break between tables and leaves is none any more. */
	assert_plan(p, LIST(cd(1, 0, LEAF), nh_va(1, 0x1000), synced(), many),
		    LIST(cd(1, 0, LEAF), nh_all()));
	planner_assert_ends(p, ENDS(1, 2));
	assert_plan(p, LIST(nh_va(1, 0x1000), synced(), many, cd(1, 0, LEAF)),
		    LIST(cd(1, 0, LEAF), nh_all()));
	planner_assert_ends(p, ENDS(2));
	assert_plan(p, LIST(nh_va(1, 0x1000), synced(), many), LIST(nh_all()));
	planner_assert_ends(p, ENDS(1));
	assert_int_equal(p->plan.calls.origin[0], 0);
	assert_plan(p, LIST(many, nh_va(1, 0x1000)), LIST(nh_all()));
	assert_int_equal(p->plan.calls.origin[0], 0);
}

static void atc_invs_have_calls_of_their_own(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(atc(1, 0, 0), nh_va(1, LEAF), atc(2, 0, 0)),
		    LIST(nh_va(1, LEAF), atc(1, 0, 0), atc(2, 0, 0)));
	planner_assert_ends(p, ENDS(1, 3));
	assert_plan(p, LIST(atc(1, 0, 0), cd_all(1)),
		    LIST(cd_all(1), atc(1, 0, 0)));
	planner_assert_ends(p, ENDS(1, 2));
	ASSERT_UNCHANGED(p, atc(1, 0, 0), atc(2, 0, 0));
	planner_assert_ends(p, ENDS(2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_teardown(test, planner_teardown)
		T(a_page_by_itself_stays_what_it_is),
		T(every_length_up_to_2048_pages_is_one_command),
		T(every_length_that_a_range_can_have_is_one_command),
		T(what_is_longer_than_any_range_is_as_few_as_can_be),
		T(a_range_that_has_one_granule_left_over),
		T(the_top_of_the_address_space_is_an_end),
		T(a_range_is_pages_on_a_host_without),
		T(pages_of_a_range_end_with_its_half),
		T(addresses_stay_what_they_are_on_a_host_without_ranges),
		T(of_a_known_level_it_is_one_page_for_each_entry),
		T(ranges_that_touch_are_pages_only_once),
		T(an_unaligned_range_is_rounded_out_to_pages),
		T(beyond_the_threshold_of_a_window_all_goes),
		T(there_is_room_for_a_full_window_and_the_pages),
		T(ranges_are_exact_or_less_than_a_sixteenth_longer),
		T(the_opcode_is_the_groups),
		T(calls_end_where_ranks_ask_for_it_and_nowhere_else),
		T(everything_is_in_the_call_of_tables),
		T(atc_invs_have_calls_of_their_own),
#undef T
	};

	return cmocka_run_group_tests_name("emit", tests, NULL, NULL);
}
