/* SPDX-License-Identifier: MIT */
#include <smmuinv/command.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "command.h"
#include "params.h"

/* How a field's value is written. */
enum style {
	STYLE_DECIMAL,
	STYLE_HEX,
	STYLE_FLAG, /* the name alone, when set */
	STYLE_GRANULE
};

struct field {
	const char *name;
	uint8_t dw;
	uint8_t high;
	uint8_t low;
	uint8_t style;
	/* The value keeps its place, because it is an address. */
	bool address;
	/* Written only when not zero. */
	bool quiet;
};

/* One line for each field, as the specification's figures have them. */
static const struct field fields[SMMUINV_FIELD_COUNT] = {
	[SMMUINV_FIELD_OPCODE] = { "opcode", 0, 7, 0, STYLE_HEX, 0, 0 },
	[SMMUINV_FIELD_SSEC] = { "ssec", 0, 10, 10, STYLE_FLAG, 0, 1 },
	[SMMUINV_FIELD_SSV] = { "ssv", 0, 11, 11, STYLE_FLAG, 0, 1 },
	[SMMUINV_FIELD_GLOBAL] = { "global", 0, 9, 9, STYLE_FLAG, 0, 1 },
	[SMMUINV_FIELD_SUBSTREAMID] = { "ssid", 0, 31, 12, STYLE_DECIMAL, 0,
					0 },
	[SMMUINV_FIELD_STREAMID] = { "sid", 0, 63, 32, STYLE_HEX, 0, 0 },
	[SMMUINV_FIELD_VMID] = { "vmid", 0, 47, 32, STYLE_DECIMAL, 0, 1 },
	[SMMUINV_FIELD_ASID] = { "asid", 0, 63, 48, STYLE_DECIMAL, 0, 0 },
	[SMMUINV_FIELD_VA] = { "va", 1, 63, 12, STYLE_HEX, 1, 0 },
	[SMMUINV_FIELD_IPA] = { "ipa", 1, 55, 12, STYLE_HEX, 1, 0 },
	[SMMUINV_FIELD_ADDR] = { "addr", 1, 63, 12, STYLE_HEX, 1, 0 },
	[SMMUINV_FIELD_LEAF] = { "leaf", 1, 0, 0, STYLE_FLAG, 0, 1 },
	[SMMUINV_FIELD_TG] = { "tg", 1, 11, 10, STYLE_GRANULE, 0, 1 },
	[SMMUINV_FIELD_TTL] = { "ttl", 1, 9, 8, STYLE_DECIMAL, 0, 1 },
	[SMMUINV_FIELD_TTL128] = { "ttl128", 1, 7, 7, STYLE_FLAG, 0, 1 },
	[SMMUINV_FIELD_NUM] = { "num", 0, 16, 12, STYLE_DECIMAL, 0, 1 },
	[SMMUINV_FIELD_SCALE] = { "scale", 0, 25, 20, STYLE_DECIMAL, 0, 1 },
	[SMMUINV_FIELD_RANGE] = { "range", 1, 4, 0, STYLE_DECIMAL, 0, 0 },
	[SMMUINV_FIELD_ATC_SIZE] = { "size", 1, 5, 0, STYLE_DECIMAL, 0, 0 },
	[SMMUINV_FIELD_PREFETCH_SIZE] = { "size", 1, 4, 0, STYLE_DECIMAL, 0,
					  0 },
	[SMMUINV_FIELD_STRIDE] = { "stride", 1, 9, 5, STYLE_DECIMAL, 0, 0 },
	[SMMUINV_FIELD_PRGINDEX] = { "prgindex", 1, 8, 0, STYLE_DECIMAL, 0, 0 },
	[SMMUINV_FIELD_RESP] = { "resp", 1, 13, 12, STYLE_DECIMAL, 0, 0 },
	[SMMUINV_FIELD_ACTION] = { "retry", 0, 12, 12, STYLE_FLAG, 0, 1 },
	[SMMUINV_FIELD_ABORT] = { "abort", 0, 13, 13, STYLE_FLAG, 0, 1 },
	[SMMUINV_FIELD_STAG] = { "stag", 1, 15, 0, STYLE_HEX, 0, 0 },
	[SMMUINV_FIELD_CS] = { "cs", 0, 13, 12, STYLE_DECIMAL, 0, 0 },
	[SMMUINV_FIELD_MSH] = { "msh", 0, 23, 22, STYLE_DECIMAL, 0, 1 },
	[SMMUINV_FIELD_MSIATTR] = { "msiattr", 0, 27, 24, STYLE_HEX, 0, 1 },
	[SMMUINV_FIELD_MSIDATA] = { "msidata", 0, 63, 32, STYLE_HEX, 0, 1 },
	[SMMUINV_FIELD_MSIADDRESS] = { "msiaddr", 1, 55, 2, STYLE_HEX, 1, 1 },
	[SMMUINV_FIELD_RES0] = { "res0", 0, 0, 0, STYLE_HEX, 0, 1 },
};

#define FIELDS_MAX 9

/* Fields in the order in which they are written. */
struct opcode {
	const char *name;
	uint8_t field[FIELDS_MAX];
};

#define F(name)    SMMUINV_FIELD_##name
#define RIL_FIELDS F(TG), F(TTL), F(NUM), F(SCALE), F(TTL128)
/* clang-format off */
#define COMMAND(name, ...) [SMMUINV_CMD_##name] = { #name, { __VA_ARGS__ } }

/* 4.1.1 for the names, 4.2 to 4.7 for the fields. */
static const struct opcode opcodes[] = {
	COMMAND(PREFETCH_CONFIG, F(STREAMID), F(SSV), F(SUBSTREAMID), F(SSEC)),
	COMMAND(PREFETCH_ADDR, F(STREAMID), F(SSV), F(SUBSTREAMID), F(ADDR),
		F(PREFETCH_SIZE), F(STRIDE), F(SSEC)),
	COMMAND(CFGI_STE, F(STREAMID), F(LEAF), F(SSEC)),
	COMMAND(CFGI_STE_RANGE, F(STREAMID), F(RANGE), F(SSEC)),
	COMMAND(CFGI_CD, F(STREAMID), F(SUBSTREAMID), F(LEAF), F(SSEC)),
	COMMAND(CFGI_CD_ALL, F(STREAMID), F(SSEC)),
	COMMAND(CFGI_VMS_PIDM, F(VMID), F(SSEC)),
	COMMAND(TLBI_NH_ALL, F(VMID)),
	COMMAND(TLBI_NH_ASID, F(VMID), F(ASID)),
	COMMAND(TLBI_NH_VA, F(VMID), F(ASID), F(VA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_NH_VAA, F(VMID), F(VA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_EL3_ALL, 0),
	COMMAND(TLBI_EL3_VA, F(VA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_EL2_ALL, 0),
	COMMAND(TLBI_EL2_ASID, F(ASID)),
	COMMAND(TLBI_EL2_VA, F(ASID), F(VA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_EL2_VAA, F(VA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_S12_VMALL, F(VMID)),
	COMMAND(TLBI_S2_IPA, F(VMID), F(IPA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_NSNH_ALL, 0),
	COMMAND(ATC_INV, F(STREAMID), F(SSV), F(SUBSTREAMID), F(GLOBAL),
		F(ADDR), F(ATC_SIZE)),
	COMMAND(PRI_RESP, F(STREAMID), F(SSV), F(SUBSTREAMID), F(PRGINDEX),
		F(RESP)),
	COMMAND(RESUME, F(STREAMID), F(STAG), F(ACTION), F(ABORT), F(SSEC)),
	COMMAND(STALL_TERM, F(STREAMID), F(SSEC)),
	COMMAND(SYNC, F(CS), F(MSH), F(MSIATTR), F(MSIDATA), F(MSIADDRESS)),
	COMMAND(TLBI_S_EL2_ALL, 0),
	COMMAND(TLBI_S_EL2_ASID, F(ASID)),
	COMMAND(TLBI_S_EL2_VA, F(ASID), F(VA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_S_EL2_VAA, F(VA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_S_S12_VMALL, F(VMID)),
	COMMAND(TLBI_S_S2_IPA, F(VMID), F(IPA), F(LEAF), RIL_FIELDS),
	COMMAND(TLBI_SNH_ALL, 0),
	COMMAND(DPTI_ALL, 0),
	COMMAND(DPTI_PA, 0), /* not decoded: see is_opaque() */
};
/* clang-format on */

#define OPCODES (sizeof(opcodes) / sizeof(opcodes[0]))

static const struct opcode reserved_opcode = { "RESERVED", { 0 } };

static const struct opcode *opcode_find(uint8_t opcode)
{
	if (opcode >= OPCODES || !opcodes[opcode].name)
		return &reserved_opcode;
	return &opcodes[opcode];
}

/*
 * 4.6.2 says what CMD_DPTI_PA does, but its layout only in a figure that we
 * have not read. So its bits are kept as they are, and none is called RES0.
 */
static bool is_opaque(uint8_t opcode)
{
	return opcode == SMMUINV_CMD_DPTI_PA;
}

static struct command_mask fields_mask(uint8_t opcode)
{
	const struct opcode *o = opcode_find(opcode);
	uint64_t mask[2] = { DW0_OPCODE, 0 };
	unsigned int i;

	for (i = 0; i < FIELDS_MAX && o->field[i]; i++) {
		const struct field *f = &fields[o->field[i]];

		mask[f->dw] |= BITS(f->high, f->low);
	}
	return (struct command_mask){ .dw0 = mask[0], .dw1 = mask[1] };
}

struct command_mask smmuinv__opcode_mask(uint8_t opcode)
{
	if (is_opaque(opcode))
		return (struct command_mask){ UINT64_MAX, UINT64_MAX };
	return fields_mask(opcode);
}

static bool ssid_valid(uint32_t ssid)
{
	return ssid <= (DW0_SSID >> DW0_SSID_SHIFT);
}

static uint64_t with_sid(uint8_t opcode, uint32_t sid)
{
	return opcode | ((uint64_t)sid << DW0_SID_SHIFT);
}

static int build(struct smmuinv_command *out, bool valid, uint64_t dw0,
		 uint64_t dw1)
{
	if (!out || !valid)
		return -EINVAL;
	*out = command_make(dw0, dw1);
	return 0;
}

int smmuinv_command_cfgi_cd(struct smmuinv_command *out, uint32_t sid,
			    uint32_t ssid, bool leaf)
{
	return build(out, ssid_valid(ssid),
		     with_sid(SMMUINV_CMD_CFGI_CD, sid) |
			     ((uint64_t)ssid << DW0_SSID_SHIFT),
		     leaf ? DW1_LEAF : 0);
}

int smmuinv_command_cfgi_cd_all(struct smmuinv_command *out, uint32_t sid)
{
	return build(out, true, with_sid(SMMUINV_CMD_CFGI_CD_ALL, sid), 0);
}

int smmuinv_command_tlbi_nh_all(struct smmuinv_command *out)
{
	return build(out, true, SMMUINV_CMD_TLBI_NH_ALL, 0);
}

int smmuinv_command_tlbi_nh_asid(struct smmuinv_command *out, uint16_t asid)
{
	return build(out, true,
		     SMMUINV_CMD_TLBI_NH_ASID |
			     ((uint64_t)asid << DW0_ASID_SHIFT),
		     0);
}

int smmuinv_command_tlbi_nsnh_all(struct smmuinv_command *out)
{
	return build(out, true, SMMUINV_CMD_TLBI_NSNH_ALL, 0);
}

/* 4.4.1.1: which combinations of the range fields have a meaning. */
static bool tlbi_valid(const struct smmuinv_tlbi *t)
{
	if (t->va & ~DW1_ADDRESS)
		return false;
	if (t->tg > SMMUINV_TG_64K || t->ttl > 3 || t->num > 31 ||
	    t->scale > SCALE_MAX)
		return false;
	if (t->tg == SMMUINV_TG_ANY)
		return !t->ttl && !t->num && !t->scale;
	return t->ttl || t->num || t->scale;
}

static int build_tlbi(struct smmuinv_command *out, uint8_t opcode,
		      const struct smmuinv_tlbi *tlbi)
{
	struct smmuinv_tlbi t;

	if (!PARAMS_TAKE(&t, tlbi))
		return -EINVAL;
	return build(out,
		     tlbi_valid(&t) &&
			     (!t.asid || opcode == SMMUINV_CMD_TLBI_NH_VA),
		     opcode | ((uint64_t)t.num << DW0_NUM_SHIFT) |
			     ((uint64_t)t.scale << DW0_SCALE_SHIFT) |
			     ((uint64_t)t.asid << DW0_ASID_SHIFT),
		     t.va | ((uint64_t)t.tg << DW1_TG_SHIFT) |
			     ((uint64_t)t.ttl << DW1_TTL_SHIFT) |
			     (t.leaf ? DW1_LEAF : 0));
}

int smmuinv_command_tlbi_nh_va(struct smmuinv_command *out,
			       const struct smmuinv_tlbi *tlbi)
{
	return build_tlbi(out, SMMUINV_CMD_TLBI_NH_VA, tlbi);
}

int smmuinv_command_tlbi_nh_vaa(struct smmuinv_command *out,
				const struct smmuinv_tlbi *tlbi)
{
	return build_tlbi(out, SMMUINV_CMD_TLBI_NH_VAA, tlbi);
}

static bool atc_valid(const struct smmuinv_atc *a)
{
	if (a->address & ~DW1_ADDRESS)
		return false;
	if (!ssid_valid(a->ssid) || a->log2_pages > SMMUINV_ATC_SIZE_ALL)
		return false;
	return a->ssv || (!a->ssid && !a->global);
}

int smmuinv_command_atc_inv(struct smmuinv_command *out,
			    const struct smmuinv_atc *atc)
{
	struct smmuinv_atc a;

	if (!PARAMS_TAKE(&a, atc))
		return -EINVAL;
	return build(out, atc_valid(&a),
		     with_sid(SMMUINV_CMD_ATC_INV, a.sid) |
			     ((uint64_t)a.ssid << DW0_SSID_SHIFT) |
			     (a.ssv ? DW0_SSV : 0) |
			     (a.global ? DW0_GLOBAL : 0),
		     a.address | a.log2_pages);
}

uint8_t smmuinv_command_opcode(const struct smmuinv_command *command)
{
	return (uint8_t)(command_dw0(command) & DW0_OPCODE);
}

static bool has_res0(const struct smmuinv_command *command)
{
	struct command_mask mask =
		smmuinv__opcode_mask(smmuinv_command_opcode(command));

	return (command_dw0(command) & ~mask.dw0) ||
	       (command_dw1(command) & ~mask.dw1);
}

uint64_t smmuinv_command_get(const struct smmuinv_command *command,
			     uint32_t field)
{
	const struct field *f;
	uint64_t bits;

	if (field >= SMMUINV_FIELD_COUNT)
		return 0;
	if (field == SMMUINV_FIELD_RES0)
		return has_res0(command);
	f = &fields[field];
	bits = f->dw ? command_dw1(command) : command_dw0(command);
	bits &= BITS(f->high, f->low);
	return f->address ? bits : bits >> f->low;
}

bool smmuinv__opcode_has_field(uint8_t opcode, enum smmuinv_field field)
{
	const struct opcode *o = opcode_find(opcode);
	unsigned int i;

	if (field == SMMUINV_FIELD_OPCODE)
		return true;
	for (i = 0; i < FIELDS_MAX && o->field[i]; i++) {
		if (o->field[i] == field)
			return true;
	}
	return false;
}

const char *smmuinv_opcode_name(uint8_t opcode)
{
	return opcode_find(opcode)->name;
}

bool smmuinv_opcode_is_forwarded(uint8_t opcode)
{
	switch (opcode) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
	case SMMUINV_CMD_TLBI_NH_ALL:
	case SMMUINV_CMD_TLBI_NH_ASID:
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
	case SMMUINV_CMD_TLBI_NSNH_ALL:
	case SMMUINV_CMD_ATC_INV:
		return true;
	default:
		return false;
	}
}

const char *smmuinv_field_name(uint32_t field)
{
	if (field >= SMMUINV_FIELD_COUNT)
		return "?";
	return fields[field].name;
}

/* Text that is appended to; what no longer fits is only counted. */
struct text {
	char *at;
	size_t size;
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void
text_add(struct text *text, const char *format, ...)
{
	bool fits = text->length < text->size;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(fits ? text->at + text->length : NULL,
		      fits ? text->size - text->length : 0, format, args);
	va_end(args);
	text->length += (size_t)n;
}

static const char *granule_name(uint64_t tg)
{
	static const char *const names[] = { "any", "4K", "16K", "64K" };

	return names[tg & 3];
}

static void text_add_field(struct text *text, const struct field *f,
			   uint64_t value)
{
	switch (f->style) {
	case STYLE_FLAG:
		text_add(text, " %s", f->name);
		return;
	case STYLE_GRANULE:
		text_add(text, " %s=%s", f->name, granule_name(value));
		return;
	case STYLE_HEX:
		text_add(text, " %s=0x%" PRIx64, f->name, value);
		return;
	default:
		text_add(text, " %s=%" PRIu64, f->name, value);
		return;
	}
}

/* With a granule, all operands of a range are written. */
static bool range_field(uint8_t field)
{
	return field == SMMUINV_FIELD_TTL || field == SMMUINV_FIELD_NUM ||
	       field == SMMUINV_FIELD_SCALE;
}

static void text_add_fields(struct text *text, const struct opcode *o,
			    const struct smmuinv_command *command)
{
	bool ranged = smmuinv_command_get(command, SMMUINV_FIELD_TG) != 0;
	unsigned int i;

	for (i = 0; i < FIELDS_MAX && o->field[i]; i++) {
		const struct field *f = &fields[o->field[i]];
		uint64_t value = smmuinv_command_get(command, o->field[i]);

		if (value || !f->quiet || (ranged && range_field(o->field[i])))
			text_add_field(text, f, value);
	}
}

int smmuinv_command_print(const struct smmuinv_command *command, char *out,
			  size_t size)
{
	struct text text = { .at = out, .size = size };
	uint8_t opcode = smmuinv_command_opcode(command);
	const struct opcode *o = opcode_find(opcode);
	struct command_mask mask = fields_mask(opcode);
	uint64_t dw0 = command_dw0(command) & ~mask.dw0;
	uint64_t dw1 = command_dw1(command) & ~mask.dw1;

	text_add(&text, "%s", o->name);
	if (o == &reserved_opcode)
		text_add(&text, " opcode=0x%02x", opcode);
	text_add_fields(&text, o, command);
	if (dw0 || dw1)
		text_add(&text, " %s=0x%" PRIx64 ":0x%" PRIx64,
			 is_opaque(opcode) ? "bits" : "res0", dw1, dw0);
	return (int)text.length;
}

const char *smmuinv_cerror_name(uint32_t cerror)
{
	static const char *const names[] = {
		[SMMUINV_CERROR_NONE] = "CERROR_NONE",
		[SMMUINV_CERROR_ILL] = "CERROR_ILL",
		[SMMUINV_CERROR_ABT] = "CERROR_ABT",
		[SMMUINV_CERROR_ATC_INV_SYNC] = "CERROR_ATC_INV_SYNC",
	};

	if (cerror >= sizeof(names) / sizeof(names[0]))
		return "CERROR_?";
	return names[cerror];
}
