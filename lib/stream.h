/* SPDX-License-Identifier: MIT */
/*
 * The stream table as the rooms above see it.
 *
 * Consumers hold the table from the look-up of a vSID until the host has
 * executed the commands that name it; a stream leaves the table before its
 * vDEVICE is destroyed. So no command meets a vDEVICE that is going away. The
 * list of vIOMMUs is kept still in the same way.
 */
#ifndef SMMUINV_LIB_STREAM_H
#define SMMUINV_LIB_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/stream.h>

struct stream {
	uint32_t vsid;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t vdevice_id;
	bool can_ats;
	bool translates;
	bool ats;
	/* Counted while the table is only held. */
	uint64_t forwarded;
	uint64_t dropped;
};

/*
 * With the table locked: from here on it takes streams on @n vIOMMUs only,
 * those at @ids, which belong to the caller.
 */
void smmuinv__streams_bind(struct smmuinv_streams *streams, const uint32_t *ids,
			   uint32_t n);

/* With the table locked: streams on this vIOMMU. */
uint32_t smmuinv__streams_on(const struct smmuinv_streams *streams,
			     uint32_t viommu_id);

/*
 * No callback of the VMM's may run while the table is held or locked, but the
 * trace and the backend, which may not come back to it.
 */
void smmuinv__streams_hold(struct smmuinv_streams *streams);
void smmuinv__streams_release(struct smmuinv_streams *streams);

/* Nobody holds the table, and no stream is being added. */
void smmuinv__streams_lock(struct smmuinv_streams *streams);
void smmuinv__streams_unlock(struct smmuinv_streams *streams);

/* The table must be held. NULL if @vsid is no device of the host's. */
struct stream *smmuinv__streams_get(const struct smmuinv_streams *streams,
				    uint32_t vsid);

/* The table must be held. The first at @vsid or above; NULL if there is none.
 */
struct stream *smmuinv__streams_from(const struct smmuinv_streams *streams,
				     uint32_t vsid);

/* With the table locked. */
void smmuinv__stream_set(struct stream *stream, bool translates, bool ats);

/* No stream translates, from the return on. */
void smmuinv__streams_abort(struct smmuinv_streams *streams);

#endif /* SMMUINV_LIB_STREAM_H */
