/* SPDX-License-Identifier: MIT */
/*
 * QEMU's educational PCI device: real DMA by a few registers.
 *
 * It copies between memory and a buffer of its own, which the CPU cannot read.
 * So a read that the test can look at is two transfers: memory to buffer, and
 * buffer to a "landing" page, whose address must always translate. Each takes
 * the device a tenth of a second.
 */
#ifndef GUEST_EDU_H
#define GUEST_EDU_H

#include <stddef.h>
#include <stdint.h>

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8

/* The most that one transfer moves. */
#define EDU_BUFFER_SIZE ((size_t)4096)

struct edu {
	volatile uint8_t *registers;
	uint64_t landing_iova;
	volatile uint8_t *landing;
};

/*
 * @bar0: the device's registers. @landing: EDU_BUFFER_SIZE bytes of memory that
 * the device reaches at @landing_iova. Returns 0, or -ENODEV when the registers
 * are not those of an edu.
 */
int edu_init(struct edu *edu, volatile void *bar0, uint64_t landing_iova,
	     void *landing);

/* Another address for the landing page, e.g. after a change of page tables. */
void edu_set_landing(struct edu *edu, uint64_t landing_iova);

/*
 * What the device sees at @iova. A transfer that the SMMU refuses reads as
 * zeros. Returns 0, -ETIMEDOUT, or -EIO when nothing came back to the landing
 * page.
 */
int edu_dma_read(struct edu *edu, uint64_t iova, size_t length, void *out);

/* Lets the device write @data at @iova. */
int edu_dma_write(struct edu *edu, uint64_t iova, size_t length,
		  const void *data);

/* Writes the @length bytes of the last transfer once more, which is quicker. */
int edu_dma_write_again(const struct edu *edu, uint64_t iova, size_t length);

#endif
