/* SPDX-License-Identifier: MIT */
#include "guest_tables.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "machine.h"

#define BIT(n)              (UINT64_C(1) << (n))
#define FIELD(value, shift) ((uint64_t)(value) << (shift))

/* Page table entries (Arm ARM D8.3). */
#define PTE_VALID           BIT(0)
#define PTE_TABLE           BIT(1)      /* a table, and at level 3 a page */
#define PTE_ATTRIBUTES      FIELD(0, 2) /* MAIR's byte 0 */
#define PTE_READ_WRITE      FIELD(1, 6) /* AP: privileged or not */
#define PTE_INNER_SHAREABLE FIELD(3, 8)
#define PTE_ACCESSED        BIT(10)
#define PTE_NOT_GLOBAL      BIT(11)
#define PTE_ADDRESS         (BIT(48) - GUEST_PAGE_SIZE)

#define LEVEL_BLOCK 2U
#define LEVEL_PAGE  3U
#define ENTRIES     512U

/* The context descriptor's first word (IHI 0070, 5.4). */
#define CD0_T0SZ           FIELD(16, 0) /* 48 bits */
#define CD0_TG0_4K         FIELD(0, 6)
#define CD0_IR0_WRITE_BACK FIELD(1, 8)
#define CD0_OR0_WRITE_BACK FIELD(1, 10)
#define CD0_SH0_INNER      FIELD(3, 12)
#define CD0_EPD1           BIT(30) /* no walks by TTB1 */
#define CD0_V              BIT(31)
#define CD0_IPS_44         FIELD(4, 32)
#define CD0_AA64           BIT(41)
#define CD0_R              BIT(45) /* record faults */
#define CD0_A              BIT(46) /* and abort the transaction */
#define CD0_ASET           BIT(47) /* the ASID is not shared with the CPUs */
#define CD0_ASID(asid)     FIELD(asid, 48)
#define MAIR_WRITE_BACK    UINT64_C(0xff)

/* The stream table entry (IHI 0070, 5.2). */
#define STE0_V                BIT(0)
#define STE0_CFG_S1           FIELD(5, 1)
#define STE1_S1CIR_WRITE_BACK FIELD(1, 2)
#define STE1_S1COR_WRITE_BACK FIELD(1, 4)
#define STE1_S1CSH_INNER      FIELD(3, 6)

/* The SMMU may look at any time: whole words, in this order. */
static void word_store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

int guest_memory_init(struct guest_memory *memory, uint64_t ipa, size_t size)
{
	void *base;

	if (ipa % GUEST_BLOCK_SIZE || size % GUEST_BLOCK_SIZE)
		return -EINVAL;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	*memory = (struct guest_memory){
		.base = base,
		.ipa = ipa,
		.size = size,
	};
	return 0;
}

void guest_memory_free(struct guest_memory *memory)
{
	munmap(memory->base, memory->size);
	*memory = (struct guest_memory){ 0 };
}

struct guest_piece guest_memory_take(struct guest_memory *memory, size_t size)
{
	size_t start = (memory->used + size - 1) & ~(size - 1);

	if (start > memory->size || size > memory->size - start)
		machine_fail("the guest's memory", ENOMEM);
	memory->used = start + size;
	return (struct guest_piece){
		.memory = memory->base + start,
		.ipa = memory->ipa + start,
	};
}

struct guest_piece guest_memory_take_filled(struct guest_memory *memory,
					    size_t size, uint32_t pattern)
{
	struct guest_piece piece = guest_memory_take(memory, size);
	uint32_t *words = piece.memory;

	for (size_t i = 0; i < size / sizeof(*words); i++)
		words[i] = pattern;
	return piece;
}

void stage1_init(struct stage1 *stage1, struct guest_memory *memory)
{
	*stage1 = (struct stage1){
		.memory = memory,
		.root = guest_memory_take(memory, GUEST_PAGE_SIZE),
	};
}

static uint64_t *table_at(const struct guest_memory *memory, uint64_t ipa)
{
	return (uint64_t *)(void *)(memory->base + (ipa - memory->ipa));
}

/* The table that @entry points to; made when there is none. */
static uint64_t *table_below(struct guest_memory *memory, uint64_t *entry)
{
	const uint64_t table = PTE_VALID | PTE_TABLE;

	if ((*entry & table) != table) {
		struct guest_piece piece =
			guest_memory_take(memory, GUEST_PAGE_SIZE);

		word_store(entry, piece.ipa | table);
	}
	return table_at(memory, *entry & PTE_ADDRESS);
}

static uint64_t *entry_of(struct stage1 *stage1, uint64_t va,
			  unsigned int leaf_level)
{
	uint64_t *table = stage1->root.memory;

	for (unsigned int level = 0;; level++) {
		unsigned int shift = 12 + 9 * (LEVEL_PAGE - level);
		uint64_t *entry = &table[(va >> shift) % ENTRIES];

		if (level == leaf_level)
			return entry;
		table = table_below(stage1->memory, entry);
	}
}

static uint64_t leaf(uint64_t ipa, enum stage1_scope scope)
{
	uint64_t entry = ipa | PTE_VALID | PTE_ATTRIBUTES | PTE_READ_WRITE |
			 PTE_INNER_SHAREABLE | PTE_ACCESSED;

	return scope == STAGE1_GLOBAL ? entry : entry | PTE_NOT_GLOBAL;
}

void stage1_map_page(struct stage1 *stage1, uint64_t va, uint64_t ipa,
		     enum stage1_scope scope)
{
	word_store(entry_of(stage1, va, LEVEL_PAGE),
		   leaf(ipa, scope) | PTE_TABLE);
}

void stage1_map_block(struct stage1 *stage1, uint64_t va, uint64_t ipa,
		      enum stage1_scope scope)
{
	word_store(entry_of(stage1, va, LEVEL_BLOCK), leaf(ipa, scope));
}

void stage1_unmap_page(struct stage1 *stage1, uint64_t va)
{
	word_store(entry_of(stage1, va, LEVEL_PAGE), 0);
}

void stage1_unmap_block(struct stage1 *stage1, uint64_t va)
{
	word_store(entry_of(stage1, va, LEVEL_BLOCK), 0);
}

void context_descriptor_write(const struct guest_piece *cd, uint16_t asid,
			      const struct stage1 *stage1)
{
	uint64_t *word = cd->memory;

	/* The valid bit is in word 0: off first, on last. */
	word_store(&word[0], 0);
	word_store(&word[1], stage1->root.ipa);
	word_store(&word[2], 0);
	word_store(&word[3], MAIR_WRITE_BACK);
	word_store(&word[0], CD0_T0SZ | CD0_TG0_4K | CD0_IR0_WRITE_BACK |
				     CD0_OR0_WRITE_BACK | CD0_SH0_INNER |
				     CD0_EPD1 | CD0_V | CD0_IPS_44 | CD0_AA64 |
				     CD0_R | CD0_A | CD0_ASET | CD0_ASID(asid));
}

struct iommufd_vste vste_translate(const struct guest_piece *cd)
{
	return (struct iommufd_vste){ .word = {
					      STE0_V | STE0_CFG_S1 | cd->ipa,
					      STE1_S1CIR_WRITE_BACK |
						      STE1_S1COR_WRITE_BACK |
						      STE1_S1CSH_INNER,
				      } };
}
