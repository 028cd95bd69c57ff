/* SPDX-License-Identifier: MIT */
/*
 * A device that becomes one of the guest's streams, and translates from the
 * start: for a VMM, that is when the guest's STE says so.
 */
#ifndef EXAMPLE_PLUG_H
#define EXAMPLE_PLUG_H

#include <stdint.h>

#include <smmuinv/vsmmu.h>

static inline int plug_in(struct smmuinv_vsmmu *vsmmu, uint32_t device,
			  uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.dev_id = device,
		.vsid = vsid,
		.ats = true, /* it can; whether it may, the guest's STE says */
	};
	int rc = smmuinv_vsmmu_add_stream(vsmmu, &params);

	if (rc)
		return rc;
	/* Before the page table is attached, so that nothing is lost. */
	return smmuinv_streams_set(smmuinv_vsmmu_streams(vsmmu), vsid, true,
				   true);
}

#endif /* EXAMPLE_PLUG_H */
