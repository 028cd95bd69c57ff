/* SPDX-License-Identifier: MIT */
/*
 * What is left over when everything should be gone.
 */
#ifndef GUEST_LEAKS_H
#define GUEST_LEAKS_H

#include <stdint.h>

/* How many files this process has open. */
int open_files(void);

/* The kernel gives out the lowest id that is free: a leak raises it. */
uint32_t lowest_free_id(int iommufd);

#endif
