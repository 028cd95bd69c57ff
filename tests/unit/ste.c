/* SPDX-License-Identifier: MIT */
/*
 * From a guest's STE to the kernel's. What is expected is written down a second
 * time, from Arm IHI 0070 5.2, 5.2.2 and 5.3, by the bits of the whole entry;
 * and whatever comes out, the kernel's own rule for it must accept.
 */
#include "support.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <smmuinv/ste.h>

#include "spec.h"

#define WORDS (SMMUINV_STE_BYTES / 8)

/* A field by the numbers of its bits in the entry, as 5.2 has them. */
struct place {
	unsigned int high;
	unsigned int low;
};

static const struct place V = { 0, 0 };
static const struct place CONFIG = { 3, 1 };
static const struct place S1FMT = { 5, 4 };
static const struct place S1CONTEXTPTR = { 55, 6 };
static const struct place S1CDMAX = { 63, 59 };
static const struct place S1DSS = { 65, 64 };
static const struct place S1CIR = { 67, 66 };
static const struct place S1COR = { 69, 68 };
static const struct place S1CSH = { 71, 70 };
static const struct place S1STALLD = { 91, 91 };
static const struct place EATS = { 93, 92 };
static const struct place STRW = { 95, 94 };
static const struct place S2VMID = { 143, 128 };

/* An STE as it stands in guest memory. */
struct entry {
	uint64_t word[WORDS];
};

static uint64_t get(const struct entry *e, struct place p)
{
	uint64_t value = 0;
	unsigned int n;

	for (n = p.low; n <= p.high; n++)
		value |= (le64toh(e->word[n / 64]) >> n % 64 & 1)
			 << (n - p.low);
	return value;
}

static void put(struct entry *e, struct place p, uint64_t value)
{
	unsigned int n;

	for (n = p.low; n <= p.high; n++) {
		uint64_t bit = htole64(UINT64_C(1) << n % 64);

		e->word[n / 64] &= ~bit;
		if (value >> (n - p.low) & 1)
			e->word[n / 64] |= bit;
	}
}

/* What the kernel of 6.13 and later says to a vSTE (EIO, if false). */
static bool kernel_accepts(const uint64_t vste[2])
{
	uint64_t word0 = le64toh(vste[0]);
	uint64_t word1 = le64toh(vste[1]);
	unsigned int config = (unsigned int)(word0 >> 1) & 7;
	unsigned int eats = (unsigned int)(word1 >> 28) & 3;

	if (!(word0 & 1))
		return true;
	if ((word0 & ~UINT64_C(0xf80fffffffffffff)) ||
	    (word1 & ~UINT64_C(0x380000ff)))
		return false;
	if (config != 0 && config != 4 && config != 5)
		return false;
	return eats == 0 || eats == 1;
}

/* The registers' fields, of the guest's and of the host's SMMU. */
#define F(name) spec_feature_get(f, SMMUINV_FEATURE_##name)
#define H(name) spec_feature_get(host, SMMUINV_FEATURE_##name)

/* The pseudocode of 5.2.2, for a Non-secure STE, as far as stage 1 goes. */
static uint32_t spec_ste_illegal(const struct entry *e,
				 const struct smmuinv_features *f)
{
	static const unsigned int oas[] = { 32, 36, 40, 42, 44, 48, 52, 56 };
	uint64_t config = get(e, CONFIG);
	uint64_t pointer = get(e, S1CONTEXTPTR) << 6;
	uint32_t ssidsize = F(SSIDSIZE) > 20 ? 20 : F(SSIDSIZE);
	bool strw_unused = !F(S1P) || !F(HYP) || config != 5;
	uint64_t strw = strw_unused ? 0 : get(e, STRW);
	bool vmid_unused = !F(S2P) || strw;

	if (!get(e, V))
		return SMMUINV_STE_RULE_NOT_VALID;
	if (config < 4)
		return SMMUINV_STE_RULE_NONE;
	if ((config == 5 || config == 7) && !F(S1P))
		return SMMUINV_STE_RULE_NO_STAGE1;
	if ((config == 6 || config == 7) && !F(S2P))
		return SMMUINV_STE_RULE_NO_STAGE2;
	if (config != 5)
		return SMMUINV_STE_RULE_NONE;
	if (F(ATS) && get(e, EATS) == 2)
		return SMMUINV_STE_RULE_SPLIT_ATS;
	if (F(ATS) && get(e, EATS) == 3 && F(DPT) && strw != 0)
		return SMMUINV_STE_RULE_DPT_STRW;
	if (strw == 1 || strw == 3)
		return SMMUINV_STE_RULE_STRW;
	if (get(e, S1STALLD) && F(STALL_MODEL) != 0)
		return SMMUINV_STE_RULE_S1STALLD;
	if (ssidsize && get(e, S1CDMAX) > ssidsize)
		return SMMUINV_STE_RULE_S1CDMAX;
	if (ssidsize && get(e, S1CDMAX) && !F(CD2L) &&
	    (get(e, S1FMT) == 1 || get(e, S1FMT) == 2))
		return SMMUINV_STE_RULE_S1FMT;
	if (pointer >> oas[F(OAS)])
		return SMMUINV_STE_RULE_S1CONTEXTPTR;
	if (!vmid_unused && !F(VMID16) && get(e, S2VMID) >= 256)
		return SMMUINV_STE_RULE_S2VMID;
	return SMMUINV_STE_RULE_NONE;
}

/* The lowest bit of S1ContextPtr that is not RES0 (5.2, S1Fmt). */
static unsigned int pointer_low(uint64_t fmt, uint64_t cdmax)
{
	if (fmt == 1)
		return cdmax > 9 ? (unsigned int)cdmax - 4 + 1 : 6;
	if (fmt == 2)
		return cdmax > 13 ? (unsigned int)cdmax - 8 + 1 : 6;
	return (unsigned int)cdmax + 5 + 1;
}

/* An entry that translates by stage 1 and is legal. */
static void expect_translation(struct smmuinv_ste *ste, const struct entry *e,
			       const struct smmuinv_features *f, bool no_stalls)
{
	struct entry out = { { 0 } };
	uint64_t cdmax = F(SSIDSIZE) ? get(e, S1CDMAX) : 0;
	uint64_t fmt = cdmax && get(e, S1FMT) < 3 ? get(e, S1FMT) : 0;
	uint64_t dss = cdmax && get(e, S1DSS) < 3 ? get(e, S1DSS) : 0;
	unsigned int low = pointer_low(fmt, cdmax);
	uint64_t pointer = get(e, S1CONTEXTPTR) << 6 >> low << low;

	put(&out, V, 1);
	put(&out, CONFIG, 5);
	put(&out, S1FMT, fmt);
	put(&out, S1CONTEXTPTR, pointer >> 6);
	put(&out, S1CDMAX, cdmax);
	put(&out, S1DSS, dss);
	put(&out, S1CIR, get(e, S1CIR));
	put(&out, S1COR, get(e, S1COR));
	put(&out, S1CSH, get(e, S1CSH) == 1 ? 0 : get(e, S1CSH));
	put(&out, S1STALLD, get(e, S1STALLD) || no_stalls);
	put(&out, EATS, F(ATS) && get(e, EATS) == 1);
	ste->vste[0] = out.word[0];
	ste->vste[1] = out.word[1];
	ste->config = SMMUINV_STE_TRANSLATE;
	ste->s1contextptr = pointer;
	ste->s1fmt = (uint8_t)fmt;
	ste->s1cdmax = (uint8_t)cdmax;
	ste->s1dss = (uint8_t)dss;
	ste->ats = F(ATS) && get(e, EATS) == 1;
}

/* A legal entry that the kernel, or this host, has no way to say. */
static uint32_t expect_not_carried(const struct entry *e,
				   const struct smmuinv_features *f,
				   const struct smmuinv_features *host)
{
	uint64_t config = get(e, CONFIG);
	uint64_t cdmax = F(SSIDSIZE) ? get(e, S1CDMAX) : 0;
	bool two_levels = cdmax && (get(e, S1FMT) == 1 || get(e, S1FMT) == 2);
	uint64_t eats = F(ATS) ? get(e, EATS) : 0;

	if (config == 6 || config == 7)
		return SMMUINV_STE_RULE_STAGE2;
	if (config != 5)
		return SMMUINV_STE_RULE_NONE;
	if (F(HYP) && get(e, STRW))
		return SMMUINV_STE_RULE_EL2;
	if (eats == 3 && F(DPT))
		return SMMUINV_STE_RULE_DPT;
	if (F(S2P) && get(e, S2VMID))
		return SMMUINV_STE_RULE_VMID;
	if (cdmax > H(SSIDSIZE) || (two_levels && !H(CD2L)) ||
	    (get(e, S1STALLD) && H(STALL_MODEL)) || (eats == 1 && !H(ATS)) ||
	    get(e, (struct place){ 55, 52 }))
		return SMMUINV_STE_RULE_HOST_LACKS;
	return SMMUINV_STE_RULE_NONE;
}

/* What smmuinv_ste_read() has to answer. */
static int expect(struct smmuinv_ste *ste, const struct entry *e,
		  const struct smmuinv_features *f,
		  const struct smmuinv_features *host)
{
	*ste = (struct smmuinv_ste){ .size = sizeof(*ste) };
	ste->vste[0] = htole64(1);
	ste->rule = spec_ste_illegal(e, f);
	if (ste->rule || get(e, CONFIG) < 4)
		return 0;
	ste->rule = expect_not_carried(e, f, host);
	if (ste->rule)
		return -EOPNOTSUPP;
	if (get(e, CONFIG) == 5) {
		expect_translation(ste, e, f,
				   F(STALL_MODEL) == 1 && !H(STALL_MODEL));
		return 0;
	}
	ste->vste[0] = htole64(1 | 4 << 1);
	ste->config = SMMUINV_STE_BYPASS;
	return 0;
}

static bool same(const struct smmuinv_ste *a, const struct smmuinv_ste *b)
{
	return a->size == b->size && a->vste[0] == b->vste[0] &&
	       a->vste[1] == b->vste[1] && a->config == b->config &&
	       a->rule == b->rule && a->s1contextptr == b->s1contextptr &&
	       a->s1fmt == b->s1fmt && a->s1cdmax == b->s1cdmax &&
	       a->s1dss == b->s1dss && a->ats == b->ats;
}

static int read_ste(struct smmuinv_ste *ste, const struct entry *e,
		    const struct smmuinv_features *guest,
		    const struct smmuinv_features *host)
{
	*ste = (struct smmuinv_ste){ .size = sizeof(*ste) };
	return smmuinv_ste_read(ste, e, guest, host);
}

/* The host's SMMU would not find it illegal, nor ignore a part of it. */
static bool host_takes(const struct smmuinv_ste *ste,
		       const struct smmuinv_features *host)
{
	struct entry e = { { ste->vste[0], ste->vste[1] } };
	struct smmuinv_features f = *host;
	struct smmuinv_ste again;

	/* The host's address range is not known, and its stage 2's anyway. */
	spec_feature_set(&f, SMMUINV_FEATURE_OAS, 7);
	expect(&again, &e, &f, &f);
	return !again.rule && again.vste[0] == ste->vste[0] &&
	       again.vste[1] == ste->vste[1];
}

static void assert_as_expected(const struct entry *e,
			       const struct smmuinv_features *guest,
			       const struct smmuinv_features *host)
{
	struct smmuinv_ste found;
	struct smmuinv_ste wanted;
	int rc = read_ste(&found, e, guest, host);

	if (rc != expect(&wanted, e, guest, host) || !same(&found, &wanted))
		fail_msg("%016" PRIx64 " %016" PRIx64 " %016" PRIx64
			 ": %d %s, vSTE %016" PRIx64 " %016" PRIx64
			 "; not %s, %016" PRIx64 " %016" PRIx64,
			 le64toh(e->word[0]), le64toh(e->word[1]),
			 le64toh(e->word[2]), rc,
			 smmuinv_ste_rule_text(found.rule),
			 le64toh(found.vste[0]), le64toh(found.vste[1]),
			 smmuinv_ste_rule_text(wanted.rule),
			 le64toh(wanted.vste[0]), le64toh(wanted.vste[1]));
	assert_true(kernel_accepts(found.vste));
	assert_true(host_takes(&found, host));
}

static struct smmuinv_features
with(struct smmuinv_features f, enum smmuinv_feature feature, uint32_t value)
{
	spec_feature_set(&f, feature, value);
	return f;
}

/* What smmuinv_features_offer() shows on a host with everything. */
static struct smmuinv_features offered(void)
{
	const struct smmuinv_features host = test_features_full();
	const struct smmuinv_offer offer = {
		.size = sizeof(offer),
		.stall = SMMUINV_ON,
		.stall_max = 64,
		.ssid_bits = SMMUINV_SSID_BITS_AS_HOST,
		.address_bits = 48,
	};
	struct smmuinv_features guest;

	assert_int_equal(smmuinv_features_offer(&guest, &host, &offer, NULL),
			 0);
	return guest;
}

static struct smmuinv_features full_host(void)
{
	return with(test_features_full(), SMMUINV_FEATURE_STALL_MODEL, 0);
}

/* Stage 1 through a linear table of 2^5 CDs. */
static struct entry translating(void)
{
	struct entry e = { { 0 } };

	put(&e, V, 1);
	put(&e, CONFIG, 5);
	put(&e, S1CONTEXTPTR, 0x123456780000 >> 6);
	put(&e, S1CDMAX, 5);
	put(&e, S1DSS, 2);
	put(&e, S1CIR, 1);
	put(&e, S1COR, 1);
	put(&e, S1CSH, 3);
	put(&e, EATS, 1);
	return e;
}

static struct entry translating_with(struct place place, uint64_t value)
{
	struct entry e = translating();

	put(&e, place, value);
	return e;
}

static void assert_rule(struct entry e, struct smmuinv_features guest,
			enum smmuinv_ste_rule rule, int rc)
{
	const struct smmuinv_features host = full_host();
	struct smmuinv_ste found;

	assert_int_equal(read_ste(&found, &e, &guest, &host), rc);
	if (found.rule != rule)
		fail_msg("%s", smmuinv_ste_rule_text(found.rule));
	assert_int_equal(found.config, SMMUINV_STE_ABORT);
	assert_true(found.vste[0] == htole64(1));
	assert_true(found.vste[1] == 0);
	assert_true(found.s1contextptr == 0);
	assert_false(found.ats);
	assert_as_expected(&e, &guest, &host);
}

static void assert_illegal(struct entry e, struct smmuinv_features guest,
			   enum smmuinv_ste_rule rule)
{
	assert_rule(e, guest, rule, 0);
}

/* It is carried, and its field arrives with this value. */
static void assert_carried(struct entry e, struct smmuinv_features guest,
			   struct place place, uint64_t value)
{
	const struct smmuinv_features host = full_host();
	struct entry out = { { 0 } };
	struct smmuinv_ste found;

	assert_int_equal(read_ste(&found, &e, &guest, &host), 0);
	if (found.rule)
		fail_msg("%s", smmuinv_ste_rule_text(found.rule));
	memcpy(out.word, found.vste, sizeof(found.vste));
	assert_true(get(&out, place) == value);
	assert_as_expected(&e, &guest, &host);
}

static void a_translating_entry_is_carried_field_by_field(void **state)
{
	const struct smmuinv_features guest = offered();
	const struct smmuinv_features host = full_host();
	struct entry e = translating();
	struct smmuinv_ste ste;

	(void)state;
	assert_int_equal(read_ste(&ste, &e, &guest, &host), 0);
	assert_int_equal(ste.rule, SMMUINV_STE_RULE_NONE);
	assert_int_equal(ste.config, SMMUINV_STE_TRANSLATE);
	assert_true(ste.vste[0] == htole64(UINT64_C(0x280012345678000b)));
	assert_true(ste.vste[1] == htole64(UINT64_C(0x100000d6)));
	assert_true(ste.s1contextptr == 0x123456780000);
	assert_int_equal(ste.s1fmt, 0);
	assert_int_equal(ste.s1cdmax, 5);
	assert_int_equal(ste.s1dss, 2);
	assert_true(ste.ats);
}

/* 5.2.1: S1* and EATS are IGNORED, the attributes the kernel does not take. */
static void bypass_is_v_and_config_and_nothing_else(void **state)
{
	const struct smmuinv_features guest = offered();
	const struct smmuinv_features host = full_host();
	struct entry e;
	struct smmuinv_ste ste;

	(void)state;
	memset(&e, 0xff, sizeof(e));
	put(&e, CONFIG, 4);
	assert_int_equal(read_ste(&ste, &e, &guest, &host), 0);
	assert_int_equal(ste.config, SMMUINV_STE_BYPASS);
	assert_int_equal(ste.rule, SMMUINV_STE_RULE_NONE);
	assert_true(ste.vste[0] == htole64(9));
	assert_true(ste.vste[1] == 0);
	assert_true(ste.s1contextptr == 0);
	assert_false(ste.ats);
}

/* 5.2, Config: 0b0xx behaves as 0b000 */
static void abort_is_legal_whatever_else_the_entry_says(void **state)
{
	const struct smmuinv_features guest = offered();
	const struct smmuinv_features host = full_host();
	unsigned int config;
	struct entry e;
	struct smmuinv_ste ste;

	(void)state;
	memset(&e, 0xff, sizeof(e));
	for (config = 0; config < 4; config++) {
		put(&e, CONFIG, config);
		assert_int_equal(read_ste(&ste, &e, &guest, &host), 0);
		assert_int_equal(ste.config, SMMUINV_STE_ABORT);
		assert_int_equal(ste.rule, SMMUINV_STE_RULE_NONE);
		assert_true(ste.vste[0] == htole64(1));
		assert_true(ste.vste[1] == 0);
	}
}

/* 5.2, V */
static void an_entry_without_v_is_illegal(void **state)
{
	(void)state;
	assert_illegal(translating_with(V, 0), offered(),
		       SMMUINV_STE_RULE_NOT_VALID);
	assert_illegal((struct entry){ { 0 } }, offered(),
		       SMMUINV_STE_RULE_NOT_VALID);
}

/* 5.2, Config */
static void stage_1_needs_s1p(void **state)
{
	struct smmuinv_features f = with(offered(), SMMUINV_FEATURE_S1P, 0);

	(void)state;
	assert_illegal(translating(), f, SMMUINV_STE_RULE_NO_STAGE1);
	assert_illegal(translating_with(CONFIG, 7),
		       with(f, SMMUINV_FEATURE_S2P, 1),
		       SMMUINV_STE_RULE_NO_STAGE1);
	assert_carried(translating_with(CONFIG, 4), f, CONFIG, 4);
}

/* 5.2, Config: illegal without IDR0.S2P, and never to be nested with it */
static void stage_2_is_illegal_or_not_carried(void **state)
{
	struct smmuinv_features f = with(offered(), SMMUINV_FEATURE_S2P, 1);
	unsigned int config;

	(void)state;
	for (config = 6; config <= 7; config++) {
		assert_illegal(translating_with(CONFIG, config), offered(),
			       SMMUINV_STE_RULE_NO_STAGE2);
		assert_rule(translating_with(CONFIG, config), f,
			    SMMUINV_STE_RULE_STAGE2, -EOPNOTSUPP);
	}
}

/* 5.2, EATS */
static void full_ats_is_carried_and_split_ats_is_illegal(void **state)
{
	struct smmuinv_features f = offered();
	struct smmuinv_features none = with(f, SMMUINV_FEATURE_ATS, 0);
	unsigned int eats;

	(void)state;
	assert_carried(translating_with(EATS, 0), f, EATS, 0);
	assert_carried(translating_with(EATS, 1), f, EATS, 1);
	assert_illegal(translating_with(EATS, 2), f,
		       SMMUINV_STE_RULE_SPLIT_ATS);
	for (eats = 0; eats < 4; eats++)
		assert_carried(translating_with(EATS, eats), none, EATS, 0);
}

/* 5.2, EATS: 3 is reserved and behaves as 0, without IDR3.DPT */
static void ats_with_dpt_checks_is_no_ats_or_not_carried(void **state)
{
	struct smmuinv_features f = offered();
	struct smmuinv_features dpt = with(f, SMMUINV_FEATURE_DPT, 1);
	struct entry e = translating_with(EATS, 3);

	(void)state;
	assert_carried(e, f, EATS, 0);
	assert_rule(e, dpt, SMMUINV_STE_RULE_DPT, -EOPNOTSUPP);
	put(&e, STRW, 2);
	assert_rule(e, dpt, SMMUINV_STE_RULE_DPT, -EOPNOTSUPP);
	assert_illegal(e, with(dpt, SMMUINV_FEATURE_HYP, 1),
		       SMMUINV_STE_RULE_DPT_STRW);
}

/* 5.2, STRW */
static void strw_counts_only_with_hyp(void **state)
{
	struct smmuinv_features f = offered();
	struct smmuinv_features hyp = with(f, SMMUINV_FEATURE_HYP, 1);
	unsigned int strw;

	(void)state;
	for (strw = 0; strw < 4; strw++)
		assert_carried(translating_with(STRW, strw), f, STRW, 0);
	assert_carried(translating_with(STRW, 0), hyp, STRW, 0);
	assert_illegal(translating_with(STRW, 1), hyp, SMMUINV_STE_RULE_STRW);
	assert_rule(translating_with(STRW, 2), hyp, SMMUINV_STE_RULE_EL2,
		    -EOPNOTSUPP);
	assert_illegal(translating_with(STRW, 3), hyp, SMMUINV_STE_RULE_STRW);
}

/* 5.2, S1STALLD; 5.5 */
static void s1stalld_is_illegal_unless_stalls_can_be_chosen(void **state)
{
	struct smmuinv_features f = offered();
	unsigned int model;

	(void)state;
	assert_carried(translating_with(S1STALLD, 0), f, S1STALLD, 0);
	assert_carried(translating_with(S1STALLD, 1), f, S1STALLD, 1);
	for (model = 1; model < 4; model++)
		assert_illegal(translating_with(S1STALLD, 1),
			       with(f, SMMUINV_FEATURE_STALL_MODEL, model),
			       SMMUINV_STE_RULE_S1STALLD);
}

/* 5.5: CD.S is illegal where stalls are not supported. */
static void a_guest_without_stalls_cannot_stall_a_host_with_them(void **state)
{
	unsigned int guest;
	unsigned int host;

	(void)state;
	for (guest = 0; guest < 3; guest++) {
		for (host = 0; host < 3; host++) {
			struct smmuinv_features f = with(
				offered(), SMMUINV_FEATURE_STALL_MODEL, guest);
			struct smmuinv_features h = with(
				full_host(), SMMUINV_FEATURE_STALL_MODEL, host);
			struct entry e = translating();
			struct smmuinv_ste ste;

			assert_int_equal(read_ste(&ste, &e, &f, &h), 0);
			assert_int_equal(le64toh(ste.vste[1]) >> 27 & 1,
					 guest == 1 && host == 0);
			assert_as_expected(&e, &f, &h);
		}
	}
}

/* 5.2, S1CDMax */
static void s1cdmax_is_ssidsize_at_most_and_ignored_without_it(void **state)
{
	unsigned int bits;
	unsigned int cdmax;

	(void)state;
	for (bits = 0; bits < 32; bits++) {
		struct smmuinv_features f =
			with(offered(), SMMUINV_FEATURE_SSIDSIZE, bits);

		for (cdmax = 0; cdmax < 32; cdmax++) {
			struct entry e = translating_with(S1CDMAX, cdmax);

			if (!bits)
				assert_carried(e, f, S1CDMAX, 0);
			else if (cdmax <= bits && cdmax <= 20)
				assert_carried(e, f, S1CDMAX, cdmax);
			else
				assert_illegal(e, f, SMMUINV_STE_RULE_S1CDMAX);
		}
	}
}

/* 5.2, S1Fmt: 3 is reserved and behaves as 0 */
static void s1fmt_is_the_guests_choice_and_needs_cd2l(void **state)
{
	struct smmuinv_features f = offered();
	struct smmuinv_features linear = with(f, SMMUINV_FEATURE_CD2L, 0);
	unsigned int fmt;

	(void)state;
	for (fmt = 0; fmt < 4; fmt++) {
		struct entry e = translating_with(S1FMT, fmt);

		assert_carried(e, f, S1FMT, fmt % 3);
		if (fmt % 3)
			assert_illegal(e, linear, SMMUINV_STE_RULE_S1FMT);
		else
			assert_carried(e, linear, S1FMT, 0);
	}
}

/* 5.2, S1Fmt, S1CDMax, S1DSS: there is one CD then. */
static void without_substreams_s1fmt_and_s1dss_are_ignored(void **state)
{
	struct smmuinv_features f = offered();
	struct smmuinv_features none = with(
		with(f, SMMUINV_FEATURE_SSIDSIZE, 0), SMMUINV_FEATURE_CD2L, 0);
	unsigned int value;

	(void)state;
	for (value = 0; value < 4; value++) {
		struct entry e = translating_with(S1FMT, value);

		put(&e, S1DSS, value);
		assert_carried(e, none, S1FMT, 0);
		assert_carried(e, none, S1DSS, 0);
		put(&e, S1CDMAX, 0);
		assert_carried(e, f, S1FMT, 0);
		assert_carried(e, f, S1DSS, 0);
	}
}

/* 5.2, S1DSS: 3 is reserved and behaves as 0 */
static void s1dss_is_carried(void **state)
{
	unsigned int dss;

	(void)state;
	for (dss = 0; dss < 4; dss++)
		assert_carried(translating_with(S1DSS, dss), offered(), S1DSS,
			       dss % 3);
}

/* 5.2, S1CSH: 1 is reserved and behaves as 0 */
static void the_attributes_of_cd_fetches_are_carried(void **state)
{
	struct smmuinv_features f = offered();
	unsigned int value;

	(void)state;
	for (value = 0; value < 4; value++) {
		assert_carried(translating_with(S1CIR, value), f, S1CIR, value);
		assert_carried(translating_with(S1COR, value), f, S1COR, value);
		assert_carried(translating_with(S1CSH, value), f, S1CSH,
			       value == 1 ? 0 : value);
	}
}

/* 3.4.3; 6.3.6, OAS */
static void s1contextptr_is_within_oas(void **state)
{
	static const unsigned int bits[] = { 32, 36, 40, 42, 44, 48, 52, 56 };
	unsigned int oas;
	unsigned int bit;

	(void)state;
	for (oas = 0; oas < 8; oas++) {
		struct smmuinv_features f =
			with(offered(), SMMUINV_FEATURE_OAS, oas);

		for (bit = 12; bit < 56; bit++) {
			uint64_t value = UINT64_C(1) << (bit - 6);
			struct entry e = translating_with(S1CONTEXTPTR, value);

			if (bit >= bits[oas])
				assert_illegal(e, f,
					       SMMUINV_STE_RULE_S1CONTEXTPTR);
			else if (bit >= 52)
				assert_rule(e, f, SMMUINV_STE_RULE_HOST_LACKS,
					    -EOPNOTSUPP);
			else
				assert_carried(e, f, S1CONTEXTPTR, value);
		}
	}
}

/* 5.2, S1Fmt: else it is unpredictable which CD is fetched. */
static void a_table_is_aligned_to_its_size(void **state)
{
	unsigned int fmt;
	unsigned int cdmax;

	(void)state;
	for (fmt = 0; fmt < 4; fmt++) {
		for (cdmax = 0; cdmax <= 20; cdmax++) {
			struct entry e = translating_with(S1FMT, fmt);
			unsigned int low = 6;

			put(&e, S1CDMAX, cdmax);
			put(&e, S1CONTEXTPTR, UINT64_C(0xffffffffffff) >> 6);
			/* CDs of 64 bytes, or L1CDs of 8 for 64 or 1024. */
			if (fmt % 3 == 0)
				low = cdmax + 6;
			else if (fmt == 1 && cdmax - 6 + 3 > 6 && cdmax > 6)
				low = cdmax - 6 + 3;
			else if (fmt == 2 && cdmax - 10 + 3 > 6 && cdmax > 10)
				low = cdmax - 10 + 3;
			assert_carried(e, offered(), S1CONTEXTPTR,
				       UINT64_C(0xffffffffffff) >>
					       low << (low - 6));
		}
	}
}

/* 5.2, S2VMID: it tags EL1's entries, if there is a stage 2 */
static void a_vmid_is_ignored_illegal_or_not_carried(void **state)
{
	struct smmuinv_features f = offered();
	struct smmuinv_features s2p = with(f, SMMUINV_FEATURE_S2P, 1);
	struct smmuinv_features vmid16 = s2p;
	unsigned int bit;

	(void)state;
	spec_feature_set(&vmid16, SMMUINV_FEATURE_VMID16, 1);
	for (bit = 0; bit < 16; bit++) {
		struct entry e = translating_with(S2VMID, 1u << bit);

		assert_carried(e, f, S1CDMAX, 5);
		if (bit < 8)
			assert_rule(e, s2p, SMMUINV_STE_RULE_VMID, -EOPNOTSUPP);
		else
			assert_illegal(e, s2p, SMMUINV_STE_RULE_S2VMID);
		assert_rule(e, vmid16, SMMUINV_STE_RULE_VMID, -EOPNOTSUPP);
	}
	assert_carried(translating(), s2p, S1CDMAX, 5);
}

/* Except the feature, the host has what the guest was offered. */
static void assert_host_lacks(struct entry e, uint32_t feature, uint32_t value)
{
	const struct smmuinv_features host = with(full_host(), feature, value);
	const struct smmuinv_features guest = offered();
	struct smmuinv_ste ste;

	assert_int_equal(read_ste(&ste, &e, &guest, &host), -EOPNOTSUPP);
	assert_int_equal(ste.rule, SMMUINV_STE_RULE_HOST_LACKS);
	assert_int_equal(ste.lacking, feature);
	assert_int_equal(ste.config, SMMUINV_STE_ABORT);
	assert_true(ste.vste[0] == htole64(1));
	assert_int_not_equal(
		smmuinv_features_compatible(&guest, &host, NULL, NULL), 0);
	assert_as_expected(&e, &guest, &host);
}

static void what_the_host_lacks_is_named_and_aborts(void **state)
{
	unsigned int model;

	(void)state;
	assert_host_lacks(translating(), SMMUINV_FEATURE_SSIDSIZE, 4);
	assert_host_lacks(translating_with(S1FMT, 1), SMMUINV_FEATURE_CD2L, 0);
	assert_host_lacks(translating(), SMMUINV_FEATURE_ATS, 0);
	for (model = 1; model < 3; model++)
		assert_host_lacks(translating_with(S1STALLD, 1),
				  SMMUINV_FEATURE_STALL_MODEL, model);
}

static void every_bit_outside_the_listed_fields_changes_nothing(void **state)
{
	static const struct place listed[] = {
		{ 0, 0 },   { 3, 1 },   { 5, 4 },   { 55, 6 },
		{ 63, 59 }, { 65, 64 }, { 67, 66 }, { 69, 68 },
		{ 71, 70 }, { 91, 91 }, { 93, 92 },
	};
	const struct smmuinv_features guest = offered();
	const struct smmuinv_features host = full_host();
	unsigned int config;
	unsigned int n;
	size_t i;

	(void)state;
	for (config = 4; config <= 5; config++) {
		struct entry e = translating_with(CONFIG, config);
		struct smmuinv_ste before;

		assert_int_equal(read_ste(&before, &e, &guest, &host), 0);
		for (n = 0; n < 8 * SMMUINV_STE_BYTES; n++) {
			struct entry flipped = e;
			struct smmuinv_ste after;
			bool inside = false;

			for (i = 0; i < ARRAY_SIZE(listed); i++)
				inside |= n >= listed[i].low &&
					  n <= listed[i].high;
			flipped.word[n / 64] ^= htole64(UINT64_C(1) << n % 64);
			assert_as_expected(&flipped, &guest, &host);
			if (inside)
				continue;
			assert_int_equal(
				read_ste(&after, &flipped, &guest, &host), 0);
			assert_true(same(&after, &before));
		}
	}
}

/* Registers in which each field that is asked for takes every value. */
static struct smmuinv_features random_registers(void)
{
	static const enum smmuinv_feature asked[] = {
		SMMUINV_FEATURE_S1P,      SMMUINV_FEATURE_S2P,
		SMMUINV_FEATURE_HYP,      SMMUINV_FEATURE_ATS,
		SMMUINV_FEATURE_CD2L,     SMMUINV_FEATURE_STALL_MODEL,
		SMMUINV_FEATURE_SSIDSIZE, SMMUINV_FEATURE_DPT,
		SMMUINV_FEATURE_OAS,      SMMUINV_FEATURE_VMID16,
	};
	struct smmuinv_features f = { { 0 } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(asked); i++)
		spec_feature_set(&f, asked[i], (uint32_t)test_random());
	if (test_chance(80))
		spec_feature_set(&f, SMMUINV_FEATURE_S1P, 1);
	return f;
}

/* One that can nest has stage 1. */
static struct smmuinv_features random_host(void)
{
	return with(random_registers(), SMMUINV_FEATURE_S1P, 1);
}

/* Everything but the pointer and the VMID, which are some of each. */
static void try_every_value(const struct smmuinv_features *guest,
			    const struct smmuinv_features *host)
{
	static const struct place places[] = {
		{ 3, 0 },   { 5, 4 },   { 63, 59 }, { 65, 64 },
		{ 91, 91 }, { 93, 92 }, { 95, 94 },
	};
	unsigned int values;

	for (values = 0; values < 1u << 18; values++) {
		unsigned int rest = values;
		struct entry e = { { 0 } };
		size_t i;

		for (i = 0; i < ARRAY_SIZE(places); i++) {
			unsigned int bits = places[i].high - places[i].low + 1;

			put(&e, places[i], rest);
			rest >>= bits;
		}
		put(&e, S1CONTEXTPTR, test_random() >> test_random_below(64));
		put(&e, S2VMID, test_chance(50) ? 0 : test_random_edge());
		put(&e, (struct place){ 71, 66 }, test_random());
		assert_as_expected(&e, guest, host);
	}
}

static void
every_value_of_every_field_is_as_the_specification_says(void **state)
{
	size_t left = test_iterations(8);

	(void)state;
	for (; left; left--) {
		struct smmuinv_features host = full_host();
		struct smmuinv_features guest = random_registers();

		if (test_chance(50))
			host = random_host();
		try_every_value(&guest, &host);
	}
}

static void random_entries_are_accepted_by_the_kernel(void **state)
{
	size_t left = test_iterations(1000000);
	size_t carried = 0;

	(void)state;
	for (; left; left--) {
		struct smmuinv_features guest = random_registers();
		struct smmuinv_features host = random_host();
		struct smmuinv_ste ste;
		struct entry e;
		unsigned int i;

		for (i = 0; i < WORDS; i++)
			e.word[i] = test_random_edge();
		if (test_chance(90))
			put(&e, V, 1);
		if (test_chance(50))
			put(&e, CONFIG, 5);
		if (test_chance(80))
			put(&e, S1CDMAX, test_random_below(8));
		if (test_chance(80))
			put(&e, S2VMID, 0);
		if (test_chance(80))
			put(&e, STRW, 0);
		assert_as_expected(&e, &guest, &host);
		read_ste(&ste, &e, &guest, &host);
		carried += ste.config == SMMUINV_STE_TRANSLATE;
	}
	print_message("%zu of them translate\n", carried);
}

/* A VMM that asks smmuinv_features_offer() has nothing to handle. */
static void what_a_compatible_guest_writes_is_carried_or_illegal(void **state)
{
	size_t left = test_iterations(300000);

	(void)state;
	for (; left; left--) {
		const struct smmuinv_offer offer = {
			.size = sizeof(offer),
			.ats = (uint8_t)test_random_below(2),
			.stall_max = 1,
			.stall = (uint8_t)test_random_below(3),
			.ssid_bits = SMMUINV_SSID_BITS_AS_HOST,
		};
		struct smmuinv_features host = test_features_random_host();
		struct smmuinv_features guest;
		struct entry e = translating();
		struct smmuinv_ste ste;
		unsigned int i;

		if (smmuinv_features_offer(&guest, &host, &offer, NULL))
			continue;
		for (i = 0; i < WORDS; i++)
			e.word[i] ^= test_random() & test_random_edge();
		assert_int_equal(read_ste(&ste, &e, &guest, &host), 0);
		assert_as_expected(&e, &guest, &host);
	}
}

static void an_entry_is_aligned_to_8(void **state)
{
	const struct smmuinv_features guest = offered();
	const struct smmuinv_features host = full_host();
	struct {
		uint64_t before;
		struct entry e;
		uint64_t after;
	} memory = { .e = translating() };
	const unsigned char *bytes = (const unsigned char *)&memory.e;
	struct smmuinv_ste ste = { .size = sizeof(ste) };
	unsigned int offset;

	(void)state;
	assert_int_equal(smmuinv_ste_read(&ste, bytes, &guest, &host), 0);
	assert_int_equal(ste.config, SMMUINV_STE_TRANSLATE);
	for (offset = 1; offset < 8; offset++)
		assert_int_equal(
			smmuinv_ste_read(&ste, bytes + offset, &guest, &host),
			-EINVAL);
	assert_int_equal(smmuinv_ste_read(&ste, bytes + 8, &guest, &host), 0);
}

static void null_or_a_wrong_size_is_invalid_and_nothing_is_written(void **state)
{
	const struct smmuinv_features guest = offered();
	const struct smmuinv_features host = full_host();
	struct entry e = translating();
	struct smmuinv_ste ste = { .size = sizeof(ste), .rule = 99 };
	struct {
		struct smmuinv_ste known;
		unsigned char tail[8];
	} newer = { .known = { .size = sizeof(newer), .lacking = 1 },
		    .tail = { 1 } };
	size_t size;

	(void)state;
	assert_int_equal(smmuinv_ste_read(NULL, &e, &guest, &host), -EINVAL);
	assert_int_equal(smmuinv_ste_read(&ste, NULL, &guest, &host), -EINVAL);
	assert_int_equal(smmuinv_ste_read(&ste, &e, NULL, &host), -EINVAL);
	assert_int_equal(smmuinv_ste_read(&ste, &e, &guest, NULL), -EINVAL);
	for (size = 0; size < sizeof(ste); size++) {
		ste.size = size;
		assert_int_equal(smmuinv_ste_read(&ste, &e, &guest, &host),
				 -EINVAL);
	}
	assert_int_equal(ste.rule, 99);
	assert_int_equal(smmuinv_ste_read(&newer.known, &e, &guest, &host), 0);
	assert_int_equal(newer.known.size, sizeof(newer));
	assert_int_equal(newer.known.config, SMMUINV_STE_TRANSLATE);
	assert_int_equal(newer.known.lacking, 0);
	assert_int_equal(newer.tail[0], 0);
}

static void every_rule_has_a_text_of_its_own(void **state)
{
	uint32_t a;
	uint32_t b;

	(void)state;
	for (a = 0; a < SMMUINV_STE_RULE_COUNT; a++) {
		assert_string_not_equal(smmuinv_ste_rule_text(a), "?");
		for (b = 0; b < a; b++)
			assert_string_not_equal(smmuinv_ste_rule_text(a),
						smmuinv_ste_rule_text(b));
	}
	assert_string_equal(smmuinv_ste_rule_text(SMMUINV_STE_RULE_COUNT), "?");
	assert_string_equal(smmuinv_ste_rule_text(UINT32_MAX), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(a_translating_entry_is_carried_field_by_field),
		T(bypass_is_v_and_config_and_nothing_else),
		T(abort_is_legal_whatever_else_the_entry_says),
		T(an_entry_without_v_is_illegal),
		T(stage_1_needs_s1p),
		T(stage_2_is_illegal_or_not_carried),
		T(full_ats_is_carried_and_split_ats_is_illegal),
		T(ats_with_dpt_checks_is_no_ats_or_not_carried),
		T(strw_counts_only_with_hyp),
		T(s1stalld_is_illegal_unless_stalls_can_be_chosen),
		T(a_guest_without_stalls_cannot_stall_a_host_with_them),
		T(s1cdmax_is_ssidsize_at_most_and_ignored_without_it),
		T(s1fmt_is_the_guests_choice_and_needs_cd2l),
		T(without_substreams_s1fmt_and_s1dss_are_ignored),
		T(s1dss_is_carried),
		T(the_attributes_of_cd_fetches_are_carried),
		T(s1contextptr_is_within_oas),
		T(a_table_is_aligned_to_its_size),
		T(a_vmid_is_ignored_illegal_or_not_carried),
		T(what_the_host_lacks_is_named_and_aborts),
		T(every_bit_outside_the_listed_fields_changes_nothing),
		T(every_value_of_every_field_is_as_the_specification_says),
		T(random_entries_are_accepted_by_the_kernel),
		T(what_a_compatible_guest_writes_is_carried_or_illegal),
		T(an_entry_is_aligned_to_8),
		T(null_or_a_wrong_size_is_invalid_and_nothing_is_written),
		T(every_rule_has_a_text_of_its_own),
#undef T
	};

	return cmocka_run_group_tests_name("ste", tests, NULL, NULL);
}
