/* SPDX-License-Identifier: MIT */
/*
 * A second device of a rig's guest, on the same SMMU or on another one.
 */
#ifndef GUEST_SECOND_H
#define GUEST_SECOND_H

#include <stdbool.h>
#include <stdint.h>

#include "rig.h"

/* Its StreamID for the guest. */
#define SECOND_VSID 0x21

/* main() sets them, if the machine has one. */
extern struct pci_device second_device;
extern bool second_has_an_smmu_of_its_own;

struct second {
	struct rig *rig;
	/* iommufd, backend and IOAS are the rig's, and on the same SMMU the
	 * parent and the vIOMMU too. */
	struct nested nested;
	struct edu edu;
	struct stage1 stage1;
	struct guest_piece cd;
	struct guest_piece landing;
};

/*
 * Opens it in the rig's iommufd, adds its SMMU and its stream to the rig's
 * virtual SMMU, and attaches stage 1: tables and a descriptor of its own, with
 * RIG_ASID.
 */
void second_open(struct second *second, struct rig *rig);
void second_close(struct second *second);

/* The stream, with a vDEVICE of the library's; and away with it. */
void second_plug(struct second *second);
void second_unplug(struct second *second);

/* The second SMMU, if it has one, for the rig's virtual one. */
int second_add_viommu(struct second *second);

/* As rig_expect() and rig_make_stale(). */
void second_expect(struct second *second, uint64_t va, uint32_t pattern);
void second_make_stale(struct second *second, uint64_t va,
		       enum stage1_scope scope);

#endif
