/* SPDX-License-Identifier: MIT */
/*
 * Every opcode, in many forms, given raw to the real kernel: does it answer
 * what the library's check and the mock's model of it say?
 *
 * Kernels before 7.3 hand to the host's queue whatever has one of the eight
 * opcodes, and stop that queue with it. They get only what is harmless: the
 * canonical form of what the library would forward, and opcodes outside the
 * eight with nothing else set.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "backend.h"
#include "machine.h"
#include "mock/kernel.h"
#include "rig.h"
#include "cmocka-all.h"
#include "tests.h"

#define RANDOM_CASES 20000

static uint64_t raw_cases;
static uint64_t canonical_cases;
static uint64_t accepted_cases;

/* Does this kernel look at more than the opcode? */
static bool kernel_checks(void)
{
	return machine_kernel_is_at_least(7, 3);
}

static struct smmuinv_command command_of(uint64_t dw0, uint64_t dw1)
{
	return (struct smmuinv_command){
		.dw = { htole64(dw0), htole64(dw1) },
	};
}

static int ask_kernel(struct rig *rig, const struct smmuinv_command *command)
{
	uint32_t count = 1;
	int error = smmuinv__backend_invalidate(
		rig->recorder.backend, rig->nested.viommu, command, &count);

	assert_true(error == 0 || error == -EIO);
	assert_int_equal(count, error ? 0 : 1);
	accepted_cases += !error;
	return error;
}

static bool vsid_is_good(const struct smmuinv_command *command)
{
	return !smmuinv__kernel_resolves_vsid(command) ||
	       smmuinv_command_get(command, SMMUINV_FIELD_STREAMID) == RIG_VSID;
}

static _Noreturn void complain(const struct smmuinv_command *command,
			       const char *who, bool said, bool did)
{
	char text[SMMUINV_COMMAND_TEXT_MAX];

	smmuinv_command_print(command, text, sizeof(text));
	fail_msg("%s (%016" PRIx64 " %016" PRIx64 "): %s says %s, kernel %s",
		 text, le64toh(command->dw[0]), le64toh(command->dw[1]), who,
		 said ? "yes" : "no", did ? "accepts" : "refuses");
	__builtin_unreachable();
}

/* The mock's model against the kernel, in both directions; true if accepted. */
static bool try_raw(struct rig *rig, const struct smmuinv_command *command)
{
	bool said = smmuinv__kernel_accepts(command, &rig->nested.host) &&
		    vsid_is_good(command);
	bool did = !ask_kernel(rig, command);

	raw_cases++;
	if (said != did)
		complain(command, "the mock", said, did);
	return did;
}

/* What the library would forward must be accepted, by every kernel. */
static bool try_canonical(struct rig *rig,
			  const struct smmuinv_command *command)
{
	struct smmuinv_finding finding = { .size = sizeof(finding) };
	int verdict = smmuinv_check(command, &rig->guest, &rig->nested.host,
				    &finding);

	assert_true(verdict >= 0);
	if (verdict != SMMUINV_FORWARD)
		return false;
	assert_true(smmuinv_opcode_is_forwarded(
		smmuinv_command_opcode(&finding.command)));
	if (!vsid_is_good(&finding.command))
		return true;
	canonical_cases++;
	if (ask_kernel(rig, &finding.command))
		complain(&finding.command, "the check", true, false);
	return true;
}

/*
 * The guest's command as it stands, by both predictions. The guest's SMMU is
 * the host's here, so what the kernel takes must not be illegal for the guest.
 */
static void try_command(struct rig *rig, bool raw,
			const struct smmuinv_command *command)
{
	bool forwarded = try_canonical(rig, command);

	if (raw && try_raw(rig, command) && !forwarded)
		complain(command, "the check", false, true);
}

static void every_opcode_alone(void **state)
{
	struct rig *rig = *state;

	recorder_begin(&rig->recorder, __func__);
	for (unsigned int opcode = 0; opcode < 256; opcode++) {
		struct smmuinv_command command = command_of(opcode, 0);
		bool outside = !smmuinv_opcode_is_forwarded((uint8_t)opcode);

		try_command(rig, kernel_checks() || outside, &command);
	}
}

static void every_opcode_with_reserved_bits(void **state)
{
	static const uint64_t forms[][2] = {
		{ UINT64_C(1) << 8, 0 },
		{ (uint64_t)RIG_VSID << 32, 0 },
		{ (uint64_t)RIG_VSID << 32, 1 },
		{ UINT64_C(0xffffffffffffff00), 0 },
		{ 0, UINT64_MAX },
		{ UINT64_C(0xffffffffffffff00), UINT64_MAX },
		{ (uint64_t)RIG_VSID << 32 | UINT64_C(0x0200) << 4, 0x1000 },
		{ UINT64_C(0x00ff000000000000), UINT64_C(0x1234567000) },
		{ UINT64_C(0xffff000000000000), UINT64_C(0x1234567b01) },
	};
	struct rig *rig = *state;
	bool raw = kernel_checks();

	recorder_begin(&rig->recorder, __func__);
	for (unsigned int i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (unsigned int opcode = 0; opcode < 256; opcode++) {
			struct smmuinv_command command =
				command_of(forms[i][0] | opcode, forms[i][1]);

			try_command(rig, raw, &command);
		}
	}
}

/* The eight, and the forms of them that differ in what is legal around. */
static const uint64_t legal_forms[][2] = {
	{ SMMUINV_CMD_CFGI_CD | (uint64_t)RIG_VSID << 32, 1 },
	{ SMMUINV_CMD_CFGI_CD_ALL | (uint64_t)RIG_VSID << 32, 0 },
	{ SMMUINV_CMD_TLBI_NH_ALL, 0 },
	{ SMMUINV_CMD_TLBI_NH_ASID | UINT64_C(5) << 48, 0 },
	{ SMMUINV_CMD_TLBI_NH_VA | UINT64_C(5) << 48, UINT64_C(0x5555000) },
	/* 8 pages of 4K at level 3, and 16K and 64K ones of unknown level. */
	{ SMMUINV_CMD_TLBI_NH_VA | UINT64_C(5) << 48 | 7 << 12,
	  UINT64_C(0x5555000) | 1 << 10 | 3 << 8 | 1 },
	{ SMMUINV_CMD_TLBI_NH_VA | UINT64_C(5) << 48 | 1 << 20,
	  UINT64_C(0x5550000) | 2 << 10 },
	{ SMMUINV_CMD_TLBI_NH_VA | UINT64_C(5) << 48 | 3 << 20,
	  UINT64_C(0x5550000) | 3 << 10 },
	/* A hint alone: one 4K page, one 2M block. */
	{ SMMUINV_CMD_TLBI_NH_VA | UINT64_C(5) << 48,
	  UINT64_C(0x5555000) | 1 << 10 | 3 << 8 },
	{ SMMUINV_CMD_TLBI_NH_VAA, UINT64_C(0x5555000) | 1 },
	{ SMMUINV_CMD_TLBI_NH_VAA | 7 << 12 | 2 << 20,
	  UINT64_C(0x5400000) | 1 << 10 | 2 << 8 },
	{ SMMUINV_CMD_TLBI_NSNH_ALL, 0 },
	/* Refused here as a whole: this SMMU has no ATS. */
	{ SMMUINV_CMD_ATC_INV | (uint64_t)RIG_VSID << 32, UINT64_C(0x1000) },
};

#define LEGAL_FORMS (sizeof(legal_forms) / sizeof(legal_forms[0]))

static void every_bit_of_the_eight_flipped(void **state)
{
	struct rig *rig = *state;
	bool raw = kernel_checks();

	recorder_begin(&rig->recorder, __func__);
	for (unsigned int i = 0; i < LEGAL_FORMS; i++) {
		for (unsigned int bit = 0; bit < 128; bit++) {
			uint64_t dw[2] = {
				legal_forms[i][0],
				legal_forms[i][1],
			};
			struct smmuinv_command command;

			dw[bit / 64] ^= UINT64_C(1) << bit % 64;
			command = command_of(dw[0], dw[1]);
			try_command(rig, raw, &command);
		}
	}
}

/* Every value of the fields that ranges are made of, for every granule. */
static void every_range_encoding(void **state)
{
	struct rig *rig = *state;
	bool raw = kernel_checks();

	recorder_begin(&rig->recorder, __func__);
	for (uint64_t tg = 0; tg < 4; tg++) {
		for (uint64_t ttl = 0; ttl < 4; ttl++) {
			for (uint64_t scale = 0; scale < 64; scale++) {
				uint64_t num = scale & 1 ? 31 : 0;
				struct smmuinv_command command = command_of(
					SMMUINV_CMD_TLBI_NH_VA | num << 12 |
						scale << 20 | UINT64_C(5) << 48,
					tg << 10 | ttl << 8);

				try_command(rig, raw, &command);
			}
		}
	}
}

/* The same numbers in every run. */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Each with few bits set at random, on top of a legal one. */
static void many_commands_at_random(void **state)
{
	struct rig *rig = *state;
	bool raw = kernel_checks();
	uint64_t seed = UINT64_C(0x736d6d75696e7631);

	/* Too many for a window: those that are accepted are thousands. */
	for (unsigned int i = 0; i < RANDOM_CASES; i++) {
		uint64_t random = next_random(&seed);
		uint64_t dw[2] = {
			legal_forms[i % LEGAL_FORMS][0],
			legal_forms[i % LEGAL_FORMS][1],
		};
		struct smmuinv_command command;

		for (unsigned int n = 0; n < 1 + i % 4; n++) {
			unsigned int bit = random >> (8 * n) & 127;

			dw[bit / 64] ^= UINT64_C(1) << bit % 64;
		}
		command = command_of(dw[0], dw[1]);
		try_command(rig, raw, &command);
	}
}

#define RIG_TEST(name) cmocka_unit_test_teardown(name, rig_test_teardown)

int test_opcodes(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(every_opcode_alone),
		RIG_TEST(every_opcode_with_reserved_bits),
		RIG_TEST(every_bit_of_the_eight_flipped),
		RIG_TEST(every_range_encoding),
		RIG_TEST(many_commands_at_random),
	};
	int failed = cmocka_run_group_tests_name(
		"opcodes", tests, rig_group_setup, rig_group_teardown);

	printf("CASES raw %" PRIu64 "\n", raw_cases);
	printf("CASES canonical %" PRIu64 "\n", canonical_cases);
	printf("CASES accepted %" PRIu64 "\n", accepted_cases);
	return failed;
}
