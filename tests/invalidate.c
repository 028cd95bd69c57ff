/* SPDX-License-Identifier: MIT */
/*
 * Invalidating everything, one stream, and a reset: what is gone afterwards is
 * exactly what the guest could have cached, on every SMMU, whatever fails.
 */
#include "support.h"

#include <errno.h>

#include "backend.h"
#include "command.h"
#include "fixture.h"
#include "smmus.h"
#include "vsmmu.h"

enum { SMMUS = 3, STREAMS = 2, THINGS = 12 };

#define PASID 5

static uint32_t vsid_of(uint32_t which, uint32_t n)
{
	return 16 * which + 1 + n;
}

/* A call as the host got it, as far as there is room for it. */
struct call {
	uint32_t which;
	uint32_t count;
	struct smmuinv_command commands[64];
};

#define CALLS 128

struct world {
	struct smmus s;
	struct smmuinv_caches *caches[SMMUS];
	struct call calls[CALLS];
	uint32_t call_count;
};

static void on_call(void *watcher, uint32_t which,
		    const struct smmuinv_command *commands, uint32_t asked,
		    int rc)
{
	struct world *w = watcher;
	struct call *call = &w->calls[w->call_count++];
	uint32_t i;

	(void)rc;
	assert_true(w->call_count <= CALLS);
	assert_true(asked <= ARRAY_SIZE(call->commands));
	call->which = which;
	call->count = asked;
	for (i = 0; i < asked; i++)
		call->commands[i] = commands[i];
}

static void insert(struct smmuinv_caches *caches,
		   struct smmuinv_cache_entry entry)
{
	entry.size = sizeof(entry);
	assert_true(smmuinv_caches_insert(caches, &entry) >= 0);
}

/* Of a stream: a CD, a table of CDs, and an ATC entry of each kind. */
static void insert_stream(struct smmuinv_caches *caches, uint32_t vsid)
{
	insert(caches, (struct smmuinv_cache_entry){
			       .kind = SMMUINV_CACHED_CD,
			       .sid = vsid,
			       .ssid = PASID,
		       });
	insert(caches, (struct smmuinv_cache_entry){
			       .kind = SMMUINV_CACHED_L1CD,
			       .sid = vsid,
			       .ssids = 1024,
		       });
	insert(caches, (struct smmuinv_cache_entry){
			       .kind = SMMUINV_CACHED_ATC,
			       .sid = vsid,
			       .address = UINT64_C(0xfffffffffffff000),
			       .length = 4096,
		       });
	insert(caches, (struct smmuinv_cache_entry){
			       .kind = SMMUINV_CACHED_ATC,
			       .sid = vsid,
			       .ssv = true,
			       .ssid = PASID,
			       .length = 4096,
		       });
}

/* Where each of them is: as insert_stream() and fill() go. */
enum { CD, L1CD, ATC, ATC_PASID, PER_STREAM };
enum { LEAF = STREAMS * PER_STREAM, GLOBAL, TABLE, UPPER };

static void fill(struct smmuinv_caches *caches, uint32_t which)
{
	struct smmuinv_cache_entry tlb = {
		.kind = SMMUINV_CACHED_LEAF,
		.tg = SMMUINV_TG_4K,
		.level = 3,
		.asid = 7,
		.address = 0x1000,
		.length = 4096,
	};
	uint32_t n;

	for (n = 0; n < STREAMS; n++)
		insert_stream(caches, vsid_of(which, n));
	insert(caches, tlb);
	tlb.global = true;
	insert(caches, tlb);
	tlb.kind = SMMUINV_CACHED_TABLE;
	tlb.level = 1;
	tlb.length = 1 << 30;
	tlb.address = 0;
	insert(caches, tlb);
	tlb.tg = SMMUINV_TG_64K;
	tlb.address = UINT64_C(0xffffffffc0000000);
	insert(caches, tlb);
}

static void world_prepare(struct world *w)
{
	uint32_t k;

	*w = (struct world){ .call_count = 0 };
	smmus_init(&w->s, SMMUS);
	w->s.watch = on_call;
	w->s.watcher = w;
	for (k = 0; k < SMMUS; k++) {
		assert_int_equal(smmuinv_caches_new(THINGS, &w->caches[k]), 0);
		fill(w->caches[k], k);
		w->s.smmu[k].caches = w->caches[k];
	}
}

static void world_finish(struct world *w)
{
	uint32_t k, n;

	smmus_open(&w->s);
	for (k = 0; k < SMMUS; k++) {
		for (n = 0; n < STREAMS; n++)
			smmus_plug(&w->s, k, vsid_of(k, n));
	}
}

static void world_open(struct world *w)
{
	world_prepare(w);
	world_finish(w);
}

static void world_close(struct world *w)
{
	uint32_t k;

	assert_int_equal(smmus_faults_left(&w->s), 0);
	smmus_close(&w->s);
	for (k = 0; k < SMMUS; k++)
		smmuinv_caches_free(w->caches[k]);
}

static bool has(const struct world *w, uint32_t which, uint32_t n,
		uint32_t what)
{
	uint32_t index = what < PER_STREAM ? n * PER_STREAM + what : what;

	return smmuinv_caches_has(w->caches[which], index);
}

static void assert_tlb(const struct world *w, uint32_t which, bool there)
{
	uint32_t what;

	for (what = LEAF; what <= UPPER; what++)
		assert_int_equal(has(w, which, 0, what), there);
}

static void assert_cds(const struct world *w, uint32_t which, uint32_t n,
		       bool there)
{
	assert_int_equal(has(w, which, n, CD), there);
	assert_int_equal(has(w, which, n, L1CD), there);
}

static void assert_atc(const struct world *w, uint32_t which, uint32_t n,
		       bool there)
{
	assert_int_equal(has(w, which, n, ATC), there);
	assert_int_equal(has(w, which, n, ATC_PASID), there);
}

static void assert_nothing(const struct world *w, uint32_t which)
{
	uint32_t n;

	assert_tlb(w, which, false);
	for (n = 0; n < STREAMS; n++) {
		assert_cds(w, which, n, false);
		assert_atc(w, which, n, false);
	}
}

static void everything_is_gone_everywhere(void **state)
{
	struct world w;
	uint32_t k;

	(void)state;
	world_open(&w);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	for (k = 0; k < SMMUS; k++)
		assert_nothing(&w, k);
	world_close(&w);
}

static unsigned int rank_of(const struct smmuinv_command *command)
{
	uint32_t bit = RANK_BIT(command_rank(command));

	if (bit & RANKS_CFGI)
		return 0;
	return bit & RANKS_TLBI ? 1 : 2;
}

/* Each is made again from what is in those before it. */
static void
cds_tlbs_and_atcs_go_in_this_order_in_calls_of_their_own(void **state)
{
	struct world w;
	uint32_t i, k;

	(void)state;
	world_open(&w);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	assert_int_equal(w.call_count, 3 * SMMUS);
	for (i = 0; i < w.call_count; i++) {
		const struct call *call = &w.calls[i];

		assert_int_equal(call->which, i / 3);
		for (k = 0; k < call->count; k++)
			assert_int_equal(rank_of(&call->commands[k]), i % 3);
	}
	world_close(&w);
}

/* It makes none: no call is in vain. */
static void a_smmu_without_streams_gets_its_tlbi_only(void **state)
{
	struct world w;
	uint32_t n;

	(void)state;
	world_open(&w);
	for (n = 0; n < STREAMS; n++)
		assert_int_equal(
			smmuinv_vsmmu_remove_stream(w.s.vsmmu, vsid_of(1, n)),
			0);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	assert_int_equal(w.call_count, 3 + 1 + 3);
	assert_tlb(&w, 1, false);
	assert_int_equal(smmus_executed(&w.s, 1), 1);
	world_close(&w);
}

static void streams_get_what_their_state_asks_for(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(
		smmuinv_streams_set(w.s.streams, vsid_of(0, 0), true, false),
		0);
	assert_int_equal(
		smmuinv_streams_set(w.s.streams, vsid_of(0, 1), false, false),
		0);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	assert_cds(&w, 0, 0, false);
	assert_atc(&w, 0, 0, true);
	assert_cds(&w, 0, 1, true);
	assert_atc(&w, 0, 1, true);
	assert_nothing(&w, 1);
	world_close(&w);
}

/* Nothing that the host has not got is named. */
static void without_substreams_nothing_is_said_of_pasids(void **state)
{
	struct world w;
	uint32_t k;

	(void)state;
	world_prepare(&w);
	w.s.params.guest.idr[1] = 32; /* SSIDSIZE 0 */
	for (k = 0; k < SMMUS; k++)
		w.s.smmu[k].host.idr[1] = 32;
	world_finish(&w);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	for (k = 0; k < SMMUS; k++) {
		assert_false(has(&w, k, 0, ATC));
		assert_true(has(&w, k, 0, ATC_PASID));
	}
	assert_int_equal(smmuinv_mock_wedged(w.s.smmu[0].mock), 0);
	world_close(&w);
}

/* Its ATC_INVs would be illegal there, whatever the VMM says of a stream. */
static void a_guest_without_ats_needs_no_atc_inv(void **state)
{
	struct world w;
	uint32_t k;

	(void)state;
	world_prepare(&w);
	w.s.params.guest.idr[0] &= ~(1u << 10);
	for (k = 0; k < SMMUS; k++)
		w.s.smmu[k].host.idr[0] &= ~(1u << 10);
	world_finish(&w);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	for (k = 0; k < SMMUS; k++) {
		assert_tlb(&w, k, false);
		assert_cds(&w, k, 0, false);
		assert_int_equal(smmus_executed(&w.s, k), STREAMS + 1);
	}
	world_close(&w);
}

static void only_its_own_smmu_hears_of_a_stream(void **state)
{
	struct world w;
	uint32_t k;

	(void)state;
	for (k = 0; k < SMMUS; k++) {
		uint32_t other;

		world_open(&w);
		assert_int_equal(
			smmuinv_invalidate_stream(w.s.vsmmu, vsid_of(k, 1)), 0);
		assert_cds(&w, k, 1, false);
		assert_atc(&w, k, 1, false);
		assert_tlb(&w, k, false);
		assert_cds(&w, k, 0, true);
		assert_atc(&w, k, 0, true);
		assert_int_equal(w.call_count, 3);
		for (other = 0; other < SMMUS; other++)
			assert_int_equal(smmus_executed(&w.s, other),
					 other == k ? 4 : 0);
		world_close(&w);
	}
}

static void a_stream_that_aborts_has_its_tlb_entries_only(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(
		smmuinv_streams_set(w.s.streams, vsid_of(1, 0), false, true),
		0);
	assert_int_equal(smmuinv_invalidate_stream(w.s.vsmmu, vsid_of(1, 0)),
			 0);
	assert_tlb(&w, 1, false);
	assert_cds(&w, 1, 0, true);
	assert_atc(&w, 1, 0, true);
	assert_int_equal(smmus_executed(&w.s, 1), 1);
	world_close(&w);
}

static void null_and_streams_that_do_not_exist_are_refused(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(smmuinv_invalidate_all(NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_invalidate_stream(NULL, 1), -EINVAL);
	assert_int_equal(smmuinv_reset(NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_invalidate_stream(w.s.vsmmu, 0xbad), -ENOENT);
	assert_int_equal(w.call_count, 0);
	world_close(&w);
}

static void without_any_smmu_there_is_nothing_to_do(void **state)
{
	struct world w;
	uint32_t k;

	(void)state;
	world_open(&w);
	assert_int_equal(smmuinv_streams_remove_all(w.s.streams), 0);
	for (k = 0; k < SMMUS; k++)
		assert_int_equal(smmus_detach(&w.s, k), 0);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	assert_int_equal(smmuinv_reset(w.s.vsmmu, NULL), 0);
	assert_int_equal(w.call_count, 0);
	world_close(&w);
}

/* The very last vSID is one, too. */
static void more_streams_than_go_into_a_call_go_into_several(void **state)
{
	static const uint32_t counts[] = { 31, 32, 62, 63, 64, 65, 126, 130 };
	uint32_t c;

	(void)state;
	for (c = 0; c < ARRAY_SIZE(counts); c++) {
		uint32_t n = counts[c];
		struct smmuinv_command command;
		struct world w;
		uint32_t i;

		world_open(&w);
		assert_int_equal(smmuinv_streams_remove_all(w.s.streams), 0);
		for (i = 0; i < n; i++)
			smmus_plug(&w.s, 1, UINT32_MAX - i);
		assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
		assert_int_equal(smmus_executed(&w.s, 1), 3 * n + 1);
		assert_int_equal(smmus_executed(&w.s, 0), 1);
		for (i = 0; i < n; i++) {
			command = cfgi_cd_all(UINT32_MAX - i);
			assert_int_equal(smmus_times(&w.s, 1, &command), 1);
			command = atc_inv_all(UINT32_MAX - i);
			assert_int_equal(smmus_times(&w.s, 1, &command), 1);
		}
		assert_int_equal(w.call_count,
				 2 + (n + 62) / 63 + 1 + (2 * n + 62) / 63);
		for (i = 0; i < w.call_count; i++)
			assert_true(w.calls[i].count <= 63);
		assert_int_equal(smmuinv_reset(w.s.vsmmu, NULL), 0);
		world_close(&w);
	}
}

static void
with_the_erratum_all_but_atcs_goes_twice_each_with_its_sync(void **state)
{
	struct smmuinv_command tlbi;
	struct world w;
	uint32_t n;

	(void)state;
	smmuinv_command_tlbi_nh_all(&tlbi);
	world_prepare(&w);
	w.s.smmu[1].hw_flags = SMMUINV_HW_INFO_REPEAT;
	world_finish(&w);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	assert_int_equal(smmus_calls(&w.s, 0), 3);
	assert_int_equal(smmus_calls(&w.s, 1), 5);
	assert_int_equal(smmus_times(&w.s, 0, &tlbi), 1);
	assert_int_equal(smmus_times(&w.s, 1, &tlbi), 2);
	for (n = 0; n < STREAMS; n++) {
		const struct smmuinv_command cds = cfgi_cd_all(vsid_of(1, n));
		const struct smmuinv_command atc = atc_inv_all(vsid_of(1, n));

		assert_int_equal(smmus_times(&w.s, 1, &cds), 2);
		assert_int_equal(smmus_times(&w.s, 1, &atc), 1);
	}
	world_close(&w);
}

static void inject_at(struct world *w, uint32_t which, uint32_t pass, int error,
		      uint32_t executed, uint32_t count)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = pass,
		.error = error,
		.executed = executed,
		.count = count,
	};

	assert_int_equal(smmuinv_mock_inject(w->s.smmu[which].mock, &fault), 0);
}

/* What cannot be done together is done one by one. */
static void a_call_that_fails_once_is_made_good(void **state)
{
	static const int errors[] = { -EIO,    -ETIMEDOUT, -ENOMEM, -EFAULT,
				      -EINVAL, -ENOENT,    0 };
	uint32_t e, which, pass, executed, k;

	(void)state;
	for (e = 0; e < ARRAY_SIZE(errors); e++) {
		for (which = 0; which < SMMUS; which++) {
			for (pass = 0; pass < 3; pass++) {
				for (executed = 0; executed < 3; executed++) {
					struct world w;

					world_open(&w);
					/* Success of another number is none. */
					inject_at(&w, which, pass, errors[e],
						  executed, 99);
					assert_int_equal(smmuinv_invalidate_all(
								 w.s.vsmmu,
								 NULL),
							 0);
					for (k = 0; k < SMMUS; k++)
						assert_nothing(&w, k);
					world_close(&w);
				}
			}
		}
	}
}

/* The call, and what each stream has of it; but the others all go. */
static void what_fails_for_good_keeps_nothing_else_from_its_part(void **state)
{
	static const struct {
		uint32_t pass;
		uint32_t calls;
	} calls[] = { { 0, STREAMS }, { 1, 1 }, { 2, STREAMS } };
	uint32_t which, c, k, i;

	(void)state;
	for (which = 0; which < SMMUS; which++) {
		for (c = 0; c < ARRAY_SIZE(calls); c++) {
			uint32_t fault = 0;
			struct world w;

			world_open(&w);
			inject_at(&w, which, calls[c].pass, -EIO, 0, 0);
			for (i = 0; i < calls[c].calls; i++)
				inject_at(&w, which, 0, -EFAULT, 0, 0);
			assert_int_equal(
				smmuinv_invalidate_all(w.s.vsmmu, &fault),
				-EFAULT);
			assert_int_equal(fault, smmus_viommu(&w.s, which));
			for (k = 0; k < SMMUS; k++) {
				if (k != which)
					assert_nothing(&w, k);
			}
			assert_tlb(&w, which, c == 1);
			for (i = 0; i < STREAMS; i++) {
				assert_cds(&w, which, i, c == 0);
				assert_atc(&w, which, i, c == 2);
			}
			world_close(&w);
		}
	}
}

static void of_several_errors_the_first_is_told(void **state)
{
	uint32_t fault = 0;
	struct world w;
	uint32_t i;

	(void)state;
	world_open(&w);
	/* The CDs of the second SMMU: together, and then one of them. */
	inject_at(&w, 1, 0, -EIO, 0, 0);
	inject_at(&w, 1, 1, -EBUSY, 0, 0);
	/* Its TLBI, and all of the third's. */
	inject_at(&w, 1, 0, -EFAULT, 0, 0);
	inject_at(&w, 1, 0, -EFAULT, 0, 0);
	for (i = 0; i < 3 + STREAMS + 1 + STREAMS; i++)
		inject_at(&w, 2, 0, -EPERM, 0, 0);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, &fault), -EBUSY);
	assert_int_equal(fault, smmus_viommu(&w.s, 1));
	assert_nothing(&w, 0);
	assert_cds(&w, 1, 0, false);
	assert_cds(&w, 1, 1, true);
	assert_tlb(&w, 1, true);
	assert_atc(&w, 1, 1, false);
	assert_tlb(&w, 2, true);
	world_close(&w);
}

/* The host waits a second each time. */
static void a_smmu_that_does_not_answer_is_asked_twice_and_no_more(void **state)
{
	uint32_t pass;

	(void)state;
	for (pass = 0; pass < 2; pass++) {
		struct world w;

		world_open(&w);
		inject_at(&w, 1, pass, -ETIMEDOUT, 0, 0);
		inject_at(&w, 1, 0, -ETIMEDOUT, 0, 0);
		assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL),
				 -ETIMEDOUT);
		assert_int_equal(smmus_calls(&w.s, 1), 4);
		assert_cds(&w, 1, 0, pass == 0);
		assert_tlb(&w, 1, pass == 1);
		assert_atc(&w, 1, 0, false);
		world_close(&w);
	}
}

/* Of ATC_INVs it may be one device, and the others need their part. */
static void an_atc_that_does_not_answer_keeps_no_other_from_its_part(
	void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	inject_at(&w, 1, 2, -ETIMEDOUT, 0, 0);
	inject_at(&w, 1, 0, -ETIMEDOUT, 0, 0);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), -ETIMEDOUT);
	assert_int_equal(smmus_calls(&w.s, 1), 3 + STREAMS);
	assert_atc(&w, 1, 0, true);
	assert_atc(&w, 1, 1, false);
	world_close(&w);
}

/* Nobody else's tally has them. */
static void its_calls_are_counted(void **state)
{
	struct smmuinv_counters now = { .size = sizeof(now) };
	struct world w;
	uint32_t k;

	(void)state;
	world_prepare(&w);
	w.s.smmu[2].hw_flags = SMMUINV_HW_INFO_REPEAT;
	world_finish(&w);
	inject_at(&w, 0, 0, -EIO, 0, 0);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), 0);
	assert_int_equal(smmuinv_vsmmu_counters(w.s.vsmmu, &now), 0);
	for (k = 0; k < SMMUS; k++)
		now.ioctls -= smmus_calls(&w.s, k);
	assert_int_equal(now.ioctls, 0);
	assert_int_equal(now.failed, 1);
	assert_int_equal(now.retries, STREAMS);
	assert_int_equal(now.repeats, STREAMS + 1);
	assert_int_equal(now.host_commands,
			 SMMUS * (3 * STREAMS + 1) + STREAMS + STREAMS + 1);
	assert_int_equal(now.read | now.forwarded | now.merged, 0);
	world_close(&w);
}

static void a_device_that_is_gone_keeps_no_other_from_its_part(void **state)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(
		smmuinv_streams_find(w.s.streams, vsid_of(1, 0), &info), 0);
	assert_int_equal(smmuinv_mock_destroy(w.s.smmu[1].mock,
					      info.vdevice_id & 0xffffff),
			 0);
	assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), -EIO);
	assert_nothing(&w, 0);
	assert_nothing(&w, 2);
	assert_tlb(&w, 1, false);
	assert_cds(&w, 1, 1, false);
	assert_atc(&w, 1, 1, false);
	assert_int_equal(smmuinv_invalidate_stream(w.s.vsmmu, vsid_of(1, 0)),
			 -EIO);
	world_close(&w);
}

static void both_rounds_of_the_erratum_may_fail(void **state)
{
	uint32_t round;

	(void)state;
	for (round = 0; round < 2; round++) {
		struct world w;

		world_prepare(&w);
		w.s.smmu[0].hw_flags = SMMUINV_HW_INFO_REPEAT;
		world_finish(&w);
		/* Two calls for the CDs, then the two for the TLBI. */
		inject_at(&w, 0, 2 + round, -EIO, 0, 0);
		inject_at(&w, 0, 0, -EFAULT, 0, 0);
		assert_int_equal(smmuinv_invalidate_all(w.s.vsmmu, NULL), -EFAULT);
		assert_nothing(&w, 0);
		assert_int_equal(smmus_calls(&w.s, 0), 2 + 3 + 1);
		world_close(&w);
	}
}

static void note_granule(struct world *w, uint16_t asid)
{
	const struct smmuinv_cd cd = {
		.size = sizeof(cd),
		.valid = true,
		.asid = asid,
		.walks = { true, true },
		.tg = { SMMUINV_TG_4K, SMMUINV_TG_4K },
	};

	assert_int_equal(smmuinv_vsmmu_note_cd(w->s.vsmmu, &cd), 0);
}

static void assert_aborted(const struct world *w)
{
	uint32_t k, n;

	for (k = 0; k < SMMUS; k++) {
		for (n = 0; n < STREAMS; n++) {
			struct smmuinv_stream_info info = { .size = sizeof(
								    info) };

			assert_int_equal(smmuinv_streams_find(w->s.streams,
							      vsid_of(k, n),
							      &info),
					 0);
			assert_false(info.translates);
			assert_false(info.ats);
		}
	}
}

/* A device that the VMM has detached would never answer. */
static void assert_no_atc_inv(const struct world *w)
{
	uint32_t i, k;

	for (i = 0; i < w->call_count; i++) {
		for (k = 0; k < w->calls[i].count; k++)
			assert_int_not_equal(rank_of(&w->calls[i].commands[k]),
					     2);
	}
}

static void after_a_reset_streams_abort_and_no_granule_is_known(void **state)
{
	struct world w;
	uint32_t k, n;

	(void)state;
	world_open(&w);
	note_granule(&w, 7);
	assert_int_equal(smmuinv__granule_of(&w.s.vsmmu->granules, 7, 0),
			 SMMUINV_TG_4K);
	assert_int_equal(smmuinv_reset(w.s.vsmmu, NULL), 0);
	assert_aborted(&w);
	assert_int_equal(smmuinv__granule_of(&w.s.vsmmu->granules, 7, 0),
			 SMMUINV_TG_ANY);
	assert_no_atc_inv(&w);
	for (k = 0; k < SMMUS; k++) {
		assert_tlb(&w, k, false);
		for (n = 0; n < STREAMS; n++)
			assert_cds(&w, k, n, false);
	}
	world_close(&w);
}

/* Of entries that are left the granule is known still, and they can go yet. */
static void a_reset_that_failed_can_be_done_again(void **state)
{
	uint32_t pass;

	(void)state;
	for (pass = 0; pass < 2; pass++) {
		uint32_t fault = 0;
		struct world w;

		world_open(&w);
		note_granule(&w, 7);
		inject_at(&w, 0, pass, -ETIMEDOUT, 0, 0);
		inject_at(&w, 0, 0, -ETIMEDOUT, 0, 0);
		assert_int_equal(smmuinv_reset(w.s.vsmmu, &fault), -ETIMEDOUT);
		assert_int_equal(fault, smmus_viommu(&w.s, 0));
		assert_aborted(&w);
		assert_cds(&w, 0, 0, pass == 0);
		assert_tlb(&w, 0, pass == 1);
		assert_tlb(&w, 1, false);
		assert_int_equal(
			smmuinv__granule_of(&w.s.vsmmu->granules, 7, 0),
			SMMUINV_TG_4K);
		assert_int_equal(smmuinv_reset(w.s.vsmmu, NULL), 0);
		assert_cds(&w, 0, 0, false);
		assert_tlb(&w, 0, false);
		assert_no_atc_inv(&w);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(everything_is_gone_everywhere),
		T(cds_tlbs_and_atcs_go_in_this_order_in_calls_of_their_own),
		T(a_smmu_without_streams_gets_its_tlbi_only),
		T(streams_get_what_their_state_asks_for),
		T(without_substreams_nothing_is_said_of_pasids),
		T(a_guest_without_ats_needs_no_atc_inv),
		T(only_its_own_smmu_hears_of_a_stream),
		T(a_stream_that_aborts_has_its_tlb_entries_only),
		T(null_and_streams_that_do_not_exist_are_refused),
		T(without_any_smmu_there_is_nothing_to_do),
		T(more_streams_than_go_into_a_call_go_into_several),
		T(with_the_erratum_all_but_atcs_goes_twice_each_with_its_sync),
		T(a_call_that_fails_once_is_made_good),
		T(what_fails_for_good_keeps_nothing_else_from_its_part),
		T(of_several_errors_the_first_is_told),
		T(a_smmu_that_does_not_answer_is_asked_twice_and_no_more),
		T(an_atc_that_does_not_answer_keeps_no_other_from_its_part),
		T(its_calls_are_counted),
		T(a_device_that_is_gone_keeps_no_other_from_its_part),
		T(both_rounds_of_the_erratum_may_fail),
		T(after_a_reset_streams_abort_and_no_granule_is_known),
		T(a_reset_that_failed_can_be_done_again),
#undef T
	};

	return cmocka_run_group_tests_name("invalidate", tests, NULL, NULL);
}
