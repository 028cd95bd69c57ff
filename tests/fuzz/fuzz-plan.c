/* SPDX-License-Identifier: MIT */
/*
 * One window of commands with CMD_SYNCs among them, any two SMMUs: the calls
 * that are planned for the host have at least the window's effect.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "mock/kernel.h"
#include "plan/plan.h"
#include "spec.h"

struct head {
	uint8_t host_idr[24];
	uint8_t guest_idr[24];
	uint8_t flags;       /* FUZZ_HOST_ATS */
	uint8_t pages_max;   /* at least 1 */
	uint8_t pages_shift; /* bits 1:0: pages_max is so much larger */
	uint8_t split;       /* where execution stops, once */
	uint8_t skipped[4];  /* bit N: nothing is sent for command N % 32 */
	uint8_t others[4];   /* bit N: another vIOMMU has its stream */
	uint8_t spare[4];
};

#define COMMANDS_MAX 256
#define AIMED        12
#define SLOT         1u

struct trial {
	struct smmuinv_features host;
	struct smmuinv_features guest;
	uint32_t pages_max;
	uint32_t split;
	struct plan plan;
	struct oracle oracle;
	struct smmuinv_caches *caches;
	/* The window: as the guest wrote it, and canonical. */
	struct smmuinv_command raw[COMMANDS_MAX];
	struct smmuinv_command commands[COMMANDS_MAX];
	struct mark marks[COMMANDS_MAX];
	uint32_t count;
	uint32_t first_sync;
	uint32_t last_sync;
	uint32_t wanted; /* commands that this host has to execute */
	bool plain;      /* only CMD_SYNCs have marks */
};

static bool bit_of(const uint8_t bits[4], uint32_t n)
{
	return bits[n / 8 % 4] >> (n % 8) & 1;
}

static bool is_sync(const struct trial *t, uint32_t i)
{
	return t->marks[i].slot == ENTRY_SYNC;
}

/* Is it one for this host? */
static bool is_taken(const struct trial *t, uint32_t i)
{
	const struct mark *m = &t->marks[i];

	return !m->rule && (!m->slot || m->slot == SLOT);
}

static void take_sync(struct trial *t)
{
	t->marks[t->count] = (struct mark){ ENTRY_NONE, ENTRY_SYNC };
	if (t->first_sync == ENTRY_NONE)
		t->first_sync = t->count;
	else
		t->marks[t->last_sync].rule = t->count;
	t->last_sync = t->count++;
}

static void take_command(struct trial *t, const struct head *head)
{
	struct mark *m = &t->marks[t->count];

	if (bit_of(head->skipped, t->count))
		m->rule = SMMUINV_RULE_STREAM_UNKNOWN;
	else if (fuzz_names_stream(&t->raw[t->count]))
		m->slot = SLOT + bit_of(head->others, t->count);
	t->plain = t->plain && !m->rule && !m->slot;
	t->wanted += is_taken(t, t->count++);
}

static void take_window(struct trial *t, const struct head *head,
			const struct smmuinv_command *written, size_t count)
{
	const struct smmuinv_features carried =
		fuzz_carried(&t->guest, &t->host);
	size_t i;

	t->first_sync = ENTRY_NONE;
	t->plain = true;
	for (i = 0; i < count; i++) {
		struct smmuinv_finding f = { .size = sizeof(f) };
		int verdict =
			smmuinv_check(&written[i], &t->guest, &carried, &f);

		t->raw[t->count] = written[i];
		t->commands[t->count] = f.command;
		if (verdict == SMMUINV_FORWARD)
			take_command(t, head);
		else if (fuzz_opcode(&written[i]) == SMMUINV_CMD_SYNC)
			take_sync(t);
	}
}

static void open_trial(struct trial *t, const struct head *head,
		       const struct smmuinv_command *written, size_t count)
{
	uint32_t i;

	fuzz_host(&t->host, head->host_idr, head->flags & FUZZ_HOST_ATS);
	fuzz_guest(&t->guest, &t->host, head->guest_idr);
	t->pages_max = (head->pages_max + 1u) << (head->pages_shift & 3u);
	take_window(t, head, written, count);
	t->split = t->count ? head->split % t->count : 0;
	oracle_init(&t->oracle, &t->guest);
	for (i = 0; i < t->count && i < AIMED; i++)
		oracle_aim(&t->oracle, &t->raw[i]);
	must(!smmuinv_caches_new(ORACLE_ENTRIES, &t->caches));
	oracle_fill(&t->oracle, t->caches);
	must(!smmuinv__plan_init(&t->plan, COMMANDS_MAX, &t->guest,
				 t->pages_max));
	t->plan.ril = spec_feature_get(&t->host, SMMUINV_FEATURE_RIL);
	t->plan.scale_max =
		spec_feature_get(&t->host, SMMUINV_FEATURE_DS) ? 39 : 31;
}

static void close_trial(struct trial *t)
{
	smmuinv__plan_free(&t->plan);
	smmuinv_caches_free(t->caches);
	free(t);
}

/* The first @count entries. */
static struct plan_window window_of(const struct trial *t, uint32_t count)
{
	return (struct plan_window){
		.commands = t->commands,
		.marks = t->marks,
		.count = count,
		.first_sync = t->first_sync,
		.slot = SLOT,
		.plain = t->plain,
	};
}

/* The guest relies on the first @n entries. */
static void ask_for(struct trial *t, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (!is_sync(t, i) && is_taken(t, i))
			oracle_execute(&t->oracle, &t->raw[i]);
	}
}

static void execute(struct trial *t, uint32_t end)
{
	uint32_t i;

	for (i = 0; i < end; i++)
		smmuinv_caches_execute(t->caches, &t->plan.calls.commands[i]);
}

static void start_again(struct trial *t)
{
	smmuinv_caches_refill(t->caches);
	oracle_reset(&t->oracle);
}

/* What goes down may go to any kernel, and stands for an entry that is sent. */
static void the_commands_make_sense(const struct trial *t)
{
	const struct calls *calls = &t->plan.calls;
	uint32_t i;

	must(calls->count <= t->count + t->pages_max);
	for (i = 0; i < calls->count; i++) {
		must(smmuinv__kernel_accepts(&calls->commands[i], &t->host));
		must(calls->origin[i] < t->count);
		must(!is_sync(t, calls->origin[i]));
		must(is_taken(t, calls->origin[i]));
	}
}

/* None is empty, and none has ATC_INVs with other commands. */
static void the_calls_make_sense(const struct trial *t)
{
	const struct calls *calls = &t->plan.calls;
	uint32_t begun = 0;
	uint32_t i;
	uint32_t k;

	for (i = 0; i < calls->end_count; i++) {
		must(calls->ends[i] > begun && calls->ends[i] <= calls->count);
		for (k = begun; k < calls->ends[i]; k++)
			must(fuzz_is_atc(&calls->commands[k]) ==
			     fuzz_is_atc(&calls->commands[begun]));
		begun = calls->ends[i];
	}
	must(begun == calls->count);
}

static bool has_ranges(const struct trial *t)
{
	return spec_feature_get(&t->guest, SMMUINV_FEATURE_RIL);
}

static void there_are_no_more_than_must_be(const struct trial *t)
{
	const struct calls *calls = &t->plan.calls;

	if (t->plan.ril || !has_ranges(t))
		must(calls->count <= t->wanted);
	else
		must(calls->count <= t->wanted + t->pages_max);
	must(!t->wanted == !calls->count);
	must(!t->plan.ril || calls->count + t->plan.merged == t->wanted);
}

/* After some of it, what is before all that is missing is done. */
static void origins_say_what_is_done(struct trial *t)
{
	const struct calls *calls = &t->plan.calls;
	uint32_t split = t->split < calls->count ? t->split : calls->count;
	uint32_t done = t->count;
	uint32_t i;

	for (i = split; i < calls->count; i++) {
		if (calls->origin[i] < done)
			done = calls->origin[i];
	}
	start_again(t);
	execute(t, split);
	ask_for(t, done);
	fuzz_judge(&t->oracle, t->caches);
}

static void what_is_merged_has_the_effect(struct trial *t)
{
	const struct plan_window window = window_of(t, t->count);

	smmuinv__plan_merged(&t->plan, &window);
	the_commands_make_sense(t);
	the_calls_make_sense(t);
	there_are_no_more_than_must_be(t);
	start_again(t);
	execute(t, t->plan.calls.count);
	ask_for(t, t->count);
	fuzz_judge(&t->oracle, t->caches);
	origins_say_what_is_done(t);
}

/* Planning is repeatable: another window before it changes nothing. */
static void another_window_changes_nothing(struct trial *t)
{
	const struct plan_window part = window_of(t, t->split);
	const struct plan_window window = window_of(t, t->count);
	const struct calls *calls = &t->plan.calls;
	struct smmuinv_command before[COMMANDS_MAX];
	uint32_t ends[COMMANDS_MAX];
	uint32_t count = calls->count;
	uint32_t end_count = calls->end_count;
	uint32_t kept = count < COMMANDS_MAX ? count : COMMANDS_MAX;
	uint32_t kept_ends =
		end_count < COMMANDS_MAX ? end_count : COMMANDS_MAX;

	memcpy(before, calls->commands, kept * sizeof(*before));
	memcpy(ends, calls->ends, kept_ends * sizeof(*ends));
	smmuinv__plan_merged(&t->plan, &part);
	smmuinv__plan_merged(&t->plan, &window);
	must(calls->count == count && calls->end_count == end_count);
	must(!memcmp(before, calls->commands, kept * sizeof(*before)));
	must(!memcmp(ends, calls->ends, kept_ends * sizeof(*ends)));
}

/* Each command by itself, in its order. */
static void as_written_it_is_the_window(struct trial *t)
{
	const struct plan_window window = window_of(t, t->count);
	const struct calls *calls = &t->plan.calls;
	uint32_t n = 0;
	uint32_t i;

	smmuinv__plan_as_written(&t->plan, &window);
	the_commands_make_sense(t);
	the_calls_make_sense(t);
	for (i = 0; i < t->count && t->plan.ril; i++) {
		if (is_sync(t, i) || !is_taken(t, i))
			continue;
		must(n < calls->count && calls->origin[n] == i);
		must(fuzz_same(&calls->commands[n++], &t->commands[i]));
	}
	must(!t->plan.ril || n == calls->count);
	for (i = 1; i < calls->count; i++)
		must(calls->origin[i - 1] <= calls->origin[i]);
	start_again(t);
	execute(t, calls->count);
	ask_for(t, t->count);
	fuzz_judge(&t->oracle, t->caches);
	origins_say_what_is_done(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smmuinv_command written[COMMANDS_MAX];
	struct trial *t = calloc(1, sizeof(*t));
	struct head head;
	size_t count =
		fuzz_commands(written, COMMANDS_MAX, sizeof(head), data, size);

	must(t != NULL);
	fuzz_head(&head, sizeof(head), data, size);
	open_trial(t, &head, written, count);
	what_is_merged_has_the_effect(t);
	another_window_changes_nothing(t);
	as_written_it_is_the_window(t);
	close_trial(t);
	return 0;
}
