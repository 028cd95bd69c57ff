/* SPDX-License-Identifier: MIT */
/*
 * From a guest's stream table entry (STE) to the one that the kernel takes for
 * nested translation.
 *
 * Pure. Numbers in parentheses are sections of Arm IHI 0070.
 */
#ifndef SMMUINV_STE_H
#define SMMUINV_STE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/features.h>

SMMUINV_BEGIN_DECLS

/** SMMUINV_STE_BYTES - what an STE takes in memory */
#define SMMUINV_STE_BYTES 64

/**
 * enum smmuinv_ste_config - what becomes of a stream's traffic
 * @SMMUINV_STE_ABORT: it is aborted
 * @SMMUINV_STE_BYPASS: its addresses are guest-physical ones
 * @SMMUINV_STE_TRANSLATE: it goes through the guest's stage-1 tables
 */
enum smmuinv_ste_config {
	SMMUINV_STE_ABORT = 0,
	SMMUINV_STE_BYPASS = 1,
	SMMUINV_STE_TRANSLATE = 2
};

/**
 * enum smmuinv_ste_rule - why an STE is illegal, or cannot be carried
 *
 * smmuinv_ste_rule_text() says each in words, with its section.
 */
enum smmuinv_ste_rule {
	SMMUINV_STE_RULE_NONE = 0,
	/* illegal: traffic is aborted with C_BAD_STE (5.2.2) */
	SMMUINV_STE_RULE_NOT_VALID,	/* V is 0 */
	SMMUINV_STE_RULE_NO_STAGE1,	/* Config, IDR0.S1P */
	SMMUINV_STE_RULE_NO_STAGE2,	/* Config, IDR0.S2P */
	SMMUINV_STE_RULE_SPLIT_ATS,	/* EATS 2 without two stages */
	SMMUINV_STE_RULE_DPT_STRW,	/* EATS 3 for other than EL1 */
	SMMUINV_STE_RULE_STRW,		/* 1 and 3 are reserved */
	SMMUINV_STE_RULE_S1STALLD,	/* IDR0.STALL_MODEL */
	SMMUINV_STE_RULE_S1CDMAX,	/* IDR1.SSIDSIZE */
	SMMUINV_STE_RULE_S1FMT,		/* IDR0.CD2L */
	SMMUINV_STE_RULE_S1CONTEXTPTR,	/* IDR5.OAS (3.4.3) */
	SMMUINV_STE_RULE_S2VMID,	/* IDR0.VMID16 */
	/* legal for the guest, but no kernel or not this host can carry it */
	SMMUINV_STE_RULE_STAGE2,	/* Config; its S2 fields are not judged */
	SMMUINV_STE_RULE_EL2,		/* STRW 2 */
	SMMUINV_STE_RULE_DPT,		/* EATS 3 */
	SMMUINV_STE_RULE_VMID,		/* S2VMID is not 0 */
	SMMUINV_STE_RULE_HOST_LACKS,	/* substreams, CD2L, stalls, ATS, 52 bits */
	SMMUINV_STE_RULE_COUNT
};

/**
 * struct smmuinv_ste - what an STE becomes
 * @size: sizeof(struct smmuinv_ste), set by the caller
 * @vste: what the kernel takes for it, as ste[] of its struct
 *	iommu_hwpt_arm_smmuv3: two 64-bit words, little-endian. No kernel that
 *	can nest refuses it.
 * @s1contextptr: guest-physical address of the CD, or of the table
 * @config: what @vste does, enum smmuinv_ste_config
 * @rule: why it aborts, unless a valid STE's Config says so itself: enum
 *	smmuinv_ste_rule, or SMMUINV_STE_RULE_NONE
 * @s1fmt: the table: 0 linear, 1 two levels with leaves of 4 KiB, 2 of 64 KiB
 * @s1cdmax: log2 of the number of CDs; 0 means one CD and no substreams
 * @s1dss: traffic without SubstreamID, if @s1cdmax is not 0: 0 aborts, 1
 *	bypasses stage 1, 2 goes through the CD of SubstreamID 0
 * @ats: ATS requests are answered (EATS 1), so the guest sends ATC_INV
 * @lacking: with SMMUINV_STE_RULE_HOST_LACKS, the feature: enum smmuinv_feature;
 *	SMMUINV_FEATURE_OAS if S1ContextPtr has more than 52 bits. Otherwise 0.
 *
 * Unless @config is SMMUINV_STE_TRANSLATE, @s1contextptr and the members from
 * @s1fmt to @ats are 0.
 */
struct smmuinv_ste {
	size_t size;
	uint64_t vste[2];
	uint64_t s1contextptr;
	uint32_t config;
	uint32_t rule;
	uint8_t s1fmt;
	uint8_t s1cdmax;
	uint8_t s1dss;
	bool ats;
	uint32_t lacking;
};

/**
 * smmuinv_ste_read() - read an STE from guest memory, and judge it
 * @ste: what it becomes. Filled in with 0 and with -EOPNOTSUPP.
 * @bytes: SMMUINV_STE_BYTES, little-endian, aligned to 8. The guest may be
 *	writing there: each 64-bit word that counts is read once.
 * @guest: the ID registers that the guest was shown
 * @host: the device's own SMMU, from smmuinv_features_from_hw_info();
 *	not smmuinv_features_common() of several, whose stalls may differ
 *
 * S1Fmt, S1ContextPtr, S1CDMax, S1DSS, S1CIR, S1COR, S1CSH, S1STALLD and EATS
 * are carried over, everything else is left out. What the guest's SMMU would
 * ignore is 0, and so is a reserved encoding that behaves as 0; the bits of
 * S1ContextPtr that the table's alignment makes RES0 count as 0. S1STALLD is
 * also set if the guest was shown an SMMU that never stalls and the host's can:
 * a CD with S is as illegal then as on the guest's SMMU, and its device never
 * waits for a RESUME that cannot come.
 *
 * An illegal STE aborts, as on an SMMU; only the C_BAD_STE that each use of the
 * stream records there is missing, because the host's SMMU does not report it.
 *
 * Return: 0, also for an illegal STE (@ste->rule says why); -EINVAL for NULL, a
 * misaligned @bytes or a wrong size; -EOPNOTSUPP if the STE is legal for the
 * guest but cannot be carried (@ste->rule says why, and @ste->vste aborts). A
 * guest that was shown what smmuinv_features_offer() gives causes none.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_ste_read(struct smmuinv_ste *ste, const void *bytes,
				 const struct smmuinv_features *guest,
				 const struct smmuinv_features *host);

/**
 * smmuinv_ste_rule_text() - a rule in words, with the specification's section
 * @rule: which
 *
 * Return: a static string; "?" for a rule that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_ste_rule_text(uint32_t rule);

SMMUINV_END_DECLS

#endif /* SMMUINV_STE_H */
