/* SPDX-License-Identifier: MIT */
#include <smmuinv/mock.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../params.h"
#include "kernel.h"
#include "radix.h"

/* The driver's command batch has 64 places, of which a CMD_SYNC takes one. */
#define BLOCK 63

/* entry_num's bound in 7.2 and 7.3; above 4 MiB the kernel finds no memory. */
#define ENTRIES_MAX         (1u << 19)
#define ENTRIES_ALLOCATABLE (1u << 18)

enum kind { KIND_VIOMMU, KIND_DEVICE, KIND_VDEVICE };

struct object {
	enum kind kind;
	uint32_t id;
	uint32_t users; /* objects that need this one */

	/* A vIOMMU's and a device's: the physical SMMU. */
	struct smmuinv_features host;
	uint32_t hw_flags;

	/* A vIOMMU's. */
	struct smmuinv_caches *caches;
	bool hung;
	struct radix by_virt_id; /* its vDEVICEs */

	/* A device's. */
	struct object *vdevice;
	uint32_t reply; /* enum smmuinv_mock_reply */
	bool quarantined;

	/* A vDEVICE's. */
	struct object *viommu;
	struct object *device;
	uint32_t virt_id;
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
	struct smmuinv_mock_record *executed;
	size_t executed_count;
	size_t executed_capacity;
	struct fault *faults; /* first to happen first */
	uint64_t calls;
	uint64_t wedged;
};

/* One call of an ioctl. The last three are an invalidation's. */
struct call {
	struct smmuinv_mock *mock;
	enum smmuinv_mock_call ioctl;
	uint32_t viommu_id;
	uint32_t number;
	const struct smmuinv_command *commands;
	uint32_t count;
};

int smmuinv_mock_new(const struct smmuinv_mock_params *params,
		     struct smmuinv_mock **mock)
{
	struct smmuinv_mock_params p;
	struct smmuinv_mock *m;

	if (!mock || !PARAMS_TAKE(&p, params) ||
	    p.kernel > SMMUINV_MOCK_EXACT_QUARANTINE)
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
	object->host = m->host;
	object->caches = m->caches;
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

static bool set_host(struct smmuinv_mock *m, uint32_t id,
		     const struct smmuinv_features *host, uint32_t hw_flags)
{
	struct object *object = smmuinv__radix_get(&m->objects, id);

	if (!object || object->kind == KIND_VDEVICE)
		return false;
	object->host = *host;
	object->hw_flags = hw_flags;
	return true;
}

int smmuinv_mock_set_host(struct smmuinv_mock *mock, uint32_t id,
			  const struct smmuinv_features *host,
			  uint32_t hw_flags)
{
	bool found;

	if (!mock || !host)
		return -EINVAL;
	pthread_mutex_lock(&mock->lock);
	found = set_host(mock, id, host, hw_flags);
	pthread_mutex_unlock(&mock->lock);
	return found ? 0 : -ENOENT;
}

int smmuinv_mock_set_caches(struct smmuinv_mock *mock, uint32_t viommu_id,
			    struct smmuinv_caches *caches)
{
	struct object *viommu;

	if (!mock)
		return -EINVAL;
	pthread_mutex_lock(&mock->lock);
	viommu = object_find(mock, viommu_id, KIND_VIOMMU);
	if (viommu)
		viommu->caches = caches;
	pthread_mutex_unlock(&mock->lock);
	return viommu ? 0 : -ENOENT;
}

/* The device that has this vSID. */
static struct object *device_of(const struct object *viommu, uint32_t vsid)
{
	const struct object *vdevice =
		viommu ? smmuinv__radix_get(&viommu->by_virt_id, vsid) : NULL;

	return vdevice ? vdevice->device : NULL;
}

int smmuinv_mock_hang(struct smmuinv_mock *mock, uint32_t viommu_id,
		      uint32_t vsid, uint32_t reply)
{
	struct object *device;

	if (!mock || reply > SMMUINV_MOCK_LIES)
		return -EINVAL;
	pthread_mutex_lock(&mock->lock);
	device = device_of(object_find(mock, viommu_id, KIND_VIOMMU), vsid);
	if (device) {
		device->reply = reply;
		if (reply == SMMUINV_MOCK_ANSWERS)
			device->quarantined = false;
	}
	pthread_mutex_unlock(&mock->lock);
	return device ? 0 : -ENOENT;
}

int smmuinv_mock_hang_smmu(struct smmuinv_mock *mock, uint32_t viommu_id,
			   bool hung)
{
	struct object *viommu;

	if (!mock)
		return -EINVAL;
	pthread_mutex_lock(&mock->lock);
	viommu = object_find(mock, viommu_id, KIND_VIOMMU);
	if (viommu)
		viommu->hung = hung;
	pthread_mutex_unlock(&mock->lock);
	return viommu ? 0 : -ENOENT;
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
			     const struct smmuinv_mock_record **records)
{
	if (records)
		*records = mock->executed;
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

/* Does the ioctl have what the fault sets? */
static bool fault_valid(const struct smmuinv_mock_fault *fault)
{
	if (fault->call > SMMUINV_MOCK_DEVICE_INFO)
		return false;
	if (fault->call > SMMUINV_MOCK_VDEVICE_ALLOC && fault->viommu_id)
		return false;
	return fault->call == SMMUINV_MOCK_INVALIDATE ||
	       (!fault->opcode && !fault->vanish);
}

int smmuinv_mock_inject(struct smmuinv_mock *mock,
			const struct smmuinv_mock_fault *fault)
{
	struct smmuinv_mock_fault what;
	struct fault **at;
	struct fault *f;

	if (!mock || !PARAMS_TAKE(&what, fault) || !fault_valid(&what))
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

static bool call_contains(const struct call *call, uint8_t opcode)
{
	uint32_t i;

	for (i = 0; i < call->count; i++) {
		if (smmuinv_command_opcode(&call->commands[i]) == opcode)
			return true;
	}
	return false;
}

static bool fault_concerns(const struct smmuinv_mock_fault *fault,
			   const struct call *call)
{
	return fault->call == call->ioctl &&
	       (!fault->viommu_id || fault->viommu_id == call->viommu_id) &&
	       (!fault->opcode || call_contains(call, fault->opcode));
}

/* Takes the fault of this call, if it is its turn. */
static bool fault_take(const struct call *call, struct smmuinv_mock_fault *what)
{
	struct fault **at = &call->mock->faults;
	struct fault *f;

	while (*at && !fault_concerns(&(*at)->what, call))
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
	return true;
}

/* The call takes its time, in which others can be made. */
static void delay(struct smmuinv_mock *m, uint32_t us)
{
	const struct timespec time = {
		.tv_sec = us / 1000000,
		.tv_nsec = us % 1000000 * 1000L,
	};

	pthread_mutex_unlock(&m->lock);
	(void)nanosleep(&time, NULL);
	pthread_mutex_lock(&m->lock);
}

/* A device is unplugged without anyone being asked. */
static void vanish(struct smmuinv_mock *m, uint32_t viommu_id, uint32_t vsid)
{
	const struct object *device =
		device_of(object_find(m, viommu_id, KIND_VIOMMU), vsid);

	if (device)
		(void)object_destroy(m, device->vdevice->id);
}

/* Does the call fail with @what? If it has to wait, others get the lock. */
static bool fails(const struct call *call, struct smmuinv_mock_fault *what)
{
	if (!fault_take(call, what))
		return false;
	if (what->delay_us)
		delay(call->mock, what->delay_us);
	if (what->vanish)
		vanish(call->mock, call->viommu_id, what->vsid);
	return !what->late && !what->vanish;
}

static int device_info(struct smmuinv_mock *m, uint32_t dev_id,
		       struct smmuinv_device_info *info)
{
	const struct call call = {
		.mock = m,
		.ioctl = SMMUINV_MOCK_DEVICE_INFO,
	};
	struct smmuinv_mock_fault fault;
	const struct object *device;

	if (fails(&call, &fault))
		return fault.error;
	device = object_find(m, dev_id, KIND_DEVICE);
	if (!device)
		return -ENOENT;
	info->hw = (struct smmuinv_hw_info){ .flags = device->hw_flags };
	memcpy(info->hw.idr, device->host.idr, sizeof(info->hw.idr));
	if (!smmuinv_features_get(&device->host, SMMUINV_FEATURE_ATS))
		info->capabilities = SMMUINV_CAP_PCI_ATS_NOT_SUPPORTED;
	info->max_pasid_log2 =
		smmuinv_features_get(&device->host, SMMUINV_FEATURE_SSIDSIZE);
	return 0;
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

static int vdevice_alloc(struct smmuinv_mock *m, uint32_t viommu_id,
			 uint32_t dev_id, uint32_t virt_id, uint32_t *id)
{
	const struct call call = {
		.mock = m,
		.ioctl = SMMUINV_MOCK_VDEVICE_ALLOC,
		.viommu_id = viommu_id,
	};
	struct smmuinv_mock_fault fault;
	struct object *viommu;
	struct object *device;

	if (fails(&call, &fault))
		return fault.error;
	viommu = object_find(m, viommu_id, KIND_VIOMMU);
	device = object_find(m, dev_id, KIND_DEVICE);
	if (!viommu || !device)
		return -ENOENT;
	if (device->vdevice || device_of(viommu, virt_id))
		return -EEXIST;
	return vdevice_new(m, viommu, device, virt_id, id);
}

int smmuinv_mock_vdevice_alloc(struct smmuinv_mock *mock, uint32_t viommu_id,
			       uint32_t dev_id, uint64_t virt_id,
			       uint32_t *vdevice_id)
{
	int rc;

	if (!mock || !vdevice_id || virt_id > UINT32_MAX)
		return -EINVAL;
	pthread_mutex_lock(&mock->lock);
	rc = vdevice_alloc(mock, viommu_id, dev_id, (uint32_t)virt_id,
			   vdevice_id);
	pthread_mutex_unlock(&mock->lock);
	return rc;
}

int smmuinv_mock_destroy(struct smmuinv_mock *mock, uint32_t id)
{
	const struct call call = {
		.mock = mock,
		.ioctl = SMMUINV_MOCK_DESTROY,
	};
	struct smmuinv_mock_fault fault;
	int rc;

	if (!mock)
		return -EINVAL;
	pthread_mutex_lock(&mock->lock);
	rc = fails(&call, &fault) ? fault.error : object_destroy(mock, id);
	pthread_mutex_unlock(&mock->lock);
	return rc;
}

static bool counts_exactly(const struct smmuinv_mock *m)
{
	return m->kernel == SMMUINV_MOCK_EXACT ||
	       m->kernel == SMMUINV_MOCK_EXACT_QUARANTINE;
}

static bool quarantines(const struct smmuinv_mock *m)
{
	return m->kernel == SMMUINV_MOCK_QUARANTINE ||
	       m->kernel == SMMUINV_MOCK_EXACT_QUARANTINE;
}

static int record_reserve(struct smmuinv_mock *m, uint32_t count)
{
	size_t need = m->executed_count + count;
	size_t capacity = m->executed_capacity ? m->executed_capacity : 256;
	struct smmuinv_mock_record *larger;

	if (need <= m->executed_capacity)
		return 0;
	while (capacity < need)
		capacity *= 2;
	larger = realloc(m->executed, capacity * sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	m->executed = larger;
	m->executed_capacity = capacity;
	return 0;
}

/* The device that an ATC_INV is for; NULL for any other command. */
static struct object *atc_device(const struct object *viommu,
				 const struct smmuinv_command *command)
{
	if (smmuinv_command_opcode(command) != SMMUINV_CMD_ATC_INV)
		return NULL;
	return device_of(viommu, smmuinv__kernel_vsid(command));
}

static void execute_one(const struct call *call, const struct object *viommu,
			const struct smmuinv_command *command)
{
	struct smmuinv_mock *m = call->mock;

	m->executed[m->executed_count++] = (struct smmuinv_mock_record){
		.command = *command,
		.viommu_id = call->viommu_id,
		.call = call->number,
	};
	if (viommu && viommu->caches)
		smmuinv_caches_execute(viommu->caches, command);
}

/* The SMMU, and what the kernel makes of devices that do not answer it. */
static int execute(const struct call *call, uint32_t first, uint32_t end)
{
	struct smmuinv_mock *m = call->mock;
	const struct object *viommu =
		object_find(m, call->viommu_id, KIND_VIOMMU);
	int rc = 0;

	if (viommu && viommu->hung)
		return -ETIMEDOUT;
	for (; first < end; first++) {
		const struct smmuinv_command *command = &call->commands[first];
		struct object *device = atc_device(viommu, command);

		if (!device || device->reply == SMMUINV_MOCK_ANSWERS) {
			execute_one(call, viommu, command);
		} else if (device->reply == SMMUINV_MOCK_SILENT) {
			device->quarantined = quarantines(m);
			rc = device->quarantined ? -EIO : -ETIMEDOUT;
		}
	}
	return rc;
}

/* Does the driver convert the command? */
static bool converts(const struct smmuinv_mock *m, const struct object *viommu,
		     const struct smmuinv_command *command)
{
	const struct object *device;

	if (m->kernel == SMMUINV_MOCK_6_13) {
		if (!smmuinv__kernel_knows(smmuinv_command_opcode(command)))
			return false;
	} else if (!smmuinv__kernel_accepts(command, &viommu->host)) {
		return false;
	}
	if (!smmuinv__kernel_resolves_vsid(command))
		return true;
	device = device_of(viommu, smmuinv__kernel_vsid(command));
	return device && !(device->quarantined && atc_device(viommu, command));
}

/*
 * A block goes to the SMMU, with a sync. An illegal command, which only an old
 * kernel passes on, stops the host's queue before it.
 */
static int send(const struct call *call, const struct object *viommu,
		uint32_t first, uint32_t end)
{
	uint32_t i;

	for (i = first; i < end; i++) {
		if (smmuinv__kernel_accepts(&call->commands[i], &viommu->host))
			continue;
		(void)execute(call, first, i);
		call->mock->wedged++;
		return -ETIMEDOUT;
	}
	return execute(call, first, end);
}

/* A command is refused at @i. An exact kernel first sends what is before it. */
static int refuse(const struct call *call, const struct object *viommu,
		  uint32_t sent, uint32_t i, uint32_t *count)
{
	int rc = 0;

	if (counts_exactly(call->mock))
		rc = send(call, viommu, sent, i);
	*count = rc ? sent : i;
	return rc ? rc : -EIO;
}

/* The driver's loop: convert one by one, send by the block. */
static int convert_and_send(const struct call *call,
			    const struct object *viommu, uint32_t *count)
{
	uint32_t sent = 0;
	uint32_t i;

	for (i = 0; i < call->count; i++) {
		int rc;

		if (!converts(call->mock, viommu, &call->commands[i]))
			return refuse(call, viommu, sent, i, count);
		if (i + 1 - sent != BLOCK && i + 1 != call->count)
			continue;
		rc = send(call, viommu, sent, i + 1);
		if (rc) {
			*count = counts_exactly(call->mock) ? sent : i;
			return rc;
		}
		sent = i + 1;
	}
	return 0;
}

/* The checks in the order in which the kernel makes them. */
static int invalidate(const struct call *call, uint32_t *count)
{
	struct smmuinv_mock *m = call->mock;
	const struct object *viommu =
		object_find(m, call->viommu_id, KIND_VIOMMU);

	*count = 0;
	if (m->kernel != SMMUINV_MOCK_6_13 && call->count > ENTRIES_MAX)
		return -EINVAL;
	if (!viommu)
		return smmuinv__radix_get(&m->objects, call->viommu_id) ?
			       -EINVAL :
			       -ENOENT;
	if (!call->count)
		return -EINVAL;
	*count = call->count;
	if (call->count > ENTRIES_ALLOCATABLE)
		return -ENOMEM;
	return convert_and_send(call, viommu, count);
}

static int fail(const struct call *call, const struct smmuinv_mock_fault *fault,
		uint32_t *count)
{
	uint32_t executed = fault->executed;

	(void)execute(call, 0, executed < call->count ? executed : call->count);
	if (fault->count != SMMUINV_MOCK_COUNT_AS_GIVEN)
		*count = fault->count;
	return fault->error;
}

static int invalidate_or_fail(const struct call *call, uint32_t *count)
{
	struct smmuinv_mock_fault fault;
	bool failing = fails(call, &fault);

	if (record_reserve(call->mock, call->count))
		return -ENOMEM;
	return failing ? fail(call, &fault, count) : invalidate(call, count);
}

int smmuinv_mock_invalidate(struct smmuinv_mock *mock, uint32_t viommu_id,
			    const struct smmuinv_command *commands,
			    uint32_t *count)
{
	struct call call = {
		.mock = mock,
		.ioctl = SMMUINV_MOCK_INVALIDATE,
		.viommu_id = viommu_id,
		.commands = commands,
	};
	int rc;

	if (!mock || !commands || !count)
		return -EINVAL;
	call.count = *count;
	pthread_mutex_lock(&mock->lock);
	call.number = (uint32_t)++mock->calls;
	rc = invalidate_or_fail(&call, count);
	pthread_mutex_unlock(&mock->lock);
	return rc;
}

static int backend_device_info(void *context, uint32_t dev_id,
			       struct smmuinv_device_info *info)
{
	struct smmuinv_mock *m = context;
	int rc;

	pthread_mutex_lock(&m->lock);
	rc = device_info(m, dev_id, info);
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static int backend_vdevice_alloc(void *context, uint32_t viommu_id,
				 uint32_t dev_id, uint64_t virt_id,
				 uint32_t *vdevice_id)
{
	return smmuinv_mock_vdevice_alloc(context, viommu_id, dev_id, virt_id,
					  vdevice_id);
}

static int backend_destroy(void *context, uint32_t id)
{
	return smmuinv_mock_destroy(context, id);
}

static int backend_invalidate(void *context, uint32_t viommu_id,
			      const struct smmuinv_command *commands,
			      uint32_t *count)
{
	return smmuinv_mock_invalidate(context, viommu_id, commands, count);
}

int smmuinv_mock_backend(struct smmuinv_mock *mock,
			 struct smmuinv_backend **backend)
{
	static const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.device_info = backend_device_info,
		.vdevice_alloc = backend_vdevice_alloc,
		.destroy = backend_destroy,
		.invalidate = backend_invalidate,
	};

	if (!mock)
		return -EINVAL;
	return smmuinv_backend_new(&ops, mock, backend);
}
