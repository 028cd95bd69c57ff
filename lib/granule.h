/* SPDX-License-Identifier: MIT */
/*
 * Which translation granule an address of an ASID is translated with, as far as
 * it is certain. A TLBI without TG reaches every granule, one with TG only its
 * own (4.4.1.1): whoever turns the one into the other has to know.
 */
#ifndef SMMUINV_LIB_GRANULE_H
#define SMMUINV_LIB_GRANULE_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/cd.h>
#include <smmuinv/features.h>

#define GRANULE_ASIDS 65536u

/*
 * Sets of granules, a bit for each enum smmuinv_tg; that of SMMUINV_TG_ANY says
 * that there may be any. Sets only grow, because an entry outlives the context
 * descriptor that it was made with.
 */
struct granules {
	uint8_t shown;    /* the one granule that the guest was shown, or ANY */
	uint8_t va_bits;  /* of its virtual addresses, but for the sign */
	uint8_t all[2];   /* of every ASID, for each half */
	uint8_t *of_asid; /* for each ASID: bits 3..0 lower half, 7..4 upper */
};

int smmuinv__granules_init(struct granules *granules,
			   const struct smmuinv_features *guest);
void smmuinv__granules_free(struct granules *granules);

/* Any thread; before a command is consumed that relies on it. */
void smmuinv__granules_note(struct granules *granules,
			    const struct smmuinv_cd *cd);
void smmuinv__granules_forget(struct granules *granules);

/* What was noted of an ASID, as in of_asid; and that it was noted elsewhere. */
uint8_t smmuinv__granules_sets(const struct granules *granules, uint16_t asid);
void smmuinv__granules_add(struct granules *granules, uint16_t asid,
			   uint8_t sets);

/*
 * 4.4.2, 3.4.1: where the bits above are not all equal, the SMMU may take a
 * command for one out of range, which has no effect (4.1.7).
 */
static inline bool granule_va_in_range(const struct granules *granules,
				       uint64_t va)
{
	uint64_t sign = va >> granules->va_bits;

	return !sign || sign == UINT64_MAX >> granules->va_bits;
}

/* The granule that is certain for a TLBI_NH_VA, enum smmuinv_tg, or ANY. */
uint8_t smmuinv__granule_of(const struct granules *granules, uint16_t asid,
			    uint64_t va);

/* log2 of a granule's bytes */
static inline unsigned int granule_log2(unsigned int tg)
{
	return 10 + 2 * tg;
}

#endif /* SMMUINV_LIB_GRANULE_H */
