/* SPDX-License-Identifier: MIT */
/*
 * Streams: which vSID belongs to which device of the host.
 *
 * The functions are in smmuinv/vsmmu.h, because a stream belongs to a virtual
 * SMMU.
 */
#ifndef SMMUINV_STREAM_H
#define SMMUINV_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>

SMMUINV_BEGIN_DECLS

/**
 * struct smmuinv_stream_params - a stream to be added
 * @size: sizeof(struct smmuinv_stream_params)
 * @vsid: StreamID as the guest knows it
 * @viommu_id: the vIOMMU of the physical SMMU that the device is attached to; 0
 *	if the virtual SMMU has only one
 * @vdevice_id: the vDEVICE that the VMM made for this vSID. It belongs to the
 *	VMM, and the library never destroys it. 0 if the library has to make
 *	one.
 * @dev_id: the device's id, from VFIO_DEVICE_BIND_IOMMUFD. Used only if
 *	@vdevice_id is 0.
 */
struct smmuinv_stream_params {
	size_t size;
	uint32_t vsid;
	uint32_t viommu_id;
	uint32_t vdevice_id;
	uint32_t dev_id;
};

/**
 * struct smmuinv_stream_info - one stream
 * @size: sizeof(struct smmuinv_stream_info), set by the caller
 * @vsid: StreamID as the guest knows it
 * @viommu_id: the vIOMMU that it is on
 * @vdevice_id: its vDEVICE
 * @dev_id: as it was added
 * @ats: smmuinv_vsmmu_set_ats() has set it
 * @owes: the device still owes an ATC_INV: it has not answered, or it was not
 *	asked because a removal of the stream failed. Each CMD_SYNC and each
 *	smmuinv_batch_flush() first invalidates the device's whole ATC, until
 *	the device answers.
 * @made: the library made the vDEVICE and destroys it
 * @reserved: 0
 */
struct smmuinv_stream_info {
	size_t size;
	uint32_t vsid;
	uint32_t viommu_id;
	uint32_t vdevice_id;
	uint32_t dev_id;
	bool ats;
	bool owes;
	bool made;
	uint8_t reserved[5];
};

SMMUINV_END_DECLS

#endif /* SMMUINV_STREAM_H */
