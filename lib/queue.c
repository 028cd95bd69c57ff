/* SPDX-License-Identifier: MIT */
#include <smmuinv/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "command.h"
#include "counters.h"
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
	uint32_t again; /* where the last call ended */
	bool sev;       /* IDR0.SEV of the guest's */
	bool msi;       /* IDR0.MSI */
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

	if (!vsmmu || !queue || !PARAMS_TAKE(&p, params) ||
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
	q->sev = smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_SEV);
	q->msi = smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_MSI);
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

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* One call of smmuinv_queue_consume(). */
struct run {
	struct smmuinv_queue *queue;
	struct smmuinv_ring ring;
	uint32_t limit;    /* commands to look at */
	uint32_t read;     /* commands that were looked at */
	uint32_t consumed; /* commands before the new CMDQ_CONS */
	/* Of the window that was executed: what the VMM was told of. */
	uint32_t settled;  /* commands of the batch */
	bool dropping;     /* there are some that were not sent */
	uint32_t syncs;    /* CMD_SYNCs that were read, not counted yet */
	uint32_t signaled; /* CMD_SYNCs between them */
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

/* What the window cost; what of it is complete is the guest's to see. */
static void account(struct smmuinv_progress *p, const struct outcome *outcome)
{
	p->host_commands += outcome->calls.commands;
	p->ioctls += outcome->calls.ioctls;
	p->fault_vsid = outcome->fault_vsid;
	p->fault_viommu = outcome->fault_viommu;
	if (!outcome->host_error)
		return;
	p->host_error = outcome->host_error;
	p->host_count = outcome->host_count;
}

/* The commands of the batch before @upto, and after those settled already. */
static void settle_commands(struct run *run, uint32_t upto)
{
	const struct smmuinv_queue *q = run->queue;
	uint32_t first = run->settled;
	uint32_t n = upto - first;
	uint32_t dropped =
		run->dropping ? smmuinv__batch_dropped(q->batch, first, n) : 0;

	seen_batch(run, first, n);
	run->progress->forwarded += n - dropped;
	run->progress->dropped += dropped;
	/* Those that were carried are consumed already. */
	run->consumed +=
		upto - (first < q->carried ? min(q->carried, upto) : first);
	run->settled = upto;
}

/* 4.7.3. An MSI is asked for by an address. */
static void sync_of(const struct smmuinv_queue *q,
		    const struct smmuinv_command *command,
		    struct smmuinv_sync *sync)
{
	enum { SIG_IRQ = 1, SIG_SEV = 2 };
	uint64_t dw0 = command_dw0(command);
	uint64_t cs = (dw0 & DW0_CS) >> DW0_CS_SHIFT;
	uint64_t address = command_dw1(command) & DW1_MSIADDRESS;

	*sync = (struct smmuinv_sync){
		.irq = cs == SIG_IRQ,
		.sev = cs == SIG_SEV && q->sev,
	};
	if (!sync->irq || !address || !q->msi)
		return;
	sync->msi = true;
	sync->msi_address = address;
	sync->msi_data = (uint32_t)(dw0 >> DW0_MSIDATA_SHIFT);
	sync->msi_shareability = (uint8_t)((dw0 & DW0_MSH) >> DW0_MSH_SHIFT);
	sync->msi_attributes =
		(uint8_t)((dw0 & DW0_MSIATTR) >> DW0_MSIATTR_SHIFT);
}

/* The VMM's own, whatever was mended before it. */
static int own_failure(struct run *run, int error)
{
	run->progress->host_error = 0;
	run->progress->fault_viommu = 0;
	return error;
}

/* A CMD_SYNC with everything before it complete. */
static int signal_sync(struct run *run, const struct window_sync *sync)
{
	const struct smmuinv_queue *q = run->queue;
	struct smmuinv_sync asked;
	int rc;

	if (q->ops.sync) {
		sync_of(q, &sync->command, &asked);
		rc = q->ops.sync(q->opaque, &asked);
		if (rc < 0)
			return own_failure(run, rc);
	}
	seen(run, run->consumed, &sync->command, SMMUINV_FATE_VMM,
	     SMMUINV_RULE_NONE);
	run->consumed++;
	run->progress->vmm++;
	run->signaled++;
	return 0;
}

/* In the queue's order: commands before @upto, and the CMD_SYNCs among them. */
static int settle(struct run *run, uint32_t upto)
{
	const struct window_sync *syncs;
	uint32_t count = smmuinv__batch_syncs(run->queue->batch, &syncs);

	for (;;) {
		const struct window_sync *sync = &syncs[run->signaled];
		bool signal = run->signaled < count && sync->at <= upto;
		int rc;

		settle_commands(run, signal ? sync->at : upto);
		if (!signal)
			return 0;
		rc = signal_sync(run, sync);
		if (rc)
			return rc;
	}
}

/*
 * 7.1: after a time-out of ATC_INVs the next CMD_SYNC stays, and everything
 * before it is consumed. A guest may never see it complete, but will try it
 * again; what it stands for must then be done. Commands that no CMD_SYNC waits
 * for yet must not keep the guest from those that put an end to it; without
 * room to carry them the queue cannot go on.
 */
static int carry(struct run *run, uint32_t first, const struct outcome *outcome)
{
	struct smmuinv_queue *q = run->queue;
	const struct window_sync *syncs;
	uint32_t count = smmuinv__batch_syncs(q->batch, &syncs);
	bool at_sync = run->signaled < count;
	uint32_t upto = at_sync ? syncs[run->signaled].at :
				  smmuinv_batch_count(q->batch);

	if (!at_sync && run->settled == first &&
	    smmuinv__batch_is_full(q->batch))
		return outcome->error;
	run->consumed +=
		upto - (run->settled < q->carried ? min(q->carried, upto) :
						    run->settled);
	q->carried = upto;
	if (!at_sync)
		return 0;
	run->progress->cerror = outcome->cerror;
	return 1;
}

/*
 * Out of the batch goes what is settled, from @first on, and what was neither
 * that nor carried: it was not consumed, and is read again.
 */
static void clean_up(struct run *run, uint32_t first)
{
	struct smmuinv_queue *q = run->queue;
	uint32_t n = run->settled - first;

	if (!first && n == smmuinv_batch_count(q->batch)) {
		smmuinv_batch_clear(q->batch);
		q->carried = 0;
		return;
	}
	smmuinv__batch_discard(q->batch, first, n);
	if (q->written)
		memmove(q->written + first, q->written + run->settled,
			(smmuinv_batch_count(q->batch) - first) *
				sizeof(*q->written));
	q->carried -= min(n, q->carried - first);
	smmuinv__batch_truncate(q->batch, q->carried);
}

/*
 * Have the host execute what was read, and settle what is complete. What is
 * carried goes along only if there is a CMD_SYNC that waits for it.
 */
static int flush(struct run *run)
{
	struct smmuinv_queue *q = run->queue;
	const struct window_sync *syncs;
	uint32_t first =
		smmuinv__batch_syncs(q->batch, &syncs) ? 0 : q->carried;
	struct outcome outcome;
	int rc;

	smmuinv__batch_execute(q->batch, first, &outcome);
	account(run->progress, &outcome);
	run->settled = first;
	run->signaled = 0;
	run->dropping =
		smmuinv__batch_dropped(q->batch, first, outcome.completed);
	rc = settle(run, first + outcome.completed);
	if (!rc && outcome.cerror == SMMUINV_CERROR_ATC_INV_SYNC)
		rc = carry(run, first, &outcome);
	else if (!rc)
		rc = outcome.error;
	clean_up(run, first);
	/* The guest may count on what is behind the CMD_SYNC that it saw fail.
	 */
	if (run->progress->cerror)
		smmuinv__batch_forget_again(q->batch);
	return rc;
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
	smmuinv__tally_illegal(smmuinv__batch_tally(run->queue->batch), rule);
	return 1;
}

static struct smmuinv_streams *streams_of(const struct run *run)
{
	return run->queue->vsmmu->streams;
}

/* So that a loop over vSIDs ends at @last, also if that is the very last. */
static bool next_stream(const struct run *run, uint32_t *vsid, uint32_t last)
{
	return !smmuinv_streams_next(streams_of(run), vsid) && *vsid <= last;
}

static int call_cfgi_ste(const struct run *run, uint32_t first, uint32_t last,
			 bool leaf)
{
	const struct smmuinv_queue *q = run->queue;
	uint32_t vsid = first;
	int rc = 0;

	if (q->ops.cfgi_ste_range)
		rc = q->ops.cfgi_ste_range(q->opaque, first, last, leaf);
	while (rc >= 0 && q->ops.cfgi_ste && next_stream(run, &vsid, last)) {
		rc = q->ops.cfgi_ste(q->opaque, vsid, leaf);
		if (vsid++ == last)
			break;
	}
	return rc;
}

/* Commands of the library's own, which nobody is told of. */
static int execute_own(struct run *run)
{
	struct smmuinv_queue *q = run->queue;
	struct outcome outcome;

	smmuinv__batch_execute_own(q->batch, q->carried, &outcome);
	account(run->progress, &outcome);
	smmuinv__batch_truncate(q->batch, q->carried);
	smmuinv__batch_forget_done(q->batch);
	return outcome.error;
}

/* Any CD of the stream may be cached. */
static int invalidate_cds(struct run *run, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };
	struct smmuinv_batch *batch = run->queue->batch;
	struct smmuinv_command command;

	/* One that has gone meanwhile does not translate either. */
	(void)smmuinv_streams_find(streams_of(run), vsid, &info);
	if (!info.translates)
		return 0;
	smmuinv_command_cfgi_cd_all(&command, vsid);
	smmuinv__batch_push_own(batch, &command, SMMUINV_RULE_NONE);
	return smmuinv__batch_is_full(batch) ? execute_own(run) : 0;
}

/*
 * 4.3.1: what a CFGI_STE names, it invalidates with every CD that was cached
 * through it. The VMM has had its say, so streams are as they will be now.
 */
static int invalidate_cds_below(struct run *run, uint32_t first, uint32_t last)
{
	uint32_t vsid = first;
	int rc = 0;

	while (!rc && next_stream(run, &vsid, last)) {
		rc = invalidate_cds(run, vsid);
		if (vsid++ == last)
			break;
	}
	return rc ? rc : execute_own(run);
}

static int take_cfgi_ste(struct run *run, uint32_t first, uint32_t last,
			 bool leaf)
{
	int rc = call_cfgi_ste(run, first, last, leaf);

	/* What comes now is no retry of what failed before. */
	smmuinv__batch_forget_done(run->queue->batch);
	return rc < 0 ? own_failure(run, rc) :
			invalidate_cds_below(run, first, last);
}

/* 4.3.2: 2^(Range + 1) StreamIDs, aligned to their number. */
static int take_cfgi_ste_range(struct run *run,
			       const struct smmuinv_command *command)
{
	uint64_t range = smmuinv_command_get(command, SMMUINV_FIELD_RANGE);
	uint32_t rest = (uint32_t)((UINT64_C(2) << range) - 1);
	uint32_t sid = command_sid(command);

	return take_cfgi_ste(run, sid & ~rest, sid | rest, false);
}

static int call_vmm(struct run *run, const struct smmuinv_command *command)
{
	const struct smmuinv_queue *q = run->queue;
	int rc;

	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_STE:
		return take_cfgi_ste(run, command_sid(command),
				     command_sid(command),
				     command_dw1(command) & DW1_LEAF);
	case SMMUINV_CMD_CFGI_STE_RANGE:
		return take_cfgi_ste_range(run, command);
	default:
		rc = q->ops.command(q->opaque, command);
		return rc < 0 ? own_failure(run, rc) : rc;
	}
}

/* What the VMM cannot do unless it has the general callback. */
static bool offered(const struct smmuinv_queue *q,
		    const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
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
	rc = flush(run);
	if (rc)
		return rc;
	rc = call_vmm(run, &found->command);
	if (rc < 0)
		return rc;
	seen(run, run->consumed, raw, SMMUINV_FATE_VMM, SMMUINV_RULE_NONE);
	run->read++;
	run->consumed++;
	run->progress->vmm++;
	return 0;
}

/* A CMD_SYNC is signaled when the window is executed. */
static int hold_sync(struct run *run, const struct smmuinv_command *raw)
{
	struct smmuinv_batch *batch = run->queue->batch;

	smmuinv__batch_push_sync(batch, raw);
	run->read++;
	run->syncs++;
	return smmuinv__batch_is_full(batch) ? flush(run) : 0;
}

/* Of the last @n commands in the batch. */
static void call_cfgi_cd(const struct smmuinv_queue *q, uint32_t n)
{
	uint32_t count = smmuinv_batch_count(q->batch);
	uint32_t i;

	for (i = count - n; i < count; i++) {
		const struct smmuinv_command *command =
			smmuinv__batch_command(q->batch, i);

		if (!(RANK_BIT(command_rank(command)) & RANKS_CFGI))
			continue;
		q->ops.cfgi_cd(q->opaque, command_sid(command),
			       (uint32_t)smmuinv_command_get(
				       command, SMMUINV_FIELD_SUBSTREAMID),
			       smmuinv_command_opcode(command) ==
				       SMMUINV_CMD_CFGI_CD_ALL);
	}
}

static int hold_back(struct run *run, const struct smmuinv_command *raw,
		     const struct check_found *found)
{
	struct smmuinv_queue *q = run->queue;

	if (q->written)
		q->written[smmuinv_batch_count(q->batch)] =
			(struct written){ *raw, index_at(run, run->read) };
	smmuinv__batch_push(q->batch, &found->command, found->rule);
	run->read++;
	if (q->ops.cfgi_cd && found->rule == SMMUINV_RULE_NONE)
		call_cfgi_cd(q, 1);
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

/* One that neither the batch counts nor the CMD_SYNCs' own counter. */
static void count_read(const struct run *run, const struct smmuinv_command *raw)
{
	smmuinv__tally_read(smmuinv__batch_tally(run->queue->batch),
			    smmuinv_command_opcode(raw), 1);
}

/* 0 to go on, 1 to stop, or a negative errno. */
static int step(struct run *run, const struct smmuinv_command *raw)
{
	const struct check_table *table = &run->queue->vsmmu->check;
	struct check_found found;
	int verdict;

	if (smmuinv__check_is_sync(table, raw))
		return hold_sync(run, raw);
	verdict = smmuinv__check_run(table, raw, &found);
	switch (verdict) {
	case SMMUINV_FORWARD:
	case SMMUINV_IGNORE:
		return hold_back(run, raw, &found);
	case SMMUINV_VMM:
		if (smmuinv_command_opcode(raw) == SMMUINV_CMD_SYNC)
			return hold_sync(run, raw);
		count_read(run, raw);
		return hand_over(run, raw, &found);
	case SMMUINV_ILLEGAL:
		count_read(run, raw);
		return stop_illegal(run, raw, found.rule, found.field);
	default:
		count_read(run, raw);
		return stop_unsupported(run, verdict, &found);
	}
}

/*
 * What lies in memory up to the first command that needs a closer look, to the
 * end of the ring or of the window.
 */
static int step_in_memory(struct run *run)
{
	struct smmuinv_queue *q = run->queue;
	const struct smmuinv_command *ring = run->ring.base;
	uint32_t index = index_at(run, run->read);
	uint32_t n =
		min(run->limit - run->read, (1u << run->ring.log2size) - index);
	struct batch_taken taken =
		smmuinv__batch_take(q->batch, ring + index, n);
	struct smmuinv_command raw;

	run->read += taken.commands + taken.syncs;
	run->syncs += taken.syncs;
	if (q->ops.cfgi_cd && taken.kinds & RANKS_CFGI)
		call_cfgi_cd(q, taken.commands);
	if (smmuinv__batch_is_full(q->batch))
		return flush(run);
	if (taken.commands + taken.syncs == n)
		return 0;
	raw = *smmuinv__batch_rejected(q->batch);
	return step(run, &raw);
}

/* One command, by the VMM's callback or because the VMM wants to see each. */
static int step_single(struct run *run)
{
	const struct smmuinv_queue *q = run->queue;
	const struct smmuinv_command *ring = run->ring.base;
	uint32_t index = index_at(run, run->read);
	struct smmuinv_command raw;

	if (ring)
		raw = command_read_once(&ring[index]);
	else if (q->ops.read(q->opaque, index, &raw) < 0)
		return stop_unreadable(run);
	return step(run, &raw);
}

static int consume(struct run *run)
{
	bool single = !run->ring.base || run->queue->written;
	int rc = 0;

	while (run->read < run->limit && !rc)
		rc = single ? step_single(run) : step_in_memory(run);
	return rc ? rc : flush(run);
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
	struct tally *tally;
	int64_t limit;
	int rc;

	if (!queue || !progress || !PARAMS_WRITABLE(progress) ||
	    !PARAMS_COPY(&run.ring, ring) || !ring_valid(&run.ring) ||
	    missing_callbacks(&run.ring, &queue->ops))
		return -EINVAL;
	if (queue->consuming)
		return -EBUSY;
	/* What was begun is not gone on with elsewhere. */
	if (pointer_at(&run, 0) != queue->again)
		smmuinv__batch_forget_done(queue->batch);
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
	queue->again = p.cons;
	tally = smmuinv__batch_tally(queue->batch);
	smmuinv__tally_read(tally, SMMUINV_CMD_SYNC, run.syncs);
	counter_add(&tally->now.vmm, p.vmm);
	if (p.cerror)
		counter_add(&tally->now.stops[p.cerror], 1);
	PARAMS_STORE(progress, &p);
	return rc < 0 ? rc : (int)run.consumed;
}
