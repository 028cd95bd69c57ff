/* SPDX-License-Identifier: MIT */
/*
 * Bring-up, reset, teardown, again and again in one iommufd, also after
 * failures in the middle; what invalidates by the library's own will; and a
 * guest that goes from one virtual SMMU to another.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"
#include "cmocka-all.h"
#include "kernel-log.h"
#include "leaks.h"
#include "rig.h"
#include "support.h"
#include "tests.h"

#define LIVES 100

/* Of these, so many-th is proved by DMA, which takes its time. */
#define EACH_DMA 20

#define MEMORY_IPA UINT64_C(0x40000000)
#define LANDING_VA UINT64_C(0x10000000)
#define PROBE_VA   UINT64_C(0x7600000000)

/* The calls that can be made to fail. */
enum call { CALL_VDEVICE_ALLOC, CALL_DESTROY, CALL_INVALIDATE, CALLS };

/*
 * A backend that fails once, at the call of the kind @call that comes after
 * @after others; the kernel is not asked then.
 */
struct saboteur {
	struct smmuinv_backend *inner;
	struct smmuinv_backend *backend;
	bool armed;
	enum call call;
	unsigned int after;
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
};

static bool strikes(struct saboteur *saboteur, enum call call)
{
	if (!saboteur->armed || saboteur->call != call || saboteur->after--)
		return false;
	saboteur->armed = false;
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

static void arm(struct saboteur *saboteur, enum call call, unsigned int after,
		int error)
{
	saboteur->armed = true;
	saboteur->call = call;
	saboteur->after = after;
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
	assert_int_equal(smmuinv_features_from_hw_info(&nested->host,
						       &nested->info.hw, false),
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

static void life_begin(struct life *life, struct world *world)
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
		.free_id = lowest_free_id(world->nested.iommufd),
	};
	host_open(world);
	params.backend = world->saboteur.backend;
	params.viommu_id = world->nested.viommu;
	params.host = world->nested.host;
	assert_int_equal(smmuinv_features_offer(&params.guest, &params.host,
						&offer, NULL),
			 0);
	assert_int_equal(smmuinv_vsmmu_new(&params, &life->vsmmu), 0);
	assert_int_equal(smmuinv_queue_new(life->vsmmu, &queue, &life->queue),
			 0);
}

static int add_stream(struct life *life)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.dev_id = life->world->nested.device.id,
		.vsid = RIG_VSID,
	};

	return smmuinv_vsmmu_add_stream(life->vsmmu, &params);
}

static struct smmuinv_stream_info stream_of(struct life *life)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(
		smmuinv_streams_find(smmuinv_vsmmu_streams(life->vsmmu),
				     RIG_VSID, &info),
		0);
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
	assert_int_equal(smmuinv_streams_set(smmuinv_vsmmu_streams(life->vsmmu),
					     RIG_VSID, true, ste.ats),
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
	struct smmuinv_command commands[3];

	assert_int_equal(
		smmuinv_command_cfgi_cd(&commands[0], RIG_VSID, 0, true), 0);
	assert_int_equal(smmuinv_command_tlbi_nh_asid(&commands[1], RIG_ASID),
			 0);
	commands[2] = test_command(SMMUINV_CMD_SYNC, 0);
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

/* Traffic of a stream that translates, or of one that does not. */
static void traffic(struct life *life, bool translates)
{
	struct smmuinv_progress progress;

	write_traffic(life);
	assert_int_equal(consume(life, &progress), 3);
	assert_int_equal(progress.host_error, 0);
	assert_int_equal(progress.forwarded, 1 + translates);
	assert_int_equal(progress.dropped, !translates);
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
static void reset(struct life *life)
{
	assert_int_equal(nested_detach(&life->world->nested), 0);
	assert_int_equal(smmuinv_reset(life->vsmmu, NULL), 0);
	smmuinv_queue_reset(life->queue);
	life->cons = life->prod = 0;
	assert_false(stream_of(life).translates);
	traffic(life, false);
}

static void life_end(struct life *life)
{
	struct world *world = life->world;
	struct nested *nested = &world->nested;
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(life->vsmmu);

	assert_int_equal(nested_detach(nested), 0);
	assert_int_equal(smmuinv_streams_remove_all(streams), 0);
	assert_int_equal(smmuinv_streams_count(streams), 0);
	traffic(life, false);
	smmuinv_queue_free(life->queue);
	smmuinv_vsmmu_free(life->vsmmu);
	host_close(world);
	assert_int_equal(lowest_free_id(nested->iommufd), life->free_id);
}

static void bring_up_and_reset_100_times_leave_nothing_behind(void **state)
{
	struct world *world = *state;
	int files = open_files();

	for (int i = 0; i < LIVES; i++) {
		struct life life;

		life_begin(&life, world);
		assert_int_equal(add_stream(&life), 0);
		check_ids(&life);
		assert_int_equal(attach(&life), 0);
		traffic(&life, true);
		if (i % EACH_DMA == 0)
			prove(&life);
		reset(&life);
		assert_int_equal(attach(&life), 0);
		traffic(&life, true);
		life_end(&life);
		assert_int_equal(open_files(), files);
	}
	printf("CASES lives %d\n", LIVES);
}

/* Each is what its cause was, and the second try is as if nothing had been. */
static void fail_vdevice_alloc(struct life *life)
{
	arm(&life->world->saboteur, CALL_VDEVICE_ALLOC, 0, -ENOMEM);
	assert_int_equal(add_stream(life), -ENOMEM);
	assert_int_equal(
		smmuinv_streams_count(smmuinv_vsmmu_streams(life->vsmmu)), 0);
}

static void fail_consume(struct life *life, int which)
{
	/* A call that was too large, or refused, is made again in parts. */
	static const struct {
		int error;
		bool survived;
	} failures[] = {
		{ .error = -ETIMEDOUT },
		{ .error = -ENOENT },
		{ .error = -ENOMEM, .survived = true },
		{ .error = -EIO, .survived = true },
	};
	int error = failures[which % 4].error;
	struct smmuinv_progress progress;
	uint32_t cons = life->cons;

	arm(&life->world->saboteur, CALL_INVALIDATE, 0, error);
	write_traffic(life);
	if (!failures[which % 4].survived) {
		assert_int_equal(consume(life, &progress), error);
		assert_int_equal(progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(life->cons, cons);
	}
	assert_int_equal(consume(life, &progress), 3);
	assert_int_equal(progress.forwarded, 2);
	assert_false(life->world->saboteur.armed);
}

static void fail_remove(struct life *life)
{
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(life->vsmmu);

	assert_int_equal(nested_detach(&life->world->nested), 0);
	arm(&life->world->saboteur, CALL_DESTROY, 0, -EBUSY);
	assert_int_equal(smmuinv_streams_remove_all(streams), -EBUSY);
	assert_int_equal(smmuinv_streams_count(streams), 1);
	/* The kernel's own: children first. */
	assert_int_equal(iommufd_destroy(life->world->nested.iommufd,
					 life->world->nested.viommu),
			 -EBUSY);
}

static void live_with_failure(struct life *life, int i)
{
	if (i % 5 == 0)
		fail_vdevice_alloc(life);
	assert_int_equal(add_stream(life), 0);
	check_ids(life);
	/* The VMM gives up: it was never attached. */
	if (i % 10 == 3)
		return;
	assert_int_equal(attach(life), 0);
	if (i % 5 == 1)
		fail_consume(life, i / 5);
	traffic(life, true);
	if (i % EACH_DMA == 0)
		prove(life);
	/* What went wrong is told, and the rest is done all the same. */
	if (i % 5 == 2)
		arm(&life->world->saboteur, CALL_INVALIDATE, 0, -ETIMEDOUT);
	reset(life);
	assert_false(life->world->saboteur.armed);
	assert_int_equal(attach(life), 0);
	traffic(life, true);
	if (i % 5 == 4)
		fail_remove(life);
}

static void failures_in_the_middle_leave_nothing_behind(void **state)
{
	struct world *world = *state;
	int files = open_files();

	world->saboteur.failures = 0;
	for (int i = 0; i < LIVES; i++) {
		struct life life;

		life_begin(&life, world);
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
	assert_int_equal(smmuinv_invalidate_all(rig->vsmmu, NULL), 0);
}

static void invalidate_all_makes_everything_fresh(void **state)
{
	struct rig *rig = *state;
	struct stage1 other;
	uint64_t va = make_all_stale(rig, &other);

	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_invalidate_all(rig->vsmmu, NULL), 0);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
	back(rig);
}

static void invalidate_stream_makes_everything_fresh(void **state)
{
	struct rig *rig = *state;
	struct stage1 other;
	uint64_t va = make_all_stale(rig, &other);

	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_invalidate_stream(rig->vsmmu, RIG_VSID), 0);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
	assert_int_equal(smmuinv_invalidate_stream(rig->vsmmu, RIG_VSID_ABSENT),
			 -ENOENT);
	back(rig);
}

/* Here the VMM has left the tables attached, so that it can be seen. */
static void reset_makes_everything_fresh_and_streams_abort(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(rig->vsmmu);
	struct smmuinv_stream_info info = { .size = sizeof(info) };
	struct smmuinv_progress progress;
	struct smmuinv_command command;
	struct stage1 other;
	uint64_t va = make_all_stale(rig, &other);

	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(smmuinv_reset(rig->vsmmu, NULL), 0);
	recorder_end(&rig->recorder);
	rig_expect(rig, va, PATTERN_B);
	assert_int_equal(smmuinv_streams_find(streams, RIG_VSID, &info), 0);
	assert_false(info.translates);
	assert_int_equal(smmuinv_command_cfgi_cd_all(&command, RIG_VSID), 0);
	rig_queue_write(rig, &command, 1);
	assert_int_equal(rig_queue_consume(rig, &progress), 2);
	assert_int_equal(progress.dropped, 1);
	assert_int_equal(progress.host_commands, 0);
	assert_int_equal(smmuinv_streams_set(streams, RIG_VSID, true, false),
			 0);
	back(rig);
}

#define PAGES 8

static uint32_t unmap_pages(struct rig *rig, uint64_t va)
{
	struct smmuinv_command commands[PAGES];
	struct smmuinv_progress progress;

	for (uint32_t i = 0; i < PAGES; i++) {
		const struct smmuinv_tlbi tlbi = {
			.size = sizeof(tlbi),
			.va = va + i * GUEST_PAGE_SIZE,
			.asid = RIG_ASID,
			.leaf = true,
		};

		assert_int_equal(
			smmuinv_command_tlbi_nh_va(&commands[i], &tlbi), 0);
	}
	rig_queue_write(rig, commands, PAGES);
	rig_queue_finish(rig, &progress);
	assert_int_equal(progress.forwarded, PAGES);
	return progress.host_commands;
}

/* The guest goes on over another virtual SMMU, which knows what this one knew.
 */
static void saved_state_goes_on_in_another_virtual_smmu(void **state)
{
	struct rig *rig = *state;
	struct smmuinv_vsmmu_params params =
		rig_vsmmu_params(rig, SMMUINV_AS_HOST);
	struct smmuinv_state_info info = { .size = sizeof(info) };
	struct smmuinv_stream_info stream = { .size = sizeof(stream) };
	struct smmuinv_state_stream saved = { .size = sizeof(saved) };
	struct smmuinv_command command;
	unsigned char bytes[4096];
	uint64_t va = rig_fresh_va(rig);
	int64_t length;

	rig_note_cd(rig);
	rig_make_stale(rig, va, STAGE1_ASID);
	assert_int_equal(unmap_pages(rig, va), 1);
	length = smmuinv_state_save(rig->vsmmu, bytes, sizeof(bytes));
	assert_in_range(length, 1, sizeof(bytes));
	assert_int_equal(smmuinv_state_check(bytes, (size_t)length,
					     &rig->nested.host, &info),
			 0);
	assert_int_equal(info.streams, 1);
	assert_int_equal(smmuinv_state_stream(bytes, (size_t)length, 0, &saved),
			 0);
	assert_int_equal(saved.vsid, RIG_VSID);
	assert_true(saved.translates);

	params.guest = info.guest;
	params.check_flags = info.check_flags;
	rig_reshape(rig, &params);
	/* As it is when it has just been added. */
	assert_int_equal(smmuinv_vsmmu_remove_stream(rig->vsmmu, RIG_VSID), 0);
	assert_int_equal(
		smmuinv_state_restore(rig->vsmmu, bytes, (size_t)length, &info),
		-ENOENT);
	assert_int_equal(info.rule, SMMUINV_STATE_RULE_STREAM);
	assert_int_equal(info.vsid, RIG_VSID);
	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
	assert_int_equal(smmuinv_streams_set(smmuinv_vsmmu_streams(rig->vsmmu),
					     RIG_VSID, false, false),
			 0);
	va = rig_fresh_va(rig);
	rig_make_stale(rig, va, STAGE1_ASID);
	assert_int_equal(unmap_pages(rig, va), PAGES);
	rig_expect(rig, va, PATTERN_B);

	assert_int_equal(
		smmuinv_state_restore(rig->vsmmu, bytes, (size_t)length, &info),
		0);
	assert_int_equal(smmuinv_streams_find(smmuinv_vsmmu_streams(rig->vsmmu),
					      RIG_VSID, &stream),
			 0);
	assert_true(stream.translates);
	va = rig_fresh_va(rig);
	rig_make_stale(rig, va, STAGE1_ASID);
	recorder_begin(&rig->recorder, __func__);
	assert_int_equal(unmap_pages(rig, va), 1);
	assert_int_equal(smmuinv_command_cfgi_cd_all(&command, RIG_VSID), 0);
	rig_queue_run(rig, &command, 1);
	recorder_end(&rig->recorder);
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
		cmocka_unit_test(
			bring_up_and_reset_100_times_leave_nothing_behind),
		cmocka_unit_test(failures_in_the_middle_leave_nothing_behind),
	};
	const struct CMUnitTest tests[] = {
		RIG_TEST(invalidate_all_makes_everything_fresh),
		RIG_TEST(invalidate_stream_makes_everything_fresh),
		RIG_TEST(reset_makes_everything_fresh_and_streams_abort),
		RIG_TEST(saved_state_goes_on_in_another_virtual_smmu),
		RIG_TEST(hosts_queue_never_suffered),
	};
	int failed = cmocka_run_group_tests_name("lives", lives, world_setup,
						 world_teardown);

	return failed + cmocka_run_group_tests_name("lifecycle", tests,
						    rig_group_setup,
						    rig_group_teardown);
}
