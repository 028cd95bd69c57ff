/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/backend.h"

const struct smmuinv_features everything = { {
	/* S1P, TTF AArch64, COHACC, ATS, ASID16, MSI, SEV, CD2L, */
	/* STALL_MODEL 1 (never) */
	0x0108741a,
	/* SIDSIZE 32, SSIDSIZE 20 */
	0x00000520,
	0,
	/* RIL */
	0x00000400,
	0,
	/* OAS 52, every granule, DS */
	0x000000f6,
} };

static int host_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	const struct fixture *f = context;

	return smmuinv_backend_device_info(f->behind, dev_id, info);
}

static int host_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	const struct fixture *f = context;

	return smmuinv__backend_vdevice_alloc(f->behind, viommu_id, dev_id,
					      (uint32_t)virt_id, vdevice_id);
}

static int host_destroy(void *context, uint32_t id)
{
	const struct fixture *f = context;

	return smmuinv__backend_destroy(f->behind, id);
}

static void note_call(struct fixture *f, const struct smmuinv_command *commands,
		      uint32_t count)
{
	const uint32_t room = sizeof(f->calls[0].commands) / sizeof(*commands);
	struct fixture_call *call;

	if (f->call_count++ >= FIXTURE_CALLS)
		return;
	call = &f->calls[f->call_count - 1];
	call->count = count < room ? count : room;
	memcpy(call->commands, commands, call->count * sizeof(*commands));
}

/* As the kernel does: what it has converted is counted, and not yet sent. */
static bool refuses(const struct fixture *f,
		    const struct smmuinv_command *commands, uint32_t *count)
{
	uint32_t i;

	for (i = 0; f->refused && i < *count; i++) {
		if (memcmp(&commands[i], f->refused, sizeof(*commands)))
			continue;
		*count = i;
		return true;
	}
	return false;
}

static int host_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct fixture *f = context;

	note_call(f, commands, *count);
	if (f->watch)
		f->watch(f, commands, *count);
	if (refuses(f, commands, count))
		return -EIO;
	return smmuinv__backend_invalidate(f->behind, viommu_id, commands,
					   count);
}

static const struct smmuinv_backend_ops host_ops = {
	.size = sizeof(host_ops),
	.device_info = host_device_info,
	.vdevice_alloc = host_vdevice_alloc,
	.destroy = host_destroy,
	.invalidate = host_invalidate,
};

void fixture_open_like(struct fixture *f,
		       const struct smmuinv_vsmmu_params *like,
		       struct smmuinv_caches *caches)
{
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = like->host,
		.caches = caches,
	};
	struct smmuinv_vsmmu_params vsmmu = *like;

	assert_int_equal(smmuinv_mock_new(&mock, &f->mock), 0);
	assert_int_equal(smmuinv_mock_backend(f->mock, &f->behind), 0);
	assert_int_equal(smmuinv_backend_new(&host_ops, f, &f->backend), 0);
	f->refused = NULL;
	f->watch = NULL;
	f->call_count = 0;
	assert_int_equal(smmuinv_mock_add_viommu(f->mock, &f->viommu), 0);
	vsmmu.backend = f->backend;
	vsmmu.viommu_id = f->viommu;
	assert_int_equal(smmuinv_vsmmu_new(&vsmmu, &f->vsmmu), 0);
	f->streams = smmuinv_vsmmu_streams(f->vsmmu);
	f->device = fixture_add_device(f);
	assert_int_equal(plug(f->vsmmu, f->device, FIXTURE_VSID), 0);
}

void fixture_open_with(struct fixture *f, const struct smmuinv_features *host,
		       const struct smmuinv_features *guest,
		       enum smmuinv_plan plan)
{
	const struct smmuinv_vsmmu_params like = {
		.size = sizeof(like),
		.guest = *guest,
		.host = *host,
		.plan = plan,
	};

	fixture_open_like(f, &like, NULL);
}

void fixture_open(struct fixture *f, const struct smmuinv_features *features)
{
	fixture_open_with(f, features, features, SMMUINV_PLAN_AS_WRITTEN);
}

void fixture_close(struct fixture *f)
{
	assert_int_equal(smmuinv_mock_faults_left(f->mock), 0);
	smmuinv_vsmmu_free(f->vsmmu);
	smmuinv_backend_free(f->backend);
	smmuinv_backend_free(f->behind);
	smmuinv_mock_free(f->mock);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fixture_open(f, &everything);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	fixture_close(*state);
	free(*state);
	return 0;
}

uint32_t fixture_add_device(struct fixture *f)
{
	uint32_t id;

	assert_int_equal(smmuinv_mock_add_device(f->mock, &id), 0);
	return id;
}

void fixture_plug(struct fixture *f, uint32_t vsid)
{
	assert_int_equal(plug(f->vsmmu, fixture_add_device(f), vsid), 0);
}

struct smmuinv_stream_info fixture_stream(struct fixture *f, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(smmuinv_streams_find(f->streams, vsid, &info), 0);
	return info;
}

struct smmuinv_counters fixture_counters(struct fixture *f)
{
	struct smmuinv_counters counters = { .size = sizeof(counters) };

	assert_int_equal(smmuinv_vsmmu_counters(f->vsmmu, &counters), 0);
	return counters;
}

void fixture_lose_vdevice(struct fixture *f, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(smmuinv_streams_find(f->streams, vsid, &info), 0);
	assert_int_equal(smmuinv_mock_destroy(f->mock, info.vdevice_id), 0);
}

static uint32_t calls_of(const struct fixture *f)
{
	return f->call_count < FIXTURE_CALLS ? f->call_count : FIXTURE_CALLS;
}

static bool call_has(const struct fixture_call *call,
		     const struct smmuinv_command *command)
{
	uint32_t k;

	for (k = 0; k < call->count; k++) {
		if (!memcmp(&call->commands[k], command, sizeof(*command)))
			return true;
	}
	return false;
}

int first_call_of(const struct fixture *f,
		  const struct smmuinv_command *command)
{
	uint32_t i;

	for (i = 0; i < calls_of(f); i++) {
		if (call_has(&f->calls[i], command))
			return (int)i;
	}
	return -1;
}

int last_call_of(const struct fixture *f, const struct smmuinv_command *command)
{
	uint32_t i = calls_of(f);

	while (i--) {
		if (call_has(&f->calls[i], command))
			return (int)i;
	}
	return -1;
}

struct smmuinv_command tlbi_va(uint64_t va)
{
	struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.va = va,
		.asid = 5,
		.leaf = true,
	};
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_tlbi_nh_va(&command, &tlbi), 0);
	return command;
}

struct smmuinv_command cfgi_cd(uint32_t vsid)
{
	struct smmuinv_command command;

	assert_int_equal(smmuinv_command_cfgi_cd(&command, vsid, 0, true), 0);
	return command;
}

struct smmuinv_command cfgi_cd_all(uint32_t vsid)
{
	return raw((uint64_t)vsid << 32 | SMMUINV_CMD_CFGI_CD_ALL, 0);
}

struct smmuinv_command atc_inv_all(uint32_t vsid)
{
	return raw((uint64_t)vsid << 32 | SMMUINV_CMD_ATC_INV,
		   SMMUINV_ATC_SIZE_ALL);
}

struct smmuinv_command raw(uint64_t dw0, uint64_t dw1)
{
	return (struct smmuinv_command){ { htole64(dw0), htole64(dw1) } };
}

struct smmuinv_command cmd_sync(void)
{
	return raw(SMMUINV_CMD_SYNC, 0);
}

void assert_command_equal(const struct smmuinv_command *a,
			  const struct smmuinv_command *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

void inject(struct fixture *f, int error, uint32_t executed, uint32_t count)
{
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.error = error,
		.executed = executed,
		.count = count,
	};

	assert_int_equal(smmuinv_mock_inject(f->mock, &fault), 0);
}

size_t times_executed(struct fixture *f, const struct smmuinv_command *command)
{
	const struct smmuinv_command *executed;
	size_t count = smmuinv_mock_executed(f->mock, &executed);
	size_t times = 0;
	size_t i;

	for (i = 0; i < count; i++)
		times += memcmp(&executed[i], command, sizeof(*command)) == 0;
	return times;
}
