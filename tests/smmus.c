/* SPDX-License-Identifier: MIT */
#include "smmus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/backend.h"
#include "fixture.h"

/* A name is a number of the SMMU's and one of its mock's. */
#define WHICH_SHIFT 24

static uint32_t global(uint32_t which, uint32_t id)
{
	return (which + 1) << WHICH_SHIFT | id;
}

static uint32_t local(uint32_t id)
{
	return id & ((1u << WHICH_SHIFT) - 1);
}

static struct smmu *smmu_of(void *context, uint32_t id)
{
	struct smmus *s = context;
	uint32_t which = (id >> WHICH_SHIFT) - 1;

	return which < s->count ? &s->smmu[which] : NULL;
}

static int all_device_info(void *context, uint32_t dev_id,
			   struct smmuinv_device_info *info)
{
	struct smmu *smmu = smmu_of(context, dev_id);

	return smmuinv_backend_device_info(smmu->behind, local(dev_id), info);
}

static int all_vdevice_alloc(void *context, uint32_t viommu_id, uint32_t dev_id,
			     uint64_t virt_id, uint32_t *vdevice_id)
{
	struct smmus *s = context;
	struct smmu *smmu = smmu_of(context, viommu_id);
	uint32_t id;
	int rc;

	/* As the kernel: the device is behind another SMMU. */
	if (!smmu || smmu != smmu_of(context, dev_id))
		return -EINVAL;
	rc = smmuinv__backend_vdevice_alloc(smmu->behind, local(viommu_id),
					    local(dev_id), (uint32_t)virt_id,
					    &id);
	if (!rc)
		*vdevice_id = global((uint32_t)(smmu - s->smmu), id);
	return rc;
}

static int all_destroy(void *context, uint32_t id)
{
	return smmuinv__backend_destroy(smmu_of(context, id)->behind,
					local(id));
}

static int all_invalidate(void *context, uint32_t viommu_id,
			  const struct smmuinv_command *commands,
			  uint32_t *count)
{
	struct smmus *s = context;
	struct smmu *smmu = smmu_of(context, viommu_id);
	uint32_t asked = *count;
	int rc = smmuinv__backend_invalidate(smmu->behind, local(viommu_id),
					     commands, count);

	if (s->watch)
		s->watch(s->watcher, (uint32_t)(smmu - s->smmu), commands,
			 asked, rc);
	return rc;
}

static const struct smmuinv_backend_ops all_ops = {
	.size = sizeof(all_ops),
	.device_info = all_device_info,
	.vdevice_alloc = all_vdevice_alloc,
	.destroy = all_destroy,
	.invalidate = all_invalidate,
};

void smmus_init(struct smmus *s, uint32_t count)
{
	uint32_t i;

	*s = (struct smmus){
		.count = count,
		.params = {
			.size = sizeof(s->params),
			.guest = everything,
			.plan = SMMUINV_PLAN_AS_WRITTEN,
		},
	};
	for (i = 0; i < count; i++)
		s->smmu[i].host = everything;
}

static void smmu_open(struct smmu *smmu)
{
	const struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = smmu->host,
		.kernel = smmu->kernel,
		.caches = smmu->caches,
	};

	assert_int_equal(smmuinv_mock_new(&mock, &smmu->mock), 0);
	assert_int_equal(smmuinv_mock_backend(smmu->mock, &smmu->behind), 0);
	assert_int_equal(smmuinv_mock_add_viommu(smmu->mock, &smmu->viommu), 0);
}

void smmus_open(struct smmus *s)
{
	struct smmuinv_vsmmu_params params = s->params;
	uint32_t i;

	for (i = 0; i < s->count; i++)
		smmu_open(&s->smmu[i]);
	assert_int_equal(smmuinv_backend_new(&all_ops, s, &s->backend), 0);
	params.backend = s->backend;
	params.viommu_id = smmus_viommu(s, 0);
	params.host = s->smmu[0].host;
	params.hw_flags = s->smmu[0].hw_flags;
	assert_int_equal(smmuinv_vsmmu_new(&params, &s->vsmmu), 0);
	s->streams = smmuinv_vsmmu_streams(s->vsmmu);
	for (i = 1; i < s->count; i++)
		assert_int_equal(smmus_attach(s, i), 0);
}

void smmus_close(struct smmus *s)
{
	uint32_t i;

	smmuinv_vsmmu_free(s->vsmmu);
	smmuinv_backend_free(s->backend);
	for (i = 0; i < s->count; i++) {
		smmuinv_backend_free(s->smmu[i].behind);
		smmuinv_mock_free(s->smmu[i].mock);
	}
}

uint32_t smmus_viommu(const struct smmus *s, uint32_t which)
{
	return global(which, s->smmu[which].viommu);
}

uint32_t smmus_add_device(struct smmus *s, uint32_t which)
{
	uint32_t id;

	assert_int_equal(smmuinv_mock_add_device(s->smmu[which].mock, &id), 0);
	return global(which, id);
}

struct smmuinv_viommu_params smmus_viommu_params(const struct smmus *s,
						 uint32_t which)
{
	return (struct smmuinv_viommu_params){
		.size = sizeof(struct smmuinv_viommu_params),
		.viommu_id = smmus_viommu(s, which),
		.hw_flags = s->smmu[which].hw_flags,
		.host = s->smmu[which].host,
	};
}

int smmus_attach(struct smmus *s, uint32_t which)
{
	const struct smmuinv_viommu_params params =
		smmus_viommu_params(s, which);

	return smmuinv_vsmmu_add_viommu(s->vsmmu, &params);
}

int smmus_detach(struct smmus *s, uint32_t which)
{
	return smmuinv_vsmmu_remove_viommu(s->vsmmu, smmus_viommu(s, which));
}

void smmus_plug(struct smmus *s, uint32_t which, uint32_t vsid)
{
	assert_int_equal(add_to_table(s->streams, smmus_viommu(s, which),
				      smmus_add_device(s, which), vsid),
			 0);
	assert_int_equal(smmuinv_streams_set(s->streams, vsid, true, true), 0);
}

void smmus_inject(struct smmus *s, uint32_t which, int error, uint32_t executed,
		  uint32_t count)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.error = error,
		.executed = executed,
		.count = count,
	};

	assert_int_equal(smmuinv_mock_inject(s->smmu[which].mock, &fault), 0);
}

size_t smmus_executed(struct smmus *s, uint32_t which)
{
	return smmuinv_mock_executed(s->smmu[which].mock, NULL);
}

size_t smmus_times(struct smmus *s, uint32_t which,
		   const struct smmuinv_command *command)
{
	const struct smmuinv_command *executed;
	size_t n = smmuinv_mock_executed(s->smmu[which].mock, &executed);
	size_t times = 0;
	size_t i;

	for (i = 0; i < n; i++)
		times += !memcmp(&executed[i], command, sizeof(*command));
	return times;
}

uint64_t smmus_calls(struct smmus *s, uint32_t which)
{
	return smmuinv_mock_calls(s->smmu[which].mock);
}

void smmus_forget(struct smmus *s)
{
	uint32_t i;

	for (i = 0; i < s->count; i++)
		smmuinv_mock_forget(s->smmu[i].mock);
}

size_t smmus_faults_left(struct smmus *s)
{
	size_t left = 0;
	uint32_t i;

	for (i = 0; i < s->count; i++)
		left += smmuinv_mock_faults_left(s->smmu[i].mock);
	return left;
}
