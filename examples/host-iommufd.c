/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <errno.h>
#include <stdlib.h>

#include "nested.h"

struct kernel {
	struct nested nested;
	bool device_given;
};

static int kernel_next_device(struct host *host, uint32_t *dev_id)
{
	struct kernel *kernel = host->private;

	if (kernel->device_given)
		return -ENODEV;
	kernel->device_given = true;
	*dev_id = kernel->nested.device.id;
	return 0;
}

static void kernel_close(struct host *host)
{
	struct kernel *kernel = host->private;

	(void)nested_close(&kernel->nested);
	free(kernel);
}

int host_open_iommufd(struct host *host, const char *cdev, bool ats)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	int rc;

	*host = (struct host){
		.problem = "memory",
		.next_device = kernel_next_device,
		.close = kernel_close,
		.private = kernel,
	};
	if (!kernel)
		return -ENOMEM;
	rc = nested_open(&kernel->nested, cdev);
	if (rc) {
		host->problem = kernel->nested.step;
		free(kernel);
		return rc;
	}
	host->backend = kernel->nested.backend;
	host->viommu = kernel->nested.viommu;
	host->problem = "IOMMU_GET_HW_INFO";
	rc = smmuinv_features_from_hw_info(&host->features,
					   &kernel->nested.info.hw, ats, NULL);
	if (rc)
		kernel_close(host);
	return rc;
}
