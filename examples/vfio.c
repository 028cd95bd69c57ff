/* SPDX-License-Identifier: MIT */
#include "vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

static int call(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

int vfio_open(struct vfio_device *device, const char *cdev)
{
	*device = (struct vfio_device){ .fd = -1 };
	device->fd = open(cdev, O_RDWR | O_CLOEXEC);
	return device->fd < 0 ? -errno : 0;
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
	*device = (struct vfio_device){ .fd = -1 };
}
