/* SPDX-License-Identifier: MIT */
#include "player.h"

#include <errno.h>

#include "meter.h"

static int take_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)opaque;
	(void)sync;
	return 0;
}

static int take_command(void *opaque, const struct smmuinv_command *command)
{
	(void)opaque;
	(void)command;
	return 0;
}

int player_open(struct player *player, const struct stream *stream,
		const struct smmuinv_vsmmu_params *params, uint32_t window)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.sync = take_sync,
		.command = take_command,
	};
	const struct smmuinv_queue_params queue = {
		.size = sizeof(queue),
		.ops = &ops,
		.window = window,
		/* What a call gets is said by its ring. */
		.work_max = UINT32_MAX,
	};
	int rc;

	*player = (struct player){ .stream = stream, .guest = params->guest };
	rc = smmuinv_vsmmu_new(params, &player->vsmmu, NULL);
	if (!rc)
		rc = smmuinv_queue_new(player->vsmmu, &queue, &player->queue);
	if (rc)
		player_close(player);
	return rc;
}

void player_close(struct player *player)
{
	smmuinv_queue_free(player->queue);
	smmuinv_vsmmu_free(player->vsmmu);
	*player = (struct player){ 0 };
}

static int add_stream(struct smmuinv_vsmmu *vsmmu, uint32_t device,
		      uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.dev_id = device,
	};
	int rc = smmuinv_vsmmu_add_stream(vsmmu, &params);

	return rc ? rc : smmuinv_vsmmu_set_ats(vsmmu, vsid, true);
}

int player_add_streams(struct player *player, uint32_t device)
{
	const struct stream *stream = player->stream;

	for (uint32_t i = 0; i < stream->count; i++) {
		uint32_t vsid = (uint32_t)smmuinv_command_get(
			&stream->ring[i], SMMUINV_FIELD_STREAMID);
		int rc;

		if (!stream_names_vsid(&stream->ring[i]) ||
		    !smmuinv_vsmmu_find_stream(player->vsmmu, vsid, NULL))
			continue;
		rc = add_stream(player->vsmmu, device++, vsid);
		if (rc)
			return rc;
	}
	return 0;
}

int player_consume(struct player *player, uint32_t from, uint32_t end,
		   uint32_t max_commands, struct play *play)
{
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = player->stream->ring,
		.log2size = SMMUINV_QUEUE_LOG2SIZE_MAX,
		.prod = end,
		.cons = from,
		.max_commands = max_commands,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	int rc = smmuinv_queue_consume(player->queue, &ring, &progress);

	play->forwarded += progress.forwarded;
	return progress.cerror ? -EILSEQ : rc;
}

int player_play(struct player *player, uint32_t calls, struct play *play)
{
	const struct stream *stream = player->stream;
	uint32_t from = 0;

	*play = (struct play){ 0 };
	while (from < stream->count) {
		uint32_t end = calls == PLAYER_TO_SYNC ?
				       stream_after_sync(stream, from) :
				       stream->count;
		uint32_t most = calls == PLAYER_TO_SYNC ? 0 : calls;
		uint64_t start = now_ns();
		int rc = player_consume(player, from, end, most, play);
		uint64_t ns = now_ns() - start;

		if (rc <= 0)
			return rc ? rc : -EIO;
		play->ns += ns;
		if (ns > play->longest_ns)
			play->longest_ns = ns;
		from += (uint32_t)rc;
	}
	return 0;
}
