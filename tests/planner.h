/* SPDX-License-Identifier: MIT */
/*
 * A plan with all that it needs around it, as a virtual SMMU has it.
 */
#ifndef SMMUINV_TESTS_PLANNER_H
#define SMMUINV_TESTS_PLANNER_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/caches.h>

#include "check.h"
#include "granule.h"
#include "plan.h"
#include "support.h"

struct planner {
	struct smmuinv_features guest;
	struct smmuinv_features host;
	struct check_table check; /* a guest's commands */
	struct check_table legal; /* commands on the host itself, strictly */
	struct granules granules;
	struct plan plan;
};

void planner_init(struct planner *p, const struct smmuinv_features *guest,
		  const struct smmuinv_features *host, uint32_t capacity,
		  uint32_t pages_max);
void planner_free(struct planner *p);

/* A CD of the ASID: the granule of each half, ANY for one without tables. */
void planner_note(struct planner *p, uint16_t asid, uint8_t lower,
		  uint8_t upper);

/* Is it forwarded? Then its canonical form. */
bool planner_canonical(const struct planner *p,
		       const struct smmuinv_command *raw,
		       struct smmuinv_command *canonical);

/* Could the host's own driver have written it, just so? */
bool planner_legal(const struct planner *p,
		   const struct smmuinv_command *command);

/* The fewest commands for these, which are canonical. */
void planner_fewest(struct planner *p, const struct smmuinv_command *commands,
		    uint32_t count);

/* Where a TLBI by address is sure to reach: its first and its last byte. */
struct reach {
	uint64_t first;
	uint64_t last;
};

struct reach planner_reach(const struct smmuinv_command *command);

/* log2 of what an entry at the level maps (4.4.1.1). */
unsigned int planner_entry_log2(unsigned int tg, unsigned int level);

bool is_by_address(const struct smmuinv_command *command);

/* A field of a command, by the specification's tables. */
uint64_t planner_get(const struct smmuinv_command *command,
		     enum smmuinv_field field);

#endif /* SMMUINV_TESTS_PLANNER_H */
