/* SPDX-License-Identifier: MIT */
#include "vsmmu.h"

#include <errno.h>
#include <stdlib.h>

#include <smmuinv/batch.h>

#include "params.h"
#include "stream.h"

static bool repeats(uint32_t repeat, uint32_t hw_flags)
{
	switch (repeat) {
	case SMMUINV_REPEAT_ALWAYS:
		return true;
	case SMMUINV_REPEAT_NEVER:
		return false;
	default:
		return hw_flags & SMMUINV_HW_INFO_REPEAT;
	}
}

static bool params_valid(const struct smmuinv_vsmmu_params *p)
{
	return p->backend && !(p->check_flags & ~SMMUINV_CHECK_STRICT) &&
	       p->repeat <= SMMUINV_REPEAT_NEVER &&
	       p->plan <= SMMUINV_PLAN_AS_WRITTEN &&
	       p->pages_max <= SMMUINV_BATCH_CAPACITY_MAX;
}

/*
 * Every host is compatible with the guest, so what is legal for the guest is a
 * command that each of them has, in the same canonical form; but for ranges,
 * which the plan turns into what a host has.
 */
static void configure(struct smmuinv_vsmmu *v,
		      const struct smmuinv_vsmmu_params *p)
{
	v->backend = p->backend;
	v->repeat = p->repeat;
	v->as_written = p->plan == SMMUINV_PLAN_AS_WRITTEN;
	v->pages_max = p->pages_max ? p->pages_max : PLAN_PAGES_MAX_DEFAULT;
	v->guest = p->guest;
	v->trace = p->trace;
	v->trace_opaque = p->trace_opaque;
	smmuinv__check_compile(&v->check, &p->guest, &p->guest, p->check_flags);
}

static int add_first_viommu(struct smmuinv_vsmmu *v,
			    const struct smmuinv_vsmmu_params *p)
{
	const struct smmuinv_viommu_params first = {
		.size = sizeof(first),
		.viommu_id = p->viommu_id,
		.hw_flags = p->hw_flags,
		.host = p->host,
	};

	return p->viommu_id ? smmuinv_vsmmu_add_viommu(v, &first) : 0;
}

int smmuinv_vsmmu_new(const struct smmuinv_vsmmu_params *params,
		      struct smmuinv_vsmmu **vsmmu)
{
	struct smmuinv_vsmmu_params p;
	struct smmuinv_vsmmu *v;
	int rc;

	if (!vsmmu || !PARAMS_COPY(&p, params) || !params_valid(&p))
		return -EINVAL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	configure(v, &p);
	rc = smmuinv__counters_init(&v->counters);
	if (rc)
		goto free_vsmmu;
	rc = smmuinv__granules_init(&v->granules, &p.guest);
	if (rc)
		goto destroy_counters;
	rc = smmuinv_streams_new(p.backend, &v->streams);
	if (rc)
		goto free_granules;
	smmuinv__streams_bind(v->streams, v->viommu_ids, 0);
	rc = add_first_viommu(v, &p);
	if (rc)
		goto free_streams;
	*vsmmu = v;
	return 0;

free_streams:
	smmuinv_streams_free(v->streams);
free_granules:
	smmuinv__granules_free(&v->granules);
destroy_counters:
	smmuinv__counters_destroy(&v->counters);
free_vsmmu:
	free(v);
	return rc;
}

void smmuinv_vsmmu_free(struct smmuinv_vsmmu *vsmmu)
{
	if (!vsmmu)
		return;
	smmuinv_streams_free(vsmmu->streams);
	smmuinv__granules_free(&vsmmu->granules);
	smmuinv__counters_destroy(&vsmmu->counters);
	free(vsmmu);
}

struct smmuinv_streams *smmuinv_vsmmu_streams(struct smmuinv_vsmmu *vsmmu)
{
	return vsmmu->streams;
}

static struct viommu *viommu_find(struct smmuinv_vsmmu *v, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < v->viommu_count; i++) {
		if (v->viommus[i].id == id)
			return &v->viommus[i];
	}
	return NULL;
}

/* With the stream table locked. */
static void viommus_changed(struct smmuinv_vsmmu *v)
{
	uint32_t i;

	for (i = 0; i < v->viommu_count; i++)
		v->viommu_ids[i] = v->viommus[i].id;
	v->viommu_changes++;
	smmuinv__streams_bind(v->streams, v->viommu_ids, v->viommu_count);
}

static int viommu_insert(struct smmuinv_vsmmu *v,
			 const struct smmuinv_viommu_params *p)
{
	if (viommu_find(v, p->viommu_id))
		return -EEXIST;
	if (v->viommu_count == SMMUINV_VIOMMUS_MAX)
		return -ENOSPC;
	v->viommus[v->viommu_count++] = (struct viommu){
		.id = p->viommu_id,
		.repeat = repeats(v->repeat, p->hw_flags),
		.plan = smmuinv__plan_host(&p->host),
	};
	viommus_changed(v);
	return 0;
}

int smmuinv_vsmmu_add_viommu(struct smmuinv_vsmmu *vsmmu,
			     const struct smmuinv_viommu_params *params)
{
	struct smmuinv_viommu_params p;
	int rc;

	if (!vsmmu || !PARAMS_COPY(&p, params) || !p.viommu_id)
		return -EINVAL;
	rc = smmuinv_features_compatible(&vsmmu->guest, &p.host, NULL);
	if (rc)
		return rc;
	smmuinv__streams_lock(vsmmu->streams);
	rc = viommu_insert(vsmmu, &p);
	smmuinv__streams_unlock(vsmmu->streams);
	return rc;
}

static int viommu_take_out(struct smmuinv_vsmmu *v, uint32_t id)
{
	struct viommu *viommu = viommu_find(v, id);

	if (!viommu)
		return -ENOENT;
	if (smmuinv__streams_on(v->streams, id))
		return -EBUSY;
	*viommu = v->viommus[--v->viommu_count];
	viommus_changed(v);
	return 0;
}

int smmuinv_vsmmu_remove_viommu(struct smmuinv_vsmmu *vsmmu, uint32_t viommu_id)
{
	int rc;

	if (!vsmmu)
		return -EINVAL;
	smmuinv__streams_lock(vsmmu->streams);
	rc = viommu_take_out(vsmmu, viommu_id);
	smmuinv__streams_unlock(vsmmu->streams);
	return rc;
}

/* The only vIOMMU that there is, or 0, which is none. */
static uint32_t only_viommu(struct smmuinv_vsmmu *v)
{
	uint32_t id = 0;

	smmuinv__streams_hold(v->streams);
	if (v->viommu_count == 1)
		id = v->viommus[0].id;
	smmuinv__streams_release(v->streams);
	return id;
}

int smmuinv_vsmmu_add_stream(struct smmuinv_vsmmu *vsmmu,
			     const struct smmuinv_stream_params *params)
{
	struct smmuinv_stream_params p;
	uint32_t bits;

	if (!vsmmu || !PARAMS_TAKE(&p, params))
		return -EINVAL;
	bits = smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_SIDSIZE);
	if (bits < 32 && p.vsid >> bits)
		return -ERANGE;
	if (!p.viommu_id)
		p.viommu_id = only_viommu(vsmmu);
	return smmuinv_streams_add(vsmmu->streams, &p);
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

	if (!vsmmu || !PARAMS_TAKE(&c, cd) || c.tg[0] > SMMUINV_TG_64K ||
	    c.tg[1] > SMMUINV_TG_64K)
		return -EINVAL;
	/* 4.4: commands have no upper byte of 8-bit ASIDs */
	if (!smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_ASID16))
		c.asid &= UINT8_MAX;
	smmuinv__granules_note(&vsmmu->granules, &c);
	return 0;
}
