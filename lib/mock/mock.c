/* SPDX-License-Identifier: MIT */
#include <smmuinv/mock.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../params.h"
#include "../radix.h"
#include "kernel.h"

/* The driver's command batch has 64 places, of which a CMD_SYNC takes one. */
#define BLOCK 63

/* entry_num's bound in 7.2 and 7.3; above 4 MiB the kernel finds no memory. */
#define ENTRIES_MAX         (1u << 19)
#define ENTRIES_ALLOCATABLE (1u << 18)

enum kind { KIND_VIOMMU, KIND_DEVICE, KIND_VDEVICE };

struct object {
	enum kind kind;
	uint32_t id;
	uint32_t users;          /* objects that need this one */
	struct object *viommu;   /* a vDEVICE's */
	struct object *device;   /* a vDEVICE's */
	uint32_t virt_id;        /* a vDEVICE's */
	struct object *vdevice;  /* a device's, if it has one */
	struct radix by_virt_id; /* a vIOMMU's vDEVICEs */
};

struct fault {
	struct smmuinv_mock_fault what;
	struct fault *next;
};

struct smmuinv_mock {
	pthread_mutex_t lock;
	struct smmuinv_features host;
	enum smmuinv_mock_kernel kernel;
	struct smmuinv_caches *caches;
	struct radix objects;
	size_t object_count;
	uint32_t last_id;
	struct smmuinv_command *executed;
	size_t executed_count;
	size_t executed_room;
	struct fault *faults; /* first to happen first */
	uint64_t calls;
	uint64_t wedged;
};

int smmuinv_mock_new(const struct smmuinv_mock_params *params,
		     struct smmuinv_mock **mock)
{
	struct smmuinv_mock_params p;
	struct smmuinv_mock *m;

	if (!mock || !PARAMS_TAKE(&p, params) || p.kernel > SMMUINV_MOCK_EXACT)
		return -EINVAL;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->host = p.host;
	m->kernel = p.kernel;
	m->caches = p.caches;
	if (pthread_mutex_init(&m->lock, NULL)) {
		free(m);
		return -ENOMEM;
	}
	*mock = m;
	return 0;
}

static void object_release(void *value, void *arg)
{
	struct object *object = value;

	(void)arg;
	smmuinv__radix_free(&object->by_virt_id, NULL, NULL);
	free(object);
}

void smmuinv_mock_free(struct smmuinv_mock *mock)
{
	if (!mock)
		return;
	while (mock->faults) {
		struct fault *next = mock->faults->next;

		free(mock->faults);
		mock->faults = next;
	}
	smmuinv__radix_free(&mock->objects, object_release, NULL);
	free(mock->executed);
	pthread_mutex_destroy(&mock->lock);
	free(mock);
}

static struct object *object_find(struct smmuinv_mock *m, uint32_t id,
				  enum kind kind)
{
	struct object *object = smmuinv__radix_get(&m->objects, id);

	return object && object->kind == kind ? object : NULL;
}

static struct object *object_new(struct smmuinv_mock *m, enum kind kind)
{
	struct object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->kind = kind;
	object->id = m->last_id + 1;
	if (smmuinv__radix_set(&m->objects, object->id, object)) {
		free(object);
		return NULL;
	}
	m->last_id++;
	m->object_count++;
	return object;
}

static void object_delete(struct smmuinv_mock *m, struct object *object)
{
	smmuinv__radix_set(&m->objects, object->id, NULL);
	object_release(object, NULL);
	m->object_count--;
}

static int object_add(struct smmuinv_mock *m, enum kind kind, uint32_t *id)
{
	struct object *object;

	if (!m || !id)
		return -EINVAL;
	pthread_mutex_lock(&m->lock);
	object = object_new(m, kind);
	if (object)
		*id = object->id;
	pthread_mutex_unlock(&m->lock);
	return object ? 0 : -ENOMEM;
}

int smmuinv_mock_add_viommu(struct smmuinv_mock *mock, uint32_t *id)
{
	return object_add(mock, KIND_VIOMMU, id);
}

int smmuinv_mock_add_device(struct smmuinv_mock *mock, uint32_t *id)
{
	return object_add(mock, KIND_DEVICE, id);
}

static int object_destroy(struct smmuinv_mock *m, uint32_t id)
{
	struct object *object = smmuinv__radix_get(&m->objects, id);

	if (!object)
		return -ENOENT;
	if (object->users)
		return -EBUSY;
	if (object->kind == KIND_VDEVICE) {
		smmuinv__radix_set(&object->viommu->by_virt_id, object->virt_id,
				   NULL);
		object->viommu->users--;
		object->device->users--;
		object->device->vdevice = NULL;
	}
	object_delete(m, object);
	return 0;
}

int smmuinv_mock_destroy(struct smmuinv_mock *mock, uint32_t id)
{
	int rc;

	if (!mock)
		return -EINVAL;
	pthread_mutex_lock(&mock->lock);
	rc = object_destroy(mock, id);
	pthread_mutex_unlock(&mock->lock);
	return rc;
}

size_t smmuinv_mock_objects(struct smmuinv_mock *mock)
{
	size_t count;

	pthread_mutex_lock(&mock->lock);
	count = mock->object_count;
	pthread_mutex_unlock(&mock->lock);
	return count;
}

size_t smmuinv_mock_executed(struct smmuinv_mock *mock,
			     const struct smmuinv_command **commands)
{
	if (commands)
		*commands = mock->executed;
	return mock->executed_count;
}

void smmuinv_mock_forget(struct smmuinv_mock *mock)
{
	pthread_mutex_lock(&mock->lock);
	mock->executed_count = 0;
	pthread_mutex_unlock(&mock->lock);
}

uint64_t smmuinv_mock_calls(struct smmuinv_mock *mock)
{
	uint64_t calls;

	pthread_mutex_lock(&mock->lock);
	calls = mock->calls;
	pthread_mutex_unlock(&mock->lock);
	return calls;
}

uint64_t smmuinv_mock_wedged(struct smmuinv_mock *mock)
{
	uint64_t wedged;

	pthread_mutex_lock(&mock->lock);
	wedged = mock->wedged;
	pthread_mutex_unlock(&mock->lock);
	return wedged;
}

int smmuinv_mock_inject(struct smmuinv_mock *mock,
			const struct smmuinv_mock_fault *fault)
{
	struct smmuinv_mock_fault what;
	struct fault **at;
	struct fault *f;

	if (!mock || !PARAMS_TAKE(&what, fault) ||
	    what.call > SMMUINV_MOCK_DEVICE_INFO)
		return -EINVAL;
	f = malloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	*f = (struct fault){ .what = what };
	pthread_mutex_lock(&mock->lock);
	for (at = &mock->faults; *at; at = &(*at)->next)
		;
	*at = f;
	pthread_mutex_unlock(&mock->lock);
	return 0;
}

size_t smmuinv_mock_faults_left(struct smmuinv_mock *mock)
{
	const struct fault *f;
	size_t count = 0;

	pthread_mutex_lock(&mock->lock);
	for (f = mock->faults; f; f = f->next)
		count++;
	pthread_mutex_unlock(&mock->lock);
	return count;
}

/* The fault of this call, if it is its turn. */
static bool fault_due(struct smmuinv_mock *m, enum smmuinv_mock_call call,
		      struct smmuinv_mock_fault *what)
{
	struct fault **at = &m->faults;
	struct fault *f;

	while (*at && (*at)->what.call != call)
		at = &(*at)->next;
	f = *at;
	if (!f)
		return false;
	if (f->what.pass) {
		f->what.pass--;
		return false;
	}
	*what = f->what;
	*at = f->next;
	free(f);
	if (what->delay_us)
		usleep(what->delay_us);
	return true;
}

static int device_info(struct smmuinv_mock *m, uint32_t dev_id,
		       struct smmuinv_device_info *info)
{
	struct smmuinv_mock_fault fault;

	if (fault_due(m, SMMUINV_MOCK_DEVICE_INFO, &fault))
		return fault.error;
	if (!object_find(m, dev_id, KIND_DEVICE))
		return -ENOENT;
	info->hw = (struct smmuinv_hw_info){ 0 };
	memcpy(info->hw.idr, m->host.idr, sizeof(info->hw.idr));
	if (!smmuinv_features_get(&m->host, SMMUINV_FEATURE_ATS))
		info->capabilities = SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED;
	info->max_pasid_log2 =
		smmuinv_features_get(&m->host, SMMUINV_FEATURE_SSIDSIZE);
	return 0;
}

static int mock_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	struct smmuinv_mock *m = context;
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = device_info(m, dev_id, info);
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static int vdevice_new(struct smmuinv_mock *m, struct object *viommu,
		       struct object *device, uint32_t virt_id, uint32_t *id)
{
	struct object *vdevice = object_new(m, KIND_VDEVICE);

	if (!vdevice)
		return -ENOMEM;
	if (smmuinv__radix_set(&viommu->by_virt_id, virt_id, vdevice)) {
		object_delete(m, vdevice);
		return -ENOMEM;
	}
	vdevice->viommu = viommu;
	vdevice->device = device;
	vdevice->virt_id = virt_id;
	viommu->users++;
	device->users++;
	device->vdevice = vdevice;
	*id = vdevice->id;
	return 0;
}

/* The kernel would take any 64-bit number; vSIDs have 32 bits. */
static int vdevice_alloc(struct smmuinv_mock *m, uint32_t viommu_id,
			 uint32_t dev_id, uint64_t virt_id, uint32_t *id)
{
	struct object *viommu = object_find(m, viommu_id, KIND_VIOMMU);
	struct object *device = object_find(m, dev_id, KIND_DEVICE);
	struct smmuinv_mock_fault fault;

	if (fault_due(m, SMMUINV_MOCK_VDEVICE_ALLOC, &fault))
		return fault.error;
	if (!viommu || !device)
		return -ENOENT;
	if (device->vdevice ||
	    smmuinv__radix_get(&viommu->by_virt_id, (uint32_t)virt_id))
		return -EEXIST;
	return vdevice_new(m, viommu, device, (uint32_t)virt_id, id);
}

static int mock_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	struct smmuinv_mock *m = context;
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = vdevice_alloc(m, viommu_id, dev_id, virt_id, vdevice_id);
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static int mock_destroy(void *context, uint32_t id)
{
	struct smmuinv_mock *m = context;
	struct smmuinv_mock_fault fault;
	int rc;

	pthread_mutex_lock(&m->lock);
	if (fault_due(m, SMMUINV_MOCK_DESTROY, &fault))
		rc = fault.error;
	else
		rc = object_destroy(m, id);
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static int record_reserve(struct smmuinv_mock *m, uint32_t count)
{
	size_t need = m->executed_count + count;
	size_t room = m->executed_room ? m->executed_room : 256;
	struct smmuinv_command *larger;

	if (need <= m->executed_room)
		return 0;
	while (room < need)
		room *= 2;
	larger = realloc(m->executed, room * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	m->executed = larger;
	m->executed_room = room;
	return 0;
}

/* The hardware: it does what it is told. */
static void execute(struct smmuinv_mock *m,
		    const struct smmuinv_command *commands, uint32_t count)
{
	uint32_t i;

	memcpy(m->executed + m->executed_count, commands,
	       count * sizeof(*commands));
	m->executed_count += count;
	for (i = 0; m->caches && i < count; i++)
		smmuinv_caches_execute(m->caches, &commands[i]);
}

/* Does the driver convert the command? */
static bool converts(const struct smmuinv_mock *m, const struct object *viommu,
		     const struct smmuinv_command *command)
{
	uint32_t vsid =
		(uint32_t)smmuinv_command_get(command, SMMUINV_FIELD_STREAMID);

	if (m->kernel == SMMUINV_MOCK_6_13) {
		if (!smmuinv_opcode_is_forwarded(
			    smmuinv_command_opcode(command)))
			return false;
	} else if (!smmuinv__kernel_accepts(command, &m->host)) {
		return false;
	}
	return !smmuinv__kernel_resolves_vsid(command) ||
	       smmuinv__radix_get(&viommu->by_virt_id, vsid);
}

/*
 * A block goes to the hardware, with a sync. An illegal command, which only an
 * old kernel passes on, stops the host's queue before it.
 */
static int send(struct smmuinv_mock *m, const struct smmuinv_command *commands,
		uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (smmuinv__kernel_accepts(&commands[i], &m->host))
			continue;
		execute(m, commands, i);
		m->wedged++;
		return -ETIMEDOUT;
	}
	execute(m, commands, count);
	return 0;
}

/* The driver's loop: convert one by one, send by the block. */
static int convert_and_send(struct smmuinv_mock *m, const struct object *viommu,
			    const struct smmuinv_command *commands,
			    uint32_t *count)
{
	uint32_t asked = *count;
	uint32_t sent = 0;
	uint32_t i;

	for (i = 0; i < asked; i++) {
		*count = i;
		if (!converts(m, viommu, &commands[i])) {
			if (m->kernel == SMMUINV_MOCK_EXACT)
				execute(m, commands + sent, i - sent);
			return -EIO;
		}
		if (i + 1 - sent != BLOCK && i + 1 != asked)
			continue;
		/* The count of a block that failed is one less than its end. */
		if (send(m, commands + sent, i + 1 - sent))
			return -ETIMEDOUT;
		sent = i + 1;
	}
	*count = asked;
	return 0;
}

static int fail(struct smmuinv_mock *m, const struct smmuinv_mock_fault *fault,
		const struct smmuinv_command *commands, uint32_t *count)
{
	uint32_t executed = fault->executed;

	execute(m, commands, executed < *count ? executed : *count);
	if (fault->count != SMMUINV_MOCK_COUNT_AS_GIVEN)
		*count = fault->count;
	return fault->error;
}

/* A device is unplugged behind everybody's back. */
static void vanish(struct smmuinv_mock *m, uint32_t viommu_id, uint32_t vsid)
{
	const struct object *viommu = object_find(m, viommu_id, KIND_VIOMMU);
	const struct object *vdevice =
		viommu ? smmuinv__radix_get(&viommu->by_virt_id, vsid) : NULL;

	if (vdevice)
		(void)object_destroy(m, vdevice->id);
}

/* The checks in the order in which the kernel makes them. */
static int invalidate(struct smmuinv_mock *m, uint32_t viommu_id,
		      const struct smmuinv_command *commands, uint32_t *count)
{
	const struct object *viommu = object_find(m, viommu_id, KIND_VIOMMU);
	uint32_t asked = *count;

	*count = 0;
	if (m->kernel != SMMUINV_MOCK_6_13 && asked > ENTRIES_MAX)
		return -EINVAL;
	if (!viommu)
		return smmuinv__radix_get(&m->objects, viommu_id) ? -EINVAL :
								    -ENOENT;
	if (!asked)
		return -EINVAL;
	*count = asked;
	if (asked > ENTRIES_ALLOCATABLE)
		return -ENOMEM;
	return convert_and_send(m, viommu, commands, count);
}

static int invalidate_or_fail(struct smmuinv_mock *m, uint32_t viommu_id,
			      const struct smmuinv_command *commands,
			      uint32_t *count)
{
	struct smmuinv_mock_fault fault;

	m->calls++;
	if (record_reserve(m, *count))
		return -ENOMEM;
	if (!fault_due(m, SMMUINV_MOCK_INVALIDATE, &fault))
		return invalidate(m, viommu_id, commands, count);
	if (!fault.vanish)
		return fail(m, &fault, commands, count);
	vanish(m, viommu_id, fault.vsid);
	return invalidate(m, viommu_id, commands, count);
}

static int mock_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct smmuinv_mock *m = context;
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = invalidate_or_fail(m, viommu_id, commands, count);
	pthread_mutex_unlock(&m->lock);
	return rc;
}

int smmuinv_mock_backend(struct smmuinv_mock *mock,
			 struct smmuinv_backend **backend)
{
	static const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.device_info = mock_device_info,
		.vdevice_alloc = mock_vdevice_alloc,
		.destroy = mock_destroy,
		.invalidate = mock_invalidate,
	};

	if (!mock)
		return -EINVAL;
	return smmuinv_backend_new(&ops, mock, backend);
}
