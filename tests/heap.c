/* SPDX-License-Identifier: MIT */
#include "heap.h"

#include <stddef.h>

struct heap heap = { .left = -1 };

void *__real_calloc(size_t count, size_t size);
void __real_free(void *pointer);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *pointer);

void *__wrap_calloc(size_t count, size_t size)
{
	if (heap.left == 0)
		return NULL;
	if (heap.left > 0)
		heap.left--;
	heap.live++;
	return __real_calloc(count, size);
}

void __wrap_free(void *pointer)
{
	if (pointer)
		heap.live--;
	__real_free(pointer);
}
