/* SPDX-License-Identifier: MIT */
/*
 * What a VMM that traces is shown: the guest's window, what the host was asked
 * for, where, and what came of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "support.h"

enum { TRACES = 64, ROOM = 64 };

struct shown {
	uint32_t viommu_id;
	uint32_t guest_count;
	uint32_t host_count;
	int32_t error;
	struct smmuinv_command guest[ROOM];
	struct smmuinv_command host[ROOM];
};

struct vmm {
	struct fixture f;
	struct smmuinv_batch *batch;
	struct shown shown[TRACES];
	uint32_t count;
};

static void on_trace(void *opaque, const struct smmuinv_trace *trace)
{
	struct vmm *vmm = opaque;
	struct shown *shown = &vmm->shown[vmm->count++];

	assert_true(vmm->count <= TRACES);
	assert_int_equal(trace->size, sizeof(*trace));
	assert_true(trace->guest_count <= ROOM && trace->host_count <= ROOM);
	shown->viommu_id = trace->viommu_id;
	shown->guest_count = trace->guest_count;
	shown->host_count = trace->host_count;
	shown->error = trace->error;
	memcpy(shown->guest, trace->guest,
	       trace->guest_count * sizeof(*trace->guest));
	memcpy(shown->host, trace->host,
	       trace->host_count * sizeof(*trace->host));
}

static void vmm_open(struct vmm *vmm, enum smmuinv_plan plan, uint32_t repeat)
{
	const struct smmuinv_vsmmu_params like = {
		.size = sizeof(like),
		.guest = everything,
		.host = everything,
		.plan = plan,
		.repeat = repeat,
		.trace = on_trace,
		.trace_opaque = vmm,
	};

	memset(vmm, 0, sizeof(*vmm));
	fixture_open_like(&vmm->f, &like, NULL);
	assert_int_equal(smmuinv_batch_new(vmm->f.vsmmu, ROOM, &vmm->batch), 0);
}

static void vmm_close(struct vmm *vmm)
{
	smmuinv_batch_free(vmm->batch);
	fixture_close(&vmm->f);
}

static void add(struct vmm *vmm, struct smmuinv_command command)
{
	assert_true(smmuinv_batch_add(vmm->batch, &command, NULL) >= 0);
}

static int flush(struct vmm *vmm)
{
	vmm->count = 0;
	vmm->f.call_count = 0;
	smmuinv_mock_forget(vmm->f.mock);
	return smmuinv_batch_flush(vmm->batch, NULL);
}

/* What was shown is what the host was asked for in that call. */
static void assert_shown_is_call(const struct vmm *vmm, uint32_t shown,
				 uint32_t call)
{
	const struct shown *s = &vmm->shown[shown];
	const struct fixture_call *c = &vmm->f.calls[call];

	assert_int_equal(s->viommu_id, vmm->f.viommu);
	assert_int_equal(s->host_count, c->count);
	assert_memory_equal(s->host, c->commands,
			    c->count * sizeof(c->commands[0]));
}

static void a_plan_is_shown_with_the_window_that_it_stands_for(void **state)
{
	const struct smmuinv_command page = tlbi_va(0x1000);
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, SMMUINV_PLAN_FEWEST, SMMUINV_REPEAT_NEVER);
	add(&vmm, page);
	add(&vmm, cfgi_cd(0xbad));
	add(&vmm, page);
	assert_int_equal(flush(&vmm), 0);
	assert_int_equal(vmm.count, 1);
	assert_shown_is_call(&vmm, 0, 0);
	assert_int_equal(vmm.shown[0].error, 0);
	assert_int_equal(vmm.shown[0].guest_count, 3);
	assert_command_equal(&vmm.shown[0].guest[0], &page);
	assert_command_equal(&vmm.shown[0].guest[2], &page);
	assert_int_equal(vmm.shown[0].host_count, 1);
	assert_command_equal(&vmm.shown[0].host[0], &page);
	vmm_close(&vmm);
}

static void
as_written_the_hosts_are_the_guests_that_need_something(void **state)
{
	const struct smmuinv_command page = tlbi_va(0x1000);
	const struct smmuinv_command cd = cfgi_cd(FIXTURE_VSID);
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, SMMUINV_PLAN_AS_WRITTEN, SMMUINV_REPEAT_NEVER);
	add(&vmm, page);
	add(&vmm, atc_inv_all(0xbad));
	add(&vmm, page);
	add(&vmm, cd);
	assert_int_equal(flush(&vmm), 0);
	assert_int_equal(vmm.count, 1);
	assert_shown_is_call(&vmm, 0, 0);
	assert_int_equal(vmm.shown[0].guest_count, 4);
	assert_int_equal(vmm.shown[0].host_count, 3);
	assert_command_equal(&vmm.shown[0].host[2], &cd);
	vmm_close(&vmm);
}

static void each_run_between_ranks_that_a_sync_separates_is_shown(void **state)
{
	unsigned int plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct vmm vmm;
		uint32_t i;

		vmm_open(&vmm, (enum smmuinv_plan)plan, SMMUINV_REPEAT_NEVER);
		add(&vmm, cfgi_cd(FIXTURE_VSID));
		assert_int_equal(smmuinv_batch_sync(vmm.batch), 0);
		add(&vmm, tlbi_va(0x1000));
		assert_int_equal(smmuinv_batch_sync(vmm.batch), 0);
		add(&vmm, atc_inv_all(FIXTURE_VSID));
		assert_int_equal(flush(&vmm), 0);
		assert_int_equal(vmm.count, 3);
		for (i = 0; i < 3; i++) {
			assert_shown_is_call(&vmm, i, i);
			assert_int_equal(vmm.shown[i].guest_count, 3);
			assert_int_equal(vmm.shown[i].error, 0);
		}
		vmm_close(&vmm);
	}
}

static void where_nothing_is_sent_nothing_is_shown(void **state)
{
	unsigned int plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct vmm vmm;

		vmm_open(&vmm, (enum smmuinv_plan)plan, SMMUINV_REPEAT_NEVER);
		add(&vmm, raw(SMMUINV_CMD_PREFETCH_CONFIG, 0));
		add(&vmm, cfgi_cd(0xbad));
		assert_int_equal(flush(&vmm), 0);
		assert_int_equal(vmm.count, 0);
		assert_int_equal(flush(&vmm), 0);
		assert_int_equal(vmm.count, 0);
		vmm_close(&vmm);
	}
}

static void
a_failure_is_shown_with_its_errno_and_the_retry_after_it(void **state)
{
	unsigned int plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct vmm vmm;

		vmm_open(&vmm, (enum smmuinv_plan)plan, SMMUINV_REPEAT_NEVER);
		add(&vmm, tlbi_va(0x1000));
		inject(&vmm.f, -ETIMEDOUT, 0, 0);
		assert_int_equal(flush(&vmm), -ETIMEDOUT);
		assert_int_equal(vmm.count, 1);
		assert_shown_is_call(&vmm, 0, 0);
		assert_int_equal(vmm.shown[0].error, -ETIMEDOUT);
		assert_int_equal(flush(&vmm), 0);
		assert_int_equal(vmm.count, 1);
		assert_shown_is_call(&vmm, 0, 0);
		assert_int_equal(vmm.shown[0].error, 0);
		vmm_close(&vmm);
	}
}

/* The whole run is shown, also what the host was asked for again by itself. */
static void a_refusal_is_shown_with_the_whole_run_and_why(void **state)
{
	const struct smmuinv_command bad = cfgi_cd(FIXTURE_VSID);
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, SMMUINV_PLAN_AS_WRITTEN, SMMUINV_REPEAT_NEVER);
	add(&vmm, tlbi_va(0x1000));
	add(&vmm, bad);
	add(&vmm, tlbi_va(0x2000));
	vmm.f.refused = &bad;
	assert_int_equal(flush(&vmm), -ENODEV);
	assert_int_equal(vmm.count, 1);
	assert_shown_is_call(&vmm, 0, 0);
	assert_int_equal(vmm.shown[0].host_count, 3);
	assert_int_equal(vmm.shown[0].error, -ENODEV);
	vmm_close(&vmm);
}

/* First what was planned, then what was written. */
static void a_refused_plan_is_shown_and_then_the_window_as_written(void **state)
{
	const struct smmuinv_command bad = cfgi_cd(FIXTURE_VSID);
	const struct smmuinv_command page = tlbi_va(0x1000);
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, SMMUINV_PLAN_FEWEST, SMMUINV_REPEAT_NEVER);
	add(&vmm, page);
	add(&vmm, page);
	add(&vmm, bad);
	vmm.f.refused = &bad;
	assert_int_equal(flush(&vmm), -ENODEV);
	assert_int_equal(vmm.count, 2);
	assert_int_equal(vmm.shown[0].host_count, 2);
	assert_int_equal(vmm.shown[0].error, -ENODEV);
	assert_int_equal(vmm.shown[1].host_count, 3);
	assert_int_equal(vmm.shown[1].error, -ENODEV);
	assert_command_equal(&vmm.shown[1].host[2], &bad);
	vmm_close(&vmm);
}

/* An erratum's second round hides nothing of the first. */
static void repeated_rounds_are_shown_with_every_command_once(void **state)
{
	const struct smmuinv_command commands[] = {
		atc_inv_all(FIXTURE_VSID),
		tlbi_va(0x1000),
		raw((uint64_t)FIXTURE_VSID << 32 | SMMUINV_CMD_ATC_INV, 0x1000),
		cfgi_cd(FIXTURE_VSID),
	};
	unsigned int plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		bool merges = plan == SMMUINV_PLAN_FEWEST;
		struct vmm vmm;
		uint32_t i, k;

		vmm_open(&vmm, (enum smmuinv_plan)plan, SMMUINV_REPEAT_ALWAYS);
		for (i = 0; i < ARRAY_SIZE(commands); i++)
			add(&vmm, commands[i]);
		assert_int_equal(flush(&vmm), 0);
		assert_int_equal(vmm.f.call_count, 2);
		assert_int_equal(vmm.count, 1);
		/* One ATC_INV is part of the other. */
		assert_int_equal(vmm.shown[0].host_count,
				 ARRAY_SIZE(commands) - merges);
		for (i = 0; i < ARRAY_SIZE(commands); i++) {
			uint32_t times = 0;

			for (k = 0; k < vmm.shown[0].host_count; k++)
				times += !memcmp(&vmm.shown[0].host[k],
						 &commands[i],
						 sizeof(commands[i]));
			assert_int_equal(times, !(merges && i == 2));
		}
		/* The window is as the guest wrote it. */
		for (i = 0; i < ARRAY_SIZE(commands); i++)
			assert_command_equal(&vmm.shown[0].guest[i],
					     &commands[i]);
		vmm_close(&vmm);
	}
}

/* When the second round fails, that is the one. */
static void a_failed_second_round_is_shown_as_that_round(void **state)
{
	const struct smmuinv_mock_fault second = {
		.size = sizeof(second),
		.pass = 1,
		.error = -EFAULT,
	};
	const struct smmuinv_command page = tlbi_va(0x1000);
	unsigned int plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct vmm vmm;

		vmm_open(&vmm, (enum smmuinv_plan)plan, SMMUINV_REPEAT_ALWAYS);
		add(&vmm, atc_inv_all(FIXTURE_VSID));
		add(&vmm, page);
		assert_int_equal(smmuinv_mock_inject(vmm.f.mock, &second), 0);
		assert_int_equal(flush(&vmm), -EFAULT);
		assert_int_equal(vmm.count, 1);
		assert_int_equal(vmm.shown[0].error, -EFAULT);
		assert_int_equal(vmm.shown[0].host_count, 1);
		assert_command_equal(&vmm.shown[0].host[0], &page);
		vmm_close(&vmm);
	}
}

static void each_viommu_shows_its_own_part(void **state)
{
	const struct smmuinv_command first = cfgi_cd(FIXTURE_VSID);
	const struct smmuinv_command second = cfgi_cd(0x20);
	const struct smmuinv_command page = tlbi_va(0x1000);
	unsigned int plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct smmuinv_viommu_params viommu = {
			.size = sizeof(viommu),
			.host = everything,
		};
		struct vmm vmm;
		uint32_t i;

		vmm_open(&vmm, (enum smmuinv_plan)plan, SMMUINV_REPEAT_NEVER);
		assert_int_equal(
			smmuinv_mock_add_viommu(vmm.f.mock, &viommu.viommu_id),
			0);
		assert_int_equal(smmuinv_vsmmu_add_viommu(vmm.f.vsmmu, &viommu),
				 0);
		assert_int_equal(add_to_table(vmm.f.streams, viommu.viommu_id,
					      fixture_add_device(&vmm.f), 0x20),
				 0);
		assert_int_equal(
			smmuinv_streams_set(vmm.f.streams, 0x20, true, true),
			0);
		add(&vmm, first);
		add(&vmm, second);
		add(&vmm, page);
		assert_int_equal(flush(&vmm), 0);
		assert_int_equal(vmm.count, 2);
		for (i = 0; i < 2; i++) {
			assert_int_equal(vmm.shown[i].viommu_id,
					 i ? viommu.viommu_id : vmm.f.viommu);
			assert_int_equal(vmm.shown[i].guest_count, 3);
			assert_int_equal(vmm.shown[i].host_count, 2);
			assert_command_equal(&vmm.shown[i].host[0],
					     i ? &second : &first);
			assert_command_equal(&vmm.shown[i].host[1], &page);
		}
		vmm_close(&vmm);
	}
}

/* The library's own commands are shown too: the host was asked for them. */
static void what_a_cfgi_ste_makes_the_library_ask_for_is_shown(void **state)
{
	static const struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
	};
	const struct smmuinv_command all = raw(SMMUINV_CMD_CFGI_STE_RANGE, 31);
	const struct smmuinv_command cds = cfgi_cd_all(FIXTURE_VSID);
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = &all,
		.prod = 1,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_queue *queue;
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, SMMUINV_PLAN_FEWEST, SMMUINV_REPEAT_NEVER);
	assert_int_equal(smmuinv_queue_new(vmm.f.vsmmu, &params, &queue), 0);
	assert_int_equal(smmuinv_queue_consume(queue, &ring, &progress), 1);
	assert_int_equal(vmm.count, 1);
	assert_int_equal(vmm.shown[0].host_count, 1);
	assert_command_equal(&vmm.shown[0].host[0], &cds);
	smmuinv_queue_free(queue);
	vmm_close(&vmm);
}

/* All that was shown in turn is all that was executed. */
static void over_random_windows_what_is_shown_is_what_is_executed(void **state)
{
	size_t windows = test_iterations(4000);
	struct vmm vmm;
	size_t w;

	(void)state;
	for (w = 0; w < windows; w++) {
		uint32_t n = 1 + (uint32_t)test_random_below(ROOM);
		const struct smmuinv_command *done;
		uint32_t shown = 0;
		uint32_t i;

		if (w % 100 == 0)
			vmm_open(&vmm, (enum smmuinv_plan)(w / 100 % 2),
				 SMMUINV_REPEAT_NEVER);
		while (n--) {
			uint32_t vsid = test_chance(70) ? FIXTURE_VSID : 0xbad;

			switch (test_random_below(5)) {
			case 0:
				add(&vmm, cfgi_cd(vsid));
				break;
			case 1:
				add(&vmm, atc_inv_all(vsid));
				break;
			case 2:
				smmuinv_batch_sync(vmm.batch);
				break;
			default:
				add(&vmm, tlbi_va(test_random_below(8) << 12));
				break;
			}
		}
		assert_int_equal(flush(&vmm), 0);
		(void)smmuinv_mock_executed(vmm.f.mock, &done);
		for (i = 0; i < vmm.count; i++) {
			assert_int_equal(vmm.shown[i].error, 0);
			assert_memory_equal(vmm.shown[i].host, done + shown,
					    vmm.shown[i].host_count *
						    sizeof(*done));
			shown += vmm.shown[i].host_count;
		}
		assert_int_equal(shown,
				 smmuinv_mock_executed(vmm.f.mock, NULL));
		assert_int_equal(vmm.count, vmm.f.call_count);
		if (w % 100 == 99 || w + 1 == windows)
			vmm_close(&vmm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_plan_is_shown_with_the_window_that_it_stands_for),
		cmocka_unit_test(
			as_written_the_hosts_are_the_guests_that_need_something),
		cmocka_unit_test(
			each_run_between_ranks_that_a_sync_separates_is_shown),
		cmocka_unit_test(where_nothing_is_sent_nothing_is_shown),
		cmocka_unit_test(
			a_failure_is_shown_with_its_errno_and_the_retry_after_it),
		cmocka_unit_test(a_refusal_is_shown_with_the_whole_run_and_why),
		cmocka_unit_test(
			a_refused_plan_is_shown_and_then_the_window_as_written),
		cmocka_unit_test(
			repeated_rounds_are_shown_with_every_command_once),
		cmocka_unit_test(a_failed_second_round_is_shown_as_that_round),
		cmocka_unit_test(each_viommu_shows_its_own_part),
		cmocka_unit_test(
			what_a_cfgi_ste_makes_the_library_ask_for_is_shown),
		cmocka_unit_test(
			over_random_windows_what_is_shown_is_what_is_executed),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
