/* SPDX-License-Identifier: MIT */
#include "effect.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Commands that are looked at together, and at most so many entries of each. */
#define CHUNK       2048
#define ENTRIES_MAX 16

/* An unused ASID: a global entry is used with the command's own ASID, too. */
#define OTHER_ASID 0xfffe

/* What one command has to remove. */
struct filling {
	const struct smmuinv_features *guest;
	struct smmuinv_caches *caches;
	int count; /* entries */
	int error;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct smmuinv_command));
}

/* Sorted, and each once: repeating a command changes nothing. */
struct set {
	struct smmuinv_command *commands;
	size_t count;
};

static int set_init(struct set *set, const struct smmuinv_command *commands,
		    size_t count)
{
	size_t i;

	*set = (struct set){ .commands = calloc(count + 1, sizeof(*commands)) };
	if (!set->commands)
		return -ENOMEM;
	if (!count)
		return 0;
	memcpy(set->commands, commands, count * sizeof(*commands));
	qsort(set->commands, count, sizeof(*commands), compare);
	for (i = 0; i < count; i++) {
		if (!i ||
		    compare(&set->commands[set->count - 1], &set->commands[i]))
			set->commands[set->count++] = set->commands[i];
	}
	return 0;
}

static void add(struct filling *f, struct smmuinv_cache_entry entry)
{
	int index;

	entry.size = sizeof(entry);
	index = smmuinv_caches_insert(f->caches, &entry);
	if (index < 0)
		f->error = index;
	else
		f->count++;
}

static uint64_t get(const struct smmuinv_command *command, uint32_t field)
{
	return smmuinv_command_get(command, field);
}

static unsigned int page_log2(unsigned int tg)
{
	return 10 + 2 * tg;
}

/* A page, or at a level above 3 a block, around @va. */
static void add_translation(struct filling *f,
			    const struct smmuinv_command *command, uint64_t va,
			    unsigned int tg, unsigned int level, bool global)
{
	unsigned int page = page_log2(tg);
	uint64_t length = UINT64_C(1) << (page + (3 - level) * (page - 3));
	struct smmuinv_cache_entry entry = {
		.kind = SMMUINV_CACHED_LEAF,
		.global = global,
		.asid = (uint16_t)(global ? OTHER_ASID :
					    get(command, SMMUINV_FIELD_ASID)),
		.tg = (uint8_t)tg,
		.level = (uint8_t)level,
		.address = va & ~(length - 1),
		.length = length,
	};

	add(f, entry);
	if (get(command, SMMUINV_FIELD_LEAF) || level < 3)
		return;
	/* The table that the page is in. */
	entry.kind = SMMUINV_CACHED_TABLE;
	entry.level = 2;
	add(f, entry);
}

static bool has_granule(const struct smmuinv_features *features,
			unsigned int tg)
{
	static const uint32_t fields[] = {
		[SMMUINV_TG_4K] = SMMUINV_FEATURE_GRAN4K,
		[SMMUINV_TG_16K] = SMMUINV_FEATURE_GRAN16K,
		[SMMUINV_TG_64K] = SMMUINV_FEATURE_GRAN64K,
	};

	return smmuinv_features_get(features, fields[tg]);
}

/* TG 0 reaches entries of every granule and level (4.4.1.1). */
static void add_for_page(struct filling *f,
			 const struct smmuinv_command *command)
{
	uint64_t va = get(command, SMMUINV_FIELD_VA);
	unsigned int tg;

	for (tg = SMMUINV_TG_4K; tg <= SMMUINV_TG_64K; tg++) {
		if (!has_granule(f->guest, tg))
			continue;
		add_translation(f, command, va, tg, 3, false);
		add_translation(f, command, va, tg, 3, true);
		add_translation(f, command, va, tg, 2, false);
	}
}

static void add_for_range(struct filling *f,
			  const struct smmuinv_command *command)
{
	unsigned int tg = (unsigned int)get(command, SMMUINV_FIELD_TG);
	unsigned int ttl = (unsigned int)get(command, SMMUINV_FIELD_TTL);
	uint64_t va = get(command, SMMUINV_FIELD_VA);
	uint64_t last =
		va +
		((get(command, SMMUINV_FIELD_NUM) + 1)
		 << (get(command, SMMUINV_FIELD_SCALE) + page_log2(tg))) -
		1;

	add_translation(f, command, va, tg, ttl ? ttl : 3, false);
	add_translation(f, command, va, tg, ttl ? ttl : 2, true);
	/* A range does not wrap, and stays in its half. */
	if (last > va && last >> 63 == va >> 63)
		add_translation(f, command, last, tg, ttl ? ttl : 3, false);
}

static void add_for_cd(struct filling *f, const struct smmuinv_command *command,
		       bool level1)
{
	struct smmuinv_cache_entry entry = {
		.kind = SMMUINV_CACHED_CD,
		.sid = (uint32_t)get(command, SMMUINV_FIELD_STREAMID),
		.ssid = (uint32_t)get(command, SMMUINV_FIELD_SUBSTREAMID),
	};

	add(f, entry);
	if (!level1)
		return;
	entry.kind = SMMUINV_CACHED_L1CD;
	entry.ssids = 1;
	add(f, entry);
}

/* The first and the last page of the span, which is aligned to its size. */
static void add_for_atc(struct filling *f,
			const struct smmuinv_command *command)
{
	uint64_t size = get(command, SMMUINV_FIELD_ATC_SIZE);
	uint64_t rest = size < 52 ? (UINT64_C(4096) << size) - 1 : UINT64_MAX;
	struct smmuinv_cache_entry entry = {
		.kind = SMMUINV_CACHED_ATC,
		.sid = (uint32_t)get(command, SMMUINV_FIELD_STREAMID),
		.ssid = (uint32_t)get(command, SMMUINV_FIELD_SUBSTREAMID),
		.ssv = get(command, SMMUINV_FIELD_SSV),
		.address = get(command, SMMUINV_FIELD_ADDR) & ~rest,
		.length = 4096,
	};

	add(f, entry);
	entry.address = (entry.address | rest) & ~UINT64_C(4095);
	add(f, entry);
}

int effect_fill(struct smmuinv_caches *caches,
		const struct smmuinv_features *guest,
		const struct smmuinv_command *command)
{
	struct filling f = { .guest = guest, .caches = caches };

	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
		if (get(command, SMMUINV_FIELD_TG))
			add_for_range(&f, command);
		else
			add_for_page(&f, command);
		break;
	case SMMUINV_CMD_TLBI_NH_ASID:
		add_translation(&f, command, 0, SMMUINV_TG_4K, 3, false);
		break;
	case SMMUINV_CMD_TLBI_NH_ALL:
	case SMMUINV_CMD_TLBI_NSNH_ALL:
		add_translation(&f, command, 0, SMMUINV_TG_4K, 3, true);
		break;
	case SMMUINV_CMD_CFGI_CD:
		add_for_cd(&f, command, !get(command, SMMUINV_FIELD_LEAF));
		break;
	case SMMUINV_CMD_CFGI_CD_ALL:
		add_for_cd(&f, command, true);
		break;
	case SMMUINV_CMD_ATC_INV:
		add_for_atc(&f, command);
		break;
	default:
		break;
	}
	return f.error ? f.error : f.count;
}

/* Caches, and the command for which each of their entries is there. */
struct chunk {
	const struct smmuinv_features *guest;
	const struct set *asked;
	struct smmuinv_caches *caches;
	size_t count;
	size_t origin[CHUNK * ENTRIES_MAX];
};

static int chunk_fill(struct chunk *chunk, size_t first, size_t end)
{
	size_t i;

	chunk->count = 0;
	for (i = first; i < end; i++) {
		int n = effect_fill(chunk->caches, chunk->guest,
				    &chunk->asked->commands[i]);

		if (n < 0)
			return n;
		while (n--)
			chunk->origin[chunk->count++] = i;
	}
	return 0;
}

/* 0 if nothing is left of what was filled in, else 1. */
static int first_left(const struct chunk *chunk, struct smmuinv_command *lost)
{
	size_t i;

	for (i = 0; i < chunk->count; i++) {
		if (!smmuinv_caches_has(chunk->caches, i))
			continue;
		*lost = chunk->asked->commands[chunk->origin[i]];
		return 1;
	}
	return 0;
}

/* What was asked for from @first to before @end. */
static int compare_chunk(struct chunk *chunk, size_t first, size_t end,
			 const struct set *executed,
			 struct smmuinv_command *lost)
{
	size_t i;
	int rc =
		smmuinv_caches_new((end - first) * ENTRIES_MAX, &chunk->caches);

	if (rc)
		return rc;
	rc = chunk_fill(chunk, first, end);
	for (i = 0; i < executed->count; i++)
		smmuinv_caches_execute(chunk->caches, &executed->commands[i]);
	if (!rc)
		rc = first_left(chunk, lost);
	smmuinv_caches_free(chunk->caches);
	return rc;
}

static int compare_sets(const struct smmuinv_features *guest,
			const struct set *asked, const struct set *executed,
			struct smmuinv_command *lost)
{
	struct chunk *chunk = malloc(sizeof(*chunk));
	size_t first;
	int rc = 0;

	if (!chunk)
		return -ENOMEM;
	chunk->guest = guest;
	chunk->asked = asked;
	for (first = 0; first < asked->count && !rc; first += CHUNK) {
		size_t end = first + CHUNK;

		if (end > asked->count)
			end = asked->count;
		rc = compare_chunk(chunk, first, end, executed, lost);
	}
	free(chunk);
	return rc;
}

int effect_compare(const struct smmuinv_features *guest,
		   const struct smmuinv_command *asked, size_t asked_count,
		   const struct smmuinv_command *executed,
		   size_t executed_count, struct smmuinv_command *lost)
{
	struct set of_guest = { 0 };
	struct set of_host = { 0 };
	int rc = set_init(&of_guest, asked, asked_count);

	if (!rc)
		rc = set_init(&of_host, executed, executed_count);
	if (!rc)
		rc = compare_sets(guest, &of_guest, &of_host, lost);
	free(of_host.commands);
	free(of_guest.commands);
	return rc;
}
