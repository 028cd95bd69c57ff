/* SPDX-License-Identifier: MIT */
/*
 * Guests that write whatever they like into their Command queues, over the real
 * kernel: the host's own queue never suffers, which the kernel's log would say.
 *
 * QEMU's SMMU overlooks much that the specification lets an SMMU find illegal,
 * so the log alone proves little. The mock beside the kernel overlooks nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cmocka-all.h"
#include "commands.h"
#include "kernel-log.h"
#include "sample.h"
#include "support.h"
#include "tests.h"
#include "trial.h"

#define COMMANDS             250000
#define LOG2SIZE_MAX         8
#define IDR3_RIL             (1u << 10)
#define IDR5_LARGER_GRANULES (6u << 4)
#define INDEX(n, log)        ((n) & ((1u << (log)) - 1))

struct hostile {
	struct trial *trial;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
	struct smmuinv_ring ring;
	struct smmuinv_command entries[1u << LOG2SIZE_MAX];
	uint32_t vdevice; /* of the VMM, or 0 if the library makes it */
	bool vmm_makes;
	bool plugged;
	uint64_t written; /* hostile commands, CMD_SYNCs at a burst's end aside
			   */
	uint64_t consumed;
	uint64_t forwarded;
	uint64_t vmm;
	uint64_t dropped;
	uint64_t illegal;
	uint64_t skipped;
	uint64_t refused_pointers;
	uint64_t syncs;
};

/* How a hostile guest's SMMU and its VMM may differ. */
struct kind {
	const char *name;
	enum smmuinv_choice ril;
	uint32_t window;
	uint32_t log2size;
	uint32_t plan;
	bool host_lacks_ril;
	bool one_granule;
	bool takes_commands;
	bool vmm_makes; /* the vDEVICE */
};

static struct smmuinv_command sync_command(void)
{
	return test_command(SMMUINV_CMD_SYNC, 0);
}

static int count_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct hostile *hostile = opaque;

	(void)sync;
	hostile->syncs++;
	return 0;
}

/* Some of what the VMM emulates it finds illegal. */
static int take_command(void *opaque, const struct smmuinv_command *command)
{
	(void)opaque;
	(void)command;
	return test_chance(25) ? SMMUINV_COMMAND_ILLEGAL : 0;
}

static void plug_in(struct hostile *hostile)
{
	struct trial *trial = hostile->trial;
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.dev_id = trial->rig->nested.device.id,
		.vsid = RIG_VSID,
	};

	if (hostile->vmm_makes)
		hostile->vdevice = twin_plug(&trial->twin, RIG_VSID);
	params.vdevice_id = hostile->vdevice;
	assert_int_equal(smmuinv_vsmmu_add_stream(hostile->vsmmu, &params), 0);
	hostile->plugged = true;
}

static void pull_out(struct hostile *hostile)
{
	assert_int_equal(smmuinv_vsmmu_remove_stream(hostile->vsmmu, RIG_VSID),
			 0);
	if (hostile->vmm_makes)
		twin_unplug(&hostile->trial->twin, hostile->vdevice);
	hostile->plugged = false;
}

static void start(struct hostile *hostile, struct trial *trial,
		  const struct kind *kind)
{
	const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.sync = count_sync,
		.command = kind->takes_commands ? take_command : NULL,
	};
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.opaque = hostile,
		.window = kind->window,
	};
	struct smmuinv_vsmmu_params smmu =
		rig_vsmmu_params(trial->rig, kind->ril);

	*hostile = (struct hostile){
		.trial = trial,
		.vmm_makes = kind->vmm_makes,
		.ring = {
			.size = sizeof(hostile->ring),
			.base = hostile->entries,
			.log2size = kind->log2size,
		},
	};
	smmu.backend = trial->twin.backend;
	smmu.plan = kind->plan;
	if (kind->host_lacks_ril)
		smmu.host.idr[3] &= ~IDR3_RIL;
	if (kind->one_granule)
		smmu.guest.idr[5] &= ~IDR5_LARGER_GRANULES;
	assert_int_equal(smmuinv_vsmmu_new(&smmu, &hostile->vsmmu, NULL), 0);
	assert_int_equal(
		smmuinv_queue_new(hostile->vsmmu, &params, &hostile->queue), 0);
	plug_in(hostile);
}

static void push(struct hostile *hostile, struct smmuinv_command command)
{
	struct smmuinv_ring *ring = &hostile->ring;

	hostile->entries[INDEX(ring->prod, ring->log2size)] = command;
	ring->prod = INDEX(ring->prod + 1, ring->log2size + 1);
}

/* As much as fits into an empty ring, or less, and mostly a CMD_SYNC. */
static void write_burst(struct hostile *hostile)
{
	uint32_t most = (1u << hostile->ring.log2size) - 1;
	uint32_t count = 1 + (uint32_t)test_random_below(most);

	if (test_chance(60) && count > 16)
		count = 1 + count % 16;
	for (uint32_t i = 0; i < count; i++)
		push(hostile, sample_draw(sample_draw_kind(), RIG_VSID));
	hostile->written += count;
	if (test_chance(90))
		push(hostile, sync_command());
}

/* As Linux does: a CMD_SYNC in the place of what was illegal. */
static void handle_cerror(struct hostile *hostile,
			  const struct smmuinv_progress *progress)
{
	struct smmuinv_ring *ring = &hostile->ring;

	assert_int_equal(progress->cerror, SMMUINV_CERROR_ILL);
	assert_int_equal(progress->fault.source, SMMUINV_SOURCE_GUEST);
	hostile->entries[INDEX(ring->cons, ring->log2size)] = sync_command();
	hostile->illegal++;
}

static void account(struct hostile *hostile,
		    const struct smmuinv_progress *progress)
{
	hostile->consumed += progress->consumed;
	hostile->forwarded += progress->forwarded;
	hostile->vmm += progress->vmm;
	hostile->dropped += progress->dropped;
}

/* Everything is invalidated instead of a command, if it is for the host. */
static int skip_one(struct hostile *hostile, struct smmuinv_progress *progress)
{
	int skipped = smmuinv_queue_invalidate_all(hostile->queue,
						   &hostile->ring, progress);

	hostile->skipped += skipped == 1;
	return skipped;
}

/* Until the ring is empty. */
static void doorbell(struct hostile *hostile)
{
	struct smmuinv_ring *ring = &hostile->ring;

	while (ring->cons != ring->prod) {
		struct smmuinv_progress progress = { .size = sizeof(progress) };
		bool skips = test_chance(2);
		int consumed;

		ring->max_commands =
			test_chance(10) ? 1 + (uint32_t)test_random_below(8) :
					  0;
		consumed = skips ? skip_one(hostile, &progress) :
				   smmuinv_queue_consume(hostile->queue, ring,
							 &progress);
		assert_true(consumed >= 0);
		assert_int_equal(progress.fault.error, 0);
		account(hostile, &progress);
		ring->cons = progress.cons;
		if (progress.cerror)
			handle_cerror(hostile, &progress);
		else
			assert_true(consumed > 0 || skips);
	}
}

/* A CMDQ_PROD that no driver writes: refused, or what lies there is consumed.
 */
static void write_wild_pointer(struct hostile *hostile)
{
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_ring *ring = &hostile->ring;
	uint32_t produced;

	ring->prod = (uint32_t)test_random_edge();
	produced = INDEX(ring->prod - ring->cons, ring->log2size + 1);
	if (produced <= 1u << ring->log2size) {
		ring->prod = INDEX(ring->prod, ring->log2size + 1);
		doorbell(hostile);
		return;
	}
	ring->max_commands = 0;
	assert_int_equal(smmuinv_queue_consume(hostile->queue, ring, &progress),
			 -ERANGE);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_POINTERS);
	hostile->refused_pointers++;
	ring->prod = ring->cons;
}

static void rage(struct hostile *hostile, uint64_t commands)
{
	while (hostile->written < commands) {
		write_burst(hostile);
		doorbell(hostile);
		if (test_chance(5))
			write_wild_pointer(hostile);
		/* The device is unplugged for a while. */
		if (!hostile->plugged)
			plug_in(hostile);
		else if (test_chance(5))
			pull_out(hostile);
	}
	if (!hostile->plugged)
		plug_in(hostile);
}

static void report(const struct hostile *hostile, const char *name)
{
	printf("NOTE hostile %s: %" PRIu64 " written, %" PRIu64
	       " consumed, %" PRIu64 " forwarded, %" PRIu64
	       " to the VMM (%" PRIu64 " syncs), %" PRIu64 " dropped, %" PRIu64
	       " illegal, %" PRIu64 " skipped, %" PRIu64 " pointers refused\n",
	       name, hostile->written, hostile->consumed, hostile->forwarded,
	       hostile->vmm, hostile->syncs, hostile->dropped, hostile->illegal,
	       hostile->skipped, hostile->refused_pointers);
	printf("CASES hostile %" PRIu64 "\n", hostile->written);
	printf("CASES hostile-forwarded %" PRIu64 "\n", hostile->forwarded);
}

/* After all that, an invalidation still is one. */
static void prove_alive(struct hostile *hostile)
{
	struct rig *rig = hostile->trial->rig;
	uint64_t va = rig_fresh_va(rig);
	uint64_t syncs = hostile->syncs;

	rig_make_stale(rig, va, STAGE1_ASID);
	push(hostile, guest_tlbi_asid(RIG_ASID));
	push(hostile, sync_command());
	doorbell(hostile);
	assert_int_equal(hostile->syncs, syncs + 1);
	rig_expect(rig, va, PATTERN_B);
}

/* One at a time; ended by the test's teardown. */
static struct hostile guest;

static void suffer(struct trial *trial, const struct kind *kind)
{
	const struct twin *twin = &trial->twin;
	uint64_t refused = twin->refused;
	unsigned int warnings = kernel_log_read().warnings;

	start(&guest, trial, kind);
	rage(&guest, test_iterations(COMMANDS));
	report(&guest, kind->name);
	kernel_log_assert_quiet(kind->name);
	assert_int_equal(kernel_log_read().warnings, warnings);
	/* The kernel and the mock accepted all of it. */
	assert_int_equal(twin->refused, refused);
	assert_int_equal(twin->differing, 0);
	assert_int_equal(smmuinv_mock_wedged(twin->mock), 0);
	prove_alive(&guest);
}

static int end_guest(void **state)
{
	(void)state;
	if (guest.plugged)
		pull_out(&guest);
	smmuinv_queue_free(guest.queue);
	smmuinv_vsmmu_free(guest.vsmmu);
	guest = (struct hostile){ 0 };
	return 0;
}

static void hostile_guest_with_ranges(void **state)
{
	const struct kind kind = {
		.name = __func__,
		.log2size = LOG2SIZE_MAX,
	};

	suffer(*state, &kind);
}

static void hostile_guest_without_ranges(void **state)
{
	const struct kind kind = {
		.name = __func__,
		.ril = SMMUINV_OFF,
		.window = 17,
		.log2size = LOG2SIZE_MAX,
		.one_granule = true,
		.takes_commands = true,
		.vmm_makes = true,
	};

	suffer(*state, &kind);
}

static void hostile_guest_on_a_host_without_ranges(void **state)
{
	const struct kind kind = {
		.name = __func__,
		.log2size = LOG2SIZE_MAX,
		.host_lacks_ril = true,
	};

	suffer(*state, &kind);
}

static void hostile_guest_whose_commands_go_as_written(void **state)
{
	const struct kind kind = {
		.name = __func__,
		.plan = SMMUINV_PLAN_AS_WRITTEN,
		.log2size = 5,
		.takes_commands = true,
		.vmm_makes = true,
	};

	suffer(*state, &kind);
}

#define HOSTILE_TEST(name) cmocka_unit_test_teardown(name, end_guest)

int test_hostile(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE_TEST(hostile_guest_with_ranges),
		HOSTILE_TEST(hostile_guest_without_ranges),
		HOSTILE_TEST(hostile_guest_on_a_host_without_ranges),
		HOSTILE_TEST(hostile_guest_whose_commands_go_as_written),
	};

	return cmocka_run_group_tests_name("hostile", tests, trial_group_setup,
					   trial_group_teardown);
}
