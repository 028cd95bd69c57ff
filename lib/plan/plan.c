/* SPDX-License-Identifier: MIT */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../feature.h"

/* The granule of all the guest's entries, if it was shown only one. */
static uint8_t granule_of(const struct smmuinv_features *guest)
{
	enum { TTF_AARCH32 = 1 };
	uint8_t shown = SMMUINV_TG_ANY;
	uint8_t tg;

	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		bool may = smmuinv__features_has_granule(
			guest, UINT64_C(1) << GRANULE_LOG2(tg));

		/* AArch32 tables have the 4K granule whatever IDR5 says. */
		if (tg == SMMUINV_TG_4K)
			may |= smmuinv_features_get(guest,
						    SMMUINV_FEATURE_TTF) &
			       TTF_AARCH32;
		if (may && shown != SMMUINV_TG_ANY)
			return SMMUINV_TG_ANY;
		if (may)
			shown = tg;
	}
	return shown;
}

int smmuinv__plan_init(struct plan *plan, uint32_t capacity,
		       const struct smmuinv_features *guest, uint32_t pages_max)
{
	uint32_t out = capacity + pages_max;

	*plan = (struct plan){
		.granule = granule_of(guest),
		/* More than 52 only 128-bit descriptors have. */
		.va_bits = smmuinv_features_get(guest, SMMUINV_FEATURE_VAX) ?
				   52 :
				   48,
		.pages_max = pages_max,
		.capacity = capacity,
		.runs = calloc(capacity, sizeof(*plan->runs)),
		.order = { calloc(capacity, sizeof(uint32_t)),
			   calloc(capacity, sizeof(uint32_t)) },
		.calls = {
			.commands = calloc(out, sizeof(struct smmuinv_command)),
			.origin = calloc(out, sizeof(uint32_t)),
			.ends = calloc(out, sizeof(uint32_t)),
		},
	};
	if (plan->runs && plan->order[0] && plan->order[1] &&
	    plan->calls.commands && plan->calls.origin && plan->calls.ends)
		return 0;
	smmuinv__plan_free(plan);
	return -ENOMEM;
}

void smmuinv__plan_free(struct plan *plan)
{
	free(plan->calls.ends);
	free(plan->calls.origin);
	free(plan->calls.commands);
	free(plan->order[1]);
	free(plan->order[0]);
	free(plan->runs);
	*plan = (struct plan){ 0 };
}

void smmuinv__plan_merged(struct plan *plan, const struct plan_window *window)
{
	smmuinv__plan_key(plan, window);
	smmuinv__plan_merge(plan, smmuinv__plan_sort(plan));
	smmuinv__plan_emit(plan, window->commands);
	plan->merged = plan->keyed > plan->calls.count ?
			       plan->keyed - plan->calls.count :
			       0;
}

static void end_call_as_written(struct calls *calls)
{
	if (calls->count && (!calls->end_count ||
			     calls->ends[calls->end_count - 1] != calls->count))
		calls->ends[calls->end_count++] = calls->count;
}

/* A range on a host without ranges, of which @pages more may become pages. */
static void write_range(struct plan *plan, const struct smmuinv_command *range,
			uint32_t index, uint32_t *pages)
{
	struct calls *calls = &plan->calls;
	struct plan_run run = { .origin = index };
	uint64_t dw0 = command_dw0(range);
	uint64_t dw1 = command_dw1(range);

	smmuinv__plan_run_of_range(&run, plan, dw0, dw1);
	if (smmuinv__plan_pages(&run) <= *pages) {
		*pages -= (uint32_t)smmuinv__plan_pages(&run);
		smmuinv__plan_emit_pages(plan, &run, dw0, dw1);
		return;
	}
	calls->commands[calls->count] =
		command_make(SMMUINV_CMD_TLBI_NH_ALL, 0);
	calls->origin[calls->count++] = index;
}

/* Commands that go down as they are, and are no ATC_INVs. */
static void write_plain(struct calls *calls, const struct plan_window *w,
			uint32_t first, uint32_t end)
{
	uint32_t *origin = calls->origin + calls->count;
	uint32_t i;

	memcpy(calls->commands + calls->count, w->commands + first,
	       (end - first) * sizeof(*w->commands));
	for (i = first; i < end; i++)
		origin[i - first] = i;
	calls->count += end - first;
}

/* A call ends between an ATC_INV and another command, too. */
static void write_marked(struct plan *plan, const struct plan_window *w,
			 uint32_t first, uint32_t end, uint32_t *pages)
{
	struct calls *calls = &plan->calls;
	bool atc_before = false;
	uint32_t i;

	for (i = first; i < end; i++) {
		const struct smmuinv_command *command = &w->commands[i];
		const struct mark *mark = &w->marks[i];
		bool atc =
			smmuinv_command_opcode(command) == SMMUINV_CMD_ATC_INV;

		if (mark->rule || (mark->slot && mark->slot != w->slot))
			continue;
		if (atc != atc_before)
			end_call_as_written(calls);
		atc_before = atc;
		if (!plan->ril && command_dw1(command) & DW1_TG)
			write_range(plan, command, i, pages);
		else
			write_plain(calls, w, i, i + 1);
	}
}

/*
 * A call ends at each CMD_SYNC. The arrays have places for every command and
 * for pages_max pages.
 */
void smmuinv__plan_as_written(struct plan *plan, const struct plan_window *w)
{
	uint32_t pages = plan->pages_max;
	uint32_t sync = w->first_sync;
	uint32_t first = 0;

	plan->calls.count = 0;
	plan->calls.end_count = 0;
	plan->merged = 0;
	while (first < w->count) {
		uint32_t end = sync < w->count ? sync : w->count;

		if (plan->ril && w->plain)
			write_plain(&plan->calls, w, first, end);
		else
			write_marked(plan, w, first, end, &pages);
		end_call_as_written(&plan->calls);
		first = end + 1;
		sync = end < w->count ? w->marks[end].rule : sync;
	}
}
