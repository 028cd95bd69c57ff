/* SPDX-License-Identifier: MIT */
/*
 * The seam between the library and what executes invalidations.
 *
 * Two implementations exist: the kernel (smmuinv/iommufd.h) and a mock
 * (smmuinv/mock.h, in a library of its own). A VMM that reaches the kernel
 * through another process can write a third.
 */
#ifndef SMMUINV_BACKEND_H
#define SMMUINV_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/command.h>
#include <smmuinv/features.h>

SMMUINV_BEGIN_DECLS

/** struct smmuinv_backend - opaque; safe to use from several threads at once */
struct smmuinv_backend;

/**
 * struct smmuinv_device_info - what a backend knows of a device's SMMU
 * @size: sizeof(struct smmuinv_device_info), set by the caller
 * @hw: the SMMU's registers and flags
 * @capabilities: IOMMU_HW_CAP_*; SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED
 * @max_pasid_log2: SubstreamID bits that the device may use, 0 for none
 * @reserved: 0; another value of a backend's is a senseless answer
 */
struct smmuinv_device_info {
	size_t size;
	struct smmuinv_hw_info hw;
	uint64_t capabilities;
	uint32_t max_pasid_log2;
	uint32_t reserved;
};

/** SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED - the device cannot use ATS; told
 * since Linux 7.1 */
#define SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED (1ull << 3)

/**
 * struct smmuinv_backend_ops - what a backend must do
 * @size: sizeof(struct smmuinv_backend_ops)
 * @device_info: as smmuinv_backend_device_info()
 * @vdevice_alloc: make a vDEVICE; as IOMMU_VDEVICE_ALLOC
 * @destroy: destroy an object by its id; as IOMMU_DESTROY
 * @invalidate: as IOMMU_HWPT_INVALIDATE on a vIOMMU: @count commands in, the
 *	number that the executor says it has executed out
 *
 * All return 0 or a negative errno, and may be called from several threads. One
 * that answers -EINTR or -EAGAIN is called again, 1000 times in all, and then the
 * answer is an error like any other; a positive answer is -EPROTO. @vdevice_alloc,
 * @destroy and @invalidate run under locks of the stream table, or while it is
 * freed, and may not call smmuinv_streams_*(), nor take a lock that anybody holds
 * around a call that changes streams or vIOMMUs.
 */
struct smmuinv_backend_ops {
	size_t size;
	int (*device_info)(void *context, uint32_t dev_id,
			   struct smmuinv_device_info *info);
	int (*vdevice_alloc)(void *context, uint32_t viommu_id,
			     uint32_t dev_id, uint64_t virt_id,
			     uint32_t *vdevice_id);
	int (*destroy)(void *context, uint32_t id);
	int (*invalidate)(void *context, uint32_t viommu_id,
			  const struct smmuinv_command *commands,
			  uint32_t *count);
};

/**
 * smmuinv_backend_new() - a backend of the caller's own making
 * @ops: what it does; copied
 * @context: handed to each of @ops; must outlive the backend
 * @backend: the backend
 *
 * Return: 0; -EINVAL for NULL, a wrong size or a missing function; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_backend_new(const struct smmuinv_backend_ops *ops,
				    void *context,
				    struct smmuinv_backend **backend);

/**
 * smmuinv_backend_free() - free a backend of any kind
 * @backend: may be NULL; nothing made from it may be in use any more
 *
 * What it was made from (file descriptor, mock) is left alone.
 *
 * Threads: one, the last. Since: 0.1.
 */
SMMUINV_API void smmuinv_backend_free(struct smmuinv_backend *backend);

/**
 * smmuinv_backend_device_info() - ask for the SMMU of a device
 * @backend: whom
 * @dev_id: the device's id, from VFIO_DEVICE_BIND_IOMMUFD
 * @info: the answer
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -ENOENT if there is no such
 * device; -EOPNOTSUPP if it is not behind an Arm SMMUv3; -EPROTO for a senseless
 * answer; another errno of the kernel's.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_backend_device_info(const struct smmuinv_backend *backend,
			    uint32_t dev_id, struct smmuinv_device_info *info);

SMMUINV_END_DECLS

#endif /* SMMUINV_BACKEND_H */
