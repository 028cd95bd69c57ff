/* SPDX-License-Identifier: MIT */
/*
 * Allocations, counted and limited. The program is linked with --wrap of
 * malloc, calloc, realloc and free (see test_wraps in meson.build), so that
 * every one of the library's is seen.
 */
#ifndef TEST_HEAP_H
#define TEST_HEAP_H

/* What is not yet freed, and how many more allocations may succeed. */
struct heap {
	_Atomic long live;
	_Atomic long bytes;
	_Atomic long left; /* below 0: no limit */
};

extern struct heap heap;

#endif /* TEST_HEAP_H */
