/* SPDX-License-Identifier: MIT */
/*
 * What the batch needs of a virtual SMMU.
 */
#ifndef SMMUINV_LIB_VSMMU_H
#define SMMUINV_LIB_VSMMU_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/vsmmu.h>

#include "check.h"
#include "granule.h"

/* Fixed when the virtual SMMU is made, so that batches read it without lock. */
struct smmuinv_vsmmu {
	struct smmuinv_backend *backend;
	struct smmuinv_streams *streams;
	uint32_t viommu_id;
	bool repeat; /* the erratum: TLBI and CFGI are executed twice */
	bool as_written;
	uint32_t pages_max;
	struct smmuinv_features guest;
	struct smmuinv_features host;
	struct check_table check;
	struct granules granules; /* has its own rules for threads */
};

#endif /* SMMUINV_LIB_VSMMU_H */
