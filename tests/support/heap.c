/* SPDX-License-Identifier: MIT */
#include "heap.h"

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>

struct heap heap = { .left = -1 };

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void __real_free(void *pointer);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void __wrap_free(void *pointer);

/* May there be one more? */
static bool heap_takes(void)
{
	if (heap.left == 0)
		return false;
	if (heap.left > 0)
		heap.left--;
	return true;
}

static void *heap_add(void *pointer)
{
	if (pointer) {
		heap.live++;
		heap.bytes += (long)malloc_usable_size(pointer);
	}
	return pointer;
}

static void heap_drop(void *pointer)
{
	if (pointer) {
		heap.live--;
		heap.bytes -= (long)malloc_usable_size(pointer);
	}
}

void *__wrap_malloc(size_t size)
{
	return heap_takes() ? heap_add(__real_malloc(size)) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return heap_takes() ? heap_add(__real_calloc(count, size)) : NULL;
}

void *__wrap_realloc(void *pointer, size_t size)
{
	if (!heap_takes())
		return NULL;
	heap_drop(pointer);
	return heap_add(__real_realloc(pointer, size));
}

void __wrap_free(void *pointer)
{
	heap_drop(pointer);
	__real_free(pointer);
}
