/* SPDX-License-Identifier: MIT */
/*
 * One window of commands, any two SMMUs, whatever is known of granules: what is
 * planned for the host has at least the window's effect.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../../lib/mock/kernel.h"
#include "../../lib/plan.h"

struct head {
	uint8_t host_idr[24];
	uint8_t guest_idr[24];
	uint8_t flags;       /* FUZZ_HOST_ATS */
	uint8_t notes;       /* ORACLE_* */
	uint8_t pages_max;   /* at least 1 */
	uint8_t split;       /* where execution stops, once */
	uint8_t skipped[4];  /* bit N: nothing is to be sent for command N % 32
			      */
	uint8_t pages_shift; /* bits 3:0: pages_max is so much larger */
	uint8_t spare[7];
};

#define COMMANDS_MAX 256
#define AIMED        12

struct room {
	struct smmuinv_features host;
	struct smmuinv_features guest;
	uint32_t pages_max;
	uint32_t split;
	struct granules granules;
	struct plan plan;
	struct oracle oracle;
	struct smmuinv_caches *caches;
	/* The window: as the guest wrote it, and canonical. */
	struct smmuinv_command raw[COMMANDS_MAX];
	struct smmuinv_command commands[COMMANDS_MAX];
	uint8_t rules[COMMANDS_MAX];
	uint32_t count;
	uint32_t wanted; /* of them, those that the host has to do */
};

static void note_cd(void *opaque, const struct smmuinv_cd *cd)
{
	struct room *room = opaque;
	struct smmuinv_cd masked = *cd;

	/* As smmuinv_vsmmu_note_cd() does it. */
	if (!smmuinv_features_get(&room->guest, SMMUINV_FEATURE_ASID16))
		masked.asid &= 0xff;
	smmuinv__granules_note(&room->granules, &masked);
}

/* Those that a host takes, in a row. */
static void take_window(struct room *room, const struct head *head,
			const struct smmuinv_command *raw, size_t count)
{
	const struct smmuinv_features carried =
		fuzz_carried(&room->guest, &room->host);
	size_t i;

	for (i = 0; i < count; i++) {
		struct smmuinv_finding f = { .size = sizeof(f) };
		uint32_t n = room->count;
		bool skipped = head->skipped[n / 8 % 4] >> (n % 8) & 1;

		if (smmuinv_check(&raw[i], &room->guest, &carried, 0, &f) !=
		    SMMUINV_FORWARD)
			continue;
		room->raw[n] = raw[i];
		room->commands[n] = f.command;
		room->rules[n] = skipped ? SMMUINV_RULE_STREAM_UNKNOWN : 0;
		room->wanted += !skipped;
		room->count++;
	}
}

static void open_room(struct room *room, const struct head *head,
		      const struct smmuinv_command *raw, size_t count)
{
	uint32_t i;

	fuzz_host(&room->host, head->host_idr, head->flags & FUZZ_HOST_ATS);
	fuzz_guest(&room->guest, &room->host, head->guest_idr);
	room->pages_max = (head->pages_max + 1u)
			  << (head->pages_shift & 15u) % 4u;
	take_window(room, head, raw, count);
	room->split = room->count ? head->split % room->count : 0;
	oracle_init(&room->oracle, &room->guest, head->notes);
	for (i = 0; i < room->count && i < AIMED; i++)
		oracle_aim(&room->oracle, &room->raw[i]);
	must(!smmuinv_caches_new(ORACLE_ENTRIES, &room->caches));
	oracle_fill(&room->oracle, room->caches);
	must(!smmuinv__granules_init(&room->granules, &room->guest));
	fuzz_tell_all(&room->oracle, room->raw, room->count, note_cd, room);
	must(!smmuinv__plan_init(&room->plan, COMMANDS_MAX, &room->host,
				 room->pages_max));
}

static void close_room(struct room *room)
{
	smmuinv__plan_free(&room->plan);
	smmuinv__granules_free(&room->granules);
	smmuinv_caches_free(room->caches);
	free(room);
}

static struct plan_window window_of(const struct room *room, uint32_t count)
{
	return (struct plan_window){
		.commands = room->commands,
		.rules = room->wanted == room->count ? NULL : room->rules,
		.count = count,
		.granules = &room->granules,
	};
}

/* The guest relies on the first @n commands. */
static void ask_for(struct room *room, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (!room->rules[i])
			oracle_execute(&room->oracle, &room->raw[i]);
	}
}

static void execute(struct room *room, uint32_t first, uint32_t end)
{
	uint32_t i;

	for (i = first; i < end; i++)
		smmuinv_caches_execute(room->caches, &room->plan.commands[i]);
}

static void start_again(struct room *room)
{
	smmuinv_caches_refill(room->caches);
	oracle_reset(&room->oracle);
}

/* What goes down may go to any kernel, and stands for a command that is asked.
 */
static void the_commands_make_sense(const struct room *room)
{
	const struct plan *plan = &room->plan;
	uint32_t i;

	must(plan->count <= plan->room);
	for (i = 0; i < plan->count; i++) {
		must(smmuinv__kernel_accepts(&plan->commands[i], &room->host));
		must(plan->origin[i] < room->count);
		must(!room->rules[plan->origin[i]]);
	}
}

static void the_ranks_are_in_order(const struct room *room)
{
	const struct plan *plan = &room->plan;
	unsigned int rank = 0;
	uint32_t i;

	for (i = 0; i < plan->count; i++) {
		while (rank < COMMAND_RANKS && i == plan->rank_end[rank])
			rank++;
		must(rank < COMMAND_RANKS);
		must(command_rank(&plan->commands[i]) == rank);
	}
	must(plan->rank_end[COMMAND_RANKS - 1] == plan->count);
}

static bool has_ranges(const struct room *room)
{
	return smmuinv_features_get(&room->guest, SMMUINV_FEATURE_RIL);
}

static void there_are_no_more_than_must_be(const struct room *room)
{
	must(room->plan.host.ril ==
	     smmuinv_features_get(&room->host, SMMUINV_FEATURE_RIL));
	if (room->plan.host.ril || !has_ranges(room))
		must(room->plan.count <= room->wanted);
	else
		must(room->plan.count <= room->wanted + room->pages_max);
	must(!room->wanted == !room->plan.count);
}

/* After some of it, what is before all that is missing is done. */
static void origins_say_what_is_done(struct room *room)
{
	const struct plan *plan = &room->plan;
	uint32_t split = room->split < plan->count ? room->split : plan->count;
	uint32_t done = room->count;
	uint32_t i;

	for (i = split; i < plan->count; i++) {
		if (plan->origin[i] < done)
			done = plan->origin[i];
	}
	start_again(room);
	execute(room, 0, split);
	ask_for(room, done);
	fuzz_judge(&room->oracle, room->caches);
}

static void the_fewest_have_the_effect(struct room *room)
{
	const struct plan_window window = window_of(room, room->count);

	smmuinv__plan_fewest(&room->plan, &window);
	the_commands_make_sense(room);
	the_ranks_are_in_order(room);
	there_are_no_more_than_must_be(room);
	start_again(room);
	execute(room, 0, room->plan.count);
	ask_for(room, room->count);
	fuzz_judge(&room->oracle, room->caches);
	origins_say_what_is_done(room);
}

/* Planning is repeatable: another window before it changes nothing. */
static void another_window_changes_nothing(struct room *room)
{
	const struct plan_window part = window_of(room, room->split);
	const struct plan_window window = window_of(room, room->count);
	struct smmuinv_command before[COMMANDS_MAX];
	uint32_t count = room->plan.count;
	uint32_t kept = count < COMMANDS_MAX ? count : COMMANDS_MAX;

	memcpy(before, room->plan.commands, kept * sizeof(*before));
	smmuinv__plan_fewest(&room->plan, &part);
	smmuinv__plan_fewest(&room->plan, &window);
	must(room->plan.count == count);
	must(!memcmp(before, room->plan.commands, kept * sizeof(*before)));
}

static void as_written_it_is_the_window(struct room *room)
{
	const struct plan_window window = window_of(room, room->count);
	const uint32_t ends[] = { room->split, room->count };
	uint32_t left = room->pages_max;
	uint32_t from = 0;
	unsigned int part;

	start_again(room);
	for (part = 0; part < 2; part++) {
		uint32_t n = 0;
		uint32_t i;

		smmuinv__plan_as_written(&room->plan, &window, from, ends[part],
					 &left);
		must(left <= room->pages_max);
		the_commands_make_sense(room);
		execute(room, 0, room->plan.count);
		for (i = from; i < ends[part] && room->plan.host.ril; i++) {
			if (!room->rules[i])
				must(fuzz_same(&room->plan.commands[n++],
					       &room->commands[i]));
		}
		must(!room->plan.host.ril || n == room->plan.count);
		from = ends[part];
		ask_for(room, from);
		fuzz_judge(&room->oracle, room->caches);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smmuinv_command raw[COMMANDS_MAX];
	struct room *room = calloc(1, sizeof(*room));
	struct head head;
	size_t count =
		fuzz_commands(raw, COMMANDS_MAX, sizeof(head), data, size);

	must(room != NULL);
	fuzz_head(&head, sizeof(head), data, size);
	open_room(room, &head, raw, count);
	the_fewest_have_the_effect(room);
	another_window_changes_nothing(room);
	as_written_it_is_the_window(room);
	close_room(room);
	return 0;
}
