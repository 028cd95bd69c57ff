/* SPDX-License-Identifier: MIT */
/*
 * From a span of addresses to the commands that invalidate exactly it.
 *
 * Pure. Numbers in parentheses are sections of Arm IHI 0070.
 */
#ifndef SMMUINV_RANGE_H
#define SMMUINV_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/command.h>
#include <smmuinv/features.h>

SMMUINV_BEGIN_DECLS

/** SMMUINV_LEVEL_UNKNOWN - the leaf entries may be at any level */
#define SMMUINV_LEVEL_UNKNOWN 0

/**
 * struct smmuinv_range - a span of a guest's stage-1 address space
 * @size: sizeof(struct smmuinv_range)
 * @iova: first byte, sign-extended
 * @length: bytes, not 0
 * @granule: of the tables, in bytes: 4096, 16384 or 65536, and one that the
 *	SMMU has
 * @asid: address space; must be 0 with @all_asids
 * @all_asids: TLBI_NH_VAA instead of TLBI_NH_VA
 * @level: of every leaf entry in the span, 1..3, or SMMUINV_LEVEL_UNKNOWN. It
 *	is never guessed: unknown means TTL 0.
 * @leaf: only last-level entries changed; false when tables went as well
 * @reserved: must be 0
 *
 * @iova and @length must be multiples of what an entry at @level maps (of
 * @granule, if unknown), and the span must lie in one half of the address
 * space.
 */
struct smmuinv_range {
	size_t size;
	uint64_t iova;
	uint64_t length;
	uint64_t granule;
	uint16_t asid;
	bool all_asids;
	uint8_t level;
	bool leaf;
	uint8_t reserved[3];
};

/**
 * smmuinv_range_tlbi() - the TLBI commands for a span
 * @range: the span
 * @features: of the SMMU that will execute them
 * @out: where to, may be NULL if @capacity is 0
 * @capacity: commands there
 *
 * With IDR3.RIL, the fewest range commands that reach the span and nothing
 * else; a single granule of unknown level is a TLBI without TG (4.4.1.1).
 * Without RIL, one TLBI for each entry of @level (each granule, if unknown).
 * If they do not fit, nothing is written: call again with more room, or use
 * a wider command.
 *
 * Return: how many commands the span needs; -EINVAL for NULL, a wrong size, a
 * reserved member that is set, or an operand outside its documented range;
 * -EOPNOTSUPP for a granule, a level or an ASID that the SMMU does not have.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int64_t smmuinv_range_tlbi(const struct smmuinv_range *range,
				       const struct smmuinv_features *features,
				       struct smmuinv_command *out,
				       size_t capacity);

/**
 * struct smmuinv_atc_range - a span of a device's ATC
 * @size: sizeof(struct smmuinv_atc_range)
 * @address: first byte, a multiple of 4096
 * @length: bytes, a multiple of 4096, not 0; the span must not wrap. All of
 *	2^64 bytes: smmuinv_command_atc_inv() with SMMUINV_ATC_SIZE_ALL.
 * @sid: StreamID as the guest knows it (vSID)
 * @ssid: SubstreamID; must be 0 unless @ssv
 * @ssv: the span is @ssid's
 * @global: PCIe Global Invalidate; must be false unless @ssv
 * @reserved: must be 0
 */
struct smmuinv_atc_range {
	size_t size;
	uint64_t address;
	uint64_t length;
	uint32_t sid;
	uint32_t ssid;
	bool ssv;
	bool global;
	uint8_t reserved[6];
};

/**
 * smmuinv_range_atc() - the ATC_INV commands for a span
 * @range: the span
 * @features: of the SMMU that will execute them
 * @out: where to, may be NULL if @capacity is 0
 * @capacity: commands there
 *
 * The fewest naturally aligned power-of-two spans that reach the span and
 * nothing else (4.5.1). If they do not fit, nothing is written.
 *
 * Return: how many commands the span needs; -EINVAL for NULL, a wrong size, a
 * reserved member that is set, or an operand outside its documented range;
 * -EOPNOTSUPP if the SMMU has no ATS, or no SubstreamIDs (or too short ones) for
 * @ssid.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int64_t smmuinv_range_atc(const struct smmuinv_atc_range *range,
				      const struct smmuinv_features *features,
				      struct smmuinv_command *out,
				      size_t capacity);

SMMUINV_END_DECLS

#endif /* SMMUINV_RANGE_H */
