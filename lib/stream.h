/* SPDX-License-Identifier: MIT */
/*
 * The stream table as the batch sees it.
 *
 * Consumers hold the table from the look-up of a vSID until the host has
 * executed the commands that name it; a stream leaves the table before its
 * vDEVICE is destroyed. So no command meets a vDEVICE that is going away.
 */
#ifndef SMMUINV_LIB_STREAM_H
#define SMMUINV_LIB_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/stream.h>

/* From here on the table takes streams on this vIOMMU only. */
void smmuinv__streams_bind(struct smmuinv_streams *streams, uint32_t viommu_id);

/* No callback of the VMM's may run while the table is held. */
void smmuinv__streams_hold(struct smmuinv_streams *streams);
void smmuinv__streams_release(struct smmuinv_streams *streams);

/* Is @vsid a device of the host's? The table must be held. */
bool smmuinv__streams_has(const struct smmuinv_streams *streams, uint32_t vsid);

#endif /* SMMUINV_LIB_STREAM_H */
