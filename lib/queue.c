/* SPDX-License-Identifier: MIT */
#include <smmuinv/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "command.h"
#include "params.h"
#include "vsmmu.h"

#define WINDOW_DEFAULT 4096

/* A command of the guest's, and where it stood. */
struct written {
	struct smmuinv_command command;
	uint32_t index;
};

struct smmuinv_queue {
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue_ops ops;
	void *opaque;
	struct smmuinv_batch *batch;
	/* What is in the batch, as the guest wrote it, for ops.seen. */
	struct written *written; /* NULL without it */
	/*
	 * So many of the batch's commands are consumed already: ATC_INVs among
	 * them timed out, and they go with the next CMD_SYNC.
	 */
	uint32_t carried;
	bool consuming;
};

static bool missing_callbacks(const struct smmuinv_ring *ring,
			      const struct smmuinv_queue_ops *ops)
{
	return !ring->base && !ops->read;
}

int smmuinv_queue_new(struct smmuinv_vsmmu *vsmmu,
		      const struct smmuinv_queue_params *params,
		      struct smmuinv_queue **queue)
{
	struct smmuinv_queue_params p;
	struct smmuinv_queue_ops ops;
	struct smmuinv_queue *q;
	uint32_t window;
	int rc;

	if (!vsmmu || !queue || !PARAMS_COPY(&p, params) ||
	    !PARAMS_COPY(&ops, p.ops))
		return -EINVAL;
	window = p.window ? p.window : WINDOW_DEFAULT;
	if (window > SMMUINV_BATCH_CAPACITY_MAX)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->vsmmu = vsmmu;
	q->ops = ops;
	q->opaque = p.opaque;
	rc = smmuinv_batch_new(vsmmu, window, &q->batch);
	if (rc)
		goto free_queue;
	if (ops.seen) {
		q->written = calloc(window, sizeof(*q->written));
		if (!q->written) {
			rc = -ENOMEM;
			goto free_queue;
		}
	}
	*queue = q;
	return 0;

free_queue:
	smmuinv_queue_free(q);
	return rc;
}

void smmuinv_queue_free(struct smmuinv_queue *queue)
{
	if (!queue)
		return;
	free(queue->written);
	smmuinv_batch_free(queue->batch);
	free(queue);
}

/* One call of smmuinv_queue_consume(). */
struct run {
	struct smmuinv_queue *queue;
	struct smmuinv_ring ring;
	uint32_t limit;    /* commands to look at */
	uint32_t consumed; /* commands before the new CMDQ_CONS */
	struct smmuinv_progress *progress;
};

/* The pointer @n commands after CMDQ_CONS, with its wrap bit (3.5.1). */
static uint32_t pointer_at(const struct run *run, uint32_t n)
{
	uint32_t wrap_mask = (2u << run->ring.log2size) - 1;

	return (run->ring.cons + n) & wrap_mask;
}

static uint32_t index_at(const struct run *run, uint32_t n)
{
	return pointer_at(run, n) & ((1u << run->ring.log2size) - 1);
}

static int fetch(const struct run *run, uint32_t n,
		 struct smmuinv_command *command)
{
	const struct smmuinv_queue *q = run->queue;
	const struct smmuinv_command *ring = run->ring.base;

	if (!ring)
		return q->ops.read(q->opaque, index_at(run, n), command);
	*command = command_read_once(&ring[index_at(run, n)]);
	return 0;
}

static void seen(const struct run *run, uint32_t n,
		 const struct smmuinv_command *command, enum smmuinv_fate fate,
		 enum smmuinv_rule rule)
{
	const struct smmuinv_queue *q = run->queue;

	if (q->ops.seen)
		q->ops.seen(q->opaque, index_at(run, n), command, fate, rule);
}

static void seen_batch(const struct run *run, uint32_t first, uint32_t n)
{
	const struct smmuinv_queue *q = run->queue;
	uint32_t i;

	if (!q->ops.seen)
		return;
	for (i = first; i < first + n; i++) {
		enum smmuinv_rule rule = smmuinv__batch_rule(q->batch, i);

		q->ops.seen(q->opaque, q->written[i].index,
			    &q->written[i].command,
			    rule == SMMUINV_RULE_NONE ? SMMUINV_FATE_FORWARDED :
							SMMUINV_FATE_DROPPED,
			    rule);
	}
}

static void account(struct smmuinv_progress *p,
		    const struct batch_outcome *outcome)
{
	p->forwarded += outcome->completed - outcome->dropped;
	p->dropped += outcome->dropped;
	p->host_commands += outcome->host_commands;
	p->ioctls += outcome->ioctls;
	p->fault_vsid = outcome->fault_vsid;
	if (!outcome->host_error)
		return;
	p->host_error = outcome->host_error;
	p->host_count = outcome->host_count;
}

/* So many commands of the batch are complete, from @first on. */
static void complete(struct run *run, uint32_t first, uint32_t n)
{
	struct smmuinv_queue *q = run->queue;
	uint32_t carried = first < q->carried ? q->carried - first : 0;

	if (carried > n)
		carried = n;
	seen_batch(run, first, n);
	smmuinv__batch_discard(q->batch, first, n);
	if (q->written)
		memmove(q->written + first, q->written + first + n,
			(smmuinv_batch_count(q->batch) - first) *
				sizeof(*q->written));
	q->carried -= carried;
	run->consumed += n - carried;
}

/* Have the host execute what was read so far, from @first of the batch on. */
static struct batch_outcome execute(struct run *run, uint32_t first)
{
	struct batch_outcome outcome;

	smmuinv__batch_execute(run->queue->batch, first, &outcome);
	account(run->progress, &outcome);
	complete(run, first, outcome.completed);
	return outcome;
}

/* What is not complete is read again: it was not consumed. */
static void forget(struct run *run)
{
	smmuinv__batch_truncate(run->queue->batch, run->queue->carried);
}

/*
 * 7.1: the CMD_SYNC stays, and everything before it is consumed. A guest may
 * never see it complete, but will try it again; what it stands for must then
 * be done.
 */
static void carry(struct run *run)
{
	struct smmuinv_queue *q = run->queue;

	run->consumed += smmuinv_batch_count(q->batch) - q->carried;
	q->carried = smmuinv_batch_count(q->batch);
}

/*
 * Bring what was read since the last CMD_SYNC to completion. Only a CMD_SYNC
 * must wait for ATC_INVs that a device does not answer: they are carried there,
 * and must not keep the guest from the commands that put an end to it. Without
 * room to carry them the queue cannot go on.
 */
static int flush(struct run *run)
{
	struct smmuinv_queue *q = run->queue;
	struct batch_outcome outcome = execute(run, q->carried);

	if (outcome.cerror == SMMUINV_CERROR_ATC_INV_SYNC &&
	    !smmuinv__batch_is_full(q->batch)) {
		carry(run);
		return 0;
	}
	forget(run);
	return outcome.error;
}

/* All of it, for a CMD_SYNC; 1 if that must stay where it is. */
static int flush_for_sync(struct run *run)
{
	struct batch_outcome outcome = execute(run, 0);

	if (outcome.cerror == SMMUINV_CERROR_ATC_INV_SYNC) {
		carry(run);
		run->progress->cerror = outcome.cerror;
		return 1;
	}
	forget(run);
	return outcome.error;
}

/* Stop at the command after everything that is complete (7.1). */
static void stop(struct run *run, enum smmuinv_cerror cerror,
		 enum smmuinv_rule rule, enum smmuinv_field field)
{
	run->progress->cerror = cerror;
	run->progress->rule = rule;
	run->progress->field = field;
}

static int stop_unreadable(struct run *run)
{
	const struct smmuinv_command none = { { 0 } };
	int rc = flush(run);

	if (rc)
		return rc;
	stop(run, SMMUINV_CERROR_ABT, SMMUINV_RULE_NONE, SMMUINV_FIELD_OPCODE);
	seen(run, run->consumed, &none, SMMUINV_FATE_UNREADABLE,
	     SMMUINV_RULE_NONE);
	return 1;
}

static int stop_illegal(struct run *run, const struct smmuinv_command *raw,
			enum smmuinv_rule rule, enum smmuinv_field field)
{
	int rc = flush(run);

	if (rc)
		return rc;
	stop(run, SMMUINV_CERROR_ILL, rule, field);
	seen(run, run->consumed, raw, SMMUINV_FATE_ILLEGAL, rule);
	return 1;
}

/* 4.7.3 */
static int call_sync(const struct smmuinv_queue *q,
		     const struct smmuinv_command *command)
{
	enum { SIG_IRQ = 1, SIG_SEV = 2 };
	const struct smmuinv_features *guest = &q->vsmmu->guest;
	uint64_t cs = smmuinv_command_get(command, SMMUINV_FIELD_CS);
	uint64_t address =
		smmuinv_command_get(command, SMMUINV_FIELD_MSIADDRESS);
	struct smmuinv_sync sync = {
		.irq = cs == SIG_IRQ,
		.sev = cs == SIG_SEV &&
		       smmuinv_features_get(guest, SMMUINV_FEATURE_SEV),
	};

	if (!q->ops.sync)
		return 0;
	if (sync.irq && address &&
	    smmuinv_features_get(guest, SMMUINV_FEATURE_MSI)) {
		sync.msi = true;
		sync.msi_address = address;
		sync.msi_data = (uint32_t)smmuinv_command_get(
			command, SMMUINV_FIELD_MSIDATA);
		sync.msi_shareability = (uint8_t)smmuinv_command_get(
			command, SMMUINV_FIELD_MSH);
		sync.msi_attributes = (uint8_t)smmuinv_command_get(
			command, SMMUINV_FIELD_MSIATTR);
	}
	return q->ops.sync(q->opaque, &sync);
}

static uint32_t sid_of(const struct smmuinv_command *command)
{
	return (uint32_t)smmuinv_command_get(command, SMMUINV_FIELD_STREAMID);
}

static int call_cfgi_ste(const struct smmuinv_queue *q,
			 const struct smmuinv_command *command)
{
	if (!q->ops.cfgi_ste)
		return 0;
	return q->ops.cfgi_ste(
		q->opaque, sid_of(command),
		smmuinv_command_get(command, SMMUINV_FIELD_LEAF) != 0);
}

/* 4.3.2: 2^(Range + 1) StreamIDs, aligned to their number. */
static int call_cfgi_ste_range(const struct smmuinv_queue *q,
			       const struct smmuinv_command *command)
{
	uint64_t range = smmuinv_command_get(command, SMMUINV_FIELD_RANGE);
	uint32_t rest = (uint32_t)((UINT64_C(2) << range) - 1);
	uint32_t sid = sid_of(command);

	if (!q->ops.cfgi_ste_range)
		return 0;
	return q->ops.cfgi_ste_range(q->opaque, sid & ~rest, sid | rest);
}

static int call_vmm(const struct smmuinv_queue *q,
		    const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_SYNC:
		return call_sync(q, command);
	case SMMUINV_CMD_CFGI_STE:
		return call_cfgi_ste(q, command);
	case SMMUINV_CMD_CFGI_STE_RANGE:
		return call_cfgi_ste_range(q, command);
	default:
		return q->ops.command(q->opaque, command);
	}
}

/* What the VMM cannot do unless it has the general callback. */
static bool offered(const struct smmuinv_queue *q,
		    const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_SYNC:
	case SMMUINV_CMD_CFGI_STE:
	case SMMUINV_CMD_CFGI_STE_RANGE:
		return true;
	default:
		return q->ops.command != NULL;
	}
}

static int hand_over(struct run *run, const struct smmuinv_command *raw,
		     const struct check_found *found)
{
	int rc;

	if (!offered(run->queue, &found->command))
		return stop_illegal(run, raw, SMMUINV_RULE_NOT_OFFERED,
				    SMMUINV_FIELD_OPCODE);
	if (smmuinv_command_opcode(&found->command) == SMMUINV_CMD_SYNC)
		rc = flush_for_sync(run);
	else
		rc = flush(run);
	if (rc)
		return rc;
	rc = call_vmm(run->queue, &found->command);
	if (rc < 0) {
		/* The VMM's own failure, whatever was mended before it. */
		run->progress->host_error = 0;
		return rc;
	}
	seen(run, run->consumed, raw, SMMUINV_FATE_VMM, SMMUINV_RULE_NONE);
	run->consumed++;
	run->progress->vmm++;
	return 0;
}

static int hold_back(struct run *run, uint32_t n,
		     const struct smmuinv_command *raw,
		     const struct check_found *found)
{
	struct smmuinv_queue *q = run->queue;

	if (q->written)
		q->written[smmuinv_batch_count(q->batch)] =
			(struct written){ *raw, index_at(run, n) };
	smmuinv__batch_push(q->batch, &found->command, found->rule);
	return smmuinv__batch_is_full(q->batch) ? flush(run) : 0;
}

static int stop_unsupported(struct run *run, int error,
			    const struct check_found *found)
{
	int rc = flush(run);

	if (rc)
		return rc;
	stop(run, SMMUINV_CERROR_NONE, found->rule, found->field);
	return error;
}

/* 0 to go on, 1 to stop, or a negative errno. */
static int step(struct run *run, uint32_t n)
{
	struct smmuinv_command raw;
	struct check_found found;
	int verdict;

	if (fetch(run, n, &raw) < 0)
		return stop_unreadable(run);
	verdict = smmuinv__check_run(&run->queue->vsmmu->check, &raw, &found);
	switch (verdict) {
	case SMMUINV_FORWARD:
	case SMMUINV_IGNORE:
		return hold_back(run, n, &raw, &found);
	case SMMUINV_VMM:
		return hand_over(run, &raw, &found);
	case SMMUINV_ILLEGAL:
		return stop_illegal(run, &raw, found.rule, found.field);
	default:
		return stop_unsupported(run, verdict, &found);
	}
}

static int consume(struct run *run)
{
	uint32_t n;
	int rc = 0;

	for (n = 0; n < run->limit && !rc; n++)
		rc = step(run, n);
	if (rc)
		return rc;
	return flush(run);
}

void smmuinv_queue_reset(struct smmuinv_queue *queue)
{
	smmuinv_batch_clear(queue->batch);
	queue->carried = 0;
}

static bool ring_valid(const struct smmuinv_ring *ring)
{
	return ring->log2size <= SMMUINV_QUEUE_LOG2SIZE_MAX &&
	       !((uintptr_t)ring->base % sizeof(uint64_t));
}

/* How many commands to look at, or -ERANGE. */
static int64_t ring_limit(const struct smmuinv_ring *ring)
{
	uint32_t wrap_mask = (2u << ring->log2size) - 1;
	uint32_t produced = (ring->prod - ring->cons) & wrap_mask;

	/* More than the ring holds: the pointers contradict each other. */
	if (produced > 1u << ring->log2size)
		return -ERANGE;
	if (ring->max_commands && ring->max_commands < produced)
		return ring->max_commands;
	return produced;
}

int smmuinv_queue_consume(struct smmuinv_queue *queue,
			  const struct smmuinv_ring *ring,
			  struct smmuinv_progress *progress)
{
	struct smmuinv_progress p = { 0 };
	struct run run = { .queue = queue, .progress = &p };
	int64_t limit;
	int rc;

	if (!queue || !progress || !PARAMS_WRITABLE(progress) ||
	    !PARAMS_COPY(&run.ring, ring) || !ring_valid(&run.ring) ||
	    missing_callbacks(&run.ring, &queue->ops))
		return -EINVAL;
	if (queue->consuming)
		return -EBUSY;
	limit = ring_limit(&run.ring);
	if (limit > 0) {
		run.limit = (uint32_t)limit;
		queue->consuming = true;
		rc = consume(&run);
		queue->consuming = false;
	} else {
		rc = (int)limit;
	}
	p.consumed = run.consumed;
	p.cons = pointer_at(&run, run.consumed);
	PARAMS_STORE(progress, &p);
	return rc < 0 ? rc : (int)run.consumed;
}
