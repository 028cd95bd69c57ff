/* SPDX-License-Identifier: MIT */
#include "ways.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend.h"

/* A stream as somebody forwards it who only checks and batches. */
struct plain {
	struct smmuinv_command *commands;
	uint32_t *ends; /* of each run, so many commands from the first */
	uint32_t count;
	uint32_t runs;
};

const char *way_name(enum way way)
{
	static const char *const names[WAYS] = {
		[WAY_EACH] = "each",
		[WAY_RUN] = "run",
		[WAY_TO_SYNC] = "library-to-sync",
		[WAY_64] = "library-64",
		[WAY_WHOLE] = "library",
	};

	return names[way];
}

static uint32_t calls_of(enum way way)
{
	switch (way) {
	case WAY_TO_SYNC:
		return PLAYER_TO_SYNC;
	case WAY_64:
		return 64;
	default:
		return PLAYER_WHOLE;
	}
}

static bool has_stream(const struct player *player,
		       const struct smmuinv_command *command)
{
	if (!stream_names_vsid(command))
		return true;
	return !smmuinv_vsmmu_find_stream(
		player->vsmmu,
		(uint32_t)smmuinv_command_get(command, SMMUINV_FIELD_STREAMID),
		NULL);
}

static void end_run(struct plain *plain)
{
	uint32_t start = plain->runs ? plain->ends[plain->runs - 1] : 0;

	if (plain->count > start)
		plain->ends[plain->runs++] = plain->count;
}

static int plain_make(struct plain *plain, const struct player *player)
{
	const struct stream *stream = player->stream;

	*plain = (struct plain){
		.commands = calloc(stream->count, sizeof(*plain->commands)),
		.ends = calloc(stream->count, sizeof(*plain->ends)),
	};
	if (!plain->commands || !plain->ends)
		return -ENOMEM;
	for (uint32_t i = 0; i < stream->count; i++) {
		struct smmuinv_finding finding = { .size = sizeof(finding) };
		int verdict = smmuinv_check(&stream->ring[i], &player->guest,
					    &player->guest, &finding);

		if (verdict == SMMUINV_FORWARD &&
		    has_stream(player, &finding.command))
			plain->commands[plain->count++] = finding.command;
		else if (verdict == SMMUINV_VMM)
			end_run(plain);
		else if (verdict < 0)
			return verdict;
	}
	end_run(plain);
	return 0;
}

static void plain_free(struct plain *plain)
{
	free(plain->commands);
	free(plain->ends);
}

/* One call after the other, up to each of @plain->ends or to each command. */
static int plain_play(const struct plain *plain, const struct meter *meter,
		      uint32_t viommu, enum way way, struct play *play)
{
	uint32_t calls = way == WAY_EACH ? plain->count : plain->runs;
	uint32_t from = 0;

	*play = (struct play){ .forwarded = plain->count };
	for (uint32_t i = 0; i < calls; i++) {
		uint32_t end = way == WAY_EACH ? i + 1 : plain->ends[i];
		uint32_t count = end - from;
		uint64_t start = now_ns();
		int rc = smmuinv__backend_invalidate(
			meter->backend, viommu, plain->commands + from, &count);
		uint64_t ns = now_ns() - start;

		if (rc)
			return rc;
		play->ns += ns;
		if (ns > play->longest_ns)
			play->longest_ns = ns;
		from = end;
	}
	return 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Counts are the same each time; of times the shortest is the least disturbed.
 */
static void figures_add(struct figures *f, const struct meter *meter,
			const struct play *play)
{
	f->forwarded = play->forwarded;
	f->commands = meter->commands;
	f->tlbis = meter->tlbis;
	f->ioctls = meter->ioctls;
	f->syncs = meter->syncs;
	f->host_ns = least(f->host_ns, meter->ns);
	f->total_ns = least(f->total_ns, play->ns);
	f->longest_ns = least(f->longest_ns, play->longest_ns);
}

int ways_measure(struct meter *meter, struct player *player, uint32_t viommu,
		 enum way way, unsigned int repetitions,
		 struct figures *figures)
{
	struct plain plain;
	int rc = plain_make(&plain, player);

	*figures = (struct figures){
		.host_ns = UINT64_MAX,
		.total_ns = UINT64_MAX,
		.longest_ns = UINT64_MAX,
	};
	for (unsigned int i = 0; i < repetitions && !rc; i++) {
		struct play play;

		meter_reset(meter);
		if (way == WAY_EACH || way == WAY_RUN)
			rc = plain_play(&plain, meter, viommu, way, &play);
		else
			rc = player_play(player, calls_of(way), &play);
		if (!rc)
			figures_add(figures, meter, &play);
	}
	plain_free(&plain);
	return rc;
}

void ways_print_head(void)
{
	printf("%-26s %-16s %9s %9s %9s %9s %9s %11s %11s\n", "stream", "way",
	       "forwarded", "commands", "TLBIs", "ioctls", "syncs", "host us",
	       "longest us");
}

void ways_print(const struct stream *stream, enum way way,
		const struct figures *f)
{
	printf("%-26s %-16s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
	       " %9" PRIu64 " %11.1f %11.1f\n",
	       stream->name, way_name(way), f->forwarded, f->commands, f->tlbis,
	       f->ioctls, f->syncs, (double)f->host_ns / 1e3,
	       (double)f->longest_ns / 1e3);
}

void ways_print_json(const struct stream *stream, const char *host,
		     enum way way, const struct figures *f)
{
	printf("{\"bench\": \"ways\", \"host\": \"%s\", \"stream\": \"%s\", "
	       "\"way\": \"%s\", \"forwarded\": %" PRIu64
	       ", \"commands\": %" PRIu64 ", \"tlbis\": %" PRIu64
	       ", \"ioctls\": %" PRIu64 ", \"syncs\": %" PRIu64
	       ", \"host_ns\": %" PRIu64 ", \"total_ns\": %" PRIu64
	       ", \"longest_ns\": %" PRIu64 "}\n",
	       host, stream->name, way_name(way), f->forwarded, f->commands,
	       f->tlbis, f->ioctls, f->syncs, f->host_ns, f->total_ns,
	       f->longest_ns);
}
