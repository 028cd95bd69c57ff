/* SPDX-License-Identifier: MIT */
/*
 * The library's promise, over random guests, faults and kernels: behind a CMD_SYNC
 * that it completed, no cache holds what the guest had invalidated before it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "support.h"

enum { LOG2SIZE = 7, ENTRIES = 160, ASIDS = 3 };

struct guest {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
	struct smmuinv_caches *caches; /* the host's */
	struct smmuinv_caches *wanted; /* what the guest has asked for */
	uint32_t device;
	uint32_t viommu;
	struct smmuinv_command ring[1 << LOG2SIZE];
	uint32_t count;
	uint32_t asked; /* commands that @wanted has executed */
	uint64_t syncs;
	uint64_t faults;
};

/* A little address space, so that things meet; both halves of it. */
static uint64_t random_va(unsigned int align_log2)
{
	uint64_t va = test_random_below(1 << 10) << 12;

	if (test_chance(20))
		va |= UINT64_C(0xffff) << 48;
	if (test_chance(20))
		va += (uint64_t)test_random_below(4) << 30;
	return va >> align_log2 << align_log2;
}

static unsigned int granule_log2(unsigned int tg)
{
	return 10 + 2 * tg;
}

static struct smmuinv_cache_entry random_tlb_entry(void)
{
	unsigned int tg = 1 + (unsigned int)test_random_below(3);
	bool leaf = test_chance(60);
	unsigned int level = (unsigned int)test_random_below(3) + leaf;
	/* What a leaf, or the table below a descriptor, maps. */
	unsigned int log2 = granule_log2(tg) +
			    (3 - level) * (granule_log2(tg) - 3);
	uint64_t length = log2 < 64 ? UINT64_C(1) << log2 : 0;

	return (struct smmuinv_cache_entry){
		.size = sizeof(struct smmuinv_cache_entry),
		.kind = leaf ? SMMUINV_CACHED_LEAF : SMMUINV_CACHED_TABLE,
		.global = test_chance(25),
		.asid = (uint16_t)test_random_below(ASIDS),
		.tg = (uint8_t)tg,
		.level = (uint8_t)level,
		.address = length ? random_va(log2) : 0,
		.length = length,
	};
}

static struct smmuinv_cache_entry random_entry(void)
{
	const uint32_t ssid = (uint32_t)test_random_below(8);

	if (test_chance(60))
		return random_tlb_entry();
	if (test_chance(50))
		return (struct smmuinv_cache_entry){
			.size = sizeof(struct smmuinv_cache_entry),
			.kind = SMMUINV_CACHED_ATC,
			.sid = FIXTURE_VSID,
			.ssv = test_chance(50),
			.ssid = ssid,
			.address = random_va(12),
			.length = 4096,
		};
	return (struct smmuinv_cache_entry){
		.size = sizeof(struct smmuinv_cache_entry),
		.kind = test_chance(50) ? SMMUINV_CACHED_CD :
					  SMMUINV_CACHED_L1CD,
		.sid = FIXTURE_VSID,
		.ssid = ssid,
		.ssids = 4,
	};
}

static struct smmuinv_command random_tlbi(void)
{
	struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.leaf = test_chance(50),
		.tg = (uint8_t)test_random_below(4),
	};
	struct smmuinv_command command;
	unsigned int log2 = 12;

	if (tlbi.tg) {
		tlbi.ttl = (uint8_t)test_random_below(4);
		tlbi.num = (uint8_t)test_random_below(32);
		tlbi.scale = (uint8_t)test_random_below(6);
		if (!tlbi.ttl && !tlbi.num && !tlbi.scale)
			tlbi.num = 1;
		log2 = granule_log2(tlbi.tg);
		if (tlbi.ttl)
			log2 += (3u - tlbi.ttl) * (log2 - 3);
	}
	tlbi.va = random_va(log2);
	if (test_chance(30)) {
		assert_int_equal(smmuinv_command_tlbi_nh_vaa(&command, &tlbi),
				 0);
		return command;
	}
	tlbi.asid = (uint16_t)test_random_below(ASIDS);
	assert_int_equal(smmuinv_command_tlbi_nh_va(&command, &tlbi), 0);
	return command;
}

static struct smmuinv_command random_atc_inv(uint32_t sid)
{
	struct smmuinv_atc atc = {
		.size = sizeof(atc),
		.sid = sid,
		.address = random_va(12),
		.ssv = test_chance(50),
		.log2_pages = (uint8_t)(test_chance(20) ?
						SMMUINV_ATC_SIZE_ALL :
						test_random_below(12)),
	};
	struct smmuinv_command command;

	if (atc.ssv) {
		atc.ssid = (uint32_t)test_random_below(8);
		atc.global = test_chance(20);
	}
	assert_int_equal(smmuinv_command_atc_inv(&command, &atc), 0);
	return command;
}

static struct smmuinv_command random_command(void)
{
	/* Some streams are no devices of the host's. */
	uint32_t sid = test_chance(90) ? FIXTURE_VSID : 0xbad;
	struct smmuinv_command command;

	switch (test_random_below(16)) {
	case 0:
	case 1:
	case 2:
		return cmd_sync();
	case 3:
		smmuinv_command_cfgi_cd(&command, sid,
					(uint32_t)test_random_below(8),
					test_chance(50));
		return command;
	case 4:
		smmuinv_command_cfgi_cd_all(&command, sid);
		return command;
	case 5:
		smmuinv_command_tlbi_nh_asid(
			&command, (uint16_t)test_random_below(ASIDS));
		return command;
	case 6:
		if (test_chance(20)) {
			smmuinv_command_tlbi_nh_all(&command);
			return command;
		}
		return raw(SMMUINV_CMD_PREFETCH_CONFIG, 0);
	case 7:
	case 8:
	case 9:
		return random_atc_inv(sid);
	case 10:
		/* Illegal: the guest overwrites it, as Linux does. */
		return test_chance(20) ? raw(0xff, 0) : random_tlbi();
	default:
		return random_tlbi();
	}
}

/* A call goes wrong, in any way but a lie that nobody could find out. */
static void random_fault(struct guest *guest)
{
	const int errors[] = { -EIO,	-ETIMEDOUT, -ENOMEM, -EFAULT,
			       -EINVAL, -EINTR,	    -EAGAIN, -ENOENT };
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = (uint32_t)test_random_below(3),
		.error = errors[test_random_below(ARRAY_SIZE(errors))],
		.executed = (uint32_t)test_random_below(20),
		.count = test_chance(10) ? SMMUINV_MOCK_COUNT_AS_GIVEN :
					   (uint32_t)test_random_below(20),
		.vanish = test_chance(10),
		.vsid = FIXTURE_VSID,
	};

	assert_int_equal(smmuinv_mock_inject(guest->mock, &fault), 0);
	guest->faults++;
}

/* The commands before the next CMD_SYNC, as the guest's SMMU would do them. */
static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct guest *guest = opaque;
	int stale;

	(void)sync;
	while (smmuinv_command_opcode(&guest->ring[guest->asked]) !=
	       SMMUINV_CMD_SYNC)
		smmuinv_caches_execute(guest->wanted,
				       &guest->ring[guest->asked++]);
	guest->asked++;
	guest->syncs++;
	stale = smmuinv_caches_stale(guest->caches, guest->wanted);
	if (stale != -ENOENT)
		fail_msg("entry %d is stale behind command %u", stale,
			 guest->asked);
	return 0;
}

static const struct smmuinv_queue_ops ops = {
	.size = sizeof(ops),
	.sync = on_sync,
};

static void guest_open(struct guest *guest, enum smmuinv_mock_kernel kernel,
		       enum smmuinv_repeat repeat, uint32_t window)
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
	};
	struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = &ops,
		.opaque = guest,
		.window = window,
	};

	memset(guest, 0, sizeof(*guest));
	assert_int_equal(smmuinv_caches_new(ENTRIES, &guest->caches), 0);
	assert_int_equal(smmuinv_caches_new(ENTRIES, &guest->wanted), 0);
	mock.caches = guest->caches;
	assert_int_equal(smmuinv_mock_new(&mock, &guest->mock), 0);
	assert_int_equal(smmuinv_mock_add_viommu(guest->mock, &guest->viommu),
			 0);
	assert_int_equal(smmuinv_mock_add_device(guest->mock, &guest->device),
			 0);
	assert_int_equal(smmuinv_mock_backend(guest->mock, &guest->backend), 0);
	vsmmu.backend = guest->backend;
	vsmmu.viommu_id = guest->viommu;
	assert_int_equal(smmuinv_vsmmu_new(&vsmmu, &guest->vsmmu), 0);
	assert_int_equal(smmuinv_vsmmu_add_stream(guest->vsmmu, guest->device,
						  FIXTURE_VSID),
			 0);
	assert_int_equal(smmuinv_queue_new(guest->vsmmu, &queue, &guest->queue),
			 0);
}

static void guest_close(struct guest *guest)
{
	smmuinv_queue_free(guest->queue);
	smmuinv_vsmmu_free(guest->vsmmu);
	smmuinv_backend_free(guest->backend);
	smmuinv_mock_free(guest->mock);
	smmuinv_caches_free(guest->caches);
	smmuinv_caches_free(guest->wanted);
}

static void fill_caches(struct guest *guest)
{
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		struct smmuinv_cache_entry entry = random_entry();

		assert_true(smmuinv_caches_insert(guest->caches, &entry) >= 0);
		assert_true(smmuinv_caches_insert(guest->wanted, &entry) >= 0);
	}
}

/*
 * The device has vanished. What its stream remembers is no longer the guest's
 * to see: the VMM takes the stream out, and puts it back, with empty caches.
 */
static void replug(struct guest *guest)
{
	const struct smmuinv_command cds =
		raw((uint64_t)FIXTURE_VSID << 32 | SMMUINV_CMD_CFGI_CD_ALL, 0);
	uint32_t ssid;

	(void)smmuinv_vsmmu_remove_stream(guest->vsmmu, FIXTURE_VSID);
	assert_int_equal(smmuinv_vsmmu_add_stream(guest->vsmmu, guest->device,
						  FIXTURE_VSID),
			 0);
	smmuinv_caches_execute(guest->caches, &cds);
	for (ssid = 0; ssid <= 8; ssid++) {
		struct smmuinv_command atc =
			raw((uint64_t)FIXTURE_VSID << 32 | ssid % 8 << 12 |
				    (ssid < 8 ? 1u << 11 : 0) |
				    SMMUINV_CMD_ATC_INV,
			    SMMUINV_ATC_SIZE_ALL);

		smmuinv_caches_execute(guest->caches, &atc);
	}
}

/* Until everything is consumed, whatever fails on the way. */
static void consume_all(struct guest *guest)
{
	uint32_t cons = 0;
	uint32_t tries;

	for (tries = 0; cons != guest->count; tries++) {
		struct smmuinv_progress progress = { .size = sizeof(progress) };
		struct smmuinv_ring ring = {
			.size = sizeof(ring),
			.base = guest->ring,
			.log2size = LOG2SIZE,
			.prod = guest->count,
			.cons = cons,
			.max_commands = (uint32_t)test_random_below(40),
		};
		int rc = smmuinv_queue_consume(guest->queue, &ring, &progress);

		assert_int_equal(progress.cons - cons, progress.consumed);
		cons = progress.cons;
		if (rc == -ENODEV)
			replug(guest);
		if (progress.cerror == SMMUINV_CERROR_ILL)
			guest->ring[cons] = cmd_sync();
		assert_true(tries < 1000);
	}
}

static void one_guest(struct guest *guest)
{
	uint32_t faults = (uint32_t)test_random_below(4);
	uint32_t i;

	guest->count = 1 + (uint32_t)test_random_below((1 << LOG2SIZE) - 1);
	guest->asked = 0;
	for (i = 0; i + 1 < guest->count; i++)
		guest->ring[i] = random_command();
	guest->ring[guest->count - 1] = cmd_sync();
	smmuinv_caches_refill(guest->caches);
	smmuinv_caches_refill(guest->wanted);
	smmuinv_mock_forget(guest->mock);
	while (faults--)
		random_fault(guest);
	consume_all(guest);
}

static void nothing_is_stale_behind_a_completed_sync(void **state)
{
	size_t guests = test_iterations(2400);
	uint64_t syncs = 0, faults = 0;
	size_t g, w;

	(void)state;
	for (g = 0; g < guests; g++) {
		struct guest guest;

		guest_open(&guest, (enum smmuinv_mock_kernel)(g % 3),
			   g % 2 ? SMMUINV_REPEAT_NEVER : SMMUINV_REPEAT_ALWAYS,
			   1 + (uint32_t)test_random_below(80));
		fill_caches(&guest);
		for (w = 0; w < 25; w++)
			one_guest(&guest);
		assert_int_equal(smmuinv_mock_wedged(guest.mock), 0);
		syncs += guest.syncs;
		faults += guest.faults;
		guest_close(&guest);
	}
	printf("%zu queues, %" PRIu64 " SYNCs, %" PRIu64 " faults\n",
	       guests * 25, syncs, faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_stale_behind_a_completed_sync),
	};

	return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
