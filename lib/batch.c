/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "command.h"
#include "params.h"
#include "stream.h"
#include "vsmmu.h"

/* A command that some vIOMMUs have executed. */
struct again {
	struct smmuinv_command command;
	uint64_t done;
};

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
	uint8_t *slots; /* for each that names a stream, whose vIOMMU has it */
	uint8_t *skip;  /* for each: the present vIOMMU has not to do it */
	/* For each before @done_end: which vIOMMUs have executed it already. */
	uint64_t *done;
	uint32_t done_end;
	uint64_t done_changes;
	/* The same of commands that were forgotten: see recognise(). */
	struct again *again;
	uint32_t again_base;
	uint32_t again_count;
	struct tally tally;
	/* Not in it yet: commands that were read, by forwarded opcode. */
	uint32_t read[COMMAND_FORWARDED];
	/* CMD_SYNCs between them. */
	uint32_t sync_count;
	struct window_sync *syncs;
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
	b->slots = calloc(capacity, sizeof(*b->slots));
	b->skip = calloc(capacity, sizeof(*b->skip));
	b->done = calloc(capacity, sizeof(*b->done));
	b->again = calloc(capacity, sizeof(*b->again));
	b->syncs = calloc(capacity, sizeof(*b->syncs));
	if (!b->commands || !b->rules || !b->slots || !b->skip || !b->done ||
	    !b->again || !b->syncs)
		return -ENOMEM;
	return smmuinv__plan_init(&b->plan, capacity, &vsmmu->guest,
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
	smmuinv__counters_join(&vsmmu->counters, &b->tally);
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
	smmuinv__counters_leave(&batch->vsmmu->counters, &batch->tally);
	smmuinv__plan_free(&batch->plan);
	free(batch->syncs);
	free(batch->again);
	free(batch->done);
	free(batch->skip);
	free(batch->slots);
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
	batch->done_end = 0;
	batch->kinds = 0;
	batch->kinds_since = 0;
	batch->sync_count = 0;
}

void smmuinv_batch_clear(struct smmuinv_batch *batch)
{
	free_places(batch, 0);
	forget(batch);
	batch->again_count = 0;
}

void smmuinv__batch_forget_again(struct smmuinv_batch *batch)
{
	batch->again_count = 0;
}

void smmuinv__batch_forget_done(struct smmuinv_batch *batch)
{
	batch->again_count = 0;
	batch->done_end = 0;
}

bool smmuinv__batch_is_full(const struct smmuinv_batch *batch)
{
	return batch->count == batch->capacity ||
	       batch->sync_count == batch->capacity;
}

struct tally *smmuinv__batch_tally(struct smmuinv_batch *batch)
{
	return &batch->tally;
}

void smmuinv__batch_push(struct smmuinv_batch *batch,
			 const struct smmuinv_command *canonical,
			 enum smmuinv_rule rule)
{
	smmuinv__tally_read(&batch->tally, smmuinv_command_opcode(canonical),
			    1);
	smmuinv__batch_push_own(batch, canonical, rule);
}

void smmuinv__batch_push_own(struct smmuinv_batch *batch,
			     const struct smmuinv_command *canonical,
			     enum smmuinv_rule rule)
{
	if (rule == SMMUINV_RULE_NONE)
		batch->kinds_since |= RANK_BIT(command_rank(canonical));
	batch->kinds |= batch->kinds_since;
	set_rule(batch, batch->count, rule);
	batch->commands[batch->count++] = *canonical;
}

/*
 * Those of @n, from the first on, that are forwarded without a closer look;
 * their ranks are added to @kinds.
 */
static uint32_t push_forwarded(struct smmuinv_batch *batch,
			       const struct smmuinv_command *commands,
			       uint32_t n, uint32_t *kinds)
{
	uint32_t these = 0;
	uint32_t pushed = smmuinv__check_forward(
		&batch->vsmmu->check, commands, n,
		batch->commands + batch->count, &these, batch->read);

	batch->count += pushed;
	batch->kinds_since |= these;
	batch->kinds |= these;
	*kinds |= these;
	return pushed;
}

struct batch_taken smmuinv__batch_take(struct smmuinv_batch *batch,
				       const struct smmuinv_command *entries,
				       uint32_t n)
{
	struct batch_taken taken = { 0 };
	uint32_t read = 0;

	while (read < n && !smmuinv__batch_is_full(batch)) {
		const struct smmuinv_command *next;
		uint32_t room = batch->capacity - batch->count;
		uint32_t most = n - read < room ? n - read : room;
		uint32_t pushed = push_forwarded(batch, entries + read, most,
						 &taken.kinds);

		read += pushed;
		taken.commands += pushed;
		if (pushed == most)
			continue;
		next = smmuinv__batch_rejected(batch);
		if (!smmuinv__check_is_sync(&batch->vsmmu->check, next))
			break;
		smmuinv__batch_push_sync(batch, next);
		read++;
		taken.syncs++;
	}
	return taken;
}

const struct smmuinv_command *
smmuinv__batch_rejected(const struct smmuinv_batch *batch)
{
	return &batch->commands[batch->count];
}

void smmuinv__batch_push_sync(struct smmuinv_batch *batch,
			      const struct smmuinv_command *command)
{
	batch->syncs[batch->sync_count++] = (struct window_sync){
		.at = batch->count,
		.kinds = batch->kinds_since,
		.command = *command,
	};
	batch->kinds_since = 0;
}

uint32_t smmuinv__batch_syncs(const struct smmuinv_batch *batch,
			      const struct window_sync **syncs)
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
	struct smmuinv_command copy;
	struct check_found found;
	int verdict;

	if (!batch || !command || (finding && !PARAMS_WRITABLE(finding)))
		return -EINVAL;
	copy = command_read_once(command);
	verdict = smmuinv__check_run(&batch->vsmmu->check, &copy, &found);
	if (verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE) {
		if (smmuinv__batch_is_full(batch))
			return -ENOSPC;
		smmuinv__batch_push(batch, &found.command, found.rule);
	} else {
		smmuinv__tally_read(&batch->tally,
				    smmuinv_command_opcode(&copy), 1);
		if (verdict == SMMUINV_ILLEGAL)
			smmuinv__tally_illegal(&batch->tally, found.rule);
	}
	smmuinv__check_report(finding, &found);
	return verdict;
}

/* Why nothing is sent for a command that names the stream. */
static enum smmuinv_rule stream_rule(const struct stream *stream,
				     const struct smmuinv_command *command)
{
	if (!stream)
		return SMMUINV_RULE_STREAM_UNKNOWN;
	if (smmuinv_command_opcode(command) == SMMUINV_CMD_ATC_INV)
		return stream->ats ? SMMUINV_RULE_NONE : SMMUINV_RULE_ATS_OFF;
	return stream->translates ? SMMUINV_RULE_NONE :
				    SMMUINV_RULE_NOT_TRANSLATING;
}

static uint8_t slot_of(const struct smmuinv_vsmmu *vsmmu,
		       const struct stream *stream)
{
	uint32_t slot = 0;

	/* A stream is on one of them, or could not have been added. */
	while (stream && vsmmu->viommus[slot].id != stream->viommu_id)
		slot++;
	return (uint8_t)slot;
}

static bool depends_on_stream(const struct smmuinv_batch *batch, uint32_t index)
{
	switch (batch->rules[index]) {
	case SMMUINV_RULE_PREFETCH:
	case SMMUINV_RULE_SSID_OUT_OF_RANGE:
		return false;
	default:
		return command_names_stream(&batch->commands[index]);
	}
}

/* The host is not there at all. */
static void resolve_nowhere(struct smmuinv_batch *batch, uint32_t first)
{
	uint32_t i;

	for (i = first; i < batch->count; i++) {
		if (batch->rules[i] == SMMUINV_RULE_NONE)
			set_rule(batch, i, SMMUINV_RULE_NO_VIOMMU);
	}
}

/*
 * Whose are the commands that name a stream, and in what state is it now?
 * Streams come and go between two tries. Commands of one stream often follow
 * each other, so the last answer is remembered.
 */
static void resolve(struct smmuinv_batch *batch, uint32_t first)
{
	const struct stream *stream = NULL;
	uint64_t asked = UINT64_MAX;
	uint8_t slot = 0;
	uint32_t i;

	if (!batch->vsmmu->viommu_count)
		resolve_nowhere(batch, first);
	if (!batch->vsmmu->viommu_count || !(batch->kinds & ~RANKS_TLBI))
		return;
	for (i = first; i < batch->count; i++) {
		const struct smmuinv_command *command = &batch->commands[i];
		uint32_t sid = command_sid(command);

		if (!depends_on_stream(batch, i))
			continue;
		if (sid != asked) {
			stream = smmuinv__streams_get(batch->vsmmu->streams,
						      sid);
			slot = slot_of(batch->vsmmu, stream);
			asked = sid;
		}
		set_rule(batch, i, stream_rule(stream, command));
		batch->slots[i] = slot;
	}
}

/*
 * With several vIOMMUs, one may have executed what another has not. So that a
 * retry does not repeat it, it is remembered for each command, until the list
 * of vIOMMUs changes.
 */
static bool has_done(const struct smmuinv_batch *batch)
{
	return batch->done_end &&
	       batch->done_changes == batch->vsmmu->viommu_changes;
}

static bool is_done(const struct smmuinv_batch *batch, uint32_t index,
		    uint32_t slot)
{
	return has_done(batch) && index < batch->done_end &&
	       batch->done[index] >> slot & 1;
}

/* What a vIOMMU has nothing to do with; NULL if that is nothing. */
static const uint8_t *skip_of(struct smmuinv_batch *batch, uint32_t first,
			      uint32_t slot)
{
	uint32_t i;

	if (batch->vsmmu->viommu_count == 1)
		return has_rules(batch) ? batch->rules : NULL;
	for (i = first; i < batch->count; i++)
		batch->skip[i] = batch->rules[i] != SMMUINV_RULE_NONE ||
				 (command_names_stream(&batch->commands[i]) &&
				  batch->slots[i] != slot) ||
				 is_done(batch, i, slot);
	return batch->skip;
}

/* The first @n commands from @first on are done where they concern @slot. */
static void remember_done(struct smmuinv_batch *batch, uint32_t first,
			  uint32_t n, uint32_t slot)
{
	const uint8_t *skip = skip_of(batch, first, slot);
	uint32_t i;

	for (i = first; i < first + n; i++) {
		if (!skip[i])
			batch->done[i] |= UINT64_C(1) << slot;
	}
}

/* A window that one vIOMMU has failed at. */
static void remember(struct smmuinv_batch *batch, uint32_t first,
		     const uint32_t *completed)
{
	uint32_t slot;
	uint32_t i;

	if (!has_done(batch))
		batch->done_end = 0;
	for (i = batch->done_end; i < batch->count; i++)
		batch->done[i] = 0;
	for (slot = 0; slot < batch->vsmmu->viommu_count; slot++)
		remember_done(batch, first, completed[slot], slot);
	batch->done_end = batch->count;
	batch->done_changes = batch->vsmmu->viommu_changes;
}

/* Commands that were forgotten, and come again as they were. */
static void recognise(struct smmuinv_batch *batch)
{
	uint32_t base = batch->again_base;
	uint32_t i;

	if (!batch->again_count)
		return;
	for (i = 0; i < batch->again_count && base + i < batch->count; i++) {
		if (memcmp(&batch->commands[base + i], &batch->again[i].command,
			   sizeof(batch->again[i].command)))
			break;
		batch->done[base + i] = batch->again[i].done;
	}
	batch->done_end = base + i;
	batch->again_count = 0;
}

/*
 * Of two failures, that at the earlier command. But a time-out of ATC_INVs, which
 * the guest sees, hides none that only the VMM can mend.
 */
static bool is_worse(const struct outcome *a, const struct outcome *b)
{
	if (!a->error || !b->error)
		return a->error;
	if (a->cerror != b->cerror)
		return a->cerror == SMMUINV_CERROR_NONE;
	return a->completed < b->completed;
}

static void calls_add(struct calls *sum, const struct calls *more)
{
	sum->ioctls += more->ioctls;
	sum->commands += more->commands;
	sum->failed += more->failed;
	sum->retries += more->retries;
	sum->repeats += more->repeats;
}

static void join(struct outcome *sum, const struct outcome *one)
{
	struct outcome before = *sum;

	if (is_worse(one, sum))
		*sum = *one;
	if (before.completed < one->completed)
		sum->completed = before.completed;
	else
		sum->completed = one->completed;
	sum->host_error = one->host_error ? one->host_error : before.host_error;
	sum->host_count = one->host_error ? one->host_count : before.host_count;
	sum->calls = before.calls;
	calls_add(&sum->calls, &one->calls);
	sum->merged = before.merged + one->merged;
}

static void execute_on(struct smmuinv_batch *batch, uint32_t first,
		       uint32_t slot, struct outcome *outcome)
{
	const struct executor executor = {
		.vsmmu = batch->vsmmu,
		.viommu = &batch->vsmmu->viommus[slot],
		.plan = &batch->plan,
	};
	const struct window window = {
		.commands = batch->commands,
		.skip = skip_of(batch, first, slot),
		.first = first,
		.count = batch->count,
		.syncs = batch->syncs,
		.sync_count = batch->sync_count,
		.kinds_since = batch->kinds_since,
	};

	smmuinv__execute(&executor, &window, outcome);
}

/* A failure of one does not keep the others from doing their part. */
static void execute_everywhere(struct smmuinv_batch *batch, uint32_t first,
			       struct outcome *outcome)
{
	uint32_t completed[SMMUINV_VIOMMUS_MAX];
	uint32_t count = batch->vsmmu->viommu_count;
	uint32_t slot;

	if (count == 1) {
		execute_on(batch, first, 0, outcome);
		return;
	}
	for (slot = 0; slot < count; slot++) {
		struct outcome one;

		execute_on(batch, first, slot, &one);
		completed[slot] = one.completed;
		join(outcome, &one);
	}
	if (outcome->error)
		remember(batch, first, completed);
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

/* Commands that name streams are counted there too. */
static void count_streams(struct smmuinv_batch *batch, uint32_t first,
			  uint32_t n)
{
	struct stream *stream = NULL;
	uint64_t asked = UINT64_MAX;
	uint32_t i;

	if (!(batch->kinds & ~RANKS_TLBI))
		return;
	for (i = first; i < first + n; i++) {
		uint32_t sid = command_sid(&batch->commands[i]);

		if (!depends_on_stream(batch, i))
			continue;
		if (sid != asked)
			stream = smmuinv__streams_get(batch->vsmmu->streams,
						      sid);
		asked = sid;
		if (!stream)
			continue;
		counter_add_shared(batch->rules[i] == SMMUINV_RULE_NONE ?
					   &stream->forwarded :
					   &stream->dropped,
				   1);
	}
}

static void count_read(struct smmuinv_batch *batch)
{
	unsigned int i;

	for (i = 0; i < COMMAND_FORWARDED; i++) {
		if (!batch->read[i])
			continue;
		smmuinv__tally_read(&batch->tally,
				    smmuinv__forwarded_opcodes[i],
				    batch->read[i]);
		batch->read[i] = 0;
	}
}

static void count_rules(struct smmuinv_batch *batch, uint32_t first, uint32_t n)
{
	uint32_t i;

	if (!has_rules(batch))
		return;
	for (i = first; i < first + n; i++) {
		if (batch->rules[i] != SMMUINV_RULE_NONE)
			smmuinv__tally_dropped(&batch->tally, batch->rules[i]);
	}
}

static void count_window(struct smmuinv_batch *batch, uint32_t first,
			 const struct outcome *o)
{
	struct smmuinv_counters *now = &batch->tally.now;
	uint32_t dropped = smmuinv__batch_dropped(batch, first, o->completed);

	count_read(batch);
	count_rules(batch, first, o->completed);
	counter_add(&now->forwarded, o->completed - dropped);
	counter_add(&now->merged, o->merged);
}

/* What the library does of itself is nobody's to be counted for. */
static void execute(struct smmuinv_batch *batch, uint32_t first, bool own,
		    struct outcome *outcome)
{
	struct smmuinv_streams *streams = batch->vsmmu->streams;

	*outcome = (struct outcome){
		.completed = batch->count - first,
		.fault_index = SMMUINV_INDEX_NONE,
	};
	if (batch->count == first)
		return;
	smmuinv__streams_hold(streams);
	recognise(batch);
	resolve(batch, first);
	execute_everywhere(batch, first, outcome);
	if (!own)
		count_streams(batch, first, outcome->completed);
	smmuinv__streams_release(streams);
	smmuinv__tally_calls(&batch->tally, &outcome->calls);
	if (!own)
		count_window(batch, first, outcome);
}

void smmuinv__batch_execute(struct smmuinv_batch *batch, uint32_t first,
			    struct outcome *outcome)
{
	execute(batch, first, false, outcome);
}

void smmuinv__batch_execute_own(struct smmuinv_batch *batch, uint32_t first,
				struct outcome *outcome)
{
	execute(batch, first, true, outcome);
}

static void discard_syncs(struct smmuinv_batch *batch, uint32_t first,
			  uint32_t n)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < batch->sync_count; i++) {
		struct window_sync sync = batch->syncs[i];

		/* One with nothing left before it orders nothing. */
		if (sync.at <= first + n)
			continue;
		sync.at -= n;
		batch->syncs[kept++] = sync;
	}
	batch->sync_count = kept;
}

static void discard_done(struct smmuinv_batch *batch, uint32_t first,
			 uint32_t n)
{
	if (batch->done_end > first + n) {
		memmove(batch->done + first, batch->done + first + n,
			(batch->done_end - first - n) * sizeof(*batch->done));
		batch->done_end -= n;
	} else if (batch->done_end > first) {
		batch->done_end = first;
	}
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
	discard_done(batch, first, n);
}

/* What is forgotten may come again, and be known then. */
static void keep_done(struct smmuinv_batch *batch, uint32_t n)
{
	uint32_t i;

	batch->again_base = n;
	batch->again_count = 0;
	for (i = n; i < batch->done_end; i++)
		batch->again[batch->again_count++] = (struct again){
			.command = batch->commands[i],
			.done = batch->done[i],
		};
	if (batch->done_end > n)
		batch->done_end = n;
}

void smmuinv__batch_truncate(struct smmuinv_batch *batch, uint32_t n)
{
	keep_done(batch, n);
	free_places(batch, n);
	batch->kinds_since = batch->kinds;
	batch->sync_count = 0;
	if (!n)
		forget(batch);
}

static void result_add(struct smmuinv_result *r, const struct outcome *o,
		       uint32_t dropped)
{
	r->error = o->error;
	r->cerror = o->cerror;
	r->fault_vsid = o->fault_vsid;
	r->fault_viommu = o->fault_viommu;
	if (o->fault_index != SMMUINV_INDEX_NONE)
		r->fault_index = r->completed + o->fault_index;
	r->completed += o->completed;
	r->sent += o->completed - dropped;
	r->dropped += dropped;
	r->host_commands += o->calls.commands;
	r->ioctls += o->calls.ioctls;
	if (!o->host_error)
		return;
	r->host_error = o->host_error;
	r->host_count = o->host_count;
}

static int flush(struct smmuinv_batch *batch, struct smmuinv_result *result)
{
	struct outcome outcome;
	uint32_t dropped;

	smmuinv__batch_execute(batch, 0, &outcome);
	dropped = smmuinv__batch_dropped(batch, 0, outcome.completed);
	smmuinv__batch_discard(batch, 0, outcome.completed);
	result_add(result, &outcome, dropped);
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
	smmuinv__tally_read(&batch->tally, smmuinv_command_opcode(command), 1);
	rc = flush(batch, r);
	if (rc)
		return rc;
	if (verdict == SMMUINV_ILLEGAL)
		smmuinv__tally_illegal(&batch->tally, found.rule);
	return stop_at(r, index, verdict, &found);
}

static int submit(struct smmuinv_batch *batch,
		  const struct smmuinv_command *commands, uint32_t count,
		  struct smmuinv_result *r)
{
	uint32_t i = 0;
	int rc = 0;

	while (i < count && !rc) {
		uint32_t room = batch->capacity - batch->count;
		uint32_t n = count - i < room ? count - i : room;
		uint32_t kinds = 0;
		uint32_t pushed =
			push_forwarded(batch, commands + i, n, &kinds);

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
