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
 * @msi: write @msi_data to @msi_address as an MSI; the guest's IDR0.MSI is set
 * @irq: the guest asked for an interrupt (CS == SIG_IRQ), by MSI or by wire
 * @sev: the guest asked for an event (CS == SIG_SEV), and its IDR0.SEV is set
 * @reserved: 0
 *
 * It has no size, because only the library makes it. A later release may add
 * members at its end, or give a reserved byte a meaning.
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

/**
 * enum smmuinv_callback - the callbacks, for struct smmuinv_fault
 */
enum smmuinv_callback {
	SMMUINV_CALLBACK_NONE = 0,
	SMMUINV_CALLBACK_READ = 1,
	SMMUINV_CALLBACK_CFGI_STE = 2,
	SMMUINV_CALLBACK_CFGI_STE_RANGE = 3,
	SMMUINV_CALLBACK_SYNC = 4,
	SMMUINV_CALLBACK_COMMAND = 5
};

/** SMMUINV_STE_ATTACHED - answer of smmuinv_queue_ops.cfgi_ste: a new HWPT is
 * attached */
#define SMMUINV_STE_ATTACHED 1

/** SMMUINV_COMMAND_ILLEGAL - answer of smmuinv_queue_ops.command: CERROR_ILL */
#define SMMUINV_COMMAND_ILLEGAL 1

/** enum smmuinv_fate - what became of a command, for the settled callback */
enum smmuinv_fate {
	SMMUINV_FATE_FORWARDED = 0,	/* the host executed it */
	SMMUINV_FATE_VMM = 1,		/* the VMM's callback took it */
	SMMUINV_FATE_DROPPED = 2,	/* it was not sent; rule says why */
	SMMUINV_FATE_ILLEGAL = 3,	/* the queue stopped at it */
	SMMUINV_FATE_UNREADABLE = 4	/* the queue stopped at it */
};

/**
 * struct smmuinv_queue_ops - what only the VMM can do
 * @size: sizeof(struct smmuinv_queue_ops)
 * @read: copy the entry at index @index of the ring to @command. Required if
 *	the ring has no base pointer. A negative answer is CERROR_ABT. Read each
 *	byte of the guest's memory once.
 * @cfgi_ste_range: the guest changed STEs @first to @last, both included.
 *	CFGI_ALL has all 2^32, CFGI_STE has one. It is for a VMM with emulated
 *	devices, which are not streams.
 * @cfgi_ste: called after that for each stream among them, in the order of the
 *	vSIDs: its STE may have changed. Read the STE (smmuinv_ste_read()) and
 *	attach what it asks for. Answer SMMUINV_STE_ATTACHED if you attached a
 *	new HWPT, because the kernel then invalidates the stream's CDs. Answer 0
 *	if you left the attachment as it was. Then the library sends CFGI_CD_ALL
 *	(4.3.1).
 * @sync: everything that this CMD_SYNC covers is complete; signal it
 * @command: any other command that is legal for the guest's SMMU and does not
 *	go to the host: PRI_RESP, RESUME, STALL_TERM, TLBI_EL2_*, TLBI_S2_IPA,
 *	TLBI_S12_VMALL, ... It is canonical: RES0 bits are zero. The answer
 *	SMMUINV_COMMAND_ILLEGAL stops the queue there with CERROR_ILL.
 * @settled: what became of the command at index @index: @fate is an enum
 *	smmuinv_fate, @rule an enum smmuinv_rule. @command is as the guest wrote
 *	it, or all zero if it could not be read. A VMM can flush its own TLB
 *	here, because the call comes before @sync of the CMD_SYNC that covers
 *	the command.
 *
 * Callbacks run on the thread that consumes. They come in the order of the
 * queue, except @read. @cfgi_ste may still be running for a vSID that another
 * thread has just removed. Callbacks may call every function of the virtual
 * SMMU except smmuinv_vsmmu_free(), and may use other queues. Calls on this
 * queue return -EBUSY meanwhile.
 *
 * If a CFGI_STE or CFGI_STE_RANGE repeats the one before it, it causes no
 * callback except @settled. Only CMD_SYNCs may be between the two.
 *
 * A negative answer means that the VMM failed, except from @read. The queue
 * stops at that command, and presents it again in the next call.
 * smmuinv_queue_consume() returns the errno. A positive answer that has no name
 * above is -EPROTO.
 *
 * Each may be NULL. A missing @cfgi_ste, @cfgi_ste_range or @sync counts as one
 * that returns 0. Without @command, the commands that it would get are illegal
 * (SMMUINV_RULE_NOT_OFFERED).
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
	void (*settled)(void *opaque, uint32_t index,
			const struct smmuinv_command *command, uint32_t fate,
			uint32_t rule);
};

/**
 * struct smmuinv_queue_params - how a queue is to be consumed
 * @size: sizeof(struct smmuinv_queue_params)
 * @ops: the VMM's part; copied
 * @opaque: passed to each of @ops, unless a call has its own
 * @window: the most entries in one window, CMD_SYNCs included,
 *	1..SMMUINV_BATCH_CAPACITY_MAX; 0 selects 4096
 * @work_max: smmuinv_queue_consume() returns once its host commands and the
 *	streams that it visited for CFGI_STE come to this number. 0 selects
 *	65536. One window, or one CFGI_STE_RANGE for all streams, can exceed it.
 *	It also returns after a window in which a call to the host failed.
 */
struct smmuinv_queue_params {
	size_t size;
	const struct smmuinv_queue_ops *ops;
	void *opaque;
	uint32_t window;
	uint32_t work_max;
};

/**
 * smmuinv_queue_new() - make a consumer for one guest Command queue
 * @vsmmu: whose queue; borrowed until the queue is freed
 * @params: how
 * @queue: the consumer
 *
 * Return: 0; -EINVAL for NULL, a wrong size or a window out of range; -ENOMEM.
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
 * @base: the ring in this process's memory: 2^@log2size entries, aligned to 8
 *	bytes. NULL selects the read callback. The guest may write to the ring
 *	at any time.
 * @opaque: passed to the callbacks of this call; NULL selects the queue's
 * @log2size: CMDQ_BASE.LOG2SIZE, 0..19
 * @prod: CMDQ_PROD; only the index and its wrap bit count
 * @cons: CMDQ_CONS; likewise
 * @max_commands: the most commands to consume in this call; 0 for all
 */
struct smmuinv_ring {
	size_t size;
	const void *base;
	void *opaque;
	uint32_t log2size;
	uint32_t prod;
	uint32_t cons;
	uint32_t max_commands;
};

/**
 * struct smmuinv_progress - how far a call came
 * @size: sizeof(struct smmuinv_progress), set by the caller
 * @fault: who failed. It is filled in even if the guest sees the fault.
 * @cons: the new CMDQ_CONS.RD with its wrap bit
 * @cerror: why the queue stopped at @cons, enum smmuinv_cerror: store it in
 *	CMDQ_CONS.ERR and toggle GERROR.CMDQ_ERR
 * @consumed: commands consumed by this call
 * @forwarded: of these, how many the host executed, or a device owes
 * @vmm: of these, how many the VMM's callbacks took
 * @dropped: of these, how many were not sent, as in struct smmuinv_result
 * @more: 1 if the call succeeded but left entries in the queue, because of
 *	work_max or max_commands: call again
 * @host_commands: commands sent to the host, repetitions included
 * @ioctls: calls to the host
 * @retries: of @ioctls, how many came after one that failed
 * @timeouts: of @ioctls, how many failed with -ETIMEDOUT
 * @replaced: commands that the host refused and that a wider one replaced
 */
struct smmuinv_progress {
	size_t size;
	struct smmuinv_fault fault;
	uint32_t cons;
	uint32_t cerror;
	uint32_t consumed;
	uint32_t forwarded;
	uint32_t vmm;
	uint32_t dropped;
	uint32_t more;
	uint32_t host_commands;
	uint32_t ioctls;
	uint32_t retries;
	uint32_t timeouts;
	uint32_t replaced;
};

/**
 * smmuinv_queue_consume() - consume what the guest has produced
 * @queue: the consumer
 * @ring: the registers and the memory
 * @progress: how far it came. It is filled in except after -EBUSY, and after
 *	-EINVAL because of an argument. So set progress.cons to @ring.cons
 *	before the call.
 *
 * It reads each entry once in a call, and calls the host as rarely as possible.
 * It stops at the first command that is illegal or cannot be read, with
 * everything before it complete (7.1). Then show the guest progress.cerror, and
 * consume again when the guest has restarted the queue.
 *
 * A failure of the host is never shown as CERROR_ILL. The library handles it as
 * smmuinv_batch_flush() does. If that does not help, it returns the errno, with
 * progress.cons at the first command that is not complete. Act on source and
 * errno:
 *
 * SMMUINV_SOURCE_HOST and -ENODEV: remove the stream progress.fault.vsid, and
 * consume again from progress.cons. SMMUINV_SOURCE_HOST and another errno:
 * consume again later, or call smmuinv_queue_invalidate_all(), or stop the
 * guest. SMMUINV_SOURCE_CALLBACK: a callback of yours failed; repair the cause,
 * then consume again. SMMUINV_SOURCE_POINTERS: do not consume until the guest
 * resets the queue.
 *
 * The guest sees one failure: a device that does not answer ATC_INVs. The queue
 * goes on to the next CMD_SYNC and stops there with CERROR_ATC_INV_SYNC.
 * progress.fault.vsid names the device, or is SMMUINV_VSID_NONE if it is not
 * known which. The library remembers for each stream what its device owes.
 * Before any CMD_SYNC on the same virtual SMMU is signaled, the device is asked
 * again.
 *
 * Return: the number of commands consumed, which may be 0; -EBUSY from a
 * callback of this queue; -EINVAL for NULL, a wrong size, a base that is not
 * aligned, or neither base nor read callback; -ERANGE if @prod is further ahead
 * of @cons than the ring has entries, or log2size is above 19; -EOPNOTSUPP as
 * in smmuinv_check(); the errno of a failed callback; an errno as
 * smmuinv_batch_flush().
 * Threads: the queue's. Since: 0.1.
 */
SMMUINV_API int smmuinv_queue_consume(struct smmuinv_queue *queue,
				      const struct smmuinv_ring *ring,
				      struct smmuinv_progress *progress);

/**
 * smmuinv_queue_invalidate_all() - invalidate everything in place of a command
 * @queue: the consumer
 * @ring: as for smmuinv_queue_consume(), with cons at that command
 * @progress: as for smmuinv_queue_consume(), with more always 0
 *
 * Use it if the host does not execute the command at cons. It calls
 * smmuinv_vsmmu_invalidate_all(), which has at least the command's effect.
 * After success the command is complete. A device that does not answer is no
 * error here, because the next CMD_SYNC asks it again.
 *
 * Return: 1 if the command is consumed; 0 if there is no command, or if it is
 * not one that is sent to the host, for example a CFGI_STE: then consume, and
 * stop the guest if that fails again; an error of
 * smmuinv_vsmmu_invalidate_all(); otherwise as smmuinv_queue_consume().
 * Threads: the queue's. Since: 0.1.
 */
SMMUINV_API int smmuinv_queue_invalidate_all(struct smmuinv_queue *queue,
				   const struct smmuinv_ring *ring,
				   struct smmuinv_progress *progress);

SMMUINV_END_DECLS

#endif /* SMMUINV_QUEUE_H */
