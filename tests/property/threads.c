/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom. Streams come, go, move and change, and physical SMMUs
 * come and go, while queues consume, everything is invalidated and counters are
 * read, each on its own thread. That one is for ThreadSanitizer, and short
 * elsewhere: SMMUINV_THREADS_SECONDS says how long. In the others a call to the
 * host stands still at a gate, and the test sees what does not wait for it.
 */
#include "support.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vm.h"

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
	bool own;       /* the VMM made it */
};

/* A host that watches over its vDEVICEs. The mock is its kernel. */
struct host {
	struct smmuinv_mock *mock;
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
	atomic_ulong owned; /* of @adds, with a vDEVICE of the VMM */
	atomic_ulong found;
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
	/* Whoever adds, changes or removes a vSID is alone with it. */
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

/* The vDEVICEs that a call names are there, and in use until it ends. */
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
		host->vdevices[vsid].users += (uint32_t)change;
	}
	pthread_mutex_unlock(&host->lock);
}

static void note_vdevice(struct machine *m, uint32_t vsid, uint32_t id,
			 bool own)
{
	pthread_mutex_lock(&m->host.lock);
	if (m->host.vdevices[vsid].id)
		wrong(m, "a vSID has one vDEVICE", (int)vsid);
	m->host.vdevices[vsid].id = id;
	m->host.vdevices[vsid].own = own;
	pthread_mutex_unlock(&m->host.lock);
}

/* A device is busy while it has a vDEVICE. */
static int host_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	struct machine *m = context;
	int rc = smmuinv_mock_vdevice_alloc(m->host.mock, viommu_id, dev_id,
					    virt_id, vdevice_id);

	if ((rc && rc != -EEXIST) || virt_id >= VSIDS)
		wrong(m, "a vDEVICE is made on a vIOMMU that is there", rc);
	else if (!rc)
		note_vdevice(m, (uint32_t)virt_id, *vdevice_id, false);
	return rc;
}

/* By the library, or by the VMM. */
static int destroy_vdevice(struct machine *m, uint32_t id, bool own)
{
	uint32_t vsid = 0;
	int rc;

	pthread_mutex_lock(&m->host.lock);
	while (vsid < VSIDS && m->host.vdevices[vsid].id != id)
		vsid++;
	if (vsid == VSIDS)
		wrong(m, "a vDEVICE is destroyed once", (int)id);
	else if (m->host.vdevices[vsid].users)
		wrong(m, "no call that names it is under way", (int)vsid);
	else if (m->host.vdevices[vsid].own != own)
		wrong(m, "whoever made it destroys it", (int)vsid);
	if (vsid < VSIDS)
		m->host.vdevices[vsid].id = 0;
	/* With the lock, or its vSID could get another before. */
	rc = smmuinv_mock_destroy(m->host.mock, id);
	pthread_mutex_unlock(&m->host.lock);
	if (rc)
		wrong(m, "a vDEVICE can be destroyed", rc);
	return rc;
}

static int host_destroy(void *context, uint32_t id)
{
	return destroy_vdevice(context, id, false);
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
	rc = smmuinv_mock_invalidate(m->host.mock, viommu_id, commands, count);
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
	assert_int_equal(
		smmuinv_mock_add_viommu(m->host.mock, &vsmmu.viommu_id), 0);
	for (i = 0; i < DEVICES; i++)
		assert_int_equal(
			smmuinv_mock_add_device(m->host.mock, &m->devices[i]),
			0);
	assert_int_equal(smmuinv_backend_new(&ops, m, &m->backend), 0);
	m->first_viommu = vsmmu.viommu_id;
	vsmmu.backend = m->backend;
	assert_int_equal(smmuinv_vsmmu_new(&vsmmu, &m->vsmmu, NULL), 0);
}

static bool machine_has_stream(struct machine *m, uint32_t vsid)
{
	return !smmuinv_vsmmu_find_stream(m->vsmmu, vsid, NULL);
}

/* The VMM's vDEVICEs go last. Then only its other objects are left. */
static void machine_close(struct machine *m)
{
	unsigned int i;

	smmuinv_vsmmu_free(m->vsmmu);
	for (i = 0; i < VSIDS; i++) {
		if (m->host.vdevices[i].id)
			destroy_vdevice(m, m->host.vdevices[i].id, true);
	}
	assert_int_equal(atomic_load(&m->counts.wrong), 0);
	assert_int_equal(smmuinv_mock_objects(m->host.mock), DEVICES + 1);
	smmuinv_backend_free(m->backend);
	smmuinv_mock_free(m->host.mock);
	pthread_mutex_destroy(&m->host.lock);
	for (i = 0; i < VSIDS; i++)
		pthread_mutex_destroy(&m->change[i]);
}

/* For a device of the VMM's choice. 0 if the device or the vIOMMU is not free.
 */
static uint32_t own_vdevice(struct machine *m, uint32_t viommu_id,
			    uint32_t vsid, uint64_t *random)
{
	uint32_t id;

	if (draw(random, 2) || machine_has_stream(m, vsid) ||
	    smmuinv_mock_vdevice_alloc(m->host.mock, viommu_id,
				       m->devices[draw(random, DEVICES)], vsid,
				       &id))
		return 0;
	note_vdevice(m, vsid, id, true);
	return id;
}

/* On either of the SMMUs, if there are two. With the vSID locked. */
static int try_add_stream(struct machine *m, uint32_t vsid, uint64_t *random)
{
	uint32_t second = atomic_load(&m->second_viommu);
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.viommu_id =
			second && draw(random, 2) ? second : m->first_viommu,
		.dev_id = m->devices[draw(random, DEVICES)],
	};
	int rc;

	params.vdevice_id = own_vdevice(m, params.viommu_id, vsid, random);
	rc = smmuinv_vsmmu_add_stream(m->vsmmu, &params);
	if (rc && params.vdevice_id)
		destroy_vdevice(m, params.vdevice_id, true);
	atomic_fetch_add(&m->counts.owned, !rc && params.vdevice_id);
	return rc;
}

static void add_stream(struct machine *m, uint64_t *random)
{
	uint32_t vsid = draw(random, VSIDS);
	int rc;

	pthread_mutex_lock(&m->change[vsid]);
	rc = try_add_stream(m, vsid, random);
	pthread_mutex_unlock(&m->change[vsid]);
	if (!rc)
		atomic_fetch_add(&m->counts.adds, 1);
	else if (rc == -EEXIST || rc == -EXDEV)
		atomic_fetch_add(&m->counts.busy, 1);
	else
		wrong(m, "a stream is added, or there already", rc);
}

static void set_ats(struct machine *m, uint64_t *random)
{
	uint32_t vsid = draw(random, VSIDS);
	int rc;

	pthread_mutex_lock(&m->change[vsid]);
	rc = smmuinv_vsmmu_set_ats(m->vsmmu, vsid, draw(random, 3) != 0);
	pthread_mutex_unlock(&m->change[vsid]);
	if (rc && rc != -ENOENT)
		wrong(m, "ATS is set, or there is no such stream", rc);
	atomic_fetch_add(&m->counts.sets, !rc);
}

/* With the vSID locked. */
static int try_remove_stream(struct machine *m, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };
	int rc = smmuinv_vsmmu_find_stream(m->vsmmu, vsid, &info);

	if (rc)
		return rc;
	rc = smmuinv_vsmmu_remove_stream(m->vsmmu, vsid);
	if (!rc && machine_has_stream(m, vsid))
		wrong(m, "a stream that is removed is not there", (int)vsid);
	if (!rc && !info.made)
		destroy_vdevice(m, info.vdevice_id, true);
	return rc;
}

static void remove_stream(struct machine *m, uint32_t vsid)
{
	int rc;

	pthread_mutex_lock(&m->change[vsid]);
	rc = try_remove_stream(m, vsid);
	pthread_mutex_unlock(&m->change[vsid]);
	if (!rc)
		atomic_fetch_add(&m->counts.removes, 1);
	else if (rc == -ENOENT)
		atomic_fetch_add(&m->counts.busy, 1);
	else
		wrong(m, "a stream is removed, or not there", rc);
}

static void invalidate(struct machine *m, uint64_t *random)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	int rc = draw(random, 4) ?
			 smmuinv_vsmmu_invalidate_all(m->vsmmu, &result) :
			 smmuinv_vsmmu_reset(m->vsmmu, &result);

	if (rc || result.fault.source)
		wrong(m, "everything can be invalidated", rc);
	atomic_fetch_add(&m->counts.invalidations, 1);
}

static void find_stream(struct machine *m, uint64_t *random)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };
	uint32_t vsid = draw(random, VSIDS);
	int rc = smmuinv_vsmmu_find_stream(m->vsmmu, vsid, &info);

	if (rc && rc != -ENOENT)
		wrong(m, "a stream is there or not", rc);
	if (!rc && (info.vsid != vsid || !info.vdevice_id || info.owes))
		wrong(m, "what is found is what was asked for", (int)vsid);
	atomic_fetch_add(&m->counts.found, !rc);
}

static void change_streams(struct machine *m, uint64_t *random)
{
	switch (draw(random, 10)) {
	case 0:
	case 1:
		add_stream(m, random);
		return;
	case 2:
		remove_stream(m, draw(random, VSIDS));
		return;
	case 3:
	case 4:
	case 5:
		set_ats(m, random);
		return;
	case 6:
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
	uint32_t vsid;

	for (vsid = 0; vsid < VSIDS; vsid++) {
		struct smmuinv_stream_info info = { .size = sizeof(info) };

		if (!smmuinv_vsmmu_find_stream(m->vsmmu, vsid, &info) &&
		    info.viommu_id == viommu_id)
			remove_stream(m, vsid);
	}
}

/* A vDEVICE of the VMM may be in the making there. */
static int destroy_viommu(struct machine *m, uint32_t id)
{
	int rc = smmuinv_mock_destroy(m->host.mock, id);

	while (rc == -EBUSY) {
		sched_yield();
		rc = smmuinv_mock_destroy(m->host.mock, id);
	}
	return rc;
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
			rc = smmuinv_vsmmu_add_viommu(m->vsmmu, &params, NULL);
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
			rc = destroy_viommu(m, params.viommu_id);
		if (rc)
			wrong(m, "an SMMU that is removed is not used", rc);
		atomic_fetch_add(&m->counts.viommus, 1);
	}
	return NULL;
}

/* Counters only grow. */
static void *reader(void *arg)
{
	struct worker *w = arg;
	struct machine *m = w->machine;
	struct smmuinv_counters last = { .size = sizeof(last) };

	while (!atomic_load(&m->over)) {
		struct smmuinv_counters now = { .size = sizeof(now) };
		uint64_t a[sizeof(now) / sizeof(uint64_t)];
		uint64_t b[sizeof(now) / sizeof(uint64_t)];
		size_t i;

		if (smmuinv_vsmmu_counters(m->vsmmu, &now))
			wrong(m, "counters can be read", 0);
		memcpy(a, &last, sizeof(a));
		memcpy(b, &now, sizeof(b));
		for (i = 0; i < ARRAY_SIZE(a); i++) {
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
		return cfgi_ste((uint32_t)vsid);
	case 3:
		return cfgi_cd_all((uint32_t)vsid);
	case 4:
	case 5:
		return atc_inv_all((uint32_t)vsid);
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
	return draw(&w->random, 2) ? SMMUINV_STE_ATTACHED : 0;
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
		atomic_fetch_add(&w->machine->counts.forwarded,
				 result.forwarded);
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
	printf("%u s: %lu streams added, %lu removed, ATS set %lu times, "
	       "%lu already so; %lu SMMUs came and went; "
	       "%lu windows with %lu commands, %lu for no stream, %lu stops; "
	       "%lu with a vDEVICE of the VMM, %lu look-ups, "
	       "%lu invalidations of everything, "
	       "%lu readings of the counters\n",
	       seconds, atomic_load(&c->adds), atomic_load(&c->removes),
	       atomic_load(&c->sets), atomic_load(&c->busy),
	       atomic_load(&c->viommus), atomic_load(&c->windows),
	       atomic_load(&c->commands), atomic_load(&c->dropped),
	       atomic_load(&c->stops), atomic_load(&c->owned),
	       atomic_load(&c->found), atomic_load(&c->invalidations),
	       atomic_load(&c->readings));
}

/* What all threads were told adds up to what was counted. */
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
	assert_int_equal(now.ioctls, atomic_load(&c->windows));
	assert_int_equal(now.host_commands, atomic_load(&c->commands));
	assert_int_equal(now.failed | now.retries | now.timeouts |
				 now.replaced | now.repeats,
			 0);
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
	unsigned int streams = 0;
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
	for (i = 0; i < VSIDS; i++)
		streams += machine_has_stream(m, i);
	assert_int_equal(atomic_load(&c->adds) - atomic_load(&c->removes),
			 streams);
	assert_true(atomic_load(&c->removes) && atomic_load(&c->windows) &&
		    atomic_load(&c->dropped) && atomic_load(&c->stops) &&
		    atomic_load(&c->owned) && atomic_load(&c->sets) &&
		    atomic_load(&c->found) && atomic_load(&c->viommus) &&
		    atomic_load(&c->readings) &&
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

#define OTHER    0x20 /* a stream on the second SMMU */
#define ANOTHER  0x30
#define RIG_LOG2 3

/*
 * Calls to an SMMU stand still at its gate while it is closed, in the order in
 * which they came, until they are let through.
 */
struct gate {
	bool closed;
	unsigned int came;
	unsigned int may_pass;
};

struct rig {
	struct vm vm;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct gate gates[2];
	atomic_uint passed; /* calls */
};

static int pass_gate(struct vm *vm, uint32_t which,
		     const struct smmuinv_command *commands, uint32_t *count)
{
	struct rig *rig = vm->hook_data;
	struct gate *gate = &rig->gates[which];
	unsigned int turn;

	pthread_mutex_lock(&rig->lock);
	turn = gate->came++;
	pthread_cond_broadcast(&rig->moved);
	while (gate->closed && turn >= gate->may_pass)
		pthread_cond_wait(&rig->moved, &rig->lock);
	pthread_mutex_unlock(&rig->lock);
	atomic_fetch_add(&rig->passed, 1);
	return vm_pass(vm, which, commands, count);
}

static void gate_close(struct rig *rig, uint32_t which)
{
	pthread_mutex_lock(&rig->lock);
	rig->gates[which] = (struct gate){ .closed = true };
	pthread_mutex_unlock(&rig->lock);
}

/* Until so many calls have come. */
static void gate_await(struct rig *rig, uint32_t which, unsigned int calls)
{
	pthread_mutex_lock(&rig->lock);
	while (rig->gates[which].came < calls)
		pthread_cond_wait(&rig->moved, &rig->lock);
	pthread_mutex_unlock(&rig->lock);
}

/* One more may pass; or all. */
static void gate_let(struct rig *rig, uint32_t which, bool all)
{
	pthread_mutex_lock(&rig->lock);
	rig->gates[which].may_pass++;
	rig->gates[which].closed &= !all;
	pthread_cond_broadcast(&rig->moved);
	pthread_mutex_unlock(&rig->lock);
}

static struct rig *rig_open(const struct vm_options *options)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	signal(SIGALRM, hang);
	alarm(HANG_SECONDS);
	assert_int_equal(pthread_mutex_init(&rig->lock, NULL), 0);
	assert_int_equal(pthread_cond_init(&rig->moved, NULL), 0);
	vm_open_with(&rig->vm, options);
	rig->vm.hook = pass_gate;
	rig->vm.hook_data = rig;
	return rig;
}

static void rig_close(struct rig *rig)
{
	vm_close(&rig->vm);
	pthread_cond_destroy(&rig->moved);
	pthread_mutex_destroy(&rig->lock);
	free(rig);
	alarm(0);
}

/* A queue on a thread of its own. */
struct run {
	struct vm_queue q; /* first */
	pthread_t thread;
	atomic_bool *over; /* until then, again and again; NULL: once */
	atomic_uint syncs;
	int rc;
};

static int count_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct run *run = opaque;

	(void)sync;
	atomic_fetch_add(&run->syncs, 1);
	return 0;
}

static const struct smmuinv_queue_ops counting_ops = {
	.size = sizeof(counting_ops),
	.sync = count_sync,
};

static void *run_queue(void *arg)
{
	struct run *run = arg;

	do {
		run->rc = vm_consume(&run->q);
		if (run->over)
			run->q.cons = 0;
	} while (run->over && !atomic_load(run->over));
	return NULL;
}

/* These commands and a CMD_SYNC. */
static void run_open(struct run *run, struct rig *rig,
		     const struct smmuinv_command *commands, uint32_t count)
{
	const struct vm_queue_options options = {
		.ops = &counting_ops,
		.way = VM_IN_PLACE,
		.log2size = RIG_LOG2,
	};
	uint32_t i;

	memset(run, 0, sizeof(*run));
	vm_queue_open(&run->q, rig->vm.vsmmu, &options);
	for (i = 0; i < count; i++)
		vm_write(&run->q, commands[i]);
	vm_write(&run->q, cmd_sync());
}

static void run_start(struct run *run)
{
	assert_int_equal(pthread_create(&run->thread, NULL, run_queue, run), 0);
}

static void run_join(struct run *run)
{
	pthread_join(run->thread, NULL);
}

/* A stream is taken away on a thread of its own. */
struct removal {
	struct vm *vm;
	uint32_t vsid;
	pthread_t thread;
	atomic_bool done;
	int rc;
};

static void *run_removal(void *arg)
{
	struct removal *r = arg;

	r->rc = smmuinv_vsmmu_remove_stream(r->vm->vsmmu, r->vsid);
	atomic_store(&r->done, true);
	return NULL;
}

/* It has begun when the stream is no longer there. */
static void removal_start(struct removal *r, struct vm *vm, uint32_t vsid)
{
	*r = (struct removal){ .vm = vm, .vsid = vsid };
	assert_int_equal(pthread_create(&r->thread, NULL, run_removal, r), 0);
	while (vm_has_stream(vm, vsid))
		sched_yield();
}

static void removal_join(struct removal *r)
{
	pthread_join(r->thread, NULL);
	assert_int_equal(r->rc, 0);
}

static void a_removal_waits_for_calls_before_it_and_for_none_after(void **state)
{
	const struct vm_options options = { 0 };
	const struct smmuinv_command command = tlbi_va(0x1000);
	struct rig *rig = rig_open(&options);
	struct removal removal;
	struct run before, after;

	(void)state;
	run_open(&before, rig, &command, 1);
	run_open(&after, rig, &command, 1);
	gate_close(rig, 0);
	run_start(&before);
	gate_await(rig, 0, 1);
	removal_start(&removal, &rig->vm, VM_VSID);
	run_start(&after);
	gate_await(rig, 0, 2);
	/* Both stand still, and so it waits. */
	usleep(10000);
	assert_false(atomic_load(&removal.done));
	assert_int_equal(rig->vm.vdevices, 1);
	gate_let(rig, 0, false);
	removal_join(&removal);
	assert_int_equal(rig->vm.vdevices, 0);
	assert_int_equal(atomic_load(&rig->passed), 1);
	gate_let(rig, 0, true);
	run_join(&before);
	run_join(&after);
	assert_int_equal(atomic_load(&after.syncs), 1);
	vm_queue_close(&before.q);
	vm_queue_close(&after.q);
	rig_close(rig);
}

static void a_removal_comes_through_while_queues_never_rest(void **state)
{
	const struct vm_options options = { 0 };
	const struct smmuinv_command commands[] = {
		cfgi_cd(VM_VSID),
		tlbi_va(0x1000),
		atc_inv_all(VM_VSID),
	};
	struct rig *rig = rig_open(&options);
	size_t removals = test_iterations(200);
	struct run runs[QUEUES];
	atomic_bool over = false;
	size_t i;

	(void)state;
	for (i = 0; i < QUEUES; i++) {
		run_open(&runs[i], rig, commands, ARRAY_SIZE(commands));
		runs[i].over = &over;
		run_start(&runs[i]);
	}
	for (i = 0; i < removals; i++) {
		unsigned int passed = atomic_load(&rig->passed);

		while (atomic_load(&rig->passed) == passed)
			sched_yield();
		vm_unplug(&rig->vm, VM_VSID);
		vm_plug(&rig->vm, VM_VSID);
	}
	atomic_store(&over, true);
	for (i = 0; i < QUEUES; i++) {
		run_join(&runs[i]);
		assert_int_equal(runs[i].rc, ARRAY_SIZE(commands) + 1);
		assert_true(atomic_load(&runs[i].syncs) > 0);
		vm_queue_close(&runs[i].q);
	}
	rig_close(rig);
}

/* All that does not need the first SMMU. */
static void use_the_rest(struct rig *rig)
{
	const struct smmuinv_command commands[] = {
		cfgi_cd(OTHER),
		atc_inv_all(OTHER),
	};
	struct vm *vm = &rig->vm;
	struct run run;

	assert_int_equal(vm_counters(vm).ioctls, 0);
	assert_true(vm_stream(vm, VM_VSID).ats);
	vm_set_ats(vm, VM_VSID, false);
	vm_set_ats(vm, VM_VSID, true);
	run_open(&run, rig, commands, ARRAY_SIZE(commands));
	run_start(&run);
	run_join(&run);
	assert_int_equal(run.rc, ARRAY_SIZE(commands) + 1);
	assert_int_equal(atomic_load(&run.syncs), 1);
	assert_int_equal(vm_executed(vm, 1), ARRAY_SIZE(commands));
	vm_queue_close(&run.q);
	/* Also on the SMMU that hangs. */
	vm_plug_on(vm, 0, ANOTHER);
	vm_plug_on(vm, 1, ANOTHER + 1);
	vm_unplug(vm, ANOTHER + 1);
	vm_unplug(vm, OTHER);
	assert_int_equal(
		smmuinv_vsmmu_remove_viommu(vm->vsmmu, vm->smmu[1].viommu), 0);
}

/* Its call does not return. */
static void an_smmu_that_hangs_stalls_only_what_needs_it(void **state)
{
	const struct vm_options options = { .smmus = 2 };
	const struct smmuinv_command command = cfgi_cd(VM_VSID);
	struct rig *rig = rig_open(&options);
	struct removal removal;
	struct run run;

	(void)state;
	vm_plug_on(&rig->vm, 1, OTHER);
	run_open(&run, rig, &command, 1);
	gate_close(rig, 0);
	run_start(&run);
	gate_await(rig, 0, 1);
	use_the_rest(rig);
	/* A removal there waits, and stalls nothing either. */
	removal_start(&removal, &rig->vm, VM_VSID);
	assert_true(vm_has_stream(&rig->vm, ANOTHER));
	usleep(10000);
	assert_false(atomic_load(&removal.done));
	assert_int_equal(atomic_load(&run.syncs), 0);
	gate_let(rig, 0, true);
	removal_join(&removal);
	run_join(&run);
	assert_int_equal(run.rc, 2);
	vm_queue_close(&run.q);
	rig_close(rig);
}

/* A device caches a stale page as soon as its ATS is on. */
static int cache_page(struct smmuinv_caches *caches)
{
	const struct smmuinv_cache_entry entry = {
		.size = sizeof(entry),
		.kind = SMMUINV_CACHED_ATC,
		.address = 0x5000,
		.length = 4096,
		.sid = VM_VSID,
	};

	return smmuinv_caches_insert(caches, &entry);
}

/* TLBI, CMD_SYNC, ATC_INV, CMD_SYNC: what a guest's unmap writes. */
static void run_open_unmap(struct run *run, struct rig *rig)
{
	const struct smmuinv_command commands[] = {
		tlbi_va(0x5000),
		cmd_sync(),
		atc_inv(VM_VSID, 0x5000),
	};

	run_open(run, rig, commands, ARRAY_SIZE(commands));
}

/*
 * A queue is between reading an ATC_INV and its CMD_SYNC while ATS goes on: the
 * VMM sets it, then attaches, and the device caches from a stale TLB.
 */
static void an_atc_inv_is_not_lost_if_ats_goes_on_during_a_call(void **state)
{
	struct vm_options options = { 0 };
	struct smmuinv_caches *caches;
	struct rig *rig;
	struct run run;
	int entry;

	(void)state;
	assert_int_equal(smmuinv_caches_new(4, &caches), 0);
	options.smmu[0].caches = caches;
	rig = rig_open(&options);
	vm_set_ats(&rig->vm, VM_VSID, false);
	run_open_unmap(&run, rig);
	gate_close(rig, 0);
	run_start(&run);
	gate_await(rig, 0, 1);
	vm_set_ats(&rig->vm, VM_VSID, true);
	entry = cache_page(caches);
	gate_let(rig, 0, true);
	run_join(&run);
	assert_int_equal(run.rc, 4);
	assert_int_equal(atomic_load(&run.syncs), 2);
	assert_false(smmuinv_caches_has(caches, (size_t)entry));
	vm_queue_close(&run.q);
	rig_close(rig);
	smmuinv_caches_free(caches);
}

struct attaching {
	struct vm_queue q; /* first */
	struct rig *rig;
	struct smmuinv_caches *caches;
	int entry;
};

/* Another queue is consumed between the attachment and the callback's end. */
static int attach_with_ats(void *opaque, uint32_t sid, bool leaf)
{
	struct attaching *a = opaque;
	struct run run;

	(void)leaf;
	vm_set_ats(&a->rig->vm, sid, true);
	a->entry = cache_page(a->caches);
	run_open_unmap(&run, a->rig);
	run_start(&run);
	run_join(&run);
	assert_int_equal(run.rc, 4);
	vm_queue_close(&run.q);
	return SMMUINV_STE_ATTACHED;
}

/* ATS stays on, or goes on, with the new STE; without a moment of off. */
static void an_atc_inv_is_not_lost_over_a_new_attachment(void **state)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = attach_with_ats,
	};
	const struct vm_queue_options queue = {
		.ops = &ops,
		.way = VM_IN_PLACE,
		.log2size = RIG_LOG2,
	};
	struct vm_options options = { 0 };
	struct attaching a;
	unsigned int was_on;

	(void)state;
	for (was_on = 0; was_on < 2; was_on++) {
		memset(&a, 0, sizeof(a));
		assert_int_equal(smmuinv_caches_new(4, &a.caches), 0);
		options.smmu[0].caches = a.caches;
		a.rig = rig_open(&options);
		vm_set_ats(&a.rig->vm, VM_VSID, was_on);
		vm_queue_open(&a.q, a.rig->vm.vsmmu, &queue);
		vm_write(&a.q, cfgi_ste(VM_VSID));
		vm_write(&a.q, cmd_sync());
		assert_int_equal(vm_consume(&a.q), 2);
		assert_false(smmuinv_caches_has(a.caches, (size_t)a.entry));
		vm_queue_close(&a.q);
		rig_close(a.rig);
		smmuinv_caches_free(a.caches);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			streams_come_and_go_while_queues_consume, setup,
			teardown),
		cmocka_unit_test(
			a_removal_waits_for_calls_before_it_and_for_none_after),
		cmocka_unit_test(
			a_removal_comes_through_while_queues_never_rest),
		cmocka_unit_test(an_smmu_that_hangs_stalls_only_what_needs_it),
		cmocka_unit_test(
			an_atc_inv_is_not_lost_if_ats_goes_on_during_a_call),
		cmocka_unit_test(an_atc_inv_is_not_lost_over_a_new_attachment),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
