/* SPDX-License-Identifier: MIT */
/*
 * What a virtual SMMU has done since it was made.
 */
#ifndef SMMUINV_COUNTERS_H
#define SMMUINV_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/vsmmu.h>

SMMUINV_BEGIN_DECLS

/** SMMUINV_COUNTED_OPCODES - opcodes from here on are reserved (4.1.3) */
#define SMMUINV_COUNTED_OPCODES 128

/** SMMUINV_COUNTED_RULES - there will never be more rules than this */
#define SMMUINV_COUNTED_RULES 64

/** SMMUINV_COUNTED_CERRORS - there will never be more enum smmuinv_cerror */
#define SMMUINV_COUNTED_CERRORS 8

/**
 * struct smmuinv_counters - events, each counted since smmuinv_vsmmu_new()
 * @size: sizeof(struct smmuinv_counters), set by the caller
 * @read: commands that were read from a queue, or put into a batch; again, if they
 *	had to be read again
 * @forwarded: commands that hosts have executed
 * @merged: commands that went to a host within another's command
 * @dropped: commands that needed nothing to be done, by reason in @by_rule
 * @vmm: commands that the VMM's callbacks took, CMD_SYNCs among them
 * @illegal: commands at which a queue or batch stopped, by reason in @by_rule
 * @host_commands: commands handed to kernels
 * @ioctls: calls to kernels, interrupted ones not counted
 * @failed: of @ioctls, how many failed; what they did is tried again, by the
 *	library at once or by the VMM when it consumes again
 * @retries: of @ioctls, how many came after one that failed, for the same window
 * @repeats: of @host_commands, how many an erratum asked for a second time
 * @by_opcode: of @read; reserved opcodes beyond the array are counted at 0
 * @by_rule: of @dropped and @illegal, by enum smmuinv_rule
 * @stops: how often a queue stopped and the guest was to be told so, by enum
 *	smmuinv_cerror
 *
 * With several vIOMMUs, @merged and the counters of host commands and calls
 * count each. The latter have what smmuinv_invalidate_all() and its like send,
 * too.
 */
struct smmuinv_counters {
	size_t size;
	uint64_t read;
	uint64_t forwarded;
	uint64_t merged;
	uint64_t dropped;
	uint64_t vmm;
	uint64_t illegal;
	uint64_t host_commands;
	uint64_t ioctls;
	uint64_t failed;
	uint64_t retries;
	uint64_t repeats;
	uint64_t by_opcode[SMMUINV_COUNTED_OPCODES];
	uint64_t by_rule[SMMUINV_COUNTED_RULES];
	uint64_t stops[SMMUINV_COUNTED_CERRORS];
};

/**
 * smmuinv_vsmmu_counters() - read the counters
 * @vsmmu: whose
 * @counters: what they are now
 *
 * Queues are not stopped: each counter is right by itself, and those of a window
 * that is being executed are not in it yet. What is counted for one stream is in
 * struct smmuinv_stream_info.
 *
 * Return: 0; -EINVAL for NULL or a wrong size.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_vsmmu_counters(struct smmuinv_vsmmu *vsmmu,
				       struct smmuinv_counters *counters);

SMMUINV_END_DECLS

#endif /* SMMUINV_COUNTERS_H */
