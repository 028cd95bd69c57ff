/* SPDX-License-Identifier: MIT */
#include "twin.h"

#include <errno.h>
#include <stdio.h>

#include "backend.h"
#include "support.h"

/* Of what differs, so much is printed. */
#define PRINTED_CALLS    20
#define PRINTED_COMMANDS 4

static int twin_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	const struct twin *twin = context;

	return smmuinv_backend_device_info(twin->nested->backend, dev_id, info);
}

static void compare_errors(struct twin *twin, const char *call, int kernel,
			   int model)
{
	if (kernel == model)
		return;
	twin->differing++;
	printf("DIFFERS %s: kernel %d, mock %d\n", call, kernel, model);
}

static int twin_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	struct twin *twin = context;
	uint32_t vsid = (uint32_t)virt_id;
	int error = smmuinv__backend_vdevice_alloc(
		twin->nested->backend, viommu_id, dev_id, vsid, vdevice_id);

	compare_errors(twin, "VDEVICE_ALLOC", error,
		       smmuinv__backend_vdevice_alloc(
			       twin->model, twin->model_viommu,
			       twin->model_device, vsid, &twin->model_vdevice));
	return error;
}

/* Only vDEVICEs are destroyed through a backend, and there is only one. */
static int twin_destroy(void *context, uint32_t id)
{
	struct twin *twin = context;
	int error = smmuinv__backend_destroy(twin->nested->backend, id);

	compare_errors(
		twin, "DESTROY", error,
		smmuinv__backend_destroy(twin->model, twin->model_vdevice));
	return error;
}

/* The commands at which the answers part. */
static void print_commands(const struct smmuinv_command *commands,
			   uint32_t asked, uint32_t first)
{
	for (uint32_t i = first; i < asked && i - first < PRINTED_COMMANDS; i++)
		printf("DIFFERS at %u: %s\n", i, test_text(&commands[i]));
}

static void print_difference(const struct smmuinv_command *commands,
			     uint32_t asked, const struct twin_answer *kernel,
			     const struct twin_answer *model)
{
	uint32_t first =
		kernel->count < model->count ? kernel->count : model->count;

	printf("DIFFERS call of %u: kernel %d with %u, mock %d with %u\n",
	       asked, kernel->error, kernel->count, model->error, model->count);
	if (asked <= PRINTED_COMMANDS)
		first = 0;
	print_commands(commands, asked, first);
}

static struct twin_answer ask(const struct smmuinv_backend *backend,
			      uint32_t viommu,
			      const struct smmuinv_command *commands,
			      uint32_t count)
{
	struct twin_answer answer = { .count = count };

	answer.error = smmuinv__backend_invalidate(backend, viommu, commands,
						   &answer.count);
	return answer;
}

struct twin_answer twin_ask(struct twin *twin,
			    const struct smmuinv_command *commands,
			    uint32_t count)
{
	struct twin_answer kernel = ask(twin->nested->backend,
					twin->nested->viommu, commands, count);
	struct twin_answer model =
		ask(twin->model, twin->model_viommu, commands, count);

	smmuinv_mock_forget(twin->mock);
	twin->calls++;
	twin->commands += count;
	twin->refused += kernel.error != 0;
	kernel.same =
		kernel.error == model.error && kernel.count == model.count;
	if (!kernel.same && twin->differing++ < PRINTED_CALLS)
		print_difference(commands, count, &kernel, &model);
	return kernel;
}

static int twin_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct twin *twin = context;
	struct twin_answer answer;

	assert_int_equal(viommu_id, twin->nested->viommu);
	answer = twin_ask(twin, commands, *count);
	*count = answer.count;
	return answer.error;
}

static void make_model(struct twin *twin, enum smmuinv_mock_kernel kernel)
{
	const struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = twin->host,
		.kernel = kernel,
	};

	assert_int_equal(smmuinv_mock_new(&params, &twin->mock), 0);
	assert_int_equal(smmuinv_mock_backend(twin->mock, &twin->model), 0);
	assert_int_equal(
		smmuinv_mock_add_viommu(twin->mock, &twin->model_viommu), 0);
	assert_int_equal(
		smmuinv_mock_add_device(twin->mock, &twin->model_device), 0);
}

void twin_init(struct twin *twin, const struct nested *nested,
	       enum smmuinv_mock_kernel kernel)
{
	static const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.device_info = twin_device_info,
		.vdevice_alloc = twin_vdevice_alloc,
		.destroy = twin_destroy,
		.invalidate = twin_invalidate,
	};

	*twin = (struct twin){ .nested = nested, .host = nested->host };
	make_model(twin, kernel);
	assert_int_equal(smmuinv_backend_new(&ops, twin, &twin->backend), 0);
}

void twin_free(struct twin *twin)
{
	smmuinv_backend_free(twin->backend);
	smmuinv_backend_free(twin->model);
	smmuinv_mock_free(twin->mock);
	*twin = (struct twin){ 0 };
}

uint32_t twin_plug(struct twin *twin, uint32_t vsid)
{
	uint32_t vdevice = 0;

	assert_int_equal(smmuinv__backend_vdevice_alloc(
				 twin->backend, twin->nested->viommu,
				 twin->nested->device.id, vsid, &vdevice),
			 0);
	return vdevice;
}

void twin_unplug(struct twin *twin, uint32_t vdevice)
{
	assert_int_equal(smmuinv__backend_destroy(twin->backend, vdevice), 0);
}
