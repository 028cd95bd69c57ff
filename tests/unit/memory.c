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

#include "vm.h"

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
int __real_pthread_cond_init(pthread_cond_t *cond,
			     const pthread_condattr_t *attr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex,
			      const pthread_mutexattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond,
			     const pthread_condattr_t *attr);

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

int __wrap_pthread_cond_init(pthread_cond_t *cond,
			     const pthread_condattr_t *attr)
{
	return fails(&locks_left) ? EAGAIN :
				    __real_pthread_cond_init(cond, attr);
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

static void on_settled(void *opaque, uint32_t index,
		       const struct smmuinv_command *command, uint32_t fate,
		       uint32_t rule)
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

static int plug(struct life *life, uint32_t device, uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.dev_id = device,
	};

	return smmuinv_vsmmu_add_stream(life->vsmmu, &params);
}

static int make(struct life *life)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.settled = on_settled,
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
	int rc = smmuinv_vsmmu_new(&vsmmu, &life->vsmmu, NULL);

	if (!rc)
		rc = plug(life, life->device, VM_VSID);
	if (!rc)
		rc = smmuinv_batch_new(life->vsmmu, 8, &life->batch);
	if (!rc)
		rc = smmuinv_queue_new(life->vsmmu, &queue, &life->queue);
	return rc;
}

/* So far it has come. The library then mends what the mock has no memory for.
 */
static bool worked;

static int work(struct life *life)
{
	const struct smmuinv_command command = tlbi_va(0x1000);

	worked = true;
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
		worked = false;
		rc = live();
		if (*left >= 0)
			break;
		assert_int_equal(rc, worked ? 0 : -ENOMEM);
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

/* On the way a command takes, nothing is allocated (design, rule 9). */
static void on_the_way_of_a_command_nothing_is_allocated(void **state)
{
	struct smmuinv_command ring[8];
	const struct smmuinv_ring registers = {
		.size = sizeof(registers),
		.base = ring,
		.log2size = 3,
		.prod = 8,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct life life = { NULL };
	uint32_t i, round;

	(void)state;
	assert_int_equal(begin(&life), 0);
	assert_int_equal(make(&life), 0);
	assert_int_equal(smmuinv_vsmmu_set_ats(life.vsmmu, VM_VSID, true), 0);
	for (i = 0; i < 8; i++)
		ring[i] = tlbi_va((uint64_t)i << 12);
	ring[1] = cfgi_cd(VM_VSID);
	ring[3] = atc_inv_all(VM_VSID);
	ring[5] = cfgi_all();
	ring[7] = cmd_sync();
	for (round = 0; round < 2; round++) {
		/* In the first, the mock's record of what it executes grows. */
		allocations_left = round ? 0 : -1;
		assert_int_equal(smmuinv_queue_consume(life.queue, &registers,
						       &progress),
				 8);
		assert_int_equal(
			smmuinv_batch_submit(life.batch, ring, 4, NULL), 0);
		assert_int_equal(smmuinv_vsmmu_invalidate_all(life.vsmmu, NULL),
				 0);
		smmuinv_mock_forget(life.mock);
	}
	assert_int_equal(allocations_left, 0);
	allocations_left = -1;
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
		rc = plug(&life, device, 0xfffffff0);
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
		TEST(on_the_way_of_a_command_nothing_is_allocated),
		TEST(a_stream_that_finds_no_memory_leaves_no_vdevice),
	};

	nothing_fails(NULL);
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
