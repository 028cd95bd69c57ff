/* SPDX-License-Identifier: MIT */
/* Sections are those of Arm IHI 0070. */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vsmmu.h"
#include "vm.h"

#define LOG2SIZE 4
#define SIZE     (1u << LOG2SIZE)

/* A callback that was called, and what had been executed by then. */
struct call {
	char what;
	uint32_t first;
	uint32_t last;
	size_t executed;
};

/* What `settled` was told, and how many callbacks had been called. */
struct settled_command {
	uint32_t index;
	struct smmuinv_command command;
	uint32_t fate;
	uint32_t rule;
	uint32_t calls;
};

#define LOG_MAX 64

/* A VMM: a ring, the registers, and a record of what it was told. */
struct vmm {
	struct vm_queue q; /* first */
	struct vm vm;
	struct call calls[LOG_MAX];
	unsigned int call_count;
	struct settled_command settled[LOG_MAX];
	unsigned int settled_count;
	struct smmuinv_sync sync;
	struct smmuinv_command command;
	unsigned int reads[SIZE];
	int answer;     /* of callbacks */
	char answering; /* of this one only; 0: of every one */
	int (*in_sync)(struct vmm *vmm);
	const char *text; /* see write_text() */
};

static int called(struct vmm *vmm, char what, uint32_t first, uint32_t last)
{
	assert_true(vmm->call_count < LOG_MAX);
	vmm->calls[vmm->call_count++] =
		(struct call){ what, first, last, vm_executed(&vmm->vm, 0) };
	return vmm->answering && vmm->answering != what ? 0 : vmm->answer;
}

static int on_read(void *opaque, uint32_t index,
		   struct smmuinv_command *command)
{
	struct vmm *vmm = opaque;

	assert_true(index < SIZE);
	vmm->reads[index]++;
	return vm_queue_read(&vmm->q, index, command);
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	return called(opaque, 'e', sid, leaf);
}

static int on_cfgi_ste_range(void *opaque, uint32_t first, uint32_t last,
			     bool leaf)
{
	(void)leaf;
	return called(opaque, 'r', first, last);
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct vmm *vmm = opaque;

	assert_true(test_is_zero(sync->reserved, sizeof(sync->reserved)));
	vmm->sync = *sync;
	if (vmm->in_sync)
		return vmm->in_sync(vmm);
	return called(vmm, 's', sync->msi_data, 0);
}

static int on_command(void *opaque, const struct smmuinv_command *command)
{
	struct vmm *vmm = opaque;

	vmm->command = *command;
	return called(vmm, 'c', smmuinv_command_opcode(command), 0);
}

static void on_settled(void *opaque, uint32_t index,
		       const struct smmuinv_command *command, uint32_t fate,
		       uint32_t rule)
{
	struct vmm *vmm = opaque;

	assert_true(vmm->settled_count < LOG_MAX);
	vmm->settled[vmm->settled_count++] =
		(struct settled_command){ index, *command, fate, rule,
					  vmm->call_count };
}

static const struct smmuinv_queue_ops all_ops = {
	.size = sizeof(all_ops),
	.read = on_read,
	.cfgi_ste = on_cfgi_ste,
	.cfgi_ste_range = on_cfgi_ste_range,
	.sync = on_sync,
	.command = on_command,
	.settled = on_settled,
};

static const uint32_t plans[] = { SMMUINV_PLAN_MERGED,
				  SMMUINV_PLAN_AS_WRITTEN };

static void vmm_open_with(struct vmm *vmm, const struct vm_options *options,
			  const struct vm_queue_options *queue)
{
	memset(vmm, 0, sizeof(*vmm));
	vm_open_with(&vmm->vm, options);
	vm_queue_open(&vmm->q, vmm->vm.vsmmu, queue);
}

static void vmm_open(struct vmm *vmm, const struct smmuinv_queue_ops *ops,
		     const struct smmuinv_features *features, uint32_t window)
{
	const struct vm_options options = {
		.plan = SMMUINV_PLAN_AS_WRITTEN,
		.guest = features,
	};
	const struct vm_queue_options queue = {
		.ops = ops,
		.log2size = LOG2SIZE,
		.window = window,
	};

	vmm_open_with(vmm, &options, &queue);
}

static void vmm_close(struct vmm *vmm)
{
	vm_queue_close(&vmm->q);
	vm_close(&vmm->vm);
}

/* Every plan, and every way to read a queue. */
static void with_each(const struct smmuinv_features *features, uint32_t window,
		      void (*test)(struct vmm *vmm, uint32_t plan))
{
	uint32_t p, w;

	for (p = 0; p < ARRAY_SIZE(plans); p++) {
		for (w = 0; w < VM_WAYS; w++) {
			const struct vm_options options = {
				.plan = plans[p],
				.guest = features,
			};
			const struct vm_queue_options queue = {
				.ops = &all_ops,
				.way = (enum vm_way)w,
				.log2size = LOG2SIZE,
				.window = window,
			};
			struct vmm vmm;

			vmm_open_with(&vmm, &options, &queue);
			test(&vmm, plans[p]);
			vmm_close(&vmm);
		}
	}
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct vmm));
	vmm_open(*state, &all_ops, &everything, 0);
	return 0;
}

static int teardown(void **state)
{
	vmm_close(*state);
	free(*state);
	return 0;
}

static size_t executed(struct vmm *vmm)
{
	return vm_executed(&vmm->vm, 0);
}

/* Neither a stream nor a vIOMMU is named. */
static void assert_no_object(const struct vmm *vmm)
{
	assert_true(vmm->q.progress.fault.vsid == SMMUINV_VSID_NONE);
	assert_int_equal(vmm->q.progress.fault.viommu_id, 0);
}

static void assert_no_fault(const struct vmm *vmm)
{
	const struct smmuinv_fault *fault = &vmm->q.progress.fault;

	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(fault->source, SMMUINV_SOURCE_NONE);
	assert_int_equal(fault->error | (int)fault->callback, 0);
	assert_int_equal(fault->rule | fault->field, 0);
	assert_no_object(vmm);
}

/* 3.5.1: every pair of pointers of every small ring. */
static void every_pair_of_pointers(struct vmm *vmm, uint32_t plan)
{
	uint32_t log2size, prod, cons;

	(void)plan;
	for (log2size = 0; log2size <= LOG2SIZE; log2size++) {
		uint32_t size = 1u << log2size;

		for (prod = 0; prod < 2 * size; prod++) {
			for (cons = 0; cons < 2 * size; cons++) {
				uint32_t ahead = (prod - cons) & (2 * size - 1);
				struct smmuinv_progress progress = {
					.size = sizeof(progress),
				};
				struct smmuinv_ring ring = {
					.size = sizeof(ring),
					.base = vmm->q.by_callback ?
							NULL :
							vmm->q.ring,
					.log2size = log2size,
					/* Other bits of the registers. */
					.prod = prod | 0xfff00000,
					.cons = cons | 0x7f000000,
				};
				uint32_t i;

				for (i = 0; i < size; i++)
					vmm->q.ring[i] =
						tlbi_va((uint64_t)i << 12);
				vmm->settled_count = 0;
				vm_forget(&vmm->vm);
				if (ahead > size) {
					assert_int_equal(smmuinv_queue_consume(
								 vmm->q.queue,
								 &ring,
								 &progress),
							 -ERANGE);
					assert_int_equal(progress.cons, cons);
					assert_int_equal(
						progress.fault.source,
						SMMUINV_SOURCE_POINTERS);
					assert_int_equal(progress.fault.error,
							 -ERANGE);
					assert_int_equal(executed(vmm), 0);
					continue;
				}
				assert_int_equal(
					smmuinv_queue_consume(vmm->q.queue,
							      &ring, &progress),
					ahead);
				assert_int_equal(progress.cons, prod);
				assert_int_equal(progress.forwarded, ahead);
				assert_int_equal(executed(vmm), ahead);
				for (i = 0; i < vmm->settled_count; i++)
					assert_int_equal(vmm->settled[i].index,
							 (cons + i) &
								 (size - 1));
			}
		}
	}
}

static void every_pair_of_pointers_is_consumed_or_refused(void **state)
{
	(void)state;
	with_each(&everything, 0, every_pair_of_pointers);
}

static void each_entry_is_read_exactly_once(void **state)
{
	struct vmm *vmm = *state;
	uint32_t i;

	vmm->q.by_callback = true;
	vmm->q.prod = vmm->q.cons = SIZE - 3;
	for (i = 0; i < 10; i++)
		vm_write(&vmm->q,
			 i == 4 ? cmd_sync() : tlbi_va((uint64_t)i << 12));
	assert_int_equal(vm_consume(&vmm->q), 10);
	for (i = 0; i < SIZE; i++)
		assert_int_equal(vmm->reads[i], (i + 3) % SIZE < 10 ? 1 : 0);
	assert_int_equal(vmm->q.cons, vmm->q.prod);
}

static void everything_before_a_callback_is_executed_in_order(void **state)
{
	struct vmm *vmm = *state;

	vm_write(&vmm->q, raw(0x0000001000000003, 1)); /* CFGI_STE */
	vm_write(&vmm->q, tlbi_va(0x1000));
	vm_write(&vmm->q, tlbi_va(0x2000));
	vm_write(&vmm->q, cmd_sync());
	vm_write(&vmm->q, tlbi_va(0x3000));
	vm_write(&vmm->q, raw(0x0000004000000004, 2)); /* CFGI_STE_RANGE */
	vm_write(&vmm->q, cmd_sync());
	assert_int_equal(vm_consume(&vmm->q), 7);
	assert_int_equal(vmm->call_count, 5);
	assert_int_equal(vmm->calls[0].what, 'r');
	assert_int_equal(vmm->calls[0].first, VM_VSID);
	assert_int_equal(vmm->calls[0].last, VM_VSID);
	assert_int_equal(vmm->calls[0].executed, 0);
	assert_int_equal(vmm->calls[1].what, 'e');
	assert_int_equal(vmm->calls[1].first, VM_VSID);
	assert_int_equal(vmm->calls[1].last, 1);
	assert_int_equal(vmm->calls[1].executed, 0);
	/* A CFGI_CD_ALL of the library's, and what is after the CMD_SYNC. */
	assert_int_equal(vmm->calls[2].what, 's');
	assert_int_equal(vmm->calls[2].executed, 1 + 3);
	assert_int_equal(vmm->calls[3].what, 'r');
	assert_int_equal(vmm->calls[3].executed, 1 + 3);
	assert_int_equal(vmm->calls[4].what, 's');
	assert_int_equal(vmm->q.progress.forwarded, 3);
	assert_int_equal(vmm->q.progress.vmm, 4);
	assert_int_equal(vmm->q.progress.host_commands, 1 + 3);
	/* The library's own, and as written a call ends at a CMD_SYNC. */
	assert_int_equal(vmm->q.progress.ioctls, 3);
}

static void a_sync_with_nothing_before_it_costs_no_ioctl(void **state)
{
	struct vmm *vmm = *state;

	vm_write(&vmm->q, cmd_sync());
	vm_write(&vmm->q, cmd_sync());
	assert_int_equal(vm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.progress.ioctls, 0);
	assert_int_equal(vmm->call_count, 2);
}

/* 4.3.2: 2^(Range + 1) StreamIDs, aligned; 31 is all of them. */
static void cfgi_ste_range_names_the_first_and_last_stream(void **state)
{
	struct vmm *vmm = *state;
	uint32_t range;

	for (range = 0; range < 32; range++) {
		uint64_t span = UINT64_C(2) << range;
		uint32_t sid = 0xdeadbeef;

		vmm->call_count = 0;
		vmm->settled_count = 0;
		vm_write(&vmm->q, raw((uint64_t)sid << 32 | 4, range));
		assert_int_equal(vm_consume(&vmm->q), 1);
		assert_int_equal(vmm->calls[0].first, sid / span * span);
		assert_int_equal(vmm->calls[0].last,
				 sid / span * span + (span - 1));
	}
}

/* 4.7.3 */
static void a_sync_is_decoded_for_the_vmm(void **state)
{
	struct vmm *vmm = *state;

	/* CS=1, MSH=3, MSIAttr=0xf, MSIData, MSIAddress */
	vm_write(&vmm->q, raw(0x123456780fc01046, 0xff00fedcba987654));
	assert_int_equal(vm_consume(&vmm->q), 1);
	assert_true(vmm->sync.irq);
	assert_true(vmm->sync.msi);
	assert_false(vmm->sync.sev);
	assert_int_equal(vmm->sync.msi_shareability, 3);
	assert_int_equal(vmm->sync.msi_attributes, 0xf);
	assert_int_equal(vmm->sync.msi_data, 0x12345678);
	assert_int_equal(vmm->sync.msi_address, 0xfedcba987654);

	/* An address of zero: an interrupt by wire. */
	vm_write(&vmm->q, raw(0x1234567800001046, 0));
	assert_int_equal(vm_consume(&vmm->q), 1);
	assert_true(vmm->sync.irq);
	assert_false(vmm->sync.msi);
	assert_int_equal(vmm->sync.msi_data, 0);

	/* CS=2: an event. The MSI fields are IGNORED. */
	vm_write(&vmm->q, raw(0x1234567800002046, 0x1000));
	assert_int_equal(vm_consume(&vmm->q), 1);
	assert_false(vmm->sync.irq);
	assert_false(vmm->sync.msi);
	assert_true(vmm->sync.sev);

	vm_write(&vmm->q, raw(0x1234567800000046, 0x1000));
	assert_int_equal(vm_consume(&vmm->q), 1);
	assert_false(vmm->sync.irq || vmm->sync.msi || vmm->sync.sev);
}

static void
msi_and_sev_are_only_signalled_if_the_guest_was_shown_them(void **state)
{
	struct smmuinv_features features = everything;
	struct vmm vmm;

	(void)state;
	features.idr[0] &= ~(3u << 13);
	vmm_open(&vmm, &all_ops, &features, 0);
	vm_write(&vmm.q, raw(0x1234567800001046, 0x1000));
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_true(vmm.sync.irq);
	assert_false(vmm.sync.msi);
	vm_write(&vmm.q, raw(0x2046, 0));
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_false(vmm.sync.sev);
	vmm_close(&vmm);
}

/* 7.1: RD points at it, older commands take effect, later ones do not. */
static void an_illegal_command_stops_the_queue_exactly_there(void **state)
{
	struct vmm *vmm = *state;
	uint32_t bad, i;

	for (bad = 0; bad < 8; bad++) {
		uint32_t start = vmm->q.prod;

		vm_forget(&vmm->vm);
		vmm->settled_count = 0;
		for (i = 0; i < 8; i++)
			vm_write(&vmm->q, i == bad ?
						  raw(0xff, 0) :
						  tlbi_va((uint64_t)i << 12));
		assert_int_equal(vm_consume(&vmm->q), bad);
		assert_int_equal(vmm->q.cons, (start + bad) % (2 * SIZE));
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ILL);
		assert_int_equal(vmm->q.progress.fault.source,
				 SMMUINV_SOURCE_GUEST);
		assert_int_equal(vmm->q.progress.fault.error, 0);
		assert_int_equal(vmm->q.progress.fault.rule,
				 SMMUINV_RULE_RESERVED_OPCODE);
		assert_int_equal(vmm->q.progress.fault.field,
				 SMMUINV_FIELD_OPCODE);
		assert_no_object(vmm);
		assert_int_equal(executed(vmm), bad);
		assert_int_equal(vmm->settled_count, bad + 1);
		assert_int_equal(vmm->settled[bad].fate, SMMUINV_FATE_ILLEGAL);

		/* The guest overwrites it, and the queue goes on from there. */
		vmm->q.ring[vmm->q.cons % SIZE] = cmd_sync();
		assert_int_equal(vm_consume(&vmm->q), 8 - bad);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(executed(vmm), 7);
	}
}

/* 7.1: commands after the bad one may be rewritten, and are read again. */
static void what_is_after_an_error_is_read_again(void **state)
{
	struct vmm *vmm = *state;
	struct smmuinv_command rewritten = tlbi_va(0x7000);

	vm_write(&vmm->q, raw(0, 0));
	vm_write(&vmm->q, tlbi_va(0x1000));
	assert_int_equal(vm_consume(&vmm->q), 0);
	vmm->q.ring[0] = cmd_sync();
	vmm->q.ring[1] = rewritten;
	assert_int_equal(vm_consume(&vmm->q), 2);
	assert_int_equal(vm_times(&vmm->vm, 0, &rewritten), 1);
	assert_int_equal(executed(vmm), 1);
}

/* 7.1: CERROR_ABT */
static void an_unreadable_command_is_cerror_abt_exactly_there(void **state)
{
	struct vmm *vmm = *state;
	int bad;

	vmm->q.by_callback = true;
	for (bad = 0; bad < 8; bad++) {
		uint32_t i;

		vmm->q.prod = vmm->q.cons = 0;
		vmm->q.unreadable = bad;
		vmm->settled_count = 0;
		vm_forget(&vmm->vm);
		for (i = 0; i < 8; i++)
			vm_write(&vmm->q, tlbi_va((uint64_t)i << 12));
		assert_int_equal(vm_consume(&vmm->q), bad);
		assert_int_equal(vmm->q.cons, bad);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ABT);
		assert_int_equal(vmm->q.progress.fault.source,
				 SMMUINV_SOURCE_GUEST);
		assert_no_object(vmm);
		assert_int_equal(executed(vmm), bad);
		assert_int_equal(vmm->settled[bad].fate,
				 SMMUINV_FATE_UNREADABLE);
		vmm->q.unreadable = -1;
		assert_int_equal(vm_consume(&vmm->q), 8 - bad);
		assert_int_equal(executed(vmm), 8);
	}
}

/* A host failure is not the guest's fault. */
static void
a_host_failure_is_an_errno_and_the_queue_can_be_retried(void **state)
{
	const int errors[] = { -ENOENT, -EFAULT, -EPERM, -EINVAL };
	struct vmm *vmm = *state;
	uint32_t e, i;

	for (e = 0; e < ARRAY_SIZE(errors); e++) {
		uint32_t start = vmm->q.prod;

		vm_forget(&vmm->vm);
		vmm->call_count = 0;
		vmm->settled_count = 0;
		for (i = 0; i < 4; i++)
			vm_write(&vmm->q, tlbi_va((uint64_t)i << 12));
		vm_write(&vmm->q, cmd_sync());
		vm_fail(&vmm->vm, 0, 0, errors[e]);
		assert_int_equal(vm_consume(&vmm->q), errors[e]);
		vm_fail(&vmm->vm, 0, 0, 0);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(vmm->q.progress.consumed, 0);
		assert_int_equal(vmm->q.progress.fault.source,
				 SMMUINV_SOURCE_HOST);
		assert_int_equal(vmm->q.progress.fault.error, errors[e]);
		assert_true(vmm->q.progress.fault.vsid == SMMUINV_VSID_NONE);
		assert_int_equal(vmm->q.progress.fault.viommu_id,
				 vmm->vm.smmu[0].viommu);
		assert_int_equal(vmm->q.progress.ioctls, vmm->vm.call_count);
		assert_int_equal(vmm->q.progress.retries,
				 vmm->vm.call_count - 1);
		assert_int_equal(vmm->q.cons, start % (2 * SIZE));
		assert_int_equal(vmm->call_count, 0);
		assert_int_equal(vmm->settled_count, 0);
		assert_int_equal(vm_consume(&vmm->q), 5);
		assert_no_fault(vmm);
		assert_int_equal(executed(vmm), 4);
		assert_int_equal(vmm->call_count, 1);
		assert_int_equal(vmm->settled_count, 5);
	}
}

/* Before every kind of stop, what is held back must get through first. */
static void a_host_failure_comes_before_what_stops_the_queue_later(void **state)
{
	const struct smmuinv_command stops[] = {
		raw(0xff, 0), /* illegal */
		raw(0x44, 0), /* RESUME, illegal here */
		raw(0x46, 0), /* the VMM's */
		raw(0x03, 1), /* CFGI_STE, the VMM's too */
	};
	struct vmm *vmm = *state;
	uint32_t i;

	for (i = 0; i < 5; i++) {
		vmm->q.by_callback = i == 4;
		vmm->settled_count = 0;
		vmm->call_count = 0;
		vm_write(&vmm->q, tlbi_va(0x1000));
		vmm->q.unreadable = i == 4 ? (int)(vmm->q.prod % SIZE) : -1;
		vm_write(&vmm->q, i < 4 ? stops[i] : tlbi_va(0));
		vm_fail(&vmm->vm, 0, 0, -EFAULT);
		assert_int_equal(vm_consume(&vmm->q), -EFAULT);
		vm_fail(&vmm->vm, 0, 0, 0);
		assert_int_equal(vmm->q.progress.consumed, 0);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(vmm->call_count, 0);
		assert_int_equal(vmm->settled_count, 0);
		vmm->q.prod = vmm->q.cons;
	}
}

/* Each callback with its command, and the answers that it has no name for. */
static const struct callback_case {
	uint64_t dw0;
	uint64_t dw1;
	char what;
	uint32_t callback;
	int named; /* positive answers up to this have a name */
} callback_cases[] = {
	{ 0x4200000003, 1, 'r', SMMUINV_CALLBACK_CFGI_STE_RANGE, 0 },
	{ 4, 1, 'r', SMMUINV_CALLBACK_CFGI_STE_RANGE, 0 },
	{ 0x1000000003, 1, 'e', SMMUINV_CALLBACK_CFGI_STE, 1 },
	{ 0x46, 0, 's', SMMUINV_CALLBACK_SYNC, 0 },
	{ 0x44, 0, 'c', SMMUINV_CALLBACK_COMMAND, 1 },
};

/* IDR0: S1P, S2P, Hyp, PRI, stalling model 0; MPAM and DPT in IDR3. */
static const struct smmuinv_features emulated;

/* The callback answers so, and the queue stops there. */
static void assert_refused(struct vmm *vmm, const struct callback_case *c,
			   int answer, int expected)
{
	const struct smmuinv_fault *fault = &vmm->q.progress.fault;
	uint32_t start = vmm->q.cons;

	vm_forget(&vmm->vm);
	vmm->call_count = 0;
	vmm->settled_count = 0;
	vmm->answering = c->what;
	vm_write(&vmm->q, tlbi_va(0x1000));
	vm_write(&vmm->q, raw(c->dw0, c->dw1));
	vm_write(&vmm->q, cmd_sync());
	vmm->answer = answer;
	assert_int_equal(vm_consume(&vmm->q), expected);
	assert_int_equal(vmm->q.progress.consumed, 1);
	assert_int_equal(vmm->q.progress.forwarded, 1);
	assert_int_equal(vmm->q.progress.vmm, 0);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(fault->source, SMMUINV_SOURCE_CALLBACK);
	assert_int_equal(fault->error, expected);
	assert_int_equal(fault->callback, c->callback);
	assert_no_object(vmm);
	assert_int_equal(vmm->q.cons, (start + 1) % (2 * SIZE));
	assert_int_equal(vmm->settled_count, 1);
	/* It is presented again. */
	vmm->answer = 0;
	assert_int_equal(vm_consume(&vmm->q), 2);
	assert_no_fault(vmm);
	assert_int_equal(vmm->q.progress.vmm, 2);
	assert_int_equal(vmm->settled_count, 3);
}

static void a_callback_that_fails_is_named_and_presented_again(void **state)
{
	static const int errors[] = { -ENODATA, -ENODEV, -EIO, -ENOENT,
				      -ETIMEDOUT };
	struct vmm vmm;
	size_t i, e;

	(void)state;
	vmm_open(&vmm, &all_ops, &emulated, 0);
	for (i = 0; i < ARRAY_SIZE(callback_cases); i++) {
		for (e = 0; e < ARRAY_SIZE(errors); e++)
			assert_refused(&vmm, &callback_cases[i], errors[e],
				       errors[e]);
	}
	vmm_close(&vmm);
}

static void a_positive_answer_without_a_name_is_eproto(void **state)
{
	struct vmm vmm;
	size_t i;
	int answer;

	(void)state;
	vmm_open(&vmm, &all_ops, &emulated, 0);
	for (i = 0; i < ARRAY_SIZE(callback_cases); i++) {
		for (answer = 1; answer < 4; answer++) {
			if (answer > callback_cases[i].named)
				assert_refused(&vmm, &callback_cases[i], answer,
					       -EPROTO);
		}
	}
	vmm_close(&vmm);
}

static int read_answers_1(void *opaque, uint32_t index,
			  struct smmuinv_command *command)
{
	(void)vm_queue_read(opaque, index, command);
	return index == 2;
}

static void a_positive_answer_of_read_is_eproto(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.read = read_answers_1,
	};
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open(&vmm, &ops, &everything, 0);
	vmm.q.by_callback = true;
	for (i = 0; i < 4; i++)
		vm_write(&vmm.q, tlbi_va((uint64_t)i << 12));
	assert_int_equal(vm_consume(&vmm.q), -EPROTO);
	assert_int_equal(vmm.q.cons, 2);
	assert_int_equal(vmm.q.progress.fault.source, SMMUINV_SOURCE_CALLBACK);
	assert_int_equal(vmm.q.progress.fault.callback, SMMUINV_CALLBACK_READ);
	assert_int_equal(vmm.q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(executed(&vmm), 2);
	vmm_close(&vmm);
}

/* The general callback knows what the library cannot. */
static void a_callback_may_call_its_command_illegal(void **state)
{
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &all_ops, &emulated, 0);
	vm_write(&vmm.q, tlbi_va(0x1000));
	vm_write(&vmm.q, raw(0x44, 0));
	vm_write(&vmm.q, tlbi_va(0x2000));
	vmm.answer = SMMUINV_COMMAND_ILLEGAL;
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_int_equal(vmm.q.progress.cerror, SMMUINV_CERROR_ILL);
	assert_int_equal(vmm.q.progress.fault.source, SMMUINV_SOURCE_GUEST);
	assert_int_equal(vmm.q.progress.fault.error, 0);
	assert_int_equal(vmm.q.progress.vmm, 0);
	assert_int_equal(vmm.settled_count, 2);
	assert_int_equal(vmm.settled[1].fate, SMMUINV_FATE_ILLEGAL);
	assert_int_equal(executed(&vmm), 1);
	assert_int_equal(vm_counters(&vmm.vm).illegal, 1);
	vmm.answer = 0;
	assert_int_equal(vm_consume(&vmm.q), 2);
	assert_no_fault(&vmm);
	vmm_close(&vmm);
}

static const struct smmuinv_features emulated = {
	{ 0x0011721b, 0x00000520, 0, 0x00008480, 0, 0x000000f6 }
};

static void prefetches_are_dropped(void **state)
{
	struct vmm *vmm = *state;

	vm_write(&vmm->q, raw(0x01, 0));
	vm_write(&vmm->q, raw(0x02, 0));
	assert_int_equal(vm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.progress.dropped, 2);
	assert_int_equal(vmm->q.progress.ioctls, 0);
	assert_int_equal(vmm->call_count, 0);
	assert_int_equal(vmm->settled[0].fate, SMMUINV_FATE_DROPPED);
	assert_int_equal(vmm->settled[0].rule, SMMUINV_RULE_PREFETCH);
}

static void a_bogus_streamid_is_complete_and_reaches_no_device(void **state)
{
	struct vmm *vmm = *state;

	vm_write(&vmm->q, cfgi_cd(0xbad));
	vm_write(&vmm->q, raw((uint64_t)0xbad << 32 | 0x40, 52));
	vm_write(&vmm->q, cfgi_cd(VM_VSID));
	assert_int_equal(vm_consume(&vmm->q), 3);
	assert_int_equal(vmm->q.progress.dropped, 2);
	assert_int_equal(vmm->q.progress.forwarded, 1);
	assert_int_equal(vmm->settled[1].rule, SMMUINV_RULE_STREAM_UNKNOWN);
	assert_int_equal(executed(vmm), 1);
}

static void what_the_registers_offer_goes_to_the_vmm(void **state)
{
	const uint8_t opcodes[] = { 0x07, 0x20, 0x21, 0x22, 0x23, 0x28,
				    0x2a, 0x41, 0x44, 0x45, 0x70, 0x73 };
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open(&vmm, &all_ops, &emulated, 0);
	for (i = 0; i < sizeof(opcodes); i++) {
		vm_write(&vmm.q, raw(opcodes[i], 0));
		assert_int_equal(vm_consume(&vmm.q), 1);
		assert_int_equal(vmm.q.progress.vmm, 1);
		assert_int_equal(vmm.calls[i].what, 'c');
		assert_int_equal(vmm.calls[i].first, opcodes[i]);
	}
	assert_int_equal(executed(&vmm), 0);
	vmm_close(&vmm);
}

static void what_the_registers_do_not_offer_is_illegal(void **state)
{
	const uint8_t opcodes[] = { 0x07, 0x20, 0x21, 0x22, 0x23, 0x28,
				    0x2a, 0x41, 0x44, 0x45, 0x70, 0x73 };
	struct vmm *vmm = *state;
	uint32_t i;

	for (i = 0; i < sizeof(opcodes); i++) {
		vm_write(&vmm->q, raw(opcodes[i], 0));
		assert_int_equal(vm_consume(&vmm->q), 0);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ILL);
		vmm->q.prod = vmm->q.cons;
	}
	assert_int_equal(vmm->call_count, 0);
}

static void
without_a_callback_such_a_command_is_illegal_and_not_lost(void **state)
{
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &ops, &emulated, 0);
	vm_write(&vmm.q, tlbi_va(0x1000));
	vm_write(&vmm.q, raw(0x44, 0));
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_int_equal(vmm.q.progress.cerror, SMMUINV_CERROR_ILL);
	assert_int_equal(vmm.q.progress.fault.rule, SMMUINV_RULE_NOT_OFFERED);
	assert_int_equal(executed(&vmm), 1);
	vmm_close(&vmm);
}

static void optional_callbacks_may_be_missing(void **state)
{
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &ops, &everything, 0);
	vm_write(&vmm.q, raw(0x03, 1));
	vm_write(&vmm.q, raw(0x04, 31));
	vm_write(&vmm.q, tlbi_va(0));
	vm_write(&vmm.q, cmd_sync());
	assert_int_equal(vm_consume(&vmm.q), 4);
	assert_int_equal(vmm.q.progress.vmm, 3);
	/* And the CFGI_CD_ALL that goes with the CFGI_ALL (4.3.1). */
	assert_int_equal(executed(&vmm), 2);
	vmm_close(&vmm);
}

static void the_vmm_gets_commands_without_their_res0_bits(void **state)
{
	struct smmuinv_command clean = raw(0x0000001200003044, 0x0000beef);
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &all_ops, &emulated, 0);
	vm_write(&vmm.q, raw(0x00000012ffffb844, 0xffffffffffffbeef));
	assert_int_equal(vm_consume(&vmm.q), 1);
	assert_true(test_command_equal(&vmm.command, &clean));
	vmm_close(&vmm);
}

/* No compatible pair of SMMUs gives this; it is an errno and no CERROR. */
static void what_the_host_cannot_express_is_an_errno(void **state)
{
	struct smmuinv_features host = everything;
	struct vmm *vmm = *state;

	host.idr[1] = 0;
	smmuinv__check_compile(&vmm->vm.vsmmu->check, &everything, &host);
	vm_write(&vmm->q, tlbi_va(0x1000));
	vm_write(&vmm->q, raw(0x1005, 0)); /* CFGI_CD, SubstreamID 1 */
	vm_fail(&vmm->vm, 0, 0, -EFAULT);
	assert_int_equal(vm_consume(&vmm->q), -EFAULT);
	vm_fail(&vmm->vm, 0, 0, 0);
	assert_int_equal(vmm->q.progress.consumed, 0);
	assert_int_equal(vm_consume(&vmm->q), -EOPNOTSUPP);
	assert_int_equal(vmm->q.progress.consumed, 1);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(vmm->q.progress.fault.source, SMMUINV_SOURCE_GUEST);
	assert_int_equal(vmm->q.progress.fault.error, -EOPNOTSUPP);
	assert_int_equal(vmm->q.progress.fault.rule, SMMUINV_RULE_HOST_LACKS);
	assert_int_equal(executed(vmm), 1);
}

static void a_call_consumes_no_more_than_its_bound(void **state)
{
	struct vmm *vmm = *state;
	uint32_t i, bound;

	for (bound = 1; bound <= SIZE; bound++) {
		vmm->q.max_commands = bound;
		vmm->settled_count = 0;
		vmm->q.prod = vmm->q.cons;
		for (i = 0; i < SIZE; i++)
			vm_write(&vmm->q, tlbi_va((uint64_t)i << 12));
		for (i = 0; i < SIZE; i += bound)
			assert_int_equal(vm_consume(&vmm->q),
					 bound < SIZE - i ? bound : SIZE - i);
		assert_int_equal(vmm->q.cons, vmm->q.prod);
		assert_int_equal(vm_consume(&vmm->q), 0);
	}
}

static void a_small_window_means_more_ioctls_and_the_same_effect(void **state)
{
	uint32_t window, i;

	(void)state;
	for (window = 1; window <= SIZE + 1; window++) {
		struct vmm vmm;

		vmm_open(&vmm, &all_ops, &everything, window);
		for (i = 0; i < SIZE; i++)
			vm_write(&vmm.q, tlbi_va((uint64_t)i << 12));
		assert_int_equal(vm_consume(&vmm.q), SIZE);
		assert_int_equal(executed(&vmm), SIZE);
		assert_int_equal(vmm.q.progress.ioctls,
				 (SIZE + window - 1) / window);
		assert_int_equal(vmm.settled_count, SIZE);
		vmm_close(&vmm);
	}
}

static void every_command_is_settled_once_and_in_order(void **state)
{
	struct vmm *vmm = *state;
	const struct smmuinv_command commands[] = {
		raw(0x01, 0), tlbi_va(0),      cfgi_cd(0xbad),
		cmd_sync(),   tlbi_va(0x1000), raw(0xff, 0),
	};
	const uint32_t fates[] = {
		SMMUINV_FATE_DROPPED,   SMMUINV_FATE_FORWARDED,
		SMMUINV_FATE_DROPPED,   SMMUINV_FATE_VMM,
		SMMUINV_FATE_FORWARDED, SMMUINV_FATE_ILLEGAL,
	};
	uint32_t i;

	for (i = 0; i < 6; i++)
		vm_write(&vmm->q, commands[i]);
	assert_int_equal(vm_consume(&vmm->q), 5);
	assert_int_equal(vmm->settled_count, 6);
	for (i = 0; i < 6; i++) {
		assert_int_equal(vmm->settled[i].index, i);
		assert_int_equal(vmm->settled[i].fate, fates[i]);
		assert_true(test_command_equal(&vmm->settled[i].command,
					       &commands[i]));
	}
}

/* A VMM flushes its own TLB there, and only then may the guest go on. */
static void settles(struct vmm *vmm, uint32_t plan)
{
	uint32_t syncs = 0;
	uint32_t i;

	(void)plan;
	vmm->call_count = 0;
	for (i = 0; i < SIZE; i++)
		vm_write(&vmm->q,
			 i % 3 == 2 ? cmd_sync() : tlbi_va((uint64_t)i << 12));
	assert_int_equal(vm_consume(&vmm->q), SIZE);
	for (i = 0; i < vmm->settled_count; i++) {
		/* Before that of the CMD_SYNC itself, it is signaled. */
		syncs += i % 3 == 2;
		assert_int_equal(vmm->settled[i].calls, syncs);
	}
}

static void
a_command_is_settled_before_the_sync_that_covers_it_is_signaled(void **state)
{
	uint32_t window;

	(void)state;
	for (window = 1; window <= SIZE; window++)
		with_each(&everything, window, settles);
}

static int remove_and_add_stream(struct vmm *vmm)
{
	assert_int_equal(smmuinv_vsmmu_remove_stream(vmm->vm.vsmmu, VM_VSID),
			 0);
	return vm_try_plug(&vmm->vm, 0, VM_VSID + 1);
}

static void a_callback_may_change_the_streams(void **state)
{
	struct vmm *vmm = *state;

	vmm->in_sync = remove_and_add_stream;
	vm_write(&vmm->q, cfgi_cd(VM_VSID));
	vm_write(&vmm->q, cmd_sync());
	vm_write(&vmm->q, cfgi_cd(VM_VSID));
	vm_write(&vmm->q, cfgi_cd(VM_VSID + 1));
	assert_int_equal(vm_consume(&vmm->q), 4);
	assert_int_equal(vmm->q.progress.forwarded, 2);
	assert_int_equal(vmm->q.progress.dropped, 1);
}

static int consume_again(struct vmm *vmm)
{
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = vmm->q.ring,
		.log2size = LOG2SIZE,
	};

	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, &progress),
			 -EBUSY);
	assert_int_equal(
		smmuinv_queue_invalidate_all(vmm->q.queue, &ring, &progress),
		-EBUSY);
	return 0;
}

static void a_callback_may_not_consume_its_own_queue(void **state)
{
	struct vmm *vmm = *state;

	vmm->in_sync = consume_again;
	vm_write(&vmm->q, cmd_sync());
	assert_int_equal(vm_consume(&vmm->q), 1);
	vm_write(&vmm->q, cmd_sync());
	assert_int_equal(vm_consume(&vmm->q), 1);
}

/* In several calls, each of which may cause so much work. */
static void the_largest_queue_is_consumed_whole(void **state)
{
	const uint32_t entries = 1u << SMMUINV_QUEUE_LOG2SIZE_MAX;
	const struct vm_options options = { .plan = SMMUINV_PLAN_AS_WRITTEN };
	const struct vm_queue_options queue = {
		.log2size = SMMUINV_QUEUE_LOG2SIZE_MAX,
		.window = SMMUINV_BATCH_CAPACITY_MAX,
	};
	struct vmm *vmm = *state;
	uint32_t i, calls;

	vmm_close(vmm);
	vmm_open_with(vmm, &options, &queue);
	for (i = 0; i < entries; i++)
		vm_write(&vmm->q, tlbi_va((uint64_t)i << 12));
	for (calls = 0; vmm->q.cons != vmm->q.prod; calls++) {
		assert_true(vm_consume(&vmm->q) > 0);
		assert_int_equal(vmm->q.progress.ioctls, 1);
		assert_int_equal(vmm->q.progress.more,
				 vmm->q.cons != vmm->q.prod);
	}
	assert_int_equal(calls, 2);
	assert_int_equal(executed(vmm), entries);
}

/* Each bound, with windows that are smaller and larger. */
static void a_call_causes_no_more_work_than_its_bound_and_a_window(void **state)
{
	uint32_t work_max, window, i;

	(void)state;
	for (work_max = 1; work_max <= SIZE; work_max++) {
		for (window = 1; window <= SIZE; window++) {
			const struct vm_options options = {
				.plan = SMMUINV_PLAN_AS_WRITTEN,
			};
			const struct vm_queue_options queue = {
				.ops = &all_ops,
				.way = (enum vm_way)(window % VM_WAYS),
				.log2size = LOG2SIZE,
				.window = window,
				.work_max = work_max,
			};
			struct vmm vmm;

			vmm_open_with(&vmm, &options, &queue);
			for (i = 0; i < SIZE; i++)
				vm_write(&vmm.q, tlbi_va((uint64_t)i << 12));
			while (vmm.q.cons != vmm.q.prod) {
				const struct smmuinv_progress *p =
					&vmm.q.progress;

				assert_true(vm_consume(&vmm.q) > 0);
				assert_true(p->host_commands <
					    work_max + window);
				assert_int_equal(p->more,
						 vmm.q.cons != vmm.q.prod);
				if (p->more)
					assert_true(p->host_commands >=
						    work_max);
			}
			assert_int_equal(executed(&vmm), SIZE);
			vmm_close(&vmm);
		}
	}
}

/* Each costs a second, so the VMM decides whether to go on. */
static void after_a_time_out_a_call_begins_no_other_window(void **state)
{
	uint32_t way, i;

	(void)state;
	for (way = 0; way < VM_WAYS; way++) {
		const struct vm_options options = { .plan = way % 2 };
		const struct vm_queue_options queue = {
			.ops = &all_ops,
			.way = (enum vm_way)way,
			.log2size = LOG2SIZE,
			.window = 2,
		};
		struct vmm vmm;

		vmm_open_with(&vmm, &options, &queue);
		for (i = 0; i < 6; i++)
			vm_write(&vmm.q, tlbi_va((uint64_t)i << 13));
		vm_inject(&vmm.vm, 0, -ETIMEDOUT, 0, 0);
		assert_int_equal(vm_consume(&vmm.q), 2);
		assert_int_equal(vmm.q.progress.timeouts, 1);
		assert_int_equal(vmm.q.progress.more, 1);
		assert_int_equal(vm_consume(&vmm.q), 4);
		assert_int_equal(vmm.q.progress.more, 0);
		vmm_close(&vmm);
	}
}

/* Counts the calls of each callback. */
struct another {
	struct vmm *vmm;
	uint32_t calls;
};

static int count_read(void *opaque, uint32_t index,
		      struct smmuinv_command *command)
{
	struct another *another = opaque;

	another->calls++;
	return vm_queue_read(&another->vmm->q, index, command);
}

static int count_sid(void *opaque, uint32_t sid, bool leaf)
{
	(void)sid;
	(void)leaf;
	((struct another *)opaque)->calls++;
	return 0;
}

static int count_range(void *opaque, uint32_t first, uint32_t last, bool leaf)
{
	(void)first;
	(void)last;
	(void)leaf;
	((struct another *)opaque)->calls++;
	return 0;
}

static int count_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)sync;
	((struct another *)opaque)->calls++;
	return 0;
}

static int count_command(void *opaque, const struct smmuinv_command *command)
{
	(void)command;
	((struct another *)opaque)->calls++;
	return 0;
}

static void count_settled(void *opaque, uint32_t index,
			  const struct smmuinv_command *command, uint32_t fate,
			  uint32_t rule)
{
	(void)index;
	(void)command;
	(void)fate;
	(void)rule;
	((struct another *)opaque)->calls++;
}

static void a_call_may_have_an_opaque_of_its_own(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.read = count_read,
		.cfgi_ste = count_sid,
		.cfgi_ste_range = count_range,
		.sync = count_sync,
		.command = count_command,
		.settled = count_settled,
	};
	struct vmm vmm;
	struct another another = { .vmm = &vmm };

	(void)state;
	vmm_open(&vmm, &ops, &emulated, 0);
	vmm.q.by_callback = true;
	vmm.q.opaque = &another;
	vm_write(&vmm.q, cfgi_ste(VM_VSID));
	vm_write(&vmm.q, raw(0x44, 0));
	vm_write(&vmm.q, cmd_sync());
	assert_int_equal(vm_consume(&vmm.q), 3);
	/* Each is read and settled, and there are four callbacks more. */
	assert_int_equal(another.calls, 3 + 3 + 4);
	vmm_close(&vmm);
}

static void bad_arguments_are_refused(void **state)
{
	struct vmm *vmm = *state;
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.window = SMMUINV_BATCH_CAPACITY_MAX + 1,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	const struct smmuinv_ring good = {
		.size = sizeof(good),
		.base = vmm->q.ring,
		.log2size = LOG2SIZE,
	};
	struct smmuinv_ring ring = good;
	struct smmuinv_queue *queue = NULL;

	assert_int_equal(smmuinv_queue_new(vmm->vm.vsmmu, &params, &queue),
			 -EINVAL);
	params.window = 1;
	assert_int_equal(smmuinv_queue_new(NULL, &params, &queue), -EINVAL);
	assert_int_equal(smmuinv_queue_new(vmm->vm.vsmmu, NULL, &queue),
			 -EINVAL);
	assert_int_equal(smmuinv_queue_new(vmm->vm.vsmmu, &params, NULL),
			 -EINVAL);
	ops.size = 1;
	assert_int_equal(smmuinv_queue_new(vmm->vm.vsmmu, &params, &queue),
			 -EINVAL);
	params.ops = NULL;
	assert_int_equal(smmuinv_queue_new(vmm->vm.vsmmu, &params, &queue),
			 -EINVAL);
	assert_null(queue);
	smmuinv_queue_free(NULL);

	assert_int_equal(smmuinv_queue_invalidate_all(NULL, &ring, &progress),
			 -EINVAL);
	assert_int_equal(
		smmuinv_queue_invalidate_all(vmm->q.queue, NULL, &progress),
		-EINVAL);
	assert_int_equal(
		smmuinv_queue_invalidate_all(vmm->q.queue, &ring, NULL),
		-EINVAL);
	assert_int_equal(smmuinv_queue_consume(NULL, &ring, &progress),
			 -EINVAL);
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, NULL, &progress),
			 -EINVAL);
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, NULL),
			 -EINVAL);
	/* The guest's register, and no argument of the VMM. */
	ring.log2size = SMMUINV_QUEUE_LOG2SIZE_MAX + 1;
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, &progress),
			 -ERANGE);
	assert_int_equal(progress.fault.source, SMMUINV_SOURCE_POINTERS);
	ring = good;
	ring.base = (const char *)vmm->q.ring + 4;
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, &progress),
			 -EINVAL);
	ring = good;
	ring.size = 0;
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, &progress),
			 -EINVAL);
	progress.size = 0;
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &good, &progress),
			 -EINVAL);
}

static void a_ring_needs_a_pointer_or_a_callback(void **state)
{
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &ops, &everything, 0);
	vmm.q.by_callback = true;
	assert_int_equal(vm_consume(&vmm.q), -EINVAL);
	vmm_close(&vmm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_of_pointers_is_consumed_or_refused),
		TEST(each_entry_is_read_exactly_once),
		TEST(everything_before_a_callback_is_executed_in_order),
		TEST(a_sync_with_nothing_before_it_costs_no_ioctl),
		TEST(cfgi_ste_range_names_the_first_and_last_stream),
		TEST(a_sync_is_decoded_for_the_vmm),
		cmocka_unit_test(
			msi_and_sev_are_only_signalled_if_the_guest_was_shown_them),
		TEST(an_illegal_command_stops_the_queue_exactly_there),
		TEST(what_is_after_an_error_is_read_again),
		TEST(an_unreadable_command_is_cerror_abt_exactly_there),
		TEST(a_host_failure_is_an_errno_and_the_queue_can_be_retried),
		TEST(a_host_failure_comes_before_what_stops_the_queue_later),
		cmocka_unit_test(
			a_callback_that_fails_is_named_and_presented_again),
		cmocka_unit_test(a_positive_answer_without_a_name_is_eproto),
		cmocka_unit_test(a_positive_answer_of_read_is_eproto),
		cmocka_unit_test(a_callback_may_call_its_command_illegal),
		TEST(prefetches_are_dropped),
		TEST(a_bogus_streamid_is_complete_and_reaches_no_device),
		cmocka_unit_test(what_the_registers_offer_goes_to_the_vmm),
		TEST(what_the_registers_do_not_offer_is_illegal),
		cmocka_unit_test(
			without_a_callback_such_a_command_is_illegal_and_not_lost),
		cmocka_unit_test(optional_callbacks_may_be_missing),
		cmocka_unit_test(the_vmm_gets_commands_without_their_res0_bits),
		TEST(what_the_host_cannot_express_is_an_errno),
		TEST(a_call_consumes_no_more_than_its_bound),
		cmocka_unit_test(
			a_small_window_means_more_ioctls_and_the_same_effect),
		TEST(every_command_is_settled_once_and_in_order),
		cmocka_unit_test(
			a_command_is_settled_before_the_sync_that_covers_it_is_signaled),
		TEST(a_callback_may_change_the_streams),
		TEST(a_callback_may_not_consume_its_own_queue),
		TEST(the_largest_queue_is_consumed_whole),
		cmocka_unit_test(
			a_call_causes_no_more_work_than_its_bound_and_a_window),
		TEST(after_a_time_out_a_call_begins_no_other_window),
		cmocka_unit_test(a_call_may_have_an_opaque_of_its_own),
		TEST(bad_arguments_are_refused),
		cmocka_unit_test(a_ring_needs_a_pointer_or_a_callback),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
