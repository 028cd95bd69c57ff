/* SPDX-License-Identifier: MIT */
#include "execute.h"

#include <errno.h>

#include <smmuinv/batch.h>

#include "backend.h"
#include "command.h"

/* Commands for the host, and of which of the batch's each is the first part. */
struct slice {
	struct smmuinv_command *commands;
	uint32_t *origin; /* NULL: in a row from @first on */
	uint32_t first;
	uint32_t count;
};

/* A run of calls, and how far it has come. Indices are those of the slice. */
struct execution {
	uint32_t done;    /* commands known to be executed, from the first */
	uint32_t limit;   /* commands worth sending */
	uint32_t chunk;   /* at most so many in a call */
	uint32_t refused; /* the command that the kernel refused, or NONE */
	int error;        /* why not all are worth sending */
	bool atc_timed_out;
};

/*
 * How many commands of a failed call are worth believing in enough to be sent
 * again. Only a refusal (-EIO) leaves a count that means something: everything
 * before it was accepted, but since the last 63-entry boundary not sent to the
 * hardware. With every other error nothing is certain.
 */
static uint32_t accepted(int error, uint32_t asked, uint32_t count)
{
	return error == -EIO && count < asked ? count : 0;
}

static bool has_atc_inv(const struct smmuinv_command *commands, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (smmuinv_command_opcode(&commands[i]) == SMMUINV_CMD_ATC_INV)
			return true;
	}
	return false;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The kernel syncs by blocks of 63: a smaller call should not waste one. */
static uint32_t half_of(uint32_t n)
{
	enum { BLOCK = 63 };

	return n / 2 > BLOCK ? n / 2 / BLOCK * BLOCK : n / 2;
}

/*
 * A failed call. For lack of memory it is tried again in smaller ones, which
 * the kernel may have memory for; otherwise the accepted prefix is all that is
 * still worth sending.
 */
static void absorb(struct execution *e, const struct smmuinv_command *commands,
		   int rc, uint32_t asked, uint32_t count)
{
	if (rc == -ENOMEM && asked > 1) {
		e->chunk = half_of(asked);
		return;
	}
	e->error = rc;
	e->limit = e->done + accepted(rc, asked, count);
	e->refused =
		rc == -EIO && count < asked ? e->limit : SMMUINV_INDEX_NONE;
	e->atc_timed_out = rc == -ETIMEDOUT && has_atc_inv(commands, asked);
}

/* An answer that claims success for another number of commands is none. */
static int invalidate(const struct executor *x,
		      const struct smmuinv_command *commands, uint32_t asked,
		      uint32_t *count, struct outcome *outcome)
{
	int rc;

	*count = asked;
	rc = smmuinv__backend_invalidate(x->vsmmu->backend, x->viommu->id,
					 commands, count);
	outcome->calls.retries += outcome->calls.failed != 0;
	outcome->calls.ioctls++;
	outcome->calls.commands += asked;
	if (!rc && *count != asked)
		rc = -EPROTO;
	if (rc) {
		outcome->calls.failed++;
		outcome->host_error = rc;
		outcome->host_count = *count;
	}
	return rc;
}

/*
 * After a refusal the accepted prefix is sent by itself, until a call succeeds
 * as a whole: only such a call ends in a sync that covers all its commands.
 * Every turn gets further, makes the calls smaller, or leaves fewer commands to
 * send, so there is an end to them.
 */
static struct execution host_execute(const struct executor *x,
				     const struct slice *slice,
				     struct outcome *outcome)
{
	struct execution e = {
		.limit = slice->count,
		/* Pages may be more: of more the kernel warns in its log. */
		.chunk = smaller(slice->count, SMMUINV_BATCH_CAPACITY_MAX),
		.refused = SMMUINV_INDEX_NONE,
	};

	while (e.done < e.limit) {
		const struct smmuinv_command *commands =
			slice->commands + e.done;
		uint32_t asked = smaller(e.limit - e.done, e.chunk);
		uint32_t count;
		int rc = invalidate(x, commands, asked, &count, outcome);

		if (rc)
			absorb(&e, commands, rc, asked, count);
		else
			e.done += asked;
	}
	return e;
}

/*
 * A canonical command that names a stream is refused when its vDEVICE is gone;
 * -ENOENT says that the vIOMMU is.
 */
static bool device_gone(const struct slice *slice, const struct execution *e)
{
	return e->error == -EIO && e->refused == e->done &&
	       command_names_stream(&slice->commands[e->done]);
}

/* Why @slice is not complete after @e, and that @completed commands are. */
static void conclude(const struct executor *x, const struct slice *slice,
		     const struct execution *e, uint32_t completed,
		     struct outcome *outcome)
{
	outcome->fault_viommu = x->viommu->id;
	/* -ENODEV is for streams; of a backend's own it says less than -EIO. */
	outcome->error = e->error == -ENODEV ? -EIO : e->error;
	outcome->cerror = e->atc_timed_out ? SMMUINV_CERROR_ATC_INV_SYNC :
					     SMMUINV_CERROR_NONE;
	outcome->completed = completed;
	outcome->fault_index = completed;
	if (!device_gone(slice, e))
		return;
	outcome->error = -ENODEV;
	outcome->fault_vsid = command_sid(&slice->commands[e->done]);
}

static void swap(struct slice *slice, uint32_t a, uint32_t b)
{
	struct smmuinv_command command = slice->commands[a];
	uint32_t origin = slice->origin[a];

	slice->commands[a] = slice->commands[b];
	slice->commands[b] = command;
	slice->origin[a] = slice->origin[b];
	slice->origin[b] = origin;
}

/*
 * Of the first @n, those that the erratum asks for twice: not ATC_INV. The
 * others go behind them, so that nothing is missing for who looks at all.
 */
static void keep_repeated(struct slice *slice, uint32_t n)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (smmuinv_command_opcode(&slice->commands[i]) ==
		    SMMUINV_CMD_ATC_INV)
			continue;
		swap(slice, i, kept++);
	}
	slice->count = kept;
}

/*
 * With the erratum, one execution is none: what the first round has done is
 * complete when the second has done it too. Leaves in @slice and @e the round
 * that says how far it came; true if all is complete.
 */
static bool execute_rounds(const struct executor *x, struct slice *slice,
			   struct execution *e, struct outcome *outcome)
{
	struct execution second;
	struct slice twice;

	*e = host_execute(x, slice, outcome);
	if (!x->viommu->repeat)
		return e->done == slice->count;
	twice = *slice;
	keep_repeated(&twice, e->done);
	second = host_execute(x, &twice, outcome);
	outcome->calls.repeats += twice.count;
	if (second.done == twice.count)
		return e->done == slice->count;
	*slice = twice;
	*e = second;
	return false;
}

static uint32_t smallest(const uint32_t *numbers, uint32_t n)
{
	uint32_t least = UINT32_MAX;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (numbers[i] < least)
			least = numbers[i];
	}
	return least;
}

/* The highest of @kinds and all below, or none. */
static uint32_t ranks_upto(uint32_t kinds)
{
	return kinds ? (2u << (31 - __builtin_clz(kinds))) - 1 : 0;
}

/* The ranks below the highest of @kinds. */
static uint32_t ranks_below(uint32_t kinds)
{
	return ranks_upto(kinds) >> 1;
}

/*
 * For each rank, the lower ones that there are behind a CMD_SYNC before it.
 * What a plan joins to a command that reaches tables goes with that, so all
 * TLBIs wait for what any of them must wait for.
 */
struct behind {
	uint32_t ranks[COMMAND_RANKS];
};

static void look_behind(struct behind *behind, uint32_t before, uint32_t kinds)
{
	unsigned int rank;

	if (!(before & ranks_below(kinds)))
		return;
	for (rank = 1; rank < COMMAND_RANKS; rank++) {
		if (kinds & RANK_BIT(rank))
			behind->ranks[rank] |= before & (RANK_BIT(rank) - 1);
	}
	if (kinds & RANKS_TLBI)
		behind->ranks[COMMAND_RANK_TABLE] |= before & RANKS_CFGI;
}

/*
 * Before which ranks a call must end, so that what is behind a CMD_SYNC goes
 * down in an earlier one; as few as can be, so each as late as can be.
 */
static uint32_t breaks_of(const struct behind *behind)
{
	uint32_t breaks = 0;
	unsigned int rank;

	for (rank = 1; rank < COMMAND_RANKS; rank++) {
		uint32_t upto = RANK_BIT(rank + 1) - 1;

		/* Between the highest behind it and the rank itself. */
		if (behind->ranks[rank] &&
		    !(breaks & upto & ~ranks_upto(behind->ranks[rank])))
			breaks |= RANK_BIT(rank);
	}
	return breaks;
}

static uint32_t planned_breaks(const struct window *w)
{
	struct behind behind = { { 0 } };
	uint32_t before = 0;
	uint32_t i;

	for (i = 0; i < w->sync_count; i++) {
		look_behind(&behind, before, w->syncs[i].kinds);
		before |= w->syncs[i].kinds;
	}
	look_behind(&behind, before, w->kinds_since);
	return breaks_of(&behind);
}

static struct plan_window plan_window(const struct executor *x,
				      const struct window *w, uint32_t first)
{
	return (struct plan_window){
		.commands = w->commands + first,
		.rules = w->skip ? w->skip + first : NULL,
		.count = w->count - first,
		.granules = &x->vsmmu->granules,
	};
}

/* What the VMM wants to see of a window that was sent. */
static void trace(const struct executor *x, const struct window *w,
		  const struct slice *slice, const struct outcome *outcome)
{
	if (x->vsmmu->trace && slice->count)
		x->vsmmu->trace(x->vsmmu->trace_opaque,
				&(const struct smmuinv_trace){
					.size = sizeof(struct smmuinv_trace),
					.viommu_id = x->viommu->id,
					.guest = w->commands + w->first,
					.guest_count = w->count - w->first,
					.host = slice->commands,
					.host_count = slice->count,
					.error = outcome->error,
				});
}

/*
 * The fewest commands, one rank after the other where order matters. False if
 * the host refused one: which of the guest's it was, and that all before it are
 * done, only their own order can show.
 */
static bool execute_fewest(const struct executor *x, const struct window *w,
			   struct outcome *outcome)
{
	struct plan *plan = x->plan;
	const struct plan_window window = plan_window(x, w, w->first);
	/* Before these ranks a call ends, and behind the last. */
	uint32_t breaks = planned_breaks(w) | RANK_BIT(COMMAND_RANKS);
	uint32_t start = 0;

	smmuinv__plan_fewest(plan, &window);
	for (; breaks; breaks &= breaks - 1) {
		uint32_t end = plan->rank_end[__builtin_ctz(breaks) - 1];
		struct slice slice = {
			.commands = plan->commands + start,
			.origin = plan->origin + start,
			.count = end - start,
		};
		struct execution e;
		bool complete;

		complete = execute_rounds(x, &slice, &e, outcome);
		start += e.done;
		if (!complete)
			conclude(x, &slice, &e,
				 smallest(plan->origin + start,
					  plan->count - start),
				 outcome);
		trace(x, w, &slice, outcome);
		if (!complete)
			return e.refused == SMMUINV_INDEX_NONE;
		start = end;
	}
	outcome->merged = plan->merged;
	return true;
}

/* Where the next call has to end, at a CMD_SYNC or at the end of the window. */
static uint32_t next_break(const struct window *w, uint32_t *sync)
{
	uint32_t before = 0;

	for (; *sync < w->sync_count; (*sync)++) {
		const struct window_sync *s = &w->syncs[*sync];
		uint32_t kinds =
			*sync + 1 < w->sync_count ? s[1].kinds : w->kinds_since;

		before |= s->kinds;
		if (!(before & ranks_below(kinds)))
			continue;
		(*sync)++;
		return s->at;
	}
	return w->count;
}

/* A row of the guest's commands, as they are if that is all there is to it. */
static struct slice slice_as_written(const struct executor *x,
				     const struct window *w, uint32_t from,
				     uint32_t end, uint32_t *pages_left)
{
	const struct plan_window window = plan_window(x, w, 0);

	if (x->plan->host.ril && !w->skip && !x->viommu->repeat)
		return (struct slice){
			.commands = w->commands + from,
			.first = from,
			.count = end - from,
		};
	smmuinv__plan_as_written(x->plan, &window, from, end, pages_left);
	return (struct slice){
		.commands = x->plan->commands,
		.origin = x->plan->origin,
		.count = x->plan->count,
	};
}

/* One after another, in the guest's order. */
static void execute_as_written(const struct executor *x, const struct window *w,
			       struct outcome *outcome)
{
	uint32_t pages_left = x->plan->pages_max;
	uint32_t from = w->first;
	uint32_t sync = 0;
	bool complete = true;

	while (complete && from < w->count) {
		uint32_t end = next_break(w, &sync);
		struct slice slice;
		struct execution e;

		slice = slice_as_written(x, w, from, end, &pages_left);
		from = end;
		complete = execute_rounds(x, &slice, &e, outcome);
		if (!complete)
			conclude(x, &slice, &e,
				 (slice.origin ? slice.origin[e.done] :
						 slice.first + e.done) -
					 w->first,
				 outcome);
		trace(x, w, &slice, outcome);
	}
}

/* Nothing has gone wrong yet; what it has cost so far stays. */
static void begin(const struct window *w, struct outcome *outcome)
{
	outcome->error = 0;
	outcome->cerror = SMMUINV_CERROR_NONE;
	outcome->completed = w->count - w->first;
	outcome->fault_index = SMMUINV_INDEX_NONE;
	outcome->fault_vsid = 0;
	outcome->fault_viommu = 0;
}

void smmuinv__execute(const struct executor *executor,
		      const struct window *window, struct outcome *outcome)
{
	*outcome = (struct outcome){ 0 };
	begin(window, outcome);
	executor->plan->host = executor->viommu->plan;
	if (!executor->vsmmu->as_written &&
	    execute_fewest(executor, window, outcome))
		return;
	begin(window, outcome);
	execute_as_written(executor, window, outcome);
}
