/* SPDX-License-Identifier: MIT */
/*
 * The promise on several physical SMMUs, each by itself: when a CMD_SYNC was
 * completed, it caches nothing that the guest had invalidated before it,
 * although what is stale may be cached anew from what is, at any time, and
 * although SMMUs, streams and failures come and go.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "command.h"
#include "vm.h"

#define LOG2SIZE 7
#define RING     (1u << LOG2SIZE)

/* SMMU k has the streams 16 * k + 1 and 16 * k + 2. */
static uint32_t vsid_of(uint32_t which, uint32_t n)
{
	return 16 * which + 1 + n;
}

static void attach(struct vm *vm, uint32_t which)
{
	const struct smmuinv_viommu_params params = vm_viommu_params(vm, which);

	assert_int_equal(smmuinv_vsmmu_add_viommu(vm->vsmmu, &params, NULL), 0);
}

static int detach(struct vm *vm, uint32_t which)
{
	return smmuinv_vsmmu_remove_viommu(vm->vsmmu, vm->smmu[which].viommu);
}

enum { ENTRIES = 24, NOTHING = -1 };

struct thing {
	struct smmuinv_cache_entry entry;
	int source; /* what it may be made from again, or NOTHING */
	struct smmuinv_caches *host;
	struct smmuinv_caches *wanted;
};

struct promise {
	struct vm vm;
	struct smmuinv_queue *queue;
	struct thing things[VM_SMMUS_MAX][ENTRIES];
	struct smmuinv_command ring[RING];
	uint32_t prod;
	uint32_t cons;
	uint32_t asked; /* so far, @wanted has what the guest had asked for */
	bool moves;     /* SMMUs and streams come and go */
	bool present[VM_SMMUS_MAX];
	uint64_t syncs;
	uint64_t faults;
	uint64_t errors; /* that the VMM saw */
	uint64_t gone;
};

static unsigned int thing_rank(const struct smmuinv_cache_entry *entry)
{
	switch (entry->kind) {
	case SMMUINV_CACHED_CD:
		return 0;
	case SMMUINV_CACHED_ATC:
		return 2;
	default:
		return 1;
	}
}

static unsigned int command_class(const struct smmuinv_command *command)
{
	uint32_t rank = RANK_BIT(command_rank(command));

	if (rank & RANKS_CFGI)
		return 0;
	return rank & RANKS_TLBI ? 1 : 2;
}

static struct smmuinv_caches *caches_of(const struct thing *t, bool wanted)
{
	return wanted ? t->wanted : t->host;
}

/* Lower ranks come first, so that a whole chain is made again. */
static void remake(struct thing *things, bool wanted)
{
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		int source = things[i].source;

		if (source != NOTHING &&
		    smmuinv_caches_has(caches_of(&things[source], wanted), 0))
			smmuinv_caches_refill(caches_of(&things[i], wanted));
	}
}

static void thing_forget(struct thing *things, bool wanted,
			 const struct smmuinv_command *command)
{
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		if (thing_rank(&things[i].entry) == command_class(command))
			smmuinv_caches_execute(caches_of(&things[i], wanted),
					       command);
	}
}

/* Without order among themselves (4.7.3), in the worst there is. */
static void execute(struct thing *things, bool wanted,
		    const struct smmuinv_command *commands, size_t count)
{
	int rank;
	size_t i;

	for (rank = COMMAND_RANKS - 1; rank >= 0; rank--) {
		for (i = 0; i < count; i++) {
			if (smmuinv_opcode_is_forwarded(
				    smmuinv_command_opcode(&commands[i])) &&
			    (int)command_rank(&commands[i]) == rank)
				thing_forget(things, wanted, &commands[i]);
		}
		remake(things, wanted);
	}
}

/* Of one call nothing is known but that it was all done when it returns. */
static int on_call(struct vm *vm, uint32_t which,
		   const struct smmuinv_command *commands, uint32_t *count)
{
	const struct smmuinv_mock_record *records;
	struct smmuinv_command executed[2 * RING];
	struct promise *p = vm->hook_data;
	size_t n, i;
	int rc;

	smmuinv_mock_forget(vm->mock);
	rc = vm_pass(vm, which, commands, count);
	n = smmuinv_mock_executed(vm->mock, &records);
	assert_true(n <= ARRAY_SIZE(executed));
	for (i = 0; i < n; i++)
		executed[i] = records[i].command;
	execute(p->things[which], false, executed, n);
	return rc;
}

static void judge(struct promise *p, uint32_t which)
{
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		const struct thing *t = &p->things[which][i];

		if (smmuinv_caches_has(t->wanted, 0))
			continue;
		p->gone++;
		if (smmuinv_caches_has(t->host, 0))
			fail_msg("entry %u of SMMU %u is stale after command "
				 "%u",
				 i, which, p->asked);
	}
}

static int on_promised_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct smmuinv_command commands[RING];
	struct promise *p = opaque;
	uint32_t n = 0;
	uint32_t k;

	(void)sync;
	for (;; p->asked++) {
		const struct smmuinv_command *command =
			&p->ring[p->asked % RING];

		if (smmuinv_command_opcode(command) == SMMUINV_CMD_SYNC)
			break;
		/* 4.3.1: with every CD that was cached through it. */
		commands[n++] = smmuinv_command_opcode(command) ==
						SMMUINV_CMD_CFGI_STE ?
					cfgi_cd_all(command_sid(command)) :
					*command;
	}
	p->asked++;
	p->syncs++;
	for (k = 0; k < p->vm.smmus; k++) {
		execute(p->things[k], true, commands, n);
		if (p->present[k])
			judge(p, k);
	}
	return 0;
}

static const struct smmuinv_queue_ops promise_ops = {
	.size = sizeof(promise_ops),
	.sync = on_promised_sync,
};

/* A few of each rank, in the order of the ranks. */
static struct smmuinv_cache_entry random_thing(uint32_t which, uint32_t i)
{
	struct smmuinv_cache_entry entry = {
		.size = sizeof(entry),
		.sid = vsid_of(which, (uint32_t)test_random_below(2)),
		.address = test_random_below(8) << 12,
		.length = 4096,
		.asid = 5,
		.tg = SMMUINV_TG_4K,
		.level = 3,
		.global = test_chance(20),
	};

	if (i < ENTRIES / 4) {
		entry.kind = SMMUINV_CACHED_CD;
	} else if (i < 3 * ENTRIES / 8) {
		entry.kind = SMMUINV_CACHED_TABLE;
		entry.level = 2;
		entry.address = 0;
		entry.length = 1 << 21;
	} else if (i < 3 * ENTRIES / 4) {
		entry.kind = SMMUINV_CACHED_LEAF;
	} else {
		entry.kind = SMMUINV_CACHED_ATC;
	}
	return entry;
}

static void fill(struct promise *p, uint32_t which)
{
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		struct thing *t = &p->things[which][i];
		uint32_t below = 0;

		t->entry = random_thing(which, i);
		while (thing_rank(&p->things[which][below].entry) <
		       thing_rank(&t->entry))
			below++;
		t->source = below ? (int)test_random_below(below) : NOTHING;
		assert_int_equal(smmuinv_caches_new(1, &t->host), 0);
		assert_int_equal(smmuinv_caches_new(1, &t->wanted), 0);
		assert_int_equal(smmuinv_caches_insert(t->host, &t->entry), 0);
		assert_int_equal(smmuinv_caches_insert(t->wanted, &t->entry),
				 0);
	}
}

/* The guest has changed everything: what was done before counts no more. */
static void all_is_stale(struct promise *p)
{
	uint32_t i, k;

	p->asked = p->cons;
	for (k = 0; k < p->vm.smmus; k++) {
		for (i = 0; i < ENTRIES; i++) {
			smmuinv_caches_refill(p->things[k][i].host);
			smmuinv_caches_refill(p->things[k][i].wanted);
		}
	}
}

static void promise_open(struct promise *p)
{
	static const struct smmuinv_queue_params like = {
		.size = sizeof(like),
		.ops = &promise_ops,
	};
	const struct smmuinv_features no_ril = everything_with(3, 0);
	struct smmuinv_queue_params params = like;
	struct vm_options options = {
		.smmus = 2 + (uint32_t)test_random_below(2),
		.kernel = (uint32_t)test_random_below(
			SMMUINV_MOCK_EXACT_QUARANTINE + 1),
		.plan = (uint32_t)test_random_below(2),
		.pages_max = 1 + (uint32_t)test_random_below(40),
		/* With fewer a vDEVICE that is gone is not found out. */
		.retries_max = 10 + (uint32_t)test_random_below(50),
		.timeouts_max = 5 + (uint32_t)test_random_below(4),
		.empty = true,
	};
	uint32_t k;

	memset(p, 0, sizeof(*p));
	p->moves = test_chance(30);
	for (k = 0; k < options.smmus; k++) {
		options.smmu[k].host = test_chance(30) ? &no_ril : &everything;
		if (test_chance(30))
			options.smmu[k].hw_flags = SMMUINV_HW_INFO_REPEAT;
		p->present[k] = true;
	}
	vm_open_with(&p->vm, &options);
	for (k = 0; k < options.smmus; k++) {
		vm_plug_on(&p->vm, k, vsid_of(k, 0));
		vm_plug_on(&p->vm, k, vsid_of(k, 1));
		fill(p, k);
	}
	p->vm.hook = on_call;
	p->vm.hook_data = p;
	params.opaque = p;
	params.window = 1 + (uint32_t)test_random_below(
				    test_chance(50) ? 10 : 2 * RING);
	params.work_max = (uint32_t)test_random_below(100);
	assert_int_equal(smmuinv_queue_new(p->vm.vsmmu, &params, &p->queue), 0);
}

static void promise_close(struct promise *p)
{
	const uint32_t smmus = p->vm.smmus;
	uint32_t i, k;

	/* What the last window had no call for. */
	for (k = 0; k < smmus; k++) {
		if (!p->present[k])
			attach(&p->vm, k);
	}
	while (smmuinv_mock_faults_left(p->vm.mock))
		(void)smmuinv_vsmmu_invalidate_all(p->vm.vsmmu, NULL);
	smmuinv_queue_free(p->queue);
	vm_close(&p->vm);
	for (k = 0; k < smmus; k++) {
		for (i = 0; i < ENTRIES; i++) {
			smmuinv_caches_free(p->things[k][i].host);
			smmuinv_caches_free(p->things[k][i].wanted);
		}
	}
}

static struct smmuinv_command random_tlbi(void)
{
	struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.asid = 5,
		.leaf = test_chance(60),
		.va = test_random_below(8) << 12,
	};
	struct smmuinv_command command;

	if (test_chance(10)) {
		smmuinv_command_tlbi_nh_all(&command);
		return command;
	}
	if (test_chance(20)) {
		smmuinv_command_tlbi_nh_asid(&command, 5);
		return command;
	}
	if (test_chance(40)) {
		tlbi.tg = SMMUINV_TG_4K;
		tlbi.num = (uint8_t)(1 + test_random_below(6));
	}
	assert_int_equal(smmuinv_command_tlbi_nh_va(&command, &tlbi), 0);
	return command;
}

static struct smmuinv_command promise_command(const struct promise *p)
{
	uint32_t vsid = vsid_of((uint32_t)test_random_below(p->vm.smmus),
				(uint32_t)test_random_below(2));

	switch (test_random_below(8)) {
	case 0:
		return test_chance(80) ? cfgi_cd(vsid) : cfgi_ste(vsid);
	case 1:
		return cfgi_cd_all(vsid);
	case 2:
		return atc_inv_all(vsid);
	case 3:
		return atc_inv(vsid, test_random_below(8) << 12);
	case 4:
		return cmd_sync();
	default:
		return random_tlbi();
	}
}

static void promise_fault(struct promise *p)
{
	static const int errors[] = {
		-EIO,   -ETIMEDOUT, -ENOMEM, -EFAULT, -EINVAL,
		-EINTR, -EAGAIN,    -ENOENT, -EBUSY,  -ENODEV,
	};
	uint32_t which = (uint32_t)test_random_below(p->vm.smmus);
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = (uint32_t)test_random_below(3),
		.error = errors[test_random_below(ARRAY_SIZE(errors))],
		.executed = (uint32_t)test_random_below(8),
		.count = test_chance(10) ? SMMUINV_MOCK_COUNT_AS_GIVEN :
					   (uint32_t)test_random_below(8),
		.vanish = test_chance(10),
		.vsid = vsid_of(which, (uint32_t)test_random_below(2)),
	};

	vm_inject_fault(&p->vm, which, &fault);
	p->faults++;
}

/* A stream that comes has empty caches, because nothing has used it. */
static void stream_is_new(struct promise *p, uint32_t which, uint32_t vsid)
{
	const struct smmuinv_command commands[] = {
		cfgi_cd_all(vsid),
		atc_inv_all(vsid),
	};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		thing_forget(p->things[which], false, &commands[i]);
}

static uint32_t which_of(uint32_t vsid)
{
	return vsid / 16;
}

static void replug(struct promise *p, uint32_t vsid)
{
	uint32_t which = which_of(vsid);

	(void)smmuinv_vsmmu_remove_stream(p->vm.vsmmu, vsid);
	vm_plug_on(&p->vm, which, vsid);
	stream_is_new(p, which, vsid);
}

static void take_out(struct promise *p, uint32_t which)
{
	uint32_t n;

	for (n = 0; n < 2; n++)
		(void)smmuinv_vsmmu_remove_stream(p->vm.vsmmu,
						  vsid_of(which, n));
	assert_int_equal(detach(&p->vm, which), 0);
	p->present[which] = false;
}

/* While it was not there it has cached nothing for the guest. */
static void put_in(struct promise *p, uint32_t which)
{
	struct smmuinv_command all;
	uint32_t n;

	attach(&p->vm, which);
	p->present[which] = true;
	for (n = 0; n < 2; n++) {
		vm_plug_on(&p->vm, which, vsid_of(which, n));
		stream_is_new(p, which, vsid_of(which, n));
	}
	smmuinv_command_tlbi_nh_all(&all);
	thing_forget(p->things[which], false, &all);
}

static void move_something(struct promise *p)
{
	uint32_t which = (uint32_t)test_random_below(p->vm.smmus);

	if (test_chance(50) && p->present[which])
		replug(p, vsid_of(which, (uint32_t)test_random_below(2)));
	else if (p->present[which])
		take_out(p, which);
	else
		put_in(p, which);
}

static void promise_write(struct promise *p)
{
	uint32_t n = (uint32_t)test_random_below(20);

	while (n-- && p->prod - p->asked < RING) {
		p->ring[p->prod % RING] = promise_command(p);
		p->prod++;
	}
	/* Often it writes what it has written before. */
	n = test_chance(30) ? (uint32_t)test_random_below(8) : 0;
	while (n-- && p->prod - p->asked < RING && p->prod > 16) {
		p->ring[p->prod % RING] = p->ring[(p->prod - 9) % RING];
		p->prod++;
	}
}

/* A device stops answering, or answers again. */
static void promise_hang(struct promise *p, bool answers)
{
	uint32_t k;

	for (k = 0; k < 2 * p->vm.smmus; k++) {
		uint32_t vsid = vsid_of(k / 2, k % 2);
		int rc = smmuinv_mock_hang(
			p->vm.mock, p->vm.smmu[k / 2].viommu, vsid,
			answers || test_chance(70) ? SMMUINV_MOCK_ANSWERS :
						     SMMUINV_MOCK_SILENT);

		assert_true(!rc || rc == -ENOENT);
	}
}

static void promise_consume(struct promise *p)
{
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = p->ring,
		.log2size = LOG2SIZE,
		.prod = p->prod % (2 * RING),
		.cons = p->cons % (2 * RING),
		.max_commands = (uint32_t)test_random_below(40),
	};
	int rc = smmuinv_queue_consume(p->queue, &ring, &progress);

	p->cons += progress.consumed;
	p->errors += rc < 0;
	assert_int_equal(progress.cons, p->cons % (2 * RING));
	assert_int_equal(rc < 0, progress.fault.error && !progress.cerror);
	/* As the manual says about every error. */
	if (rc == -ENODEV) {
		assert_int_equal(progress.fault.source, SMMUINV_SOURCE_HOST);
		replug(p, (uint32_t)progress.fault.vsid);
	}
	/* It has stopped, and the guest may do what it likes meanwhile. */
	if (progress.cerror && test_chance(50))
		all_is_stale(p);
}

static void promise_step(struct promise *p)
{
	uint32_t k;

	if (p->cons == p->prod && test_chance(50))
		all_is_stale(p);
	if (test_chance(60))
		promise_write(p);
	if (test_chance(40))
		promise_fault(p);
	if (test_chance(10))
		promise_hang(p, false);
	if (p->moves && test_chance(10))
		move_something(p);
	for (k = 0; k < p->vm.smmus; k++) {
		if (test_chance(50))
			remake(p->things[k], false);
	}
	promise_consume(p);
}

static void finish(struct promise *p)
{
	uint32_t tries;

	promise_hang(p, true);
	for (tries = 0; p->cons != p->prod; tries++) {
		promise_consume(p);
		assert_true(tries < 1000);
	}
}

static void nothing_is_stale_on_any_smmu_after_a_completed_sync(void **state)
{
	size_t guests = test_iterations(4000);
	uint64_t syncs = 0, faults = 0, errors = 0, gone = 0;
	size_t i;

	(void)state;
	for (i = 0; i < guests; i++) {
		struct promise *p = test_malloc(sizeof(*p));
		uint32_t steps;

		promise_open(p);
		for (steps = 0; steps < 100; steps++)
			promise_step(p);
		finish(p);
		assert_int_equal(smmuinv_mock_wedged(p->vm.mock), 0);
		syncs += p->syncs;
		faults += p->faults;
		errors += p->errors;
		gone += p->gone;
		promise_close(p);
		test_free(p);
	}
	print_message("%zu guests, %llu CMD_SYNCs, %llu faults, %llu errors; "
		      "%llu times an entry had to be gone\n",
		      guests, (unsigned long long)syncs,
		      (unsigned long long)faults, (unsigned long long)errors,
		      (unsigned long long)gone);
}

/* One thread consumes while another adds and removes an SMMU with a stream. */
struct changer {
	struct vm *vm;
	bool stop;
	uint32_t changes;
	uint32_t calls; /* to that SMMU */
	const char *wrong;
};

static int count_calls(struct vm *vm, uint32_t which,
		       const struct smmuinv_command *commands, uint32_t *count)
{
	struct changer *c = vm->hook_data;

	if (which == 2)
		__atomic_add_fetch(&c->calls, 1, __ATOMIC_RELAXED);
	return vm_pass(vm, which, commands, count);
}

/* Is it called although it is not there? */
static bool is_called_late(struct changer *c)
{
	uint32_t calls = __atomic_load_n(&c->calls, __ATOMIC_RELAXED);
	uint32_t i;

	for (i = 0; i < 100; i++) {
		if (__atomic_load_n(&c->calls, __ATOMIC_RELAXED) != calls)
			return true;
	}
	return false;
}

/* What went wrong. */
static const char *change(struct changer *c)
{
	const struct smmuinv_viommu_params viommu = vm_viommu_params(c->vm, 2);
	const struct smmuinv_stream_params stream = {
		.size = sizeof(stream),
		.vsid = vsid_of(2, 0),
		.viommu_id = viommu.viommu_id,
		.dev_id = vm_device(c->vm, 2),
	};
	struct smmuinv_vsmmu *v = c->vm->vsmmu;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		if (smmuinv_vsmmu_add_viommu(v, &viommu, NULL))
			return "add the vIOMMU";
		if (smmuinv_vsmmu_add_stream(v, &stream))
			return "add the stream";
		if (smmuinv_vsmmu_set_ats(v, stream.vsid, true))
			return "set ATS";
		if (detach(c->vm, 2) != -EBUSY)
			return "remove a vIOMMU in use";
		if (smmuinv_vsmmu_remove_stream(v, stream.vsid))
			return "remove the stream";
		if (detach(c->vm, 2))
			return "remove the vIOMMU";
		if (is_called_late(c))
			return "a call after it was removed";
		__atomic_add_fetch(&c->changes, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* The other thread may fail the test, this one may not. */
static void *change_thread(void *opaque)
{
	struct changer *c = opaque;

	c->wrong = change(c);
	__atomic_add_fetch(&c->changes, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void consume_amid_changes(struct vm *vm, struct vm_queue *q)
{
	const struct smmuinv_command tlbi =
		tlbi_va(test_random_below(64) << 12);
	uint32_t k;

	vm_forget(vm);
	vm_write(q, cfgi_cd(vsid_of(2, 0)));
	vm_write(q, tlbi);
	vm_write(q, cmd_sync());
	if (test_chance(30))
		vm_inject(vm, 1, -EFAULT, 0, 0);
	assert_int_equal(vm_consume(q), 3);
	for (k = 0; k < 2; k++)
		assert_true(vm_times(vm, k, &tlbi) > 0);
}

static void smmus_come_and_go_while_a_queue_consumes(void **state)
{
	const struct vm_options options = { .smmus = 3, .empty = true };
	const struct vm_queue_options queue = { .log2size = 4 };
	size_t rounds = test_iterations(3000);
	struct changer changer = { .stop = false };
	pthread_t thread;
	struct vm_queue q;
	struct vm vm;
	size_t done;

	(void)state;
	vm_open_with(&vm, &options);
	vm_queue_open(&q, vm.vsmmu, &queue);
	assert_int_equal(detach(&vm, 2), 0);
	changer.vm = &vm;
	vm.hook = count_calls;
	vm.hook_data = &changer;
	assert_int_equal(pthread_create(&thread, NULL, change_thread, &changer),
			 0);
	for (done = 0; done < rounds ||
		       !__atomic_load_n(&changer.changes, __ATOMIC_RELAXED);
	     done++)
		consume_amid_changes(&vm, &q);
	__atomic_store_n(&changer.stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (changer.wrong)
		fail_msg("%s", changer.wrong);
	vm_queue_close(&q);
	vm_close(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			nothing_is_stale_on_any_smmu_after_a_completed_sync),
		cmocka_unit_test(smmus_come_and_go_while_a_queue_consumes),
	};

	return cmocka_run_group_tests_name("several", tests, NULL, NULL);
}
