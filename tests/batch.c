/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/vsmmu.h"
#include "fixture.h"

#define MANY 130

/* A fixture with a batch of MANY commands. */
struct batch_fixture {
	struct fixture f;
	struct smmuinv_batch *batch;
};

static int setup(void **state)
{
	struct batch_fixture *b = calloc(1, sizeof(*b));

	fixture_open(&b->f, &everything);
	assert_int_equal(smmuinv_batch_new(b->f.vsmmu, MANY, &b->batch), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct batch_fixture *b = *state;

	smmuinv_batch_free(b->batch);
	fixture_close(&b->f);
	free(b);
	return 0;
}

static void add(struct smmuinv_batch *batch, struct smmuinv_command command)
{
	assert_int_equal(smmuinv_batch_add(batch, &command, NULL),
			 SMMUINV_FORWARD);
}

static struct smmuinv_result flush(struct smmuinv_batch *batch, int expected)
{
	struct smmuinv_result result = { .size = sizeof(result) };

	assert_int_equal(smmuinv_batch_flush(batch, &result), expected);
	assert_int_equal(result.error, expected);
	return result;
}

static void a_full_batch_is_one_ioctl_in_order(void **state)
{
	struct batch_fixture *b = *state;
	const struct smmuinv_command *executed;
	struct smmuinv_result result;
	uint32_t i;

	for (i = 0; i < MANY; i++)
		add(b->batch, tlbi_va((uint64_t)i << 12));
	assert_int_equal(smmuinv_batch_count(b->batch), MANY);
	result = flush(b->batch, 0);
	assert_int_equal(result.completed, MANY);
	assert_int_equal(result.sent, MANY);
	assert_int_equal(result.dropped, 0);
	assert_int_equal(result.ioctls, 1);
	assert_int_equal(result.host_commands, MANY);
	assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
	assert_int_equal(result.host_error, 0);
	assert_int_equal(smmuinv_mock_executed(b->f.mock, &executed), MANY);
	for (i = 0; i < MANY; i++) {
		struct smmuinv_command command = tlbi_va((uint64_t)i << 12);

		assert_command_equal(&executed[i], &command);
	}
	assert_int_equal(smmuinv_batch_count(b->batch), 0);
}

static void an_empty_batch_costs_no_ioctl(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result = flush(b->batch, 0);

	assert_int_equal(result.completed, 0);
	assert_int_equal(result.ioctls, 0);
	assert_int_equal(smmuinv_mock_calls(b->f.mock), 0);
}

static void a_full_batch_takes_no_more_and_loses_nothing(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_command command = tlbi_va(0);
	uint32_t i;

	for (i = 0; i < MANY; i++)
		add(b->batch, command);
	assert_int_equal(smmuinv_batch_add(b->batch, &command, NULL), -ENOSPC);
	command = cmd_sync();
	assert_int_equal(smmuinv_batch_add(b->batch, &command, NULL),
			 SMMUINV_VMM);
	command = tlbi_va(0);
	assert_int_equal(flush(b->batch, 0).completed, MANY);
	add(b->batch, command);
	assert_int_equal(flush(b->batch, 0).completed, 1);
}

static void what_is_cleared_is_not_executed(void **state)
{
	struct batch_fixture *b = *state;

	add(b->batch, tlbi_va(0));
	smmuinv_batch_clear(b->batch);
	assert_int_equal(flush(b->batch, 0).completed, 0);
	assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), 0);
}

static void only_forwarded_and_ignored_commands_take_a_place(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_finding finding = { .size = sizeof(finding) };
	struct smmuinv_command illegal = raw(0xff, 0);
	struct smmuinv_command vmm = cmd_sync();
	struct smmuinv_command prefetch = raw(SMMUINV_CMD_PREFETCH_CONFIG, 0);
	struct smmuinv_result result;

	assert_int_equal(smmuinv_batch_add(b->batch, &illegal, &finding),
			 SMMUINV_ILLEGAL);
	assert_int_equal(finding.rule, SMMUINV_RULE_RESERVED_OPCODE);
	assert_int_equal(smmuinv_batch_add(b->batch, &vmm, &finding),
			 SMMUINV_VMM);
	assert_int_equal(smmuinv_batch_count(b->batch), 0);
	assert_int_equal(smmuinv_batch_add(b->batch, &prefetch, &finding),
			 SMMUINV_IGNORE);
	assert_int_equal(smmuinv_batch_count(b->batch), 1);
	result = flush(b->batch, 0);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.dropped, 1);
	assert_int_equal(result.ioctls, 0);
}

static void the_canonical_form_is_what_goes_down(void **state)
{
	struct batch_fixture *b = *state;
	/* NSNH_ALL with RES0 bits set, which older kernels would pass on */
	struct smmuinv_command noisy = raw(0xffffffffffffff30, UINT64_MAX);
	struct smmuinv_command clean = raw(0x30, 0);
	const struct smmuinv_command *executed;

	add(b->batch, noisy);
	flush(b->batch, 0);
	assert_int_equal(smmuinv_mock_executed(b->f.mock, &executed), 1);
	assert_command_equal(executed, &clean);
}

static void a_vsid_without_a_device_is_complete_and_never_sent(void **state)
{
	const uint64_t opcodes[] = { 0x05, 0x06, 0x40 };
	struct batch_fixture *b = *state;
	struct smmuinv_result result;
	uint32_t i;

	for (i = 0; i < 3; i++) {
		add(b->batch, raw((uint64_t)0xbad << 32 | opcodes[i], 0));
		add(b->batch,
		    raw((uint64_t)FIXTURE_VSID << 32 | opcodes[i], 0));
	}
	result = flush(b->batch, 0);
	assert_int_equal(result.completed, 6);
	assert_int_equal(result.sent, 3);
	assert_int_equal(result.dropped, 3);
	assert_int_equal(result.host_commands, 3);
	assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), 3);
}

static void a_stream_may_come_and_go_between_add_and_flush(void **state)
{
	struct batch_fixture *b = *state;

	add(b->batch, cfgi_cd(FIXTURE_VSID));
	assert_int_equal(smmuinv_streams_remove(b->f.streams, FIXTURE_VSID), 0);
	assert_int_equal(flush(b->batch, 0).dropped, 1);
	add(b->batch, cfgi_cd(FIXTURE_VSID));
	assert_int_equal(plug(b->f.vsmmu, b->f.device, FIXTURE_VSID), 0);
	assert_int_equal(flush(b->batch, 0).sent, 1);
}

/*
 * facts of the kernel: it counts commands as done that it never sent. For every
 * length and every place of the refused command: what the library calls
 * complete has been executed, and a retry finishes the rest.
 */
static void a_refused_command_never_hides_an_unsent_one(void **state)
{
	struct batch_fixture *b = *state;
	uint32_t other = fixture_add_device(&b->f);
	uint32_t n, bad, i;

	for (n = 1; n <= MANY; n += n < 70 ? 1 : 10) {
		for (bad = 0; bad < n; bad++) {
			struct smmuinv_result result;

			plug(b->f.vsmmu, other, 0x20);
			fixture_lose_vdevice(&b->f, 0x20);
			smmuinv_mock_forget(b->f.mock);
			for (i = 0; i < n; i++)
				add(b->batch,
				    i == bad ? cfgi_cd(0x20) :
					       tlbi_va((uint64_t)i << 12));
			result = flush(b->batch, -ENODEV);
			assert_int_equal(result.completed, bad);
			assert_int_equal(result.fault_index, bad);
			assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
			assert_int_equal(result.host_error, -EIO);
			assert_int_equal(result.host_count, bad);
			assert_int_equal(result.ioctls, bad ? 2 : 1);
			for (i = 0; i < bad; i++) {
				struct smmuinv_command command =
					tlbi_va((uint64_t)i << 12);

				assert_true(times_executed(&b->f, &command));
			}

			assert_int_equal(smmuinv_batch_count(b->batch),
					 n - bad);
			smmuinv_vsmmu_remove_stream(b->f.vsmmu, 0x20);
			result = flush(b->batch, 0);
			assert_int_equal(result.completed, n - bad);
			for (i = bad + 1; i < n; i++) {
				struct smmuinv_command command =
					tlbi_va((uint64_t)i << 12);

				assert_true(times_executed(&b->f, &command));
			}
		}
	}
}

static void dropped_commands_before_a_refused_one_are_complete(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result;

	add(b->batch, tlbi_va(0x1000));
	add(b->batch, cfgi_cd(0xbad));        /* no device: nothing to send */
	add(b->batch, cfgi_cd(FIXTURE_VSID)); /* will be refused */
	add(b->batch, tlbi_va(0x2000));
	fixture_lose_vdevice(&b->f, FIXTURE_VSID);
	result = flush(b->batch, -ENODEV);
	assert_int_equal(result.completed, 2);
	assert_int_equal(result.sent, 1);
	assert_int_equal(result.dropped, 1);
	assert_int_equal(result.fault_index, 2);
	assert_int_equal(result.host_count, 1);
}

static void without_a_refusal_the_kernels_count_is_not_believed(void **state)
{
	const int errors[] = { -ETIMEDOUT, -EFAULT,     -EINVAL,
			       -ENOENT,    -EOPNOTSUPP, -ENOTTY };
	struct batch_fixture *b = *state;
	uint32_t e, count, i;

	for (e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		for (count = 0; count <= 8; count++) {
			struct smmuinv_result result;

			for (i = 0; i < 8; i++)
				add(b->batch, tlbi_va((uint64_t)i << 12));
			inject(&b->f, errors[e], 0, count);
			smmuinv_mock_forget(b->f.mock);
			result = flush(b->batch, errors[e]);
			assert_int_equal(result.completed, 0);
			assert_int_equal(result.fault_index, 0);
			assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
			assert_int_equal(result.host_error, errors[e]);
			assert_int_equal(result.host_count, count);
			assert_int_equal(smmuinv_batch_count(b->batch), 8);
			assert_int_equal(flush(b->batch, 0).completed, 8);
			assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL),
					 8);
		}
	}
}

static void success_for_another_number_of_commands_is_eproto(void **state)
{
	const uint32_t counts[] = { 0, 1, 3, 5, UINT32_MAX - 1 };
	struct batch_fixture *b = *state;
	uint32_t c, i;

	for (c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		for (i = 0; i < 4; i++)
			add(b->batch, tlbi_va((uint64_t)i << 12));
		inject(&b->f, 0, 2, counts[c]);
		assert_int_equal(flush(b->batch, -EPROTO).completed, 0);
		assert_int_equal(flush(b->batch, 0).completed, 4);
	}
}

static void a_refusal_with_an_impossible_count_is_nothing_done(void **state)
{
	const uint32_t counts[] = { 4, 5, UINT32_MAX - 1 };
	struct batch_fixture *b = *state;
	uint32_t c, i;

	for (c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		for (i = 0; i < 4; i++)
			add(b->batch, tlbi_va((uint64_t)i << 12));
		inject(&b->f, -EIO, 0, counts[c]);
		assert_int_equal(flush(b->batch, -EIO).completed, 0);
		assert_int_equal(flush(b->batch, 0).completed, 4);
	}
}

static void a_prefix_that_fails_too_is_shortened_until_it_succeeds(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result;
	uint32_t i;

	for (i = 0; i < 10; i++)
		add(b->batch, tlbi_va((uint64_t)i << 12));
	inject(&b->f, -EIO, 0, 8);
	inject(&b->f, -EIO, 0, 5);
	result = flush(b->batch, -EIO);
	assert_int_equal(result.completed, 5);
	assert_int_equal(result.fault_index, 5);
	assert_int_equal(result.ioctls, 3);
	assert_int_equal(result.host_commands, 10 + 8 + 5);
	assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), 5);

	smmuinv_batch_clear(b->batch);
	for (i = 0; i < 10; i++)
		add(b->batch, tlbi_va((uint64_t)i << 12));
	inject(&b->f, -EIO, 0, 8);
	inject(&b->f, -ETIMEDOUT, 0, 7);
	result = flush(b->batch, -ETIMEDOUT);
	assert_int_equal(result.completed, 0);
	assert_int_equal(result.fault_index, 0);
}

/* The sizes in which a full batch is tried, one after the other. */
static const uint32_t smaller[] = { MANY, 63, 31, 15, 7, 3, 1 };

#define SMALLER (sizeof(smaller) / sizeof(smaller[0]))

static void without_memory_the_kernel_is_asked_in_smaller_calls(void **state)
{
	struct batch_fixture *b = *state;
	uint32_t refusals, i;

	for (refusals = 1; refusals < SMALLER; refusals++) {
		struct smmuinv_result result;

		for (i = 0; i < MANY; i++)
			add(b->batch, tlbi_va((uint64_t)i << 12));
		for (i = 0; i < refusals; i++)
			inject(&b->f, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
		smmuinv_mock_forget(b->f.mock);
		result = flush(b->batch, 0);
		assert_int_equal(result.completed, MANY);
		assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
		assert_int_equal(result.host_error, -ENOMEM);
		assert_int_equal(result.host_count, smaller[refusals - 1]);
		assert_int_equal(result.ioctls,
				 refusals + (MANY + smaller[refusals] - 1) /
						    smaller[refusals]);
		assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), MANY);
	}
}

static void enomem_for_a_single_command_is_the_callers(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result;
	uint32_t i;

	for (i = 0; i < MANY; i++)
		add(b->batch, tlbi_va((uint64_t)i << 12));
	for (i = 0; i < SMALLER; i++)
		inject(&b->f, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
	result = flush(b->batch, -ENOMEM);
	assert_int_equal(result.completed, 0);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.ioctls, SMALLER);
	assert_int_equal(flush(b->batch, 0).completed, MANY);
}

/* Small calls are made smaller too, down to one command. */
static void enomem_for_a_few_commands_is_retried_one_by_one(void **state)
{
	struct batch_fixture *b = *state;
	uint32_t n, i;

	for (n = 2; n < 8; n++) {
		for (i = 0; i < n; i++)
			add(b->batch, tlbi_va((uint64_t)i << 12));
		for (i = n; i > 1; i /= 2)
			inject(&b->f, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
		smmuinv_mock_forget(b->f.mock);
		assert_int_equal(flush(b->batch, 0).completed, n);
		assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), n);
	}
}

static void enomem_after_a_refusal_still_completes_the_prefix(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result;
	uint32_t i;

	for (i = 0; i < 10; i++)
		add(b->batch, tlbi_va((uint64_t)i << 12));
	inject(&b->f, -EIO, 0, 8);
	inject(&b->f, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
	result = flush(b->batch, -EIO);
	assert_int_equal(result.completed, 8);
	assert_int_equal(result.fault_index, 8);
	assert_int_equal(result.ioctls, 4);
	assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), 8);
}

static void interrupted_calls_are_repeated_and_not_reported(void **state)
{
	const int errors[] = { -EINTR, -EAGAIN };
	struct batch_fixture *b = *state;
	uint32_t e;

	for (e = 0; e < 2; e++) {
		struct smmuinv_result result;

		add(b->batch, tlbi_va(0x1000));
		add(b->batch, tlbi_va(0x2000));
		inject(&b->f, errors[e], 1, 0);
		inject(&b->f, errors[e], 0, 2);
		result = flush(b->batch, 0);
		assert_int_equal(result.completed, 2);
		assert_int_equal(result.host_error, 0);
	}
}

static void a_device_that_is_gone_is_enodev_and_a_viommu_enoent(void **state)
{
	struct batch_fixture *b = *state;

	add(b->batch, cfgi_cd(FIXTURE_VSID));
	fixture_lose_vdevice(&b->f, FIXTURE_VSID);
	assert_int_equal(flush(b->batch, -ENODEV).host_error, -EIO);
	assert_int_equal(flush(b->batch, -ENODEV).fault_vsid, FIXTURE_VSID);
	(void)smmuinv_vsmmu_remove_stream(b->f.vsmmu, FIXTURE_VSID);
	assert_int_equal(flush(b->batch, 0).dropped, 1);

	add(b->batch, tlbi_va(0));
	assert_int_equal(smmuinv_mock_destroy(b->f.mock, b->f.viommu), 0);
	assert_int_equal(flush(b->batch, -ENOENT).completed, 0);
}

static void a_refusal_without_a_stream_stays_eio(void **state)
{
	struct batch_fixture *b = *state;

	add(b->batch, tlbi_va(0));
	add(b->batch, cfgi_cd(FIXTURE_VSID));
	inject(&b->f, -EIO, 0, 0);
	assert_int_equal(flush(b->batch, -EIO).fault_index, 0);
	/* An impossible count names no command. */
	smmuinv_batch_clear(b->batch);
	add(b->batch, cfgi_cd(FIXTURE_VSID));
	inject(&b->f, -EIO, 0, 7);
	assert_int_equal(flush(b->batch, -EIO).fault_index, 0);
}

/* No stream is at fault: vSID 0 must not be unplugged for it. */
static void a_backends_own_enodev_is_eio(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result;

	add(b->batch, tlbi_va(0));
	inject(&b->f, -ENODEV, 0, 0);
	result = flush(b->batch, -EIO);
	assert_int_equal(result.host_error, -ENODEV);
	assert_int_equal(flush(b->batch, 0).completed, 1);
}

static struct smmuinv_command atc_inv(void)
{
	return raw((uint64_t)FIXTURE_VSID << 32 | SMMUINV_CMD_ATC_INV,
		   SMMUINV_ATC_SIZE_ALL);
}

static void a_timeout_after_atc_inv_may_be_shown_to_the_guest(void **state)
{
	struct batch_fixture *b = *state;

	add(b->batch, tlbi_va(0));
	add(b->batch, atc_inv());
	inject(&b->f, -ETIMEDOUT, 1, 1);
	assert_int_equal(flush(b->batch, -ETIMEDOUT).cerror,
			 SMMUINV_CERROR_ATC_INV_SYNC);
	assert_int_equal(flush(b->batch, 0).completed, 2);
	add(b->batch, tlbi_va(0));
	inject(&b->f, -ETIMEDOUT, 0, 0);
	assert_int_equal(flush(b->batch, -ETIMEDOUT).cerror,
			 SMMUINV_CERROR_NONE);
	smmuinv_batch_clear(b->batch);
}

/* Another virtual SMMU over the same vIOMMU, with a policy for the erratum. */
static void open_with_repeat(struct batch_fixture *b, uint32_t hw_flags,
			     uint32_t repeat, enum smmuinv_plan plan,
			     struct smmuinv_vsmmu **vsmmu,
			     struct smmuinv_batch **batch)
{
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = b->f.backend,
		.viommu_id = b->f.viommu,
		.guest = everything,
		.host = everything,
		.hw_flags = hw_flags,
		.repeat = repeat,
		.plan = plan,
	};

	assert_int_equal(smmuinv_vsmmu_new(&params, vsmmu), 0);
	assert_int_equal(plug(*vsmmu, fixture_add_device(&b->f), 0x20), 0);
	assert_int_equal(smmuinv_batch_new(*vsmmu, MANY, batch), 0);
}

static void the_erratum_is_repeated_for_by_flag_and_by_policy(void **state)
{
	const struct {
		uint32_t hw_flags;
		uint32_t repeat;
		uint32_t ioctls;
	} cases[] = {
		{ 0, SMMUINV_REPEAT_AS_HOST, 1 },
		{ SMMUINV_HW_INFO_REPEAT, SMMUINV_REPEAT_AS_HOST, 2 },
		{ 0xfffffffe, SMMUINV_REPEAT_AS_HOST, 1 },
		{ 0, SMMUINV_REPEAT_ALWAYS, 2 },
		{ SMMUINV_HW_INFO_REPEAT, SMMUINV_REPEAT_NEVER, 1 },
	};
	struct batch_fixture *b = *state;
	uint32_t c;

	for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct smmuinv_command tlbi = tlbi_va(0x1000);
		struct smmuinv_command cd = cfgi_cd(0x20);
		struct smmuinv_command atc =
			raw((uint64_t)0x20 << 32 | SMMUINV_CMD_ATC_INV, 0);
		struct smmuinv_result result;
		struct smmuinv_batch *batch;
		struct smmuinv_vsmmu *vsmmu;

		open_with_repeat(b, cases[c].hw_flags, cases[c].repeat,
				 SMMUINV_PLAN_FEWEST, &vsmmu, &batch);
		smmuinv_mock_forget(b->f.mock);
		add(batch, atc);
		add(batch, tlbi);
		add(batch, cd);
		result = flush(batch, 0);
		assert_int_equal(result.ioctls, cases[c].ioctls);
		assert_int_equal(result.completed, 3);
		assert_int_equal(times_executed(&b->f, &tlbi), cases[c].ioctls);
		assert_int_equal(times_executed(&b->f, &cd), cases[c].ioctls);
		assert_int_equal(times_executed(&b->f, &atc), 1);
		/* ATC_INV alone is not concerned. */
		add(batch, atc);
		assert_int_equal(flush(batch, 0).ioctls, 1);
		smmuinv_batch_free(batch);
		smmuinv_vsmmu_free(vsmmu);
	}
}

static void with_the_erratum_one_execution_is_not_complete(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_mock_fault second = {
		.size = sizeof(second),
		.pass = 1,
		.error = -EIO,
	};
	struct smmuinv_result result;
	struct smmuinv_batch *batch;
	struct smmuinv_vsmmu *vsmmu;
	uint32_t fails, i;

	open_with_repeat(b, 0, SMMUINV_REPEAT_ALWAYS, SMMUINV_PLAN_AS_WRITTEN,
			 &vsmmu, &batch);
	/* The second round fails at each of its commands; [0] is no ATC_INV. */
	for (fails = 0; fails < 4; fails++) {
		add(batch, tlbi_va(0x1000));
		add(batch, raw((uint64_t)0x20 << 32 | SMMUINV_CMD_ATC_INV, 0));
		for (i = 0; i < 3; i++)
			add(batch, tlbi_va((uint64_t)(i + 2) << 12));
		second.count = fails;
		assert_int_equal(smmuinv_mock_inject(b->f.mock, &second), 0);
		result = flush(batch, -EIO);
		assert_int_equal(result.completed, fails ? fails + 1 : 0);
		assert_int_equal(flush(batch, 0).completed,
				 5 - result.completed);
	}
	/* A prefix that the first round accepted is repeated as well. */
	add(batch, tlbi_va(0x1000));
	add(batch, tlbi_va(0x2000));
	smmuinv_mock_forget(b->f.mock);
	inject(&b->f, -EIO, 0, 1);
	result = flush(batch, -EIO);
	assert_int_equal(result.completed, 1);
	assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), 2);
	smmuinv_batch_free(batch);
	smmuinv_vsmmu_free(vsmmu);
}

static void a_whole_array_goes_down_in_full_batches(void **state)
{
	enum { COUNT = 3 * MANY + 7 };
	struct batch_fixture *b = *state;
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[COUNT];
	uint32_t i;

	for (i = 0; i < COUNT; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
	/* One of them needs nothing, and one a closer look. */
	commands[5] = raw(SMMUINV_CMD_PREFETCH_CONFIG, 0);
	commands[9] = raw((uint64_t)FIXTURE_VSID << 32 | 3 << 12 | 1 << 11 |
				  SMMUINV_CMD_ATC_INV,
			  0x1000);
	assert_int_equal(
		smmuinv_batch_submit(b->batch, commands, COUNT, &result), 0);
	assert_int_equal(result.completed, COUNT);
	assert_int_equal(result.dropped, 1);
	assert_int_equal(result.ioctls, 4);
	assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), COUNT - 1);
	assert_int_equal(smmuinv_batch_submit(b->batch, commands, 5, NULL), 0);
	assert_int_equal(smmuinv_batch_submit(b->batch, NULL, 0, NULL), 0);
}

static void
an_array_stops_at_an_illegal_command_with_the_rest_before_done(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_command commands[MANY + 20];
	uint32_t bad, i;

	for (bad = 0; bad < MANY + 20; bad++) {
		struct smmuinv_result result = { .size = sizeof(result) };

		for (i = 0; i < MANY + 20; i++)
			commands[i] = tlbi_va((uint64_t)i << 12);
		commands[bad] = raw(SMMUINV_CMD_CFGI_CD | 1 << 10, 0);
		smmuinv_mock_forget(b->f.mock);
		assert_int_equal(smmuinv_batch_submit(b->batch, commands,
						      MANY + 20, &result),
				 1);
		assert_int_equal(result.completed, bad);
		assert_int_equal(result.fault_index, bad);
		assert_int_equal(result.cerror, SMMUINV_CERROR_ILL);
		assert_int_equal(result.rule, SMMUINV_RULE_SSEC);
		assert_int_equal(result.field, SMMUINV_FIELD_SSEC);
		assert_int_equal(smmuinv_mock_executed(b->f.mock, NULL), bad);
		assert_int_equal(smmuinv_batch_count(b->batch), 0);
	}
}

static void an_array_stops_at_a_command_of_the_vmms_without_cerror(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[3] = { tlbi_va(0), cmd_sync(),
					       tlbi_va(0) };

	assert_int_equal(smmuinv_batch_submit(b->batch, commands, 3, &result),
			 1);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.fault_index, 1);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
}

static void
a_host_failure_in_an_array_is_no_cerror_even_before_an_illegal_one(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[3] = { tlbi_va(0), tlbi_va(1 << 12),
					       raw(0xff, 0) };

	inject(&b->f, -EFAULT, 0, 3);
	assert_int_equal(smmuinv_batch_submit(b->batch, commands, 3, &result),
			 -EFAULT);
	assert_int_equal(result.completed, 0);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(smmuinv_batch_count(b->batch), 0);
	/* Going on from where it says completes everything. */
	assert_int_equal(smmuinv_batch_submit(b->batch, commands, 3, &result),
			 1);
	assert_int_equal(result.completed, 2);
}

static void
a_failure_in_a_later_chunk_counts_from_the_first_command(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = 1,
		.error = -EIO,
		.count = 20,
	};
	struct smmuinv_command commands[2 * MANY];
	uint32_t i;

	for (i = 0; i < 2 * MANY; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
	assert_int_equal(smmuinv_mock_inject(b->f.mock, &fault), 0);
	assert_int_equal(
		smmuinv_batch_submit(b->batch, commands, 2 * MANY, &result),
		-EIO);
	assert_int_equal(result.completed, MANY + 20);
	assert_int_equal(result.fault_index, MANY + 20);
	assert_int_equal(result.sent, MANY + 20);
}

/*
 * smmuinv_vsmmu_new() accepts only guests that the host can carry. Should a
 * command be inexpressible all the same, it is an errno and not the guest's
 * fault.
 */
static void what_the_host_cannot_express_is_an_errno(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[2] = {
		tlbi_va(0x1000), raw(0x1005, 0) /* CFGI_CD, SubstreamID 1 */
	};
	struct smmuinv_features host = everything;

	host.idr[1] = 0;
	smmuinv__check_compile(&b->f.vsmmu->check, &everything, &host, 0);
	assert_int_equal(smmuinv_batch_submit(b->batch, commands, 2, &result),
			 -EOPNOTSUPP);
	assert_int_equal(result.completed, 1);
	assert_int_equal(result.fault_index, 1);
	assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(result.rule, SMMUINV_RULE_HOST_LACKS);
	assert_int_equal(result.field, SMMUINV_FIELD_SUBSTREAMID);
}

/* A SubstreamID out of range stays dropped when the stream is looked up. */
static void a_dropped_substream_is_not_sent_by_a_retry(void **state)
{
	struct smmuinv_features features = everything;
	struct smmuinv_command beyond = raw(
		(uint64_t)FIXTURE_VSID << 32 | 1 << 14 | SMMUINV_CMD_CFGI_CD,
		0);
	struct smmuinv_batch *batch;
	struct fixture f;

	(void)state;
	features.idr[1] = 1 << 6 | 16; /* one bit of SubstreamID */
	fixture_open(&f, &features);
	assert_int_equal(smmuinv_batch_new(f.vsmmu, 4, &batch), 0);
	add(batch, tlbi_va(0));
	assert_int_equal(smmuinv_batch_add(batch, &beyond, NULL),
			 SMMUINV_IGNORE);
	inject(&f, -EFAULT, 0, 0);
	assert_int_equal(flush(batch, -EFAULT).completed, 0);
	assert_int_equal(flush(batch, 0).dropped, 1);
	assert_int_equal(smmuinv_mock_executed(f.mock, NULL), 1);
	smmuinv_batch_free(batch);
	fixture_close(&f);
}

static void an_array_wants_an_empty_batch(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_command command = tlbi_va(0);

	add(b->batch, command);
	assert_int_equal(smmuinv_batch_submit(b->batch, &command, 1, NULL),
			 -EBUSY);
	assert_int_equal(flush(b->batch, 0).completed, 1);
}

static void capacities_are_bounded_by_what_the_kernel_takes(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_batch *batch = NULL;

	assert_int_equal(smmuinv_batch_new(b->f.vsmmu, 0, &batch), -EINVAL);
	assert_int_equal(smmuinv_batch_new(b->f.vsmmu,
					   SMMUINV_BATCH_CAPACITY_MAX + 1,
					   &batch),
			 -EINVAL);
	assert_null(batch);
	assert_int_equal(smmuinv_batch_new(b->f.vsmmu,
					   SMMUINV_BATCH_CAPACITY_MAX, &batch),
			 0);
	smmuinv_batch_free(batch);
	smmuinv_batch_free(NULL);
}

static void bad_arguments_are_refused(void **state)
{
	struct batch_fixture *b = *state;
	struct smmuinv_command command = tlbi_va(0);
	struct smmuinv_finding finding = { .size = 1 };
	struct smmuinv_result result = { .size = 1 };
	struct smmuinv_batch *batch;

	assert_int_equal(smmuinv_batch_new(NULL, 1, &batch), -EINVAL);
	assert_int_equal(smmuinv_batch_new(b->f.vsmmu, 1, NULL), -EINVAL);
	assert_int_equal(smmuinv_batch_add(NULL, &command, NULL), -EINVAL);
	assert_int_equal(smmuinv_batch_add(b->batch, NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_batch_add(b->batch, &command, &finding),
			 -EINVAL);
	assert_int_equal(smmuinv_batch_flush(NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_batch_flush(b->batch, &result), -EINVAL);
	assert_int_equal(smmuinv_batch_submit(NULL, &command, 1, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_batch_submit(b->batch, NULL, 1, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_batch_submit(b->batch, &command, 1, &result),
			 -EINVAL);
	assert_int_equal(smmuinv_batch_count(b->batch), 0);
}

/* A batch with a plan, for a guest on a host. */
static void planned_open(struct batch_fixture *b,
			 const struct smmuinv_features *host,
			 const struct smmuinv_features *guest,
			 enum smmuinv_plan plan, uint32_t capacity)
{
	fixture_open_with(&b->f, host, guest, plan);
	assert_int_equal(smmuinv_batch_new(b->f.vsmmu, capacity, &b->batch), 0);
}

static void planned_close(struct batch_fixture *b)
{
	smmuinv_batch_free(b->batch);
	fixture_close(&b->f);
}

static void add_sync(struct smmuinv_batch *batch)
{
	assert_int_equal(smmuinv_batch_sync(batch), 0);
}

/* CFGI_CD, TLBI_NH_VA and ATC_INV by rank, that have nothing in common. */
static struct smmuinv_command of_rank_on(uint64_t sid, unsigned int rank,
					 uint32_t n)
{
	sid <<= 32;
	switch (rank) {
	case 0:
		return raw(sid | n << 12 | SMMUINV_CMD_CFGI_CD, 1);
	case 1:
		return tlbi_va((uint64_t)n << 13);
	default:
		return raw(sid | SMMUINV_CMD_ATC_INV, (uint64_t)n << 13);
	}
}

static struct smmuinv_command of_rank(unsigned int rank, uint32_t n)
{
	return of_rank_on(FIXTURE_VSID, rank, n);
}

static const enum smmuinv_plan plans[] = { SMMUINV_PLAN_FEWEST,
					   SMMUINV_PLAN_AS_WRITTEN };

#define PLANS (sizeof(plans) / sizeof(plans[0]))

/* Two of each rank, with a sync behind each rank. */
static void add_three_ranks(struct batch_fixture *b)
{
	uint32_t i;

	for (i = 0; i < 6; i++) {
		add(b->batch, of_rank(i / 2, i));
		if (i % 2)
			add_sync(b->batch);
	}
	smmuinv_mock_forget(b->f.mock);
	b->f.call_count = 0;
}

static void assert_executed_of_ranks(struct batch_fixture *b, uint32_t upto)
{
	uint32_t i;

	for (i = 0; i < upto; i++) {
		struct smmuinv_command command = of_rank(i / 2, i);

		assert_true(times_executed(&b->f, &command) > 0);
	}
}

static void a_sync_keeps_the_order_of_ranks_and_nothing_else(void **state)
{
	struct batch_fixture b;
	uint32_t p, i;

	(void)state;
	for (p = 0; p < PLANS; p++) {
		planned_open(&b, &everything, &everything, plans[p], MANY);
		add_three_ranks(&b);
		assert_int_equal(flush(b.batch, 0).completed, 6);
		assert_int_equal(b.f.call_count, 3);
		for (i = 0; i < 6; i++) {
			struct smmuinv_command command = of_rank(i / 2, i);

			assert_int_equal(last_call_of(&b.f, &command), i / 2);
		}
		/* The other way round they go together. */
		b.f.call_count = 0;
		for (i = 0; i < 6; i++) {
			add(b.batch, of_rank(2 - i / 2, i));
			add_sync(b.batch);
		}
		assert_int_equal(flush(b.batch, 0).completed, 6);
		assert_int_equal(b.f.call_count, 1);
		/* And so they do without a sync. */
		for (i = 0; i < 6; i++)
			add(b.batch, of_rank(i / 2, i));
		assert_int_equal(flush(b.batch, 0).ioctls, 1);
		planned_close(&b);
	}
}

static void a_sync_with_nothing_new_before_it_orders_nothing(void **state)
{
	struct batch_fixture b;
	uint32_t p, i;

	(void)state;
	for (p = 0; p < PLANS; p++) {
		planned_open(&b, &everything, &everything, plans[p], 2);
		/* More of them than there is room for commands. */
		for (i = 0; i < 9; i++)
			add_sync(b.batch);
		add(b.batch, of_rank(1, 0));
		for (i = 0; i < 9; i++)
			add_sync(b.batch);
		add(b.batch, of_rank(2, 1));
		for (i = 0; i < 9; i++)
			add_sync(b.batch);
		assert_int_equal(smmuinv_batch_count(b.batch), 2);
		assert_int_equal(flush(b.batch, 0).ioctls, 2);
		/* What is flushed or cleared orders nothing any more. */
		add(b.batch, of_rank(1, 0));
		add_sync(b.batch);
		smmuinv_batch_clear(b.batch);
		add(b.batch, of_rank(1, 0));
		add(b.batch, of_rank(2, 1));
		assert_int_equal(flush(b.batch, 0).ioctls, 1);
		planned_close(&b);
	}
	assert_int_equal(smmuinv_batch_sync(NULL), -EINVAL);
}

/* The syncs are still there when what failed is tried again. */
static void
a_failure_in_any_call_of_three_leaves_the_order_as_it_was(void **state)
{
	const int errors[] = { -EFAULT, -EIO, -ENOENT, -EPROTO };
	struct batch_fixture b;
	uint32_t p, e, i;

	(void)state;
	for (p = 0; p < PLANS * 4; p++) {
		struct smmuinv_mock_fault fault = { .size = sizeof(fault) };

		e = p / PLANS;
		planned_open(&b, &everything, &everything, plans[p % PLANS],
			     MANY);
		for (fault.pass = 0; fault.pass < 3; fault.pass++) {
			struct smmuinv_result result;

			/* A count that names no command. */
			fault.error = errors[e] == -EPROTO ? 0 : errors[e];
			fault.count = 7;
			add_three_ranks(&b);
			assert_int_equal(smmuinv_mock_inject(b.f.mock, &fault),
					 0);
			result = flush(b.batch, errors[e]);
			assert_int_equal(result.completed, 2 * fault.pass);
			assert_int_equal(result.fault_index, 2 * fault.pass);
			assert_int_equal(result.ioctls, fault.pass + 1);
			assert_executed_of_ranks(&b, result.completed);
			result = flush(b.batch, 0);
			assert_int_equal(result.ioctls, 3 - fault.pass);
			assert_executed_of_ranks(&b, 6);
			for (i = 1; i < 6; i++) {
				struct smmuinv_command last =
					of_rank((i - 1) / 2, i - 1);
				struct smmuinv_command next = of_rank(i / 2, i);

				assert_true(last_call_of(&b.f, &last) +
						    !(i % 2) <=
					    last_call_of(&b.f, &next));
			}
		}
		planned_close(&b);
	}
}

/* As everything, but with the 4K granule only. */
static struct smmuinv_features only_4k(void)
{
	struct smmuinv_features features = everything;

	features.idr[5] = 0x14;
	return features;
}

/* Which one the plan has hidden, the guest's own order shows. */
static void a_refusal_of_what_was_planned_is_accounted_for_exactly(void **state)
{
	const struct smmuinv_features guest = only_4k();
	uint32_t bad, i;

	(void)state;
	for (bad = 0; bad < MANY; bad += bad < 12 ? 1 : 17) {
		struct smmuinv_result result;
		struct batch_fixture b;
		uint32_t other;

		planned_open(&b, &guest, &guest, SMMUINV_PLAN_FEWEST, MANY);
		other = fixture_add_device(&b.f);
		plug(b.f.vsmmu, other, 0x20);
		fixture_lose_vdevice(&b.f, 0x20);
		/* Downwards, so that the plan has it otherwise. */
		for (i = 0; i < MANY; i++)
			add(b.batch,
			    i == bad ? cfgi_cd(0x20) :
				       tlbi_va((uint64_t)(MANY - i) << 12));
		result = flush(b.batch, -ENODEV);
		assert_int_equal(result.completed, bad);
		assert_int_equal(result.fault_index, bad);
		assert_int_equal(result.fault_vsid, 0x20);
		assert_int_equal(result.sent, bad);
		for (i = 0; i < bad; i++) {
			struct smmuinv_command command =
				tlbi_va((uint64_t)(MANY - i) << 12);

			assert_true(times_executed(&b.f, &command) > 0);
		}
		assert_int_equal(smmuinv_batch_count(b.batch), MANY - bad);
		(void)smmuinv_vsmmu_remove_stream(b.f.vsmmu, 0x20);
		result = flush(b.batch, 0);
		assert_int_equal(result.completed, MANY - bad);
		/* What is in a row is a range or two again. */
		assert_true(result.host_commands <= 2);
		planned_close(&b);
	}
}

static void a_refusal_that_nothing_written_meets_is_none(void **state)
{
	const struct smmuinv_features guest = only_4k();
	const struct smmuinv_command *range;
	struct smmuinv_command refused;
	struct smmuinv_result result;
	struct batch_fixture b;
	uint32_t i;

	(void)state;
	planned_open(&b, &guest, &guest, SMMUINV_PLAN_FEWEST, MANY);
	for (i = 0; i < 8; i++)
		add(b.batch, tlbi_va((uint64_t)i << 12));
	assert_int_equal(flush(b.batch, 0).host_commands, 1);
	assert_int_equal(smmuinv_mock_executed(b.f.mock, &range), 1);
	refused = *range;
	b.f.refused = &refused;
	smmuinv_mock_forget(b.f.mock);
	for (i = 0; i < 8; i++)
		add(b.batch, tlbi_va((uint64_t)i << 12));
	result = flush(b.batch, 0);
	assert_int_equal(result.completed, 8);
	assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
	assert_int_equal(result.host_error, -EIO);
	assert_int_equal(smmuinv_mock_executed(b.f.mock, NULL), 8);
	planned_close(&b);
}

static void a_whole_array_is_planned_batch_by_batch(void **state)
{
	enum { COUNT = 3 * MANY + 7 };
	const struct smmuinv_features guest = only_4k();
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command commands[COUNT];
	struct batch_fixture b;
	uint32_t i;

	(void)state;
	for (i = 0; i < COUNT; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
	planned_open(&b, &guest, &guest, SMMUINV_PLAN_FEWEST, MANY);
	assert_int_equal(
		smmuinv_batch_submit(b.batch, commands, COUNT, &result), 0);
	assert_int_equal(result.completed, COUNT);
	assert_int_equal(result.sent, COUNT);
	assert_int_equal(result.ioctls, 4);
	assert_int_equal(result.host_commands, 4);
	/* And so it is up to a command that is not for the host. */
	commands[MANY + 3] = cmd_sync();
	assert_int_equal(
		smmuinv_batch_submit(b.batch, commands, COUNT, &result), 1);
	assert_int_equal(result.completed, MANY + 3);
	assert_int_equal(result.host_commands, 2);
	planned_close(&b);
}

static void
a_plan_completes_what_stands_before_the_first_thing_undone(void **state)
{
	const struct smmuinv_features guest = only_4k();
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = 1,
		.error = -EFAULT,
	};
	struct smmuinv_result result;
	struct batch_fixture b;

	(void)state;
	planned_open(&b, &guest, &guest, SMMUINV_PLAN_FEWEST, MANY);
	/* The pages are one range, and the ATC_INV a call of its own. */
	add(b.batch, tlbi_va(0x1000));
	add(b.batch, tlbi_va(0x2000));
	add_sync(b.batch);
	add(b.batch, of_rank(2, 7));
	add(b.batch, tlbi_va(0x3000));
	assert_int_equal(smmuinv_mock_inject(b.f.mock, &fault), 0);
	result = flush(b.batch, -EFAULT);
	assert_int_equal(result.completed, 2);
	assert_int_equal(result.host_commands, 2);
	assert_int_equal(smmuinv_batch_count(b.batch), 2);
	/* Of the first that is undone, all that follows is tried again. */
	result = flush(b.batch, 0);
	assert_int_equal(result.completed, 2);
	assert_int_equal(result.host_commands, 2);
	planned_close(&b);
}

/* What the calls have in them from here on: each rank, and how often. */
static void assert_calls(const struct fixture *f, const char *ranks)
{
	static const uint8_t opcodes[] = { SMMUINV_CMD_CFGI_CD,
					   SMMUINV_CMD_TLBI_NH_VA,
					   SMMUINV_CMD_ATC_INV };
	uint32_t i;

	assert_int_equal(f->call_count, strlen(ranks));
	for (i = 0; i < f->call_count; i++) {
		assert_int_equal(f->calls[i].count, 2);
		assert_int_equal(
			smmuinv_command_opcode(&f->calls[i].commands[0]),
			opcodes[ranks[i] - '0']);
	}
}

static void
with_the_erratum_each_rank_is_done_twice_before_the_next(void **state)
{
	/* Whichever of the five calls fails, its rank is not complete. */
	static const char *const again[] = { "00112", "00112", "112", "112",
					     "2" };
	struct batch_fixture *b = *state;
	uint32_t p, i;

	for (p = 0; p < PLANS; p++) {
		struct smmuinv_mock_fault fault = {
			.size = sizeof(fault),
			.error = -EFAULT,
		};
		struct smmuinv_batch *batch;
		struct smmuinv_vsmmu *vsmmu;

		open_with_repeat(b, 0, SMMUINV_REPEAT_ALWAYS, plans[p], &vsmmu,
				 &batch);
		for (fault.pass = 0; fault.pass < 5; fault.pass++) {
			struct smmuinv_result result;

			for (i = 0; i < 6; i++) {
				add(batch, of_rank_on(0x20, i / 2, i));
				add_sync(batch);
			}
			assert_int_equal(smmuinv_mock_inject(b->f.mock, &fault),
					 0);
			result = flush(batch, -EFAULT);
			assert_int_equal(result.completed, fault.pass / 2 * 2);
			b->f.call_count = 0;
			assert_int_equal(flush(batch, 0).completed,
					 6 - result.completed);
			assert_calls(&b->f, again[fault.pass]);
		}
		smmuinv_batch_free(batch);
		smmuinv_vsmmu_free(vsmmu);
	}
}

/* (NUM + 1) << SCALE pages of 4K from @va on, of ASID 5, leaves only. */
static struct smmuinv_command range(uint64_t va, uint64_t num, uint64_t scale)
{
	return raw(UINT64_C(5) << 48 | scale << 20 | num << 12 |
			   SMMUINV_CMD_TLBI_NH_VA,
		   va | SMMUINV_TG_4K << 10 | 1);
}

static void
ranges_on_a_host_without_become_pages_in_the_calls_they_need(void **state)
{
	enum { CAPACITY = 8, PAGES_MAX = 512 };
	struct smmuinv_features host = everything;
	uint32_t p, i;

	(void)state;
	host.idr[3] = 0;
	for (p = 0; p < PLANS; p++) {
		struct smmuinv_result result;
		struct batch_fixture b;

		planned_open(&b, &host, &everything, plans[p], CAPACITY);
		add(b.batch, range(0x100000, 9, 0));
		add(b.batch, tlbi_va(0x200000));
		result = flush(b.batch, 0);
		assert_int_equal(result.host_commands, 11);
		assert_int_equal(result.ioctls, 1);
		for (i = 0; i < 10; i++) {
			struct smmuinv_command page =
				tlbi_va(0x100000 + ((uint64_t)i << 12));

			assert_int_equal(times_executed(&b.f, &page), 1);
		}
		/* As many pages as are allowed, in each of them: not in all. */
		for (i = 0; i < CAPACITY; i++)
			add(b.batch, range((uint64_t)i << 32, 15, 5));
		result = flush(b.batch, 0);
		assert_int_equal(result.completed, CAPACITY);
		assert_int_equal(result.host_commands,
				 plans[p] == SMMUINV_PLAN_AS_WRITTEN ?
					 PAGES_MAX + CAPACITY - 1 :
					 1);
		assert_int_equal(result.ioctls, 1);
		/* One more, and everything goes. */
		smmuinv_mock_forget(b.f.mock);
		add(b.batch, range(0, 16, 5));
		result = flush(b.batch, 0);
		assert_int_equal(result.host_commands, 1);
		assert_int_equal(
			smmuinv_command_opcode(
				&b.f.calls[b.f.call_count - 1].commands[0]),
			SMMUINV_CMD_TLBI_NH_ALL);
		planned_close(&b);
	}
}

/* Of a larger one it warns in the host's log, and a guest could make it. */
static void no_call_is_larger_than_the_kernel_takes_safely(void **state)
{
	enum { CAPACITY = 4096 };
	struct smmuinv_vsmmu_params like = {
		.size = sizeof(like),
		.host = everything,
		.guest = everything,
		.pages_max = SMMUINV_BATCH_CAPACITY_MAX,
	};
	uint32_t p, i;

	(void)state;
	like.host.idr[3] = 0;
	for (p = 0; p < PLANS; p++) {
		struct smmuinv_result result;
		struct batch_fixture b;

		like.plan = plans[p];
		fixture_open_like(&b.f, &like, NULL);
		assert_int_equal(smmuinv_batch_new(b.f.vsmmu, CAPACITY,
						   &b.batch),
				 0);
		for (i = 1; i < CAPACITY; i++)
			add(b.batch, tlbi_va(((uint64_t)i << 32) +
					     ((uint64_t)i << 13)));
		add(b.batch, range(0, 31, 13));
		result = flush(b.batch, 0);
		assert_int_equal(result.completed, CAPACITY);
		assert_int_equal(result.host_commands,
				 CAPACITY - 1 + SMMUINV_BATCH_CAPACITY_MAX);
		assert_int_equal(result.ioctls, 2);
		assert_int_equal(result.host_error, 0);
		smmuinv_batch_free(b.batch);
		fixture_close(&b.f);
	}
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
		TEST(a_refused_command_never_hides_an_unsent_one),
		TEST(dropped_commands_before_a_refused_one_are_complete),
		TEST(without_a_refusal_the_kernels_count_is_not_believed),
		TEST(success_for_another_number_of_commands_is_eproto),
		TEST(a_refusal_with_an_impossible_count_is_nothing_done),
		TEST(a_prefix_that_fails_too_is_shortened_until_it_succeeds),
		TEST(without_memory_the_kernel_is_asked_in_smaller_calls),
		TEST(enomem_for_a_single_command_is_the_callers),
		TEST(enomem_for_a_few_commands_is_retried_one_by_one),
		TEST(enomem_after_a_refusal_still_completes_the_prefix),
		TEST(interrupted_calls_are_repeated_and_not_reported),
		TEST(a_device_that_is_gone_is_enodev_and_a_viommu_enoent),
		TEST(a_refusal_without_a_stream_stays_eio),
		TEST(a_backends_own_enodev_is_eio),
		TEST(a_timeout_after_atc_inv_may_be_shown_to_the_guest),
		TEST(the_erratum_is_repeated_for_by_flag_and_by_policy),
		TEST(with_the_erratum_one_execution_is_not_complete),
		TEST(a_whole_array_goes_down_in_full_batches),
		TEST(an_array_stops_at_an_illegal_command_with_the_rest_before_done),
		TEST(an_array_stops_at_a_command_of_the_vmms_without_cerror),
		TEST(a_host_failure_in_an_array_is_no_cerror_even_before_an_illegal_one),
		TEST(a_failure_in_a_later_chunk_counts_from_the_first_command),
		TEST(what_the_host_cannot_express_is_an_errno),
		cmocka_unit_test(a_dropped_substream_is_not_sent_by_a_retry),
		cmocka_unit_test(
			a_sync_keeps_the_order_of_ranks_and_nothing_else),
		cmocka_unit_test(
			a_sync_with_nothing_new_before_it_orders_nothing),
		cmocka_unit_test(
			a_failure_in_any_call_of_three_leaves_the_order_as_it_was),
		cmocka_unit_test(
			a_refusal_of_what_was_planned_is_accounted_for_exactly),
		cmocka_unit_test(a_refusal_that_nothing_written_meets_is_none),
		cmocka_unit_test(a_whole_array_is_planned_batch_by_batch),
		cmocka_unit_test(
			a_plan_completes_what_stands_before_the_first_thing_undone),
		TEST(with_the_erratum_each_rank_is_done_twice_before_the_next),
		cmocka_unit_test(
			ranges_on_a_host_without_become_pages_in_the_calls_they_need),
		cmocka_unit_test(no_call_is_larger_than_the_kernel_takes_safely),
		TEST(an_array_wants_an_empty_batch),
		TEST(capacities_are_bounded_by_what_the_kernel_takes),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
