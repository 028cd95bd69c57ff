/* SPDX-License-Identifier: MIT */
/*
 * The ioctls of iommufd that a VMM calls, one function each. Not among them are
 * IOMMU_GET_HW_INFO and IOMMU_HWPT_INVALIDATE, which the library calls. All
 * return 0 or a negative errno. What they made is in the last argument.
 */
#ifndef EXAMPLE_IOMMUFD_H
#define EXAMPLE_IOMMUFD_H

#include <stddef.h>
#include <stdint.h>

/*
 * The words of a guest's stream table entry (IHI 0070, 5.2) that the kernel
 * takes, in the CPU's byte order. Which of their bits: struct
 * iommu_hwpt_arm_smmuv3 in linux/iommufd.h.
 */
struct iommufd_vste {
	uint64_t word[2];
};

/* The device's DMA goes by guest-physical addresses. */
struct iommufd_vste iommufd_vste_bypass(void);

/* Returns the file descriptor, or a negative errno. */
int iommufd_open(void);

int iommufd_ioas_alloc(int fd, uint32_t *ioas);

/* Maps @memory, readable and writable, at exactly @iova. */
int iommufd_ioas_map(int fd, uint32_t ioas, void *memory, size_t length,
		     uint64_t iova);

/* The stage 2 that a vIOMMU stands on. */
int iommufd_hwpt_alloc_parent(int fd, uint32_t device, uint32_t ioas,
			      uint32_t *hwpt);

int iommufd_viommu_alloc(int fd, uint32_t device, uint32_t parent_hwpt,
			 uint32_t *viommu);

/* The device gets its vSID on the vIOMMU. */
int iommufd_vdevice_alloc(int fd, uint32_t viommu, uint32_t device,
			  uint32_t vsid, uint32_t *vdevice);

/* A translating @vste needs the vDEVICE first. */
int iommufd_hwpt_alloc_nested(int fd, uint32_t device, uint32_t viommu,
			      const struct iommufd_vste *vste, uint32_t *hwpt);

/* Children first: HWPT, vDEVICE, vIOMMU, parent, IOAS. */
int iommufd_destroy(int fd, uint32_t id);

#endif /* EXAMPLE_IOMMUFD_H */
