/* SPDX-License-Identifier: MIT */
/*
 * CFGI_STE, CFGI_STE_RANGE and CFGI_ALL: for which streams of the table the VMM
 * is called, and that no context descriptor that was cached through their
 * entries is left afterwards (4.3.1, 4.3.2).
 */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "vm.h"

enum { LOG2SIZE = 4, CALLS = 64 };

/* Where StreamIDs end, and where nodes of the table do. */
static const uint32_t vsids[] = {
	0,         1,          VM_VSID,    0xff,       0x100,      0xffff,
	0x1000000, 0x7fffffff, 0x80000000, 0xfffffffe, UINT32_MAX,
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
	struct vm_queue q; /* first */
	struct vm vm;
	struct smmuinv_caches *caches; /* a CD of each of vsids[], in order */
	struct call calls[CALLS];
	uint32_t call_count;
	uint32_t settled_count;
	uint32_t fail_at;  /* the call that fails, counted from 1 */
	uint32_t attached; /* bits of vsids[]: cfgi_ste attaches them anew */
	void (*meddle)(struct vmm *vmm, const struct call *call);
};

static int called(struct vmm *vmm, struct call call)
{
	assert_true(vmm->call_count < CALLS);
	call.executed = vm_executed(&vmm->vm, 0);
	vmm->calls[vmm->call_count++] = call;
	if (vmm->meddle)
		vmm->meddle(vmm, &call);
	return vmm->call_count == vmm->fail_at ? -ENODATA : 0;
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct vmm *vmm = opaque;
	int rc = called(vmm, (struct call){ 'e', sid, sid, leaf, 0 });
	uint32_t i;

	for (i = 0; i < STREAMS && !rc; i++) {
		if (vsids[i] == sid && vmm->attached >> i & 1)
			rc = SMMUINV_STE_ATTACHED;
	}
	return rc;
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

static void on_settled(void *opaque, uint32_t index,
		       const struct smmuinv_command *command, uint32_t fate,
		       uint32_t rule)
{
	struct vmm *vmm = opaque;

	(void)index;
	(void)command;
	vmm->settled_count += fate == SMMUINV_FATE_VMM;
	assert_int_equal(rule, SMMUINV_RULE_NONE);
}

static const struct smmuinv_queue_ops all_ops = {
	.size = sizeof(all_ops),
	.read = vm_queue_read,
	.cfgi_ste = on_cfgi_ste,
	.cfgi_ste_range = on_cfgi_ste_range,
	.sync = on_sync,
	.settled = on_settled,
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

static void vmm_open_with(struct vmm *vmm, uint32_t plan,
			  const struct vm_queue_options *queue)
{
	struct vm_queue_options with_log2size = *queue;
	struct vm_options options = { .plan = plan };
	size_t i;

	with_log2size.log2size = LOG2SIZE;
	memset(vmm, 0, sizeof(*vmm));
	cache_cds(vmm);
	options.smmu[0].caches = vmm->caches;
	vm_open_with(&vmm->vm, &options);
	for (i = 0; i < STREAMS; i++) {
		if (vsids[i] != VM_VSID)
			vm_plug(&vmm->vm, vsids[i]);
	}
	vm_queue_open(&vmm->q, vmm->vm.vsmmu, &with_log2size);
}

static void vmm_open_ops(struct vmm *vmm, const struct smmuinv_queue_ops *ops)
{
	const struct vm_queue_options queue = { .ops = ops };

	vmm_open_with(vmm, SMMUINV_PLAN_MERGED, &queue);
}

static void vmm_open(struct vmm *vmm)
{
	vmm_open_ops(vmm, &all_ops);
}

static void vmm_close(struct vmm *vmm)
{
	vm_queue_close(&vmm->q);
	vm_close(&vmm->vm);
	smmuinv_caches_free(vmm->caches);
}

static void with_each(uint32_t window, void (*test)(struct vmm *vmm))
{
	size_t w;

	for (w = 0; w < 2 * VM_WAYS; w++) {
		const struct vm_queue_options queue = {
			.ops = &all_ops,
			.way = (enum vm_way)(w / 2),
			.window = window,
		};
		struct vmm vmm;

		vmm_open_with(&vmm, w % 2, &queue);
		test(&vmm);
		vmm_close(&vmm);
	}
}

/* Everything is cached again, and nothing has been called yet. */
static void begin(struct vmm *vmm)
{
	vm_forget(&vmm->vm);
	smmuinv_caches_refill(vmm->caches);
	vmm->call_count = 0;
	vmm->settled_count = 0;
}

static struct smmuinv_command cfgi_ste_leaf(uint32_t sid, bool leaf)
{
	return raw((uint64_t)sid << 32 | SMMUINV_CMD_CFGI_STE, leaf);
}

static struct smmuinv_command cfgi_ste_range(uint32_t sid, uint32_t range)
{
	return raw((uint64_t)sid << 32 | SMMUINV_CMD_CFGI_STE_RANGE, range);
}

static bool is_in(uint32_t vsid, uint32_t first, uint32_t last)
{
	return vsid >= first && vsid <= last;
}

/* The host was asked for the CDs of those that kept their attachment. */
static void assert_cds_are_gone(struct vmm *vmm, uint32_t first, uint32_t last)
{
	uint32_t expected = 0;
	size_t i;

	for (i = 0; i < STREAMS; i++) {
		const struct smmuinv_command command = cfgi_cd_all(vsids[i]);
		bool affected = is_in(vsids[i], first, last) &&
				vm_has_stream(&vmm->vm, vsids[i]) &&
				!(vmm->attached >> i & 1);

		expected += affected;
		assert_int_equal(vm_times(&vmm->vm, 0, &command), affected);
		assert_int_equal(smmuinv_caches_has(vmm->caches, i), !affected);
	}
	assert_int_equal(vm_executed(&vmm->vm, 0), expected);
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
		if (!is_in(vsids[i], first, last) ||
		    !vm_has_stream(&vmm->vm, vsids[i]))
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
	vm_write(&vmm->q, command);
	assert_int_equal(vm_consume(&vmm->q), 1);
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
			one(vmm, cfgi_ste_leaf(sid, leaf), sid, sid, leaf);
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

/* Each set of them. The kernel has dropped the CDs of what was attached. */
static void streams_that_were_attached_anew_cost_the_host_nothing(void **state)
{
	struct vmm vmm;
	uint32_t set, i;

	(void)state;
	vmm_open(&vmm);
	for (set = 0; set < 1u << STREAMS; set += 1 + set / 64) {
		vmm.attached = set;
		one(&vmm, cfgi_all(), 0, UINT32_MAX, false);
		assert_int_equal(vmm.q.progress.host_commands,
				 STREAMS - (uint32_t)__builtin_popcount(set));
	}
	vmm.attached = (1u << STREAMS) - 1;
	one(&vmm, cfgi_all(), 0, UINT32_MAX, false);
	assert_int_equal(vmm.q.progress.ioctls, 0);
	/* One that is not there costs nothing either. */
	vmm.attached = 0;
	for (i = 0; i < STREAMS; i++) {
		vm_unplug(&vmm.vm, vsids[i]);
		one(&vmm, cfgi_all(), 0, UINT32_MAX, false);
	}
	vmm_close(&vmm);
}

/* Neighbours in the queue: each is settled, and the work is done once. */
static void equals(struct vmm *vmm)
{
	const struct smmuinv_command commands[] = {
		cfgi_all(),
		cfgi_ste_leaf(0x100, true),
		cfgi_ste_range(0xff, 3),
	};
	uint32_t callbacks, i, n;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		begin(vmm);
		vm_write(&vmm->q, commands[i]);
		assert_int_equal(vm_consume(&vmm->q), 1);
		callbacks = vmm->call_count;
		for (n = 2; n <= 8; n++) {
			uint32_t executed = (uint32_t)vm_executed(&vmm->vm, 0);
			uint32_t k;

			begin(vmm);
			for (k = 0; k < n; k++)
				vm_write(&vmm->q, commands[i]);
			assert_int_equal(vm_consume(&vmm->q), n);
			assert_int_equal(vmm->q.progress.vmm, n);
			assert_int_equal(vmm->call_count, callbacks);
			assert_int_equal(vm_executed(&vmm->vm, 0), executed);
			if (vmm->settled_count)
				assert_int_equal(vmm->settled_count, n);
		}
	}
}

static void equal_neighbours_are_done_once(void **state)
{
	(void)state;
	with_each(0, equals);
}

/*
 * A CMD_SYNC between them changes nothing: the guest wrote the STE before it
 * produced either. With other commands between they are done each.
 */
static void others(struct vmm *vmm)
{
	const struct smmuinv_command between[] = {
		cmd_sync(),
		tlbi_va(0x1000),
		cfgi_ste_leaf(1, true),
		cfgi_ste_leaf(0x100, false),
	};
	uint32_t i, k, entries;

	for (i = 0; i < ARRAY_SIZE(between); i++) {
		begin(vmm);
		vm_write(&vmm->q, cfgi_ste_leaf(0x100, true));
		vm_write(&vmm->q, between[i]);
		vm_write(&vmm->q, cfgi_ste_leaf(0x100, true));
		assert_int_equal(vm_consume(&vmm->q), 3);
		entries = 0;
		for (k = 0; k < vmm->call_count; k++)
			entries += vmm->calls[k].what == 'e' &&
				   vmm->calls[k].first == 0x100;
		assert_int_equal(entries, i == 3 ? 3 : i ? 2 : 1);
	}
}

static void equals_with_something_between_are_done_each(void **state)
{
	(void)state;
	with_each(0, others);
}

static void without_callbacks_the_cds_are_invalidated_all_the_same(void **state)
{
	static const struct smmuinv_queue_ops no_ops = {
		.size = sizeof(no_ops),
	};
	struct vmm vmm;

	(void)state;
	vmm_open_ops(&vmm, &no_ops);
	vm_write(&vmm.q, cfgi_ste_range(0xff, 0));
	assert_int_equal(vm_consume(&vmm.q), 1);
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
	vmm_open_ops(&vmm, &entry_only);
	vm_write(&vmm.q, cfgi_ste_range(0, 0));
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_int_equal(vmm.call_count, 2);
	assert_int_equal(vmm.calls[0].what, 'e');
	assert_int_equal(vmm.calls[1].first, 1);
	vmm_close(&vmm);
	vmm_open_ops(&vmm, &range_only);
	vm_write(&vmm.q, cfgi_ste_range(0, 0));
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_int_equal(vmm.call_count, 1);
	assert_int_equal(vmm.calls[0].last, 1);
	assert_cds_are_gone(&vmm, 0, 1);
	vmm_close(&vmm);
}

static void add_later(struct vmm *vmm, const struct call *call)
{
	if (call->what == 'r')
		vm_plug(&vmm->vm, 0x200);
	if (call->what == 'e' && call->first == 0x200)
		vm_plug(&vmm->vm, 0x300);
	if (call->what == 'e' && call->first == 0x300)
		vm_plug(&vmm->vm, 0x50); /* it is past that */
}

static void
a_stream_that_a_callback_adds_further_on_is_presented_too(void **state)
{
	const struct smmuinv_command added[] = { cfgi_cd_all(0x200),
						 cfgi_cd_all(0x300) };
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open(&vmm);
	vmm.meddle = add_later;
	vm_write(&vmm.q, cfgi_all());
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_int_equal(vmm.call_count, 1 + STREAMS + 2);
	for (i = 2; i < vmm.call_count; i++) {
		assert_true(vmm.calls[i].first > vmm.calls[i - 1].first);
		assert_int_not_equal(vmm.calls[i].first, 0x50);
	}
	/* A new stream that was not presented has no CDs. */
	for (i = 0; i < 2; i++)
		assert_int_equal(vm_times(&vmm.vm, 0, &added[i]), 1);
	assert_int_equal(vmm.q.progress.host_commands, STREAMS + 2);
	vmm_close(&vmm);
}

/* Itself, the one before it, and two after it, the last included. */
static void remove_some(struct vmm *vmm, const struct call *call)
{
	if (call->what != 'e' || call->first != 0xff)
		return;
	assert_int_equal(smmuinv_vsmmu_remove_stream(vmm->vm.vsmmu, 0xff), 0);
	assert_int_equal(smmuinv_vsmmu_remove_stream(vmm->vm.vsmmu, VM_VSID),
			 0);
	assert_int_equal(smmuinv_vsmmu_remove_stream(vmm->vm.vsmmu, 0x100), 0);
	assert_int_equal(smmuinv_vsmmu_remove_stream(vmm->vm.vsmmu, UINT32_MAX),
			 0);
}

static void
a_stream_that_a_callback_removes_is_no_longer_presented(void **state)
{
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open(&vmm);
	vmm.meddle = remove_some;
	vm_write(&vmm.q, cfgi_all());
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_int_equal(vmm.call_count, 1 + STREAMS - 2);
	for (i = 1; i < vmm.call_count; i++) {
		assert_int_not_equal(vmm.calls[i].first, 0x100);
		assert_int_not_equal(vmm.calls[i].first, UINT32_MAX);
	}
	assert_cds_are_gone(&vmm, 0, UINT32_MAX);
	assert_int_equal(vmm.q.progress.host_commands, STREAMS - 4);
	vmm_close(&vmm);
}

/* Each callback in turn. */
static void failing(struct vmm *vmm)
{
	uint32_t at;

	for (at = 1; at <= 1 + STREAMS; at++) {
		begin(vmm);
		vm_write(&vmm->q, tlbi_va(0x1000));
		vm_write(&vmm->q, cfgi_all());
		vmm->fail_at = at;
		assert_int_equal(vm_consume(&vmm->q), -ENODATA);
		assert_int_equal(vmm->q.progress.consumed, 1);
		assert_int_equal(vmm->q.progress.vmm, 0);
		assert_int_equal(vmm->q.progress.fault.source,
				 SMMUINV_SOURCE_CALLBACK);
		assert_int_equal(vmm->q.progress.fault.callback,
				 at > 1 ? SMMUINV_CALLBACK_CFGI_STE :
					  SMMUINV_CALLBACK_CFGI_STE_RANGE);
		assert_int_equal(vmm->call_count, at);
		if (at > 1)
			assert_int_equal(vmm->calls[at - 1].first,
					 vsids[at - 2]);
		/* Of the library's own, nothing yet. */
		assert_int_equal(vm_executed(&vmm->vm, 0), 1);
		vmm->fail_at = 0;
		begin(vmm);
		assert_int_equal(vm_consume(&vmm->q), 1);
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

/* Whatever it took. */
static void check_gone_at_sync(struct vmm *vmm, const struct call *call)
{
	size_t i;

	for (i = 0; i < STREAMS && call->what == 's'; i++)
		assert_false(smmuinv_caches_has(vmm->caches, i));
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
	vm_write(&vmm->q, cfgi_all());
	vm_write(&vmm->q, cmd_sync());
	assert_int_equal(vm_consume(&vmm->q), 2);
	assert_int_equal(vmm->calls[vmm->call_count - 1].what, 's');
	vmm->meddle = NULL;

	begin(vmm);
	vm_write(&vmm->q, cfgi_all());
	vm_write(&vmm->q, later);
	vm_write(&vmm->q, cmd_sync());
	assert_int_equal(vm_consume(&vmm->q), 3);
	assert_true(vm_last_call(&vmm->vm, &cds) >= 0);
	assert_true(vm_last_call(&vmm->vm, &cds) <
		    vm_last_call(&vmm->vm, &later));

	/* And after what was before it. */
	begin(vmm);
	vm_write(&vmm->q, later);
	vm_write(&vmm->q, cfgi_all());
	vm_write(&vmm->q, cfgi_ste_leaf(1, true));
	assert_int_equal(vm_consume(&vmm->q), 3);
	assert_true(vm_last_call(&vmm->vm, &later) <
		    vm_last_call(&vmm->vm, &cds));
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

/* Each call of those that it takes. */
static void the_hosts_failure_leaves_the_command_to_be_tried_again(void **state)
{
	static const int errors[] = { -EFAULT, -ENOENT, -EPERM };
	uint32_t window, pass;
	size_t e;

	(void)state;
	for (window = 1; window <= STREAMS; window++) {
		uint32_t calls = (uint32_t)(STREAMS + window - 1) / window;

		for (e = 0; e < ARRAY_SIZE(errors); e++) {
			for (pass = 0; pass < calls; pass++) {
				const struct vm_queue_options queue = {
					.ops = &all_ops,
					.way = (enum vm_way)(pass % VM_WAYS),
					.window = window,
				};
				struct vmm vmm;

				vmm_open_with(&vmm, SMMUINV_PLAN_AS_WRITTEN,
					      &queue);
				vm_fail(&vmm.vm, 0, pass, errors[e]);
				vm_write(&vmm.q, cfgi_all());
				vm_write(&vmm.q, cmd_sync());
				assert_int_equal(vm_consume(&vmm.q), errors[e]);
				vm_fail(&vmm.vm, 0, 0, 0);
				assert_int_equal(vmm.q.progress.consumed, 0);
				assert_int_equal(vmm.q.progress.vmm, 0);
				assert_int_equal(vmm.q.progress.fault.source,
						 SMMUINV_SOURCE_HOST);
				assert_int_equal(vmm.q.progress.cerror,
						 SMMUINV_CERROR_NONE);
				assert_int_equal(vmm.settled_count, 0);
				smmuinv_caches_refill(vmm.caches);
				vmm.meddle = check_gone_at_sync;
				assert_int_equal(vm_consume(&vmm.q), 2);
				assert_int_equal(vmm.q.progress.vmm, 2);
				vmm_close(&vmm);
			}
		}
	}
}

/* Without memory the host is asked for less at a time. */
static void little_memory_of_the_hosts_does_not_show(void **state)
{
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm);
	vm_inject(&vmm.vm, 0, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
	vm_write(&vmm.q, cfgi_all());
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_cds_are_gone(&vmm, 0, UINT32_MAX);
	vmm_close(&vmm);
}

/* It is gone for good: until the VMM removes its stream. */
static void a_device_that_is_gone_is_named_until_it_is_removed(void **state)
{
	struct vmm vmm;
	uint32_t tries;

	(void)state;
	vmm_open(&vmm);
	vm_lose_vdevice(&vmm.vm, 0xffff);
	vm_write(&vmm.q, cfgi_all());
	for (tries = 0; tries < 2; tries++) {
		assert_int_equal(vm_consume(&vmm.q), -ENODEV);
		assert_true(vmm.q.progress.fault.vsid == 0xffff);
		assert_int_equal(vmm.q.progress.fault.source,
				 SMMUINV_SOURCE_HOST);
	}
	vm_unplug(&vmm.vm, 0xffff);
	begin(&vmm);
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_cds_are_gone(&vmm, 0, UINT32_MAX);
	vmm_close(&vmm);
}

/* Of many streams it does all, and begins no more of it in that call. */
static void storm(uint32_t work_max, uint32_t window)
{
	enum { MANY = CALLS - 2, TIMES = 4 };
	const struct vm_options options = { .empty = true };
	const struct vm_queue_options queue = {
		.ops = &all_ops,
		.log2size = LOG2SIZE,
		.window = window,
		.work_max = work_max,
	};
	struct vmm vmm;
	uint32_t i, calls;

	memset(&vmm, 0, sizeof(vmm));
	vm_open_with(&vmm.vm, &options);
	for (i = 0; i < MANY; i++)
		vm_plug(&vmm.vm, 3 * i);
	vm_queue_open(&vmm.q, vmm.vm.vsmmu, &queue);
	for (i = 0; i < TIMES; i++) {
		vm_write(&vmm.q, cfgi_all());
		vm_write(&vmm.q, tlbi_va(0x1000));
	}
	for (calls = 0; vmm.q.cons != vmm.q.prod; calls++) {
		vmm.call_count = 0;
		vm_forget(&vmm.vm);
		assert_true(vm_consume(&vmm.q) > 0);
		assert_int_equal(vmm.q.progress.more, vmm.q.cons != vmm.q.prod);
		assert_true(vmm.call_count <= 1 + MANY);
		for (i = 1; i < vmm.call_count; i++)
			assert_int_equal(vmm.calls[i].first, 3 * (i - 1));
		for (i = 0; i < MANY && vmm.call_count; i++) {
			const struct smmuinv_command cds = cfgi_cd_all(3 * i);

			assert_int_equal(vm_times(&vmm.vm, 0, &cds), 1);
		}
	}
	assert_true(calls >= TIMES);
	vm_queue_close(&vmm.q);
	vm_close(&vmm.vm);
}

static void a_call_does_all_of_one_cfgi_all_and_begins_no_other(void **state)
{
	uint32_t work_max, window;

	(void)state;
	for (work_max = 1; work_max <= 50; work_max += 7) {
		for (window = 1; window < 12; window += 3)
			storm(work_max, window);
	}
}

/* What the library does of itself is not reported as the guest's. */
static void own(struct vmm *vmm)
{
	struct smmuinv_counters before = vm_counters(&vmm->vm);
	struct smmuinv_counters now;

	begin(vmm);
	vm_write(&vmm->q, cfgi_all());
	vm_write(&vmm->q, cmd_sync());
	assert_int_equal(vm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.progress.forwarded, 0);
	assert_int_equal(vmm->q.progress.dropped, 0);
	assert_int_equal(vmm->q.progress.vmm, 2);
	assert_int_equal(vmm->q.progress.host_commands, STREAMS);
	if (vmm->settled_count) {
		assert_int_equal(vmm->settled_count, 2);
	}
	now = vm_counters(&vmm->vm);
	assert_int_equal(now.read - before.read, 2);
	assert_int_equal(now.vmm - before.vmm, 2);
	assert_int_equal(now.forwarded - before.forwarded, 0);
	assert_int_equal(now.dropped - before.dropped, 0);
	assert_int_equal(now.host_commands - before.host_commands, STREAMS);
	assert_int_equal(now.ioctls - before.ioctls, vmm->vm.call_count);
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
			streams_that_were_attached_anew_cost_the_host_nothing),
		cmocka_unit_test(equal_neighbours_are_done_once),
		cmocka_unit_test(equals_with_something_between_are_done_each),
		cmocka_unit_test(
			without_callbacks_the_cds_are_invalidated_all_the_same),
		cmocka_unit_test(either_callback_may_be_missing),
		cmocka_unit_test(
			a_stream_that_a_callback_adds_further_on_is_presented_too),
		cmocka_unit_test(
			a_stream_that_a_callback_removes_is_no_longer_presented),
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
			a_device_that_is_gone_is_named_until_it_is_removed),
		cmocka_unit_test(
			a_call_does_all_of_one_cfgi_all_and_begins_no_other),
		cmocka_unit_test(
			the_librarys_own_commands_do_not_count_as_the_guests),
	};

	return cmocka_run_group_tests_name("cfgi_ste", tests, NULL, NULL);
}
