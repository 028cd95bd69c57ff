/* SPDX-License-Identifier: MIT */
/*
 * What an SMMU and the devices behind it remember, as a model.
 *
 * Part of libsmmuinv-mock. A test fills the caches, lets commands be executed,
 * and asks the only question that matters: is an entry left that the guest had
 * asked to be rid of? Each of the eight commands that a vIOMMU takes removes
 * exactly what the specification requires and nothing else, which is the least
 * favourable hardware there can be. Others remove nothing: what a CFGI_STE asks
 * for, the VMM has to pass on. Numbers in parentheses are sections of Arm IHI 0070.
 */
#ifndef SMMUINV_CACHES_H
#define SMMUINV_CACHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/command.h>

SMMUINV_BEGIN_DECLS

/** struct smmuinv_caches - opaque; for one thread at a time */
struct smmuinv_caches;

/** enum smmuinv_cached - what kind of thing an entry is */
enum smmuinv_cached {
	SMMUINV_CACHED_LEAF = 0, /* a page or block of a translation table */
	SMMUINV_CACHED_TABLE, /* a table descriptor, of a walk cache */
	SMMUINV_CACHED_CD, /* a context descriptor */
	SMMUINV_CACHED_L1CD, /* a level-1 descriptor of a 2-level CD table */
	SMMUINV_CACHED_ATC /* a translation in a device's ATC */
};

/**
 * struct smmuinv_cache_entry - one thing that is remembered
 * @size: sizeof(struct smmuinv_cache_entry)
 * @kind: enum smmuinv_cached
 * @asid: LEAF, TABLE
 * @tg: LEAF, TABLE: granule it was inserted with, enum smmuinv_tg, not ANY
 * @level: LEAF 1..3; TABLE 0..2, the level at which the descriptor is
 * @address: LEAF, TABLE, ATC: first byte that it maps
 * @length: LEAF, TABLE, ATC: how many bytes; 0 means all 2^64
 * @sid: CD, L1CD, ATC: StreamID
 * @ssid: CD: its index; L1CD: the first index below it; ATC: PASID, if @ssv
 * @ssids: L1CD: how many indices are below it
 * @global: LEAF, TABLE: whatever the ASID
 * @ssv: ATC: the translation was requested with a PASID
 * @reserved: must be 0
 */
struct smmuinv_cache_entry {
	size_t size;
	uint32_t kind;
	uint16_t asid;
	uint8_t tg;
	uint8_t level;
	uint64_t address;
	uint64_t length;
	uint32_t sid;
	uint32_t ssid;
	uint32_t ssids;
	bool global;
	bool ssv;
	uint8_t reserved[2];
};

/**
 * smmuinv_caches_new() - empty caches
 * @capacity: how many entries they can hold, 1..65536
 * @caches: the caches
 *
 * Return: 0; -EINVAL for NULL or a capacity out of range; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_caches_new(size_t capacity,
				   struct smmuinv_caches **caches);

/**
 * smmuinv_caches_free() - free caches
 * @caches: may be NULL
 *
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API void smmuinv_caches_free(struct smmuinv_caches *caches);

/**
 * smmuinv_caches_insert() - remember something
 * @caches: where
 * @entry: what
 *
 * Return: its index, from 0 in the order of insertion; -EINVAL for NULL, a wrong
 * size, a reserved member that is set, or a kind, granule or level that does not
 * exist; -ENOSPC.
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API int smmuinv_caches_insert(struct smmuinv_caches *caches,
				      const struct smmuinv_cache_entry *entry);

/**
 * smmuinv_caches_execute() - remove what a command requires to be removed
 * @caches: where
 * @command: any command; those that are no invalidation remove nothing
 *
 * Addresses are compared as 64-bit numbers; a range does not wrap (4.4.1.1).
 *
 * Return: how many entries went.
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_caches_execute(struct smmuinv_caches *caches,
					  const struct smmuinv_command *command);

/**
 * smmuinv_caches_has() - is the entry still there?
 * @caches: where
 * @index: what smmuinv_caches_insert() returned
 *
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API bool smmuinv_caches_has(const struct smmuinv_caches *caches,
				    size_t index);

/**
 * smmuinv_caches_refill() - everything that was ever inserted is there again
 * @caches: where
 *
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API void smmuinv_caches_refill(struct smmuinv_caches *caches);

/**
 * smmuinv_caches_stale() - the first entry that should have gone
 * @caches: after what was done
 * @wanted: equal caches, after what the guest had asked for
 *
 * Return: the index of an entry that is in @caches but not in @wanted; -ENOENT
 * if there is none; -EINVAL for NULL or if they hold different numbers of entries.
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API int smmuinv_caches_stale(const struct smmuinv_caches *caches,
				     const struct smmuinv_caches *wanted);

SMMUINV_END_DECLS

#endif /* SMMUINV_CACHES_H */
