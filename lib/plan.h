/* SPDX-License-Identifier: MIT */
/*
 * From the commands of one window to what the host is asked for.
 *
 * Commands that a window holds have no order that the guest could rely on but
 * that of the ranks. So they are sorted by rank, and within a rank by what they
 * reach; what is said twice or is part of something else is said once, and what
 * touches becomes one range (4.4.1.1). Nothing is widened in its ASID, its
 * stream or its leaf; nor in its granule, but for a single one of any level,
 * which only a command without TG can name.
 *
 * Pure but for the memory that is allocated when the plan is made.
 */
#ifndef SMMUINV_LIB_PLAN_H
#define SMMUINV_LIB_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/command.h>
#include <smmuinv/features.h>

#include "command.h"
#include "granule.h"

struct plan_run;

/* Hash slots that know where an equal command was seen. */
#define PLAN_SLOTS 1024u

/* What a plan looks at of a host's SMMU. */
struct plan_host {
	bool ril;
	uint8_t scale_max;
};

struct plan {
	struct plan_host host; /* for which it plans */
	uint32_t pages_max; /* without ranges: beyond so many pages, all goes */

	uint32_t capacity; /* commands in */
	uint32_t room;     /* commands out */
	struct plan_run *runs;
	uint32_t *order[2]; /* to sort the runs */
	uint32_t slots[PLAN_SLOTS];
	uint32_t run_count;

	/* What the host is asked for. */
	uint32_t count;
	uint32_t merged; /* commands of the window that are in another's */
	struct smmuinv_command *commands;
	uint32_t *origin; /* the first of the window's commands it stands for */
	uint32_t rank_end[COMMAND_RANKS]; /* so many are of a rank up to this */
};

/* Commands in canonical form. */
struct plan_window {
	const struct smmuinv_command *commands;
	const uint8_t *rules; /* not 0: nothing is to be sent; NULL: none is */
	uint32_t count;
	const struct granules *granules;
};

/* Default of smmuinv_vsmmu_params.pages_max; docs/performance.md has why. */
#define PLAN_PAGES_MAX_DEFAULT 512u

int smmuinv__plan_init(struct plan *plan, uint32_t capacity,
		       const struct smmuinv_features *host, uint32_t pages_max);
void smmuinv__plan_free(struct plan *plan);

struct plan_host smmuinv__plan_host(const struct smmuinv_features *features);

/* The fewest commands with at least the window's effect, sorted by rank. */
void smmuinv__plan_fewest(struct plan *plan, const struct plan_window *window);

/*
 * The window's commands from @from to before @end, each by itself and in their
 * order. For a host without ranges they become as many pages as are @left of
 * pages_max, and beyond that TLBI_NH_ALLs.
 */
void smmuinv__plan_as_written(struct plan *plan,
			      const struct plan_window *window, uint32_t from,
			      uint32_t end, uint32_t *left);

#endif /* SMMUINV_LIB_PLAN_H */
