/* SPDX-License-Identifier: MIT */
/*
 * A sparse array of pointers with 32-bit indices: four levels of 256. A look-up
 * is four reads, whatever is in it. Memory follows the content: a lone entry
 * costs 8 KiB, an empty array nothing.
 */
#ifndef SMMUINV_MOCK_RADIX_H
#define SMMUINV_MOCK_RADIX_H

#include <stdint.h>

struct radix_node;

/* An all-zero one is empty. */
struct radix {
	struct radix_node *root;
};

/* NULL if nothing is there. */
void *smmuinv__radix_get(const struct radix *radix, uint32_t index);

/*
 * 0, or -ENOMEM, which changes nothing. A NULL empties the place, which cannot
 * fail, and gives back what then holds nothing.
 */
int smmuinv__radix_set(struct radix *radix, uint32_t index, void *value);

/* Frees the array; @release gets every value that is still there. */
void smmuinv__radix_free(struct radix *radix,
			 void (*release)(void *value, void *arg), void *arg);

#endif /* SMMUINV_MOCK_RADIX_H */
