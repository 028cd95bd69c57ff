/* SPDX-License-Identifier: MIT */
/*
 * What a host implements, and what of it a guest is shown. The places of the
 * ID registers' fields are spec.c's, from Arm IHI 0070 6.3.1 to 6.3.6.
 */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "feature.h"
#include "spec.h"

/* The fields that the kernel's documentation of hw_info allows to be read. */
static const enum smmuinv_feature readable[] = {
	SMMUINV_FEATURE_TTF,         SMMUINV_FEATURE_ASID16,
	SMMUINV_FEATURE_CD2L,        SMMUINV_FEATURE_TTENDIAN,
	SMMUINV_FEATURE_STALL_MODEL, SMMUINV_FEATURE_TERM_MODEL,
	SMMUINV_FEATURE_SIDSIZE,     SMMUINV_FEATURE_SSIDSIZE,
	SMMUINV_FEATURE_RIL,         SMMUINV_FEATURE_BBML,
	SMMUINV_FEATURE_GRAN4K,      SMMUINV_FEATURE_GRAN16K,
	SMMUINV_FEATURE_GRAN64K,     SMMUINV_FEATURE_DS,
	SMMUINV_FEATURE_VAX,
};

#define IDR0_S1P         UINT32_C(0x00000002)
#define IDR0_ATS         UINT32_C(0x00000400)
#define IDR0_TTF_AARCH64 UINT32_C(0x00000008)
#define IDR5_GRAN4K      UINT32_C(0x00000010)

/* RME_IMPL VATOS VMID16 VMW ATOS NS1ATS DORMHINT HTTU BTM (6.3.1) */
#define IDR0_NEVER UINT32_C(0x401689e0)

/* The least that is a host: AArch64 tables and a granule. */
static struct smmuinv_hw_info least_info(void)
{
	return (struct smmuinv_hw_info){
		.idr = { [0] = IDR0_TTF_AARCH64, [5] = IDR5_GRAN4K },
	};
}

static void every_feature_has_the_registers_name(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++)
		assert_string_equal(smmuinv_feature_name(i),
				    spec_features[i].name);
}

/* 6.3.1, 6.3.2, 6.3.4, 6.3.6 */
static void every_one_of_the_192_bits_is_in_the_right_feature(void **state)
{
	unsigned int bit;
	unsigned int i;

	(void)state;
	for (bit = 0; bit < 192; bit++)
		for (i = 0; i < SMMUINV_FEATURE_COUNT; i++) {
			struct smmuinv_features f = { { 0 } };

			f.idr[bit / 32] = UINT32_C(1) << (bit % 32);
			if (smmuinv_features_get(&f, i) !=
			    spec_feature_get(&f, i))
				fail_msg("IDR%u bit %u, %s", bit / 32, bit % 32,
					 spec_features[i].name);
		}
}

static void features_of_random_registers_read_as_specified(void **state)
{
	unsigned int i;
	size_t n;

	(void)state;
	for (n = 0; n < test_iterations(20000); n++) {
		struct smmuinv_features f;

		for (i = 0; i < 6; i++)
			f.idr[i] = (uint32_t)test_random();
		for (i = 0; i < SMMUINV_FEATURE_COUNT; i++)
			assert_int_equal(smmuinv_features_get(&f, i),
					 spec_feature_get(&f, i));
	}
}

static void a_feature_that_does_not_exist_is_zero_and_nameless(void **state)
{
	static const unsigned int none[] = {
		SMMUINV_FEATURE_COUNT,
		SMMUINV_FEATURE_COUNT + 1,
		0x7fffffff,
		UINT32_MAX,
	};
	struct smmuinv_features ones;
	size_t i;

	(void)state;
	memset(&ones, 0xff, sizeof(ones));
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		uint32_t f = none[i];

		assert_int_equal(smmuinv_features_get(&ones, f), 0);
		assert_string_equal(smmuinv_feature_name(f), "?");
	}
}

static void granules_are_those_of_idr5(void **state)
{
	static const struct {
		enum smmuinv_feature feature;
		uint64_t bytes;
	} granules[] = {
		{ SMMUINV_FEATURE_GRAN4K, 4096 },
		{ SMMUINV_FEATURE_GRAN16K, 16384 },
		{ SMMUINV_FEATURE_GRAN64K, 65536 },
	};
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		struct smmuinv_features f = { { 0 } };

		spec_feature_set(&f, granules[i].feature, 1);
		for (j = 0; j < ARRAY_SIZE(granules); j++)
			assert_int_equal(smmuinv__features_has_granule(
						 &f, granules[j].bytes),
					 i == j);
	}
}

static void no_other_size_is_a_granule(void **state)
{
	struct smmuinv_features ones;
	unsigned int bit;
	size_t i;

	(void)state;
	memset(&ones, 0xff, sizeof(ones));
	for (bit = 0; bit < 64; bit++)
		assert_int_equal(smmuinv__features_has_granule(
					 &ones, UINT64_C(1) << bit),
				 bit == 12 || bit == 14 || bit == 16);
	assert_false(smmuinv__features_has_granule(&ones, 0));
	for (i = 0; i < test_iterations(1000); i++) {
		uint64_t bytes = test_random();

		assert_false(smmuinv__features_has_granule(&ones, bytes));
	}
}

/* The layout of struct iommu_hw_info_arm_smmuv3. */
static void hw_info_has_the_kernels_layout(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct smmuinv_hw_info), 40);
	assert_int_equal(offsetof(struct smmuinv_hw_info, flags), 0);
	assert_int_equal(offsetof(struct smmuinv_hw_info, reserved), 4);
	assert_int_equal(offsetof(struct smmuinv_hw_info, idr), 8);
	assert_int_equal(offsetof(struct smmuinv_hw_info, iidr), 32);
	assert_int_equal(offsetof(struct smmuinv_hw_info, aidr), 36);
}

/* IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI */
static void the_repeat_erratum_is_bit_0_of_the_kernels_flags(void **state)
{
	(void)state;
	assert_int_equal(SMMUINV_HW_INFO_REPEAT, 1);
}

static bool is_readable(unsigned int idr, uint32_t mask)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(readable); i++) {
		if (spec_features[readable[i]].idr == idr &&
		    (spec_features[readable[i]].mask & mask))
			return true;
	}
	return false;
}

static void
only_the_bits_that_the_kernel_allows_are_taken_from_hw_info(void **state)
{
	struct smmuinv_hw_info least = least_info();
	struct smmuinv_features base;
	unsigned int taken = 0;
	unsigned int bit;

	(void)state;
	assert_int_equal(
		smmuinv_features_from_hw_info(&base, &least, false, NULL), 0);
	for (bit = 0; bit < 192; bit++) {
		uint32_t one = UINT32_C(1) << (bit % 32);
		struct smmuinv_hw_info info = least;
		struct smmuinv_features expected = base;
		struct smmuinv_features host;

		info.idr[bit / 32] |= one;
		if (is_readable(bit / 32, one)) {
			expected.idr[bit / 32] |= one;
			taken++;
		}
		/* TTENDIAN 1 is reserved, and VAX 2 counts as 1. */
		if (bit == 21)
			continue;
		if (bit == 5 * 32 + 11)
			spec_feature_set(&expected, SMMUINV_FEATURE_VAX, 1);
		assert_int_equal(smmuinv_features_from_hw_info(&host, &info,
							       false, NULL),
				 0);
		if (memcmp(&host, &expected, sizeof(host)) != 0)
			fail_msg("IDR%u bit %u", bit / 32, bit % 32);
	}
	/* TTF 2, ASID16 1, CD2L 1, TTENDIAN 2, STALL_MODEL 2, TERM_MODEL 1 */
	/* SIDSIZE 6, SSIDSIZE 5; RIL 1, BBML 2; GRAN* 3, DS 1, VAX 2 */
	assert_int_equal(taken, 9 + 11 + 3 + 6);
}

static void nothing_but_the_registers_is_taken_from_hw_info(void **state)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features base;
	struct smmuinv_features host;

	(void)state;
	assert_int_equal(
		smmuinv_features_from_hw_info(&base, &info, false, NULL), 0);
	info.flags = UINT32_MAX;
	info.reserved = UINT32_MAX;
	info.iidr = UINT32_MAX;
	info.aidr = UINT32_MAX;
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &info, false, NULL), 0);
	assert_memory_equal(&host, &base, sizeof(host));
}

/* A kernel's raw registers say much more than one may believe. */
static void what_nesting_cannot_carry_is_never_taken_from_hw_info(void **state)
{
	static const enum smmuinv_feature never[] = {
		SMMUINV_FEATURE_S2P,  SMMUINV_FEATURE_HYP, SMMUINV_FEATURE_ATS,
		SMMUINV_FEATURE_MSI,  SMMUINV_FEATURE_SEV, SMMUINV_FEATURE_PRI,
		SMMUINV_FEATURE_MPAM, SMMUINV_FEATURE_DPT, SMMUINV_FEATURE_D128,
		SMMUINV_FEATURE_OAS,
	};
	struct smmuinv_features host;
	struct smmuinv_hw_info ones;
	size_t i;

	(void)state;
	memset(&ones, 0xff, sizeof(ones));
	ones.idr[0] &= ~(UINT32_C(1) << 24); /* STALL_MODEL 3 is reserved. */
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &ones, false, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(never); i++)
		assert_int_equal(smmuinv_features_get(&host, never[i]), 0);
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++)
		if (!is_readable(spec_features[i].idr, spec_features[i].mask))
			assert_int_equal(spec_feature_get(&host, i),
					 i == SMMUINV_FEATURE_S1P);
	assert_int_equal(host.idr[2], 0);
	assert_int_equal(host.idr[4], 0);
}

/*
 * 6.3.1, 6.3.2, 6.3.4, 6.3.6: reserved values of what a guest has to choose are
 * refused; sizes and levels are at most what there is, or what nesting has.
 */
static void reserved_values_of_a_host_are_refused_or_clamped(void **state)
{
	static const struct {
		uint32_t feature;
		uint32_t value;
		int most; /* -1: refused */
	} cases[] = {
		{ SMMUINV_FEATURE_TTF, 0, -1 },
		{ SMMUINV_FEATURE_TTF, 1, -1 },
		{ SMMUINV_FEATURE_TTF, 2, 2 },
		{ SMMUINV_FEATURE_TTF, 3, 3 },
		{ SMMUINV_FEATURE_TTENDIAN, 0, 0 },
		{ SMMUINV_FEATURE_TTENDIAN, 1, -1 },
		{ SMMUINV_FEATURE_TTENDIAN, 2, 2 },
		{ SMMUINV_FEATURE_TTENDIAN, 3, 3 },
		{ SMMUINV_FEATURE_STALL_MODEL, 0, 0 },
		{ SMMUINV_FEATURE_STALL_MODEL, 1, 1 },
		{ SMMUINV_FEATURE_STALL_MODEL, 2, 2 },
		{ SMMUINV_FEATURE_STALL_MODEL, 3, -1 },
		{ SMMUINV_FEATURE_BBML, 2, 2 },
		{ SMMUINV_FEATURE_BBML, 3, 2 },
		{ SMMUINV_FEATURE_VAX, 1, 1 },
		{ SMMUINV_FEATURE_VAX, 2, 1 },
		{ SMMUINV_FEATURE_VAX, 3, 1 },
		{ SMMUINV_FEATURE_SSIDSIZE, 20, 20 },
		{ SMMUINV_FEATURE_SSIDSIZE, 21, 20 },
		{ SMMUINV_FEATURE_SSIDSIZE, 31, 20 },
		{ SMMUINV_FEATURE_SIDSIZE, 32, 32 },
		{ SMMUINV_FEATURE_SIDSIZE, 33, 32 },
		{ SMMUINV_FEATURE_SIDSIZE, 63, 32 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct smmuinv_hw_info info = least_info();
		struct smmuinv_features raw = { { 0 } };
		struct smmuinv_features host = { { 1, 2, 3, 4, 5, 6 } };
		const struct smmuinv_features before = host;
		uint32_t lacking = SMMUINV_FEATURE_COUNT;
		int r;

		memcpy(raw.idr, info.idr, sizeof(raw.idr));
		spec_feature_set(&raw, cases[i].feature, cases[i].value);
		memcpy(info.idr, raw.idr, sizeof(raw.idr));
		r = smmuinv_features_from_hw_info(&host, &info, true, &lacking);
		if (cases[i].most >= 0) {
			assert_int_equal(r, 0);
			assert_int_equal(lacking, SMMUINV_FEATURE_COUNT);
			assert_int_equal(
				spec_feature_get(&host, cases[i].feature),
				cases[i].most);
			continue;
		}
		assert_int_equal(r, -EOPNOTSUPP);
		assert_int_equal(lacking, cases[i].feature);
		assert_memory_equal(&host, &before, sizeof(host));
		assert_int_equal(
			smmuinv_features_from_hw_info(&host, &info, true, NULL),
			-EOPNOTSUPP);
	}
}

static void ats_of_a_host_is_the_arguments_alone(void **state)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features host;

	(void)state;
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &info, true, NULL), 0);
	assert_int_equal(smmuinv_features_get(&host, SMMUINV_FEATURE_ATS), 1);
	info.idr[0] |= IDR0_ATS;
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &info, true, NULL), 0);
	assert_int_equal(smmuinv_features_get(&host, SMMUINV_FEATURE_ATS), 1);
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &info, false, NULL), 0);
	assert_int_equal(smmuinv_features_get(&host, SMMUINV_FEATURE_ATS), 0);
}

static void a_host_that_can_nest_has_stage_1(void **state)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features host;

	(void)state;
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &info, false, NULL), 0);
	assert_true(host.idr[0] & IDR0_S1P);
}

/* 6.3.1: TTF[1] is VMSAv8-64 */
static void a_host_without_aarch64_tables_is_refused(void **state)
{
	struct smmuinv_features host = { { 1, 2, 3, 4, 5, 6 } };
	const struct smmuinv_features before = host;
	uint32_t ttf;

	(void)state;
	for (ttf = 0; ttf < 4; ttf++) {
		struct smmuinv_hw_info info = least_info();

		info.idr[0] = ttf << 2;
		host = before;
		if (ttf & 2) {
			assert_int_equal(smmuinv_features_from_hw_info(
						 &host, &info, false, NULL),
					 0);
			continue;
		}
		assert_int_equal(smmuinv_features_from_hw_info(&host, &info,
							       false, NULL),
				 -EOPNOTSUPP);
		assert_memory_equal(&host, &before, sizeof(host));
	}
}

static void a_host_without_any_granule_is_refused(void **state)
{
	struct smmuinv_features host = { { 1, 2, 3, 4, 5, 6 } };
	const struct smmuinv_features before = host;
	uint32_t lacking;
	uint32_t granules;

	(void)state;
	for (granules = 0; granules < 8; granules++) {
		struct smmuinv_hw_info info = least_info();

		info.idr[5] = ~UINT32_C(0x70) | granules << 4;
		assert_int_equal(smmuinv_features_from_hw_info(&host, &info,
							       false, &lacking),
				 granules ? 0 : -EOPNOTSUPP);
		assert_int_equal(lacking, SMMUINV_FEATURE_GRAN4K);
		if (!granules)
			assert_memory_equal(&host, &before, sizeof(host));
	}
}

static void a_null_host_or_info_is_invalid(void **state)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features host;

	(void)state;
	assert_int_equal(
		smmuinv_features_from_hw_info(NULL, &info, false, NULL),
		-EINVAL);
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, NULL, false, NULL),
		-EINVAL);
}

/* A host that has everything that the kernel reports. */
static struct smmuinv_features rich_host(void)
{
	struct smmuinv_features host = test_features_full();
	struct smmuinv_hw_info info = { 0 };

	memcpy(info.idr, host.idr, sizeof(info.idr));
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &info, true, NULL), 0);
	return host;
}

static struct smmuinv_features poor_host(void)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features host;

	info.idr[0] |= 0x01000000; /* STALL_MODEL: none */
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &info, false, NULL), 0);
	return host;
}

static const struct smmuinv_offer no_wishes = { .size = sizeof(no_wishes) };

/* A wish for one of the features that have a choice. */
static struct smmuinv_offer wish(enum smmuinv_feature feature, uint8_t choice)
{
	struct smmuinv_offer offer = no_wishes;

	switch (feature) {
	case SMMUINV_FEATURE_RIL:
		offer.ril = choice;
		break;
	case SMMUINV_FEATURE_ATS:
		offer.ats = choice;
		break;
	case SMMUINV_FEATURE_ASID16:
		offer.asid16 = choice;
		break;
	case SMMUINV_FEATURE_STALL_MODEL:
		offer.stall = choice;
		offer.stall_max = 7;
		break;
	default:
		assert_int_equal(feature, SMMUINV_FEATURE_DS);
		offer.ds = choice;
		break;
	}
	return offer;
}

static const enum smmuinv_feature chosen[] = {
	SMMUINV_FEATURE_RIL,
	SMMUINV_FEATURE_ATS,
	SMMUINV_FEATURE_ASID16,
	SMMUINV_FEATURE_DS,
};

/* Offer one wish; the guest's value of its feature, or the error. */
static int offered(const struct smmuinv_features *host,
		   enum smmuinv_feature feature, uint8_t choice)
{
	struct smmuinv_offer offer = wish(feature, choice);
	uint32_t lacking = SMMUINV_FEATURE_COUNT;
	struct smmuinv_features guest;
	int r = smmuinv_features_offer(&guest, host, &offer, &lacking);

	if (r) {
		assert_int_equal(lacking, feature);
		return r;
	}
	assert_int_equal(lacking, SMMUINV_FEATURE_COUNT);
	return (int)smmuinv_features_get(&guest, feature);
}

static void every_choice_on_a_host_that_has_the_feature_is_met(void **state)
{
	struct smmuinv_features host = rich_host();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(chosen); i++) {
		assert_int_equal(offered(&host, chosen[i], SMMUINV_AS_HOST), 1);
		assert_int_equal(offered(&host, chosen[i], SMMUINV_ON), 1);
		assert_int_equal(offered(&host, chosen[i], SMMUINV_OFF), 0);
	}
}

static void on_without_the_hosts_feature_is_refused_and_named(void **state)
{
	struct smmuinv_features host = poor_host();
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(chosen); i++) {
		assert_int_equal(offered(&host, chosen[i], SMMUINV_AS_HOST), 0);
		assert_int_equal(offered(&host, chosen[i], SMMUINV_ON),
				 -EOPNOTSUPP);
		assert_int_equal(offered(&host, chosen[i], SMMUINV_OFF), 0);
	}
}

/* Because the VMM must emulate RESUME and STALL_TERM. */
static void stalls_are_offered_only_when_asked_for(void **state)
{
	struct smmuinv_features host = rich_host();
	const enum smmuinv_feature stall = SMMUINV_FEATURE_STALL_MODEL;

	(void)state;
	spec_feature_set(&host, stall, 0);
	assert_int_equal(offered(&host, stall, SMMUINV_AS_HOST), 1);
	assert_int_equal(offered(&host, stall, SMMUINV_OFF), 1);
	assert_int_equal(offered(&host, stall, SMMUINV_ON), 0);
	spec_feature_set(&host, stall, 1);
	assert_int_equal(offered(&host, stall, SMMUINV_AS_HOST), 1);
	assert_int_equal(offered(&host, stall, SMMUINV_OFF), 1);
	assert_int_equal(offered(&host, stall, SMMUINV_ON), -EOPNOTSUPP);
	spec_feature_set(&host, stall, 2);
	assert_int_equal(offered(&host, stall, SMMUINV_ON), 2);
}

/* 6.3.1: with STALL_MODEL 0b01 CD.S must be 0, with 0b10 it must be 1 */
static void
a_host_that_forces_stalls_cannot_hide_them_from_a_guest(void **state)
{
	struct smmuinv_features host = rich_host();
	const enum smmuinv_feature stall = SMMUINV_FEATURE_STALL_MODEL;

	(void)state;
	spec_feature_set(&host, stall, 2);
	assert_int_equal(offered(&host, stall, SMMUINV_AS_HOST), -EOPNOTSUPP);
	assert_int_equal(offered(&host, stall, SMMUINV_OFF), -EOPNOTSUPP);
}

static void a_choice_outside_its_enumeration_is_invalid(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_features guest;
	unsigned int choice;
	size_t i;

	(void)state;
	for (choice = SMMUINV_ON + 1; choice < 256; choice++) {
		for (i = 0; i < ARRAY_SIZE(chosen); i++) {
			struct smmuinv_offer offer =
				wish(chosen[i], (uint8_t)choice);

			assert_int_equal(smmuinv_features_offer(&guest, &host,
								&offer, NULL),
					 -EINVAL);
		}
	}
}

static void stall_outside_its_enumeration_is_invalid(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_features guest;
	unsigned int choice;

	(void)state;
	for (choice = SMMUINV_ON + 1; choice < 256; choice++) {
		struct smmuinv_offer offer =
			wish(SMMUINV_FEATURE_STALL_MODEL, (uint8_t)choice);

		assert_int_equal(
			smmuinv_features_offer(&guest, &host, &offer, NULL),
			-EINVAL);
	}
}

/* One offer to one host; the guest's registers must be there. */
static struct smmuinv_features offer_ok(const struct smmuinv_features *host,
					const struct smmuinv_offer *offer)
{
	struct smmuinv_features guest;

	assert_int_equal(smmuinv_features_offer(&guest, host, offer, NULL), 0);
	return guest;
}

static int offer_result(const struct smmuinv_features *host,
			const struct smmuinv_offer *offer, uint32_t *lacking)
{
	struct smmuinv_features guest = { { 9, 8, 7, 6, 5, 4 } };
	const struct smmuinv_features before = guest;
	int r;

	*lacking = SMMUINV_FEATURE_COUNT;
	r = smmuinv_features_offer(&guest, host, offer, lacking);
	if (r)
		assert_memory_equal(&guest, &before, sizeof(guest));
	if (r != -EOPNOTSUPP)
		assert_int_equal(*lacking, SMMUINV_FEATURE_COUNT);
	return r;
}

static void offer_ssid_bits(uint8_t most, uint8_t bits)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_offer offer = no_wishes;
	struct smmuinv_features guest;
	uint32_t lacking;
	uint8_t expected = bits == SMMUINV_SSID_BITS_AS_HOST ? most : bits;
	int r;

	spec_feature_set(&host, SMMUINV_FEATURE_SSIDSIZE, most);
	offer.ssid_bits = bits;
	r = offer_result(&host, &offer, &lacking);
	if (expected > 20) {
		assert_int_equal(r, -EINVAL);
	} else if (expected > most) {
		assert_int_equal(r, -EOPNOTSUPP);
		assert_int_equal(lacking, SMMUINV_FEATURE_SSIDSIZE);
	} else {
		assert_int_equal(r, 0);
		guest = offer_ok(&host, &offer);
		assert_int_equal(
			spec_feature_get(&guest, SMMUINV_FEATURE_SSIDSIZE),
			expected);
	}
}

static void
every_number_of_substreamid_bits_up_to_the_hosts_is_met(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 0; n < 21 * 256; n++)
		offer_ssid_bits((uint8_t)(n / 256), (uint8_t)(n % 256));
}

/* IDR1.SIDSIZE[5:0] EVENTQS[20:16] CMDQS[25:21] (6.3.2) */
static void stream_and_queue_sizes_are_bounded_and_have_defaults(void **state)
{
	struct smmuinv_features host = rich_host();
	unsigned int n;

	(void)state;
	for (n = 0; n < 256; n++) {
		struct smmuinv_offer sid = no_wishes;
		struct smmuinv_offer cmdq = no_wishes;
		struct smmuinv_offer eventq = no_wishes;
		uint32_t lacking;

		sid.sid_bits = (uint8_t)n;
		cmdq.cmdq_bits = (uint8_t)n;
		eventq.eventq_bits = (uint8_t)n;
		assert_int_equal(offer_result(&host, &sid, &lacking),
				 n > 32 ? -EINVAL : 0);
		assert_int_equal(offer_result(&host, &cmdq, &lacking),
				 n > 19 ? -EINVAL : 0);
		assert_int_equal(offer_result(&host, &eventq, &lacking),
				 n > 19 ? -EINVAL : 0);
		if (n <= 32)
			assert_int_equal(offer_ok(&host, &sid).idr[1] & 0x3f,
					 n ? n : 16);
		if (n > 19)
			continue;
		assert_int_equal(offer_ok(&host, &cmdq).idr[1] >> 21 & 0x1f,
				 n ? n : 19);
		assert_int_equal(offer_ok(&host, &eventq).idr[1] >> 16 & 0x1f,
				 n ? n : 19);
	}
}

/* 6.3.6: OAS 0b000 to 0b110 */
static void address_bits_are_those_that_oas_can_say(void **state)
{
	static const uint8_t sizes[] = { 32, 36, 40, 42, 44, 48, 52 };
	struct smmuinv_features host = rich_host();
	unsigned int n;
	size_t i;

	(void)state;
	for (n = 0; n < 256; n++) {
		struct smmuinv_offer offer = no_wishes;
		uint32_t lacking;
		int expected = n ? -EINVAL : 4;
		int r;

		offer.address_bits = (uint8_t)n;
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			if (sizes[i] == n)
				expected = (int)i;
		}
		r = offer_result(&host, &offer, &lacking);
		if (!r)
			r = (int)(offer_ok(&host, &offer).idr[5] & 7);
		assert_int_equal(r, expected);
	}
}

static void offer_granules(unsigned int has, unsigned int wanted)
{
	static const enum smmuinv_feature features[] = {
		SMMUINV_FEATURE_GRAN4K,
		SMMUINV_FEATURE_GRAN16K,
		SMMUINV_FEATURE_GRAN64K,
	};
	struct smmuinv_features host = poor_host();
	struct smmuinv_offer offer = no_wishes;
	uint32_t lacking;
	unsigned int missing = wanted & ~has;
	int r;

	host.idr[5] = has << 4;
	offer.granules = (uint8_t)wanted;
	r = offer_result(&host, &offer, &lacking);
	if (wanted > 7) {
		assert_int_equal(r, -EINVAL);
	} else if (missing) {
		assert_int_equal(r, -EOPNOTSUPP);
		assert_int_equal(lacking, features[__builtin_ctz(missing)]);
	} else {
		assert_int_equal(r, 0);
		assert_int_equal(offer_ok(&host, &offer).idr[5] >> 4 & 7,
				 wanted ? wanted : has);
	}
}

static void granules_are_the_wish_or_all_of_the_hosts(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 0; n < 7 * 256; n++)
		offer_granules(1 + n / 256, n % 256);
}

static void msi_and_sev_are_the_vmms_own(void **state)
{
	struct smmuinv_features host = poor_host();
	unsigned int n;

	(void)state;
	for (n = 0; n < 4; n++) {
		struct smmuinv_offer offer = no_wishes;
		struct smmuinv_features guest;

		offer.msi = n & 1;
		offer.sev = n & 2;
		guest = offer_ok(&host, &offer);
		assert_int_equal(
			smmuinv_features_get(&guest, SMMUINV_FEATURE_MSI),
			n & 1);
		assert_int_equal(
			smmuinv_features_get(&guest, SMMUINV_FEATURE_SEV),
			n >> 1);
	}
}

static void an_offer_without_its_arguments_is_invalid(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_features guest;

	(void)state;
	assert_int_equal(smmuinv_features_offer(NULL, &host, &no_wishes, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_features_offer(&guest, NULL, &no_wishes, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_features_offer(&guest, &host, NULL, NULL),
			 -EINVAL);
}

static void an_offer_with_a_reserved_wish_is_invalid(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_offer o = no_wishes;
	uint32_t lacking;
	size_t at;

	(void)state;
	for (at = 0; test_only_byte(&o.reserved, sizeof(o.reserved), at); at++)
		assert_int_equal(offer_result(&host, &o, &lacking), -EINVAL);
	assert_int_equal(offer_result(&host, &o, &lacking), 0);
}

static void an_offer_of_a_wrong_size_is_invalid(void **state)
{
	struct smmuinv_features host = rich_host();
	struct {
		struct smmuinv_offer known;
		unsigned char tail[8];
	} newer = { .known = { .size = sizeof(newer) } };
	uint32_t lacking;
	size_t size;

	(void)state;
	for (size = 0; size < sizeof(struct smmuinv_offer); size++)
		assert_int_equal(
			offer_result(&host,
				     &(struct smmuinv_offer){ .size = size },
				     &lacking),
			-EINVAL);
	assert_int_equal(offer_result(&host, &newer.known, &lacking), 0);
	newer.tail[7] = 1;
	assert_int_equal(offer_result(&host, &newer.known, &lacking), -EINVAL);
}

static void nobody_needs_to_ask_what_the_host_lacks(void **state)
{
	struct smmuinv_features host = poor_host();
	struct smmuinv_offer offer = wish(SMMUINV_FEATURE_RIL, SMMUINV_ON);
	struct smmuinv_features rich = rich_host();
	struct smmuinv_features guest;

	(void)state;
	assert_int_equal(smmuinv_features_offer(&guest, &host, &offer, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(smmuinv_features_compatible(&rich, &host, NULL, NULL),
			 -EOPNOTSUPP);
	assert_int_equal(smmuinv__features_required(&rich, &host, NULL),
			 -EOPNOTSUPP);
}

static struct smmuinv_offer random_offer(void)
{
	static const uint8_t address_bits[] = { 0, 32, 36, 40, 42, 44, 48, 52 };

	return (struct smmuinv_offer){
		.size = sizeof(struct smmuinv_offer),
		.stall_max = (uint16_t)(1 + test_random_below(0xffff)),
		.ril = (uint8_t)test_random_below(3),
		.ats = (uint8_t)test_random_below(3),
		.asid16 = (uint8_t)test_random_below(3),
		.stall = (uint8_t)test_random_below(3),
		.ds = (uint8_t)test_random_below(3),
		.msi = test_chance(50),
		.sev = test_chance(50),
		.ssid_bits = test_chance(50) ? SMMUINV_SSID_BITS_AS_HOST :
					       (uint8_t)test_random_below(21),
		.sid_bits = (uint8_t)test_random_below(33),
		.cmdq_bits = (uint8_t)test_random_below(20),
		.eventq_bits = (uint8_t)test_random_below(20),
		.granules = (uint8_t)test_random_below(8),
		.address_bits = address_bits[test_random_below(8)],
	};
}

/* What is offered: accepted, carried, and an SMMU that there could be. */
static bool offer_and_compare(const struct smmuinv_features *host)
{
	struct smmuinv_offer offer = random_offer();
	uint32_t lacking = SMMUINV_FEATURE_COUNT;
	struct smmuinv_features guest;
	const char *why;
	int r = smmuinv_features_offer(&guest, host, &offer, &lacking);

	if (r) {
		assert_int_equal(r, -EOPNOTSUPP);
		assert_in_range(lacking, 0, SMMUINV_FEATURE_COUNT - 1);
		return false;
	}
	if (smmuinv__features_required(&guest, host, &lacking))
		fail_msg("%s is refused", smmuinv_feature_name(lacking));
	if (smmuinv_features_compatible(&guest, host, NULL, &lacking))
		fail_msg("%s differs", smmuinv_feature_name(lacking));
	why = spec_smmu_impossible(&guest);
	if (why)
		fail_msg("%s: host IDR5 0x%x, granules %u, ds %u, "
			 "address_bits %u: guest IDR5 0x%x",
			 why, host->idr[5], offer.granules, offer.ds,
			 offer.address_bits, guest.idr[5]);
	return true;
}

static void what_is_offered_is_always_compatible_with_its_host(void **state)
{
	size_t met = 0;
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(50000); i++) {
		struct smmuinv_features host = test_features_random_host();

		met += offer_and_compare(&host);
	}
	assert_true(met > 0);
}

/* Whatever a kernel reports, reserved values included. */
static size_t offer_from(const struct smmuinv_hw_info *info)
{
	uint32_t lacking = SMMUINV_FEATURE_COUNT;
	struct smmuinv_features host;

	if (!smmuinv_features_from_hw_info(&host, info, test_chance(50),
					   &lacking))
		return offer_and_compare(&host);
	assert_in_range(lacking, 0, SMMUINV_FEATURE_COUNT - 1);
	return 0;
}

static void of_any_registers_what_is_offered_is_accepted(void **state)
{
	size_t met = 0;
	size_t i, n;

	(void)state;
	for (i = 0; i < test_iterations(200000); i++) {
		struct smmuinv_hw_info info;

		for (n = 0; n < 6; n++)
			info.idr[n] = (uint32_t)test_random();
		met += offer_from(&info);
	}
	assert_true(met > test_iterations(200000) / 200);
}

/* All values at once of the fields that an offer depends on, sizes apart. */
static void of_all_values_of_a_host_what_is_offered_is_accepted(void **state)
{
	static const enum smmuinv_feature fields[] = {
		SMMUINV_FEATURE_TTF,         SMMUINV_FEATURE_TTENDIAN,
		SMMUINV_FEATURE_STALL_MODEL, SMMUINV_FEATURE_TERM_MODEL,
		SMMUINV_FEATURE_CD2L,        SMMUINV_FEATURE_BBML,
		SMMUINV_FEATURE_VAX,         SMMUINV_FEATURE_GRAN4K,
		SMMUINV_FEATURE_GRAN16K,     SMMUINV_FEATURE_GRAN64K,
		SMMUINV_FEATURE_DS,
	};
	size_t met = 0;
	uint32_t values;
	size_t i;

	(void)state;
	for (values = 0; values < UINT32_C(1) << 16; values++) {
		struct smmuinv_features raw = { { 0 } };
		struct smmuinv_hw_info info = { 0 };
		uint32_t rest = values;

		for (i = 0; i < ARRAY_SIZE(fields); i++) {
			uint32_t mask = spec_features[fields[i]].mask;

			spec_feature_set(&raw, fields[i], rest);
			rest >>= __builtin_popcount(mask);
		}
		assert_int_equal(rest, 0);
		spec_feature_set(&raw, SMMUINV_FEATURE_SSIDSIZE,
				 (uint32_t)test_random());
		memcpy(info.idr, raw.idr, sizeof(info.idr));
		met += offer_from(&info);
	}
	assert_true(met > 1000);
}

/* 6.3.6: STALL_MAX is RES0 without stalls; with them there is at least one */
static void stalls_come_with_the_vmms_stall_max(void **state)
{
	uint32_t max;
	unsigned int choice;
	uint32_t model;

	(void)state;
	for (max = 0; max <= 0xffff; max += max < 3 ? 1 : 0x0fff)
		for (choice = SMMUINV_AS_HOST; choice <= SMMUINV_ON; choice++)
			for (model = 0; model < 3; model++) {
				struct smmuinv_features host = rich_host();
				struct smmuinv_offer offer = no_wishes;
				struct smmuinv_features guest;
				uint32_t lacking;
				int r;

				spec_feature_set(&host,
						 SMMUINV_FEATURE_STALL_MODEL,
						 model);
				offer.stall = (uint8_t)choice;
				offer.stall_max = (uint16_t)max;
				r = offer_result(&host, &offer, &lacking);
				if (choice == SMMUINV_ON && !max)
					assert_int_equal(r, -EINVAL);
				if (r)
					continue;
				guest = offer_ok(&host, &offer);
				assert_int_equal(guest.idr[5] >> 16,
						 choice == SMMUINV_ON ? max :
									0);
			}
}

/* What the guest's tables are read by, and the VMM has no wish for. */
static void what_has_no_choice_is_as_the_hosts(void **state)
{
	static const enum smmuinv_feature as_host[] = {
		SMMUINV_FEATURE_CD2L, SMMUINV_FEATURE_TTENDIAN,
		SMMUINV_FEATURE_TERM_MODEL, SMMUINV_FEATURE_BBML
	};
	size_t met = 0;
	size_t i;
	size_t n;

	(void)state;
	for (n = 0; n < test_iterations(20000); n++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_offer offer = random_offer();
		struct smmuinv_features guest;

		if (smmuinv_features_offer(&guest, &host, &offer, NULL))
			continue;
		met++;
		for (i = 0; i < ARRAY_SIZE(as_host); i++)
			assert_int_equal(spec_feature_get(&guest, as_host[i]),
					 spec_feature_get(&host, as_host[i]));
		/* And nothing beyond the fields that features are. */
		assert_int_equal(guest.idr[1] & 0xfc00f800, 0);
		assert_int_equal(guest.idr[3] & 0xffffe3ff, 0);
		assert_int_equal(guest.idr[5] & 0x0000f308, 0);
	}
	assert_true(met > 0);
}

/* Registers that nesting does not carry, or that no wish sets. */
static void a_guest_is_never_offered_what_nesting_cannot_carry(void **state)
{
	static const enum smmuinv_feature never[] = {
		SMMUINV_FEATURE_S2P,  SMMUINV_FEATURE_HYP, SMMUINV_FEATURE_PRI,
		SMMUINV_FEATURE_MPAM, SMMUINV_FEATURE_DPT, SMMUINV_FEATURE_D128,
	};
	size_t i;
	size_t n;

	(void)state;
	for (n = 0; n < test_iterations(20000); n++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_offer offer = random_offer();
		struct smmuinv_features guest;

		/* As if someone had handed in the kernel's raw registers. */
		for (i = 0; i < ARRAY_SIZE(never); i++)
			spec_feature_set(&host, never[i], 1);
		host.idr[0] |= IDR0_NEVER;
		if (smmuinv_features_offer(&guest, &host, &offer, NULL))
			continue;
		for (i = 0; i < ARRAY_SIZE(never); i++)
			assert_int_equal(spec_feature_get(&guest, never[i]), 0);
		assert_int_equal(guest.idr[0] & IDR0_NEVER, 0);
		assert_int_equal(guest.idr[2], 0);
		assert_int_equal(guest.idr[4], 0);
	}
}

static void a_guest_is_always_offered_what_it_needs_to_translate(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; n < test_iterations(20000); n++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_offer offer = random_offer();
		struct smmuinv_features guest;

		if (smmuinv_features_offer(&guest, &host, &offer, NULL))
			continue;
		assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_S1P),
				 1);
		assert_true(spec_feature_get(&guest, SMMUINV_FEATURE_TTF) & 2);
		assert_true(guest.idr[5] & 0x70);
		/* COHACC: VFIO has only platforms that are coherent. */
		assert_true(guest.idr[0] & 0x10);
		/* 6.3.1: 2-level Stream tables */
		assert_int_equal(guest.idr[0] & 0x18000000, 0x08000000);
	}
}

/* 6.3.6: DS is RES0 if GRAN4K and GRAN16K are both 0 */
static void ds_is_not_offered_without_a_4k_or_16k_granule(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_offer offer = no_wishes;
	uint32_t lacking;
	struct smmuinv_features guest;

	(void)state;
	offer.granules = SMMUINV_GRANULE_64K;
	guest = offer_ok(&host, &offer);
	assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_DS), 0);
	/* What VAX needs is there: the 64K granule. */
	assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_VAX), 1);
	/* Either of the others does. */
	offer.granules = SMMUINV_GRANULE_16K;
	guest = offer_ok(&host, &offer);
	assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_DS), 1);
	offer.granules = SMMUINV_GRANULE_4K;
	guest = offer_ok(&host, &offer);
	assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_DS), 1);
	/* And what is asked for, but cannot be, is refused. */
	offer.granules = SMMUINV_GRANULE_64K;
	offer.ds = SMMUINV_ON;
	assert_int_equal(offer_result(&host, &offer, &lacking), -EOPNOTSUPP);
	assert_int_equal(lacking, SMMUINV_FEATURE_DS);
}

/* 6.3.6: VAX of 52 bits needs GRAN64K, or DS with GRAN4K or GRAN16K */
static void vax_is_not_offered_without_a_granule_that_reaches_it(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_offer offer = no_wishes;
	struct smmuinv_features guest;

	(void)state;
	offer.granules = SMMUINV_GRANULE_4K;
	guest = offer_ok(&host, &offer);
	assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_VAX), 1);
	offer.ds = SMMUINV_OFF;
	guest = offer_ok(&host, &offer);
	assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_VAX), 0);
}

/* 6.3.6: OAS of 52 bits needs GRAN64K or DS */
static void physical_addresses_of_52_bits_need_64k_or_ds(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_offer offer = no_wishes;
	uint32_t lacking;

	(void)state;
	offer.address_bits = 52;
	assert_int_equal(offer_result(&host, &offer, &lacking), 0);
	offer.granules = SMMUINV_GRANULE_4K;
	assert_int_equal(offer_result(&host, &offer, &lacking), 0);
	offer.ds = SMMUINV_OFF;
	assert_int_equal(offer_result(&host, &offer, &lacking), -EOPNOTSUPP);
	assert_int_equal(lacking, SMMUINV_FEATURE_OAS);
	offer.granules = SMMUINV_GRANULE_64K;
	assert_int_equal(offer_result(&host, &offer, &lacking), 0);
}

static void the_same_offer_to_the_same_host_is_the_same(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(1000); i++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_offer offer = random_offer();
		struct smmuinv_features a;
		struct smmuinv_features b;

		memset(&a, 0, sizeof(a));
		memset(&b, 0xff, sizeof(b));
		if (smmuinv_features_offer(&a, &host, &offer, NULL))
			continue;
		assert_int_equal(
			smmuinv_features_offer(&b, &host, &offer, NULL), 0);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

/*
 * What becomes of a field: the second opinion. It says of each field whether an
 * invalidation depends on it, whether it is the VMM's own, and what a host must
 * have.
 */
static enum smmuinv_carriage carriage_of(enum smmuinv_feature feature,
					 uint32_t guest, uint32_t host)
{
	switch (feature) {
	/* An invalidation depends on it. */
	case SMMUINV_FEATURE_ATS:
	case SMMUINV_FEATURE_ASID16:
	case SMMUINV_FEATURE_SSIDSIZE:
	case SMMUINV_FEATURE_GRAN4K:
	case SMMUINV_FEATURE_GRAN16K:
	case SMMUINV_FEATURE_GRAN64K:
	case SMMUINV_FEATURE_DS:
		return guest > host ? SMMUINV_REFUSED : SMMUINV_CARRIED;
	case SMMUINV_FEATURE_BTM:  /* broadcast TLBIs do not pass here */
	case SMMUINV_FEATURE_D128: /* the kernel takes no TTL128 */
		return guest ? SMMUINV_REFUSED : SMMUINV_CARRIED;
	/* Of the guest's tables and faults, and reported by the kernel. */
	case SMMUINV_FEATURE_S1P:
	case SMMUINV_FEATURE_CD2L:
	case SMMUINV_FEATURE_BBML:
	case SMMUINV_FEATURE_VAX:
		return guest > host ? SMMUINV_DIFFERS : SMMUINV_CARRIED;
	case SMMUINV_FEATURE_TTF:
		return (guest | host) != host ? SMMUINV_DIFFERS :
						SMMUINV_CARRIED;
	case SMMUINV_FEATURE_TTENDIAN:
	case SMMUINV_FEATURE_STALL_MODEL:
	case SMMUINV_FEATURE_TERM_MODEL:
		return host && guest != host ? SMMUINV_DIFFERS :
					       SMMUINV_CARRIED;
	/* Made of other commands, forced by the host, or only a lack. */
	case SMMUINV_FEATURE_RIL:
	case SMMUINV_FEATURE_COHACC:
	case SMMUINV_FEATURE_NS1ATS:
	case SMMUINV_FEATURE_VMID16:
	case SMMUINV_FEATURE_VMW:
		return SMMUINV_CARRIED;
	/* The VMM's queues, interrupts, stream table and registers. */
	case SMMUINV_FEATURE_DORMHINT:
	case SMMUINV_FEATURE_MSI:
	case SMMUINV_FEATURE_SEV:
	case SMMUINV_FEATURE_ATOS:
	case SMMUINV_FEATURE_VATOS:
	case SMMUINV_FEATURE_BA_VATOS:
	case SMMUINV_FEATURE_ST_LEVEL:
	case SMMUINV_FEATURE_SIDSIZE:
	case SMMUINV_FEATURE_PRIQS:
	case SMMUINV_FEATURE_EVENTQS:
	case SMMUINV_FEATURE_CMDQS:
	case SMMUINV_FEATURE_REL:
	case SMMUINV_FEATURE_QUEUES_PRESET:
	case SMMUINV_FEATURE_TABLES_PRESET:
	case SMMUINV_FEATURE_ECMDQ:
	case SMMUINV_FEATURE_IMPDEF:
	case SMMUINV_FEATURE_OAS:
	case SMMUINV_FEATURE_STALL_MAX:
		return guest ? SMMUINV_EMULATED : SMMUINV_CARRIED;
	default:
		return guest ? SMMUINV_DIFFERS : SMMUINV_CARRIED;
	}
}

/* Every field of two SMMUs, what is returned, and what is named. */
static int assert_compatibility(const struct smmuinv_features *guest,
				const struct smmuinv_features *host)
{
	struct smmuinv_compatibility report = { .size = sizeof(report) };
	uint32_t lacking = SMMUINV_FEATURE_COUNT;
	uint32_t needed = SMMUINV_FEATURE_COUNT;
	uint32_t first[4] = { 0 };
	uint32_t i;
	int expected;

	memset(report.carriage, 0x5a, sizeof(report.carriage));
	expected = smmuinv_features_compatible(guest, host, &report, &lacking);
	for (i = SMMUINV_FEATURE_COUNT; i--;) {
		enum smmuinv_carriage carriage = carriage_of(
			(enum smmuinv_feature)i, spec_feature_get(guest, i),
			spec_feature_get(host, i));

		if (report.carriage[i] != carriage)
			fail_msg("%s: guest %u, host %u: %u and not %u",
				 smmuinv_feature_name(i),
				 spec_feature_get(guest, i),
				 spec_feature_get(host, i), report.carriage[i],
				 carriage);
		first[carriage] = i + 1;
	}
	for (i = SMMUINV_FEATURE_COUNT; i < SMMUINV_FEATURES_MAX; i++)
		assert_int_equal(report.carriage[i], SMMUINV_CARRIED);
	assert_int_equal(smmuinv__features_required(guest, host, &needed),
			 first[SMMUINV_REFUSED] ? -EOPNOTSUPP : 0);
	if (first[SMMUINV_REFUSED]) {
		assert_int_equal(expected, -EOPNOTSUPP);
		assert_int_equal(lacking, first[SMMUINV_REFUSED] - 1);
		assert_int_equal(needed, lacking);
	} else if (first[SMMUINV_DIFFERS]) {
		assert_int_equal(expected, 1);
		assert_int_equal(lacking, first[SMMUINV_DIFFERS] - 1);
		assert_int_equal(needed, SMMUINV_FEATURE_COUNT);
	} else {
		assert_int_equal(expected, 0);
		assert_int_equal(lacking, SMMUINV_FEATURE_COUNT);
		assert_int_equal(needed, SMMUINV_FEATURE_COUNT);
	}
	return expected;
}

/* Small fields in full, large ones at their ends. */
static uint32_t field_value(uint32_t feature, uint32_t n)
{
	unsigned int bits =
		(unsigned int)__builtin_popcount(spec_features[feature].mask);

	if (bits <= 6)
		return n & ((1u << bits) - 1);
	return n < 32 ? (uint32_t)(UINT64_C(1) << (n % bits)) : n - 32;
}

static void
every_value_of_every_field_is_reported_as_it_is_carried(void **state)
{
	uint32_t feature, g, h;

	(void)state;
	for (feature = 0; feature < SMMUINV_FEATURE_COUNT; feature++)
		for (g = 0; g < 64; g++)
			for (h = 0; h < 64; h++) {
				struct smmuinv_features guest = rich_host();
				struct smmuinv_features host = guest;

				spec_feature_set(&guest, feature,
						 field_value(feature, g));
				spec_feature_set(&host, feature,
						 field_value(feature, h));
				assert_compatibility(&guest, &host);
			}
}

static void any_two_smmus_are_compared_field_by_field(void **state)
{
	size_t results[3] = { 0 };
	size_t i;
	unsigned int n;

	(void)state;
	for (i = 0; i < test_iterations(200000); i++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_features guest =
			test_features_random_guest(&host);
		int r;

		for (n = 0; n < 6 && test_chance(50); n++) {
			if (test_chance(20))
				guest.idr[n] ^= UINT32_C(1)
						<< test_random_below(32);
			if (test_chance(5))
				host.idr[n] = (uint32_t)test_random();
		}
		r = assert_compatibility(&guest, &host);
		results[r < 0 ? 2 : r]++;
	}
	assert_true(results[0] && results[1] && results[2]);
}

/* The names that the decisions of a VMM depend on, one by one. */
static void only_what_invalidations_depend_on_is_refused(void **state)
{
	static const enum smmuinv_feature refused[] = {
		SMMUINV_FEATURE_BTM,     SMMUINV_FEATURE_ATS,
		SMMUINV_FEATURE_ASID16,  SMMUINV_FEATURE_SSIDSIZE,
		SMMUINV_FEATURE_GRAN4K,  SMMUINV_FEATURE_GRAN16K,
		SMMUINV_FEATURE_GRAN64K, SMMUINV_FEATURE_DS,
		SMMUINV_FEATURE_D128,
	};
	const struct smmuinv_features nothing = { { 0 } };
	struct smmuinv_compatibility report = { .size = sizeof(report) };
	struct smmuinv_features all;
	unsigned int count = 0;
	uint32_t lacking;
	uint32_t i;

	(void)state;
	memset(&all, 0xff, sizeof(all));
	assert_int_equal(
		smmuinv_features_compatible(&all, &nothing, &report, &lacking),
		-EOPNOTSUPP);
	assert_int_equal(lacking, SMMUINV_FEATURE_BTM);
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++)
		count += report.carriage[i] == SMMUINV_REFUSED;
	assert_int_equal(count, ARRAY_SIZE(refused));
	for (i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(report.carriage[refused[i]], SMMUINV_REFUSED);
}

/* The registers of three VMMs, autumn 2026, and what hosts report. */
#define HOST0                                                            \
	(2u << 2 | 1u << 4 | 1u << 12 | 1u << 19 | 2u << 21 | 1u << 24 | \
	 1u << 27)
#define HOST(idr0, idr5)                                                     \
	{                                                                    \
		.idr = { idr0, 16 | 20 << 6, 0, 1 << 10 | 2 << 11, 0, idr5 } \
	}

static void
guests_of_three_vmms_are_refused_for_invalidations_only(void **state)
{
	static const struct smmuinv_features cloud_hypervisor = {
		{ 1 << 1 | 2 << 2 | 1 << 4 | 1 << 12 | 1 << 18 | 1 << 19 |
			  2 << 21 | 1 << 24 | 1 << 27,
		  16 | 19 << 21 | 19 << 16, 0, 0, 0, 5 | 1 << 4 | 1 << 6 }
	};
	static const struct smmuinv_features qemu = {
		{ 1u << 1 | 2u << 2 | 1u << 4 | 1u << 12 | 1u << 18 | 2u << 21 |
			  1u << 24 | 1u << 26 | 1u << 27,
		  16 | 19u << 16 | 19u << 21, 0, 1u << 2 | 1u << 10 | 2u << 11,
		  0, 4 | 7u << 4 }
	};
	static const struct smmuinv_features openvmm = {
		{ 1u << 1 | 2u << 2 | 1u << 4 | 1u << 12 | 2u << 21 | 1u << 24 |
			  1u << 26,
		  16 | 8u << 16 | 8u << 21, 0, 0, 0, 5 | 1u << 4 }
	};
	static const struct {
		struct smmuinv_hw_info info;
		/* The feature that is named, for each guest; COUNT for none. */
		int result[3];
		uint32_t named[3];
	} hosts[] = {
#define NONE SMMUINV_FEATURE_COUNT
#define TERM SMMUINV_FEATURE_TERM_MODEL
#define HAD  SMMUINV_FEATURE_HAD
		{ HOST(HOST0 | 1u << 26, 5 | 7 << 4), /* always aborts */
		  { 1, 1, 0 },
		  { TERM, HAD, NONE } },
		{ HOST(HOST0, 5 | 7 << 4), /* aborts or not, as CD.A says */
		  { 0, 1, 0 },
		  { NONE, HAD, NONE } },
		{ HOST(HOST0 & ~(3u << 21), 5 | 7 << 4), /* both endiannesses */
		  { 0, 1, 0 },
		  { NONE, HAD, NONE } },
		{ HOST((HOST0 & ~(3u << 24)) | 1u << 26,
		       5 | 7 << 4), /* stalls */
		  { 1, 1, 0 },
		  { TERM, HAD, NONE } },
		{ HOST(HOST0 | 1u << 26, 5 | 5 << 4), /* no 16K granule */
		  { 1, -EOPNOTSUPP, 0 },
		  { TERM, SMMUINV_FEATURE_GRAN16K, NONE } },
#undef HAD
#undef TERM
#undef NONE
	};
	const struct smmuinv_features *guests[] = { &cloud_hypervisor, &qemu,
						    &openvmm };
	size_t i, g;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(hosts); i++)
		for (g = 0; g < ARRAY_SIZE(guests); g++) {
			uint32_t lacking = SMMUINV_FEATURE_COUNT;
			struct smmuinv_features host;

			assert_int_equal(
				smmuinv_features_from_hw_info(
					&host, &hosts[i].info, true, NULL),
				0);
			assert_int_equal(
				smmuinv_features_compatible(guests[g], &host,
							    NULL, &lacking),
				hosts[i].result[g]);
			assert_int_equal(lacking, hosts[i].named[g]);
			assert_int_equal(assert_compatibility(guests[g], &host),
					 hosts[i].result[g]);
		}
}

static void accept_below(enum smmuinv_feature feature, uint32_t guest_value,
			 uint32_t host_value)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_features guest = host;

	spec_feature_set(&guest, feature, guest_value);
	spec_feature_set(&host, feature, host_value);
	assert_int_equal(assert_compatibility(&guest, &host), 0);
}

/* After a migration: ranges become pages. A new guest is not shown them. */
static void
a_guest_with_ranges_is_carried_by_a_host_without_but_not_offered(void **state)
{
	struct smmuinv_offer offer = wish(SMMUINV_FEATURE_RIL, SMMUINV_ON);
	struct smmuinv_features host = rich_host();
	uint32_t lacking = SMMUINV_FEATURE_COUNT;
	struct smmuinv_features guest;

	(void)state;
	accept_below(SMMUINV_FEATURE_RIL, 1, 0);
	accept_below(SMMUINV_FEATURE_RIL, 0, 1);
	accept_below(SMMUINV_FEATURE_RIL, 0, 0);
	spec_feature_set(&host, SMMUINV_FEATURE_RIL, 0);
	assert_int_equal(
		smmuinv_features_offer(&guest, &host, &offer, &lacking),
		-EOPNOTSUPP);
	assert_int_equal(lacking, SMMUINV_FEATURE_RIL);
	assert_int_equal(
		smmuinv_features_offer(&guest, &host, &no_wishes, NULL), 0);
	assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_RIL), 0);
}

static void bits_that_are_no_feature_are_not_compared(void **state)
{
	struct smmuinv_features host = rich_host();
	unsigned int bit;
	unsigned int i;

	(void)state;
	for (bit = 0; bit < 192; bit++) {
		uint32_t one = UINT32_C(1) << (bit % 32);
		struct smmuinv_features guest = host;
		bool feature = false;

		for (i = 0; i < SMMUINV_FEATURE_COUNT; i++)
			feature |= spec_features[i].idr == bit / 32 &&
				   (spec_features[i].mask & one);
		guest.idr[bit / 32] ^= one;
		if (!feature)
			assert_int_equal(smmuinv_features_compatible(
						 &guest, &host, NULL, NULL),
					 0);
	}
}

static void every_host_is_compatible_with_itself(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(10000); i++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_features guest =
			test_features_random_guest(&host);

		assert_int_equal(assert_compatibility(&host, &host), 0);
		/* What the other tests take for accepted is. */
		assert_int_equal(
			smmuinv__features_required(&guest, &host, NULL), 0);
	}
}

static void a_comparison_with_null_or_a_wrong_size_is_invalid(void **state)
{
	struct smmuinv_features host = rich_host();
	struct {
		struct smmuinv_compatibility known;
		unsigned char tail[8];
	} newer;
	size_t size;

	(void)state;
	assert_int_equal(smmuinv_features_compatible(NULL, &host, NULL, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_features_compatible(&host, NULL, NULL, NULL),
			 -EINVAL);
	for (size = 0; size < sizeof(newer.known); size++) {
		memset(&newer, 0x5a, sizeof(newer));
		newer.known.size = size;
		assert_int_equal(smmuinv_features_compatible(
					 &host, &host, &newer.known, NULL),
				 -EINVAL);
		assert_int_equal(newer.known.carriage[0], 0x5a);
	}
	memset(&newer, 0x5a, sizeof(newer));
	newer.known.size = sizeof(newer);
	assert_int_equal(
		smmuinv_features_compatible(&host, &host, &newer.known, NULL),
		0);
	assert_true(
		test_is_zero(newer.known.carriage, SMMUINV_FEATURE_SIDSIZE));
	assert_true(test_is_zero(newer.tail, sizeof(newer.tail)));
}

/* Frozen: more fields of the registers fit in without a new layout. */
static void a_report_has_room_for_new_fields_and_no_padding(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct smmuinv_compatibility),
			 sizeof(size_t) + SMMUINV_FEATURES_MAX);
	assert_int_equal(SMMUINV_FEATURES_MAX % 8, 0);
	assert_true(SMMUINV_FEATURE_COUNT <= SMMUINV_FEATURES_MAX);
	assert_int_equal(sizeof(struct smmuinv_offer), 24);
	assert_int_equal(offsetof(struct smmuinv_offer, reserved), 23);
}

/* Two hosts that often agree, so that there is something in common. */
static struct smmuinv_features another_host(const struct smmuinv_features *host)
{
	struct smmuinv_features other = *host;
	uint32_t n = (uint32_t)test_random_below(6);

	while (n--) {
		struct smmuinv_features from = test_features_random_host();
		enum smmuinv_feature which =
			test_random_below(SMMUINV_FEATURE_COUNT);

		spec_feature_set(&other, which, spec_feature_get(&from, which));
	}
	return other;
}

static struct smmuinv_compatibility
compare(const struct smmuinv_features *guest,
	const struct smmuinv_features *host)
{
	struct smmuinv_compatibility report = { .size = sizeof(report) };

	assert_true(smmuinv_features_compatible(guest, host, &report, NULL) !=
		    -EINVAL);
	return report;
}

/* Field by field, what is common carries what both carry, and no more. */
static void what_is_common_carries_exactly_what_both_carry(void **state)
{
	size_t common_ones = 0;
	size_t i, g, f;

	(void)state;
	for (i = 0; i < test_iterations(20000); i++) {
		struct smmuinv_features a = test_features_random_host();
		struct smmuinv_features b = another_host(&a);
		struct smmuinv_features common, reverse;
		int rc = smmuinv_features_common(&common, &a, &b, NULL);

		assert_int_equal(
			smmuinv_features_common(&reverse, &b, &a, NULL), rc);
		if (rc)
			continue;
		assert_memory_equal(&common, &reverse, sizeof(common));
		assert_int_equal(assert_compatibility(&common, &a), 0);
		assert_int_equal(assert_compatibility(&common, &b), 0);
		common_ones++;
		for (g = 0; g < 4; g++) {
			struct smmuinv_features guest =
				test_features_random_guest(g % 2 ? &a : &b);
			struct smmuinv_compatibility on_a = compare(&guest, &a);
			struct smmuinv_compatibility on_b = compare(&guest, &b);
			struct smmuinv_compatibility on_both =
				compare(&guest, &common);

			for (f = 0; f < SMMUINV_FEATURE_COUNT; f++)
				assert_int_equal(
					on_both.carriage[f],
					on_a.carriage[f] > on_b.carriage[f] ?
						on_a.carriage[f] :
						on_b.carriage[f]);
		}
	}
	assert_true(common_ones);
}

static void a_host_has_everything_in_common_with_itself(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(10000); i++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_features common = host;

		/* In place, too. */
		assert_int_equal(
			smmuinv_features_common(&common, &common, &host, NULL),
			0);
		assert_memory_equal(&common, &host, sizeof(host));
	}
}

/* Choices of the hosts': 0 leaves it open, and others must be the same. */
static void hosts_that_chose_differently_have_nothing_in_common(void **state)
{
	static const enum smmuinv_feature choices[] = {
		SMMUINV_FEATURE_TTENDIAN,
		SMMUINV_FEATURE_STALL_MODEL,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(choices); i++) {
		uint32_t x, y;

		for (x = 0; x <= 3; x++) {
			for (y = 0; y <= 3; y++) {
				struct smmuinv_features a = rich_host();
				struct smmuinv_features b = rich_host();
				struct smmuinv_features common = { { 7 } };
				uint32_t lacking = SMMUINV_FEATURE_COUNT;
				int rc;

				spec_feature_set(&a, choices[i], x);
				spec_feature_set(&b, choices[i], y);
				rc = smmuinv_features_common(&common, &a, &b,
							     &lacking);
				if (x && y && x != y) {
					assert_int_equal(rc, -EOPNOTSUPP);
					assert_int_equal(lacking, choices[i]);
					assert_int_equal(common.idr[0], 7);
					continue;
				}
				assert_int_equal(rc, 0);
				assert_int_equal(
					spec_feature_get(&common, choices[i]),
					x ? x : y);
			}
		}
	}
}

static void hosts_without_a_granule_in_common_are_refused_by_name(void **state)
{
	uint32_t x, y;

	(void)state;
	for (x = 1; x < 8; x++) {
		for (y = 1; y < 8; y++) {
			struct smmuinv_features a = rich_host();
			struct smmuinv_features b = rich_host();
			uint32_t lacking = SMMUINV_FEATURE_COUNT;
			struct smmuinv_features common;

			a.idr[5] = (a.idr[5] & ~0x70u) | x << 4;
			b.idr[5] = (b.idr[5] & ~0x70u) | y << 4;
			if (x & y) {
				assert_int_equal(
					smmuinv_features_common(&common, &a, &b,
								&lacking),
					0);
				assert_int_equal(common.idr[5] >> 4 & 7, x & y);
				continue;
			}
			assert_int_equal(smmuinv_features_common(&common, &a,
								 &b, &lacking),
					 -EOPNOTSUPP);
			assert_int_equal(lacking, SMMUINV_FEATURE_GRAN4K);
			assert_int_equal(
				smmuinv_features_common(&common, &a, &b, NULL),
				-EOPNOTSUPP);
		}
	}
}

/* Of a pair of values, what both have; -1 for a contradiction (6.3.1). */
static int64_t common_of(enum smmuinv_feature feature, uint32_t a, uint32_t b)
{
	switch (feature) {
	case SMMUINV_FEATURE_TTENDIAN:
	case SMMUINV_FEATURE_STALL_MODEL:
	case SMMUINV_FEATURE_TERM_MODEL:
		/* 0 leaves the choice to software. */
		if (!a || !b)
			return a > b ? a : b;
		return a == b ? (int64_t)a : -1;
	case SMMUINV_FEATURE_TTF:
		return a & b;
	default:
		return a < b ? a : b;
	}
}

static void assert_common(enum smmuinv_feature feature, uint32_t x, uint32_t y)
{
	struct smmuinv_features a = test_features_full();
	struct smmuinv_features b = a;
	struct smmuinv_features common;
	int64_t expected = common_of(feature, x, y);

	spec_feature_set(&a, feature, x);
	spec_feature_set(&b, feature, y);
	assert_int_equal(smmuinv_features_common(&common, &a, &b, NULL),
			 expected < 0 ? -EOPNOTSUPP : 0);
	if (expected >= 0)
		assert_int_equal(spec_feature_get(&common, feature), expected);
}

/* Every pair of values of every field by itself. */
static void of_each_field_what_is_common_is_what_both_have(void **state)
{
	uint32_t feature, x, y;

	(void)state;
	for (feature = 0; feature < SMMUINV_FEATURE_COUNT; feature++)
		for (x = 0; x < 64; x++)
			for (y = 0; y < 64; y++)
				assert_common(feature, field_value(feature, x),
					      field_value(feature, y));
}

static void what_is_common_with_null_is_invalid(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_features common;

	(void)state;
	assert_int_equal(smmuinv_features_common(NULL, &host, &host, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_features_common(&common, NULL, &host, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_features_common(&common, &host, NULL, NULL),
			 -EINVAL);
}

/* A host that did not come from hw_info is looked at too. */
static void nothing_is_offered_on_a_host_with_reserved_values(void **state)
{
	static const struct {
		uint32_t feature;
		uint32_t value;
	} cases[] = {
		{ SMMUINV_FEATURE_TTF, 0 },
		{ SMMUINV_FEATURE_TTF, 1 },
		{ SMMUINV_FEATURE_TTENDIAN, 1 },
		{ SMMUINV_FEATURE_STALL_MODEL, 3 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct smmuinv_features host = rich_host();
		uint32_t lacking;

		spec_feature_set(&host, cases[i].feature, cases[i].value);
		assert_int_equal(offer_result(&host, &no_wishes, &lacking),
				 -EOPNOTSUPP);
		assert_int_equal(lacking, cases[i].feature);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(nothing_is_offered_on_a_host_with_reserved_values),
		T(reserved_values_of_a_host_are_refused_or_clamped),
		T(of_any_registers_what_is_offered_is_accepted),
		T(of_all_values_of_a_host_what_is_offered_is_accepted),
		T(stalls_come_with_the_vmms_stall_max),
		T(every_value_of_every_field_is_reported_as_it_is_carried),
		T(any_two_smmus_are_compared_field_by_field),
		T(only_what_invalidations_depend_on_is_refused),
		T(guests_of_three_vmms_are_refused_for_invalidations_only),
		T(a_report_has_room_for_new_fields_and_no_padding),
		T(every_feature_has_the_registers_name),
		T(every_one_of_the_192_bits_is_in_the_right_feature),
		T(features_of_random_registers_read_as_specified),
		T(a_feature_that_does_not_exist_is_zero_and_nameless),
		T(granules_are_those_of_idr5),
		T(no_other_size_is_a_granule),
		T(hw_info_has_the_kernels_layout),
		T(the_repeat_erratum_is_bit_0_of_the_kernels_flags),
		T(only_the_bits_that_the_kernel_allows_are_taken_from_hw_info),
		T(nothing_but_the_registers_is_taken_from_hw_info),
		T(what_nesting_cannot_carry_is_never_taken_from_hw_info),
		T(ats_of_a_host_is_the_arguments_alone),
		T(a_host_that_can_nest_has_stage_1),
		T(a_host_without_aarch64_tables_is_refused),
		T(a_host_without_any_granule_is_refused),
		T(a_null_host_or_info_is_invalid),
		T(every_choice_on_a_host_that_has_the_feature_is_met),
		T(on_without_the_hosts_feature_is_refused_and_named),
		T(stalls_are_offered_only_when_asked_for),
		T(a_host_that_forces_stalls_cannot_hide_them_from_a_guest),
		T(a_choice_outside_its_enumeration_is_invalid),
		T(stall_outside_its_enumeration_is_invalid),
		T(every_number_of_substreamid_bits_up_to_the_hosts_is_met),
		T(stream_and_queue_sizes_are_bounded_and_have_defaults),
		T(address_bits_are_those_that_oas_can_say),
		T(granules_are_the_wish_or_all_of_the_hosts),
		T(msi_and_sev_are_the_vmms_own),
		T(an_offer_without_its_arguments_is_invalid),
		T(an_offer_with_a_reserved_wish_is_invalid),
		T(an_offer_of_a_wrong_size_is_invalid),
		T(nobody_needs_to_ask_what_the_host_lacks),
		T(what_is_offered_is_always_compatible_with_its_host),
		T(what_has_no_choice_is_as_the_hosts),
		T(a_guest_is_never_offered_what_nesting_cannot_carry),
		T(a_guest_is_always_offered_what_it_needs_to_translate),
		T(ds_is_not_offered_without_a_4k_or_16k_granule),
		T(vax_is_not_offered_without_a_granule_that_reaches_it),
		T(physical_addresses_of_52_bits_need_64k_or_ds),
		T(the_same_offer_to_the_same_host_is_the_same),
		T(a_guest_with_ranges_is_carried_by_a_host_without_but_not_offered),
		T(bits_that_are_no_feature_are_not_compared),
		T(every_host_is_compatible_with_itself),
		T(a_comparison_with_null_or_a_wrong_size_is_invalid),
		T(what_is_common_carries_exactly_what_both_carry),
		T(a_host_has_everything_in_common_with_itself),
		T(hosts_that_chose_differently_have_nothing_in_common),
		T(hosts_without_a_granule_in_common_are_refused_by_name),
		T(of_each_field_what_is_common_is_what_both_have),
		T(what_is_common_with_null_is_invalid),
#undef T
	};

	return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
