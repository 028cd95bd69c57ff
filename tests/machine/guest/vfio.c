// SPDX-License-Identifier: MIT
#include "vfio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#define PCI_DEVICES "/sys/bus/pci/devices"
#define PATH_SIZE   128

static int call(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

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

int vfio_find(uint16_t vendor, uint16_t device, unsigned int nth,
	      char address[VFIO_ADDRESS_SIZE])
{
	struct dirent **entries;
	int count = scandir(PCI_DEVICES, &entries, NULL, alphasort);
	int error = -ENODEV;

	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (error && strlen(name) < VFIO_ADDRESS_SIZE &&
		    sysfs_number(name, "vendor") == vendor &&
		    sysfs_number(name, "device") == device && nth-- == 0) {
			strcpy(address, name);
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
static int open_cdev(const char *address)
{
	char path[PATH_SIZE + sizeof(((struct dirent *)0)->d_name)];
	struct dirent *entry;
	DIR *folder;
	int fd = -ENODEV;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/vfio-dev", address);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		if (strncmp(entry->d_name, "vfio", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s",
			 entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
		break;
	}
	closedir(folder);
	return fd;
}

int vfio_open(struct vfio_device *device, const char *address)
{
	int error;

	if (strlen(address) >= VFIO_ADDRESS_SIZE)
		return -EINVAL;
	*device = (struct vfio_device){.fd = -1};
	strcpy(device->address, address);
	error = bind_driver(address);
	if (error)
		return error;
	device->fd = open_cdev(address);
	return device->fd < 0 ? device->fd : 0;
}

int vfio_bind(struct vfio_device *device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	int error = call(device->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (!error)
		device->id = bind.out_devid;
	return error;
}

static int region(const struct vfio_device *device, uint32_t index,
		  struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){
		.argsz = sizeof(*info),
		.index = index,
	};
	return call(device->fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

int vfio_map_bar0(struct vfio_device *device)
{
	struct vfio_region_info info;
	int error = region(device, VFIO_PCI_BAR0_REGION_INDEX, &info);
	void *bar;

	if (error)
		return error;
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return -ENODEV;
	bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   device->fd, (off_t)info.offset);
	if (bar == MAP_FAILED)
		return -errno;
	device->bar0 = bar;
	device->bar0_size = info.size;
	return 0;
}

int vfio_enable_bus_master(struct vfio_device *device)
{
	struct vfio_region_info info;
	uint16_t command;
	off_t offset;
	int error = region(device, VFIO_PCI_CONFIG_REGION_INDEX, &info);

	if (error)
		return error;
	offset = (off_t)info.offset + PCI_COMMAND;
	if (pread(device->fd, &command, sizeof(command), offset) !=
	    sizeof(command))
		return -EIO;
	command |= PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	if (pwrite(device->fd, &command, sizeof(command), offset) !=
	    sizeof(command))
		return -EIO;
	return 0;
}

int vfio_attach(struct vfio_device *device, uint32_t page_table)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = page_table,
	};

	return call(device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int vfio_detach(struct vfio_device *device)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	return call(device->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

void vfio_close(struct vfio_device *device)
{
	if (device->bar0)
		munmap((void *)(uintptr_t)device->bar0, device->bar0_size);
	if (device->fd >= 0)
		close(device->fd);
	*device = (struct vfio_device){.fd = -1};
}
