/* SPDX-License-Identifier: MIT */
/*
 * Random windows: whatever the library makes of them, the modelled caches hold
 * nothing afterwards that the commands one by one would have removed. It sends
 * only what the host's own driver could have written, few commands in few
 * calls, takes little that nothing asked for, and says rightly what is
 * complete.
 */
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <smmuinv/batch.h>
#include <smmuinv/caches.h>

#include "oracle.h"
#include "spec.h"

#define WINDOW_MAX  600u
#define SENT_MAX    4096u
#define CALLS_MAX   1024u
#define ENTRIES     128u
#define PAGES_MAX   64u
#define ASIDS       4u
#define STREAMS     3u
#define ANCHORS     3u
#define PER_MACHINE 8u
#define VIOMMU      7u

/* What the backend was asked for, as far as it has done it. */
struct sent {
	uint32_t count;
	uint32_t call_count;
	uint32_t ends[CALLS_MAX]; /* of each call: where its commands end */
	struct smmuinv_command commands[SENT_MAX];
	uint32_t left; /* so many more are done; then the vIOMMU is gone */
};

/* A virtual SMMU with one of the plans. */
struct machine_plan {
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_batch *batch;
	struct sent sent;
};

/* A guest on a host. */
struct machine {
	struct smmuinv_features guest;
	struct smmuinv_features host;
	bool host_ril;
	uint16_t asids[ASIDS];
	uint8_t shown; /* the one granule that there is, or ANY */
	struct machine_plan plans[2];
};

struct window {
	struct machine *machine;
	uint32_t limit; /* of what is generated */
	uint32_t count;
	struct smmuinv_command raw[WINDOW_MAX];
	struct smmuinv_command commands[WINDOW_MAX]; /* what they mean */
	bool sync[WINDOW_MAX]; /* a CMD_SYNC comes after it */
	bool syncs;            /* there is one */
	/* It may be sent as an NH_VAA, for the order that CMD_SYNCs ask for. */
	bool widened[WINDOW_MAX];
	uint64_t anchors[ANCHORS];
	/* Equal caches: as it should be, and as it is. */
	struct smmuinv_caches *wanted;
	struct smmuinv_caches *planned;
	struct smmuinv_cache_entry entries[ENTRIES];
	/* Of the last flush. */
	const struct sent *sent;
	struct smmuinv_result result;
	bool all; /* everything may have gone, and why is known */
};

static uint64_t get(const struct smmuinv_command *command,
		    enum smmuinv_field field)
{
	const uint64_t dw[2] = { test_dw0(command), test_dw1(command) };

	return spec_field_get(dw, field);
}

static uint8_t opcode_of(const struct smmuinv_command *command)
{
	return (uint8_t)get(command, SMMUINV_FIELD_OPCODE);
}

static bool is_by_address(const struct smmuinv_command *command)
{
	return opcode_of(command) == SMMUINV_CMD_TLBI_NH_VA ||
	       opcode_of(command) == SMMUINV_CMD_TLBI_NH_VAA;
}

static bool is_cfgi(const struct smmuinv_command *command)
{
	return opcode_of(command) == SMMUINV_CMD_CFGI_CD ||
	       opcode_of(command) == SMMUINV_CMD_CFGI_CD_ALL;
}

static bool is_atc_inv(const struct smmuinv_command *command)
{
	return opcode_of(command) == SMMUINV_CMD_ATC_INV;
}

/* log2 of what an entry at the level maps (4.4.1.1). */
static unsigned int entry_log2(unsigned int tg, unsigned int level)
{
	/* One table has a granule's worth of descriptors of eight bytes. */
	static const unsigned int granule[] = { 0, 12, 14, 16 };

	return granule[tg] + (3 - level) * (granule[tg] - 3);
}

/* Where a TLBI by address is sure to reach: its first and its last byte. */
struct reach {
	uint64_t first;
	uint64_t last;
};

static struct reach reach_of(const struct smmuinv_command *command)
{
	unsigned int tg = (unsigned int)get(command, SMMUINV_FIELD_TG);
	uint64_t va = get(command, SMMUINV_FIELD_VA);
	uint64_t units = get(command, SMMUINV_FIELD_NUM) + 1;
	uint64_t scale = get(command, SMMUINV_FIELD_SCALE);
	uint64_t length = units << (scale + entry_log2(tg, 3));
	uint64_t half_end = va | UINT64_MAX >> 1;

	if (!tg)
		return (struct reach){ va, va };
	if (length - 1 > half_end - va)
		return (struct reach){ va, half_end };
	return (struct reach){ va, va + (length - 1) };
}

/*
 * Machines
 */

static int write_down(void *context, uint32_t viommu_id,
		      const struct smmuinv_command *commands, uint32_t *count)
{
	struct sent *s = context;
	uint32_t n = *count < s->left ? *count : s->left;
	bool gone = n < *count;

	assert_int_equal(viommu_id, VIOMMU);
	assert_true(n <= SENT_MAX - s->count && s->call_count < CALLS_MAX);
	memcpy(&s->commands[s->count], commands, n * sizeof(*commands));
	s->count += n;
	s->left -= n;
	s->ends[s->call_count++] = s->count;
	*count = n;
	return gone ? -ENOENT : 0;
}

static void plug(struct smmuinv_vsmmu *vsmmu, uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.vdevice_id = 100 + vsid,
	};

	assert_int_equal(smmuinv_vsmmu_add_stream(vsmmu, &params), 0);
	assert_int_equal(smmuinv_vsmmu_set_ats(vsmmu, vsid, true), 0);
}

static void machine_plan_open(struct machine *m, uint32_t plan)
{
	struct machine_plan *p = &m->plans[plan];
	const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.invalidate = write_down,
	};
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.viommu_id = VIOMMU,
		.guest = m->guest,
		.host = m->host,
		.plan = plan,
		.pages_max = PAGES_MAX,
	};
	uint32_t i;

	assert_int_equal(smmuinv_backend_new(&ops, &p->sent, &p->backend), 0);
	params.backend = p->backend;
	assert_int_equal(smmuinv_vsmmu_new(&params, &p->vsmmu, NULL), 0);
	assert_int_equal(smmuinv_batch_new(p->vsmmu, 2 * WINDOW_MAX, &p->batch),
			 0);
	for (i = 0; i < STREAMS; i++)
		plug(p->vsmmu, i);
}

static void machine_close(struct machine *m)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(m->plans); i++) {
		smmuinv_batch_free(m->plans[i].batch);
		smmuinv_vsmmu_free(m->plans[i].vsmmu);
		smmuinv_backend_free(m->plans[i].backend);
	}
}

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

static void choose_asids(struct machine *m, bool asid16)
{
	uint16_t asid = (uint16_t)(2 + test_random_below(250));

	m->asids[1] = asid;
	m->asids[2] = asid ^ 1;
	m->asids[3] = asid16 ? asid | 0x8000 : 255;
}

static void machine_open(struct machine *m)
{
	bool asid16 = test_chance(80);
	bool ds = test_chance(40);

	m->guest = test_features_full();
	m->host = test_features_full();
	m->shown = SMMUINV_TG_ANY;
	if (test_chance(35)) {
		m->shown = random_tg();
		show(&m->guest, 1u << (m->shown - 1));
	}
	m->host_ril = test_chance(70);
	spec_feature_set(&m->host, SMMUINV_FEATURE_RIL, m->host_ril);
	spec_feature_set(&m->guest, SMMUINV_FEATURE_RIL, test_chance(50));
	spec_feature_set(&m->host, SMMUINV_FEATURE_DS, ds);
	spec_feature_set(&m->guest, SMMUINV_FEATURE_DS,
			 ds && m->shown != SMMUINV_TG_64K);
	spec_feature_set(&m->guest, SMMUINV_FEATURE_ASID16, asid16);
	spec_feature_set(&m->guest, SMMUINV_FEATURE_SSIDSIZE,
			 test_chance(80) ? 20 : 0);
	choose_asids(m, asid16);
	machine_plan_open(m, SMMUINV_PLAN_MERGED);
	machine_plan_open(m, SMMUINV_PLAN_AS_WRITTEN);
}

/*
 * Windows
 */

/*
 * A command means what its canonical form says, on an SMMU as the guest's.
 * Those that are not forwarded do not get into the window.
 */
static void add(struct window *w, uint64_t dw0, uint64_t dw1)
{
	const struct smmuinv_features *guest = &w->machine->guest;
	const struct smmuinv_command raw = test_command(dw0, dw1);
	struct smmuinv_command *meaning = &w->commands[w->count];

	if (w->count == w->limit ||
	    oracle_judge(&raw, guest, guest, meaning) != SMMUINV_FORWARD)
		return;
	if ((is_cfgi(meaning) || is_atc_inv(meaning)) &&
	    get(meaning, SMMUINV_FIELD_STREAMID) >= STREAMS)
		return;
	w->raw[w->count] = raw;
	w->sync[w->count] = w->syncs && test_chance(15);
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
	unsigned int log2 = entry_log2((unsigned int)tg, 3);
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
	unsigned int log2 =
		entry_log2((unsigned int)tg, ttl ? (unsigned int)ttl : 3);
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

#define ALL_TABLES 0x10000
#define NO_TABLES  (-1)

/* The ASID whose tables it reaches, or one of these. */
static int tables_of(const struct smmuinv_command *c)
{
	if (is_cfgi(c) || is_atc_inv(c) ||
	    (is_by_address(c) && get(c, SMMUINV_FIELD_LEAF)))
		return NO_TABLES;
	if (opcode_of(c) == SMMUINV_CMD_TLBI_NH_VA ||
	    opcode_of(c) == SMMUINV_CMD_TLBI_NH_ASID)
		return (int)get(c, SMMUINV_FIELD_ASID);
	return ALL_TABLES;
}

/*
 * A global leaf can be made from any ASID's tables. So an NH_VA that reaches
 * tables may become an NH_VAA if a CMD_SYNC comes between it and an earlier
 * command that reaches tables of another ASID.
 */
static void find_widened(struct window *w)
{
	uint32_t before = 0; /* so many have a CMD_SYNC after them */
	uint32_t i, k;

	for (i = 0; i < w->count; i++) {
		int own = tables_of(&w->commands[i]);

		if (i && w->sync[i - 1])
			before = i;
		w->widened[i] = false;
		if (opcode_of(&w->commands[i]) != SMMUINV_CMD_TLBI_NH_VA ||
		    own == NO_TABLES)
			continue;
		for (k = 0; k < before && !w->widened[i]; k++) {
			int other = tables_of(&w->commands[k]);

			w->widened[i] = other != NO_TABLES && other != own;
		}
	}
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
	w->syncs = test_chance(50);
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
	find_widened(w);
}

/*
 * Caches
 */

/* At the ends of a span, just outside, somewhere inside, or a little after. */
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
	uint64_t tg = is_by_address(c) ? get(c, SMMUINV_FIELD_TG) : 0;
	uint64_t point = is_by_address(c) ? point_near(reach_of(c)) :
					    random_address(w, 12);
	unsigned int log2;

	e->kind = test_chance(70) ? SMMUINV_CACHED_LEAF : SMMUINV_CACHED_TABLE;
	e->global = test_chance(25);
	e->asid = test_chance(60) ? (uint16_t)get(c, SMMUINV_FIELD_ASID) :
				    m->asids[test_random_below(ASIDS)];
	e->tg = tg && test_chance(70) ? (uint8_t)tg : random_tg();
	if (m->shown)
		e->tg = m->shown;
	e->level = (uint8_t)(e->kind == SMMUINV_CACHED_LEAF && test_chance(50) ?
				     3 :
				     1 + test_random_below(2));
	log2 = entry_log2(e->tg, e->level);
	e->length = UINT64_C(1) << log2;
	e->address = point >> log2 << log2;
}

static void fill_atc(struct smmuinv_cache_entry *e,
		     const struct smmuinv_command *c)
{
	uint64_t size = get(c, SMMUINV_FIELD_ATC_SIZE);
	uint64_t rest = size < 52 ? (UINT64_C(4096) << size) - 1 : UINT64_MAX;
	uint64_t first = get(c, SMMUINV_FIELD_ADDR) & ~rest;
	uint64_t point = point_near((struct reach){ first, first | rest });

	e->kind = SMMUINV_CACHED_ATC;
	e->length = UINT64_C(4096) << (test_chance(80) ? 0 : 9);
	e->address = point & ~(e->length - 1);
	e->ssv = test_chance(90) ? get(c, SMMUINV_FIELD_SSV) : test_chance(50);
	if (e->ssv)
		e->ssid = (uint32_t)(test_chance(70) ?
					     get(c, SMMUINV_FIELD_SUBSTREAMID) :
					     test_random_below(4));
}

static void fill_cd(struct smmuinv_cache_entry *e,
		    const struct smmuinv_command *c)
{
	e->kind = test_chance(60) ? SMMUINV_CACHED_CD : SMMUINV_CACHED_L1CD;
	e->ssid =
		(uint32_t)(test_chance(70) ? get(c, SMMUINV_FIELD_SUBSTREAMID) :
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
	if (!is_cfgi(c) && !is_atc_inv(c)) {
		fill_tlb(w, e, c);
		return;
	}
	e->sid = (uint32_t)(test_chance(90) ? get(c, SMMUINV_FIELD_STREAMID) :
					      test_random_below(STREAMS));
	if (is_atc_inv(c))
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
	const struct sent *s = w->sent;
	uint32_t call = 0;
	uint32_t i;

	print_error("%s\n", what);
	for (i = 0; i < w->count && i < 50; i++)
		print_error("  guest %u %s%s\n", i, test_text(&w->commands[i]),
			    w->sync[i] ? "; CMD_SYNC" : "");
	for (i = 0; i < s->count && i < 50; i++) {
		while (i == s->ends[call])
			call++;
		print_error("  call %u %s\n", call, test_text(&s->commands[i]));
	}
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
	struct reach r = reach_of(c);
	unsigned int tg = (unsigned int)get(c, SMMUINV_FIELD_TG);
	uint64_t rest;

	if (!tg && w->machine->host_ril)
		tg = w->machine->shown;
	if (!tg)
		return r;
	rest = (UINT64_C(1) << entry_log2(tg, 3)) - 1;
	return (struct reach){ r.first & ~rest, r.last | rest };
}

/* Whom it reaches, and whether tables too. */
static bool concerns(const struct smmuinv_command *c, bool widened,
		     const struct smmuinv_cache_entry *e)
{
	if (!is_by_address(c) ||
	    (e->kind == SMMUINV_CACHED_TABLE && get(c, SMMUINV_FIELD_LEAF)))
		return false;
	return opcode_of(c) == SMMUINV_CMD_TLBI_NH_VAA || e->global ||
	       get(c, SMMUINV_FIELD_ASID) == e->asid || widened;
}

/* Of the range that took it, how much it may be longer than what was asked. */
static uint64_t slack(const struct window *w,
		      const struct smmuinv_cache_entry *e, struct reach asked)
{
	uint64_t most = 0;
	uint32_t i;

	for (i = 0; w->machine->host_ril && i < w->sent->count; i++) {
		const struct smmuinv_command *h = &w->sent->commands[i];
		struct reach r;

		if (!concerns(h, false, e))
			continue;
		r = reach_of(h);
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
	uint64_t tg = get(c, SMMUINV_FIELD_TG);

	return !tg || tg == e->tg || !w->machine->host_ril ||
	       (get(c, SMMUINV_FIELD_TTL) && !get(c, SMMUINV_FIELD_NUM) &&
		!get(c, SMMUINV_FIELD_SCALE));
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
	uint64_t pages = 0;
	uint32_t i;

	for (i = 0; i < w->count; i++) {
		const struct smmuinv_command *c = &w->commands[i];
		struct reach r = reach_of(c);

		if (is_by_address(c) && get(c, SMMUINV_FIELD_TG))
			pages += ((r.last - r.first) >> 12) + 2;
	}
	if (w->machine->host_ril || pages <= PAGES_MAX)
		return false;
	for (i = 0; i < w->sent->count; i++) {
		if (opcode_of(&w->sent->commands[i]) == SMMUINV_CMD_TLBI_NH_ALL)
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

		if (concerns(c, w->widened[i], e) &&
		    granule_is_right(w, c, e) && is_close(w, c, e))
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
 * What is sent
 */

/* Could the host's own driver have written it, just so? */
static bool is_legal(const struct window *w,
		     const struct smmuinv_command *command)
{
	const struct smmuinv_features *host = &w->machine->host;
	struct smmuinv_command canonical;

	return oracle_judge(command, host, host, &canonical) ==
		       SMMUINV_FORWARD &&
	       test_command_equal(&canonical, command);
}

static void assert_it_may_be_sent(const struct window *w)
{
	const struct sent *s = w->sent;
	uint32_t call = 0;
	uint32_t i;

	for (i = 0; i < s->count; i++) {
		const struct smmuinv_command *h = &s->commands[i];
		bool first = i == s->ends[call];

		call += first;
		if (!is_legal(w, h)) {
			complain(w, "a host could not have written it");
			fail_msg("%s", test_text(h));
		}
		if (i && !first && is_atc_inv(h) != is_atc_inv(h - 1)) {
			complain(w, "an ATC_INV with others in a call");
			fail();
		}
	}
}

static bool has_ranges(const struct window *w)
{
	uint32_t i;

	for (i = 0; i < w->count; i++) {
		if (is_by_address(&w->commands[i]) &&
		    get(&w->commands[i], SMMUINV_FIELD_TG))
			return true;
	}
	return false;
}

/* How many calls it takes as written: ATC_INVs and others are apart, too. */
static uint32_t calls_as_written(const struct window *w)
{
	uint32_t calls = 1;
	uint32_t i;

	for (i = 1; i < w->count; i++)
		calls += w->sync[i - 1] || is_atc_inv(&w->commands[i - 1]) !=
						   is_atc_inv(&w->commands[i]);
	return calls;
}

/*
 * Of level-1 CD descriptors, CDs, tables and leaves each may have to be done
 * before the next. Only ATC_INVs are apart without a CMD_SYNC, too.
 */
static uint32_t most_calls(const struct window *w, uint32_t plan)
{
	if (plan == SMMUINV_PLAN_AS_WRITTEN)
		return calls_as_written(w);
	return w->syncs ? 5 : 2;
}

/* Only a host without ranges may need more commands, and only for ranges. */
static void assert_it_costs_no_more(const struct window *w, uint32_t plan)
{
	uint32_t most = w->count;

	if (!w->machine->host_ril && has_ranges(w))
		most += PAGES_MAX;
	if (w->sent->count > most) {
		complain(w, "more commands than the guest's");
		fail();
	}
	if (w->sent->call_count > most_calls(w, plan)) {
		complain(w, "more calls than can be needed");
		fail();
	}
}

static uint32_t syncs_of(const struct window *w)
{
	uint32_t syncs = 0;
	uint32_t i;

	for (i = 0; i < w->count; i++)
		syncs += w->sync[i];
	return syncs;
}

/* Of what is complete, how many are commands of the window, not CMD_SYNCs. */
static uint32_t complete_of(const struct window *w)
{
	uint32_t left = w->result.completed;
	uint32_t i;

	for (i = 0; i < w->count && left; i++)
		left -= left < 1u + w->sync[i] ? left : 1u + w->sync[i];
	return i;
}

/* The host executes @most commands, and then the vIOMMU is gone. */
static int flush(struct window *w, uint32_t plan, uint32_t most)
{
	struct machine_plan *p = &w->machine->plans[plan];
	uint32_t i;
	int rc;

	p->sent.count = 0;
	p->sent.call_count = 0;
	p->sent.left = most;
	for (i = 0; i < w->count; i++) {
		assert_int_equal(smmuinv_batch_add(p->batch, &w->raw[i], NULL),
				 SMMUINV_FORWARD);
		if (w->sync[i])
			assert_int_equal(smmuinv_batch_sync(p->batch), 0);
	}
	w->sent = &p->sent;
	w->result.size = sizeof(w->result);
	rc = smmuinv_batch_flush(p->batch, &w->result);
	smmuinv_batch_clear(p->batch);
	execute(w->planned, p->sent.commands, p->sent.count);
	return rc;
}

static void check_plan(struct window *w, uint32_t plan, const char *left)
{
	smmuinv_caches_refill(w->planned);
	assert_int_equal(flush(w, plan, UINT32_MAX), 0);
	assert_int_equal(w->result.completed, w->count + syncs_of(w));
	assert_int_equal(w->result.forwarded, w->count);
	assert_int_equal(w->result.ioctls, w->sent->call_count);
	assert_int_equal(w->result.host_commands, w->sent->count);
	assert_nothing_is_left(w, left);
	assert_it_may_be_sent(w);
	assert_it_costs_no_more(w, plan);
	w->all = drops_all(w);
	assert_little_else_went(w);
}

/* Return: how many are complete when only some of what is sent was executed. */
static uint32_t check_what_is_complete(struct window *w, uint32_t plan)
{
	uint32_t sent = w->sent->count;
	uint32_t done = (uint32_t)test_random_below(sent);

	smmuinv_caches_refill(w->wanted);
	smmuinv_caches_refill(w->planned);
	assert_int_equal(flush(w, plan, done), -ENOENT);
	assert_true(complete_of(w) < w->count);
	execute(w->wanted, w->commands, complete_of(w));
	assert_nothing_is_left(w, "not complete although said to be");
	return complete_of(w);
}

static uint32_t check_window(struct window *w)
{
	uint32_t complete;

	fill_caches(w);
	execute(w->wanted, w->commands, w->count);
	if (test_chance(20))
		check_plan(w, SMMUINV_PLAN_AS_WRITTEN,
			   "left by what was written");
	check_plan(w, SMMUINV_PLAN_MERGED, "left by the plan");
	complete = check_what_is_complete(w, SMMUINV_PLAN_MERGED);
	smmuinv_caches_free(w->planned);
	smmuinv_caches_free(w->wanted);
	return complete;
}

static void
a_plan_leaves_nothing_that_the_commands_would_have_removed(void **state)
{
	size_t left = test_iterations(2000000);
	static struct machine m;
	static struct window w;
	uint64_t complete = 0;
	unsigned int i;

	(void)state;
	while (left) {
		machine_open(&m);
		for (i = 0; left && i < PER_MACHINE; i++) {
			generate(&w, &m);
			complete += check_window(&w);
			left -= left < w.count ? left : w.count;
		}
		machine_close(&m);
	}
	/* Otherwise nothing has been said of what is complete. */
	assert_true(complete > 0);
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
