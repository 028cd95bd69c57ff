/* SPDX-License-Identifier: MIT */
#include <smmuinv/invalidate.h>

#include <errno.h>

#include "backend.h"
#include "command.h"
#include "stream.h"
#include "vsmmu.h"

/* The kernel syncs by blocks of 63. */
#define PARCEL 63

/* Commands on their way to one vIOMMU. */
struct parcel {
	const struct smmuinv_vsmmu *vsmmu;
	const struct viommu *viommu;
	uint32_t count;
	struct smmuinv_command commands[PARCEL];
	int error; /* the first */
};

static int send(const struct parcel *p, const struct smmuinv_command *commands,
		uint32_t n)
{
	uint32_t count = n;
	int rc = smmuinv__backend_invalidate(p->vsmmu->backend, p->viommu->id,
					     commands, &count);

	return !rc && count != n ? -EPROTO : rc;
}

/* What cannot be done together may be possible one by one. */
static int send_each(const struct parcel *p)
{
	int first = 0;
	uint32_t i;

	for (i = 0; i < p->count; i++) {
		int rc = send(p, &p->commands[i], 1);

		if (!first)
			first = rc;
	}
	return first;
}

static void parcel_send(struct parcel *p, bool twice)
{
	int rounds = twice && p->viommu->repeat ? 2 : 1;

	for (; p->count && rounds; rounds--) {
		int rc = send(p, p->commands, p->count);

		if (rc)
			rc = send_each(p);
		if (!p->error)
			p->error = rc;
	}
	p->count = 0;
}

static void parcel_put(struct parcel *p, const struct smmuinv_command *command,
		       bool twice)
{
	p->commands[p->count++] = *command;
	if (p->count == PARCEL)
		parcel_send(p, twice);
}

static void put_cds(struct parcel *p, const struct stream *stream)
{
	struct smmuinv_command command;

	if (!stream->translates || stream->viommu_id != p->viommu->id)
		return;
	smmuinv_command_cfgi_cd_all(&command, stream->vsid);
	parcel_put(p, &command, true);
}

/* Without PASID, and with any (4.5.1). */
static void put_atc(struct parcel *p, const struct stream *stream)
{
	bool ssids = smmuinv_features_get(&p->vsmmu->guest,
					  SMMUINV_FEATURE_SSIDSIZE);
	struct smmuinv_atc atc = {
		.size = sizeof(atc),
		.sid = stream->vsid,
		.log2_pages = SMMUINV_ATC_SIZE_ALL,
	};
	struct smmuinv_command command;

	/* A guest without ATS is over hosts that may have none. */
	if (!smmuinv_features_get(&p->vsmmu->guest, SMMUINV_FEATURE_ATS) ||
	    !stream->ats || stream->viommu_id != p->viommu->id)
		return;
	smmuinv_command_atc_inv(&command, &atc);
	parcel_put(p, &command, false);
	if (!ssids)
		return;
	atc.ssv = true;
	atc.global = true;
	smmuinv_command_atc_inv(&command, &atc);
	parcel_put(p, &command, false);
}

/* Every stream if @only is NULL. With the table held. */
static void put_streams(struct parcel *p, const struct stream *only,
			void (*put)(struct parcel *p,
				    const struct stream *stream))
{
	const struct stream *stream;

	if (only) {
		put(p, only);
		return;
	}
	stream = smmuinv__streams_from(p->vsmmu->streams, 0);
	while (stream) {
		put(p, stream);
		if (stream->vsid == UINT32_MAX)
			break;
		stream = smmuinv__streams_from(p->vsmmu->streams,
					       stream->vsid + 1);
	}
}

/* An entry of a later rank may be made again from one of an earlier. */
static int invalidate(const struct smmuinv_vsmmu *v,
		      const struct viommu *viommu, const struct stream *only)
{
	struct parcel p = { .vsmmu = v, .viommu = viommu };
	struct smmuinv_command everything;

	put_streams(&p, only, put_cds);
	parcel_send(&p, true);
	smmuinv_command_tlbi_nh_all(&everything);
	parcel_put(&p, &everything, true);
	parcel_send(&p, true);
	put_streams(&p, only, put_atc);
	parcel_send(&p, false);
	return p.error;
}

static int invalidate_everywhere(const struct smmuinv_vsmmu *v)
{
	int first = 0;
	uint32_t i;

	for (i = 0; i < v->viommu_count; i++) {
		int rc = invalidate(v, &v->viommus[i], NULL);

		if (!first)
			first = rc;
	}
	return first;
}

int smmuinv_invalidate_all(struct smmuinv_vsmmu *vsmmu)
{
	int rc;

	if (!vsmmu)
		return -EINVAL;
	smmuinv__streams_hold(vsmmu->streams);
	rc = invalidate_everywhere(vsmmu);
	smmuinv__streams_release(vsmmu->streams);
	return rc;
}

static int invalidate_one(const struct smmuinv_vsmmu *v, uint32_t vsid)
{
	const struct stream *stream = smmuinv__streams_get(v->streams, vsid);
	uint32_t i = 0;

	if (!stream)
		return -ENOENT;
	/* A stream is on one of them, or could not have been added. */
	while (v->viommus[i].id != stream->viommu_id)
		i++;
	return invalidate(v, &v->viommus[i], stream);
}

int smmuinv_invalidate_stream(struct smmuinv_vsmmu *vsmmu, uint32_t vsid)
{
	int rc;

	if (!vsmmu)
		return -EINVAL;
	smmuinv__streams_hold(vsmmu->streams);
	rc = invalidate_one(vsmmu, vsid);
	smmuinv__streams_release(vsmmu->streams);
	return rc;
}

int smmuinv_reset(struct smmuinv_vsmmu *vsmmu)
{
	uint32_t vsid = 0;
	int rc = smmuinv_invalidate_all(vsmmu);

	if (!vsmmu)
		return rc;
	while (!smmuinv_streams_next(vsmmu->streams, &vsid)) {
		smmuinv_streams_set(vsmmu->streams, vsid, false, false);
		if (vsid++ == UINT32_MAX)
			break;
	}
	smmuinv_vsmmu_forget_cds(vsmmu);
	return rc;
}
