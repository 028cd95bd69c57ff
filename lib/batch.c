/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "params.h"

int smmuinv_batch_new(struct smmuinv_vsmmu *vsmmu, uint32_t capacity,
		      struct smmuinv_batch **batch)
{
	struct smmuinv_batch *b;

	if (!vsmmu || !batch || !capacity ||
	    capacity > SMMUINV_BATCH_CAPACITY_MAX)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->vsmmu = vsmmu;
	smmuinv__tally_join(vsmmu, &b->tally);
	b->capacity = capacity;
	b->commands = calloc(capacity, sizeof(*b->commands));
	b->marks = calloc(capacity, sizeof(*b->marks));
	if (!b->commands || !b->marks ||
	    smmuinv__plan_init(&b->plan, capacity, &vsmmu->guest,
			       vsmmu->pages_max)) {
		smmuinv_batch_free(b);
		return -ENOMEM;
	}
	smmuinv_batch_clear(b);
	*batch = b;
	return 0;
}

void smmuinv_batch_free(struct smmuinv_batch *batch)
{
	if (!batch)
		return;
	smmuinv__tally_leave(batch->vsmmu, &batch->tally);
	smmuinv__plan_free(&batch->plan);
	free(batch->marks);
	free(batch->commands);
	free(batch);
}

/* Only CMD_SYNCs have marks. */
static bool is_plain(const struct smmuinv_batch *batch)
{
	return !batch->rules && !(batch->kinds & ~RANKS_TLBI);
}

void smmuinv_batch_clear(struct smmuinv_batch *batch)
{
	uint32_t sync = batch->first_sync;

	if (!is_plain(batch))
		memset(batch->marks, 0, batch->count * sizeof(*batch->marks));
	while (is_plain(batch) && sync < batch->count) {
		uint32_t next = batch->marks[sync].rule;

		batch->marks[sync] = (struct mark){ 0 };
		sync = next;
	}
	batch->count = 0;
	batch->first_sync = ENTRY_NONE;
	batch->last_sync = ENTRY_NONE;
	batch->kinds = 0;
	batch->rules = false;
}

void smmuinv__batch_push(struct smmuinv_batch *batch,
			 const struct smmuinv_command *canonical, uint32_t rule)
{
	batch->kinds |= RANK_BIT(command_rank(canonical));
	batch->rules |= rule != SMMUINV_RULE_NONE;
	batch->marks[batch->count] = (struct mark){ .rule = rule };
	batch->commands[batch->count++] = *canonical;
}

void smmuinv__batch_push_sync(struct smmuinv_batch *batch,
			      const struct smmuinv_command *raw)
{
	if (batch->last_sync == ENTRY_NONE)
		batch->first_sync = batch->count;
	else
		batch->marks[batch->last_sync].rule = batch->count;
	batch->last_sync = batch->count;
	batch->marks[batch->count] =
		(struct mark){ .rule = ENTRY_NONE, .slot = ENTRY_SYNC };
	batch->commands[batch->count++] = *raw;
}

uint32_t smmuinv__batch_take(struct smmuinv_batch *batch,
			     const struct smmuinv_command *from, uint32_t n)
{
	uint32_t taken = 0;

	if (n > batch->capacity - batch->count)
		n = batch->capacity - batch->count;
	while (taken < n) {
		struct smmuinv_command *next = &batch->commands[batch->count];
		uint32_t pushed = smmuinv__check_forward(
			&batch->vsmmu->check, from + taken, n - taken, next,
			&batch->kinds);

		batch->count += pushed;
		taken += pushed;
		next += pushed;
		if (taken == n || !smmuinv__check_is_sync(next))
			break;
		smmuinv__batch_push_sync(batch, next);
		taken++;
	}
	return taken;
}

int smmuinv_batch_sync(struct smmuinv_batch *batch)
{
	static const struct smmuinv_command none = { { 0 } };

	if (!batch)
		return -EINVAL;
	if (batch_is_full(batch))
		return -ENOSPC;
	smmuinv__batch_push_sync(batch, &none);
	return 0;
}

int smmuinv_batch_add(struct smmuinv_batch *batch,
		      const struct smmuinv_command *command,
		      struct smmuinv_finding *finding)
{
	static const struct smmuinv_counters legal = { .read = 1 };
	static const struct smmuinv_counters illegal = { .read = 1,
							 .illegal = 1 };
	struct check_found found;
	int verdict;

	if (!batch || !command || (finding && !PARAMS_WRITABLE(finding)))
		return -EINVAL;
	verdict = smmuinv__check_run(&batch->vsmmu->check, command, &found);
	if (verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE) {
		if (batch_is_full(batch))
			return -ENOSPC;
		smmuinv__batch_push(batch, &found.command, found.rule);
	}
	smmuinv__counters_add(&batch->tally.counters,
			      verdict == SMMUINV_ILLEGAL ? &illegal : &legal);
	smmuinv__check_report(finding, &found);
	return verdict;
}

/* Rules by which a command is never sent, whatever its stream is. */
static bool is_settled(uint32_t rule)
{
	return rule == SMMUINV_RULE_PREFETCH ||
	       rule == SMMUINV_RULE_SSID_OUT_OF_RANGE;
}

/* Where does a command that names the stream go, if anywhere? */
static void resolve_entry(struct mark *e, const struct viommu *list,
			  const struct stream *stream, bool atc)
{
	e->slot = 0;
	if (!stream) {
		e->rule = SMMUINV_RULE_STREAM_UNKNOWN;
	} else if (atc && !stream->ats) {
		e->rule = SMMUINV_RULE_ATS_OFF;
	} else {
		e->rule = SMMUINV_RULE_NONE;
		/* A stream is on one of them, or could not have been added. */
		while (list[e->slot++].id != stream->viommu_id)
			;
	}
}

/*
 * With the lock. Streams may change between two tries, so each try resolves
 * again. Commands of one stream often follow each other.
 */
static void resolve(struct smmuinv_batch *batch)
{
	const struct streams *s = &batch->vsmmu->streams;
	const struct stream *stream = NULL;
	uint64_t asked = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < batch->count; i++) {
		const struct smmuinv_command *command = &batch->commands[i];
		struct mark *e = &batch->marks[i];

		if (e->slot == ENTRY_SYNC || is_settled(e->rule))
			continue;
		if (!s->viommu_count) {
			e->rule = SMMUINV_RULE_NO_VIOMMU;
		} else if (!command_names_stream(command)) {
			e->rule = SMMUINV_RULE_NONE;
			continue;
		} else {
			if (command_sid(command) != asked)
				stream = smmuinv__stream_find(
					s, command_sid(command));
			asked = command_sid(command);
			resolve_entry(e, s->viommus, stream,
				      smmuinv_command_opcode(command) ==
					      SMMUINV_CMD_ATC_INV);
		}
		batch->rules |= e->rule != SMMUINV_RULE_NONE;
	}
}

/* One TLBI, maybe with a CMD_SYNC. A host with ranges needs no plan for it. */
static bool is_single(const struct smmuinv_batch *batch)
{
	return is_plain(batch) && batch->first_sync &&
	       (batch->count == 1 ||
		(batch->count == 2 && batch->first_sync == 1));
}

/* Returns the number of the last change of streams that it knew of. */
static uint64_t execute_window(struct smmuinv_batch *batch, struct account *a)
{
	struct streams *s = &batch->vsmmu->streams;
	struct viommu list[SMMUINV_VIOMMUS_MAX];
	struct plan *plan = &batch->plan;
	uint32_t end = 1;
	const struct calls single = {
		.commands = batch->commands,
		.count = 1,
		.ends = &end,
		.end_count = 1,
	};
	uint64_t changes;
	bool owing;
	uint32_t n;
	uint32_t i;

	pthread_mutex_lock(&s->lock);
	n = s->viommu_count;
	memcpy(list, s->viommus, n * sizeof(*list));
	changes = s->changes;
	owing = s->owing;
	if (!n || !is_plain(batch))
		resolve(batch);
	pthread_mutex_unlock(&s->lock);
	for (i = 0; i < n; i++) {
		/* ATC_INVs of a device that owes are added to its debt. */
		struct executor x = smmuinv__executor(batch->vsmmu, &list[i],
						      owing ? 0 : changes, a);
		const struct plan_window window = {
			.commands = batch->commands,
			.marks = batch->marks,
			.count = batch->count,
			.first_sync = batch->first_sync,
			.slot = i + 1,
			.plain = is_plain(batch),
		};

		if (is_single(batch) && list[i].ril) {
			smmuinv__execute_calls(&x, &single);
			continue;
		}
		plan->ril = list[i].ril;
		plan->scale_max = list[i].scale_max;
		if (batch->vsmmu->as_written)
			smmuinv__plan_as_written(plan, &window);
		else
			smmuinv__plan_merged(plan, &window);
		smmuinv__execute_calls(&x, &plan->calls);
		a->counters.merged += plan->merged;
	}
	return changes;
}

/*
 * Has a command missed its device? It was not sent, for a reason that no longer
 * holds. Or its vSID now belongs to another device, which may have cached from
 * an SMMU whose TLBs were not invalidated yet.
 */
static bool is_missed(const struct smmuinv_batch *batch, uint32_t i,
		      uint64_t changes)
{
	const struct smmuinv_command *command = &batch->commands[i];
	const struct mark *mark = &batch->marks[i];
	const struct stream *stream;

	if (mark->slot == ENTRY_SYNC || is_settled(mark->rule) ||
	    !command_names_stream(command))
		return false;
	stream = smmuinv__stream_find(&batch->vsmmu->streams,
				      command_sid(command));
	if (!stream)
		return false;
	return stream->since > changes ||
	       (mark->rule == SMMUINV_RULE_ATS_OFF && stream->ats);
}

/* The first that was missed by a window that knew of @changes. */
static uint32_t first_missed(const struct smmuinv_batch *batch,
			     uint64_t changes)
{
	struct streams *s = &batch->vsmmu->streams;
	uint32_t i = 0;

	pthread_mutex_lock(&s->lock);
	if (s->changes == changes)
		i = batch->count;
	while (i < batch->count && !is_missed(batch, i, changes))
		i++;
	pthread_mutex_unlock(&s->lock);
	return i;
}

void smmuinv__batch_execute(struct smmuinv_batch *batch, struct account *a)
{
	uint64_t changes;
	uint32_t missed;

	do {
		smmuinv__account_open(a, batch->count);
		a->owed_before = __atomic_load_n(&batch->vsmmu->streams.owing,
						 __ATOMIC_RELAXED);
		if (!batch->count)
			return;
		changes = execute_window(batch, a);
		missed = is_plain(batch) ? batch->count :
					   first_missed(batch, changes);
	} while (!a->fault.source && missed < batch->count);
	if (missed < a->undone)
		a->undone = missed;
}

uint32_t smmuinv__batch_dropped(const struct smmuinv_batch *batch,
				uint32_t first, uint32_t n)
{
	uint32_t dropped = 0;
	uint32_t i;

	for (i = first; batch->rules && i < first + n; i++)
		dropped += batch->marks[i].slot != ENTRY_SYNC &&
			   batch->marks[i].rule != SMMUINV_RULE_NONE;
	return dropped;
}

/* The first @n entries are complete. */
static void discard(struct smmuinv_batch *batch, uint32_t n)
{
	uint32_t end = batch->count;
	uint32_t kinds = batch->kinds;
	uint32_t i;

	batch->count = 0;
	smmuinv_batch_clear(batch);
	for (i = n; i < end; i++) {
		const struct smmuinv_command command = batch->commands[i];
		const struct mark mark = batch->marks[i];

		if (mark.slot == ENTRY_SYNC)
			smmuinv__batch_push_sync(batch, &command);
		else
			smmuinv__batch_push(batch, &command, mark.rule);
	}
	memset(batch->marks + batch->count, 0,
	       (end - batch->count) * sizeof(*batch->marks));
	batch->kinds = batch->count ? kinds : 0;
}

static uint32_t syncs_before(const struct smmuinv_batch *batch, uint32_t end)
{
	uint32_t sync = batch->first_sync;
	uint32_t n = 0;

	for (; sync < end; sync = batch->marks[sync].rule)
		n++;
	return n;
}

/* Adds the result of a later flush to those of earlier ones. */
static void result_add(struct smmuinv_result *sum,
		       const struct smmuinv_result *r)
{
	sum->fault = r->fault;
	sum->cerror = r->cerror;
	if (r->fault_index != SMMUINV_INDEX_NONE)
		sum->fault_index = sum->completed + r->fault_index;
	sum->completed += r->completed;
	sum->forwarded += r->forwarded;
	sum->dropped += r->dropped;
	sum->host_commands += r->host_commands;
	sum->ioctls += r->ioctls;
	sum->retries += r->retries;
	sum->timeouts += r->timeouts;
	sum->replaced += r->replaced;
}

/* The first CMD_SYNC that covers what is owed from @owed on. */
static uint32_t sync_after(const struct smmuinv_batch *batch, uint32_t owed)
{
	uint32_t sync = batch->first_sync;

	while (sync < owed)
		sync = batch->marks[sync].rule;
	return sync;
}

/* @paying: a CMD_SYNC comes after it, and waits for what devices owe. */
static int flush_batch(struct smmuinv_batch *batch, struct smmuinv_result *sum,
		       bool paying)
{
	struct smmuinv_result r = RESULT_NONE;
	struct account a = { .undone = 0 };
	uint32_t owed;
	bool failed;
	uint32_t n;
	int rc;

	smmuinv__batch_execute(batch, &a);
	n = a.undone;
	owed = a.owed;
	failed = a.fault.source;
	if (!paying)
		a.owed = SMMUINV_INDEX_NONE;
	else if ((a.owed_before || a.owed != SMMUINV_INDEX_NONE) &&
		 !smmuinv__vsmmu_pay(batch->vsmmu, &a) &&
		 sync_after(batch, a.owed) < n)
		n = sync_after(batch, a.owed);
	rc = smmuinv__account_report(&a, &r);
	/* No command here is at fault for what was owed before. */
	if (rc && !failed)
		r.fault_index = owed < n ? owed : SMMUINV_INDEX_NONE;
	r.completed = n;
	r.dropped = smmuinv__batch_dropped(batch, 0, n);
	r.forwarded = n - r.dropped - syncs_before(batch, n);
	a.counters.forwarded += r.forwarded;
	a.counters.dropped += r.dropped;
	smmuinv__counters_add(&batch->tally.counters, &a.counters);
	discard(batch, n);
	result_add(sum, &r);
	return rc;
}

int smmuinv_batch_flush(struct smmuinv_batch *batch,
			struct smmuinv_result *result)
{
	struct smmuinv_result r = RESULT_NONE;
	int rc;

	if (!batch || !smmuinv__result_writable(result))
		return -EINVAL;
	rc = flush_batch(batch, &r, true);
	if (result)
		PARAMS_STORE(result, &r);
	return rc;
}

int smmuinv_batch_invalidate_all(struct smmuinv_batch *batch,
				 struct smmuinv_result *result)
{
	struct smmuinv_result r = { .size = sizeof(r) };
	struct smmuinv_counters more = { 0 };
	int rc;

	if (!batch || !smmuinv__result_writable(result))
		return -EINVAL;
	rc = smmuinv_vsmmu_invalidate_all(batch->vsmmu, &r);
	/* CMD_SYNCs wait for what devices owe, so it is no error here. */
	if (r.cerror)
		rc = 0;
	if (!rc) {
		r.completed = batch->count;
		r.dropped = smmuinv__batch_dropped(batch, 0, r.completed);
		r.forwarded = r.completed - r.dropped -
			      syncs_before(batch, r.completed);
		more.forwarded = r.forwarded;
		more.dropped = r.dropped;
		smmuinv__counters_add(&batch->tally.counters, &more);
		smmuinv_batch_clear(batch);
	}
	if (result)
		PARAMS_STORE(result, &r);
	return rc;
}

/* submit() stops at @index, for a reason that is not the host's. */
static int stop_at(struct smmuinv_result *r, uint32_t index, int verdict,
		   const struct check_found *found)
{
	r->fault_index = index;
	r->fault.source = SMMUINV_SOURCE_NONE;
	if (verdict == SMMUINV_VMM)
		return 1;
	r->fault.source = SMMUINV_SOURCE_GUEST;
	r->fault.rule = found->rule;
	r->fault.field = found->field;
	if (verdict == SMMUINV_ILLEGAL) {
		r->cerror = SMMUINV_CERROR_ILL;
		return 1;
	}
	r->fault.error = verdict;
	return verdict;
}

/* Asks the rules themselves. 0 if the command was pushed. */
static int admit(struct smmuinv_batch *batch,
		 const struct smmuinv_command *command, uint32_t index,
		 struct smmuinv_result *r)
{
	static const struct smmuinv_counters one_illegal = { .illegal = 1 };
	struct check_found found;
	int verdict = smmuinv__check_run(&batch->vsmmu->check, command, &found);
	int rc;

	if (verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE) {
		smmuinv__batch_push(batch, &found.command, found.rule);
		return 0;
	}
	rc = flush_batch(batch, r, true);
	if (rc)
		return rc;
	if (verdict == SMMUINV_ILLEGAL)
		smmuinv__counters_add(&batch->tally.counters, &one_illegal);
	return stop_at(r, index, verdict, &found);
}

static int submit(struct smmuinv_batch *batch,
		  const struct smmuinv_command *commands, uint32_t count,
		  struct smmuinv_result *r)
{
	struct smmuinv_counters read = { 0 };
	uint32_t i = 0;
	int rc = 0;

	while (i < count && !rc) {
		struct smmuinv_command *next = &batch->commands[batch->count];
		uint32_t n = batch->capacity - batch->count;
		uint32_t pushed;

		if (n > count - i)
			n = count - i;
		pushed = smmuinv__check_forward(&batch->vsmmu->check,
						commands + i, n, next,
						&batch->kinds);
		batch->count += pushed;
		i += pushed;
		if (pushed < n) {
			const struct smmuinv_command command = next[pushed];

			rc = admit(batch, &command, i++, r);
		}
		if (!rc && batch_is_full(batch))
			rc = flush_batch(batch, r, false);
	}
	read.read = i;
	smmuinv__counters_add(&batch->tally.counters, &read);
	return rc ? rc : flush_batch(batch, r, true);
}

int smmuinv_batch_submit(struct smmuinv_batch *batch,
			 const struct smmuinv_command *commands, uint32_t count,
			 struct smmuinv_result *result)
{
	struct smmuinv_result r = RESULT_NONE;
	int rc;

	if (!batch || (!commands && count) || !smmuinv__result_writable(result))
		return -EINVAL;
	if (batch->count)
		return -EBUSY;
	rc = submit(batch, commands, count, &r);
	smmuinv_batch_clear(batch);
	if (result)
		PARAMS_STORE(result, &r);
	return rc;
}
