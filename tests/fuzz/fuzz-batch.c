/* SPDX-License-Identifier: MIT */
/*
 * A VMM with its own loop: any commands, added or submitted, any capacity,
 * streams in any state, and two SMMUs that come and go, fail and lie.
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
	unsigned int host_failures;
	/* What is in the batch, as the guest wrote it. */
	struct smmuinv_command held[COMMANDS_MAX];
	uint32_t held_count;
	bool synced;        /* a CMD_SYNC is among them */
	bool begun;         /* some of them may have been executed already */
	size_t faults_left; /* before the call */
};

static uint8_t next_action(struct vmm *v)
{
	return v->actions[v->action++ % sizeof(v->actions)];
}

static int check(const struct vmm *v, const struct smmuinv_command *raw,
		 struct smmuinv_finding *finding)
{
	*finding = (struct smmuinv_finding){ .size = sizeof(*finding) };
	return smmuinv_check(raw, &v->world.guest, &v->world.carried,
			     v->world.check_flags, finding);
}

/* The SMMUs that have to do something for it. */
static unsigned int is_sent(const struct vmm *v,
			    const struct smmuinv_command *raw,
			    struct smmuinv_command *canonical)
{
	struct smmuinv_finding finding;
	int verdict = check(v, raw, &finding);

	*canonical = finding.command;
	return verdict == SMMUINV_FORWARD ?
		       fuzz_world_concerned(&v->world, raw) :
		       0;
}

static size_t times_executed(const struct vmm *v, unsigned int smmu,
			     const struct smmuinv_command *command)
{
	const struct smmuinv_command *executed;
	size_t n = fuzz_world_executed(&v->world, smmu, true, &executed);
	size_t times = 0;
	size_t i;

	for (i = 0; i < n; i++)
		times += fuzz_same(&executed[i], command);
	return times;
}

static bool is_repeated(const struct fuzz_smmu *smmu,
			const struct smmuinv_command *command)
{
	return smmu->repeat && fuzz_opcode(command) != SMMUINV_CMD_ATC_INV;
}

/* As written, each is a command of the host's; but for ranges without RIL. */
static bool is_itself(const struct vmm *v, const struct fuzz_smmu *smmu,
		      const struct smmuinv_command *command)
{
	bool is_range = smmuinv_command_get(command, SMMUINV_FIELD_TG) != 0;

	return v->world.as_written && !(smmu->by_pages && is_range);
}

/*
 * What is counted as completed has been executed since it was tried first, by
 * each SMMU that it concerns, and nothing of it is cached there any more.
 */
static void completed_is_executed(struct vmm *v,
				  const struct smmuinv_command *raw,
				  uint32_t completed, uint32_t *sent)
{
	struct smmuinv_command canonical;
	uint32_t i, k;

	for (i = 0; i < completed; i++) {
		unsigned int smmus = is_sent(v, &raw[i], &canonical);

		*sent += smmus != 0;
		for (k = 0; k < FUZZ_SMMUS; k++) {
			const struct fuzz_smmu *smmu = &v->world.smmu[k];

			must(!(smmus >> k & 1) ||
			     !is_itself(v, smmu, &canonical) ||
			     times_executed(v, k, &canonical) >=
				     (is_repeated(smmu, &canonical) ? 2 : 1));
		}
		fuzz_world_rely(&v->world, &raw[i], smmus);
	}
	fuzz_world_judge(&v->world);
}

static void the_result_is_consistent(const struct smmuinv_result *r, int rc,
				     uint32_t asked, uint64_t calls)
{
	must(r->completed <= asked);
	must(r->sent + r->dropped == r->completed);
	must(r->fault_index == SMMUINV_INDEX_NONE ||
	     (r->fault_index >= r->completed && r->fault_index < asked));
	must(rc == 1 || rc == r->error);
	must(rc || (r->completed == asked &&
		    r->fault_index == SMMUINV_INDEX_NONE && !r->cerror));
	must(!r->error || (r->host_error && r->fault_index == r->completed));
	must(r->cerror != SMMUINV_CERROR_ATC_INV_SYNC || rc == -ETIMEDOUT);
	must(r->cerror != SMMUINV_CERROR_ILL || rc == 1);
	must(r->ioctls <= calls && r->ioctls <= r->host_commands);
	must(calls <= fuzz_calls_max(asked));
}

static unsigned int rank_of(const struct smmuinv_command *command)
{
	switch (fuzz_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
		return 0;
	case SMMUINV_CMD_ATC_INV:
		return 2;
	default:
		return 1;
	}
}

/* Of one SMMU: the guest's commands that concern it, or fewer in their ranks.
 */
static size_t the_record_of(const struct vmm *v, unsigned int smmu,
			    const struct smmuinv_command *raw,
			    const struct smmuinv_result *r, bool one_call)
{
	const struct smmuinv_command *executed;
	size_t n = fuzz_world_executed(&v->world, smmu, false, &executed);
	struct smmuinv_command canonical;
	size_t found = 0;
	uint32_t i;

	must(v->world.smmu[smmu].by_pages || n <= r->sent);
	if (!v->world.as_written) {
		for (i = 1; i < n && one_call; i++)
			must(rank_of(&executed[i - 1]) <=
			     rank_of(&executed[i]));
		return n;
	}
	for (i = 0; i < r->completed && fuzz_world_is_exact(&v->world); i++) {
		if (is_sent(v, &raw[i], &canonical) >> smmu & 1)
			must(found < n &&
			     fuzz_same(&executed[found++], &canonical));
	}
	must(!fuzz_world_is_exact(&v->world) || found == n);
	return n;
}

/* If nothing went wrong, now or before. */
static void the_record_is_that_of_the_plan(const struct vmm *v,
					   const struct smmuinv_command *raw,
					   const struct smmuinv_result *r,
					   bool begun)
{
	size_t n = 0;
	unsigned int i;

	if (fuzz_world_faults_left(&v->world) != v->faults_left ||
	    r->host_error || begun || fuzz_world_repeats(&v->world))
		return;
	for (i = 0; i < FUZZ_SMMUS; i++)
		n += the_record_of(v, i, raw, r, r->ioctls == 1);
	must(n == r->host_commands);
}

static void a_failure_has_a_reason(struct vmm *v,
				   const struct smmuinv_result *r)
{
	v->host_failures++;
	/* Each fault fails one call, and may take a vDEVICE for another. */
	must(v->host_failures <= 2 * v->world.faults);
	if (r->error == -ENODEV)
		fuzz_world_replug(&v->world, r->fault_vsid);
}

/*
 * What one SMMU has executed before another failed is not executed again, so
 * its caches and the record stay as they are for the next try.
 */
static void before(struct vmm *v, struct smmuinv_result *r)
{
	*r = (struct smmuinv_result){ .size = sizeof(*r) };
	fuzz_world_record(&v->world, !v->begun);
	v->faults_left = fuzz_world_faults_left(&v->world);
	if (!v->begun)
		fuzz_world_refill(&v->world);
}

/* What the call says that it did, for the counters. */
static void add_up(struct vmm *v, const struct smmuinv_result *r, bool all_read)
{
	struct smmuinv_counters *e = &v->world.expected;

	e->forwarded += r->sent;
	e->dropped += r->dropped;
	e->illegal += r->cerror == SMMUINV_CERROR_ILL;
	e->ioctls += r->ioctls;
	e->host_commands += r->host_commands;
	fuzz_world_counted(&v->world, all_read);
}

static int flush(struct vmm *v)
{
	uint64_t calls = fuzz_world_calls(&v->world);
	bool begun = v->begun;
	struct smmuinv_result r;
	uint32_t sent = 0;
	int rc;

	before(v, &r);
	rc = smmuinv_batch_flush(v->batch, &r);
	must(rc <= 0);
	the_result_is_consistent(&r, rc, v->held_count,
				 fuzz_world_calls(&v->world) - calls);
	add_up(v, &r, !rc && r.completed);
	completed_is_executed(v, v->held, r.completed, &sent);
	must(r.sent == sent);
	the_record_is_that_of_the_plan(v, v->held, &r, begun);
	must(r.host_error || fuzz_world_repeats(&v->world) ||
	     fuzz_world_by_pages(&v->world) || v->world.as_written ||
	     r.ioctls <= FUZZ_SMMUS * (v->synced ? 4 : 1));
	v->synced = v->synced && v->held_count > r.completed;
	v->begun = rc;
	v->held_count -= r.completed;
	memmove(v->held, v->held + r.completed,
		v->held_count * sizeof(*v->held));
	must(smmuinv_batch_count(v->batch) == v->held_count);
	if (rc)
		a_failure_has_a_reason(v, &r);
	return rc;
}

/* Retrying gets there, whatever has gone wrong before. */
static void flush_until_done(struct vmm *v)
{
	while (flush(v))
		;
	must(!v->held_count);
}

static void add(struct vmm *v, const struct smmuinv_command *raw)
{
	struct smmuinv_finding asked, found = { .size = sizeof(found) };
	int verdict = check(v, raw, &asked);
	bool takes_a_place =
		verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE;
	int rc = smmuinv_batch_add(v->batch, raw, &found);

	if (takes_a_place && v->held_count == v->capacity) {
		must(rc == -ENOSPC);
		return;
	}
	must(rc == verdict && found.rule == asked.rule);
	v->world.expected.read++;
	v->world.expected.illegal += verdict == SMMUINV_ILLEGAL;
	must(fuzz_same(&found.command, &asked.command));
	if (takes_a_place)
		v->held[v->held_count++] = *raw;
	must(smmuinv_batch_count(v->batch) == v->held_count);
}

static void clear(struct vmm *v)
{
	smmuinv_batch_clear(v->batch);
	v->held_count = 0;
	v->synced = false;
	v->begun = false;
}

static void sync(struct vmm *v)
{
	must(!smmuinv_batch_sync(v->batch));
	must(smmuinv_batch_count(v->batch) == v->held_count);
	v->synced = true;
}

/* What one call for an array did; returns how many commands are done with. */
static uint32_t submit_once(struct vmm *v, const struct smmuinv_command *raw,
			    uint32_t count)
{
	uint64_t calls = fuzz_world_calls(&v->world);
	struct smmuinv_finding finding;
	struct smmuinv_result r;
	uint32_t sent = 0;
	int rc, verdict;

	before(v, &r);
	rc = smmuinv_batch_submit(v->batch, raw, count, &r);
	the_result_is_consistent(&r, rc, count,
				 fuzz_world_calls(&v->world) - calls);
	v->world.foreseen = v->world.foreseen && rc >= 0;
	v->world.expected.read += r.completed + (rc == 1);
	add_up(v, &r, rc >= 0 && r.completed);
	completed_is_executed(v, raw, r.completed, &sent);
	must(r.sent == sent);
	if (rc >= 0 && r.completed <= v->capacity)
		the_record_is_that_of_the_plan(v, raw, &r, false);
	must(!smmuinv_batch_count(v->batch));
	if (rc < 0)
		a_failure_has_a_reason(v, &r);
	if (rc <= 0)
		return r.completed;
	must(rc == 1 && r.fault_index == r.completed);
	verdict = check(v, &raw[r.fault_index], &finding);
	must(verdict == (r.cerror ? SMMUINV_ILLEGAL : SMMUINV_VMM));
	must(r.rule == finding.rule && r.field == finding.field);
	return r.completed + 1;
}

static void submit(struct vmm *v, const struct smmuinv_command *raw,
		   uint32_t count)
{
	struct smmuinv_result r = { .size = sizeof(r) };
	uint32_t done = 0;

	if (v->held_count) {
		must(smmuinv_batch_submit(v->batch, raw, count, &r) == -EBUSY);
		return;
	}
	do {
		done += submit_once(v, raw + done, count - done);
	} while (done < count);
}

/* Something that the VMM does meanwhile. */
static void change(struct vmm *v, uint8_t action)
{
	switch (action & 7) {
	case 0:
		fuzz_world_toggle_smmu(&v->world, action >> 3);
		break;
	case 1:
	case 2:
		fuzz_world_set(&v->world, action >> 3, action & 1, action & 2);
		break;
	case 3:
		fuzz_world_invalidate_all(&v->world);
		break;
	case 4:
		fuzz_world_invalidate_stream(&v->world, action >> 3);
		break;
	case 5:
		if (!v->begun)
			fuzz_world_reset(&v->world);
		break;
	default:
		fuzz_world_toggle(&v->world, action >> 3);
		break;
	}
	fuzz_world_judge(&v->world);
	fuzz_world_counted(&v->world, false);
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
		if (action >> 3 == 1)
			clear(v);
		else
			sync(v);
		return 0;
	case 4:
		submit(v, raw, n);
		return n;
	default:
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
	must(!smmuinv_batch_new(v->world.vsmmu, v->capacity, &v->batch));
	run(v, commands, (uint32_t)count);
	smmuinv_batch_free(v->batch);
	fuzz_world_close(&v->world);
	free(v);
	return 0;
}
