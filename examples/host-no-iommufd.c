/* SPDX-License-Identifier: MIT */
/* Built where <linux/iommufd.h> is older than vIOMMUs. */
#include "host.h"

#include <errno.h>

int host_open_iommufd(struct host *host, const char *cdev, bool ats)
{
	(void)cdev;
	(void)ats;
	*host = (struct host){
		.problem = "this build lacks it: it needs the headers of "
			   "Linux 6.13 or newer",
	};
	return -EOPNOTSUPP;
}
