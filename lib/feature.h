/* SPDX-License-Identifier: MIT */
/*
 * Feature sets, for the rooms above. (A lib/features.h would hide the C
 * library's own.)
 */
#ifndef SMMUINV_LIB_FEATURE_H
#define SMMUINV_LIB_FEATURE_H

#include <stdint.h>

#include <smmuinv/features.h>

/* @value must fit into the field. */
void smmuinv__features_set(struct smmuinv_features *features,
			   enum smmuinv_feature feature, uint32_t value);

#endif /* SMMUINV_LIB_FEATURE_H */
