/* SPDX-License-Identifier: MIT */
/*
 * The backend: what executes invalidations.
 *
 * Two exist: the kernel (smmuinv_iommufd_new()) and a mock (smmuinv/mock.h, in
 * a library of its own). A VMM can write its own, for instance around its own
 * ioctl wrappers, or to reach the kernel through another process.
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
 * struct smmuinv_device_info - what a backend knows about a device's SMMU
 * @size: sizeof(struct smmuinv_device_info), set by the caller
 * @hw: the SMMU's registers and flags
 * @capabilities: IOMMU_HW_CAP_*; SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED
 * @max_pasid_log2: SubstreamID bits that the device may use, 0 for none
 * @reserved: 0; a backend that sets it gets -EPROTO
 */
struct smmuinv_device_info {
	size_t size;
	struct smmuinv_hw_info hw;
	uint64_t capabilities;
	uint32_t max_pasid_log2;
	uint32_t reserved;
};

/** SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED - the device cannot use ATS; reported
 * since Linux 7.1 */
#define SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED (1ull << 3)

/**
 * struct smmuinv_backend_ops - what a backend does
 * @size: sizeof(struct smmuinv_backend_ops)
 * @device_info: as smmuinv_backend_device_info(); may be NULL
 * @vdevice_alloc: make a vDEVICE, as IOMMU_VDEVICE_ALLOC; may be NULL if the
 *	VMM hands over vDEVICEs that it made
 * @destroy: destroy a vDEVICE that @vdevice_alloc made, as IOMMU_DESTROY; may
 *	be NULL if @vdevice_alloc is
 * @invalidate: as IOMMU_HWPT_INVALIDATE on a vIOMMU: on entry @count is the
 *	number of @commands; on return it is the number that the host says it
 *	has executed
 * @release: smmuinv_backend_free() calls it once, with the context; may be NULL
 *
 * All return 0 or a negative errno. The library takes a positive answer as
 * -EPROTO. After -EINTR or -EAGAIN it calls again, up to 1000 times in all.
 * Then that errno is the answer. Several threads may call at once. The library
 * holds no lock during the call, so a function may take the VMM's own locks.
 * @invalidate must not call smmuinv_vsmmu_remove_stream() or
 * smmuinv_vsmmu_remove_viommu(), because they wait for it to return.
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
	void (*release)(void *context);
};

/**
 * smmuinv_backend_new() - make a backend of the caller's own
 * @ops: its functions; copied
 * @context: passed to each of @ops; must outlive the backend
 * @backend: the backend
 *
 * Return: 0; -EINVAL for NULL, a wrong size, no @invalidate, or one of
 * @vdevice_alloc and @destroy without the other; -ENOMEM. @release is not
 *	called after an error.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_backend_new(const struct smmuinv_backend_ops *ops,
				    void *context,
				    struct smmuinv_backend **backend);

/**
 * smmuinv_iommufd_new() - make the kernel's backend, for Linux 6.13 or newer
 * @fd: the VMM's open /dev/iommu; borrowed until the backend is freed, and
 *	never closed by the library
 * @backend: the backend
 *
 * It asks the kernel whether it has vIOMMUs. It makes no object in the kernel.
 *
 * Return: 0; -EINVAL for NULL; -EBADF if @fd is not open; -ENOTTY if it is not
 * an iommufd; -EOPNOTSUPP if the kernel has iommufd but no vIOMMUs (before
 * 6.13); -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_iommufd_new(int fd, struct smmuinv_backend **backend);

/**
 * smmuinv_backend_free() - free a backend of any kind
 * @backend: may be NULL; free every virtual SMMU that uses it first
 *
 * It does not close the file descriptor, and does not free the mock, that the
 * backend was made from.
 *
 * Threads: one, the last. Since: 0.1.
 */
SMMUINV_API void smmuinv_backend_free(struct smmuinv_backend *backend);

/**
 * smmuinv_backend_device_info() - ask what the SMMU of a device is
 * @backend: the backend to ask
 * @dev_id: the device's id, from VFIO_DEVICE_BIND_IOMMUFD
 * @info: the answer
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -ENOSYS if the backend has no
 * device_info function; -ENOENT if there is no such device; -EOPNOTSUPP if its
 * IOMMU is not an Arm SMMUv3; -EPROTO if the answer makes no sense; another
 * errno of the backend.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int
smmuinv_backend_device_info(const struct smmuinv_backend *backend,
			    uint32_t dev_id, struct smmuinv_device_info *info);

SMMUINV_END_DECLS

#endif /* SMMUINV_BACKEND_H */
