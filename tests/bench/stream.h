/* SPDX-License-Identifier: MIT */
/*
 * What a guest has written to its Command queue, for benchmarks: streams of
 * tests/corpus and made-up ones, by name.
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/smmuinv.h>

struct stream {
	const char *name;
	const char *what;
	struct smmuinv_features guest; /* what its SMMU showed */
	struct smmuinv_command *ring; /* 2^SMMUINV_QUEUE_LOG2SIZE_MAX entries */
	uint32_t count;
};

/* The @i-th stream's name and what it is; NULL after the last. */
const char *stream_name(size_t i);
const char *stream_what(size_t i);

/*
 * @count: of a made-up stream, so many commands instead of its own number; 0
 * for that. @folder: where the corpus is. Returns 0 or a negative errno:
 * -ENOENT for no such stream.
 */
int stream_open(struct stream *stream, const char *name, const char *folder,
		uint32_t count);
void stream_close(struct stream *stream);

/* Has its guest range commands? */
bool stream_has_ril(const struct stream *stream);

/* The guest's features, with ranges and every granule. */
struct smmuinv_features stream_host(const struct stream *stream);

/* Of granules, a guest is shown only that of the stream. */
void stream_show_granule(const struct stream *stream,
			 struct smmuinv_features *guest);

/* The first place after @from that follows a CMD_SYNC, or the end. */
uint32_t stream_after_sync(const struct stream *stream, uint32_t from);

/* Does the command name a stream that needs a vDEVICE? */
bool stream_names_vsid(const struct smmuinv_command *command);

#endif
