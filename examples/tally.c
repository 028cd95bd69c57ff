/* SPDX-License-Identifier: MIT */
#include "tally.h"

#include <inttypes.h>
#include <string.h>

static void count(struct tally_counts *counts, uint32_t fate)
{
	counts->read++;
	switch (fate) {
	case SMMUINV_FATE_FORWARDED:
		counts->forwarded++;
		break;
	case SMMUINV_FATE_VMM:
		counts->vmm++;
		break;
	case SMMUINV_FATE_DROPPED:
		counts->dropped++;
		break;
	default:
		counts->illegal++;
		break;
	}
}

void tally_add(struct tally *tally, uint8_t opcode, uint32_t fate,
	       uint32_t rule)
{
	count(&tally->by_opcode[opcode], fate);
	count(&tally->total, fate);
	if (fate == SMMUINV_FATE_DROPPED)
		tally->dropped_by_rule[rule]++;
	if (fate == SMMUINV_FATE_ILLEGAL)
		tally->illegal_by_rule[rule]++;
}

/* "TLBI_NH_VA", or "RESERVED_0x00" to tell reserved opcodes apart. */
static const char *opcode_label(unsigned int opcode, char *label, size_t size)
{
	const char *name = smmuinv_opcode_name((uint8_t)opcode);

	if (strcmp(name, "RESERVED") == 0)
		snprintf(label, size, "%s_0x%02x", name, opcode);
	else
		snprintf(label, size, "%s", name);
	return label;
}

static void print_row(FILE *file, const char *label,
		      const struct tally_counts *counts)
{
	fprintf(file,
		"%-18s %9" PRIu64 " %10" PRIu64 " %9" PRIu64 " %9" PRIu64
		" %9" PRIu64 "\n",
		label, counts->read, counts->forwarded, counts->vmm,
		counts->dropped, counts->illegal);
}

static void print_reasons(FILE *file, const char *what,
			  const uint64_t by_rule[SMMUINV_RULE_COUNT])
{
	unsigned int rule;

	for (rule = 0; rule < SMMUINV_RULE_COUNT; rule++) {
		if (by_rule[rule])
			fprintf(file, "%s %" PRIu64 ": %s\n", what,
				by_rule[rule], smmuinv_rule_text(rule));
	}
}

void tally_print(const struct tally *tally, FILE *file)
{
	unsigned int opcode;
	char label[32];

	fprintf(file, "%-18s %9s %10s %9s %9s %9s\n", "command", "read",
		"forwarded", "VMM's", "dropped", "illegal");
	for (opcode = 0; opcode < 256; opcode++) {
		if (tally->by_opcode[opcode].read)
			print_row(file,
				  opcode_label(opcode, label, sizeof(label)),
				  &tally->by_opcode[opcode]);
	}
	print_row(file, "all", &tally->total);
	print_reasons(file, "dropped", tally->dropped_by_rule);
	print_reasons(file, "illegal", tally->illegal_by_rule);
}

static void print_json_counts(FILE *file, const struct tally_counts *counts)
{
	fprintf(file,
		"\"read\": %" PRIu64 ", \"forwarded\": %" PRIu64
		", \"vmm\": %" PRIu64 ", \"dropped\": %" PRIu64
		", \"illegal\": %" PRIu64,
		counts->read, counts->forwarded, counts->vmm, counts->dropped,
		counts->illegal);
}

static void print_json_opcodes(FILE *file, const struct tally *tally)
{
	const char *separator = "";
	unsigned int opcode;
	char label[32];

	fprintf(file, "\"by_opcode\": {");
	for (opcode = 0; opcode < 256; opcode++) {
		if (!tally->by_opcode[opcode].read)
			continue;
		fprintf(file, "%s\n  \"%s\": {", separator,
			opcode_label(opcode, label, sizeof(label)));
		print_json_counts(file, &tally->by_opcode[opcode]);
		fprintf(file, "}");
		separator = ",";
	}
	fprintf(file, "\n }");
}

static void print_json_reasons(FILE *file, const char *name,
			       const uint64_t by_rule[SMMUINV_RULE_COUNT])
{
	const char *separator = "";
	unsigned int rule;

	fprintf(file, "\"%s\": {", name);
	for (rule = 0; rule < SMMUINV_RULE_COUNT; rule++) {
		if (!by_rule[rule])
			continue;
		fprintf(file, "%s\"%s\": %" PRIu64, separator,
			smmuinv_rule_text(rule), by_rule[rule]);
		separator = ", ";
	}
	fprintf(file, "}");
}

void tally_print_json(const struct tally *tally, FILE *file)
{
	print_json_counts(file, &tally->total);
	fprintf(file, ",\n ");
	print_json_opcodes(file, tally);
	fprintf(file, ",\n ");
	print_json_reasons(file, "dropped_by_reason", tally->dropped_by_rule);
	fprintf(file, ",\n ");
	print_json_reasons(file, "illegal_by_reason", tally->illegal_by_rule);
}
