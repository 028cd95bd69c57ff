/* SPDX-License-Identifier: MIT */
/*
 * Commands that name a stream: CFGI_CD and CFGI_CD_ALL reach the host if the
 * vSID is known, ATC_INV if its ATS is on as well. Otherwise they are complete
 * at once. What counts is how the stream is when a call is made. Each command
 * is counted as one or the other.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support.h"
#include "vm.h"

enum { LOG2SIZE = 5, RING = 1 << LOG2SIZE, CAPACITY = 16, VSIDS = 6 };

/* What a stream can be. */
enum condition { ABSENT, WITHOUT_ATS, WITH_ATS, CONDITIONS };

#define VSID 0x20

static void put_into(struct vm *vm, uint32_t vsid, enum condition condition)
{
	if (condition == ABSENT) {
		if (vm_has_stream(vm, vsid))
			vm_unplug(vm, vsid);
		return;
	}
	if (!vm_has_stream(vm, vsid))
		vm_plug(vm, vsid);
	vm_set_ats(vm, vsid, condition == WITH_ATS);
}

enum { KINDS = 5 };

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
		return atc_inv(vsid, 0x1000);
	}
}

static bool is_atc_inv(const struct smmuinv_command *command)
{
	return smmuinv_command_opcode(command) == SMMUINV_CMD_ATC_INV;
}

static uint32_t rule_for(enum condition condition,
			 const struct smmuinv_command *command)
{
	if (condition == ABSENT)
		return SMMUINV_RULE_STREAM_UNKNOWN;
	if (is_atc_inv(command) && condition == WITHOUT_ATS)
		return SMMUINV_RULE_ATS_OFF;
	return SMMUINV_RULE_NONE;
}

static bool is_sent(enum condition condition,
		    const struct smmuinv_command *command)
{
	return rule_for(condition, command) == SMMUINV_RULE_NONE;
}

/* With VM_SETTLED the VMM hears of each command. */
struct guest {
	struct vm_queue q; /* first */
	struct vm vm;
	struct smmuinv_batch *batch;
	uint32_t fates[SMMUINV_FATE_UNREADABLE + 1];
	uint32_t rule; /* of the last */
	enum vm_way way;
	bool meddles; /* the VMM changes streams in its callbacks */
	uint64_t meddled;
	uint64_t sent; /* commands that named a stream */
};

static void meddle(struct guest *g)
{
	if (!g->meddles || test_chance(70))
		return;
	put_into(&g->vm, (uint32_t)test_random_below(VSIDS),
		 (enum condition)test_random_below(CONDITIONS));
	g->meddled++;
}

static int on_read(void *opaque, uint32_t index,
		   struct smmuinv_command *command)
{
	meddle(opaque);
	return vm_queue_read(opaque, index, command);
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	(void)sid;
	(void)leaf;
	meddle(opaque);
	return test_chance(50) ? SMMUINV_STE_ATTACHED : 0;
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

static void on_settled(void *opaque, uint32_t index,
		       const struct smmuinv_command *command, uint32_t fate,
		       uint32_t rule)
{
	struct guest *g = opaque;

	(void)index;
	(void)command;
	g->fates[fate]++;
	g->rule = rule;
	meddle(g);
}

static const struct smmuinv_queue_ops all_ops = {
	.size = sizeof(all_ops),
	.read = on_read,
	.cfgi_ste = on_cfgi_ste,
	.cfgi_ste_range = on_cfgi_ste_range,
	.sync = on_sync,
	.settled = on_settled,
};

static void guest_open(struct guest *g, uint32_t plan, enum vm_way way,
		       uint32_t window)
{
	const struct vm_options options = { .plan = plan, .empty = true };
	const struct vm_queue_options queue = {
		.ops = &all_ops,
		.way = way,
		.log2size = LOG2SIZE,
		.window = window,
	};

	memset(g, 0, sizeof(*g));
	g->way = way;
	vm_open_with(&g->vm, &options);
	assert_int_equal(smmuinv_batch_new(g->vm.vsmmu, CAPACITY, &g->batch),
			 0);
	vm_queue_open(&g->q, g->vm.vsmmu, &queue);
}

static void guest_close(struct guest *g)
{
	vm_queue_close(&g->q);
	smmuinv_batch_free(g->batch);
	vm_close(&g->vm);
}

/* Each plan, and each way to read a queue. */
static void with_each(void (*test)(struct guest *g))
{
	static const uint32_t plans[] = { SMMUINV_PLAN_MERGED,
					  SMMUINV_PLAN_AS_WRITTEN };
	size_t p, w;

	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (w = 0; w < VM_WAYS; w++) {
			struct guest g;

			guest_open(&g, plans[p], (enum vm_way)w, CAPACITY);
			test(&g);
			guest_close(&g);
		}
	}
}

/* The doorbell. What is consumed is one of three things, and said once. */
static int consume(struct guest *g)
{
	const struct smmuinv_progress *p = &g->q.progress;
	int rc;

	memset(g->fates, 0, sizeof(g->fates));
	rc = vm_consume(&g->q);
	assert_int_equal(p->consumed, p->forwarded + p->dropped + p->vmm);
	if (g->way != VM_SETTLED)
		return rc;
	assert_int_equal(g->fates[SMMUINV_FATE_FORWARDED], p->forwarded);
	assert_int_equal(g->fates[SMMUINV_FATE_DROPPED], p->dropped);
	assert_int_equal(g->fates[SMMUINV_FATE_VMM], p->vmm);
	assert_int_equal(g->fates[SMMUINV_FATE_ILLEGAL],
			 p->cerror == SMMUINV_CERROR_ILL);
	return rc;
}

static void through_the_batch(struct guest *g, struct smmuinv_command command,
			      uint32_t rule)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	bool sent = rule == SMMUINV_RULE_NONE;

	assert_int_equal(smmuinv_batch_add(g->batch, &command, NULL),
			 SMMUINV_FORWARD);
	assert_int_equal(smmuinv_batch_flush(g->batch, &result), 0);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.dropped, !sent);
	assert_int_equal(result.forwarded, sent);
	assert_int_equal(result.ioctls, sent);
	assert_int_equal(result.host_commands, sent);
}

static void through_submit(struct guest *g, struct smmuinv_command command,
			   uint32_t rule)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	bool sent = rule == SMMUINV_RULE_NONE;

	assert_int_equal(smmuinv_batch_submit(g->batch, &command, 1, &result),
			 0);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.dropped, !sent);
	assert_int_equal(result.forwarded, sent);
}

static void through_the_queue(struct guest *g, struct smmuinv_command command,
			      uint32_t rule)
{
	bool sent = rule == SMMUINV_RULE_NONE;

	vm_write(&g->q, command);
	assert_int_equal(consume(g), 1);
	assert_int_equal(g->q.progress.dropped, !sent);
	assert_int_equal(g->q.progress.forwarded, sent);
	assert_int_equal(g->q.progress.ioctls, sent);
	if (g->way == VM_SETTLED)
		assert_int_equal(g->rule, rule);
}

static void one_condition(struct guest *g, enum condition condition,
			  unsigned int kind)
{
	static void (*const throughs[])(struct guest * g,
					struct smmuinv_command command,
					uint32_t rule) = {
		through_the_batch,
		through_submit,
		through_the_queue,
	};
	const struct smmuinv_command command = naming(kind, VSID);
	const uint32_t rule = rule_for(condition, &command);
	const bool sent = rule == SMMUINV_RULE_NONE;
	size_t t;

	for (t = 0; t < ARRAY_SIZE(throughs); t++) {
		struct smmuinv_counters before, now;

		put_into(&g->vm, VSID, condition);
		before = vm_counters(&g->vm);
		vm_forget(&g->vm);
		throughs[t](g, command, rule);
		now = vm_counters(&g->vm);
		assert_int_equal(vm_executed(&g->vm, 0), sent);
		assert_int_equal(vm_times(&g->vm, 0, &command), sent);
		assert_int_equal(now.read, before.read + 1);
		assert_int_equal(now.forwarded, before.forwarded + sent);
		assert_int_equal(now.dropped, before.dropped + !sent);
		assert_int_equal(now.host_commands,
				 before.host_commands + sent);
	}
}

static void every_condition(struct guest *g)
{
	unsigned int condition, kind;

	for (condition = 0; condition < CONDITIONS; condition++) {
		for (kind = 0; kind < KINDS; kind++)
			one_condition(g, (enum condition)condition, kind);
	}
}

static void each_command_is_sent_only_in_the_states_that_it_is_for(void **state)
{
	(void)state;
	with_each(every_condition);
}

/* Two streams in one window, and a TLBI. */
static void two_conditions(struct guest *g, const enum condition conditions[2])
{
	uint32_t sent = 0;
	uint32_t i;

	put_into(&g->vm, VSID, conditions[0]);
	put_into(&g->vm, VSID + 1, conditions[1]);
	vm_forget(&g->vm);
	for (i = 0; i < 2 * KINDS; i++)
		vm_write(&g->q, naming(i / 2, VSID + i % 2));
	vm_write(&g->q, tlbi_va(0x1000));
	assert_int_equal(consume(g), 2 * KINDS + 1);
	for (i = 0; i < 2 * KINDS; i++) {
		const struct smmuinv_command command =
			naming(i / 2, VSID + i % 2);

		if (is_sent(conditions[i % 2], &command))
			sent++;
		else
			assert_int_equal(vm_times(&g->vm, 0, &command), 0);
	}
	assert_int_equal(g->q.progress.dropped, 2 * KINDS - sent);
	assert_int_equal(g->q.progress.forwarded, sent + 1);
}

static void every_two_conditions(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < CONDITIONS * CONDITIONS; i++) {
		const enum condition conditions[] = {
			(enum condition)(i / CONDITIONS),
			(enum condition)(i % CONDITIONS),
		};

		two_conditions(g, conditions);
	}
}

static void streams_of_one_window_are_judged_each_by_its_own_state(void **state)
{
	(void)state;
	with_each(every_two_conditions);
}

/* A failed call leaves the commands. The stream changes before the retry. */
static void changes_before_a_retry(struct guest *g, unsigned int kind,
				   enum condition before, enum condition after)
{
	const struct smmuinv_command command = naming(kind, VSID);
	const bool sent = is_sent(after, &command);

	put_into(&g->vm, VSID, before);
	vm_forget(&g->vm);
	vm_write(&g->q, tlbi_va(0x1000));
	vm_write(&g->q, command);
	vm_fail(&g->vm, 0, 0, -EFAULT);
	assert_int_equal(consume(g), -EFAULT);
	assert_int_equal(g->q.progress.consumed, 0);
	vm_fail(&g->vm, 0, 0, 0);
	put_into(&g->vm, VSID, after);
	assert_int_equal(consume(g), 2);
	assert_int_equal(g->q.progress.forwarded, 1 + sent);
	assert_int_equal(g->q.progress.dropped, !sent);
	assert_int_equal(vm_times(&g->vm, 0, &command), sent);
}

/* The same with a batch, which keeps what has failed. */
static void changes_before_a_flush(struct guest *g, unsigned int kind,
				   enum condition before, enum condition after)
{
	const struct smmuinv_command first = tlbi_va(0x1000);
	const struct smmuinv_command command = naming(kind, VSID);
	const bool sent = is_sent(after, &command);
	struct smmuinv_result result = { .size = sizeof(result) };

	put_into(&g->vm, VSID, before);
	vm_forget(&g->vm);
	smmuinv_batch_add(g->batch, &first, NULL);
	smmuinv_batch_add(g->batch, &command, NULL);
	vm_fail(&g->vm, 0, 0, -EFAULT);
	assert_int_equal(smmuinv_batch_flush(g->batch, &result), -EFAULT);
	assert_int_equal(result.completed, 0);
	vm_fail(&g->vm, 0, 0, 0);
	put_into(&g->vm, VSID, after);
	assert_int_equal(smmuinv_batch_flush(g->batch, &result), 0);
	assert_int_equal(result.completed, 2);
	assert_int_equal(result.forwarded, 1 + sent);
	assert_int_equal(vm_times(&g->vm, 0, &command), sent);
}

static void every_change_before_a_retry(struct guest *g)
{
	unsigned int kind, before, after;

	for (kind = 0; kind < KINDS; kind++) {
		for (before = 0; before < CONDITIONS; before++) {
			for (after = 0; after < CONDITIONS; after++) {
				changes_before_a_retry(g, kind, before, after);
				changes_before_a_flush(g, kind, before, after);
			}
		}
	}
}

static void
a_retry_goes_by_the_state_at_that_time_and_not_by_the_one_before(void **state)
{
	(void)state;
	with_each(every_change_before_a_retry);
}

/* What a device owes is asked of it again, unless it has no ATS any more. */
static void owes_and_changes(struct guest *g, enum condition after, bool hung)
{
	const struct smmuinv_command command = atc_inv_all(VSID);
	bool stops = after == WITH_ATS && hung;

	put_into(&g->vm, VSID, WITH_ATS);
	vm_forget(&g->vm);
	vm_hang(&g->vm, VSID, SMMUINV_MOCK_SILENT);
	vm_write(&g->q, command);
	vm_write(&g->q, cmd_sync());
	assert_int_equal(consume(g), 1);
	assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_true(g->q.progress.fault.vsid == VSID);
	assert_true(vm_stream(&g->vm, VSID).owes);
	if (!hung)
		vm_hang(&g->vm, VSID, SMMUINV_MOCK_ANSWERS);
	put_into(&g->vm, VSID, after);
	assert_int_equal(vm_times(&g->vm, 0, &command), 0);
	assert_int_equal(consume(g), !stops);
	assert_int_equal(g->q.progress.cerror,
			 stops ? SMMUINV_CERROR_ATC_INV_SYNC :
				 SMMUINV_CERROR_NONE);
	assert_int_equal(vm_times(&g->vm, 0, &command),
			 after == WITH_ATS && !hung);
	if (after != ABSENT)
		vm_hang(&g->vm, VSID, SMMUINV_MOCK_ANSWERS);
	if (stops)
		assert_int_equal(consume(g), 1);
	if (after != ABSENT)
		assert_false(vm_stream(&g->vm, VSID).owes);
}

static void every_change_of_who_owes(struct guest *g)
{
	unsigned int after;

	for (after = 0; after < CONDITIONS; after++) {
		owes_and_changes(g, (enum condition)after, false);
		owes_and_changes(g, (enum condition)after, true);
	}
}

static void
what_a_timeout_left_is_not_sent_to_a_stream_without_ats(void **state)
{
	(void)state;
	with_each(every_change_of_who_owes);
}

static bool names_stream(const struct smmuinv_command *command)
{
	uint8_t opcode = smmuinv_command_opcode(command);

	return opcode == SMMUINV_CMD_CFGI_CD ||
	       opcode == SMMUINV_CMD_CFGI_CD_ALL ||
	       opcode == SMMUINV_CMD_ATC_INV;
}

/*
 * No call names a stream that is not there, or without ATS. Another thread of
 * the VMM's may turn it on or off, or add a stream, meanwhile.
 */
static int watch(struct vm *vm, uint32_t which,
		 const struct smmuinv_command *commands, uint32_t *count)
{
	struct guest *g = vm->hook_data;
	uint32_t vsid = (uint32_t)test_random_below(VSIDS);
	uint32_t i;
	int rc;

	for (i = 0; i < *count; i++) {
		uint32_t sid = (uint32_t)smmuinv_command_get(
			&commands[i], SMMUINV_FIELD_STREAMID);

		if (!names_stream(&commands[i]))
			continue;
		g->sent++;
		assert_true(vm_has_stream(vm, sid));
		if (is_atc_inv(&commands[i]))
			assert_true(vm_stream(vm, sid).ats);
	}
	rc = vm_pass(vm, which, commands, count);
	/* After -EINTR it is still the same call. */
	if (rc == -EINTR || test_chance(90))
		return rc;
	put_into(vm, vsid, test_chance(50) ? WITH_ATS : WITHOUT_ATS);
	g->meddled++;
	return rc;
}

static struct smmuinv_command random_command(void)
{
	uint64_t vsid = test_chance(95) ? test_random_below(VSIDS) :
					  test_random_edge() & UINT32_MAX;

	switch (test_random_below(10)) {
	case 0:
		return cmd_sync();
	case 1:
		return cfgi_ste((uint32_t)vsid);
	case 2:
		return raw(vsid << 32 | SMMUINV_CMD_CFGI_STE_RANGE,
			   test_chance(50) ? 31 : test_random_below(4));
	case 3:
		return tlbi_va(test_random_below(64) << 12);
	case 4:
		/* Nonsense, except the opcode. */
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

	vm_inject(&g->vm, 0, errors[test_random_below(ARRAY_SIZE(errors))],
		  (uint32_t)test_random_below(4),
		  (uint32_t)test_random_below(4));
}

static void one_random_queue(struct guest *g)
{
	uint32_t n = 1 + (uint32_t)test_random_below(RING);
	uint32_t i, tries;

	for (i = 0; i < n; i++)
		vm_write(&g->q, random_command());
	if (test_chance(40))
		random_fault(g);
	for (tries = 0; g->q.cons != g->q.prod; tries++) {
		assert_true(tries < 1000);
		(void)consume(g);
		if (g->q.progress.cerror == SMMUINV_CERROR_ILL)
			g->q.ring[g->q.cons % RING] = cmd_sync();
		meddle(g);
	}
}

static void random_guest(struct guest *g, uint32_t queues)
{
	const struct smmuinv_counters *c;
	struct smmuinv_counters now;

	guest_open(g,
		   test_chance(50) ? SMMUINV_PLAN_MERGED :
				     SMMUINV_PLAN_AS_WRITTEN,
		   (enum vm_way)test_random_below(VM_WAYS),
		   2 + (uint32_t)test_random_below(20));
	g->vm.hook = watch;
	g->vm.hook_data = g;
	g->meddles = true;
	while (queues--)
		one_random_queue(g);
	while (smmuinv_mock_faults_left(g->vm.mock)) {
		vm_write(&g->q, tlbi_va(0x1000));
		(void)consume(g);
	}
	now = vm_counters(&g->vm);
	c = &now;
	/* Some were read more than once. */
	assert_true(c->read >= c->forwarded + c->dropped + c->vmm + c->illegal);
	guest_close(g);
}

static void
a_guest_never_makes_the_host_address_a_stream_in_another_state(void **state)
{
	enum { QUEUES = 50 };
	size_t guests = test_iterations(400);
	uint64_t sent = 0, meddled = 0;
	struct guest g;
	size_t i;

	(void)state;
	for (i = 0; i < guests; i++) {
		random_guest(&g, QUEUES);
		sent += g.sent;
		meddled += g.meddled;
	}
	printf("%zu queues, %" PRIu64 " changes of a stream, %" PRIu64
	       " commands sent that named one\n",
	       guests * QUEUES, meddled, sent);
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
		cmocka_unit_test(
			what_a_timeout_left_is_not_sent_to_a_stream_without_ats),
		cmocka_unit_test(
			a_guest_never_makes_the_host_address_a_stream_in_another_state),
	};

	return cmocka_run_group_tests_name("addressed", tests, NULL, NULL);
}
