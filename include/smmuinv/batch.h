/* SPDX-License-Identifier: MIT */
/*
 * Many commands, few ioctls, and an exact account of what was done.
 */
#ifndef SMMUINV_BATCH_H
#define SMMUINV_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/check.h>
#include <smmuinv/command.h>
#include <smmuinv/vsmmu.h>

SMMUINV_BEGIN_DECLS

/**
 * struct smmuinv_batch - commands on their way; opaque
 *
 * Belongs to one thread at a time. All its memory is allocated when it is
 * made. Commands between two CMD_SYNCs have no order among themselves (4.7.3):
 * a VMM with its own loop flushes at each CMD_SYNC, or says where it was
 * (smmuinv_batch_sync()) and completes several of them after one flush.
 */
struct smmuinv_batch;

/** SMMUINV_BATCH_CAPACITY_MAX - what the kernel takes in one call safely */
#define SMMUINV_BATCH_CAPACITY_MAX (1u << 18)

/** SMMUINV_INDEX_NONE - no command is at fault */
#define SMMUINV_INDEX_NONE UINT32_MAX

/**
 * struct smmuinv_result - what became of a batch
 * @size: sizeof(struct smmuinv_result), set by the caller
 * @error: 0, or the negative errno that the call returned
 * @completed: how many of the guest's commands, counted from the first, are
 *	known to have been executed by the host (or to need nothing). Retrying
 *	from there is always safe: every command is idempotent.
 * @fault_index: the guest command at which it went wrong, or
 *	SMMUINV_INDEX_NONE. It is not below @completed.
 * @cerror: what to show the guest, enum smmuinv_cerror: CERROR_ILL at
 *	@fault_index, or with -ETIMEDOUT after ATC_INVs CERROR_ATC_INV_SYNC at its
 *	CMD_SYNC; when it tries the CMD_SYNC again, flush again, or after
 *	smmuinv_batch_submit() submit the rest again, from a copy: the entries
 *	are the guest's by then. No other host failure shows as one.
 * @rule: smmuinv_batch_submit(): why, enum smmuinv_rule
 * @field: smmuinv_batch_submit(): the field at fault, enum smmuinv_field
 * @sent: of @completed, how many went to the host
 * @dropped: of @completed, how many needed nothing (@rule says not why): the vSID
 *	is no device or its stream is in no state to be addressed, the SubstreamID is
 *	out of range, it is a prefetch, or there is no vIOMMU
 * @host_error: the last failure of a call to the kernel, -EPROTO for a senseless
 *	answer, 0 if none
 * @host_count: the count that came with it, which may be a lie
 * @host_commands: commands handed to the kernel, repetitions included
 * @ioctls: calls to the kernel, interrupted ones not counted
 * @fault_vsid: with -ENODEV, whose device is gone
 * @fault_viommu: with an error or time-out of a host's, which vIOMMU's; 0 otherwise
 */
struct smmuinv_result {
	size_t size;
	int32_t error;
	uint32_t completed;
	uint32_t fault_index;
	uint32_t cerror;
	uint32_t rule;
	uint32_t field;
	uint32_t sent;
	uint32_t dropped;
	int32_t host_error;
	uint32_t host_count;
	uint32_t host_commands;
	uint32_t ioctls;
	uint32_t fault_vsid;
	uint32_t fault_viommu;
};

/**
 * smmuinv_batch_new() - an empty batch
 * @vsmmu: whose commands; borrowed until the batch is freed
 * @capacity: how many commands it holds, 1..SMMUINV_BATCH_CAPACITY_MAX; the
 *	memory for them is allocated here and never again
 * @batch: the batch
 *
 * Return: 0; -EINVAL for NULL or a capacity out of range; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_new(struct smmuinv_vsmmu *vsmmu,
				  uint32_t capacity,
				  struct smmuinv_batch **batch);

/**
 * smmuinv_batch_free() - free a batch; what was not flushed is not executed
 * @batch: may be NULL
 *
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API void smmuinv_batch_free(struct smmuinv_batch *batch);

/**
 * smmuinv_batch_add() - check a command and keep it for the next flush
 * @batch: whose
 * @command: a builder's, or the guest's raw 16 bytes
 * @finding: as in smmuinv_check(); may be NULL
 *
 * Only SMMUINV_FORWARD and SMMUINV_IGNORE take a place in the batch; with the
 * other verdicts and with an error the batch is as it was.
 *
 * Return: an enum smmuinv_verdict. SMMUINV_VMM and SMMUINV_ILLEGAL are
 * for the caller to act on. -ENOSPC if there is no place for it: flush; -EINVAL for
 * NULL or a wrong size; -EOPNOTSUPP as in smmuinv_check().
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_add(struct smmuinv_batch *batch,
				  const struct smmuinv_command *command,
				  struct smmuinv_finding *finding);

/**
 * smmuinv_batch_sync() - a CMD_SYNC stands here
 * @batch: whose
 *
 * What was added before is executed before what is added later where a guest may
 * rely on it: configuration before TLBs, both before ATCs, and within the first
 * two what reaches tables before what reaches leaves only. Everything else
 * of the batch still goes to the host together. Nothing is complete before
 * smmuinv_batch_flush() says so.
 *
 * Return: 0; -EINVAL for NULL.
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_sync(struct smmuinv_batch *batch);

/**
 * smmuinv_batch_count() - commands added since the last flush
 * @batch: whose
 *
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API uint32_t smmuinv_batch_count(const struct smmuinv_batch *batch);

/**
 * smmuinv_batch_clear() - forget what was added; nothing of it is executed
 * @batch: whose
 *
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API void smmuinv_batch_clear(struct smmuinv_batch *batch);

/**
 * smmuinv_batch_flush() - have the host execute what was added
 * @batch: whose
 * @result: what became of it; may be NULL
 *
 * For each vIOMMU one ioctl if all goes well, one more for each rank that has to
 * wait for another (smmuinv_batch_sync()), none if there is nothing to send. The batch is
 * empty after success. After an error it still holds the commands that are not
 * known complete, and flushing again retries exactly those; the indices of that
 * result count from the first of them.
 *
 * When the kernel refuses a command, its count includes commands that it never
 * sent to the hardware; the library sends those again before it counts them in
 * result.completed.
 *
 * Without memory for one large call the kernel is asked in smaller ones, down to
 * single commands.
 *
 * Return: 0; -ENODEV if it refused the command at result.fault_index, which names
 * the stream result.fault_vsid: its device is gone (or, before that can be ruled
 * out, its SMMU lacks what the VMM said it has); -ENOENT if the vIOMMU is gone; -ETIMEDOUT if the
 * SMMU does not answer; -ENOMEM if there was none for a single command; -EIO if
 * the kernel refused a command for another reason (its SMMU is not what the VMM
 * said it is); -EPROTO if the kernel's answer makes no sense; another errno of
 * the kernel's; -EINVAL for NULL or a wrong size.
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_flush(struct smmuinv_batch *batch,
				    struct smmuinv_result *result);

/**
 * smmuinv_batch_submit() - check and execute a whole array
 * @batch: an empty one
 * @commands: what a guest wrote between two CMD_SYNCs; each is read once; may be
 *	NULL if @count is 0
 * @count: how many
 * @result: what became of them; may be NULL
 *
 * For each full batch what smmuinv_batch_flush() takes. Stops at the first command that is illegal
 * (result.cerror) or the VMM's (result.cerror stays CERROR_NONE), with
 * everything before it executed. The batch is empty afterwards, also after an
 * error: go on from commands[result.completed].
 *
 * Return: 0 if all are complete; 1 if it stopped at result.fault_index; a
 * negative errno as smmuinv_batch_flush(), -EOPNOTSUPP as in smmuinv_check(), and
 * -EBUSY if the batch is not empty.
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_submit(struct smmuinv_batch *batch,
				     const struct smmuinv_command *commands,
				     uint32_t count,
				     struct smmuinv_result *result);

SMMUINV_END_DECLS

#endif /* SMMUINV_BATCH_H */
