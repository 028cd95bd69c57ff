/* SPDX-License-Identifier: MIT */
#include "recorder.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>

#include "backend.h"
#include "machine.h"

static int pass_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	const struct recorder *recorder = context;

	return smmuinv_backend_device_info(recorder->inner, dev_id, info);
}

static int pass_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	const struct recorder *recorder = context;

	return smmuinv__backend_vdevice_alloc(recorder->inner, viommu_id,
					      dev_id, (uint32_t)virt_id,
					      vdevice_id);
}

static int pass_destroy(void *context, uint32_t id)
{
	const struct recorder *recorder = context;

	return smmuinv__backend_destroy(recorder->inner, id);
}

static void print_call(const struct smmuinv_command *commands, uint32_t count)
{
	printf("CALL %" PRIu32 "\n", count);
	for (uint32_t i = 0; i < count; i++)
		printf("SENT %016" PRIx64 " %016" PRIx64 "\n",
		       le64toh(commands[i].dw[0]), le64toh(commands[i].dw[1]));
}

static int pass_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct recorder *recorder = context;
	uint32_t asked = *count;
	int error;

	error = smmuinv__backend_invalidate(recorder->inner, viommu_id,
					    commands, count);
	if (!recorder->open)
		return error;
	recorder->commands += asked;
	recorder->calls++;
	print_call(commands, asked);
	printf("RESULT %d %" PRIu32 "\n", error, *count);
	return error;
}

static const struct smmuinv_backend_ops recorder_ops = {
	.size = sizeof(recorder_ops),
	.device_info = pass_device_info,
	.vdevice_alloc = pass_vdevice_alloc,
	.destroy = pass_destroy,
	.invalidate = pass_invalidate,
};

int recorder_init(struct recorder *recorder, struct smmuinv_backend *inner,
		  uint32_t viommu)
{
	*recorder = (struct recorder){ .inner = inner, .viommu = viommu };
	return smmuinv_backend_new(&recorder_ops, recorder, &recorder->backend);
}

void recorder_free(struct recorder *recorder)
{
	smmuinv_backend_free(recorder->backend);
	recorder->backend = NULL;
}

static void mark(struct recorder *recorder, uint16_t asid)
{
	struct smmuinv_command command;
	uint32_t count = 1;
	int error = smmuinv_command_tlbi_nh_asid(&command, asid);

	if (!error)
		error = smmuinv__backend_invalidate(
			recorder->inner, recorder->viommu, &command, &count);
	if (error)
		machine_fail("the mark of a window", error);
}

void recorder_begin(struct recorder *recorder, const char *name)
{
	printf("WINDOW begin %s\n", name);
	mark(recorder, RECORDER_ASID_BEGIN);
	recorder->open = true;
}

void recorder_end(struct recorder *recorder)
{
	if (!recorder->open)
		return;
	recorder->open = false;
	mark(recorder, RECORDER_ASID_END);
	printf("WINDOW end\n");
}
