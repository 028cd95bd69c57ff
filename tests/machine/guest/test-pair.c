/* SPDX-License-Identifier: MIT */
/*
 * One virtual SMMU with two devices, on one physical SMMU or on two:
 * what is said of one does not disturb the other, and what is said of all
 * reaches both.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmocka-all.h"
#include "commands.h"
#include "kernel-log.h"
#include "leaks.h"
#include "rig.h"
#include "second.h"
#include "tests.h"

#define PATTERN_C  0xcccc0003U
#define OTHER_ASID (RIG_ASID + 1)

/* SMMUs that a TLBI goes to. */
#define SMMUS (second_has_an_smmu_of_its_own ? 2u : 1u)

struct pair {
	struct rig *rig;
	struct second second;
	uint32_t free_id; /* before the second device was opened */
};

/* One device's address space in which a page is another one. */
struct switched {
	struct guest_piece *cd;
	struct stage1 *old;
	struct stage1 other;
};

/* By the guest's queue: how many commands hosts were asked for. */
static uint32_t run(struct pair *pair, const char *name,
		    const struct smmuinv_command *commands, uint32_t count)
{
	struct smmuinv_progress progress;

	recorder_begin(&pair->rig->recorder, name);
	rig_queue_write(pair->rig, commands, count);
	rig_queue_finish(pair->rig, &progress);
	recorder_end(&pair->rig->recorder);
	assert_int_equal(progress.forwarded, count);
	return progress.host_commands;
}

static void each_device_has_a_stream_of_its_own(void **state)
{
	struct pair *pair = *state;
	uint64_t va = rig_fresh_va(pair->rig);
	struct guest_memory *memory = &pair->rig->memory;
	struct smmuinv_stream_info first = rig_stream(pair->rig, RIG_VSID);
	struct smmuinv_stream_info second = rig_stream(pair->rig, SECOND_VSID);
	struct guest_piece a =
		guest_memory_take_filled(memory, GUEST_PAGE_SIZE, PATTERN_A);
	struct guest_piece b =
		guest_memory_take_filled(memory, GUEST_PAGE_SIZE, PATTERN_B);

	assert_int_not_equal(first.vdevice_id, second.vdevice_id);
	/* The first one's is the VMM's. */
	assert_false(first.made);
	assert_true(second.made);
	assert_int_equal(second.dev_id, pair->second.nested.device.id);
	assert_int_equal(first.viommu_id == second.viommu_id, SMMUS == 1);
	/* The same address is another page for each; not the same ASID, where
	 * they share a TLB. */
	context_descriptor_write(&pair->second.cd, OTHER_ASID,
				 &pair->second.stage1);
	run(pair, __func__,
	    (struct smmuinv_command[]){ guest_cfgi_cd(SECOND_VSID) }, 1);
	stage1_map_page(&pair->rig->stage1, va, a.ipa, STAGE1_ASID);
	stage1_map_page(&pair->second.stage1, va, b.ipa, STAGE1_ASID);
	rig_expect(pair->rig, va, PATTERN_A);
	second_expect(&pair->second, va, PATTERN_B);
	context_descriptor_write(&pair->second.cd, RIG_ASID,
				 &pair->second.stage1);
	run(pair, __func__,
	    (struct smmuinv_command[]){ guest_cfgi_cd(SECOND_VSID) }, 1);
}

/* That there really are two is for the kernel to say. */
static void device_is_refused_on_the_wrong_smmu(void **state)
{
	struct pair *pair = *state;
	struct nested *nested = &pair->second.nested;
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.viommu_id = pair->rig->nested.viommu,
		.dev_id = nested->device.id,
		.vsid = SECOND_VSID + 1,
	};
	uint32_t id;

	assert_int_equal(iommufd_viommu_alloc(nested->iommufd,
					      nested->device.id,
					      pair->rig->nested.parent, &id),
			 -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_stream(pair->rig->vsmmu, &params),
			 -EINVAL);
	assert_int_equal(
		smmuinv_vsmmu_find_stream(pair->rig->vsmmu, params.vsid, NULL),
		-ENOENT);
	assert_int_equal(iommufd_vdevice_alloc(nested->iommufd,
					       params.viommu_id, params.dev_id,
					       params.vsid, &id),
			 -EINVAL);
}

/* A descriptor that leads to PATTERN_C at @va. Nothing is invalidated. */
static void switch_tables(struct pair *pair, struct switched *switched,
			  uint64_t va, uint64_t landing_va,
			  const struct guest_piece *landing)
{
	struct guest_memory *memory = &pair->rig->memory;
	struct guest_piece c =
		guest_memory_take_filled(memory, GUEST_PAGE_SIZE, PATTERN_C);

	stage1_init(&switched->other, memory);
	stage1_map_page(&switched->other, landing_va, landing->ipa,
			STAGE1_ASID);
	stage1_map_page(&switched->other, va, c.ipa, STAGE1_ASID);
	context_descriptor_write(switched->cd, OTHER_ASID, &switched->other);
}

static void map_both(struct pair *pair, uint64_t va)
{
	struct guest_piece a = guest_memory_take_filled(
		&pair->rig->memory, GUEST_PAGE_SIZE, PATTERN_A);

	stage1_map_page(&pair->rig->stage1, va, a.ipa, STAGE1_ASID);
	stage1_map_page(&pair->second.stage1, va, a.ipa, STAGE1_ASID);
	rig_expect(pair->rig, va, PATTERN_A);
	second_expect(&pair->second, va, PATTERN_A);
}

/* Both descriptors change; the command is for one device, then for the other.
 */
static void prove_descriptors(struct pair *pair, const char *name,
			      struct smmuinv_command for_first,
			      struct smmuinv_command for_second)
{
	uint64_t va = rig_fresh_va(pair->rig);
	struct rig *rig = pair->rig;
	struct second *second = &pair->second;
	struct switched one = { .cd = &rig->cd };
	struct switched two = { .cd = &second->cd };

	map_both(pair, va);
	switch_tables(pair, &one, va, rig->edu.landing_iova, &rig->landing);
	switch_tables(pair, &two, va, second->edu.landing_iova,
		      &second->landing);
	/* Each goes to one SMMU only. */
	assert_int_equal(run(pair, name, &for_second, 1), 1);
	rig_expect(rig, va, PATTERN_A);
	second_expect(second, va, PATTERN_C);

	context_descriptor_write(&second->cd, RIG_ASID, &second->stage1);
	assert_int_equal(run(pair, name, &for_first, 1), 1);
	rig_expect(rig, va, PATTERN_C);
	second_expect(second, va, PATTERN_C);

	context_descriptor_write(&rig->cd, RIG_ASID, &rig->stage1);
	run(pair, name, (struct smmuinv_command[]){ for_first, for_second }, 2);
	rig_expect(rig, va, PATTERN_A);
	second_expect(second, va, PATTERN_A);
}

static void cfgi_cd_goes_to_the_one_device(void **state)
{
	prove_descriptors(*state, __func__, guest_cfgi_cd(RIG_VSID),
			  guest_cfgi_cd(SECOND_VSID));
}

static void cfgi_cd_all_goes_to_the_one_device(void **state)
{
	prove_descriptors(*state, __func__, guest_cfgi_cd_all(RIG_VSID),
			  guest_cfgi_cd_all(SECOND_VSID));
}

/* Stale for both, also where they share a TLB. */
static void make_both_stale(struct pair *pair, uint64_t first, uint64_t second)
{
	rig_make_stale(pair->rig, first, STAGE1_ASID);
	second_make_stale(&pair->second, second, STAGE1_ASID);
}

static void tlbi_reaches_both_devices(void **state)
{
	struct pair *pair = *state;
	uint64_t va = rig_fresh_va(pair->rig);
	struct smmuinv_command command = guest_tlbi_asid(RIG_ASID);

	make_both_stale(pair, va, va + GUEST_PAGE_SIZE);
	assert_int_equal(run(pair, __func__, &command, 1), SMMUS);
	rig_expect(pair->rig, va, PATTERN_B);
	second_expect(&pair->second, va + GUEST_PAGE_SIZE, PATTERN_B);
}

static void tlbi_by_address_reaches_both_devices(void **state)
{
	struct pair *pair = *state;
	uint64_t va = rig_fresh_va(pair->rig);
	uint64_t next = va + GUEST_PAGE_SIZE;
	const struct smmuinv_command commands[] = {
		guest_tlbi_va(va),
		guest_tlbi_va(next),
	};

	make_both_stale(pair, va, next);
	assert_int_equal(run(pair, __func__, commands, 2), 2 * SMMUS);
	rig_expect(pair->rig, va, PATTERN_B);
	second_expect(&pair->second, next, PATTERN_B);
}

static void window_of_both_asks_each_smmu_only_for_its_part(void **state)
{
	struct pair *pair = *state;
	const struct smmuinv_command commands[] = {
		guest_cfgi_cd(RIG_VSID),
		guest_cfgi_cd_all(SECOND_VSID),
		guest_tlbi_va(rig_fresh_va(pair->rig)),
	};

	assert_int_equal(run(pair, __func__, commands, 3), 2 + SMMUS);
}

static void stream_that_goes_leaves_the_other_alone(void **state)
{
	struct pair *pair = *state;
	struct rig *rig = pair->rig;
	uint64_t va = rig_fresh_va(rig);
	const struct smmuinv_command commands[] = {
		guest_cfgi_cd(SECOND_VSID),
		guest_cfgi_cd(RIG_VSID),
		guest_tlbi_va(va),
	};
	const struct iommufd_vste vste = vste_translate(&pair->second.cd);
	struct smmuinv_progress progress;

	rig_make_stale(rig, va, STAGE1_ASID);
	assert_int_equal(nested_detach(&pair->second.nested), 0);
	second_unplug(&pair->second);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_write(rig, commands, 3);
	assert_int_equal(rig_queue_consume(rig, &progress), 4);
	recorder_end(&rig->recorder);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_NONE);
	assert_int_equal(progress.dropped, 1);
	assert_int_equal(progress.host_commands, 1 + SMMUS);
	rig_expect(rig, va, PATTERN_B);
	second_plug(&pair->second);
	assert_int_equal(nested_attach(&pair->second.nested, &vste), 0);
	second_make_stale(&pair->second, va + GUEST_PAGE_SIZE, STAGE1_ASID);
}

/*
 * The second device's vDEVICE is destroyed without the library's knowledge: the
 * kernel refuses what names it. Everything else is done nevertheless.
 */
static void failure_of_one_does_not_keep_the_other_from_its_part(void **state)
{
	struct pair *pair = *state;
	struct rig *rig = pair->rig;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[] = {
		guest_cfgi_cd(SECOND_VSID),
		guest_cfgi_cd(RIG_VSID),
		guest_tlbi_va(va),
	};

	rig_make_stale(rig, va, STAGE1_ASID);
	assert_int_equal(
		iommufd_destroy(rig->nested.iommufd,
				rig_stream(rig, SECOND_VSID).vdevice_id),
		0);
	recorder_begin(&rig->recorder, __func__);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			smmuinv_batch_add(rig->batch, &commands[i], NULL),
			SMMUINV_FORWARD);
	assert_int_equal(smmuinv_batch_flush(rig->batch, &result), -ENODEV);
	recorder_end(&rig->recorder);
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(result.fault.error, -ENODEV);
	assert_int_equal(result.fault.vsid, SECOND_VSID);
	assert_int_equal(result.fault.viommu_id, pair->second.nested.viommu);
	assert_int_equal(result.fault_index, 0);
	assert_int_equal(result.completed, 0);
	assert_true(result.retries > 0);
	rig_expect(rig, va, PATTERN_B);

	assert_int_equal(smmuinv_vsmmu_remove_stream(rig->vsmmu, SECOND_VSID),
			 -ENOENT);
	second_plug(&pair->second);
	result = (struct smmuinv_result){ .size = sizeof(result) };
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_batch_flush(rig->batch, &result), 0);
	recorder_end(&rig->recorder);
	assert_int_equal(result.completed, 3);
	assert_int_equal(result.forwarded, 3);
	assert_int_equal(result.host_commands, 2 + SMMUS);
	assert_int_equal(result.ioctls, SMMUS);
}

static void smmu_comes_and_goes(void **state)
{
	struct pair *pair = *state;
	struct second *second = &pair->second;
	struct smmuinv_vsmmu *vsmmu = pair->rig->vsmmu;
	uint64_t va = rig_fresh_va(pair->rig);
	uint64_t next = va + GUEST_PAGE_SIZE;
	const struct smmuinv_command both[] = { guest_tlbi_va(va),
						guest_tlbi_va(next) };
	uint32_t viommu = second->nested.viommu;

	make_both_stale(pair, va, next);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(vsmmu, viommu), -EBUSY);
	assert_int_equal(second_add_viommu(second), -EEXIST);
	second_unplug(second);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(vsmmu, viommu), 0);
	/* Nothing goes there: what it has remembered stays. */
	assert_int_equal(run(pair, __func__, both, 2), 2);
	rig_expect(pair->rig, va, PATTERN_B);
	second_expect(second, next, PATTERN_A);

	assert_int_equal(second_add_viommu(second), 0);
	second_plug(second);
	assert_int_equal(run(pair, __func__, both, 2), 4);
	second_expect(second, next, PATTERN_B);
}

static void invalidate_all_asks_every_smmu(void **state)
{
	struct pair *pair = *state;
	uint64_t va = rig_fresh_va(pair->rig);
	uint64_t next = va + GUEST_PAGE_SIZE;

	make_both_stale(pair, va, next);
	recorder_begin(&pair->rig->recorder, __func__);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(pair->rig->vsmmu, NULL),
			 0);
	recorder_end(&pair->rig->recorder);
	rig_expect(pair->rig, va, PATTERN_B);
	second_expect(&pair->second, next, PATTERN_B);
}

static void hosts_queues_never_suffered(void **state)
{
	(void)state;
	kernel_log_assert_quiet(__func__);
}

static int setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	void *rig = NULL;

	assert_non_null(pair);
	assert_int_equal(rig_group_setup(&rig), 0);
	pair->rig = rig;
	pair->free_id = lowest_free_id(pair->rig->nested.iommufd);
	second_open(&pair->second, pair->rig);
	*state = pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;
	void *rig = pair->rig;
	int error;

	second_close(&pair->second);
	assert_int_equal(lowest_free_id(pair->rig->nested.iommufd),
			 pair->free_id);
	error = rig_group_teardown(&rig);
	free(pair);
	return error;
}

static int end_window(void **state)
{
	struct pair *pair = *state;

	recorder_end(&pair->rig->recorder);
	return 0;
}

#define PAIR_TEST(name) cmocka_unit_test_teardown(name, end_window)

int test_pair(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(each_device_has_a_stream_of_its_own),
		PAIR_TEST(cfgi_cd_goes_to_the_one_device),
		PAIR_TEST(cfgi_cd_all_goes_to_the_one_device),
		PAIR_TEST(tlbi_reaches_both_devices),
		PAIR_TEST(tlbi_by_address_reaches_both_devices),
		PAIR_TEST(window_of_both_asks_each_smmu_only_for_its_part),
		PAIR_TEST(stream_that_goes_leaves_the_other_alone),
		PAIR_TEST(failure_of_one_does_not_keep_the_other_from_its_part),
		PAIR_TEST(invalidate_all_asks_every_smmu),
		PAIR_TEST(hosts_queues_never_suffered),
	};

	return cmocka_run_group_tests_name("pair", tests, setup, teardown);
}

int test_two_smmus(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(device_is_refused_on_the_wrong_smmu),
		PAIR_TEST(smmu_comes_and_goes),
	};
	int failed;

	second_has_an_smmu_of_its_own = true;
	failed = cmocka_run_group_tests_name("two smmus", tests, setup,
					     teardown);
	return failed + test_pair();
}
