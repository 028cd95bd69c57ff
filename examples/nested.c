/* SPDX-License-Identifier: MIT */
#include "nested.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

/* No object of the kernel has this id. */
#define NONE 0

static int open_device(struct nested *nested, const char *cdev)
{
	int error;

	nested->step = "open /dev/iommu";
	nested->iommufd = iommufd_open();
	if (nested->iommufd < 0)
		return nested->iommufd;
	nested->step = "open the device's file";
	error = vfio_open(&nested->device, cdev);
	if (error)
		return error;
	nested->step = "VFIO_DEVICE_BIND_IOMMUFD";
	return vfio_bind(&nested->device, nested->iommufd);
}

/*
 * Whether a device may use ATS is not in the SMMU's registers. Kernels before
 * 7.1 do not say it at all; a VMM would look for the PCI capability as well.
 */
static bool may_use_ats(const struct smmuinv_device_info *info)
{
	return !(info->capabilities & SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED);
}

static int ask_host(struct nested *nested)
{
	int error;

	nested->step = "smmuinv_iommufd_new";
	error = smmuinv_iommufd_new(nested->iommufd, &nested->backend);
	if (error)
		return error;
	nested->step = "IOMMU_GET_HW_INFO";
	nested->info.size = sizeof(nested->info);
	error = smmuinv_backend_device_info(nested->backend, nested->device.id,
					    &nested->info);
	if (error)
		return error;
	nested->step = "smmuinv_features_from_hw_info";
	return smmuinv_features_from_hw_info(&nested->host, &nested->info.hw,
					     may_use_ats(&nested->info), NULL);
}

static int make_viommu(struct nested *nested)
{
	int fd = nested->iommufd;
	uint32_t device = nested->device.id;
	int error;

	nested->step = "IOMMU_IOAS_ALLOC";
	error = iommufd_ioas_alloc(fd, &nested->ioas);
	if (error)
		return error;
	nested->step = "IOMMU_HWPT_ALLOC of the nesting parent";
	error = iommufd_hwpt_alloc_parent(fd, device, nested->ioas,
					  &nested->parent);
	if (error)
		return error;
	nested->step = "IOMMU_VIOMMU_ALLOC";
	return iommufd_viommu_alloc(fd, device, nested->parent,
				    &nested->viommu);
}

int nested_open(struct nested *nested, const char *cdev)
{
	const char *step;
	int error;

	*nested = (struct nested){ .iommufd = -1, .device.fd = -1 };
	error = open_device(nested, cdev);
	if (!error)
		error = ask_host(nested);
	if (!error)
		error = make_viommu(nested);
	if (!error)
		return 0;
	step = nested->step;
	nested_close(nested);
	nested->step = step;
	return error;
}

int nested_map(struct nested *nested, void *memory, size_t length, uint64_t ipa)
{
	nested->step = "IOMMU_IOAS_MAP";
	return iommufd_ioas_map(nested->iommufd, nested->ioas, memory, length,
				ipa);
}

int nested_plug(struct nested *nested, uint32_t vsid)
{
	nested->step = "IOMMU_VDEVICE_ALLOC";
	return iommufd_vdevice_alloc(nested->iommufd, nested->viommu,
				     nested->device.id, vsid, &nested->vdevice);
}

/* Returns 0 also when there is nothing to destroy. */
static int destroy(struct nested *nested, const char *step, uint32_t *id)
{
	uint32_t gone = *id;

	*id = NONE;
	if (gone == NONE)
		return 0;
	nested->step = step;
	return iommufd_destroy(nested->iommufd, gone);
}

int nested_attach(struct nested *nested, const struct iommufd_vste *vste)
{
	uint32_t page_table;
	uint32_t old = nested->page_table;
	int error;

	nested->step = "IOMMU_HWPT_ALLOC of the guest's stage 1";
	error = iommufd_hwpt_alloc_nested(nested->iommufd, nested->device.id,
					  nested->viommu, vste, &page_table);
	if (error)
		return error;
	nested->step = "VFIO_DEVICE_ATTACH_IOMMUFD_PT";
	error = vfio_attach(&nested->device, page_table);
	if (error) {
		iommufd_destroy(nested->iommufd, page_table);
		return error;
	}
	nested->page_table = page_table;
	return destroy(nested, "IOMMU_DESTROY of the stage 1 before", &old);
}

int nested_detach(struct nested *nested)
{
	int error;

	if (nested->page_table == NONE)
		return 0;
	nested->step = "VFIO_DEVICE_DETACH_IOMMUFD_PT";
	error = vfio_detach(&nested->device);
	if (error)
		return error;
	return destroy(nested, "IOMMU_DESTROY of the stage 1",
		       &nested->page_table);
}

static int destroy_objects(struct nested *nested)
{
	int error = nested_detach(nested);

	if (!error)
		error = destroy(nested, "IOMMU_DESTROY of the vDEVICE",
				&nested->vdevice);
	if (!error)
		error = destroy(nested, "IOMMU_DESTROY of the vIOMMU",
				&nested->viommu);
	if (!error)
		error = destroy(nested, "IOMMU_DESTROY of the nesting parent",
				&nested->parent);
	if (!error)
		error = destroy(nested, "IOMMU_DESTROY of the IOAS",
				&nested->ioas);
	return error;
}

int nested_close(struct nested *nested)
{
	int error = destroy_objects(nested);

	smmuinv_backend_free(nested->backend);
	nested->backend = NULL;
	vfio_close(&nested->device);
	if (nested->iommufd >= 0)
		close(nested->iommufd);
	nested->iommufd = -1;
	return error;
}
