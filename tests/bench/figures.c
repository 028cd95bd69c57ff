/* SPDX-License-Identifier: MIT */
/*
 * The counts that docs/performance.md promises: they are the same on every
 * machine. And that no invalidation is lost for them.
 */
#include <errno.h>

#include <smmuinv/mock.h>

#include "backend.h"
#include "meter.h"
#include "player.h"
#include "support.h"

#define PAGES        512u
#define DEVICES      8
#define CACHED_MAX   65536u
#define PAGE_SIZE_4K 4096u

struct host {
	struct stream stream;
	struct smmuinv_mock *mock;
	struct smmuinv_backend *backend;
	struct meter meter;
	struct player player;
	struct smmuinv_caches *caches; /* of the mock's SMMU */
	struct smmuinv_caches *wanted; /* what the guest wants them to be */
};

/* Every page that the guest ever invalidates is in the TLB. */
static void fill(struct smmuinv_caches *caches, const struct stream *stream)
{
	for (uint32_t i = 0; i < stream->count; i++) {
		const struct smmuinv_command *command = &stream->ring[i];
		const struct smmuinv_cache_entry entry = {
			.size = sizeof(entry),
			.kind = SMMUINV_CACHED_LEAF,
			.tg = SMMUINV_TG_4K,
			.level = 3,
			.asid = (uint16_t)smmuinv_command_get(
				command, SMMUINV_FIELD_ASID),
			.address =
				smmuinv_command_get(command, SMMUINV_FIELD_VA),
			.length = PAGE_SIZE_4K,
		};

		if (smmuinv_command_opcode(command) == SMMUINV_CMD_TLBI_NH_VA)
			assert_true(smmuinv_caches_insert(caches, &entry) >= 0);
	}
}

static void host_open(struct host *h, const char *name, uint32_t count)
{
	struct smmuinv_mock_params mock = { .size = sizeof(mock) };
	struct smmuinv_vsmmu_params params = { .size = sizeof(params) };
	uint32_t first = 0;

	assert_int_equal(stream_open(&h->stream, name, BENCH_CORPUS, count), 0);
	assert_int_equal(smmuinv_caches_new(CACHED_MAX, &h->caches), 0);
	assert_int_equal(smmuinv_caches_new(CACHED_MAX, &h->wanted), 0);
	fill(h->caches, &h->stream);
	fill(h->wanted, &h->stream);
	mock.host = stream_host(&h->stream);
	mock.caches = h->caches;
	assert_int_equal(smmuinv_mock_new(&mock, &h->mock), 0);
	assert_int_equal(smmuinv_mock_backend(h->mock, &h->backend), 0);
	assert_int_equal(meter_open(&h->meter, h->backend), 0);
	params.backend = h->meter.backend;
	params.guest = h->stream.guest;
	params.host = mock.host;
	assert_int_equal(smmuinv_mock_add_viommu(h->mock, &params.viommu_id),
			 0);
	for (uint32_t i = 0, device; i < DEVICES; i++) {
		assert_int_equal(smmuinv_mock_add_device(h->mock, &device), 0);
		first = i ? first : device;
	}
	assert_int_equal(player_open(&h->player, &h->stream, &params, 0), 0);
	assert_int_equal(player_add_streams(&h->player, first), 0);
}

static void host_close(struct host *h)
{
	player_close(&h->player);
	meter_close(&h->meter);
	smmuinv_backend_free(h->backend);
	smmuinv_mock_free(h->mock);
	smmuinv_caches_free(h->wanted);
	smmuinv_caches_free(h->caches);
	stream_close(&h->stream);
}

/* Pages that the guest has not invalidated may stay or go. */
static void expect_none_lost(struct host *h, uint32_t from, uint32_t end)
{
	for (uint32_t i = from; i < end; i++)
		smmuinv_caches_execute(h->wanted, &h->stream.ring[i]);
	assert_int_equal(smmuinv_caches_stale(h->caches, h->wanted), -ENOENT);
	smmuinv_caches_refill(h->caches);
	smmuinv_caches_refill(h->wanted);
}

/* In calls up to each CMD_SYNC, or in one. */
static struct play play(struct host *h, bool to_sync)
{
	struct play play = { 0 };
	uint32_t from = 0;

	while (from < h->stream.count) {
		uint32_t end = to_sync ? stream_after_sync(&h->stream, from) :
					 h->stream.count;

		assert_int_equal(
			player_consume(&h->player, from, end, 0, &play),
			end - from);
		expect_none_lost(h, from, end);
		from = end;
	}
	return play;
}

static void unmap_of_512_pages_is_one_command_in_one_ioctl(void **state)
{
	struct host h = { 0 };

	(void)state;
	host_open(&h, "unmap-512", PAGES + 1);
	assert_int_equal(play(&h, false).forwarded, PAGES);
	assert_int_equal(h.meter.commands, 1);
	assert_int_equal(h.meter.ioctls, 1);
	host_close(&h);
}

static void unmap_of_512_scattered_pages_is_one_ioctl(void **state)
{
	struct host h = { 0 };

	(void)state;
	host_open(&h, "scattered", PAGES + 1);
	assert_int_equal(play(&h, false).forwarded, PAGES);
	assert_int_equal(h.meter.ioctls, 1);
	host_close(&h);
}

/* 4554 pages in 462 runs; and one command more, TLBI_NSNH_ALL. */
static void
stream_29_takes_no_more_than_462_tlbis_and_none_is_lost(void **state)
{
	struct host h = { 0 };

	(void)state;
	host_open(&h, "29-lk73-l2guest-noril", 0);
	assert_int_equal(play(&h, true).forwarded, 4554 + 4 + 1);
	assert_in_range(h.meter.tlbis, 1, 462 + 1);
	meter_reset(&h.meter);
	play(&h, false);
	assert_in_range(h.meter.tlbis, 1, 462);
	/* What the CMD_SYNCs order, and what is the VMM's. */
	assert_in_range(h.meter.ioctls, 1, 12);
	host_close(&h);
}

/* Half of them follow nothing that they touch. */
static void stream_09_never_takes_more_and_none_is_lost(void **state)
{
	struct host h = { 0 };

	(void)state;
	host_open(&h, "09-lk73-both-noril-io", 0);
	play(&h, true);
	assert_in_range(h.meter.tlbis, 1, 10956);
	meter_reset(&h.meter);
	play(&h, false);
	assert_in_range(h.meter.ioctls, 1, 64);
	host_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			unmap_of_512_pages_is_one_command_in_one_ioctl),
		cmocka_unit_test(unmap_of_512_scattered_pages_is_one_ioctl),
		cmocka_unit_test(
			stream_29_takes_no_more_than_462_tlbis_and_none_is_lost),
		cmocka_unit_test(stream_09_never_takes_more_and_none_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
