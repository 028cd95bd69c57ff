/* SPDX-License-Identifier: MIT */
/*
 * The rules for guest commands, one test each, named; then properties over all
 * of them against the second opinion in oracle.c and the kernel of the mock.
 * Numbers in parentheses are sections of Arm IHI 0070.
 */
#include "support.h"

#include <errno.h>
#include <string.h>

#include <smmuinv/check.h>

#include "check.h"
#include "mock/kernel.h"
#include "oracle.h"
#include "spec.h"

/* smmuinv_check() with everything it found. */
static int check(const struct smmuinv_command *command,
		 const struct smmuinv_features *guest,
		 const struct smmuinv_features *host,
		 struct smmuinv_finding *finding)
{
	*finding = (struct smmuinv_finding){ .size = sizeof(*finding) };
	return smmuinv_check(command, guest, host, finding);
}

static struct smmuinv_features without(struct smmuinv_features f,
				       enum smmuinv_feature feature)
{
	spec_feature_set(&f, feature, 0);
	return f;
}

static struct smmuinv_features
with(struct smmuinv_features f, enum smmuinv_feature feature, uint32_t value)
{
	spec_feature_set(&f, feature, value);
	return f;
}

/* Illegal, for this reason at this field. */
static void assert_illegal(struct smmuinv_command c,
			   struct smmuinv_features guest,
			   enum smmuinv_rule rule, enum smmuinv_field field)
{
	const struct smmuinv_features host = test_features_full();
	struct smmuinv_finding found;

	if (check(&c, &guest, &host, &found) != SMMUINV_ILLEGAL ||
	    found.rule != rule)
		fail_msg("%s: %s", test_text(&c),
			 smmuinv_rule_text(found.rule));
	assert_int_equal(found.field, field);
}

/* Legal, with this verdict; the command goes on as it is. */
static void assert_unchanged(struct smmuinv_command c,
			     struct smmuinv_features guest,
			     enum smmuinv_verdict verdict)
{
	const struct smmuinv_features host = test_features_full();
	struct smmuinv_finding found;

	if (check(&c, &guest, &host, &found) != (int)verdict)
		fail_msg("%s: %s", test_text(&c),
			 smmuinv_rule_text(found.rule));
	assert_true(test_command_equal(&c, &found.command));
	assert_int_equal(found.rule, verdict == SMMUINV_IGNORE ?
					     SMMUINV_RULE_PREFETCH :
					     SMMUINV_RULE_NONE);
}

/* Legal, with this verdict, as another command. */
static void assert_verdict_as(struct smmuinv_command c,
			      struct smmuinv_features guest,
			      enum smmuinv_verdict verdict,
			      struct smmuinv_command canonical)
{
	const struct smmuinv_features host = test_features_full();
	struct smmuinv_finding found;

	if (check(&c, &guest, &host, &found) != (int)verdict)
		fail_msg("%s: %s", test_text(&c),
			 smmuinv_rule_text(found.rule));
	if (!test_command_equal(&found.command, &canonical))
		fail_msg("%s becomes %s and not %s", test_text(&c),
			 test_text(&found.command), test_text(&canonical));
	assert_int_equal(found.rule, SMMUINV_RULE_NONE);
}

static void assert_becomes(struct smmuinv_command c,
			   struct smmuinv_features guest,
			   struct smmuinv_command canonical)
{
	assert_verdict_as(c, guest, SMMUINV_FORWARD, canonical);
}

static void assert_ignored(struct smmuinv_command c,
			   struct smmuinv_features guest,
			   enum smmuinv_rule rule)
{
	const struct smmuinv_features host = test_features_full();
	struct smmuinv_finding found;

	assert_int_equal(check(&c, &guest, &host, &found), SMMUINV_IGNORE);
	assert_int_equal(found.rule, rule);
}

/* A command from the values of its fields, FIELDS(VA, 0x1000, TG, 1). */
struct field_value {
	enum smmuinv_field field;
	uint64_t value;
};

static struct smmuinv_command
make(uint8_t opcode, const struct field_value *values, size_t count)
{
	uint64_t dw[2] = { opcode, 0 };
	size_t i;

	for (i = 0; i < count; i++)
		spec_field_put(dw, values[i].field, values[i].value);
	return test_command(dw[0], dw[1]);
}

#define MAKE(opcode, ...)                                 \
	make(SMMUINV_CMD_##opcode,                        \
	     (const struct field_value[]){ __VA_ARGS__ }, \
	     ARRAY_SIZE(((const struct field_value[]){ __VA_ARGS__ })))
#define PLAIN(opcode) test_command(SMMUINV_CMD_##opcode, 0)
#define V(name, value)                        \
	{                                     \
		SMMUINV_FIELD_##name, (value) \
	}

static bool is_secure(unsigned int opcode)
{
	return opcode == 0x18 || opcode == 0x1a ||  /* TLBI_EL3_* */
	       (opcode >= 0x50 && opcode <= 0x60 && /* TLBI_S*_*, SNH */
		spec_opcode((uint8_t)opcode));
}

/* 4.1.1, 4.1.3 */
static void every_reserved_opcode_is_illegal(void **state)
{
	unsigned int reserved = 0;
	unsigned int opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		if (spec_opcode((uint8_t)opcode))
			continue;
		reserved++;
		assert_illegal(test_command(opcode, 0), test_features_full(),
			       SMMUINV_RULE_RESERVED_OPCODE,
			       SMMUINV_FIELD_OPCODE);
		assert_illegal(
			test_command(~UINT64_C(0xff) | opcode, ~UINT64_C(0)),
			test_features_full(), SMMUINV_RULE_RESERVED_OPCODE,
			SMMUINV_FIELD_OPCODE);
	}
	assert_int_equal(reserved, 256 - 34);
}

/* 4.1.1: 0x80 to 0x8f; this SMMU defines none */
static void implementation_defined_opcodes_are_illegal(void **state)
{
	unsigned int opcode;

	(void)state;
	for (opcode = 0x80; opcode <= 0x8f; opcode++)
		assert_illegal(test_command(opcode, 0), test_features_full(),
			       SMMUINV_RULE_RESERVED_OPCODE,
			       SMMUINV_FIELD_OPCODE);
}

/* 4.4.2.5, 4.4.2.6, 4.4.2.11 to 14, 4.4.3.3, 4.4.3.4, 4.4.4.2 */
static void secure_opcodes_are_illegal_on_a_non_secure_queue(void **state)
{
	unsigned int secure = 0;
	unsigned int opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		if (!is_secure(opcode))
			continue;
		secure++;
		assert_illegal(test_command(opcode, 0), test_features_full(),
			       SMMUINV_RULE_SECURE_OPCODE,
			       SMMUINV_FIELD_OPCODE);
	}
	assert_int_equal(secure, 9);
}

/* 4.1.6 */
static void ssec_is_illegal_on_every_command_that_has_it(void **state)
{
	unsigned int with_ssec = 0;
	unsigned int opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		if (!spec_opcode_has_field((uint8_t)opcode, SMMUINV_FIELD_SSEC))
			continue;
		with_ssec++;
		assert_illegal(test_command(0x400 | opcode, 0),
			       test_features_full(), SMMUINV_RULE_SSEC,
			       SMMUINV_FIELD_SSEC);
	}
	assert_int_equal(with_ssec, 9);
}

/* 4.3.3, 4.3.4, 4.4.2 */
static void stage_1_commands_are_illegal_without_stage_1(void **state)
{
	static const uint8_t opcodes[] = { 0x05, 0x06, 0x10, 0x11, 0x12, 0x13 };
	struct smmuinv_features no_stage1 =
		without(test_features_full(), SMMUINV_FEATURE_S1P);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		assert_illegal(test_command(opcodes[i], 0), no_stage1,
			       SMMUINV_RULE_NO_STAGE1, SMMUINV_FIELD_OPCODE);
		assert_unchanged(test_command(opcodes[i], 0),
				 test_features_full(), SMMUINV_FORWARD);
	}
}

/* 4.4.4.1: valid whatever stages there are */
static void tlbi_nsnh_all_is_legal_without_stage_1(void **state)
{
	(void)state;
	assert_unchanged(PLAIN(TLBI_NSNH_ALL),
			 without(test_features_full(), SMMUINV_FEATURE_S1P),
			 SMMUINV_FORWARD);
	assert_unchanged(PLAIN(TLBI_NSNH_ALL), test_features_plain(),
			 SMMUINV_FORWARD);
}

/* Opcodes that need one feature, and are the VMM's if it is there. */
static void assert_vmms_with_feature_only(const uint8_t *opcodes, size_t count,
					  enum smmuinv_feature feature,
					  enum smmuinv_rule rule)
{
	struct smmuinv_features full = test_features_full();
	size_t i;

	for (i = 0; i < count; i++) {
		assert_illegal(test_command(opcodes[i], 0),
			       without(full, feature), rule,
			       SMMUINV_FIELD_OPCODE);
		assert_unchanged(test_command(opcodes[i], 0), full,
				 SMMUINV_VMM);
	}
}

/* 4.4.3.1, 4.4.3.2 */
static void stage_2_commands_are_illegal_without_stage_2(void **state)
{
	static const uint8_t opcodes[] = { 0x28, 0x2a };

	(void)state;
	assert_vmms_with_feature_only(opcodes, ARRAY_SIZE(opcodes),
				      SMMUINV_FEATURE_S2P,
				      SMMUINV_RULE_NO_STAGE2);
}

/* 4.4.2.7 to 4.4.2.10 */
static void el2_commands_are_illegal_without_hyp(void **state)
{
	static const uint8_t opcodes[] = { 0x20, 0x21, 0x22, 0x23 };

	(void)state;
	assert_vmms_with_feature_only(opcodes, ARRAY_SIZE(opcodes),
				      SMMUINV_FEATURE_HYP, SMMUINV_RULE_NO_HYP);
}

/* 4.3.5, 5.6.1: without MPAM or one of the stages there is no VMS */
static void cfgi_vms_pidm_is_illegal_without_a_vms(void **state)
{
	static const uint8_t opcodes[] = { 0x07 };
	static const enum smmuinv_feature needed[] = {
		SMMUINV_FEATURE_MPAM,
		SMMUINV_FEATURE_S1P,
		SMMUINV_FEATURE_S2P,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(needed); i++)
		assert_vmms_with_feature_only(opcodes, ARRAY_SIZE(opcodes),
					      needed[i], SMMUINV_RULE_NO_VMS);
}

/* 4.6.1, 4.6.2 */
static void dpti_commands_are_illegal_without_dpt(void **state)
{
	static const uint8_t opcodes[] = { 0x70, 0x73 };

	(void)state;
	assert_vmms_with_feature_only(opcodes, ARRAY_SIZE(opcodes),
				      SMMUINV_FEATURE_DPT, SMMUINV_RULE_NO_DPT);
}

/* 4.6.2: its layout is in a figure only, so none of it is decoded */
static void every_bit_of_a_dpti_pa_reaches_the_vmm(void **state)
{
	unsigned int bit;

	(void)state;
	for (bit = 8; bit < 128; bit++) {
		uint64_t dw[2] = { SMMUINV_CMD_DPTI_PA, 0 };

		dw[bit / 64] |= UINT64_C(1) << (bit % 64);
		assert_unchanged(test_command(dw[0], dw[1]),
				 test_features_full(), SMMUINV_VMM);
	}
	assert_unchanged(test_command(~UINT64_C(0xff) | SMMUINV_CMD_DPTI_PA,
				      ~UINT64_C(0)),
			 test_features_full(), SMMUINV_VMM);
}

/* 4.5.2 */
static void pri_resp_is_illegal_without_pri(void **state)
{
	static const uint8_t opcodes[] = { 0x41 };

	(void)state;
	assert_vmms_with_feature_only(opcodes, ARRAY_SIZE(opcodes),
				      SMMUINV_FEATURE_PRI, SMMUINV_RULE_NO_PRI);
}

/* 4.5.2: 0b11 is Reserved: ILLEGAL */
static void pri_resp_with_resp_3_is_illegal(void **state)
{
	uint64_t resp;

	(void)state;
	for (resp = 0; resp < 3; resp++)
		assert_unchanged(MAKE(PRI_RESP, V(RESP, resp), V(PRGINDEX, 511),
				      V(STREAMID, 9)),
				 test_features_full(), SMMUINV_VMM);
	assert_illegal(MAKE(PRI_RESP, V(RESP, 3)), test_features_full(),
		       SMMUINV_RULE_RESP_RESERVED, SMMUINV_FIELD_RESP);
}

/* 4.5.1 */
static void atc_inv_is_illegal_without_ats(void **state)
{
	(void)state;
	assert_illegal(PLAIN(ATC_INV),
		       without(test_features_full(), SMMUINV_FEATURE_ATS),
		       SMMUINV_RULE_NO_ATS, SMMUINV_FIELD_OPCODE);
	assert_unchanged(PLAIN(ATC_INV), test_features_full(), SMMUINV_FORWARD);
}

/* 4.5.1: 52 is everything; larger ones may be CERROR_ILL, and here are */
static void atc_inv_of_a_size_above_52_is_illegal(void **state)
{
	uint64_t size;

	(void)state;
	for (size = 0; size <= 52; size++)
		assert_unchanged(MAKE(ATC_INV, V(ATC_SIZE, size)),
				 test_features_full(), SMMUINV_FORWARD);
	for (size = 53; size < 64; size++)
		assert_illegal(MAKE(ATC_INV, V(ATC_SIZE, size)),
			       test_features_full(), SMMUINV_RULE_ATC_SIZE,
			       SMMUINV_FIELD_ATC_SIZE);
}

/* 4.7.1, 4.7.2: STALL_MODEL 0b01; 0b00 and 0b10 stall */
static void resume_and_stall_term_are_illegal_where_nothing_stalls(void **state)
{
	static const uint8_t opcodes[] = { 0x44, 0x45 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		struct smmuinv_command c = test_command(opcodes[i], 0);

		assert_unchanged(c,
				 with(test_features_full(),
				      SMMUINV_FEATURE_STALL_MODEL, 0),
				 SMMUINV_VMM);
		assert_illegal(c,
			       with(test_features_full(),
				    SMMUINV_FEATURE_STALL_MODEL, 1),
			       SMMUINV_RULE_NO_STALL, SMMUINV_FIELD_OPCODE);
		assert_unchanged(c,
				 with(test_features_full(),
				      SMMUINV_FEATURE_STALL_MODEL, 2),
				 SMMUINV_VMM);
	}
}

/* 4.7.3 */
static void sync_with_cs_3_is_illegal(void **state)
{
	uint64_t cs;

	(void)state;
	for (cs = 0; cs < 3; cs++)
		assert_unchanged(MAKE(SYNC, V(CS, cs)), test_features_full(),
				 SMMUINV_VMM);
	assert_illegal(MAKE(SYNC, V(CS, 3)), test_features_full(),
		       SMMUINV_RULE_CS_RESERVED, SMMUINV_FIELD_CS);
}

/* 4.7.3: they say how the VMM is to signal completion */
static void all_fields_of_a_sync_reach_the_vmm(void **state)
{
	(void)state;
	assert_unchanged(MAKE(SYNC, V(CS, 1), V(MSH, 3), V(MSIATTR, 15),
			      V(MSIDATA, 0xffffffff),
			      V(MSIADDRESS, 0x00fffffffffffffc)),
			 test_features_plain(), SMMUINV_VMM);
	assert_unchanged(PLAIN(SYNC), test_features_plain(), SMMUINV_VMM);
}

/* 4.3.1, 4.3.2: the stream table is the VMM's; Range 31 is CFGI_ALL */
static void
stream_table_commands_are_the_vmms_with_all_their_fields(void **state)
{
	uint64_t range;

	(void)state;
	assert_unchanged(MAKE(CFGI_STE, V(STREAMID, 0xffffffff), V(LEAF, 1)),
			 test_features_plain(), SMMUINV_VMM);
	for (range = 0; range < 32; range++)
		assert_unchanged(MAKE(CFGI_STE_RANGE, V(STREAMID, 0xffffffff),
				      V(RANGE, range)),
				 test_features_plain(), SMMUINV_VMM);
}

/* 4.7.1 */
static void all_fields_of_a_resume_reach_the_vmm(void **state)
{
	(void)state;
	assert_unchanged(MAKE(RESUME, V(STREAMID, 0xffffffff), V(STAG, 0xffff),
			      V(ACTION, 1), V(ABORT, 1)),
			 test_features_full(), SMMUINV_VMM);
}

/* 4.2: a hint, which needs no effect */
static void prefetches_are_ignored(void **state)
{
	(void)state;
	assert_ignored(PLAIN(PREFETCH_CONFIG), test_features_plain(),
		       SMMUINV_RULE_PREFETCH);
	assert_ignored(MAKE(PREFETCH_CONFIG, V(STREAMID, 0xffffffff), V(SSV, 1),
			    V(SUBSTREAMID, 0xfffff)),
		       test_features_plain(), SMMUINV_RULE_PREFETCH);
	assert_ignored(MAKE(PREFETCH_ADDR, V(STREAMID, 1), V(STRIDE, 31),
			    V(PREFETCH_SIZE, 31), V(ADDR, ~UINT64_C(0xfff))),
		       test_features_full(), SMMUINV_RULE_PREFETCH);
}

/* 4.1.3: CERROR_ILL takes precedence over IGNORED */
static void what_is_illegal_is_not_ignored(void **state)
{
	struct smmuinv_features few =
		with(test_features_full(), SMMUINV_FEATURE_SSIDSIZE, 4);

	(void)state;
	assert_illegal(MAKE(PREFETCH_CONFIG, V(SSEC, 1)), few,
		       SMMUINV_RULE_SSEC, SMMUINV_FIELD_SSEC);
	assert_illegal(MAKE(CFGI_CD, V(SSEC, 1), V(SUBSTREAMID, 0x10)), few,
		       SMMUINV_RULE_SSEC, SMMUINV_FIELD_SSEC);
	assert_illegal(
		MAKE(ATC_INV, V(SSV, 1), V(SUBSTREAMID, 0x10), V(ATC_SIZE, 53)),
		few, SMMUINV_RULE_ATC_SIZE, SMMUINV_FIELD_ATC_SIZE);
}

static const uint8_t by_address[] = {
	SMMUINV_CMD_TLBI_NH_VA,  SMMUINV_CMD_TLBI_NH_VAA,
	SMMUINV_CMD_TLBI_EL2_VA, SMMUINV_CMD_TLBI_EL2_VAA,
	SMMUINV_CMD_TLBI_S2_IPA,
};

static enum smmuinv_verdict by_address_verdict(uint8_t opcode)
{
	return opcode <= SMMUINV_CMD_TLBI_NH_VAA ? SMMUINV_FORWARD :
						   SMMUINV_VMM;
}

/* Any TLBI by address, with these range fields. */
static struct smmuinv_command range(uint8_t opcode, uint64_t tg, uint64_t ttl,
				    uint64_t num, uint64_t scale)
{
	return make(opcode,
		    (const struct field_value[]){ V(TG, tg), V(TTL, ttl),
						  V(NUM, num),
						  V(SCALE, scale) },
		    4);
}

/* 4.4.1.1: the combination is Reserved and causes CERROR_ILL */
static void tg_without_num_scale_ttl_is_illegal(void **state)
{
	uint64_t tg;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(by_address); i++)
		for (tg = 1; tg < 4; tg++)
			assert_illegal(range(by_address[i], tg, 0, 0, 0),
				       test_features_full(),
				       SMMUINV_RULE_RANGE_RESERVED,
				       SMMUINV_FIELD_TG);
}

/* 4.4.1.1: the address alone, entries of any granule */
static void no_tg_with_nothing_else_is_the_plain_command(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(by_address); i++)
		assert_unchanged(range(by_address[i], 0, 0, 0, 0),
				 test_features_full(),
				 by_address_verdict(by_address[i]));
}

/*
 * 4.4.1.1: TTL 0b01 for the 16KB granule needs IDR5.DS. Without it, it is
 * "Reserved, and hardware treats as TTL == 0b00", which with a range is legal.
 */
static void ttl_1_of_a_16k_range_counts_as_0_without_ds(void **state)
{
	struct smmuinv_features no_ds =
		without(test_features_full(), SMMUINV_FEATURE_DS);
	uint64_t num, scale;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(by_address); i++)
		for (num = 0; num < 32; num++)
			for (scale = !num; scale < 32; scale++)
				assert_verdict_as(
					range(by_address[i], 2, 1, num, scale),
					no_ds,
					by_address_verdict(by_address[i]),
					range(by_address[i], 2, 0, num, scale));
	assert_unchanged(range(0x12, 2, 1, 1, 0), test_features_full(),
			 SMMUINV_FORWARD);
	assert_unchanged(range(0x12, 1, 1, 1, 0), no_ds, SMMUINV_FORWARD);
	assert_unchanged(range(0x12, 3, 1, 1, 0), no_ds, SMMUINV_FORWARD);
	assert_unchanged(range(0x12, 2, 2, 1, 0), no_ds, SMMUINV_FORWARD);
}

/* 4.4.1.1: "raises a CERROR_ILL, since TTL is treated as 0b00" */
static void ttl_1_of_16k_without_a_range_is_illegal_without_ds(void **state)
{
	struct smmuinv_features no_ds =
		without(test_features_full(), SMMUINV_FEATURE_DS);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(by_address); i++)
		assert_illegal(range(by_address[i], 2, 1, 0, 0), no_ds,
			       SMMUINV_RULE_RANGE_RESERVED, SMMUINV_FIELD_TG);
	assert_unchanged(range(0x12, 2, 1, 0, 0), test_features_full(),
			 SMMUINV_FORWARD);
	assert_unchanged(range(0x12, 1, 1, 0, 0), no_ds, SMMUINV_FORWARD);
	assert_unchanged(range(0x12, 3, 1, 0, 0), no_ds, SMMUINV_FORWARD);
	assert_unchanged(range(0x12, 2, 2, 0, 0), no_ds, SMMUINV_FORWARD);
}

/* 4.4.1.1: TTL128 is RES0 where TTL is 0b00, and a reserved TTL is that */
static void ttl128_goes_with_a_reserved_ttl(void **state)
{
	struct smmuinv_features d128 =
		with(without(test_features_full(), SMMUINV_FEATURE_DS),
		     SMMUINV_FEATURE_D128, 1);

	(void)state;
	assert_becomes(
		MAKE(TLBI_NH_VA, V(TG, 2), V(TTL, 1), V(NUM, 3), V(TTL128, 1)),
		d128, range(0x12, 2, 0, 3, 0));
}

/* 4.4.1.1: values greater than 39 are treated as 39 */
static void a_scale_above_39_counts_as_39(void **state)
{
	uint64_t scale;

	(void)state;
	for (scale = 1; scale < 64; scale++)
		assert_becomes(range(0x12, 1, 0, 5, scale),
			       test_features_full(),
			       range(0x12, 1, 0, 5, scale > 39 ? 39 : scale));
}

/* 4.4.1.1: SCALE is bits [24:20], bit 25 is RES0, without IDR5.DS */
static void scale_has_five_bits_without_ds(void **state)
{
	struct smmuinv_features no_ds =
		without(test_features_full(), SMMUINV_FEATURE_DS);
	uint64_t scale;

	(void)state;
	for (scale = 0; scale < 64; scale++)
		assert_becomes(range(0x13, 1, 0, 5, scale), no_ds,
			       range(0x13, 1, 0, 5, scale & 31));
}

/* 4.4.1.1: what is left of a SCALE may be the reserved encoding */
static void a_scale_of_32_alone_is_reserved_without_ds(void **state)
{
	const struct smmuinv_features no_ds =
		without(test_features_full(), SMMUINV_FEATURE_DS);
	struct smmuinv_command c = range(0x12, 1, 0, 0, 32);
	struct smmuinv_finding found;

	(void)state;
	assert_int_equal(check(&c, &no_ds, &no_ds, &found), SMMUINV_ILLEGAL);
	assert_int_equal(found.rule, SMMUINV_RULE_RANGE_RESERVED);
}

/* 4.4.1.1: SCALE, NUM, TG and TTL are RES0 without IDR3.RIL */
static void range_fields_are_cleared_where_the_guest_has_no_ril(void **state)
{
	struct smmuinv_features no_ril =
		without(test_features_full(), SMMUINV_FEATURE_RIL);
	uint64_t tg;

	(void)state;
	for (tg = 0; tg < 4; tg++) {
		assert_becomes(range(0x12, tg, 3, 31, 63), no_ril,
			       PLAIN(TLBI_NH_VA));
		assert_becomes(range(0x12, tg, 0, 0, 0), no_ril,
			       PLAIN(TLBI_NH_VA));
	}
}

/* 4.4.1.1: NUM, SCALE and TTL are RES0 when TG is 0b00 */
static void range_fields_without_tg_are_cleared(void **state)
{
	(void)state;
	assert_becomes(range(0x12, 0, 3, 0, 0), test_features_full(),
		       PLAIN(TLBI_NH_VA));
	assert_becomes(range(0x12, 0, 0, 31, 0), test_features_full(),
		       PLAIN(TLBI_NH_VA));
	assert_becomes(range(0x13, 0, 0, 0, 63), test_features_full(),
		       PLAIN(TLBI_NH_VAA));
}

/* 4.4.1.1: any leaf; a guess would leave block entries */
static void ttl_0_stays_0(void **state)
{
	uint64_t tg;

	(void)state;
	for (tg = 1; tg < 4; tg++)
		assert_unchanged(range(0x12, tg, 0, 31, 31),
				 test_features_full(), SMMUINV_FORWARD);
}

/* 4.4.1.1: UNPREDICTABLE, which is not illegal */
static void ranges_that_are_not_aligned_go_through_as_given(void **state)
{
	unsigned int n;

	(void)state;
	for (n = 0; n < 3 * 4 * 52; n++)
		assert_unchanged(MAKE(TLBI_NH_VA, V(TG, 1 + n % 3),
				      V(TTL, n / 3 % 4), V(NUM, 1),
				      V(VA, UINT64_C(4096) << n / 12),
				      V(ASID, 7), V(LEAF, 1)),
				 test_features_full(), SMMUINV_FORWARD);
}

/* 4.4.1.1: they do not wrap; what they do reach they must reach */
static void ranges_beyond_the_top_or_the_half_go_through_as_given(void **state)
{
	(void)state;
	assert_unchanged(MAKE(TLBI_NH_VA, V(TG, 3), V(NUM, 31), V(SCALE, 39),
			      V(VA, ~UINT64_C(0xffff))),
			 test_features_full(), SMMUINV_FORWARD);
	assert_unchanged(MAKE(TLBI_NH_VAA, V(TG, 3), V(NUM, 31), V(SCALE, 39),
			      V(VA, 0x7fffffffffff0000)),
			 test_features_full(), SMMUINV_FORWARD);
}

/* 4.4: the low bits are ignored as the size of the entry needs */
static void a_single_address_inside_a_block_goes_through_as_given(void **state)
{
	(void)state;
	assert_unchanged(MAKE(TLBI_NH_VA, V(VA, 0x0000123456789000)),
			 test_features_full(), SMMUINV_FORWARD);
}

/* 4.4.1.1: TTL128 is RES0 without 128-bit descriptors */
static void
ttl128_is_cleared_where_the_guest_has_no_128_bit_descriptors(void **state)
{
	(void)state;
	assert_becomes(MAKE(TLBI_NH_VA, V(TG, 1), V(TTL, 3), V(TTL128, 1)),
		       test_features_full(), range(0x12, 1, 3, 0, 0));
	assert_becomes(MAKE(TLBI_NH_VA, V(TTL128, 1)), test_features_full(),
		       PLAIN(TLBI_NH_VA));
}

/*
 * 4.4.1.1: with IDR5.D128 the hint is of another format. No kernel takes it,
 * and without it the command would invalidate something else.
 */
static void
ttl128_of_a_guest_with_128_bit_descriptors_is_not_dropped(void **state)
{
	const struct smmuinv_features guest =
		with(test_features_full(), SMMUINV_FEATURE_D128, 1);
	/* Even if the host's registers were the hardware's own. */
	const struct smmuinv_features hosts[] = { test_features_full(), guest };
	struct smmuinv_command c =
		MAKE(TLBI_NH_VA, V(TG, 1), V(TTL, 3), V(TTL128, 1));
	struct smmuinv_finding found;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		assert_int_equal(check(&c, &guest, &hosts[i], &found),
				 -EOPNOTSUPP);
		assert_int_equal(found.rule, SMMUINV_RULE_HOST_LACKS);
		assert_int_equal(found.field, SMMUINV_FIELD_TTL128);
	}
}

/* 4.1.5 for one bit that is zero in a legal command: as if it were not set. */
static void one_res0_bit(const struct smmuinv_command *base, unsigned int bit,
			 const struct smmuinv_features *smmu)
{
	uint64_t dw[2] = { test_dw0(base), test_dw1(base) };
	struct smmuinv_command c;
	struct smmuinv_finding clean;
	struct smmuinv_finding found;
	int verdict;

	dw[bit / 64] |= UINT64_C(1) << (bit % 64);
	c = test_command(dw[0], dw[1]);
	verdict = check(base, smmu, smmu, &clean);
	if (check(&c, smmu, smmu, &found) != verdict ||
	    !test_command_equal(&found.command, &clean.command))
		fail_msg("bit %u: %s becomes %s", bit, test_text(&c),
			 test_text(&found.command));
	assert_int_equal(found.rule, clean.rule);
}

/* 4.4.1.1: it is a hint about TTL, and RES0 without that or TG */
static void
ttl128_without_ttl_is_res0_with_128_bit_descriptors_too(void **state)
{
	const struct smmuinv_features smmu =
		with(test_features_full(), SMMUINV_FEATURE_D128, 1);
	struct smmuinv_command single = PLAIN(TLBI_NH_VA);
	struct smmuinv_command ranged = range(0x13, 1, 0, 1, 1);

	(void)state;
	one_res0_bit(&single, 71, &smmu);
	one_res0_bit(&ranged, 71, &smmu);
}

/* The verdict that the rules of 4.4.1.1 give for the four range fields. */
static int range_verdict(uint64_t tg, uint64_t ttl, uint64_t num,
			 uint64_t scale, bool ril, bool ds,
			 struct smmuinv_command *c, uint8_t opcode)
{
	if (!ril)
		tg = 0;
	if (!tg)
		ttl = num = scale = 0;
	if (!ds)
		scale &= 31;
	if (tg == 2 && ttl == 1 && !ds)
		ttl = 0;
	if (tg && !ttl && !num && !scale)
		return SMMUINV_ILLEGAL;
	*c = range(opcode, tg, ttl, num, scale > 39 ? 39 : scale);
	return by_address_verdict(opcode);
}

/* All TG, TTL, NUM and SCALE of one opcode. */
static void all_ranges(uint8_t opcode, bool ril, bool ds)
{
	const struct smmuinv_features host = test_features_full();
	struct smmuinv_features guest = test_features_full();
	struct smmuinv_command expected = { { 0, 0 } };
	struct smmuinv_command c;
	struct smmuinv_finding found;
	uint64_t n;
	int verdict;

	spec_feature_set(&guest, SMMUINV_FEATURE_RIL, ril);
	spec_feature_set(&guest, SMMUINV_FEATURE_DS, ds);
	for (n = 0; n < 4 * 4 * 32 * 64; n++) {
		c = range(opcode, n & 3, n >> 2 & 3, n >> 4 & 31, n >> 9);
		verdict = range_verdict(n & 3, n >> 2 & 3, n >> 4 & 31, n >> 9,
					ril, ds, &expected, opcode);
		if (check(&c, &guest, &host, &found) != verdict)
			fail_msg("ril %d, ds %d: %s: %s", ril, ds,
				 test_text(&c), smmuinv_rule_text(found.rule));
		if (verdict != SMMUINV_ILLEGAL &&
		    !test_command_equal(&found.command, &expected))
			fail_msg("ril %d, ds %d: %s becomes %s", ril, ds,
				 test_text(&c), test_text(&found.command));
	}
}

/* 4.4.1.1, exhaustively */
static void
every_combination_of_the_range_fields_is_judged_as_specified(void **state)
{
	static const uint8_t opcodes[] = { 0x12, 0x13, 0x22, 0x2a };
	unsigned int n;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(opcodes); i++)
		for (n = 0; n < 4; n++)
			all_ranges(opcodes[i], n & 1, n & 2);
}

/* 4.4: the upper 8 bits are RES0 when ASIDs have 8 */
static void
tlbi_nh_asid_upper_asid_byte_is_cleared_when_the_guest_has_8_bit_asids(
	void **state)
{
	struct smmuinv_features asid8 =
		without(test_features_full(), SMMUINV_FEATURE_ASID16);
	uint64_t asid;

	(void)state;
	for (asid = 0; asid <= 0xffff; asid++)
		assert_becomes(MAKE(TLBI_NH_ASID, V(ASID, asid)), asid8,
			       MAKE(TLBI_NH_ASID, V(ASID, asid & 0xff)));
}

static void
tlbi_nh_va_upper_asid_byte_is_cleared_when_the_guest_has_8_bit_asids(
	void **state)
{
	struct smmuinv_features asid8 =
		without(test_features_full(), SMMUINV_FEATURE_ASID16);

	(void)state;
	assert_becomes(MAKE(TLBI_NH_VA, V(ASID, 0xabcd), V(VA, 0x1000)), asid8,
		       MAKE(TLBI_NH_VA, V(ASID, 0xcd), V(VA, 0x1000)));
}

static void all_16_bits_of_an_asid_go_on_when_the_guest_has_them(void **state)
{
	uint64_t asid;

	(void)state;
	for (asid = 0; asid <= 0xffff; asid += 0x101) {
		assert_unchanged(MAKE(TLBI_NH_ASID, V(ASID, asid)),
				 test_features_full(), SMMUINV_FORWARD);
		assert_unchanged(MAKE(TLBI_NH_VA, V(ASID, asid)),
				 test_features_full(), SMMUINV_FORWARD);
	}
}

/* The kernel puts the guest's own in; 4.4.2 makes it RES0 without stage 2. */
static void the_vmid_of_what_is_forwarded_is_cleared(void **state)
{
	static const uint8_t opcodes[] = { 0x10, 0x11, 0x12, 0x13 };
	struct smmuinv_features stage1 =
		without(test_features_full(), SMMUINV_FEATURE_S2P);
	unsigned int n;

	(void)state;
	for (n = 0; n < 4 * 16; n++) {
		uint64_t bit = UINT64_C(1) << (32 + n / 4);
		struct smmuinv_command vmid =
			test_command(opcodes[n % 4] | bit, 0);
		struct smmuinv_command none = test_command(opcodes[n % 4], 0);

		assert_becomes(vmid, test_features_full(), none);
		assert_becomes(vmid, stage1, none);
	}
}

/* 4.4.3: the VMM that emulates stage 2 needs it */
static void the_vmid_of_what_the_vmm_emulates_is_kept(void **state)
{
	(void)state;
	assert_unchanged(MAKE(TLBI_S12_VMALL, V(VMID, 0xffff)),
			 test_features_full(), SMMUINV_VMM);
	assert_unchanged(MAKE(TLBI_S2_IPA, V(VMID, 0xffff)),
			 test_features_full(), SMMUINV_VMM);
	assert_unchanged(MAKE(CFGI_VMS_PIDM, V(VMID, 0xffff)),
			 test_features_full(), SMMUINV_VMM);
}

/* 4.4: VMIDs of 8 bits */
static void the_upper_byte_of_a_vmid_is_cleared_without_vmid16(void **state)
{
	const struct smmuinv_features vmid8 =
		without(test_features_full(), SMMUINV_FEATURE_VMID16);
	uint64_t vmid;

	(void)state;
	for (vmid = 0; vmid <= 0xffff; vmid++)
		assert_verdict_as(MAKE(TLBI_S12_VMALL, V(VMID, vmid)), vmid8,
				  SMMUINV_VMM,
				  MAKE(TLBI_S12_VMALL, V(VMID, vmid & 0xff)));
}

/* A command of the SubstreamID 1 << @bit, on SMMUs with 1 to 20 bits. */
static void judge_ssid(struct smmuinv_command c, uint32_t bit)
{
	uint32_t bits;

	for (bits = 1; bits <= 20; bits++) {
		struct smmuinv_features guest = with(
			test_features_full(), SMMUINV_FEATURE_SSIDSIZE, bits);

		if (bit < bits)
			assert_unchanged(c, guest, SMMUINV_FORWARD);
		else
			assert_ignored(c, guest,
				       SMMUINV_RULE_SSID_OUT_OF_RANGE);
	}
}

/* 4.1.7, 4.3.3: nothing can be cached for it */
static void a_cfgi_cd_of_a_substreamid_out_of_range_is_ignored(void **state)
{
	uint32_t bit;

	(void)state;
	for (bit = 0; bit < 20; bit++)
		judge_ssid(MAKE(CFGI_CD, V(STREAMID, 5),
				V(SUBSTREAMID, UINT64_C(1) << bit)),
			   bit);
}

/* 4.3.3: it might invalidate the single cached CD, so it does */
static void without_substreams_any_cfgi_cd_is_of_the_one_cd(void **state)
{
	struct smmuinv_features none =
		without(test_features_full(), SMMUINV_FEATURE_SSIDSIZE);
	uint32_t bit;

	(void)state;
	for (bit = 0; bit < 20; bit++)
		assert_becomes(MAKE(CFGI_CD, V(STREAMID, 5), V(LEAF, 1),
				    V(SUBSTREAMID, UINT64_C(1) << bit)),
			       none, MAKE(CFGI_CD, V(STREAMID, 5), V(LEAF, 1)));
}

/* 4.1.7 */
static void an_atc_inv_of_a_substreamid_out_of_range_is_ignored(void **state)
{
	uint32_t bit;

	(void)state;
	for (bit = 0; bit < 20; bit++)
		judge_ssid(MAKE(ATC_INV, V(SSV, 1), V(GLOBAL, 1),
				V(SUBSTREAMID, UINT64_C(1) << bit)),
			   bit);
}

/* 4.5.1 */
static void
substreamid_and_global_of_an_atc_inv_are_ignored_without_ssv(void **state)
{
	const struct smmuinv_features full = test_features_full();
	const struct smmuinv_command plain =
		MAKE(ATC_INV, V(STREAMID, 3), V(ADDR, 0x1000));
	struct smmuinv_finding found;
	uint32_t bit;

	(void)state;
	for (bit = 0; bit < 20; bit++) {
		struct smmuinv_command c = MAKE(
			ATC_INV, V(STREAMID, 3), V(ADDR, 0x1000),
			V(SUBSTREAMID, UINT64_C(1) << bit), V(GLOBAL, bit & 1));

		assert_int_equal(check(&c, &full, &full, &found),
				 SMMUINV_FORWARD);
		assert_true(test_command_equal(&found.command, &plain));
	}
}

/* 4.5.1: SSV may behave as 0, which is the choice that reaches more */
static void without_substreams_the_ssv_of_an_atc_inv_counts_as_0(void **state)
{
	struct smmuinv_features none =
		without(test_features_full(), SMMUINV_FEATURE_SSIDSIZE);

	(void)state;
	assert_becomes(MAKE(ATC_INV, V(STREAMID, 3), V(SSV, 1), V(GLOBAL, 1),
			    V(SUBSTREAMID, 0xfffff), V(ATC_SIZE, 52)),
		       none, MAKE(ATC_INV, V(STREAMID, 3), V(ATC_SIZE, 52)));
}

/* 4.1.7: out of range is no error; which vSIDs there are is not known here */
static void any_streamid_goes_through_as_given(void **state)
{
	struct smmuinv_features guest =
		with(test_features_full(), SMMUINV_FEATURE_SIDSIZE, 1);
	uint32_t bit;

	(void)state;
	for (bit = 0; bit < 32; bit++) {
		uint64_t sid = UINT64_C(1) << bit;

		assert_unchanged(MAKE(CFGI_CD, V(STREAMID, sid)), guest,
				 SMMUINV_FORWARD);
		assert_unchanged(MAKE(CFGI_CD_ALL, V(STREAMID, sid)), guest,
				 SMMUINV_FORWARD);
		assert_unchanged(MAKE(ATC_INV, V(STREAMID, sid)), guest,
				 SMMUINV_FORWARD);
		assert_unchanged(MAKE(CFGI_STE, V(STREAMID, sid)), guest,
				 SMMUINV_VMM);
	}
}

/* 4.1.7, 4.4.2, 4.5.1 */
static void any_address_goes_through_as_given(void **state)
{
	unsigned int bit;

	(void)state;
	for (bit = 12; bit < 64; bit++) {
		uint64_t address = UINT64_C(1) << bit;

		assert_unchanged(MAKE(TLBI_NH_VA, V(VA, address)),
				 test_features_plain(), SMMUINV_FORWARD);
		assert_unchanged(MAKE(TLBI_NH_VAA, V(VA, address)),
				 test_features_plain(), SMMUINV_FORWARD);
		assert_unchanged(
			MAKE(ATC_INV, V(ADDR, address), V(ATC_SIZE, 51)),
			test_features_full(), SMMUINV_FORWARD);
	}
}

/* 4.3.3, 4.4.2.3, 4.4.2.4: Leaf=0 reaches more, and is never set */
static void leaf_goes_through_as_given(void **state)
{
	static const uint8_t opcodes[] = { 0x05, 0x12, 0x13 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		assert_unchanged(test_command(opcodes[i], 0),
				 test_features_full(), SMMUINV_FORWARD);
		assert_unchanged(test_command(opcodes[i], 1),
				 test_features_full(), SMMUINV_FORWARD);
	}
}

/* A legal command of every opcode, with its fields filled and range set. */
static struct smmuinv_command filled(uint8_t opcode)
{
	uint64_t dw[2] = { opcode, 0 };
	unsigned int i;

	for (i = SMMUINV_FIELD_OPCODE + 1; i < SMMUINV_FIELD_RES0; i++) {
		enum smmuinv_field field = (enum smmuinv_field)i;

		if (spec_opcode_has_field(opcode, field))
			spec_field_put(dw, field, 1);
	}
	spec_field_put(dw, SMMUINV_FIELD_OPCODE, opcode);
	if (spec_opcode_has_field(opcode, SMMUINV_FIELD_SSEC))
		spec_field_put(dw, SMMUINV_FIELD_SSEC, 0);
	if (spec_opcode_has_field(opcode, SMMUINV_FIELD_TTL128))
		spec_field_put(dw, SMMUINV_FIELD_TTL128, 0);
	return test_command(dw[0], dw[1]);
}

/* Every bit of a legal command that is RES0 on this SMMU. */
static void every_res0_bit(const struct smmuinv_command *base,
			   const struct smmuinv_features *smmu,
			   const uint64_t fields[2])
{
	unsigned int bit;

	for (bit = 8; bit < 128; bit++) {
		if (!(fields[bit / 64] & UINT64_C(1) << (bit % 64)))
			one_res0_bit(base, bit, smmu);
	}
}

/* 4.1.5: every one of 128 bits, for every opcode that there is */
static void a_bit_in_no_field_is_cleared(void **state)
{
	const struct smmuinv_features full = test_features_full();
	unsigned int opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		struct smmuinv_command base = filled((uint8_t)opcode);
		uint64_t fields[2] = {
			spec_opcode_mask((uint8_t)opcode, 0),
			spec_opcode_mask((uint8_t)opcode, 1),
		};

		if (!spec_opcode((uint8_t)opcode) || is_secure(opcode))
			continue;
		/* RES0 without 128-bit descriptors (4.4.1.1) */
		if (spec_opcode_has_field((uint8_t)opcode,
					  SMMUINV_FIELD_TTL128))
			fields[1] &= ~UINT64_C(0x80);
		every_res0_bit(&base, &full, fields);
	}
}

/* 4.4.1.1, 4.4, 4.4.2: fields that are RES0 by what the SMMU lacks */
static void a_field_that_the_smmu_lacks_is_cleared(void **state)
{
	const struct smmuinv_features full = test_features_full();
	unsigned int opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++) {
		const struct smmuinv_command plain = test_command(opcode, 0);
		const uint64_t all[2] = {
			spec_opcode_mask((uint8_t)opcode, 0),
			spec_opcode_mask((uint8_t)opcode, 1),
		};
		struct smmuinv_features smmu;

		if (spec_opcode_has_field((uint8_t)opcode,
					  SMMUINV_FIELD_ASID) &&
		    !is_secure(opcode)) {
			smmu = without(full, SMMUINV_FEATURE_ASID16);
			every_res0_bit(&plain, &smmu,
				       (const uint64_t[2]){
					       all[0] & 0x00ffffffffffffff &
						       ~UINT64_C(0x3f1f000),
					       all[1] & ~UINT64_C(0x380),
				       });
		}
		if (spec_opcode_has_field((uint8_t)opcode, SMMUINV_FIELD_TG) &&
		    !is_secure(opcode)) {
			smmu = without(full, SMMUINV_FEATURE_RIL);
			every_res0_bit(&plain, &smmu,
				       (const uint64_t[2]){
					       all[0] & ~UINT64_C(0x3f1f000),
					       all[1] & ~UINT64_C(0xf80),
				       });
		}
	}
}

/* 4.4.1.1: bit 25 in a range, without IDR5.DS */
static void scale_bit_5_is_cleared_without_ds(void **state)
{
	const struct smmuinv_features no_ds =
		without(test_features_full(), SMMUINV_FEATURE_DS);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(by_address); i++) {
		struct smmuinv_command base = range(by_address[i], 1, 3, 1, 1);

		one_res0_bit(&base, 25, &no_ds);
	}
}

/* 4.4.2: VMIDs are RES0 where there is no stage 2 */
static void a_vmid_without_stage_2_is_cleared(void **state)
{
	static const uint8_t opcodes[] = { 0x10, 0x11, 0x12, 0x13 };
	const struct smmuinv_features stage1 =
		without(test_features_full(), SMMUINV_FEATURE_S2P);
	unsigned int bit;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		struct smmuinv_command base = test_command(opcodes[i], 0);

		for (bit = 32; bit < 48; bit++)
			one_res0_bit(&base, bit, &stage1);
	}
}

/* What the kernel fills in, or is RES0 without 128-bit descriptors. */
static bool goes_on(uint8_t opcode, unsigned int bit)
{
	uint64_t one = UINT64_C(1) << (bit % 64);
	bool forwarded = memchr(oracle_forwarded, opcode, 8);

	if (!(spec_opcode_mask(opcode, bit / 64) & one))
		return false;
	if (bit == 71 && spec_opcode_has_field(opcode, SMMUINV_FIELD_TTL128))
		return false;
	return !forwarded || bit / 64 ||
	       !spec_opcode_has_field(opcode, SMMUINV_FIELD_VMID) ||
	       !(one & spec_fields[SMMUINV_FIELD_VMID].mask);
}

/* 4.1.5 is about RES0 bits and nothing else */
static void every_bit_of_a_field_goes_on(void **state)
{
	const struct smmuinv_features full = test_features_full();
	unsigned int legal = 0;
	unsigned int opcode;
	unsigned int bit;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++)
		for (bit = 8; bit < 128; bit++) {
			struct smmuinv_command base = filled((uint8_t)opcode);
			uint64_t dw[2] = { test_dw0(&base), test_dw1(&base) };
			uint64_t one = UINT64_C(1) << (bit % 64);
			struct smmuinv_finding found;
			int verdict;

			if (!goes_on((uint8_t)opcode, bit))
				continue;
			dw[bit / 64] |= one;
			base = test_command(dw[0], dw[1]);
			verdict = check(&base, &full, &full, &found);
			if (verdict == SMMUINV_ILLEGAL)
				continue;
			legal++;
			dw[0] = test_dw0(&found.command);
			dw[1] = test_dw1(&found.command);
			if (!(dw[bit / 64] & one))
				fail_msg("bit %u of %s", bit, test_text(&base));
		}
	assert_true(legal > 1000);
}

/* Legal for a guest that was shown more than the host has. */
static void host_cannot(struct smmuinv_command c, enum smmuinv_feature feature,
			uint32_t value, enum smmuinv_field field)
{
	const struct smmuinv_features guest = test_features_full();
	const struct smmuinv_features host = with(guest, feature, value);
	struct smmuinv_finding found;
	int r;

	r = check(&c, &guest, &host, &found);
	if (r != -EOPNOTSUPP || found.rule != SMMUINV_RULE_HOST_LACKS)
		fail_msg("%s: %d, %s", test_text(&c), r,
			 smmuinv_rule_text(found.rule));
	assert_int_equal(found.field, field);
	assert_int_equal(smmuinv_check(&c, &guest, &host, NULL), -EOPNOTSUPP);
}

static void what_the_host_cannot_say_is_not_supported_and_named(void **state)
{
	(void)state;
	host_cannot(PLAIN(ATC_INV), SMMUINV_FEATURE_ATS, 0,
		    SMMUINV_FIELD_OPCODE);
	host_cannot(MAKE(TLBI_NH_ASID, V(ASID, 0x100)), SMMUINV_FEATURE_ASID16,
		    0, SMMUINV_FIELD_ASID);
	host_cannot(MAKE(TLBI_NH_VA, V(ASID, 0x8000)), SMMUINV_FEATURE_ASID16,
		    0, SMMUINV_FIELD_ASID);
	host_cannot(range(0x12, 1, 0, 1, 0), SMMUINV_FEATURE_RIL, 0,
		    SMMUINV_FIELD_TG);
	host_cannot(range(0x13, 3, 3, 0, 0), SMMUINV_FEATURE_RIL, 0,
		    SMMUINV_FIELD_TG);
	host_cannot(range(0x12, 2, 1, 0, 0), SMMUINV_FEATURE_DS, 0,
		    SMMUINV_FIELD_TTL);
	host_cannot(range(0x12, 1, 0, 0, 32), SMMUINV_FEATURE_DS, 0,
		    SMMUINV_FIELD_SCALE);
	host_cannot(MAKE(CFGI_CD, V(SUBSTREAMID, 0x10)),
		    SMMUINV_FEATURE_SSIDSIZE, 4, SMMUINV_FIELD_SUBSTREAMID);
	host_cannot(MAKE(CFGI_CD, V(SUBSTREAMID, 1)), SMMUINV_FEATURE_SSIDSIZE,
		    0, SMMUINV_FIELD_SUBSTREAMID);
	host_cannot(MAKE(ATC_INV, V(SSV, 1), V(SUBSTREAMID, 0x10)),
		    SMMUINV_FEATURE_SSIDSIZE, 4, SMMUINV_FIELD_SUBSTREAMID);
	host_cannot(MAKE(ATC_INV, V(SSV, 1)), SMMUINV_FEATURE_SSIDSIZE, 0,
		    SMMUINV_FIELD_SSV);
}

static void a_weaker_host_still_takes_what_it_can_say(void **state)
{
	const struct smmuinv_features guest = test_features_full();
	const struct smmuinv_features host = test_features_plain();
	const struct smmuinv_command fine[] = {
		PLAIN(TLBI_NH_ALL),
		PLAIN(TLBI_NSNH_ALL),
		PLAIN(CFGI_CD_ALL),
		MAKE(CFGI_CD, V(STREAMID, 5), V(LEAF, 1)),
		MAKE(TLBI_NH_ASID, V(ASID, 0xff)),
		MAKE(TLBI_NH_VA, V(ASID, 0xff), V(VA, ~UINT64_C(0))),
	};
	struct smmuinv_finding found;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(fine); i++)
		assert_int_equal(check(&fine[i], &guest, &host, &found),
				 SMMUINV_FORWARD);
}

static void a_host_that_has_more_than_the_guest_changes_nothing(void **state)
{
	const struct smmuinv_features guest = test_features_plain();
	const struct smmuinv_features rich = test_features_full();
	size_t i;

	(void)state;
	for (i = 0; i < test_iterations(20000); i++) {
		struct smmuinv_command c = oracle_random_command();
		struct smmuinv_finding a;
		struct smmuinv_finding b;

		assert_int_equal(check(&c, &guest, &guest, &a),
				 check(&c, &guest, &rich, &b));
		assert_true(test_command_equal(&a.command, &b.command));
	}
}

static void null_arguments_are_invalid(void **state)
{
	const struct smmuinv_features f = test_features_full();
	const struct smmuinv_command c = PLAIN(TLBI_NH_ALL);
	struct smmuinv_finding found = { .size = sizeof(found) };

	(void)state;
	assert_int_equal(smmuinv_check(NULL, &f, &f, &found), -EINVAL);
	assert_int_equal(smmuinv_check(&c, NULL, &f, &found), -EINVAL);
	assert_int_equal(smmuinv_check(&c, &f, NULL, &found), -EINVAL);
}

static void the_finding_may_be_null(void **state)
{
	const struct smmuinv_features f = test_features_full();
	const struct smmuinv_command forward = PLAIN(TLBI_NH_ALL);
	const struct smmuinv_command vmm = PLAIN(SYNC);
	const struct smmuinv_command ignore = PLAIN(PREFETCH_CONFIG);
	const struct smmuinv_command illegal = test_command(0, 0);

	(void)state;
	assert_int_equal(smmuinv_check(&forward, &f, &f, NULL),
			 SMMUINV_FORWARD);
	assert_int_equal(smmuinv_check(&vmm, &f, &f, NULL), SMMUINV_VMM);
	assert_int_equal(smmuinv_check(&ignore, &f, &f, NULL), SMMUINV_IGNORE);
	assert_int_equal(smmuinv_check(&illegal, &f, &f, NULL),
			 SMMUINV_ILLEGAL);
}

static void a_finding_of_a_wrong_size_is_invalid_and_left_alone(void **state)
{
	const struct smmuinv_features f = test_features_full();
	const struct smmuinv_command c = PLAIN(TLBI_NH_ALL);
	struct smmuinv_finding found;
	struct smmuinv_finding before;
	size_t size;

	(void)state;
	for (size = 0; size < sizeof(found); size++) {
		memset(&found, 0x5a, sizeof(found));
		found.size = size;
		before = found;
		assert_int_equal(smmuinv_check(&c, &f, &f, &found), -EINVAL);
		assert_memory_equal(&found, &before, sizeof(found));
	}
	found.size = SIZE_MAX;
	assert_int_equal(smmuinv_check(&c, &f, &f, &found), -EINVAL);
}

static void a_finding_of_a_later_release_is_filled_as_far_as_known(void **state)
{
	const struct smmuinv_features f = test_features_full();
	const struct smmuinv_command c = PLAIN(TLBI_NH_ALL);
	struct {
		struct smmuinv_finding known;
		unsigned char tail[16];
	} newer = { .known = { .size = sizeof(newer) } };
	unsigned char tail[16];

	(void)state;
	memset(newer.tail, 0x5a, sizeof(newer.tail));
	memset(tail, 0, sizeof(tail));
	assert_int_equal(smmuinv_check(&c, &f, &f, &newer.known),
			 SMMUINV_FORWARD);
	assert_true(test_command_equal(&newer.known.command, &c));
	assert_int_equal(newer.known.size, sizeof(newer));
	assert_memory_equal(newer.tail, tail, sizeof(tail));
}

/* In words, and with the section where the specification has one. */
static void every_rule_has_a_text_that_names_its_section(void **state)
{
	static const struct {
		enum smmuinv_rule rule;
		const char *section;
	} sections[] = {
		{ SMMUINV_RULE_RESERVED_OPCODE, "4.1.3" },
		{ SMMUINV_RULE_SECURE_OPCODE, "4.4.2" },
		{ SMMUINV_RULE_SSEC, "4.1.6" },
		{ SMMUINV_RULE_NO_STAGE1, "4.3.3" },
		{ SMMUINV_RULE_NO_STAGE1, "4.4.2" },
		{ SMMUINV_RULE_NO_STAGE2, "4.4.3" },
		{ SMMUINV_RULE_NO_HYP, "4.4.2.7" },
		{ SMMUINV_RULE_NO_ATS, "4.5.1" },
		{ SMMUINV_RULE_NO_PRI, "4.5.2" },
		{ SMMUINV_RULE_NO_STALL, "4.7.1" },
		{ SMMUINV_RULE_NO_VMS, "4.3.5" },
		{ SMMUINV_RULE_NO_DPT, "4.6" },
		{ SMMUINV_RULE_RANGE_RESERVED, "4.4.1.1" },
		{ SMMUINV_RULE_ATC_SIZE, "4.5.1" },
		{ SMMUINV_RULE_RESP_RESERVED, "4.5.2" },
		{ SMMUINV_RULE_CS_RESERVED, "4.7.3" },
		{ SMMUINV_RULE_PREFETCH, "4.2" },
		{ SMMUINV_RULE_SSID_OUT_OF_RANGE, "4.1.7" },
	};
	unsigned int a;
	unsigned int b;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sections); i++)
		assert_non_null(strstr(smmuinv_rule_text(sections[i].rule),
				       sections[i].section));
	for (a = 0; a < SMMUINV_RULE_COUNT; a++)
		for (b = 0; b < a; b++)
			assert_string_not_equal(
				smmuinv_rule_text((enum smmuinv_rule)a),
				smmuinv_rule_text((enum smmuinv_rule)b));
	for (a = 0; a < SMMUINV_RULE_COUNT; a++)
		assert_true(strlen(smmuinv_rule_text((enum smmuinv_rule)a)) >
			    1);
}

static void a_rule_that_does_not_exist_has_no_text(void **state)
{
	(void)state;
	assert_string_equal(
		smmuinv_rule_text((enum smmuinv_rule)SMMUINV_RULE_COUNT), "?");
	assert_string_equal(smmuinv_rule_text((enum smmuinv_rule)0x7fffffff),
			    "?");
}

/*
 * Linux 6.13 to 7.2 look at the opcode and the vSID only and pass on the rest
 * to the queue of every guest and of the host. These were passed on.
 */
static void
what_older_kernels_pass_to_the_hosts_queue_is_never_forwarded(void **state)
{
	const struct smmuinv_features plain = test_features_plain();
	const struct smmuinv_features ril = with(plain, SMMUINV_FEATURE_RIL, 1);
	struct smmuinv_finding found;
	const struct smmuinv_command never[] = {
		MAKE(CFGI_CD, V(SSEC, 1)),
		MAKE(CFGI_CD_ALL, V(SSEC, 1)),
		PLAIN(ATC_INV),
		range(0x12, 1, 0, 0, 0),
		range(0x13, 3, 0, 0, 0),
		range(0x12, 2, 1, 0, 0),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(never); i++)
		assert_int_equal(check(&never[i], &ril, &ril, &found),
				 SMMUINV_ILLEGAL);
	/* Without substreams, and with a VMID: as if they were not there. */
	assert_becomes(MAKE(CFGI_CD, V(SUBSTREAMID, 7)), plain, PLAIN(CFGI_CD));
	assert_becomes(test_command(0x0000000700000030, 0), plain,
		       PLAIN(TLBI_NSNH_ALL));
	assert_becomes(range(0x12, 1, 0, 0, 0), plain, PLAIN(TLBI_NH_VA));
}

/* Commands that Linux 7.3 answers with EIO, and the SMMU that it does so on. */
static const struct refused {
	const char *why;
	uint64_t dw0;
	uint64_t dw1;
	enum smmuinv_feature lacks; /* SMMUINV_FEATURE_COUNT: nothing */
} refused[] = {
#define NONE SMMUINV_FEATURE_COUNT
	{ "VMID in TLBI_NSNH_ALL", 0x0000000100000030, 0, NONE },
	{ "any bit in TLBI_NSNH_ALL", 0x30, UINT64_C(1) << 63, NONE },
	{ "NUM without TG", 0x1012, 0, NONE },
	{ "SCALE without TG", 0x100012, 0, NONE },
	{ "TTL without TG", 0x12, 0x100, NONE },
	{ "TG alone", 0x12, 0x400, NONE },
	{ "TG alone", 0x13, 0xc00, NONE },
	{ "TG 2 with TTL 1 without DS", 0x12, 0x900, SMMUINV_FEATURE_DS },
	{ "the same with a range", 0x1012, 0x900, SMMUINV_FEATURE_DS },
	{ "SCALE bit 5 without DS", 0x2000012, 0x700, SMMUINV_FEATURE_DS },
	{ "a range without RIL", 0x1012, 0x400, SMMUINV_FEATURE_RIL },
	{ "a level without RIL", 0x12, 0x700, SMMUINV_FEATURE_RIL },
	{ "upper ASID byte with 8-bit ASIDs", 0x0100000000000011, 0,
	  SMMUINV_FEATURE_ASID16 },
	{ "upper ASID byte with 8-bit ASIDs", 0x8000000000000012, 0,
	  SMMUINV_FEATURE_ASID16 },
	{ "ATC_INV without ATS", 0x40, 0, SMMUINV_FEATURE_ATS },
	{ "ATC_INV of a Size above 52", 0x40, 53, NONE },
	{ "SSV without substreams", 0x840, 0, SMMUINV_FEATURE_SSIDSIZE },
	{ "SSID without substreams", 0x1040, 0, SMMUINV_FEATURE_SSIDSIZE },
	{ "G without substreams", 0x240, 0, SMMUINV_FEATURE_SSIDSIZE },
	{ "SSID in CFGI_CD without substreams", 0x1005, 0,
	  SMMUINV_FEATURE_SSIDSIZE },
	{ "TTL128", 0x12, 0x780, NONE },
	{ "SSec in CFGI_CD", 0x405, 0, NONE },
	{ "SSec in CFGI_CD_ALL", 0x406, 0, NONE },
	{ "an opcode outside the eight", 0x46, 0, NONE },
	{ "an opcode outside the eight", 0x03, 0, NONE },
	{ "an opcode outside the eight", 0x20, 0, NONE },
#undef NONE
};

/* Whatever the kernel refuses becomes legal, or never reaches it. */
static void what_linux_7_3_refuses_is_never_forwarded(void **state)
{
	size_t n;

	(void)state;
	for (n = 0; n < ARRAY_SIZE(refused); n++) {
		const struct refused *r = &refused[n];
		struct smmuinv_command c = test_command(r->dw0, r->dw1);
		struct smmuinv_features host = test_features_full();
		struct smmuinv_finding found;

		if (r->lacks != SMMUINV_FEATURE_COUNT)
			spec_feature_set(&host, r->lacks, 0);
		if (smmuinv__kernel_accepts(&c, &host))
			fail_msg("the model accepts %s", r->why);
		if (check(&c, &host, &host, &found) == SMMUINV_FORWARD &&
		    !smmuinv__kernel_accepts(&found.command, &host))
			fail_msg("%s is forwarded as %s", r->why,
				 test_text(&found.command));
	}
}

/* Has @whole at least the effect of @part, on an SMMU with everything? */
static bool covers(struct smmuinv_command whole, struct smmuinv_command part)
{
	const struct smmuinv_features smmu = test_features_full();
	struct oracle_scope a = oracle_scope(&whole, &smmu);
	struct oracle_scope b = oracle_scope(&part, &smmu);

	return oracle_covers(&a, &b);
}

/* 4.4.2.2, 4.4.2.4: global entries of the address go whatever their ASID is */
static void
nh_va_is_within_nh_vaa_and_nh_all_but_not_within_nh_asid(void **state)
{
	struct smmuinv_command va =
		MAKE(TLBI_NH_VA, V(ASID, 5), V(VA, 0x1000), V(LEAF, 1));

	(void)state;
	assert_true(covers(MAKE(TLBI_NH_VAA, V(VA, 0x1000), V(LEAF, 1)), va));
	assert_true(covers(MAKE(TLBI_NH_VAA, V(VA, 0x1000)), va));
	assert_true(covers(PLAIN(TLBI_NH_ALL), va));
	assert_true(covers(PLAIN(TLBI_NSNH_ALL), va));
	assert_false(covers(MAKE(TLBI_NH_ASID, V(ASID, 5)), va));
	assert_false(covers(MAKE(TLBI_NH_VA, V(ASID, 6), V(VA, 0x1000)), va));
	assert_true(covers(PLAIN(TLBI_NH_ALL), MAKE(TLBI_NH_ASID, V(ASID, 5))));
}

/* 4.4.1.1: only entries of that granule, and of that level */
static void tg_and_ttl_narrow_what_a_range_reaches(void **state)
{
	struct smmuinv_command page = MAKE(TLBI_NH_VAA, V(VA, 0x10000));
	struct smmuinv_command any =
		MAKE(TLBI_NH_VAA, V(VA, 0x10000), V(TG, 1), V(NUM, 15));
	struct smmuinv_command last = MAKE(TLBI_NH_VAA, V(VA, 0x10000),
					   V(TG, 1), V(NUM, 15), V(TTL, 3));
	struct smmuinv_command other =
		MAKE(TLBI_NH_VAA, V(VA, 0x10000), V(TG, 3), V(NUM, 15));

	(void)state;
	assert_true(covers(any, last));
	assert_false(covers(last, any));
	assert_false(covers(any, page));
	assert_false(covers(any, other));
	assert_false(covers(other, any));
}

/* A guest's SMMU and its host's. */
struct pair {
	struct smmuinv_features guest;
	struct smmuinv_features host;
	struct check_table table; /* of the two */
};

static void compile(struct pair *p)
{
	smmuinv__check_compile(&p->table, &p->guest, &p->host);
}

static struct pair random_pair(void)
{
	struct pair p = {
		.host = test_features_random_host(),
	};

	p.guest = test_features_random_guest(&p.host);
	compile(&p);
	return p;
}

/* A command that is forwarded, as it must be for any compatible pair. */
static void assert_forwarded_well(const struct smmuinv_command *c,
				  const struct pair *p,
				  const struct smmuinv_finding *found)
{
	struct oracle_scope raw = oracle_scope(c, &p->guest);
	struct oracle_scope sent = oracle_scope(&found->command, &p->host);
	struct smmuinv_finding again;

	/* 7.3 takes it. */
	if (!smmuinv__kernel_accepts(&found->command, &p->host))
		fail_msg("the kernel refuses %s", test_text(&found->command));
	/* It reaches all that the guest's SMMU would have. */
	if (!oracle_covers(&sent, &raw))
		fail_msg("%s is narrower than %s", test_text(&found->command),
			 test_text(c));
	/* It is its own canonical form, on both sides. */
	if (check(&found->command, &p->guest, &p->host, &again) !=
		    SMMUINV_FORWARD ||
	    !test_command_equal(&again.command, &found->command))
		fail_msg("%s is not canonical", test_text(&found->command));
	assert_int_equal(smmuinv_command_opcode(&found->command),
			 smmuinv_command_opcode(c));
	assert_int_equal(found->rule, SMMUINV_RULE_NONE);
	assert_int_equal(found->field, SMMUINV_FIELD_OPCODE);
}

static uint32_t rank_bit(const struct smmuinv_command *c)
{
	bool leaf = smmuinv_command_get(c, SMMUINV_FIELD_LEAF);

	switch (smmuinv_command_opcode(c)) {
	case SMMUINV_CMD_CFGI_CD:
		return leaf ? RANK_BIT(COMMAND_RANK_CD) :
			      RANK_BIT(COMMAND_RANK_CD_TABLE);
	case SMMUINV_CMD_CFGI_CD_ALL:
		return RANK_BIT(COMMAND_RANK_CD_TABLE);
	case SMMUINV_CMD_ATC_INV:
		return RANK_BIT(COMMAND_RANK_ATC);
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
		return leaf ? RANK_BIT(COMMAND_RANK_LEAF) :
			      RANK_BIT(COMMAND_RANK_TABLE);
	default:
		return RANK_BIT(COMMAND_RANK_TABLE);
	}
}

/* What is seen at a glance is what the rules say: 1 if the command was. */
static uint32_t glance(const struct check_table *table,
		       const struct smmuinv_command *c)
{
	struct smmuinv_command to;
	struct check_found run;
	uint32_t kinds = 0;
	int verdict = smmuinv__check_run(table, c, &run);
	uint32_t n = smmuinv__check_forward(table, c, 1, &to, &kinds);

	if (smmuinv__check_is_sync(c) !=
	    (verdict == SMMUINV_VMM &&
	     smmuinv_command_opcode(c) == SMMUINV_CMD_SYNC))
		fail_msg("%s is seen as something else", test_text(c));
	if (!n) {
		assert_int_equal(kinds, 0);
		assert_true(test_command_equal(&to, c));
		return 0;
	}
	if (verdict != SMMUINV_FORWARD ||
	    !test_command_equal(&to, &run.command))
		fail_msg("%s becomes %s and not %s", test_text(c),
			 test_text(&to), test_text(&run.command));
	assert_int_equal(kinds, rank_bit(c));
	return n;
}

/* One command against the oracle, and if it is forwarded, all properties. */
static int judge(const struct smmuinv_command *c, const struct pair *p)
{
	struct smmuinv_command expected = { { 0, 0 } };
	struct smmuinv_finding found;
	int r = check(c, &p->guest, &p->host, &found);
	int verdict = oracle_judge(c, &p->guest, &p->host, &expected);

	if (r != verdict)
		fail_msg("%s: %d and not %d (%s)", test_text(c), r, verdict,
			 smmuinv_rule_text(found.rule));
	if ((r == SMMUINV_FORWARD || r == SMMUINV_VMM) &&
	    !test_command_equal(&found.command, &expected))
		fail_msg("%s becomes %s and not %s", test_text(c),
			 test_text(&found.command), test_text(&expected));
	glance(&p->table, c);
	if (r == SMMUINV_FORWARD)
		assert_forwarded_well(c, p, &found);
	if (r == SMMUINV_VMM)
		assert_int_equal(found.rule, SMMUINV_RULE_NONE);
	if (r == SMMUINV_ILLEGAL || r == SMMUINV_IGNORE)
		assert_int_not_equal(found.rule, SMMUINV_RULE_NONE);
	return r;
}

#define PER_PAIR 200

static void random_commands_are_judged_as_the_specification_says(void **state)
{
	size_t count[4] = { 0 };
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < test_iterations(2000000) / PER_PAIR + 1; i++) {
		struct pair p = random_pair();

		for (j = 0; j < PER_PAIR; j++) {
			struct smmuinv_command c = oracle_random_command();
			int r = judge(&c, &p);

			/* The pair is compatible, so the host can say it. */
			assert_in_range(r, 0, 3);
			count[r]++;
		}
	}
	print_message(
		"forwarded %zu, the VMM's %zu, ignored %zu, illegal %zu\n",
		count[SMMUINV_FORWARD], count[SMMUINV_VMM],
		count[SMMUINV_IGNORE], count[SMMUINV_ILLEGAL]);
	assert_true(count[SMMUINV_FORWARD] && count[SMMUINV_VMM] &&
		    count[SMMUINV_IGNORE] && count[SMMUINV_ILLEGAL]);
}

/* Incompatible pairs: what is forwarded is right even then. */
static void random_commands_for_any_two_smmus_are_judged_so_too(void **state)
{
	size_t lacking = 0;
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < test_iterations(100000) / PER_PAIR + 1; i++) {
		struct smmuinv_features other = test_features_random_host();
		struct pair p = {
			.guest = test_features_random_guest(&other),
			.host = test_features_random_host(),
		};

		spec_feature_set(&p.guest, SMMUINV_FEATURE_D128,
				 test_chance(30));
		compile(&p);
		for (j = 0; j < PER_PAIR; j++) {
			struct smmuinv_command c = oracle_random_command();

			lacking += judge(&c, &p) == -EOPNOTSUPP;
		}
	}
	assert_true(lacking);
}

/* Commands as guests write them, and some at the edges of what is legal. */
static const struct {
	uint64_t dw0;
	uint64_t dw1;
} valid[] = {
	{ 0x0000000100000001, 0 },
	{ 0x0000000100000002, 0x1000 },
	{ 0x0000000100000003, 1 },
	{ 0x0000000000000004, 31 },
	{ 0x0000000100000005, 1 },
	{ 0x0000000100fff005, 0 },
	{ 0x0000000100000006, 0 },
	{ 0x0000000000000010, 0 },
	{ 0x0005000000000011, 0 },
	{ 0x0005000000000012, 0xffff000000001001 },
	{ 0x0005000000000012, 0xffff000000001701 },
	{ 0x0005000000008012, 0x0000ffff00010700 },
	{ 0x0000000000001013, 0x0000000000010400 },
	{ 0x0000000001f1f013, 0x0000000000010c00 },
	{ 0x0000000002700013, 0x0000000000010900 },
	{ 0x0000000000000013, 0x0000000000000001 },
	{ 0x0000000000000030, 0 },
	{ 0x0000000100000040, 0x34 },
	{ 0x0000000100005a40, 0x00007fff00000009 },
	{ 0x0000000100005841, 0x1001 },
	{ 0x0000000100001044, 0x1234 },
	{ 0x0000000100000045, 0 },
	{ 0x0000000000001046, 0x0000000008090040 },
	{ 0x0000000000000046, 0 },
};

static void judge_neighbours(const struct pair *p)
{
	size_t n;

	for (n = 0; n < 128 * ARRAY_SIZE(valid); n++) {
		uint64_t dw[2] = { valid[n / 128].dw0, valid[n / 128].dw1 };
		struct smmuinv_command c = test_command(dw[0], dw[1]);

		judge(&c, p);
		dw[n / 64 % 2] ^= UINT64_C(1) << (n % 64);
		c = test_command(dw[0], dw[1]);
		judge(&c, p);
	}
}

static void
every_one_bit_neighbour_of_a_valid_command_is_judged_so_too(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct pair p = {
			.guest = i & 1 ? test_features_full() :
					 test_features_plain(),
			.host = test_features_full(),
		};

		compile(&p);
		judge_neighbours(&p);
	}
	for (i = 0; i < test_iterations(60); i++) {
		struct pair p = random_pair();

		judge_neighbours(&p);
	}
}

static void any_16_bytes_are_judged(void **state)
{
	struct pair p = {
		.guest = test_features_full(),
		.host = test_features_full(),
	};
	size_t i;

	(void)state;
	compile(&p);
	for (i = 0; i < test_iterations(200000); i++) {
		struct smmuinv_command c =
			test_command(test_random(), test_random());

		judge(&c, &p);
	}
}

/* Even features that no SMMU could have must do no harm. */
static void any_registers_are_taken_without_harm(void **state)
{
	size_t i;
	unsigned int n;

	(void)state;
	for (i = 0; i < test_iterations(100000); i++) {
		struct smmuinv_command c = oracle_random_command();
		struct smmuinv_features guest;
		struct smmuinv_features host;
		struct smmuinv_finding found;
		int r;

		for (n = 0; n < 6; n++) {
			guest.idr[n] = (uint32_t)test_random();
			host.idr[n] = (uint32_t)test_random();
		}
		r = check(&c, &guest, &host, &found);
		assert_true((r >= 0 && r <= 3) || r == -EOPNOTSUPP);
		if (r == SMMUINV_FORWARD)
			assert_true(
				smmuinv__kernel_accepts(&found.command, &host));
	}
}

/* The form that queues use is the same judge. */
static void compiled_rules_judge_as_smmuinv_check_does(void **state)
{
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < test_iterations(100000) / PER_PAIR + 1; i++) {
		struct pair p = random_pair();
		struct check_table table;

		smmuinv__check_compile(&table, &p.guest, &p.host);
		for (j = 0; j < PER_PAIR; j++) {
			struct smmuinv_command c = oracle_random_command();
			struct smmuinv_finding found;
			struct check_found run;

			assert_int_equal(smmuinv__check_run(&table, &c, &run),
					 check(&c, &p.guest, &p.host, &found));
			assert_true(test_command_equal(&run.command,
						       &found.command));
			assert_int_equal(run.rule, found.rule);
			assert_int_equal(run.field, found.field);
		}
	}
}

/* What Linux and other guests send all the time needs no closer look. */
static void what_guests_send_most_is_forwarded_at_a_glance(void **state)
{
	static const struct {
		uint64_t dw0;
		uint64_t dw1;
	} common[] = {
		{ 0x0000000100000005, 1 },
		{ 0x0000000100003005, 0 },
		{ 0x0000000100000006, 0 },
		{ 0x0000000000000010, 0 },
		{ 0x0005000000000011, 0 },
		{ 0x0005000000000012, 0xffff000000001001 },
		{ 0x0005000000000012, 0x0000ffff00010000 },
		{ 0x000500000001f012, 0x0000ffff00010401 },
		{ 0x0005000000508012, 0x0000ffff00010701 },
		{ 0x0000000000501013, 0x0000000000010c00 },
		{ 0x0000000000000013, 0x0000000000000001 },
		{ 0x0000000000000030, 0 },
		{ 0x0000000100000040, 0x00007fff00000009 },
	};
	struct pair p = {
		.guest = test_features_full(),
		.host = test_features_full(),
	};
	size_t i;

	(void)state;
	compile(&p);
	for (i = 0; i < ARRAY_SIZE(common); i++) {
		struct smmuinv_command c =
			test_command(common[i].dw0, common[i].dw1);

		if (!glance(&p.table, &c))
			fail_msg("%s is looked at", test_text(&c));
	}
}

#define ROW_MAX 64

/* Rows of commands: it stops exactly where the first needs a closer look. */
static uint32_t glance_at_row(const struct check_table *table)
{
	const struct smmuinv_command untouched = test_command(~0ull, ~0ull);
	uint32_t asked = (uint32_t)test_random_below(ROW_MAX + 1);
	struct smmuinv_command from[ROW_MAX + 1];
	struct smmuinv_command to[ROW_MAX + 2];
	uint32_t expected_kinds = test_chance(20) ? 8 : 0;
	uint32_t kinds = expected_kinds;
	struct check_found run;
	uint32_t n;
	uint32_t i;

	for (i = 0; i < ROW_MAX + 2; i++)
		to[i] = untouched;
	for (i = 0; i < asked; i++)
		from[i] = test_chance(90) ? test_command(SMMUINV_CMD_TLBI_NH_VA,
							 test_random() << 12) :
					    oracle_random_command();
	n = smmuinv__check_forward(table, from, asked, to, &kinds);
	for (i = 0; i < n; i++) {
		assert_int_equal(glance(table, &from[i]), 1);
		smmuinv__check_run(table, &from[i], &run);
		assert_true(test_command_equal(&to[i], &run.command));
		expected_kinds |= rank_bit(&from[i]);
	}
	assert_int_equal(kinds, expected_kinds);
	/* The one that stopped it is there as it was read; nothing else is. */
	if (n < asked)
		assert_true(test_command_equal(&to[n], &from[n]));
	else
		assert_memory_equal(&to[n], &untouched, sizeof(untouched));
	assert_memory_equal(&to[n + 1], &untouched, sizeof(untouched));
	return n;
}

static void
a_row_is_forwarded_up_to_the_first_that_needs_a_closer_look(void **state)
{
	size_t forwarded = 0;
	size_t i, j;

	(void)state;
	for (i = 0; i < test_iterations(1000000) / PER_PAIR + 1; i++) {
		struct pair p = random_pair();

		/* Registers that no SMMU could have, too. */
		if (test_chance(10)) {
			for (j = 0; j < 6; j++) {
				p.guest.idr[j] = (uint32_t)test_random();
				p.host.idr[j] = (uint32_t)test_random();
			}
			compile(&p);
		}
		for (j = 0; j < PER_PAIR / 20; j++)
			forwarded += glance_at_row(&p.table);
	}
	assert_true(forwarded > test_iterations(1000000) / 10);
}

static void a_row_ends_at_each_of_its_places_or_not_at_all(void **state)
{
	const struct smmuinv_command plain =
		test_command(SMMUINV_CMD_TLBI_NH_VA, 0x1000);
	const struct smmuinv_command odd = test_command(SMMUINV_CMD_SYNC, 0);
	struct pair p = { .guest = test_features_full(),
			  .host = test_features_full() };
	struct smmuinv_command from[ROW_MAX];
	struct smmuinv_command to[ROW_MAX + 1];
	uint32_t n, bad, i;

	(void)state;
	compile(&p);
	for (n = 0; n <= ROW_MAX; n++) {
		for (bad = 0; bad <= n; bad++) {
			uint32_t kinds = 0;

			for (i = 0; i < n; i++)
				from[i] = i == bad ? odd : plain;
			assert_int_equal(smmuinv__check_forward(&p.table, from,
								n, to, &kinds),
					 bad);
			assert_int_equal(kinds, bad ? rank_bit(&plain) : 0);
			if (bad < n)
				assert_true(test_command_equal(&to[bad], &odd));
		}
	}
}

/* 4.4.1.1: DS of the host is for what the host executes. */
static void the_vmms_16k_level_1_needs_ds_of_the_guest_alone(void **state)
{
	const struct smmuinv_features guest =
		with(with(test_features_full(), SMMUINV_FEATURE_HYP, 1),
		     SMMUINV_FEATURE_DS, 1);
	const struct smmuinv_features host = without(guest, SMMUINV_FEATURE_DS);
	struct smmuinv_command vmm = MAKE(TLBI_EL2_VA, V(TG, 2), V(TTL, 1));
	struct smmuinv_command forwarded =
		MAKE(TLBI_NH_VA, V(TG, 2), V(TTL, 1));
	struct smmuinv_finding found;

	(void)state;
	assert_int_equal(check(&vmm, &guest, &host, &found), SMMUINV_VMM);
	assert_int_equal(check(&forwarded, &guest, &host, &found), -EOPNOTSUPP);
	assert_int_equal(found.field, SMMUINV_FIELD_TTL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(every_reserved_opcode_is_illegal),
		T(the_vmms_16k_level_1_needs_ds_of_the_guest_alone),
		T(implementation_defined_opcodes_are_illegal),
		T(secure_opcodes_are_illegal_on_a_non_secure_queue),
		T(ssec_is_illegal_on_every_command_that_has_it),
		T(stage_1_commands_are_illegal_without_stage_1),
		T(tlbi_nsnh_all_is_legal_without_stage_1),
		T(stage_2_commands_are_illegal_without_stage_2),
		T(el2_commands_are_illegal_without_hyp),
		T(cfgi_vms_pidm_is_illegal_without_a_vms),
		T(dpti_commands_are_illegal_without_dpt),
		T(every_bit_of_a_dpti_pa_reaches_the_vmm),
		T(pri_resp_is_illegal_without_pri),
		T(pri_resp_with_resp_3_is_illegal),
		T(atc_inv_is_illegal_without_ats),
		T(atc_inv_of_a_size_above_52_is_illegal),
		T(resume_and_stall_term_are_illegal_where_nothing_stalls),
		T(sync_with_cs_3_is_illegal),
		T(all_fields_of_a_sync_reach_the_vmm),
		T(stream_table_commands_are_the_vmms_with_all_their_fields),
		T(all_fields_of_a_resume_reach_the_vmm),
		T(prefetches_are_ignored),
		T(what_is_illegal_is_not_ignored),
		T(tg_without_num_scale_ttl_is_illegal),
		T(no_tg_with_nothing_else_is_the_plain_command),
		T(ttl_1_of_a_16k_range_counts_as_0_without_ds),
		T(ttl_1_of_16k_without_a_range_is_illegal_without_ds),
		T(ttl128_goes_with_a_reserved_ttl),
		T(a_scale_above_39_counts_as_39),
		T(scale_has_five_bits_without_ds),
		T(a_scale_of_32_alone_is_reserved_without_ds),
		T(range_fields_are_cleared_where_the_guest_has_no_ril),
		T(range_fields_without_tg_are_cleared),
		T(ttl_0_stays_0),
		T(ranges_that_are_not_aligned_go_through_as_given),
		T(ranges_beyond_the_top_or_the_half_go_through_as_given),
		T(a_single_address_inside_a_block_goes_through_as_given),
		T(ttl128_is_cleared_where_the_guest_has_no_128_bit_descriptors),
		T(ttl128_of_a_guest_with_128_bit_descriptors_is_not_dropped),
		T(ttl128_without_ttl_is_res0_with_128_bit_descriptors_too),
		T(every_combination_of_the_range_fields_is_judged_as_specified),
		T(tlbi_nh_asid_upper_asid_byte_is_cleared_when_the_guest_has_8_bit_asids),
		T(tlbi_nh_va_upper_asid_byte_is_cleared_when_the_guest_has_8_bit_asids),
		T(all_16_bits_of_an_asid_go_on_when_the_guest_has_them),
		T(the_vmid_of_what_is_forwarded_is_cleared),
		T(the_vmid_of_what_the_vmm_emulates_is_kept),
		T(the_upper_byte_of_a_vmid_is_cleared_without_vmid16),
		T(a_cfgi_cd_of_a_substreamid_out_of_range_is_ignored),
		T(without_substreams_any_cfgi_cd_is_of_the_one_cd),
		T(an_atc_inv_of_a_substreamid_out_of_range_is_ignored),
		T(substreamid_and_global_of_an_atc_inv_are_ignored_without_ssv),
		T(without_substreams_the_ssv_of_an_atc_inv_counts_as_0),
		T(any_streamid_goes_through_as_given),
		T(any_address_goes_through_as_given),
		T(leaf_goes_through_as_given),
		T(a_bit_in_no_field_is_cleared),
		T(a_field_that_the_smmu_lacks_is_cleared),
		T(scale_bit_5_is_cleared_without_ds),
		T(a_vmid_without_stage_2_is_cleared),
		T(every_bit_of_a_field_goes_on),
		T(what_the_host_cannot_say_is_not_supported_and_named),
		T(a_weaker_host_still_takes_what_it_can_say),
		T(a_host_that_has_more_than_the_guest_changes_nothing),
		T(null_arguments_are_invalid),
		T(the_finding_may_be_null),
		T(a_finding_of_a_wrong_size_is_invalid_and_left_alone),
		T(a_finding_of_a_later_release_is_filled_as_far_as_known),
		T(every_rule_has_a_text_that_names_its_section),
		T(a_rule_that_does_not_exist_has_no_text),
		T(what_older_kernels_pass_to_the_hosts_queue_is_never_forwarded),
		T(what_linux_7_3_refuses_is_never_forwarded),
		T(nh_va_is_within_nh_vaa_and_nh_all_but_not_within_nh_asid),
		T(tg_and_ttl_narrow_what_a_range_reaches),
		T(random_commands_are_judged_as_the_specification_says),
		T(random_commands_for_any_two_smmus_are_judged_so_too),
		T(every_one_bit_neighbour_of_a_valid_command_is_judged_so_too),
		T(any_16_bytes_are_judged),
		T(any_registers_are_taken_without_harm),
		T(compiled_rules_judge_as_smmuinv_check_does),
		T(what_guests_send_most_is_forwarded_at_a_glance),
		T(a_row_is_forwarded_up_to_the_first_that_needs_a_closer_look),
		T(a_row_ends_at_each_of_its_places_or_not_at_all),
#undef T
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
