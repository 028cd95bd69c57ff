/* SPDX-License-Identifier: MIT */
#include "oracle.h"

#include <endian.h>
#include <string.h>

#include "fuzz.h"

static uint64_t bits(uint64_t word, unsigned int high, unsigned int low)
{
	return word << (63 - high) >> (63 - high + low);
}

/* The features that decide what a command means (6.3.1 to 6.3.6). */
static bool has_asid16(const struct oracle *o)
{
	return bits(o->guest.idr[0], 12, 12);
}

static unsigned int ssid_bits(const struct oracle *o)
{
	return (unsigned int)bits(o->guest.idr[1], 10, 6);
}

static bool has_ril(const struct oracle *o)
{
	return bits(o->guest.idr[3], 10, 10);
}

static bool has_ds(const struct oracle *o)
{
	return bits(o->guest.idr[5], 7, 7);
}

/* A span by its first and last byte. */
struct reach {
	uint64_t first;
	uint64_t last;
};

static struct reach reach_of(uint64_t first, uint64_t bytes)
{
	struct reach r = { first, first + (bytes - 1) };

	if (r.last < first)
		r.last = UINT64_MAX;
	return r;
}

static bool meets(struct reach r, const struct smmuinv_cache_entry *e)
{
	uint64_t last = e->length ? e->address + (e->length - 1) : UINT64_MAX;
	uint64_t first = e->length ? e->address : 0;

	return r.first <= last && first <= r.last;
}

/* A TLBI by address as the guest's SMMU reads it (4.4.1.1). */
struct by_address {
	uint16_t asid;
	bool any_asid;
	bool leaf;
	unsigned int tg;  /* 0: entries of any granule */
	unsigned int ttl; /* 0: entries of any level */
	struct reach reach;
};

static uint16_t asid_of(const struct oracle *o, uint64_t dw0)
{
	return (uint16_t)bits(dw0, has_asid16(o) ? 63 : 55, 48);
}

static struct by_address by_address_of(const struct oracle *o, uint64_t dw0,
				       uint64_t dw1)
{
	struct by_address a = {
		.asid = asid_of(o, dw0),
		.any_asid = bits(dw0, 7, 0) == 0x13,
		.leaf = bits(dw1, 0, 0),
	};
	uint64_t va = bits(dw1, 63, 12) << 12;
	uint64_t scale = bits(dw0, has_ds(o) ? 25 : 24, 20);

	/* Without RIL, TG is RES0, and 0 means one address. */
	if (has_ril(o))
		a.tg = (unsigned int)bits(dw1, 11, 10);
	if (!a.tg) {
		a.reach = reach_of(va, 1);
		return a;
	}
	a.ttl = (unsigned int)bits(dw1, 9, 8);
	/* A reserved TTL is treated as 0. */
	if (a.tg == SMMUINV_TG_16K && a.ttl == 1 && !has_ds(o))
		a.ttl = 0;
	if (scale > 39)
		scale = 39;
	a.reach = reach_of(va, (bits(dw0, 16, 12) + 1)
				       << (scale + 10 + 2 * a.tg));
	/* From the lower half, the upper one need not be reached. */
	if (!(va >> 63) && a.reach.last >> 63)
		a.reach.last = INT64_MAX;
	return a;
}

static bool level_concerned(const struct by_address *a,
			    const struct smmuinv_cache_entry *e)
{
	if (e->kind == SMMUINV_CACHED_LEAF)
		return !a->ttl || a->ttl == e->level;
	/* On the way to a leaf at TTL there are tables above it only. */
	return !a->leaf && (!a->ttl || e->level < a->ttl);
}

static bool by_address_concerns(const struct by_address *a,
				const struct smmuinv_cache_entry *e)
{
	return (a->any_asid || e->global || a->asid == e->asid) &&
	       (!a->tg || a->tg == e->tg) && level_concerned(a, e) &&
	       meets(a->reach, e);
}

static bool tlbi_concerns(const struct oracle *o, uint64_t dw0, uint64_t dw1,
			  const struct smmuinv_cache_entry *e)
{
	struct by_address a;

	if (e->kind != SMMUINV_CACHED_LEAF && e->kind != SMMUINV_CACHED_TABLE)
		return false;
	switch (bits(dw0, 7, 0)) {
	case 0x10:
	case 0x30:
		return true;
	case 0x11:
		return !e->global && asid_of(o, dw0) == e->asid;
	default:
		a = by_address_of(o, dw0, dw1);
		return by_address_concerns(&a, e);
	}
}

/* 4.3.3. Without SubstreamIDs there is one descriptor, at index 0. */
static bool cd_concerns(const struct oracle *o, uint64_t dw0, uint64_t dw1,
			const struct smmuinv_cache_entry *e)
{
	uint64_t ssid = ssid_bits(o) ? bits(dw0, 31, 12) : 0;

	if (bits(dw0, 63, 32) != e->sid || ssid >> ssid_bits(o))
		return false;
	if (e->kind == SMMUINV_CACHED_CD)
		return ssid == e->ssid;
	return e->kind == SMMUINV_CACHED_L1CD && !bits(dw1, 0, 0) &&
	       e->ssid <= ssid && ssid < (uint64_t)e->ssid + e->ssids;
}

static bool all_cds_concerns(uint64_t dw0, const struct smmuinv_cache_entry *e)
{
	return bits(dw0, 63, 32) == e->sid &&
	       (e->kind == SMMUINV_CACHED_CD || e->kind == SMMUINV_CACHED_L1CD);
}

static struct reach atc_reach(uint64_t dw1)
{
	uint64_t size = bits(dw1, 5, 0);

	if (size >= 52)
		return (struct reach){ 0, UINT64_MAX };
	return reach_of(bits(dw1, 63, 12) >> size << size << 12,
			UINT64_C(4096) << size);
}

/* 4.5.1. Without SubstreamIDs, SSV is RES0. */
static bool atc_concerns(const struct oracle *o, uint64_t dw0, uint64_t dw1,
			 const struct smmuinv_cache_entry *e)
{
	bool ssv = ssid_bits(o) && bits(dw0, 11, 11);
	uint64_t ssid = bits(dw0, 31, 12);

	if (e->kind != SMMUINV_CACHED_ATC || bits(dw0, 63, 32) != e->sid ||
	    e->ssv != ssv || !meets(atc_reach(dw1), e))
		return false;
	if (!ssv)
		return true;
	/* Out of range (4.1.7), even a Global one: no effect is required. */
	if (ssid >> ssid_bits(o))
		return false;
	return bits(dw0, 9, 9) || ssid == e->ssid;
}

static bool concerns(const struct oracle *o, uint64_t dw0, uint64_t dw1,
		     const struct smmuinv_cache_entry *e)
{
	switch (bits(dw0, 7, 0)) {
	case 0x05:
		return cd_concerns(o, dw0, dw1, e);
	case 0x06:
		return all_cds_concerns(dw0, e);
	case 0x10:
	case 0x11:
	case 0x12:
	case 0x13:
	case 0x30:
		return tlbi_concerns(o, dw0, dw1, e);
	case 0x40:
		return atc_concerns(o, dw0, dw1, e);
	default:
		return false;
	}
}

void oracle_execute(struct oracle *o, const struct smmuinv_command *raw)
{
	uint64_t dw0 = le64toh(raw->dw[0]);
	uint64_t dw1 = le64toh(raw->dw[1]);
	size_t i;

	for (i = 0; i < o->count; i++)
		o->gone[i] =
			o->gone[i] || concerns(o, dw0, dw1, &o->entries[i]);
}

void oracle_forget_stream(struct oracle *o, uint32_t sid)
{
	size_t i;

	for (i = 0; i < o->count; i++) {
		const struct smmuinv_cache_entry *e = &o->entries[i];

		if (e->kind != SMMUINV_CACHED_LEAF &&
		    e->kind != SMMUINV_CACHED_TABLE && e->sid == sid)
			o->gone[i] = false;
	}
}

void oracle_reset(struct oracle *o)
{
	memset(o->gone, 0, sizeof(o->gone));
}

int oracle_stale(const struct oracle *o, const struct smmuinv_caches *caches)
{
	size_t i;

	for (i = 0; i < o->count; i++) {
		if (o->gone[i] && smmuinv_caches_has(caches, i))
			return (int)i;
	}
	return -1;
}

void oracle_fill(const struct oracle *o, struct smmuinv_caches *caches)
{
	size_t i;

	for (i = 0; i < o->count; i++)
		must(smmuinv_caches_insert(caches, &o->entries[i]) == (int)i);
}

/* Granules by IDR5, and AArch32's tables have the 4K one (IDR0.TTF). */
static unsigned int granules_shown(const struct oracle *o)
{
	unsigned int shown = (unsigned int)bits(o->guest.idr[5], 6, 4) << 1;

	if (o->guest.idr[0] >> 2 & 1)
		shown |= 1u << SMMUINV_TG_4K;
	return shown;
}

static bool may_exist(const struct oracle *o,
		      const struct smmuinv_cache_entry *e)
{
	if (e->kind != SMMUINV_CACHED_LEAF && e->kind != SMMUINV_CACHED_TABLE)
		return true;
	return granules_shown(o) >> e->tg & 1;
}

static void add(struct oracle *o, struct smmuinv_cache_entry entry)
{
	entry.size = sizeof(entry);
	if (!may_exist(o, &entry))
		return;
	if (o->count < ORACLE_ENTRIES)
		o->entries[o->count++] = entry;
}

/* What an entry at @level maps, with a granule of 4K, 16K or 64K. */
static uint64_t span_at(unsigned int tg, unsigned int level)
{
	unsigned int page = 10 + 2 * tg;

	return UINT64_C(1) << (page + (3 - level) * (page - 3));
}

static void add_leaf(struct oracle *o, uint64_t va, uint16_t asid, bool global,
		     unsigned int tg, unsigned int level)
{
	uint64_t span = span_at(tg, level);

	add(o, (struct smmuinv_cache_entry){
		       .kind = SMMUINV_CACHED_LEAF,
		       .global = global,
		       .asid = asid,
		       .tg = (uint8_t)tg,
		       .level = (uint8_t)level,
		       .address = va / span * span,
		       .length = span,
	       });
}

static void add_table(struct oracle *o, uint64_t va, uint16_t asid,
		      unsigned int tg, unsigned int level)
{
	uint64_t span = span_at(tg, level);

	add(o, (struct smmuinv_cache_entry){
		       .kind = SMMUINV_CACHED_TABLE,
		       .asid = asid,
		       .tg = (uint8_t)tg,
		       .level = (uint8_t)level,
		       .address = va / span * span,
		       .length = span,
	       });
}

void oracle_init(struct oracle *o, const struct smmuinv_features *guest)
{
	static const uint64_t addresses[] = {
		0,
		UINT64_C(0x7fff12345000),
		UINT64_C(0xffff000012345000),
		UINT64_MAX & ~UINT64_C(0xffff),
	};
	unsigned int tg, level;
	size_t i;

	*o = (struct oracle){ .guest = *guest };
	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		for (tg = 1; tg <= 3; tg++) {
			for (level = 1; level <= 3; level++)
				add_leaf(o, addresses[i], (uint16_t)(tg - 1),
					 level == 2, tg, level);
			add_table(o, addresses[i], 0, tg, 2);
		}
	}
}

static void aim_tlbi(struct oracle *o, uint64_t dw0, uint64_t dw1)
{
	struct by_address a = by_address_of(o, dw0, dw1);
	unsigned int tg = a.tg ? a.tg : SMMUINV_TG_4K;
	unsigned int level = a.ttl ? a.ttl : 3;
	uint16_t other = a.asid ^ 1;

	add_leaf(o, a.reach.first, a.asid, false, tg, level);
	add_leaf(o, a.reach.last, a.asid, false, tg, level);
	add_leaf(o, a.reach.first, other, true, tg, level);
	add_leaf(o, a.reach.last + 1, a.asid, false, tg, level);
	add_leaf(o, a.reach.first, a.asid, false, tg, level % 3 + 1);
	add_table(o, a.reach.first, a.asid, tg, level - 1);
}

static void aim_stream(struct oracle *o, uint64_t dw0, uint64_t dw1)
{
	uint32_t sid = (uint32_t)bits(dw0, 63, 32);
	uint32_t ssid = (uint32_t)bits(dw0, 31, 12);
	struct reach reach = atc_reach(dw1);

	add(o, (struct smmuinv_cache_entry){
		       .kind = SMMUINV_CACHED_CD, .sid = sid, .ssid = ssid });
	add(o, (struct smmuinv_cache_entry){ .kind = SMMUINV_CACHED_CD,
					     .sid = sid });
	add(o, (struct smmuinv_cache_entry){ .kind = SMMUINV_CACHED_L1CD,
					     .sid = sid,
					     .ssid = ssid & ~UINT32_C(63),
					     .ssids = 64 });
	add(o, (struct smmuinv_cache_entry){ .kind = SMMUINV_CACHED_ATC,
					     .sid = sid,
					     .address = reach.first,
					     .length = 4096 });
	add(o, (struct smmuinv_cache_entry){ .kind = SMMUINV_CACHED_ATC,
					     .sid = sid,
					     .ssv = true,
					     .ssid = ssid,
					     .address = reach.last &
							~UINT64_C(4095),
					     .length = 4096 });
	add(o, (struct smmuinv_cache_entry){ .kind = SMMUINV_CACHED_ATC,
					     .sid = sid,
					     .ssv = true,
					     .ssid = ssid ^ 1,
					     .address = reach.first,
					     .length = 4096 });
}

void oracle_aim(struct oracle *o, const struct smmuinv_command *raw)
{
	uint64_t dw0 = le64toh(raw->dw[0]);
	uint64_t dw1 = le64toh(raw->dw[1]);

	switch (bits(dw0, 7, 0)) {
	case 0x11:
	case 0x12:
	case 0x13:
		aim_tlbi(o, dw0, dw1);
		return;
	case 0x05:
	case 0x06:
	case 0x40:
		aim_stream(o, dw0, dw1);
		return;
	default:
		return;
	}
}
