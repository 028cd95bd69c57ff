/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec.h"

#define SEED_DEFAULT UINT64_C(0x534d4d55696e7601)

static uint64_t seed_from_environment(void)
{
	const char *text = getenv("SMMUINV_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : SEED_DEFAULT;

	print_message("SMMUINV_TEST_SEED=0x%" PRIx64 "\n", seed);
	return seed;
}

/* splitmix64 */
uint64_t test_random(void)
{
	static uint64_t state;
	static bool seeded;
	uint64_t z;

	if (!seeded) {
		state = seed_from_environment();
		seeded = true;
	}
	state += UINT64_C(0x9e3779b97f4a7c15);
	z = state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t test_random_below(uint64_t bound)
{
	return test_random() % bound;
}

bool test_chance(unsigned int percent)
{
	return test_random_below(100) < percent;
}

uint64_t test_random_edge(void)
{
	unsigned int shift = (unsigned int)test_random_below(64);

	switch (test_random_below(6)) {
	case 0:
		return test_random_below(4);
	case 1:
		return ~test_random_below(4);
	case 2:
		return UINT64_C(1) << shift;
	case 3:
		return ~UINT64_C(0) >> shift;
	case 4:
		return ~UINT64_C(0) << shift;
	default:
		return test_random();
	}
}

size_t test_iterations(size_t count)
{
	const char *text = getenv("SMMUINV_TEST_SCALE");
	double scaled = (double)count * (text ? strtod(text, NULL) : 1.0);

	return scaled < 1.0 ? 1 : (size_t)scaled;
}

bool test_only_byte(void *bytes, size_t size, size_t at)
{
	memset(bytes, 0, size);
	if (at >= size)
		return false;
	((unsigned char *)bytes)[at] = (unsigned char)(1u << at);
	return true;
}

bool test_is_zero(const void *bytes, size_t size)
{
	const unsigned char *byte = bytes;
	size_t i;

	for (i = 0; i < size; i++) {
		if (byte[i])
			return false;
	}
	return true;
}

struct smmuinv_command test_command(uint64_t dw0, uint64_t dw1)
{
	return (struct smmuinv_command){ .dw = { htole64(dw0), htole64(dw1) } };
}

uint64_t test_dw0(const struct smmuinv_command *command)
{
	return le64toh(command->dw[0]);
}

uint64_t test_dw1(const struct smmuinv_command *command)
{
	return le64toh(command->dw[1]);
}

bool test_command_equal(const struct smmuinv_command *a,
			const struct smmuinv_command *b)
{
	return a->dw[0] == b->dw[0] && a->dw[1] == b->dw[1];
}

const char *test_text(const struct smmuinv_command *command)
{
	static char texts[4][SMMUINV_COMMAND_TEXT_MAX + 64];
	static unsigned int next;
	char *text = texts[next++ % ARRAY_SIZE(texts)];
	int n = snprintf(text, 64, "[%016" PRIx64 ":%016" PRIx64 "] ",
			 test_dw1(command), test_dw0(command));

	smmuinv_command_print(command, text + n, SMMUINV_COMMAND_TEXT_MAX);
	return text;
}

struct smmuinv_features test_features_full(void)
{
	struct smmuinv_features f = { { 0 } };

	f.idr[0] = 0x08000000; /* 2-level Stream tables */
	spec_feature_set(&f, SMMUINV_FEATURE_S1P, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_S2P, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_TTF, 2);
	spec_feature_set(&f, SMMUINV_FEATURE_HYP, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_ATS, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_ASID16, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_MSI, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_SEV, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_PRI, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_VMID16, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_CD2L, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_TTENDIAN, 2);
	spec_feature_set(&f, SMMUINV_FEATURE_SIDSIZE, 32);
	spec_feature_set(&f, SMMUINV_FEATURE_SSIDSIZE, 20);
	spec_feature_set(&f, SMMUINV_FEATURE_MPAM, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_RIL, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_BBML, 2);
	spec_feature_set(&f, SMMUINV_FEATURE_DPT, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_GRAN4K, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_GRAN16K, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_GRAN64K, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_DS, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_VAX, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_OAS, 6);
	return f;
}

struct smmuinv_features test_features_plain(void)
{
	struct smmuinv_features f = { { 0 } };

	spec_feature_set(&f, SMMUINV_FEATURE_S1P, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_TTF, 2);
	spec_feature_set(&f, SMMUINV_FEATURE_TTENDIAN, 2);
	spec_feature_set(&f, SMMUINV_FEATURE_STALL_MODEL, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_SIDSIZE, 6);
	spec_feature_set(&f, SMMUINV_FEATURE_GRAN4K, 1);
	return f;
}

/* A value of the field that the specification gives a meaning. */
static uint32_t random_value(enum smmuinv_feature feature)
{
	uint32_t max = spec_feature_max(feature);

	if (feature == SMMUINV_FEATURE_TTENDIAN)
		return (uint32_t[]){ 0, 2, 3 }[test_random_below(3)];
	return (uint32_t)test_random_below((uint64_t)max + 1);
}

static struct smmuinv_features random_host(void)
{
	static const enum smmuinv_feature readable[] = {
		SMMUINV_FEATURE_ASID16,     SMMUINV_FEATURE_CD2L,
		SMMUINV_FEATURE_TTENDIAN,   SMMUINV_FEATURE_STALL_MODEL,
		SMMUINV_FEATURE_TERM_MODEL, SMMUINV_FEATURE_SIDSIZE,
		SMMUINV_FEATURE_SSIDSIZE,   SMMUINV_FEATURE_RIL,
		SMMUINV_FEATURE_BBML,       SMMUINV_FEATURE_GRAN4K,
		SMMUINV_FEATURE_GRAN16K,    SMMUINV_FEATURE_GRAN64K,
		SMMUINV_FEATURE_DS,         SMMUINV_FEATURE_VAX,
		SMMUINV_FEATURE_ATS,
	};
	struct smmuinv_features f = { { 0x08000000 } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(readable); i++)
		spec_feature_set(&f, readable[i], random_value(readable[i]));
	spec_feature_set(&f, SMMUINV_FEATURE_S1P, 1);
	spec_feature_set(&f, SMMUINV_FEATURE_TTF, test_chance(50) ? 2 : 3);
	return f;
}

static bool has_no_granule(const struct smmuinv_features *f)
{
	return !spec_feature_get(f, SMMUINV_FEATURE_GRAN4K) &&
	       !spec_feature_get(f, SMMUINV_FEATURE_GRAN16K) &&
	       !spec_feature_get(f, SMMUINV_FEATURE_GRAN64K);
}

struct smmuinv_features test_features_random_host(void)
{
	struct smmuinv_features f;

	do {
		f = random_host();
	} while (has_no_granule(&f) || spec_smmu_impossible(&f) ||
		 spec_feature_get(&f, SMMUINV_FEATURE_VAX) > 1);
	/* ST_LEVEL is not taken from the host. */
	f.idr[0] &= ~UINT32_C(0x18000000);
	return f;
}

struct smmuinv_features
test_features_random_guest(const struct smmuinv_features *host)
{
	static const enum smmuinv_feature weaker[] = {
		SMMUINV_FEATURE_ATS,     SMMUINV_FEATURE_ASID16,
		SMMUINV_FEATURE_CD2L,    SMMUINV_FEATURE_SSIDSIZE,
		SMMUINV_FEATURE_RIL,     SMMUINV_FEATURE_BBML,
		SMMUINV_FEATURE_GRAN4K,  SMMUINV_FEATURE_GRAN16K,
		SMMUINV_FEATURE_GRAN64K, SMMUINV_FEATURE_DS,
		SMMUINV_FEATURE_VAX,
	};
	static const enum smmuinv_feature emulated[] = {
		SMMUINV_FEATURE_S1P,     SMMUINV_FEATURE_S2P,
		SMMUINV_FEATURE_HYP,     SMMUINV_FEATURE_MSI,
		SMMUINV_FEATURE_SEV,     SMMUINV_FEATURE_PRI,
		SMMUINV_FEATURE_SIDSIZE, SMMUINV_FEATURE_MPAM,
		SMMUINV_FEATURE_DPT,     SMMUINV_FEATURE_OAS,
		SMMUINV_FEATURE_VMID16,
	};
	struct smmuinv_features f = *host;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(weaker); i++) {
		uint32_t most = spec_feature_get(host, weaker[i]);

		if (test_chance(50))
			spec_feature_set(&f, weaker[i],
					 (uint32_t)test_random_below(
						 (uint64_t)most + 1));
	}
	for (i = 0; i < ARRAY_SIZE(emulated); i++)
		spec_feature_set(&f, emulated[i], random_value(emulated[i]));
	if (test_chance(80))
		spec_feature_set(&f, SMMUINV_FEATURE_S1P, 1);
	/* Stalls may be kept from a guest unless the host forces them. */
	if (spec_feature_get(host, SMMUINV_FEATURE_STALL_MODEL) == 0)
		spec_feature_set(&f, SMMUINV_FEATURE_STALL_MODEL,
				 (uint32_t)test_random_below(3));
	spec_feature_set(&f, SMMUINV_FEATURE_TTF, 2);
	return f;
}
