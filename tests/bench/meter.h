/* SPDX-License-Identifier: MIT */
/*
 * A backend that counts what passes through it on the way to another one, and
 * takes the time that this one needs.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdint.h>
#include <time.h>

#include <smmuinv/smmuinv.h>

struct meter {
	struct smmuinv_backend *inner; /* NULL: everything succeeds at once */
	struct smmuinv_backend *backend;
	uint64_t ioctls;
	uint64_t commands;
	uint64_t tlbis; /* of the commands; only with an inner backend */
	uint64_t syncs; /* the kernel's: one for each 63 commands of a call */
	uint64_t ns;    /* in the inner backend */
};

/* Over @inner, which stays the caller's. Returns 0 or a negative errno. */
int meter_open(struct meter *meter, struct smmuinv_backend *inner);
void meter_close(struct meter *meter);
void meter_reset(struct meter *meter);

static inline uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
