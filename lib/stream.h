/* SPDX-License-Identifier: MIT */
/*
 * What the host has for the guest: its vIOMMUs, and for each vSID its vIOMMU
 * and its vDEVICE. Also the calls to the host that are under way.
 *
 * One mutex guards all of it. It is never held while the backend is called, so
 * it is free within microseconds, whatever the host does. Each call to the host
 * is registered instead. Who removes a stream or a vIOMMU waits for the calls
 * to that vIOMMU that were registered before, and for no later one. So it gets
 * its turn with every libc.
 */
#ifndef SMMUINV_LIB_STREAM_H
#define SMMUINV_LIB_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/vsmmu.h>

/* A physical SMMU. */
struct viommu {
	uint32_t id;
	bool repeat; /* the erratum: TLBI and CFGI are executed twice */
	bool ril;
	uint8_t scale_max; /* of its ranges */
};

enum stream_state {
	STREAM_COMING, /* its vDEVICE is being made */
	STREAM_THERE,
	STREAM_LEAVING /* calls are waited for, or its vDEVICE is destroyed */
};

struct stream {
	uint32_t vsid;
	uint32_t viommu_id;
	uint32_t vdevice_id;
	uint32_t dev_id;
	enum stream_state state;
	bool ats;
	bool made;      /* the library made the vDEVICE */
	uint64_t since; /* the number of the change that added it */
	uint64_t debt;  /* 0, or the number of the last of @debts */
};

/* A call to the host that is under way; lives on its thread's stack. */
struct host_call {
	uint64_t ticket;
	uint32_t viommu_id;
	struct host_call *next;
	struct host_call **link;
};

struct streams {
	pthread_mutex_t lock;
	pthread_cond_t left; /* a call came back */
	struct viommu viommus[SMMUINV_VIOMMUS_MAX];
	uint32_t viommu_count;
	struct stream *list; /* in the order of the vSIDs */
	uint32_t count;
	uint32_t capacity;
	uint64_t tickets;
	struct host_call *calls;
	uint32_t waiters; /* for calls to come back */
	/*
	 * Counts what changes where a command goes: a stream that comes or
	 * leaves, a vIOMMU that leaves, ATS that is set, a device that owes.
	 */
	uint64_t changes;
	uint64_t debts; /* how often a stream came to owe, so far */
	uint32_t owing; /* streams that owe; read without the lock, too */
};

/* 0 or -ENOMEM */
int smmuinv__streams_init(struct streams *streams);
/* No vDEVICE is destroyed here. */
void smmuinv__streams_destroy(struct streams *streams);

/* All that follow: with the lock. Pointers are good until it is released. */

/* NULL if the vSID has no device of the host at present. */
struct stream *smmuinv__stream_find(const struct streams *streams,
				    uint32_t vsid);

/* The first in use at @vsid or above; NULL if there is none. */
struct stream *smmuinv__stream_next(const struct streams *streams,
				    uint32_t vsid);

/* Whatever its state; NULL if there is none. */
struct stream *smmuinv__stream_entry(const struct streams *streams,
				     uint32_t vsid);

/* 0, -EEXIST or -ENOMEM */
int smmuinv__stream_insert(struct streams *streams,
			   const struct stream *stream);
void smmuinv__stream_erase(struct streams *streams, uint32_t vsid);
void smmuinv__stream_set_debt(struct streams *streams, struct stream *stream,
			      uint64_t debt);

/* NULL if there is none. */
struct viommu *smmuinv__viommu_find(struct streams *streams, uint32_t id);

void smmuinv__host_call_begin(struct streams *streams, struct host_call *call,
			      uint32_t viommu_id);
void smmuinv__host_call_end(struct streams *streams, struct host_call *call);
/* Releases the lock while it waits. */
void smmuinv__host_calls_wait(struct streams *streams, uint32_t viommu_id);

#endif /* SMMUINV_LIB_STREAM_H */
