/* SPDX-License-Identifier: MIT */
/*
 * What is saved is restored, and nothing else: every change of a saved state is
 * noticed and refused, with the reason. The format is written down a second
 * time here.
 */
#include "support.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "smmus.h"
#include "spec.h"
#include "vsmmu.h"

/* Where things are, in 32-bit words. */
enum {
	W_MAGIC,
	W_VERSION,
	W_SUM_LOW,
	W_SUM_HIGH,
	W_IDR,
	W_FLAGS = W_IDR + 6,
	W_STREAMS,
	W_ASIDS,
	W_RESERVED,
	W_LISTS,
};

#define BYTES_MAX 4096

struct saved {
	size_t length;
	unsigned char bytes[BYTES_MAX];
};

static uint32_t word_get(const struct saved *s, uint32_t index)
{
	uint32_t le;

	memcpy(&le, s->bytes + 4 * index, 4);
	return le32toh(le);
}

static void word_set(struct saved *s, uint32_t index, uint32_t value)
{
	const uint32_t le = htole32(value);

	memcpy(s->bytes + 4 * index, &le, 4);
}

/* FNV-1a of 64 bits, over everything behind it. */
static void make_right(struct saved *s)
{
	uint64_t sum = UINT64_C(14695981039346656037);
	size_t i;

	for (i = 16; i < s->length; i++) {
		sum ^= s->bytes[i];
		sum *= UINT64_C(1099511628211);
	}
	word_set(s, W_SUM_LOW, (uint32_t)sum);
	word_set(s, W_SUM_HIGH, (uint32_t)(sum >> 32));
}

static void save(struct smmuinv_vsmmu *vsmmu, struct saved *s)
{
	int64_t length = smmuinv_state_save(vsmmu, s->bytes, sizeof(s->bytes));

	assert_true(length > 0 && length <= BYTES_MAX);
	s->length = (size_t)length;
}

/* In a buffer of its own, so that nothing behind it is read. */
static void *copy_of(const struct saved *s)
{
	void *bytes = malloc(s->length ? s->length : 1);

	assert_non_null(bytes);
	memcpy(bytes, s->bytes, s->length);
	return bytes;
}

static int check(const struct saved *s, const struct smmuinv_features *host,
		 struct smmuinv_state_info *info)
{
	void *bytes = copy_of(s);
	int rc;

	*info = (struct smmuinv_state_info){ .size = sizeof(*info),
					     .reserved = 1 };
	rc = smmuinv_state_check(bytes, s->length, host, info);
	assert_int_equal(info->reserved, 0);
	free(bytes);
	return rc;
}

static int restore(struct smmuinv_vsmmu *vsmmu, const struct saved *s,
		   struct smmuinv_state_info *info)
{
	void *bytes = copy_of(s);
	int rc;

	*info = (struct smmuinv_state_info){ .size = sizeof(*info),
					     .reserved = 1 };
	rc = smmuinv_state_restore(vsmmu, bytes, s->length, info);
	assert_int_equal(info->reserved, 0);
	free(bytes);
	return rc;
}

/* Neither function takes it, and both say why. */
static void assert_refused(const struct saved *s, struct smmuinv_vsmmu *vsmmu,
			   enum smmuinv_state_rule rule)
{
	struct smmuinv_state_stream stream = { .size = sizeof(stream) };
	struct smmuinv_state_info info;
	void *bytes = copy_of(s);

	assert_int_equal(check(s, NULL, &info), -EBADMSG);
	assert_int_equal(info.rule, rule);
	assert_int_equal(info.streams, 0);
	assert_int_equal(restore(vsmmu, s, &info), -EBADMSG);
	assert_int_equal(info.rule, rule);
	/* It is for what was accepted, and looks at no more than it must. */
	if (rule <= SMMUINV_STATE_RULE_VERSION)
		assert_int_equal(
			smmuinv_state_stream(bytes, s->length, 0, &stream),
			-EBADMSG);
	else
		assert_int_not_equal(
			smmuinv_state_stream(bytes, s->length, 0, &stream),
			-EBADMSG);
	free(bytes);
}

static void vsmmu_open(struct smmus *s, const struct smmuinv_features *guest,
		       uint32_t check_flags)
{
	smmus_init(s, 1);
	s->params.guest = *guest;
	s->params.check_flags = check_flags;
	s->params.plan = SMMUINV_PLAN_FEWEST;
	smmus_open(s);
}

/* It may have streams, granules, neither or both. */
static void note(struct smmus *s, uint16_t asid, uint8_t lower, uint8_t upper)
{
	const struct smmuinv_cd cd = {
		.size = sizeof(cd),
		.valid = true,
		.asid = asid,
		.walks = { test_chance(80), test_chance(80) },
		.tg = { lower, upper },
	};

	assert_int_equal(smmuinv_vsmmu_note_cd(s->vsmmu, &cd), 0);
}

static void a_stream(struct smmus *s, uint32_t vsid, bool translates, bool ats)
{
	smmus_plug(s, 0, vsid);
	assert_int_equal(smmuinv_streams_set(s->streams, vsid, translates, ats),
			 0);
}

static void random_content(struct smmus *s)
{
	uint32_t streams = (uint32_t)test_random_below(6);
	uint32_t asids = (uint32_t)test_random_below(6);
	bool one = test_chance(50);

	while (streams--) {
		uint32_t vsid = test_chance(20) ?
					UINT32_MAX - (uint32_t)streams :
					(uint32_t)test_random();

		if (smmuinv_streams_find(s->streams, vsid, NULL))
			a_stream(s, vsid, test_chance(60), test_chance(60));
	}
	while (asids--)
		note(s, (uint16_t)test_random(),
		     one ? SMMUINV_TG_4K : (uint8_t)test_random_below(4),
		     one ? SMMUINV_TG_4K : (uint8_t)test_random_below(4));
}

/* The same devices, as a VMM finds them where the guest arrives. */
static void add_the_streams_of(struct smmus *s, const struct saved *saved)
{
	struct smmuinv_state_info info;
	uint32_t i;

	assert_int_equal(check(saved, NULL, &info), 0);
	for (i = 0; i < info.streams; i++) {
		struct smmuinv_state_stream stream;

		memset(&stream, 0xff, sizeof(stream));
		stream.size = sizeof(stream);
		assert_int_equal(smmuinv_state_stream(saved->bytes,
						      saved->length, i,
						      &stream),
				 0);
		assert_true(
			test_is_zero(stream.reserved, sizeof(stream.reserved)));
		a_stream(s, stream.vsid, false, false);
	}
}

static void assert_same_streams(struct smmus *a, struct smmus *b)
{
	uint32_t vsid = 0;

	assert_int_equal(smmuinv_streams_count(a->streams),
			 smmuinv_streams_count(b->streams));
	while (!smmuinv_streams_next(a->streams, &vsid)) {
		struct smmuinv_stream_info of_a = { .size = sizeof(of_a) };
		struct smmuinv_stream_info of_b = { .size = sizeof(of_b) };

		assert_int_equal(smmuinv_streams_find(a->streams, vsid, &of_a),
				 0);
		assert_int_equal(smmuinv_streams_find(b->streams, vsid, &of_b),
				 0);
		assert_int_equal(of_a.translates, of_b.translates);
		assert_int_equal(of_a.ats, of_b.ats);
		if (vsid++ == UINT32_MAX)
			break;
	}
}

/* Two pages that touch: one range where the granule is certain. */
static uint32_t host_commands(struct smmus *s, uint16_t asid, uint64_t va)
{
	struct smmuinv_result result = { .size = sizeof(result) };
	struct smmuinv_batch *batch;
	uint32_t i;

	assert_int_equal(smmuinv_batch_new(s->vsmmu, 2, &batch), 0);
	for (i = 0; i < 2; i++) {
		const struct smmuinv_tlbi tlbi = {
			.size = sizeof(tlbi),
			.asid = asid,
			.leaf = true,
			.va = va + 4096 * i,
		};
		struct smmuinv_command command;

		assert_int_equal(smmuinv_command_tlbi_nh_va(&command, &tlbi),
				 0);
		assert_int_equal(smmuinv_batch_add(batch, &command, NULL), 0);
	}
	assert_int_equal(smmuinv_batch_flush(batch, &result), 0);
	smmuinv_batch_free(batch);
	return result.host_commands;
}

static void assert_same_granules(struct smmus *a, struct smmus *b)
{
	uint32_t asid;

	for (asid = 0; asid < GRANULE_ASIDS; asid++) {
		uint8_t sets = smmuinv__granules_sets(&a->vsmmu->granules,
						      (uint16_t)asid);

		assert_int_equal(sets,
				 smmuinv__granules_sets(&b->vsmmu->granules,
							(uint16_t)asid));
		if (!sets)
			continue;
		assert_int_equal(host_commands(a, (uint16_t)asid, 0),
				 host_commands(b, (uint16_t)asid, 0));
		assert_int_equal(host_commands(a, (uint16_t)asid,
					       UINT64_C(0xffff) << 48),
				 host_commands(b, (uint16_t)asid,
					       UINT64_C(0xffff) << 48));
	}
}

static void round_trip(const struct smmuinv_features *guest, uint32_t flags)
{
	struct saved first, second;
	struct smmuinv_state_info info;
	struct smmus from, to;

	vsmmu_open(&from, guest, flags);
	random_content(&from);
	save(from.vsmmu, &first);
	vsmmu_open(&to, guest, flags);
	add_the_streams_of(&to, &first);
	assert_int_equal(restore(to.vsmmu, &first, &info), 0);
	assert_int_equal(info.rule, SMMUINV_STATE_RULE_NONE);
	assert_memory_equal(&info.guest, guest, sizeof(*guest));
	assert_int_equal(info.check_flags, flags);
	assert_same_streams(&from, &to);
	assert_same_granules(&from, &to);
	save(to.vsmmu, &second);
	assert_int_equal(second.length, first.length);
	assert_memory_equal(second.bytes, first.bytes, first.length);
	smmus_close(&from);
	smmus_close(&to);
}

static void what_is_saved_is_restored(void **state)
{
	size_t tries = test_iterations(300);

	(void)state;
	while (tries--) {
		struct smmuinv_features guest = everything;

		if (test_chance(30))
			guest = test_features_random_guest(&everything);
		spec_feature_set(&guest, SMMUINV_FEATURE_SIDSIZE, 32);
		spec_feature_set(&guest, SMMUINV_FEATURE_S1P, 1);
		if (smmuinv_features_compatible(&guest, &everything, NULL))
			continue;
		round_trip(&guest, test_chance(50) ? SMMUINV_CHECK_STRICT : 0);
	}
}

/* What was known of one ASID is known, and that others differ. */
static void pages_merge_after_it_as_they_did_before(void **state)
{
	struct smmuinv_state_info info;
	struct saved saved;
	struct smmus from, to;
	uint32_t differs;

	(void)state;
	for (differs = 0; differs < 2; differs++) {
		const struct smmuinv_cd cd = {
			.size = sizeof(cd),
			.valid = true,
			.asid = 3,
			.walks = { true, true },
			.tg = { SMMUINV_TG_4K, SMMUINV_TG_4K },
		};
		struct smmuinv_cd other = cd;

		vsmmu_open(&from, &everything, 0);
		assert_int_equal(smmuinv_vsmmu_note_cd(from.vsmmu, &cd), 0);
		other.asid = 4;
		other.tg[0] = differs ? SMMUINV_TG_64K : SMMUINV_TG_4K;
		assert_int_equal(smmuinv_vsmmu_note_cd(from.vsmmu, &other), 0);
		save(from.vsmmu, &saved);
		vsmmu_open(&to, &everything, 0);
		assert_int_equal(host_commands(&to, 3, 0), 2);
		assert_int_equal(restore(to.vsmmu, &saved, &info), 0);
		assert_int_equal(host_commands(&from, 3, 0), 1 + differs);
		assert_int_equal(host_commands(&to, 3, 0), 1 + differs);
		smmus_close(&from);
		smmus_close(&to);
	}
}

/* What was noted where it arrives is not unlearned. */
static void granules_come_to_those_that_are_known(void **state)
{
	const struct smmuinv_cd cd = {
		.size = sizeof(cd),
		.valid = true,
		.asid = 9,
		.walks = { true, true },
		.tg = { SMMUINV_TG_64K, SMMUINV_TG_64K },
	};
	struct smmuinv_state_info info;
	struct smmus from, to;
	struct saved saved;

	(void)state;
	vsmmu_open(&from, &everything, 0);
	save(from.vsmmu, &saved);
	vsmmu_open(&to, &everything, 0);
	assert_int_equal(smmuinv_vsmmu_note_cd(to.vsmmu, &cd), 0);
	assert_int_equal(restore(to.vsmmu, &saved, &info), 0);
	assert_int_not_equal(smmuinv__granules_sets(&to.vsmmu->granules, 9), 0);
	smmus_close(&from);
	smmus_close(&to);
}

/* The device that is there decides. */
static void ats_is_not_restored_for_a_device_without(void **state)
{
	struct smmuinv_stream_info stream = { .size = sizeof(stream) };
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = 7,
	};
	struct smmuinv_state_info info;
	struct smmus from, to;
	struct saved saved;

	(void)state;
	vsmmu_open(&from, &everything, 0);
	a_stream(&from, 7, true, true);
	save(from.vsmmu, &saved);
	vsmmu_open(&to, &everything, 0);
	params.dev_id = smmus_add_device(&to, 0);
	assert_int_equal(smmuinv_vsmmu_add_stream(to.vsmmu, &params), 0);
	assert_int_equal(restore(to.vsmmu, &saved, &info), 0);
	assert_int_equal(smmuinv_streams_find(to.streams, 7, &stream), 0);
	assert_true(stream.translates);
	assert_false(stream.ats);
	smmus_close(&from);
	smmus_close(&to);
}

/* A strict virtual SMMU with streams and granules, and its saved state. */
struct sample {
	struct smmus s;
	struct saved saved;
};

static void sample_open(struct sample *sample)
{
	vsmmu_open(&sample->s, &everything, SMMUINV_CHECK_STRICT);
	a_stream(&sample->s, 0, false, false);
	a_stream(&sample->s, 8, true, false);
	a_stream(&sample->s, UINT32_MAX, true, true);
	note(&sample->s, 0, SMMUINV_TG_ANY, SMMUINV_TG_ANY);
	assert_int_equal(
		smmuinv_vsmmu_note_cd(
			sample->s.vsmmu,
			&(struct smmuinv_cd){
				.size = sizeof(struct smmuinv_cd),
				.valid = true,
				.asid = 0x1234,
				.walks = { true, true },
				.tg = { SMMUINV_TG_4K, SMMUINV_TG_64K },
			}),
		0);
	assert_int_equal(
		smmuinv_vsmmu_note_cd(sample->s.vsmmu,
				      &(struct smmuinv_cd){
					      .size = sizeof(struct smmuinv_cd),
					      .valid = true,
					      .asid = UINT16_MAX,
					      .walks = { true },
					      .tg = { SMMUINV_TG_16K },
				      }),
		0);
	save(sample->s.vsmmu, &sample->saved);
}

static void sample_close(struct sample *sample)
{
	smmus_close(&sample->s);
}

static void the_format_is_what_is_written_here(void **state)
{
	struct sample sample;
	const struct saved *s = &sample.saved;
	uint32_t asids, i;

	(void)state;
	sample_open(&sample);
	asids = word_get(s, W_ASIDS);
	assert_memory_equal(s->bytes, "SMMV", 4);
	assert_int_equal(word_get(s, W_VERSION), 1);
	for (i = 0; i < 6; i++)
		assert_int_equal(word_get(s, W_IDR + i), everything.idr[i]);
	assert_int_equal(word_get(s, W_FLAGS), SMMUINV_CHECK_STRICT);
	assert_int_equal(word_get(s, W_STREAMS), 3);
	assert_int_equal(word_get(s, W_RESERVED), 0);
	assert_int_equal(word_get(s, W_LISTS), 0);
	assert_int_equal(word_get(s, W_LISTS + 1), 0);
	assert_int_equal(word_get(s, W_LISTS + 2), 8);
	assert_int_equal(word_get(s, W_LISTS + 3), 1);
	assert_int_equal(word_get(s, W_LISTS + 4), UINT32_MAX);
	assert_int_equal(word_get(s, W_LISTS + 5), 3);
	/* A bit for each granule: of the lower half, and of the upper. */
	assert_int_equal(word_get(s, W_LISTS + 6 + asids - 2), 0x12340082);
	assert_int_equal(word_get(s, W_LISTS + 6 + asids - 1), 0xffff0004);
	assert_int_equal(s->length, 4 * (W_LISTS + 6 + asids));
	sample_close(&sample);
}

static void its_streams_are_told_in_order(void **state)
{
	static const uint32_t vsids[] = { 0, 8, UINT32_MAX };
	struct smmuinv_state_stream stream = { .size = sizeof(stream) };
	struct sample sample;
	uint32_t i;

	(void)state;
	sample_open(&sample);
	for (i = 0; i < 3; i++) {
		assert_int_equal(smmuinv_state_stream(sample.saved.bytes,
						      sample.saved.length, i,
						      &stream),
				 0);
		assert_int_equal(stream.size, sizeof(stream));
		assert_int_equal(stream.vsid, vsids[i]);
		assert_int_equal(stream.translates, i > 0);
		assert_int_equal(stream.ats, i == 2);
	}
	assert_int_equal(smmuinv_state_stream(sample.saved.bytes,
					      sample.saved.length, 3, &stream),
			 -ENOENT);
	sample_close(&sample);
}

static void without_room_for_all_nothing_is_written(void **state)
{
	unsigned char bytes[BYTES_MAX];
	struct sample sample;
	size_t capacity, i;

	(void)state;
	sample_open(&sample);
	assert_int_equal(smmuinv_state_save(sample.s.vsmmu, NULL, 0),
			 sample.saved.length);
	for (capacity = 0; capacity < sample.saved.length; capacity++) {
		memset(bytes, 0xa5, sizeof(bytes));
		assert_int_equal(
			smmuinv_state_save(sample.s.vsmmu, bytes, capacity),
			sample.saved.length);
		for (i = 0; i < sizeof(bytes); i++)
			assert_int_equal(bytes[i], 0xa5);
	}
	assert_int_equal(
		smmuinv_state_save(sample.s.vsmmu, bytes, sample.saved.length),
		sample.saved.length);
	assert_memory_equal(bytes, sample.saved.bytes, sample.saved.length);
	assert_int_equal(bytes[sample.saved.length], 0xa5);
	sample_close(&sample);
}

static enum smmuinv_state_rule rule_of_bit(size_t byte)
{
	switch (byte / 4) {
	case W_MAGIC:
		return SMMUINV_STATE_RULE_MAGIC;
	case W_VERSION:
		return SMMUINV_STATE_RULE_VERSION;
	case W_STREAMS:
	case W_ASIDS:
		return SMMUINV_STATE_RULE_SHORT;
	default:
		return SMMUINV_STATE_RULE_CHECKSUM;
	}
}

static void every_flipped_bit_is_noticed(void **state)
{
	struct sample sample;
	size_t bit;

	(void)state;
	sample_open(&sample);
	for (bit = 0; bit < 8 * sample.saved.length; bit++) {
		struct saved changed = sample.saved;

		changed.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_refused(&changed, sample.s.vsmmu, rule_of_bit(bit / 8));
	}
	sample_close(&sample);
}

static void every_other_length_is_noticed(void **state)
{
	struct sample sample;
	size_t length;

	(void)state;
	sample_open(&sample);
	for (length = 0; length < sample.saved.length + 40; length++) {
		struct saved changed = sample.saved;

		if (length == sample.saved.length)
			continue;
		changed.length = length;
		assert_refused(&changed, sample.s.vsmmu,
			       SMMUINV_STATE_RULE_SHORT);
	}
	sample_close(&sample);
}

/* Numbers of streams and ASIDs whose sum of bytes would wrap. */
static void numbers_that_no_memory_could_hold_are_refused(void **state)
{
	static const uint32_t numbers[] = { 1u << 29, 1u << 30, 1u << 31,
					    UINT32_MAX };
	struct sample sample;
	uint32_t i, k;

	(void)state;
	sample_open(&sample);
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		for (k = W_STREAMS; k <= W_ASIDS; k++) {
			struct saved changed = sample.saved;

			word_set(&changed, k, numbers[i]);
			make_right(&changed);
			assert_refused(&changed, sample.s.vsmmu,
				       SMMUINV_STATE_RULE_SHORT);
			word_set(&changed, k,
				 word_get(&sample.saved, k) + numbers[i]);
			make_right(&changed);
			assert_refused(&changed, sample.s.vsmmu,
				       SMMUINV_STATE_RULE_SHORT);
		}
	}
	sample_close(&sample);
}

/* Who made it knows the checksum, but has been careless. */
static void content_that_is_never_saved_is_refused(void **state)
{
	/* Words, and what to put there: of streams, ASIDs and the head. */
	const struct {
		uint32_t word;
		uint32_t value;
	} careless[] = {
		{ W_FLAGS, 2 },
		{ W_FLAGS, 0x80000001 },
		{ W_RESERVED, 1 },
		{ W_LISTS + 1, 4 },          /* an unknown state */
		{ W_LISTS + 1, 2 },          /* ATS without translation */
		{ W_LISTS + 3, 0x80000001 }, /* an unknown state */
		{ W_LISTS + 2, 0 },          /* twice the same */
		{ W_LISTS + 4, 8 },          /* likewise */
		{ W_LISTS + 4, 7 },          /* out of order */
		{ W_LISTS + 0, 9 },          /* likewise */
		{ W_LISTS + 6, 0x12340000 }, /* no granule noted */
		{ W_LISTS + 6, 0x12340182 }, /* a bit between */
		{ W_LISTS + 7, 0x12340082 }, /* twice the same */
		{ W_LISTS + 7, 0x12330004 }, /* out of order */
	};
	struct smmuinv_state_info info;
	struct sample sample;
	uint32_t i;

	(void)state;
	vsmmu_open(&sample.s, &everything, SMMUINV_CHECK_STRICT);
	a_stream(&sample.s, 0, false, false);
	a_stream(&sample.s, 8, true, false);
	a_stream(&sample.s, UINT32_MAX, true, true);
	smmuinv__granules_add(&sample.s.vsmmu->granules, 0x1234, 0x82);
	smmuinv__granules_add(&sample.s.vsmmu->granules, 0xffff, 0x04);
	save(sample.s.vsmmu, &sample.saved);
	for (i = 0; i < ARRAY_SIZE(careless); i++) {
		struct saved changed = sample.saved;

		word_set(&changed, careless[i].word, careless[i].value);
		make_right(&changed);
		assert_refused(&changed, sample.s.vsmmu,
			       SMMUINV_STATE_RULE_CONTENT);
	}
	/* The checksum here is the library's. */
	make_right(&sample.saved);
	assert_int_equal(restore(sample.s.vsmmu, &sample.saved, &info), 0);
	sample_close(&sample);
}

static void a_later_version_is_refused_as_that(void **state)
{
	struct sample sample;

	(void)state;
	sample_open(&sample);
	word_set(&sample.saved, W_VERSION, 2);
	assert_refused(&sample.saved, sample.s.vsmmu,
		       SMMUINV_STATE_RULE_VERSION);
	/* And one that never was. */
	word_set(&sample.saved, W_VERSION, 0);
	assert_refused(&sample.saved, sample.s.vsmmu,
		       SMMUINV_STATE_RULE_VERSION);
	sample_close(&sample);
}

/* Of every feature that a host must have, one that has not got it. */
static void a_host_that_lacks_something_is_told_what(void **state)
{
	static const enum smmuinv_feature needed[] = {
		SMMUINV_FEATURE_TTF,      SMMUINV_FEATURE_ATS,
		SMMUINV_FEATURE_ASID16,   SMMUINV_FEATURE_CD2L,
		SMMUINV_FEATURE_SSIDSIZE, SMMUINV_FEATURE_BBML,
		SMMUINV_FEATURE_GRAN4K,   SMMUINV_FEATURE_GRAN16K,
		SMMUINV_FEATURE_GRAN64K,  SMMUINV_FEATURE_DS,
		SMMUINV_FEATURE_VAX,
	};
	struct smmuinv_features all = test_features_full();
	struct smmuinv_state_info info;
	struct smmus s;
	struct saved saved;
	uint32_t i;

	(void)state;
	smmus_init(&s, 1);
	s.params.guest = all;
	s.smmu[0].host = all;
	smmus_open(&s);
	save(s.vsmmu, &saved);
	assert_int_equal(check(&saved, &all, &info), 0);
	assert_int_equal(info.lacking, 0);
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		struct smmuinv_features host = all;

		spec_feature_set(&host, needed[i], 0);
		assert_int_equal(check(&saved, &host, &info), -EOPNOTSUPP);
		assert_int_equal(info.rule, SMMUINV_STATE_RULE_FEATURES);
		assert_int_equal(info.lacking, needed[i]);
		/* What it was shown is told all the same. */
		assert_memory_equal(&info.guest, &all, sizeof(all));
	}
	smmus_close(&s);
}

static void a_host_whose_choices_are_others_is_told_which(void **state)
{
	const struct {
		enum smmuinv_feature feature;
		uint32_t guest, host;
	} choices[] = {
		{ SMMUINV_FEATURE_TTENDIAN, 2, 3 },
		{ SMMUINV_FEATURE_STALL_MODEL, 1, 2 },
	};
	uint32_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(choices); i++) {
		struct smmuinv_features guest = test_features_full();
		struct smmuinv_features host;
		struct smmuinv_state_info info;
		struct saved saved;
		struct smmus s;

		smmus_init(&s, 1);
		spec_feature_set(&guest, choices[i].feature, choices[i].guest);
		s.params.guest = guest;
		s.smmu[0].host = guest;
		smmus_open(&s);
		save(s.vsmmu, &saved);
		host = guest;
		spec_feature_set(&host, choices[i].feature, choices[i].host);
		assert_int_equal(check(&saved, &host, &info), -EOPNOTSUPP);
		assert_int_equal(info.lacking, choices[i].feature);
		smmus_close(&s);
	}
}

static void ranges_of_a_guest_become_pages_where_there_are_none(void **state)
{
	const struct smmuinv_tlbi tlbi = {
		.size = sizeof(tlbi),
		.tg = SMMUINV_TG_4K,
		.num = 7,
	};
	struct smmuinv_features host = everything;
	struct smmuinv_command range;
	struct smmuinv_batch *batch;
	struct smmuinv_state_info info;
	struct smmus from, to;
	struct saved saved;

	(void)state;
	assert_int_equal(smmuinv_command_tlbi_nh_va(&range, &tlbi), 0);
	vsmmu_open(&from, &everything, 0);
	save(from.vsmmu, &saved);
	host.idr[3] = 0; /* no RIL */
	assert_int_equal(check(&saved, &host, &info), 0);
	smmus_init(&to, 1);
	to.params.guest = info.guest;
	to.smmu[0].host = host;
	smmus_open(&to);
	assert_int_equal(restore(to.vsmmu, &saved, &info), 0);
	assert_int_equal(smmuinv_batch_new(to.vsmmu, 1, &batch), 0);
	assert_int_equal(smmuinv_batch_add(batch, &range, NULL), 0);
	assert_int_equal(smmuinv_batch_flush(batch, NULL), 0);
	assert_int_equal(smmus_executed(&to, 0), 8);
	smmuinv_batch_free(batch);
	smmus_close(&from);
	smmus_close(&to);
}

/* Any bit of any register, also one that is no feature; and strictness. */
static void the_state_of_another_guest_is_refused(void **state)
{
	struct sample sample;
	unsigned int bit;

	(void)state;
	sample_open(&sample);
	for (bit = 0; bit <= 192; bit++) {
		struct saved changed = sample.saved;
		struct smmuinv_state_info info;
		uint32_t word = W_IDR + bit / 32;

		word_set(&changed, word,
			 word_get(&changed, word) ^ 1u << bit % 32);
		make_right(&changed);
		assert_int_equal(check(&changed, NULL, &info), 0);
		assert_int_equal(restore(sample.s.vsmmu, &changed, &info),
				 -EOPNOTSUPP);
		assert_int_equal(info.rule, SMMUINV_STATE_RULE_GUEST);
		assert_int_equal(info.streams, 3);
	}
	sample_close(&sample);
}

static void a_missing_stream_is_named_and_nothing_is_changed(void **state)
{
	static const uint32_t vsids[] = { 0, 8, UINT32_MAX };
	struct sample sample;
	uint32_t missing, i;

	(void)state;
	sample_open(&sample);
	for (missing = 0; missing < 3; missing++) {
		struct smmuinv_state_info info;
		struct smmus to;

		vsmmu_open(&to, &everything, SMMUINV_CHECK_STRICT);
		for (i = 0; i < 3; i++) {
			if (i != missing)
				a_stream(&to, vsids[i], false, false);
		}
		assert_int_equal(restore(to.vsmmu, &sample.saved, &info),
				 -ENOENT);
		assert_int_equal(info.rule, SMMUINV_STATE_RULE_STREAM);
		assert_int_equal(info.vsid, vsids[missing]);
		assert_int_equal(
			smmuinv__granules_sets(&to.vsmmu->granules, 0x1234), 0);
		for (i = 0; i < 3; i++) {
			struct smmuinv_stream_info stream = { .size = sizeof(
								      stream) };

			if (i == missing)
				continue;
			assert_int_equal(smmuinv_streams_find(
						 to.streams, vsids[i], &stream),
					 0);
			assert_false(stream.translates);
		}
		a_stream(&to, vsids[missing], false, false);
		assert_int_equal(restore(to.vsmmu, &sample.saved, &info), 0);
		assert_int_equal(info.vsid, 0);
		smmus_close(&to);
	}
	sample_close(&sample);
}

static void a_stream_that_is_not_in_the_state_stays_as_it_is(void **state)
{
	struct smmuinv_stream_info stream = { .size = sizeof(stream) };
	struct smmuinv_state_info info;
	struct sample sample;

	(void)state;
	sample_open(&sample);
	a_stream(&sample.s, 99, true, true);
	assert_int_equal(restore(sample.s.vsmmu, &sample.saved, &info), 0);
	assert_int_equal(smmuinv_streams_find(sample.s.streams, 99, &stream),
			 0);
	assert_true(stream.translates);
	assert_true(stream.ats);
	sample_close(&sample);
}

struct noter {
	struct smmuinv_vsmmu *vsmmu;
	bool stop;
};

static void *note_and_forget(void *opaque)
{
	struct noter *n = opaque;
	uint16_t asid = 0;

	while (!__atomic_load_n(&n->stop, __ATOMIC_RELAXED)) {
		const struct smmuinv_cd cd = {
			.size = sizeof(cd),
			.valid = true,
			.asid = asid++,
			.walks = { true, true },
			.tg = { SMMUINV_TG_4K, SMMUINV_TG_4K },
		};

		(void)smmuinv_vsmmu_note_cd(n->vsmmu, &cd);
		if (asid % 256 == 255)
			smmuinv__granules_forget(&n->vsmmu->granules);
	}
	return NULL;
}

/* A buffer of exactly the size that it took before, or as much as it takes. */
static void notes_that_come_meanwhile_do_no_harm(void **state)
{
	size_t tries = test_iterations(400);
	struct sample sample;
	struct noter noter = { 0 };
	pthread_t thread;

	(void)state;
	sample_open(&sample);
	noter.vsmmu = sample.s.vsmmu;
	assert_int_equal(pthread_create(&thread, NULL, note_and_forget, &noter),
			 0);
	while (tries--) {
		struct smmuinv_state_info info = { .size = sizeof(info) };
		int64_t room = smmuinv_state_save(sample.s.vsmmu, NULL, 0);
		unsigned char *bytes = malloc((size_t)room);
		int64_t length;

		assert_non_null(bytes);
		length =
			smmuinv_state_save(sample.s.vsmmu, bytes, (size_t)room);
		if (length <= room)
			assert_int_equal(smmuinv_state_check(bytes,
							     (size_t)length,
							     NULL, &info),
					 0);
		free(bytes);
	}
	__atomic_store_n(&noter.stop, true, __ATOMIC_RELAXED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	sample_close(&sample);
}

static void null_and_wrong_sizes_are_invalid(void **state)
{
	struct smmuinv_state_stream stream = { .size = sizeof(stream) };
	struct smmuinv_state_info info = { .size = sizeof(info) };
	struct sample sample;
	const void *bytes = sample.saved.bytes;
	size_t n;

	(void)state;
	sample_open(&sample);
	n = sample.saved.length;
	assert_int_equal(smmuinv_state_save(NULL, NULL, 0), -EINVAL);
	assert_int_equal(smmuinv_state_save(sample.s.vsmmu, NULL, 1), -EINVAL);
	assert_int_equal(smmuinv_state_check(NULL, n, NULL, &info), -EINVAL);
	assert_int_equal(smmuinv_state_check(bytes, n, NULL, NULL), -EINVAL);
	assert_int_equal(smmuinv_state_stream(NULL, n, 0, &stream), -EINVAL);
	assert_int_equal(smmuinv_state_stream(bytes, n, 0, NULL), -EINVAL);
	assert_int_equal(smmuinv_state_restore(NULL, bytes, n, &info), -EINVAL);
	assert_int_equal(smmuinv_state_restore(sample.s.vsmmu, NULL, n, &info),
			 -EINVAL);
	assert_int_equal(smmuinv_state_restore(sample.s.vsmmu, bytes, n, NULL),
			 -EINVAL);
	info.size--;
	stream.size--;
	assert_int_equal(smmuinv_state_check(bytes, n, NULL, &info), -EINVAL);
	assert_int_equal(smmuinv_state_stream(bytes, n, 0, &stream), -EINVAL);
	assert_int_equal(smmuinv_state_restore(sample.s.vsmmu, bytes, n, &info),
			 -EINVAL);
	sample_close(&sample);
}

static void every_rule_has_a_text_of_its_own(void **state)
{
	uint32_t a, b;

	(void)state;
	for (a = 0; a < SMMUINV_STATE_RULE_COUNT; a++) {
		assert_string_not_equal(smmuinv_state_rule_text(a), "?");
		for (b = 0; b < a; b++)
			assert_string_not_equal(smmuinv_state_rule_text(a),
						smmuinv_state_rule_text(b));
	}
	assert_string_equal(smmuinv_state_rule_text(a), "?");
	assert_string_equal(smmuinv_state_rule_text(UINT32_MAX), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test(test)
		T(what_is_saved_is_restored),
		T(pages_merge_after_it_as_they_did_before),
		T(granules_come_to_those_that_are_known),
		T(ats_is_not_restored_for_a_device_without),
		T(the_format_is_what_is_written_here),
		T(its_streams_are_told_in_order),
		T(without_room_for_all_nothing_is_written),
		T(every_flipped_bit_is_noticed),
		T(every_other_length_is_noticed),
		T(numbers_that_no_memory_could_hold_are_refused),
		T(content_that_is_never_saved_is_refused),
		T(a_later_version_is_refused_as_that),
		T(a_host_that_lacks_something_is_told_what),
		T(a_host_whose_choices_are_others_is_told_which),
		T(ranges_of_a_guest_become_pages_where_there_are_none),
		T(the_state_of_another_guest_is_refused),
		T(a_missing_stream_is_named_and_nothing_is_changed),
		T(a_stream_that_is_not_in_the_state_stays_as_it_is),
		T(notes_that_come_meanwhile_do_no_harm),
		T(null_and_wrong_sizes_are_invalid),
		T(every_rule_has_a_text_of_its_own),
#undef T
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
