/* SPDX-License-Identifier: MIT */
/*
 * Bit fields and byte order. Commands and descriptors are little-endian in
 * memory whatever the CPU is; only this file knows.
 */
#ifndef SMMUINV_LIB_BITS_H
#define SMMUINV_LIB_BITS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/command.h>

/* Bits high..low set, as the specification writes [high:low]. */
#define BITS(high, low) \
	((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

static inline uint64_t command_dw0(const struct smmuinv_command *command)
{
	return le64toh(command->dw[0]);
}

static inline uint64_t command_dw1(const struct smmuinv_command *command)
{
	return le64toh(command->dw[1]);
}

static inline struct smmuinv_command command_make(uint64_t dw0, uint64_t dw1)
{
	return (struct smmuinv_command){ .dw = { htole64(dw0), htole64(dw1) } };
}

/*
 * One copy of an entry that a guest may be writing to: every later decision is
 * made on the copy, so the guest cannot pass a check with one value and be
 * executed with another.
 */
static inline struct smmuinv_command
command_read_once(const struct smmuinv_command *shared)
{
	struct smmuinv_command command;

	command.dw[0] = __atomic_load_n(&shared->dw[0], __ATOMIC_RELAXED);
	command.dw[1] = __atomic_load_n(&shared->dw[1], __ATOMIC_RELAXED);
	return command;
}

/* A field that has these bits, as a number. */
static inline uint64_t bits_get(uint64_t word, uint64_t mask)
{
	return (word & mask) >> __builtin_ctzll(mask);
}

/* The same for a 64-bit word of a structure; it must be aligned to 8. */
static inline uint64_t word_read_once(const void *shared, size_t index)
{
	const uint64_t *words = shared;

	return le64toh(__atomic_load_n(&words[index], __ATOMIC_RELAXED));
}

/* Where words may be read: not NULL, and aligned to 8. */
static inline bool words_readable(const void *shared)
{
	return shared && !((uintptr_t)shared % sizeof(uint64_t));
}

#endif /* SMMUINV_LIB_BITS_H */
