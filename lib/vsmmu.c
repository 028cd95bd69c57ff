/* SPDX-License-Identifier: MIT */
#include "vsmmu.h"

#include <errno.h>
#include <stdlib.h>

#include <smmuinv/batch.h>

#include "feature.h"
#include "params.h"
#include "plan.h"
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

/*
 * Ranges are legal for a guest that has them, whether the host has them or not:
 * the plan turns them into what the host has.
 */
static struct smmuinv_features
with_ranges_of(const struct smmuinv_features *guest,
	       const struct smmuinv_features *host)
{
	struct smmuinv_features carried = *host;

	smmuinv__features_set(
		&carried, SMMUINV_FEATURE_RIL,
		smmuinv_features_get(host, SMMUINV_FEATURE_RIL) |
			smmuinv_features_get(guest, SMMUINV_FEATURE_RIL));
	return carried;
}

static bool params_valid(const struct smmuinv_vsmmu_params *p)
{
	return p->backend && !(p->check_flags & ~SMMUINV_CHECK_STRICT) &&
	       p->repeat <= SMMUINV_REPEAT_NEVER &&
	       p->plan <= SMMUINV_PLAN_AS_WRITTEN &&
	       p->pages_max <= SMMUINV_BATCH_CAPACITY_MAX;
}

static void configure(struct smmuinv_vsmmu *v,
		      const struct smmuinv_vsmmu_params *p)
{
	const struct smmuinv_features carried =
		with_ranges_of(&p->guest, &p->host);

	v->backend = p->backend;
	v->viommu_id = p->viommu_id;
	v->repeat = repeats(p);
	v->as_written = p->plan == SMMUINV_PLAN_AS_WRITTEN;
	v->pages_max = p->pages_max ? p->pages_max : PLAN_PAGES_MAX_DEFAULT;
	v->guest = p->guest;
	v->host = p->host;
	smmuinv__check_compile(&v->check, &p->guest, &carried, p->check_flags);
}

int smmuinv_vsmmu_new(const struct smmuinv_vsmmu_params *params,
		      struct smmuinv_vsmmu **vsmmu)
{
	struct smmuinv_vsmmu_params p;
	struct smmuinv_vsmmu *v;
	int rc;

	if (!vsmmu || !PARAMS_COPY(&p, params) || !params_valid(&p))
		return -EINVAL;
	rc = smmuinv_features_compatible(&p.guest, &p.host, NULL);
	if (rc)
		return rc;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	configure(v, &p);
	rc = smmuinv__granules_init(&v->granules, &p.guest);
	if (rc)
		goto free_vsmmu;
	rc = smmuinv_streams_new(p.backend, &v->streams);
	if (rc)
		goto free_vsmmu;
	smmuinv__streams_bind(v->streams, p.viommu_id);
	*vsmmu = v;
	return 0;

free_vsmmu:
	smmuinv_vsmmu_free(v);
	return rc;
}

void smmuinv_vsmmu_free(struct smmuinv_vsmmu *vsmmu)
{
	if (!vsmmu)
		return;
	smmuinv_streams_free(vsmmu->streams);
	smmuinv__granules_free(&vsmmu->granules);
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

int smmuinv_vsmmu_note_cd(struct smmuinv_vsmmu *vsmmu,
			  const struct smmuinv_cd *cd)
{
	struct smmuinv_cd c;

	if (!vsmmu || !PARAMS_COPY(&c, cd) || c.tg[0] > SMMUINV_TG_64K ||
	    c.tg[1] > SMMUINV_TG_64K)
		return -EINVAL;
	/* 4.4: commands have no upper byte of 8-bit ASIDs */
	if (!smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_ASID16))
		c.asid &= UINT8_MAX;
	smmuinv__granules_note(&vsmmu->granules, &c);
	return 0;
}

void smmuinv_vsmmu_forget_cds(struct smmuinv_vsmmu *vsmmu)
{
	smmuinv__granules_forget(&vsmmu->granules);
}
