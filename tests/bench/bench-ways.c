/* SPDX-License-Identifier: MIT */
/*
 * What reaches the host in each of the three ways, on the mock. The time is the
 * mock's, which has no kernel to enter and no hardware to wait for; it is here
 * to be compared with the machine's, guest/test-bench.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include <smmuinv/mock.h>

#include "options.h"
#include "ways.h"

/* More than any stream has StreamIDs. */
#define DEVICES 64

static const char usage[] =
	"usage: bench-ways [OPTION...] [STREAM...]\n"
	"\n"
	"Guests' commands carried to the mock in three ways: one ioctl for "
	"each, one for\n"
	"each run between CMD_SYNCs, and the library's, called at each "
	"CMD_SYNC, with 64\n"
	"commands, and with all of them. Prints what the host got. A STREAM "
	"may be the\n"
	"beginning of its name; all of them by default.\n"
	"\n"
	"  --json         a line of JSON for each\n"
	"  --corpus DIR   where tests/corpus is\n"
	"  --repeat N     times are the shortest of N (default 5)\n";

struct host {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *backend;
	struct meter meter;
	uint32_t viommu;
	uint32_t first_device;
};

static void host_open(struct host *host,
		      const struct smmuinv_features *features)
{
	const struct smmuinv_mock_params params = {
		.size = sizeof(params),
		.host = *features,
	};
	uint32_t device;

	must(smmuinv_mock_new(&params, &host->mock), "mock");
	must(smmuinv_mock_backend(host->mock, &host->backend), "backend");
	must(meter_open(&host->meter, host->backend), "meter");
	must(smmuinv_mock_add_viommu(host->mock, &host->viommu), "vIOMMU");
	must(smmuinv_mock_add_device(host->mock, &host->first_device),
	     "device");
	for (int i = 1; i < DEVICES; i++)
		must(smmuinv_mock_add_device(host->mock, &device), "device");
}

static void host_close(struct host *host)
{
	meter_close(&host->meter);
	smmuinv_backend_free(host->backend);
	smmuinv_mock_free(host->mock);
}

static void measure(const struct options *options, const struct stream *stream)
{
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.guest = stream->guest,
		.host = stream_host(stream),
	};
	struct player player;
	struct host host;

	host_open(&host, &params.host);
	params.backend = host.meter.backend;
	params.viommu_id = host.viommu;
	must(player_open(&player, stream, &params, 0), stream->name);
	must(player_add_streams(&player, host.first_device), "streams");
	for (enum way way = 0; way < WAYS; way++) {
		struct figures figures;

		must(ways_measure(&host.meter, &player, host.viommu, way,
				  options->repeat, &figures),
		     way_name(way));
		smmuinv_mock_forget(host.mock);
		if (options->json)
			ways_print_json(stream, "mock", way, &figures);
		else
			ways_print(stream, way, &figures);
	}
	player_close(&player);
	host_close(&host);
}

int main(int argc, char **argv)
{
	struct options options = { .corpus = BENCH_CORPUS, .repeat = 5 };
	const char *name;

	options_parse(&options, argc, argv, usage);
	if (!options.json)
		ways_print_head();
	for (size_t i = 0; (name = stream_name(i)); i++) {
		struct stream stream;

		if (!options_want(&options, name))
			continue;
		progress(&options, name);
		must(stream_open(&stream, name, options.corpus, 0), name);
		measure(&options, &stream);
		stream_close(&stream);
	}
	progress(&options, NULL);
	return EXIT_SUCCESS;
}
