/* SPDX-License-Identifier: MIT */
#include "backend.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "params.h"

struct smmuinv_backend {
	struct smmuinv_backend_ops ops;
	void *context;
};

int smmuinv_backend_new(const struct smmuinv_backend_ops *ops, void *context,
			struct smmuinv_backend **backend)
{
	struct smmuinv_backend_ops o;
	struct smmuinv_backend *b;

	if (!backend || !PARAMS_COPY(&o, ops) || !o.invalidate ||
	    !o.vdevice_alloc != !o.destroy)
		return -EINVAL;
	b = malloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	*b = (struct smmuinv_backend){ .ops = o, .context = context };
	*backend = b;
	return 0;
}

void smmuinv_backend_free(struct smmuinv_backend *backend)
{
	if (!backend)
		return;
	if (backend->ops.release)
		backend->ops.release(backend->context);
	free(backend);
}

/* A wait that is interrupted for ever is an error, not a hang. */
#define TRIES_MAX 1000

/* An interrupted call is made again as a whole. */
static bool call_again(int rc, int *tries)
{
	return (rc == -EINTR || rc == -EAGAIN) && ++*tries < TRIES_MAX;
}

/* An answer that is neither success nor an errno is an error. */
static int sane(int rc)
{
	return rc > 0 ? -EPROTO : rc;
}

int smmuinv_backend_device_info(const struct smmuinv_backend *backend,
				uint32_t dev_id,
				struct smmuinv_device_info *info)
{
	struct smmuinv_device_info i;
	int tries = 0;
	int rc;

	if (!backend || !info || !PARAMS_WRITABLE(info))
		return -EINVAL;
	if (!backend->ops.device_info)
		return -ENOSYS;
	do {
		i = (struct smmuinv_device_info){ .size = sizeof(i) };
		rc = backend->ops.device_info(backend->context, dev_id, &i);
	} while (call_again(rc, &tries));
	if (rc)
		return sane(rc);
	if (!PARAMS_RESERVED_IS_ZERO(&i))
		return -EPROTO;
	PARAMS_STORE(info, &i);
	return 0;
}

int smmuinv__backend_vdevice_alloc(const struct smmuinv_backend *backend,
				   uint32_t viommu_id, uint32_t dev_id,
				   uint32_t vsid, uint32_t *vdevice_id)
{
	int tries = 0;
	int rc;

	if (!backend->ops.vdevice_alloc)
		return -ENOSYS;
	do
		rc = backend->ops.vdevice_alloc(backend->context, viommu_id,
						dev_id, vsid, vdevice_id);
	while (call_again(rc, &tries));
	return sane(rc);
}

int smmuinv__backend_destroy(const struct smmuinv_backend *backend, uint32_t id)
{
	int tries = 0;
	int rc;

	do
		rc = backend->ops.destroy(backend->context, id);
	while (call_again(rc, &tries));
	return sane(rc);
}

int smmuinv__backend_invalidate(const struct smmuinv_backend *backend,
				uint32_t viommu_id,
				const struct smmuinv_command *commands,
				uint32_t *count)
{
	uint32_t asked = *count;
	int tries = 0;
	int rc;

	do {
		*count = asked;
		rc = backend->ops.invalidate(backend->context, viommu_id,
					     commands, count);
	} while ((rc == -EINTR || rc == -EAGAIN) && ++tries < TRIES_MAX);
	return rc > 0 || (!rc && *count != asked) ? -EPROTO : rc;
}
