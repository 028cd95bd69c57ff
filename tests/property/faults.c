/* SPDX-License-Identifier: MIT */
/*
 * Every way in which a call can fail, for every batch of up to 130 commands: a
 * failure that goes away never shows, nothing is reported complete that was not
 * executed, and a retry from the reported place completes everything. The
 * number of cases is printed.
 *
 * Not testable: a call that reports full success and has not executed all.
 */
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm.h"

#define MANY 130
#define GONE 0x30

/* Two blocks of 63 and a bit, with one command each that can be told apart. */
static struct smmuinv_command commands[MANY];

static const int errors[] = {
	0,           -EIO,    -ETIMEDOUT, -ENOMEM, -EFAULT, -EINVAL, -ENOENT,
	-EOPNOTSUPP, -ENOTTY, -EINTR,     -EAGAIN, -EPERM,  -ENODEV,
};

static uint64_t cases;

static void make_commands(void)
{
	uint32_t i;

	for (i = 0; i < MANY; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
}

/* How often each page's TLBI was executed, and all of them. */
struct record {
	uint32_t times[MANY];
	uint32_t everything;
};

static void record_take(struct vm *vm, struct record *record)
{
	const struct smmuinv_mock_record *executed;
	size_t count = smmuinv_mock_executed(vm->mock, &executed);
	size_t i;

	for (i = 0; i < count; i++) {
		const struct smmuinv_command *c = &executed[i].command;
		uint64_t page = smmuinv_command_get(c, SMMUINV_FIELD_VA) >> 12;

		if (smmuinv_command_opcode(c) == SMMUINV_CMD_TLBI_NH_ALL)
			record->everything++;
		else
			record->times[page % MANY]++;
	}
	vm_forget(vm);
}

static void assert_executed(const struct record *record, uint32_t upto,
			    uint32_t times)
{
	uint32_t i;

	for (i = 0; i < upto; i++)
		assert_true(record->times[i] + record->everything >= times);
}

struct world {
	struct vm vm;
	struct smmuinv_batch *batch;
	uint32_t times; /* that the SMMU needs each command */
};

static void world_open(struct world *w, const struct vm_options *options)
{
	vm_open_with(&w->vm, options);
	w->times = options->smmu[0].hw_flags & SMMUINV_HW_INFO_REPEAT ? 2 : 1;
	assert_int_equal(smmuinv_batch_new(w->vm.vsmmu, MANY, &w->batch), 0);
}

static void world_close(struct world *w)
{
	smmuinv_batch_free(w->batch);
	vm_close(&w->vm);
}

static void add(struct world *w, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		assert_int_equal(
			smmuinv_batch_add(w->batch, &commands[i], NULL),
			SMMUINV_FORWARD);
}

/* Whatever was injected goes away within the budgets. */
static void flush_well(struct world *w, uint32_t n)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	struct record record = { .everything = 0 };

	vm_forget(&w->vm);
	if (smmuinv_batch_flush(w->batch, &result))
		fail_msg("%u commands: %d at %u after %u calls", n,
			 result.fault.error, result.fault_index, result.ioctls);
	assert_int_equal(result.completed, n);
	assert_int_equal(result.forwarded, n);
	record_take(&w->vm, &record);
	assert_executed(&record, n, w->times);
	assert_int_equal(smmuinv_mock_faults_left(w->vm.mock), 0);
	cases++;
}

/* A call that reports full success is the one that is left out. */
static bool is_hidden(uint32_t n, int error, uint32_t count)
{
	return !error && (count == n || count == SMMUINV_MOCK_COUNT_AS_GIVEN);
}

static void one_fault(struct world *w, uint32_t n, int error, uint32_t executed,
		      uint32_t count)
{
	if (is_hidden(n, error, count))
		return;
	add(w, n);
	vm_inject(&w->vm, 0, error, executed, count);
	flush_well(w, n);
}

/*
 * Every count that can be reported: right, wrong, and impossible. Only with
 * -EIO and success a count means anything; with others the longer batches have
 * the ends and the middle, unless SMMUINV_TEST_SLOW is set.
 */
static void every_count(struct world *w, uint32_t n, int error,
			uint32_t executed)
{
	bool all = !error || error == -EIO || n <= 40 ||
		   getenv("SMMUINV_TEST_SLOW");
	uint32_t count;

	for (count = 0; count <= n + 1; count++) {
		if (all || count < 2 || count == n / 2 || count + 1 >= n)
			one_fault(w, n, error, executed, count);
	}
	one_fault(w, n, error, executed, UINT32_MAX - 1);
	one_fault(w, n, error, executed, SMMUINV_MOCK_COUNT_AS_GIVEN);
}

static void announce(const char *what, uint64_t before)
{
	printf("%s: %" PRIu64 " cases\n", what, cases - before);
}

/* The lengths that random tests run with; all of them by default. */
static uint32_t length_step(void)
{
	size_t all = test_iterations(1000);

	return all >= 1000 ? 1 : (uint32_t)(1000 / all);
}

static void no_length_errno_execution_or_count_shows(void **state)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_AS_WRITTEN };
	uint64_t before = cases;
	uint32_t n, e, executed;
	struct world w;

	(void)state;
	make_commands();
	world_open(&w, &options);
	for (n = 1; n <= MANY; n += length_step()) {
		for (e = 0; e < ARRAY_SIZE(errors); e++) {
			for (executed = 0; executed <= n; executed++)
				every_count(&w, n, errors[e], executed);
		}
	}
	world_close(&w);
	announce("length, errno, execution and count", before);
}

/* A part that is sent again fails too, with every count. */
static void two_failures_in_a_row_do_not_show(void **state)
{
	enum { FEW = 12 };
	uint64_t before = cases;
	uint32_t plan, n, e, first, second;

	(void)state;
	make_commands();
	for (plan = 0; plan < 2; plan++) {
		const struct vm_options options = { .plan = plan };
		struct world w;

		world_open(&w, &options);
		for (n = 2; n <= FEW; n++) {
			for (first = 0; first < n; first++) {
				for (e = 1; e < ARRAY_SIZE(errors); e++) {
					for (second = 0; second <= n;
					     second++) {
						add(&w, n);
						vm_inject(&w.vm, 0, -EIO, 0,
							  first);
						vm_inject(&w.vm, 0, errors[e],
							  second / 2, second);
						flush_well(&w, n);
					}
				}
			}
		}
		world_close(&w);
	}
	announce("two failures in a row", before);
}

/* Each pair of errnos, on each of the first calls. */
static void two_failures_apart_do_not_show(void **state)
{
	enum { FEW = 9 };
	uint64_t before = cases;
	uint32_t n, a, b, pass;

	(void)state;
	make_commands();
	for (n = 1; n <= FEW; n++) {
		const struct vm_options options = { .plan = n % 2 };
		struct world w;

		world_open(&w, &options);
		for (a = 1; a < ARRAY_SIZE(errors); a++) {
			for (b = 1; b < ARRAY_SIZE(errors); b++) {
				struct smmuinv_mock_fault second = {
					.size = sizeof(second),
					.error = errors[b],
				};

				for (pass = 0; pass < 4; pass++) {
					add(&w, n);
					vm_inject(&w.vm, 0, errors[a], 0,
						  n / 2);
					second.pass = pass;
					vm_inject_fault(&w.vm, 0, &second);
					/* Perhaps there are fewer calls. */
					while (smmuinv_mock_faults_left(
						w.vm.mock)) {
						smmuinv_batch_flush(w.batch,
								    NULL);
						add(&w, n);
					}
					flush_well(&w, n);
				}
			}
		}
		world_close(&w);
	}
	announce("two failures apart", before);
}

/* A device goes away before the call; its CD invalidation is at every place. */
static void a_vanished_device(struct world *w, uint32_t n, uint32_t at)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.vanish = true,
		.vsid = GONE,
	};
	struct smmuinv_result result = { .size = sizeof(result) };
	const struct smmuinv_command cd = cfgi_cd(GONE);
	struct record record = { .everything = 0 };
	uint32_t i;

	vm_plug(&w->vm, GONE);
	for (i = 0; i < n; i++)
		assert_int_equal(smmuinv_batch_add(w->batch,
						   i == at ? &cd : &commands[i],
						   NULL),
				 SMMUINV_FORWARD);
	vm_inject_fault(&w->vm, 0, &fault);
	vm_forget(&w->vm);
	assert_int_equal(smmuinv_batch_flush(w->batch, &result), -ENODEV);
	assert_int_equal(result.completed, at);
	assert_true(result.fault.vsid == GONE);
	record_take(&w->vm, &record);
	assert_executed(&record, at, 1);
	/* The VMM removes the stream. */
	vm_unplug(&w->vm, GONE);
	assert_int_equal(smmuinv_batch_flush(w->batch, &result), 0);
	assert_int_equal(result.completed, n - at);
	record_take(&w->vm, &record);
	record.times[at] = 1;
	assert_executed(&record, n, 1);
	cases++;
}

static void a_device_that_vanishes_hides_nothing_on_any_kernel(void **state)
{
	uint64_t before = cases;
	uint32_t kernel, n, at;

	(void)state;
	make_commands();
	for (kernel = 0; kernel <= SMMUINV_MOCK_EXACT_QUARANTINE; kernel++) {
		const struct vm_options options = {
			.kernel = kernel,
			.plan = kernel % 2,
		};
		struct world w;

		world_open(&w, &options);
		for (n = 1; n <= MANY; n += length_step()) {
			for (at = 0; at < n; at++)
				a_vanished_device(&w, n, at);
		}
		assert_int_equal(smmuinv_mock_wedged(w.vm.mock), 0);
		world_close(&w);
	}
	announce("vanished device, every place and kernel", before);
}

static void with_the_erratum_nothing_is_complete_after_one_round(void **state)
{
	enum { FEW = 20 };
	uint64_t before = cases;
	uint32_t plan, n, e, pass, count;

	(void)state;
	make_commands();
	for (plan = 0; plan < 2; plan++) {
		const struct vm_options options = {
			.plan = plan,
			.smmu[0].hw_flags = SMMUINV_HW_INFO_REPEAT,
		};
		struct world w;

		world_open(&w, &options);
		for (n = 1; n <= FEW; n++) {
			for (e = 1; e < ARRAY_SIZE(errors); e++) {
				for (pass = 0; pass < 2; pass++) {
					for (count = 0; count <= n; count++) {
						struct smmuinv_mock_fault
							fault = {
								.size = sizeof(
									fault),
								.pass = pass,
								.error = errors
									[e],
								.count = count,
							};

						add(&w, n);
						vm_inject_fault(&w.vm, 0,
								&fault);
						flush_well(&w, n);
					}
				}
			}
		}
		world_close(&w);
	}
	announce("erratum, both rounds", before);
}

/* A guest's queue: commands, and a CMD_SYNC that covers them. */
struct guest {
	struct vm_queue q; /* first */
	struct vm vm;
	struct record record;
	uint32_t expected; /* commands before the CMD_SYNC */
	uint32_t syncs;
};

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct guest *g = opaque;

	(void)sync;
	record_take(&g->vm, &g->record);
	assert_executed(&g->record, g->expected, 1);
	g->syncs++;
	return 0;
}

static void one_queue_case(struct guest *g, uint32_t n, uint32_t atc, int error,
			   uint32_t executed, uint32_t count)
{
	uint32_t i;

	memset(&g->record, 0, sizeof(g->record));
	g->q.prod = g->q.cons = 0;
	/* The page number tells an ATC_INV apart, as it does the others. */
	for (i = 0; i < n; i++)
		vm_write(&g->q, i == atc ? atc_inv(VM_VSID, (uint64_t)i << 12) :
					   commands[i]);
	vm_write(&g->q, cmd_sync());
	g->expected = n;
	g->syncs = 0;
	vm_forget(&g->vm);
	vm_inject(&g->vm, 0, error, executed, count);
	assert_int_equal(vm_consume(&g->q), n + 1);
	assert_int_equal(g->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(g->syncs, 1);
	assert_int_equal(smmuinv_mock_faults_left(g->vm.mock), 0);
	cases++;
}

/* With no ATC_INV in the window, and with one first, in the middle and last. */
static void no_sync_completes_before_everything_is_executed(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.sync = on_sync,
	};
	const struct vm_queue_options queue = { .ops = &ops, .log2size = 8 };
	uint64_t before = cases;
	uint32_t kernel, n, e, at;
	struct guest g;

	(void)state;
	make_commands();
	for (kernel = 0; kernel <= SMMUINV_MOCK_EXACT_QUARANTINE; kernel++) {
		const struct vm_options options = {
			.kernel = kernel,
			.plan = SMMUINV_PLAN_AS_WRITTEN,
		};

		memset(&g, 0, sizeof(g));
		vm_open_with(&g.vm, &options);
		vm_queue_open(&g.q, g.vm.vsmmu, &queue);
		for (n = 1; n <= MANY; n += length_step()) {
			const uint32_t atc[] = { MANY, 0, n / 2, n - 1 };

			for (e = 1; e < ARRAY_SIZE(errors); e++) {
				for (at = 0; at < n; at++)
					one_queue_case(&g, n, atc[(at + e) % 4],
						       errors[e], at / 2, at);
			}
		}
		assert_int_equal(smmuinv_mock_wedged(g.vm.mock), 0);
		vm_queue_close(&g.q);
		vm_close(&g.vm);
	}
	announce("a queue with a CMD_SYNC, every kernel", before);
}

/*
 * Windows that are merged, by a text. P: the next page, Q: a page elsewhere, R:
 * a range of five, D: the first page again, C: CFGI_CD, A: ATC_INV of the next
 * page, S: CMD_SYNC.
 */
static const char *const windows[] = {
	"PPPPPP",        "QQQQ",        "PDQDPD",       "RPRQR",
	"CPPSPPSAAAA",   "AASPPSCCS",   "CSPSASCSPSAS", "PSPSPASPASS",
	"DAQASDCSPDRSA", "SPRSRPSAASA",
};

/* The modelled caches have an entry for each letter, which it removes. */
static struct smmuinv_cache_entry entry_of(char letter, uint32_t n)
{
	struct smmuinv_cache_entry entry = {
		.size = sizeof(entry),
		.kind = SMMUINV_CACHED_LEAF,
		.tg = SMMUINV_TG_4K,
		.level = 3,
		.asid = 5,
		.address = (uint64_t)n << 12,
		.length = 4096,
		.sid = VM_VSID,
		.ssid = n,
	};

	switch (letter) {
	case 'Q':
		entry.address <<= 12;
		break;
	case 'R':
		entry.address += 4 << 12;
		break;
	case 'D':
		entry.address = 0;
		break;
	case 'A':
		entry.kind = SMMUINV_CACHED_ATC;
		break;
	case 'C':
	case 'S':
		entry.kind = SMMUINV_CACHED_CD;
		break;
	default:
		break;
	}
	return entry;
}

static struct smmuinv_command command_of(char letter, uint32_t n)
{
	uint64_t va = entry_of(letter, n).address;

	switch (letter) {
	case 'R':
		return raw(UINT64_C(5) << 48 | 4 << 12 | SMMUINV_CMD_TLBI_NH_VA,
			   (uint64_t)n << 12 | SMMUINV_TG_4K << 10 | 1);
	case 'A':
		return atc_inv(VM_VSID, va);
	case 'C':
		return raw((uint64_t)VM_VSID << 32 | (uint64_t)n << 12 |
				   SMMUINV_CMD_CFGI_CD,
			   1);
	case 'S':
		return cmd_sync_msi(n);
	default:
		return tlbi_va(va);
	}
}

/* A window, and the machine that it is executed on. */
struct window {
	struct vm_queue q; /* first */
	struct vm vm;
	struct smmuinv_caches *caches;
	struct smmuinv_batch *batch;
	const char *text;
	uint32_t length; /* letters */
	uint32_t signaled;
};

static void assert_gone(const struct window *w, uint32_t upto)
{
	uint32_t i;

	for (i = 0; i < upto; i++) {
		if (w->text[i] != 'S' && smmuinv_caches_has(w->caches, i))
			fail_msg("%s: %u is not done", w->text, i);
	}
}

static int on_window_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct window *w = opaque;

	assert_gone(w, sync->msi_data);
	assert_true(sync->msi_data >= w->signaled);
	w->signaled = sync->msi_data + 1;
	return 0;
}

static const struct smmuinv_queue_ops window_ops = {
	.size = sizeof(window_ops),
	.sync = on_window_sync,
};

static void window_open(struct window *w, const char *text, bool ril)
{
	/* The 4K granule only */
	const struct smmuinv_features guest = everything_with(5, 0x14);
	const struct smmuinv_features no_ril = everything_with(3, 0);
	struct vm_options options = {
		.guest = &guest,
		.host = ril ? &everything : &no_ril,
	};
	const struct vm_queue_options queue = { .ops = &window_ops,
						.log2size = 4 };
	uint32_t i;

	memset(w, 0, sizeof(*w));
	w->text = text;
	w->length = (uint32_t)strlen(text);
	assert_int_equal(smmuinv_caches_new(w->length, &w->caches), 0);
	for (i = 0; i < w->length; i++) {
		const struct smmuinv_cache_entry entry = entry_of(text[i], i);

		assert_int_equal(smmuinv_caches_insert(w->caches, &entry), i);
	}
	options.smmu[0].caches = w->caches;
	vm_open_with(&w->vm, &options);
	assert_int_equal(smmuinv_batch_new(w->vm.vsmmu, 32, &w->batch), 0);
	vm_queue_open(&w->q, w->vm.vsmmu, &queue);
}

static void window_close(struct window *w)
{
	vm_queue_close(&w->q);
	smmuinv_batch_free(w->batch);
	vm_close(&w->vm);
	smmuinv_caches_free(w->caches);
}

/* The window had fewer calls than would have let the fault happen. */
static void drain(struct window *w)
{
	while (smmuinv_mock_faults_left(w->vm.mock)) {
		assert_int_equal(
			smmuinv_batch_add(w->batch, &commands[0], NULL),
			SMMUINV_FORWARD);
		(void)smmuinv_batch_flush(w->batch, NULL);
		smmuinv_batch_clear(w->batch);
	}
}

static void merged_batch(struct window *w)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	uint32_t i;

	smmuinv_caches_refill(w->caches);
	for (i = 0; i < w->length; i++) {
		const struct smmuinv_command command =
			command_of(w->text[i], i);

		if (w->text[i] == 'S')
			assert_int_equal(smmuinv_batch_sync(w->batch), 0);
		else
			assert_int_equal(
				smmuinv_batch_add(w->batch, &command, NULL),
				SMMUINV_FORWARD);
	}
	assert_int_equal(smmuinv_batch_flush(w->batch, &result), 0);
	assert_gone(w, w->length);
	cases++;
}

static void merged_queue(struct window *w)
{
	uint32_t i;

	smmuinv_caches_refill(w->caches);
	w->signaled = 0;
	w->q.prod = w->q.cons = 0;
	for (i = 0; i < w->length; i++)
		vm_write(&w->q, command_of(w->text[i], i));
	vm_write(&w->q, command_of('S', i));
	assert_int_equal(vm_consume(&w->q), w->length + 1);
	assert_int_equal(w->signaled, w->length + 1);
	assert_gone(w, w->length);
	cases++;
}

static void merged_fault(struct window *w, uint32_t pass, int error,
			 uint32_t executed, uint32_t count)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = pass,
		.error = error,
		.executed = executed,
		.count = count,
	};

	/* A call that may report that it has done all is left out. */
	if (!error && count && count <= w->length * 5)
		return;
	vm_inject_fault(&w->vm, 0, &fault);
	merged_batch(w);
	drain(w);
	vm_inject_fault(&w->vm, 0, &fault);
	merged_queue(w);
	drain(w);
}

static void every_merged_count(struct window *w, uint32_t pass, int error,
			       uint32_t executed)
{
	uint32_t count;

	for (count = 0; count <= w->length + 1; count++)
		merged_fault(w, pass, error, executed, count);
	merged_fault(w, pass, error, executed, UINT32_MAX - 1);
	if (error)
		merged_fault(w, pass, error, executed,
			     SMMUINV_MOCK_COUNT_AS_GIVEN);
}

static void whatever_fails_of_a_merged_window_nothing_shows(void **state)
{
	uint64_t before = cases;
	uint32_t i, e, pass, executed;

	(void)state;
	make_commands();
	for (i = 0; i < 2 * ARRAY_SIZE(windows); i++) {
		struct window w;

		window_open(&w, windows[i / 2], i % 2);
		for (pass = 0; pass < 4; pass++) {
			for (e = 0; e < ARRAY_SIZE(errors); e++) {
				for (executed = 0; executed <= w.length;
				     executed += length_step())
					every_merged_count(&w, pass, errors[e],
							   executed);
			}
		}
		window_close(&w);
	}
	announce("merged windows, every call", before);
}

/*
 * More failures than the budgets allow: then the errno shows, and a retry from
 * where it says completes everything.
 */
static void what_shows_loses_nothing(void **state)
{
	size_t rounds = test_iterations(20000);
	uint64_t before = cases;
	uint64_t shown = 0;
	size_t round;

	(void)state;
	make_commands();
	for (round = 0; round < rounds; round++) {
		const struct vm_options options = {
			.plan = (uint32_t)test_random_below(2),
			.kernel = (uint32_t)test_random_below(
				SMMUINV_MOCK_EXACT_QUARANTINE + 1),
			.retries_max = 1 + (uint32_t)test_random_below(4),
			.timeouts_max = 1 + (uint32_t)test_random_below(2),
		};
		uint32_t n = 1 + (uint32_t)test_random_below(MANY);
		uint32_t faults = 1 + (uint32_t)test_random_below(12);
		struct record record = { .everything = 0 };
		uint32_t completed = 0;
		uint32_t tries, i;
		struct world w;

		world_open(&w, &options);
		add(&w, n);
		for (i = 0; i < faults; i++)
			vm_inject(&w.vm, 0,
				  errors[1 + test_random_below(
						     ARRAY_SIZE(errors) - 1)],
				  (uint32_t)test_random_below(n + 1),
				  (uint32_t)test_random_below(n + 2));
		for (tries = 0; completed < n; tries++) {
			struct smmuinv_result result = { .size = sizeof(
								 result) };
			int rc = smmuinv_batch_flush(w.batch, &result);

			completed += result.completed;
			record_take(&w.vm, &record);
			assert_executed(&record, completed, 1);
			assert_int_equal(rc == 0, completed == n);
			assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
			/* Whether a wider command is taken is still tried. */
			assert_true(result.retries <= options.retries_max + 1);
			assert_true(result.timeouts <= options.timeouts_max);
			assert_true(tries <= faults);
			shown += rc != 0;
		}
		while (smmuinv_mock_faults_left(w.vm.mock)) {
			add(&w, 1);
			(void)smmuinv_batch_flush(w.batch, NULL);
			smmuinv_batch_clear(w.batch);
		}
		world_close(&w);
		cases++;
	}
	assert_true(shown > 0);
	announce("more failures than the budgets allow", before);
}

static int print_total(void **state)
{
	(void)state;
	printf("%" PRIu64 " cases in all\n", cases);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(no_length_errno_execution_or_count_shows),
		T(two_failures_in_a_row_do_not_show),
		T(two_failures_apart_do_not_show),
		T(a_device_that_vanishes_hides_nothing_on_any_kernel),
		T(with_the_erratum_nothing_is_complete_after_one_round),
		T(no_sync_completes_before_everything_is_executed),
		T(whatever_fails_of_a_merged_window_nothing_shows),
		T(what_shows_loses_nothing),
#undef T
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, print_total);
}
