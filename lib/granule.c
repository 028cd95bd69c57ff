/* SPDX-License-Identifier: MIT */
#include "granule.h"

#include <errno.h>
#include <stdlib.h>

#define SET_BITS 4

/* AArch32 tables have the 4K granule whatever IDR5 says. */
static bool may_use(const struct smmuinv_features *guest, uint8_t tg)
{
	enum { TTF_AARCH32 = 1 };

	if (tg == SMMUINV_TG_4K &&
	    smmuinv_features_get(guest, SMMUINV_FEATURE_TTF) & TTF_AARCH32)
		return true;
	return smmuinv_features_has_granule(guest, UINT64_C(1)
							   << granule_log2(tg));
}

/* More than 52 only 128-bit descriptors have, which no guest is shown. */
static uint8_t va_bits(const struct smmuinv_features *guest)
{
	return smmuinv_features_get(guest, SMMUINV_FEATURE_VAX) ? 52 : 48;
}

int smmuinv__granules_init(struct granules *granules,
			   const struct smmuinv_features *guest)
{
	unsigned int shown = 0;
	uint8_t tg;

	*granules = (struct granules){
		.shown = SMMUINV_TG_ANY,
		.va_bits = va_bits(guest),
	};
	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		if (!may_use(guest, tg))
			continue;
		granules->shown = tg;
		shown++;
	}
	if (shown != 1)
		granules->shown = SMMUINV_TG_ANY;
	granules->of_asid = calloc(GRANULE_ASIDS, 1);
	return granules->of_asid ? 0 : -ENOMEM;
}

void smmuinv__granules_free(struct granules *granules)
{
	free(granules->of_asid);
}

uint8_t smmuinv__granules_sets(const struct granules *granules, uint16_t asid)
{
	return __atomic_load_n(&granules->of_asid[asid], __ATOMIC_RELAXED);
}

void smmuinv__granules_add(struct granules *granules, uint16_t asid,
			   uint8_t sets)
{
	const uint8_t lower = sets & ((1u << SET_BITS) - 1);
	const uint8_t upper = sets >> SET_BITS;

	__atomic_fetch_or(&granules->all[0], lower, __ATOMIC_RELAXED);
	__atomic_fetch_or(&granules->all[1], upper, __ATOMIC_RELAXED);
	__atomic_fetch_or(&granules->of_asid[asid], sets, __ATOMIC_RELAXED);
}

/*
 * Tables of which nothing is certain may be of AArch32, whose halves are
 * others: then nothing is certain of either half.
 */
void smmuinv__granules_note(struct granules *granules,
			    const struct smmuinv_cd *cd)
{
	const unsigned int any =
		1u << SMMUINV_TG_ANY | 1u << (SMMUINV_TG_ANY + SET_BITS);
	unsigned int sets = 0;
	unsigned int half;

	for (half = 0; cd->valid && half < 2; half++) {
		if (!cd->walks[half])
			continue;
		sets |= 1u << (cd->tg[half] + half * SET_BITS);
		if (cd->tg[half] == SMMUINV_TG_ANY)
			sets |= any;
	}
	if (sets)
		smmuinv__granules_add(granules, cd->asid, (uint8_t)sets);
}

void smmuinv__granules_forget(struct granules *granules)
{
	uint32_t asid;

	for (asid = 0; asid < GRANULE_ASIDS; asid++)
		__atomic_store_n(&granules->of_asid[asid], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&granules->all[0], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&granules->all[1], 0, __ATOMIC_RELAXED);
}

static uint8_t only_one_of(uint8_t set)
{
	switch (set) {
	case 1u << SMMUINV_TG_4K:
		return SMMUINV_TG_4K;
	case 1u << SMMUINV_TG_16K:
		return SMMUINV_TG_16K;
	case 1u << SMMUINV_TG_64K:
		return SMMUINV_TG_64K;
	default:
		return SMMUINV_TG_ANY;
	}
}

/*
 * A TLBI_NH_VA reaches global entries too, whatever ASID made them: so no ASID
 * may have another granule in this half, which the sign says.
 */
uint8_t smmuinv__granule_of(const struct granules *granules, uint16_t asid,
			    uint64_t va)
{
	unsigned int half = va >> 63 != 0;
	unsigned int set;

	if (!granule_va_in_range(granules, va))
		return SMMUINV_TG_ANY;
	if (granules->shown != SMMUINV_TG_ANY)
		return granules->shown;
	set = __atomic_load_n(&granules->of_asid[asid], __ATOMIC_RELAXED);
	set = set >> (half * SET_BITS) & ((1u << SET_BITS) - 1);
	if (set != __atomic_load_n(&granules->all[half], __ATOMIC_RELAXED))
		return SMMUINV_TG_ANY;
	return only_one_of((uint8_t)set);
}
