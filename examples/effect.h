/* SPDX-License-Identifier: MIT */
/*
 * Do the commands that the host executed have the effect of those that the
 * guest wrote? Caches are filled with what the guest's commands have to remove.
 * The host's commands are executed on them.
 */
#ifndef EXAMPLE_EFFECT_H
#define EXAMPLE_EFFECT_H

#include <stddef.h>

#include <smmuinv/caches.h>
#include <smmuinv/smmuinv.h>

/*
 * Fills @caches with entries that @command, in canonical form, has to remove.
 * @guest: the SMMU that the guest was shown; the entries have its granules.
 * Returns the number of entries, or a negative errno.
 */
int effect_fill(struct smmuinv_caches *caches,
		const struct smmuinv_features *guest,
		const struct smmuinv_command *command);

/*
 * @asked and @executed: commands in canonical form, in any order. Returns 0; 1
 * if an entry is left that @lost should have removed; or a negative errno.
 */
int effect_compare(const struct smmuinv_features *guest,
		   const struct smmuinv_command *asked, size_t asked_count,
		   const struct smmuinv_command *executed,
		   size_t executed_count, struct smmuinv_command *lost);

#endif /* EXAMPLE_EFFECT_H */
