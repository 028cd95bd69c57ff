/* SPDX-License-Identifier: MIT */
/*
 * A guest and its VMM: a virtual SMMU over mocked physical ones, and queues.
 *
 * The library calls the backend of struct vm. That notes each call and hands it
 * to the mock, or to a hook of the test's.
 *
 * It is also for programs without cmocka: what cannot go wrong aborts.
 */
#ifndef TEST_VM_H
#define TEST_VM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

#define VM_SMMUS_MAX 4

/* The vSID of the stream that is there from the start, on the first SMMU. */
#define VM_VSID 0x10

/* ATS, 16-bit ASIDs, 20-bit SubstreamIDs, every granule, RIL, DS. */
extern const struct smmuinv_features everything;

/* With these bits in one of the ID registers, else as everything. */
struct smmuinv_features everything_with(unsigned int idr, uint32_t bits);

/* One physical SMMU; zero members select the default. */
struct vm_smmu_options {
	const struct smmuinv_features *host; /* vm_options.host */
	uint32_t hw_flags;
	struct smmuinv_caches *caches;
};

struct vm_options {
	uint32_t smmus;                       /* 1 */
	uint32_t kernel;                      /* enum smmuinv_mock_kernel */
	uint32_t plan;                        /* enum smmuinv_plan */
	const struct smmuinv_features *guest; /* everything */
	const struct smmuinv_features *host;  /* as the guest */
	uint32_t pages_max;
	uint32_t retries_max;
	uint32_t timeouts_max;
	bool empty;       /* without the stream VM_VSID */
	bool no_vdevices; /* the backend cannot make any */
	bool no_info;     /* the backend has no device_info */
	struct vm_smmu_options smmu[VM_SMMUS_MAX];
};

#define VM_CALL_COMMANDS 32

/* One call to the backend. */
struct vm_call {
	uint32_t which; /* SMMU */
	uint32_t count;
	struct smmuinv_command commands[VM_CALL_COMMANDS]; /* the first */
};

#define VM_CALLS 64

struct vm_smmu {
	uint32_t viommu;
	struct smmuinv_features host;
	uint32_t hw_flags;
};

struct vm {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *mock_backend;
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	uint32_t smmus;
	struct vm_smmu smmu[VM_SMMUS_MAX];

	/* The calls since vm_forget(); the first VM_CALLS are kept. */
	_Atomic uint32_t call_count;
	struct vm_call calls[VM_CALLS];

	/* The host refuses each call with one of them, and executes nothing. */
	const struct smmuinv_command *refused;
	uint32_t refused_count;
	/* vm_fail() */
	int error[VM_SMMUS_MAX];
	_Atomic uint32_t good_calls[VM_SMMUS_MAX];
	/* Called for each call instead of vm_pass(); may be NULL. */
	int (*hook)(struct vm *vm, uint32_t which,
		    const struct smmuinv_command *commands, uint32_t *count);
	void *hook_data;

	_Atomic uint32_t vdevices; /* made by the library and not destroyed */
};

/* One SMMU with everything. What the guest writes goes down as written. */
void vm_open(struct vm *vm);
void vm_open_with(struct vm *vm, const struct vm_options *options);

/* As vm_open_with() without a stream; the answer is the virtual SMMU's. */
int vm_try(struct vm *vm, const struct vm_options *options, uint32_t *lacking);

/* It aborts if a fault has not happened, or a vDEVICE is left. */
void vm_close(struct vm *vm);

/* What the backend does without a hook. */
int vm_pass(struct vm *vm, uint32_t which,
	    const struct smmuinv_command *commands, uint32_t *count);

/* A device, and a vDEVICE of the VMM, on an SMMU. */
uint32_t vm_device(struct vm *vm, uint32_t which);
uint32_t vm_vdevice(struct vm *vm, uint32_t which, uint32_t vsid);
struct smmuinv_viommu_params vm_viommu_params(const struct vm *vm,
					      uint32_t which);

/* smmuinv_vsmmu_add_stream() with a device of its own, and ATS on. */
int vm_try_plug(struct vm *vm, uint32_t which, uint32_t vsid);
void vm_plug_on(struct vm *vm, uint32_t which, uint32_t vsid);
void vm_plug(struct vm *vm, uint32_t vsid);
void vm_unplug(struct vm *vm, uint32_t vsid);
void vm_set_ats(struct vm *vm, uint32_t vsid, bool ats);
bool vm_has_stream(struct vm *vm, uint32_t vsid);
struct smmuinv_stream_info vm_stream(struct vm *vm, uint32_t vsid);
struct smmuinv_counters vm_counters(struct vm *vm);

/* The vDEVICE goes away without the library: the host then refuses. */
void vm_lose_vdevice(struct vm *vm, uint32_t vsid);

/* Let a later call to an SMMU go wrong; @fault's viommu_id is not looked at. */
void vm_inject(struct vm *vm, uint32_t which, int error, uint32_t executed,
	       uint32_t count);
void vm_inject_fault(struct vm *vm, uint32_t which,
		     const struct smmuinv_mock_fault *fault);

/*
 * After so many calls each call to an SMMU fails, and executes nothing; 0 for
 * @error mends it.
 */
void vm_fail(struct vm *vm, uint32_t which, uint32_t after, int error);

/* An SMMU or a device stops to answer; enum smmuinv_mock_reply. */
void vm_hang_smmu(struct vm *vm, uint32_t which, bool hung);
void vm_hang(struct vm *vm, uint32_t vsid, uint32_t reply);

/* What was executed and called since the last vm_forget(). */
void vm_forget(struct vm *vm);
size_t vm_executed(struct vm *vm, uint32_t which);
size_t vm_times(struct vm *vm, uint32_t which,
		const struct smmuinv_command *command);
uint32_t vm_calls_to(const struct vm *vm, uint32_t which);

/* The call, of those kept, that had the command; -1 if none had. */
int vm_first_call(const struct vm *vm, const struct smmuinv_command *command);
int vm_last_call(const struct vm *vm, const struct smmuinv_command *command);

/* How a queue is read. */
enum vm_way {
	VM_SETTLED,     /* with the callback `settled` */
	VM_IN_PLACE,    /* without */
	VM_BY_CALLBACK, /* without, and by the callback `read` */
	VM_WAYS
};

/*
 * A guest's Command queue. It is the opaque of the callbacks: let it be the
 * first member of what a test keeps besides.
 */
struct vm_queue {
	struct smmuinv_queue *queue;
	struct smmuinv_command *ring;
	uint32_t log2size;
	uint32_t prod;
	uint32_t cons;
	uint32_t max_commands;
	bool by_callback;
	int unreadable;                   /* by a callback: an index, or -1 */
	void *opaque;                     /* of the call */
	struct smmuinv_progress progress; /* of the last call */
};

struct vm_queue_options {
	const struct smmuinv_queue_ops *ops; /* none */
	enum vm_way way;
	uint32_t log2size;
	uint32_t window;
	uint32_t work_max;
};

void vm_queue_open(struct vm_queue *q, struct smmuinv_vsmmu *vsmmu,
		   const struct vm_queue_options *options);
void vm_queue_close(struct vm_queue *q);

/* The callback `read`. */
int vm_queue_read(void *opaque, uint32_t index,
		  struct smmuinv_command *command);

void vm_write(struct vm_queue *q, struct smmuinv_command command);

/* The doorbell, and the same for smmuinv_queue_invalidate_all(). */
int vm_consume(struct vm_queue *q);
int vm_skip(struct vm_queue *q);

/* Commands. TLBIs are of ASID 5 and for leaves. */
struct smmuinv_command raw(uint64_t dw0, uint64_t dw1);
struct smmuinv_command tlbi_va(uint64_t va);
struct smmuinv_command tlbi_all(void);
struct smmuinv_command cfgi_cd(uint32_t vsid);
struct smmuinv_command cfgi_cd_all(uint32_t vsid);
struct smmuinv_command atc_inv(uint32_t vsid, uint64_t address);
struct smmuinv_command atc_inv_all(uint32_t vsid);
struct smmuinv_command cmd_sync(void);
struct smmuinv_command cmd_sync_msi(uint32_t data);
struct smmuinv_command cfgi_ste(uint32_t vsid);
struct smmuinv_command cfgi_all(void);

#endif /* TEST_VM_H */
