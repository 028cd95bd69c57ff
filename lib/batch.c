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
	verdict = smmuinv__check_run(&batch->vsmmu->check, command, &found);
	if (verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE) {
		if (smmuinv__batch_is_full(batch))
			return -ENOSPC;
		smmuinv__batch_push(batch, &found.command, found.rule);
	}
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
	known = smmuinv__streams_has(vsmmu->streams, sid_of(&entry->canonical));
	entry->rule = known ? SMMUINV_RULE_NONE : SMMUINV_RULE_STREAM_UNKNOWN;
}

/* Collect what the host has to do; returns how many commands that are. */
static uint32_t collect(struct smmuinv_batch *batch, uint32_t first)
{
	uint32_t n = 0;
	uint32_t i;

	for (i = first; i < batch->count; i++) {
		struct entry *entry = &batch->entries[i];

		resolve(batch->vsmmu, entry);
		if (entry->rule != SMMUINV_RULE_NONE)
			continue;
		batch->host[n] = entry->canonical;
		batch->origin[n++] = i - first;
	}
	return n;
}

/* A run of calls, and how far it has come. Indices are those of @host. */
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
				     uint32_t n, struct batch_outcome *outcome)
{
	struct execution e = {
		.limit = n,
		.chunk = n,
		.refused = SMMUINV_INDEX_NONE,
	};

	while (e.done < e.limit) {
		const struct smmuinv_command *commands = batch->host + e.done;
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
static bool device_gone(const struct smmuinv_batch *batch,
			const struct execution *e)
{
	return e->error == -EIO && e->refused == e->done &&
	       names_stream(&batch->host[e->done]);
}

/* The first guest command that is not complete after @e. */
static void conclude(const struct smmuinv_batch *batch, uint32_t n,
		     const struct execution *e, struct batch_outcome *outcome)
{
	if (e->done == n)
		return;
	/* -ENODEV is for streams; of a backend's own it says less than -EIO. */
	outcome->error = e->error == -ENODEV ? -EIO : e->error;
	outcome->cerror = e->atc_timed_out ? SMMUINV_CERROR_ATC_INV_SYNC :
					     SMMUINV_CERROR_NONE;
	outcome->completed = batch->origin[e->done];
	outcome->fault_index = outcome->completed;
	outcome->fault_vsid = 0;
	if (!device_gone(batch, e))
		return;
	outcome->error = -ENODEV;
	outcome->fault_vsid = sid_of(&batch->host[e->done]);
}

/* Of the first @n, those that the erratum asks for twice: not ATC_INV. */
static uint32_t collect_repeated(struct smmuinv_batch *batch, uint32_t n)
{
	uint32_t kept = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (smmuinv_command_opcode(&batch->host[i]) ==
		    SMMUINV_CMD_ATC_INV)
			continue;
		batch->host[kept] = batch->host[i];
		batch->origin[kept++] = batch->origin[i];
	}
	return kept;
}

/*
 * With the erratum, one execution is none: what the first round has done is
 * complete when the second has done it too.
 */
static void execute_rounds(struct smmuinv_batch *batch, uint32_t first,
			   struct batch_outcome *outcome)
{
	uint32_t n = collect(batch, first);
	struct execution e = host_execute(batch, n, outcome);

	conclude(batch, n, &e, outcome);
	if (!batch->vsmmu->repeat)
		return;
	n = collect_repeated(batch, e.done);
	e = host_execute(batch, n, outcome);
	conclude(batch, n, &e, outcome);
}

static uint32_t count_dropped(const struct smmuinv_batch *batch, uint32_t first,
			      uint32_t n)
{
	uint32_t dropped = 0;
	uint32_t i;

	for (i = first; i < first + n; i++)
		dropped += batch->entries[i].rule != SMMUINV_RULE_NONE;
	return dropped;
}

void smmuinv__batch_execute(struct smmuinv_batch *batch, uint32_t first,
			    struct batch_outcome *outcome)
{
	struct smmuinv_streams *streams = batch->vsmmu->streams;

	*outcome = (struct batch_outcome){
		.completed = batch->count - first,
		.fault_index = SMMUINV_INDEX_NONE,
	};
	smmuinv__streams_hold(streams);
	execute_rounds(batch, first, outcome);
	smmuinv__streams_release(streams);
	outcome->dropped = count_dropped(batch, first, outcome->completed);
}

void smmuinv__batch_discard(struct smmuinv_batch *batch, uint32_t first,
			    uint32_t n)
{
	batch->count -= n;
	memmove(batch->entries + first, batch->entries + first + n,
		(batch->count - first) * sizeof(*batch->entries));
}

void smmuinv__batch_truncate(struct smmuinv_batch *batch, uint32_t n)
{
	batch->count = n;
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
