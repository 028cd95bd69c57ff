/* SPDX-License-Identifier: MIT */
/*
 * Replays a guest's Command queue from a file: a small VMM loop around
 * smmuinv_queue_consume(). It writes the commands into a ring as the guest did,
 * rings the doorbell, handles queue errors as Linux does, and counts.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <smmuinv/smmuinv.h>

#include "effect.h"
#include "host.h"
#include "options.h"
#include "tally.h"

/* One run. The callbacks get it as their opaque pointer. */
struct replay {
	const struct options *options;
	struct host host;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_queue *queue;

	struct smmuinv_command *file; /* what the guest wrote */
	size_t file_count;
	size_t written;  /* of them, in the ring or consumed */
	size_t position; /* of them, consumed */

	struct smmuinv_command *ring;
	bool *replaced; /* ring entries that the guest has overwritten */
	uint32_t prod;
	uint32_t cons;

	struct tally tally;
	uint64_t host_commands;
	uint64_t ioctls;
	uint64_t doorbells;
	uint64_t errors;
	struct smmuinv_command *asked; /* what the host should do */
	size_t asked_count;
	size_t asked_capacity;
	bool no_memory;
	uint64_t cd_alls; /* of these, not written by the guest: 4.3.1 */
	size_t streams;
	bool different; /* the mock's record was not the same */
	bool lost;      /* nor had the same effect */
	uint64_t tlbis; /* in the record */
};

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
	if (!r->file ||
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

/* Keep what the host should do, to compare it with what it did. */
static void ask(struct replay *r, const struct smmuinv_command *command)
{
	if (r->asked_count == r->asked_capacity) {
		size_t capacity =
			r->asked_capacity ? 2 * r->asked_capacity : 4096;
		struct smmuinv_command *more =
			realloc(r->asked, capacity * sizeof(*more));

		if (!more) {
			r->no_memory = true;
			return;
		}
		r->asked = more;
		r->asked_capacity = capacity;
	}
	r->asked[r->asked_count++] = *command;
}

/*
 * The VMM's part of a guest's commands: here, to agree. The STEs are not in the
 * file. They stay as they are. So the library invalidates the CDs of each
 * stream that is named (4.3.1).
 */
static int do_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct replay *r = opaque;
	struct smmuinv_command command;

	(void)leaf;
	smmuinv_command_cfgi_cd_all(&command, sid);
	ask(r, &command);
	r->cd_alls++;
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

/* A host without ranges does them by pages. */
static void remember(struct replay *r, const struct smmuinv_command *command)
{
	struct smmuinv_finding finding = { .size = sizeof(finding) };
	struct smmuinv_features host = r->host.features;

	host.idr[3] |= r->options->guest.idr[3] & IDR3_RIL;
	(void)smmuinv_check(command, &r->options->guest, &host, &finding);
	ask(r, &finding.command);
}

static void list(const struct replay *r, const struct smmuinv_command *command,
		 uint32_t fate, uint32_t rule)
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

static void settled(void *opaque, uint32_t index,
		    const struct smmuinv_command *command, uint32_t fate,
		    uint32_t rule)
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
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
	};
	int rc;

	if (!smmuinv_vsmmu_find_stream(r->vsmmu, vsid, NULL))
		return 0;
	rc = r->host.next_device(&r->host, &params.dev_id);
	if (!rc)
		rc = smmuinv_vsmmu_add_stream(r->vsmmu, &params);
	if (rc == -ENODEV || rc == -ERANGE)
		return 0;
	if (rc)
		return rc;
	r->streams++;
	/* A VMM would do so when the guest's STE has EATS. */
	return smmuinv_vsmmu_set_ats(r->vsmmu, vsid, true);
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
		if (!options_number(text, &end, UINT32_MAX, &vsid) ||
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
	int rc;

	if (!o->iommufd)
		return host_open_mock(&r->host, &o->host);
	rc = host_open_iommufd(&r->host, o->device, o->ats);
	if (!rc)
		options_adjust_host(o, &r->host.features);
	return rc;
}

static bool make_vsmmu(struct replay *r)
{
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.backend = r->host.backend,
		.viommu_id = r->host.viommu,
		.guest = r->options->guest,
		.host = r->host.features,
		.plan = r->options->as_written ? SMMUINV_PLAN_AS_WRITTEN :
						 SMMUINV_PLAN_MERGED,
	};
	uint32_t lacking;
	int rc = smmuinv_vsmmu_new(&params, &r->vsmmu, &lacking);

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
		.sync = do_sync,
		.command = do_command,
		.settled = settled,
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
	uint32_t space = size - ((r->prod - r->cons) & wrap_mask);

	if (r->options->doorbell && r->options->doorbell < space)
		space = r->options->doorbell;
	r->doorbells++;
	while (space-- && r->written < r->file_count) {
		const struct smmuinv_command *command = &r->file[r->written++];

		r->ring[r->prod & (size - 1)] = *command;
		r->prod = (r->prod + 1) & wrap_mask;
		if (r->options->doorbell_sync &&
		    smmuinv_command_opcode(command) == SMMUINV_CMD_SYNC)
			return;
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
		       smmuinv_field_name(progress->fault.field),
		       smmuinv_rule_text(progress->fault.rule));
	else
		printf("queue error at %zu: %s: %s: %s: %s\n", r->position,
		       smmuinv_cerror_name(progress->cerror), text,
		       smmuinv_field_name(progress->fault.field),
		       smmuinv_rule_text(progress->fault.rule));
	r->errors++;
}

/* Linux overwrites the command that was illegal with a CMD_SYNC. */
static void skip_error(struct replay *r)
{
	uint32_t index = r->cons & ((1u << r->options->log2size) - 1);
	const struct smmuinv_command sync = { { htole64(SMMUINV_CMD_SYNC) } };

	r->ring[index] = sync;
	r->replaced[index] = true;
}

static int consume(struct replay *r)
{
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = r->ring,
		.log2size = r->options->log2size,
		.prod = r->prod,
	};
	int rc;

	do {
		ring.cons = progress.cons = r->cons;
		rc = smmuinv_queue_consume(r->queue, &ring, &progress);
		r->cons = progress.cons;
		r->host_commands += progress.host_commands;
		r->ioctls += progress.ioctls;
	} while (rc >= 0 && progress.more);
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

static bool is_tlbi(const struct smmuinv_command *command)
{
	uint8_t opcode = smmuinv_command_opcode(command);

	return opcode >= SMMUINV_CMD_TLBI_NH_ALL &&
	       opcode <= SMMUINV_CMD_TLBI_NSNH_ALL;
}

static bool is_same(const struct replay *r,
		    const struct smmuinv_command *executed, size_t count)
{
	if (count != r->asked_count)
		return false;
	return !count ||
	       memcmp(executed, r->asked, count * sizeof(*executed)) == 0;
}

/* By the effect, because the commands differ. */
static int judge_effect(struct replay *r,
			const struct smmuinv_command *executed, size_t count)
{
	char text[SMMUINV_COMMAND_TEXT_MAX];
	struct smmuinv_command lost;
	int rc = effect_compare(&r->options->guest, r->asked, r->asked_count,
				executed, count, &lost);

	r->different = true;
	if (rc <= 0)
		return rc;
	r->lost = true;
	smmuinv_command_print(&lost, text, sizeof(text));
	complain("before command %zu: not done: %s", r->position, text);
	return 0;
}

/* What was executed since the last time, and what should have been. */
static int judge(struct replay *r)
{
	struct smmuinv_command *executed;
	size_t count, i;
	int rc = r->host.take_executed(&r->host, &executed, &count);

	if (!rc && r->no_memory)
		rc = -ENOMEM;
	for (i = 0; i < count && !rc; i++)
		r->tlbis += is_tlbi(&executed[i]);
	if (!rc && !is_same(r, executed, count))
		rc = judge_effect(r, executed, count);
	r->asked_count = 0;
	free(executed);
	return rc;
}

static int run(struct replay *r)
{
	int rc = 0;

	while (!rc && (r->written < r->file_count || r->cons != r->prod)) {
		produce(r);
		rc = consume(r);
		if (!rc && r->host.take_executed)
			rc = judge(r);
	}
	return rc;
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

/* Is the record, command for command, what was asked for? */
static const char *record_of(const struct replay *r)
{
	if (!r->host.take_executed)
		return "unknown";
	return r->different ? "different" : "equal";
}

/* Is nothing left that what was asked for would have removed? */
static const char *effect_of(const struct replay *r)
{
	if (!r->host.take_executed)
		return "unknown";
	return r->lost ? "lost" : "kept";
}

static void print_json(const struct replay *r)
{
	printf("%s],\n", r->errors ? "\n " : "");
	printf(" \"backend\": \"%s\",\n",
	       r->options->iommufd ? "iommufd" : "mock");
	print_json_features("idr", &r->options->guest);
	print_json_features("host_idr", &r->host.features);
	printf(" ");
	tally_print_json(&r->tally, stdout);
	printf(",\n \"streams\": %zu,\n", r->streams);
	printf(" \"plan\": \"%s\",\n",
	       r->options->as_written ? "as-written" : "fewest");
	printf(" \"doorbells\": %" PRIu64 ",\n", r->doorbells);
	printf(" \"host_commands\": %" PRIu64 ",\n", r->host_commands);
	printf(" \"cd_alls\": %" PRIu64 ",\n", r->cd_alls);
	printf(" \"host_tlbis\": %" PRIu64 ",\n", r->tlbis);
	printf(" \"ioctls\": %" PRIu64 ",\n", r->ioctls);
	printf(" \"record\": \"%s\",\n", record_of(r));
	printf(" \"effect\": \"%s\"\n}\n", effect_of(r));
}

static void print_text(const struct replay *r)
{
	tally_print(&r->tally, stdout);
	printf("%" PRIu64 " host commands in %" PRIu64 " ioctls; %zu streams; "
	       "executed and forwarded commands: %s; effect: %s\n",
	       r->host_commands, r->ioctls, r->streams, record_of(r),
	       effect_of(r));
}

/* As pages, ranges are other commands. */
static bool may_differ(const struct replay *r)
{
	return !r->options->as_written || !(r->host.features.idr[3] & IDR3_RIL);
}

static int report(const struct replay *r, int host_error)
{
	if (r->options->json)
		print_json(r);
	else
		print_text(r);
	if (host_error)
		return EXIT_HOST;
	if (r->lost || (r->different && !may_differ(r)))
		return EXIT_DIFFERENT;
	return 0;
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
	struct options options;
	struct replay r = { .options = &options };
	int status = EXIT_USAGE;
	int rc;

	options_parse(argc, argv, &options);
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
	free(r.asked);
	free(r.file);
	return status;
}
