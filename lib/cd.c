/* SPDX-License-Identifier: MIT */
#include <smmuinv/cd.h>

#include <errno.h>

#include "bits.h"
#include "params.h"

/* Fields of the first word (5.4). */
#define CD0_TG0  BITS(7, 6)
#define CD0_EPD0 BITS(14, 14)
#define CD0_TG1  BITS(23, 22)
#define CD0_EPD1 BITS(30, 30)
#define CD0_V    BITS(31, 31)
#define CD0_AA64 BITS(41, 41)
#define CD0_ASID BITS(63, 48)

/* The two halves encode their granules differently, as TCR_ELx does. */
static const uint8_t tg0_granule[] = { SMMUINV_TG_4K, SMMUINV_TG_64K,
				       SMMUINV_TG_16K, SMMUINV_TG_ANY };
static const uint8_t tg1_granule[] = { SMMUINV_TG_ANY, SMMUINV_TG_16K,
				       SMMUINV_TG_4K, SMMUINV_TG_64K };

/*
 * EPD0 and EPD1 count, because a guest's streams are EL1's when they are
 * nested. Without AA64 the tables are LPAE's, to which TG0 and TG1 say nothing,
 * or have 128-bit descriptors, which no nesting host carries.
 */
static struct smmuinv_cd cd_of(uint64_t word)
{
	struct smmuinv_cd cd = { .valid = word & CD0_V };

	if (!cd.valid)
		return cd;
	cd.asid = (uint16_t)bits_get(word, CD0_ASID);
	cd.walks[0] = !(word & CD0_EPD0);
	cd.walks[1] = !(word & CD0_EPD1);
	if (cd.walks[0] && (word & CD0_AA64))
		cd.tg[0] = tg0_granule[bits_get(word, CD0_TG0)];
	if (cd.walks[1] && (word & CD0_AA64))
		cd.tg[1] = tg1_granule[bits_get(word, CD0_TG1)];
	return cd;
}

int smmuinv_cd_read(struct smmuinv_cd *cd, const void *bytes)
{
	struct smmuinv_cd found;

	if (!cd || !PARAMS_WRITABLE(cd) || !words_readable(bytes))
		return -EINVAL;
	found = cd_of(word_read_once(bytes, 0));
	PARAMS_STORE(cd, &found);
	return 0;
}
