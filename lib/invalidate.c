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
	bool reset; /* whatever state streams are in, their CDs go */
	uint32_t count;
	struct smmuinv_command commands[PARCEL];
	int error; /* the first */
	struct calls calls;
};

static int send(struct parcel *p, const struct smmuinv_command *commands,
		uint32_t n)
{
	uint32_t count = n;
	int rc = smmuinv__backend_invalidate(p->vsmmu->backend, p->viommu->id,
					     commands, &count);

	if (!rc && count != n)
		rc = -EPROTO;
	p->calls.ioctls++;
	p->calls.commands += n;
	p->calls.failed += rc != 0;
	return rc;
}

/* How many from @from on name the same stream. */
static uint32_t of_one_stream(const struct parcel *p, uint32_t from)
{
	uint32_t n = 1;

	while (from + n < p->count && command_sid(&p->commands[from + n]) ==
					      command_sid(&p->commands[from]))
		n++;
	return n;
}

static int send_by_stream(struct parcel *p)
{
	uint32_t from = 0;
	int first = 0;

	while (from < p->count) {
		uint32_t n = of_one_stream(p, from);
		int rc = send(p, &p->commands[from], n);

		if (!first)
			first = rc;
		from += n;
	}
	return first;
}

/*
 * What cannot be done together may be possible stream by stream. But a SMMU
 * that does not answer is not asked so often, because the host waits a second
 * each time; of ATC_INVs it may be one device that does not answer.
 */
static int send_again(struct parcel *p, int error, bool atc)
{
	uint32_t calls = p->calls.ioctls;
	int rc = error == -ETIMEDOUT && !atc ? send(p, p->commands, p->count) :
					       send_by_stream(p);

	p->calls.retries += p->calls.ioctls - calls;
	return rc;
}

static void parcel_send(struct parcel *p, bool atc)
{
	int rounds = !atc && p->viommu->repeat ? 2 : 1;
	int round;

	for (round = 0; p->count && round < rounds; round++) {
		uint32_t commands = p->calls.commands;
		int rc = send(p, p->commands, p->count);

		if (rc)
			rc = send_again(p, rc, atc);
		if (!p->error)
			p->error = rc;
		if (round)
			p->calls.repeats += p->calls.commands - commands;
	}
	p->count = 0;
}

static void parcel_put(struct parcel *p, const struct smmuinv_command *command,
		       bool atc)
{
	p->commands[p->count++] = *command;
	if (p->count == PARCEL)
		parcel_send(p, atc);
}

static void put_cds(struct parcel *p, const struct stream *stream)
{
	struct smmuinv_command command;

	if (!(stream->translates || p->reset) ||
	    stream->viommu_id != p->viommu->id)
		return;
	smmuinv_command_cfgi_cd_all(&command, stream->vsid);
	parcel_put(p, &command, false);
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
	parcel_put(p, &command, true);
	if (!ssids)
		return;
	atc.ssv = true;
	atc.global = true;
	smmuinv_command_atc_inv(&command, &atc);
	parcel_put(p, &command, true);
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
static int invalidate(struct smmuinv_vsmmu *v, const struct viommu *viommu,
		      const struct stream *only, bool reset)
{
	struct parcel p = { .vsmmu = v, .viommu = viommu, .reset = reset };
	struct smmuinv_command everything;

	put_streams(&p, only, put_cds);
	parcel_send(&p, false);
	smmuinv_command_tlbi_nh_all(&everything);
	parcel_put(&p, &everything, false);
	parcel_send(&p, false);
	put_streams(&p, only, put_atc);
	parcel_send(&p, true);
	smmuinv__counters_called(&v->counters, &p.calls);
	return p.error;
}

static int invalidate_everywhere(struct smmuinv_vsmmu *v, bool reset,
				 uint32_t *fault_viommu)
{
	int first = 0;
	uint32_t i;

	smmuinv__streams_hold(v->streams);
	for (i = 0; i < v->viommu_count; i++) {
		int rc = invalidate(v, &v->viommus[i], NULL, reset);

		if (first || !rc)
			continue;
		first = rc;
		if (fault_viommu)
			*fault_viommu = v->viommus[i].id;
	}
	smmuinv__streams_release(v->streams);
	return first;
}

int smmuinv_invalidate_all(struct smmuinv_vsmmu *vsmmu, uint32_t *fault_viommu)
{
	if (!vsmmu)
		return -EINVAL;
	return invalidate_everywhere(vsmmu, false, fault_viommu);
}

static int invalidate_one(struct smmuinv_vsmmu *v, uint32_t vsid)
{
	const struct stream *stream = smmuinv__streams_get(v->streams, vsid);
	uint32_t i = 0;

	if (!stream)
		return -ENOENT;
	/* A stream is on one of them, or could not have been added. */
	while (v->viommus[i].id != stream->viommu_id)
		i++;
	return invalidate(v, &v->viommus[i], stream, false);
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

/*
 * Streams abort first, so that nobody addresses a device any more that the VMM
 * has detached: its ATS is off, and an ATC_INV would never be answered. What
 * was in its ATC went with that. CDs and TLB entries go whatever states streams
 * are in, so that trying again after a failure does all of it again.
 */
int smmuinv_reset(struct smmuinv_vsmmu *vsmmu, uint32_t *fault_viommu)
{
	int rc;

	if (!vsmmu)
		return -EINVAL;
	smmuinv__streams_abort(vsmmu->streams);
	rc = invalidate_everywhere(vsmmu, true, fault_viommu);
	/* Of entries that are left nothing may be forgotten. */
	if (!rc)
		smmuinv__granules_forget(&vsmmu->granules);
	return rc;
}
