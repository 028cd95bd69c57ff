/* SPDX-License-Identifier: MIT */
/*
 * Batches on hosts that fail: what the library repairs itself, what it costs,
 * and what it reports. unit/execute.c has each step of it; property/faults.c
 * tries every failure.
 */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "vm.h"

#define MANY  130
#define OTHER 0x20
#define GONE  0x30

struct world {
	struct vm vm;
	struct smmuinv_batch *batch;
};

static void world_open(struct world *w, const struct vm_options *options)
{
	uint32_t i;

	vm_open_with(&w->vm, options);
	for (i = 0; i < w->vm.smmus; i++)
		vm_plug_on(&w->vm, i, OTHER + i);
	assert_int_equal(smmuinv_batch_new(w->vm.vsmmu, MANY, &w->batch), 0);
}

static void world_close(struct world *w)
{
	smmuinv_batch_free(w->batch);
	vm_close(&w->vm);
}

static const uint32_t plans[] = { SMMUINV_PLAN_MERGED,
				  SMMUINV_PLAN_AS_WRITTEN };

/* On every kernel, with every plan. */
static void with_each(void (*test)(struct world *w))
{
	uint32_t kernel, p;

	for (kernel = 0; kernel <= SMMUINV_MOCK_EXACT_QUARANTINE; kernel++) {
		for (p = 0; p < ARRAY_SIZE(plans); p++) {
			const struct vm_options options = {
				.kernel = kernel,
				.plan = plans[p],
			};
			struct world w;

			world_open(&w, &options);
			test(&w);
			world_close(&w);
		}
	}
}

static void add(struct world *w, struct smmuinv_command command)
{
	assert_int_equal(smmuinv_batch_add(w->batch, &command, NULL),
			 SMMUINV_FORWARD);
}

static bool owes(struct world *w, uint32_t vsid)
{
	return vm_has_stream(&w->vm, vsid) && vm_stream(&w->vm, vsid).owes;
}

static struct smmuinv_result flush(struct world *w, int expected)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	uint32_t before = w->vm.call_count;
	/* What was owed before is no command's fault. */
	bool owed = owes(w, OTHER);

	assert_int_equal(smmuinv_batch_flush(w->batch, &result), expected);
	assert_int_equal(result.fault.error, expected);
	/* A call that was interrupted is none of its own. */
	assert_true(result.ioctls <= w->vm.call_count - before);
	if (!expected) {
		assert_int_equal(result.fault.source, SMMUINV_SOURCE_NONE);
		assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
		assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	} else {
		assert_int_equal(result.fault.source, SMMUINV_SOURCE_HOST);
		assert_true(result.fault.viommu_id != 0);
		assert_true(result.fault_index != SMMUINV_INDEX_NONE || owed);
	}
	return result;
}

/* TLBIs that no plan merges. */
static struct smmuinv_command page(uint32_t i)
{
	return tlbi_va((uint64_t)i << 13);
}

static void add_pages(struct world *w, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		add(w, page(i));
}

/* Each by itself, or all TLB entries went instead. */
static bool is_executed(struct world *w, struct smmuinv_command command)
{
	const struct smmuinv_command all = tlbi_all();

	return vm_times(&w->vm, 0, &command) || vm_times(&w->vm, 0, &all);
}

static void assert_pages_executed(struct world *w, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		assert_true(is_executed(w, page(i)));
}

/* Any errno that goes away. */
static void transient(struct world *w)
{
	static const int errors[] = { -EIO,    -ETIMEDOUT, -ENOMEM,
				      -EINTR,  -EAGAIN,    -EFAULT,
				      -ENOENT, -EBUSY,     -ENODEV };
	uint32_t e, times, i;

	for (e = 0; e < ARRAY_SIZE(errors); e++) {
		for (times = 1; times <= 2; times++) {
			struct smmuinv_result result;

			vm_forget(&w->vm);
			add_pages(w, 40);
			for (i = 0; i < times; i++)
				vm_inject(&w->vm, 0, errors[e], 0, 0);
			result = flush(w, 0);
			assert_int_equal(result.completed, 40);
			assert_int_equal(result.forwarded, 40);
			assert_int_equal(result.timeouts,
					 errors[e] == -ETIMEDOUT ? times : 0);
			assert_pages_executed(w, 40);
		}
	}
}

static void a_failure_that_goes_away_does_not_show(void **state)
{
	(void)state;
	with_each(transient);
}

static void success_for_another_number_is_not_believed(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_AS_WRITTEN };
	const uint32_t counts[] = { 0, 1, 3, 5, UINT32_MAX - 1 };
	struct world w;
	uint32_t c;

	(void)state;
	for (c = 0; c < ARRAY_SIZE(counts); c++) {
		world_open(&w, &options);
		add_pages(&w, 4);
		vm_inject(&w.vm, 0, 0, 2, counts[c]);
		assert_int_equal(flush(&w, 0).completed, 4);
		assert_pages_executed(&w, 4);
		world_close(&w);
	}
}

/* The hook of a host that always answers so. */
static int answers_nonsense(struct vm *vm, uint32_t which,
			    const struct smmuinv_command *commands,
			    uint32_t *count)
{
	(void)which;
	(void)commands;
	*count -= 1;
	return *(const int *)vm->hook_data;
}

static void an_answer_that_makes_no_sense_is_eproto(void **state)
{
	static const int answers[] = { 0, 1, 99 };
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct world w;
	uint32_t a;

	(void)state;
	for (a = 0; a < ARRAY_SIZE(answers); a++) {
		int answer = answers[a];

		world_open(&w, &options);
		w.vm.hook = answers_nonsense;
		w.vm.hook_data = &answer;
		add_pages(&w, 4);
		assert_int_equal(flush(&w, -EPROTO).completed, 0);
		w.vm.hook = NULL;
		assert_int_equal(flush(&w, 0).completed, 4);
		world_close(&w);
	}
}

static int little_memory(struct vm *vm, uint32_t which,
			 const struct smmuinv_command *commands,
			 uint32_t *count)
{
	if (*count > *(const uint32_t *)vm->hook_data)
		return -ENOMEM;
	return vm_pass(vm, which, commands, count);
}

static void without_memory_the_host_is_asked_in_smaller_calls(void **state)
{
	struct world w;
	uint32_t p, takes;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (takes = MANY; takes; takes /= 2) {
			const struct vm_options options = {
				.plan = plans[p],
				.retries_max = 1000,
			};
			struct smmuinv_result result;

			world_open(&w, &options);
			w.vm.hook = little_memory;
			w.vm.hook_data = &takes;
			add_pages(&w, MANY);
			result = flush(&w, 0);
			assert_int_equal(result.completed, MANY);
			assert_pages_executed(&w, MANY);
			assert_true(result.ioctls <= 4 * (MANY / takes));
			world_close(&w);
		}
	}
}

static void so_many_retries_may_a_window_make(void **state)
{
	uint32_t budget;

	(void)state;
	for (budget = 0; budget < 20; budget++) {
		const struct vm_options options = { .retries_max = budget };
		uint32_t allowed = budget ? budget : 64;
		struct smmuinv_result result = { .size = sizeof(result) };
		uint32_t takes = budget ? 1 : 0;
		uint32_t tries, completed = 0;
		struct world w;

		world_open(&w, &options);
		w.vm.hook = little_memory;
		w.vm.hook_data = &takes;
		add_pages(&w, MANY);
		for (tries = 0; completed < MANY; tries++) {
			int rc;

			assert_true(tries < MANY);
			rc = smmuinv_batch_flush(w.batch, &result);
			completed += result.completed;
			assert_int_equal(rc, completed < MANY ? -ENOMEM : 0);
			assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
			assert_true(result.retries <= allowed);
			assert_true(result.ioctls <= 1 + allowed);
			assert_pages_executed(&w, completed);
			/* Else no number of tries would be enough. */
			if (!result.completed)
				takes = MANY;
		}
		world_close(&w);
	}
}

/* Each kind of command, and what covers it. */
static const struct refusal {
	uint64_t dw0;
	uint64_t dw1;
	uint64_t wide0;
	uint64_t wide1;
} refusals[] = {
	{ 5ull << 48 | 0x12, 0x700001, 0x10, 0 },
	{ 0x13, 0x700001, 0x10, 0 },
	{ 5ull << 48 | 0x11, 0, 0x10, 0 },
	{ 0x30, 0, 0x10, 0 },
	{ 0x1000000005, 1, 0x1000000006, 0 },
	{ 0x1000007005, 0, 0x1000000006, 0 },
	{ 0x1000000040, 0x700000, 0x1000000040, 52 },
	{ 0x1000007840, 0x700000, 0x1000007840, 52 },
};

static void one_replacement(struct world *w, const struct refusal *r,
			    uint32_t n, uint32_t at)
{
	const struct smmuinv_command narrow = raw(r->dw0, r->dw1);
	const struct smmuinv_command wide = raw(r->wide0, r->wide1);
	struct smmuinv_result result;
	uint32_t i;

	vm_forget(&w->vm);
	w->vm.refused = &narrow;
	w->vm.refused_count = 1;
	for (i = 0; i < n; i++)
		add(w, i == at ? narrow : page(i));
	result = flush(w, 0);
	assert_int_equal(result.completed, n);
	assert_int_equal(result.forwarded, n);
	assert_int_equal(result.replaced, 1);
	assert_true(vm_times(&w->vm, 0, &wide) > 0);
	for (i = 0; i < n; i++)
		assert_true(i == at || is_executed(w, page(i)));
}

/* In every place of a window. */
static void a_command_that_stays_refused_is_replaced_by_a_wider(void **state)
{
	uint32_t r, p, n, at;

	(void)state;
	for (r = 0; r < ARRAY_SIZE(refusals); r++) {
		for (p = 0; p < ARRAY_SIZE(plans); p++) {
			const struct vm_options options = { .plan = plans[p] };
			struct world w;

			world_open(&w, &options);
			for (n = 1; n < 40; n += 6) {
				for (at = 0; at < n; at += 1 + n / 4)
					one_replacement(&w, &refusals[r], n,
							at);
			}
			world_close(&w);
		}
	}
}

static void one_uncovered(uint32_t plan, const struct refusal *r, uint32_t at,
			  bool of_stream)
{
	const struct smmuinv_command refused[] = {
		raw(r->dw0, r->dw1),
		raw(r->wide0, r->wide1),
	};
	const struct vm_options options = { .plan = plan };
	struct smmuinv_result result;
	struct world w;
	uint32_t i;

	world_open(&w, &options);
	w.vm.refused = refused;
	w.vm.refused_count = 2;
	for (i = 0; i < 20; i++)
		add(&w, i == at ? refused[0] : page(i));
	result = flush(&w, of_stream ? -ENODEV : -EIO);
	/* Merged, commands before it may come later in the call. */
	assert_true(result.completed <= at);
	if (plan == SMMUINV_PLAN_AS_WRITTEN)
		assert_int_equal(result.completed, at);
	assert_int_equal(result.fault_index, at);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.replaced, 0);
	assert_true(result.fault.vsid ==
		    (of_stream ? VM_VSID : SMMUINV_VSID_NONE));
	assert_pages_executed(&w, result.completed);
	w.vm.refused_count = 0;
	assert_int_equal(flush(&w, 0).completed, 20 - result.completed);
	world_close(&w);
}

/* Nor the wider one: TLBIs are the host's failure, CFGIs the vDEVICE's. */
static void what_nothing_covers_is_reported_at_its_place(void **state)
{
	uint32_t r, p, at;

	(void)state;
	for (r = 0; r < 6; r++) {
		for (p = 0; p < ARRAY_SIZE(plans); p++) {
			/* Merged, NSNH_ALL is the window's only command. */
			if (r == 3 && plans[p] == SMMUINV_PLAN_MERGED)
				continue;
			for (at = 0; at < 20; at++)
				one_uncovered(plans[p], &refusals[r], at,
					      r >= 4);
		}
	}
}

static uint32_t log2_of(uint32_t n)
{
	uint32_t log2 = 0;

	while (n >>= 1)
		log2++;
	return log2;
}

/* For every length and place: what it costs, and what is complete. */
static void lost_vdevice(struct world *w)
{
	uint32_t n, bad, i;

	vm_plug(&w->vm, GONE);
	vm_lose_vdevice(&w->vm, GONE);
	for (n = 1; n <= MANY; n += n < 20 ? 3 : 27) {
		for (bad = 0; bad < n; bad += 1 + n / 7) {
			struct smmuinv_result result;

			vm_forget(&w->vm);
			for (i = 0; i < n; i++)
				add(w, i == bad ? cfgi_cd(GONE) : page(i));
			result = flush(w, -ENODEV);
			assert_true(result.fault.vsid == GONE);
			assert_int_equal(result.completed, bad);
			assert_int_equal(result.fault_index, bad);
			assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
			assert_true(result.ioctls <= 2 * log2_of(n) + 6);
			assert_pages_executed(w, bad);
			/* The VMM does not remove it: no harm is done. */
			result = flush(w, -ENODEV);
			assert_int_equal(result.completed, 0);
			smmuinv_batch_clear(w->batch);
		}
	}
	/* It removes it. */
	add(w, page(0));
	add(w, cfgi_cd(GONE));
	add(w, page(1));
	(void)flush(w, -ENODEV);
	vm_unplug(&w->vm, GONE);
	assert_int_equal(flush(w, 0).completed, 2);
	assert_pages_executed(w, 2);
}

static void a_vdevice_that_is_gone_is_named_and_hides_nothing(void **state)
{
	(void)state;
	with_each(lost_vdevice);
}

/* More of them than the budget has tries for. */
static void many_commands(struct world *w)
{
	uint32_t i;

	vm_plug(&w->vm, GONE);
	vm_lose_vdevice(&w->vm, GONE);
	for (i = 0; i < MANY; i++)
		add(w, i % 2 ? page(i) :
			       raw((uint64_t)GONE << 32 | i << 12 |
					   SMMUINV_CMD_CFGI_CD,
				   1));
	assert_true(flush(w, -ENODEV).fault.vsid == GONE);
	vm_unplug(&w->vm, GONE);
	assert_int_equal(flush(w, 0).completed, MANY);
	for (i = 1; i < MANY; i += 2)
		assert_true(is_executed(w, page(i)));
}

static void
a_vdevice_that_is_gone_is_named_however_many_commands_name_it(void **state)
{
	(void)state;
	with_each(many_commands);
}

static void commands_that_are_not_sent_count_before_a_refused_one(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_AS_WRITTEN };
	struct smmuinv_result result;
	struct world w;

	(void)state;
	world_open(&w, &options);
	add(&w, page(1));
	add(&w, cfgi_cd(0xbad)); /* no device */
	add(&w, cfgi_cd(OTHER)); /* will be refused */
	add(&w, page(2));
	vm_lose_vdevice(&w.vm, OTHER);
	result = flush(&w, -ENODEV);
	assert_int_equal(result.completed, 2);
	assert_int_equal(result.forwarded, 1);
	assert_int_equal(result.dropped, 1);
	assert_int_equal(result.fault_index, 2);
	world_close(&w);
}

static void a_viommu_that_is_gone_is_enoent(void **state)
{
	const struct vm_options options = { .empty = true };
	struct smmuinv_result result;
	struct world w;

	(void)state;
	world_open(&w, &options);
	add(&w, page(0));
	vm_unplug(&w.vm, OTHER);
	assert_int_equal(smmuinv_mock_destroy(w.vm.mock, w.vm.smmu[0].viommu),
			 0);
	result = flush(&w, -ENOENT);
	assert_int_equal(result.completed, 0);
	assert_int_equal(result.fault.viommu_id, w.vm.smmu[0].viommu);
	assert_true(result.fault.vsid == SMMUINV_VSID_NONE);
	world_close(&w);
}

/* -ENODEV always comes with the stream to be removed. */
static void a_backends_own_enodev_is_eio(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct world w;

	(void)state;
	world_open(&w, &options);
	add(&w, page(0));
	vm_fail(&w.vm, 0, 0, -ENODEV);
	assert_true(flush(&w, -EIO).fault.vsid == SMMUINV_VSID_NONE);
	vm_fail(&w.vm, 0, 0, 0);
	assert_int_equal(flush(&w, 0).completed, 1);
	world_close(&w);
}

static void any_other_errno_comes_back_after_a_few_tries(void **state)
{
	static const int errors[] = { -EFAULT,     -EINVAL, -EPERM,
				      -EOPNOTSUPP, -ENOTTY, -EBUSY };
	uint32_t e;

	(void)state;
	for (e = 0; e < ARRAY_SIZE(errors); e++) {
		const struct vm_options options = { .plan = e % 2 };
		struct smmuinv_result result;
		struct world w;

		world_open(&w, &options);
		add_pages(&w, 8);
		vm_fail(&w.vm, 0, 0, errors[e]);
		result = flush(&w, errors[e]);
		assert_int_equal(result.completed, 0);
		assert_int_equal(result.fault_index, 0);
		assert_true(result.ioctls <= 5);
		assert_int_equal(result.retries, result.ioctls - 1);
		vm_fail(&w.vm, 0, 0, 0);
		assert_int_equal(flush(&w, 0).completed, 8);
		assert_int_equal(vm_executed(&w.vm, 0), 8);
		world_close(&w);
	}
}

/* A second each. */
static void an_smmu_that_does_not_answer_costs_so_many_seconds(void **state)
{
	uint32_t budget;

	(void)state;
	for (budget = 0; budget < 8; budget++) {
		const struct vm_options options = {
			.plan = budget % 2,
			.timeouts_max = budget,
			.smmus = 2,
		};
		struct smmuinv_result result;
		struct world w;
		uint32_t i;

		world_open(&w, &options);
		vm_hang_smmu(&w.vm, 1, true);
		for (i = 0; i < MANY; i++)
			add(&w, i % 3 ? page(i) : cfgi_cd(OTHER + 1));
		result = flush(&w, -ETIMEDOUT);
		assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(result.completed, 0);
		assert_int_equal(result.fault.viommu_id, w.vm.smmu[1].viommu);
		assert_true(result.fault.vsid == SMMUINV_VSID_NONE);
		assert_true(result.timeouts >= 1);
		assert_true(result.timeouts <= (budget ? budget : 5));
		assert_int_equal(result.timeouts, vm_calls_to(&w.vm, 1));
		/* The other one has done its part. */
		assert_int_equal(vm_calls_to(&w.vm, 0), 1);
		vm_hang_smmu(&w.vm, 1, false);
		assert_int_equal(flush(&w, 0).completed, MANY);
		world_close(&w);
	}
}

/* Flush at a CMD_SYNC; @silent does not answer, and everything else is done. */
static struct smmuinv_result flush_owing(struct world *w, uint32_t silent)
{
	struct smmuinv_result result = { .size = sizeof(result) };

	assert_int_equal(smmuinv_batch_flush(w->batch, &result), -ETIMEDOUT);
	assert_int_equal(result.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_HOST);
	assert_true(result.fault.vsid == silent);
	assert_true(vm_stream(&w->vm, silent).owes);
	return result;
}

static void silent_device(struct world *w)
{
	const struct smmuinv_command atc = atc_inv_all(OTHER);
	struct smmuinv_result result;
	uint32_t tries;

	vm_hang(&w->vm, OTHER, SMMUINV_MOCK_SILENT);
	add(w, page(1));
	add(w, atc_inv(VM_VSID, 0x1000));
	add(w, cfgi_cd(OTHER));
	add(w, atc_inv(OTHER, 0x2000));
	add(w, page(2));
	result = flush_owing(w, OTHER);
	assert_int_equal(result.fault_index, 3);
	assert_int_equal(result.completed, 5);
	assert_true(is_executed(w, page(1)));
	assert_true(is_executed(w, page(2)));
	assert_false(vm_stream(&w->vm, VM_VSID).owes);
	/* The batch is empty; the guest tries its CMD_SYNC again, in vain. */
	for (tries = 0; tries < 3; tries++) {
		result = flush_owing(w, OTHER);
		assert_int_equal(result.completed, 0);
		assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
		assert_true(result.timeouts <= 5);
		assert_true(result.ioctls <= 10);
	}
	/* It answers: all of its ATC goes. */
	vm_hang(&w->vm, OTHER, SMMUINV_MOCK_ANSWERS);
	vm_forget(&w->vm);
	/* What is asked of it meanwhile is part of that. */
	add(w, atc_inv(OTHER, 0x3000));
	assert_int_equal(flush(w, 0).completed, 1);
	assert_true(vm_times(&w->vm, 0, &atc) > 0);
	assert_false(vm_stream(&w->vm, OTHER).owes);
	vm_forget(&w->vm);
	(void)flush(w, 0);
	assert_int_equal(w->vm.call_count, 0);
}

static void a_device_that_does_not_answer_owes_and_no_other_does(void **state)
{
	(void)state;
	with_each(silent_device);
}

/* Also of many devices the silent one is named, and asked few times. */
static void needle(struct world *w)
{
	enum { STREAMS = 16 };
	uint32_t silent, i;

	for (i = 0; i < STREAMS; i++)
		vm_plug(&w->vm, 0x100 + i);
	for (silent = 0; silent < STREAMS; silent += 5) {
		struct smmuinv_result result;

		vm_hang(&w->vm, 0x100 + silent, SMMUINV_MOCK_SILENT);
		for (i = 0; i < STREAMS; i++)
			add(w, atc_inv_all(0x100 + i));
		result = flush_owing(w, 0x100 + silent);
		assert_true(result.ioctls <= 2 * log2_of(STREAMS) + 6);
		vm_hang(&w->vm, 0x100 + silent, SMMUINV_MOCK_ANSWERS);
		(void)flush(w, 0);
		for (i = 0; i < STREAMS; i++)
			assert_false(vm_stream(&w->vm, 0x100 + i).owes);
	}
}

static void of_many_devices_the_one_that_does_not_answer_is_named(void **state)
{
	uint32_t kernel, p;

	(void)state;
	for (kernel = 0; kernel <= SMMUINV_MOCK_EXACT_QUARANTINE; kernel++) {
		for (p = 0; p < ARRAY_SIZE(plans); p++) {
			const struct vm_options options = {
				.kernel = kernel,
				.plan = plans[p],
				.timeouts_max = 20,
			};
			struct world w;

			world_open(&w, &options);
			needle(&w);
			world_close(&w);
		}
	}
}

/* What can make a debt go away without the device. */
static void a_debt_goes_with_ats_and_with_the_stream(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct world w;

	(void)state;
	world_open(&w, &options);
	vm_hang(&w.vm, OTHER, SMMUINV_MOCK_SILENT);
	add(&w, atc_inv_all(OTHER));
	(void)flush_owing(&w, OTHER);
	/* On again is not off. */
	vm_set_ats(&w.vm, OTHER, true);
	(void)flush_owing(&w, OTHER);
	vm_set_ats(&w.vm, OTHER, false);
	assert_false(vm_stream(&w.vm, OTHER).owes);
	vm_set_ats(&w.vm, OTHER, true);
	assert_false(vm_stream(&w.vm, OTHER).owes);
	(void)flush(&w, 0);
	add(&w, atc_inv_all(OTHER));
	(void)flush_owing(&w, OTHER);
	vm_unplug(&w.vm, OTHER);
	(void)flush(&w, 0);
	vm_plug(&w.vm, OTHER);
	assert_false(vm_stream(&w.vm, OTHER).owes);
	(void)flush(&w, 0);
	world_close(&w);
}

/* Who cannot be asked still owes. */
static void a_host_that_fails_collects_no_debt(void **state)
{
	uint32_t with_more;

	(void)state;
	for (with_more = 0; with_more < 2; with_more++) {
		const struct vm_options options = {
			.plan = SMMUINV_PLAN_MERGED,
		};
		struct smmuinv_result result;
		struct world w;

		world_open(&w, &options);
		vm_hang(&w.vm, OTHER, SMMUINV_MOCK_SILENT);
		add(&w, atc_inv_all(OTHER));
		(void)flush_owing(&w, OTHER);
		vm_hang(&w.vm, OTHER, SMMUINV_MOCK_ANSWERS);
		vm_fail(&w.vm, 0, 0, -EFAULT);
		if (with_more)
			add(&w, page(1));
		result = flush(&w, -EFAULT);
		assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(result.completed, 0);
		assert_int_equal(result.fault_index,
				 with_more ? 0 : SMMUINV_INDEX_NONE);
		assert_true(vm_stream(&w.vm, OTHER).owes);
		vm_fail(&w.vm, 0, 0, 0);
		assert_int_equal(flush(&w, 0).completed, with_more);
		assert_false(vm_stream(&w.vm, OTHER).owes);
		world_close(&w);
	}
}

/* What is tried again is still in the guest's order. */
static void syncs_stay_where_they_are_after_a_failure(void **state)
{
	uint32_t p, after;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (after = 0; after < 3; after++) {
			const struct vm_options options = { .plan = plans[p] };
			const struct smmuinv_command steps[] = {
				cfgi_cd(VM_VSID),
				page(1),
				atc_inv_all(VM_VSID),
			};
			struct smmuinv_result result;
			struct world w;
			uint32_t i;

			world_open(&w, &options);
			for (i = 0; i < 3; i++) {
				add(&w, steps[i]);
				assert_int_equal(smmuinv_batch_sync(w.batch),
						 0);
			}
			vm_fail(&w.vm, 0, after, -EFAULT);
			result = flush(&w, -EFAULT);
			assert_true(result.completed >= 2 * after);
			assert_int_equal(result.fault_index, 2 * after);
			vm_fail(&w.vm, 0, 0, 0);
			vm_forget(&w.vm);
			assert_int_equal(flush(&w, 0).completed,
					 6 - result.completed);
			assert_int_equal(w.vm.call_count, 3 - after);
			for (i = after; i < 3; i++)
				assert_int_equal(vm_last_call(&w.vm, &steps[i]),
						 i - after);
			world_close(&w);
		}
	}
}

/* Each CMD_SYNC that covers no unanswered ATC_INV is complete. */
static void syncs_before_the_unanswered_atc_inv_are_complete(void **state)
{
	uint32_t p, at, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (at = 0; at < 10; at++) {
			const struct vm_options options = { .plan = plans[p] };
			struct smmuinv_result result;
			struct world w;

			world_open(&w, &options);
			vm_hang(&w.vm, OTHER, SMMUINV_MOCK_SILENT);
			for (i = 0; i < 10; i++) {
				add(&w, i == at ? atc_inv_all(OTHER) : page(i));
				assert_int_equal(smmuinv_batch_sync(w.batch),
						 0);
			}
			result = flush_owing(&w, OTHER);
			assert_int_equal(result.fault_index, 2 * at);
			assert_int_equal(result.completed, 2 * at + 1);
			assert_int_equal(result.forwarded, at + 1);
			for (i = 0; i < 10; i++)
				assert_true(i == at ||
					    is_executed(&w, page(i)));
			/* The rest stays, and begins with that CMD_SYNC. */
			result = flush_owing(&w, OTHER);
			assert_int_equal(result.completed, 0);
			assert_int_equal(result.fault_index,
					 SMMUINV_INDEX_NONE);
			vm_hang(&w.vm, OTHER, SMMUINV_MOCK_ANSWERS);
			result = flush(&w, 0);
			assert_int_equal(result.completed, 19 - 2 * at);
			assert_int_equal(result.forwarded, 9 - at);
			assert_false(vm_stream(&w.vm, OTHER).owes);
			world_close(&w);
		}
	}
}

/* Three streams on three SMMUs. */
static void one_of_several(const uint8_t order[3], uint32_t subset,
			   uint32_t plan)
{
	static const int errors[3] = { -EFAULT, -EBUSY, -EINVAL };
	const struct vm_options options = { .smmus = 3, .plan = plan };
	struct smmuinv_result result;
	uint32_t earliest = 0;
	struct world w;
	uint32_t k;

	world_open(&w, &options);
	for (k = 0; k < 3; k++) {
		add(&w, cfgi_cd(OTHER + order[k]));
		if (subset >> k & 1)
			vm_fail(&w.vm, k, 0, errors[k]);
	}
	while (!(subset >> order[earliest] & 1))
		earliest++;
	result = flush(&w, errors[order[earliest]]);
	assert_int_equal(result.completed, earliest);
	assert_int_equal(result.fault_index, earliest);
	assert_int_equal(result.fault.viommu_id,
			 w.vm.smmu[order[earliest]].viommu);
	for (k = 0; k < 3; k++)
		vm_fail(&w.vm, k, 0, 0);
	assert_int_equal(flush(&w, 0).completed, 3 - earliest);
	for (k = 0; k < 3; k++) {
		const struct smmuinv_command cd = cfgi_cd(OTHER + k);

		assert_true(vm_times(&w.vm, k, &cd) > 0);
	}
	world_close(&w);
}

static void of_several_failures_the_earliest_is_reported(void **state)
{
	static const uint8_t orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 },
					      { 1, 0, 2 }, { 1, 2, 0 },
					      { 2, 0, 1 }, { 2, 1, 0 } };
	uint32_t o, subset;

	(void)state;
	for (o = 0; o < 6; o++) {
		for (subset = 1; subset < 8; subset++)
			one_of_several(orders[o], subset, o % 2);
	}
}

/* Of two, the one that the guest cannot mend, whichever is earlier. */
static void a_silent_device_hides_nothing_that_is_worse(void **state)
{
	uint32_t p, silent;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (silent = 0; silent < 2; silent++) {
			const struct vm_options options = {
				.smmus = 2,
				.plan = plans[p],
			};
			struct smmuinv_result result;
			struct world w;

			world_open(&w, &options);
			vm_hang(&w.vm, OTHER + silent, SMMUINV_MOCK_SILENT);
			vm_lose_vdevice(&w.vm, OTHER + !silent);
			add(&w, atc_inv_all(OTHER + silent));
			add(&w, cfgi_cd(OTHER + !silent));
			result = flush(&w, -ENODEV);
			assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
			assert_true(result.fault.vsid ==
				    (uint64_t)(OTHER + !silent));
			assert_int_equal(result.fault.viommu_id,
					 w.vm.smmu[!silent].viommu);
			vm_unplug(&w.vm, OTHER + !silent);
			/* Then the guest is to see it. */
			(void)flush_owing(&w, OTHER + silent);
			world_close(&w);
		}
	}
}

static void what_one_smmu_fails_another_has_executed(void **state)
{
	uint32_t p, failing, k, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (failing = 0; failing < 3; failing++) {
			const struct vm_options options = {
				.smmus = 3,
				.plan = plans[p],
			};
			struct smmuinv_result result;
			struct world w;

			world_open(&w, &options);
			add_pages(&w, 4);
			for (k = 0; k < 3; k++)
				add(&w, cfgi_cd(OTHER + k));
			vm_fail(&w.vm, failing, 0, -EFAULT);
			result = flush(&w, -EFAULT);
			assert_int_equal(result.completed, 0);
			assert_int_equal(result.fault.viommu_id,
					 w.vm.smmu[failing].viommu);
			for (k = 0; k < 3; k++)
				assert_int_equal(vm_executed(&w.vm, k),
						 k == failing ? 0 : 5);
			vm_fail(&w.vm, failing, 0, 0);
			assert_int_equal(flush(&w, 0).completed, 7);
			for (i = 0; i < 4; i++) {
				const struct smmuinv_command c = page(i);

				assert_int_equal(vm_times(&w.vm, failing, &c),
						 1);
			}
			world_close(&w);
		}
	}
}

static void a_failure_in_an_array_counts_from_its_first_command(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_AS_WRITTEN };
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[2 * MANY];
	struct world w;
	uint32_t i;

	(void)state;
	world_open(&w, &options);
	for (i = 0; i < 2 * MANY; i++)
		commands[i] = page(i);
	commands[MANY + 20] = cfgi_cd(OTHER);
	vm_lose_vdevice(&w.vm, OTHER);
	assert_int_equal(
		smmuinv_batch_submit(w.batch, commands, 2 * MANY, &result),
		-ENODEV);
	assert_int_equal(result.completed, MANY + 20);
	assert_int_equal(result.fault_index, MANY + 20);
	assert_int_equal(result.forwarded, MANY + 20);
	assert_true(result.fault.vsid == OTHER);
	/* The batch is empty. */
	vm_forget(&w.vm);
	(void)flush(&w, 0);
	assert_int_equal(w.vm.call_count, 0);
	world_close(&w);
}

static void a_host_failure_in_an_array_is_no_cerror(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct smmuinv_result result = { .size = sizeof(result) };
	const struct smmuinv_command commands[3] = { page(0), page(1),
						     raw(0xff, 0) };
	struct world w;

	(void)state;
	world_open(&w, &options);
	vm_fail(&w.vm, 0, 0, -EFAULT);
	assert_int_equal(smmuinv_batch_submit(w.batch, commands, 3, &result),
			 -EFAULT);
	assert_int_equal(result.completed, 0);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_HOST);
	vm_fail(&w.vm, 0, 0, 0);
	/* Going on from where it says completes everything. */
	assert_int_equal(smmuinv_batch_submit(w.batch, commands, 3, &result),
			 1);
	assert_int_equal(result.completed, 2);
	assert_int_equal(result.cerror, SMMUINV_CERROR_ILL);
	world_close(&w);
}

/* The second time fails: the command is not complete after the first. */
static void with_the_erratum_one_execution_is_not_complete(void **state)
{
	uint32_t p, after, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (after = 0; after < 2; after++) {
			const struct vm_options options = {
				.plan = plans[p],
				.smmu[0].hw_flags = SMMUINV_HW_INFO_REPEAT,
			};
			struct world w;

			world_open(&w, &options);
			add_pages(&w, 4);
			vm_fail(&w.vm, 0, after, -EFAULT);
			assert_int_equal(flush(&w, -EFAULT).completed, 0);
			vm_fail(&w.vm, 0, 0, 0);
			vm_forget(&w.vm);
			assert_int_equal(flush(&w, 0).completed, 4);
			for (i = 0; i < 4; i++) {
				const struct smmuinv_command c = page(i);

				assert_int_equal(vm_times(&w.vm, 0, &c), 2);
			}
			world_close(&w);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(a_failure_that_goes_away_does_not_show),
		T(success_for_another_number_is_not_believed),
		T(an_answer_that_makes_no_sense_is_eproto),
		T(without_memory_the_host_is_asked_in_smaller_calls),
		T(so_many_retries_may_a_window_make),
		T(a_command_that_stays_refused_is_replaced_by_a_wider),
		T(what_nothing_covers_is_reported_at_its_place),
		T(a_vdevice_that_is_gone_is_named_and_hides_nothing),
		T(a_vdevice_that_is_gone_is_named_however_many_commands_name_it),
		T(commands_that_are_not_sent_count_before_a_refused_one),
		T(a_viommu_that_is_gone_is_enoent),
		T(a_backends_own_enodev_is_eio),
		T(any_other_errno_comes_back_after_a_few_tries),
		T(an_smmu_that_does_not_answer_costs_so_many_seconds),
		T(a_device_that_does_not_answer_owes_and_no_other_does),
		T(of_many_devices_the_one_that_does_not_answer_is_named),
		T(a_debt_goes_with_ats_and_with_the_stream),
		T(a_host_that_fails_collects_no_debt),
		T(syncs_stay_where_they_are_after_a_failure),
		T(syncs_before_the_unanswered_atc_inv_are_complete),
		T(of_several_failures_the_earliest_is_reported),
		T(a_silent_device_hides_nothing_that_is_worse),
		T(what_one_smmu_fails_another_has_executed),
		T(a_failure_in_an_array_counts_from_its_first_command),
		T(a_host_failure_in_an_array_is_no_cerror),
		T(with_the_erratum_one_execution_is_not_complete),
#undef T
	};

	return cmocka_run_group_tests_name("repair", tests, NULL, NULL);
}
