/* SPDX-License-Identifier: MIT */
/*
 * Bring-up, reset, teardown, again and again in one iommufd, also after
 * failures in the middle; what invalidates by the library's own will; and a
 * guest that goes from one virtual SMMU to another. The VMM makes the vDEVICE,
 * and every second time the library.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"
#include "cmocka-all.h"
#include "commands.h"
#include "kernel-log.h"
#include "leaks.h"
#include "rig.h"
#include "support.h"
#include "tests.h"

#define LIVES 100

/* Of these, two in so many are proved by DMA, which takes its time. */
#define EACH_DMA 20

#define MEMORY_IPA UINT64_C(0x40000000)
#define LANDING_VA UINT64_C(0x10000000)
#define PROBE_VA   UINT64_C(0x7600000000)

/* The calls that can be made to fail. */
enum call { CALL_VDEVICE_ALLOC, CALL_DESTROY, CALL_INVALIDATE, CALLS };

#define ALWAYS UINT32_MAX

/*
 * A backend whose next @times calls of the kind @call fail; the kernel is not
 * asked then.
 */
struct saboteur {
	struct smmuinv_backend *inner;
	struct smmuinv_backend *backend;
	enum call call;
	uint32_t times;
	int error;
	unsigned int failures;
};

/* What all lives have in common: the iommufd, and the guest's memory. */
struct world {
	struct nested nested;
	struct smmuinv_backend *kernel;
	struct saboteur saboteur;
	struct guest_memory memory;
	struct stage1 stage1;
	struct guest_piece cd;
	struct guest_piece ste;
	struct guest_piece landing;
	struct guest_piece pages[2];
	/* The first life's ids, which every later one has again. */
	uint32_t ids[4];
};

/* One life: from the device's file to a guest that runs, and back. */
struct life {
	struct world *world;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
	struct smmuinv_command ring[4];
	uint32_t prod;
	uint32_t cons;
	uint32_t free_id;
	bool library_makes; /* the vDEVICE */
};

static bool strikes(struct saboteur *saboteur, enum call call)
{
	if (!saboteur->times || saboteur->call != call)
		return false;
	if (saboteur->times != ALWAYS)
		saboteur->times--;
	saboteur->failures++;
	return true;
}

static int pass_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	const struct saboteur *saboteur = context;

	return smmuinv_backend_device_info(saboteur->inner, dev_id, info);
}

static int pass_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	struct saboteur *saboteur = context;

	if (strikes(saboteur, CALL_VDEVICE_ALLOC))
		return saboteur->error;
	return smmuinv__backend_vdevice_alloc(saboteur->inner, viommu_id,
					      dev_id, (uint32_t)virt_id,
					      vdevice_id);
}

static int pass_destroy(void *context, uint32_t id)
{
	struct saboteur *saboteur = context;

	if (strikes(saboteur, CALL_DESTROY))
		return saboteur->error;
	return smmuinv__backend_destroy(saboteur->inner, id);
}

static int pass_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct saboteur *saboteur = context;

	if (strikes(saboteur, CALL_INVALIDATE)) {
		*count = 0;
		return saboteur->error;
	}
	return smmuinv__backend_invalidate(saboteur->inner, viommu_id, commands,
					   count);
}

static void arm(struct saboteur *saboteur, enum call call, uint32_t times,
		int error)
{
	saboteur->call = call;
	saboteur->times = times;
	saboteur->error = error;
}

static void guest_init(struct world *world)
{
	struct guest_memory *memory = &world->memory;

	assert_int_equal(
		guest_memory_init(memory, MEMORY_IPA, GUEST_BLOCK_SIZE), 0);
	stage1_init(&world->stage1, memory);
	world->cd = guest_memory_take(memory, CONTEXT_DESCRIPTOR_SIZE);
	world->ste = guest_memory_take(memory, SMMUINV_STE_BYTES);
	world->landing = guest_memory_take(memory, EDU_BUFFER_SIZE);
	world->pages[0] =
		guest_memory_take_filled(memory, GUEST_PAGE_SIZE, PATTERN_A);
	world->pages[1] =
		guest_memory_take_filled(memory, GUEST_PAGE_SIZE, PATTERN_B);
	stage1_map_page(&world->stage1, LANDING_VA, world->landing.ipa,
			STAGE1_ASID);
	stage1_map_page(&world->stage1, PROBE_VA, world->pages[0].ipa,
			STAGE1_ASID);
	context_descriptor_write(&world->cd, RIG_ASID, &world->stage1);
}

static void ste_write(const struct world *world)
{
	const struct iommufd_vste vste = vste_translate(&world->cd);
	uint64_t *words = world->ste.memory;

	words[0] = htole64(vste.word[0]);
	words[1] = htole64(vste.word[1]);
}

static void open_world(struct world *world)
{
	static const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.device_info = pass_device_info,
		.vdevice_alloc = pass_vdevice_alloc,
		.destroy = pass_destroy,
		.invalidate = pass_invalidate,
	};
	struct nested *nested = &world->nested;

	*world = (struct world){ .nested.device.fd = -1 };
	nested->iommufd = iommufd_open();
	assert_true(nested->iommufd >= 0);
	assert_int_equal(smmuinv_iommufd_new(nested->iommufd, &world->kernel),
			 0);
	world->saboteur.inner = world->kernel;
	assert_int_equal(smmuinv_backend_new(&ops, &world->saboteur,
					     &world->saboteur.backend),
			 0);
	nested->backend = world->saboteur.backend;
	assert_int_equal(iommufd_ioas_alloc(nested->iommufd, &nested->ioas), 0);
	guest_init(world);
	ste_write(world);
	assert_int_equal(nested_map(nested, world->memory.base,
				    GUEST_BLOCK_SIZE, MEMORY_IPA),
			 0);
}

static void close_world(struct world *world)
{
	smmuinv_backend_free(world->saboteur.backend);
	smmuinv_backend_free(world->kernel);
	close(world->nested.iommufd);
	guest_memory_free(&world->memory);
}

static void host_open(struct world *world)
{
	struct nested *nested = &world->nested;
	int fd = nested->iommufd;

	assert_int_equal(vfio_open(&nested->device, rig_device.cdev), 0);
	assert_int_equal(vfio_bind(&nested->device, fd), 0);
	nested->info.size = sizeof(nested->info);
	assert_int_equal(smmuinv_backend_device_info(nested->backend,
						     nested->device.id,
						     &nested->info),
			 0);
	assert_int_equal(smmuinv_features_from_hw_info(
				 &nested->host, &nested->info.hw, false, NULL),
			 0);
	assert_int_equal(iommufd_hwpt_alloc_parent(fd, nested->device.id,
						   nested->ioas,
						   &nested->parent),
			 0);
	assert_int_equal(iommufd_viommu_alloc(fd, nested->device.id,
					      nested->parent, &nested->viommu),
			 0);
}

/* In the only order that the kernel takes. */
static void host_close(struct world *world)
{
	struct nested *nested = &world->nested;
	int fd = nested->iommufd;

	assert_int_equal(iommufd_destroy(fd, nested->parent), -EBUSY);
	assert_int_equal(iommufd_destroy(fd, nested->viommu), 0);
	assert_int_equal(iommufd_destroy(fd, nested->parent), 0);
	vfio_close(&nested->device);
}

static int see_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)opaque;
	(void)sync;
	return 0;
}

static void life_begin(struct life *life, struct world *world,
		       bool library_makes)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.sync = see_sync,
	};
	const struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = &ops,
	};
	const struct smmuinv_offer offer = { .size = sizeof(offer) };
	struct smmuinv_vsmmu_params params = { .size = sizeof(params) };

	*life = (struct life){
		.world = world,
		.library_makes = library_makes,
		.free_id = lowest_free_id(world->nested.iommufd),
	};
	host_open(world);
	params.backend = world->saboteur.backend;
	params.viommu_id = world->nested.viommu;
	params.hw_flags = world->nested.info.hw.flags;
	params.host = world->nested.host;
	assert_int_equal(smmuinv_features_offer(&params.guest, &params.host,
						&offer, NULL),
			 0);
	assert_int_equal(smmuinv_vsmmu_new(&params, &life->vsmmu, NULL), 0);
	assert_int_equal(smmuinv_queue_new(life->vsmmu, &queue, &life->queue),
			 0);
}

static int add_stream(struct life *life)
{
	struct nested *nested = &life->world->nested;
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.dev_id = nested->device.id,
		.vsid = RIG_VSID,
	};

	if (!life->library_makes)
		assert_int_equal(nested_plug(nested, RIG_VSID), 0);
	params.vdevice_id = nested->vdevice;
	return smmuinv_vsmmu_add_stream(life->vsmmu, &params);
}

static void remove_stream(struct life *life)
{
	struct nested *nested = &life->world->nested;

	assert_int_equal(smmuinv_vsmmu_remove_stream(life->vsmmu, RIG_VSID), 0);
	assert_int_equal(smmuinv_vsmmu_find_stream(life->vsmmu, RIG_VSID, NULL),
			 -ENOENT);
	if (!life->library_makes)
		assert_int_equal(
			iommufd_destroy(nested->iommufd, nested->vdevice), 0);
	nested->vdevice = 0;
}

static struct smmuinv_stream_info stream_of(struct life *life)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(
		smmuinv_vsmmu_find_stream(life->vsmmu, RIG_VSID, &info), 0);
	assert_int_equal(info.made, life->library_makes);
	return info;
}

static int attach(struct life *life)
{
	struct world *world = life->world;
	struct smmuinv_ste ste = { .size = sizeof(ste) };
	struct iommufd_vste vste;

	assert_int_equal(smmuinv_ste_read(&ste, world->ste.memory,
					  &world->nested.host,
					  &world->nested.host),
			 0);
	assert_int_equal(ste.config, SMMUINV_STE_TRANSLATE);
	vste.word[0] = le64toh(ste.vste[0]);
	vste.word[1] = le64toh(ste.vste[1]);
	assert_int_equal(smmuinv_vsmmu_set_ats(life->vsmmu, RIG_VSID, ste.ats),
			 0);
	return nested_attach(&world->nested, &vste);
}

/* The ids are those of every life. */
static void check_ids(struct life *life)
{
	struct world *world = life->world;
	const uint32_t ids[] = {
		world->nested.device.id,
		world->nested.parent,
		world->nested.viommu,
		stream_of(life).vdevice_id,
	};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		if (!world->ids[i])
			world->ids[i] = ids[i];
		assert_int_equal(ids[i], world->ids[i]);
	}
}

/* A CFGI_CD for the device, a TLBI and a CMD_SYNC. */
static void write_traffic(struct life *life)
{
	const struct smmuinv_command commands[] = {
		guest_cfgi_cd(RIG_VSID),
		guest_tlbi_asid(RIG_ASID),
		test_command(SMMUINV_CMD_SYNC, 0),
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		life->ring[life->prod % ARRAY_SIZE(life->ring)] = commands[i];
		life->prod = (life->prod + 1) % (2 * ARRAY_SIZE(life->ring));
	}
}

static int consume(struct life *life, struct smmuinv_progress *progress)
{
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = life->ring,
		.log2size = 2,
		.prod = life->prod,
		.cons = life->cons,
	};
	int rc;

	*progress = (struct smmuinv_progress){ .size = sizeof(*progress) };
	rc = smmuinv_queue_consume(life->queue, &ring, progress);
	life->cons = progress->cons;
	return rc;
}

/* Traffic of a guest with the stream, or of one without. */
static void traffic(struct life *life, bool plugged)
{
	struct smmuinv_progress progress;

	write_traffic(life);
	assert_int_equal(consume(life, &progress), 3);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_NONE);
	assert_int_equal(progress.forwarded, 1 + plugged);
	assert_int_equal(progress.dropped, !plugged);
}

static struct edu start_device(struct life *life)
{
	struct world *world = life->world;
	struct vfio_device *device = &world->nested.device;
	struct edu edu;

	assert_int_equal(vfio_map_bar0(device), 0);
	assert_int_equal(vfio_enable_bus_master(device), 0);
	assert_int_equal(
		edu_init(&edu, device->bar0, LANDING_VA, world->landing.memory),
		0);
	return edu;
}

static uint32_t look(struct edu *edu)
{
	uint32_t seen = 0;

	assert_int_equal(edu_dma_read(edu, PROBE_VA, sizeof(seen), &seen), 0);
	return seen;
}

static void map(struct world *world, int page)
{
	stage1_map_page(&world->stage1, PROBE_VA, world->pages[page].ipa,
			STAGE1_ASID);
}

/* Stale, and fresh after the guest's commands. */
static void prove(struct life *life)
{
	struct world *world = life->world;
	struct edu edu = start_device(life);

	map(world, 0);
	assert_int_equal(look(&edu), PATTERN_A);
	map(world, 1);
	assert_int_equal(look(&edu), PATTERN_A);
	traffic(life, true);
	assert_int_equal(look(&edu), PATTERN_B);
}

/* The guest resets its SMMU: nothing translates, nothing is remembered. */
static int reset(struct life *life)
{
	int error;

	assert_int_equal(nested_detach(&life->world->nested), 0);
	error = smmuinv_vsmmu_reset(life->vsmmu, NULL);
	life->cons = life->prod = 0;
	assert_false(stream_of(life).ats);
	return error;
}

static void life_end(struct life *life)
{
	struct world *world = life->world;
	struct nested *nested = &world->nested;

	assert_int_equal(nested_detach(nested), 0);
	remove_stream(life);
	traffic(life, false);
	smmuinv_queue_free(life->queue);
	smmuinv_vsmmu_free(life->vsmmu);
	host_close(world);
	assert_int_equal(lowest_free_id(nested->iommufd), life->free_id);
}

static void bring_up_and_reset_100_times_leave_no_leak(void **state)
{
	struct world *world = *state;
	int files = open_files();

	for (int i = 0; i < LIVES; i++) {
		struct life life;

		life_begin(&life, world, i % 2);
		assert_int_equal(add_stream(&life), 0);
		check_ids(&life);
		assert_int_equal(attach(&life), 0);
		traffic(&life, true);
		if (i % EACH_DMA < 2)
			prove(&life);
		assert_int_equal(reset(&life), 0);
		traffic(&life, true);
		assert_int_equal(attach(&life), 0);
		traffic(&life, true);
		life_end(&life);
		assert_int_equal(open_files(), files);
	}
	printf("CASES lives %d\n", LIVES);
}

/* The cause is reported, and the second try is as if nothing had been. */
static void fail_add_stream(struct life *life)
{
	if (!life->library_makes)
		return;
	arm(&life->world->saboteur, CALL_VDEVICE_ALLOC, 1, -ENOMEM);
	assert_int_equal(add_stream(life), -ENOMEM);
	assert_int_equal(smmuinv_vsmmu_find_stream(life->vsmmu, RIG_VSID, NULL),
			 -ENOENT);
}

static const int errors[] = { -ETIMEDOUT, -ENOENT, -ENOMEM, -EIO };

/* A call that fails once is made again, and nothing is seen of it. */
static void fail_once(struct life *life, int error)
{
	struct smmuinv_progress progress;

	arm(&life->world->saboteur, CALL_INVALIDATE, 1, error);
	write_traffic(life);
	assert_int_equal(consume(life, &progress), 3);
	assert_int_equal(life->world->saboteur.times, 0);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_NONE);
	assert_int_equal(progress.forwarded, 2);
	assert_true(progress.retries > 0);
	assert_int_equal(progress.replaced, 0);
}

/* A host that goes on failing is reported, and the queue stays where it is. */
static void fail_for_good(struct life *life, int error)
{
	struct smmuinv_progress progress;
	uint32_t cons = life->cons;

	arm(&life->world->saboteur, CALL_INVALIDATE, ALWAYS, error);
	write_traffic(life);
	assert_int_equal(consume(life, &progress), error);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_HOST);
	assert_int_equal(progress.fault.error, error);
	/* It refuses everything, so the device is not to blame. */
	assert_true(progress.fault.vsid == SMMUINV_VSID_NONE);
	assert_int_equal(progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(progress.consumed, 0);
	assert_int_equal(life->cons, cons);
	assert_true(progress.ioctls > 1);
	life->world->saboteur.times = 0;
	assert_int_equal(consume(life, &progress), 3);
	assert_int_equal(progress.forwarded, 2);
}

static void fail_reset(struct life *life, int error)
{
	struct saboteur *saboteur = &life->world->saboteur;

	arm(saboteur, CALL_INVALIDATE, 1, error);
	assert_int_equal(reset(life), 0);
	assert_int_equal(saboteur->times, 0);
	arm(saboteur, CALL_INVALIDATE, ALWAYS, error);
	assert_int_equal(reset(life), error);
	saboteur->times = 0;
	assert_int_equal(reset(life), 0);
}

static void fail_remove(struct life *life)
{
	if (life->library_makes) {
		assert_int_equal(nested_detach(&life->world->nested), 0);
		arm(&life->world->saboteur, CALL_DESTROY, 1, -EBUSY);
		assert_int_equal(
			smmuinv_vsmmu_remove_stream(life->vsmmu, RIG_VSID),
			-EBUSY);
		traffic(life, true);
	}
	/* The kernel's own: children first. */
	assert_int_equal(iommufd_destroy(life->world->nested.iommufd,
					 life->world->nested.viommu),
			 -EBUSY);
}

static void live_with_failure(struct life *life, unsigned int i)
{
	int error = errors[i / 10 % ARRAY_SIZE(errors)];
	unsigned int what = i / 2 % 5;

	if (what == 0)
		fail_add_stream(life);
	assert_int_equal(add_stream(life), 0);
	check_ids(life);
	/* The VMM gives up: it was never attached. */
	if (what == 3 && i % 4 > 1)
		return;
	assert_int_equal(attach(life), 0);
	if (what == 1) {
		fail_once(life, error);
		fail_for_good(life, error);
	}
	traffic(life, true);
	if (i % EACH_DMA < 2)
		prove(life);
	if (what == 2)
		fail_reset(life, error);
	assert_int_equal(reset(life), 0);
	assert_int_equal(attach(life), 0);
	traffic(life, true);
	if (what == 4)
		fail_remove(life);
}

static void failures_in_the_middle_leave_no_leak(void **state)
{
	struct world *world = *state;
	int files = open_files();

	world->saboteur.failures = 0;
	for (unsigned int i = 0; i < LIVES; i++) {
		struct life life;

		life_begin(&life, world, i % 2);
		live_with_failure(&life, i);
		life_end(&life);
		assert_int_equal(open_files(), files);
	}
	printf("NOTE %u failures in %d lives\n", world->saboteur.failures,
	       LIVES);
	printf("CASES lives %d\n", LIVES);
	assert_true(world->saboteur.failures > LIVES / 2);
}

static int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	open_world(world);
	*state = world;
	return 0;
}

static int world_teardown(void **state)
{
	close_world(*state);
	free(*state);
	return 0;
}

/* Descriptor and translation: only what forgets both shows the new page. */
static uint64_t make_all_stale(struct rig *rig, struct stage1 *other)
{
	uint64_t va = rig_fresh_va(rig);
	struct guest_piece b = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_B);

	stage1_init(other, &rig->memory);
	stage1_map_page(other, rig->edu.landing_iova, rig->landing.ipa,
			STAGE1_ASID);
	stage1_map_page(other, va, b.ipa, STAGE1_ASID);
	rig_make_stale(rig, va, STAGE1_ASID);
	/* The same ASID: what is cached of it is stale now, too. */
	context_descriptor_write(&rig->cd, RIG_ASID, other);
	rig_expect(rig, va, PATTERN_A);
	return va;
}

static void back(struct rig *rig)
{
	context_descriptor_write(&rig->cd, RIG_ASID, &rig->stage1);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(rig->vsmmu, NULL), 0);
}

static void invalidate_all_makes_everything_fresh(void **state)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	struct rig *rig = *state;
	struct stage1 other;
	uint64_t va = make_all_stale(rig, &other);

	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(rig->vsmmu, &result), 0);
	recorder_end(&rig->recorder);
	/* One CFGI_CD_ALL, one TLBI, in calls of their own. */
	assert_int_equal(result.host_commands, 2);
	assert_int_equal(result.ioctls, 2);
	rig_expect(rig, va, PATTERN_B);
	back(rig);
}

/* Here the VMM has left the tables attached, so that it can be seen. */
static void reset_makes_everything_fresh(void **state)
{
	struct rig *rig = *state;
	struct stage1 other;
	uint64_t va = make_all_stale(rig, &other);

	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_vsmmu_reset(rig->vsmmu, NULL), 0);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
	assert_false(rig_stream(rig, RIG_VSID).ats);
	back(rig);
}

/* Whatever the command at CMDQ_CONS is, everything is more. */
static void skipped_command_makes_everything_fresh(void **state)
{
	const struct smmuinv_command command = guest_tlbi_va(0);
	struct rig *rig = *state;
	struct stage1 other;
	uint64_t va = make_all_stale(rig, &other);
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = rig->ring,
		.log2size = RIG_RING_LOG2SIZE,
		.cons = rig->cons,
	};

	rig_queue_write(rig, &command, 1);
	ring.prod = rig->prod;
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(
		smmuinv_queue_invalidate_all(rig->queue, &ring, &progress), 1);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
	rig->cons = progress.cons;
	/* The CMD_SYNC is left, which has nothing to wait for. */
	assert_int_equal(rig_queue_consume(rig, &progress), 1);
	assert_int_equal(progress.ioctls, 0);
	back(rig);
}

static void skipped_batch_makes_everything_fresh(void **state)
{
	const struct smmuinv_command command = guest_tlbi_va(0);
	struct smmuinv_result result = { .size = sizeof(result) };
	struct rig *rig = *state;
	struct stage1 other;
	uint64_t va = make_all_stale(rig, &other);

	assert_int_equal(smmuinv_batch_add(rig->batch, &command, NULL),
			 SMMUINV_FORWARD);
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_batch_invalidate_all(rig->batch, &result), 0);
	recorder_end(&rig->recorder);
	assert_int_equal(result.completed, 1);
	rig_expect(rig, va, PATTERN_B);
	assert_int_equal(smmuinv_batch_flush(rig->batch, &result), 0);
	assert_int_equal(result.completed, 0);
	back(rig);
}

/*
 * As after a migration: what the host has cached is unknown since the guest's
 * last commands, so everything is invalidated.
 */
static void guest_goes_on_over_another_virtual_smmu(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_vsmmu_params params =
		rig_vsmmu_params(rig, SMMUINV_AS_HOST);
	const struct smmuinv_command commands[] = {
		guest_cfgi_cd_all(RIG_VSID),
		guest_tlbi_asid(RIG_ASID),
	};
	struct stage1 other;
	uint64_t va = make_all_stale(rig, &other);

	rig_reshape(rig, &params);
	rig_expect(rig, va, PATTERN_A);
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_vsmmu_invalidate_all(rig->vsmmu, NULL), 0);
	rig_expect(rig, va, PATTERN_B);
	context_descriptor_write(&rig->cd, RIG_ASID, &rig->stage1);
	rig_queue_run(rig, commands, 2);
	recorder_end(&rig->recorder);
	va = rig_fresh_va(rig);
	rig_make_stale(rig, va, STAGE1_ASID);
	rig_queue_run(rig, commands, 2);
	rig_expect(rig, va, PATTERN_B);
}

static void hosts_queue_never_suffered(void **state)
{
	(void)state;
	kernel_log_assert_quiet(__func__);
}

#define RIG_TEST(name) cmocka_unit_test_teardown(name, rig_test_teardown)

int test_lifecycle(void)
{
	const struct CMUnitTest lives[] = {
		cmocka_unit_test(bring_up_and_reset_100_times_leave_no_leak),
		cmocka_unit_test(failures_in_the_middle_leave_no_leak),
	};
	const struct CMUnitTest tests[] = {
		RIG_TEST(invalidate_all_makes_everything_fresh),
		RIG_TEST(reset_makes_everything_fresh),
		RIG_TEST(skipped_command_makes_everything_fresh),
		RIG_TEST(skipped_batch_makes_everything_fresh),
		RIG_TEST(guest_goes_on_over_another_virtual_smmu),
		RIG_TEST(hosts_queue_never_suffered),
	};
	int failed = cmocka_run_group_tests_name("lives", lives, world_setup,
						 world_teardown);

	return failed + cmocka_run_group_tests_name("lifecycle", tests,
						    rig_group_setup,
						    rig_group_teardown);
}
