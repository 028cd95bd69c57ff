/* SPDX-License-Identifier: MIT */
#include <smmuinv/range.h>

#include <errno.h>

#include "command.h"
#include "params.h"

/* Where commands go: counted always, written when there is room for all. */
struct sink {
	struct smmuinv_command *out;
	int64_t count;
};

static void sink_put(struct sink *sink, const struct smmuinv_command *command)
{
	if (sink->out)
		sink->out[sink->count] = *command;
	sink->count++;
}

static uint8_t granule_tg(uint64_t granule)
{
	switch (granule) {
	case 4096:
		return SMMUINV_TG_4K;
	case 16384:
		return SMMUINV_TG_16K;
	default:
		return SMMUINV_TG_64K;
	}
}

static unsigned int log2_of(uint64_t power_of_two)
{
	return (unsigned int)__builtin_ctzll(power_of_two);
}

/*
 * What one leaf entry at a level maps: a table has granule / 8 descriptors, and
 * level 3 maps granules.
 */
static unsigned int entry_log2(const struct smmuinv_range *r)
{
	unsigned int granule = log2_of(r->granule);

	if (r->level == SMMUINV_LEVEL_UNKNOWN)
		return granule;
	return granule + (3u - r->level) * (granule - 3);
}

static bool range_valid(const struct smmuinv_range *r)
{
	uint64_t last = r->iova + (r->length - 1);
	uint64_t entry;

	if (r->granule != 4096 && r->granule != 16384 && r->granule != 65536)
		return false;
	if (r->level > 3 || !r->length || (r->all_asids && r->asid))
		return false;
	entry = UINT64_C(1) << entry_log2(r);
	if ((r->iova | r->length) & (entry - 1))
		return false;
	/* No wrap, and no step from one half into the other (4.4.1.1). */
	return last >= r->iova && !((r->iova ^ last) >> 63);
}

/* 16K level 1 leaves exist only with 52-bit addresses; 64K's are 4 TiB. */
static bool range_supported(const struct smmuinv_range *r,
			    const struct smmuinv_features *features)
{
	if (!smmuinv_features_has_granule(features, r->granule))
		return false;
	if (r->asid > UINT8_MAX &&
	    !smmuinv_features_get(features, SMMUINV_FEATURE_ASID16))
		return false;
	return r->granule != 16384 || r->level != 1 ||
	       smmuinv_features_get(features, SMMUINV_FEATURE_DS);
}

static void put_tlbi(struct sink *sink, const struct smmuinv_range *r,
		     const struct smmuinv_tlbi *tlbi)
{
	struct smmuinv_command command;

	if (r->all_asids)
		smmuinv_command_tlbi_nh_vaa(&command, tlbi);
	else
		smmuinv_command_tlbi_nh_va(&command, tlbi);
	sink_put(sink, &command);
}

static struct smmuinv_tlbi tlbi_at(const struct smmuinv_range *r, uint64_t va)
{
	return (struct smmuinv_tlbi){
		.size = sizeof(struct smmuinv_tlbi),
		.va = va,
		.asid = r->asid,
		.leaf = r->leaf,
	};
}

/* One command for each entry; it drops whatever entry its address is in. */
static int64_t entries_count(const struct smmuinv_range *r)
{
	return (int64_t)(r->length >> entry_log2(r));
}

static void put_entries(struct sink *sink, const struct smmuinv_range *r)
{
	uint64_t step = UINT64_C(1) << entry_log2(r);
	int64_t left = entries_count(r);
	struct smmuinv_tlbi tlbi = tlbi_at(r, r->iova);

	for (; left > 0; left--) {
		put_tlbi(sink, r, &tlbi);
		tlbi.va += step;
	}
}

/*
 * Ranges of (NUM + 1) << SCALE granules, the small ones first: every later one
 * starts at a multiple of its own 1 << SCALE beyond the first address, which
 * keeps the alignment that the level asks for (4.4.1.1).
 */
static void put_ranges(struct sink *sink, const struct smmuinv_range *r,
		       unsigned int scale_max)
{
	uint64_t left = r->length >> log2_of(r->granule);
	struct smmuinv_tlbi tlbi = tlbi_at(r, r->iova);

	while (left) {
		unsigned int scale = log2_of(left);
		uint64_t units;

		if (scale > scale_max)
			scale = scale_max;
		units = left >> scale;
		if (scale < scale_max)
			units &= 31;
		else if (units > 32)
			units = 32;
		tlbi.tg = granule_tg(r->granule);
		tlbi.ttl = r->level;
		tlbi.num = (uint8_t)(units - 1);
		tlbi.scale = (uint8_t)scale;
		/* TG alone is reserved: one granule of unknown level has none.
		 */
		if (!tlbi.ttl && !tlbi.num && !tlbi.scale)
			tlbi.tg = SMMUINV_TG_ANY;
		put_tlbi(sink, r, &tlbi);
		tlbi.va += (units << scale) * r->granule;
		left -= units << scale;
	}
}

static void put_tlbis(struct sink *sink, const struct smmuinv_range *r,
		      const struct smmuinv_features *features)
{
	bool ds = smmuinv_features_get(features, SMMUINV_FEATURE_DS);

	if (smmuinv_features_get(features, SMMUINV_FEATURE_RIL))
		put_ranges(sink, r, ds ? SCALE_MAX : 31);
	else
		put_entries(sink, r);
}

int64_t smmuinv_range_tlbi(const struct smmuinv_range *range,
			   const struct smmuinv_features *features,
			   struct smmuinv_command *out, size_t capacity)
{
	struct sink counted = { 0 };
	struct sink written = { .out = out };
	struct smmuinv_range r;

	if (!features || (!out && capacity) || !PARAMS_TAKE(&r, range) ||
	    !range_valid(&r))
		return -EINVAL;
	if (!range_supported(&r, features))
		return -EOPNOTSUPP;
	if (smmuinv_features_get(features, SMMUINV_FEATURE_RIL))
		put_tlbis(&counted, &r, features);
	else
		counted.count = entries_count(&r);
	if (out && (uint64_t)counted.count <= capacity)
		put_tlbis(&written, &r, features);
	return counted.count;
}

static bool atc_range_valid(const struct smmuinv_atc_range *r)
{
	if (!r->length || ((r->address | r->length) & 4095))
		return false;
	if (r->address + (r->length - 1) < r->address)
		return false;
	if (r->ssid > (DW0_SSID >> DW0_SSID_SHIFT))
		return false;
	return r->ssv || (!r->ssid && !r->global);
}

static bool atc_range_supported(const struct smmuinv_atc_range *r,
				const struct smmuinv_features *features)
{
	uint32_t bits =
		smmuinv_features_get(features, SMMUINV_FEATURE_SSIDSIZE);

	if (!smmuinv_features_get(features, SMMUINV_FEATURE_ATS))
		return false;
	return !r->ssv || (bits && !(r->ssid >> bits));
}

/* The largest span that is aligned at @address and not longer than @length. */
static unsigned int atc_span_log2(uint64_t address, uint64_t length)
{
	unsigned int longest = 63u - (unsigned int)__builtin_clzll(length);

	if (address && log2_of(address) < longest)
		return log2_of(address);
	return longest;
}

static void put_spans(struct sink *sink, const struct smmuinv_atc_range *r)
{
	uint64_t address = r->address;
	uint64_t left = r->length;

	while (left) {
		unsigned int span = atc_span_log2(address, left);
		struct smmuinv_command command;

		smmuinv_command_atc_inv(
			&command, &(struct smmuinv_atc){
					  .size = sizeof(struct smmuinv_atc),
					  .address = address,
					  .sid = r->sid,
					  .ssid = r->ssid,
					  .ssv = r->ssv,
					  .global = r->global,
					  .log2_pages = (uint8_t)(span - 12),
				  });
		sink_put(sink, &command);
		address += UINT64_C(1) << span;
		left -= UINT64_C(1) << span;
	}
}

int64_t smmuinv_range_atc(const struct smmuinv_atc_range *range,
			  const struct smmuinv_features *features,
			  struct smmuinv_command *out, size_t capacity)
{
	struct sink counted = { 0 };
	struct sink written = { .out = out };
	struct smmuinv_atc_range r;

	if (!features || (!out && capacity) || !PARAMS_TAKE(&r, range) ||
	    !atc_range_valid(&r))
		return -EINVAL;
	if (!atc_range_supported(&r, features))
		return -EOPNOTSUPP;
	put_spans(&counted, &r);
	if (out && (uint64_t)counted.count <= capacity)
		put_spans(&written, &r);
	return counted.count;
}
