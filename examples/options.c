/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	"  --host-idr R0,...,R5    those of the mock's SMMU (default the "
	"guest's)\n"
	"  --host-ril on|off       the host's SMMU has ranges, whatever "
	"--host-idr\n"
	"                          or the kernel say\n"
	"  --granule 4k|16k|64k    show the guest only this granule, so that "
	"it is\n"
	"                          certain: FILE comes without the guest's\n"
	"                          memory, in which its context descriptors "
	"are\n"
	"  --plan fewest|as-written\n"
	"                          what becomes of a window (default fewest)\n"
	"  --ats                   the host's devices may use ATS\n"
	"  --streams V,V,...|none  the vSIDs that are devices of the host\n"
	"                          (default all that FILE names)\n"
	"  --log2size N            size of the ring, 0 to 19 (default 16)\n"
	"  --doorbell N|sync       the guest writes N commands at a time, or "
	"up to\n"
	"                          a CMD_SYNC (default as many as fit)\n"
	"  --list                  a line for each command and its fate\n"
	"  --json                  one JSON object instead of a table\n"
	"  --help\n"
	"\n"
	"exit status: 0 done; 1 what the mock executed lacks an effect of the\n"
	"forwarded commands, or as-written is not exactly them; 2 wrong "
	"usage;\n"
	"3 the host failed\n";

void complain(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "replay: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
}

bool options_number(const char *text, char **end, uint64_t max, uint32_t *value)
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
		if (!options_number(text, &end, UINT32_MAX, &features->idr[i]))
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

	return options_number(text, &end, max, value) && !*end;
}

static bool parse_backend(const char *text, bool *iommufd)
{
	*iommufd = strcmp(text, "iommufd") == 0;
	return *iommufd || strcmp(text, "mock") == 0;
}

static bool parse_granule(const char *text, uint32_t *granule)
{
	static const struct {
		const char *name;
		uint32_t bytes;
	} granules[] = { { "4k", 4096 }, { "16k", 16384 }, { "64k", 65536 } };
	size_t i;

	for (i = 0; i < sizeof(granules) / sizeof(granules[0]); i++) {
		if (strcmp(text, granules[i].name) == 0)
			*granule = granules[i].bytes;
	}
	return *granule;
}

static bool parse_switch(const char *text, bool *on)
{
	*on = strcmp(text, "on") == 0;
	return *on || strcmp(text, "off") == 0;
}

static bool parse_plan(const char *text, bool *as_written)
{
	*as_written = strcmp(text, "as-written") == 0;
	return *as_written || strcmp(text, "fewest") == 0;
}

static bool parse_doorbell(const char *text, struct options *o)
{
	o->doorbell_sync = strcmp(text, "sync") == 0;
	return o->doorbell_sync || parse_whole(text, UINT32_MAX, &o->doorbell);
}

enum option_code {
	OPT_BACKEND = 256,
	OPT_DEVICE,
	OPT_IDR,
	OPT_HOST_IDR,
	OPT_HOST_RIL,
	OPT_GRANULE,
	OPT_PLAN,
	OPT_ATS,
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
	{ "host-ril", required_argument, NULL, OPT_HOST_RIL },
	{ "granule", required_argument, NULL, OPT_GRANULE },
	{ "plan", required_argument, NULL, OPT_PLAN },
	{ "ats", no_argument, NULL, OPT_ATS },
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
	case OPT_HOST_RIL:
		o->host_ril_given = true;
		return parse_switch(value, &o->host_ril);
	case OPT_GRANULE:
		return parse_granule(value, &o->granule);
	case OPT_PLAN:
		return parse_plan(value, &o->as_written);
	case OPT_ATS:
		o->ats = true;
		return true;
	case OPT_STREAMS:
		o->streams = value;
		return true;
	case OPT_LOG2SIZE:
		return parse_whole(value, SMMUINV_QUEUE_LOG2SIZE_MAX,
				   &o->log2size);
	case OPT_DOORBELL:
		return parse_doorbell(value, o);
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

#define IDR0_ATS    (1u << 10)
#define IDR5_GRAN4K (1u << 4) /* and 16K and 64K, in the next bits */

void options_adjust_host(const struct options *o, struct smmuinv_features *host)
{
	if (!o->host_ril_given)
		return;
	host->idr[3] &= ~IDR3_RIL;
	if (o->host_ril)
		host->idr[3] |= IDR3_RIL;
}

/* Those that the options change, of the guest's SMMU and the mock's. */
static void adjust_features(struct options *o)
{
	uint32_t granules = 7 * IDR5_GRAN4K;

	if (!o->host_given)
		o->host = o->guest;
	if (o->ats)
		o->host.idr[0] |= IDR0_ATS;
	options_adjust_host(o, &o->host);
	if (!o->granule)
		return;
	/* 4K, 16K, 64K are 1, 4, 16 times 4K, and bits 4, 5, 6. */
	o->guest.idr[5] &= ~granules;
	o->guest.idr[5] |= o->granule == 4096  ? IDR5_GRAN4K :
			   o->granule == 16384 ? IDR5_GRAN4K << 1 :
						 IDR5_GRAN4K << 2;
}

void options_parse(int argc, char **argv, struct options *o)
{
	int index = -1;
	int code;

	*o = (struct options){
		.guest = default_features,
		.device = "/dev/vfio/devices/vfio0",
		.log2size = 16,
	};
	while ((code = getopt_long(argc, argv, "", long_options, &index)) >=
	       0) {
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
	adjust_features(o);
}
