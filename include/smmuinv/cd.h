/* SPDX-License-Identifier: MIT */
/*
 * A guest's context descriptor (CD), as far as invalidation needs it.
 *
 * Pure. Numbers in parentheses are sections of Arm IHI 0070.
 */
#ifndef SMMUINV_CD_H
#define SMMUINV_CD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/command.h>

SMMUINV_BEGIN_DECLS

/** SMMUINV_CD_BYTES - what a CD takes in memory */
#define SMMUINV_CD_BYTES 64

/**
 * struct smmuinv_cd - what a CD says of the entries that are cached through it
 * @size: sizeof(struct smmuinv_cd), set by the caller
 * @asid: CD.ASID, 16 bits whatever IDR0.ASID16 is
 * @valid: CD.V. If false, everything else is 0, because an SMMU ignores it.
 * @walks: the tables of TTB0 [0] and of TTB1 [1], the upper half, are walked:
 *	EPD0 and EPD1 are 0
 * @tg: granule of TTB0's [0] and TTB1's [1] tables, enum smmuinv_tg.
 *	SMMUINV_TG_ANY if it cannot be known: no walks, a reserved encoding, or
 *	AA64 is 0.
 * @reserved: 0, and must be 0 where the structure is handed in
 */
struct smmuinv_cd {
	size_t size;
	uint16_t asid;
	bool valid;
	bool walks[2];
	uint8_t tg[2];
	uint8_t reserved;
};

/**
 * smmuinv_cd_read() - read a CD from guest memory
 * @cd: what it says
 * @bytes: SMMUINV_CD_BYTES, little-endian, aligned to 8. The guest may be
 *	writing there: what is found is of one moment, because it is all in the
 *	first 64-bit word, and that is read once.
 *
 * Whether the CD is legal is not looked at: with an illegal one nothing is
 * cached (5.4), and invalidating more than that does no harm.
 *
 * Return: 0; -EINVAL for NULL, a misaligned @bytes or a wrong size.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_cd_read(struct smmuinv_cd *cd, const void *bytes);

SMMUINV_END_DECLS

#endif /* SMMUINV_CD_H */
