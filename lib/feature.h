/* SPDX-License-Identifier: MIT */
/*
 * What of an SMMU invalidations depend on. Not named features.h, because that
 * is a header of the C library.
 */
#ifndef SMMUINV_LIB_FEATURE_H
#define SMMUINV_LIB_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/features.h>

/*
 * Can every invalidation of a guest that was shown @guest be done on @host? 0
 * or -EOPNOTSUPP; @lacking may be NULL.
 */
int smmuinv__features_required(const struct smmuinv_features *guest,
			       const struct smmuinv_features *host,
			       uint32_t *lacking);

bool smmuinv__features_has_granule(const struct smmuinv_features *features,
				   uint64_t bytes);

#endif /* SMMUINV_LIB_FEATURE_H */
