/* SPDX-License-Identifier: MIT */
/*
 * Command queues as real guests wrote them, replayed whole, command for command
 * and as few as will do. The streams are files in /corpus; those of their
 * StreamIDs that are not the device's have no stream, and are dropped.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel-log.h"
#include "cmocka-all.h"
#include "rig.h"
#include "support.h"
#include "tests.h"

/* A doorbell's worth at a time, so that many calls are made. */
#define DOORBELL 64

struct stream {
	struct smmuinv_command *ring;
	uint32_t count;
	uint32_t log2size;
};

/* What is to become of the commands, by their opcodes alone. */
struct tally {
	uint32_t forwarded;
	uint32_t vmm;
	uint32_t dropped;
	/* CFGI_STEs that concern the device: the CDs go with the STE (4.3.1),
	 * once for neighbours that are the same. */
	uint32_t cd_alls;
	/* What the host was asked for. */
	uint32_t host_commands;
	uint32_t ioctls;
};

/* Which guest, which host, and how. */
struct way {
	const char *path;
	enum smmuinv_choice ril;
	bool one_granule; /* the guest is shown 4K only */
	bool host_lacks_ril;
	uint32_t plan;
};

/* The ring is not full: its index would be that of an empty one. */
static uint32_t log2size_for(uint32_t count)
{
	uint32_t log2size = 0;

	while (count >= 1u << log2size)
		log2size++;
	return log2size;
}

static void stream_read(struct stream *stream, const char *path)
{
	FILE *file = fopen(path, "rb");
	long size;

	if (!file)
		fail_msg("no %s", path);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	assert_true(size > 0);
	assert_int_equal(size % (long)sizeof(*stream->ring), 0);
	rewind(file);
	stream->count = (uint32_t)size / sizeof(*stream->ring);
	stream->log2size = log2size_for(stream->count);
	stream->ring =
		calloc((size_t)1 << stream->log2size, sizeof(*stream->ring));
	assert_non_null(stream->ring);
	assert_int_equal(
		fread(stream->ring, sizeof(*stream->ring), stream->count, file),
		stream->count);
	fclose(file);
}

static bool is_for_device(const struct smmuinv_command *command)
{
	return smmuinv_command_get(command, SMMUINV_FIELD_STREAMID) == RIG_VSID;
}

/* The StreamIDs from a multiple of 2^(Range + 1) on (4.3.2). */
static bool range_has_device(const struct smmuinv_command *command)
{
	uint64_t bits = smmuinv_command_get(command, SMMUINV_FIELD_RANGE) + 1;
	uint64_t sid = smmuinv_command_get(command, SMMUINV_FIELD_STREAMID);

	return sid >> bits == (uint64_t)RIG_VSID >> bits;
}

/* The command before it says the same, with CMD_SYNCs between at most. */
static bool repeats(const struct stream *stream, uint32_t index)
{
	uint32_t doorbell = index - index % DOORBELL;
	uint32_t i = index;

	while (i-- > doorbell) {
		if (smmuinv_command_opcode(&stream->ring[i]) !=
		    SMMUINV_CMD_SYNC)
			return test_command_equal(&stream->ring[i],
						  &stream->ring[index]);
	}
	return false;
}

static struct tally tally_of(const struct stream *stream)
{
	struct tally tally = { 0 };

	for (uint32_t i = 0; i < stream->count; i++) {
		bool again = repeats(stream, i);

		switch (smmuinv_command_opcode(&stream->ring[i])) {
		case SMMUINV_CMD_TLBI_NH_ALL:
		case SMMUINV_CMD_TLBI_NH_ASID:
		case SMMUINV_CMD_TLBI_NH_VA:
		case SMMUINV_CMD_TLBI_NH_VAA:
		case SMMUINV_CMD_TLBI_NSNH_ALL:
			tally.forwarded++;
			break;
		case SMMUINV_CMD_CFGI_CD:
		case SMMUINV_CMD_CFGI_CD_ALL:
			tally.forwarded += is_for_device(&stream->ring[i]);
			tally.dropped += !is_for_device(&stream->ring[i]);
			break;
		case SMMUINV_CMD_PREFETCH_CONFIG:
			tally.dropped++;
			break;
		case SMMUINV_CMD_CFGI_STE:
			tally.cd_alls +=
				!again && is_for_device(&stream->ring[i]);
			tally.vmm++;
			break;
		case SMMUINV_CMD_CFGI_STE_RANGE:
			tally.cd_alls +=
				!again && range_has_device(&stream->ring[i]);
			tally.vmm++;
			break;
		default:
			tally.vmm++;
		}
	}
	return tally;
}

static void count_up(struct tally *tally,
		     const struct smmuinv_progress *progress)
{
	tally->forwarded += progress->forwarded;
	tally->vmm += progress->vmm;
	tally->dropped += progress->dropped;
	tally->host_commands += progress->host_commands;
	tally->ioctls += progress->ioctls;
}

/* The guest's doorbells, until all is consumed. */
static struct tally consume(struct smmuinv_queue *queue,
			    const struct stream *stream)
{
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = stream->ring,
		.log2size = stream->log2size,
	};
	struct tally tally = { 0 };

	while (ring.cons < stream->count) {
		struct smmuinv_progress progress = { .size = sizeof(progress) };
		uint32_t left = stream->count - ring.cons;

		ring.prod = ring.cons + (left < DOORBELL ? left : DOORBELL);
		assert_true(smmuinv_queue_consume(queue, &ring, &progress) > 0);
		assert_int_equal(progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(progress.fault.source, SMMUINV_SOURCE_NONE);
		assert_int_equal(progress.cons, ring.prod);
		ring.cons = progress.cons;
		count_up(&tally, &progress);
	}
	return tally;
}

static struct smmuinv_vsmmu_params params_of(const struct rig *rig,
					     const struct way *way)
{
	const uint32_t ril = 1u << 10;
	const uint32_t larger_granules = 6u << 4;
	struct smmuinv_vsmmu_params smmu = rig_vsmmu_params(rig, way->ril);

	if (way->one_granule)
		smmu.guest.idr[5] &= ~larger_granules;
	if (way->host_lacks_ril)
		smmu.host.idr[3] &= ~ril;
	smmu.plan = way->plan;
	return smmu;
}

/* The guest's SMMU is as the stream's was, so it is one of its own. */
static struct tally replay(struct rig *rig, const struct stream *stream,
			   const struct way *way)
{
	static const struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
	};
	struct smmuinv_vsmmu_params smmu = params_of(rig, way);
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
	struct tally tally;

	assert_int_equal(rig_unplug(rig, rig->vsmmu, RIG_VSID), 0);
	assert_int_equal(smmuinv_vsmmu_new(&smmu, &vsmmu, NULL), 0);
	assert_int_equal(rig_plug(rig, vsmmu, RIG_VSID), 0);
	assert_int_equal(smmuinv_queue_new(vsmmu, &params, &queue), 0);
	tally = consume(queue, stream);
	smmuinv_queue_free(queue);
	smmuinv_vsmmu_free(vsmmu);
	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
	return tally;
}

/* How many commands of the host's that may be. */
static void judge_host_commands(const struct way *way,
				const struct tally *tally, uint32_t cd_alls)
{
	uint32_t asked = tally->forwarded + cd_alls;

	if (way->host_lacks_ril)
		return;
	if (way->plan == SMMUINV_PLAN_AS_WRITTEN)
		assert_int_equal(tally->host_commands, asked);
	else
		assert_true(tally->host_commands <= asked);
}

static void prove(struct rig *rig, const char *name, const struct way *way)
{
	uint64_t va = rig_fresh_va(rig);
	struct stream stream;
	struct tally expected;
	struct tally tally;

	stream_read(&stream, way->path);
	expected = tally_of(&stream);
	rig_make_stale(rig, va, STAGE1_GLOBAL);
	recorder_begin(&rig->recorder, name);
	tally = replay(rig, &stream, way);
	recorder_end(&rig->recorder);
	assert_int_equal(tally.forwarded, expected.forwarded);
	assert_int_equal(tally.vmm, expected.vmm);
	assert_int_equal(tally.dropped, expected.dropped);
	judge_host_commands(way, &tally, expected.cd_alls);
	/* Each begins with the guest's TLBI_NSNH_ALL. */
	rig_expect(rig, va, PATTERN_B);
	printf("NOTE %s: %" PRIu32 " forwarded, by %" PRIu32
	       " host commands in %" PRIu32 " calls\n",
	       name, tally.forwarded, tally.host_commands, tally.ioctls);
	printf("CASES corpus %" PRIu32 "\n", stream.count);
	free(stream.ring);
}

#define CORPUS_02 "/corpus/02-lk73-both-lazy-io.bin"
#define CORPUS_03 "/corpus/03-lk73-both-vfio-map.bin"
#define CORPUS_04 "/corpus/04-lk73-16k-both-io-vfio.bin"
#define CORPUS_07 "/corpus/07-lk61-both-lazy-vfio.bin"
#define CORPUS_09 "/corpus/09-lk73-both-noril-io.bin"
#define CORPUS_29 "/corpus/29-lk73-l2guest-noril.bin"

/* Command for command. */
static void as_written(void **state, const char *name, const char *path,
		       enum smmuinv_choice ril)
{
	const struct way way = {
		.path = path,
		.ril = ril,
		.plan = SMMUINV_PLAN_AS_WRITTEN,
	};

	prove(*state, name, &way);
}

/* As few as will do. */
static void fewest(void **state, const char *name, const char *path,
		   enum smmuinv_choice ril)
{
	const struct way way = {
		.path = path,
		.ril = ril,
		.plan = SMMUINV_PLAN_MERGED,
	};

	prove(*state, name, &way);
}

static void with_the_granule_known(void **state, const char *name,
				   const char *path)
{
	const struct way way = {
		.path = path,
		.ril = SMMUINV_OFF,
		.one_granule = true,
		.plan = SMMUINV_PLAN_MERGED,
	};

	prove(*state, name, &way);
}

static void corpus_02_of_a_guest_with_ranges(void **state)
{
	as_written(state, __func__, CORPUS_02, SMMUINV_ON);
}

static void corpus_03_of_a_guest_with_every_level(void **state)
{
	as_written(state, __func__, CORPUS_03, SMMUINV_ON);
}

static void corpus_04_of_a_guest_with_16k_pages(void **state)
{
	as_written(state, __func__, CORPUS_04, SMMUINV_ON);
}

static void corpus_07_of_an_older_guest(void **state)
{
	as_written(state, __func__, CORPUS_07, SMMUINV_ON);
}

static void corpus_29_of_a_guest_in_a_guest(void **state)
{
	as_written(state, __func__, CORPUS_29, SMMUINV_OFF);
}

static void corpus_09_of_a_guest_without_ranges(void **state)
{
	as_written(state, __func__, CORPUS_09, SMMUINV_OFF);
}

static void corpus_02_planned(void **state)
{
	fewest(state, __func__, CORPUS_02, SMMUINV_ON);
}

static void corpus_03_planned(void **state)
{
	fewest(state, __func__, CORPUS_03, SMMUINV_ON);
}

static void corpus_04_planned(void **state)
{
	fewest(state, __func__, CORPUS_04, SMMUINV_ON);
}

static void corpus_07_planned(void **state)
{
	fewest(state, __func__, CORPUS_07, SMMUINV_ON);
}

static void corpus_29_planned(void **state)
{
	fewest(state, __func__, CORPUS_29, SMMUINV_OFF);
}

static void corpus_09_planned(void **state)
{
	fewest(state, __func__, CORPUS_09, SMMUINV_OFF);
}

static void corpus_29_planned_with_the_granule_known(void **state)
{
	with_the_granule_known(state, __func__, CORPUS_29);
}

static void corpus_09_planned_with_the_granule_known(void **state)
{
	with_the_granule_known(state, __func__, CORPUS_09);
}

/* After a migration: what were ranges are pages, or everything. */
static void corpus_02_on_a_host_without_ranges(void **state)
{
	const struct way way = {
		.path = CORPUS_02,
		.ril = SMMUINV_ON,
		.host_lacks_ril = true,
	};

	prove(*state, __func__, &way);
}

/* In none of the tests so far: of this boot this is the last over the kernel.
 */
static void hosts_queue_never_suffered(void **state)
{
	(void)state;
	kernel_log_assert_quiet(__func__);
}

#define RIG_TEST(name) cmocka_unit_test_teardown(name, rig_test_teardown)

int test_corpus(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(corpus_02_of_a_guest_with_ranges),
		RIG_TEST(corpus_03_of_a_guest_with_every_level),
		RIG_TEST(corpus_04_of_a_guest_with_16k_pages),
		RIG_TEST(corpus_07_of_an_older_guest),
		RIG_TEST(corpus_29_of_a_guest_in_a_guest),
		RIG_TEST(corpus_09_of_a_guest_without_ranges),
		RIG_TEST(corpus_02_planned),
		RIG_TEST(corpus_03_planned),
		RIG_TEST(corpus_04_planned),
		RIG_TEST(corpus_07_planned),
		RIG_TEST(corpus_29_planned),
		RIG_TEST(corpus_09_planned),
		RIG_TEST(corpus_29_planned_with_the_granule_known),
		RIG_TEST(corpus_09_planned_with_the_granule_known),
		RIG_TEST(corpus_02_on_a_host_without_ranges),
		RIG_TEST(hosts_queue_never_suffered),
	};

	return cmocka_run_group_tests_name("corpus", tests, rig_group_setup,
					   rig_group_teardown);
}
