/* SPDX-License-Identifier: MIT */
/*
 * Situations that an earlier edition of the library got wrong, each with its
 * right outcome. Other tests try each kind in full.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "heap.h"
#include "vm.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A VMM's attachment fails with an errno that the host also uses. */
static int attach_fails(void *opaque, uint32_t sid, bool leaf)
{
	(void)opaque;
	(void)sid;
	(void)leaf;
	return -ENODEV;
}

static void a_callbacks_enodev_names_no_stream(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = attach_fails,
	};
	const struct vm_queue_options queue = { .ops = &ops, .log2size = 2 };
	const struct vm_options options = { .empty = true };
	const struct smmuinv_fault *fault;
	struct vm_queue q;
	struct vm vm;

	(void)state;
	vm_open_with(&vm, &options);
	vm_plug(&vm, 0);
	vm_plug(&vm, 0x10);
	vm_queue_open(&q, vm.vsmmu, &queue);
	vm_write(&q, cfgi_ste(0x10));
	vm_write(&q, cmd_sync());
	assert_int_equal(vm_consume(&q), -ENODEV);
	fault = &q.progress.fault;
	assert_int_equal(fault->source, SMMUINV_SOURCE_CALLBACK);
	assert_int_equal(fault->callback, SMMUINV_CALLBACK_CFGI_STE);
	assert_int_equal(fault->error, -ENODEV);
	assert_true(fault->vsid == SMMUINV_VSID_NONE);
	assert_true(fault->vsid > UINT32_MAX);
	assert_int_equal(fault->viommu_id, 0);
	vm_queue_close(&q);
	vm_close(&vm);
}

/* Two queues; the first one's VMM attaches anew, with ATS on before and after.
 */
struct reattach {
	struct vm_queue q; /* first */
	struct vm_queue second;
	struct vm vm;
	struct smmuinv_caches *caches;
	int entry;
};

static void *consume_second(void *arg)
{
	struct reattach *r = arg;

	vm_write(&r->second, tlbi_va(0x5000));
	vm_write(&r->second, cmd_sync());
	vm_write(&r->second, atc_inv(VM_VSID, 0x5000));
	vm_write(&r->second, cmd_sync());
	assert_int_equal(vm_consume(&r->second), 4);
	assert_int_equal(r->second.progress.forwarded, 2);
	assert_int_equal(r->second.progress.dropped, 0);
	return NULL;
}

/* As the manual says: between two STEs with EATS set_ats() is not called. */
static int attach_anew(void *opaque, uint32_t sid, bool leaf)
{
	const struct smmuinv_cache_entry entry = {
		.size = sizeof(entry),
		.kind = SMMUINV_CACHED_ATC,
		.address = 0x5000,
		.length = 4096,
		.sid = sid,
	};
	struct reattach *r = opaque;
	pthread_t thread;

	(void)leaf;
	/* The device asks for a translation as soon as it is attached. */
	r->entry = smmuinv_caches_insert(r->caches, &entry);
	assert_int_equal(pthread_create(&thread, NULL, consume_second, r), 0);
	pthread_join(thread, NULL);
	return SMMUINV_STE_ATTACHED;
}

static void a_reattach_with_ats_loses_no_atc_inv(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = attach_anew,
	};
	const struct vm_queue_options first = { .ops = &ops, .log2size = 1 };
	const struct vm_queue_options second = { .log2size = 2 };
	struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct reattach r = { .entry = -1 };

	(void)state;
	assert_int_equal(smmuinv_caches_new(16, &r.caches), 0);
	options.smmu[0].caches = r.caches;
	vm_open_with(&r.vm, &options);
	vm_queue_open(&r.q, r.vm.vsmmu, &first);
	vm_queue_open(&r.second, r.vm.vsmmu, &second);
	vm_write(&r.q, cfgi_ste(VM_VSID));
	vm_write(&r.q, cmd_sync());
	assert_int_equal(vm_consume(&r.q), 2);
	assert_true(r.entry >= 0);
	assert_false(smmuinv_caches_has(r.caches, (size_t)r.entry));
	vm_queue_close(&r.second);
	vm_queue_close(&r.q);
	vm_close(&r.vm);
	smmuinv_caches_free(r.caches);
}

/* A kernel that reports a device that does not answer as -EIO, exactly. */
static int blames(struct vm *vm, uint32_t which,
		  const struct smmuinv_command *commands, uint32_t *count)
{
	uint32_t hung = *(const uint32_t *)vm->hook_data;
	uint32_t i;

	for (i = 0; i < *count; i++) {
		if (smmuinv_command_opcode(&commands[i]) !=
			    SMMUINV_CMD_ATC_INV ||
		    smmuinv_command_get(&commands[i], SMMUINV_FIELD_STREAMID) !=
			    hung)
			continue;
		*count = 0;
		return -EIO;
	}
	return vm_pass(vm, which, commands, count);
}

/* @streams devices, of which one hangs; with a TLBI before them, or not. */
static void blame(uint32_t streams, uint32_t hung, bool tlbi)
{
	const struct vm_queue_options queue = { .log2size = 8 };
	const struct vm_options options = { .empty = true, .timeouts_max = 30 };
	const struct smmuinv_progress *p;
	struct vm_queue q;
	struct vm vm;
	uint32_t i;

	vm_open_with(&vm, &options);
	vm_queue_open(&q, vm.vsmmu, &queue);
	if (tlbi)
		vm_write(&q, tlbi_va(0x5000));
	for (i = 0; i < streams; i++) {
		vm_plug(&vm, i);
		vm_write(&q, atc_inv(i, 0x1000));
	}
	vm_write(&q, cmd_sync());
	vm.hook = blames;
	vm.hook_data = &hung;
	(void)vm_consume(&q);
	p = &q.progress;
	assert_int_equal(p->cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_true(p->fault.vsid == hung);
	assert_int_equal(p->fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(q.cons, streams + tlbi);
	/* Every other device has answered. */
	for (i = 0; i < streams; i++) {
		const struct smmuinv_command atc = atc_inv(i, 0x1000);

		assert_int_equal(vm_stream(&vm, i).owes, i == hung);
		assert_int_equal(vm_times(&vm, 0, &atc) > 0, i != hung);
	}
	/* Logarithmic: 2 for each halving, and what finds out who it is. */
	assert_true(p->ioctls <= 24);
	vm.hook = NULL;
	assert_int_equal(vm_consume(&q), 1);
	vm_queue_close(&q);
	vm_close(&vm);
}

static void a_healthy_device_is_not_blamed_for_the_one_before_it(void **state)
{
	uint32_t streams, hung;

	(void)state;
	for (streams = 2; streams <= 128; streams *= 4) {
		for (hung = 0; hung < streams; hung += 1 + streams / 3) {
			blame(streams, hung, false);
			blame(streams, hung, true);
		}
	}
}

/* Pages of a device that does not answer, in any window, and equal ones. */
static void unanswered(uint32_t window, uint32_t count, bool equal)
{
	const struct vm_queue_options queue = { .log2size = 13,
						.window = window };
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct vm_queue q;
	uint32_t i, tries;
	struct vm vm;

	vm_open_with(&vm, &options);
	vm_queue_open(&q, vm.vsmmu, &queue);
	vm_hang(&vm, VM_VSID, SMMUINV_MOCK_SILENT);
	for (i = 0; i < count; i++)
		vm_write(&q, equal ? atc_inv_all(VM_VSID) :
				     atc_inv(VM_VSID, (uint64_t)i << 13));
	vm_write(&q, cmd_sync());
	for (tries = 0; tries < 5; tries++) {
		uint32_t timeouts = 0;

		/* A call ends when it has waited for a device. */
		do {
			assert_true(vm_consume(&q) >= 0);
			timeouts += q.progress.timeouts;
		} while (q.progress.more);
		assert_int_equal(q.cons, count);
		assert_int_equal(q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
		assert_true(q.progress.fault.vsid == VM_VSID);
		/* A second each, however many ATC_INVs there are. */
		assert_true(timeouts <= 5);
	}
	vm_hang(&vm, VM_VSID, SMMUINV_MOCK_ANSWERS);
	assert_int_equal(vm_consume(&q), 1);
	vm_queue_close(&q);
	vm_close(&vm);
}

static void the_guest_sees_unanswered_atc_invs_whatever_the_window(void **state)
{
	uint32_t window;

	(void)state;
	for (window = 16; window <= 128; window *= 2)
		unanswered(window, 64, false);
	unanswered(0, 4095, true);
	unanswered(0, 4096, true);
	unanswered(0, 8191, true);
}

static struct smmuinv_result flush(struct smmuinv_batch *batch, int expected)
{
	struct smmuinv_result result = { .size = sizeof(result) };

	assert_int_equal(smmuinv_batch_flush(batch, &result), expected);
	return result;
}

static void add(struct smmuinv_batch *batch, struct smmuinv_command command)
{
	assert_int_equal(smmuinv_batch_add(batch, &command, NULL),
			 SMMUINV_FORWARD);
}

static bool is_atc_inv(const struct smmuinv_command *command)
{
	return smmuinv_command_opcode(command) == SMMUINV_CMD_ATC_INV;
}

/* Two queues; one writes while the other's payment is under way. */
struct payment {
	struct vm_queue payer;
	struct vm_queue other;
	struct vm vm;
	struct smmuinv_caches *caches;
	int entry;
	bool armed;
};

/* The device has answered, and caches again before the call returns. */
static int cache_again(struct vm *vm, uint32_t which,
		       const struct smmuinv_command *commands, uint32_t *count)
{
	const struct smmuinv_cache_entry entry = {
		.size = sizeof(entry),
		.kind = SMMUINV_CACHED_ATC,
		.address = 0x5000,
		.length = 4096,
		.sid = VM_VSID,
	};
	struct payment *p = vm->hook_data;
	int rc = vm_pass(vm, which, commands, count);

	if (!p->armed || !is_atc_inv(commands))
		return rc;
	p->armed = false;
	p->entry = smmuinv_caches_insert(p->caches, &entry);
	assert_int_equal(vm_consume(&p->other), 2);
	assert_int_equal(p->other.progress.cerror, SMMUINV_CERROR_NONE);
	return rc;
}

/* @sync: the CMD_SYNC is in the same window as its ATC_INV, or in the next. */
static void pay_and_write(uint32_t window)
{
	const struct vm_queue_options queue = { .log2size = 3,
						.window = window };
	struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct payment p = { .entry = -1 };

	assert_int_equal(smmuinv_caches_new(4, &p.caches), 0);
	options.smmu[0].caches = p.caches;
	vm_open_with(&p.vm, &options);
	vm_queue_open(&p.payer, p.vm.vsmmu, &queue);
	vm_queue_open(&p.other, p.vm.vsmmu, &queue);
	vm_hang(&p.vm, VM_VSID, SMMUINV_MOCK_SILENT);
	vm_write(&p.payer, atc_inv(VM_VSID, 0x5000));
	vm_write(&p.payer, cmd_sync());
	while (p.payer.cons != 1 || !p.payer.progress.cerror)
		assert_true(vm_consume(&p.payer) >= 0);
	vm_hang(&p.vm, VM_VSID, SMMUINV_MOCK_ANSWERS);
	vm_write(&p.other, tlbi_va(0x5000));
	vm_write(&p.other, atc_inv(VM_VSID, 0x5000));
	p.vm.hook = cache_again;
	p.vm.hook_data = &p;
	p.armed = true;
	assert_int_equal(vm_consume(&p.payer), 1);
	assert_true(p.entry >= 0);
	/* That payment is older than the ATC_INV. */
	vm_write(&p.other, cmd_sync());
	assert_int_equal(vm_consume(&p.other), 1);
	assert_false(smmuinv_caches_has(p.caches, (size_t)p.entry));
	assert_false(vm_stream(&p.vm, VM_VSID).owes);
	vm_queue_close(&p.other);
	vm_queue_close(&p.payer);
	vm_close(&p.vm);
	smmuinv_caches_free(p.caches);
}

static void a_payment_is_only_for_what_was_owed_when_it_began(void **state)
{
	(void)state;
	pay_and_write(0);
	pay_and_write(1);
	pay_and_write(2);
}

/* Devices, some of which hang; the host reports so exactly, in either way. */
struct ward {
	uint64_t hung; /* vSIDs */
	int error;
	uint32_t seconds;
};

static int ward_call(struct vm *vm, uint32_t which,
		     const struct smmuinv_command *commands, uint32_t *count)
{
	struct ward *ward = vm->hook_data;
	uint32_t i;

	for (i = 0; i < *count; i++) {
		uint32_t sid = (uint32_t)smmuinv_command_get(
			&commands[i], SMMUINV_FIELD_STREAMID);

		if (!is_atc_inv(&commands[i]) || !(ward->hung >> sid & 1))
			continue;
		ward->seconds++;
		*count = i;
		return ward->error;
	}
	return vm_pass(vm, which, commands, count);
}

/* The stream that a flush names, if any, hangs. */
static struct smmuinv_result flush_blaming(struct smmuinv_batch *batch,
					   struct ward *ward,
					   uint32_t timeouts_max)
{
	struct smmuinv_result result;

	ward->seconds = 0;
	result = flush(batch, -ETIMEDOUT);
	assert_int_equal(result.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	/* A refusal that is a time-out may take the one of what covers it. */
	assert_true(ward->seconds <= timeouts_max + 1);
	if (result.fault.vsid != SMMUINV_VSID_NONE)
		assert_true(ward->hung >> result.fault.vsid & 1);
	return result;
}

static void blame_in_time(uint32_t streams, uint64_t hung, int error,
			  uint32_t timeouts_max)
{
	const struct vm_options options = { .empty = true,
					    .timeouts_max = timeouts_max };
	struct ward ward = { .hung = hung, .error = error };
	struct smmuinv_batch *batch;
	struct smmuinv_result result;
	struct vm vm;
	uint32_t i;

	vm_open_with(&vm, &options);
	vm.hook = ward_call;
	vm.hook_data = &ward;
	assert_int_equal(smmuinv_batch_new(vm.vsmmu, streams, &batch), 0);
	for (i = 0; i < streams; i++) {
		vm_plug(&vm, i);
		add(batch, atc_inv_all(i));
	}
	result = flush_blaming(batch, &ward, timeouts_max);
	assert_int_equal(result.completed, streams);
	assert_true(ward.hung >> result.fault_index ||
		    result.fault.vsid == SMMUINV_VSID_NONE);
	/* The next CMD_SYNC asks so few devices that one is found out. */
	result = flush_blaming(batch, &ward, timeouts_max);
	assert_int_equal(result.completed, 0);
	assert_true(result.fault.vsid != SMMUINV_VSID_NONE);
	assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
	for (i = 0; i < streams; i++)
		assert_true(vm_stream(&vm, i).owes || !(hung >> i & 1));
	/* Those that are named leave, and then all has been asked for. */
	while (ward.hung) {
		vm_unplug(&vm, (uint32_t)result.fault.vsid);
		ward.hung &= ~(UINT64_C(1) << result.fault.vsid);
		if (ward.hung)
			result = flush_blaming(batch, &ward, timeouts_max);
	}
	(void)flush(batch, 0);
	for (i = 0; i < streams; i++) {
		const struct smmuinv_command whole = atc_inv_all(i);

		if (hung >> i & 1)
			continue;
		assert_false(vm_stream(&vm, i).owes);
		assert_true(vm_times(&vm, 0, &whole) > 0);
	}
	smmuinv_batch_free(batch);
	vm_close(&vm);
}

static void no_healthy_device_is_blamed_when_the_time_is_short(void **state)
{
	static const int errors[] = { -ETIMEDOUT, -EIO };
	uint32_t streams, timeouts, e, i;

	(void)state;
	for (streams = 1; streams <= 32; streams *= 2) {
		for (timeouts = 1; timeouts <= 6; timeouts++) {
			for (e = 0; e < ARRAY_SIZE(errors); e++) {
				for (i = 0; i < streams; i++)
					blame_in_time(streams, UINT64_C(1) << i,
						      errors[e], timeouts);
				for (i = 0; i < 4; i++)
					blame_in_time(streams,
						      1 + test_random_below(
								  (UINT64_C(1)
								   << streams) -
								  1),
						      errors[e], timeouts);
			}
		}
	}
}

/* Of two that owe one answers again: it is not named any more. */
static void who_has_paid_is_not_blamed_for_another(void **state)
{
	enum { TIMEOUTS = 30 };
	static const int errors[] = { -ETIMEDOUT, -EIO };
	const struct vm_options options = { .empty = true,
					    .timeouts_max = TIMEOUTS };
	uint32_t e, well;

	(void)state;
	for (e = 0; e < ARRAY_SIZE(errors); e++) {
		for (well = 0; well < 2; well++) {
			struct ward ward = { .hung = 3, .error = errors[e] };
			struct smmuinv_batch *batch;
			struct vm vm;

			vm_open_with(&vm, &options);
			vm_plug(&vm, 0);
			vm_plug(&vm, 1);
			vm.hook = ward_call;
			vm.hook_data = &ward;
			assert_int_equal(smmuinv_batch_new(vm.vsmmu, 2, &batch),
					 0);
			add(batch, atc_inv_all(0));
			add(batch, atc_inv_all(1));
			(void)flush_blaming(batch, &ward, TIMEOUTS);
			ward.hung = 1u << !well;
			add(batch, atc_inv_all(well));
			assert_true(flush_blaming(batch, &ward, TIMEOUTS)
					    .fault.vsid == !well);
			assert_false(vm_stream(&vm, well).owes);
			assert_true(vm_stream(&vm, !well).owes);
			smmuinv_batch_free(batch);
			vm_close(&vm);
		}
	}
}

/* Each of a thousand devices hangs, whatever the errno and the window. */
static void one_call_waits_for_a_handful_of_devices(void **state)
{
	enum { STREAMS = 64, TIMEOUTS = 5 };
	static const int errors[] = { -ETIMEDOUT, -EIO };
	uint32_t window, e, i;

	(void)state;
	for (window = 1; window <= 64; window *= 4) {
		for (e = 0; e < ARRAY_SIZE(errors); e++) {
			const struct vm_options options = { .empty = true };
			const struct vm_queue_options queue = {
				.log2size = 7,
				.window = window,
			};
			struct ward ward = { .hung = UINT64_MAX,
					     .error = errors[e] };
			struct vm_queue q;
			struct vm vm;

			vm_open_with(&vm, &options);
			vm_queue_open(&q, vm.vsmmu, &queue);
			for (i = 0; i < STREAMS; i++) {
				vm_plug(&vm, i);
				vm_write(&q, atc_inv_all(i));
			}
			vm_write(&q, cmd_sync());
			vm.hook = ward_call;
			vm.hook_data = &ward;
			do {
				ward.seconds = 0;
				assert_true(vm_consume(&q) >= 0);
				/* A window's, and a payment's. */
				assert_true(ward.seconds <= 2 * (TIMEOUTS + 1));
			} while (q.progress.more);
			assert_int_equal(q.cons, STREAMS);
			assert_int_equal(q.progress.cerror,
					 SMMUINV_CERROR_ATC_INV_SYNC);
			for (i = 0; i < STREAMS; i++)
				assert_true(vm_stream(&vm, i).owes);
			ward.hung = 0;
			assert_int_equal(vm_consume(&q), 1);
			vm_queue_close(&q);
			vm_close(&vm);
		}
	}
}

/* An array longer than the batch: what comes later is executed, too. */
static void an_array_goes_on_after_a_device_that_owes(void **state)
{
	enum { COUNT = 7 };
	uint32_t capacity, at, i;

	(void)state;
	for (capacity = 1; capacity <= COUNT; capacity++) {
		for (at = 0; at < COUNT; at++) {
			struct smmuinv_result result = { .size = sizeof(
								 result) };
			struct smmuinv_command commands[COUNT];
			struct smmuinv_batch *batch;
			struct vm vm;

			vm_open(&vm);
			vm_hang(&vm, VM_VSID, SMMUINV_MOCK_SILENT);
			assert_int_equal(
				smmuinv_batch_new(vm.vsmmu, capacity, &batch),
				0);
			for (i = 0; i < COUNT; i++)
				commands[i] =
					i == at ? atc_inv_all(VM_VSID) :
						  tlbi_va((uint64_t)i << 13);
			assert_int_equal(smmuinv_batch_submit(batch, commands,
							      COUNT, &result),
					 -ETIMEDOUT);
			assert_int_equal(result.cerror,
					 SMMUINV_CERROR_ATC_INV_SYNC);
			assert_int_equal(result.completed, COUNT);
			assert_true(result.fault.vsid == VM_VSID);
			assert_true(result.fault_index == at ||
				    result.fault_index == SMMUINV_INDEX_NONE);
			for (i = 0; i < COUNT; i++)
				assert_int_equal(vm_times(&vm, 0, &commands[i]),
						 i != at);
			vm_hang(&vm, VM_VSID, SMMUINV_MOCK_ANSWERS);
			assert_int_equal(
				smmuinv_batch_submit(batch, NULL, 0, NULL), 0);
			assert_int_equal(vm_times(&vm, 0, &commands[at]), 1);
			smmuinv_batch_free(batch);
			vm_close(&vm);
		}
	}
}

static int no_memory_for_atc_invs(struct vm *vm, uint32_t which,
				  const struct smmuinv_command *commands,
				  uint32_t *count)
{
	if (!is_atc_inv(commands))
		return vm_pass(vm, which, commands, count);
	*count = 0;
	return -ENOMEM;
}

/*
 * A VMM that has invalidated everything goes on after commands[completed], if
 * that is at fault. A payment that fails is no command's fault: it must not
 * step over a CFGI_STE that nobody has done.
 */
static void a_payment_that_fails_is_no_commands_fault(void **state)
{
	enum { COUNT = 5 };
	uint32_t capacity, at, i;

	(void)state;
	for (capacity = 1; capacity <= COUNT; capacity++) {
		for (at = 0; at < COUNT; at++) {
			struct smmuinv_result result = { .size = sizeof(
								 result) };
			struct smmuinv_command commands[COUNT];
			struct smmuinv_batch *batch;
			struct vm vm;

			vm_open(&vm);
			vm_hang(&vm, VM_VSID, SMMUINV_MOCK_SILENT);
			assert_int_equal(
				smmuinv_batch_new(vm.vsmmu, capacity, &batch),
				0);
			add(batch, atc_inv_all(VM_VSID));
			assert_int_equal(flush(batch, -ETIMEDOUT).fault_index,
					 0);
			vm.hook = no_memory_for_atc_invs;
			for (i = 0; i < COUNT; i++)
				commands[i] =
					i == at ? cfgi_ste(VM_VSID) :
						  tlbi_va((uint64_t)i << 13);
			assert_int_equal(smmuinv_batch_submit(batch, commands,
							      COUNT, &result),
					 -ENOMEM);
			assert_int_equal(result.completed, at);
			assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
			assert_int_equal(result.fault_index,
					 SMMUINV_INDEX_NONE);
			for (i = 0; i < COUNT; i++)
				assert_int_equal(vm_times(&vm, 0, &commands[i]),
						 i < at);
			smmuinv_batch_free(batch);
			vm.hook = NULL;
			vm_close(&vm);
		}
	}
}

/* Its vDEVICE is not destroyed; meanwhile commands for it were left out. */
static void after_a_failed_removal_the_atc_is_invalidated(void **state)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.call = SMMUINV_MOCK_DESTROY,
		.error = -EBUSY,
	};
	const struct smmuinv_command whole = atc_inv_all(VM_VSID);
	uint32_t ats;

	(void)state;
	for (ats = 0; ats < 2; ats++) {
		const struct vm_queue_options queue = { .log2size = 1 };
		struct vm_queue q;
		struct vm vm;

		vm_open(&vm);
		vm_queue_open(&q, vm.vsmmu, &queue);
		vm_set_ats(&vm, VM_VSID, ats);
		vm_inject_fault(&vm, 0, &fault);
		assert_int_equal(smmuinv_vsmmu_remove_stream(vm.vsmmu, VM_VSID),
				 -EBUSY);
		assert_int_equal(vm_stream(&vm, VM_VSID).owes, ats);
		vm_write(&q, cmd_sync());
		assert_int_equal(vm_consume(&q), 1);
		assert_int_equal(vm_times(&vm, 0, &whole), ats);
		assert_false(vm_stream(&vm, VM_VSID).owes);
		vm_queue_close(&q);
		vm_close(&vm);
	}
}

/* A reset of the machine while a CFGI_ALL of many streams was under way. */
static int visit(void *opaque, uint32_t sid, bool leaf)
{
	(void)leaf;
	((uint32_t *)opaque)[sid]++;
	return SMMUINV_STE_ATTACHED;
}

static void a_cfgi_all_after_a_reset_visits_every_stream(void **state)
{
	enum { STREAMS = 100 };
	static const struct smmuinv_queue_ops ops = { .size = sizeof(ops),
						      .cfgi_ste = visit };
	const struct vm_options options = { .empty = true };
	uint32_t visits[STREAMS];
	uint32_t work_max, i;

	(void)state;
	for (work_max = 1; work_max <= STREAMS + 1; work_max += 20) {
		const struct vm_queue_options queue = { .ops = &ops,
							.log2size = 2,
							.work_max = work_max };
		struct vm_queue q;
		struct vm vm;

		vm_open_with(&vm, &options);
		vm_queue_open(&q, vm.vsmmu, &queue);
		q.opaque = visits;
		for (i = 0; i < STREAMS; i++)
			vm_plug(&vm, i);
		vm_write(&q, cfgi_all());
		vm_write(&q, cmd_sync());
		assert_true(vm_consume(&q) >= 0);
		assert_int_equal(smmuinv_vsmmu_reset(vm.vsmmu, NULL), 0);
		memset(visits, 0, sizeof(visits));
		q.cons = 0;
		while (q.cons != q.prod)
			assert_true(vm_consume(&q) >= 0);
		for (i = 0; i < STREAMS; i++)
			assert_int_equal(visits[i], 1);
		vm_queue_close(&q);
		vm_close(&vm);
	}
}

/* With as many retries as there may be, each for another command. */
static int refuses_addresses(struct vm *vm, uint32_t which,
			     const struct smmuinv_command *commands,
			     uint32_t *count)
{
	uint32_t i;

	for (i = 0; i < *count; i++) {
		if (smmuinv_command_opcode(&commands[i]) !=
		    SMMUINV_CMD_TLBI_NH_VA)
			continue;
		*count = i;
		return -EIO;
	}
	return vm_pass(vm, which, commands, count);
}

static void *flush_deeply(void *arg)
{
	const struct smmuinv_result result = flush(arg, -EIO);

	assert_int_equal(result.fault.source, SMMUINV_SOURCE_HOST);
	assert_true(result.ioctls <= 4096 + 16);
	assert_true(result.replaced > 500);
	assert_true(result.completed > 500);
	return NULL;
}

static void the_deepest_repair_has_a_place_on_a_small_stack(void **state)
{
	enum { COUNT = 10000, STACK = 2 << 20 };
	const struct vm_options options = { .retries_max = 4096 };
	struct smmuinv_batch *batch;
	pthread_attr_t attr;
	pthread_t thread;
	struct vm vm;
	uint32_t i;

	(void)state;
	vm_open_with(&vm, &options);
	vm.hook = refuses_addresses;
	assert_int_equal(smmuinv_batch_new(vm.vsmmu, COUNT, &batch), 0);
	for (i = 0; i < COUNT; i++)
		add(batch, tlbi_va((uint64_t)i << 13));
	pthread_attr_init(&attr);
	assert_int_equal(pthread_attr_setstacksize(&attr, STACK), 0);
	assert_int_equal(pthread_create(&thread, &attr, flush_deeply, batch),
			 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	smmuinv_batch_free(batch);
	vm.hook = NULL;
	vm_close(&vm);
}

/* A device that knows a PASID's whole ATC, and nothing smaller. */
static int only_whole_atcs(struct vm *vm, uint32_t which,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	uint32_t i;

	for (i = 0; i < *count; i++) {
		if (!is_atc_inv(&commands[i]) ||
		    smmuinv_command_get(&commands[i], SMMUINV_FIELD_ATC_SIZE) ==
			    SMMUINV_ATC_SIZE_ALL)
			continue;
		*count = i;
		return -EIO;
	}
	return vm_pass(vm, which, commands, count);
}

static void what_replaces_an_atc_inv_is_of_its_pasid(void **state)
{
	static const struct {
		uint64_t dw0; /* SSV, G and SubstreamID */
	} cases[] = {
		{ 0 },
		{ 1 << 11 },
		{ 1 << 11 | 5 << 12 },
		{ 1 << 11 | 1 << 9 },
		{ 1 << 11 | 1 << 9 | UINT64_C(0xfffff) << 12 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint64_t dw0 = (uint64_t)VM_VSID << 32 | cases[i].dw0 |
				     SMMUINV_CMD_ATC_INV;
		const struct smmuinv_command whole =
			raw(dw0, SMMUINV_ATC_SIZE_ALL);
		struct smmuinv_batch *batch;
		struct smmuinv_result result;
		struct vm vm;

		vm_open(&vm);
		vm.hook = only_whole_atcs;
		assert_int_equal(smmuinv_batch_new(vm.vsmmu, 1, &batch), 0);
		add(batch, raw(dw0, 0x5000));
		result = flush(batch, 0);
		assert_int_equal(result.replaced, 1);
		assert_int_equal(vm_executed(&vm, 0), 1);
		assert_int_equal(vm_times(&vm, 0, &whole), 1);
		smmuinv_batch_free(batch);
		vm_close(&vm);
	}
}

/* Each call to the SMMU takes its time and then times out. */
struct slow {
	atomic_uint in_call;
	atomic_bool stop;
	struct vm *vm;
	unsigned int call_us;
	int error;
};

static int slow_call(struct vm *vm, uint32_t which,
		     const struct smmuinv_command *commands, uint32_t *count)
{
	struct slow *slow = vm->hook_data;

	(void)commands;
	if (which)
		return 0;
	atomic_fetch_add(&slow->in_call, 1);
	usleep(slow->call_us);
	atomic_fetch_sub(&slow->in_call, 1);
	if (slow->error)
		*count = 0;
	return slow->error;
}

static void *invalidate_all(void *arg)
{
	struct slow *slow = arg;

	assert_int_equal(smmuinv_vsmmu_invalidate_all(slow->vm->vsmmu, NULL),
			 -ETIMEDOUT);
	return NULL;
}

static void a_hung_smmu_costs_a_handful_of_calls_and_an_unplug_one(void **state)
{
	enum { STREAMS = 1000 };
	const struct vm_options options = { .empty = true };
	struct slow slow = { .call_us = 100000, .error = -ETIMEDOUT };
	uint32_t before, i;
	pthread_t thread;
	struct vm vm;

	(void)state;
	vm_open_with(&vm, &options);
	for (i = 0; i < STREAMS; i++)
		vm_plug(&vm, i);
	slow.vm = &vm;
	vm.hook = slow_call;
	vm.hook_data = &slow;
	assert_int_equal(pthread_create(&thread, NULL, invalidate_all, &slow),
			 0);
	while (!atomic_load(&slow.in_call))
		usleep(100);
	before = vm.call_count;
	vm_unplug(&vm, 500);
	/* It has waited for the call under way, and not for all of them. */
	assert_true(vm.call_count <= before + 1);
	pthread_join(thread, NULL);
	assert_true(vm.call_count <= 5);
	vm_close(&vm);
}

static void *flush_for_ever(void *arg)
{
	const struct smmuinv_command command = tlbi_all();
	struct slow *slow = arg;
	struct smmuinv_batch *batch;

	assert_int_equal(smmuinv_batch_new(slow->vm->vsmmu, 16, &batch), 0);
	while (!atomic_load(&slow->stop))
		assert_int_equal(smmuinv_batch_submit(batch, &command, 1, NULL),
				 0);
	smmuinv_batch_free(batch);
	return NULL;
}

/* With any libc: queues that never rest keep no removal waiting. */
static void busy_queues_do_not_starve_a_removal(void **state)
{
	enum { QUEUES = 4, REMOVALS = 20 };
	const struct vm_options options = { .empty = true };
	struct slow slow = { .call_us = 2000 };
	pthread_t threads[QUEUES];
	struct vm vm;
	uint32_t i;

	(void)state;
	vm_open_with(&vm, &options);
	slow.vm = &vm;
	vm.hook = slow_call;
	vm.hook_data = &slow;
	for (i = 0; i < QUEUES; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL,
						flush_for_ever, &slow),
				 0);
		usleep(500);
	}
	for (i = 0; i < REMOVALS; i++) {
		double began;

		vm_plug(&vm, 1);
		began = now();
		vm_unplug(&vm, 1);
		/* Two calls take 4 ms. */
		assert_true(now() - began < 5);
	}
	atomic_store(&slow.stop, true);
	for (i = 0; i < QUEUES; i++)
		pthread_join(threads[i], NULL);
	vm_close(&vm);
}

static void *remove_first(void *arg)
{
	struct slow *slow = arg;

	vm_unplug(slow->vm, 1);
	return NULL;
}

static void *flush_first(void *arg)
{
	const struct smmuinv_command command = cfgi_cd_all(1);
	struct slow *slow = arg;
	struct smmuinv_batch *batch;

	assert_int_equal(smmuinv_batch_new(slow->vm->vsmmu, 16, &batch), 0);
	assert_int_equal(smmuinv_batch_submit(batch, &command, 1, NULL), 0);
	smmuinv_batch_free(batch);
	return NULL;
}

/* One hung SMMU and a removal that waits for it. */
static void a_hung_smmu_stalls_no_look_up_and_no_other_smmu(void **state)
{
	const struct smmuinv_command command = cfgi_cd_all(2);
	const struct vm_options options = { .smmus = 2, .empty = true };
	struct slow slow = { .call_us = 500000 };
	struct smmuinv_batch *batch;
	pthread_t flusher, remover;
	double began;
	struct vm vm;

	(void)state;
	vm_open_with(&vm, &options);
	vm_plug_on(&vm, 0, 1);
	vm_plug_on(&vm, 1, 2);
	assert_int_equal(smmuinv_batch_new(vm.vsmmu, 16, &batch), 0);
	slow.vm = &vm;
	vm.hook = slow_call;
	vm.hook_data = &slow;
	assert_int_equal(pthread_create(&flusher, NULL, flush_first, &slow), 0);
	while (!atomic_load(&slow.in_call))
		usleep(100);
	assert_int_equal(pthread_create(&remover, NULL, remove_first, &slow),
			 0);
	usleep(20000);
	began = now();
	assert_true(vm_has_stream(&vm, 2));
	vm_set_ats(&vm, 2, false);
	assert_int_equal(smmuinv_batch_submit(batch, &command, 1, NULL), 0);
	(void)vm_counters(&vm);
	assert_true(now() - began < 0.2);
	assert_true(atomic_load(&slow.in_call));
	pthread_join(flusher, NULL);
	pthread_join(remover, NULL);
	smmuinv_batch_free(batch);
	vm_close(&vm);
}

static int count_entries(void *opaque, uint32_t sid, bool leaf)
{
	(void)sid;
	(void)leaf;
	++*(uint64_t *)opaque;
	return 0;
}

/* A queue full of one command, over many streams: what one call causes. */
static void storm(uint32_t streams, bool all)
{
	enum { LOG2SIZE = 10, WORK_MAX = 65536, WINDOW = 4096 };
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = count_entries,
	};
	const struct vm_queue_options queue = { .ops = &ops,
						.log2size = LOG2SIZE };
	const struct vm_options options = { .empty = true,
					    .no_vdevices = true };
	uint64_t entries = 0;
	uint32_t i, calls;
	struct vm_queue q;
	struct vm vm;

	vm_open_with(&vm, &options);
	for (i = 0; i < streams; i++) {
		const struct smmuinv_stream_params params = {
			.size = sizeof(params),
			.vsid = i * 13,
			.vdevice_id = vm_vdevice(&vm, 0, i * 13),
		};

		assert_int_equal(smmuinv_vsmmu_add_stream(vm.vsmmu, &params),
				 0);
	}
	vm_queue_open(&q, vm.vsmmu, &queue);
	q.opaque = &entries;
	/* CMD_SYNCs between them, or equal neighbours are done once. */
	for (i = 0; i < 1u << LOG2SIZE; i++)
		vm_write(&q, i % 2 ? cmd_sync() :
			     all   ? cfgi_all() :
				     cfgi_ste(i % streams * 13));
	for (calls = 0; q.cons != q.prod; calls++) {
		entries = 0;
		smmuinv_mock_forget(vm.mock);
		assert_true(vm_consume(&q) >= 0);
		assert_true(entries + q.progress.host_commands <=
			    WORK_MAX + 2 * WINDOW);
		assert_int_equal(q.progress.more, q.cons != q.prod);
	}
	vm_queue_close(&q);
	vm_close(&vm);
}

static void work_for_one_call_is_bounded(void **state)
{
	uint32_t streams;

	(void)state;
	for (streams = 1; streams <= 4096; streams *= 16) {
		storm(streams, false);
		storm(streams, true);
	}
}

static void plugs_at_ever_new_vsids_keep_no_memory(void **state)
{
	enum { PLUGS = 200000 };
	const struct vm_options options = { .empty = true,
					    .no_vdevices = true };
	size_t plugs = test_iterations(PLUGS);
	long before = 0;
	struct vm vm;
	uint32_t i;

	(void)state;
	vm_open_with(&vm, &options);
	for (i = 0; i < plugs; i++) {
		const struct smmuinv_stream_params params = {
			.size = sizeof(params),
			.vsid = i * 2654435761u,
			.vdevice_id = 1,
		};

		if (i == 1)
			before = heap.bytes;
		assert_int_equal(smmuinv_vsmmu_add_stream(vm.vsmmu, &params),
				 0);
		assert_int_equal(
			smmuinv_vsmmu_remove_stream(vm.vsmmu, params.vsid), 0);
	}
	assert_true(heap.bytes <= before + 4096);
	vm_close(&vm);
}

/* Hosts as kernels report them, and guests as three VMMs show them. */
#define HOST_IDR0                                                        \
	(2u << 2 | 1u << 4 | 1u << 12 | 1u << 19 | 2u << 21 | 1u << 24 | \
	 1u << 27)
#define HOST(idr0, idr5)                   \
	{                                  \
		.idr = {(idr0),            \
			16 | 20 << 6,      \
			0,                 \
			1 << 10 | 2 << 11, \
			0,                 \
			(idr5) }           \
	}

static const struct {
	const char *name;
	struct smmuinv_hw_info hw;
} hosts[] = {
	{ "TERM_MODEL 1", HOST(HOST_IDR0 | 1u << 26, 5 | 7 << 4) },
	{ "TERM_MODEL 0", HOST(HOST_IDR0, 5 | 7 << 4) },
	{ "both endiannesses", HOST(HOST_IDR0 & ~(3u << 21), 5 | 7 << 4) },
	{ "stalls", HOST((HOST_IDR0 & ~(3u << 24)) | 1u << 26, 5 | 7 << 4) },
	{ "no 16K", HOST(HOST_IDR0 | 1u << 26, 5 | 5 << 4) },
};

static const struct {
	const char *name;
	struct smmuinv_features shown;
	bool has_16k;
} guests[] = {
	{ "cloud-hypervisor",
	  { { 1 << 1 | 2 << 2 | 1 << 4 | 1 << 12 | 1 << 18 | 1 << 19 | 2 << 21 |
		      1 << 24 | 1 << 27,
	      16 | 19 << 21 | 19 << 16, 0, 0, 0, 5 | 1 << 4 | 1 << 6 } },
	  false },
	{ "QEMU",
	  { { 1u << 1 | 2u << 2 | 1u << 4 | 1u << 12 | 1u << 18 | 2u << 21 |
		      1u << 24 | 1u << 26 | 1u << 27,
	      16 | 19u << 16 | 19u << 21, 0, 1u << 2 | 1u << 10 | 2u << 11, 0,
	      4 | 7u << 4 } },
	  true },
	{ "OpenVMM",
	  { { 1u << 1 | 2u << 2 | 1u << 4 | 1u << 12 | 2u << 21 | 1u << 24 |
		      1u << 26,
	      16 | 8u << 16 | 8u << 21, 0, 0, 0, 5 | 1u << 4 } },
	  false },
};

static void a_guest_is_refused_only_for_the_sake_of_invalidations(void **state)
{
	size_t h, g;

	(void)state;
	for (h = 0; h < ARRAY_SIZE(hosts); h++) {
		for (g = 0; g < ARRAY_SIZE(guests); g++) {
			struct smmuinv_features host;
			struct vm_options options = {
				.guest = &guests[g].shown,
				.host = &host,
			};
			bool lacks = guests[g].has_16k && h == 4;
			uint32_t feature = SMMUINV_FEATURE_COUNT;
			struct vm vm;
			int rc;

			assert_int_equal(
				smmuinv_features_from_hw_info(
					&host, &hosts[h].hw, true, NULL),
				0);
			rc = vm_try(&vm, &options, &feature);
			if (rc != (lacks ? -EOPNOTSUPP : 0))
				fail_msg("%s on %s: %d, %s", guests[g].name,
					 hosts[h].name, rc,
					 smmuinv_feature_name(feature));
			assert_int_equal(feature,
					 lacks ? SMMUINV_FEATURE_GRAN16K :
						 SMMUINV_FEATURE_COUNT);
			vm_close(&vm);
		}
	}
}

/* The rest is advice, and the caller learns which field it is. */
static void what_else_differs_is_advice(void **state)
{
	struct smmuinv_features host;
	uint32_t feature = SMMUINV_FEATURE_COUNT;

	(void)state;
	assert_int_equal(
		smmuinv_features_from_hw_info(&host, &hosts[0].hw, true, NULL),
		0);
	assert_int_equal(smmuinv_features_compatible(&guests[0].shown, &host,
						     NULL, &feature),
			 1);
	assert_int_equal(feature, SMMUINV_FEATURE_TERM_MODEL);
}

static void what_is_offered_is_accepted_whatever_the_stall_model(void **state)
{
	uint32_t model, wish;

	(void)state;
	for (model = 0; model < 4; model++) {
		for (wish = 0; wish < 3; wish++) {
			const struct smmuinv_hw_info hw = {
				.idr = { 2u << 2 | 2u << 21 | model << 24 |
						 1u << 27,
					 16 | 8u << 6, 0, 1u << 10, 0,
					 1u << 4 | 5 },
			};
			const struct smmuinv_offer offer = {
				.size = sizeof(offer),
				.stall = (uint8_t)wish,
			};
			struct smmuinv_features host, guest;
			const struct vm_options options = {
				.guest = &guest,
				.host = &host,
			};
			struct vm vm;
			int rc = smmuinv_features_from_hw_info(&host, &hw, true,
							       NULL);

			/* 3 is reserved, and refused where it comes in. */
			assert_int_equal(rc != 0, model == 3);
			if (rc ||
			    smmuinv_features_offer(&guest, &host, &offer, NULL))
				continue;
			assert_int_equal(smmuinv_features_compatible(
						 &guest, &host, NULL, NULL),
					 0);
			assert_int_equal(vm_try(&vm, &options, NULL), 0);
			vm_close(&vm);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(a_callbacks_enodev_names_no_stream),
		T(a_reattach_with_ats_loses_no_atc_inv),
		T(a_healthy_device_is_not_blamed_for_the_one_before_it),
		T(the_guest_sees_unanswered_atc_invs_whatever_the_window),
		T(a_payment_is_only_for_what_was_owed_when_it_began),
		T(no_healthy_device_is_blamed_when_the_time_is_short),
		T(who_has_paid_is_not_blamed_for_another),
		T(one_call_waits_for_a_handful_of_devices),
		T(an_array_goes_on_after_a_device_that_owes),
		T(a_payment_that_fails_is_no_commands_fault),
		T(after_a_failed_removal_the_atc_is_invalidated),
		T(a_cfgi_all_after_a_reset_visits_every_stream),
		T(the_deepest_repair_has_a_place_on_a_small_stack),
		T(what_replaces_an_atc_inv_is_of_its_pasid),
		T(a_hung_smmu_costs_a_handful_of_calls_and_an_unplug_one),
		T(a_hung_smmu_stalls_no_look_up_and_no_other_smmu),
		T(busy_queues_do_not_starve_a_removal),
		T(work_for_one_call_is_bounded),
		T(plugs_at_ever_new_vsids_keep_no_memory),
		T(a_guest_is_refused_only_for_the_sake_of_invalidations),
		T(what_else_differs_is_advice),
		T(what_is_offered_is_accepted_whatever_the_stall_model),
#undef T
	};

	return cmocka_run_group_tests_name("cases", tests, NULL, NULL);
}
