/* SPDX-License-Identifier: MIT */
/*
 * Are the commands that the host executed worth those that the guest wrote?
 * Caches are filled with what each of the guest's must remove, and the host's
 * are executed on them.
 */
#ifndef EXAMPLE_EFFECT_H
#define EXAMPLE_EFFECT_H

#include <stddef.h>

#include <smmuinv/smmuinv.h>

/*
 * @asked and @executed: commands in canonical form, in any order. @guest: the
 * SMMU that the guest was shown; entries have its granules. Returns 0; 1 if
 * something is left that @lost should have removed; or a negative errno.
 */
int effect_compare(const struct smmuinv_features *guest,
		   const struct smmuinv_command *asked, size_t asked_count,
		   const struct smmuinv_command *executed,
		   size_t executed_count, struct smmuinv_command *lost);

#endif /* EXAMPLE_EFFECT_H */
