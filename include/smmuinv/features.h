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
 * struct smmuinv_hw_info - what the kernel tells of an SMMU
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
 * enum smmuinv_feature - one feature, for questions and for error messages
 */
enum smmuinv_feature {
	SMMUINV_FEATURE_S1P = 0,	/* IDR0.S1P: stage 1 */
	SMMUINV_FEATURE_S2P,		/* IDR0.S2P: stage 2 */
	SMMUINV_FEATURE_TTF,		/* IDR0.TTF: translation table formats */
	SMMUINV_FEATURE_HYP,		/* IDR0.Hyp: EL2 streams */
	SMMUINV_FEATURE_ATS,		/* IDR0.ATS */
	SMMUINV_FEATURE_ASID16,		/* IDR0.ASID16: ASIDs of 16 bits */
	SMMUINV_FEATURE_MSI,		/* IDR0.MSI */
	SMMUINV_FEATURE_SEV,		/* IDR0.SEV */
	SMMUINV_FEATURE_PRI,		/* IDR0.PRI */
	SMMUINV_FEATURE_CD2L,		/* IDR0.CD2L: 2-level CD tables */
	SMMUINV_FEATURE_TTENDIAN,	/* IDR0.TTENDIAN: table endianness */
	SMMUINV_FEATURE_STALL_MODEL,	/* IDR0.STALL_MODEL: stalling faults */
	SMMUINV_FEATURE_TERM_MODEL,	/* IDR0.TERM_MODEL */
	SMMUINV_FEATURE_SIDSIZE,	/* IDR1.SIDSIZE: StreamID bits */
	SMMUINV_FEATURE_SSIDSIZE,	/* IDR1.SSIDSIZE: SubstreamID bits */
	SMMUINV_FEATURE_MPAM,		/* IDR3.MPAM */
	SMMUINV_FEATURE_RIL,		/* IDR3.RIL: ranges and level hints */
	SMMUINV_FEATURE_BBML,		/* IDR3.BBML */
	SMMUINV_FEATURE_DPT,		/* IDR3.DPT */
	SMMUINV_FEATURE_GRAN4K,		/* IDR5.GRAN4K */
	SMMUINV_FEATURE_GRAN16K,	/* IDR5.GRAN16K */
	SMMUINV_FEATURE_GRAN64K,	/* IDR5.GRAN64K */
	SMMUINV_FEATURE_DS,		/* IDR5.DS: 52-bit with 4K and 16K */
	SMMUINV_FEATURE_D128,		/* IDR5.D128: 128-bit descriptors */
	SMMUINV_FEATURE_VAX,		/* IDR5.VAX: virtual address bits */
	SMMUINV_FEATURE_OAS,		/* IDR5.OAS: output address bits */
	SMMUINV_FEATURE_COUNT
};

/**
 * smmuinv_features_get() - the value of a feature's ID register field
 * @features: whose
 * @feature: which
 *
 * Return: the field, right-justified; 0 for a feature that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API uint32_t smmuinv_features_get(
	const struct smmuinv_features *features, enum smmuinv_feature feature);

/**
 * smmuinv_feature_name() - the register field's name, "IDR3.RIL"
 * @feature: which
 *
 * Return: a static string; "?" for a feature that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_feature_name(enum smmuinv_feature feature);

/**
 * smmuinv_features_has_granule() - has the SMMU this translation granule?
 * @features: whose
 * @bytes: 4096, 16384 or 65536; every other value is false
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API bool
smmuinv_features_has_granule(const struct smmuinv_features *features,
			     uint64_t bytes);

/**
 * smmuinv_features_from_hw_info() - a host's features from IOMMU_GET_HW_INFO
 * @features: what the host offers
 * @info: what the kernel reported
 * @ats: devices behind this SMMU may use ATS. That is a property of the device
 *	and its path (PCI capability, and IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED not
 *	set), so the kernel's idr[0] does not say it.
 *
 * Takes only the fields that the kernel's documentation allows to be read.
 * IDR0.S1P is set: a host that can nest has stage 1.
 *
 * Return: 0; -EINVAL for NULL; -EOPNOTSUPP if the SMMU has no AArch64 tables
 * or no granule, so that a guest could not use it.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_features_from_hw_info(struct smmuinv_features *features,
			      const struct smmuinv_hw_info *info, bool ats);

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
 * @ril: enum smmuinv_choice, IDR3.RIL: range invalidation
 * @ats: enum smmuinv_choice, IDR0.ATS
 * @asid16: enum smmuinv_choice, IDR0.ASID16
 * @stall: enum smmuinv_choice, IDR0.STALL_MODEL: the guest may let faults
 *	stall and RESUME them; SMMUINV_AS_HOST here means OFF, because the VMM
 *	must emulate these commands. A host whose faults always stall cannot
 *	hide it: OFF is an error there.
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
	uint8_t reserved[3];
};

/** SMMUINV_SSID_BITS_AS_HOST - for struct smmuinv_offer.ssid_bits */
#define SMMUINV_SSID_BITS_AS_HOST 0xff

/**
 * smmuinv_features_offer() - the ID registers a guest may be shown
 * @guest: the registers
 * @host: from smmuinv_features_from_hw_info()
 * @offer: the VMM's wishes
 * @lacking: which wish cannot be met, when the answer is -EOPNOTSUPP; may be NULL
 *
 * The guest gets stage 1 only, coherent walks and 2-level stream tables; 2-level
 * CD tables, table endianness, termination model, BBML and virtual address bits
 * as the host has them; and never PRI, HTTU, BTM, ATOS or anything else that
 * nesting cannot carry. DS goes along only with the 4K or 16K granule, 52-bit
 * virtual addresses only with the 64K granule or DS.
 *
 * Return: 0; -EINVAL for NULL, a wrong size, a reserved member that is set, or a
 * wish outside its range; -EOPNOTSUPP for a wish that the host cannot meet, or
 * that contradicts another.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_features_offer(struct smmuinv_features *guest,
		       const struct smmuinv_features *host,
		       const struct smmuinv_offer *offer,
		       enum smmuinv_feature *lacking);

/**
 * smmuinv_features_compatible() - can this host carry a guest that was shown
 * these registers?
 * @guest: what the guest was shown
 * @host: from smmuinv_features_from_hw_info()
 * @lacking: the first feature that the host lacks, when the answer is
 *	-EOPNOTSUPP; may be NULL
 *
 * Only what the guest's invalidations and stage-1 tables need from the host is
 * compared. What the VMM emulates by itself (stage 2, Hyp, PRI, queues) is not.
 * 128-bit descriptors can be carried by no host: Linux takes no TTL128. Ranges
 * (IDR3.RIL) can be carried by every host: a virtual SMMU makes pages of them.
 *
 * Return: 0; -EINVAL for NULL; -EOPNOTSUPP if the host cannot.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_features_compatible(const struct smmuinv_features *guest,
			    const struct smmuinv_features *host,
			    enum smmuinv_feature *lacking);

/**
 * smmuinv_features_common() - what two SMMUs both have
 * @common: of both; may be one of them
 * @a: from smmuinv_features_from_hw_info()
 * @b: likewise
 * @lacking: in what they contradict each other, when the answer is -EOPNOTSUPP;
 *	may be NULL
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
					enum smmuinv_feature *lacking);

SMMUINV_END_DECLS

#endif /* SMMUINV_FEATURES_H */
