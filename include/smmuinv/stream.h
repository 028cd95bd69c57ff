/* SPDX-License-Identifier: MIT */
/*
 * The table of streams: which vSID is which device of the host.
 */
#ifndef SMMUINV_STREAM_H
#define SMMUINV_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/backend.h>

SMMUINV_BEGIN_DECLS

/**
 * struct smmuinv_streams - the streams of one virtual SMMU; opaque
 *
 * Every function but smmuinv_streams_free() may be called from any thread, also
 * while queues consume and from within a queue's callbacks. A vDEVICE is never
 * destroyed while a command that names its vSID is on its way to the host.
 */
struct smmuinv_streams;

/**
 * struct smmuinv_stream_params - a stream to be
 * @size: sizeof(struct smmuinv_stream_params)
 * @viommu_id: the vIOMMU of the physical SMMU that the device is behind
 * @dev_id: the device's id, from VFIO_DEVICE_BIND_IOMMUFD
 * @vsid: StreamID as the guest is to know it
 * @ats: the device can do ATS: its PCI capability is there, and
 *	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED is not
 * @reserved: must be 0
 */
struct smmuinv_stream_params {
	size_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t vsid;
	bool ats;
	uint8_t reserved[3];
};

/**
 * struct smmuinv_stream_info - one stream
 * @size: sizeof(struct smmuinv_stream_info), set by the caller
 * @vsid: StreamID as the guest knows it
 * @viommu_id: the vIOMMU that has it
 * @dev_id: the device's iommufd id
 * @vdevice_id: the id of the vDEVICE that the library made
 * @forwarded: commands that named it and were executed by the host
 * @dropped: commands that named it and needed nothing, because of its state
 * @translates: the guest's stage 1 is attached: smmuinv_streams_set()
 * @ats: and its ATS requests are answered
 * @reserved: 0
 */
struct smmuinv_stream_info {
	size_t size;
	uint32_t vsid;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t vdevice_id;
	uint64_t forwarded;
	uint64_t dropped;
	bool translates;
	bool ats;
	uint8_t reserved[6];
};

/**
 * smmuinv_streams_new() - an empty table
 * @backend: makes and destroys vDEVICEs; borrowed until the table is freed
 * @streams: the table
 *
 * Return: 0; -EINVAL for NULL; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_streams_new(struct smmuinv_backend *backend,
				    struct smmuinv_streams **streams);

/**
 * smmuinv_streams_free() - remove every stream and free the table
 * @streams: may be NULL; nothing may use it any more
 *
 * Errors of the kernel's are not told; smmuinv_streams_remove_all() tells them.
 * Must come before the device file descriptors are closed, or the kernel keeps
 * the vDEVICEs' ids until the iommufd is closed.
 *
 * Threads: one, the last. Since: 0.1.
 */
SMMUINV_API void smmuinv_streams_free(struct smmuinv_streams *streams);

/**
 * smmuinv_streams_add() - give a device a vSID; makes its vDEVICE
 * @streams: the table
 * @params: which
 *
 * The stream aborts until smmuinv_streams_set() says otherwise.
 *
 * Return: 0; -EINVAL for NULL, a wrong size or a reserved member that is set;
 * -EEXIST if the vSID is in the table already; -EXDEV if the table is that of a virtual SMMU without this vIOMMU,
 * whose TLBIs would not reach the device; -EBUSY if the device is in the table
 * already, under another vSID; -ENOMEM; -EPROTO for a senseless answer; an errno
 * of the kernel's: -EEXIST if somebody else gave the device a vDEVICE
 * (smmuinv_streams_find() tells which it was), -EINVAL if it is not behind this
 * vIOMMU's SMMU, -ENOENT if there is no such vIOMMU or device. On error the table
 * is as it was.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_streams_add(struct smmuinv_streams *streams,
				    const struct smmuinv_stream_params *params);

/**
 * smmuinv_streams_set() - what the host does with a stream
 * @streams: the table
 * @vsid: which
 * @translates: the guest's stage 1 is attached to the device, or is going to be
 * @ats: its STE has EATS set (struct smmuinv_ste.ats); without the device's own
 *	ATS it counts as false
 *
 * CFGI_CD and CFGI_CD_ALL for a stream that does not translate, and ATC_INV for
 * one whose ATS is off, are complete at once and not sent. So around an attach of
 * what a new STE says: before it, (true, false); after it, what the STE says. The
 * kernel turns ATS on and off in between, so no device is addressed that could
 * not answer; and from smmuinv_queue_ops.cfgi_ste nothing is lost, because the
 * guest's next command waits. A change waits for the calls to the host that are
 * under way, like smmuinv_streams_remove().
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if @vsid is not in the table.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_streams_set(struct smmuinv_streams *streams,
				    uint32_t vsid, bool translates, bool ats);

/**
 * smmuinv_streams_remove() - take a vSID away; destroys its vDEVICE
 * @streams: the table
 * @vsid: which
 *
 * Waits until no command that names the vSID is on its way to the host. That is
 * until every call to the host that is under way has come back, and new ones wait
 * for it: not for a thread that must not stall when an SMMU hangs. From
 * the return on, commands for it are complete at once and not sent.
 *
 * Detach the device's nested page table before: while the stream is out of the
 * table, nothing reaches what the SMMU remembers of it.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if @vsid is not in the table, or if its
 * vDEVICE was gone already, and the stream is out of the table now; -EPROTO for a
 * senseless answer; another errno of the kernel's. With these the vDEVICE may
 * still exist, and the stream is in the table again: try again later.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_streams_remove(struct smmuinv_streams *streams,
				       uint32_t vsid);

/**
 * smmuinv_streams_remove_all() - smmuinv_streams_remove() for every stream
 * @streams: the table
 *
 * Goes on after a failure: what can be removed is. What is left is in the table,
 * and can be tried again.
 *
 * Return: 0; -EINVAL for NULL; the first error of smmuinv_streams_remove(). With
 * -ENOENT the stream is out of the table all the same.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_streams_remove_all(struct smmuinv_streams *streams);

/**
 * smmuinv_streams_find() - look a vSID up
 * @streams: the table
 * @vsid: which
 * @info: what is known of it; may be NULL
 *
 * Four memory reads whatever the table holds.
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -ENOENT if @vsid is not in the
 * table.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_streams_find(struct smmuinv_streams *streams,
				     uint32_t vsid,
				     struct smmuinv_stream_info *info);

/**
 * smmuinv_streams_next() - go through the table in the order of the vSIDs
 * @streams: the table
 * @vsid: where to begin; then, which was found
 *
 * Streams that come and go meanwhile are found or not; nothing else is skipped.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if no stream has this vSID or one above.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_streams_next(struct smmuinv_streams *streams,
				     uint32_t *vsid);

/**
 * smmuinv_streams_count() - how many streams there are
 * @streams: the table
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_streams_count(struct smmuinv_streams *streams);

SMMUINV_END_DECLS

#endif /* SMMUINV_STREAM_H */
