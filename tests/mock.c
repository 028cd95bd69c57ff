/* SPDX-License-Identifier: MIT */
/*
 * The mock does what Linux 7.3 was measured to do.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../lib/backend.h"
#include "fixture.h"
#include "support.h"

#define MANY 130

static int invalidate(struct fixture *f, const struct smmuinv_command *commands,
		      uint32_t *count)
{
	return smmuinv__backend_invalidate(f->backend, f->viommu, commands,
					   count);
}

static void every_command_of_a_good_call_is_executed_in_order(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_command commands[MANY];
	const struct smmuinv_command *executed;
	uint32_t n, i;

	for (i = 0; i < MANY; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
	for (n = 1; n <= MANY; n++) {
		uint32_t count = n;

		smmuinv_mock_forget(f->mock);
		assert_int_equal(invalidate(f, commands, &count), 0);
		assert_int_equal(count, n);
		assert_int_equal(smmuinv_mock_executed(f->mock, &executed), n);
		for (i = 0; i < n; i++)
			assert_command_equal(&executed[i], &commands[i]);
	}
	assert_int_equal(smmuinv_mock_calls(f->mock), MANY);
}

static void a_refusal_counts_commands_that_were_never_sent(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_command commands[MANY];
	uint32_t bad, i;

	for (bad = 0; bad < MANY; bad++) {
		uint32_t count = MANY;

		for (i = 0; i < MANY; i++)
			commands[i] = tlbi_va((uint64_t)i << 12);
		commands[bad] = raw(0xff, 0);
		smmuinv_mock_forget(f->mock);
		assert_int_equal(invalidate(f, commands, &count), -EIO);
		assert_int_equal(count, bad);
		/* Blocks of 63 were sent when they were full. */
		assert_int_equal(smmuinv_mock_executed(f->mock, NULL),
				 bad / 63 * 63);
	}
}

static void an_entry_of_zeros_is_refused(void **state)
{
	struct smmuinv_command command = raw(0, 0);
	uint32_t count = 1;

	assert_int_equal(invalidate(*state, &command, &count), -EIO);
}

static void a_vsid_without_vdevice_is_refused(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_command command = cfgi_cd(FIXTURE_VSID);
	uint32_t count = 1;

	assert_int_equal(invalidate(f, &command, &count), 0);
	command = cfgi_cd(FIXTURE_VSID + 1);
	assert_int_equal(invalidate(f, &command, &count), -EIO);
	assert_int_equal(count, 0);
}

static void no_entries_are_einval(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_command command = tlbi_va(0);
	uint32_t count = 0;

	assert_int_equal(invalidate(f, &command, &count), -EINVAL);
}

static void too_large_calls_fail_as_the_kernels_do(void **state)
{
	struct fixture *f = *state;
	uint32_t many = (1u << 19) + 1;
	struct smmuinv_command *commands = calloc(many, sizeof(*commands));
	uint32_t count = many;

	assert_non_null(commands);
	assert_int_equal(invalidate(f, commands, &count), -EINVAL);
	assert_int_equal(count, 0);
	/* The kernel finds no 4 MiB in one piece, and leaves the count alone. */
	count = (1u << 18) + 1;
	assert_int_equal(invalidate(f, commands, &count), -ENOMEM);
	assert_int_equal(count, (1u << 18) + 1);
	assert_int_equal(smmuinv_mock_executed(f->mock, NULL), 0);
	free(commands);
}

static void only_a_viommu_takes_invalidations(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_command command = tlbi_va(0);
	uint32_t count = 1;

	assert_int_equal(smmuinv__backend_invalidate(f->backend, 999, &command,
						     &count),
			 -ENOENT);
	count = 1;
	assert_int_equal(smmuinv__backend_invalidate(f->backend, f->device,
						     &command, &count),
			 -EINVAL);
}

static void a_device_has_one_vdevice_and_a_vsid_one_device(void **state)
{
	struct fixture *f = *state;
	uint32_t other = fixture_add_device(f);
	uint32_t id;

	assert_int_equal(smmuinv__backend_vdevice_alloc(
				 f->backend, f->viommu, f->device, 1, &id),
			 -EEXIST);
	assert_int_equal(smmuinv__backend_vdevice_alloc(f->backend, f->viommu,
							other, FIXTURE_VSID,
							&id),
			 -EEXIST);
	assert_int_equal(smmuinv__backend_vdevice_alloc(f->backend, 999, other,
							1, &id),
			 -ENOENT);
	assert_int_equal(smmuinv__backend_vdevice_alloc(f->backend, f->viommu,
							999, 1, &id),
			 -ENOENT);
	assert_int_equal(smmuinv__backend_vdevice_alloc(f->backend, f->viommu,
							other, 1, &id),
			 0);
	assert_int_equal(smmuinv__backend_destroy(f->backend, id), 0);
}

static void objects_are_destroyed_children_first(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(smmuinv_mock_objects(f->mock), 3);
	assert_int_equal(smmuinv_mock_destroy(f->mock, f->viommu), -EBUSY);
	assert_int_equal(smmuinv_mock_destroy(f->mock, f->device), -EBUSY);
	assert_int_equal(smmuinv_streams_remove(f->streams, FIXTURE_VSID), 0);
	assert_int_equal(smmuinv_mock_destroy(f->mock, f->device), 0);
	assert_int_equal(smmuinv_mock_destroy(f->mock, f->viommu), 0);
	assert_int_equal(smmuinv_mock_destroy(f->mock, f->viommu), -ENOENT);
	assert_int_equal(smmuinv_mock_objects(f->mock), 0);
}

static void device_info_tells_the_hosts_features(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct smmuinv_features host;

	assert_int_equal(
		smmuinv_backend_device_info(f->backend, f->device, &info), 0);
	assert_int_equal(info.max_pasid_log2, 20);
	assert_int_equal(info.capabilities, 0);
	assert_int_equal(smmuinv_features_from_hw_info(&host, &info.hw, true),
			 0);
	assert_int_equal(smmuinv_features_compatible(&everything, &host, NULL),
			 0);
	assert_int_equal(smmuinv_backend_device_info(f->backend, 999, &info),
			 -ENOENT);
}

static void without_ats_the_devices_say_so(void **state)
{
	struct smmuinv_features features = everything;
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct fixture f;

	(void)state;
	features.idr[0] &= ~(1u << 10);
	fixture_open(&f, &features);
	assert_int_equal(smmuinv_backend_device_info(f.backend, f.device, &info),
			 0);
	assert_int_equal(info.capabilities, SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED);
	fixture_close(&f);
}

static void faults_happen_once_and_in_order(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_mock_fault second = {
		.size = sizeof(second),
		.pass = 1,
		.error = -ENOMEM,
		.count = SMMUINV_MOCK_COUNT_AS_GIVEN,
	};
	struct smmuinv_command commands[4];
	uint32_t i, count = 4;

	for (i = 0; i < 4; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
	inject(f, -ETIMEDOUT, 2, 3);
	assert_int_equal(smmuinv_mock_inject(f->mock, &second), 0);
	assert_int_equal(smmuinv_mock_faults_left(f->mock), 2);

	assert_int_equal(invalidate(f, commands, &count), -ETIMEDOUT);
	assert_int_equal(count, 3);
	assert_int_equal(smmuinv_mock_executed(f->mock, NULL), 2);
	count = 4;
	assert_int_equal(invalidate(f, commands, &count), 0);
	assert_int_equal(invalidate(f, commands, &count), -ENOMEM);
	assert_int_equal(count, 4);
	assert_int_equal(smmuinv_mock_executed(f->mock, NULL), 6);
	assert_int_equal(smmuinv_mock_faults_left(f->mock), 0);
	assert_int_equal(invalidate(f, commands, &count), 0);
}

/* A mock of another kernel, with one device and caches behind it. */
struct other_kernel {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *backend;
	struct smmuinv_caches *caches;
	uint32_t viommu;
	uint32_t vdevice;
};

static void other_kernel_open(struct other_kernel *k,
			      enum smmuinv_mock_kernel kernel)
{
	struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = everything,
		.kernel = kernel,
	};
	uint32_t device;

	assert_int_equal(smmuinv_caches_new(1, &k->caches), 0);
	params.caches = k->caches;
	assert_int_equal(smmuinv_mock_new(&params, &k->mock), 0);
	assert_int_equal(smmuinv_mock_backend(k->mock, &k->backend), 0);
	assert_int_equal(smmuinv_mock_add_viommu(k->mock, &k->viommu), 0);
	assert_int_equal(smmuinv_mock_add_device(k->mock, &device), 0);
	assert_int_equal(smmuinv__backend_vdevice_alloc(k->backend, k->viommu,
							device, FIXTURE_VSID,
							&k->vdevice),
			 0);
}

static void other_kernel_close(struct other_kernel *k)
{
	smmuinv_backend_free(k->backend);
	smmuinv_mock_free(k->mock);
	smmuinv_caches_free(k->caches);
}

static int other_invalidate(struct other_kernel *k,
			    const struct smmuinv_command *commands,
			    uint32_t *count)
{
	return smmuinv__backend_invalidate(k->backend, k->viommu, commands,
					   count);
}

/* Measured on 7.2.12: ETIMEDOUT, and entry_num 2. */
static void an_old_kernel_lets_an_illegal_field_stop_the_hosts_queue(void **state)
{
	const struct smmuinv_command commands[] = {
		tlbi_va(0),
		raw((uint64_t)FIXTURE_VSID << 32 | 1 << 10 |
			    SMMUINV_CMD_CFGI_CD,
		    0),
		raw(SMMUINV_CMD_TLBI_NH_ASID, 0),
	};
	struct other_kernel k;
	uint32_t count = 3;

	(void)state;
	other_kernel_open(&k, SMMUINV_MOCK_6_13);
	assert_int_equal(other_invalidate(&k, commands, &count), -ETIMEDOUT);
	assert_int_equal(count, 2);
	assert_int_equal(smmuinv_mock_wedged(k.mock), 1);
	assert_int_equal(smmuinv_mock_executed(k.mock, NULL), 1);
	other_kernel_close(&k);
}

static void an_old_kernel_checks_the_opcode_and_the_vsid(void **state)
{
	struct smmuinv_command sync = cmd_sync();
	struct smmuinv_command absent = cfgi_cd(0xbad);
	struct other_kernel k;
	uint32_t count = 1;

	(void)state;
	other_kernel_open(&k, SMMUINV_MOCK_6_13);
	assert_int_equal(other_invalidate(&k, &sync, &count), -EIO);
	count = 1;
	assert_int_equal(other_invalidate(&k, &absent, &count), -EIO);
	assert_int_equal(smmuinv_mock_wedged(k.mock), 0);
	other_kernel_close(&k);
}

static void a_later_kernel_has_executed_what_it_counts(void **state)
{
	struct smmuinv_command commands[MANY];
	struct other_kernel k;
	uint32_t bad, i;

	(void)state;
	other_kernel_open(&k, SMMUINV_MOCK_EXACT);
	for (bad = 0; bad < MANY; bad++) {
		uint32_t count = MANY;

		for (i = 0; i < MANY; i++)
			commands[i] = tlbi_va((uint64_t)i << 12);
		commands[bad] = raw(0xff, 0);
		smmuinv_mock_forget(k.mock);
		assert_int_equal(other_invalidate(&k, commands, &count), -EIO);
		assert_int_equal(count, bad);
		assert_int_equal(smmuinv_mock_executed(k.mock, NULL), bad);
	}
	other_kernel_close(&k);
}

static void what_is_executed_is_executed_on_the_caches(void **state)
{
	struct smmuinv_cache_entry entry = {
		.size = sizeof(entry),
		.kind = SMMUINV_CACHED_CD,
		.sid = FIXTURE_VSID,
	};
	struct smmuinv_command command = cfgi_cd(FIXTURE_VSID);
	struct other_kernel k;
	uint32_t count = 1;

	(void)state;
	other_kernel_open(&k, SMMUINV_MOCK_7_3);
	assert_int_equal(smmuinv_caches_insert(k.caches, &entry), 0);
	assert_int_equal(other_invalidate(&k, &command, &count), 0);
	assert_false(smmuinv_caches_has(k.caches, 0));
	other_kernel_close(&k);
}

static void every_ioctl_can_be_made_to_fail(void **state)
{
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.delay_us = 1,
	};
	struct fixture *f = *state;
	uint32_t device = fixture_add_device(f);
	uint32_t id;

	fault.call = SMMUINV_MOCK_DEVICE_INFO;
	fault.error = -ENODEV;
	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
	fault.call = SMMUINV_MOCK_VDEVICE_ALLOC;
	fault.error = -ENOMEM;
	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
	fault.call = SMMUINV_MOCK_DESTROY;
	fault.error = -EBUSY;
	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);

	/* Each waits for its own ioctl, whatever the order of the calls. */
	assert_int_equal(smmuinv__backend_vdevice_alloc(f->backend, f->viommu,
							device, 1, &id),
			 -ENOMEM);
	assert_int_equal(smmuinv__backend_destroy(f->backend, device), -EBUSY);
	assert_int_equal(smmuinv_backend_device_info(f->backend, device, &info),
			 -ENODEV);
	assert_int_equal(smmuinv__backend_destroy(f->backend, device), 0);
}

static void a_vdevice_vanishes_before_the_call(void **state)
{
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.vanish = true,
		.vsid = FIXTURE_VSID,
	};
	struct smmuinv_command command = cfgi_cd(FIXTURE_VSID);
	struct fixture *f = *state;
	uint32_t count = 1;

	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
	assert_int_equal(invalidate(f, &command, &count), -EIO);
	/* What is gone cannot go again, nor on a vIOMMU that never was. */
	count = 1;
	assert_int_equal(smmuinv__backend_invalidate(f->backend, 999, &command,
						     &count),
			 -ENOENT);
	count = 1;
	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
	assert_int_equal(invalidate(f, &command, &count), -EIO);
}

static void what_is_left_is_freed(void **state)
{
	struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = everything,
	};
	struct smmuinv_mock_fault fault = { .size = sizeof(fault) };
	struct smmuinv_mock *mock;
	uint32_t id;

	(void)state;
	assert_int_equal(smmuinv_mock_new(&params, &mock), 0);
	assert_int_equal(smmuinv_mock_add_viommu(mock, &id), 0);
	assert_int_equal(smmuinv_mock_inject(mock, &fault), 0);
	smmuinv_mock_free(mock);
	smmuinv_mock_free(NULL);
}

static void bad_arguments_are_refused(void **state)
{
	struct smmuinv_mock_params params = { .size = sizeof(params) - 1 };
	struct smmuinv_mock_fault fault = { .size = 1 };
	struct fixture *f = *state;
	const struct smmuinv_mock_params unknown = {
		.size = sizeof(unknown),
		.kernel = SMMUINV_MOCK_EXACT + 1,
	};
	struct smmuinv_mock *mock;
	uint32_t id;
	size_t at;

	assert_int_equal(smmuinv_mock_new(&params, &mock), -EINVAL);
	assert_int_equal(smmuinv_mock_new(NULL, &mock), -EINVAL);
	params.size = sizeof(params);
	for (at = 0;
	     test_only_byte(&params.reserved, sizeof(params.reserved), at);
	     at++)
		assert_int_equal(smmuinv_mock_new(&params, &mock), -EINVAL);
	assert_int_equal(smmuinv_mock_new(&params, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_add_viommu(NULL, &id), -EINVAL);
	assert_int_equal(smmuinv_mock_add_device(f->mock, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_destroy(NULL, 1), -EINVAL);
	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), -EINVAL);
	assert_int_equal(smmuinv_mock_inject(NULL, NULL), -EINVAL);
	fault = (struct smmuinv_mock_fault){ .size = sizeof(fault), .call = 4 };
	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), -EINVAL);
	fault.call = 0;
	for (at = 0; test_only_byte(fault.reserved, sizeof(fault.reserved), at);
	     at++)
		assert_int_equal(smmuinv_mock_inject(f->mock, &fault), -EINVAL);
	assert_int_equal(smmuinv_mock_new(&unknown, &mock), -EINVAL);
	assert_int_equal(smmuinv_mock_new(&params, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_inject(f->mock, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_add_viommu(f->mock, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_backend(NULL, &f->backend), -EINVAL);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_command_of_a_good_call_is_executed_in_order),
		TEST(a_refusal_counts_commands_that_were_never_sent),
		TEST(an_entry_of_zeros_is_refused),
		TEST(a_vsid_without_vdevice_is_refused),
		TEST(no_entries_are_einval),
		TEST(too_large_calls_fail_as_the_kernels_do),
		TEST(only_a_viommu_takes_invalidations),
		TEST(a_device_has_one_vdevice_and_a_vsid_one_device),
		TEST(objects_are_destroyed_children_first),
		TEST(device_info_tells_the_hosts_features),
		cmocka_unit_test(without_ats_the_devices_say_so),
		TEST(faults_happen_once_and_in_order),
		cmocka_unit_test(
			an_old_kernel_lets_an_illegal_field_stop_the_hosts_queue),
		cmocka_unit_test(an_old_kernel_checks_the_opcode_and_the_vsid),
		cmocka_unit_test(a_later_kernel_has_executed_what_it_counts),
		cmocka_unit_test(what_is_executed_is_executed_on_the_caches),
		TEST(every_ioctl_can_be_made_to_fail),
		TEST(a_vdevice_vanishes_before_the_call),
		cmocka_unit_test(what_is_left_is_freed),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("mock", tests, NULL, NULL);
}
