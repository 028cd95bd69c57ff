/* SPDX-License-Identifier: MIT */
/*
 * A VMM that has its own command queue emulation: it keeps its loop, hands what
 * is the host's to a batch, and completes the CMD_SYNCs after a flush.
 *
 * The host is the mock here, so that this runs anywhere; bringup.c shows the
 * real one. Nothing else would change.
 */
#include <stdio.h>
#include <string.h>

#include <smmuinv/smmuinv.h>

#include "host.h"
#include "plug.h"

/* What the guest sees, and the host has: 16-bit ASIDs, RIL, 4K granule. */
static const struct smmuinv_features features = {
	{ 0x0000100a, 0x00000010, 0, 0x00000400, 0, 0x00000014 }
};

#define COMMANDS_MAX 16

/* The guest's queue, and where in the batch its CMD_SYNCs stand. */
struct cmdq {
	struct smmuinv_command commands[COMMANDS_MAX];
	uint32_t count;
	uint32_t syncs[COMMANDS_MAX];
	uint32_t sync_count;
};

static int guest_writes_sync(struct cmdq *q)
{
	static const unsigned char sync[sizeof(struct smmuinv_command)] = {
		SMMUINV_CMD_SYNC
	};

	q->commands[q->count++] = smmuinv_command_from_bytes(sync);
	return 0;
}

/* It has changed a context descriptor, and then unmapped 1 MiB of ASID 5. */
static int guest_writes(struct cmdq *q)
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
	int64_t count;
	int rc = smmuinv_command_cfgi_cd(&q->commands[q->count++], 0x10, 0,
					 true);

	if (!rc)
		rc = guest_writes_sync(q);
	if (rc)
		return rc;
	count = smmuinv_range_tlbi(&unmapped, &features, q->commands + q->count,
				   8);
	if (count < 0 || count > 8)
		return -1;
	q->count += (uint32_t)count;
	return guest_writes_sync(q);
}

/* One command, as the VMM's loop has just read it. */
static int handle(struct cmdq *q, struct smmuinv_batch *batch,
		  const struct smmuinv_command *command)
{
	struct smmuinv_finding finding = { .size = sizeof(finding) };
	char text[SMMUINV_COMMAND_TEXT_MAX];
	int verdict;

	smmuinv_command_print(command, text, sizeof(text));
	if (smmuinv_command_opcode(command) == SMMUINV_CMD_SYNC) {
		printf("%s\n", text);
		q->syncs[q->sync_count++] = smmuinv_batch_count(batch);
		return smmuinv_batch_sync(batch);
	}
	verdict = smmuinv_batch_add(batch, command, &finding);
	printf("%s: %s\n", text, smmuinv_rule_text(finding.rule));
	/* An illegal one stops the queue, and the VMM's own it handles here. */
	return verdict == SMMUINV_FORWARD || verdict == SMMUINV_IGNORE ? 0 : -1;
}

/* The end of the ring: complete, and signal the CMD_SYNCs that are. */
static int flush(const struct cmdq *q, struct smmuinv_batch *batch)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	int rc = smmuinv_batch_flush(batch, &result);
	uint32_t i;

	for (i = 0; i < q->sync_count && q->syncs[i] <= result.completed; i++)
		printf("CMD_SYNC %u complete\n", i);
	if (rc)
		printf("%s at command %u: retry from there\n", strerror(-rc),
		       result.completed);
	else
		printf("%u commands complete in %u ioctls\n", result.completed,
		       result.ioctls);
	return rc;
}

static int consume(struct cmdq *q, struct smmuinv_batch *batch)
{
	uint32_t i;
	int rc = guest_writes(q);

	for (i = 0; i < q->count && !rc; i++)
		rc = handle(q, batch, &q->commands[i]);
	return rc ? rc : flush(q, batch);
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
	struct cmdq q = { 0 };
	uint32_t device;
	int rc;

	rc = smmuinv_vsmmu_new(&params, &vsmmu);
	if (rc)
		return rc;
	rc = host->next_device(host, &device);
	if (!rc)
		rc = plug_in(vsmmu, device, 0x10);
	if (!rc)
		rc = smmuinv_batch_new(vsmmu, 64, &batch);
	if (!rc)
		rc = consume(&q, batch);
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
