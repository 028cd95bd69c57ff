/* SPDX-License-Identifier: MIT */
/*
 * The command format. Expected bytes and texts are written by hand from the
 * figures of Arm IHI 0070, whose sections the comments give; spec.c has its
 * tables.
 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "spec.h"

#define BYTES 16

/* What an output is filled with, to see that it was left alone. */
static const struct smmuinv_command untouched = { { 0xa5a5a5a5a5a5a5a5,
						    0x5a5a5a5a5a5a5a5a } };

static void assert_untouched(const struct smmuinv_command *out)
{
	assert_memory_equal(out, &untouched, sizeof(untouched));
}

/* @hex has the 16 bytes in the order of memory, "12 80 00 ...". */
static void assert_bytes(const struct smmuinv_command *command, const char *hex)
{
	unsigned char bytes[BYTES];
	size_t i;

	for (i = 0; i < BYTES; i++) {
		char *end;

		bytes[i] = (unsigned char)strtoul(hex, &end, 16);
		assert_ptr_equal(end, hex + 2);
		hex = *end ? end + 1 : end;
	}
	assert_memory_equal(command, bytes, BYTES);
}

/* Every field that the opcode has not, and every bit in no field, is zero. */
static void assert_nothing_else(const struct smmuinv_command *command)
{
	uint8_t opcode = smmuinv_command_opcode(command);

	assert_int_equal(test_dw0(command) & ~spec_opcode_mask(opcode, 0), 0);
	assert_int_equal(test_dw1(command) & ~spec_opcode_mask(opcode, 1), 0);
	assert_int_equal(smmuinv_command_get(command, SMMUINV_FIELD_RES0), 0);
}

static uint64_t get(const struct smmuinv_command *command,
		    enum smmuinv_field field)
{
	return smmuinv_command_get(command, field);
}

/* 4.3.3: SSec[10] SubstreamID[31:12] StreamID[63:32], Leaf[64] */
static void cfgi_cd_has_the_bytes_of_the_specification(void **state)
{
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(
		smmuinv_command_cfgi_cd(&out, 0x12345678, 0xabcde, true), 0);
	assert_bytes(&out, "05 e0 cd ab 78 56 34 12 "
			   "01 00 00 00 00 00 00 00");
	assert_int_equal(smmuinv_command_cfgi_cd(&out, 1, 0, false), 0);
	assert_bytes(&out, "05 00 00 00 01 00 00 00 "
			   "00 00 00 00 00 00 00 00");
	assert_int_equal(
		smmuinv_command_cfgi_cd(&out, 0xffffffff, 0xfffff, false), 0);
	assert_bytes(&out, "05 f0 ff ff ff ff ff ff "
			   "00 00 00 00 00 00 00 00");
}

/* 4.3.4: SSec[10] StreamID[63:32] */
static void cfgi_cd_all_has_the_bytes_of_the_specification(void **state)
{
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(smmuinv_command_cfgi_cd_all(&out, 0xdeadbeef), 0);
	assert_bytes(&out, "06 00 00 00 ef be ad de "
			   "00 00 00 00 00 00 00 00");
}

/* 4.4.2.1: VMID[47:32], which the kernel fills in */
static void tlbi_nh_all_has_the_bytes_of_the_specification(void **state)
{
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nh_all(&out), 0);
	assert_bytes(&out, "10 00 00 00 00 00 00 00 "
			   "00 00 00 00 00 00 00 00");
}

/* 4.4.2.2: VMID[47:32] ASID[63:48] */
static void tlbi_nh_asid_has_the_bytes_of_the_specification(void **state)
{
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nh_asid(&out, 0xbeef), 0);
	assert_bytes(&out, "11 00 00 00 00 00 ef be "
			   "00 00 00 00 00 00 00 00");
}

/*
 * 4.4.2.4, 4.4.1.1: NUM[16:12] SCALE[25:20] VMID[47:32] ASID[63:48],
 * Leaf[64] TTL128[71] TTL[73:72] TG[75:74] Address[127:76]
 */
static void tlbi_nh_va_has_the_bytes_of_the_specification(void **state)
{
	struct smmuinv_tlbi t = {
		.size = sizeof(t),
		.va = 0xffff00010000,
		.asid = 5,
		.leaf = true,
		.tg = SMMUINV_TG_4K,
		.ttl = 3,
		.num = 8,
	};
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nh_va(&out, &t), 0);
	assert_bytes(&out, "12 80 00 00 00 00 05 00 "
			   "01 07 01 00 ff ff 00 00");
	t = (struct smmuinv_tlbi){
		.size = sizeof(t),
		.va = 0xfffffffffffff000,
		.asid = 0xffff,
		.tg = SMMUINV_TG_64K,
		.ttl = 2,
		.num = 31,
		.scale = 39,
	};
	assert_int_equal(smmuinv_command_tlbi_nh_va(&out, &t), 0);
	assert_bytes(&out, "12 f0 71 02 00 00 ff ff "
			   "00 fe ff ff ff ff ff ff");
	t = (struct smmuinv_tlbi){ .size = sizeof(t), .va = 0x1000 };
	assert_int_equal(smmuinv_command_tlbi_nh_va(&out, &t), 0);
	assert_bytes(&out, "12 00 00 00 00 00 00 00 "
			   "00 10 00 00 00 00 00 00");
}

/* 4.4.2.3: as TLBI_NH_VA, without ASID */
static void tlbi_nh_vaa_has_the_bytes_of_the_specification(void **state)
{
	const struct smmuinv_tlbi t = {
		.size = sizeof(t),
		.va = 0x0000800000000000,
		.tg = SMMUINV_TG_16K,
		.ttl = 1,
		.scale = 1,
	};
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nh_vaa(&out, &t), 0);
	assert_bytes(&out, "13 00 10 00 00 00 00 00 "
			   "00 09 00 00 00 80 00 00");
}

/* 4.4.4.1: no field */
static void tlbi_nsnh_all_has_the_bytes_of_the_specification(void **state)
{
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nsnh_all(&out), 0);
	assert_bytes(&out, "30 00 00 00 00 00 00 00 "
			   "00 00 00 00 00 00 00 00");
}

/*
 * 4.5.1: G[9] SSV[11] SubstreamID[31:12] StreamID[63:32], Size[69:64]
 * Address[127:76]
 */
static void atc_inv_has_the_bytes_of_the_specification(void **state)
{
	struct smmuinv_atc a = {
		.size = sizeof(a),
		.address = 0x00007ffffffff000,
		.sid = 0x100,
		.ssid = 0x12345,
		.ssv = true,
		.global = true,
		.log2_pages = 9,
	};
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(smmuinv_command_atc_inv(&out, &a), 0);
	assert_bytes(&out, "40 5a 34 12 00 01 00 00 "
			   "09 f0 ff ff ff 7f 00 00");
	a = (struct smmuinv_atc){
		.size = sizeof(a),
		.sid = 0xffffffff,
		.log2_pages = SMMUINV_ATC_SIZE_ALL,
	};
	assert_int_equal(smmuinv_command_atc_inv(&out, &a), 0);
	assert_bytes(&out, "40 00 00 00 ff ff ff ff "
			   "34 00 00 00 00 00 00 00");
}

static void every_operand_of_cfgi_cd_reads_back(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(20000); i++) {
		uint32_t sid = (uint32_t)test_random_edge();
		uint32_t ssid = (uint32_t)test_random_edge() & 0xfffff;
		bool leaf = test_chance(50);
		struct smmuinv_command c;

		assert_int_equal(smmuinv_command_cfgi_cd(&c, sid, ssid, leaf),
				 0);
		assert_int_equal(smmuinv_command_opcode(&c), 0x05);
		assert_int_equal(get(&c, SMMUINV_FIELD_STREAMID), sid);
		assert_int_equal(get(&c, SMMUINV_FIELD_SUBSTREAMID), ssid);
		assert_int_equal(get(&c, SMMUINV_FIELD_LEAF), leaf);
		assert_int_equal(get(&c, SMMUINV_FIELD_SSEC), 0);
		assert_nothing_else(&c);
	}
}

static void every_stream_of_cfgi_cd_all_reads_back(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(5000); i++) {
		uint32_t sid = (uint32_t)test_random_edge();
		struct smmuinv_command c;

		assert_int_equal(smmuinv_command_cfgi_cd_all(&c, sid), 0);
		assert_int_equal(smmuinv_command_opcode(&c), 0x06);
		assert_int_equal(get(&c, SMMUINV_FIELD_STREAMID), sid);
		assert_int_equal(get(&c, SMMUINV_FIELD_SSEC), 0);
		assert_nothing_else(&c);
	}
}

static void every_asid_of_tlbi_nh_asid_reads_back(void **state)
{
	uint32_t asid;

	(void)state;
	for (asid = 0; asid <= UINT16_MAX; asid++) {
		struct smmuinv_command c;

		assert_int_equal(
			smmuinv_command_tlbi_nh_asid(&c, (uint16_t)asid), 0);
		assert_int_equal(smmuinv_command_opcode(&c), 0x11);
		assert_int_equal(get(&c, SMMUINV_FIELD_ASID), asid);
		assert_int_equal(get(&c, SMMUINV_FIELD_VMID), 0);
		assert_nothing_else(&c);
	}
}

static struct smmuinv_tlbi random_tlbi(void)
{
	struct smmuinv_tlbi t = {
		.size = sizeof(t),
		.va = test_random_edge() & ~UINT64_C(0xfff),
		.asid = (uint16_t)test_random_edge(),
		.leaf = test_chance(50),
		.tg = (uint8_t)test_random_below(4),
	};

	if (!t.tg)
		return t;
	do {
		t.ttl = (uint8_t)test_random_below(4);
		t.num = (uint8_t)test_random_below(32);
		t.scale = (uint8_t)test_random_below(40);
	} while (!t.ttl && !t.num && !t.scale);
	return t;
}

static void assert_reads_back(const struct smmuinv_command *c,
			      const struct smmuinv_tlbi *t)
{
	assert_int_equal(get(c, SMMUINV_FIELD_VMID), 0);
	assert_int_equal(get(c, SMMUINV_FIELD_VA), t->va);
	assert_int_equal(get(c, SMMUINV_FIELD_LEAF), t->leaf);
	assert_int_equal(get(c, SMMUINV_FIELD_TG), t->tg);
	assert_int_equal(get(c, SMMUINV_FIELD_TTL), t->ttl);
	assert_int_equal(get(c, SMMUINV_FIELD_TTL128), 0);
	assert_int_equal(get(c, SMMUINV_FIELD_NUM), t->num);
	assert_int_equal(get(c, SMMUINV_FIELD_SCALE), t->scale);
	assert_nothing_else(c);
}

static void every_operand_of_a_tlbi_by_address_reads_back(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(50000); i++) {
		struct smmuinv_tlbi t = random_tlbi();
		struct smmuinv_command c;

		assert_int_equal(smmuinv_command_tlbi_nh_va(&c, &t), 0);
		assert_int_equal(smmuinv_command_opcode(&c), 0x12);
		assert_int_equal(get(&c, SMMUINV_FIELD_ASID), t.asid);
		assert_reads_back(&c, &t);
		t.asid = 0;
		assert_int_equal(smmuinv_command_tlbi_nh_vaa(&c, &t), 0);
		assert_int_equal(smmuinv_command_opcode(&c), 0x13);
		assert_reads_back(&c, &t);
	}
}

static struct smmuinv_atc random_atc(void)
{
	struct smmuinv_atc a = {
		.size = sizeof(a),
		.address = test_random_edge() & ~UINT64_C(0xfff),
		.sid = (uint32_t)test_random_edge(),
		.ssv = test_chance(50),
		.log2_pages = (uint8_t)test_random_below(53),
	};

	if (a.ssv) {
		a.ssid = (uint32_t)test_random_edge() & 0xfffff;
		a.global = test_chance(50);
	}
	return a;
}

static void every_operand_of_atc_inv_reads_back(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(50000); i++) {
		struct smmuinv_atc a = random_atc();
		struct smmuinv_command c;

		assert_int_equal(smmuinv_command_atc_inv(&c, &a), 0);
		assert_int_equal(smmuinv_command_opcode(&c), 0x40);
		assert_int_equal(get(&c, SMMUINV_FIELD_ADDR), a.address);
		assert_int_equal(get(&c, SMMUINV_FIELD_STREAMID), a.sid);
		assert_int_equal(get(&c, SMMUINV_FIELD_SUBSTREAMID), a.ssid);
		assert_int_equal(get(&c, SMMUINV_FIELD_SSV), a.ssv);
		assert_int_equal(get(&c, SMMUINV_FIELD_GLOBAL), a.global);
		assert_int_equal(get(&c, SMMUINV_FIELD_ATC_SIZE), a.log2_pages);
		assert_nothing_else(&c);
	}
}

static void no_builder_writes_through_null(void **state)
{
	const struct smmuinv_tlbi t = { .size = sizeof(t) };
	const struct smmuinv_atc a = { .size = sizeof(a) };

	(void)state;
	assert_int_equal(smmuinv_command_cfgi_cd(NULL, 0, 0, false), -EINVAL);
	assert_int_equal(smmuinv_command_cfgi_cd_all(NULL, 0), -EINVAL);
	assert_int_equal(smmuinv_command_tlbi_nh_all(NULL), -EINVAL);
	assert_int_equal(smmuinv_command_tlbi_nh_asid(NULL, 0), -EINVAL);
	assert_int_equal(smmuinv_command_tlbi_nh_va(NULL, &t), -EINVAL);
	assert_int_equal(smmuinv_command_tlbi_nh_vaa(NULL, &t), -EINVAL);
	assert_int_equal(smmuinv_command_tlbi_nsnh_all(NULL), -EINVAL);
	assert_int_equal(smmuinv_command_atc_inv(NULL, &a), -EINVAL);
}

static void no_builder_reads_operands_from_null(void **state)
{
	struct smmuinv_command out = untouched;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nh_va(&out, NULL), -EINVAL);
	assert_int_equal(smmuinv_command_tlbi_nh_vaa(&out, NULL), -EINVAL);
	assert_int_equal(smmuinv_command_atc_inv(&out, NULL), -EINVAL);
	assert_untouched(&out);
}

/* 4.1.6: SubstreamIDs have 20 bits */
static void a_substreamid_above_20_bits_is_refused(void **state)
{
	struct smmuinv_command out = untouched;
	unsigned int bit;

	(void)state;
	assert_int_equal(smmuinv_command_cfgi_cd(&out, 0, 0x100000, true),
			 -EINVAL);
	for (bit = 20; bit < 32; bit++) {
		const struct smmuinv_atc a = {
			.size = sizeof(a),
			.ssid = UINT32_C(1) << bit,
			.ssv = true,
		};

		assert_int_equal(smmuinv_command_cfgi_cd(&out, 0, a.ssid, 0),
				 -EINVAL);
		assert_int_equal(smmuinv_command_atc_inv(&out, &a), -EINVAL);
	}
	assert_untouched(&out);
}

/* Both builders refuse the operands, and leave the output alone. */
static void refuse_tlbi(const struct smmuinv_tlbi *t)
{
	struct smmuinv_command out = untouched;

	assert_int_equal(smmuinv_command_tlbi_nh_va(&out, t), -EINVAL);
	assert_int_equal(smmuinv_command_tlbi_nh_vaa(&out, t), -EINVAL);
	assert_untouched(&out);
}

static void refuse_atc(const struct smmuinv_atc *a)
{
	struct smmuinv_command out = untouched;

	assert_int_equal(smmuinv_command_atc_inv(&out, a), -EINVAL);
	assert_untouched(&out);
}

/* 4.1.6: virtual addresses are Address[63:12] */
static void an_address_with_any_of_its_low_12_bits_set_is_refused(void **state)
{
	unsigned int bit;

	(void)state;
	for (bit = 0; bit < 12; bit++) {
		refuse_tlbi(&(struct smmuinv_tlbi){
			.size = sizeof(struct smmuinv_tlbi),
			.va = UINT64_C(1) << bit,
		});
		refuse_atc(&(struct smmuinv_atc){
			.size = sizeof(struct smmuinv_atc),
			.address = UINT64_C(1) << bit,
		});
	}
}

/* Whether the builders' documentation allows the combination (4.4.1.1). */
static bool range_fields_allowed(const struct smmuinv_tlbi *t)
{
	if (t->tg > 3 || t->ttl > 3 || t->num > 31 || t->scale > 39)
		return false;
	if (t->tg == 0)
		return t->ttl == 0 && t->num == 0 && t->scale == 0;
	return t->ttl != 0 || t->num != 0 || t->scale != 0;
}

/*
 * 4.4.1.1: NUM, SCALE and TTL are RES0 without TG; TG without any of them is
 * reserved; NUM has 5 bits, SCALE goes to 39, TG and TTL have two bits.
 */
static void the_range_fields_are_taken_in_legal_combinations_only(void **state)
{
	static const uint8_t two_bits[] = { 0, 1, 2, 3, 4, 255 };
	static const uint8_t five_bits[] = { 0, 1, 2, 15, 31, 32, 33, 255 };
	unsigned int n;

	(void)state;
	for (n = 0; n < 6 * 6 * 8 * 256; n++) {
		const struct smmuinv_tlbi t = {
			.size = sizeof(t),
			.tg = two_bits[n % 6],
			.ttl = two_bits[n / 6 % 6],
			.num = five_bits[n / 36 % 8],
			.scale = (uint8_t)(n / 288),
		};
		struct smmuinv_command out;

		if (!range_fields_allowed(&t)) {
			refuse_tlbi(&t);
			continue;
		}
		assert_int_equal(smmuinv_command_tlbi_nh_va(&out, &t), 0);
		assert_int_equal(smmuinv_command_tlbi_nh_vaa(&out, &t), 0);
	}
}

/* 4.4.2.3: TLBI_NH_VAA has no ASID */
static void an_asid_for_tlbi_nh_vaa_is_refused(void **state)
{
	struct smmuinv_command out = untouched;
	unsigned int bit;

	(void)state;
	for (bit = 0; bit < 16; bit++) {
		const struct smmuinv_tlbi t = {
			.size = sizeof(t),
			.asid = (uint16_t)(1u << bit),
		};

		assert_int_equal(smmuinv_command_tlbi_nh_vaa(&out, &t),
				 -EINVAL);
		assert_untouched(&out);
	}
}

/* 4.5.1: Size 52 is everything */
static void an_atc_size_above_52_is_refused(void **state)
{
	unsigned int log2_pages;

	(void)state;
	for (log2_pages = 53; log2_pages <= 255; log2_pages++)
		refuse_atc(&(struct smmuinv_atc){
			.size = sizeof(struct smmuinv_atc),
			.log2_pages = (uint8_t)log2_pages,
		});
}

/* 4.5.1: both are IGNORED when SSV is 0, so a caller with them is mistaken */
static void a_substreamid_or_global_without_ssv_is_refused(void **state)
{
	(void)state;
	refuse_atc(&(struct smmuinv_atc){
		.size = sizeof(struct smmuinv_atc),
		.ssid = 1,
	});
	refuse_atc(&(struct smmuinv_atc){
		.size = sizeof(struct smmuinv_atc),
		.global = true,
	});
}

static void a_set_reserved_operand_is_refused(void **state)
{
	struct smmuinv_tlbi t = { .size = sizeof(t) };
	struct smmuinv_atc a = { .size = sizeof(a) };
	size_t at;

	(void)state;
	for (at = 0; test_only_byte(&t.reserved, sizeof(t.reserved), at); at++)
		refuse_tlbi(&t);
	for (at = 0; test_only_byte(a.reserved, sizeof(a.reserved), at); at++)
		refuse_atc(&a);
}

static void operands_smaller_than_release_0_1_are_refused(void **state)
{
	size_t size;

	(void)state;
	for (size = 0; size < sizeof(struct smmuinv_tlbi); size++)
		refuse_tlbi(&(struct smmuinv_tlbi){ .size = size });
	for (size = 0; size < sizeof(struct smmuinv_atc); size++)
		refuse_atc(&(struct smmuinv_atc){ .size = size });
	refuse_tlbi(&(struct smmuinv_tlbi){ .size = SIZE_MAX });
	refuse_atc(&(struct smmuinv_atc){ .size = SIZE_MAX });
}

/* Operands as a later release may have them. */
struct newer_tlbi {
	struct smmuinv_tlbi known;
	unsigned char tail[24];
};

struct newer_atc {
	struct smmuinv_atc known;
	unsigned char tail[24];
};

static void larger_operands_are_taken_while_their_tail_is_zero(void **state)
{
	struct newer_tlbi t = { .known = { .size = sizeof(t), .va = 0x2000 } };
	struct newer_atc a = { .known = { .size = sizeof(a), .sid = 9 } };
	struct smmuinv_command out;
	size_t i;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nh_va(&out, &t.known), 0);
	assert_int_equal(get(&out, SMMUINV_FIELD_VA), 0x2000);
	assert_int_equal(smmuinv_command_tlbi_nh_vaa(&out, &t.known), 0);
	assert_int_equal(get(&out, SMMUINV_FIELD_VA), 0x2000);
	assert_int_equal(smmuinv_command_atc_inv(&out, &a.known), 0);
	assert_int_equal(get(&out, SMMUINV_FIELD_STREAMID), 9);
	for (i = 0; i < sizeof(t.tail); i++) {
		t.tail[i] = 1;
		a.tail[i] = 0x80;
		refuse_tlbi(&t.known);
		refuse_atc(&a.known);
		t.tail[i] = 0;
		a.tail[i] = 0;
	}
}

/* 4.1.1 */
static void all_256_opcodes_have_the_specifications_names(void **state)
{
	unsigned int opcode;
	unsigned int named = 0;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		const struct spec_opcode *s = spec_opcode((uint8_t)opcode);

		assert_string_equal(smmuinv_opcode_name((uint8_t)opcode),
				    s ? s->name : "RESERVED");
		named += s != NULL;
	}
	assert_int_equal(named, 34);
}

static void the_opcode_is_read_whatever_else_is_set(void **state)
{
	unsigned int opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		struct smmuinv_command zeros = test_command(opcode, 0);
		struct smmuinv_command ones =
			test_command(~UINT64_C(0xff) | opcode, ~UINT64_C(0));

		assert_int_equal(smmuinv_command_opcode(&zeros), opcode);
		assert_int_equal(smmuinv_command_opcode(&ones), opcode);
		assert_int_equal(get(&ones, SMMUINV_FIELD_OPCODE), opcode);
	}
}

/* The eight of the kernel's documentation of its vIOMMU. */
static void exactly_eight_opcodes_are_forwarded(void **state)
{
	static const uint8_t eight[] = { 0x05, 0x06, 0x10, 0x11,
					 0x12, 0x13, 0x30, 0x40 };
	unsigned int opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		bool expected = memchr(eight, (int)opcode, sizeof(eight));

		assert_int_equal(smmuinv_opcode_is_forwarded((uint8_t)opcode),
				 expected);
	}
}

/* 4.2 to 4.7 */
static void every_opcode_has_the_specifications_fields(void **state)
{
	unsigned int opcode;
	unsigned int field;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++)
		for (field = 0; field < SMMUINV_FIELD_RES0; field++) {
			bool has = smmuinv__opcode_has_field(
				(uint8_t)opcode, (enum smmuinv_field)field);

			if (has !=
			    spec_opcode_has_field((uint8_t)opcode,
						  (enum smmuinv_field)field))
				fail_msg("opcode 0x%02x, field %s: %d", opcode,
					 spec_fields[field].name, has);
		}
}

static const unsigned int no_fields[] = {
	SMMUINV_FIELD_COUNT, SMMUINV_FIELD_COUNT + 1, 255, 256, 0x7fffffff,
	UINT32_MAX,
};

static void no_opcode_has_a_field_that_does_not_exist(void **state)
{
	const struct smmuinv_command ones =
		test_command(~UINT64_C(0), ~UINT64_C(0));
	unsigned int opcode;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(no_fields); i++) {
		enum smmuinv_field field = (enum smmuinv_field)no_fields[i];

		for (opcode = 0; opcode < 256; opcode++)
			assert_false(smmuinv__opcode_has_field((uint8_t)opcode,
							       field));
		assert_int_equal(get(&ones, field), 0);
		assert_string_equal(smmuinv_field_name(field), "?");
	}
}

static void every_field_has_its_name(void **state)
{
	unsigned int field;

	(void)state;
	for (field = 0; field < SMMUINV_FIELD_RES0; field++)
		assert_string_equal(
			smmuinv_field_name((enum smmuinv_field)field),
			spec_fields[field].name);
	assert_string_equal(smmuinv_field_name(SMMUINV_FIELD_RES0), "res0");
}

/* One bit alone appears in just the fields whose place it is in. */
static void every_one_of_the_128_bits_is_in_the_right_fields(void **state)
{
	unsigned int bit;
	unsigned int field;

	(void)state;
	for (bit = 0; bit < 128; bit++)
		for (field = 0; field < SMMUINV_FIELD_RES0; field++) {
			uint64_t dw[2] = { 0, 0 };
			struct smmuinv_command c;

			dw[bit / 64] = UINT64_C(1) << (bit % 64);
			c = test_command(dw[0], dw[1]);
			if (get(&c, (enum smmuinv_field)field) !=
			    spec_field_get(dw, (enum smmuinv_field)field))
				fail_msg("bit %u, field %s", bit,
					 spec_fields[field].name);
		}
}

static void
fields_of_random_commands_read_as_the_specification_says(void **state)
{
	unsigned int field;
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(20000); i++)
		for (field = 0; field < SMMUINV_FIELD_RES0; field++) {
			const uint64_t dw[2] = { test_random(), test_random() };
			struct smmuinv_command c = test_command(dw[0], dw[1]);

			assert_int_equal(
				get(&c, (enum smmuinv_field)field),
				spec_field_get(dw, (enum smmuinv_field)field));
		}
}

/* 4.1.5: what no field of the command claims is RES0 */
static void res0_is_read_for_every_bit_outside_every_field(void **state)
{
	unsigned int opcode;
	unsigned int bit;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++)
		for (bit = 8; bit < 128; bit++) {
			uint64_t dw[2] = { opcode, 0 };
			uint64_t one = UINT64_C(1) << (bit % 64);
			struct smmuinv_command c;
			bool res0;

			dw[bit / 64] |= one;
			c = test_command(dw[0], dw[1]);
			res0 = !(spec_opcode_mask((uint8_t)opcode, bit / 64) &
				 one);
			if (get(&c, SMMUINV_FIELD_RES0) != res0)
				fail_msg("opcode 0x%02x, bit %u", opcode, bit);
		}
}

/* 4.1.1: all entries are little-endian, whatever this CPU is */
static void bytes_of_a_queue_are_read_as_little_endian(void **state)
{
	const unsigned char bytes[BYTES] = {
		0x12, 0x80, 0x00, 0x00, 0x34, 0x12, 0x78, 0x56,
		0x01, 0x07, 0x01, 0x00, 0xff, 0xff, 0x00, 0x00,
	};
	struct smmuinv_command c;

	(void)state;
	memcpy(&c, bytes, sizeof(c));
	assert_int_equal(smmuinv_command_opcode(&c), SMMUINV_CMD_TLBI_NH_VA);
	assert_int_equal(get(&c, SMMUINV_FIELD_VMID), 0x1234);
	assert_int_equal(get(&c, SMMUINV_FIELD_ASID), 0x5678);
	assert_int_equal(get(&c, SMMUINV_FIELD_NUM), 8);
	assert_int_equal(get(&c, SMMUINV_FIELD_VA), 0xffff00010000);
	assert_int_equal(get(&c, SMMUINV_FIELD_LEAF), 1);
	assert_int_equal(get(&c, SMMUINV_FIELD_TTL), 3);
	assert_int_equal(get(&c, SMMUINV_FIELD_TG), 1);
}

/* The kernel and the hardware fix it. */
static void a_command_is_16_bytes_without_padding(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct smmuinv_command), BYTES);
	assert_int_equal(offsetof(struct smmuinv_command, dw), 0);
}

static const struct printed {
	uint64_t dw0;
	uint64_t dw1;
	const char *text;
} printed[] = {
	/* include/smmuinv/command.h's own example */
	{ 0x0005000000008012, 0x0000ffff00010701,
	  "TLBI_NH_VA asid=5 va=0xffff00010000 leaf tg=4K ttl=3 num=8 "
	  "scale=0" },
	{ 0x0000004200007801, 0, "PREFETCH_CONFIG sid=0x42 ssv ssid=7" },
	{ 0x0000004200000001, 0, "PREFETCH_CONFIG sid=0x42 ssid=0" },
	{ 0x0000004200007c02, 0x00000000abcde065,
	  "PREFETCH_ADDR sid=0x42 ssv ssid=7 addr=0xabcde000 size=5 stride=3 "
	  "ssec" },
	{ 0xffffffff00000003, 1, "CFGI_STE sid=0xffffffff leaf" },
	{ 0x0000001000000403, 0, "CFGI_STE sid=0x10 ssec" },
	{ 0x0000000000000004, 31, "CFGI_STE_RANGE sid=0x0 range=31" },
	{ 0x0000000300005005, 1, "CFGI_CD sid=0x3 ssid=5 leaf" },
	{ 0x0000000300000405, 0, "CFGI_CD sid=0x3 ssid=0 ssec" },
	{ 0x0000000300000006, 0, "CFGI_CD_ALL sid=0x3" },
	{ 0x0000000900000007, 0, "CFGI_VMS_PIDM vmid=9" },
	{ 0x0000000000000010, 0, "TLBI_NH_ALL" },
	{ 0x0000000200000010, 0, "TLBI_NH_ALL vmid=2" },
	{ 0xffff000000000011, 0, "TLBI_NH_ASID asid=65535" },
	{ 0x0001000200000011, 0, "TLBI_NH_ASID vmid=2 asid=1" },
	{ 0x0000000000000012, 0, "TLBI_NH_VA asid=0 va=0x0" },
	{ 0x000000000001f013, 0xfffffffffffff800,
	  "TLBI_NH_VAA va=0xfffffffffffff000 tg=16K ttl=0 num=31 scale=0" },
	{ 0x0000000003f00013, 0x0000000000001e80,
	  "TLBI_NH_VAA va=0x1000 tg=64K ttl=2 num=0 scale=63 ttl128" },
	/* range fields without granule have no meaning, and are shown */
	{ 0x0000000000101013, 0x0000000000001100,
	  "TLBI_NH_VAA va=0x1000 ttl=1 num=1 scale=1" },
	{ 0x0000000000000018, 0, "TLBI_EL3_ALL" },
	{ 0x000000000000001a, 0x1001, "TLBI_EL3_VA va=0x1000 leaf" },
	{ 0x0000000000000020, 0, "TLBI_EL2_ALL" },
	{ 0x0007000000000021, 0, "TLBI_EL2_ASID asid=7" },
	{ 0x0007000000000022, 0x1000, "TLBI_EL2_VA asid=7 va=0x1000" },
	{ 0x0000000000000023, 0x1000, "TLBI_EL2_VAA va=0x1000" },
	{ 0x0000000100000028, 0, "TLBI_S12_VMALL vmid=1" },
	{ 0x000000010000002a, 0x2001, "TLBI_S2_IPA vmid=1 ipa=0x2000 leaf" },
	{ 0x0000000000000030, 0, "TLBI_NSNH_ALL" },
	{ 0x0000010012345a40, 0x00007ffffffff009,
	  "ATC_INV sid=0x100 ssv ssid=74565 global addr=0x7ffffffff000 "
	  "size=9" },
	{ 0x0000010000000040, 52, "ATC_INV sid=0x100 ssid=0 addr=0x0 size=52" },
	{ 0x0000010000005841, 0x21ff,
	  "PRI_RESP sid=0x100 ssv ssid=5 prgindex=511 resp=2" },
	{ 0x0000010000001044, 0xbeef, "RESUME sid=0x100 stag=0xbeef retry" },
	{ 0x0000010000002044, 1, "RESUME sid=0x100 stag=0x1 abort" },
	{ 0x0000010000000045, 0, "STALL_TERM sid=0x100" },
	{ 0x0000000000000046, 0, "SYNC cs=0" },
	{ 0x1234567805c01046, 0x0000000008090040,
	  "SYNC cs=1 msh=3 msiattr=0x5 msidata=0x12345678 msiaddr=0x8090040" },
	{ 0x0000000000000050, 0, "TLBI_S_EL2_ALL" },
	{ 0x0001000000000051, 0, "TLBI_S_EL2_ASID asid=1" },
	{ 0x0001000000000052, 0, "TLBI_S_EL2_VA asid=1 va=0x0" },
	{ 0x0000000000000053, 0, "TLBI_S_EL2_VAA va=0x0" },
	{ 0x0000000000000058, 0, "TLBI_S_S12_VMALL" },
	{ 0x000000000000005a, 0, "TLBI_S_S2_IPA ipa=0x0" },
	{ 0x0000000000000060, 0, "TLBI_SNH_ALL" },
	{ 0x0000000000000070, 0, "DPTI_ALL" },
	{ 0x0000000000000073, 0x1001, "DPTI_PA bits=0x1001:0x0" },
	{ 0x0000000000000000, 0, "RESERVED opcode=0x00" },
	{ 0x000000000000008f, 0, "RESERVED opcode=0x8f" },
	/* numbers that stand even when they are 0 */
	{ 0x0000000000000002, 0,
	  "PREFETCH_ADDR sid=0x0 ssid=0 addr=0x0 size=0 stride=0" },
	{ 0x0000000000000004, 0, "CFGI_STE_RANGE sid=0x0 range=0" },
	{ 0x0000000000000011, 0, "TLBI_NH_ASID asid=0" },
	{ 0x000000000000002a, 0, "TLBI_S2_IPA ipa=0x0" },
	{ 0x0000000000000040, 0, "ATC_INV sid=0x0 ssid=0 addr=0x0 size=0" },
	{ 0x0000000000000041, 0, "PRI_RESP sid=0x0 ssid=0 prgindex=0 resp=0" },
	{ 0x0000000000000044, 0, "RESUME sid=0x0 stag=0x0" },
	{ 0x0000000000000073, 0, "DPTI_PA" },
	/* bits outside every field */
	{ 0x8000000000000010, 0x1, "TLBI_NH_ALL res0=0x1:0x8000000000000000" },
	{ 0x0000000100000030, 0, "TLBI_NSNH_ALL res0=0x0:0x100000000" },
	{ 0x00000000000001ff, 0x2, "RESERVED opcode=0xff res0=0x2:0x100" },
};

static void every_kind_of_command_prints_as_documented(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(printed); i++) {
		struct smmuinv_command c =
			test_command(printed[i].dw0, printed[i].dw1);
		char text[SMMUINV_COMMAND_TEXT_MAX];
		int length = smmuinv_command_print(&c, text, sizeof(text));

		assert_string_equal(text, printed[i].text);
		assert_int_equal(length, strlen(printed[i].text));
	}
}

static void every_opcode_of_the_specification_was_printed(void **state)
{
	bool seen[256] = { false };
	unsigned int opcode;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(printed); i++)
		seen[printed[i].dw0 & 0xff] = true;
	for (opcode = 0; opcode < 256; opcode++)
		assert_true(seen[opcode] || !spec_opcode((uint8_t)opcode));
}

/* As snprintf(): cut, ended with a NUL, the whole length returned. */
static void a_text_of_every_length_is_cut_as_snprintf_does(void **state)
{
	size_t i;
	size_t size;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(printed); i++)
		for (size = 0; size <= SMMUINV_COMMAND_TEXT_MAX; size++) {
			struct smmuinv_command c =
				test_command(printed[i].dw0, printed[i].dw1);
			char text[SMMUINV_COMMAND_TEXT_MAX + 1];
			char expected[SMMUINV_COMMAND_TEXT_MAX + 1];
			int length;

			memset(text, '#', sizeof(text));
			memset(expected, '#', sizeof(expected));
			length =
				snprintf(expected, size, "%s", printed[i].text);
			assert_int_equal(smmuinv_command_print(&c, text, size),
					 length);
			assert_memory_equal(text, expected,
					    strlen(printed[i].text));
			if (size)
				assert_int_equal(
					text[size < (size_t)length + 1 ?
						     size - 1 :
						     (size_t)length],
					0);
			/* nothing after the bytes given */
			assert_int_equal(text[size], '#');
		}
}

static void a_null_text_of_no_size_is_only_measured(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(printed); i++) {
		struct smmuinv_command c =
			test_command(printed[i].dw0, printed[i].dw1);

		assert_int_equal(smmuinv_command_print(&c, NULL, 0),
				 strlen(printed[i].text));
	}
}

static void text_max_is_room_for_any_16_bytes(void **state)
{
	unsigned int opcode;
	size_t i;

	(void)state;
	/* Every value at its longest. */
	for (opcode = 0; opcode < 256; opcode++) {
		struct smmuinv_command c =
			test_command(~UINT64_C(0xff) | opcode, ~UINT64_C(0));

		assert_in_range(smmuinv_command_print(&c, NULL, 0), 1,
				SMMUINV_COMMAND_TEXT_MAX - 1);
	}
	for (i = 0; i < test_iterations(100000); i++) {
		struct smmuinv_command c =
			test_command(test_random(), test_random());

		assert_in_range(smmuinv_command_print(&c, NULL, 0), 1,
				SMMUINV_COMMAND_TEXT_MAX - 1);
	}
}

/* A log line must show which command it was. */
static void different_commands_have_different_texts(void **state)
{
	unsigned int opcode;
	unsigned int bit;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++)
		for (bit = 8; bit < 128; bit++) {
			const struct smmuinv_command none =
				test_command(opcode, 0);
			uint64_t dw[2] = { opcode, 0 };
			char texts[2][SMMUINV_COMMAND_TEXT_MAX];
			struct smmuinv_command one;

			dw[bit / 64] |= UINT64_C(1) << (bit % 64);
			one = test_command(dw[0], dw[1]);
			smmuinv_command_print(&none, texts[0],
					      sizeof(texts[0]));
			smmuinv_command_print(&one, texts[1], sizeof(texts[1]));
			assert_string_not_equal(texts[0], texts[1]);
		}
}

/* 7.1 */
static void cerrors_have_the_specifications_codes_and_names(void **state)
{
	(void)state;
	assert_int_equal(SMMUINV_CERROR_NONE, 0);
	assert_int_equal(SMMUINV_CERROR_ILL, 1);
	assert_int_equal(SMMUINV_CERROR_ABT, 2);
	assert_int_equal(SMMUINV_CERROR_ATC_INV_SYNC, 3);
	assert_string_equal(smmuinv_cerror_name(SMMUINV_CERROR_NONE),
			    "CERROR_NONE");
	assert_string_equal(smmuinv_cerror_name(SMMUINV_CERROR_ILL),
			    "CERROR_ILL");
	assert_string_equal(smmuinv_cerror_name(SMMUINV_CERROR_ABT),
			    "CERROR_ABT");
	assert_string_equal(smmuinv_cerror_name(SMMUINV_CERROR_ATC_INV_SYNC),
			    "CERROR_ATC_INV_SYNC");
	assert_string_equal(smmuinv_cerror_name((enum smmuinv_cerror)4),
			    "CERROR_?");
	assert_string_equal(smmuinv_cerror_name((enum smmuinv_cerror)127),
			    "CERROR_?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(cfgi_cd_has_the_bytes_of_the_specification),
		T(cfgi_cd_all_has_the_bytes_of_the_specification),
		T(tlbi_nh_all_has_the_bytes_of_the_specification),
		T(tlbi_nh_asid_has_the_bytes_of_the_specification),
		T(tlbi_nh_va_has_the_bytes_of_the_specification),
		T(tlbi_nh_vaa_has_the_bytes_of_the_specification),
		T(tlbi_nsnh_all_has_the_bytes_of_the_specification),
		T(atc_inv_has_the_bytes_of_the_specification),
		T(every_operand_of_cfgi_cd_reads_back),
		T(every_stream_of_cfgi_cd_all_reads_back),
		T(every_asid_of_tlbi_nh_asid_reads_back),
		T(every_operand_of_a_tlbi_by_address_reads_back),
		T(every_operand_of_atc_inv_reads_back),
		T(no_builder_writes_through_null),
		T(no_builder_reads_operands_from_null),
		T(a_substreamid_above_20_bits_is_refused),
		T(an_address_with_any_of_its_low_12_bits_set_is_refused),
		T(the_range_fields_are_taken_in_legal_combinations_only),
		T(an_asid_for_tlbi_nh_vaa_is_refused),
		T(an_atc_size_above_52_is_refused),
		T(a_substreamid_or_global_without_ssv_is_refused),
		T(a_set_reserved_operand_is_refused),
		T(operands_smaller_than_release_0_1_are_refused),
		T(larger_operands_are_taken_while_their_tail_is_zero),
		T(all_256_opcodes_have_the_specifications_names),
		T(the_opcode_is_read_whatever_else_is_set),
		T(exactly_eight_opcodes_are_forwarded),
		T(every_opcode_has_the_specifications_fields),
		T(no_opcode_has_a_field_that_does_not_exist),
		T(every_field_has_its_name),
		T(every_one_of_the_128_bits_is_in_the_right_fields),
		T(fields_of_random_commands_read_as_the_specification_says),
		T(res0_is_read_for_every_bit_outside_every_field),
		T(bytes_of_a_queue_are_read_as_little_endian),
		T(a_command_is_16_bytes_without_padding),
		T(every_kind_of_command_prints_as_documented),
		T(every_opcode_of_the_specification_was_printed),
		T(a_text_of_every_length_is_cut_as_snprintf_does),
		T(a_null_text_of_no_size_is_only_measured),
		T(text_max_is_room_for_any_16_bytes),
		T(different_commands_have_different_texts),
		T(cerrors_have_the_specifications_codes_and_names),
#undef T
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
