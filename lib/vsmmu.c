/* SPDX-License-Identifier: MIT */
#include "vsmmu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <smmuinv/batch.h>

#include "backend.h"
#include "feature.h"
#include "params.h"

/* docs/performance.md says why. */
#define PAGES_MAX_DEFAULT    512
#define RETRIES_MAX_DEFAULT  64
#define RETRIES_MAX_MAX      4096 /* limits how deep a repair recurses */
#define TIMEOUTS_MAX_DEFAULT 5

static bool params_valid(const struct smmuinv_vsmmu_params *p)
{
	return p->backend && p->plan <= SMMUINV_PLAN_AS_WRITTEN &&
	       p->pages_max <= SMMUINV_BATCH_CAPACITY_MAX &&
	       p->retries_max <= RETRIES_MAX_MAX;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

/*
 * Every host has what the guest's invalidations need. So each of them has every
 * command that is legal for the guest, in the same canonical form. Ranges are
 * the exception: the plan turns them into what a host has.
 */
static void configure(struct smmuinv_vsmmu *v,
		      const struct smmuinv_vsmmu_params *p)
{
	v->backend = p->backend;
	v->as_written = p->plan == SMMUINV_PLAN_AS_WRITTEN;
	v->pages_max = or_default(p->pages_max, PAGES_MAX_DEFAULT);
	v->retries_max = or_default(p->retries_max, RETRIES_MAX_DEFAULT);
	v->timeouts_max = or_default(p->timeouts_max, TIMEOUTS_MAX_DEFAULT);
	v->guest = p->guest;
	v->ats = smmuinv_features_get(&p->guest, SMMUINV_FEATURE_ATS);
	v->ssids = smmuinv_features_get(&p->guest, SMMUINV_FEATURE_SSIDSIZE);
	smmuinv__check_compile(&v->check, &p->guest, &p->guest);
}

int smmuinv_vsmmu_new(const struct smmuinv_vsmmu_params *params,
		      struct smmuinv_vsmmu **vsmmu, uint32_t *lacking)
{
	struct smmuinv_viommu_params first = { .size = sizeof(first) };
	struct smmuinv_vsmmu_params p;
	struct smmuinv_vsmmu *v;
	int rc;

	if (!vsmmu || !PARAMS_COPY(&p, params) || !params_valid(&p))
		return -EINVAL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	configure(v, &p);
	rc = smmuinv__streams_init(&v->streams);
	if (rc) {
		free(v);
		return rc;
	}
	first.viommu_id = p.viommu_id;
	first.hw_flags = p.hw_flags;
	first.host = p.host;
	if (p.viommu_id)
		rc = smmuinv_vsmmu_add_viommu(v, &first, lacking);
	else
		rc = smmuinv__features_required(&p.guest, &p.guest, lacking);
	if (rc)
		smmuinv_vsmmu_free(v);
	else
		*vsmmu = v;
	return rc;
}

void smmuinv_vsmmu_free(struct smmuinv_vsmmu *vsmmu)
{
	uint32_t i;

	if (!vsmmu)
		return;
	/* Nothing can be done about a failure here: the iommufd is going. */
	for (i = 0; i < vsmmu->streams.count; i++) {
		if (vsmmu->streams.list[i].made)
			(void)smmuinv__backend_destroy(
				vsmmu->backend,
				vsmmu->streams.list[i].vdevice_id);
	}
	smmuinv__streams_destroy(&vsmmu->streams);
	free(vsmmu);
}

static int viommu_insert(struct smmuinv_vsmmu *v,
			 const struct smmuinv_viommu_params *p)
{
	struct streams *s = &v->streams;
	bool ds = smmuinv_features_get(&p->host, SMMUINV_FEATURE_DS);

	if (smmuinv__viommu_find(s, p->viommu_id))
		return -EEXIST;
	if (s->viommu_count == SMMUINV_VIOMMUS_MAX)
		return -ENOSPC;
	s->viommus[s->viommu_count++] = (struct viommu){
		.id = p->viommu_id,
		.repeat = p->hw_flags & SMMUINV_HW_INFO_REPEAT,
		.ril = smmuinv_features_get(&p->host, SMMUINV_FEATURE_RIL),
		.scale_max = ds ? SCALE_MAX : 31,
	};
	return 0;
}

int smmuinv_vsmmu_add_viommu(struct smmuinv_vsmmu *vsmmu,
			     const struct smmuinv_viommu_params *params,
			     uint32_t *lacking)
{
	struct smmuinv_viommu_params p;
	int rc;

	if (!vsmmu || !PARAMS_COPY(&p, params) || !p.viommu_id)
		return -EINVAL;
	rc = smmuinv__features_required(&vsmmu->guest, &p.host, lacking);
	if (rc)
		return rc;
	pthread_mutex_lock(&vsmmu->streams.lock);
	rc = viommu_insert(vsmmu, &p);
	pthread_mutex_unlock(&vsmmu->streams.lock);
	return rc;
}

static bool has_streams(const struct streams *s, uint32_t viommu_id)
{
	uint32_t i;

	for (i = 0; i < s->count; i++) {
		if (s->list[i].viommu_id == viommu_id)
			return true;
	}
	return false;
}

int smmuinv_vsmmu_remove_viommu(struct smmuinv_vsmmu *vsmmu, uint32_t viommu_id)
{
	struct viommu *viommu;
	struct streams *s;
	int rc = 0;

	if (!vsmmu)
		return -EINVAL;
	s = &vsmmu->streams;
	pthread_mutex_lock(&s->lock);
	viommu = smmuinv__viommu_find(s, viommu_id);
	if (!viommu) {
		rc = -ENOENT;
	} else if (has_streams(s, viommu_id)) {
		rc = -EBUSY;
	} else {
		*viommu = s->viommus[--s->viommu_count];
		s->changes++;
		smmuinv__host_calls_wait(s, viommu_id);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* The table gets a place for the stream, if its vIOMMU is known. */
static int stream_announce(struct streams *s, struct stream *stream)
{
	if (!stream->viommu_id && s->viommu_count == 1)
		stream->viommu_id = s->viommus[0].id;
	if (!smmuinv__viommu_find(s, stream->viommu_id))
		return -EXDEV;
	return smmuinv__stream_insert(s, stream);
}

static void stream_arrive(struct streams *s, struct stream *stream, int error)
{
	stream->since = ++s->changes;
	if (error)
		smmuinv__stream_erase(s, stream->vsid);
	else
		*smmuinv__stream_entry(s, stream->vsid) = *stream;
}

int smmuinv_vsmmu_add_stream(struct smmuinv_vsmmu *vsmmu,
			     const struct smmuinv_stream_params *params)
{
	struct smmuinv_stream_params p;
	struct stream stream;
	uint32_t bits;
	int rc;

	if (!vsmmu || !PARAMS_COPY(&p, params))
		return -EINVAL;
	bits = smmuinv_features_get(&vsmmu->guest, SMMUINV_FEATURE_SIDSIZE);
	if (bits < 32 && p.vsid >> bits)
		return -ERANGE;
	stream = (struct stream){
		.vsid = p.vsid,
		.viommu_id = p.viommu_id,
		.vdevice_id = p.vdevice_id,
		.dev_id = p.dev_id,
		.state = STREAM_COMING,
		.made = !p.vdevice_id,
	};
	pthread_mutex_lock(&vsmmu->streams.lock);
	rc = stream_announce(&vsmmu->streams, &stream);
	pthread_mutex_unlock(&vsmmu->streams.lock);
	if (rc)
		return rc;
	if (stream.made)
		rc = smmuinv__backend_vdevice_alloc(
			vsmmu->backend, stream.viommu_id, stream.dev_id,
			stream.vsid, &stream.vdevice_id);
	stream.state = STREAM_THERE;
	pthread_mutex_lock(&vsmmu->streams.lock);
	stream_arrive(&vsmmu->streams, &stream, rc);
	pthread_mutex_unlock(&vsmmu->streams.lock);
	return rc;
}

/* If ATS is off, the ATC is empty. */
static void stream_set_ats(struct streams *s, struct stream *stream, bool ats)
{
	if (!ats)
		smmuinv__stream_set_debt(s, stream, 0);
	stream->ats = ats;
	s->changes++;
}

int smmuinv_vsmmu_set_ats(struct smmuinv_vsmmu *vsmmu, uint32_t vsid, bool ats)
{
	struct stream *stream;

	if (!vsmmu)
		return -EINVAL;
	pthread_mutex_lock(&vsmmu->streams.lock);
	stream = smmuinv__stream_find(&vsmmu->streams, vsid);
	if (stream)
		stream_set_ats(&vsmmu->streams, stream, ats);
	pthread_mutex_unlock(&vsmmu->streams.lock);
	return stream ? 0 : -ENOENT;
}

int smmuinv_vsmmu_find_stream(struct smmuinv_vsmmu *vsmmu, uint32_t vsid,
			      struct smmuinv_stream_info *info)
{
	const struct stream *stream;
	struct smmuinv_stream_info i = { 0 };

	if (!vsmmu || (info && !PARAMS_WRITABLE(info)))
		return -EINVAL;
	pthread_mutex_lock(&vsmmu->streams.lock);
	stream = smmuinv__stream_find(&vsmmu->streams, vsid);
	if (stream)
		i = (struct smmuinv_stream_info){
			.vsid = stream->vsid,
			.viommu_id = stream->viommu_id,
			.vdevice_id = stream->vdevice_id,
			.dev_id = stream->dev_id,
			.ats = stream->ats,
			.owes = stream->debt,
			.made = stream->made,
		};
	pthread_mutex_unlock(&vsmmu->streams.lock);
	if (!stream)
		return -ENOENT;
	if (info)
		PARAMS_STORE(info, &i);
	return 0;
}

/* After it, no command for the stream is sent or under way. */
static bool stream_leave(struct streams *s, uint32_t vsid, struct stream *copy)
{
	struct stream *stream = smmuinv__stream_find(s, vsid);

	if (!stream)
		return false;
	stream->state = STREAM_LEAVING;
	*copy = *stream;
	s->changes++;
	smmuinv__host_calls_wait(s, copy->viommu_id);
	return true;
}

/* ATC_INVs for it were not sent meanwhile, so it owes. */
static void stream_stays(struct streams *s, struct stream *stream)
{
	stream->state = STREAM_THERE;
	stream->since = ++s->changes;
	if (stream->ats)
		smmuinv__stream_set_debt(s, stream, ++s->debts);
}

/* A vDEVICE that could not be destroyed still needs its invalidations. */
static void stream_gone(struct streams *s, uint32_t vsid, int error)
{
	if (!error || error == -ENOENT)
		smmuinv__stream_erase(s, vsid);
	else
		stream_stays(s, smmuinv__stream_entry(s, vsid));
}

int smmuinv_vsmmu_remove_stream(struct smmuinv_vsmmu *vsmmu, uint32_t vsid)
{
	struct stream stream;
	bool found;
	int rc = 0;

	if (!vsmmu)
		return -EINVAL;
	pthread_mutex_lock(&vsmmu->streams.lock);
	found = stream_leave(&vsmmu->streams, vsid, &stream);
	pthread_mutex_unlock(&vsmmu->streams.lock);
	if (!found)
		return -ENOENT;
	if (stream.made)
		rc = smmuinv__backend_destroy(vsmmu->backend,
					      stream.vdevice_id);
	pthread_mutex_lock(&vsmmu->streams.lock);
	stream_gone(&vsmmu->streams, vsid, rc);
	pthread_mutex_unlock(&vsmmu->streams.lock);
	return rc;
}

uint32_t smmuinv__viommus(struct smmuinv_vsmmu *v, struct viommu *list)
{
	uint32_t n;

	pthread_mutex_lock(&v->streams.lock);
	n = v->streams.viommu_count;
	memcpy(list, v->streams.viommus, n * sizeof(*list));
	pthread_mutex_unlock(&v->streams.lock);
	return n;
}

struct executor smmuinv__executor(struct smmuinv_vsmmu *v,
				  const struct viommu *viommu, uint64_t changes,
				  struct account *account)
{
	return (struct executor){
		.backend = v->backend,
		.streams = &v->streams,
		.viommu = *viommu,
		.ssids = v->ssids,
		.changes = changes,
		.retries_left = v->retries_max,
		.timeouts_left = v->timeouts_max,
		.account = account,
	};
}

static void counter_add(uint64_t *sum, const uint64_t *more)
{
	__atomic_store_n(sum, *sum + __atomic_load_n(more, __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
}

void smmuinv__counters_add(struct smmuinv_counters *sum,
			   const struct smmuinv_counters *more)
{
	counter_add(&sum->read, &more->read);
	counter_add(&sum->forwarded, &more->forwarded);
	counter_add(&sum->merged, &more->merged);
	counter_add(&sum->dropped, &more->dropped);
	counter_add(&sum->vmm, &more->vmm);
	counter_add(&sum->illegal, &more->illegal);
	counter_add(&sum->host_commands, &more->host_commands);
	counter_add(&sum->ioctls, &more->ioctls);
	counter_add(&sum->failed, &more->failed);
	counter_add(&sum->retries, &more->retries);
	counter_add(&sum->timeouts, &more->timeouts);
	counter_add(&sum->replaced, &more->replaced);
	counter_add(&sum->repeats, &more->repeats);
}

void smmuinv__tally_join(struct smmuinv_vsmmu *v, struct tally *tally)
{
	pthread_mutex_lock(&v->streams.lock);
	tally->next = v->tallies;
	v->tallies = tally;
	pthread_mutex_unlock(&v->streams.lock);
}

void smmuinv__tally_leave(struct smmuinv_vsmmu *v, struct tally *tally)
{
	struct tally **link = &v->tallies;

	pthread_mutex_lock(&v->streams.lock);
	while (*link != tally)
		link = &(*link)->next;
	*link = tally->next;
	smmuinv__counters_add(&v->counters, &tally->counters);
	pthread_mutex_unlock(&v->streams.lock);
}

int smmuinv_vsmmu_counters(struct smmuinv_vsmmu *vsmmu,
			   struct smmuinv_counters *counters)
{
	struct smmuinv_counters now;
	const struct tally *tally;

	if (!vsmmu || !counters || !PARAMS_WRITABLE(counters))
		return -EINVAL;
	pthread_mutex_lock(&vsmmu->streams.lock);
	now = vsmmu->counters;
	for (tally = vsmmu->tallies; tally; tally = tally->next)
		smmuinv__counters_add(&now, &tally->counters);
	pthread_mutex_unlock(&vsmmu->streams.lock);
	PARAMS_STORE(counters, &now);
	return 0;
}

int smmuinv__account_report(const struct account *a, struct smmuinv_result *r)
{
	const struct smmuinv_counters *c = &a->counters;

	r->fault = a->fault;
	r->fault_index = a->fault_index;
	r->host_commands = (uint32_t)c->host_commands;
	r->ioctls = (uint32_t)c->ioctls;
	r->retries = (uint32_t)c->retries;
	r->timeouts = (uint32_t)c->timeouts;
	r->replaced = (uint32_t)c->replaced;
	if (r->fault.source || a->owed == SMMUINV_INDEX_NONE)
		return r->fault.error;
	r->cerror = SMMUINV_CERROR_ATC_INV_SYNC;
	r->fault_index = a->owed;
	r->fault = (struct smmuinv_fault){
		.vsid = a->owed_vsid,
		.viommu_id = a->owed_viommu,
		.source = SMMUINV_SOURCE_HOST,
		.error = -ETIMEDOUT,
	};
	return r->fault.error;
}

bool smmuinv__result_writable(const struct smmuinv_result *result)
{
	return !result || PARAMS_WRITABLE(result);
}

bool smmuinv__vsmmu_pay(struct smmuinv_vsmmu *v, struct account *a)
{
	struct viommu list[SMMUINV_VIOMMUS_MAX];
	struct account paid = { .undone = 0 };
	uint32_t n = a->fresh ? 0 : smmuinv__viommus(v, list);
	uint32_t i;

	smmuinv__account_open(&paid, 0);
	for (i = 0; i < n; i++) {
		struct executor x = smmuinv__executor(v, &list[i], 0, &paid);

		smmuinv__execute_streams(&x, STREAM_DEBTS);
	}
	smmuinv__counters_add(&a->counters, &paid.counters);
	if (!a->fresh && !paid.fault.source &&
	    paid.owed == SMMUINV_INDEX_NONE) {
		a->owed = SMMUINV_INDEX_NONE;
		return true;
	}
	if (!a->fresh) {
		a->owed_vsid = paid.owed_vsid;
		a->owed_viommu = paid.owed_viommu;
	}
	if (a->owed_before)
		a->owed = 0;
	if (paid.fault.source && !a->fault.source) {
		a->fault = paid.fault;
		a->fault_index = a->owed;
	}
	return false;
}

static void execute_nh_all(struct executor *x)
{
	struct smmuinv_command command =
		command_make(SMMUINV_CMD_TLBI_NH_ALL, 0);
	uint32_t end = 1;
	const struct calls calls = {
		.commands = &command,
		.count = 1,
		.ends = &end,
		.end_count = 1,
	};

	smmuinv__execute_calls(x, &calls);
}

/*
 * CDs first, then TLB entries, which are made from them, then ATCs. It goes on
 * after a failure, unless the SMMU does not answer.
 */
static void invalidate_viommu(struct executor *x, bool ats)
{
	smmuinv__execute_streams(x, STREAM_CDS);
	if (x->error == -ETIMEDOUT)
		return;
	x->error = 0;
	execute_nh_all(x);
	if (!ats || x->error == -ETIMEDOUT)
		return;
	x->error = 0;
	smmuinv__execute_streams(x, STREAM_ATCS);
}

static int invalidate_viommus(struct smmuinv_vsmmu *v,
			      struct smmuinv_result *result)
{
	struct viommu list[SMMUINV_VIOMMUS_MAX];
	struct smmuinv_result r = RESULT_NONE;
	struct account a = { .undone = 0 };
	uint32_t n = smmuinv__viommus(v, list);
	uint32_t i;

	smmuinv__account_open(&a, 0);
	for (i = 0; i < n; i++) {
		struct executor x = smmuinv__executor(v, &list[i], 0, &a);

		invalidate_viommu(&x, v->ats);
	}
	pthread_mutex_lock(&v->streams.lock);
	smmuinv__counters_add(&v->counters, &a.counters);
	pthread_mutex_unlock(&v->streams.lock);
	(void)smmuinv__account_report(&a, &r);
	/* None of the guest's commands is at fault. */
	r.fault_index = SMMUINV_INDEX_NONE;
	if (result)
		PARAMS_STORE(result, &r);
	return r.fault.error;
}

int smmuinv_vsmmu_invalidate_all(struct smmuinv_vsmmu *vsmmu,
				 struct smmuinv_result *result)
{
	if (!vsmmu || !smmuinv__result_writable(result))
		return -EINVAL;
	return invalidate_viommus(vsmmu, result);
}

int smmuinv_vsmmu_reset(struct smmuinv_vsmmu *vsmmu,
			struct smmuinv_result *result)
{
	struct streams *s;
	uint32_t i;

	if (!vsmmu || !smmuinv__result_writable(result))
		return -EINVAL;
	s = &vsmmu->streams;
	pthread_mutex_lock(&s->lock);
	for (i = 0; i < s->count; i++)
		stream_set_ats(s, &s->list[i], false);
	pthread_mutex_unlock(&s->lock);
	return invalidate_viommus(vsmmu, result);
}
