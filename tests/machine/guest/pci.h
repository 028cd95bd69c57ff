/* SPDX-License-Identifier: MIT */
/*
 * From a PCI device's identity to the file by which user space drives it.
 */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdint.h>

/* "0000:00:01.0" */
#define PCI_ADDRESS_SIZE 16

/* "/dev/vfio/devices/vfio0" */
#define PCI_CDEV_SIZE 64

struct pci_device {
	char address[PCI_ADDRESS_SIZE];
	char cdev[PCI_CDEV_SIZE];
	/* Its StreamID at the host's SMMU, whose IORT maps them one to one. */
	uint32_t sid;
};

/*
 * Finds a device and gives it to vfio-pci; @nth counts from 0 in the order of
 * the addresses, for machines with several. Returns 0 or a negative errno.
 */
int pci_device_take(struct pci_device *device, uint16_t vendor, uint16_t id,
		    unsigned int nth);

#endif
