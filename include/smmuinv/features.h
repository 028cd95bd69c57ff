/* SPDX-License-Identifier: MIT */
/*
 * What an SMMU implements, and what of it a guest may be shown.
 *
 * Pure. Numbers in parentheses are sections of Arm IHI 0070.
 */
#ifndef SMMUINV_FEATURES_H
#define SMMUINV_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>

SMMUINV_BEGIN_DECLS

/**
 * struct smmuinv_features - what an SMMU implements
 * @idr: SMMU_IDR0 to SMMU_IDR5 (6.3.1 to 6.3.6), in the CPU's byte order
 *
 * A feature set is its ID registers, so that it can be read, stored, compared
 * and migrated as what the guest sees. For a guest they are the registers
 * that the VMM shows it. For a host they come from
 * smmuinv_features_from_hw_info(), with every field that one may not read as
 * zero and IDR0.ATS as the VMM says.
 */
struct smmuinv_features {
	uint32_t idr[6];
};

/**
 * struct smmuinv_hw_info - what the kernel reports of an SMMU
 *
 * The layout of the kernel's struct iommu_hw_info_arm_smmuv3; a pointer to
 * that one may be cast to this.
 */
struct smmuinv_hw_info {
	uint32_t flags; /* SMMUINV_HW_INFO_* */
	uint32_t reserved;
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

/**
 * SMMUINV_HW_INFO_REPEAT - the SMMU has an erratum by which TLBI and CFGI
 * commands, each with its sync, must be issued twice
 */
#define SMMUINV_HW_INFO_REPEAT (1u << 0)

/**
 * enum smmuinv_feature - the fields of SMMU_IDR0 to SMMU_IDR5
 */
enum smmuinv_feature {
	SMMUINV_FEATURE_S2P = 0,	/* IDR0.S2P: stage 2 */
	SMMUINV_FEATURE_S1P,		/* IDR0.S1P: stage 1 */
	SMMUINV_FEATURE_TTF,		/* IDR0.TTF: translation table formats */
	SMMUINV_FEATURE_COHACC,		/* IDR0.COHACC: coherent accesses */
	SMMUINV_FEATURE_BTM,		/* IDR0.BTM: broadcast TLB maintenance */
	SMMUINV_FEATURE_HTTU,		/* IDR0.HTTU: Access flag, Dirty state */
	SMMUINV_FEATURE_DORMHINT,	/* IDR0.DORMHINT */
	SMMUINV_FEATURE_HYP,		/* IDR0.Hyp: EL2 streams */
	SMMUINV_FEATURE_ATS,		/* IDR0.ATS */
	SMMUINV_FEATURE_NS1ATS,		/* IDR0.NS1ATS: no split-stage ATS */
	SMMUINV_FEATURE_ASID16,		/* IDR0.ASID16: ASIDs of 16 bits */
	SMMUINV_FEATURE_MSI,		/* IDR0.MSI */
	SMMUINV_FEATURE_SEV,		/* IDR0.SEV */
	SMMUINV_FEATURE_ATOS,		/* IDR0.ATOS: translation by register */
	SMMUINV_FEATURE_PRI,		/* IDR0.PRI */
	SMMUINV_FEATURE_VMW,		/* IDR0.VMW: VMID wildcards */
	SMMUINV_FEATURE_VMID16,		/* IDR0.VMID16: VMIDs of 16 bits */
	SMMUINV_FEATURE_CD2L,		/* IDR0.CD2L: 2-level CD tables */
	SMMUINV_FEATURE_VATOS,		/* IDR0.VATOS */
	SMMUINV_FEATURE_TTENDIAN,	/* IDR0.TTENDIAN: table endianness */
	SMMUINV_FEATURE_ATSRECERR,	/* IDR0.ATSRECERR: more ATS events */
	SMMUINV_FEATURE_STALL_MODEL,	/* IDR0.STALL_MODEL: stalling faults */
	SMMUINV_FEATURE_TERM_MODEL,	/* IDR0.TERM_MODEL */
	SMMUINV_FEATURE_ST_LEVEL,	/* IDR0.ST_LEVEL: 2-level stream tables */
	SMMUINV_FEATURE_RME_IMPL,	/* IDR0.RME_IMPL */
	SMMUINV_FEATURE_SIDSIZE,	/* IDR1.SIDSIZE: StreamID bits */
	SMMUINV_FEATURE_SSIDSIZE,	/* IDR1.SSIDSIZE: SubstreamID bits */
	SMMUINV_FEATURE_PRIQS,		/* IDR1.PRIQS: log2 of the PRI queue */
	SMMUINV_FEATURE_EVENTQS,	/* IDR1.EVENTQS: log2 of the Event queue */
	SMMUINV_FEATURE_CMDQS,		/* IDR1.CMDQS: log2 of the Command queue */
	SMMUINV_FEATURE_ATTR_PERMS_OVR,	/* IDR1.ATTR_PERMS_OVR */
	SMMUINV_FEATURE_ATTR_TYPES_OVR,	/* IDR1.ATTR_TYPES_OVR */
	SMMUINV_FEATURE_REL,		/* IDR1.REL */
	SMMUINV_FEATURE_QUEUES_PRESET,	/* IDR1.QUEUES_PRESET */
	SMMUINV_FEATURE_TABLES_PRESET,	/* IDR1.TABLES_PRESET */
	SMMUINV_FEATURE_ECMDQ,		/* IDR1.ECMDQ */
	SMMUINV_FEATURE_BA_VATOS,	/* IDR2.BA_VATOS */
	SMMUINV_FEATURE_HAD,		/* IDR3.HAD */
	SMMUINV_FEATURE_PBHA,		/* IDR3.PBHA */
	SMMUINV_FEATURE_XNX,		/* IDR3.XNX */
	SMMUINV_FEATURE_PPS,		/* IDR3.PPS */
	SMMUINV_FEATURE_MPAM,		/* IDR3.MPAM */
	SMMUINV_FEATURE_FWB,		/* IDR3.FWB */
	SMMUINV_FEATURE_STT,		/* IDR3.STT: small translation tables */
	SMMUINV_FEATURE_RIL,		/* IDR3.RIL: ranges and level hints */
	SMMUINV_FEATURE_BBML,		/* IDR3.BBML */
	SMMUINV_FEATURE_E0PD,		/* IDR3.E0PD */
	SMMUINV_FEATURE_PTWNNC,		/* IDR3.PTWNNC */
	SMMUINV_FEATURE_DPT,		/* IDR3.DPT */
	SMMUINV_FEATURE_PASIDTT,	/* IDR3.PASIDTT */
	SMMUINV_FEATURE_EPAN,		/* IDR3.EPAN */
	SMMUINV_FEATURE_S1PI,		/* IDR3.S1PI */
	SMMUINV_FEATURE_S2PI,		/* IDR3.S2PI */
	SMMUINV_FEATURE_S2PO,		/* IDR3.S2PO */
	SMMUINV_FEATURE_THE,		/* IDR3.THE */
	SMMUINV_FEATURE_MTEPERM,	/* IDR3.MTEPERM */
	SMMUINV_FEATURE_AIE,		/* IDR3.AIE */
	SMMUINV_FEATURE_IMPDEF,		/* IDR4, all of it */
	SMMUINV_FEATURE_OAS,		/* IDR5.OAS: output address bits */
	SMMUINV_FEATURE_GRAN4K,		/* IDR5.GRAN4K */
	SMMUINV_FEATURE_GRAN16K,	/* IDR5.GRAN16K */
	SMMUINV_FEATURE_GRAN64K,	/* IDR5.GRAN64K */
	SMMUINV_FEATURE_DS,		/* IDR5.DS: 52-bit with 4K and 16K */
	SMMUINV_FEATURE_D128,		/* IDR5.D128: 128-bit descriptors */
	SMMUINV_FEATURE_VAX,		/* IDR5.VAX: virtual address bits */
	SMMUINV_FEATURE_STALL_MAX,	/* IDR5.STALL_MAX: stalls at a time */
	SMMUINV_FEATURE_COUNT
};

/**
 * smmuinv_features_get() - the value of a feature's ID register field
 * @features: whose
 * @feature: which, enum smmuinv_feature
 *
 * Return: the field, right-justified; 0 for a feature that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API uint32_t smmuinv_features_get(
	const struct smmuinv_features *features, uint32_t feature);

/**
 * smmuinv_feature_name() - the register field's name, "IDR3.RIL"
 * @feature: which, enum smmuinv_feature
 *
 * Return: a static string; "?" for a feature that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_feature_name(uint32_t feature);

/**
 * smmuinv_features_from_hw_info() - a host's features from IOMMU_GET_HW_INFO
 * @features: what the host offers
 * @info: what the kernel reported
 * @ats: devices of this SMMU may use ATS. That is a property of the device
 *	and its path (PCI capability, and IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED not
 *	set), so the kernel's idr[0] does not say it.
 * @lacking: with -EOPNOTSUPP, the field that is at fault: enum smmuinv_feature;
 *	may be NULL
 *
 * Takes only the fields that the kernel's documentation allows to be read.
 * IDR0.S1P is set: a host that can nest has stage 1. A size or level that is
 * larger than any that nesting can have counts as the largest: SIDSIZE 32,
 * SSIDSIZE 20, BBML 2, VAX 1.
 *
 * Return: 0; -EINVAL for NULL; -EOPNOTSUPP if the SMMU has no AArch64 tables
 * or no granule, so that a guest could not use it, or if TTENDIAN or STALL_MODEL
 * has a reserved value.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_features_from_hw_info(struct smmuinv_features *features,
			      const struct smmuinv_hw_info *info, bool ats,
			      uint32_t *lacking);

/** enum smmuinv_choice - the VMM's wish for an optional feature */
enum smmuinv_choice {
	SMMUINV_AS_HOST = 0, /* shown if the host has it */
	SMMUINV_OFF = 1,
	SMMUINV_ON = 2 /* an error if the host has it not */
};

/** Granules for struct smmuinv_offer */
#define SMMUINV_GRANULE_4K (1u << 0)
#define SMMUINV_GRANULE_16K (1u << 1)
#define SMMUINV_GRANULE_64K (1u << 2)

/**
 * struct smmuinv_offer - what a VMM wishes to show its guest
 * @size: sizeof(struct smmuinv_offer)
 * @stall_max: IDR5.STALL_MAX, how many stalls the VMM lets wait at a time; used
 *	only if @stall is ON, and not 0 then
 * @ril: enum smmuinv_choice, IDR3.RIL: range invalidation
 * @ats: enum smmuinv_choice, IDR0.ATS
 * @asid16: enum smmuinv_choice, IDR0.ASID16
 * @stall: enum smmuinv_choice, IDR0.STALL_MODEL: the guest may let faults
 *	stall and RESUME them; SMMUINV_AS_HOST here means OFF, because the VMM
 *	must emulate these commands. A host whose faults always stall cannot
 *	hide it: OFF is an error there. ON needs @stall_max.
 * @ds: enum smmuinv_choice, IDR5.DS
 * @msi: IDR0.MSI, which the VMM emulates
 * @sev: IDR0.SEV, which the VMM emulates
 * @ssid_bits: IDR1.SSIDSIZE: 0 for no SubstreamIDs; SMMUINV_SSID_BITS_AS_HOST
 *	for all that the host has
 * @sid_bits: IDR1.SIDSIZE, 1..32, which the VMM's stream table has; 0 means 16
 * @cmdq_bits: IDR1.CMDQS, log2 of the largest Command queue, 1..19; 0 means 19
 * @eventq_bits: IDR1.EVENTQS, 1..19; 0 means 19
 * @granules: SMMUINV_GRANULE_*; 0 means all that the host has
 * @address_bits: IDR5.OAS in bits (32, 36, 40, 42, 44, 48 or 52), the guest's
 *	physical addresses; 0 means 44. 52 needs the 64K granule or DS.
 * @reserved: must be 0
 */
struct smmuinv_offer {
	size_t size;
	uint16_t stall_max;
	uint8_t ril;
	uint8_t ats;
	uint8_t asid16;
	uint8_t stall;
	uint8_t ds;
	bool msi;
	bool sev;
	uint8_t ssid_bits;
	uint8_t sid_bits;
	uint8_t cmdq_bits;
	uint8_t eventq_bits;
	uint8_t granules;
	uint8_t address_bits;
	uint8_t reserved;
};

/** SMMUINV_SSID_BITS_AS_HOST - for struct smmuinv_offer.ssid_bits */
#define SMMUINV_SSID_BITS_AS_HOST 0xff

/**
 * smmuinv_features_offer() - the ID registers a guest may be shown
 * @guest: the registers
 * @host: from smmuinv_features_from_hw_info()
 * @offer: the VMM's wishes
 * @lacking: with -EOPNOTSUPP, the wish that cannot be met: enum smmuinv_feature;
 *	may be NULL
 *
 * The guest gets stage 1 only, coherent walks and 2-level stream tables. It gets
 * 2-level CD tables, table endianness, termination model and BBML as the host has
 * them, and virtual addresses of 52 bits if the host has them. It never gets PRI,
 * HTTU, BTM, ATOS or anything else that nesting does not carry. DS is shown only
 * with the 4K or 16K granule and 52-bit virtual addresses, and those only with the
 * 64K granule or DS.
 *
 * Whatever the registers are: what is offered is carried by the same host, so
 * smmuinv_features_compatible() returns 0.
 *
 * Return: 0; -EINVAL for NULL, a wrong size, a reserved member that is set, or a
 * wish outside its range; -EOPNOTSUPP for a wish that the host cannot meet, or
 * that contradicts another.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_features_offer(struct smmuinv_features *guest,
				       const struct smmuinv_features *host,
				       const struct smmuinv_offer *offer,
				       uint32_t *lacking);

/**
 * enum smmuinv_carriage - what becomes of a field that a guest was shown
 * @SMMUINV_CARRIED: the host does it, or the guest was not shown it
 * @SMMUINV_EMULATED: it is the VMM's own: queues, interrupts, the stream table,
 *	registers
 * @SMMUINV_DIFFERS: the host does not do it, does it differently, or the kernel
 *	does not report it. No invalidation is lost, but the guest can notice.
 * @SMMUINV_REFUSED: an invalidation would be lost, or the host would refuse it
 */
enum smmuinv_carriage {
	SMMUINV_CARRIED = 0,
	SMMUINV_EMULATED = 1,
	SMMUINV_DIFFERS = 2,
	SMMUINV_REFUSED = 3
};

/** SMMUINV_FEATURES_MAX - fields that a report has members for */
#define SMMUINV_FEATURES_MAX 96

/**
 * struct smmuinv_compatibility - what becomes of each field
 * @size: sizeof(struct smmuinv_compatibility), set by the caller
 * @carriage: enum smmuinv_carriage, by enum smmuinv_feature; 0 from
 *	SMMUINV_FEATURE_COUNT on
 */
struct smmuinv_compatibility {
	size_t size;
	uint8_t carriage[SMMUINV_FEATURES_MAX];
};

/**
 * smmuinv_features_compatible() - can this host carry a guest that was shown
 * these registers?
 * @guest: what the guest was shown
 * @host: from smmuinv_features_from_hw_info()
 * @report: what becomes of each field; may be NULL. Filled in with every return
 *	value except -EINVAL.
 * @lacking: with 1 the first field that differs, with -EOPNOTSUPP the first that
 *	is refused: enum smmuinv_feature; may be NULL
 *
 * A virtual SMMU refuses a vIOMMU for the invalidations' sake only, that is if the
 * answer here is -EOPNOTSUPP. Refused are: ASID16, ATS and SSIDSIZE, granules and
 * DS that the host does not have; BTM, because a broadcast TLBI never passes here;
 * D128, because Linux takes no TTL128. Ranges (IDR3.RIL) are carried by every host:
 * a virtual SMMU makes pages of them.
 *
 * Return: 0; 1 if something differs; -EINVAL for NULL or a wrong size;
 * -EOPNOTSUPP if something is refused.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_features_compatible(const struct smmuinv_features *guest,
			    const struct smmuinv_features *host,
			    struct smmuinv_compatibility *report,
			    uint32_t *lacking);

/**
 * smmuinv_features_common() - what two SMMUs both have
 * @common: of both; may be one of them
 * @a: from smmuinv_features_from_hw_info()
 * @b: likewise
 * @lacking: with -EOPNOTSUPP, in what they contradict each other: enum
 *	smmuinv_feature; may be NULL
 *
 * For a virtual SMMU over several physical ones: what is offered to the guest is
 * made from this.
 *
 * Return: 0; -EINVAL for NULL; -EOPNOTSUPP if no guest can be carried by both:
 * different endianness, stall or termination models, or no granule in common.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_features_common(struct smmuinv_features *common,
					const struct smmuinv_features *a,
					const struct smmuinv_features *b,
					uint32_t *lacking);

SMMUINV_END_DECLS

#endif /* SMMUINV_FEATURES_H */
