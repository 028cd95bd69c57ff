/* SPDX-License-Identifier: MIT */
#include "meter.h"

#include "backend.h"

/* The driver's command batch has 64 places, of which a CMD_SYNC takes one. */
#define BLOCK 63u

static int meter_device_info(void *context, uint32_t dev_id,
			     struct smmuinv_device_info *info)
{
	const struct meter *m = context;

	return m->inner ? smmuinv_backend_device_info(m->inner, dev_id, info) :
			  0;
}

static int meter_vdevice_alloc(void *context, uint32_t viommu_id,
			       uint32_t dev_id, uint64_t virt_id,
			       uint32_t *vdevice_id)
{
	const struct meter *m = context;

	*vdevice_id = 1;
	if (!m->inner)
		return 0;
	return smmuinv__backend_vdevice_alloc(m->inner, viommu_id, dev_id,
					      (uint32_t)virt_id, vdevice_id);
}

static int meter_destroy(void *context, uint32_t id)
{
	const struct meter *m = context;

	return m->inner ? smmuinv__backend_destroy(m->inner, id) : 0;
}

static int is_tlbi(const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_TLBI_NH_ALL:
	case SMMUINV_CMD_TLBI_NH_ASID:
	case SMMUINV_CMD_TLBI_NH_VA:
	case SMMUINV_CMD_TLBI_NH_VAA:
	case SMMUINV_CMD_TLBI_NSNH_ALL:
		return 1;
	default:
		return 0;
	}
}

static int meter_invalidate(void *context, uint32_t viommu_id,
			    const struct smmuinv_command *commands,
			    uint32_t *count)
{
	struct meter *m = context;
	uint32_t asked = *count;
	uint64_t start;
	int rc;

	m->ioctls++;
	m->commands += asked;
	m->syncs += (asked + BLOCK - 1) / BLOCK;
	if (!m->inner)
		return 0;
	start = now_ns();
	rc = smmuinv__backend_invalidate(m->inner, viommu_id, commands, count);
	m->ns += now_ns() - start;
	for (uint32_t i = 0; i < asked; i++)
		m->tlbis += (uint64_t)is_tlbi(&commands[i]);
	return rc;
}

static const struct smmuinv_backend_ops meter_ops = {
	.size = sizeof(meter_ops),
	.device_info = meter_device_info,
	.vdevice_alloc = meter_vdevice_alloc,
	.destroy = meter_destroy,
	.invalidate = meter_invalidate,
};

int meter_open(struct meter *meter, struct smmuinv_backend *inner)
{
	*meter = (struct meter){ .inner = inner };
	return smmuinv_backend_new(&meter_ops, meter, &meter->backend);
}

void meter_close(struct meter *meter)
{
	smmuinv_backend_free(meter->backend);
	meter->backend = NULL;
}

void meter_reset(struct meter *meter)
{
	meter->ioctls = 0;
	meter->commands = 0;
	meter->tlbis = 0;
	meter->syncs = 0;
	meter->ns = 0;
}
