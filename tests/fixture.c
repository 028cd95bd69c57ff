/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct smmuinv_features everything = {
	{
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
	}
};

void fixture_open(struct fixture *f, const struct smmuinv_features *features)
{
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = *features,
	};
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.guest = *features,
		.host = *features,
	};

	assert_int_equal(smmuinv_mock_new(&mock, &f->mock), 0);
	assert_int_equal(smmuinv_mock_backend(f->mock, &f->backend), 0);
	assert_int_equal(smmuinv_mock_add_viommu(f->mock, &f->viommu), 0);
	vsmmu.backend = f->backend;
	vsmmu.viommu_id = f->viommu;
	assert_int_equal(smmuinv_vsmmu_new(&vsmmu, &f->vsmmu), 0);
	f->streams = smmuinv_vsmmu_streams(f->vsmmu);
	f->device = fixture_add_device(f);
	assert_int_equal(smmuinv_vsmmu_add_stream(f->vsmmu, f->device,
						  FIXTURE_VSID),
			 0);
}

void fixture_close(struct fixture *f)
{
	assert_int_equal(smmuinv_mock_faults_left(f->mock), 0);
	smmuinv_vsmmu_free(f->vsmmu);
	smmuinv_backend_free(f->backend);
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

void fixture_lose_vdevice(struct fixture *f, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	assert_int_equal(smmuinv_streams_find(f->streams, vsid, &info), 0);
	assert_int_equal(smmuinv_mock_destroy(f->mock, info.vdevice_id), 0);
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
