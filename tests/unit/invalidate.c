/* SPDX-License-Identifier: MIT */
/*
 * smmuinv_vsmmu_invalidate_all(), smmuinv_vsmmu_reset(), and skipping commands:
 * what is gone afterwards is exactly what the guest could have cached, on every
 * SMMU, whatever fails.
 */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "vm.h"

enum { SMMUS = 3, STREAMS = 2, THINGS = 16 };

#define PASID 5

static uint32_t vsid_of(uint32_t which, uint32_t n)
{
	return 16 * which + 1 + n;
}

struct world {
	struct vm vm;
	struct smmuinv_caches *caches[SMMUS];
};

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

static void world_open_with(struct world *w, const struct vm_options *like)
{
	struct vm_options options = *like;
	uint32_t k, n;

	options.smmus = SMMUS;
	options.empty = true;
	for (k = 0; k < SMMUS; k++) {
		assert_int_equal(smmuinv_caches_new(THINGS, &w->caches[k]), 0);
		fill(w->caches[k], k);
		options.smmu[k].caches = w->caches[k];
	}
	vm_open_with(&w->vm, &options);
	for (k = 0; k < SMMUS; k++) {
		for (n = 0; n < STREAMS; n++)
			vm_plug_on(&w->vm, k, vsid_of(k, n));
	}
}

static void world_open(struct world *w)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_MERGED };

	world_open_with(w, &options);
}

static void world_close(struct world *w)
{
	uint32_t k;

	vm_close(&w->vm);
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

static struct smmuinv_result invalidate_all(struct world *w, int expected)
{
	struct smmuinv_result result = { .size = sizeof(result) };

	assert_int_equal(smmuinv_vsmmu_invalidate_all(w->vm.vsmmu, &result),
			 expected);
	return result;
}

static void everything_is_gone_everywhere(void **state)
{
	struct smmuinv_result result;
	struct world w;
	uint32_t k, plan;

	(void)state;
	for (plan = 0; plan < 2; plan++) {
		const struct vm_options options = { .plan = plan };

		world_open_with(&w, &options);
		result = invalidate_all(&w, 0);
		for (k = 0; k < SMMUS; k++)
			assert_nothing(&w, k);
		assert_int_equal(result.fault.source, SMMUINV_SOURCE_NONE);
		assert_true(result.fault.vsid == SMMUINV_VSID_NONE);
		assert_int_equal(result.ioctls, w.vm.call_count);
		assert_int_equal(result.completed, 0);
		assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
		world_close(&w);
	}
}

/* CDs, TLB entries, ATCs. */
static unsigned int rank_of(const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
		return 0;
	case SMMUINV_CMD_ATC_INV:
		return 2;
	default:
		return 1;
	}
}

/* Each is made again from what is in those before it. */
static void
cds_tlbs_and_atcs_go_in_this_order_in_calls_of_their_own(void **state)
{
	struct world w;
	uint32_t i, k;

	(void)state;
	world_open(&w);
	(void)invalidate_all(&w, 0);
	assert_int_equal(w.vm.call_count, 3 * SMMUS);
	for (i = 0; i < w.vm.call_count; i++) {
		const struct vm_call *call = &w.vm.calls[i];

		assert_int_equal(call->which, i / 3);
		for (k = 0; k < call->count; k++)
			assert_int_equal(rank_of(&call->commands[k]), i % 3);
	}
	world_close(&w);
}

static void an_smmu_without_streams_gets_only_its_tlbi(void **state)
{
	struct world w;
	uint32_t n;

	(void)state;
	world_open(&w);
	for (n = 0; n < STREAMS; n++)
		vm_unplug(&w.vm, vsid_of(1, n));
	(void)invalidate_all(&w, 0);
	assert_int_equal(w.vm.call_count, 3 + 1 + 3);
	assert_tlb(&w, 1, false);
	assert_int_equal(vm_executed(&w.vm, 1), 1);
	world_close(&w);
}

static void a_stream_without_ats_is_not_asked_for_its_atc(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	vm_set_ats(&w.vm, vsid_of(0, 0), false);
	(void)invalidate_all(&w, 0);
	assert_cds(&w, 0, 0, false);
	assert_atc(&w, 0, 0, true);
	assert_atc(&w, 0, 1, false);
	assert_nothing(&w, 1);
	world_close(&w);
}

/* Nothing that the host has not got is named. */
static void without_substreams_no_pasid_is_named(void **state)
{
	const struct smmuinv_features none = everything_with(1, 32);
	const struct vm_options options = { .guest = &none };
	struct world w;
	uint32_t k;

	(void)state;
	world_open_with(&w, &options);
	(void)invalidate_all(&w, 0);
	for (k = 0; k < SMMUS; k++) {
		assert_false(has(&w, k, 0, ATC));
		assert_true(has(&w, k, 0, ATC_PASID));
	}
	assert_int_equal(smmuinv_mock_wedged(w.vm.mock), 0);
	world_close(&w);
}

/* Its ATC_INVs would be illegal there, whatever the VMM says of a stream. */
static void a_guest_without_ats_gets_no_atc_inv(void **state)
{
	const struct smmuinv_features none =
		everything_with(0, everything.idr[0] & ~(1u << 10));
	const struct vm_options options = { .guest = &none };
	struct world w;
	uint32_t k;

	(void)state;
	world_open_with(&w, &options);
	(void)invalidate_all(&w, 0);
	for (k = 0; k < SMMUS; k++) {
		assert_tlb(&w, k, false);
		assert_cds(&w, k, 0, false);
		assert_int_equal(vm_executed(&w.vm, k), STREAMS + 1);
	}
	world_close(&w);
}

static void bad_arguments_are_refused(void **state)
{
	struct smmuinv_result result = { .size = 1 };
	struct world w;

	(void)state;
	world_open(&w);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_reset(NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(w.vm.vsmmu, &result),
			 -EINVAL);
	assert_int_equal(smmuinv_vsmmu_reset(w.vm.vsmmu, &result), -EINVAL);
	assert_int_equal(w.vm.call_count, 0);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(w.vm.vsmmu, NULL), 0);
	assert_int_equal(smmuinv_vsmmu_reset(w.vm.vsmmu, NULL), 0);
	world_close(&w);
}

/* The very last vSID is one, too. */
static void every_stream_has_its_part_however_many_there_are(void **state)
{
	static const uint32_t counts[] = { 31, 62, 63, 64, 65, 130, 1000 };
	uint32_t c;

	(void)state;
	for (c = 0; c < ARRAY_SIZE(counts); c++) {
		const struct vm_options options = { .empty = true };
		uint32_t n = counts[c];
		struct smmuinv_command command;
		struct vm vm;
		uint32_t i;

		vm_open_with(&vm, &options);
		for (i = 0; i < n; i++)
			vm_plug(&vm, UINT32_MAX - i);
		assert_int_equal(smmuinv_vsmmu_invalidate_all(vm.vsmmu, NULL),
				 0);
		assert_int_equal(vm_executed(&vm, 0), 3 * n + 1);
		for (i = 0; i < n; i++) {
			command = cfgi_cd_all(UINT32_MAX - i);
			assert_int_equal(vm_times(&vm, 0, &command), 1);
			command = atc_inv_all(UINT32_MAX - i);
			assert_int_equal(vm_times(&vm, 0, &command), 1);
		}
		vm_close(&vm);
	}
}

static void with_the_erratum_all_but_atcs_goes_twice(void **state)
{
	const struct smmuinv_command tlbi = tlbi_all();
	const struct vm_options options = {
		.smmu[1].hw_flags = SMMUINV_HW_INFO_REPEAT,
	};
	struct world w;
	uint32_t n;

	(void)state;
	world_open_with(&w, &options);
	(void)invalidate_all(&w, 0);
	assert_int_equal(vm_calls_to(&w.vm, 0), 3);
	assert_int_equal(vm_calls_to(&w.vm, 1), 5);
	assert_int_equal(vm_times(&w.vm, 0, &tlbi), 1);
	assert_int_equal(vm_times(&w.vm, 1, &tlbi), 2);
	for (n = 0; n < STREAMS; n++) {
		const struct smmuinv_command cds = cfgi_cd_all(vsid_of(1, n));
		const struct smmuinv_command atc = atc_inv_all(vsid_of(1, n));

		assert_int_equal(vm_times(&w.vm, 1, &cds), 2);
		assert_int_equal(vm_times(&w.vm, 1, &atc), 1);
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

	vm_inject_fault(&w->vm, which, &fault);
}

static void a_transient_failure_does_not_show(void **state)
{
	static const int errors[] = { -EIO, -ETIMEDOUT, -ENOMEM, -EINTR };
	uint32_t e, which, pass, executed, k;

	(void)state;
	for (e = 0; e < ARRAY_SIZE(errors) * SMMUS * 3; e++) {
		which = e % SMMUS;
		pass = e / SMMUS % 3;
		for (executed = 0; executed < 3; executed++) {
			struct world w;

			world_open(&w);
			inject_at(&w, which, pass, errors[e / SMMUS / 3],
				  executed, executed);
			(void)invalidate_all(&w, 0);
			for (k = 0; k < SMMUS; k++)
				assert_nothing(&w, k);
			world_close(&w);
		}
	}
}

static void the_failure_of_one_smmu_keeps_no_other_from_its_part(void **state)
{
	uint32_t which, pass, k;

	(void)state;
	for (which = 0; which < SMMUS; which++) {
		for (pass = 0; pass < 3; pass++) {
			struct smmuinv_result result;
			struct world w;

			world_open(&w);
			vm_fail(&w.vm, which, pass, -EFAULT);
			result = invalidate_all(&w, -EFAULT);
			vm_fail(&w.vm, which, 0, 0);
			assert_int_equal(result.fault.source,
					 SMMUINV_SOURCE_HOST);
			assert_int_equal(result.fault.error, -EFAULT);
			assert_int_equal(result.fault.viommu_id,
					 w.vm.smmu[which].viommu);
			for (k = 0; k < SMMUS; k++) {
				if (k != which)
					assert_nothing(&w, k);
			}
			(void)invalidate_all(&w, 0);
			assert_nothing(&w, which);
			world_close(&w);
		}
	}
}

static void a_device_that_is_gone_keeps_no_other_from_its_part(void **state)
{
	struct smmuinv_result result;
	struct world w;

	(void)state;
	world_open(&w);
	vm_lose_vdevice(&w.vm, vsid_of(1, 0));
	result = invalidate_all(&w, -ENODEV);
	assert_true(result.fault.vsid == vsid_of(1, 0));
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(result.fault.viommu_id, w.vm.smmu[1].viommu);
	assert_nothing(&w, 0);
	assert_nothing(&w, 2);
	assert_tlb(&w, 1, false);
	assert_cds(&w, 1, 1, false);
	/* Within the budget the other device's ATC is, or it is written down.
	 */
	assert_true(!has(&w, 1, 1, ATC) ||
		    vm_stream(&w.vm, vsid_of(1, 1)).owes);
	vm_unplug(&w.vm, vsid_of(1, 0));
	(void)invalidate_all(&w, 0);
	assert_atc(&w, 1, 1, false);
	assert_false(vm_stream(&w.vm, vsid_of(1, 1)).owes);
	world_close(&w);
}

/* The host waits a second each time. */
static void an_smmu_that_does_not_answer_costs_a_handful_of_calls(void **state)
{
	uint32_t streams;

	(void)state;
	for (streams = 1; streams <= 1000; streams *= 10) {
		const struct vm_options options = { .smmus = 2, .empty = true };
		struct smmuinv_result result = { .size = sizeof(result) };
		struct vm vm;
		uint32_t i;

		vm_open_with(&vm, &options);
		for (i = 0; i < streams; i++)
			vm_plug(&vm, i);
		vm_plug_on(&vm, 1, streams);
		vm_hang_smmu(&vm, 0, true);
		assert_int_equal(
			smmuinv_vsmmu_invalidate_all(vm.vsmmu, &result),
			-ETIMEDOUT);
		/* The first call three times, and no other. */
		assert_int_equal(vm_calls_to(&vm, 0), 3);
		assert_int_equal(result.timeouts, vm_calls_to(&vm, 0));
		assert_int_equal(result.fault.viommu_id, vm.smmu[0].viommu);
		assert_int_equal(result.fault.source, SMMUINV_SOURCE_HOST);
		assert_int_equal(vm_executed(&vm, 1), 4);
		vm_forget(&vm);
		assert_int_equal(smmuinv_vsmmu_reset(vm.vsmmu, NULL),
				 -ETIMEDOUT);
		assert_true(vm_calls_to(&vm, 0) <= 5);
		vm_hang_smmu(&vm, 0, false);
		assert_int_equal(smmuinv_vsmmu_reset(vm.vsmmu, NULL), 0);
		vm_close(&vm);
	}
}

/* It stops in the middle: what comes after is not asked for. */
static void an_smmu_that_stops_to_answer_is_not_asked_further(void **state)
{
	uint32_t after;

	(void)state;
	for (after = 0; after < 2; after++) {
		struct world w;

		world_open(&w);
		vm_fail(&w.vm, 1, after, -ETIMEDOUT);
		(void)invalidate_all(&w, -ETIMEDOUT);
		vm_fail(&w.vm, 1, 0, 0);
		assert_cds(&w, 1, 0, after == 0);
		assert_tlb(&w, 1, true);
		assert_atc(&w, 1, 0, true);
		assert_nothing(&w, 0);
		assert_nothing(&w, 2);
		assert_true(vm_calls_to(&w.vm, 1) <= after + 5);
		world_close(&w);
	}
}

/* Nor do a thousand devices that do not answer. */
static void devices_that_do_not_answer_cost_a_handful_of_calls(void **state)
{
	uint32_t streams;

	(void)state;
	for (streams = 1; streams <= 1000; streams *= 10) {
		const struct vm_options options = { .empty = true };
		struct smmuinv_result result = { .size = sizeof(result) };
		struct vm vm;
		uint32_t i;

		vm_open_with(&vm, &options);
		for (i = 0; i < streams; i++) {
			vm_plug(&vm, i);
			vm_hang(&vm, i, SMMUINV_MOCK_SILENT);
		}
		assert_int_equal(
			smmuinv_vsmmu_invalidate_all(vm.vsmmu, &result),
			-ETIMEDOUT);
		assert_true(result.timeouts <= 5);
		/* Of several it may not be known which. */
		assert_true(result.fault.vsid < streams ||
			    (streams > 1 &&
			     result.fault.vsid == SMMUINV_VSID_NONE));
		vm_close(&vm);
	}
}

static void
an_atc_that_does_not_answer_keeps_no_other_from_its_part(void **state)
{
	uint32_t silent;

	(void)state;
	for (silent = 0; silent < STREAMS; silent++) {
		struct smmuinv_result result;
		struct world w;

		world_open(&w);
		vm_hang(&w.vm, vsid_of(1, silent), SMMUINV_MOCK_SILENT);
		result = invalidate_all(&w, -ETIMEDOUT);
		assert_true(result.fault.vsid == vsid_of(1, silent));
		assert_atc(&w, 1, silent, true);
		assert_atc(&w, 1, !silent, false);
		assert_nothing(&w, 0);
		assert_nothing(&w, 2);
		assert_true(vm_stream(&w.vm, vsid_of(1, silent)).owes);
		assert_false(vm_stream(&w.vm, vsid_of(1, !silent)).owes);
		vm_hang(&w.vm, vsid_of(1, silent), SMMUINV_MOCK_ANSWERS);
		(void)invalidate_all(&w, 0);
		assert_nothing(&w, 1);
		assert_false(vm_stream(&w.vm, vsid_of(1, silent)).owes);
		world_close(&w);
	}
}

/* A device that the VMM has detached would never answer. */
static void assert_no_atc_inv(const struct world *w)
{
	uint32_t i, k;

	for (i = 0; i < w->vm.call_count; i++) {
		for (k = 0; k < w->vm.calls[i].count; k++)
			assert_int_not_equal(
				rank_of(&w->vm.calls[i].commands[k]), 2);
	}
}

static void assert_reset(struct world *w)
{
	uint32_t k, n;

	for (k = 0; k < SMMUS; k++) {
		assert_tlb(w, k, false);
		for (n = 0; n < STREAMS; n++) {
			assert_cds(w, k, n, false);
			assert_false(vm_stream(&w->vm, vsid_of(k, n)).ats);
			assert_false(vm_stream(&w->vm, vsid_of(k, n)).owes);
		}
	}
	assert_no_atc_inv(w);
}

static void a_reset_turns_ats_off_and_asks_no_device(void **state)
{
	struct world w;

	(void)state;
	world_open(&w);
	/* It also forgets what is owed. */
	vm_hang(&w.vm, vsid_of(0, 0), SMMUINV_MOCK_SILENT);
	(void)invalidate_all(&w, -ETIMEDOUT);
	assert_true(vm_stream(&w.vm, vsid_of(0, 0)).owes);
	vm_forget(&w.vm);
	assert_int_equal(smmuinv_vsmmu_reset(w.vm.vsmmu, NULL), 0);
	assert_reset(&w);
	world_close(&w);
}

static void a_reset_that_failed_can_be_done_again(void **state)
{
	uint32_t pass;

	(void)state;
	for (pass = 0; pass < 2; pass++) {
		struct smmuinv_result result = { .size = sizeof(result) };
		struct world w;

		world_open(&w);
		vm_fail(&w.vm, 0, pass, -EFAULT);
		assert_int_equal(smmuinv_vsmmu_reset(w.vm.vsmmu, &result),
				 -EFAULT);
		vm_fail(&w.vm, 0, 0, 0);
		assert_int_equal(result.fault.viommu_id, w.vm.smmu[0].viommu);
		assert_false(vm_stream(&w.vm, vsid_of(2, 0)).ats);
		assert_tlb(&w, 1, false);
		assert_int_equal(smmuinv_vsmmu_reset(w.vm.vsmmu, NULL), 0);
		assert_reset(&w);
		world_close(&w);
	}
}

/* A batch of commands that the host does not execute. */
static void a_skipped_batch_is_complete_and_everything_is_gone(void **state)
{
	const struct smmuinv_command commands[] = {
		cfgi_cd(vsid_of(0, 0)),
		tlbi_va(0x1000),
		raw(SMMUINV_CMD_PREFETCH_CONFIG, 0),
	};
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_batch *batch;
	struct world w;
	uint32_t k;

	(void)state;
	world_open(&w);
	assert_int_equal(smmuinv_batch_new(w.vm.vsmmu, 8, &batch), 0);
	for (k = 0; k < ARRAY_SIZE(commands); k++)
		smmuinv_batch_add(batch, &commands[k], NULL);
	vm_fail(&w.vm, 1, 0, -EFAULT);
	assert_int_equal(smmuinv_batch_invalidate_all(batch, &result), -EFAULT);
	vm_fail(&w.vm, 1, 0, 0);
	assert_int_equal(result.completed, 0);
	assert_int_equal(result.fault.viommu_id, w.vm.smmu[1].viommu);
	/* The batch is as it was. */
	assert_int_equal(smmuinv_batch_invalidate_all(batch, &result), 0);
	assert_int_equal(result.completed, ARRAY_SIZE(commands));
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_NONE);
	for (k = 0; k < SMMUS; k++)
		assert_nothing(&w, k);
	/* Nothing is left in it. */
	vm_forget(&w.vm);
	assert_int_equal(smmuinv_batch_flush(batch, &result), 0);
	assert_int_equal(result.completed, 0);
	assert_int_equal(w.vm.call_count, 0);
	assert_int_equal(smmuinv_batch_invalidate_all(NULL, NULL), -EINVAL);
	result.size = 1;
	assert_int_equal(smmuinv_batch_invalidate_all(batch, &result), -EINVAL);
	assert_int_equal(smmuinv_batch_invalidate_all(batch, NULL), 0);
	smmuinv_batch_free(batch);
	world_close(&w);
}

/* It owes, and CMD_SYNCs wait for that: so the command is complete. */
static void a_device_that_does_not_answer_hinders_no_skipping(void **state)
{
	const struct vm_queue_options options = { .log2size = 2 };
	const struct smmuinv_command tlbi = tlbi_va(0x1000);
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_batch *batch;
	struct vm_queue q;
	struct world w;

	(void)state;
	world_open(&w);
	vm_queue_open(&q, w.vm.vsmmu, &options);
	assert_int_equal(smmuinv_batch_new(w.vm.vsmmu, 8, &batch), 0);
	vm_hang(&w.vm, vsid_of(1, 0), SMMUINV_MOCK_SILENT);
	smmuinv_batch_add(batch, &tlbi, NULL);
	assert_int_equal(smmuinv_batch_invalidate_all(batch, &result), 0);
	assert_int_equal(result.completed, 1);
	assert_true(vm_stream(&w.vm, vsid_of(1, 0)).owes);
	vm_write(&q, tlbi);
	vm_write(&q, cmd_sync());
	assert_int_equal(vm_skip(&q), 1);
	assert_int_equal(vm_consume(&q), 0);
	assert_int_equal(q.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	vm_hang(&w.vm, vsid_of(1, 0), SMMUINV_MOCK_ANSWERS);
	assert_int_equal(vm_consume(&q), 1);
	assert_nothing(&w, 1);
	smmuinv_batch_free(batch);
	vm_queue_close(&q);
	world_close(&w);
}

/* The ring is read by the callback, and its pointers are looked at. */
static void a_command_is_skipped_wherever_it_is_read_from(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.read = vm_queue_read,
	};
	const struct vm_queue_options options = {
		.ops = &ops,
		.way = VM_BY_CALLBACK,
		.log2size = 2,
	};
	struct vm_queue q;
	struct world w;

	(void)state;
	world_open(&w);
	vm_queue_open(&q, w.vm.vsmmu, &options);
	vm_write(&q, tlbi_va(0x1000));
	q.unreadable = 0;
	assert_int_equal(vm_skip(&q), 0);
	q.unreadable = -1;
	assert_int_equal(vm_skip(&q), 1);
	assert_nothing(&w, 1);
	q.prod = 6;
	q.cons = 1;
	assert_int_equal(vm_skip(&q), -ERANGE);
	assert_int_equal(q.progress.fault.source, SMMUINV_SOURCE_POINTERS);
	assert_int_equal(q.cons, 1);
	vm_queue_close(&q);
	world_close(&w);
}

/* Each kind of command at CONS, and none. */
static void only_a_command_of_the_hosts_can_be_skipped(void **state)
{
	const struct vm_queue_options options = { .log2size = 4 };
	const struct {
		struct smmuinv_command command;
		int rc;
	} cases[] = {
		{ tlbi_va(0x1000), 1 },
		{ cfgi_cd(vsid_of(0, 0)), 1 },
		{ atc_inv_all(vsid_of(0, 0)), 1 },
		{ tlbi_all(), 1 },
		{ cfgi_ste(vsid_of(0, 0)), 0 },
		{ cmd_sync(), 0 },
		{ raw(0xff, 0), 0 },
		{ raw(SMMUINV_CMD_PREFETCH_CONFIG, 0), 0 },
	};
	struct vm_queue q;
	struct world w;
	uint32_t i, k;

	(void)state;
	world_open(&w);
	vm_queue_open(&q, w.vm.vsmmu, &options);
	assert_int_equal(vm_skip(&q), 0);
	assert_int_equal(w.vm.call_count, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t cons = q.cons;

		for (k = 0; k < SMMUS; k++)
			smmuinv_caches_refill(w.caches[k]);
		vm_forget(&w.vm);
		vm_write(&q, cases[i].command);
		assert_int_equal(vm_skip(&q), cases[i].rc);
		assert_int_equal(q.cons, cons + (uint32_t)cases[i].rc);
		assert_int_equal(q.progress.consumed, cases[i].rc);
		assert_int_equal(q.progress.ioctls, w.vm.call_count);
		if (!cases[i].rc)
			assert_int_equal(w.vm.call_count, 0);
		for (k = 0; k < SMMUS && cases[i].rc; k++)
			assert_nothing(&w, k);
		q.cons = q.prod;
	}
	/* A failure leaves it there. */
	vm_write(&q, tlbi_va(0x1000));
	vm_fail(&w.vm, 2, 1, -EFAULT);
	assert_int_equal(vm_skip(&q), -EFAULT);
	vm_fail(&w.vm, 2, 0, 0);
	assert_int_equal(q.progress.fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(q.progress.fault.viommu_id, w.vm.smmu[2].viommu);
	assert_int_equal(q.progress.consumed, 0);
	assert_int_equal(vm_skip(&q), 1);
	vm_queue_close(&q);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(everything_is_gone_everywhere),
		T(cds_tlbs_and_atcs_go_in_this_order_in_calls_of_their_own),
		T(an_smmu_without_streams_gets_only_its_tlbi),
		T(a_stream_without_ats_is_not_asked_for_its_atc),
		T(without_substreams_no_pasid_is_named),
		T(a_guest_without_ats_gets_no_atc_inv),
		T(bad_arguments_are_refused),
		T(every_stream_has_its_part_however_many_there_are),
		T(with_the_erratum_all_but_atcs_goes_twice),
		T(a_transient_failure_does_not_show),
		T(the_failure_of_one_smmu_keeps_no_other_from_its_part),
		T(a_device_that_is_gone_keeps_no_other_from_its_part),
		T(an_smmu_that_does_not_answer_costs_a_handful_of_calls),
		T(an_smmu_that_stops_to_answer_is_not_asked_further),
		T(devices_that_do_not_answer_cost_a_handful_of_calls),
		T(an_atc_that_does_not_answer_keeps_no_other_from_its_part),
		T(a_reset_turns_ats_off_and_asks_no_device),
		T(a_reset_that_failed_can_be_done_again),
		T(a_skipped_batch_is_complete_and_everything_is_gone),
		T(only_a_command_of_the_hosts_can_be_skipped),
		T(a_device_that_does_not_answer_hinders_no_skipping),
		T(a_command_is_skipped_wherever_it_is_read_from),
#undef T
	};

	return cmocka_run_group_tests_name("invalidate", tests, NULL, NULL);
}
