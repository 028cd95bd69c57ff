/* SPDX-License-Identifier: MIT */
/*
 * The backend that is the Linux kernel, 6.13 or newer.
 */
#ifndef SMMUINV_IOMMUFD_H
#define SMMUINV_IOMMUFD_H

#include <smmuinv/abi.h>
#include <smmuinv/backend.h>

SMMUINV_BEGIN_DECLS

/**
 * smmuinv_iommufd_new() - a backend over an open /dev/iommu
 * @fd: the VMM's file descriptor; borrowed until the backend is freed, never
 *	closed
 * @backend: the backend; free it with smmuinv_backend_free()
 *
 * Asks the kernel at once whether it has vIOMMUs, without making anything.
 *
 * Return: 0; -EINVAL for NULL; -EBADF if @fd is not open; -ENOTTY if it is not
 * an iommufd; -EOPNOTSUPP if the kernel has iommufd but no vIOMMUs (before
 * 6.13); -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_iommufd_new(int fd, struct smmuinv_backend **backend);

SMMUINV_END_DECLS

#endif /* SMMUINV_IOMMUFD_H */
