/* SPDX-License-Identifier: MIT */
/*
 * Invalidations that no guest has asked for: a reset, a device that goes, a
 * state that was loaded. Everything may be running meanwhile.
 */
#ifndef SMMUINV_INVALIDATE_H
#define SMMUINV_INVALIDATE_H

#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/vsmmu.h>

SMMUINV_BEGIN_DECLS

/**
 * smmuinv_invalidate_all() - everything that hosts have cached for the guest
 * @vsmmu: whose
 * @fault_viommu: set with a host's error only: the vIOMMU that it is of; may be
 *	NULL
 *
 * The CDs of every stream that translates, every TLB entry of the guest's, and
 * every ATC entry of the streams with ATS, in this order, on each vIOMMU. Goes on
 * after a failure: what can be invalidated is.
 *
 * Return: 0; -EINVAL for NULL; the first error of a host's, as of
 * smmuinv_batch_flush(), but that a device that is gone is -EIO.
 * Threads: any, not from the trace callback. Since: 0.1.
 */
SMMUINV_API int smmuinv_invalidate_all(struct smmuinv_vsmmu *vsmmu,
				       uint32_t *fault_viommu);

/**
 * smmuinv_invalidate_stream() - everything that is cached for one stream
 * @vsmmu: whose
 * @vsid: which
 *
 * Its CDs if it translates, its ATC if its ATS is on, and every TLB entry that its
 * vIOMMU has for the guest, because these do not say which stream they are of.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if @vsid is not in the table, or its vIOMMU
 * is gone (smmuinv_streams_find() tells); the first error of its host's, as of
 * smmuinv_invalidate_all().
 * Threads: any, not from the trace callback. Since: 0.1.
 */
SMMUINV_API int smmuinv_invalidate_stream(struct smmuinv_vsmmu *vsmmu,
					  uint32_t vsid);

/**
 * smmuinv_reset() - the virtual SMMU is as it was when its streams were added
 * @vsmmu: whose
 * @fault_viommu: set with a host's error only: the vIOMMU that it is of; may be
 *	NULL
 *
 * Every stream aborts; then every CD of every stream and every TLB entry of the
 * guest's are invalidated, on each vIOMMU; and when all of that is done, no
 * granule is known any more. The VMM detaches the nested page tables before, which
 * turns ATS off and so empties the ATCs: no device is asked, because one without
 * ATS would never answer. It also calls smmuinv_queue_reset() for its queues.
 *
 * Goes on after a failure; calling it again does all of it again.
 *
 * Return: as smmuinv_invalidate_all().
 * Threads: any, not from the trace callback; no queue may be consuming. Since: 0.1.
 */
SMMUINV_API int smmuinv_reset(struct smmuinv_vsmmu *vsmmu,
			      uint32_t *fault_viommu);

SMMUINV_END_DECLS

#endif /* SMMUINV_INVALIDATE_H */
