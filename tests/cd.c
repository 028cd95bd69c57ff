/* SPDX-License-Identifier: MIT */
/*
 * What is read from a context descriptor, against its layout written down a
 * second time from Arm IHI 0070 5.4: as bits and in words, not as masks.
 */
#include "support.h"

#include <endian.h>
#include <errno.h>

#include <smmuinv/cd.h>

#define WORDS (SMMUINV_CD_BYTES / 8)

/* A CD as it stands in guest memory. */
struct descriptor {
	uint64_t word[WORDS];
};

static struct descriptor descriptor(uint64_t word)
{
	return (struct descriptor){ { htole64(word) } };
}

static unsigned int bit(uint64_t word, unsigned int number)
{
	return word >> number & 1;
}

static unsigned int two_bits(uint64_t word, unsigned int low)
{
	return bit(word, low + 1) << 1 | bit(word, low);
}

static uint8_t expected_tg0(unsigned int encoding)
{
	switch (encoding) {
	case 0:
		return SMMUINV_TG_4K;
	case 1:
		return SMMUINV_TG_64K;
	case 2:
		return SMMUINV_TG_16K;
	default:
		return SMMUINV_TG_ANY;
	}
}

static uint8_t expected_tg1(unsigned int encoding)
{
	switch (encoding) {
	case 1:
		return SMMUINV_TG_16K;
	case 2:
		return SMMUINV_TG_4K;
	case 3:
		return SMMUINV_TG_64K;
	default:
		return SMMUINV_TG_ANY;
	}
}

static struct smmuinv_cd expected(uint64_t word)
{
	struct smmuinv_cd cd = { .size = sizeof(cd) };

	if (!bit(word, 31))
		return cd;
	cd.valid = true;
	cd.asid = (uint16_t)(word >> 48);
	cd.walks[0] = !bit(word, 14);
	cd.walks[1] = !bit(word, 30);
	if (!bit(word, 41))
		return cd;
	if (cd.walks[0])
		cd.tg[0] = expected_tg0(two_bits(word, 6));
	if (cd.walks[1])
		cd.tg[1] = expected_tg1(two_bits(word, 22));
	return cd;
}

static struct smmuinv_cd read_cd(const struct descriptor *d)
{
	struct smmuinv_cd cd = { .size = sizeof(cd) };

	assert_int_equal(smmuinv_cd_read(&cd, d), 0);
	return cd;
}

static bool same(const struct smmuinv_cd *a, const struct smmuinv_cd *b)
{
	return a->size == b->size && a->valid == b->valid &&
	       a->asid == b->asid && a->walks[0] == b->walks[0] &&
	       a->walks[1] == b->walks[1] && a->tg[0] == b->tg[0] &&
	       a->tg[1] == b->tg[1];
}

static void assert_as_expected(const struct descriptor *d)
{
	struct smmuinv_cd found = read_cd(d);
	struct smmuinv_cd wanted = expected(le64toh(d->word[0]));

	assert_true(same(&found, &wanted));
}

/* The one that a Linux guest writes: EPD1, 4K, AA64, ASID 3. */
static void what_linux_writes_is_read(void **state)
{
	struct descriptor d =
		descriptor(UINT64_C(0x0003e204c0000510) | UINT64_C(3) << 12);
	struct smmuinv_cd cd = read_cd(&d);

	(void)state;
	assert_true(cd.valid);
	assert_int_equal(cd.asid, 3);
	assert_true(cd.walks[0]);
	assert_false(cd.walks[1]);
	assert_int_equal(cd.tg[0], SMMUINV_TG_4K);
	assert_int_equal(cd.tg[1], SMMUINV_TG_ANY);
}

/* V, AA64, EPD0, EPD1, TG0 and TG1 in every combination, over other bits. */
static void
every_value_of_every_field_is_read_as_the_specification_says(void **state)
{
	static const unsigned int places[] = { 31, 41, 14, 30, 6, 7, 22, 23 };
	static const uint64_t others[] = { 0, ~UINT64_C(0),
					   UINT64_C(0xa5a55a5a0f0ff0f0) };
	unsigned int values;
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		for (values = 0; values < 1u << ARRAY_SIZE(places); values++) {
			uint64_t word = others[i];
			struct descriptor d;

			for (k = 0; k < ARRAY_SIZE(places); k++) {
				word &= ~(UINT64_C(1) << places[k]);
				word |= (uint64_t)bit(values, (unsigned int)k)
					<< places[k];
			}
			d = descriptor(word);
			assert_as_expected(&d);
		}
	}
}

static void every_asid_is_read_whole(void **state)
{
	uint32_t asid;

	(void)state;
	for (asid = 0; asid <= UINT16_MAX; asid++) {
		struct descriptor d =
			descriptor((uint64_t)asid << 48 | UINT64_C(1) << 31);

		assert_int_equal(read_cd(&d).asid, asid);
	}
}

static void bits_of_no_interest_change_nothing(void **state)
{
	/* TG0, EPD0, TG1, EPD1, V, AA64, ASID */
	static const uint64_t interest = UINT64_C(0xffff0200c0c040c0);
	struct descriptor d = descriptor(UINT64_C(0x1234020080800080));
	struct smmuinv_cd before = read_cd(&d);
	unsigned int n;

	(void)state;
	for (n = 0; n < 64 * WORDS; n++) {
		struct descriptor flipped = d;
		struct smmuinv_cd after;

		flipped.word[n / 64] ^= htole64(UINT64_C(1) << n % 64);
		assert_as_expected(&flipped);
		after = read_cd(&flipped);
		assert_int_equal(same(&after, &before),
				 n >= 64 || !bit(interest, n));
	}
}

static void random_descriptors_are_read_as_the_specification_says(void **state)
{
	size_t left = test_iterations(200000);

	(void)state;
	for (; left; left--) {
		struct descriptor d;
		unsigned int i;

		for (i = 0; i < WORDS; i++)
			d.word[i] = test_random();
		if (test_chance(80))
			d.word[0] |= htole64(UINT64_C(1) << 31);
		assert_as_expected(&d);
	}
}

/* 5.4: with V = 0 the rest is IGNORED */
static void an_invalid_descriptor_says_nothing_else(void **state)
{
	struct descriptor d = descriptor(~(UINT64_C(1) << 31));
	struct smmuinv_cd cd = read_cd(&d);
	struct smmuinv_cd nothing = { .size = sizeof(nothing) };

	(void)state;
	assert_true(same(&cd, &nothing));
}

static void a_descriptor_is_aligned_to_8(void **state)
{
	struct {
		uint64_t before;
		struct descriptor d;
		uint64_t after;
	} memory = { .d = descriptor(UINT64_C(0x0007000080000000)) };
	const unsigned char *bytes = (const unsigned char *)&memory.d;
	struct smmuinv_cd cd = { .size = sizeof(cd) };
	unsigned int offset;

	(void)state;
	assert_int_equal(smmuinv_cd_read(&cd, bytes), 0);
	assert_int_equal(cd.asid, 7);
	for (offset = 1; offset < 8; offset++)
		assert_int_equal(smmuinv_cd_read(&cd, bytes + offset), -EINVAL);
	assert_int_equal(smmuinv_cd_read(&cd, bytes + 8), 0);
	assert_false(cd.valid);
}

static void null_or_a_wrong_size_is_invalid_and_nothing_is_written(void **state)
{
	struct descriptor d = descriptor(~UINT64_C(0));
	struct smmuinv_cd cd = { .size = sizeof(cd), .asid = 9 };
	struct {
		struct smmuinv_cd known;
		unsigned char tail[8];
	} newer = { .known = { .size = sizeof(newer), .reserved = 1 },
		    .tail = { 1 } };
	size_t size;

	(void)state;
	assert_int_equal(smmuinv_cd_read(NULL, &d), -EINVAL);
	assert_int_equal(smmuinv_cd_read(&cd, NULL), -EINVAL);
	for (size = 0; size < sizeof(cd); size++) {
		cd.size = size;
		assert_int_equal(smmuinv_cd_read(&cd, &d), -EINVAL);
		assert_int_equal(cd.asid, 9);
	}
	assert_int_equal(smmuinv_cd_read(&newer.known, &d), 0);
	assert_int_equal(newer.known.size, sizeof(newer));
	assert_int_equal(newer.known.asid, 0xffff);
	assert_int_equal(newer.known.reserved, 0);
	assert_int_equal(newer.tail[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(what_linux_writes_is_read),
		T(every_value_of_every_field_is_read_as_the_specification_says),
		T(every_asid_is_read_whole),
		T(bits_of_no_interest_change_nothing),
		T(random_descriptors_are_read_as_the_specification_says),
		T(an_invalid_descriptor_says_nothing_else),
		T(a_descriptor_is_aligned_to_8),
		T(null_or_a_wrong_size_is_invalid_and_nothing_is_written),
#undef T
	};

	return cmocka_run_group_tests_name("cd", tests, NULL, NULL);
}
