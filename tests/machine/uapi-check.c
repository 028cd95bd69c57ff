/* SPDX-License-Identifier: MIT */
/*
 * Holds every definition of the kernel's interface that the library carries
 * against the kernel's own header. Compiling it is the test. What older headers
 * lack is asked for by HAVE_*: run.sh looks into the header first.
 */
#include <stddef.h>

#include <linux/iommufd.h>

#include <smmuinv/smmuinv.h>

#include "iommufd-uapi.h"

#define SAME(ours, theirs) \
	_Static_assert((ours) == (theirs), #ours " is not " #theirs)

#define SIZE_OF(type, field) sizeof(((type *)0)->field)

/* The field is at the same place in both, and as long. */
#define SAME_FIELD(ours, our_field, theirs, their_field)                \
	SAME(offsetof(ours, our_field), offsetof(theirs, their_field)); \
	SAME(SIZE_OF(ours, our_field), SIZE_OF(theirs, their_field))

SAME(UAPI_IOMMUFD_TYPE, IOMMUFD_TYPE);
SAME(UAPI_IOMMU_DESTROY, IOMMU_DESTROY);
SAME(UAPI_IOMMU_GET_HW_INFO, IOMMU_GET_HW_INFO);
SAME(UAPI_IOMMU_HWPT_INVALIDATE, IOMMU_HWPT_INVALIDATE);
SAME(UAPI_IOMMU_VDEVICE_ALLOC, IOMMU_VDEVICE_ALLOC);
SAME(UAPI_IOMMU_HW_INFO_TYPE_ARM_SMMUV3, IOMMU_HW_INFO_TYPE_ARM_SMMUV3);
SAME(UAPI_IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
     IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3);

#define OURS   struct uapi_iommu_destroy
#define THEIRS struct iommu_destroy
SAME(sizeof(OURS), sizeof(THEIRS));
SAME_FIELD(OURS, size, THEIRS, size);
SAME_FIELD(OURS, id, THEIRS, id);
#undef OURS
#undef THEIRS

#define OURS   struct uapi_iommu_hw_info
#define THEIRS struct iommu_hw_info
SAME(sizeof(OURS), sizeof(THEIRS));
SAME_FIELD(OURS, size, THEIRS, size);
SAME_FIELD(OURS, flags, THEIRS, flags);
SAME_FIELD(OURS, dev_id, THEIRS, dev_id);
SAME_FIELD(OURS, data_len, THEIRS, data_len);
SAME_FIELD(OURS, data_uptr, THEIRS, data_uptr);
SAME_FIELD(OURS, out_data_type, THEIRS, out_data_type);
SAME_FIELD(OURS, out_capabilities, THEIRS, out_capabilities);
#ifdef HAVE_OUT_MAX_PASID_LOG2
SAME_FIELD(OURS, out_max_pasid_log2, THEIRS, out_max_pasid_log2);
SAME_FIELD(OURS, reserved, THEIRS, __reserved);
#endif
#undef OURS
#undef THEIRS

#define OURS   struct uapi_iommu_hwpt_invalidate
#define THEIRS struct iommu_hwpt_invalidate
SAME(sizeof(OURS), sizeof(THEIRS));
SAME_FIELD(OURS, size, THEIRS, size);
SAME_FIELD(OURS, hwpt_id, THEIRS, hwpt_id);
SAME_FIELD(OURS, data_uptr, THEIRS, data_uptr);
SAME_FIELD(OURS, data_type, THEIRS, data_type);
SAME_FIELD(OURS, entry_len, THEIRS, entry_len);
SAME_FIELD(OURS, entry_num, THEIRS, entry_num);
SAME_FIELD(OURS, reserved, THEIRS, __reserved);
#undef OURS
#undef THEIRS

#define OURS   struct uapi_iommu_vdevice_alloc
#define THEIRS struct iommu_vdevice_alloc
SAME(sizeof(OURS), sizeof(THEIRS));
SAME_FIELD(OURS, size, THEIRS, size);
SAME_FIELD(OURS, viommu_id, THEIRS, viommu_id);
SAME_FIELD(OURS, dev_id, THEIRS, dev_id);
SAME_FIELD(OURS, out_vdevice_id, THEIRS, out_vdevice_id);
SAME_FIELD(OURS, virt_id, THEIRS, virt_id);
#undef OURS
#undef THEIRS

/* The library's public structures that are the kernel's by layout. */
#define OURS   struct smmuinv_hw_info
#define THEIRS struct iommu_hw_info_arm_smmuv3
SAME(sizeof(OURS), sizeof(THEIRS));
SAME_FIELD(OURS, flags, THEIRS, flags);
SAME_FIELD(OURS, reserved, THEIRS, __reserved);
SAME_FIELD(OURS, idr, THEIRS, idr);
SAME_FIELD(OURS, iidr, THEIRS, iidr);
SAME_FIELD(OURS, aidr, THEIRS, aidr);
#undef OURS
#undef THEIRS

#define OURS   struct smmuinv_command
#define THEIRS struct iommu_viommu_arm_smmuv3_invalidate
SAME(sizeof(OURS), sizeof(THEIRS));
SAME_FIELD(OURS, dw, THEIRS, cmd);
#undef OURS
#undef THEIRS

#ifdef HAVE_PCI_ATS_NOT_SUPPORTED
SAME(SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
#endif
#ifdef HAVE_ERRATA_REPEAT_TLBI_CFGI
SAME(SMMUINV_HW_INFO_REPEAT, IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI);
#endif
