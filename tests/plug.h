/* SPDX-License-Identifier: MIT */
/*
 * A device plugged in, with stage 1 attached and its ATS on.
 */
#ifndef SMMUINV_TESTS_PLUG_H
#define SMMUINV_TESTS_PLUG_H

#include <stdint.h>

#include <smmuinv/vsmmu.h>

/* smmuinv_streams_add() of a device that can do ATS. */
static inline int add_to_table(struct smmuinv_streams *streams,
			       uint32_t viommu_id, uint32_t dev_id,
			       uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.viommu_id = viommu_id,
		.dev_id = dev_id,
		.vsid = vsid,
		.ats = true,
	};

	return smmuinv_streams_add(streams, &params);
}

/* On the only vIOMMU; from here on the stream translates. */
static inline int plug(struct smmuinv_vsmmu *vsmmu, uint32_t dev_id,
		       uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.dev_id = dev_id,
		.vsid = vsid,
		.ats = true,
	};
	int rc = smmuinv_vsmmu_add_stream(vsmmu, &params);

	if (rc)
		return rc;
	return smmuinv_streams_set(smmuinv_vsmmu_streams(vsmmu), vsid, true,
				   true);
}

#endif /* SMMUINV_TESTS_PLUG_H */
