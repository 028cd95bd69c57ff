/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <stdint.h>

#include "../bits.h"

#define OPCODE BITS(7, 0)

/* The bits that a command may have set. */
struct allowed {
	uint64_t dw0;
	uint64_t dw1;
};

static bool has(const struct smmuinv_features *host,
		enum smmuinv_feature feature)
{
	return smmuinv_features_get(host, feature) != 0;
}

static uint64_t field(const struct smmuinv_command *command,
		      enum smmuinv_field which)
{
	return smmuinv_command_get(command, which);
}

static uint64_t asid_bits(const struct smmuinv_features *host)
{
	return has(host, SMMUINV_FEATURE_ASID16) ? BITS(63, 48) : BITS(55, 48);
}

static struct allowed allowed_address(const struct smmuinv_features *host,
				      bool asid)
{
	struct allowed a = {
		.dw0 = OPCODE | BITS(47, 32), /* VMID, which is replaced */
		.dw1 = BITS(63, 12) | BITS(0, 0),
	};

	if (asid)
		a.dw0 |= asid_bits(host);
	if (!has(host, SMMUINV_FEATURE_RIL))
		return a;
	a.dw0 |= BITS(16, 12) | BITS(24, 20);
	a.dw1 |= BITS(11, 8);
	if (has(host, SMMUINV_FEATURE_DS))
		a.dw0 |= BITS(25, 25);
	return a;
}

static struct allowed allowed_atc(const struct smmuinv_features *host)
{
	struct allowed a = {
		.dw0 = OPCODE | BITS(63, 32),
		.dw1 = BITS(63, 12) | BITS(5, 0),
	};

	if (has(host, SMMUINV_FEATURE_SSIDSIZE))
		a.dw0 |= BITS(31, 11) | BITS(9, 9);
	return a;
}

static struct allowed allowed_cd(const struct smmuinv_features *host)
{
	struct allowed a = {
		.dw0 = OPCODE | BITS(63, 32),
		.dw1 = BITS(0, 0),
	};

	if (has(host, SMMUINV_FEATURE_SSIDSIZE))
		a.dw0 |= BITS(31, 12);
	return a;
}

static struct allowed allowed_for(uint8_t opcode,
				  const struct smmuinv_features *host)
{
	switch (opcode) {
	case SMMUINV_CMD_TLBI_NSNH_ALL:
		return (struct allowed){ .dw0 = OPCODE };
	case SMMUINV_CMD_TLBI_NH_ALL:
		return (struct allowed){ .dw0 = OPCODE | BITS(47, 32) };
	case SMMUINV_CMD_TLBI_NH_ASID:
		return (struct allowed){
			.dw0 = OPCODE | BITS(47, 32) | asid_bits(host),
		};
	case SMMUINV_CMD_TLBI_NH_VA:
		return allowed_address(host, true);
	case SMMUINV_CMD_TLBI_NH_VAA:
		return allowed_address(host, false);
	case SMMUINV_CMD_ATC_INV:
		return allowed_atc(host);
	case SMMUINV_CMD_CFGI_CD:
		return allowed_cd(host);
	case SMMUINV_CMD_CFGI_CD_ALL:
		return (struct allowed){ .dw0 = OPCODE | BITS(63, 32) };
	default:
		return (struct allowed){ 0 };
	}
}

static bool range_accepted(const struct smmuinv_command *command,
			   const struct smmuinv_features *host)
{
	uint64_t tg = field(command, SMMUINV_FIELD_TG);
	uint64_t ttl = field(command, SMMUINV_FIELD_TTL);
	bool range = field(command, SMMUINV_FIELD_NUM) ||
		     field(command, SMMUINV_FIELD_SCALE);

	if (!tg)
		return !range && !ttl;
	if (tg == SMMUINV_TG_16K && ttl == 1 && !has(host, SMMUINV_FEATURE_DS))
		return false;
	return range || ttl;
}

static bool operands_accepted(uint8_t opcode,
			      const struct smmuinv_command *command,
			      const struct smmuinv_features *host)
{
	switch (opcode) {
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
		return !has(host, SMMUINV_FEATURE_RIL) ||
		       range_accepted(command, host);
	case SMMUINV_CMD_ATC_INV:
		return has(host, SMMUINV_FEATURE_ATS) &&
		       field(command, SMMUINV_FIELD_ATC_SIZE) <=
			       SMMUINV_ATC_SIZE_ALL;
	default:
		return true;
	}
}

bool smmuinv__kernel_accepts(const struct smmuinv_command *command,
			     const struct smmuinv_features *host)
{
	uint8_t opcode = smmuinv_command_opcode(command);
	struct allowed allowed = allowed_for(opcode, host);

	if ((command_dw0(command) & ~allowed.dw0) ||
	    (command_dw1(command) & ~allowed.dw1) || !allowed.dw0)
		return false;
	return operands_accepted(opcode, command, host);
}

bool smmuinv__kernel_knows(uint8_t opcode)
{
	const struct smmuinv_features any = { 0 };

	return allowed_for(opcode, &any).dw0 != 0;
}

bool smmuinv__kernel_resolves_vsid(const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
	case SMMUINV_CMD_ATC_INV:
		return true;
	default:
		return false;
	}
}

uint32_t smmuinv__kernel_vsid(const struct smmuinv_command *command)
{
	return (uint32_t)field(command, SMMUINV_FIELD_STREAMID);
}
