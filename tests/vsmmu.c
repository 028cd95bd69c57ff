/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <smmuinv/invalidate.h>

#include "fixture.h"
#include "support.h"

static struct smmuinv_vsmmu_params params_of(const struct fixture *f)
{
	return (struct smmuinv_vsmmu_params){
		.size = sizeof(struct smmuinv_vsmmu_params),
		.backend = f->backend,
		.viommu_id = f->viommu,
		.guest = everything,
		.host = everything,
	};
}

static void a_guest_that_the_host_cannot_carry_is_refused(void **state)
{
	struct smmuinv_vsmmu_params params = params_of(*state);
	struct smmuinv_vsmmu *vsmmu = NULL;

	params.host.idr[1] = 0; /* no SubstreamIDs */
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EOPNOTSUPP);
	assert_null(vsmmu);
}

/* Its ranges become pages. */
static void a_guest_with_ranges_is_carried_by_a_host_without(void **state)
{
	struct smmuinv_vsmmu_params params = params_of(*state);
	struct smmuinv_vsmmu *vsmmu;

	params.host.idr[3] = 0; /* no RIL */
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
	smmuinv_vsmmu_free(vsmmu);
}

static void a_vsid_must_fit_into_the_guests_sidsize(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_vsmmu_params params = params_of(f);
	struct smmuinv_vsmmu *vsmmu;
	uint32_t device = fixture_add_device(f);
	uint32_t bits;

	for (bits = 1; bits < 32; bits++) {
		params.guest.idr[1] = bits;
		assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
		assert_int_equal(plug(vsmmu, device, 1u << bits), -ERANGE);
		assert_int_equal(plug(vsmmu, device, (1u << bits) - 1), 0);
		assert_int_equal(
			smmuinv_vsmmu_remove_stream(vsmmu, (1u << bits) - 1),
			0);
		smmuinv_vsmmu_free(vsmmu);
	}
	assert_int_equal(plug(f->vsmmu, device, 0xffffffff), 0);
}

static void a_stream_is_added_on_the_vsmmus_own_viommu(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(smmuinv_streams_find(f->streams, FIXTURE_VSID, &info),
			 0);
	assert_int_equal(info.viommu_id, f->viommu);
	assert_int_equal(info.dev_id, f->device);
}

/* TLBIs go to the one vIOMMU: they would miss it. */
static void a_stream_on_another_viommu_is_refused(void **state)
{
	struct fixture *f = *state;
	uint32_t device = fixture_add_device(f);
	uint32_t viommu;

	assert_int_equal(smmuinv_mock_add_viommu(f->mock, &viommu), 0);
	assert_int_equal(add_to_table(f->streams, viommu, device, 0x20),
			 -EXDEV);
	assert_int_equal(add_to_table(f->streams, f->viommu, device, 0x20), 0);
}

/* Until the first SMMU is there, no device can be, and nothing need be done. */
static void a_vsmmu_may_begin_without_any_viommu(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_vsmmu_params params = params_of(f);
	struct smmuinv_viommu_params viommu = {
		.size = sizeof(viommu),
		.viommu_id = f->viommu,
		.host = everything,
	};
	const struct smmuinv_command commands[] = { tlbi_va(0x1000),
						    cfgi_cd(0x20) };
	struct smmuinv_result result = { .size = sizeof(result) };
	uint32_t device = fixture_add_device(f);
	struct smmuinv_batch *batch;
	struct smmuinv_vsmmu *vsmmu;

	params.viommu_id = 0;
	params.host = (struct smmuinv_features){ { 0 } };
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
	assert_int_equal(smmuinv_batch_new(vsmmu, 4, &batch), 0);
	assert_int_equal(plug(vsmmu, device, 0x20), -EXDEV);
	assert_int_equal(smmuinv_batch_submit(batch, commands, 2, &result), 0);
	assert_int_equal(result.completed, 2);
	assert_int_equal(result.dropped, 2);
	assert_int_equal(result.ioctls, 0);
	assert_int_equal(smmuinv_vsmmu_add_viommu(vsmmu, &viommu), 0);
	assert_int_equal(plug(vsmmu, device, 0x20), 0);
	assert_int_equal(smmuinv_batch_submit(batch, commands, 2, &result), 0);
	assert_int_equal(result.sent, 2);
	assert_int_equal(result.dropped, 0);
	smmuinv_batch_free(batch);
	smmuinv_vsmmu_free(vsmmu);
}

static void freeing_takes_the_streams_along(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_vsmmu_params params = params_of(f);
	uint32_t device = fixture_add_device(f);
	size_t before = smmuinv_mock_objects(f->mock);
	struct smmuinv_vsmmu *vsmmu;

	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
	assert_int_equal(plug(vsmmu, device, 1), 0);
	assert_int_equal(smmuinv_mock_objects(f->mock), before + 1);
	smmuinv_vsmmu_free(vsmmu);
	assert_int_equal(smmuinv_mock_objects(f->mock), before);
	smmuinv_vsmmu_free(NULL);
}

static void strict_checking_is_a_choice(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_vsmmu_params params = params_of(f);
	/* NSNH_ALL with a bit that is in no field */
	const struct smmuinv_command command = raw(0x130, 0);
	struct smmuinv_batch *batch;
	struct smmuinv_vsmmu *vsmmu;

	params.check_flags = SMMUINV_CHECK_STRICT;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
	assert_int_equal(smmuinv_batch_new(vsmmu, 1, &batch), 0);
	assert_int_equal(smmuinv_batch_add(batch, &command, NULL),
			 SMMUINV_ILLEGAL);
	smmuinv_batch_free(batch);
	smmuinv_vsmmu_free(vsmmu);

	assert_int_equal(smmuinv_batch_new(f->vsmmu, 1, &batch), 0);
	assert_int_equal(smmuinv_batch_add(batch, &command, NULL),
			 SMMUINV_FORWARD);
	smmuinv_batch_free(batch);
}

/* A new virtual SMMU over the mock, for a guest; and a batch for it. */
struct planned {
	struct fixture *f;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_batch *batch;
};

static void planned_open(struct planned *p, struct fixture *f,
			 const struct smmuinv_features *guest)
{
	struct smmuinv_vsmmu_params params = params_of(f);

	params.guest = *guest;
	p->f = f;
	assert_int_equal(smmuinv_vsmmu_new(&params, &p->vsmmu), 0);
	assert_int_equal(smmuinv_batch_new(p->vsmmu, 16, &p->batch), 0);
}

static void planned_close(struct planned *p)
{
	smmuinv_batch_free(p->batch);
	smmuinv_vsmmu_free(p->vsmmu);
}

/* How many host commands four pages in a row of an ASID become. */
static uint32_t four_pages(struct planned *p, uint16_t asid)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	uint64_t page;

	for (page = 0; page < 4; page++) {
		struct smmuinv_command command =
			raw((uint64_t)asid << 48 | SMMUINV_CMD_TLBI_NH_VA,
			    page << 12 | 1);

		assert_int_equal(smmuinv_batch_add(p->batch, &command, NULL),
				 SMMUINV_FORWARD);
	}
	assert_int_equal(smmuinv_batch_flush(p->batch, &result), 0);
	return result.host_commands;
}

static struct smmuinv_cd cd_of(uint16_t asid, uint8_t tg)
{
	return (struct smmuinv_cd){
		.size = sizeof(struct smmuinv_cd),
		.valid = true,
		.asid = asid,
		.walks = { true },
		.tg = { tg },
	};
}

static void
pages_of_a_noted_cd_become_a_range_until_the_reset(void **state)
{
	struct smmuinv_cd cd = cd_of(7, SMMUINV_TG_4K);
	struct planned p;

	planned_open(&p, *state, &everything);
	assert_int_equal(four_pages(&p, 7), 4);
	assert_int_equal(smmuinv_vsmmu_note_cd(p.vsmmu, &cd), 0);
	assert_int_equal(four_pages(&p, 7), 1);
	assert_int_equal(four_pages(&p, 8), 4);
	assert_int_equal(smmuinv_reset(p.vsmmu, NULL), 0);
	assert_int_equal(four_pages(&p, 7), 4);
	planned_close(&p);
}

static void a_cd_that_could_not_be_read_makes_everything_uncertain(void **state)
{
	struct smmuinv_cd known = cd_of(7, SMMUINV_TG_4K);
	struct smmuinv_cd unread = cd_of(9, SMMUINV_TG_ANY);
	struct planned p;

	planned_open(&p, *state, &everything);
	assert_int_equal(smmuinv_vsmmu_note_cd(p.vsmmu, &known), 0);
	assert_int_equal(smmuinv_vsmmu_note_cd(p.vsmmu, &unread), 0);
	assert_int_equal(four_pages(&p, 7), 4);
	assert_int_equal(four_pages(&p, 9), 4);
	planned_close(&p);
}

/* 4.4: with 8-bit ASIDs the upper byte is in no command. */
static void the_upper_byte_of_an_8_bit_asid_is_not_noted(void **state)
{
	struct smmuinv_features guest = everything;
	struct smmuinv_cd cd = cd_of(0xab07, SMMUINV_TG_4K);
	struct planned p;

	guest.idr[0] &= ~(1u << 12); /* ASID16 */
	planned_open(&p, *state, &guest);
	assert_int_equal(smmuinv_vsmmu_note_cd(p.vsmmu, &cd), 0);
	assert_int_equal(four_pages(&p, 7), 1);
	planned_close(&p);
	/* With 16 bits it is another ASID. */
	planned_open(&p, *state, &everything);
	assert_int_equal(smmuinv_vsmmu_note_cd(p.vsmmu, &cd), 0);
	assert_int_equal(four_pages(&p, 7), 4);
	assert_int_equal(four_pages(&p, 0xab07), 1);
	planned_close(&p);
}

static void what_is_no_cd_is_not_noted(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_cd cd = cd_of(7, SMMUINV_TG_64K);
	size_t at;

	assert_int_equal(smmuinv_vsmmu_note_cd(f->vsmmu, &cd), 0);
	assert_int_equal(smmuinv_vsmmu_note_cd(NULL, &cd), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_note_cd(f->vsmmu, NULL), -EINVAL);
	cd.tg[0] = SMMUINV_TG_64K + 1;
	assert_int_equal(smmuinv_vsmmu_note_cd(f->vsmmu, &cd), -EINVAL);
	cd.tg[0] = 0;
	cd.tg[1] = SMMUINV_TG_64K + 1;
	assert_int_equal(smmuinv_vsmmu_note_cd(f->vsmmu, &cd), -EINVAL);
	cd.tg[1] = 0;
	for (at = 0; test_only_byte(&cd.reserved, sizeof(cd.reserved), at);
	     at++)
		assert_int_equal(smmuinv_vsmmu_note_cd(f->vsmmu, &cd), -EINVAL);
	cd.size--;
	assert_int_equal(smmuinv_vsmmu_note_cd(f->vsmmu, &cd), -EINVAL);
}

static void the_plan_and_the_bound_on_pages_are_choices(void **state)
{
	struct smmuinv_vsmmu_params params = params_of(*state);
	struct smmuinv_vsmmu *vsmmu;
	const struct {
		uint32_t plan;
		uint32_t pages_max;
		int rc;
	} cases[] = {
		{ SMMUINV_PLAN_FEWEST, 1, 0 },
		{ SMMUINV_PLAN_AS_WRITTEN, SMMUINV_BATCH_CAPACITY_MAX, 0 },
		{ SMMUINV_PLAN_AS_WRITTEN + 1, 0, -EINVAL },
		{ UINT32_MAX, 0, -EINVAL },
		{ 0, SMMUINV_BATCH_CAPACITY_MAX + 1, -EINVAL },
		{ 0, UINT32_MAX, -EINVAL },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		params.plan = cases[i].plan;
		params.pages_max = cases[i].pages_max;
		vsmmu = NULL;
		assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu),
				 cases[i].rc);
		smmuinv_vsmmu_free(vsmmu);
	}
}

static void the_library_tells_its_release(void **state)
{
	char release[32];

	(void)state;
	snprintf(release, sizeof(release), "%d.%d.%d", SMMUINV_VERSION_MAJOR,
		 SMMUINV_VERSION_MINOR, SMMUINV_VERSION_PATCH);
	assert_string_equal(smmuinv_version(), release);
}

/* Whatever else is wrong with it. */
static void a_stream_with_something_reserved_is_refused(void **state)
{
	struct smmuinv_vsmmu_params params = params_of(*state);
	struct smmuinv_stream_params stream = {
		.size = sizeof(stream),
		.dev_id = fixture_add_device(*state),
		.vsid = 1u << 8,
	};
	struct smmuinv_vsmmu *vsmmu;
	size_t at;

	params.guest.idr[1] = 8; /* SIDSIZE */
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), 0);
	for (at = 0;
	     test_only_byte(stream.reserved, sizeof(stream.reserved), at); at++)
		assert_int_equal(smmuinv_vsmmu_add_stream(vsmmu, &stream),
				 -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_stream(vsmmu, &stream), -ERANGE);
	smmuinv_vsmmu_free(vsmmu);
}

static void bad_arguments_are_refused(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_vsmmu_params params = params_of(f);
	struct smmuinv_vsmmu *vsmmu;

	assert_int_equal(smmuinv_vsmmu_new(NULL, &vsmmu), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_new(&params, NULL), -EINVAL);
	params.size--;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EINVAL);
	params = params_of(*state);
	params.backend = NULL;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EINVAL);
	params = params_of(*state);
	params.check_flags = 2;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EINVAL);
	params = params_of(*state);
	params.repeat = SMMUINV_REPEAT_NEVER + 1;
	assert_int_equal(smmuinv_vsmmu_new(&params, &vsmmu), -EINVAL);
	assert_int_equal(plug(NULL, 1, 1), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_stream(f->vsmmu, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_add_viommu(f->vsmmu, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(NULL, 1), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_remove_stream(NULL, 1), -EINVAL);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_that_the_host_cannot_carry_is_refused),
		TEST(a_guest_with_ranges_is_carried_by_a_host_without),
		TEST(a_vsid_must_fit_into_the_guests_sidsize),
		TEST(a_stream_is_added_on_the_vsmmus_own_viommu),
		TEST(a_stream_on_another_viommu_is_refused),
		TEST(a_vsmmu_may_begin_without_any_viommu),
		TEST(freeing_takes_the_streams_along),
		TEST(strict_checking_is_a_choice),
		TEST(pages_of_a_noted_cd_become_a_range_until_the_reset),
		TEST(a_cd_that_could_not_be_read_makes_everything_uncertain),
		TEST(the_upper_byte_of_an_8_bit_asid_is_not_noted),
		TEST(what_is_no_cd_is_not_noted),
		TEST(the_plan_and_the_bound_on_pages_are_choices),
		TEST(the_library_tells_its_release),
		TEST(a_stream_with_something_reserved_is_refused),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("vsmmu", tests, NULL, NULL);
}
