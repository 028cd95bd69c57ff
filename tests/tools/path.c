/* SPDX-License-Identifier: MIT */
/*
 * The way of one TLBI_NH_VA and its CMD_SYNC through the library, counted:
 * distinct functions, and how deep they call each other. For targets.py, which
 * compiles the library with -finstrument-functions.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <smmuinv/smmuinv.h>

#define UNTRACED   __attribute__((no_instrument_function))
#define CALLEE_MAX 1024

static bool tracing;
static void *callees[CALLEE_MAX];
static unsigned int callee_count;
static unsigned int depth;
static unsigned int deepest;

void __cyg_profile_func_enter(void *callee, void *caller);
void __cyg_profile_func_exit(void *callee, void *caller);

UNTRACED void __cyg_profile_func_enter(void *callee, void *caller)
{
	unsigned int i;

	(void)caller;
	if (!tracing)
		return;
	if (++depth > deepest)
		deepest = depth;
	for (i = 0; i < callee_count; i++) {
		if (callees[i] == callee)
			return;
	}
	if (callee_count < CALLEE_MAX)
		callees[callee_count++] = callee;
}

UNTRACED void __cyg_profile_func_exit(void *callee, void *caller)
{
	(void)callee;
	(void)caller;
	if (tracing)
		depth--;
}

static UNTRACED int execute(void *context, uint32_t viommu_id,
			    const struct smmuinv_command *commands,
			    uint32_t *count)
{
	(void)context;
	(void)viommu_id;
	(void)commands;
	(void)count;
	return 0;
}

static UNTRACED int signal_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)opaque;
	(void)sync;
	return 0;
}

static UNTRACED int consume(struct smmuinv_vsmmu *vsmmu)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.sync = signal_sync,
	};
	const struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
	};
	/* TLBI_NH_VA of ASID 5, Leaf=1; CMD_SYNC */
	const struct smmuinv_command commands[2] = {
		{ { UINT64_C(5) << 48 | SMMUINV_CMD_TLBI_NH_VA, 0x10001 } },
		{ { SMMUINV_CMD_SYNC, 0 } },
	};
	const struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = commands,
		.log2size = 1,
		.prod = 2,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_queue *queue;
	int rc = smmuinv_queue_new(vsmmu, &params, &queue);

	if (rc)
		return rc;
	tracing = true;
	rc = smmuinv_queue_consume(queue, &ring, &progress);
	tracing = false;
	smmuinv_queue_free(queue);
	return rc == 2 && progress.ioctls == 1 ? 0 : -1;
}

UNTRACED int main(void)
{
	static const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.invalidate = execute,
	};
	/* S1P, TTF AArch64, ASID16; SIDSIZE 16; RIL; 4K, OAS 44 */
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.viommu_id = 1,
		.guest = { { 0x0100100a, 16, 0, 0x400, 0, 0x14 } },
		.host = { { 0x0100100a, 16, 0, 0x400, 0, 0x14 } },
	};
	struct smmuinv_vsmmu *vsmmu;
	unsigned int i;

	if (smmuinv_backend_new(&ops, NULL, &params.backend) ||
	    smmuinv_vsmmu_new(&params, &vsmmu, NULL) || consume(vsmmu))
		return 1;
	printf("%u %u\n", callee_count, deepest);
	for (i = 0; i < callee_count; i++)
		printf("%p\n", callees[i]);
	smmuinv_vsmmu_free(vsmmu);
	smmuinv_backend_free(params.backend);
	return 0;
}
