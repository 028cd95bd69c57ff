/* SPDX-License-Identifier: MIT */
/*
 * A virtual SMMU, as the batch and the queue need it.
 */
#ifndef SMMUINV_LIB_VSMMU_H
#define SMMUINV_LIB_VSMMU_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/vsmmu.h>

#include "check.h"
#include "execute.h"
#include "stream.h"

/* Fixed when it is made, except @streams, @tallies and @counters. */
struct smmuinv_vsmmu {
	struct smmuinv_backend *backend;
	bool as_written;
	uint32_t pages_max;
	uint32_t retries_max;
	uint32_t timeouts_max;
	struct smmuinv_features guest;
	bool ats;   /* of the guest */
	bool ssids; /* likewise */
	struct check_table check;
	struct streams streams;
	/* With the lock of @streams; freed batches are in @counters. */
	struct tally *tallies;
	struct smmuinv_counters counters;
};

/*
 * What one batch has counted. Only its thread writes there, so that counting
 * takes no lock; smmuinv_vsmmu_counters() adds them up.
 */
struct tally {
	struct smmuinv_counters counters;
	struct tally *next;
};

void smmuinv__tally_join(struct smmuinv_vsmmu *v, struct tally *tally);
void smmuinv__tally_leave(struct smmuinv_vsmmu *v, struct tally *tally);

/* A result before anything has happened. */
#define RESULT_NONE                                     \
	{                                               \
		.fault = { .vsid = SMMUINV_VSID_NONE }, \
		.fault_index = SMMUINV_INDEX_NONE,      \
	}

/*
 * What hosts have done, as a result. What a device owes is the fault if there
 * is no other. Returns the error.
 */
int smmuinv__account_report(const struct account *a, struct smmuinv_result *r);

/* May a caller's result, which may be NULL, be filled in? */
bool smmuinv__result_writable(const struct smmuinv_result *result);

/* For the calls of one window to one vIOMMU, with fresh limits. */
struct executor smmuinv__executor(struct smmuinv_vsmmu *v,
				  const struct viommu *viommu, uint64_t changes,
				  struct account *account);

/* Each number atomically, because another thread may read them. */
void smmuinv__counters_add(struct smmuinv_counters *sum,
			   const struct smmuinv_counters *more);

/* The vIOMMUs at present, at @list; returns their number. */
uint32_t smmuinv__viommus(struct smmuinv_vsmmu *v, struct viommu *list);

/*
 * Asks devices that owe again, for a CMD_SYNC. True if none still owes. If one
 * has just not answered, it asks none and returns false.
 */
bool smmuinv__vsmmu_pay(struct smmuinv_vsmmu *v, struct account *a);

#endif /* SMMUINV_LIB_VSMMU_H */
