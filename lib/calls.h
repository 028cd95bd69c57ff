/* SPDX-License-Identifier: MIT */
/*
 * What one host is asked for: commands, cut into calls. A plan fills it, and
 * the executor walks it.
 */
#ifndef SMMUINV_LIB_CALLS_H
#define SMMUINV_LIB_CALLS_H

#include <stdint.h>

#include <smmuinv/command.h>

/*
 * Commands of one call have no order among each other. A call has ATC_INVs
 * only, or none: they ask devices, and fail in another way.
 */
struct calls {
	struct smmuinv_command *commands;
	uint32_t *origin; /* the first entry of the window each stands for */
	uint32_t count;
	uint32_t *ends; /* of each call: so many commands are before its end */
	uint32_t end_count;
};

#endif /* SMMUINV_LIB_CALLS_H */
