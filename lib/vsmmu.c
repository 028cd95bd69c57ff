/* SPDX-License-Identifier: MIT */
#include "vsmmu.h"

#include <errno.h>
#include <stdlib.h>

#include "params.h"
#include "stream.h"

static bool repeats(const struct smmuinv_vsmmu_params *p)
{
	switch (p->repeat) {
	case SMMUINV_REPEAT_ALWAYS:
		return true;
	case SMMUINV_REPEAT_NEVER:
		return false;
	default:
		return p->hw_flags & SMMUINV_HW_INFO_REPEAT;
	}
}

int smmuinv_vsmmu_new(const struct smmuinv_vsmmu_params *params,
		      struct smmuinv_vsmmu **vsmmu)
{
	struct smmuinv_vsmmu_params p;
	struct smmuinv_vsmmu *v;
	int rc;

	if (!vsmmu || !PARAMS_COPY(&p, params) || !p.backend ||
	    (p.check_flags & ~SMMUINV_CHECK_STRICT) ||
	    p.repeat > SMMUINV_REPEAT_NEVER)
		return -EINVAL;
	rc = smmuinv_features_compatible(&p.guest, &p.host, NULL);
	if (rc)
		return rc;
	v = malloc(sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->backend = p.backend;
	v->viommu_id = p.viommu_id;
	v->repeat = repeats(&p);
	v->guest = p.guest;
	smmuinv__check_compile(&v->check, &p.guest, &p.host, p.check_flags);
	rc = smmuinv_streams_new(p.backend, &v->streams);
	if (rc) {
		free(v);
		return rc;
	}
	smmuinv__streams_bind(v->streams, p.viommu_id);
	*vsmmu = v;
	return 0;
}

void smmuinv_vsmmu_free(struct smmuinv_vsmmu *vsmmu)
{
	if (!vsmmu)
		return;
	smmuinv_streams_free(vsmmu->streams);
	free(vsmmu);
}

struct smmuinv_streams *smmuinv_vsmmu_streams(struct smmuinv_vsmmu *vsmmu)
{
	return vsmmu->streams;
}

int smmuinv_vsmmu_add_stream(struct smmuinv_vsmmu *vsmmu, uint32_t dev_id,
			     uint32_t vsid)
{
	uint32_t bits;

	if (!vsmmu)
		return -EINVAL;
	bits = smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_SIDSIZE);
	if (bits < 32 && vsid >> bits)
		return -ERANGE;
	return smmuinv_streams_add(vsmmu->streams, vsmmu->viommu_id, dev_id,
				   vsid);
}

int smmuinv_vsmmu_remove_stream(struct smmuinv_vsmmu *vsmmu, uint32_t vsid)
{
	if (!vsmmu)
		return -EINVAL;
	return smmuinv_streams_remove(vsmmu->streams, vsid);
}
