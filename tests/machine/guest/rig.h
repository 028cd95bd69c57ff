/* SPDX-License-Identifier: MIT */
/*
 * What every test stands on: a guest with one device, its SMMU made by the
 * library over the real kernel, and the means to ask the device what it sees.
 */
#ifndef GUEST_RIG_H
#define GUEST_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/smmuinv.h>

#include "edu.h"
#include "guest_tables.h"
#include "nested.h"
#include "pci.h"
#include "recorder.h"

/* The device's StreamID for the guest; not the one the host knows it by. */
#define RIG_VSID 0x10
/* A StreamID without a device. */
#define RIG_VSID_ABSENT 0x77
#define RIG_ASID        7

/* What the pages of a probe hold. */
#define PATTERN_A 0xaaaa0001U
#define PATTERN_B 0xbbbb0002U

#define RIG_RING_LOG2SIZE 10
#define RIG_RING_SIZE     (1u << RIG_RING_LOG2SIZE)

struct rig {
	struct nested nested;
	struct recorder recorder;
	struct smmuinv_features guest;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_batch *batch;
	struct smmuinv_queue *queue;

	struct edu edu;
	struct guest_memory memory;
	struct stage1 stage1;
	struct guest_piece cd;
	struct guest_piece landing;
	uint64_t next_va;

	/* The guest's Command queue. */
	struct smmuinv_command ring[RIG_RING_SIZE];
	uint32_t prod;
	uint32_t cons;
	uint32_t syncs;
	bool library_makes; /* the vDEVICE; otherwise its VMM does */
};

/* The device of the machine; main() sets it. */
extern struct pci_device rig_device;

/*
 * smmuinv_vsmmu_add_stream() of the rig's device. The VMM's vDEVICE is made
 * first, if there is none.
 */
int rig_plug(struct rig *rig, struct smmuinv_vsmmu *vsmmu, uint32_t vsid);

/* smmuinv_vsmmu_remove_stream(), and the VMM's vDEVICE goes. */
int rig_unplug(struct rig *rig, struct smmuinv_vsmmu *vsmmu, uint32_t vsid);

struct smmuinv_stream_info rig_stream(const struct rig *rig, uint32_t vsid);

/* What a rig's guest is shown, for tests that make an SMMU by themselves. */
struct smmuinv_vsmmu_params rig_vsmmu_params(const struct rig *rig,
					     enum smmuinv_choice ril);

/* From here on the guest's SMMU is this one, over the same host. */
void rig_reshape(struct rig *rig, const struct smmuinv_vsmmu_params *params);

/* cmocka's fixtures for a group: all of it, and for a test: ends its window. */
int rig_group_setup(void **state);
int rig_group_setup_library_makes(void **state);
int rig_group_teardown(void **state);
int rig_test_teardown(void **state);

/* A virtual address that no test has used, alone in a block of 2 MiB. */
uint64_t rig_fresh_va(struct rig *rig);

/* Ends the test unless the device sees @pattern at @va. */
void rig_expect(struct rig *rig, uint64_t va, uint32_t pattern);
uint32_t rig_see(struct rig *rig, uint64_t va);

/*
 * Maps @va to page A, lets the device see it, and maps page B there instead:
 * the device then still sees A, which is checked. Nothing was invalidated.
 */
void rig_make_stale(struct rig *rig, uint64_t va, enum stage1_scope scope);

/* The guest writes the commands and a CMD_SYNC. */
void rig_queue_write(struct rig *rig, const struct smmuinv_command *commands,
		     uint32_t count);

/* It rings the doorbell. */
int rig_queue_consume(struct rig *rig, struct smmuinv_progress *progress);

/* For what must go well: all of it executed by the host. */
void rig_queue_finish(struct rig *rig, struct smmuinv_progress *progress);

/* Both at once, for what must go well. */
void rig_queue_run(struct rig *rig, const struct smmuinv_command *commands,
		   uint32_t count);

/* The same by a batch. */
void rig_batch_run(struct rig *rig, const struct smmuinv_command *commands,
		   uint32_t count);

#endif
