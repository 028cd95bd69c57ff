/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <errno.h>
#include <stdlib.h>

#include <smmuinv/mock.h>

static int mock_next_device(struct host *host, uint32_t *dev_id)
{
	return smmuinv_mock_add_device(host->private, dev_id);
}

static int mock_take_executed(struct host *host,
			      struct smmuinv_command **commands, size_t *count)
{
	const struct smmuinv_mock_record *records;
	size_t number = smmuinv_mock_executed(host->private, &records);
	size_t i;

	*count = 0;
	*commands = calloc(number + 1, sizeof(**commands));
	if (!*commands)
		return -ENOMEM;
	for (i = 0; i < number; i++)
		(*commands)[i] = records[i].command;
	*count = number;
	smmuinv_mock_forget(host->private);
	return 0;
}

static void mock_close(struct host *host)
{
	smmuinv_backend_free(host->backend);
	smmuinv_mock_free(host->private);
}

int host_open_mock(struct host *host, const struct smmuinv_features *features)
{
	struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = *features,
	};
	struct smmuinv_mock *mock;
	int rc;

	*host = (struct host){
		.features = *features,
		.problem = "the mock",
		.next_device = mock_next_device,
		.take_executed = mock_take_executed,
		.close = mock_close,
	};
	rc = smmuinv_mock_new(&params, &mock);
	if (rc)
		return rc;
	host->private = mock;
	rc = smmuinv_mock_add_viommu(mock, &host->viommu);
	if (!rc)
		rc = smmuinv_mock_backend(mock, &host->backend);
	if (rc)
		mock_close(host);
	return rc;
}
