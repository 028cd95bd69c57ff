/* SPDX-License-Identifier: MIT */
/*
 * Every window of a few commands, with every placement of CMD_SYNCs: an entry
 * that is gone after the guest's order is gone after the library's calls. That
 * holds for hardware that orders nothing inside a call, caches as little as it
 * likes, and makes stale entries again from others (see order_model.h).
 *
 * Windows of up to 3 commands; with SMMUINV_TEST_SLOW=1 of up to 4.
 */
#include "support.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <smmuinv/batch.h>

#include "order_model.h"
#include "spec.h"

#define WINDOW_MAX   4u
#define CALLS_MAX    16u
#define COMMANDS_MAX 32u
#define VIOMMU       1u

/* clang-format off */
#define OP(name)     ((uint64_t)SMMUINV_CMD_##name)
#define ASID(a)      ((uint64_t)(a) << 48)
#define SID(s)       ((uint64_t)(s) << 32)
#define SSID(s)      ((uint64_t)(s) << 12)
#define SSV          (UINT64_C(1) << 11)
#define PAGES(n)     ((uint64_t)((n) - 1) << 12)
#define LEAF         UINT64_C(1)
#define TTL(n)       ((uint64_t)(n) << 8)
#define TG4K         (UINT64_C(1) << 10)
#define TG64K        (UINT64_C(3) << 10)
#define VA_A         (OP(TLBI_NH_VA) | ASID(ORDER_A))
#define VA_B         (OP(TLBI_NH_VA) | ASID(ORDER_B))
#define VAA          OP(TLBI_NH_VAA)
#define CD_OF(s, ss) (OP(CFGI_CD) | SID(s) | SSID(ss))
#define ATC_OF(s)    (OP(ATC_INV) | SID(s))

static const uint64_t alphabet[][2] = {
	{ VA_A, ORDER_X },
	{ VA_A, ORDER_X | LEAF },
	{ VA_A, ORDER_Y },
	{ VA_A, ORDER_Y | LEAF },
	{ VA_A, ORDER_Z },
	{ VA_A, ORDER_Z | LEAF },
	{ VA_B, ORDER_X },
	{ VA_B, ORDER_X | LEAF },
	{ VA_B, ORDER_Y },
	{ VA_B, ORDER_Z | LEAF },
	{ VAA, ORDER_X },
	{ VAA, ORDER_X | LEAF },
	{ VAA, ORDER_Y },
	{ VAA, ORDER_Z },
	{ VA_A | PAGES(2), ORDER_X | TG4K | TTL(3) | LEAF },
	{ VA_A | PAGES(2), ORDER_Y | TG4K },
	{ VA_A, ORDER_BLOCK | TG4K | TTL(2) | LEAF },
	{ VA_B, ORDER_X | TG4K | TTL(3) | LEAF },
	{ VA_B, ORDER_BLOCK | TG4K | TTL(2) },
	{ VA_B, ORDER_64K | TG64K | TTL(3) },
	{ VAA | PAGES(2), ORDER_X | TG4K },
	{ OP(TLBI_NH_ASID) | ASID(ORDER_A), 0 },
	{ OP(TLBI_NH_ASID) | ASID(ORDER_B), 0 },
	{ OP(TLBI_NH_ALL), 0 },
	{ OP(TLBI_NSNH_ALL), 0 },
	{ CD_OF(ORDER_FIRST, 0), LEAF },
	{ CD_OF(ORDER_FIRST, 1), 0 },
	{ CD_OF(ORDER_SECOND, 0), LEAF },
	{ OP(CFGI_CD_ALL) | SID(ORDER_FIRST), 0 },
	{ ATC_OF(ORDER_FIRST), ORDER_X },
	{ ATC_OF(ORDER_FIRST) | SSV | SSID(1), ORDER_X | 1 },
	{ ATC_OF(ORDER_FIRST), SMMUINV_ATC_SIZE_ALL },
	{ ATC_OF(ORDER_SECOND), ORDER_X },
};
/* clang-format on */

#define ALPHABET ((unsigned int)ARRAY_SIZE(alphabet))

static struct smmuinv_command letter(unsigned int i)
{
	return test_command(alphabet[i][0], alphabet[i][1]);
}

/*
 * The library over a backend that writes down what it is asked for
 */

struct calls {
	unsigned int count;
	unsigned int ends[CALLS_MAX]; /* of each: where its commands end */
	struct smmuinv_command commands[COMMANDS_MAX];
};

enum fault {
	LEFT,
	MIXED,
	CALLS,
	FAULTS,
};

static const char *const faults[FAULTS] = {
	"an entry is left",
	"an ATC_INV is with others in a call",
	"there are more calls than can be needed",
};

/* A virtual SMMU on a host. */
struct host {
	const char *name;
	bool ril;
	uint32_t plan;
	struct calls calls; /* of the last flush */
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_batch *batch;
	uint64_t ioctls;
	uint64_t faults[FAULTS];
	uint64_t spare; /* calls that could have been one with the next */
};

static unsigned int calls_end(const struct calls *calls)
{
	return calls->count ? calls->ends[calls->count - 1] : 0;
}

static int write_down(void *context, uint32_t viommu_id,
		      const struct smmuinv_command *commands, uint32_t *count)
{
	struct calls *calls = context;
	unsigned int end = calls_end(calls);

	assert_int_equal(viommu_id, VIOMMU);
	assert_true(calls->count < CALLS_MAX);
	assert_true(*count && *count <= COMMANDS_MAX - end);
	memcpy(&calls->commands[end], commands, *count * sizeof(*commands));
	calls->ends[calls->count++] = end + *count;
	return 0;
}

static void plug(struct host *host, uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.viommu_id = VIOMMU,
		.vdevice_id = vsid,
	};

	assert_int_equal(smmuinv_vsmmu_add_stream(host->vsmmu, &params), 0);
	assert_int_equal(smmuinv_vsmmu_set_ats(host->vsmmu, vsid, true), 0);
}

static void host_open(struct host *host, const struct smmuinv_features *guest)
{
	const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.invalidate = write_down,
	};
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.viommu_id = VIOMMU,
		.guest = *guest,
		.host = test_features_full(),
		.plan = host->plan,
	};

	host->ioctls = 0;
	memset(host->faults, 0, sizeof(host->faults));
	host->spare = 0;
	spec_feature_set(&params.host, SMMUINV_FEATURE_RIL, host->ril);
	assert_int_equal(
		smmuinv_backend_new(&ops, &host->calls, &host->backend), 0);
	params.backend = host->backend;
	assert_int_equal(smmuinv_vsmmu_new(&params, &host->vsmmu, NULL), 0);
	assert_int_equal(
		smmuinv_batch_new(host->vsmmu, 2 * WINDOW_MAX, &host->batch),
		0);
	plug(host, ORDER_FIRST);
	plug(host, ORDER_SECOND);
}

static void host_close(struct host *host)
{
	smmuinv_batch_free(host->batch);
	smmuinv_vsmmu_free(host->vsmmu);
	smmuinv_backend_free(host->backend);
}

/*
 * Windows
 */

struct window {
	unsigned int count;
	unsigned int letters[WINDOW_MAX];
	unsigned int syncs; /* bit I: a CMD_SYNC after command I */
};

/* What is between two CMD_SYNCs, or in one call: what each command removes. */
struct groups {
	unsigned int count;
	unsigned int ends[CALLS_MAX];
	order_set removed[COMMANDS_MAX];
};

static order_set left_of(order_set chain, const struct groups *groups)
{
	unsigned int start = 0;
	unsigned int i;

	for (i = 0; chain && i < groups->count; i++) {
		chain = order_left(chain, &groups->removed[start],
				   groups->ends[i] - start);
		start = groups->ends[i];
	}
	return chain;
}

static struct groups groups_of_window(const struct window *w,
				      const order_set *removed)
{
	struct groups groups = { .count = 0 };
	unsigned int i;

	for (i = 0; i < w->count; i++) {
		groups.removed[i] = removed[w->letters[i]];
		if (i + 1 == w->count || w->syncs >> i & 1)
			groups.ends[groups.count++] = i + 1;
	}
	return groups;
}

/* A host's commands are few. */
static order_set removed_on_host(const struct smmuinv_command *command,
				 bool ril)
{
	static struct {
		struct smmuinv_command command;
		order_set removed;
		bool ril;
		bool used;
	} known[4096];
	uint64_t hash = (command->dw[0] * 31 + command->dw[1] + ril) *
			UINT64_C(0x9e3779b97f4a7c15);
	size_t i = hash >> 52;

	while (known[i].used) {
		if (known[i].ril == ril &&
		    test_command_equal(&known[i].command, command))
			return known[i].removed;
		i = (i + 1) % ARRAY_SIZE(known);
	}
	known[i].command = *command;
	known[i].removed = order_removed(command, ril);
	known[i].ril = ril;
	known[i].used = true;
	return known[i].removed;
}

static struct groups groups_of_calls(const struct calls *calls, bool ril)
{
	struct groups groups = { .count = calls->count };
	unsigned int i;

	memcpy(groups.ends, calls->ends, calls->count * sizeof(*calls->ends));
	for (i = 0; i < calls_end(calls); i++)
		groups.removed[i] = removed_on_host(&calls->commands[i], ril);
	return groups;
}

static bool groups_equal(const struct groups *a, const struct groups *b)
{
	return a->count == b->count &&
	       !memcmp(a->ends, b->ends, a->count * sizeof(*a->ends)) &&
	       !memcmp(a->removed, b->removed,
		       a->ends[a->count - 1] * sizeof(*a->removed));
}

static void print_window(const struct window *w)
{
	unsigned int i;

	print_message("The guest wrote\n");
	for (i = 0; i < w->count; i++) {
		const struct smmuinv_command command = letter(w->letters[i]);

		print_message("  %s\n", test_text(&command));
		if (w->syncs >> i & 1)
			print_message("  CMD_SYNC\n");
	}
}

static void print_calls(const struct calls *calls)
{
	unsigned int at = 0;
	unsigned int i;

	for (i = 0; i < calls->count; i++) {
		print_message("Call %u\n", i + 1);
		for (; at < calls->ends[i]; at++)
			print_message("  %s\n",
				      test_text(&calls->commands[at]));
	}
}

static void print_chain(order_set chain)
{
	size_t i;

	print_message("The last of these is left\n");
	for (i = 0; i < order_entries(); i++) {
		if (chain >> i & 1)
			print_message("  %s\n", order_entry_name(i));
	}
}

/*
 * Every window
 */

#define HOSTS 4u

/* A guest on several hosts. */
struct world {
	const char *name;
	bool ril;
	bool granules; /* it is shown all of them, or only 4 KiB */
	struct host hosts[HOSTS];
	order_set removed[ALPHABET]; /* as the guest understands it */
	order_set *chains;
	size_t chain_count;
	order_set *gone; /* those of @chains that the window removes */
	uint64_t windows;
	uint64_t calls; /* as the guest wrote them */
};

static void world_open(struct world *world)
{
	static const struct host hosts[HOSTS] = {
		{ .name = "merged", .ril = true },
		{ .name = "merged, host without RIL" },
		{ .name = "as written",
		  .ril = true,
		  .plan = SMMUINV_PLAN_AS_WRITTEN },
		{ .name = "as written, host without RIL",
		  .plan = SMMUINV_PLAN_AS_WRITTEN },
	};
	struct smmuinv_features guest = test_features_full();
	unsigned int i;

	spec_feature_set(&guest, SMMUINV_FEATURE_RIL, world->ril);
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN16K, world->granules);
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN64K, world->granules);
	memcpy(world->hosts, hosts, sizeof(hosts));
	for (i = 0; i < HOSTS; i++)
		host_open(&world->hosts[i], &guest);
	for (i = 0; i < ALPHABET; i++) {
		const struct smmuinv_command command = letter(i);

		world->removed[i] = order_removed(&command, world->ril);
	}
	world->chain_count =
		order_chains(world->granules ? 0 : order_64k(), &world->chains);
	world->gone = calloc(world->chain_count, sizeof(*world->gone));
	assert_non_null(world->gone);
	world->windows = 0;
	world->calls = 0;
}

static void world_close(struct world *world)
{
	unsigned int i;

	for (i = 0; i < HOSTS; i++)
		host_close(&world->hosts[i]);
	free(world->gone);
	free(world->chains);
}

static void flush(struct host *host, const struct window *w)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	unsigned int i;

	host->calls.count = 0;
	for (i = 0; i < w->count; i++) {
		const struct smmuinv_command command = letter(w->letters[i]);

		assert_int_equal(smmuinv_batch_add(host->batch, &command, NULL),
				 SMMUINV_FORWARD);
		if (w->syncs >> i & 1)
			assert_int_equal(smmuinv_batch_sync(host->batch), 0);
	}
	assert_int_equal(smmuinv_batch_flush(host->batch, &result), 0);
	assert_int_equal(result.forwarded, w->count);
	assert_int_equal(result.ioctls, host->calls.count);
	assert_int_equal(result.host_commands, calls_end(&host->calls));
}

static bool is_atc_inv(const struct smmuinv_command *command)
{
	return (test_dw0(command) & 0xff) == SMMUINV_CMD_ATC_INV;
}

/* They ask devices, and fail in another way. */
static bool atc_invs_are_apart(const struct calls *calls)
{
	unsigned int at = 0;
	unsigned int i;

	for (i = 0; i < calls->count; i++) {
		bool first = is_atc_inv(&calls->commands[at]);

		for (; at < calls->ends[i]; at++) {
			if (is_atc_inv(&calls->commands[at]) != first)
				return false;
		}
	}
	return true;
}

/* As written, a call ends at a CMD_SYNC and before or after ATC_INVs. */
static unsigned int calls_as_written(const struct window *w)
{
	unsigned int calls = 1;
	unsigned int i;

	for (i = 1; i < w->count; i++) {
		const struct smmuinv_command before = letter(w->letters[i - 1]);
		const struct smmuinv_command command = letter(w->letters[i]);

		calls += (w->syncs >> (i - 1) & 1) ||
			 is_atc_inv(&before) != is_atc_inv(&command);
	}
	return calls;
}

/*
 * Merged, commands are sorted in the order in which a walk goes through what
 * they reach (4.3, 4.4, 4.5).
 */
enum sort {
	SORT_L1CD,
	SORT_CD,
	SORT_TABLE,
	SORT_LEAF,
	SORT_ATC,
};

static enum sort sort_of(unsigned int number)
{
	const struct smmuinv_command command = letter(number);
	bool leaf = test_dw1(&command) & LEAF;

	switch (test_dw0(&command) & 0xff) {
	case SMMUINV_CMD_CFGI_CD_ALL:
		return SORT_L1CD;
	case SMMUINV_CMD_CFGI_CD:
		return leaf ? SORT_CD : SORT_L1CD;
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
		return leaf ? SORT_LEAF : SORT_TABLE;
	case SMMUINV_CMD_ATC_INV:
		return SORT_ATC;
	default:
		return SORT_TABLE;
	}
}

/*
 * Is every two that a CMD_SYNC parts in different calls, if a call ends before
 * each sort that is in @ends? Leaves may be merged into tables, so they wait
 * for what these must wait for.
 */
static bool is_parted(const struct window *w, unsigned int ends)
{
	unsigned int a, b;

	for (a = 0; a < w->count; a++) {
		for (b = a + 1; b < w->count; b++) {
			enum sort low = sort_of(w->letters[a]);
			enum sort high = sort_of(w->letters[b]);

			if (!(w->syncs >> a & ((1u << (b - a)) - 1)) ||
			    low >= high)
				continue;
			if (high == SORT_LEAF && low < SORT_TABLE)
				high = SORT_TABLE;
			if (!(ends & ((2u << high) - (2u << low))))
				return false;
		}
	}
	return true;
}

static unsigned int calls_that_end(unsigned int sorts, unsigned int ends)
{
	unsigned int calls = 0;
	bool something = false;
	unsigned int sort;

	for (sort = SORT_L1CD; sort <= SORT_ATC; sort++) {
		if (ends >> sort & 1) {
			calls += something;
			something = false;
		}
		something = something || sorts >> sort & 1;
	}
	return calls + something;
}

/* Every way to end calls is tried. ATC_INVs always have a call of their own. */
static unsigned int calls_merged(const struct window *w)
{
	unsigned int fewest = UINT32_MAX;
	unsigned int sorts = 0;
	unsigned int ends;
	unsigned int i;

	for (i = 0; i < w->count; i++)
		sorts |= 1u << sort_of(w->letters[i]);
	for (ends = 1u << SORT_ATC; ends < 2u << SORT_ATC; ends++) {
		unsigned int calls = calls_that_end(sorts, ends);

		if (calls < fewest && is_parted(w, ends))
			fewest = calls;
	}
	return fewest;
}

static unsigned int most_calls(const struct host *host, const struct window *w)
{
	if (host->plan == SMMUINV_PLAN_AS_WRITTEN)
		return calls_as_written(w);
	return calls_merged(w);
}

/* The first few are shown. */
static void complain(struct world *world, struct host *host,
		     const struct window *w, enum fault fault, order_set chain)
{
	if (host->faults[fault]++ >= 3)
		return;
	print_message("%s; %s: %s\n", world->name, host->name, faults[fault]);
	print_window(w);
	print_calls(&host->calls);
	if (chain)
		print_chain(chain);
}

static bool is_enough(const struct world *world, const struct groups *made,
		      size_t gone)
{
	size_t i;

	for (i = 0; i < gone; i++) {
		if (left_of(world->gone[i], made))
			return false;
	}
	return true;
}

/* How many calls could have been one with the next: what caution costs. */
static void count_spare(struct world *world, struct host *host,
			const struct groups *made, size_t gone)
{
	const struct calls *calls = &host->calls;
	unsigned int i;

	for (i = 0; i + 1 < calls->count; i++) {
		const struct smmuinv_command *end =
			&calls->commands[calls->ends[i]];
		struct groups joined = *made;

		if (is_atc_inv(end) != is_atc_inv(end - 1))
			continue;
		joined.count--;
		memmove(&joined.ends[i], &joined.ends[i + 1],
			(joined.count - i) * sizeof(*joined.ends));
		host->spare += is_enough(world, &joined, gone);
	}
}

static void check_host(struct world *world, struct host *host,
		       const struct window *w, const struct groups *wanted,
		       size_t gone)
{
	struct groups made;
	size_t i;

	flush(host, w);
	host->ioctls += host->calls.count;
	if (!atc_invs_are_apart(&host->calls))
		complain(world, host, w, MIXED, 0);
	if (host->calls.count > most_calls(host, w))
		complain(world, host, w, CALLS, 0);
	made = groups_of_calls(&host->calls, host->ril);
	if (host->plan == SMMUINV_PLAN_MERGED)
		count_spare(world, host, &made, gone);
	if (groups_equal(&made, wanted))
		return;
	for (i = 0; i < gone; i++) {
		if (!left_of(world->gone[i], &made))
			continue;
		complain(world, host, w, LEFT, world->gone[i]);
		return;
	}
}

static void check_window(struct world *world, const struct window *w)
{
	const struct groups wanted = groups_of_window(w, world->removed);
	size_t gone = 0;
	size_t i;

	world->windows++;
	world->calls += calls_as_written(w);
	for (i = 0; i < world->chain_count; i++) {
		if (!left_of(world->chains[i], &wanted))
			world->gone[gone++] = world->chains[i];
	}
	for (i = 0; i < HOSTS; i++)
		check_host(world, &world->hosts[i], w, &wanted, gone);
}

static uint64_t power(unsigned int base, unsigned int exponent)
{
	uint64_t product = 1;

	while (exponent--)
		product *= base;
	return product;
}

/* The window with this number, among those of @count commands. */
static struct window window_at(unsigned int count, uint64_t n)
{
	struct window w = { .count = count };
	unsigned int i;

	w.syncs = (unsigned int)(n % (1u << (count - 1)));
	n /= 1u << (count - 1);
	for (i = 0; i < count; i++, n /= ALPHABET)
		w.letters[i] = (unsigned int)(n % ALPHABET);
	return w;
}

static unsigned int longest(void)
{
	const char *slow = getenv("SMMUINV_TEST_SLOW");

	return slow && !strcmp(slow, "1") ? WINDOW_MAX : WINDOW_MAX - 1;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/*
 * SMMUINV_TEST_SCALE below 1 leaves windows out, evenly: no letter or place of
 * a CMD_SYNC is left out.
 */
static uint64_t every_how_many(void)
{
	size_t per_mille = test_iterations(1000);
	uint64_t step = per_mille < 1000 ? 1000 / per_mille : 1;

	while (common_divisor(step, UINT64_C(2) * ALPHABET) != 1)
		step++;
	return step;
}

/* The shortest come first, so that what is shown is small. */
static void check_every_window(struct world *world)
{
	uint64_t step = every_how_many();
	unsigned int count;

	for (count = 1; count <= longest(); count++) {
		uint64_t windows = power(ALPHABET, count) << (count - 1);
		uint64_t tenth = windows / 10;
		uint64_t n;

		for (n = 0; n < windows; n += step) {
			const struct window w = window_at(count, n);

			check_window(world, &w);
			if (count < WINDOW_MAX || n < tenth)
				continue;
			print_message("%s: %" PRIu64 " windows\n", world->name,
				      world->windows);
			tenth += windows / 10;
		}
	}
}

/* Return: is all well? */
static bool report(const struct world *world, const struct host *host)
{
	bool well = host->ioctls <= world->calls;
	unsigned int i;

	print_message("  %s: %" PRIu64 " calls, %" PRIu64 " to spare\n",
		      host->name, host->ioctls, host->spare);
	for (i = 0; i < FAULTS; i++) {
		if (!host->faults[i])
			continue;
		print_message("  %s: %" PRIu64 " times: %s\n", host->name,
			      host->faults[i], faults[i]);
		well = false;
	}
	return well;
}

static void check_world(struct world *world)
{
	bool well = true;
	unsigned int i;

	world_open(world);
	check_every_window(world);
	print_message("%s: %" PRIu64 " windows of %" PRIu64 " calls, "
		      "%zu chains\n",
		      world->name, world->windows, world->calls,
		      world->chain_count);
	for (i = 0; i < HOSTS; i++)
		well &= report(world, &world->hosts[i]);
	world_close(world);
	assert_true(well);
}

static void nothing_is_left_of_a_guest_without_ranges(void **state)
{
	struct world world = { .name = "guest without RIL, 4 KiB" };

	(void)state;
	check_world(&world);
}

static void nothing_is_left_of_a_guest_with_ranges(void **state)
{
	struct world world = { .name = "guest with RIL, 4 KiB", .ril = true };

	(void)state;
	check_world(&world);
}

static void nothing_is_left_of_several_granules_without_ranges(void **state)
{
	struct world world = {
		.name = "guest without RIL, every granule",
		.granules = true,
	};

	(void)state;
	check_world(&world);
}

static void nothing_is_left_of_several_granules_with_ranges(void **state)
{
	struct world world = {
		.name = "guest with RIL, every granule",
		.ril = true,
		.granules = true,
	};

	(void)state;
	check_world(&world);
}

/*
 * The model itself
 */

/* Where a written-out group ends. */
#define SYNC         \
	{            \
		0, 0 \
	}

struct order_case {
	const char *name;
	uint64_t guest[8][2]; /* up to an opcode 0 that follows a SYNC */
	uint64_t calls[8][2];
	bool violation;
};

static const struct order_case cases[] = {
	{ "a global leaf comes from the table of another ASID",
	  { { VAA, ORDER_Y }, SYNC, { VA_A, ORDER_X } },
	  { { VAA, ORDER_Y }, { VA_A, ORDER_X } },
	  true },
	{ "a leaf is sent before the table that it may come from",
	  { { VA_A, ORDER_X },
	    SYNC,
	    { VA_B, ORDER_Y },
	    SYNC,
	    { VA_A, ORDER_X | LEAF } },
	  { { VA_A, ORDER_X }, { VA_B, ORDER_Y } },
	  true },
	{ "the first leaf alone after both tables",
	  { { VA_A, ORDER_X }, SYNC, { VA_B, ORDER_Y } },
	  { { VA_A, ORDER_X },
	    { VA_B, ORDER_Y },
	    SYNC,
	    { VA_A, ORDER_X | LEAF } },
	  true },
	{ "the second leaf after both tables",
	  { { VA_A, ORDER_X }, SYNC, { VA_B, ORDER_Y } },
	  { { VA_A, ORDER_X },
	    { VA_B, ORDER_Y },
	    SYNC,
	    { VA_B, ORDER_Y | LEAF } },
	  false },
	{ "a leaf with its table in one call",
	  { { VA_A, ORDER_Y }, SYNC, { VA_A, ORDER_X | LEAF } },
	  { { VA_A, ORDER_Y }, { VA_A, ORDER_X | LEAF } },
	  true },
	{ "a leaf that its table's command removes",
	  { { VA_A, ORDER_X }, SYNC, { VA_A, ORDER_X | LEAF } },
	  { { VA_A, ORDER_X } },
	  false },
	{ "a leaf of another table",
	  { { VA_A, ORDER_X | LEAF }, SYNC, { VA_A, ORDER_Z | LEAF } },
	  { { VA_A, ORDER_Z | LEAF }, { VA_A, ORDER_X | LEAF } },
	  false },
	{ "TLBI_NH_ASID before the CD",
	  { { CD_OF(ORDER_FIRST, 0), LEAF },
	    SYNC,
	    { OP(TLBI_NH_ASID) | ASID(ORDER_A), 0 } },
	  { { OP(TLBI_NH_ASID) | ASID(ORDER_A), 0 },
	    SYNC,
	    { CD_OF(ORDER_FIRST, 0), LEAF } },
	  true },
	{ "a CD with the level-1 descriptor that it comes from",
	  { { CD_OF(ORDER_FIRST, 1), 0 }, SYNC, { CD_OF(ORDER_FIRST, 0), 1 } },
	  { { CD_OF(ORDER_FIRST, 1), 0 }, { CD_OF(ORDER_FIRST, 0), 1 } },
	  true },
	{ "an ATC_INV with the leaf that it comes from",
	  { { VA_A, ORDER_X | LEAF }, SYNC, { ATC_OF(ORDER_FIRST), ORDER_X } },
	  { { VA_A, ORDER_X | LEAF }, { ATC_OF(ORDER_FIRST), ORDER_X } },
	  true },
	{ "TLBI_NH_ASID leaves global leaves",
	  { { VA_A, ORDER_X | LEAF } },
	  { { OP(TLBI_NH_ASID) | ASID(ORDER_A), 0 } },
	  true },
	{ "what the guest leaves to chance may be in any order",
	  { { VA_A, ORDER_Y }, { VA_A, ORDER_X | LEAF } },
	  { { VA_A, ORDER_X | LEAF }, SYNC, { VA_A, ORDER_Y } },
	  false },
};

static struct groups written_out(const uint64_t (*written)[2])
{
	struct groups groups = { .count = 0 };
	unsigned int end = 0;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		const struct smmuinv_command command =
			test_command(written[i][0], written[i][1]);

		if (written[i][0])
			groups.removed[end++] = order_removed(&command, true);
		else if (!groups.count || groups.ends[groups.count - 1] != end)
			groups.ends[groups.count++] = end;
	}
	return groups;
}

/* A chain that the guest's order removes and the calls do not, or 0. */
static order_set violated(const struct order_case *c)
{
	const struct groups guest = written_out(c->guest);
	const struct groups calls = written_out(c->calls);
	order_set found = 0;
	order_set *chains;
	size_t count = order_chains(0, &chains);
	size_t i;

	for (i = 0; !found && i < count; i++) {
		if (!left_of(chains[i], &guest) && left_of(chains[i], &calls))
			found = chains[i];
	}
	free(chains);
	return found;
}

static void the_model_tells_bad_groups_from_good_ones(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		order_set chain = violated(&cases[i]);

		if (!chain == !cases[i].violation)
			continue;
		print_chain(chain);
		fail_msg("%s", cases[i].name);
	}
}

/*
 * All that can be stale after the group, found step by step: in every order of
 * the commands, everything that can be made again is made again before each.
 */
static order_set left_by_any_order(order_set chain, order_set stale,
				   const order_set *removed, size_t count)
{
	order_set made = stale | (chain & (0 - stale));
	order_set left = count ? 0 : made;
	order_set others[WINDOW_MAX] = { 0 };
	size_t i, k;

	for (i = 0; i < count; i++) {
		for (k = 0; k < count - 1; k++)
			others[k] = removed[k < i ? k : k + 1];
		left |= left_by_any_order(chain, made & ~removed[i], others,
					  count - 1);
	}
	return left;
}

static void its_rule_is_what_trying_every_order_gives(void **state)
{
	size_t left = test_iterations(300000);
	order_set *chains;
	size_t count = order_chains(0, &chains);

	(void)state;
	while (left--) {
		order_set chain = chains[test_random_below(count)];
		order_set removed[WINDOW_MAX];
		size_t n = test_random_below(WINDOW_MAX + 1);
		order_set stale = chain & (UINT64_MAX << test_random_below(64));
		size_t i;

		for (i = 0; i < n; i++) {
			removed[i] = test_random();
			if (test_chance(50))
				removed[i] |= test_random();
		}
		assert_true(order_left(stale, removed, n) ==
			    left_by_any_order(chain, stale, removed, n));
	}
	free(chains);
}

static void chains_are_made_from_top_to_bottom(void **state)
{
	size_t child, parent;
	size_t pairs = 0;

	(void)state;
	for (child = 0; child < order_entries(); child++) {
		for (parent = 0; parent < order_entries(); parent++) {
			if (!order_made_from(child, parent))
				continue;
			assert_true(parent < child);
			pairs++;
		}
	}
	assert_true(pairs > order_entries());
}

/* Otherwise a command of the alphabet would be there for nothing. */
static void every_command_removes_something_of_its_own(void **state)
{
	order_set all = 0;
	unsigned int i;

	(void)state;
	for (i = 0; i < ALPHABET; i++) {
		const struct smmuinv_command command = letter(i);
		order_set removed = order_removed(&command, true);

		if (!removed)
			fail_msg("%s removes nothing", test_text(&command));
		all |= removed;
	}
	for (i = 0; i < order_entries(); i++) {
		if (!(all >> i & 1))
			fail_msg("nothing removes %s", order_entry_name(i));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(the_model_tells_bad_groups_from_good_ones),
		T(its_rule_is_what_trying_every_order_gives),
		T(chains_are_made_from_top_to_bottom),
		T(every_command_removes_something_of_its_own),
		T(nothing_is_left_of_a_guest_without_ranges),
		T(nothing_is_left_of_a_guest_with_ranges),
		T(nothing_is_left_of_several_granules_without_ranges),
		T(nothing_is_left_of_several_granules_with_ranges),
#undef T
	};

	return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
