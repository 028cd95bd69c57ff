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
#include "counters.h"
#include "granule.h"
#include "plan.h"

/* A physical SMMU behind the virtual one. */
struct viommu {
	uint32_t id;
	bool repeat; /* the erratum: TLBI and CFGI are executed twice */
	struct plan_host plan; /* of its SMMU */
};

/*
 * The list of vIOMMUs changes with the stream table locked, and is read with it
 * held. Everything else is fixed when the virtual SMMU is made, or has its own
 * rules for threads.
 */
struct smmuinv_vsmmu {
	struct smmuinv_backend *backend;
	struct smmuinv_streams *streams;
	uint32_t repeat; /* enum smmuinv_repeat */
	bool as_written;
	uint32_t pages_max;
	struct smmuinv_features guest;
	struct check_table check;
	struct granules granules;
	struct counters counters;

	uint32_t viommu_count;
	uint64_t viommu_changes; /* so often the list has changed */
	struct viommu viommus[SMMUINV_VIOMMUS_MAX];
	uint32_t viommu_ids[SMMUINV_VIOMMUS_MAX]; /* for the stream table */

	void (*trace)(void *opaque, const struct smmuinv_trace *trace);
	void *trace_opaque;
};

#endif /* SMMUINV_LIB_VSMMU_H */
