/* SPDX-License-Identifier: MIT */
/*
 * The guest's stream table entries: read from its memory, attached by the real
 * kernel, and seen by the device.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend.h"
#include "cmocka-all.h"
#include "commands.h"
#include "kernel-log.h"
#include "rig.h"
#include "support.h"
#include "tests.h"

#define PATTERN_C  0xcccc0003U
#define OTHER_ASID (RIG_ASID + 1)

#define RANDOM_STES 4000

#define WORDS (SMMUINV_STE_BYTES / 8)

/* IHI 0070, 5.2 */
#define STE0_V           UINT64_C(1)
#define STE0_CONFIG(n)   ((uint64_t)(n) << 1)
#define STE0_S1FMT(n)    ((uint64_t)(n) << 4)
#define STE0_S1CDMAX(n)  ((uint64_t)(n) << 59)
#define STE1_S1DSS(n)    ((uint64_t)(n))
#define STE1_S1CACHED    UINT64_C(0xd4) /* S1CIR, S1COR, S1CSH */
#define CONFIG_ABORT     0
#define CONFIG_BYPASS    4
#define CONFIG_TRANSLATE 5
#define S1FMT_TWO_LEVELS 1
#define S1DSS_SSID0      2

/* What this SMMU lacks, for STEs of one that has it (6.3.1, 6.3.2). */
#define IDR0_CD2L        (1u << 19)
#define IDR0_ATS         (1u << 10)
#define IDR0_STALL_MODEL (3u << 24)
#define IDR1_SSIDSIZE(n) ((uint32_t)(n) << 6)

/* The guest's stream table: one entry. */
struct desk {
	struct rig *rig;
	struct guest_piece ste;
	struct smmuinv_queue *queue;
	unsigned int read; /* by the callback */
	/* Or is as lazy as a VMM may be with an STE that is the same. */
	bool attaches;
};

static void ste_write(const struct desk *desk, uint64_t word0, uint64_t word1)
{
	uint64_t *words = desk->ste.memory;

	words[1] = htole64(word1);
	words[0] = htole64(word0);
}

static void ste_translate(const struct desk *desk, const struct guest_piece *cd)
{
	ste_write(desk, STE0_V | STE0_CONFIG(CONFIG_TRANSLATE) | cd->ipa,
		  STE1_S1CACHED);
}

static struct iommufd_vste vste_of(const struct smmuinv_ste *ste)
{
	return (struct iommufd_vste){
		.word = { le64toh(ste->vste[0]), le64toh(ste->vste[1]) },
	};
}

/* What a VMM does at a CFGI_STE. ATS goes on before, and off after. */
static struct smmuinv_ste ste_attach(struct desk *desk)
{
	struct smmuinv_ste ste = { .size = sizeof(ste) };
	struct rig *rig = desk->rig;
	struct iommufd_vste vste;

	assert_int_equal(smmuinv_ste_read(&ste, desk->ste.memory, &rig->guest,
					  &rig->nested.host),
			 0);
	vste = vste_of(&ste);
	if (ste.ats)
		assert_int_equal(
			smmuinv_vsmmu_set_ats(rig->vsmmu, RIG_VSID, true), 0);
	assert_int_equal(nested_attach(&rig->nested, &vste), 0);
	if (!ste.ats)
		assert_int_equal(
			smmuinv_vsmmu_set_ats(rig->vsmmu, RIG_VSID, false), 0);
	return ste;
}

static int see_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct desk *desk = opaque;

	(void)leaf;
	assert_int_equal(sid, RIG_VSID);
	desk->read++;
	if (!desk->attaches)
		return 0;
	ste_attach(desk);
	return SMMUINV_STE_ATTACHED;
}

static int see_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)opaque;
	(void)sync;
	return 0;
}

/* The guest's CFGI_STE and CMD_SYNC. */
static struct smmuinv_progress cfgi_ste(struct desk *desk)
{
	struct smmuinv_command commands[] = {
		test_command(SMMUINV_CMD_CFGI_STE | (uint64_t)RIG_VSID << 32,
			     1),
		test_command(SMMUINV_CMD_SYNC, 0),
	};
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = commands,
		.log2size = 1,
		.prod = 2,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };

	assert_int_equal(smmuinv_queue_consume(desk->queue, &ring, &progress),
			 2);
	assert_int_equal(progress.vmm, 2);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_NONE);
	return progress;
}

/* Other tables, of another ASID, in which the page at @va is PATTERN_C. */
static struct stage1 other_tables(struct rig *rig, uint64_t va)
{
	struct guest_piece c = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_C);
	struct stage1 other;

	stage1_init(&other, &rig->memory);
	stage1_map_page(&other, rig->edu.landing_iova, rig->landing.ipa,
			STAGE1_ASID);
	stage1_map_page(&other, va, c.ipa, STAGE1_ASID);
	return other;
}

static uint64_t map_a(struct rig *rig)
{
	uint64_t va = rig_fresh_va(rig);
	struct guest_piece a = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_A);

	stage1_map_page(&rig->stage1, va, a.ipa, STAGE1_ASID);
	rig_expect(rig, va, PATTERN_A);
	return va;
}

static void cfgi_ste_makes_the_device_go_by_the_new_ste(void **state)
{
	struct desk *desk = *state;
	struct rig *rig = desk->rig;
	uint64_t va = map_a(rig);
	struct stage1 other = other_tables(rig, va);
	struct guest_piece cd =
		guest_memory_take(&rig->memory, CONTEXT_DESCRIPTOR_SIZE);

	context_descriptor_write(&cd, OTHER_ASID, &other);
	ste_translate(desk, &cd);
	rig_expect(rig, va, PATTERN_A);
	/* With a new HWPT the kernel has dropped the descriptors itself. */
	assert_int_equal(cfgi_ste(desk).host_commands, 0);
	assert_int_equal(desk->read, 1);
	rig_expect(rig, va, PATTERN_C);
	ste_translate(desk, &rig->cd);
	rig_expect(rig, va, PATTERN_C);
	cfgi_ste(desk);
	rig_expect(rig, va, PATTERN_A);
}

/* 4.3.1: it invalidates what was cached of the CDs, too. */
static void cfgi_ste_makes_a_stale_descriptor_fresh(void **state)
{
	struct desk *desk = *state;
	struct rig *rig = desk->rig;
	uint64_t va = map_a(rig);
	struct stage1 other = other_tables(rig, va);

	desk->attaches = false;
	context_descriptor_write(&rig->cd, OTHER_ASID, &other);
	rig_expect(rig, va, PATTERN_A);
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(cfgi_ste(desk).host_commands, 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_C);
	context_descriptor_write(&rig->cd, RIG_ASID, &rig->stage1);
	cfgi_ste(desk);
	rig_expect(rig, va, PATTERN_A);
}

/* What the device sees, with the landing page where it is now: 0 if nothing. */
static int see(struct rig *rig, uint64_t address, uint64_t landing,
	       uint32_t *seen)
{
	int error;

	edu_set_landing(&rig->edu, landing);
	error = edu_dma_read(&rig->edu, address, sizeof(*seen), seen);
	return error;
}

static void abort_bypass_and_translate_are_what_they_say(void **state)
{
	struct desk *desk = *state;
	struct rig *rig = desk->rig;
	uint64_t landing_va = rig->edu.landing_iova;
	uint64_t va = map_a(rig);
	struct guest_piece b = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_B);
	uint32_t seen = 0;

	ste_write(desk, STE0_V | STE0_CONFIG(CONFIG_BYPASS), 0);
	assert_int_equal(ste_attach(desk).config, SMMUINV_STE_BYPASS);
	assert_int_equal(see(rig, b.ipa, rig->landing.ipa, &seen), 0);
	assert_int_equal(seen, PATTERN_B);
	/* A virtual address means nothing there. */
	assert_int_equal(see(rig, va, rig->landing.ipa, &seen), 0);
	assert_int_equal(seen, 0);

	ste_write(desk, STE0_V | STE0_CONFIG(CONFIG_ABORT), 0);
	assert_int_equal(ste_attach(desk).config, SMMUINV_STE_ABORT);
	assert_int_equal(see(rig, b.ipa, rig->landing.ipa, &seen), -EIO);
	assert_int_equal(see(rig, va, landing_va, &seen), -EIO);

	/* Illegal: not valid, of which the kernel makes an aborting one. */
	ste_write(desk, STE0_CONFIG(CONFIG_TRANSLATE) | rig->cd.ipa, 0);
	assert_int_equal(ste_attach(desk).rule, SMMUINV_STE_RULE_NOT_VALID);
	assert_int_equal(see(rig, va, landing_va, &seen), -EIO);

	ste_translate(desk, &rig->cd);
	assert_int_equal(ste_attach(desk).config, SMMUINV_STE_TRANSLATE);
	assert_int_equal(see(rig, va, landing_va, &seen), 0);
	assert_int_equal(seen, PATTERN_A);
}

/* Whatever is attached: the vDEVICE is there, so the kernel takes it. */
static void cfgi_cd_goes_down_for_a_stream_that_aborts(void **state)
{
	struct desk *desk = *state;
	struct rig *rig = desk->rig;
	const struct smmuinv_command command = guest_cfgi_cd_all(RIG_VSID);

	ste_write(desk, STE0_V | STE0_CONFIG(CONFIG_ABORT), 0);
	cfgi_ste(desk);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_run(rig, &command, 1);
	recorder_end(&rig->recorder);
	assert_int_equal(nested_detach(&rig->nested), 0);
	recorder_begin(&rig->recorder, __func__);
	rig_queue_run(rig, &command, 1);
	recorder_end(&rig->recorder);
	ste_translate(desk, &rig->cd);
	cfgi_ste(desk);
}

static struct smmuinv_features with_substreams(struct smmuinv_features host)
{
	/* Whether it stalls, the CD says. */
	host.idr[0] &= ~IDR0_STALL_MODEL;
	host.idr[0] |= IDR0_CD2L | IDR0_ATS;
	host.idr[1] |= IDR1_SSIDSIZE(20);
	return host;
}

/*
 * QEMU's SMMU has no SubstreamIDs, so its guests are shown none. Carried all
 * the same, the kernel takes such an STE and the SMMU finds it bad. So what a
 * changed level-1 entry takes is for the model of the caches.
 */
static void
table_of_two_levels_is_taken_by_the_kernel_and_not_by_this_smmu(void **state)
{
	struct desk *desk = *state;
	struct rig *rig = desk->rig;
	const struct smmuinv_features guest = with_substreams(rig->guest);
	const struct smmuinv_features host = with_substreams(rig->nested.host);
	struct guest_piece cds =
		guest_memory_take(&rig->memory, GUEST_PAGE_SIZE);
	struct guest_piece l1 = guest_memory_take(&rig->memory, 64);
	struct smmuinv_ste ste = { .size = sizeof(ste) };
	struct iommufd_vste vste;
	uint64_t va = map_a(rig);
	uint32_t seen;

	/* An L1CD leads to a table of 64 CDs, the first of which is good. */
	*(uint64_t *)l1.memory = htole64(cds.ipa | 1);
	context_descriptor_write(&cds, RIG_ASID, &rig->stage1);
	ste_write(desk,
		  STE0_V | STE0_CONFIG(CONFIG_TRANSLATE) |
			  STE0_S1FMT(S1FMT_TWO_LEVELS) | STE0_S1CDMAX(6) |
			  l1.ipa,
		  STE1_S1CACHED | STE1_S1DSS(S1DSS_SSID0));
	/* The guest was shown none: one CD, whatever the STE says. */
	ste = ste_attach(desk);
	assert_int_equal(ste.s1fmt, 0);
	assert_int_equal(ste.s1cdmax, 0);
	assert_int_equal(
		smmuinv_ste_read(&ste, desk->ste.memory, &guest, &host), 0);
	assert_int_equal(ste.config, SMMUINV_STE_TRANSLATE);
	assert_int_equal(ste.s1fmt, S1FMT_TWO_LEVELS);
	assert_int_equal(ste.s1cdmax, 6);
	assert_int_equal(ste.s1dss, S1DSS_SSID0);
	assert_int_equal(ste.s1contextptr, l1.ipa);
	vste = vste_of(&ste);
	assert_int_equal(vste.word[1] & 3, S1DSS_SSID0);
	assert_int_equal(nested_attach(&rig->nested, &vste), 0);
	printf("NOTE this SMMU %s a 2-level CD table\n",
	       see(rig, va, rig->edu.landing_iova, &seen) ? "does not take" :
							    "takes");
	ste_translate(desk, &rig->cd);
	ste_attach(desk);
	rig_expect(rig, va, PATTERN_A);
}

/* Half of them with a Config that a nested stream can have. */
static void random_ste(uint64_t words[WORDS])
{
	static const uint64_t configs[] = { CONFIG_ABORT, CONFIG_BYPASS,
					    CONFIG_TRANSLATE,
					    CONFIG_TRANSLATE };

	for (size_t i = 0; i < WORDS; i++)
		words[i] = htole64(test_chance(50) ? test_random() :
						     test_random_edge());
	if (test_chance(90))
		words[0] |= htole64(STE0_V);
	if (test_chance(90)) {
		words[0] &= htole64(~STE0_CONFIG(7));
		words[0] |= htole64(STE0_CONFIG(
			configs[test_random_below(ARRAY_SIZE(configs))]));
	}
	/* What the output addresses' size allows, often. */
	if (test_chance(70))
		words[0] &= htole64(~(UINT64_C(0xfff) << 44));
	/* S1CDMax up to 15, EATS 0 or 1, STRW, S2VMID. */
	if (test_chance(80))
		words[0] &= htole64(~(UINT64_C(1) << 63));
	if (test_chance(80))
		words[1] &= htole64(~(UINT64_C(1) << 29));
	if (test_chance(70))
		words[1] &= htole64(~(UINT64_C(3) << 30));
	if (test_chance(70))
		words[2] &= htole64(~UINT64_C(0xffff));
}

static void every_random_ste_is_taken_by_the_kernel(void **state)
{
	struct desk *desk = *state;
	struct rig *rig = desk->rig;
	const struct smmuinv_features rich_guest = with_substreams(rig->guest);
	const struct smmuinv_features rich_host =
		with_substreams(rig->nested.host);
	uint64_t *words = desk->ste.memory;
	unsigned int configs[3] = { 0 };
	unsigned int uncarried = 0;
	unsigned int tables = 0;
	uint64_t va = map_a(rig);

	for (int i = 0; i < RANDOM_STES; i++) {
		const struct smmuinv_features *guest =
			test_chance(75) ? &rich_guest : &rig->guest;
		const struct smmuinv_features *host =
			test_chance(75) ? &rich_host : &rig->nested.host;
		struct smmuinv_ste ste = { .size = sizeof(ste) };
		struct iommufd_vste vste;
		int rc;

		random_ste(words);
		rc = smmuinv_ste_read(&ste, words, guest, host);
		assert_true(rc == 0 || rc == -EOPNOTSUPP);
		uncarried += rc != 0;
		configs[ste.config]++;
		tables += ste.s1fmt != 0;
		vste = vste_of(&ste);
		rc = nested_attach(&rig->nested, &vste);
		if (rc)
			fail_msg("%s: %d: %016" PRIx64 " %016" PRIx64,
				 rig->nested.step, rc, vste.word[0],
				 vste.word[1]);
	}
	printf("NOTE random STEs: %u abort, %u bypass, %u translate (%u by "
	       "2-level tables), %u could not be carried\n",
	       configs[SMMUINV_STE_ABORT], configs[SMMUINV_STE_BYPASS],
	       configs[SMMUINV_STE_TRANSLATE], tables, uncarried);
	printf("CASES stes %d\n", RANDOM_STES);
	assert_true(configs[SMMUINV_STE_ABORT] > RANDOM_STES / 50);
	assert_true(configs[SMMUINV_STE_BYPASS] > RANDOM_STES / 50);
	assert_true(configs[SMMUINV_STE_TRANSLATE] > RANDOM_STES / 50);
	assert_true(tables > RANDOM_STES / 200);
	ste_translate(desk, &rig->cd);
	ste_attach(desk);
	rig_expect(rig, va, PATTERN_A);
	kernel_log_assert_quiet(__func__);
}

static int setup(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = see_cfgi_ste,
		.sync = see_sync,
	};
	struct desk *desk = calloc(1, sizeof(*desk));
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.opaque = desk,
	};
	void *rig = NULL;

	assert_non_null(desk);
	assert_int_equal(rig_group_setup(&rig), 0);
	desk->rig = rig;
	desk->ste = guest_memory_take(&desk->rig->memory, SMMUINV_STE_BYTES);
	assert_int_equal(
		smmuinv_queue_new(desk->rig->vsmmu, &params, &desk->queue), 0);
	*state = desk;
	return 0;
}

static int teardown(void **state)
{
	struct desk *desk = *state;
	void *rig = desk->rig;
	int error;

	smmuinv_queue_free(desk->queue);
	error = rig_group_teardown(&rig);
	free(desk);
	return error;
}

/* Each test begins with the rig's own tables attached. */
static int begin(void **state)
{
	struct desk *desk = *state;

	desk->read = 0;
	desk->attaches = true;
	ste_translate(desk, &desk->rig->cd);
	ste_attach(desk);
	return 0;
}

static int end(void **state)
{
	struct desk *desk = *state;

	recorder_end(&desk->rig->recorder);
	return 0;
}

#define STE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int test_ste(void)
{
	const struct CMUnitTest tests[] = {
		STE_TEST(cfgi_ste_makes_the_device_go_by_the_new_ste),
		STE_TEST(cfgi_ste_makes_a_stale_descriptor_fresh),
		STE_TEST(abort_bypass_and_translate_are_what_they_say),
		STE_TEST(cfgi_cd_goes_down_for_a_stream_that_aborts),
		STE_TEST(
			table_of_two_levels_is_taken_by_the_kernel_and_not_by_this_smmu),
		STE_TEST(every_random_ste_is_taken_by_the_kernel),
	};

	return cmocka_run_group_tests_name("ste", tests, setup, teardown);
}
