/* SPDX-License-Identifier: MIT */
/*
 * A saved state from strangers' hands: it is refused with a reason and without
 * an effect, or it is one that would be saved like this.
 */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct head {
	uint8_t host_idr[24];
	uint8_t flags; /* FUZZ_HOST_ATS and below */
	uint8_t spare[7];
};

/* What a stranger can do as well as the library. */
#define MAKE_NUMBERS_FIT (1u << 4) /* and the first words */
#define MAKE_SUM_RIGHT   (1u << 5)
/* The last stream is not where the guest arrives. */
#define LOSE_A_STREAM (1u << 6)

/* Where things are: tests/state.c. */
enum {
	AT_SUM = 8,
	AT_SUMMED = 16,
	AT_STREAMS = 44,
	AT_ASIDS = 48,
	HEAD_BYTES = 56,
};

#define STREAMS_MAX 64

/* A state as the library gets it, and what it says of it. */
struct subject {
	uint8_t *bytes; /* of exactly this length */
	size_t length;
	struct smmuinv_features host;
	struct smmuinv_state_info info;
	int rc;
};

/* Where the guest arrives. */
struct place {
	struct smmuinv_mock *mock;
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	uint32_t viommu;
	uint32_t streams; /* so many of the state's are there */
};

static void put_u32(uint8_t *bytes, uint32_t value)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
}

static void make_numbers_fit(struct subject *s)
{
	static const uint8_t begin[8] = { 'S', 'M', 'M', 'V', 1 };
	uint32_t words = (uint32_t)(s->length - HEAD_BYTES) / 4;
	uint32_t streams = fuzz_u32(s->bytes + AT_STREAMS) % (words / 2 + 1);

	memcpy(s->bytes, begin, sizeof(begin));
	put_u32(s->bytes + AT_STREAMS, streams);
	put_u32(s->bytes + AT_ASIDS, words - 2 * streams);
}

static void make_sum_right(struct subject *s)
{
	uint64_t sum = UINT64_C(14695981039346656037);
	size_t i;

	for (i = AT_SUMMED; i < s->length; i++)
		sum = (sum ^ s->bytes[i]) * UINT64_C(1099511628211);
	put_u32(s->bytes + AT_SUM, (uint32_t)sum);
	put_u32(s->bytes + AT_SUM + 4, (uint32_t)(sum >> 32));
}

static void subject_open(struct subject *s, const struct head *head,
			 const uint8_t *data, size_t size)
{
	size_t begin = size < sizeof(*head) ? size : sizeof(*head);

	*s = (struct subject){ .length = size - begin };
	s->bytes = malloc(s->length ? s->length : 1);
	must(s->bytes);
	if (s->length)
		memcpy(s->bytes, data + begin, s->length);
	if (s->length >= HEAD_BYTES && head->flags & MAKE_NUMBERS_FIT)
		make_numbers_fit(s);
	if (s->length >= HEAD_BYTES && head->flags & MAKE_SUM_RIGHT)
		make_sum_right(s);
	fuzz_host(&s->host, head->host_idr, head->flags & FUZZ_HOST_ATS);
	s->info.size = sizeof(s->info);
	s->rc = smmuinv_state_check(s->bytes, s->length, NULL, &s->info);
}

static void the_answer_makes_sense(const struct subject *s)
{
	struct smmuinv_state_info info = { .size = sizeof(info) };
	enum smmuinv_feature lacking;
	int rc = smmuinv_state_check(s->bytes, s->length, &s->host, &info);

	must(s->rc == 0 || s->rc == -EBADMSG);
	must(!s->rc == (s->info.rule == SMMUINV_STATE_RULE_NONE));
	must(s->info.rule <= SMMUINV_STATE_RULE_CONTENT);
	must(strcmp(smmuinv_state_rule_text(s->info.rule), "?") != 0);
	if (s->rc) {
		must(rc == s->rc && info.rule == s->info.rule);
		return;
	}
	must(rc ==
	     smmuinv_features_compatible(&s->info.guest, &s->host, &lacking));
	must(!rc || info.rule == SMMUINV_STATE_RULE_FEATURES);
	must(!rc || info.lacking == (uint32_t)lacking);
}

static int stream_at(const struct subject *s, uint32_t index,
		     struct smmuinv_state_stream *stream)
{
	*stream = (struct smmuinv_state_stream){ .size = sizeof(*stream) };
	return smmuinv_state_stream(s->bytes, s->length, index, stream);
}

static void streams_are_in_order(const struct subject *s)
{
	struct smmuinv_state_stream stream;
	uint64_t next = 0;
	uint32_t i;

	if (s->info.rule && s->info.rule <= SMMUINV_STATE_RULE_VERSION)
		must(stream_at(s, 0, &stream) == -EBADMSG);
	/* Of what was not accepted there are others where none can be. */
	if (s->rc) {
		must(stream_at(s, UINT32_MAX, &stream) < 0);
		return;
	}
	for (i = 0; i < s->info.streams; i++) {
		must(!stream_at(s, i, &stream));
		must(stream.vsid >= next);
		must(stream.translates || !stream.ats);
		next = stream.vsid + UINT64_C(1);
	}
	must(stream_at(s, i, &stream) == -ENOENT);
	must(stream_at(s, UINT32_MAX, &stream) == -ENOENT);
}

static void add_streams(struct place *p, const struct subject *s, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct smmuinv_stream_params params = {
			.size = sizeof(params),
			.viommu_id = p->viommu,
			.ats = true,
		};
		struct smmuinv_state_stream stream;

		must(!stream_at(s, i, &stream));
		must(!smmuinv_mock_add_device(p->mock, &params.dev_id));
		params.vsid = stream.vsid;
		must(!smmuinv_streams_add(smmuinv_vsmmu_streams(p->vsmmu),
					  &params));
		p->streams++;
	}
}

/* A host that can carry everything but what no host can. */
static void place_open(struct place *p, const struct subject *s, bool lose)
{
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = s->info.guest,
	};
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.guest = s->info.guest,
		.host = s->info.guest,
		.check_flags = s->info.check_flags,
	};
	uint32_t n = s->info.streams;

	*p = (struct place){ .streams = 0 };
	must(!smmuinv_mock_new(&mock, &p->mock));
	must(!smmuinv_mock_backend(p->mock, &p->backend));
	must(!smmuinv_mock_add_viommu(p->mock, &p->viommu));
	params.backend = p->backend;
	if (!smmuinv_features_compatible(&params.guest, &params.host, NULL))
		params.viommu_id = p->viommu;
	must(!smmuinv_vsmmu_new(&params, &p->vsmmu));
	if (params.viommu_id && n <= STREAMS_MAX)
		add_streams(p, s, n - (lose && n));
}

static void place_close(struct place *p)
{
	smmuinv_vsmmu_free(p->vsmmu);
	smmuinv_backend_free(p->backend);
	smmuinv_mock_free(p->mock);
}

/* The state of the place now; free it. */
static uint8_t *saved(struct place *p, size_t *length)
{
	int64_t n = smmuinv_state_save(p->vsmmu, NULL, 0);
	uint8_t *bytes;

	must(n >= HEAD_BYTES);
	*length = (size_t)n;
	bytes = malloc(*length);
	must(bytes);
	must(smmuinv_state_save(p->vsmmu, bytes, *length) == n);
	return bytes;
}

static void what_was_refused_is_not_restored(const struct subject *s,
					     struct place *p)
{
	struct smmuinv_state_info info = { .size = sizeof(info) };

	must(smmuinv_state_restore(p->vsmmu, s->bytes, s->length, &info) ==
	     -EBADMSG);
	must(info.rule == s->info.rule);
}

static void it_is_restored_whole_or_not_at_all(const struct subject *s,
					       struct place *p)
{
	struct smmuinv_state_info info = { .size = sizeof(info) };
	size_t before_length, after_length;
	uint8_t *before = saved(p, &before_length);
	int rc = smmuinv_state_restore(p->vsmmu, s->bytes, s->length, &info);
	uint8_t *after = saved(p, &after_length);

	if (p->streams < s->info.streams) {
		must(rc == -ENOENT && info.rule == SMMUINV_STATE_RULE_STREAM);
		must(after_length == before_length);
		must(!memcmp(after, before, after_length));
	} else {
		must(!rc && info.rule == SMMUINV_STATE_RULE_NONE);
		must(after_length == s->length);
		must(!memcmp(after, s->bytes, after_length));
	}
	free(before);
	free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct subject s;
	struct place p;
	struct head head;

	fuzz_head(&head, sizeof(head), data, size);
	subject_open(&s, &head, data, size);
	the_answer_makes_sense(&s);
	streams_are_in_order(&s);
	place_open(&p, &s, head.flags & LOSE_A_STREAM);
	if (s.rc)
		what_was_refused_is_not_restored(&s, &p);
	else
		it_is_restored_whole_or_not_at_all(&s, &p);
	place_close(&p);
	free(s.bytes);
	return 0;
}
