/* SPDX-License-Identifier: MIT */
/*
 * What a host implements, and what of it a guest is shown. The places of the
 * ID registers' fields are spec.c's, from Arm IHI 0070 6.3.1 to 6.3.6.
 */
#include "support.h"

#include <errno.h>
#include <string.h>

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
		assert_string_equal(
			smmuinv_feature_name((enum smmuinv_feature)i),
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
			if (smmuinv_features_get(&f, (enum smmuinv_feature)i) !=
			    spec_feature_get(&f, (enum smmuinv_feature)i))
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
			assert_int_equal(
				smmuinv_features_get(&f,
						     (enum smmuinv_feature)i),
				spec_feature_get(&f, (enum smmuinv_feature)i));
	}
}

static void a_feature_that_does_not_exist_is_zero_and_nameless(void **state)
{
	static const unsigned int none[] = {
		SMMUINV_FEATURE_COUNT,
		SMMUINV_FEATURE_COUNT + 1,
		0x7fffffff,
	};
	struct smmuinv_features ones;
	size_t i;

	(void)state;
	memset(&ones, 0xff, sizeof(ones));
	for (i = 0; i < ARRAY_SIZE(none); i++) {
		enum smmuinv_feature f = (enum smmuinv_feature)none[i];

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
			assert_int_equal(smmuinv_features_has_granule(
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
		assert_int_equal(
			smmuinv_features_has_granule(&ones, UINT64_C(1) << bit),
			bit == 12 || bit == 14 || bit == 16);
	assert_false(smmuinv_features_has_granule(&ones, 0));
	for (i = 0; i < test_iterations(1000); i++) {
		uint64_t bytes = test_random();

		assert_false(smmuinv_features_has_granule(&ones, bytes));
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
	assert_int_equal(smmuinv_features_from_hw_info(&base, &least, false),
			 0);
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
		assert_int_equal(
			smmuinv_features_from_hw_info(&host, &info, false), 0);
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
	assert_int_equal(smmuinv_features_from_hw_info(&base, &info, false), 0);
	info.flags = UINT32_MAX;
	info.reserved = UINT32_MAX;
	info.iidr = UINT32_MAX;
	info.aidr = UINT32_MAX;
	assert_int_equal(smmuinv_features_from_hw_info(&host, &info, false), 0);
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
	assert_int_equal(smmuinv_features_from_hw_info(&host, &ones, false), 0);
	for (i = 0; i < ARRAY_SIZE(never); i++)
		assert_int_equal(smmuinv_features_get(&host, never[i]), 0);
	assert_int_equal(host.idr[2], 0);
	assert_int_equal(host.idr[4], 0);
	assert_int_equal(host.idr[0] & 0x18000000, 0); /* ST_LEVEL */
}

static void ats_of_a_host_is_the_arguments_alone(void **state)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features host;

	(void)state;
	assert_int_equal(smmuinv_features_from_hw_info(&host, &info, true), 0);
	assert_int_equal(smmuinv_features_get(&host, SMMUINV_FEATURE_ATS), 1);
	info.idr[0] |= IDR0_ATS;
	assert_int_equal(smmuinv_features_from_hw_info(&host, &info, true), 0);
	assert_int_equal(smmuinv_features_get(&host, SMMUINV_FEATURE_ATS), 1);
	assert_int_equal(smmuinv_features_from_hw_info(&host, &info, false), 0);
	assert_int_equal(smmuinv_features_get(&host, SMMUINV_FEATURE_ATS), 0);
}

static void a_host_that_can_nest_has_stage_1(void **state)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features host;

	(void)state;
	assert_int_equal(smmuinv_features_from_hw_info(&host, &info, false), 0);
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
						 &host, &info, false),
					 0);
			continue;
		}
		assert_int_equal(
			smmuinv_features_from_hw_info(&host, &info, false),
			-EOPNOTSUPP);
		assert_memory_equal(&host, &before, sizeof(host));
	}
}

static void a_host_without_any_granule_is_refused(void **state)
{
	struct smmuinv_features host = { { 1, 2, 3, 4, 5, 6 } };
	const struct smmuinv_features before = host;
	uint32_t granules;

	(void)state;
	for (granules = 0; granules < 8; granules++) {
		struct smmuinv_hw_info info = least_info();

		info.idr[5] = ~UINT32_C(0x70) | granules << 4;
		assert_int_equal(
			smmuinv_features_from_hw_info(&host, &info, false),
			granules ? 0 : -EOPNOTSUPP);
		if (!granules)
			assert_memory_equal(&host, &before, sizeof(host));
	}
}

static void a_null_host_or_info_is_invalid(void **state)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features host;

	(void)state;
	assert_int_equal(smmuinv_features_from_hw_info(NULL, &info, false),
			 -EINVAL);
	assert_int_equal(smmuinv_features_from_hw_info(&host, NULL, false),
			 -EINVAL);
}

/* A host that has everything one may be told of. */
static struct smmuinv_features rich_host(void)
{
	struct smmuinv_features host = test_features_full();
	struct smmuinv_hw_info info = { 0 };

	memcpy(info.idr, host.idr, sizeof(info.idr));
	assert_int_equal(smmuinv_features_from_hw_info(&host, &info, true), 0);
	return host;
}

static struct smmuinv_features poor_host(void)
{
	struct smmuinv_hw_info info = least_info();
	struct smmuinv_features host;

	info.idr[0] |= 0x01000000; /* STALL_MODEL: none */
	assert_int_equal(smmuinv_features_from_hw_info(&host, &info, false), 0);
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
	enum smmuinv_feature lacking = SMMUINV_FEATURE_COUNT;
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
			const struct smmuinv_offer *offer,
			enum smmuinv_feature *lacking)
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
	enum smmuinv_feature lacking;
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
		enum smmuinv_feature lacking;

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
		enum smmuinv_feature lacking;
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
	enum smmuinv_feature lacking;
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
	enum smmuinv_feature lacking;
	size_t at;

	(void)state;
	for (at = 0; test_only_byte(o.reserved, sizeof(o.reserved), at); at++)
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
	enum smmuinv_feature lacking;
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
	assert_int_equal(smmuinv_features_compatible(&rich, &host, NULL),
			 -EOPNOTSUPP);
}

static struct smmuinv_offer random_offer(void)
{
	static const uint8_t address_bits[] = { 0, 32, 36, 40, 42, 44, 48, 52 };

	return (struct smmuinv_offer){
		.size = sizeof(struct smmuinv_offer),
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

static void what_is_offered_is_always_compatible_with_its_host(void **state)
{
	size_t met = 0;
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(50000); i++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_offer offer = random_offer();
		enum smmuinv_feature lacking;
		struct smmuinv_features guest;
		int r = smmuinv_features_offer(&guest, &host, &offer, &lacking);

		if (r) {
			assert_int_equal(r, -EOPNOTSUPP);
			continue;
		}
		met++;
		r = smmuinv_features_compatible(&guest, &host, &lacking);
		if (r)
			fail_msg("%s is offered to a guest",
				 smmuinv_feature_name(lacking));
	}
	assert_true(met > 0);
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
		assert_int_equal(guest.idr[5] & 0xfffff308, 0);
	}
	assert_true(met > 0);
}

/* Registers that nesting cannot carry, or that nobody has set. */
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

/* 6.3: combinations of registers that the specification excludes */
static void what_is_offered_is_an_smmu_that_could_exist(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(50000); i++) {
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_offer offer = random_offer();
		struct smmuinv_features guest;
		const char *why;

		if (smmuinv_features_offer(&guest, &host, &offer, NULL))
			continue;
		why = spec_smmu_impossible(&guest);
		if (why)
			fail_msg("%s: host IDR5 0x%x, granules %u, ds %u, "
				 "address_bits %u: guest IDR5 0x%x",
				 why, host.idr[5], offer.granules, offer.ds,
				 offer.address_bits, guest.idr[5]);
	}
}

/* 6.3.6: DS is RES0 if GRAN4K and GRAN16K are both 0 */
static void ds_is_not_offered_without_a_4k_or_16k_granule(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_offer offer = no_wishes;
	enum smmuinv_feature lacking;
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
	enum smmuinv_feature lacking;

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

/* The guest has one feature more than the host, which is refused by name. */
static void refuse_above(enum smmuinv_feature feature, uint32_t guest_value,
			 uint32_t host_value)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_features guest = host;
	enum smmuinv_feature lacking = SMMUINV_FEATURE_COUNT;

	spec_feature_set(&guest, feature, guest_value);
	spec_feature_set(&host, feature, host_value);
	if (smmuinv_features_compatible(&guest, &host, &lacking) != -EOPNOTSUPP)
		fail_msg("%s: guest %u on host %u is not refused",
			 smmuinv_feature_name(feature), guest_value,
			 host_value);
	assert_int_equal(lacking, feature);
}

static void accept_below(enum smmuinv_feature feature, uint32_t guest_value,
			 uint32_t host_value)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_features guest = host;
	enum smmuinv_feature lacking = SMMUINV_FEATURE_COUNT;

	spec_feature_set(&guest, feature, guest_value);
	spec_feature_set(&host, feature, host_value);
	if (smmuinv_features_compatible(&guest, &host, &lacking))
		fail_msg("%s: guest %u on host %u is refused",
			 smmuinv_feature_name(feature), guest_value,
			 host_value);
	assert_int_equal(lacking, SMMUINV_FEATURE_COUNT);
}

static void
a_guest_with_a_flag_that_the_host_lacks_is_refused_by_name(void **state)
{
	static const enum smmuinv_feature flags[] = {
		SMMUINV_FEATURE_ATS,     SMMUINV_FEATURE_ASID16,
		SMMUINV_FEATURE_CD2L,    SMMUINV_FEATURE_GRAN4K,
		SMMUINV_FEATURE_GRAN16K, SMMUINV_FEATURE_GRAN64K,
		SMMUINV_FEATURE_DS,      SMMUINV_FEATURE_D128,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		refuse_above(flags[i], 1, 0);
		accept_below(flags[i], 0, 1);
		accept_below(flags[i], 0, 0);
	}
}

/* After a migration: ranges become pages. A new guest is not shown them. */
static void
a_guest_with_ranges_is_carried_by_a_host_without_but_not_offered(void **state)
{
	struct smmuinv_offer offer = wish(SMMUINV_FEATURE_RIL, SMMUINV_ON);
	struct smmuinv_features host = rich_host();
	enum smmuinv_feature lacking = SMMUINV_FEATURE_COUNT;
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

static void compare_all_values(enum smmuinv_feature feature)
{
	uint32_t most = spec_feature_max(feature);
	uint32_t guest;
	uint32_t host;

	for (guest = 0; guest <= most; guest++) {
		for (host = 0; host <= most; host++) {
			if (guest > host)
				refuse_above(feature, guest, host);
			else
				accept_below(feature, guest, host);
		}
	}
}

static void
a_guest_with_a_number_above_the_hosts_is_refused_by_name(void **state)
{
	static const enum smmuinv_feature numbers[] = {
		SMMUINV_FEATURE_SSIDSIZE,
		SMMUINV_FEATURE_BBML,
		SMMUINV_FEATURE_VAX,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		compare_all_values(numbers[i]);
}

/* 6.3.1: a big-endian walker does not read little-endian tables */
static void a_guest_with_tables_of_the_other_endianness_is_refused(void **state)
{
	const enum smmuinv_feature ttendian = SMMUINV_FEATURE_TTENDIAN;

	(void)state;
	refuse_above(ttendian, 2, 3);
	refuse_above(ttendian, 3, 2);
	refuse_above(ttendian, 0, 2);
	refuse_above(ttendian, 0, 3);
	accept_below(ttendian, 0, 0);
	accept_below(ttendian, 2, 2);
	accept_below(ttendian, 3, 3);
}

/* 6.3.1: with TERM_MODEL 1, CD.A must be 1 */
static void
a_guest_that_may_end_faults_quietly_needs_a_host_that_does(void **state)
{
	(void)state;
	refuse_above(SMMUINV_FEATURE_TERM_MODEL, 0, 1);
	accept_below(SMMUINV_FEATURE_TERM_MODEL, 0, 0);
	accept_below(SMMUINV_FEATURE_TERM_MODEL, 1, 1);
}

/* 6.3.1: 0b00 both, 0b01 no stalls (CD.S is 0), 0b10 forced (CD.S is 1) */
static void a_guest_may_stall_only_on_a_host_that_does(void **state)
{
	const enum smmuinv_feature stall = SMMUINV_FEATURE_STALL_MODEL;
	uint32_t model;

	(void)state;
	for (model = 0; model < 3; model++) {
		accept_below(stall, model, model);
		accept_below(stall, model, 0);
	}
	accept_below(stall, 1, 1);
	refuse_above(stall, 0, 1);
	refuse_above(stall, 0, 2);
	refuse_above(stall, 2, 1);
}

/* 6.3.1: such a guest's CDs have S clear, which is ILLEGAL on such a host */
static void
a_guest_that_never_stalls_is_refused_where_stalls_are_forced(void **state)
{
	(void)state;
	refuse_above(SMMUINV_FEATURE_STALL_MODEL, 1, 2);
}

static void
a_guest_with_tables_of_a_format_unknown_to_the_host_is_refused(void **state)
{
	uint32_t guest;
	uint32_t host;

	(void)state;
	for (guest = 0; guest < 4; guest++)
		for (host = 0; host < 4; host++) {
			if (guest & ~host)
				refuse_above(SMMUINV_FEATURE_TTF, guest, host);
			else
				accept_below(SMMUINV_FEATURE_TTF, guest, host);
		}
}

static void what_the_vmm_emulates_is_not_compared(void **state)
{
	static const enum smmuinv_feature emulated[] = {
		SMMUINV_FEATURE_S2P, SMMUINV_FEATURE_HYP,
		SMMUINV_FEATURE_MSI, SMMUINV_FEATURE_SEV,
		SMMUINV_FEATURE_PRI, SMMUINV_FEATURE_MPAM,
		SMMUINV_FEATURE_DPT, SMMUINV_FEATURE_SIDSIZE,
		SMMUINV_FEATURE_OAS,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(emulated); i++) {
		accept_below(emulated[i], spec_feature_max(emulated[i]), 0);
		accept_below(emulated[i], 0, spec_feature_max(emulated[i]));
	}
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
						 &guest, &host, NULL),
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
		enum smmuinv_feature lacking = SMMUINV_FEATURE_COUNT;

		assert_int_equal(
			smmuinv_features_compatible(&host, &host, &lacking), 0);
		/* What the other tests take for compatible is. */
		assert_int_equal(
			smmuinv_features_compatible(&guest, &host, &lacking),
			0);
		assert_int_equal(lacking, SMMUINV_FEATURE_COUNT);
	}
}

static void compatibility_with_null_is_invalid(void **state)
{
	struct smmuinv_features host = rich_host();

	(void)state;
	assert_int_equal(smmuinv_features_compatible(NULL, &host, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_features_compatible(&host, NULL, NULL),
			 -EINVAL);
}

/* Two hosts that often agree, so that there is something in common. */
static struct smmuinv_features another_host(const struct smmuinv_features *host)
{
	struct smmuinv_features other = *host;
	uint32_t n = (uint32_t)test_random_below(6);

	while (n--) {
		struct smmuinv_features from = test_features_random_host();
		enum smmuinv_feature which =
			(enum smmuinv_feature)test_random_below(
				SMMUINV_FEATURE_COUNT);

		spec_feature_set(&other, which, spec_feature_get(&from, which));
	}
	return other;
}

static bool carries(const struct smmuinv_features *host,
		    const struct smmuinv_features *guest)
{
	return !smmuinv_features_compatible(guest, host, NULL);
}

/* Whom both carry, what is common carries, and the other way round. */
static void what_is_common_carries_exactly_whom_both_carry(void **state)
{
	size_t common_ones = 0;
	size_t both_carry = 0;
	size_t i, g;

	(void)state;
	for (i = 0; i < test_iterations(20000); i++) {
		struct smmuinv_features a = test_features_random_host();
		struct smmuinv_features b = another_host(&a);
		struct smmuinv_features common, reverse;
		int rc = smmuinv_features_common(&common, &a, &b, NULL);

		assert_int_equal(
			smmuinv_features_common(&reverse, &b, &a, NULL), rc);
		if (!rc) {
			assert_memory_equal(&common, &reverse, sizeof(common));
			assert_true(carries(&a, &common));
			assert_true(carries(&b, &common));
			common_ones++;
		}
		for (g = 0; g < 4; g++) {
			struct smmuinv_features guest =
				test_features_random_guest(g % 2 ? &a : &b);
			bool both = carries(&a, &guest) && carries(&b, &guest);

			both_carry += both;
			if (!rc)
				assert_int_equal(carries(&common, &guest),
						 both);
		}
	}
	assert_true(common_ones && both_carry);
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
				enum smmuinv_feature lacking =
					SMMUINV_FEATURE_COUNT;
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
			enum smmuinv_feature lacking = SMMUINV_FEATURE_COUNT;
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
	unsigned int i;

	(void)state;
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++) {
		enum smmuinv_feature feature = (enum smmuinv_feature)i;
		uint32_t most = spec_feature_max(feature);
		uint32_t x, y;

		for (x = 0; x <= most; x++) {
			for (y = 0; y <= most; y++)
				assert_common(feature, x, y);
		}
	}
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

/* 6.3.2: SSIDSIZE is at most 20. */
static void no_more_than_20_ssid_bits_are_offered(void **state)
{
	struct smmuinv_features host = rich_host();
	struct smmuinv_offer offer = no_wishes;
	struct smmuinv_features guest;

	(void)state;
	offer.ssid_bits = SMMUINV_SSID_BITS_AS_HOST;
	spec_feature_set(&host, SMMUINV_FEATURE_SSIDSIZE, 31);
	guest = offer_ok(&host, &offer);
	assert_int_equal(spec_feature_get(&guest, SMMUINV_FEATURE_SSIDSIZE),
			 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(no_more_than_20_ssid_bits_are_offered),
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
		T(what_is_offered_is_an_smmu_that_could_exist),
		T(ds_is_not_offered_without_a_4k_or_16k_granule),
		T(vax_is_not_offered_without_a_granule_that_reaches_it),
		T(physical_addresses_of_52_bits_need_64k_or_ds),
		T(the_same_offer_to_the_same_host_is_the_same),
		T(a_guest_with_a_flag_that_the_host_lacks_is_refused_by_name),
		T(a_guest_with_ranges_is_carried_by_a_host_without_but_not_offered),
		T(a_guest_with_a_number_above_the_hosts_is_refused_by_name),
		T(a_guest_with_tables_of_the_other_endianness_is_refused),
		T(a_guest_that_may_end_faults_quietly_needs_a_host_that_does),
		T(a_guest_may_stall_only_on_a_host_that_does),
		T(a_guest_that_never_stalls_is_refused_where_stalls_are_forced),
		T(a_guest_with_tables_of_a_format_unknown_to_the_host_is_refused),
		T(what_the_vmm_emulates_is_not_compared),
		T(bits_that_are_no_feature_are_not_compared),
		T(every_host_is_compatible_with_itself),
		T(compatibility_with_null_is_invalid),
		T(what_is_common_carries_exactly_whom_both_carry),
		T(a_host_has_everything_in_common_with_itself),
		T(hosts_that_chose_differently_have_nothing_in_common),
		T(hosts_without_a_granule_in_common_are_refused_by_name),
		T(of_each_field_what_is_common_is_what_both_have),
		T(what_is_common_with_null_is_invalid),
#undef T
	};

	return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
