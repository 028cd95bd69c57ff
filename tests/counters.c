/* SPDX-License-Identifier: MIT */
/*
 * Every counter by a case that is made for it; and over random queues the sums
 * that must hold, whichever way the queue is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "support.h"
#include "vmm.h"

enum { LOG2SIZE = 6, RING = 1 << LOG2SIZE };

/* 4-bit SubstreamIDs, so that some are out of range. */
static struct smmuinv_features few_ssids(void)
{
	struct smmuinv_features features = everything;

	features.idr[1] = (features.idr[1] & ~(0x1fu << 6)) | 4u << 6;
	return features;
}

struct guest {
	struct vmm_queue q; /* first */
	struct fixture f;
	struct smmuinv_batch *batch;
	/* Summed over all calls. */
	uint64_t consumed;
	uint64_t forwarded;
	uint64_t dropped;
	uint64_t vmm;
	uint64_t ioctls;
	uint64_t host_commands;
	/* What the host was really asked. */
	uint64_t calls;
	uint64_t asked;
};

static int on_command(void *opaque, const struct smmuinv_command *command)
{
	(void)opaque;
	(void)command;
	return 0;
}

static void on_seen(void *opaque, uint32_t index,
		    const struct smmuinv_command *command,
		    enum smmuinv_fate fate, enum smmuinv_rule rule)
{
	(void)opaque;
	(void)index;
	(void)command;
	(void)fate;
	(void)rule;
}

static const struct smmuinv_queue_ops all_ops = {
	.size = sizeof(all_ops),
	.read = vmm_read,
	.command = on_command,
	.seen = on_seen,
};

static void watch(struct fixture *f, const struct smmuinv_command *commands,
		  uint32_t count)
{
	struct guest *g = f->watcher;

	(void)commands;
	g->calls++;
	g->asked += count;
}

static struct smmuinv_vsmmu_params plain(enum smmuinv_plan plan)
{
	return (struct smmuinv_vsmmu_params){
		.size = sizeof(struct smmuinv_vsmmu_params),
		.guest = few_ssids(),
		.host = few_ssids(),
		.plan = plan,
	};
}

static void guest_open_with(struct guest *g,
			    const struct smmuinv_vsmmu_params *like,
			    const struct smmuinv_queue_ops *ops, enum way way,
			    uint32_t window)
{
	memset(g, 0, sizeof(*g));
	fixture_open_like(&g->f, like, NULL);
	g->f.watch = watch;
	g->f.watcher = g;
	assert_int_equal(smmuinv_batch_new(g->f.vsmmu, RING, &g->batch), 0);
	vmm_queue_open(&g->q, g->f.vsmmu, ops, way, LOG2SIZE, window);
}

static void guest_open(struct guest *g, const struct smmuinv_vsmmu_params *like,
		       enum way way, uint32_t window)
{
	guest_open_with(g, like, &all_ops, way, window);
}

static void guest_close(struct guest *g)
{
	vmm_queue_close(&g->q);
	smmuinv_batch_free(g->batch);
	fixture_close(&g->f);
}

static int consume(struct guest *g)
{
	int rc = vmm_consume(&g->q);

	g->consumed += g->q.progress.consumed;
	g->forwarded += g->q.progress.forwarded;
	g->dropped += g->q.progress.dropped;
	g->vmm += g->q.progress.vmm;
	g->ioctls += g->q.progress.ioctls;
	g->host_commands += g->q.progress.host_commands;
	return rc;
}

/* Commands that end in each of the ways there are. */
static struct smmuinv_command prefetch(void)
{
	return raw(SMMUINV_CMD_PREFETCH_CONFIG, 0);
}

static struct smmuinv_command ssid_out_of_range(void)
{
	struct smmuinv_command command;

	assert_int_equal(
		smmuinv_command_cfgi_cd(&command, FIXTURE_VSID, 16, true), 0);
	return command;
}

static struct smmuinv_command cs_reserved(void)
{
	return raw(SMMUINV_CMD_SYNC | 3u << 12, 0);
}

/* Illegal, dropped or forwarded, with what is counted besides. */
static const struct sort {
	enum { FORWARDED, DROPPED, ILLEGAL, VMM } fate;
	enum smmuinv_rule rule;
	unsigned int place; /* in by_opcode */
	uint64_t dw0;
	uint64_t dw1;
} sorts[] = {
	{ FORWARDED, SMMUINV_RULE_NONE, 0x12, 0x12, 0x1001 },
	{ FORWARDED, SMMUINV_RULE_NONE, 0x13, 0x13, 0x1001 },
	{ FORWARDED, SMMUINV_RULE_NONE, 0x11, 0x11, 0 },
	{ FORWARDED, SMMUINV_RULE_NONE, 0x10, 0x10, 0 },
	{ FORWARDED, SMMUINV_RULE_NONE, 0x05, 0x1000000005, 1 },
	{ FORWARDED, SMMUINV_RULE_NONE, 0x06, 0x1000000006, 0 },
	{ FORWARDED, SMMUINV_RULE_NONE, 0x40, 0x1000000040, 0 },
	/* As the guest wrote it, not as what it is sent as. */
	{ FORWARDED, SMMUINV_RULE_NONE, 0x30, 0x30, 0 },
	{ DROPPED, SMMUINV_RULE_PREFETCH, 0x01, 0x01, 0 },
	{ DROPPED, SMMUINV_RULE_PREFETCH, 0x02, 0x02, 0 },
	{ DROPPED, SMMUINV_RULE_SSID_OUT_OF_RANGE, 0x05, 0x1000010805, 1 },
	{ DROPPED, SMMUINV_RULE_STREAM_UNKNOWN, 0x06, 0x6600000006, 0 },
	{ DROPPED, SMMUINV_RULE_STREAM_UNKNOWN, 0x40, 0x6600000040, 0 },
	{ DROPPED, SMMUINV_RULE_NOT_TRANSLATING, 0x06, 0x1100000006, 0 },
	{ DROPPED, SMMUINV_RULE_ATS_OFF, 0x40, 0x1100000040, 0 },
	/* Reserved opcodes: from 128 on they share a place. */
	{ ILLEGAL, SMMUINV_RULE_RESERVED_OPCODE, 0, 0x00, 0 },
	{ ILLEGAL, SMMUINV_RULE_RESERVED_OPCODE, 0x7f, 0x7f, 0 },
	{ ILLEGAL, SMMUINV_RULE_RESERVED_OPCODE, 0, 0x80, 0 },
	{ ILLEGAL, SMMUINV_RULE_RESERVED_OPCODE, 0, 0xff, 0 },
	{ ILLEGAL, SMMUINV_RULE_SSEC, 0x06, 0x1000000406, 0 },
	{ ILLEGAL, SMMUINV_RULE_ATC_SIZE, 0x40, 0x1000000040, 53 },
	{ ILLEGAL, SMMUINV_RULE_CS_RESERVED, 0x46, 0x3046, 0 },
	{ ILLEGAL, SMMUINV_RULE_NO_HYP, 0x21, 0x21, 0 },
	{ VMM, SMMUINV_RULE_NONE, 0x46, 0x46, 0 },
	{ VMM, SMMUINV_RULE_NONE, 0x03, 0x7700000003, 0 },
	{ VMM, SMMUINV_RULE_NONE, 0x04, 0x7700000004, 0 },
};

/* Exactly the one command @s, and @host commands for it in one call. */
static void assert_counted(const struct smmuinv_counters *before,
			   const struct smmuinv_counters *now,
			   const struct sort *s, uint64_t vmm)
{
	uint64_t sent = s->fate == FORWARDED;
	unsigned int i;

	assert_int_equal(now->read - before->read, 1);
	assert_int_equal(now->forwarded - before->forwarded, sent);
	assert_int_equal(now->dropped - before->dropped, s->fate == DROPPED);
	assert_int_equal(now->illegal - before->illegal, s->fate == ILLEGAL);
	assert_int_equal(now->vmm - before->vmm, vmm);
	assert_int_equal(now->merged - before->merged, 0);
	assert_int_equal(now->host_commands - before->host_commands, sent);
	assert_int_equal(now->ioctls - before->ioctls, sent);
	assert_int_equal(now->retries - before->retries, 0);
	assert_int_equal(now->repeats - before->repeats, 0);
	for (i = 0; i < SMMUINV_COUNTED_OPCODES; i++)
		assert_int_equal(now->by_opcode[i] - before->by_opcode[i],
				 i == s->place);
	for (i = 0; i < SMMUINV_COUNTED_RULES; i++)
		assert_int_equal(now->by_rule[i] - before->by_rule[i],
				 s->rule != SMMUINV_RULE_NONE && i == s->rule);
}

/* Another stream, which aborts. */
static void plug_aborting(struct guest *g)
{
	fixture_plug(&g->f, 0x11);
	assert_int_equal(smmuinv_streams_set(g->f.streams, 0x11, false, false),
			 0);
}

static void a_queue_counts_each_sort_of_command_once(void **state)
{
	size_t w, i, plan;

	(void)state;
	for (w = 0; w < 2 * WAYS; w++) {
		struct smmuinv_vsmmu_params like;
		struct guest g;

		plan = w % 2;
		like = plain((enum smmuinv_plan)plan);
		guest_open(&g, &like, (enum way)(w / 2), 0);
		plug_aborting(&g);
		for (i = 0; i < ARRAY_SIZE(sorts); i++) {
			struct smmuinv_counters before = fixture_counters(&g.f);
			struct smmuinv_counters now;

			vmm_write(&g.q, raw(sorts[i].dw0, sorts[i].dw1));
			assert_int_equal(consume(&g),
					 sorts[i].fate == ILLEGAL ? 0 : 1);
			g.q.cons = g.q.prod;
			now = fixture_counters(&g.f);
			assert_counted(&before, &now, &sorts[i],
				       sorts[i].fate == VMM);
		}
		guest_close(&g);
	}
}

/* What the VMM has to do itself is read, and no callback of the library's. */
static void a_batch_counts_each_sort_of_command_once(void **state)
{
	size_t way, i;

	(void)state;
	for (way = 0; way < 4; way++) {
		struct smmuinv_vsmmu_params like =
			plain((enum smmuinv_plan)(way % 2));
		struct guest g;

		guest_open(&g, &like, QUICK, 0);
		plug_aborting(&g);
		for (i = 0; i < ARRAY_SIZE(sorts); i++) {
			const struct smmuinv_command command =
				raw(sorts[i].dw0, sorts[i].dw1);
			struct smmuinv_counters before = fixture_counters(&g.f);
			struct smmuinv_counters now;

			if (way < 2) {
				smmuinv_batch_add(g.batch, &command, NULL);
				assert_int_equal(
					smmuinv_batch_flush(g.batch, NULL), 0);
			} else {
				assert_int_equal(smmuinv_batch_submit(g.batch,
								      &command,
								      1, NULL),
						 sorts[i].fate >= ILLEGAL);
			}
			now = fixture_counters(&g.f);
			assert_counted(&before, &now, &sorts[i], 0);
		}
		guest_close(&g);
	}
}

/* Together in one window, each has its own reason. */
static void a_window_of_all_sorts_counts_each_by_its_own_rule(void **state)
{
	size_t way, i, k;

	(void)state;
	for (way = 0; way < 2 * WAYS; way++) {
		struct smmuinv_vsmmu_params like =
			plain((enum smmuinv_plan)(way % 2));
		uint64_t by_rule[SMMUINV_COUNTED_RULES] = { 0 };
		uint64_t fates[2] = { 0, 0 };
		struct smmuinv_counters now;
		struct guest g;

		guest_open(&g, &like, (enum way)(way / 2), 0);
		plug_aborting(&g);
		for (k = 0; k < 2; k++) {
			for (i = 0; i < ARRAY_SIZE(sorts); i++) {
				const struct sort *s = &sorts[i];

				if (s->fate > DROPPED)
					continue;
				vmm_write(&g.q, raw(s->dw0, s->dw1));
				fates[s->fate]++;
				if (s->fate == DROPPED)
					by_rule[s->rule]++;
			}
		}
		assert_int_equal(consume(&g), fates[0] + fates[1]);
		now = fixture_counters(&g.f);
		assert_int_equal(now.forwarded, fates[0]);
		assert_int_equal(now.dropped, fates[1]);
		assert_memory_equal(now.by_rule, by_rule, sizeof(by_rule));
		for (i = 0; i < ARRAY_SIZE(sorts); i++) {
			const struct smmuinv_command command =
				raw(sorts[i].dw0, sorts[i].dw1);

			if (sorts[i].fate == DROPPED)
				assert_int_equal(times_executed(&g.f, &command),
						 0);
		}
		guest_close(&g);
	}
}

static void a_strict_queues_syncs_are_counted_once(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	size_t w;

	(void)state;
	like.check_flags = SMMUINV_CHECK_STRICT;
	for (w = 0; w < WAYS; w++) {
		struct smmuinv_counters now;
		struct guest g;

		guest_open(&g, &like, (enum way)w, 0);
		vmm_write(&g.q, cmd_sync());
		vmm_write(&g.q, cmd_sync());
		assert_int_equal(consume(&g), 2);
		now = fixture_counters(&g.f);
		assert_int_equal(now.read, 2);
		assert_int_equal(now.vmm, 2);
		assert_int_equal(now.by_opcode[SMMUINV_CMD_SYNC], 2);
		guest_close(&g);
	}
}

static void what_could_not_be_read_is_not_counted_as_read(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open(&g, &like, QUICK_BY_CALLBACK, 0);
	g.q.unreadable = 1;
	vmm_write(&g.q, tlbi_va(0x1000));
	vmm_write(&g.q, tlbi_va(0x2000));
	assert_int_equal(consume(&g), 1);
	assert_int_equal(g.q.progress.cerror, SMMUINV_CERROR_ABT);
	now = fixture_counters(&g.f);
	assert_int_equal(now.read, 1);
	assert_int_equal(now.illegal, 0);
	guest_close(&g);
}

/* STALL_MODEL 0 */
static const struct smmuinv_features may_stall = {
	{ 0x0011721b, 0x00000520, 0, 0x00008480, 0, 0x000000f6 }
};

static void what_no_callback_takes_is_illegal_by_its_rule(void **state)
{
	static const struct smmuinv_queue_ops no_ops = {
		.size = sizeof(no_ops),
	};
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	like.guest = like.host = may_stall;
	guest_open_with(&g, &like, &no_ops, QUICK, 0);
	vmm_write(&g.q, raw(SMMUINV_CMD_RESUME, 0));
	assert_int_equal(consume(&g), 0);
	now = fixture_counters(&g.f);
	assert_int_equal(now.read, 1);
	assert_int_equal(now.illegal, 1);
	assert_int_equal(now.by_rule[SMMUINV_RULE_NOT_OFFERED], 1);
	assert_int_equal(now.vmm, 0);
	guest_close(&g);
}

/* Illegal is where it stopped: not when something before it failed. */
static void an_illegal_command_counts_when_it_is_what_stopped(void **state)
{
	const struct smmuinv_command commands[] = { tlbi_va(0), cs_reserved() };
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	size_t way;

	(void)state;
	for (way = 0; way < 1 + WAYS; way++) {
		struct guest g;
		int rc;

		guest_open(&g, &like, way ? (enum way)(way - 1) : QUICK, 0);
		vmm_write(&g.q, commands[0]);
		vmm_write(&g.q, commands[1]);
		inject(&g.f, -EFAULT, 0, 0);
		rc = way ? consume(&g) :
			   smmuinv_batch_submit(g.batch, commands, 2, NULL);
		assert_int_equal(rc, -EFAULT);
		assert_int_equal(fixture_counters(&g.f).illegal, 0);
		rc = way ? consume(&g) :
			   smmuinv_batch_submit(g.batch, commands, 2, NULL);
		assert_int_equal(rc, 1);
		assert_int_equal(fixture_counters(&g.f).illegal, 1);
		assert_int_equal(fixture_counters(&g.f)
					 .by_rule[SMMUINV_RULE_CS_RESERVED],
				 1);
		/* Both were read twice. */
		assert_int_equal(fixture_counters(&g.f).read, 4);
		guest_close(&g);
	}
}

/* Four pages and one of them again are one range. */
static void merged_is_what_needed_no_command_of_its_own(void **state)
{
	const uint64_t pages[] = { 1, 2, 3, 4, 2 };
	struct smmuinv_counters now;
	unsigned int plan, i;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct smmuinv_vsmmu_params like =
			plain((enum smmuinv_plan)plan);
		bool fewest = plan == SMMUINV_PLAN_FEWEST;
		struct guest g;

		like.guest.idr[5] &= ~(6u << 4); /* 4K only */
		guest_open(&g, &like, QUICK, 0);
		for (i = 0; i < ARRAY_SIZE(pages); i++)
			vmm_write(&g.q, tlbi_va(pages[i] << 12));
		/* A failure merges nothing. */
		inject(&g.f, -EFAULT, 0, 0);
		assert_int_equal(consume(&g), -EFAULT);
		assert_int_equal(fixture_counters(&g.f).merged, 0);
		assert_int_equal(consume(&g), 5);
		now = fixture_counters(&g.f);
		assert_int_equal(now.forwarded, 5);
		assert_int_equal(now.merged, fewest ? 4 : 0);
		assert_int_equal(now.host_commands, fewest ? 2 : 10);
		assert_int_equal(now.ioctls, 2);
		/* The VMM's next try is none of the library's. */
		assert_int_equal(now.retries, 0);
		assert_int_equal(now.read, 10);
		guest_close(&g);
	}
}

/* A refused plan is executed as written: nothing was merged in the end. */
static void a_refused_plan_has_merged_nothing(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	const struct smmuinv_command page = tlbi_va(0x1000);
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open(&g, &like, QUICK, 0);
	vmm_write(&g.q, page);
	vmm_write(&g.q, page);
	inject(&g.f, -EIO, 0, 0);
	assert_int_equal(consume(&g), 2);
	now = fixture_counters(&g.f);
	assert_int_equal(now.forwarded, 2);
	assert_int_equal(now.merged, 0);
	assert_int_equal(now.host_commands, 1 + 2);
	assert_int_equal(now.ioctls, 2);
	assert_int_equal(now.retries, 1);
	guest_close(&g);
}

/* Eight commands, then twice four: two calls after one that failed. */
static void retries_are_calls_after_one_that_failed(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_AS_WRITTEN);
	struct smmuinv_counters now;
	struct guest g;
	uint64_t i;

	(void)state;
	guest_open(&g, &like, QUICK, 0);
	for (i = 0; i < 8; i++)
		vmm_write(&g.q, tlbi_va(i << 12));
	inject(&g.f, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
	assert_int_equal(consume(&g), 8);
	now = fixture_counters(&g.f);
	assert_int_equal(now.forwarded, 8);
	assert_int_equal(now.ioctls, 3);
	assert_int_equal(now.retries, 2);
	assert_int_equal(now.host_commands, 16);
	guest_close(&g);
}

/* The VMM consumes again: no retry of the library's, but a call that failed. */
static void calls_that_failed_are_counted_whoever_tries_again(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open(&g, &like, QUICK, 0);
	vmm_write(&g.q, tlbi_va(0));
	inject(&g.f, -ETIMEDOUT, 0, 0);
	assert_int_equal(consume(&g), -ETIMEDOUT);
	assert_int_equal(g.q.progress.fault_viommu, g.f.viommu);
	assert_int_equal(consume(&g), 1);
	assert_int_equal(g.q.progress.fault_viommu, 0);
	now = fixture_counters(&g.f);
	assert_int_equal(now.ioctls, 2);
	assert_int_equal(now.failed, 1);
	assert_int_equal(now.retries, 0);
	guest_close(&g);
}

/* Each is one that the guest sees in CMDQ_CONS.ERR. */
static void stops_are_counted_by_their_reason(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	const struct smmuinv_command atc = atc_inv_all(FIXTURE_VSID);
	struct smmuinv_counters now;
	struct guest g;
	uint32_t tries;

	(void)state;
	guest_open(&g, &like, QUICK, 0);
	vmm_write(&g.q, atc);
	vmm_write(&g.q, cmd_sync());
	for (tries = 0; tries < 3; tries++) {
		inject(&g.f, -ETIMEDOUT, 0, 0);
		assert_int_equal(consume(&g), tries ? 0 : 1);
	}
	assert_int_equal(consume(&g), 1);
	vmm_write(&g.q, raw(0xff, 0));
	for (tries = 0; tries < 2; tries++)
		assert_int_equal(consume(&g), 0);
	now = fixture_counters(&g.f);
	assert_int_equal(now.stops[SMMUINV_CERROR_NONE], 0);
	assert_int_equal(now.stops[SMMUINV_CERROR_ILL], 2);
	assert_int_equal(now.stops[SMMUINV_CERROR_ABT], 0);
	assert_int_equal(now.stops[SMMUINV_CERROR_ATC_INV_SYNC], 3);
	assert_int_equal(now.failed, 3);
	guest_close(&g);
}

static void repeats_are_what_the_erratum_asked_for_again(void **state)
{
	unsigned int plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		struct smmuinv_vsmmu_params like =
			plain((enum smmuinv_plan)plan);
		struct smmuinv_counters now;
		struct guest g;

		like.repeat = SMMUINV_REPEAT_ALWAYS;
		guest_open(&g, &like, QUICK, 0);
		vmm_write(&g.q, atc_inv_all(FIXTURE_VSID));
		vmm_write(&g.q, tlbi_va(0x1000));
		vmm_write(&g.q, cfgi_cd(FIXTURE_VSID));
		assert_int_equal(consume(&g), 3);
		now = fixture_counters(&g.f);
		assert_int_equal(now.forwarded, 3);
		assert_int_equal(now.repeats, 2);
		assert_int_equal(now.host_commands, 5);
		assert_int_equal(now.ioctls, 2);
		assert_int_equal(now.retries, 0);
		guest_close(&g);
	}
}

static void no_viommu_is_a_reason_to_drop(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	struct smmuinv_counters now;
	struct guest g;

	(void)state;
	guest_open(&g, &like, QUICK, 0);
	assert_int_equal(smmuinv_streams_remove_all(g.f.streams), 0);
	assert_int_equal(smmuinv_vsmmu_remove_viommu(g.f.vsmmu, g.f.viommu), 0);
	vmm_write(&g.q, tlbi_va(0x1000));
	vmm_write(&g.q, cfgi_cd(FIXTURE_VSID));
	vmm_write(&g.q, prefetch());
	assert_int_equal(consume(&g), 3);
	now = fixture_counters(&g.f);
	assert_int_equal(now.dropped, 3);
	assert_int_equal(now.by_rule[SMMUINV_RULE_NO_VIOMMU], 2);
	assert_int_equal(now.by_rule[SMMUINV_RULE_PREFETCH], 1);
	assert_int_equal(now.ioctls, 0);
	guest_close(&g);
}

static struct smmuinv_command random_command(bool illegal)
{
	uint64_t vsid = FIXTURE_VSID + test_random_below(3);
	const struct sort *s;

	switch (test_random_below(8)) {
	case 0:
		return cmd_sync();
	case 1:
		return cfgi_cd((uint32_t)vsid);
	case 2:
		return atc_inv_all((uint32_t)vsid);
	case 3:
		return ssid_out_of_range();
	case 4:
		s = &sorts[test_random_below(ARRAY_SIZE(sorts))];
		return s->fate == ILLEGAL && !illegal ? prefetch() :
							raw(s->dw0, s->dw1);
	default:
		return tlbi_va(test_random_below(32) << 12);
	}
}

static uint64_t sum(const uint64_t *numbers, size_t n)
{
	uint64_t total = 0;

	while (n--)
		total += numbers[n];
	return total;
}

static void assert_sums(const struct guest *g, const struct smmuinv_counters *c)
{
	/* Whatever was read again, what was done was done once. */
	assert_int_equal(c->forwarded, g->forwarded);
	assert_int_equal(c->dropped, g->dropped);
	assert_int_equal(c->vmm, g->vmm);
	assert_int_equal(c->forwarded + c->dropped + c->vmm, g->consumed);
	assert_true(c->read >= g->consumed + c->illegal);
	assert_int_equal(sum(c->by_opcode, SMMUINV_COUNTED_OPCODES), c->read);
	assert_int_equal(sum(c->by_rule, SMMUINV_COUNTED_RULES),
			 c->dropped + c->illegal);
	assert_int_equal(c->ioctls, g->calls);
	assert_int_equal(c->ioctls, g->ioctls);
	assert_int_equal(c->host_commands, g->asked);
	assert_int_equal(c->host_commands, g->host_commands);
	assert_true(c->merged <= c->forwarded);
	assert_true(c->repeats <= c->host_commands);
	assert_true(c->retries <= c->ioctls);
}

/* What the streams count is part of what the virtual SMMU counts. */
static void assert_streams_are_part(struct guest *g,
				    const struct smmuinv_counters *c)
{
	struct smmuinv_stream_info a = fixture_stream(&g->f, FIXTURE_VSID);
	struct smmuinv_stream_info b = fixture_stream(&g->f, 0x11);

	assert_true(a.forwarded + b.forwarded <= c->forwarded);
	assert_int_equal(b.forwarded, 0);
	assert_int_equal(a.dropped, 0);
	assert_int_equal(b.dropped, c->by_rule[SMMUINV_RULE_NOT_TRANSLATING] +
					    c->by_rule[SMMUINV_RULE_ATS_OFF]);
}

/* Until all is consumed; an illegal one becomes a CMD_SYNC, as in Linux. */
static void consume_all(struct guest *g)
{
	uint32_t tries;

	for (tries = 0; g->q.cons != g->q.prod; tries++) {
		assert_true(tries < 1000);
		(void)consume(g);
		if (g->q.progress.cerror == SMMUINV_CERROR_ILL)
			g->q.ring[g->q.cons % RING] = cmd_sync();
	}
}

static void random_fault(struct guest *g)
{
	static const int errors[] = { -EIO, -ETIMEDOUT, -ENOMEM, -EFAULT };

	inject(&g->f, errors[test_random_below(ARRAY_SIZE(errors))], 0,
	       (uint32_t)test_random_below(4));
}

static void the_sums_hold_over_random_queues_and_faults(void **state)
{
	size_t queues = test_iterations(6000);
	struct guest g;
	size_t q;

	(void)state;
	for (q = 0; q < queues; q++) {
		struct smmuinv_vsmmu_params like =
			plain((enum smmuinv_plan)test_random_below(2));
		uint32_t n = 1 + (uint32_t)test_random_below(RING);
		bool faults = q % 2;

		like.repeat = test_chance(30) ? SMMUINV_REPEAT_ALWAYS :
						SMMUINV_REPEAT_NEVER;
		guest_open(&g, &like, (enum way)(q % WAYS),
			   2 + (uint32_t)test_random_below(40));
		plug_aborting(&g);
		while (n--)
			vmm_write(&g.q, random_command(true));
		if (faults)
			random_fault(&g);
		consume_all(&g);
		while (smmuinv_mock_faults_left(g.f.mock)) {
			vmm_write(&g.q, tlbi_va(0x1000));
			vmm_write(&g.q, cmd_sync());
			consume_all(&g);
		}
		/* What a time-out may have left behind the last CMD_SYNC. */
		vmm_write(&g.q, cmd_sync());
		consume_all(&g);
		{
			struct smmuinv_counters c = fixture_counters(&g.f);

			assert_sums(&g, &c);
			if (!faults)
				assert_int_equal(c.read,
						 c.forwarded + c.dropped +
							 c.vmm + c.illegal);
			assert_streams_are_part(&g, &c);
		}
		guest_close(&g);
	}
}

/* The same ring, read in each way, and through a batch. */
static void every_way_to_read_counts_the_same(void **state)
{
	size_t queues = test_iterations(3000);
	size_t q, w, i;

	(void)state;
	for (q = 0; q < queues; q++) {
		struct smmuinv_vsmmu_params like =
			plain((enum smmuinv_plan)test_random_below(2));
		uint32_t window = 2 + (uint32_t)test_random_below(40);
		uint32_t n = 1 + (uint32_t)test_random_below(RING);
		struct smmuinv_command ring[RING];
		struct smmuinv_counters first;

		for (i = 0; i < n; i++)
			ring[i] = random_command(true);
		for (w = 0; w < WAYS; w++) {
			struct smmuinv_counters c;
			struct guest g;

			guest_open(&g, &like, (enum way)w, window);
			plug_aborting(&g);
			for (i = 0; i < n; i++)
				vmm_write(&g.q, ring[i]);
			consume_all(&g);
			c = fixture_counters(&g.f);
			if (!w)
				first = c;
			assert_memory_equal(&c, &first, sizeof(c));
			guest_close(&g);
		}
	}
}

static void a_batch_counts_as_a_queue_does(void **state)
{
	size_t batches = test_iterations(3000);
	size_t q, i;

	(void)state;
	for (q = 0; q < batches; q++) {
		struct smmuinv_vsmmu_params like =
			plain((enum smmuinv_plan)test_random_below(2));
		uint32_t n = 1 + (uint32_t)test_random_below(RING);
		struct smmuinv_command commands[RING];
		struct smmuinv_counters by_queue, by_submit, by_add;
		struct guest g;

		for (i = 0; i < n;) {
			commands[i] = random_command(false);
			/* The VMM's are no batch's. */
			i += smmuinv_command_opcode(&commands[i]) !=
				     SMMUINV_CMD_SYNC &&
			     smmuinv_command_opcode(&commands[i]) !=
				     SMMUINV_CMD_CFGI_STE &&
			     smmuinv_command_opcode(&commands[i]) !=
				     SMMUINV_CMD_CFGI_STE_RANGE;
		}
		guest_open(&g, &like, QUICK, RING);
		plug_aborting(&g);
		for (i = 0; i < n; i++)
			vmm_write(&g.q, commands[i]);
		consume_all(&g);
		by_queue = fixture_counters(&g.f);
		guest_close(&g);

		guest_open(&g, &like, QUICK, RING);
		plug_aborting(&g);
		assert_int_equal(
			smmuinv_batch_submit(g.batch, commands, n, NULL), 0);
		by_submit = fixture_counters(&g.f);
		guest_close(&g);

		guest_open(&g, &like, QUICK, RING);
		plug_aborting(&g);
		for (i = 0; i < n; i++)
			assert_true(smmuinv_batch_add(g.batch, &commands[i],
						      NULL) >= 0);
		assert_int_equal(smmuinv_batch_flush(g.batch, NULL), 0);
		by_add = fixture_counters(&g.f);
		guest_close(&g);

		assert_memory_equal(&by_submit, &by_queue, sizeof(by_queue));
		assert_memory_equal(&by_add, &by_queue, sizeof(by_queue));
	}
}

static void two_queues_and_a_batch_share_the_counters(void **state)
{
	static const struct smmuinv_queue_ops quick_ops = {
		.size = sizeof(quick_ops),
		.command = on_command,
	};
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &quick_ops,
	};
	const struct smmuinv_command page = tlbi_va(0x1000);
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = &page,
		.prod = 1,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_queue *second;
	struct guest g;

	(void)state;
	guest_open(&g, &like, QUICK, 0);
	assert_int_equal(smmuinv_queue_new(g.f.vsmmu, &params, &second), 0);
	vmm_write(&g.q, page);
	assert_int_equal(consume(&g), 1);
	assert_int_equal(smmuinv_queue_consume(second, &ring, &progress), 1);
	assert_int_equal(smmuinv_batch_submit(g.batch, &page, 1, NULL), 0);
	assert_int_equal(fixture_counters(&g.f).forwarded, 3);
	assert_int_equal(fixture_counters(&g.f).read, 3);
	smmuinv_queue_free(second);
	guest_close(&g);
}

static void what_was_counted_stays_when_a_batch_goes(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	const struct smmuinv_command page = tlbi_va(0x1000);
	struct smmuinv_batch *batches[3];
	struct guest g;
	size_t freed, i;

	(void)state;
	for (freed = 0; freed < ARRAY_SIZE(batches); freed++) {
		guest_open(&g, &like, QUICK, 0);
		for (i = 0; i < ARRAY_SIZE(batches); i++) {
			assert_int_equal(
				smmuinv_batch_new(g.f.vsmmu, 1, &batches[i]),
				0);
			assert_int_equal(smmuinv_batch_submit(batches[i], &page,
							      1, NULL),
					 0);
		}
		smmuinv_batch_free(batches[freed]);
		batches[freed] = NULL;
		assert_int_equal(fixture_counters(&g.f).read, 3);
		for (i = 0; i < ARRAY_SIZE(batches); i++)
			smmuinv_batch_free(batches[i]);
		assert_int_equal(fixture_counters(&g.f).read, 3);
		guest_close(&g);
	}
}

static void bad_arguments_are_refused(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	struct smmuinv_counters counters = { .size = sizeof(counters) };
	struct guest g;

	(void)state;
	guest_open(&g, &like, QUICK, 0);
	assert_int_equal(smmuinv_vsmmu_counters(NULL, &counters), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_counters(g.f.vsmmu, NULL), -EINVAL);
	counters.size--;
	assert_int_equal(smmuinv_vsmmu_counters(g.f.vsmmu, &counters), -EINVAL);
	counters.size = 0;
	assert_int_equal(smmuinv_vsmmu_counters(g.f.vsmmu, &counters), -EINVAL);
	guest_close(&g);
}

/* A newer VMM's has more at its end, which is zero. */
static void a_larger_structure_is_filled_in_to_its_end(void **state)
{
	struct smmuinv_vsmmu_params like = plain(SMMUINV_PLAN_FEWEST);
	struct {
		struct smmuinv_counters counters;
		uint64_t more;
	} larger = { { .size = sizeof(larger) }, 7 };
	struct guest g;

	(void)state;
	guest_open(&g, &like, QUICK, 0);
	vmm_write(&g.q, cmd_sync());
	assert_int_equal(consume(&g), 1);
	assert_int_equal(smmuinv_vsmmu_counters(g.f.vsmmu, &larger.counters),
			 0);
	assert_int_equal(larger.counters.vmm, 1);
	assert_int_equal(larger.counters.size, sizeof(larger));
	assert_int_equal(larger.more, 0);
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_counts_each_sort_of_command_once),
		cmocka_unit_test(a_batch_counts_each_sort_of_command_once),
		cmocka_unit_test(
			a_window_of_all_sorts_counts_each_by_its_own_rule),
		cmocka_unit_test(a_strict_queues_syncs_are_counted_once),
		cmocka_unit_test(what_could_not_be_read_is_not_counted_as_read),
		cmocka_unit_test(what_no_callback_takes_is_illegal_by_its_rule),
		cmocka_unit_test(
			an_illegal_command_counts_when_it_is_what_stopped),
		cmocka_unit_test(merged_is_what_needed_no_command_of_its_own),
		cmocka_unit_test(a_refused_plan_has_merged_nothing),
		cmocka_unit_test(retries_are_calls_after_one_that_failed),
		cmocka_unit_test(
			calls_that_failed_are_counted_whoever_tries_again),
		cmocka_unit_test(stops_are_counted_by_their_reason),
		cmocka_unit_test(repeats_are_what_the_erratum_asked_for_again),
		cmocka_unit_test(no_viommu_is_a_reason_to_drop),
		cmocka_unit_test(the_sums_hold_over_random_queues_and_faults),
		cmocka_unit_test(every_way_to_read_counts_the_same),
		cmocka_unit_test(a_batch_counts_as_a_queue_does),
		cmocka_unit_test(two_queues_and_a_batch_share_the_counters),
		cmocka_unit_test(what_was_counted_stays_when_a_batch_goes),
		cmocka_unit_test(a_larger_structure_is_filled_in_to_its_end),
		cmocka_unit_test(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, NULL);
}
