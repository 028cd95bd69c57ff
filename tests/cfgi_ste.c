/* SPDX-License-Identifier: MIT */
/*
 * CFGI_STE, CFGI_STE_RANGE and CFGI_ALL: which streams of the table the VMM is
 * told of, and that no context descriptor that was cached through their entries
 * is left afterwards (4.3.1, 4.3.2).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "support.h"
#include "vmm.h"

enum { LOG2SIZE = 4, CALLS = 64 };

/* Where StreamIDs end, and where nodes of the table do. */
static const uint32_t vsids[] = {
	0,         1,          FIXTURE_VSID, 0xff,       0x100,      0xffff,
	0x1000000, 0x7fffffff, 0x80000000,   0xfffffffe, UINT32_MAX,
};

#define STREAMS ARRAY_SIZE(vsids)

/* A callback that was called, and how many commands were executed by then. */
struct call {
	char what; /* range, entry, sync */
	uint32_t first;
	uint32_t last;
	bool leaf;
	size_t executed;
};

struct vmm {
	struct vmm_queue q; /* first */
	struct fixture f;
	struct smmuinv_caches *caches; /* a CD of each of vsids[], in order */
	struct call calls[CALLS];
	uint32_t call_count;
	uint32_t seen_forwarded;
	uint32_t seen_vmm;
	uint32_t seen_count;
	uint32_t fail_at; /* the call that fails, counted from 1 */
	void (*meddle)(struct vmm *vmm, const struct call *call);
};

static int called(struct vmm *vmm, struct call call)
{
	assert_true(vmm->call_count < CALLS);
	call.executed = smmuinv_mock_executed(vmm->f.mock, NULL);
	vmm->calls[vmm->call_count++] = call;
	if (vmm->meddle)
		vmm->meddle(vmm, &call);
	return vmm->call_count == vmm->fail_at ? -ENODATA : 0;
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	return called(opaque, (struct call){ 'e', sid, sid, leaf, 0 });
}

static int on_cfgi_ste_range(void *opaque, uint32_t first, uint32_t last,
			     bool leaf)
{
	return called(opaque, (struct call){ 'r', first, last, leaf, 0 });
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)sync;
	return called(opaque, (struct call){ 's', 0, 0, false, 0 });
}

static void on_seen(void *opaque, uint32_t index,
		    const struct smmuinv_command *command,
		    enum smmuinv_fate fate, enum smmuinv_rule rule)
{
	struct vmm *vmm = opaque;

	(void)index;
	(void)command;
	(void)rule;
	vmm->seen_count++;
	vmm->seen_forwarded += fate == SMMUINV_FATE_FORWARDED;
	vmm->seen_vmm += fate == SMMUINV_FATE_VMM;
}

static const struct smmuinv_queue_ops all_ops = {
	.size = sizeof(all_ops),
	.read = vmm_read,
	.cfgi_ste = on_cfgi_ste,
	.cfgi_ste_range = on_cfgi_ste_range,
	.sync = on_sync,
	.seen = on_seen,
};

static void cache_cds(struct vmm *vmm)
{
	size_t i;

	assert_int_equal(smmuinv_caches_new(STREAMS, &vmm->caches), 0);
	for (i = 0; i < STREAMS; i++) {
		const struct smmuinv_cache_entry entry = {
			.size = sizeof(entry),
			.kind = SMMUINV_CACHED_CD,
			.sid = vsids[i],
			.ssid = (uint32_t)i,
		};

		assert_int_equal(smmuinv_caches_insert(vmm->caches, &entry), i);
	}
}

static void vmm_open_with(struct vmm *vmm, const struct smmuinv_queue_ops *ops,
			  enum way way, enum smmuinv_plan plan, uint32_t window)
{
	const struct smmuinv_vsmmu_params like = {
		.size = sizeof(like),
		.guest = everything,
		.host = everything,
		.plan = plan,
	};
	size_t i;

	memset(vmm, 0, sizeof(*vmm));
	cache_cds(vmm);
	fixture_open_like(&vmm->f, &like, vmm->caches);
	for (i = 0; i < STREAMS; i++) {
		if (vsids[i] != FIXTURE_VSID)
			fixture_plug(&vmm->f, vsids[i]);
	}
	vmm_queue_open(&vmm->q, vmm->f.vsmmu, ops, way, LOG2SIZE, window);
}

static void vmm_open_as(struct vmm *vmm, enum way way, enum smmuinv_plan plan,
			uint32_t window)
{
	vmm_open_with(vmm, &all_ops, way, plan, window);
}

static void vmm_open(struct vmm *vmm)
{
	vmm_open_as(vmm, SEEING, SMMUINV_PLAN_FEWEST, 0);
}

static void vmm_close(struct vmm *vmm)
{
	vmm_queue_close(&vmm->q);
	fixture_close(&vmm->f);
	smmuinv_caches_free(vmm->caches);
}

static void with_each(uint32_t window, void (*test)(struct vmm *vmm))
{
	size_t w;

	for (w = 0; w < 2 * WAYS; w++) {
		struct vmm vmm;

		vmm_open_as(&vmm, (enum way)(w / 2),
			    w % 2 ? SMMUINV_PLAN_AS_WRITTEN :
				    SMMUINV_PLAN_FEWEST,
			    window);
		test(&vmm);
		vmm_close(&vmm);
	}
}

/* Everything is cached again, and nothing has been called yet. */
static void begin(struct vmm *vmm)
{
	smmuinv_mock_forget(vmm->f.mock);
	smmuinv_caches_refill(vmm->caches);
	vmm->call_count = 0;
	vmm->seen_count = vmm->seen_forwarded = vmm->seen_vmm = 0;
	vmm->f.call_count = 0;
}

static struct smmuinv_command cfgi_ste(uint32_t sid, bool leaf)
{
	return raw((uint64_t)sid << 32 | SMMUINV_CMD_CFGI_STE, leaf);
}

static struct smmuinv_command cfgi_ste_range(uint32_t sid, uint32_t range)
{
	return raw((uint64_t)sid << 32 | SMMUINV_CMD_CFGI_STE_RANGE, range);
}

static struct smmuinv_command cfgi_all(void)
{
	return cfgi_ste_range(0, 31);
}

static bool is_in(uint32_t vsid, uint32_t first, uint32_t last)
{
	return vsid >= first && vsid <= last;
}

static bool exists(struct vmm *vmm, uint32_t vsid)
{
	return !smmuinv_streams_find(vmm->f.streams, vsid, NULL);
}

static bool translates(struct vmm *vmm, uint32_t vsid)
{
	return exists(vmm, vsid) && fixture_stream(&vmm->f, vsid).translates;
}

/* The host was asked for exactly the CDs of those that translate. */
static void assert_cds_are_gone(struct vmm *vmm, uint32_t first, uint32_t last)
{
	uint32_t expected = 0;
	size_t i;

	for (i = 0; i < STREAMS; i++) {
		const struct smmuinv_command command = cfgi_cd_all(vsids[i]);
		bool affected = is_in(vsids[i], first, last) &&
				translates(vmm, vsids[i]);

		expected += affected;
		assert_int_equal(times_executed(&vmm->f, &command), affected);
		assert_int_equal(smmuinv_caches_has(vmm->caches, i), !affected);
	}
	assert_int_equal(smmuinv_mock_executed(vmm->f.mock, NULL), expected);
}

/* The range once, and then the streams of the table in it, ascending. */
static void assert_called_for(struct vmm *vmm, uint32_t first, uint32_t last,
			      bool leaf)
{
	uint32_t n = 0;
	size_t i;

	assert_int_equal(vmm->calls[n].what, 'r');
	assert_int_equal(vmm->calls[n].first, first);
	assert_int_equal(vmm->calls[n].last, last);
	assert_int_equal(vmm->calls[n++].leaf, leaf);
	for (i = 0; i < STREAMS; i++) {
		if (!is_in(vsids[i], first, last) || !exists(vmm, vsids[i]))
			continue;
		assert_int_equal(vmm->calls[n].what, 'e');
		assert_int_equal(vmm->calls[n].first, vsids[i]);
		assert_int_equal(vmm->calls[n].executed, 0);
		assert_int_equal(vmm->calls[n++].leaf, leaf);
	}
	assert_int_equal(vmm->call_count, n);
}

static void one(struct vmm *vmm, struct smmuinv_command command, uint32_t first,
		uint32_t last, bool leaf)
{
	begin(vmm);
	vmm_write(&vmm->q, command);
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_int_equal(vmm->q.progress.vmm, 1);
	assert_int_equal(vmm->q.progress.forwarded, 0);
	assert_int_equal(vmm->q.progress.dropped, 0);
	assert_called_for(vmm, first, last, leaf);
	assert_cds_are_gone(vmm, first, last);
}

/* Below, at and above each of the streams. */
static void each_single(struct vmm *vmm)
{
	uint32_t i, leaf;

	for (i = 0; i < 3 * STREAMS; i++) {
		uint32_t sid = vsids[i / 3] + i % 3 - 1;

		for (leaf = 0; leaf < 2; leaf++)
			one(vmm, cfgi_ste(sid, leaf), sid, sid, leaf);
	}
}

static void cfgi_ste_is_for_the_one_stream_if_it_is_there(void **state)
{
	(void)state;
	with_each(0, each_single);
}

/* 4.3.2: 2^(Range + 1) StreamIDs, aligned; 31 is CFGI_ALL. */
static void each_range(struct vmm *vmm)
{
	uint32_t range, i;

	for (range = 0; range < 32; range++) {
		uint64_t span = UINT64_C(2) << range;

		for (i = 0; i < 3 * STREAMS; i++) {
			uint32_t sid = vsids[i / 3] + i % 3 - 1;
			uint32_t first = (uint32_t)(sid / span * span);

			one(vmm, cfgi_ste_range(sid, range), first,
			    (uint32_t)(first + (span - 1)), false);
		}
	}
}

static void
cfgi_ste_range_is_for_the_streams_in_it_in_ascending_order(void **state)
{
	(void)state;
	with_each(0, each_range);
}

/* Each set of streams that are there and do not translate, or are not there. */
static void streams_that_do_not_translate_cost_the_host_nothing(void **state)
{
	struct vmm vmm;
	uint32_t set, i;

	(void)state;
	vmm_open(&vmm);
	for (set = 0; set < 1u << STREAMS; set += 1 + set / 64) {
		for (i = 0; i < STREAMS; i++)
			assert_int_equal(
				smmuinv_streams_set(vmm.f.streams, vsids[i],
						    set >> i & 1, false),
				0);
		one(&vmm, cfgi_all(), 0, UINT32_MAX, false);
		assert_int_equal(vmm.q.progress.ioctls, set != 0);
		assert_int_equal(vmm.q.progress.host_commands,
				 __builtin_popcount(set));
	}
	for (i = 0; i < STREAMS; i++) {
		assert_int_equal(
			smmuinv_streams_remove(vmm.f.streams, vsids[i]), 0);
		one(&vmm, cfgi_all(), 0, UINT32_MAX, false);
	}
	vmm_close(&vmm);
}

static void without_callbacks_the_cds_are_invalidated_all_the_same(void **state)
{
	static const struct smmuinv_queue_ops no_ops = {
		.size = sizeof(no_ops),
	};
	struct vmm vmm;

	(void)state;
	vmm_open_with(&vmm, &no_ops, SEEING, SMMUINV_PLAN_FEWEST, 0);
	vmm_write(&vmm.q, cfgi_ste_range(0xff, 0));
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_cds_are_gone(&vmm, 0xfe, 0xff);
	vmm_close(&vmm);
}

/* Only one of the two callbacks. */
static void either_callback_may_be_missing(void **state)
{
	static const struct smmuinv_queue_ops entry_only = {
		.size = sizeof(entry_only),
		.cfgi_ste = on_cfgi_ste,
	};
	static const struct smmuinv_queue_ops range_only = {
		.size = sizeof(range_only),
		.cfgi_ste_range = on_cfgi_ste_range,
	};
	struct vmm vmm;

	(void)state;
	vmm_open_with(&vmm, &entry_only, SEEING, SMMUINV_PLAN_FEWEST, 0);
	vmm_write(&vmm.q, cfgi_ste_range(0, 0));
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_int_equal(vmm.call_count, 2);
	assert_int_equal(vmm.calls[0].what, 'e');
	assert_int_equal(vmm.calls[1].first, 1);
	vmm_close(&vmm);
	vmm_open_with(&vmm, &range_only, SEEING, SMMUINV_PLAN_FEWEST, 0);
	vmm_write(&vmm.q, cfgi_ste_range(0, 0));
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_int_equal(vmm.call_count, 1);
	assert_int_equal(vmm.calls[0].last, 1);
	assert_cds_are_gone(&vmm, 0, 1);
	vmm_close(&vmm);
}

static void add_later(struct vmm *vmm, const struct call *call)
{
	if (call->what == 'r')
		fixture_plug(&vmm->f, 0x200);
	if (call->what == 'e' && call->first == 0x200)
		fixture_plug(&vmm->f, 0x300);
	if (call->what == 'e' && call->first == 0x300)
		fixture_plug(&vmm->f, 0x50); /* it is past that */
}

static void
a_stream_that_a_callback_adds_further_on_is_told_of_too(void **state)
{
	const struct smmuinv_command added[] = { cfgi_cd_all(0x200),
						 cfgi_cd_all(0x300),
						 cfgi_cd_all(0x50) };
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open(&vmm);
	vmm.meddle = add_later;
	vmm_write(&vmm.q, cfgi_all());
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_int_equal(vmm.call_count, 1 + STREAMS + 2);
	for (i = 2; i < vmm.call_count; i++) {
		assert_true(vmm.calls[i].first > vmm.calls[i - 1].first);
		assert_int_not_equal(vmm.calls[i].first, 0x50);
	}
	/* Whoever translates by now has its CDs invalidated. */
	for (i = 0; i < 3; i++)
		assert_int_equal(times_executed(&vmm.f, &added[i]), 1);
	assert_int_equal(vmm.q.progress.host_commands, STREAMS + 3);
	vmm_close(&vmm);
}

/* Itself, the one before it, and two behind it, the last there is. */
static void remove_some(struct vmm *vmm, const struct call *call)
{
	if (call->what != 'e' || call->first != 0xff)
		return;
	assert_int_equal(smmuinv_streams_remove(vmm->f.streams, 0xff), 0);
	assert_int_equal(smmuinv_streams_remove(vmm->f.streams, FIXTURE_VSID),
			 0);
	assert_int_equal(smmuinv_streams_remove(vmm->f.streams, 0x100), 0);
	assert_int_equal(smmuinv_streams_remove(vmm->f.streams, UINT32_MAX), 0);
}

static void a_stream_that_a_callback_removes_is_told_of_no_more(void **state)
{
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open(&vmm);
	vmm.meddle = remove_some;
	vmm_write(&vmm.q, cfgi_all());
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_int_equal(vmm.call_count, 1 + STREAMS - 2);
	for (i = 1; i < vmm.call_count; i++) {
		assert_int_not_equal(vmm.calls[i].first, 0x100);
		assert_int_not_equal(vmm.calls[i].first, UINT32_MAX);
	}
	assert_cds_are_gone(&vmm, 0, UINT32_MAX);
	assert_int_equal(vmm.q.progress.host_commands, STREAMS - 4);
	vmm_close(&vmm);
}

/* As a VMM does that reads the guest's STE: one it detaches, one it attaches.
 */
static void set_some(struct vmm *vmm, const struct call *call)
{
	if (call->what == 'e')
		assert_int_equal(smmuinv_streams_set(vmm->f.streams,
						     call->first,
						     call->first % 2, false),
				 0);
}

static void the_state_that_a_callback_sets_is_what_counts(void **state)
{
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open(&vmm);
	vmm.meddle = set_some;
	for (i = 0; i < STREAMS; i++)
		smmuinv_streams_set(vmm.f.streams, vsids[i], i % 2, false);
	one(&vmm, cfgi_all(), 0, UINT32_MAX, false);
	for (i = 0; i < STREAMS; i++)
		assert_int_equal(translates(&vmm, vsids[i]), vsids[i] % 2);
	vmm_close(&vmm);
}

/* Each callback in turn. */
static void failing(struct vmm *vmm)
{
	uint32_t at;

	for (at = 1; at <= 1 + STREAMS; at++) {
		begin(vmm);
		vmm_write(&vmm->q, tlbi_va(0x1000));
		vmm_write(&vmm->q, cfgi_all());
		vmm->fail_at = at;
		assert_int_equal(vmm_consume(&vmm->q), -ENODATA);
		assert_int_equal(vmm->q.progress.consumed, 1);
		assert_int_equal(vmm->q.progress.vmm, 0);
		assert_int_equal(vmm->q.progress.host_error, 0);
		assert_int_equal(vmm->call_count, at);
		if (at > 1)
			assert_int_equal(vmm->calls[at - 1].first,
					 vsids[at - 2]);
		/* Of the library's own, nothing yet. */
		assert_int_equal(smmuinv_mock_executed(vmm->f.mock, NULL), 1);
		vmm->fail_at = 0;
		begin(vmm);
		assert_int_equal(vmm_consume(&vmm->q), 1);
		assert_called_for(vmm, 0, UINT32_MAX, false);
		assert_cds_are_gone(vmm, 0, UINT32_MAX);
	}
}

static void
a_failing_callback_stops_there_and_all_are_presented_again(void **state)
{
	(void)state;
	with_each(0, failing);
}

static void check_at_sync(struct vmm *vmm, const struct call *call)
{
	if (call->what != 's')
		return;
	assert_cds_are_gone(vmm, 0, UINT32_MAX);
}

/* Before a CMD_SYNC, and before any other command. */
static void orders(struct vmm *vmm)
{
	const struct smmuinv_command later = tlbi_va(0x1000);
	const struct smmuinv_command cds = cfgi_cd_all(UINT32_MAX);

	begin(vmm);
	vmm->meddle = check_at_sync;
	vmm_write(&vmm->q, cfgi_all());
	vmm_write(&vmm->q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm->q), 2);
	assert_int_equal(vmm->calls[vmm->call_count - 1].what, 's');
	vmm->meddle = NULL;

	begin(vmm);
	vmm_write(&vmm->q, cfgi_all());
	vmm_write(&vmm->q, later);
	vmm_write(&vmm->q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm->q), 3);
	assert_true(last_call_of(&vmm->f, &cds) >= 0);
	assert_true(last_call_of(&vmm->f, &cds) <
		    last_call_of(&vmm->f, &later));

	/* And after what was before it. */
	begin(vmm);
	vmm_write(&vmm->q, later);
	vmm_write(&vmm->q, cfgi_all());
	vmm_write(&vmm->q, cfgi_ste(1, true));
	assert_int_equal(vmm_consume(&vmm->q), 3);
	assert_true(last_call_of(&vmm->f, &later) <
		    last_call_of(&vmm->f, &cds));
	assert_int_equal(vmm->calls[0].executed, 1);
	/* The next of them comes after the CDs of this one. */
	assert_int_equal(vmm->calls[1 + STREAMS].what, 'r');
	assert_int_equal(vmm->calls[1 + STREAMS].executed, 1 + STREAMS);
}

static void cds_are_gone_before_the_next_sync_and_anything_later(void **state)
{
	(void)state;
	with_each(0, orders);
}

static void more_streams_than_a_window_has_places_are_all_done(void **state)
{
	uint32_t window;

	(void)state;
	for (window = 1; window <= STREAMS + 1; window++)
		with_each(window, orders);
}

/* Each call of those that it takes; a refusal, of each stream of the call. */
static void the_hosts_failure_leaves_the_command_to_be_tried_again(void **state)
{
	static const int errors[] = { -EFAULT, -ETIMEDOUT, -EIO, -ENOENT };
	uint32_t window, pass;
	size_t e;

	(void)state;
	for (window = 1; window <= STREAMS; window++) {
		uint32_t calls = (uint32_t)(STREAMS + window - 1) / window;

		for (e = 0; e < ARRAY_SIZE(errors); e++) {
			for (pass = 0; pass < calls; pass++) {
				const struct smmuinv_mock_fault fault = {
					.size = sizeof(fault),
					.pass = pass,
					.error = errors[e],
				};
				struct vmm vmm;

				vmm_open_as(&vmm, (enum way)(pass % WAYS),
					    SMMUINV_PLAN_AS_WRITTEN, window);
				assert_int_equal(
					smmuinv_mock_inject(vmm.f.mock, &fault),
					0);
				vmm_write(&vmm.q, cfgi_all());
				vmm_write(&vmm.q, cmd_sync());
				assert_int_equal(vmm_consume(&vmm.q),
						 errors[e] == -EIO ? -ENODEV :
								     errors[e]);
				assert_int_equal(vmm.q.progress.consumed, 0);
				assert_int_equal(vmm.q.progress.vmm, 0);
				assert_int_equal(vmm.q.progress.host_error,
						 errors[e]);
				assert_int_equal(vmm.q.progress.cerror,
						 SMMUINV_CERROR_NONE);
				if (errors[e] == -EIO)
					assert_int_equal(
						vmm.q.progress.fault_vsid,
						vsids[pass * window]);
				begin(&vmm);
				vmm.meddle = check_at_sync;
				assert_int_equal(vmm_consume(&vmm.q), 2);
				assert_int_equal(vmm.q.progress.vmm, 2);
				vmm.meddle = NULL;
				vmm.call_count--; /* the CMD_SYNC */
				assert_called_for(&vmm, 0, UINT32_MAX, false);
				vmm_close(&vmm);
			}
		}
	}
}

/* For want of memory the host is asked for less at a time. */
static void little_memory_of_the_hosts_does_not_show(void **state)
{
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm);
	inject(&vmm.f, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
	vmm_write(&vmm.q, cfgi_all());
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_cds_are_gone(&vmm, 0, UINT32_MAX);
	vmm_close(&vmm);
}

/* The device is gone for good: until the VMM takes its stream out. */
static void
a_device_that_is_gone_is_told_until_its_stream_is_removed(void **state)
{
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm);
	fixture_lose_vdevice(&vmm.f, 0xffff);
	vmm_write(&vmm.q, cfgi_all());
	assert_int_equal(vmm_consume(&vmm.q), -ENODEV);
	assert_int_equal(vmm.q.progress.fault_vsid, 0xffff);
	assert_int_equal(vmm_consume(&vmm.q), -ENODEV);
	assert_int_equal(smmuinv_streams_remove(vmm.f.streams, 0xffff),
			 -ENOENT);
	begin(&vmm);
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_cds_are_gone(&vmm, 0, UINT32_MAX);
	vmm_close(&vmm);
}

/* In windows with just room for one more, and with more than that. */
static void atc_invs_that_timed_out_wait_on_for_their_sync(void **state)
{
	const struct smmuinv_command atc = atc_inv_all(FIXTURE_VSID);
	uint32_t window;

	(void)state;
	for (window = 2; window < STREAMS + 3; window++) {
		struct vmm vmm;

		vmm_open_as(&vmm, SEEING,
			    window % 2 ? SMMUINV_PLAN_FEWEST :
					 SMMUINV_PLAN_AS_WRITTEN,
			    window);
		vmm_write(&vmm.q, atc);
		vmm_write(&vmm.q, cmd_sync());
		inject(&vmm.f, -ETIMEDOUT, 0, 0);
		assert_int_equal(vmm_consume(&vmm.q), 1);
		assert_int_equal(vmm.q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
		/* Instead of the CMD_SYNC, the guest has other things to do. */
		begin(&vmm);
		vmm.q.prod = vmm.q.cons;
		vmm_write(&vmm.q, cfgi_all());
		assert_int_equal(vmm_consume(&vmm.q), 1);
		assert_called_for(&vmm, 0, UINT32_MAX, false);
		assert_cds_are_gone(&vmm, 0, UINT32_MAX);
		/* A failure of the library's own command forgets nothing. */
		vmm_write(&vmm.q, cfgi_all());
		inject(&vmm.f, -EFAULT, 0, 0);
		assert_int_equal(vmm_consume(&vmm.q), -EFAULT);
		begin(&vmm);
		assert_int_equal(vmm_consume(&vmm.q), 1);
		assert_cds_are_gone(&vmm, 0, UINT32_MAX);
		assert_int_equal(vmm.seen_forwarded, 0);
		begin(&vmm);
		vmm_write(&vmm.q, cmd_sync());
		assert_int_equal(vmm_consume(&vmm.q), 1);
		assert_int_equal(vmm.q.progress.forwarded, 1);
		assert_int_equal(times_executed(&vmm.f, &atc), 1);
		assert_int_equal(smmuinv_mock_executed(vmm.f.mock, NULL), 1);
		assert_int_equal(vmm.seen_forwarded, 1);
		vmm_close(&vmm);
	}
}

/* What the library has done of itself, nobody is told of as the guest's. */
static void own(struct vmm *vmm)
{
	struct smmuinv_counters before = fixture_counters(&vmm->f);
	struct smmuinv_counters now;

	begin(vmm);
	vmm_write(&vmm->q, cfgi_all());
	vmm_write(&vmm->q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.progress.forwarded, 0);
	assert_int_equal(vmm->q.progress.dropped, 0);
	assert_int_equal(vmm->q.progress.vmm, 2);
	assert_int_equal(vmm->q.progress.host_commands, STREAMS);
	if (vmm->seen_count) {
		assert_int_equal(vmm->seen_count, 2);
		assert_int_equal(vmm->seen_vmm, 2);
	}
	now = fixture_counters(&vmm->f);
	assert_int_equal(now.read - before.read, 2);
	assert_int_equal(now.vmm - before.vmm, 2);
	assert_int_equal(now.forwarded - before.forwarded, 0);
	assert_int_equal(now.dropped - before.dropped, 0);
	assert_int_equal(now.host_commands - before.host_commands, STREAMS);
	assert_int_equal(now.ioctls - before.ioctls, vmm->f.call_count);
	assert_int_equal(now.by_opcode[SMMUINV_CMD_CFGI_CD_ALL],
			 before.by_opcode[SMMUINV_CMD_CFGI_CD_ALL]);
}

static void the_librarys_own_commands_do_not_count_as_the_guests(void **state)
{
	(void)state;
	with_each(0, own);
	with_each(2, own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cfgi_ste_is_for_the_one_stream_if_it_is_there),
		cmocka_unit_test(
			cfgi_ste_range_is_for_the_streams_in_it_in_ascending_order),
		cmocka_unit_test(
			streams_that_do_not_translate_cost_the_host_nothing),
		cmocka_unit_test(
			without_callbacks_the_cds_are_invalidated_all_the_same),
		cmocka_unit_test(either_callback_may_be_missing),
		cmocka_unit_test(
			a_stream_that_a_callback_adds_further_on_is_told_of_too),
		cmocka_unit_test(
			a_stream_that_a_callback_removes_is_told_of_no_more),
		cmocka_unit_test(the_state_that_a_callback_sets_is_what_counts),
		cmocka_unit_test(
			a_failing_callback_stops_there_and_all_are_presented_again),
		cmocka_unit_test(
			cds_are_gone_before_the_next_sync_and_anything_later),
		cmocka_unit_test(
			more_streams_than_a_window_has_places_are_all_done),
		cmocka_unit_test(
			the_hosts_failure_leaves_the_command_to_be_tried_again),
		cmocka_unit_test(little_memory_of_the_hosts_does_not_show),
		cmocka_unit_test(
			a_device_that_is_gone_is_told_until_its_stream_is_removed),
		cmocka_unit_test(
			atc_invs_that_timed_out_wait_on_for_their_sync),
		cmocka_unit_test(
			the_librarys_own_commands_do_not_count_as_the_guests),
	};

	return cmocka_run_group_tests_name("cfgi_ste", tests, NULL, NULL);
}
