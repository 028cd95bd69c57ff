/* SPDX-License-Identifier: MIT */
#include <smmuinv/ste.h>

#include <errno.h>

#include "bits.h"
#include "params.h"

/* Fields of an STE's first three words (5.2). */
#define STE0_V            BITS(0, 0)
#define STE0_CONFIG       BITS(3, 1)
#define STE0_S1FMT        BITS(5, 4)
#define STE0_S1CONTEXTPTR BITS(55, 6)
#define STE0_S1CDMAX      BITS(63, 59)
#define STE1_S1DSS        BITS(1, 0)
#define STE1_S1CIR        BITS(3, 2)
#define STE1_S1COR        BITS(5, 4)
#define STE1_S1CSH        BITS(7, 6)
#define STE1_S1STALLD     BITS(27, 27)
#define STE1_EATS         BITS(29, 28)
#define STE1_STRW         BITS(31, 30)
#define STE2_S2VMID       BITS(15, 0)

/* What the kernel takes of them; it refuses an entry with any other bit. */
#define VSTE0 \
	(STE0_V | STE0_CONFIG | STE0_S1FMT | STE0_S1CONTEXTPTR | STE0_S1CDMAX)
#define VSTE1                                                                \
	(STE1_S1DSS | STE1_S1CIR | STE1_S1COR | STE1_S1CSH | STE1_S1STALLD | \
	 STE1_EATS)

/* Of S1ContextPtr it takes bits 51:6 only. */
#define KERNEL_ADDRESS_BITS 52

/* Config is 0b1 and one bit for each stage; 0b0xx aborts. */
#define CONFIG_S1     1u
#define CONFIG_S2     2u
#define CONFIG_PASSES 4u

#define S1FMT_RESERVED 3u
#define S1DSS_RESERVED 3u
#define S1CSH_RESERVED 1u
#define EATS_SPLIT     2u
#define EATS_DPT       3u
#define STRW_RESERVED  1u /* this bit */

#define STALL_MODEL_BOTH 0u
#define STALL_MODEL_NONE 1u
#define SSID_BITS_MAX    20u

/* A CD has 64 bytes, an L1CD 8; a leaf table by S1Fmt 1, 64 or 1024 CDs. */
#define CD_LOG2   6u
#define L1CD_LOG2 3u
static const uint8_t leaf_log2[] = { 0, 6, 10 };

/* The words that count; the others are stage 2's, or not the kernel's. */
struct ste_words {
	uint64_t word[3];
};

static uint32_t feature(const struct smmuinv_features *features,
			enum smmuinv_feature which)
{
	return smmuinv_features_get(features, which);
}

static void drop_if(uint64_t *word, uint64_t mask, bool ignored)
{
	if (ignored)
		*word &= ~mask;
}

static void drop_value(uint64_t *word, uint64_t mask, uint64_t value)
{
	drop_if(word, mask, bits_get(*word, mask) == value);
}

/*
 * What is IGNORED becomes zero, and so does what behaves as zero. The host's
 * SMMU need not ignore the same, so none of it may reach the host: S1CDMax
 * counts there although the guest was shown no SubstreamIDs, for instance.
 */
static void drop_ignored(struct ste_words *e,
			 const struct smmuinv_features *guest)
{
	uint64_t *word = e->word;

	drop_if(&word[0], STE0_S1CDMAX,
		!feature(guest, SMMUINV_FEATURE_SSIDSIZE));
	drop_if(&word[0], STE0_S1FMT, !(word[0] & STE0_S1CDMAX));
	drop_if(&word[1], STE1_S1DSS, !(word[0] & STE0_S1CDMAX));
	drop_if(&word[1], STE1_EATS, !feature(guest, SMMUINV_FEATURE_ATS));
	if (!feature(guest, SMMUINV_FEATURE_DPT))
		drop_value(&word[1], STE1_EATS, EATS_DPT);
	drop_if(&word[1], STE1_STRW, !feature(guest, SMMUINV_FEATURE_HYP));
	/* VMIDs tag the entries of EL1, and only with a stage 2. */
	drop_if(&word[2], STE2_S2VMID,
		!feature(guest, SMMUINV_FEATURE_S2P) || (word[1] & STE1_STRW));
	drop_value(&word[0], STE0_S1FMT, S1FMT_RESERVED);
	drop_value(&word[1], STE1_S1DSS, S1DSS_RESERVED);
	drop_value(&word[1], STE1_S1CSH, S1CSH_RESERVED);
}

/* IDR5.OAS (6.3.6) */
static unsigned int address_bits(const struct smmuinv_features *features)
{
	static const uint8_t bits[] = { 32, 36, 40, 42, 44, 48, 52, 56 };

	return bits[feature(features, SMMUINV_FEATURE_OAS)];
}

/* No SMMU has more SubstreamID bits than 20, whatever a register says. */
static unsigned int substream_bits(const struct smmuinv_features *features)
{
	uint32_t bits = feature(features, SMMUINV_FEATURE_SSIDSIZE);

	return bits < SSID_BITS_MAX ? bits : SSID_BITS_MAX;
}

/* A stage-1 entry without its IGNORED fields, in the order of 5.2.2. */
static enum smmuinv_ste_rule illegal(const struct ste_words *e,
				     const struct smmuinv_features *guest)
{
	uint64_t eats = bits_get(e->word[1], STE1_EATS);
	uint64_t strw = bits_get(e->word[1], STE1_STRW);

	if (eats == EATS_SPLIT)
		return SMMUINV_STE_RULE_SPLIT_ATS;
	if (eats == EATS_DPT && strw)
		return SMMUINV_STE_RULE_DPT_STRW;
	if (strw & STRW_RESERVED)
		return SMMUINV_STE_RULE_STRW;
	if ((e->word[1] & STE1_S1STALLD) &&
	    feature(guest, SMMUINV_FEATURE_STALL_MODEL) != STALL_MODEL_BOTH)
		return SMMUINV_STE_RULE_S1STALLD;
	if (bits_get(e->word[0], STE0_S1CDMAX) > substream_bits(guest))
		return SMMUINV_STE_RULE_S1CDMAX;
	if ((e->word[0] & STE0_S1FMT) && !feature(guest, SMMUINV_FEATURE_CD2L))
		return SMMUINV_STE_RULE_S1FMT;
	/* From SMMUv3.1 on; 3.0 might have cut the address (3.4.3). */
	if ((e->word[0] & STE0_S1CONTEXTPTR) >> address_bits(guest))
		return SMMUINV_STE_RULE_S1CONTEXTPTR;
	if (bits_get(e->word[2], STE2_S2VMID) > UINT8_MAX &&
	    !feature(guest, SMMUINV_FEATURE_VMID16))
		return SMMUINV_STE_RULE_S2VMID;
	return SMMUINV_STE_RULE_NONE;
}

/*
 * For which the host's SMMU would find the STE illegal, or the kernel would
 * refuse it. There is none if smmuinv_features_compatible() returns 0.
 */
static uint32_t host_feature_lacking(const struct ste_words *e,
				     const struct smmuinv_features *host)
{
	if (bits_get(e->word[0], STE0_S1CDMAX) > substream_bits(host))
		return SMMUINV_FEATURE_SSIDSIZE;
	if ((e->word[0] & STE0_S1FMT) && !feature(host, SMMUINV_FEATURE_CD2L))
		return SMMUINV_FEATURE_CD2L;
	if ((e->word[1] & STE1_S1STALLD) &&
	    feature(host, SMMUINV_FEATURE_STALL_MODEL) != STALL_MODEL_BOTH)
		return SMMUINV_FEATURE_STALL_MODEL;
	if ((e->word[1] & STE1_EATS) && !feature(host, SMMUINV_FEATURE_ATS))
		return SMMUINV_FEATURE_ATS;
	if ((e->word[0] & STE0_S1CONTEXTPTR) >> KERNEL_ADDRESS_BITS)
		return SMMUINV_FEATURE_OAS;
	return SMMUINV_FEATURE_COUNT;
}

/* The kernel runs a nested stream as EL1, with the one VMID of its vIOMMU. */
static enum smmuinv_ste_rule not_carried(const struct ste_words *e,
					 const struct smmuinv_features *host)
{
	if (e->word[1] & STE1_STRW)
		return SMMUINV_STE_RULE_EL2;
	if (bits_get(e->word[1], STE1_EATS) == EATS_DPT)
		return SMMUINV_STE_RULE_DPT;
	if (e->word[2] & STE2_S2VMID)
		return SMMUINV_STE_RULE_VMID;
	if (host_feature_lacking(e, host) != SMMUINV_FEATURE_COUNT)
		return SMMUINV_STE_RULE_HOST_LACKS;
	return SMMUINV_STE_RULE_NONE;
}

/* V and Config, and with stage 1 alone the rest (5.2.2). */
static enum smmuinv_ste_rule judge_config(const struct ste_words *e,
					  const struct smmuinv_features *guest,
					  const struct smmuinv_features *host)
{
	uint64_t config = bits_get(e->word[0], STE0_CONFIG);
	enum smmuinv_ste_rule rule;

	if (!(e->word[0] & STE0_V))
		return SMMUINV_STE_RULE_NOT_VALID;
	if (!(config & CONFIG_PASSES))
		return SMMUINV_STE_RULE_NONE;
	if ((config & CONFIG_S1) && !feature(guest, SMMUINV_FEATURE_S1P))
		return SMMUINV_STE_RULE_NO_STAGE1;
	if (config & CONFIG_S2)
		return feature(guest, SMMUINV_FEATURE_S2P) ?
			       SMMUINV_STE_RULE_STAGE2 :
			       SMMUINV_STE_RULE_NO_STAGE2;
	if (!(config & CONFIG_S1))
		return SMMUINV_STE_RULE_NONE;
	rule = illegal(e, guest);
	return rule == SMMUINV_STE_RULE_NONE ? not_carried(e, host) : rule;
}

/*
 * A table is aligned to its size, and an L1 table at least to 64 bytes. With
 * other bits set, an SMMU may fetch any entry of the table (5.2, S1Fmt); as
 * zero they are what it may also take them for, and we find the same CDs.
 */
static uint64_t table_address(uint64_t word)
{
	uint64_t fmt = bits_get(word, STE0_S1FMT);
	uint64_t count = bits_get(word, STE0_S1CDMAX);
	uint64_t log2 = CD_LOG2;

	if (!fmt)
		log2 = CD_LOG2 + count;
	else if (count > leaf_log2[fmt] + L1CD_LOG2)
		log2 = L1CD_LOG2 + count - leaf_log2[fmt];
	return (word & STE0_S1CONTEXTPTR) & (~UINT64_C(0) << log2);
}

/*
 * Where the guest's SMMU never stalls, CD.S is illegal (5.5). Where the host's
 * can, only S1STALLD makes it so: a stalled transaction of the guest would
 * wait for ever, as CMD_RESUME is illegal for the guest, too.
 */
static bool stalls_are_hidden(const struct smmuinv_features *guest,
			      const struct smmuinv_features *host)
{
	return feature(guest, SMMUINV_FEATURE_STALL_MODEL) ==
		       STALL_MODEL_NONE &&
	       feature(host, SMMUINV_FEATURE_STALL_MODEL) == STALL_MODEL_BOTH;
}

static void translate(struct smmuinv_ste *ste, const struct ste_words *e,
		      bool hide_stalls)
{
	uint64_t word0 = e->word[0] & VSTE0 & ~STE0_S1CONTEXTPTR;
	uint64_t word1 = e->word[1] & VSTE1;

	ste->s1contextptr = table_address(e->word[0]);
	ste->s1fmt = (uint8_t)bits_get(word0, STE0_S1FMT);
	ste->s1cdmax = (uint8_t)bits_get(word0, STE0_S1CDMAX);
	ste->s1dss = (uint8_t)bits_get(word1, STE1_S1DSS);
	ste->ats = word1 & STE1_EATS;
	ste->config = SMMUINV_STE_TRANSLATE;
	if (hide_stalls)
		word1 |= STE1_S1STALLD;
	ste->vste[0] = htole64(word0 | ste->s1contextptr);
	ste->vste[1] = htole64(word1);
}

int smmuinv_ste_read(struct smmuinv_ste *ste, const void *bytes,
		     const struct smmuinv_features *guest,
		     const struct smmuinv_features *host)
{
	/* Until more is known: V and Config 0, which is an abort. */
	struct smmuinv_ste found = { .vste = { htole64(STE0_V) } };
	struct ste_words e;
	uint64_t config;

	if (!ste || !PARAMS_WRITABLE(ste) || !words_readable(bytes) || !guest ||
	    !host)
		return -EINVAL;
	e = (struct ste_words){ { word_read_once(bytes, 0),
				  word_read_once(bytes, 1),
				  word_read_once(bytes, 2) } };
	drop_ignored(&e, guest);
	found.rule = judge_config(&e, guest, host);
	if (found.rule == SMMUINV_STE_RULE_HOST_LACKS)
		found.lacking = host_feature_lacking(&e, host);
	config = bits_get(e.word[0], STE0_CONFIG);
	if (!found.rule && config == (CONFIG_PASSES | CONFIG_S1))
		translate(&found, &e, stalls_are_hidden(guest, host));
	/* In bypass everything but V and Config is IGNORED (5.2.1). */
	if (!found.rule && config == CONFIG_PASSES) {
		found.config = SMMUINV_STE_BYPASS;
		found.vste[0] = htole64(e.word[0] & (STE0_V | STE0_CONFIG));
	}
	PARAMS_STORE(ste, &found);
	return found.rule < SMMUINV_STE_RULE_STAGE2 ? 0 : -EOPNOTSUPP;
}

#define RULE(name) [SMMUINV_STE_RULE_##name]

const char *smmuinv_ste_rule_text(uint32_t rule)
{
	static const char *const texts[SMMUINV_STE_RULE_COUNT] = {
		RULE(NONE) = "nothing is wrong",
		RULE(NOT_VALID) = "V is 0 (5.2)",
		RULE(NO_STAGE1) =
			"the SMMU has no stage 1, IDR0.S1P (5.2, Config)",
		RULE(NO_STAGE2) =
			"the SMMU has no stage 2, IDR0.S2P (5.2, Config)",
		RULE(SPLIT_ATS) =
			"split-stage ATS needs both stages (5.2, EATS)",
		RULE(DPT_STRW) =
			"DPT checks are for EL1 streams only (5.2, EATS)",
		RULE(STRW) = "STRW is reserved (5.2, STRW)",
		RULE(S1STALLD) =
			"stalls cannot be chosen, IDR0.STALL_MODEL (5.2, "
			"S1STALLD)",
		RULE(S1CDMAX) =
			"too many SubstreamIDs, IDR1.SSIDSIZE (5.2, S1CDMax)",
		RULE(S1FMT) = "the SMMU has no 2-level CD tables, "
			      "IDR0.CD2L (5.2, S1Fmt)",
		RULE(S1CONTEXTPTR) =
			"the CD's address is out of range, IDR5.OAS (3.4.3)",
		RULE(S2VMID) = "VMIDs have 8 bits, IDR0.VMID16 (5.2, S2VMID)",
		RULE(STAGE2) = "a guest's stage 2 cannot be nested "
			       "(5.2, Config)",
		RULE(EL2) = "an EL2 stream cannot be nested (5.2, STRW)",
		RULE(DPT) = "ATS with DPT checks cannot be nested (5.2, EATS)",
		RULE(VMID) = "a guest's VMIDs cannot be nested (5.2, S2VMID)",
		RULE(HOST_LACKS) = "the host lacks what the stream asks for",
	};

	return rule < SMMUINV_STE_RULE_COUNT ? texts[rule] : "?";
}
