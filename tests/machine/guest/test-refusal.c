/* SPDX-License-Identifier: MIT */
/*
 * The kernel refuses a command: what was before it must have been executed when
 * the library says so, although the kernel counts what it never sent.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>

#include "backend.h"
#include "rig.h"
#include "cmocka-all.h"
#include "tests.h"

/* What the kernel hands to the hardware at once. */
#define BLOCK 63

static struct smmuinv_command good_command(uint64_t va)
{
	const struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.va = va,
		.asid = RIG_ASID,
		.leaf = true,
	};
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_tlbi_nh_va(&command, &tlbi), 0);
	return command;
}

static struct smmuinv_command cfgi_cd(uint32_t vsid)
{
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_cfgi_cd(&command, vsid, 0, true), 0);
	return command;
}

/* Is the stream's vDEVICE gone without the library's knowledge? */
static bool broken;

/*
 * The library sends nothing that a sane kernel refuses. So the stream's vDEVICE
 * is destroyed behind its back: its CFGI_CD is refused from then on.
 */
static void break_stream(struct rig *rig)
{
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(rig->vsmmu);
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(smmuinv_streams_find(streams, RIG_VSID, &info), 0);
	assert_int_equal(iommufd_destroy(rig->nested.iommufd, info.vdevice_id),
			 0);
	broken = true;
}

/* As a VMM would; the kernel says that there was no vDEVICE any more. */
static void mend_stream(struct rig *rig)
{
	broken = false;
	assert_int_equal(smmuinv_vsmmu_remove_stream(rig->vsmmu, RIG_VSID),
			 -ENOENT);
	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
}

/* Also after a failure, so that the next test does not fail for that. */
static int teardown(void **state)
{
	struct rig *rig = *state;

	if (broken)
		mend_stream(rig);
	rig->cons = rig->prod;
	return rig_test_teardown(state);
}

/*
 * [good, bad] without the library. A kernel that counts exactly is hoped for,
 * so an honest answer passes too; what must not be is a third thing.
 */
static void kernel_counts_what_it_never_executed(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		good_command(va),
		cfgi_cd(RIG_VSID_ABSENT),
	};
	uint32_t count = 2;
	uint32_t seen;

	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv__backend_invalidate(rig->recorder.backend,
						     rig->nested.viommu,
						     commands, &count),
			 -EIO);
	recorder_end(&rig->recorder);
	assert_int_equal(count, 1);
	seen = rig_see(rig, va);
	assert_true(seen == PATTERN_A || seen == PATTERN_B);
	printf("NOTE [good, bad]: the kernel counts 1 and has executed %d\n",
	       seen == PATTERN_B);
	rig_batch_run(rig, commands, 1);
	rig_expect(rig, va, PATTERN_B);
}

static void refused_batch_ends_with_the_good_one_executed(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		good_command(va),
		cfgi_cd(RIG_VSID),
	};
	struct smmuinv_result result = { .size = sizeof(result) };

	rig_make_stale(rig, va, STAGE1_ASID);
	break_stream(rig);
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_batch_submit(rig->batch, commands, 2, &result),
			 -ENODEV);
	recorder_end(&rig->recorder);
	assert_int_equal(result.error, -ENODEV);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.sent, 1);
	assert_int_equal(result.fault_index, 1);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.host_error, -EIO);
	assert_int_equal(result.host_count, 1);
	rig_expect(rig, va, PATTERN_B);
	mend_stream(rig);
}

/* The good one is in the second of the kernel's blocks, the refused one too. */
static void refusal_after_a_whole_block_loses_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command commands[BLOCK + 8];
	struct smmuinv_result result = { .size = sizeof(result) };
	uint32_t bad = BLOCK + 7;

	for (uint32_t i = 0; i < bad; i++)
		commands[i] = good_command(va + (i + 1) * GUEST_PAGE_SIZE);
	commands[BLOCK + 2] = good_command(va);
	commands[bad] = cfgi_cd(RIG_VSID);
	rig_make_stale(rig, va, STAGE1_ASID);
	break_stream(rig);
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(
		smmuinv_batch_submit(rig->batch, commands, bad + 1, &result),
		-ENODEV);
	recorder_end(&rig->recorder);
	assert_int_equal(result.host_error, -EIO);
	assert_int_equal(result.completed, bad);
	rig_expect(rig, va, PATTERN_B);
	mend_stream(rig);
}

/* The queue stays at the command, shows no CERROR, and goes on when mended. */
static void refused_queue_stays_and_goes_on_when_mended(void **state)
{
	struct rig *rig = *state;
	uint64_t before = rig_fresh_va(rig);
	uint64_t after = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		good_command(before),
		cfgi_cd(RIG_VSID),
		good_command(after),
	};
	struct smmuinv_progress progress;
	uint32_t start = rig->cons;

	rig_make_stale(rig, before, STAGE1_ASID);
	rig_make_stale(rig, after, STAGE1_ASID);
	break_stream(rig);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_write(rig, commands, 3);
	assert_int_equal(rig_queue_consume(rig, &progress), -ENODEV);
	assert_int_equal(progress.host_error, -EIO);
	assert_int_equal(progress.cons, (start + 1) % (2 * RIG_RING_SIZE));
	assert_int_equal(progress.cerror, SMMUINV_CERROR_NONE);
	rig_expect(rig, before, PATTERN_B);
	mend_stream(rig);
	assert_int_equal(rig_queue_consume(rig, &progress), 3);
	recorder_end(&rig->recorder);
	assert_int_equal(progress.cons, rig->prod);
	rig_expect(rig, after, PATTERN_B);
}

/* What the library itself finds illegal never gets to the kernel. */
static void illegal_command_stops_the_queue_with_the_rest_executed(void **state)
{
	const struct smmuinv_command illegal = {
		.dw = { htole64(0xff) },
	};
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = { good_command(va), illegal };
	struct smmuinv_progress progress;
	uint32_t start = rig->cons;

	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_write(rig, commands, 2);
	assert_int_equal(rig_queue_consume(rig, &progress), 1);
	recorder_end(&rig->recorder);
	assert_int_equal(progress.cerror, SMMUINV_CERROR_ILL);
	assert_int_equal(progress.cons, (start + 1) % (2 * RIG_RING_SIZE));
	rig_expect(rig, va, PATTERN_B);
	/* The guest goes on behind it. */
	rig->cons = rig->prod;
}

static void stream_without_device_needs_nothing_from_the_host(void **state)
{
	struct rig *rig = *state;
	const struct smmuinv_command command = cfgi_cd(RIG_VSID_ABSENT);
	struct smmuinv_result result = { .size = sizeof(result) };

	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_batch_submit(rig->batch, &command, 1, &result),
			 0);
	recorder_end(&rig->recorder);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.dropped, 1);
	assert_int_equal(result.ioctls, 0);
}

#define RIG_TEST(name) cmocka_unit_test_teardown(name, teardown)

int test_refusal(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(kernel_counts_what_it_never_executed),
		RIG_TEST(refused_batch_ends_with_the_good_one_executed),
		RIG_TEST(refusal_after_a_whole_block_loses_nothing),
		RIG_TEST(refused_queue_stays_and_goes_on_when_mended),
		RIG_TEST(
			illegal_command_stops_the_queue_with_the_rest_executed),
		RIG_TEST(stream_without_device_needs_nothing_from_the_host),
	};

	return cmocka_run_group_tests_name("refusal", tests, rig_group_setup,
					   rig_group_teardown);
}
