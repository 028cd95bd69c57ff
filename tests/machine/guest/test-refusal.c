/* SPDX-License-Identifier: MIT */
/*
 * The kernel refuses a command: what is reported as complete must have been
 * executed, although the kernel counts what it never sent. A command that stays
 * refused is replaced by what covers it, or it names its stream.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>

#include "backend.h"
#include "cmocka-all.h"
#include "commands.h"
#include "machine.h"
#include "rig.h"
#include "support.h"
#include "tests.h"

/* What the kernel hands to the hardware at once. */
#define BLOCK 63

/* What this SMMU has not (6.3.1, 6.3.6). */
#define IDR0_ATS      (1u << 10)
#define IDR5_DS       (1u << 7)
#define IDR5_VAX(n)   ((uint32_t)(n) << 10)
#define DS_SCALE_ONLY 32

/* Is the stream's vDEVICE gone without the library's knowledge? */
static bool broken;

/*
 * The library sends nothing that a sane kernel refuses. So the stream's vDEVICE
 * is destroyed: its CFGI_CD is refused from then on.
 */
static void break_stream(struct rig *rig)
{
	assert_int_equal(iommufd_destroy(rig->nested.iommufd,
					 rig_stream(rig, RIG_VSID).vdevice_id),
			 0);
	rig->nested.vdevice = 0;
	broken = true;
}

/* As a VMM would. The kernel says of the library's that it was gone already. */
static void mend_stream(struct rig *rig)
{
	broken = false;
	assert_int_equal(smmuinv_vsmmu_remove_stream(rig->vsmmu, RIG_VSID),
			 rig->library_makes ? -ENOENT : 0);
	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
}

/* A guest's SMMU as usual, by this plan. */
static void reshape(struct rig *rig, uint32_t plan)
{
	struct smmuinv_vsmmu_params params =
		rig_vsmmu_params(rig, SMMUINV_AS_HOST);

	params.plan = plan;
	rig_reshape(rig, &params);
}

/* Also after a failure, so that the next test does not fail for that. */
static int teardown(void **state)
{
	struct rig *rig = *state;

	if (broken)
		mend_stream(rig);
	reshape(rig, SMMUINV_PLAN_MERGED);
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
		guest_tlbi_va(va),
		guest_cfgi_cd(RIG_VSID_ABSENT),
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

/* A batch in which only a command of the device is refused, at @bad. */
static void prove_batch(struct rig *rig, const char *name, uint32_t plan,
			const struct smmuinv_command *commands, uint32_t count,
			uint32_t bad)
{
	struct smmuinv_result result = { .size = sizeof(result) };

	reshape(rig, plan);
	break_stream(rig);
	recorder_begin(&rig->recorder, name);
	assert_int_equal(
		smmuinv_batch_submit(rig->batch, commands, count, &result),
		-ENODEV);
	recorder_end(&rig->recorder);
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(result.fault.error, -ENODEV);
	assert_int_equal(result.fault.vsid, RIG_VSID);
	assert_int_equal(result.fault.viommu_id, rig->nested.viommu);
	assert_int_equal(result.completed, bad);
	assert_int_equal(result.forwarded, bad);
	assert_int_equal(result.fault_index, bad);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.replaced, 0);
	assert_true(result.retries > 0);
	assert_true(result.retries < result.ioctls);
	mend_stream(rig);
}

static void prove_good_then_bad(struct rig *rig, const char *name,
				uint32_t plan)
{
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_tlbi_va(va),
		guest_cfgi_cd(RIG_VSID),
	};

	rig_make_stale(rig, va, STAGE1_ASID);
	prove_batch(rig, name, plan, commands, 2, 1);
	rig_expect(rig, va, PATTERN_B);
}

/* As written, the good one is the one that the kernel counts and never sent. */
static void refused_batch_ends_with_the_good_one_executed(void **state)
{
	prove_good_then_bad(*state, __func__, SMMUINV_PLAN_AS_WRITTEN);
}

/* Merged, the refused one is the first, and the rest is executed all the same.
 */
static void refused_batch_ends_with_the_rest_executed(void **state)
{
	prove_good_then_bad(*state, __func__, SMMUINV_PLAN_MERGED);
}

/* The good one is in the second of the kernel's blocks, the refused one too. */
static void refusal_after_a_whole_block_loses_nothing(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command commands[BLOCK + 8];
	uint32_t bad = BLOCK + 7;

	for (uint32_t i = 0; i < bad; i++)
		commands[i] = guest_tlbi_va(va + (i + 1) * GUEST_PAGE_SIZE);
	commands[BLOCK + 2] = guest_tlbi_va(va);
	commands[bad] = guest_cfgi_cd(RIG_VSID);
	rig_make_stale(rig, va, STAGE1_ASID);
	prove_batch(rig, __func__, SMMUINV_PLAN_AS_WRITTEN, commands, bad + 1,
		    bad);
	rig_expect(rig, va, PATTERN_B);
}

/* What comes after a refused one in its call is executed, and done again. */
static void commands_after_a_refused_one_are_executed(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	uint64_t last = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_tlbi_va(va),
		guest_cfgi_cd(RIG_VSID),
		guest_cfgi_cd_all(RIG_VSID),
		guest_tlbi_va(last),
	};

	rig_make_stale(rig, va, STAGE1_ASID);
	rig_make_stale(rig, last, STAGE1_ASID);
	prove_batch(rig, __func__, SMMUINV_PLAN_AS_WRITTEN, commands, 4, 1);
	rig_expect(rig, va, PATTERN_B);
	rig_expect(rig, last, PATTERN_B);
}

/* The queue stays at the command, shows no CERROR, and goes on when mended. */
static void refused_queue_stays_and_goes_on_when_mended(void **state)
{
	struct rig *rig = *state;
	uint64_t before = rig_fresh_va(rig);
	uint64_t after = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_tlbi_va(before),
		guest_cfgi_cd(RIG_VSID),
		guest_tlbi_va(after),
	};
	struct smmuinv_progress progress;
	uint32_t start = rig->cons;

	rig_make_stale(rig, before, STAGE1_ASID);
	rig_make_stale(rig, after, STAGE1_ASID);
	break_stream(rig);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_write(rig, commands, 3);
	assert_int_equal(rig_queue_consume(rig, &progress), -ENODEV);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(progress.fault.vsid, RIG_VSID);
	assert_int_equal(progress.cons, (start + 1) % (2 * RIG_RING_SIZE));
	assert_int_equal(progress.cerror, SMMUINV_CERROR_NONE);
	rig_expect(rig, before, PATTERN_B);
	mend_stream(rig);
	assert_int_equal(rig_queue_consume(rig, &progress), 3);
	recorder_end(&rig->recorder);
	assert_int_equal(progress.cons, rig->prod);
	rig_expect(rig, after, PATTERN_B);
}

/* As the manual says: the VMM removes the stream that was named. */
static void refused_queue_goes_on_without_the_stream(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_cfgi_cd(RIG_VSID),
		guest_tlbi_va(va),
	};
	struct smmuinv_progress progress;

	rig_make_stale(rig, va, STAGE1_ASID);
	break_stream(rig);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_write(rig, commands, 2);
	assert_int_equal(rig_queue_consume(rig, &progress), -ENODEV);
	smmuinv_vsmmu_remove_stream(rig->vsmmu, (uint32_t)progress.fault.vsid);
	assert_int_equal(rig_queue_consume(rig, &progress), 3);
	recorder_end(&rig->recorder);
	assert_int_equal(progress.dropped, 1);
	assert_int_equal(progress.cons, rig->prod);
	rig_expect(rig, va, PATTERN_B);
	broken = false;
	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
}

/* What the library itself finds illegal never gets to the kernel. */
static void illegal_command_stops_the_queue_with_the_rest_executed(void **state)
{
	struct rig *rig = *state;
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_tlbi_va(va),
		test_command(0xff, 0),
	};
	struct smmuinv_progress progress;
	uint32_t start = rig->cons;

	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_write(rig, commands, 2);
	assert_int_equal(rig_queue_consume(rig, &progress), 1);
	recorder_end(&rig->recorder);
	assert_int_equal(progress.cerror, SMMUINV_CERROR_ILL);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_GUEST);
	assert_int_equal(progress.fault.rule, SMMUINV_RULE_RESERVED_OPCODE);
	assert_int_equal(progress.fault.error, 0);
	assert_int_equal(progress.cons, (start + 1) % (2 * RIG_RING_SIZE));
	rig_expect(rig, va, PATTERN_B);
	/* The guest goes on after it. */
	rig->cons = rig->prod;
}

static void stream_without_device_needs_nothing_from_the_host(void **state)
{
	struct rig *rig = *state;
	const struct smmuinv_command command = guest_cfgi_cd(RIG_VSID_ABSENT);
	struct smmuinv_result result = { .size = sizeof(result) };

	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_batch_submit(rig->batch, &command, 1, &result),
			 0);
	recorder_end(&rig->recorder);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.dropped, 1);
	assert_int_equal(result.ioctls, 0);
}

/*
 * A VMM that is wrong about its host. The kernel refuses a range that only an
 * SMMU with DS has, and TLBI_NH_ALL goes in its place.
 */
static void prove_replaced(struct rig *rig, const char *name, uint32_t plan)
{
	struct smmuinv_vsmmu_params params = rig_vsmmu_params(rig, SMMUINV_ON);
	uint64_t va = rig_fresh_va(rig);
	uint64_t first = rig_fresh_va(rig);
	uint64_t last = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_tlbi_va(first),
		guest_tlbi_range(va, 0, 0, DS_SCALE_ONLY),
		guest_cfgi_cd(RIG_VSID),
		guest_tlbi_va(last),
	};
	struct smmuinv_progress progress;

	params.guest.idr[5] |= IDR5_DS | IDR5_VAX(1);
	params.host.idr[5] |= IDR5_DS | IDR5_VAX(1);
	params.plan = plan;
	rig_reshape(rig, &params);
	rig_make_stale(rig, first, STAGE1_ASID);
	rig_make_stale(rig, va, STAGE1_ASID);
	rig_make_stale(rig, last, STAGE1_GLOBAL);
	recorder_begin(&rig->recorder, name);
	rig_queue_write(rig, commands, ARRAY_SIZE(commands));
	rig_queue_finish(rig, &progress);
	recorder_end(&rig->recorder);
	assert_int_equal(progress.forwarded, ARRAY_SIZE(commands));
	assert_int_equal(progress.replaced, 1);
	rig_expect(rig, first, PATTERN_B);
	rig_expect(rig, va, PATTERN_B);
	rig_expect(rig, last, PATTERN_B);
}

static void refused_tlbi_is_replaced_by_everything(void **state)
{
	prove_replaced(*state, __func__, SMMUINV_PLAN_AS_WRITTEN);
}

static void refused_tlbi_of_a_plan_is_replaced_by_everything(void **state)
{
	prove_replaced(*state, __func__, SMMUINV_PLAN_MERGED);
}

/*
 * The same VMM says that there is ATS, and the kernel refuses each ATC_INV. For
 * the library the device does not answer, as newer kernels say it with -EIO.
 */
static void refused_atc_inv_is_owed_and_shown_at_the_sync(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_vsmmu_params params = rig_vsmmu_params(rig, SMMUINV_ON);
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_atc_inv(RIG_VSID, va),
		guest_tlbi_va(va),
	};
	struct smmuinv_progress progress;
	uint32_t start;

	params.guest.idr[0] |= IDR0_ATS;
	params.host.idr[0] |= IDR0_ATS;
	rig_reshape(rig, &params);
	assert_int_equal(smmuinv_vsmmu_set_ats(rig->vsmmu, RIG_VSID, true), 0);
	rig_make_stale(rig, va, STAGE1_ASID);
	start = rig->cons;
	recorder_begin(&rig->recorder, __func__);
	rig_queue_write(rig, commands, 2);
	assert_int_equal(rig_queue_consume(rig, &progress), 2);
	assert_int_equal(progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_int_equal(progress.cons, (start + 2) % (2 * RIG_RING_SIZE));
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(progress.fault.vsid, RIG_VSID);
	assert_int_equal(progress.fault.viommu_id, rig->nested.viommu);
	assert_true(rig_stream(rig, RIG_VSID).owes);
	rig_expect(rig, va, PATTERN_B);
	/* The guest tries the CMD_SYNC again, and its device stays silent. */
	assert_int_equal(rig_queue_consume(rig, &progress), 0);
	assert_int_equal(progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_int_equal(rig->syncs, 0);
	/* Until the guest turns its ATS off. */
	assert_int_equal(smmuinv_vsmmu_set_ats(rig->vsmmu, RIG_VSID, false), 0);
	assert_int_equal(rig_queue_consume(rig, &progress), 1);
	recorder_end(&rig->recorder);
	assert_int_equal(progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(rig->syncs, 1);
}

static int setup_no_syncs(void **state)
{
	struct rig *rig = *state;

	rig->syncs = 0;
	return 0;
}

#define RIG_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup_no_syncs, teardown)

/* Only kernels that look at the fields refuse what the library can send. */
static int test_replaced(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(refused_tlbi_is_replaced_by_everything),
		RIG_TEST(refused_tlbi_of_a_plan_is_replaced_by_everything),
		RIG_TEST(refused_atc_inv_is_owed_and_shown_at_the_sync),
	};

	if (!machine_kernel_is_at_least(7, 3)) {
		printf("NOTE before 7.3 no kernel refuses a field: what is "
		       "sent instead was not tested\n");
		return 0;
	}
	return cmocka_run_group_tests_name("replaced", tests, rig_group_setup,
					   rig_group_teardown);
}

int test_refusal(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(kernel_counts_what_it_never_executed),
		RIG_TEST(refused_batch_ends_with_the_good_one_executed),
		RIG_TEST(refused_batch_ends_with_the_rest_executed),
		RIG_TEST(refusal_after_a_whole_block_loses_nothing),
		RIG_TEST(commands_after_a_refused_one_are_executed),
		RIG_TEST(refused_queue_stays_and_goes_on_when_mended),
		RIG_TEST(refused_queue_goes_on_without_the_stream),
		RIG_TEST(
			illegal_command_stops_the_queue_with_the_rest_executed),
		RIG_TEST(stream_without_device_needs_nothing_from_the_host),
	};
	int failed = cmocka_run_group_tests_name(
		"refusal", tests, rig_group_setup, rig_group_teardown);

	failed += cmocka_run_group_tests_name(
		"refusal, the library's vDEVICE", tests,
		rig_group_setup_library_makes, rig_group_teardown);
	return failed + test_replaced();
}
