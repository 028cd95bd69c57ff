/* SPDX-License-Identifier: MIT */
/*
 * Allocations, counted and limited. The program is linked with --wrap of calloc
 * and free (see unit_test_wraps), so that every one of the library's is seen.
 */
#ifndef TEST_HEAP_H
#define TEST_HEAP_H

/* Allocations that are not yet freed, and how many more may succeed. */
struct heap {
	long live;
	long left; /* below 0: no limit */
};

extern struct heap heap;

#endif /* TEST_HEAP_H */
