/* SPDX-License-Identifier: MIT */
#include "execute.h"

#include <errno.h>
#include <stdlib.h>

#include <smmuinv/batch.h>

#include "backend.h"
#include "command.h"

/* How often the same commands are sent without a change. */
#define TRIES_MAX 3

/* Commands in a row, of one call. */
struct span {
	struct smmuinv_command *commands;
	const uint32_t *origin; /* NULL: of entry 0 */
	uint32_t count;
};

static struct span span_part(const struct span *span, uint32_t first,
			     uint32_t count)
{
	return (struct span){
		.commands = span->commands + first,
		.origin = span->origin ? span->origin + first : NULL,
		.count = count,
	};
}

static bool is_atc_inv(const struct smmuinv_command *command)
{
	return smmuinv_command_opcode(command) == SMMUINV_CMD_ATC_INV;
}

static void lower(uint32_t *index, const struct span *span)
{
	uint32_t i;

	for (i = 0; i < span->count; i++) {
		uint32_t origin = span->origin ? span->origin[i] : 0;

		if (origin < *index)
			*index = origin;
	}
}

/* After a failure that more calls do not mend, nothing more is tried. */
static bool has_stopped(const struct executor *x)
{
	return x->error && x->error != -ENODEV;
}

void smmuinv__account_open(struct account *a, uint32_t count)
{
	a->fault = (struct smmuinv_fault){ .vsid = SMMUINV_VSID_NONE };
	a->owed_vsid = SMMUINV_VSID_NONE;
	a->fault_index = SMMUINV_INDEX_NONE;
	a->undone = count;
	a->owed = SMMUINV_INDEX_NONE;
	a->owed_viommu = 0;
	a->owed_before = false;
	a->fresh = false;
}

enum fitness { FIT, GONE, OWED };

/*
 * With the lock. May the command still be sent? Not if its device owes already:
 * then it is part of that.
 */
static enum fitness fitness_of(const struct executor *x,
			       const struct smmuinv_command *command)
{
	struct stream *stream;

	if (!command_names_stream(command))
		return FIT;
	stream = smmuinv__stream_find(x->streams, command_sid(command));
	if (!stream || stream->viommu_id != x->viommu.id)
		return GONE;
	if (!is_atc_inv(command))
		return FIT;
	if (!stream->ats)
		return GONE;
	if (!stream->debt || x->paying)
		return FIT;
	/* A payment that is under way is older than this command. */
	smmuinv__stream_set_debt(x->streams, stream, ++x->streams->debts);
	return OWED;
}

/* Only a device that was asked alone is named. */
static void note_owed(struct executor *x, const struct span *span, bool named)
{
	uint32_t before = x->account->owed;

	lower(&x->account->owed, span);
	if (x->account->owed == before)
		return;
	x->account->owed_vsid =
		named ? command_sid(&span->commands[0]) : SMMUINV_VSID_NONE;
	x->account->owed_viommu = x->viommu.id;
}

/*
 * With the lock. Streams have changed since commands were resolved. A command
 * that may no longer be sent is overwritten by one that may, because a command
 * can be executed twice. False if no command may be sent.
 */
static bool refit(struct executor *x, struct span *span)
{
	const struct smmuinv_command *fit = NULL;
	uint32_t i;

	if (!smmuinv__viommu_find(x->streams, x->viommu.id))
		return false;
	for (i = 0; i < span->count && !fit; i++) {
		if (fitness_of(x, &span->commands[i]) == FIT)
			fit = &span->commands[i];
	}
	for (i = 0; i < span->count; i++) {
		struct span one = span_part(span, i, 1);
		enum fitness fitness = fitness_of(x, one.commands);

		if (fitness == OWED)
			note_owed(x, &one, true);
		if (fitness != FIT && fit)
			*one.commands = *fit;
	}
	return fit;
}

/* With the erratum, TLBI and CFGI take effect only after two calls. */
static int ask_host(struct executor *x, const struct span *span,
		    uint32_t *count)
{
	bool twice = x->viommu.repeat && !is_atc_inv(span->commands);
	int rc;

	*count = span->count;
	rc = smmuinv__backend_invalidate(x->backend, x->viommu.id,
					 span->commands, count);
	if (rc || !twice)
		return rc;
	x->account->counters.ioctls++;
	x->account->counters.host_commands += span->count;
	x->account->counters.repeats += span->count;
	return smmuinv__backend_invalidate(x->backend, x->viommu.id,
					   span->commands, count);
}

/*
 * One call. On failure @count is what the host says that it has done. It has a
 * meaning only with -EIO.
 */
static int call_host(struct executor *x, struct span *span, uint32_t *count)
{
	struct host_call call;
	bool fit;
	int rc;

	pthread_mutex_lock(&x->streams->lock);
	fit = x->changes == x->streams->changes || refit(x, span);
	if (fit)
		smmuinv__host_call_begin(x->streams, &call, x->viommu.id);
	pthread_mutex_unlock(&x->streams->lock);
	if (!fit)
		return 0;
	rc = ask_host(x, span, count);
	pthread_mutex_lock(&x->streams->lock);
	smmuinv__host_call_end(x->streams, &call);
	pthread_mutex_unlock(&x->streams->lock);
	x->account->counters.ioctls++;
	x->account->counters.host_commands += span->count;
	x->account->counters.retries += x->failed;
	x->retries_left -= x->failed && x->retries_left;
	if (!rc)
		return 0;
	x->failed = true;
	x->account->counters.failed++;
	x->account->counters.timeouts += rc == -ETIMEDOUT;
	x->timeouts_left -= rc == -ETIMEDOUT && x->timeouts_left;
	/* -ENODEV is for streams. Of a backend's own it says no more than -EIO.
	 */
	return rc == -ENODEV ? -EIO : rc;
}

/* The devices of an ATC_INV call did not answer, or were not asked. */
static void owe(struct executor *x, const struct span *span, bool named)
{
	uint32_t i;

	pthread_mutex_lock(&x->streams->lock);
	for (i = 0; i < span->count; i++) {
		struct stream *stream = smmuinv__stream_find(
			x->streams, command_sid(&span->commands[i]));

		if (stream)
			smmuinv__stream_set_debt(x->streams, stream,
						 ++x->streams->debts);
	}
	x->streams->changes++;
	pthread_mutex_unlock(&x->streams->lock);
	x->account->fresh = true;
	note_owed(x, span, named);
}

/* The failure at the earliest command is reported, before what devices owe. */
static void fail(struct executor *x, const struct span *span, int error,
		 uint64_t vsid)
{
	struct account *a = x->account;
	uint32_t at = SMMUINV_INDEX_NONE;

	lower(&at, span);
	lower(&a->undone, span);
	/* What the stream owes was not sent. */
	if (x->paying)
		owe(x, span, false);
	x->error = error;
	if (a->fault.error && at >= a->fault_index)
		return;
	a->fault_index = at;
	a->fault = (struct smmuinv_fault){
		.vsid = vsid,
		.viommu_id = x->viommu.id,
		.source = SMMUINV_SOURCE_HOST,
		.error = error,
	};
}

/* Is the limit for this kind of failure reached? */
static bool is_spent(const struct executor *x, const struct span *span,
		     int error)
{
	bool slow = error == -ETIMEDOUT || is_atc_inv(span->commands);

	return !x->retries_left || (slow && !x->timeouts_left);
}

/* Sends @command in place of the one in @span. */
static int call_other(struct executor *x, const struct span *span,
		      struct smmuinv_command command)
{
	struct span other = { &command, span->origin, 1 };
	uint32_t count;

	return call_host(x, &other, &count);
}

static struct smmuinv_command cfgi_cd_all(uint64_t dw0)
{
	return command_make(SMMUINV_CMD_CFGI_CD_ALL | (dw0 & DW0_SID), 0);
}

/*
 * Is it the device that does not answer, or the SMMU? 0 if the SMMU takes a
 * command that asks no device. A refusal is an answer too: then the vDEVICE is
 * gone.
 */
static int ask_smmu(struct executor *x, const struct span *span)
{
	int rc = 0;

	if (!x->answers)
		rc = call_other(x, span,
				cfgi_cd_all(command_dw0(span->commands)));
	x->answers = !rc || rc == -EIO;
	return x->answers ? 0 : rc;
}

static bool of_one_stream(const struct span *span)
{
	uint32_t i;

	for (i = 1; i < span->count; i++) {
		if (command_sid(&span->commands[i]) !=
		    command_sid(&span->commands[0]))
			return false;
	}
	return true;
}

/* @asked: the commands were sent in a call of their own. */
static bool give_up(struct executor *x, const struct span *span, int error,
		    bool asked)
{
	if (is_atc_inv(span->commands) &&
	    (error == -ETIMEDOUT || error == -EIO || !x->timeouts_left)) {
		error = ask_smmu(x, span);
		if (!error)
			owe(x, span, asked && of_one_stream(span));
	}
	if (error)
		fail(x, span, error, SMMUINV_VSID_NONE);
	return false;
}

/*
 * All that follow return true if the host has executed the commands unchanged.
 * Otherwise they have already repaired or recorded the failure.
 */
static bool attempt(struct executor *x, struct span span, uint32_t tries,
		    int error);

/*
 * Tries the parts of a call that has failed. After a refusal the host's count
 * points at a command, but some kernels have not sent all that is before it,
 * and some point at the start of a block. So each part is tried alone. After a
 * count was wrong, later counts are not used.
 */
static bool split(struct executor *x, const struct span *span, uint32_t hint,
		  int error)
{
	uint32_t rest = span->count - hint - 1;

	if (hint >= span->count || x->hints_lie || error != -EIO) {
		uint32_t half = span->count / 2;

		attempt(x, span_part(span, 0, half), 0, error);
		attempt(x, span_part(span, half, span->count - half), 0, error);
		return false;
	}
	if (hint)
		attempt(x, span_part(span, 0, hint), 0, error);
	x->hints_lie = attempt(x, span_part(span, hint, 1), 0, error);
	if (rest)
		attempt(x, span_part(span, hint + 1, rest), 0, error);
	return false;
}

/* A wider command that can replace @command. */
static struct smmuinv_command covering(const struct smmuinv_command *command)
{
	uint64_t dw0 = command_dw0(command);

	switch (dw0 & DW0_OPCODE) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
		return cfgi_cd_all(dw0);
	case SMMUINV_CMD_ATC_INV:
		/* Not every device knows Global: of this PASID. */
		return command_make(dw0, SMMUINV_ATC_SIZE_ALL);
	default:
		return command_make(SMMUINV_CMD_TLBI_NH_ALL, 0);
	}
}

/*
 * A command stays refused, although it was sent alone. For an ATC_INV this can
 * mean, with some kernels, that its device does not answer. Then the SMMU still
 * takes another command for the vDEVICE. A vDEVICE is gone only if the SMMU
 * still takes a command that names no vDEVICE.
 */
static bool repair_refused(struct executor *x, const struct span *span)
{
	const struct smmuinv_command *command = span->commands;
	int rc = call_other(x, span, covering(command));

	x->account->counters.replaced += !rc;
	if (!rc)
		return false;
	if (rc != -EIO || !command_names_stream(command))
		return give_up(x, span, rc, true);
	if (is_atc_inv(command))
		rc = call_other(x, span, cfgi_cd_all(command_dw0(command)));
	if (!rc) {
		owe(x, span, true);
		return false;
	}
	if (rc == -EIO)
		rc = call_other(x, span,
				command_make(SMMUINV_CMD_TLBI_NH_ALL, 0));
	if (rc)
		fail(x, span, rc, SMMUINV_VSID_NONE);
	else
		fail(x, span, -ENODEV, command_sid(command));
	return false;
}

/*
 * ATC_INVs failed. A time-out costs a second, with -EIO as with -ETIMEDOUT, so
 * only a few are allowed. If the device is not found by then, all suspects owe.
 */
static bool repair_atc(struct executor *x, const struct span *span,
		       uint32_t hint, uint32_t tries, int error)
{
	/* There is one left, or no ATC_INV would have been sent. */
	x->timeouts_left -= error == -EIO;
	if (is_spent(x, span, error))
		return give_up(x, span, error, true);
	if (span->count > 1 && (error == -EIO || !of_one_stream(span)))
		return split(x, span, hint, error);
	if (!tries)
		return attempt(x, *span, 1, error);
	if (error == -EIO)
		return repair_refused(x, span);
	return give_up(x, span, error, true);
}

/* A call has failed: tries again, splits, replaces or gives up. */
static bool repair(struct executor *x, const struct span *span, uint32_t hint,
		   uint32_t tries, int error)
{
	bool refused = error == -EIO;

	if (is_atc_inv(span->commands) && (refused || error == -ETIMEDOUT))
		return repair_atc(x, span, hint, tries, error);
	if (span->count > 1 && (refused || error == -ENOMEM))
		return split(x, span, hint, error);
	if (refused && tries)
		return repair_refused(x, span);
	if (tries + 1 < TRIES_MAX)
		return attempt(x, *span, tries + 1, error);
	return give_up(x, span, error, true);
}

/* After a failure with @error, or 0 for the first time. */
static bool attempt(struct executor *x, struct span span, uint32_t tries,
		    int error)
{
	uint32_t count;
	int rc;

	if (error && has_stopped(x)) {
		lower(&x->account->undone, &span);
		return false;
	}
	if (error && is_spent(x, &span, error))
		return give_up(x, &span, error, false);
	rc = call_host(x, &span, &count);
	return rc ? repair(x, &span, count, tries, rc) : true;
}

void smmuinv__execute_calls(struct executor *x, const struct calls *calls)
{
	int error = x->error;
	uint32_t begun = 0;
	uint32_t i = 0;

	while (i < calls->end_count) {
		struct span span = {
			.commands = calls->commands + begun,
			.origin = calls->origin ? calls->origin + begun : NULL,
			.count = calls->ends[i] - begun,
		};

		/* The kernel warns in its log of more in one call. */
		if (span.count > SMMUINV_BATCH_CAPACITY_MAX)
			span.count = SMMUINV_BATCH_CAPACITY_MAX;
		/* What comes later may rely on what has failed. */
		if (x->error != error)
			lower(&x->account->undone, &span);
		else if (!x->timeouts_left && is_atc_inv(span.commands))
			/* No time is left for devices that do not answer. */
			give_up(x, &span, -ETIMEDOUT, false);
		else
			attempt(x, span, 0, 0);
		begun += span.count;
		i += begun == calls->ends[i];
	}
}

/* The kernel syncs by blocks of 63. */
#define PARCEL (8 * 63)

/* Commands for some streams, on their way to one vIOMMU. */
struct parcel {
	uint32_t count;
	struct smmuinv_command commands[PARCEL];
	uint64_t debts[PARCEL]; /* of the streams, before */
};

static void parcel_put(struct parcel *p, uint64_t dw0, uint64_t dw1,
		       const struct stream *stream)
{
	p->debts[p->count] = stream->debt;
	p->commands[p->count++] = command_make(
		dw0 | (uint64_t)stream->vsid << DW0_SID_SHIFT, dw1);
}

/* Of one stream; at most two commands. */
static void parcel_put_stream(struct parcel *p, const struct executor *x,
			      const struct stream *stream,
			      enum stream_commands which)
{
	if (stream->viommu_id != x->viommu.id)
		return;
	if (which == STREAM_CDS) {
		parcel_put(p, SMMUINV_CMD_CFGI_CD_ALL, 0, stream);
		return;
	}
	if (!stream->ats || (which == STREAM_DEBTS && !stream->debt))
		return;
	/* Without PASID, and with any (4.5.1). */
	parcel_put(p, SMMUINV_CMD_ATC_INV, SMMUINV_ATC_SIZE_ALL, stream);
	if (x->ssids)
		parcel_put(p, SMMUINV_CMD_ATC_INV | DW0_SSV | DW0_GLOBAL,
			   SMMUINV_ATC_SIZE_ALL, stream);
}

/*
 * How many devices that owe can be asked at once and still be told apart. It
 * takes one time-out for all of them, one for each halving, and one for the
 * last.
 */
static uint32_t devices_to_ask(const struct executor *x)
{
	uint32_t halvings = x->timeouts_left > 2 ? x->timeouts_left - 2 : 0;

	return halvings < 8 ? 1u << halvings : PARCEL / 2;
}

/* From the stream @vsid on. Returns the next vSID; above UINT32_MAX: done. */
static uint64_t parcel_fill(struct parcel *p, struct executor *x, uint64_t vsid,
			    enum stream_commands which)
{
	uint32_t left = which == STREAM_DEBTS ? devices_to_ask(x) : PARCEL / 2;

	p->count = 0;
	pthread_mutex_lock(&x->streams->lock);
	x->changes = x->streams->changes;
	while (vsid <= UINT32_MAX && left) {
		const struct stream *stream =
			smmuinv__stream_next(x->streams, (uint32_t)vsid);
		uint32_t before = p->count;

		if (!stream) {
			vsid = (uint64_t)UINT32_MAX + 1;
			break;
		}
		parcel_put_stream(p, x, stream, which);
		left -= p->count != before;
		vsid = (uint64_t)stream->vsid + 1;
	}
	pthread_mutex_unlock(&x->streams->lock);
	return vsid;
}

/* If a stream owes for something newer than the parcel, it still owes. */
static void parcel_paid(const struct parcel *p, struct executor *x)
{
	uint32_t i;

	pthread_mutex_lock(&x->streams->lock);
	for (i = 0; i < p->count; i++) {
		struct stream *stream = smmuinv__stream_find(
			x->streams, command_sid(&p->commands[i]));

		if (stream && stream->debt == p->debts[i])
			smmuinv__stream_set_debt(x->streams, stream, 0);
	}
	pthread_mutex_unlock(&x->streams->lock);
}

void smmuinv__execute_streams(struct executor *x, enum stream_commands which)
{
	uint64_t changes = x->changes;
	struct parcel parcel;
	uint64_t vsid = 0;

	x->paying = which != STREAM_CDS;
	while (vsid <= UINT32_MAX && !has_stopped(x)) {
		struct calls calls = { .commands = parcel.commands,
				       .ends = &parcel.count };

		vsid = parcel_fill(&parcel, x, vsid, which);
		calls.count = parcel.count;
		calls.end_count = parcel.count != 0;
		smmuinv__execute_calls(x, &calls);
		if (x->paying && !has_stopped(x))
			parcel_paid(&parcel, x);
	}
	x->paying = false;
	/* The vIOMMU may have left since before. */
	x->changes = changes;
}
