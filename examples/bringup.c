/* SPDX-License-Identifier: MIT */
/*
 * The life of a virtual SMMU over the real kernel: from the device's file to
 * one forwarded invalidation, and back. What a VMM asks the kernel for without
 * the library is in nested.c.
 *
 * The device must be bound to vfio-pci, on an SMMUv3 that can nest, on
 * Linux 6.13 or newer.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "nested.h"

/* Where the guest has its memory, and how much. */
#define MEMORY_IPA  UINT64_C(0x40000000)
#define MEMORY_SIZE ((size_t)2 << 20)

#define VSID_DEFAULT 0x10

/* How many commands may wait for a flush. */
#define BATCH_CAPACITY 256

struct vmm {
	struct nested nested;
	void *memory;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_batch *batch;
};

static void usage(FILE *to)
{
	fputs("usage: bringup CDEV [VSID]\n"
	      "\n"
	      "Makes a virtual SMMU for one device, forwards one invalidation\n"
	      "of a guest to the host's SMMU, and takes everything down "
	      "again.\n"
	      "\n"
	      "  CDEV   the device's file, such as /dev/vfio/devices/vfio0\n"
	      "  VSID   the StreamID that the guest knows it by (default "
	      "0x10)\n"
	      "\n"
	      "exit status: 0 done, 1 a step failed, 2 wrong usage\n",
	      to);
}

static int failed(const char *step, int error)
{
	fprintf(stderr, "bringup: %s: %s\n", step, strerror(-error));
	return error;
}

static void print_features(const char *whose, const struct smmuinv_features *f)
{
	printf("%s SMMU:", whose);
	for (int i = 0; i < 6; i++)
		printf(" IDR%d=%08" PRIx32, i, f->idr[i]);
	printf("\n");
}

/* 1. The device, the host's SMMU and a vIOMMU on it. */
static int open_host(struct vmm *vmm, const char *cdev)
{
	int error = nested_open(&vmm->nested, cdev);

	if (error)
		return failed(vmm->nested.step, error);
	print_features("the host's", &vmm->nested.host);
	return 0;
}

/* 2. The guest's memory: the SMMU will read the guest's tables in it. */
static int give_memory(struct vmm *vmm)
{
	int error;

	vmm->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (vmm->memory == MAP_FAILED) {
		vmm->memory = NULL;
		return failed("the guest's memory", -errno);
	}
	error = nested_map(&vmm->nested, vmm->memory, MEMORY_SIZE, MEMORY_IPA);
	return error ? failed(vmm->nested.step, error) : 0;
}

/*
 * 3. What the guest is shown of the SMMU. The VMM answers the guest's reads of
 * SMMU_IDR0 to SMMU_IDR5 with it.
 */
static int make_vsmmu(struct vmm *vmm)
{
	const struct smmuinv_offer offer = { .size = sizeof(offer) };
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = vmm->nested.backend,
		.viommu_id = vmm->nested.viommu,
		.host = vmm->nested.host,
		.hw_flags = vmm->nested.info.hw.flags,
	};
	uint32_t lacking;
	int error;

	error = smmuinv_features_offer(&params.guest, &params.host, &offer,
				       &lacking);
	if (error == -EOPNOTSUPP)
		return failed(smmuinv_feature_name(lacking), error);
	if (error)
		return failed("smmuinv_features_offer", error);
	print_features("the guest's", &params.guest);
	error = smmuinv_vsmmu_new(&params, &vmm->vsmmu, &lacking);
	if (error == -EOPNOTSUPP)
		return failed(smmuinv_feature_name(lacking), error);
	return error ? failed("smmuinv_vsmmu_new", error) : 0;
}

/*
 * 4. The device gets its StreamID: the VMM makes the vDEVICE, and the library
 * is given its id. Then what the guest wrote into its stream table is attached:
 * here, that DMA is not translated. A VMM attaches again at each CFGI_STE.
 */
static int attach_device(struct vmm *vmm, uint32_t vsid)
{
	const struct iommufd_vste vste = iommufd_vste_bypass();
	struct smmuinv_stream_params stream = {
		.size = sizeof(stream),
		.vsid = vsid,
	};
	int error = nested_plug(&vmm->nested, vsid);

	if (error)
		return failed(vmm->nested.step, error);
	stream.vdevice_id = vmm->nested.vdevice;
	error = smmuinv_vsmmu_add_stream(vmm->vsmmu, &stream);
	if (error)
		return failed("smmuinv_vsmmu_add_stream", error);
	/* smmuinv_vsmmu_set_ats() is for an STE with EATS; queue.c has it. */
	error = nested_attach(&vmm->nested, &vste);
	return error ? failed(vmm->nested.step, error) : 0;
}

static void print_command(const struct smmuinv_command *command)
{
	char text[SMMUINV_COMMAND_TEXT_MAX];

	smmuinv_command_print(command, text, sizeof(text));
	printf("the guest's command: %s\n", text);
}

/*
 * 5. An invalidation. Here it comes from a builder. A VMM copies the 16 bytes
 * from the guest's queue, or lets smmuinv_queue_consume() do all of it.
 */
static int invalidate(struct vmm *vmm)
{
	const struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.va = UINT64_C(0x12345000),
		.asid = 1,
		.leaf = true,
	};
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_command command;
	int verdict;
	int error;

	error = smmuinv_batch_new(vmm->vsmmu, BATCH_CAPACITY, &vmm->batch);
	if (error)
		return failed("smmuinv_batch_new", error);
	error = smmuinv_command_tlbi_nh_va(&command, &tlbi);
	if (error)
		return failed("smmuinv_command_tlbi_nh_va", error);
	print_command(&command);
	verdict = smmuinv_batch_add(vmm->batch, &command, NULL);
	if (verdict < 0)
		return failed("smmuinv_batch_add", verdict);
	if (verdict != SMMUINV_FORWARD)
		return failed("the command does not go to the host", -EINVAL);
	error = smmuinv_batch_flush(vmm->batch, &result);
	if (error)
		return failed("smmuinv_batch_flush", error);
	printf("done: %" PRIu32 " of 1 by the host, in %" PRIu32 " call(s)\n",
	       result.forwarded, result.ioctls);
	return 0;
}

/* 6. Children first; the order matters to the kernel. */
static int take_down(struct vmm *vmm)
{
	int error = nested_detach(&vmm->nested);
	int later;

	if (error)
		failed(vmm->nested.step, error);
	smmuinv_batch_free(vmm->batch);
	smmuinv_vsmmu_free(vmm->vsmmu); /* the vDEVICE stays the VMM's */
	later = nested_close(&vmm->nested);
	if (later)
		failed(vmm->nested.step, later);
	if (vmm->memory)
		munmap(vmm->memory, MEMORY_SIZE);
	return error ? error : later;
}

static int live(const char *cdev, uint32_t vsid)
{
	struct vmm vmm = { 0 };
	int error = open_host(&vmm, cdev);
	int later;

	if (error)
		return error;
	error = give_memory(&vmm);
	if (!error)
		error = make_vsmmu(&vmm);
	if (!error)
		error = attach_device(&vmm, vsid);
	if (!error)
		error = invalidate(&vmm);
	later = take_down(&vmm);
	return error ? error : later;
}

/* Returns 0, or -EINVAL for what is no StreamID. */
static int parse_vsid(const char *text, uint32_t *vsid)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || end == text || *text == '-' || value > UINT32_MAX)
		return -EINVAL;
	*vsid = (uint32_t)value;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	uint32_t vsid = VSID_DEFAULT;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		usage(option == 'h' ? stdout : stderr);
		return option == 'h' ? 0 : 2;
	}
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > 2 || (argc == 2 && parse_vsid(argv[1], &vsid))) {
		usage(stderr);
		return 2;
	}
	return live(argv[0], vsid) ? 1 : 0;
}
