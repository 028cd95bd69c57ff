/* SPDX-License-Identifier: MIT */
/*
 * Random commands and random batches of them, given raw to the real kernel and
 * to the mock: the same error and the same count, every time. And what
 * smmuinv_check() calls canonical, the kernel accepts.
 *
 * A kernel before 7.3 stops the host's queue for a second at a bad field. It
 * gets what is outside the eight opcodes, or for no device, or good, or made
 * canonical; test-wedge.c has the rest.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cmocka-all.h"
#include "kernel-log.h"
#include "mock/kernel.h"
#include "sample.h"
#include "support.h"
#include "tests.h"
#include "trial.h"

#define COMMANDS  500000
#define BATCHES   50000
#define BATCH_MAX 200

/* The device gets another vSID, or none, after so many commands. */
#define PLUG_PERIOD 500

/* The kernel's bound for a call. */
#define ENTRIES_MAX (1u << 19)

/* Of each kind of commands, how many there were, and how many were accepted. */
struct kind_tally {
	uint64_t tried;
	uint64_t accepted;
};

struct tally {
	struct kind_tally kinds[SAMPLE_KINDS];
	uint64_t withheld; /* harmful */
	uint64_t canonical;
	uint64_t batches;
	uint64_t accepted_batches;
	uint64_t batched;
};

/* The vDEVICE of the moment. */
static struct {
	bool plugged;
	uint32_t vsid;
	uint32_t vdevice;
} device;

static void unplug(struct trial *trial)
{
	if (device.plugged)
		twin_unplug(&trial->twin, device.vdevice);
	device.plugged = false;
}

static void plug_another(struct trial *trial)
{
	unplug(trial);
	device.vsid = (uint32_t)test_random_edge();
	device.plugged = test_chance(90);
	if (device.plugged)
		device.vdevice = twin_plug(&trial->twin, device.vsid);
}

/* Enough is printed, and each may take a second. */
static bool is_hopeless(const struct trial *trial)
{
	return trial->twin.differing > 10;
}

static bool is_harmless(const struct trial *trial,
			const struct smmuinv_command *command)
{
	return trial_is_harmless(trial, device.vsid, device.plugged, command);
}

static int check(const struct trial *trial,
		 const struct smmuinv_command *command,
		 struct smmuinv_finding *finding)
{
	*finding = (struct smmuinv_finding){ .size = sizeof(*finding) };
	return smmuinv_check(command, &trial->rig->guest, &trial->twin.host,
			     finding);
}

/*
 * A draw that may be given to this kernel. What may not is made canonical, if
 * it can be. One that is just illegal is withheld, and another one drawn.
 */
static struct smmuinv_command draw(const struct trial *trial,
				   enum sample_kind kind, struct tally *tally)
{
	struct smmuinv_finding finding;
	struct smmuinv_command command;

	for (;;) {
		command = sample_draw(kind, device.vsid);
		if (is_harmless(trial, &command))
			return command;
		if (check(trial, &command, &finding) == SMMUINV_FORWARD)
			return finding.command;
		tally->withheld++;
	}
}

static _Noreturn void complain(const struct smmuinv_command *command,
			       const char *what)
{
	fail_msg("%s: %s", test_text(command), what);
	__builtin_unreachable();
}

/* Is there a vDEVICE for it, if it needs one? */
static bool has_device(const struct smmuinv_command *command)
{
	return !smmuinv__kernel_resolves_vsid(command) ||
	       (device.plugged &&
		smmuinv_command_get(command, SMMUINV_FIELD_STREAMID) ==
			device.vsid);
}

/* The canonical form, which is harmless on every kernel. */
static void try_canonical(struct trial *trial, struct tally *tally,
			  const struct smmuinv_command *canonical)
{
	if (!has_device(canonical))
		return;
	tally->canonical++;
	if (twin_ask(&trial->twin, canonical, 1).error)
		complain(canonical, "canonical, but refused");
}

static void try_command(struct trial *trial, struct tally *tally,
			enum sample_kind kind)
{
	struct smmuinv_command command = draw(trial, kind, tally);
	struct twin_answer answer = twin_ask(&trial->twin, &command, 1);
	struct smmuinv_finding finding;
	int verdict = check(trial, &command, &finding);

	tally->kinds[kind].tried++;
	tally->kinds[kind].accepted += !answer.error;
	assert_true(verdict >= 0);
	if (verdict == SMMUINV_FORWARD)
		try_canonical(trial, tally, &finding.command);
	/* The guest's SMMU is the host's here. */
	if (!answer.error && verdict != SMMUINV_FORWARD)
		complain(&command, "accepted, but not forwarded");
}

static void report_commands(const struct tally *tally)
{
	uint64_t tried = 0;
	uint64_t accepted = 0;

	for (unsigned int i = 0; i < SAMPLE_KINDS; i++) {
		const struct kind_tally *kind = &tally->kinds[i];

		printf("NOTE %s: %" PRIu64 " tried, %" PRIu64 " accepted\n",
		       sample_kind_name(i), kind->tried, kind->accepted);
		tried += kind->tried;
		accepted += kind->accepted;
	}
	printf("CASES differential %" PRIu64 "\n", tried);
	printf("CASES differential-accepted %" PRIu64 "\n", accepted);
	printf("CASES differential-canonical %" PRIu64 "\n", tally->canonical);
	printf("CASES withheld %" PRIu64 "\n", tally->withheld);
}

/* Whether they agreed: the two answers were compared by the twin. */
static void assert_agreed(const struct twin *twin, uint64_t calls)
{
	uint64_t asked = twin->calls - calls;

	printf("CASES asked %" PRIu64 "\n", asked);
	printf("CASES agreed %" PRIu64 "\n", asked - twin->differing);
	assert_int_equal(twin->differing, 0);
	assert_int_equal(smmuinv_mock_wedged(twin->mock), 0);
}

static void random_commands_get_the_same_answer(void **state)
{
	struct trial *trial = *state;
	uint64_t calls = trial->twin.calls;
	size_t count = test_iterations(COMMANDS);
	struct tally tally = { 0 };

	for (size_t i = 0; i < count && !is_hopeless(trial); i++) {
		if (i % PLUG_PERIOD == 0)
			plug_another(trial);
		try_command(trial, &tally, sample_draw_kind());
	}
	report_commands(&tally);
	assert_agreed(&trial->twin, calls);
}

/* Around the multiples of 63, and any. */
static uint32_t draw_size(void)
{
	static const uint8_t edges[] = { 1,   2,   62,  63,  64,  65,       125,
					 126, 127, 188, 189, 190, BATCH_MAX };

	if (test_chance(30))
		return edges[test_random_below(ARRAY_SIZE(edges))];
	return 1 + (uint32_t)test_random_below(BATCH_MAX);
}

/* Of a batch, how many commands are of any kind; the others are good. */
static uint32_t draw_strangers(uint32_t size)
{
	uint64_t percent = test_random_below(100);

	if (percent < 35)
		return 0;
	if (percent < 65)
		return 1;
	if (percent < 90)
		return 2 + (uint32_t)test_random_below(4);
	return size;
}

static struct smmuinv_command draw_good(const struct trial *trial)
{
	struct smmuinv_command command;

	do {
		command = sample_draw_plain(device.vsid);
	} while (!has_device(&command) ||
		 !smmuinv__kernel_accepts(&command, &trial->twin.host));
	return command;
}

static uint32_t draw_batch(const struct trial *trial, struct tally *tally,
			   struct smmuinv_command commands[BATCH_MAX])
{
	uint32_t size = draw_size();
	uint32_t strangers = draw_strangers(size);

	for (uint32_t i = 0; i < size; i++)
		commands[i] = draw_good(trial);
	/* All of them, or some at random places. */
	for (uint32_t i = 0; i < strangers; i++) {
		uint32_t place = strangers == size ?
					 i :
					 (uint32_t)test_random_below(size);

		commands[place] = draw(trial, sample_draw_kind(), tally);
	}
	return size;
}

static void random_batches_get_the_same_answer(void **state)
{
	struct trial *trial = *state;
	uint64_t calls = trial->twin.calls;
	size_t count = test_iterations(BATCHES);
	struct smmuinv_command commands[BATCH_MAX];
	struct tally tally = { 0 };

	for (size_t i = 0; i < count && !is_hopeless(trial); i++) {
		uint32_t size;

		if (i % (PLUG_PERIOD / 10) == 0)
			plug_another(trial);
		size = draw_batch(trial, &tally, commands);
		tally.batches++;
		tally.batched += size;
		tally.accepted_batches +=
			!twin_ask(&trial->twin, commands, size).error;
	}
	printf("CASES batches %" PRIu64 "\n", tally.batches);
	printf("CASES batches-accepted %" PRIu64 "\n", tally.accepted_batches);
	printf("CASES batched %" PRIu64 "\n", tally.batched);
	printf("CASES withheld %" PRIu64 "\n", tally.withheld);
	assert_agreed(&trial->twin, calls);
}

/* Every place of a bad command in every size of batch, around the blocks. */
static void bad_command_at_every_place_gets_the_same_answer(void **state)
{
	const struct smmuinv_command bad = test_command(0xff, 0);
	struct trial *trial = *state;
	uint64_t calls = trial->twin.calls;
	struct smmuinv_command commands[BATCH_MAX];

	plug_another(trial);
	for (uint32_t i = 0; i < BATCH_MAX; i++)
		commands[i] = draw_good(trial);
	for (uint32_t size = 1; size <= BATCH_MAX; size += 1 + size / 16) {
		for (uint32_t place = 0; place < size; place++) {
			struct smmuinv_command good = commands[place];

			commands[place] = bad;
			assert_int_equal(
				twin_ask(&trial->twin, commands, size).error,
				-EIO);
			commands[place] = good;
		}
	}
	assert_agreed(&trial->twin, calls);
}

static void calls_of_a_strange_size_get_the_same_answer(void **state)
{
	const struct smmuinv_command command =
		test_command(SMMUINV_CMD_TLBI_NH_ALL, 0);
	struct trial *trial = *state;
	struct twin *twin = &trial->twin;

	assert_int_equal(twin_ask(twin, &command, 0).error, -EINVAL);
	/* The older mock is 6.13, which has no bound; 7.2 has one. */
	if (trial->kernel_checks)
		assert_int_equal(
			twin_ask(twin, &command, ENTRIES_MAX + 1).error,
			-EINVAL);
	assert_int_equal(twin->differing, 0);
}

static void hosts_queue_never_suffered(void **state)
{
	(void)state;
	kernel_log_assert_quiet(__func__);
}

static int teardown(void **state)
{
	unplug(*state);
	return 0;
}

#define DIFFERENTIAL_TEST(name) cmocka_unit_test_teardown(name, teardown)

int test_differential(void)
{
	const struct CMUnitTest tests[] = {
		DIFFERENTIAL_TEST(random_commands_get_the_same_answer),
		DIFFERENTIAL_TEST(random_batches_get_the_same_answer),
		DIFFERENTIAL_TEST(
			bad_command_at_every_place_gets_the_same_answer),
		DIFFERENTIAL_TEST(calls_of_a_strange_size_get_the_same_answer),
		DIFFERENTIAL_TEST(hosts_queue_never_suffered),
	};

	return cmocka_run_group_tests_name(
		"differential", tests, trial_group_setup, trial_group_teardown);
}
