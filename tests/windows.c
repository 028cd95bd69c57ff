/* SPDX-License-Identifier: MIT */
/*
 * Random windows: whatever the plan makes of them, the modelled caches hold
 * nothing afterwards that the commands one by one would have removed. And it
 * costs no more commands, takes little that nobody asked for, keeps the order
 * of the ranks, and knows for which of the guest's commands each one stands.
 */
#include "planner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"
#include "spec.h"

#define WINDOW_MAX  600u
#define ENTRIES     128u
#define PAGES_MAX   64u
#define ASIDS       4u
#define STREAMS     3u
#define ANCHORS     3u
#define PER_MACHINE 8u

/* A guest on a host, and what is known of its tables. */
struct machine {
	struct planner planner;
	bool host_ril;
	uint16_t asids[ASIDS];
	uint8_t shown; /* the one granule that there is, or ANY */
	/* The granules that an ASID's CDs name in each half, 1 << TG. */
	uint8_t noted[ASIDS][2];
};

struct window {
	struct machine *machine;
	uint32_t limit; /* of what is generated */
	uint32_t count;
	struct smmuinv_command commands[WINDOW_MAX];
	uint64_t anchors[ANCHORS];
	/* Equal caches: as it should be, and as it is. */
	struct smmuinv_caches *wanted;
	struct smmuinv_caches *planned;
	struct smmuinv_cache_entry entries[ENTRIES];
	bool all; /* everything may have gone, and why is known */
};

static void show(struct smmuinv_features *f, unsigned int granules)
{
	spec_feature_set(f, SMMUINV_FEATURE_GRAN4K, granules & 1);
	spec_feature_set(f, SMMUINV_FEATURE_GRAN16K, granules >> 1 & 1);
	spec_feature_set(f, SMMUINV_FEATURE_GRAN64K, granules >> 2 & 1);
}

static uint8_t random_tg(void)
{
	return (uint8_t)(1 + test_random_below(3));
}

static void note(struct machine *m, unsigned int asid, uint8_t lower,
		 uint8_t upper)
{
	const uint8_t tg[2] = { lower, upper };
	unsigned int half;

	for (half = 0; half < 2; half++) {
		if (tg[half] != SMMUINV_TG_ANY)
			m->noted[asid][half] |= (uint8_t)(1u << tg[half]);
	}
	planner_note(&m->planner, m->asids[asid], lower, upper);
}

/* No CD is noted, or some are, and now and then they contradict each other. */
static void note_cds(struct machine *m)
{
	uint8_t lower = test_chance(85) ? random_tg() : SMMUINV_TG_ANY;
	uint8_t upper = test_chance(85) ? random_tg() : SMMUINV_TG_ANY;
	unsigned int i;

	if (test_chance(25))
		return;
	for (i = 0; i < ASIDS; i++) {
		if (test_chance(75))
			note(m, i, lower, upper);
	}
	if (test_chance(15))
		note(m, (unsigned int)test_random_below(ASIDS), random_tg(),
		     upper);
}

static void choose_asids(struct machine *m, bool asid16)
{
	uint16_t asid = (uint16_t)(2 + test_random_below(250));

	m->asids[1] = asid;
	m->asids[2] = asid ^ 1;
	m->asids[3] = asid16 ? asid | 0x8000 : 255;
}

static void machine_open(struct machine *m)
{
	struct smmuinv_features guest = test_features_full();
	struct smmuinv_features host = test_features_full();
	bool asid16 = test_chance(80);
	bool ds = test_chance(40);

	memset(m, 0, sizeof(*m));
	if (test_chance(35)) {
		m->shown = random_tg();
		show(&guest, 1u << (m->shown - 1));
	}
	m->host_ril = test_chance(70);
	spec_feature_set(&host, SMMUINV_FEATURE_RIL, m->host_ril);
	spec_feature_set(&guest, SMMUINV_FEATURE_RIL, test_chance(50));
	spec_feature_set(&host, SMMUINV_FEATURE_DS, ds);
	spec_feature_set(&guest, SMMUINV_FEATURE_DS,
			 ds && m->shown != SMMUINV_TG_64K);
	spec_feature_set(&guest, SMMUINV_FEATURE_ASID16, asid16);
	spec_feature_set(&guest, SMMUINV_FEATURE_SSIDSIZE,
			 test_chance(80) ? 20 : 0);
	choose_asids(m, asid16);
	planner_init(&m->planner, &guest, &host, WINDOW_MAX, PAGES_MAX);
	note_cds(m);
}

/* Could the SMMU have made such an entry? Bit 55 says whose tables. */
static bool may_exist(const struct machine *m,
		      const struct smmuinv_cache_entry *e)
{
	uint64_t top = e->address >> 55;
	unsigned int half = top != 0;
	uint8_t all = 0;
	bool known = false;
	unsigned int i;

	if (m->shown != SMMUINV_TG_ANY)
		return e->tg == m->shown;
	if (top && top != 0x1ff)
		return true;
	for (i = 0; i < ASIDS; i++) {
		all |= m->noted[i][half];
		if (m->noted[i][half] && m->asids[i] == e->asid)
			known = true;
	}
	if (all & (all - 1) || !(known || (all && e->global)))
		return true;
	return all == 1u << e->tg;
}

/*
 * Windows
 */

static void add(struct window *w, uint64_t dw0, uint64_t dw1)
{
	const struct smmuinv_command raw = test_command(dw0, dw1);

	if (w->count < w->limit && planner_canonical(&w->machine->planner, &raw,
						     &w->commands[w->count]))
		w->count++;
}

static uint64_t random_asid(const struct window *w)
{
	return w->machine->asids[test_random_below(ASIDS)];
}

/* Where addresses are: in a half, at its ends, at bit 55, or anywhere. */
static uint64_t random_anchor(void)
{
	static const uint64_t edges[] = {
		0,
		UINT64_C(1) << 48,
		UINT64_C(1) << 55,
		UINT64_C(1) << 63,
		UINT64_C(0xff80000000000000),
		UINT64_C(0xffff000000000000),
	};
	uint64_t low = test_random() >> (17 + test_random_below(20));

	switch (test_random_below(8)) {
	case 0:
	case 1:
	case 2:
		return low;
	case 3:
	case 4:
		return low | UINT64_C(0xffff) << 48;
	case 5:
	case 6:
		return edges[test_random_below(ARRAY_SIZE(edges))] -
		       (test_random_below(64) << 12);
	default:
		return test_random();
	}
}

/* Close to an anchor, aligned to 1 << @log2. */
static uint64_t random_address(const struct window *w, unsigned int log2)
{
	uint64_t anchor = w->anchors[test_random_below(ANCHORS)];

	anchor += test_random_below(64) << log2;
	return anchor >> log2 << log2;
}

static uint64_t opcode_and_asid(const struct window *w)
{
	if (test_chance(25))
		return SMMUINV_CMD_TLBI_NH_VAA;
	return SMMUINV_CMD_TLBI_NH_VA | random_asid(w) << 48;
}

/* One after the other, up, down, with holes, or in no order at all. */
static void add_pages(struct window *w)
{
	uint64_t dw0 = opcode_and_asid(w);
	uint64_t tg = random_tg();
	unsigned int log2 = planner_entry_log2((unsigned int)tg, 3);
	uint64_t n = 1 + test_random_below(test_chance(50) ? 8 : WINDOW_MAX);
	uint64_t step = UINT64_C(1) << log2 << (test_chance(15) ? 1 : 0);
	uint64_t va = random_address(w, log2);
	uint64_t dw1 = test_chance(50);
	uint64_t order = test_random_below(4);
	uint64_t i;

	if (test_chance(10)) /* in the middle of a granule */
		va += 4096;
	if (test_chance(20)) { /* TG and the last level; not without RIL */
		dw1 |= tg << 10 | 3 << 8;
		dw0 |= test_chance(50) ? test_random_below(4) << 12 : 0;
	}
	for (i = 0; i < n; i++) {
		uint64_t at = order == 0 ? n - i :
			      order == 1 ? test_random_below(n) :
					   i;

		add(w, dw0, dw1 | ((va + at * step) & ~UINT64_C(0xfff)));
	}
}

static void add_range(struct window *w)
{
	uint64_t dw0 = opcode_and_asid(w);
	uint64_t tg = random_tg();
	uint64_t ttl = test_random_below(4);
	uint64_t scale = test_random_below(test_chance(90) ? 8 : 40);
	uint64_t num = test_random_below(test_chance(50) ? 4 : 32);
	unsigned int log2 = planner_entry_log2((unsigned int)tg,
					       ttl ? (unsigned int)ttl : 3);
	uint64_t va = random_address(w, log2);

	if (test_chance(10)) /* UNPREDICTABLE (4.4.1.1) */
		va += test_random() & UINT64_C(0x3ffff000);
	if (test_chance(30))
		scale = 0;
	if (ttl && test_chance(20))
		num = 0;
	add(w, dw0 | num << 12 | scale << 20,
	    va | ttl << 8 | tg << 10 | test_chance(50));
}

static void add_ranges(struct window *w)
{
	uint64_t n = 1 + test_random_below(12);

	while (n--)
		add_range(w);
}

static void add_again(struct window *w)
{
	uint64_t n = test_random_below(16);

	while (w->count && n--) {
		const struct smmuinv_command *c =
			&w->commands[test_random_below(w->count)];
		uint64_t dw1 = test_dw1(c);

		/* The same page with another leaf, perhaps. */
		if (is_by_address(c) && test_chance(50))
			dw1 ^= 1;
		add(w, test_dw0(c), dw1);
	}
}

static void add_wide(struct window *w)
{
	if (test_chance(10))
		add(w, SMMUINV_CMD_TLBI_NH_ALL, 0);
	if (test_chance(5))
		add(w, SMMUINV_CMD_TLBI_NSNH_ALL, 0);
	add(w, SMMUINV_CMD_TLBI_NH_ASID | random_asid(w) << 48, 0);
}

static void add_cfgi(struct window *w)
{
	uint64_t n = 1 + test_random_below(6);

	while (n--) {
		uint64_t sid = test_random_below(STREAMS) << 32;
		uint64_t ssid = test_random_below(5) << 12;

		if (test_chance(10))
			add(w, SMMUINV_CMD_CFGI_CD_ALL | sid, 0);
		else
			add(w, SMMUINV_CMD_CFGI_CD | sid | ssid,
			    test_chance(50));
	}
}

static void add_atc(struct window *w)
{
	uint64_t n = 1 + test_random_below(24);
	uint64_t who = test_random_below(STREAMS) << 32 |
		       (uint64_t)test_chance(50) << 11 |
		       (uint64_t)test_chance(20) << 9 |
		       test_random_below(3) << 12;
	uint64_t va = random_address(w, 12);

	while (n--) {
		uint64_t log2 = test_random_below(test_chance(95) ? 4 : 53);
		uint64_t page = va + (test_random_below(32) << 12);

		add(w, SMMUINV_CMD_ATC_INV | who, page >> 12 << 12 | log2);
	}
}

static void add_anything(struct window *w)
{
	const struct smmuinv_command c = oracle_random_command();

	add(w, test_dw0(&c), test_dw1(&c));
}

static void generate(struct window *w, struct machine *m)
{
	static void (*const shapes[])(struct window * w) = {
		add_pages,  add_pages, add_pages, add_pages, add_ranges,
		add_ranges, add_again, add_again, add_cfgi,  add_atc,
	};
	static const uint32_t sizes[] = { 8, 8, 8, 64, 64, 64, WINDOW_MAX };
	unsigned int i;

	w->machine = m;
	w->count = 0;
	w->limit = 1 + (uint32_t)test_random_below(
			       sizes[test_random_below(ARRAY_SIZE(sizes))]);
	for (i = 0; i < ANCHORS; i++)
		w->anchors[i] =
			i && test_chance(50) ? w->anchors[0] : random_anchor();
	while (w->count < w->limit) {
		if (test_chance(5))
			add_wide(w);
		else if (test_chance(5))
			add_anything(w);
		else
			shapes[test_random_below(ARRAY_SIZE(shapes))](w);
	}
}

/*
 * Caches
 */

/* At the ends of a span, just outside, somewhere inside, or a little behind. */
static uint64_t point_near(struct reach r)
{
	uint64_t length = r.last - r.first;

	switch (test_random_below(7)) {
	case 0:
		return r.first;
	case 1:
		return r.last;
	case 2:
		return r.first - 1;
	case 3:
		return r.last + 1;
	case 4:
		return r.first + (length ? test_random_below(length) : 0);
	case 5:
		return r.last + 1 + length / 16;
	default:
		return r.last + (UINT64_C(1) << test_random_below(24));
	}
}

static void fill_tlb(const struct window *w, struct smmuinv_cache_entry *e,
		     const struct smmuinv_command *c)
{
	const struct machine *m = w->machine;
	uint64_t tg = is_by_address(c) ? planner_get(c, SMMUINV_FIELD_TG) : 0;
	uint64_t point = is_by_address(c) ? point_near(planner_reach(c)) :
					    random_address(w, 12);
	unsigned int log2;

	e->kind = test_chance(70) ? SMMUINV_CACHED_LEAF : SMMUINV_CACHED_TABLE;
	e->global = test_chance(25);
	e->asid = test_chance(60) ?
			  (uint16_t)planner_get(c, SMMUINV_FIELD_ASID) :
			  m->asids[test_random_below(ASIDS)];
	e->tg = tg && test_chance(70) ? (uint8_t)tg : random_tg();
	if (m->shown)
		e->tg = m->shown;
	e->level = (uint8_t)(e->kind == SMMUINV_CACHED_LEAF && test_chance(50) ?
				     3 :
				     1 + test_random_below(2));
	do {
		log2 = planner_entry_log2(e->tg, e->level);
		e->length = UINT64_C(1) << log2;
		e->address = point >> log2 << log2;
		if (may_exist(m, e))
			return;
		e->tg = e->tg % 3 + 1;
	} while (true);
}

static void fill_atc(struct smmuinv_cache_entry *e,
		     const struct smmuinv_command *c)
{
	uint64_t size = planner_get(c, SMMUINV_FIELD_ATC_SIZE);
	uint64_t rest = size < 52 ? (UINT64_C(4096) << size) - 1 : UINT64_MAX;
	uint64_t first = planner_get(c, SMMUINV_FIELD_ADDR) & ~rest;
	uint64_t point = point_near((struct reach){ first, first | rest });

	e->kind = SMMUINV_CACHED_ATC;
	e->length = UINT64_C(4096) << (test_chance(80) ? 0 : 9);
	e->address = point & ~(e->length - 1);
	e->ssv = test_chance(90) ? planner_get(c, SMMUINV_FIELD_SSV) :
				   test_chance(50);
	if (e->ssv)
		e->ssid =
			(uint32_t)(test_chance(70) ?
					   planner_get(
						   c,
						   SMMUINV_FIELD_SUBSTREAMID) :
					   test_random_below(4));
}

static void fill_cd(struct smmuinv_cache_entry *e,
		    const struct smmuinv_command *c)
{
	e->kind = test_chance(60) ? SMMUINV_CACHED_CD : SMMUINV_CACHED_L1CD;
	e->ssid = (uint32_t)(test_chance(70) ?
				     planner_get(c, SMMUINV_FIELD_SUBSTREAMID) :
				     test_random_below(5));
	if (e->kind == SMMUINV_CACHED_CD)
		return;
	e->ssids = test_chance(50) ? 1 : 64;
	e->ssid &= ~(e->ssids - 1);
}

static const struct smmuinv_command *any_command(const struct window *w)
{
	return &w->commands[test_random_below(w->count)];
}

/* Of a few commands the one with the highest address: where a range may end. */
static const struct smmuinv_command *a_high_command(const struct window *w)
{
	const struct smmuinv_command *best = any_command(w);
	unsigned int i;

	for (i = 0; i < 12; i++) {
		const struct smmuinv_command *c = any_command(w);

		if (test_dw1(c) > test_dw1(best))
			best = c;
	}
	return best;
}

/* Something that one of the commands names, or just does not. */
static void fill(const struct window *w, struct smmuinv_cache_entry *e)
{
	const struct smmuinv_command *c =
		test_chance(15) ? a_high_command(w) : any_command(w);

	*e = (struct smmuinv_cache_entry){ .size = sizeof(*e) };
	if (RANK_BIT(command_rank(c)) & RANKS_TLBI) {
		fill_tlb(w, e, c);
		return;
	}
	e->sid = (uint32_t)(test_chance(90) ?
				    planner_get(c, SMMUINV_FIELD_STREAMID) :
				    test_random_below(STREAMS));
	if (smmuinv_command_opcode(c) == SMMUINV_CMD_ATC_INV)
		fill_atc(e, c);
	else
		fill_cd(e, c);
}

static void fill_caches(struct window *w)
{
	unsigned int i;

	assert_int_equal(smmuinv_caches_new(ENTRIES, &w->wanted), 0);
	assert_int_equal(smmuinv_caches_new(ENTRIES, &w->planned), 0);
	for (i = 0; i < ENTRIES; i++) {
		fill(w, &w->entries[i]);
		assert_int_equal(
			smmuinv_caches_insert(w->wanted, &w->entries[i]), i);
		assert_int_equal(
			smmuinv_caches_insert(w->planned, &w->entries[i]), i);
	}
}

static void execute(struct smmuinv_caches *caches,
		    const struct smmuinv_command *commands, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		smmuinv_caches_execute(caches, &commands[i]);
}

static void complain(const struct window *w, const char *what)
{
	const struct plan *plan = &w->machine->planner.plan;
	uint32_t i;

	print_error("%s\n", what);
	for (i = 0; i < w->count && i < 50; i++)
		print_error("  guest %u %s\n", i, test_text(&w->commands[i]));
	for (i = 0; i < plan->count && i < 50; i++)
		print_error("  host %u (of %u) %s\n", i, plan->origin[i],
			    test_text(&plan->commands[i]));
}

static void complain_of_entry(const struct window *w, const char *what,
			      const struct smmuinv_cache_entry *e)
{
	complain(w, what);
	fail_msg("%s: kind %u asid %x%s tg %u level %u %" PRIx64 "+%" PRIx64
		 " sid %x ssid %x",
		 what, e->kind, e->asid, e->global ? " global" : "", e->tg,
		 e->level, e->address, e->length, e->sid, e->ssid);
}

static void assert_nothing_is_left(const struct window *w, const char *what)
{
	int stale = smmuinv_caches_stale(w->planned, w->wanted);

	if (stale != -ENOENT)
		complain_of_entry(w, what, &w->entries[stale]);
}

/*
 * What went although nobody had asked for it
 */

/* Where the command may reach once it has become part of a range. */
static struct reach widest_reach(const struct window *w,
				 const struct smmuinv_command *c)
{
	const struct planner *p = &w->machine->planner;
	struct reach r = planner_reach(c);
	unsigned int tg = (unsigned int)planner_get(c, SMMUINV_FIELD_TG);
	uint64_t rest;

	if (!tg && w->machine->host_ril)
		tg = smmuinv_command_opcode(c) == SMMUINV_CMD_TLBI_NH_VA ?
			     smmuinv__granule_of(&p->granules,
						 (uint16_t)planner_get(
							 c, SMMUINV_FIELD_ASID),
						 r.first) :
			     w->machine->shown;
	if (!tg)
		return r;
	rest = (UINT64_C(1) << planner_entry_log2(tg, 3)) - 1;
	return (struct reach){ r.first & ~rest, r.last | rest };
}

/* Whom it reaches, and whether tables too: that is never widened. */
static bool concerns(const struct smmuinv_command *c,
		     const struct smmuinv_cache_entry *e)
{
	if (!is_by_address(c) || (e->kind == SMMUINV_CACHED_TABLE &&
				  planner_get(c, SMMUINV_FIELD_LEAF)))
		return false;
	return smmuinv_command_opcode(c) == SMMUINV_CMD_TLBI_NH_VAA ||
	       e->global || planner_get(c, SMMUINV_FIELD_ASID) == e->asid;
}

/* Of the range that took it, how much it may be longer than what was asked. */
static uint64_t slack(const struct window *w,
		      const struct smmuinv_cache_entry *e, struct reach asked)
{
	const struct plan *plan = &w->machine->planner.plan;
	uint64_t most = 0;
	uint32_t i;

	for (i = 0; w->machine->host_ril && i < plan->count; i++) {
		const struct smmuinv_command *h = &plan->commands[i];
		struct reach r;

		if (!concerns(h, e))
			continue;
		r = planner_reach(h);
		if (r.first <= asked.last && asked.last <= r.last &&
		    (r.last - r.first) / 16 > most)
			most = (r.last - r.first) / 16;
	}
	return most;
}

/* TG is given up only where a single address goes without it. */
static bool granule_is_right(const struct window *w,
			     const struct smmuinv_command *c,
			     const struct smmuinv_cache_entry *e)
{
	uint64_t tg = planner_get(c, SMMUINV_FIELD_TG);

	return !tg || tg == e->tg || !w->machine->host_ril ||
	       (planner_get(c, SMMUINV_FIELD_TTL) &&
		!planner_get(c, SMMUINV_FIELD_NUM) &&
		!planner_get(c, SMMUINV_FIELD_SCALE));
}

static bool is_close(const struct window *w, const struct smmuinv_command *c,
		     const struct smmuinv_cache_entry *e)
{
	struct reach r = widest_reach(w, c);
	uint64_t last = e->address + (e->length - 1);

	if (last < r.first)
		return false;
	return e->address <= r.last || e->address - r.last <= slack(w, e, r);
}

/* NH_ALL for what was no such thing: ranges that would be too many pages. */
static bool drops_all(const struct window *w)
{
	const struct plan *plan = &w->machine->planner.plan;
	uint64_t pages = 0;
	uint32_t i;

	for (i = 0; i < w->count; i++) {
		const struct smmuinv_command *c = &w->commands[i];
		struct reach r = planner_reach(c);

		if (is_by_address(c) && planner_get(c, SMMUINV_FIELD_TG))
			pages += ((r.last - r.first) >> 12) + 2;
	}
	if (w->machine->host_ril || pages <= PAGES_MAX)
		return false;
	for (i = 0; i < plan->count; i++) {
		if (smmuinv_command_opcode(&plan->commands[i]) ==
		    SMMUINV_CMD_TLBI_NH_ALL)
			return true;
	}
	return false;
}

static bool is_excused(const struct window *w,
		       const struct smmuinv_cache_entry *e)
{
	uint32_t i;

	if (e->kind != SMMUINV_CACHED_LEAF && e->kind != SMMUINV_CACHED_TABLE)
		return false;
	if (w->all)
		return true;
	for (i = 0; i < w->count; i++) {
		const struct smmuinv_command *c = &w->commands[i];

		if (concerns(c, e) && granule_is_right(w, c, e) &&
		    is_close(w, c, e))
			return true;
	}
	return false;
}

static void assert_little_else_went(const struct window *w)
{
	unsigned int i;

	for (i = 0; i < ENTRIES; i++) {
		if (!smmuinv_caches_has(w->planned, i) &&
		    smmuinv_caches_has(w->wanted, i) &&
		    !is_excused(w, &w->entries[i]))
			complain_of_entry(w, "nobody asked for this one",
					  &w->entries[i]);
	}
}

/*
 * The plan itself
 */

static void assert_it_is_in_order(const struct window *w)
{
	const struct plan *plan = &w->machine->planner.plan;
	unsigned int rank = 0;
	uint32_t i;

	assert_int_equal(plan->rank_end[COMMAND_RANKS - 1], plan->count);
	for (i = 0; i < plan->count; i++) {
		const struct smmuinv_command *h = &plan->commands[i];

		while (i >= plan->rank_end[rank])
			rank++;
		assert_int_equal(command_rank(h), rank);
		assert_true(plan->origin[i] < w->count);
		if (!planner_legal(&w->machine->planner, h)) {
			complain(w, "a host could not have written it");
			fail_msg("%s", test_text(h));
		}
	}
	for (rank++; rank < COMMAND_RANKS; rank++)
		assert_int_equal(plan->rank_end[rank], plan->count);
}

static uint64_t guest_ranges(const struct window *w)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < w->count; i++)
		n += is_by_address(&w->commands[i]) &&
		     planner_get(&w->commands[i], SMMUINV_FIELD_TG);
	return n;
}

/* Only a host without ranges may need more, and only for ranges. */
static void assert_it_costs_no_more(const struct window *w)
{
	const struct plan *plan = &w->machine->planner.plan;
	uint64_t most = w->count;

	if (plan->count <= most)
		return;
	if (!w->machine->host_ril && guest_ranges(w))
		most += PAGES_MAX;
	if (plan->count > most) {
		complain(w, "more commands than the guest's");
		fail();
	}
}

/* What is done when only the first @done host commands are. */
static void assert_origins_are_right(struct window *w)
{
	const struct plan *plan = &w->machine->planner.plan;
	uint32_t done = (uint32_t)test_random_below((uint64_t)plan->count + 1);
	uint32_t complete = w->count;
	uint32_t i;

	for (i = done; i < plan->count; i++) {
		if (plan->origin[i] < complete)
			complete = plan->origin[i];
	}
	if (!complete)
		return;
	smmuinv_caches_refill(w->wanted);
	smmuinv_caches_refill(w->planned);
	execute(w->wanted, w->commands, complete);
	execute(w->planned, plan->commands, done);
	assert_nothing_is_left(w, "not complete although said to be");
}

/* One by one. */
static void assert_as_written_does_it_too(struct window *w)
{
	const struct plan_window window = {
		.commands = w->commands,
		.count = w->count,
		.granules = &w->machine->planner.granules,
	};
	struct plan *plan = &w->machine->planner.plan;
	uint32_t left = plan->pages_max;
	uint32_t i;

	smmuinv_caches_refill(w->planned);
	smmuinv__plan_as_written(plan, &window, 0, w->count, &left);
	assert_true(plan->count <= plan->room);
	assert_true(plan->count <= w->count + plan->pages_max - left);
	execute(w->planned, plan->commands, plan->count);
	w->all = drops_all(w);
	for (i = 0; i < plan->count; i++) {
		assert_true(plan->origin[i] < w->count);
		assert_true(i == 0 || plan->origin[i] >= plan->origin[i - 1]);
		assert_true(planner_legal(&w->machine->planner,
					  &plan->commands[i]));
	}
	assert_nothing_is_left(w, "left by what was written");
	assert_little_else_went(w);
}

static void check_window(struct window *w)
{
	const struct plan *plan = &w->machine->planner.plan;

	fill_caches(w);
	execute(w->wanted, w->commands, w->count);
	planner_fewest(&w->machine->planner, w->commands, w->count);
	execute(w->planned, plan->commands, plan->count);
	assert_nothing_is_left(w, "left by the plan");
	assert_it_is_in_order(w);
	assert_it_costs_no_more(w);
	w->all = drops_all(w);
	assert_little_else_went(w);
	if (test_chance(20))
		assert_as_written_does_it_too(w);
	else
		assert_origins_are_right(w);
	smmuinv_caches_free(w->planned);
	smmuinv_caches_free(w->wanted);
}

static void
a_plan_leaves_nothing_that_the_commands_would_have_removed(void **state)
{
	size_t left = test_iterations(10000000);
	static struct machine m;
	static struct window w;
	unsigned int i;

	(void)state;
	while (left) {
		machine_open(&m);
		for (i = 0; left && i < PER_MACHINE; i++) {
			generate(&w, &m);
			check_window(&w);
			left -= left < w.count ? left : w.count;
		}
		planner_free(&m.planner);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(a_plan_leaves_nothing_that_the_commands_would_have_removed),
#undef T
	};

	return cmocka_run_group_tests_name("windows", tests, NULL, NULL);
}
