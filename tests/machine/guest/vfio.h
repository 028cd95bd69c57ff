/* SPDX-License-Identifier: MIT */
/*
 * A PCI device in user space's hands, by VFIO's character device. Functions
 * return 0 or a negative errno.
 */
#ifndef GUEST_VFIO_H
#define GUEST_VFIO_H

#include <stddef.h>
#include <stdint.h>

/* "0000:00:01.0" */
#define VFIO_ADDRESS_SIZE 16

struct vfio_device {
	char address[VFIO_ADDRESS_SIZE];
	int fd;
	/* Its name in iommufd, after vfio_bind(). */
	uint32_t id;
	volatile void *bar0;
	size_t bar0_size;
};

/*
 * Finds a PCI device by its identity; @nth counts from 0 in the order of the
 * addresses, for machines with several of them.
 */
int vfio_find(uint16_t vendor, uint16_t device, unsigned int nth,
	      char address[VFIO_ADDRESS_SIZE]);

/* Gives the device to vfio-pci and opens it. */
int vfio_open(struct vfio_device *device, const char *address);

/* From here on the device's DMA is iommufd's business. */
int vfio_bind(struct vfio_device *device, int iommufd);

int vfio_map_bar0(struct vfio_device *device);

/* Without it the device does no DMA. */
int vfio_enable_bus_master(struct vfio_device *device);

/* Puts a page table (HWPT or IOAS) in the place of the one before. */
int vfio_attach(struct vfio_device *device, uint32_t page_table);
int vfio_detach(struct vfio_device *device);

/* The device's vDEVICE must be gone before. */
void vfio_close(struct vfio_device *device);

#endif
