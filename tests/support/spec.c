/* SPDX-License-Identifier: MIT */
#include "spec.h"

#include <stddef.h>

#define F(field)   (UINT64_C(1) << SMMUINV_FIELD_##field)
#define BY_ADDRESS (F(LEAF) | F(TTL128) | F(TTL) | F(TG) | F(NUM) | F(SCALE))

static const struct spec_opcode opcodes[256] = {
	/* 4.2.1, 4.2.2 */
	[0x01] = { "PREFETCH_CONFIG",
		   F(SSEC) | F(SSV) | F(SUBSTREAMID) | F(STREAMID) },
	[0x02] = { "PREFETCH_ADDR", F(SSEC) | F(SSV) | F(SUBSTREAMID) |
					    F(STREAMID) | F(PREFETCH_SIZE) |
					    F(STRIDE) | F(ADDR) },
	/* 4.3.1 to 4.3.5 */
	[0x03] = { "CFGI_STE", F(SSEC) | F(STREAMID) | F(LEAF) },
	[0x04] = { "CFGI_STE_RANGE", F(SSEC) | F(STREAMID) | F(RANGE) },
	[0x05] = { "CFGI_CD",
		   F(SSEC) | F(SUBSTREAMID) | F(STREAMID) | F(LEAF) },
	[0x06] = { "CFGI_CD_ALL", F(SSEC) | F(STREAMID) },
	[0x07] = { "CFGI_VMS_PIDM", F(SSEC) | F(VMID) },
	/* 4.4.2.1 to 4.4.2.4 */
	[0x10] = { "TLBI_NH_ALL", F(VMID) },
	[0x11] = { "TLBI_NH_ASID", F(VMID) | F(ASID) },
	[0x12] = { "TLBI_NH_VA", F(VMID) | F(ASID) | F(VA) | BY_ADDRESS },
	[0x13] = { "TLBI_NH_VAA", F(VMID) | F(VA) | BY_ADDRESS },
	/* 4.4.2.5 to 4.4.2.10 */
	[0x18] = { "TLBI_EL3_ALL", 0 },
	[0x1a] = { "TLBI_EL3_VA", F(VA) | BY_ADDRESS },
	[0x20] = { "TLBI_EL2_ALL", 0 },
	[0x21] = { "TLBI_EL2_ASID", F(ASID) },
	[0x22] = { "TLBI_EL2_VA", F(ASID) | F(VA) | BY_ADDRESS },
	[0x23] = { "TLBI_EL2_VAA", F(VA) | BY_ADDRESS },
	/* 4.4.3.1, 4.4.3.2, 4.4.4.1 */
	[0x28] = { "TLBI_S12_VMALL", F(VMID) },
	[0x2a] = { "TLBI_S2_IPA", F(VMID) | F(IPA) | BY_ADDRESS },
	[0x30] = { "TLBI_NSNH_ALL", 0 },
	/* 4.5 */
	[0x40] = { "ATC_INV", F(GLOBAL) | F(SSV) | F(SUBSTREAMID) |
				      F(STREAMID) | F(ATC_SIZE) | F(ADDR) },
	[0x41] = { "PRI_RESP", F(SSV) | F(SUBSTREAMID) | F(STREAMID) |
				       F(PRGINDEX) | F(RESP) },
	/* 4.7 */
	[0x44] = { "RESUME",
		   F(SSEC) | F(ACTION) | F(ABORT) | F(STREAMID) | F(STAG) },
	[0x45] = { "STALL_TERM", F(SSEC) | F(STREAMID) },
	[0x46] = { "SYNC",
		   F(CS) | F(MSH) | F(MSIATTR) | F(MSIDATA) | F(MSIADDRESS) },
	/* 4.4.2.11 to 4.4.2.14, 4.4.3.3, 4.4.3.4, 4.4.4.2 */
	[0x50] = { "TLBI_S_EL2_ALL", 0 },
	[0x51] = { "TLBI_S_EL2_ASID", F(ASID) },
	[0x52] = { "TLBI_S_EL2_VA", F(ASID) | F(VA) | BY_ADDRESS },
	[0x53] = { "TLBI_S_EL2_VAA", F(VA) | BY_ADDRESS },
	[0x58] = { "TLBI_S_S12_VMALL", F(VMID) },
	[0x5a] = { "TLBI_S_S2_IPA", F(VMID) | F(IPA) | BY_ADDRESS },
	[0x60] = { "TLBI_SNH_ALL", 0 },
	/* 4.6 */
	[0x70] = { "DPTI_ALL", 0 },
	[0x73] = { "DPTI_PA", 0 },
};

const struct spec_field spec_fields[SMMUINV_FIELD_RES0] = {
	[SMMUINV_FIELD_OPCODE] = { "opcode", 0, 0x00000000000000ff, false },
	[SMMUINV_FIELD_SSEC] = { "ssec", 0, 0x0000000000000400, false },
	[SMMUINV_FIELD_SSV] = { "ssv", 0, 0x0000000000000800, false },
	[SMMUINV_FIELD_GLOBAL] = { "global", 0, 0x0000000000000200, false },
	[SMMUINV_FIELD_SUBSTREAMID] = { "ssid", 0, 0x00000000fffff000, false },
	[SMMUINV_FIELD_STREAMID] = { "sid", 0, 0xffffffff00000000, false },
	[SMMUINV_FIELD_VMID] = { "vmid", 0, 0x0000ffff00000000, false },
	[SMMUINV_FIELD_ASID] = { "asid", 0, 0xffff000000000000, false },
	[SMMUINV_FIELD_VA] = { "va", 1, 0xfffffffffffff000, true },
	[SMMUINV_FIELD_IPA] = { "ipa", 1, 0x00fffffffffff000, true },
	[SMMUINV_FIELD_ADDR] = { "addr", 1, 0xfffffffffffff000, true },
	[SMMUINV_FIELD_LEAF] = { "leaf", 1, 0x0000000000000001, false },
	[SMMUINV_FIELD_TG] = { "tg", 1, 0x0000000000000c00, false },
	[SMMUINV_FIELD_TTL] = { "ttl", 1, 0x0000000000000300, false },
	[SMMUINV_FIELD_TTL128] = { "ttl128", 1, 0x0000000000000080, false },
	[SMMUINV_FIELD_NUM] = { "num", 0, 0x000000000001f000, false },
	[SMMUINV_FIELD_SCALE] = { "scale", 0, 0x0000000003f00000, false },
	[SMMUINV_FIELD_RANGE] = { "range", 1, 0x000000000000001f, false },
	[SMMUINV_FIELD_ATC_SIZE] = { "size", 1, 0x000000000000003f, false },
	[SMMUINV_FIELD_PREFETCH_SIZE] = { "size", 1, 0x1f, false },
	[SMMUINV_FIELD_STRIDE] = { "stride", 1, 0x00000000000003e0, false },
	[SMMUINV_FIELD_PRGINDEX] = { "prgindex", 1, 0x00000000000001ff, false },
	[SMMUINV_FIELD_RESP] = { "resp", 1, 0x0000000000003000, false },
	[SMMUINV_FIELD_ACTION] = { "retry", 0, 0x0000000000001000, false },
	[SMMUINV_FIELD_ABORT] = { "abort", 0, 0x0000000000002000, false },
	[SMMUINV_FIELD_STAG] = { "stag", 1, 0x000000000000ffff, false },
	[SMMUINV_FIELD_CS] = { "cs", 0, 0x0000000000003000, false },
	[SMMUINV_FIELD_MSH] = { "msh", 0, 0x0000000000c00000, false },
	[SMMUINV_FIELD_MSIATTR] = { "msiattr", 0, 0x000000000f000000, false },
	[SMMUINV_FIELD_MSIDATA] = { "msidata", 0, 0xffffffff00000000, false },
	[SMMUINV_FIELD_MSIADDRESS] = { "msiaddr", 1, 0x00fffffffffffffc, true },
};

const struct spec_opcode *spec_opcode(uint8_t opcode)
{
	return opcodes[opcode].name ? &opcodes[opcode] : NULL;
}

bool spec_opcode_has_field(uint8_t opcode, enum smmuinv_field field)
{
	if (field == SMMUINV_FIELD_OPCODE)
		return true;
	return (unsigned int)field < SMMUINV_FIELD_RES0 &&
	       ((opcodes[opcode].fields >> field) & 1);
}

static unsigned int field_shift(enum smmuinv_field field)
{
	const struct spec_field *f = &spec_fields[field];

	return f->address ? 0 : (unsigned int)__builtin_ctzll(f->mask);
}

uint64_t spec_field_get(const uint64_t dw[2], enum smmuinv_field field)
{
	const struct spec_field *f = &spec_fields[field];

	return (dw[f->word] & f->mask) >> field_shift(field);
}

void spec_field_put(uint64_t dw[2], enum smmuinv_field field, uint64_t value)
{
	const struct spec_field *f = &spec_fields[field];

	dw[f->word] &= ~f->mask;
	dw[f->word] |= (value << field_shift(field)) & f->mask;
}

uint64_t spec_field_max(enum smmuinv_field field)
{
	return spec_fields[field].mask >> field_shift(field);
}

uint64_t spec_opcode_mask(uint8_t opcode, unsigned int word)
{
	uint64_t mask = 0;
	unsigned int i;

	if (opcode == SMMUINV_CMD_DPTI_PA)
		return ~UINT64_C(0);
	for (i = 0; i < SMMUINV_FIELD_RES0; i++) {
		if (spec_fields[i].word == word &&
		    spec_opcode_has_field(opcode, (enum smmuinv_field)i))
			mask |= spec_fields[i].mask;
	}
	return mask;
}

#define FEATURE(name, idr, mask) \
	[SMMUINV_FEATURE_##name] = { "IDR" #idr "." #name, idr, mask }

/* clang-format off */
const struct spec_feature spec_features[SMMUINV_FEATURE_COUNT] = {
	/* 6.3.1, from the last field to the first */
	FEATURE(RME_IMPL, 0, 0x40000000),
	FEATURE(ST_LEVEL, 0, 0x18000000),
	FEATURE(TERM_MODEL, 0, 0x04000000),
	FEATURE(STALL_MODEL, 0, 0x03000000),
	FEATURE(ATSRECERR, 0, 0x00800000),
	FEATURE(TTENDIAN, 0, 0x00600000),
	FEATURE(VATOS, 0, 0x00100000),
	FEATURE(CD2L, 0, 0x00080000),
	FEATURE(VMID16, 0, 0x00040000),
	FEATURE(VMW, 0, 0x00020000),
	FEATURE(PRI, 0, 0x00010000),
	FEATURE(ATOS, 0, 0x00008000),
	FEATURE(SEV, 0, 0x00004000),
	FEATURE(MSI, 0, 0x00002000),
	FEATURE(ASID16, 0, 0x00001000),
	FEATURE(NS1ATS, 0, 0x00000800),
	FEATURE(ATS, 0, 0x00000400),
	[SMMUINV_FEATURE_HYP] = { "IDR0.Hyp", 0, 0x00000200 },
	FEATURE(DORMHINT, 0, 0x00000100),
	FEATURE(HTTU, 0, 0x000000c0),
	FEATURE(BTM, 0, 0x00000020),
	FEATURE(COHACC, 0, 0x00000010),
	FEATURE(TTF, 0, 0x0000000c),
	FEATURE(S1P, 0, 0x00000002),
	FEATURE(S2P, 0, 0x00000001),
	/* 6.3.2 */
	FEATURE(ECMDQ, 1, 0x80000000),
	FEATURE(TABLES_PRESET, 1, 0x40000000),
	FEATURE(QUEUES_PRESET, 1, 0x20000000),
	FEATURE(REL, 1, 0x10000000),
	FEATURE(ATTR_TYPES_OVR, 1, 0x08000000),
	FEATURE(ATTR_PERMS_OVR, 1, 0x04000000),
	FEATURE(CMDQS, 1, 0x03e00000),
	FEATURE(EVENTQS, 1, 0x001f0000),
	FEATURE(PRIQS, 1, 0x0000f800),
	FEATURE(SSIDSIZE, 1, 0x000007c0),
	FEATURE(SIDSIZE, 1, 0x0000003f),
	/* 6.3.3 */
	FEATURE(BA_VATOS, 2, 0x000003ff),
	/* 6.3.4 */
	FEATURE(AIE, 3, 0x00800000),
	FEATURE(MTEPERM, 3, 0x00400000),
	FEATURE(THE, 3, 0x00200000),
	FEATURE(S2PO, 3, 0x00100000),
	FEATURE(S2PI, 3, 0x00080000),
	FEATURE(S1PI, 3, 0x00040000),
	FEATURE(EPAN, 3, 0x00020000),
	FEATURE(PASIDTT, 3, 0x00010000),
	FEATURE(DPT, 3, 0x00008000),
	FEATURE(PTWNNC, 3, 0x00004000),
	FEATURE(E0PD, 3, 0x00002000),
	FEATURE(BBML, 3, 0x00001800),
	FEATURE(RIL, 3, 0x00000400),
	FEATURE(STT, 3, 0x00000200),
	FEATURE(FWB, 3, 0x00000100),
	FEATURE(MPAM, 3, 0x00000080),
	FEATURE(PPS, 3, 0x00000020),
	FEATURE(XNX, 3, 0x00000010),
	FEATURE(PBHA, 3, 0x00000008),
	FEATURE(HAD, 3, 0x00000004),
	/* 6.3.5 */
	[SMMUINV_FEATURE_IMPDEF] = { "IDR4", 4, 0xffffffff },
	/* 6.3.6 */
	FEATURE(STALL_MAX, 5, 0xffff0000),
	FEATURE(VAX, 5, 0x00000c00),
	FEATURE(D128, 5, 0x00000100),
	FEATURE(DS, 5, 0x00000080),
	FEATURE(GRAN64K, 5, 0x00000040),
	FEATURE(GRAN16K, 5, 0x00000020),
	FEATURE(GRAN4K, 5, 0x00000010),
	FEATURE(OAS, 5, 0x00000007),
};
/* clang-format on */

static unsigned int feature_shift(enum smmuinv_feature feature)
{
	return (unsigned int)__builtin_ctz(spec_features[feature].mask);
}

uint32_t spec_feature_get(const struct smmuinv_features *features,
			  enum smmuinv_feature feature)
{
	const struct spec_feature *f = &spec_features[feature];

	return (features->idr[f->idr] & f->mask) >> feature_shift(feature);
}

void spec_feature_set(struct smmuinv_features *features,
		      enum smmuinv_feature feature, uint32_t value)
{
	const struct spec_feature *f = &spec_features[feature];

	features->idr[f->idr] &= ~f->mask;
	features->idr[f->idr] |= (value << feature_shift(feature)) & f->mask;
}

uint32_t spec_feature_max(enum smmuinv_feature feature)
{
	switch (feature) {
	case SMMUINV_FEATURE_SIDSIZE:
		return 32;
	case SMMUINV_FEATURE_SSIDSIZE:
		return 20;
	case SMMUINV_FEATURE_PRIQS:
	case SMMUINV_FEATURE_EVENTQS:
	case SMMUINV_FEATURE_CMDQS:
		return 19;
	case SMMUINV_FEATURE_ST_LEVEL:
		return 1;
	case SMMUINV_FEATURE_STALL_MODEL:
	case SMMUINV_FEATURE_BBML:
	case SMMUINV_FEATURE_VAX:
		return 2;
	default:
		return spec_features[feature].mask >> feature_shift(feature);
	}
}

const char *spec_smmu_impossible(const struct smmuinv_features *features)
{
	bool gran4k = spec_feature_get(features, SMMUINV_FEATURE_GRAN4K);
	bool gran16k = spec_feature_get(features, SMMUINV_FEATURE_GRAN16K);
	bool gran64k = spec_feature_get(features, SMMUINV_FEATURE_GRAN64K);
	bool ds = spec_feature_get(features, SMMUINV_FEATURE_DS);
	uint32_t vax = spec_feature_get(features, SMMUINV_FEATURE_VAX);

	/* 6.3.6 */
	if (ds && !gran4k && !gran16k)
		return "IDR5.DS is RES0 without GRAN4K and GRAN16K";
	if (ds && !vax)
		return "IDR5.DS needs VAX of 52 bits";
	if (vax && !gran64k && !ds)
		return "IDR5.VAX of 52 bits needs GRAN64K or DS";
	if (spec_feature_get(features, SMMUINV_FEATURE_OAS) == 6 && !gran64k &&
	    !ds)
		return "IDR5.OAS of 52 bits needs GRAN64K or DS";
	/* 6.3.6 */
	if (spec_feature_get(features, SMMUINV_FEATURE_STALL_MAX) &&
	    spec_feature_get(features, SMMUINV_FEATURE_STALL_MODEL) == 1)
		return "IDR5.STALL_MAX is RES0 without stalls";
	/* 6.3.1 */
	if (spec_feature_get(features, SMMUINV_FEATURE_STALL_MODEL) == 3)
		return "IDR0.STALL_MODEL 3 is reserved";
	if (spec_feature_get(features, SMMUINV_FEATURE_TTENDIAN) == 1)
		return "IDR0.TTENDIAN 1 is reserved";
	if (spec_feature_get(features, SMMUINV_FEATURE_PRI) &&
	    !spec_feature_get(features, SMMUINV_FEATURE_ATS))
		return "IDR0.PRI is RES0 without ATS";
	/* 6.3.2 */
	if (spec_feature_get(features, SMMUINV_FEATURE_SSIDSIZE) > 20)
		return "IDR1.SSIDSIZE is 20 at most";
	if (spec_feature_get(features, SMMUINV_FEATURE_SIDSIZE) > 32)
		return "IDR1.SIDSIZE is 32 at most";
	if (spec_feature_get(features, SMMUINV_FEATURE_SIDSIZE) >= 7 &&
	    !spec_feature_get(features, SMMUINV_FEATURE_ST_LEVEL))
		return "IDR0.ST_LEVEL must be 2-level from 7 StreamID bits on";
	return NULL;
}
