/* SPDX-License-Identifier: MIT */
/*
 * A small VMM: its guest's stream, consumed by the library's queue.
 */
#ifndef BENCH_PLAYER_H
#define BENCH_PLAYER_H

#include <stdint.h>

#include <smmuinv/smmuinv.h>

#include "stream.h"

/* How much of the stream a call of smmuinv_queue_consume() gets. */
#define PLAYER_WHOLE 0u /* all that there is */
#define PLAYER_TO_SYNC                                        \
	UINT32_MAX /* up to a CMD_SYNC, as a guest that waits \
		    */
/* Any other number: so many commands, by smmuinv_ring.max_commands. */

struct player {
	const struct stream *stream;
	struct smmuinv_features guest; /* that the virtual SMMU shows */
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;
};

struct play {
	uint64_t forwarded;
	uint64_t ns;         /* player_play() takes the time */
	uint64_t longest_ns; /* of one call */
};

/*
 * @params: of the virtual SMMU. Streams are the caller's to add. @window: of
 * the queue, 0 for its default. Returns 0 or an errno.
 */
int player_open(struct player *player, const struct stream *stream,
		const struct smmuinv_vsmmu_params *params, uint32_t window);
void player_close(struct player *player);

/*
 * A stream with ATS for each vSID that the commands name, on devices from
 * @device on.
 */
int player_add_streams(struct player *player, uint32_t device);

/*
 * One call, from @from on and up to @end at most. Returns what it consumed, or
 * a negative errno; -EILSEQ if the queue stopped.
 */
int player_consume(struct player *player, uint32_t from, uint32_t end,
		   uint32_t max_commands, struct play *play);

/* The whole stream, in calls as @calls says. */
int player_play(struct player *player, uint32_t calls, struct play *play);

#endif
