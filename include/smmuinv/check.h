/* SPDX-License-Identifier: MIT */
/*
 * Is this guest command legal for the guest's SMMU, and what may go to the host?
 *
 * Pure. Numbers in parentheses are sections of Arm IHI 0070.
 */
#ifndef SMMUINV_CHECK_H
#define SMMUINV_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/command.h>
#include <smmuinv/features.h>

SMMUINV_BEGIN_DECLS

/**
 * enum smmuinv_verdict - what is to become of a guest's command
 * @SMMUINV_FORWARD: legal; its canonical form goes to the host
 * @SMMUINV_VMM: legal; the VMM must act on it
 * @SMMUINV_IGNORE: legal, and nothing needs to happen (smmuinv_rule says why)
 * @SMMUINV_ILLEGAL: the guest's queue stops here with CERROR_ILL
 */
enum smmuinv_verdict {
	SMMUINV_FORWARD = 0,
	SMMUINV_VMM = 1,
	SMMUINV_IGNORE = 2,
	SMMUINV_ILLEGAL = 3
};

/**
 * enum smmuinv_rule - why a command is illegal, ignored, or cannot be carried
 *
 * smmuinv_rule_text() says each in words, with its section.
 */
enum smmuinv_rule {
	SMMUINV_RULE_NONE = 0,
	/* illegal */
	SMMUINV_RULE_RESERVED_OPCODE,	/* 4.1.3 */
	SMMUINV_RULE_SECURE_OPCODE,	/* 4.4.2: not on a Non-secure queue */
	SMMUINV_RULE_SSEC,		/* 4.1.6 */
	SMMUINV_RULE_NO_STAGE1,		/* 4.3.3, 4.4.2 */
	SMMUINV_RULE_NO_STAGE2,		/* 4.4.3 */
	SMMUINV_RULE_NO_HYP,		/* 4.4.2.7 */
	SMMUINV_RULE_NO_ATS,		/* 4.5.1 */
	SMMUINV_RULE_NO_PRI,		/* 4.5.2 */
	SMMUINV_RULE_NO_STALL,		/* 4.7.1, 4.7.2 */
	SMMUINV_RULE_NO_VMS,		/* 4.3.5, 5.6.1 */
	SMMUINV_RULE_NO_DPT,		/* 4.6 */
	SMMUINV_RULE_RANGE_RESERVED,	/* 4.4.1.1: TG with nothing to use it */
	SMMUINV_RULE_ATC_SIZE,		/* 4.5.1: above 52 */
	SMMUINV_RULE_RESP_RESERVED,	/* 4.5.2: PRI_RESP.Resp == 3 */
	SMMUINV_RULE_CS_RESERVED,	/* 4.7.3: SYNC.CS == 3 */
	SMMUINV_RULE_NOT_OFFERED,	/* the VMM has no callback for it */
	/* ignored */
	SMMUINV_RULE_PREFETCH,		/* 4.2: a hint */
	SMMUINV_RULE_SSID_OUT_OF_RANGE,	/* 4.1.7: no such descriptor or PASID */
	SMMUINV_RULE_STREAM_UNKNOWN,	/* no device of the host has the vSID */
	SMMUINV_RULE_ATS_OFF, /* an ATC_INV for a stream without ATS */
	SMMUINV_RULE_NO_VIOMMU, /* the virtual SMMU has no vIOMMU */
	/* legal for the guest, but the host's SMMU cannot say it */
	SMMUINV_RULE_HOST_LACKS,
	SMMUINV_RULE_COUNT
};

/**
 * struct smmuinv_finding - what smmuinv_check() found
 * @size: sizeof(struct smmuinv_finding), set by the caller
 * @command: the canonical command. With SMMUINV_FORWARD, to be sent: only fields
 *	that both SMMUs have, VMID and IGNORED fields zero. With SMMUINV_VMM, to
 *	be acted on: only fields that the guest's SMMU has. With the others,
 *	nothing to rely on.
 * @rule: why, enum smmuinv_rule, or SMMUINV_RULE_NONE
 * @field: the field at fault, enum smmuinv_field, or SMMUINV_FIELD_OPCODE
 */
struct smmuinv_finding {
	size_t size;
	struct smmuinv_command command;
	uint32_t rule;
	uint32_t field;
};

/**
 * smmuinv_check() - judge one command of a guest's Non-secure Command queue
 * @command: the guest's command as it stood in its queue
 * @guest: the ID registers that the guest was shown
 * @host: from smmuinv_features_from_hw_info()
 * @finding: the canonical command and the reason; may be NULL. Filled in
 *	whenever a verdict is returned and for -EOPNOTSUPP.
 *
 * A set RES0 bit is cleared (4.1.5). Addresses and StreamIDs out of range, and
 * ranges whose address is not aligned to their level, are not illegal (4.1.7,
 * 4.4.1.1) and go through as given. A SCALE above 39 becomes 39, and a reserved TTL
 * becomes 0. A SubstreamID out of range concerns nothing (SMMUINV_IGNORE). Without
 * SubstreamIDs it counts as 0. The vSID is not looked up. Of DPTI_PA every bit is
 * kept.
 *
 * Every command for which the answer is SMMUINV_FORWARD is accepted by a
 * kernel that checks, as Linux 7.3 does, once its vSID has a vDEVICE.
 *
 * For a VMM with its own ioctl: with SMMUINV_HW_INFO_REPEAT in hw_info.flags send
 * each TLBI and CFGI twice, each time in a call of its own. A CFGI_STE or
 * CFGI_STE_RANGE (SMMUINV_VMM) invalidates CDs too (4.3.1): if you attach no new
 * HWPT for it, send a CFGI_CD_ALL for each stream.
 *
 * Return: an enum smmuinv_verdict; -EINVAL for NULL or a finding whose size is
 * wrong; -EOPNOTSUPP if the command is legal for the guest but the host cannot
 * express it. If smmuinv_features_compatible() is not -EOPNOTSUPP, that is only a
 * range for a guest with IDR3.RIL on a host without: send TLBI_NH_ALL instead.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_check(const struct smmuinv_command *command,
			      const struct smmuinv_features *guest,
			      const struct smmuinv_features *host,
			      struct smmuinv_finding *finding);

/**
 * smmuinv_rule_text() - a rule in words, with the specification's section
 * @rule: which
 *
 * Return: a static string; "?" for a rule that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_rule_text(uint32_t rule);

SMMUINV_END_DECLS

#endif /* SMMUINV_CHECK_H */
