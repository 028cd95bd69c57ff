/* SPDX-License-Identifier: MIT */
/*
 * The table of streams: what is found in it, whose the vDEVICEs are, and who
 * waits for whom.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap.h"
#include "vm.h"

static int setup(void **state)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	vm_open(vm);
	*state = vm;
	return 0;
}

static int teardown(void **state)
{
	vm_close(*state);
	free(*state);
	return 0;
}

static int add(struct vm *vm, uint32_t device, uint32_t vdevice, uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.vdevice_id = vdevice,
		.dev_id = device,
	};

	return smmuinv_vsmmu_add_stream(vm->vsmmu, &params);
}

static int remove_stream(struct vm *vm, uint32_t vsid)
{
	return smmuinv_vsmmu_remove_stream(vm->vsmmu, vsid);
}

static void an_added_stream_is_found_with_its_ids(void **state)
{
	struct vm *vm = *state;
	struct smmuinv_stream_info info;
	uint32_t device = vm_device(vm, 0);

	memset(&info, 0xff, sizeof(info));
	info.size = sizeof(info);
	assert_int_equal(add(vm, device, 0, 0xfffffffe), 0);
	assert_int_equal(
		smmuinv_vsmmu_find_stream(vm->vsmmu, 0xfffffffe, &info), 0);
	assert_int_equal(info.vsid, 0xfffffffe);
	assert_int_equal(info.dev_id, device);
	assert_int_equal(info.viommu_id, vm->smmu[0].viommu);
	assert_true(info.vdevice_id != 0);
	assert_true(info.made);
	assert_false(info.ats);
	assert_false(info.owes);
	assert_true(test_is_zero(info.reserved, sizeof(info.reserved)));
	assert_false(vm_has_stream(vm, 0xffffffff));
	assert_true(vm_has_stream(vm, 0xfffffffe));
}

static void adding_makes_a_vdevice_and_removing_destroys_it(void **state)
{
	struct vm *vm = *state;
	size_t before = smmuinv_mock_objects(vm->mock);
	uint32_t device = vm_stream(vm, VM_VSID).dev_id;

	assert_int_equal(remove_stream(vm, VM_VSID), 0);
	assert_int_equal(smmuinv_mock_objects(vm->mock), before - 1);
	assert_false(vm_has_stream(vm, VM_VSID));
	assert_int_equal(add(vm, device, 0, VM_VSID), 0);
	assert_int_equal(smmuinv_mock_objects(vm->mock), before);
}

/* Whatever becomes of the stream, it is not destroyed. */
static void a_vdevice_of_the_vmms_stays_the_vmms(void **state)
{
	struct vm *vm = *state;
	uint32_t vdevice = vm_vdevice(vm, 0, 0x20);
	uint32_t another = vm_vdevice(vm, 0, 0x21);
	size_t objects = smmuinv_mock_objects(vm->mock);
	struct smmuinv_stream_info info;

	assert_int_equal(add(vm, 77, vdevice, 0x20), 0);
	assert_int_equal(smmuinv_mock_objects(vm->mock), objects);
	info = vm_stream(vm, 0x20);
	assert_int_equal(info.vdevice_id, vdevice);
	assert_int_equal(info.dev_id, 77);
	assert_false(info.made);
	assert_int_equal(remove_stream(vm, 0x20), 0);
	assert_int_equal(smmuinv_mock_objects(vm->mock), objects);
	/* Nor when the table is freed. */
	assert_int_equal(add(vm, 0, vdevice, 0x20), 0);
	assert_int_equal(add(vm, 0, another, 0x21), 0);
	smmuinv_vsmmu_free(vm->vsmmu);
	vm->vsmmu = NULL;
	assert_int_equal(smmuinv_mock_objects(vm->mock), objects - 1);
	assert_int_equal(smmuinv_mock_destroy(vm->mock, vdevice), 0);
	assert_int_equal(smmuinv_mock_destroy(vm->mock, another), 0);
}

static void a_backend_without_vdevices_takes_only_the_vmms(void **state)
{
	const struct vm_options options = { .empty = true,
					    .no_vdevices = true };
	struct vm vm;

	(void)state;
	vm_open_with(&vm, &options);
	assert_int_equal(add(&vm, vm_device(&vm, 0), 0, 0x20), -ENOSYS);
	assert_false(vm_has_stream(&vm, 0x20));
	assert_int_equal(add(&vm, 0, vm_vdevice(&vm, 0, 0x20), 0x20), 0);
	assert_int_equal(remove_stream(&vm, 0x20), 0);
	vm_close(&vm);
}

static void one_vsid_twice_is_eexist(void **state)
{
	struct vm *vm = *state;
	uint32_t other = vm_device(vm, 0);
	size_t before = smmuinv_mock_objects(vm->mock);

	assert_int_equal(add(vm, other, 0, VM_VSID), -EEXIST);
	assert_int_equal(add(vm, 0, 99, VM_VSID), -EEXIST);
	assert_int_equal(smmuinv_mock_objects(vm->mock), before);
	assert_true(vm_stream(vm, VM_VSID).made);
}

static void a_refusal_of_the_kernel_leaves_the_table_as_it_was(void **state)
{
	struct vm *vm = *state;
	uint32_t device = vm_stream(vm, VM_VSID).dev_id;

	assert_int_equal(add(vm, 999, 0, 1), -ENOENT);
	assert_false(vm_has_stream(vm, 1));
	/* Two vSIDs for one device: the kernel has one vDEVICE for each. */
	assert_int_equal(add(vm, device, 0, 1), -EEXIST);
	assert_false(vm_has_stream(vm, 1));
	assert_int_equal(add(vm, vm_device(vm, 0), 0, 1), 0);
}

static void removing_what_is_not_there_is_enoent(void **state)
{
	struct vm *vm = *state;

	assert_int_equal(remove_stream(vm, 1), -ENOENT);
	assert_true(vm_has_stream(vm, VM_VSID));
}

static void a_stream_leaves_although_its_vdevice_is_gone_already(void **state)
{
	struct vm *vm = *state;
	uint32_t device = vm_stream(vm, VM_VSID).dev_id;

	vm_lose_vdevice(vm, VM_VSID);
	assert_int_equal(remove_stream(vm, VM_VSID), -ENOENT);
	assert_false(vm_has_stream(vm, VM_VSID));
	assert_int_equal(add(vm, device, 0, VM_VSID), 0);
}

static void fail_destroys(struct vm *vm, int error)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.call = SMMUINV_MOCK_DESTROY,
		.error = error,
	};

	vm_inject_fault(vm, 0, &fault);
}

static void a_vdevice_that_cannot_be_destroyed_keeps_its_stream(void **state)
{
	struct vm *vm = *state;

	fail_destroys(vm, -EBUSY);
	assert_int_equal(remove_stream(vm, VM_VSID), -EBUSY);
	/* Its ATC_INVs were left out meanwhile. */
	assert_true(vm_stream(vm, VM_VSID).ats);
	assert_true(vm_stream(vm, VM_VSID).owes);
	vm_set_ats(vm, VM_VSID, false);
	fail_destroys(vm, -EBUSY);
	assert_int_equal(remove_stream(vm, VM_VSID), -EBUSY);
	assert_false(vm_stream(vm, VM_VSID).owes);
	assert_int_equal(add(vm, vm_device(vm, 0), 0, VM_VSID), -EEXIST);
	assert_int_equal(remove_stream(vm, VM_VSID), 0);
	assert_false(vm_has_stream(vm, VM_VSID));
}

/* Spread over all of 2^24 vSIDs, as PCI segments, buses and functions are. */
static void many_sparse_streams_are_found_and_nothing_else(void **state)
{
	enum { STREAMS = 20000, STRIDE = 838 };
	const struct vm_options options = { .empty = true,
					    .no_vdevices = true };
	struct vm vm;
	uint32_t i;

	(void)state;
	vm_open_with(&vm, &options);
	assert_true(STREAMS * STRIDE < 1 << 24);
	for (i = 1; i < STREAMS; i++)
		assert_int_equal(add(&vm, 0, i, i * STRIDE), 0);
	for (i = 1; i < STREAMS; i++) {
		assert_int_equal(vm_stream(&vm, i * STRIDE).vdevice_id, i);
		assert_false(vm_has_stream(&vm, i * STRIDE + 1));
	}
	for (i = 1; i < STREAMS; i += 2)
		assert_int_equal(remove_stream(&vm, i * STRIDE), 0);
	for (i = 1; i < STREAMS; i++)
		assert_int_equal(vm_has_stream(&vm, i * STRIDE), i % 2 == 0);
	/* Without memory for a smaller table the larger one serves. */
	heap.left = 0;
	for (i = 2; i < STREAMS / 4; i += 2)
		assert_int_equal(remove_stream(&vm, i * STRIDE), 0);
	heap.left = -1;
	for (; i < STREAMS - 2; i += 2)
		assert_int_equal(remove_stream(&vm, i * STRIDE), 0);
	assert_true(vm_has_stream(&vm, i * STRIDE));
	vm_close(&vm);
}

/* Plugged and unplugged at ever new vSIDs; a fixed number is there. */
static void memory_follows_what_is_in_the_table(void **state)
{
	enum { ROUNDS = 20000, THERE = 16 };
	struct vm *vm = *state;
	long before = 0;
	uint32_t i;

	for (i = 0; i < ROUNDS; i++) {
		/* An odd factor: each vSID comes once. */
		if (i >= THERE)
			assert_int_equal(
				remove_stream(vm, (i - THERE) * 2654435761u),
				0);
		if (i == 2 * THERE)
			before = heap.bytes;
		assert_int_equal(add(vm, 0, 1, i * 2654435761u), 0);
	}
	assert_true(heap.bytes <= before + 4096);
}

static void memory_shrinks_with_the_table(void **state)
{
	enum { MOST = 4096 };
	struct vm *vm = *state;
	long before = heap.bytes;
	long most;
	uint32_t i;

	for (i = 0; i < MOST; i++)
		assert_int_equal(add(vm, 0, 1, MOST + i), 0);
	most = heap.bytes;
	for (i = 0; i < MOST; i++) {
		assert_int_equal(remove_stream(vm, MOST + i), 0);
		/* By half, as soon as three quarters are empty. */
		if (i == MOST * 15 / 16)
			assert_true(heap.bytes - before <= (most - before) / 4);
	}
	assert_true(heap.bytes <= before + 4096);
}

static void ats_is_off_until_it_is_set_and_for_one_stream_only(void **state)
{
	struct vm *vm = *state;
	unsigned int before, now;

	assert_int_equal(add(vm, vm_device(vm, 0), 0, 1), 0);
	assert_false(vm_stream(vm, 1).ats);
	for (before = 0; before < 2; before++) {
		for (now = 0; now < 2; now++) {
			vm_set_ats(vm, 1, before);
			vm_set_ats(vm, 1, now);
			assert_int_equal(vm_stream(vm, 1).ats, now);
			assert_true(vm_stream(vm, VM_VSID).ats);
		}
	}
	assert_int_equal(smmuinv_vsmmu_set_ats(vm->vsmmu, 2, true), -ENOENT);
	/* A stream that comes back begins anew. */
	vm_set_ats(vm, 1, true);
	assert_int_equal(remove_stream(vm, 1), 0);
	assert_int_equal(add(vm, vm_device(vm, 0), 0, 1), 0);
	assert_false(vm_stream(vm, 1).ats);
}

static void a_vsid_must_fit_into_the_guests_sidsize(void **state)
{
	uint32_t bits;

	(void)state;
	for (bits = 1; bits < 32; bits++) {
		const struct smmuinv_features guest = everything_with(1, bits);
		const struct vm_options options = { .guest = &guest,
						    .empty = true };
		struct vm vm;

		vm_open_with(&vm, &options);
		assert_int_equal(vm_try_plug(&vm, 0, 1u << bits), -ERANGE);
		assert_int_equal(vm_try_plug(&vm, 0, UINT32_MAX), -ERANGE);
		assert_int_equal(vm_try_plug(&vm, 0, (1u << bits) - 1), 0);
		vm_close(&vm);
	}
	assert_int_equal(vm_try_plug(*state, 0, UINT32_MAX), 0);
}

static void bad_arguments_are_refused(void **state)
{
	struct smmuinv_stream_info info = { .size = 1 };
	struct vm *vm = *state;
	struct smmuinv_stream_params params = {
		.size = sizeof(params) - 1,
		.dev_id = vm_device(vm, 0),
	};

	assert_int_equal(smmuinv_vsmmu_add_stream(vm->vsmmu, &params), -EINVAL);
	params.size++;
	assert_int_equal(smmuinv_vsmmu_add_stream(NULL, &params), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_stream(vm->vsmmu, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_set_ats(NULL, 1, true), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_find_stream(NULL, 1, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_find_stream(vm->vsmmu, VM_VSID, &info),
			 -EINVAL);
	assert_int_equal(smmuinv_vsmmu_remove_stream(NULL, 1), -EINVAL);
}

/* A host whose calls to the first SMMU stay there until they are let go. */
struct slow {
	struct vm *vm;
	atomic_uint in_call;
	atomic_uint let_go; /* so many calls may return */
	atomic_uint calls;
	atomic_bool removed;
	uint32_t vsid;
};

static int slow_call(struct vm *vm, uint32_t which,
		     const struct smmuinv_command *commands, uint32_t *count)
{
	struct slow *slow = vm->hook_data;
	unsigned int mine;

	(void)commands;
	(void)count;
	if (which)
		return 0;
	mine = atomic_fetch_add(&slow->calls, 1);
	atomic_fetch_add(&slow->in_call, 1);
	while (atomic_load(&slow->let_go) <= mine)
		usleep(100);
	atomic_fetch_sub(&slow->in_call, 1);
	return 0;
}

/* Two SMMUs with two streams each: 1 and 2, 3 and 4. */
static void slow_open(struct slow *slow, struct vm *vm)
{
	const struct vm_options options = { .smmus = 2, .empty = true };
	uint32_t vsid;

	vm_open_with(vm, &options);
	for (vsid = 1; vsid <= 4; vsid++)
		vm_plug_on(vm, (vsid - 1) / 2, vsid);
	memset(slow, 0, sizeof(*slow));
	slow->vm = vm;
	vm->hook = slow_call;
	vm->hook_data = slow;
}

static void flush_one(struct vm *vm, struct smmuinv_command command)
{
	struct smmuinv_batch *batch;

	assert_int_equal(smmuinv_batch_new(vm->vsmmu, 1, &batch), 0);
	assert_int_equal(smmuinv_batch_submit(batch, &command, 1, NULL), 0);
	smmuinv_batch_free(batch);
}

static void *call_first(void *arg)
{
	struct slow *slow = arg;

	flush_one(slow->vm, cfgi_cd(1));
	return NULL;
}

static void *remove_in_thread(void *arg)
{
	struct slow *slow = arg;

	assert_int_equal(remove_stream(slow->vm, slow->vsid), 0);
	atomic_store(&slow->removed, true);
	return NULL;
}

static void wait_until(atomic_uint *what, unsigned int value)
{
	while (atomic_load(what) != value)
		usleep(100);
}

static void begin_call(struct slow *slow, pthread_t *thread)
{
	unsigned int before = atomic_load(&slow->in_call);

	assert_int_equal(pthread_create(thread, NULL, call_first, slow), 0);
	wait_until(&slow->in_call, before + 1);
}

/*
 * It waits for the one call under way, also if that names another stream of the
 * SMMU, and not for the one that begins after it.
 */
static void
a_removal_waits_for_what_is_under_way_and_for_nothing_later(void **state)
{
	pthread_t first, later, remover;
	struct slow slow;
	struct vm vm;
	uint32_t vsid;

	(void)state;
	for (vsid = 1; vsid <= 2; vsid++) {
		slow_open(&slow, &vm);
		slow.vsid = vsid;
		begin_call(&slow, &first);
		assert_int_equal(
			pthread_create(&remover, NULL, remove_in_thread, &slow),
			0);
		usleep(20000);
		assert_false(atomic_load(&slow.removed));
		if (vsid == 2)
			begin_call(&slow, &later);
		/* The first call ends, and the later one goes on. */
		atomic_store(&slow.let_go, 1);
		pthread_join(remover, NULL);
		assert_true(atomic_load(&slow.removed));
		assert_int_equal(atomic_load(&slow.in_call), vsid == 2);
		atomic_store(&slow.let_go, 2);
		pthread_join(first, NULL);
		if (vsid == 2)
			pthread_join(later, NULL);
		vm.hook = NULL;
		vm_close(&vm);
	}
}

static void a_removal_does_not_wait_for_another_smmu(void **state)
{
	pthread_t first;
	struct slow slow;
	struct vm vm;

	(void)state;
	slow_open(&slow, &vm);
	begin_call(&slow, &first);
	/* This would never return. */
	assert_int_equal(remove_stream(&vm, 3), 0);
	atomic_store(&slow.let_go, 1);
	pthread_join(first, NULL);
	vm_close(&vm);
}

/* 8: only what is said to wait does. Each of these would never return. */
static void nothing_else_waits_for_a_call_to_the_host(void **state)
{
	struct smmuinv_viommu_params viommu;
	pthread_t first, remover;
	struct slow slow;
	struct vm vm;

	(void)state;
	slow_open(&slow, &vm);
	begin_call(&slow, &first);
	/* Also while somebody waits. */
	slow.vsid = 1;
	assert_int_equal(
		pthread_create(&remover, NULL, remove_in_thread, &slow), 0);
	usleep(20000);
	assert_true(vm_has_stream(&vm, 2));
	assert_true(vm_has_stream(&vm, 4));
	assert_true(vm_counters(&vm).read <= 1);
	vm_set_ats(&vm, 2, false);
	vm_set_ats(&vm, 4, false);
	assert_int_equal(vm_try_plug(&vm, 0, 5), 0);
	assert_int_equal(vm_try_plug(&vm, 1, 6), 0);
	/* The healthy SMMU's commands go on, and it comes and goes. */
	flush_one(&vm, cfgi_cd(3));
	viommu = vm_viommu_params(&vm, 0);
	viommu.viommu_id = 12345;
	assert_int_equal(smmuinv_vsmmu_add_viommu(vm.vsmmu, &viommu, NULL), 0);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(vm.vsmmu, 12345), 0);
	assert_false(atomic_load(&slow.removed));
	atomic_store(&slow.let_go, 1);
	pthread_join(first, NULL);
	pthread_join(remover, NULL);
	vm_close(&vm);
}

static int attached_anew(void *opaque, uint32_t sid, bool leaf)
{
	uint32_t *seen = opaque;

	(void)leaf;
	*seen |= 1u << sid;
	return SMMUINV_STE_ATTACHED;
}

/* Whoever is leaving is not presented any more. */
static void a_stream_that_is_leaving_is_not_among_the_streams(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = attached_anew,
	};
	const struct vm_queue_options options = { .ops = &ops };
	pthread_t first, remover;
	struct vm_queue q;
	struct slow slow;
	uint32_t seen;
	struct vm vm;

	(void)state;
	for (slow.vsid = 1; slow.vsid <= 2; slow.vsid++) {
		uint32_t vsid = slow.vsid;

		slow_open(&slow, &vm);
		slow.vsid = vsid;
		vm_queue_open(&q, vm.vsmmu, &options);
		begin_call(&slow, &first);
		assert_int_equal(
			pthread_create(&remover, NULL, remove_in_thread, &slow),
			0);
		while (vm_has_stream(&vm, vsid))
			usleep(100);
		seen = 0;
		q.opaque = &seen;
		vm_write(&q, cfgi_all());
		assert_int_equal(vm_consume(&q), 1);
		assert_int_equal(seen, 0x1e & ~(1u << vsid));
		atomic_store(&slow.let_go, 1);
		pthread_join(first, NULL);
		pthread_join(remover, NULL);
		vm_queue_close(&q);
		vm.hook = NULL;
		vm_close(&vm);
	}
}

/* A removal between the look-up and the call would meet a dead vDEVICE. */
static void no_call_names_a_stream_after_its_removal(void **state)
{
	struct vm *vm = *state;

	flush_one(vm, cfgi_cd(VM_VSID));
	assert_int_equal(vm->call_count, 1);
	assert_int_equal(remove_stream(vm, VM_VSID), 0);
	flush_one(vm, cfgi_cd(VM_VSID));
	assert_int_equal(vm->call_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_added_stream_is_found_with_its_ids),
		TEST(adding_makes_a_vdevice_and_removing_destroys_it),
		TEST(a_vdevice_of_the_vmms_stays_the_vmms),
		cmocka_unit_test(
			a_backend_without_vdevices_takes_only_the_vmms),
		TEST(one_vsid_twice_is_eexist),
		TEST(a_refusal_of_the_kernel_leaves_the_table_as_it_was),
		TEST(removing_what_is_not_there_is_enoent),
		TEST(a_stream_leaves_although_its_vdevice_is_gone_already),
		TEST(a_vdevice_that_cannot_be_destroyed_keeps_its_stream),
		cmocka_unit_test(
			many_sparse_streams_are_found_and_nothing_else),
		TEST(memory_follows_what_is_in_the_table),
		TEST(memory_shrinks_with_the_table),
		TEST(ats_is_off_until_it_is_set_and_for_one_stream_only),
		TEST(a_vsid_must_fit_into_the_guests_sidsize),
		TEST(bad_arguments_are_refused),
		cmocka_unit_test(
			a_removal_waits_for_what_is_under_way_and_for_nothing_later),
		cmocka_unit_test(a_removal_does_not_wait_for_another_smmu),
		cmocka_unit_test(nothing_else_waits_for_a_call_to_the_host),
		cmocka_unit_test(
			a_stream_that_is_leaving_is_not_among_the_streams),
		TEST(no_call_names_a_stream_after_its_removal),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
