/* SPDX-License-Identifier: MIT */
#include "order_model.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "spec.h"

enum order_kind {
	L1CD,
	CD,
	TABLE,
	LEAF,
	ATC,
};

/*
 * @tg is the granule; @level is where the descriptor is. Of an ATC's entry and
 * of a CD, @asid and @tg say through which tables the device is translated.
 */
struct order_entry {
	uint64_t address;
	uint32_t sid;
	uint32_t ssid;
	uint16_t asid;
	uint8_t kind;
	uint8_t tg;
	uint8_t level;
	bool global;
	bool ssv;
};

#define T4K  SMMUINV_TG_4K
#define T64K SMMUINV_TG_64K

/* How many SubstreamIDs are below the one level-1 descriptor (3.3.2). */
#define L1CD_SSIDS 64u

/* clang-format off */
#define L1CD_OF(s) { .kind = L1CD, .sid = (s) }
#define CD_OF(s, ss, a, t) \
	{ .kind = CD, .sid = (s), .ssid = (ss), .asid = (a), .tg = (t) }
#define TABLE_OF(a, t, l, va) \
	{ .kind = TABLE, .asid = (a), .tg = (t), .level = (l), .address = (va) }
#define LEAF_OF(a, t, l, va) \
	{ .kind = LEAF, .asid = (a), .tg = (t), .level = (l), .address = (va) }
#define GLOBAL_OF(t, l, va) \
	{ .kind = LEAF, .global = true, .tg = (t), .level = (l), .address = (va) }
#define ATC_OF(s, v, ss, a, t, va) \
	{ .kind = ATC, .sid = (s), .ssv = (v), .ssid = (ss), .asid = (a), \
	  .tg = (t), .address = (va) }

static const struct order_entry entries[] = {
	L1CD_OF(ORDER_FIRST),
	CD_OF(ORDER_FIRST, 0, ORDER_A, T4K),
	CD_OF(ORDER_FIRST, 1, ORDER_B, T4K),
	CD_OF(ORDER_FIRST, 2, ORDER_B, T64K),
	CD_OF(ORDER_SECOND, 0, ORDER_A, T4K),
	TABLE_OF(ORDER_A, T4K, 0, ORDER_X),
	TABLE_OF(ORDER_B, T4K, 0, ORDER_X),
	TABLE_OF(ORDER_A, T4K, 1, ORDER_X),
	TABLE_OF(ORDER_B, T4K, 1, ORDER_X),
	TABLE_OF(ORDER_A, T4K, 2, ORDER_X),
	TABLE_OF(ORDER_B, T4K, 2, ORDER_X),
	TABLE_OF(ORDER_A, T4K, 2, ORDER_Z),
	TABLE_OF(ORDER_B, T4K, 2, ORDER_Z),
	TABLE_OF(ORDER_A, T64K, 2, ORDER_X),
	TABLE_OF(ORDER_B, T64K, 2, ORDER_X),
	LEAF_OF(ORDER_A, T4K, 3, ORDER_X),
	LEAF_OF(ORDER_B, T4K, 3, ORDER_X),
	LEAF_OF(ORDER_A, T4K, 3, ORDER_Y),
	LEAF_OF(ORDER_B, T4K, 3, ORDER_Y),
	LEAF_OF(ORDER_A, T4K, 3, ORDER_Z),
	LEAF_OF(ORDER_B, T4K, 3, ORDER_Z),
	LEAF_OF(ORDER_A, T4K, 2, ORDER_BLOCK),
	LEAF_OF(ORDER_B, T4K, 2, ORDER_BLOCK),
	LEAF_OF(ORDER_A, T64K, 3, ORDER_64K),
	LEAF_OF(ORDER_B, T64K, 3, ORDER_64K),
	GLOBAL_OF(T4K, 3, ORDER_X),
	GLOBAL_OF(T4K, 3, ORDER_Y),
	GLOBAL_OF(T4K, 3, ORDER_Z),
	GLOBAL_OF(T4K, 2, ORDER_BLOCK),
	GLOBAL_OF(T64K, 3, ORDER_64K),
	ATC_OF(ORDER_FIRST, false, 0, ORDER_A, T4K, ORDER_X),
	ATC_OF(ORDER_FIRST, true, 1, ORDER_B, T4K, ORDER_X),
	ATC_OF(ORDER_FIRST, true, 1, ORDER_B, T4K, ORDER_Y),
	ATC_OF(ORDER_SECOND, false, 0, ORDER_A, T4K, ORDER_X),
};
/* clang-format on */

#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

_Static_assert(ENTRIES <= 64, "an order_set has 64 bits");

size_t order_entries(void)
{
	return ENTRIES;
}

const char *order_entry_name(size_t entry)
{
	static const char *const kinds[] = { "L1CD", "CD", "table", "leaf",
					     "ATC" };
	static char names[8][96];
	static unsigned int next;
	const struct order_entry *e = &entries[entry];
	char *name = names[next++ % 8];

	if (e->kind == TABLE || e->kind == LEAF)
		snprintf(name, sizeof(names[0]),
			 "%s%s asid=%u level=%u 0x%" PRIx64 "%s",
			 e->global ? "global " : "", kinds[e->kind], e->asid,
			 e->level, e->address, e->tg == T64K ? " 64K" : "");
	else
		snprintf(name, sizeof(names[0]),
			 "%s sid=0x%x ssid=%u%s asid=%u 0x%" PRIx64,
			 kinds[e->kind], e->sid, e->ssid, e->ssv ? " ssv" : "",
			 e->asid, e->address);
	return name;
}

/* A span of addresses by its first and its last byte. */
struct order_span {
	uint64_t first;
	uint64_t last;
};

static bool overlap(struct order_span a, struct order_span b)
{
	return a.first <= b.last && b.first <= a.last;
}

static struct order_span aligned_span(uint64_t address, unsigned int log2)
{
	uint64_t rest = log2 < 64 ? (UINT64_C(1) << log2) - 1 : UINT64_MAX;

	return (struct order_span){ address & ~rest, address | rest };
}

static unsigned int order_granule_log2(uint64_t tg)
{
	return tg == SMMUINV_TG_4K ? 12 : tg == SMMUINV_TG_16K ? 14 : 16;
}

/*
 * A table of a granule's size holds descriptors of eight bytes. So each level
 * up maps that many times as much.
 */
static struct order_span entry_span(const struct order_entry *e)
{
	unsigned int granule = order_granule_log2(e->tg);

	if (e->kind == ATC)
		return aligned_span(e->address, 12);
	return aligned_span(e->address,
			    granule + (3 - e->level) * (granule - 3));
}

static bool is_tlb(const struct order_entry *e)
{
	return e->kind == TABLE || e->kind == LEAF;
}

/*
 * What can be made from what
 */

/* In a walk that starts at the CD and caches nothing on its way. */
static bool walk_makes(const struct order_entry *cd,
		       const struct order_entry *e)
{
	if (e->kind == ATC)
		return cd->sid == e->sid && cd->ssid == e->ssid;
	return is_tlb(e) && cd->tg == e->tg &&
	       (e->global || cd->asid == e->asid);
}

static bool cd_is_below(const struct order_entry *l1cd,
			const struct order_entry *e)
{
	return e->kind == CD && l1cd->sid == e->sid && e->ssid < L1CD_SSIDS;
}

static bool l1cd_makes(const struct order_entry *l1cd,
		       const struct order_entry *e)
{
	size_t i;

	if (cd_is_below(l1cd, e))
		return true;
	for (i = 0; i < ENTRIES; i++) {
		if (cd_is_below(l1cd, &entries[i]) &&
		    walk_makes(&entries[i], e))
			return true;
	}
	return false;
}

/* A global leaf can be made from the table of any ASID. */
static bool table_makes(const struct order_entry *table,
			const struct order_entry *e)
{
	if (e->kind < TABLE || e->tg != table->tg ||
	    !overlap(entry_span(table), entry_span(e)))
		return false;
	if (e->kind != ATC && e->level <= table->level)
		return false;
	return e->global || e->asid == table->asid;
}

/* A leaf's hit is the answer to a device's translation request. */
static bool leaf_makes(const struct order_entry *leaf,
		       const struct order_entry *e)
{
	return e->kind == ATC && e->tg == leaf->tg &&
	       overlap(entry_span(leaf), entry_span(e)) &&
	       (leaf->global || leaf->asid == e->asid);
}

bool order_made_from(size_t child, size_t parent)
{
	const struct order_entry *p = &entries[parent];
	const struct order_entry *c = &entries[child];

	switch (p->kind) {
	case L1CD:
		return l1cd_makes(p, c);
	case CD:
		return walk_makes(p, c);
	case TABLE:
		return table_makes(p, c);
	case LEAF:
		return leaf_makes(p, c);
	default:
		return false;
	}
}

order_set order_64k(void)
{
	order_set set = 0;
	size_t i;

	for (i = 0; i < ENTRIES; i++) {
		if (entries[i].tg == T64K)
			set |= UINT64_C(1) << i;
	}
	return set;
}

/* The chains that go on from @chain, whose last entry is @last. */
static size_t add_chains(order_set chain, size_t last, order_set without,
			 order_set *chains)
{
	size_t count = 1;
	size_t i;

	if (chains)
		chains[0] = chain;
	for (i = last + 1; i < ENTRIES; i++) {
		if (without >> i & 1 || !order_made_from(i, last))
			continue;
		count += add_chains(chain | UINT64_C(1) << i, i, without,
				    chains ? chains + count : NULL);
	}
	return count;
}

static size_t list_chains(order_set without, order_set *chains)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < ENTRIES; i++) {
		if (without >> i & 1)
			continue;
		count += add_chains(UINT64_C(1) << i, i, without,
				    chains ? chains + count : NULL);
	}
	return count;
}

size_t order_chains(order_set without, order_set **chains)
{
	size_t count = list_chains(without, NULL);

	*chains = calloc(count, sizeof(**chains));
	if (!*chains)
		abort();
	return list_chains(without, *chains);
}

/*
 * What a command removes
 */

static uint64_t order_get(const struct smmuinv_command *command,
			  enum smmuinv_field field)
{
	const uint64_t dw[2] = { le64toh(command->dw[0]),
				 le64toh(command->dw[1]) };

	return spec_field_get(dw, field);
}

/* 4.4.1.1: (NUM + 1) << SCALE granules; not from one half into the other. */
static struct order_span tlbi_reach(const struct smmuinv_command *command,
				    uint64_t tg)
{
	uint64_t va = order_get(command, SMMUINV_FIELD_VA);
	uint64_t scale = order_get(command, SMMUINV_FIELD_SCALE);
	uint64_t granules = (order_get(command, SMMUINV_FIELD_NUM) + 1)
			    << scale;
	uint64_t rest = (granules << order_granule_log2(tg)) - 1;
	uint64_t half_end = va | UINT64_MAX >> 1;

	return (struct order_span){ va, rest < half_end - va ? va + rest :
							       half_end };
}

/*
 * 4.4.2.3, 4.4.2.4. TTL is the level of the leaf: tables are above it. Without
 * TG it is one address, of entries of any granule and level.
 */
static bool removed_by_address(const struct smmuinv_command *command, bool ril,
			       const struct order_entry *e)
{
	uint64_t tg = ril ? order_get(command, SMMUINV_FIELD_TG) : 0;
	uint64_t ttl = tg ? order_get(command, SMMUINV_FIELD_TTL) : 0;
	uint64_t va = order_get(command, SMMUINV_FIELD_VA);

	if (!is_tlb(e))
		return false;
	if (e->kind == TABLE && (order_get(command, SMMUINV_FIELD_LEAF) ||
				 (ttl && e->level >= ttl)))
		return false;
	if (e->kind == LEAF && ttl && e->level != ttl)
		return false;
	if (!tg)
		return overlap((struct order_span){ va, va }, entry_span(e));
	return tg == e->tg && overlap(tlbi_reach(command, tg), entry_span(e));
}

/* 4.3.3: Leaf=0 also removes the level-1 descriptor above the CD. */
static bool removed_by_cfgi_cd(const struct smmuinv_command *command,
			       const struct order_entry *e)
{
	uint64_t ssid = order_get(command, SMMUINV_FIELD_SUBSTREAMID);

	if (order_get(command, SMMUINV_FIELD_STREAMID) != e->sid)
		return false;
	if (e->kind == CD)
		return ssid == e->ssid;
	return e->kind == L1CD && ssid < L1CD_SSIDS &&
	       !order_get(command, SMMUINV_FIELD_LEAF);
}

/* 4.5.1 */
static bool removed_by_atc_inv(const struct smmuinv_command *command,
			       const struct order_entry *e)
{
	uint64_t log2 = 12 + order_get(command, SMMUINV_FIELD_ATC_SIZE);
	uint64_t address = order_get(command, SMMUINV_FIELD_ADDR);
	bool ssv = order_get(command, SMMUINV_FIELD_SSV);

	if (e->kind != ATC || e->ssv != ssv ||
	    order_get(command, SMMUINV_FIELD_STREAMID) != e->sid)
		return false;
	if (ssv && !order_get(command, SMMUINV_FIELD_GLOBAL) &&
	    order_get(command, SMMUINV_FIELD_SUBSTREAMID) != e->ssid)
		return false;
	return overlap(aligned_span(address, (unsigned int)log2),
		       entry_span(e));
}

static bool is_removed(const struct smmuinv_command *command, bool ril,
		       const struct order_entry *e)
{
	bool same_asid = order_get(command, SMMUINV_FIELD_ASID) == e->asid;

	switch (order_get(command, SMMUINV_FIELD_OPCODE)) {
	case SMMUINV_CMD_TLBI_NH_ALL:   /* 4.4.2.1 */
	case SMMUINV_CMD_TLBI_NSNH_ALL: /* 4.4.4.1 */
		return is_tlb(e);
	case SMMUINV_CMD_TLBI_NH_ASID: /* 4.4.2.2 */
		return is_tlb(e) && same_asid && !e->global;
	case SMMUINV_CMD_TLBI_NH_VA:
		return (same_asid || e->global) &&
		       removed_by_address(command, ril, e);
	case SMMUINV_CMD_TLBI_NH_VAA:
		return removed_by_address(command, ril, e);
	case SMMUINV_CMD_CFGI_CD:
		return removed_by_cfgi_cd(command, e);
	case SMMUINV_CMD_CFGI_CD_ALL: /* 4.3.4 */
		return (e->kind == CD || e->kind == L1CD) &&
		       order_get(command, SMMUINV_FIELD_STREAMID) == e->sid;
	case SMMUINV_CMD_ATC_INV:
		return removed_by_atc_inv(command, e);
	default:
		return false;
	}
}

order_set order_removed(const struct smmuinv_command *command, bool ril)
{
	order_set set = 0;
	size_t i;

	for (i = 0; i < ENTRIES; i++) {
		if (is_removed(command, ril, &entries[i]))
			set |= UINT64_C(1) << i;
	}
	return set;
}
