/* SPDX-License-Identifier: MIT */
/*
 * Counters that every thread may add to and read. None orders anything.
 */
#ifndef SMMUINV_LIB_COUNTERS_H
#define SMMUINV_LIB_COUNTERS_H

#include <stdint.h>

#include <smmuinv/check.h>
#include <smmuinv/counters.h>

struct counters {
	struct smmuinv_counters now; /* its size is not used */
};

static inline void counter_add(uint64_t *counter, uint64_t n)
{
	if (n)
		__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

void smmuinv__counters_read(struct counters *counters, uint8_t opcode,
			    uint64_t n);
void smmuinv__counters_dropped(struct counters *counters,
			       enum smmuinv_rule rule);
void smmuinv__counters_illegal(struct counters *counters,
			       enum smmuinv_rule rule);

/* One that was read and is not for the host: the VMM's, or illegal. */
void smmuinv__counters_refused(struct counters *counters, uint8_t opcode,
			       int verdict, enum smmuinv_rule rule);

#endif /* SMMUINV_LIB_COUNTERS_H */
