/* SPDX-License-Identifier: MIT */
/*
 * A VMM that has its own command queue emulation: it keeps its loop, and hands
 * what lies between two CMD_SYNCs to a batch.
 *
 * The host is the mock here, so that this runs anywhere; bringup.c shows the
 * real one. Nothing else would change.
 */
#include <stdio.h>
#include <string.h>

#include <smmuinv/smmuinv.h>

#include "host.h"

/* What the guest sees, and the host has: 16-bit ASIDs, RIL, 4K granule. */
static const struct smmuinv_features features = {
	{ 0x0000100a, 0x00000010, 0, 0x00000400, 0, 0x00000014 }
};

/* A guest has unmapped 1 MiB of ASID 5, and changed a context descriptor. */
static int add_commands(struct smmuinv_batch *batch)
{
	const struct smmuinv_range unmapped = {
		.size = sizeof(unmapped),
		.iova = 0x40000000,
		.length = 1 << 20,
		.granule = 4096,
		.level = 3,
		.leaf = true,
		.asid = 5,
	};
	struct smmuinv_command commands[8];
	int64_t count, i;
	int rc = 0;

	count = smmuinv_range_tlbi(&unmapped, &features, commands, 7);
	if (count < 0 || count > 7)
		return -1;
	rc = smmuinv_command_cfgi_cd(&commands[count++], 0x10, 0, true);

	for (i = 0; i < count && rc == 0; i++) {
		struct smmuinv_finding finding = { .size = sizeof(finding) };
		char text[SMMUINV_COMMAND_TEXT_MAX];

		rc = smmuinv_batch_add(batch, &commands[i], &finding);
		smmuinv_command_print(&commands[i], text, sizeof(text));
		printf("%s: %s\n", text, smmuinv_rule_text(finding.rule));
	}
	return rc;
}

/* At the guest's CMD_SYNC: complete everything before it is signalled. */
static int flush(struct smmuinv_batch *batch)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	int rc = smmuinv_batch_flush(batch, &result);

	if (rc)
		printf("%s at command %u: retry from there\n", strerror(-rc),
		       result.completed);
	else
		printf("%u commands complete, %u sent in %u ioctl\n",
		       result.completed, result.sent, result.ioctls);
	return rc;
}

static int run(struct host *host)
{
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = host->backend,
		.viommu_id = host->viommu,
		.guest = features,
		.host = host->features,
	};
	struct smmuinv_batch *batch = NULL;
	struct smmuinv_vsmmu *vsmmu;
	uint32_t device;
	int rc;

	rc = smmuinv_vsmmu_new(&params, &vsmmu);
	if (rc)
		return rc;
	rc = host->next_device(host, &device);
	if (!rc)
		rc = smmuinv_vsmmu_add_stream(vsmmu, device, 0x10);
	if (!rc)
		rc = smmuinv_batch_new(vsmmu, 64, &batch);
	if (!rc)
		rc = add_commands(batch);
	if (!rc)
		rc = flush(batch);
	smmuinv_batch_free(batch);
	smmuinv_vsmmu_free(vsmmu);
	return rc;
}

int main(void)
{
	struct host host;
	int rc = host_open_mock(&host, &features);

	if (rc)
		return 1;
	rc = run(&host);
	host.close(&host);
	return rc ? 1 : 0;
}
