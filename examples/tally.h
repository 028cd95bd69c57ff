/* SPDX-License-Identifier: MIT */
/*
 * Counts of what became of a guest's commands, as a table or as JSON.
 */
#ifndef EXAMPLE_TALLY_H
#define EXAMPLE_TALLY_H

#include <stdint.h>
#include <stdio.h>

#include <smmuinv/smmuinv.h>

/* The columns. A command is read once, and has one of the other fates. */
struct tally_counts {
	uint64_t read;
	uint64_t forwarded;
	uint64_t vmm;
	uint64_t dropped;
	uint64_t illegal;
};

struct tally {
	struct tally_counts by_opcode[256];
	struct tally_counts total;
	uint64_t dropped_by_rule[SMMUINV_RULE_COUNT];
	uint64_t illegal_by_rule[SMMUINV_RULE_COUNT];
};

void tally_add(struct tally *tally, uint8_t opcode, uint32_t fate,
	       uint32_t rule);

/* A row for each opcode that occurs, and the reasons below. */
void tally_print(const struct tally *tally, FILE *file);

/* The members of a JSON object, without its braces. */
void tally_print_json(const struct tally *tally, FILE *file);

#endif /* EXAMPLE_TALLY_H */
