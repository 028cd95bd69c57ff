/* SPDX-License-Identifier: MIT */
/*
 * VMMs that keep their loop over the Command queue and leave to the library
 * what goes to the host. One is like QEMU: it adds each command to a batch, and
 * flushes at a CMD_SYNC. The other is like OpenVMM: it has an array of what
 * stands between two CMD_SYNCs.
 *
 * Between "8<" and ">8" is what such a VMM adds. See world.h for what is around
 * it. bringup.c has a real host.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "world.h"

/* So often the host is tried, before everything is invalidated instead. */
#define TRIES 3

struct vmm {
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_batch *batch;
};

/* 8< setup: a virtual SMMU, its streams, and what an STE says of them. */
static int open_vsmmu(struct vmm *vmm, struct smmuinv_backend *backend,
		      const struct world *world)
{
	const struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = backend,
		.viommu_id = world->viommu_id,
		.hw_flags = world->hw_flags, /* never leave it out */
		.guest = world->guest,
		.host = world->host,
	};
	int rc = smmuinv_vsmmu_new(&params, &vmm->vsmmu, NULL);

	return rc ? rc : smmuinv_batch_new(vmm->vsmmu, 4096, &vmm->batch);
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

static int attach(struct world *world, struct world_stream *stream)
{
	const struct vmm *vmm = world->vmm;
	struct smmuinv_ste ste = { .size = sizeof(ste) };
	int rc;

	(void)smmuinv_ste_read(&ste, world->stes[stream->sid], &world->guest,
			       &world->host);
	if (ste.ats)
		smmuinv_vsmmu_set_ats(vmm->vsmmu, stream->sid, true);
	rc = world_attach(world, stream->sid, &ste);
	smmuinv_vsmmu_set_ats(vmm->vsmmu, stream->sid, stream->ats);
	return rc;
}
/* >8 */

/* 8< qemu: what goes to the host, and a CMD_SYNC */
static uint32_t flush(struct world *world)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	const struct vmm *vmm = world->vmm;
	int tries = 0, rc;

	while ((rc = smmuinv_batch_flush(vmm->batch, &result))) {
		if (result.cerror)
			break;
		if (rc == -ENODEV && !unplug(world, result.fault.vsid))
			continue;
		if (++tries < TRIES)
			continue;
		if (smmuinv_batch_invalidate_all(vmm->batch, &result))
			world_stop(world, rc);
		break;
	}
	return result.cerror;
}

static uint32_t add(struct world *world, const struct smmuinv_command *command)
{
	const struct vmm *vmm = world->vmm;
	int rc = smmuinv_batch_add(vmm->batch, command, NULL);

	if (rc == -ENOSPC) {
		flush(world); /* the library remembers who did not answer */
		rc = smmuinv_batch_add(vmm->batch, command, NULL);
	}
	if (rc < 0)
		world_stop(world, rc);
	return rc == SMMUINV_ILLEGAL ? SMMUINV_CERROR_ILL : SMMUINV_CERROR_NONE;
}
/* >8 */

static void emulate(struct world *world, const struct smmuinv_command *command);

/* 8< openvmm: @done of @count are complete, and the next is why it stopped */
static uint32_t submit(struct world *world,
		       const struct smmuinv_command *commands, uint32_t count,
		       uint32_t *done)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_result all = { .size = sizeof(all) };
	const struct vmm *vmm = world->vmm;
	int tries = 0, rc;

	for (*done = 0; !world->stopped;) {
		rc = smmuinv_batch_submit(vmm->batch, commands + *done,
					  count - *done, &result);
		*done += result.completed;
		if (!rc || result.cerror == SMMUINV_CERROR_ILL)
			return result.cerror;
		if (result.cerror) { /* CERROR_ATC_INV_SYNC */
			if (*done == count)
				return result.cerror;
		} else if (rc == 1) {
			emulate(world, &commands[(*done)++]);
		} else if (rc != -ENODEV || unplug(world, result.fault.vsid)) {
			if (++tries < TRIES)
				continue;
			if (smmuinv_vsmmu_invalidate_all(vmm->vsmmu, &all) &&
			    !all.cerror)
				world_stop(world, rc);
			/* The command that the host does not execute. */
			*done += result.fault_index == result.completed;
		}
	}
	return SMMUINV_CERROR_NONE;
}
/* >8 */

/* What is the VMM's. */
static void cfgi_ste(struct world *world, uint32_t sid)
{
	struct world_stream *stream = world_find(world, sid);
	int tries = 0, rc = 0;

	if (!stream)
		return;
	do
		rc = attach(world, stream);
	while (rc && ++tries < TRIES);
	if (rc)
		world_stop(world, rc);
}

static void emulate(struct world *world, const struct smmuinv_command *command)
{
	uint32_t sid;

	if (smmuinv_command_opcode(command) == SMMUINV_CMD_CFGI_STE)
		cfgi_ste(world, (uint32_t)smmuinv_command_get(
					command, SMMUINV_FIELD_STREAMID));
	/* More than the range does no harm. */
	if (smmuinv_command_opcode(command) == SMMUINV_CMD_CFGI_STE_RANGE) {
		for (sid = 0; sid < WORLD_SIDS; sid++)
			cfgi_ste(world, sid);
	}
}

#define WRAP_MASK (2 * WORLD_ENTRIES - 1)

static bool pointers_are_wrong(struct world *world)
{
	if (((world->prod - world->cons) & WRAP_MASK) <= WORLD_ENTRIES)
		return false;
	world_pointers(world);
	return true;
}

/* The loop of a VMM like QEMU. */
static uint32_t handle(struct world *world,
		       const struct smmuinv_command *command)
{
	uint32_t cerror;

	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_SYNC:
		cerror = flush(world);
		if (!cerror && !world->stopped)
			world_sync(world);
		return cerror;
	case SMMUINV_CMD_CFGI_STE:
	case SMMUINV_CMD_CFGI_STE_RANGE:
		emulate(world, command);
		return SMMUINV_CERROR_NONE;
	default:
		return add(world, command);
	}
}

/* What follows the last CMD_SYNC waits in the batch for the next one. */
static void doorbell_qemu(struct world *world)
{
	if (pointers_are_wrong(world))
		return;
	while (world->cons != world->prod) {
		struct smmuinv_command command =
			world->ring[world->cons % WORLD_ENTRIES];
		uint32_t cerror = handle(world, &command);

		if (cerror)
			world_error(world, cerror);
		if (cerror || world->stopped)
			return;
		world->cons = (world->cons + 1) & WRAP_MASK;
	}
}

/* The loop of a VMM like OpenVMM. */
static uint32_t gather(const struct world *world,
		       struct smmuinv_command commands[WORLD_ENTRIES])
{
	uint32_t at = world->cons;
	uint32_t count = 0;

	for (; at != world->prod; at = (at + 1) & WRAP_MASK) {
		commands[count] = world->ring[at % WORLD_ENTRIES];
		if (smmuinv_command_opcode(&commands[count]) ==
		    SMMUINV_CMD_SYNC)
			break;
		count++;
	}
	return count;
}

static void doorbell_openvmm(struct world *world)
{
	struct smmuinv_command commands[WORLD_ENTRIES];

	if (pointers_are_wrong(world))
		return;
	while (world->cons != world->prod) {
		uint32_t count = gather(world, commands);
		uint32_t done;
		uint32_t cerror = submit(world, commands, count, &done);

		world->cons = (world->cons + done) & WRAP_MASK;
		if (world->stopped)
			return;
		if (world->cons == world->prod)
			return; /* the guest has written no CMD_SYNC yet */
		if (cerror) {
			world_error(world, cerror);
			return;
		}
		world_sync(world);
		world->cons = (world->cons + 1) & WRAP_MASK;
	}
}

static void doorbell(struct world *world)
{
	if (world->way && strcmp(world->way, "openvmm") == 0)
		doorbell_openvmm(world);
	else
		doorbell_qemu(world);
}

static struct smmuinv_backend *backend;

static int open_vmm(struct world *world)
{
	static struct vmm vmm;
	int rc = smmuinv_mock_backend(world->mock, &backend);

	world->vmm = &vmm;
	return rc ? rc : open_vsmmu(&vmm, backend, world);
}

static void close_vmm(struct world *world)
{
	struct vmm *vmm = world->vmm;

	smmuinv_batch_free(vmm->batch);
	smmuinv_vsmmu_free(vmm->vsmmu);
	smmuinv_backend_free(backend);
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
