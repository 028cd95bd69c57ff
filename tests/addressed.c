/* SPDX-License-Identifier: MIT */
/*
 * Commands that name a stream reach the host only if the stream is in a state
 * to be addressed at that moment; otherwise they are complete at once, and
 * counted.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "support.h"
#include "vmm.h"

enum { LOG2SIZE = 5, RING = 1 << LOG2SIZE };

/* What a stream can be, and no device at all. */
enum condition { ABSENT, ABORTS, TRANSLATES, WITH_ATS, CONDITIONS };

#define VSID 0x20

static void put_into(struct fixture *f, uint32_t vsid, enum condition condition)
{
	if (condition == ABSENT) {
		(void)smmuinv_streams_remove(f->streams, vsid);
		return;
	}
	if (smmuinv_streams_find(f->streams, vsid, NULL))
		fixture_plug(f, vsid);
	assert_int_equal(smmuinv_streams_set(f->streams, vsid,
					     condition >= TRANSLATES,
					     condition == WITH_ATS),
			 0);
}

/* The commands that name a stream. */
static struct smmuinv_command naming(unsigned int kind, uint32_t vsid)
{
	switch (kind) {
	case 0:
		return cfgi_cd(vsid);
	case 1:
		/* Leaf = 0 */
		return raw((uint64_t)vsid << 32 | SMMUINV_CMD_CFGI_CD, 0);
	case 2:
		return cfgi_cd_all(vsid);
	case 3:
		return atc_inv_all(vsid);
	default:
		return raw((uint64_t)vsid << 32 | SMMUINV_CMD_ATC_INV, 0x1000);
	}
}

enum { KINDS = 5 };

static bool is_atc_inv(const struct smmuinv_command *command)
{
	return smmuinv_command_opcode(command) == SMMUINV_CMD_ATC_INV;
}

static enum smmuinv_rule rule_for(enum condition condition,
				  const struct smmuinv_command *command)
{
	if (condition == ABSENT)
		return SMMUINV_RULE_STREAM_UNKNOWN;
	if (is_atc_inv(command))
		return condition == WITH_ATS ? SMMUINV_RULE_NONE :
					       SMMUINV_RULE_ATS_OFF;
	return condition == ABORTS ? SMMUINV_RULE_NOT_TRANSLATING :
				     SMMUINV_RULE_NONE;
}

/* A guest over the fixture; if SEEING, the VMM is told of each command. */
struct guest {
	struct vmm_queue q; /* first */
	struct fixture f;
	struct smmuinv_batch *batch;
	uint32_t told; /* commands */
	enum smmuinv_fate fate;
	enum smmuinv_rule rule;
	/* What the random guest's VMM does in its callbacks. */
	void (*meddle)(struct guest *g);
	uint64_t meddled;
	uint64_t sent; /* commands that named a stream */
};

static void meddle(struct guest *g)
{
	if (g->meddle)
		g->meddle(g);
}

static int on_read(void *opaque, uint32_t index,
		   struct smmuinv_command *command)
{
	meddle(opaque);
	return vmm_read(opaque, index, command);
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	(void)sid;
	(void)leaf;
	meddle(opaque);
	return 0;
}

static int on_cfgi_ste_range(void *opaque, uint32_t first, uint32_t last,
			     bool leaf)
{
	(void)first;
	(void)last;
	(void)leaf;
	meddle(opaque);
	return 0;
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)sync;
	meddle(opaque);
	return 0;
}

static void on_cfgi_cd(void *opaque, uint32_t sid, uint32_t ssid, bool all)
{
	(void)sid;
	(void)ssid;
	(void)all;
	meddle(opaque);
}

static void on_seen(void *opaque, uint32_t index,
		    const struct smmuinv_command *command,
		    enum smmuinv_fate fate, enum smmuinv_rule rule)
{
	struct guest *g = opaque;

	(void)index;
	(void)command;
	g->told++;
	g->fate = fate;
	g->rule = rule;
	meddle(g);
}

static const struct smmuinv_queue_ops all_ops = {
	.size = sizeof(all_ops),
	.read = on_read,
	.cfgi_ste = on_cfgi_ste,
	.cfgi_ste_range = on_cfgi_ste_range,
	.sync = on_sync,
	.cfgi_cd = on_cfgi_cd,
	.seen = on_seen,
};

static void guest_open(struct guest *g, enum smmuinv_plan plan, enum way way,
		       uint32_t window)
{
	memset(g, 0, sizeof(*g));
	fixture_open_with(&g->f, &everything, &everything, plan);
	assert_int_equal(smmuinv_batch_new(g->f.vsmmu, 16, &g->batch), 0);
	vmm_queue_open(&g->q, g->f.vsmmu, &all_ops, way, LOG2SIZE, window);
}

static void guest_close(struct guest *g)
{
	vmm_queue_close(&g->q);
	smmuinv_batch_free(g->batch);
	fixture_close(&g->f);
}

static void with_each(void (*test)(struct guest *g))
{
	static const enum smmuinv_plan plans[] = { SMMUINV_PLAN_FEWEST,
						   SMMUINV_PLAN_AS_WRITTEN };
	size_t p, w;

	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (w = 0; w < WAYS; w++) {
			struct guest g;

			guest_open(&g, plans[p], (enum way)w, 16);
			test(&g);
			guest_close(&g);
		}
	}
}

/* Counted once more, with the right rule, in the counters and at the stream. */
static void assert_counted(const struct smmuinv_counters *before,
			   const struct smmuinv_counters *now,
			   enum smmuinv_rule rule)
{
	bool dropped = rule != SMMUINV_RULE_NONE;
	unsigned int r;

	assert_int_equal(now->forwarded, before->forwarded + !dropped);
	assert_int_equal(now->dropped, before->dropped + dropped);
	for (r = 0; r < SMMUINV_COUNTED_RULES; r++)
		assert_int_equal(now->by_rule[r],
				 before->by_rule[r] +
					 (dropped && r == (unsigned int)rule));
}

static struct smmuinv_stream_info info_of(struct guest *g, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	if (smmuinv_streams_find(g->f.streams, vsid, &info))
		memset(&info, 0, sizeof(info));
	return info;
}

static void through_the_batch(struct guest *g, struct smmuinv_command command,
			      enum smmuinv_rule rule)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	bool dropped = rule != SMMUINV_RULE_NONE;

	assert_int_equal(smmuinv_batch_add(g->batch, &command, NULL),
			 SMMUINV_FORWARD);
	assert_int_equal(smmuinv_batch_flush(g->batch, &result), 0);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.dropped, dropped);
	assert_int_equal(result.sent, !dropped);
	assert_int_equal(result.ioctls, !dropped);
	assert_int_equal(result.host_commands, !dropped);
}

static void through_submit(struct guest *g, struct smmuinv_command command,
			   enum smmuinv_rule rule)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	bool dropped = rule != SMMUINV_RULE_NONE;

	assert_int_equal(smmuinv_batch_submit(g->batch, &command, 1, &result),
			 0);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.dropped, dropped);
	assert_int_equal(result.sent, !dropped);
}

static void through_the_queue(struct guest *g, struct smmuinv_command command,
			      enum smmuinv_rule rule)
{
	bool dropped = rule != SMMUINV_RULE_NONE;

	g->told = 0;
	vmm_write(&g->q, command);
	assert_int_equal(vmm_consume(&g->q), 1);
	assert_int_equal(g->q.progress.dropped, dropped);
	assert_int_equal(g->q.progress.forwarded, !dropped);
	assert_int_equal(g->q.progress.ioctls, !dropped);
	if (!g->told)
		return;
	assert_int_equal(g->told, 1);
	assert_int_equal(g->fate, dropped ? SMMUINV_FATE_DROPPED :
					    SMMUINV_FATE_FORWARDED);
	assert_int_equal(g->rule, rule);
}

static void every_condition(struct guest *g)
{
	static void (*const throughs[])(struct guest * g,
					struct smmuinv_command command,
					enum smmuinv_rule rule) = {
		through_the_batch,
		through_submit,
		through_the_queue,
	};
	unsigned int condition, kind;
	size_t t;

	for (condition = 0; condition < CONDITIONS; condition++) {
		for (kind = 0; kind < KINDS; kind++) {
			for (t = 0; t < ARRAY_SIZE(throughs); t++) {
				struct smmuinv_command command =
					naming(kind, VSID);
				enum smmuinv_rule rule =
					rule_for(condition, &command);
				struct smmuinv_stream_info before, now;
				struct smmuinv_counters counters, then;

				put_into(&g->f, VSID, condition);
				before = info_of(g, VSID);
				counters = fixture_counters(&g->f);
				smmuinv_mock_forget(g->f.mock);
				throughs[t](g, command, rule);
				assert_int_equal(
					smmuinv_mock_executed(g->f.mock, NULL),
					rule == SMMUINV_RULE_NONE);
				assert_int_equal(
					times_executed(&g->f, &command),
					rule == SMMUINV_RULE_NONE);
				then = fixture_counters(&g->f);
				assert_counted(&counters, &then, rule);
				now = info_of(g, VSID);
				if (condition == ABSENT)
					continue;
				assert_int_equal(
					now.forwarded,
					before.forwarded +
						(rule == SMMUINV_RULE_NONE));
				assert_int_equal(
					now.dropped,
					before.dropped +
						(rule != SMMUINV_RULE_NONE));
			}
		}
	}
}

static void each_command_is_sent_only_in_the_states_that_it_is_for(void **state)
{
	(void)state;
	with_each(every_condition);
}

/* Two streams in one window, in each pair of states: each by its own. */
static void two_conditions(struct guest *g)
{
	unsigned int a, b, i;

	for (a = 0; a < CONDITIONS; a++) {
		for (b = 0; b < CONDITIONS; b++) {
			const unsigned int conditions[] = { a, b };
			struct smmuinv_stream_info before[2];
			uint32_t sent_of[2] = { 0, 0 };
			uint32_t sent = 0;

			put_into(&g->f, VSID, a);
			put_into(&g->f, VSID + 1, b);
			before[0] = info_of(g, VSID);
			before[1] = info_of(g, VSID + 1);
			smmuinv_mock_forget(g->f.mock);
			for (i = 0; i < 2 * KINDS; i++)
				vmm_write(&g->q, naming(i / 2, VSID + i % 2));
			vmm_write(&g->q, tlbi_va(0x1000));
			assert_int_equal(vmm_consume(&g->q), 2 * KINDS + 1);
			for (i = 0; i < 2 * KINDS; i++) {
				struct smmuinv_command c =
					naming(i / 2, VSID + i % 2);
				bool legal = rule_for(conditions[i % 2], &c) ==
					     SMMUINV_RULE_NONE;

				sent += legal;
				sent_of[i % 2] += legal;
				if (!legal)
					assert_int_equal(
						times_executed(&g->f, &c), 0);
			}
			assert_int_equal(g->q.progress.dropped,
					 2 * KINDS - sent);
			assert_int_equal(g->q.progress.forwarded, sent + 1);
			for (i = 0; i < 2; i++) {
				struct smmuinv_stream_info now =
					info_of(g, VSID + i);

				if (conditions[i] == ABSENT)
					continue;
				assert_int_equal(now.forwarded,
						 before[i].forwarded +
							 sent_of[i]);
				assert_int_equal(now.dropped,
						 before[i].dropped + KINDS -
							 sent_of[i]);
			}
		}
	}
}

static void streams_of_one_window_are_judged_each_by_its_own_state(void **state)
{
	(void)state;
	with_each(two_conditions);
}

/* A failed call leaves the command; the state at the retry is what counts. */
static void changes_before_a_retry(struct guest *g)
{
	unsigned int before, after, kind;

	for (kind = 0; kind < KINDS; kind++) {
		for (before = 0; before < CONDITIONS; before++) {
			for (after = 0; after < CONDITIONS; after++) {
				struct smmuinv_command command =
					naming(kind, VSID);
				bool legal = rule_for(after, &command) ==
					     SMMUINV_RULE_NONE;

				put_into(&g->f, VSID, before);
				smmuinv_mock_forget(g->f.mock);
				vmm_write(&g->q, tlbi_va(0x1000));
				vmm_write(&g->q, command);
				inject(&g->f, -EFAULT, 0, 0);
				assert_int_equal(vmm_consume(&g->q), -EFAULT);
				assert_int_equal(g->q.progress.consumed, 0);
				put_into(&g->f, VSID, after);
				assert_int_equal(vmm_consume(&g->q), 2);
				assert_int_equal(g->q.progress.forwarded,
						 1 + legal);
				assert_int_equal(
					times_executed(&g->f, &command), legal);
			}
		}
	}
}

static void
a_retry_goes_by_the_state_at_that_time_and_not_by_the_one_before(void **state)
{
	(void)state;
	with_each(changes_before_a_retry);
}

/* The same of a batch, which keeps what has failed. */
static void a_batchs_retry_goes_by_the_state_at_that_time(void **state)
{
	unsigned int before, after, kind;
	struct guest g;

	(void)state;
	guest_open(&g, SMMUINV_PLAN_FEWEST, SEEING, 16);
	for (kind = 0; kind < KINDS; kind++) {
		for (before = 0; before < CONDITIONS; before++) {
			for (after = 0; after < CONDITIONS; after++) {
				struct smmuinv_command first = tlbi_va(0x1000);
				struct smmuinv_command command =
					naming(kind, VSID);

				put_into(&g.f, VSID, before);
				smmuinv_mock_forget(g.f.mock);
				smmuinv_batch_add(g.batch, &first, NULL);
				smmuinv_batch_add(g.batch, &command, NULL);
				inject(&g.f, -EFAULT, 0, 0);
				assert_int_equal(
					smmuinv_batch_flush(g.batch, NULL),
					-EFAULT);
				assert_int_equal(smmuinv_batch_count(g.batch),
						 2);
				put_into(&g.f, VSID, after);
				assert_int_equal(
					smmuinv_batch_flush(g.batch, NULL), 0);
				assert_int_equal(times_executed(&g.f, &command),
						 rule_for(after, &command) ==
							 SMMUINV_RULE_NONE);
			}
		}
	}
	guest_close(&g);
}

/* ATC_INVs that timed out and wait for a CMD_SYNC, in a window and in each
 * state. */
static void carried_commands(struct guest *g)
{
	const struct smmuinv_command command = atc_inv_all(VSID);
	unsigned int after;

	for (after = 0; after < CONDITIONS; after++) {
		put_into(&g->f, VSID, WITH_ATS);
		smmuinv_mock_forget(g->f.mock);
		vmm_write(&g->q, command);
		vmm_write(&g->q, cmd_sync());
		inject(&g->f, -ETIMEDOUT, 0, 0);
		assert_int_equal(vmm_consume(&g->q), 1);
		assert_int_equal(g->q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
		put_into(&g->f, VSID, after);
		assert_int_equal(vmm_consume(&g->q), 1);
		assert_int_equal(times_executed(&g->f, &command),
				 after == WITH_ATS);
		assert_int_equal(g->q.progress.forwarded, after == WITH_ATS);
		assert_int_equal(g->q.progress.dropped, after != WITH_ATS);
	}
}

static void
what_a_timeout_left_is_not_sent_to_a_stream_without_ats(void **state)
{
	(void)state;
	with_each(carried_commands);
}

enum { VSIDS = 6 };

/* No host command names a stream that is not in a state for it. */
static void assert_addressable(struct fixture *f,
			       const struct smmuinv_command *commands,
			       uint32_t count)
{
	struct guest *g = f->watcher;
	uint32_t i;

	for (i = 0; i < count; i++) {
		uint8_t opcode = smmuinv_command_opcode(&commands[i]);
		uint32_t vsid = (uint32_t)smmuinv_command_get(
			&commands[i], SMMUINV_FIELD_STREAMID);
		struct smmuinv_stream_info info = { .size = sizeof(info) };

		if (opcode != SMMUINV_CMD_CFGI_CD &&
		    opcode != SMMUINV_CMD_CFGI_CD_ALL &&
		    opcode != SMMUINV_CMD_ATC_INV)
			continue;
		g->sent++;
		assert_int_equal(smmuinv_streams_find(f->streams, vsid, &info),
				 0);
		assert_true(info.translates);
		if (opcode == SMMUINV_CMD_ATC_INV)
			assert_true(info.ats);
	}
}

static void meddle_at_random(struct guest *g)
{
	if (test_chance(70))
		return;
	put_into(&g->f, (uint32_t)test_random_below(VSIDS),
		 (enum condition)test_random_below(CONDITIONS));
	g->meddled++;
}

static struct smmuinv_command random_command(void)
{
	uint64_t vsid = test_chance(95) ? test_random_below(VSIDS) :
					  test_random_edge() & UINT32_MAX;

	switch (test_random_below(10)) {
	case 0:
		return cmd_sync();
	case 1:
		return raw(vsid << 32 | SMMUINV_CMD_CFGI_STE, 1);
	case 2:
		return raw(vsid << 32 | SMMUINV_CMD_CFGI_STE_RANGE,
			   test_chance(50) ? 31 : test_random_below(4));
	case 3:
		return tlbi_va(test_random_below(64) << 12);
	case 4:
		/* Nonsense, but for the opcode. */
		return raw((test_random() & ~UINT64_C(0xff)) |
				   (test_chance(50) ? SMMUINV_CMD_ATC_INV :
						      SMMUINV_CMD_CFGI_CD),
			   test_random());
	default:
		return naming((unsigned int)test_random_below(KINDS),
			      (uint32_t)vsid);
	}
}

static void random_fault(struct guest *g)
{
	static const int errors[] = { -EIO, -ETIMEDOUT, -ENOMEM, -EFAULT,
				      -EINTR };

	inject(&g->f, errors[test_random_below(ARRAY_SIZE(errors))],
	       (uint32_t)test_random_below(4), (uint32_t)test_random_below(4));
}

static void one_random_queue(struct guest *g)
{
	uint32_t n = 1 + (uint32_t)test_random_below(RING);
	uint32_t i, tries;

	for (i = 0; i < n; i++)
		vmm_write(&g->q, random_command());
	if (test_chance(40))
		random_fault(g);
	for (tries = 0; g->q.cons != g->q.prod; tries++) {
		assert_true(tries < 1000);
		(void)vmm_consume(&g->q);
		if (g->q.progress.cerror == SMMUINV_CERROR_ILL)
			g->q.ring[g->q.cons % RING] = cmd_sync();
		meddle_at_random(g);
	}
}

static void
a_guest_never_makes_the_host_address_a_stream_in_another_state(void **state)
{
	size_t queues = test_iterations(20000);
	uint64_t sent = 0, meddled = 0;
	struct guest g;
	size_t q;

	(void)state;
	for (q = 0; q < queues; q++) {
		if (q % 50 == 0)
			guest_open(&g,
				   test_chance(50) ? SMMUINV_PLAN_FEWEST :
						     SMMUINV_PLAN_AS_WRITTEN,
				   (enum way)(q / 50 % WAYS),
				   2 + (uint32_t)test_random_below(20));
		g.f.watch = assert_addressable;
		g.f.watcher = &g;
		g.meddle = meddle_at_random;
		one_random_queue(&g);
		if (q % 50 != 49 && q + 1 != queues)
			continue;
		while (smmuinv_mock_faults_left(g.f.mock)) {
			vmm_write(&g.q, tlbi_va(0x1000));
			(void)vmm_consume(&g.q);
		}
		sent += g.sent;
		meddled += g.meddled;
		guest_close(&g);
	}
	printf("%zu queues, %" PRIu64 " changes of a stream, %" PRIu64
	       " commands sent that named one\n",
	       queues, meddled, sent);
	assert_true(sent && meddled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			each_command_is_sent_only_in_the_states_that_it_is_for),
		cmocka_unit_test(
			streams_of_one_window_are_judged_each_by_its_own_state),
		cmocka_unit_test(
			a_retry_goes_by_the_state_at_that_time_and_not_by_the_one_before),
		cmocka_unit_test(a_batchs_retry_goes_by_the_state_at_that_time),
		cmocka_unit_test(
			what_a_timeout_left_is_not_sent_to_a_stream_without_ats),
		cmocka_unit_test(
			a_guest_never_makes_the_host_address_a_stream_in_another_state),
	};

	return cmocka_run_group_tests_name("addressed", tests, NULL, NULL);
}
