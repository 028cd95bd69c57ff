/* SPDX-License-Identifier: MIT */
#include "commands.h"

#include "cmocka-all.h"
#include "rig.h"

static struct smmuinv_command tlbi(const struct smmuinv_tlbi *operands)
{
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_tlbi_nh_va(&command, operands), 0);
	return command;
}

struct smmuinv_command guest_tlbi_va(uint64_t va)
{
	const struct smmuinv_tlbi operands = {
		.size = sizeof(operands),
		.va = va,
		.asid = RIG_ASID,
		.leaf = true,
	};

	return tlbi(&operands);
}

struct smmuinv_command guest_tlbi_tables(uint64_t va)
{
	const struct smmuinv_tlbi operands = {
		.size = sizeof(operands),
		.va = va,
		.asid = RIG_ASID,
	};

	return tlbi(&operands);
}

struct smmuinv_command guest_tlbi_range(uint64_t va, uint8_t ttl, uint8_t num,
					uint8_t scale)
{
	const struct smmuinv_tlbi operands = {
		.size = sizeof(operands),
		.va = va,
		.asid = RIG_ASID,
		.leaf = true,
		.tg = SMMUINV_TG_4K,
		.ttl = ttl,
		.num = num,
		.scale = scale,
	};

	return tlbi(&operands);
}

struct smmuinv_command guest_tlbi_asid(uint16_t asid)
{
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_tlbi_nh_asid(&command, asid), 0);
	return command;
}

struct smmuinv_command guest_tlbi_all(void)
{
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_tlbi_nh_all(&command), 0);
	return command;
}

struct smmuinv_command guest_cfgi_cd(uint32_t vsid)
{
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_cfgi_cd(&command, vsid, 0, true), 0);
	return command;
}

struct smmuinv_command guest_cfgi_cd_all(uint32_t vsid)
{
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_cfgi_cd_all(&command, vsid), 0);
	return command;
}

struct smmuinv_command guest_atc_inv(uint32_t vsid, uint64_t address)
{
	const struct smmuinv_atc operands = {
		.size = sizeof(operands),
		.address = address,
		.sid = vsid,
	};
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_atc_inv(&command, &operands), 0);
	return command;
}
