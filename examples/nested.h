/* SPDX-License-Identifier: MIT */
/*
 * What a VMM does with the kernel before libsmmuinv can forward anything. It
 * opens a VFIO device in an iommufd. It makes a stage 2 for the guest's memory,
 * a vIOMMU that stands for the device's physical SMMU, and the device's
 * vDEVICE. All of these objects are the VMM's.
 *
 * Functions return 0 or a negative errno. nested->step then says in words what
 * failed, "VFIO_DEVICE_BIND_IOMMUFD".
 */
#ifndef EXAMPLE_NESTED_H
#define EXAMPLE_NESTED_H

#include <stddef.h>
#include <stdint.h>

#include <smmuinv/smmuinv.h>

#include "iommufd.h"
#include "vfio.h"

struct nested {
	int iommufd;                     /* /dev/iommu */
	struct vfio_device device;       /* device.id: its name in iommufd */
	struct smmuinv_backend *backend; /* over iommufd */
	struct smmuinv_device_info info; /* of the device's SMMU */
	struct smmuinv_features host;    /* the same, as the library reads it */
	uint32_t ioas;                   /* guest-physical address space */
	uint32_t parent;                 /* its page table: stage 2 */
	uint32_t viommu;     /* the physical SMMU, as far as it is ours */
	uint32_t vdevice;    /* the device on it: nested_plug() */
	uint32_t page_table; /* the guest's stage 1: nested_attach() */
	const char *step;    /* the last one that was begun */
};

/*
 * Opens the device @cdev ("/dev/vfio/devices/vfio0", already bound to vfio-pci)
 * and goes as far as the vIOMMU. After a failure everything is closed again.
 */
int nested_open(struct nested *nested, const char *cdev);

/*
 * Guest memory: @memory (whole pages, and ours until nested_close()) becomes
 * what the guest has at @ipa.
 */
int nested_map(struct nested *nested, void *memory, size_t length,
	       uint64_t ipa);

/*
 * The guest knows the device by @vsid: makes the vDEVICE. A VMM that leaves
 * that to smmuinv_vsmmu_add_stream() does not call this.
 */
int nested_plug(struct nested *nested, uint32_t vsid);

/*
 * The guest has written a stream table entry: the device's DMA follows it from
 * here on. A translating one needs the vDEVICE first. The page table that was
 * there before goes.
 */
int nested_attach(struct nested *nested, const struct iommufd_vste *vste);

/* The device's DMA is stopped and its stage 1 goes, if there is one. */
int nested_detach(struct nested *nested);

/*
 * Undoes all of the above, children first. Call nested_detach() and
 * smmuinv_vsmmu_free() before. A vDEVICE that outlives its device's file leaks,
 * and a vIOMMU with vDEVICEs is busy. Returns the first error. Everything else
 * is closed nevertheless.
 */
int nested_close(struct nested *nested);

#endif /* EXAMPLE_NESTED_H */
