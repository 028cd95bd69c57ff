/* SPDX-License-Identifier: MIT */
/*
 * What the plan makes of windows that can be told in a sentence, with exact
 * figures; and every small window over a small alphabet. Random windows are in
 * windows.c. Sections are those of Arm IHI 0070.
 */
#include "planner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "spec.h"

#define CAPACITY  4096u
#define PAGES_MAX 16u
#define LEAF      UINT64_C(1)
#define K         UINT64_C(1024)
#define M         (K * K)
#define G         (K * M)
#define HIGH      UINT64_C(0xffff000000000000)
#define BIT_52    (UINT64_C(1) << 52)
#define BIT_55    (UINT64_C(1) << 55)

/* Sets of granules that a guest is shown, and hosts. */
enum { ONLY_4K = 1, ONLY_16K = 2, ONLY_64K = 4, ALL_GRANULES = 7 };
enum host { WITH_RANGES, WITH_LONG_RANGES, WITHOUT_RANGES };

static struct planner planner;
static bool is_open;

static struct planner *open_sized(unsigned int shown, enum host kind,
				  uint32_t capacity)
{
	struct smmuinv_features guest = test_features_full();
	struct smmuinv_features host = test_features_full();
	bool ds = kind == WITH_LONG_RANGES;

	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN4K, shown & 1);
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN16K, shown >> 1 & 1);
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN64K, shown >> 2 & 1);
	spec_feature_set(&host, SMMUINV_FEATURE_RIL, kind != WITHOUT_RANGES);
	spec_feature_set(&host, SMMUINV_FEATURE_DS, ds);
	spec_feature_set(&guest, SMMUINV_FEATURE_DS, ds && shown != ONLY_64K);
	planner_init(&planner, &guest, &host, capacity, PAGES_MAX);
	is_open = true;
	return &planner;
}

static struct planner *open_planner(unsigned int shown, enum host kind)
{
	return open_sized(shown, kind, CAPACITY);
}

static void close_planner(void)
{
	if (is_open)
		planner_free(&planner);
	is_open = false;
}

static int setup(void **state)
{
	(void)state;
	heap.left = -1;
	heap.live = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_planner();
	return heap.live != 0;
}

static struct smmuinv_command nh_va(uint16_t asid, uint64_t dw1)
{
	return test_command(SMMUINV_CMD_TLBI_NH_VA | (uint64_t)asid << 48, dw1);
}

static struct smmuinv_command nh_vaa(uint64_t dw1)
{
	return test_command(SMMUINV_CMD_TLBI_NH_VAA, dw1);
}

/* The same command for @units << @scale granules. */
static struct smmuinv_command ranged(struct smmuinv_command c, unsigned int tg,
				     unsigned int ttl, unsigned int scale,
				     unsigned int units)
{
	uint64_t dw0 = test_dw0(&c) | (uint64_t)(units - 1) << 12 |
		       (uint64_t)scale << 20;

	return test_command(dw0, test_dw1(&c) | (uint64_t)tg << 10 |
					 (uint64_t)ttl << 8);
}

static struct smmuinv_command nh_asid(uint16_t asid)
{
	return test_command(SMMUINV_CMD_TLBI_NH_ASID | (uint64_t)asid << 48, 0);
}

static struct smmuinv_command cfgi_cd(uint32_t sid, uint32_t ssid,
				      uint64_t leaf)
{
	return test_command(SMMUINV_CMD_CFGI_CD | (uint64_t)sid << 32 |
				    (uint64_t)ssid << 12,
			    leaf);
}

static struct smmuinv_command cfgi_cd_all(uint32_t sid)
{
	return test_command(SMMUINV_CMD_CFGI_CD_ALL | (uint64_t)sid << 32, 0);
}

static struct smmuinv_command atc(uint32_t sid, uint64_t address,
				  unsigned int size)
{
	return test_command(SMMUINV_CMD_ATC_INV | (uint64_t)sid << 32,
			    address | size);
}

/* With a PASID, and of every PASID (4.5.1). */
static struct smmuinv_command tagged(struct smmuinv_command c, uint32_t ssid,
				     bool global)
{
	return test_command(test_dw0(&c) | UINT64_C(1) << 11 |
				    (uint64_t)ssid << 12 |
				    (uint64_t)global << 9,
			    test_dw1(&c));
}

static struct smmuinv_command nh_all(void)
{
	return test_command(SMMUINV_CMD_TLBI_NH_ALL, 0);
}

static struct smmuinv_command nsnh_all(void)
{
	return test_command(SMMUINV_CMD_TLBI_NSNH_ALL, 0);
}

static void assert_planned(const struct planner *p,
			   const struct smmuinv_command *wanted, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < p->plan.count && i < count; i++) {
		if (!test_command_equal(&p->plan.commands[i], &wanted[i]))
			fail_msg("%u: %s\nwanted %s", i,
				 test_text(&p->plan.commands[i]),
				 test_text(&wanted[i]));
	}
	assert_int_equal(p->plan.count, count);
}

/* The guest's commands, which must be canonical, become exactly the host's. */
static void assert_plan(struct planner *p, const struct smmuinv_command *guest,
			uint32_t asked, const struct smmuinv_command *host,
			uint32_t count)
{
	struct smmuinv_command canonical;
	uint32_t i;

	for (i = 0; i < asked; i++) {
		assert_true(planner_canonical(p, &guest[i], &canonical));
		assert_true(test_command_equal(&canonical, &guest[i]));
	}
	planner_fewest(p, guest, asked);
	assert_planned(p, host, count);
	for (i = 0; i < count; i++)
		assert_true(planner_legal(p, &p->plan.commands[i]));
}

#define COMMANDS(...) ((const struct smmuinv_command[]){ __VA_ARGS__ })
#define COUNT(...)    ((uint32_t)ARRAY_SIZE(COMMANDS(__VA_ARGS__)))
#define LIST(...)     COMMANDS(__VA_ARGS__), COUNT(__VA_ARGS__)

/* Nothing becomes of them but what they are. */
#define ASSERT_UNCHANGED(p, ...) \
	assert_plan(p, LIST(__VA_ARGS__), LIST(__VA_ARGS__))

static uint64_t bytes_of(unsigned int tg)
{
	return UINT64_C(1) << planner_entry_log2(tg, 3);
}

/*
 * Pages
 */

static void shuffle(struct smmuinv_command *commands, uint32_t n)
{
	while (n > 1) {
		uint32_t other = (uint32_t)test_random_below(n--);
		struct smmuinv_command swap = commands[n];

		commands[n] = commands[other];
		commands[other] = swap;
	}
}

/* @n pages from @first on, in sequence. */
static void fill_pages(struct smmuinv_command *commands, uint32_t n,
		       struct smmuinv_command first, uint64_t step)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		commands[i] = test_command(test_dw0(&first),
					   test_dw1(&first) + i * step);
}

static void reverse(struct smmuinv_command *commands, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n / 2; i++) {
		struct smmuinv_command swap = commands[i];

		commands[i] = commands[n - 1 - i];
		commands[n - 1 - i] = swap;
	}
}

/* In whatever order they come. */
static void assert_512_are_one(struct planner *p, struct smmuinv_command first,
			       unsigned int tg)
{
	static struct smmuinv_command pages[512];
	const struct smmuinv_command all = ranged(first, tg, 0, 4, 32);

	fill_pages(pages, 512, first, bytes_of(tg));
	assert_plan(p, pages, 512, &all, 1);
	assert_int_equal(p->plan.origin[0], 0);
	reverse(pages, 512);
	assert_plan(p, pages, 512, &all, 1);
	assert_int_equal(p->plan.origin[0], 0);
	shuffle(pages, 512);
	assert_plan(p, pages, 512, &all, 1);
	assert_int_equal(p->plan.origin[0], 0);
}

static void pages_of_the_one_granule_shown_are_one_range(void **state)
{
	unsigned int tg;

	(void)state;
	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		struct planner *p = open_planner(1u << (tg - 1), WITH_RANGES);

		assert_512_are_one(p, nh_va(0, 0), tg);
		assert_512_are_one(p, nh_va(0xffff, HIGH | LEAF), tg);
		assert_512_are_one(p, nh_vaa(G), tg);
		assert_512_are_one(p, nh_vaa(HIGH + G + LEAF), tg);
		/* The last of each half. */
		assert_512_are_one(p, nh_va(7, BIT_52 - 512 * bytes_of(tg)),
				   tg);
		assert_512_are_one(p, nh_va(7, 0 - 512 * bytes_of(tg)), tg);
		close_planner();
	}
}

static void pages_of_an_asid_whose_cds_agree_are_one_range(void **state)
{
	unsigned int tg;

	(void)state;
	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

		planner_note(p, 1, (uint8_t)tg, SMMUINV_TG_4K);
		planner_note(p, 2, SMMUINV_TG_ANY, SMMUINV_TG_4K);
		assert_512_are_one(p, nh_va(1, 0), tg);
		assert_512_are_one(p, nh_va(1, HIGH), SMMUINV_TG_4K);
		assert_512_are_one(p, nh_va(2, HIGH), SMMUINV_TG_4K);
		close_planner();
	}
}

static void pages_of_an_uncertain_granule_stay_what_they_are(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	planner_note(p, 0, SMMUINV_TG_4K, SMMUINV_TG_ANY);
	planner_note(p, 1, SMMUINV_TG_4K, SMMUINV_TG_4K);
	planner_note(p, 2, SMMUINV_TG_ANY, SMMUINV_TG_16K);
	ASSERT_UNCHANGED(p, nh_va(3, 0), nh_va(3, 0x1000));
	ASSERT_UNCHANGED(p, nh_va(1, HIGH), nh_va(1, HIGH + 0x1000));
	ASSERT_UNCHANGED(p, nh_vaa(0), nh_vaa(0x1000));
	ASSERT_UNCHANGED(p, nh_va(1, BIT_55), nh_va(1, BIT_55 + 0x1000));
	/* Once they are certain no more. */
	assert_plan(p, LIST(nh_va(1, 0), nh_va(1, 0x1000)),
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 2)));
	planner_note(p, 2, SMMUINV_TG_64K, SMMUINV_TG_ANY);
	ASSERT_UNCHANGED(p, nh_va(1, 0), nh_va(1, 0x1000));
}

static void a_page_by_itself_stays_what_it_is(void **state)
{
	struct planner *p = open_planner(ONLY_64K, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000));
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000), nh_va(1, 0x20000));
	ASSERT_UNCHANGED(p, nh_va(1, 0), nh_va(2, 0x10000));
	ASSERT_UNCHANGED(p, nh_vaa(0), nh_va(0, 0x10000));
}

/* Anywhere in its granule, an address is that granule's. */
static void the_middle_of_a_granule_is_its_granule(void **state)
{
	struct planner *p = open_planner(ONLY_64K, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(nh_va(1, 0x1f000), nh_va(1, 0x11000)),
		    LIST(nh_va(1, 0x1f000)));
	assert_plan(p, LIST(nh_va(1, 0x1f000), nh_va(1, 0x20000)),
		    LIST(ranged(nh_va(1, 0x10000), SMMUINV_TG_64K, 0, 0, 2)));
	assert_plan(p, LIST(nh_va(1, 0x2f000), nh_va(1, 0x1f000)),
		    LIST(ranged(nh_va(1, 0x10000), SMMUINV_TG_64K, 0, 0, 2)));
}

static void what_is_one_page_apart_is_apart(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000), nh_va(1, 0x3000));
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_va(1, 0x3000), nh_va(1, 0x4000),
			 nh_va(1, 0x6000)),
		    LIST(nh_va(1, 0x1000),
			 ranged(nh_va(1, 0x3000), SMMUINV_TG_4K, 0, 0, 2),
			 nh_va(1, 0x6000)));
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
	const struct smmuinv_command *c = &p->plan.commands[0];
	struct reach r;

	assert_int_equal(p->plan.count, 1);
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
		struct planner *p = open_planner(1u << (tg - 1), WITH_RANGES);

		fill_pages(pages, 2048, nh_va(1, G), bytes_of(tg));
		for (n = 1; n <= 2048; n++) {
			planner_fewest(p, pages, n);
			assert_one_range(p, G, n, tg);
		}
		close_planner();
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
		struct planner *p = open_sized(1u << (tg - 1), WITH_RANGES, 64);
		uint64_t length = random_length(36);

		planner_fewest(p, parts, fill_span(parts, length, tg));
		assert_one_range(p, 0, length, tg);
		close_planner();
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

		struct planner *p = open_sized(ONLY_4K, WITH_RANGES, 64);
		count = fill_span(parts, length, SMMUINV_TG_4K);
		planner_fewest(p, parts, count);
		assert_int_equal(p->plan.count,
				 (length + longest - 1) / longest);
		assert_true(p->plan.count <= count);
		assert_int_equal(
			planner_get(&p->plan.commands[0], SMMUINV_FIELD_SCALE),
			31);
		close_planner();

		p = open_sized(ONLY_4K, WITH_LONG_RANGES, 64);
		planner_fewest(p, parts, count);
		assert_one_range(p, 0, length, SMMUINV_TG_4K);
		close_planner();
	}
}

static void a_range_that_has_one_granule_left_over(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);
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

/* So nothing grows over the border between the halves, wherever that is. */
static void what_is_in_no_half_is_joined_with_nothing(void **state)
{
	static const uint64_t borders[] = { BIT_55, 2 * BIT_55,
					    UINT64_C(1) << 63,
					    UINT64_C(0xff80000000000000) };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		struct planner *p = open_planner(ONLY_4K, WITH_RANGES);
		uint64_t b = borders[i];

		ASSERT_UNCHANGED(p, nh_va(1, b - 0x2000), nh_va(1, b - 0x1000),
				 nh_va(1, b), nh_va(1, b + 0x1000));
		assert_plan(p, LIST(nh_va(1, b), nh_va(1, b - 0x1000)),
			    LIST(nh_va(1, b - 0x1000), nh_va(1, b)));
		close_planner();
	}
}

static void the_top_of_the_address_space_is_an_end(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);
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

/*
 * Leaf, level, granule, ASID
 */

static void leaf_and_whole_are_apart(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x2000 | LEAF), nh_va(1, 0x1000),
			 nh_va(1, 0x3000 | LEAF)),
		    LIST(nh_va(1, 0x1000), ranged(nh_va(1, 0x2000 | LEAF),
						  SMMUINV_TG_4K, 0, 0, 2)));
}

static void a_leaf_is_under_a_whole_of_its_asid_only(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x3000 | LEAF), nh_va(1, 0x2000),
			 nh_va(1, 0x3000), nh_va(2, 0x3000 | LEAF)),
		    LIST(ranged(nh_va(1, 0x2000), SMMUINV_TG_4K, 0, 0, 2),
			 nh_va(2, 0x3000 | LEAF)));
	assert_int_equal(p->plan.origin[0], 0);
	assert_int_equal(p->plan.origin[1], 3);
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
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(nh_va(1, 0x1000 | LEAF), nh_va(1, 0x1000)),
		    LIST(nh_va(1, 0x1000)));
	assert_plan(p, LIST(nh_vaa(0x1000), nh_vaa(0x1000 | LEAF)),
		    LIST(nh_vaa(0x1000)));
}

static void nh_va_is_under_nh_vaa(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_va(2, 0x2000 | LEAF),
			 nh_vaa(0x1000), nh_vaa(0x2000)),
		    LIST(ranged(nh_vaa(0x1000), SMMUINV_TG_4K, 0, 0, 2)));
	assert_int_equal(p->plan.origin[0], 0);
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
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

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
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

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
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 4 * M), SMMUINV_TG_4K, 3, 9, 1)),
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 0, 5, 32)));
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 4 * M), SMMUINV_TG_4K, 2, 9, 1)),
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 5, 32)));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 6 * M), SMMUINV_TG_4K, 3, 9, 1));
	/* Within the other it is no longer, but of any level. */
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 3, 0, 1)),
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 0, 4, 32)));
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 0, 9, 1),
			 ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 3, 0, 1)),
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 0, 9, 1)));
}

/* TG without NUM, SCALE and TTL is reserved: any granule then. */
static void two_levels_of_one_granule_are_an_address(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 0, 1),
			 ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 3, 0, 1)),
		    LIST(nh_va(1, 2 * M)));
}

static void a_level_under_nh_vaa_is_that_level_or_any(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);
	const struct smmuinv_command page =
		ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 3, 0, 1);

	(void)state;
	ASSERT_UNCHANGED(p, ranged(nh_vaa(2 * M), SMMUINV_TG_4K, 2, 9, 1),
			 page);
	assert_plan(p,
		    LIST(ranged(nh_vaa(2 * M), SMMUINV_TG_4K, 3, 9, 1), page),
		    LIST(ranged(nh_vaa(2 * M), SMMUINV_TG_4K, 3, 9, 1)));
	assert_plan(p,
		    LIST(ranged(nh_vaa(2 * M), SMMUINV_TG_4K, 0, 9, 1), page),
		    LIST(ranged(nh_vaa(2 * M), SMMUINV_TG_4K, 0, 9, 1)));
}

/* The next command is one granule further, and much longer than that. */
static void ranges_that_overlap_are_joined_to_the_end_of_both(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);
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
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);

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
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(nh_va(1, 0x1000), nh_asid(1), nh_asid(3), nh_asid(2),
			 nh_asid(1), nh_asid(0x102)),
		    LIST(nh_asid(1), nh_asid(2), nh_asid(3), nh_asid(0x102),
			 nh_va(1, 0x1000)));
	assert_int_equal(p->plan.origin[0], 1);
}

static void all_swallows_every_tlbi_and_nothing_else(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(atc(1, 0, 0), nh_va(1, 0x1000),
			 ranged(nh_vaa(0), SMMUINV_TG_4K, 0, 0, 2), nh_asid(1),
			 nh_all(), nh_all(), cfgi_cd(1, 0, 0)),
		    LIST(cfgi_cd(1, 0, 0), nh_all(), atc(1, 0, 0)));
	assert_int_equal(p->plan.origin[0], 6);
	assert_int_equal(p->plan.origin[1], 1);
	assert_int_equal(p->plan.origin[2], 0);
	assert_plan(p, LIST(nh_all(), nh_asid(1), nsnh_all()),
		    LIST(nsnh_all()));
	assert_int_equal(p->plan.origin[0], 0);
	/* A stream whose number looks like all is none. */
	ASSERT_UNCHANGED(p, cfgi_cd_all(0), nh_asid(1));
}

/*
 * What is UNPREDICTABLE for the guest (4.4.1.1)
 */

static void an_unaligned_range_goes_as_it_is(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_LONG_RANGES);
	const struct smmuinv_command blocks =
		ranged(nh_va(1, 2 * M + 0x1000), SMMUINV_TG_4K, 2, 9, 1);

	(void)state;
	ASSERT_UNCHANGED(p, blocks);
	assert_plan(p, LIST(blocks, blocks), LIST(blocks));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, G + M), SMMUINV_TG_4K, 1, 9, 1));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, M), SMMUINV_TG_16K, 1, 9, 1));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 0x11000), SMMUINV_TG_16K, 0, 0, 2));
	ASSERT_UNCHANGED(p, ranged(nh_va(1, 32 * G), SMMUINV_TG_16K, 1, 0, 1),
			 ranged(nh_va(1, 32 * G), SMMUINV_TG_64K, 1, 0, 1));
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
		{ 4 * K, G, 2 * M, 4 * K },
		{ 16 * K, 64 * G, 32 * M, 16 * K },
		{ 64 * K, 4 * K * G, 512 * M, 64 * K },
	};
	unsigned int tg;
	unsigned int ttl;

	(void)state;
	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		for (ttl = 0; ttl <= 3; ttl++) {
			struct planner *p =
				open_planner(ALL_GRANULES, WITH_LONG_RANGES);
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
			if (entry > 4 * K)
				ASSERT_UNCHANGED(
					p, askew,
					ranged(nh_vaa(0), tg, ttl, 9, 32));
			close_planner();
		}
	}
}

/*
 * A host without ranges
 */

static void a_range_is_pages_on_a_host_without(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITHOUT_RANGES);

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

/* Of the lower half too; what is beyond is nobody's to ask for (4.4.1.1). */
static void pages_of_a_range_end_with_its_half(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITHOUT_RANGES);
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
	struct planner *p = open_planner(ONLY_4K, WITHOUT_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(1, 0), nh_va(1, 0x1000));
	assert_plan(p, LIST(nh_va(1, 0), nh_vaa(0), nh_va(1, 0)),
		    LIST(nh_vaa(0)));
}

static void of_a_known_level_it_is_one_page_for_each_entry(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITHOUT_RANGES);

	(void)state;
	assert_plan(p, LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 9, 2)),
		    LIST(nh_va(1, 2 * M), nh_va(1, 4 * M)));
	assert_plan(p, LIST(ranged(nh_va(1, G), SMMUINV_TG_4K, 1, 18, 2)),
		    LIST(nh_va(1, G), nh_va(1, 2 * G)));
	assert_plan(p, LIST(ranged(nh_va(1, 0), SMMUINV_TG_16K, 2, 11, 2)),
		    LIST(nh_va(1, 0), nh_va(1, 32 * M)));
	assert_plan(p, LIST(ranged(nh_va(1, 0), SMMUINV_TG_64K, 2, 13, 2)),
		    LIST(nh_va(1, 0), nh_va(1, 512 * M)));
	/* The part of an entry is an entry. */
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 4 * M), SMMUINV_TG_4K, 2, 0, 1)),
		    LIST(nh_va(1, 2 * M), nh_va(1, 4 * M)));
	/* Another level beside it is another range. */
	assert_plan(p,
		    LIST(ranged(nh_va(1, 2 * M), SMMUINV_TG_4K, 2, 9, 1),
			 ranged(nh_va(1, 4 * M), SMMUINV_TG_4K, 3, 0, 2)),
		    LIST(nh_va(1, 2 * M), nh_va(1, 4 * M),
			 nh_va(1, 4 * M + 0x1000)));
}

static void ranges_that_touch_are_pages_only_once(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITHOUT_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0x2000), SMMUINV_TG_4K, 0, 0, 2),
			 ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0, 2)),
		    LIST(nh_va(1, 0x1000), nh_va(1, 0x2000), nh_va(1, 0x3000)));
	assert_int_equal(p->plan.origin[0], 0);
	assert_int_equal(p->plan.origin[2], 0);
}

static void an_unaligned_range_is_rounded_out_to_pages(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITHOUT_RANGES);

	(void)state;
	assert_plan(p, LIST(ranged(nh_va(1, 0x11000), SMMUINV_TG_64K, 3, 0, 1)),
		    LIST(nh_va(1, 0x10000), nh_va(1, 0x20000)));
	/* Of whatever level. */
	assert_plan(
		p,
		LIST(ranged(nh_va(1, 2 * M + 0x1000), SMMUINV_TG_4K, 2, 0, 2)),
		LIST(nh_va(1, 2 * M + 0x1000), nh_va(1, 2 * M + 0x2000)));
}

static void beyond_the_threshold_of_a_window_all_goes(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITHOUT_RANGES);
	static struct smmuinv_command pages[PAGES_MAX + 2];

	(void)state;
	fill_pages(pages, PAGES_MAX, nh_va(1, 0), 0x1000);
	assert_plan(p,
		    LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, PAGES_MAX)),
		    pages, PAGES_MAX);
	assert_plan(
		p,
		LIST(ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, PAGES_MAX + 1)),
		LIST(nh_all()));
	/* All ranges of the window together. */
	assert_plan(
		p,
		LIST(ranged(nh_va(1, 0x1000), SMMUINV_TG_4K, 0, 0,
			    PAGES_MAX - 1),
		     ranged(nh_va(1, 0), SMMUINV_TG_4K, 3, 0, 1)),
		(fill_pages(pages + 1, PAGES_MAX - 1, nh_va(1, 0x1000), 0x1000),
		 pages[PAGES_MAX] = pages[0], pages + 1),
		PAGES_MAX);
	assert_plan(p,
		    LIST(atc(1, 0, 0),
			 ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, PAGES_MAX),
			 nh_va(2, 0),
			 ranged(nh_va(2, 0), SMMUINV_TG_4K, 3, 0, 1),
			 nh_asid(3), cfgi_cd(1, 0, 0)),
		    LIST(cfgi_cd(1, 0, 0), nh_all(), atc(1, 0, 0)));
	assert_int_equal(p->plan.origin[1], 1);
	/* Addresses are no pages of ranges, however many. */
	fill_pages(pages, PAGES_MAX + 2, nh_va(1, 0), 0x1000);
	assert_plan(p, pages, PAGES_MAX + 2, pages, PAGES_MAX + 2);
	/* The longest that there is. */
	assert_plan(p, LIST(ranged(nh_va(1, 0), SMMUINV_TG_64K, 0, 31, 32)),
		    LIST(nh_all()));
}

static void there_is_room_for_a_full_window_and_the_pages(void **state)
{
	struct planner *p = open_sized(ALL_GRANULES, WITHOUT_RANGES, 4);

	(void)state;
	planner_fewest(
		p, LIST(atc(1, 0, 0), nh_va(1, 0), nh_asid(1),
			ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, PAGES_MAX)));
	assert_int_equal(p->plan.count, 3 + PAGES_MAX);
}

/*
 * Context descriptors
 */

static void cfgi_cd_is_under_cfgi_cd_all_of_its_stream(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(cfgi_cd(1, 0, 0), cfgi_cd(1, 5, LEAF), cfgi_cd_all(1),
			 cfgi_cd_all(1), cfgi_cd(2, 0, 0)),
		    LIST(cfgi_cd_all(1), cfgi_cd(2, 0, 0)));
	assert_int_equal(p->plan.origin[0], 0);
	assert_int_equal(p->plan.origin[1], 4);
}

/* 4.3.3: Leaf=0 has the level-1 descriptors in it. */
static void cfgi_cd_leaf_is_under_whole_of_its_substream(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(cfgi_cd(1, 1, LEAF), cfgi_cd(1, 1, 0),
			 cfgi_cd(1, 2, LEAF), cfgi_cd(1, 0, LEAF),
			 cfgi_cd(1, 0, LEAF), cfgi_cd(1, 3, LEAF)),
		    LIST(cfgi_cd(1, 1, 0), cfgi_cd(1, 0, LEAF),
			 cfgi_cd(1, 2, LEAF), cfgi_cd(1, 3, LEAF)));
	ASSERT_UNCHANGED(p, cfgi_cd(1, 0, 0), cfgi_cd(1, 0xfffff, 0),
			 cfgi_cd(2, 0, 0), cfgi_cd(UINT32_MAX, 0, 0));
}

/*
 * ATCs
 */

static void atc_spans_that_are_buddies_are_one(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

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
	assert_int_equal(p->plan.origin[0], 0);
	assert_plan(p,
		    LIST(atc(1, 0x4000, 2), atc(1, 0x2000, 1),
			 atc(1, 0x1000, 0), atc(1, 0, 0), atc(1, 0x8000, 2)),
		    LIST(atc(1, 0, 3), atc(1, 0x8000, 2)));
	assert_int_equal(p->plan.origin[0], 0);
}

/* Pages in any order, and exactly the spans that they are together. */
static void atc_pages_are_as_few_spans_as_can_be(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);
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
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);
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
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	assert_plan(p, LIST(atc(1, 0x13000, 0), atc(1, 0x1f000, 4)),
		    LIST(atc(1, 0x1f000, 4)));
	assert_int_equal(p->plan.origin[0], 0);
	assert_plan(p, LIST(atc(1, 0x10000, 0), atc(1, 0x1f000, 4)),
		    LIST(atc(1, 0x1f000, 4)));
	assert_int_equal(p->plan.origin[0], 0);
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
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

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
	close_planner();
	p = open_planner(ALL_GRANULES, WITHOUT_RANGES);
	ASSERT_UNCHANGED(p, atc(1, 0x1000, 52));
}

/*
 * The window
 */

static void assert_ranks(const struct planner *p,
			 const uint32_t ends[COMMAND_RANKS])
{
	assert_memory_equal(p->plan.rank_end, ends,
			    COMMAND_RANKS * sizeof(*ends));
}

static void ranks_come_one_after_the_other(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);

	(void)state;
	assert_plan(p,
		    LIST(atc(2, 0, 0), nh_va(1, 0x1000), cfgi_cd(2, 0, 0),
			 nh_va(1, 0), cfgi_cd(1, 0, 0), atc(1, 0, 0),
			 nh_asid(1)),
		    LIST(cfgi_cd(1, 0, 0), cfgi_cd(2, 0, 0), nh_asid(1),
			 ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 2),
			 atc(1, 0, 0), atc(2, 0, 0)));
	assert_memory_equal(p->plan.origin, ((uint32_t[]){ 4, 2, 6, 1, 5, 0 }),
			    6 * sizeof(uint32_t));
	assert_ranks(p, (uint32_t[COMMAND_RANKS]){ 2, 2, 4, 4, 6 });
	planner_fewest(p, LIST(nh_va(1, 0)));
	assert_ranks(p, (uint32_t[COMMAND_RANKS]){ 0, 0, 1, 1, 1 });
	planner_fewest(p, LIST(nh_va(1, LEAF)));
	assert_ranks(p, (uint32_t[COMMAND_RANKS]){ 0, 0, 0, 1, 1 });
	planner_fewest(p, NULL, 0);
	assert_int_equal(p->plan.count, 0);
	assert_ranks(p, (uint32_t[COMMAND_RANKS]){ 0 });
}

static void what_has_a_rule_is_not_sent(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);
	const struct smmuinv_command guest[] = {
		cfgi_cd(1, 0, 0), nh_va(1, 0),      atc(1, 0, 0),
		nh_va(1, 0x1000), cfgi_cd(2, 0, 0), atc(1, 0x1000, 0),
	};
	const uint8_t rules[] = { SMMUINV_RULE_STREAM_UNKNOWN,
				  0,
				  SMMUINV_RULE_STREAM_UNKNOWN,
				  0,
				  0,
				  0 };
	const struct plan_window window = {
		.commands = guest,
		.rules = rules,
		.count = ARRAY_SIZE(guest),
		.granules = &p->granules,
	};
	uint32_t left = 0;

	(void)state;
	smmuinv__plan_fewest(&p->plan, &window);
	assert_planned(p, LIST(guest[4],
			       ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, 2),
			       guest[5]));
	smmuinv__plan_as_written(&p->plan, &window, 0, 6, &left);
	assert_planned(p, LIST(guest[1], guest[3], guest[4], guest[5]));
	assert_int_equal(p->plan.origin[3], 5);
}

static void a_window_remembers_nothing_of_the_one_before(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);

	(void)state;
	ASSERT_UNCHANGED(p, nh_va(1, 0x1000), nh_va(2, 0x5000));
	ASSERT_UNCHANGED(p, nh_va(1, 0x3000), nh_va(2, 0x5000));
	ASSERT_UNCHANGED(p, nh_va(2, 0x5000));
	ASSERT_UNCHANGED(p, nh_va(2, 0x5000), nh_va(3, 0x1000),
			 nh_va(3, 0x2000));
}

/* However far apart, and beside however many others; in any order. */
static void assert_said_once(struct planner *p,
			     const struct smmuinv_command *once, uint32_t n)
{
	static struct smmuinv_command twice[CAPACITY];

	memcpy(twice, once, n * sizeof(*twice));
	memcpy(twice + n, once, n * sizeof(*twice));
	assert_plan(p, twice, 2 * n, once, n);
	shuffle(twice, 2 * n);
	assert_plan(p, twice, 2 * n, once, n);
}

static void what_is_said_again_is_said_once(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);
	static struct smmuinv_command once[CAPACITY / 2];
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
		once[i] = cfgi_cd(1, i, 0);
	assert_said_once(p, once, n);
}

/* Another one of the same page, once it has grown. */
static void a_run_that_is_begun_again_keeps_what_it_had(void **state)
{
	struct planner *p = open_planner(ONLY_4K, WITH_RANGES);

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

/* Few and many, from any order. */
static void windows_of_every_size_are_sorted(void **state)
{
	struct planner *p = open_planner(ALL_GRANULES, WITH_RANGES);
	static struct smmuinv_command sorted[300];
	static struct smmuinv_command shuffled[300];
	uint32_t n;

	(void)state;
	for (n = 1; n <= 300; n++) {
		fill_pages(sorted, n, nh_va(1, 0), UINT64_C(0x12345678901000));
		memcpy(shuffled, sorted, sizeof(sorted));
		shuffle(shuffled, n);
		assert_plan(p, shuffled, n, sorted, n);
		reverse(sorted, n);
		memcpy(shuffled, sorted, sizeof(sorted));
		reverse(sorted, n);
		assert_plan(p, shuffled, n, sorted, n);
	}
	/* By ASID, too. */
	for (n = 0; n < 300; n++)
		sorted[n] = nh_va((uint16_t)(n * 200), (300 - n) * 0x1000);
	memcpy(shuffled, sorted, sizeof(sorted));
	shuffle(shuffled, 300);
	assert_plan(p, shuffled, 300, sorted, 300);
}

/* 4.4.2, 4.1.7: it may be lost, with all that is joined to it. */
static void an_address_out_of_range_takes_no_other_along(void **state)
{
	struct smmuinv_features guest = test_features_full();
	uint32_t vax;

	(void)state;
	for (vax = 0; vax < 2; vax++) {
		const uint64_t upper = UINT64_MAX << (48 + 4 * vax);
		const uint64_t out[] = { upper - 4 * K, upper - 64 * K,
					 ~upper + 1 };
		uint32_t i;

		spec_feature_set(&guest, SMMUINV_FEATURE_VAX, vax);
		spec_feature_set(&guest, SMMUINV_FEATURE_GRAN16K, 0);
		spec_feature_set(&guest, SMMUINV_FEATURE_GRAN64K, 0);
		planner_init(&planner, &guest, &guest, CAPACITY, PAGES_MAX);
		is_open = true;
		for (i = 0; i < ARRAY_SIZE(out); i++) {
			const uint64_t va = out[i];
			const struct smmuinv_command alone[] = {
				nh_va(1, va),
				nh_va(1, va + 4 * K),
				nh_vaa(va | LEAF),
				nh_vaa((va + 4 * K) | LEAF),
				ranged(nh_va(2, va), SMMUINV_TG_4K, 0, 0, 32),
				nh_va(2, va + 8 * K),
			};
			const struct smmuinv_command range = ranged(
				nh_va(1, upper), SMMUINV_TG_4K, 0, 0, 2);

			planner_fewest(&planner, alone, ARRAY_SIZE(alone));
			assert_int_equal(planner.plan.count, ARRAY_SIZE(alone));
			/* Where both are in range they go together. */
			planner_fewest(&planner,
				       LIST(nh_va(1, upper),
					    nh_va(1, upper + 4 * K)));
			assert_planned(&planner, &range, 1);
		}
		close_planner();
	}
}

/*
 * As written
 */

/* What is left of the pages that there may be. */
static uint32_t write_out(struct planner *p,
			  const struct smmuinv_command *commands,
			  uint32_t count, uint32_t from, uint32_t end,
			  uint32_t left)
{
	const struct plan_window window = {
		.commands = commands,
		.count = count,
		.granules = &p->granules,
	};

	smmuinv__plan_as_written(&p->plan, &window, from, end, &left);
	return left;
}

static void as_written_is_as_written(void **state)
{
	struct planner *p = open_sized(ONLY_4K, WITH_RANGES, 6);
	const struct smmuinv_command guest[] = {
		atc(1, 0, 0),
		nh_va(1, 0),
		nh_va(1, 0x1000),
		nh_va(1, 0x1000),
		ranged(nh_vaa(0), SMMUINV_TG_4K, 0, 0, 2),
		cfgi_cd(1, 0, 0),
	};

	(void)state;
	assert_int_equal(write_out(p, guest, 6, 0, 6, 9), 9);
	assert_planned(p, guest, 6);
	assert_memory_equal(p->plan.origin, ((uint32_t[]){ 0, 1, 2, 3, 4, 5 }),
			    6 * sizeof(uint32_t));
	write_out(p, guest, 6, 2, 4, 9);
	assert_planned(p, guest + 2, 2);
	assert_int_equal(p->plan.origin[0], 2);
	write_out(p, guest, 6, 3, 3, 9);
	assert_int_equal(p->plan.count, 0);
}

static void as_written_ranges_are_pages_on_a_host_without(void **state)
{
	struct planner *p = open_sized(ALL_GRANULES, WITHOUT_RANGES, 8);
	const struct smmuinv_command guest[] = {
		atc(1, 0x1000, 52),
		ranged(nh_va(1, 0x2000), SMMUINV_TG_4K, 0, 0, 2),
		ranged(nh_va(1, 2 * M | LEAF), SMMUINV_TG_4K, 2, 9, 1),
		nh_va(1, 0),
		ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, PAGES_MAX + 1),
		cfgi_cd(1, 0, 1),
		ranged(nh_va(1, 0x1000), SMMUINV_TG_16K, 0, 0, 2),
	};

	(void)state;
	assert_int_equal(write_out(p, guest, 7, 0, 6, PAGES_MAX),
			 PAGES_MAX - 3);
	assert_planned(p, LIST(guest[0], nh_va(1, 0x2000), nh_va(1, 0x3000),
			       nh_va(1, 2 * M | LEAF), guest[3], nh_all(),
			       guest[5]));
	assert_memory_equal(p->plan.origin,
			    ((uint32_t[]){ 0, 1, 1, 2, 3, 4, 5 }),
			    7 * sizeof(uint32_t));
	/* 4.4.1.1: not aligned, and so rounded out. */
	assert_int_equal(write_out(p, guest, 7, 6, 7, 3), 0);
	assert_planned(p,
		       LIST(nh_va(1, 0), nh_va(1, 0x4000), nh_va(1, 0x8000)));
}

/* Not of one range, but of all together, over several calls. */
static void
as_written_there_are_no_more_pages_in_a_window_than_may_be(void **state)
{
	struct planner *p = open_sized(ALL_GRANULES, WITHOUT_RANGES, 4);
	const struct smmuinv_command most =
		ranged(nh_va(1, 0), SMMUINV_TG_4K, 0, 0, PAGES_MAX - 2);
	const struct smmuinv_command three =
		ranged(nh_va(2, 0), SMMUINV_TG_4K, 0, 0, 3);
	const struct smmuinv_command two =
		ranged(nh_va(3, 0), SMMUINV_TG_4K, 0, 0, 2);
	const struct smmuinv_command guest[] = { most, three, two, two };

	(void)state;
	assert_int_equal(write_out(p, guest, 4, 0, 1, PAGES_MAX), 2);
	assert_int_equal(p->plan.count, PAGES_MAX - 2);
	assert_int_equal(write_out(p, guest, 4, 1, 4, 2), 0);
	assert_planned(p, LIST(nh_all(), nh_va(3, 0), nh_va(3, 0x1000),
			       nh_all()));
	assert_memory_equal(p->plan.origin, ((uint32_t[]){ 1, 2, 2, 3 }),
			    4 * sizeof(uint32_t));
}

static void without_memory_there_is_no_plan(void **state)
{
	const struct smmuinv_features host = test_features_full();
	struct plan plan;
	long fail_at;

	(void)state;
	for (fail_at = 0; fail_at < 5; fail_at++) {
		heap.left = fail_at;
		assert_int_equal(smmuinv__plan_init(&plan, 4, &host, 4),
				 -ENOMEM);
		assert_int_equal(heap.live, 0);
	}
	heap.left = -1;
	assert_int_equal(smmuinv__plan_init(&plan, 4, &host, 4), 0);
	smmuinv__plan_free(&plan);
	smmuinv__plan_free(&plan);
	assert_int_equal(heap.live, 0);
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
		cfgi_cd(1, 0, 0),
		cfgi_cd(1, 0, LEAF),
		cfgi_cd(1, 1, LEAF),
		cfgi_cd(2, 0, 0),
		cfgi_cd_all(1),
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

/* Of the guest's commands before @end, none has left anything. */
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
					 e, done, small.p->plan.count);
		}
	}
}

static uint32_t first_incomplete(const struct plan *plan, uint32_t done,
				 uint32_t count)
{
	uint32_t i;

	for (i = done; i < plan->count; i++) {
		if (plan->origin[i] < count)
			count = plan->origin[i];
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
	planner_fewest(small.p, commands, n);
	assert_true(plan->count <= n || !plan->host.ril);
	smmuinv_caches_refill(small.caches);
	for (i = 0; i <= plan->count; i++) {
		small_assert_complete(window, first_incomplete(plan, i, n), i);
		if (i == plan->count)
			break;
		assert_true(planner_legal(small.p, &plan->commands[i]));
		smmuinv_caches_execute(small.caches, &plan->commands[i]);
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

static void small_open(unsigned int shown, enum host kind)
{
	memset(&small, 0, sizeof(small));
	small.p = open_planner(shown, kind);
	small_alphabet();
	small_fill_4k();
	small_fill_devices();
}

static void small_close(void)
{
	smmuinv_caches_free(small.caches);
	close_planner();
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

/* Entries of ASID 2 that are not global may be of any granule. */
static void every_small_window_when_one_asid_is_certain(void **state)
{
	(void)state;
	small_open(ALL_GRANULES, WITH_RANGES);
	planner_note(small.p, 1, SMMUINV_TG_4K, SMMUINV_TG_ANY);
	small_entry(SMMUINV_CACHED_LEAF, 2, false, SMMUINV_TG_16K, 3, 0x10000);
	small_entry(SMMUINV_CACHED_LEAF, 2, false, SMMUINV_TG_64K, 3, 0x10000);
	small_entry(SMMUINV_CACHED_TABLE, 2, false, SMMUINV_TG_64K, 2, 0);
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
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(pages_of_the_one_granule_shown_are_one_range),
		T(pages_of_an_asid_whose_cds_agree_are_one_range),
		T(pages_of_an_uncertain_granule_stay_what_they_are),
		T(a_page_by_itself_stays_what_it_is),
		T(the_middle_of_a_granule_is_its_granule),
		T(what_is_one_page_apart_is_apart),
		T(every_length_up_to_2048_pages_is_one_command),
		T(every_length_that_a_range_can_have_is_one_command),
		T(what_is_longer_than_any_range_is_as_few_as_can_be),
		T(a_range_that_has_one_granule_left_over),
		T(what_is_in_no_half_is_joined_with_nothing),
		T(the_top_of_the_address_space_is_an_end),
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
		T(an_unaligned_range_goes_as_it_is),
		T(an_aligned_range_is_aligned_to_its_level),
		T(a_range_is_pages_on_a_host_without),
		T(pages_of_a_range_end_with_its_half),
		T(addresses_stay_what_they_are_on_a_host_without_ranges),
		T(of_a_known_level_it_is_one_page_for_each_entry),
		T(ranges_that_touch_are_pages_only_once),
		T(an_unaligned_range_is_rounded_out_to_pages),
		T(beyond_the_threshold_of_a_window_all_goes),
		T(there_is_room_for_a_full_window_and_the_pages),
		T(cfgi_cd_is_under_cfgi_cd_all_of_its_stream),
		T(cfgi_cd_leaf_is_under_whole_of_its_substream),
		T(atc_spans_that_are_buddies_are_one),
		T(atc_pages_are_as_few_spans_as_can_be),
		T(atc_buddies_end_at_all_there_is),
		T(a_smaller_atc_span_is_part_of_a_larger),
		T(atc_spans_of_others_are_apart),
		T(ranks_come_one_after_the_other),
		T(what_has_a_rule_is_not_sent),
		T(a_window_remembers_nothing_of_the_one_before),
		T(what_is_said_again_is_said_once),
		T(a_run_that_is_begun_again_keeps_what_it_had),
		T(windows_of_every_size_are_sorted),
		T(an_address_out_of_range_takes_no_other_along),
		T(as_written_is_as_written),
		T(as_written_ranges_are_pages_on_a_host_without),
		T(as_written_there_are_no_more_pages_in_a_window_than_may_be),
		T(without_memory_there_is_no_plan),
		T(every_small_window_when_4k_is_all_there_is),
		T(every_small_window_when_nothing_is_certain),
		T(every_small_window_when_one_asid_is_certain),
		T(every_small_window_on_a_host_without_ranges),
#undef T
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
