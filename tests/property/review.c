/* SPDX-License-Identifier: MIT */
/*
 * The points that reviewers raised against earlier ways of carrying a guest's
 * invalidations, one by one: docs/review-points.md lists them with these tests.
 *
 * A guest writes into its Command queue, and the test looks at what the
 * modelled hardware of the mock has executed. Other tests try each point in
 * full.
 */
#include "support.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "feature.h"
#include "vm.h"

#define LOG2SIZE 10

/* what the VMM heard of a command. */
struct told {
	uint32_t fate;
	uint32_t rule;
};

/* A guest with its queue, and the host's record. */
struct guest {
	struct vm_queue q; /* first */
	struct vm vm;
	struct smmuinv_features shows;
	struct told told[1 << LOG2SIZE];
	uint32_t told_count;
	uint32_t syncs;
	uint32_t commands; /* that the VMM's general callback got */
	uint64_t stes[SMMUINV_STE_BYTES / 8];
	struct smmuinv_ste ste; /* as the VMM has read it */
	const struct smmuinv_mock_record *executed;
	size_t executed_count;
};

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct guest *g = opaque;

	(void)sid;
	(void)leaf;
	g->ste = (struct smmuinv_ste){ .size = sizeof(g->ste) };
	return smmuinv_ste_read(&g->ste, g->stes, &g->shows, &everything);
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct guest *g = opaque;

	(void)sync;
	g->syncs++;
	return 0;
}

static int on_command(void *opaque, const struct smmuinv_command *command)
{
	struct guest *g = opaque;

	(void)command;
	g->commands++;
	return 0;
}

static void on_settled(void *opaque, uint32_t index,
		       const struct smmuinv_command *command, uint32_t fate,
		       uint32_t rule)
{
	struct guest *g = opaque;

	assert_memory_equal(command, &g->q.ring[index], sizeof(*command));
	g->told[g->told_count++] = (struct told){ fate, rule };
}

static void open_guest(struct guest *g, const struct smmuinv_features *host,
		       const struct smmuinv_features *shown, uint32_t plan,
		       bool emulates)
{
	const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = on_cfgi_ste,
		.sync = on_sync,
		.command = emulates ? on_command : NULL,
		.settled = on_settled,
	};
	const struct vm_options options = {
		.plan = plan,
		.guest = shown,
		.host = host,
	};
	const struct vm_queue_options queue = {
		.ops = &ops,
		.way = VM_SETTLED,
		.log2size = LOG2SIZE,
	};

	memset(g, 0, sizeof(*g));
	g->shows = *shown;
	vm_open_with(&g->vm, &options);
	vm_queue_open(&g->q, g->vm.vsmmu, &queue);
}

/* The guest sees all that the host has. */
static void open_usual(struct guest *g, uint32_t plan)
{
	open_guest(g, &everything, &everything, plan, false);
}

static void close_guest(struct guest *g)
{
	/* Whatever was asked for, no host queue has stopped. */
	assert_int_equal(smmuinv_mock_wedged(g->vm.mock), 0);
	vm_queue_close(&g->q);
	vm_close(&g->vm);
}

/* The doorbell, after which only this call's commands are in the record. */
static int consume(struct guest *g)
{
	int rc;

	g->told_count = 0;
	vm_forget(&g->vm);
	rc = vm_consume(&g->q);
	g->executed_count = smmuinv_mock_executed(g->vm.mock, &g->executed);
	return rc;
}

/* Everything is consumed, and nobody sees an error. */
static void consume_all(struct guest *g)
{
	assert_true(consume(g) >= 0);
	assert_int_equal(g->q.cons, g->q.prod);
	assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_NONE);
}

static void assert_executed(const struct guest *g, size_t index,
			    struct smmuinv_command command)
{
	assert_true(index < g->executed_count);
	assert_true(test_command_equal(&g->executed[index].command, &command));
}

static uint64_t get(const struct guest *g, size_t index,
		    enum smmuinv_field field)
{
	assert_true(index < g->executed_count);
	return smmuinv_command_get(&g->executed[index].command, field);
}

/* The host has executed exactly this. */
static void assert_only(const struct guest *g, struct smmuinv_command command)
{
	assert_int_equal(g->executed_count, 1);
	assert_executed(g, 0, command);
}

static struct smmuinv_command cd_of(uint32_t ssid, bool leaf)
{
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_cfgi_cd(&command, VM_VSID, ssid, leaf),
			 0);
	return command;
}

static const uint32_t plans[] = { SMMUINV_PLAN_MERGED,
				  SMMUINV_PLAN_AS_WRITTEN };

/* 4.3.3: the L1CD that leads to it may have changed, or not. */
static void leaf_of_a_cfgi_cd_is_the_guests_and_never_assumed(void **state)
{
	struct guest g;
	size_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		open_usual(&g, plans[p]);
		vm_write(&g.q, cd_of(1, false));
		vm_write(&g.q, cd_of(2, true));
		consume_all(&g);
		assert_int_equal(g.executed_count, 2);
		assert_executed(&g, 0, cd_of(1, false));
		assert_executed(&g, 1, cd_of(2, true));
		close_guest(&g);
	}
	/* Of both for one CD, that which reaches more is left. */
	open_usual(&g, SMMUINV_PLAN_MERGED);
	vm_write(&g.q, cd_of(1, true));
	vm_write(&g.q, cd_of(1, false));
	consume_all(&g);
	assert_only(&g, cd_of(1, false));
	close_guest(&g);
}

#define STE_V           UINT64_C(1)
#define STE_S1          (UINT64_C(5) << 1)
#define STE_S1FMT_SHIFT 4
#define STE_S1CDMAX(n)  ((uint64_t)(n) << 59)

/* A translating STE with 2^10 CDs, and the guest's CFGI_STE. */
static void writes_ste(struct guest *g, uint64_t word0, uint64_t word1)
{
	g->stes[0] = htole64(STE_V | STE_S1 | STE_S1CDMAX(10) | word0);
	g->stes[1] = htole64(word1);
	vm_write(&g->q, raw((uint64_t)VM_VSID << 32 | SMMUINV_CMD_CFGI_STE, 1));
	consume_all(g);
	assert_int_equal(g->ste.config, SMMUINV_STE_TRANSLATE);
}

/* 5.2: linear, two levels with leaves of 4K, or of 64K. */
static void s1fmt_is_the_guests_choice(void **state)
{
	struct guest g;
	uint64_t fmt;

	(void)state;
	open_usual(&g, SMMUINV_PLAN_MERGED);
	for (fmt = 0; fmt < 3; fmt++) {
		writes_ste(&g, fmt << STE_S1FMT_SHIFT, 0);
		assert_int_equal(g.ste.s1fmt, fmt);
		assert_int_equal(le64toh(g.ste.vste[0]) >> STE_S1FMT_SHIFT & 3,
				 fmt);
	}
	close_guest(&g);
}

/* 5.2: traffic without SubstreamID aborts, bypasses, or takes the first CD. */
static void s1dss_is_carried(void **state)
{
	struct guest g;
	uint64_t s1dss;

	(void)state;
	open_usual(&g, SMMUINV_PLAN_MERGED);
	for (s1dss = 0; s1dss < 3; s1dss++) {
		writes_ste(&g, 0, s1dss);
		assert_int_equal(g.ste.s1dss, s1dss);
		assert_int_equal(le64toh(g.ste.vste[1]) & 3, s1dss);
	}
	close_guest(&g);
}

/* 4.4.1.1: entries of any granule and level, so it stays as it is. */
static void tg_0_is_honoured(void **state)
{
	struct guest g;
	uint64_t page;

	(void)state;
	open_usual(&g, SMMUINV_PLAN_MERGED);
	for (page = 0; page < 4; page++)
		vm_write(&g.q, tlbi_va(0x40000000 + page * 0x1000));
	consume_all(&g);
	assert_int_equal(g.executed_count, 4);
	for (page = 0; page < 4; page++) {
		assert_executed(&g, page, tlbi_va(0x40000000 + page * 0x1000));
		assert_int_equal(get(&g, page, SMMUINV_FIELD_TG), 0);
	}
	close_guest(&g);
}

static struct smmuinv_command range_of(uint64_t tg, uint64_t ttl, uint64_t num)
{
	return raw(UINT64_C(5) << 48 | num << 12 | SMMUINV_CMD_TLBI_NH_VA,
		   ttl << 8 | tg << 10 | 1);
}

static void tg_and_ttl_are_direct_and_no_level_is_guessed(void **state)
{
	struct guest g;
	uint64_t tg, ttl;
	size_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		open_usual(&g, plans[p]);
		for (tg = 1; tg <= 3; tg++) {
			for (ttl = 0; ttl <= 3; ttl++) {
				vm_write(&g.q, range_of(tg, ttl, 3));
				consume_all(&g);
				assert_only(&g, range_of(tg, ttl, 3));
			}
		}
		close_guest(&g);
	}
}

/* Neighbours of 4K to 64K, in pages of 64K. */
static void writes_neighbours(struct guest *g)
{
	uint64_t page;

	for (page = 0; page < 4; page++)
		vm_write(&g->q, tlbi_va(0x40000000 + (page << 16)));
	consume_all(g);
}

/* 6.3.6: GRAN4K, GRAN16K and GRAN64K are IDR5[6:4]. */
static void a_granule_is_a_power_of_two_that_the_hardware_has(void **state)
{
	static const uint64_t sizes[] = { 4096, 16384, 65536 };
	struct smmuinv_features shown;
	struct guest g;
	uint32_t set, i;
	uint64_t bytes;

	(void)state;
	for (set = 1; set < 8; set++) {
		shown = everything_with(5, 0x86 | set << 4);
		for (bytes = 0; bytes <= 1 << 18; bytes++) {
			bool has = false;

			for (i = 0; i < ARRAY_SIZE(sizes); i++)
				has |= bytes == sizes[i] && (set >> i & 1);
			assert_int_equal(
				smmuinv__features_has_granule(&shown, bytes),
				has);
		}
		open_guest(&g, &everything, &shown, SMMUINV_PLAN_MERGED, false);
		writes_neighbours(&g);
		/* A granule of which there is only one is known. */
		if (set == 4) {
			assert_int_equal(g.executed_count, 1);
			assert_int_equal(get(&g, 0, SMMUINV_FIELD_TG),
					 SMMUINV_TG_64K);
		} else {
			assert_int_equal(g.executed_count, 4);
		}
		for (i = 0; set != 4 && i < 4; i++)
			assert_executed(
				&g, i,
				tlbi_va(0x40000000 + ((uint64_t)i << 16)));
		close_guest(&g);
	}
}

#define VSID_OTHER 0x20
#define VSID_BOGUS 0x666

static void an_atc_inv_goes_to_the_one_device_that_it_names(void **state)
{
	struct guest g;

	(void)state;
	open_usual(&g, SMMUINV_PLAN_MERGED);
	vm_plug(&g.vm, VSID_OTHER);
	vm_write(&g.q, atc_inv_all(VSID_OTHER));
	vm_write(&g.q, cmd_sync());
	consume_all(&g);
	assert_only(&g, atc_inv_all(VSID_OTHER));
	assert_int_equal(vm_calls_to(&g.vm, 0), 1);
	close_guest(&g);
}

static void an_atc_inv_for_a_bogus_streamid_goes_to_no_device(void **state)
{
	struct guest g;

	(void)state;
	open_usual(&g, SMMUINV_PLAN_MERGED);
	vm_write(&g.q, atc_inv_all(VSID_BOGUS));
	vm_write(&g.q, cmd_sync());
	consume_all(&g);
	assert_int_equal(g.q.progress.ioctls, 0);
	assert_int_equal(g.told[0].fate, SMMUINV_FATE_DROPPED);
	assert_int_equal(g.told[0].rule, SMMUINV_RULE_STREAM_UNKNOWN);
	assert_int_equal(g.syncs, 1);
	close_guest(&g);
}

/* A device that is gone keeps nobody's ATC_INV from being executed. */
static void one_devices_error_is_not_anothers(void **state)
{
	struct guest g;

	(void)state;
	open_usual(&g, SMMUINV_PLAN_MERGED);
	vm_plug(&g.vm, VSID_OTHER);
	vm_lose_vdevice(&g.vm, VM_VSID);
	vm_write(&g.q, atc_inv_all(VSID_OTHER));
	consume_all(&g);
	assert_only(&g, atc_inv_all(VSID_OTHER));
	/* The one that is gone is named, and only it stops. */
	vm_write(&g.q, atc_inv_all(VSID_OTHER));
	vm_write(&g.q, atc_inv_all(VM_VSID));
	assert_int_equal(consume(&g), -ENODEV);
	assert_int_equal(g.q.progress.fault.vsid, VM_VSID);
	assert_int_equal(g.q.progress.consumed, 1);
	assert_int_equal(g.q.progress.cerror, SMMUINV_CERROR_NONE);
	vm_unplug(&g.vm, VM_VSID);
	consume_all(&g);
	close_guest(&g);
}

/* One that does not answer stops its CMD_SYNC, after all others were asked. */
static void one_devices_silence_is_not_anothers(void **state)
{
	static const uint32_t hung[] = { VM_VSID, VSID_OTHER };
	struct guest g;
	size_t p, h;

	(void)state;
	for (p = 0; p < 2 * ARRAY_SIZE(plans); p++) {
		h = p % 2;
		open_usual(&g, plans[p / 2]);
		vm_plug(&g.vm, VSID_OTHER);
		vm_hang(&g.vm, hung[h], SMMUINV_MOCK_SILENT);
		vm_write(&g.q, atc_inv_all(VM_VSID));
		vm_write(&g.q, tlbi_va(0x1000));
		vm_write(&g.q, atc_inv_all(VSID_OTHER));
		vm_write(&g.q, cmd_sync());
		assert_int_equal(consume(&g), 3);
		assert_int_equal(g.q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
		assert_true(g.q.progress.fault.vsid == hung[h]);
		assert_int_equal(g.syncs, 0);
		assert_true(vm_stream(&g.vm, hung[h]).owes);
		assert_false(vm_stream(&g.vm, hung[!h]).owes);
		assert_true(g.executed_count >= 2);
		vm_hang(&g.vm, hung[h], SMMUINV_MOCK_ANSWERS);
		consume_all(&g);
		assert_int_equal(g.syncs, 1);
		close_guest(&g);
	}
}

static void a_vsid_is_checked_against_the_devices(void **state)
{
	struct guest g;

	(void)state;
	open_usual(&g, SMMUINV_PLAN_MERGED);
	vm_write(&g.q, cfgi_cd(VSID_OTHER));
	consume_all(&g);
	assert_int_equal(g.q.progress.ioctls, 0);
	assert_int_equal(g.told[0].rule, SMMUINV_RULE_STREAM_UNKNOWN);
	vm_plug(&g.vm, VSID_OTHER);
	vm_write(&g.q, cfgi_cd(VSID_OTHER));
	consume_all(&g);
	assert_only(&g, cfgi_cd(VSID_OTHER));
	vm_unplug(&g.vm, VSID_OTHER);
	vm_write(&g.q, cfgi_cd(VSID_OTHER));
	consume_all(&g);
	assert_int_equal(g.q.progress.ioctls, 0);
	close_guest(&g);
}

/* Without any bit that could be a VMID: the kernel puts the guest's there. */
static void nsnh_all_is_accepted_and_narrowed_to_the_guest(void **state)
{
	const uint64_t vmid = UINT64_C(0x1234) << 32;
	struct smmuinv_command bare = raw(SMMUINV_CMD_TLBI_NSNH_ALL, 0);
	struct guest g;
	size_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		open_usual(&g, plans[p]);
		vm_write(&g.q, raw(SMMUINV_CMD_TLBI_NSNH_ALL | vmid, 0xfff000));
		vm_write(&g.q, cmd_sync());
		consume_all(&g);
		assert_only(&g, bare);
		assert_int_equal(g.syncs, 1);
		close_guest(&g);
	}
}

static void pri_is_not_offered(void **state)
{
	const struct smmuinv_offer offer = { .size = sizeof(offer) };
	struct smmuinv_features host = everything;
	struct smmuinv_features shown;
	struct guest g;

	(void)state;
	host.idr[0] |= 1u << 16; /* PRI */
	assert_int_equal(smmuinv_features_offer(&shown, &host, &offer, NULL),
			 0);
	assert_int_equal(smmuinv_features_get(&shown, SMMUINV_FEATURE_PRI), 0);
	open_guest(&g, &host, &shown, SMMUINV_PLAN_MERGED, true);
	vm_write(&g.q, raw((uint64_t)VM_VSID << 32 | SMMUINV_CMD_PRI_RESP, 0));
	assert_int_equal(consume(&g), 0);
	assert_int_equal(g.q.progress.cerror, SMMUINV_CERROR_ILL);
	assert_int_equal(g.commands, 0);
	close_guest(&g);
}

/* What became of a command, as the guest and the VMM see it. */
static void assert_not_silent(const struct guest *g, uint8_t opcode)
{
	struct told told = g->told[0];

	assert_int_equal(g->told_count, 1);
	if (g->q.progress.cerror) {
		assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_ILL);
		assert_int_equal(told.fate, SMMUINV_FATE_ILLEGAL);
		assert_int_equal(told.rule, g->q.progress.fault.rule);
		assert_int_not_equal(told.rule, SMMUINV_RULE_NONE);
		return;
	}
	if (told.fate == SMMUINV_FATE_DROPPED) {
		assert_true(opcode == SMMUINV_CMD_PREFETCH_CONFIG ||
			    opcode == SMMUINV_CMD_PREFETCH_ADDR);
		assert_int_equal(told.rule, SMMUINV_RULE_PREFETCH);
		return;
	}
	assert_int_equal(told.fate == SMMUINV_FATE_FORWARDED,
			 smmuinv_opcode_is_forwarded(opcode));
	assert_int_equal(g->executed_count != 0,
			 smmuinv_opcode_is_forwarded(opcode));
	assert_true(told.fate == SMMUINV_FATE_FORWARDED ||
		    g->q.progress.vmm == 1);
}

/* Each opcode there is, of a VMM that emulates nothing and of one that does. */
static void an_unsupported_opcode_is_an_error_and_never_silent(void **state)
{
	struct guest g;
	unsigned int opcode;
	unsigned int emulates;

	(void)state;
	for (emulates = 0; emulates < 2; emulates++) {
		for (opcode = 0; opcode < 256; opcode++) {
			const uint64_t sid = (uint64_t)VSID_BOGUS << 32;
			bool own = smmuinv_opcode_is_forwarded((uint8_t)opcode);

			open_guest(&g, &everything, &everything,
				   SMMUINV_PLAN_MERGED, emulates);
			vm_write(&g.q,
				 raw((own ? (uint64_t)VM_VSID << 32 : sid) |
					     opcode,
				     0));
			assert_true(consume(&g) >= 0);
			assert_not_silent(&g, (uint8_t)opcode);
			close_guest(&g);
		}
	}
}

/* It is what the kernel takes: these eight and no others. */
static void the_supported_opcodes_can_be_asked_for(void **state)
{
	struct smmuinv_command command;
	unsigned int supported = 0;
	unsigned int opcode;
	struct guest g;

	(void)state;
	open_usual(&g, SMMUINV_PLAN_MERGED);
	for (opcode = 0; opcode < 256; opcode++) {
		uint32_t count = 1;
		bool own = smmuinv_opcode_is_forwarded((uint8_t)opcode);

		command = raw((uint64_t)VM_VSID << 32 | opcode, 0);
		if (opcode >= SMMUINV_CMD_TLBI_NH_ALL &&
		    opcode <= SMMUINV_CMD_TLBI_NSNH_ALL)
			command = raw(opcode, 0);
		assert_int_equal(vm_pass(&g.vm, 0, &command, &count),
				 own ? 0 : -EIO);
		supported += own;
	}
	assert_int_equal(supported, 8);
	close_guest(&g);
}

/* With 4K as the only granule a single page's is certain. */
static struct smmuinv_features only_4k(bool ril)
{
	struct smmuinv_features features = everything;

	features.idr[5] &= ~(3u << 5);
	if (!ril)
		features.idr[3] = 0;
	return features;
}

#define PAGES 512

/* Single pages become a range, and neither guest nor VMM can tell. */
static void pages_become_ranges_only_inside_the_library(void **state)
{
	const struct smmuinv_features features = only_4k(true);
	struct guest g;
	uint32_t i;

	(void)state;
	open_guest(&g, &features, &features, SMMUINV_PLAN_MERGED, false);
	for (i = 0; i < PAGES; i++)
		vm_write(&g.q, tlbi_va(0x40000000 + (uint64_t)i * 0x1000));
	consume_all(&g);
	assert_int_equal(g.executed_count, 1);
	assert_int_equal(get(&g, 0, SMMUINV_FIELD_TG), SMMUINV_TG_4K);
	assert_int_equal((get(&g, 0, SMMUINV_FIELD_NUM) + 1)
				 << get(&g, 0, SMMUINV_FIELD_SCALE),
			 PAGES);
	assert_int_equal(g.q.progress.consumed, PAGES);
	assert_int_equal(g.q.progress.forwarded, PAGES);
	assert_int_equal(g.told_count, PAGES);
	for (i = 0; i < PAGES; i++)
		assert_int_equal(g.told[i].fate, SMMUINV_FATE_FORWARDED);
	close_guest(&g);
}

/* A guest that came from a host with ranges: each becomes its pages. */
static void a_guest_with_ranges_is_carried_by_a_host_without(void **state)
{
	const struct smmuinv_features guest = only_4k(true);
	const struct smmuinv_features host = only_4k(false);
	struct guest g;
	uint32_t i;
	size_t p;

	(void)state;
	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		open_guest(&g, &host, &guest, plans[p], false);
		vm_write(&g.q, range_of(SMMUINV_TG_4K, 0, 15));
		consume_all(&g);
		assert_int_equal(g.executed_count, 16);
		for (i = 0; i < 16; i++)
			assert_executed(
				&g, i,
				raw(UINT64_C(5) << 48 | SMMUINV_CMD_TLBI_NH_VA,
				    i << 12 | 1));
		assert_int_equal(g.q.progress.consumed, 1);
		assert_int_equal(g.told_count, 1);
		close_guest(&g);
	}
}

/* The fields of ranges are RES0 for it: one address, on whatever host. */
static void a_guest_without_ranges_has_none_on_a_host_with_them(void **state)
{
	const struct smmuinv_features guest = only_4k(false);
	struct guest g;

	(void)state;
	open_guest(&g, &everything, &guest, SMMUINV_PLAN_MERGED, false);
	vm_write(&g.q, range_of(SMMUINV_TG_4K, 3, 15));
	consume_all(&g);
	assert_only(&g, raw(UINT64_C(5) << 48 | SMMUINV_CMD_TLBI_NH_VA, 1));
	close_guest(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			leaf_of_a_cfgi_cd_is_the_guests_and_never_assumed),
		cmocka_unit_test(s1fmt_is_the_guests_choice),
		cmocka_unit_test(s1dss_is_carried),
		cmocka_unit_test(tg_0_is_honoured),
		cmocka_unit_test(tg_and_ttl_are_direct_and_no_level_is_guessed),
		cmocka_unit_test(
			a_granule_is_a_power_of_two_that_the_hardware_has),
		cmocka_unit_test(
			an_atc_inv_goes_to_the_one_device_that_it_names),
		cmocka_unit_test(
			an_atc_inv_for_a_bogus_streamid_goes_to_no_device),
		cmocka_unit_test(one_devices_error_is_not_anothers),
		cmocka_unit_test(one_devices_silence_is_not_anothers),
		cmocka_unit_test(a_vsid_is_checked_against_the_devices),
		cmocka_unit_test(
			nsnh_all_is_accepted_and_narrowed_to_the_guest),
		cmocka_unit_test(pri_is_not_offered),
		cmocka_unit_test(
			an_unsupported_opcode_is_an_error_and_never_silent),
		cmocka_unit_test(the_supported_opcodes_can_be_asked_for),
		cmocka_unit_test(pages_become_ranges_only_inside_the_library),
		cmocka_unit_test(
			a_guest_with_ranges_is_carried_by_a_host_without),
		cmocka_unit_test(
			a_guest_without_ranges_has_none_on_a_host_with_them),
	};

	return cmocka_run_group_tests_name("review", tests, NULL, NULL);
}
