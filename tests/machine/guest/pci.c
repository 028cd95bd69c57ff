/* SPDX-License-Identifier: MIT */
#include "pci.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PCI_DEVICES "/sys/bus/pci/devices"
#define PATH_SIZE   128

static int sysfs_write(const char *path, const char *text)
{
	int error = 0;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* The number in a sysfs attribute, or -1. */
static long sysfs_number(const char *address, const char *attribute)
{
	char path[PATH_SIZE];
	char text[32];
	FILE *file;
	long number = -1;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", address, attribute);
	file = fopen(path, "r");
	if (!file)
		return -1;
	if (fgets(text, sizeof(text), file))
		number = strtol(text, NULL, 0);
	fclose(file);
	return number;
}

static int find(struct pci_device *device, uint16_t vendor, uint16_t id,
		unsigned int nth)
{
	struct dirent **entries;
	int count = scandir(PCI_DEVICES, &entries, NULL, alphasort);
	int error = -ENODEV;

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (error && strlen(name) < PCI_ADDRESS_SIZE &&
		    sysfs_number(name, "vendor") == vendor &&
		    sysfs_number(name, "device") == id && nth-- == 0) {
			strcpy(device->address, name);
			error = 0;
		}
		free(entries[i]);
	}
	free(entries);
	return error;
}

static int bind_driver(const char *address)
{
	char path[PATH_SIZE];
	int error;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override",
		 address);
	error = sysfs_write(path, "vfio-pci");
	if (error)
		return error;
	return sysfs_write("/sys/bus/pci/drivers_probe", address);
}

/* The folder vfio-dev of the device holds one entry, named as its cdev is. */
static int find_cdev(struct pci_device *device)
{
	char path[PATH_SIZE];
	struct dirent *entry;
	DIR *folder;
	int error = -ENODEV;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/vfio-dev",
		 device->address);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while (error && (entry = readdir(folder))) {
		if (strncmp(entry->d_name, "vfio", 4) != 0)
			continue;
		snprintf(device->cdev, sizeof(device->cdev),
			 "/dev/vfio/devices/%.16s", entry->d_name);
		error = 0;
	}
	closedir(folder);
	return error;
}

/* The requester ID: bus, device, function. */
static int find_sid(struct pci_device *device)
{
	unsigned int bus;
	unsigned int slot;
	unsigned int function;

	if (sscanf(device->address, "%*x:%x:%x.%x", &bus, &slot, &function) !=
	    3)
		return -EINVAL;
	device->sid = bus << 8 | slot << 3 | function;
	return 0;
}

int pci_device_take(struct pci_device *device, uint16_t vendor, uint16_t id,
		    unsigned int nth)
{
	int error = find(device, vendor, id, nth);

	if (!error)
		error = find_sid(device);
	if (!error)
		error = bind_driver(device->address);
	if (!error)
		error = find_cdev(device);
	return error;
}
