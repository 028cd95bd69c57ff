/* SPDX-License-Identifier: MIT */
/*
 * The executor against a backend that follows a script: which calls are made,
 * what the host answers to each, and which are made because of that. A call
 * that the script does not have fails the test, and so does one that was not
 * made. Then against hosts that fail in every way at random.
 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <smmuinv/batch.h>

#include "command.h"
#include "execute.h"
#include "planner.h"

#define VIOMMU  7u
#define ANOTHER 8u
#define STEPS   512u
#define TEXT    32u

struct rig;

/* A call that is expected, and the answer. */
struct step {
	struct smmuinv_command commands[TEXT];
	uint32_t count;
	int rc;
	uint32_t done;                   /* the count that is answered */
	void (*meanwhile)(struct rig *); /* what other threads do */
};

struct rig {
	struct smmuinv_backend *backend;
	struct streams streams;
	struct executor x;
	struct account account;
	struct step steps[STEPS];
	uint32_t step_count;
	uint32_t used;
};

static int follow(void *context, uint32_t viommu_id,
		  const struct smmuinv_command *commands, uint32_t *count)
{
	struct rig *rig = context;
	const struct step *step = &rig->steps[rig->used];
	uint32_t i;

	if (rig->used == rig->step_count)
		fail_msg("one call too many: %u of %s", *count,
			 test_text(commands));
	assert_int_equal(viommu_id, VIOMMU);
	assert_int_equal(*count, step->count);
	for (i = 0; i < *count; i++) {
		if (!test_command_equal(&commands[i], &step->commands[i]))
			fail_msg("call %u, command %u: %s\nwanted %s",
				 rig->used, i, test_text(&commands[i]),
				 test_text(&step->commands[i]));
	}
	/* It is registered, and the lock is free. */
	assert_non_null(rig->streams.calls);
	assert_int_equal(rig->streams.calls->viommu_id, VIOMMU);
	assert_int_equal(pthread_mutex_trylock(&rig->streams.lock), 0);
	pthread_mutex_unlock(&rig->streams.lock);
	rig->used++;
	if (step->meanwhile)
		step->meanwhile(rig);
	*count = step->done;
	return step->rc;
}

static struct step *expect(struct rig *rig, int rc, uint32_t done,
			   const struct smmuinv_command *commands,
			   uint32_t count)
{
	struct step *step = &rig->steps[rig->step_count++];

	assert_true(count <= TEXT && rig->step_count <= STEPS);
	*step = (struct step){ .count = count, .rc = rc, .done = done };
	memcpy(step->commands, commands, count * sizeof(*commands));
	return step;
}

#define EXPECT_OK(rig, ...) \
	expect(rig, 0, COUNT(__VA_ARGS__), LIST(__VA_ARGS__))
#define EXPECT(rig, rc, done, ...) expect(rig, rc, done, LIST(__VA_ARGS__))

static void plug_at(struct rig *rig, uint32_t vsid, uint32_t viommu)
{
	const struct stream stream = {
		.vsid = vsid,
		.viommu_id = viommu,
		.state = STREAM_THERE,
		.ats = true,
	};

	assert_int_equal(smmuinv__stream_insert(&rig->streams, &stream), 0);
}

static void plug(struct rig *rig, uint32_t vsid)
{
	plug_at(rig, vsid, VIOMMU);
}

static struct stream *stream_of(struct rig *rig, uint32_t vsid)
{
	struct stream *stream = smmuinv__stream_find(&rig->streams, vsid);

	assert_non_null(stream);
	return stream;
}

static void set_debt(struct rig *rig, uint32_t vsid, uint64_t debt)
{
	smmuinv__stream_set_debt(&rig->streams, stream_of(rig, vsid), debt);
}

static bool owes(struct rig *rig, uint32_t vsid)
{
	return stream_of(rig, vsid)->debt;
}

static void begin(struct rig *rig)
{
	const bool repeat = rig->x.viommu.repeat;

	rig->x = (struct executor){
		.backend = rig->backend,
		.streams = &rig->streams,
		.viommu = { .id = VIOMMU, .repeat = repeat },
		.changes = rig->streams.changes,
		.retries_left = 64,
		.timeouts_left = 5,
		.account = &rig->account,
	};
	rig->account = (struct account){ .undone = 0 };
	smmuinv__account_open(&rig->account, SMMUINV_INDEX_NONE);
	rig->step_count = 0;
	rig->used = 0;
}

static void rig_open(struct rig *rig,
		     int (*invalidate)(void *, uint32_t,
				       const struct smmuinv_command *,
				       uint32_t *),
		     void *context)
{
	const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.invalidate = invalidate,
	};

	assert_int_equal(smmuinv_backend_new(&ops, context, &rig->backend), 0);
	assert_int_equal(smmuinv__streams_init(&rig->streams), 0);
	rig->streams.viommus[0].id = VIOMMU;
	rig->streams.viommus[1].id = ANOTHER;
	rig->streams.viommu_count = 2;
	begin(rig);
}

static void rig_close(struct rig *rig)
{
	smmuinv__streams_destroy(&rig->streams);
	smmuinv_backend_free(rig->backend);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_open(rig, follow, rig);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_close(*state);
	free(*state);
	return 0;
}

/* The origin of the Nth command. */
#define AT(n) (10 * (n) + 3)

static void assert_used(const struct rig *rig)
{
	assert_int_equal(rig->used, rig->step_count);
	assert_null(rig->streams.calls);
	/* With the erratum there are two calls for one. */
	assert_int_equal(rig->account.counters.ioctls, rig->used);
}

static void run_ends(struct rig *rig, const struct smmuinv_command *commands,
		     uint32_t count, const uint32_t *ends, uint32_t end_count)
{
	struct smmuinv_command copy[4 * TEXT];
	uint32_t origin[4 * TEXT];
	uint32_t calls_end[4 * TEXT];
	const struct calls calls = {
		.commands = copy,
		.origin = origin,
		.count = count,
		.ends = calls_end,
		.end_count = end_count,
	};
	uint32_t i;

	memcpy(copy, commands, count * sizeof(*copy));
	memcpy(calls_end, ends, end_count * sizeof(*ends));
	for (i = 0; i < count; i++)
		origin[i] = AT(i);
	smmuinv__execute_calls(&rig->x, &calls);
	assert_used(rig);
}

/* One call. */
static void run(struct rig *rig, const struct smmuinv_command *commands,
		uint32_t count)
{
	run_ends(rig, commands, count, &count, 1);
}

static void assert_fine(const struct rig *rig)
{
	const struct account *a = &rig->account;

	assert_int_equal(rig->x.error, 0);
	assert_int_equal(a->fault.error, 0);
	assert_int_equal(a->fault.source, SMMUINV_SOURCE_NONE);
	assert_int_equal(a->fault.viommu_id, 0);
	assert_true(a->fault.vsid == SMMUINV_VSID_NONE);
	assert_int_equal(a->undone, SMMUINV_INDEX_NONE);
	assert_int_equal(a->fault_index, SMMUINV_INDEX_NONE);
	assert_int_equal(a->owed, SMMUINV_INDEX_NONE);
	assert_true(a->owed_vsid == SMMUINV_VSID_NONE);
	assert_false(a->fresh);
}

static void assert_failed(const struct rig *rig, int error, uint32_t fault,
			  uint32_t undone, uint64_t vsid)
{
	const struct account *a = &rig->account;

	assert_int_equal(a->fault.error, error);
	assert_int_equal(a->fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(a->fault.viommu_id, VIOMMU);
	assert_true(a->fault.vsid == vsid);
	assert_int_equal(a->fault_index, fault);
	assert_int_equal(a->undone, undone);
}

static void assert_owed(struct rig *rig, uint32_t owed, uint64_t vsid)
{
	const struct account *a = &rig->account;

	assert_int_equal(a->fault.error, 0);
	assert_int_equal(a->undone, SMMUINV_INDEX_NONE);
	assert_int_equal(a->owed, owed);
	assert_int_equal(a->owed_viommu, VIOMMU);
	assert_true(a->owed_vsid == vsid);
	if (vsid != SMMUINV_VSID_NONE)
		assert_true(owes(rig, (uint32_t)vsid));
}

static struct smmuinv_command page(unsigned int n)
{
	return nh_va(1, (uint64_t)n << 13);
}

static struct smmuinv_command whole(uint32_t sid)
{
	return atc(sid, 0, SMMUINV_ATC_SIZE_ALL);
}

/*
 * Calls
 */

static void each_call_is_made_once(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	EXPECT_OK(rig, cd_all(1), page(0));
	EXPECT_OK(rig, page(1));
	EXPECT_OK(rig, atc(1, 0, 0), atc(1, 0x2000, 0));
	run_ends(rig,
		 LIST(cd_all(1), page(0), page(1), atc(1, 0, 0),
		      atc(1, 0x2000, 0)),
		 ENDS(2, 3, 5));
	assert_fine(rig);
	assert_int_equal(rig->account.counters.host_commands, 5);
	assert_int_equal(rig->account.counters.failed, 0);
	assert_int_equal(rig->account.counters.retries, 0);
	begin(rig);
	run_ends(rig, COMMANDS(page(0)), 0, (const uint32_t[]){ 0 }, 0);
	assert_fine(rig);
}

struct counted {
	uint32_t calls;
	uint32_t counts[4];
	uint32_t fail_at;
};

static int count_only(void *context, uint32_t viommu_id,
		      const struct smmuinv_command *commands, uint32_t *count)
{
	struct counted *c = context;

	(void)viommu_id;
	(void)commands;
	assert_true(c->calls < ARRAY_SIZE(c->counts));
	c->counts[c->calls] = *count;
	return ++c->calls == c->fail_at ? -ENOENT : 0;
}

static void no_call_has_more_than_the_kernel_takes(void **state)
{
	const uint32_t most = SMMUINV_BATCH_CAPACITY_MAX;
	struct counted counted = { 0 };
	struct rig rig = { 0 };
	uint32_t ends[2] = { 2 * most, 2 * most + 1 };
	struct calls calls = { .count = ends[1], .ends = ends, .end_count = 2 };

	(void)state;
	rig_open(&rig, count_only, &counted);
	calls.commands = calloc(calls.count, sizeof(*calls.commands));
	calls.origin = calloc(calls.count, sizeof(*calls.origin));
	calls.origin[2 * most] = 9;
	smmuinv__execute_calls(&rig.x, &calls);
	assert_int_equal(counted.calls, 3);
	assert_int_equal(counted.counts[0], most);
	assert_int_equal(counted.counts[1], most);
	assert_int_equal(counted.counts[2], 1);
	assert_fine(&rig);
	free(calls.commands);
	free(calls.origin);
	rig_close(&rig);
}

/*
 * Failures that pass
 */

static const int errnos[] = { -EINVAL,     -EFAULT,    -ENOENT, -EPROTO, -EPERM,
			      -EOPNOTSUPP, -ETIMEDOUT, -ENOSPC, -EBADF };

static void whatever_fails_is_tried_three_times(void **state)
{
	struct rig *rig = *state;
	size_t i;
	unsigned int times;

	for (i = 0; i < ARRAY_SIZE(errnos); i++) {
		for (times = 1; times <= 3; times++) {
			unsigned int n;

			begin(rig);
			/* What the count says does not matter. */
			for (n = 0; n < times; n++)
				EXPECT(rig, errnos[i], n, page(0), page(1));
			if (times < 3)
				EXPECT_OK(rig, page(0), page(1));
			if (times < 3)
				EXPECT_OK(rig, page(2));
			run_ends(rig, LIST(page(0), page(1), page(2)),
				 ENDS(2, 3));
			if (times < 3)
				assert_fine(rig);
			else
				assert_failed(rig, errnos[i], AT(0), AT(0),
					      SMMUINV_VSID_NONE);
			assert_int_equal(rig->account.counters.failed, times);
			assert_int_equal(rig->account.counters.timeouts,
					 errnos[i] == -ETIMEDOUT ? times : 0);
			assert_int_equal(rig->account.counters.retries,
					 times < 3 ? times + 1 : times - 1);
		}
	}
}

static void an_answer_without_sense_is_a_failure(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	for (n = 0; n < 3; n++)
		EXPECT(rig, n == 1 ? 5 : 0, 1, page(0), page(1));
	run(rig, LIST(page(0), page(1)));
	assert_failed(rig, -EPROTO, AT(0), AT(0), SMMUINV_VSID_NONE);
}

static void time_outs_of_tlbis_are_limited(void **state)
{
	struct rig *rig = *state;
	unsigned int limit;

	for (limit = 1; limit <= 3; limit++) {
		unsigned int n;

		begin(rig);
		rig->x.timeouts_left = limit;
		for (n = 0; n < limit; n++)
			EXPECT(rig, -ETIMEDOUT, 0, page(0));
		run(rig, LIST(page(0)));
		assert_failed(rig, -ETIMEDOUT, AT(0), AT(0), SMMUINV_VSID_NONE);
		assert_int_equal(rig->account.counters.timeouts, limit);
		assert_int_equal(rig->x.timeouts_left, 0);
	}
}

static void after_a_failure_that_stays_no_later_call_is_made(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	for (n = 0; n < 3; n++)
		EXPECT(rig, -ENOENT, 0, page(1), page(2));
	run_ends(rig, LIST(page(1), page(2), page(3), atc(1, 0, 0)),
		 ENDS(2, 3, 4));
	assert_failed(rig, -ENOENT, AT(0), AT(0), SMMUINV_VSID_NONE);
	begin(rig);
	EXPECT_OK(rig, page(0));
	for (n = 0; n < 3; n++)
		EXPECT(rig, -ENOENT, 0, page(1), page(2));
	run_ends(rig, LIST(page(0), page(1), page(2), page(3)), ENDS(1, 3, 4));
	assert_failed(rig, -ENOENT, AT(1), AT(1), SMMUINV_VSID_NONE);
}

/* Commands are known by their origins, which need not be in order. */
static void the_lowest_origin_is_undone(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_command commands[] = { page(0), page(1), page(2) };
	uint32_t origin[] = { 8, 2, 5 };
	uint32_t ends[] = { 1, 3 };
	struct calls calls = { commands, origin, 3, ends, 2 };
	unsigned int n;

	for (n = 0; n < 3; n++)
		EXPECT(rig, -ENOENT, 0, page(0));
	smmuinv__execute_calls(&rig->x, &calls);
	assert_used(rig);
	assert_failed(rig, -ENOENT, 8, 2, SMMUINV_VSID_NONE);
}

/*
 * -ENOMEM
 */

static void without_memory_smaller_calls_are_made(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, -ENOMEM, 3, page(0), page(1), page(2), page(3), page(4));
	EXPECT(rig, -ENOMEM, 0, page(0), page(1));
	EXPECT_OK(rig, page(0));
	EXPECT_OK(rig, page(1));
	EXPECT_OK(rig, page(2), page(3), page(4));
	EXPECT_OK(rig, page(5), page(6));
	run_ends(rig,
		 LIST(page(0), page(1), page(2), page(3), page(4), page(5),
		      page(6)),
		 ENDS(5, 7));
	assert_fine(rig);
	assert_int_equal(rig->account.counters.failed, 2);
	assert_int_equal(rig->account.counters.retries, 5);
	assert_int_equal(rig->account.counters.host_commands, 5 + 2 + 5 + 2);
}

static void one_command_without_memory_is_tried_three_times(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	EXPECT(rig, -ENOMEM, 0, page(0), page(1), page(2));
	EXPECT_OK(rig, page(0));
	EXPECT(rig, -ENOMEM, 0, page(1), page(2));
	for (n = 0; n < 3; n++)
		EXPECT(rig, -ENOMEM, 0, page(1));
	run(rig, LIST(page(0), page(1), page(2)));
	assert_failed(rig, -ENOMEM, AT(1), AT(1), SMMUINV_VSID_NONE);
	begin(rig);
	EXPECT(rig, -ENOMEM, 0, page(0));
	EXPECT(rig, -ENOMEM, 0, page(0));
	EXPECT_OK(rig, page(0));
	run(rig, LIST(page(0)));
	assert_fine(rig);
}

static void atc_invs_without_memory_are_not_owed(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	plug(rig, 1);
	EXPECT(rig, -ENOMEM, 0, atc(1, 0, 0), atc(1, 0x2000, 0));
	for (n = 0; n < 3; n++)
		EXPECT(rig, -ENOMEM, 0, atc(1, 0, 0));
	run(rig, LIST(atc(1, 0, 0), atc(1, 0x2000, 0)));
	assert_failed(rig, -ENOMEM, AT(0), AT(0), SMMUINV_VSID_NONE);
	assert_false(owes(rig, 1));
}

/*
 * Refusals
 */

/* Command @bad of six is refused, and the count says so. */
static void a_suspect_is_sent_alone_and_then_replaced(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_command six[6];
	uint32_t bad;
	uint32_t i;

	for (i = 0; i < 6; i++)
		six[i] = page(i);
	for (bad = 0; bad < 6; bad++) {
		begin(rig);
		expect(rig, -EIO, bad, six, 6);
		if (bad)
			expect(rig, 0, bad, six, bad);
		expect(rig, -EIO, 0, six + bad, 1);
		expect(rig, -EIO, 0, six + bad, 1);
		EXPECT_OK(rig, nh_all());
		if (bad < 5)
			expect(rig, 0, 5 - bad, six + bad + 1, 5 - bad);
		run(rig, six, 6);
		assert_fine(rig);
		assert_int_equal(rig->account.counters.replaced, 1);
		assert_int_equal(rig->account.counters.failed, 3);
	}
}

static void a_suspect_that_is_accepted_alone_is_not_to_blame(void **state)
{
	struct rig *rig = *state;

	/* The count is that of a block, and the culprit is in its middle. */
	EXPECT(rig, -EIO, 0, page(0), page(1), page(2), page(3));
	EXPECT_OK(rig, page(0));
	EXPECT(rig, -EIO, 2, page(1), page(2), page(3));
	/* It is not believed any more. */
	EXPECT_OK(rig, page(1));
	EXPECT(rig, -EIO, 0, page(2), page(3));
	EXPECT(rig, -EIO, 0, page(2));
	EXPECT(rig, -EIO, 0, page(2));
	EXPECT_OK(rig, nh_all());
	EXPECT_OK(rig, page(3));
	run(rig, LIST(page(0), page(1), page(2), page(3)));
	assert_fine(rig);
	assert_int_equal(rig->account.counters.replaced, 1);
}

static void a_count_that_names_no_command_is_no_hint(void **state)
{
	static const uint32_t counts[] = { 4, 5, UINT32_MAX };
	struct rig *rig = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		begin(rig);
		EXPECT(rig, -EIO, counts[i], page(0), page(1), page(2),
		       page(3));
		EXPECT_OK(rig, page(0), page(1));
		EXPECT(rig, -EIO, 1, page(2), page(3));
		EXPECT_OK(rig, page(2));
		EXPECT(rig, -EIO, 0, page(3));
		EXPECT_OK(rig, page(3));
		run(rig, LIST(page(0), page(1), page(2), page(3)));
		assert_fine(rig);
		assert_int_equal(rig->account.counters.replaced, 0);
	}
}

/* What is replaced by what (4.3.4, 4.4.2.1, 4.5.1). */
static void what_covers_a_command_replaces_it(void **state)
{
	const struct {
		struct smmuinv_command command;
		struct smmuinv_command cover;
	} cases[] = {
		{ nh_va(5, 0x3001), nh_all() },
		{ nh_vaa(0x3000), nh_all() },
		{ ranged(nh_va(5, 0), SMMUINV_TG_4K, 3, 4, 5), nh_all() },
		{ nh_asid(5), nh_all() },
		{ nh_all(), nh_all() },
		{ nsnh_all(), nh_all() },
		{ cd(1, 5, 0), cd_all(1) },
		{ cd(UINT32_MAX, 0xfffff, LEAF), cd_all(UINT32_MAX) },
		{ cd_all(1), cd_all(1) },
		{ atc(UINT32_MAX, 0x3000, 4), whole(UINT32_MAX) },
		{ tagged(atc(1, 0x3000, 0), 5, false),
		  tagged(whole(1), 5, false) },
		{ tagged(atc(1, 0x3000, 0), 5, true),
		  tagged(whole(1), 5, true) },
	};
	struct rig *rig = *state;
	size_t i;

	plug(rig, 1);
	plug(rig, UINT32_MAX);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(rig);
		expect(rig, -EIO, 0, &cases[i].command, 1);
		expect(rig, -EIO, 0, &cases[i].command, 1);
		expect(rig, 0, 1, &cases[i].cover, 1);
		run(rig, &cases[i].command, 1);
		assert_fine(rig);
		assert_int_equal(rig->account.counters.replaced, 1);
		assert_int_equal(rig->account.counters.retries, 2);
	}
}

static void refused_once_is_not_refused(void **state)
{
	struct rig *rig = *state;

	EXPECT(rig, -EIO, 0, page(0));
	EXPECT_OK(rig, page(0));
	run(rig, LIST(page(0)));
	assert_fine(rig);
	assert_int_equal(rig->account.counters.replaced, 0);
	/* -ENODEV of a backend is no stream's. */
	begin(rig);
	EXPECT(rig, -ENODEV, 0, page(0), page(1));
	EXPECT_OK(rig, page(0));
	EXPECT_OK(rig, page(1));
	run(rig, LIST(page(0), page(1)));
	assert_fine(rig);
}

static void a_host_that_refuses_tlbi_nh_all_refuses_everything(void **state)
{
	struct rig *rig = *state;
	size_t i;

	EXPECT(rig, -EIO, 1, page(0), page(1), page(2));
	EXPECT_OK(rig, page(0));
	EXPECT(rig, -EIO, 0, page(1));
	EXPECT(rig, -EIO, 0, page(1));
	EXPECT(rig, -EIO, 0, nh_all());
	run_ends(rig, LIST(page(0), page(1), page(2), page(3)), ENDS(3, 4));
	assert_failed(rig, -EIO, AT(1), AT(1), SMMUINV_VSID_NONE);
	for (i = 0; i < ARRAY_SIZE(errnos); i++) {
		begin(rig);
		EXPECT(rig, -EIO, 0, page(0));
		EXPECT(rig, -EIO, 0, page(0));
		EXPECT(rig, errnos[i], 0, nh_all());
		run(rig, LIST(page(0)));
		assert_failed(rig, errnos[i], AT(0), AT(0), SMMUINV_VSID_NONE);
		assert_int_equal(rig->account.counters.replaced, 0);
	}
}

/*
 * A vDEVICE that is gone
 */

static void expect_gone(struct rig *rig, uint32_t sid)
{
	EXPECT(rig, -EIO, 0, cd(sid, 0, 0));
	EXPECT(rig, -EIO, 0, cd(sid, 0, 0));
	EXPECT(rig, -EIO, 0, cd_all(sid));
	EXPECT_OK(rig, nh_all());
}

static void a_stream_that_is_refused_everything_is_gone(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	EXPECT(rig, -EIO, 1, page(0), cd(2, 0, 0), cd(1, 0, 0));
	EXPECT_OK(rig, page(0));
	expect_gone(rig, 2);
	/* The others of the call are executed, and no later call is made. */
	EXPECT_OK(rig, cd(1, 0, 0));
	run_ends(rig, LIST(page(0), cd(2, 0, 0), cd(1, 0, 0), page(1)),
		 ENDS(3, 4));
	assert_failed(rig, -ENODEV, AT(1), AT(1), 2);
	assert_false(owes(rig, 2));
}

static void an_atc_inv_of_a_stream_that_is_gone(void **state)
{
	struct rig *rig = *state;

	plug(rig, 0);
	EXPECT(rig, -EIO, 0, atc(0, 0, 0));
	EXPECT(rig, -EIO, 0, atc(0, 0, 0));
	EXPECT(rig, -EIO, 0, whole(0));
	EXPECT(rig, -EIO, 0, cd_all(0));
	EXPECT_OK(rig, nh_all());
	run(rig, LIST(atc(0, 0, 0)));
	assert_failed(rig, -ENODEV, AT(0), AT(0), 0);
	assert_false(owes(rig, 0));
}

static void of_two_streams_that_are_gone_the_first_is_named(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_command both[] = { cd(1, 0, 0), cd(2, 0, 0) };
	uint32_t origin[] = { 4, 2 };
	uint32_t end = 2;
	struct calls calls = { both, origin, 2, &end, 1 };

	plug(rig, 1);
	plug(rig, 2);
	expect(rig, -EIO, 0, both, 2);
	expect_gone(rig, 1);
	expect_gone(rig, 2);
	run(rig, both, 2);
	assert_failed(rig, -ENODEV, AT(0), AT(0), 1);
	begin(rig);
	expect(rig, -EIO, 0, both, 2);
	expect_gone(rig, 1);
	expect_gone(rig, 2);
	smmuinv__execute_calls(&rig->x, &calls);
	assert_used(rig);
	assert_failed(rig, -ENODEV, 2, 2, 2);
}

static void of_two_failures_the_first_is_reported(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	plug(rig, 1);
	EXPECT(rig, -EIO, 0, cd(1, 0, 0), page(0), page(1));
	expect_gone(rig, 1);
	for (n = 0; n < 3; n++)
		EXPECT(rig, -ENOENT, 0, page(0), page(1));
	run(rig, LIST(cd(1, 0, 0), page(0), page(1)));
	assert_failed(rig, -ENODEV, AT(0), AT(0), 1);
	assert_int_equal(rig->x.error, -ENOENT);
	/* After one that is no stream's nothing is tried. */
	begin(rig);
	EXPECT(rig, -EIO, 1, page(0), cd(1, 0, 0), page(1));
	for (n = 0; n < 3; n++)
		EXPECT(rig, -ENOENT, 0, page(0));
	run(rig, LIST(page(0), cd(1, 0, 0), page(1)));
	assert_failed(rig, -ENOENT, AT(0), AT(0), SMMUINV_VSID_NONE);
}

static void
a_cover_that_fails_otherwise_says_nothing_of_the_stream(void **state)
{
	struct rig *rig = *state;
	size_t i;

	plug(rig, 1);
	for (i = 0; i < ARRAY_SIZE(errnos); i++) {
		begin(rig);
		EXPECT(rig, -EIO, 0, cd(1, 0, 0));
		EXPECT(rig, -EIO, 0, cd(1, 0, 0));
		EXPECT(rig, errnos[i], 0, cd_all(1));
		run(rig, LIST(cd(1, 0, 0)));
		assert_failed(rig, errnos[i], AT(0), AT(0), SMMUINV_VSID_NONE);
		begin(rig);
		EXPECT(rig, -EIO, 0, atc(1, 0, 0));
		EXPECT(rig, -EIO, 0, atc(1, 0, 0));
		EXPECT(rig, -EIO, 0, whole(1));
		EXPECT(rig, errnos[i], 0, cd_all(1));
		run(rig, LIST(atc(1, 0, 0)));
		assert_failed(rig, errnos[i], AT(0), AT(0), SMMUINV_VSID_NONE);
		assert_false(owes(rig, 1));
		if (errnos[i] == -ETIMEDOUT)
			continue;
		begin(rig);
		EXPECT(rig, -EIO, 0, atc(1, 0, 0));
		EXPECT(rig, -EIO, 0, atc(1, 0, 0));
		EXPECT(rig, errnos[i], 0, whole(1));
		run(rig, LIST(atc(1, 0, 0)));
		assert_failed(rig, errnos[i], AT(0), AT(0), SMMUINV_VSID_NONE);
		assert_false(owes(rig, 1));
	}
}

/* A vDEVICE is gone only if the SMMU takes what names none. */
static void an_smmu_that_refuses_everything_has_lost_no_stream(void **state)
{
	struct rig *rig = *state;
	size_t i;

	plug(rig, 1);
	for (i = 0; i <= ARRAY_SIZE(errnos); i++) {
		int rc = i ? errnos[i - 1] : -EIO;

		begin(rig);
		EXPECT(rig, -EIO, 0, cd(1, 0, 0));
		EXPECT(rig, -EIO, 0, cd(1, 0, 0));
		EXPECT(rig, -EIO, 0, cd_all(1));
		EXPECT(rig, rc, 0, nh_all());
		run(rig, LIST(cd(1, 0, 0)));
		assert_failed(rig, rc, AT(0), AT(0), SMMUINV_VSID_NONE);
	}
}

/*
 * Devices that do not answer
 */

static void a_device_that_does_not_answer_owes(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	/* Of one stream there is nothing to find out. */
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0), atc(1, 0x2000, 0));
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0), atc(1, 0x2000, 0));
	/* It is the device: the SMMU does answer. */
	EXPECT_OK(rig, cd_all(1));
	run(rig, LIST(atc(1, 0, 0), atc(1, 0x2000, 0)));
	assert_owed(rig, AT(0), 1);
	assert_false(owes(rig, 2));
	assert_int_equal(rig->account.counters.timeouts, 2);
	assert_int_equal(rig->x.timeouts_left, 3);
}

/* Or refuse, because the vDEVICE is gone. */
static void an_smmu_that_does_not_answer_is_no_device(void **state)
{
	struct rig *rig = *state;
	size_t i;

	plug(rig, 1);
	for (i = 0; i < ARRAY_SIZE(errnos); i++) {
		begin(rig);
		EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
		EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
		EXPECT(rig, errnos[i], 0, cd_all(1));
		run(rig, LIST(atc(1, 0, 0)));
		assert_failed(rig, errnos[i], AT(0), AT(0), SMMUINV_VSID_NONE);
		assert_false(owes(rig, 1));
		assert_false(rig->account.fresh);
	}
	begin(rig);
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT(rig, -EIO, 0, cd_all(1));
	run(rig, LIST(atc(1, 0, 0)));
	assert_owed(rig, AT(0), 1);
	assert_true(rig->account.fresh);
}

/* Once it has answered it is not asked again. */
static void an_smmu_is_asked_once(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	rig->x.timeouts_left = 9;
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0), atc(2, 0, 0));
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT_OK(rig, cd_all(1));
	EXPECT(rig, -ETIMEDOUT, 0, atc(2, 0, 0));
	EXPECT(rig, -ETIMEDOUT, 0, atc(2, 0, 0));
	run(rig, LIST(atc(1, 0, 0), atc(2, 0, 0)));
	assert_owed(rig, AT(0), 1);
	assert_true(owes(rig, 2));
}

static void a_time_out_that_passes_is_nothing(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT_OK(rig, atc(1, 0, 0));
	run(rig, LIST(atc(1, 0, 0)));
	assert_fine(rig);
	begin(rig);
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0), atc(2, 0, 0));
	EXPECT_OK(rig, atc(1, 0, 0));
	EXPECT_OK(rig, atc(2, 0, 0));
	run(rig, LIST(atc(1, 0, 0), atc(2, 0, 0)));
	assert_fine(rig);
	assert_false(owes(rig, 1));
	assert_false(owes(rig, 2));
}

/* A kernel that tells a time-out as a refusal still takes its CFGI_CD_ALL. */
static void a_refused_atc_inv_of_a_stream_that_is_there_is_owed(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	EXPECT(rig, -EIO, 1, atc(1, 0, 0), atc(2, 0, 0), atc(1, 0x2000, 0));
	EXPECT_OK(rig, atc(1, 0, 0));
	EXPECT(rig, -EIO, 0, atc(2, 0, 0));
	EXPECT(rig, -EIO, 0, atc(2, 0, 0));
	EXPECT(rig, -EIO, 0, whole(2));
	EXPECT_OK(rig, cd_all(2));
	EXPECT_OK(rig, atc(1, 0x2000, 0));
	run(rig, LIST(atc(1, 0, 0), atc(2, 0, 0), atc(1, 0x2000, 0)));
	assert_owed(rig, AT(1), 2);
	assert_false(owes(rig, 1));
	assert_int_equal(rig->account.counters.replaced, 0);
	/* Each of them may have cost a second. */
	assert_int_equal(rig->x.timeouts_left, 2);
	/* The cover may be the one that says it. */
	begin(rig);
	EXPECT(rig, -EIO, 0, atc(1, 0, 0));
	EXPECT(rig, -EIO, 0, atc(1, 0, 0));
	EXPECT(rig, -ETIMEDOUT, 0, whole(1));
	EXPECT_OK(rig, cd_all(1));
	run(rig, LIST(atc(1, 0, 0)));
	assert_owed(rig, AT(0), 1);
}

/* What a device owes is not sent to it again in the same window. */
static void a_device_that_owes_is_not_asked_again(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT_OK(rig, cd_all(1));
	/* Its place has one that is sent twice. */
	EXPECT_OK(rig, atc(2, 0, 0), atc(2, 0, 0));
	run_ends(rig,
		 LIST(atc(1, 0, 0), atc(1, 0x2000, 0), atc(2, 0, 0),
		      atc(1, 0x3000, 0)),
		 ENDS(1, 3, 4));
	assert_owed(rig, AT(0), 1);
	/* But its CDs are. */
	begin(rig);
	rig->x.changes--;
	EXPECT_OK(rig, cd(1, 0, 0), cd(1, 0, 0));
	run_ends(rig, LIST(atc(1, 0, 0), cd(1, 0, 0)), ENDS(2));
	assert_owed(rig, AT(0), 1);
}

static void with_no_time_left_devices_are_not_asked(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	rig->x.timeouts_left = 0;
	EXPECT_OK(rig, page(0));
	EXPECT_OK(rig, cd_all(2));
	run_ends(rig, LIST(page(0), atc(2, 0, 0), atc(1, 0, 0)), ENDS(1, 3));
	/* It is not known which of them does not answer. */
	assert_owed(rig, AT(1), SMMUINV_VSID_NONE);
	assert_true(owes(rig, 1));
	assert_true(owes(rig, 2));
	/* Nor if it is only one, as long as it was not asked. */
	begin(rig);
	set_debt(rig, 1, 0);
	rig->x.timeouts_left = 0;
	EXPECT_OK(rig, cd_all(1));
	run(rig, LIST(atc(1, 0, 0)));
	assert_owed(rig, AT(0), SMMUINV_VSID_NONE);
	assert_true(owes(rig, 1));
	/* Retries do not matter for what is asked the first time. */
	begin(rig);
	set_debt(rig, 1, 0);
	rig->x.retries_left = 0;
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT_OK(rig, cd_all(1));
	run(rig, LIST(atc(1, 0, 0)));
	assert_owed(rig, AT(0), 1);
}

/*
 * Many devices, of which some do not answer: they are found by halves.
 */

struct hung {
	struct rig *rig;
	const bool *hangs; /* by vSID */
	bool refuses;      /* it says so with -EIO, and counts all as done */
	uint32_t calls;
	uint32_t timeouts;
	bool asked[TEXT * 4];
};

static int answer_hung(void *context, uint32_t viommu_id,
		       const struct smmuinv_command *commands, uint32_t *count)
{
	struct hung *h = context;
	bool hung = false;
	uint32_t i;

	(void)viommu_id;
	h->calls++;
	for (i = 0; i < *count; i++) {
		uint32_t sid = command_sid(&commands[i]);

		if (smmuinv_command_opcode(&commands[i]) != SMMUINV_CMD_ATC_INV)
			continue;
		hung |= h->hangs[sid];
	}
	for (i = 0; !hung && i < *count; i++)
		h->asked[command_sid(&commands[i])] = true;
	h->timeouts += hung;
	if (!hung)
		return 0;
	return h->refuses ? -EIO : -ETIMEDOUT;
}

static void run_hung(struct hung *h, const bool *hangs, uint32_t streams,
		     uint32_t timeouts_max)
{
	struct smmuinv_command commands[TEXT * 4];
	struct rig *rig = h->rig;
	uint32_t i;

	memset(h->asked, 0, sizeof(h->asked));
	h->hangs = hangs;
	h->calls = 0;
	h->timeouts = 0;
	for (i = 0; i < streams; i++) {
		commands[i] = atc(i, 0, 0);
		set_debt(rig, i, 0);
	}
	begin(rig);
	rig->x.timeouts_left = timeouts_max;
	rig->used = 0;
	{
		uint32_t origin[TEXT * 4];
		const struct calls calls = { commands, origin, streams,
					     &streams, 1 };

		for (i = 0; i < streams; i++)
			origin[i] = AT(i);
		smmuinv__execute_calls(&rig->x, &calls);
	}
	assert_int_equal(rig->account.fault.error, 0);
	assert_int_equal(rig->account.undone, SMMUINV_INDEX_NONE);
	for (i = 0; i < streams; i++) {
		/* Asked and answered, or owed; who hangs owes. */
		assert_true(h->asked[i] || owes(rig, i));
		assert_true(!hangs[i] || owes(rig, i));
		if (owes(rig, i))
			assert_true(rig->account.owed <= AT(i));
	}
	/* The last is the whole ATC, after the one of the window. */
	assert_true(h->timeouts <= timeouts_max + h->refuses);
}

static uint32_t log2_up(uint32_t n)
{
	return n < 2 ? 0 : 32 - (uint32_t)__builtin_clz(n - 1);
}

static void hung_open(struct hung *h, struct rig *rig, uint32_t streams)
{
	uint32_t i;

	rig_open(rig, answer_hung, h);
	h->rig = rig;
	for (i = 0; i < streams; i++)
		plug(rig, i);
}

static void one_of_many_is_found_in_a_logarithm_of_calls(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 3, 8, 17, 100 };
	size_t s;
	unsigned int way;

	(void)state;
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (way = 0; way < 2; way++) {
			struct rig rig = { 0 };
			struct hung h = { .refuses = way };
			uint32_t n = sizes[s];
			uint32_t at;

			hung_open(&h, &rig, n);
			for (at = 0; at < n; at++) {
				bool hangs[TEXT * 4] = { false };
				uint32_t i;

				hangs[at] = true;
				run_hung(&h, hangs, n, 64);
				assert_true(h.timeouts <= log2_up(n) + 3);
				assert_true(h.calls <= 2 * log2_up(n) + 4);
				for (i = 0; i < n; i++)
					assert_int_equal(owes(&rig, i),
							 i == at);
				assert_int_equal(rig.account.owed_vsid, at);
			}
			rig_close(&rig);
		}
	}
}

static void what_is_not_found_out_in_time_all_suspects_owe(void **state)
{
	const uint32_t n = 13;
	size_t rounds = test_iterations(3000);
	unsigned int way;

	(void)state;
	for (way = 0; way < 2; way++) {
		struct rig rig = { 0 };
		struct hung h = { .refuses = way };
		size_t round;

		hung_open(&h, &rig, n);
		for (round = 0; round < rounds; round++) {
			bool hangs[13];
			uint32_t i;

			for (i = 0; i < n; i++)
				hangs[i] = test_chance(20);
			run_hung(&h, hangs, n,
				 1 + (uint32_t)test_random_below(8));
		}
		rig_close(&rig);
	}
}

/* Whatever the call that the halves come from has failed with. */
static void what_no_time_is_left_for_is_owed(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	rig->x.timeouts_left = 1;
	EXPECT(rig, -ENOMEM, 0, atc(1, 0, 0), atc(2, 0, 0));
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT_OK(rig, cd_all(1));
	run(rig, LIST(atc(1, 0, 0), atc(2, 0, 0)));
	assert_owed(rig, AT(0), 1);
	assert_true(owes(rig, 2));
}

static void one_second_is_enough_to_know_that_something_is_wrong(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	rig->x.timeouts_left = 1;
	EXPECT(rig, -ETIMEDOUT, 0, atc(2, 0, 0), atc(1, 0, 0));
	EXPECT_OK(rig, cd_all(2));
	run_ends(rig, LIST(atc(2, 0, 0), atc(1, 0, 0), atc(1, 0x2000, 0)),
		 ENDS(2, 3));
	assert_owed(rig, AT(0), SMMUINV_VSID_NONE);
	assert_true(owes(rig, 1));
	assert_true(owes(rig, 2));
}

/*
 * Retries
 */

static void retries_are_limited(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	rig->x.retries_left = 1;
	EXPECT(rig, -ENOENT, 0, page(0));
	EXPECT(rig, -ENOENT, 0, page(0));
	run(rig, LIST(page(0)));
	assert_failed(rig, -ENOENT, AT(0), AT(0), SMMUINV_VSID_NONE);
	assert_int_equal(rig->account.counters.retries, 1);
	/* What is split without them is undone. */
	begin(rig);
	rig->x.retries_left = 1;
	EXPECT(rig, -EIO, 1, page(0), page(1), page(2));
	EXPECT_OK(rig, page(0));
	run(rig, LIST(page(0), page(1), page(2)));
	assert_failed(rig, -EIO, AT(1), AT(1), SMMUINV_VSID_NONE);
	begin(rig);
	rig->x.retries_left = 1;
	EXPECT(rig, -ENOMEM, 1, page(0), page(1), page(2));
	EXPECT_OK(rig, page(0));
	run(rig, LIST(page(0), page(1), page(2)));
	assert_failed(rig, -ENOMEM, AT(1), AT(1), SMMUINV_VSID_NONE);
	/* ATC_INVs are owed. */
	begin(rig);
	rig->x.retries_left = 0;
	EXPECT(rig, -EIO, 0, atc(1, 0, 0), atc(1, 0x2000, 0));
	EXPECT_OK(rig, cd_all(1));
	run(rig, LIST(atc(1, 0, 0), atc(1, 0x2000, 0)));
	assert_owed(rig, AT(0), 1);
}

/*
 * What other threads do meanwhile
 */

static void unplug_1(struct rig *rig)
{
	smmuinv__stream_erase(&rig->streams, 1);
	rig->streams.changes++;
}

static void ats_off_1(struct rig *rig)
{
	stream_of(rig, 1)->ats = false;
	rig->streams.changes++;
}

static void move_1(struct rig *rig)
{
	stream_of(rig, 1)->viommu_id = ANOTHER;
	rig->streams.changes++;
}

static void leave_1(struct rig *rig)
{
	stream_of(rig, 1)->state = STREAM_LEAVING;
	rig->streams.changes++;
}

static void owe_1(struct rig *rig)
{
	set_debt(rig, 1, ++rig->streams.debts);
	rig->streams.changes++;
}

static void viommu_leaves(struct rig *rig)
{
	rig->streams.viommus[0] = rig->streams.viommus[1];
	rig->streams.viommu_count = 1;
	rig->streams.changes++;
}

static void a_stream_that_has_left_is_named_no_more(void **state)
{
	void (*const changes[])(struct rig *) = { unplug_1, move_1, leave_1 };
	struct rig *rig = *state;
	size_t i;

	plug(rig, 2);
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		plug(rig, 1);
		begin(rig);
		EXPECT_OK(rig, page(0))->meanwhile = changes[i];
		/* Its place has the first that may be sent. */
		EXPECT_OK(rig, cd(2, 0, 0), cd(2, 0, 0), page(1));
		run_ends(rig,
			 LIST(page(0), cd(1, 0, 0), cd(2, 0, 0), page(1),
			      atc(1, 0, 0)),
			 ENDS(1, 4, 5));
		assert_fine(rig);
		if (changes[i] != unplug_1)
			smmuinv__stream_erase(&rig->streams, 1);
	}
}

static void between_two_tries_it_is_named_no_more(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	EXPECT(rig, -ENOENT, 0, cd(1, 0, 0), page(0))->meanwhile = unplug_1;
	EXPECT_OK(rig, page(0), page(0));
	run(rig, LIST(cd(1, 0, 0), page(0)));
	assert_fine(rig);
	/* Nor if nothing else was to be sent. */
	plug(rig, 1);
	begin(rig);
	EXPECT(rig, -EIO, 0, cd(1, 0, 0))->meanwhile = unplug_1;
	run(rig, LIST(cd(1, 0, 0)));
	assert_fine(rig);
	plug(rig, 1);
	begin(rig);
	EXPECT(rig, -EIO, 0, cd(1, 0, 0));
	EXPECT(rig, -EIO, 0, cd(1, 0, 0))->meanwhile = unplug_1;
	run(rig, LIST(cd(1, 0, 0)));
	assert_fine(rig);
	/* And it owes nothing. */
	plug(rig, 1);
	begin(rig);
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0));
	EXPECT(rig, -ETIMEDOUT, 0, atc(1, 0, 0))->meanwhile = unplug_1;
	run(rig, LIST(atc(1, 0, 0)));
	assert_int_equal(rig->account.fault.error, 0);
}

static void without_ats_no_atc_inv_is_sent(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	EXPECT_OK(rig, page(0))->meanwhile = ats_off_1;
	EXPECT_OK(rig, cd(1, 0, 0));
	run_ends(rig, LIST(page(0), cd(1, 0, 0), atc(1, 0, 0)), ENDS(1, 2, 3));
	assert_fine(rig);
}

/* Another queue's executor has had a time-out. */
static void what_has_come_to_be_owed_is_owed_here_too(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	EXPECT_OK(rig, page(0))->meanwhile = owe_1;
	EXPECT_OK(rig, atc(2, 0, 0), atc(2, 0, 0));
	run_ends(rig, LIST(page(0), atc(2, 0, 0), atc(1, 0, 0)), ENDS(1, 3));
	assert_owed(rig, AT(2), 1);
	/* Whoever pays at present does not pay for this. */
	assert_int_equal(stream_of(rig, 1)->debt, rig->streams.debts);
	assert_true(stream_of(rig, 1)->debt > 1);
	/* Between a refusal and what covers it. */
	set_debt(rig, 1, 0);
	begin(rig);
	EXPECT_OK(rig, page(0));
	EXPECT(rig, -EIO, 0, atc(1, 0, 0));
	EXPECT(rig, -EIO, 0, atc(1, 0, 0))->meanwhile = owe_1;
	run_ends(rig, LIST(page(0), atc(1, 0, 0)), ENDS(1, 2));
	assert_owed(rig, AT(1), 1);
}

static void a_viommu_that_has_left_is_not_called(void **state)
{
	struct rig *rig = *state;

	EXPECT_OK(rig, page(0))->meanwhile = viommu_leaves;
	run_ends(rig, LIST(page(0), page(1), nh_all()), ENDS(1, 2, 3));
	assert_fine(rig);
	rig->streams.viommus[0].id = VIOMMU;
	rig->streams.viommus[1].id = ANOTHER;
	rig->streams.viommu_count = 2;
	begin(rig);
	EXPECT(rig, -ENOENT, 0, page(0), page(1))->meanwhile = viommu_leaves;
	run(rig, LIST(page(0), page(1)));
	assert_fine(rig);
}

/* What has not changed is not looked at. */
static void commands_go_as_they_were_resolved(void **state)
{
	struct rig *rig = *state;

	EXPECT_OK(rig, cd(1, 0, 0), atc(2, 0, 0));
	run(rig, LIST(cd(1, 0, 0), atc(2, 0, 0)));
	assert_fine(rig);
}

/*
 * The erratum
 */

static void with_the_erratum_tlbi_and_cfgi_are_executed_twice(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	rig->x.viommu.repeat = true;
	begin(rig);
	EXPECT_OK(rig, cd_all(1), page(0));
	EXPECT_OK(rig, cd_all(1), page(0));
	EXPECT_OK(rig, atc(1, 0, 0));
	run_ends(rig, LIST(cd_all(1), page(0), atc(1, 0, 0)), ENDS(2, 3));
	assert_fine(rig);
	assert_int_equal(rig->account.counters.repeats, 2);
	assert_int_equal(rig->account.counters.host_commands, 5);
}

static void the_second_time_can_fail(void **state)
{
	struct rig *rig = *state;

	rig->x.viommu.repeat = true;
	begin(rig);
	/* Once is not enough: all of it again, twice. */
	EXPECT_OK(rig, page(0), page(1));
	EXPECT(rig, -EIO, 1, page(0), page(1));
	EXPECT_OK(rig, page(0));
	EXPECT_OK(rig, page(0));
	EXPECT(rig, -EIO, 0, page(1));
	EXPECT(rig, -EIO, 0, page(1));
	EXPECT_OK(rig, nh_all());
	EXPECT_OK(rig, nh_all());
	run(rig, LIST(page(0), page(1)));
	assert_fine(rig);
	assert_int_equal(rig->account.counters.replaced, 1);
	assert_int_equal(rig->account.counters.repeats, 4);
	assert_int_equal(rig->account.counters.failed, 3);
}

/*
 * Every stream
 */

static void streams_of_this_viommu_have_their_cds_invalidated(void **state)
{
	struct rig *rig = *state;

	plug(rig, 0);
	plug_at(rig, 1, ANOTHER);
	plug(rig, UINT32_MAX);
	stream_of(rig, UINT32_MAX)->ats = false;
	set_debt(rig, 0, 4);
	EXPECT_OK(rig, cd_all(0), cd_all(UINT32_MAX));
	smmuinv__execute_streams(&rig->x, STREAM_CDS);
	assert_used(rig);
	assert_fine(rig);
	/* That pays nothing. */
	assert_true(owes(rig, 0));
	/* Without streams there is no call. */
	smmuinv__stream_erase(&rig->streams, 0);
	smmuinv__stream_erase(&rig->streams, UINT32_MAX);
	begin(rig);
	smmuinv__execute_streams(&rig->x, STREAM_CDS);
	smmuinv__execute_streams(&rig->x, STREAM_ATCS);
	smmuinv__execute_streams(&rig->x, STREAM_DEBTS);
	assert_used(rig);
	assert_fine(rig);
}

static void atcs_of_streams_with_ats_are_invalidated(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug_at(rig, 2, ANOTHER);
	plug(rig, 3);
	plug(rig, 4);
	stream_of(rig, 3)->ats = false;
	set_debt(rig, 1, 9);
	EXPECT_OK(rig, whole(1), whole(4));
	smmuinv__execute_streams(&rig->x, STREAM_ATCS);
	assert_used(rig);
	assert_fine(rig);
	assert_false(owes(rig, 1));
	/* With PASIDs: those too. */
	begin(rig);
	rig->x.ssids = true;
	EXPECT_OK(rig, whole(1), tagged(whole(1), 0, true), whole(4),
		  tagged(whole(4), 0, true));
	smmuinv__execute_streams(&rig->x, STREAM_ATCS);
	assert_used(rig);
	assert_fine(rig);
}

static void only_who_owes_pays(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	plug(rig, 3);
	set_debt(rig, 2, 5);
	set_debt(rig, 3, 6);
	EXPECT_OK(rig, whole(2), whole(3));
	smmuinv__execute_streams(&rig->x, STREAM_DEBTS);
	assert_used(rig);
	assert_fine(rig);
	assert_false(owes(rig, 2));
	assert_false(owes(rig, 3));
	assert_false(rig->x.paying);
}

static void who_does_not_answer_still_owes(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	set_debt(rig, 1, rig->streams.debts = 5);
	set_debt(rig, 2, rig->streams.debts = 6);
	rig->x.ssids = true;
	EXPECT(rig, -ETIMEDOUT, 0, whole(1), tagged(whole(1), 0, true),
	       whole(2), tagged(whole(2), 0, true));
	EXPECT_OK(rig, whole(1), tagged(whole(1), 0, true));
	EXPECT(rig, -ETIMEDOUT, 0, whole(2), tagged(whole(2), 0, true));
	EXPECT(rig, -ETIMEDOUT, 0, whole(2), tagged(whole(2), 0, true));
	EXPECT_OK(rig, cd_all(2));
	smmuinv__execute_streams(&rig->x, STREAM_DEBTS);
	assert_used(rig);
	assert_false(owes(rig, 1));
	assert_owed(rig, 0, 2);
	assert_true(stream_of(rig, 2)->debt > 6);
}

/* Half of a stream's commands is not enough. */
static void half_paid_is_not_paid(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	set_debt(rig, 1, rig->streams.debts = 1);
	rig->x.ssids = true;
	EXPECT(rig, -EIO, 1, whole(1), tagged(whole(1), 0, true));
	EXPECT_OK(rig, whole(1));
	EXPECT(rig, -EIO, 0, tagged(whole(1), 0, true));
	EXPECT(rig, -EIO, 0, tagged(whole(1), 0, true));
	EXPECT(rig, -EIO, 0, tagged(whole(1), 0, true));
	EXPECT_OK(rig, cd_all(1));
	smmuinv__execute_streams(&rig->x, STREAM_DEBTS);
	assert_used(rig);
	assert_owed(rig, 0, 1);
}

/* A time-out of another thread's, after the ATC was invalidated here. */
static void a_newer_debt_stays(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	set_debt(rig, 1, rig->streams.debts = 1);
	set_debt(rig, 2, rig->streams.debts = 2);
	EXPECT_OK(rig, whole(1), whole(2))->meanwhile = owe_1;
	smmuinv__execute_streams(&rig->x, STREAM_DEBTS);
	assert_used(rig);
	assert_fine(rig);
	assert_true(owes(rig, 1));
	assert_false(owes(rig, 2));
}

static void who_has_left_pays_nothing(void **state)
{
	struct rig *rig = *state;

	plug(rig, 1);
	plug(rig, 2);
	set_debt(rig, 1, rig->streams.debts = 1);
	set_debt(rig, 2, rig->streams.debts = 2);
	EXPECT_OK(rig, whole(1), whole(2))->meanwhile = unplug_1;
	smmuinv__execute_streams(&rig->x, STREAM_DEBTS);
	assert_used(rig);
	assert_fine(rig);
	assert_false(owes(rig, 2));
	assert_int_equal(rig->streams.owing, 0);
}

static void the_others_are_asked_although_one_is_gone(void **state)
{
	struct rig *rig = *state;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		plug(rig, i);
		set_debt(rig, i, ++rig->streams.debts);
	}
	EXPECT(rig, -EIO, 1, whole(0), whole(1), whole(2));
	EXPECT_OK(rig, whole(0));
	EXPECT(rig, -EIO, 0, whole(1));
	EXPECT(rig, -EIO, 0, whole(1));
	EXPECT(rig, -EIO, 0, whole(1));
	EXPECT(rig, -EIO, 0, cd_all(1));
	EXPECT_OK(rig, nh_all());
	EXPECT_OK(rig, whole(2));
	smmuinv__execute_streams(&rig->x, STREAM_DEBTS);
	assert_used(rig);
	assert_failed(rig, -ENODEV, 0, 0, 1);
	assert_false(owes(rig, 0));
	assert_true(owes(rig, 1));
	assert_false(owes(rig, 2));
}

static void who_could_not_be_asked_owes(void **state)
{
	struct rig *rig = *state;
	unsigned int n;

	plug(rig, 1);
	plug(rig, 2);
	for (n = 0; n < 3; n++)
		EXPECT(rig, -ENOENT, 0, whole(1), whole(2));
	smmuinv__execute_streams(&rig->x, STREAM_ATCS);
	assert_used(rig);
	assert_failed(rig, -ENOENT, 0, 0, SMMUINV_VSID_NONE);
	assert_true(owes(rig, 1));
	assert_true(owes(rig, 2));
	assert_false(rig->x.paying);
}

/* Parcels: of so many streams that they do not fit into one. */

struct parcels {
	uint32_t calls;
	uint32_t commands;
	uint32_t next;  /* vSID */
	bool twice;     /* two commands a stream */
	bool only_atcs; /* fail */
	int fail;
	struct rig *rig;
};

static int take_parcel(void *context, uint32_t viommu_id,
		       const struct smmuinv_command *commands, uint32_t *count)
{
	struct parcels *p = context;
	uint32_t i;

	assert_int_equal(viommu_id, VIOMMU);
	p->calls++;
	if (p->fail && (!p->only_atcs || smmuinv_command_opcode(commands) ==
						 SMMUINV_CMD_ATC_INV))
		return p->fail;
	if (p->fail)
		return 0;
	for (i = 0; i < *count; i++) {
		bool ssv = test_dw0(&commands[i]) >> 11 & 1;

		assert_int_equal(command_sid(&commands[i]), p->next);
		p->next += !p->twice || ssv;
	}
	p->commands += *count;
	assert_true(*count <= 504);
	return 0;
}

/* Of debts, as many as can be told apart: see devices_to_ask(). */
static uint32_t streams_a_call(enum stream_commands which, uint32_t timeouts)
{
	uint32_t n = 1;

	if (which != STREAM_DEBTS)
		return 252;
	for (; timeouts > 2 && n < 252; timeouts--)
		n *= 2;
	return n < 252 ? n : 252;
}

static void all_streams(uint32_t n, enum stream_commands which, bool ssids,
			uint32_t timeouts)
{
	struct rig rig = { 0 };
	struct parcels p = { .rig = &rig };
	uint32_t most = streams_a_call(which, timeouts);
	uint32_t i;

	rig_open(&rig, take_parcel, &p);
	rig.x.ssids = ssids;
	rig.x.timeouts_left = timeouts;
	p.twice = ssids && which != STREAM_CDS;
	for (i = 0; i < n; i++) {
		plug(&rig, i);
		set_debt(&rig, i, ++rig.streams.debts);
	}
	assert_int_equal(rig.streams.owing, n);
	smmuinv__execute_streams(&rig.x, which);
	assert_fine(&rig);
	assert_int_equal(p.next, n);
	assert_int_equal(p.commands, n << p.twice);
	assert_int_equal(p.calls, (n + most - 1) / most);
	for (i = 0; i < n; i++)
		assert_int_equal(owes(&rig, i), which == STREAM_CDS);
	assert_int_equal(rig.streams.owing, which == STREAM_CDS ? n : 0);
	rig_close(&rig);
}

static void every_stream_is_reached_however_many(void **state)
{
	static const uint32_t sizes[] = { 1,   8,   251, 252, 253,
					  503, 504, 505, 1300 };
	size_t s;
	unsigned int which;
	unsigned int timeouts;

	(void)state;
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (which = STREAM_CDS; which <= STREAM_DEBTS; which++) {
			for (timeouts = 1; timeouts <= 12; timeouts++) {
				all_streams(sizes[s], which, false, timeouts);
				all_streams(sizes[s], which, true, timeouts);
			}
		}
	}
}

static void an_smmu_that_fails_is_not_asked_for_each_stream(void **state)
{
	struct rig rig = { 0 };
	struct parcels p = { .rig = &rig, .fail = -ETIMEDOUT };
	uint32_t i;

	(void)state;
	rig_open(&rig, take_parcel, &p);
	for (i = 0; i < 2000; i++)
		plug(&rig, i);
	smmuinv__execute_streams(&rig.x, STREAM_CDS);
	assert_int_equal(rig.account.fault.error, -ETIMEDOUT);
	assert_int_equal(p.calls, 3);
	/* Of ATCs it may be a device, or not. */
	p.calls = 0;
	begin(&rig);
	smmuinv__execute_streams(&rig.x, STREAM_ATCS);
	assert_int_equal(p.calls, 6);
	assert_int_equal(rig.account.fault.error, -ETIMEDOUT);
	/* It is: who was not asked owes. */
	p.calls = 0;
	p.only_atcs = true;
	begin(&rig);
	smmuinv__execute_streams(&rig.x, STREAM_ATCS);
	assert_int_equal(p.calls, 6);
	assert_int_equal(rig.account.fault.error, 0);
	for (i = 0; i < 2000; i++)
		assert_true(owes(&rig, i));
	assert_int_equal(rig.streams.owing, 2000);
	rig_close(&rig);
}

/*
 * Hosts that fail at random
 */

#define WINDOW  24u
#define STREAMS 6u
#define OPCODES 3u

struct chaos {
	struct rig rig;
	struct smmuinv_command commands[WINDOW];
	uint32_t count;
	uint32_t ends[WINDOW];
	uint32_t end_count;
	/* What the host does. */
	bool refused[WINDOW];
	bool refuses_covers;
	bool hangs[STREAMS];
	bool gone[STREAMS];
	bool timeouts_as_eio;
	uint32_t call_max;      /* more are -ENOMEM */
	unsigned int transient; /* percent of calls */
	unsigned int counts;    /* how it counts */
	/* What it has done. */
	bool executed[WINDOW];
	uint32_t calls;
	uint32_t timeouts;
};

static bool chaos_is_cover(const struct smmuinv_command *c)
{
	uint8_t opcode = smmuinv_command_opcode(c);

	return opcode == SMMUINV_CMD_TLBI_NH_ALL ||
	       opcode == SMMUINV_CMD_CFGI_CD_ALL ||
	       (opcode == SMMUINV_CMD_ATC_INV &&
		(test_dw1(c) & 63) == SMMUINV_ATC_SIZE_ALL);
}

static bool chaos_covers(const struct smmuinv_command *done,
			 const struct smmuinv_command *c)
{
	if (test_command_equal(done, c))
		return true;
	if (!chaos_is_cover(done))
		return false;
	if (!command_names_stream(c))
		return smmuinv_command_opcode(done) == SMMUINV_CMD_TLBI_NH_ALL;
	if (!command_names_stream(done) || command_sid(done) != command_sid(c))
		return false;
	return (smmuinv_command_opcode(done) == SMMUINV_CMD_ATC_INV) ==
	       (smmuinv_command_opcode(c) == SMMUINV_CMD_ATC_INV);
}

/* 0, -EIO or -ETIMEDOUT for this command, whatever else is in the call. */
static int chaos_one(const struct chaos *k, const struct smmuinv_command *c)
{
	bool is_atc = smmuinv_command_opcode(c) == SMMUINV_CMD_ATC_INV;
	uint32_t i;

	if (command_names_stream(c) && k->gone[command_sid(c)])
		return -EIO;
	if (is_atc && k->hangs[command_sid(c)])
		return k->timeouts_as_eio ? -EIO : -ETIMEDOUT;
	if (chaos_is_cover(c))
		return k->refuses_covers && !command_names_stream(c) ? -EIO : 0;
	for (i = 0; i < k->count; i++) {
		if (k->refused[i] && test_command_equal(c, &k->commands[i]))
			return -EIO;
	}
	return 0;
}

/* Is it done, as far as the executor can see it? */
static bool chaos_accounted(struct chaos *k, uint32_t i)
{
	const struct smmuinv_command *c = &k->commands[i];
	const struct account *a = &k->rig.account;

	if (k->executed[i])
		return true;
	return smmuinv_command_opcode(c) == SMMUINV_CMD_ATC_INV &&
	       owes(&k->rig, command_sid(c)) && a->owed <= AT(i);
}

/* Whatever is sent for a call, the calls before it are accounted for. */
static void chaos_assert_order(struct chaos *k, const struct smmuinv_command *c)
{
	uint32_t begun = 0;
	uint32_t e;
	uint32_t i;

	/* What covers a command is of some call. */
	if (chaos_is_cover(c))
		return;
	for (e = 0; e < k->end_count; e++) {
		for (i = begun; i < k->ends[e]; i++) {
			if (chaos_covers(c, &k->commands[i]))
				return;
		}
		for (i = begun; i < k->ends[e]; i++)
			assert_true(chaos_accounted(k, i));
		begun = k->ends[e];
	}
}

static int chaos_call(void *context, uint32_t viommu_id,
		      const struct smmuinv_command *commands, uint32_t *count)
{
	static const int errors[] = { -ENOMEM, -EIO,   -ETIMEDOUT,
				      -ENOENT, -EINTR, 3 };
	struct chaos *k = context;
	uint32_t n = *count;
	uint32_t first = n;
	int rc = 0;
	uint32_t i;
	uint32_t j;

	assert_int_equal(viommu_id, VIOMMU);
	chaos_assert_order(k, &commands[0]);
	k->calls++;
	for (i = 0; i < n && !rc; i++) {
		rc = chaos_one(k, &commands[i]);
		first = rc ? i : n;
	}
	if (n > k->call_max)
		rc = -ENOMEM;
	else if (!rc && test_chance(k->transient))
		rc = errors[test_random_below(ARRAY_SIZE(errors))];
	k->timeouts += rc == -ETIMEDOUT;
	if (rc) {
		/* Exact, of a block of four, all, or nothing. */
		const uint32_t counts[] = { first, first & ~3u, n, 0 };

		*count = counts[k->counts];
		return rc;
	}
	for (i = 0; i < n; i++) {
		for (j = 0; j < k->count; j++)
			k->executed[j] |=
				chaos_covers(&commands[i], &k->commands[j]);
	}
	return 0;
}

static struct smmuinv_command chaos_command(unsigned int kind)
{
	uint32_t sid = (uint32_t)test_random_below(STREAMS);
	uint64_t va = test_random_below(64) << 12;

	if (kind == 2)
		return test_chance(70) ? atc(sid, va, 0) :
					 tagged(atc(sid, va, 0), 1, false);
	if (test_chance(60))
		return nh_va(1, va);
	return cd(sid, (uint32_t)test_random_below(9), 0);
}

static void chaos_window(struct chaos *k)
{
	unsigned int kind = 0;
	uint32_t i;

	memset(k->executed, 0, sizeof(k->executed));
	k->end_count = 0;
	k->calls = 0;
	k->timeouts = 0;
	k->count = 1 + (uint32_t)test_random_below(WINDOW);
	for (i = 0; i < k->count; i++) {
		bool end = test_chance(10);

		if (i && (end || (kind != 2 && test_chance(5)))) {
			k->ends[k->end_count++] = i;
			kind = test_chance(50) ? 2 : 0;
		}
		k->commands[i] = chaos_command(kind);
		k->refused[i] = test_chance(5);
	}
	k->ends[k->end_count++] = k->count;
	for (i = 0; i < STREAMS; i++) {
		set_debt(&k->rig, i, 0);
		k->hangs[i] = test_chance(7);
		k->gone[i] = test_chance(3);
	}
	k->refuses_covers = test_chance(3);
	k->timeouts_as_eio = test_chance(40);
	k->call_max = test_chance(80) ? UINT32_MAX :
					1 + (uint32_t)test_random_below(8);
	k->transient =
		test_chance(50) ? 0 : (unsigned int)test_random_below(30);
	k->counts = (unsigned int)test_random_below(4);
}

static void chaos_assert_account(struct chaos *k)
{
	const struct account *a = &k->rig.account;
	uint32_t i;

	for (i = 0; i < k->count; i++) {
		if (!chaos_accounted(k, i) && a->undone > AT(i))
			fail_msg(
				"%u of %u is neither executed nor reported: %s",
				i, k->count, test_text(&k->commands[i]));
	}
	assert_int_equal(!a->fault.error, a->undone == SMMUINV_INDEX_NONE);
	assert_int_equal(!a->fault.error, a->fault_index == SMMUINV_INDEX_NONE);
	if (a->fault.error) {
		assert_true(a->undone <= a->fault_index);
		assert_int_equal(a->fault.error == -ENODEV,
				 a->fault.vsid != SMMUINV_VSID_NONE);
	}
	/* It blames who is to blame. */
	if (a->fault.error == -ENODEV && !k->transient)
		assert_true(k->gone[a->fault.vsid]);
	if (!k->transient && !k->refuses_covers && a->fault.error)
		assert_int_equal(a->fault.error, -ENODEV);
}

/* Without failures that come and go, few calls find out. */
static void chaos_assert_bounds(const struct chaos *k, uint32_t retries,
				uint32_t timeouts)
{
	/* For each call one first try, and for a refusal two that cover it. */
	assert_true(k->timeouts <= timeouts + k->end_count);
	if (k->transient)
		return;
	assert_true(k->calls <= retries + 3 * k->end_count);
}

static void whatever_a_host_does_everything_is_accounted_for(void **state)
{
	static struct chaos k;
	size_t n = test_iterations(100000);
	uint32_t i;

	(void)state;
	memset(&k, 0, sizeof(k));
	rig_open(&k.rig, chaos_call, &k);
	for (i = 0; i < STREAMS; i++)
		plug(&k.rig, i);
	while (n--) {
		uint32_t retries =
			test_chance(50) ? 500 : (uint32_t)test_random_below(12);
		uint32_t timeouts = (uint32_t)test_random_below(7);
		struct smmuinv_command copy[WINDOW];
		uint32_t origin[WINDOW];
		const struct calls calls = { copy, origin, 0, k.ends, 0 };
		struct calls filled = calls;

		chaos_window(&k);
		memcpy(copy, k.commands, sizeof(copy));
		for (i = 0; i < k.count; i++)
			origin[i] = AT(i);
		filled.count = k.count;
		filled.end_count = k.end_count;
		begin(&k.rig);
		k.rig.x.retries_left = retries;
		k.rig.x.timeouts_left = timeouts;
		smmuinv__execute_calls(&k.rig.x, &filled);
		chaos_assert_bounds(&k, retries, timeouts);
		if (retries < 500)
			k.transient = 1;
		chaos_assert_account(&k);
	}
	rig_close(&k.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		T(each_call_is_made_once),
		T(no_call_has_more_than_the_kernel_takes),
		T(whatever_fails_is_tried_three_times),
		T(an_answer_without_sense_is_a_failure),
		T(time_outs_of_tlbis_are_limited),
		T(after_a_failure_that_stays_no_later_call_is_made),
		T(the_lowest_origin_is_undone),
		T(without_memory_smaller_calls_are_made),
		T(one_command_without_memory_is_tried_three_times),
		T(atc_invs_without_memory_are_not_owed),
		T(a_suspect_is_sent_alone_and_then_replaced),
		T(a_suspect_that_is_accepted_alone_is_not_to_blame),
		T(a_count_that_names_no_command_is_no_hint),
		T(what_covers_a_command_replaces_it),
		T(refused_once_is_not_refused),
		T(a_host_that_refuses_tlbi_nh_all_refuses_everything),
		T(a_stream_that_is_refused_everything_is_gone),
		T(an_atc_inv_of_a_stream_that_is_gone),
		T(of_two_streams_that_are_gone_the_first_is_named),
		T(of_two_failures_the_first_is_reported),
		T(a_cover_that_fails_otherwise_says_nothing_of_the_stream),
		T(an_smmu_that_refuses_everything_has_lost_no_stream),
		T(a_device_that_does_not_answer_owes),
		T(an_smmu_that_does_not_answer_is_no_device),
		T(an_smmu_is_asked_once),
		T(a_time_out_that_passes_is_nothing),
		T(a_refused_atc_inv_of_a_stream_that_is_there_is_owed),
		T(a_device_that_owes_is_not_asked_again),
		T(with_no_time_left_devices_are_not_asked),
		T(one_of_many_is_found_in_a_logarithm_of_calls),
		T(what_is_not_found_out_in_time_all_suspects_owe),
		T(what_no_time_is_left_for_is_owed),
		T(one_second_is_enough_to_know_that_something_is_wrong),
		T(retries_are_limited),
		T(a_stream_that_has_left_is_named_no_more),
		T(between_two_tries_it_is_named_no_more),
		T(without_ats_no_atc_inv_is_sent),
		T(what_has_come_to_be_owed_is_owed_here_too),
		T(a_viommu_that_has_left_is_not_called),
		T(commands_go_as_they_were_resolved),
		T(with_the_erratum_tlbi_and_cfgi_are_executed_twice),
		T(the_second_time_can_fail),
		T(streams_of_this_viommu_have_their_cds_invalidated),
		T(atcs_of_streams_with_ats_are_invalidated),
		T(only_who_owes_pays),
		T(who_does_not_answer_still_owes),
		T(half_paid_is_not_paid),
		T(a_newer_debt_stays),
		T(who_has_left_pays_nothing),
		T(the_others_are_asked_although_one_is_gone),
		T(who_could_not_be_asked_owes),
		T(every_stream_is_reached_however_many),
		T(an_smmu_that_fails_is_not_asked_for_each_stream),
		T(whatever_a_host_does_everything_is_accounted_for),
#undef T
	};

	return cmocka_run_group_tests_name("execute", tests, NULL, NULL);
}
