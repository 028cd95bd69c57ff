/* SPDX-License-Identifier: MIT */
/*
 * Where replay's commands go: to the mock, or to the kernel.
 */
#ifndef EXAMPLE_HOST_H
#define EXAMPLE_HOST_H

#include <stddef.h>
#include <stdint.h>

#include <smmuinv/smmuinv.h>

struct host {
	struct smmuinv_backend *backend;
	uint32_t viommu;
	struct smmuinv_features features;
	/* What did not work, in words, after a failure. */
	const char *problem;

	/* A device for another stream: 0, -ENODEV when there is none left. */
	int (*next_device)(struct host *host, uint32_t *dev_id);
	/*
	 * The commands executed since the last time, for the caller to free().
	 * NULL where that is unknown. Sets both also after an error.
	 */
	int (*take_executed)(struct host *host,
			     struct smmuinv_command **commands, size_t *count);
	void (*close)(struct host *host);
	void *private;
};

/* Both return 0 or a negative errno with host->problem set. */

/* A mock whose SMMU has @features, with as many devices as are asked for. */
int host_open_mock(struct host *host, const struct smmuinv_features *features);

/*
 * The kernel's SMMU of the device @cdev, which becomes the only stream.
 * @ats: the device may use ATS.
 */
int host_open_iommufd(struct host *host, const char *cdev, bool ats);

#endif /* EXAMPLE_HOST_H */
