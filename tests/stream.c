/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support.h"

static void an_added_stream_is_found_with_its_ids(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_stream_info info;
	uint32_t device = fixture_add_device(f);

	memset(&info, 0xff, sizeof(info));
	info.size = sizeof(info);
	assert_int_equal(
		add_to_table(f->streams, f->viommu, device, 0xfffffffe), 0);
	assert_int_equal(smmuinv_streams_find(f->streams, 0xfffffffe, &info),
			 0);
	assert_int_equal(info.vsid, 0xfffffffe);
	assert_int_equal(info.dev_id, device);
	assert_int_equal(info.viommu_id, f->viommu);
	assert_true(info.vdevice_id != 0);
	assert_true(test_is_zero(info.reserved, sizeof(info.reserved)));
	assert_int_equal(smmuinv_streams_count(f->streams), 2);
	assert_int_equal(smmuinv_streams_find(f->streams, 0xffffffff, &info),
			 -ENOENT);
	assert_int_equal(smmuinv_streams_find(f->streams, 0xfffffffe, NULL), 0);
}

static void adding_makes_a_vdevice_and_removing_destroys_it(void **state)
{
	struct fixture *f = *state;
	size_t before = smmuinv_mock_objects(f->mock);

	assert_int_equal(smmuinv_streams_remove(f->streams, FIXTURE_VSID), 0);
	assert_int_equal(smmuinv_mock_objects(f->mock), before - 1);
	assert_int_equal(smmuinv_streams_find(f->streams, FIXTURE_VSID, NULL),
			 -ENOENT);
	assert_int_equal(
		add_to_table(f->streams, f->viommu, f->device, FIXTURE_VSID),
		0);
	assert_int_equal(smmuinv_mock_objects(f->mock), before);
}

static void one_vsid_twice_is_eexist(void **state)
{
	struct fixture *f = *state;
	uint32_t other = fixture_add_device(f);
	size_t before = smmuinv_mock_objects(f->mock);

	assert_int_equal(
		add_to_table(f->streams, f->viommu, other, FIXTURE_VSID),
		-EEXIST);
	assert_int_equal(smmuinv_mock_objects(f->mock), before);
	assert_int_equal(smmuinv_streams_count(f->streams), 1);
}

static void two_vsids_for_one_device_are_ebusy(void **state)
{
	struct fixture *f = *state;
	size_t before = smmuinv_mock_objects(f->mock);

	assert_int_equal(add_to_table(f->streams, f->viommu, f->device,
				      FIXTURE_VSID + 1),
			 -EBUSY);
	assert_int_equal(smmuinv_mock_objects(f->mock), before);
	assert_int_equal(
		smmuinv_streams_find(f->streams, FIXTURE_VSID + 1, NULL),
		-ENOENT);
}

static void a_refusal_of_the_kernel_leaves_the_table_as_it_was(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add_to_table(f->streams, f->viommu, 999, 1), -ENOENT);
	assert_int_equal(smmuinv_streams_find(f->streams, 1, NULL), -ENOENT);
	assert_int_equal(smmuinv_streams_count(f->streams), 1);
}

static void removing_what_is_not_there_is_enoent(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(smmuinv_streams_remove(f->streams, 1), -ENOENT);
	assert_int_equal(smmuinv_streams_count(f->streams), 1);
}

static void a_stream_leaves_even_if_its_vdevice_is_gone_already(void **state)
{
	struct fixture *f = *state;

	fixture_lose_vdevice(f, FIXTURE_VSID);
	assert_int_equal(smmuinv_streams_remove(f->streams, FIXTURE_VSID),
			 -ENOENT);
	assert_int_equal(smmuinv_streams_count(f->streams), 0);
	assert_int_equal(
		add_to_table(f->streams, f->viommu, f->device, FIXTURE_VSID),
		0);
}

static void a_vdevice_that_cannot_be_destroyed_keeps_its_stream(void **state)
{
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.call = SMMUINV_MOCK_DESTROY,
		.error = -EBUSY,
	};
	struct fixture *f = *state;
	uint32_t other = fixture_add_device(f);

	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
	assert_int_equal(smmuinv_streams_remove(f->streams, FIXTURE_VSID),
			 -EBUSY);
	assert_int_equal(smmuinv_streams_find(f->streams, FIXTURE_VSID, NULL),
			 0);
	assert_int_equal(smmuinv_streams_count(f->streams), 1);
	assert_int_equal(
		add_to_table(f->streams, f->viommu, other, FIXTURE_VSID),
		-EEXIST);
	assert_int_equal(add_to_table(f->streams, f->viommu, f->device,
				      FIXTURE_VSID + 1),
			 -EBUSY);
	assert_int_equal(smmuinv_streams_remove(f->streams, FIXTURE_VSID), 0);
	assert_int_equal(smmuinv_streams_count(f->streams), 0);
}

/* Spread over all of 2^24 vSIDs, as PCI segments, buses and functions are. */
static void many_sparse_streams_are_found_and_nothing_else(void **state)
{
	enum { STREAMS = 20000, STRIDE = 838 };
	struct fixture *f = *state;
	uint32_t i;

	for (i = 1; i < STREAMS; i++)
		assert_int_equal(add_to_table(f->streams, f->viommu,
					      fixture_add_device(f),
					      i * STRIDE),
				 0);
	assert_true(STREAMS * STRIDE < 1 << 24);
	for (i = 1; i < STREAMS; i++) {
		struct smmuinv_stream_info info = { .size = sizeof(info) };

		assert_int_equal(
			smmuinv_streams_find(f->streams, i * STRIDE, &info), 0);
		assert_int_equal(info.vsid, i * STRIDE);
		assert_int_equal(
			smmuinv_streams_find(f->streams, i * STRIDE + 1, NULL),
			-ENOENT);
	}
	assert_int_equal(smmuinv_streams_count(f->streams), STREAMS);
	for (i = 1; i < STREAMS; i += 2)
		assert_int_equal(smmuinv_streams_remove(f->streams, i * STRIDE),
				 0);
	assert_int_equal(smmuinv_streams_count(f->streams), STREAMS / 2);
}

static void freeing_the_table_destroys_every_vdevice(void **state)
{
	struct smmuinv_streams *streams;
	struct fixture *f = *state;
	size_t before;
	uint32_t i;

	assert_int_equal(smmuinv_streams_new(f->backend, &streams), 0);
	for (i = 0; i < 10; i++)
		(void)fixture_add_device(f);
	before = smmuinv_mock_objects(f->mock);
	for (i = 0; i < 10; i++)
		assert_int_equal(add_to_table(streams, f->viommu,
					      fixture_add_device(f), 1000 + i),
				 0);
	smmuinv_streams_free(streams);
	assert_int_equal(smmuinv_mock_objects(f->mock), before + 10);
	smmuinv_streams_free(NULL);
}

static void a_new_stream_aborts_until_it_is_set(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		add_to_table(f->streams, f->viommu, fixture_add_device(f), 1),
		0);
	assert_false(fixture_stream(f, 1).translates);
	assert_false(fixture_stream(f, 1).ats);
	assert_int_equal(smmuinv_streams_set(f->streams, 1, true, true), 0);
	assert_true(fixture_stream(f, 1).translates);
	assert_true(fixture_stream(f, 1).ats);
	/* A stream that comes back begins anew. */
	assert_int_equal(smmuinv_streams_remove(f->streams, 1), 0);
	assert_int_equal(
		add_to_table(f->streams, f->viommu, fixture_add_device(f), 1),
		0);
	assert_false(fixture_stream(f, 1).translates);
	assert_false(fixture_stream(f, 1).ats);
}

/* All of @can, @translates and @ats, after each other state. */
static void
ats_is_on_only_with_the_devices_own_and_while_translating(void **state)
{
	struct fixture *f = *state;
	unsigned int can, before, now;

	for (can = 0; can < 2; can++) {
		const struct smmuinv_stream_params params = {
			.size = sizeof(params),
			.viommu_id = f->viommu,
			.dev_id = fixture_add_device(f),
			.vsid = can,
			.ats = can,
		};

		assert_int_equal(smmuinv_streams_add(f->streams, &params), 0);
		for (before = 0; before < 4; before++) {
			for (now = 0; now < 4; now++) {
				struct smmuinv_stream_info info;

				assert_int_equal(
					smmuinv_streams_set(f->streams, can,
							    before & 1,
							    before & 2),
					0);
				assert_int_equal(
					smmuinv_streams_set(f->streams, can,
							    now & 1, now & 2),
					0);
				info = fixture_stream(f, can);
				assert_int_equal(info.translates, now & 1);
				assert_int_equal(info.ats, can && now == 3);
			}
		}
	}
}

static void a_state_is_set_for_one_stream_only(void **state)
{
	struct fixture *f = *state;

	fixture_plug(f, FIXTURE_VSID + 1);
	assert_int_equal(
		smmuinv_streams_set(f->streams, FIXTURE_VSID, false, false), 0);
	assert_false(fixture_stream(f, FIXTURE_VSID).translates);
	assert_true(fixture_stream(f, FIXTURE_VSID + 1).translates);
	assert_true(fixture_stream(f, FIXTURE_VSID + 1).ats);
	assert_int_equal(
		smmuinv_streams_set(f->streams, FIXTURE_VSID + 2, true, true),
		-ENOENT);
	assert_int_equal(smmuinv_streams_count(f->streams), 2);
}

/* As many as there is room for, with the first and the last vSID there is. */
static const uint32_t some_vsids[] = {
	0,      1,         FIXTURE_VSID, 0xff,       0x100,
	0xffff, 0x1000000, 0xfffffffe,   UINT32_MAX,
};

#define SOME (sizeof(some_vsids) / sizeof(some_vsids[0]))

static void plug_some(struct fixture *f)
{
	size_t i;

	for (i = 0; i < SOME; i++) {
		if (some_vsids[i] != FIXTURE_VSID)
			fixture_plug(f, some_vsids[i]);
	}
}

static void the_table_is_gone_through_in_the_order_of_the_vsids(void **state)
{
	struct fixture *f = *state;
	uint32_t vsid = 0;
	size_t i;

	plug_some(f);
	for (i = 0; i < SOME; i++) {
		assert_int_equal(smmuinv_streams_next(f->streams, &vsid), 0);
		assert_int_equal(vsid, some_vsids[i]);
		/* From the one itself it is found again. */
		assert_int_equal(smmuinv_streams_next(f->streams, &vsid), 0);
		assert_int_equal(vsid, some_vsids[i]);
		vsid++;
	}
	/* It has wrapped: the caller has to end at the last. */
	assert_int_equal(vsid, 0);
}

static void behind_the_last_stream_there_is_none(void **state)
{
	struct fixture *f = *state;
	uint32_t vsid = FIXTURE_VSID + 1;

	assert_int_equal(smmuinv_streams_next(f->streams, &vsid), -ENOENT);
	assert_int_equal(vsid, FIXTURE_VSID + 1);
	vsid = UINT32_MAX;
	assert_int_equal(smmuinv_streams_next(f->streams, &vsid), -ENOENT);
	vsid = 0;
	assert_int_equal(smmuinv_streams_remove(f->streams, FIXTURE_VSID), 0);
	assert_int_equal(smmuinv_streams_next(f->streams, &vsid), -ENOENT);
	assert_int_equal(vsid, 0);
}

static void fail_destroys(struct fixture *f, uint32_t pass, int error)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.call = SMMUINV_MOCK_DESTROY,
		.pass = pass,
		.error = error,
	};

	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
}

static void remove_all_takes_every_stream_out(void **state)
{
	struct fixture *f = *state;
	size_t before = smmuinv_mock_objects(f->mock);

	plug_some(f);
	assert_int_equal(smmuinv_streams_remove_all(f->streams), 0);
	assert_int_equal(smmuinv_streams_count(f->streams), 0);
	/* Only devices have come. */
	assert_int_equal(smmuinv_mock_objects(f->mock), before + SOME - 2);
	assert_int_equal(smmuinv_streams_remove_all(f->streams), 0);
}

/* Each set of destructions that fail. */
static void
remove_all_goes_on_after_failures_and_can_be_tried_again(void **state)
{
	struct fixture *f = *state;
	uint32_t set, i;

	plug_some(f);
	for (set = 0; set < 1u << SOME; set++) {
		uint32_t pass = 0;
		uint32_t failing = 0;

		for (i = 0; i < SOME; i++) {
			pass++;
			if (!(set >> i & 1))
				continue;
			/* The first is told. */
			fail_destroys(f, pass - 1, failing++ ? -EIO : -EBUSY);
			pass = 0;
		}
		assert_int_equal(smmuinv_streams_remove_all(f->streams),
				 set ? -EBUSY : 0);
		assert_int_equal(smmuinv_mock_faults_left(f->mock), 0);
		assert_int_equal(smmuinv_streams_count(f->streams), failing);
		for (i = 0; i < SOME; i++) {
			/* What is left, is as it was. */
			if (set >> i & 1)
				assert_true(
					fixture_stream(f, some_vsids[i]).ats);
			else
				assert_int_equal(smmuinv_streams_find(
							 f->streams,
							 some_vsids[i], NULL),
						 -ENOENT);
		}
		assert_int_equal(smmuinv_streams_remove_all(f->streams), 0);
		assert_int_equal(smmuinv_streams_count(f->streams), 0);
		plug_some(f);
		fixture_plug(f, FIXTURE_VSID);
	}
}

static void remove_all_tells_of_a_vdevice_that_is_gone_and_goes_on(void **state)
{
	struct fixture *f = *state;

	plug_some(f);
	fixture_lose_vdevice(f, some_vsids[SOME - 1]);
	fixture_lose_vdevice(f, some_vsids[0]);
	assert_int_equal(smmuinv_streams_remove_all(f->streams), -ENOENT);
	assert_int_equal(smmuinv_streams_count(f->streams), 0);
}

static void bad_arguments_are_refused(void **state)
{
	struct smmuinv_stream_info info = { .size = 1 };
	struct fixture *f = *state;
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.viommu_id = f->viommu,
		.dev_id = fixture_add_device(f),
	};
	struct smmuinv_streams *streams;
	uint32_t vsid = 0;
	size_t at;

	assert_int_equal(smmuinv_streams_set(NULL, 1, true, true), -EINVAL);
	assert_int_equal(smmuinv_streams_next(NULL, &vsid), -EINVAL);
	assert_int_equal(smmuinv_streams_next(f->streams, NULL), -EINVAL);
	assert_int_equal(smmuinv_streams_remove_all(NULL), -EINVAL);
	assert_int_equal(smmuinv_streams_add(f->streams, NULL), -EINVAL);
	for (at = 0;
	     test_only_byte(params.reserved, sizeof(params.reserved), at); at++)
		assert_int_equal(smmuinv_streams_add(f->streams, &params),
				 -EINVAL);
	assert_int_equal(smmuinv_streams_count(f->streams), 1);
	assert_int_equal(smmuinv_streams_new(NULL, &streams), -EINVAL);
	assert_int_equal(smmuinv_streams_new(f->backend, NULL), -EINVAL);
	assert_int_equal(add_to_table(NULL, 1, 1, 1), -EINVAL);
	assert_int_equal(smmuinv_streams_remove(NULL, 1), -EINVAL);
	assert_int_equal(smmuinv_streams_find(NULL, 1, NULL), -EINVAL);
	assert_int_equal(smmuinv_streams_find(f->streams, FIXTURE_VSID, &info),
			 -EINVAL);
}

/* A host that takes its time: a call stays in it until it is let go. */
struct slow_host {
	atomic_bool in_call;
	atomic_bool let_go;
	atomic_bool destroyed_in_call;
};

static int slow_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	(void)context;
	(void)dev_id;
	(void)info;
	return -ENOENT;
}

static int slow_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	(void)context;
	(void)viommu_id;
	(void)dev_id;
	*vdevice_id = (uint32_t)virt_id;
	return 0;
}

static int slow_destroy(void *context, uint32_t id)
{
	struct slow_host *host = context;

	(void)id;
	if (atomic_load(&host->in_call))
		atomic_store(&host->destroyed_in_call, true);
	return 0;
}

static int slow_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct slow_host *host = context;

	(void)viommu_id;
	(void)commands;
	(void)count;
	atomic_store(&host->in_call, true);
	while (!atomic_load(&host->let_go))
		usleep(100);
	atomic_store(&host->in_call, false);
	return 0;
}

struct removal {
	struct smmuinv_vsmmu *vsmmu;
	atomic_bool done;
};

static void *remove_stream(void *arg)
{
	struct removal *removal = arg;

	smmuinv_vsmmu_remove_stream(removal->vsmmu, FIXTURE_VSID);
	atomic_store(&removal->done, true);
	return NULL;
}

static void *flush_batch(void *arg)
{
	struct smmuinv_batch *batch = arg;

	smmuinv_batch_flush(batch, NULL);
	return NULL;
}

static void a_removal_waits_for_the_command_that_names_the_stream(void **state)
{
	static const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.device_info = slow_device_info,
		.vdevice_alloc = slow_vdevice_alloc,
		.destroy = slow_destroy,
		.invalidate = slow_invalidate,
	};
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.viommu_id = 1,
		.guest = everything,
		.host = everything,
	};
	const struct smmuinv_command command = cfgi_cd(FIXTURE_VSID);
	struct slow_host host = { false };
	struct removal removal = { NULL };
	struct smmuinv_batch *batch;
	pthread_t flusher, remover;

	(void)state;
	assert_int_equal(smmuinv_backend_new(&ops, &host, &params.backend), 0);
	assert_int_equal(smmuinv_vsmmu_new(&params, &removal.vsmmu), 0);
	assert_int_equal(plug(removal.vsmmu, 1, FIXTURE_VSID), 0);
	assert_int_equal(smmuinv_batch_new(removal.vsmmu, 1, &batch), 0);
	assert_int_equal(smmuinv_batch_add(batch, &command, NULL), 0);

	assert_int_equal(pthread_create(&flusher, NULL, flush_batch, batch), 0);
	while (!atomic_load(&host.in_call))
		usleep(100);
	assert_int_equal(
		pthread_create(&remover, NULL, remove_stream, &removal), 0);
	usleep(20000);
	assert_false(atomic_load(&removal.done));
	atomic_store(&host.let_go, true);
	pthread_join(flusher, NULL);
	pthread_join(remover, NULL);
	assert_true(atomic_load(&removal.done));
	assert_false(atomic_load(&host.destroyed_in_call));

	smmuinv_batch_free(batch);
	smmuinv_vsmmu_free(removal.vsmmu);
	smmuinv_backend_free(params.backend);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_added_stream_is_found_with_its_ids),
		TEST(adding_makes_a_vdevice_and_removing_destroys_it),
		TEST(one_vsid_twice_is_eexist),
		TEST(two_vsids_for_one_device_are_ebusy),
		TEST(a_refusal_of_the_kernel_leaves_the_table_as_it_was),
		TEST(removing_what_is_not_there_is_enoent),
		TEST(a_stream_leaves_even_if_its_vdevice_is_gone_already),
		TEST(a_vdevice_that_cannot_be_destroyed_keeps_its_stream),
		TEST(many_sparse_streams_are_found_and_nothing_else),
		TEST(freeing_the_table_destroys_every_vdevice),
		TEST(a_new_stream_aborts_until_it_is_set),
		TEST(ats_is_on_only_with_the_devices_own_and_while_translating),
		TEST(a_state_is_set_for_one_stream_only),
		TEST(the_table_is_gone_through_in_the_order_of_the_vsids),
		TEST(behind_the_last_stream_there_is_none),
		TEST(remove_all_takes_every_stream_out),
		TEST(remove_all_goes_on_after_failures_and_can_be_tried_again),
		TEST(remove_all_tells_of_a_vdevice_that_is_gone_and_goes_on),
		TEST(bad_arguments_are_refused),
		cmocka_unit_test(
			a_removal_waits_for_the_command_that_names_the_stream),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
