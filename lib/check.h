/* SPDX-License-Identifier: MIT */
/*
 * The legality rules, compiled for one pair of SMMUs.
 */
#ifndef SMMUINV_LIB_CHECK_H
#define SMMUINV_LIB_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/check.h>

#include "command.h"

/* What is left to look at once the masks have been applied. */
enum check_operands {
	OPERANDS_UNKNOWN, /* of a reserved opcode */
	OPERANDS_PLAIN,
	OPERANDS_ADDRESS, /* TLBI by address: the range fields */
	OPERANDS_ATC,
	OPERANDS_CD,
	OPERANDS_PRI_RESP,
	OPERANDS_SYNC,
};

/*
 * What is needed to see at a glance that a command is forwarded, and as what:
 * it has in @look what is in @want. Otherwise the rules themselves must be
 * asked.
 */
struct check_glance {
	struct command_mask look;
	struct command_mask want;
	struct command_mask keep;
	uint64_t kind; /* RANK_BIT() of what is forwarded */
};

/* An opcode's rules. */
struct check_row {
	struct command_mask keep;    /* the guest's fields, to be sent */
	struct command_mask lacking; /* those that the host's SMMU lacks */
	uint64_t ssec;               /* the SSec bit, where there is one */
	uint8_t verdict;             /* enum smmuinv_verdict */
	uint8_t rule;     /* enum smmuinv_rule, why not SMMUINV_FORWARD */
	uint8_t operands; /* enum check_operands */
};

/* Opcodes above the last that the specification names are reserved. */
#define CHECK_ROWS (SMMUINV_CMD_DPTI_PA + 1)

struct check_table {
	/* By Leaf, because the rank depends on it, and opcode. */
	struct check_glance glances[2][UINT8_MAX + 1]; /* all but ranges */
	struct check_glance ranges[2]
				  [2]; /* TLBI_NH_VA, _VAA with TG and more */
	struct check_row rows[CHECK_ROWS];
	uint8_t guest_ssid_bits;
	bool guest_ds;
	bool host_ds;
};

/* What was found; smmuinv_finding without its size. */
struct check_found {
	struct smmuinv_command command;
	enum smmuinv_rule rule;
	enum smmuinv_field field;
};

void smmuinv__check_compile(struct check_table *table,
			    const struct smmuinv_features *guest,
			    const struct smmuinv_features *host);

/* Returns an enum smmuinv_verdict, or -EOPNOTSUPP; fills in @found always. */
int smmuinv__check_run(const struct check_table *table,
		       const struct smmuinv_command *command,
		       struct check_found *found);

/*
 * Puts the canonical form of as many commands as are forwarded at @to. It stops
 * at the first that needs smmuinv__check_run(), and leaves a copy of that one
 * in the place after them. Returns their number, and adds their ranks to
 * @kinds.
 * @from may be memory that a guest writes to; nothing in it is read twice.
 */
uint32_t smmuinv__check_forward(const struct check_table *table,
				const struct smmuinv_command *from, uint32_t n,
				struct smmuinv_command *to, uint32_t *kinds);

/* A CMD_SYNC that is legal: CS 3 is reserved (4.7.3). */
static inline bool smmuinv__check_is_sync(const struct smmuinv_command *command)
{
	uint64_t dw0 = command_dw0(command);

	return (dw0 & DW0_OPCODE) == SMMUINV_CMD_SYNC &&
	       (dw0 & DW0_CS) != DW0_CS;
}

/* Copies @found to the caller's finding, which may be NULL. */
void smmuinv__check_report(struct smmuinv_finding *finding,
			   const struct check_found *found);

#endif /* SMMUINV_LIB_CHECK_H */
