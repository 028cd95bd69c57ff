/* SPDX-License-Identifier: MIT */
/*
 * What every public header needs: linkage, visibility, the release number.
 */
#ifndef SMMUINV_ABI_H
#define SMMUINV_ABI_H

#include <stdint.h>

/* The layout of the structures is frozen for 64-bit pointers. */
#if UINTPTR_MAX != UINT64_MAX
#error "libsmmuinv is for 64-bit systems only"
#endif

#ifdef __cplusplus
#define SMMUINV_BEGIN_DECLS extern "C" {
#define SMMUINV_END_DECLS }
#else
#define SMMUINV_BEGIN_DECLS
#define SMMUINV_END_DECLS
#endif

#if defined(__GNUC__)
#define SMMUINV_API __attribute__((visibility("default")))
#else
#define SMMUINV_API
#endif

/** The release that this header belongs to. */
#define SMMUINV_VERSION_MAJOR 0
#define SMMUINV_VERSION_MINOR 1
#define SMMUINV_VERSION_PATCH 0

SMMUINV_BEGIN_DECLS

/**
 * smmuinv_version() - the release of the library that is running
 *
 * It can differ from the SMMUINV_VERSION_* that the program was compiled
 * against. Within one soname a newer library serves an older program.
 *
 * Return: a static string such as "0.1.0"; never NULL.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API const char *smmuinv_version(void);

SMMUINV_END_DECLS

#endif /* SMMUINV_ABI_H */
