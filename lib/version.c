/* SPDX-License-Identifier: MIT */
#include <smmuinv/abi.h>

#define TEXT_OF(x) #x
#define TEXT(x)    TEXT_OF(x)

const char *smmuinv_version(void)
{
	return TEXT(SMMUINV_VERSION_MAJOR) "." TEXT(
		SMMUINV_VERSION_MINOR) "." TEXT(SMMUINV_VERSION_PATCH);
}
