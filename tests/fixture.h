/* SPDX-License-Identifier: MIT */
/*
 * A virtual SMMU over the mock, for the tests of the rooms above the seam.
 */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

#include "plug.h"

/* Everything that can be forwarded: ATS, 16-bit ASIDs, 20-bit SSIDs, RIL, DS.
 */
extern const struct smmuinv_features everything;

/* The vSID that fixture_open() gives its one device. */
#define FIXTURE_VSID 0x10

/* What the host was asked in one call, as far as there is room for it. */
struct fixture_call {
	uint32_t count;
	struct smmuinv_command commands[32];
};

#define FIXTURE_CALLS 32

struct fixture {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *behind; /* the mock's */
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_streams *streams;
	uint32_t viommu;
	uint32_t device;
	struct fixture_call calls[FIXTURE_CALLS];
	uint32_t call_count; /* may be more than are kept */
	/* The host refuses a call with it, and executes nothing of the call. */
	const struct smmuinv_command *refused;
	/* Told of each call before the host gets it; may be NULL. */
	void (*watch)(struct fixture *f, const struct smmuinv_command *commands,
		      uint32_t count);
	void *watcher;
};

/*
 * All of it, or the test fails. What is asked for is what goes down
 * (SMMUINV_PLAN_AS_WRITTEN), so that every command can be accounted for.
 */
void fixture_open(struct fixture *f, const struct smmuinv_features *features);
void fixture_open_with(struct fixture *f, const struct smmuinv_features *host,
		       const struct smmuinv_features *guest,
		       enum smmuinv_plan plan);

/*
 * With the virtual SMMU like this, but for the backend and its vIOMMU, which
 * are the fixture's; and over these caches, or NULL.
 */
void fixture_open_like(struct fixture *f,
		       const struct smmuinv_vsmmu_params *like,
		       struct smmuinv_caches *caches);
void fixture_close(struct fixture *f);

/* cmocka's setup and teardown around a fixture with everything. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

uint32_t fixture_add_device(struct fixture *f);

/* Another device with stage 1 attached and its ATS on. */
void fixture_plug(struct fixture *f, uint32_t vsid);
struct smmuinv_stream_info fixture_stream(struct fixture *f, uint32_t vsid);
struct smmuinv_counters fixture_counters(struct fixture *f);

/* The vDEVICE of a vSID goes behind the library's back: the host then refuses.
 */
void fixture_lose_vdevice(struct fixture *f, uint32_t vsid);

/* The call, of those kept, that had the command in it last; -1 if none had. */
int first_call_of(const struct fixture *f,
		  const struct smmuinv_command *command);
int last_call_of(const struct fixture *f,
		 const struct smmuinv_command *command);

struct smmuinv_command tlbi_va(uint64_t va);
struct smmuinv_command cfgi_cd(uint32_t vsid);
struct smmuinv_command cfgi_cd_all(uint32_t vsid);
struct smmuinv_command atc_inv_all(uint32_t vsid);
struct smmuinv_command raw(uint64_t dw0, uint64_t dw1);
struct smmuinv_command cmd_sync(void);

void assert_command_equal(const struct smmuinv_command *a,
			  const struct smmuinv_command *b);

/* Let the next call fail like this. */
void inject(struct fixture *f, int error, uint32_t executed, uint32_t count);

/* How often the modelled hardware has executed the command. */
size_t times_executed(struct fixture *f, const struct smmuinv_command *command);

#endif /* TEST_FIXTURE_H */
