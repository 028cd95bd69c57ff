/* SPDX-License-Identifier: MIT */
#include <smmuinv/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "check.h"
#include "params.h"
#include "vsmmu.h"

#define WINDOW_DEFAULT   4096
#define WORK_MAX_DEFAULT 65536

struct smmuinv_queue {
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue_ops ops;
	void *opaque;
	struct smmuinv_batch *batch;
	/* The batch's entries as the guest wrote them, for ops.settled. */
	struct smmuinv_command *written; /* NULL without it */
	uint32_t work_max;
	bool sev; /* IDR0.SEV of the guest */
	bool msi; /* IDR0.MSI */
	bool consuming;
};

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
	q->work_max = p.work_max ? p.work_max : WORK_MAX_DEFAULT;
	q->sev = smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_SEV);
	q->msi = smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_MSI);
	rc = smmuinv_batch_new(vsmmu, window, &q->batch);
	if (!rc && ops.settled) {
		q->written = calloc(window, sizeof(*q->written));
		rc = q->written ? 0 : -ENOMEM;
	}
	if (rc)
		smmuinv_queue_free(q);
	else
		*queue = q;
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

/*
 * One call of smmuinv_queue_consume(). The batch's entry 0 is the queue's entry
 * at @progress.consumed.
 */
struct run {
	struct smmuinv_queue *queue;
	struct smmuinv_ring ring;
	void *opaque;
	uint32_t produced;
	uint32_t limit;  /* entries to look at */
	uint32_t read;   /* entries that were looked at */
	uint64_t visits; /* streams that were visited for CFGI commands */
	/* @last is the last command, CMD_SYNCs apart: a CFGI_STE or _RANGE. */
	bool neighbour;
	struct smmuinv_command last;
	struct account account; /* of the last window; and all counters */
	struct smmuinv_progress p;
};

/* The pointer @n entries after CMDQ_CONS, with its wrap bit (3.5.1). */
static uint32_t pointer_at(const struct run *run, uint32_t n)
{
	uint32_t wrap_mask = (2u << (run->ring.log2size & 31)) - 1;

	return (run->ring.cons + n) & wrap_mask;
}

static uint32_t index_at(const struct run *run, uint32_t n)
{
	return pointer_at(run, n) & ((1u << run->ring.log2size) - 1);
}

/* The entry at CONS is settled. */
static void settled(const struct run *run,
		    const struct smmuinv_command *command, uint32_t fate,
		    uint32_t rule)
{
	const struct smmuinv_queue *q = run->queue;

	if (q->ops.settled)
		q->ops.settled(run->opaque, index_at(run, run->p.consumed),
			       command, fate, rule);
}

/* A callback's answer has no name, or says that the VMM failed. */
static int callback_failed(struct run *run, uint32_t callback, int answer)
{
	run->p.fault = (struct smmuinv_fault){
		.vsid = SMMUINV_VSID_NONE,
		.source = SMMUINV_SOURCE_CALLBACK,
		.error = answer < 0 ? answer : -EPROTO,
		.callback = callback,
	};
	return run->p.fault.error;
}

/* Commands of the batch, from @first to before @end. */
static void settle_commands(struct run *run, uint32_t first, uint32_t end)
{
	const struct smmuinv_batch *b = run->queue->batch;
	uint32_t dropped = 0;
	uint32_t i;

	if (b->rules)
		dropped = smmuinv__batch_dropped(b, first, end - first);
	for (i = first; run->queue->written && i < end; i++) {
		uint32_t rule = b->marks[i].rule;

		settled(run, &run->queue->written[i],
			rule == SMMUINV_RULE_NONE ? SMMUINV_FATE_FORWARDED :
						    SMMUINV_FATE_DROPPED,
			rule);
		run->p.consumed++;
	}
	if (!run->queue->written)
		run->p.consumed += end - first;
	run->account.counters.forwarded += end - first - dropped;
	run->account.counters.dropped += dropped;
}

/* 4.7.3. An MSI is asked for by an address. */
static struct smmuinv_sync sync_of(const struct smmuinv_queue *q,
				   const struct smmuinv_command *command)
{
	enum { SIG_IRQ = 1, SIG_SEV = 2 };
	uint64_t dw0 = command_dw0(command);
	uint64_t cs = (dw0 & DW0_CS) >> DW0_CS_SHIFT;
	uint64_t address = command_dw1(command) & DW1_MSIADDRESS;
	struct smmuinv_sync sync = {
		.irq = cs == SIG_IRQ,
		.sev = cs == SIG_SEV && q->sev,
	};

	if (!sync.irq || !address || !q->msi)
		return sync;
	sync.msi = true;
	sync.msi_address = address;
	sync.msi_data = (uint32_t)(dw0 >> DW0_MSIDATA_SHIFT);
	sync.msi_shareability = (uint8_t)((dw0 & DW0_MSH) >> DW0_MSH_SHIFT);
	sync.msi_attributes =
		(uint8_t)((dw0 & DW0_MSIATTR) >> DW0_MSIATTR_SHIFT);
	return sync;
}

/* Everything that the CMD_SYNC covers is complete. */
static int signal_sync(struct run *run, const struct smmuinv_command *command)
{
	const struct smmuinv_queue *q = run->queue;

	if (q->ops.sync) {
		const struct smmuinv_sync sync = sync_of(q, command);
		int rc = q->ops.sync(run->opaque, &sync);

		if (rc)
			return callback_failed(run, SMMUINV_CALLBACK_SYNC, rc);
	}
	if (q->ops.settled)
		settled(run, command, SMMUINV_FATE_VMM, SMMUINV_RULE_NONE);
	run->p.consumed++;
	run->account.counters.vmm++;
	return 0;
}

/*
 * A CMD_SYNC covers ATC_INVs that devices owe. 0 if they have answered now;
 * otherwise the queue stops at it (7.1), or the host has failed.
 */
static int pay(struct run *run)
{
	struct smmuinv_result r = RESULT_NONE;
	int rc;

	if (smmuinv__vsmmu_pay(run->queue->vsmmu, &run->account))
		return 0;
	rc = smmuinv__account_report(&run->account, &r);
	run->p.fault = r.fault;
	run->p.cerror = r.cerror;
	return r.cerror ? 1 : rc;
}

/* In the queue's order: what is done, and CMD_SYNCs that cover only that. */
static int settle(struct run *run)
{
	struct smmuinv_batch *b = run->queue->batch;
	const struct account *a = &run->account;
	uint32_t owed = a->owed_before ? 0 : a->owed;
	uint32_t sync = b->first_sync;
	uint32_t i = 0;
	int rc = 0;

	for (; sync < a->undone; sync = b->marks[sync].rule) {
		settle_commands(run, i, sync);
		if (sync >= owed)
			rc = pay(run);
		if (!rc)
			rc = signal_sync(run, &b->commands[sync]);
		if (rc)
			return rc;
		owed = sync >= owed ? SMMUINV_INDEX_NONE : owed;
		i = sync + 1;
	}
	if (i < a->undone)
		settle_commands(run, i, a->undone);
	if (a->undone < b->count)
		run->p.fault = a->fault;
	return run->p.fault.error;
}

/*
 * Has the hosts execute what was read, and settles what is done. The rest is
 * not consumed, and is read again.
 */
static int flush_window(struct run *run)
{
	struct smmuinv_batch *b = run->queue->batch;
	int rc;

	if (!b->count)
		return 0;
	smmuinv__batch_execute(b, &run->account);
	rc = settle(run);
	smmuinv_batch_clear(b);
	return rc;
}

/* The queue stops at the entry after all that is complete (7.1). */
static int stop(struct run *run, const struct smmuinv_command *raw,
		uint32_t cerror, uint32_t rule, uint32_t field)
{
	run->p.cerror = cerror;
	run->p.fault = (struct smmuinv_fault){
		.vsid = SMMUINV_VSID_NONE,
		.source = SMMUINV_SOURCE_GUEST,
		.rule = rule,
		.field = field,
	};
	run->account.counters.illegal += cerror == SMMUINV_CERROR_ILL;
	settled(run, raw,
		cerror == SMMUINV_CERROR_ILL ? SMMUINV_FATE_ILLEGAL :
					       SMMUINV_FATE_UNREADABLE,
		rule);
	return 1;
}

/* CFGI_CD_ALL of a stream whose attachment stayed as it was (4.3.1). */
static int invalidate_cds(struct run *run, uint32_t vsid)
{
	struct smmuinv_batch *b = run->queue->batch;
	const struct smmuinv_command command = command_make(
		SMMUINV_CMD_CFGI_CD_ALL | (uint64_t)vsid << DW0_SID_SHIFT, 0);

	smmuinv__batch_push(b, &command, SMMUINV_RULE_NONE);
	return batch_is_full(b);
}

/* Executes the library's own commands, which are not entries of the queue. */
static int execute_own(struct run *run)
{
	smmuinv__batch_execute(run->queue->batch, &run->account);
	smmuinv_batch_clear(run->queue->batch);
	run->p.fault = run->account.fault;
	return run->p.fault.error;
}

/* -ENOENT if there is none from @vsid to @last. */
static int next_stream(const struct run *run, uint64_t *vsid, uint32_t last)
{
	struct streams *s = &run->queue->vsmmu->streams;
	const struct stream *stream = NULL;

	pthread_mutex_lock(&s->lock);
	if (*vsid <= last)
		stream = smmuinv__stream_next(s, (uint32_t)*vsid);
	if (stream)
		*vsid = stream->vsid;
	pthread_mutex_unlock(&s->lock);
	return stream && *vsid <= last ? 0 : -ENOENT;
}

/* One stream whose STE may have changed. */
static int visit_stream(struct run *run, uint32_t vsid, bool leaf)
{
	const struct smmuinv_queue *q = run->queue;
	int answer = 0;

	run->visits++;
	if (q->ops.cfgi_ste)
		answer = q->ops.cfgi_ste(run->opaque, vsid, leaf);
	if (answer == SMMUINV_STE_ATTACHED)
		return 0;
	if (answer)
		return callback_failed(run, SMMUINV_CALLBACK_CFGI_STE, answer);
	return invalidate_cds(run, vsid) ? execute_own(run) : 0;
}

/* A call that failed may have cost seconds, whatever its errno is. */
static bool has_worked(const struct run *run)
{
	const struct smmuinv_counters *c = &run->account.counters;

	return c->failed ||
	       c->host_commands + run->visits + run->queue->batch->count >=
		       run->queue->work_max;
}

/* All of them, whatever work_max is: the VMM decides how many there are. */
static int visit_streams(struct run *run, uint32_t first, uint32_t last,
			 bool leaf)
{
	struct smmuinv_batch *b = run->queue->batch;
	uint64_t vsid = first;
	int rc = 0;

	while (!rc && !next_stream(run, &vsid, last))
		rc = visit_stream(run, (uint32_t)vsid++, leaf);
	if (!rc && b->count)
		rc = execute_own(run);
	/* After a failure all of the command is presented again. */
	smmuinv_batch_clear(b);
	return rc;
}

static bool is_same(const struct smmuinv_command *a,
		    const struct smmuinv_command *b)
{
	return a->dw[0] == b->dw[0] && a->dw[1] == b->dw[1];
}

static int take_cfgi_ste(struct run *run, uint32_t first, uint32_t last,
			 bool leaf)
{
	const struct smmuinv_queue *q = run->queue;
	int rc = 0;

	if (q->ops.cfgi_ste_range)
		rc = q->ops.cfgi_ste_range(run->opaque, first, last, leaf);
	if (rc)
		return callback_failed(run, SMMUINV_CALLBACK_CFGI_STE_RANGE,
				       rc);
	return visit_streams(run, first, last, leaf);
}

/*
 * A CFGI_STE or CFGI_STE_RANGE. The guest wrote the STEs before it produced any
 * of these commands. So if the command before is the same, this one is done
 * already. 4.3.2: 2^(Range + 1) StreamIDs, aligned to their number.
 */
static int hand_over_cfgi(struct run *run,
			  const struct smmuinv_command *command)
{
	uint32_t sid = command_sid(command);
	uint64_t range = smmuinv_command_get(command, SMMUINV_FIELD_RANGE);
	uint32_t rest = (uint32_t)((UINT64_C(2) << range) - 1);
	bool single = smmuinv_command_opcode(command) == SMMUINV_CMD_CFGI_STE;
	int rc = 0;

	if (run->neighbour && is_same(&run->last, command))
		return 0;
	if (single)
		rc = take_cfgi_ste(run, sid, sid,
				   command_dw1(command) & DW1_LEAF);
	else
		rc = take_cfgi_ste(run, sid & ~rest, sid | rest, false);
	run->neighbour = !rc;
	run->last = *command;
	return rc;
}

/* A command that the VMM has to act on. */
static int hand_over(struct run *run, const struct smmuinv_command *raw,
		     const struct smmuinv_command *command)
{
	const struct smmuinv_queue *q = run->queue;
	uint8_t opcode = smmuinv_command_opcode(command);
	bool cfgi = opcode == SMMUINV_CMD_CFGI_STE ||
		    opcode == SMMUINV_CMD_CFGI_STE_RANGE;
	int rc = SMMUINV_COMMAND_ILLEGAL;

	if (cfgi)
		rc = hand_over_cfgi(run, command);
	else if (q->ops.command)
		rc = q->ops.command(run->opaque, command);
	if (cfgi && rc)
		return rc;
	if (rc == SMMUINV_COMMAND_ILLEGAL)
		return stop(run, raw, SMMUINV_CERROR_ILL,
			    SMMUINV_RULE_NOT_OFFERED, SMMUINV_FIELD_OPCODE);
	if (rc)
		return callback_failed(run, SMMUINV_CALLBACK_COMMAND, rc);
	settled(run, raw, SMMUINV_FATE_VMM, SMMUINV_RULE_NONE);
	run->neighbour &= cfgi;
	run->p.consumed++;
	run->account.counters.vmm++;
	return 0;
}

static int stop_unsupported(struct run *run, int error,
			    const struct check_found *found)
{
	run->p.fault = (struct smmuinv_fault){
		.vsid = SMMUINV_VSID_NONE,
		.source = SMMUINV_SOURCE_GUEST,
		.error = error,
		.rule = found->rule,
		.field = found->field,
	};
	return error;
}

/* One entry. 0 to go on, 1 to stop, or a negative errno. */
static int step(struct run *run, const struct smmuinv_command *raw)
{
	struct smmuinv_queue *q = run->queue;
	struct smmuinv_batch *b = q->batch;
	struct check_found found;
	int verdict = smmuinv__check_run(&q->vsmmu->check, raw, &found);
	bool sync = verdict == SMMUINV_VMM &&
		    smmuinv_command_opcode(raw) == SMMUINV_CMD_SYNC;
	int rc;

	run->read++;
	if (q->written)
		q->written[b->count] = *raw;
	if (sync || verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE) {
		run->neighbour &= sync;
		if (sync)
			smmuinv__batch_push_sync(b, raw);
		else
			smmuinv__batch_push(b, &found.command, found.rule);
		return batch_is_full(b) ? flush_window(run) : 0;
	}
	rc = flush_window(run);
	if (rc)
		return rc;
	if (verdict == SMMUINV_VMM)
		return hand_over(run, raw, &found.command);
	if (verdict == SMMUINV_ILLEGAL)
		return stop(run, raw, SMMUINV_CERROR_ILL, found.rule,
			    found.field);
	return stop_unsupported(run, verdict, &found);
}

/*
 * Takes entries from memory, up to the first that needs a closer look, or to
 * the end of the ring or of the window.
 */
static int step_in_memory(struct run *run)
{
	struct smmuinv_batch *b = run->queue->batch;
	const struct smmuinv_command *ring = run->ring.base;
	uint32_t index = index_at(run, run->read);
	uint32_t n = (1u << run->ring.log2size) - index;
	struct smmuinv_command raw;
	uint32_t taken;

	if (n > run->limit - run->read)
		n = run->limit - run->read;
	taken = smmuinv__batch_take(b, ring + index, n);
	run->read += taken;
	run->neighbour &= !b->kinds;
	if (batch_is_full(b))
		return flush_window(run);
	if (taken == n)
		return 0;
	raw = b->commands[b->count];
	return step(run, &raw);
}

/* One entry: it has to be read by a callback, or ops.settled wants each. */
static int step_single(struct run *run)
{
	static const struct smmuinv_command none = { { 0 } };
	const struct smmuinv_queue *q = run->queue;
	const struct smmuinv_command *ring = run->ring.base;
	uint32_t index = index_at(run, run->read);
	struct smmuinv_command raw;
	int answer;
	int rc;

	if (ring) {
		raw = command_read_once(&ring[index]);
		return step(run, &raw);
	}
	answer = q->ops.read(run->opaque, index, &raw);
	if (!answer)
		return step(run, &raw);
	rc = flush_window(run);
	if (rc)
		return rc;
	if (answer > 0)
		return callback_failed(run, SMMUINV_CALLBACK_READ, answer);
	return stop(run, &none, SMMUINV_CERROR_ABT, SMMUINV_RULE_NONE,
		    SMMUINV_FIELD_OPCODE);
}

static int consume(struct run *run)
{
	bool single = !run->ring.base || run->queue->written;
	int rc = 0;

	while (run->read < run->limit && !rc && !has_worked(run))
		rc = single ? step_single(run) : step_in_memory(run);
	if (!rc)
		rc = flush_window(run);
	run->p.more =
		!run->p.cerror && rc >= 0 && run->p.consumed < run->produced;
	return rc;
}

/* How many entries there are, or -ERANGE if that is more than there can be. */
static int64_t ring_produced(const struct smmuinv_ring *ring)
{
	uint32_t wrap_mask = (2u << (ring->log2size & 31)) - 1;
	uint32_t produced = (ring->prod - ring->cons) & wrap_mask;

	if (ring->log2size > SMMUINV_QUEUE_LOG2SIZE_MAX)
		return -ERANGE;
	return produced > 1u << ring->log2size ? -ERANGE : (int64_t)produced;
}

static int run_begin_call(struct run *run, struct smmuinv_queue *queue,
			  const struct smmuinv_ring *ring,
			  const struct smmuinv_progress *progress)
{
	int64_t produced;

	if (!queue || !progress || !PARAMS_WRITABLE(progress) ||
	    !PARAMS_COPY(&run->ring, ring) ||
	    (uintptr_t)run->ring.base % sizeof(uint64_t) ||
	    (!run->ring.base && !queue->ops.read))
		return -EINVAL;
	if (queue->consuming)
		return -EBUSY;
	run->queue = queue;
	run->opaque = run->ring.opaque ? run->ring.opaque : queue->opaque;
	run->p.fault.vsid = SMMUINV_VSID_NONE;
	queue->consuming = true;
	produced = ring_produced(&run->ring);
	if (produced < 0) {
		run->p.fault.source = SMMUINV_SOURCE_POINTERS;
		run->p.fault.error = (int32_t)produced;
		return 0;
	}
	run->produced = (uint32_t)produced;
	run->limit = run->produced;
	if (run->ring.max_commands && run->ring.max_commands < produced)
		run->limit = run->ring.max_commands;
	return 0;
}

static int run_end_call(struct run *run, int rc,
			struct smmuinv_progress *progress)
{
	const struct smmuinv_counters *c = &run->account.counters;

	run->account.counters.read = run->read;
	smmuinv__counters_add(&run->queue->batch->tally.counters, c);
	run->p.forwarded = (uint32_t)c->forwarded;
	run->p.dropped = (uint32_t)c->dropped;
	run->p.vmm = (uint32_t)c->vmm;
	run->p.host_commands += (uint32_t)c->host_commands;
	run->p.ioctls += (uint32_t)c->ioctls;
	run->p.retries += (uint32_t)c->retries;
	run->p.timeouts += (uint32_t)c->timeouts;
	run->p.replaced += (uint32_t)c->replaced;
	run->queue->consuming = false;
	run->p.cons = pointer_at(run, run->p.consumed);
	PARAMS_STORE(progress, &run->p);
	return rc < 0 ? rc : (int)run->p.consumed;
}

int smmuinv_queue_consume(struct smmuinv_queue *queue,
			  const struct smmuinv_ring *ring,
			  struct smmuinv_progress *progress)
{
	struct run run = { 0 };
	int rc = run_begin_call(&run, queue, ring, progress);

	if (rc)
		return rc;
	rc = run.p.fault.error ? run.p.fault.error : consume(&run);
	return run_end_call(&run, rc, progress);
}

/* Everything is invalidated in place of the command at CONS. */
static int skip(struct run *run)
{
	struct smmuinv_queue *q = run->queue;
	const struct smmuinv_command *ring = run->ring.base;
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command raw;
	struct check_found found;
	int rc;

	if (!run->limit)
		return 0;
	if (ring)
		raw = command_read_once(&ring[index_at(run, 0)]);
	else if (q->ops.read(run->opaque, index_at(run, 0), &raw))
		return 0;
	if (smmuinv__check_run(&q->vsmmu->check, &raw, &found) !=
	    SMMUINV_FORWARD)
		return 0;
	run->read = 1;
	rc = smmuinv_vsmmu_invalidate_all(q->vsmmu, &result);
	/* CMD_SYNCs wait for what devices owe, so it is no error here. */
	if (result.cerror)
		rc = 0;
	/* The counters have these already. */
	run->p.host_commands = result.host_commands;
	run->p.ioctls = result.ioctls;
	run->p.retries = result.retries;
	run->p.timeouts = result.timeouts;
	run->p.replaced = result.replaced;
	if (rc) {
		run->p.fault = result.fault;
		return rc;
	}
	settled(run, &raw, SMMUINV_FATE_FORWARDED, SMMUINV_RULE_NONE);
	run->p.consumed = 1;
	run->account.counters.forwarded = 1;
	return 1;
}

int smmuinv_queue_invalidate_all(struct smmuinv_queue *queue,
				 const struct smmuinv_ring *ring,
				 struct smmuinv_progress *progress)
{
	struct run run = { 0 };
	int rc = run_begin_call(&run, queue, ring, progress);

	if (rc)
		return rc;
	rc = run.p.fault.error ? run.p.fault.error : skip(&run);
	return run_end_call(&run, rc, progress);
}
