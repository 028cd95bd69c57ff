/* SPDX-License-Identifier: MIT */
/*
 * Several physical SMMUs under one virtual one: what goes to which.
 */
#include "support.h"

#include <errno.h>

#include "command.h"
#include "vm.h"

#define WINDOW 64

/* SMMU k has the streams 16 * k + 1 and 16 * k + 2. */
static uint32_t vsid_of(uint32_t which, uint32_t n)
{
	return 16 * which + 1 + n;
}

static const uint32_t plans[] = { SMMUINV_PLAN_AS_WRITTEN,
				  SMMUINV_PLAN_MERGED };

struct several {
	struct vm vm;
	struct smmuinv_batch *batch;
};

static void several_open_with(struct several *s, const struct vm_options *like)
{
	struct vm_options options = *like;
	uint32_t k;

	options.empty = true;
	vm_open_with(&s->vm, &options);
	for (k = 0; k < options.smmus; k++) {
		vm_plug_on(&s->vm, k, vsid_of(k, 0));
		vm_plug_on(&s->vm, k, vsid_of(k, 1));
	}
	assert_int_equal(smmuinv_batch_new(s->vm.vsmmu, WINDOW, &s->batch), 0);
}

static void several_open(struct several *s, uint32_t smmus, uint32_t plan)
{
	const struct vm_options options = { .smmus = smmus, .plan = plan };

	several_open_with(s, &options);
}

static void several_close(struct several *s)
{
	smmuinv_batch_free(s->batch);
	vm_close(&s->vm);
}

static void add(struct several *s, struct smmuinv_command command)
{
	int verdict = smmuinv_batch_add(s->batch, &command, NULL);

	assert_true(verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE);
}

static struct smmuinv_result flush(struct several *s)
{
	struct smmuinv_result result = { .size = sizeof(result) };

	assert_int_equal(smmuinv_batch_flush(s->batch, &result), 0);
	return result;
}

/* Whether SMMU @which has to execute it. */
static bool concerns(const struct smmuinv_command *command, uint32_t which)
{
	uint32_t sid = command_sid(command);

	return !command_names_stream(command) || sid == vsid_of(which, 0) ||
	       sid == vsid_of(which, 1);
}

static struct smmuinv_command random_command(uint32_t smmus)
{
	uint32_t vsid = vsid_of((uint32_t)test_random_below(smmus),
				(uint32_t)test_random_below(2));

	switch (test_random_below(6)) {
	case 0:
		return cfgi_cd(vsid);
	case 1:
		return cfgi_cd_all(vsid);
	case 2:
		return atc_inv(vsid, test_random_below(8) << 12);
	case 3:
		/* A stream that does not exist. */
		return test_chance(50) ? cfgi_cd(0xbad) : atc_inv(0xbad, 0);
	default:
		return tlbi_va(test_random_below(32) << 12);
	}
}

/* What one SMMU has executed, in order. */
static size_t executed_on(struct several *s, uint32_t which,
			  struct smmuinv_command *executed, size_t max)
{
	const struct smmuinv_mock_record *records;
	size_t count = smmuinv_mock_executed(s->vm.mock, &records);
	size_t n = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		if (records[i].viommu_id != s->vm.smmu[which].viommu)
			continue;
		assert_true(n < max);
		executed[n++] = records[i].command;
	}
	return n;
}

static void as_written_each_gets_what_concerns_it_in_order(void **state)
{
	size_t windows = test_iterations(3000);
	struct several s;

	(void)state;
	several_open(&s, 3, SMMUINV_PLAN_AS_WRITTEN);
	while (windows--) {
		struct smmuinv_command commands[WINDOW];
		uint32_t n = 1 + (uint32_t)test_random_below(WINDOW);
		struct smmuinv_result result;
		uint32_t sent = 0;
		uint32_t i, k;

		for (i = 0; i < n; i++) {
			commands[i] = random_command(3);
			add(&s, commands[i]);
		}
		vm_forget(&s.vm);
		result = flush(&s);
		assert_int_equal(result.completed, n);
		for (k = 0; k < 3; k++) {
			struct smmuinv_command executed[WINDOW];
			size_t count = executed_on(&s, k, executed, WINDOW);
			size_t at = 0;

			for (i = 0; i < n; i++) {
				if (!concerns(&commands[i], k))
					continue;
				assert_true(at < count);
				assert_true(test_command_equal(&executed[at++],
							       &commands[i]));
			}
			assert_int_equal(at, count);
			sent += (uint32_t)count;
		}
		assert_int_equal(result.host_commands, sent);
		assert_int_equal(result.ioctls, s.vm.call_count);
	}
	several_close(&s);
}

/* The same commands to one that has only the streams of SMMU @which. */
static void assert_as_if_alone(struct several *s, uint32_t which,
			       const struct smmuinv_command *commands,
			       uint32_t n)
{
	const struct vm_options options = { .empty = true };
	struct smmuinv_command expected[WINDOW], got[WINDOW];
	struct several alone;
	size_t count;
	uint32_t i;

	vm_open_with(&alone.vm, &options);
	vm_plug(&alone.vm, vsid_of(which, 0));
	vm_plug(&alone.vm, vsid_of(which, 1));
	assert_int_equal(
		smmuinv_batch_new(alone.vm.vsmmu, WINDOW, &alone.batch), 0);
	for (i = 0; i < n; i++)
		add(&alone, commands[i]);
	(void)flush(&alone);
	count = executed_on(&alone, 0, expected, WINDOW);
	assert_int_equal(executed_on(s, which, got, WINDOW), count);
	if (count)
		assert_memory_equal(got, expected, count * sizeof(*got));
	several_close(&alone);
}

static void merged_each_gets_what_it_would_get_alone(void **state)
{
	size_t windows = test_iterations(1000);
	struct several s;

	(void)state;
	several_open(&s, 3, SMMUINV_PLAN_MERGED);
	while (windows--) {
		struct smmuinv_command commands[WINDOW];
		uint32_t n = 1 + (uint32_t)test_random_below(WINDOW);
		uint32_t i, k;

		for (i = 0; i < n; i++) {
			commands[i] = random_command(3);
			add(&s, commands[i]);
		}
		vm_forget(&s.vm);
		(void)flush(&s);
		for (k = 0; k < 3; k++)
			assert_as_if_alone(&s, k, commands, n);
	}
	several_close(&s);
}

static void an_smmu_that_nothing_concerns_is_not_called(void **state)
{
	uint32_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct several s;

		several_open(&s, 3, plans[p]);
		add(&s, cfgi_cd(vsid_of(1, 0)));
		add(&s, cfgi_cd_all(vsid_of(1, 1)));
		(void)flush(&s);
		assert_int_equal(vm_calls_to(&s.vm, 0), 0);
		assert_int_equal(vm_calls_to(&s.vm, 1), 1);
		assert_int_equal(vm_calls_to(&s.vm, 2), 0);
		several_close(&s);
	}
}

static void detach(struct several *s, uint32_t which)
{
	assert_int_equal(smmuinv_vsmmu_remove_viommu(s->vm.vsmmu,
						     s->vm.smmu[which].viommu),
			 0);
}

static void attach(struct several *s, uint32_t which)
{
	const struct smmuinv_viommu_params params =
		vm_viommu_params(&s->vm, which);

	assert_int_equal(smmuinv_vsmmu_add_viommu(s->vm.vsmmu, &params, NULL),
			 0);
}

static void unplug_all(struct several *s)
{
	uint32_t k;

	for (k = 0; k < 2 * s->vm.smmus; k++)
		vm_unplug(&s->vm, vsid_of(k / 2, k % 2));
}

static void tlbis_go_to_an_smmu_while_it_is_on_the_list(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0x5000);
	struct several s;

	(void)state;
	several_open(&s, 3, SMMUINV_PLAN_MERGED);
	unplug_all(&s);
	add(&s, tlbi);
	(void)flush(&s);
	/* The last takes the place of the first. */
	detach(&s, 0);
	add(&s, tlbi);
	(void)flush(&s);
	attach(&s, 0);
	detach(&s, 1);
	add(&s, tlbi);
	(void)flush(&s);
	assert_int_equal(vm_times(&s.vm, 0, &tlbi), 2);
	assert_int_equal(vm_times(&s.vm, 1, &tlbi), 2);
	assert_int_equal(vm_times(&s.vm, 2, &tlbi), 3);
	several_close(&s);
}

/* Nothing is cached where nothing is. */
static void without_any_everything_is_complete_at_once(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0);
	struct smmuinv_result result;
	struct several s;

	(void)state;
	several_open(&s, 1, SMMUINV_PLAN_MERGED);
	unplug_all(&s);
	detach(&s, 0);
	add(&s, tlbi);
	add(&s, cfgi_cd(1));
	add(&s, atc_inv_all(1));
	result = flush(&s);
	assert_int_equal(result.completed, 3);
	assert_int_equal(result.dropped, 3);
	assert_int_equal(result.ioctls, 0);
	/* And with one again, it is there again. */
	attach(&s, 0);
	add(&s, tlbi);
	assert_int_equal(flush(&s).dropped, 0);
	assert_int_equal(vm_times(&s.vm, 0, &tlbi), 1);
	several_close(&s);
}

/* One can do it with a range, one needs pages, one has the erratum. */
static void each_gets_what_it_can_execute(void **state)
{
	const struct smmuinv_features no_ril = everything_with(3, 0);
	const struct smmuinv_command range =
		raw(UINT64_C(5) << 48 | 3 << 12 | SMMUINV_CMD_TLBI_NH_VA,
		    SMMUINV_TG_4K << 10 | 1);
	uint32_t p, i;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		const struct vm_options options = {
			.smmus = 3,
			.plan = plans[p],
			.guest = &everything,
			.smmu[1].host = &no_ril,
			.smmu[2].hw_flags = SMMUINV_HW_INFO_REPEAT,
		};
		struct several s;

		several_open_with(&s, &options);
		add(&s, range);
		for (i = 0; i < 3; i++)
			add(&s, atc_inv_all(vsid_of(i, 0)));
		(void)flush(&s);
		assert_int_equal(vm_executed(&s.vm, 0), 2);
		assert_int_equal(vm_times(&s.vm, 0, &range), 1);
		assert_int_equal(vm_executed(&s.vm, 1), 4 + 1);
		assert_int_equal(vm_times(&s.vm, 1, &range), 0);
		assert_int_equal(vm_executed(&s.vm, 2), 3);
		assert_int_equal(vm_times(&s.vm, 2, &range), 2);
		several_close(&s);
	}
}

/* CFGI, TLBI, ATC with a CMD_SYNC between: a call each, on each by itself. */
static void ranks_are_kept_apart_on_each_smmu(void **state)
{
	uint32_t p, k;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct several s;

		several_open(&s, 3, plans[p]);
		for (k = 0; k < 2; k++)
			add(&s, cfgi_cd(vsid_of(k, 0)));
		assert_int_equal(smmuinv_batch_sync(s.batch), 0);
		add(&s, tlbi_va(0x1000));
		assert_int_equal(smmuinv_batch_sync(s.batch), 0);
		for (k = 0; k < 2; k++)
			add(&s, atc_inv_all(vsid_of(k, 0)));
		(void)flush(&s);
		assert_int_equal(vm_calls_to(&s.vm, 0), 3);
		assert_int_equal(vm_calls_to(&s.vm, 1), 3);
		assert_int_equal(vm_calls_to(&s.vm, 2), 1);
		several_close(&s);
	}
}

/* It was on another SMMU when the command was added. */
static void a_command_goes_where_its_stream_is_when_it_is_sent(void **state)
{
	const struct smmuinv_command cd = cfgi_cd(vsid_of(0, 0));
	uint32_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct several s;

		several_open(&s, 2, plans[p]);
		add(&s, cd);
		vm_fail(&s.vm, 0, 0, -EFAULT);
		assert_int_equal(smmuinv_batch_flush(s.batch, NULL), -EFAULT);
		vm_unplug(&s.vm, vsid_of(0, 0));
		vm_plug_on(&s.vm, 1, vsid_of(0, 0));
		(void)flush(&s);
		assert_int_equal(vm_times(&s.vm, 0, &cd), 0);
		assert_int_equal(vm_times(&s.vm, 1, &cd), 1);
		several_close(&s);
	}
}

/* The CMD_SYNC that stays waits for one device only. */
static void only_the_device_that_did_not_answer_is_asked_again(void **state)
{
	const struct vm_queue_options queue = { .log2size = 4 };
	uint32_t p, k;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct several s;
		struct vm_queue q;

		several_open(&s, 2, plans[p]);
		vm_queue_open(&q, s.vm.vsmmu, &queue);
		vm_hang(&s.vm, vsid_of(1, 0), SMMUINV_MOCK_SILENT);
		vm_write(&q, tlbi_va(0x1000));
		for (k = 0; k < 4; k++)
			vm_write(&q, atc_inv_all(vsid_of(k / 2, k % 2)));
		vm_write(&q, cmd_sync());
		assert_int_equal(vm_consume(&q), 5);
		assert_int_equal(q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
		assert_int_equal(q.progress.fault.viommu_id,
				 s.vm.smmu[1].viommu);
		assert_int_equal(vm_executed(&s.vm, 0), 3);
		vm_forget(&s.vm);
		vm_hang(&s.vm, vsid_of(1, 0), SMMUINV_MOCK_ANSWERS);
		assert_int_equal(vm_consume(&q), 1);
		assert_int_equal(vm_calls_to(&s.vm, 0), 0);
		/* Without PASID, and with any. */
		assert_int_equal(vm_executed(&s.vm, 1), 2);
		vm_queue_close(&q);
		several_close(&s);
	}
}

/*
 * The guest sees the queue stopped at the CMD_SYNC. It may rely on the commands
 * after it to invalidate what it changes then (7.1).
 */
static void what_comes_after_a_failed_sync_is_executed_again(void **state)
{
	const struct vm_queue_options queue = { .log2size = 4 };
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	struct several s;
	struct vm_queue q;

	(void)state;
	several_open(&s, 2, SMMUINV_PLAN_MERGED);
	vm_queue_open(&q, s.vm.vsmmu, &queue);
	vm_hang(&s.vm, vsid_of(1, 0), SMMUINV_MOCK_SILENT);
	vm_write(&q, atc_inv_all(vsid_of(1, 0)));
	vm_write(&q, cmd_sync());
	vm_write(&q, tlbi);
	vm_write(&q, cmd_sync());
	assert_int_equal(vm_consume(&q), 1);
	assert_int_equal(q.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	vm_forget(&s.vm);
	vm_hang(&s.vm, vsid_of(1, 0), SMMUINV_MOCK_ANSWERS);
	assert_int_equal(vm_consume(&q), 3);
	assert_int_equal(vm_times(&s.vm, 0, &tlbi), 1);
	assert_int_equal(vm_times(&s.vm, 1, &tlbi), 1);
	vm_queue_close(&q);
	several_close(&s);
}

static void a_queue_without_any_smmu_goes_on(void **state)
{
	const struct vm_queue_options queue = { .log2size = 4 };
	struct several s;
	struct vm_queue q;

	(void)state;
	several_open(&s, 1, SMMUINV_PLAN_MERGED);
	vm_queue_open(&q, s.vm.vsmmu, &queue);
	unplug_all(&s);
	detach(&s, 0);
	vm_write(&q, tlbi_va(0));
	vm_write(&q, cfgi_cd(1));
	vm_write(&q, atc_inv_all(1));
	vm_write(&q, cmd_sync());
	assert_int_equal(vm_consume(&q), 4);
	assert_int_equal(q.progress.dropped, 3);
	assert_int_equal(q.progress.vmm, 1);
	vm_queue_close(&q);
	several_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(as_written_each_gets_what_concerns_it_in_order),
		T(merged_each_gets_what_it_would_get_alone),
		T(an_smmu_that_nothing_concerns_is_not_called),
		T(tlbis_go_to_an_smmu_while_it_is_on_the_list),
		T(without_any_everything_is_complete_at_once),
		T(each_gets_what_it_can_execute),
		T(ranks_are_kept_apart_on_each_smmu),
		T(a_command_goes_where_its_stream_is_when_it_is_sent),
		T(only_the_device_that_did_not_answer_is_asked_again),
		T(what_comes_after_a_failed_sync_is_executed_again),
		T(a_queue_without_any_smmu_goes_on),
#undef T
	};

	return cmocka_run_group_tests_name("viommu", tests, NULL, NULL);
}
