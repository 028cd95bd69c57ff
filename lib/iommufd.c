/* SPDX-License-Identifier: MIT */
#include <smmuinv/backend.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "iommufd-uapi.h"

/* No object of the kernel has this id: it counts from 1. */
#define NO_ID 0u

/* The descriptor is the context itself: nothing to allocate, nothing to free.
 */
static int context_fd(void *context)
{
	return (int)(intptr_t)context;
}

static void *fd_context(int fd)
{
	return (void *)(intptr_t)fd;
}

/* The request is what musl's ioctl() takes as int, glibc's as unsigned long. */
static int call(void *context, unsigned long request, void *argument)
{
	return ioctl(context_fd(context), request, argument) < 0 ? -errno : 0;
}

static int iommufd_device_info(void *context, uint32_t dev_id,
			       struct smmuinv_device_info *info)
{
	struct uapi_iommu_hw_info ask = {
		.size = sizeof(ask),
		.dev_id = dev_id,
		.data_len = sizeof(info->hw),
		.data_uptr = (uintptr_t)&info->hw,
	};
	int rc;

	rc = call(context, UAPI_IOMMU_GET_HW_INFO, &ask);
	if (rc)
		return rc;
	if (ask.out_data_type != UAPI_IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		return -EOPNOTSUPP;
	info->capabilities = ask.out_capabilities;
	info->max_pasid_log2 = ask.out_max_pasid_log2;
	return 0;
}

static int iommufd_vdevice_alloc(void *context, uint32_t viommu_id,
				 uint32_t dev_id, uint64_t virt_id,
				 uint32_t *vdevice_id)
{
	struct uapi_iommu_vdevice_alloc alloc = {
		.size = sizeof(alloc),
		.viommu_id = viommu_id,
		.dev_id = dev_id,
		.virt_id = virt_id,
	};
	int rc;

	rc = call(context, UAPI_IOMMU_VDEVICE_ALLOC, &alloc);
	if (rc)
		return rc;
	*vdevice_id = alloc.out_vdevice_id;
	return 0;
}

static int iommufd_destroy(void *context, uint32_t id)
{
	struct uapi_iommu_destroy destroy = {
		.size = sizeof(destroy),
		.id = id,
	};

	return call(context, UAPI_IOMMU_DESTROY, &destroy);
}

static int iommufd_invalidate(void *context, uint32_t viommu_id,
			      const struct smmuinv_command *commands,
			      uint32_t *count)
{
	struct uapi_iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate),
		.hwpt_id = viommu_id,
		.data_uptr = (uintptr_t)commands,
		.data_type = UAPI_IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(*commands),
		.entry_num = *count,
	};
	int rc = call(context, UAPI_IOMMU_HWPT_INVALIDATE, &invalidate);

	*count = invalidate.entry_num;
	return rc;
}

static const struct smmuinv_backend_ops iommufd_ops = {
	.size = sizeof(iommufd_ops),
	.device_info = iommufd_device_info,
	.vdevice_alloc = iommufd_vdevice_alloc,
	.destroy = iommufd_destroy,
	.invalidate = iommufd_invalidate,
};

/*
 * Ask for what cannot be there: -ENOENT says that the kernel knows the request,
 * -ENOTTY that it does not. Nothing is made or destroyed.
 */
static int probe(int fd)
{
	uint32_t vdevice_id;

	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	if (iommufd_destroy(fd_context(fd), NO_ID) != -ENOENT)
		return -ENOTTY;
	if (iommufd_vdevice_alloc(fd_context(fd), NO_ID, NO_ID, 0,
				  &vdevice_id) != -ENOENT)
		return -EOPNOTSUPP;
	return 0;
}

int smmuinv_iommufd_new(int fd, struct smmuinv_backend **backend)
{
	int rc;

	if (!backend)
		return -EINVAL;
	rc = probe(fd);
	if (rc)
		return rc;
	return smmuinv_backend_new(&iommufd_ops, fd_context(fd), backend);
}
