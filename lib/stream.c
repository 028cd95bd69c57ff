/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "backend.h"
#include "params.h"
#include "radix.h"

/*
 * @change lets one thread at a time add or remove; the kernel is asked under
 * it, while others go on consuming. @table keeps the radix arrays from changing
 * under those who read them, and is never held for a vDEVICE's making or
 * destruction.
 */
struct smmuinv_streams {
	struct smmuinv_backend *backend;
	bool bound;
	const uint32_t *viommus; /* the only ones, if bound */
	uint32_t viommu_count;
	pthread_mutex_t change;
	pthread_rwlock_t table;
	struct radix by_vsid; /* owns the streams */
	struct radix by_device;
	size_t count;
};

/* A remove must not wait for ever behind queues that never rest. */
static int table_lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;
	int rc;

	rc = pthread_rwlockattr_init(&attr);
	if (rc)
		return rc;
#ifdef __GLIBC__
	pthread_rwlockattr_setkind_np(
		&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
	rc = pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return rc;
}

int smmuinv_streams_new(struct smmuinv_backend *backend,
			struct smmuinv_streams **streams)
{
	struct smmuinv_streams *s;

	if (!backend || !streams)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->backend = backend;
	if (pthread_mutex_init(&s->change, NULL))
		goto free_streams;
	if (table_lock_init(&s->table))
		goto destroy_change;
	*streams = s;
	return 0;

destroy_change:
	pthread_mutex_destroy(&s->change);
free_streams:
	free(s);
	return -ENOMEM;
}

static void stream_release(void *value, void *arg)
{
	struct smmuinv_streams *s = arg;
	struct stream *stream = value;

	/* Nothing can be done about a failure here: the iommufd is going. */
	(void)smmuinv__backend_destroy(s->backend, stream->vdevice_id);
	free(stream);
}

void smmuinv_streams_free(struct smmuinv_streams *streams)
{
	if (!streams)
		return;
	smmuinv__radix_free(&streams->by_device, NULL, NULL);
	smmuinv__radix_free(&streams->by_vsid, stream_release, streams);
	pthread_rwlock_destroy(&streams->table);
	pthread_mutex_destroy(&streams->change);
	free(streams);
}

/* Both arrays get the stream, or none. */
static int table_insert(struct smmuinv_streams *s, struct stream *stream)
{
	int rc;

	pthread_rwlock_wrlock(&s->table);
	rc = smmuinv__radix_set(&s->by_vsid, stream->vsid, stream);
	if (rc)
		goto unlock;
	rc = smmuinv__radix_set(&s->by_device, stream->dev_id, stream);
	if (rc)
		smmuinv__radix_set(&s->by_vsid, stream->vsid, NULL);
	else
		s->count++;
unlock:
	pthread_rwlock_unlock(&s->table);
	return rc;
}

/* From the return on, nobody has the stream in hand. */
static struct stream *table_take(struct smmuinv_streams *s, uint32_t vsid)
{
	struct stream *stream;

	pthread_rwlock_wrlock(&s->table);
	stream = smmuinv__radix_get(&s->by_vsid, vsid);
	if (stream) {
		smmuinv__radix_set(&s->by_vsid, vsid, NULL);
		smmuinv__radix_set(&s->by_device, stream->dev_id, NULL);
		s->count--;
	}
	pthread_rwlock_unlock(&s->table);
	return stream;
}

/* With @change held, which keeps the arrays as they are. */
static int stream_make(struct smmuinv_streams *s, struct stream *stream)
{
	int rc;

	if (smmuinv__radix_get(&s->by_vsid, stream->vsid))
		return -EEXIST;
	if (smmuinv__radix_get(&s->by_device, stream->dev_id))
		return -EBUSY;
	rc = smmuinv__backend_vdevice_alloc(s->backend, stream->viommu_id,
					    stream->dev_id, stream->vsid,
					    &stream->vdevice_id);
	if (rc)
		return rc;
	rc = table_insert(s, stream);
	if (rc)
		(void)smmuinv__backend_destroy(s->backend, stream->vdevice_id);
	return rc;
}

static bool allowed(const struct smmuinv_streams *s, uint32_t viommu_id)
{
	uint32_t i;

	for (i = 0; i < s->viommu_count; i++) {
		if (s->viommus[i] == viommu_id)
			return true;
	}
	return !s->bound;
}

int smmuinv_streams_add(struct smmuinv_streams *streams,
			const struct smmuinv_stream_params *params)
{
	struct smmuinv_stream_params p;
	struct stream *stream;
	int rc;

	if (!streams || !PARAMS_TAKE(&p, params))
		return -EINVAL;
	stream = malloc(sizeof(*stream));
	if (!stream)
		return -ENOMEM;
	*stream = (struct stream){
		.vsid = p.vsid,
		.viommu_id = p.viommu_id,
		.dev_id = p.dev_id,
		.can_ats = p.ats,
	};
	pthread_mutex_lock(&streams->change);
	rc = allowed(streams, p.viommu_id) ? stream_make(streams, stream) :
					     -EXDEV;
	pthread_mutex_unlock(&streams->change);
	if (rc)
		free(stream);
	return rc;
}

void smmuinv__stream_set(struct stream *stream, bool translates, bool ats)
{
	stream->translates = translates;
	stream->ats = translates && ats && stream->can_ats;
}

int smmuinv_streams_set(struct smmuinv_streams *streams, uint32_t vsid,
			bool translates, bool ats)
{
	struct stream *stream;

	if (!streams)
		return -EINVAL;
	pthread_rwlock_wrlock(&streams->table);
	stream = smmuinv__radix_get(&streams->by_vsid, vsid);
	if (stream)
		smmuinv__stream_set(stream, translates, ats);
	pthread_rwlock_unlock(&streams->table);
	return stream ? 0 : -ENOENT;
}

void smmuinv__streams_abort(struct smmuinv_streams *streams)
{
	uint64_t vsid = 0;

	pthread_rwlock_wrlock(&streams->table);
	while (vsid <= UINT32_MAX) {
		uint32_t from = (uint32_t)vsid;
		struct stream *stream =
			smmuinv__radix_next(&streams->by_vsid, &from);

		if (!stream)
			break;
		smmuinv__stream_set(stream, false, false);
		vsid = (uint64_t)stream->vsid + 1;
	}
	pthread_rwlock_unlock(&streams->table);
}

/* With @change held. The places in the arrays are there, so nothing can fail.
 */
static void table_put_back(struct smmuinv_streams *s, struct stream *stream)
{
	pthread_rwlock_wrlock(&s->table);
	smmuinv__radix_set(&s->by_vsid, stream->vsid, stream);
	smmuinv__radix_set(&s->by_device, stream->dev_id, stream);
	s->count++;
	pthread_rwlock_unlock(&s->table);
}

/*
 * A vDEVICE that could not be destroyed still needs its invalidations; one that
 * is gone already (-ENOENT) does not.
 */
static int stream_take_out(struct smmuinv_streams *s, uint32_t vsid)
{
	struct stream *stream = table_take(s, vsid);
	int rc;

	if (!stream)
		return -ENOENT;
	rc = smmuinv__backend_destroy(s->backend, stream->vdevice_id);
	if (rc && rc != -ENOENT)
		table_put_back(s, stream);
	else
		free(stream);
	return rc;
}

int smmuinv_streams_remove(struct smmuinv_streams *streams, uint32_t vsid)
{
	int rc;

	if (!streams)
		return -EINVAL;
	pthread_mutex_lock(&streams->change);
	rc = stream_take_out(streams, vsid);
	pthread_mutex_unlock(&streams->change);
	return rc;
}

int smmuinv_streams_remove_all(struct smmuinv_streams *streams)
{
	uint32_t vsid = 0;
	int first = 0;

	if (!streams)
		return -EINVAL;
	while (!smmuinv_streams_next(streams, &vsid)) {
		int rc = smmuinv_streams_remove(streams, vsid);

		if (!first)
			first = rc;
		if (vsid++ == UINT32_MAX)
			break;
	}
	return first;
}

void smmuinv__streams_bind(struct smmuinv_streams *streams, const uint32_t *ids,
			   uint32_t n)
{
	streams->bound = true;
	streams->viommus = ids;
	streams->viommu_count = n;
}

uint32_t smmuinv__streams_on(const struct smmuinv_streams *streams,
			     uint32_t viommu_id)
{
	const struct stream *stream = smmuinv__streams_from(streams, 0);
	uint32_t n = 0;

	while (stream) {
		n += stream->viommu_id == viommu_id;
		if (stream->vsid == UINT32_MAX)
			break;
		stream = smmuinv__streams_from(streams, stream->vsid + 1);
	}
	return n;
}

void smmuinv__streams_lock(struct smmuinv_streams *streams)
{
	pthread_mutex_lock(&streams->change);
	pthread_rwlock_wrlock(&streams->table);
}

void smmuinv__streams_unlock(struct smmuinv_streams *streams)
{
	pthread_rwlock_unlock(&streams->table);
	pthread_mutex_unlock(&streams->change);
}

void smmuinv__streams_hold(struct smmuinv_streams *streams)
{
	pthread_rwlock_rdlock(&streams->table);
}

void smmuinv__streams_release(struct smmuinv_streams *streams)
{
	pthread_rwlock_unlock(&streams->table);
}

struct stream *smmuinv__streams_get(const struct smmuinv_streams *streams,
				    uint32_t vsid)
{
	return smmuinv__radix_get(&streams->by_vsid, vsid);
}

struct stream *smmuinv__streams_from(const struct smmuinv_streams *streams,
				     uint32_t vsid)
{
	return smmuinv__radix_next(&streams->by_vsid, &vsid);
}

int smmuinv_streams_next(struct smmuinv_streams *streams, uint32_t *vsid)
{
	const struct stream *stream;

	if (!streams || !vsid)
		return -EINVAL;
	smmuinv__streams_hold(streams);
	stream = smmuinv__streams_from(streams, *vsid);
	if (stream)
		*vsid = stream->vsid;
	smmuinv__streams_release(streams);
	return stream ? 0 : -ENOENT;
}

int smmuinv_streams_find(struct smmuinv_streams *streams, uint32_t vsid,
			 struct smmuinv_stream_info *info)
{
	const struct stream *stream;

	if (!streams || (info && !PARAMS_WRITABLE(info)))
		return -EINVAL;
	smmuinv__streams_hold(streams);
	stream = smmuinv__radix_get(&streams->by_vsid, vsid);
	if (stream && info) {
		struct smmuinv_stream_info i = {
			.vsid = stream->vsid,
			.viommu_id = stream->viommu_id,
			.dev_id = stream->dev_id,
			.vdevice_id = stream->vdevice_id,
			.translates = stream->translates,
			.ats = stream->ats,
			.forwarded = __atomic_load_n(&stream->forwarded,
						     __ATOMIC_RELAXED),
			.dropped = __atomic_load_n(&stream->dropped,
						   __ATOMIC_RELAXED),
		};

		PARAMS_STORE(info, &i);
	}
	smmuinv__streams_release(streams);
	return stream ? 0 : -ENOENT;
}

size_t smmuinv_streams_count(struct smmuinv_streams *streams)
{
	size_t count;

	smmuinv__streams_hold(streams);
	count = streams->count;
	smmuinv__streams_release(streams);
	return count;
}
