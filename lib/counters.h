/* SPDX-License-Identifier: MIT */
/*
 * Counters that every thread may read. Each consumer has a tally of its own, so
 * that counting takes no locked instruction; a reader adds them up.
 */
#ifndef SMMUINV_LIB_COUNTERS_H
#define SMMUINV_LIB_COUNTERS_H

#include <pthread.h>
#include <stdint.h>

#include <smmuinv/check.h>
#include <smmuinv/counters.h>

/* What one consumer has counted. Only its own thread adds to it. */
struct tally {
	struct smmuinv_counters now; /* its size is not used */
	struct tally *next;
};

struct counters {
	pthread_mutex_t lock;         /* of what follows */
	struct tally *tallies;        /* of consumers that there are */
	struct smmuinv_counters past; /* of those that are gone, and others */
};

/* 0 or -ENOMEM. */
int smmuinv__counters_init(struct counters *counters);
void smmuinv__counters_destroy(struct counters *counters);

/* Calls to hosts. */
struct calls {
	uint32_t ioctls;
	uint32_t commands;
	uint32_t failed;  /* of the calls */
	uint32_t retries; /* calls after one that failed */
	uint32_t repeats; /* commands that the erratum made go twice */
};

/* By whom no tally belongs to. */
void smmuinv__counters_called(struct counters *counters,
			      const struct calls *calls);

/* From here on @tally is part of the sums; and what it has counted stays so. */
void smmuinv__counters_join(struct counters *counters, struct tally *tally);
void smmuinv__counters_leave(struct counters *counters, struct tally *tally);

/* None orders anything: a reader sees each whole, and no more is promised. */
static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* One that several threads add to. */
static inline void counter_add_shared(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void smmuinv__tally_calls(struct tally *tally, const struct calls *calls);
void smmuinv__tally_read(struct tally *tally, uint8_t opcode, uint64_t n);
void smmuinv__tally_dropped(struct tally *tally, enum smmuinv_rule rule);
void smmuinv__tally_illegal(struct tally *tally, enum smmuinv_rule rule);

#endif /* SMMUINV_LIB_COUNTERS_H */
