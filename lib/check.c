/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <errno.h>

#include "params.h"

/*
 * On a Non-secure queue an opcode is legal if the SMMU has @feature. Otherwise
 * it is illegal by @rule.
 */
struct opcode_rule {
	uint8_t operands; /* enum check_operands */
	uint8_t feature;  /* enum smmuinv_feature */
	uint8_t rule; /* enum smmuinv_rule; NONE where no feature is asked */
};

/* clang-format off */
#define COMMAND(name, operands, feature, rule) \
	[SMMUINV_CMD_##name] = { OPERANDS_##operands, \
				 SMMUINV_FEATURE_##feature, \
				 SMMUINV_RULE_##rule }

static const struct opcode_rule opcode_rules[CHECK_ROWS] = {
	COMMAND(PREFETCH_CONFIG, PLAIN, COUNT, NONE),
	COMMAND(PREFETCH_ADDR, PLAIN, COUNT, NONE),
	COMMAND(CFGI_STE, PLAIN, COUNT, NONE),
	COMMAND(CFGI_STE_RANGE, PLAIN, COUNT, NONE),
	COMMAND(CFGI_CD, CD, S1P, NO_STAGE1),
	COMMAND(CFGI_CD_ALL, PLAIN, S1P, NO_STAGE1),
	COMMAND(CFGI_VMS_PIDM, PLAIN, MPAM, NO_VMS),
	COMMAND(TLBI_NH_ALL, PLAIN, S1P, NO_STAGE1),
	COMMAND(TLBI_NH_ASID, PLAIN, S1P, NO_STAGE1),
	COMMAND(TLBI_NH_VA, ADDRESS, S1P, NO_STAGE1),
	COMMAND(TLBI_NH_VAA, ADDRESS, S1P, NO_STAGE1),
	COMMAND(TLBI_EL3_ALL, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(TLBI_EL3_VA, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(TLBI_EL2_ALL, PLAIN, HYP, NO_HYP),
	COMMAND(TLBI_EL2_ASID, PLAIN, HYP, NO_HYP),
	COMMAND(TLBI_EL2_VA, ADDRESS, HYP, NO_HYP),
	COMMAND(TLBI_EL2_VAA, ADDRESS, HYP, NO_HYP),
	COMMAND(TLBI_S12_VMALL, PLAIN, S2P, NO_STAGE2),
	COMMAND(TLBI_S2_IPA, ADDRESS, S2P, NO_STAGE2),
	COMMAND(TLBI_NSNH_ALL, PLAIN, COUNT, NONE),
	COMMAND(ATC_INV, ATC, ATS, NO_ATS),
	COMMAND(PRI_RESP, PRI_RESP, PRI, NO_PRI),
	COMMAND(RESUME, PLAIN, STALL_MODEL, NO_STALL),
	COMMAND(STALL_TERM, PLAIN, STALL_MODEL, NO_STALL),
	COMMAND(SYNC, SYNC, COUNT, NONE),
	COMMAND(TLBI_S_EL2_ALL, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(TLBI_S_EL2_ASID, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(TLBI_S_EL2_VA, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(TLBI_S_EL2_VAA, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(TLBI_S_S12_VMALL, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(TLBI_S_S2_IPA, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(TLBI_SNH_ALL, PLAIN, COUNT, SECURE_OPCODE),
	COMMAND(DPTI_ALL, PLAIN, DPT, NO_DPT),
	COMMAND(DPTI_PA, PLAIN, DPT, NO_DPT),
};
/* clang-format on */

static bool has(const struct smmuinv_features *f, enum smmuinv_feature feature)
{
	return smmuinv_features_get(f, feature) != 0;
}

/* Does this SMMU's Non-secure queue have the opcode at all? */
static enum smmuinv_rule opcode_rule(uint8_t opcode,
				     const struct smmuinv_features *f)
{
	const struct opcode_rule *o = &opcode_rules[opcode];
	bool there = has(f, o->feature);

	if (o->operands == OPERANDS_UNKNOWN)
		return SMMUINV_RULE_RESERVED_OPCODE;
	/* 0b01 says that there are no stalls (4.7.1, 4.7.2). */
	if (o->rule == SMMUINV_RULE_NO_STALL)
		there = smmuinv_features_get(f, o->feature) != 1;
	/* 5.6.1; SMMU_MPAMIDR counts too, but the VMM emulates it. */
	if (o->rule == SMMUINV_RULE_NO_VMS)
		there = there && has(f, SMMUINV_FEATURE_S1P) &&
			has(f, SMMUINV_FEATURE_S2P);
	return there ? SMMUINV_RULE_NONE : o->rule;
}

/*
 * The bits of an opcode that are fields on this SMMU; the others are RES0
 * (4.1.5). SubstreamIDs and StreamIDs that are too large are out of range, not
 * RES0 (4.1.7).
 */
static struct command_mask smmu_mask(uint8_t opcode,
				     const struct smmuinv_features *f)
{
	struct command_mask mask = smmuinv__opcode_mask(opcode);

	/* 4.4: the upper byte of 8-bit ASIDs and VMIDs */
	if (smmuinv__opcode_has_field(opcode, SMMUINV_FIELD_ASID) &&
	    !has(f, SMMUINV_FEATURE_ASID16))
		mask.dw0 &= ~DW0_ASID_HIGH;
	if (smmuinv__opcode_has_field(opcode, SMMUINV_FIELD_VMID) &&
	    !has(f, SMMUINV_FEATURE_VMID16))
		mask.dw0 &= ~DW0_VMID_HIGH;
	if (opcode_rules[opcode].operands != OPERANDS_ADDRESS)
		return mask;
	if (!has(f, SMMUINV_FEATURE_D128))
		mask.dw1 &= ~DW1_TTL128;
	if (!has(f, SMMUINV_FEATURE_RIL)) {
		mask.dw0 &= ~DW0_RIL;
		mask.dw1 &= ~(DW1_RIL | DW1_TTL128);
	}
	if (!has(f, SMMUINV_FEATURE_DS))
		mask.dw0 &= ~DW0_SCALE_DS;
	return mask;
}

/* SubstreamID bits that an SMMU does not implement. */
static uint64_t ssid_lacking(const struct smmuinv_features *smmu)
{
	uint32_t bits = smmuinv_features_get(smmu, SMMUINV_FEATURE_SSIDSIZE);

	return DW0_SSID & ~(((UINT64_C(1) << bits) - 1) << DW0_SSID_SHIFT);
}

static struct command_mask host_lacking(uint8_t opcode,
					const struct smmuinv_features *host)
{
	struct command_mask has_fields = smmu_mask(opcode, host);
	struct command_mask all = smmuinv__opcode_mask(opcode);
	struct command_mask lacking = {
		.dw0 = all.dw0 & ~has_fields.dw0,
		.dw1 = all.dw1 & ~has_fields.dw1,
	};

	/* Linux passes TTL128 to no SMMU. */
	if (opcode_rules[opcode].operands == OPERANDS_ADDRESS)
		lacking.dw1 |= DW1_TTL128;
	if (opcode == SMMUINV_CMD_ATC_INV || opcode == SMMUINV_CMD_CFGI_CD)
		lacking.dw0 |= ssid_lacking(host);
	if (opcode == SMMUINV_CMD_ATC_INV) {
		if (!has(host, SMMUINV_FEATURE_SSIDSIZE))
			lacking.dw0 |= DW0_SSV | DW0_GLOBAL;
		if (!has(host, SMMUINV_FEATURE_ATS))
			lacking.dw0 |= DW0_OPCODE;
	}
	return lacking;
}

static enum smmuinv_verdict opcode_verdict(uint8_t opcode,
					   enum smmuinv_rule *rule)
{
	if (*rule != SMMUINV_RULE_NONE)
		return SMMUINV_ILLEGAL;
	if (smmuinv_opcode_is_forwarded(opcode))
		return SMMUINV_FORWARD;
	if (opcode != SMMUINV_CMD_PREFETCH_CONFIG &&
	    opcode != SMMUINV_CMD_PREFETCH_ADDR)
		return SMMUINV_VMM;
	*rule = SMMUINV_RULE_PREFETCH;
	return SMMUINV_IGNORE;
}

static void compile_row(struct check_row *row, uint8_t opcode,
			const struct smmuinv_features *guest,
			const struct smmuinv_features *host)
{
	enum smmuinv_rule rule = opcode_rule(opcode, guest);
	enum smmuinv_verdict verdict = opcode_verdict(opcode, &rule);

	*row = (struct check_row){
		.keep = smmu_mask(opcode, guest),
		.verdict = (uint8_t)verdict,
		.rule = (uint8_t)rule,
		.operands = opcode_rules[opcode].operands,
	};
	/*
	 * 4.4.2: without stage 2 there are no VMIDs, and the field is RES0. In
	 * what is forwarded the kernel puts the guest's own VMID in.
	 */
	if (smmuinv__opcode_has_field(opcode, SMMUINV_FIELD_VMID) &&
	    (verdict == SMMUINV_FORWARD || !has(guest, SMMUINV_FEATURE_S2P)))
		row->keep.dw0 &= ~DW0_VMID;
	if (smmuinv__opcode_has_field(opcode, SMMUINV_FIELD_SSEC))
		row->ssec = DW0_SSEC;
	if (verdict == SMMUINV_FORWARD)
		row->lacking = host_lacking(opcode, host);
}

/* No command matches it, so the rules themselves are always asked. */
static const struct check_glance closed = { .want = { .dw0 = 1 } };

/* What judge_command() looks at before the operands. */
static struct check_glance glance_of(const struct check_row *row,
				     uint8_t opcode, bool leaf,
				     const struct command_mask *keep)
{
	struct check_glance glance = {
		.look = {
			.dw0 = DW0_OPCODE | row->ssec |
			       (row->lacking.dw0 & keep->dw0),
			.dw1 = row->lacking.dw1 & keep->dw1,
		},
		.want = { .dw0 = opcode },
		.keep = *keep,
		.kind = RANK_BIT(opcode_rank(opcode, leaf)),
	};

	/* A command that the host lacks as a whole. */
	if (row->lacking.dw0 & DW0_OPCODE)
		return closed;
	/* ATC_INV has its Size there. */
	if (smmuinv__opcode_has_field(opcode, SMMUINV_FIELD_LEAF)) {
		glance.look.dw1 |= DW1_LEAF;
		glance.want.dw1 = leaf;
	}
	return glance;
}

/* 4.4.1.1: without TG the others are RES0; with it see judge_address(). */
static void compile_address(struct check_table *table, uint8_t opcode,
			    bool leaf)
{
	const struct check_row *row = &table->rows[opcode];
	struct check_glance *single = &table->glances[leaf][opcode];
	struct check_glance *range =
		&table->ranges[leaf][opcode == SMMUINV_CMD_TLBI_NH_VAA];
	const struct command_mask keep = {
		.dw0 = row->keep.dw0 & ~DW0_RIL,
		.dw1 = row->keep.dw1 & ~(DW1_RIL | DW1_TTL128),
	};

	*single = glance_of(row, opcode, leaf, &keep);
	*range = glance_of(row, opcode, leaf, &row->keep);
	single->look.dw1 |= row->keep.dw1 & DW1_TG;
	range->look.dw0 |= DW0_SCALE_DS;
	range->look.dw1 |= DW1_TTL128;
	if (!(row->keep.dw1 & DW1_TG))
		*range = closed;
}

static void compile_glance(struct check_table *table, uint8_t opcode, bool leaf,
			   const struct smmuinv_features *guest)
{
	const struct check_row *row = &table->rows[opcode];
	struct check_glance *glance = &table->glances[leaf][opcode];

	if (row->verdict != SMMUINV_FORWARD)
		return;
	if (row->operands == OPERANDS_ADDRESS) {
		compile_address(table, opcode, leaf);
		return;
	}
	*glance = glance_of(row, opcode, leaf, &row->keep);
	if (row->operands == OPERANDS_CD)
		glance->look.dw0 |= ssid_lacking(guest);
	if (row->operands != OPERANDS_ATC)
		return;
	glance->look.dw0 |= DW0_SSV;
	glance->look.dw1 |= DW1_ATC_SIZE_32;
	glance->keep.dw0 &= ~(DW0_SSID | DW0_GLOBAL);
}

static void compile_common(struct check_table *table,
			   const struct smmuinv_features *guest,
			   const struct smmuinv_features *host)
{
	table->guest_ssid_bits =
		(uint8_t)smmuinv_features_get(guest, SMMUINV_FEATURE_SSIDSIZE);
	table->guest_ds = has(guest, SMMUINV_FEATURE_DS);
	table->host_ds = has(host, SMMUINV_FEATURE_DS);
}

void smmuinv__check_compile(struct check_table *table,
			    const struct smmuinv_features *guest,
			    const struct smmuinv_features *host)
{
	unsigned int i;

	compile_common(table, guest, host);
	for (i = 0; i <= UINT8_MAX; i++)
		table->glances[false][i] = table->glances[true][i] = closed;
	for (i = 0; i < 2; i++)
		table->ranges[false][i] = table->ranges[true][i] = closed;
	for (i = 0; i < CHECK_ROWS; i++) {
		compile_row(&table->rows[i], (uint8_t)i, guest, host);
		compile_glance(table, (uint8_t)i, false, guest);
		compile_glance(table, (uint8_t)i, true, guest);
	}
}

/* Opcode 0 is reserved, as are all above the table. */
static uint8_t row_of(const struct smmuinv_command *command)
{
	uint8_t opcode = smmuinv_command_opcode(command);

	return opcode < CHECK_ROWS ? opcode : 0;
}

/* A command under judgement: its doublewords, and what was found. */
struct judged {
	uint64_t dw0;
	uint64_t dw1;
	enum smmuinv_rule rule;
	enum smmuinv_field field;
};

static int judge(struct judged *j, int verdict, enum smmuinv_rule rule,
		 enum smmuinv_field field)
{
	j->rule = rule;
	j->field = field;
	return verdict;
}

/* 4.4.1.1. Bits that are RES0 on the guest's SMMU are zero already. */
static int judge_address(const struct check_table *table,
			 const struct check_row *row, struct judged *j)
{
	uint64_t scale = (j->dw0 & DW0_SCALE) >> DW0_SCALE_SHIFT;
	uint64_t ttl = (j->dw1 & DW1_TTL) >> DW1_TTL_SHIFT;
	uint64_t tg = (j->dw1 & DW1_TG) >> DW1_TG_SHIFT;

	if (tg == SMMUINV_TG_ANY) {
		j->dw0 &= ~DW0_RIL;
		j->dw1 &= ~(DW1_TTL | DW1_TTL128);
		return row->verdict;
	}
	if (tg == SMMUINV_TG_16K && ttl == 1 && !table->guest_ds) {
		/* Reserved, and treated as 0. */
		j->dw1 &= ~DW1_TTL;
		ttl = 0;
	}
	if (!ttl)
		j->dw1 &= ~DW1_TTL128;
	if (!ttl && !(j->dw0 & DW0_RIL))
		return judge(j, SMMUINV_ILLEGAL, SMMUINV_RULE_RANGE_RESERVED,
			     SMMUINV_FIELD_TG);
	if (tg == SMMUINV_TG_16K && ttl == 1 && !table->host_ds &&
	    row->verdict == SMMUINV_FORWARD)
		return judge(j, -EOPNOTSUPP, SMMUINV_RULE_HOST_LACKS,
			     SMMUINV_FIELD_TTL);
	/* Larger exponents count as 39; software must not rely on it. */
	if (scale > SCALE_MAX)
		j->dw0 = (j->dw0 & ~DW0_SCALE) |
			 ((uint64_t)SCALE_MAX << DW0_SCALE_SHIFT);
	return row->verdict;
}

/* 4.1.7: nothing can have been cached for a SubstreamID that is too large. */
static int judge_ssid(const struct check_table *table,
		      const struct check_row *row, struct judged *j)
{
	uint64_t ssid = (j->dw0 & DW0_SSID) >> DW0_SSID_SHIFT;

	if (!(ssid >> table->guest_ssid_bits))
		return row->verdict;
	return judge(j, SMMUINV_IGNORE, SMMUINV_RULE_SSID_OUT_OF_RANGE,
		     SMMUINV_FIELD_SUBSTREAMID);
}

/* 4.5.1 */
static int judge_atc(const struct check_table *table,
		     const struct check_row *row, struct judged *j)
{
	if ((j->dw1 & DW1_ATC_SIZE) > SMMUINV_ATC_SIZE_ALL)
		return judge(j, SMMUINV_ILLEGAL, SMMUINV_RULE_ATC_SIZE,
			     SMMUINV_FIELD_ATC_SIZE);
	/* Without SubstreamIDs, SSV may behave as zero: the wider choice. */
	if (!table->guest_ssid_bits)
		j->dw0 &= ~DW0_SSV;
	if (!(j->dw0 & DW0_SSV)) {
		/* SubstreamID and Global are IGNORED. */
		j->dw0 &= ~(DW0_SSID | DW0_GLOBAL);
		return row->verdict;
	}
	return judge_ssid(table, row, j);
}

static int judge_operands(const struct check_table *table,
			  const struct check_row *row, struct judged *j)
{
	switch (row->operands) {
	case OPERANDS_ADDRESS:
		return judge_address(table, row, j);
	case OPERANDS_ATC:
		return judge_atc(table, row, j);
	case OPERANDS_CD:
		/* 4.3.3: without SubstreamIDs any may mean the one CD. */
		if (!table->guest_ssid_bits)
			j->dw0 &= ~DW0_SSID;
		return judge_ssid(table, row, j);
	case OPERANDS_PRI_RESP:
		if ((j->dw1 & DW1_RESP) == DW1_RESP)
			return judge(j, SMMUINV_ILLEGAL,
				     SMMUINV_RULE_RESP_RESERVED,
				     SMMUINV_FIELD_RESP);
		return row->verdict;
	case OPERANDS_SYNC:
		if ((j->dw0 & DW0_CS) == DW0_CS)
			return judge(j, SMMUINV_ILLEGAL,
				     SMMUINV_RULE_CS_RESERVED,
				     SMMUINV_FIELD_CS);
		return row->verdict;
	default:
		return row->verdict;
	}
}

/* The first field that has a bit in @mask; there is one. */
static enum smmuinv_field field_at(const struct judged *j,
				   const struct command_mask *mask)
{
	struct smmuinv_command bits =
		command_make(j->dw0 & mask->dw0, j->dw1 & mask->dw1);
	uint8_t opcode = (uint8_t)(j->dw0 & DW0_OPCODE);
	unsigned int i = SMMUINV_FIELD_OPCODE;

	while (!smmuinv__opcode_has_field(opcode, i) ||
	       !smmuinv_command_get(&bits, i))
		i++;
	return (enum smmuinv_field)i;
}

static int judge_command(const struct check_table *table,
			 const struct check_row *row, struct judged *j)
{
	int verdict;

	if (row->verdict == SMMUINV_ILLEGAL)
		return judge(j, SMMUINV_ILLEGAL, row->rule,
			     SMMUINV_FIELD_OPCODE);
	/* 4.1.6 */
	if (j->dw0 & row->ssec)
		return judge(j, SMMUINV_ILLEGAL, SMMUINV_RULE_SSEC,
			     SMMUINV_FIELD_SSEC);
	j->dw0 &= row->keep.dw0;
	j->dw1 &= row->keep.dw1;
	verdict = judge_operands(table, row, j);
	if (verdict != SMMUINV_FORWARD)
		return verdict;
	if ((j->dw0 & row->lacking.dw0) | (j->dw1 & row->lacking.dw1))
		return judge(j, -EOPNOTSUPP, SMMUINV_RULE_HOST_LACKS,
			     field_at(j, &row->lacking));
	return SMMUINV_FORWARD;
}

int smmuinv__check_run(const struct check_table *table,
		       const struct smmuinv_command *command,
		       struct check_found *found)
{
	/* It may be in guest memory, so the copy is judged and forwarded. */
	const struct smmuinv_command copy = command_read_once(command);
	const struct check_row *row = &table->rows[row_of(&copy)];
	struct judged j = {
		.dw0 = command_dw0(&copy),
		.dw1 = command_dw1(&copy),
		.rule = row->rule,
		.field = SMMUINV_FIELD_OPCODE,
	};
	int verdict = judge_command(table, row, &j);

	found->command = command_make(j.dw0, j.dw1);
	found->rule = j.rule;
	found->field = j.field;
	return verdict;
}

static bool fits(const struct check_glance *glance, uint64_t dw0, uint64_t dw1)
{
	return (dw0 & glance->look.dw0) == glance->want.dw0 &&
	       (dw1 & glance->look.dw1) == glance->want.dw1;
}

/* A range for which judge_address() has no special rule. */
static const struct check_glance *common_range(const struct check_table *table,
					       uint64_t dw0, uint64_t dw1)
{
	const uint64_t tg_ttl = DW1_TG | DW1_TTL;
	const uint64_t needs_ds = (uint64_t)SMMUINV_TG_16K << DW1_TG_SHIFT |
				  UINT64_C(1) << DW1_TTL_SHIFT;
	const struct check_glance *glance =
		&table->ranges[dw1 & DW1_LEAF][dw0 & 1];

	/* Without TG it would have been seen before. */
	if (!fits(glance, dw0, dw1) || !((dw0 & DW0_RIL) | (dw1 & DW1_TTL)) ||
	    (dw1 & tg_ttl) == needs_ds)
		return NULL;
	return glance;
}

/*
 * Commands that are like the first, until one is not. That one is copied too,
 * to the place after them.
 */
static uint32_t forward_alike(const struct check_glance *glance,
			      const struct smmuinv_command *from, uint32_t n,
			      struct smmuinv_command *to)
{
	const struct command_mask look = glance->look;
	const struct command_mask keep = glance->keep;
	const struct command_mask want = glance->want;
	uint32_t i;

#pragma GCC unroll 4
	for (i = 0; i < n; i++) {
		const struct smmuinv_command copy = command_read_once(&from[i]);
		uint64_t dw0 = command_dw0(&copy);
		uint64_t dw1 = command_dw1(&copy);

		if ((dw0 & look.dw0) != want.dw0 ||
		    (dw1 & look.dw1) != want.dw1) {
			to[i] = copy;
			break;
		}
		to[i] = command_make(dw0 & keep.dw0, dw1 & keep.dw1);
	}
	return i;
}

/*
 * The glance that shows that a command is forwarded, or NULL. A range needs
 * further checks.
 */
static const struct check_glance *glance_at(const struct check_table *table,
					    uint64_t dw0, uint64_t dw1,
					    bool *range)
{
	const struct check_glance *glance =
		&table->glances[dw1 & DW1_LEAF][dw0 & DW0_OPCODE];

	*range = !fits(glance, dw0, dw1);
	return *range ? common_range(table, dw0, dw1) : glance;
}

uint32_t smmuinv__check_forward(const struct check_table *table,
				const struct smmuinv_command *from, uint32_t n,
				struct smmuinv_command *to, uint32_t *kinds)
{
	uint32_t i = 0;

	if (n)
		to[0] = command_read_once(&from[0]);
	while (i < n) {
		uint64_t dw0 = command_dw0(&to[i]);
		uint64_t dw1 = command_dw1(&to[i]);
		const struct check_glance *glance;
		bool range;

		/* Most often a CMD_SYNC ends them. */
		if ((dw0 & DW0_OPCODE) == SMMUINV_CMD_SYNC)
			break;
		glance = glance_at(table, dw0, dw1, &range);
		if (!glance)
			break;
		to[i++] = command_make(dw0 & glance->keep.dw0,
				       dw1 & glance->keep.dw1);
		*kinds |= (uint32_t)glance->kind;
		if (!range)
			i += forward_alike(glance, from + i, n - i, to + i);
		else if (i < n)
			to[i] = command_read_once(&from[i]);
	}
	return i;
}

void smmuinv__check_report(struct smmuinv_finding *finding,
			   const struct check_found *found)
{
	struct smmuinv_finding f = {
		.command = found->command,
		.rule = found->rule,
		.field = found->field,
	};

	if (finding)
		PARAMS_STORE(finding, &f);
}

int smmuinv_check(const struct smmuinv_command *command,
		  const struct smmuinv_features *guest,
		  const struct smmuinv_features *host,
		  struct smmuinv_finding *finding)
{
	struct check_table table;
	struct smmuinv_command copy;
	struct check_found found;
	int verdict;

	if (!command || !guest || !host ||
	    (finding && !PARAMS_WRITABLE(finding)))
		return -EINVAL;
	copy = command_read_once(command);
	compile_common(&table, guest, host);
	compile_row(&table.rows[row_of(&copy)], row_of(&copy), guest, host);
	verdict = smmuinv__check_run(&table, &copy, &found);
	smmuinv__check_report(finding, &found);
	return verdict;
}

#define RULE(name) [SMMUINV_RULE_##name]

const char *smmuinv_rule_text(uint32_t rule)
{
	static const char *const texts[SMMUINV_RULE_COUNT] = {
		RULE(NONE) = "nothing is wrong",
		RULE(RESERVED_OPCODE) = "the opcode is reserved (4.1.3)",
		RULE(SECURE_OPCODE) =
			"not on a Non-secure Command queue (4.4.2)",
		RULE(SSEC) = "SSec must be 0 on a Non-secure queue (4.1.6)",
		RULE(NO_STAGE1) =
			"the SMMU has no stage 1, IDR0.S1P (4.3.3, 4.4.2)",
		RULE(NO_STAGE2) = "the SMMU has no stage 2, IDR0.S2P (4.4.3)",
		RULE(NO_HYP) =
			"the SMMU has no EL2 streams, IDR0.Hyp (4.4.2.7)",
		RULE(NO_ATS) = "the SMMU has no ATS, IDR0.ATS (4.5.1)",
		RULE(NO_PRI) = "the SMMU has no PRI, IDR0.PRI (4.5.2)",
		RULE(NO_STALL) =
			"the SMMU never stalls, IDR0.STALL_MODEL (4.7.1)",
		RULE(NO_VMS) =
			"the SMMU has no VMS, IDR3.MPAM, both stages (4.3.5)",
		RULE(NO_DPT) = "the SMMU has no DPT, IDR3.DPT (4.6)",
		RULE(RANGE_RESERVED) =
			"TG without NUM, SCALE or TTL is reserved (4.4.1.1)",
		RULE(ATC_SIZE) = "Size is above 52, which is all (4.5.1)",
		RULE(RESP_RESERVED) = "Resp 3 is reserved (4.5.2)",
		RULE(CS_RESERVED) = "CS 3 is reserved (4.7.3)",
		RULE(NOT_OFFERED) =
			"the virtual SMMU does not offer the command",
		RULE(PREFETCH) = "a prefetch is a hint (4.2)",
		RULE(SSID_OUT_OF_RANGE) =
			"no such SubstreamID, IDR1.SSIDSIZE (4.1.7)",
		RULE(STREAM_UNKNOWN) =
			"no device of the host has the StreamID",
		RULE(ATS_OFF) = "the stream's ATS is off (5.2)",
		RULE(NO_VIOMMU) = "there is no host SMMU",
		RULE(HOST_LACKS) = "the host's SMMU lacks the field or command",
	};

	return rule < SMMUINV_RULE_COUNT ? texts[rule] : "?";
}
