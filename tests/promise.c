/* SPDX-License-Identifier: MIT */
/*
 * The library's promise, over random guests, faults and kernels: behind a
 * CMD_SYNC that it completed, no cache holds what the guest had invalidated
 * before it, although what is stale may be cached anew while it is invalidated,
 * and although the VMM attaches and detaches the stream as the guest changes
 * its STE.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "command.h"
#include "fixture.h"
#include "support.h"

enum { LOG2SIZE = 7, ENTRIES = 160, ASIDS = 3, NOTHING = -1 };

/* Configuration, TLBs, ATCs: each may be made again from the ones before it. */
enum rank { CFGI, TLBI, ATC, RANKS };

/*
 * What an SMMU and its devices remember, and what they may make again from it:
 * a stale context descriptor gives stale TLB entries as long as it is there,
 * and these stale ATC entries. Each entry has caches of its own, so that each
 * can come back by itself.
 */
struct memory {
	struct smmuinv_caches *entries[ENTRIES];
	/* What may be cached of the stream now. */
	bool translates;
	bool ats;
};

/* An entry's rank, and from which it may be made again, or NOTHING. */
struct origin {
	enum rank rank;
	uint32_t kind; /* enum smmuinv_cached */
	int source;
};

/* How a guest's granules are known. */
enum granules {
	GRANULES_ANY,      /* it may use all, nobody says which */
	GRANULES_ONE,      /* it was shown one */
	GRANULES_NOTED,    /* the VMM tells, one for each half */
	GRANULES_CONFUSED, /* the VMM tells, each ASID has its own */
	GRANULES_KINDS
};

struct guest {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *behind; /* the mock's */
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
	struct memory host;   /* what is left */
	struct memory wanted; /* what may be left, after what was asked for */
	struct origin origins[ENTRIES];
	uint32_t device;
	uint32_t viommu;
	bool ril;
	bool by_callback;
	enum granules granules;
	uint8_t tg[ASIDS][2]; /* of each half; 0: any */
	uint64_t next_va;
	struct smmuinv_command ring[1 << LOG2SIZE];
	uint32_t count;
	uint32_t asked; /* commands that @wanted has executed */
	uint64_t syncs;
	uint64_t faults;
	uint64_t changes; /* of the stream's state */
	uint64_t gone;    /* entries that had to be gone, over all CMD_SYNCs */
};

static const uint8_t order_of_making[] = {
	SMMUINV_CACHED_CD,
	SMMUINV_CACHED_TABLE,
	SMMUINV_CACHED_LEAF,
	SMMUINV_CACHED_ATC,
};

static bool is_invalidation(const struct smmuinv_command *command)
{
	return smmuinv_opcode_is_forwarded(smmuinv_command_opcode(command));
}

static void memory_open(struct memory *m)
{
	uint32_t i;

	m->translates = m->ats = true;
	for (i = 0; i < ENTRIES; i++)
		assert_int_equal(smmuinv_caches_new(1, &m->entries[i]), 0);
}

static void memory_close(struct memory *m)
{
	uint32_t i;

	for (i = 0; i < ENTRIES; i++)
		smmuinv_caches_free(m->entries[i]);
}

static bool memory_has(const struct memory *m, uint32_t index)
{
	return smmuinv_caches_has(m->entries[index], 0);
}

static enum rank rank_of(const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
		return CFGI;
	case SMMUINV_CMD_ATC_INV:
		return ATC;
	default:
		return TLBI;
	}
}

/* A device that is not attached, or without ATS, makes nothing. */
static bool may_cache(const struct memory *m, enum rank rank)
{
	switch (rank) {
	case CFGI:
		return m->translates;
	case ATC:
		return m->ats;
	default:
		return true;
	}
}

/* Every entry that can be made again is, and those first that others are of. */
static void remember(struct memory *m, const struct origin *origins)
{
	unsigned int kind;
	uint32_t i;

	for (kind = 0; kind < ARRAY_SIZE(order_of_making); kind++) {
		for (i = 0; i < ENTRIES; i++) {
			int source = origins[i].source;

			if (origins[i].kind == order_of_making[kind] &&
			    source != NOTHING &&
			    may_cache(m, origins[i].rank) &&
			    memory_has(m, (uint32_t)source))
				smmuinv_caches_refill(m->entries[i]);
		}
	}
}

static void forget(struct memory *m, const struct origin *origins,
		   const struct smmuinv_command *command)
{
	enum rank rank = rank_of(command);
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		if (origins[i].rank == rank)
			smmuinv_caches_execute(m->entries[i], command);
	}
}

/*
 * Commands without order among themselves (4.7.3), in the worst there is: what
 * goes first is made again from what goes last.
 */
static void execute(struct memory *m, const struct origin *origins,
		    const struct smmuinv_command *commands, size_t count)
{
	int rank;
	size_t i;

	for (rank = COMMAND_RANKS - 1; rank >= 0; rank--) {
		for (i = 0; i < count; i++) {
			if (is_invalidation(&commands[i]) &&
			    (int)command_rank(&commands[i]) == rank)
				forget(m, origins, &commands[i]);
		}
		remember(m, origins);
	}
}

/* A little address space, so that things meet. */
static uint64_t random_va_in(bool upper, unsigned int align_log2)
{
	uint64_t va = test_random_below(1 << 10) << 12;

	if (upper)
		va |= UINT64_C(0xffff) << 48;
	if (test_chance(20))
		va += (uint64_t)test_random_below(4) << 30;
	return va >> align_log2 << align_log2;
}

static uint64_t random_va(unsigned int align_log2)
{
	return random_va_in(test_chance(20), align_log2);
}

static unsigned int granule_log2(unsigned int tg)
{
	return 10 + 2 * tg;
}

static struct smmuinv_cache_entry random_tlb_entry(const struct guest *guest)
{
	uint16_t asid = (uint16_t)test_random_below(ASIDS);
	bool upper = test_chance(20);
	unsigned int tg = guest->tg[asid][upper] ?
				  guest->tg[asid][upper] :
				  1 + (unsigned int)test_random_below(3);
	bool leaf = test_chance(60);
	unsigned int level = (unsigned int)test_random_below(3) + leaf;
	/* What a leaf, or the table below a descriptor, maps. */
	unsigned int log2 =
		granule_log2(tg) + (3 - level) * (granule_log2(tg) - 3);
	uint64_t length = log2 < 64 ? UINT64_C(1) << log2 : 0;

	return (struct smmuinv_cache_entry){
		.size = sizeof(struct smmuinv_cache_entry),
		.kind = leaf ? SMMUINV_CACHED_LEAF : SMMUINV_CACHED_TABLE,
		.global = test_chance(25),
		.asid = asid,
		.tg = (uint8_t)tg,
		.level = (uint8_t)level,
		.address = length ? random_va_in(upper, log2) : 0,
		.length = length,
	};
}

static struct smmuinv_cache_entry random_entry(const struct guest *guest)
{
	const uint32_t ssid = (uint32_t)test_random_below(8);

	if (test_chance(60))
		return random_tlb_entry(guest);
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

/* Where the last one was, or right behind it: most guests go page by page. */
static uint64_t near_va(struct guest *guest, unsigned int align_log2)
{
	uint64_t va = test_chance(60) ? guest->next_va : random_va(align_log2);

	va = va >> align_log2 << align_log2;
	guest->next_va = va + (UINT64_C(1) << align_log2);
	return va;
}

static void random_range(struct smmuinv_tlbi *tlbi)
{
	tlbi->tg = 1 + (uint8_t)test_random_below(3);
	tlbi->ttl = (uint8_t)test_random_below(4);
	tlbi->num = (uint8_t)test_random_below(32);
	tlbi->scale = (uint8_t)test_random_below(6);
	if (!tlbi->ttl && !tlbi->num && !tlbi->scale)
		tlbi->num = 1;
}

static struct smmuinv_command random_tlbi(struct guest *guest)
{
	struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.leaf = test_chance(50),
		.asid = (uint16_t)test_random_below(ASIDS),
	};
	uint8_t known = guest->tg[tlbi.asid][0];
	unsigned int log2 = known ? granule_log2(known) : 12;
	struct smmuinv_command command;

	if (guest->ril && test_chance(70)) {
		random_range(&tlbi);
		log2 = granule_log2(tlbi.tg);
		if (tlbi.ttl)
			log2 += (3u - tlbi.ttl) * (log2 - 3);
		/* Aligned, or the range is UNPREDICTABLE; both are legal. */
		if (test_chance(10))
			log2 = granule_log2(tlbi.tg);
	}
	tlbi.va = near_va(guest, log2);
	if (test_chance(30)) {
		tlbi.asid = 0;
		assert_int_equal(smmuinv_command_tlbi_nh_vaa(&command, &tlbi),
				 0);
		return command;
	}
	assert_int_equal(smmuinv_command_tlbi_nh_va(&command, &tlbi), 0);
	return command;
}

static struct smmuinv_command random_atc_inv(struct guest *guest, uint32_t sid)
{
	struct smmuinv_atc atc = {
		.size = sizeof(atc),
		.sid = sid,
		.address = near_va(guest, 12),
		.ssv = test_chance(50),
		.log2_pages =
			(uint8_t)(test_chance(20) ? SMMUINV_ATC_SIZE_ALL :
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

static struct smmuinv_command random_command(struct guest *guest)
{
	/* Some streams are no devices of the host's. */
	uint32_t sid = test_chance(90) ? FIXTURE_VSID : 0xbad;
	struct smmuinv_command command;

	switch (test_random_below(17)) {
	case 16:
		if (test_chance(50))
			return raw((uint64_t)sid << 32 | SMMUINV_CMD_CFGI_STE,
				   test_random_below(2));
		return raw((uint64_t)sid << 32 | SMMUINV_CMD_CFGI_STE_RANGE,
			   test_chance(30) ? 31 : test_random_below(4));
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
		return random_atc_inv(guest, sid);
	case 10:
		/* Illegal: the guest overwrites it, as Linux does. */
		return test_chance(20) ? raw(0xff, 0) : random_tlbi(guest);
	default:
		return random_tlbi(guest);
	}
}

/* A call goes wrong, in any way but a lie that nobody could find out. */
static void random_fault(struct guest *guest)
{
	const int errors[] = { -EIO,    -ETIMEDOUT, -ENOMEM, -EFAULT,
			       -EINVAL, -EINTR,     -EAGAIN, -ENOENT };
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

static int on_read(void *opaque, uint32_t index,
		   struct smmuinv_command *command)
{
	const struct guest *guest = opaque;

	*command = guest->ring[index];
	return 0;
}

/* 4.3.1: with the STE go the CDs that were cached through it. */
static struct smmuinv_command as_invalidation(struct smmuinv_command command)
{
	uint32_t sid = command_sid(&command);
	uint64_t span = 1;

	switch (smmuinv_command_opcode(&command)) {
	case SMMUINV_CMD_CFGI_STE:
		break;
	case SMMUINV_CMD_CFGI_STE_RANGE:
		span = UINT64_C(2)
		       << smmuinv_command_get(&command, SMMUINV_FIELD_RANGE);
		break;
	default:
		return command;
	}
	return sid / span == FIXTURE_VSID / span ? cfgi_cd_all(FIXTURE_VSID) :
						   command;
}

/* The commands before the next CMD_SYNC, as the guest's SMMU would do them. */
static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct smmuinv_command commands[1 << LOG2SIZE];
	struct guest *guest = opaque;
	uint32_t n = 0;
	uint32_t i;

	(void)sync;
	while (smmuinv_command_opcode(&guest->ring[guest->asked]) !=
	       SMMUINV_CMD_SYNC)
		commands[n++] = as_invalidation(guest->ring[guest->asked++]);
	execute(&guest->wanted, guest->origins, commands, n);
	guest->asked++;
	guest->syncs++;
	for (i = 0; i < ENTRIES; i++) {
		if (memory_has(&guest->wanted, i))
			continue;
		guest->gone++;
		if (memory_has(&guest->host, i))
			fail_msg("entry %u is stale behind command %u", i,
				 guest->asked);
	}
	return 0;
}

static void forget_stream(struct guest *guest, bool cds)
{
	const struct smmuinv_command all = cfgi_cd_all(FIXTURE_VSID);
	uint32_t ssid;

	if (cds)
		forget(&guest->host, guest->origins, &all);
	for (ssid = 0; ssid <= 8; ssid++) {
		struct smmuinv_command atc = raw(
			(uint64_t)FIXTURE_VSID << 32 | ssid % 8 << 12 |
				(ssid < 8 ? 1u << 11 : 0) | SMMUINV_CMD_ATC_INV,
			SMMUINV_ATC_SIZE_ALL);

		forget(&guest->host, guest->origins, &atc);
	}
}

/*
 * The library is told before the kernel attaches, and after it detaches; with
 * that go the CDs, and with ATS the ATC, by the kernel's own invalidation.
 */
static void change_stream(struct guest *guest, bool translates, bool ats)
{
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(guest->vsmmu);
	const struct memory before = guest->host;

	if (translates && (!before.translates || !before.ats))
		assert_int_equal(smmuinv_streams_set(streams, FIXTURE_VSID,
						     true, ats || before.ats),
				 0);
	guest->host.translates = translates;
	guest->host.ats = ats;
	if (!ats)
		forget_stream(guest, !translates);
	assert_int_equal(
		smmuinv_streams_set(streams, FIXTURE_VSID, translates, ats), 0);
	guest->changes++;
}

/* What the guest has written into the STE. */
static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct guest *guest = opaque;
	bool translates = test_chance(60);

	(void)leaf;
	assert_int_equal(sid, FIXTURE_VSID);
	if (test_chance(50))
		change_stream(guest, translates, translates && test_chance(70));
	return test_chance(10) ? -ENODATA : 0;
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

static const struct smmuinv_queue_ops plain_ops = {
	.size = sizeof(plain_ops),
	.read = on_read,
	.cfgi_ste = on_cfgi_ste,
	.sync = on_sync,
};

static const struct smmuinv_queue_ops seeing_ops = {
	.size = sizeof(seeing_ops),
	.read = on_read,
	.cfgi_ste = on_cfgi_ste,
	.sync = on_sync,
	.seen = on_seen,
};

static int host_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	const struct guest *guest = context;

	return smmuinv_backend_device_info(guest->behind, dev_id, info);
}

static int host_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	const struct guest *guest = context;

	return smmuinv__backend_vdevice_alloc(guest->behind, viommu_id, dev_id,
					      (uint32_t)virt_id, vdevice_id);
}

static int host_destroy(void *context, uint32_t id)
{
	const struct guest *guest = context;

	return smmuinv__backend_destroy(guest->behind, id);
}

/* Of one call nothing is known but that it was all done when it returns. */
static int host_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	const struct smmuinv_command *executed;
	struct guest *guest = context;
	size_t n;
	int rc;

	smmuinv_mock_forget(guest->mock);
	rc = smmuinv__backend_invalidate(guest->behind, viommu_id, commands,
					 count);
	n = smmuinv_mock_executed(guest->mock, &executed);
	execute(&guest->host, guest->origins, executed, n);
	return rc;
}

static const struct smmuinv_backend_ops host_ops = {
	.size = sizeof(host_ops),
	.device_info = host_device_info,
	.vdevice_alloc = host_vdevice_alloc,
	.destroy = host_destroy,
	.invalidate = host_invalidate,
};

/* IDR5's bit of a granule, or of all. */
static uint32_t granule_bits(uint8_t tg)
{
	return tg ? 1u << (3 + tg) : 7u << 4;
}

static void choose_granules(struct guest *guest, struct smmuinv_features *shown)
{
	uint8_t tg[2] = { (uint8_t)(1 + test_random_below(3)),
			  (uint8_t)(1 + test_random_below(3)) };
	uint32_t asid, half;

	guest->granules = (enum granules)test_random_below(GRANULES_KINDS);
	if (guest->granules == GRANULES_ONE) {
		tg[1] = tg[0];
		shown->idr[5] &= ~granule_bits(0);
		shown->idr[5] |= granule_bits(tg[0]);
	}
	for (asid = 0; asid < ASIDS; asid++) {
		for (half = 0; half < 2; half++) {
			guest->tg[asid][half] = tg[half];
			if (guest->granules == GRANULES_ANY)
				guest->tg[asid][half] = 0;
			if (guest->granules == GRANULES_CONFUSED)
				guest->tg[asid][half] =
					(uint8_t)(1 + test_random_below(3));
		}
	}
}

static void note_cds(struct guest *guest)
{
	uint16_t asid;

	if (guest->granules != GRANULES_NOTED &&
	    guest->granules != GRANULES_CONFUSED)
		return;
	for (asid = 0; asid < ASIDS; asid++) {
		const struct smmuinv_cd cd = {
			.size = sizeof(cd),
			.valid = true,
			.asid = asid,
			.walks = { true, true },
			.tg = { guest->tg[asid][0], guest->tg[asid][1] },
		};

		assert_int_equal(smmuinv_vsmmu_note_cd(guest->vsmmu, &cd), 0);
	}
}

static void host_open(struct guest *guest, const struct smmuinv_features *host,
		      enum smmuinv_mock_kernel kernel)
{
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = *host,
		.kernel = kernel,
	};

	assert_int_equal(smmuinv_mock_new(&mock, &guest->mock), 0);
	assert_int_equal(smmuinv_mock_add_viommu(guest->mock, &guest->viommu),
			 0);
	assert_int_equal(smmuinv_mock_add_device(guest->mock, &guest->device),
			 0);
	assert_int_equal(smmuinv_mock_backend(guest->mock, &guest->behind), 0);
	assert_int_equal(smmuinv_backend_new(&host_ops, guest, &guest->backend),
			 0);
}

static void guest_open(struct guest *guest, enum smmuinv_mock_kernel kernel,
		       enum smmuinv_repeat repeat, enum smmuinv_plan plan)
{
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.guest = everything,
		.host = everything,
		.repeat = repeat,
		.plan = plan,
		.pages_max = 1 + (uint32_t)test_random_below(100),
	};
	struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = test_chance(30) ? &seeing_ops : &plain_ops,
		.opaque = guest,
		.window = 1 + (uint32_t)test_random_below(80),
	};

	memset(guest, 0, sizeof(*guest));
	guest->by_callback = test_chance(30);
	guest->ril = test_chance(50);
	if (!guest->ril)
		vsmmu.guest.idr[3] = 0;
	if (test_chance(40))
		vsmmu.host.idr[3] = 0;
	choose_granules(guest, &vsmmu.guest);
	host_open(guest, &vsmmu.host, kernel);
	memory_open(&guest->host);
	memory_open(&guest->wanted);
	vsmmu.backend = guest->backend;
	vsmmu.viommu_id = guest->viommu;
	assert_int_equal(smmuinv_vsmmu_new(&vsmmu, &guest->vsmmu), 0);
	note_cds(guest);
	assert_int_equal(plug(guest->vsmmu, guest->device, FIXTURE_VSID), 0);
	assert_int_equal(smmuinv_queue_new(guest->vsmmu, &queue, &guest->queue),
			 0);
}

static void guest_close(struct guest *guest)
{
	smmuinv_queue_free(guest->queue);
	smmuinv_vsmmu_free(guest->vsmmu);
	smmuinv_backend_free(guest->backend);
	smmuinv_backend_free(guest->behind);
	smmuinv_mock_free(guest->mock);
	memory_close(&guest->host);
	memory_close(&guest->wanted);
}

static enum rank rank_of_entry(const struct smmuinv_cache_entry *entry)
{
	switch (entry->kind) {
	case SMMUINV_CACHED_CD:
	case SMMUINV_CACHED_L1CD:
		return CFGI;
	case SMMUINV_CACHED_ATC:
		return ATC;
	default:
		return TLBI;
	}
}

static bool is_inside(uint64_t first, uint64_t length, uint64_t of_first,
		      uint64_t of_length)
{
	return first >= of_first &&
	       first - of_first + (length - 1) <= of_length - 1;
}

/* Within a rank: below a table, or below a level-1 CD descriptor. */
static bool leads_to(const struct smmuinv_cache_entry *table,
		     const struct smmuinv_cache_entry *leaf)
{
	if (table->kind == SMMUINV_CACHED_L1CD &&
	    leaf->kind == SMMUINV_CACHED_CD)
		return table->sid == leaf->sid &&
		       is_inside(leaf->ssid, 1, table->ssid, table->ssids);
	return table->kind == SMMUINV_CACHED_TABLE &&
	       leaf->kind == SMMUINV_CACHED_LEAF && table->tg == leaf->tg &&
	       table->level < leaf->level && !table->global && !leaf->global &&
	       table->asid == leaf->asid &&
	       is_inside(leaf->address, leaf->length, table->address,
			 table->length);
}

/* Those that can have a source have one, of a lower rank or above them. */
static void choose_sources(struct guest *guest,
			   const struct smmuinv_cache_entry *entries)
{
	uint32_t tries;
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		guest->origins[i].source = NOTHING;
		for (tries = 0; tries < 8; tries++) {
			uint32_t source = (uint32_t)test_random_below(ENTRIES);

			if (guest->origins[source].rank <
				    guest->origins[i].rank ||
			    leads_to(&entries[source], &entries[i]))
				guest->origins[i].source = (int)source;
		}
	}
}

static void fill_caches(struct guest *guest)
{
	struct smmuinv_cache_entry entries[ENTRIES];
	uint32_t i;

	for (i = 0; i < ENTRIES; i++) {
		struct smmuinv_cache_entry entry = random_entry(guest);

		entries[i] = entry;
		guest->origins[i].kind = entry.kind;
		guest->origins[i].rank = rank_of_entry(&entry);
		assert_int_equal(
			smmuinv_caches_insert(guest->host.entries[i], &entry),
			0);
		assert_int_equal(
			smmuinv_caches_insert(guest->wanted.entries[i], &entry),
			0);
	}
	choose_sources(guest, entries);
}

/*
 * The device has vanished. What its stream remembers is no longer the guest's
 * to see: the VMM takes the stream out, and puts it back, with empty caches.
 */
static void replug(struct guest *guest)
{
	(void)smmuinv_vsmmu_remove_stream(guest->vsmmu, FIXTURE_VSID);
	forget_stream(guest, true);
	assert_int_equal(plug(guest->vsmmu, guest->device, FIXTURE_VSID), 0);
	guest->host.translates = guest->host.ats = true;
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
			.base = guest->by_callback ? NULL : guest->ring,
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
		guest->ring[i] = random_command(guest);
	guest->ring[guest->count - 1] = cmd_sync();
	guest->next_va = 0;
	change_stream(guest, true, true);
	for (i = 0; i < ENTRIES; i++) {
		smmuinv_caches_refill(guest->host.entries[i]);
		smmuinv_caches_refill(guest->wanted.entries[i]);
	}
	while (faults--)
		random_fault(guest);
	consume_all(guest);
}

static void nothing_is_stale_behind_a_completed_sync(void **state)
{
	size_t guests = test_iterations(2400);
	uint64_t syncs = 0, faults = 0, changes = 0, gone = 0;
	size_t g, w;

	(void)state;
	for (g = 0; g < guests; g++) {
		struct guest guest;

		guest_open(&guest, (enum smmuinv_mock_kernel)(g % 3),
			   g % 2 ? SMMUINV_REPEAT_NEVER : SMMUINV_REPEAT_ALWAYS,
			   g / 2 % 2 ? SMMUINV_PLAN_AS_WRITTEN :
				       SMMUINV_PLAN_FEWEST);
		fill_caches(&guest);
		for (w = 0; w < 25; w++)
			one_guest(&guest);
		assert_int_equal(smmuinv_mock_wedged(guest.mock), 0);
		syncs += guest.syncs;
		faults += guest.faults;
		changes += guest.changes;
		gone += guest.gone;
		guest_close(&guest);
	}
	printf("%zu queues, %" PRIu64 " SYNCs, %" PRIu64 " faults, %" PRIu64
	       " changes of the stream; %" PRIu64
	       " times an entry had to be gone\n",
	       guests * 25, syncs, faults, changes, gone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_stale_behind_a_completed_sync),
	};

	return cmocka_run_group_tests_name("promise", tests, NULL, NULL);
}
