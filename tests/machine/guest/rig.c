/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <endian.h>
#include <stdlib.h>

#include "cmocka-all.h"

#define MEMORY_IPA  UINT64_C(0x40000000)
#define MEMORY_SIZE ((size_t)32 << 20)

#define LANDING_VA UINT64_C(0x10000000)
#define PROBES_VA  UINT64_C(0x7600000000)

#define BATCH_CAPACITY 256

struct pci_device rig_device;

struct smmuinv_vsmmu_params rig_vsmmu_params(const struct rig *rig,
					     enum smmuinv_choice ril)
{
	const struct smmuinv_offer offer = {
		.size = sizeof(offer),
		.ril = (uint8_t)ril,
	};
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = rig->recorder.backend,
		.viommu_id = rig->nested.viommu,
		.hw_flags = rig->nested.info.hw.flags,
		.host = rig->nested.host,
	};

	assert_int_equal(smmuinv_features_offer(&params.guest, &params.host,
						&offer, NULL),
			 0);
	return params;
}

static void open_host(struct rig *rig)
{
	int error = nested_open(&rig->nested, rig_device.cdev);

	if (error)
		fail_msg("%s: %d", rig->nested.step, error);
	assert_int_equal(recorder_init(&rig->recorder, rig->nested.backend,
				       rig->nested.viommu),
			 0);
}

static int count_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct rig *rig = opaque;

	(void)sync;
	rig->syncs++;
	return 0;
}

int rig_plug(struct rig *rig, struct smmuinv_vsmmu *vsmmu, uint32_t vsid)
{
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
	};

	if (rig->library_makes) {
		params.dev_id = rig->nested.device.id;
		return smmuinv_vsmmu_add_stream(vsmmu, &params);
	}
	if (!rig->nested.vdevice) {
		int error = nested_plug(&rig->nested, vsid);

		if (error)
			return error;
	}
	params.vdevice_id = rig->nested.vdevice;
	return smmuinv_vsmmu_add_stream(vsmmu, &params);
}

int rig_unplug(struct rig *rig, struct smmuinv_vsmmu *vsmmu, uint32_t vsid)
{
	int error = smmuinv_vsmmu_remove_stream(vsmmu, vsid);

	if (error || rig->library_makes)
		return error;
	error = iommufd_destroy(rig->nested.iommufd, rig->nested.vdevice);
	rig->nested.vdevice = 0;
	return error;
}

struct smmuinv_stream_info rig_stream(const struct rig *rig, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(smmuinv_vsmmu_find_stream(rig->vsmmu, vsid, &info), 0);
	return info;
}

static void make_vsmmu(struct rig *rig,
		       const struct smmuinv_vsmmu_params *params)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.sync = count_sync,
	};
	const struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = &ops,
		.opaque = rig,
	};

	rig->guest = params->guest;
	assert_int_equal(smmuinv_vsmmu_new(params, &rig->vsmmu, NULL), 0);
	assert_int_equal(rig_plug(rig, rig->vsmmu, RIG_VSID), 0);
	assert_int_equal(
		smmuinv_batch_new(rig->vsmmu, BATCH_CAPACITY, &rig->batch), 0);
	assert_int_equal(smmuinv_queue_new(rig->vsmmu, &queue, &rig->queue), 0);
}

static void free_vsmmu(struct rig *rig)
{
	smmuinv_queue_free(rig->queue);
	smmuinv_batch_free(rig->batch);
	smmuinv_vsmmu_free(rig->vsmmu);
}

void rig_reshape(struct rig *rig, const struct smmuinv_vsmmu_params *params)
{
	free_vsmmu(rig);
	make_vsmmu(rig, params);
	rig->cons = rig->prod;
}

static void make_guest(struct rig *rig)
{
	assert_int_equal(
		guest_memory_init(&rig->memory, MEMORY_IPA, MEMORY_SIZE), 0);
	assert_int_equal(nested_map(&rig->nested, rig->memory.base, MEMORY_SIZE,
				    MEMORY_IPA),
			 0);
	stage1_init(&rig->stage1, &rig->memory);
	rig->cd = guest_memory_take(&rig->memory, CONTEXT_DESCRIPTOR_SIZE);
	rig->landing = guest_memory_take(&rig->memory, EDU_BUFFER_SIZE);
	rig->next_va = PROBES_VA;
	stage1_map_page(&rig->stage1, LANDING_VA, rig->landing.ipa,
			STAGE1_ASID);
	context_descriptor_write(&rig->cd, RIG_ASID, &rig->stage1);
}

static void attach(struct rig *rig)
{
	const struct iommufd_vste vste = vste_translate(&rig->cd);
	struct vfio_device *device = &rig->nested.device;
	int error = nested_attach(&rig->nested, &vste);

	if (error)
		fail_msg("%s: %d", rig->nested.step, error);
	assert_int_equal(vfio_map_bar0(device), 0);
	assert_int_equal(vfio_enable_bus_master(device), 0);
	assert_int_equal(edu_init(&rig->edu, device->bar0, LANDING_VA,
				  rig->landing.memory),
			 0);
}

static int setup(void **state, bool library_makes)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct smmuinv_vsmmu_params params;

	assert_non_null(rig);
	rig->library_makes = library_makes;
	open_host(rig);
	params = rig_vsmmu_params(rig, SMMUINV_AS_HOST);
	make_vsmmu(rig, &params);
	make_guest(rig);
	attach(rig);
	*state = rig;
	return 0;
}

int rig_group_setup(void **state)
{
	return setup(state, false);
}

int rig_group_setup_library_makes(void **state)
{
	return setup(state, true);
}

int rig_group_teardown(void **state)
{
	struct rig *rig = *state;
	int error;

	/* The setup has failed. */
	if (!rig)
		return -1;
	error = nested_detach(&rig->nested);
	free_vsmmu(rig);
	recorder_free(&rig->recorder);
	if (nested_close(&rig->nested))
		error = -1;
	guest_memory_free(&rig->memory);
	free(rig);
	return error;
}

int rig_test_teardown(void **state)
{
	struct rig *rig = *state;

	recorder_end(&rig->recorder);
	return 0;
}

uint64_t rig_fresh_va(struct rig *rig)
{
	uint64_t va = rig->next_va;

	rig->next_va += GUEST_BLOCK_SIZE;
	return va;
}

uint32_t rig_see(struct rig *rig, uint64_t va)
{
	uint32_t seen = 0;

	assert_int_equal(edu_dma_read(&rig->edu, va, sizeof(seen), &seen), 0);
	return seen;
}

void rig_expect(struct rig *rig, uint64_t va, uint32_t pattern)
{
	assert_int_equal(rig_see(rig, va), pattern);
}

void rig_make_stale(struct rig *rig, uint64_t va, enum stage1_scope scope)
{
	struct guest_piece a = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_A);
	struct guest_piece b = guest_memory_take_filled(
		&rig->memory, GUEST_PAGE_SIZE, PATTERN_B);

	stage1_map_page(&rig->stage1, va, a.ipa, scope);
	rig_expect(rig, va, PATTERN_A);
	stage1_map_page(&rig->stage1, va, b.ipa, scope);
	rig_expect(rig, va, PATTERN_A);
}

static void ring_push(struct rig *rig, struct smmuinv_command command)
{
	rig->ring[rig->prod % RIG_RING_SIZE] = command;
	/* The index and its wrap bit. */
	rig->prod = (rig->prod + 1) % (2 * RIG_RING_SIZE);
}

void rig_queue_write(struct rig *rig, const struct smmuinv_command *commands,
		     uint32_t count)
{
	const struct smmuinv_command sync = {
		.dw = { htole64(SMMUINV_CMD_SYNC) },
	};

	for (uint32_t i = 0; i < count; i++)
		ring_push(rig, commands[i]);
	ring_push(rig, sync);
}

int rig_queue_consume(struct rig *rig, struct smmuinv_progress *progress)
{
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = rig->ring,
		.log2size = RIG_RING_LOG2SIZE,
		.prod = rig->prod,
		.cons = rig->cons,
	};
	int consumed;

	*progress = (struct smmuinv_progress){ .size = sizeof(*progress) };
	consumed = smmuinv_queue_consume(rig->queue, &ring, progress);
	rig->cons = progress->cons;
	return consumed;
}

void rig_queue_finish(struct rig *rig, struct smmuinv_progress *progress)
{
	assert_true(rig_queue_consume(rig, progress) > 0);
	assert_int_equal(progress->cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(progress->cons, rig->prod);
	assert_int_equal(progress->fault.source, SMMUINV_SOURCE_NONE);
	assert_int_equal(progress->more, 0);
	assert_int_equal(progress->dropped, 0);
}

void rig_queue_run(struct rig *rig, const struct smmuinv_command *commands,
		   uint32_t count)
{
	struct smmuinv_progress progress;
	uint32_t syncs = rig->syncs;

	rig_queue_write(rig, commands, count);
	rig_queue_finish(rig, &progress);
	assert_int_equal(progress.consumed, count + 1);
	assert_int_equal(progress.forwarded, count);
	assert_int_equal(rig->syncs, syncs + 1);
}

void rig_batch_run(struct rig *rig, const struct smmuinv_command *commands,
		   uint32_t count)
{
	struct smmuinv_result result = { .size = sizeof(result) };

	assert_int_equal(
		smmuinv_batch_submit(rig->batch, commands, count, &result), 0);
	assert_int_equal(result.completed, count);
	assert_int_equal(result.forwarded, count);
	assert_int_equal(result.fault.source, SMMUINV_SOURCE_NONE);
	assert_int_equal(result.fault_index, SMMUINV_INDEX_NONE);
	assert_int_equal(result.ioctls, 1);
}
