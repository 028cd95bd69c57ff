/* SPDX-License-Identifier: MIT */
/*
 * Calls to the backend, with its answers made sane.
 */
#ifndef SMMUINV_LIB_BACKEND_H
#define SMMUINV_LIB_BACKEND_H

#include <stdint.h>

#include <smmuinv/backend.h>

/* -ENOSYS if the backend has no such function. */
int smmuinv__backend_vdevice_alloc(const struct smmuinv_backend *backend,
				   uint32_t viommu_id, uint32_t dev_id,
				   uint32_t vsid, uint32_t *vdevice_id);
int smmuinv__backend_destroy(const struct smmuinv_backend *backend,
			     uint32_t id);

/* Success for another number of commands than @count is -EPROTO. */
int smmuinv__backend_invalidate(const struct smmuinv_backend *backend,
				uint32_t viommu_id,
				const struct smmuinv_command *commands,
				uint32_t *count);

#endif /* SMMUINV_LIB_BACKEND_H */
