/* SPDX-License-Identifier: MIT */
/*
 * One window of commands, executed by one physical SMMU: planned, sent,
 * repaired after partial failures, and an account of what is known to be done.
 */
#ifndef SMMUINV_LIB_EXECUTE_H
#define SMMUINV_LIB_EXECUTE_H

#include <stdint.h>

#include <smmuinv/backend.h>
#include <smmuinv/vsmmu.h>

#include "counters.h"
#include "plan.h"
#include "vsmmu.h"

/* A CMD_SYNC between the commands of a window. */
struct window_sync {
	uint32_t at;    /* so many commands are before it */
	uint32_t kinds; /* RANK_BIT() of those since the CMD_SYNC before it */
	struct smmuinv_command command;
};

/*
 * Commands in canonical form, and where CMD_SYNCs stood between them. Those
 * before
 * @first are not looked at; where there are such, there are no CMD_SYNCs.
 */
struct window {
	struct smmuinv_command *commands;
	const uint8_t *skip; /* not 0: nothing is to be sent; NULL: none is */
	uint32_t first;
	uint32_t count;
	const struct window_sync *syncs;
	uint32_t sync_count;
	uint32_t kinds_since; /* RANK_BIT() of those since the last CMD_SYNC */
};

/* By whom, and with what. */
struct executor {
	const struct smmuinv_vsmmu *vsmmu;
	const struct viommu *viommu;
	struct plan *plan;
};

/*
 * What became of one execution; struct smmuinv_result explains the fields.
 * Indices and numbers of guest commands count from the window's first.
 */
struct outcome {
	int error;
	enum smmuinv_cerror cerror;
	uint32_t completed;
	uint32_t fault_index;
	uint32_t fault_vsid;
	uint32_t fault_viommu;
	int host_error;
	uint32_t host_count;
	struct calls calls;
	uint32_t
		merged; /* guest commands without a host command of their own */
};

void smmuinv__execute(const struct executor *executor,
		      const struct window *window, struct outcome *outcome);

#endif /* SMMUINV_LIB_EXECUTE_H */
