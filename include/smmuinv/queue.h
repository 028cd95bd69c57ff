/* SPDX-License-Identifier: MIT */
/*
 * A guest's whole Command queue (3.5, 7.1).
 */
#ifndef SMMUINV_QUEUE_H
#define SMMUINV_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/check.h>
#include <smmuinv/command.h>
#include <smmuinv/vsmmu.h>

SMMUINV_BEGIN_DECLS

/** struct smmuinv_queue - opaque; belongs to one thread at a time */
struct smmuinv_queue;

/**
 * struct smmuinv_sync - what a CMD_SYNC asks for when it completes (4.7.3)
 * @msi_address: a guest physical address, a multiple of 4; 0 if not @msi
 * @msi_data: MSIData
 * @msi_shareability: MSH
 * @msi_attributes: MSIAttr
 * @msi: an MSI of @msi_data is to be written to @msi_address; the guest's
 *	IDR0.MSI is set
 * @irq: the guest asked for an interrupt (CS == SIG_IRQ), by MSI or by wire
 * @sev: the guest asked for an event (CS == SIG_SEV), and its IDR0.SEV is set
 * @reserved: 0
 *
 * It has no size, because only the library makes it. A later release may give what
 * is reserved a meaning, and may let it grow, but only at its end.
 */
struct smmuinv_sync {
	uint64_t msi_address;
	uint32_t msi_data;
	uint8_t msi_shareability;
	uint8_t msi_attributes;
	bool msi;
	bool irq;
	bool sev;
	uint8_t reserved[7];
};

/** enum smmuinv_fate - what became of a command, for smmuinv_queue_ops.seen */
enum smmuinv_fate {
	SMMUINV_FATE_FORWARDED = 0,	/* executed by the host */
	SMMUINV_FATE_VMM,		/* the VMM's callback took it */
	SMMUINV_FATE_DROPPED,		/* nothing needed to happen; rule says why */
	SMMUINV_FATE_ILLEGAL,		/* the queue stopped at it */
	SMMUINV_FATE_UNREADABLE		/* the queue stopped at it */
};

/**
 * struct smmuinv_queue_ops - what only the VMM can do
 * @size: sizeof(struct smmuinv_queue_ops)
 * @read: fetch the entry at index @index of the ring into @command; needed if
 *	the ring has no pointer. A negative answer is CERROR_ABT.
 * @cfgi_ste_range: the guest changed STEs @first to @last, both included; all of
 *	2^32 for CFGI_ALL, one for a CFGI_STE. For a VMM that emulates devices which
 *	are not in the stream table.
 * @cfgi_ste: after that, for each stream of the table among them, in the order of
 *	the vSIDs: its STE may have changed. This is where a VMM reads it
 *	(smmuinv_ste_read()), attaches what it says, and calls smmuinv_streams_set().
 *	The command also invalidates every CD that was cached for the stream (4.3.1,
 *	4.3.2): the library has the host do that when all of these are done.
 * @sync: everything before this CMD_SYNC is complete: signal it
 * @command: any other command that is legal for the guest's SMMU and not the
 *	host's: PRI_RESP, RESUME, STALL_TERM, TLBI_EL2_*, TLBI_S2_IPA,
 *	TLBI_S12_VMALL, ..., canonical (RES0 bits cleared)
 * @cfgi_cd: the guest changed the CD of @sid at index @ssid, or with @all any of
 *	the stream's; the library forwards the command by itself. This is where a VMM
 *	reads the CD (smmuinv_cd_read()) and notes it (smmuinv_vsmmu_note_cd()).
 * @seen: for accounting: the fate of every command, after it is decided, in the
 *	queue's order but for what waits for a CMD_SYNC after a time-out. @index is its place in the ring; @command is as the
 *	guest wrote it, all zero if it could not be read.
 *
 * Callbacks come on the thread that consumes. All but @read, @cfgi_cd and @seen
 * come in the order of the queue, each after everything before it has been
 * executed (but for what ATC_INVs that timed out keep waiting for the next
 * CMD_SYNC); @read and @cfgi_cd run ahead of them. Several @sync may follow each
 * other after one call to the host, which then has executed what is behind them
 * too. They may add and remove streams; they may not use
 * the queue. A negative answer is a failure of the VMM's: the queue stops at that
 * command, which will be presented again, and the errno is returned with
 * progress.host_error 0.
 *
 * A missing @cfgi_ste, @cfgi_ste_range or @sync means that there is nothing to
 * do, and the command counts as the VMM's. A missing @command makes the commands it would get illegal
 * (SMMUINV_RULE_NOT_OFFERED): nothing is dropped in silence. The VMM offers
 * such commands by the ID registers it shows and by this function.
 */
struct smmuinv_queue_ops {
	size_t size;
	int (*read)(void *opaque, uint32_t index,
		    struct smmuinv_command *command);
	int (*cfgi_ste)(void *opaque, uint32_t sid, bool leaf);
	int (*cfgi_ste_range)(void *opaque, uint32_t first, uint32_t last,
			      bool leaf);
	int (*sync)(void *opaque, const struct smmuinv_sync *sync);
	int (*command)(void *opaque, const struct smmuinv_command *command);
	void (*cfgi_cd)(void *opaque, uint32_t sid, uint32_t ssid, bool all);
	void (*seen)(void *opaque, uint32_t index,
		     const struct smmuinv_command *command,
		     enum smmuinv_fate fate, enum smmuinv_rule rule);
};

/**
 * struct smmuinv_queue_params - how a queue is to be consumed
 * @size: sizeof(struct smmuinv_queue_params)
 * @ops: the VMM's part; copied
 * @opaque: handed to each of @ops; borrowed until the queue is freed
 * @window: at most so many commands go to the host at a time,
 *	1..SMMUINV_BATCH_CAPACITY_MAX; 0 means 4096
 * @reserved: must be 0
 */
struct smmuinv_queue_params {
	size_t size;
	const struct smmuinv_queue_ops *ops;
	void *opaque;
	uint32_t window;
	uint32_t reserved;
};

/**
 * smmuinv_queue_new() - a consumer for one guest Command queue
 * @vsmmu: whose queue; borrowed until the queue is freed
 * @params: how
 * @queue: the consumer
 *
 * Return: 0; -EINVAL for NULL, a wrong size, a reserved member that is set, or a
 * window out of range; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_queue_new(struct smmuinv_vsmmu *vsmmu,
				  const struct smmuinv_queue_params *params,
				  struct smmuinv_queue **queue);

/**
 * smmuinv_queue_free() - free a consumer
 * @queue: may be NULL
 *
 * Threads: the queue's. Since: 0.1.
 */
SMMUINV_API void smmuinv_queue_free(struct smmuinv_queue *queue);

/** SMMUINV_QUEUE_LOG2SIZE_MAX - the largest Command queue (6.3.2) */
#define SMMUINV_QUEUE_LOG2SIZE_MAX 19

/**
 * struct smmuinv_ring - the registers of a guest's Command queue
 * @size: sizeof(struct smmuinv_ring)
 * @base: the ring in this process's memory, 2^@log2size entries, aligned to
 *	8; NULL to use the read callback. The guest may write to it at any time.
 * @log2size: CMDQ_BASE.LOG2SIZE, 0..19
 * @prod: CMDQ_PROD; only the index and its wrap bit are looked at
 * @cons: CMDQ_CONS; likewise
 * @max_commands: consume at most so many in this call; 0 for no bound but the
 *	size of the ring
 */
struct smmuinv_ring {
	size_t size;
	const void *base;
	uint32_t log2size;
	uint32_t prod;
	uint32_t cons;
	uint32_t max_commands;
};

/**
 * struct smmuinv_progress - how far a call came
 * @size: sizeof(struct smmuinv_progress), set by the caller
 * @cons: the new CMDQ_CONS.RD with its wrap bit. Everything before it is complete,
 *	but for what a time-out of ATC_INVs has left for the next CMD_SYNC.
 * @cerror: why the queue stopped at @cons, enum smmuinv_cerror: store it in
 *	CMDQ_CONS.ERR and toggle GERROR.CMDQ_ERR
 * @rule: which rule the command at @cons breaks, enum smmuinv_rule
 * @field: the field at fault, enum smmuinv_field
 * @consumed: commands consumed by this call
 * @forwarded: how many the host executed; of those consumed, and of those that
 *	an earlier call had to keep for the next CMD_SYNC
 * @vmm: how many the VMM's callbacks took
 * @dropped: how many needed nothing
 * @host_error: the last failure of a call to the kernel, -EPROTO for a senseless
 *	answer, 0 if none
 * @host_count: the count that came with it, which may be a lie
 * @host_commands: commands handed to the kernel, repetitions included
 * @ioctls: calls to the kernel, interrupted ones not counted
 * @fault_vsid: with -ENODEV, whose device is gone
 * @fault_viommu: with an error or time-out of a host's, which vIOMMU's; 0 otherwise
 */
struct smmuinv_progress {
	size_t size;
	uint32_t cons;
	uint32_t cerror;
	uint32_t rule;
	uint32_t field;
	uint32_t consumed;
	uint32_t forwarded;
	uint32_t vmm;
	uint32_t dropped;
	int32_t host_error;
	uint32_t host_count;
	uint32_t host_commands;
	uint32_t ioctls;
	uint32_t fault_vsid;
	uint32_t fault_viommu;
};

/**
 * smmuinv_queue_consume() - consume what the guest has produced
 * @queue: the consumer
 * @ring: where and how much
 * @progress: how far it came; filled in whatever is returned, but for -EINVAL
 *	because of an argument and for -EBUSY. So set progress.cons to @ring.cons
 *	before.
 *
 * Each entry is read exactly once. Forwarded commands go to the host in as few
 * calls as order allows. Stops at the first command that is illegal or cannot
 * be read, with everything before it complete (7.1); the VMM shows
 * progress.cerror, and consumes again when the guest has restarted the queue.
 *
 * A host failure is not the guest's fault and never CERROR_ILL: it is returned,
 * progress.cons points at the first command that is not known complete, and
 * consuming again from there is safe. One failure the architecture lets a guest
 * see: when a call with ATC_INVs in it times out, its commands are kept until the
 * next CMD_SYNC, and the others go on. A CMD_SYNC that cannot complete them stops
 * the queue with CERROR_ATC_INV_SYNC; the guest's next try of it completes them.
 * There must be room to keep them: a window full of them is -ETIMEDOUT.
 *
 * Return: the number of commands consumed, which may be 0; -EBUSY from within a
 * callback of this queue; -EINVAL for NULL, a
 * wrong size, a log2size above 19, a base that is not aligned, or neither base
 * nor read callback; -ERANGE if @prod is further ahead of @cons than the ring
 * is long, which the architecture leaves open (the guest's fault; there is no
 * CERROR for it, and a VMM does best to leave the queue alone until the guest
 * resets it); -EOPNOTSUPP as in smmuinv_check(); the errno of a failed callback;
 * an errno as smmuinv_batch_flush().
 * Threads: the queue's. Since: 0.1.
 */
SMMUINV_API int smmuinv_queue_consume(struct smmuinv_queue *queue,
				      const struct smmuinv_ring *ring,
				      struct smmuinv_progress *progress);

/**
 * smmuinv_queue_reset() - forget what earlier calls have left over
 * @queue: the consumer
 *
 * To be called when the guest disables or resets its queue, or the VMM loads
 * another state: after that, the same place in the ring is another command. What a
 * time-out of ATC_INVs has left is forgotten, so have everything invalidated
 * (smmuinv_invalidate_all()); and so is which vIOMMUs have executed what others
 * have failed at.
 *
 * Threads: the queue's, not from its callbacks. Since: 0.1.
 */
SMMUINV_API void smmuinv_queue_reset(struct smmuinv_queue *queue);

SMMUINV_END_DECLS

#endif /* SMMUINV_QUEUE_H */
