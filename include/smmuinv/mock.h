/* SPDX-License-Identifier: MIT */
/*
 * A kernel that is not there: for tests of the library and of VMMs that use it,
 * on any machine. It lives in a library of its own, libsmmuinv-mock.
 *
 * It behaves as Linux does with IOMMU_HWPT_INVALIDATE on an SMMUv3 vIOMMU,
 * including what it does badly: commands reach the modelled hardware in blocks
 * of 63, and a refusal reports commands as done that were never sent. Behind it
 * lie modelled caches, if a test wants them.
 */
#ifndef SMMUINV_MOCK_H
#define SMMUINV_MOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/backend.h>
#include <smmuinv/caches.h>
#include <smmuinv/command.h>
#include <smmuinv/features.h>

SMMUINV_BEGIN_DECLS

/** struct smmuinv_mock - opaque; safe to use from several threads at once */
struct smmuinv_mock;

/**
 * enum smmuinv_mock_kernel - which kernel to be
 * @SMMUINV_MOCK_7_3: refuses every command that the host's SMMU could find
 *	illegal; counts what it has converted
 * @SMMUINV_MOCK_6_13: 6.13 to 7.2, which look at the opcode and the vSID only: an
 *	illegal field stops the host's queue (smmuinv_mock_wedged()), and the call
 *	fails with -ETIMEDOUT
 * @SMMUINV_MOCK_EXACT: as 7.3, but what is counted has been executed, as later
 *	kernels will do it
 */
enum smmuinv_mock_kernel {
	SMMUINV_MOCK_7_3 = 0,
	SMMUINV_MOCK_6_13 = 1,
	SMMUINV_MOCK_EXACT = 2
};

/**
 * struct smmuinv_mock_params - what to mock
 * @size: sizeof(struct smmuinv_mock_params)
 * @host: the physical SMMU; IDR0.ATS says whether it implements ATS
 * @caches: what the SMMU and its devices remember: every command that the
 *	hardware executes is executed on them. Borrowed until the mock is freed;
 *	NULL for none.
 * @kernel: enum smmuinv_mock_kernel
 * @reserved: must be 0
 */
struct smmuinv_mock_params {
	size_t size;
	struct smmuinv_features host;
	struct smmuinv_caches *caches;
	uint32_t kernel;
	uint32_t reserved;
};

/**
 * smmuinv_mock_new() - a kernel without objects
 * @params: what to mock
 * @mock: the mock
 *
 * Return: 0; -EINVAL for NULL, a wrong size, a reserved member that is set, or an
 * unknown kernel; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_new(const struct smmuinv_mock_params *params,
				 struct smmuinv_mock **mock);

/**
 * smmuinv_mock_free() - free it, with every object in it
 * @mock: may be NULL; its backends must be freed before
 *
 * Threads: one, the last. Since: 0.1.
 */
SMMUINV_API void smmuinv_mock_free(struct smmuinv_mock *mock);

/**
 * smmuinv_mock_backend() - a backend that talks to the mock
 * @mock: must outlive the backend
 * @backend: the backend; free it with smmuinv_backend_free()
 *
 * Return: 0; -EINVAL for NULL; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_backend(struct smmuinv_mock *mock,
				     struct smmuinv_backend **backend);

/**
 * smmuinv_mock_add_viommu() - make a vIOMMU, as IOMMU_VIOMMU_ALLOC
 * @mock: where
 * @id: its id
 *
 * Return: 0; -EINVAL for NULL; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_add_viommu(struct smmuinv_mock *mock,
					uint32_t *id);

/**
 * smmuinv_mock_add_device() - make a device, as VFIO_DEVICE_BIND_IOMMUFD
 * @mock: where
 * @id: its id
 *
 * Return: 0; -EINVAL for NULL; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_add_device(struct smmuinv_mock *mock,
					uint32_t *id);

/**
 * smmuinv_mock_destroy() - destroy any object, as IOMMU_DESTROY
 * @mock: where
 * @id: of a vIOMMU, a device or a vDEVICE
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if there is no such object; -EBUSY if
 * another object needs it.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_destroy(struct smmuinv_mock *mock, uint32_t id);

/**
 * smmuinv_mock_objects() - how many objects exist, to find leaks
 * @mock: where
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_mock_objects(struct smmuinv_mock *mock);

/**
 * smmuinv_mock_executed() - the commands that the hardware has executed
 * @mock: where
 * @commands: the record, in order, as they came from the VMM; valid until the
 *	next call that executes commands or clears the record; may be NULL
 *
 * Return: how many.
 * Threads: while nothing else uses the mock. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_mock_executed(struct smmuinv_mock *mock,
					 const struct smmuinv_command **commands);

/**
 * smmuinv_mock_forget() - clear the record
 * @mock: where
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API void smmuinv_mock_forget(struct smmuinv_mock *mock);

/**
 * smmuinv_mock_calls() - how many IOMMU_HWPT_INVALIDATE calls there were
 * @mock: where
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API uint64_t smmuinv_mock_calls(struct smmuinv_mock *mock);

/**
 * smmuinv_mock_wedged() - how often an illegal command stopped the host's queue
 * @mock: where
 *
 * Each time is a second in which no device of the host's gets an invalidation.
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API uint64_t smmuinv_mock_wedged(struct smmuinv_mock *mock);

/** enum smmuinv_mock_call - the ioctls that can be made to fail */
enum smmuinv_mock_call {
	SMMUINV_MOCK_INVALIDATE = 0,
	SMMUINV_MOCK_VDEVICE_ALLOC = 1,
	SMMUINV_MOCK_DESTROY = 2,
	SMMUINV_MOCK_DEVICE_INFO = 3
};

/**
 * struct smmuinv_mock_fault - a call that goes wrong
 * @size: sizeof(struct smmuinv_mock_fault)
 * @call: enum smmuinv_mock_call: which ioctl
 * @pass: how many calls of that ioctl go well before, counted from the fault of
 *	it before this one
 * @error: what the call returns: a negative errno, or 0 for a lie
 * @executed: INVALIDATE: how many of the call's commands the hardware executes
 * @count: INVALIDATE: what the call reports; SMMUINV_MOCK_COUNT_AS_GIVEN leaves
 *	the caller's number, as Linux does with -ENOMEM
 * @delay_us: how long the call takes
 * @vsid: with @vanish, whose vDEVICE
 * @vanish: INVALIDATE: instead of failing as above, the vDEVICE of @vsid goes
 *	away just before the call, which then does what it does
 * @reserved: must be 0
 */
struct smmuinv_mock_fault {
	size_t size;
	uint32_t call;
	uint32_t pass;
	int32_t error;
	uint32_t executed;
	uint32_t count;
	uint32_t delay_us;
	uint32_t vsid;
	bool vanish;
	uint8_t reserved[3];
};

/** SMMUINV_MOCK_COUNT_AS_GIVEN - for struct smmuinv_mock_fault.count */
#define SMMUINV_MOCK_COUNT_AS_GIVEN UINT32_MAX

/**
 * smmuinv_mock_inject() - let a later call go wrong, once
 * @mock: where
 * @fault: how; faults happen in the order in which they are injected
 *
 * Return: 0; -EINVAL for NULL, a wrong size, a reserved member that is set, or an
 * unknown call; -ENOMEM.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_inject(struct smmuinv_mock *mock,
				    const struct smmuinv_mock_fault *fault);

/**
 * smmuinv_mock_faults_left() - faults that have not happened yet
 * @mock: where
 *
 * A test that injects faults ends with none left.
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_mock_faults_left(struct smmuinv_mock *mock);

SMMUINV_END_DECLS

#endif /* SMMUINV_MOCK_H */
