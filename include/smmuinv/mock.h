/* SPDX-License-Identifier: MIT */
/*
 * A kernel that is not there: for tests of the library and of VMMs that use it,
 * on any machine. It lives in a library of its own, libsmmuinv-mock.
 *
 * It behaves as Linux 7.3 does with IOMMU_HWPT_INVALIDATE on an SMMUv3 vIOMMU,
 * including what it does badly: commands reach the modelled hardware in blocks
 * of 63, and a refusal reports commands as done that were never sent.
 */
#ifndef SMMUINV_MOCK_H
#define SMMUINV_MOCK_H

#include <stddef.h>
#include <stdint.h>

#include <smmuinv/abi.h>
#include <smmuinv/backend.h>
#include <smmuinv/command.h>
#include <smmuinv/features.h>

SMMUINV_BEGIN_DECLS

/** struct smmuinv_mock - opaque; safe to use from several threads at once */
struct smmuinv_mock;

/**
 * struct smmuinv_mock_params - what to mock
 * @size: sizeof(struct smmuinv_mock_params)
 * @host: the physical SMMU; IDR0.ATS says whether it implements ATS
 */
struct smmuinv_mock_params {
	size_t size;
	struct smmuinv_features host;
};

/**
 * smmuinv_mock_new() - a kernel without objects
 * @params: what to mock
 * @mock: the mock
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -ENOMEM.
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
 * struct smmuinv_mock_fault - a call of IOMMU_HWPT_INVALIDATE that goes wrong
 * @size: sizeof(struct smmuinv_mock_fault)
 * @pass: how many calls go well before, counted from the fault before it
 * @error: what the call returns: a negative errno, or 0 for a lie
 * @executed: how many of the call's commands the hardware executes
 * @count: what the call reports; SMMUINV_MOCK_COUNT_AS_GIVEN leaves the
 *	caller's number, as Linux does with -ENOMEM
 */
struct smmuinv_mock_fault {
	size_t size;
	uint32_t pass;
	int32_t error;
	uint32_t executed;
	uint32_t count;
};

/** SMMUINV_MOCK_COUNT_AS_GIVEN - for struct smmuinv_mock_fault.count */
#define SMMUINV_MOCK_COUNT_AS_GIVEN UINT32_MAX

/**
 * smmuinv_mock_inject() - let a later call go wrong, once
 * @mock: where
 * @fault: how; faults happen in the order in which they are injected
 *
 * Return: 0; -EINVAL for NULL or a wrong size; -ENOMEM.
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
