/* SPDX-License-Identifier: MIT */
#include "backend.h"

#include <errno.h>
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

	if (!backend || !PARAMS_COPY(&o, ops))
		return -EINVAL;
	if (!o.device_info || !o.vdevice_alloc || !o.destroy || !o.invalidate)
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
	free(backend);
}

/* A wait that is interrupted for ever is an error, not a hang. */
#define TRIES_MAX 1000

/* As for any ioctl: an interrupted call has done nothing that counts. */
static bool worth_repeating(int rc)
{
	return rc == -EINTR || rc == -EAGAIN;
}

/* An answer that is neither success nor an errno is not to be believed. */
static int answer(int rc)
{
	return rc > 0 ? -EPROTO : rc;
}

int smmuinv_backend_device_info(const struct smmuinv_backend *backend,
				uint32_t dev_id,
				struct smmuinv_device_info *info)
{
	struct smmuinv_device_info i = { .size = sizeof(i) };
	int rc = -EINTR;
	int tries;

	if (!backend || !info || !PARAMS_WRITABLE(info))
		return -EINVAL;
	for (tries = 0; tries < TRIES_MAX && worth_repeating(rc); tries++)
		rc = backend->ops.device_info(backend->context, dev_id, &i);
	if (rc)
		return answer(rc);
	if (!PARAMS_RESERVED_IS_ZERO(&i))
		return -EPROTO;
	PARAMS_STORE(info, &i);
	return 0;
}

int smmuinv__backend_vdevice_alloc(const struct smmuinv_backend *backend,
				   uint32_t viommu_id, uint32_t dev_id,
				   uint32_t vsid, uint32_t *vdevice_id)
{
	int rc = -EINTR;
	int tries;

	for (tries = 0; tries < TRIES_MAX && worth_repeating(rc); tries++)
		rc = backend->ops.vdevice_alloc(backend->context, viommu_id,
						dev_id, vsid, vdevice_id);
	return answer(rc);
}

int smmuinv__backend_destroy(const struct smmuinv_backend *backend, uint32_t id)
{
	int rc = -EINTR;
	int tries;

	for (tries = 0; tries < TRIES_MAX && worth_repeating(rc); tries++)
		rc = backend->ops.destroy(backend->context, id);
	return answer(rc);
}

int smmuinv__backend_invalidate(const struct smmuinv_backend *backend,
				uint32_t viommu_id,
				const struct smmuinv_command *commands,
				uint32_t *count)
{
	uint32_t asked = *count;
	int rc = -EINTR;
	int tries;

	/* The count is written by every try, so every try starts anew. */
	for (tries = 0; tries < TRIES_MAX && worth_repeating(rc); tries++) {
		*count = asked;
		rc = backend->ops.invalidate(backend->context, viommu_id,
					     commands, count);
	}
	return answer(rc);
}
