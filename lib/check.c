/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <errno.h>

#include "params.h"

static bool has(const struct smmuinv_features *f, enum smmuinv_feature feature)
{
	return smmuinv_features_get(f, feature) != 0;
}

/* IDR0.STALL_MODEL == 0b01: stalling is not there (4.7.1, 4.7.2). */
static bool has_stall(const struct smmuinv_features *f)
{
	return smmuinv_features_get(f, SMMUINV_FEATURE_STALL_MODEL) != 1;
}

/* Is the opcode there at all on this SMMU's Non-secure queue? */
static enum smmuinv_rule opcode_rule(uint8_t opcode,
				     const struct smmuinv_features *f)
{
	switch (opcode) {
	case SMMUINV_CMD_PREFETCH_CONFIG:
	case SMMUINV_CMD_PREFETCH_ADDR:
	case SMMUINV_CMD_CFGI_STE:
	case SMMUINV_CMD_CFGI_STE_RANGE:
	case SMMUINV_CMD_TLBI_NSNH_ALL:
	case SMMUINV_CMD_SYNC:
		return SMMUINV_RULE_NONE;
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
	case SMMUINV_CMD_TLBI_NH_ALL:
	case SMMUINV_CMD_TLBI_NH_ASID:
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
		return has(f, SMMUINV_FEATURE_S1P) ? SMMUINV_RULE_NONE :
						     SMMUINV_RULE_NO_STAGE1;
	case SMMUINV_CMD_TLBI_EL2_ALL:
	case SMMUINV_CMD_TLBI_EL2_ASID:
	case SMMUINV_CMD_TLBI_EL2_VA:
	case SMMUINV_CMD_TLBI_EL2_VAA:
		return has(f, SMMUINV_FEATURE_HYP) ? SMMUINV_RULE_NONE :
						     SMMUINV_RULE_NO_HYP;
	case SMMUINV_CMD_TLBI_S12_VMALL:
	case SMMUINV_CMD_TLBI_S2_IPA:
		return has(f, SMMUINV_FEATURE_S2P) ? SMMUINV_RULE_NONE :
						     SMMUINV_RULE_NO_STAGE2;
	case SMMUINV_CMD_ATC_INV:
		return has(f, SMMUINV_FEATURE_ATS) ? SMMUINV_RULE_NONE :
						     SMMUINV_RULE_NO_ATS;
	case SMMUINV_CMD_PRI_RESP:
		return has(f, SMMUINV_FEATURE_PRI) ? SMMUINV_RULE_NONE :
						     SMMUINV_RULE_NO_PRI;
	case SMMUINV_CMD_RESUME:
	case SMMUINV_CMD_STALL_TERM:
		return has_stall(f) ? SMMUINV_RULE_NONE : SMMUINV_RULE_NO_STALL;
	case SMMUINV_CMD_CFGI_VMS_PIDM:
		return has(f, SMMUINV_FEATURE_MPAM) ? SMMUINV_RULE_NONE :
						      SMMUINV_RULE_NO_MPAM;
	case SMMUINV_CMD_DPTI_ALL:
	case SMMUINV_CMD_DPTI_PA:
		return has(f, SMMUINV_FEATURE_DPT) ? SMMUINV_RULE_NONE :
						     SMMUINV_RULE_NO_DPT;
	case SMMUINV_CMD_TLBI_EL3_ALL:
	case SMMUINV_CMD_TLBI_EL3_VA:
	case SMMUINV_CMD_TLBI_S_EL2_ALL:
	case SMMUINV_CMD_TLBI_S_EL2_ASID:
	case SMMUINV_CMD_TLBI_S_EL2_VA:
	case SMMUINV_CMD_TLBI_S_EL2_VAA:
	case SMMUINV_CMD_TLBI_S_S12_VMALL:
	case SMMUINV_CMD_TLBI_S_S2_IPA:
	case SMMUINV_CMD_TLBI_SNH_ALL:
		return SMMUINV_RULE_SECURE_OPCODE;
	default:
		return SMMUINV_RULE_RESERVED_OPCODE;
	}
}

static enum check_operands opcode_operands(uint8_t opcode)
{
	switch (opcode) {
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
	case SMMUINV_CMD_TLBI_EL2_VA:
	case SMMUINV_CMD_TLBI_EL2_VAA:
	case SMMUINV_CMD_TLBI_S2_IPA:
		return OPERANDS_ADDRESS;
	case SMMUINV_CMD_ATC_INV:
		return OPERANDS_ATC;
	case SMMUINV_CMD_CFGI_CD:
		return OPERANDS_CD;
	case SMMUINV_CMD_PRI_RESP:
		return OPERANDS_PRI_RESP;
	case SMMUINV_CMD_SYNC:
		return OPERANDS_SYNC;
	default:
		return OPERANDS_PLAIN;
	}
}

static bool has_asid(uint8_t opcode)
{
	return smmuinv_opcode_has_field(opcode, SMMUINV_FIELD_ASID);
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

	/* 4.4: the upper byte of 8-bit ASIDs */
	if (has_asid(opcode) && !has(f, SMMUINV_FEATURE_ASID16))
		mask.dw0 &= ~DW0_ASID_HIGH;
	if (opcode_operands(opcode) != OPERANDS_ADDRESS)
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
	if (opcode_operands(opcode) == OPERANDS_ADDRESS)
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
		.guest = smmu_mask(opcode, guest),
		.verdict = (uint8_t)verdict,
		.rule = (uint8_t)rule,
		.operands = (uint8_t)opcode_operands(opcode),
	};
	/* 4.4.2: without stage 2 there are no VMIDs, and the field is RES0. */
	if (smmuinv_opcode_has_field(opcode, SMMUINV_FIELD_VMID) &&
	    !has(guest, SMMUINV_FEATURE_S2P))
		row->guest.dw0 &= ~DW0_VMID;
	row->keep = row->guest;
	if (smmuinv_opcode_has_field(opcode, SMMUINV_FIELD_SSEC))
		row->ssec = DW0_SSEC;
	if (verdict != SMMUINV_FORWARD)
		return;
	row->lacking = host_lacking(opcode, host);
	/* The kernel puts the guest's own VMID in. */
	if (smmuinv_opcode_has_field(opcode, SMMUINV_FIELD_VMID))
		row->keep.dw0 &= ~DW0_VMID;
}

/* Nothing is seen at a glance: no command has what is wanted. */
static const struct check_glance closed = { .want = { .dw0 = 1 } };

static uint32_t place_of(uint8_t opcode)
{
	uint32_t place = 0;

	while (smmuinv__forwarded_opcodes[place] != opcode)
		place++;
	return place;
}

/* What judge_command() looks at before the operands. */
static struct check_glance glance_of(const struct check_row *row,
				     uint8_t opcode, bool leaf,
				     const struct command_mask *keep,
				     bool strict)
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
		.place = place_of(opcode),
	};

	/* A command that the host lacks as a whole. */
	if (row->lacking.dw0 & DW0_OPCODE)
		return closed;
	if (strict) {
		glance.look.dw0 |= ~row->guest.dw0;
		glance.look.dw1 |= ~row->guest.dw1;
	}
	/* ATC_INV has its Size there. */
	if (smmuinv_opcode_has_field(opcode, SMMUINV_FIELD_LEAF)) {
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

	*single = glance_of(row, opcode, leaf, &keep, table->strict);
	*range = glance_of(row, opcode, leaf, &row->keep, table->strict);
	single->look.dw1 |= row->keep.dw1 & DW1_TG;
	range->look.dw0 |= DW0_SCALE_DS;
	range->look.dw1 |= DW1_TTL128;
	if (!(row->keep.dw1 & DW1_TG))
		*range = closed;
	if (!table->strict)
		return;
	single->look.dw0 |= DW0_RIL;
	single->look.dw1 |= DW1_TTL | DW1_TTL128;
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
	*glance = glance_of(row, opcode, leaf, &row->keep, table->strict);
	if (row->operands == OPERANDS_CD)
		glance->look.dw0 |= ssid_lacking(guest);
	if (row->operands != OPERANDS_ATC)
		return;
	glance->look.dw0 |= DW0_SSV;
	glance->look.dw1 |= DW1_ATC_SIZE_32;
	glance->keep.dw0 &= ~(DW0_SSID | DW0_GLOBAL);
}

static void compile_glances(struct check_table *table,
			    const struct smmuinv_features *guest)
{
	unsigned int leaf;
	unsigned int i;

	for (leaf = 0; leaf < 2; leaf++) {
		table->ranges[leaf][0] = closed;
		table->ranges[leaf][1] = closed;
		for (i = 0; i <= UINT8_MAX; i++) {
			table->glances[leaf][i] = closed;
			if (i < CHECK_ROWS)
				compile_glance(table, (uint8_t)i, leaf, guest);
		}
	}
}

static void compile_common(struct check_table *table,
			   const struct smmuinv_features *guest,
			   const struct smmuinv_features *host, uint32_t flags)
{
	table->guest_ssid_bits =
		(uint8_t)smmuinv_features_get(guest, SMMUINV_FEATURE_SSIDSIZE);
	table->guest_ds = has(guest, SMMUINV_FEATURE_DS);
	table->host_ds = has(host, SMMUINV_FEATURE_DS);
	table->strict = flags & SMMUINV_CHECK_STRICT;
}

void smmuinv__check_compile(struct check_table *table,
			    const struct smmuinv_features *guest,
			    const struct smmuinv_features *host, uint32_t flags)
{
	unsigned int i;

	compile_common(table, guest, host, flags);
	for (i = 0; i < CHECK_ROWS; i++)
		compile_row(&table->rows[i], (uint8_t)i, guest, host);
	compile_glances(table, guest);
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
		uint64_t res0 =
			(j->dw0 & DW0_RIL) | (j->dw1 & (DW1_TTL | DW1_TTL128));

		if (res0 && table->strict)
			return judge(j, SMMUINV_ILLEGAL, SMMUINV_RULE_RES0,
				     SMMUINV_FIELD_TG);
		j->dw0 &= ~DW0_RIL;
		j->dw1 &= ~(DW1_TTL | DW1_TTL128);
		return row->verdict;
	}
	if (!(j->dw0 & DW0_RIL) && !ttl)
		return judge(j, SMMUINV_ILLEGAL, SMMUINV_RULE_RANGE_RESERVED,
			     SMMUINV_FIELD_TG);
	if (!ttl && (j->dw1 & DW1_TTL128)) {
		if (table->strict)
			return judge(j, SMMUINV_ILLEGAL, SMMUINV_RULE_RES0,
				     SMMUINV_FIELD_TTL128);
		j->dw1 &= ~DW1_TTL128;
	}
	if (tg == SMMUINV_TG_16K && ttl == 1) {
		if (!table->guest_ds)
			return judge(j, SMMUINV_ILLEGAL,
				     SMMUINV_RULE_TTL_NEEDS_DS,
				     SMMUINV_FIELD_TTL);
		if (!table->host_ds && row->verdict == SMMUINV_FORWARD)
			return judge(j, -EOPNOTSUPP, SMMUINV_RULE_HOST_LACKS,
				     SMMUINV_FIELD_TTL);
	}
	/* Larger exponents count as 39; software must not rely on it. */
	if (scale > SCALE_MAX)
		j->dw0 = (j->dw0 & ~DW0_SCALE) |
			 ((uint64_t)SCALE_MAX << DW0_SCALE_SHIFT);
	return row->verdict;
}

/* 4.1.7: nothing can have been cached for a SubstreamID that is too large. */
static bool ssid_out_of_range(const struct check_table *table,
			      const struct judged *j)
{
	uint64_t ssid = (j->dw0 & DW0_SSID) >> DW0_SSID_SHIFT;

	return ssid >> table->guest_ssid_bits;
}

static int judge_ssid(const struct check_table *table,
		      const struct check_row *row, struct judged *j)
{
	if (ssid_out_of_range(table, j))
		return judge(j, SMMUINV_IGNORE, SMMUINV_RULE_SSID_OUT_OF_RANGE,
			     SMMUINV_FIELD_SUBSTREAMID);
	return row->verdict;
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

/* 4.3.3 */
static int judge_cd(const struct check_table *table,
		    const struct check_row *row, struct judged *j)
{
	/* Without SubstreamIDs, any may mean the one CD: the wider choice. */
	if (!table->guest_ssid_bits)
		j->dw0 &= ~DW0_SSID;
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
		return judge_cd(table, row, j);
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

/* The first field, in the order of the command's text, that has a bit in it. */
static enum smmuinv_field field_at(const struct judged *j,
				   const struct command_mask *mask)
{
	struct smmuinv_command bits =
		command_make(j->dw0 & mask->dw0, j->dw1 & mask->dw1);
	uint8_t opcode = (uint8_t)(j->dw0 & DW0_OPCODE);
	unsigned int i;

	if (mask->dw0 & DW0_OPCODE)
		return SMMUINV_FIELD_OPCODE;
	for (i = 0; i < SMMUINV_FIELD_RES0; i++) {
		if (smmuinv_opcode_has_field(opcode, i) &&
		    smmuinv_command_get(&bits, i))
			return (enum smmuinv_field)i;
	}
	return SMMUINV_FIELD_RES0;
}

static int judge_command(const struct check_table *table,
			 const struct check_row *row, struct judged *j)
{
	struct command_mask res0 = { ~row->guest.dw0, ~row->guest.dw1 };
	int verdict;

	if (row->verdict == SMMUINV_ILLEGAL)
		return judge(j, SMMUINV_ILLEGAL, row->rule,
			     SMMUINV_FIELD_OPCODE);
	/* 4.1.6 */
	if (j->dw0 & row->ssec)
		return judge(j, SMMUINV_ILLEGAL, SMMUINV_RULE_SSEC,
			     SMMUINV_FIELD_SSEC);
	if (table->strict && ((j->dw0 & res0.dw0) | (j->dw1 & res0.dw1)))
		return judge(j, SMMUINV_ILLEGAL, SMMUINV_RULE_RES0,
			     field_at(j, &res0));
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
	/* It may lie in guest memory: what is judged is what goes on. */
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

/* A range that is none of those judge_address() has something to say of. */
static const struct check_glance *common_range(const struct check_table *table,
					       uint64_t dw0, uint64_t dw1)
{
	const uint64_t tg_ttl = DW1_TG | DW1_TTL;
	const uint64_t needs_ds = (uint64_t)SMMUINV_TG_16K << DW1_TG_SHIFT |
				  UINT64_C(1) << DW1_TTL_SHIFT;
	const struct check_glance *glance =
		&table->ranges[dw1 & DW1_LEAF][dw0 & 1];

	if (!fits(glance, dw0, dw1) || !(dw1 & DW1_TG) ||
	    !((dw0 & DW0_RIL) | (dw1 & DW1_TTL)) || (dw1 & tg_ttl) == needs_ds)
		return NULL;
	return glance;
}

/*
 * Commands that are like the first, as long as there are. Leaves a copy of the
 * one after them behind them.
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
 * The glance at which a command is seen to be forwarded, or NULL. Ranges have
 * more to them than what it shows.
 */
static const struct check_glance *
glance_at(const struct check_table *table,
	  const struct smmuinv_command *command, bool *range)
{
	uint64_t dw0 = command_dw0(command);
	uint64_t dw1 = command_dw1(command);
	const struct check_glance *glance =
		&table->glances[dw1 & DW1_LEAF][dw0 & DW0_OPCODE];

	*range = !fits(glance, dw0, dw1);
	return *range ? common_range(table, dw0, dw1) : glance;
}

uint32_t smmuinv__check_forward(const struct check_table *table,
				const struct smmuinv_command *from, uint32_t n,
				struct smmuinv_command *to, uint32_t *kinds,
				uint32_t *read)
{
	uint32_t i = 0;

	if (n)
		to[0] = command_read_once(&from[0]);
	/* A CMD_SYNC is what most often ends them. */
	while (i < n &&
	       (command_dw0(&to[i]) & DW0_OPCODE) != SMMUINV_CMD_SYNC) {
		bool range;
		const struct check_glance *glance =
			glance_at(table, &to[i], &range);
		uint32_t begun = i;

		if (!glance)
			break;
		to[i] = command_make(command_dw0(&to[i]) & glance->keep.dw0,
				     command_dw1(&to[i]) & glance->keep.dw1);
		i++;
		if (range) {
			if (i < n)
				to[i] = command_read_once(&from[i]);
		} else {
			i += forward_alike(glance, from + i, n - i, to + i);
		}
		*kinds |= (uint32_t)glance->kind;
		read[glance->place] += i - begun;
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
		  const struct smmuinv_features *host, uint32_t flags,
		  struct smmuinv_finding *finding)
{
	struct check_table table;
	struct smmuinv_command copy;
	struct check_found found;
	int verdict;

	if (!command || !guest || !host || (flags & ~SMMUINV_CHECK_STRICT) ||
	    (finding && !PARAMS_WRITABLE(finding)))
		return -EINVAL;
	copy = command_read_once(command);
	compile_common(&table, guest, host, flags);
	compile_row(&table.rows[row_of(&copy)], row_of(&copy), guest, host);
	verdict = smmuinv__check_run(&table, &copy, &found);
	smmuinv__check_report(finding, &found);
	return verdict;
}

const char *smmuinv_rule_text(uint32_t rule)
{
	static const char *const texts[SMMUINV_RULE_COUNT] = {
		[SMMUINV_RULE_NONE] = "nothing is wrong",
		[SMMUINV_RULE_RESERVED_OPCODE] =
			"the opcode is reserved (4.1.3)",
		[SMMUINV_RULE_SECURE_OPCODE] =
			"not on a Non-secure Command queue (4.4.2)",
		[SMMUINV_RULE_SSEC] =
			"SSec must be 0 on a Non-secure queue (4.1.6)",
		[SMMUINV_RULE_NO_STAGE1] =
			"the SMMU has no stage 1, IDR0.S1P (4.3.3, 4.4.2)",
		[SMMUINV_RULE_NO_STAGE2] =
			"the SMMU has no stage 2, IDR0.S2P (4.4.3)",
		[SMMUINV_RULE_NO_HYP] =
			"the SMMU has no EL2 streams, IDR0.Hyp (4.4.2.7)",
		[SMMUINV_RULE_NO_ATS] = "the SMMU has no ATS, IDR0.ATS (4.5.1)",
		[SMMUINV_RULE_NO_PRI] = "the SMMU has no PRI, IDR0.PRI (4.5.2)",
		[SMMUINV_RULE_NO_STALL] =
			"the SMMU never stalls, IDR0.STALL_MODEL (4.7.1)",
		[SMMUINV_RULE_NO_MPAM] =
			"the SMMU has no MPAM, IDR3.MPAM (4.3.5)",
		[SMMUINV_RULE_NO_DPT] = "the SMMU has no DPT, IDR3.DPT (4.6)",
		[SMMUINV_RULE_RANGE_RESERVED] =
			"TG without NUM, SCALE or TTL is reserved (4.4.1.1)",
		[SMMUINV_RULE_TTL_NEEDS_DS] =
			"TTL 1 with TG 16K needs IDR5.DS (4.4.1.1)",
		[SMMUINV_RULE_ATC_SIZE] =
			"Size is above 52, which is all (4.5.1)",
		[SMMUINV_RULE_RESP_RESERVED] = "Resp 3 is reserved (4.5.2)",
		[SMMUINV_RULE_CS_RESERVED] = "CS 3 is reserved (4.7.3)",
		[SMMUINV_RULE_RES0] = "a RES0 bit is set (4.1.5)",
		[SMMUINV_RULE_NOT_OFFERED] =
			"the virtual SMMU does not offer the command",
		[SMMUINV_RULE_PREFETCH] = "a prefetch is a hint (4.2)",
		[SMMUINV_RULE_SSID_OUT_OF_RANGE] =
			"no such SubstreamID, IDR1.SSIDSIZE (4.1.7)",
		[SMMUINV_RULE_STREAM_UNKNOWN] =
			"the StreamID is no device of the host's",
		[SMMUINV_RULE_NOT_TRANSLATING] =
			"the stream does not translate, so no CD is cached",
		[SMMUINV_RULE_ATS_OFF] = "the stream's ATS is off (5.2)",
		[SMMUINV_RULE_NO_VIOMMU] = "there is no host SMMU",
		[SMMUINV_RULE_HOST_LACKS] =
			"the host's SMMU lacks the field or command",
	};

	if (rule >= SMMUINV_RULE_COUNT)
		return "?";
	return texts[rule];
}
