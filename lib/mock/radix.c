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
	unsigned int used; /* slots that are not NULL */
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

static void slot_set(struct radix_node *node, unsigned int slot, void *to)
{
	node->used += to ? 1 : 0;
	node->used -= node->slot[slot] ? 1 : 0;
	node->slot[slot] = to;
}

static struct radix_node *node_new(void)
{
	return calloc(1, sizeof(struct radix_node));
}

/* The node of the last level, with those above it; NULL without memory. */
static struct radix_node *last_node(struct radix *radix, uint32_t index)
{
	struct radix_node *node;
	unsigned int level;

	if (!radix->root)
		radix->root = node_new();
	node = radix->root;
	for (level = 0; node && level < LEVELS - 1; level++) {
		unsigned int slot = slot_of(index, level);

		if (!node->slot[slot])
			slot_set(node, slot, node_new());
		node = node->slot[slot];
	}
	return node;
}

/* Frees the nodes on the way to @index that hold nothing. */
static struct radix_node *prune(struct radix_node *node, unsigned int level,
				uint32_t index)
{
	unsigned int slot = slot_of(index, level);

	if (!node)
		return NULL;
	if (level < LEVELS - 1)
		slot_set(node, slot, prune(node->slot[slot], level + 1, index));
	if (node->used)
		return node;
	free(node);
	return NULL;
}

int smmuinv__radix_set(struct radix *radix, uint32_t index, void *value)
{
	struct radix_node *node;

	if (!value && !smmuinv__radix_get(radix, index))
		return 0;
	node = last_node(radix, index);
	if (node)
		slot_set(node, slot_of(index, LEVELS - 1), value);
	if (!node || !value)
		radix->root = prune(radix->root, 0, index);
	return node ? 0 : -ENOMEM;
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
