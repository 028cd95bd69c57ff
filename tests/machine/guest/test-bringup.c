/* SPDX-License-Identifier: MIT */
/*
 * From the device's file to a virtual SMMU with a stream, and back, through the
 * library over the real /dev/iommu.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "child.h"
#include "cmocka-all.h"
#include "leaks.h"
#include "rig.h"
#include "tests.h"

#define EXAMPLE_SECONDS 20

/* No object has this id. */
#define NO_SUCH_ID 0x7fff0000u

static void print_registers(const char *whose, const uint32_t idr[6])
{
	printf("NOTE %s:", whose);
	for (int i = 0; i < 6; i++)
		printf(" idr%d=%08" PRIx32, i, idr[i]);
	printf("\n");
}

static uint32_t has(const struct smmuinv_features *features,
		    enum smmuinv_feature feature)
{
	return smmuinv_features_get(features, feature);
}

static void other_files_are_no_iommufd(void **state)
{
	struct smmuinv_backend *backend;
	int closed = dup(STDOUT_FILENO);
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0 && closed >= 0);
	assert_int_equal(smmuinv_iommufd_new(fd, &backend), -ENOTTY);
	close(fd);
	close(closed);
	assert_int_equal(smmuinv_iommufd_new(closed, &backend), -EBADF);
	fd = iommufd_open();
	assert_true(fd >= 0);
	assert_int_equal(smmuinv_iommufd_new(fd, &backend), 0);
	smmuinv_backend_free(backend);
	/* It is the caller's still. */
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

static void example_bringup_runs_on_the_real_kernel(void **state)
{
	const char *const argv[] = { "/bringup", rig_device.cdev, NULL };

	(void)state;
	assert_int_equal(child_run(argv, EXAMPLE_SECONDS), 0);
}

static void example_replay_runs_on_the_real_kernel(void **state)
{
	const char *const argv[] = {
		"/replay",
		"--backend",
		"iommufd",
		"--device",
		rig_device.cdev,
		"--streams",
		"0x10",
		"/corpus/02-lk73-both-lazy-io.bin",
		NULL,
	};

	(void)state;
	assert_int_equal(child_run(argv, EXAMPLE_SECONDS), 0);
}

static void bringup_and_teardown_leave_no_leak(void **state)
{
	void *rig = NULL;
	int before = open_files();

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_group_setup(&rig), 0);
		assert_int_equal(rig_group_teardown(&rig), 0);
		assert_int_equal(open_files(), before);
	}
}

static void host_features_are_those_of_this_smmu(void **state)
{
	const struct rig *rig = *state;
	const struct smmuinv_features *host = &rig->nested.host;

	print_registers("hw_info", rig->nested.info.hw.idr);
	print_registers("host", host->idr);
	print_registers("guest", rig->guest.idr);
	printf("NOTE flags=%" PRIx32 " capabilities=%" PRIx64 "\n",
	       rig->nested.info.hw.flags, rig->nested.info.capabilities);
	assert_int_equal(has(host, SMMUINV_FEATURE_S1P), 1);
	assert_int_equal(has(host, SMMUINV_FEATURE_RIL), 1);
	assert_int_equal(has(host, SMMUINV_FEATURE_ASID16), 1);
	assert_int_equal(has(host, SMMUINV_FEATURE_SIDSIZE), 16);
	assert_int_equal(has(host, SMMUINV_FEATURE_SSIDSIZE), 0);
	assert_int_equal(has(host, SMMUINV_FEATURE_DS), 0);
	assert_int_equal(has(host, SMMUINV_FEATURE_GRAN4K), 1);
	assert_int_equal(has(host, SMMUINV_FEATURE_GRAN16K), 1);
	assert_int_equal(has(host, SMMUINV_FEATURE_GRAN64K), 1);
	assert_int_equal(rig->nested.info.max_pasid_log2, 0);
}

static void offered_features_fit_the_host(void **state)
{
	const struct rig *rig = *state;
	struct smmuinv_compatibility report = { .size = sizeof(report) };
	uint32_t lacking;

	assert_int_equal(smmuinv_features_compatible(&rig->guest,
						     &rig->nested.host, &report,
						     &lacking),
			 0);
	assert_int_equal(report.carriage[SMMUINV_FEATURE_RIL], SMMUINV_CARRIED);
	assert_int_equal(report.carriage[SMMUINV_FEATURE_CMDQS],
			 SMMUINV_EMULATED);
	assert_int_equal(has(&rig->guest, SMMUINV_FEATURE_S1P), 1);
	assert_int_equal(has(&rig->guest, SMMUINV_FEATURE_S2P), 0);
	assert_int_equal(has(&rig->guest, SMMUINV_FEATURE_RIL), 1);
}

static void unknown_device_is_refused(void **state)
{
	const struct rig *rig = *state;
	struct smmuinv_device_info info = { .size = sizeof(info) };

	assert_int_equal(smmuinv_backend_device_info(rig->nested.backend,
						     NO_SUCH_ID, &info),
			 -ENOENT);
}

static void same_vsid_twice_is_refused(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), -EEXIST);
}

static void vsid_beyond_the_guests_sidsize_is_refused(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_plug(rig, rig->vsmmu, 1u << 16), -ERANGE);
}

/* A stream whose vDEVICE the library is to make. */
static int add_made(struct rig *rig, uint32_t dev_id, uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.dev_id = dev_id,
		.vsid = vsid,
	};
	int error = smmuinv_vsmmu_add_stream(rig->vsmmu, &params);

	if (error)
		assert_int_equal(
			smmuinv_vsmmu_find_stream(rig->vsmmu, vsid, NULL),
			-ENOENT);
	return error;
}

/* The kernel's own answers. */
static void kernel_refuses_what_does_not_exist_or_is_taken(void **state)
{
	struct rig *rig = *state;
	uint32_t device = rig->nested.device.id;
	struct smmuinv_viommu_params absent = {
		.size = sizeof(absent),
		.viommu_id = NO_SUCH_ID,
		.host = rig->nested.host,
	};
	struct smmuinv_stream_params on_absent = {
		.size = sizeof(on_absent),
		.viommu_id = NO_SUCH_ID,
		.dev_id = device,
		.vsid = RIG_VSID + 1,
	};

	assert_int_equal(add_made(rig, NO_SUCH_ID, RIG_VSID + 1), -ENOENT);
	assert_int_equal(add_made(rig, device, RIG_VSID + 1), -EEXIST);
	assert_int_equal(smmuinv_vsmmu_add_stream(rig->vsmmu, &on_absent),
			 -EXDEV);
	assert_int_equal(smmuinv_vsmmu_add_viommu(rig->vsmmu, &absent, NULL),
			 0);
	assert_int_equal(smmuinv_vsmmu_add_stream(rig->vsmmu, &on_absent),
			 -ENOENT);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(rig->vsmmu, NO_SUCH_ID),
			 0);
}

/* The library neither makes nor destroys it. */
static void vdevice_of_the_vmm_stays_the_vmms(void **state)
{
	struct rig *rig = *state;
	uint32_t free_id = lowest_free_id(rig->nested.iommufd);
	uint32_t vdevice = rig->nested.vdevice;
	struct smmuinv_stream_info info = rig_stream(rig, RIG_VSID);

	assert_false(info.made);
	assert_int_equal(info.viommu_id, rig->nested.viommu);
	assert_int_equal(info.vdevice_id, vdevice);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			smmuinv_vsmmu_remove_stream(rig->vsmmu, RIG_VSID), 0);
		assert_int_equal(lowest_free_id(rig->nested.iommufd), free_id);
		assert_int_equal(
			smmuinv_vsmmu_remove_stream(rig->vsmmu, RIG_VSID),
			-ENOENT);
		assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
		assert_int_equal(rig->nested.vdevice, vdevice);
	}
	assert_int_equal(lowest_free_id(rig->nested.iommufd), free_id);
	assert_int_equal(iommufd_destroy(rig->nested.iommufd, vdevice), 0);
	rig->nested.vdevice = 0;
	assert_int_equal(smmuinv_vsmmu_remove_stream(rig->vsmmu, RIG_VSID), 0);
	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
}

static void vdevice_of_the_library_comes_and_goes_without_a_leak(void **state)
{
	struct rig *rig = *state;
	uint32_t free_id = lowest_free_id(rig->nested.iommufd);
	struct smmuinv_stream_info info = rig_stream(rig, RIG_VSID);
	uint32_t vdevice = info.vdevice_id;

	assert_true(info.made);
	assert_int_equal(info.viommu_id, rig->nested.viommu);
	assert_int_equal(info.dev_id, rig->nested.device.id);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			smmuinv_vsmmu_remove_stream(rig->vsmmu, RIG_VSID), 0);
		assert_int_equal(lowest_free_id(rig->nested.iommufd), vdevice);
		assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
		assert_int_equal(rig_stream(rig, RIG_VSID).vdevice_id, vdevice);
	}
	assert_int_equal(lowest_free_id(rig->nested.iommufd), free_id);
}

int test_bringup(void)
{
	const struct CMUnitTest alone[] = {
		cmocka_unit_test(other_files_are_no_iommufd),
		cmocka_unit_test(example_bringup_runs_on_the_real_kernel),
		cmocka_unit_test(example_replay_runs_on_the_real_kernel),
		cmocka_unit_test(bringup_and_teardown_leave_no_leak),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_features_are_those_of_this_smmu),
		cmocka_unit_test(offered_features_fit_the_host),
		cmocka_unit_test(unknown_device_is_refused),
		cmocka_unit_test(same_vsid_twice_is_refused),
		cmocka_unit_test(vsid_beyond_the_guests_sidsize_is_refused),
		cmocka_unit_test(
			kernel_refuses_what_does_not_exist_or_is_taken),
		cmocka_unit_test(vdevice_of_the_vmm_stays_the_vmms),
	};
	const struct CMUnitTest made[] = {
		cmocka_unit_test(
			vdevice_of_the_library_comes_and_goes_without_a_leak),
	};
	int failed = cmocka_run_group_tests_name("life", alone, NULL, NULL);

	failed += cmocka_run_group_tests_name("bringup", tests, rig_group_setup,
					      rig_group_teardown);
	return failed +
	       cmocka_run_group_tests_name("bringup, the library's vDEVICE",
					   made, rig_group_setup_library_makes,
					   rig_group_teardown);
}
