/* SPDX-License-Identifier: MIT */
/*
 * From spans to commands. An oracle decodes each command into what it reaches,
 * by Arm IHI 0070 4.4.1.1 and 4.5.1, and the union must be the span.
 */
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <smmuinv/check.h>
#include <smmuinv/range.h>

#include "spec.h"

#define CAPACITY 4096

/* One more than fits, to see that nothing is written behind. */
static struct smmuinv_command out[CAPACITY + 1];

static const struct smmuinv_command untouched = { { 0xa5a5a5a5a5a5a5a5,
						    0x5a5a5a5a5a5a5a5a } };

static const uint64_t granules[] = { 4096, 16384, 65536 };

static void clear_out(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(out); i++)
		out[i] = untouched;
}

static void assert_out_untouched(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(out); i++)
		assert_true(test_command_equal(&out[i], &untouched));
}

static uint64_t get(const struct smmuinv_command *command,
		    enum smmuinv_field field)
{
	return smmuinv_command_get(command, field);
}

static unsigned int log2_of(uint64_t power_of_two)
{
	return (unsigned int)__builtin_ctzll(power_of_two);
}

/*
 * Bytes that a leaf entry maps (4.4.1.1's alignment, written out): 4K and
 * level 1 is Address[29:12] zero, and so on.
 */
static uint64_t entry_bytes(uint64_t granule, unsigned int level)
{
	static const unsigned int bits[3][4] = {
		{ 12, 30, 21, 12 },
		{ 14, 36, 25, 14 },
		{ 16, 42, 29, 16 },
	};
	unsigned int row = granule == 4096 ? 0 : granule == 16384 ? 1 : 2;

	return UINT64_C(1) << bits[row][level];
}

static uint64_t tg_granule(uint64_t tg)
{
	static const uint64_t sizes[] = { 0, 4096, 16384, 65536 };

	return sizes[tg];
}

/* Features with just this granule. */
static struct smmuinv_features with_granule(uint64_t granule, bool ril, bool ds)
{
	struct smmuinv_features f = test_features_full();

	spec_feature_set(&f, SMMUINV_FEATURE_GRAN4K, granule == 4096);
	spec_feature_set(&f, SMMUINV_FEATURE_GRAN16K, granule == 16384);
	spec_feature_set(&f, SMMUINV_FEATURE_GRAN64K, granule == 65536);
	spec_feature_set(&f, SMMUINV_FEATURE_RIL, ril);
	spec_feature_set(&f, SMMUINV_FEATURE_DS, ds);
	return f;
}

static struct smmuinv_range span(uint64_t iova, uint64_t length,
				 uint64_t granule, uint8_t level)
{
	return (struct smmuinv_range){
		.size = sizeof(struct smmuinv_range),
		.iova = iova,
		.length = length,
		.granule = granule,
		.level = level,
	};
}

/* What a command reaches: its first and last byte. */
struct reach {
	uint64_t first;
	uint64_t last;
};

/*
 * Without TG a command drops the entries that its address is in: what was asked
 * for is then one entry of the level that the caller knows.
 */
static struct reach reach_of(const struct smmuinv_command *c,
			     const struct smmuinv_range *r)
{
	uint64_t tg = get(c, SMMUINV_FIELD_TG);
	uint64_t va = get(c, SMMUINV_FIELD_VA);
	uint64_t bytes = entry_bytes(r->granule, r->level);

	if (tg)
		bytes = ((get(c, SMMUINV_FIELD_NUM) + 1)
			 << get(c, SMMUINV_FIELD_SCALE)) *
			tg_granule(tg);
	return (struct reach){ va, va + (bytes - 1) };
}

/* The operands that are the same in every command of a span. */
static void assert_operands(const struct smmuinv_command *c,
			    const struct smmuinv_range *r)
{
	assert_int_equal(smmuinv_command_opcode(c), r->all_asids ? 0x13 : 0x12);
	assert_int_equal(get(c, SMMUINV_FIELD_RES0), 0);
	assert_int_equal(get(c, SMMUINV_FIELD_VMID), 0);
	assert_int_equal(get(c, SMMUINV_FIELD_TTL128), 0);
	assert_int_equal(get(c, SMMUINV_FIELD_ASID), r->asid);
	assert_int_equal(get(c, SMMUINV_FIELD_LEAF), r->leaf);
}

/* TG and TTL say no less than the caller knows, and no more (4.4.1.1). */
static void assert_hints(const struct smmuinv_command *c,
			 const struct smmuinv_range *r, bool ril)
{
	uint64_t tg = get(c, SMMUINV_FIELD_TG);
	uint64_t ttl = get(c, SMMUINV_FIELD_TTL);

	if (!tg) {
		assert_int_equal(ttl, 0);
		assert_int_equal(get(c, SMMUINV_FIELD_NUM), 0);
		assert_int_equal(get(c, SMMUINV_FIELD_SCALE), 0);
		/* The only use for it: a reserved encoding otherwise. */
		assert_true(!ril || r->level == SMMUINV_LEVEL_UNKNOWN);
		return;
	}
	assert_true(ril);
	assert_int_equal(tg_granule(tg), r->granule);
	assert_int_equal(ttl, r->level);
	assert_int_equal(get(c, SMMUINV_FIELD_VA) &
				 (entry_bytes(r->granule, r->level) - 1),
			 0);
}

/* The SMMU takes the command as it is, and it may be sent as it is. */
static void assert_accepted(const struct smmuinv_command *c,
			    const struct smmuinv_features *f)
{
	struct smmuinv_finding finding = { .size = sizeof(finding) };

	if (smmuinv_check(c, f, f, SMMUINV_CHECK_STRICT, &finding) !=
	    SMMUINV_FORWARD)
		fail_msg("%s: %s", test_text(c),
			 smmuinv_rule_text(finding.rule));
	assert_true(test_command_equal(c, &finding.command));
}

/*
 * One span, with everything that must hold for it: the commands reach it from
 * its first byte to its last, without gap or overlap. Returns how many.
 */
static int64_t cover(const struct smmuinv_range *r,
		     const struct smmuinv_features *f)
{
	bool ril = smmuinv_features_get(f, SMMUINV_FEATURE_RIL);
	uint64_t next = r->iova;
	int64_t n = smmuinv_range_tlbi(r, f, out, CAPACITY);
	int64_t i;

	if (n < 1 || n > CAPACITY)
		fail_msg("span 0x%" PRIx64 "+0x%" PRIx64 " of %" PRIu64
			 ", level %u: %" PRId64,
			 r->iova, r->length, r->granule, r->level, n);
	for (i = 0; i < n; i++) {
		struct reach reach = reach_of(&out[i], r);

		assert_operands(&out[i], r);
		assert_hints(&out[i], r, ril);
		assert_accepted(&out[i], f);
		if (reach.first != next || reach.last < reach.first)
			fail_msg("span 0x%" PRIx64 "+0x%" PRIx64
				 ": gap or overlap at %s",
				 r->iova, r->length, test_text(&out[i]));
		next = reach.last + 1;
	}
	assert_int_equal(next, r->iova + r->length);
	return n;
}

/*
 * The fewest numbers (n + 1) << s, n below 32, that sum up to each count:
 * by dynamic programming, and so without any idea of how to choose them.
 */
#define FEWEST_MAX 4096

static unsigned int fewest[FEWEST_MAX + 1];

static int fill_fewest(void **state)
{
	unsigned int count;
	unsigned int s;
	unsigned int n;

	(void)state;
	for (count = 1; count <= FEWEST_MAX; count++) {
		fewest[count] = count;
		for (s = 0; s <= 12; s++)
			for (n = 1; n <= 32 && (n << s) <= count; n++) {
				unsigned int with =
					fewest[count - (n << s)] + 1;

				if (with < fewest[count])
					fewest[count] = with;
			}
	}
	return 0;
}

/* Where spans start: zero, a middle, both ends of both halves (3.4.1). */
static const uint64_t bases[] = {
	0,
	0x0000000080000000,
	0x0000123456000000,
	0x0000800000000000,
	0x8000000000000000,
	0xffff000000000000,
	0xffffffffc0000000,
};

/* Short spans of every length from many starts above a base. */
static void cover_all_above(uint64_t base, uint64_t granule)
{
	struct smmuinv_features f = with_granule(granule, true, false);
	uint64_t start;
	uint64_t count;

	for (start = 0; start < 34; start += 3) {
		for (count = 1; count <= 140; count++) {
			struct smmuinv_range r =
				span(base + start * granule, count * granule,
				     granule, 0);

			cover(&r, &f);
		}
	}
}

/* 4.4.1.1: Range = ((NUM + 1) * 2^SCALE) * granule, from Address */
static void the_commands_reach_exactly_the_span_and_none_twice(void **state)
{
	size_t g;
	size_t b;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		for (b = 0; b < ARRAY_SIZE(bases); b++)
			cover_all_above(bases[b], granules[g]);
	}
}

static void every_count_of_granules_takes_the_fewest_commands(void **state)
{
	size_t g;
	uint64_t count;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(granules); g++)
		for (count = 1; count <= FEWEST_MAX; count++) {
			struct smmuinv_features f =
				with_granule(granules[g], true, false);
			struct smmuinv_range r =
				span(7 * granules[g], count * granules[g],
				     granules[g], 0);

			assert_int_equal(cover(&r, &f), fewest[count]);
		}
}

/* Every granule with every level from @lowest on. */
static void for_levels(unsigned int lowest,
		       void (*test)(uint64_t granule, uint8_t level))
{
	unsigned int level;
	size_t g;

	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		for (level = lowest; level <= 3; level++)
			test(granules[g], (uint8_t)level);
	}
}

static void take_fewest(uint64_t granule, uint8_t level)
{
	struct smmuinv_features f = with_granule(granule, true, true);
	uint64_t entry = entry_bytes(granule, level);
	uint64_t count;

	for (count = 1; count <= 1100; count++) {
		struct smmuinv_range r =
			span(3 * entry, count * entry, granule, level);

		assert_int_equal(cover(&r, &f), fewest[count]);
	}
}

/* With a level, all lengths are sums of entries, and so are the commands'. */
static void every_count_of_entries_takes_the_fewest_commands(void **state)
{
	(void)state;
	for_levels(1, take_fewest);
}

static void take_aligned(uint64_t granule, uint8_t level)
{
	struct smmuinv_features f = with_granule(granule, true, true);
	uint64_t entry = entry_bytes(granule, level);
	uint64_t most = (UINT64_C(1) << 52) / entry;
	size_t i;

	for (i = 0; i < test_iterations(3000); i++) {
		struct smmuinv_range r = span(
			test_random_below(most) * entry,
			(1 + test_random_below(most)) * entry, granule, level);

		/* cover() holds each command against entry_bytes(). */
		cover(&r, &f);
	}
}

/* 4.4.1.1: the range is UNPREDICTABLE where the address is not aligned so */
static void every_command_is_aligned_to_what_its_tg_and_ttl_say(void **state)
{
	(void)state;
	for_levels(0, take_aligned);
}

static uint64_t random_shifted(unsigned int bits)
{
	return test_random() >> (64 - bits) >>
	       test_random_below((uint64_t)bits);
}

static void random_spans_of_both_halves_are_reached_exactly(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(100000); i++) {
		uint64_t granule = granules[test_random_below(3)];
		unsigned int level = (unsigned int)test_random_below(4);
		bool ds = test_chance(50) || (granule == 16384 && level == 1);
		struct smmuinv_features f = with_granule(granule, true, ds);
		unsigned int shift = log2_of(entry_bytes(granule, level));
		uint64_t room = UINT64_C(1) << (63 - shift);
		uint64_t start = random_shifted(63 - shift);
		uint64_t count = 1 + random_shifted(63 - shift);
		uint64_t half = test_chance(50) ? UINT64_C(1) << 63 : 0;
		struct smmuinv_range r;

		if (count > room - start)
			count = room - start;
		r = span(half | start << shift, count << shift, granule,
			 (uint8_t)level);
		r.leaf = test_chance(50);
		r.all_asids = test_chance(50);
		r.asid = r.all_asids ? 0 : (uint16_t)test_random_edge();
		/* Without DS, the longest spans need more than fit. */
		if (ds || count << shift <= UINT64_C(1) << 58)
			cover(&r, &f);
	}
}

/* 4.4.1.1: NUM, SCALE and TTL all 0 with a TG is CERROR_ILL */
static void a_single_granule_of_unknown_level_has_no_tg(void **state)
{
	size_t g;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		struct smmuinv_features f =
			with_granule(granules[g], true, false);
		struct smmuinv_range r =
			span(granules[g] * 5, granules[g], granules[g], 0);

		assert_int_equal(cover(&r, &f), 1);
		assert_int_equal(get(&out[0], SMMUINV_FIELD_TG), 0);
	}
}

static void take_one_entry(uint64_t granule, uint8_t level)
{
	struct smmuinv_features f = with_granule(granule, true, true);
	uint64_t entry = entry_bytes(granule, level);
	struct smmuinv_range r = span(entry, entry, granule, level);

	assert_int_equal(cover(&r, &f), 1);
	assert_int_equal(tg_granule(get(&out[0], SMMUINV_FIELD_TG)), granule);
	assert_int_equal(get(&out[0], SMMUINV_FIELD_TTL), level);
}

/* 4.4.1.1: with a TTL it is no reserved encoding, and keeps the hint */
static void a_single_entry_of_known_level_has_tg_and_ttl(void **state)
{
	(void)state;
	for_levels(1, take_one_entry);
}

/* 4.4.1.1: a guessed last level would leave block entries behind */
static void an_unknown_level_is_never_guessed(void **state)
{
	struct smmuinv_features f = with_granule(4096, true, true);
	uint64_t count;
	int64_t n;
	int64_t i;

	(void)state;
	for (count = 1; count <= 2048; count++) {
		struct smmuinv_range r =
			span(0, count * 4096, 4096, SMMUINV_LEVEL_UNKNOWN);

		n = smmuinv_range_tlbi(&r, &f, out, CAPACITY);
		for (i = 0; i < n; i++)
			assert_int_equal(get(&out[i], SMMUINV_FIELD_TTL), 0);
	}
}

static void take_each_entry(uint64_t granule, uint8_t level)
{
	struct smmuinv_features f = with_granule(granule, false, true);
	uint64_t entry = entry_bytes(granule, level);
	uint64_t count;

	for (count = 1; count <= 64; count++) {
		struct smmuinv_range r =
			span(entry * 2, entry * count, granule, level);

		assert_int_equal(cover(&r, &f), count);
	}
}

/* 4.4.1.1: all range fields are RES0 without IDR3.RIL */
static void without_ril_there_is_one_command_for_each_entry(void **state)
{
	(void)state;
	for_levels(0, take_each_entry);
}

static void cover_to_the_top(uint64_t granule, bool ril)
{
	struct smmuinv_features f = with_granule(granule, ril, false);
	uint64_t count;

	for (count = 1; count <= 300; count++) {
		uint64_t length = count * granule;
		struct smmuinv_range r = span(0 - length, length, granule, 0);

		cover(&r, &f);
	}
}

static void the_upper_half_is_reached_up_to_its_last_byte(void **state)
{
	size_t g;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		cover_to_the_top(granules[g], true);
		cover_to_the_top(granules[g], false);
	}
}

static void assert_invalid(const struct smmuinv_range *r)
{
	struct smmuinv_features f = test_features_full();

	clear_out();
	if (smmuinv_range_tlbi(r, &f, out, CAPACITY) != -EINVAL)
		fail_msg("span 0x%" PRIx64 "+0x%" PRIx64 " of %" PRIu64
			 ", level %u is not refused",
			 r->iova, r->length, r->granule, r->level);
	assert_out_untouched();
}

/* 4.4.1.1: a range does not wrap, and need not reach the other half */
static void a_span_that_wraps_or_crosses_the_halves_is_invalid(void **state)
{
	const uint64_t half = UINT64_C(1) << 63;
	struct smmuinv_range r;
	size_t g;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		uint64_t page = granules[g];

		r = span(0 - page, 2 * page, page, 0);
		assert_invalid(&r);
		r = span(half - page, 2 * page, page, 0);
		assert_invalid(&r);
		r = span(0, half + page, page, 0);
		assert_invalid(&r);
		r = span(half, half + page, page, 0);
		assert_invalid(&r);
		r = span(page, 0 - page, page, 0);
		assert_invalid(&r);
		r = span(page, 0 - 2 * page, page, 0);
		assert_invalid(&r);
	}
}

static void each_half_may_be_spanned_whole(void **state)
{
	const uint64_t half = UINT64_C(1) << 63;
	size_t g;

	(void)state;
	for (g = 0; g < ARRAY_SIZE(granules); g++) {
		struct smmuinv_features f =
			with_granule(granules[g], true, true);
		struct smmuinv_range lower = span(0, half, granules[g], 0);
		struct smmuinv_range upper = span(half, half, granules[g], 0);

		cover(&lower, &f);
		cover(&upper, &f);
	}
}

static void an_empty_span_is_invalid(void **state)
{
	struct smmuinv_range r = span(4096, 0, 4096, 0);

	(void)state;
	assert_invalid(&r);
	r.iova = 0;
	assert_invalid(&r);
}

static void refuse_part_of_an_entry(uint64_t granule, uint8_t level)
{
	uint64_t entry = entry_bytes(granule, level);
	unsigned int bit;

	for (bit = 0; bit < log2_of(entry); bit++) {
		uint64_t off = UINT64_C(1) << bit;
		struct smmuinv_range r = span(entry, entry, granule, level);

		r.iova += off;
		assert_invalid(&r);
		r.iova -= off;
		r.length += off;
		assert_invalid(&r);
		r.iova += off;
		assert_invalid(&r);
	}
}

static void a_span_that_is_no_multiple_of_its_entries_is_invalid(void **state)
{
	(void)state;
	for_levels(0, refuse_part_of_an_entry);
}

static void a_granule_that_no_smmu_has_is_invalid(void **state)
{
	static const uint64_t none[] = {
		0,          1,
		2,          2048,
		4095,       4097,
		8192,       12288,
		32768,      20480,
		65535,      131072,
		1 << 21,    UINT64_C(1) << 63,
		UINT64_MAX,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		struct smmuinv_range r = span(0, 1 << 22, none[i], 0);

		assert_invalid(&r);
		r.level = 3;
		assert_invalid(&r);
	}
}

static void a_level_that_does_not_exist_is_invalid(void **state)
{
	unsigned int level;

	(void)state;
	for (level = 4; level < 256; level++) {
		struct smmuinv_range r =
			span(0, UINT64_C(1) << 42, 4096, (uint8_t)level);

		assert_invalid(&r);
	}
}

static void an_asid_for_all_asids_is_invalid(void **state)
{
	struct smmuinv_range r = span(0, 4096, 4096, 0);

	(void)state;
	r.all_asids = true;
	r.asid = 1;
	assert_invalid(&r);
	r.asid = 0x8000;
	assert_invalid(&r);
}

static void a_span_with_something_reserved_is_invalid(void **state)
{
	struct smmuinv_range r = span(0, 4096, 4096, 0);
	size_t at;

	(void)state;
	for (at = 0; test_only_byte(r.reserved, sizeof(r.reserved), at); at++)
		assert_invalid(&r);
}

static void a_span_of_a_wrong_size_or_null_is_invalid(void **state)
{
	struct smmuinv_features f = test_features_full();
	struct {
		struct smmuinv_range known;
		unsigned char tail[8];
	} newer = { .known = span(0, 4096, 4096, 0) };
	size_t size;

	(void)state;
	for (size = 0; size < sizeof(struct smmuinv_range); size++) {
		struct smmuinv_range r = span(0, 4096, 4096, 0);

		r.size = size;
		assert_invalid(&r);
	}
	newer.known.size = sizeof(newer);
	assert_int_equal(smmuinv_range_tlbi(&newer.known, &f, out, 1), 1);
	newer.tail[0] = 1;
	assert_int_equal(smmuinv_range_tlbi(&newer.known, &f, out, 1), -EINVAL);
	newer.tail[0] = 0;
	assert_int_equal(smmuinv_range_tlbi(NULL, &f, out, 1), -EINVAL);
	assert_int_equal(smmuinv_range_tlbi(&newer.known, NULL, out, 1),
			 -EINVAL);
	assert_int_equal(smmuinv_range_tlbi(&newer.known, &f, NULL, 1),
			 -EINVAL);
}

static void a_granule_that_this_smmu_lacks_is_not_supported(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; n < 2 * 3 * 3; n++) {
		uint64_t has = granules[n / 2 % 3];
		uint64_t wanted = granules[n / 6];
		struct smmuinv_features f = with_granule(has, n % 2, true);
		struct smmuinv_range r = span(0, wanted, wanted, 0);

		assert_int_equal(smmuinv_range_tlbi(&r, &f, out, CAPACITY),
				 has == wanted ? 1 : -EOPNOTSUPP);
	}
}

/* 4.4.1.1: TTL 1 with TG 16K is reserved without IDR5.DS */
static void a_level_1_span_of_16k_needs_ds(void **state)
{
	uint64_t entry = entry_bytes(16384, 1);
	struct smmuinv_range r = span(entry, entry, 16384, 1);
	unsigned int ril;

	(void)state;
	for (ril = 0; ril < 2; ril++) {
		struct smmuinv_features with = with_granule(16384, ril, true);
		struct smmuinv_features without =
			with_granule(16384, ril, false);

		clear_out();
		assert_int_equal(smmuinv_range_tlbi(&r, &without, out, 1),
				 -EOPNOTSUPP);
		assert_out_untouched();
		assert_int_equal(cover(&r, &with), 1);
	}
}

/* 4.4.1.1: SCALE is 5 bits without IDR5.DS, and goes to 39 with it */
static void scale_stays_within_31_and_with_ds_within_39(void **state)
{
	const uint64_t half = UINT64_C(1) << 63;
	struct smmuinv_range r = span(0, half, 4096, 0);
	struct smmuinv_features f = with_granule(4096, true, true);
	uint64_t most = 0;
	int64_t i;
	int64_t n = cover(&r, &f);

	(void)state;
	/* 2^51 granules in pieces of 32 << 39 */
	assert_int_equal(n, 1 << (51 - 5 - 39));
	for (i = 0; i < n; i++) {
		if (get(&out[i], SMMUINV_FIELD_SCALE) > most)
			most = get(&out[i], SMMUINV_FIELD_SCALE);
	}
	assert_int_equal(most, 39);
	f = with_granule(4096, true, false);
	/* 2^47 granules in pieces of 32 << 31 */
	r.length = UINT64_C(1) << 59;
	n = cover(&r, &f);
	assert_int_equal(n, 1 << (47 - 5 - 31));
	for (i = 0; i < n; i++)
		assert_int_equal(get(&out[i], SMMUINV_FIELD_SCALE), 31);
	/* 2^51 granules: more than fit here, counted all the same */
	r.length = half;
	clear_out();
	assert_int_equal(smmuinv_range_tlbi(&r, &f, out, CAPACITY),
			 1 << (51 - 5 - 31));
	assert_out_untouched();
}

/* Of @need commands for which there was room for @capacity. */
static void assert_all_or_nothing(size_t need, size_t capacity)
{
	size_t i;

	if (capacity < need) {
		assert_out_untouched();
		return;
	}
	for (i = 0; i < need; i++)
		assert_false(test_command_equal(&out[i], &untouched));
	assert_true(test_command_equal(&out[need], &untouched));
}

static void write_all_or_nothing(const struct smmuinv_range *r,
				 const struct smmuinv_features *f)
{
	int64_t need = smmuinv_range_tlbi(r, f, NULL, 0);
	size_t capacity;

	for (capacity = 0; capacity <= (size_t)need + 1; capacity++) {
		clear_out();
		assert_int_equal(smmuinv_range_tlbi(r, f, out, capacity), need);
		assert_all_or_nothing((size_t)need, capacity);
	}
}

static void what_does_not_fit_is_counted_and_not_written(void **state)
{
	struct smmuinv_features ranges = with_granule(4096, true, false);
	struct smmuinv_features pages = with_granule(4096, false, false);
	uint64_t count;

	(void)state;
	for (count = 1; count <= 40; count++) {
		struct smmuinv_range r = span(0, count * 4096, 4096, 0);

		write_all_or_nothing(&r, &pages);
		r.length = (count * 2654435761 >> 3) % 0xffffff * 4096 + 4096;
		write_all_or_nothing(&r, &ranges);
	}
}

/* However many, counting is not a loop over them. */
static void the_need_of_the_longest_span_is_known_at_once(void **state)
{
	struct smmuinv_features f = with_granule(4096, false, false);
	struct smmuinv_range r = span(0, UINT64_C(1) << 63, 4096, 0);

	(void)state;
	assert_int_equal(smmuinv_range_tlbi(&r, &f, NULL, 0), INT64_C(1) << 51);
	clear_out();
	assert_int_equal(smmuinv_range_tlbi(&r, &f, out, CAPACITY),
			 INT64_C(1) << 51);
	assert_out_untouched();
}

static struct smmuinv_atc_range atc_span(uint64_t address, uint64_t length)
{
	return (struct smmuinv_atc_range){
		.size = sizeof(struct smmuinv_atc_range),
		.address = address,
		.length = length,
		.sid = 0x1234,
	};
}

/*
 * How many maximal aligned powers of two make up pages first..last: by walking
 * down the tree of all of them.
 */
static unsigned int dyadic(uint64_t first, uint64_t last, uint64_t node,
			   unsigned int log2)
{
	uint64_t end = node + ((UINT64_C(1) << log2) - 1);

	if (end < first || node > last)
		return 0;
	if (node >= first && end <= last)
		return 1;
	return dyadic(first, last, node, log2 - 1) +
	       dyadic(first, last, node + (UINT64_C(1) << (log2 - 1)),
		      log2 - 1);
}

/* One span of a device's ATC, with everything that must hold for it. */
static int64_t atc_cover(const struct smmuinv_atc_range *r,
			 const struct smmuinv_features *f)
{
	uint64_t next = r->address;
	int64_t n = smmuinv_range_atc(r, f, out, CAPACITY);
	int64_t i;

	assert_true(n >= 1 && n <= CAPACITY);
	for (i = 0; i < n; i++) {
		const struct smmuinv_command *c = &out[i];
		uint64_t size = get(c, SMMUINV_FIELD_ATC_SIZE);
		uint64_t bytes = UINT64_C(4096) << size;

		assert_int_equal(smmuinv_command_opcode(c), 0x40);
		assert_int_equal(get(c, SMMUINV_FIELD_RES0), 0);
		assert_int_equal(get(c, SMMUINV_FIELD_STREAMID), r->sid);
		assert_int_equal(get(c, SMMUINV_FIELD_SUBSTREAMID), r->ssid);
		assert_int_equal(get(c, SMMUINV_FIELD_SSV), r->ssv);
		assert_int_equal(get(c, SMMUINV_FIELD_GLOBAL), r->global);
		assert_true(size < SMMUINV_ATC_SIZE_ALL);
		/* 4.5.1: the SMMU aligns the address down to the size */
		assert_int_equal(get(c, SMMUINV_FIELD_ADDR) & (bytes - 1), 0);
		assert_int_equal(get(c, SMMUINV_FIELD_ADDR), next);
		assert_accepted(c, f);
		next += bytes;
	}
	assert_int_equal(next, r->address + r->length);
	return n;
}

/* 4.5.1: a span is 4096 << Size bytes, at a multiple of that */
static void atc_spans_are_aligned_exact_and_the_fewest(void **state)
{
	struct smmuinv_features f = test_features_full();
	uint64_t first;
	uint64_t pages;

	(void)state;
	for (first = 0; first < 130; first++)
		for (pages = 1; pages < 130; pages++) {
			struct smmuinv_atc_range r =
				atc_span(first * 4096, pages * 4096);

			assert_int_equal(
				atc_cover(&r, &f),
				dyadic(first, first + pages - 1, 0, 52));
		}
}

static void random_atc_spans_are_exact_and_the_fewest(void **state)
{
	struct smmuinv_features f = test_features_full();
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(50000); i++) {
		uint64_t first = random_shifted(52);
		uint64_t pages = 1 + random_shifted(52);
		struct smmuinv_atc_range r;

		if (test_chance(30))
			first |= UINT64_C(0xffff) << 36;
		if (pages > (UINT64_C(1) << 52) - first)
			pages = (UINT64_C(1) << 52) - first;
		if (!first && pages == UINT64_C(1) << 52)
			pages--;
		r = atc_span(first << 12, pages << 12);
		r.ssv = test_chance(50);
		if (r.ssv) {
			r.ssid = (uint32_t)test_random_edge() & 0xfffff;
			r.global = test_chance(50);
		}
		assert_int_equal(atc_cover(&r, &f),
				 dyadic(first, first + pages - 1, 0, 52));
	}
}

static void an_atc_span_may_end_with_the_address_space(void **state)
{
	struct smmuinv_features f = test_features_full();
	struct smmuinv_atc_range r;
	unsigned int log2;

	(void)state;
	for (log2 = 12; log2 < 64; log2++) {
		uint64_t length = UINT64_C(1) << log2;

		r = atc_span(0 - length, length);
		assert_int_equal(atc_cover(&r, &f), 1);
		r = atc_span(0, length);
		assert_int_equal(atc_cover(&r, &f), 1);
	}
	/* all but the first page: one of each size */
	r = atc_span(4096, 0 - UINT64_C(4096));
	assert_int_equal(atc_cover(&r, &f), 52);
}

static void assert_atc_invalid(const struct smmuinv_atc_range *r)
{
	struct smmuinv_features f = test_features_full();

	clear_out();
	assert_int_equal(smmuinv_range_atc(r, &f, out, CAPACITY), -EINVAL);
	assert_out_untouched();
}

static void
an_atc_span_that_is_empty_unaligned_or_wraps_is_invalid(void **state)
{
	struct smmuinv_atc_range r = atc_span(0, 0);
	unsigned int bit;

	(void)state;
	assert_atc_invalid(&r);
	r = atc_span(4096, 0);
	assert_atc_invalid(&r);
	for (bit = 0; bit < 12; bit++) {
		r = atc_span(4096 + (UINT64_C(1) << bit), 4096);
		assert_atc_invalid(&r);
		r = atc_span(4096, 4096 + (UINT64_C(1) << bit));
		assert_atc_invalid(&r);
	}
	r = atc_span(0 - UINT64_C(4096), 8192);
	assert_atc_invalid(&r);
	r = atc_span(8192, 0 - UINT64_C(4096));
	assert_atc_invalid(&r);
}

/* 4.5.1: SubstreamID and Global are IGNORED without SSV */
static void an_atc_substreamid_or_global_without_ssv_is_invalid(void **state)
{
	struct smmuinv_atc_range r = atc_span(0, 4096);

	(void)state;
	r.ssid = 1;
	assert_atc_invalid(&r);
	r.ssid = 0;
	r.global = true;
	assert_atc_invalid(&r);
	r.ssv = true;
	r.ssid = 0x100000;
	assert_atc_invalid(&r);
	r.ssid = UINT32_MAX;
	assert_atc_invalid(&r);
}

static void an_atc_span_with_something_reserved_is_invalid(void **state)
{
	struct smmuinv_atc_range r = atc_span(0, 4096);
	size_t at;

	(void)state;
	for (at = 0; test_only_byte(r.reserved, sizeof(r.reserved), at); at++)
		assert_atc_invalid(&r);
}

static void an_atc_span_of_a_wrong_size_or_null_is_invalid(void **state)
{
	struct smmuinv_features f = test_features_full();
	struct {
		struct smmuinv_atc_range known;
		unsigned char tail[8];
	} newer = { .known = atc_span(0, 4096) };
	size_t size;

	(void)state;
	for (size = 0; size < sizeof(struct smmuinv_atc_range); size++) {
		struct smmuinv_atc_range r = atc_span(0, 4096);

		r.size = size;
		assert_atc_invalid(&r);
	}
	newer.known.size = sizeof(newer);
	assert_int_equal(smmuinv_range_atc(&newer.known, &f, out, 1), 1);
	newer.tail[7] = 1;
	assert_int_equal(smmuinv_range_atc(&newer.known, &f, out, 1), -EINVAL);
	newer.tail[7] = 0;
	assert_int_equal(smmuinv_range_atc(NULL, &f, out, 1), -EINVAL);
	assert_int_equal(smmuinv_range_atc(&newer.known, NULL, out, 1),
			 -EINVAL);
	assert_int_equal(smmuinv_range_atc(&newer.known, &f, NULL, 1), -EINVAL);
}

/* 4.5.1: ATC_INV is ILLEGAL when IDR0.ATS is 0 */
static void an_atc_span_without_ats_is_not_supported(void **state)
{
	struct smmuinv_features f = test_features_full();
	struct smmuinv_atc_range r = atc_span(0, 4096);

	(void)state;
	spec_feature_set(&f, SMMUINV_FEATURE_ATS, 0);
	assert_int_equal(smmuinv_range_atc(&r, &f, out, 1), -EOPNOTSUPP);
}

/* 4.5.1: without SubstreamIDs SSV must be 0 */
static void
an_atc_substreamid_that_the_smmu_lacks_is_not_supported(void **state)
{
	struct smmuinv_features f = test_features_full();
	uint32_t bits;
	uint32_t bit;

	(void)state;
	for (bits = 0; bits <= 20; bits++) {
		struct smmuinv_atc_range r = atc_span(0, 4096);

		spec_feature_set(&f, SMMUINV_FEATURE_SSIDSIZE, bits);
		assert_int_equal(atc_cover(&r, &f), 1);
		r.ssv = true;
		assert_int_equal(smmuinv_range_atc(&r, &f, out, 1),
				 bits ? 1 : -EOPNOTSUPP);
		for (bit = 0; bit < 20; bit++) {
			r.ssid = UINT32_C(1) << bit;
			assert_int_equal(smmuinv_range_atc(&r, &f, out, 1),
					 bit < bits ? 1 : -EOPNOTSUPP);
		}
	}
}

static void atc_spans_that_do_not_fit_are_counted_and_not_written(void **state)
{
	struct smmuinv_features f = test_features_full();
	struct smmuinv_atc_range r = atc_span(4096, 62 * 4096);
	int64_t need = smmuinv_range_atc(&r, &f, NULL, 0);
	size_t capacity;

	(void)state;
	assert_int_equal(need, 10);
	for (capacity = 0; capacity < 12; capacity++) {
		clear_out();
		assert_int_equal(smmuinv_range_atc(&r, &f, out, capacity),
				 need);
		assert_all_or_nothing((size_t)need, capacity);
	}
}

/* 4.4: the upper byte would be RES0, and another ASID would be meant. */
static void an_asid_of_16_bits_needs_asid16(void **state)
{
	struct smmuinv_range range = {
		.size = sizeof(range),
		.length = 4096,
		.granule = 4096,
		.asid = 256,
	};
	struct smmuinv_features features = test_features_full();
	struct smmuinv_command command;

	(void)state;
	assert_int_equal(smmuinv_range_tlbi(&range, &features, &command, 1), 1);
	spec_feature_set(&features, SMMUINV_FEATURE_ASID16, 0);
	assert_int_equal(smmuinv_range_tlbi(&range, &features, &command, 1),
			 -EOPNOTSUPP);
	range.asid = 255;
	assert_int_equal(smmuinv_range_tlbi(&range, &features, &command, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(the_commands_reach_exactly_the_span_and_none_twice),
		T(an_asid_of_16_bits_needs_asid16),
		T(every_count_of_granules_takes_the_fewest_commands),
		T(every_count_of_entries_takes_the_fewest_commands),
		T(every_command_is_aligned_to_what_its_tg_and_ttl_say),
		T(random_spans_of_both_halves_are_reached_exactly),
		T(a_single_granule_of_unknown_level_has_no_tg),
		T(a_single_entry_of_known_level_has_tg_and_ttl),
		T(an_unknown_level_is_never_guessed),
		T(without_ril_there_is_one_command_for_each_entry),
		T(the_upper_half_is_reached_up_to_its_last_byte),
		T(a_span_that_wraps_or_crosses_the_halves_is_invalid),
		T(each_half_may_be_spanned_whole),
		T(an_empty_span_is_invalid),
		T(a_span_that_is_no_multiple_of_its_entries_is_invalid),
		T(a_granule_that_no_smmu_has_is_invalid),
		T(a_level_that_does_not_exist_is_invalid),
		T(an_asid_for_all_asids_is_invalid),
		T(a_span_with_something_reserved_is_invalid),
		T(a_span_of_a_wrong_size_or_null_is_invalid),
		T(a_granule_that_this_smmu_lacks_is_not_supported),
		T(a_level_1_span_of_16k_needs_ds),
		T(scale_stays_within_31_and_with_ds_within_39),
		T(what_does_not_fit_is_counted_and_not_written),
		T(the_need_of_the_longest_span_is_known_at_once),
		T(atc_spans_are_aligned_exact_and_the_fewest),
		T(random_atc_spans_are_exact_and_the_fewest),
		T(an_atc_span_may_end_with_the_address_space),
		T(an_atc_span_that_is_empty_unaligned_or_wraps_is_invalid),
		T(an_atc_substreamid_or_global_without_ssv_is_invalid),
		T(an_atc_span_with_something_reserved_is_invalid),
		T(an_atc_span_of_a_wrong_size_or_null_is_invalid),
		T(an_atc_span_without_ats_is_not_supported),
		T(an_atc_substreamid_that_the_smmu_lacks_is_not_supported),
		T(atc_spans_that_do_not_fit_are_counted_and_not_written),
#undef T
	};

	return cmocka_run_group_tests_name("range", tests, fill_fewest, NULL);
}
