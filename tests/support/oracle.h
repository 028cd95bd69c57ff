/* SPDX-License-Identifier: MIT */
/*
 * What an SMMU makes of a command: a second opinion, written from Arm IHI 0070
 * chapter 4 on the tables of spec.c. It decodes and decides field by field,
 * where lib/check.c masks bits.
 */
#ifndef SMMUINV_TESTS_ORACLE_H
#define SMMUINV_TESTS_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/command.h>
#include <smmuinv/features.h>

/*
 * What smmuinv_check() must answer: an enum smmuinv_verdict, or -EOPNOTSUPP.
 * @canonical is set if that is SMMUINV_FORWARD or SMMUINV_VMM.
 */
int oracle_judge(const struct smmuinv_command *raw,
		 const struct smmuinv_features *guest,
		 const struct smmuinv_features *host,
		 struct smmuinv_command *canonical);

/* Everything that a command must invalidate on one SMMU. */
struct oracle_scope {
	enum {
		ORACLE_NOTHING, /* no invalidation, or one the VMM does */
		ORACLE_TLB,
		ORACLE_CD,
		ORACLE_ATC,
	} what;
	/* ORACLE_TLB */
	bool every_asid;
	uint16_t asid;
	bool global_entries;
	unsigned int granules; /* bit TG - 1: entries of that granule */
	unsigned int levels;   /* bit N: leaf entries of level N */
	bool tables;           /* cached table descriptors too */
	/* ORACLE_TLB, ORACLE_ATC: addresses, both ends included */
	uint64_t first;
	uint64_t last;
	/* ORACLE_CD, ORACLE_ATC */
	uint32_t sid;
	uint32_t ssid_first;
	uint32_t ssid_last;
	bool level1; /* ORACLE_CD: level-1 descriptors too */
	bool tagged; /* ORACLE_ATC: with a PASID */
	bool global; /* ORACLE_ATC: of every PASID */
};

struct oracle_scope oracle_scope(const struct smmuinv_command *command,
				 const struct smmuinv_features *smmu);

/* Is all of @part in @whole? */
bool oracle_covers(const struct oracle_scope *whole,
		   const struct oracle_scope *part);

/*
 * A command as guests might write it, and a little worse: mostly one of the
 * eight, fields filled with edge values, now and then a bit too many.
 */
struct smmuinv_command oracle_random_command(void);

/* The opcodes that the kernel takes for a vIOMMU. */
extern const uint8_t oracle_forwarded[8];

#endif /* SMMUINV_TESTS_ORACLE_H */
