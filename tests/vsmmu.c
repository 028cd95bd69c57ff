/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fixture.h"

static struct smmuinv_vsmmu_params params_of(const struct fixture *f)
{
	return (struct smmuinv_vsmmu_params){
		.size = sizeof(struct smmuinv_vsmmu_params),
		.backend = f->backend,
		.viommu_id = f->viommu,
		.guest = everything,
		.host = everything,
	};
}

static void a_guest_that_the_host_cannot_carry_is_refused(void **state)
{
	struct smmuinv_vsmmu_params params = params_of(*state);
	struct smmuinv_vsmmu *vsmmu = NULL;

	params.host.idr[3] = 0; /* no RIL */
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EOPNOTSUPP);
	assert_null(vsmmu);
}

static void a_vsid_must_fit_into_the_guests_sidsize(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_vsmmu_params params = params_of(f);
	struct smmuinv_vsmmu *vsmmu;
	uint32_t device = fixture_add_device(f);
	uint32_t bits;

	for (bits = 1; bits < 32; bits++) {
		params.guest.idr[1] = bits;
		assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
		assert_int_equal(smmuinv_vsmmu_add_stream(vsmmu, device,
							  1u << bits),
				 -ERANGE);
		assert_int_equal(smmuinv_vsmmu_add_stream(vsmmu, device,
							  (1u << bits) - 1),
				 0);
		assert_int_equal(smmuinv_vsmmu_remove_stream(vsmmu,
							     (1u << bits) - 1),
				 0);
		smmuinv_vsmmu_free(vsmmu);
	}
	assert_int_equal(smmuinv_vsmmu_add_stream(f->vsmmu, device,
						  0xffffffff),
			 0);
}

static void a_stream_is_added_on_the_vsmmus_own_viommu(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(smmuinv_streams_find(f->streams, FIXTURE_VSID, &info),
			 0);
	assert_int_equal(info.viommu_id, f->viommu);
	assert_int_equal(info.dev_id, f->device);
}

/* TLBIs go to the one vIOMMU: they would miss it. */
static void a_stream_on_another_viommu_is_refused(void **state)
{
	struct fixture *f = *state;
	uint32_t device = fixture_add_device(f);
	uint32_t viommu;

	assert_int_equal(smmuinv_mock_add_viommu(f->mock, &viommu), 0);
	assert_int_equal(smmuinv_streams_add(f->streams, viommu, device, 0x20),
			 -EXDEV);
	assert_int_equal(smmuinv_streams_add(f->streams, f->viommu, device,
					     0x20),
			 0);
}

static void freeing_takes_the_streams_along(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_vsmmu_params params = params_of(f);
	uint32_t device = fixture_add_device(f);
	size_t before = smmuinv_mock_objects(f->mock);
	struct smmuinv_vsmmu *vsmmu;

	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
	assert_int_equal(smmuinv_vsmmu_add_stream(vsmmu, device, 1), 0);
	assert_int_equal(smmuinv_mock_objects(f->mock), before + 1);
	smmuinv_vsmmu_free(vsmmu);
	assert_int_equal(smmuinv_mock_objects(f->mock), before);
	smmuinv_vsmmu_free(NULL);
}

static void strict_checking_is_a_choice(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_vsmmu_params params = params_of(f);
	/* NSNH_ALL with a bit that is in no field */
	const struct smmuinv_command command = raw(0x130, 0);
	struct smmuinv_batch *batch;
	struct smmuinv_vsmmu *vsmmu;

	params.check_flags = SMMUINV_CHECK_STRICT;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
	assert_int_equal(smmuinv_batch_new(vsmmu, 1, &batch), 0);
	assert_int_equal(smmuinv_batch_add(batch, &command, NULL),
			 SMMUINV_ILLEGAL);
	smmuinv_batch_free(batch);
	smmuinv_vsmmu_free(vsmmu);

	assert_int_equal(smmuinv_batch_new(f->vsmmu, 1, &batch), 0);
	assert_int_equal(smmuinv_batch_add(batch, &command, NULL),
			 SMMUINV_FORWARD);
	smmuinv_batch_free(batch);
}

static void the_library_tells_its_release(void **state)
{
	char release[32];

	(void)state;
	snprintf(release, sizeof(release), "%d.%d.%d", SMMUINV_VERSION_MAJOR,
		 SMMUINV_VERSION_MINOR, SMMUINV_VERSION_PATCH);
	assert_string_equal(smmuinv_version(), release);
}

static void bad_arguments_are_refused(void **state)
{
	struct smmuinv_vsmmu_params params = params_of(*state);
	struct smmuinv_vsmmu *vsmmu;

	assert_int_equal(smmuinv_vsmmu_new(NULL, &vsmmu), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_new(&params, NULL), -EINVAL);
	params.size--;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EINVAL);
	params = params_of(*state);
	params.backend = NULL;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EINVAL);
	params = params_of(*state);
	params.check_flags = 2;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EINVAL);
	params = params_of(*state);
	params.repeat = SMMUINV_REPEAT_NEVER + 1;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_stream(NULL, 1, 1), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_remove_stream(NULL, 1), -EINVAL);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_that_the_host_cannot_carry_is_refused),
		TEST(a_vsid_must_fit_into_the_guests_sidsize),
		TEST(a_stream_is_added_on_the_vsmmus_own_viommu),
		TEST(a_stream_on_another_viommu_is_refused),
		TEST(freeing_takes_the_streams_along),
		TEST(strict_checking_is_a_choice),
		TEST(the_library_tells_its_release),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("vsmmu", tests, NULL, NULL);
}
