/* SPDX-License-Identifier: MIT */
#include <smmuinv/caches.h>

#include <errno.h>
#include <stdlib.h>

#include "../params.h"

#define CAPACITY_MAX 65536

struct smmuinv_caches {
	size_t capacity;
	size_t count;
	struct smmuinv_cache_entry *entries;
	bool *present;
};

int smmuinv_caches_new(size_t capacity, struct smmuinv_caches **caches)
{
	struct smmuinv_caches *c;

	if (!caches || !capacity || capacity > CAPACITY_MAX)
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->capacity = capacity;
	c->entries = calloc(capacity, sizeof(*c->entries));
	c->present = calloc(capacity, sizeof(*c->present));
	if (!c->entries || !c->present) {
		smmuinv_caches_free(c);
		return -ENOMEM;
	}
	*caches = c;
	return 0;
}

void smmuinv_caches_free(struct smmuinv_caches *caches)
{
	if (!caches)
		return;
	free(caches->present);
	free(caches->entries);
	free(caches);
}

static bool entry_valid(const struct smmuinv_cache_entry *e)
{
	switch (e->kind) {
	case SMMUINV_CACHED_LEAF:
		return e->tg && e->tg <= SMMUINV_TG_64K && e->level &&
		       e->level <= 3;
	case SMMUINV_CACHED_TABLE:
		return e->tg && e->tg <= SMMUINV_TG_64K && e->level <= 2;
	case SMMUINV_CACHED_CD:
	case SMMUINV_CACHED_L1CD:
	case SMMUINV_CACHED_ATC:
		return true;
	default:
		return false;
	}
}

int smmuinv_caches_insert(struct smmuinv_caches *caches,
			  const struct smmuinv_cache_entry *entry)
{
	struct smmuinv_cache_entry e;

	if (!caches || !PARAMS_TAKE(&e, entry) || !entry_valid(&e))
		return -EINVAL;
	if (caches->count == caches->capacity)
		return -ENOSPC;
	caches->entries[caches->count] = e;
	caches->present[caches->count] = true;
	return (int)caches->count++;
}

bool smmuinv_caches_has(const struct smmuinv_caches *caches, size_t index)
{
	return index < caches->count && caches->present[index];
}

void smmuinv_caches_refill(struct smmuinv_caches *caches)
{
	size_t i;

	for (i = 0; i < caches->count; i++)
		caches->present[i] = true;
}

int smmuinv_caches_stale(const struct smmuinv_caches *caches,
			 const struct smmuinv_caches *wanted)
{
	size_t i;

	if (!caches || !wanted || caches->count != wanted->count)
		return -EINVAL;
	for (i = 0; i < caches->count; i++) {
		if (caches->present[i] && !wanted->present[i])
			return (int)i;
	}
	return -ENOENT;
}

/* A span of addresses by its first and last byte, so that all of them fit. */
struct span {
	uint64_t first;
	uint64_t last;
};

/* @length 0 is all; what would wrap ends at the top (4.4.1.1). */
static struct span span_of(uint64_t first, uint64_t length)
{
	uint64_t last = first + length - 1;

	if (!length)
		return (struct span){ 0, UINT64_MAX };
	return (struct span){ first, last < first ? UINT64_MAX : last };
}

static bool overlap(struct span a, struct span b)
{
	return a.first <= b.last && b.first <= a.last;
}

static struct span entry_span(const struct smmuinv_cache_entry *e)
{
	return span_of(e->address, e->length);
}

static uint64_t get(const struct smmuinv_command *command,
		    enum smmuinv_field field)
{
	return smmuinv_command_get(command, field);
}

static bool is_tlb(const struct smmuinv_cache_entry *e)
{
	return e->kind == SMMUINV_CACHED_LEAF ||
	       e->kind == SMMUINV_CACHED_TABLE;
}

/*
 * (NUM + 1) << SCALE granules from the address, or the one address. A range
 * from the lower half need not reach the upper one (4.4.1.1).
 */
static struct span tlbi_span(const struct smmuinv_command *command)
{
	struct span span;

	uint64_t tg = get(command, SMMUINV_FIELD_TG);
	uint64_t va = get(command, SMMUINV_FIELD_VA);
	uint64_t units = get(command, SMMUINV_FIELD_NUM) + 1;
	uint64_t log2 = get(command, SMMUINV_FIELD_SCALE);

	if (tg == SMMUINV_TG_ANY)
		return span_of(va, 1);
	log2 = (log2 > 39 ? 39 : log2) + 10 + 2 * tg;
	span = span_of(va, units << log2);
	if (!(span.first >> 63) && span.last >> 63)
		span.last = UINT64_MAX >> 1;
	return span;
}

/* Which levels a TTL and a Leaf require (4.4.1.1, with its last note). */
static bool level_required(const struct smmuinv_command *command,
			   const struct smmuinv_cache_entry *e)
{
	uint64_t ttl = get(command, SMMUINV_FIELD_TG) ?
			       get(command, SMMUINV_FIELD_TTL) :
			       0;

	if (e->kind == SMMUINV_CACHED_TABLE)
		return !get(command, SMMUINV_FIELD_LEAF) &&
		       (!ttl || e->level < ttl);
	return !ttl || e->level == ttl;
}

static bool tlbi_address_removes(const struct smmuinv_command *command,
				 const struct smmuinv_cache_entry *e)
{
	uint64_t tg = get(command, SMMUINV_FIELD_TG);

	return is_tlb(e) && (!tg || tg == e->tg) &&
	       level_required(command, e) &&
	       overlap(tlbi_span(command), entry_span(e));
}

/* 4.3.3 */
static bool cfgi_cd_removes(const struct smmuinv_command *command,
			    const struct smmuinv_cache_entry *e)
{
	uint64_t ssid = get(command, SMMUINV_FIELD_SUBSTREAMID);

	if (get(command, SMMUINV_FIELD_STREAMID) != e->sid)
		return false;
	if (e->kind == SMMUINV_CACHED_CD)
		return ssid == e->ssid;
	return e->kind == SMMUINV_CACHED_L1CD &&
	       !get(command, SMMUINV_FIELD_LEAF) && ssid >= e->ssid &&
	       ssid - e->ssid < e->ssids;
}

/* The span is aligned to its size by the SMMU; size 52 is all (4.5.1). */
static struct span atc_span(const struct smmuinv_command *command)
{
	uint64_t log2 = 12 + get(command, SMMUINV_FIELD_ATC_SIZE);
	uint64_t address = get(command, SMMUINV_FIELD_ADDR);

	if (log2 >= 64)
		return span_of(0, 0);
	return span_of(address >> log2 << log2, UINT64_C(1) << log2);
}

/* 4.5.1: with a PASID only its own translations, or with Global all PASIDs'. */
static bool atc_inv_removes(const struct smmuinv_command *command,
			    const struct smmuinv_cache_entry *e)
{
	bool ssv = get(command, SMMUINV_FIELD_SSV);

	if (e->kind != SMMUINV_CACHED_ATC ||
	    get(command, SMMUINV_FIELD_STREAMID) != e->sid || ssv != e->ssv)
		return false;
	if (ssv && !get(command, SMMUINV_FIELD_GLOBAL) &&
	    get(command, SMMUINV_FIELD_SUBSTREAMID) != e->ssid)
		return false;
	return overlap(atc_span(command), entry_span(e));
}

/* Must the entry go? */
static bool removes(const struct smmuinv_command *command,
		    const struct smmuinv_cache_entry *e)
{
	bool same_asid = get(command, SMMUINV_FIELD_ASID) == e->asid;

	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_TLBI_NH_ALL:
	case SMMUINV_CMD_TLBI_NSNH_ALL:
		return is_tlb(e);
	case SMMUINV_CMD_TLBI_NH_ASID:
		return is_tlb(e) && same_asid && !e->global;
	case SMMUINV_CMD_TLBI_NH_VA:
		return (same_asid || e->global) &&
		       tlbi_address_removes(command, e);
	case SMMUINV_CMD_TLBI_NH_VAA:
		return tlbi_address_removes(command, e);
	case SMMUINV_CMD_CFGI_CD:
		return cfgi_cd_removes(command, e);
	case SMMUINV_CMD_CFGI_CD_ALL:
		return (e->kind == SMMUINV_CACHED_CD ||
			e->kind == SMMUINV_CACHED_L1CD) &&
		       get(command, SMMUINV_FIELD_STREAMID) == e->sid;
	case SMMUINV_CMD_ATC_INV:
		return atc_inv_removes(command, e);
	default:
		return false;
	}
}

size_t smmuinv_caches_execute(struct smmuinv_caches *caches,
			      const struct smmuinv_command *command)
{
	size_t removed = 0;
	size_t i;

	for (i = 0; i < caches->count; i++) {
		if (!caches->present[i] ||
		    !removes(command, &caches->entries[i]))
			continue;
		caches->present[i] = false;
		removed++;
	}
	return removed;
}
