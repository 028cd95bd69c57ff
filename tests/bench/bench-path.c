/* SPDX-License-Identifier: MIT */
/*
 * What a command costs the library, with a host that costs nothing. Under
 * callgrind each measurement is dumped by its name, for bench.py to read;
 * otherwise it is timed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "meter.h"
#include "options.h"
#include "player.h"

#ifdef HAVE_CALLGRIND
#include <valgrind/callgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

static const char usage[] =
	"usage: bench-path [OPTION...] [PART...]\n"
	"\n"
	"What a guest's command costs the library, with a host that costs "
	"nothing:\n"
	"\n"
	"  stages     for several streams: the check alone, the queue with the "
	"plan\n"
	"             SMMUINV_PLAN_AS_WRITTEN, the queue with "
	"SMMUINV_PLAN_MERGED, and\n"
	"             memcpy() of the same bytes\n"
	"  growth     a call with 1 to 2^19 commands\n"
	"  latency    the longest call, with several bounds on its commands\n"
	"\n"
	"All of them by default. Under callgrind (--collect-atstart=no) "
	"instructions are\n"
	"dumped instead; tests/bench/bench.py does that.\n"
	"\n"
	"  --json         a line of JSON for each measurement\n"
	"  --corpus DIR   where tests/corpus is\n"
	"  --repeat N     times are the shortest of N (default 30)\n";

enum stage { STAGE_CHECK, STAGE_AS_WRITTEN, STAGE_MERGED, STAGE_COPY, STAGES };

static const char *const stage_names[STAGES] = {
	[STAGE_CHECK] = "check",
	[STAGE_AS_WRITTEN] = "as-written",
	[STAGE_MERGED] = "merged",
	[STAGE_COPY] = "memcpy",
};

/* What is needed to run a stream through any stage. */
struct path {
	const struct options *options;
	const struct stream *stream;
	struct meter meter;
	struct player as_written;
	struct player merged;
	struct check_table check;
	struct smmuinv_command *copy;
	uint32_t count; /* of the stream's commands, so many from the first */
};

/* What is known of a measurement, except its instructions. */
struct measured {
	uint64_t ns;
	uint64_t consumed;
	uint64_t forwarded;
	uint64_t commands;
	uint64_t ioctls;
};

static void player_make(struct player *player, struct path *p,
			enum smmuinv_plan plan, uint32_t window)
{
	const struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = p->meter.backend,
		.viommu_id = 1,
		.guest = p->stream->guest,
		.host = stream_host(p->stream),
		.plan = plan,
	};

	must(player_open(player, p->stream, &params, window), "virtual SMMU");
	must(player_add_streams(player, 1), "streams");
}

static void path_open(struct path *p, const struct options *options,
		      const struct stream *stream)
{
	const struct smmuinv_features host = stream_host(stream);

	*p = (struct path){
		.options = options,
		.stream = stream,
		.count = stream->count,
		.copy = calloc(stream->count, sizeof(*p->copy)),
	};
	must(p->copy ? 0 : -ENOMEM, "memory");
	must(meter_open(&p->meter, NULL), "backend");
	player_make(&p->as_written, p, SMMUINV_PLAN_AS_WRITTEN, 0);
	player_make(&p->merged, p, SMMUINV_PLAN_MERGED, 0);
	smmuinv__check_compile(&p->check, &stream->guest, &host);
}

static void path_close(struct path *p)
{
	player_close(&p->merged);
	player_close(&p->as_written);
	meter_close(&p->meter);
	free(p->copy);
}

/* As the queue does it: at a glance as far as that goes, then closely. */
static uint64_t check_all(struct path *p)
{
	const struct smmuinv_command *ring = p->stream->ring;
	uint64_t forwarded = 0;
	uint32_t kinds = 0;
	uint32_t i = 0;

	while (i < p->count) {
		uint32_t n = smmuinv__check_forward(
			&p->check, ring + i, p->count - i, p->copy, &kinds);
		struct check_found found;

		forwarded += n;
		i += n;
		if (i < p->count &&
		    smmuinv__check_run(&p->check, &ring[i++], &found) ==
			    SMMUINV_FORWARD)
			forwarded++;
	}
	return forwarded;
}

static void copy_all(struct path *p)
{
	memcpy(p->copy, p->stream->ring, p->count * sizeof(*p->copy));
	/* Somebody might read it. */
	__asm__ volatile("" : : "r"(p->copy) : "memory");
}

static void run(struct path *p, enum stage stage, struct play *play)
{
	int rc = 1;

	switch (stage) {
	case STAGE_CHECK:
		play->forwarded = check_all(p);
		break;
	case STAGE_AS_WRITTEN:
		rc = player_consume(&p->as_written, 0, p->count, 0, play);
		break;
	case STAGE_MERGED:
		rc = player_consume(&p->merged, 0, p->count, 0, play);
		break;
	default:
		copy_all(p);
	}
	must(rc > 0 ? 0 : rc - 1, stage_names[stage]);
}

static void count_instructions(struct path *p, enum stage stage,
			       const char *name)
{
	struct play play = { 0 };

	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
	run(p, stage, &play);
	CALLGRIND_TOGGLE_COLLECT;
	CALLGRIND_DUMP_STATS_AT(name);
}

/* Few commands are run several times, because a clock has its own cost. */
static uint64_t shortest_ns(struct path *p, enum stage stage)
{
	enum { ENOUGH = 4096 };
	unsigned int turns = 1 + ENOUGH / p->count;
	uint64_t best = UINT64_MAX;

	for (unsigned int i = 0; i < p->options->repeat; i++) {
		struct play play = { 0 };
		uint64_t start = now_ns();
		uint64_t ns;

		for (unsigned int turn = 0; turn < turns; turn++)
			run(p, stage, &play);
		ns = (now_ns() - start) / turns;
		best = ns < best ? ns : best;
	}
	return best;
}

static void measure(struct path *p, enum stage stage, const char *name,
		    struct measured *m)
{
	struct play play = { 0 };

	/* The first turn warms the caches, and says what happens. */
	meter_reset(&p->meter);
	run(p, stage, &play);
	*m = (struct measured){
		.consumed = p->count,
		.forwarded = play.forwarded,
		.commands = p->meter.commands,
		.ioctls = p->meter.ioctls,
	};
	if (RUNNING_ON_VALGRIND)
		count_instructions(p, stage, name);
	else
		m->ns = shortest_ns(p, stage);
}

static void print(const struct options *o, const char *part, const char *stream,
		  enum stage stage, const struct measured *m)
{
	if (o->json)
		printf("{\"bench\": \"%s\", \"stream\": \"%s\", "
		       "\"stage\": \"%s\", \"consumed\": %" PRIu64
		       ", \"forwarded\": %" PRIu64 ", \"commands\": %" PRIu64
		       ", \"ioctls\": %" PRIu64 ", \"ns\": %" PRIu64 "}\n",
		       part, stream, stage_names[stage], m->consumed,
		       m->forwarded, m->commands, m->ioctls, m->ns);
	else
		printf("%-8s %-26s %-11s %9" PRIu64 " %9" PRIu64 " %9" PRIu64
		       " %7" PRIu64 " %11" PRIu64 " %8.2f\n",
		       part, stream, stage_names[stage], m->consumed,
		       m->forwarded, m->commands, m->ioctls, m->ns,
		       (double)m->ns / (double)m->consumed);
}

static void print_head(const struct options *o)
{
	if (o->json)
		return;
	printf("%-8s %-26s %-11s %9s %9s %9s %7s %11s %8s\n", "part", "stream",
	       "stage", "consumed", "forwarded", "to host", "ioctls", "ns",
	       "ns each");
}

/* "PART/STREAM/STAGE/COUNT", a dump's name. */
static void measure_and_print(struct path *p, const char *part,
			      enum stage stage)
{
	struct measured m;
	char name[128];

	snprintf(name, sizeof(name), "%s/%s/%s/%" PRIu32, part, p->stream->name,
		 stage_names[stage], p->count);
	progress(p->options, name);
	measure(p, stage, name, &m);
	print(p->options, part, p->stream->name, stage, &m);
}

static void stages(const struct options *o)
{
	const char *name;

	for (size_t i = 0; (name = stream_name(i)); i++) {
		struct stream stream;
		struct path path;

		must(stream_open(&stream, name, o->corpus, 0), name);
		path_open(&path, o, &stream);
		for (enum stage stage = 0; stage < STAGES; stage++)
			measure_and_print(&path, "stages", stage);
		path_close(&path);
		stream_close(&stream);
	}
}

static void growth_of(const struct options *o, const char *name)
{
	struct stream stream;
	struct path path;

	must(stream_open(&stream, name, o->corpus,
			 1u << SMMUINV_QUEUE_LOG2SIZE_MAX),
	     name);
	path_open(&path, o, &stream);
	for (uint32_t log2 = 0; log2 <= SMMUINV_QUEUE_LOG2SIZE_MAX; log2++) {
		path.count = 1u << log2;
		for (enum stage s = STAGE_AS_WRITTEN; s < STAGES; s++)
			measure_and_print(&path, "growth", s);
	}
	path_close(&path);
	stream_close(&stream);
}

static void growth(const struct options *o)
{
	growth_of(o, "unmap-512");
	growth_of(o, "scattered");
}

/* The shortest of each call's times, and of those the longest. */
static uint64_t longest_ns(struct player *player, uint32_t bound,
			   unsigned int repeat, uint64_t *calls)
{
	enum { CALLS_MAX = 1u << SMMUINV_QUEUE_LOG2SIZE_MAX };
	static uint64_t ns[CALLS_MAX];
	uint64_t longest = 0;

	for (unsigned int i = 0; i < repeat; i++) {
		uint32_t from = 0;

		for (*calls = 0; from < player->stream->count; (*calls)++) {
			struct play play = { 0 };
			uint64_t start = now_ns();
			int n = player_consume(player, from,
					       player->stream->count, bound,
					       &play);
			uint64_t took = now_ns() - start;

			must(n > 0 ? 0 : n - 1, "latency");
			from += (uint32_t)n;
			if (!i || took < ns[*calls])
				ns[*calls] = took;
		}
	}
	for (uint64_t i = 0; i < *calls; i++)
		longest = ns[i] > longest ? ns[i] : longest;
	return longest;
}

static void latency_of(const struct options *o, const char *name,
		       uint32_t window, uint32_t bound)
{
	struct stream stream;
	struct player player;
	struct path path;
	uint64_t calls;
	uint64_t ns;

	/* Of a made-up stream, all that a ring can hold. */
	must(stream_open(&stream, name, o->corpus,
			 1u << SMMUINV_QUEUE_LOG2SIZE_MAX),
	     name);
	path_open(&path, o, &stream);
	player_make(&player, &path, SMMUINV_PLAN_MERGED, window);
	ns = longest_ns(&player, bound, 1 + o->repeat / 3, &calls);
	if (o->json)
		printf("{\"bench\": \"latency\", \"stream\": \"%s\", "
		       "\"window\": %" PRIu32 ", \"bound\": %" PRIu32
		       ", \"calls\": %" PRIu64 ", \"longest_ns\": %" PRIu64
		       "}\n",
		       name, window, bound, calls, ns);
	else
		printf("latency  %-26s window %6" PRIu32 " bound %6" PRIu32
		       " %9" PRIu64 " calls, the longest %11.1f us\n",
		       name, window, bound, calls, (double)ns / 1e3);
	player_close(&player);
	path_close(&path);
	stream_close(&stream);
}

static void latency(const struct options *o)
{
	static const char *const names[] = { "scattered",
					     "09-lk73-both-noril-io" };
	static const uint32_t bounds[] = {
		64, 256, 1024, 4096, 16384, 1u << 19
	};
	static const uint32_t windows[] = { 63, 1024 };

	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		for (size_t b = 0; b < sizeof(bounds) / sizeof(bounds[0]); b++)
			latency_of(o, names[n], 4096, bounds[b]);
	}
	for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++)
		latency_of(o, names[0], windows[w], 16384);
}

int main(int argc, char **argv)
{
	struct options options = { .corpus = BENCH_CORPUS, .repeat = 30 };

	options_parse(&options, argc, argv, usage);
	print_head(&options);
	if (options_want(&options, "stages"))
		stages(&options);
	if (options_want(&options, "growth"))
		growth(&options);
	/* Instructions have no latency. */
	if (options_want(&options, "latency") && !RUNNING_ON_VALGRIND)
		latency(&options);
	progress(&options, NULL);
	return EXIT_SUCCESS;
}
