/* SPDX-License-Identifier: MIT */
/*
 * Windows of a queue, by a text: what goes down in which order and in how many
 * calls, when CMD_SYNCs are signaled, and what a device that does not answer
 * owes. Sections are those of Arm IHI 0070.
 */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "vm.h"

#define LOG2SIZE 4
#define SIZE     (1u << LOG2SIZE)
#define OTHER    0x20

struct guest {
	struct vm_queue q; /* first */
	struct vm vm;
	uint32_t plan;
	const char *text;
	uint32_t signaled[SIZE + 1]; /* MSIData of CMD_SYNCs, in order */
	uint32_t signal_count;
	uint32_t failing; /* MSIData of the CMD_SYNC whose callback fails */
	bool judge;       /* what a CMD_SYNC covers has been executed */
	uint32_t settled;
};

#define NO_SYNC UINT32_MAX

/*
 * C: CFGI_CD, T: TLBI_NH_VA for leaves, A: ATC_INV, B: ATC_INV of another
 * device, S: CMD_SYNC. No two of them have anything in common.
 */
static struct smmuinv_command of_letter(char letter, uint32_t n)
{
	switch (letter) {
	case 'C':
		return raw((uint64_t)VM_VSID << 32 | n << 12 |
				   SMMUINV_CMD_CFGI_CD,
			   1);
	case 'T':
		return tlbi_va((uint64_t)n << 13);
	case 'A':
		return atc_inv(VM_VSID, (uint64_t)n << 13);
	case 'B':
		return atc_inv(OTHER, (uint64_t)n << 13);
	default:
		return cmd_sync_msi(n);
	}
}

/* Everything before the @n th letter has been executed. */
static void assert_executed_before(struct guest *g, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct smmuinv_command command = of_letter(g->text[i], i);

		if (g->text[i] != 'S')
			assert_true(vm_times(&g->vm, 0, &command) > 0);
	}
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct guest *g = opaque;

	if (sync->msi_data == g->failing)
		return -ENODATA;
	if (g->judge)
		assert_executed_before(g, sync->msi_data);
	assert_true(g->signal_count <= SIZE);
	g->signaled[g->signal_count++] = sync->msi_data;
	return 0;
}

static void on_settled(void *opaque, uint32_t index,
		       const struct smmuinv_command *command, uint32_t fate,
		       uint32_t rule)
{
	struct guest *g = opaque;

	(void)index;
	(void)command;
	(void)fate;
	(void)rule;
	g->settled++;
}

static const struct smmuinv_queue_ops ops = {
	.size = sizeof(ops),
	.read = vm_queue_read,
	.sync = on_sync,
	.settled = on_settled,
};

static void guest_open(struct guest *g, const struct vm_options *options,
		       enum vm_way way, uint32_t window)
{
	const struct vm_queue_options queue = {
		.ops = &ops,
		.way = way,
		.log2size = LOG2SIZE,
		.window = window,
	};

	memset(g, 0, sizeof(*g));
	g->failing = NO_SYNC;
	g->judge = true;
	g->plan = options->plan;
	vm_open_with(&g->vm, options);
	vm_plug(&g->vm, OTHER);
	vm_queue_open(&g->q, g->vm.vsmmu, &queue);
}

static void guest_close(struct guest *g)
{
	vm_queue_close(&g->q);
	vm_close(&g->vm);
}

/* Every plan, and every way to read a queue. */
static void with_each(uint32_t window, void (*test)(struct guest *g))
{
	uint32_t p;

	for (p = 0; p < 2 * VM_WAYS; p++) {
		const struct vm_options options = { .plan = p % 2 };
		struct guest g;

		guest_open(&g, &options, (enum vm_way)(p / 2), window);
		test(&g);
		guest_close(&g);
	}
}

static void write_text(struct guest *g, const char *text)
{
	uint32_t i;

	g->text = text;
	g->signal_count = g->settled = 0;
	g->q.prod = g->q.cons = 0;
	vm_forget(&g->vm);
	for (i = 0; text[i]; i++)
		vm_write(&g->q, of_letter(text[i], i));
}

/* The CMD_SYNCs before the @n th letter were signaled, in order, and no more.
 */
static void assert_signaled_before(const struct guest *g, uint32_t n)
{
	uint32_t signaled = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (g->text[i] != 'S')
			continue;
		assert_true(signaled < g->signal_count);
		assert_int_equal(g->signaled[signaled++], i);
	}
	assert_int_equal(g->signal_count, signaled);
}

static void assert_text_is_consumed(struct guest *g, const char *text)
{
	const struct smmuinv_progress *p = &g->q.progress;
	uint32_t n = (uint32_t)strlen(text);

	write_text(g, text);
	assert_int_equal(vm_consume(&g->q), n);
	assert_int_equal(p->cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(p->fault.source, SMMUINV_SOURCE_NONE);
	assert_int_equal(p->ioctls, g->vm.call_count);
	assert_int_equal(p->forwarded + p->vmm, n);
	assert_executed_before(g, n);
	assert_signaled_before(g, n);
}

/* As written, a call ends at a CMD_SYNC, and where ATC_INVs begin or end. */
static uint32_t calls_as_written(const char *text)
{
	uint32_t calls = 0;
	char last = 'S';

	for (; *text; text++) {
		bool atc = *text == 'A' || *text == 'B';

		if (*text != 'S')
			calls += last == 'S' || atc != (last == 'A');
		last = *text == 'B' ? 'A' : *text;
	}
	return calls;
}

static void one_kind(struct guest *g)
{
	const char *const texts[] = { "TSTTSSTS", "ASAS", "CSCCS", "STSS" };
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_text_is_consumed(g, texts[i]);
		assert_int_equal(g->vm.call_count,
				 g->plan == SMMUINV_PLAN_MERGED ?
					 1 :
					 calls_as_written(texts[i]));
	}
}

static void
runs_of_one_kind_between_syncs_are_merged_into_one_call(void **state)
{
	(void)state;
	with_each(0, one_kind);
}

static int rank_of(char letter)
{
	return letter == 'C' ? 0 : letter == 'T' ? 1 : 2;
}

/* What a CMD_SYNC puts after something of a lower rank is in a later call. */
static void assert_ranks_in_order(struct guest *g)
{
	uint32_t a, b;

	for (a = 0; g->text[a]; a++) {
		const struct smmuinv_command first = of_letter(g->text[a], a);
		bool separated = false;

		for (b = a + 1; g->text[b] && g->text[a] != 'S'; b++) {
			const struct smmuinv_command then =
				of_letter(g->text[b], b);

			separated |= g->text[b] == 'S';
			if (!separated || g->text[b] == 'S' ||
			    rank_of(g->text[a]) >= rank_of(g->text[b]))
				continue;
			assert_true(vm_last_call(&g->vm, &first) <
				    vm_first_call(&g->vm, &then));
		}
	}
}

/* ATC_INVs are in no call with anything else. */
static void assert_atc_invs_are_apart(struct guest *g)
{
	uint32_t i, k;

	for (i = 0; i < g->vm.call_count; i++) {
		const struct vm_call *call = &g->vm.calls[i];

		for (k = 1; k < call->count; k++)
			assert_int_equal(
				smmuinv_command_opcode(&call->commands[k]) ==
					SMMUINV_CMD_ATC_INV,
				smmuinv_command_opcode(&call->commands[0]) ==
					SMMUINV_CMD_ATC_INV);
	}
}

static void orders(struct guest *g)
{
	static const struct {
		const char *text;
		uint32_t calls; /* at most */
	} cases[] = {
		{ "TSAS", 2 },
		{ "CSTS", 2 },
		{ "CSAS", 2 },
		{ "CSTSAS", 3 },
		{ "TSSAS", 2 },
		{ "CTAS", 2 },
		{ "ATCS", 2 },
		/* In the opposite order the guest cannot rely on it. */
		{ "ASTS", 2 },
		{ "TSCS", 1 },
		{ "ASCS", 2 },
		{ "ASTSCS", 2 },
		{ "ABSBAS", 1 },
	};
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_text_is_consumed(g, cases[i].text);
		assert_ranks_in_order(g);
		assert_atc_invs_are_apart(g);
		if (g->plan == SMMUINV_PLAN_MERGED)
			assert_true(g->vm.call_count <= cases[i].calls);
		else
			assert_int_equal(g->vm.call_count,
					 calls_as_written(cases[i].text));
	}
}

static void a_call_ends_only_where_order_or_an_atc_inv_needs_it(void **state)
{
	(void)state;
	with_each(0, orders);
}

static void random_orders(struct guest *g)
{
	char text[SIZE + 1] = { 0 };
	size_t round;
	uint32_t i;

	for (round = 0; round < test_iterations(3000); round++) {
		for (i = 0; i < SIZE; i++)
			text[i] = "CTABSS"[test_random_below(6)];
		assert_text_is_consumed(g, text);
		assert_ranks_in_order(g);
		assert_atc_invs_are_apart(g);
	}
}

static void ranks_are_in_order_in_random_windows(void **state)
{
	(void)state;
	with_each(0, random_orders);
}

static void few_calls(struct guest *g)
{
	char text[SIZE + 1] = { 0 };
	size_t round;
	uint32_t i;

	for (round = 0; round < test_iterations(3000); round++) {
		for (i = 0; i < SIZE; i++)
			text[i] = "CTASS"[test_random_below(5)];
		assert_text_is_consumed(g, text);
		assert_true(g->vm.call_count <= 3);
	}
}

/* Merged, a window of these three ranks takes a call for each. */
static void a_merged_window_takes_a_call_for_each_rank_at_most(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct guest g;

	(void)state;
	guest_open(&g, &options, VM_IN_PLACE, 0);
	few_calls(&g);
	guest_close(&g);
}

#define WINDOW_TEXT "CSTTSASTSASCSTAS"

/* Everything else is consumed now, whatever was before. */
static void assert_rest_is_consumed(struct guest *g)
{
	uint32_t n = (uint32_t)strlen(g->text);
	uint32_t left = n - g->q.cons;

	assert_int_equal(vm_consume(&g->q), left);
	assert_int_equal(g->q.cons, g->q.prod);
	assert_executed_before(g, n);
	assert_signaled_before(g, n);
}

/* Refused are the command and what covers it. */
static void refusals(struct guest *g)
{
	uint32_t bad;

	for (bad = 0; bad < SIZE; bad++) {
		char letter = WINDOW_TEXT[bad];
		const struct smmuinv_command refused[] = {
			of_letter(letter, bad),
			letter == 'T' ? tlbi_all() : cfgi_cd_all(VM_VSID),
		};
		const struct smmuinv_fault *fault = &g->q.progress.fault;

		if (letter == 'S' || letter == 'A')
			continue;
		write_text(g, WINDOW_TEXT);
		g->vm.refused = refused;
		g->vm.refused_count = 2;
		assert_int_equal(vm_consume(&g->q),
				 letter == 'T' ? -EIO : -ENODEV);
		assert_int_equal(fault->source, SMMUINV_SOURCE_HOST);
		assert_true(fault->vsid ==
			    (letter == 'T' ? SMMUINV_VSID_NONE : VM_VSID));
		assert_int_equal(fault->viommu_id, g->vm.smmu[0].viommu);
		assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_NONE);
		/* Merged, a call after that stays undone, whatever is in it. */
		assert_true(g->q.cons <= bad);
		if (g->plan == SMMUINV_PLAN_AS_WRITTEN)
			assert_int_equal(g->q.cons, bad);
		assert_executed_before(g, g->q.cons);
		assert_signaled_before(g, g->q.cons);
		assert_int_equal(vm_times(&g->vm, 0, &refused[0]), 0);
		g->vm.refused_count = 0;
		assert_rest_is_consumed(g);
	}
}

static void cons_never_passes_a_refused_command(void **state)
{
	(void)state;
	with_each(0, refusals);
}

/* Whichever call it is that fails from then on. */
static void failures(struct guest *g)
{
	static const int errors[] = { -EFAULT, -ENOENT, -EINVAL, -ENOMEM };
	uint32_t e, after, tries;

	for (e = 0; e < ARRAY_SIZE(errors); e++) {
		for (after = 0; after < 7; after++) {
			write_text(g, WINDOW_TEXT);
			for (tries = 0; g->q.cons != g->q.prod; tries++) {
				int rc;

				assert_true(tries < 3);
				vm_fail(&g->vm, 0, after,
					tries < 2 ? errors[e] : 0);
				rc = vm_consume(&g->q);
				assert_true(rc == errors[e] || rc > 0);
				assert_signaled_before(g, g->q.cons);
				assert_executed_before(g, g->q.cons);
			}
			vm_fail(&g->vm, 0, 0, 0);
			assert_executed_before(g, SIZE);
		}
	}
}

static void no_failed_call_signals_a_sync_that_covers_it(void **state)
{
	(void)state;
	with_each(0, failures);
	with_each(3, failures);
}

static void failing_callbacks(struct guest *g)
{
	uint32_t n;

	for (n = 0; n < SIZE; n++) {
		if (WINDOW_TEXT[n] != 'S')
			continue;
		write_text(g, WINDOW_TEXT);
		g->failing = n;
		assert_int_equal(vm_consume(&g->q), -ENODATA);
		assert_int_equal(g->q.progress.fault.source,
				 SMMUINV_SOURCE_CALLBACK);
		assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(g->q.cons, n);
		assert_signaled_before(g, n);
		assert_executed_before(g, n);
		g->failing = NO_SYNC;
		assert_rest_is_consumed(g);
	}
}

static void a_sync_whose_callback_fails_is_where_the_queue_stops(void **state)
{
	(void)state;
	with_each(0, failing_callbacks);
}

static void only_syncs(struct guest *g)
{
	assert_text_is_consumed(g, "SSSSSSSSSSSSSSSS");
	assert_int_equal(g->vm.call_count, 0);
	assert_text_is_consumed(g, "TSSSSTSSSSSATSSS");
	assert_ranks_in_order(g);
}

static void more_syncs_than_a_window_has_places_come_in_order(void **state)
{
	uint32_t window;

	(void)state;
	for (window = 1; window <= SIZE; window++)
		with_each(window, only_syncs);
}

/* Pages that are ranges to a guest with one granule. */
static void
pages_in_a_row_are_one_host_command_and_all_are_counted(void **state)
{
	const struct smmuinv_features only_4k = everything_with(5, 0x94);
	uint32_t plan, i;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		const struct vm_options options = { .plan = plan,
						    .guest = &only_4k };
		struct guest g;

		guest_open(&g, &options, VM_SETTLED, 0);
		g.judge = false;
		for (i = 0; i < SIZE; i++)
			vm_write(&g.q, i % 5 == 4 ? cmd_sync() :
						    tlbi_va((uint64_t)i << 12));
		assert_int_equal(vm_consume(&g.q), SIZE);
		assert_int_equal(g.q.progress.ioctls,
				 plan == SMMUINV_PLAN_MERGED ? 1 : 4);
		assert_int_equal(g.q.progress.forwarded, 13);
		assert_int_equal(g.q.progress.vmm, 3);
		assert_int_equal(g.signal_count, 3);
		assert_int_equal(g.settled, SIZE);
		/* Every fifth page is missing. */
		assert_int_equal(g.q.progress.host_commands,
				 plan == SMMUINV_PLAN_MERGED ? 4 : 13);
		guest_close(&g);
	}
}

/* A device is silent: the text is consumed up to the CMD_SYNC @at. */
static void assert_stops_at(struct guest *g, uint32_t at, uint32_t silent)
{
	const struct smmuinv_progress *p = &g->q.progress;

	while (vm_consume(&g->q) >= 0 && !p->cerror)
		assert_int_not_equal(g->q.cons, g->q.prod);
	assert_int_equal(p->cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_int_equal(g->q.cons, at);
	assert_int_equal(p->fault.source, SMMUINV_SOURCE_HOST);
	assert_true(p->fault.vsid == silent);
	assert_int_equal(p->fault.viommu_id, g->vm.smmu[0].viommu);
	assert_signaled_before(g, at);
}

/* Everything but the device's ATC_INVs has been executed before the @n th. */
static void assert_others_executed(struct guest *g, uint32_t n, char silent)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		const struct smmuinv_command command = of_letter(g->text[i], i);

		if (g->text[i] != 'S' && g->text[i] != silent)
			assert_true(vm_times(&g->vm, 0, &command) > 0);
	}
}

/* 7.1: CERROR_ATC_INV_SYNC; which CMD_SYNC, wherever the ATC_INV is. */
static void timeouts(struct guest *g)
{
	static const struct {
		const char *text;
		uint32_t sync;
	} cases[] = {
		{ "AS", 1 },
		{ "TASTS", 2 },
		{ "TSASTSAS", 3 },
		{ "BSBSAS", 5 },
		{ "BABS", 3 },
		{ "TSSATTTTSS", 8 },
		{ "ACTBACTBACTBS", 12 },
		{ "AAAAAAAAAAAAAAAS", 15 },
	};
	uint32_t i, tries;

	g->judge = false;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct smmuinv_command all = atc_inv_all(VM_VSID);
		uint32_t n = (uint32_t)strlen(cases[i].text);
		uint32_t settled;

		write_text(g, cases[i].text);
		vm_hang(&g->vm, VM_VSID, SMMUINV_MOCK_SILENT);
		assert_stops_at(g, cases[i].sync, VM_VSID);
		assert_others_executed(g, cases[i].sync, 'A');
		settled = g->settled;
		assert_true(!settled || settled == cases[i].sync);
		/* The guest tries the CMD_SYNC again, in vain. */
		for (tries = 0; tries < 3; tries++) {
			assert_stops_at(g, cases[i].sync, VM_VSID);
			assert_int_equal(g->q.progress.consumed, 0);
			assert_true(g->q.progress.timeouts <= 5);
			assert_int_equal(g->settled, settled);
		}
		vm_hang(&g->vm, VM_VSID, SMMUINV_MOCK_ANSWERS);
		vm_forget(&g->vm);
		assert_int_equal(vm_consume(&g->q), n - cases[i].sync);
		assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_true(vm_times(&g->vm, 0, &all) > 0);
		assert_signaled_before(g, n);
		assert_false(vm_stream(&g->vm, VM_VSID).owes);
	}
	g->judge = true;
}

static void
a_timeout_stops_the_queue_at_the_first_sync_that_covers_it(void **state)
{
	uint32_t window;

	(void)state;
	for (window = 1; window <= SIZE; window++)
		with_each(window, timeouts);
}

/* The entries are the guest's again, and it uses them. */
static void overwrites(struct guest *g)
{
	const struct smmuinv_command all = atc_inv_all(VM_VSID);

	g->judge = false;
	write_text(g, "TAS");
	vm_hang(&g->vm, VM_VSID, SMMUINV_MOCK_SILENT);
	assert_stops_at(g, 2, VM_VSID);
	/* Instead of the CMD_SYNC it has other commands first. */
	g->q.prod = g->q.cons;
	vm_write(&g->q, cfgi_ste(0x42));
	vm_write(&g->q, tlbi_va(0x77000));
	vm_write(&g->q, cfgi_cd(0xbad));
	assert_int_equal(vm_consume(&g->q), 3);
	assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(g->q.progress.forwarded, 1);
	assert_int_equal(g->q.progress.dropped, 1);
	vm_write(&g->q, cmd_sync());
	assert_int_equal(vm_consume(&g->q), 0);
	assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	vm_hang(&g->vm, VM_VSID, SMMUINV_MOCK_ANSWERS);
	assert_int_equal(vm_consume(&g->q), 1);
	assert_true(vm_times(&g->vm, 0, &all) > 0);
	g->judge = true;
}

static void what_is_owed_does_not_depend_on_the_ring(void **state)
{
	(void)state;
	with_each(0, overwrites);
}

/* However few commands a call may consume, the guest gets to its CMD_SYNC. */
static void bounds(struct guest *g)
{
	uint32_t bound;

	g->judge = false;
	for (bound = 1; bound < 12; bound++) {
		g->q.max_commands = bound;
		write_text(g, "AAAAAAAAAAS");
		vm_hang(&g->vm, VM_VSID, SMMUINV_MOCK_SILENT);
		assert_stops_at(g, 10, VM_VSID);
		vm_hang(&g->vm, VM_VSID, SMMUINV_MOCK_ANSWERS);
		assert_int_equal(vm_consume(&g->q), 1);
		assert_signaled_before(g, 11);
	}
	g->q.max_commands = 0;
	g->judge = true;
}

static void a_bound_does_not_keep_a_timeout_from_its_sync(void **state)
{
	(void)state;
	with_each(0, bounds);
}

/* What settles a debt: whichever queue, ATS off, and an unplug. */
static void a_debt_is_the_streams_and_not_the_queues(void **state)
{
	const struct vm_queue_options queue = { .log2size = LOG2SIZE };
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct vm_queue second;
	struct guest g;

	(void)state;
	guest_open(&g, &options, VM_IN_PLACE, 0);
	g.judge = false;
	vm_queue_open(&second, g.vm.vsmmu, &queue);
	write_text(&g, "AS");
	vm_hang(&g.vm, VM_VSID, SMMUINV_MOCK_SILENT);
	assert_stops_at(&g, 1, VM_VSID);
	/* Every other command goes on, and any CMD_SYNC asks the device again.
	 */
	vm_write(&second, tlbi_va(0x1000));
	vm_write(&second, cmd_sync());
	assert_int_equal(vm_consume(&second), 1);
	assert_int_equal(second.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_true(second.progress.fault.vsid == VM_VSID);
	vm_hang(&g.vm, VM_VSID, SMMUINV_MOCK_ANSWERS);
	assert_int_equal(vm_consume(&second), 1);
	assert_false(vm_stream(&g.vm, VM_VSID).owes);
	vm_forget(&g.vm);
	assert_int_equal(vm_consume(&g.q), 1);
	assert_int_equal(g.vm.call_count, 0);

	write_text(&g, "AS");
	vm_hang(&g.vm, VM_VSID, SMMUINV_MOCK_SILENT);
	assert_stops_at(&g, 1, VM_VSID);
	vm_set_ats(&g.vm, VM_VSID, false);
	assert_int_equal(vm_consume(&g.q), 1);
	vm_set_ats(&g.vm, VM_VSID, true);

	write_text(&g, "AS");
	assert_stops_at(&g, 1, VM_VSID);
	vm_unplug(&g.vm, VM_VSID);
	assert_int_equal(vm_consume(&g.q), 1);
	vm_queue_close(&second);
	guest_close(&g);
}

/* The guest does not see a failure of the host. */
static void a_host_that_fails_is_no_unanswered_device(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };
	struct guest g;

	(void)state;
	guest_open(&g, &options, VM_IN_PLACE, 0);
	g.judge = false;
	write_text(&g, "AS");
	vm_hang(&g.vm, VM_VSID, SMMUINV_MOCK_SILENT);
	assert_stops_at(&g, 1, VM_VSID);
	vm_fail(&g.vm, 0, 0, -EFAULT);
	assert_int_equal(vm_consume(&g.q), -EFAULT);
	assert_int_equal(g.q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(g.q.progress.fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(g.q.cons, 1);
	vm_fail(&g.vm, 0, 0, 0);
	assert_stops_at(&g, 1, VM_VSID);
	vm_hang(&g.vm, VM_VSID, SMMUINV_MOCK_ANSWERS);
	assert_int_equal(vm_consume(&g.q), 1);
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(runs_of_one_kind_between_syncs_are_merged_into_one_call),
		T(a_call_ends_only_where_order_or_an_atc_inv_needs_it),
		T(ranks_are_in_order_in_random_windows),
		T(a_merged_window_takes_a_call_for_each_rank_at_most),
		T(cons_never_passes_a_refused_command),
		T(no_failed_call_signals_a_sync_that_covers_it),
		T(a_sync_whose_callback_fails_is_where_the_queue_stops),
		T(more_syncs_than_a_window_has_places_come_in_order),
		T(pages_in_a_row_are_one_host_command_and_all_are_counted),
		T(a_timeout_stops_the_queue_at_the_first_sync_that_covers_it),
		T(what_is_owed_does_not_depend_on_the_ring),
		T(a_bound_does_not_keep_a_timeout_from_its_sync),
		T(a_debt_is_the_streams_and_not_the_queues),
		T(a_host_that_fails_is_no_unanswered_device),
#undef T
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
