/* SPDX-License-Identifier: MIT */
/*
 * What every test includes: cmocka, random numbers that can be had again, and
 * features to test with.
 */
#ifndef SMMUINV_TESTS_SUPPORT_H
#define SMMUINV_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <smmuinv/command.h>
#include <smmuinv/features.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Random numbers from the seed in SMMUINV_TEST_SEED, or from a fixed one. The
 * seed is printed when the first is drawn.
 */
uint64_t test_random(void);

/* 0..bound-1; @bound is not 0. */
uint64_t test_random_below(uint64_t bound);

/* True in @percent of 100 cases. */
bool test_chance(unsigned int percent);

/* Small, large, one-hot or any: the numbers that code gets wrong. */
uint64_t test_random_edge(void);

/*
 * How often to repeat what is random. SMMUINV_TEST_SCALE multiplies it: "0.01"
 * under valgrind, "100" for a night. Never 0.
 */
size_t test_iterations(size_t count);

/*
 * For what is reserved: sets byte @at of @bytes and clears the others; false if
 * there is no such byte, and then all are zero.
 */
bool test_only_byte(void *bytes, size_t size, size_t at);

bool test_is_zero(const void *bytes, size_t size);

/* A command from its two doublewords, in the CPU's byte order. */
struct smmuinv_command test_command(uint64_t dw0, uint64_t dw1);

/* The doublewords of a command, in the CPU's byte order. */
uint64_t test_dw0(const struct smmuinv_command *command);
uint64_t test_dw1(const struct smmuinv_command *command);

bool test_command_equal(const struct smmuinv_command *a,
			const struct smmuinv_command *b);

/* For messages: static storage, good for four commands at a time. */
const char *test_text(const struct smmuinv_command *command);

/* An SMMU with everything, and one with the least that translates. */
struct smmuinv_features test_features_full(void);
struct smmuinv_features test_features_plain(void);

/* What smmuinv_features_from_hw_info() may give for some real SMMU. */
struct smmuinv_features test_features_random_host(void);

/*
 * Features of a guest that @host can carry: no more than the host has, in what
 * the host must have; anything in what the VMM emulates.
 */
struct smmuinv_features
test_features_random_guest(const struct smmuinv_features *host);

#endif /* SMMUINV_TESTS_SUPPORT_H */
