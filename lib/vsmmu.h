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

/* Fixed when the virtual SMMU is made, so that batches read it without lock. */
struct smmuinv_vsmmu {
	struct smmuinv_backend *backend;
	struct smmuinv_streams *streams;
	uint32_t viommu_id;
	bool repeat; /* the erratum: TLBI and CFGI are executed twice */
	struct smmuinv_features guest;
	struct check_table check;
};

#endif /* SMMUINV_LIB_VSMMU_H */
