/* SPDX-License-Identifier: MIT */
/*
 * The tables of the 16-byte format, for the other modules.
 */
#ifndef SMMUINV_LIB_COMMAND_H
#define SMMUINV_LIB_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/command.h>

#include "bits.h"

/* Where fields lie: those that the hot path reads by hand. (4.3 to 4.7) */
#define DW0_OPCODE        BITS(7, 0)
#define DW0_GLOBAL        BITS(9, 9)
#define DW0_SSEC          BITS(10, 10)
#define DW0_SSV           BITS(11, 11)
#define DW0_NUM           BITS(16, 12)
#define DW0_NUM_SHIFT     12
#define DW0_SCALE         BITS(25, 20)
#define DW0_SCALE_DS      BITS(25, 25)
#define DW0_SSID          BITS(31, 12)
#define DW0_SSID_SHIFT    12
#define DW0_SSID_ONE      (UINT64_C(1) << DW0_SSID_SHIFT)
#define DW0_SCALE_SHIFT   20
#define DW0_VMID          BITS(47, 32)
#define DW0_VMID_HIGH     BITS(47, 40)
#define DW0_SID           BITS(63, 32)
#define DW0_SID_SHIFT     32
#define DW0_ASID          BITS(63, 48)
#define DW0_ASID_HIGH     BITS(63, 56)
#define DW0_ASID_SHIFT    48
#define DW0_CS            BITS(13, 12)
#define DW0_CS_SHIFT      12
#define DW0_MSH           BITS(23, 22)
#define DW0_MSH_SHIFT     22
#define DW0_MSIATTR       BITS(27, 24)
#define DW0_MSIATTR_SHIFT 24
#define DW0_MSIDATA_SHIFT 32
#define DW1_LEAF          BITS(0, 0)
#define DW1_ATC_SIZE      BITS(5, 0)
#define DW1_ATC_SIZE_32   BITS(5, 5)
#define DW1_TTL128        BITS(7, 7)
#define DW1_TTL           BITS(9, 8)
#define DW1_TTL_SHIFT     8
#define DW1_TG            BITS(11, 10)
#define DW1_TG_SHIFT      10
#define DW1_MSIADDRESS    BITS(55, 2)
#define DW1_RESP          BITS(13, 12)
#define DW1_ADDRESS       BITS(63, 12)

/* The range and level-hint fields, RES0 without IDR3.RIL (4.4.1.1). */
#define DW0_RIL (DW0_NUM | DW0_SCALE)
#define DW1_RIL (DW1_TG | DW1_TTL)

/* Longest range exponent that hardware honours (4.4.1.1). */
#define SCALE_MAX 39

/*
 * The order that guests rely on, if a CMD_SYNC is between: an entry of a later
 * rank may be made again from a stale entry of an earlier rank. A command that
 * reaches tables also reaches the leaves below them.
 */
enum command_rank {
	COMMAND_RANK_CD_TABLE, /* CFGI_CD_ALL, CFGI_CD with Leaf=0 */
	COMMAND_RANK_CD,
	COMMAND_RANK_TABLE, /* TLBI of everything, an ASID, or with Leaf=0 */
	COMMAND_RANK_LEAF,
	COMMAND_RANK_ATC,
	COMMAND_RANKS
};

/* A set of ranks. */
#define RANK_BIT(rank) (1u << (rank))
#define RANKS_CFGI     (RANK_BIT(COMMAND_RANK_CD_TABLE) | RANK_BIT(COMMAND_RANK_CD))
#define RANKS_TLBI     (RANK_BIT(COMMAND_RANK_TABLE) | RANK_BIT(COMMAND_RANK_LEAF))

/* Of an opcode, one of the eight that a vIOMMU takes, and its Leaf if it has.
 */
static inline enum command_rank opcode_rank(uint8_t opcode, bool leaf)
{
	switch (opcode) {
	case SMMUINV_CMD_ATC_INV:
		return COMMAND_RANK_ATC;
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
		return leaf ? COMMAND_RANK_LEAF : COMMAND_RANK_TABLE;
	case SMMUINV_CMD_CFGI_CD:
		return leaf ? COMMAND_RANK_CD : COMMAND_RANK_CD_TABLE;
	case SMMUINV_CMD_CFGI_CD_ALL:
		return COMMAND_RANK_CD_TABLE;
	default:
		return COMMAND_RANK_TABLE;
	}
}

static inline enum command_rank
command_rank(const struct smmuinv_command *command)
{
	return opcode_rank(smmuinv_command_opcode(command),
			   command_dw1(command) & DW1_LEAF);
}

/* Those that reach a device only through its vDEVICE. */
static inline bool command_names_stream(const struct smmuinv_command *command)
{
	return !(RANK_BIT(command_rank(command)) & RANKS_TLBI);
}

/* Of a command that has one. */
static inline uint32_t command_sid(const struct smmuinv_command *command)
{
	return (uint32_t)(command_dw0(command) >> DW0_SID_SHIFT);
}

/*
 * What is special about an entry of a window, if it is not all zero: why it is
 * not sent, enum smmuinv_rule, and which vIOMMU has its stream, counted from 1,
 * if it names one.
 */
struct mark {
	uint32_t rule;
	uint32_t slot;
};

bool smmuinv__opcode_has_field(uint8_t opcode, enum smmuinv_field field);

/*
 * Every bit that is in some field of the opcode, its own too. Of DPTI_PA, whose
 * fields are not decoded, every bit there is.
 */
struct command_mask {
	uint64_t dw0;
	uint64_t dw1;
};

struct command_mask smmuinv__opcode_mask(uint8_t opcode);

#endif /* SMMUINV_LIB_COMMAND_H */
