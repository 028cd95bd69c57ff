/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include <stdbool.h>

#include "command.h"
#include "support.h"

static const uint8_t forwarded[] = {
	SMMUINV_CMD_CFGI_CD,     SMMUINV_CMD_CFGI_CD_ALL,
	SMMUINV_CMD_TLBI_NH_ALL, SMMUINV_CMD_TLBI_NH_ASID,
	SMMUINV_CMD_TLBI_NH_VA,  SMMUINV_CMD_TLBI_NH_VAA,
	SMMUINV_CMD_ATC_INV,     SMMUINV_CMD_TLBI_NSNH_ALL,
};

const char *sample_kind_name(enum sample_kind kind)
{
	static const char *const names[SAMPLE_KINDS] = {
		[SAMPLE_VALID] = "valid",   [SAMPLE_NEIGHBOUR] = "neighbour",
		[SAMPLE_SPARSE] = "sparse", [SAMPLE_OPCODE] = "opcode",
		[SAMPLE_NOISE] = "noise",
	};

	return names[kind];
}

enum sample_kind sample_draw_kind(void)
{
	static const uint8_t percents[SAMPLE_KINDS] = {
		[SAMPLE_VALID] = 35,  [SAMPLE_NEIGHBOUR] = 30,
		[SAMPLE_SPARSE] = 10, [SAMPLE_OPCODE] = 10,
		[SAMPLE_NOISE] = 15,
	};
	uint64_t percent = test_random_below(100);
	unsigned int kind = 0;

	while (percent >= percents[kind])
		percent -= percents[kind++];
	return (enum sample_kind)kind;
}

/* Mostly the good one; its neighbours, 0 and the largest among the others. */
static uint64_t draw_sid(uint32_t vsid)
{
	uint64_t sid = vsid;

	if (test_chance(10))
		sid ^= UINT64_C(1) << test_random_below(32);
	else if (test_chance(10))
		sid = test_random_edge();
	return sid << DW0_SID_SHIFT;
}

static uint64_t draw_asid(void)
{
	return test_random_edge() << DW0_ASID_SHIFT;
}

/* Hardware has the guest's VMID in its place; the kernel puts it there. */
static uint64_t draw_vmid(void)
{
	return test_chance(75) ? 0 : test_random() & DW0_VMID;
}

/* TG, and what it asks for (4.4.1.1), without IDR5.DS. */
static struct smmuinv_command with_range(uint64_t dw0, uint64_t dw1)
{
	uint64_t tg = 1 + test_random_below(3);
	uint64_t ttl = test_random_below(4);
	uint64_t num = test_chance(50) ? 0 : test_random_below(32);
	uint64_t scale = test_chance(50) ? 0 : test_random_below(32);

	if (tg == SMMUINV_TG_16K && ttl == 1)
		ttl = 2;
	if (!ttl && !num && !scale)
		num = 1;
	return command_make(dw0 | num << 12 | scale << DW0_SCALE_SHIFT,
			    dw1 | tg << DW1_TG_SHIFT | ttl << DW1_TTL_SHIFT);
}

static struct smmuinv_command draw_by_address(uint64_t dw0)
{
	uint64_t dw1 =
		(test_random_edge() & DW1_ADDRESS) | (test_random() & DW1_LEAF);

	return test_chance(40) ? command_make(dw0, dw1) : with_range(dw0, dw1);
}

static struct smmuinv_command draw_atc_inv(uint64_t dw0)
{
	uint64_t size = test_random_below(SMMUINV_ATC_SIZE_ALL + 1);

	return command_make(dw0, (test_random_edge() & DW1_ADDRESS) | size);
}

static struct smmuinv_command draw_valid(uint32_t vsid)
{
	uint8_t opcode = forwarded[test_random_below(ARRAY_SIZE(forwarded))];

	switch (opcode) {
	case SMMUINV_CMD_CFGI_CD:
		return command_make(opcode | draw_sid(vsid), test_random() & 1);
	case SMMUINV_CMD_CFGI_CD_ALL:
		return command_make(opcode | draw_sid(vsid), 0);
	case SMMUINV_CMD_TLBI_NH_ALL:
		return command_make(opcode | draw_vmid(), 0);
	case SMMUINV_CMD_TLBI_NH_ASID:
		return command_make(opcode | draw_vmid() | draw_asid(), 0);
	case SMMUINV_CMD_TLBI_NH_VA:
		return draw_by_address(opcode | draw_vmid() | draw_asid());
	case SMMUINV_CMD_TLBI_NH_VAA:
		return draw_by_address(opcode | draw_vmid());
	case SMMUINV_CMD_ATC_INV:
		return draw_atc_inv(opcode | draw_sid(vsid));
	default:
		return command_make(opcode, 0);
	}
}

static struct smmuinv_command flip_bit(struct smmuinv_command command)
{
	uint64_t bit = UINT64_C(1) << test_random_below(64);

	if (test_chance(50))
		return command_make(command_dw0(&command) ^ bit,
				    command_dw1(&command));
	return command_make(command_dw0(&command), command_dw1(&command) ^ bit);
}

/* One bit in eight, or in 64. */
static uint64_t draw_sparse_bits(void)
{
	uint64_t bits = test_random() & test_random() & test_random();

	if (test_chance(50))
		bits &= test_random() & test_random() & test_random();
	return bits;
}

static struct smmuinv_command draw_sparse(uint32_t vsid)
{
	uint8_t opcode = forwarded[test_random_below(ARRAY_SIZE(forwarded))];
	uint64_t dw0 = draw_sparse_bits();

	if (smmuinv__opcode_has_field(opcode, SMMUINV_FIELD_STREAMID) &&
	    test_chance(80))
		dw0 = (dw0 & ~DW0_SID) | draw_sid(vsid);
	return command_make((dw0 & ~DW0_OPCODE) | opcode, draw_sparse_bits());
}

static struct smmuinv_command draw_opcode(uint32_t vsid)
{
	uint8_t opcode = (uint8_t)test_random_below(SMMUINV_CMD_DPTI_PA + 1);
	struct command_mask mask = smmuinv__opcode_mask(opcode);
	uint64_t dw0 = test_random_edge() & mask.dw0 & ~DW0_OPCODE;

	if (smmuinv__opcode_has_field(opcode, SMMUINV_FIELD_STREAMID))
		dw0 = (dw0 & ~DW0_SID) | draw_sid(vsid);
	return command_make(dw0 | opcode, test_random_edge() & mask.dw1);
}

struct smmuinv_command sample_draw(enum sample_kind kind, uint32_t vsid)
{
	switch (kind) {
	case SAMPLE_VALID:
		return draw_valid(vsid);
	case SAMPLE_NEIGHBOUR:
		return flip_bit(draw_valid(vsid));
	case SAMPLE_SPARSE:
		return draw_sparse(vsid);
	case SAMPLE_OPCODE:
		return draw_opcode(vsid);
	default:
		return command_make(test_random(), test_random());
	}
}

static bool is_plain(const struct smmuinv_command *command, uint32_t vsid)
{
	uint8_t opcode = smmuinv_command_opcode(command);

	if (opcode == SMMUINV_CMD_ATC_INV)
		return false;
	return !smmuinv__opcode_has_field(opcode, SMMUINV_FIELD_STREAMID) ||
	       smmuinv_command_get(command, SMMUINV_FIELD_STREAMID) == vsid;
}

struct smmuinv_command sample_draw_plain(uint32_t vsid)
{
	struct smmuinv_command command;

	do {
		command = draw_valid(vsid);
	} while (!is_plain(&command, vsid));
	return command;
}
