/* SPDX-License-Identifier: MIT */
/*
 * The only question that matters: does the device still see what the guest has
 * taken from it? Each test lets the SMMU cache something, changes it in memory,
 * sees the stale copy in use, passes the guest's command through the library
 * and sees the new one.
 */
#include <stdio.h>

#include "cmocka-all.h"
#include "commands.h"
#include "rig.h"
#include "tests.h"

#define PATTERN_C 0xcccc0003U

#define RANGE_PAGES 9

/* (NUM + 1) << SCALE pages of 4K are a block of 2M. */
#define BLOCK_NUM   15
#define BLOCK_SCALE 5

#define OTHER_ASID (RIG_ASID + 1)

/* One stale page, one command by the guest's queue, one fresh page. */
static void prove(struct rig *rig, const char *name,
		  const struct smmuinv_command *command,
		  enum stage1_scope scope, uint64_t va)
{
	rig_make_stale(rig, va, scope);
	recorder_begin(&rig->recorder, name);
	rig_queue_run(rig, command, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
}

static void device_sees_what_the_tables_map(void **state)
{
	const uint32_t written = PATTERN_C;
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct guest_piece block = guest_memory_take_filled(
		&rig->memory, GUEST_BLOCK_SIZE, PATTERN_A);
	const volatile uint32_t *words = block.memory;
	size_t offset = 0x123450;

	stage1_map_block(&rig->stage1, va, block.ipa, STAGE1_GLOBAL);
	rig_expect(rig, va + offset, PATTERN_A);
	assert_int_equal(edu_dma_write(&rig->edu, va + offset, sizeof(written),
				       &written),
			 0);
	assert_int_equal(words[offset / sizeof(*words)], written);
	assert_int_equal(words[offset / sizeof(*words) + 1], PATTERN_A);
	/* Nothing is mapped there: the SMMU refuses, and zeros come back. */
	rig_expect(rig, va + GUEST_BLOCK_SIZE, 0);
}

static void tlbi_nh_va_single_makes_stale_dma_fresh(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command = guest_tlbi_va(va);

	prove(rig, __func__, &command, STAGE1_ASID, va);
}

static void tlbi_nh_va_single_reaches_a_global_page(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command = guest_tlbi_va(va);

	prove(rig, __func__, &command, STAGE1_GLOBAL, va);
}

static void tlbi_nh_va_by_batch_makes_stale_dma_fresh(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command = guest_tlbi_va(va);

	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	rig_batch_run(rig, &command, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
}

static void tlbi_elsewhere_leaves_stale_dma_stale(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command = guest_tlbi_va(va + GUEST_PAGE_SIZE);

	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_run(rig, &command, 1);
	recorder_end(&rig->recorder);
	/* So the tests' fresh pages are not the doing of something else. */
	rig_expect(rig, va, PATTERN_A);
}

/* Maps the whole span to pages of one pattern. */
static void map_span(struct rig *rig, uint64_t va, uint64_t ipa)
{
	for (unsigned int i = 0; i < RANGE_PAGES; i++)
		stage1_map_page(&rig->stage1, va + i * GUEST_PAGE_SIZE, ipa,
				STAGE1_ASID);
}

static void expect_span(struct rig *rig, uint64_t va, uint32_t pattern)
{
	rig_expect(rig, va, pattern);
	rig_expect(rig, va + RANGE_PAGES / 2 * GUEST_PAGE_SIZE, pattern);
	rig_expect(rig, va + (RANGE_PAGES - 1) * GUEST_PAGE_SIZE, pattern);
}

static void prove_span(struct rig *rig, const char *name, uint8_t level)
{
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command =
		guest_tlbi_range(va, level, RANGE_PAGES - 1, 0);
	struct guest_piece a = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_A);
	struct guest_piece b = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_B);

	map_span(rig, va, a.ipa);
	expect_span(rig, va, PATTERN_A);
	map_span(rig, va, b.ipa);
	expect_span(rig, va, PATTERN_A);
	recorder_begin(&rig->recorder, name);
	rig_queue_run(rig, &command, 1);
	recorder_end(&rig->recorder);
	expect_span(rig, va, PATTERN_B);
}

static void tlbi_nh_va_range_makes_stale_dma_fresh(void **state)
{
	prove_span(*state, __func__, 3);
}

static void
tlbi_nh_va_range_of_unknown_level_makes_stale_dma_fresh(void **state)
{
	prove_span(*state, __func__, 0);
}

static void tlbi_nh_va_range_drops_a_block(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command =
		guest_tlbi_range(va, 2, BLOCK_NUM, BLOCK_SCALE);
	struct guest_piece a = guest_memory_take_filled(
		&rig->memory, GUEST_BLOCK_SIZE, PATTERN_A);
	struct guest_piece b = guest_memory_take_filled(
		&rig->memory, GUEST_BLOCK_SIZE, PATTERN_B);
	uint64_t probe = va + GUEST_BLOCK_SIZE / 2;

	stage1_map_block(&rig->stage1, va, a.ipa, STAGE1_ASID);
	rig_expect(rig, probe, PATTERN_A);
	stage1_map_block(&rig->stage1, va, b.ipa, STAGE1_ASID);
	rig_expect(rig, probe, PATTERN_A);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_run(rig, &command, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, probe, PATTERN_B);
}

static void tlbi_nh_vaa_makes_stale_dma_fresh(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.va = va,
		.leaf = true,
	};
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_tlbi_nh_vaa(&command, &tlbi), 0);
	prove(rig, __func__, &command, STAGE1_ASID, va);
}

static void tlbi_nh_asid_makes_stale_dma_fresh(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_command command = guest_tlbi_asid(RIG_ASID);

	prove(rig, __func__, &command, STAGE1_ASID, rig_fresh_va(rig));
}

static void tlbi_nh_asid_of_another_leaves_stale_dma_stale(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command = guest_tlbi_asid(OTHER_ASID);

	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_run(rig, &command, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_A);
}

/*
 * An SMMU may drop a global entry with an ASID's, but need not (4.4.2.2): so
 * it is written down and not judged.
 */
static void tlbi_nh_asid_and_a_global_page_is_noted(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command = guest_tlbi_asid(RIG_ASID);

	rig_make_stale(rig, va, STAGE1_GLOBAL);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_run(rig, &command, 1);
	recorder_end(&rig->recorder);
	printf("NOTE this SMMU %s a global entry at TLBI_NH_ASID\n",
	       rig_see(rig, va) == PATTERN_A ? "keeps" : "drops");
}

static void tlbi_nh_all_makes_stale_dma_fresh(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_command command = guest_tlbi_all();

	prove(rig, __func__, &command, STAGE1_GLOBAL, rig_fresh_va(rig));
}

static void tlbi_nsnh_all_makes_stale_dma_fresh(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_tlbi_nsnh_all(&command), 0);
	prove(rig, __func__, &command, STAGE1_GLOBAL, rig_fresh_va(rig));
}

/*
 * The descriptor is pointed at another address space, of another ASID, so that
 * only a stale descriptor leads to the old page. Then the same way back.
 */
static void prove_descriptor(struct rig *rig, const char *name,
			     const struct smmuinv_command *command)
{
	uint64_t va = rig_fresh_va(rig);
	struct stage1 other;
	struct guest_piece a = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_A);
	struct guest_piece c = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_C);

	stage1_init(&other, &rig->memory);
	stage1_map_page(&other, rig->edu.landing_iova, rig->landing.ipa,
			STAGE1_ASID);
	stage1_map_page(&other, va, c.ipa, STAGE1_ASID);
	stage1_map_page(&rig->stage1, va, a.ipa, STAGE1_ASID);
	rig_expect(rig, va, PATTERN_A);

	context_descriptor_write(&rig->cd, OTHER_ASID, &other);
	rig_expect(rig, va, PATTERN_A);
	recorder_begin(&rig->recorder, name);
	rig_queue_run(rig, command, 1);
	rig_expect(rig, va, PATTERN_C);

	context_descriptor_write(&rig->cd, RIG_ASID, &rig->stage1);
	rig_expect(rig, va, PATTERN_C);
	rig_batch_run(rig, command, 1);
	rig_expect(rig, va, PATTERN_A);
	recorder_end(&rig->recorder);
}

static void cfgi_cd_makes_stale_dma_fresh(void **state)
{
	struct smmuinv_command command = guest_cfgi_cd(RIG_VSID);

	prove_descriptor(*state, __func__, &command);
}

static void cfgi_cd_all_makes_stale_dma_fresh(void **state)
{
	struct smmuinv_command command = guest_cfgi_cd_all(RIG_VSID);

	prove_descriptor(*state, __func__, &command);
}

/* More than the kernel hands to the hardware at once (63), in one call. */
static void many_commands_in_one_window_all_take_effect(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_command commands[130];
	uint64_t first = rig_fresh_va(rig);
	uint64_t last = rig_fresh_va(rig);

	for (uint32_t i = 0; i < 130; i++)
		commands[i] = guest_tlbi_va(last + (i + 1) * GUEST_PAGE_SIZE);
	commands[0] = guest_tlbi_va(first);
	commands[129] = guest_tlbi_va(last);
	rig_make_stale(rig, first, STAGE1_ASID);
	rig_make_stale(rig, last, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_run(rig, commands, 130);
	recorder_end(&rig->recorder);
	rig_expect(rig, first, PATTERN_B);
	rig_expect(rig, last, PATTERN_B);
}

#define RIG_TEST(name) cmocka_unit_test_teardown(name, rig_test_teardown)

int test_dma(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(device_sees_what_the_tables_map),
		RIG_TEST(tlbi_nh_va_single_makes_stale_dma_fresh),
		RIG_TEST(tlbi_nh_va_single_reaches_a_global_page),
		RIG_TEST(tlbi_nh_va_by_batch_makes_stale_dma_fresh),
		RIG_TEST(tlbi_elsewhere_leaves_stale_dma_stale),
		RIG_TEST(tlbi_nh_va_range_makes_stale_dma_fresh),
		RIG_TEST(
			tlbi_nh_va_range_of_unknown_level_makes_stale_dma_fresh),
		RIG_TEST(tlbi_nh_va_range_drops_a_block),
		RIG_TEST(tlbi_nh_vaa_makes_stale_dma_fresh),
		RIG_TEST(tlbi_nh_asid_makes_stale_dma_fresh),
		RIG_TEST(tlbi_nh_asid_of_another_leaves_stale_dma_stale),
		RIG_TEST(tlbi_nh_asid_and_a_global_page_is_noted),
		RIG_TEST(tlbi_nh_all_makes_stale_dma_fresh),
		RIG_TEST(tlbi_nsnh_all_makes_stale_dma_fresh),
		RIG_TEST(cfgi_cd_makes_stale_dma_fresh),
		RIG_TEST(cfgi_cd_all_makes_stale_dma_fresh),
		RIG_TEST(many_commands_in_one_window_all_take_effect),
	};
	/* Those that reach the device by its vDEVICE. */
	const struct CMUnitTest made[] = {
		RIG_TEST(cfgi_cd_makes_stale_dma_fresh),
		RIG_TEST(cfgi_cd_all_makes_stale_dma_fresh),
	};
	int failed = cmocka_run_group_tests_name("dma", tests, rig_group_setup,
						 rig_group_teardown);

	return failed +
	       cmocka_run_group_tests_name("dma, the library's vDEVICE", made,
					   rig_group_setup_library_makes,
					   rig_group_teardown);
}
