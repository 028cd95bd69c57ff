/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what, with this libc's locks: run as it is, and built with musl
 * by tests/abi/musl.sh. So it needs no more than a libc.
 *
 * A removal gets its turn although queues never rest. While one SMMU hangs,
 * look-ups, counters, another SMMU's commands, and removals there do not wait.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <smmuinv/smmuinv.h>

#define BUSY    4
#define ROUNDS  20
#define HUNG_AT 1
#define SOUND   2

/* A watchdog: whoever waits for ever is stopped by it. */
#define LIMIT_SECONDS 120

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool hanging;
static bool in_hang;
static bool stop;
static uint32_t vdevices;

#define REQUIRE(condition)                                             \
	do {                                                           \
		if (!(condition)) {                                    \
			fprintf(stderr, "fair: %s:%d: %s\n", __FILE__, \
				__LINE__, #condition);                 \
			exit(1);                                       \
		}                                                      \
	} while (0)

static int vdevice_alloc(void *context, uint32_t viommu_id, uint32_t dev_id,
			 uint64_t virt_id, uint32_t *vdevice_id)
{
	(void)context;
	(void)viommu_id;
	(void)dev_id;
	(void)virt_id;
	*vdevice_id = __atomic_add_fetch(&vdevices, 1, __ATOMIC_RELAXED);
	return 0;
}

static int destroy(void *context, uint32_t id)
{
	(void)context;
	(void)id;
	return 0;
}

/* Slow enough that there is always a call under way. */
static int invalidate(void *context, uint32_t viommu_id,
		      const struct smmuinv_command *commands, uint32_t *count)
{
	(void)context;
	(void)commands;
	(void)count;
	pthread_mutex_lock(&gate);
	while (viommu_id == HUNG_AT && hanging) {
		in_hang = true;
		pthread_cond_wait(&opened, &gate);
	}
	pthread_mutex_unlock(&gate);
	usleep(1000);
	return 0;
}

static struct smmuinv_vsmmu *vsmmu_open(struct smmuinv_backend **backend)
{
	static const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.vdevice_alloc = vdevice_alloc,
		.destroy = destroy,
		.invalidate = invalidate,
	};
	/* S1P, TTF AArch64, ASID16; SIDSIZE 16; RIL; 4K, OAS 44 */
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.viommu_id = HUNG_AT,
		.guest = { { 0x0100100a, 16, 0, 0x400, 0, 0x14 } },
		.host = { { 0x0100100a, 16, 0, 0x400, 0, 0x14 } },
	};
	struct smmuinv_viommu_params second = {
		.size = sizeof(second),
		.viommu_id = SOUND,
		.host = params.host,
	};
	struct smmuinv_vsmmu *vsmmu;

	REQUIRE(!smmuinv_backend_new(&ops, NULL, backend));
	params.backend = *backend;
	REQUIRE(!smmuinv_vsmmu_new(&params, &vsmmu, NULL));
	REQUIRE(!smmuinv_vsmmu_add_viommu(vsmmu, &second, NULL));
	return vsmmu;
}

static void plug(struct smmuinv_vsmmu *vsmmu, uint32_t viommu_id, uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.viommu_id = viommu_id,
		.dev_id = vsid,
	};

	REQUIRE(!smmuinv_vsmmu_add_stream(vsmmu, &params));
}

static void flush_one(struct smmuinv_vsmmu *vsmmu, uint32_t vsid)
{
	struct smmuinv_command command;
	struct smmuinv_batch *batch;

	REQUIRE(!smmuinv_command_cfgi_cd_all(&command, vsid));
	REQUIRE(!smmuinv_batch_new(vsmmu, 4, &batch));
	REQUIRE(smmuinv_batch_add(batch, &command, NULL) == SMMUINV_FORWARD);
	REQUIRE(!smmuinv_batch_flush(batch, NULL));
	smmuinv_batch_free(batch);
}

static void *never_rest(void *vsmmu)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		flush_one(vsmmu, 1);
	return NULL;
}

static void *hang(void *vsmmu)
{
	flush_one(vsmmu, 1);
	return NULL;
}

static void removals_get_their_turn(struct smmuinv_vsmmu *vsmmu)
{
	pthread_t busy[BUSY];
	unsigned int i;

	for (i = 0; i < BUSY; i++)
		REQUIRE(!pthread_create(&busy[i], NULL, never_rest, vsmmu));
	for (i = 0; i < ROUNDS; i++) {
		plug(vsmmu, HUNG_AT, 2);
		REQUIRE(!smmuinv_vsmmu_remove_stream(vsmmu, 2));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < BUSY; i++)
		pthread_join(busy[i], NULL);
}

static void nobody_waits_for_another_smmu(struct smmuinv_vsmmu *vsmmu)
{
	struct smmuinv_counters counters = { .size = sizeof(counters) };
	bool hung = false;
	pthread_t thread;

	plug(vsmmu, SOUND, 3);
	plug(vsmmu, SOUND, 4);
	hanging = true;
	REQUIRE(!pthread_create(&thread, NULL, hang, vsmmu));
	while (!hung) {
		pthread_mutex_lock(&gate);
		hung = in_hang;
		pthread_mutex_unlock(&gate);
	}
	/* The SMMU hangs until all of this is done. */
	REQUIRE(!smmuinv_vsmmu_find_stream(vsmmu, 3, NULL));
	REQUIRE(!smmuinv_vsmmu_counters(vsmmu, &counters));
	REQUIRE(!smmuinv_vsmmu_set_ats(vsmmu, 1, true));
	flush_one(vsmmu, 3);
	REQUIRE(!smmuinv_vsmmu_remove_stream(vsmmu, 4));
	pthread_mutex_lock(&gate);
	hanging = false;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&gate);
	pthread_join(thread, NULL);
}

int main(void)
{
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu = vsmmu_open(&backend);

	alarm(LIMIT_SECONDS);
	plug(vsmmu, HUNG_AT, 1);
	removals_get_their_turn(vsmmu);
	nobody_waits_for_another_smmu(vsmmu);
	smmuinv_vsmmu_free(vsmmu);
	smmuinv_backend_free(backend);
	puts("fair: each waited for what is under way, and for nothing else");
	return 0;
}
