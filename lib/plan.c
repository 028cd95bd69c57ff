/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Commands that one command of the host's may stand for. Two runs of a group
 * may become one; sorted by group and @first, those that can are neighbours.
 */
struct plan_run {
	uint64_t group;
	uint64_t first; /* the first byte, or what else there is to compare */
	uint64_t last;  /* the last byte */
	uint32_t origin;
	uint32_t source; /* the command that it was made from */
	uint8_t ttl;
	uint8_t log2; /* ATC: of the span's bytes */
	bool joined;  /* it is no longer what @source says */
};

/* Groups: the rank, for a TLBI its kind, then whom it reaches. */
#define GROUP_RANK_SHIFT 61
#define GROUP_KIND_SHIFT 59
#define GROUP_ONE_ASID   BITS(58, 58) /* so NH_VAA comes before NH_VA */
#define GROUP_ASID_SHIFT 32
#define GROUP_TTL_SHIFT  2
#define GROUP_SID_SHIFT  22
#define GROUP_SSV_SHIFT  21
#define GROUP_G_SHIFT    20

enum tlbi_kind {
	TLBI_EVERYTHING, /* NH_ALL, NSNH_ALL */
	TLBI_ASID,
	TLBI_PLAIN, /* an address that is joined with nothing but its equal */
	TLBI_SPAN,
};

int smmuinv__plan_init(struct plan *plan, uint32_t capacity,
		       const struct smmuinv_features *host, uint32_t pages_max)
{
	*plan = (struct plan){
		.host = smmuinv__plan_host(host),
		.pages_max = pages_max,
		.capacity = capacity,
		.room = capacity + pages_max,
	};
	plan->runs = calloc(capacity, sizeof(*plan->runs));
	plan->order[0] = calloc(capacity, sizeof(*plan->order[0]));
	plan->order[1] = calloc(capacity, sizeof(*plan->order[1]));
	plan->commands = calloc(plan->room, sizeof(*plan->commands));
	plan->origin = calloc(plan->room, sizeof(*plan->origin));
	if (plan->runs && plan->order[0] && plan->order[1] && plan->commands &&
	    plan->origin)
		return 0;
	smmuinv__plan_free(plan);
	return -ENOMEM;
}

struct plan_host smmuinv__plan_host(const struct smmuinv_features *features)
{
	bool ds = smmuinv_features_get(features, SMMUINV_FEATURE_DS);

	return (struct plan_host){
		.ril = smmuinv_features_get(features, SMMUINV_FEATURE_RIL),
		.scale_max = ds ? SCALE_MAX : 31,
	};
}

void smmuinv__plan_free(struct plan *plan)
{
	free(plan->origin);
	free(plan->commands);
	free(plan->order[1]);
	free(plan->order[0]);
	free(plan->runs);
	*plan = (struct plan){ 0 };
}

/* One command, taken apart for planning. */
struct operand {
	uint64_t dw0;
	uint64_t dw1;
	uint8_t opcode;
};

static struct operand operand_of(const struct smmuinv_command *command)
{
	uint64_t dw0 = command_dw0(command);

	return (struct operand){
		.dw0 = dw0,
		.dw1 = command_dw1(command),
		.opcode = (uint8_t)(dw0 & DW0_OPCODE),
	};
}

static uint64_t va_of(const struct operand *c)
{
	return c->dw1 & DW1_ADDRESS;
}

static uint8_t tg_of(const struct operand *c)
{
	return (uint8_t)((c->dw1 & DW1_TG) >> DW1_TG_SHIFT);
}

static uint8_t ttl_of(const struct operand *c)
{
	return (uint8_t)((c->dw1 & DW1_TTL) >> DW1_TTL_SHIFT);
}

/* log2 of what a leaf entry at the level maps; any level: of a granule. */
static unsigned int entry_log2(unsigned int tg, unsigned int ttl)
{
	unsigned int granule = granule_log2(tg);

	return ttl ? granule + (3 - ttl) * (granule - 3) : granule;
}

/* 4.4.1.1: the range is UNPREDICTABLE otherwise. */
static bool is_aligned(const struct operand *c)
{
	uint64_t entry = UINT64_C(1) << entry_log2(tg_of(c), ttl_of(c));

	return !(va_of(c) & (entry - 1));
}

static uint64_t group_of(enum command_rank rank, enum tlbi_kind kind)
{
	return (uint64_t)rank << GROUP_RANK_SHIFT | (uint64_t)kind
							    << GROUP_KIND_SHIFT;
}

static uint64_t group_of_address(const struct operand *c, enum tlbi_kind kind)
{
	uint64_t group =
		group_of(opcode_rank(c->opcode, c->dw1 & DW1_LEAF), kind);

	if (c->opcode == SMMUINV_CMD_TLBI_NH_VAA)
		return group;
	return group | GROUP_ONE_ASID |
	       c->dw0 >> DW0_ASID_SHIFT << GROUP_ASID_SHIFT;
}

/* What cannot be joined is compared as a whole; Leaf=0 has Leaf=1 in it. */
static void run_of_plain(struct plan_run *run, const struct operand *c)
{
	run->group = group_of_address(c, TLBI_PLAIN) | (c->dw0 & DW0_RIL);
	run->first = c->dw1;
	run->last = c->dw1 | DW1_LEAF;
}

static uint64_t group_of_span(const struct operand *c, uint8_t tg)
{
	return group_of_address(c, TLBI_SPAN) | tg;
}

/*
 * (NUM + 1) << SCALE granules, rounded out to whole ones. A range does not
 * wrap, and one from the lower half need not reach the upper one (4.4.1.1).
 */
static void run_of_range(struct plan_run *run, const struct operand *c,
			 const struct plan *plan)
{
	unsigned int granule = granule_log2(tg_of(c));
	unsigned int scale = (c->dw0 & DW0_SCALE) >> DW0_SCALE_SHIFT;
	uint64_t units = ((c->dw0 & DW0_NUM) >> DW0_NUM_SHIFT) + 1;
	uint64_t rest = (UINT64_C(1) << granule) - 1;
	uint64_t length = units << (scale + granule);
	uint64_t va = va_of(c);
	uint64_t end = va | INT64_MAX; /* of its half */

	run->ttl = is_aligned(c) ? ttl_of(c) : 0;
	run->first = va & ~rest;
	run->last = end - va < length - 1 ? end : (va + length - 1) | rest;
	run->group = group_of_span(c, tg_of(c));
	/* As pages, a level that is given up costs more than it saves. */
	if (!plan->host.ril)
		run->group |= (uint64_t)run->ttl << GROUP_TTL_SHIFT;
}

/* The granule around an address that came without TG. */
static void run_of_page(struct plan_run *run, const struct operand *c,
			uint8_t tg)
{
	uint64_t rest = (UINT64_C(1) << granule_log2(tg)) - 1;

	run->first = va_of(c) & ~rest;
	run->last = run->first | rest;
	run->group = group_of_span(c, tg);
}

/*
 * What begins out of range may have no effect, and would take along what is
 * joined to it.
 */
static bool in_range(const struct plan_window *w, const struct operand *c)
{
	return granule_va_in_range(w->granules, va_of(c));
}

static uint8_t certain_granule(const struct plan_window *w,
			       const struct operand *c)
{
	if (c->opcode == SMMUINV_CMD_TLBI_NH_VAA)
		return in_range(w, c) ? w->granules->shown : SMMUINV_TG_ANY;
	return smmuinv__granule_of(
		w->granules, (uint16_t)(c->dw0 >> DW0_ASID_SHIFT), va_of(c));
}

static void run_of_address(struct plan_run *run, const struct operand *c,
			   const struct plan *plan, const struct plan_window *w)
{
	uint8_t tg = tg_of(c);

	if (tg != SMMUINV_TG_ANY) {
		if (plan->host.ril && !(is_aligned(c) && in_range(w, c)))
			run_of_plain(run, c);
		else
			run_of_range(run, c, plan);
		return;
	}
	tg = plan->host.ril ? certain_granule(w, c) : SMMUINV_TG_ANY;
	if (tg == SMMUINV_TG_ANY)
		run_of_plain(run, c);
	else
		run_of_page(run, c, tg);
}

/* 4.5.1: aligned to its size; canonical, so the SSID counts only with SSV. */
static void run_of_atc(struct plan_run *run, const struct operand *c)
{
	unsigned int log2 = 12 + (unsigned int)(c->dw1 & DW1_ATC_SIZE);
	uint64_t rest = log2 < 64 ? (UINT64_C(1) << log2) - 1 : UINT64_MAX;

	run->group = group_of(COMMAND_RANK_ATC, 0) |
		     c->dw0 >> DW0_SID_SHIFT << GROUP_SID_SHIFT |
		     (uint64_t) !!(c->dw0 & DW0_SSV) << GROUP_SSV_SHIFT |
		     (uint64_t) !!(c->dw0 & DW0_GLOBAL) << GROUP_G_SHIFT |
		     (c->dw0 & DW0_SSID) >> DW0_SSID_SHIFT;
	run->first = c->dw1 & DW1_ADDRESS & ~rest;
	run->last = run->first | rest;
	run->log2 = (uint8_t)log2;
}

/* CFGI_CD_ALL is every SubstreamID's, and Leaf=0 has Leaf=1 in it. */
static void run_of_cfgi(struct plan_run *run, const struct operand *c)
{
	bool leaf = c->dw1 & DW1_LEAF;

	run->group = group_of(opcode_rank(c->opcode, leaf), 0) |
		     c->dw0 >> DW0_SID_SHIFT;
	run->last = UINT64_MAX;
	if (c->opcode == SMMUINV_CMD_CFGI_CD_ALL)
		return;
	/* CFGI_CD_ALL comes before that of SubstreamID 0. */
	run->first = ((c->dw0 & DW0_SSID) + DW0_SSID_ONE) | leaf;
	run->last = run->first | DW1_LEAF;
}

static void run_of(struct plan_run *run, const struct operand *c,
		   const struct plan *plan, const struct plan_window *w)
{
	switch (c->opcode) {
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
		run_of_address(run, c, plan, w);
		break;
	case SMMUINV_CMD_TLBI_NH_ASID:
		run->group = group_of(COMMAND_RANK_TABLE, TLBI_ASID);
		run->first = c->dw0 >> DW0_ASID_SHIFT;
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
		run->group = group_of(COMMAND_RANK_TABLE, TLBI_EVERYTHING);
		run->first = c->opcode == SMMUINV_CMD_TLBI_NH_ALL;
		break;
	}
}

static enum command_rank rank_of_group(uint64_t group)
{
	return (enum command_rank)(group >> GROUP_RANK_SHIFT);
}

static bool is_tlbi(uint64_t group)
{
	return RANK_BIT(rank_of_group(group)) & RANKS_TLBI;
}

static enum tlbi_kind kind_of_group(uint64_t group)
{
	return (enum tlbi_kind)(group >> GROUP_KIND_SHIFT & 3);
}

static unsigned int tg_of_group(uint64_t group)
{
	return group & 3;
}

/* A page that came without TG and is certain to have one. */
static bool is_page(const struct plan_run *run, const struct operand *c)
{
	return is_tlbi(run->group) && kind_of_group(run->group) == TLBI_SPAN &&
	       !(c->dw1 & DW1_TG);
}

/*
 * Most of a window are pages one after the other: @run takes all that follow
 * the command @c, which is at @index. Returns how many it took.
 */
static uint32_t grow(struct plan_run *run, const struct operand *c,
		     const struct plan_window *w, uint32_t index)
{
	const struct smmuinv_command *next = &w->commands[index + 1];
	const uint8_t *rules = w->rules ? &w->rules[index + 1] : NULL;
	unsigned int log2 = granule_log2(tg_of_group(run->group));
	uint64_t granule = UINT64_C(1) << log2;
	uint64_t va = (va_of(c) & ~(granule - 1)) + granule;
	uint64_t pages = -va >> log2; /* up to the end, which 0 is */
	uint64_t dw1 = va | (c->dw1 & ~DW1_ADDRESS);
	uint32_t n = w->count - index - 1;
	uint32_t i;

	/* None follows most of those that are not in a row. */
	if (!n || command_dw1(next) != dw1)
		return 0;
	if (pages < n)
		n = (uint32_t)pages;
	for (i = 0; i < n && !(rules && rules[i]); i++) {
		if (command_dw0(&next[i]) != c->dw0 ||
		    command_dw1(&next[i]) != dw1)
			break;
		dw1 += granule;
	}
	va += (uint64_t)i << log2;
	if (va - 1 > run->last) {
		run->last = va - 1;
		run->joined = true;
	}
	return i;
}

static uint32_t *slot_of(struct plan *plan, const struct operand *c)
{
	uint64_t mixed =
		(c->dw0 ^ (c->dw1 >> 7)) * UINT64_C(0x9e3779b97f4a7c15);

	return &plan->slots[mixed >> 54];
}

/* The run that an equal command began, if one is remembered. */
static struct plan_run *run_of_equal(const struct plan *plan, uint32_t slot,
				     const struct plan_window *w,
				     const struct operand *c)
{
	const struct smmuinv_command *seen;

	if (slot >= plan->run_count)
		return NULL;
	seen = &w->commands[plan->runs[slot].source];
	if (command_dw0(seen) != c->dw0 || command_dw1(seen) != c->dw1)
		return NULL;
	return &plan->runs[slot];
}

/* The run that a command begins, or one that began with an equal command. */
static struct plan_run *run_begin(struct plan *plan,
				  const struct plan_window *w, uint32_t index,
				  const struct operand *c)
{
	uint32_t *slot = slot_of(plan, c);
	struct plan_run *run = run_of_equal(plan, *slot, w, c);

	if (run)
		return run;
	*slot = plan->run_count;
	run = &plan->runs[plan->run_count++];
	*run = (struct plan_run){ .origin = index, .source = index };
	run_of(run, c, plan, w);
	return run;
}

/* Returns how many commands there are to be sent. */
static uint32_t gather(struct plan *plan, const struct plan_window *w)
{
	uint32_t skipped = 0;
	uint32_t i;

	plan->run_count = 0;
	for (i = 0; i < w->count; i++) {
		const struct operand c = operand_of(&w->commands[i]);
		struct plan_run *run;

		if (w->rules && w->rules[i]) {
			skipped++;
			continue;
		}
		run = run_begin(plan, w, i, &c);
		if (is_page(run, &c))
			i += grow(run, &c, w, i);
	}
	return w->count - skipped;
}

static bool comes_before(const struct plan_run *a, const struct plan_run *b)
{
	return a->group != b->group ? a->group < b->group : a->first < b->first;
}

#define DIGIT_BITS 8
#define DIGITS     (1u << DIGIT_BITS)

/* One pass of the sort; equal digits stay in their order. */
static void sort_pass(const struct plan *plan, const uint32_t *from,
		      uint32_t *to, bool by_group, unsigned int shift)
{
	const struct plan_run *runs = plan->runs;
	uint32_t places[DIGITS] = { 0 };
	uint32_t place = 0;
	uint32_t i;

	for (i = 0; i < plan->run_count; i++) {
		uint64_t key = by_group ? runs[i].group : runs[i].first;

		places[key >> shift & (DIGITS - 1)]++;
	}
	for (i = 0; i < DIGITS; i++) {
		uint32_t n = places[i];

		places[i] = place;
		place += n;
	}
	for (i = 0; i < plan->run_count; i++) {
		const struct plan_run *run = &runs[from[i]];
		uint64_t key = by_group ? run->group : run->first;

		to[places[key >> shift & (DIGITS - 1)]++] = from[i];
	}
}

/* In the order of arrival, or moved to where they belong if they are few. */
static bool sort_few(const struct plan *plan, uint32_t *order)
{
	enum { FEW = 32 };
	const struct plan_run *runs = plan->runs;
	uint32_t i;

	for (i = 0; i < plan->run_count; i++) {
		uint32_t j = i;

		order[i] = i;
		if (!i || !comes_before(&runs[i], &runs[order[i - 1]]))
			continue;
		if (plan->run_count > FEW)
			return false;
		for (; j && comes_before(&runs[i], &runs[order[j - 1]]); j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
	return true;
}

/*
 * Digit by digit, and only digits in which runs differ: the work grows with the
 * number of runs alone. Windows that come sorted, as most do, cost one look.
 */
static const uint32_t *sort(const struct plan *plan)
{
	uint32_t *from = plan->order[0];
	uint32_t *to = plan->order[1];
	uint64_t differs[2] = { 0, 0 };
	unsigned int key;
	uint32_t i;

	if (sort_few(plan, from))
		return from;
	for (i = 0; i < plan->run_count; i++) {
		from[i] = i;
		differs[0] |= plan->runs[i].first ^ plan->runs[0].first;
		differs[1] |= plan->runs[i].group ^ plan->runs[0].group;
	}
	for (key = 0; key < 2; key++) {
		while (differs[key]) {
			unsigned int shift =
				(unsigned int)__builtin_ctzll(differs[key]);
			uint32_t *swap = from;

			sort_pass(plan, from, to, key == 1, shift);
			differs[key] &= ~((uint64_t)(DIGITS - 1) << shift);
			from = to;
			to = swap;
		}
	}
	return from;
}

/* Runs become heads, each of which stands for those that were joined to it. */
struct sweep {
	struct plan *plan;
	uint32_t *
		heads; /* sorted, as the runs were, and apart from each other */
	uint32_t count;
	struct plan_run *everything; /* it stands for every TLBI */
	bool tables;                 /* there are addresses with Leaf=0 */
	bool every_asid;             /* there are NH_VAAs */
};

static struct plan_run *head_at(const struct sweep *s, uint32_t index)
{
	return &s->plan->runs[s->heads[index]];
}

static void head_push(struct sweep *s, uint32_t index)
{
	s->heads[s->count++] = index;
}

/* @head stands for @run too. */
static void absorb(struct plan_run *head, const struct plan_run *run)
{
	if (run->origin < head->origin)
		head->origin = run->origin;
}

/* Is @run, seen as one of another group, part of a head there? */
static bool covered(const struct sweep *s, uint64_t group,
		    const struct plan_run *run)
{
	const struct plan_run wanted = { .group = group, .first = run->first };
	uint32_t low = 0;
	uint32_t high = s->count;
	struct plan_run *head;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (comes_before(&wanted, head_at(s, middle)))
			high = middle;
		else
			low = middle + 1;
	}
	if (!low)
		return false;
	head = head_at(s, low - 1);
	if (head->group != group || head->last < run->last ||
	    (head->ttl && head->ttl != run->ttl))
		return false;
	absorb(head, run);
	return true;
}

/* The same, with Leaf=0 or of tables. */
static uint64_t group_of_tables(uint64_t group)
{
	return group - (UINT64_C(1) << GROUP_RANK_SHIFT);
}

static uint64_t group_of_every_asid(uint64_t group)
{
	const uint64_t asid = UINT64_C(0xffff) << GROUP_ASID_SHIFT;

	return group & ~(GROUP_ONE_ASID | asid);
}

/*
 * Does a head that reaches more reach all of it already? Only ranks that are
 * there are looked into.
 */
static bool reached(const struct sweep *s, const struct plan_run *run)
{
	uint64_t every = group_of_every_asid(run->group);
	bool leaf = rank_of_group(run->group) == COMMAND_RANK_LEAF;

	if (s->tables && leaf && covered(s, group_of_tables(run->group), run))
		return true;
	if (!s->every_asid || every == run->group)
		return false;
	return covered(s, every, run) ||
	       (leaf && covered(s, group_of_tables(every), run));
}

static void head_push_address(struct sweep *s, uint32_t index)
{
	uint64_t group = s->plan->runs[index].group;

	head_push(s, index);
	s->tables |= rank_of_group(group) == COMMAND_RANK_TABLE;
	s->every_asid |= !(group & GROUP_ONE_ASID);
}

/* Overlapping, or next to each other. */
static bool touch(const struct plan_run *head, const struct plan_run *run)
{
	return run->first <= head->last || run->first - 1 == head->last;
}

static void join_span(struct plan_run *head, const struct plan_run *run)
{
	absorb(head, run);
	if (head->ttl && head->ttl != run->ttl) {
		head->ttl = 0;
		head->joined = true;
	}
	if (run->last > head->last) {
		head->last = run->last;
		head->joined = true;
	}
}

static void sweep_tlbi(struct sweep *s, struct plan_run *head, uint32_t index)
{
	const struct plan_run *run = &s->plan->runs[index];
	bool same = head && head->group == run->group;

	if (s->everything) {
		absorb(s->everything, run);
		return;
	}
	switch (kind_of_group(run->group)) {
	case TLBI_SPAN:
		if (same && touch(head, run))
			join_span(head, run);
		else if (!reached(s, run))
			head_push_address(s, index);
		return;
	case TLBI_PLAIN:
		if (same && run->first <= head->last)
			absorb(head, run);
		else if (!reached(s, run))
			head_push_address(s, index);
		return;
	case TLBI_EVERYTHING:
		s->everything = &s->plan->runs[index];
		head_push(s, index);
		return;
	default:
		if (same && run->first == head->first)
			absorb(head, run);
		else
			head_push(s, index);
		return;
	}
}

static void sweep_cfgi(struct sweep *s, struct plan_run *head, uint32_t index)
{
	const struct plan_run *run = &s->plan->runs[index];

	if (head && head->group == run->group && run->first <= head->last)
		absorb(head, run);
	else if (rank_of_group(run->group) == COMMAND_RANK_CD_TABLE ||
		 !covered(s, group_of_tables(run->group), run))
		head_push(s, index);
}

/* Two halves of a span that is aligned to twice their size. */
static bool are_buddies(const struct plan_run *a, const struct plan_run *b)
{
	return a->log2 == b->log2 && a->last + 1 == b->first &&
	       !(a->first >> a->log2 & 1);
}

/*
 * Spans are powers of two and aligned, so two of them are apart or one is part
 * of the other; what is joined is exactly what its parts were.
 */
static void sweep_atc(struct sweep *s, struct plan_run *head, uint32_t index)
{
	struct plan_run *run = &s->plan->runs[index];

	if (!head || head->group != run->group || head->last < run->first) {
		head_push(s, index);
	} else if (run->last <= head->last) {
		absorb(head, run);
	} else {
		absorb(run, head);
		s->heads[s->count - 1] = index;
	}
	while (s->count > 1) {
		struct plan_run *a = head_at(s, s->count - 2);
		const struct plan_run *b = head_at(s, s->count - 1);

		if (a->group != b->group || !are_buddies(a, b))
			break;
		absorb(a, b);
		a->last = b->last;
		a->log2++;
		a->joined = true;
		s->count--;
	}
}

/* The heads of sorted runs go where the other order was. */
static void sweep(struct sweep *s, const uint32_t *sorted)
{
	uint32_t i;

	s->heads = s->plan->order[sorted == s->plan->order[0]];
	for (i = 0; i < s->plan->run_count; i++) {
		struct plan_run *head =
			s->count ? head_at(s, s->count - 1) : NULL;

		switch (rank_of_group(s->plan->runs[sorted[i]].group)) {
		case COMMAND_RANK_CD_TABLE:
		case COMMAND_RANK_CD:
			sweep_cfgi(s, head, sorted[i]);
			break;
		case COMMAND_RANK_ATC:
			sweep_atc(s, head, sorted[i]);
			break;
		default:
			sweep_tlbi(s, head, sorted[i]);
			break;
		}
	}
}

static void put(struct plan *plan, uint64_t dw0, uint64_t dw1, uint32_t origin)
{
	plan->commands[plan->count] = command_make(dw0, dw1);
	plan->origin[plan->count++] = origin;
}

/*
 * As few ranges as reach the span, which is one unless it is longer than any
 * range is: a length that has no NUM and SCALE is rounded up, by less than a
 * sixteenth.
 */
static void put_ranges(struct plan *plan, const struct plan_run *run,
		       uint64_t dw0, uint64_t dw1)
{
	enum { UNITS_MAX = 32, UNITS_LOG2 = 5 };
	unsigned int tg = tg_of_group(run->group);
	unsigned int granule = granule_log2(tg);
	uint64_t left = ((run->last - run->first) >> granule) + 1;
	uint64_t va = run->first;

	dw0 &= ~DW0_RIL;
	dw1 &= DW1_LEAF;
	for (;;) {
		unsigned int bits = 64 - (unsigned int)__builtin_clzll(
						 (left - 1) | (UNITS_MAX - 1));
		unsigned int scale = bits - UNITS_LOG2;
		uint64_t units;

		if (scale > plan->host.scale_max)
			scale = plan->host.scale_max;
		units = (left + (UINT64_C(1) << scale) - 1) >> scale;
		if (units > UNITS_MAX)
			units = UNITS_MAX;
		/* TG alone is reserved: one granule of any level has none. */
		if (left == 1 && !run->ttl)
			put(plan, dw0, dw1 | va, run->origin);
		else
			put(plan,
			    dw0 | (units - 1) << DW0_NUM_SHIFT |
				    (uint64_t)scale << DW0_SCALE_SHIFT,
			    dw1 | va | (uint64_t)tg << DW1_TG_SHIFT |
				    (uint64_t)run->ttl << DW1_TTL_SHIFT,
			    run->origin);
		if (units << scale >= left)
			break;
		va += units << scale << granule;
		left -= units << scale;
	}
}

/* One address in each entry drops it, whatever its size is (4.4.1.1). */
static uint64_t pages_of(const struct plan_run *run)
{
	unsigned int entry = entry_log2(tg_of_group(run->group), run->ttl);

	return ((run->last - run->first) >> entry) + 1;
}

static void put_pages(struct plan *plan, const struct plan_run *run,
		      uint64_t dw0, uint64_t dw1)
{
	uint64_t entry = UINT64_C(1)
			 << entry_log2(tg_of_group(run->group), run->ttl);
	uint64_t va = run->first;
	uint64_t left;

	for (left = pages_of(run); left; left--, va += entry)
		put(plan, dw0 & ~DW0_RIL, (dw1 & DW1_LEAF) | va, run->origin);
}

static void put_head(struct plan *plan, const struct plan_run *head,
		     const struct smmuinv_command *commands)
{
	uint64_t dw0 = command_dw0(&commands[head->source]);
	uint64_t dw1 = command_dw1(&commands[head->source]);
	bool is_atc = rank_of_group(head->group) == COMMAND_RANK_ATC;

	if (!is_atc && !plan->host.ril && dw1 & DW1_TG)
		put_pages(plan, head, dw0, dw1);
	else if (!head->joined)
		put(plan, dw0, dw1, head->origin);
	else if (is_atc)
		put(plan, dw0, head->first | (head->log2 - 12u), head->origin);
	else
		put_ranges(plan, head, dw0, dw1);
}

/* Are there more pages to send than it takes to drop everything? */
static bool too_many_pages(const struct sweep *s)
{
	uint64_t pages = 0;
	uint32_t i;

	for (i = 0; !s->plan->host.ril && i < s->count; i++) {
		const struct plan_run *head = head_at(s, i);
		uint64_t more;

		if (!is_tlbi(head->group) ||
		    kind_of_group(head->group) != TLBI_SPAN)
			continue;
		more = pages_of(head);
		if (more > s->plan->pages_max ||
		    pages + more > s->plan->pages_max)
			return true;
		pages += more;
	}
	return false;
}

/* One command instead of all TLBIs from the head @from on; returns their end.
 */
static uint32_t put_everything(struct plan *plan, const struct sweep *s,
			       uint32_t from)
{
	uint32_t origin = UINT32_MAX;
	uint32_t i;

	for (i = from; i < s->count; i++) {
		const struct plan_run *head = head_at(s, i);

		if (!is_tlbi(head->group))
			break;
		if (head->origin < origin)
			origin = head->origin;
	}
	put(plan, SMMUINV_CMD_TLBI_NH_ALL, 0, origin);
	return i;
}

/* Every head as a command, in their order, which is that of the ranks. */
static void put_heads(struct plan *plan, const struct sweep *s,
		      const struct smmuinv_command *commands)
{
	bool everything = too_many_pages(s);
	unsigned int rank = 0;
	uint32_t i = 0;

	plan->count = 0;
	while (i < s->count) {
		const struct plan_run *head = head_at(s, i);
		bool tlbi = is_tlbi(head->group);
		enum command_rank next = everything && tlbi ?
						 COMMAND_RANK_TABLE :
						 rank_of_group(head->group);

		for (; rank < next; rank++)
			plan->rank_end[rank] = plan->count;
		if (everything && tlbi) {
			i = put_everything(plan, s, i);
		} else {
			put_head(plan, head, commands);
			i++;
		}
	}
	for (; rank < COMMAND_RANKS; rank++)
		plan->rank_end[rank] = plan->count;
}

void smmuinv__plan_fewest(struct plan *plan, const struct plan_window *window)
{
	uint32_t sent = gather(plan, window);
	struct sweep s = { .plan = plan };

	sweep(&s, sort(plan));
	put_heads(plan, &s, window->commands);
	plan->merged = sent > plan->count ? sent - plan->count : 0;
}

/* A range for a host without. */
static void put_written_range(struct plan *plan, const struct operand *c,
			      uint32_t index, uint32_t *left)
{
	struct plan_run run = { .origin = index };
	uint64_t pages;

	run_of_range(&run, c, plan);
	pages = pages_of(&run);
	if (pages > *left) {
		put(plan, SMMUINV_CMD_TLBI_NH_ALL, 0, index);
		return;
	}
	*left -= (uint32_t)pages;
	put_pages(plan, &run, c->dw0, c->dw1);
}

static void put_written(struct plan *plan, const struct plan_window *w,
			uint32_t from, uint32_t end)
{
	uint32_t i;

	for (i = from; i < end; i++) {
		if (w->rules && w->rules[i])
			continue;
		plan->commands[plan->count] = w->commands[i];
		plan->origin[plan->count++] = i;
	}
}

static bool is_range(const struct operand *c)
{
	return RANK_BIT(opcode_rank(c->opcode, false)) & RANKS_TLBI &&
	       tg_of(c) != SMMUINV_TG_ANY;
}

/* There is room for every command and as many pages as there may be. */
void smmuinv__plan_as_written(struct plan *plan,
			      const struct plan_window *window, uint32_t from,
			      uint32_t end, uint32_t *left)
{
	uint32_t i;

	plan->count = 0;
	if (plan->host.ril) {
		put_written(plan, window, from, end);
		return;
	}
	for (i = from; i < end; i++) {
		const struct operand c = operand_of(&window->commands[i]);

		if (window->rules && window->rules[i])
			continue;
		if (is_range(&c))
			put_written_range(plan, &c, i, left);
		else
			put_written(plan, window, i, i + 1);
	}
}
