/* SPDX-License-Identifier: MIT */
/*
 * A sparse array of pointers with 32-bit indices: four levels of 256, so a
 * look-up is four reads whatever is in it, and a lone entry costs 6 KiB.
 */
#ifndef SMMUINV_LIB_RADIX_H
#define SMMUINV_LIB_RADIX_H

#include <stdint.h>

struct radix_node;

/* An all-zero one is empty. */
struct radix {
	struct radix_node *root;
};

/* NULL if nothing is there. */
void *smmuinv__radix_get(const struct radix *radix, uint32_t index);

/* 0 or -ENOMEM. A NULL empties the place, which cannot fail if it is filled. */
int smmuinv__radix_set(struct radix *radix, uint32_t index, void *value);

/*
 * The first value at an index not below @index, which then says where it is;
 * NULL if there is none.
 */
void *smmuinv__radix_next(const struct radix *radix, uint32_t *index);

/* Frees the array; @release gets every value that is still there. */
void smmuinv__radix_free(struct radix *radix,
			 void (*release)(void *value, void *arg), void *arg);

#endif /* SMMUINV_LIB_RADIX_H */
