/* SPDX-License-Identifier: MIT */
/*
 * SMMUv3 commands in the hardware's own format: builders, fields, names, text.
 *
 * Numbers in parentheses are sections of the SMMU architecture specification,
 * Arm IHI 0070. Everything here is pure: no state, no allocation, no system
 * call, callable from any thread.
 */
#ifndef SMMUINV_COMMAND_H
#define SMMUINV_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>

SMMUINV_BEGIN_DECLS

/**
 * struct smmuinv_command - one entry of a Command queue (4.1.1)
 * @dw: the two doublewords, little-endian whatever the CPU is
 *
 * The layout is the hardware's and the kernel's (struct
 * iommu_viommu_arm_smmuv3_invalidate), so 16 bytes read from a guest's queue
 * can be copied into one, and an array of them can be handed to the kernel.
 * Read fields with smmuinv_command_get().
 */
struct smmuinv_command {
	uint64_t dw[2];
};

/** enum smmuinv_opcode - the command opcodes of the specification (4.1.1) */
enum smmuinv_opcode {
	SMMUINV_CMD_PREFETCH_CONFIG = 0x01,
	SMMUINV_CMD_PREFETCH_ADDR = 0x02,
	SMMUINV_CMD_CFGI_STE = 0x03,
	SMMUINV_CMD_CFGI_STE_RANGE = 0x04, /* CFGI_ALL is Range == 31 */
	SMMUINV_CMD_CFGI_CD = 0x05,
	SMMUINV_CMD_CFGI_CD_ALL = 0x06,
	SMMUINV_CMD_CFGI_VMS_PIDM = 0x07,
	SMMUINV_CMD_TLBI_NH_ALL = 0x10,
	SMMUINV_CMD_TLBI_NH_ASID = 0x11,
	SMMUINV_CMD_TLBI_NH_VA = 0x12,
	SMMUINV_CMD_TLBI_NH_VAA = 0x13,
	SMMUINV_CMD_TLBI_EL3_ALL = 0x18,
	SMMUINV_CMD_TLBI_EL3_VA = 0x1a,
	SMMUINV_CMD_TLBI_EL2_ALL = 0x20,
	SMMUINV_CMD_TLBI_EL2_ASID = 0x21,
	SMMUINV_CMD_TLBI_EL2_VA = 0x22,
	SMMUINV_CMD_TLBI_EL2_VAA = 0x23,
	SMMUINV_CMD_TLBI_S12_VMALL = 0x28,
	SMMUINV_CMD_TLBI_S2_IPA = 0x2a,
	SMMUINV_CMD_TLBI_NSNH_ALL = 0x30,
	SMMUINV_CMD_ATC_INV = 0x40,
	SMMUINV_CMD_PRI_RESP = 0x41,
	SMMUINV_CMD_RESUME = 0x44,
	SMMUINV_CMD_STALL_TERM = 0x45,
	SMMUINV_CMD_SYNC = 0x46,
	SMMUINV_CMD_TLBI_S_EL2_ALL = 0x50,
	SMMUINV_CMD_TLBI_S_EL2_ASID = 0x51,
	SMMUINV_CMD_TLBI_S_EL2_VA = 0x52,
	SMMUINV_CMD_TLBI_S_EL2_VAA = 0x53,
	SMMUINV_CMD_TLBI_S_S12_VMALL = 0x58,
	SMMUINV_CMD_TLBI_S_S2_IPA = 0x5a,
	SMMUINV_CMD_TLBI_SNH_ALL = 0x60,
	SMMUINV_CMD_DPTI_ALL = 0x70,
	SMMUINV_CMD_DPTI_PA = 0x73
};

/**
 * enum smmuinv_cerror - CMDQ_CONS.ERR, why a Command queue stopped (7.1)
 * @SMMUINV_CERROR_NONE: it did not
 * @SMMUINV_CERROR_ILL: the command at CMDQ_CONS.RD is illegal
 * @SMMUINV_CERROR_ABT: the command at CMDQ_CONS.RD could not be fetched
 * @SMMUINV_CERROR_ATC_INV_SYNC: the CMD_SYNC at CMDQ_CONS.RD could not complete
 *	earlier ATC_INVs
 */
enum smmuinv_cerror {
	SMMUINV_CERROR_NONE = 0,
	SMMUINV_CERROR_ILL = 1,
	SMMUINV_CERROR_ABT = 2,
	SMMUINV_CERROR_ATC_INV_SYNC = 3
};

/**
 * enum smmuinv_tg - translation granule of a TLBI by address (4.4.1.1)
 * @SMMUINV_TG_ANY: entries of every granule; one address, no range, no level
 * @SMMUINV_TG_4K: entries inserted with the 4 KiB granule only
 * @SMMUINV_TG_16K: entries inserted with the 16 KiB granule only
 * @SMMUINV_TG_64K: entries inserted with the 64 KiB granule only
 */
enum smmuinv_tg {
	SMMUINV_TG_ANY = 0,
	SMMUINV_TG_4K = 1,
	SMMUINV_TG_16K = 2,
	SMMUINV_TG_64K = 3
};

/** SMMUINV_ATC_SIZE_ALL - ATC_INV.Size that spans all of 2^64 bytes (4.5.1) */
#define SMMUINV_ATC_SIZE_ALL 52

/**
 * enum smmuinv_field - the fields that commands have
 *
 * Address fields (VA, IPA, ADDR, MSIADDRESS) are read as addresses in bytes. The
 * bits that the command does not carry are zero. All others are right-justified.
 * DPTI_PA is not decoded: it has no field.
 */
enum smmuinv_field {
	SMMUINV_FIELD_OPCODE = 0,
	SMMUINV_FIELD_SSEC,
	SMMUINV_FIELD_SSV,
	SMMUINV_FIELD_GLOBAL,
	SMMUINV_FIELD_SUBSTREAMID,
	SMMUINV_FIELD_STREAMID,
	SMMUINV_FIELD_VMID,
	SMMUINV_FIELD_ASID,
	SMMUINV_FIELD_VA,
	SMMUINV_FIELD_IPA,
	SMMUINV_FIELD_ADDR,	/* ATC_INV, PREFETCH_ADDR */
	SMMUINV_FIELD_LEAF,
	SMMUINV_FIELD_TG,
	SMMUINV_FIELD_TTL,
	SMMUINV_FIELD_TTL128,
	SMMUINV_FIELD_NUM,
	SMMUINV_FIELD_SCALE,	/* six bits; bit 5 is RES0 without IDR5.DS */
	SMMUINV_FIELD_RANGE,	/* CFGI_STE_RANGE */
	SMMUINV_FIELD_ATC_SIZE,
	SMMUINV_FIELD_PREFETCH_SIZE,
	SMMUINV_FIELD_STRIDE,
	SMMUINV_FIELD_PRGINDEX,
	SMMUINV_FIELD_RESP,
	SMMUINV_FIELD_ACTION,	/* RESUME: 1 retry, 0 terminate */
	SMMUINV_FIELD_ABORT,
	SMMUINV_FIELD_STAG,
	SMMUINV_FIELD_CS,
	SMMUINV_FIELD_MSH,
	SMMUINV_FIELD_MSIATTR,
	SMMUINV_FIELD_MSIDATA,
	SMMUINV_FIELD_MSIADDRESS,
	SMMUINV_FIELD_RES0,	/* any bit that is in no field of the command */
	SMMUINV_FIELD_COUNT
};

/**
 * struct smmuinv_tlbi - operands of a TLBI by address (4.4.2.3, 4.4.2.4)
 * @size: sizeof(struct smmuinv_tlbi)
 * @va: virtual address, sign-extended; bits 11:0 must be zero
 * @asid: address space; must be 0 for TLBI_NH_VAA, which has none
 * @leaf: only last-level entries need go; false drops walk-cache entries too
 * @tg: granule, enum smmuinv_tg; SMMUINV_TG_ANY makes it one address
 * @ttl: level of the leaf, 1..3, or 0 for unknown; 0 if @tg is ANY
 * @num: (@num + 1) << @scale granules from @va, 0..31; 0 if @tg is ANY
 * @scale: 0..31, with IDR5.DS up to 39; 0 if @tg is ANY
 * @reserved: must be 0
 *
 * The values go into the command as they are. @tg set with @ttl, @num and
 * @scale all zero is a reserved encoding and refused. Whether a value is legal for
 * an SMMU is the question of smmuinv_check().
 */
struct smmuinv_tlbi {
	size_t size;
	uint64_t va;
	uint16_t asid;
	bool leaf;
	uint8_t tg;
	uint8_t ttl;
	uint8_t num;
	uint8_t scale;
	uint8_t reserved;
};

/**
 * struct smmuinv_atc - operands of ATC_INV (4.5.1)
 * @size: sizeof(struct smmuinv_atc)
 * @address: start of the span; bits 11:0 must be zero, and the SMMU takes the
 *	bits below the span's size as zero
 * @sid: StreamID as the guest knows it (vSID)
 * @ssid: SubstreamID, below 2^20; must be 0 unless @ssv
 * @ssv: the invalidation is for @ssid rather than for untagged translations
 * @global: PCIe Global Invalidate; must be false unless @ssv
 * @log2_pages: the span is 4096 << @log2_pages bytes; SMMUINV_ATC_SIZE_ALL at
 *	most, which is everything
 * @reserved: must be 0
 */
struct smmuinv_atc {
	size_t size;
	uint64_t address;
	uint32_t sid;
	uint32_t ssid;
	bool ssv;
	bool global;
	uint8_t log2_pages;
	uint8_t reserved[5];
};

/*
 * Builders of the eight commands that a vIOMMU takes. All of them return 0, or
 * -EINVAL when @out is NULL, the operands' size is wrong, a reserved one is set, or
 * one is outside its documented range; then @out is left as it was. VMIDs are not
 * an operand: the kernel puts the guest's own into every command. Threads: any. Since: 0.1.
 */

/**
 * smmuinv_command_cfgi_cd() - invalidate one context descriptor (4.3.3)
 * @out: the command
 * @sid: StreamID as the guest knows it (vSID)
 * @ssid: index of the descriptor, below 2^20
 * @leaf: false also drops the level-1 descriptor of a 2-level table
 */
SMMUINV_API int smmuinv_command_cfgi_cd(struct smmuinv_command *out,
					uint32_t sid, uint32_t ssid, bool leaf);

/**
 * smmuinv_command_cfgi_cd_all() - invalidate all of a stream's context
 * descriptors and level-1 descriptors (4.3.4)
 * @out: the command
 * @sid: StreamID as the guest knows it (vSID)
 */
SMMUINV_API int smmuinv_command_cfgi_cd_all(struct smmuinv_command *out,
					    uint32_t sid);

/**
 * smmuinv_command_tlbi_nh_all() - every stage-1 entry of the guest, global
 * ones too (4.4.2.1)
 * @out: the command
 */
SMMUINV_API int smmuinv_command_tlbi_nh_all(struct smmuinv_command *out);

/**
 * smmuinv_command_tlbi_nh_asid() - the non-global entries of an ASID (4.4.2.2)
 * @out: the command
 * @asid: address space
 */
SMMUINV_API int smmuinv_command_tlbi_nh_asid(struct smmuinv_command *out,
					     uint16_t asid);

/**
 * smmuinv_command_tlbi_nh_va() - an ASID's entries and the global entries of
 * an address or range (4.4.2.4)
 * @out: the command
 * @tlbi: operands
 */
SMMUINV_API int smmuinv_command_tlbi_nh_va(struct smmuinv_command *out,
					   const struct smmuinv_tlbi *tlbi);

/**
 * smmuinv_command_tlbi_nh_vaa() - every ASID's and the global entries of an
 * address or range (4.4.2.3)
 * @out: the command
 * @tlbi: operands; its asid must be 0
 */
SMMUINV_API int smmuinv_command_tlbi_nh_vaa(struct smmuinv_command *out,
					    const struct smmuinv_tlbi *tlbi);

/**
 * smmuinv_command_tlbi_nsnh_all() - every non-secure, non-hyp entry; the kernel
 * narrows it to the guest's own (4.4.4.1)
 * @out: the command
 */
SMMUINV_API int smmuinv_command_tlbi_nsnh_all(struct smmuinv_command *out);

/**
 * smmuinv_command_atc_inv() - a span of a device's ATC (4.5.1)
 * @out: the command
 * @atc: operands
 */
SMMUINV_API int smmuinv_command_atc_inv(struct smmuinv_command *out,
					const struct smmuinv_atc *atc);

/**
 * smmuinv_command_opcode() - the opcode of a command
 * @command: any 16 bytes of a queue
 *
 * Return: 0..255, an enum smmuinv_opcode or a reserved value.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API uint8_t
smmuinv_command_opcode(const struct smmuinv_command *command);

/**
 * smmuinv_command_get() - a field of a command
 * @command: any 16 bytes of a queue
 * @field: which, enum smmuinv_field
 *
 * Reads the field's bits whether or not the command's opcode has that field.
 * SMMUINV_FIELD_RES0 is 1 if a bit outside every field of the opcode is set.
 *
 * Return: its value; 0 for a field that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API uint64_t smmuinv_command_get(const struct smmuinv_command *command,
					 uint32_t field);

/**
 * smmuinv_opcode_name() - the specification's name, without "CMD_"
 * @opcode: 0..255
 *
 * Return: a static string, "TLBI_NH_VA"; "RESERVED" where the specification
 * gives the opcode no name.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_opcode_name(uint8_t opcode);

/**
 * smmuinv_opcode_is_forwarded() - is it one of the eight commands that the
 * kernel executes for a vIOMMU?
 * @opcode: 0..255
 *
 * This is the supported set; everything else is the VMM's to emulate, or an
 * error.
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API bool smmuinv_opcode_is_forwarded(uint8_t opcode);

/**
 * smmuinv_field_name() - a field's name as smmuinv_command_print() writes it
 * @field: which
 *
 * Return: a static string; "?" for a field that does not exist.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_field_name(uint32_t field);

/** SMMUINV_COMMAND_TEXT_MAX - enough for any command's text and its NUL */
#define SMMUINV_COMMAND_TEXT_MAX 192

/**
 * smmuinv_command_print() - a command as one line of text, without newline
 * @command: any 16 bytes of a queue
 * @text: where to, may be NULL if @size is 0
 * @size: bytes there; SMMUINV_COMMAND_TEXT_MAX is always enough
 *
 * "TLBI_NH_VA asid=5 va=0xffff00010000 leaf tg=4K ttl=3 num=8 scale=0". Flags
 * stand when set. Fields that have no meaning in the command (a range without
 * granule, a VMID of zero) stand only when they are not zero. Bits outside
 * every field are shown as "res0=DW1:DW0".
 *
 * Return: the length of the whole text, as snprintf(): the text was cut if
 * that is not below @size.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_command_print(const struct smmuinv_command *command,
				      char *text, size_t size);

/**
 * smmuinv_cerror_name() - "CERROR_ILL" and its like
 * @cerror: which
 *
 * Return: a static string; "CERROR_?" for a value the specification lacks.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_cerror_name(uint32_t cerror);

SMMUINV_END_DECLS

#endif /* SMMUINV_COMMAND_H */
