/* SPDX-License-Identifier: MIT */
/*
 * A virtual SMMU over the mock, for the tests of the rooms above the seam.
 */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

/* Everything that can be forwarded: ATS, 16-bit ASIDs, 20-bit SSIDs, RIL, DS. */
extern const struct smmuinv_features everything;

/* The vSID that fixture_open() gives its one device. */
#define FIXTURE_VSID 0x10

struct fixture {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_streams *streams;
	uint32_t viommu;
	uint32_t device;
};

/* All of it, or the test fails. */
void fixture_open(struct fixture *f, const struct smmuinv_features *features);
void fixture_close(struct fixture *f);

/* cmocka's setup and teardown around a fixture with everything. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

uint32_t fixture_add_device(struct fixture *f);

/* The vDEVICE of a vSID goes behind the library's back: the host then refuses. */
void fixture_lose_vdevice(struct fixture *f, uint32_t vsid);

struct smmuinv_command tlbi_va(uint64_t va);
struct smmuinv_command cfgi_cd(uint32_t vsid);
struct smmuinv_command raw(uint64_t dw0, uint64_t dw1);
struct smmuinv_command cmd_sync(void);

void assert_command_equal(const struct smmuinv_command *a,
			  const struct smmuinv_command *b);

/* Let the next call fail like this. */
void inject(struct fixture *f, int error, uint32_t executed, uint32_t count);

/* How often the modelled hardware has executed the command. */
size_t times_executed(struct fixture *f, const struct smmuinv_command *command);

#endif /* TEST_FIXTURE_H */
