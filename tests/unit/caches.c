/* SPDX-License-Identifier: MIT */
/*
 * The model of the caches: each command removes what the specification
 * requires, and nothing else. Sections are those of Arm IHI 0070.
 */
#include <errno.h>

#include <smmuinv/caches.h>

#include "support.h"

#define ENTRY(...)                     \
	((struct smmuinv_cache_entry){ \
		.size = sizeof(struct smmuinv_cache_entry), __VA_ARGS__ })

static int setup(void **state)
{
	struct smmuinv_caches *caches;

	assert_int_equal(smmuinv_caches_new(64, &caches), 0);
	*state = caches;
	return 0;
}

static int teardown(void **state)
{
	smmuinv_caches_free(*state);
	return 0;
}

static int insert(struct smmuinv_caches *caches,
		  struct smmuinv_cache_entry entry)
{
	int index = smmuinv_caches_insert(caches, &entry);

	assert_true(index >= 0);
	return index;
}

/* A page of 4K at level 3. */
static int page(struct smmuinv_caches *caches, uint16_t asid, uint64_t va,
		bool global)
{
	return insert(caches, ENTRY(.kind = SMMUINV_CACHED_LEAF, .asid = asid,
				    .global = global, .tg = SMMUINV_TG_4K,
				    .level = 3, .address = va, .length = 4096));
}

static struct smmuinv_command tlbi(uint8_t opcode, struct smmuinv_tlbi operands)
{
	struct smmuinv_command command;

	operands.size = sizeof(operands);
	if (opcode == SMMUINV_CMD_TLBI_NH_VA)
		assert_int_equal(
			smmuinv_command_tlbi_nh_va(&command, &operands), 0);
	else
		assert_int_equal(
			smmuinv_command_tlbi_nh_vaa(&command, &operands), 0);
	return command;
}

/* The command takes exactly the entries of @mask, by index. */
static void assert_takes(struct smmuinv_caches *caches,
			 struct smmuinv_command command, uint64_t mask)
{
	size_t i;

	smmuinv_caches_refill(caches);
	smmuinv_caches_execute(caches, &command);
	for (i = 0; i < 64; i++) {
		bool gone = mask >> i & 1;

		if (smmuinv_caches_has(caches, i) && gone)
			fail_msg("%s left entry %zu", test_text(&command), i);
		smmuinv_caches_refill(caches);
		if (!smmuinv_caches_has(caches, i))
			break;
		smmuinv_caches_execute(caches, &command);
		if (!smmuinv_caches_has(caches, i) && !gone)
			fail_msg("%s took entry %zu", test_text(&command), i);
	}
}

/* 4.4.2.1, 4.4.4.1 */
static void all_takes_the_tlb_and_nothing_else(void **state)
{
	struct smmuinv_caches *caches = *state;

	page(caches, 1, 0x1000, false);
	page(caches, 2, 0x2000, true);
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_TABLE, .tg = 1, .level = 1,
			     .length = 1 << 30));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_CD, .sid = 1));
	insert(caches,
	       ENTRY(.kind = SMMUINV_CACHED_ATC, .sid = 1, .length = 4096));
	assert_takes(caches, test_command(SMMUINV_CMD_TLBI_NH_ALL, 0), 0x7);
	assert_takes(caches, test_command(SMMUINV_CMD_TLBI_NSNH_ALL, 0), 0x7);
	assert_takes(caches, test_command(SMMUINV_CMD_SYNC, 0), 0);
}

/* 4.4.2.2: non-global entries of the ASID only */
static void asid_leaves_global_entries(void **state)
{
	struct smmuinv_caches *caches = *state;
	struct smmuinv_command command;

	page(caches, 1, 0x1000, false);
	page(caches, 1, 0x2000, true);
	page(caches, 2, 0x3000, false);
	assert_int_equal(smmuinv_command_tlbi_nh_asid(&command, 1), 0);
	assert_takes(caches, command, 0x1);
}

/* 4.4.2.4: and global entries of that VA whatever their ASID */
static void va_takes_the_asids_and_the_global_entries(void **state)
{
	struct smmuinv_caches *caches = *state;

	page(caches, 1, 0x1000, false);
	page(caches, 2, 0x1000, false);
	page(caches, 2, 0x1000, true);
	page(caches, 1, 0x2000, false);
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .asid = 1, .va = 0x1000 }),
		     0x5);
	/* 4.4.2.3: every ASID's */
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VAA,
			  (struct smmuinv_tlbi){ .va = 0x1000 }),
		     0x7);
}

/* 4.4: one command drops the whole block around the address */
static void an_address_within_a_block_takes_the_block(void **state)
{
	struct smmuinv_caches *caches = *state;

	insert(caches, ENTRY(.kind = SMMUINV_CACHED_LEAF, .tg = 1, .level = 2,
			     .address = 0x200000, .length = 0x200000));
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .va = 0x3ff000 }),
		     0x1);
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .va = 0x400000 }),
		     0);
}

/* 4.4.1.1: only entries inserted with that granule */
static void a_range_takes_entries_of_its_granule_only(void **state)
{
	struct smmuinv_caches *caches = *state;
	uint8_t tg;

	for (tg = 1; tg <= 3; tg++)
		insert(caches,
		       ENTRY(.kind = SMMUINV_CACHED_LEAF, .tg = tg, .level = 3,
			     .address = 0x10000, .length = 0x1000));
	for (tg = 1; tg <= 3; tg++)
		assert_takes(caches,
			     tlbi(SMMUINV_CMD_TLBI_NH_VA,
				  (struct smmuinv_tlbi){
					  .va = 0x10000, .tg = tg, .ttl = 3 }),
			     UINT64_C(1) << (tg - 1));
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .va = 0x10000 }),
		     0x7);
}

/* 4.4.1.1: (NUM + 1) << SCALE granules, first to last */
static void a_range_reaches_exactly_its_granules(void **state)
{
	struct smmuinv_caches *caches = *state;
	uint32_t num, scale;

	page(caches, 0, 0x100000 - 0x1000, false);
	page(caches, 0, 0x100000, false);
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_LEAF, .tg = 1, .level = 3,
			     .length = 0x1000));
	for (scale = 0; scale < 6; scale++) {
		for (num = 0; num < 32; num++) {
			uint64_t end =
				0x100000 + ((uint64_t)(num + 1) << scale << 12);
			struct smmuinv_caches *c;
			struct smmuinv_command command =
				tlbi(SMMUINV_CMD_TLBI_NH_VA,
				     (struct smmuinv_tlbi){
					     .va = 0x100000,
					     .tg = 1,
					     .ttl = 3,
					     .num = (uint8_t)num,
					     .scale = (uint8_t)scale });

			assert_int_equal(smmuinv_caches_new(4, &c), 0);
			page(c, 0, 0xff000, false);
			page(c, 0, 0x100000, false);
			page(c, 0, end - 0x1000, false);
			page(c, 0, end, false);
			assert_takes(c, command, 0x6);
			smmuinv_caches_free(c);
		}
	}
}

/* 4.4.1.1: need not reach the upper half, and does not wrap */
static void a_range_stays_in_its_half(void **state)
{
	struct smmuinv_caches *caches = *state;

	page(caches, 0, 0x7ffffffffffff000, false);
	page(caches, 0, 0x8000000000000000, false);
	page(caches, 0, 0xfffffffffffff000, false);
	page(caches, 0, 0, false);
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .va = 0x7ffffffffffff000,
						 .tg = 1,
						 .num = 31,
						 .scale = 39 }),
		     0x1);
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .va = 0xfffffffffffff000,
						 .tg = 1,
						 .num = 31 }),
		     0x4);
}

/* 4.4.1.1 with its last note: leaves of the level, tables above it */
static void level_hints_and_leaf_choose_levels(void **state)
{
	struct smmuinv_caches *caches = *state;
	uint8_t level;

	for (level = 0; level <= 2; level++)
		insert(caches, ENTRY(.kind = SMMUINV_CACHED_TABLE, .tg = 1,
				     .level = level, .length = 1 << 30));
	for (level = 1; level <= 3; level++)
		insert(caches, ENTRY(.kind = SMMUINV_CACHED_LEAF, .tg = 1,
				     .level = level, .length = 1 << 30));
	/* TG 0: every level, with Leaf no tables. */
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA, (struct smmuinv_tlbi){ 0 }),
		     0x3f);
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .leaf = true }),
		     0x38);
	/* TTL 0: any leaf. */
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .tg = 1, .num = 1 }),
		     0x3f);
	for (level = 1; level <= 3; level++) {
		uint64_t leaf = UINT64_C(4) << level;
		uint64_t tables = (UINT64_C(1) << level) - 1;

		assert_takes(caches,
			     tlbi(SMMUINV_CMD_TLBI_NH_VA,
				  (struct smmuinv_tlbi){ .tg = 1,
							 .ttl = level,
							 .leaf = true }),
			     leaf);
		assert_takes(
			caches,
			tlbi(SMMUINV_CMD_TLBI_NH_VA,
			     (struct smmuinv_tlbi){ .tg = 1, .ttl = level }),
			leaf | tables);
	}
}

/* 4.3.3, 4.3.4 */
static void cd_commands_take_descriptors_of_their_stream(void **state)
{
	struct smmuinv_caches *caches = *state;
	struct smmuinv_command command;

	insert(caches, ENTRY(.kind = SMMUINV_CACHED_CD, .sid = 1, .ssid = 5));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_CD, .sid = 1, .ssid = 6));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_CD, .sid = 2, .ssid = 5));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_L1CD, .sid = 1, .ssid = 0,
			     .ssids = 64));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_L1CD, .sid = 1, .ssid = 64,
			     .ssids = 64));
	assert_int_equal(smmuinv_command_cfgi_cd(&command, 1, 5, true), 0);
	assert_takes(caches, command, 0x1);
	assert_int_equal(smmuinv_command_cfgi_cd(&command, 1, 5, false), 0);
	assert_takes(caches, command, 0x9);
	assert_int_equal(smmuinv_command_cfgi_cd(&command, 1, 64, false), 0);
	assert_takes(caches, command, 0x10);
	assert_int_equal(smmuinv_command_cfgi_cd_all(&command, 1), 0);
	assert_takes(caches, command, 0x1b);
}

static struct smmuinv_command atc(struct smmuinv_atc operands)
{
	struct smmuinv_command command;

	operands.size = sizeof(operands);
	assert_int_equal(smmuinv_command_atc_inv(&command, &operands), 0);
	return command;
}

/* 4.5.1 */
static void atc_inv_takes_the_span_of_one_device_and_pasid(void **state)
{
	struct smmuinv_caches *caches = *state;

	insert(caches, ENTRY(.kind = SMMUINV_CACHED_ATC, .sid = 1,
			     .address = 0x4000, .length = 0x1000));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_ATC, .sid = 2,
			     .address = 0x4000, .length = 0x1000));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_ATC, .sid = 1, .ssv = true,
			     .ssid = 7, .address = 0x4000, .length = 0x1000));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_ATC, .sid = 1, .ssv = true,
			     .ssid = 8, .address = 0x4000, .length = 0x1000));
	insert(caches, ENTRY(.kind = SMMUINV_CACHED_ATC, .sid = 1,
			     .address = 0xfffffffffffff000, .length = 0x1000));
	assert_takes(caches,
		     atc((struct smmuinv_atc){ .sid = 1, .address = 0x4000 }),
		     0x1);
	/* Aligned down to the size: 0x4000 lies in 0x0..0x7fff. */
	assert_takes(caches,
		     atc((struct smmuinv_atc){
			     .sid = 1, .address = 0x7000, .log2_pages = 3 }),
		     0x1);
	assert_takes(caches,
		     atc((struct smmuinv_atc){
			     .sid = 1, .address = 0x8000, .log2_pages = 3 }),
		     0);
	assert_takes(caches,
		     atc((struct smmuinv_atc){
			     .sid = 1, .log2_pages = SMMUINV_ATC_SIZE_ALL }),
		     0x11);
	assert_takes(
		caches,
		atc((struct smmuinv_atc){
			.sid = 1, .address = 0x4000, .ssv = true, .ssid = 7 }),
		0x4);
	assert_takes(caches,
		     atc((struct smmuinv_atc){ .sid = 1,
					       .address = 0x4000,
					       .ssv = true,
					       .ssid = 7,
					       .global = true }),
		     0xc);
}

/* What an entry's kind does not have may hold anything. */
static void every_command_leaves_the_entries_of_other_kinds(void **state)
{
	struct smmuinv_caches *caches = *state;
	struct smmuinv_command asid, cd, cd_all;
	uint32_t kind;

	for (kind = 0; kind <= SMMUINV_CACHED_ATC; kind++)
		insert(caches, ENTRY(.kind = kind, .asid = 1, .tg = 1,
				     .level = 1, .sid = 1, .ssids = 1));
	assert_int_equal(smmuinv_command_tlbi_nh_asid(&asid, 1), 0);
	assert_int_equal(smmuinv_command_cfgi_cd(&cd, 1, 0, false), 0);
	assert_int_equal(smmuinv_command_cfgi_cd_all(&cd_all, 1), 0);
	assert_takes(caches, test_command(SMMUINV_CMD_TLBI_NH_ALL, 0), 0x3);
	assert_takes(caches, asid, 0x3);
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VA,
			  (struct smmuinv_tlbi){ .asid = 1 }),
		     0x3);
	assert_takes(caches,
		     tlbi(SMMUINV_CMD_TLBI_NH_VAA, (struct smmuinv_tlbi){ 0 }),
		     0x3);
	assert_takes(caches, cd, 0xc);
	assert_takes(caches, cd_all, 0xc);
	assert_takes(caches, atc((struct smmuinv_atc){ .sid = 1 }), 0x10);
	/* Nor are they another stream's. */
	assert_int_equal(smmuinv_command_cfgi_cd_all(&cd_all, 2), 0);
	assert_takes(caches, cd_all, 0);
}

static void only_the_eight_commands_of_a_viommu_remove_anything(void **state)
{
	struct smmuinv_caches *caches = *state;
	uint32_t opcode, kind;
	size_t removed;

	for (kind = 0; kind <= SMMUINV_CACHED_ATC; kind++)
		insert(caches,
		       ENTRY(.kind = kind, .tg = 1, .level = 1, .ssids = 1));
	for (opcode = 0; opcode < 256; opcode++) {
		const struct smmuinv_command command = test_command(opcode, 0);

		removed = smmuinv_caches_execute(caches, &command);
		switch (opcode) {
		case SMMUINV_CMD_CFGI_CD:
		case SMMUINV_CMD_CFGI_CD_ALL:
		case SMMUINV_CMD_TLBI_NH_ALL:
		case SMMUINV_CMD_TLBI_NH_ASID:
		case SMMUINV_CMD_TLBI_NH_VA:
		case SMMUINV_CMD_TLBI_NH_VAA:
		case SMMUINV_CMD_TLBI_NSNH_ALL:
			assert_int_equal(removed, 2);
			break;
		case SMMUINV_CMD_ATC_INV:
			assert_int_equal(removed, 1);
			break;
		default:
			assert_int_equal(removed, 0);
		}
		smmuinv_caches_refill(caches);
	}
}

static void stale_names_the_first_entry_that_should_have_gone(void **state)
{
	struct smmuinv_command command =
		test_command(SMMUINV_CMD_TLBI_NH_ALL, 0);
	struct smmuinv_caches *caches = *state;
	struct smmuinv_caches *wanted;

	assert_int_equal(smmuinv_caches_new(4, &wanted), 0);
	page(caches, 1, 0x1000, false);
	assert_int_equal(smmuinv_caches_stale(caches, wanted), -EINVAL);
	page(wanted, 1, 0x1000, false);
	assert_int_equal(smmuinv_caches_stale(caches, wanted), -ENOENT);
	assert_int_equal(smmuinv_caches_execute(wanted, &command), 1);
	assert_int_equal(smmuinv_caches_stale(caches, wanted), 0);
	/* More than was asked for is always allowed. */
	assert_int_equal(smmuinv_caches_stale(wanted, caches), -ENOENT);
	smmuinv_caches_free(wanted);
}

static void bad_arguments_are_refused(void **state)
{
	struct smmuinv_cache_entry bad[] = {
		ENTRY(.kind = 5),
		ENTRY(.kind = SMMUINV_CACHED_LEAF, .tg = 0, .level = 1),
		ENTRY(.kind = SMMUINV_CACHED_LEAF, .tg = 4, .level = 1),
		ENTRY(.kind = SMMUINV_CACHED_LEAF, .tg = 1, .level = 0),
		ENTRY(.kind = SMMUINV_CACHED_LEAF, .tg = 1, .level = 4),
		ENTRY(.kind = SMMUINV_CACHED_TABLE, .tg = 0, .level = 0),
		ENTRY(.kind = SMMUINV_CACHED_TABLE, .tg = 4, .level = 0),
		ENTRY(.kind = SMMUINV_CACHED_TABLE, .tg = 1, .level = 3),
		{ .size = 1 },
	};
	struct smmuinv_cache_entry good = ENTRY(.kind = SMMUINV_CACHED_CD);
	struct smmuinv_caches *caches = *state;
	struct smmuinv_caches *small;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(smmuinv_caches_insert(caches, &bad[i]),
				 -EINVAL);
	for (i = 0; test_only_byte(good.reserved, sizeof(good.reserved), i);
	     i++)
		assert_int_equal(smmuinv_caches_insert(caches, &good), -EINVAL);
	assert_int_equal(smmuinv_caches_insert(NULL, &good), -EINVAL);
	assert_int_equal(smmuinv_caches_new(0, &small), -EINVAL);
	assert_int_equal(smmuinv_caches_new(65537, &small), -EINVAL);
	assert_int_equal(smmuinv_caches_new(1, NULL), -EINVAL);
	assert_int_equal(smmuinv_caches_new(1, &small), 0);
	assert_int_equal(smmuinv_caches_insert(small, &good), 0);
	assert_int_equal(smmuinv_caches_insert(small, &good), -ENOSPC);
	assert_int_equal(smmuinv_caches_stale(NULL, small), -EINVAL);
	assert_int_equal(smmuinv_caches_stale(small, NULL), -EINVAL);
	assert_false(smmuinv_caches_has(small, 1));
	smmuinv_caches_free(small);
	smmuinv_caches_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_takes_the_tlb_and_nothing_else),
		TEST(asid_leaves_global_entries),
		TEST(va_takes_the_asids_and_the_global_entries),
		TEST(an_address_within_a_block_takes_the_block),
		TEST(a_range_takes_entries_of_its_granule_only),
		TEST(a_range_reaches_exactly_its_granules),
		TEST(a_range_stays_in_its_half),
		TEST(level_hints_and_leaf_choose_levels),
		TEST(cd_commands_take_descriptors_of_their_stream),
		TEST(atc_inv_takes_the_span_of_one_device_and_pasid),
		TEST(every_command_leaves_the_entries_of_other_kinds),
		TEST(only_the_eight_commands_of_a_viommu_remove_anything),
		TEST(stale_names_the_first_entry_that_should_have_gone),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("caches", tests, NULL, NULL);
}
