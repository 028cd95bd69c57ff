/* SPDX-License-Identifier: MIT */
/*
 * From the entries of one window to the calls that one host is asked for.
 *
 * key turns each command into a run of what it reaches; sort brings runs
 * together that can be merged; merge joins them; emit writes the commands. No
 * command is widened in its stream, its leaf or its granule. An ASID is widened
 * only if the order needs it: see keep_order() in key.c. On a host without
 * ranges, too many pages become one TLBI_NH_ALL.
 *
 * Pure, except for the memory that is allocated when the plan is made.
 */
#ifndef SMMUINV_LIB_PLAN_H
#define SMMUINV_LIB_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/features.h>

#include "../calls.h"
#include "../command.h"

/*
 * What one host command may stand for. Two runs of a group may be merged;
 * sorted by group and @first, those that can be are neighbours.
 */
struct plan_run {
	uint64_t group;
	uint64_t first; /* the first byte, or what else there is to compare */
	uint64_t last;  /* the last byte */
	uint32_t origin;
	uint32_t source; /* the entry that it was made from */
	uint8_t ttl;
	uint8_t log2; /* ATC_INV: of the span's bytes */
	bool joined;  /* it is no longer what @source says */
};

/* Groups: the rank, for a TLBI its kind, then whom it reaches. */
#define GROUP_RANK_SHIFT 61
#define GROUP_KIND_SHIFT 59
#define GROUP_ONE_ASID   BITS(58, 58) /* so NH_VAA comes before NH_VA */
#define GROUP_ASID_SHIFT 32
#define GROUP_ASID       BITS(47, 32)
#define GROUP_TTL_SHIFT  2
#define GROUP_TG         BITS(1, 0)
#define GROUP_SID_SHIFT  22
#define GROUP_SSV_SHIFT  21
#define GROUP_G_SHIFT    20

#define GROUP_RANK(group)    ((enum command_rank)((group) >> GROUP_RANK_SHIFT))
#define GROUP_KIND(group)    ((enum tlbi_kind)((group) >> GROUP_KIND_SHIFT & 3))
#define GROUP_IS_TLBI(group) (RANK_BIT(GROUP_RANK(group)) & RANKS_TLBI)
#define GROUP_OF(rank, kind)                                     \
	((uint64_t)(rank) << GROUP_RANK_SHIFT | (uint64_t)(kind) \
							<< GROUP_KIND_SHIFT)

enum tlbi_kind {
	TLBI_EVERYTHING, /* NH_ALL, NSNH_ALL */
	TLBI_ASID,
	TLBI_PLAIN, /* an address that is merged only with its equal */
	TLBI_SPAN,
};

struct plan {
	/* Of the guest: the one granule that it was shown, or TG_ANY. */
	uint8_t granule;
	uint8_t va_bits;
	uint32_t pages_max; /* without ranges: more become TLBI_NH_ALL */
	uint32_t capacity;  /* entries in */
	/* Of the host that it plans for. */
	bool ril;
	uint8_t scale_max;

	struct plan_run *runs;
	uint32_t run_count;
	uint32_t *order[2]; /* to sort the runs */
	/* After merge: runs that stand for those that were joined to them. */
	uint32_t *heads;
	uint32_t head_count;
	/* Before these ranks a call has to end. */
	uint32_t breaks;
	/* An NH_VA with Leaf=1 must go after all tables: see keep_order(). */
	bool leaves_last;
	uint32_t keyed; /* commands that were to be sent */

	struct calls calls;
	uint32_t merged; /* commands that are part of another */
};

/* The slot of a CMD_SYNC. */
#define ENTRY_SYNC UINT32_MAX

/* There is no such entry. */
#define ENTRY_NONE UINT32_MAX

/*
 * Entries in the guest's order: commands in canonical form, and CMD_SYNCs. The
 * slot of a CMD_SYNC is ENTRY_SYNC, and its rule is the index of the next, so
 * that a search for them does not visit each entry.
 */
struct plan_window {
	const struct smmuinv_command *commands;
	const struct mark *marks;
	uint32_t count;
	uint32_t first_sync;
	uint32_t slot; /* whose plan it is: as mark.slot has it */
	bool plain;    /* only CMD_SYNCs have marks */
};

/* log2 of a granule's bytes */
#define GRANULE_LOG2(tg) (10 + 2 * (unsigned int)(tg))

/* log2 of what a leaf at the level maps; level 0: of a granule. */
static inline unsigned int leaf_log2(unsigned int tg, unsigned int ttl)
{
	unsigned int granule = GRANULE_LOG2(tg);

	return ttl ? granule + (3 - ttl) * (granule - 3) : granule;
}

/* 0 or -ENOMEM */
int smmuinv__plan_init(struct plan *plan, uint32_t capacity,
		       const struct smmuinv_features *guest,
		       uint32_t pages_max);
void smmuinv__plan_free(struct plan *plan);

/* The fewest commands with at least the window's effect. */
void smmuinv__plan_merged(struct plan *plan, const struct plan_window *window);

/* The window's commands, each by itself and in their order. */
void smmuinv__plan_as_written(struct plan *plan,
			      const struct plan_window *window);

/* The steps of smmuinv__plan_merged(). */
void smmuinv__plan_key(struct plan *plan, const struct plan_window *window);
const uint32_t *smmuinv__plan_sort(struct plan *plan);
void smmuinv__plan_merge(struct plan *plan, const uint32_t *sorted);
void smmuinv__plan_emit(struct plan *plan,
			const struct smmuinv_command *commands);

/* key: what a range command reaches. emit: a range as pages, if they are few.
 */
void smmuinv__plan_run_of_range(struct plan_run *run, const struct plan *plan,
				uint64_t dw0, uint64_t dw1);
void smmuinv__plan_emit_pages(struct plan *plan, const struct plan_run *run,
			      uint64_t dw0, uint64_t dw1);
uint64_t smmuinv__plan_pages(const struct plan_run *run);

/* merge: the order of the sort. */
static inline bool plan_before(const struct plan_run *a,
			       const struct plan_run *b)
{
	return a->group != b->group ? a->group < b->group : a->first < b->first;
}

#endif /* SMMUINV_LIB_PLAN_H */
