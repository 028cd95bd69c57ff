/* SPDX-License-Identifier: MIT */
/*
 * Third step of a plan: what is part of something else goes with that, what
 * touches becomes one, and nothing is widened. Sections are those of Arm IHI
 * 0070.
 */
#include "planner.h"

#include <stdlib.h>
#include <string.h>

static void what_is_one_page_apart_is_apart(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000), nh_va(1, 0x3000));
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_va(1, 0x3000), nh_va(1, 0x4000),
			 nh_va(1, 0x6000)),
		    LIST(nh_va(1, 0x1000),
			 ranged(nh_va(1, 0x3000), SMMUINV_TG_4K, 0, 0, 2),
			 nh_va(1, 0x6000)));
}

static void leaf_and_whole_are_apart(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x2000 | LEAF), nh_va(1, 0x1000),
			 nh_va(1, 0x3000 | LEAF)),
		    LIST(nh_va(1, 0x1000), ranged(nh_va(1, 0x2000 | LEAF),
						  SMMUINV_TG_4K, 0, 0, 2)));
}

static void a_leaf_is_under_a_whole_of_its_asid_only(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x3000 | LEAF), nh_va(1, 0x2000),
			 nh_va(1, 0x3000), nh_va(2, 0x3000 | LEAF)),
		    LIST(ranged(nh_va(1, 0x2000), SMMUINV_TG_4K, 0, 0, 2),
			 nh_va(2, 0x3000 | LEAF)));
	assert_int_equal(p->plan.calls.origin[0], 0);
	assert_int_equal(p->plan.calls.origin[1], 3);
	/* Of several wholes, the one that it is in. */
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_va(1, 0x5000), nh_va(1, 0x9000),
			 nh_va(1, 0x1000 | LEAF), nh_va(1, 0x3000 | LEAF),
			 nh_va(1, 0x5000 | LEAF), nh_va(1, 0x9000 | LEAF),
			 nh_va(1, 0xb000 | LEAF)),
		    LIST(nh_va(1, 0x1000), nh_va(1, 0x5000), nh_va(1, 0x9000),
			 nh_va(1, 0x3000 | LEAF), nh_va(1, 0xb000 | LEAF)));
	/* Of each ASID, its own. */
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_va(1, 0x1000 | LEAF),
			 nh_va(2, 0x5000 | LEAF), nh_va(2, 0x5000)),
		    LIST(nh_va(1, 0x1000), nh_va(2, 0x5000)));
}

static void plain_leaf_is_under_plain_whole(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(nh_va(1, 0x1000 | LEAF), nh_va(1, 0x1000)),
		    LIST(nh_va(1, 0x1000)));
	assert_plan(p, LIST(nh_vaa(0x1000), nh_vaa(0x1000 | LEAF)),
		    LIST(nh_vaa(0x1000)));
}

static void nh_va_is_under_nh_vaa(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_va(2, 0x2000 | LEAF),
			 nh_vaa(0x1000), nh_vaa(0x2000)),
		    LIST(ranged(nh_vaa(0x1000), SMMUINV_TG_4K, 0, 0, 2)));
	assert_int_equal(p->plan.calls.origin[0], 0);
	/* What has tables in it is not under what has none. */
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_va(2, 0x1000 | LEAF),
			 nh_vaa(0x1000 | LEAF)),
		    LIST(nh_va(1, 0x1000), nh_vaa(0x1000 | LEAF)));
	assert_plan(p, LIST(nh_vaa(0x1000 | LEAF), nh_vaa(0x1000)),
		    LIST(nh_vaa(0x1000)));
	/* One page more is not. */
	ASSERT_UNCHANGED(p, nh_vaa(0x1000),
			 ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0, 2));
	ASSERT_UNCHANGED(p, nh_vaa(0x2000), nh_va(1, 0x1000));
}

static void plain_nh_va_is_under_plain_nh_vaa(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(nh_va(1, 0x1000), nh_vaa(0x1000)),
		    LIST(nh_vaa(0x1000)));
	assert_plan(p, LIST(nh_va(1, 0x1000 | LEAF), nh_vaa(0x1000)),
		    LIST(nh_vaa(0x1000)));
	assert_plan(p, LIST(nh_va(1, 0x1000 | LEAF), nh_vaa(0x1000 | LEAF)),
		    LIST(nh_vaa(0x1000 | LEAF)));
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000), nh_vaa(0x1000 | LEAF));
	ASSERT_UNCHANGED(p, nh_vaa(0x1000), nh_va(1, 0x2000));
}

static void under_nh_vaa_of_another_granule_is_nothing(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, ranged(nh_vaa(0), SMMUINV_TG_4K, 0, 4, 32),
			 ranged(nh_va(1, 0), SMMUINV_TG_16K, 0, 0, 2));
	ASSERT_UNCHANGED(p, nh_va(1, 0),
			 ranged(nh_vaa(0), SMMUINV_TG_4K, 0, 4, 32));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 2),
			 ranged(nh_va(1, 0x8000), SMMUINV_TG_16K, 0, 0, 2));
}

/* 4.4.1.1: TTL says that only entries of that level need go. */
static void where_two_levels_touch_there_is_any(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 4 * MIB), SMMUINV_TG_4K, 3, 9, 1)),
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 0, 5, 32)));
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 4 * MIB), SMMUINV_TG_4K, 2, 9, 1)),
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 5, 32)));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 6 * MIB), SMMUINV_TG_4K, 3, 9, 1));
	/* Within the other it is no longer, but of any level. */
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 3, 0, 1)),
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 0, 4, 32)));
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 0, 9, 1),
			 ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 3, 0, 1)),
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 0, 9, 1)));
}

/* TG without NUM, SCALE and TTL is reserved: any granule then. */
static void two_levels_of_one_granule_are_an_address(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 0, 1),
			 ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 3, 0, 1)),
		    LIST(nh_va(1, 2 * MIB)));
}

static void a_level_under_nh_vaa_is_that_level_or_any(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);
	const struct smmuinv_command page =
		ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 3, 0, 1);

	(void)state;
	ASSERT_UNCHANGED(p, ranged(nh_vaa(2 * MIB), SMMUINV_TG_4K, 2, 9, 1),
			 page);
	assert_plan(p,
		    LIST(ranged(nh_vaa(2 * MIB), SMMUINV_TG_4K, 3, 9, 1), page),
		    LIST(ranged(nh_vaa(2 * MIB), SMMUINV_TG_4K, 3, 9, 1)));
	assert_plan(p,
		    LIST(ranged(nh_vaa(2 * MIB), SMMUINV_TG_4K, 0, 9, 1), page),
		    LIST(ranged(nh_vaa(2 * MIB), SMMUINV_TG_4K, 0, 9, 1)));
}

/* The next command is one granule further, and much longer than that. */
static void ranges_that_overlap_are_joined_to_the_end_of_both(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	const struct smmuinv_command first =
		ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0, 4);
	const struct smmuinv_command second =
		ranged(nh_va(1, 0x2000), SMMUINV_TG_4K, 0, 0, 4);
	const struct smmuinv_command both =
		ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0, 5);

	(void)state;
	assert_plan(p, LIST(first, second), LIST(both));
	assert_plan(p, LIST(second, first), LIST(both));
	assert_plan(p, LIST(first, first, second, first), LIST(both));
}

static void a_certain_page_joins_ranges_of_its_granule(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 3, 0, 3),
			 nh_va(1, 0x4000)),
		    LIST(ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0, 4)));
	assert_plan(p,
		    LIST(nh_va(1, 0x2000),
			 ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0, 3)),
		    LIST(ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0, 3)));
}

/* Global entries survive NH_ASID (4.4.2.2), and not NH_VA (4.4.2.4). */
static void nh_asid_swallows_nothing_but_itself(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_asid(1), nh_asid(3), nh_asid(2),
			 nh_asid(1), nh_asid(0x102)),
		    LIST(nh_asid(1), nh_asid(2), nh_asid(3), nh_asid(0x102),
			 nh_va(1, 0x1000)));
	assert_int_equal(p->plan.calls.origin[0], 1);
}

static void all_swallows_every_tlbi_and_nothing_else(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(atc(1, 0, 0), nh_va(1, 0x1000),
			 ranged(nh_vaa(0), SMMUINV_TG_4K, 0, 0, 2), nh_asid(1),
			 nh_all(), nh_all(), cd(1, 0, 0)),
		    LIST(cd(1, 0, 0), nh_all(), atc(1, 0, 0)));
	assert_int_equal(p->plan.calls.origin[0], 6);
	assert_int_equal(p->plan.calls.origin[1], 1);
	assert_int_equal(p->plan.calls.origin[2], 0);
	assert_plan(p, LIST(nh_all(), nh_asid(1), nsnh_all()),
		    LIST(nsnh_all()));
	assert_int_equal(p->plan.calls.origin[0], 0);
	/* A stream whose number looks like all is none. */
	ASSERT_UNCHANGED(p, cd_all(0), nh_asid(1));
}

static void cfgi_cd_is_under_cfgi_cd_all_of_its_stream(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(cd(1, 0, 0), cd(1, 5, LEAF), cd_all(1), cd_all(1),
			 cd(2, 0, 0)),
		    LIST(cd_all(1), cd(2, 0, 0)));
	assert_int_equal(p->plan.calls.origin[0], 0);
	assert_int_equal(p->plan.calls.origin[1], 4);
}

/* 4.3.3: Leaf=0 has the level-1 descriptors in it. */
static void cfgi_cd_leaf_is_under_whole_of_its_substream(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(cd(1, 1, LEAF), cd(1, 1, 0), cd(1, 2, LEAF),
			 cd(1, 0, LEAF), cd(1, 0, LEAF), cd(1, 3, LEAF)),
		    LIST(cd(1, 1, 0), cd(1, 0, LEAF), cd(1, 2, LEAF),
			 cd(1, 3, LEAF)));
	ASSERT_UNCHANGED(p, cd(1, 0, 0), cd(1, 0xfffff, 0), cd(2, 0, 0),
			 cd(UINT32_MAX, 0, 0));
}

static void atc_spans_that_are_buddies_are_one(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(atc(1, 0x2000, 0), atc(1, 0x3000, 0)),
		    LIST(atc(1, 0x2000, 1)));
	ASSERT_UNCHANGED(p, atc(1, 0x1000, 0), atc(1, 0x2000, 0));
	ASSERT_UNCHANGED(p, atc(1, 0x2000, 1), atc(1, 0x4000, 0));
	ASSERT_UNCHANGED(p, atc(1, 0, 0), atc(1, 0x2000, 0));
	assert_plan(p,
		    LIST(atc(1, 0x3000, 0), atc(1, 0x1000, 0), atc(1, 0, 0),
			 atc(1, 0x4000, 2), atc(1, 0x2000, 0)),
		    LIST(atc(1, 0, 3)));
	assert_int_equal(p->plan.calls.origin[0], 0);
	assert_plan(p,
		    LIST(atc(1, 0x4000, 2), atc(1, 0x2000, 1),
			 atc(1, 0x1000, 0), atc(1, 0, 0), atc(1, 0x8000, 2)),
		    LIST(atc(1, 0, 3), atc(1, 0x8000, 2)));
	assert_int_equal(p->plan.calls.origin[0], 0);
}

/* Pages in any order, and exactly the spans that they are together. */
static void atc_pages_are_as_few_spans_as_can_be(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);
	static struct smmuinv_command pages[256];

	(void)state;
	fill_pages(pages, 256, atc(1, 0, 0), 0x1000);
	assert_plan(p, pages, 256, LIST(atc(1, 0, 8)));
	assert_plan(
		p, pages + 1, 254,
		LIST(atc(1, 0x1000, 0), atc(1, 0x2000, 1), atc(1, 0x4000, 2),
		     atc(1, 0x8000, 3), atc(1, 0x10000, 4), atc(1, 0x20000, 5),
		     atc(1, 0x40000, 6), atc(1, 0x80000, 6), atc(1, 0xc0000, 5),
		     atc(1, 0xe0000, 4), atc(1, 0xf0000, 3), atc(1, 0xf8000, 2),
		     atc(1, 0xfc000, 1), atc(1, 0xfe000, 0)));
	shuffle(pages, 256);
	assert_plan(p, pages, 256, LIST(atc(1, 0, 8)));
}

static void atc_buddies_end_at_all_there_is(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);
	static struct smmuinv_command spans[53];
	unsigned int i;

	(void)state;
	spans[0] = atc(1, 0, 0);
	for (i = 0; i < 52; i++)
		spans[i + 1] = atc(1, UINT64_C(4096) << i, i);
	assert_plan(p, spans, 53, LIST(atc(1, 0, SMMUINV_ATC_SIZE_ALL)));
	reverse(spans, 53);
	assert_plan(p, spans, 53, LIST(atc(1, 0, SMMUINV_ATC_SIZE_ALL)));
	assert_plan(p, spans + 1, 52, LIST(atc(1, 0, 51)));
	/* All twice is all. */
	assert_plan(p,
		    LIST(atc(1, 0x5000, SMMUINV_ATC_SIZE_ALL),
			 atc(1, 0, SMMUINV_ATC_SIZE_ALL), atc(1, 0x1000, 3)),
		    LIST(atc(1, 0x5000, SMMUINV_ATC_SIZE_ALL)));
}

/* 4.5.1: the address is aligned down to the size. */
static void a_smaller_atc_span_is_part_of_a_larger(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(atc(1, 0x13000, 0), atc(1, 0x1f000, 4)),
		    LIST(atc(1, 0x1f000, 4)));
	assert_int_equal(p->plan.calls.origin[0], 0);
	assert_plan(p, LIST(atc(1, 0x10000, 0), atc(1, 0x1f000, 4)),
		    LIST(atc(1, 0x1f000, 4)));
	assert_int_equal(p->plan.calls.origin[0], 0);
	assert_plan(p, LIST(atc(1, 0x1f000, 4), atc(1, 0x1f000, 0)),
		    LIST(atc(1, 0x1f000, 4)));
	/* What was joined is part of a larger one, too. */
	assert_plan(p,
		    LIST(atc(1, 0x10000, 0), atc(1, 0x11000, 0),
			 atc(1, 0x10000, 4), atc(1, 0, 4)),
		    LIST(atc(1, 0, 5)));
}

static void atc_spans_of_others_are_apart(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, atc(1, 0, 0), tagged(atc(1, 0x1000, 0), 0, false),
			 tagged(atc(1, 0x1000, 0), 1, false),
			 tagged(atc(1, 0x1000, 0), 0xfffff, false),
			 tagged(atc(1, 0x1000, 0), 1, true), atc(2, 0x1000, 0),
			 atc(UINT32_MAX, 0x1000, 0));
	assert_plan(p,
		    LIST(tagged(atc(1, 0, 0), 1, false),
			 tagged(atc(1, 0x1000, 0), 1, false),
			 tagged(atc(1, 0, 0), 1, true),
			 tagged(atc(1, 0x1000, 0), 1, true)),
		    LIST(tagged(atc(1, 0, 1), 1, false),
			 tagged(atc(1, 0, 1), 1, true)));
	/* On a host without ranges, bits of an address are no granule. */
	planner_close();
	p = planner_open(ALL_GRANULES, WITHOUT_RANGES);
	ASSERT_UNCHANGED(p, atc(1, 0x1000, 52));
}

/* However far apart, and beside however many others; in any order. */
static void assert_said_once(struct planner *p,
			     const struct smmuinv_command *once, uint32_t n)
{
	static struct smmuinv_command twice[PLANNER_CAPACITY];

	memcpy(twice, once, n * sizeof(*twice));
	memcpy(twice + n, once, n * sizeof(*twice));
	assert_plan(p, twice, 2 * n, once, n);
	shuffle(twice, 2 * n);
	assert_plan(p, twice, 2 * n, once, n);
}

static void what_is_said_again_is_said_once(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);
	static struct smmuinv_command once[PLANNER_CAPACITY / 2];
	uint32_t n = ARRAY_SIZE(once);
	uint32_t i;

	(void)state;
	fill_pages(once, n, nh_va(1, 0), 0x1000);
	assert_said_once(p, once, n);
	fill_pages(once, n, ranged(nh_va(1, 0), SMMUINV_TG_4K, 3, 0, 1),
		   0x2000);
	assert_said_once(p, once, n);
	fill_pages(once, n, atc(1, 0, 0), 0x2000);
	assert_said_once(p, once, n);
	for (i = 0; i < n; i++)
		once[i] = nh_asid((uint16_t)i);
	assert_said_once(p, once, n);
	for (i = 0; i < n; i++)
		once[i] = cd(1, i, 0);
	assert_said_once(p, once, n);
}

/* With another ASID's tables before it, a leaf goes after all tables. */
static void a_leaf_that_must_go_last_is_under_no_tables(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_va(2, 0x5000), synced(),
			 nh_va(1, 0x1000 | LEAF)),
		    LIST(nh_va(1, 0x1000), nh_va(2, 0x5000),
			 nh_va(1, 0x1000 | LEAF)));
	/* Except under those of every ASID: one command removes both. */
	assert_plan(p, LIST(nh_vaa(0x1000), synced(), nh_va(1, 0x1000 | LEAF)),
		    LIST(nh_vaa(0x1000)));
	/* Among leaves there is no such order. */
	assert_plan(p,
		    LIST(nh_va(2, 0x5000), synced(), nh_vaa(0x1000 | LEAF),
			 nh_va(1, 0x1000 | LEAF)),
		    LIST(nh_va(2, 0x5000), nh_vaa(0x1000 | LEAF)));
}

/*
 * Random windows: the heads against the runs that they were made from.
 */

#define RUNS_MAX 64u

struct merging {
	struct planner *p;
	struct plan_run runs[RUNS_MAX]; /* before */
	uint32_t count;
};

static bool is_of_tlbi(const struct plan_run *run)
{
	return GROUP_RANK(run->group) == COMMAND_RANK_TABLE ||
	       GROUP_RANK(run->group) == COMMAND_RANK_LEAF;
}

static bool is_span(const struct plan_run *run)
{
	return is_of_tlbi(run) && GROUP_KIND(run->group) == TLBI_SPAN;
}

/* Everything of the group but the rank and whose ASID it is. */
static uint64_t aspects_of(const struct plan_run *run)
{
	uint64_t ranks = UINT64_C(7) << GROUP_RANK_SHIFT;

	return run->group & ~(ranks | GROUP_ONE_ASID | GROUP_ASID);
}

static bool reaches_tlbi(const struct merging *m, const struct plan_run *head,
			 const struct plan_run *run)
{
	uint64_t whose = GROUP_ONE_ASID | GROUP_ASID;

	if (GROUP_KIND(head->group) == TLBI_EVERYTHING)
		return GROUP_KIND(run->group) != TLBI_EVERYTHING ||
		       head->first <= run->first;
	if (GROUP_KIND(head->group) != GROUP_KIND(run->group))
		return false;
	if (GROUP_KIND(head->group) == TLBI_ASID)
		return head->first == run->first;
	if ((head->group & GROUP_ONE_ASID) &&
	    (head->group & whose) != (run->group & whose))
		return false;
	if (GROUP_RANK(head->group) > GROUP_RANK(run->group))
		return false;
	if (m->p->plan.leaves_last && (run->group & GROUP_ONE_ASID) &&
	    GROUP_RANK(head->group) != GROUP_RANK(run->group) &&
	    (head->group & GROUP_ONE_ASID))
		return false;
	return aspects_of(head) == aspects_of(run) &&
	       head->first <= run->first && run->last <= head->last &&
	       (!head->ttl || head->ttl == run->ttl);
}

static bool reaches_cfgi(const struct plan_run *head,
			 const struct plan_run *run)
{
	return GROUP_RANK(head->group) <= GROUP_RANK(run->group) &&
	       (uint32_t)head->group == (uint32_t)run->group &&
	       head->first <= run->first && run->last <= head->last;
}

static bool reaches(const struct merging *m, const struct plan_run *head,
		    const struct plan_run *run)
{
	if (is_of_tlbi(head) != is_of_tlbi(run))
		return false;
	if (is_of_tlbi(head))
		return reaches_tlbi(m, head, run);
	if (GROUP_RANK(run->group) != COMMAND_RANK_ATC)
		return GROUP_RANK(head->group) != COMMAND_RANK_ATC &&
		       reaches_cfgi(head, run);
	return head->group == run->group && head->first <= run->first &&
	       run->last <= head->last;
}

/* Some head has all of it, and knows that it stands for it. */
static void assert_reached(const struct merging *m, const struct plan_run *run)
{
	const struct plan *plan = &m->p->plan;
	uint32_t i;

	for (i = 0; i < plan->head_count; i++) {
		const struct plan_run *head = &plan->runs[plan->heads[i]];

		if (reaches(m, head, run) && head->origin <= run->origin)
			return;
	}
	fail_msg("nothing stands for %s",
		 test_text(&m->p->commands[run->source]));
}

/*
 * Runs of the head's group reach from @first to @last without a gap; false if
 * none reaches @first.
 */
static bool reach_from(const struct merging *m, const struct plan_run *head,
		       uint64_t first, uint64_t *last)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < m->count; i++) {
		const struct plan_run *run = &m->runs[i];

		if (run->group != head->group || run->first > first ||
		    run->last < first)
			continue;
		if (!any || run->last > *last)
			*last = run->last;
		any = true;
	}
	return any;
}

/* Each of its bytes is in a run of its group. */
static void assert_not_widened(const struct merging *m,
			       const struct plan_run *head)
{
	uint64_t first = head->first;
	uint64_t last = 0;

	do {
		assert_true(reach_from(m, head, first, &last));
		first = last + 1;
	} while (last < head->last);
}

static void assert_merged(const struct merging *m)
{
	const struct plan *plan = &m->p->plan;
	uint32_t i;

	for (i = 0; i < m->count; i++)
		assert_reached(m, &m->runs[i]);
	for (i = 0; i < plan->head_count; i++) {
		const struct plan_run *head = &plan->runs[plan->heads[i]];

		if (i)
			assert_true(plan_before(&plan->runs[plan->heads[i - 1]],
						head));
		if (is_span(head) ||
		    GROUP_RANK(head->group) == COMMAND_RANK_ATC)
			assert_not_widened(m, head);
		if (GROUP_RANK(head->group) == COMMAND_RANK_ATC &&
		    head->log2 < 64)
			assert_int_equal(head->last - head->first,
					 (UINT64_C(1) << head->log2) - 1);
	}
}

static struct smmuinv_command random_address(void)
{
	uint64_t va = test_random_below(24) << 12;
	uint64_t leaf = test_random_below(2);
	unsigned int tg = 1 + (unsigned int)test_random_below(2);
	unsigned int ttl = (unsigned int)test_random_below(2) * 3;
	struct smmuinv_command c =
		test_chance(70) ?
			nh_va((uint16_t)test_random_below(3), va | leaf) :
			nh_vaa(va | leaf);

	if (test_chance(50))
		return c;
	return ranged(c, tg, ttl, (unsigned int)test_random_below(3),
		      2 + (unsigned int)test_random_below(3));
}

static struct smmuinv_command random_atc(void)
{
	unsigned int size = (unsigned int)test_random_below(4);
	uint32_t sid = (uint32_t)test_random_below(2);
	struct smmuinv_command c =
		atc(sid, test_random_below(32) << 12,
		    test_chance(3) ? SMMUINV_ATC_SIZE_ALL : size);

	return test_chance(70) ? c :
				 tagged(c, (uint32_t)test_random_below(2),
					test_chance(30));
}

static struct smmuinv_command random_letter(void)
{
	uint32_t sid = (uint32_t)test_random_below(3);
	uint64_t kind = test_random_below(100);

	if (kind < 60)
		return random_address();
	if (kind < 80)
		return random_atc();
	if (kind < 84)
		return nh_asid((uint16_t)test_random_below(3));
	if (kind < 85)
		return test_chance(50) ? nh_all() : nsnh_all();
	if (kind < 94)
		return cd(sid, (uint32_t)test_random_below(3),
			  test_random_below(2));
	return kind < 97 ? cd_all(sid) : synced();
}

static void heads_stand_for_all_runs_and_reach_no_more(void **state)
{
	static struct merging m;
	size_t n = test_iterations(30000);
	struct smmuinv_command commands[RUNS_MAX];

	(void)state;
	while (n--) {
		uint32_t count = 1 + (uint32_t)test_random_below(RUNS_MAX);
		struct plan_window window;
		const uint32_t *sorted;
		uint32_t i;

		if (n % 256 == 0 || !m.p)
			m.p = planner_open_sized(
				test_chance(50) ? ONLY_4K : ALL_GRANULES,
				test_chance(50) ? WITH_RANGES : WITHOUT_RANGES,
				RUNS_MAX);
		for (i = 0; i < count; i++)
			commands[i] = random_letter();
		window = planner_window(m.p, commands, count);
		smmuinv__plan_key(&m.p->plan, &window);
		m.count = m.p->plan.run_count;
		memcpy(m.runs, m.p->plan.runs, m.count * sizeof(*m.runs));
		sorted = smmuinv__plan_sort(&m.p->plan);
		smmuinv__plan_merge(&m.p->plan, sorted);
		assert_merged(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_teardown(test, planner_teardown)
		T(what_is_one_page_apart_is_apart),
		T(leaf_and_whole_are_apart),
		T(a_leaf_is_under_a_whole_of_its_asid_only),
		T(plain_leaf_is_under_plain_whole),
		T(nh_va_is_under_nh_vaa),
		T(plain_nh_va_is_under_plain_nh_vaa),
		T(under_nh_vaa_of_another_granule_is_nothing),
		T(where_two_levels_touch_there_is_any),
		T(two_levels_of_one_granule_are_an_address),
		T(a_level_under_nh_vaa_is_that_level_or_any),
		T(ranges_that_overlap_are_joined_to_the_end_of_both),
		T(a_certain_page_joins_ranges_of_its_granule),
		T(nh_asid_swallows_nothing_but_itself),
		T(all_swallows_every_tlbi_and_nothing_else),
		T(cfgi_cd_is_under_cfgi_cd_all_of_its_stream),
		T(cfgi_cd_leaf_is_under_whole_of_its_substream),
		T(atc_spans_that_are_buddies_are_one),
		T(atc_pages_are_as_few_spans_as_can_be),
		T(atc_buddies_end_at_all_there_is),
		T(a_smaller_atc_span_is_part_of_a_larger),
		T(atc_spans_of_others_are_apart),
		T(what_is_said_again_is_said_once),
		T(a_leaf_that_must_go_last_is_under_no_tables),
		T(heads_stand_for_all_runs_and_reach_no_more),
#undef T
	};

	return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
