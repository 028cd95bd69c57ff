/* SPDX-License-Identifier: MIT */
/*
 * Several physical SMMUs behind one virtual one: what goes to which, what is
 * known of each after a failure, and that nothing is lost or done in vain.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "command.h"
#include "fixture.h"
#include "smmus.h"
#include "vmm.h"

#define WINDOW 64

/* SMMU k has the streams 16 * k + 1 and 16 * k + 2. */
static uint32_t vsid_of(uint32_t which, uint32_t n)
{
	return 16 * which + 1 + n;
}

static const enum smmuinv_plan plans[] = { SMMUINV_PLAN_AS_WRITTEN,
					   SMMUINV_PLAN_FEWEST };

/* SMMUs with two streams each, and a batch. */
struct several {
	struct smmus s;
	struct smmuinv_batch *batch;
};

static void several_finish(struct several *w)
{
	uint32_t i;

	smmus_open(&w->s);
	for (i = 0; i < w->s.count; i++) {
		smmus_plug(&w->s, i, vsid_of(i, 0));
		smmus_plug(&w->s, i, vsid_of(i, 1));
	}
	assert_int_equal(smmuinv_batch_new(w->s.vsmmu, WINDOW, &w->batch), 0);
}

static void several_open(struct several *w, uint32_t count,
			 enum smmuinv_plan plan)
{
	smmus_init(&w->s, count);
	w->s.params.plan = plan;
	several_finish(w);
}

static void several_close(struct several *w)
{
	assert_int_equal(smmus_faults_left(&w->s), 0);
	smmuinv_batch_free(w->batch);
	smmus_close(&w->s);
}

static void add(struct several *w, const struct smmuinv_command *command)
{
	int verdict = smmuinv_batch_add(w->batch, command, NULL);

	assert_true(verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE);
}

static void add_all(struct several *w, const struct smmuinv_command *commands,
		    uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		add(w, &commands[i]);
}

static int flush(struct several *w, struct smmuinv_result *result)
{
	*result = (struct smmuinv_result){ .size = sizeof(*result) };
	return smmuinv_batch_flush(w->batch, result);
}

static void flush_well(struct several *w)
{
	struct smmuinv_result result;

	assert_int_equal(flush(w, &result), 0);
}

static struct smmuinv_command atc_inv(uint32_t vsid, uint64_t address)
{
	const struct smmuinv_atc atc = {
		.size = sizeof(atc),
		.sid = vsid,
		.address = address,
	};
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_atc_inv(&command, &atc), 0);
	return command;
}

/* Whether SMMU @which has to execute it. */
static bool concerns(const struct smmuinv_command *command, uint32_t which)
{
	uint32_t sid = command_sid(command);

	return !command_names_stream(command) || sid == vsid_of(which, 0) ||
	       sid == vsid_of(which, 1);
}

static struct smmuinv_command random_command(uint32_t count)
{
	uint32_t vsid = vsid_of((uint32_t)test_random_below(count),
				(uint32_t)test_random_below(2));

	switch (test_random_below(6)) {
	case 0:
		return cfgi_cd(vsid);
	case 1:
		return cfgi_cd_all(vsid);
	case 2:
		return atc_inv(vsid, test_random_below(8) << 12);
	case 3:
		/* A stream that is nobody's. */
		return test_chance(50) ? cfgi_cd(0xbad) : atc_inv(0xbad, 0);
	default:
		return tlbi_va(test_random_below(32) << 12);
	}
}

static void assert_executed(struct several *w, uint32_t which,
			    const struct smmuinv_command *expected,
			    size_t count)
{
	const struct smmuinv_command *executed;

	assert_int_equal(
		smmuinv_mock_executed(w->s.smmu[which].mock, &executed), count);
	if (count)
		assert_memory_equal(executed, expected,
				    count * sizeof(*expected));
}

static void as_written_each_gets_what_concerns_it_in_order(void **state)
{
	size_t windows = test_iterations(3000);
	struct several w;

	(void)state;
	several_open(&w, 3, SMMUINV_PLAN_AS_WRITTEN);
	while (windows--) {
		struct smmuinv_command expected[3][WINDOW];
		uint32_t expected_count[3] = { 0 };
		uint32_t n = 1 + (uint32_t)test_random_below(WINDOW);
		struct smmuinv_result result;
		uint32_t i, k;

		for (i = 0; i < n; i++) {
			const struct smmuinv_command command =
				random_command(3);

			add(&w, &command);
			for (k = 0; k < 3; k++) {
				if (concerns(&command, k))
					expected[k][expected_count[k]++] =
						command;
			}
		}
		smmus_forget(&w.s);
		assert_int_equal(flush(&w, &result), 0);
		assert_int_equal(result.completed, n);
		for (k = 0; k < 3; k++)
			assert_executed(&w, k, expected[k], expected_count[k]);
		assert_int_equal(result.host_commands,
				 expected_count[0] + expected_count[1] +
					 expected_count[2]);
		assert_int_equal(result.ioctls, !!expected_count[0] +
							!!expected_count[1] +
							!!expected_count[2]);
	}
	several_close(&w);
}

/* The same commands to one that has only the streams of SMMU @which. */
static void assert_as_if_alone(struct several *w, uint32_t which,
			       const struct smmuinv_command *commands,
			       uint32_t count)
{
	const struct smmuinv_command *executed;
	struct several alone;
	size_t n;

	smmus_init(&alone.s, 1);
	alone.s.params.plan = SMMUINV_PLAN_FEWEST;
	smmus_open(&alone.s);
	smmus_plug(&alone.s, 0, vsid_of(which, 0));
	smmus_plug(&alone.s, 0, vsid_of(which, 1));
	assert_int_equal(smmuinv_batch_new(alone.s.vsmmu, WINDOW, &alone.batch),
			 0);
	add_all(&alone, commands, count);
	flush_well(&alone);
	n = smmuinv_mock_executed(alone.s.smmu[0].mock, &executed);
	assert_executed(w, which, executed, n);
	several_close(&alone);
}

static void planned_each_gets_what_it_would_get_alone(void **state)
{
	size_t windows = test_iterations(1000);
	struct several w;

	(void)state;
	several_open(&w, 3, SMMUINV_PLAN_FEWEST);
	while (windows--) {
		struct smmuinv_command commands[WINDOW];
		uint32_t n = 1 + (uint32_t)test_random_below(WINDOW);
		uint32_t i, k;

		for (i = 0; i < n; i++)
			commands[i] = random_command(3);
		add_all(&w, commands, n);
		smmus_forget(&w.s);
		flush_well(&w);
		for (k = 0; k < 3; k++)
			assert_as_if_alone(&w, k, commands, n);
	}
	several_close(&w);
}

static void one_whom_nothing_concerns_is_not_called(void **state)
{
	const struct smmuinv_command commands[] = {
		cfgi_cd(vsid_of(1, 0)),
		cfgi_cd_all(vsid_of(1, 1)),
		atc_inv_all(vsid_of(1, 0)),
	};
	uint32_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct several w;

		several_open(&w, 3, plans[p]);
		add_all(&w, commands, ARRAY_SIZE(commands));
		flush_well(&w);
		assert_int_equal(smmus_calls(&w.s, 0), 0);
		assert_int_equal(smmus_calls(&w.s, 1), 1);
		assert_int_equal(smmus_calls(&w.s, 2), 0);
		several_close(&w);
	}
}

static void the_list_of_viommus_knows_its_bounds(void **state)
{
	struct smmuinv_viommu_params params;
	struct several w;
	uint32_t i;

	(void)state;
	several_open(&w, 2, SMMUINV_PLAN_FEWEST);
	params = smmus_viommu_params(&w.s, 0);
	assert_int_equal(smmuinv_vsmmu_add_viommu(NULL, &params), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, &params), -EEXIST);
	params.size--;
	assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, &params), -EINVAL);
	params.size++;
	params.viommu_id = 0;
	assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, &params), -EINVAL);
	for (i = 2; i < SMMUINV_VIOMMUS_MAX; i++) {
		params.viommu_id = i;
		assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, &params),
				 0);
	}
	params.viommu_id = i;
	assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, &params), -ENOSPC);
	/* What is there already is said to be there, full or not. */
	params.viommu_id = 2;
	assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, &params), -EEXIST);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(w.s.vsmmu, 2), 0);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(w.s.vsmmu, 2), -ENOENT);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(NULL, 2), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, &params), 0);
	several_close(&w);
}

static void one_that_cannot_carry_the_guest_is_refused(void **state)
{
	struct smmuinv_viommu_params params;
	struct several w;

	(void)state;
	several_open(&w, 1, SMMUINV_PLAN_FEWEST);
	params = smmus_viommu_params(&w.s, 0);
	params.viommu_id = 5;
	params.host.idr[1] = 0; /* no SubstreamIDs */
	assert_int_equal(smmuinv_vsmmu_add_viommu(w.s.vsmmu, &params),
			 -EOPNOTSUPP);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(w.s.vsmmu, 5), -ENOENT);
	several_close(&w);
}

static void one_with_streams_stays(void **state)
{
	struct several w;

	(void)state;
	several_open(&w, 2, SMMUINV_PLAN_FEWEST);
	assert_int_equal(smmus_detach(&w.s, 1), -EBUSY);
	assert_int_equal(smmuinv_vsmmu_remove_stream(w.s.vsmmu, vsid_of(1, 0)),
			 0);
	assert_int_equal(smmus_detach(&w.s, 1), -EBUSY);
	assert_int_equal(smmuinv_vsmmu_remove_stream(w.s.vsmmu, vsid_of(1, 1)),
			 0);
	assert_int_equal(smmus_detach(&w.s, 1), 0);
	several_close(&w);
}

/* Also the very last vSID is one. */
static void one_with_the_last_stream_of_all_stays(void **state)
{
	struct several w;

	(void)state;
	several_open(&w, 2, SMMUINV_PLAN_FEWEST);
	smmus_plug(&w.s, 0, UINT32_MAX);
	assert_int_equal(smmuinv_streams_remove_all(w.s.streams), 0);
	smmus_plug(&w.s, 0, UINT32_MAX);
	assert_int_equal(smmus_detach(&w.s, 0), -EBUSY);
	assert_int_equal(smmus_detach(&w.s, 1), 0);
	several_close(&w);
}

static void a_stream_is_taken_on_a_viommu_of_its_own_only(void **state)
{
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = 99,
	};
	struct several w;

	(void)state;
	several_open(&w, 2, SMMUINV_PLAN_FEWEST);
	assert_int_equal(smmuinv_streams_remove_all(w.s.streams), 0);
	params.dev_id = smmus_add_device(&w.s, 1);
	params.viommu_id = smmus_viommu(&w.s, 1) + 1;
	assert_int_equal(smmuinv_vsmmu_add_stream(w.s.vsmmu, &params), -EXDEV);
	/* Several: it has to be said which. */
	params.viommu_id = 0;
	assert_int_equal(smmuinv_vsmmu_add_stream(w.s.vsmmu, &params), -EXDEV);
	/* The kernel knows that the device is behind another SMMU. */
	params.viommu_id = smmus_viommu(&w.s, 0);
	assert_int_equal(smmuinv_vsmmu_add_stream(w.s.vsmmu, &params), -EINVAL);
	/* The only one: it goes without saying. */
	assert_int_equal(smmus_detach(&w.s, 0), 0);
	params.viommu_id = 0;
	assert_int_equal(smmuinv_vsmmu_add_stream(w.s.vsmmu, &params), 0);
	assert_int_equal(smmuinv_vsmmu_remove_stream(w.s.vsmmu, 99), 0);
	/* None. */
	assert_int_equal(smmus_detach(&w.s, 1), 0);
	assert_int_equal(smmuinv_vsmmu_add_stream(w.s.vsmmu, &params), -EXDEV);
	params.viommu_id = smmus_viommu(&w.s, 1);
	assert_int_equal(smmuinv_vsmmu_add_stream(w.s.vsmmu, &params), -EXDEV);
	several_close(&w);
}

static void tlbis_go_to_one_from_when_it_is_there_until_it_is_not(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0x5000);
	struct several w;

	(void)state;
	several_open(&w, 3, SMMUINV_PLAN_FEWEST);
	assert_int_equal(smmuinv_streams_remove_all(w.s.streams), 0);
	add(&w, &tlbi);
	flush_well(&w);
	/* The last takes the place of the first. */
	assert_int_equal(smmus_detach(&w.s, 0), 0);
	add(&w, &tlbi);
	flush_well(&w);
	assert_int_equal(smmus_attach(&w.s, 0), 0);
	assert_int_equal(smmus_detach(&w.s, 1), 0);
	add(&w, &tlbi);
	flush_well(&w);
	assert_int_equal(smmus_times(&w.s, 0, &tlbi), 2);
	assert_int_equal(smmus_times(&w.s, 1, &tlbi), 2);
	assert_int_equal(smmus_times(&w.s, 2, &tlbi), 3);
	several_close(&w);
}

/* Nothing is cached where nothing is. */
static void without_any_everything_is_complete_at_once(void **state)
{
	const struct smmuinv_command commands[] = {
		tlbi_va(0),
		cfgi_cd(1),
		atc_inv_all(1),
	};
	struct smmuinv_counters counters = { .size = sizeof(counters) };
	struct smmuinv_result result;
	struct several w;

	(void)state;
	several_open(&w, 1, SMMUINV_PLAN_FEWEST);
	assert_int_equal(smmuinv_streams_remove_all(w.s.streams), 0);
	assert_int_equal(smmus_detach(&w.s, 0), 0);
	add_all(&w, commands, 3);
	assert_int_equal(flush(&w, &result), 0);
	assert_int_equal(result.completed, 3);
	assert_int_equal(result.dropped, 3);
	assert_int_equal(result.ioctls, 0);
	assert_int_equal(smmuinv_vsmmu_counters(w.s.vsmmu, &counters), 0);
	assert_int_equal(counters.by_rule[SMMUINV_RULE_NO_VIOMMU], 3);
	assert_int_equal(counters.forwarded, 0);
	/* And with one again, it is there again. */
	assert_int_equal(smmus_attach(&w.s, 0), 0);
	add_all(&w, commands, 3);
	assert_int_equal(flush(&w, &result), 0);
	assert_int_equal(result.dropped, 2);
	assert_int_equal(smmus_times(&w.s, 0, &commands[0]), 1);
	several_close(&w);
}

/* One can do it with a range, one needs pages, one has the erratum. */
static void each_gets_what_it_can_execute(void **state)
{
	const struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.tg = SMMUINV_TG_4K,
		.num = 3,
	};
	struct smmuinv_command range;
	uint32_t p, i;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nh_va(&range, &tlbi), 0);
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct several w;

		smmus_init(&w.s, 3);
		w.s.params.plan = plans[p];
		w.s.smmu[1].host.idr[3] = 0; /* no RIL */
		w.s.smmu[2].hw_flags = SMMUINV_HW_INFO_REPEAT;
		several_finish(&w);
		add(&w, &range);
		for (i = 0; i < 3; i++) {
			const struct smmuinv_command atc =
				atc_inv_all(vsid_of(i, 0));

			add(&w, &atc);
		}
		flush_well(&w);
		assert_int_equal(smmus_executed(&w.s, 0), 2);
		assert_int_equal(smmus_times(&w.s, 0, &range), 1);
		assert_int_equal(smmus_executed(&w.s, 1), 4 + 1);
		assert_int_equal(smmus_times(&w.s, 1, &range), 0);
		/* Two calls, the second without the ATC_INV. */
		assert_int_equal(smmus_executed(&w.s, 2), 3);
		assert_int_equal(smmus_times(&w.s, 2, &range), 2);
		assert_int_equal(smmus_calls(&w.s, 0), 1);
		assert_int_equal(smmus_calls(&w.s, 1), 1);
		assert_int_equal(smmus_calls(&w.s, 2), 2);
		several_close(&w);
	}
}

static void repeat_is_each_ones_own_unless_the_vmm_says(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0x5000);
	const struct {
		enum smmuinv_repeat repeat;
		size_t times[2];
	} cases[] = {
		{ SMMUINV_REPEAT_AS_HOST, { 1, 2 } },
		{ SMMUINV_REPEAT_ALWAYS, { 2, 2 } },
		{ SMMUINV_REPEAT_NEVER, { 1, 1 } },
	};
	uint32_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct several w;

		smmus_init(&w.s, 2);
		w.s.params.repeat = cases[i].repeat;
		w.s.smmu[1].hw_flags = SMMUINV_HW_INFO_REPEAT;
		several_finish(&w);
		add(&w, &tlbi);
		flush_well(&w);
		assert_int_equal(smmus_times(&w.s, 0, &tlbi),
				 cases[i].times[0]);
		assert_int_equal(smmus_times(&w.s, 1, &tlbi),
				 cases[i].times[1]);
		several_close(&w);
	}
}

/* What all have is offered, and each can carry it. */
static void a_guest_of_what_all_have_is_carried_by_each(void **state)
{
	size_t tries = test_iterations(2000);

	(void)state;
	while (tries--) {
		const struct smmuinv_offer offer = { .size = sizeof(offer) };
		struct smmuinv_features all;
		struct smmus s;
		uint32_t i;
		int rc = 0;

		smmus_init(&s, 3);
		for (i = 0; i < 3; i++)
			s.smmu[i].host = test_features_random_host();
		all = s.smmu[0].host;
		for (i = 1; i < 3 && !rc; i++)
			rc = smmuinv_features_common(&all, &all,
						     &s.smmu[i].host, NULL);
		if (rc ||
		    smmuinv_features_offer(&s.params.guest, &all, &offer, NULL))
			continue;
		smmus_open(&s); /* which adds each, or fails */
		smmus_close(&s);
	}
}

/* Of one try and the ones after it, until all is done. */
struct failure {
	uint32_t victim;
	int error;
	uint32_t executed;
	uint32_t count;
};

static const int errors[] = {
	-EIO,   -ETIMEDOUT, -ENOMEM, -EFAULT, -EINVAL,
	-EINTR, -EAGAIN,    -ENOENT, -EBUSY,  -ENODEV,
};

/* What each has to execute of these eight, which no plan can merge. */
static void eight_commands(struct smmuinv_command commands[8], uint32_t smmus)
{
	commands[0] = cfgi_cd(vsid_of(0, 0));
	commands[1] = tlbi_va(0x1000);
	commands[2] = cfgi_cd(vsid_of(1, 0));
	commands[3] = atc_inv_all(vsid_of(0, 1));
	commands[4] = tlbi_va(0x9000);
	commands[5] = cfgi_cd(vsid_of(smmus - 1, 1));
	commands[6] = atc_inv_all(vsid_of(1, 1));
	commands[7] = tlbi_va(0x20000);
}

static void assert_has_executed(struct several *w, uint32_t which,
				const struct smmuinv_command *commands,
				uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		size_t times = smmus_times(&w->s, which, &commands[i]);

		if (concerns(&commands[i], which))
			assert_true(times > 0);
		else
			assert_int_equal(times, 0);
	}
}

static uint32_t first_of(const struct smmuinv_command *commands, uint32_t count,
			 uint32_t which)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (concerns(&commands[i], which))
			break;
	}
	return i;
}

static uint32_t how_many(const struct smmuinv_command *commands, uint32_t count,
			 uint32_t which)
{
	uint32_t n = 0;
	uint32_t i;

	for (i = 0; i < count; i++)
		n += concerns(&commands[i], which);
	return n;
}

static void assert_fault(const struct smmuinv_result *r,
			 const struct smmuinv_command *commands,
			 const struct failure *f)
{
	uint32_t first = first_of(commands, 8, f->victim);
	bool refused =
		f->error == -EIO && f->count < how_many(commands, 8, f->victim);

	assert_int_equal(r->fault_index, r->completed);
	assert_true(r->completed >= first);
	/* A count is believed only after a refusal. */
	if (!refused)
		assert_int_equal(r->completed, first);
	/* -ENODEV is for a stream whose device is gone. */
	if (refused && command_names_stream(&commands[r->fault_index])) {
		assert_int_equal(r->error, -ENODEV);
		assert_int_equal(r->fault_vsid,
				 command_sid(&commands[r->fault_index]));
	} else {
		assert_int_equal(r->error,
				 f->error == -ENODEV ? -EIO : f->error);
	}
	assert_true(concerns(&commands[r->fault_index], f->victim));
}


static void fail_and_retry(uint32_t smmus, enum smmuinv_plan plan,
			   const struct failure *f)
{
	struct smmuinv_command commands[8];
	struct smmuinv_result result;
	struct several w;
	uint32_t done, k;
	int rc;

	several_open(&w, smmus, plan);
	eight_commands(commands, smmus);
	add_all(&w, commands, 8);
	smmus_inject(&w.s, f->victim, f->error, f->executed, f->count);
	rc = flush(&w, &result);
	for (k = 0; k < smmus; k++) {
		if (k != f->victim || !rc)
			assert_has_executed(&w, k, commands, 8);
	}
	assert_int_equal(result.fault_viommu,
			 rc ? smmus_viommu(&w.s, f->victim) : 0);
	done = result.completed;
	if (rc)
		assert_fault(&result, commands, f);
	assert_has_executed(&w, f->victim, commands, done);
	smmus_forget(&w.s);
	if (rc)
		assert_int_equal(flush(&w, &result), 0);
	assert_has_executed(&w, f->victim, commands + done, 8 - done);
	for (k = 0; k < smmus; k++) {
		if (k != f->victim)
			assert_int_equal(smmus_executed(&w.s, k), 0);
	}
	several_close(&w);
}

/* Every errno, every number really executed, every count, on each of them. */
static void a_failure_of_one_hides_no_success_of_the_others(void **state)
{
	const uint32_t scale = test_iterations(100) < 100 ? 3 : 1;
	uint32_t smmus, p, e;

	(void)state;
	for (smmus = 2; smmus <= 3; smmus++) {
		for (p = 0; p < ARRAY_SIZE(plans); p++) {
			for (e = 0; e < ARRAY_SIZE(errors); e++) {
				struct failure f = { .error = errors[e] };

				for (f.victim = 0; f.victim < smmus; f.victim++)
					for (f.executed = 0; f.executed <= 8;
					     f.executed += scale)
						for (f.count = 0; f.count <= 9;
						     f.count += scale)
							fail_and_retry(smmus,
								       plans[p],
								       &f);
			}
		}
	}
}

/* Each names a stream of its own SMMU, in this order. */
static void of_several_failures_the_earliest_is_told(void **state)
{
	static const uint8_t orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 },
					      { 1, 0, 2 }, { 1, 2, 0 },
					      { 2, 0, 1 }, { 2, 1, 0 } };
	static const int of_smmu[3] = { -EFAULT, -EBUSY, -EINVAL };
	uint32_t o, subset, k;

	(void)state;
	for (o = 0; o < 6; o++) {
		for (subset = 1; subset < 8; subset++) {
			struct smmuinv_result result;
			struct several w;
			uint32_t earliest = 0;

			several_open(&w, 3, plans[o % 2]);
			for (k = 0; k < 3; k++) {
				const struct smmuinv_command command =
					cfgi_cd(vsid_of(orders[o][k], 0));

				add(&w, &command);
				if (subset >> k & 1)
					smmus_inject(&w.s, k, of_smmu[k], 0, 0);
			}
			while (!(subset >> orders[o][earliest] & 1))
				earliest++;
			assert_int_equal(flush(&w, &result),
					 of_smmu[orders[o][earliest]]);
			assert_int_equal(result.completed, earliest);
			assert_int_equal(result.fault_index, earliest);
			assert_int_equal(smmuinv_batch_count(w.batch),
					 3 - earliest);
			flush_well(&w);
			for (k = 0; k < 3; k++)
				assert_int_equal(smmus_executed(&w.s, k), 1);
			several_close(&w);
		}
	}
}

/* Of two, the one that the guest cannot mend is told, whichever is earlier. */
static void a_time_out_is_told_only_if_nothing_worse_happened(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0);
	uint32_t timed_out;

	(void)state;
	for (timed_out = 0; timed_out < 2; timed_out++) {
		const struct smmuinv_command atc =
			atc_inv_all(vsid_of(timed_out, 0));
		struct smmuinv_result result;
		struct several w;

		several_open(&w, 2, SMMUINV_PLAN_AS_WRITTEN);
		add(&w, &tlbi);
		add(&w, &atc);
		smmus_inject(&w.s, timed_out, -ETIMEDOUT, 0, 0);
		smmus_inject(&w.s, !timed_out, -EFAULT, 0, 0);
		assert_int_equal(flush(&w, &result), -EFAULT);
		assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(result.completed, 0);
		flush_well(&w);
		assert_int_equal(smmus_times(&w.s, 0, &tlbi), 1);
		assert_int_equal(smmus_times(&w.s, 1, &tlbi), 1);
		several_close(&w);
	}
}

/* A dead ATS device behind one SMMU hides no device that is gone elsewhere. */
static void a_time_out_before_it_hides_nothing_that_is_worse(void **state)
{
	uint32_t p, timed_out;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (timed_out = 0; timed_out < 2; timed_out++) {
			const struct smmuinv_command atc =
				atc_inv_all(vsid_of(timed_out, 0));
			const struct smmuinv_command cd =
				cfgi_cd(vsid_of(!timed_out, 1));
			const struct smmuinv_mock_fault gone = {
				.size = sizeof(gone),
				.vanish = true,
				.vsid = vsid_of(!timed_out, 1),
			};
			struct smmuinv_result result;
			struct several w;

			several_open(&w, 2, plans[p]);
			add(&w, &atc);
			add(&w, &cd);
			smmus_inject(&w.s, timed_out, -ETIMEDOUT, 0, 0);
			assert_int_equal(
				smmuinv_mock_inject(w.s.smmu[!timed_out].mock,
						    &gone),
				0);
			assert_int_equal(flush(&w, &result), -ENODEV);
			assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
			assert_int_equal(result.completed, 0);
			assert_int_equal(result.fault_index, 1);
			assert_int_equal(result.fault_vsid, gone.vsid);
			assert_int_equal(result.fault_viommu,
					 smmus_viommu(&w.s, !timed_out));
			assert_int_equal(smmuinv_vsmmu_remove_stream(
						 w.s.vsmmu, gone.vsid),
					 -ENOENT);
			flush_well(&w);
			assert_int_equal(smmus_times(&w.s, timed_out, &atc), 1);
			several_close(&w);
		}
	}
}

static void
a_device_that_is_gone_is_named_whatever_smmu_it_was_behind(void **state)
{
	uint32_t p, k;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (k = 0; k < 3; k++) {
			const struct smmuinv_mock_fault fault = {
				.size = sizeof(fault),
				.vanish = true,
				.vsid = vsid_of(k, 1),
			};
			struct smmuinv_command commands[7];
			struct smmuinv_result result;
			struct several w;
			uint32_t i;

			several_open(&w, 3, plans[p]);
			commands[0] = tlbi_va(0);
			for (i = 0; i < 6; i++)
				commands[1 + i] =
					cfgi_cd(vsid_of(i / 2, i % 2));
			add_all(&w, commands, 7);
			assert_int_equal(
				smmuinv_mock_inject(w.s.smmu[k].mock, &fault),
				0);
			assert_int_equal(flush(&w, &result), -ENODEV);
			assert_int_equal(result.fault_vsid, vsid_of(k, 1));
			assert_int_equal(result.fault_viommu,
					 smmus_viommu(&w.s, k));
			assert_int_equal(result.fault_index, 2 + 2 * k);
			assert_int_equal(smmuinv_vsmmu_remove_stream(
						 w.s.vsmmu, vsid_of(k, 1)),
					 -ENOENT);
			smmus_forget(&w.s);
			flush_well(&w);
			for (i = 0; i < 3; i++)
				assert_int_equal(smmus_executed(&w.s, i), 0);
			several_close(&w);
		}
	}
}

static void what_is_added_behind_a_failure_goes_to_all(void **state)
{
	const struct smmuinv_command before = tlbi_va(0x1000);
	const struct smmuinv_command behind = tlbi_va(0x9000);
	uint32_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct smmuinv_result result;
		struct several w;

		several_open(&w, 2, plans[p]);
		add(&w, &before);
		smmus_inject(&w.s, 1, -EFAULT, 0, 0);
		assert_int_equal(flush(&w, &result), -EFAULT);
		add(&w, &behind);
		add(&w, &before);
		smmus_forget(&w.s);
		flush_well(&w);
		/* The first is done, the second is another. */
		assert_int_equal(smmus_times(&w.s, 0, &before), 1);
		assert_int_equal(smmus_times(&w.s, 0, &behind), 1);
		assert_int_equal(smmus_times(&w.s, 1, &before),
				 plans[p] == SMMUINV_PLAN_FEWEST ? 1 : 2);
		assert_int_equal(smmus_times(&w.s, 1, &behind), 1);
		several_close(&w);
	}
}

static void what_was_done_is_forgotten_when_the_batch_is_cleared(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	struct smmuinv_result result;
	struct several w;

	(void)state;
	several_open(&w, 2, SMMUINV_PLAN_FEWEST);
	add(&w, &tlbi);
	smmus_inject(&w.s, 1, -EFAULT, 0, 0);
	assert_int_equal(flush(&w, &result), -EFAULT);
	smmuinv_batch_clear(w.batch);
	add(&w, &tlbi);
	flush_well(&w);
	assert_int_equal(smmus_times(&w.s, 0, &tlbi), 2);
	several_close(&w);
}

/* The places of the others may have changed. */
static void what_was_done_is_forgotten_when_the_list_changes(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	uint32_t removed, k;

	(void)state;
	for (removed = 0; removed < 3; removed++) {
		struct smmuinv_result result;
		struct several w;

		several_open(&w, 3, SMMUINV_PLAN_FEWEST);
		assert_int_equal(smmuinv_streams_remove_all(w.s.streams), 0);
		add(&w, &tlbi);
		smmus_inject(&w.s, 2, -EFAULT, 0, 0);
		assert_int_equal(flush(&w, &result), -EFAULT);
		assert_int_equal(smmus_detach(&w.s, removed), 0);
		smmus_forget(&w.s);
		/* Once more it fails, so that it is remembered anew. */
		smmus_inject(&w.s, (removed + 1) % 3, -EFAULT, 0, 0);
		assert_int_equal(flush(&w, &result), -EFAULT);
		flush_well(&w);
		for (k = 0; k < 3; k++)
			assert_int_equal(smmus_times(&w.s, k, &tlbi),
					 k != removed);
		several_close(&w);
	}
}

/* A stream that comes back, perhaps behind another SMMU, has done nothing. */
static void what_one_smmu_has_done_for_a_stream_another_has_not(void **state)
{
	const struct smmuinv_command cd = cfgi_cd(vsid_of(0, 0));
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	struct smmuinv_result result;
	struct several w;

	(void)state;
	several_open(&w, 2, SMMUINV_PLAN_FEWEST);
	add(&w, &tlbi);
	add(&w, &cd);
	smmus_inject(&w.s, 1, -EFAULT, 0, 0);
	assert_int_equal(flush(&w, &result), -EFAULT);
	assert_int_equal(smmuinv_vsmmu_remove_stream(w.s.vsmmu, vsid_of(0, 0)),
			 0);
	smmus_plug(&w.s, 1, vsid_of(0, 0));
	flush_well(&w);
	assert_int_equal(smmus_times(&w.s, 0, &cd), 1);
	assert_int_equal(smmus_times(&w.s, 1, &cd), 1);
	several_close(&w);
}

/* CFGI, TLBI, ATC with a CMD_SYNC between: a call each, on each by itself. */
static void ranks_are_kept_apart_on_each_smmu(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	uint32_t p, k;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct several w;

		several_open(&w, 3, plans[p]);
		for (k = 0; k < 2; k++) {
			const struct smmuinv_command cd =
				cfgi_cd(vsid_of(k, 0));

			add(&w, &cd);
		}
		assert_int_equal(smmuinv_batch_sync(w.batch), 0);
		add(&w, &tlbi);
		assert_int_equal(smmuinv_batch_sync(w.batch), 0);
		for (k = 0; k < 2; k++) {
			const struct smmuinv_command atc =
				atc_inv_all(vsid_of(k, 0));

			add(&w, &atc);
		}
		flush_well(&w);
		assert_int_equal(smmus_calls(&w.s, 0), 3);
		assert_int_equal(smmus_calls(&w.s, 1), 3);
		/* It has nothing that anything could be made again from. */
		assert_int_equal(smmus_calls(&w.s, 2), 1);
		several_close(&w);
	}
}

#define LOG2SIZE 7
#define RING     (1u << LOG2SIZE)

/* A guest's queue over several SMMUs. */
struct guest {
	struct vmm_queue q; /* first */
	struct several w;
	uint32_t syncs;
};

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct guest *g = opaque;

	(void)sync;
	g->syncs++;
	return 0;
}

static const struct smmuinv_queue_ops counting_ops = {
	.size = sizeof(counting_ops),
	.sync = on_sync,
};

static void guest_open(struct guest *g, uint32_t smmus, enum smmuinv_plan plan,
		       uint32_t window)
{
	*g = (struct guest){ 0 };
	several_open(&g->w, smmus, plan);
	vmm_queue_open(&g->q, g->w.s.vsmmu, &counting_ops, SEEING, LOG2SIZE,
		       window);
}

static void guest_close(struct guest *g)
{
	vmm_queue_close(&g->q);
	several_close(&g->w);
}

static void write_sync(struct guest *g)
{
	vmm_write(&g->q, cmd_sync());
}

/* Of four TLBIs that SMMU 0 has executed and SMMU 1 has not. */
static void four_of_which_one_has_failed(struct guest *g,
					 struct smmuinv_command tlbi[4])
{
	uint32_t i;

	guest_open(g, 2, SMMUINV_PLAN_AS_WRITTEN, 16);
	for (i = 0; i < 4; i++) {
		tlbi[i] = tlbi_va(0x9000 * (i + 1));
		vmm_write(&g->q, tlbi[i]);
	}
	write_sync(g);
	smmus_inject(&g->w.s, 1, -EFAULT, 0, 0);
	assert_int_equal(vmm_consume(&g->q), -EFAULT);
	assert_int_equal(g->q.cons, 0);
	assert_int_equal(g->syncs, 0);
	assert_int_equal(smmus_executed(&g->w.s, 0), 4);
	assert_int_equal(smmus_executed(&g->w.s, 1), 0);
	smmus_forget(&g->w.s);
}

static void assert_times(struct guest *g, const struct smmuinv_command *tlbi,
			 const size_t times[4], uint32_t which)
{
	uint32_t i;

	for (i = 0; i < 4; i++)
		assert_int_equal(smmus_times(&g->w.s, which, &tlbi[i]),
				 times[i]);
}

static const size_t none[4] = { 0, 0, 0, 0 };
static const size_t once[4] = { 1, 1, 1, 1 };

/* SMMU 1 has executed each once by the end, and SMMU 0 as often again. */
static void close_after(struct guest *g, const struct smmuinv_command *tlbi,
			const size_t again[4])
{
	assert_times(g, tlbi, again, 0);
	assert_times(g, tlbi, once, 1);
	guest_close(g);
}

static void a_queue_that_reads_the_same_again_repeats_nothing(void **state)
{
	struct smmuinv_command tlbi[4];
	struct guest g;

	(void)state;
	four_of_which_one_has_failed(&g, tlbi);
	assert_int_equal(vmm_consume(&g.q), 5);
	assert_int_equal(g.syncs, 1);
	close_after(&g, tlbi, none);
}

static void nor_if_it_fails_again_and_again(void **state)
{
	struct smmuinv_command tlbi[4];
	struct guest g;
	uint32_t i;

	(void)state;
	four_of_which_one_has_failed(&g, tlbi);
	for (i = 0; i < 5; i++) {
		smmus_inject(&g.w.s, 1, -EFAULT, 0, 0);
		assert_int_equal(vmm_consume(&g.q), -EFAULT);
	}
	assert_int_equal(vmm_consume(&g.q), 5);
	close_after(&g, tlbi, none);
}

static void a_shorter_look_repeats_only_what_it_did_not_see(void **state)
{
	const size_t behind[4] = { 0, 0, 1, 1 };
	struct smmuinv_command tlbi[4];
	struct guest g;

	(void)state;
	four_of_which_one_has_failed(&g, tlbi);
	g.q.max_commands = 2;
	assert_int_equal(vmm_consume(&g.q), 2);
	g.q.max_commands = 0;
	assert_int_equal(vmm_consume(&g.q), 3);
	close_after(&g, tlbi, behind);
}

static void
a_command_that_was_rewritten_is_executed_and_those_behind_it(void **state)
{
	const struct smmuinv_command other = tlbi_va(0x80000);
	uint32_t changed;

	(void)state;
	for (changed = 0; changed < 4; changed++) {
		struct smmuinv_command tlbi[4];
		size_t times[4];
		struct guest g;
		uint32_t i;

		four_of_which_one_has_failed(&g, tlbi);
		g.q.ring[changed] = other;
		assert_int_equal(vmm_consume(&g.q), 5);
		for (i = 0; i < 4; i++)
			times[i] = i > changed;
		assert_times(&g, tlbi, times, 0);
		for (i = 0; i < 4; i++)
			times[i] = i != changed;
		assert_times(&g, tlbi, times, 1);
		assert_int_equal(smmus_times(&g.w.s, 0, &other), 1);
		assert_int_equal(smmus_times(&g.w.s, 1, &other), 1);
		guest_close(&g);
	}
}

static void after_a_reset_the_same_place_is_another_command(void **state)
{
	struct smmuinv_command tlbi[4];
	struct guest g;

	(void)state;
	four_of_which_one_has_failed(&g, tlbi);
	smmuinv_queue_reset(g.q.queue);
	assert_int_equal(vmm_consume(&g.q), 5);
	close_after(&g, tlbi, once);
}

static void another_place_is_another_command(void **state)
{
	struct smmuinv_command tlbi[4];
	struct guest g;
	uint32_t i;

	(void)state;
	four_of_which_one_has_failed(&g, tlbi);
	for (i = 0; i < 4; i++)
		vmm_write(&g.q, tlbi[i]);
	g.q.cons = 5;
	assert_int_equal(vmm_consume(&g.q), 4);
	close_after(&g, tlbi, once);
}

static void a_list_that_changed_is_of_others(void **state)
{
	struct smmuinv_command tlbi[4];
	struct guest g;

	(void)state;
	four_of_which_one_has_failed(&g, tlbi);
	assert_int_equal(smmuinv_streams_remove_all(g.w.s.streams), 0);
	assert_int_equal(smmus_detach(&g.w.s, 0), 0);
	assert_int_equal(smmus_attach(&g.w.s, 0), 0);
	assert_int_equal(vmm_consume(&g.q), 5);
	close_after(&g, tlbi, once);
}

/* What is behind a CMD_SYNC that failed was not consumed, but is done. */
static void windows_smaller_than_the_ring_repeat_nothing_either(void **state)
{
	uint32_t window;

	(void)state;
	for (window = 1; window <= 8; window++) {
		struct smmuinv_command tlbi[8];
		struct guest g;
		uint32_t i, fails;

		guest_open(&g, 2, SMMUINV_PLAN_FEWEST, window);
		for (i = 0; i < 8; i++) {
			tlbi[i] = tlbi_va(0x9000 * (i + 1));
			vmm_write(&g.q, tlbi[i]);
			if (i % 3 == 2)
				write_sync(&g);
		}
		write_sync(&g);
		for (fails = 0; fails < 3; fails++) {
			smmus_inject(&g.w.s, 1, -EFAULT, 0, 0);
			assert_int_equal(vmm_consume(&g.q), -EFAULT);
		}
		while (g.q.cons != g.q.prod)
			assert_true(vmm_consume(&g.q) > 0);
		assert_int_equal(g.syncs, 3);
		for (i = 0; i < 8; i++) {
			assert_int_equal(smmus_times(&g.w.s, 0, &tlbi[i]), 1);
			assert_int_equal(smmus_times(&g.w.s, 1, &tlbi[i]), 1);
		}
		guest_close(&g);
	}
}

/* The CMD_SYNC that stays gets what timed out from the one it timed out on. */
static void only_the_smmu_that_did_not_answer_is_asked_again(void **state)
{
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	uint32_t p, k;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct smmuinv_command atc[2];
		struct guest g;

		guest_open(&g, 2, plans[p], 16);
		vmm_write(&g.q, tlbi);
		for (k = 0; k < 2; k++) {
			atc[k] = atc_inv_all(vsid_of(k, 0));
			vmm_write(&g.q, atc[k]);
		}
		write_sync(&g);
		smmus_inject(&g.w.s, 1, -ETIMEDOUT, 0, 0);
		assert_int_equal(vmm_consume(&g.q), 3);
		assert_int_equal(g.q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
		assert_int_equal(smmus_executed(&g.w.s, 0), 2);
		assert_int_equal(vmm_consume(&g.q), 1);
		assert_int_equal(g.syncs, 1);
		assert_int_equal(smmus_executed(&g.w.s, 0), 2);
		assert_int_equal(smmus_times(&g.w.s, 1, &tlbi), 1);
		assert_int_equal(smmus_times(&g.w.s, 1, &atc[1]), 1);
		guest_close(&g);
	}
}

/*
 * The guest sees the queue stopped at the CMD_SYNC. What it changes then, it
 * may count on the commands behind it to invalidate (7.1).
 */
static void
what_is_behind_a_sync_that_the_guest_saw_fail_is_executed_again(void **state)
{
	const struct smmuinv_command atc = atc_inv_all(vsid_of(1, 0));
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	struct guest g;

	(void)state;
	guest_open(&g, 2, SMMUINV_PLAN_FEWEST, 16);
	vmm_write(&g.q, atc);
	write_sync(&g);
	vmm_write(&g.q, tlbi);
	write_sync(&g);
	smmus_inject(&g.w.s, 1, -ETIMEDOUT, 0, 0);
	assert_int_equal(vmm_consume(&g.q), 1);
	assert_int_equal(g.q.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	smmus_forget(&g.w.s);
	assert_int_equal(vmm_consume(&g.q), 3);
	assert_int_equal(smmus_times(&g.w.s, 0, &tlbi), 1);
	assert_int_equal(smmus_times(&g.w.s, 1, &tlbi), 1);
	guest_close(&g);
}

/*
 * With commands kept for the next CMD_SYNC before them, commands were read
 * again and more behind them; what is written afterwards, and is alike, is new.
 */
static void
what_is_like_commands_long_done_is_executed_all_the_same(void **state)
{
	const struct smmuinv_command atc = atc_inv_all(vsid_of(1, 0));
	uint32_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		struct smmuinv_command tlbi[3];
		struct guest g;
		uint32_t i;

		guest_open(&g, 2, plans[p], 16);
		for (i = 0; i < 3; i++)
			tlbi[i] = tlbi_va(0x9000 * (i + 1));
		vmm_write(&g.q, atc);
		smmus_inject(&g.w.s, 1, -ETIMEDOUT, 0, 0);
		assert_int_equal(vmm_consume(&g.q), 1); /* kept */
		vmm_write(&g.q, tlbi[0]);
		vmm_write(&g.q, tlbi[1]);
		smmus_inject(&g.w.s, 1, -EFAULT, 0, 0);
		assert_int_equal(vmm_consume(&g.q), -EFAULT);
		vmm_write(&g.q, tlbi[2]);
		assert_int_equal(vmm_consume(&g.q), 3);
		smmus_forget(&g.w.s);
		for (i = 0; i < 3; i++)
			vmm_write(&g.q, tlbi[i]);
		write_sync(&g);
		assert_int_equal(vmm_consume(&g.q), 4);
		for (i = 0; i < 3; i++) {
			assert_int_equal(smmus_times(&g.w.s, 0, &tlbi[i]), 1);
			assert_int_equal(smmus_times(&g.w.s, 1, &tlbi[i]), 1);
		}
		guest_close(&g);
	}
}

static void a_queue_without_any_smmu_goes_on(void **state)
{
	const struct smmuinv_command commands[] = {
		tlbi_va(0),
		cfgi_cd(1),
		atc_inv_all(1),
	};
	struct guest g;
	uint32_t i;

	(void)state;
	guest_open(&g, 1, SMMUINV_PLAN_FEWEST, 16);
	assert_int_equal(smmuinv_streams_remove_all(g.w.s.streams), 0);
	assert_int_equal(smmus_detach(&g.w.s, 0), 0);
	for (i = 0; i < 3; i++)
		vmm_write(&g.q, commands[i]);
	write_sync(&g);
	assert_int_equal(vmm_consume(&g.q), 4);
	assert_int_equal(g.q.progress.dropped, 3);
	assert_int_equal(g.syncs, 1);
	guest_close(&g);
}

/* One thread consumes while another adds and removes an SMMU with a stream. */
struct changer {
	struct smmus *s;
	bool stop;
	uint32_t changes;
	const char *wrong;
};

static int late_calls(struct changer *c)
{
	uint64_t calls = smmus_calls(c->s, 2);
	uint32_t i;

	for (i = 0; i < 100; i++) {
		if (smmus_calls(c->s, 2) != calls)
			return 1;
	}
	return 0;
}

/* What went wrong. */
static const char *change(struct changer *c)
{
	struct smmuinv_stream_params stream = {
		.size = sizeof(stream),
		.viommu_id = smmus_viommu(c->s, 2),
		.dev_id = smmus_add_device(c->s, 2),
		.vsid = vsid_of(2, 0),
		.ats = true,
	};

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		if (smmus_attach(c->s, 2))
			return "attach";
		if (smmuinv_streams_add(c->s->streams, &stream))
			return "add";
		if (smmuinv_streams_set(c->s->streams, stream.vsid, true, true))
			return "set";
		if (smmus_detach(c->s, 2) != -EBUSY)
			return "detach in use";
		if (smmuinv_streams_remove(c->s->streams, stream.vsid))
			return "remove";
		if (smmus_detach(c->s, 2))
			return "detach";
		if (late_calls(c))
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

static void consume_amid_changes(struct guest *g)
{
	const struct smmuinv_command cd = cfgi_cd(vsid_of(2, 0));
	const struct smmuinv_command tlbi =
		tlbi_va(test_random_below(64) << 12);

	smmus_forget(&g->w.s);
	vmm_write(&g->q, cd);
	vmm_write(&g->q, tlbi);
	write_sync(g);
	if (test_chance(30))
		smmus_inject(&g->w.s, 1, -EFAULT, 0, 0);
	while (g->q.cons != g->q.prod)
		assert_true(vmm_consume(&g->q) >= 0 ||
			    g->q.progress.host_error);
	g->q.prod = g->q.cons;
	assert_true(smmus_times(&g->w.s, 0, &tlbi) > 0);
	assert_true(smmus_times(&g->w.s, 1, &tlbi) > 0);
}

static void smmus_come_and_go_while_a_queue_consumes(void **state)
{
	size_t rounds = test_iterations(3000);
	size_t done;
	struct changer changer = { 0 };
	pthread_t thread;
	struct guest g;

	(void)state;
	guest_open(&g, 3, SMMUINV_PLAN_FEWEST, 16);
	assert_int_equal(
		smmuinv_vsmmu_remove_stream(g.w.s.vsmmu, vsid_of(2, 0)), 0);
	assert_int_equal(
		smmuinv_vsmmu_remove_stream(g.w.s.vsmmu, vsid_of(2, 1)), 0);
	assert_int_equal(smmus_detach(&g.w.s, 2), 0);
	changer.s = &g.w.s;
	assert_int_equal(pthread_create(&thread, NULL, change_thread, &changer),
			 0);
	for (done = 0; done < rounds ||
		       !__atomic_load_n(&changer.changes, __ATOMIC_RELAXED);
	     done++)
		consume_amid_changes(&g);
	__atomic_store_n(&changer.stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (changer.wrong)
		fail_msg("%s", changer.wrong);
	guest_close(&g);
}

/*
 * The promise, on each SMMU by itself: behind a CMD_SYNC that was completed, it
 * remembers nothing that the guest had invalidated before it; although what is
 * stale may be remembered anew from what is, at any time.
 */
enum { ENTRIES = 24, NOTHING = -1 };

struct thing {
	struct smmuinv_cache_entry entry;
	int source; /* what it may be made from again, or NOTHING */
	struct smmuinv_caches *host;
	struct smmuinv_caches *wanted;
};

struct promise {
	struct several w;
	struct smmuinv_queue *queue;
	struct thing things[SMMUS_MAX][ENTRIES];
	struct smmuinv_command ring[RING];
	uint32_t prod;
	uint32_t cons;
	uint32_t asked; /* so far, @wanted has what the guest had asked for */
	bool moves;     /* SMMUs and streams come and go */
	bool present[SMMUS_MAX];
	uint64_t syncs;
	uint64_t faults;
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

static void on_call(void *watcher, uint32_t which,
		    const struct smmuinv_command *commands, uint32_t asked,
		    int rc)
{
	const struct smmuinv_command *executed;
	struct promise *p = watcher;
	size_t n;

	(void)commands;
	(void)asked;
	(void)rc;
	n = smmuinv_mock_executed(p->w.s.smmu[which].mock, &executed);
	execute(p->things[which], false, executed, n);
	smmuinv_mock_forget(p->w.s.smmu[which].mock);
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
			fail_msg("entry %u of SMMU %u is stale behind command "
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
	for (k = 0; k < p->w.s.count; k++) {
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
	for (k = 0; k < p->w.s.count; k++) {
		for (i = 0; i < ENTRIES; i++) {
			smmuinv_caches_refill(p->things[k][i].host);
			smmuinv_caches_refill(p->things[k][i].wanted);
		}
	}
}

static void promise_open(struct promise *p)
{
	static const enum smmuinv_mock_kernel kernels[] = {
		SMMUINV_MOCK_7_3,
		SMMUINV_MOCK_6_13,
		SMMUINV_MOCK_EXACT,
	};
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &promise_ops,
		.opaque = p,
		.window = 1 + (uint32_t)test_random_below(
				      test_chance(50) ? 10 : 2 * RING),
	};
	uint32_t k;

	*p = (struct promise){ .moves = test_chance(30) };
	smmus_init(&p->w.s, 2 + (uint32_t)test_random_below(2));
	p->w.s.params.plan = plans[test_random_below(2)];
	p->w.s.params.pages_max = 1 + (uint32_t)test_random_below(40);
	for (k = 0; k < p->w.s.count; k++) {
		p->w.s.smmu[k].kernel = kernels[test_random_below(3)];
		if (test_chance(30))
			p->w.s.smmu[k].host.idr[3] = 0; /* no RIL */
		if (test_chance(30))
			p->w.s.smmu[k].hw_flags = SMMUINV_HW_INFO_REPEAT;
		p->present[k] = true;
	}
	several_finish(&p->w);
	p->w.s.watcher = p;
	p->w.s.watch = on_call;
	for (k = 0; k < p->w.s.count; k++)
		fill(p, k);
	assert_int_equal(smmuinv_queue_new(p->w.s.vsmmu, &params, &p->queue),
			 0);
}

static void promise_close(struct promise *p)
{
	uint32_t i, k;

	smmuinv_queue_free(p->queue);
	smmuinv_batch_free(p->w.batch);
	smmus_close(&p->w.s);
	for (k = 0; k < p->w.s.count; k++) {
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

static struct smmuinv_command cfgi_ste(uint32_t vsid)
{
	return raw((uint64_t)vsid << 32 | SMMUINV_CMD_CFGI_STE, 1);
}

static struct smmuinv_command promise_command(const struct promise *p)
{
	uint32_t vsid = vsid_of((uint32_t)test_random_below(p->w.s.count),
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
	uint32_t which = (uint32_t)test_random_below(p->w.s.count);
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

	assert_int_equal(smmuinv_mock_inject(p->w.s.smmu[which].mock, &fault),
			 0);
	p->faults++;
}

/* A stream that comes has empty caches: nobody has used it. */
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

	(void)smmuinv_vsmmu_remove_stream(p->w.s.vsmmu, vsid);
	smmus_plug(&p->w.s, which, vsid);
	stream_is_new(p, which, vsid);
}

static void take_out(struct promise *p, uint32_t which)
{
	uint32_t n;

	for (n = 0; n < 2; n++)
		(void)smmuinv_vsmmu_remove_stream(p->w.s.vsmmu,
						  vsid_of(which, n));
	assert_int_equal(smmus_detach(&p->w.s, which), 0);
	p->present[which] = false;
}

/* Nothing of the guest's was cached there while it was not there. */
static void put_in(struct promise *p, uint32_t which)
{
	struct smmuinv_command all;
	uint32_t n;

	assert_int_equal(smmus_attach(&p->w.s, which), 0);
	p->present[which] = true;
	for (n = 0; n < 2; n++) {
		smmus_plug(&p->w.s, which, vsid_of(which, n));
		stream_is_new(p, which, vsid_of(which, n));
	}
	smmuinv_command_tlbi_nh_all(&all);
	thing_forget(p->things[which], false, &all);
}

static void move_something(struct promise *p)
{
	uint32_t which = (uint32_t)test_random_below(p->w.s.count);

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

static int promise_consume(struct promise *p)
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
	assert_int_equal(progress.cons, p->cons % (2 * RING));
	if (rc == -ENODEV)
		replug(p, progress.fault_vsid);
	/* It has stopped, and the guest may do what it likes meanwhile. */
	if (progress.cerror && test_chance(50))
		all_is_stale(p);
	return rc;
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
	if (p->moves && test_chance(10))
		move_something(p);
	if (test_chance(2)) {
		smmuinv_queue_reset(p->queue);
		p->cons = p->prod;
		all_is_stale(p);
	}
	for (k = 0; k < p->w.s.count; k++) {
		if (test_chance(50))
			remake(p->things[k], false);
	}
	(void)promise_consume(p);
}

static void finish(struct promise *p)
{
	uint32_t tries;

	for (tries = 0; p->cons != p->prod; tries++) {
		(void)promise_consume(p);
		assert_true(tries < 1000);
	}
}

static void nothing_is_stale_on_any_smmu_behind_a_completed_sync(void **state)
{
	size_t guests = test_iterations(4000);
	uint64_t syncs = 0, faults = 0, gone = 0;
	size_t i;

	(void)state;
	for (i = 0; i < guests; i++) {
		struct promise *p = test_malloc(sizeof(*p));
		uint32_t steps;
		uint32_t k;

		promise_open(p);
		for (steps = 0; steps < 100; steps++)
			promise_step(p);
		finish(p);
		for (k = 0; k < p->w.s.count; k++)
			assert_int_equal(
				smmuinv_mock_wedged(p->w.s.smmu[k].mock), 0);
		syncs += p->syncs;
		faults += p->faults;
		gone += p->gone;
		promise_close(p);
		test_free(p);
	}
	print_message("%zu guests, %llu CMD_SYNCs, %llu faults; %llu times an "
		      "entry had to be gone\n",
		      guests, (unsigned long long)syncs,
		      (unsigned long long)faults, (unsigned long long)gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(as_written_each_gets_what_concerns_it_in_order),
		T(planned_each_gets_what_it_would_get_alone),
		T(one_whom_nothing_concerns_is_not_called),
		T(the_list_of_viommus_knows_its_bounds),
		T(one_that_cannot_carry_the_guest_is_refused),
		T(one_with_streams_stays),
		T(one_with_the_last_stream_of_all_stays),
		T(a_stream_is_taken_on_a_viommu_of_its_own_only),
		T(tlbis_go_to_one_from_when_it_is_there_until_it_is_not),
		T(without_any_everything_is_complete_at_once),
		T(each_gets_what_it_can_execute),
		T(repeat_is_each_ones_own_unless_the_vmm_says),
		T(a_guest_of_what_all_have_is_carried_by_each),
		T(a_failure_of_one_hides_no_success_of_the_others),
		T(of_several_failures_the_earliest_is_told),
		T(a_time_out_is_told_only_if_nothing_worse_happened),
		T(a_time_out_before_it_hides_nothing_that_is_worse),
		T(a_device_that_is_gone_is_named_whatever_smmu_it_was_behind),
		T(what_is_added_behind_a_failure_goes_to_all),
		T(what_was_done_is_forgotten_when_the_batch_is_cleared),
		T(what_was_done_is_forgotten_when_the_list_changes),
		T(what_one_smmu_has_done_for_a_stream_another_has_not),
		T(ranks_are_kept_apart_on_each_smmu),
		T(a_queue_that_reads_the_same_again_repeats_nothing),
		T(nor_if_it_fails_again_and_again),
		T(a_shorter_look_repeats_only_what_it_did_not_see),
		T(a_command_that_was_rewritten_is_executed_and_those_behind_it),
		T(after_a_reset_the_same_place_is_another_command),
		T(another_place_is_another_command),
		T(a_list_that_changed_is_of_others),
		T(windows_smaller_than_the_ring_repeat_nothing_either),
		T(only_the_smmu_that_did_not_answer_is_asked_again),
		T(what_is_behind_a_sync_that_the_guest_saw_fail_is_executed_again),
		T(what_is_like_commands_long_done_is_executed_all_the_same),
		T(a_queue_without_any_smmu_goes_on),
		T(smmus_come_and_go_while_a_queue_consumes),
		T(nothing_is_stale_on_any_smmu_behind_a_completed_sync),
#undef T
	};

	return cmocka_run_group_tests_name("viommu", tests, NULL, NULL);
}
