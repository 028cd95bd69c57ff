/* SPDX-License-Identifier: MIT */
/*
 * One virtual SMMU: what the guest sees, over what the host has.
 */
#ifndef SMMUINV_VSMMU_H
#define SMMUINV_VSMMU_H

#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/backend.h>
#include <smmuinv/cd.h>
#include <smmuinv/features.h>
#include <smmuinv/stream.h>

SMMUINV_BEGIN_DECLS

/**
 * struct smmuinv_vsmmu - opaque
 *
 * Behind it are vIOMMUs, one for each physical SMMU that a device of the guest's
 * is behind. CFGI_CD, CFGI_CD_ALL and ATC_INV go to the one that has the stream,
 * TLBIs go to all.
 */
struct smmuinv_vsmmu;

/** SMMUINV_VIOMMUS_MAX - so many vIOMMUs may be behind one virtual SMMU */
#define SMMUINV_VIOMMUS_MAX 64

/**
 * enum smmuinv_repeat - are TLBI and CFGI commands executed twice?
 * @SMMUINV_REPEAT_AS_HOST: if the host's SMMU has the erratum that asks for it
 * @SMMUINV_REPEAT_ALWAYS: yes
 * @SMMUINV_REPEAT_NEVER: no; a guest that knows the erratum repeats by itself
 */
enum smmuinv_repeat {
	SMMUINV_REPEAT_AS_HOST = 0,
	SMMUINV_REPEAT_ALWAYS = 1,
	SMMUINV_REPEAT_NEVER = 2
};

/**
 * enum smmuinv_plan - what becomes of the commands of a window
 * @SMMUINV_PLAN_FEWEST: the fewest host commands with at least their effect: what
 *	is said twice or is part of something else is said once, pages that touch
 *	become one range
 * @SMMUINV_PLAN_AS_WRITTEN: one host command for each, in the guest's order; but
 *	for ranges on a host without IDR3.RIL, which become pages
 */
enum smmuinv_plan {
	SMMUINV_PLAN_FEWEST = 0,
	SMMUINV_PLAN_AS_WRITTEN = 1
};

/**
 * struct smmuinv_trace - commands that were handed to the host
 * @size: sizeof(struct smmuinv_trace)
 * @viommu_id: where
 * @guest: the window, in canonical form, with what needs nothing
 * @guest_count: how many
 * @host: what was asked for, the last round of it
 * @host_count: how many
 * @error: 0, or why the window is not complete there
 */
struct smmuinv_trace {
	size_t size;
	uint32_t viommu_id;
	uint32_t guest_count;
	const struct smmuinv_command *guest;
	const struct smmuinv_command *host;
	uint32_t host_count;
	int32_t error;
};

/**
 * struct smmuinv_vsmmu_params - what a virtual SMMU is made of
 * @size: sizeof(struct smmuinv_vsmmu_params)
 * @backend: executes; borrowed until the virtual SMMU is freed
 * @viommu_id: the first vIOMMU, as in struct smmuinv_viommu_params; 0 for none
 * @check_flags: 0 or SMMUINV_CHECK_STRICT
 * @guest: the ID registers that the guest is shown; for several SMMUs, what all
 *	of them can carry (smmuinv_features_common())
 * @host: of the first vIOMMU
 * @hw_flags: of the first vIOMMU
 * @repeat: enum smmuinv_repeat: whether what such an erratum concerns is executed
 *	twice, each time with its sync. The kernel does not do it for a vIOMMU.
 * @plan: enum smmuinv_plan
 * @pages_max: for a host without IDR3.RIL under a guest with: ranges of one window
 *	that take more commands than this become one TLBI_NH_ALL. 1..
 *	SMMUINV_BATCH_CAPACITY_MAX; 0 means 512, for which docs/performance.md has
 *	the measurement. Every batch and queue has room for so many more commands.
 * @trace: called after each run of commands that was handed to a host, on the
 *	thread that consumes; may be NULL. The stream table is held meanwhile, so it
 *	may call no function of the library's but pure ones, and may take no lock
 *	that anybody holds around a call that changes streams or vIOMMUs. What it is
 *	shown is gone when it returns.
 * @trace_opaque: handed to @trace
 */
struct smmuinv_vsmmu_params {
	size_t size;
	struct smmuinv_backend *backend;
	uint32_t viommu_id;
	uint32_t check_flags;
	struct smmuinv_features guest;
	struct smmuinv_features host;
	uint32_t hw_flags;
	uint32_t repeat;
	uint32_t plan;
	uint32_t pages_max;
	void (*trace)(void *opaque, const struct smmuinv_trace *trace);
	void *trace_opaque;
};

/**
 * struct smmuinv_viommu_params - a physical SMMU behind a virtual one
 * @size: sizeof(struct smmuinv_viommu_params)
 * @viommu_id: the vIOMMU (IOMMU_VIOMMU_ALLOC) that stands for it; the VMM's, and
 *	to be destroyed after it is removed here or the virtual SMMU is freed. Not
 *	asked for here: one that does not exist shows as -ENOENT when it is used.
 * @hw_flags: flags of struct smmuinv_hw_info
 * @host: from smmuinv_features_from_hw_info(), of the same SMMU
 */
struct smmuinv_viommu_params {
	size_t size;
	uint32_t viommu_id;
	uint32_t hw_flags;
	struct smmuinv_features host;
};

/**
 * smmuinv_vsmmu_new() - make a virtual SMMU without streams
 * @params: of what
 * @vsmmu: the virtual SMMU
 *
 * Return: 0; -EINVAL for NULL, a wrong size, unknown flags, repeat
 * or plan, or a pages_max out of range; -EOPNOTSUPP if the host cannot carry such a guest
 * (smmuinv_features_compatible() says why); -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_new(const struct smmuinv_vsmmu_params *params,
				  struct smmuinv_vsmmu **vsmmu);

/**
 * smmuinv_vsmmu_free() - remove its streams and free it
 * @vsmmu: may be NULL; its batches and queues must be freed before
 *
 * Threads: one, the last. Since: 0.1.
 */
SMMUINV_API void smmuinv_vsmmu_free(struct smmuinv_vsmmu *vsmmu);

/**
 * smmuinv_vsmmu_add_viommu() - one more physical SMMU behind it
 * @vsmmu: whose
 * @params: which
 *
 * From the return on, TLBIs go there too. Batches and queues may be running.
 *
 * Return: 0; -EINVAL for NULL, a wrong size or viommu_id 0; -EEXIST if it is there
 * already; -ENOSPC if there are SMMUINV_VIOMMUS_MAX; -EOPNOTSUPP if it cannot
 * carry the guest (smmuinv_features_compatible() says why).
 * Threads: any, not from a queue's callbacks. Since: 0.1.
 */
SMMUINV_API int
smmuinv_vsmmu_add_viommu(struct smmuinv_vsmmu *vsmmu,
			 const struct smmuinv_viommu_params *params);

/**
 * smmuinv_vsmmu_remove_viommu() - one less
 * @vsmmu: whose
 * @viommu_id: which
 *
 * Waits for the calls to the host that are under way. From the return on, nothing
 * is sent there, and the vIOMMU may be destroyed.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if it is not there; -EBUSY if streams are on
 * it.
 * Threads: any, not from a queue's callbacks. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_remove_viommu(struct smmuinv_vsmmu *vsmmu,
					    uint32_t viommu_id);

/**
 * smmuinv_vsmmu_streams() - its table of streams
 * @vsmmu: whose
 *
 * It takes streams on the virtual SMMU's own vIOMMUs only.
 *
 * Return: the table, which lives and dies with @vsmmu; do not free it.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API struct smmuinv_streams *
smmuinv_vsmmu_streams(struct smmuinv_vsmmu *vsmmu);

/**
 * smmuinv_vsmmu_add_stream() - smmuinv_streams_add() to its table
 * @vsmmu: whose
 * @params: which; a viommu_id of 0 stands for its only vIOMMU
 *
 * Return: as smmuinv_streams_add(), and -ERANGE if the vSID does not fit into the
 * guest's IDR1.SIDSIZE.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_vsmmu_add_stream(struct smmuinv_vsmmu *vsmmu,
			 const struct smmuinv_stream_params *params);

/**
 * smmuinv_vsmmu_remove_stream() - smmuinv_streams_remove()
 * @vsmmu: whose
 * @vsid: which
 *
 * Return: as smmuinv_streams_remove().
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_remove_stream(struct smmuinv_vsmmu *vsmmu,
					    uint32_t vsid);

/**
 * smmuinv_vsmmu_note_cd() - a context descriptor that the guest uses or will use
 * @vsmmu: whose
 * @cd: from smmuinv_cd_read()
 *
 * From this the library knows with which granule an ASID's pages are translated,
 * and can make ranges of single pages. Without it, it can do so only for guests
 * that are shown a single granule. A TLBI by address reaches the global entries
 * of other ASIDs too: a VMM that notes one CD must note all of them, each before
 * the guest's command that follows its writing is consumed
 * (smmuinv_queue_ops.cfgi_cd is the place, and where an STE with a new
 * S1ContextPtr is attached). Of a CD that could not be read, a
 * struct smmuinv_cd with walks and SMMUINV_TG_ANY is to be noted.
 *
 * What was noted stays, because entries do: an ASID that has had two granules is
 * uncertain until smmuinv_reset(). A CD that is not valid says nothing.
 *
 * Return: 0; -EINVAL for NULL, a wrong size, a reserved member that is set, or a tg
 * that is no enum smmuinv_tg.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_note_cd(struct smmuinv_vsmmu *vsmmu,
				      const struct smmuinv_cd *cd);

SMMUINV_END_DECLS

#endif /* SMMUINV_VSMMU_H */
