/* SPDX-License-Identifier: MIT */
#include <smmuinv/state.h>

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <smmuinv/check.h>

#include "params.h"
#include "stream.h"
#include "vsmmu.h"

/*
 * Little-endian, one after the other: the head; so many streams; so many ASIDs
 * with the granules that were noted. The checksum is of all that follows it.
 */
#define MAGIC   UINT32_C(0x564d4d53) /* "SMMV" */
#define VERSION 1

enum {
	IDRS = 6,
	HEAD_SUMMED = 16, /* magic, version, checksum */
	HEAD_BYTES = HEAD_SUMMED + 4 * IDRS + 16,
	STREAM_BYTES = 8,
	ASID_BYTES = 4,
};

#define STREAM_TRANSLATES 1u
#define STREAM_ATS        2u

/* Where bytes are written to or read from; counted always. */
struct cursor {
	unsigned char *out;
	const unsigned char *in;
	size_t at;
};

static void put(struct cursor *c, uint32_t value)
{
	const uint32_t le = htole32(value);

	if (c->out)
		memcpy(c->out + c->at, &le, sizeof(le));
	c->at += sizeof(le);
}

static uint32_t get(struct cursor *c)
{
	uint32_t le;

	memcpy(&le, c->in + c->at, sizeof(le));
	c->at += sizeof(le);
	return le32toh(le);
}

/* FNV-1a, against accidents: who means harm can compute it too. */
static uint64_t checksum(const unsigned char *bytes, size_t n)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	size_t i;

	for (i = 0; i < n; i++)
		sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static uint32_t put_streams(struct cursor *c, const struct smmuinv_vsmmu *v)
{
	const struct stream *stream = smmuinv__streams_from(v->streams, 0);
	uint32_t n = 0;

	for (; stream; n++) {
		put(c, stream->vsid);
		put(c, (stream->translates ? STREAM_TRANSLATES : 0) |
			       (stream->ats ? STREAM_ATS : 0));
		if (stream->vsid == UINT32_MAX)
			return n + 1;
		stream = smmuinv__streams_from(v->streams, stream->vsid + 1);
	}
	return n;
}

/* No more than @most: granules may be noted meanwhile. */
static uint32_t put_asids(struct cursor *c, const struct granules *granules,
			  uint32_t most)
{
	uint32_t n = 0;
	uint32_t asid;

	for (asid = 0; asid < GRANULE_ASIDS && n < most; asid++) {
		uint8_t sets = smmuinv__granules_sets(granules, (uint16_t)asid);

		if (!sets)
			continue;
		put(c, asid << 16 | sets);
		n++;
	}
	return n;
}

static void put_head(struct cursor *c, const struct smmuinv_vsmmu *v,
		     uint32_t streams, uint32_t asids, uint64_t sum)
{
	unsigned int i;

	put(c, MAGIC);
	put(c, VERSION);
	put(c, (uint32_t)sum);
	put(c, (uint32_t)(sum >> 32));
	for (i = 0; i < IDRS; i++)
		put(c, v->guest.idr[i]);
	put(c, v->check.strict ? SMMUINV_CHECK_STRICT : 0);
	put(c, streams);
	put(c, asids);
	put(c, 0);
}

/* With the table held: once to count, and once to write. */
static int64_t save(const struct smmuinv_vsmmu *v, unsigned char *bytes,
		    size_t capacity)
{
	struct cursor c = { .at = HEAD_BYTES };
	struct cursor head = { .out = bytes };
	uint32_t streams = put_streams(&c, v);
	uint32_t asids = put_asids(&c, &v->granules, GRANULE_ASIDS);

	if (c.at > capacity)
		return (int64_t)c.at;
	c = (struct cursor){ .out = bytes, .at = HEAD_BYTES };
	put_streams(&c, v);
	asids = put_asids(&c, &v->granules, asids);
	put_head(&head, v, streams, asids, 0);
	head.at = 0;
	put_head(&head, v, streams, asids,
		 checksum(bytes + HEAD_SUMMED, c.at - HEAD_SUMMED));
	return (int64_t)c.at;
}

int64_t smmuinv_state_save(struct smmuinv_vsmmu *vsmmu, void *bytes,
			   size_t capacity)
{
	int64_t length;

	if (!vsmmu || (!bytes && capacity))
		return -EINVAL;
	smmuinv__streams_hold(vsmmu->streams);
	length = save(vsmmu, bytes, capacity);
	smmuinv__streams_release(vsmmu->streams);
	return length;
}

/* A saved state, with its lists. */
struct saved {
	const unsigned char *bytes;
	struct smmuinv_features guest;
	uint64_t sum;
	uint32_t check_flags;
	uint32_t streams;
	uint32_t asids;
	uint32_t reserved;
};

static struct smmuinv_state_stream stream_at(const struct saved *s,
					     uint32_t index)
{
	struct cursor c = {
		.in = s->bytes,
		.at = HEAD_BYTES + (size_t)index * STREAM_BYTES,
	};
	uint32_t vsid = get(&c);
	uint32_t flags = get(&c);

	return (struct smmuinv_state_stream){
		.size = flags & ~(STREAM_TRANSLATES | STREAM_ATS),
		.vsid = vsid,
		.translates = flags & STREAM_TRANSLATES,
		.ats = flags & STREAM_ATS,
	};
}

/* The ASID above, its sets below. */
static uint32_t asid_at(const struct saved *s, uint32_t index)
{
	struct cursor c = {
		.in = s->bytes,
		.at = HEAD_BYTES + (size_t)s->streams * STREAM_BYTES +
		      (size_t)index * ASID_BYTES,
	};

	return get(&c);
}

/* What can be said without reading the rest. */
static uint32_t read_head(struct saved *s, const void *bytes, size_t length)
{
	struct cursor c = { .in = bytes };
	unsigned int i;

	*s = (struct saved){ .bytes = bytes };

	if (length < HEAD_BYTES)
		return SMMUINV_STATE_RULE_SHORT;
	if (get(&c) != MAGIC)
		return SMMUINV_STATE_RULE_MAGIC;
	if (get(&c) != VERSION)
		return SMMUINV_STATE_RULE_VERSION;
	s->sum = get(&c);
	s->sum |= (uint64_t)get(&c) << 32;
	for (i = 0; i < IDRS; i++)
		s->guest.idr[i] = get(&c);
	s->check_flags = get(&c);
	s->streams = get(&c);
	s->asids = get(&c);
	if (length != HEAD_BYTES + (uint64_t)s->streams * STREAM_BYTES +
			      (uint64_t)s->asids * ASID_BYTES)
		return SMMUINV_STATE_RULE_SHORT;
	s->reserved = get(&c);
	return SMMUINV_STATE_RULE_NONE;
}

/* In order, without doubles, and nothing that save() does not write. */
static bool lists_valid(const struct saved *s)
{
	uint64_t before = 0;
	uint32_t i;

	for (i = 0; i < s->streams; i++) {
		const struct smmuinv_state_stream stream = stream_at(s, i);

		if (stream.size || (stream.ats && !stream.translates) ||
		    stream.vsid + UINT64_C(1) <= before)
			return false;
		before = stream.vsid + UINT64_C(1);
	}
	before = 0;
	for (i = 0; i < s->asids; i++) {
		uint32_t asid = asid_at(s, i);

		if (!(asid & UINT8_MAX) || asid >> 8 & UINT8_MAX ||
		    (asid >> 16) + UINT64_C(1) <= before)
			return false;
		before = (asid >> 16) + UINT64_C(1);
	}
	return !(s->check_flags & ~SMMUINV_CHECK_STRICT);
}

static uint32_t read_saved(struct saved *s, const void *bytes, size_t length)
{
	uint32_t rule = read_head(s, bytes, length);

	if (rule != SMMUINV_STATE_RULE_NONE)
		return rule;
	if (checksum(s->bytes + HEAD_SUMMED, length - HEAD_SUMMED) != s->sum)
		return SMMUINV_STATE_RULE_CHECKSUM;
	return s->reserved || !lists_valid(s) ? SMMUINV_STATE_RULE_CONTENT :
						SMMUINV_STATE_RULE_NONE;
}

static struct smmuinv_state_info info_of(const struct saved *s, uint32_t rule)
{
	if (rule != SMMUINV_STATE_RULE_NONE)
		return (struct smmuinv_state_info){ .rule = rule };
	return (struct smmuinv_state_info){
		.guest = s->guest,
		.check_flags = s->check_flags,
		.streams = s->streams,
	};
}

int smmuinv_state_check(const void *bytes, size_t length,
			const struct smmuinv_features *host,
			struct smmuinv_state_info *info)
{
	struct smmuinv_state_info i;
	enum smmuinv_feature lacking;
	struct saved s;
	int rc = 0;

	if (!bytes || !info || !PARAMS_WRITABLE(info))
		return -EINVAL;
	i = info_of(&s, read_saved(&s, bytes, length));
	if (i.rule != SMMUINV_STATE_RULE_NONE)
		rc = -EBADMSG;
	else if (host)
		rc = smmuinv_features_compatible(&s.guest, host, &lacking);
	if (rc == -EOPNOTSUPP) {
		i.rule = SMMUINV_STATE_RULE_FEATURES;
		i.lacking = lacking;
	}
	PARAMS_STORE(info, &i);
	return rc;
}

int smmuinv_state_stream(const void *bytes, size_t length, uint32_t index,
			 struct smmuinv_state_stream *stream)
{
	struct smmuinv_state_stream found;
	struct saved s;

	if (!bytes || !stream || !PARAMS_WRITABLE(stream))
		return -EINVAL;
	/* All of it was read when it was accepted: not again for each. */
	if (read_head(&s, bytes, length) != SMMUINV_STATE_RULE_NONE)
		return -EBADMSG;
	if (index >= s.streams)
		return -ENOENT;
	found = stream_at(&s, index);
	PARAMS_STORE(stream, &found);
	return 0;
}

/* With the table locked. Nothing is changed before everything is there. */
static int restore(struct smmuinv_vsmmu *v, const struct saved *s,
		   struct smmuinv_state_info *info)
{
	uint32_t i;

	for (i = 0; i < s->streams; i++) {
		info->vsid = stream_at(s, i).vsid;
		if (smmuinv__streams_get(v->streams, info->vsid))
			continue;
		info->rule = SMMUINV_STATE_RULE_STREAM;
		return -ENOENT;
	}
	info->vsid = 0;
	for (i = 0; i < s->streams; i++) {
		const struct smmuinv_state_stream from = stream_at(s, i);

		smmuinv__stream_set(smmuinv__streams_get(v->streams, from.vsid),
				    from.translates, from.ats);
	}
	for (i = 0; i < s->asids; i++)
		smmuinv__granules_add(&v->granules,
				      (uint16_t)(asid_at(s, i) >> 16),
				      (uint8_t)asid_at(s, i));
	return 0;
}

static bool shows_the_same(const struct smmuinv_vsmmu *v, const struct saved *s)
{
	uint32_t flags = v->check.strict ? SMMUINV_CHECK_STRICT : 0;

	return !memcmp(&v->guest, &s->guest, sizeof(s->guest)) &&
	       flags == s->check_flags;
}

int smmuinv_state_restore(struct smmuinv_vsmmu *vsmmu, const void *bytes,
			  size_t length, struct smmuinv_state_info *info)
{
	struct smmuinv_state_info i;
	struct saved s;
	int rc;

	if (!vsmmu || !bytes || !info || !PARAMS_WRITABLE(info))
		return -EINVAL;
	i = info_of(&s, read_saved(&s, bytes, length));
	if (i.rule != SMMUINV_STATE_RULE_NONE) {
		rc = -EBADMSG;
	} else if (!shows_the_same(vsmmu, &s)) {
		i.rule = SMMUINV_STATE_RULE_GUEST;
		rc = -EOPNOTSUPP;
	} else {
		smmuinv__streams_lock(vsmmu->streams);
		rc = restore(vsmmu, &s, &i);
		smmuinv__streams_unlock(vsmmu->streams);
	}
	PARAMS_STORE(info, &i);
	return rc;
}

const char *smmuinv_state_rule_text(uint32_t rule)
{
	static const char *const texts[SMMUINV_STATE_RULE_COUNT] = {
		[SMMUINV_STATE_RULE_NONE] = "nothing is wrong",
		[SMMUINV_STATE_RULE_SHORT] = "its length is not what it says",
		[SMMUINV_STATE_RULE_MAGIC] = "it is no saved state",
		[SMMUINV_STATE_RULE_VERSION] =
			"its version is not one that this library reads",
		[SMMUINV_STATE_RULE_CHECKSUM] =
			"it is not as it was when it was saved",
		[SMMUINV_STATE_RULE_CONTENT] = "a number is out of its range",
		[SMMUINV_STATE_RULE_FEATURES] =
			"the host's SMMU lacks what the guest was shown",
		[SMMUINV_STATE_RULE_GUEST] =
			"the virtual SMMU shows the guest something else",
		[SMMUINV_STATE_RULE_STREAM] =
			"a stream is not in the virtual SMMU's table",
	};

	if (rule >= SMMUINV_STATE_RULE_COUNT)
		return "?";
	return texts[rule];
}
