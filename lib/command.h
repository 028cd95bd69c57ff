/* SPDX-License-Identifier: MIT */
/*
 * The tables of the 16-byte format, for the rooms above.
 */
#ifndef SMMUINV_LIB_COMMAND_H
#define SMMUINV_LIB_COMMAND_H

#include <stdint.h>

#include <smmuinv/command.h>

#include "bits.h"

/* Where fields lie: those that the hot path reads by hand. (4.3 to 4.7) */
#define DW0_OPCODE      BITS(7, 0)
#define DW0_GLOBAL      BITS(9, 9)
#define DW0_SSEC        BITS(10, 10)
#define DW0_SSV         BITS(11, 11)
#define DW0_NUM         BITS(16, 12)
#define DW0_SCALE       BITS(25, 20)
#define DW0_SCALE_DS    BITS(25, 25)
#define DW0_SSID        BITS(31, 12)
#define DW0_SSID_SHIFT  12
#define DW0_SCALE_SHIFT 20
#define DW0_VMID        BITS(47, 32)
#define DW0_SID         BITS(63, 32)
#define DW0_SID_SHIFT   32
#define DW0_ASID        BITS(63, 48)
#define DW0_ASID_HIGH   BITS(63, 56)
#define DW0_ASID_SHIFT  48
#define DW0_CS          BITS(13, 12)
#define DW0_CS_SHIFT    12
#define DW1_LEAF        BITS(0, 0)
#define DW1_ATC_SIZE    BITS(5, 0)
#define DW1_TTL128      BITS(7, 7)
#define DW1_TTL         BITS(9, 8)
#define DW1_TTL_SHIFT   8
#define DW1_TG          BITS(11, 10)
#define DW1_TG_SHIFT    10
#define DW1_RESP        BITS(13, 12)
#define DW1_ADDRESS     BITS(63, 12)

/* The range and level-hint fields, RES0 without IDR3.RIL (4.4.1.1). */
#define DW0_RIL (DW0_NUM | DW0_SCALE)
#define DW1_RIL (DW1_TG | DW1_TTL)

/* Longest range exponent that hardware honours (4.4.1.1). */
#define SCALE_MAX 39

/* Every bit that is in some field of the opcode; of the opcode's own too. */
struct command_mask {
	uint64_t dw0;
	uint64_t dw1;
};

struct command_mask smmuinv__opcode_mask(uint8_t opcode);

#endif /* SMMUINV_LIB_COMMAND_H */
