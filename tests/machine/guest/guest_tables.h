/* SPDX-License-Identifier: MIT */
/*
 * What a guest keeps in its memory for an SMMUv3: a context descriptor and
 * stage-1 page tables (4K granule, 48-bit addresses, four levels). The library
 * under test plays no part here; the SMMU reads all of it by itself.
 */
#ifndef GUEST_TABLES_H
#define GUEST_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iommufd.h"

#define GUEST_PAGE_SIZE  ((size_t)4096)
#define GUEST_BLOCK_SIZE ((size_t)2 << 20)

/*
 * The guest's memory: one range of guest-physical addresses (IPA). It is given
 * out from the front and never taken back.
 */
struct guest_memory {
	uint8_t *base;
	uint64_t ipa;
	size_t size;
	size_t used;
};

/* A piece of the guest's memory, as the program and as the guest know it. */
struct guest_piece {
	void *memory;
	uint64_t ipa;
};

/* @ipa and @size: whole blocks (2M). Returns 0 or a negative errno. */
int guest_memory_init(struct guest_memory *memory, uint64_t ipa, size_t size);
void guest_memory_free(struct guest_memory *memory);

/* Zeroed and aligned to its own size, a power of two; ends the test if full. */
struct guest_piece guest_memory_take(struct guest_memory *memory, size_t size);

/* A page or a block that is filled with the 32-bit @pattern. */
struct guest_piece guest_memory_take_filled(struct guest_memory *memory,
					    size_t size, uint32_t pattern);

/* One address space of the guest. */
struct stage1 {
	struct guest_memory *memory;
	struct guest_piece root;
};

enum stage1_scope {
	/* The TLB entry belongs to the ASID (nG = 1). */
	STAGE1_ASID,
	/* The TLB entry serves all ASIDs. */
	STAGE1_GLOBAL,
};

void stage1_init(struct stage1 *stage1, struct guest_memory *memory);

/*
 * Write the leaf entry of @va, whatever was there, a table or block too. None
 * of them invalidates anything: that is what the tests are about.
 */
void stage1_map_page(struct stage1 *stage1, uint64_t va, uint64_t ipa,
		     enum stage1_scope scope);
void stage1_map_block(struct stage1 *stage1, uint64_t va, uint64_t ipa,
		      enum stage1_scope scope);
void stage1_unmap_page(struct stage1 *stage1, uint64_t va);
void stage1_unmap_block(struct stage1 *stage1, uint64_t va);

/* A context descriptor: 64 bytes of guest memory. */
#define CONTEXT_DESCRIPTOR_SIZE 64

/* Writes the descriptor at @cd for this address space. */
void context_descriptor_write(const struct guest_piece *cd, uint16_t asid,
			      const struct stage1 *stage1);

/* The stream table entry of a stream with this one context descriptor. */
struct iommufd_vste vste_translate(const struct guest_piece *cd);

#endif
