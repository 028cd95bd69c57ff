/* SPDX-License-Identifier: MIT */
/*
 * A model of the kernel, for tests of the library and of VMMs on any machine.
 * It is in a library of its own, libsmmuinv-mock.
 *
 * It answers as Linux answers IOMMU_HWPT_INVALIDATE on an SMMUv3 vIOMMU, with
 * the faults that Linux has. Commands reach the modelled SMMU in blocks of 63.
 * A refusal counts commands that were not sent. A device can stop answering.
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
 * enum smmuinv_mock_kernel - which kernel the mock is
 * @SMMUINV_MOCK_7_3: refuses every command that the host's SMMU could find
 *	illegal. It counts what it has converted: with -EIO the commands
 *	before the refused one, with -ETIMEDOUT one less than the end of the
 *	block that failed.
 * @SMMUINV_MOCK_6_13: 6.13 to 7.2. It checks only the opcode and the vSID. An
 *	illegal field stops the host's queue (smmuinv_mock_wedged()), and the
 *	call fails with -ETIMEDOUT.
 * @SMMUINV_MOCK_EXACT: as 7.3, but what is counted has been executed. Later
 *	kernels will do so. Of a block that failed nothing is counted.
 * @SMMUINV_MOCK_QUARANTINE: as 7.3, but a device that does not answer is
 *	reported as -EIO and quarantined: each later ATC_INV for it is refused
 *	with -EIO and is not sent
 * @SMMUINV_MOCK_EXACT_QUARANTINE: both
 */
enum smmuinv_mock_kernel {
	SMMUINV_MOCK_7_3 = 0,
	SMMUINV_MOCK_6_13 = 1,
	SMMUINV_MOCK_EXACT = 2,
	SMMUINV_MOCK_QUARANTINE = 3,
	SMMUINV_MOCK_EXACT_QUARANTINE = 4
};

/**
 * struct smmuinv_mock_params - what to mock
 * @size: sizeof(struct smmuinv_mock_params)
 * @host: the physical SMMU of every vIOMMU and every device, until
 *	smmuinv_mock_set_host(). IDR0.ATS says whether it implements ATS.
 * @caches: what the SMMU and its devices cache: each command that the SMMU
 *	executes is executed on them, until smmuinv_mock_set_caches().
 *	Borrowed until the mock is freed; NULL for none.
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
 * smmuinv_mock_new() - make a kernel without objects
 * @params: what to mock
 * @mock: the mock
 *
 * Return: 0; -EINVAL for NULL, a wrong size, a reserved member that is set, or
 * an unknown kernel; -ENOMEM.
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
 * smmuinv_mock_backend() - make a backend that calls the mock
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
 * smmuinv_mock_set_host() - put a vIOMMU or a device on another physical SMMU
 * @mock: where
 * @id: of the vIOMMU, which then accepts what @host accepts; or of the device,
 *	whose smmuinv_backend_device_info() then reports @host
 * @host: the physical SMMU
 * @hw_flags: what the device reports as flags of struct smmuinv_hw_info
 *
 * The mock does not compare a device's SMMU with that of its vIOMMU.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if there is no such vIOMMU or device.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_set_host(struct smmuinv_mock *mock, uint32_t id,
				      const struct smmuinv_features *host,
				      uint32_t hw_flags);

/**
 * smmuinv_mock_set_caches() - give a vIOMMU's SMMU caches of its own
 * @mock: where
 * @viommu_id: which vIOMMU
 * @caches: borrowed until the vIOMMU is destroyed; NULL for none
 *
 * Return: 0; -EINVAL for NULL as @mock; -ENOENT if there is no such vIOMMU.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_set_caches(struct smmuinv_mock *mock,
					uint32_t viommu_id,
					struct smmuinv_caches *caches);

/**
 * smmuinv_mock_vdevice_alloc() - make a vDEVICE, as IOMMU_VDEVICE_ALLOC
 * @mock: where
 * @viommu_id: on which vIOMMU
 * @dev_id: for which device
 * @virt_id: its vSID
 * @vdevice_id: its id
 *
 * A VMM calls this, smmuinv_mock_destroy() and smmuinv_mock_invalidate() in
 * place of its own ioctls. The backend of smmuinv_mock_backend() calls the same
 * functions.
 *
 * Return: 0; -EINVAL for NULL, or a @virt_id above 32 bits, which no command
 * can name; -ENOENT if there is no such vIOMMU or device; -EEXIST if the device
 * has a vDEVICE, or the vIOMMU has that vSID; -ENOMEM; the errno of an injected
 * fault.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_vdevice_alloc(struct smmuinv_mock *mock,
					   uint32_t viommu_id, uint32_t dev_id,
					   uint64_t virt_id,
					   uint32_t *vdevice_id);

/**
 * smmuinv_mock_destroy() - destroy any object, as IOMMU_DESTROY
 * @mock: where
 * @id: of a vIOMMU, a device or a vDEVICE
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if there is no such object; -EBUSY if
 * another object uses it; the errno of an injected fault.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_destroy(struct smmuinv_mock *mock, uint32_t id);

/**
 * smmuinv_mock_invalidate() - execute commands, as IOMMU_HWPT_INVALIDATE
 * @mock: where
 * @viommu_id: on which vIOMMU
 * @commands: the commands
 * @count: how many commands; then how many the kernel reports as executed. It
 *	is written also with an error.
 *
 * Return: 0; -EINVAL for NULL, no commands, more than 2^19 (not with 6.13), or
 * an object that is not a vIOMMU; -ENOENT if there is no such object; -ENOMEM
 * for more than 2^18 commands, with @count left as it is; -EIO if a command is
 * refused, or a kernel that quarantines gets no answer from a device;
 * -ETIMEDOUT if another kernel gets none, the SMMU does not answer, or an
 * illegal command stopped it; the errno of an injected fault.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_invalidate(struct smmuinv_mock *mock,
					uint32_t viommu_id,
					const struct smmuinv_command *commands,
					uint32_t *count);

/**
 * enum smmuinv_mock_reply - what a device does with an ATC_INV
 * @SMMUINV_MOCK_ANSWERS: it executes the ATC_INV
 * @SMMUINV_MOCK_SILENT: it does not answer. The rest of the block of 63 is
 *	executed, and the call fails: with -ETIMEDOUT, or on a kernel that
 *	quarantines with -EIO.
 * @SMMUINV_MOCK_LIES: it does not answer, and the kernel reports success, as
 *	Linux 7.3 and before mostly do
 */
enum smmuinv_mock_reply {
	SMMUINV_MOCK_ANSWERS = 0,
	SMMUINV_MOCK_SILENT = 1,
	SMMUINV_MOCK_LIES = 2
};

/**
 * smmuinv_mock_hang() - let a device stop answering, or answer again
 * @mock: where
 * @viommu_id: the vIOMMU that has the device's vDEVICE
 * @vsid: the vDEVICE's vSID
 * @reply: enum smmuinv_mock_reply. SMMUINV_MOCK_ANSWERS is also a reset of the
 *	device: it ends its quarantine.
 *
 * The device stays as it is if its vDEVICE is destroyed. The mock does not
 * sleep.
 *
 * Return: 0; -EINVAL for NULL or an unknown reply; -ENOENT if there is no such
 * vIOMMU or vDEVICE.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_hang(struct smmuinv_mock *mock, uint32_t viommu_id,
				  uint32_t vsid, uint32_t reply);

/**
 * smmuinv_mock_hang_smmu() - let an SMMU stop answering, or answer again
 * @mock: where
 * @viommu_id: the vIOMMU that stands for it
 * @hung: false: it answers
 *
 * While it is hung it executes nothing. Each call that reaches it fails with
 * -ETIMEDOUT, with all kernels. A call whose first block has a refused command
 * does not reach it. The mock does not sleep.
 *
 * Return: 0; -EINVAL for NULL; -ENOENT if there is no such vIOMMU.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API int smmuinv_mock_hang_smmu(struct smmuinv_mock *mock,
				       uint32_t viommu_id, bool hung);

/**
 * smmuinv_mock_objects() - how many objects exist, to find leaks
 * @mock: where
 *
 * Return: the number of vIOMMUs, devices and vDEVICEs.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_mock_objects(struct smmuinv_mock *mock);

/**
 * struct smmuinv_mock_record - a command that an SMMU has executed
 * @command: as it came from the VMM
 * @viommu_id: on which vIOMMU
 * @call: in which call of smmuinv_mock_invalidate(), counted from 1
 */
struct smmuinv_mock_record {
	struct smmuinv_command command;
	uint32_t viommu_id;
	uint32_t call;
};

/**
 * smmuinv_mock_executed() - the commands that SMMUs have executed
 * @mock: where
 * @records: the record, in order; valid until the next call that executes
 *	commands or clears the record; may be NULL
 *
 * Return: how many.
 * Threads: while nothing else uses the mock. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_mock_executed(
	struct smmuinv_mock *mock, const struct smmuinv_mock_record **records);

/**
 * smmuinv_mock_forget() - clear the record
 * @mock: where
 *
 * Calls go on to be counted.
 *
 * Threads: any. Since: 0.1.
 */
SMMUINV_API void smmuinv_mock_forget(struct smmuinv_mock *mock);

/**
 * smmuinv_mock_calls() - how many IOMMU_HWPT_INVALIDATE calls there were
 * @mock: where
 *
 * Return: the number, failed calls included.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API uint64_t smmuinv_mock_calls(struct smmuinv_mock *mock);

/**
 * smmuinv_mock_wedged() - how often an illegal command stopped a host's queue
 * @mock: where
 *
 * On a real host each time is a second in which no device gets an invalidation.
 *
 * Return: the number.
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
 * @viommu_id: INVALIDATE, VDEVICE_ALLOC: only calls for this vIOMMU; 0 for any
 * @pass: how many calls that could have this fault go well before. They count
 *	only while no earlier fault waits for them.
 * @error: what the call returns: a negative errno, or 0 for a lie
 * @executed: INVALIDATE: how many of the call's commands the SMMU executes, as
 *	far as it and its devices answer
 * @count: INVALIDATE: what the call reports; SMMUINV_MOCK_COUNT_AS_GIVEN leaves
 *	the caller's number, as Linux does with -ENOMEM
 * @delay_us: the call sleeps so long. Other threads can use the mock meanwhile.
 * @vsid: with @vanish, whose vDEVICE
 * @opcode: INVALIDATE: only calls that contain this opcode; 0 for any
 * @late: the call does not fail. After @delay_us it does what it always does.
 * @vanish: INVALIDATE: as @late, but the vDEVICE of @vsid on the call's vIOMMU
 *	is destroyed just before
 * @reserved: must be 0
 */
struct smmuinv_mock_fault {
	size_t size;
	uint32_t call;
	uint32_t viommu_id;
	uint32_t pass;
	int32_t error;
	uint32_t executed;
	uint32_t count;
	uint32_t delay_us;
	uint32_t vsid;
	uint8_t opcode;
	bool late;
	bool vanish;
	uint8_t reserved[5];
};

/** SMMUINV_MOCK_COUNT_AS_GIVEN - for struct smmuinv_mock_fault.count */
#define SMMUINV_MOCK_COUNT_AS_GIVEN UINT32_MAX

/**
 * smmuinv_mock_inject() - let a later call go wrong, once
 * @mock: where
 * @fault: how. A call gets the first of the faults injected that it can have.
 *
 * Return: 0; -EINVAL for NULL, a wrong size, a reserved member that is set, an
 * unknown call, or a member that the call does not have; -ENOMEM.
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
 * Return: how many.
 * Threads: any. Since: 0.1.
 */
SMMUINV_API size_t smmuinv_mock_faults_left(struct smmuinv_mock *mock);

SMMUINV_END_DECLS

#endif /* SMMUINV_MOCK_H */
