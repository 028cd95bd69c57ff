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

/* A command that was admitted. */
struct entry {
	struct smmuinv_command canonical;
	uint32_t rule; /* enum smmuinv_rule: why nothing is sent for it */
};

struct smmuinv_batch {
	struct smmuinv_vsmmu *vsmmu;
	uint32_t capacity;
	uint32_t count;
	struct entry *entries;        /* what the guest asked for */
	struct smmuinv_command *host; /* what the host is asked for */
	uint32_t *origin; /* for each of @host, its index in @entries */
};

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
	b->capacity = capacity;
	b->entries = calloc(capacity, sizeof(*b->entries));
	b->host = calloc(capacity, sizeof(*b->host));
	b->origin = calloc(capacity, sizeof(*b->origin));
	if (!b->entries || !b->host || !b->origin) {
		smmuinv_batch_free(b);
		return -ENOMEM;
	}
	*batch = b;
	return 0;
}

void smmuinv_batch_free(struct smmuinv_batch *batch)
{
	if (!batch)
		return;
	free(batch->origin);
	free(batch->host);
	free(batch->entries);
	free(batch);
}

uint32_t smmuinv_batch_count(const struct smmuinv_batch *batch)
{
	return batch->count;
}

void smmuinv_batch_clear(struct smmuinv_batch *batch)
{
	batch->count = 0;
}

bool smmuinv__batch_is_full(const struct smmuinv_batch *batch)
{
	return batch->count == batch->capacity;
}

void smmuinv__batch_push(struct smmuinv_batch *batch,
			 const struct smmuinv_command *canonical,
			 enum smmuinv_rule rule)
{
	batch->entries[batch->count++] = (struct entry){
		.canonical = *canonical,
		.rule = rule,
	};
}

enum smmuinv_rule smmuinv__batch_rule(const struct smmuinv_batch *batch,
				      uint32_t index)
{
	return batch->entries[index].rule;
}

int smmuinv_batch_add(struct smmuinv_batch *batch,
		      const struct smmuinv_command *command,
		      struct smmuinv_finding *finding)
{
	struct check_found found;
	int verdict;

	if (!batch || !command || (finding && !PARAMS_WRITABLE(finding)))
		return -EINVAL;
	if (smmuinv__batch_is_full(batch))
		return -ENOSPC;
	verdict = smmuinv__check_run(&batch->vsmmu->check, command, &found);
	if (verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE)
		smmuinv__batch_push(batch, &found.command, found.rule);
	smmuinv__check_report(finding, &found);
	return verdict;
}

/* Commands with a StreamID reach a device only through its vDEVICE. */
static bool names_stream(const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
	case SMMUINV_CMD_ATC_INV:
		return true;
	default:
		return false;
	}
}

static uint32_t sid_of(const struct smmuinv_command *command)
{
	return (uint32_t)(command_dw0(command) >> DW0_SID_SHIFT);
}

/* Is the stream there now? It may come and go between two tries. */
static void resolve(const struct smmuinv_vsmmu *vsmmu, struct entry *entry)
{
	bool known;

	if (!names_stream(&entry->canonical) ||
	    entry->rule == SMMUINV_RULE_SSID_OUT_OF_RANGE)
		return;
	known = smmuinv__streams_has(vsmmu->streams, vsmmu->viommu_id,
				     sid_of(&entry->canonical));
	entry->rule = known ? SMMUINV_RULE_NONE : SMMUINV_RULE_STREAM_UNKNOWN;
}

/* Collect what the host has to do; returns how many commands that are. */
static uint32_t collect(struct smmuinv_batch *batch)
{
	uint32_t n = 0;
	uint32_t i;

	for (i = 0; i < batch->count; i++) {
		struct entry *entry = &batch->entries[i];

		resolve(batch->vsmmu, entry);
		if (entry->rule != SMMUINV_RULE_NONE)
			continue;
		batch->host[n] = entry->canonical;
		batch->origin[n++] = i;
	}
	return n;
}

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

/* An answer that claims success for another number of commands is none. */
static int invalidate(const struct smmuinv_batch *batch, uint32_t asked,
		      uint32_t *count)
{
	const struct smmuinv_vsmmu *v = batch->vsmmu;
	int rc;

	*count = asked;
	rc = smmuinv__backend_invalidate(v->backend, v->viommu_id, batch->host,
					 count);
	if (!rc && *count != asked)
		return -EPROTO;
	return rc;
}

/*
 * Returns how many commands are known to be executed. After a failure the
 * accepted prefix is sent by itself, until a call succeeds as a whole: only
 * such a call ends in a sync that covers all its commands. Each try is shorter
 * than the one before, so there are at most as many as commands.
 */
static uint32_t host_execute(struct smmuinv_batch *batch, uint32_t n,
			     struct batch_outcome *outcome)
{
	while (n) {
		uint32_t count;
		int rc = invalidate(batch, n, &count);

		outcome->ioctls++;
		outcome->host_commands += n;
		if (!rc)
			return n;
		outcome->error = rc;
		outcome->host_error = rc;
		outcome->host_count = count;
		n = accepted(rc, n, count);
	}
	return 0;
}

static uint32_t count_dropped(const struct smmuinv_batch *batch, uint32_t upto)
{
	uint32_t dropped = 0;
	uint32_t i;

	for (i = 0; i < upto; i++)
		dropped += batch->entries[i].rule != SMMUINV_RULE_NONE;
	return dropped;
}

void smmuinv__batch_execute(struct smmuinv_batch *batch,
			    struct batch_outcome *outcome)
{
	struct smmuinv_streams *streams = batch->vsmmu->streams;
	uint32_t executed;
	uint32_t n;

	*outcome = (struct batch_outcome){
		.completed = batch->count,
		.fault_index = SMMUINV_INDEX_NONE,
	};
	smmuinv__streams_hold(streams);
	n = collect(batch);
	executed = host_execute(batch, n, outcome);
	smmuinv__streams_release(streams);
	if (executed < n) {
		outcome->completed = batch->origin[executed];
		outcome->fault_index = outcome->completed;
	}
	outcome->dropped = count_dropped(batch, outcome->completed);
}

/* Take the first @n commands out; the others are tried again. */
static void discard(struct smmuinv_batch *batch, uint32_t n)
{
	batch->count -= n;
	memmove(batch->entries, batch->entries + n,
		batch->count * sizeof(*batch->entries));
}

static void result_add(struct smmuinv_result *r, const struct batch_outcome *o)
{
	r->error = o->error;
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

	smmuinv__batch_execute(batch, &outcome);
	discard(batch, outcome.completed);
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

static int submit(struct smmuinv_batch *batch,
		  const struct smmuinv_command *commands, uint32_t count,
		  struct smmuinv_result *r)
{
	struct check_found found;
	uint32_t i;
	int rc;

	for (i = 0; i < count; i++) {
		struct smmuinv_command command =
			command_read_once(&commands[i]);
		int verdict = smmuinv__check_run(&batch->vsmmu->check, &command,
						 &found);

		if (verdict != SMMUINV_FORWARD && verdict != SMMUINV_IGNORE) {
			rc = flush(batch, r);
			return rc ? rc : stop_at(r, i, verdict, &found);
		}
		smmuinv__batch_push(batch, &found.command, found.rule);
		if (!smmuinv__batch_is_full(batch))
			continue;
		rc = flush(batch, r);
		if (rc)
			return rc;
	}
	return flush(batch, r);
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
