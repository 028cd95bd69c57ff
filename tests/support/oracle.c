/* SPDX-License-Identifier: MIT */
#include "oracle.h"

#include <errno.h>
#include <string.h>

#include <smmuinv/check.h>

#include "spec.h"
#include "support.h"

const uint8_t oracle_forwarded[8] = { 0x05, 0x06, 0x10, 0x11,
				      0x12, 0x13, 0x30, 0x40 };

static bool has(const struct smmuinv_features *f, enum smmuinv_feature feature)
{
	return spec_feature_get(f, feature) != 0;
}

static bool is_forwarded(uint8_t opcode)
{
	return memchr(oracle_forwarded, opcode, sizeof(oracle_forwarded));
}

/* On the Non-secure queue of this SMMU (4.3 to 4.7). */
static bool is_implemented(uint8_t opcode, const struct smmuinv_features *f)
{
	switch (opcode) {
	case 0x01: /* PREFETCH_CONFIG */
	case 0x02: /* PREFETCH_ADDR */
	case 0x03: /* CFGI_STE */
	case 0x04: /* CFGI_STE_RANGE */
	case 0x30: /* TLBI_NSNH_ALL */
	case 0x46: /* SYNC */
		return true;
	case 0x05: /* CFGI_CD */
	case 0x06: /* CFGI_CD_ALL */
	case 0x10: /* TLBI_NH_ALL */
	case 0x11: /* TLBI_NH_ASID */
	case 0x12: /* TLBI_NH_VA */
	case 0x13: /* TLBI_NH_VAA */
		return has(f, SMMUINV_FEATURE_S1P);
	case 0x07: /* CFGI_VMS_PIDM */
		/* 5.6.1: what a VMS needs */
		return has(f, SMMUINV_FEATURE_MPAM) &&
		       has(f, SMMUINV_FEATURE_S1P) &&
		       has(f, SMMUINV_FEATURE_S2P);
	case 0x20: /* TLBI_EL2_ALL */
	case 0x21: /* TLBI_EL2_ASID */
	case 0x22: /* TLBI_EL2_VA */
	case 0x23: /* TLBI_EL2_VAA */
		return has(f, SMMUINV_FEATURE_HYP);
	case 0x28: /* TLBI_S12_VMALL */
	case 0x2a: /* TLBI_S2_IPA */
		return has(f, SMMUINV_FEATURE_S2P);
	case 0x40: /* ATC_INV */
		return has(f, SMMUINV_FEATURE_ATS);
	case 0x41: /* PRI_RESP */
		return has(f, SMMUINV_FEATURE_PRI);
	case 0x44: /* RESUME */
	case 0x45: /* STALL_TERM */
		return spec_feature_get(f, SMMUINV_FEATURE_STALL_MODEL) != 1;
	case 0x70: /* DPTI_ALL */
	case 0x73: /* DPTI_PA */
		return has(f, SMMUINV_FEATURE_DPT);
	default: /* reserved, or Secure */
		return false;
	}
}

/* The values that a field of an address-based TLBI can have (4.4.1.1). */
static uint64_t range_field_max(enum smmuinv_field field, const uint64_t raw[2],
				const struct smmuinv_features *f)
{
	uint64_t tg = spec_field_get(raw, SMMUINV_FIELD_TG);
	uint64_t ttl = spec_field_get(raw, SMMUINV_FIELD_TTL);

	if (!has(f, SMMUINV_FEATURE_RIL))
		return 0;
	/* "Otherwise Reserved, and hardware treats as TTL == 0b00" */
	if (tg == 2 && ttl == 1 && !has(f, SMMUINV_FEATURE_DS))
		ttl = 0;
	switch (field) {
	case SMMUINV_FIELD_TG:
		return 3;
	case SMMUINV_FIELD_TTL:
		return tg ? ttl : 0;
	case SMMUINV_FIELD_NUM:
		return tg ? 31 : 0;
	case SMMUINV_FIELD_SCALE:
		if (!tg)
			return 0;
		return has(f, SMMUINV_FEATURE_DS) ? 63 : 31;
	default: /* TTL128 */
		return tg && ttl && has(f, SMMUINV_FEATURE_D128);
	}
}

/* The bits of a field's value that this SMMU has. */
static uint64_t field_max(enum smmuinv_field field, const uint64_t raw[2],
			  const struct smmuinv_features *f)
{
	switch (field) {
	case SMMUINV_FIELD_TG:
	case SMMUINV_FIELD_TTL:
	case SMMUINV_FIELD_TTL128:
	case SMMUINV_FIELD_NUM:
	case SMMUINV_FIELD_SCALE:
		return range_field_max(field, raw, f);
	case SMMUINV_FIELD_ASID: /* 4.4 */
		return has(f, SMMUINV_FEATURE_ASID16) ? 0xffff : 0xff;
	case SMMUINV_FIELD_VMID: /* 4.4.2 */
		if (!has(f, SMMUINV_FEATURE_S2P))
			return 0;
		return has(f, SMMUINV_FEATURE_VMID16) ? 0xffff : 0xff;
	default:
		return spec_field_max(field);
	}
}

/* The command without what is RES0 on this SMMU (4.1.5). */
static void keep_fields(uint64_t kept[2], const uint64_t raw[2],
			const struct smmuinv_features *f)
{
	uint8_t opcode = (uint8_t)raw[0];
	unsigned int i;

	/* 4.6.2: not decoded, so whole */
	if (opcode == SMMUINV_CMD_DPTI_PA) {
		memcpy(kept, raw, 2 * sizeof(*raw));
		return;
	}
	kept[0] = 0;
	kept[1] = 0;
	for (i = 0; i < SMMUINV_FIELD_RES0; i++) {
		enum smmuinv_field field = (enum smmuinv_field)i;

		if (spec_opcode_has_field(opcode, field))
			spec_field_put(kept, field,
				       spec_field_get(raw, field) &
					       field_max(field, raw, f));
	}
}

static bool by_address(uint8_t opcode)
{
	return spec_opcode_has_field(opcode, SMMUINV_FIELD_TG);
}

/* Values that are ILLEGAL in a command that is otherwise well formed. */
static bool operands_legal(const uint64_t dw[2])
{
	uint8_t opcode = (uint8_t)dw[0];
	uint64_t tg = spec_field_get(dw, SMMUINV_FIELD_TG);
	uint64_t ttl = spec_field_get(dw, SMMUINV_FIELD_TTL);

	if (opcode == SMMUINV_CMD_ATC_INV) /* 4.5.1 */
		return spec_field_get(dw, SMMUINV_FIELD_ATC_SIZE) <= 52;
	if (opcode == SMMUINV_CMD_PRI_RESP) /* 4.5.2 */
		return spec_field_get(dw, SMMUINV_FIELD_RESP) != 3;
	if (opcode == SMMUINV_CMD_SYNC) /* 4.7.3 */
		return spec_field_get(dw, SMMUINV_FIELD_CS) != 3;
	if (!by_address(opcode) || !tg)
		return true;
	/* 4.4.1.1 */
	return ttl || spec_field_get(dw, SMMUINV_FIELD_NUM) ||
	       spec_field_get(dw, SMMUINV_FIELD_SCALE);
}

/*
 * What a vIOMMU's command does not say: VMIDs; what is IGNORED (4.5.1);
 * SubstreamIDs where the guest's SMMU has none (4.3.3, 4.5.1).
 */
static void drop_ignored(uint64_t dw[2], const struct smmuinv_features *guest)
{
	uint8_t opcode = (uint8_t)dw[0];
	bool substreams = has(guest, SMMUINV_FEATURE_SSIDSIZE);

	/* The kernel puts the guest's own VMID in. */
	if (spec_opcode_has_field(opcode, SMMUINV_FIELD_VMID))
		spec_field_put(dw, SMMUINV_FIELD_VMID, 0);
	if (opcode == SMMUINV_CMD_CFGI_CD && !substreams)
		spec_field_put(dw, SMMUINV_FIELD_SUBSTREAMID, 0);
	if (opcode != SMMUINV_CMD_ATC_INV)
		return;
	if (!substreams)
		spec_field_put(dw, SMMUINV_FIELD_SSV, 0);
	if (spec_field_get(dw, SMMUINV_FIELD_SSV))
		return;
	spec_field_put(dw, SMMUINV_FIELD_SUBSTREAMID, 0);
	spec_field_put(dw, SMMUINV_FIELD_GLOBAL, 0);
}

static bool ssid_fits(const uint64_t dw[2], const struct smmuinv_features *f)
{
	uint8_t opcode = (uint8_t)dw[0];
	uint64_t ssid = spec_field_get(dw, SMMUINV_FIELD_SUBSTREAMID);

	if (!spec_opcode_has_field(opcode, SMMUINV_FIELD_SUBSTREAMID))
		return true;
	return !(ssid >> spec_feature_get(f, SMMUINV_FEATURE_SSIDSIZE));
}

/* Could a guest of the host's own features have written it? */
static bool host_can(const uint64_t dw[2], const struct smmuinv_features *host)
{
	uint8_t opcode = (uint8_t)dw[0];
	uint64_t kept[2];

	if (opcode == SMMUINV_CMD_ATC_INV) {
		if (!has(host, SMMUINV_FEATURE_ATS))
			return false;
		if (spec_field_get(dw, SMMUINV_FIELD_SSV) &&
		    !has(host, SMMUINV_FEATURE_SSIDSIZE))
			return false;
	}
	keep_fields(kept, dw, host);
	return kept[0] == dw[0] && kept[1] == dw[1] && operands_legal(dw) &&
	       ssid_fits(dw, host);
}

int oracle_judge(const struct smmuinv_command *raw_command,
		 const struct smmuinv_features *guest,
		 const struct smmuinv_features *host,
		 struct smmuinv_command *canonical)
{
	const uint64_t raw[2] = { test_dw0(raw_command),
				  test_dw1(raw_command) };
	uint8_t opcode = (uint8_t)raw[0];
	uint64_t dw[2];

	if (!is_implemented(opcode, guest))
		return SMMUINV_ILLEGAL;
	if (spec_opcode_has_field(opcode, SMMUINV_FIELD_SSEC) &&
	    spec_field_get(raw, SMMUINV_FIELD_SSEC)) /* 4.1.6 */
		return SMMUINV_ILLEGAL;
	keep_fields(dw, raw, guest);
	if (!operands_legal(dw))
		return SMMUINV_ILLEGAL;
	if (opcode == 0x01 || opcode == 0x02)
		return SMMUINV_IGNORE;
	if (by_address(opcode) && spec_field_get(dw, SMMUINV_FIELD_SCALE) > 39)
		spec_field_put(dw, SMMUINV_FIELD_SCALE, 39);
	if (is_forwarded(opcode)) {
		drop_ignored(dw, guest);
		if (!ssid_fits(dw, guest))
			return SMMUINV_IGNORE;
		if (!host_can(dw, host))
			return -EOPNOTSUPP;
	}
	*canonical = test_command(dw[0], dw[1]);
	return is_forwarded(opcode) ? SMMUINV_FORWARD : SMMUINV_VMM;
}

#define EVERY_GRANULE 7u
#define EVERY_LEVEL   15u

/* Addresses of a TLBI: @dw holds only fields that the SMMU has (4.4.1.1). */
static void scope_addresses(struct oracle_scope *scope, const uint64_t dw[2])
{
	uint64_t tg = spec_field_get(dw, SMMUINV_FIELD_TG);
	uint64_t ttl = spec_field_get(dw, SMMUINV_FIELD_TTL);
	uint64_t scale = spec_field_get(dw, SMMUINV_FIELD_SCALE);
	uint64_t units = spec_field_get(dw, SMMUINV_FIELD_NUM) + 1;
	unsigned int shift;

	scope->tables = !spec_field_get(dw, SMMUINV_FIELD_LEAF);
	scope->granules = EVERY_GRANULE;
	scope->levels = EVERY_LEVEL;
	scope->first = spec_field_get(dw, SMMUINV_FIELD_VA);
	scope->last = scope->first;
	if (!tg)
		return;
	if (scale > 39)
		scale = 39;
	shift = (unsigned int)(scale + 10 + 2 * tg);
	scope->granules = 1u << (tg - 1);
	if (ttl)
		scope->levels = 1u << ttl;
	/* The address does not wrap: up to the top is as far as it goes. */
	if (shift > 63 || units > ~scope->first >> shift)
		scope->last = ~UINT64_C(0);
	else
		scope->last = scope->first + ((units << shift) - 1);
}

static void scope_tlb(struct oracle_scope *scope, const uint64_t dw[2])
{
	scope->what = ORACLE_TLB;
	scope->every_asid = true;
	scope->global_entries = true;
	scope->granules = EVERY_GRANULE;
	scope->levels = EVERY_LEVEL;
	scope->tables = true;
	scope->last = ~UINT64_C(0);
	switch ((uint8_t)dw[0]) {
	case SMMUINV_CMD_TLBI_NH_ASID: /* 4.4.2.2: non-global entries */
		scope->global_entries = false;
		scope->every_asid = false;
		break;
	case SMMUINV_CMD_TLBI_NH_VA: /* 4.4.2.4: and global entries */
		scope->every_asid = false;
		scope_addresses(scope, dw);
		break;
	case SMMUINV_CMD_TLBI_NH_VAA: /* 4.4.2.3 */
		scope_addresses(scope, dw);
		break;
	default: /* 4.4.2.1, 4.4.4.1 */
		break;
	}
	if (!scope->every_asid)
		scope->asid = (uint16_t)spec_field_get(dw, SMMUINV_FIELD_ASID);
}

static void scope_atc(struct oracle_scope *scope, const uint64_t dw[2])
{
	uint64_t size = spec_field_get(dw, SMMUINV_FIELD_ATC_SIZE);
	uint64_t low = size >= 52 ? ~UINT64_C(0) : (UINT64_C(4096) << size) - 1;

	scope->what = ORACLE_ATC;
	scope->first = spec_field_get(dw, SMMUINV_FIELD_ADDR) & ~low;
	scope->last = scope->first | low;
	scope->tagged = spec_field_get(dw, SMMUINV_FIELD_SSV);
	scope->global = spec_field_get(dw, SMMUINV_FIELD_GLOBAL);
	scope->ssid_first =
		(uint32_t)spec_field_get(dw, SMMUINV_FIELD_SUBSTREAMID);
	scope->ssid_last = scope->ssid_first;
}

static void scope_cd(struct oracle_scope *scope, const uint64_t dw[2])
{
	scope->what = ORACLE_CD;
	scope->ssid_first =
		(uint32_t)spec_field_get(dw, SMMUINV_FIELD_SUBSTREAMID);
	scope->ssid_last = scope->ssid_first;
	scope->level1 = !spec_field_get(dw, SMMUINV_FIELD_LEAF);
	if ((uint8_t)dw[0] != SMMUINV_CMD_CFGI_CD_ALL)
		return;
	scope->ssid_first = 0;
	scope->ssid_last = 0xfffff;
	scope->level1 = true;
}

struct oracle_scope oracle_scope(const struct smmuinv_command *command,
				 const struct smmuinv_features *smmu)
{
	const uint64_t raw[2] = { test_dw0(command), test_dw1(command) };
	struct oracle_scope scope = { .what = ORACLE_NOTHING };
	uint64_t dw[2];

	if (!is_forwarded((uint8_t)raw[0]))
		return scope;
	keep_fields(dw, raw, smmu);
	drop_ignored(dw, smmu);
	scope.sid = (uint32_t)spec_field_get(dw, SMMUINV_FIELD_STREAMID);
	switch ((uint8_t)dw[0]) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
		scope_cd(&scope, dw);
		break;
	case SMMUINV_CMD_ATC_INV:
		scope_atc(&scope, dw);
		break;
	default:
		scope.sid = 0;
		scope_tlb(&scope, dw);
		break;
	}
	return scope;
}

static bool tlb_covers(const struct oracle_scope *whole,
		       const struct oracle_scope *part)
{
	if (!whole->every_asid &&
	    (part->every_asid || part->asid != whole->asid))
		return false;
	return (whole->global_entries || !part->global_entries) &&
	       (whole->tables || !part->tables) &&
	       !(part->granules & ~whole->granules) &&
	       !(part->levels & ~whole->levels);
}

bool oracle_covers(const struct oracle_scope *whole,
		   const struct oracle_scope *part)
{
	if (part->what == ORACLE_NOTHING)
		return true;
	if (whole->what != part->what || whole->sid != part->sid)
		return false;
	if (part->first < whole->first || part->last > whole->last)
		return false;
	if (part->what == ORACLE_TLB)
		return tlb_covers(whole, part);
	return part->ssid_first >= whole->ssid_first &&
	       part->ssid_last <= whole->ssid_last &&
	       part->tagged == whole->tagged &&
	       (whole->global || !part->global) &&
	       (whole->level1 || !part->level1);
}

static uint8_t random_opcode(void)
{
	uint8_t opcode;

	if (test_chance(85))
		return oracle_forwarded[test_random_below(8)];
	if (test_chance(30))
		return (uint8_t)test_random();
	do {
		opcode = (uint8_t)test_random();
	} while (!spec_opcode(opcode));
	return opcode;
}

static uint64_t random_field(enum smmuinv_field field)
{
	uint64_t max = spec_field_max(field);

	switch (field) {
	case SMMUINV_FIELD_SSEC:
		return test_chance(3);
	case SMMUINV_FIELD_TTL128:
		return test_chance(5);
	case SMMUINV_FIELD_VMID:
		return test_chance(80) ? 0 : test_random() & max;
	default:
		return (test_chance(50) ? test_random_edge() : test_random()) &
		       max;
	}
}

struct smmuinv_command oracle_random_command(void)
{
	uint8_t opcode = random_opcode();
	uint64_t dw[2] = { opcode, 0 };
	unsigned int i;

	for (i = SMMUINV_FIELD_OPCODE + 1; i < SMMUINV_FIELD_RES0; i++) {
		enum smmuinv_field field = (enum smmuinv_field)i;

		if (spec_opcode_has_field(opcode, field) && test_chance(70))
			spec_field_put(dw, field, random_field(field));
	}
	while (test_chance(10))
		dw[test_random_below(2)] ^= UINT64_C(1)
					    << test_random_below(64);
	return test_command(dw[0], dw[1]);
}
