/* SPDX-License-Identifier: MIT */
/*
 * Many of a guest's commands, few of the host's: the device sees what the guest
 * wrote nevertheless. A rig's guest is shown every granule; here it is another
 * guest where that matters.
 */
#include <stdio.h>

#include "cmocka-all.h"
#include "commands.h"
#include "rig.h"
#include "support.h"
#include "tests.h"

#define PATTERN_C 0xcccc0003U

#define OTHER_ASID (RIG_ASID + 1)

static void queue_write(struct rig *rig, struct smmuinv_command command)
{
	rig_queue_write(rig, &command, 1);
}

/* As many as there were, and what the host was asked for. */
static void finish(struct rig *rig, uint32_t forwarded, uint32_t host_commands,
		   uint32_t ioctls)
{
	struct smmuinv_progress progress;

	rig_queue_finish(rig, &progress);
	printf("NOTE %u commands: %u of the host's in %u calls\n",
	       progress.forwarded, progress.host_commands, progress.ioctls);
	assert_int_equal(progress.forwarded, forwarded);
	assert_int_equal(progress.host_commands, host_commands);
	assert_int_equal(progress.ioctls, ioctls);
}

/* A guest without ranges on a host that has them. */
static void reshape_without_ranges(struct rig *rig, uint32_t plan)
{
	struct smmuinv_vsmmu_params params = rig_vsmmu_params(rig, SMMUINV_OFF);

	params.plan = plan;
	rig_reshape(rig, &params);
}

static void reshape_with_one_granule(struct rig *rig)
{
	const struct smmuinv_offer offer = {
		.size = sizeof(offer),
		.ril = SMMUINV_OFF,
		.granules = SMMUINV_GRANULE_4K,
	};
	struct smmuinv_vsmmu_params params = rig_vsmmu_params(rig, SMMUINV_OFF);

	assert_int_equal(smmuinv_features_offer(&params.guest, &params.host,
						&offer, NULL),
			 0);
	rig_reshape(rig, &params);
}

/* What a migration may lead to: this host says that it has no ranges. */
static void reshape_on_host_without_ranges(struct rig *rig, uint32_t plan,
					   uint32_t pages_max)
{
	const uint32_t ril = 1u << 10;
	struct smmuinv_vsmmu_params params = rig_vsmmu_params(rig, SMMUINV_ON);

	params.host.idr[3] &= ~ril;
	params.plan = plan;
	params.pages_max = pages_max;
	rig_reshape(rig, &params);
}

/* 512 pages, each twice: where the guest maps it, and where it will. */
#define PAGES (GUEST_BLOCK_SIZE / GUEST_PAGE_SIZE)

/* QEMU's SMMU forgets all when it has 256 translations. */
#define PAGES_A_ROUND 180u
#define ROUNDS        3u

struct buffer {
	struct rig *rig;
	uint64_t va;
	struct guest_piece pages[2][PAGES];
	unsigned int mapped; /* which of the two */
};

static void map_all(struct buffer *b, unsigned int which)
{
	for (uint32_t i = 0; i < PAGES; i++)
		stage1_map_page(&b->rig->stage1, b->va + i * GUEST_PAGE_SIZE,
				b->pages[which][i].ipa, STAGE1_ASID);
	b->mapped = which;
}

static void buffer_init(struct buffer *b, struct rig *rig)
{
	b->rig = rig;
	b->va = rig_fresh_va(rig);
	for (uint32_t i = 0; i < 2 * PAGES; i++)
		b->pages[i / PAGES][i % PAGES] =
			guest_memory_take(&rig->memory, GUEST_PAGE_SIZE);
	map_all(b, 0);
}

/*
 * A transfer is a page long: from the middle of one page to the middle of the
 * next, it concerns two. Returns what it has changed there.
 */
static uint32_t *landed(const struct buffer *b, unsigned int which,
			uint32_t page)
{
	uint32_t *words = b->pages[which][page].memory;
	size_t place = page % 2 ? 0 : GUEST_PAGE_SIZE - sizeof(*words);

	return words + place / sizeof(*words);
}

/* The device writes @pattern, which is in its buffer; where does it land? */
static void write_pair(const struct buffer *b, uint32_t page, uint32_t pattern,
		       unsigned int expected)
{
	assert_int_equal(edu_dma_write_again(&b->rig->edu,
					     b->va + page * GUEST_PAGE_SIZE +
						     GUEST_PAGE_SIZE / 2,
					     GUEST_PAGE_SIZE),
			 0);
	for (uint32_t i = page; i < page + 2; i++) {
		assert_int_equal(*landed(b, expected, i), pattern);
		assert_int_not_equal(*landed(b, !expected, i), pattern);
	}
}

static void fill_device(const struct buffer *b, uint32_t pattern)
{
	uint32_t words[GUEST_PAGE_SIZE / sizeof(uint32_t)];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = pattern;
	/* Over the landing page, which is always mapped. */
	assert_int_equal(edu_dma_write(&b->rig->edu, b->rig->edu.landing_iova,
				       sizeof(words), words),
			 0);
}

/* Of the round before. */
static void empty_tlb(struct rig *rig)
{
	queue_write(rig, guest_tlbi_all());
	finish(rig, 1, 1, 1);
}

/* The guest's commands for all pages, in any order, and a CMD_SYNC. */
static void write_shuffled(const struct buffer *b)
{
	struct smmuinv_command commands[PAGES];

	for (uint32_t i = 0; i < PAGES; i++)
		commands[i] = guest_tlbi_va(b->va + i * GUEST_PAGE_SIZE);
	for (uint32_t i = PAGES - 1; i; i--) {
		uint32_t j = (uint32_t)test_random_below(i + 1);
		struct smmuinv_command command = commands[i];

		commands[i] = commands[j];
		commands[j] = command;
	}
	rig_queue_write(b->rig, commands, PAGES);
}

/* The device uses @count pages from @first; the guest moves all; it follows. */
static void move(struct buffer *b, uint32_t first, uint32_t count,
		 uint32_t round)
{
	unsigned int old = b->mapped;

	empty_tlb(b->rig);
	fill_device(b, 0x0a000000 | round);
	for (uint32_t i = first; i < first + count; i += 2)
		write_pair(b, i, 0x0a000000 | round, old);
	map_all(b, !old);
	fill_device(b, 0x0b000000 | round);
	write_pair(b, first, 0x0b000000 | round, old);
	write_shuffled(b);
	finish(b->rig, PAGES, 1, 1);
	fill_device(b, 0x0c000000 | round);
	for (uint32_t i = first; i < first + count; i += 2)
		write_pair(b, i, 0x0c000000 | round, !old);
}

static void move_by_rounds(struct rig *rig, const char *name)
{
	static struct buffer buffer;

	buffer_init(&buffer, rig);
	recorder_begin(&rig->recorder, name);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t first = round * PAGES_A_ROUND;
		uint32_t left = PAGES - first;

		move(&buffer, first,
		     left < PAGES_A_ROUND ? left : PAGES_A_ROUND, round);
	}
	recorder_end(&rig->recorder);
}

static void shuffled_unmap_is_one_command_and_every_page_is_fresh(void **state)
{
	struct rig *rig = *state;

	reshape_with_one_granule(rig);
	move_by_rounds(rig, __func__);
}

static void pages_stay_pages_while_the_granule_is_unknown(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);

	reshape_without_ranges(rig, SMMUINV_PLAN_MERGED);
	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	queue_write(rig, guest_tlbi_va(va));
	queue_write(rig, guest_tlbi_va(va + GUEST_PAGE_SIZE));
	queue_write(rig, guest_tlbi_va(va));
	finish(rig, 3, 2, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
}

static void
as_written_each_command_is_one_and_a_call_ends_at_a_sync(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);

	reshape_without_ranges(rig, SMMUINV_PLAN_AS_WRITTEN);
	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	queue_write(rig, guest_tlbi_va(va));
	queue_write(rig, guest_tlbi_va(va + GUEST_PAGE_SIZE));
	queue_write(rig, guest_tlbi_va(va));
	finish(rig, 3, 3, 3);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
}

/* Another address space, with its pages at the same addresses. */
static void switch_address_space(struct rig *rig, uint64_t va)
{
	struct guest_piece c = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_C);
	struct stage1 other;

	stage1_init(&other, &rig->memory);
	stage1_map_page(&other, rig->edu.landing_iova, rig->landing.ipa,
			STAGE1_ASID);
	stage1_map_page(&other, va, c.ipa, STAGE1_ASID);
	context_descriptor_write(&rig->cd, OTHER_ASID, &other);
}

/* A CMD_SYNC between, and one call for all; the CFGI goes before the TLBI. */
static void window_goes_across_syncs(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	uint64_t elsewhere = rig_fresh_va(rig);
	uint32_t syncs = rig->syncs;

	reshape_without_ranges(rig, SMMUINV_PLAN_MERGED);
	rig_make_stale(rig, va, STAGE1_ASID);
	rig_make_stale(rig, elsewhere, STAGE1_ASID);
	switch_address_space(rig, va);
	rig_expect(rig, va, PATTERN_A);
	recorder_begin(&rig->recorder, __func__);
	queue_write(rig, guest_tlbi_va(va));
	queue_write(rig, guest_tlbi_va(elsewhere));
	queue_write(rig, guest_cfgi_cd(RIG_VSID));
	finish(rig, 3, 3, 1);
	assert_int_equal(rig->syncs, syncs + 3);
	rig_expect(rig, va, PATTERN_C);
	context_descriptor_write(&rig->cd, RIG_ASID, &rig->stage1);
	queue_write(rig, guest_cfgi_cd(RIG_VSID));
	finish(rig, 1, 1, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
	rig_expect(rig, elsewhere, PATTERN_B);
}

/* Configuration, a CMD_SYNC, TLBs: two calls, the first complete before. */
static void configuration_is_complete_before_the_tlbs(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	uint32_t syncs = rig->syncs;

	reshape_without_ranges(rig, SMMUINV_PLAN_MERGED);
	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	queue_write(rig, guest_cfgi_cd(RIG_VSID));
	queue_write(rig, guest_tlbi_va(va));
	queue_write(rig, guest_cfgi_cd(RIG_VSID));
	queue_write(rig, guest_tlbi_va(va));
	finish(rig, 4, 2, 2);
	recorder_end(&rig->recorder);
	assert_int_equal(rig->syncs, syncs + 4);
	rig_expect(rig, va, PATTERN_B);
}

/*
 * What may be made again from a stale entry goes in a later call than that
 * entry: descriptors, the tables on the way, pages.
 */
static void what_the_guest_orders_goes_in_calls_of_that_order(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	uint64_t elsewhere = rig_fresh_va(rig);

	reshape_without_ranges(rig, SMMUINV_PLAN_MERGED);
	rig_make_stale(rig, va, STAGE1_ASID);
	rig_make_stale(rig, elsewhere, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	queue_write(rig, guest_cfgi_cd_all(RIG_VSID));
	queue_write(rig, guest_tlbi_tables(elsewhere));
	queue_write(rig, guest_tlbi_va(va));
	finish(rig, 3, 3, 3);
	/* Backwards there is nothing to wait for. */
	queue_write(rig, guest_tlbi_va(va));
	queue_write(rig, guest_tlbi_tables(elsewhere));
	queue_write(rig, guest_cfgi_cd_all(RIG_VSID));
	finish(rig, 3, 3, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
	rig_expect(rig, elsewhere, PATTERN_B);
}

/* A VMM with a loop of its own says where the CMD_SYNCs were. */
static void batch_keeps_the_order_of_its_syncs(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_cfgi_cd(RIG_VSID),
		guest_tlbi_va(va),
		guest_cfgi_cd(RIG_VSID),
		guest_tlbi_va(va),
	};
	struct smmuinv_result result = { .size = sizeof(result) };

	reshape_without_ranges(rig, SMMUINV_PLAN_MERGED);
	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		assert_int_equal(
			smmuinv_batch_add(rig->batch, &commands[i], NULL),
			SMMUINV_FORWARD);
		assert_int_equal(smmuinv_batch_sync(rig->batch), 0);
	}
	assert_int_equal(smmuinv_batch_flush(rig->batch, &result), 0);
	recorder_end(&rig->recorder);
	/* The CMD_SYNCs count. */
	assert_int_equal(result.completed, 2 * ARRAY_SIZE(commands));
	assert_int_equal(result.forwarded, ARRAY_SIZE(commands));
	assert_int_equal(result.host_commands, 2);
	assert_int_equal(result.ioctls, 2);
	rig_expect(rig, va, PATTERN_B);
}

#define RANGE_PAGES 9

/* The guest's ranges become pages; 9 of 4K, then a block, which is one. */
static void prove_ranges_as_pages(struct rig *rig, const char *name,
				  uint32_t host_commands)
{
	uint64_t va = rig_fresh_va(rig);
	rig_make_stale(rig, va, STAGE1_ASID);
	rig_make_stale(rig, va + (RANGE_PAGES - 1) * GUEST_PAGE_SIZE,
		       STAGE1_GLOBAL);
	recorder_begin(&rig->recorder, name);
	queue_write(rig, guest_tlbi_range(va, 3, RANGE_PAGES - 1, 0));
	finish(rig, 1, host_commands, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
	rig_expect(rig, va + (RANGE_PAGES - 1) * GUEST_PAGE_SIZE, PATTERN_B);
}

static void ranges_are_pages_on_a_host_without(void **state)
{
	struct rig *rig = *state;

	reshape_on_host_without_ranges(rig, SMMUINV_PLAN_MERGED, 0);
	prove_ranges_as_pages(rig, __func__, RANGE_PAGES);
}

static void ranges_are_pages_as_written_too(void **state)
{
	struct rig *rig = *state;

	reshape_on_host_without_ranges(rig, SMMUINV_PLAN_AS_WRITTEN, 0);
	prove_ranges_as_pages(rig, __func__, RANGE_PAGES);
}

static void ranges_of_too_many_pages_are_everything(void **state)
{
	struct rig *rig = *state;

	reshape_on_host_without_ranges(rig, SMMUINV_PLAN_MERGED,
				       RANGE_PAGES - 1);
	prove_ranges_as_pages(rig, __func__, 1);
}

/*
 * Any address in it drops a block whole (4.4.1.1). QEMU has it in pieces, of
 * the size that stage 2 has there, and drops the one with the address: so that
 * one is looked at.
 */
static void range_of_blocks_is_a_command_for_each(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct guest_piece a = guest_memory_take_filled(
		&rig->memory, GUEST_BLOCK_SIZE, PATTERN_A);
	struct guest_piece b = guest_memory_take_filled(
		&rig->memory, GUEST_BLOCK_SIZE, PATTERN_B);

	reshape_on_host_without_ranges(rig, SMMUINV_PLAN_MERGED, 0);
	stage1_map_block(&rig->stage1, va, a.ipa, STAGE1_ASID);
	rig_expect(rig, va, PATTERN_A);
	stage1_map_block(&rig->stage1, va, b.ipa, STAGE1_ASID);
	rig_expect(rig, va, PATTERN_A);
	recorder_begin(&rig->recorder, __func__);
	/* (15 + 1) << 5 pages are 2M. */
	queue_write(rig, guest_tlbi_range(va, 2, 15, 5));
	finish(rig, 1, 1, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
}

#define RIG_TEST(name) cmocka_unit_test_teardown(name, rig_test_teardown)

int test_plan(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(shuffled_unmap_is_one_command_and_every_page_is_fresh),
		RIG_TEST(pages_stay_pages_while_the_granule_is_unknown),
		RIG_TEST(
			as_written_each_command_is_one_and_a_call_ends_at_a_sync),
		RIG_TEST(window_goes_across_syncs),
		RIG_TEST(configuration_is_complete_before_the_tlbs),
		RIG_TEST(what_the_guest_orders_goes_in_calls_of_that_order),
		RIG_TEST(batch_keeps_the_order_of_its_syncs),
		RIG_TEST(ranges_are_pages_on_a_host_without),
		RIG_TEST(ranges_are_pages_as_written_too),
		RIG_TEST(ranges_of_too_many_pages_are_everything),
		RIG_TEST(range_of_blocks_is_a_command_for_each),
	};

	return cmocka_run_group_tests_name("plan", tests, rig_group_setup,
					   rig_group_teardown);
}
