/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"

#define IDR3_RIL (1u << 10)

/* A guest without ranges unmaps 2 MiB: 512 pages and a CMD_SYNC. */
#define PAGES  512u
#define UNMAPS 8u

#define ASID 5u
#define LEAF UINT64_C(1)

/* A fixed seed: every run is about the same pages. */
#define SEED UINT64_C(0x9e3779b97f4a7c15)

struct description {
	const char *name;
	const char *what;
	uint32_t idr0;
	uint32_t idr1;
	uint32_t idr3;
	uint32_t idr5;
	/* The page of the @i-th command of a made-up stream. */
	uint64_t (*page)(uint32_t i);
};

static uint64_t page_in_sequence(uint32_t i)
{
	return i;
}

/* splitmix64, in 2^36 pages: hardly any two of them touch. */
static uint64_t page_scattered(uint32_t i)
{
	uint64_t z = SEED * (i + UINT64_C(1));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) >> 28;
}

/* 44 bits, and one granule: a guest that is shown several has pages of each. */
#define IDR5_4K  0x14u
#define IDR5_16K 0x24u
#define IDR5_ALL 0x74u

/*
 * The ID registers of the corpus are those of its streams.json, except that
 * only the granule is shown that the guest used.
 */
static const struct description descriptions[] = {
	{ "unmap-512", "unmaps of 512 pages in sequence, no RIL", 0x0d44101b,
	  0x02730010, 0x1014, IDR5_4K, page_in_sequence },
	{ "scattered", "unmaps of 512 scattered pages, no RIL", 0x0d44101b,
	  0x02730010, 0x1014, IDR5_4K, page_scattered },
	{ "09-lk73-both-noril-io", "Linux 7.3, I/O, no RIL", 0x0d44101b,
	  0x02730010, 0x1014, IDR5_4K, NULL },
	{ "29-lk73-l2guest-noril", "Linux 7.3, a VMM's guest, no RIL",
	  0x0d44101a, 0x02730010, 0x1004, IDR5_4K, NULL },
	{ "02-lk73-both-lazy-io", "Linux 7.3, lazy I/O", 0x0d44101b, 0x02730010,
	  0x1414, IDR5_4K, NULL },
	{ "03-lk73-both-vfio-map", "Linux 7.3, maps of every level", 0x0d44101b,
	  0x02730010, 0x1414, IDR5_4K, NULL },
	{ "04-lk73-16k-both-io-vfio", "Linux 7.3, 16K pages", 0x0d44101b,
	  0x02730010, 0x1414, IDR5_16K, NULL },
	{ "07-lk61-both-lazy-vfio", "Linux 6.1, lazy, maps", 0x0d44101b,
	  0x02730010, 0x1414, IDR5_4K, NULL },
	{ "16-lk73-ats-virtio", "Linux 7.3, ATS", 0x0d45141b, 0x02734c10,
	  0x1414, IDR5_4K, NULL },
	{ "17-own73-sva", "Linux 7.3, SVA", 0x0c45141b, 0x02734c10, 0x1414,
	  IDR5_4K, NULL },
};
#define DESCRIPTIONS (sizeof(descriptions) / sizeof(descriptions[0]))

const char *stream_name(size_t i)
{
	return i < DESCRIPTIONS ? descriptions[i].name : NULL;
}

const char *stream_what(size_t i)
{
	return i < DESCRIPTIONS ? descriptions[i].what : NULL;
}

static const struct description *find(const char *name)
{
	for (size_t i = 0; i < DESCRIPTIONS; i++) {
		if (!strcmp(descriptions[i].name, name))
			return &descriptions[i];
	}
	return NULL;
}

static int read_corpus(struct stream *stream, const char *folder)
{
	char path[1024];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.bin", folder, stream->name);
	file = fopen(path, "rb");
	if (!file)
		return -errno;
	stream->count = (uint32_t)fread(stream->ring, sizeof(*stream->ring),
					1u << SMMUINV_QUEUE_LOG2SIZE_MAX, file);
	fclose(file);
	return stream->count ? 0 : -EIO;
}

static void make_up(struct stream *stream, uint64_t (*page)(uint32_t i),
		    uint32_t count)
{
	uint32_t pages = 0;

	stream->count = count ? count : UNMAPS * (PAGES + 1);
	for (uint32_t i = 0; i < stream->count; i++) {
		if (i % (PAGES + 1) == PAGES) {
			stream->ring[i] = command_make(SMMUINV_CMD_SYNC, 0);
			continue;
		}
		stream->ring[i] = command_make(SMMUINV_CMD_TLBI_NH_VA |
						       (uint64_t)ASID << 48,
					       page(pages++) << 12 | LEAF);
	}
}

int stream_open(struct stream *stream, const char *name, const char *folder,
		uint32_t count)
{
	const struct description *d = find(name);
	int rc;

	if (!d)
		return -ENOENT;
	*stream = (struct stream){
		.name = d->name,
		.what = d->what,
		.guest = { { d->idr0, d->idr1, 0, d->idr3, 0, d->idr5 } },
		.ring = calloc((size_t)1 << SMMUINV_QUEUE_LOG2SIZE_MAX,
			       sizeof(*stream->ring)),
	};
	if (!stream->ring)
		return -ENOMEM;
	if (d->page) {
		make_up(stream, d->page, count);
		return 0;
	}
	rc = read_corpus(stream, folder);
	if (rc)
		stream_close(stream);
	return rc;
}

void stream_close(struct stream *stream)
{
	free(stream->ring);
	stream->ring = NULL;
}

bool stream_has_ril(const struct stream *stream)
{
	return smmuinv_features_get(&stream->guest, SMMUINV_FEATURE_RIL);
}

struct smmuinv_features stream_host(const struct stream *stream)
{
	struct smmuinv_features host = stream->guest;

	host.idr[3] |= IDR3_RIL;
	host.idr[5] |= IDR5_ALL;
	return host;
}

void stream_show_granule(const struct stream *stream,
			 struct smmuinv_features *guest)
{
	const uint32_t granules = 7u << 4;

	guest->idr[5] &= stream->guest.idr[5] | ~granules;
}

uint32_t stream_after_sync(const struct stream *stream, uint32_t from)
{
	while (from < stream->count &&
	       smmuinv_command_opcode(&stream->ring[from]) != SMMUINV_CMD_SYNC)
		from++;
	return from < stream->count ? from + 1 : from;
}

bool stream_names_vsid(const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
	case SMMUINV_CMD_ATC_INV:
		return true;
	default:
		return false;
	}
}
