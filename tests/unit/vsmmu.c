/* SPDX-License-Identifier: MIT */
/*
 * Making a virtual SMMU, its list of vIOMMUs, and its counters.
 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vm.h"

static int setup(void **state)
{
	const struct vm_options options = { .empty = true };
	struct vm *vm = calloc(1, sizeof(*vm));

	vm_open_with(vm, &options);
	*state = vm;
	return 0;
}

static int teardown(void **state)
{
	vm_close(*state);
	free(*state);
	return 0;
}

/* Of another virtual SMMU over the same backend. */
static struct smmuinv_vsmmu_params params_of(const struct vm *vm)
{
	return (struct smmuinv_vsmmu_params){
		.size = sizeof(struct smmuinv_vsmmu_params),
		.backend = vm->backend,
		.viommu_id = vm->smmu[0].viommu,
		.guest = everything,
		.host = everything,
	};
}

/* Bits of an ID register that a host lacks. */
struct lack {
	unsigned int idr;
	uint32_t bits;
	uint32_t feature; /* enum smmuinv_feature */
};

/* An invalidation would be lost or refused for want of these. */
static const struct lack needed[] = {
	{ 0, 1u << 12, SMMUINV_FEATURE_ASID16 },
	{ 0, 1u << 10, SMMUINV_FEATURE_ATS },
	{ 1, 0x1f << 6, SMMUINV_FEATURE_SSIDSIZE },
	{ 5, 1u << 4, SMMUINV_FEATURE_GRAN4K },
	{ 5, 1u << 5, SMMUINV_FEATURE_GRAN16K },
	{ 5, 1u << 6, SMMUINV_FEATURE_GRAN64K },
	{ 5, 1u << 7, SMMUINV_FEATURE_DS },
};

/* No invalidation depends on these: ranges become pages. */
static const struct lack advice[] = {
	{ 0, 1u << 19, SMMUINV_FEATURE_CD2L },
	{ 3, 1u << 10, SMMUINV_FEATURE_RIL },
	{ 5, 7u, SMMUINV_FEATURE_OAS },
};

static int make_lacking(const struct vm *vm, const struct lack *lack,
			uint32_t *feature)
{
	struct smmuinv_vsmmu_params params = params_of(vm);
	struct smmuinv_vsmmu *vsmmu = NULL;
	int rc;

	params.host.idr[lack->idr] &= ~lack->bits;
	*feature = SMMUINV_FEATURE_COUNT;
	rc = smmuinv_vsmmu_new(&params, &vsmmu, feature);
	assert_int_equal(rc != 0, vsmmu == NULL);
	smmuinv_vsmmu_free(vsmmu);
	/* Whoever does not ask is not answered. */
	vsmmu = NULL;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu, NULL), rc);
	smmuinv_vsmmu_free(vsmmu);
	return rc;
}

static int add_lacking(const struct vm *vm, const struct lack *lack,
		       uint32_t *feature)
{
	struct smmuinv_viommu_params params = vm_viommu_params(vm, 0);
	int rc;

	params.viommu_id = 999;
	params.host.idr[lack->idr] &= ~lack->bits;
	*feature = SMMUINV_FEATURE_COUNT;
	rc = smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, feature);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(vm->vsmmu, 999),
			 rc ? -ENOENT : 0);
	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, NULL),
			 rc);
	if (!rc)
		smmuinv_vsmmu_remove_viommu(vm->vsmmu, 999);
	return rc;
}

static void a_host_without_what_invalidations_need_is_refused(void **state)
{
	uint32_t feature;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		assert_int_equal(make_lacking(*state, &needed[i], &feature),
				 -EOPNOTSUPP);
		assert_int_equal(feature, needed[i].feature);
		assert_int_equal(add_lacking(*state, &needed[i], &feature),
				 -EOPNOTSUPP);
		assert_int_equal(feature, needed[i].feature);
	}
}

static void a_host_without_anything_else_is_not_refused(void **state)
{
	uint32_t feature;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		assert_int_equal(make_lacking(*state, &advice[i], &feature), 0);
		assert_int_equal(feature, SMMUINV_FEATURE_COUNT);
		assert_int_equal(add_lacking(*state, &advice[i], &feature), 0);
		assert_int_equal(feature, SMMUINV_FEATURE_COUNT);
	}
}

/* Bits of a guest's ID registers that a host has not. */
static void a_guest_that_was_shown_broadcast_tlbis_is_refused(void **state)
{
	struct smmuinv_vsmmu_params params = params_of(*state);
	struct smmuinv_vsmmu *vsmmu = NULL;
	uint32_t feature = SMMUINV_FEATURE_COUNT;

	params.guest.idr[0] |= 1u << 5; /* BTM */
	params.host.idr[0] |= 1u << 5;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu, &feature),
			 -EOPNOTSUPP);
	assert_string_equal(smmuinv_feature_name(feature), "IDR0.BTM");
	assert_null(vsmmu);
}

static void choices_out_of_their_range_are_refused(void **state)
{
	static const struct {
		uint32_t plan;
		uint32_t pages_max;
		uint32_t retries_max;
		int rc;
	} cases[] = {
		{ SMMUINV_PLAN_MERGED, 1, 1, 0 },
		{ SMMUINV_PLAN_AS_WRITTEN, SMMUINV_BATCH_CAPACITY_MAX, 4096,
		  0 },
		{ SMMUINV_PLAN_AS_WRITTEN + 1, 0, 0, -EINVAL },
		{ UINT32_MAX, 0, 0, -EINVAL },
		{ 0, SMMUINV_BATCH_CAPACITY_MAX + 1, 0, -EINVAL },
		{ 0, UINT32_MAX, 0, -EINVAL },
		{ 0, 0, 4097, -EINVAL },
		{ 0, 0, UINT32_MAX, -EINVAL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct smmuinv_vsmmu_params params = params_of(*state);
		struct smmuinv_vsmmu *vsmmu = NULL;

		params.plan = cases[i].plan;
		params.pages_max = cases[i].pages_max;
		params.retries_max = cases[i].retries_max;
		params.timeouts_max = UINT32_MAX;
		assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu, NULL),
				 cases[i].rc);
		smmuinv_vsmmu_free(vsmmu);
	}
}

/* Until the first SMMU is there, no device can be, and nothing is sent. */
static void a_vsmmu_may_begin_without_any_viommu(void **state)
{
	struct vm *vm = *state;
	struct smmuinv_vsmmu_params params = params_of(vm);
	const struct smmuinv_viommu_params viommu = vm_viommu_params(vm, 0);
	const struct smmuinv_command commands[] = { tlbi_va(0x1000),
						    cfgi_cd(0x20) };
	const struct smmuinv_stream_params stream = {
		.size = sizeof(stream),
		.vsid = 0x20,
		.dev_id = vm_device(vm, 0),
	};
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_batch *batch;
	struct smmuinv_vsmmu *vsmmu;

	params.viommu_id = 0;
	params.host = (struct smmuinv_features){ { 0 } };
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu, NULL), 0);
	assert_int_equal(smmuinv_batch_new(vsmmu, 4, &batch), 0);
	assert_int_equal(smmuinv_vsmmu_add_stream(vsmmu, &stream), -EXDEV);
	assert_int_equal(smmuinv_batch_submit(batch, commands, 2, &result), 0);
	assert_int_equal(result.completed, 2);
	assert_int_equal(result.dropped, 2);
	assert_int_equal(result.ioctls, 0);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(vsmmu, &result), 0);
	assert_int_equal(result.ioctls, 0);
	assert_int_equal(smmuinv_vsmmu_add_viommu(vsmmu, &viommu, NULL), 0);
	assert_int_equal(smmuinv_vsmmu_add_stream(vsmmu, &stream), 0);
	assert_int_equal(smmuinv_batch_submit(batch, commands, 2, &result), 0);
	assert_int_equal(result.forwarded, 2);
	assert_int_equal(result.dropped, 0);
	smmuinv_batch_free(batch);
	smmuinv_vsmmu_free(vsmmu);
}

static void freeing_takes_the_streams_along(void **state)
{
	struct vm *vm = *state;
	size_t before = smmuinv_mock_objects(vm->mock);
	uint32_t vsid;

	for (vsid = 1; vsid <= 10; vsid++)
		vm_plug(vm, vsid * 1000);
	/* One that is gone already stops nothing. */
	vm_lose_vdevice(vm, 5000);
	smmuinv_vsmmu_free(vm->vsmmu);
	vm->vsmmu = NULL;
	assert_int_equal(smmuinv_mock_objects(vm->mock), before + 10);
	smmuinv_vsmmu_free(NULL);
}

static void the_library_reports_its_release(void **state)
{
	char release[32];

	(void)state;
	snprintf(release, sizeof(release), "%d.%d.%d", SMMUINV_VERSION_MAJOR,
		 SMMUINV_VERSION_MINOR, SMMUINV_VERSION_PATCH);
	assert_string_equal(smmuinv_version(), release);
}

static void the_list_of_viommus_has_its_bounds(void **state)
{
	struct vm *vm = *state;
	struct smmuinv_viommu_params params = vm_viommu_params(vm, 0);
	uint32_t i;

	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, NULL),
			 -EEXIST);
	params.viommu_id = 0;
	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, NULL),
			 -EINVAL);
	for (i = 1; i < SMMUINV_VIOMMUS_MAX; i++) {
		params.viommu_id = 1000 + i;
		assert_int_equal(
			smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, NULL), 0);
	}
	params.viommu_id = 1000 + i;
	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, NULL),
			 -ENOSPC);
	/* What is there is reported as there, full or not. */
	params.viommu_id = 1002;
	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, NULL),
			 -EEXIST);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(vm->vsmmu, 1002), 0);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(vm->vsmmu, 1002), -ENOENT);
	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, NULL), 0);
}

static void a_viommu_with_streams_stays(void **state)
{
	const struct vm_options options = { .smmus = 2, .empty = true };
	struct vm vm;

	(void)state;
	vm_open_with(&vm, &options);
	vm_plug_on(&vm, 1, 0);
	vm_plug_on(&vm, 1, UINT32_MAX);
	vm_plug_on(&vm, 0, 7);
	assert_int_equal(
		smmuinv_vsmmu_remove_viommu(vm.vsmmu, vm.smmu[1].viommu),
		-EBUSY);
	vm_unplug(&vm, 0);
	assert_int_equal(
		smmuinv_vsmmu_remove_viommu(vm.vsmmu, vm.smmu[1].viommu),
		-EBUSY);
	vm_unplug(&vm, UINT32_MAX);
	assert_int_equal(
		smmuinv_vsmmu_remove_viommu(vm.vsmmu, vm.smmu[1].viommu), 0);
	vm_close(&vm);
}

static int add_on(struct vm *vm, uint32_t which, uint32_t viommu)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = 99,
		.viommu_id = viommu,
		.dev_id = vm_device(vm, which),
	};

	return smmuinv_vsmmu_add_stream(vm->vsmmu, &params);
}

static void a_stream_is_taken_only_on_a_viommu_of_the_list(void **state)
{
	const struct vm_options options = { .smmus = 2, .empty = true };
	uint32_t viommus[2];
	struct vm vm;

	(void)state;
	vm_open_with(&vm, &options);
	viommus[0] = vm.smmu[0].viommu;
	viommus[1] = vm.smmu[1].viommu;
	assert_int_equal(add_on(&vm, 1, 12345), -EXDEV);
	/* There are two: the VMM has to choose. */
	assert_int_equal(add_on(&vm, 1, 0), -EXDEV);
	assert_int_equal(add_on(&vm, 1, viommus[1]), 0);
	assert_int_equal(vm_stream(&vm, 99).viommu_id, viommus[1]);
	vm_unplug(&vm, 99);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(vm.vsmmu, viommus[0]), 0);
	assert_int_equal(add_on(&vm, 1, 0), 0);
	assert_int_equal(vm_stream(&vm, 99).viommu_id, viommus[1]);
	vm_unplug(&vm, 99);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(vm.vsmmu, viommus[1]), 0);
	assert_int_equal(add_on(&vm, 1, 0), -EXDEV);
	assert_int_equal(add_on(&vm, 1, viommus[1]), -EXDEV);
	vm_close(&vm);
}

/* What all have is offered, and each can carry it. */
static void a_guest_of_what_all_have_is_carried_by_each(void **state)
{
	size_t tries = test_iterations(2000);

	(void)state;
	while (tries--) {
		const struct smmuinv_offer offer = { .size = sizeof(offer) };
		struct smmuinv_features hosts[3];
		struct smmuinv_features all, guest;
		struct vm_options options = {
			.smmus = 3,
			.guest = &guest,
			.empty = true,
		};
		struct vm vm;
		uint32_t i;
		int rc = 0;

		for (i = 0; i < 3; i++) {
			hosts[i] = test_features_random_host();
			options.smmu[i].host = &hosts[i];
		}
		all = hosts[0];
		for (i = 1; i < 3 && !rc; i++)
			rc = smmuinv_features_common(&all, &all, &hosts[i],
						     NULL);
		if (rc || smmuinv_features_offer(&guest, &all, &offer, NULL))
			continue;
		assert_int_equal(vm_try(&vm, &options, NULL), 0);
		vm_close(&vm);
	}
}

static void bad_arguments_are_refused(void **state)
{
	struct vm *vm = *state;
	struct smmuinv_vsmmu_params params = params_of(vm);
	struct smmuinv_viommu_params viommu = vm_viommu_params(vm, 0);
	struct smmuinv_counters counters = { .size = 1 };
	struct smmuinv_vsmmu *vsmmu = NULL;

	assert_int_equal(smmuinv_vsmmu_new(NULL, &vsmmu, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_new(&params, NULL, NULL), -EINVAL);
	params.size--;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu, NULL), -EINVAL);
	params = params_of(vm);
	params.backend = NULL;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu, NULL), -EINVAL);
	assert_null(vsmmu);
	viommu.viommu_id = 7;
	assert_int_equal(smmuinv_vsmmu_add_viommu(NULL, &viommu, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, NULL, NULL),
			 -EINVAL);
	viommu.size--;
	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, &viommu, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(NULL, 1), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_counters(NULL, &counters), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_counters(vm->vsmmu, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_counters(vm->vsmmu, &counters), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_without_what_invalidations_need_is_refused),
		TEST(a_host_without_anything_else_is_not_refused),
		TEST(a_guest_that_was_shown_broadcast_tlbis_is_refused),
		TEST(choices_out_of_their_range_are_refused),
		TEST(a_vsmmu_may_begin_without_any_viommu),
		TEST(freeing_takes_the_streams_along),
		TEST(the_library_reports_its_release),
		TEST(the_list_of_viommus_has_its_bounds),
		cmocka_unit_test(a_viommu_with_streams_stays),
		cmocka_unit_test(
			a_stream_is_taken_only_on_a_viommu_of_the_list),
		cmocka_unit_test(a_guest_of_what_all_have_is_carried_by_each),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("vsmmu", tests, NULL, NULL);
}
