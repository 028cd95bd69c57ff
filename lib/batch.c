/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "command.h"
#include "params.h"
#include "plan.h"
#include "stream.h"
#include "vsmmu.h"

struct smmuinv_batch {
	struct smmuinv_vsmmu *vsmmu;
	uint32_t capacity;
	/* What the guest asked for, in canonical form. */
	uint32_t count;
	struct smmuinv_command *commands;
	uint8_t *rules; /* for each, enum smmuinv_rule: why nothing is sent */
	/* From @rules_first to before @rules_end; the others have none. */
	uint32_t rules_first;
	uint32_t rules_end;
	uint32_t kinds;       /* RANK_BIT() of all of them */
	uint32_t kinds_since; /* of those since the last CMD_SYNC */
	/* CMD_SYNCs between them. */
	uint32_t sync_count;
	struct batch_sync *syncs;
	/* What the host is asked for. */
	struct plan plan;
};

static int batch_init(struct smmuinv_batch *b, struct smmuinv_vsmmu *vsmmu,
		      uint32_t capacity)
{
	b->vsmmu = vsmmu;
	b->capacity = capacity;
	b->rules_first = UINT32_MAX;
	b->commands = calloc(capacity, sizeof(*b->commands));
	b->rules = calloc(capacity, sizeof(*b->rules));
	b->syncs = calloc(capacity, sizeof(*b->syncs));
	if (!b->commands || !b->rules || !b->syncs)
		return -ENOMEM;
	return smmuinv__plan_init(&b->plan, capacity, &vsmmu->host,
				  vsmmu->pages_max);
}

int smmuinv_batch_new(struct smmuinv_vsmmu *vsmmu, uint32_t capacity,
		      struct smmuinv_batch **batch)
{
	struct smmuinv_batch *b;
	int rc;

	if (!vsmmu || !batch || !capacity ||
	    capacity > SMMUINV_BATCH_CAPACITY_MAX)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	rc = batch_init(b, vsmmu, capacity);
	if (rc) {
		smmuinv_batch_free(b);
		return rc;
	}
	*batch = b;
	return 0;
}

void smmuinv_batch_free(struct smmuinv_batch *batch)
{
	if (!batch)
		return;
	smmuinv__plan_free(&batch->plan);
	free(batch->syncs);
	free(batch->rules);
	free(batch->commands);
	free(batch);
}

uint32_t smmuinv_batch_count(const struct smmuinv_batch *batch)
{
	return batch->count;
}

static bool has_rules(const struct smmuinv_batch *batch)
{
	return batch->rules_first < batch->rules_end;
}

static void set_rule(struct smmuinv_batch *batch, uint32_t index,
		     enum smmuinv_rule rule)
{
	batch->rules[index] = (uint8_t)rule;
	if (rule == SMMUINV_RULE_NONE)
		return;
	if (index < batch->rules_first)
		batch->rules_first = index;
	if (index >= batch->rules_end)
		batch->rules_end = index + 1;
}

/* Places from @n on are free, and have no rule. */
static void free_places(struct smmuinv_batch *batch, uint32_t n)
{
	batch->count = n;
	if (batch->rules_end <= n)
		return;
	memset(batch->rules + n, SMMUINV_RULE_NONE, batch->rules_end - n);
	batch->rules_end = n;
}

/* What an empty batch knows of its commands. */
static void forget(struct smmuinv_batch *batch)
{
	batch->rules_first = UINT32_MAX;
	batch->kinds = 0;
	batch->kinds_since = 0;
	batch->sync_count = 0;
}

void smmuinv_batch_clear(struct smmuinv_batch *batch)
{
	smmuinv__batch_truncate(batch, 0);
}

uint32_t smmuinv__batch_room(const struct smmuinv_batch *batch)
{
	return batch->capacity - batch->count;
}

bool smmuinv__batch_is_full(const struct smmuinv_batch *batch)
{
	return !smmuinv__batch_room(batch);
}

void smmuinv__batch_push(struct smmuinv_batch *batch,
			 const struct smmuinv_command *canonical,
			 enum smmuinv_rule rule)
{
	if (rule == SMMUINV_RULE_NONE)
		batch->kinds_since |= RANK_BIT(command_rank(canonical));
	batch->kinds |= batch->kinds_since;
	set_rule(batch, batch->count, rule);
	batch->commands[batch->count++] = *canonical;
}

uint32_t smmuinv__batch_push_forwarded(struct smmuinv_batch *batch,
				       const struct smmuinv_command *commands,
				       uint32_t n, uint32_t *kinds)
{
	uint32_t pushed =
		smmuinv__check_forward(&batch->vsmmu->check, commands, n,
				       batch->commands + batch->count, kinds);

	batch->kinds_since |= *kinds;
	batch->kinds |= *kinds;
	batch->count += pushed;
	return pushed;
}

const struct smmuinv_command *
smmuinv__batch_rejected(const struct smmuinv_batch *batch)
{
	return &batch->commands[batch->count];
}

bool smmuinv__batch_syncs_full(const struct smmuinv_batch *batch)
{
	return batch->sync_count == batch->capacity;
}

void smmuinv__batch_push_sync(struct smmuinv_batch *batch,
			      const struct smmuinv_command *command)
{
	batch->syncs[batch->sync_count++] = (struct batch_sync){
		.at = batch->count,
		.kinds = batch->kinds_since,
		.command = *command,
	};
	batch->kinds_since = 0;
}

uint32_t smmuinv__batch_syncs(const struct smmuinv_batch *batch,
			      const struct batch_sync **syncs)
{
	*syncs = batch->syncs;
	return batch->sync_count;
}

int smmuinv_batch_sync(struct smmuinv_batch *batch)
{
	static const struct smmuinv_command none = { { 0 } };

	if (!batch)
		return -EINVAL;
	/* It orders nothing that the one before it does not. */
	if (!batch->kinds_since)
		return 0;
	smmuinv__batch_push_sync(batch, &none);
	return 0;
}

enum smmuinv_rule smmuinv__batch_rule(const struct smmuinv_batch *batch,
				      uint32_t index)
{
	return batch->rules[index];
}

const struct smmuinv_command *
smmuinv__batch_command(const struct smmuinv_batch *batch, uint32_t index)
{
	return &batch->commands[index];
}

int smmuinv_batch_add(struct smmuinv_batch *batch,
		      const struct smmuinv_command *command,
		      struct smmuinv_finding *finding)
{
	struct check_found found;
	int verdict;

	if (!batch || !command || (finding && !PARAMS_WRITABLE(finding)))
		return -EINVAL;
	verdict = smmuinv__check_run(&batch->vsmmu->check, command, &found);
	if (verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE) {
		if (smmuinv__batch_is_full(batch))
			return -ENOSPC;
		smmuinv__batch_push(batch, &found.command, found.rule);
	}
	smmuinv__check_report(finding, &found);
	return verdict;
}

/*
 * Are the streams there now? They may come and go between two tries. Commands
 * of one stream often follow each other, so the last answer is remembered.
 */
static void resolve(struct smmuinv_batch *batch, uint32_t first)
{
	uint64_t asked = UINT64_MAX;
	bool known = false;
	uint32_t i;

	if (!(batch->kinds & ~RANKS_TLBI))
		return;
	for (i = first; i < batch->count; i++) {
		const struct smmuinv_command *command = &batch->commands[i];
		uint32_t sid = command_sid(command);

		if (!command_names_stream(command) ||
		    batch->rules[i] == SMMUINV_RULE_SSID_OUT_OF_RANGE)
			continue;
		if (sid != asked)
			known = smmuinv__streams_has(batch->vsmmu->streams,
						     sid);
		asked = sid;
		set_rule(batch, i,
			 known ? SMMUINV_RULE_NONE :
				 SMMUINV_RULE_STREAM_UNKNOWN);
	}
}

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
static int invalidate(const struct smmuinv_batch *batch,
		      const struct smmuinv_command *commands, uint32_t asked,
		      uint32_t *count, struct batch_outcome *outcome)
{
	const struct smmuinv_vsmmu *v = batch->vsmmu;
	int rc;

	*count = asked;
	rc = smmuinv__backend_invalidate(v->backend, v->viommu_id, commands,
					 count);
	outcome->ioctls++;
	outcome->host_commands += asked;
	if (!rc && *count != asked)
		rc = -EPROTO;
	if (rc) {
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
static struct execution host_execute(const struct smmuinv_batch *batch,
				     const struct slice *slice,
				     struct batch_outcome *outcome)
{
	struct execution e = {
		.limit = slice->count,
		.chunk = slice->count,
		.refused = SMMUINV_INDEX_NONE,
	};

	while (e.done < e.limit) {
		const struct smmuinv_command *commands =
			slice->commands + e.done;
		uint32_t left = e.limit - e.done;
		uint32_t asked = left < e.chunk ? left : e.chunk;
		uint32_t count;
		int rc = invalidate(batch, commands, asked, &count, outcome);

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
static void conclude(const struct slice *slice, const struct execution *e,
		     uint32_t completed, struct batch_outcome *outcome)
{
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

/* Of the first @n, those that the erratum asks for twice: not ATC_INV. */
static void keep_repeated(struct slice *slice, uint32_t n)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (smmuinv_command_opcode(&slice->commands[i]) ==
		    SMMUINV_CMD_ATC_INV)
			continue;
		slice->commands[kept] = slice->commands[i];
		slice->origin[kept++] = slice->origin[i];
	}
	slice->count = kept;
}

/*
 * With the erratum, one execution is none: what the first round has done is
 * complete when the second has done it too. Leaves in @slice and @e the round
 * that says how far it came; true if all is complete.
 */
static bool execute_rounds(const struct smmuinv_batch *batch,
			   struct slice *slice, struct execution *e,
			   struct batch_outcome *outcome)
{
	struct slice twice = *slice;
	struct execution second;

	*e = host_execute(batch, slice, outcome);
	if (!batch->vsmmu->repeat)
		return e->done == slice->count;
	keep_repeated(&twice, e->done);
	second = host_execute(batch, &twice, outcome);
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

/* The ranks below the highest of @kinds. */
static uint32_t ranks_below(uint32_t kinds)
{
	return kinds ? (1u << (31 - __builtin_clz(kinds))) - 1 : 0;
}

/*
 * Before which ranks a call must end: there is a CMD_SYNC behind a lower rank
 * and before this one. What a plan joins to a command that reaches tables goes
 * with that, so all TLBIs wait for what any of them must wait for.
 */
static uint32_t breaks_of(uint32_t before, uint32_t kinds)
{
	uint32_t breaks = 0;

	if (before & RANK_BIT(COMMAND_RANK_CD_TABLE))
		breaks |= kinds & RANK_BIT(COMMAND_RANK_CD);
	if (before & RANKS_CFGI && kinds & RANKS_TLBI)
		breaks |= RANK_BIT(COMMAND_RANK_TABLE);
	if (before & RANK_BIT(COMMAND_RANK_TABLE))
		breaks |= kinds & RANK_BIT(COMMAND_RANK_LEAF);
	if (before & (RANKS_CFGI | RANKS_TLBI))
		breaks |= kinds & RANK_BIT(COMMAND_RANK_ATC);
	return breaks;
}

static uint32_t planned_breaks(const struct smmuinv_batch *batch)
{
	uint32_t breaks = 0;
	uint32_t before = 0;
	uint32_t i;

	for (i = 0; i < batch->sync_count; i++) {
		breaks |= breaks_of(before, batch->syncs[i].kinds);
		before |= batch->syncs[i].kinds;
	}
	return breaks | breaks_of(before, batch->kinds_since);
}

static struct plan_window window_of(const struct smmuinv_batch *batch,
				    uint32_t first)
{
	return (struct plan_window){
		.commands = batch->commands + first,
		.rules = has_rules(batch) ? batch->rules + first : NULL,
		.count = batch->count - first,
		.granules = &batch->vsmmu->granules,
	};
}

/*
 * The fewest commands, one rank after the other where order matters. False if
 * the host refused one: which of the guest's it was, and that all before it are
 * done, only their own order can show.
 */
static bool execute_fewest(struct smmuinv_batch *batch, uint32_t first,
			   struct batch_outcome *outcome)
{
	struct plan *plan = &batch->plan;
	const struct plan_window window = window_of(batch, first);
	uint32_t breaks = planned_breaks(batch);
	uint32_t start = 0;
	unsigned int rank;

	smmuinv__plan_fewest(plan, &window);
	for (rank = 0; rank < COMMAND_RANKS; rank++) {
		struct slice slice = {
			.commands = plan->commands + start,
			.origin = plan->origin + start,
			.count = plan->rank_end[rank] - start,
		};
		struct execution e;

		if (rank + 1 < COMMAND_RANKS && !(breaks & RANK_BIT(rank + 1)))
			continue;
		if (!execute_rounds(batch, &slice, &e, outcome)) {
			start += e.done;
			conclude(&slice, &e,
				 smallest(plan->origin + start,
					  plan->count - start),
				 outcome);
			return e.refused == SMMUINV_INDEX_NONE;
		}
		start = plan->rank_end[rank];
	}
	return true;
}

/* Where the next call has to end, at a CMD_SYNC or at the end of the batch. */
static uint32_t next_break(const struct smmuinv_batch *batch, uint32_t *sync)
{
	uint32_t before = 0;

	for (; *sync < batch->sync_count; (*sync)++) {
		const struct batch_sync *s = &batch->syncs[*sync];
		uint32_t kinds = *sync + 1 < batch->sync_count ?
					 s[1].kinds :
					 batch->kinds_since;

		before |= s->kinds;
		if (!(before & ranks_below(kinds)))
			continue;
		(*sync)++;
		return s->at;
	}
	return batch->count;
}

/* A row of the guest's commands, as they are if that is all there is to it. */
static struct slice slice_as_written(struct smmuinv_batch *batch, uint32_t from,
				     uint32_t end)
{
	const struct plan_window window = window_of(batch, 0);

	if (batch->plan.ril && !has_rules(batch) && !batch->vsmmu->repeat)
		return (struct slice){
			.commands = batch->commands + from,
			.first = from,
			.count = end - from,
		};
	end = smmuinv__plan_as_written(&batch->plan, &window, from, end);
	return (struct slice){
		.commands = batch->plan.commands,
		.origin = batch->plan.origin,
		.first = end,
		.count = batch->plan.count,
	};
}

/* One after another, in the guest's order. */
static void execute_as_written(struct smmuinv_batch *batch, uint32_t first,
			       struct batch_outcome *outcome)
{
	uint32_t from = first;
	uint32_t end = first;
	uint32_t sync = 0;

	while (from < batch->count) {
		struct slice slice;
		struct execution e;

		while (end <= from)
			end = next_break(batch, &sync);
		slice = slice_as_written(batch, from, end);
		from = slice.origin ? slice.first : end;
		if (execute_rounds(batch, &slice, &e, outcome))
			continue;
		conclude(&slice, &e,
			 (slice.origin ? slice.origin[e.done] :
					 slice.first + e.done) -
				 first,
			 outcome);
		return;
	}
}

uint32_t smmuinv__batch_dropped(const struct smmuinv_batch *batch,
				uint32_t first, uint32_t n)
{
	uint32_t end = first + n;
	uint32_t dropped = 0;
	uint32_t i = first > batch->rules_first ? first : batch->rules_first;

	if (end > batch->rules_end)
		end = batch->rules_end;
	for (; i < end; i++)
		dropped += batch->rules[i] != SMMUINV_RULE_NONE;
	return dropped;
}

/* Nothing has gone wrong yet; what it has cost so far stays. */
static void begin(const struct smmuinv_batch *batch, uint32_t first,
		  struct batch_outcome *outcome)
{
	outcome->error = 0;
	outcome->cerror = SMMUINV_CERROR_NONE;
	outcome->completed = batch->count - first;
	outcome->fault_index = SMMUINV_INDEX_NONE;
	outcome->fault_vsid = 0;
}

void smmuinv__batch_execute(struct smmuinv_batch *batch, uint32_t first,
			    struct batch_outcome *outcome)
{
	struct smmuinv_streams *streams = batch->vsmmu->streams;

	*outcome = (struct batch_outcome){ 0 };
	begin(batch, first, outcome);
	if (batch->count == first)
		return;
	smmuinv__streams_hold(streams);
	resolve(batch, first);
	if (batch->vsmmu->as_written ||
	    !execute_fewest(batch, first, outcome)) {
		begin(batch, first, outcome);
		execute_as_written(batch, first, outcome);
	}
	smmuinv__streams_release(streams);
	outcome->dropped =
		smmuinv__batch_dropped(batch, first, outcome->completed);
}

static void discard_syncs(struct smmuinv_batch *batch, uint32_t first,
			  uint32_t n)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < batch->sync_count; i++) {
		struct batch_sync sync = batch->syncs[i];

		/* One with nothing left before it orders nothing. */
		if (sync.at <= first + n)
			continue;
		sync.at -= n;
		batch->syncs[kept++] = sync;
	}
	batch->sync_count = kept;
}

void smmuinv__batch_discard(struct smmuinv_batch *batch, uint32_t first,
			    uint32_t n)
{
	uint32_t left = batch->count - first - n;

	discard_syncs(batch, first, n);
	memmove(batch->commands + first, batch->commands + first + n,
		left * sizeof(*batch->commands));
	memmove(batch->rules + first, batch->rules + first + n,
		left * sizeof(*batch->rules));
	/* Where rules are now, or anywhere before. */
	batch->rules_first = 0;
	free_places(batch, first + left);
	if (!batch->count)
		forget(batch);
}

void smmuinv__batch_truncate(struct smmuinv_batch *batch, uint32_t n)
{
	free_places(batch, n);
	batch->kinds_since = batch->kinds;
	batch->sync_count = 0;
	if (!n)
		forget(batch);
}

static void result_add(struct smmuinv_result *r, const struct batch_outcome *o)
{
	r->error = o->error;
	r->cerror = o->cerror;
	r->fault_vsid = o->fault_vsid;
	if (o->fault_index != SMMUINV_INDEX_NONE)
		r->fault_index = r->completed + o->fault_index;
	r->completed += o->completed;
	r->sent += o->completed - o->dropped;
	r->dropped += o->dropped;
	r->host_commands += o->host_commands;
	r->ioctls += o->ioctls;
	if (!o->host_error)
		return;
	r->host_error = o->host_error;
	r->host_count = o->host_count;
}

static int flush(struct smmuinv_batch *batch, struct smmuinv_result *result)
{
	struct batch_outcome outcome;

	smmuinv__batch_execute(batch, 0, &outcome);
	smmuinv__batch_discard(batch, 0, outcome.completed);
	result_add(result, &outcome);
	return outcome.error;
}

static void result_report(struct smmuinv_result *result,
			  const struct smmuinv_result *r)
{
	if (result)
		PARAMS_STORE(result, r);
}

int smmuinv_batch_flush(struct smmuinv_batch *batch,
			struct smmuinv_result *result)
{
	struct smmuinv_result r = { .fault_index = SMMUINV_INDEX_NONE };
	int rc;

	if (!batch || (result && !PARAMS_WRITABLE(result)))
		return -EINVAL;
	rc = flush(batch, &r);
	result_report(result, &r);
	return rc;
}

/* Where a verdict leaves a whole array: at @index, with the reason. */
static int stop_at(struct smmuinv_result *r, uint32_t index, int verdict,
		   const struct check_found *found)
{
	r->fault_index = index;
	r->rule = found->rule;
	r->field = found->field;
	if (verdict < 0) {
		r->error = verdict;
		return verdict;
	}
	if (verdict == SMMUINV_ILLEGAL)
		r->cerror = SMMUINV_CERROR_ILL;
	return 1;
}

/* The rules themselves, for a command that needs them. 0 if it was pushed. */
static int admit(struct smmuinv_batch *batch,
		 const struct smmuinv_command *command, uint32_t index,
		 struct smmuinv_result *r)
{
	struct check_found found;
	int verdict = smmuinv__check_run(&batch->vsmmu->check, command, &found);
	int rc;

	if (verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE) {
		smmuinv__batch_push(batch, &found.command, found.rule);
		return 0;
	}
	rc = flush(batch, r);
	return rc ? rc : stop_at(r, index, verdict, &found);
}

static int submit(struct smmuinv_batch *batch,
		  const struct smmuinv_command *commands, uint32_t count,
		  struct smmuinv_result *r)
{
	uint32_t kinds = 0;
	uint32_t i = 0;
	int rc = 0;

	while (i < count && !rc) {
		uint32_t room = smmuinv__batch_room(batch);
		uint32_t n = count - i < room ? count - i : room;
		uint32_t pushed = smmuinv__batch_push_forwarded(
			batch, commands + i, n, &kinds);

		i += pushed;
		if (pushed < n) {
			const struct smmuinv_command command =
				*smmuinv__batch_rejected(batch);

			rc = admit(batch, &command, i++, r);
		}
		if (!rc && smmuinv__batch_is_full(batch))
			rc = flush(batch, r);
	}
	return rc ? rc : flush(batch, r);
}

int smmuinv_batch_submit(struct smmuinv_batch *batch,
			 const struct smmuinv_command *commands, uint32_t count,
			 struct smmuinv_result *result)
{
	struct smmuinv_result r = { .fault_index = SMMUINV_INDEX_NONE };
	int rc;

	if (!batch || (!commands && count) ||
	    (result && !PARAMS_WRITABLE(result)))
		return -EINVAL;
	if (batch->count)
		return -EBUSY;
	rc = submit(batch, commands, count, &r);
	smmuinv_batch_clear(batch);
	result_report(result, &r);
	return rc;
}
