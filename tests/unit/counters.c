/* SPDX-License-Identifier: MIT */
/*
 * Every counter by a case that is made for it. Over random queues the sums that
 * must hold, whichever way the queue is read.
 */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "vm.h"

enum { LOG2SIZE = 6, RING = 1 << LOG2SIZE, ATS_OFF = 0x11 };

struct guest {
	struct vm_queue q; /* first */
	struct vm vm;
	struct smmuinv_batch *batch;
	struct smmuinv_features features;
	/* Summed over all calls. */
	uint64_t consumed;
	uint64_t forwarded;
	uint64_t dropped;
	uint64_t vmm;
	uint64_t ioctls;
	uint64_t host_commands;
	uint64_t retries;
	uint64_t timeouts;
	uint64_t replaced;
	uint64_t illegal; /* calls that stopped at such a command */
	/* What the host was really asked. */
	uint64_t calls;
	uint64_t asked;
	uint64_t failed;
	uint64_t timed_out;
};

static int on_command(void *opaque, const struct smmuinv_command *command)
{
	(void)opaque;
	(void)command;
	return 0;
}

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

static const struct smmuinv_queue_ops all_ops = {
	.size = sizeof(all_ops),
	.read = vm_queue_read,
	.command = on_command,
	.settled = on_settled,
};

static int watch(struct vm *vm, uint32_t which,
		 const struct smmuinv_command *commands, uint32_t *count)
{
	struct guest *g = vm->hook_data;
	uint32_t asked = *count;
	int rc = vm_pass(vm, which, commands, count);

	g->calls++;
	g->asked += asked;
	g->failed += rc || *count != asked;
	g->timed_out += rc == -ETIMEDOUT;
	return rc;
}

/* 4-bit SubstreamIDs, so that some are out of range. */
static void guest_open_with(struct guest *g, const struct vm_options *like,
			    const struct smmuinv_queue_ops *ops,
			    enum vm_way way, uint32_t window)
{
	const struct vm_queue_options queue = {
		.ops = ops,
		.way = way,
		.log2size = LOG2SIZE,
		.window = window,
	};
	struct vm_options options = *like;

	memset(g, 0, sizeof(*g));
	g->features = everything_with(1, 4u << 6 | 32);
	if (!options.guest)
		options.guest = &g->features;
	vm_open_with(&g->vm, &options);
	g->vm.hook = watch;
	g->vm.hook_data = g;
	/* Another stream, whose ATS is off. */
	vm_plug(&g->vm, ATS_OFF);
	vm_set_ats(&g->vm, ATS_OFF, false);
	assert_int_equal(smmuinv_batch_new(g->vm.vsmmu, RING, &g->batch), 0);
	vm_queue_open(&g->q, g->vm.vsmmu, &queue);
}

static void guest_open(struct guest *g, uint32_t plan, enum vm_way way,
		       uint32_t window)
{
	const struct vm_options like = { .plan = plan };

	guest_open_with(g, &like, &all_ops, way, window);
}

static void guest_close(struct guest *g)
{
	vm_queue_close(&g->q);
	smmuinv_batch_free(g->batch);
	vm_close(&g->vm);
}

static int consume(struct guest *g)
{
	const struct smmuinv_progress *p = &g->q.progress;
	int rc = vm_consume(&g->q);

	g->consumed += p->consumed;
	g->forwarded += p->forwarded;
	g->dropped += p->dropped;
	g->vmm += p->vmm;
	g->ioctls += p->ioctls;
	g->host_commands += p->host_commands;
	g->retries += p->retries;
	g->timeouts += p->timeouts;
	g->replaced += p->replaced;
	g->illegal += p->cerror == SMMUINV_CERROR_ILL;
	return rc;
}

/* Commands that end in each of the ways there are. */
static const struct sort {
	enum { FORWARDED, DROPPED, ILLEGAL, VMM } fate;
	uint64_t dw0;
	uint64_t dw1;
} sorts[] = {
	{ FORWARDED, 0x12, 0x1001 },
	{ FORWARDED, 0x13, 0x1001 },
	{ FORWARDED, 0x11, 0 },
	{ FORWARDED, 0x10, 0 },
	{ FORWARDED, 0x30, 0 },
	{ FORWARDED, 0x1000000005, 1 },
	{ FORWARDED, 0x1000000006, 0 },
	{ FORWARDED, 0x1100000006, 0 },
	{ FORWARDED, 0x1000000040, 0 },
	{ DROPPED, 0x01, 0 }, /* prefetches */
	{ DROPPED, 0x02, 0 },
	{ DROPPED, 0x1000010005, 1 }, /* SubstreamID 16 */
	{ DROPPED, 0x6600000006, 0 }, /* no such stream */
	{ DROPPED, 0x6600000040, 0 },
	{ DROPPED, 0x1100000040, 0 }, /* ATS is off */
	{ ILLEGAL, 0x00, 0 },         /* reserved opcodes */
	{ ILLEGAL, 0x7f, 0 },
	{ ILLEGAL, 0xff, 0 },
	{ ILLEGAL, 0x1000000406, 0 },  /* SSec */
	{ ILLEGAL, 0x1000000040, 53 }, /* Size */
	{ ILLEGAL, 0x3046, 0 },        /* CS */
	{ ILLEGAL, 0x21, 0 },          /* no Hyp */
	{ VMM, 0x46, 0 },
	{ VMM, 0x7700000003, 0 },
	{ VMM, 0x7700000004, 0 },
};

/* Exactly the one command @s, in one call if it is for the host. */
static void assert_counted(const struct smmuinv_counters *before,
			   const struct smmuinv_counters *now,
			   const struct sort *s, uint64_t vmm)
{
	uint64_t sent = s->fate == FORWARDED;

	assert_int_equal(now->read - before->read, 1);
	assert_int_equal(now->forwarded - before->forwarded, sent);
	assert_int_equal(now->dropped - before->dropped, s->fate == DROPPED);
	assert_int_equal(now->illegal - before->illegal, s->fate == ILLEGAL);
	assert_int_equal(now->vmm - before->vmm, vmm);
	assert_int_equal(now->host_commands - before->host_commands, sent);
	assert_int_equal(now->ioctls - before->ioctls, sent);
	assert_int_equal(now->merged | now->failed | now->retries |
				 now->timeouts | now->replaced | now->repeats,
			 0);
}

static void a_queue_counts_each_sort_of_command_once(void **state)
{
	size_t w, i;

	(void)state;
	for (w = 0; w < 2 * VM_WAYS; w++) {
		struct guest g;

		guest_open(&g, w % 2, (enum vm_way)(w / 2), 0);
		for (i = 0; i < ARRAY_SIZE(sorts); i++) {
			struct smmuinv_counters before = vm_counters(&g.vm);
			struct smmuinv_counters now;

			vm_write(&g.q, raw(sorts[i].dw0, sorts[i].dw1));
			assert_int_equal(consume(&g),
					 sorts[i].fate == ILLEGAL ? 0 : 1);
			g.q.cons = g.q.prod;
			now = vm_counters(&g.vm);
			assert_counted(&before, &now, &sorts[i],
				       sorts[i].fate == VMM);
		}
		guest_close(&g);
	}
}

static int through_the_batch(struct guest *g, bool submit,
			     const struct smmuinv_command *command)
{
	if (submit)
		return smmuinv_batch_submit(g->batch, command, 1, NULL);
	smmuinv_batch_add(g->batch, command, NULL);
	return smmuinv_batch_flush(g->batch, NULL);
}

/* What the VMM has to do itself is read, and no callback took it. */
static void a_batch_counts_each_sort_of_command_once(void **state)
{
	size_t way, i;

	(void)state;
	for (way = 0; way < 4; way++) {
		struct guest g;

		guest_open(&g, way % 2, VM_IN_PLACE, 0);
		for (i = 0; i < ARRAY_SIZE(sorts); i++) {
			const struct smmuinv_command command =
				raw(sorts[i].dw0, sorts[i].dw1);
			struct smmuinv_counters before = vm_counters(&g.vm);
			struct smmuinv_counters now;

			assert_int_equal(
				through_the_batch(&g, way >= 2, &command),
				way >= 2 && sorts[i].fate >= ILLEGAL);
			now = vm_counters(&g.vm);
			assert_counted(&before, &now, &sorts[i], 0);
		}
		guest_close(&g);
	}
}

static void what_could_not_be_read_is_not_counted_as_read(void **state)
{
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open(&g, SMMUINV_PLAN_MERGED, VM_BY_CALLBACK, 0);
	g.q.unreadable = 1;
	vm_write(&g.q, tlbi_va(0x1000));
	vm_write(&g.q, tlbi_va(0x2000));
	assert_int_equal(consume(&g), 1);
	assert_int_equal(g.q.progress.cerror, SMMUINV_CERROR_ABT);
	now = vm_counters(&g.vm);
	assert_int_equal(now.read, 1);
	assert_int_equal(now.illegal, 0);
	guest_close(&g);
}

/* STALL_MODEL 0 */
static const struct smmuinv_features may_stall = {
	{ 0x0008741a, 0x00000520, 0, 0x00000400, 0, 0x000000f6 }
};

static void what_no_callback_takes_is_illegal(void **state)
{
	const struct vm_options like = { .guest = &may_stall };
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open_with(&g, &like, NULL, VM_IN_PLACE, 0);
	vm_write(&g.q, raw(SMMUINV_CMD_RESUME, 0));
	assert_int_equal(consume(&g), 0);
	now = vm_counters(&g.vm);
	assert_int_equal(now.read, 1);
	assert_int_equal(now.illegal, 1);
	assert_int_equal(now.vmm, 0);
	guest_close(&g);
}

/* Illegal is where it stopped: not when something before it failed. */
static void an_illegal_command_counts_when_it_is_what_stopped(void **state)
{
	const struct smmuinv_command commands[] = { tlbi_va(0),
						    raw(0x3046, 0) };
	size_t way;

	(void)state;
	for (way = 0; way < 1 + VM_WAYS; way++) {
		struct guest g;
		int tries, rc;

		guest_open(&g, SMMUINV_PLAN_MERGED,
			   way ? (enum vm_way)(way - 1) : VM_IN_PLACE, 0);
		vm_write(&g.q, commands[0]);
		vm_write(&g.q, commands[1]);
		for (tries = 0; tries < 2; tries++) {
			vm_fail(&g.vm, 0, 0, tries ? 0 : -EFAULT);
			rc = way ? consume(&g) :
				   smmuinv_batch_submit(g.batch, commands, 2,
							NULL);
			assert_int_equal(rc, tries ? 1 : -EFAULT);
			assert_int_equal(vm_counters(&g.vm).illegal, tries);
		}
		/* Both were read twice. */
		assert_int_equal(vm_counters(&g.vm).read, 4);
		guest_close(&g);
	}
}

/* Four pages and one of them again are one range. */
static void merged_is_what_needed_no_command_of_its_own(void **state)
{
	const struct smmuinv_features only_4k = everything_with(5, 0x96);
	const uint64_t pages[] = { 1, 2, 3, 4, 2 };
	struct smmuinv_counters before, now;
	uint32_t plan, i;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		const struct vm_options like = { .plan = plan,
						 .guest = &only_4k };
		bool merges = plan == SMMUINV_PLAN_MERGED;
		struct guest g;

		guest_open_with(&g, &like, &all_ops, VM_IN_PLACE, 0);
		for (i = 0; i < ARRAY_SIZE(pages); i++)
			vm_write(&g.q, tlbi_va(pages[i] << 12));
		vm_fail(&g.vm, 0, 0, -EFAULT);
		assert_int_equal(consume(&g), -EFAULT);
		before = vm_counters(&g.vm);
		assert_int_equal(before.forwarded, 0);
		vm_fail(&g.vm, 0, 0, 0);
		assert_int_equal(consume(&g), 5);
		now = vm_counters(&g.vm);
		assert_int_equal(now.forwarded, 5);
		assert_int_equal(now.merged - before.merged, merges ? 4 : 0);
		assert_int_equal(now.host_commands - before.host_commands,
				 merges ? 1 : 5);
		assert_int_equal(now.ioctls - before.ioctls, 1);
		assert_int_equal(now.failed, before.failed);
		/* The VMM's next try is none of the library's. */
		assert_int_equal(now.retries, before.retries);
		assert_int_equal(now.read, 10);
		guest_close(&g);
	}
}

/* Eight commands, then in smaller calls. */
static void retries_are_calls_after_one_that_failed(void **state)
{
	struct smmuinv_counters now;
	struct guest g;
	uint64_t i;

	(void)state;
	guest_open(&g, SMMUINV_PLAN_AS_WRITTEN, VM_IN_PLACE, 0);
	for (i = 0; i < 8; i++)
		vm_write(&g.q, tlbi_va(i << 12));
	vm_inject(&g.vm, 0, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
	assert_int_equal(consume(&g), 8);
	now = vm_counters(&g.vm);
	assert_int_equal(now.forwarded, 8);
	assert_int_equal(now.failed, 1);
	assert_true(now.ioctls >= 2);
	assert_int_equal(now.retries, now.ioctls - 1);
	assert_int_equal(now.host_commands, 16);
	assert_int_equal(now.timeouts, 0);
	guest_close(&g);
}

static void timeouts_are_calls_that_the_host_waited_for_in_vain(void **state)
{
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open(&g, SMMUINV_PLAN_MERGED, VM_IN_PLACE, 0);
	vm_write(&g.q, tlbi_va(0x1000));
	vm_inject(&g.vm, 0, -ETIMEDOUT, 0, 0);
	assert_int_equal(consume(&g), 1);
	now = vm_counters(&g.vm);
	assert_int_equal(now.failed, 1);
	assert_int_equal(now.timeouts, 1);
	assert_int_equal(now.retries, 1);
	assert_int_equal(now.ioctls, 2);
	guest_close(&g);
}

static void replaced_is_what_a_wider_command_stands_for(void **state)
{
	const struct smmuinv_command refused = tlbi_va(0x1000);
	const struct smmuinv_command all = tlbi_all();
	uint32_t plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct smmuinv_counters now;
		struct guest g;

		guest_open(&g, plan, VM_IN_PLACE, 0);
		g.vm.refused = &refused;
		g.vm.refused_count = 1;
		vm_write(&g.q, tlbi_va(0x9000));
		vm_write(&g.q, refused);
		assert_int_equal(consume(&g), 2);
		now = vm_counters(&g.vm);
		assert_int_equal(now.forwarded, 2);
		assert_int_equal(now.replaced, 1);
		assert_int_equal(vm_times(&g.vm, 0, &all), 1);
		assert_int_equal(vm_times(&g.vm, 0, &refused), 0);
		guest_close(&g);
	}
}

static void repeats_are_what_the_erratum_asked_for_again(void **state)
{
	struct vm_options like = {
		.smmu[0].hw_flags = SMMUINV_HW_INFO_REPEAT,
	};
	uint32_t plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct smmuinv_counters now;
		struct guest g;

		like.plan = plan;
		guest_open_with(&g, &like, &all_ops, VM_IN_PLACE, 0);
		vm_write(&g.q, atc_inv_all(VM_VSID));
		vm_write(&g.q, tlbi_va(0x1000));
		vm_write(&g.q, cfgi_cd(VM_VSID));
		assert_int_equal(consume(&g), 3);
		now = vm_counters(&g.vm);
		assert_int_equal(now.forwarded, 3);
		assert_int_equal(now.repeats, 2);
		assert_int_equal(now.host_commands, 5);
		assert_int_equal(now.retries, 0);
		guest_close(&g);
	}
}

static void without_a_viommu_commands_are_dropped(void **state)
{
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open(&g, SMMUINV_PLAN_MERGED, VM_IN_PLACE, 0);
	vm_unplug(&g.vm, VM_VSID);
	vm_unplug(&g.vm, ATS_OFF);
	assert_int_equal(
		smmuinv_vsmmu_remove_viommu(g.vm.vsmmu, g.vm.smmu[0].viommu),
		0);
	vm_write(&g.q, tlbi_va(0x1000));
	vm_write(&g.q, cfgi_cd(VM_VSID));
	vm_write(&g.q, raw(SMMUINV_CMD_PREFETCH_CONFIG, 0));
	assert_int_equal(consume(&g), 3);
	now = vm_counters(&g.vm);
	assert_int_equal(now.dropped, 3);
	assert_int_equal(now.ioctls, 0);
	guest_close(&g);
}

/* No command of a guest's is counted, but each call is. */
static void invalidate_all_counts_its_calls_only(void **state)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open(&g, SMMUINV_PLAN_MERGED, VM_IN_PLACE, 0);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(g.vm.vsmmu, &result), 0);
	now = vm_counters(&g.vm);
	assert_int_equal(now.ioctls, g.calls);
	assert_int_equal(now.host_commands, g.asked);
	assert_int_equal(result.ioctls, g.calls);
	assert_int_equal(result.host_commands, g.asked);
	assert_int_equal(now.read | now.forwarded | now.merged | now.dropped,
			 0);
	guest_close(&g);
}

static struct smmuinv_command random_command(void)
{
	const struct sort *s = &sorts[test_random_below(ARRAY_SIZE(sorts))];
	uint32_t vsid = VM_VSID + (uint32_t)test_random_below(3);

	switch (test_random_below(8)) {
	case 0:
		return cmd_sync();
	case 1:
		return cfgi_cd(vsid);
	case 2:
		return atc_inv_all(vsid);
	case 3:
		return raw(s->dw0, s->dw1);
	default:
		return tlbi_va(test_random_below(32) << 12);
	}
}

static void assert_sums(const struct guest *g, const struct smmuinv_counters *c)
{
	/* Whatever was read again, what was done was done once. */
	assert_int_equal(c->forwarded, g->forwarded);
	assert_int_equal(c->dropped, g->dropped);
	assert_int_equal(c->vmm, g->vmm);
	assert_int_equal(c->forwarded + c->dropped + c->vmm, g->consumed);
	assert_int_equal(c->illegal, g->illegal);
	assert_true(c->read >= g->consumed + c->illegal);
	assert_int_equal(c->ioctls, g->calls);
	assert_int_equal(c->ioctls, g->ioctls);
	assert_int_equal(c->host_commands, g->asked);
	assert_int_equal(c->host_commands, g->host_commands);
	assert_int_equal(c->failed, g->failed);
	assert_int_equal(c->timeouts, g->timed_out);
	assert_int_equal(c->timeouts, g->timeouts);
	assert_int_equal(c->retries, g->retries);
	assert_int_equal(c->replaced, g->replaced);
	assert_true(c->merged <= c->forwarded);
	assert_true(c->repeats <= c->host_commands);
	assert_true(c->retries <= c->ioctls);
}

/* Until all is consumed; an illegal one becomes a CMD_SYNC, as in Linux. */
static void consume_all(struct guest *g)
{
	uint32_t tries;

	for (tries = 0; g->q.cons != g->q.prod; tries++) {
		assert_true(tries < 1000);
		(void)consume(g);
		if (g->q.progress.cerror == SMMUINV_CERROR_ILL)
			g->q.ring[g->q.cons % RING] = cmd_sync();
	}
}

static void random_fault(struct guest *g)
{
	static const int errors[] = { -EIO, -ETIMEDOUT, -ENOMEM, -EFAULT };

	vm_inject(&g->vm, 0, errors[test_random_below(ARRAY_SIZE(errors))], 0,
		  (uint32_t)test_random_below(4));
}

static void the_sums_hold_over_random_queues_and_faults(void **state)
{
	size_t queues = test_iterations(6000);
	size_t q;

	(void)state;
	for (q = 0; q < queues; q++) {
		const struct vm_options like = {
			.plan = (uint32_t)test_random_below(2),
			.smmu[0].hw_flags =
				test_chance(30) ? SMMUINV_HW_INFO_REPEAT : 0,
		};
		uint32_t n = 1 + (uint32_t)test_random_below(RING);
		struct smmuinv_counters c;
		bool faults = q % 2;
		struct guest g;

		guest_open_with(&g, &like, &all_ops, (enum vm_way)(q % VM_WAYS),
				2 + (uint32_t)test_random_below(40));
		while (n--)
			vm_write(&g.q, random_command());
		if (faults)
			random_fault(&g);
		consume_all(&g);
		while (smmuinv_mock_faults_left(g.vm.mock)) {
			vm_write(&g.q, tlbi_va(0x1000));
			consume_all(&g);
		}
		c = vm_counters(&g.vm);
		assert_sums(&g, &c);
		if (!faults)
			assert_int_equal(c.read, c.forwarded + c.dropped +
							 c.vmm + c.illegal);
		guest_close(&g);
	}
}

/* The same ring, read in each way. */
static void every_way_to_read_counts_the_same(void **state)
{
	size_t queues = test_iterations(3000);
	size_t q, w, i;

	(void)state;
	for (q = 0; q < queues; q++) {
		uint32_t plan = (uint32_t)test_random_below(2);
		uint32_t window = 2 + (uint32_t)test_random_below(40);
		uint32_t n = 1 + (uint32_t)test_random_below(RING);
		struct smmuinv_command ring[RING];
		struct smmuinv_counters first;

		for (i = 0; i < n; i++)
			ring[i] = random_command();
		for (w = 0; w < VM_WAYS; w++) {
			struct smmuinv_counters c;
			struct guest g;

			guest_open(&g, plan, (enum vm_way)w, window);
			for (i = 0; i < n; i++)
				vm_write(&g.q, ring[i]);
			consume_all(&g);
			c = vm_counters(&g.vm);
			if (!w)
				first = c;
			assert_memory_equal(&c, &first, sizeof(c));
			guest_close(&g);
		}
	}
}

static bool is_batchs(const struct smmuinv_command *command)
{
	const struct smmuinv_features guest = everything_with(1, 4u << 6 | 32);
	int verdict = smmuinv_check(command, &guest, &guest, NULL);

	return verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE;
}

static void a_batch_counts_as_a_queue_does(void **state)
{
	size_t batches = test_iterations(3000);
	size_t q, i;

	(void)state;
	for (q = 0; q < batches; q++) {
		uint32_t plan = (uint32_t)test_random_below(2);
		uint32_t n = 1 + (uint32_t)test_random_below(RING);
		struct smmuinv_command commands[RING];
		struct smmuinv_counters by[3];
		size_t way;

		for (i = 0; i < n; i += is_batchs(&commands[i]))
			commands[i] = random_command();
		for (way = 0; way < ARRAY_SIZE(by); way++) {
			struct guest g;

			guest_open(&g, plan, VM_IN_PLACE, RING);
			for (i = 0; i < n; i++) {
				vm_write(&g.q, commands[i]);
				if (way == 1)
					smmuinv_batch_add(g.batch, &commands[i],
							  NULL);
			}
			if (!way)
				consume_all(&g);
			else if (way == 1)
				assert_int_equal(
					smmuinv_batch_flush(g.batch, NULL), 0);
			else
				assert_int_equal(smmuinv_batch_submit(g.batch,
								      commands,
								      n, NULL),
						 0);
			by[way] = vm_counters(&g.vm);
			assert_memory_equal(&by[way], &by[0], sizeof(by[0]));
			guest_close(&g);
		}
	}
}

static void two_queues_and_a_batch_share_the_counters(void **state)
{
	const struct vm_queue_options options = { .ops = &all_ops };
	const struct smmuinv_command page = tlbi_va(0x1000);
	struct vm_queue second;
	struct guest g;

	(void)state;
	guest_open(&g, SMMUINV_PLAN_MERGED, VM_IN_PLACE, 0);
	vm_queue_open(&second, g.vm.vsmmu, &options);
	vm_write(&g.q, page);
	vm_write(&second, page);
	assert_int_equal(consume(&g), 1);
	assert_int_equal(vm_consume(&second), 1);
	assert_int_equal(smmuinv_batch_submit(g.batch, &page, 1, NULL), 0);
	assert_int_equal(vm_counters(&g.vm).forwarded, 3);
	assert_int_equal(vm_counters(&g.vm).read, 3);
	/* What was counted stays when one of them goes. */
	vm_queue_close(&second);
	assert_int_equal(vm_counters(&g.vm).read, 3);
	smmuinv_batch_free(g.batch);
	g.batch = NULL;
	assert_int_equal(vm_counters(&g.vm).read, 3);
	guest_close(&g);
}

/* A newer VMM's has more at its end, which is zero. */
static void a_larger_structure_is_filled_in_to_its_end(void **state)
{
	struct {
		struct smmuinv_counters counters;
		uint64_t more;
	} larger = { { .size = sizeof(larger) }, 7 };
	struct guest g;

	(void)state;
	guest_open(&g, SMMUINV_PLAN_MERGED, VM_IN_PLACE, 0);
	vm_write(&g.q, cmd_sync());
	assert_int_equal(consume(&g), 1);
	assert_int_equal(smmuinv_vsmmu_counters(g.vm.vsmmu, &larger.counters),
			 0);
	assert_int_equal(larger.counters.vmm, 1);
	assert_int_equal(larger.counters.size, sizeof(larger));
	assert_int_equal(larger.more, 0);
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(a_queue_counts_each_sort_of_command_once),
		T(a_batch_counts_each_sort_of_command_once),
		T(what_could_not_be_read_is_not_counted_as_read),
		T(what_no_callback_takes_is_illegal),
		T(an_illegal_command_counts_when_it_is_what_stopped),
		T(merged_is_what_needed_no_command_of_its_own),
		T(retries_are_calls_after_one_that_failed),
		T(timeouts_are_calls_that_the_host_waited_for_in_vain),
		T(replaced_is_what_a_wider_command_stands_for),
		T(repeats_are_what_the_erratum_asked_for_again),
		T(without_a_viommu_commands_are_dropped),
		T(invalidate_all_counts_its_calls_only),
		T(the_sums_hold_over_random_queues_and_faults),
		T(every_way_to_read_counts_the_same),
		T(a_batch_counts_as_a_queue_does),
		T(two_queues_and_a_batch_share_the_counters),
		T(a_larger_structure_is_filled_in_to_its_end),
#undef T
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
