/* SPDX-License-Identifier: MIT */
/*
 * The real backend over a kernel that is not there: ioctl() is the linker's
 * --wrap. The machine test runs it on a real one.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <smmuinv/backend.h>

#include "backend.h"
#include "iommufd-uapi.h"

/* What the kernel is to answer, and what it was asked. */
static struct {
	int destroy_errno;
	int vdevice_errno;
	int hw_info_errno;
	int invalidate_errno;
	/* So many calls are interrupted before one is answered. */
	unsigned int interruptions;
	int interruption;
	uint32_t data_type;
	uint32_t executed;
	unsigned int calls;
	int fd;
	struct uapi_iommu_destroy destroy;
	struct uapi_iommu_vdevice_alloc vdevice;
	struct uapi_iommu_hw_info hw_info;
	struct uapi_iommu_hwpt_invalidate invalidate;
} kernel;

static int answer(int error)
{
	if (!error)
		return 0;
	errno = error;
	return -1;
}

static int answer_hw_info(struct uapi_iommu_hw_info *ask)
{
	struct smmuinv_hw_info hw = { .flags = 1, .idr = { 1, 2, 3, 4, 5, 6 } };

	kernel.hw_info = *ask;
	if (kernel.hw_info_errno)
		return answer(kernel.hw_info_errno);
	assert_int_equal(ask->data_len, sizeof(hw));
	memcpy((void *)(uintptr_t)ask->data_uptr, &hw, sizeof(hw));
	ask->out_data_type = kernel.data_type;
	ask->out_capabilities = 8;
	ask->out_max_pasid_log2 = 5;
	return 0;
}

static int answer_vdevice(struct uapi_iommu_vdevice_alloc *alloc)
{
	kernel.vdevice = *alloc;
	if (kernel.vdevice_errno)
		return answer(kernel.vdevice_errno);
	alloc->out_vdevice_id = 77;
	return 0;
}

static int answer_invalidate(struct uapi_iommu_hwpt_invalidate *ask)
{
	kernel.invalidate = *ask;
	ask->entry_num = kernel.executed;
	return answer(kernel.invalidate_errno);
}

int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	kernel.calls++;
	kernel.fd = fd;
	if (kernel.interruptions) {
		kernel.interruptions--;
		/* An interrupted call may have written to its argument. */
		if (request == UAPI_IOMMU_HWPT_INVALIDATE)
			((struct uapi_iommu_hwpt_invalidate *)argument)
				->entry_num = 99;
		return answer(kernel.interruption);
	}
	switch (request) {
	case UAPI_IOMMU_DESTROY:
		kernel.destroy = *(struct uapi_iommu_destroy *)argument;
		return answer(kernel.destroy_errno);
	case UAPI_IOMMU_VDEVICE_ALLOC:
		return answer_vdevice(argument);
	case UAPI_IOMMU_GET_HW_INFO:
		return answer_hw_info(argument);
	case UAPI_IOMMU_HWPT_INVALIDATE:
		return answer_invalidate(argument);
	default:
		fail_msg("unknown request %#lx", request);
		return answer(ENOTTY);
	}
}

/* A file descriptor that is open; what it is open on does not matter here. */
static int some_fd(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int kernel_with_viommus(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.destroy_errno = ENOENT;
	kernel.vdevice_errno = ENOENT;
	kernel.data_type = 2;
	return 0;
}

static struct smmuinv_backend *open_backend(int fd)
{
	struct smmuinv_backend *backend;

	assert_int_equal(smmuinv_iommufd_new(fd, &backend), 0);
	memset(&kernel.destroy, 0, sizeof(kernel.destroy));
	kernel.calls = 0;
	kernel.destroy_errno = 0;
	kernel.vdevice_errno = 0;
	return backend;
}

static void a_closed_descriptor_is_ebadf(void **state)
{
	struct smmuinv_backend *backend = NULL;

	(void)state;
	assert_int_equal(smmuinv_iommufd_new(-1, &backend), -EBADF);
	assert_null(backend);
	assert_int_equal(kernel.calls, 0);
}

static void what_is_not_an_iommufd_is_enotty(void **state)
{
	struct smmuinv_backend *backend = NULL;
	int fd = some_fd();

	(void)state;
	kernel.destroy_errno = ENOTTY;
	assert_int_equal(smmuinv_iommufd_new(fd, &backend), -ENOTTY);
	assert_null(backend);
	close(fd);
}

static void a_kernel_before_6_13_is_reported_as_such(void **state)
{
	struct smmuinv_backend *backend = NULL;
	int fd = some_fd();

	(void)state;
	kernel.vdevice_errno = ENOTTY;
	assert_int_equal(smmuinv_iommufd_new(fd, &backend), -EOPNOTSUPP);
	assert_null(backend);
	close(fd);
}

static void the_probe_names_no_object_that_can_exist(void **state)
{
	struct smmuinv_backend *backend;
	int fd = some_fd();

	(void)state;
	assert_int_equal(smmuinv_iommufd_new(fd, &backend), 0);
	assert_int_equal(kernel.destroy.id, 0);
	assert_int_equal(kernel.vdevice.viommu_id, 0);
	assert_int_equal(kernel.vdevice.dev_id, 0);
	assert_int_equal(kernel.calls, 2);
	smmuinv_backend_free(backend);
	assert_int_equal(smmuinv_iommufd_new(fd, NULL), -EINVAL);
	close(fd);
}

static void the_descriptor_is_borrowed_and_stays_open(void **state)
{
	int fd = some_fd();
	struct smmuinv_backend *backend = open_backend(fd);

	(void)state;
	smmuinv_backend_free(backend);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

static void device_info_asks_get_hw_info(void **state)
{
	struct smmuinv_device_info info = { .size = sizeof(info) };
	int fd = some_fd();
	struct smmuinv_backend *backend = open_backend(fd);

	(void)state;
	assert_int_equal(smmuinv_backend_device_info(backend, 12, &info), 0);
	assert_int_equal(kernel.fd, fd);
	assert_int_equal(kernel.hw_info.size, 40);
	assert_int_equal(kernel.hw_info.dev_id, 12);
	assert_int_equal(kernel.hw_info.flags, 0);
	assert_int_equal(info.hw.idr[5], 6);
	assert_int_equal(info.hw.flags, SMMUINV_HW_INFO_REPEAT);
	assert_int_equal(info.capabilities, SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED);
	assert_int_equal(info.max_pasid_log2, 5);
	kernel.hw_info_errno = ENOENT;
	assert_int_equal(smmuinv_backend_device_info(backend, 12, &info),
			 -ENOENT);
	smmuinv_backend_free(backend);
	close(fd);
}

static void another_kind_of_iommu_is_eopnotsupp(void **state)
{
	struct smmuinv_device_info info = { .size = sizeof(info) };
	int fd = some_fd();
	struct smmuinv_backend *backend = open_backend(fd);

	(void)state;
	kernel.data_type = 1; /* Intel VT-d */
	assert_int_equal(smmuinv_backend_device_info(backend, 12, &info),
			 -EOPNOTSUPP);
	smmuinv_backend_free(backend);
	close(fd);
}

static void vdevices_are_made_and_destroyed_by_id(void **state)
{
	int fd = some_fd();
	struct smmuinv_backend *backend = open_backend(fd);
	uint32_t id = 0;

	(void)state;
	assert_int_equal(
		smmuinv__backend_vdevice_alloc(backend, 3, 4, 0xffffffff, &id),
		0);
	assert_int_equal(id, 77);
	assert_int_equal(kernel.vdevice.size, 24);
	assert_int_equal(kernel.vdevice.viommu_id, 3);
	assert_int_equal(kernel.vdevice.dev_id, 4);
	assert_int_equal(kernel.vdevice.virt_id, 0xffffffff);
	kernel.vdevice_errno = EEXIST;
	id = 5;
	assert_int_equal(smmuinv__backend_vdevice_alloc(backend, 3, 4, 1, &id),
			 -EEXIST);
	assert_int_equal(id, 5);
	assert_int_equal(smmuinv__backend_destroy(backend, 77), 0);
	assert_int_equal(kernel.destroy.size, 8);
	assert_int_equal(kernel.destroy.id, 77);
	smmuinv_backend_free(backend);
	close(fd);
}

static void invalidate_hands_over_the_array_as_it_is(void **state)
{
	struct smmuinv_command commands[3] = { { { 0 } } };
	int fd = some_fd();
	struct smmuinv_backend *backend = open_backend(fd);
	uint32_t count = 3;

	(void)state;
	kernel.executed = 3;
	assert_int_equal(
		smmuinv__backend_invalidate(backend, 9, commands, &count), 0);
	assert_int_equal(count, 3);
	assert_int_equal(kernel.calls, 1);
	assert_int_equal(kernel.invalidate.size, 32);
	assert_int_equal(kernel.invalidate.hwpt_id, 9);
	assert_int_equal(kernel.invalidate.data_type, 1);
	assert_int_equal(kernel.invalidate.entry_len, 16);
	assert_int_equal(kernel.invalidate.entry_num, 3);
	assert_int_equal(kernel.invalidate.reserved, 0);
	assert_ptr_equal((void *)(uintptr_t)kernel.invalidate.data_uptr,
			 commands);
	smmuinv_backend_free(backend);
	close(fd);
}

static void a_failed_invalidate_reports_the_kernels_count(void **state)
{
	struct smmuinv_command commands[3] = { { { 0 } } };
	int fd = some_fd();
	struct smmuinv_backend *backend = open_backend(fd);
	uint32_t count = 3;

	(void)state;
	kernel.invalidate_errno = EIO;
	kernel.executed = 2;
	assert_int_equal(
		smmuinv__backend_invalidate(backend, 9, commands, &count),
		-EIO);
	assert_int_equal(count, 2);
	smmuinv_backend_free(backend);
	close(fd);
}

static void interrupted_calls_start_anew(void **state)
{
	const int interruptions[] = { EINTR, EAGAIN };
	struct smmuinv_command commands[3] = { { { 0 } } };
	int fd = some_fd();
	struct smmuinv_backend *backend = open_backend(fd);
	unsigned int i;

	(void)state;
	kernel.executed = 3;
	for (i = 0; i < 2; i++) {
		uint32_t count = 3;

		kernel.interruption = interruptions[i];
		kernel.interruptions = 5;
		kernel.calls = 0;
		assert_int_equal(smmuinv__backend_invalidate(backend, 9,
							     commands, &count),
				 0);
		assert_int_equal(kernel.calls, 6);
		assert_int_equal(kernel.invalidate.entry_num, 3);
		kernel.interruptions = 5;
		assert_int_equal(smmuinv__backend_destroy(backend, 1), 0);
	}
	smmuinv_backend_free(backend);
	close(fd);
}

static void endless_interruption_becomes_an_error(void **state)
{
	struct smmuinv_command command = { { 0 } };
	int fd = some_fd();
	struct smmuinv_backend *backend = open_backend(fd);
	uint32_t count = 1;

	(void)state;
	kernel.interruption = EINTR;
	kernel.interruptions = UINT32_MAX;
	kernel.calls = 0;
	assert_int_equal(
		smmuinv__backend_invalidate(backend, 9, &command, &count),
		-EINTR);
	assert_int_equal(kernel.calls, 1000);
	kernel.calls = 0;
	assert_int_equal(smmuinv__backend_destroy(backend, 1), -EINTR);
	assert_int_equal(kernel.calls, 1000);
	smmuinv_backend_free(backend);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup(name, kernel_with_viommus)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_closed_descriptor_is_ebadf),
		TEST(what_is_not_an_iommufd_is_enotty),
		TEST(a_kernel_before_6_13_is_reported_as_such),
		TEST(the_probe_names_no_object_that_can_exist),
		TEST(the_descriptor_is_borrowed_and_stays_open),
		TEST(device_info_asks_get_hw_info),
		TEST(another_kind_of_iommu_is_eopnotsupp),
		TEST(vdevices_are_made_and_destroyed_by_id),
		TEST(invalidate_hands_over_the_array_as_it_is),
		TEST(a_failed_invalidate_reports_the_kernels_count),
		TEST(interrupted_calls_start_anew),
		TEST(endless_interruption_becomes_an_error),
	};

	return cmocka_run_group_tests_name("iommufd", tests, NULL, NULL);
}
