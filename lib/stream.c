/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 16u

int smmuinv__streams_init(struct streams *streams)
{
	*streams = (struct streams){ .viommu_count = 0 };
	if (pthread_mutex_init(&streams->lock, NULL))
		return -ENOMEM;
	if (pthread_cond_init(&streams->left, NULL)) {
		pthread_mutex_destroy(&streams->lock);
		return -ENOMEM;
	}
	return 0;
}

void smmuinv__streams_destroy(struct streams *streams)
{
	free(streams->list);
	pthread_cond_destroy(&streams->left);
	pthread_mutex_destroy(&streams->lock);
}

/* The number of entries with lower vSIDs. */
static uint32_t place_of(const struct streams *streams, uint32_t vsid)
{
	uint32_t low = 0;
	uint32_t high = streams->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (streams->list[middle].vsid < vsid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct stream *smmuinv__stream_entry(const struct streams *streams,
				     uint32_t vsid)
{
	uint32_t place = place_of(streams, vsid);

	if (place == streams->count || streams->list[place].vsid != vsid)
		return NULL;
	return &streams->list[place];
}

struct stream *smmuinv__stream_find(const struct streams *streams,
				    uint32_t vsid)
{
	struct stream *stream = smmuinv__stream_entry(streams, vsid);

	return stream && stream->state == STREAM_THERE ? stream : NULL;
}

struct stream *smmuinv__stream_next(const struct streams *streams,
				    uint32_t vsid)
{
	uint32_t place = place_of(streams, vsid);

	while (place < streams->count &&
	       streams->list[place].state != STREAM_THERE)
		place++;
	return place < streams->count ? &streams->list[place] : NULL;
}

/* If there is no memory for a smaller list, the larger one stays. */
static int set_capacity(struct streams *streams, uint32_t capacity)
{
	struct stream *list =
		realloc(streams->list, capacity * sizeof(*streams->list));

	if (!list)
		return -ENOMEM;
	streams->list = list;
	streams->capacity = capacity;
	return 0;
}

static int make_space(struct streams *streams)
{
	if (streams->count < streams->capacity)
		return 0;
	return set_capacity(streams, streams->capacity ? 2 * streams->capacity :
							 CAPACITY_MIN);
}

int smmuinv__stream_insert(struct streams *streams, const struct stream *stream)
{
	uint32_t place = place_of(streams, stream->vsid);
	int rc;

	if (place < streams->count && streams->list[place].vsid == stream->vsid)
		return -EEXIST;
	rc = make_space(streams);
	if (rc)
		return rc;
	memmove(streams->list + place + 1, streams->list + place,
		(streams->count - place) * sizeof(*streams->list));
	streams->list[place] = *stream;
	streams->count++;
	return 0;
}

void smmuinv__stream_set_debt(struct streams *streams, struct stream *stream,
			      uint64_t debt)
{
	uint32_t owing = streams->owing + !!debt - !!stream->debt;

	stream->debt = debt;
	__atomic_store_n(&streams->owing, owing, __ATOMIC_RELAXED);
}

void smmuinv__stream_erase(struct streams *streams, uint32_t vsid)
{
	uint32_t place = place_of(streams, vsid);

	smmuinv__stream_set_debt(streams, &streams->list[place], 0);
	streams->count--;
	memmove(streams->list + place, streams->list + place + 1,
		(streams->count - place) * sizeof(*streams->list));
	if (streams->capacity > CAPACITY_MIN &&
	    streams->count <= streams->capacity / 4)
		(void)set_capacity(streams, streams->capacity / 2);
}

struct viommu *smmuinv__viommu_find(struct streams *streams, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < streams->viommu_count; i++) {
		if (streams->viommus[i].id == id)
			return &streams->viommus[i];
	}
	return NULL;
}

void smmuinv__host_call_begin(struct streams *streams, struct host_call *call,
			      uint32_t viommu_id)
{
	*call = (struct host_call){
		.ticket = ++streams->tickets,
		.viommu_id = viommu_id,
		.next = streams->calls,
		.link = &streams->calls,
	};
	if (call->next)
		call->next->link = &call->next;
	streams->calls = call;
}

void smmuinv__host_call_end(struct streams *streams, struct host_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	if (streams->waiters)
		pthread_cond_broadcast(&streams->left);
}

static bool under_way(const struct streams *streams, uint32_t viommu_id,
		      uint64_t ticket)
{
	const struct host_call *call;

	for (call = streams->calls; call; call = call->next) {
		if (call->viommu_id == viommu_id && call->ticket <= ticket)
			return true;
	}
	return false;
}

void smmuinv__host_calls_wait(struct streams *streams, uint32_t viommu_id)
{
	uint64_t ticket = streams->tickets;

	streams->waiters++;
	while (under_way(streams, viommu_id, ticket))
		pthread_cond_wait(&streams->left, &streams->lock);
	streams->waiters--;
}
