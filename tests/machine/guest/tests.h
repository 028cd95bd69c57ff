/* SPDX-License-Identifier: MIT */
/*
 * The groups of tests. Each returns how many of its tests failed.
 */
#ifndef GUEST_TESTS_H
#define GUEST_TESTS_H

int test_bringup(void);
int test_opcodes(void);
int test_dma(void);
int test_plan(void);
int test_refusal(void);
int test_corpus(void);
int test_ste(void);
int test_unplug(void);
int test_lifecycle(void);
int test_pair(void);

/* In a boot of its own: the second device is on a second SMMU. */
int test_two_smmus(void);

/* The mock's model beside the real kernel; in this order, in a boot of their
 * own. */
int test_hostile(void);
int test_differential(void);
int test_wedge(void);

/* No test: what it prints is for scripts/bench. */
int test_bench(void);

/*
 * Runs every program in the folder /unit, the library's unit tests: it is their
 * only run on this architecture.
 */
int test_unit(void);

#endif
