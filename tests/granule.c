/* SPDX-License-Identifier: MIT */
/*
 * When a granule is certain: against a list of everything that was ever noted.
 */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "granule.h"
#include "spec.h"

static bool no_memory;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	return no_memory ? NULL : __real_calloc(count, size);
}

static const uint8_t granules_of_bit[] = { SMMUINV_TG_4K, SMMUINV_TG_16K,
					   SMMUINV_TG_64K };

static struct smmuinv_features showing(unsigned int granules, uint32_t ttf)
{
	struct smmuinv_features f = test_features_full();

	spec_feature_set(&f, SMMUINV_FEATURE_GRAN4K, granules & 1);
	spec_feature_set(&f, SMMUINV_FEATURE_GRAN16K, granules >> 1 & 1);
	spec_feature_set(&f, SMMUINV_FEATURE_GRAN64K, granules >> 2 & 1);
	spec_feature_set(&f, SMMUINV_FEATURE_TTF, ttf);
	return f;
}

static void open_showing(struct granules *g, unsigned int granules,
			 uint32_t ttf)
{
	const struct smmuinv_features f = showing(granules, ttf);

	assert_int_equal(smmuinv__granules_init(g, &f), 0);
}

static void note(struct granules *g, uint16_t asid, uint8_t lower,
		 uint8_t upper)
{
	const struct smmuinv_cd cd = { .size = sizeof(cd),
				       .valid = true,
				       .asid = asid,
				       .walks = { lower != SMMUINV_TG_ANY,
						  upper != SMMUINV_TG_ANY },
				       .tg = { lower, upper } };

	smmuinv__granules_note(g, &cd);
}

/* The first and the last address of each half, and those of none. */
static const uint64_t lower[] = { 0, 0x1000, (UINT64_C(1) << 52) - 1 };
static const uint64_t upper[] = { UINT64_C(0xfff0000000000000),
				  UINT64_C(0xffff000000000000), UINT64_MAX };
static const uint64_t neither[] = {
	UINT64_C(1) << 52,       UINT64_C(1) << 55,
	UINT64_C(1) << 63,       UINT64_C(0x5500000000001000),
	(UINT64_C(1) << 63) - 1, UINT64_C(0xff80000000000000),
	UINT64_C(0xfff0000000000000) - 1
};

static void assert_granules(const struct granules *g, uint16_t asid,
			    uint8_t in_lower, uint8_t in_upper)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lower); i++)
		assert_int_equal(smmuinv__granule_of(g, asid, lower[i]),
				 in_lower);
	for (i = 0; i < ARRAY_SIZE(upper); i++)
		assert_int_equal(smmuinv__granule_of(g, asid, upper[i]),
				 in_upper);
}

static void assert_uncertain_in_neither_half(const struct granules *g)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(neither); i++)
		assert_int_equal(smmuinv__granule_of(g, 1, neither[i]),
				 SMMUINV_TG_ANY);
}

static void
the_one_granule_that_is_shown_is_certain_in_both_halves(void **state)
{
	unsigned int bit;

	(void)state;
	for (bit = 0; bit < 3; bit++) {
		uint8_t tg = granules_of_bit[bit];
		struct granules g;

		open_showing(&g, 1u << bit, 2);
		assert_int_equal(g.shown, tg);
		assert_granules(&g, 0, tg, tg);
		assert_granules(&g, 0xffff, tg, tg);
		assert_uncertain_in_neither_half(&g);
		smmuinv__granules_free(&g);
	}
}

/* AArch32 tables have 4K, whatever IDR5 says. */
static void granules_are_shown_by_idr5_and_by_aarch32_tables(void **state)
{
	unsigned int shown;
	uint32_t ttf;

	(void)state;
	for (shown = 0; shown < 8; shown++) {
		for (ttf = 0; ttf < 4; ttf++) {
			unsigned int really = shown | (ttf & 1);
			uint8_t certain = really == 1 ? SMMUINV_TG_4K :
					  really == 2 ? SMMUINV_TG_16K :
					  really == 4 ? SMMUINV_TG_64K :
							SMMUINV_TG_ANY;
			struct granules g;

			open_showing(&g, shown, ttf);
			assert_int_equal(g.shown, certain);
			assert_granules(&g, 1, certain, certain);
			smmuinv__granules_free(&g);
		}
	}
}

static void what_no_cd_was_noted_of_is_uncertain(void **state)
{
	struct granules g;

	(void)state;
	open_showing(&g, 7, 2);
	assert_granules(&g, 1, SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	note(&g, 1, SMMUINV_TG_4K, SMMUINV_TG_64K);
	assert_granules(&g, 0, SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	assert_granules(&g, 2, SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	assert_granules(&g, 0x101, SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	assert_granules(&g, 1, SMMUINV_TG_4K, SMMUINV_TG_64K);
	assert_uncertain_in_neither_half(&g);
	smmuinv__granules_free(&g);
}

/* 4.4.2.4: global entries, which may be another ASID's, go with it. */
static void another_asids_granule_makes_it_uncertain_in_that_half(void **state)
{
	struct granules g;

	(void)state;
	open_showing(&g, 7, 2);
	note(&g, 1, SMMUINV_TG_4K, SMMUINV_TG_4K);
	note(&g, 2, SMMUINV_TG_4K, SMMUINV_TG_16K);
	assert_granules(&g, 1, SMMUINV_TG_4K, SMMUINV_TG_ANY);
	assert_granules(&g, 2, SMMUINV_TG_4K, SMMUINV_TG_ANY);
	note(&g, 3, SMMUINV_TG_64K, SMMUINV_TG_ANY);
	assert_granules(&g, 1, SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	smmuinv__granules_free(&g);
}

/* Entries outlive the CD that they were made with. */
static void
what_has_become_uncertain_stays_so_until_all_is_forgotten(void **state)
{
	struct granules g;
	unsigned int i;

	(void)state;
	open_showing(&g, 7, 2);
	note(&g, 1, SMMUINV_TG_4K, SMMUINV_TG_ANY);
	note(&g, 1, SMMUINV_TG_16K, SMMUINV_TG_ANY);
	for (i = 0; i < 3; i++) {
		note(&g, 1, SMMUINV_TG_16K, SMMUINV_TG_ANY);
		assert_granules(&g, 1, SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	}
	smmuinv__granules_forget(&g);
	assert_granules(&g, 1, SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	note(&g, 1, SMMUINV_TG_16K, SMMUINV_TG_ANY);
	assert_granules(&g, 1, SMMUINV_TG_16K, SMMUINV_TG_ANY);
	smmuinv__granules_free(&g);
}

static void nothing_of_any_asid_is_remembered_once_forgotten(void **state)
{
	static const uint16_t asids[] = { 0, 1, 0x7fff, 0xffff };
	struct granules g;
	size_t i;

	(void)state;
	open_showing(&g, 7, 2);
	for (i = 0; i < ARRAY_SIZE(asids); i++)
		note(&g, asids[i], SMMUINV_TG_4K, SMMUINV_TG_4K);
	smmuinv__granules_forget(&g);
	for (i = 0; i < ARRAY_SIZE(asids); i++)
		assert_granules(&g, asids[i], SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	for (i = 0; i < ARRAY_SIZE(asids); i++) {
		note(&g, asids[i], SMMUINV_TG_64K, SMMUINV_TG_16K);
		assert_granules(&g, asids[i], SMMUINV_TG_64K, SMMUINV_TG_16K);
	}
	smmuinv__granules_free(&g);
}

/*
 * Every pair of CDs, and the model: the set of what was noted for each of two
 * ASIDs in each half. An unknown granule is one of them.
 */
static struct smmuinv_cd cd_number(unsigned int n)
{
	return (struct smmuinv_cd){
		.size = sizeof(struct smmuinv_cd),
		.valid = n & 1,
		.asid = n >> 1 & 1,
		.walks = { n >> 2 & 1, n >> 3 & 1 },
		.tg = { n >> 4 & 3, n >> 6 & 3 },
	};
}

#define CD_NUMBERS 256u

/* What may be AArch32's is not divided where AArch64's halves are. */
static void model_note(uint8_t sets[2][2], const struct smmuinv_cd *cd)
{
	unsigned int half;

	for (half = 0; half < 2; half++) {
		if (!cd->valid || !cd->walks[half])
			continue;
		sets[cd->asid][half] |= (uint8_t)(1u << cd->tg[half]);
		if (cd->tg[half] == SMMUINV_TG_ANY)
			sets[cd->asid][!half] |= 1u << SMMUINV_TG_ANY;
	}
}

static uint8_t model_granule(uint8_t sets[2][2], unsigned int asid,
			     unsigned int half)
{
	uint8_t tg;

	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		if (sets[asid][half] == 1u << tg &&
		    !(sets[!asid][half] & ~(1u << tg)))
			return tg;
	}
	return SMMUINV_TG_ANY;
}

static void every_two_cds_say_what_they_should(void **state)
{
	unsigned int a;
	unsigned int b;

	(void)state;
	for (a = 0; a < CD_NUMBERS; a++) {
		for (b = 0; b < CD_NUMBERS; b++) {
			const struct smmuinv_cd cds[] = { cd_number(a),
							  cd_number(b) };
			uint8_t sets[2][2] = { { 0 } };
			struct granules g;
			uint16_t asid;

			open_showing(&g, 7, 2);
			smmuinv__granules_note(&g, &cds[0]);
			smmuinv__granules_note(&g, &cds[1]);
			model_note(sets, &cds[0]);
			model_note(sets, &cds[1]);
			for (asid = 0; asid < 2; asid++)
				assert_granules(&g, asid,
						model_granule(sets, asid, 0),
						model_granule(sets, asid, 1));
			assert_uncertain_in_neither_half(&g);
			smmuinv__granules_free(&g);
		}
	}
}

static void without_memory_there_is_nothing_to_free(void **state)
{
	const struct smmuinv_features f = showing(7, 2);
	struct granules g;

	(void)state;
	no_memory = true;
	assert_int_equal(smmuinv__granules_init(&g, &f), -ENOMEM);
	no_memory = false;
	smmuinv__granules_free(&g);
}

static void the_bytes_of_each_granule_are_known(void **state)
{
	(void)state;
	assert_int_equal(granule_log2(SMMUINV_TG_4K), 12);
	assert_int_equal(granule_log2(SMMUINV_TG_16K), 14);
	assert_int_equal(granule_log2(SMMUINV_TG_64K), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(the_bytes_of_each_granule_are_known),
		T(the_one_granule_that_is_shown_is_certain_in_both_halves),
		T(granules_are_shown_by_idr5_and_by_aarch32_tables),
		T(what_no_cd_was_noted_of_is_uncertain),
		T(another_asids_granule_makes_it_uncertain_in_that_half),
		T(what_has_become_uncertain_stays_so_until_all_is_forgotten),
		T(nothing_of_any_asid_is_remembered_once_forgotten),
		T(every_two_cds_say_what_they_should),
		T(without_memory_there_is_nothing_to_free),
#undef T
	};

	return cmocka_run_group_tests_name("granule", tests, NULL, NULL);
}
