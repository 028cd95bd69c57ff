/* SPDX-License-Identifier: MIT */
/*
 * Structures that start with their size, in both directions.
 *
 * A caller compiled against a newer header passes a larger one: accepted while
 * its unknown tail is zero. One compiled against an older header passes a
 * smaller one: what it lacks is zero. Nothing is smaller than in release 0.1.
 */
#ifndef SMMUINV_LIB_PARAMS_H
#define SMMUINV_LIB_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* No structure will ever grow to this: a larger size is an uninitialised one.
 */
#define PARAMS_SIZE_MAX 4096

static inline bool params_is_zero(const void *params, size_t from, size_t to)
{
	const unsigned char *byte = params;
	size_t i;

	for (i = from; i < to; i++) {
		if (byte[i])
			return false;
	}
	return true;
}

static inline bool params_copy(void *to, size_t known, const void *from,
			       size_t oldest)
{
	size_t size;

	if (!from)
		return false;
	memcpy(&size, from, sizeof(size));
	/* A caller with this library's headers, as nearly all are. */
	if (size == known) {
		memcpy(to, from, known);
		return true;
	}
	if (size < oldest || size > PARAMS_SIZE_MAX ||
	    !params_is_zero(from, known, size))
		return false;
	memset(to, 0, known);
	memcpy(to, from, size < known ? size : known);
	return true;
}

/* The output structure @to may be filled in. */
static inline bool params_writable(const void *to, size_t oldest)
{
	size_t size;

	memcpy(&size, to, sizeof(size));
	return size >= oldest && size <= PARAMS_SIZE_MAX;
}

/* Fill in the caller's structure, whose size it has set. */
static inline void params_store(void *to, const void *from, size_t known)
{
	size_t size;

	memcpy(&size, to, sizeof(size));
	if (size == known) {
		memcpy((char *)to + sizeof(size),
		       (const char *)from + sizeof(size), known - sizeof(size));
		return;
	}
	if (size < known)
		known = size;
	/* What a newer caller has and this library does not know is zero. */
	memset((char *)to + known, 0, size - known);
	memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size),
	       known - sizeof(size));
}

/* The structures of release 0.1 are the oldest there are. */
#define PARAMS_COPY(to, from) \
	params_copy((to), sizeof(*(to)), (from), sizeof(*(to)))
#define PARAMS_WRITABLE(to)    params_writable((to), sizeof(*(to)))
#define PARAMS_STORE(to, from) params_store((to), (from), sizeof(*(from)))

/*
 * What is reserved has to be zero in whatever comes in, or no later release
 * could give it a meaning: structures that have such a member are taken, which
 * is more than copied.
 */
#define PARAMS_RESERVED_IS_ZERO(p) \
	params_is_zero(&(p)->reserved, 0, sizeof((p)->reserved))
#define PARAMS_TAKE(to, from) \
	(PARAMS_COPY((to), (from)) && PARAMS_RESERVED_IS_ZERO(to))

#endif /* SMMUINV_LIB_PARAMS_H */
