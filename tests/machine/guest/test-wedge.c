/* SPDX-License-Identifier: MIT */
/*
 * Kernels before 7.3, and what they do with a bad field: they pass it to the
 * host's queue, which stops for a second. A few times, on purpose, and last of
 * all: the mock must have said so, and the kernel's log must tell, or its
 * silence until then proved nothing.
 */
#include <errno.h>
#include <stdio.h>

#include "backend.h"
#include "cmocka-all.h"
#include "commands.h"
#include "kernel-log.h"
#include "machine.h"
#include "support.h"
#include "tests.h"
#include "trial.h"

#define SSEC       (UINT64_C(1) << 10)
#define VSID       ((uint64_t)RIG_VSID << 32)
#define LENGTH_MAX 130
#define NOWHERE    UINT32_MAX

/* A batch of good commands, except two. */
struct wedge {
	uint32_t length;
	uint32_t illegal;    /* here: SSec, which even QEMU finds illegal */
	uint32_t no_command; /* here: an opcode that the kernel refuses */
	uint8_t opcode;      /* of the illegal one */
};

static const struct wedge wedges[] = {
	{ 1, 0, NOWHERE, SMMUINV_CMD_CFGI_CD },
	{ 1, 0, NOWHERE, SMMUINV_CMD_CFGI_CD_ALL },
	{ 3, 1, NOWHERE, SMMUINV_CMD_CFGI_CD },
	{ 63, 62, NOWHERE, SMMUINV_CMD_CFGI_CD },
	{ 64, 63, NOWHERE, SMMUINV_CMD_CFGI_CD_ALL },
	{ 130, 10, NOWHERE, SMMUINV_CMD_CFGI_CD },
	{ 130, 64, NOWHERE, SMMUINV_CMD_CFGI_CD },
	/* Refused before its block is sent: nothing happens. */
	{ 130, 70, 100, SMMUINV_CMD_CFGI_CD },
	{ 64, 30, 5, SMMUINV_CMD_CFGI_CD },
	/* And here after. */
	{ 130, 10, 70, SMMUINV_CMD_CFGI_CD },
};

/* How often the host's queue stopped. */
static unsigned int wedged_count;

static void assert_log_says(const struct kernel_log *before, bool wedged)
{
	struct kernel_log after = kernel_log_read();

	kernel_log_print(&after, wedged ? "wedged" : "not wedged");
	if (wedged) {
		assert_true(after.queue_errors > before->queue_errors);
		assert_true(after.sync_timeouts > before->sync_timeouts);
	} else {
		assert_int_equal(after.queue_errors, before->queue_errors);
		assert_int_equal(after.sync_timeouts, before->sync_timeouts);
	}
}

static void try_wedge(struct twin *twin, const struct wedge *wedge)
{
	struct smmuinv_command commands[LENGTH_MAX];
	struct kernel_log before = kernel_log_read();
	uint64_t wedged_before = smmuinv_mock_wedged(twin->mock);
	struct twin_answer answer;
	bool wedged;

	for (uint32_t i = 0; i < wedge->length; i++)
		commands[i] =
			test_command(SMMUINV_CMD_TLBI_NH_VA, (uint64_t)i << 12);
	commands[wedge->illegal] = test_command(wedge->opcode | SSEC | VSID, 0);
	if (wedge->no_command != NOWHERE)
		commands[wedge->no_command] = test_command(0xff, 0);
	answer = twin_ask(twin, commands, wedge->length);
	wedged = smmuinv_mock_wedged(twin->mock) != wedged_before;
	wedged_count += wedged;
	printf("NOTE wedge %u of %u: %d with %u, wedged %d\n", wedge->illegal,
	       wedge->length, answer.error, answer.count, wedged);
	assert_int_equal(answer.error, wedged ? -ETIMEDOUT : -EIO);
	assert_log_says(&before, wedged);
}

static void illegal_field_stops_the_hosts_queue_as_the_mock_says(void **state)
{
	struct trial *trial = *state;
	uint32_t vdevice = twin_plug(&trial->twin, RIG_VSID);

	for (size_t i = 0; i < ARRAY_SIZE(wedges); i++)
		try_wedge(&trial->twin, &wedges[i]);
	twin_unplug(&trial->twin, vdevice);
	assert_int_equal(trial->twin.differing, 0);
	assert_true(wedged_count > 0);
}

/* A field that an SMMU may find illegal. QEMU's overlooks it. */
static void try_overlooked(const struct twin *twin,
			   struct smmuinv_command command)
{
	uint32_t count = 1;
	uint32_t model_count = 1;
	int error = smmuinv__backend_invalidate(
		twin->nested->backend, twin->nested->viommu, &command, &count);
	int model = smmuinv__backend_invalidate(twin->model, twin->model_viommu,
						&command, &model_count);

	printf("NOTE passed on: %s: kernel over QEMU %d, mock %d\n",
	       test_text(&command), error, model);
	assert_true(error == 0 || error == -ETIMEDOUT);
	assert_int_equal(model, -ETIMEDOUT);
}

/*
 * The mock's SMMU overlooks nothing, so the answers cannot be compared. What
 * can be seen is that the kernel passes such commands on.
 */
static void kernel_passes_other_bad_fields_on(void **state)
{
	static const uint64_t bad[][2] = {
		{ SMMUINV_CMD_TLBI_NSNH_ALL | UINT64_C(5) << 32, 0 },
		{ SMMUINV_CMD_TLBI_NH_VA | 3 << 12, 0x1000 },
		{ SMMUINV_CMD_TLBI_NH_VA, 0x1000 | 1 << 10 },
		{ SMMUINV_CMD_TLBI_NH_VA, 0x1000 | 1 << 7 },
		{ SMMUINV_CMD_TLBI_NH_ALL | 1 << 8, 0 },
		{ SMMUINV_CMD_CFGI_CD | VSID | 1 << 12, 0 },
		{ SMMUINV_CMD_ATC_INV | VSID, 0x1000 },
	};
	struct trial *trial = *state;
	uint32_t vdevice = twin_plug(&trial->twin, RIG_VSID);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		try_overlooked(&trial->twin,
			       test_command(bad[i][0], bad[i][1]));
	twin_unplug(&trial->twin, vdevice);
	printf("CASES overlooked %zu\n", ARRAY_SIZE(bad));
}

/* The host's queue goes on after all that. */
static void guest_is_served_afterwards(void **state)
{
	struct trial *trial = *state;
	struct rig *rig = trial->rig;
	uint64_t va = rig_fresh_va(rig);
	struct smmuinv_command command = guest_tlbi_asid(RIG_ASID);

	rig_make_stale(rig, va, STAGE1_ASID);
	rig_batch_run(rig, &command, 1);
	rig_expect(rig, va, PATTERN_B);
	/* Only here: the console has been quiet for a while. */
	printf("CASES wedges %u\n", wedged_count);
}

int test_wedge(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			illegal_field_stops_the_hosts_queue_as_the_mock_says),
		cmocka_unit_test(kernel_passes_other_bad_fields_on),
		cmocka_unit_test(guest_is_served_afterwards),
	};

	if (machine_kernel_is_at_least(7, 3))
		return 0;
	return cmocka_run_group_tests_name("wedge", tests, trial_group_setup,
					   trial_group_teardown);
}
