/* SPDX-License-Identifier: MIT */
/*
 * A model of what an SMMU and its devices cache. Part of libsmmuinv-mock.
 *
 * A test fills the caches, lets commands be executed, and asks: is an entry
 * left that the guest invalidated? Each of the eight commands that a vIOMMU
 * takes removes exactly what the specification requires, and nothing else. No
 * real SMMU removes less. Other commands remove nothing: what a CFGI_STE asks
 * for, the VMM does.
 *
 * Numbers in parentheses are sections of Arm IHI 0070.
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

/**
 * enum smmuinv_cached - the kind of an entry
 * @SMMUINV_CACHED_LEAF: a page or block of a translation table, in a TLB
 * @SMMUINV_CACHED_TABLE: a table descriptor, in a walk cache
 * @SMMUINV_CACHED_CD: a context descriptor
 * @SMMUINV_CACHED_L1CD: a level-1 descriptor of a 2-level CD table
 * @SMMUINV_CACHED_ATC: a translation in a device's ATC
 */
enum smmuinv_cached {
	SMMUINV_CACHED_LEAF = 0,
	SMMUINV_CACHED_TABLE = 1,
	SMMUINV_CACHED_CD = 2,
	SMMUINV_CACHED_L1CD = 3,
	SMMUINV_CACHED_ATC = 4
};

/**
 * struct smmuinv_cache_entry - one thing that is cached
 * @size: sizeof(struct smmuinv_cache_entry)
 * @kind: enum smmuinv_cached
 * @asid: LEAF, TABLE
 * @tg: LEAF, TABLE: granule it was inserted with, enum smmuinv_tg, not ANY
 * @level: LEAF 1..3; TABLE 0..2: the level of the descriptor
 * @address: LEAF, TABLE, ATC: first byte that it maps
 * @length: LEAF, TABLE, ATC: how many bytes; 0 means all 2^64
 * @sid: CD, L1CD, ATC: StreamID. The mock's SMMUs see vSIDs.
 * @ssid: CD: its index; L1CD: the first index in it; ATC: PASID, if @ssv
 * @ssids: L1CD: how many indices it has
 * @global: LEAF, TABLE: for every ASID
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
 * smmuinv_caches_new() - make empty caches
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
 * smmuinv_caches_insert() - cache something
 * @caches: where
 * @entry: what; copied. Members that its kind does not have count for nothing.
 *
 * Return: its index, from 0 in the order of insertion; -EINVAL for NULL, a
 * wrong size, a reserved member that is set, or a kind, granule or level that
 * does not exist; -ENOSPC.
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
 * Return: how many entries were removed.
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_caches_execute(
	struct smmuinv_caches *caches, const struct smmuinv_command *command);

/**
 * smmuinv_caches_has() - is the entry still there?
 * @caches: where
 * @index: what smmuinv_caches_insert() returned
 *
 * Return: whether it is; false for an index that no entry has.
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API bool smmuinv_caches_has(const struct smmuinv_caches *caches,
				    size_t index);

/**
 * smmuinv_caches_refill() - put back everything that was ever inserted
 * @caches: where
 *
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API void smmuinv_caches_refill(struct smmuinv_caches *caches);

/**
 * smmuinv_caches_stale() - find an entry that should have been removed
 * @caches: after what was executed
 * @wanted: caches filled alike, after the guest's commands as it wrote them
 *
 * Return: the index of the first entry that is in @caches but not in @wanted;
 * -ENOENT if there is none; -EINVAL for NULL, or if different numbers of
 * entries were inserted.
 * Threads: the caches'. Since: 0.1.
 */
SMMUINV_API int smmuinv_caches_stale(const struct smmuinv_caches *caches,
				     const struct smmuinv_caches *wanted);

SMMUINV_END_DECLS

#endif /* SMMUINV_CACHES_H */
