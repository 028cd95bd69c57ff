/* SPDX-License-Identifier: MIT */
#include "planner.h"

#include "spec.h"

void planner_init(struct planner *p, const struct smmuinv_features *guest,
		  const struct smmuinv_features *host, uint32_t capacity,
		  uint32_t pages_max)
{
	struct smmuinv_features carried = *host;

	p->guest = *guest;
	p->host = *host;
	assert_int_equal(smmuinv_features_compatible(guest, host, NULL), 0);
	if (spec_feature_get(guest, SMMUINV_FEATURE_RIL))
		spec_feature_set(&carried, SMMUINV_FEATURE_RIL, 1);
	smmuinv__check_compile(&p->check, guest, &carried, 0);
	smmuinv__check_compile(&p->legal, host, host, SMMUINV_CHECK_STRICT);
	assert_int_equal(smmuinv__granules_init(&p->granules, guest), 0);
	assert_int_equal(
		smmuinv__plan_init(&p->plan, capacity, host, pages_max), 0);
}

void planner_free(struct planner *p)
{
	smmuinv__plan_free(&p->plan);
	smmuinv__granules_free(&p->granules);
}

void planner_note(struct planner *p, uint16_t asid, uint8_t lower,
		  uint8_t upper)
{
	const struct smmuinv_cd cd = {
		.size = sizeof(cd),
		.valid = true,
		.asid = asid,
		.walks = { lower != SMMUINV_TG_ANY, upper != SMMUINV_TG_ANY },
		.tg = { lower, upper },
	};

	smmuinv__granules_note(&p->granules, &cd);
}

bool planner_canonical(const struct planner *p,
		       const struct smmuinv_command *raw,
		       struct smmuinv_command *canonical)
{
	struct check_found found;
	int verdict = smmuinv__check_run(&p->check, raw, &found);

	*canonical = found.command;
	return verdict == SMMUINV_FORWARD;
}

bool planner_legal(const struct planner *p,
		   const struct smmuinv_command *command)
{
	struct check_found found;
	int verdict = smmuinv__check_run(&p->legal, command, &found);

	return verdict == SMMUINV_FORWARD &&
	       test_command_equal(&found.command, command);
}

void planner_fewest(struct planner *p, const struct smmuinv_command *commands,
		    uint32_t count)
{
	const struct plan_window window = {
		.commands = commands,
		.count = count,
		.granules = &p->granules,
	};

	smmuinv__plan_fewest(&p->plan, &window);
}

uint64_t planner_get(const struct smmuinv_command *command,
		     enum smmuinv_field field)
{
	const uint64_t dw[2] = { test_dw0(command), test_dw1(command) };

	return spec_field_get(dw, field);
}

unsigned int planner_entry_log2(unsigned int tg, unsigned int level)
{
	/* One table has a granule's worth of descriptors of eight bytes. */
	static const unsigned int granule[] = { 0, 12, 14, 16 };

	return granule[tg] + (3 - level) * (granule[tg] - 3);
}

bool is_by_address(const struct smmuinv_command *command)
{
	return smmuinv_command_opcode(command) == SMMUINV_CMD_TLBI_NH_VA ||
	       smmuinv_command_opcode(command) == SMMUINV_CMD_TLBI_NH_VAA;
}

struct reach planner_reach(const struct smmuinv_command *command)
{
	unsigned int tg = (unsigned int)planner_get(command, SMMUINV_FIELD_TG);
	uint64_t va = planner_get(command, SMMUINV_FIELD_VA);
	uint64_t units = planner_get(command, SMMUINV_FIELD_NUM) + 1;
	uint64_t scale = planner_get(command, SMMUINV_FIELD_SCALE);
	uint64_t length = units << (scale + planner_entry_log2(tg, 3));
	uint64_t half_end = va | UINT64_MAX >> 1;

	if (!tg)
		return (struct reach){ va, va };
	if (length - 1 > half_end - va)
		return (struct reach){ va, half_end };
	return (struct reach){ va, va + (length - 1) };
}
