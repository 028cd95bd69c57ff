/* SPDX-License-Identifier: MIT */
/*
 * What the differential tests stand on: a rig whose device has no stream yet,
 * the real kernel and its model side by side.
 */
#ifndef GUEST_TRIAL_H
#define GUEST_TRIAL_H

#include <stdbool.h>

#include "rig.h"
#include "twin.h"

struct trial {
	struct rig *rig;
	struct twin twin;
	/* Does this kernel look at more than opcode and vSID (7.3)? */
	bool kernel_checks;
};

int trial_group_setup(void **state);
int trial_group_teardown(void **state);

/* Would the command do no harm on this kernel, given to it raw? */
bool trial_is_harmless(const struct trial *trial, uint32_t vsid, bool plugged,
		       const struct smmuinv_command *command);

#endif
