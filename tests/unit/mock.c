/* SPDX-License-Identifier: MIT */
/*
 * The mock answers as Linux 6.13 to 7.3 were measured to answer, and as the
 * kernels after them are to answer.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <smmuinv/mock.h>

#include "backend.h"
#include "mock/kernel.h"
#include "support.h"

#define MANY  130
#define BLOCK 63

#define KERNELS (SMMUINV_MOCK_EXACT_QUARANTINE + 1)

/* The devices' vSIDs. */
#define VSID  0x10u
#define OTHER 0x11u
#define THIRD 0x12u

/* ATS, 16-bit ASIDs, 20-bit SubstreamIDs, RIL, every granule, DS. */
static const struct smmuinv_features full = { { 0x0108741a, 0x00000520, 0,
						0x00000400, 0, 0x000000f6 } };

/* A kernel with one vIOMMU, three devices on it, and their caches. */
struct host {
	struct smmuinv_mock *mock;
	struct smmuinv_caches *caches;
	uint32_t viommu;
	uint32_t device[3];
	uint32_t vdevice[3];
};

static void host_open_as(struct host *h, uint32_t kernel)
{
	struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = full,
		.kernel = kernel,
	};
	uint32_t i;

	assert_int_equal(smmuinv_caches_new(64, &h->caches), 0);
	params.caches = h->caches;
	assert_int_equal(smmuinv_mock_new(&params, &h->mock), 0);
	assert_int_equal(smmuinv_mock_add_viommu(h->mock, &h->viommu), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(
			smmuinv_mock_add_device(h->mock, &h->device[i]), 0);
		assert_int_equal(smmuinv_mock_vdevice_alloc(
					 h->mock, h->viommu, h->device[i],
					 VSID + i, &h->vdevice[i]),
				 0);
	}
}

static void host_close(struct host *h)
{
	assert_int_equal(smmuinv_mock_faults_left(h->mock), 0);
	smmuinv_mock_free(h->mock);
	smmuinv_caches_free(h->caches);
}

static int setup(void **state)
{
	static struct host h;

	host_open_as(&h, SMMUINV_MOCK_7_3);
	*state = &h;
	return 0;
}

static int teardown(void **state)
{
	host_close(*state);
	return 0;
}

static int invalidate(struct host *h, const struct smmuinv_command *commands,
		      uint32_t *count)
{
	return smmuinv_mock_invalidate(h->mock, h->viommu, commands, count);
}

static int invalidate_one(struct host *h, struct smmuinv_command command)
{
	uint32_t count = 1;

	return invalidate(h, &command, &count);
}

static struct smmuinv_command tlbi(uint64_t page)
{
	return test_command(SMMUINV_CMD_TLBI_NH_VA, page << 12);
}

static struct smmuinv_command atc_inv(uint32_t vsid)
{
	return test_command((uint64_t)vsid << 32 | SMMUINV_CMD_ATC_INV, 52);
}

static struct smmuinv_command cfgi_cd(uint32_t vsid)
{
	return test_command((uint64_t)vsid << 32 | SMMUINV_CMD_CFGI_CD, 0);
}

static void fill(struct smmuinv_command *commands)
{
	uint32_t i;

	for (i = 0; i < MANY; i++)
		commands[i] = tlbi(i);
}

/* Cache one page in a device's ATC; returns the entry's index. */
static size_t cache_atc(struct smmuinv_caches *caches, uint32_t vsid)
{
	const struct smmuinv_cache_entry entry = {
		.size = sizeof(entry),
		.kind = SMMUINV_CACHED_ATC,
		.length = 4096,
		.sid = vsid,
	};
	int index = smmuinv_caches_insert(caches, &entry);

	assert_true(index >= 0);
	return (size_t)index;
}

static void inject(struct host *h, struct smmuinv_mock_fault fault)
{
	fault.size = sizeof(fault);
	assert_int_equal(smmuinv_mock_inject(h->mock, &fault), 0);
}

#define INJECT(h, ...) inject((h), (struct smmuinv_mock_fault){ __VA_ARGS__ })

static bool is_exact(uint32_t kernel)
{
	return kernel == SMMUINV_MOCK_EXACT ||
	       kernel == SMMUINV_MOCK_EXACT_QUARANTINE;
}

static bool is_quarantining(uint32_t kernel)
{
	return kernel == SMMUINV_MOCK_QUARANTINE ||
	       kernel == SMMUINV_MOCK_EXACT_QUARANTINE;
}

static uint32_t block_start(uint32_t i)
{
	return i / BLOCK * BLOCK;
}

static uint32_t block_end(uint32_t i)
{
	return block_start(i) + BLOCK < MANY ? block_start(i) + BLOCK : MANY;
}

/* What a call reports of which the block around @i failed. */
static uint32_t count_of_failed_block(uint32_t kernel, uint32_t i)
{
	return is_exact(kernel) ? block_start(i) : block_end(i) - 1;
}

static void every_command_of_a_good_call_is_executed_in_order(void **state)
{
	const struct smmuinv_mock_record *records;
	struct smmuinv_command commands[MANY];
	struct host *h = *state;
	uint32_t n, i;

	fill(commands);
	for (n = 1; n <= MANY; n++) {
		uint32_t count = n;

		smmuinv_mock_forget(h->mock);
		assert_int_equal(invalidate(h, commands, &count), 0);
		assert_int_equal(count, n);
		assert_int_equal(smmuinv_mock_executed(h->mock, &records), n);
		for (i = 0; i < n; i++) {
			assert_true(test_command_equal(&records[i].command,
						       &commands[i]));
			assert_int_equal(records[i].viommu_id, h->viommu);
			assert_int_equal(records[i].call, n);
		}
	}
	assert_int_equal(smmuinv_mock_calls(h->mock), MANY);
}

static void the_record_says_which_viommu_and_which_call(void **state)
{
	const struct smmuinv_mock_record *records;
	struct smmuinv_command command = tlbi(1);
	struct host *h = *state;
	uint32_t second, i;

	assert_int_equal(smmuinv_mock_add_viommu(h->mock, &second), 0);
	for (i = 0; i < 300; i++) {
		uint32_t count = 1;

		assert_int_equal(smmuinv_mock_invalidate(
					 h->mock, i % 3 ? second : h->viommu,
					 &command, &count),
				 0);
	}
	assert_int_equal(smmuinv_mock_executed(h->mock, &records), 300);
	for (i = 0; i < 300; i++) {
		assert_int_equal(records[i].viommu_id,
				 i % 3 ? second : h->viommu);
		assert_int_equal(records[i].call, i + 1);
	}
}

static void a_refusal_is_counted_as_each_kernel_counts_it(void **state)
{
	struct smmuinv_command commands[MANY];
	uint32_t kernel, bad;

	(void)state;
	for (kernel = 0; kernel < KERNELS; kernel++) {
		struct host h;

		host_open_as(&h, kernel);
		for (bad = 0; bad < MANY; bad++) {
			uint32_t count = MANY;

			fill(commands);
			commands[bad] = test_command(0xff, 0);
			smmuinv_mock_forget(h.mock);
			assert_int_equal(invalidate(&h, commands, &count),
					 -EIO);
			assert_int_equal(count, bad);
			/* Only exact kernels have sent all that they count. */
			assert_int_equal(smmuinv_mock_executed(h.mock, NULL),
					 is_exact(kernel) ? bad :
							    block_start(bad));
		}
		host_close(&h);
	}
}

static void an_entry_of_zeros_is_refused(void **state)
{
	assert_int_equal(invalidate_one(*state, test_command(0, 0)), -EIO);
}

static void a_vsid_without_vdevice_is_refused(void **state)
{
	struct smmuinv_command command = cfgi_cd(THIRD + 1);
	struct host *h = *state;
	uint32_t count = 1;

	assert_int_equal(invalidate_one(h, cfgi_cd(VSID)), 0);
	assert_int_equal(invalidate(h, &command, &count), -EIO);
	assert_int_equal(count, 0);
	assert_int_equal(smmuinv_mock_destroy(h->mock, h->vdevice[0]), 0);
	assert_int_equal(invalidate_one(h, cfgi_cd(VSID)), -EIO);
}

static void no_entries_are_einval(void **state)
{
	struct smmuinv_command command = tlbi(0);
	uint32_t count = 0;

	assert_int_equal(invalidate(*state, &command, &count), -EINVAL);
}

static void too_large_calls_fail_as_the_kernels_do(void **state)
{
	uint32_t many = (1u << 19) + 1;
	struct smmuinv_command *commands = calloc(many, sizeof(*commands));
	uint32_t kernel;

	(void)state;
	assert_non_null(commands);
	for (kernel = 0; kernel < KERNELS; kernel++) {
		bool old = kernel == SMMUINV_MOCK_6_13;
		uint32_t count = many;
		struct host h;

		host_open_as(&h, kernel);
		assert_int_equal(invalidate(&h, commands, &count),
				 old ? -ENOMEM : -EINVAL);
		assert_int_equal(count, old ? many : 0);
		/* It finds no 4 MiB in one piece, and leaves the count alone.
		 */
		count = (1u << 18) + 1;
		assert_int_equal(invalidate(&h, commands, &count), -ENOMEM);
		assert_int_equal(count, (1u << 18) + 1);
		assert_int_equal(smmuinv_mock_executed(h.mock, NULL), 0);
		host_close(&h);
	}
	free(commands);
}

static void only_a_viommu_takes_invalidations(void **state)
{
	struct smmuinv_command command = tlbi(0);
	struct host *h = *state;
	uint32_t count = 1;

	assert_int_equal(
		smmuinv_mock_invalidate(h->mock, 999, &command, &count),
		-ENOENT);
	count = 1;
	assert_int_equal(smmuinv_mock_invalidate(h->mock, h->device[0],
						 &command, &count),
			 -EINVAL);
}

static void a_device_has_one_vdevice_and_a_vsid_one_device(void **state)
{
	struct host *h = *state;
	uint32_t device, id;

	assert_int_equal(smmuinv_mock_add_device(h->mock, &device), 0);
	assert_int_equal(smmuinv_mock_vdevice_alloc(h->mock, h->viommu,
						    h->device[0], 1, &id),
			 -EEXIST);
	assert_int_equal(smmuinv_mock_vdevice_alloc(h->mock, h->viommu, device,
						    VSID, &id),
			 -EEXIST);
	assert_int_equal(
		smmuinv_mock_vdevice_alloc(h->mock, 999, device, 1, &id),
		-ENOENT);
	assert_int_equal(
		smmuinv_mock_vdevice_alloc(h->mock, h->viommu, 999, 1, &id),
		-ENOENT);
	/* The low half is free, but no command can name all of it. */
	assert_int_equal(smmuinv_mock_vdevice_alloc(h->mock, h->viommu, device,
						    UINT64_C(1) << 32 | 1, &id),
			 -EINVAL);
	assert_int_equal(smmuinv_mock_vdevice_alloc(h->mock, h->viommu, device,
						    UINT32_MAX, &id),
			 0);
	assert_int_equal(invalidate_one(h, cfgi_cd(UINT32_MAX)), 0);
	assert_int_equal(smmuinv_mock_destroy(h->mock, id), 0);
	assert_int_equal(invalidate_one(h, cfgi_cd(UINT32_MAX)), -EIO);
}

static void objects_are_destroyed_children_first(void **state)
{
	struct host *h = *state;
	size_t i;

	assert_int_equal(smmuinv_mock_objects(h->mock), 7);
	for (i = 0; i < 3; i++) {
		assert_int_equal(smmuinv_mock_destroy(h->mock, h->viommu),
				 -EBUSY);
		assert_int_equal(smmuinv_mock_destroy(h->mock, h->device[i]),
				 -EBUSY);
		assert_int_equal(smmuinv_mock_destroy(h->mock, h->vdevice[i]),
				 0);
		assert_int_equal(smmuinv_mock_destroy(h->mock, h->device[i]),
				 0);
	}
	assert_int_equal(smmuinv_mock_destroy(h->mock, h->viommu), 0);
	assert_int_equal(smmuinv_mock_destroy(h->mock, h->viommu), -ENOENT);
	assert_int_equal(smmuinv_mock_objects(h->mock), 0);
}

static void device_info_reports_the_hosts_features(void **state)
{
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct smmuinv_backend *backend;
	struct host *h = *state;

	assert_int_equal(smmuinv_mock_backend(h->mock, &backend), 0);
	assert_int_equal(
		smmuinv_backend_device_info(backend, h->device[0], &info), 0);
	assert_int_equal(info.max_pasid_log2, 20);
	assert_int_equal(info.capabilities, 0);
	assert_int_equal(info.hw.flags, 0);
	assert_memory_equal(info.hw.idr, full.idr, sizeof(full.idr));
	assert_int_equal(smmuinv_backend_device_info(backend, 999, &info),
			 -ENOENT);
	assert_int_equal(smmuinv_backend_device_info(backend, h->viommu, &info),
			 -ENOENT);
	smmuinv_backend_free(backend);
}

static void a_device_on_another_smmu_reports_that_one(void **state)
{
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct smmuinv_features no_ats = full;
	struct smmuinv_backend *backend;
	struct host *h = *state;

	no_ats.idr[0] &= ~(1u << 10);
	no_ats.idr[1] = 0x20;
	assert_int_equal(smmuinv_mock_backend(h->mock, &backend), 0);
	assert_int_equal(smmuinv_mock_set_host(h->mock, h->device[1], &no_ats,
					       SMMUINV_HW_INFO_REPEAT),
			 0);
	assert_int_equal(
		smmuinv_backend_device_info(backend, h->device[1], &info), 0);
	assert_memory_equal(info.hw.idr, no_ats.idr, sizeof(no_ats.idr));
	assert_int_equal(info.hw.flags, SMMUINV_HW_INFO_REPEAT);
	assert_int_equal(info.capabilities, SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED);
	assert_int_equal(info.max_pasid_log2, 0);
	assert_int_equal(
		smmuinv_backend_device_info(backend, h->device[0], &info), 0);
	assert_memory_equal(info.hw.idr, full.idr, sizeof(full.idr));
	assert_int_equal(info.hw.flags, 0);
	smmuinv_backend_free(backend);
}

static void a_viommu_on_another_smmu_accepts_what_that_one_has(void **state)
{
	struct smmuinv_features no_ats = full;
	struct host *h = *state;
	uint32_t second;

	no_ats.idr[0] &= ~(1u << 10);
	assert_int_equal(smmuinv_mock_add_viommu(h->mock, &second), 0);
	assert_int_equal(smmuinv_mock_set_host(h->mock, h->viommu, &no_ats, 0),
			 0);
	assert_int_equal(invalidate_one(h, atc_inv(VSID)), -EIO);
	assert_int_equal(smmuinv_mock_set_host(h->mock, second, &no_ats, 0), 0);
	assert_int_equal(smmuinv_mock_set_host(h->mock, h->viommu, &full, 0),
			 0);
	assert_int_equal(invalidate_one(h, atc_inv(VSID)), 0);
	/* A vDEVICE is on no SMMU of its own. */
	assert_int_equal(
		smmuinv_mock_set_host(h->mock, h->vdevice[0], &full, 0),
		-ENOENT);
	assert_int_equal(smmuinv_mock_set_host(h->mock, 999, &full, 0),
			 -ENOENT);
}

static void what_is_executed_is_executed_on_the_viommus_caches(void **state)
{
	struct smmuinv_cache_entry entry = {
		.size = sizeof(entry),
		.kind = SMMUINV_CACHED_LEAF,
		.tg = SMMUINV_TG_4K,
		.level = 3,
		.length = 4096,
	};
	struct smmuinv_command command = tlbi(0);
	struct smmuinv_caches *caches;
	struct host *h = *state;
	uint32_t second, count = 1;

	assert_int_equal(smmuinv_caches_new(1, &caches), 0);
	assert_int_equal(smmuinv_caches_insert(caches, &entry), 0);
	assert_int_equal(smmuinv_caches_insert(h->caches, &entry), 0);
	assert_int_equal(smmuinv_mock_add_viommu(h->mock, &second), 0);
	assert_int_equal(smmuinv_mock_set_caches(h->mock, second, caches), 0);

	assert_int_equal(
		smmuinv_mock_invalidate(h->mock, second, &command, &count), 0);
	assert_false(smmuinv_caches_has(caches, 0));
	assert_true(smmuinv_caches_has(h->caches, 0));
	assert_int_equal(invalidate_one(h, command), 0);
	assert_false(smmuinv_caches_has(h->caches, 0));

	smmuinv_caches_refill(caches);
	assert_int_equal(smmuinv_mock_set_caches(h->mock, second, NULL), 0);
	assert_int_equal(
		smmuinv_mock_invalidate(h->mock, second, &command, &count), 0);
	assert_true(smmuinv_caches_has(caches, 0));
	assert_int_equal(smmuinv_mock_set_caches(h->mock, h->device[0], caches),
			 -ENOENT);
	smmuinv_caches_free(caches);
}

/* Measured on 7.2.12: ETIMEDOUT, and entry_num 2. */
static void
an_old_kernel_lets_an_illegal_field_stop_the_hosts_queue(void **state)
{
	const struct smmuinv_command commands[] = {
		tlbi(0),
		test_command((uint64_t)VSID << 32 | 1 << 10 |
				     SMMUINV_CMD_CFGI_CD,
			     0),
		test_command(SMMUINV_CMD_TLBI_NH_ASID, 0),
	};
	struct host h;
	uint32_t count = 3;

	(void)state;
	host_open_as(&h, SMMUINV_MOCK_6_13);
	assert_int_equal(invalidate(&h, commands, &count), -ETIMEDOUT);
	assert_int_equal(count, 2);
	assert_int_equal(smmuinv_mock_wedged(h.mock), 1);
	assert_int_equal(smmuinv_mock_executed(h.mock, NULL), 1);
	host_close(&h);
}

static bool is_forwarded(uint32_t opcode)
{
	static const uint32_t forwarded[] = { 0x05, 0x06, 0x10, 0x11,
					      0x12, 0x13, 0x30, 0x40 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(forwarded); i++) {
		if (forwarded[i] == opcode)
			return true;
	}
	return false;
}

static void an_old_kernel_checks_the_opcode_and_the_vsid(void **state)
{
	struct host h;
	uint32_t opcode;

	(void)state;
	host_open_as(&h, SMMUINV_MOCK_6_13);
	for (opcode = 0; opcode < 256; opcode++) {
		uint64_t dw0 = opcode | (uint64_t)VSID << 32;
		int rc = invalidate_one(&h, test_command(dw0, UINT64_MAX));

		assert_true((rc == -EIO) == !is_forwarded(opcode));
	}
	/* All the rest was passed on. */
	assert_int_equal(smmuinv_mock_wedged(h.mock), 8);
	assert_int_equal(invalidate_one(&h, cfgi_cd(0xbad)), -EIO);
	assert_int_equal(smmuinv_mock_wedged(h.mock), 8);
	host_close(&h);
}

static void later_kernels_never_let_the_hosts_queue_stop(void **state)
{
	uint32_t kernel, opcode;

	(void)state;
	for (kernel = 0; kernel < KERNELS; kernel++) {
		struct host h;

		if (kernel == SMMUINV_MOCK_6_13)
			continue;
		host_open_as(&h, kernel);
		for (opcode = 0; opcode < 256; opcode++)
			assert_int_equal(
				invalidate_one(&h,
					       test_command(opcode, 1 << 6)),
				-EIO);
		assert_int_equal(smmuinv_mock_wedged(h.mock), 0);
		assert_int_equal(smmuinv_mock_executed(h.mock, NULL), 0);
		host_close(&h);
	}
}

/* Nothing but stage 1, ATS and 4K; and the same with ranges. */
static const struct smmuinv_features plain = { { 0x00000402, 0, 0, 0, 0,
						 0x00000010 } };
static const struct smmuinv_features ranges = { { 0x00000402, 0, 0, 0x00000400,
						  0, 0x00000010 } };

/* The bits that may change in a command that is accepted; 7.3, measured. */
static const struct {
	const struct smmuinv_features *host;
	uint64_t dw0;
	uint64_t dw1;
	uint64_t may0;
	uint64_t may1;
} accepted[] = {
	{ &full, 0x05, 0, 0xfffffffffffff000, 0x1 },
	{ &full, 0x06, 0, 0xffffffff00000000, 0 },
	{ &full, 0x10, 0, 0x0000ffff00000000, 0 },
	{ &full, 0x11, 0, 0xffffffff00000000, 0 },
	{ &full, 0x12, 0, 0xffffffff00000000, 0xfffffffffffff001 },
	{ &full, 0x13, 0, 0x0000ffff00000000, 0xfffffffffffff001 },
	{ &full, 0x30, 0, 0, 0 },
	{ &full, 0x40, 0, 0xfffffffffffffa00, 0xfffffffffffff03f },
	/* TG 1 and NUM 1, which may not become 0. */
	{ &full, 0x1012, 0x400, 0xffffffff03f1e000, 0xfffffffffffffb01 },
	{ &full, 0x1013, 0x400, 0x0000ffff03f1e000, 0xfffffffffffffb01 },
	{ &ranges, 0x1012, 0x400, 0x00ffffff01f1e000, 0xfffffffffffffb01 },
	{ &ranges, 0x1013, 0x400, 0x0000ffff01f1e000, 0xfffffffffffffb01 },
	{ &plain, 0x05, 0, 0xffffffff00000000, 0x1 },
	{ &plain, 0x06, 0, 0xffffffff00000000, 0 },
	{ &plain, 0x10, 0, 0x0000ffff00000000, 0 },
	{ &plain, 0x11, 0, 0x00ffffff00000000, 0 },
	{ &plain, 0x12, 0, 0x00ffffff00000000, 0xfffffffffffff001 },
	{ &plain, 0x13, 0, 0x0000ffff00000000, 0xfffffffffffff001 },
	{ &plain, 0x30, 0, 0, 0 },
	{ &plain, 0x40, 0, 0xffffffff00000000, 0xfffffffffffff03f },
};

static bool accepts(const struct smmuinv_features *host, uint64_t dw0,
		    uint64_t dw1)
{
	const struct smmuinv_command command = test_command(dw0, dw1);

	return smmuinv__kernel_accepts(&command, host);
}

static void
kernel_7_3_refuses_every_bit_that_the_smmu_has_no_use_for(void **state)
{
	unsigned int bit;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(accepted); i++) {
		const struct smmuinv_features *host = accepted[i].host;
		uint64_t dw0 = accepted[i].dw0;
		uint64_t dw1 = accepted[i].dw1;

		assert_true(accepts(host, dw0, dw1));
		assert_true(accepts(host,
				    dw0 ^ (accepted[i].may0 & ~0xfffffull),
				    dw1 ^ (accepted[i].may1 & ~0xfffull)));
		for (bit = 8; bit < 64; bit++)
			assert_int_equal(accepts(host, dw0 ^ 1ull << bit, dw1),
					 accepted[i].may0 >> bit & 1);
		for (bit = 0; bit < 64; bit++)
			assert_int_equal(accepts(host, dw0, dw1 ^ 1ull << bit),
					 accepted[i].may1 >> bit & 1);
	}
}

static void kernel_7_3_refuses_every_other_opcode(void **state)
{
	uint32_t opcode;

	(void)state;
	for (opcode = 0; opcode < 256; opcode++)
		assert_int_equal(accepts(&full, opcode, 0),
				 is_forwarded(opcode));
}

/* 4.4.1.1 */
static bool range_is_legal(uint32_t tg, uint32_t ttl, uint32_t num,
			   uint32_t scale, bool ds)
{
	bool operands = ttl || num || scale;

	if (!ds && (scale >= 32 || (tg == 2 && ttl == 1)))
		return false;
	return tg ? operands : !operands;
}

static void kernel_7_3_refuses_reserved_ranges_and_levels(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 1 << 15; i++) {
		uint32_t num = i & 31;
		uint32_t scale = i >> 5 & 63;
		uint32_t tg = i >> 11 & 3;
		uint32_t ttl = i >> 13 & 3;
		uint64_t dw0 = 0x12 | num << 12 | scale << 20;
		uint64_t dw1 = tg << 10 | ttl << 8;

		assert_int_equal(accepts(&full, dw0, dw1),
				 range_is_legal(tg, ttl, num, scale, true));
		assert_int_equal(accepts(&ranges, dw0, dw1),
				 range_is_legal(tg, ttl, num, scale, false));
	}
}

static void kernel_7_3_refuses_atc_invs_too_large_or_without_ats(void **state)
{
	struct smmuinv_features no_ats = full;
	uint32_t size;

	(void)state;
	no_ats.idr[0] &= ~(1u << 10);
	for (size = 0; size < 64; size++) {
		assert_int_equal(accepts(&full, 0x40, size), size <= 52);
		assert_false(accepts(&no_ats, 0x40, size));
	}
}

/* Of a call of MANY with one ATC_INV at @at that a device does not answer. */
static void assert_block_fails(struct host *h, uint32_t kernel, uint32_t at)
{
	const struct smmuinv_mock_record *records;
	struct smmuinv_command commands[MANY];
	uint32_t count = MANY;
	size_t executed, i;

	fill(commands);
	commands[at] = atc_inv(OTHER);
	smmuinv_mock_forget(h->mock);
	assert_int_equal(invalidate(h, commands, &count),
			 is_quarantining(kernel) ? -EIO : -ETIMEDOUT);
	assert_int_equal(count, count_of_failed_block(kernel, at));
	executed = smmuinv_mock_executed(h->mock, &records);
	assert_int_equal(executed, block_end(at) - 1);
	for (i = 0; i < executed; i++)
		assert_true(test_command_equal(&records[i].command,
					       &commands[i < at ? i : i + 1]));
}

static void a_device_that_does_not_answer_fails_its_block_of_63(void **state)
{
	uint32_t kernel, at;

	(void)state;
	for (kernel = 0; kernel < KERNELS; kernel++) {
		struct host h;
		size_t healthy, hung;

		host_open_as(&h, kernel);
		healthy = cache_atc(h.caches, VSID);
		hung = cache_atc(h.caches, OTHER);
		for (at = 0; at < MANY; at++) {
			/* This ends the quarantine of the turn before. */
			assert_int_equal(
				smmuinv_mock_hang(h.mock, h.viommu, OTHER,
						  SMMUINV_MOCK_ANSWERS),
				0);
			assert_int_equal(smmuinv_mock_hang(h.mock, h.viommu,
							   OTHER,
							   SMMUINV_MOCK_SILENT),
					 0);
			assert_block_fails(&h, kernel, at);
		}
		assert_true(smmuinv_caches_has(h.caches, hung));
		/* The others answer, and it answers what is no ATC_INV. */
		assert_int_equal(invalidate_one(&h, atc_inv(VSID)), 0);
		assert_false(smmuinv_caches_has(h.caches, healthy));
		assert_int_equal(invalidate_one(&h, cfgi_cd(OTHER)), 0);

		assert_int_equal(smmuinv_mock_hang(h.mock, h.viommu, OTHER,
						   SMMUINV_MOCK_ANSWERS),
				 0);
		assert_int_equal(invalidate_one(&h, atc_inv(OTHER)), 0);
		assert_false(smmuinv_caches_has(h.caches, hung));
		host_close(&h);
	}
}

static void
the_rest_of_a_failed_block_is_executed_for_other_devices(void **state)
{
	const struct smmuinv_command commands[] = {
		atc_inv(OTHER),
		atc_inv(VSID),
		atc_inv(THIRD),
		cfgi_cd(OTHER),
	};
	struct host *h = *state;
	uint32_t count = ARRAY_SIZE(commands);
	size_t i;

	for (i = 0; i < 3; i++)
		assert_int_equal(cache_atc(h->caches, VSID + (uint32_t)i), i);
	smmuinv_mock_hang(h->mock, h->viommu, OTHER, SMMUINV_MOCK_SILENT);
	smmuinv_mock_hang(h->mock, h->viommu, THIRD, SMMUINV_MOCK_SILENT);
	assert_int_equal(invalidate(h, commands, &count), -ETIMEDOUT);
	assert_int_equal(count, 3);
	assert_false(smmuinv_caches_has(h->caches, 0));
	assert_true(smmuinv_caches_has(h->caches, 1));
	assert_true(smmuinv_caches_has(h->caches, 2));
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 2);
}

static void a_quarantined_device_is_refused_at_once(void **state)
{
	const struct smmuinv_command commands[] = {
		atc_inv(VSID),
		atc_inv(OTHER),
		atc_inv(THIRD),
	};
	uint32_t kernel;

	(void)state;
	for (kernel = 0; kernel < KERNELS; kernel++) {
		struct host h;
		uint32_t count = 3;

		if (!is_quarantining(kernel))
			continue;
		host_open_as(&h, kernel);
		smmuinv_mock_hang(h.mock, h.viommu, OTHER, SMMUINV_MOCK_SILENT);
		smmuinv_mock_hang(h.mock, h.viommu, THIRD, SMMUINV_MOCK_SILENT);
		assert_int_equal(invalidate(&h, commands, &count), -EIO);
		assert_int_equal(count, is_exact(kernel) ? 0 : 2);
		assert_int_equal(smmuinv_mock_executed(h.mock, NULL), 1);

		/* Now the count is that of a refusal. */
		count = 3;
		assert_int_equal(invalidate(&h, commands, &count), -EIO);
		assert_int_equal(count, 1);
		assert_int_equal(smmuinv_mock_executed(h.mock, NULL),
				 is_exact(kernel) ? 2 : 1);
		/* Both are, and not for other commands. */
		assert_int_equal(invalidate_one(&h, atc_inv(THIRD)), -EIO);
		assert_int_equal(invalidate_one(&h, cfgi_cd(OTHER)), 0);
		host_close(&h);
	}
}

static void
a_quarantine_ends_with_a_reset_and_not_with_the_vdevice(void **state)
{
	struct host h;
	uint32_t i;

	(void)state;
	host_open_as(&h, SMMUINV_MOCK_QUARANTINE);
	smmuinv_mock_hang(h.mock, h.viommu, VSID, SMMUINV_MOCK_SILENT);
	assert_int_equal(invalidate_one(&h, atc_inv(VSID)), -EIO);
	/* Not even if it would answer again. */
	smmuinv_mock_hang(h.mock, h.viommu, VSID, SMMUINV_MOCK_LIES);
	for (i = 0; i < 2; i++) {
		assert_int_equal(invalidate_one(&h, atc_inv(VSID)), -EIO);
		assert_int_equal(smmuinv_mock_destroy(h.mock, h.vdevice[0]), 0);
		assert_int_equal(smmuinv_mock_hang(h.mock, h.viommu, VSID,
						   SMMUINV_MOCK_ANSWERS),
				 -ENOENT);
		assert_int_equal(smmuinv_mock_vdevice_alloc(h.mock, h.viommu,
							    h.device[0], VSID,
							    &h.vdevice[0]),
				 0);
	}
	smmuinv_mock_hang(h.mock, h.viommu, VSID, SMMUINV_MOCK_ANSWERS);
	assert_int_equal(invalidate_one(&h, atc_inv(VSID)), 0);
	host_close(&h);
}

static void an_atc_inv_can_be_lost_and_reported_as_success(void **state)
{
	uint32_t kernel;

	(void)state;
	for (kernel = 0; kernel < KERNELS; kernel++) {
		const struct smmuinv_command commands[] = {
			tlbi(1),
			atc_inv(VSID),
			atc_inv(OTHER),
		};
		uint32_t count = 3;
		struct host h;

		host_open_as(&h, kernel);
		assert_int_equal(cache_atc(h.caches, VSID), 0);
		assert_int_equal(cache_atc(h.caches, OTHER), 1);
		assert_int_equal(smmuinv_mock_hang(h.mock, h.viommu, VSID,
						   SMMUINV_MOCK_LIES),
				 0);
		assert_int_equal(invalidate(&h, commands, &count), 0);
		assert_int_equal(count, 3);
		assert_true(smmuinv_caches_has(h.caches, 0));
		assert_false(smmuinv_caches_has(h.caches, 1));
		assert_int_equal(smmuinv_mock_executed(h.mock, NULL), 2);
		host_close(&h);
	}
}

static void a_hung_smmu_executes_nothing_and_times_out(void **state)
{
	struct smmuinv_command commands[MANY];
	uint32_t kernel;

	(void)state;
	fill(commands);
	for (kernel = 0; kernel < KERNELS; kernel++) {
		uint32_t second, n;
		struct host h;

		host_open_as(&h, kernel);
		assert_int_equal(smmuinv_mock_add_viommu(h.mock, &second), 0);
		assert_int_equal(smmuinv_mock_hang_smmu(h.mock, h.viommu, true),
				 0);
		for (n = 1; n <= MANY; n++) {
			uint32_t first = n < BLOCK ? n : BLOCK;
			uint32_t count = n;

			assert_int_equal(invalidate(&h, commands, &count),
					 -ETIMEDOUT);
			assert_int_equal(count,
					 is_exact(kernel) ? 0 : first - 1);
			assert_int_equal(smmuinv_mock_executed(h.mock, NULL),
					 0);
			count = n;
			assert_int_equal(smmuinv_mock_invalidate(h.mock, second,
								 commands,
								 &count),
					 0);
			smmuinv_mock_forget(h.mock);
		}
		assert_int_equal(
			smmuinv_mock_hang_smmu(h.mock, h.viommu, false), 0);
		assert_int_equal(invalidate_one(&h, commands[0]), 0);
		host_close(&h);
	}
}

static void a_refusal_comes_before_the_time_out_of_its_block(void **state)
{
	const struct smmuinv_command commands[] = {
		tlbi(0),
		test_command(0xff, 0),
	};
	uint32_t kernel;

	(void)state;
	for (kernel = 0; kernel < KERNELS; kernel++) {
		uint32_t count = 2;
		struct host h;

		host_open_as(&h, kernel);
		smmuinv_mock_hang_smmu(h.mock, h.viommu, true);
		/* An exact kernel sends what it counts, and that times out. */
		assert_int_equal(invalidate(&h, commands, &count),
				 is_exact(kernel) ? -ETIMEDOUT : -EIO);
		assert_int_equal(count, is_exact(kernel) ? 0 : 1);
		host_close(&h);
	}
}

static void an_old_kernels_queue_stops_on_a_hung_smmu_too(void **state)
{
	struct host h;

	(void)state;
	host_open_as(&h, SMMUINV_MOCK_6_13);
	smmuinv_mock_hang_smmu(h.mock, h.viommu, true);
	assert_int_equal(
		invalidate_one(&h, test_command(SMMUINV_CMD_TLBI_NSNH_ALL, 1)),
		-ETIMEDOUT);
	assert_int_equal(smmuinv_mock_executed(h.mock, NULL), 0);
	host_close(&h);
}

static void faults_happen_once_and_in_order(void **state)
{
	struct smmuinv_command commands[4];
	struct host *h = *state;
	uint32_t i, count = 4;

	for (i = 0; i < 4; i++)
		commands[i] = tlbi(i);
	INJECT(h, .error = -ETIMEDOUT, .executed = 2, .count = 3);
	INJECT(h, .pass = 1, .error = -ENOMEM,
	       .count = SMMUINV_MOCK_COUNT_AS_GIVEN);
	assert_int_equal(smmuinv_mock_faults_left(h->mock), 2);

	assert_int_equal(invalidate(h, commands, &count), -ETIMEDOUT);
	assert_int_equal(count, 3);
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 2);
	count = 4;
	assert_int_equal(invalidate(h, commands, &count), 0);
	assert_int_equal(invalidate(h, commands, &count), -ENOMEM);
	assert_int_equal(count, 4);
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 6);
	assert_int_equal(smmuinv_mock_faults_left(h->mock), 0);
	assert_int_equal(invalidate(h, commands, &count), 0);
}

static void a_fault_executes_no_more_than_the_call_has(void **state)
{
	struct smmuinv_command command = tlbi(0);
	struct host *h = *state;
	uint32_t count = 1;

	INJECT(h, .executed = UINT32_MAX);
	assert_int_equal(invalidate(h, &command, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 1);
	/* Nor does it ask whether there is such a vIOMMU. */
	count = 1;
	INJECT(h, .executed = 1, .count = 1);
	assert_int_equal(
		smmuinv_mock_invalidate(h->mock, 999, &command, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 2);
}

static void what_is_hung_executes_nothing_in_a_fault_either(void **state)
{
	const struct smmuinv_command commands[] = { atc_inv(VSID), tlbi(0) };
	struct host *h = *state;
	uint32_t count = 2;

	smmuinv_mock_hang(h->mock, h->viommu, VSID, SMMUINV_MOCK_SILENT);
	INJECT(h, .executed = 2);
	assert_int_equal(invalidate(h, commands, &count), 0);
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 1);
	smmuinv_mock_hang_smmu(h->mock, h->viommu, true);
	INJECT(h, .executed = 2);
	assert_int_equal(invalidate(h, commands, &count), 0);
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 1);
}

static void a_fault_can_be_for_one_viommu(void **state)
{
	struct smmuinv_command command = tlbi(0);
	struct host *h = *state;
	uint32_t device, second, id, count = 1;

	assert_int_equal(smmuinv_mock_add_viommu(h->mock, &second), 0);
	assert_int_equal(smmuinv_mock_add_device(h->mock, &device), 0);
	INJECT(h, .viommu_id = second, .error = -ETIMEDOUT, .pass = 1);
	INJECT(h, .viommu_id = h->viommu, .error = -ENOMEM);
	INJECT(h, .call = SMMUINV_MOCK_VDEVICE_ALLOC, .viommu_id = second,
	       .error = -ENOSPC);
	/* One that waits for another vIOMMU holds up nothing. */
	assert_int_equal(invalidate_one(h, command), -ENOMEM);
	assert_int_equal(invalidate_one(h, command), 0);
	assert_int_equal(
		smmuinv_mock_invalidate(h->mock, second, &command, &count), 0);
	assert_int_equal(
		smmuinv_mock_invalidate(h->mock, second, &command, &count),
		-ETIMEDOUT);
	assert_int_equal(
		smmuinv_mock_vdevice_alloc(h->mock, second, device, 1, &id),
		-ENOSPC);
	assert_int_equal(
		smmuinv_mock_vdevice_alloc(h->mock, second, device, 1, &id), 0);
}

static void a_fault_can_be_for_calls_with_an_opcode(void **state)
{
	struct smmuinv_command commands[] = { tlbi(0), tlbi(1), cfgi_cd(VSID) };
	struct host *h = *state;
	uint32_t count = 2;

	INJECT(h, .opcode = SMMUINV_CMD_CFGI_CD, .error = -ENOMEM, .pass = 1);
	assert_int_equal(invalidate(h, commands, &count), 0);
	count = 3;
	assert_int_equal(invalidate(h, commands, &count), 0);
	count = 2;
	assert_int_equal(invalidate(h, commands, &count), 0);
	count = 3;
	assert_int_equal(invalidate(h, commands, &count), -ENOMEM);
}

static void every_entry_point_can_be_made_to_fail(void **state)
{
	struct smmuinv_device_info info = { .size = sizeof(info) };
	struct smmuinv_backend *backend;
	struct host *h = *state;
	uint32_t device, id;

	assert_int_equal(smmuinv_mock_backend(h->mock, &backend), 0);
	assert_int_equal(smmuinv_mock_add_device(h->mock, &device), 0);
	INJECT(h, .call = SMMUINV_MOCK_DEVICE_INFO, .error = -ENODEV,
	       .delay_us = 1);
	INJECT(h, .call = SMMUINV_MOCK_VDEVICE_ALLOC, .error = -ENOMEM);
	INJECT(h, .call = SMMUINV_MOCK_DESTROY, .error = -EBUSY);

	/* Each waits for its own ioctl, whatever the order of the calls. */
	assert_int_equal(
		smmuinv_mock_vdevice_alloc(h->mock, h->viommu, device, 1, &id),
		-ENOMEM);
	assert_int_equal(smmuinv_mock_destroy(h->mock, device), -EBUSY);
	assert_int_equal(smmuinv_backend_device_info(backend, device, &info),
			 -ENODEV);
	assert_int_equal(smmuinv_mock_destroy(h->mock, device), 0);
	smmuinv_backend_free(backend);
}

static void the_backend_calls_the_same_entry_points(void **state)
{
	struct smmuinv_command command = cfgi_cd(1);
	struct smmuinv_backend *backend;
	struct host *h = *state;
	uint32_t device, id, count = 1;

	assert_int_equal(smmuinv_mock_backend(h->mock, &backend), 0);
	assert_int_equal(smmuinv_mock_add_device(h->mock, &device), 0);
	INJECT(h, .call = SMMUINV_MOCK_VDEVICE_ALLOC, .error = -ENOMEM);
	INJECT(h, .call = SMMUINV_MOCK_DESTROY, .error = -EBUSY);
	INJECT(h, .error = -ETIMEDOUT);
	assert_int_equal(smmuinv__backend_vdevice_alloc(backend, h->viommu,
							device, 1, &id),
			 -ENOMEM);
	assert_int_equal(smmuinv__backend_vdevice_alloc(backend, h->viommu,
							device, 1, &id),
			 0);
	assert_int_equal(smmuinv__backend_invalidate(backend, h->viommu,
						     &command, &count),
			 -ETIMEDOUT);
	count = 1;
	assert_int_equal(smmuinv__backend_invalidate(backend, h->viommu,
						     &command, &count),
			 0);
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 1);
	assert_int_equal(smmuinv_mock_calls(h->mock), 2);
	assert_int_equal(smmuinv__backend_destroy(backend, id), -EBUSY);
	assert_int_equal(smmuinv__backend_destroy(backend, id), 0);
	smmuinv_backend_free(backend);
}

static void a_call_that_is_late_does_what_it_always_does(void **state)
{
	struct host *h = *state;
	uint32_t device, id;

	assert_int_equal(smmuinv_mock_add_device(h->mock, &device), 0);
	INJECT(h, .late = true, .error = -EIO, .delay_us = 1);
	INJECT(h, .late = true, .error = -EIO, .delay_us = 1,
	       .call = SMMUINV_MOCK_VDEVICE_ALLOC);
	INJECT(h, .late = true, .error = -EIO, .delay_us = 1,
	       .call = SMMUINV_MOCK_DESTROY);
	assert_int_equal(invalidate_one(h, tlbi(0)), 0);
	assert_int_equal(smmuinv_mock_executed(h->mock, NULL), 1);
	assert_int_equal(
		smmuinv_mock_vdevice_alloc(h->mock, h->viommu, device, 1, &id),
		0);
	assert_int_equal(smmuinv_mock_destroy(h->mock, id), 0);
}

static void *invalidate_in_a_thread(void *arg)
{
	assert_int_equal(invalidate_one(arg, tlbi(0)), 0);
	return NULL;
}

/* Does a second call end while the first one is delayed? */
static bool overtakes(struct host *h)
{
	const struct smmuinv_mock_record *records;
	uint64_t first = smmuinv_mock_calls(h->mock) + 1;
	pthread_t thread;

	smmuinv_mock_forget(h->mock);
	INJECT(h, .late = true, .delay_us = 200000);
	assert_int_equal(
		pthread_create(&thread, NULL, invalidate_in_a_thread, h), 0);
	while (smmuinv_mock_faults_left(h->mock))
		;
	assert_int_equal(invalidate_one(h, tlbi(1)), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(smmuinv_mock_executed(h->mock, &records), 2);
	return records[0].call == first + 1 && records[1].call == first;
}

static void a_delayed_call_lets_others_pass(void **state)
{
	int tries = 20;

	/* A busy machine may let the delay go by. */
	while (tries && !overtakes(*state))
		tries--;
	assert_int_not_equal(tries, 0);
}

static void a_vdevice_vanishes_before_the_call(void **state)
{
	struct smmuinv_command command = cfgi_cd(VSID);
	struct host *h = *state;
	uint32_t count = 1;

	INJECT(h, .vanish = true, .vsid = VSID);
	INJECT(h, .vanish = true, .vsid = VSID);
	assert_int_equal(smmuinv_mock_objects(h->mock), 7);
	assert_int_equal(invalidate(h, &command, &count), -EIO);
	assert_int_equal(smmuinv_mock_objects(h->mock), 6);
	/* What is gone cannot go again, nor on a vIOMMU that never was. */
	count = 1;
	assert_int_equal(
		smmuinv_mock_invalidate(h->mock, 999, &command, &count),
		-ENOENT);
	INJECT(h, .vanish = true, .vsid = VSID);
	assert_int_equal(invalidate_one(h, command), -EIO);
	assert_int_equal(smmuinv_mock_objects(h->mock), 6);
}

static void what_is_left_is_freed(void **state)
{
	const struct smmuinv_mock_params params = { .size = sizeof(params) };
	const struct smmuinv_mock_fault fault = { .size = sizeof(fault) };
	struct smmuinv_mock *mock;
	uint32_t id;

	(void)state;
	assert_int_equal(smmuinv_mock_new(&params, &mock), 0);
	assert_int_equal(smmuinv_mock_add_viommu(mock, &id), 0);
	assert_int_equal(smmuinv_mock_inject(mock, &fault), 0);
	smmuinv_mock_free(mock);
	smmuinv_mock_free(NULL);
}

static void bad_parameters_make_no_mock(void **state)
{
	struct smmuinv_mock_params params = { .size = sizeof(params) - 1 };
	struct smmuinv_mock *mock;
	size_t at;

	(void)state;
	assert_int_equal(smmuinv_mock_new(&params, &mock), -EINVAL);
	assert_int_equal(smmuinv_mock_new(NULL, &mock), -EINVAL);
	params.size = sizeof(params);
	assert_int_equal(smmuinv_mock_new(&params, NULL), -EINVAL);
	for (at = 0;
	     test_only_byte(&params.reserved, sizeof(params.reserved), at);
	     at++)
		assert_int_equal(smmuinv_mock_new(&params, &mock), -EINVAL);
	params.kernel = KERNELS;
	assert_int_equal(smmuinv_mock_new(&params, &mock), -EINVAL);
}

static void bad_faults_are_refused(void **state)
{
	const struct smmuinv_mock_fault bad[] = {
		{ .call = 4 },
		{ .call = SMMUINV_MOCK_VDEVICE_ALLOC, .opcode = 1 },
		{ .call = SMMUINV_MOCK_VDEVICE_ALLOC, .vanish = true },
		{ .call = SMMUINV_MOCK_DESTROY, .opcode = 1 },
		{ .call = SMMUINV_MOCK_DESTROY, .vanish = true },
		{ .call = SMMUINV_MOCK_DESTROY, .viommu_id = 1 },
		{ .call = SMMUINV_MOCK_DEVICE_INFO, .viommu_id = 1 },
	};
	struct smmuinv_mock_fault fault = { .size = 1 };
	struct host *h = *state;
	size_t at;

	assert_int_equal(smmuinv_mock_inject(h->mock, &fault), -EINVAL);
	assert_int_equal(smmuinv_mock_inject(h->mock, NULL), -EINVAL);
	for (at = 0; at < ARRAY_SIZE(bad); at++) {
		fault = bad[at];
		fault.size = sizeof(fault);
		assert_int_equal(smmuinv_mock_inject(h->mock, &fault), -EINVAL);
	}
	fault = (struct smmuinv_mock_fault){ .size = sizeof(fault) };
	assert_int_equal(smmuinv_mock_inject(NULL, &fault), -EINVAL);
	for (at = 0; test_only_byte(fault.reserved, sizeof(fault.reserved), at);
	     at++)
		assert_int_equal(smmuinv_mock_inject(h->mock, &fault), -EINVAL);
}

static void bad_arguments_are_refused(void **state)
{
	struct smmuinv_command command = tlbi(0);
	struct smmuinv_backend *backend;
	struct host *h = *state;
	struct smmuinv_mock *m = h->mock;
	uint32_t id = 1;

	assert_int_equal(smmuinv_mock_backend(NULL, &backend), -EINVAL);
	assert_int_equal(smmuinv_mock_backend(m, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_add_viommu(NULL, &id), -EINVAL);
	assert_int_equal(smmuinv_mock_add_viommu(m, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_add_device(NULL, &id), -EINVAL);
	assert_int_equal(smmuinv_mock_add_device(m, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_set_host(NULL, 1, &full, 0), -EINVAL);
	assert_int_equal(smmuinv_mock_set_host(m, 1, NULL, 0), -EINVAL);
	assert_int_equal(smmuinv_mock_set_caches(NULL, 1, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_vdevice_alloc(NULL, 1, 1, 1, &id),
			 -EINVAL);
	assert_int_equal(smmuinv_mock_vdevice_alloc(m, 1, 1, 1, NULL), -EINVAL);
	assert_int_equal(smmuinv_mock_destroy(NULL, 1), -EINVAL);
	assert_int_equal(smmuinv_mock_invalidate(NULL, 1, &command, &id),
			 -EINVAL);
	assert_int_equal(smmuinv_mock_invalidate(m, 1, NULL, &id), -EINVAL);
	assert_int_equal(smmuinv_mock_invalidate(m, 1, &command, NULL),
			 -EINVAL);
	assert_int_equal(smmuinv_mock_hang(NULL, 1, 1, 0), -EINVAL);
	assert_int_equal(smmuinv_mock_hang(m, h->viommu, VSID, 3), -EINVAL);
	assert_int_equal(smmuinv_mock_hang(m, 999, VSID, 0), -ENOENT);
	assert_int_equal(smmuinv_mock_hang(m, h->viommu, 1, 0), -ENOENT);
	assert_int_equal(smmuinv_mock_hang_smmu(NULL, 1, true), -EINVAL);
	assert_int_equal(smmuinv_mock_hang_smmu(m, h->device[0], true),
			 -ENOENT);
	assert_int_equal(smmuinv_mock_calls(m), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_command_of_a_good_call_is_executed_in_order),
		TEST(the_record_says_which_viommu_and_which_call),
		cmocka_unit_test(a_refusal_is_counted_as_each_kernel_counts_it),
		TEST(an_entry_of_zeros_is_refused),
		TEST(a_vsid_without_vdevice_is_refused),
		TEST(no_entries_are_einval),
		cmocka_unit_test(too_large_calls_fail_as_the_kernels_do),
		TEST(only_a_viommu_takes_invalidations),
		TEST(a_device_has_one_vdevice_and_a_vsid_one_device),
		TEST(objects_are_destroyed_children_first),
		TEST(device_info_reports_the_hosts_features),
		TEST(a_device_on_another_smmu_reports_that_one),
		TEST(a_viommu_on_another_smmu_accepts_what_that_one_has),
		TEST(what_is_executed_is_executed_on_the_viommus_caches),
		cmocka_unit_test(
			an_old_kernel_lets_an_illegal_field_stop_the_hosts_queue),
		cmocka_unit_test(an_old_kernel_checks_the_opcode_and_the_vsid),
		cmocka_unit_test(later_kernels_never_let_the_hosts_queue_stop),
		cmocka_unit_test(
			kernel_7_3_refuses_every_bit_that_the_smmu_has_no_use_for),
		cmocka_unit_test(kernel_7_3_refuses_every_other_opcode),
		cmocka_unit_test(kernel_7_3_refuses_reserved_ranges_and_levels),
		cmocka_unit_test(
			kernel_7_3_refuses_atc_invs_too_large_or_without_ats),
		cmocka_unit_test(
			a_device_that_does_not_answer_fails_its_block_of_63),
		TEST(the_rest_of_a_failed_block_is_executed_for_other_devices),
		cmocka_unit_test(a_quarantined_device_is_refused_at_once),
		cmocka_unit_test(
			a_quarantine_ends_with_a_reset_and_not_with_the_vdevice),
		cmocka_unit_test(
			an_atc_inv_can_be_lost_and_reported_as_success),
		cmocka_unit_test(a_hung_smmu_executes_nothing_and_times_out),
		cmocka_unit_test(
			a_refusal_comes_before_the_time_out_of_its_block),
		cmocka_unit_test(an_old_kernels_queue_stops_on_a_hung_smmu_too),
		TEST(faults_happen_once_and_in_order),
		TEST(a_fault_executes_no_more_than_the_call_has),
		TEST(what_is_hung_executes_nothing_in_a_fault_either),
		TEST(a_fault_can_be_for_one_viommu),
		TEST(a_fault_can_be_for_calls_with_an_opcode),
		TEST(every_entry_point_can_be_made_to_fail),
		TEST(the_backend_calls_the_same_entry_points),
		TEST(a_call_that_is_late_does_what_it_always_does),
		TEST(a_delayed_call_lets_others_pass),
		TEST(a_vdevice_vanishes_before_the_call),
		cmocka_unit_test(what_is_left_is_freed),
		cmocka_unit_test(bad_parameters_make_no_mock),
		TEST(bad_faults_are_refused),
		TEST(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("mock", tests, NULL, NULL);
}
