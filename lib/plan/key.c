/* SPDX-License-Identifier: MIT */
/*
 * First step of a plan: each command of the window becomes a run of what it
 * reaches, and the order that CMD_SYNCs ask for becomes breaks between ranks.
 */
#include "plan.h"

/* One command, taken apart. */
struct operand {
	uint64_t dw0;
	uint64_t dw1;
};

#define OPCODE(c) ((uint8_t)((c)->dw0 & DW0_OPCODE))
#define VA(c)     ((c)->dw1 & DW1_ADDRESS)
#define ASID(c)   ((c)->dw0 >> DW0_ASID_SHIFT)
#define TG(c)     ((unsigned int)(((c)->dw1 & DW1_TG) >> DW1_TG_SHIFT))
#define TTL(c)    ((uint8_t)(((c)->dw1 & DW1_TTL) >> DW1_TTL_SHIFT))

static uint64_t group_of_address(const struct operand *c, enum tlbi_kind kind)
{
	bool leaf = c->dw1 & DW1_LEAF;
	uint64_t group =
		GROUP_OF(leaf ? COMMAND_RANK_LEAF : COMMAND_RANK_TABLE, kind);

	if (OPCODE(c) == SMMUINV_CMD_TLBI_NH_VAA)
		return group;
	return group | GROUP_ONE_ASID | ASID(c) << GROUP_ASID_SHIFT;
}

/* What cannot be merged is compared as a whole; Leaf=0 has Leaf=1 in it. */
static void run_of_plain(struct plan_run *run, const struct operand *c)
{
	run->group = group_of_address(c, TLBI_PLAIN) | (c->dw0 & DW0_RIL);
	run->first = c->dw1;
	run->last = c->dw1 | DW1_LEAF;
}

/* 4.4.1.1: the range is UNPREDICTABLE otherwise. */
static bool is_aligned(const struct operand *c)
{
	return !(VA(c) & ((UINT64_C(1) << leaf_log2(TG(c), TTL(c))) - 1));
}

/*
 * (NUM + 1) << SCALE granules, rounded out to whole ones. A range does not
 * wrap, and one from the lower half need not reach the upper one (4.4.1.1).
 */
void smmuinv__plan_run_of_range(struct plan_run *run, const struct plan *plan,
				uint64_t dw0, uint64_t dw1)
{
	const struct operand c = { .dw0 = dw0, .dw1 = dw1 };
	unsigned int granule = GRANULE_LOG2(TG(&c));
	unsigned int scale =
		(unsigned int)((dw0 & DW0_SCALE) >> DW0_SCALE_SHIFT);
	uint64_t units = ((dw0 & DW0_NUM) >> DW0_NUM_SHIFT) + 1;
	uint64_t rest = (UINT64_C(1) << granule) - 1;
	uint64_t length = units << (scale + granule);
	uint64_t va = VA(&c);
	uint64_t end = va | INT64_MAX; /* of its half */

	run->ttl = is_aligned(&c) ? TTL(&c) : 0;
	run->first = va & ~rest;
	run->last = end - va < length - 1 ? end : (va + length - 1) | rest;
	run->group = group_of_address(&c, TLBI_SPAN) | TG(&c);
	/* As pages, a level that is given up costs more than it saves. */
	if (!plan->ril)
		run->group |= (uint64_t)run->ttl << GROUP_TTL_SHIFT;
}

/*
 * A single address becomes a page only if its granule is certain. 4.4.2, 3.4.1:
 * if the bits above the address are not all equal, the SMMU may treat the
 * command as out of range, without effect (4.1.7). Then what is merged with it
 * would have no effect either.
 */
static void run_of_address(struct plan_run *run, const struct operand *c,
			   const struct plan *plan)
{
	uint64_t rest = (UINT64_C(1) << GRANULE_LOG2(plan->granule)) - 1;
	uint64_t sign = VA(c) >> plan->va_bits;
	bool in_range = !sign || sign == UINT64_MAX >> plan->va_bits;

	if (TG(c) && !plan->ril) {
		smmuinv__plan_run_of_range(run, plan, c->dw0, c->dw1);
	} else if (!plan->ril || !in_range ||
		   (TG(c) ? !is_aligned(c) : plan->granule == SMMUINV_TG_ANY)) {
		run_of_plain(run, c);
	} else if (TG(c)) {
		smmuinv__plan_run_of_range(run, plan, c->dw0, c->dw1);
	} else {
		run->first = VA(c) & ~rest;
		run->last = run->first | rest;
		run->group = group_of_address(c, TLBI_SPAN) | plan->granule;
	}
}

/* 4.5.1: aligned to its size; canonical, so the SSID counts only with SSV. */
static void run_of_atc(struct plan_run *run, const struct operand *c)
{
	unsigned int log2 = 12 + (unsigned int)(c->dw1 & DW1_ATC_SIZE);
	uint64_t rest = log2 < 64 ? (UINT64_C(1) << log2) - 1 : UINT64_MAX;

	run->group = GROUP_OF(COMMAND_RANK_ATC, 0) |
		     c->dw0 >> DW0_SID_SHIFT << GROUP_SID_SHIFT |
		     (uint64_t) !!(c->dw0 & DW0_SSV) << GROUP_SSV_SHIFT |
		     (uint64_t) !!(c->dw0 & DW0_GLOBAL) << GROUP_G_SHIFT |
		     (c->dw0 & DW0_SSID) >> DW0_SSID_SHIFT;
	run->first = VA(c) & ~rest;
	run->last = run->first | rest;
	run->log2 = (uint8_t)log2;
}

/* CFGI_CD_ALL is every SubstreamID's, and Leaf=0 has Leaf=1 in it. */
static void run_of_cfgi(struct plan_run *run, const struct operand *c)
{
	bool leaf = c->dw1 & DW1_LEAF;

	run->group = GROUP_OF(opcode_rank(OPCODE(c), leaf), 0) |
		     c->dw0 >> DW0_SID_SHIFT;
	run->last = UINT64_MAX;
	if (OPCODE(c) == SMMUINV_CMD_CFGI_CD_ALL)
		return;
	/* CFGI_CD_ALL comes before that of SubstreamID 0. */
	run->first = ((c->dw0 & DW0_SSID) + DW0_SSID_ONE) | leaf;
	run->last = run->first | DW1_LEAF;
}

static struct plan_run *run_begin(struct plan *plan, uint32_t index,
				  const struct operand *c)
{
	struct plan_run *run = &plan->runs[plan->run_count++];

	*run = (struct plan_run){ .origin = index, .source = index };
	switch (OPCODE(c)) {
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
		run_of_address(run, c, plan);
		break;
	case SMMUINV_CMD_TLBI_NH_ASID:
		run->group = GROUP_OF(COMMAND_RANK_TABLE, TLBI_ASID);
		run->first = ASID(c);
		break;
	case SMMUINV_CMD_ATC_INV:
		run_of_atc(run, c);
		break;
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
		run_of_cfgi(run, c);
		break;
	default:
		/* NSNH_ALL, which is more than NH_ALL, comes first. */
		run->group = GROUP_OF(COMMAND_RANK_TABLE, TLBI_EVERYTHING);
		run->first = OPCODE(c) == SMMUINV_CMD_TLBI_NH_ALL;
		break;
	}
	return run;
}

/*
 * Most of a window is consecutive pages: @run takes all that continue the
 * command at @index. Returns how many it took.
 */
static uint32_t grow(struct plan_run *run, const struct operand *c,
		     const struct plan_window *w, uint32_t index,
		     uint8_t va_bits)
{
	const struct smmuinv_command *next = &w->commands[index + 1];
	const struct mark *marks = &w->marks[index + 1];
	unsigned int log2 = GRANULE_LOG2(run->group & GROUP_TG);
	uint64_t granule = UINT64_C(1) << log2;
	uint64_t va = (VA(c) & ~(granule - 1)) + granule;
	/* Up to the end of the lower half, or the top, which 0 is. */
	uint64_t end = VA(c) >> 63 ? 0 : UINT64_C(1) << va_bits;
	uint64_t pages = (end - va) >> log2;
	uint64_t dw1 = va | (c->dw1 & ~DW1_ADDRESS);
	uint32_t n = w->count - index - 1;
	uint32_t i;

	if (pages < n)
		n = (uint32_t)pages;
	for (i = 0; i < n; i++, dw1 += granule) {
		if (command_dw0(&next[i]) != c->dw0 ||
		    command_dw1(&next[i]) != dw1 || marks[i].rule)
			break;
	}
	va += (uint64_t)i << log2;
	if (i) {
		run->last = va - 1;
		run->joined = true;
	}
	return i;
}

/* Whose tables commands reach: no ASID's, one's (plus 1), or more. */
#define TABLES_NONE 0u
#define TABLES_MORE UINT32_MAX

/* The guest's order, as far as the walk over the window has come. */
struct order {
	uint32_t before; /* ranks that a CMD_SYNC stands after */
	uint32_t since;  /* ranks after the last CMD_SYNC */
	uint32_t tables_before;
	uint32_t tables_since;
	/* For each rank, the lower ones that it has to wait for. */
	uint32_t waits[COMMAND_RANKS];
};

static uint32_t tables_of(const struct operand *c)
{
	switch (OPCODE(c)) {
	case SMMUINV_CMD_TLBI_NH_ASID:
	case SMMUINV_CMD_TLBI_NH_VA:
		return (uint32_t)ASID(c) + 1;
	default:
		return TABLES_MORE;
	}
}

/* @more is of some ASID. */
static uint32_t tables_join(uint32_t tables, uint32_t more)
{
	return tables == TABLES_NONE || tables == more ? more : TABLES_MORE;
}

/*
 * What is merged into a command that reaches tables is sent with that command.
 * So all TLBIs wait for what any of them has to wait for.
 */
static void order_sync(struct order *o)
{
	unsigned int rank;

	for (rank = 1; o->before && rank < COMMAND_RANKS; rank++) {
		if (o->since & RANK_BIT(rank))
			o->waits[rank] |= o->before & (RANK_BIT(rank) - 1);
	}
	if (o->since & RANKS_TLBI)
		o->waits[COMMAND_RANK_TABLE] |= o->before & RANKS_CFGI;
	o->before |= o->since;
	o->since = 0;
	if (o->tables_since)
		o->tables_before =
			tables_join(o->tables_before, o->tables_since);
	o->tables_since = TABLES_NONE;
}

/*
 * Before which ranks a call must end, so that each rank is sent in a later call
 * than all that it waits for. Each end is as late as possible, so there are as
 * few as possible.
 */
static uint32_t order_breaks(const struct order *o)
{
	/* ATC_INVs always have calls of their own. */
	uint32_t breaks = RANK_BIT(COMMAND_RANK_ATC);
	unsigned int rank;

	for (rank = 1; rank < COMMAND_RANK_ATC; rank++) {
		uint32_t waits = o->waits[rank];
		uint32_t above; /* ranks above the highest that it waits for */

		if (!waits)
			continue;
		above = ~((2u << (31 - __builtin_clz(waits))) - 1);
		if (!(breaks & above & (RANK_BIT(rank + 1) - 1)))
			breaks |= RANK_BIT(rank);
	}
	return breaks;
}

/*
 * A global leaf can be made again through the tables of any ASID. So if a TLBI
 * reaches tables of other ASIDs, and a TLBI_NH_VA comes after it with a
 * CMD_SYNC between them, the TLBI_NH_VA may not run first. With Leaf=1 it is
 * sent after all tables. With Leaf=0 it reaches tables itself, and becomes a
 * TLBI_NH_VAA: that one command removes all from which anything at its address
 * can be made (4.4.2.3).
 */
static void keep_order(struct plan *plan, const struct order *o,
		       struct operand *c)
{
	if (OPCODE(c) != SMMUINV_CMD_TLBI_NH_VA ||
	    o->tables_before == ASID(c) + 1)
		return;
	if (c->dw1 & DW1_LEAF)
		plan->leaves_last = true;
	else
		c->dw0 = SMMUINV_CMD_TLBI_NH_VAA |
			 (c->dw0 & ~(DW0_OPCODE | DW0_ASID));
}

void smmuinv__plan_key(struct plan *plan, const struct plan_window *w)
{
	struct order order = { 0 };
	uint32_t i;

	plan->run_count = 0;
	plan->keyed = 0;
	plan->leaves_last = false;
	for (i = 0; i < w->count; i++) {
		struct operand c = {
			.dw0 = command_dw0(&w->commands[i]),
			.dw1 = command_dw1(&w->commands[i]),
		};
		const struct mark *mark = &w->marks[i];
		struct plan_run *run;
		enum command_rank rank;
		uint32_t grown = 0;

		if (mark->slot == ENTRY_SYNC) {
			if (order.since)
				order_sync(&order);
			continue;
		}
		if (mark->rule || (mark->slot && mark->slot != w->slot))
			continue;
		if (order.tables_before != TABLES_NONE)
			keep_order(plan, &order, &c);
		run = run_begin(plan, i, &c);
		rank = GROUP_RANK(run->group);
		order.since |= RANK_BIT(rank);
		if (rank == COMMAND_RANK_TABLE)
			order.tables_since =
				tables_join(order.tables_since, tables_of(&c));
		/* Pages of a granule that is certain, without TG. */
		if ((RANK_BIT(rank) & RANKS_TLBI) && !(c.dw1 & DW1_TG) &&
		    GROUP_KIND(run->group) == TLBI_SPAN)
			grown = grow(run, &c, w, i, plan->va_bits);
		plan->keyed += 1 + grown;
		i += grown;
	}
	if (order.since)
		order_sync(&order);
	plan->breaks = order_breaks(&order);
}
