/* SPDX-License-Identifier: MIT */
/*
 * What is measured on the real kernel, for docs/performance.md: lines of JSON,
 * each with "bench". The kernel runs in an emulator, so only the ratio of two
 * times of one run says anything. scripts/bench reads them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "backend.h"
#include "rig.h"
#include "cmocka-all.h"
#include "tests.h"
#include "../../bench/ways.h"

#define REPETITIONS 7

/* A page command's cost is asked for up to so many in a call. */
#define PAGES_MAX 4096u

/* Nothing is mapped there, nor anywhere near. */
#define PAGES_VA UINT64_C(0x5500000000)

/* Pages that the device has in use when all is invalidated. */
#define PAGES_IN_USE 8u

static void measure_stream(struct rig *rig, const char *name)
{
	struct smmuinv_vsmmu_params params;
	struct stream stream;
	struct player player;
	struct meter meter;

	assert_int_equal(stream_open(&stream, name, "/corpus", 0), 0);
	assert_int_equal(meter_open(&meter, rig->nested.backend), 0);
	params = rig_vsmmu_params(rig, stream_has_ril(&stream) ? SMMUINV_ON :
								 SMMUINV_OFF);
	params.backend = meter.backend;
	stream_show_granule(&stream, &params.guest);
	assert_int_equal(player_open(&player, &stream, &params, 0), 0);
	assert_int_equal(rig_plug(rig, player.vsmmu, RIG_VSID), 0);
	for (enum way way = 0; way < WAYS; way++) {
		struct figures figures;

		assert_int_equal(ways_measure(&meter, &player,
					      rig->nested.viommu, way,
					      REPETITIONS, &figures),
				 0);
		ways_print_json(&stream, "kernel", way, &figures);
	}
	player_close(&player);
	meter_close(&meter);
	stream_close(&stream);
}

/* The guest's SMMU is as the stream's was: the rig's device goes over to it. */
static void streams_three_ways(void **state)
{
	static const char *const names[] = {
		"unmap-512",
		"scattered",
		"09-lk73-both-noril-io",
		"29-lk73-l2guest-noril",
		"02-lk73-both-lazy-io",
		"03-lk73-both-vfio-map",
		"04-lk73-16k-both-io-vfio",
		"07-lk61-both-lazy-vfio",
	};
	struct rig *rig = *state;

	assert_int_equal(smmuinv_vsmmu_remove_stream(rig->vsmmu, RIG_VSID), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		measure_stream(rig, names[i]);
	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
}

/* The shortest of some times that the kernel takes for these. */
static uint64_t kernel_ns(struct rig *rig,
			  const struct smmuinv_command *commands,
			  uint32_t count)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < REPETITIONS; i++) {
		uint32_t n = count;
		uint64_t start = now_ns();
		uint64_t ns;

		assert_int_equal(smmuinv__backend_invalidate(
					 rig->nested.backend,
					 rig->nested.viommu, commands, &n),
				 0);
		ns = now_ns() - start;
		best = ns < best ? ns : best;
	}
	return best;
}

static void make_pages(struct smmuinv_command *commands)
{
	for (uint32_t i = 0; i < PAGES_MAX; i++) {
		const struct smmuinv_tlbi tlbi = {
			.size = sizeof(tlbi),
			.va = PAGES_VA + i * GUEST_PAGE_SIZE,
			.asid = RIG_ASID,
			.leaf = true,
		};

		assert_int_equal(
			smmuinv_command_tlbi_nh_va(&commands[i], &tlbi), 0);
	}
}

static void map_pages_in_use(struct rig *rig, uint64_t va)
{
	for (uint32_t i = 0; i < PAGES_IN_USE; i++) {
		struct guest_piece page = guest_memory_take_filled(
			&rig->memory, GUEST_PAGE_SIZE, PATTERN_A);

		stage1_map_page(&rig->stage1, va + i * GUEST_PAGE_SIZE,
				page.ipa, STAGE1_ASID);
	}
}

/* The device's DMA is in QEMU's trace, where bench.py looks for it. */
static void use_pages(struct rig *rig, uint64_t va)
{
	for (uint32_t i = 0; i < PAGES_IN_USE; i++)
		rig_expect(rig, va + i * GUEST_PAGE_SIZE, PATTERN_A);
}

/* The same pages before and after an invalidation of others, or of all. */
static void refill(struct rig *rig, const char *after,
		   const struct smmuinv_command *commands, uint32_t count)
{
	uint64_t va = rig_fresh_va(rig);
	uint32_t n = count;

	map_pages_in_use(rig, va);
	use_pages(rig, va);
	assert_int_equal(smmuinv__backend_invalidate(rig->nested.backend,
						     rig->nested.viommu,
						     commands, &n),
			 0);
	use_pages(rig, va);
	printf("{\"bench\": \"refill\", \"after\": \"%s\", \"va\": %" PRIu64
	       ", \"pages\": %u}\n",
	       after, va, PAGES_IN_USE);
}

/* Many pages or everything: smmuinv_vsmmu_params.pages_max. */
static void pages_or_all(void **state)
{
	static struct smmuinv_command pages[PAGES_MAX];
	struct smmuinv_command all;
	struct rig *rig = *state;

	make_pages(pages);
	assert_int_equal(smmuinv_command_tlbi_nh_all(&all), 0);
	for (uint32_t n = 1; n <= PAGES_MAX; n *= 2)
		printf("{\"bench\": \"pages\", \"count\": %" PRIu32
		       ", \"ns\": %" PRIu64 "}\n",
		       n, kernel_ns(rig, pages, n));
	printf("{\"bench\": \"all\", \"ns\": %" PRIu64 "}\n",
	       kernel_ns(rig, &all, 1));
	refill(rig, "pages", pages, PAGES_MAX);
	refill(rig, "all", &all, 1);
}

int test_bench(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_three_ways),
		cmocka_unit_test(pages_or_all),
	};

	return cmocka_run_group_tests_name("bench", tests, rig_group_setup,
					   rig_group_teardown);
}
