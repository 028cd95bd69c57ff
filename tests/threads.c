/* SPDX-License-Identifier: MIT */
/*
 * Streams come, go, move and change their states, physical SMMUs come and go,
 * and context descriptors are noted, while queues consume, everything is
 * invalidated and counters are read, each on its own thread: made for
 * ThreadSanitizer, and short elsewhere. SMMUINV_THREADS_SECONDS says how long.
 */
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend.h"
#include "fixture.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(UNDER_TSAN)
#define SECONDS_DEFAULT 30
#else
#define SECONDS_DEFAULT 2
#endif

/* Fewer devices than vSIDs, so that devices move from one to another. */
#define DEVICES  6
#define VSIDS    10
#define QUEUES   3
#define LOG2SIZE 7
#define SIZE     (1u << LOG2SIZE)

/* Longer than any step takes on a slow machine: then something hangs. */
#define HANG_SECONDS 120

/* What the host knows of the vDEVICE of a vSID. */
struct vdevice {
	uint32_t id;    /* 0 if there is none */
	uint32_t users; /* calls under way that name its vSID */
	/* From before the library is told until after it is told otherwise. */
	bool translates;
	bool ats;
};

/* A host that watches over its vDEVICEs, with the mock's kernel behind it. */
struct host {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *behind;
	pthread_mutex_t lock;
	struct vdevice vdevices[VSIDS];
};

struct counts {
	atomic_ulong adds;
	atomic_ulong removes;
	atomic_ulong busy; /* adds and removes that met another */
	atomic_ulong sets;
	atomic_ulong viommus;
	atomic_ulong invalidations;
	atomic_ulong readings;
	atomic_ulong forwarded;
	atomic_ulong vmm;
	atomic_ulong windows;
	atomic_ulong commands;
	atomic_ulong dropped;
	atomic_ulong cds;
	atomic_ulong stops;
	atomic_ulong wrong;
};

struct machine {
	struct host host;
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	uint32_t devices[DEVICES];
	uint32_t first_viommu;
	atomic_uint second_viommu; /* 0 while there is none */
	/* Who changes a vSID, or tells its state, is alone with it. */
	pthread_mutex_t change[VSIDS];
	struct counts counts;
	atomic_bool over;
};

/* cmocka's asserts are for its own thread: the others say it and go on. */
static void wrong(struct machine *m, const char *what, int value)
{
	if (!atomic_fetch_add(&m->counts.wrong, 1))
		fprintf(stderr, "not so: %s (%d)\n", what, value);
}

/* A thread's own random numbers. */
static uint32_t draw(uint64_t *state, uint32_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32) % bound;
}

static bool names_stream(const struct smmuinv_command *command)
{
	uint8_t opcode = smmuinv_command_opcode(command);

	return opcode == SMMUINV_CMD_CFGI_CD ||
	       opcode == SMMUINV_CMD_CFGI_CD_ALL ||
	       opcode == SMMUINV_CMD_ATC_INV;
}

static uint32_t vsid_of(const struct smmuinv_command *command)
{
	return (uint32_t)smmuinv_command_get(command, SMMUINV_FIELD_STREAMID);
}

/* Is the stream in a state for the command? With the host locked. */
static bool is_addressable(const struct vdevice *v,
			   const struct smmuinv_command *command)
{
	if (smmuinv_command_opcode(command) == SMMUINV_CMD_ATC_INV)
		return v->ats;
	return v->translates;
}

/* The vDEVICES that a call names are there, and in use until it ends. */
static void hold(struct machine *m, const struct smmuinv_command *commands,
		 uint32_t count, int change)
{
	struct host *host = &m->host;
	uint32_t i;

	pthread_mutex_lock(&host->lock);
	for (i = 0; i < count; i++) {
		uint32_t vsid = vsid_of(&commands[i]);

		if (!names_stream(&commands[i]))
			continue;
		if (vsid >= VSIDS || !host->vdevices[vsid].id) {
			wrong(m, "a command that is sent has its vDEVICE",
			      (int)vsid);
			continue;
		}
		if (change > 0 &&
		    !is_addressable(&host->vdevices[vsid], &commands[i]))
			wrong(m,
			      "a stream that is addressed is in a state for it",
			      (int)vsid);
		host->vdevices[vsid].users += (uint32_t)change;
	}
	pthread_mutex_unlock(&host->lock);
}

static int host_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	struct machine *m = context;

	return smmuinv_backend_device_info(m->host.behind, dev_id, info);
}

static int host_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	struct machine *m = context;
	int rc = smmuinv__backend_vdevice_alloc(m->host.behind, viommu_id,
						dev_id, (uint32_t)virt_id,
						vdevice_id);

	if (rc || virt_id >= VSIDS) {
		wrong(m, "a vDEVICE is made for whoever has none", rc);
		return rc;
	}
	pthread_mutex_lock(&m->host.lock);
	if (m->host.vdevices[virt_id].id)
		wrong(m, "a vSID has one vDEVICE", (int)virt_id);
	m->host.vdevices[virt_id].id = *vdevice_id;
	pthread_mutex_unlock(&m->host.lock);
	return 0;
}

static int host_destroy(void *context, uint32_t id)
{
	struct machine *m = context;
	uint32_t vsid = 0;
	int rc;

	pthread_mutex_lock(&m->host.lock);
	while (vsid < VSIDS && m->host.vdevices[vsid].id != id)
		vsid++;
	if (vsid == VSIDS)
		wrong(m, "a vDEVICE is destroyed once", (int)id);
	else if (m->host.vdevices[vsid].users)
		wrong(m, "no call that names it is under way", (int)vsid);
	if (vsid < VSIDS)
		m->host.vdevices[vsid].id = 0;
	pthread_mutex_unlock(&m->host.lock);
	rc = smmuinv__backend_destroy(m->host.behind, id);
	if (rc)
		wrong(m, "a vDEVICE can be destroyed", rc);
	return rc;
}

/* The calls take their time, and other threads that of the processor. */
static int host_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct machine *m = context;
	uint32_t asked = *count;
	int rc;

	hold(m, commands, asked, 1);
	sched_yield();
	rc = smmuinv__backend_invalidate(m->host.behind, viommu_id, commands,
					 count);
	sched_yield();
	hold(m, commands, asked, -1);
	if (rc)
		wrong(m, "the host takes every command", rc);
	atomic_fetch_add(&m->counts.windows, 1);
	atomic_fetch_add(&m->counts.commands, asked);
	return rc;
}

static void machine_open(struct machine *m)
{
	static const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.device_info = host_device_info,
		.vdevice_alloc = host_vdevice_alloc,
		.destroy = host_destroy,
		.invalidate = host_invalidate,
	};
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = everything,
	};
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.guest = everything,
		.host = everything,
	};
	unsigned int i;

	assert_int_equal(pthread_mutex_init(&m->host.lock, NULL), 0);
	for (i = 0; i < VSIDS; i++)
		assert_int_equal(pthread_mutex_init(&m->change[i], NULL), 0);
	assert_int_equal(smmuinv_mock_new(&mock, &m->host.mock), 0);
	assert_int_equal(smmuinv_mock_backend(m->host.mock, &m->host.behind),
			 0);
	assert_int_equal(
		smmuinv_mock_add_viommu(m->host.mock, &vsmmu.viommu_id), 0);
	for (i = 0; i < DEVICES; i++)
		assert_int_equal(
			smmuinv_mock_add_device(m->host.mock, &m->devices[i]),
			0);
	assert_int_equal(smmuinv_backend_new(&ops, m, &m->backend), 0);
	m->first_viommu = vsmmu.viommu_id;
	vsmmu.backend = m->backend;
	assert_int_equal(smmuinv_vsmmu_new(&vsmmu, &m->vsmmu), 0);
}

/* Only the VMM's objects are left. */
static void machine_close(struct machine *m)
{
	unsigned int i;

	smmuinv_vsmmu_free(m->vsmmu);
	assert_int_equal(smmuinv_mock_objects(m->host.mock), DEVICES + 1);
	smmuinv_backend_free(m->backend);
	smmuinv_backend_free(m->host.behind);
	smmuinv_mock_free(m->host.mock);
	pthread_mutex_destroy(&m->host.lock);
	for (i = 0; i < VSIDS; i++)
		pthread_mutex_destroy(&m->change[i]);
}

/* What the host may be asked from here on, at most. */
static void host_allow(struct machine *m, uint32_t vsid, bool translates,
		       bool ats)
{
	pthread_mutex_lock(&m->host.lock);
	m->host.vdevices[vsid].translates = translates;
	m->host.vdevices[vsid].ats = ats;
	pthread_mutex_unlock(&m->host.lock);
}

/* On either of the SMMUs, if there are two. */
static void add_stream(struct machine *m, uint64_t *random)
{
	uint32_t vsid = draw(random, VSIDS);
	uint32_t second = atomic_load(&m->second_viommu);
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.viommu_id =
			second && draw(random, 2) ? second : m->first_viommu,
		.dev_id = m->devices[draw(random, DEVICES)],
		.vsid = vsid,
		.ats = draw(random, 4) != 0,
	};
	int rc;

	pthread_mutex_lock(&m->change[vsid]);
	rc = smmuinv_vsmmu_add_stream(m->vsmmu, &params);
	pthread_mutex_unlock(&m->change[vsid]);
	if (!rc)
		atomic_fetch_add(&m->counts.adds, 1);
	else if (rc == -EEXIST || rc == -EBUSY || rc == -EXDEV)
		atomic_fetch_add(&m->counts.busy, 1);
	else
		wrong(m, "a stream is added, or there already", rc);
}

static void set_stream(struct machine *m, uint64_t *random)
{
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(m->vsmmu);
	uint32_t vsid = draw(random, VSIDS);
	bool translates = draw(random, 4) != 0;
	bool ats = translates && draw(random, 3) != 0;
	int rc;

	pthread_mutex_lock(&m->change[vsid]);
	/* Before and after, either is allowed while it changes. */
	host_allow(m, vsid, true, true);
	rc = smmuinv_streams_set(streams, vsid, translates, ats);
	if (!rc)
		host_allow(m, vsid, translates, ats);
	pthread_mutex_unlock(&m->change[vsid]);
	if (rc && rc != -ENOENT)
		wrong(m, "a state is set, or there is no such stream", rc);
	atomic_fetch_add(&m->counts.sets, !rc);
}

static void remove_stream(struct machine *m, uint32_t vsid)
{
	int rc;

	pthread_mutex_lock(&m->change[vsid]);
	rc = smmuinv_vsmmu_remove_stream(m->vsmmu, vsid);
	host_allow(m, vsid, false, false);
	pthread_mutex_unlock(&m->change[vsid]);
	if (!rc)
		atomic_fetch_add(&m->counts.removes, 1);
	else if (rc == -ENOENT)
		atomic_fetch_add(&m->counts.busy, 1);
	else
		wrong(m, "a stream is removed, or not there", rc);
}

/* In order, whatever comes and goes. */
static void walk_streams(struct machine *m)
{
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(m->vsmmu);
	uint32_t vsid = 0;
	uint32_t from = 0;

	while (!smmuinv_streams_next(streams, &vsid)) {
		if (vsid < from || vsid >= VSIDS)
			wrong(m, "the next stream is further on", (int)vsid);
		from = ++vsid;
	}
}

static void invalidate(struct machine *m, uint64_t *random)
{
	uint32_t vsid = draw(random, VSIDS);
	int rc = draw(random, 2) ? smmuinv_invalidate_all(m->vsmmu, NULL) :
				   smmuinv_invalidate_stream(m->vsmmu, vsid);

	if (rc && rc != -ENOENT)
		wrong(m, "everything can be invalidated", rc);
	atomic_fetch_add(&m->counts.invalidations, 1);
}

static void find_stream(struct machine *m, uint64_t *random)
{
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(m->vsmmu);
	struct smmuinv_stream_info info = { .size = sizeof(info) };
	uint32_t vsid = draw(random, VSIDS);
	int rc = smmuinv_streams_find(streams, vsid, &info);

	if (rc && rc != -ENOENT)
		wrong(m, "a stream is there or not", rc);
	if (!rc && (info.vsid != vsid || !info.vdevice_id))
		wrong(m, "what is found is what was asked for", (int)vsid);
	if (smmuinv_streams_count(streams) > DEVICES)
		wrong(m, "a device has one stream at most", 0);
}

/* Granules of the one ASID whose pages are invalidated, and of some other. */
static void note_cd(struct machine *m, uint64_t *random)
{
	const struct smmuinv_cd cd = {
		.size = sizeof(cd),
		.valid = true,
		.asid = (uint16_t)(5 + draw(random, 2)),
		.walks = { true, draw(random, 2) != 0 },
		.tg = { SMMUINV_TG_4K, (uint8_t)draw(random, 4) },
	};
	int rc = smmuinv_vsmmu_note_cd(m->vsmmu, &cd);

	if (rc)
		wrong(m, "a CD is noted", rc);
	atomic_fetch_add(&m->counts.cds, 1);
}

static void change_streams(struct machine *m, uint64_t *random)
{
	switch (draw(random, 10)) {
	case 0:
		note_cd(m, random);
		return;
	case 1:
	case 2:
		add_stream(m, random);
		return;
	case 3:
		remove_stream(m, draw(random, VSIDS));
		return;
	case 4:
	case 5:
	case 6:
		set_stream(m, random);
		return;
	case 7:
		walk_streams(m);
		return;
	case 8:
		invalidate(m, random);
		return;
	default:
		find_stream(m, random);
		return;
	}
}

/* A thread, and what it works with. */
struct worker {
	struct machine *machine;
	uint64_t random;
	pthread_t thread;
	/* a queue's */
	struct smmuinv_queue *queue;
	uint32_t prod;
	uint32_t cons;
	struct smmuinv_command ring[SIZE];
};

static void *changer(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&w->machine->over)) {
		change_streams(w->machine, &w->random);
		sched_yield();
	}
	return NULL;
}

static void remove_streams_on(struct machine *m, uint32_t viommu_id)
{
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(m->vsmmu);
	uint32_t vsid;

	for (vsid = 0; vsid < VSIDS; vsid++) {
		struct smmuinv_stream_info info = { .size = sizeof(info) };

		if (!smmuinv_streams_find(streams, vsid, &info) &&
		    info.viommu_id == viommu_id)
			remove_stream(m, vsid);
	}
}

/* A second SMMU comes and goes; its vIOMMU goes after its streams. */
static void *plugger(void *arg)
{
	struct worker *w = arg;
	struct machine *m = w->machine;

	while (!atomic_load(&m->over)) {
		struct smmuinv_viommu_params params = {
			.size = sizeof(params),
			.host = everything,
		};
		int rc = smmuinv_mock_add_viommu(m->host.mock,
						 &params.viommu_id);

		if (!rc)
			rc = smmuinv_vsmmu_add_viommu(m->vsmmu, &params);
		if (rc)
			wrong(m, "an SMMU can be added", rc);
		atomic_store(&m->second_viommu, params.viommu_id);
		usleep(5000);
		atomic_store(&m->second_viommu, 0);
		do {
			remove_streams_on(m, params.viommu_id);
			rc = smmuinv_vsmmu_remove_viommu(m->vsmmu,
							 params.viommu_id);
		} while (rc == -EBUSY);
		if (!rc)
			rc = smmuinv_mock_destroy(m->host.mock,
						  params.viommu_id);
		if (rc)
			wrong(m, "nothing needs an SMMU that is removed", rc);
		atomic_fetch_add(&m->counts.viommus, 1);
	}
	return NULL;
}

static uint64_t sum(const uint64_t *numbers, size_t n)
{
	uint64_t total = 0;

	while (n--)
		total += numbers[n];
	return total;
}

/* Counters only grow. */
static void *reader(void *arg)
{
	struct worker *w = arg;
	struct machine *m = w->machine;
	struct smmuinv_counters last = { .size = sizeof(last) };
	const size_t n = (sizeof(last) - sizeof(last.size)) / sizeof(uint64_t);

	while (!atomic_load(&m->over)) {
		struct smmuinv_counters now = { .size = sizeof(now) };
		const uint64_t *a = &last.read;
		const uint64_t *b = &now.read;
		size_t i;

		if (smmuinv_vsmmu_counters(m->vsmmu, &now))
			wrong(m, "counters can be read", 0);
		for (i = 0; i < n; i++) {
			if (b[i] < a[i])
				wrong(m, "a counter only grows", (int)i);
		}
		last = now;
		atomic_fetch_add(&m->counts.readings, 1);
		sched_yield();
	}
	return NULL;
}

/* Atomic, because another thread may be reading: guests have no other manners.
 */
static void write_entry(struct smmuinv_command *entry,
			struct smmuinv_command command)
{
	__atomic_store_n(&entry->dw[0], command.dw[0], __ATOMIC_RELAXED);
	__atomic_store_n(&entry->dw[1], command.dw[1], __ATOMIC_RELAXED);
}

/* Mostly commands that name streams, the only ones that can meet a removal. */
static struct smmuinv_command guest_command(uint64_t *random)
{
	uint64_t vsid = draw(random, VSIDS + 2);

	switch (draw(random, 8)) {
	case 0:
		return tlbi_va((uint64_t)draw(random, 1u << 20) << 12);
	case 1:
		return cmd_sync();
	case 2:
		return raw(vsid << 32 | SMMUINV_CMD_CFGI_STE, 1);
	case 3:
		return raw(vsid << 32 | SMMUINV_CMD_CFGI_CD_ALL, 0);
	case 4:
	case 5:
		return raw(vsid << 32 | SMMUINV_CMD_ATC_INV,
			   SMMUINV_ATC_SIZE_ALL);
	default:
		return cfgi_cd((uint32_t)vsid);
	}
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct worker *w = opaque;

	(void)sync;
	change_streams(w->machine, &w->random);
	return 0;
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct worker *w = opaque;

	(void)sid;
	(void)leaf;
	change_streams(w->machine, &w->random);
	return 0;
}

static void on_cfgi_cd(void *opaque, uint32_t sid, uint32_t ssid, bool all)
{
	struct worker *w = opaque;

	(void)sid;
	(void)ssid;
	(void)all;
	note_cd(w->machine, &w->random);
}

static void consume(struct worker *w)
{
	struct machine *m = w->machine;
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = w->ring,
		.log2size = LOG2SIZE,
		.prod = w->prod,
		.cons = w->cons,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	int rc = smmuinv_queue_consume(w->queue, &ring, &progress);

	if (rc < 0)
		wrong(m, "a queue fails because of nothing", rc);
	w->cons = progress.cons;
	atomic_fetch_add(&m->counts.forwarded, progress.forwarded);
	atomic_fetch_add(&m->counts.vmm, progress.vmm);
	atomic_fetch_add(&m->counts.dropped, progress.dropped);
	if (!progress.cerror)
		return;
	/* As Linux does. */
	atomic_fetch_add(&m->counts.stops, 1);
	write_entry(&w->ring[w->cons % SIZE], cmd_sync());
}

static void *guest(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&w->machine->over)) {
		while ((w->prod - w->cons) % (2 * SIZE) < SIZE - 1 &&
		       draw(&w->random, SIZE / 2)) {
			write_entry(&w->ring[w->prod % SIZE],
				    guest_command(&w->random));
			w->prod = (w->prod + 1) % (2 * SIZE);
		}
		consume(w);
	}
	return NULL;
}

/* A guest whose other processor writes into the ring as it is consumed. */
static void *scribbler(void *arg)
{
	struct worker *w = arg;
	uint64_t random = 0x5eed;

	while (!atomic_load(&w->machine->over)) {
		struct smmuinv_command command = guest_command(&random);
		struct smmuinv_command *entry = &w->ring[draw(&random, SIZE)];

		if (!draw(&random, 32))
			command.dw[draw(&random, 2)] ^=
				htole64(UINT64_C(1) << draw(&random, 64));
		write_entry(entry, command);
		sched_yield();
	}
	return NULL;
}

/* A VMM's own loop beside the queues. */
static void *batcher(void *arg)
{
	struct worker *w = arg;
	struct smmuinv_batch *batch;
	uint32_t i;

	if (smmuinv_batch_new(w->machine->vsmmu, 64, &batch)) {
		wrong(w->machine, "a batch can be made", 0);
		return NULL;
	}
	while (!atomic_load(&w->machine->over)) {
		struct smmuinv_result result = { .size = sizeof(result) };

		for (i = 0; i < 32; i++) {
			struct smmuinv_command command =
				cfgi_cd(draw(&w->random, VSIDS));

			smmuinv_batch_add(batch, &command, NULL);
		}
		/* The record would grow for as long as the test runs. */
		smmuinv_mock_forget(w->machine->host.mock);
		if (smmuinv_batch_flush(batch, &result))
			wrong(w->machine, "a batch fails because of nothing",
			      0);
		atomic_fetch_add(&w->machine->counts.forwarded, result.sent);
		atomic_fetch_add(&w->machine->counts.dropped, result.dropped);
	}
	smmuinv_batch_free(batch);
	return NULL;
}

static void hang(int number)
{
	static const char text[] = "a thread hangs\n";
	ssize_t n;

	(void)number;
	n = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)n;
	_exit(1);
}

static unsigned int seconds_to_run(void)
{
	const char *text = getenv("SMMUINV_THREADS_SECONDS");

	return text ? (unsigned int)strtoul(text, NULL, 10) : SECONDS_DEFAULT;
}

static void start(struct machine *m, struct worker *w, unsigned int number,
		  void *(*run)(void *))
{
	w->machine = m;
	w->random = UINT64_C(0x9e3779b97f4a7c15) * (number + 1);
	assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
}

static void open_queue(struct machine *m, struct worker *w)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.sync = on_sync,
		.cfgi_ste = on_cfgi_ste,
		.cfgi_cd = on_cfgi_cd,
	};
	struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.opaque = w,
		.window = 32,
	};

	assert_int_equal(smmuinv_queue_new(m->vsmmu, &params, &w->queue), 0);
}

static void print_counts(struct counts *c, unsigned int seconds)
{
	printf("%u s: %lu streams added, %lu removed, %lu states set, "
	       "%lu already so; %lu SMMUs came and went; "
	       "%lu windows with %lu commands, %lu for no stream, %lu stops; "
	       "%lu CDs, %lu invalidations of everything, "
	       "%lu readings of the counters\n",
	       seconds, atomic_load(&c->adds), atomic_load(&c->removes),
	       atomic_load(&c->sets), atomic_load(&c->busy),
	       atomic_load(&c->viommus), atomic_load(&c->windows),
	       atomic_load(&c->commands), atomic_load(&c->dropped),
	       atomic_load(&c->stops), atomic_load(&c->cds),
	       atomic_load(&c->invalidations), atomic_load(&c->readings));
}

/* What all threads were told together, is what was counted. */
static void assert_counted(struct machine *m)
{
	struct smmuinv_counters now = { .size = sizeof(now) };
	struct counts *c = &m->counts;

	assert_int_equal(smmuinv_vsmmu_counters(m->vsmmu, &now), 0);
	assert_int_equal(now.forwarded, atomic_load(&c->forwarded));
	assert_int_equal(now.dropped, atomic_load(&c->dropped));
	assert_int_equal(now.vmm, atomic_load(&c->vmm));
	assert_int_equal(now.illegal, atomic_load(&c->stops));
	assert_int_equal(now.read,
			 now.forwarded + now.dropped + now.vmm + now.illegal);
	assert_int_equal(sum(now.by_opcode, SMMUINV_COUNTED_OPCODES), now.read);
	assert_int_equal(sum(now.by_rule, SMMUINV_COUNTED_RULES),
			 now.dropped + now.illegal);
	assert_true(now.ioctls <= atomic_load(&c->windows));
	assert_int_equal(now.retries, 0);
}

static void streams_come_and_go_while_queues_consume(void **state)
{
	void *(*const others[])(void *arg) = { changer, changer, batcher,
					       plugger, reader };
	enum { OTHERS = sizeof(others) / sizeof(others[0]) };
	struct machine *m = *state;
	struct worker *w = calloc(QUEUES + OTHERS, sizeof(*w));
	struct counts *c = &m->counts;
	unsigned int seconds = seconds_to_run();
	pthread_t scribbling;
	unsigned int i;

	assert_non_null(w);
	signal(SIGALRM, hang);
	alarm(seconds + HANG_SECONDS);
	for (i = 0; i < QUEUES; i++) {
		open_queue(m, &w[i]);
		start(m, &w[i], i, guest);
	}
	for (; i < QUEUES + OTHERS; i++)
		start(m, &w[i], i, others[i - QUEUES]);
	assert_int_equal(pthread_create(&scribbling, NULL, scribbler, &w[0]),
			 0);

	sleep(seconds);
	atomic_store(&m->over, true);
	pthread_join(scribbling, NULL);
	for (i = 0; i < QUEUES + OTHERS; i++)
		pthread_join(w[i].thread, NULL);
	for (i = 0; i < QUEUES; i++)
		smmuinv_queue_free(w[i].queue);
	alarm(0);
	free(w);

	print_counts(c, seconds);
	assert_int_equal(atomic_load(&c->wrong), 0);
	assert_int_equal(
		atomic_load(&c->adds) - atomic_load(&c->removes),
		smmuinv_streams_count(smmuinv_vsmmu_streams(m->vsmmu)));
	assert_true(atomic_load(&c->removes) && atomic_load(&c->windows) &&
		    atomic_load(&c->dropped) && atomic_load(&c->stops) &&
		    atomic_load(&c->cds) && atomic_load(&c->sets) &&
		    atomic_load(&c->viommus) && atomic_load(&c->readings) &&
		    atomic_load(&c->invalidations));
	assert_counted(m);
	assert_int_equal(smmuinv_mock_wedged(m->host.mock), 0);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct machine));
	machine_open(*state);
	return 0;
}

static int teardown(void **state)
{
	machine_close(*state);
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			streams_come_and_go_while_queues_consume, setup,
			teardown),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
