/* SPDX-License-Identifier: MIT */
/*
 * A batch sends many commands in few ioctls, and reports exactly what was
 * executed. It is for a VMM that keeps its own loop over the Command queue.
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
 * struct smmuinv_batch - commands to be sent together; opaque
 *
 * Belongs to one thread at a time. All its memory is allocated when it is made.
 */
struct smmuinv_batch;

/** SMMUINV_BATCH_CAPACITY_MAX - commands that the kernel takes in one call */
#define SMMUINV_BATCH_CAPACITY_MAX (1u << 18)

/**
 * smmuinv_batch_new() - make an empty batch
 * @vsmmu: whose commands; borrowed until the batch is freed
 * @capacity: how many commands it holds, 1..SMMUINV_BATCH_CAPACITY_MAX
 * @batch: the batch
 *
 * Return: 0; -EINVAL for NULL or a capacity out of range; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_new(struct smmuinv_vsmmu *vsmmu,
				  uint32_t capacity,
				  struct smmuinv_batch **batch);

/**
 * smmuinv_batch_free() - free a batch; what was not flushed is not sent
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
 * If it returns SMMUINV_FORWARD or SMMUINV_IGNORE, the command is in the batch.
 * Otherwise the batch is unchanged.
 *
 * For a CFGI_STE or CFGI_STE_RANGE it returns SMMUINV_VMM. These commands
 * invalidate CDs too (4.3.1). If the VMM attaches no new HWPT, it has to add a
 * CFGI_CD_ALL for each stream. Before the VMM acts on any command, it has to
 * flush what was added before.
 *
 * Return: an enum smmuinv_verdict. SMMUINV_VMM and SMMUINV_ILLEGAL are for the
 * caller to act on. -ENOSPC if the batch is full: flush; -EINVAL for NULL or a
 * wrong size; -EOPNOTSUPP as in smmuinv_check().
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_add(struct smmuinv_batch *batch,
				  const struct smmuinv_command *command,
				  struct smmuinv_finding *finding);

/**
 * smmuinv_batch_sync() - mark the place of a CMD_SYNC
 * @batch: whose
 *
 * What was added before the CMD_SYNC takes effect before what is added later.
 * Nothing is complete until smmuinv_batch_flush() reports it. A VMM that
 * flushes at each CMD_SYNC does not need this function.
 *
 * The mark takes a place in the batch, and counts in result.completed like a
 * command. result.forwarded and result.dropped count commands only.
 *
 * Return: 0; -ENOSPC if the batch is full: flush; -EINVAL for NULL.
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_sync(struct smmuinv_batch *batch);

/**
 * smmuinv_batch_clear() - forget what was added; none of it is sent
 * @batch: whose
 *
 * Use it when the guest's queue is reset. Do not use it after an error, because
 * the commands would be lost.
 *
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API void smmuinv_batch_clear(struct smmuinv_batch *batch);

/**
 * smmuinv_batch_flush() - have the host execute what was added
 * @batch: whose
 * @result: what became of it; may be NULL
 *
 * If nothing fails, it makes one call for each vIOMMU. It makes a further call
 * for ATC_INVs, and where the order of a CMD_SYNC needs it. With
 * SMMUINV_HW_INFO_REPEAT it makes each call twice, except for ATC_INVs. If
 * there is nothing to send, and no device owes, it makes no call.
 *
 * After success the batch is empty. After an error it holds the commands that
 * are not complete. Flush again to retry them; indices then count from the
 * first of them.
 *
 * The library first handles a failure itself, within
 * smmuinv_vsmmu_params.retries_max and .timeouts_max. It makes the call again,
 * in smaller parts. It sends a command that the host refuses alone, and then
 * replaces it by a wider one. So a flush can take timeouts_max seconds on each
 * vIOMMU. It returns:
 *
 * -ETIMEDOUT with result.cerror CERROR_ATC_INV_SYNC: a device does not answer
 * ATC_INVs. result.fault.vsid names it, or is SMMUINV_VSID_NONE if it is not
 * known which. The library remembers what the device owes, and every later
 * flush on the same virtual SMMU asks it again. Stop the guest's queue with
 * that error at the first CMD_SYNC after the completed commands. This is the
 * first CMD_SYNC that is still in the batch. If none is, it is the CMD_SYNC for
 * which the VMM has flushed. When the guest tries it again, flush again.
 *
 * -ENODEV: the vDEVICE of result.fault.vsid is gone. Remove the stream and
 * flush again.
 *
 * -ENOENT: the vIOMMU is gone. -ETIMEDOUT otherwise: the SMMU does not answer.
 * -ENOMEM: the host has no memory. -EIO: the host refuses what the guest's
 * features allow. -EPROTO: the host's answer makes no sense. Another errno of
 * the backend. After any of these, flush again later, or call
 * smmuinv_batch_invalidate_all(), or stop the guest. Never go on without one of
 * them.
 *
 * Return: 0; one of these; -EINVAL for NULL or a wrong size.
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_flush(struct smmuinv_batch *batch,
				    struct smmuinv_result *result);

/**
 * smmuinv_batch_invalidate_all() - invalidate everything in place of a batch
 * @batch: whose
 * @result: what became of it; may be NULL
 *
 * Use it for commands that the host does not execute. It calls
 * smmuinv_vsmmu_invalidate_all(), which has at least their effect. After
 * success all of them are complete. A device that does not answer is no error
 * here, because the next flush asks it again.
 *
 * Return: 0; an error of smmuinv_vsmmu_invalidate_all(), with the batch
 * unchanged; -EINVAL for NULL or a wrong size.
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_invalidate_all(struct smmuinv_batch *batch,
				   struct smmuinv_result *result);

/**
 * smmuinv_batch_submit() - check and execute a whole array
 * @batch: an empty one
 * @commands: what a guest wrote between two CMD_SYNCs. Each is read once. May
 *	be NULL if @count is 0.
 * @count: how many
 * @result: what became of them; may be NULL
 *
 * It stops at the first command that is illegal (result.cerror) or that the VMM
 * has to act on (result.cerror is CERROR_NONE). Everything before that command
 * is complete. The batch is empty afterwards, even after an error: go on from
 * commands[result.completed].
 *
 * If you call smmuinv_vsmmu_invalidate_all() after an error, and
 * result.fault_index is result.completed, go on from the command after that
 * one. It is the command that the host does not execute.
 *
 * Return: 0 if all are complete; 1 if it stopped at result.fault_index; a
 * negative errno as smmuinv_batch_flush(); -EOPNOTSUPP as in smmuinv_check();
 * -EBUSY if the batch is not empty; -EINVAL for NULL or a wrong size.
 * Threads: the batch's. Since: 0.1.
 */
SMMUINV_API int smmuinv_batch_submit(struct smmuinv_batch *batch,
				     const struct smmuinv_command *commands,
				     uint32_t count,
				     struct smmuinv_result *result);

SMMUINV_END_DECLS

#endif /* SMMUINV_BATCH_H */
