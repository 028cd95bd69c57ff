/* SPDX-License-Identifier: MIT */
/*
 * First step of a plan: what each command reaches, and what order needs.
 * Sections are those of Arm IHI 0070.
 */
#include "planner.h"

#include <stdlib.h>
#include <string.h>

#include "spec.h"

static uint64_t bytes_of(unsigned int tg)
{
	return UINT64_C(1) << planner_entry_log2(tg, 3);
}

/* In whatever order they come. */
static void assert_512_are_one(struct planner *p, struct smmuinv_command first,
			       unsigned int tg)
{
	static struct smmuinv_command pages[512];
	const struct smmuinv_command all = ranged(first, tg, 0, 4, 32);

	fill_pages(pages, 512, first, bytes_of(tg));
	assert_plan(p, pages, 512, &all, 1);
	assert_int_equal(p->plan.calls.origin[0], 0);
	reverse(pages, 512);
	assert_plan(p, pages, 512, &all, 1);
	assert_int_equal(p->plan.calls.origin[0], 0);
	shuffle(pages, 512);
	assert_plan(p, pages, 512, &all, 1);
	assert_int_equal(p->plan.calls.origin[0], 0);
}

static void pages_of_the_one_granule_shown_are_one_range(void **state)
{
	unsigned int tg;

	(void)state;
	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		struct planner *p = planner_open(1u << (tg - 1), WITH_RANGES);

		assert_512_are_one(p, nh_va(0, 0), tg);
		assert_512_are_one(p, nh_va(0xffff, HIGH | LEAF), tg);
		assert_512_are_one(p, nh_vaa(GIB), tg);
		assert_512_are_one(p, nh_vaa(HIGH + GIB + LEAF), tg);
		/* The last of each half. */
		assert_512_are_one(p, nh_va(7, BIT_52 - 512 * bytes_of(tg)),
				   tg);
		assert_512_are_one(p, nh_va(7, 0 - 512 * bytes_of(tg)), tg);
		planner_close();
	}
}

static void pages_of_an_uncertain_granule_stay_what_they_are(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(3, 0), nh_va(3, 0x1000));
	ASSERT_UNCHANGED(p, nh_va(1, HIGH), nh_va(1, HIGH + 0x1000));
	ASSERT_UNCHANGED(p, nh_vaa(0), nh_vaa(0x1000));
	ASSERT_UNCHANGED(p, nh_va(1, BIT_55), nh_va(1, BIT_55 + 0x1000));
}

/* Anywhere in its granule, an address is that granule's. */
static void the_middle_of_a_granule_is_its_granule(void **state)
{
	struct planner *p = planner_open(ONLY_64K, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(nh_va(1, 0x1f000), nh_va(1, 0x11000)),
		    LIST(nh_va(1, 0x1f000)));
	assert_plan(p, LIST(nh_va(1, 0x1f000), nh_va(1, 0x20000)),
		    LIST(ranged(nh_va(1, 0x10000), SMMUINV_TG_64K, 0, 0, 2)));
	assert_plan(p, LIST(nh_va(1, 0x2f000), nh_va(1, 0x1f000)),
		    LIST(ranged(nh_va(1, 0x10000), SMMUINV_TG_64K, 0, 0, 2)));
}

static void an_unaligned_range_goes_as_it_is(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_LONG_RANGES);
	const struct smmuinv_command blocks =
		ranged(nh_va(1, 2 * MIB + 0x1000), SMMUINV_TG_4K, 2, 9, 1);

	(void)state;
	ASSERT_UNCHANGED(p, blocks);
	assert_plan(p, LIST(blocks, blocks), LIST(blocks));
	ASSERT_UNCHANGED(p,
			 ranged(nh_va(1, GIB + MIB), SMMUINV_TG_4K, 1, 9, 1));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, MIB), SMMUINV_TG_16K, 1, 9, 1));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 2));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 32 * GIB), SMMUINV_TG_16K, 1, 0, 1),
			 ranged(nh_va(1, 32 * GIB), SMMUINV_TG_64K, 1, 0, 1));
	/* Others of the same place are something else. */
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 2),
			 ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 3));
	ASSERT_UNCHANGED(p, nh_vaa(0x11000),
			 ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 2));
	ASSERT_UNCHANGED(p, ranged(nh_vaa(0x11000), SMMUINV_TG_16K, 0, 0, 2),
			 ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 3));
	ASSERT_UNCHANGED(p, nh_va(1, 0x11000),
			 ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 2, 0, 1));
	assert_plan(
		p,
		LIST(ranged(nh_va(1, 0x11000 | LEAF), SMMUINV_TG_16K, 0, 0, 2),
		     ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 2)),
		LIST(ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 2)));
}

static void an_aligned_range_is_aligned_to_its_level(void **state)
{
	/* What an entry maps (4.4.1.1), by granule and level. */
	static const uint64_t maps[4][4] = {
		{ 0 },
		{ 4 * KIB, GIB, 2 * MIB, 4 * KIB },
		{ 16 * KIB, 64 * GIB, 32 * MIB, 16 * KIB },
		{ 64 * KIB, 4 * KIB * GIB, 512 * MIB, 64 * KIB },
	};
	unsigned int tg;
	unsigned int ttl;

	(void)state;
	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		for (ttl = 0; ttl <= 3; ttl++) {
			struct planner *p =
				planner_open(ALL_GRANULES, WITH_LONG_RANGES);
			uint64_t entry = maps[tg][ttl];
			const struct smmuinv_command next =
				ranged(nh_va(1, entry), tg, ttl, 0, 2);
			const struct smmuinv_command askew =
				ranged(nh_va(1, entry / 2), tg, ttl, 0, 2);

			/* It is known to be a part, or not known at all. */
			assert_plan(p, LIST(next, next), LIST(next));
			assert_plan(p,
				    LIST(next,
					 ranged(nh_vaa(entry), tg, ttl, 0, 4)),
				    LIST(ranged(nh_vaa(entry), tg, ttl, 0, 4)));
			if (entry > 4 * KIB)
				ASSERT_UNCHANGED(
					p, askew,
					ranged(nh_vaa(0), tg, ttl, 9, 32));
			planner_close();
		}
	}
}

/* So nothing grows over the border between the halves, wherever that is. */
static void what_is_in_no_half_is_joined_with_nothing(void **state)
{
	static const uint64_t borders[] = { BIT_55, 2 * BIT_55,
					    UINT64_C(1) << 63,
					    UINT64_C(0xff80000000000000) };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
		uint64_t b = borders[i];

		ASSERT_UNCHANGED(p, nh_va(1, b - 0x2000), nh_va(1, b - 0x1000),
				 nh_va(1, b), nh_va(1, b + 0x1000));
		assert_plan(p, LIST(nh_va(1, b), nh_va(1, b - 0x1000)),
			    LIST(nh_va(1, b - 0x1000), nh_va(1, b)));
		planner_close();
	}
}

static void assert_alone_out_of_range(struct planner *p, uint64_t va,
				      uint64_t upper)
{
	const uint64_t next = va + 4 * KIB;
	const struct smmuinv_command alone[] = {
		nh_va(1, va),
		nh_va(1, next),
		nh_vaa(va | LEAF),
		nh_vaa(next | LEAF),
		ranged(nh_va(2, va), SMMUINV_TG_4K, 0, 0, 32),
		nh_va(2, next + 4 * KIB),
	};

	planner_merged(p, alone, ARRAY_SIZE(alone));
	assert_int_equal(p->plan.calls.count, ARRAY_SIZE(alone));
	/* Where both are in range they go together. */
	assert_plan(p, LIST(nh_va(1, upper), nh_va(1, upper + 4 * KIB)),
		    LIST(ranged(nh_va(1, upper), SMMUINV_TG_4K, 0, 0, 2)));
}

/* 4.4.2, 4.1.7: it may be lost, with all that is joined to it. */
static void an_address_out_of_range_takes_no_other_along(void **state)
{
	struct smmuinv_features guest = test_features_full();
	uint32_t vax;
	uint32_t i;

	(void)state;
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN16K, 0);
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN64K, 0);
	for (vax = 0; vax < 2; vax++) {
		const uint64_t upper = UINT64_MAX << (48 + 4 * vax);
		const uint64_t out[] = { upper - 4 * KIB, upper - 64 * KIB,
					 ~upper + 1 };
		struct planner p;

		spec_feature_set(&guest, SMMUINV_FEATURE_VAX, vax);
		planner_init(&p, &guest, &guest, 64, PLANNER_PAGES_MAX);
		for (i = 0; i < ARRAY_SIZE(out); i++)
			assert_alone_out_of_range(&p, out[i], upper);
		planner_free(&p);
	}
}

static void a_window_remembers_nothing_of_the_one_before(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000), nh_va(2, 0x5000));
	ASSERT_UNCHANGED(p, nh_va(1, 0x3000), nh_va(2, 0x5000));
	ASSERT_UNCHANGED(p, nh_va(2, 0x5000));
	ASSERT_UNCHANGED(p, nh_va(2, 0x5000), nh_va(3, 0x1000),
			 nh_va(3, 0x2000));
}

/* Another one of the same page, once it has grown. */
static void a_run_that_is_begun_again_keeps_what_it_had(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0), nh_va(1, 0x1000), nh_va(1, 0x2000),
			 nh_va(1, 0), nh_va(1, 0x1000)),
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 3)));
	assert_plan(p,
		    LIST(nh_va(1, 0), nh_va(1, 0x1000), nh_va(1, 0),
			 nh_va(1, 0x1000), nh_va(1, 0x2000), nh_va(2, 0x3000)),
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 3),
			 nh_va(2, 0x3000)));
}

/*
 * Runs
 */

/* The runs of a window, which are in plan.runs. */
static uint32_t key(struct planner *p, const struct smmuinv_command *commands,
		    uint32_t count)
{
	const struct plan_window window = planner_window(p, commands, count);

	smmuinv__plan_key(&p->plan, &window);
	return p->plan.run_count;
}

static struct plan_run key_one(struct planner *p,
			       struct smmuinv_command command)
{
	assert_int_equal(key(p, &command, 1), 1);
	assert_int_equal(p->plan.keyed, 1);
	assert_int_equal(p->plan.runs[0].source, 0);
	assert_int_equal(p->plan.runs[0].origin, 0);
	assert_false(p->plan.runs[0].joined);
	return p->plan.runs[0];
}

static void assert_run(struct planner *p, struct smmuinv_command command,
		       uint64_t group, uint64_t first, uint64_t last)
{
	struct plan_run run = key_one(p, command);

	assert_int_equal(run.group, group);
	assert_int_equal(run.first, first);
	assert_int_equal(run.last, last);
	assert_int_equal(run.ttl, 0);
}

#define CD_TABLE GROUP_OF(COMMAND_RANK_CD_TABLE, 0)
#define CD_LEAF  GROUP_OF(COMMAND_RANK_CD, 0)
#define ATC      GROUP_OF(COMMAND_RANK_ATC, 0)
#define TABLE(k) GROUP_OF(COMMAND_RANK_TABLE, k)
#define LAST(k)  GROUP_OF(COMMAND_RANK_LEAF, k)
#define OF(asid) (GROUP_ONE_ASID | (uint64_t)(asid) << GROUP_ASID_SHIFT)

static void each_command_is_a_run_of_what_it_reaches(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_run(p, cd_all(UINT32_MAX), CD_TABLE | UINT32_MAX, 0, UINT64_MAX);
	assert_run(p, cd(3, 0, 0), CD_TABLE | 3, 0x1000, 0x1001);
	assert_run(p, cd(3, 0xfffff, 0), CD_TABLE | 3, 0x100000000,
		   0x100000001);
	assert_run(p, cd(3, 1, LEAF), CD_LEAF | 3, 0x2001, 0x2001);
	assert_run(p, nsnh_all(), TABLE(TLBI_EVERYTHING), 0, 0);
	assert_run(p, nh_all(), TABLE(TLBI_EVERYTHING), 1, 0);
	assert_run(p, nh_asid(0xabcd), TABLE(TLBI_ASID), 0xabcd, 0);
	assert_run(p, nh_va(0xabcd, 0x3000),
		   TABLE(TLBI_SPAN) | OF(0xabcd) | SMMUINV_TG_4K, 0x3000,
		   0x3fff);
	assert_run(p, nh_va(0, HIGH | LEAF),
		   LAST(TLBI_SPAN) | OF(0) | SMMUINV_TG_4K, HIGH, HIGH + 0xfff);
	assert_run(p, nh_vaa(0x3000), TABLE(TLBI_SPAN) | SMMUINV_TG_4K, 0x3000,
		   0x3fff);
	assert_run(p, nh_vaa(0x3000 | LEAF), LAST(TLBI_SPAN) | SMMUINV_TG_4K,
		   0x3000, 0x3fff);
	p = planner_open(ALL_GRANULES, WITH_RANGES);
	assert_run(p, nh_va(9, 0x3000), TABLE(TLBI_PLAIN) | OF(9), 0x3000,
		   0x3001);
	assert_run(p, nh_vaa(0x3000 | LEAF), LAST(TLBI_PLAIN), 0x3001, 0x3001);
}

static void an_atc_inv_is_a_span_of_its_size(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	const uint64_t sid = UINT64_C(0xfffffffe);
	unsigned int size;

	(void)state;
	for (size = 0; size <= SMMUINV_ATC_SIZE_ALL; size++) {
		uint64_t rest = size == 52 ? UINT64_MAX :
					     (UINT64_C(0x1000) << size) - 1;
		uint64_t va = UINT64_C(0x123456789abcd000);

		assert_run(p, atc((uint32_t)sid, va, size), ATC | sid << 22,
			   va & ~rest, va | rest);
		assert_int_equal(p->plan.runs[0].log2, 12 + size);
	}
	assert_run(p, tagged(atc(1, 0, 0), 0xfffff, false),
		   ATC | 1 << 22 | 1 << 21 | 0xfffff, 0, 0xfff);
	assert_run(p, tagged(atc(1, 0, 0), 0xfffff, true),
		   ATC | 1 << 22 | 1 << 21 | 1 << 20 | 0xfffff, 0, 0xfff);
	assert_run(p, atc(1, 0, 0), ATC | 1 << 22, 0, 0xfff);
}

/* Wide enough for the end of any range. */
__extension__ typedef unsigned __int128 uint128;

static uint128 rounded(uint128 value, uint64_t granule)
{
	return (value + granule - 1) / granule * granule;
}

/* 4.4.1.1: what a range reaches, with numbers that do not overflow. */
static void assert_run_of_range(struct planner *p, uint64_t va, unsigned int tg,
				unsigned int ttl, unsigned int scale,
				unsigned int units)
{
	struct smmuinv_command c = ranged(nh_va(1, va), tg, ttl, scale, units);
	uint128 end = (uint128)va +
		      bytes_of(tg) * units * (uint128)(UINT64_C(1) << scale);
	uint128 half = (uint128)(va | INT64_MAX) + 1;
	bool aligned =
		va % (UINT64_C(1) << planner_entry_log2(tg, ttl ? ttl : 3)) ==
		0;
	struct plan_run run = { .ttl = 9 };

	end = rounded(end, bytes_of(tg));
	if (end > half)
		end = half;
	smmuinv__plan_run_of_range(&run, &p->plan, test_dw0(&c), test_dw1(&c));
	assert_int_equal(run.first, va / bytes_of(tg) * bytes_of(tg));
	assert_int_equal(run.last, (uint64_t)(end - 1));
	assert_int_equal(run.ttl, aligned ? ttl : 0);
	assert_int_equal(run.group,
			 TABLE(TLBI_SPAN) | OF(1) | tg |
				 (p->plan.ril ? 0u : (uint32_t)run.ttl << 2));
}

static void a_range_reaches_its_granules_up_to_the_end_of_its_half(void **state)
{
	size_t n = test_iterations(200000);
	struct planner *p = NULL;

	(void)state;
	while (n--) {
		uint64_t va = test_random_edge() & ~UINT64_C(0xfff);
		unsigned int bits = (unsigned int)test_random_below(40);

		if (n % 4096 == 0 || !p)
			p = planner_open(ALL_GRANULES,
					 test_chance(50) ? WITH_LONG_RANGES :
							   WITHOUT_RANGES);
		if (test_chance(50))
			va &= UINT64_MAX << bits;
		assert_run_of_range(p, va,
				    1 + (unsigned int)test_random_below(3),
				    (unsigned int)test_random_below(4),
				    (unsigned int)test_random_below(40),
				    1 + (unsigned int)test_random_below(32));
	}
}

/* Two commands are of one group only if they differ in nothing else. */
static void groups_are_apart_in_all_but_the_address(void **state)
{
	const struct smmuinv_command others[] = {
		nh_va(1, 0x4000),
		nh_va(2, 0x4000),
		nh_va(0x101, 0x4000),
		nh_va(0, 0x4000),
		nh_va(1, 0x4000 | LEAF),
		nh_vaa(0x4000),
		nh_vaa(0x4000 | LEAF),
		ranged(nh_va(1, 0x4000), SMMUINV_TG_16K, 0, 0, 2),
		ranged(nh_vaa(0x4000), SMMUINV_TG_16K, 0, 0, 2),
		ranged(nh_va(1, 0x10000), SMMUINV_TG_64K, 0, 0, 2),
		ranged(nh_va(1, 0x14000), SMMUINV_TG_64K, 0, 0, 2),
		ranged(nh_va(1, 0x14000), SMMUINV_TG_64K, 0, 0, 3),
		ranged(nh_va(1, 0x14000), SMMUINV_TG_64K, 0, 1, 2),
		nh_asid(1),
		nh_all(),
		cd_all(1),
		cd_all(2),
		cd(1, 0, LEAF),
		atc(1, 0x4000, 0),
		atc(2, 0x4000, 0),
		tagged(atc(1, 0x4000, 0), 0, false),
		tagged(atc(1, 0x4000, 0), 1, false),
		tagged(atc(1, 0x4000, 0), 0, true),
	};
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		uint64_t group = key_one(p, others[i]).group;

		for (j = 0; j < i; j++)
			assert_true(key_one(p, others[j]).group != group);
	}
}

/* On a host without ranges a level that is lost costs pages. */
static void levels_are_apart_only_without_ranges(void **state)
{
	const struct smmuinv_command two =
		ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 1);
	const struct smmuinv_command three =
		ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 3, 9, 1);
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_int_equal(key_one(p, two).group, key_one(p, three).group);
	assert_int_equal(key_one(p, two).ttl, 2);
	p = planner_open(ALL_GRANULES, WITHOUT_RANGES);
	assert_true(key_one(p, two).group != key_one(p, three).group);
}

/* Which granule is certain, by what the guest was shown. */
static void aarch32_tables_make_4k_possible(void **state)
{
	static const struct {
		unsigned int shown;
		uint32_t ttf; /* 1: AArch32, 2: AArch64, 3: both */
		uint8_t granule;
	} cases[] = {
		{ ONLY_4K, 2, SMMUINV_TG_4K },
		{ ONLY_4K, 3, SMMUINV_TG_4K },
		{ ONLY_16K, 2, SMMUINV_TG_16K },
		{ ONLY_16K, 3, SMMUINV_TG_ANY },
		{ ONLY_64K, 2, SMMUINV_TG_64K },
		{ ONLY_64K, 3, SMMUINV_TG_ANY },
		{ ONLY_4K | ONLY_64K, 2, SMMUINV_TG_ANY },
		{ ONLY_16K | ONLY_64K, 2, SMMUINV_TG_ANY },
		{ 0, 2, SMMUINV_TG_ANY },
		{ 0, 1, SMMUINV_TG_4K },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct smmuinv_features guest = test_features_full();
		struct plan plan;

		spec_feature_set(&guest, SMMUINV_FEATURE_GRAN4K,
				 cases[i].shown & 1);
		spec_feature_set(&guest, SMMUINV_FEATURE_GRAN16K,
				 cases[i].shown >> 1 & 1);
		spec_feature_set(&guest, SMMUINV_FEATURE_GRAN64K,
				 cases[i].shown >> 2 & 1);
		spec_feature_set(&guest, SMMUINV_FEATURE_TTF, cases[i].ttf);
		assert_int_equal(smmuinv__plan_init(&plan, 1, &guest, 1), 0);
		assert_int_equal(plan.granule, cases[i].granule);
		smmuinv__plan_free(&plan);
	}
}

/*
 * Growth
 */

static void pages_in_sequence_are_one_run_at_once(void **state)
{
	static struct smmuinv_command pages[PLANNER_CAPACITY];
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);

	(void)state;
	fill_pages(pages, PLANNER_CAPACITY, nh_va(1, HIGH | LEAF), 0x1000);
	assert_int_equal(key(p, pages, PLANNER_CAPACITY), 1);
	assert_int_equal(p->plan.keyed, PLANNER_CAPACITY);
	assert_int_equal(p->plan.runs[0].first, HIGH);
	assert_int_equal(p->plan.runs[0].last,
			 HIGH + PLANNER_CAPACITY * UINT64_C(0x1000) - 1);
	assert_true(p->plan.runs[0].joined);
	/* The window ends, whatever lies after it. */
	smmuinv__plan_key(&p->plan,
			  &(struct plan_window){ .commands = p->commands,
						 .marks = p->marks,
						 .count = 5,
						 .slot = 1 });
	assert_int_equal(p->plan.run_count, 1);
	assert_int_equal(p->plan.runs[0].last, HIGH + 0x4fff);
	/* Not backwards, and not over a hole: that is for merge. */
	reverse(pages, PLANNER_CAPACITY);
	assert_int_equal(key(p, pages, PLANNER_CAPACITY), PLANNER_CAPACITY);
	fill_pages(pages, 9, nh_va(1, 0), 0x2000);
	assert_int_equal(key(p, pages, 9), 9);
}

static void a_run_grows_over_nothing_else(void **state)
{
	const struct smmuinv_command first = nh_va(1, 0x1000);
	const struct smmuinv_command last = nh_va(1, 0x2000);
	const struct smmuinv_command others[] = {
		nh_va(2, 0x2000),
		nh_vaa(0x2000),
		nh_va(1, 0x2000 | LEAF),
		nh_va(1, 0x3000),
		nh_va(1, 0x1000 + HIGH),
		cd_all(1),
		atc(1, 0x2000, 0),
		nh_asid(1),
		nh_all(),
	};
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		assert_int_equal(key(p, LIST(first, others[i])), 2);
		assert_int_equal(key(p, LIST(first, others[i], last)), 3);
		assert_int_equal(p->plan.keyed, 3);
	}
	assert_int_equal(key(p, LIST(first, last)), 1);
	/* A CMD_SYNC is no page, and it counts for the order. */
	assert_int_equal(key(p, LIST(first, synced(), last)), 2);
	assert_int_equal(p->plan.keyed, 2);
	/* Ranges and addresses of an uncertain granule do not grow. */
	assert_int_equal(
		key(p, LIST(ranged(first, SMMUINV_TG_4K, 0, 0, 1 + 1), last)),
		2);
	assert_int_equal(key(p, LIST(ranged(first, SMMUINV_TG_4K, 3, 0, 1),
				     ranged(last, SMMUINV_TG_4K, 3, 0, 1))),
			 2);
	assert_int_equal(key(p, LIST(atc(1, 0, 0), atc(1, 0x1000, 0))), 2);
	assert_int_equal(key(p, LIST(cd(1, 0, 0), cd(1, 1, 0))), 2);
	p = planner_open(ALL_GRANULES, WITH_RANGES);
	assert_int_equal(key(p, LIST(first, last)), 2);
	p = planner_open(ONLY_4K, WITHOUT_RANGES);
	assert_int_equal(key(p, LIST(first, last)), 2);
}

/* The next page after the last is none. */
static void a_run_grows_up_to_the_end_of_the_address_space(void **state)
{
	struct planner *p = planner_open(ONLY_64K, WITH_RANGES);
	const uint64_t last = 0 - UINT64_C(0x10000);

	(void)state;
	assert_int_equal(key(p, LIST(nh_va(1, last), nh_va(1, 0))), 2);
	assert_int_equal(key(p, LIST(nh_va(1, last - 0x10000), nh_va(1, last),
				     nh_va(1, 0))),
			 2);
	assert_int_equal(p->plan.runs[0].last, UINT64_MAX);
	/* Nor is it in range after the last of the lower half. */
	assert_int_equal(
		key(p, LIST(nh_va(1, BIT_52 - 0x20000),
			    nh_va(1, BIT_52 - 0x10000), nh_va(1, BIT_52))),
		2);
	assert_int_equal(p->plan.runs[0].last, BIT_52 - 1);
	/* From the middle of a granule it goes on at the next granule. */
	assert_int_equal(key(p, LIST(nh_va(1, 0x1f000), nh_va(1, 0x20000))), 1);
	assert_int_equal(p->plan.runs[0].first, 0x10000);
	assert_int_equal(p->plan.runs[0].last, 0x2ffff);
	assert_int_equal(key(p, LIST(nh_va(1, 0x1f000), nh_va(1, 0x2f000))), 2);
}

static void an_entry_that_is_not_for_the_host_is_no_run(void **state)
{
	const struct smmuinv_command commands[] = {
		nh_va(1, 0), nh_va(1, 0x1000), nh_va(1, 0x2000),
		cd_all(1),   cd_all(2),
	};
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	struct plan_window window = planner_window(p, commands, 5);

	(void)state;
	p->marks[1].rule = SMMUINV_RULE_NO_VIOMMU;
	p->marks[3].slot = 2;
	smmuinv__plan_key(&p->plan, &window);
	assert_int_equal(p->plan.run_count, 3);
	assert_int_equal(p->plan.keyed, 3);
	assert_int_equal(p->plan.runs[0].last, 0xfff);
	assert_int_equal(p->plan.runs[1].source, 2);
	assert_int_equal(p->plan.runs[2].source, 4);
	window.slot = 2;
	smmuinv__plan_key(&p->plan, &window);
	assert_int_equal(p->plan.run_count, 3);
	assert_int_equal(p->plan.runs[2].source, 3);
}

/*
 * Order
 */

enum { WINDOW_MAX = 6, SYNC = COMMAND_RANKS, TOKENS };

static struct smmuinv_command command_of(unsigned int token)
{
	switch (token) {
	case COMMAND_RANK_CD_TABLE:
		return cd_all(1);
	case COMMAND_RANK_CD:
		return cd(1, 0, LEAF);
	case COMMAND_RANK_TABLE:
		return nh_va(1, 0);
	case COMMAND_RANK_LEAF:
		return nh_va(1, LEAF);
	case COMMAND_RANK_ATC:
		return atc(1, 0, 0);
	default:
		return synced();
	}
}

/* A later call after a break at or below @rank, and above @below. */
static bool is_later(uint32_t breaks, unsigned int rank, unsigned int below)
{
	unsigned int i;

	for (i = below + 1; i <= rank; i++) {
		if (breaks & RANK_BIT(i))
			return true;
	}
	return false;
}

static bool pair_is_in_order(uint32_t breaks, unsigned int before,
			     unsigned int after)
{
	bool tlbi = after == COMMAND_RANK_TABLE || after == COMMAND_RANK_LEAF;

	if (before >= after)
		return true;
	/* A leaf may be merged into tables, which then wait for it all. */
	if (tlbi && before < COMMAND_RANK_TABLE)
		after = COMMAND_RANK_TABLE;
	return is_later(breaks, after, before);
}

static bool is_in_order(uint32_t breaks, const unsigned int *tokens,
			unsigned int n)
{
	unsigned int i;
	unsigned int j;

	if (!(breaks & RANK_BIT(COMMAND_RANK_ATC)))
		return false;
	for (i = 0; i < n; i++) {
		bool sync = false;

		for (j = i + 1; tokens[i] != SYNC && j < n; j++) {
			sync |= tokens[j] == SYNC;
			if (sync && tokens[j] != SYNC &&
			    !pair_is_in_order(breaks, tokens[i], tokens[j]))
				return false;
		}
	}
	return true;
}

static int fewest_breaks(const unsigned int *tokens, unsigned int n)
{
	int fewest = COMMAND_RANKS;
	uint32_t breaks;

	for (breaks = 0; breaks < RANK_BIT(COMMAND_RANKS); breaks++) {
		int count = __builtin_popcount(breaks);

		if (count < fewest && is_in_order(breaks, tokens, n))
			fewest = count;
	}
	return fewest;
}

static void every_window_has_the_breaks_it_needs_and_no_more(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	struct smmuinv_command commands[WINDOW_MAX];
	unsigned int tokens[WINDOW_MAX];
	unsigned int n;
	unsigned int i;

	(void)state;
	for (n = 0; n < 6u * 6 * 6 * 6 * 6 * 6; n++) {
		unsigned int rest = n;

		for (i = 0; i < WINDOW_MAX; i++) {
			tokens[i] = rest % TOKENS;
			rest /= TOKENS;
			commands[i] = command_of(tokens[i]);
		}
		key(p, commands, WINDOW_MAX);
		assert_true(is_in_order(p->plan.breaks, tokens, WINDOW_MAX));
		assert_int_equal(__builtin_popcount(p->plan.breaks),
				 fewest_breaks(tokens, WINDOW_MAX));
		assert_false(p->plan.leaves_last);
	}
}

/* What may come before a TLBI_NH_VA of ASID 1: does it reach other tables? */
static const struct {
	uint64_t opcode;
	uint16_t asid;
	uint64_t leaf;
	bool others;
} befores[] = {
	{ SMMUINV_CMD_TLBI_NH_VA, 1, 0, false },
	{ SMMUINV_CMD_TLBI_NH_VA, 1, LEAF, false },
	{ SMMUINV_CMD_TLBI_NH_VA, 2, LEAF, false },
	{ SMMUINV_CMD_TLBI_NH_VAA, 0, LEAF, false },
	{ SMMUINV_CMD_TLBI_NH_ASID, 1, 0, false },
	{ SMMUINV_CMD_CFGI_CD_ALL, 0, 0, false },
	{ SMMUINV_CMD_CFGI_CD, 0, 0, false },
	{ SMMUINV_CMD_ATC_INV, 0, 0, false },
	{ SMMUINV_CMD_TLBI_NH_VA, 2, 0, true },
	{ SMMUINV_CMD_TLBI_NH_VA, 0, 0, true },
	{ SMMUINV_CMD_TLBI_NH_VA, 0xffff, 0, true },
	{ SMMUINV_CMD_TLBI_NH_VAA, 0, 0, true },
	{ SMMUINV_CMD_TLBI_NH_ASID, 2, 0, true },
	{ SMMUINV_CMD_TLBI_NH_ALL, 0, 0, true },
	{ SMMUINV_CMD_TLBI_NSNH_ALL, 0, 0, true },
};

static struct smmuinv_command before_of(size_t i)
{
	return test_command(befores[i].opcode | (uint64_t)befores[i].asid << 48,
			    befores[i].leaf);
}

/* The ASID that a run's group has, or -1. */
static int asid_of(const struct plan_run *run)
{
	if (!(run->group & GROUP_ONE_ASID))
		return -1;
	return (int)((run->group & GROUP_ASID) >> GROUP_ASID_SHIFT);
}

static void assert_last_run(struct planner *p,
			    const struct smmuinv_command *commands,
			    uint32_t count, bool leaf, bool others)
{
	uint32_t runs = key(p, commands, count);
	const struct plan_run *run = &p->plan.runs[runs - 1];

	assert_int_equal(p->plan.leaves_last, leaf && others);
	assert_int_equal(asid_of(run), !leaf && others ? -1 : 1);
	assert_int_equal(GROUP_RANK(run->group),
			 leaf ? COMMAND_RANK_LEAF : COMMAND_RANK_TABLE);
}

/* A global leaf can be made again through the tables of any ASID. */
static void an_nh_va_after_anothers_tables_is_of_every_asid(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);
	size_t i;
	uint64_t leaf;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(befores); i++) {
		for (leaf = 0; leaf < 2; leaf++) {
			const struct smmuinv_command b = before_of(i);
			const struct smmuinv_command va =
				nh_va(1, 0x5000 | leaf);
			bool others = befores[i].others;

			assert_last_run(p, LIST(b, synced(), va), leaf, others);
			assert_last_run(p, LIST(synced(), b, synced(), va),
					leaf, others);
			assert_last_run(p, LIST(b, synced(), synced(), va),
					leaf, others);
			assert_last_run(
				p, LIST(b, synced(), cd_all(1), synced(), va),
				leaf, others);
			/* Without a CMD_SYNC between there is no order. */
			assert_last_run(p, LIST(b, va), leaf, false);
			assert_last_run(p, LIST(synced(), b, va), leaf, false);
			if (!befores[i].leaf)
				assert_last_run(p, LIST(va, synced(), b, va),
						leaf, false);
		}
	}
}

/* Two ASIDs' tables are others' for either. */
static void tables_of_two_asids_are_others_for_both(void **state)
{
	struct planner *p = planner_open(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_last_run(p, LIST(nh_asid(1), nh_asid(2), synced(), nh_va(1, 0)),
			false, true);
	assert_last_run(
		p,
		LIST(nh_asid(1), synced(), nh_asid(2), synced(), nh_va(1, 0)),
		false, true);
	assert_last_run(p, LIST(nh_asid(2), nh_asid(1), synced(), nh_va(1, 0)),
			false, true);
	assert_last_run(p,
			LIST(nh_asid(1), nh_va(1, 0x1000), synced(), nh_asid(1),
			     synced(), nh_va(1, 0)),
			false, false);
	/* The next window begins anew. */
	assert_last_run(p, LIST(synced(), nh_va(1, LEAF)), true, false);
}

/* It keeps its address, range and level. */
static void only_the_asid_is_widened(void **state)
{
	struct planner *p = planner_open(ONLY_4K, WITH_RANGES);
	const struct smmuinv_command wide = nh_vaa(2 * MIB);

	(void)state;
	assert_int_equal(key(p, LIST(nh_asid(2), synced(), nh_va(1, 2 * MIB))),
			 2);
	assert_int_equal(p->plan.runs[1].first, 2 * MIB);
	assert_int_equal(p->plan.runs[1].last, 2 * MIB + 0xfff);
	assert_int_equal(p->plan.runs[1].group, key_one(p, wide).group);
	key(p, LIST(nh_asid(2), synced(),
		    ranged(nh_va(1, 2 * MIB), SMMUINV_TG_4K, 2, 9, 3)));
	assert_int_equal(p->plan.runs[1].last, 8 * MIB - 1);
	assert_int_equal(p->plan.runs[1].ttl, 2);
	assert_int_equal(p->plan.runs[1].group, key_one(p, wide).group);
	/* It grows by no NH_VA: that is widened by itself. */
	assert_int_equal(key(p, LIST(nh_asid(2), synced(), nh_va(1, 0),
				     nh_va(1, 0x1000))),
			 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_teardown(test, planner_teardown)
		T(pages_of_the_one_granule_shown_are_one_range),
		T(pages_of_an_uncertain_granule_stay_what_they_are),
		T(the_middle_of_a_granule_is_its_granule),
		T(an_unaligned_range_goes_as_it_is),
		T(an_aligned_range_is_aligned_to_its_level),
		T(what_is_in_no_half_is_joined_with_nothing),
		T(an_address_out_of_range_takes_no_other_along),
		T(a_window_remembers_nothing_of_the_one_before),
		T(a_run_that_is_begun_again_keeps_what_it_had),
		T(each_command_is_a_run_of_what_it_reaches),
		T(an_atc_inv_is_a_span_of_its_size),
		T(a_range_reaches_its_granules_up_to_the_end_of_its_half),
		T(groups_are_apart_in_all_but_the_address),
		T(levels_are_apart_only_without_ranges),
		T(aarch32_tables_make_4k_possible),
		T(pages_in_sequence_are_one_run_at_once),
		T(a_run_grows_over_nothing_else),
		T(a_run_grows_up_to_the_end_of_the_address_space),
		T(an_entry_that_is_not_for_the_host_is_no_run),
		T(every_window_has_the_breaks_it_needs_and_no_more),
		T(an_nh_va_after_anothers_tables_is_of_every_asid),
		T(tables_of_two_asids_are_others_for_both),
		T(only_the_asid_is_widened),
#undef T
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
