/* SPDX-License-Identifier: MIT */
#include "feature.h"

#include <errno.h>

#include "params.h"

/* When does a host carry what a guest was shown? */
enum carry {
	ALWAYS,  /* whatever the host has */
	VMM,     /* the VMM emulates it */
	AT_MOST, /* the host's number is not smaller */
	COVER,   /* the host has every bit that the guest has */
	CHOICE,  /* the choice that the host has made; 0 there leaves it open */
	NEVER,   /* by no host, or the kernel does not report it */
};

struct feature {
	const char *name;
	uint8_t idr;
	uint8_t low;
	uint8_t bits;
	uint8_t carry; /* enum carry */
	uint8_t lost;  /* enum smmuinv_carriage, where it is not carried */
	/* The largest value to be read from hw_info; 0: it may not be read. */
	uint8_t host;
};

#define DIFFERS SMMUINV_DIFFERS
#define REFUSED SMMUINV_REFUSED
#define FIELD(reg, name, ...) \
	[SMMUINV_FEATURE_##name] = { "IDR" #reg "." #name, reg, __VA_ARGS__ }

/* clang-format off */
/* One line for each register field (6.3.1 to 6.3.6). */
static const struct feature features_table[SMMUINV_FEATURE_COUNT] = {
	FIELD(0, S2P, 0, 1, NEVER, DIFFERS, 0), /* nesting is of stage 1 */
	FIELD(0, S1P, 1, 1, COVER, DIFFERS, 0),
	FIELD(0, TTF, 2, 2, COVER, DIFFERS, 3),
	FIELD(0, COHACC, 4, 1, ALWAYS, 0, 0), /* FWB or CANWBS force it */
	FIELD(0, BTM, 5, 1, NEVER, REFUSED, 0), /* TLBIs not from the queue */
	FIELD(0, HTTU, 6, 2, NEVER, DIFFERS, 0), /* CD.HA, CD.HD */
	FIELD(0, DORMHINT, 8, 1, VMM, 0, 0), /* SMMU_STATUSR */
	[SMMUINV_FEATURE_HYP] = /* STE.STRW is not carried */
		{ "IDR0.Hyp", 0, 9, 1, NEVER, DIFFERS, 0 },
	FIELD(0, ATS, 10, 1, COVER, REFUSED, 0),
	FIELD(0, NS1ATS, 11, 1, ALWAYS, 0, 0), /* takes away only */
	FIELD(0, ASID16, 12, 1, COVER, REFUSED, 1),
	FIELD(0, MSI, 13, 1, VMM, 0, 0),
	FIELD(0, SEV, 14, 1, VMM, 0, 0),
	FIELD(0, ATOS, 15, 1, VMM, 0, 0), /* the VMM's registers */
	FIELD(0, PRI, 16, 1, NEVER, DIFFERS, 0), /* no page request arrives */
	FIELD(0, VMW, 17, 1, ALWAYS, 0, 0), /* the host has one VMID for all */
	FIELD(0, VMID16, 18, 1, ALWAYS, 0, 0), /* likewise */
	FIELD(0, CD2L, 19, 1, COVER, DIFFERS, 1),
	FIELD(0, VATOS, 20, 1, VMM, 0, 0),
	FIELD(0, TTENDIAN, 21, 2, CHOICE, DIFFERS, 3),
	FIELD(0, ATSRECERR, 23, 1, NEVER, DIFFERS, 0), /* the host's CR2 */
	FIELD(0, STALL_MODEL, 24, 2, CHOICE, DIFFERS, 3),
	FIELD(0, TERM_MODEL, 26, 1, CHOICE, DIFFERS, 1),
	FIELD(0, ST_LEVEL, 27, 2, VMM, 0, 0),
	FIELD(0, RME_IMPL, 30, 1, NEVER, DIFFERS, 0), /* GPCF in events */
	FIELD(1, SIDSIZE, 0, 6, VMM, 0, 32),
	FIELD(1, SSIDSIZE, 6, 5, AT_MOST, REFUSED, 20),
	FIELD(1, PRIQS, 11, 5, VMM, 0, 0),
	FIELD(1, EVENTQS, 16, 5, VMM, 0, 0),
	FIELD(1, CMDQS, 21, 5, VMM, 0, 0),
	FIELD(1, ATTR_PERMS_OVR, 26, 1, NEVER, DIFFERS, 0), /* STE.PRIVCFG */
	FIELD(1, ATTR_TYPES_OVR, 27, 1, NEVER, DIFFERS, 0), /* STE.MTCFG ... */
	FIELD(1, REL, 28, 1, VMM, 0, 0),
	FIELD(1, QUEUES_PRESET, 29, 1, VMM, 0, 0),
	FIELD(1, TABLES_PRESET, 30, 1, VMM, 0, 0),
	FIELD(1, ECMDQ, 31, 1, VMM, 0, 0),
	FIELD(2, BA_VATOS, 0, 10, VMM, 0, 0),
	FIELD(3, HAD, 2, 1, NEVER, DIFFERS, 0), /* CD.HAD0, not reported */
	FIELD(3, PBHA, 3, 1, NEVER, DIFFERS, 0), /* CD.HWU059, not reported */
	FIELD(3, XNX, 4, 1, NEVER, DIFFERS, 0), /* of stage 2 */
	FIELD(3, PPS, 5, 1, NEVER, DIFFERS, 0), /* of PRI */
	FIELD(3, MPAM, 7, 1, NEVER, DIFFERS, 0), /* STE.S1MPAM is not carried */
	FIELD(3, FWB, 8, 1, NEVER, DIFFERS, 0), /* of stage 2 */
	FIELD(3, STT, 9, 1, NEVER, DIFFERS, 0), /* CD.T0SZ, not reported */
	FIELD(3, RIL, 10, 1, ALWAYS, 0, 1), /* ranges become pages */
	FIELD(3, BBML, 11, 2, AT_MOST, DIFFERS, 2),
	FIELD(3, E0PD, 13, 1, NEVER, DIFFERS, 0), /* CD.E0PD0, not reported */
	FIELD(3, PTWNNC, 14, 1, NEVER, DIFFERS, 0), /* of stage 2 */
	FIELD(3, DPT, 15, 1, NEVER, DIFFERS, 0), /* EATS 3 is not carried */
	FIELD(3, PASIDTT, 16, 1, NEVER, DIFFERS, 0), /* not reported */
	FIELD(3, EPAN, 17, 1, NEVER, DIFFERS, 0), /* CD.EPAN0, not reported */
	FIELD(3, S1PI, 18, 1, NEVER, DIFFERS, 0), /* CD.PIE, not reported */
	FIELD(3, S2PI, 19, 1, NEVER, DIFFERS, 0), /* of stage 2 */
	FIELD(3, S2PO, 20, 1, NEVER, DIFFERS, 0), /* of stage 2 */
	FIELD(3, THE, 21, 1, NEVER, DIFFERS, 0), /* CD.PnCH, not reported */
	FIELD(3, MTEPERM, 22, 1, NEVER, DIFFERS, 0), /* of stage 2 */
	FIELD(3, AIE, 23, 1, NEVER, DIFFERS, 0), /* CD.AIE, not reported */
	[SMMUINV_FEATURE_IMPDEF] = { "IDR4", 4, 0, 32, VMM, 0, 0 },
	FIELD(5, OAS, 0, 3, VMM, 0, 0), /* the VMM's memory map */
	FIELD(5, GRAN4K, 4, 1, COVER, REFUSED, 1),
	FIELD(5, GRAN16K, 5, 1, COVER, REFUSED, 1),
	FIELD(5, GRAN64K, 6, 1, COVER, REFUSED, 1),
	FIELD(5, DS, 7, 1, COVER, REFUSED, 1),
	FIELD(5, D128, 8, 1, NEVER, REFUSED, 0), /* no kernel takes TTL128 */
	FIELD(5, VAX, 10, 2, AT_MOST, DIFFERS, 1), /* 2 is for D128 only */
	FIELD(5, STALL_MAX, 16, 16, VMM, 0, 0),
};
/* clang-format on */

#define STALL_MODEL_NONE     1u
#define STALL_MODEL_FORCED   2u
#define STALL_MODEL_RESERVED 3u
#define TTENDIAN_RESERVED    1u
#define OAS_52_BITS          6u
#define SSID_BITS_MAX        20u
#define TTF_AARCH64          2u
#define ST_LEVEL_2LEVEL      1u

static const struct feature *feature_find(uint32_t feature)
{
	static const struct feature none = { .name = "?" };

	if (feature >= SMMUINV_FEATURE_COUNT)
		return &none;
	return &features_table[feature];
}

static uint32_t feature_mask(const struct feature *f)
{
	return (uint32_t)(((UINT64_C(1) << f->bits) - 1) << f->low);
}

uint32_t smmuinv_features_get(const struct smmuinv_features *features,
			      uint32_t feature)
{
	const struct feature *f = feature_find(feature);

	return (features->idr[f->idr] & feature_mask(f)) >> f->low;
}

static void features_set(struct smmuinv_features *features, uint32_t feature,
			 uint32_t value)
{
	const struct feature *f = feature_find(feature);

	features->idr[f->idr] &= ~feature_mask(f);
	features->idr[f->idr] |= value << f->low;
}

const char *smmuinv_feature_name(uint32_t feature)
{
	return feature_find(feature)->name;
}

#define GET(features, name) \
	smmuinv_features_get(features, SMMUINV_FEATURE_##name)
#define SET(features, name, value) \
	features_set(features, SMMUINV_FEATURE_##name, value)

bool smmuinv__features_has_granule(const struct smmuinv_features *features,
				   uint64_t bytes)
{
	return (bytes == 4096 && GET(features, GRAN4K)) ||
	       (bytes == 16384 && GET(features, GRAN16K)) ||
	       (bytes == 65536 && GET(features, GRAN64K));
}

static bool has_any_granule(const struct smmuinv_features *f)
{
	return GET(f, GRAN4K) || GET(f, GRAN16K) || GET(f, GRAN64K);
}

static uint32_t at_most(uint32_t value, uint32_t most)
{
	return value < most ? value : most;
}

/* For every refusal that names what is at fault. */
static int refuse(uint32_t *lacking, uint32_t feature)
{
	if (lacking)
		*lacking = feature;
	return -EOPNOTSUPP;
}

/* Refused if a field has a reserved value, or one that no guest can use. */
static int host_usable(const struct smmuinv_features *host, uint32_t *lacking)
{
	if (!(GET(host, TTF) & TTF_AARCH64))
		return refuse(lacking, SMMUINV_FEATURE_TTF);
	if (GET(host, TTENDIAN) == TTENDIAN_RESERVED)
		return refuse(lacking, SMMUINV_FEATURE_TTENDIAN);
	if (GET(host, STALL_MODEL) == STALL_MODEL_RESERVED)
		return refuse(lacking, SMMUINV_FEATURE_STALL_MODEL);
	return has_any_granule(host) ? 0 :
				       refuse(lacking, SMMUINV_FEATURE_GRAN4K);
}

int smmuinv_features_from_hw_info(struct smmuinv_features *features,
				  const struct smmuinv_hw_info *info, bool ats,
				  uint32_t *lacking)
{
	struct smmuinv_features host = { { 0 } };
	struct smmuinv_features raw;
	uint32_t i;

	if (!features || !info)
		return -EINVAL;
	memcpy(raw.idr, info->idr, sizeof(raw.idr));
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++)
		features_set(&host, i,
			     at_most(smmuinv_features_get(&raw, i),
				     features_table[i].host));
	SET(&host, S1P, 1);
	SET(&host, ATS, ats);
	if (host_usable(&host, lacking))
		return -EOPNOTSUPP;
	*features = host;
	return 0;
}

static uint8_t wish(const struct smmuinv_offer *offer, uint8_t granule)
{
	if (!offer->granules)
		return SMMUINV_AS_HOST;
	return offer->granules & granule ? SMMUINV_ON : SMMUINV_OFF;
}

/* The VMM's choices, resolved against the host. */
static int grant_choices(struct smmuinv_features *guest,
			 const struct smmuinv_features *host,
			 const struct smmuinv_offer *offer, uint32_t *lacking)
{
	const struct {
		uint32_t feature;
		uint8_t choice;
	} wishes[] = {
		{ SMMUINV_FEATURE_RIL, offer->ril },
		{ SMMUINV_FEATURE_ATS, offer->ats },
		{ SMMUINV_FEATURE_ASID16, offer->asid16 },
		{ SMMUINV_FEATURE_DS, offer->ds },
		{ SMMUINV_FEATURE_GRAN4K, wish(offer, SMMUINV_GRANULE_4K) },
		{ SMMUINV_FEATURE_GRAN16K, wish(offer, SMMUINV_GRANULE_16K) },
		{ SMMUINV_FEATURE_GRAN64K, wish(offer, SMMUINV_GRANULE_64K) },
	};
	size_t i;

	for (i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		uint32_t feature = wishes[i].feature;
		uint32_t value = smmuinv_features_get(host, feature);

		if (wishes[i].choice == SMMUINV_ON && !value)
			return refuse(lacking, feature);
		if (wishes[i].choice != SMMUINV_OFF)
			features_set(guest, feature, value);
	}
	return 0;
}

/*
 * With stalls forced, a context descriptor without CD.S is illegal (5.4), and
 * only a guest that knows would set it.
 */
static int grant_stall(struct smmuinv_features *guest,
		       const struct smmuinv_features *host,
		       const struct smmuinv_offer *offer, uint32_t *lacking)
{
	uint32_t model = GET(host, STALL_MODEL);
	bool wanted = offer->stall == SMMUINV_ON;

	if (model == (wanted ? STALL_MODEL_NONE : STALL_MODEL_FORCED))
		return refuse(lacking, SMMUINV_FEATURE_STALL_MODEL);
	SET(guest, STALL_MODEL, wanted ? model : STALL_MODEL_NONE);
	SET(guest, STALL_MAX, wanted ? offer->stall_max : 0);
	return 0;
}

static int grant_ssids(struct smmuinv_features *guest,
		       const struct smmuinv_features *host, uint8_t bits,
		       uint32_t *lacking)
{
	uint32_t most = GET(host, SSIDSIZE);

	if (bits != SMMUINV_SSID_BITS_AS_HOST && bits > most)
		return refuse(lacking, SMMUINV_FEATURE_SSIDSIZE);
	SET(guest, SSIDSIZE, at_most(bits, most));
	return 0;
}

/*
 * 6.3.6: DS is for the 4K and 16K granules, and comes with virtual addresses of
 * 52 bits. Addresses of 52 bits, virtual or not, come with the 64K granule or
 * with DS only.
 */
static int settle_sizes(struct smmuinv_features *guest, uint8_t ds_choice,
			uint32_t *lacking)
{
	bool small = GET(guest, GRAN4K) || GET(guest, GRAN16K);

	if (!small || !GET(guest, VAX)) {
		if (ds_choice == SMMUINV_ON)
			return refuse(lacking, SMMUINV_FEATURE_DS);
		SET(guest, DS, 0);
	}
	if (GET(guest, GRAN64K) || GET(guest, DS))
		return 0;
	SET(guest, VAX, 0);
	if (GET(guest, OAS) == OAS_52_BITS)
		return refuse(lacking, SMMUINV_FEATURE_OAS);
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
	offer->sid_bits = offer->sid_bits ? offer->sid_bits : 16;
	offer->cmdq_bits = offer->cmdq_bits ? offer->cmdq_bits : 19;
	offer->eventq_bits = offer->eventq_bits ? offer->eventq_bits : 19;
	offer->address_bits = offer->address_bits ? offer->address_bits : 44;
}

static bool offer_valid(const struct smmuinv_offer *offer)
{
	if (offer->ril > SMMUINV_ON || offer->ats > SMMUINV_ON ||
	    offer->asid16 > SMMUINV_ON || offer->stall > SMMUINV_ON ||
	    offer->ds > SMMUINV_ON)
		return false;
	if (offer->stall == SMMUINV_ON && !offer->stall_max)
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

/* What the guest gets whatever the VMM chooses. */
static struct smmuinv_features guest_base(const struct smmuinv_features *host,
					  const struct smmuinv_offer *offer)
{
	static const uint32_t as_host[] = {
		SMMUINV_FEATURE_CD2L,       SMMUINV_FEATURE_TTENDIAN,
		SMMUINV_FEATURE_TERM_MODEL, SMMUINV_FEATURE_BBML,
		SMMUINV_FEATURE_VAX,
	};
	struct smmuinv_features guest = { { 0 } };
	size_t i;

	for (i = 0; i < sizeof(as_host) / sizeof(as_host[0]); i++)
		features_set(&guest, as_host[i],
			     smmuinv_features_get(host, as_host[i]));
	SET(&guest, S1P, 1);
	SET(&guest, TTF, TTF_AARCH64);
	SET(&guest, COHACC, 1);
	SET(&guest, ST_LEVEL, ST_LEVEL_2LEVEL);
	SET(&guest, MSI, offer->msi);
	SET(&guest, SEV, offer->sev);
	SET(&guest, SIDSIZE, offer->sid_bits);
	SET(&guest, CMDQS, offer->cmdq_bits);
	SET(&guest, EVENTQS, offer->eventq_bits);
	SET(&guest, OAS, (uint32_t)oas_encode(offer->address_bits));
	return guest;
}

int smmuinv_features_offer(struct smmuinv_features *guest,
			   const struct smmuinv_features *host,
			   const struct smmuinv_offer *offer, uint32_t *lacking)
{
	struct smmuinv_features g;
	struct smmuinv_offer o;

	if (!guest || !host || !PARAMS_TAKE(&o, offer))
		return -EINVAL;
	offer_defaults(&o);
	if (!offer_valid(&o))
		return -EINVAL;
	g = guest_base(host, &o);
	if (host_usable(host, lacking) ||
	    grant_choices(&g, host, &o, lacking) ||
	    grant_stall(&g, host, &o, lacking) ||
	    grant_ssids(&g, host, o.ssid_bits, lacking) ||
	    settle_sizes(&g, o.ds, lacking))
		return -EOPNOTSUPP;
	*guest = g;
	return 0;
}

static bool is_carried(enum carry carry, uint32_t guest, uint32_t host)
{
	switch (carry) {
	case AT_MOST:
		return guest <= host;
	case COVER:
		return !(guest & ~host);
	case CHOICE:
		return guest == host || !host;
	case NEVER:
		return !guest;
	default:
		return true;
	}
}

static enum smmuinv_carriage carriage(uint32_t feature,
				      const struct smmuinv_features *guest,
				      const struct smmuinv_features *host)
{
	const struct feature *f = &features_table[feature];
	uint32_t shown = smmuinv_features_get(guest, feature);

	if (f->carry == VMM && shown)
		return SMMUINV_EMULATED;
	if (is_carried(f->carry, shown, smmuinv_features_get(host, feature)))
		return SMMUINV_CARRIED;
	return f->lost;
}

int smmuinv__features_required(const struct smmuinv_features *guest,
			       const struct smmuinv_features *host,
			       uint32_t *lacking)
{
	uint32_t i;

	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++) {
		if (carriage(i, guest, host) == SMMUINV_REFUSED)
			return refuse(lacking, i);
	}
	return 0;
}

int smmuinv_features_compatible(const struct smmuinv_features *guest,
				const struct smmuinv_features *host,
				struct smmuinv_compatibility *report,
				uint32_t *lacking)
{
	struct smmuinv_compatibility found = { 0 };
	uint8_t worst = SMMUINV_EMULATED;
	uint32_t first = 0;
	uint32_t i;

	if (!guest || !host || (report && !PARAMS_WRITABLE(report)))
		return -EINVAL;
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++) {
		found.carriage[i] = (uint8_t)carriage(i, guest, host);
		if (found.carriage[i] <= worst)
			continue;
		worst = found.carriage[i];
		first = i;
	}
	if (report)
		PARAMS_STORE(report, &found);
	if (worst == SMMUINV_EMULATED)
		return 0;
	if (lacking)
		*lacking = first;
	return worst == SMMUINV_DIFFERS ? 1 : -EOPNOTSUPP;
}

int smmuinv_features_common(struct smmuinv_features *common,
			    const struct smmuinv_features *a,
			    const struct smmuinv_features *b, uint32_t *lacking)
{
	struct smmuinv_features both = { { 0 } };
	uint32_t i;

	if (!common || !a || !b)
		return -EINVAL;
	for (i = 0; i < SMMUINV_FEATURE_COUNT; i++) {
		uint32_t x = smmuinv_features_get(a, i);
		uint32_t y = smmuinv_features_get(b, i);
		enum carry carry = features_table[i].carry;

		/* 0 is both of the choices that the other numbers are. */
		if (carry == CHOICE && x && y && x != y)
			return refuse(lacking, i);
		if (carry == CHOICE)
			features_set(&both, i, x | y);
		else
			features_set(&both, i,
				     carry == COVER ? x & y : at_most(x, y));
	}
	if (!has_any_granule(&both))
		return refuse(lacking, SMMUINV_FEATURE_GRAN4K);
	*common = both;
	return 0;
}
