// SPDX-License-Identifier: MIT
/*
 * Proves the machine, without the library under test: the SMMU translates the
 * device's DMA by the guest's own tables, keeps a stale translation, and drops
 * it when the kernel is given the guest's invalidation.
 */
#include <inttypes.h>
#include <stdio.h>

#include "edu.h"
#include "guest_tables.h"
#include "iommufd.h"
#include "machine.h"
#include "vfio.h"

#define MEMORY_IPA  UINT64_C(0x40000000)
#define MEMORY_SIZE ((size_t)16 << 20)

#define VSID 0x42
#define ASID 7

#define LANDING_VA   UINT64_C(0x10000000)
#define PROBE_VA     UINT64_C(0x7654321000)
#define BLOCK_VA     UINT64_C(0x123400000000)
#define BLOCK_OFFSET UINT64_C(0x123450)

#define PATTERN_A 0xaaaa0001U
#define PATTERN_B 0xbbbb0002U
#define PATTERN_C 0xcccc0003U
#define PATTERN_D 0xdddd0004U

/* Opcodes (IHI 0070, 4.3 and 4.4). */
#define CFGI_CD    0x05U
#define TLBI_NH_VA 0x12U

struct probe {
	int iommufd;
	struct vfio_device device;
	struct edu edu;
	struct guest_memory memory;
	struct stage1 stage1;
	struct guest_piece cd;
	struct guest_piece landing;
	uint32_t ioas;
	uint32_t parent;
	uint32_t viommu;
	uint32_t vdevice;
	uint32_t nested;
};

static void need(const char *what, int result)
{
	if (result < 0)
		machine_fail(what, result);
	printf("ok: %s\n", what);
}

static void open_device(struct probe *probe)
{
	char address[VFIO_ADDRESS_SIZE];

	need("find edu", vfio_find(EDU_VENDOR, EDU_DEVICE, 0, address));
	need("vfio-pci", vfio_open(&probe->device, address));
	probe->iommufd = iommufd_open();
	need("/dev/iommu", probe->iommufd);
	need("bind", vfio_bind(&probe->device, probe->iommufd));
	need("BAR0", vfio_map_bar0(&probe->device));
}

static void print_hw_info(const struct probe *probe)
{
	struct iommu_hw_info_arm_smmuv3 info;
	uint64_t capabilities;

	need("hw_info", iommufd_hw_info(probe->iommufd, probe->device.id,
					&capabilities, &info));
	for (int i = 0; i < 6; i++)
		printf("idr%d %08x\n", i, info.idr[i]);
	printf("iidr %08x aidr %08x flags %08x capabilities %" PRIx64 "\n",
	       info.iidr, info.aidr, info.flags, capabilities);
}

static void make_viommu(struct probe *probe)
{
	int fd = probe->iommufd;
	uint32_t device = probe->device.id;

	need("guest memory",
	     guest_memory_init(&probe->memory, MEMORY_IPA, MEMORY_SIZE));
	need("IOAS", iommufd_ioas_alloc(fd, &probe->ioas));
	need("IOAS_MAP", iommufd_ioas_map(fd, probe->ioas, probe->memory.base,
					  MEMORY_SIZE, MEMORY_IPA));
	need("parent HWPT", iommufd_hwpt_alloc_parent(fd, device, probe->ioas,
						      &probe->parent));
	need("vIOMMU",
	     iommufd_viommu_alloc(fd, device, probe->parent, &probe->viommu));
	need("vDEVICE", iommufd_vdevice_alloc(fd, probe->viommu, device, VSID,
					      &probe->vdevice));
}

static void make_tables(struct probe *probe)
{
	stage1_init(&probe->stage1, &probe->memory);
	probe->cd = guest_memory_take(&probe->memory, CONTEXT_DESCRIPTOR_SIZE);
	probe->landing = guest_memory_take(&probe->memory, EDU_BUFFER_SIZE);
	stage1_map_page(&probe->stage1, LANDING_VA, probe->landing.ipa,
			STAGE1_ASID);
	context_descriptor_write(&probe->cd, ASID, &probe->stage1);
}

static void attach(struct probe *probe)
{
	struct iommufd_vste vste = vste_translate(&probe->cd);

	need("nested HWPT",
	     iommufd_hwpt_alloc_nested(probe->iommufd, probe->device.id,
				       probe->viommu, &vste, &probe->nested));
	need("attach", vfio_attach(&probe->device, probe->nested));
	need("bus master", vfio_enable_bus_master(&probe->device));
	need("edu", edu_init(&probe->edu, probe->device.bar0, LANDING_VA,
			     probe->landing.memory));
}

static void expect_at(struct probe *probe, const char *what, uint64_t va,
		      uint32_t pattern)
{
	uint32_t seen = 0;
	int error = edu_dma_read(&probe->edu, va, sizeof(seen), &seen);

	if (error)
		machine_fail(what, error);
	printf("%s: %s: the device sees %08x\n",
	       seen == pattern ? "ok" : "WRONG", what, seen);
	if (seen != pattern)
		machine_power_off(1);
}

static void expect(struct probe *probe, const char *what, uint32_t pattern)
{
	expect_at(probe, what, PROBE_VA, pattern);
}

static void invalidate(struct probe *probe, const char *what, uint64_t word0,
		       uint64_t word1)
{
	const struct iommufd_command command = {.word = {word0, word1}};
	uint32_t count = 1;

	need(what, iommufd_invalidate(probe->iommufd, probe->viommu, &command,
				      &count));
	if (count != 1)
		machine_fail("not one command done", 0);
}

static void prove_tlbi(struct probe *probe)
{
	struct guest_piece a = guest_memory_take_filled(
		&probe->memory, GUEST_PAGE_SIZE, PATTERN_A);
	struct guest_piece b = guest_memory_take_filled(
		&probe->memory, GUEST_PAGE_SIZE, PATTERN_B);

	stage1_map_page(&probe->stage1, PROBE_VA, a.ipa, STAGE1_ASID);
	expect(probe, "page A", PATTERN_A);
	stage1_map_page(&probe->stage1, PROBE_VA, b.ipa, STAGE1_ASID);
	expect(probe, "page B mapped, still A (stale)", PATTERN_A);
	invalidate(probe, "TLBI_NH_VA", TLBI_NH_VA | (uint64_t)ASID << 48,
		   PROBE_VA | 1);
	expect(probe, "page B", PATTERN_B);
}

static void prove_block(struct probe *probe)
{
	const uint32_t written = PATTERN_B;
	struct guest_piece d = guest_memory_take_filled(
		&probe->memory, GUEST_BLOCK_SIZE, PATTERN_D);
	const volatile uint32_t *words = d.memory;

	stage1_map_block(&probe->stage1, BLOCK_VA, d.ipa, STAGE1_GLOBAL);
	expect_at(probe, "global block D", BLOCK_VA + BLOCK_OFFSET, PATTERN_D);
	need("DMA write", edu_dma_write(&probe->edu, BLOCK_VA + BLOCK_OFFSET,
					sizeof(written), &written));
	if (words[BLOCK_OFFSET / sizeof(*words)] != written ||
	    words[BLOCK_OFFSET / sizeof(*words) + 1] != PATTERN_D)
		machine_fail("the block does not hold what was written", 0);
}

/* Another ASID, so that only a stale descriptor could lead to the old page. */
static void prove_cfgi(struct probe *probe)
{
	struct stage1 other;
	struct guest_piece c = guest_memory_take_filled(
		&probe->memory, GUEST_PAGE_SIZE, PATTERN_C);

	stage1_init(&other, &probe->memory);
	stage1_map_page(&other, LANDING_VA, probe->landing.ipa, STAGE1_ASID);
	stage1_map_page(&other, PROBE_VA, c.ipa, STAGE1_ASID);
	context_descriptor_write(&probe->cd, ASID + 1, &other);
	expect(probe, "other descriptor, still B (stale)", PATTERN_B);
	invalidate(probe, "CFGI_CD", CFGI_CD | (uint64_t)VSID << 32, 1);
	expect(probe, "page C", PATTERN_C);
}

/* Nothing is mapped there: a refused transfer must read as zeros. */
static void prove_fault(struct probe *probe)
{
	uint32_t seen = PATTERN_A;

	need("DMA to nowhere",
	     edu_dma_read(&probe->edu, PROBE_VA << 4, sizeof(seen), &seen));
	if (seen)
		machine_fail("it did not read as zero", 0);
}

static void take_down(struct probe *probe)
{
	int fd = probe->iommufd;

	need("detach", vfio_detach(&probe->device));
	need("destroy nested", iommufd_destroy(fd, probe->nested));
	need("destroy vDEVICE", iommufd_destroy(fd, probe->vdevice));
	need("destroy vIOMMU", iommufd_destroy(fd, probe->viommu));
	need("destroy parent", iommufd_destroy(fd, probe->parent));
	need("destroy IOAS", iommufd_destroy(fd, probe->ioas));
	vfio_close(&probe->device);
	guest_memory_free(&probe->memory);
}

int main(void)
{
	static struct probe probe;

	machine_boot_init();
	open_device(&probe);
	print_hw_info(&probe);
	make_viommu(&probe);
	make_tables(&probe);
	attach(&probe);
	prove_tlbi(&probe);
	prove_block(&probe);
	prove_cfgi(&probe);
	prove_fault(&probe);
	take_down(&probe);
	printf("all proved\n");
	machine_power_off(0);
}
