/* SPDX-License-Identifier: MIT */
/*
 * Memory and locks that cannot be had, at every place where one is asked for: a
 * clear error, nothing lost, nothing leaked. The allocators are the linker's
 * --wrap; what leaks is found by valgrind and AddressSanitizer.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

/* Calls that succeed before one fails; none fails if it is negative. */
static int allocations_left;
static int locks_left;

static int fails(int *left)
{
	if (*left < 0)
		return 0;
	return (*left)-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
int __real_pthread_mutex_init(pthread_mutex_t *mutex,
			      const pthread_mutexattr_t *attr);
int __real_pthread_rwlock_init(pthread_rwlock_t *lock,
			       const pthread_rwlockattr_t *attr);
int __real_pthread_rwlockattr_init(pthread_rwlockattr_t *attr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex,
			      const pthread_mutexattr_t *attr);
int __wrap_pthread_rwlock_init(pthread_rwlock_t *lock,
			       const pthread_rwlockattr_t *attr);
int __wrap_pthread_rwlockattr_init(pthread_rwlockattr_t *attr);

void *__wrap_malloc(size_t size)
{
	return fails(&allocations_left) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails(&allocations_left) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fails(&allocations_left) ? NULL : __real_realloc(memory, size);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex,
			      const pthread_mutexattr_t *attr)
{
	return fails(&locks_left) ? EAGAIN :
				    __real_pthread_mutex_init(mutex, attr);
}

int __wrap_pthread_rwlock_init(pthread_rwlock_t *lock,
			       const pthread_rwlockattr_t *attr)
{
	return fails(&locks_left) ? EAGAIN :
				    __real_pthread_rwlock_init(lock, attr);
}

int __wrap_pthread_rwlockattr_init(pthread_rwlockattr_t *attr)
{
	return fails(&locks_left) ? ENOMEM :
				    __real_pthread_rwlockattr_init(attr);
}

/* A VMM's whole life. */
struct life {
	struct smmuinv_mock *mock;
	struct smmuinv_caches *caches;
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_batch *batch;
	struct smmuinv_queue *queue;
	uint32_t viommu;
	uint32_t device;
};

static void on_seen(void *opaque, uint32_t index,
		    const struct smmuinv_command *command,
		    enum smmuinv_fate fate, enum smmuinv_rule rule)
{
	(void)opaque;
	(void)index;
	(void)command;
	(void)fate;
	(void)rule;
}

static int begin(struct life *life)
{
	static const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = 1000,
	};
	struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = everything,
	};
	int rc = smmuinv_caches_new(4, &life->caches);

	params.caches = life->caches;
	if (!rc)
		rc = smmuinv_mock_new(&params, &life->mock);
	if (!rc)
		rc = smmuinv_mock_inject(life->mock, &fault);
	if (!rc)
		rc = smmuinv_mock_add_viommu(life->mock, &life->viommu);
	if (!rc)
		rc = smmuinv_mock_add_device(life->mock, &life->device);
	if (!rc)
		rc = smmuinv_mock_backend(life->mock, &life->backend);
	return rc;
}

static int make(struct life *life)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.seen = on_seen,
	};
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.backend = life->backend,
		.viommu_id = life->viommu,
		.guest = everything,
		.host = everything,
	};
	struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = &ops,
	};
	int rc = smmuinv_vsmmu_new(&vsmmu, &life->vsmmu);

	if (!rc)
		rc = plug(life->vsmmu, life->device, FIXTURE_VSID);
	if (!rc)
		rc = smmuinv_batch_new(life->vsmmu, 8, &life->batch);
	if (!rc)
		rc = smmuinv_queue_new(life->vsmmu, &queue, &life->queue);
	return rc;
}

static int work(struct life *life)
{
	const struct smmuinv_command command = tlbi_va(0x1000);

	return smmuinv_batch_submit(life->batch, &command, 1, NULL);
}

static void end(struct life *life)
{
	smmuinv_queue_free(life->queue);
	smmuinv_batch_free(life->batch);
	smmuinv_vsmmu_free(life->vsmmu);
	smmuinv_backend_free(life->backend);
	smmuinv_mock_free(life->mock);
	smmuinv_caches_free(life->caches);
}

static int live(void)
{
	struct life life = { NULL };
	int rc = begin(&life);

	if (!rc)
		rc = make(&life);
	if (!rc)
		rc = work(&life);
	end(&life);
	return rc;
}

/* Let the first, second, ... of something fail, until none of them is left. */
static void let_each_fail(int *left)
{
	int failed;

	for (failed = 0;; failed++) {
		int rc;

		*left = failed;
		rc = live();
		if (*left >= 0)
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	*left = -1;
	assert_true(failed > 2);
	assert_int_equal(live(), 0);
}

static void without_memory_there_is_an_error_and_no_leak(void **state)
{
	(void)state;
	let_each_fail(&allocations_left);
}

static void without_a_lock_there_is_an_error_and_no_leak(void **state)
{
	(void)state;
	let_each_fail(&locks_left);
}

static int make_vsmmu(struct life *life)
{
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = life->backend,
		.viommu_id = life->viommu,
		.guest = everything,
		.host = everything,
	};

	return smmuinv_vsmmu_new(&params, &life->vsmmu);
}

static int make_batch(struct life *life)
{
	return smmuinv_batch_new(life->vsmmu, 8, &life->batch);
}

/* Let each allocation of @what fail; returns how many it makes. */
static int allocations_of(struct life *life, int (*what)(struct life *life))
{
	int failed;

	for (failed = 0;; failed++) {
		int rc;

		allocations_left = failed;
		rc = what(life);
		if (allocations_left >= 0)
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	allocations_left = -1;
	return failed;
}

/* The memory for granules and for plans is had before it is needed, or never.
 */
static void granules_and_plans_are_there_from_the_beginning(void **state)
{
	struct smmuinv_cd cd = {
		.size = sizeof(cd),
		.valid = true,
		.asid = 5,
		.walks = { true, true },
		.tg = { SMMUINV_TG_4K, SMMUINV_TG_4K },
	};
	struct smmuinv_result result = { .size = sizeof(result) };
	struct life life = { NULL };
	uint64_t page;

	(void)state;
	assert_int_equal(begin(&life), 0);
	/* Itself, the granules, the streams. */
	assert_int_equal(allocations_of(&life, make_vsmmu), 3);
	/* Itself, seven arrays of its own and five of the plan. */
	assert_int_equal(allocations_of(&life, make_batch), 13);
	for (page = 0; page < 8; page++) {
		const struct smmuinv_command command = tlbi_va(page << 12);

		assert_int_equal(smmuinv_batch_add(life.batch, &command, NULL),
				 SMMUINV_FORWARD);
	}
	/* The mock's record of what it executes has room already. */
	assert_int_equal(smmuinv_batch_flush(life.batch, NULL), 0);
	for (page = 0; page < 8; page++) {
		const struct smmuinv_command command = tlbi_va(page << 12);

		assert_int_equal(smmuinv_batch_add(life.batch, &command, NULL),
				 SMMUINV_FORWARD);
	}
	allocations_left = 0;
	assert_int_equal(smmuinv_vsmmu_note_cd(life.vsmmu, &cd), 0);
	assert_int_equal(smmuinv_batch_flush(life.batch, &result), 0);
	assert_int_equal(allocations_left, 0);
	allocations_left = -1;
	assert_int_equal(result.host_commands, 1);
	end(&life);
}

/* The vDEVICE that was made is destroyed again. */
static void a_stream_that_finds_no_memory_leaves_no_vdevice(void **state)
{
	struct life life = { NULL };
	size_t objects;
	uint32_t device;
	int failed;

	(void)state;
	assert_int_equal(begin(&life), 0);
	assert_int_equal(make(&life), 0);
	assert_int_equal(smmuinv_mock_add_device(life.mock, &device), 0);
	objects = smmuinv_mock_objects(life.mock);
	for (failed = 0;; failed++) {
		int rc;

		allocations_left = failed;
		/* Far away, so that it needs nodes of its own. */
		rc = plug(life.vsmmu, device, 0xfffffff0);
		if (allocations_left >= 0)
			break;
		assert_int_equal(rc, -ENOMEM);
		assert_int_equal(smmuinv_mock_objects(life.mock), objects);
	}
	allocations_left = -1;
	assert_int_equal(smmuinv_mock_objects(life.mock), objects + 1);
	end(&life);
}

static int nothing_fails(void **state)
{
	(void)state;
	allocations_left = -1;
	locks_left = -1;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, nothing_fails)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_memory_there_is_an_error_and_no_leak),
		TEST(without_a_lock_there_is_an_error_and_no_leak),
		TEST(granules_and_plans_are_there_from_the_beginning),
		TEST(a_stream_that_finds_no_memory_leaves_no_vdevice),
	};

	nothing_fails(NULL);
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
