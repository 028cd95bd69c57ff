/* SPDX-License-Identifier: MIT */
#include "vm.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                  \
	do {                                             \
		if (!(condition))                        \
			must_fail(#condition, __LINE__); \
	} while (0)

const struct smmuinv_features everything = { {
	/* S1P, TTF AArch64, COHACC, ATS, ASID16, MSI, SEV, CD2L, */
	/* STALL_MODEL 1 (never) */
	0x0108741a,
	/* SIDSIZE 32, SSIDSIZE 20 */
	0x00000520,
	0,
	/* RIL */
	0x00000400,
	0,
	/* OAS 52, every granule, DS */
	0x000000f6,
} };

static void must_fail(const char *condition, int line)
{
	fprintf(stderr, "vm.c:%d: %s\n", line, condition);
	abort();
}

struct smmuinv_features everything_with(unsigned int idr, uint32_t bits)
{
	struct smmuinv_features features = everything;

	features.idr[idr] = bits;
	return features;
}

static int host_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	const struct vm *vm = context;

	return smmuinv_backend_device_info(vm->mock_backend, dev_id, info);
}

static int host_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	struct vm *vm = context;
	int rc = smmuinv_mock_vdevice_alloc(vm->mock, viommu_id, dev_id,
					    virt_id, vdevice_id);

	if (!rc)
		vm->vdevices++;
	return rc;
}

static int host_destroy(void *context, uint32_t id)
{
	struct vm *vm = context;
	int rc = smmuinv_mock_destroy(vm->mock, id);

	if (!rc || rc == -ENOENT)
		vm->vdevices--;
	return rc;
}

static void note_call(struct vm *vm, uint32_t which,
		      const struct smmuinv_command *commands, uint32_t count)
{
	uint32_t kept = count < VM_CALL_COMMANDS ? count : VM_CALL_COMMANDS;
	uint32_t at = atomic_fetch_add(&vm->call_count, 1);
	struct vm_call *call;

	if (at >= VM_CALLS)
		return;
	call = &vm->calls[at];
	call->which = which;
	call->count = count;
	memcpy(call->commands, commands, kept * sizeof(*commands));
}

static bool refuses_one(const struct vm *vm,
			const struct smmuinv_command *command)
{
	uint32_t i;

	for (i = 0; i < vm->refused_count; i++) {
		if (!memcmp(command, &vm->refused[i], sizeof(*command)))
			return true;
	}
	return false;
}

/* As the kernel does: what it has converted is counted, and not yet sent. */
static bool refuses(const struct vm *vm, const struct smmuinv_command *commands,
		    uint32_t *count)
{
	uint32_t i;

	for (i = 0; vm->refused_count && i < *count; i++) {
		if (!refuses_one(vm, &commands[i]))
			continue;
		*count = i;
		return true;
	}
	return false;
}

/* One call less goes well. */
static bool fails(struct vm *vm, uint32_t which)
{
	if (!vm->error[which])
		return false;
	if (!vm->good_calls[which])
		return true;
	vm->good_calls[which]--;
	return false;
}

int vm_pass(struct vm *vm, uint32_t which,
	    const struct smmuinv_command *commands, uint32_t *count)
{
	if (fails(vm, which)) {
		*count = 0;
		return vm->error[which];
	}
	if (refuses(vm, commands, count))
		return -EIO;
	return smmuinv_mock_invalidate(vm->mock, vm->smmu[which].viommu,
				       commands, count);
}

static uint32_t which_of(const struct vm *vm, uint32_t viommu_id)
{
	uint32_t which;

	for (which = 0; which < vm->smmus; which++) {
		if (vm->smmu[which].viommu == viommu_id)
			break;
	}
	MUST(which < vm->smmus);
	return which;
}

static int host_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct vm *vm = context;
	uint32_t which = which_of(vm, viommu_id);

	note_call(vm, which, commands, *count);
	if (vm->hook)
		return vm->hook(vm, which, commands, count);
	return vm_pass(vm, which, commands, count);
}

static void open_backend(struct vm *vm, const struct vm_options *o)
{
	const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.device_info = o->no_info ? NULL : host_device_info,
		.vdevice_alloc = o->no_vdevices ? NULL : host_vdevice_alloc,
		.destroy = o->no_vdevices ? NULL : host_destroy,
		.invalidate = host_invalidate,
	};

	MUST(!smmuinv_backend_new(&ops, vm, &vm->backend));
}

static const struct smmuinv_features *guest_of(const struct vm_options *o)
{
	return o->guest ? o->guest : &everything;
}

static const struct smmuinv_features *host_of(const struct vm_options *o)
{
	return o->host ? o->host : guest_of(o);
}

static void open_smmu(struct vm *vm, const struct vm_options *o, uint32_t which)
{
	const struct vm_smmu_options *from = &o->smmu[which];
	struct vm_smmu *smmu = &vm->smmu[which];

	smmu->host = from->host ? *from->host : *host_of(o);
	smmu->hw_flags = from->hw_flags;
	MUST(!smmuinv_mock_add_viommu(vm->mock, &smmu->viommu));
	MUST(!smmuinv_mock_set_host(vm->mock, smmu->viommu, &smmu->host,
				    smmu->hw_flags));
	MUST(!smmuinv_mock_set_caches(vm->mock, smmu->viommu, from->caches));
}

static void open_mock(struct vm *vm, const struct vm_options *o)
{
	const struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = *host_of(o),
		.kernel = o->kernel,
	};
	uint32_t i;

	MUST(!smmuinv_mock_new(&params, &vm->mock));
	MUST(!smmuinv_mock_backend(vm->mock, &vm->mock_backend));
	vm->smmus = o->smmus ? o->smmus : 1;
	MUST(vm->smmus <= VM_SMMUS_MAX);
	for (i = 0; i < vm->smmus; i++)
		open_smmu(vm, o, i);
}

/* The first SMMU is among the parameters, the others are added. */
static int open_vsmmu(struct vm *vm, const struct vm_options *o,
		      uint32_t *lacking)
{
	const struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = vm->backend,
		.viommu_id = vm->smmu[0].viommu,
		.hw_flags = vm->smmu[0].hw_flags,
		.guest = *guest_of(o),
		.host = vm->smmu[0].host,
		.plan = o->plan,
		.pages_max = o->pages_max,
		.retries_max = o->retries_max,
		.timeouts_max = o->timeouts_max,
	};
	int rc = smmuinv_vsmmu_new(&params, &vm->vsmmu, lacking);
	uint32_t i;

	for (i = 1; !rc && i < vm->smmus; i++) {
		const struct smmuinv_viommu_params more =
			vm_viommu_params(vm, i);

		rc = smmuinv_vsmmu_add_viommu(vm->vsmmu, &more, lacking);
	}
	return rc;
}

int vm_try(struct vm *vm, const struct vm_options *options, uint32_t *lacking)
{
	memset(vm, 0, sizeof(*vm));
	open_mock(vm, options);
	open_backend(vm, options);
	return open_vsmmu(vm, options, lacking);
}

void vm_open_with(struct vm *vm, const struct vm_options *options)
{
	MUST(!vm_try(vm, options, NULL));
	if (!options->empty)
		vm_plug(vm, VM_VSID);
}

void vm_open(struct vm *vm)
{
	const struct vm_options options = { .plan = SMMUINV_PLAN_AS_WRITTEN };

	vm_open_with(vm, &options);
}

void vm_close(struct vm *vm)
{
	MUST(!smmuinv_mock_faults_left(vm->mock));
	smmuinv_vsmmu_free(vm->vsmmu);
	MUST(!vm->vdevices);
	smmuinv_backend_free(vm->backend);
	smmuinv_backend_free(vm->mock_backend);
	smmuinv_mock_free(vm->mock);
}

uint32_t vm_device(struct vm *vm, uint32_t which)
{
	const struct vm_smmu *smmu = &vm->smmu[which];
	uint32_t id;

	MUST(!smmuinv_mock_add_device(vm->mock, &id));
	MUST(!smmuinv_mock_set_host(vm->mock, id, &smmu->host, smmu->hw_flags));
	return id;
}

uint32_t vm_vdevice(struct vm *vm, uint32_t which, uint32_t vsid)
{
	uint32_t id;

	MUST(!smmuinv_mock_vdevice_alloc(vm->mock, vm->smmu[which].viommu,
					 vm_device(vm, which), vsid, &id));
	return id;
}

struct smmuinv_viommu_params vm_viommu_params(const struct vm *vm,
					      uint32_t which)
{
	return (struct smmuinv_viommu_params){
		.size = sizeof(struct smmuinv_viommu_params),
		.viommu_id = vm->smmu[which].viommu,
		.hw_flags = vm->smmu[which].hw_flags,
		.host = vm->smmu[which].host,
	};
}

int vm_try_plug(struct vm *vm, uint32_t which, uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.viommu_id = vm->smmu[which].viommu,
		.dev_id = vm_device(vm, which),
	};
	int rc = smmuinv_vsmmu_add_stream(vm->vsmmu, &params);

	if (!rc)
		vm_set_ats(vm, vsid, true);
	return rc;
}

void vm_plug_on(struct vm *vm, uint32_t which, uint32_t vsid)
{
	MUST(!vm_try_plug(vm, which, vsid));
}

void vm_plug(struct vm *vm, uint32_t vsid)
{
	vm_plug_on(vm, 0, vsid);
}

void vm_unplug(struct vm *vm, uint32_t vsid)
{
	int rc;

	MUST(vm_has_stream(vm, vsid));
	rc = smmuinv_vsmmu_remove_stream(vm->vsmmu, vsid);
	/* The vDEVICE may be gone already. */
	MUST(!rc || rc == -ENOENT);
}

void vm_set_ats(struct vm *vm, uint32_t vsid, bool ats)
{
	MUST(!smmuinv_vsmmu_set_ats(vm->vsmmu, vsid, ats));
}

bool vm_has_stream(struct vm *vm, uint32_t vsid)
{
	int rc = smmuinv_vsmmu_find_stream(vm->vsmmu, vsid, NULL);

	MUST(!rc || rc == -ENOENT);
	return !rc;
}

struct smmuinv_stream_info vm_stream(struct vm *vm, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	MUST(!smmuinv_vsmmu_find_stream(vm->vsmmu, vsid, &info));
	return info;
}

struct smmuinv_counters vm_counters(struct vm *vm)
{
	struct smmuinv_counters counters = { .size = sizeof(counters) };

	MUST(!smmuinv_vsmmu_counters(vm->vsmmu, &counters));
	return counters;
}

void vm_lose_vdevice(struct vm *vm, uint32_t vsid)
{
	uint32_t id = vm_stream(vm, vsid).vdevice_id;

	MUST(!smmuinv_mock_destroy(vm->mock, id));
}

void vm_inject_fault(struct vm *vm, uint32_t which,
		     const struct smmuinv_mock_fault *fault)
{
	struct smmuinv_mock_fault f = *fault;

	if (f.call == SMMUINV_MOCK_INVALIDATE ||
	    f.call == SMMUINV_MOCK_VDEVICE_ALLOC)
		f.viommu_id = vm->smmu[which].viommu;
	MUST(!smmuinv_mock_inject(vm->mock, &f));
}

void vm_inject(struct vm *vm, uint32_t which, int error, uint32_t executed,
	       uint32_t count)
{
	const struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.error = error,
		.executed = executed,
		.count = count,
	};

	vm_inject_fault(vm, which, &fault);
}

void vm_fail(struct vm *vm, uint32_t which, uint32_t after, int error)
{
	vm->good_calls[which] = after;
	vm->error[which] = error;
}

void vm_hang_smmu(struct vm *vm, uint32_t which, bool hung)
{
	MUST(!smmuinv_mock_hang_smmu(vm->mock, vm->smmu[which].viommu, hung));
}

void vm_hang(struct vm *vm, uint32_t vsid, uint32_t reply)
{
	uint32_t viommu = vm_stream(vm, vsid).viommu_id;

	MUST(!smmuinv_mock_hang(vm->mock, viommu, vsid, reply));
}

void vm_forget(struct vm *vm)
{
	smmuinv_mock_forget(vm->mock);
	vm->call_count = 0;
}

/* Of @command only, unless it is NULL. */
static size_t count_executed(struct vm *vm, uint32_t which,
			     const struct smmuinv_command *command)
{
	const struct smmuinv_mock_record *records;
	size_t count = smmuinv_mock_executed(vm->mock, &records);
	size_t times = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		if (records[i].viommu_id != vm->smmu[which].viommu)
			continue;
		times += !command || !memcmp(&records[i].command, command,
					     sizeof(*command));
	}
	return times;
}

size_t vm_executed(struct vm *vm, uint32_t which)
{
	return count_executed(vm, which, NULL);
}

size_t vm_times(struct vm *vm, uint32_t which,
		const struct smmuinv_command *command)
{
	return count_executed(vm, which, command);
}

static uint32_t calls_kept(const struct vm *vm)
{
	uint32_t count = vm->call_count;

	return count < VM_CALLS ? count : VM_CALLS;
}

uint32_t vm_calls_to(const struct vm *vm, uint32_t which)
{
	uint32_t calls = 0;
	uint32_t i;

	MUST(vm->call_count <= VM_CALLS);
	for (i = 0; i < vm->call_count; i++)
		calls += vm->calls[i].which == which;
	return calls;
}

static bool call_has(const struct vm_call *call,
		     const struct smmuinv_command *command)
{
	uint32_t k;

	for (k = 0; k < call->count && k < VM_CALL_COMMANDS; k++) {
		if (!memcmp(&call->commands[k], command, sizeof(*command)))
			return true;
	}
	return false;
}

int vm_first_call(const struct vm *vm, const struct smmuinv_command *command)
{
	uint32_t i;

	for (i = 0; i < calls_kept(vm); i++) {
		if (call_has(&vm->calls[i], command))
			return (int)i;
	}
	return -1;
}

int vm_last_call(const struct vm *vm, const struct smmuinv_command *command)
{
	uint32_t i = calls_kept(vm);

	while (i--) {
		if (call_has(&vm->calls[i], command))
			return (int)i;
	}
	return -1;
}

void vm_queue_open(struct vm_queue *q, struct smmuinv_vsmmu *vsmmu,
		   const struct vm_queue_options *o)
{
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.opaque = q,
		.window = o->window,
		.work_max = o->work_max,
	};

	if (o->ops)
		ops = *o->ops;
	if (o->way != VM_SETTLED)
		ops.settled = NULL;
	*q = (struct vm_queue){
		/* Of just that size, for sanitizers to see what is outside. */
		.ring = calloc((size_t)1 << o->log2size, sizeof(*q->ring)),
		.log2size = o->log2size,
		.by_callback = o->way == VM_BY_CALLBACK,
		.unreadable = -1,
	};
	MUST(q->ring);
	MUST(!smmuinv_queue_new(vsmmu, &params, &q->queue));
}

void vm_queue_close(struct vm_queue *q)
{
	smmuinv_queue_free(q->queue);
	free(q->ring);
}

int vm_queue_read(void *opaque, uint32_t index, struct smmuinv_command *command)
{
	const struct vm_queue *q = opaque;

	MUST(index < 1u << q->log2size);
	if ((int)index == q->unreadable)
		return -EFAULT;
	*command = q->ring[index];
	return 0;
}

void vm_write(struct vm_queue *q, struct smmuinv_command command)
{
	uint32_t size = 1u << q->log2size;

	q->ring[q->prod % size] = command;
	q->prod = (q->prod + 1) % (2 * size);
}

/* smmuinv_queue_consume() or smmuinv_queue_invalidate_all() */
static int ring_doorbell(struct vm_queue *q,
			 int (*call)(struct smmuinv_queue *queue,
				     const struct smmuinv_ring *ring,
				     struct smmuinv_progress *progress))
{
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = q->by_callback ? NULL : q->ring,
		.opaque = q->opaque,
		.log2size = q->log2size,
		.prod = q->prod,
		.cons = q->cons,
		.max_commands = q->max_commands,
	};
	int rc;

	q->progress = (struct smmuinv_progress){
		.size = sizeof(q->progress),
		.cons = q->cons,
	};
	rc = call(q->queue, &ring, &q->progress);
	q->cons = q->progress.cons;
	MUST(rc < 0 || rc == (int)q->progress.consumed);
	return rc;
}

int vm_consume(struct vm_queue *q)
{
	return ring_doorbell(q, smmuinv_queue_consume);
}

int vm_skip(struct vm_queue *q)
{
	return ring_doorbell(q, smmuinv_queue_invalidate_all);
}

struct smmuinv_command raw(uint64_t dw0, uint64_t dw1)
{
	return (struct smmuinv_command){ { htole64(dw0), htole64(dw1) } };
}

struct smmuinv_command tlbi_va(uint64_t va)
{
	return raw(UINT64_C(5) << 48 | SMMUINV_CMD_TLBI_NH_VA, va | 1);
}

struct smmuinv_command tlbi_all(void)
{
	return raw(SMMUINV_CMD_TLBI_NH_ALL, 0);
}

struct smmuinv_command cfgi_cd(uint32_t vsid)
{
	return raw((uint64_t)vsid << 32 | SMMUINV_CMD_CFGI_CD, 1);
}

struct smmuinv_command cfgi_cd_all(uint32_t vsid)
{
	return raw((uint64_t)vsid << 32 | SMMUINV_CMD_CFGI_CD_ALL, 0);
}

struct smmuinv_command atc_inv(uint32_t vsid, uint64_t address)
{
	return raw((uint64_t)vsid << 32 | SMMUINV_CMD_ATC_INV, address);
}

struct smmuinv_command atc_inv_all(uint32_t vsid)
{
	return atc_inv(vsid, SMMUINV_ATC_SIZE_ALL);
}

struct smmuinv_command cmd_sync(void)
{
	return raw(SMMUINV_CMD_SYNC, 0);
}

/* CS is SIG_IRQ. */
struct smmuinv_command cmd_sync_msi(uint32_t data)
{
	return raw((uint64_t)data << 32 | 1 << 12 | SMMUINV_CMD_SYNC, 0x1000);
}

struct smmuinv_command cfgi_ste(uint32_t vsid)
{
	return raw((uint64_t)vsid << 32 | SMMUINV_CMD_CFGI_STE, 1);
}

struct smmuinv_command cfgi_all(void)
{
	return raw(SMMUINV_CMD_CFGI_STE_RANGE, 31);
}
