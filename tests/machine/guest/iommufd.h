/* SPDX-License-Identifier: MIT */
/*
 * iommufd's ioctls, one function each. All return 0 or a negative errno; what
 * they made is in the last argument.
 */
#ifndef GUEST_IOMMUFD_H
#define GUEST_IOMMUFD_H

#include <stddef.h>
#include <stdint.h>

#include <linux/iommufd.h>

/* A nested stream table entry: its two words that a guest may set. */
struct iommufd_vste {
	uint64_t word[2];
};

/* A hardware command of an SMMUv3, in the CPU's byte order. */
struct iommufd_command {
	uint64_t word[2];
};

/* Returns the file descriptor, or a negative errno. */
int iommufd_open(void);

/* @capabilities may be NULL: IOMMU_HW_CAP_* of the device's IOMMU. */
int iommufd_hw_info(int fd, uint32_t device, uint64_t *capabilities,
		    struct iommu_hw_info_arm_smmuv3 *info);

int iommufd_ioas_alloc(int fd, uint32_t *ioas);

/* Maps @memory, readable and writable, at exactly @iova. */
int iommufd_ioas_map(int fd, uint32_t ioas, void *memory, size_t length,
		     uint64_t iova);

/* The stage 2 that a vIOMMU stands on. */
int iommufd_hwpt_alloc_parent(int fd, uint32_t device, uint32_t ioas,
			      uint32_t *hwpt);

int iommufd_viommu_alloc(int fd, uint32_t device, uint32_t parent_hwpt,
			 uint32_t *viommu);

/* @vsid: the StreamID by which the guest knows the device. */
int iommufd_vdevice_alloc(int fd, uint32_t viommu, uint32_t device,
			  uint64_t vsid, uint32_t *vdevice);

/* A translating @vste needs the vDEVICE first. */
int iommufd_hwpt_alloc_nested(int fd, uint32_t device, uint32_t viommu,
			      const struct iommufd_vste *vste, uint32_t *hwpt);

/*
 * Gives @count commands to a vIOMMU; @count becomes what the kernel says it
 * did, after a failure too.
 */
int iommufd_invalidate(int fd, uint32_t viommu,
		       const struct iommufd_command *commands, uint32_t *count);

/* Children first: HWPT, vDEVICE, vIOMMU, parent, IOAS. */
int iommufd_destroy(int fd, uint32_t id);

#endif
