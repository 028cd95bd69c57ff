/* SPDX-License-Identifier: MIT */
/*
 * A VMM with its own loop: any commands and CMD_SYNCs, added or submitted, any
 * capacity, streams that come and go, devices that do not answer, and two SMMUs
 * that come and go, fail and lie.
 */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct head {
	struct fuzz_world_head world;
	uint8_t capacity;
	uint8_t spare;
	uint8_t actions[18];
};

#define COMMANDS_MAX 256
#define AIMED        16

struct vmm {
	struct fuzz_world world;
	struct smmuinv_batch *batch;
	uint32_t capacity;
	uint8_t actions[18];
	unsigned int action;
	/* What is in the batch, as the guest wrote it, CMD_SYNCs included. */
	struct smmuinv_command held[COMMANDS_MAX];
	uint32_t held_count;
	/* Before the call. */
	size_t faults_left;
	bool owed;
};

static uint8_t next_action(struct vmm *v)
{
	return v->actions[v->action++ % sizeof(v->actions)];
}

static bool is_sync(const struct smmuinv_command *raw)
{
	return fuzz_opcode(raw) == SMMUINV_CMD_SYNC;
}

/* The SMMUs that have to do something for it. */
static unsigned int is_sent(const struct vmm *v,
			    const struct smmuinv_command *raw,
			    struct smmuinv_command *canonical)
{
	struct smmuinv_finding finding;
	int verdict = fuzz_world_check(&v->world, raw, &finding);

	*canonical = finding.command;
	return verdict == SMMUINV_FORWARD ?
		       fuzz_world_concerned(&v->world, raw) :
		       0;
}

/* What the guest was promised, and that it is so. */
struct promise {
	uint32_t sent;
	uint32_t syncs;
};

/*
 * The first @completed commands are complete, except ATC_INVs that devices owe.
 * No CMD_SYNC among them covers such a one.
 */
static struct promise completed_is_executed(struct vmm *v,
					    const struct smmuinv_command *raw,
					    uint32_t completed)
{
	struct promise p = { 0 };
	struct smmuinv_command canonical;
	uint32_t i;

	for (i = 0; i < completed; i++) {
		unsigned int smmus = is_sent(v, &raw[i], &canonical);

		p.sent += smmus != 0;
		p.syncs += is_sync(&raw[i]);
		fuzz_world_rely(&v->world, &raw[i], smmus);
		if (is_sync(&raw[i]))
			fuzz_world_synced(&v->world);
	}
	fuzz_world_judge(&v->world);
	return p;
}

static void the_result_makes_sense(const struct vmm *v,
				   const struct smmuinv_result *r, int rc,
				   uint32_t asked, uint64_t calls)
{
	bool owed = r->cerror == SMMUINV_CERROR_ATC_INV_SYNC;

	must(r->completed <= asked);
	must(rc || (r->completed == asked && !r->cerror &&
		    r->fault_index == SMMUINV_INDEX_NONE));
	must(!rc || (r->fault_index < asked || fuzz_world_owes(&v->world)));
	must(!rc || r->fault_index >= r->completed ||
	     fuzz_world_owes(&v->world));
	must(!owed || (rc == -ETIMEDOUT && fuzz_world_owes(&v->world)));
	must(r->cerror != SMMUINV_CERROR_ILL || rc == 1);
	must(r->cerror <= SMMUINV_CERROR_ILL || owed);
	must(r->ioctls <= r->host_commands && r->timeouts <= r->ioctls);
	must(r->retries <= r->ioctls && r->ioctls <= calls);
	must(calls <= fuzz_calls_max(asked));
	must(rc >= 0 || fuzz_world_may_fail(&v->world, v->faults_left));
	/* A failure that the host is to blame for has happened now. */
	must(rc >= 0 || v->world.hung || v->world.vanishing ||
	     fuzz_world_faults_left(&v->world) < v->faults_left);
	if (rc < 0 || !r->cerror)
		fuzz_world_blamed(&v->world, &r->fault, rc < 0 ? rc : 0,
				  r->cerror);
}

/* As written, an SMMU has executed the commands that concern it. */
static void executed_as_written(const struct vmm *v, unsigned int smmu,
				const struct smmuinv_command *raw,
				uint32_t completed)
{
	struct smmuinv_command canonical;
	size_t at = 0;
	uint32_t i;

	for (i = 0; i < completed; i++) {
		const struct smmuinv_command *next;

		if (!(is_sent(v, &raw[i], &canonical) >> smmu & 1))
			continue;
		next = fuzz_world_executed(&v->world, smmu, &at);
		must(next && fuzz_same(next, &canonical));
	}
	must(!fuzz_world_executed(&v->world, smmu, &at));
}

static bool repeats_or_makes_pages(const struct vmm *v)
{
	const struct fuzz_smmu *s = v->world.smmu;

	return s[0].repeat || s[1].repeat || s[0].by_pages || s[1].by_pages;
}

/* If nothing has gone wrong. */
static void the_record_is_that_of_the_plan(const struct vmm *v,
					   const struct smmuinv_command *raw,
					   const struct smmuinv_result *r,
					   uint32_t syncs)
{
	unsigned int i;

	if (fuzz_world_faults_left(&v->world) != v->faults_left ||
	    v->world.hung || v->world.vanishing || v->owed ||
	    fuzz_world_owes(&v->world) || repeats_or_makes_pages(v))
		return;
	must(!r->retries && !r->timeouts && !r->replaced);
	must(r->host_commands <= r->forwarded * FUZZ_SMMUS);
	if (v->world.as_written) {
		for (i = 0; i < FUZZ_SMMUS; i++)
			executed_as_written(v, i, raw, r->completed);
		return;
	}
	/* One call, and one of ATC_INVs; more only for CMD_SYNCs. */
	must(r->ioctls <= FUZZ_SMMUS * 2 * (syncs + 1));
}

static void before(struct vmm *v, struct smmuinv_result *r)
{
	*r = (struct smmuinv_result){ .size = sizeof(*r) };
	smmuinv_mock_forget(v->world.vm.mock);
	v->faults_left = fuzz_world_faults_left(&v->world);
	v->owed = fuzz_world_owes(&v->world);
	/* What is owed is still asked for. */
	if (!v->world.pending_count)
		fuzz_world_refill(&v->world);
}

/* What the call says that it did, for the counters. */
static void add_up(struct vmm *v, const struct smmuinv_result *r)
{
	struct smmuinv_counters *e = &v->world.expected;

	e->forwarded += r->forwarded;
	e->dropped += r->dropped;
	e->illegal += r->cerror == SMMUINV_CERROR_ILL;
	e->host_commands += r->host_commands;
	e->ioctls += r->ioctls;
	e->retries += r->retries;
	e->timeouts += r->timeouts;
	e->replaced += r->replaced;
	fuzz_world_counted(&v->world);
}

static void repair(struct vmm *v, const struct smmuinv_result *r, int rc)
{
	if (rc == -ENODEV)
		fuzz_world_replug(&v->world, (uint32_t)r->fault.vsid);
}

static void drop_held(struct vmm *v, uint32_t n)
{
	v->held_count -= n;
	memmove(v->held, v->held + n, v->held_count * sizeof(*v->held));
}

static int flush(struct vmm *v)
{
	uint64_t calls = fuzz_world_calls(&v->world);
	struct smmuinv_result r;
	struct promise p;
	int rc;

	before(v, &r);
	rc = smmuinv_batch_flush(v->batch, &r);
	must(rc <= 0);
	the_result_makes_sense(v, &r, rc, v->held_count,
			       fuzz_world_calls(&v->world) - calls);
	add_up(v, &r);
	p = completed_is_executed(v, v->held, r.completed);
	must(r.forwarded == p.sent);
	must(r.completed == r.forwarded + r.dropped + p.syncs);
	/* It stops at the CMD_SYNC that is to show the error. */
	must(!r.cerror || r.completed == v->held_count ||
	     is_sync(&v->held[r.completed]));
	if (!rc) {
		the_record_is_that_of_the_plan(v, v->held, &r, p.syncs);
		fuzz_world_synced(&v->world);
		fuzz_world_judge(&v->world);
	}
	drop_held(v, r.completed);
	repair(v, &r, rc);
	return rc;
}

/*
 * Trying again gets there, once all that is hung answers. With few retries the
 * library cannot find out whose vDEVICE has gone.
 */
static void after_failures(struct vmm *v, unsigned int tries)
{
	if (tries == 2)
		fuzz_world_mend(&v->world);
	if (tries == 6)
		fuzz_world_replug_all(&v->world);
	must(tries <= 6 + FUZZ_FAULTS);
}

static void flush_until_done(struct vmm *v)
{
	unsigned int tries = 0;

	while (flush(v))
		after_failures(v, ++tries);
	must(!v->held_count);
}

/* Everything instead of what is in the batch. */
static void skip(struct vmm *v)
{
	struct smmuinv_result r;
	int rc;

	before(v, &r);
	rc = smmuinv_batch_invalidate_all(v->batch, &r);
	must(rc <= 0);
	must(!rc || fuzz_world_may_fail(&v->world, v->faults_left));
	fuzz_world_blamed(&v->world, &r.fault, rc, r.cerror);
	must(rc ? !r.completed : r.completed == v->held_count);
	v->world.in_vain = v->world.in_vain || rc;
	if (!rc) {
		fuzz_world_rely_on_everything(&v->world);
		v->held_count = 0;
	}
	fuzz_world_judge(&v->world);
	add_up(v, &r);
}

static void add(struct vmm *v, const struct smmuinv_command *raw)
{
	struct smmuinv_finding asked, found = { .size = sizeof(found) };
	int verdict = fuzz_world_check(&v->world, raw, &asked);
	bool takes_a_place =
		verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE;
	int rc = smmuinv_batch_add(v->batch, raw, &found);

	if (takes_a_place && v->held_count == v->capacity) {
		must(rc == -ENOSPC);
		return;
	}
	must(rc == verdict && found.rule == asked.rule);
	must(fuzz_same(&found.command, &asked.command));
	v->world.expected.illegal += verdict == SMMUINV_ILLEGAL;
	if (takes_a_place)
		v->held[v->held_count++] = *raw;
}

static void sync(struct vmm *v)
{
	int rc = smmuinv_batch_sync(v->batch);

	must(rc == (v->held_count == v->capacity ? -ENOSPC : 0));
	if (!rc)
		v->held[v->held_count++] = cmd_sync();
}

/* What one call for an array did; returns how many commands are done with. */
static uint32_t submit_once(struct vmm *v, const struct smmuinv_command *raw,
			    uint32_t count)
{
	uint64_t calls = fuzz_world_calls(&v->world);
	struct smmuinv_finding finding;
	struct smmuinv_result r;
	struct promise p;
	int rc, verdict;

	before(v, &r);
	rc = smmuinv_batch_submit(v->batch, raw, count, &r);
	the_result_makes_sense(v, &r, rc, count,
			       fuzz_world_calls(&v->world) - calls);
	add_up(v, &r);
	p = completed_is_executed(v, raw, r.completed);
	must(r.forwarded == p.sent && !p.syncs);
	must(r.completed == r.forwarded + r.dropped);
	repair(v, &r, rc);
	if (rc < 0)
		return r.completed;
	/* Commands that were handed over at once. */
	if (r.completed <= v->capacity)
		the_record_is_that_of_the_plan(v, raw, &r, 0);
	fuzz_world_synced(&v->world);
	fuzz_world_judge(&v->world);
	if (!rc)
		return r.completed;
	must(rc == 1 && r.fault_index == r.completed);
	verdict = fuzz_world_check(&v->world, &raw[r.fault_index], &finding);
	must(verdict == (r.cerror ? SMMUINV_ILLEGAL : SMMUINV_VMM));
	must(r.fault.source ==
	     (r.cerror ? SMMUINV_SOURCE_GUEST : SMMUINV_SOURCE_NONE));
	must(r.fault.rule == finding.rule && r.fault.field == finding.field);
	return r.completed + 1;
}

static void submit(struct vmm *v, const struct smmuinv_command *raw,
		   uint32_t count)
{
	struct smmuinv_result r = { .size = sizeof(r) };
	uint32_t done = 0;
	unsigned int tries = 0;

	if (v->held_count) {
		must(smmuinv_batch_submit(v->batch, raw, count, &r) == -EBUSY);
		return;
	}
	while (done < count) {
		uint32_t n = submit_once(v, raw + done, count - done);

		done += n;
		tries = n ? 0 : tries + 1;
		after_failures(v, tries);
	}
}

/* Something that the VMM, or the hardware, does meanwhile. */
static void change(struct vmm *v, uint8_t action)
{
	switch (action & 7) {
	case 0:
		fuzz_world_toggle_smmu(&v->world, action >> 3);
		break;
	case 1:
		fuzz_world_set_ats(&v->world, action >> 3, true);
		break;
	case 2:
		fuzz_world_set_ats(&v->world, action >> 3, false);
		break;
	case 3:
		fuzz_world_invalidate_all(&v->world);
		break;
	case 4:
		fuzz_world_silence(&v->world, action >> 3, action & 16);
		break;
	case 5:
		fuzz_world_reset(&v->world);
		break;
	case 6:
		fuzz_world_hang(&v->world, action >> 3, action & 16);
		break;
	default:
		fuzz_world_toggle(&v->world, action >> 3);
		break;
	}
	fuzz_world_judge(&v->world);
}

/* Does something with the next commands; returns how many it has used. */
static uint32_t act(struct vmm *v, const struct smmuinv_command *raw,
		    uint32_t left)
{
	uint8_t action = next_action(v);
	uint32_t n = action >> 3 < left ? action >> 3 : left;

	switch (action & 7) {
	case 0:
		change(v, action >> 3);
		return 0;
	case 1:
		(void)flush(v);
		return 0;
	case 2:
		flush_until_done(v);
		return 0;
	case 3:
		if (action >> 3 == 1) {
			smmuinv_batch_clear(v->batch);
			v->held_count = 0;
		} else if (action >> 3 == 2) {
			skip(v);
		} else {
			sync(v);
		}
		return 0;
	case 4:
		submit(v, raw, n);
		return n;
	default:
		/* A CMD_SYNC is the VMM's, which marks it. */
		if (is_sync(raw) && action & 8)
			sync(v);
		else
			add(v, raw);
		return 1;
	}
}

static void run(struct vmm *v, const struct smmuinv_command *raw,
		uint32_t count)
{
	uint32_t actions = count + 2 * sizeof(v->actions);
	uint32_t used = 0;
	uint32_t i;

	for (i = 0; i < actions && used < count; i++)
		used += act(v, raw + used, count - used);
	flush_until_done(v);
	must(v->world.in_vain || !fuzz_world_owes(&v->world));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smmuinv_command commands[COMMANDS_MAX];
	struct vmm *v = calloc(1, sizeof(*v));
	struct head head;
	size_t count =
		fuzz_commands(commands, COMMANDS_MAX, sizeof(head), data, size);

	must(v != NULL);
	fuzz_head(&head, sizeof(head), data, size);
	memcpy(v->actions, head.actions, sizeof(v->actions));
	v->capacity = head.capacity ? head.capacity : 1;
	fuzz_world_open(&v->world, &head.world, commands,
			count < AIMED ? count : AIMED);
	must(!smmuinv_batch_new(v->world.vm.vsmmu, v->capacity, &v->batch));
	run(v, commands, (uint32_t)count);
	smmuinv_batch_free(v->batch);
	fuzz_world_close(&v->world);
	free(v);
	return 0;
}
