/* SPDX-License-Identifier: MIT */
#include "radix.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define LEVELS    4
#define SLOT_BITS 8
#define SLOTS     (1u << SLOT_BITS)

/* A slot holds a node, or at the last level a value. */
struct radix_node {
	void *slot[SLOTS];
};

static unsigned int slot_of(uint32_t index, unsigned int level)
{
	return (index >> (SLOT_BITS * (LEVELS - 1 - level))) & (SLOTS - 1);
}

void *smmuinv__radix_get(const struct radix *radix, uint32_t index)
{
	const struct radix_node *node = radix->root;
	unsigned int level;

	for (level = 0; node && level < LEVELS - 1; level++)
		node = node->slot[slot_of(index, level)];
	return node ? node->slot[slot_of(index, LEVELS - 1)] : NULL;
}

/* So many indices are below one slot of the level. */
static uint64_t span_below(unsigned int level)
{
	return UINT64_C(1) << (SLOT_BITS * (LEVELS - 1 - level));
}

/* Every turn looks at one slot, or leaves a node behind. */
void *smmuinv__radix_next(const struct radix *radix, uint32_t *index)
{
	uint64_t i = *index;

	while (radix->root && i <= UINT32_MAX) {
		const struct radix_node *node = radix->root;
		unsigned int level = 0;
		void *slot;

		while (level < LEVELS - 1 &&
		       node->slot[slot_of((uint32_t)i, level)])
			node = node->slot[slot_of((uint32_t)i, level++)];
		slot = node->slot[slot_of((uint32_t)i, level)];
		if (slot) {
			*index = (uint32_t)i;
			return slot;
		}
		i = (i / span_below(level) + 1) * span_below(level);
	}
	return NULL;
}

static struct radix_node *node_new(void)
{
	return calloc(1, sizeof(struct radix_node));
}

/*
 * Nodes that were made before one could not be are empty and stay: they are
 * found again by the next try, and freed with the array.
 */
int smmuinv__radix_set(struct radix *radix, uint32_t index, void *value)
{
	struct radix_node *node;
	unsigned int level;

	if (!radix->root)
		radix->root = node_new();
	node = radix->root;
	for (level = 0; node && level < LEVELS - 1; level++) {
		void **slot = &node->slot[slot_of(index, level)];

		if (!*slot)
			*slot = node_new();
		node = *slot;
	}
	if (!node)
		return -ENOMEM;
	node->slot[slot_of(index, LEVELS - 1)] = value;
	return 0;
}

static void release_values(struct radix_node *node,
			   void (*release)(void *value, void *arg), void *arg)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (release && node->slot[i])
			release(node->slot[i], arg);
	}
}

static void node_free(struct radix_node *node, unsigned int level,
		      void (*release)(void *value, void *arg), void *arg)
{
	unsigned int i;

	if (!node)
		return;
	if (level == LEVELS - 1)
		release_values(node, release, arg);
	for (i = 0; level < LEVELS - 1 && i < SLOTS; i++)
		node_free(node->slot[i], level + 1, release, arg);
	free(node);
}

void smmuinv__radix_free(struct radix *radix,
			 void (*release)(void *value, void *arg), void *arg)
{
	node_free(radix->root, 0, release, arg);
	radix->root = NULL;
}
