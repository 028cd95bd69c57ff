/* SPDX-License-Identifier: MIT */
#include "leaks.h"

#include <dirent.h>

#include "cmocka-all.h"
#include "iommufd.h"

int open_files(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

uint32_t lowest_free_id(int iommufd)
{
	uint32_t id;

	assert_int_equal(iommufd_ioas_alloc(iommufd, &id), 0);
	assert_int_equal(iommufd_destroy(iommufd, id), 0);
	return id;
}
