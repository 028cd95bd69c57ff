/* SPDX-License-Identifier: MIT */
/*
 * The device goes and comes back while a guest's whole Command queue is
 * replayed: between doorbells, from the queue's callbacks, and from another
 * thread.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmocka-all.h"
#include "commands.h"
#include "kernel-log.h"
#include "rig.h"
#include "tests.h"

#define DOORBELL 16

/* A ring for the longer stream, and what is added to it. */
#define LOG2SIZE 16

#define CORPUS_SHORT "/corpus/02-lk73-both-lazy-io.bin"
#define CORPUS_LONG  "/corpus/09-lk73-both-noril-io.bin"

/* Of the events of each kind, each so many-th unplugs or plugs. */
#define EVERY 3

struct plant {
	struct rig *rig;
	struct smmuinv_queue *queue;
	struct smmuinv_command *ring;
	uint32_t count;

	/* Which events the device comes and goes at. */
	bool at_doorbells;
	bool at_callbacks;
	unsigned int events;

	bool plugged;
	unsigned int unplugged; /* how often it went */
	atomic_bool consumed;
	int error; /* the other thread's first */

	uint32_t forwarded;
	uint32_t vmm;
	uint32_t dropped;
	/* Of those that name the device. */
	uint32_t reached;
	uint32_t missed;
};

/* As a VMM does: nothing is lost when what the SMMU remembers goes at detach.
 */
static int unplug(struct plant *plant)
{
	int error = nested_detach(&plant->rig->nested);

	if (!error)
		error = rig_unplug(plant->rig, plant->rig->vsmmu, RIG_VSID);
	plant->plugged = false;
	plant->unplugged++;
	return error;
}

static int plug_in(struct plant *plant)
{
	const struct iommufd_vste vste = vste_translate(&plant->rig->cd);
	int error = rig_plug(plant->rig, plant->rig->vsmmu, RIG_VSID);

	if (!error)
		error = nested_attach(&plant->rig->nested, &vste);
	plant->plugged = true;
	return error;
}

static int toggle(struct plant *plant)
{
	return plant->plugged ? unplug(plant) : plug_in(plant);
}

static void event(struct plant *plant)
{
	if (++plant->events % EVERY == 0)
		assert_int_equal(toggle(plant), 0);
}

static void callback(void *opaque)
{
	struct plant *plant = opaque;

	if (plant->at_callbacks)
		event(plant);
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)sync;
	callback(opaque);
	return 0;
}

/* The device whose STE it is, say, then gets no CFGI_CD_ALL. */
static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	(void)sid;
	(void)leaf;
	callback(opaque);
	return 0;
}

static int on_cfgi_ste_range(void *opaque, uint32_t first, uint32_t last,
			     bool leaf)
{
	(void)first;
	(void)last;
	(void)leaf;
	callback(opaque);
	return 0;
}

static void on_settled(void *opaque, uint32_t index,
		       const struct smmuinv_command *command, uint32_t fate,
		       uint32_t rule)
{
	struct plant *plant = opaque;

	(void)index;
	if (smmuinv_command_opcode(command) == SMMUINV_CMD_CFGI_CD_ALL) {
		plant->reached += fate == SMMUINV_FATE_FORWARDED;
		plant->missed += fate == SMMUINV_FATE_DROPPED;
		assert_true(fate == SMMUINV_FATE_FORWARDED ||
			    rule == SMMUINV_RULE_STREAM_UNKNOWN);
	}
	callback(opaque);
}

/*
 * Few commands of a guest's name a device. So that there is something to lose,
 * it says CFGI_CD_ALL before each CMD_SYNC.
 */
static void read_ring(struct plant *plant, const char *path)
{
	FILE *file = fopen(path, "rb");
	struct smmuinv_command command;

	if (!file)
		fail_msg("no %s", path);
	plant->ring = calloc((size_t)1 << LOG2SIZE, sizeof(*plant->ring));
	assert_non_null(plant->ring);
	while (fread(&command, sizeof(command), 1, file) == 1) {
		if (smmuinv_command_opcode(&command) == SMMUINV_CMD_SYNC)
			plant->ring[plant->count++] =
				guest_cfgi_cd_all(RIG_VSID);
		plant->ring[plant->count++] = command;
		assert_in_range(plant->count, 1, (1u << LOG2SIZE) - 2);
	}
	assert_true(plant->count > 1000);
	fclose(file);
}

static void consume(struct plant *plant)
{
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = plant->ring,
		.log2size = LOG2SIZE,
	};

	while (ring.cons < plant->count) {
		struct smmuinv_progress progress = { .size = sizeof(progress) };
		uint32_t left = plant->count - ring.cons;

		ring.prod = ring.cons + (left < DOORBELL ? left : DOORBELL);
		assert_true(smmuinv_queue_consume(plant->queue, &ring,
						  &progress) > 0);
		assert_int_equal(progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(progress.fault.source, SMMUINV_SOURCE_NONE);
		assert_int_equal(progress.retries, 0);
		assert_int_equal(progress.cons, ring.prod);
		ring.cons = progress.cons;
		plant->forwarded += progress.forwarded;
		plant->vmm += progress.vmm;
		plant->dropped += progress.dropped;
		if (plant->at_doorbells)
			event(plant);
	}
}

static void start(struct plant *plant, struct rig *rig, const char *path)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = on_cfgi_ste,
		.cfgi_ste_range = on_cfgi_ste_range,
		.sync = on_sync,
		.settled = on_settled,
	};
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.opaque = plant,
	};

	plant->rig = rig;
	plant->plugged = true;
	read_ring(plant, path);
	assert_int_equal(smmuinv_queue_new(rig->vsmmu, &params, &plant->queue),
			 0);
}

/* It is there, its DMA goes by what the guest's tables say, and every command
 * was settled. */
static void finish(struct plant *plant, const char *name)
{
	struct rig *rig = plant->rig;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command = guest_tlbi_asid(RIG_ASID);

	if (!plant->plugged)
		assert_int_equal(plug_in(plant), 0);
	assert_int_equal(plant->forwarded + plant->vmm + plant->dropped,
			 plant->count);
	assert_true(plant->reached > 10);
	assert_true(plant->missed > 10);
	assert_true(plant->unplugged > 10);
	printf("NOTE %s: %" PRIu32 " commands, %" PRIu32 " forwarded; %" PRIu32
	       " for the device, which went %u times and missed %" PRIu32 "\n",
	       name, plant->count, plant->forwarded,
	       plant->reached + plant->missed, plant->unplugged, plant->missed);
	printf("CASES unplugged %u\n", plant->unplugged);
	rig_make_stale(rig, va, STAGE1_ASID);
	rig_queue_run(rig, &command, 1);
	rig_expect(rig, va, PATTERN_B);
	command = guest_cfgi_cd_all(RIG_VSID);
	rig_queue_run(rig, &command, 1);
	kernel_log_assert_quiet(name);
	smmuinv_queue_free(plant->queue);
	free(plant->ring);
}

static void device_goes_between_doorbells(void **state)
{
	struct plant plant = { .at_doorbells = true };

	start(&plant, *state, CORPUS_SHORT);
	consume(&plant);
	finish(&plant, __func__);
}

static void device_goes_from_within_callbacks(void **state)
{
	struct plant plant = { .at_callbacks = true };

	start(&plant, *state, CORPUS_SHORT);
	consume(&plant);
	finish(&plant, __func__);
}

/* No cmocka here: its checks are for the main thread. */
static void *come_and_go(void *opaque)
{
	struct plant *plant = opaque;

	while (!plant->error && !atomic_load(&plant->consumed)) {
		plant->error = toggle(plant);
		sched_yield();
	}
	return NULL;
}

static void device_goes_while_another_thread_consumes(void **state)
{
	struct plant plant = { 0 };
	pthread_t thread;

	start(&plant, *state, CORPUS_LONG);
	assert_int_equal(pthread_create(&thread, NULL, come_and_go, &plant), 0);
	consume(&plant);
	atomic_store(&plant.consumed, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(plant.error, 0);
	finish(&plant, __func__);
}

#define RIG_TEST(name) cmocka_unit_test_teardown(name, rig_test_teardown)

int test_unplug(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(device_goes_between_doorbells),
		RIG_TEST(device_goes_from_within_callbacks),
		RIG_TEST(device_goes_while_another_thread_consumes),
	};
	int failed = cmocka_run_group_tests_name(
		"unplug", tests, rig_group_setup, rig_group_teardown);

	return failed +
	       cmocka_run_group_tests_name("unplug, the library's vDEVICE",
					   tests, rig_group_setup_library_makes,
					   rig_group_teardown);
}
