/* SPDX-License-Identifier: MIT */
/*
 * The few definitions of the kernel's iommufd interface that the library needs,
 * because the headers that distributions ship are older than vIOMMUs. The
 * machine test compares every one of them with the header of the kernel that it
 * builds.
 */
#ifndef SMMUINV_LIB_IOMMUFD_UAPI_H
#define SMMUINV_LIB_IOMMUFD_UAPI_H

#include <stdint.h>

#include <sys/ioctl.h>

#define UAPI_IOMMUFD_TYPE          ';'
#define UAPI_IOMMU_DESTROY         _IO(UAPI_IOMMUFD_TYPE, 0x80)
#define UAPI_IOMMU_GET_HW_INFO     _IO(UAPI_IOMMUFD_TYPE, 0x8a)
#define UAPI_IOMMU_HWPT_INVALIDATE _IO(UAPI_IOMMUFD_TYPE, 0x8d)
#define UAPI_IOMMU_VDEVICE_ALLOC   _IO(UAPI_IOMMUFD_TYPE, 0x91)

#define UAPI_IOMMU_HW_INFO_TYPE_ARM_SMMUV3           2u
#define UAPI_IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 1u

struct uapi_iommu_destroy {
	uint32_t size;
	uint32_t id;
};

struct uapi_iommu_hw_info {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t out_data_type;
	uint8_t out_max_pasid_log2;
	uint8_t reserved[3];
	uint64_t out_capabilities;
};

struct uapi_iommu_hwpt_invalidate {
	uint32_t size;
	uint32_t hwpt_id;
	uint64_t data_uptr;
	uint32_t data_type;
	uint32_t entry_len;
	uint32_t entry_num;
	uint32_t reserved;
};

struct uapi_iommu_vdevice_alloc {
	uint32_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t out_vdevice_id;
	uint64_t virt_id;
};

#endif /* SMMUINV_LIB_IOMMUFD_UAPI_H */
