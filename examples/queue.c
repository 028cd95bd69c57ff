/* SPDX-License-Identifier: MIT */
/*
 * A VMM that leaves the whole Command queue to the library. It calls doorbell()
 * when the guest writes CMDQ_PROD, and does in callbacks what only a VMM can
 * do.
 *
 * Between "8<" and ">8" is what such a VMM writes. See world.h for what is
 * around it. bringup.c has a real host.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "world.h"

/* So often the host is tried, before everything is invalidated instead. */
#define TRIES 3

struct vmm {
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
};

/* 8< setup: a virtual SMMU, its queue and its streams */
static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf);
static int on_sync(void *opaque, const struct smmuinv_sync *sync);

static int open_vsmmu(struct vmm *vmm, struct world *world)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = on_cfgi_ste,
		.sync = on_sync,
	};
	const struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.backend = vmm->backend,
		.viommu_id = world->viommu_id,
		.hw_flags = world->hw_flags, /* never leave it out */
		.guest = world->guest,
		.host = world->host,
	};
	const struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = &ops,
		.opaque = world,
		.work_max = world->work_max,
	};
	int rc = smmuinv_vsmmu_new(&vsmmu, &vmm->vsmmu, NULL);

	return rc ? rc : smmuinv_queue_new(vmm->vsmmu, &queue, &vmm->queue);
}

static int plug(struct world *world, const struct world_stream *stream)
{
	const struct vmm *vmm = world->vmm;
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = stream->sid,
		.vdevice_id = stream->vdevice_id,
	};

	return smmuinv_vsmmu_add_stream(vmm->vsmmu, &params);
}

static int unplug(struct world *world, uint64_t vsid)
{
	const struct vmm *vmm = world->vmm;
	int rc;

	world_detach(world, (uint32_t)vsid);
	rc = smmuinv_vsmmu_remove_stream(vmm->vsmmu, (uint32_t)vsid);
	if (!rc)
		world_unplug(world, (uint32_t)vsid);
	return rc;
}
/* >8 */

/* 8< callbacks: a changed STE, and a CMD_SYNC */
static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct world *world = opaque;
	const struct vmm *vmm = world->vmm;
	struct world_stream *stream = world_find(world, sid);
	struct smmuinv_ste ste = { .size = sizeof(ste) };
	int rc;

	(void)leaf;
	(void)smmuinv_ste_read(&ste, world->stes[sid], &world->guest,
			       &world->host);
	if (memcmp(stream->vste, ste.vste, sizeof(ste.vste)) == 0)
		return 0; /* the library invalidates the stream's CDs */
	if (ste.ats)
		smmuinv_vsmmu_set_ats(vmm->vsmmu, sid, true);
	rc = world_attach(world, sid, &ste);
	smmuinv_vsmmu_set_ats(vmm->vsmmu, sid, stream->ats);
	return rc ? rc : SMMUINV_STE_ATTACHED;
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)sync; /* here a VMM sends the interrupt */
	world_sync(opaque);
	return 0;
}
/* >8 */

/* 8< doorbell: what the guest has written, and what can fail */
static bool again(struct world *world, struct smmuinv_ring *ring,
		  struct smmuinv_progress *progress, int rc, int *tries)
{
	const struct vmm *vmm = world->vmm;
	uint32_t source = progress->fault.source;

	if (source == SMMUINV_SOURCE_POINTERS) {
		world_pointers(world);
		return false;
	}
	if (source == SMMUINV_SOURCE_HOST && rc == -ENODEV &&
	    !unplug(world, progress->fault.vsid))
		return true;
	if (source != SMMUINV_SOURCE_GUEST && ++*tries < TRIES)
		return true;
	ring->cons = world->cons;
	if (source == SMMUINV_SOURCE_HOST &&
	    smmuinv_queue_invalidate_all(vmm->queue, ring, progress) > 0) {
		world->cons = progress->cons;
		return true;
	}
	world_stop(world, rc);
	return false;
}

static void doorbell(struct world *world)
{
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = world->ring,
		.log2size = WORLD_LOG2SIZE,
		.prod = world->prod,
	};
	const struct vmm *vmm = world->vmm;
	int tries = 0, rc;

	do {
		ring.cons = progress.cons = world->cons;
		rc = smmuinv_queue_consume(vmm->queue, &ring, &progress);
		world->cons = progress.cons;
	} while (rc < 0 ? again(world, &ring, &progress, rc, &tries) :
			  progress.more);
	if (progress.cerror)
		world_error(world, progress.cerror);
}
/* >8 */

static int open_vmm(struct world *world)
{
	static struct vmm vmm;
	int rc = smmuinv_mock_backend(world->mock, &vmm.backend);

	world->vmm = &vmm;
	return rc ? rc : open_vsmmu(&vmm, world);
}

static void close_vmm(struct world *world)
{
	struct vmm *vmm = world->vmm;

	smmuinv_queue_free(vmm->queue);
	smmuinv_vsmmu_free(vmm->vsmmu);
	smmuinv_backend_free(vmm->backend);
}

int main(int argc, char **argv)
{
	static const struct world_vmm vmm = {
		.open = open_vmm,
		.plug = plug,
		.doorbell = doorbell,
		.close = close_vmm,
	};

	return world_main(argc, argv, &vmm);
}
