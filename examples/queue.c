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
 * What the guest sees, and the host has: 16-bit ASIDs, RIL, granules of 4K and
 * of 64K. So a single page's granule is certain only from the context
 * descriptors that the guest writes (on_cfgi_cd()).
 */
static const struct smmuinv_features features = {
	{ 0x0000100a, 0x00000010, 0, 0x00000400, 0, 0x00000054 }
};

#define LOG2SIZE 4
#define SID      0x10

/* The guest's memory, from address 0 on: STEs of 64 bytes, and one CD. */
#define STE_AT(sid) ((sid)*8u)
#define CD_ADDRESS  0x1000u
#define WORDS       (CD_ADDRESS / 8 + 8)

/* The VMM's virtual SMMU: the registers, and the guest's memory. */
struct vmm {
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
	struct smmuinv_features host;
	struct smmuinv_ste stes[SID + 1]; /* as they were last read */
	struct smmuinv_command ring[1 << LOG2SIZE];
	uint64_t memory[WORDS];
	uint32_t cmdq_prod;
	uint32_t cmdq_cons;
	uint32_t cmdq_err;
	uint32_t gerror;
};

/* What iommufd gets: IOMMU_HWPT_ALLOC of the vSTE, and the device attached. */
static void attach(uint32_t sid, const struct smmuinv_ste *ste)
{
	static const char *const what[] = { "aborts", "bypasses",
					    "translates" };

	printf("stream 0x%x %s%s\n", sid, what[ste->config],
	       ste->ats ? ", with ATS" : "");
}

/*
 * The guest changed a stream table entry of a stream of ours. When this has
 * returned, the library has the host forget the stream's CDs (4.3.1).
 */
static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct vmm *vmm = opaque;
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(vmm->vsmmu);
	struct smmuinv_ste *ste = &vmm->stes[sid];

	(void)leaf;
	/* What cannot be carried aborts, as what is illegal does. */
	*ste = (struct smmuinv_ste){ .size = sizeof(*ste) };
	(void)smmuinv_ste_read(ste, &vmm->memory[STE_AT(sid)], &features,
			       &vmm->host);
	/* While it is attached, the device may not be asked; its SMMU may. */
	smmuinv_streams_set(streams, sid, true, false);
	attach(sid, ste);
	smmuinv_streams_set(streams, sid, ste->config == SMMUINV_STE_TRANSLATE,
			    ste->ats);
	return 0;
}

/* The guest changed a context descriptor: its granule is worth knowing. */
static void on_cfgi_cd(void *opaque, uint32_t sid, uint32_t ssid, bool all)
{
	struct vmm *vmm = opaque;
	struct smmuinv_cd cd = { .size = sizeof(cd) };
	uint64_t at;

	(void)all; /* the only CD there is; else each of the table */
	if (sid > SID || smmuinv_ste_find_cd(&vmm->stes[sid], ssid, &at))
		return; /* no stream of ours, or one without such a CD */
	if (at > CD_ADDRESS || smmuinv_cd_read(&cd, &vmm->memory[at / 8]) < 0) {
		cd.valid = true; /* it cannot be read: any granule */
		cd.walks[0] = cd.walks[1] = true;
	}
	smmuinv_vsmmu_note_cd(vmm->vsmmu, &cd);
	printf("CD of stream 0x%x: ASID %u\n", sid, cd.asid);
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
	.cfgi_cd = on_cfgi_cd,
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

/* Stage 1, one CD at CD_ADDRESS (5.2). */
static void guest_writes_ste(struct vmm *vmm, uint32_t sid)
{
	const uint64_t v = 1, config_s1 = 5 << 1;

	vmm->memory[STE_AT(sid)] = htole64(v | config_s1 | CD_ADDRESS);
}

/* ASID 5, TTB0 with 4K pages, no TTB1 (5.4). */
static void guest_writes_cd(struct vmm *vmm)
{
	const uint64_t v = UINT64_C(1) << 31, epd1 = 1 << 30;
	const uint64_t aa64 = UINT64_C(1) << 41, asid = UINT64_C(5) << 48;

	vmm->memory[CD_ADDRESS / 8] = htole64(v | epd1 | aa64 | asid);
}

static int guest_runs(struct vmm *vmm)
{
	/* CFGI_STE sid=0x10 leaf; SYNC */
	guest_writes_ste(vmm, SID);
	guest_writes(vmm, 0x0000001000000003, 1);
	guest_writes(vmm, 0x46, 0);
	/* CFGI_CD sid=0x10 leaf; SYNC */
	guest_writes_cd(vmm);
	guest_writes(vmm, 0x0000001000000005, 1);
	guest_writes(vmm, 0x46, 0);
	/* TLBI_NH_VA asid=5, two pages; SYNC with an interrupt */
	guest_writes(vmm, 0x0005000000000012, 0x40000001);
	guest_writes(vmm, 0x0005000000000012, 0x40001001);
	guest_writes(vmm, 0x1046, 0);
	/* a reserved opcode */
	guest_writes(vmm, 0xff, 0);
	return on_doorbell(vmm);
}

/* It aborts until the guest's STE says otherwise. */
static int plug(struct vmm *vmm, struct host *host)
{
	struct smmuinv_stream_params stream = {
		.size = sizeof(stream),
		.vsid = SID,
	};
	int rc = host->next_device(host, &stream.dev_id);

	return rc ? rc : smmuinv_vsmmu_add_stream(vmm->vsmmu, &stream);
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
	int rc = smmuinv_vsmmu_new(&vsmmu, &vmm->vsmmu);

	vmm->host = host->features;
	if (!rc)
		rc = plug(vmm, host);
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
