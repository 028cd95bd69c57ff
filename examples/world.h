/* SPDX-License-Identifier: MIT */
/*
 * What is around the VMM of an example: a guest that writes commands, a host
 * that is the mock and can fail, and a judge.
 *
 * The judge fills the host's caches with what each command of the guest has to
 * remove. When the VMM signals a CMD_SYNC, nothing of what that CMD_SYNC covers
 * may be left.
 */
#ifndef EXAMPLE_WORLD_H
#define EXAMPLE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

#define WORLD_LOG2SIZE 4
#define WORLD_ENTRIES  (1u << WORLD_LOG2SIZE)
#define WORLD_STREAMS  2
#define WORLD_SIDS     0x20 /* what the guest's stream table holds */
#define WORLD_LOG_MAX  64

/* A device of the host that the guest has. */
struct world_stream {
	uint32_t sid; /* as the guest knows it: the vSID */
	uint32_t dev_id;
	uint32_t vdevice_id;
	uint64_t vste[2]; /* what is attached */
	bool plugged;
	bool attached;
	bool ats;
};

/* A command that the guest has written, and what it has to remove. */
struct world_entry {
	struct smmuinv_command command;
	size_t first; /* of the caches' entries */
	size_t count;
};

/* Attaching an STE can fail, too. */
struct world_failure {
	int error;
	uint32_t times;
};

struct world {
	/* The guest: what it was shown, its memory, and its SMMU's registers.
	 */
	struct smmuinv_features guest;
	struct smmuinv_command ring[WORLD_ENTRIES];
	uint64_t stes[WORLD_SIDS][SMMUINV_STE_BYTES / 8];
	uint32_t prod;   /* CMDQ_PROD */
	uint32_t cons;   /* CMDQ_CONS.RD, with its wrap bit */
	uint32_t cerror; /* CMDQ_CONS.ERR while GERROR.CMDQ_ERR is active */

	/* The host. The mock is called where a VMM calls ioctl(). */
	struct smmuinv_features host;
	struct smmuinv_mock *mock;
	struct smmuinv_caches *caches;
	uint32_t viommu_id;
	uint32_t hw_flags; /* of struct smmuinv_hw_info */
	struct world_stream streams[WORLD_STREAMS];
	struct world_failure attach;
	bool bad_pointers;
	uint32_t work_max;

	/* The judge. */
	struct world_entry log[WORLD_LOG_MAX];
	size_t log_count;
	uint32_t syncs; /* signaled */
	bool stopped;
	bool lost;

	const char *way;
	void *vmm;
};

/* A VMM, as the world uses it. Functions return 0 or a negative errno. */
struct world_vmm {
	int (*open)(struct world *world);
	/* A device is plugged in, and its vDEVICE is made. */
	int (*plug)(struct world *world, const struct world_stream *stream);
	/* The guest has written CMDQ_PROD. */
	void (*doorbell)(struct world *world);
	void (*close)(struct world *world);
};

/* Runs the guest. Returns the exit status of the example. */
int world_main(int argc, char **argv, const struct world_vmm *vmm);

/*
 * What a VMM has without the library. Each prints a line.
 */

/* The device with this vSID; NULL if the host has none. */
struct world_stream *world_find(struct world *world, uint32_t sid);

/*
 * IOMMU_HWPT_ALLOC of a nested page table, and VFIO_DEVICE_ATTACH_IOMMUFD_PT.
 * The kernel drops the stream's CDs meanwhile. Returns 0 or a negative errno.
 */
int world_attach(struct world *world, uint32_t sid,
		 const struct smmuinv_ste *ste);

/* The next CMD_SYNC is complete: signal it. */
void world_sync(struct world *world);

/* The Command queue stops at CMDQ_CONS (7.1). */
void world_error(struct world *world, uint32_t cerror);

/* CMDQ_PROD and CMDQ_CONS contradict each other: wait for a reset. */
void world_pointers(struct world *world);

/* VFIO_DEVICE_DETACH_IOMMUFD_PT: the device's DMA is blocked, and ATS is off.
 */
void world_detach(struct world *world, uint32_t sid);

/* The device is gone: IOMMU_DESTROY of its vDEVICE, and its file is closed. */
void world_unplug(struct world *world, uint32_t sid);

/* There is no way on: the guest runs no longer. */
void world_stop(struct world *world, int error);

#endif /* EXAMPLE_WORLD_H */
