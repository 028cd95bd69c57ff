/* SPDX-License-Identifier: MIT */
/*
 * Replays a guest's Command queue from a file: a small VMM loop around
 * smmuinv_queue_consume(). It writes the commands into a ring as the guest did,
 * rings the doorbell, handles queue errors as Linux does, and counts.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <smmuinv/smmuinv.h>

#include "host.h"
#include "tally.h"

enum exit_status { EXIT_DIFFERENT = 1, EXIT_USAGE = 2, EXIT_HOST = 3 };

struct options {
	const char *file;
	bool iommufd;
	const char *device;
	struct smmuinv_features guest;
	struct smmuinv_features host;
	bool host_given;
	bool ats;
	bool strict;
	bool json;
	bool list;
	uint32_t log2size;
	uint32_t doorbell;
	const char *streams; /* NULL: every vSID that the file names */
};

/* QEMU's nested SMMUv3: stages 1 and 2, 16-bit ASIDs, RIL, all granules. */
static const struct smmuinv_features default_features = {
	{ 0x0d44101b, 0x02730010, 0, 0x00001414, 0, 0x00000074 }
};

static const char help[] =
	"usage: replay [options] FILE\n"
	"\n"
	"Replays a guest's Command queue, FILE, 16 bytes a command, through\n"
	"libsmmuinv, and prints what became of each opcode.\n"
	"\n"
	"  --backend mock|iommufd  who executes (default mock)\n"
	"  --device CDEV           the VFIO device for iommufd\n"
	"                          (default /dev/vfio/devices/vfio0)\n"
	"  --idr R0,R1,R2,R3,R4,R5 SMMU_IDR0 to 5 that the guest saw\n"
	"                          (default QEMU's nested SMMUv3)\n"
	"  --host-idr R0,...,R5    those of the mock's SMMU (default the guest's)\n"
	"  --ats                   the host's devices may use ATS\n"
	"  --strict                a RES0 bit that is set is illegal\n"
	"  --streams V,V,...|none  the vSIDs that are devices of the host\n"
	"                          (default all that FILE names)\n"
	"  --log2size N            size of the ring, 0 to 19 (default 16)\n"
	"  --doorbell N            the guest writes N commands at a time\n"
	"                          (default as many as fit)\n"
	"  --list                  a line for each command and its fate\n"
	"  --json                  one JSON object instead of a table\n"
	"  --help\n"
	"\n"
	"exit status: 0 done; 1 the mock did not execute exactly the forwarded\n"
	"commands; 2 wrong usage; 3 the host failed\n";

/* One run. The callbacks get it as their opaque pointer. */
struct replay {
	const struct options *options;
	struct host host;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;

	struct smmuinv_command *file; /* what the guest wrote */
	size_t file_count;
	size_t written; /* of them, in the ring or consumed */
	size_t position; /* of them, consumed */

	struct smmuinv_command *ring;
	bool *replaced; /* ring entries that the guest has overwritten */
	uint32_t prod;
	uint32_t cons;

	struct tally tally;
	uint64_t host_commands;
	uint64_t ioctls;
	uint64_t errors;
	struct smmuinv_command *forwarded; /* what the host should have seen */
	size_t forwarded_count;
};

__attribute__((format(printf, 1, 2))) static void complain(const char *format,
							    ...)
{
	va_list args;

	fprintf(stderr, "replay: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
}

static bool parse_number(const char *text, char **end, uint64_t max,
			 uint32_t *value)
{
	unsigned long long n;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, end, 0);
	if (errno || n > max)
		return false;
	*value = (uint32_t)n;
	return true;
}

static bool parse_features(const char *text, struct smmuinv_features *features)
{
	unsigned int i;
	char *end;

	for (i = 0; i < 6; i++) {
		if (!parse_number(text, &end, UINT32_MAX, &features->idr[i]))
			return false;
		if (*end != (i < 5 ? ',' : '\0'))
			return false;
		text = end + 1;
	}
	return true;
}

static bool parse_whole(const char *text, uint64_t max, uint32_t *value)
{
	char *end;

	return parse_number(text, &end, max, value) && !*end;
}

static bool parse_backend(const char *text, bool *iommufd)
{
	*iommufd = strcmp(text, "iommufd") == 0;
	return *iommufd || strcmp(text, "mock") == 0;
}

enum option_code {
	OPT_BACKEND = 256,
	OPT_DEVICE,
	OPT_IDR,
	OPT_HOST_IDR,
	OPT_ATS,
	OPT_STRICT,
	OPT_STREAMS,
	OPT_LOG2SIZE,
	OPT_DOORBELL,
	OPT_LIST,
	OPT_JSON,
	OPT_HELP
};

static const struct option long_options[] = {
	{ "backend", required_argument, NULL, OPT_BACKEND },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "idr", required_argument, NULL, OPT_IDR },
	{ "host-idr", required_argument, NULL, OPT_HOST_IDR },
	{ "ats", no_argument, NULL, OPT_ATS },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "streams", required_argument, NULL, OPT_STREAMS },
	{ "log2size", required_argument, NULL, OPT_LOG2SIZE },
	{ "doorbell", required_argument, NULL, OPT_DOORBELL },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static bool set_option(struct options *o, int code, const char *value)
{
	switch (code) {
	case OPT_BACKEND:
		return parse_backend(value, &o->iommufd);
	case OPT_DEVICE:
		o->device = value;
		return true;
	case OPT_IDR:
		return parse_features(value, &o->guest);
	case OPT_HOST_IDR:
		o->host_given = true;
		return parse_features(value, &o->host);
	case OPT_ATS:
		o->ats = true;
		return true;
	case OPT_STRICT:
		o->strict = true;
		return true;
	case OPT_STREAMS:
		o->streams = value;
		return true;
	case OPT_LOG2SIZE:
		return parse_whole(value, SMMUINV_QUEUE_LOG2SIZE_MAX,
				   &o->log2size);
	case OPT_DOORBELL:
		return parse_whole(value, UINT32_MAX, &o->doorbell);
	case OPT_LIST:
		o->list = true;
		return true;
	case OPT_JSON:
		o->json = true;
		return true;
	default:
		return false;
	}
}

#define IDR0_ATS (1u << 10)

static void parse_options(int argc, char **argv, struct options *o)
{
	int index = -1;
	int code;

	while ((code = getopt_long(argc, argv, "", long_options, &index)) >= 0) {
		if (code == OPT_HELP) {
			fputs(help, stdout);
			exit(0);
		}
		if (code == '?')
			exit(EXIT_USAGE);
		if (!set_option(o, code, optarg)) {
			complain("--%s: what is '%s'? See --help",
				 long_options[index].name, optarg);
			exit(EXIT_USAGE);
		}
	}
	if (optind + 1 != argc) {
		complain("one FILE is wanted; see --help");
		exit(EXIT_USAGE);
	}
	if (o->iommufd && o->host_given) {
		complain("--host-idr is for the mock; the kernel has its own");
		exit(EXIT_USAGE);
	}
	if (o->json && o->list) {
		complain("--list is for the table, not for --json");
		exit(EXIT_USAGE);
	}
	o->file = argv[optind];
	if (!o->host_given)
		o->host = o->guest;
	if (o->ats)
		o->host.idr[0] |= IDR0_ATS;
}

static long file_length(FILE *file)
{
	long length;

	if (fseek(file, 0, SEEK_END))
		return -1;
	length = ftell(file);
	rewind(file);
	return length;
}

static bool read_commands(struct replay *r, FILE *file)
{
	long length = file_length(file);
	size_t count;

	if (length < 0 || length % (long)sizeof(*r->file)) {
		complain("%s: not a whole number of 16-byte commands",
			 r->options->file);
		return false;
	}
	count = (size_t)length / sizeof(*r->file);
	r->file = calloc(count + 1, sizeof(*r->file));
	r->forwarded = calloc(count + 1, sizeof(*r->forwarded));
	if (!r->file || !r->forwarded ||
	    fread(r->file, sizeof(*r->file), count, file) != count) {
		complain("%s: could not be read", r->options->file);
		return false;
	}
	r->file_count = count;
	return true;
}

static bool load(struct replay *r)
{
	FILE *file = fopen(r->options->file, "rb");
	bool ok;

	if (!file) {
		complain("%s: %s", r->options->file, strerror(errno));
		return false;
	}
	ok = read_commands(r, file);
	fclose(file);
	return ok;
}

/* The VMM's part of a guest's commands: here, nothing but to agree. */
static int do_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	(void)opaque;
	(void)sid;
	(void)leaf;
	return 0;
}

static int do_cfgi_ste_range(void *opaque, uint32_t first, uint32_t last)
{
	(void)opaque;
	(void)first;
	(void)last;
	return 0;
}

static int do_sync(void *opaque, const struct smmuinv_sync *sync)
{
	(void)opaque;
	(void)sync;
	return 0;
}

static int do_command(void *opaque, const struct smmuinv_command *command)
{
	(void)opaque;
	(void)command;
	return 0;
}

/* Keep what the host should get, to compare it with what it got. */
static void remember(struct replay *r, const struct smmuinv_command *command)
{
	struct smmuinv_finding finding = { .size = sizeof(finding) };

	(void)smmuinv_check(command, &r->options->guest, &r->host.features,
			    r->options->strict ? SMMUINV_CHECK_STRICT : 0,
			    &finding);
	r->forwarded[r->forwarded_count++] = finding.command;
}

static void list(const struct replay *r, const struct smmuinv_command *command,
		 enum smmuinv_fate fate, enum smmuinv_rule rule)
{
	static const char *const names[] = { "forwarded", "vmm", "dropped",
					     "illegal", "unreadable" };
	char text[SMMUINV_COMMAND_TEXT_MAX];

	smmuinv_command_print(command, text, sizeof(text));
	printf("%7zu %-9s %s", r->position, names[fate], text);
	if (rule != SMMUINV_RULE_NONE)
		printf(": %s", smmuinv_rule_text(rule));
	printf("\n");
}

static void seen(void *opaque, uint32_t index,
		 const struct smmuinv_command *command, enum smmuinv_fate fate,
		 enum smmuinv_rule rule)
{
	struct replay *r = opaque;
	bool consumed = fate != SMMUINV_FATE_ILLEGAL;

	if (r->options->list)
		list(r, command, fate, rule);
	if (!r->replaced[index])
		tally_add(&r->tally, smmuinv_command_opcode(command), fate,
			  rule);
	if (fate == SMMUINV_FATE_FORWARDED)
		remember(r, command);
	r->replaced[index] = r->replaced[index] && !consumed;
	r->position += consumed;
}

static bool names_stream(const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_STE:
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
	case SMMUINV_CMD_ATC_INV:
		return true;
	default:
		return false;
	}
}

/* 0 too when there is no device left for it, or it fits no stream table. */
static int add_stream(struct replay *r, uint32_t vsid)
{
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(r->vsmmu);
	uint32_t device;
	int rc;

	if (!smmuinv_streams_find(streams, vsid, NULL))
		return 0;
	rc = r->host.next_device(&r->host, &device);
	if (!rc)
		rc = smmuinv_vsmmu_add_stream(r->vsmmu, device, vsid);
	return rc == -ENODEV || rc == -ERANGE ? 0 : rc;
}

static int add_named_streams(struct replay *r)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < r->file_count && !rc; i++) {
		if (names_stream(&r->file[i]))
			rc = add_stream(r, (uint32_t)smmuinv_command_get(
						   &r->file[i],
						   SMMUINV_FIELD_STREAMID));
	}
	return rc;
}

static int add_given_streams(struct replay *r, const char *text)
{
	uint32_t vsid;
	char *end;
	int rc = 0;

	if (strcmp(text, "none") == 0)
		return 0;
	do {
		if (!parse_number(text, &end, UINT32_MAX, &vsid) ||
		    (*end && *end != ','))
			return -EINVAL;
		rc = add_stream(r, vsid);
		text = end + 1;
	} while (*end && !rc);
	return rc;
}

static int open_host(struct replay *r)
{
	const struct options *o = r->options;

	if (o->iommufd)
		return host_open_iommufd(&r->host, o->device, o->ats);
	return host_open_mock(&r->host, &o->host);
}

static bool make_vsmmu(struct replay *r)
{
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = r->host.backend,
		.viommu_id = r->host.viommu,
		.check_flags = r->options->strict ? SMMUINV_CHECK_STRICT : 0,
		.guest = r->options->guest,
		.host = r->host.features,
	};
	enum smmuinv_feature lacking = SMMUINV_FEATURE_COUNT;
	int rc;

	(void)smmuinv_features_compatible(&params.guest, &params.host,
					  &lacking);
	rc = smmuinv_vsmmu_new(&params, &r->vsmmu);
	if (rc == -EOPNOTSUPP)
		complain("the host cannot carry this guest: %s",
			 smmuinv_feature_name(lacking));
	else if (rc)
		complain("virtual SMMU: %s", strerror(-rc));
	return !rc;
}

static bool make_queue(struct replay *r)
{
	static const struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.cfgi_ste = do_cfgi_ste,
		.cfgi_ste_range = do_cfgi_ste_range,
		.sync = do_sync,
		.command = do_command,
		.seen = seen,
	};
	struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.opaque = r,
	};
	size_t entries = (size_t)1 << r->options->log2size;

	r->ring = calloc(entries, sizeof(*r->ring));
	r->replaced = calloc(entries, sizeof(*r->replaced));
	return r->ring && r->replaced &&
	       !smmuinv_queue_new(r->vsmmu, &params, &r->queue);
}

static bool add_streams(struct replay *r)
{
	const char *given = r->options->streams;
	int rc = given ? add_given_streams(r, given) : add_named_streams(r);

	if (rc)
		complain("streams: %s", strerror(-rc));
	return !rc;
}

/* The guest fills its ring, and rings the doorbell. */
static void produce(struct replay *r)
{
	uint32_t size = 1u << r->options->log2size;
	uint32_t wrap_mask = 2 * size - 1;
	uint32_t room = size - ((r->prod - r->cons) & wrap_mask);

	if (r->options->doorbell && r->options->doorbell < room)
		room = r->options->doorbell;
	while (room-- && r->written < r->file_count) {
		r->ring[r->prod & (size - 1)] = r->file[r->written++];
		r->prod = (r->prod + 1) & wrap_mask;
	}
}

static void report_error(struct replay *r,
			 const struct smmuinv_progress *progress)
{
	uint32_t index = r->cons & ((1u << r->options->log2size) - 1);
	char text[SMMUINV_COMMAND_TEXT_MAX];

	smmuinv_command_print(&r->ring[index], text, sizeof(text));
	if (r->options->json)
		printf("%s\n  {\"index\": %zu, \"cerror\": \"%s\", "
		       "\"command\": \"%s\", \"field\": \"%s\", "
		       "\"reason\": \"%s\"}",
		       r->errors ? "," : "", r->position,
		       smmuinv_cerror_name(progress->cerror), text,
		       smmuinv_field_name(progress->field),
		       smmuinv_rule_text(progress->rule));
	else
		printf("queue error at %zu: %s: %s: %s: %s\n", r->position,
		       smmuinv_cerror_name(progress->cerror), text,
		       smmuinv_field_name(progress->field),
		       smmuinv_rule_text(progress->rule));
	r->errors++;
}

/* Linux overwrites the command that was illegal with a CMD_SYNC. */
static void skip_error(struct replay *r)
{
	uint32_t index = r->cons & ((1u << r->options->log2size) - 1);
	const unsigned char sync[sizeof(struct smmuinv_command)] = {
		SMMUINV_CMD_SYNC
	};

	r->ring[index] = smmuinv_command_from_bytes(sync);
	r->replaced[index] = true;
}

static int consume(struct replay *r)
{
	struct smmuinv_progress progress = { .size = sizeof(progress),
					     .cons = r->cons };
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = r->ring,
		.log2size = r->options->log2size,
		.prod = r->prod,
		.cons = r->cons,
	};
	int rc = smmuinv_queue_consume(r->queue, &ring, &progress);

	r->cons = progress.cons;
	r->host_commands += progress.host_commands;
	r->ioctls += progress.ioctls;
	if (rc < 0) {
		complain("command %zu: the host failed: %s", r->position,
			 strerror(-rc));
		return rc;
	}
	if (progress.cerror) {
		report_error(r, &progress);
		skip_error(r);
	}
	return 0;
}

static int run(struct replay *r)
{
	int rc = 0;

	while (!rc && (r->written < r->file_count || r->cons != r->prod)) {
		produce(r);
		rc = consume(r);
	}
	return rc;
}

/* The mock's record against what should have been forwarded, one by one. */
static bool record_equal(struct replay *r)
{
	const struct smmuinv_command *executed;
	size_t count = r->host.executed(&r->host, &executed);

	return count == r->forwarded_count &&
	       (!count || memcmp(executed, r->forwarded,
				 count * sizeof(*executed)) == 0);
}

static void print_json_features(const char *name,
				const struct smmuinv_features *features)
{
	unsigned int i;

	printf(" \"%s\": [", name);
	for (i = 0; i < 6; i++)
		printf("%s\"0x%08" PRIx32 "\"", i ? ", " : "",
		       features->idr[i]);
	printf("],\n");
}

static void print_json(const struct replay *r, const char *record)
{
	printf("%s],\n", r->errors ? "\n " : "");
	printf(" \"backend\": \"%s\",\n",
	       r->options->iommufd ? "iommufd" : "mock");
	print_json_features("idr", &r->options->guest);
	print_json_features("host_idr", &r->host.features);
	printf(" ");
	tally_print_json(&r->tally, stdout);
	printf(",\n \"streams\": %zu,\n",
	       smmuinv_streams_count(smmuinv_vsmmu_streams(r->vsmmu)));
	printf(" \"host_commands\": %" PRIu64 ",\n", r->host_commands);
	printf(" \"ioctls\": %" PRIu64 ",\n", r->ioctls);
	printf(" \"record\": \"%s\"\n}\n", record);
}

static void print_text(const struct replay *r, const char *record)
{
	tally_print(&r->tally, stdout);
	printf("%" PRIu64 " host commands in %" PRIu64 " ioctls; %zu streams; "
	       "executed and forwarded commands: %s\n",
	       r->host_commands, r->ioctls,
	       smmuinv_streams_count(smmuinv_vsmmu_streams(r->vsmmu)), record);
}

static int report(struct replay *r, int host_error)
{
	bool known = r->host.executed != NULL;
	bool equal = !known || record_equal(r);
	const char *record = !known ? "unknown" : equal ? "equal" : "different";

	if (r->options->json)
		print_json(r, record);
	else
		print_text(r, record);
	if (host_error)
		return EXIT_HOST;
	return equal ? 0 : EXIT_DIFFERENT;
}

static int replay(struct replay *r)
{
	if (!make_vsmmu(r) || !make_queue(r) || !add_streams(r))
		return EXIT_USAGE;
	if (r->options->json)
		printf("{\n \"errors\": [");
	return report(r, run(r));
}

int main(int argc, char **argv)
{
	struct options options = {
		.guest = default_features,
		.device = "/dev/vfio/devices/vfio0",
		.log2size = 16,
	};
	struct replay r = { .options = &options };
	int status = EXIT_USAGE;
	int rc;

	parse_options(argc, argv, &options);
	if (!load(&r))
		goto free_memory;
	rc = open_host(&r);
	if (rc) {
		complain("%s: %s: %s", options.iommufd ? "iommufd" : "mock",
			 r.host.problem, strerror(-rc));
		status = EXIT_HOST;
		goto free_memory;
	}
	status = replay(&r);
	smmuinv_queue_free(r.queue);
	smmuinv_vsmmu_free(r.vsmmu);
	r.host.close(&r.host);
free_memory:
	free(r.replaced);
	free(r.ring);
	free(r.forwarded);
	free(r.file);
	return status;
}
