/* SPDX-License-Identifier: MIT */
/*
 * A PCI device in user space's hands, by VFIO's character device. Functions
 * return 0 or a negative errno.
 */
#ifndef EXAMPLE_VFIO_H
#define EXAMPLE_VFIO_H

#include <stddef.h>
#include <stdint.h>

struct vfio_device {
	int fd;
	uint32_t id; /* its name in iommufd, after vfio_bind() */
	volatile void *bar0;
	size_t bar0_size;
};

/* @cdev: "/dev/vfio/devices/vfio0"; the device is vfio-pci's already. */
int vfio_open(struct vfio_device *device, const char *cdev);

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

#endif /* EXAMPLE_VFIO_H */
