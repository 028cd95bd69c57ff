/* SPDX-License-Identifier: MIT */
/*
 * Commands into a batch and out to a host that does what it is asked:
 * smmuinv_batch_add(), _sync(), _clear(), _flush() and _submit().
 * unit/execute.c has hosts that fail.
 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>

#include "vm.h"
#include "vsmmu.h"

#define MANY 130

struct world {
	struct vm vm;
	struct smmuinv_batch *batch;
};

static void world_open(struct world *w, const struct vm_options *options,
		       uint32_t capacity)
{
	vm_open_with(&w->vm, options);
	assert_int_equal(smmuinv_batch_new(w->vm.vsmmu, capacity, &w->batch),
			 0);
}

static void world_close(struct world *w)
{
	smmuinv_batch_free(w->batch);
	vm_close(&w->vm);
}

/* As written, so that every command can be accounted for. */
static int setup(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_AS_WRITTEN };
	struct world *w = calloc(1, sizeof(*w));

	world_open(w, &options, MANY);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	free(*state);
	return 0;
}

static void add(struct world *w, struct smmuinv_command command)
{
	assert_int_equal(smmuinv_batch_add(w->batch, &command, NULL),
			 SMMUINV_FORWARD);
}

static void add_sync(struct world *w)
{
	assert_int_equal(smmuinv_batch_sync(w->batch), 0);
}

static struct smmuinv_result flush(struct world *w)
{
	struct smmuinv_result result = { .size = sizeof(result) };

	assert_int_equal(smmuinv_batch_flush(w->batch, &result), 0);
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_NONE);
	assert_int_equal(result.fault.error, 0);
	assert_true(result.fault.vsid == SMMUINV_VSID_NONE);
	assert_int_equal(result.fault.viommu_id, 0);
	assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.retries | result.timeouts | result.replaced, 0);
	return result;
}

static void assert_executed(struct world *w, size_t index,
			    struct smmuinv_command command)
{
	const struct smmuinv_mock_record *records;

	assert_true(smmuinv_mock_executed(w->vm.mock, &records) > index);
	assert_true(test_command_equal(&records[index].command, &command));
}

static void a_full_batch_is_one_ioctl_in_order(void **state)
{
	struct world *w = *state;
	struct smmuinv_result result;
	uint32_t i;

	for (i = 0; i < MANY; i++)
		add(w, tlbi_va((uint64_t)i << 12));
	result = flush(w);
	assert_int_equal(result.completed, MANY);
	assert_int_equal(result.forwarded, MANY);
	assert_int_equal(result.dropped, 0);
	assert_int_equal(result.ioctls, 1);
	assert_int_equal(result.host_commands, MANY);
	assert_int_equal(vm_executed(&w->vm, 0), MANY);
	for (i = 0; i < MANY; i++)
		assert_executed(w, i, tlbi_va((uint64_t)i << 12));
	assert_int_equal(flush(w).completed, 0);
}

static void an_empty_batch_costs_no_ioctl(void **state)
{
	struct world *w = *state;
	struct smmuinv_result result = flush(w);

	assert_int_equal(result.completed, 0);
	assert_int_equal(result.ioctls, 0);
	assert_int_equal(w->vm.call_count, 0);
	assert_int_equal(smmuinv_batch_flush(w->batch, NULL), 0);
}

static void a_full_batch_takes_no_more_and_loses_nothing(void **state)
{
	struct world *w = *state;
	const struct smmuinv_command command = tlbi_va(0);
	const struct smmuinv_command sync = cmd_sync();
	uint32_t i;

	for (i = 0; i < MANY; i++)
		add(w, command);
	assert_int_equal(smmuinv_batch_add(w->batch, &command, NULL), -ENOSPC);
	assert_int_equal(smmuinv_batch_add(w->batch, &sync, NULL), SMMUINV_VMM);
	assert_int_equal(flush(w).completed, MANY);
	add(w, command);
	assert_int_equal(flush(w).completed, 1);
}

static void what_is_cleared_is_not_executed(void **state)
{
	struct world *w = *state;

	add(w, tlbi_va(0));
	smmuinv_batch_clear(w->batch);
	assert_int_equal(flush(w).completed, 0);
	assert_int_equal(vm_executed(&w->vm, 0), 0);
}

static void only_forwarded_and_ignored_commands_take_a_place(void **state)
{
	struct smmuinv_finding finding = { .size = sizeof(finding) };
	const struct smmuinv_command illegal = raw(0xff, 0);
	const struct smmuinv_command vmm = cmd_sync();
	const struct smmuinv_command prefetch =
		raw(SMMUINV_CMD_PREFETCH_CONFIG, 0);
	struct world *w = *state;
	struct smmuinv_result result;

	assert_int_equal(smmuinv_batch_add(w->batch, &illegal, &finding),
			 SMMUINV_ILLEGAL);
	assert_int_equal(finding.rule, SMMUINV_RULE_RESERVED_OPCODE);
	assert_int_equal(smmuinv_batch_add(w->batch, &vmm, &finding),
			 SMMUINV_VMM);
	assert_int_equal(flush(w).completed, 0);
	assert_int_equal(smmuinv_batch_add(w->batch, &prefetch, &finding),
			 SMMUINV_IGNORE);
	result = flush(w);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.dropped, 1);
	assert_int_equal(result.ioctls, 0);
}

static void the_canonical_form_is_what_goes_down(void **state)
{
	struct world *w = *state;

	/* NSNH_ALL with RES0 bits set, which older kernels would pass on */
	add(w, raw(0xffffffffffffff30, UINT64_MAX));
	(void)flush(w);
	assert_int_equal(vm_executed(&w->vm, 0), 1);
	assert_executed(w, 0, raw(0x30, 0));
}

static void a_vsid_without_a_device_is_complete_and_never_sent(void **state)
{
	const uint64_t opcodes[] = { 0x05, 0x06, 0x40 };
	struct world *w = *state;
	struct smmuinv_result result;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		add(w, raw((uint64_t)0xbad << 32 | opcodes[i], 0));
		add(w, raw((uint64_t)VM_VSID << 32 | opcodes[i], 0));
	}
	result = flush(w);
	assert_int_equal(result.completed, 6);
	assert_int_equal(result.forwarded, 3);
	assert_int_equal(result.dropped, 3);
	assert_int_equal(result.host_commands, 3);
	assert_int_equal(vm_executed(&w->vm, 0), 3);
}

static void a_stream_may_come_and_go_between_add_and_flush(void **state)
{
	struct world *w = *state;

	add(w, cfgi_cd(VM_VSID));
	vm_unplug(&w->vm, VM_VSID);
	assert_int_equal(flush(w).dropped, 1);
	add(w, cfgi_cd(VM_VSID));
	vm_plug(&w->vm, VM_VSID);
	assert_int_equal(flush(w).forwarded, 1);
	add(w, atc_inv_all(VM_VSID));
	vm_set_ats(&w->vm, VM_VSID, false);
	assert_int_equal(flush(w).dropped, 1);
	add(w, atc_inv_all(VM_VSID));
	vm_set_ats(&w->vm, VM_VSID, true);
	assert_int_equal(flush(w).forwarded, 1);
}

/* What another thread does while the second SMMU executes its first call. */
struct meanwhile {
	void (*does)(struct vm *vm);
};

static int during_call(struct vm *vm, uint32_t which,
		       const struct smmuinv_command *commands, uint32_t *count)
{
	struct meanwhile *m = vm->hook_data;
	int rc = vm_pass(vm, which, commands, count);

	if (which && m->does)
		m->does(vm);
	if (which)
		m->does = NULL;
	return rc;
}

static void plugs_another(struct vm *vm)
{
	vm_plug(vm, 0x40);
}

static void turns_ats_on(struct vm *vm)
{
	vm_set_ats(vm, VM_VSID, true);
}

static void replaces_the_device(struct vm *vm)
{
	vm_unplug(vm, VM_VSID);
	vm_plug(vm, VM_VSID);
}

static void changes_another(struct vm *vm)
{
	vm_set_ats(vm, VM_VSID, false);
	vm_plug(vm, 0x50);
}

/*
 * The stream was not there, or its ATS was off, when the window was looked at.
 * A device that came meanwhile may have cached what was not invalidated yet.
 */
static void a_command_that_missed_its_device_is_sent_after_all(void **state)
{
	static const struct {
		void (*does)(struct vm *vm);
		uint64_t dw0;
		bool ats; /* before */
		size_t times;
	} cases[] = {
		{ plugs_another, UINT64_C(0x40) << 32 | 0x05, true, 1 },
		{ turns_ats_on, UINT64_C(0x10) << 32 | 0x40, false, 1 },
		{ replaces_the_device, UINT64_C(0x10) << 32 | 0x05, true, 2 },
		{ changes_another, UINT64_C(0x10) << 32 | 0x05, true, 1 },
		{ changes_another, UINT64_C(0x10) << 32 | 0x40, false, 0 },
	};
	uint32_t c;

	(void)state;
	for (c = 0; c < 2 * ARRAY_SIZE(cases); c++) {
		const struct vm_options options = { .smmus = 2, .plan = c % 2 };
		const struct smmuinv_command command = raw(cases[c / 2].dw0, 0);
		const struct smmuinv_command prefetch =
			raw(SMMUINV_CMD_PREFETCH_CONFIG, 0);
		struct meanwhile meanwhile = { .does = cases[c / 2].does };
		struct smmuinv_result result;
		struct world w;

		world_open(&w, &options, MANY);
		vm_set_ats(&w.vm, VM_VSID, cases[c / 2].ats);
		w.vm.hook = during_call;
		w.vm.hook_data = &meanwhile;
		add(&w, tlbi_va(0x1000));
		add_sync(&w);
		add(&w, command);
		assert_int_equal(smmuinv_batch_add(w.batch, &prefetch, NULL),
				 SMMUINV_IGNORE);
		add(&w, cfgi_cd(0xbad));
		result = flush(&w);
		assert_int_equal(result.completed, 5);
		assert_int_equal(vm_times(&w.vm, 0, &command),
				 cases[c / 2].times);
		world_close(&w);
	}
}

/* As during_call(), and then the SMMU fails. */
static int during_failure(struct vm *vm, uint32_t which,
			  const struct smmuinv_command *commands,
			  uint32_t *count)
{
	int rc = during_call(vm, which, commands, count);

	return which ? -EFAULT : rc;
}

/* What missed its device is not complete, wherever else something failed. */
static void a_command_that_missed_its_device_is_not_complete(void **state)
{
	uint32_t plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		const struct vm_options options = { .smmus = 2, .plan = plan };
		const struct smmuinv_command cd = cfgi_cd(0x40);
		struct meanwhile meanwhile = { .does = plugs_another };
		struct smmuinv_result result = { .size = sizeof(result) };
		struct world w;

		world_open(&w, &options, MANY);
		w.vm.hook = during_failure;
		w.vm.hook_data = &meanwhile;
		add(&w, cfgi_cd(VM_VSID));
		add(&w, cd);
		add(&w, tlbi_va(0x1000));
		assert_int_equal(smmuinv_batch_flush(w.batch, &result),
				 -EFAULT);
		assert_int_equal(result.completed, 1);
		w.vm.hook = NULL;
		assert_int_equal(flush(&w).completed, 2);
		assert_int_equal(vm_times(&w.vm, 0, &cd), 1);
		world_close(&w);
	}
}

static void a_whole_array_goes_down_in_full_batches(void **state)
{
	enum { COUNT = 3 * MANY + 7 };
	struct world *w = *state;
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[COUNT];
	uint32_t i;

	for (i = 0; i < COUNT; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
	/* One of them is not sent, and one needs a closer look. */
	commands[5] = raw(SMMUINV_CMD_PREFETCH_CONFIG, 0);
	commands[9] =
		raw((uint64_t)VM_VSID << 32 | 3 << 12 | SMMUINV_CMD_CFGI_CD, 1);
	assert_int_equal(
		smmuinv_batch_submit(w->batch, commands, COUNT, &result), 0);
	assert_int_equal(result.completed, COUNT);
	assert_int_equal(result.dropped, 1);
	assert_int_equal(result.ioctls, 4);
	assert_int_equal(vm_executed(&w->vm, 0), COUNT - 1);
	assert_int_equal(smmuinv_batch_submit(w->batch, commands, 5, NULL), 0);
	assert_int_equal(smmuinv_batch_submit(w->batch, NULL, 0, NULL), 0);
}

static void
an_array_stops_at_an_illegal_command_with_the_rest_before_done(void **state)
{
	struct smmuinv_command commands[MANY + 20];
	struct world *w = *state;
	uint32_t bad, i;

	for (bad = 0; bad < MANY + 20; bad++) {
		struct smmuinv_result result = { .size = sizeof(result) };

		for (i = 0; i < MANY + 20; i++)
			commands[i] = tlbi_va((uint64_t)i << 12);
		commands[bad] = raw(SMMUINV_CMD_CFGI_CD | 1 << 10, 0);
		vm_forget(&w->vm);
		assert_int_equal(smmuinv_batch_submit(w->batch, commands,
						      MANY + 20, &result),
				 1);
		assert_int_equal(result.completed, bad);
		assert_int_equal(result.fault_index, bad);
		assert_int_equal(result.cerror, SMMUINV_CERROR_ILL);
		assert_int_equal(result.fault.source, SMMUINV_SOURCE_GUEST);
		assert_int_equal(result.fault.error, 0);
		assert_int_equal(result.fault.rule, SMMUINV_RULE_SSEC);
		assert_int_equal(result.fault.field, SMMUINV_FIELD_SSEC);
		assert_true(result.fault.vsid == SMMUINV_VSID_NONE);
		assert_int_equal(vm_executed(&w->vm, 0), bad);
		/* Nothing is left in the batch. */
		assert_int_equal(flush(w).completed, 0);
	}
}

static void an_array_stops_at_a_command_of_the_vmms_without_cerror(void **state)
{
	struct world *w = *state;
	struct smmuinv_result result = { .size = sizeof(result) };
	const struct smmuinv_command commands[3] = { tlbi_va(0), cmd_sync(),
						     tlbi_va(0) };

	assert_int_equal(smmuinv_batch_submit(w->batch, commands, 3, &result),
			 1);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.fault_index, 1);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_NONE);
}

/*
 * smmuinv_vsmmu_new() accepts only guests that the host can carry. If a command
 * is inexpressible all the same, it is an errno and not the guest's fault.
 */
static void what_the_host_cannot_express_is_an_errno(void **state)
{
	struct world *w = *state;
	struct smmuinv_result result = { .size = sizeof(result) };
	const struct smmuinv_command commands[2] = {
		tlbi_va(0x1000), raw(0x1005, 0) /* CFGI_CD, SubstreamID 1 */
	};
	const struct smmuinv_features host = everything_with(1, 0);

	smmuinv__check_compile(&w->vm.vsmmu->check, &everything, &host);
	assert_int_equal(smmuinv_batch_add(w->batch, &commands[1], NULL),
			 -EOPNOTSUPP);
	assert_int_equal(smmuinv_batch_submit(w->batch, commands, 2, &result),
			 -EOPNOTSUPP);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.fault_index, 1);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_GUEST);
	assert_int_equal(result.fault.error, -EOPNOTSUPP);
	assert_int_equal(result.fault.rule, SMMUINV_RULE_HOST_LACKS);
	assert_int_equal(result.fault.field, SMMUINV_FIELD_SUBSTREAMID);
}

/* A SubstreamID out of range stays dropped when the stream is looked up. */
static void a_dropped_substream_is_not_sent_by_a_retry(void **state)
{
	/* One bit of SubstreamID */
	const struct smmuinv_features features =
		everything_with(1, 1 << 6 | 16);
	const struct vm_options options = { .guest = &features };
	const struct smmuinv_command beyond =
		raw((uint64_t)VM_VSID << 32 | 1 << 14 | SMMUINV_CMD_CFGI_CD, 0);
	struct world w;

	(void)state;
	world_open(&w, &options, 4);
	add(&w, tlbi_va(0));
	assert_int_equal(smmuinv_batch_add(w.batch, &beyond, NULL),
			 SMMUINV_IGNORE);
	vm_fail(&w.vm, 0, 0, -EFAULT);
	assert_int_equal(smmuinv_batch_flush(w.batch, NULL), -EFAULT);
	vm_fail(&w.vm, 0, 0, 0);
	assert_int_equal(flush(&w).dropped, 1);
	assert_int_equal(vm_executed(&w.vm, 0), 1);
	world_close(&w);
}

/* By rank: two commands of each, that have nothing in common. */
static struct smmuinv_command of_rank(unsigned int rank, uint32_t n)
{
	const uint64_t sid = (uint64_t)VM_VSID << 32;

	switch (rank) {
	case 0:
		return raw(sid | n << 12 | SMMUINV_CMD_CFGI_CD, 1);
	case 1:
		return tlbi_va((uint64_t)n << 13);
	default:
		return raw(sid | SMMUINV_CMD_ATC_INV, (uint64_t)n << 13);
	}
}

static const uint32_t plans[] = { SMMUINV_PLAN_MERGED,
				  SMMUINV_PLAN_AS_WRITTEN };

/* Two of each rank, with a CMD_SYNC after each rank. */
static void add_three_ranks(struct world *w)
{
	uint32_t i;

	for (i = 0; i < 6; i++) {
		add(w, of_rank(i / 2, i));
		if (i % 2)
			add_sync(w);
	}
	vm_forget(&w->vm);
}

static void a_sync_keeps_the_order_of_ranks_and_nothing_else(void **state)
{
	struct smmuinv_result result;
	uint32_t p, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		const struct vm_options options = { .plan = plans[p] };
		struct world w;

		world_open(&w, &options, MANY);
		add_three_ranks(&w);
		result = flush(&w);
		/* The CMD_SYNCs count. */
		assert_int_equal(result.completed, 9);
		assert_int_equal(result.forwarded, 6);
		assert_int_equal(w.vm.call_count, 3);
		for (i = 0; i < 6; i++) {
			const struct smmuinv_command command =
				of_rank(i / 2, i);

			assert_int_equal(vm_last_call(&w.vm, &command), i / 2);
		}
		/* In the opposite order, and without CMD_SYNCs: */
		/* only ATC_INVs have a call of their own. */
		for (i = 0; i < 6; i++) {
			add(&w, of_rank(2 - i / 2, i));
			add_sync(&w);
		}
		/* As written, a call ends at each CMD_SYNC. */
		assert_int_equal(flush(&w).ioctls,
				 plans[p] == SMMUINV_PLAN_MERGED ? 2 : 6);
		for (i = 0; i < 6; i++)
			add(&w, of_rank(i / 2, i));
		assert_int_equal(flush(&w).ioctls, 2);
		world_close(&w);
	}
}

static void a_sync_with_nothing_new_before_it_orders_nothing(void **state)
{
	uint32_t p, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		const struct vm_options options = { .plan = plans[p] };
		struct world w;

		world_open(&w, &options, MANY);
		for (i = 0; i < 40; i++)
			add_sync(&w);
		add(&w, of_rank(0, 0));
		for (i = 0; i < 40; i++)
			add_sync(&w);
		add(&w, of_rank(1, 1));
		for (i = 0; i < 40; i++)
			add_sync(&w);
		assert_int_equal(flush(&w).ioctls, 2);
		/* What is flushed or cleared orders nothing any more. */
		add(&w, of_rank(0, 0));
		add_sync(&w);
		smmuinv_batch_clear(w.batch);
		add(&w, of_rank(0, 0));
		add(&w, of_rank(1, 1));
		assert_int_equal(flush(&w).ioctls, 1);
		world_close(&w);
	}
	assert_int_equal(smmuinv_batch_sync(NULL), -EINVAL);
}

static void a_sync_takes_a_place(void **state)
{
	struct world *w = *state;
	uint32_t i;

	for (i = 0; i < MANY; i++)
		add_sync(w);
	assert_int_equal(smmuinv_batch_sync(w->batch), -ENOSPC);
	assert_int_equal(flush(w).completed, MANY);
	add_sync(w);
}

static void a_whole_array_is_planned_batch_by_batch(void **state)
{
	enum { COUNT = 3 * MANY + 7 };
	const struct smmuinv_features only_4k = everything_with(5, 0x94);
	const struct vm_options options = { .guest = &only_4k };
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[COUNT];
	struct world w;
	uint32_t i;

	(void)state;
	for (i = 0; i < COUNT; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
	world_open(&w, &options, MANY);
	assert_int_equal(
		smmuinv_batch_submit(w.batch, commands, COUNT, &result), 0);
	assert_int_equal(result.completed, COUNT);
	assert_int_equal(result.forwarded, COUNT);
	assert_int_equal(result.ioctls, 4);
	assert_true(result.host_commands <= 8);
	/* And so it is up to a command that is not for the host. */
	commands[MANY + 3] = cmd_sync();
	assert_int_equal(
		smmuinv_batch_submit(w.batch, commands, COUNT, &result), 1);
	assert_int_equal(result.completed, MANY + 3);
	assert_true(result.host_commands <= 3);
	world_close(&w);
}

static void tlbi_and_cfgi_go_twice_if_the_host_has_the_erratum(void **state)
{
	static const struct {
		uint32_t hw_flags;
		uint32_t times;
	} cases[] = {
		{ 0, 1 },
		{ SMMUINV_HW_INFO_REPEAT, 2 },
		{ 0xfffffffe, 1 },
		{ UINT32_MAX, 2 },
	};
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	const struct smmuinv_command cd = cfgi_cd(VM_VSID);
	const struct smmuinv_command atc = atc_inv(VM_VSID, 0);
	uint32_t c;

	(void)state;
	for (c = 0; c < 2 * ARRAY_SIZE(cases); c++) {
		const struct vm_options options = {
			.plan = c % 2,
			.smmu[0].hw_flags = cases[c / 2].hw_flags,
		};
		uint32_t times = cases[c / 2].times;
		struct smmuinv_result result;
		struct world w;

		world_open(&w, &options, MANY);
		add(&w, atc);
		add(&w, tlbi);
		add(&w, cd);
		result = flush(&w);
		assert_int_equal(result.ioctls, times + 1);
		assert_int_equal(result.completed, 3);
		assert_int_equal(result.host_commands, 2 * times + 1);
		assert_int_equal(vm_times(&w.vm, 0, &tlbi), times);
		assert_int_equal(vm_times(&w.vm, 0, &cd), times);
		assert_int_equal(vm_times(&w.vm, 0, &atc), 1);
		world_close(&w);
	}
}

/* Each rank is complete, twice, before the next begins. */
static void with_the_erratum_each_call_is_made_twice_in_order(void **state)
{
	static const uint8_t opcodes[] = {
		SMMUINV_CMD_CFGI_CD,    SMMUINV_CMD_CFGI_CD,
		SMMUINV_CMD_TLBI_NH_VA, SMMUINV_CMD_TLBI_NH_VA,
		SMMUINV_CMD_ATC_INV,
	};
	uint32_t p, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		const struct vm_options options = {
			.plan = plans[p],
			.smmu[0].hw_flags = SMMUINV_HW_INFO_REPEAT,
		};
		struct world w;

		world_open(&w, &options, MANY);
		add_three_ranks(&w);
		(void)flush(&w);
		assert_int_equal(w.vm.call_count, ARRAY_SIZE(opcodes));
		for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
			assert_int_equal(w.vm.calls[i].count, 2);
			assert_int_equal(smmuinv_command_opcode(
						 &w.vm.calls[i].commands[0]),
					 opcodes[i]);
		}
		world_close(&w);
	}
}

/* (NUM + 1) << SCALE pages of 4K from @va on, of ASID 5, leaves only. */
static struct smmuinv_command range(uint64_t va, uint64_t num, uint64_t scale)
{
	return raw(UINT64_C(5) << 48 | scale << 20 | num << 12 |
			   SMMUINV_CMD_TLBI_NH_VA,
		   va | SMMUINV_TG_4K << 10 | 1);
}

static void ranges_on_a_host_without_them_become_pages(void **state)
{
	enum { CAPACITY = 8, PAGES_MAX = 512 };
	const struct smmuinv_command all = tlbi_all();
	const struct smmuinv_features host = everything_with(3, 0);
	uint32_t p, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		const struct vm_options options = {
			.plan = plans[p],
			.guest = &everything,
			.host = &host,
		};
		struct smmuinv_result result;
		struct world w;

		world_open(&w, &options, CAPACITY);
		add(&w, range(0x100000, 9, 0));
		add(&w, tlbi_va(0x200000));
		result = flush(&w);
		assert_int_equal(result.host_commands, 11);
		assert_int_equal(result.ioctls, 1);
		for (i = 0; i < 10; i++) {
			const struct smmuinv_command page =
				tlbi_va(0x100000 + ((uint64_t)i << 12));

			assert_int_equal(vm_times(&w.vm, 0, &page), 1);
		}
		/* As many pages as are allowed in each of them: not in all. */
		for (i = 0; i < CAPACITY; i++)
			add(&w, range((uint64_t)i << 32, 15, 5));
		result = flush(&w);
		assert_int_equal(result.completed, CAPACITY);
		assert_int_equal(result.host_commands,
				 plans[p] == SMMUINV_PLAN_AS_WRITTEN ?
					 PAGES_MAX + CAPACITY - 1 :
					 1);
		assert_int_equal(result.ioctls, 1);
		/* One more, and everything goes. */
		vm_forget(&w.vm);
		add(&w, range(0, 16, 5));
		result = flush(&w);
		assert_int_equal(result.host_commands, 1);
		assert_int_equal(vm_times(&w.vm, 0, &all), 1);
		world_close(&w);
	}
}

/* Of a larger one it warns in the host's log, and a guest could make it. */
static void no_call_is_larger_than_the_kernel_takes_safely(void **state)
{
	enum { CAPACITY = 4096 };
	const struct smmuinv_features host = everything_with(3, 0);
	uint32_t p, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		const struct vm_options options = {
			.plan = plans[p],
			.guest = &everything,
			.host = &host,
			.pages_max = SMMUINV_BATCH_CAPACITY_MAX,
		};
		struct smmuinv_result result;
		struct world w;

		world_open(&w, &options, CAPACITY);
		for (i = 1; i < CAPACITY; i++)
			add(&w,
			    tlbi_va(((uint64_t)i << 32) + ((uint64_t)i << 13)));
		add(&w, range(0, 31, 13));
		result = flush(&w);
		assert_int_equal(result.completed, CAPACITY);
		assert_int_equal(result.host_commands,
				 CAPACITY - 1 + SMMUINV_BATCH_CAPACITY_MAX);
		assert_int_equal(result.ioctls, 2);
		world_close(&w);
	}
}

static void an_array_wants_an_empty_batch(void **state)
{
	struct world *w = *state;
	const struct smmuinv_command command = tlbi_va(0);

	add(w, command);
	assert_int_equal(smmuinv_batch_submit(w->batch, &command, 1, NULL),
			 -EBUSY);
	assert_int_equal(flush(w).completed, 1);
}

static void capacities_are_bounded_by_what_the_kernel_takes(void **state)
{
	struct world *w = *state;
	struct smmuinv_batch *batch = NULL;

	assert_int_equal(smmuinv_batch_new(w->vm.vsmmu, 0, &batch), -EINVAL);
	assert_int_equal(smmuinv_batch_new(w->vm.vsmmu,
					   SMMUINV_BATCH_CAPACITY_MAX + 1,
					   &batch),
			 -EINVAL);
	assert_null(batch);
	assert_int_equal(smmuinv_batch_new(w->vm.vsmmu,
					   SMMUINV_BATCH_CAPACITY_MAX, &batch),
			 0);
	smmuinv_batch_free(batch);
	smmuinv_batch_free(NULL);
}

static void bad_arguments_are_refused(void **state)
{
	struct world *w = *state;
	const struct smmuinv_command command = tlbi_va(0);
	struct smmuinv_finding finding = { .size = 1 };
	struct smmuinv_result result = { .size = 1 };
	struct smmuinv_batch *batch;

	assert_int_equal(smmuinv_batch_new(NULL, 1, &batch), -EINVAL);
	assert_int_equal(smmuinv_batch_new(w->vm.vsmmu, 1, NULL), -EINVAL);
	assert_int_equal(smmuinv_batch_add(NULL, &command, NULL), -EINVAL);
	assert_int_equal(smmuinv_batch_add(w->batch, NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_batch_add(w->batch, &command, &finding),
			 -EINVAL);
	assert_int_equal(smmuinv_batch_flush(NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_batch_flush(w->batch, &result), -EINVAL);
	assert_int_equal(smmuinv_batch_submit(NULL, &command, 1, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_batch_submit(w->batch, NULL, 1, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_batch_submit(w->batch, &command, 1, &result),
			 -EINVAL);
	assert_int_equal(flush(w).completed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_full_batch_is_one_ioctl_in_order),
		TEST(an_empty_batch_costs_no_ioctl),
		TEST(a_full_batch_takes_no_more_and_loses_nothing),
		TEST(what_is_cleared_is_not_executed),
		TEST(only_forwarded_and_ignored_commands_take_a_place),
		TEST(the_canonical_form_is_what_goes_down),
		TEST(a_vsid_without_a_device_is_complete_and_never_sent),
		TEST(a_stream_may_come_and_go_between_add_and_flush),
		cmocka_unit_test(
			a_command_that_missed_its_device_is_sent_after_all),
		cmocka_unit_test(
			a_command_that_missed_its_device_is_not_complete),
		TEST(a_whole_array_goes_down_in_full_batches),
		TEST(an_array_stops_at_an_illegal_command_with_the_rest_before_done),
		TEST(an_array_stops_at_a_command_of_the_vmms_without_cerror),
		TEST(what_the_host_cannot_express_is_an_errno),
		cmocka_unit_test(a_dropped_substream_is_not_sent_by_a_retry),
		cmocka_unit_test(
			a_sync_keeps_the_order_of_ranks_and_nothing_else),
		cmocka_unit_test(
			a_sync_with_nothing_new_before_it_orders_nothing),
		TEST(a_sync_takes_a_place),
		cmocka_unit_test(a_whole_array_is_planned_batch_by_batch),
		cmocka_unit_test(
			tlbi_and_cfgi_go_twice_if_the_host_has_the_erratum),
		cmocka_unit_test(
			with_the_erratum_each_call_is_made_twice_in_order),
		cmocka_unit_test(ranges_on_a_host_without_them_become_pages),
		cmocka_unit_test(
			no_call_is_larger_than_the_kernel_takes_safely),
		TEST(an_array_wants_an_empty_batch),
		TEST(capacities_are_bounded_by_what_the_kernel_takes),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
