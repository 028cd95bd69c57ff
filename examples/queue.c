/* SPDX-License-Identifier: MIT */
/*
 * A VMM that leaves the whole Command queue to the library: at a write to
 * SMMU_CMDQ_PROD it calls on_doorbell(), and does what only it can do in the
 * callbacks.
 *
 * The host is the mock here, so that this runs anywhere; bringup.c shows the
 * real one. Nothing else would change.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <smmuinv/smmuinv.h>

#include "host.h"

/*
 * What the guest sees, and the host has: 16-bit ASIDs, RIL, 4K granule. It is
 * the only granule, so single pages can become ranges; a VMM that shows more
 * tells the library which one an ASID has (ops.cfgi_cd,
 * smmuinv_vsmmu_note_cd()).
 */
static const struct smmuinv_features features = {
	{ 0x0000100a, 0x00000010, 0, 0x00000400, 0, 0x00000014 }
};

#define LOG2SIZE 4

/* The VMM's virtual SMMU: the registers, and the guest's memory. */
struct vmm {
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
	struct smmuinv_command ring[1 << LOG2SIZE];
	uint32_t cmdq_prod;
	uint32_t cmdq_cons;
	uint32_t cmdq_err;
	uint32_t gerror;
};

/*
 * The guest changed a stream table entry: attach, detach, bypass, ... The
 * command also invalidates the stream's CDs (4.3.1): a VMM over a real host
 * sends smmuinv_command_cfgi_cd_all() through a batch of its own.
 */
static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	(void)opaque;
	printf("STE of stream 0x%x changed, leaf %d\n", sid, leaf);
	return 0;
}

/* Everything before the CMD_SYNC is complete: tell the guest. */
static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)opaque;
	printf("SYNC complete%s\n", sync->irq ? ", interrupt" : "");
	return 0;
}

static const struct smmuinv_queue_ops ops = {
	.size = sizeof(ops),
	.cfgi_ste = on_cfgi_ste,
	.sync = on_sync,
};

/* 7.1: the guest finds the reason in CMDQ_CONS and is told by GERROR. */
static void raise_error(struct vmm *vmm, const struct smmuinv_progress *p)
{
	vmm->cmdq_err = p->cerror;
	vmm->gerror ^= 1; /* GERROR.CMDQ_ERR */
	printf("%s at %u: %s\n", smmuinv_cerror_name(p->cerror), p->cons,
	       smmuinv_rule_text(p->rule));
}

static int on_doorbell(struct vmm *vmm)
{
	struct smmuinv_progress progress = { .size = sizeof(progress),
					     .cons = vmm->cmdq_cons };
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = vmm->ring,
		.log2size = LOG2SIZE,
		.prod = vmm->cmdq_prod,
		.cons = vmm->cmdq_cons,
	};
	int rc = smmuinv_queue_consume(vmm->queue, &ring, &progress);

	vmm->cmdq_cons = progress.cons;
	if (rc == -ENODEV) {
		/* A device was unplugged: its stream goes, then try again. */
		return smmuinv_vsmmu_remove_stream(vmm->vsmmu,
						   progress.fault_vsid);
	}
	if (rc < 0) {
		/* -ERANGE: the guest's pointers; otherwise the host's fault. */
		printf("host: %s\n", strerror(-rc));
		return rc;
	}
	if (progress.cerror)
		raise_error(vmm, &progress);
	printf("%u consumed, %u forwarded by %u host commands in %u ioctls\n",
	       progress.consumed, progress.forwarded, progress.host_commands,
	       progress.ioctls);
	return 0;
}

/* Commands are little-endian in memory whatever the guest's CPU is. */
static void guest_writes(struct vmm *vmm, uint64_t dw0, uint64_t dw1)
{
	vmm->ring[vmm->cmdq_prod++] =
		(struct smmuinv_command){ { htole64(dw0), htole64(dw1) } };
}

static int guest_runs(struct vmm *vmm)
{
	/* CFGI_STE sid=0x10 leaf; SYNC */
	guest_writes(vmm, 0x0000001000000003, 1);
	guest_writes(vmm, 0x46, 0);
	/* TLBI_NH_VA asid=5, two pages; SYNC with an interrupt */
	guest_writes(vmm, 0x0005000000000012, 0x40000001);
	guest_writes(vmm, 0x0005000000000012, 0x40001001);
	guest_writes(vmm, 0x1046, 0);
	/* a reserved opcode */
	guest_writes(vmm, 0xff, 0);
	return on_doorbell(vmm);
}

static int vmm_open(struct vmm *vmm, struct host *host)
{
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.backend = host->backend,
		.viommu_id = host->viommu,
		.guest = features,
		.host = host->features,
	};
	struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = &ops,
		.opaque = vmm,
	};
	uint32_t device;
	int rc = smmuinv_vsmmu_new(&vsmmu, &vmm->vsmmu);

	if (!rc)
		rc = host->next_device(host, &device);
	if (!rc)
		rc = smmuinv_vsmmu_add_stream(vmm->vsmmu, device, 0x10);
	if (!rc)
		rc = smmuinv_queue_new(vmm->vsmmu, &queue, &vmm->queue);
	return rc;
}

int main(void)
{
	struct vmm vmm = { 0 };
	struct host host;
	int rc = host_open_mock(&host, &features);

	if (rc)
		return 1;
	rc = vmm_open(&vmm, &host);
	if (!rc)
		rc = guest_runs(&vmm);
	smmuinv_queue_free(vmm.queue);
	smmuinv_vsmmu_free(vmm.vsmmu);
	host.close(&host);
	return rc ? 1 : 0;
}
