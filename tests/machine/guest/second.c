/* SPDX-License-Identifier: MIT */
#include "second.h"

#include "cmocka-all.h"

/* Not the rig's: on one SMMU, both have a TLB and an ASID in common. */
#define LANDING_VA UINT64_C(0x20000000)

struct pci_device second_device;
bool second_has_an_smmu_of_its_own;

static void open_device(struct second *second)
{
	struct nested *nested = &second->nested;
	const struct nested *first = &second->rig->nested;

	*nested = (struct nested){
		.iommufd = first->iommufd,
		.backend = first->backend,
		.info.size = sizeof(nested->info),
		.ioas = first->ioas,
		.parent = first->parent,
		.viommu = first->viommu,
	};
	assert_int_equal(vfio_open(&nested->device, second_device.cdev), 0);
	assert_int_equal(vfio_bind(&nested->device, nested->iommufd), 0);
	assert_int_equal(smmuinv_backend_device_info(nested->backend,
						     nested->device.id,
						     &nested->info),
			 0);
	assert_int_equal(smmuinv_features_from_hw_info(
				 &nested->host, &nested->info.hw, false, NULL),
			 0);
	assert_int_equal(vfio_map_bar0(&nested->device), 0);
	assert_int_equal(vfio_enable_bus_master(&nested->device), 0);
}

int second_add_viommu(struct second *second)
{
	const struct smmuinv_viommu_params params = {
		.size = sizeof(params),
		.viommu_id = second->nested.viommu,
		.hw_flags = second->nested.info.hw.flags,
		.host = second->nested.host,
	};

	return smmuinv_vsmmu_add_viommu(second->rig->vsmmu, &params, NULL);
}

/* Stage 2 is a page table of each SMMU's; the memory is the same. */
static void make_viommu(struct second *second)
{
	struct nested *nested = &second->nested;
	uint32_t device = nested->device.id;

	assert_int_equal(iommufd_hwpt_alloc_parent(nested->iommufd, device,
						   nested->ioas,
						   &nested->parent),
			 0);
	assert_int_equal(iommufd_viommu_alloc(nested->iommufd, device,
					      nested->parent, &nested->viommu),
			 0);
	assert_int_equal(second_add_viommu(second), 0);
}

void second_plug(struct second *second)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.viommu_id = second->nested.viommu,
		.dev_id = second->nested.device.id,
		.vsid = SECOND_VSID,
	};

	assert_int_equal(smmuinv_vsmmu_add_stream(second->rig->vsmmu, &params),
			 0);
}

void second_unplug(struct second *second)
{
	assert_int_equal(
		smmuinv_vsmmu_remove_stream(second->rig->vsmmu, SECOND_VSID),
		0);
}

static void attach(struct second *second)
{
	struct guest_memory *memory = &second->rig->memory;
	struct iommufd_vste vste;

	stage1_init(&second->stage1, memory);
	second->cd = guest_memory_take(memory, CONTEXT_DESCRIPTOR_SIZE);
	second->landing = guest_memory_take(memory, EDU_BUFFER_SIZE);
	stage1_map_page(&second->stage1, LANDING_VA, second->landing.ipa,
			STAGE1_ASID);
	context_descriptor_write(&second->cd, RIG_ASID, &second->stage1);
	vste = vste_translate(&second->cd);
	assert_int_equal(nested_attach(&second->nested, &vste), 0);
	assert_int_equal(edu_init(&second->edu, second->nested.device.bar0,
				  LANDING_VA, second->landing.memory),
			 0);
}

void second_open(struct second *second, struct rig *rig)
{
	*second = (struct second){ .rig = rig };
	open_device(second);
	if (second_has_an_smmu_of_its_own)
		make_viommu(second);
	second_plug(second);
	attach(second);
}

void second_close(struct second *second)
{
	struct nested *nested = &second->nested;

	assert_int_equal(nested_detach(nested), 0);
	second_unplug(second);
	if (second_has_an_smmu_of_its_own) {
		assert_int_equal(smmuinv_vsmmu_remove_viommu(second->rig->vsmmu,
							     nested->viommu),
				 0);
		assert_int_equal(
			iommufd_destroy(nested->iommufd, nested->viommu), 0);
		assert_int_equal(
			iommufd_destroy(nested->iommufd, nested->parent), 0);
	}
	vfio_close(&nested->device);
}

void second_expect(struct second *second, uint64_t va, uint32_t pattern)
{
	uint32_t seen = 0;

	assert_int_equal(edu_dma_read(&second->edu, va, sizeof(seen), &seen),
			 0);
	assert_int_equal(seen, pattern);
}

void second_make_stale(struct second *second, uint64_t va,
		       enum stage1_scope scope)
{
	struct guest_memory *memory = &second->rig->memory;
	struct guest_piece a =
		guest_memory_take_filled(memory, GUEST_PAGE_SIZE, PATTERN_A);
	struct guest_piece b =
		guest_memory_take_filled(memory, GUEST_PAGE_SIZE, PATTERN_B);

	stage1_map_page(&second->stage1, va, a.ipa, scope);
	second_expect(second, va, PATTERN_A);
	stage1_map_page(&second->stage1, va, b.ipa, scope);
	second_expect(second, va, PATTERN_A);
}
