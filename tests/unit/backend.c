/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <smmuinv/backend.h>

#include "backend.h"
#include "support.h"

/* A backend that answers what the test says. */
static int answer;
static uint32_t answered_reserved;
static uint32_t answered_count;

static int device_info(void *context, uint32_t dev_id,
		       struct smmuinv_device_info *info)
{
	(void)context;
	info->hw.idr[0] = dev_id;
	info->max_pasid_log2 = 7;
	info->reserved = answered_reserved;
	return answer;
}

static int vdevice_alloc(void *context, uint32_t viommu_id, uint32_t dev_id,
			 uint64_t virt_id, uint32_t *vdevice_id)
{
	(void)context;
	*vdevice_id = viommu_id + dev_id + (uint32_t)virt_id;
	return answer;
}

static int destroy(void *context, uint32_t id)
{
	*(uint32_t *)context = id;
	return answer;
}

static int invalidate(void *context, uint32_t viommu_id,
		      const struct smmuinv_command *commands, uint32_t *count)
{
	(void)context;
	(void)viommu_id;
	(void)commands;
	*count = answered_count;
	return answer;
}

static const struct smmuinv_backend_ops ops = {
	.size = sizeof(ops),
	.device_info = device_info,
	.vdevice_alloc = vdevice_alloc,
	.destroy = destroy,
	.invalidate = invalidate,
};

/* Whether a backend with the functions of @with can be made. */
static int make_with(bool device_info_too, bool alloc, bool destroy_too,
		     bool invalidate_too)
{
	const struct smmuinv_backend_ops some = {
		.size = sizeof(some),
		.device_info = device_info_too ? device_info : NULL,
		.vdevice_alloc = alloc ? vdevice_alloc : NULL,
		.destroy = destroy_too ? destroy : NULL,
		.invalidate = invalidate_too ? invalidate : NULL,
	};
	struct smmuinv_backend *backend = NULL;
	int rc = smmuinv_backend_new(&some, NULL, &backend);

	assert_int_equal(rc != 0, backend == NULL);
	smmuinv_backend_free(backend);
	return rc;
}

static void a_backend_needs_invalidate_and_vdevices_or_none(void **state)
{
	uint32_t has;

	(void)state;
	for (has = 0; has < 16; has++) {
		bool alloc = has & 2;
		bool destroys = has & 4;
		bool good = has & 8 && alloc == destroys;

		assert_int_equal(make_with(has & 1, alloc, destroys, has & 8),
				 good ? 0 : -EINVAL);
	}
}

static void a_backend_of_bad_arguments_is_refused(void **state)
{
	struct smmuinv_backend *backend = NULL;
	struct smmuinv_backend_ops o = ops;

	(void)state;
	o.size--;
	assert_int_equal(smmuinv_backend_new(&o, NULL, &backend), -EINVAL);
	assert_int_equal(smmuinv_backend_new(NULL, NULL, &backend), -EINVAL);
	assert_int_equal(smmuinv_backend_new(&ops, NULL, NULL), -EINVAL);
	assert_null(backend);
}

static void what_a_backend_cannot_do_is_enosys(void **state)
{
	static const struct smmuinv_backend_ops least = {
		.size = sizeof(least),
		.invalidate = invalidate,
	};
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct smmuinv_backend *backend;
	uint32_t id = 5;

	(void)state;
	answer = 0;
	assert_int_equal(smmuinv_backend_new(&least, NULL, &backend), 0);
	assert_int_equal(smmuinv_backend_device_info(backend, 42, &info),
			 -ENOSYS);
	assert_int_equal(smmuinv__backend_vdevice_alloc(backend, 1, 1, 1, &id),
			 -ENOSYS);
	assert_int_equal(id, 5);
	smmuinv_backend_free(backend);
}

static void count_release(void *context)
{
	++*(uint32_t *)context;
}

static void the_context_is_released_with_the_backend_and_once(void **state)
{
	struct smmuinv_backend_ops o = ops;
	struct smmuinv_backend *backend;
	uint32_t released = 0;

	(void)state;
	o.release = count_release;
	o.invalidate = NULL;
	assert_int_equal(smmuinv_backend_new(&o, &released, &backend), -EINVAL);
	assert_int_equal(released, 0);
	o.invalidate = invalidate;
	assert_int_equal(smmuinv_backend_new(&o, &released, &backend), 0);
	assert_int_equal(released, 0);
	smmuinv_backend_free(backend);
	assert_int_equal(released, 1);
}

static struct smmuinv_backend *backend_new(uint32_t *context)
{
	struct smmuinv_backend *backend;

	assert_int_equal(smmuinv_backend_new(&ops, context, &backend), 0);
	return backend;
}

static void every_call_reaches_the_backend(void **state)
{
	uint32_t destroyed = 0;
	struct smmuinv_backend *backend = backend_new(&destroyed);
	struct smmuinv_device_info info = { .size = sizeof(info),
					    .reserved = 1 };
	struct smmuinv_command command = { { 0 } };
	uint32_t id, count = 1;

	(void)state;
	answer = 0;
	answered_count = 1;
	assert_int_equal(smmuinv_backend_device_info(backend, 42, &info), 0);
	assert_int_equal(info.hw.idr[0], 42);
	assert_int_equal(info.max_pasid_log2, 7);
	assert_int_equal(info.reserved, 0);
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(
		smmuinv__backend_vdevice_alloc(backend, 1, 20, 300, &id), 0);
	assert_int_equal(id, 321);
	assert_int_equal(smmuinv__backend_destroy(backend, 9), 0);
	assert_int_equal(destroyed, 9);
	assert_int_equal(
		smmuinv__backend_invalidate(backend, 1, &command, &count), 0);
	assert_int_equal(count, 1);
	smmuinv_backend_free(backend);
}

static void success_for_another_number_is_a_protocol_error(void **state)
{
	const uint32_t counts[] = { 0, 1, 3, UINT32_MAX };
	struct smmuinv_command commands[2] = { { { 0 } } };
	uint32_t destroyed;
	struct smmuinv_backend *backend = backend_new(&destroyed);
	size_t i;

	(void)state;
	answer = 0;
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		uint32_t count = 2;

		answered_count = counts[i];
		assert_int_equal(smmuinv__backend_invalidate(backend, 1,
							     commands, &count),
				 -EPROTO);
	}
	smmuinv_backend_free(backend);
}

static void errors_come_through_and_leave_the_answer_alone(void **state)
{
	uint32_t destroyed;
	struct smmuinv_backend *backend = backend_new(&destroyed);
	struct smmuinv_device_info info = { .size = sizeof(info) };

	(void)state;
	answer = -ENOENT;
	assert_int_equal(smmuinv_backend_device_info(backend, 42, &info),
			 -ENOENT);
	assert_int_equal(info.hw.idr[0], 0);
	smmuinv_backend_free(backend);
}

static void a_positive_answer_is_a_protocol_error(void **state)
{
	uint32_t destroyed, id, count = 1;
	struct smmuinv_backend *backend = backend_new(&destroyed);
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct smmuinv_command command = { { 0 } };

	(void)state;
	answer = 1;
	assert_int_equal(smmuinv_backend_device_info(backend, 42, &info),
			 -EPROTO);
	assert_int_equal(smmuinv__backend_vdevice_alloc(backend, 1, 1, 1, &id),
			 -EPROTO);
	assert_int_equal(smmuinv__backend_destroy(backend, 9), -EPROTO);
	assert_int_equal(
		smmuinv__backend_invalidate(backend, 1, &command, &count),
		-EPROTO);
	smmuinv_backend_free(backend);
}

/* The answers of one call after the other. */
static int interrupted_by;
static unsigned int interruptions;

static int interrupted(void)
{
	if (!interruptions)
		return answer;
	interruptions--;
	return interrupted_by;
}

static int device_info_later(void *context, uint32_t dev_id,
			     struct smmuinv_device_info *info)
{
	(void)context;
	(void)dev_id;
	(void)info;
	return interrupted();
}

static int vdevice_alloc_later(void *context, uint32_t viommu_id,
			       uint32_t dev_id, uint64_t virt_id,
			       uint32_t *vdevice_id)
{
	(void)context;
	(void)viommu_id;
	(void)dev_id;
	(void)virt_id;
	*vdevice_id = 1;
	return interrupted();
}

static int destroy_later(void *context, uint32_t id)
{
	(void)context;
	(void)id;
	return interrupted();
}

static int invalidate_later(void *context, uint32_t viommu_id,
			    const struct smmuinv_command *commands,
			    uint32_t *count)
{
	(void)context;
	(void)viommu_id;
	(void)commands;
	assert_int_equal(*count, 3);
	*count = interruptions ? 2 : 3;
	return interrupted();
}

/* Each of the calls once, with so many interruptions. */
static void call_all(struct smmuinv_backend *backend, unsigned int times,
		     int expected)
{
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct smmuinv_command commands[3] = { { { 0 } } };
	uint32_t id, count = 3;

	interruptions = times;
	assert_int_equal(smmuinv_backend_device_info(backend, 1, &info),
			 expected);
	interruptions = times;
	assert_int_equal(smmuinv__backend_vdevice_alloc(backend, 1, 1, 1, &id),
			 expected);
	interruptions = times;
	assert_int_equal(smmuinv__backend_destroy(backend, 1), expected);
	interruptions = times;
	assert_int_equal(
		smmuinv__backend_invalidate(backend, 1, commands, &count),
		expected);
}

static void interrupted_calls_are_repeated_but_not_for_ever(void **state)
{
	static const struct smmuinv_backend_ops later = {
		.size = sizeof(later),
		.device_info = device_info_later,
		.vdevice_alloc = vdevice_alloc_later,
		.destroy = destroy_later,
		.invalidate = invalidate_later,
	};
	const int errors[] = { -EINTR, -EAGAIN };
	struct smmuinv_backend *backend;
	unsigned int e;

	(void)state;
	answer = 0;
	assert_int_equal(smmuinv_backend_new(&later, NULL, &backend), 0);
	for (e = 0; e < 2; e++) {
		interrupted_by = errors[e];
		call_all(backend, 999, 0);
		call_all(backend, 1000, errors[e]);
	}
	smmuinv_backend_free(backend);
}

static void a_reserved_answer_is_a_protocol_error(void **state)
{
	uint32_t destroyed;
	struct smmuinv_backend *backend = backend_new(&destroyed);
	struct smmuinv_device_info info = { .size = sizeof(info) };
	size_t at;

	(void)state;
	answer = 0;
	for (at = 0;
	     test_only_byte(&answered_reserved, sizeof(answered_reserved), at);
	     at++) {
		assert_int_equal(
			smmuinv_backend_device_info(backend, 42, &info),
			-EPROTO);
		assert_int_equal(info.hw.idr[0], 0);
	}
	smmuinv_backend_free(backend);
}

static void bad_arguments_are_refused(void **state)
{
	uint32_t destroyed;
	struct smmuinv_backend *backend = backend_new(&destroyed);
	struct smmuinv_device_info info = { .size = sizeof(info) - 1 };

	(void)state;
	assert_int_equal(smmuinv_backend_device_info(backend, 1, &info),
			 -EINVAL);
	assert_int_equal(smmuinv_backend_device_info(backend, 1, NULL),
			 -EINVAL);
	info.size = sizeof(info);
	assert_int_equal(smmuinv_backend_device_info(NULL, 1, &info), -EINVAL);
	smmuinv_backend_free(backend);
	smmuinv_backend_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_backend_needs_invalidate_and_vdevices_or_none),
		cmocka_unit_test(a_backend_of_bad_arguments_is_refused),
		cmocka_unit_test(what_a_backend_cannot_do_is_enosys),
		cmocka_unit_test(
			the_context_is_released_with_the_backend_and_once),
		cmocka_unit_test(
			success_for_another_number_is_a_protocol_error),
		cmocka_unit_test(every_call_reaches_the_backend),
		cmocka_unit_test(
			errors_come_through_and_leave_the_answer_alone),
		cmocka_unit_test(a_positive_answer_is_a_protocol_error),
		cmocka_unit_test(a_reserved_answer_is_a_protocol_error),
		cmocka_unit_test(
			interrupted_calls_are_repeated_but_not_for_ever),
		cmocka_unit_test(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}
