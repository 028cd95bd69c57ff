/* SPDX-License-Identifier: MIT */
#include "iommufd.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/iommufd.h>

/* The stream table entry: valid, and no stage 1 (IHI 0070, 5.2). */
#define STE_V          UINT64_C(1)
#define STE_CFG_BYPASS (UINT64_C(4) << 1)

struct iommufd_vste iommufd_vste_bypass(void)
{
	return (struct iommufd_vste){
		.word = { STE_V | STE_CFG_BYPASS },
	};
}

static int call(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommufd_ioas_alloc(int fd, uint32_t *ioas)
{
	struct iommu_ioas_alloc command = {
		.size = sizeof(command),
	};
	int error = call(fd, IOMMU_IOAS_ALLOC, &command);

	if (!error)
		*ioas = command.out_ioas_id;
	return error;
}

int iommufd_ioas_map(int fd, uint32_t ioas, void *memory, size_t length,
		     uint64_t iova)
{
	struct iommu_ioas_map command = {
		.size = sizeof(command),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = iova,
	};

	return call(fd, IOMMU_IOAS_MAP, &command);
}

static int hwpt_alloc(int fd, struct iommu_hwpt_alloc *command, uint32_t *hwpt)
{
	int error = call(fd, IOMMU_HWPT_ALLOC, command);

	if (!error)
		*hwpt = command->out_hwpt_id;
	return error;
}

int iommufd_hwpt_alloc_parent(int fd, uint32_t device, uint32_t ioas,
			      uint32_t *hwpt)
{
	struct iommu_hwpt_alloc command = {
		.size = sizeof(command),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = device,
		.pt_id = ioas,
	};

	return hwpt_alloc(fd, &command, hwpt);
}

int iommufd_hwpt_alloc_nested(int fd, uint32_t device, uint32_t viommu,
			      const struct iommufd_vste *vste, uint32_t *hwpt)
{
	struct iommu_hwpt_arm_smmuv3 data = {
		.ste = { htole64(vste->word[0]), htole64(vste->word[1]) },
	};
	struct iommu_hwpt_alloc command = {
		.size = sizeof(command),
		.dev_id = device,
		.pt_id = viommu,
		.data_type = IOMMU_HWPT_DATA_ARM_SMMUV3,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};

	return hwpt_alloc(fd, &command, hwpt);
}

int iommufd_viommu_alloc(int fd, uint32_t device, uint32_t parent_hwpt,
			 uint32_t *viommu)
{
	struct iommu_viommu_alloc command = {
		.size = sizeof(command),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = device,
		.hwpt_id = parent_hwpt,
	};
	int error = call(fd, IOMMU_VIOMMU_ALLOC, &command);

	if (!error)
		*viommu = command.out_viommu_id;
	return error;
}

int iommufd_vdevice_alloc(int fd, uint32_t viommu, uint32_t device,
			  uint32_t vsid, uint32_t *vdevice)
{
	struct iommu_vdevice_alloc command = {
		.size = sizeof(command),
		.viommu_id = viommu,
		.dev_id = device,
		.virt_id = vsid,
	};
	int error = call(fd, IOMMU_VDEVICE_ALLOC, &command);

	if (!error)
		*vdevice = command.out_vdevice_id;
	return error;
}

int iommufd_destroy(int fd, uint32_t id)
{
	struct iommu_destroy command = {
		.size = sizeof(command),
		.id = id,
	};

	return call(fd, IOMMU_DESTROY, &command);
}
