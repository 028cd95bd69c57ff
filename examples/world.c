/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "effect.h"
#include "faults.h"

/* The exit status of an example. */
enum {
	EXIT_DONE = 0,
	EXIT_LOST = 1,
	EXIT_USAGE = 2,
	EXIT_STOPPED = 3, /* the VMM has stopped the guest */
	EXIT_GIVEN_UP = 4 /* the guest has, after CERROR_ATC_INV_SYNC */
};

/* So often the guest tries its CMD_SYNC. */
#define GUEST_TRIES 3

#define INDEX_MASK (WORLD_ENTRIES - 1)
#define WRAP_MASK  (2 * WORLD_ENTRIES - 1)

#define PLAIN_SID 0x10
#define ATS_SID   0x18
#define NO_SID    0x1c /* an emulated device's */

/*
 * What the guest sees, and the host has: stage 1 with AArch64 tables, ATS,
 * 16-bit ASIDs and StreamIDs, ranges, the granule of 4K, 44-bit addresses.
 */
static const struct smmuinv_features features = {
	{ 0x0000140a, 0x00000010, 0, 0x00000400, 0, 0x00000014 }
};

/* What the guest writes: 16 bytes, or something that is no command. */
#define CFGI_STE(sid)    (uint64_t)(sid) << 32 | 0x03, 1
#define CFGI_ALL         0x04, 31
#define CFGI_CD(sid)     (uint64_t)(sid) << 32 | 0x05, 1
#define CFGI_CD_ALL(sid) (uint64_t)(sid) << 32 | 0x06, 0
#define NH_ALL           0x10, 0
#define NH_ASID(asid)    (uint64_t)(asid) << 48 | 0x11, 0
#define NH_VA(asid, va)  (uint64_t)(asid) << 48 | 0x12, (va) | 1
#define NH_VAA(va)       0x13, (va)
#define ATC_INV(sid, va) (uint64_t)(sid) << 32 | 0x40, (va) | 1
#define PREFETCH(sid)    (uint64_t)(sid) << 32 | 0x01, 0
#define SYNC             0x46, 0
#define RESERVED         0xff, 0
/* Two granules of 4K, times NUM + 1 (4.4.1.1). */
#define NH_RANGE(asid, va, num)                                \
	(uint64_t)(asid) << 48 | 1 << 20 | (num) << 12 | 0x12, \
		(va) | SMMUINV_TG_4K << 10 | 1
/* No commands: the guest writes CMDQ_PROD, and ATS_SID's STE in memory. */
#define DOORBELL        0, 0
#define STE_WITHOUT_ATS 0, 1

static const uint64_t script[][2] = {
	{ CFGI_STE(PLAIN_SID) },
	{ CFGI_STE(ATS_SID) },
	{ CFGI_CD(PLAIN_SID) },
	{ CFGI_CD(ATS_SID) },
	{ CFGI_CD(NO_SID) },
	{ SYNC },
	{ DOORBELL },
	{ NH_VA(5, 0x40000000) },
	{ NH_VA(5, 0x40001000) },
	{ NH_VA(5, 0x7fff2000) },
	{ NH_VA(7, 0x40000000) },
	{ ATC_INV(ATS_SID, 0x40000000) },
	{ ATC_INV(ATS_SID, 0x7fff2000) },
	{ SYNC },
	{ NH_ASID(6) },
	{ NH_VA(5, 0x12345000) },
	{ SYNC },
	{ DOORBELL },
	{ NH_VAA(0x50000000) },
	{ CFGI_CD_ALL(ATS_SID) },
	{ CFGI_STE(PLAIN_SID) },            /* as it was */
	{ ATC_INV(PLAIN_SID, 0x50000000) }, /* its ATS is off */
	{ PREFETCH(PLAIN_SID) },
	{ NH_RANGE(5, 0x60000000, 3) },
	{ ATC_INV(ATS_SID, 0x60000000) },
	{ SYNC },
	{ DOORBELL },
	{ NH_VA(9, 0x1000) },
	{ RESERVED }, /* CERROR_ILL; the guest writes a CMD_SYNC over it */
	{ NH_ALL },
	{ CFGI_ALL },
	{ SYNC },
	{ DOORBELL },
	{ STE_WITHOUT_ATS },
	{ CFGI_STE(ATS_SID) },
	{ SYNC },
	{ ATC_INV(ATS_SID, 0x40000000) }, /* the device would not answer */
	{ SYNC },
	{ DOORBELL },
};

struct options {
	struct faults faults;
	uint32_t kernel;
};

/* 1. What the VMM calls. */

struct world_stream *world_find(struct world *world, uint32_t sid)
{
	size_t i;

	for (i = 0; i < WORLD_STREAMS; i++) {
		if (world->streams[i].sid == sid && world->streams[i].plugged)
			return &world->streams[i];
	}
	return NULL;
}

int world_attach(struct world *world, uint32_t sid,
		 const struct smmuinv_ste *ste)
{
	static const char *const what[] = { "aborts", "bypasses",
					    "translates" };
	struct world_stream *stream = world_find(world, sid);
	struct smmuinv_command cds;

	if (!stream)
		return -ENODEV;
	if (world->attach.times) {
		world->attach.times--;
		return world->attach.error;
	}
	memcpy(stream->vste, ste->vste, sizeof(stream->vste));
	if (stream->ats && !ste->ats)
		(void)smmuinv_mock_hang(world->mock, world->viommu_id, sid,
					SMMUINV_MOCK_SILENT);
	stream->ats = ste->ats;
	stream->attached = true;
	smmuinv_command_cfgi_cd_all(&cds, sid);
	smmuinv_caches_execute(world->caches, &cds);
	printf("stream 0x%x %s%s\n", sid, what[ste->config],
	       ste->ats ? ", with ATS" : "");
	return 0;
}

/* A command for a device that is gone, or whose ATC is off, has no effect. */
static bool counts(struct world *world, const struct smmuinv_command *command)
{
	struct world_stream *stream = world_find(
		world,
		(uint32_t)smmuinv_command_get(command, SMMUINV_FIELD_STREAMID));

	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
		return stream;
	case SMMUINV_CMD_ATC_INV:
		return stream && stream->ats;
	default:
		return true;
	}
}

static void judge(struct world *world, const struct world_entry *entry)
{
	char text[SMMUINV_COMMAND_TEXT_MAX];
	size_t i;

	for (i = entry->first; i < entry->first + entry->count; i++) {
		if (!smmuinv_caches_has(world->caches, i) ||
		    !counts(world, &entry->command))
			continue;
		smmuinv_command_print(&entry->command, text, sizeof(text));
		printf("lost: %s\n", text);
		world->lost = true;
		return;
	}
}

void world_sync(struct world *world)
{
	uint32_t seen = 0;
	size_t i;

	for (i = 0; i < world->log_count && seen <= world->syncs; i++) {
		judge(world, &world->log[i]);
		seen += smmuinv_command_opcode(&world->log[i].command) ==
			SMMUINV_CMD_SYNC;
	}
	if (seen <= world->syncs) {
		printf("lost: a CMD_SYNC that the guest has not written\n");
		world->lost = true;
	}
	printf("CMD_SYNC %u is complete\n", world->syncs++);
}

void world_error(struct world *world, uint32_t cerror)
{
	world->cerror = cerror;
	printf("%s at %u\n", smmuinv_cerror_name(cerror), world->cons);
}

void world_pointers(struct world *world)
{
	printf("CMDQ_PROD %u contradicts CMDQ_CONS %u\n", world->prod,
	       world->cons);
}

void world_detach(struct world *world, uint32_t sid)
{
	struct world_stream *stream = world_find(world, sid);

	if (stream)
		stream->ats = stream->attached = false;
}

void world_unplug(struct world *world, uint32_t sid)
{
	struct world_stream *stream = world_find(world, sid);

	if (!stream)
		return;
	if (stream->attached) {
		printf("lost: what the SMMU has cached of stream 0x%x\n", sid);
		world->lost = true;
	}
	stream->plugged = false;
	(void)smmuinv_mock_destroy(world->mock, stream->vdevice_id);
	(void)smmuinv_mock_destroy(world->mock, stream->dev_id);
	printf("stream 0x%x is removed\n", sid);
}

void world_stop(struct world *world, int error)
{
	world->stopped = true;
	printf("the guest is stopped: %s\n", faults_errno_name(error));
}

/* 2. The guest. */

/* What the command has to remove is there before the VMM sees the command. */
static void log_command(struct world *world,
			const struct smmuinv_command *command)
{
	struct world_entry *entry = &world->log[world->log_count];
	int n;

	if (world->log_count++)
		entry->first = entry[-1].first + entry[-1].count;
	entry->command = *command;
	n = effect_fill(world->caches, &world->guest, command);
	if (n < 0) {
		fprintf(stderr, "the caches: %s\n", strerror(-n));
		exit(EXIT_LOST);
	}
	entry->count = (size_t)n;
}

/* If an STE may have changed, the stream's CDs have to go (4.3.1). */
static void log_cds(struct world *world, const struct smmuinv_command *command)
{
	uint64_t sid = smmuinv_command_get(command, SMMUINV_FIELD_STREAMID);
	uint8_t opcode = smmuinv_command_opcode(command);
	struct smmuinv_command cds;
	size_t i;

	for (i = 0; i < WORLD_STREAMS; i++) {
		uint32_t vsid = world->streams[i].sid;

		if (opcode != SMMUINV_CMD_CFGI_STE_RANGE &&
		    (opcode != SMMUINV_CMD_CFGI_STE || sid != vsid))
			continue;
		smmuinv_command_cfgi_cd_all(&cds, vsid);
		log_command(world, &cds);
	}
}

static void guest_writes(struct world *world, const uint64_t dw[2])
{
	const struct smmuinv_command command = { { htole64(dw[0]),
						   htole64(dw[1]) } };

	world->ring[world->prod & INDEX_MASK] = command;
	world->prod = (world->prod + 1) & WRAP_MASK;
	log_cds(world, &command);
	log_command(world, &command);
}

/* Stage 1, with one CD (5.2). */
static void guest_writes_ste(struct world *world, uint32_t sid, bool ats)
{
	const uint64_t v = 1, s1 = 5 << 1, s1contextptr = 0x1000;
	const uint64_t eats = (uint64_t)ats << 28;

	world->stes[sid][0] = htole64(v | s1 | s1contextptr);
	world->stes[sid][1] = htole64(eats);
}

/* As Linux does: the command that is illegal becomes a CMD_SYNC. */
static void guest_handles_ill(struct world *world)
{
	const struct smmuinv_command sync = { { htole64(SMMUINV_CMD_SYNC) } };
	struct smmuinv_command *at = &world->ring[world->cons & INDEX_MASK];
	size_t i = world->log_count;

	while (i-- && memcmp(&world->log[i].command, at, sizeof(*at)) != 0)
		;
	world->log[i].command = sync;
	*at = sync;
}

/* It rings until its commands are consumed. */
static int guest_rings(struct world *world, const struct world_vmm *vmm,
		       const struct options *options)
{
	uint32_t tries = 0;

	for (;;) {
		vmm->doorbell(world);
		if (world->stopped)
			return EXIT_STOPPED;
		if (!world->cerror && world->prod == world->cons)
			return EXIT_DONE;
		if (!world->cerror) {
			printf("lost: the VMM has left commands in the "
			       "queue\n");
			return EXIT_LOST;
		}
		if (world->cerror == SMMUINV_CERROR_ILL)
			guest_handles_ill(world);
		else if (++tries == GUEST_TRIES)
			return EXIT_GIVEN_UP;
		if (tries == options->faults.until)
			smmuinv_mock_hang(world->mock, world->viommu_id,
					  options->faults.silent,
					  SMMUINV_MOCK_ANSWERS);
		world->cerror = SMMUINV_CERROR_NONE;
	}
}

static void guest_writes_wrong_pointers(struct world *world,
					const struct world_vmm *vmm)
{
	world->prod = (world->cons + WORLD_ENTRIES + 3) & WRAP_MASK;
	vmm->doorbell(world);
	world->prod = world->cons = 0; /* the guest resets its queue */
}

static int guest_runs(struct world *world, const struct world_vmm *vmm,
		      const struct options *options)
{
	int status = EXIT_DONE;
	size_t i;

	guest_writes_ste(world, PLAIN_SID, false);
	guest_writes_ste(world, ATS_SID, true);
	for (i = 0; i < sizeof(script) / sizeof(script[0]); i++) {
		if (script[i][0]) {
			guest_writes(world, script[i]);
			continue;
		}
		if (script[i][1]) {
			guest_writes_ste(world, ATS_SID, false);
			continue;
		}
		status = guest_rings(world, vmm, options);
		if (status)
			break;
		if (world->bad_pointers)
			guest_writes_wrong_pointers(world, vmm);
		world->bad_pointers = false;
	}
	return world->lost ? EXIT_LOST : status;
}

/* 3. The host. */

static int plug(struct world *world, struct world_stream *stream, uint32_t sid)
{
	int rc = smmuinv_mock_add_device(world->mock, &stream->dev_id);

	stream->sid = sid;
	stream->plugged = true;
	return rc ? rc :
		    smmuinv_mock_vdevice_alloc(world->mock, world->viommu_id,
					       stream->dev_id, sid,
					       &stream->vdevice_id);
}

static int world_open(struct world *world, const struct options *options)
{
	struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = features,
		.kernel = options->kernel,
	};
	int rc = smmuinv_caches_new(4096, &world->caches);

	params.caches = world->caches;
	world->guest = world->host = features;
	world->attach.error = options->faults.attach;
	world->attach.times =
		options->faults.attach ? options->faults.times : 0;
	world->bad_pointers = options->faults.pointers;
	if (!rc)
		rc = smmuinv_mock_new(&params, &world->mock);
	if (!rc)
		rc = smmuinv_mock_add_viommu(world->mock, &world->viommu_id);
	if (!rc)
		rc = plug(world, &world->streams[0], PLAIN_SID);
	if (!rc)
		rc = plug(world, &world->streams[1], ATS_SID);
	return rc;
}

static void world_close(struct world *world)
{
	smmuinv_mock_free(world->mock);
	smmuinv_caches_free(world->caches);
}

static int run(struct world *world, const struct world_vmm *vmm,
	       const struct options *options)
{
	int rc = vmm->open(world);
	size_t i;

	for (i = 0; i < WORLD_STREAMS && !rc && vmm->plug; i++)
		rc = vmm->plug(world, &world->streams[i]);
	if (!rc)
		rc = faults_inject(&options->faults, world->mock,
				   world->viommu_id);
	if (rc) {
		fprintf(stderr, "%s\n", strerror(-rc));
		return EXIT_LOST;
	}
	rc = guest_runs(world, vmm, options);
	printf("%u CMD_SYNCs are complete, %zu commands executed in %u calls\n",
	       world->syncs, smmuinv_mock_executed(world->mock, NULL),
	       (unsigned int)smmuinv_mock_calls(world->mock));
	if (smmuinv_mock_faults_left(world->mock))
		printf("%zu faults did not happen\n",
		       smmuinv_mock_faults_left(world->mock));
	return rc;
}

static void usage(FILE *to, const char *name)
{
	fprintf(to,
		"usage: %s [options]\n\n"
		"A guest writes commands. The host is the mock.\n\n"
		"  --way NAME      of the VMM, if it has several\n"
		"  --kernel N      which kernel, enum smmuinv_mock_kernel\n"
		"  --work-max N    struct smmuinv_queue_params.work_max\n"
		"  --fault FAULT   what goes wrong:\n%s\n"
		"exit status: 0 the guest is done; 1 an invalidation was "
		"lost;\n"
		"2 wrong usage; 3 the VMM has stopped the guest; 4 the guest\n"
		"has given up, after CERROR_ATC_INV_SYNC\n",
		name, faults_help);
}

static bool parse(int argc, char **argv, struct world *world,
		  struct options *options)
{
	static const struct option longs[] = {
		{ "way", required_argument, NULL, 'w' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "work-max", required_argument, NULL, 'm' },
		{ "fault", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int code;

	while ((code = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		switch (code) {
		case 'w':
			world->way = optarg;
			break;
		case 'k':
			options->kernel = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case 'm':
			world->work_max = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case 'f':
			if (!faults_parse(&options->faults, optarg))
				return false;
			break;
		case 'h':
			usage(stdout, argv[0]);
			exit(EXIT_DONE);
		default:
			return false;
		}
	}
	return optind == argc;
}

int world_main(int argc, char **argv, const struct world_vmm *vmm)
{
	static struct world world;
	struct options options = { 0 };
	int status = EXIT_LOST;
	int rc;

	faults_init(&options.faults);
	if (!parse(argc, argv, &world, &options)) {
		usage(stderr, argv[0]);
		return EXIT_USAGE;
	}
	rc = world_open(&world, &options);
	if (rc)
		fprintf(stderr, "the mock: %s\n", strerror(-rc));
	else
		status = run(&world, vmm, &options);
	vmm->close(&world);
	world_close(&world);
	return status;
}
