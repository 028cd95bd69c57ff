/* SPDX-License-Identifier: MIT */
#include <smmuinv/features.h>

#include <errno.h>
#include <string.h>

#include "params.h"

/* What a host must have, seen from a guest that was shown it. */
enum need {
	NEED_NOTHING,  /* the VMM's own emulation */
	NEED_AT_LEAST, /* the host's number must not be smaller */
	NEED_ABSENT,   /* no host can carry it */
	NEED_COVER,    /* every bit of the guest's must be the host's too */
	NEED_SAME,     /* the choice that the host has made; 0 leaves it open */
};

struct feature {
	const char *name;
	uint8_t idr;
	uint8_t low;
	uint8_t bits;
	uint8_t need;
	/* The kernel's documentation allows it to be read from hw_info. */
	bool from_host;
};

/* One line for each register field (6.3.1, 6.3.2, 6.3.4, 6.3.6). */
static const struct feature features_table[SMMUINV_FEATURE_COUNT] = {
	[SMMUINV_FEATURE_S1P] = { "IDR0.S1P", 0, 1, 1, NEED_NOTHING, false },
	[SMMUINV_FEATURE_S2P] = { "IDR0.S2P", 0, 0, 1, NEED_NOTHING, false },
	[SMMUINV_FEATURE_TTF] = { "IDR0.TTF", 0, 2, 2, NEED_COVER, true },
	[SMMUINV_FEATURE_HYP] = { "IDR0.Hyp", 0, 9, 1, NEED_NOTHING, false },
	[SMMUINV_FEATURE_ATS] = { "IDR0.ATS", 0, 10, 1, NEED_COVER, false },
	[SMMUINV_FEATURE_ASID16] = { "IDR0.ASID16", 0, 12, 1, NEED_COVER,
				     true },
	[SMMUINV_FEATURE_MSI] = { "IDR0.MSI", 0, 13, 1, NEED_NOTHING, false },
	[SMMUINV_FEATURE_SEV] = { "IDR0.SEV", 0, 14, 1, NEED_NOTHING, false },
	[SMMUINV_FEATURE_PRI] = { "IDR0.PRI", 0, 16, 1, NEED_NOTHING, false },
	[SMMUINV_FEATURE_CD2L] = { "IDR0.CD2L", 0, 19, 1, NEED_COVER, true },
	[SMMUINV_FEATURE_TTENDIAN] = { "IDR0.TTENDIAN", 0, 21, 2, NEED_SAME,
				       true },
	[SMMUINV_FEATURE_STALL_MODEL] = { "IDR0.STALL_MODEL", 0, 24, 2,
					  NEED_SAME, true },
	[SMMUINV_FEATURE_TERM_MODEL] = { "IDR0.TERM_MODEL", 0, 26, 1, NEED_SAME,
					 true },
	[SMMUINV_FEATURE_SIDSIZE] = { "IDR1.SIDSIZE", 1, 0, 6, NEED_NOTHING,
				      true },
	[SMMUINV_FEATURE_SSIDSIZE] = { "IDR1.SSIDSIZE", 1, 6, 5, NEED_AT_LEAST,
				       true },
	[SMMUINV_FEATURE_MPAM] = { "IDR3.MPAM", 3, 7, 1, NEED_NOTHING, false },
	/* Ranges become pages where the host has none. */
	[SMMUINV_FEATURE_RIL] = { "IDR3.RIL", 3, 10, 1, NEED_NOTHING, true },
	[SMMUINV_FEATURE_BBML] = { "IDR3.BBML", 3, 11, 2, NEED_AT_LEAST, true },
	[SMMUINV_FEATURE_DPT] = { "IDR3.DPT", 3, 15, 1, NEED_NOTHING, false },
	[SMMUINV_FEATURE_GRAN4K] = { "IDR5.GRAN4K", 5, 4, 1, NEED_COVER, true },
	[SMMUINV_FEATURE_GRAN16K] = { "IDR5.GRAN16K", 5, 5, 1, NEED_COVER,
				      true },
	[SMMUINV_FEATURE_GRAN64K] = { "IDR5.GRAN64K", 5, 6, 1, NEED_COVER,
				      true },
	[SMMUINV_FEATURE_DS] = { "IDR5.DS", 5, 7, 1, NEED_COVER, true },
	/* TTL128 is forwarded to no host, so no guest may rely on it. */
	[SMMUINV_FEATURE_D128] = { "IDR5.D128", 5, 8, 1, NEED_ABSENT, false },
	[SMMUINV_FEATURE_VAX] = { "IDR5.VAX", 5, 10, 2, NEED_AT_LEAST, true },
	[SMMUINV_FEATURE_OAS] = { "IDR5.OAS", 5, 0, 3, NEED_NOTHING, false },
};

#define STALL_MODEL_NONE   1u
#define STALL_MODEL_FORCED 2u
#define OAS_52_BITS        6u
#define SSID_BITS_MAX      20u
#define TTF_AARCH64        2u

/* The kernel's list has ST_LEVEL too; a guest's stream table is the VMM's. */
#define ST_LEVEL_SHIFT     27
#define ST_LEVEL_2LEVEL    1u
#define IDR0_COHACC        (1u << 4)
#define IDR1_EVENTQS_SHIFT 16
#define IDR1_CMDQS_SHIFT   21

static const struct feature *feature_find(enum smmuinv_feature feature)
{
	static const struct feature none = { .name = "?" };

	if ((unsigned int)feature >= SMMUINV_FEATURE_COUNT)
		return &none;
	return &features_table[feature];
}

static uint32_t feature_mask(const struct feature *f)
{
	return ((1u << f->bits) - 1) << f->low;
}

uint32_t smmuinv_features_get(const struct smmuinv_features *features,
			      enum smmuinv_feature feature)
{
	const struct feature *f = feature_find(feature);

	return (features->idr[f->idr] & feature_mask(f)) >> f->low;
}

static void features_set(struct smmuinv_features *features,
			 enum smmuinv_feature feature, uint32_t value)
{
	const struct feature *f = feature_find(feature);

	features->idr[f->idr] &= ~feature_mask(f);
	features->idr[f->idr] |= value << f->low;
}

const char *smmuinv_feature_name(enum smmuinv_feature feature)
{
	return feature_find(feature)->name;
}

bool smmuinv_features_has_granule(const struct smmuinv_features *features,
				  uint64_t bytes)
{
	switch (bytes) {
	case 4096:
		return smmuinv_features_get(features, SMMUINV_FEATURE_GRAN4K);
	case 16384:
		return smmuinv_features_get(features, SMMUINV_FEATURE_GRAN16K);
	case 65536:
		return smmuinv_features_get(features, SMMUINV_FEATURE_GRAN64K);
	default:
		return false;
	}
}

static bool has_any_granule(const struct smmuinv_features *features)
{
	return smmuinv_features_has_granule(features, 4096) ||
	       smmuinv_features_has_granule(features, 16384) ||
	       smmuinv_features_has_granule(features, 65536);
}

int smmuinv_features_from_hw_info(struct smmuinv_features *features,
				  const struct smmuinv_hw_info *info, bool ats)
{
	struct smmuinv_features host = { { 0 } };
	unsigned int i;

	if (!features || !info)
		return -EINVAL;
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++) {
		const struct feature *f = &features_table[i];

		if (f->from_host)
			host.idr[f->idr] |= info->idr[f->idr] & feature_mask(f);
	}
	features_set(&host, SMMUINV_FEATURE_S1P, 1);
	features_set(&host, SMMUINV_FEATURE_ATS, ats);
	if (!(smmuinv_features_get(&host, SMMUINV_FEATURE_TTF) & TTF_AARCH64) ||
	    !has_any_granule(&host))
		return -EOPNOTSUPP;
	*features = host;
	return 0;
}

/* A wish, resolved against the host. */
struct wish {
	enum smmuinv_feature feature;
	uint8_t choice;
};

static int grant(struct smmuinv_features *guest,
		 const struct smmuinv_features *host, struct wish wish)
{
	uint32_t value = smmuinv_features_get(host, wish.feature);

	if (wish.choice == SMMUINV_ON && !value)
		return -EOPNOTSUPP;
	features_set(guest, wish.feature,
		     wish.choice == SMMUINV_OFF ? 0 : value);
	return 0;
}

static int grant_optional(struct smmuinv_features *guest,
			  const struct smmuinv_features *host,
			  const struct smmuinv_offer *offer,
			  enum smmuinv_feature *lacking)
{
	const struct wish wishes[] = {
		{ SMMUINV_FEATURE_RIL, offer->ril },
		{ SMMUINV_FEATURE_ATS, offer->ats },
		{ SMMUINV_FEATURE_ASID16, offer->asid16 },
		{ SMMUINV_FEATURE_DS, offer->ds },
	};
	size_t i;

	for (i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		*lacking = wishes[i].feature;
		if (grant(guest, host, wishes[i]))
			return -EOPNOTSUPP;
	}
	return 0;
}

/*
 * With stalls forced, a context descriptor without CD.S is illegal (5.4), and
 * only a guest that knows would set it.
 */
static int grant_stall(struct smmuinv_features *guest,
		       const struct smmuinv_features *host, uint8_t choice,
		       enum smmuinv_feature *lacking)
{
	uint32_t model =
		smmuinv_features_get(host, SMMUINV_FEATURE_STALL_MODEL);
	bool wanted = choice == SMMUINV_ON;

	*lacking = SMMUINV_FEATURE_STALL_MODEL;
	if (model == (wanted ? STALL_MODEL_NONE : STALL_MODEL_FORCED))
		return -EOPNOTSUPP;
	features_set(guest, SMMUINV_FEATURE_STALL_MODEL,
		     wanted ? model : STALL_MODEL_NONE);
	return 0;
}

static int grant_ssids(struct smmuinv_features *guest,
		       const struct smmuinv_features *host, uint8_t bits,
		       enum smmuinv_feature *lacking)
{
	uint32_t most = smmuinv_features_get(host, SMMUINV_FEATURE_SSIDSIZE);

	/* 6.3.2: there are no more than 20, whatever a register says. */
	if (most > SSID_BITS_MAX)
		most = SSID_BITS_MAX;
	*lacking = SMMUINV_FEATURE_SSIDSIZE;
	if (bits == SMMUINV_SSID_BITS_AS_HOST)
		bits = (uint8_t)most;
	if (bits > most)
		return -EOPNOTSUPP;
	features_set(guest, SMMUINV_FEATURE_SSIDSIZE, bits);
	return 0;
}

static int grant_granules(struct smmuinv_features *guest,
			  const struct smmuinv_features *host, uint8_t wanted,
			  enum smmuinv_feature *lacking)
{
	const struct {
		enum smmuinv_feature feature;
		uint8_t granule;
	} granules[] = {
		{ SMMUINV_FEATURE_GRAN4K, SMMUINV_GRANULE_4K },
		{ SMMUINV_FEATURE_GRAN16K, SMMUINV_GRANULE_16K },
		{ SMMUINV_FEATURE_GRAN64K, SMMUINV_GRANULE_64K },
	};
	size_t i;

	for (i = 0; i < sizeof(granules) / sizeof(granules[0]); i++) {
		uint8_t choice = SMMUINV_AS_HOST;

		if (wanted)
			choice = wanted & granules[i].granule ? SMMUINV_ON :
								SMMUINV_OFF;
		*lacking = granules[i].feature;
		if (grant(guest, host,
			  (struct wish){ granules[i].feature, choice }))
			return -EOPNOTSUPP;
	}
	return 0;
}

/*
 * 6.3.6: DS is for the 4K and 16K granules, and addresses of 52 bits, virtual
 * or not, come with the 64K granule or with DS only.
 */
static int settle_sizes(struct smmuinv_features *guest, uint8_t ds_choice,
			enum smmuinv_feature *lacking)
{
	*lacking = SMMUINV_FEATURE_DS;
	if (!smmuinv_features_get(guest, SMMUINV_FEATURE_GRAN4K) &&
	    !smmuinv_features_get(guest, SMMUINV_FEATURE_GRAN16K)) {
		if (ds_choice == SMMUINV_ON)
			return -EOPNOTSUPP;
		features_set(guest, SMMUINV_FEATURE_DS, 0);
	}
	if (smmuinv_features_get(guest, SMMUINV_FEATURE_GRAN64K) ||
	    smmuinv_features_get(guest, SMMUINV_FEATURE_DS))
		return 0;
	features_set(guest, SMMUINV_FEATURE_VAX, 0);
	*lacking = SMMUINV_FEATURE_OAS;
	if (smmuinv_features_get(guest, SMMUINV_FEATURE_OAS) == OAS_52_BITS)
		return -EOPNOTSUPP;
	return 0;
}

/* IDR5.OAS's encoding of a number of address bits, or -1 (6.3.6). */
static int oas_encode(uint8_t bits)
{
	static const uint8_t encoded[] = { 32, 36, 40, 42, 44, 48, 52 };
	size_t i;

	for (i = 0; i < sizeof(encoded); i++) {
		if (encoded[i] == bits)
			return (int)i;
	}
	return -1;
}

static void offer_defaults(struct smmuinv_offer *offer)
{
	if (!offer->sid_bits)
		offer->sid_bits = 16;
	if (!offer->cmdq_bits)
		offer->cmdq_bits = 19;
	if (!offer->eventq_bits)
		offer->eventq_bits = 19;
	if (!offer->address_bits)
		offer->address_bits = 44;
}

static bool offer_valid(const struct smmuinv_offer *offer)
{
	if (offer->ril > SMMUINV_ON || offer->ats > SMMUINV_ON ||
	    offer->asid16 > SMMUINV_ON || offer->stall > SMMUINV_ON ||
	    offer->ds > SMMUINV_ON)
		return false;
	if (offer->ssid_bits > SSID_BITS_MAX &&
	    offer->ssid_bits != SMMUINV_SSID_BITS_AS_HOST)
		return false;
	if (offer->granules &
	    ~(SMMUINV_GRANULE_4K | SMMUINV_GRANULE_16K | SMMUINV_GRANULE_64K))
		return false;
	return offer->sid_bits <= 32 && offer->cmdq_bits <= 19 &&
	       offer->eventq_bits <= 19 && oas_encode(offer->address_bits) >= 0;
}

/* What the guest gets without a choice. */
static struct smmuinv_features guest_base(const struct smmuinv_features *host,
					  const struct smmuinv_offer *offer)
{
	static const enum smmuinv_feature as_host[] = {
		SMMUINV_FEATURE_CD2L,       SMMUINV_FEATURE_TTENDIAN,
		SMMUINV_FEATURE_TERM_MODEL, SMMUINV_FEATURE_BBML,
		SMMUINV_FEATURE_VAX,
	};
	struct smmuinv_features guest = { {
		[0] = IDR0_COHACC | ST_LEVEL_2LEVEL << ST_LEVEL_SHIFT,
		[1] = (uint32_t)offer->cmdq_bits << IDR1_CMDQS_SHIFT |
		      (uint32_t)offer->eventq_bits << IDR1_EVENTQS_SHIFT,
	} };
	size_t i;

	for (i = 0; i < sizeof(as_host) / sizeof(as_host[0]); i++)
		features_set(&guest, as_host[i],
			     smmuinv_features_get(host, as_host[i]));
	features_set(&guest, SMMUINV_FEATURE_S1P, 1);
	features_set(&guest, SMMUINV_FEATURE_TTF, TTF_AARCH64);
	features_set(&guest, SMMUINV_FEATURE_MSI, offer->msi);
	features_set(&guest, SMMUINV_FEATURE_SEV, offer->sev);
	features_set(&guest, SMMUINV_FEATURE_SIDSIZE, offer->sid_bits);
	features_set(&guest, SMMUINV_FEATURE_OAS,
		     (uint32_t)oas_encode(offer->address_bits));
	return guest;
}

int smmuinv_features_offer(struct smmuinv_features *guest,
			   const struct smmuinv_features *host,
			   const struct smmuinv_offer *offer,
			   enum smmuinv_feature *lacking)
{
	enum smmuinv_feature which;
	struct smmuinv_features g;
	struct smmuinv_offer o;

	if (!guest || !host || !PARAMS_TAKE(&o, offer))
		return -EINVAL;
	offer_defaults(&o);
	if (!offer_valid(&o))
		return -EINVAL;
	g = guest_base(host, &o);
	if (grant_optional(&g, host, &o, &which) ||
	    grant_stall(&g, host, o.stall, &which) ||
	    grant_ssids(&g, host, o.ssid_bits, &which) ||
	    grant_granules(&g, host, o.granules, &which) ||
	    settle_sizes(&g, o.ds, &which)) {
		if (lacking)
			*lacking = which;
		return -EOPNOTSUPP;
	}
	*guest = g;
	return 0;
}

static bool need_met(enum need need, uint32_t guest, uint32_t host)
{
	switch (need) {
	case NEED_AT_LEAST:
		return host >= guest;
	case NEED_ABSENT:
		return !guest;
	case NEED_COVER:
		return !(guest & ~host);
	case NEED_SAME:
		return guest == host || !host;
	default:
		return true;
	}
}

int smmuinv_features_compatible(const struct smmuinv_features *guest,
				const struct smmuinv_features *host,
				enum smmuinv_feature *lacking)
{
	unsigned int i;

	if (!guest || !host)
		return -EINVAL;
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++) {
		enum need need = features_table[i].need;

		if (need_met(need, smmuinv_features_get(guest, i),
			     smmuinv_features_get(host, i)))
			continue;
		if (lacking)
			*lacking = (enum smmuinv_feature)i;
		return -EOPNOTSUPP;
	}
	return 0;
}

static int64_t common_value(const struct feature *f, uint32_t a, uint32_t b)
{
	switch (f->need) {
	case NEED_AT_LEAST:
	case NEED_NOTHING:
		return a < b ? a : b;
	case NEED_SAME:
		/* 0 is both of the choices that the other numbers are. */
		return a && b && a != b ? -1 : (int64_t)(a | b);
	default:
		return a & b;
	}
}

int smmuinv_features_common(struct smmuinv_features *common,
			    const struct smmuinv_features *a,
			    const struct smmuinv_features *b,
			    enum smmuinv_feature *lacking)
{
	struct smmuinv_features both = { { 0 } };
	enum smmuinv_feature at;

	if (!common || !a || !b)
		return -EINVAL;
	for (at = 0; at < SMMUINV_FEATURE_COUNT; at++) {
		int64_t value = common_value(&features_table[at],
					     smmuinv_features_get(a, at),
					     smmuinv_features_get(b, at));

		if (value < 0)
			goto contradiction;
		features_set(&both, at, (uint32_t)value);
	}
	at = SMMUINV_FEATURE_GRAN4K;
	if (!has_any_granule(&both))
		goto contradiction;
	*common = both;
	return 0;

contradiction:
	if (lacking)
		*lacking = at;
	return -EOPNOTSUPP;
}
