/* SPDX-License-Identifier: MIT */
#include "trial.h"

#include <stdlib.h>

#include "cmocka-all.h"
#include "machine.h"
#include "mock/kernel.h"

int trial_group_setup(void **state)
{
	struct trial *trial = calloc(1, sizeof(*trial));
	void *rig = NULL;

	assert_non_null(trial);
	assert_int_equal(rig_group_setup(&rig), 0);
	trial->rig = rig;
	trial->kernel_checks = machine_kernel_is_at_least(7, 3);
	assert_int_equal(rig_unplug(trial->rig, trial->rig->vsmmu, RIG_VSID),
			 0);
	twin_init(&trial->twin, &trial->rig->nested,
		  trial->kernel_checks ? SMMUINV_MOCK_7_3 : SMMUINV_MOCK_6_13);
	*state = trial;
	return 0;
}

int trial_group_teardown(void **state)
{
	struct trial *trial = *state;
	void *rig = trial->rig;
	int error;

	twin_free(&trial->twin);
	error = rig_group_teardown(&rig);
	free(trial);
	return error;
}

/* The kernel looks for it among the vDEVICEs, and finds nothing. */
static bool lacks_device(uint32_t vsid, bool plugged,
			 const struct smmuinv_command *command)
{
	if (!smmuinv__kernel_resolves_vsid(command))
		return false;
	return !plugged ||
	       smmuinv_command_get(command, SMMUINV_FIELD_STREAMID) != vsid;
}

bool trial_is_harmless(const struct trial *trial, uint32_t vsid, bool plugged,
		       const struct smmuinv_command *command)
{
	return trial->kernel_checks ||
	       !smmuinv_opcode_is_forwarded(smmuinv_command_opcode(command)) ||
	       lacks_device(vsid, plugged, command) ||
	       smmuinv__kernel_accepts(command, &trial->twin.host);
}
