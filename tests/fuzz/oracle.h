/* SPDX-License-Identifier: MIT */
/*
 * What a guest may rely on after its invalidations, by the rules of the SMMU
 * that it was shown. Written from Arm IHI 0070 and not from lib/: it reads the
 * guest's raw commands and the guest's ID registers by itself.
 */
#ifndef SMMUINV_TESTS_FUZZ_ORACLE_H
#define SMMUINV_TESTS_FUZZ_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/caches.h>
#include <smmuinv/command.h>
#include <smmuinv/features.h>

#define ORACLE_ENTRIES 112

struct oracle {
	struct smmuinv_features guest;
	struct smmuinv_cache_entry entries[ORACLE_ENTRIES];
	bool gone[ORACLE_ENTRIES]; /* the guest may rely on it */
	size_t count;
};

/* An oracle with the entries that any command may meet. */
void oracle_init(struct oracle *o, const struct smmuinv_features *guest);

/* Entries that this command must remove, and some that it need not. */
void oracle_aim(struct oracle *o, const struct smmuinv_command *raw);

/* Fill empty caches alike. */
void oracle_fill(const struct oracle *o, struct smmuinv_caches *caches);

/* The guest has had the command executed. It is legal on its SMMU. */
void oracle_execute(struct oracle *o, const struct smmuinv_command *raw);

/* A stream came or went: nothing is asked for that is its own. */
void oracle_forget_stream(struct oracle *o, uint32_t sid);

/* Nothing is asked for. */
void oracle_reset(struct oracle *o);

/* An entry that is there and should not be, or -1. */
int oracle_stale(const struct oracle *o, const struct smmuinv_caches *caches);

#endif /* SMMUINV_TESTS_FUZZ_ORACLE_H */
