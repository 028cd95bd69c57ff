/* SPDX-License-Identifier: MIT */
/*
 * What hardware may still cache after groups of invalidations, if it orders
 * nothing inside a group. Written from Arm IHI 0070, and not from lib/ or the
 * mock's caches.
 *
 * An entry can be made from another that is cached: a leaf from a table, a
 * table from a CD, and so on. So a stale entry makes more stale entries, at any
 * time.
 *
 * A chain is a set of entries, each made from the one before it. How a stale
 * entry came to be there can be traced back in time along one chain. Hardware
 * may cache as little as it likes, so every chain counts, also one that leaves
 * out entries between two others.
 *
 * At the start all of a chain is stale. At every moment one of its entries must
 * be there, or the chain is gone for good. A command passes it by if it leaves
 * one of the entries that are there; those after it can then be made again. The
 * commands of a group can come in an order in which all of them pass it by,
 * except if one of them removes all of its entries that are there.
 */
#ifndef TEST_ORDER_MODEL_H
#define TEST_ORDER_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/command.h>

/* Bit I is entry I. An entry is made only from entries with lower bits. */
typedef uint64_t order_set;

/* The addresses: X and Y are under one table, Z is under another. */
#define ORDER_X     UINT64_C(0x401fe000)
#define ORDER_Y     UINT64_C(0x401ff000)
#define ORDER_Z     UINT64_C(0x40200000)
#define ORDER_BLOCK UINT64_C(0x40000000) /* of 2 MiB, with X and Y */
#define ORDER_64K   UINT64_C(0x401f0000) /* a 64 KiB page, with X and Y */

/* ASIDs, and vSIDs: the first has SubstreamIDs, the second shares ASID A. */
#define ORDER_A      2u
#define ORDER_B      3u
#define ORDER_FIRST  0x10u
#define ORDER_SECOND 0x20u

size_t order_entries(void);

/* For messages: static storage, good for eight entries at a time. */
const char *order_entry_name(size_t entry);

/*
 * The entries that the SMMU must remove for a command. One without IDR3.RIL
 * does not see TG, TTL, NUM and SCALE.
 */
order_set order_removed(const struct smmuinv_command *command, bool ril);

/* All entries with the 64 KiB granule, and what can only be made from them. */
order_set order_64k(void);

/* Can entry @child be made from entry @parent, with nothing cached between? */
bool order_made_from(size_t child, size_t parent);

/*
 * Every chain of entries that are not in @without. Return: how many; the array
 * is the caller's to free.
 */
size_t order_chains(order_set without, order_set **chains);

/*
 * What can be left of a chain after a group. @stale is what was there before:
 * if an entry was, all that are made from it. So is the answer, 0 if the chain
 * is gone.
 */
static inline order_set order_left(order_set stale, const order_set *removed,
				   size_t count)
{
	order_set left = stale;
	size_t i;

	for (i = 0; i < count; i++) {
		order_set passed_by = stale & ~removed[i];

		/* From its lowest bit upwards; 0 if there is none. */
		left &= passed_by | (0 - passed_by);
	}
	return left;
}

#endif /* TEST_ORDER_MODEL_H */
