/* SPDX-License-Identifier: MIT */
#include "edu.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#define REGISTER_ID              0x00
#define REGISTER_DMA_SOURCE      0x80
#define REGISTER_DMA_DESTINATION 0x88
#define REGISTER_DMA_COUNT       0x90
#define REGISTER_DMA_COMMAND     0x98

#define ID_MASK 0xffffU
#define ID_EDU  0x00edU

/* The buffer, as the device itself addresses it. */
#define BUFFER 0x40000

#define COMMAND_RUN         1U
#define COMMAND_TO_BUFFER   COMMAND_RUN
#define COMMAND_FROM_BUFFER (COMMAND_RUN | 2U)

#define POLL_NANOSECONDS 1000000
#define POLLS            5000

/* What the landing page holds until a transfer overwrites it. */
#define LANDING_FILL 0x5a

static volatile uint64_t *register64(const struct edu *edu, size_t offset)
{
	return (volatile uint64_t *)(volatile void *)(edu->registers + offset);
}

static bool is_running(const struct edu *edu)
{
	return *register64(edu, REGISTER_DMA_COMMAND) & COMMAND_RUN;
}

static int wait_idle(const struct edu *edu)
{
	const struct timespec pause = { .tv_nsec = POLL_NANOSECONDS };

	for (int i = 0; i < POLLS; i++) {
		if (!is_running(edu))
			return 0;
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

static int transfer(const struct edu *edu, uint64_t source,
		    uint64_t destination, size_t length, uint64_t command)
{
	/* The CPU's writes to memory before the device looks. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*register64(edu, REGISTER_DMA_SOURCE) = source;
	*register64(edu, REGISTER_DMA_DESTINATION) = destination;
	*register64(edu, REGISTER_DMA_COUNT) = length;
	*register64(edu, REGISTER_DMA_COMMAND) = command;
	return wait_idle(edu);
}

static int load(const struct edu *edu, uint64_t iova, size_t length)
{
	return transfer(edu, iova, BUFFER, length, COMMAND_TO_BUFFER);
}

static int store(const struct edu *edu, uint64_t iova, size_t length)
{
	return transfer(edu, BUFFER, iova, length, COMMAND_FROM_BUFFER);
}

static bool landing_untouched(const struct edu *edu, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (edu->landing[i] != LANDING_FILL)
			return false;
	}
	return true;
}

int edu_init(struct edu *edu, volatile void *bar0, uint64_t landing_iova,
	     void *landing)
{
	volatile uint32_t *id;

	*edu = (struct edu){
		.registers = bar0,
		.landing_iova = landing_iova,
		.landing = landing,
	};
	id = (volatile uint32_t *)(volatile void *)(edu->registers +
						    REGISTER_ID);
	return (*id & ID_MASK) == ID_EDU ? 0 : -ENODEV;
}

void edu_set_landing(struct edu *edu, uint64_t landing_iova)
{
	edu->landing_iova = landing_iova;
}

int edu_dma_read(struct edu *edu, uint64_t iova, size_t length, void *out)
{
	uint8_t *bytes = out;
	int error;

	if (length > EDU_BUFFER_SIZE)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		edu->landing[i] = LANDING_FILL;
	error = load(edu, iova, length);
	if (!error)
		error = store(edu, edu->landing_iova, length);
	if (error)
		return error;
	if (landing_untouched(edu, length))
		return -EIO;
	for (size_t i = 0; i < length; i++)
		bytes[i] = edu->landing[i];
	return 0;
}

int edu_dma_write(struct edu *edu, uint64_t iova, size_t length,
		  const void *data)
{
	const uint8_t *bytes = data;
	int error;

	if (length > EDU_BUFFER_SIZE)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		edu->landing[i] = bytes[i];
	error = load(edu, edu->landing_iova, length);
	return error ? error : store(edu, iova, length);
}

int edu_dma_write_again(const struct edu *edu, uint64_t iova, size_t length)
{
	return length > EDU_BUFFER_SIZE ? -EINVAL : store(edu, iova, length);
}
