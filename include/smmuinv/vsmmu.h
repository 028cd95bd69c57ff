/* SPDX-License-Identifier: MIT */
/*
 * One virtual SMMU: the SMMU that the guest sees, carried by the host's SMMUs.
 * It has vIOMMUs, streams, "invalidate everything", and counters.
 */
#ifndef SMMUINV_VSMMU_H
#define SMMUINV_VSMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/backend.h>
#include <smmuinv/features.h>
#include <smmuinv/stream.h>

SMMUINV_BEGIN_DECLS

/**
 * struct smmuinv_vsmmu - opaque
 *
 * It has one vIOMMU for each physical SMMU that has a device of the guest.
 * CFGI_CD, CFGI_CD_ALL and ATC_INV go to the vIOMMU of their stream. TLBIs go
 * to all vIOMMUs.
 *
 * Every function except smmuinv_vsmmu_free() may be called from any thread,
 * while queues consume, and from a queue's callbacks. Only
 * smmuinv_vsmmu_invalidate_all() and smmuinv_vsmmu_reset() call the host to
 * invalidate. A function waits for such a call of another thread only if its
 * text says so.
 */
struct smmuinv_vsmmu;

/** SMMUINV_VIOMMUS_MAX - the most vIOMMUs that a virtual SMMU can have */
#define SMMUINV_VIOMMUS_MAX 64

/** SMMUINV_VSID_NONE - no stream is at fault; no valid vSID has this value */
#define SMMUINV_VSID_NONE UINT64_MAX

/**
 * enum smmuinv_source - who failed
 * @SMMUINV_SOURCE_NONE: nothing failed
 * @SMMUINV_SOURCE_GUEST: the guest wrote a command that is illegal, that cannot
 *	be read (CERROR_ABT), or that no host can express (-EOPNOTSUPP)
 * @SMMUINV_SOURCE_HOST: a call to the host failed, or a device of the host did
 *	not answer
 * @SMMUINV_SOURCE_CALLBACK: a callback of the VMM failed
 * @SMMUINV_SOURCE_POINTERS: CMDQ_PROD and CMDQ_CONS contradict each other
 */
enum smmuinv_source {
	SMMUINV_SOURCE_NONE = 0,
	SMMUINV_SOURCE_GUEST = 1,
	SMMUINV_SOURCE_HOST = 2,
	SMMUINV_SOURCE_CALLBACK = 3,
	SMMUINV_SOURCE_POINTERS = 4
};

/**
 * struct smmuinv_fault - who failed, and at what
 * @vsid: the stream at fault, or SMMUINV_VSID_NONE
 * @viommu_id: the vIOMMU at fault, or 0 for none
 * @source: enum smmuinv_source
 * @error: the errno, negative; 0 for CERROR_ILL and CERROR_ABT
 * @callback: with SMMUINV_SOURCE_CALLBACK, enum smmuinv_callback
 * @rule: with SMMUINV_SOURCE_GUEST, the rule that the command breaks: enum
 *	smmuinv_rule
 * @field: with SMMUINV_SOURCE_GUEST, the field at fault: enum smmuinv_field
 */
struct smmuinv_fault {
	uint64_t vsid;
	uint32_t viommu_id;
	uint32_t source;
	int32_t error;
	uint32_t callback;
	uint32_t rule;
	uint32_t field;
};

/** SMMUINV_INDEX_NONE - no command is at fault */
#define SMMUINV_INDEX_NONE UINT32_MAX

/**
 * struct smmuinv_result - what became of commands
 * @size: sizeof(struct smmuinv_result), set by the caller
 * @fault: who failed
 * @completed: this many of the guest's commands may be consumed, counted from
 *	the first. CMD_SYNCs that were marked between them count too. Each
 *	command was executed, need not be sent, or is owed by a device. No
 *	CMD_SYNC among them covers what is owed. A retry from there is safe,
 *	because every command can be executed twice.
 * @fault_index: the guest's command at fault, or SMMUINV_INDEX_NONE. It is
 *	SMMUINV_INDEX_NONE too if the fault is what a device owed before this
 *	call. It is below @completed only for ATC_INVs that a device did not
 *	answer.
 * @cerror: what the guest has to see, enum smmuinv_cerror: CERROR_ILL at
 *	@fault_index, or CERROR_ATC_INV_SYNC at the first CMD_SYNC that is not
 *	among the @completed commands
 * @forwarded: of @completed, how many commands the host executed, or a device
 *	owes
 * @dropped: of @completed, how many commands were not sent: the vSID is
 *	unknown, its ATS is off, the SubstreamID is out of range, the command is
 *	a prefetch, or there is no vIOMMU
 * @host_commands: commands sent to the host, repetitions included
 * @ioctls: calls to the host
 * @retries: of @ioctls, how many came after one that failed
 * @timeouts: of @ioctls, how many failed with -ETIMEDOUT
 * @replaced: commands that the host refused and that a wider one replaced
 */
struct smmuinv_result {
	size_t size;
	struct smmuinv_fault fault;
	uint32_t completed;
	uint32_t fault_index;
	uint32_t cerror;
	uint32_t forwarded;
	uint32_t dropped;
	uint32_t host_commands;
	uint32_t ioctls;
	uint32_t retries;
	uint32_t timeouts;
	uint32_t replaced;
};

/**
 * enum smmuinv_plan - what becomes of the commands of a window
 * @SMMUINV_PLAN_MERGED: they are rewritten into fewer host commands with at
 *	least the same effect
 * @SMMUINV_PLAN_AS_WRITTEN: one host command for each, in the guest's order.
 *	Exception: on a host without IDR3.RIL a range becomes single addresses,
 *	or one TLBI_NH_ALL (see pages_max).
 */
enum smmuinv_plan {
	SMMUINV_PLAN_MERGED = 0,
	SMMUINV_PLAN_AS_WRITTEN = 1
};

/**
 * struct smmuinv_vsmmu_params - what a virtual SMMU is made of
 * @size: sizeof(struct smmuinv_vsmmu_params)
 * @backend: what executes; borrowed until the virtual SMMU is freed
 * @viommu_id: the first vIOMMU, as in struct smmuinv_viommu_params; 0 for none
 * @hw_flags: of the first vIOMMU
 * @guest: the ID registers that the guest sees; with several SMMUs, what all of
 *	them have (smmuinv_features_common())
 * @host: of the first vIOMMU
 * @plan: enum smmuinv_plan
 * @pages_max: used if the guest has IDR3.RIL and the host does not. The ranges
 *	of one window become at most this many commands. If they take more,
 *	TLBI_NH_ALL is sent instead. 1..SMMUINV_BATCH_CAPACITY_MAX; 0 selects
 *	512.
 * @retries_max: the most calls that one window makes on one vIOMMU after a call
 *	that failed, 1..4096; 0 selects 64
 * @timeouts_max: the most calls of one window that may end in a time-out on one
 *	vIOMMU. The host waits one second each time. 0 selects 5. If it is below
 *	4, a vDEVICE that is gone can look like a device that does not answer.
 */
struct smmuinv_vsmmu_params {
	size_t size;
	struct smmuinv_backend *backend;
	uint32_t viommu_id;
	uint32_t hw_flags;
	struct smmuinv_features guest;
	struct smmuinv_features host;
	uint32_t plan;
	uint32_t pages_max;
	uint32_t retries_max;
	uint32_t timeouts_max;
};

/**
 * struct smmuinv_viommu_params - a physical SMMU
 * @size: sizeof(struct smmuinv_viommu_params)
 * @viommu_id: its vIOMMU (IOMMU_VIOMMU_ALLOC). It belongs to the VMM, which
 *	destroys it after it is removed here. The library does not look it up
 *	now. If it does not exist, its first use fails with -ENOENT.
 * @hw_flags: flags of struct smmuinv_hw_info. Always set them: if they have
 *	SMMUINV_HW_INFO_REPEAT, a command that is sent only once may have no
 *	effect. The library then sends each TLBI and CFGI twice.
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
 * @params: its properties
 * @vsmmu: the virtual SMMU
 * @lacking: with -EOPNOTSUPP, the feature that the host lacks: enum
 *	smmuinv_feature; may be NULL
 *
 * It refuses a guest only if an invalidation could be lost or refused on this
 * host. The reasons are ASID size, SubstreamIDs, ATS, granules, DS, D128, and
 * BTM, because broadcast TLBIs never pass here. smmuinv_features_compatible()
 * also reports other differences.
 *
 * Return: 0; -EINVAL for NULL, a wrong size, an unknown plan, or a pages_max or
 * retries_max out of range; -EOPNOTSUPP; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_new(const struct smmuinv_vsmmu_params *params,
				  struct smmuinv_vsmmu **vsmmu,
				  uint32_t *lacking);

/**
 * smmuinv_vsmmu_free() - free it, and destroy the vDEVICEs that the library
 * made
 * @vsmmu: may be NULL; free its batches and queues first
 *
 * It does not report errors; smmuinv_vsmmu_remove_stream() does. Call it before
 * you close the device file descriptors. Otherwise the kernel keeps the
 * vDEVICEs' ids until the iommufd is closed.
 *
 * Threads: one, the last. Since: 0.1.
 */
SMMUINV_API void smmuinv_vsmmu_free(struct smmuinv_vsmmu *vsmmu);

/**
 * smmuinv_vsmmu_add_viommu() - add a physical SMMU
 * @vsmmu: whose
 * @params: the physical SMMU
 * @lacking: as in smmuinv_vsmmu_new(); may be NULL
 *
 * Windows that begin after the return go to this vIOMMU too.
 *
 * Return: 0; -EINVAL for NULL, a wrong size or viommu_id 0; -EEXIST if it was
 * added before; -ENOSPC if there are SMMUINV_VIOMMUS_MAX already; -EOPNOTSUPP
 * if it lacks what the guest's invalidations need (@lacking).
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_vsmmu_add_viommu(struct smmuinv_vsmmu *vsmmu,
			 const struct smmuinv_viommu_params *params,
			 uint32_t *lacking);

/**
 * smmuinv_vsmmu_remove_viommu() - remove a physical SMMU
 * @vsmmu: whose
 * @viommu_id: which
 *
 * It waits for calls to that vIOMMU that began before. After the return nothing
 * is sent there, and the VMM may destroy the vIOMMU.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if it is unknown; -EBUSY if it has
 * streams.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_remove_viommu(struct smmuinv_vsmmu *vsmmu,
					    uint32_t viommu_id);

/**
 * smmuinv_vsmmu_add_stream() - give a device a vSID
 * @vsmmu: whose
 * @params: the stream. The library makes a vDEVICE if @params has none.
 *
 * ATS is off: see smmuinv_vsmmu_set_ats(). Add a stream before you attach a
 * nested page table to the device: a command for an unknown vSID is not sent,
 * and is complete at once.
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -ERANGE if the vSID does not fit
 * into the guest's IDR1.SIDSIZE; -EEXIST if the vSID was added before, or is
 * being added or removed by another thread; -EXDEV if the virtual SMMU has no
 * such vIOMMU, or @viommu_id is 0 and it does not have exactly one; -ENOSYS if
 * the library has to make a vDEVICE and the backend has no function for it;
 * -ENOMEM; an errno of the backend. After an error nothing was added.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_vsmmu_add_stream(struct smmuinv_vsmmu *vsmmu,
			 const struct smmuinv_stream_params *params);

/**
 * smmuinv_vsmmu_set_ats() - report whether a device's ATS is on
 * @vsmmu: whose
 * @vsid: which
 * @ats: on or off
 *
 * While it is off, an ATC_INV for the stream is not sent, and is complete at
 * once. So set it to true before you attach an STE with EATS. Set it to false
 * after you have attached an STE without EATS. Between two STEs with EATS do
 * nothing. A VMM that never calls it must not show the guest IDR0.ATS.
 *
 * If @ats is false, the library forgets what the device owes, because the
 * kernel empties the ATC when it turns ATS off. Never set it to false for any
 * other reason.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if @vsid is unknown.
 * Threads: any; waits for nothing. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_set_ats(struct smmuinv_vsmmu *vsmmu,
				      uint32_t vsid, bool ats);

/**
 * smmuinv_vsmmu_find_stream() - look a vSID up
 * @vsmmu: whose
 * @vsid: which
 * @info: what is known about it; may be NULL
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -ENOENT if @vsid is unknown.
 * Threads: any; waits for nothing. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_find_stream(struct smmuinv_vsmmu *vsmmu,
					  uint32_t vsid,
					  struct smmuinv_stream_info *info);

/**
 * smmuinv_vsmmu_remove_stream() - remove a stream
 * @vsmmu: whose
 * @vsid: which
 *
 * It waits for calls to the stream's vIOMMU that began before it. It does not
 * wait for calls that begin later. Then it destroys the vDEVICE if the library
 * made it. After the return no command for the vSID is sent.
 *
 * Detach the device's nested page table first, because no later command
 * invalidates what the SMMU has cached for the stream.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if @vsid is unknown, or if its vDEVICE
 * was gone already; in both cases the stream is now unknown; another errno of
 * the backend. Then the stream stays, but commands for it were not sent
 * meanwhile: call smmuinv_vsmmu_invalidate_all().
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_remove_stream(struct smmuinv_vsmmu *vsmmu,
					    uint32_t vsid);

/**
 * smmuinv_vsmmu_invalidate_all() - invalidate all that is cached for the guest
 * @vsmmu: whose
 * @result: what it took, and who failed; may be NULL
 *
 * On each vIOMMU it invalidates the CDs of every stream, then every TLB entry
 * of the guest, then the ATC of every stream whose ATS is on. A stream whose
 * ATC was invalidated no longer owes. After a failure it goes on, except on an
 * SMMU that does not answer. Use it after you have loaded a saved state, and in
 * place of commands that the host does not execute.
 *
 * Return: 0; -EINVAL for NULL or a wrong size; otherwise as
 * smmuinv_batch_flush().
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_invalidate_all(struct smmuinv_vsmmu *vsmmu,
					     struct smmuinv_result *result);

/**
 * smmuinv_vsmmu_reset() - invalidate for a reset of the virtual SMMU
 * @vsmmu: whose
 * @result: what it took, and who failed; may be NULL
 *
 * It sets ATS of every stream to off, then invalidates all CDs and TLB entries.
 * Detach the nested page tables first: that turns ATS off and empties the ATCs,
 * so no ATC_INV is needed. If a table is still attached, or a queue is
 * consuming, ATC_INVs are lost. After a failure call it again.
 *
 * Return: as smmuinv_vsmmu_invalidate_all().
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_reset(struct smmuinv_vsmmu *vsmmu,
				    struct smmuinv_result *result);

/**
 * struct smmuinv_counters - events since smmuinv_vsmmu_new()
 * @size: sizeof(struct smmuinv_counters), set by the caller
 * @read: commands that were read from a queue or passed to a batch; a command
 *	that is read again counts again
 * @forwarded: commands that hosts executed, or that a device owes
 * @merged: commands that went to a host as part of another command
 * @dropped: commands that were not sent, as in struct smmuinv_result
 * @vmm: commands that the VMM's callbacks took, CMD_SYNCs included
 * @illegal: illegal commands at which a queue or batch stopped
 * @host_commands: commands sent to hosts
 * @ioctls: calls to hosts
 * @failed: of @ioctls, how many failed
 * @retries: of @ioctls, how many came after one that failed, for the same
 *	window
 * @timeouts: of @failed, how many were time-outs
 * @replaced: commands that a host refused and that a wider one replaced
 * @repeats: of @host_commands, how many were sent a second time because of the
 *	erratum (SMMUINV_HW_INFO_REPEAT)
 *
 * With several vIOMMUs, @merged, @host_commands, @ioctls and what follows count
 * on each vIOMMU. What smmuinv_vsmmu_invalidate_all() and smmuinv_vsmmu_reset()
 * send counts too.
 */
struct smmuinv_counters {
	size_t size;
	uint64_t read;
	uint64_t forwarded;
	uint64_t merged;
	uint64_t dropped;
	uint64_t vmm;
	uint64_t illegal;
	uint64_t host_commands;
	uint64_t ioctls;
	uint64_t failed;
	uint64_t retries;
	uint64_t timeouts;
	uint64_t replaced;
	uint64_t repeats;
};

/**
 * smmuinv_vsmmu_counters() - read the counters
 * @vsmmu: whose
 * @counters: their values now. The work of a call counts when that call
 *	returns.
 *
 * Return: 0; -EINVAL for NULL or a wrong size.
 * Threads: any; waits for nothing. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_counters(struct smmuinv_vsmmu *vsmmu,
				       struct smmuinv_counters *counters);

SMMUINV_END_DECLS

#endif /* SMMUINV_VSMMU_H */
