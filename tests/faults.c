/* SPDX-License-Identifier: MIT */
/*
 * Every way in which a call can fail, for every batch of up to 130 commands:
 * what is reported complete has been executed, and a retry from the reported
 * place completes everything. The number of cases is printed.
 *
 * The one lie that nobody could find out is left out: a call that reports full
 * success and has not executed all.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "support.h"

#define MANY 130

/* Two blocks of 63 and a bit, with one command each that can be told apart. */
static struct smmuinv_command commands[MANY];

static const int errors[] = {
	0,           -EIO,    -ETIMEDOUT, -ENOMEM, -EFAULT, -EINVAL, -ENOENT,
	-EOPNOTSUPP, -ENOTTY, -EINTR,     -EAGAIN, -EPERM,  -ENODEV,
};

static uint64_t cases;

/* Which of the commands the hardware has executed since the last look. */
struct record {
	bool executed[MANY];
};

static void record_take(struct fixture *f, struct record *record)
{
	const struct smmuinv_command *executed;
	size_t count = smmuinv_mock_executed(f->mock, &executed);
	size_t i;

	for (i = 0; i < count; i++) {
		uint64_t page =
			smmuinv_command_get(&executed[i], SMMUINV_FIELD_VA) >>
			12;

		record->executed[page % MANY] = true;
	}
	smmuinv_mock_forget(f->mock);
}

static void assert_executed(const struct record *record, uint32_t upto)
{
	uint32_t i;

	for (i = 0; i < upto; i++)
		assert_true(record->executed[i]);
}

static void make_commands(void)
{
	uint32_t i;

	for (i = 0; i < MANY; i++)
		commands[i] = tlbi_va((uint64_t)i << 12);
}

static void add(struct smmuinv_batch *batch, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		assert_int_equal(smmuinv_batch_add(batch, &commands[i], NULL),
				 SMMUINV_FORWARD);
}

/* Flush, see what was promised, and retry until all is done. */
static void flush_and_retry(struct fixture *f, struct smmuinv_batch *batch,
			    uint32_t n)
{
	struct record record = { { false } };
	uint32_t completed = 0;
	uint32_t tries;

	smmuinv_mock_forget(f->mock);
	for (tries = 0; smmuinv_batch_count(batch); tries++) {
		struct smmuinv_result result = { .size = sizeof(result) };
		int rc = smmuinv_batch_flush(batch, &result);

		record_take(f, &record);
		completed += result.completed;
		assert_executed(&record, completed);
		assert_int_equal(smmuinv_batch_count(batch), n - completed);
		assert_int_equal(rc == 0, completed == n);
		assert_int_equal(result.cerror, SMMUINV_CERROR_NONE);
		assert_true(tries < 3);
	}
	assert_int_equal(smmuinv_mock_faults_left(f->mock), 0);
	cases++;
}

static void one_lie(struct fixture *f, struct smmuinv_batch *batch, uint32_t n,
		    int error, uint32_t executed, uint32_t count)
{
	if (!error && (count == n || count == SMMUINV_MOCK_COUNT_AS_GIVEN))
		return;
	add(batch, n);
	inject(f, error, executed, count);
	flush_and_retry(f, batch, n);
}

/* Every count that can be told: right, wrong, and impossible. */
static void every_count(struct fixture *f, struct smmuinv_batch *batch,
			uint32_t n, int error, uint32_t executed)
{
	uint32_t count;

	for (count = 0; count <= n + 1; count++)
		one_lie(f, batch, n, error, executed, count);
	one_lie(f, batch, n, error, executed, UINT32_MAX - 1);
	one_lie(f, batch, n, error, executed, SMMUINV_MOCK_COUNT_AS_GIVEN);
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

static void every_length_errno_execution_and_count_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct smmuinv_batch *batch;
	uint64_t before = cases;
	uint32_t n, e, executed;

	assert_int_equal(smmuinv_batch_new(f->vsmmu, MANY, &batch), 0);
	for (n = 1; n <= MANY; n += length_step()) {
		for (e = 0; e < ARRAY_SIZE(errors); e++) {
			for (executed = 0; executed <= n; executed++)
				every_count(f, batch, n, errors[e], executed);
		}
	}
	smmuinv_batch_free(batch);
	announce("length, errno, execution and count", before);
}

/* The prefix that is sent again fails too, with every count. */
static void a_second_failure_loses_nothing_either(void **state)
{
	enum { FEW = 12 };
	struct fixture *f = *state;
	struct smmuinv_batch *batch;
	uint64_t before = cases;
	uint32_t n, e, first, second;

	assert_int_equal(smmuinv_batch_new(f->vsmmu, MANY, &batch), 0);
	for (n = 1; n <= FEW; n++) {
		for (first = 1; first < n; first++) {
			for (e = 1; e < ARRAY_SIZE(errors); e++) {
				for (second = 0; second <= n; second++) {
					add(batch, n);
					inject(f, -EIO, 0, first);
					inject(f, errors[e], second / 2,
					       second);
					flush_and_retry(f, batch, n);
				}
			}
		}
	}
	smmuinv_batch_free(batch);
	announce("two failures in a row", before);
}

static void open_on(struct fixture *f, enum smmuinv_mock_kernel kernel,
		    enum smmuinv_repeat repeat)
{
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = everything,
		.kernel = kernel,
	};
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.guest = everything,
		.host = everything,
		.repeat = repeat,
		.plan = SMMUINV_PLAN_AS_WRITTEN,
	};

	*f = (struct fixture){ 0 };
	assert_int_equal(smmuinv_mock_new(&mock, &f->mock), 0);
	assert_int_equal(smmuinv_mock_backend(f->mock, &f->backend), 0);
	assert_int_equal(smmuinv_mock_add_viommu(f->mock, &f->viommu), 0);
	vsmmu.backend = f->backend;
	vsmmu.viommu_id = f->viommu;
	assert_int_equal(smmuinv_vsmmu_new(&vsmmu, &f->vsmmu), 0);
	f->streams = smmuinv_vsmmu_streams(f->vsmmu);
	f->device = fixture_add_device(f);
}

/* A device goes away before the call; its CD invalidation is at every place. */
static void a_vanished_device(struct fixture *f, struct smmuinv_batch *batch,
			      uint32_t n, uint32_t at)
{
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.vanish = true,
		.vsid = FIXTURE_VSID,
	};
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command cd = cfgi_cd(FIXTURE_VSID);
	struct record record = { { false } };
	uint32_t i;

	assert_int_equal(plug(f->vsmmu, f->device, FIXTURE_VSID), 0);
	for (i = 0; i < n; i++)
		assert_int_equal(smmuinv_batch_add(batch,
						   i == at ? &cd : &commands[i],
						   NULL),
				 SMMUINV_FORWARD);
	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
	smmuinv_mock_forget(f->mock);
	assert_int_equal(smmuinv_batch_flush(batch, &result), -ENODEV);
	assert_int_equal(result.completed, at);
	record_take(f, &record);
	assert_executed(&record, at);
	/* The VMM learns of it, and takes the stream out. */
	(void)smmuinv_vsmmu_remove_stream(f->vsmmu, FIXTURE_VSID);
	assert_int_equal(smmuinv_batch_flush(batch, &result), 0);
	assert_int_equal(result.completed, n - at);
	record_take(f, &record);
	record.executed[at] = true;
	assert_executed(&record, n);
	cases++;
}

static void a_device_that_vanishes_hides_nothing_on_any_kernel(void **state)
{
	const enum smmuinv_mock_kernel kernels[] = { SMMUINV_MOCK_6_13,
						     SMMUINV_MOCK_7_3,
						     SMMUINV_MOCK_EXACT };
	uint64_t before = cases;
	uint32_t k, n, at;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kernels); k++) {
		struct smmuinv_batch *batch;
		struct fixture f;

		open_on(&f, kernels[k], SMMUINV_REPEAT_NEVER);
		assert_int_equal(smmuinv_batch_new(f.vsmmu, MANY, &batch), 0);
		for (n = 1; n <= MANY; n += length_step()) {
			for (at = 0; at < n; at++)
				a_vanished_device(&f, batch, n, at);
		}
		assert_int_equal(smmuinv_mock_wedged(f.mock), 0);
		smmuinv_batch_free(batch);
		fixture_close(&f);
	}
	announce("vanished device, every place and kernel", before);
}

/* How often each command was executed: twice is what the erratum asks for. */
static void assert_twice(struct fixture *f, uint32_t upto, uint32_t *times)
{
	const struct smmuinv_command *executed;
	size_t count = smmuinv_mock_executed(f->mock, &executed);
	size_t i;

	for (i = 0; i < count; i++)
		times[smmuinv_command_get(&executed[i], SMMUINV_FIELD_VA) >>
		      12]++;
	smmuinv_mock_forget(f->mock);
	for (i = 0; i < upto; i++)
		assert_true(times[i] >= 2);
}

static void one_erratum_case(struct fixture *f, struct smmuinv_batch *batch,
			     uint32_t n, const struct smmuinv_mock_fault *fault)
{
	uint32_t times[MANY] = { 0 };
	uint32_t completed = 0;

	add(batch, n);
	assert_int_equal(smmuinv_mock_inject(f->mock, fault), 0);
	smmuinv_mock_forget(f->mock);
	while (smmuinv_batch_count(batch)) {
		struct smmuinv_result result = { .size = sizeof(result) };

		(void)smmuinv_batch_flush(batch, &result);
		completed += result.completed;
		assert_twice(f, completed, times);
	}
	assert_int_equal(completed, n);
	cases++;
}

static void with_the_erratum_nothing_is_complete_after_one_round(void **state)
{
	enum { FEW = 20 };
	uint64_t before = cases;
	struct smmuinv_batch *batch;
	struct fixture f;
	uint32_t n, e, pass, count;

	(void)state;
	open_on(&f, SMMUINV_MOCK_7_3, SMMUINV_REPEAT_ALWAYS);
	assert_int_equal(smmuinv_batch_new(f.vsmmu, MANY, &batch), 0);
	for (n = 1; n <= FEW; n++) {
		for (e = 1; e < ARRAY_SIZE(errors); e++) {
			for (pass = 0; pass < 2; pass++) {
				for (count = 0; count <= n; count++) {
					struct smmuinv_mock_fault fault = {
						.size = sizeof(fault),
						.pass = pass,
						.error = errors[e],
						.count = count,
					};

					one_erratum_case(&f, batch, n, &fault);
				}
			}
		}
	}
	smmuinv_batch_free(batch);
	fixture_close(&f);
	announce("erratum, both rounds", before);
}

/* A guest's queue: commands, and a CMD_SYNC behind them. */
struct guest {
	struct fixture f;
	struct smmuinv_queue *queue;
	struct smmuinv_command ring[256];
	struct record record;
	uint32_t expected; /* commands before the CMD_SYNC */
	uint32_t syncs;
};

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct guest *guest = opaque;

	(void)sync;
	record_take(&guest->f, &guest->record);
	assert_executed(&guest->record, guest->expected);
	guest->syncs++;
	return 0;
}

static const struct smmuinv_queue_ops queue_ops = {
	.size = sizeof(queue_ops),
	.sync = on_sync,
};

/* Consume until the CMD_SYNC is done, as a VMM and its guest would together. */
static void consume_all(struct guest *guest, uint32_t n)
{
	uint32_t cons = 0;
	uint32_t tries;

	for (tries = 0; cons != n + 1; tries++) {
		struct smmuinv_progress progress = { .size = sizeof(progress) };
		struct smmuinv_ring ring = {
			.size = sizeof(ring),
			.base = guest->ring,
			.log2size = 8,
			.prod = n + 1,
			.cons = cons,
		};
		int rc = smmuinv_queue_consume(guest->queue, &ring, &progress);

		assert_int_equal(progress.cons - cons, progress.consumed);
		assert_int_not_equal(progress.cerror, SMMUINV_CERROR_ILL);
		if (progress.cerror == SMMUINV_CERROR_ATC_INV_SYNC)
			assert_int_equal(progress.cons, n);
		if (rc < 0)
			assert_true(guest->syncs == 0);
		cons = progress.cons;
		assert_true(tries < 4);
	}
	assert_int_equal(guest->syncs, 1);
}

static void one_queue_case(struct guest *guest, uint32_t n, uint32_t atc,
			   int error, uint32_t executed, uint32_t count)
{
	uint32_t i;

	memset(&guest->record, 0, sizeof(guest->record));
	for (i = 0; i < n; i++)
		guest->ring[i] = commands[i];
	if (atc < n) {
		/* The page number tells it apart, as it does the others. */
		guest->ring[atc] =
			raw((uint64_t)FIXTURE_VSID << 32 | SMMUINV_CMD_ATC_INV,
			    (uint64_t)atc << 12);
	}
	guest->ring[n] = cmd_sync();
	guest->expected = n;
	guest->syncs = 0;
	smmuinv_mock_forget(guest->f.mock);
	inject(&guest->f, error, executed, count);
	consume_all(guest, n);
	assert_int_equal(smmuinv_mock_faults_left(guest->f.mock), 0);
	cases++;
}

static void guest_open(struct guest *guest, enum smmuinv_mock_kernel kernel)
{
	struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &queue_ops,
		.opaque = guest,
	};

	memset(guest, 0, sizeof(*guest));
	open_on(&guest->f, kernel, SMMUINV_REPEAT_NEVER);
	assert_int_equal(plug(guest->f.vsmmu, guest->f.device, FIXTURE_VSID),
			 0);
	assert_int_equal(
		smmuinv_queue_new(guest->f.vsmmu, &params, &guest->queue), 0);
}

static void guest_close(struct guest *guest)
{
	smmuinv_queue_free(guest->queue);
	fixture_close(&guest->f);
}

/* With no ATC_INV in the window, and with one first, in the middle and last. */
static void no_sync_completes_before_everything_is_executed(void **state)
{
	const enum smmuinv_mock_kernel kernels[] = { SMMUINV_MOCK_6_13,
						     SMMUINV_MOCK_7_3,
						     SMMUINV_MOCK_EXACT };
	uint64_t before = cases;
	uint32_t k, n, e, at, a;
	struct guest guest;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kernels); k++) {
		guest_open(&guest, kernels[k]);
		for (n = 1; n <= MANY; n += length_step()) {
			const uint32_t atc[] = { MANY, 0, n / 2, n - 1 };

			for (e = 1; e < ARRAY_SIZE(errors); e++) {
				for (at = 0; at < n; at++) {
					a = (at + e) % ARRAY_SIZE(atc);
					one_queue_case(&guest, n, atc[a],
						       errors[e], at / 2, at);
				}
			}
		}
		assert_int_equal(smmuinv_mock_wedged(guest.f.mock), 0);
		guest_close(&guest);
	}
	announce("a queue with a SYNC, every kernel", before);
}

/*
 * Windows that are planned, by a text. P: the next page, Q: a page elsewhere,
 * R: a range of five, D: the first page again, C: CFGI_CD, A: ATC_INV of the
 * next page, S: CMD_SYNC.
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
		.sid = FIXTURE_VSID,
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
	const uint64_t sid = (uint64_t)FIXTURE_VSID << 32;
	uint64_t va = entry_of(letter, n).address;

	switch (letter) {
	case 'R':
		return raw(UINT64_C(5) << 48 | 4 << 12 | SMMUINV_CMD_TLBI_NH_VA,
			   (uint64_t)n << 12 | SMMUINV_TG_4K << 10 | 1);
	case 'A':
		return raw(sid | SMMUINV_CMD_ATC_INV, va);
	case 'C':
		return raw(sid | (uint64_t)n << 12 | SMMUINV_CMD_CFGI_CD, 1);
	case 'S':
		return raw((uint64_t)n << 32 | 1 << 12 | SMMUINV_CMD_SYNC,
			   0x1000);
	default:
		return tlbi_va(va);
	}
}

/* A window, and the machine that it is executed on. */
struct window {
	struct fixture f;
	struct smmuinv_caches *caches;
	struct smmuinv_batch *batch;
	struct smmuinv_queue *queue;
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
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = everything,
	};
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.guest = everything,
		.host = everything,
	};
	struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = &window_ops,
		.opaque = w,
	};
	uint32_t i;

	*w = (struct window){ .text = text, .length = (uint32_t)strlen(text) };
	vsmmu.guest.idr[5] = 0x14; /* the 4K granule only */
	if (!ril)
		vsmmu.host.idr[3] = mock.host.idr[3] = 0;
	assert_int_equal(smmuinv_caches_new(w->length, &w->caches), 0);
	for (i = 0; i < w->length; i++) {
		struct smmuinv_cache_entry entry = entry_of(text[i], i);

		assert_int_equal(smmuinv_caches_insert(w->caches, &entry), i);
	}
	mock.caches = w->caches;
	assert_int_equal(smmuinv_mock_new(&mock, &w->f.mock), 0);
	assert_int_equal(smmuinv_mock_backend(w->f.mock, &w->f.backend), 0);
	assert_int_equal(smmuinv_mock_add_viommu(w->f.mock, &w->f.viommu), 0);
	vsmmu.backend = w->f.backend;
	vsmmu.viommu_id = w->f.viommu;
	assert_int_equal(smmuinv_vsmmu_new(&vsmmu, &w->f.vsmmu), 0);
	assert_int_equal(
		plug(w->f.vsmmu, fixture_add_device(&w->f), FIXTURE_VSID), 0);
	assert_int_equal(smmuinv_batch_new(w->f.vsmmu, 16, &w->batch), 0);
	assert_int_equal(smmuinv_queue_new(w->f.vsmmu, &queue, &w->queue), 0);
}

static void window_close(struct window *w)
{
	smmuinv_queue_free(w->queue);
	smmuinv_batch_free(w->batch);
	fixture_close(&w->f);
	smmuinv_caches_free(w->caches);
}

/* The window had fewer calls than would have let the fault happen. */
static void drain(struct window *w)
{
	while (smmuinv_mock_faults_left(w->f.mock)) {
		add(w->batch, 1);
		(void)smmuinv_batch_flush(w->batch, NULL);
		smmuinv_batch_clear(w->batch);
	}
}

/* How many letters so many commands of the batch are, CMD_SYNCs among them. */
static uint32_t letters_of(const struct window *w, uint32_t count)
{
	uint32_t n = 0;

	while (count || w->text[n] == 'S')
		count -= w->text[n++] != 'S';
	return n;
}

static void planned_batch(struct window *w)
{
	uint32_t completed = 0;
	uint32_t tries, i;

	smmuinv_caches_refill(w->caches);
	for (i = 0; i < w->length; i++) {
		struct smmuinv_command command = command_of(w->text[i], i);

		if (w->text[i] == 'S')
			assert_int_equal(smmuinv_batch_sync(w->batch), 0);
		else
			assert_int_equal(
				smmuinv_batch_add(w->batch, &command, NULL),
				SMMUINV_FORWARD);
	}
	for (tries = 0; smmuinv_batch_count(w->batch); tries++) {
		struct smmuinv_result result = { .size = sizeof(result) };
		int rc = smmuinv_batch_flush(w->batch, &result);

		completed += result.completed;
		assert_gone(w, letters_of(w, completed));
		assert_int_equal(rc == 0, !smmuinv_batch_count(w->batch));
		assert_true(tries < 3);
	}
	assert_gone(w, w->length);
	cases++;
}

static void planned_queue(struct window *w)
{
	struct smmuinv_command ring[16];
	uint32_t cons = 0;
	uint32_t tries, i;

	smmuinv_caches_refill(w->caches);
	w->signaled = 0;
	for (i = 0; i < w->length; i++)
		ring[i] = command_of(w->text[i], i);
	/* The last one completes what a time-out may have left. */
	ring[i] = command_of('S', i);
	for (tries = 0; cons != w->length + 1; tries++) {
		struct smmuinv_progress progress = { .size = sizeof(progress) };
		struct smmuinv_ring r = {
			.size = sizeof(r),
			.base = ring,
			.log2size = 4,
			.prod = w->length + 1,
			.cons = cons,
		};

		(void)smmuinv_queue_consume(w->queue, &r, &progress);
		cons = progress.cons;
		/* No CMD_SYNC was signaled that is not consumed. */
		assert_true(w->signaled <= cons);
		assert_true(tries < 3);
	}
	assert_int_equal(w->signaled, w->length + 1);
	assert_gone(w, w->length);
	cases++;
}

static void planned_fault(struct window *w, uint32_t pass, int error,
			  uint32_t executed, uint32_t count)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = pass,
		.error = error,
		.executed = executed,
		.count = count,
	};

	/* A call that may be said to have done all is the one lie left out. */
	if (!error && count && count <= w->length * 5)
		return;
	assert_int_equal(smmuinv_mock_inject(w->f.mock, &fault), 0);
	planned_batch(w);
	drain(w);
	assert_int_equal(smmuinv_mock_inject(w->f.mock, &fault), 0);
	planned_queue(w);
	drain(w);
}

static void every_planned_count(struct window *w, uint32_t pass, int error,
				uint32_t executed)
{
	uint32_t count;

	for (count = 0; count <= w->length + 1; count++)
		planned_fault(w, pass, error, executed, count);
	planned_fault(w, pass, error, executed, UINT32_MAX - 1);
	if (error)
		planned_fault(w, pass, error, executed,
			      SMMUINV_MOCK_COUNT_AS_GIVEN);
}

static void whatever_fails_of_a_plan_nothing_undone_is_complete(void **state)
{
	uint64_t before = cases;
	uint32_t i, e, pass, executed;

	(void)state;
	make_commands();
	for (i = 0; i < 2 * ARRAY_SIZE(windows); i++) {
		struct window w;

		window_open(&w, windows[i / 2], i % 2);
		for (pass = 0; pass < 3; pass++) {
			for (e = 0; e < ARRAY_SIZE(errors); e++) {
				for (executed = 0; executed <= w.length;
				     executed += length_step())
					every_planned_count(&w, pass, errors[e],
							    executed);
			}
		}
		window_close(&w);
	}
	announce("planned windows, every call", before);
}

static int print_total(void **state)
{
	(void)state;
	printf("%" PRIu64 " cases in all\n", cases);
	return 0;
}

static int setup(void **state)
{
	make_commands();
	return fixture_setup(state);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_length_errno_execution_and_count_loses_nothing),
		TEST(a_second_failure_loses_nothing_either),
		TEST(a_device_that_vanishes_hides_nothing_on_any_kernel),
		TEST(with_the_erratum_nothing_is_complete_after_one_round),
		TEST(no_sync_completes_before_everything_is_executed),
		cmocka_unit_test(
			whatever_fails_of_a_plan_nothing_undone_is_complete),
	};

	return cmocka_run_group_tests_name("faults", tests, NULL, print_total);
}
