/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/backend.h"
#include "spec.h"

void fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

void fuzz_head(void *head, size_t n, const uint8_t *data, size_t size)
{
	memset(head, 0, n);
	if (size)
		memcpy(head, data, size < n ? size : n);
}

size_t fuzz_commands(struct smmuinv_command *commands, size_t max, size_t head,
		     const uint8_t *data, size_t size)
{
	size_t count = size > head ? (size - head) / sizeof(*commands) : 0;

	if (count > max)
		count = max;
	if (count)
		memcpy(commands, data + head, count * sizeof(*commands));
	return count;
}

uint32_t fuzz_u32(const uint8_t bytes[4])
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 |
	       (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint8_t fuzz_opcode(const struct smmuinv_command *command)
{
	return (uint8_t)le64toh(command->dw[0]);
}

uint32_t fuzz_sid(const struct smmuinv_command *command)
{
	return (uint32_t)(le64toh(command->dw[0]) >> 32);
}

bool fuzz_same(const struct smmuinv_command *a, const struct smmuinv_command *b)
{
	return !memcmp(a, b, sizeof(*a));
}

bool fuzz_names_stream(const struct smmuinv_command *command)
{
	switch (fuzz_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
	case SMMUINV_CMD_ATC_INV:
		return true;
	default:
		return false;
	}
}

static void read_idr(uint32_t idr[6], const uint8_t bytes[24])
{
	size_t i;

	for (i = 0; i < 6; i++)
		idr[i] = fuzz_u32(bytes + 4 * i);
}

void fuzz_host(struct smmuinv_features *host, const uint8_t idr[24], bool ats)
{
	struct smmuinv_hw_info info = { 0 };
	int rc;

	read_idr(info.idr, idr);
	rc = smmuinv_features_from_hw_info(host, &info, ats);
	if (!rc)
		return;
	must(rc == -EOPNOTSUPP);
	info.idr[0] |= 2 << 2; /* TTF: AArch64 */
	info.idr[5] |= 1 << 4; /* GRAN4K */
	must(!smmuinv_features_from_hw_info(host, &info, ats));
}

static void at_most(struct smmuinv_features *guest,
		    const struct smmuinv_features *host,
		    enum smmuinv_feature feature)
{
	uint32_t most = spec_feature_get(host, feature);

	if (spec_feature_get(guest, feature) > most)
		spec_feature_set(guest, feature, most);
}

static void covered(struct smmuinv_features *guest,
		    const struct smmuinv_features *host,
		    enum smmuinv_feature feature)
{
	spec_feature_set(guest, feature,
			 spec_feature_get(guest, feature) &
				 spec_feature_get(host, feature));
}

static void same(struct smmuinv_features *guest,
		 const struct smmuinv_features *host,
		 enum smmuinv_feature feature)
{
	uint32_t value = spec_feature_get(host, feature);

	if (value)
		spec_feature_set(guest, feature, value);
}

void fuzz_guest(struct smmuinv_features *guest,
		const struct smmuinv_features *host, const uint8_t idr[24])
{
	static const enum smmuinv_feature covers[] = {
		SMMUINV_FEATURE_TTF,     SMMUINV_FEATURE_ATS,
		SMMUINV_FEATURE_ASID16,  SMMUINV_FEATURE_CD2L,
		SMMUINV_FEATURE_GRAN4K,  SMMUINV_FEATURE_GRAN16K,
		SMMUINV_FEATURE_GRAN64K, SMMUINV_FEATURE_DS,
		SMMUINV_FEATURE_D128,
	};
	size_t i;

	read_idr(guest->idr, idr);
	for (i = 0; i < ARRAY_SIZE(covers); i++)
		covered(guest, host, covers[i]);
	at_most(guest, host, SMMUINV_FEATURE_SSIDSIZE);
	at_most(guest, host, SMMUINV_FEATURE_BBML);
	at_most(guest, host, SMMUINV_FEATURE_VAX);
	same(guest, host, SMMUINV_FEATURE_TTENDIAN);
	same(guest, host, SMMUINV_FEATURE_STALL_MODEL);
	same(guest, host, SMMUINV_FEATURE_TERM_MODEL);
	must(!smmuinv_features_compatible(guest, host, NULL));
}

struct smmuinv_features fuzz_carried(const struct smmuinv_features *guest,
				     const struct smmuinv_features *host)
{
	struct smmuinv_features carried = *host;

	spec_feature_set(&carried, SMMUINV_FEATURE_RIL,
			 spec_feature_get(guest, SMMUINV_FEATURE_RIL) |
				 spec_feature_get(host, SMMUINV_FEATURE_RIL));
	return carried;
}

/* One granule of each set, the lowest, and takes it out. */
static struct smmuinv_cd next_cd(unsigned int sets[2], unsigned int shown)
{
	struct smmuinv_cd cd = { .size = sizeof(cd), .valid = true };
	unsigned int half;
	uint8_t tg;

	for (half = 0; half < 2; half++) {
		cd.walks[half] = sets[half];
		if (sets[half] == shown && shown & (shown - 1)) {
			sets[half] = 0;
			continue;
		}
		for (tg = SMMUINV_TG_64K; tg && !cd.tg[half]; tg--) {
			if (sets[half] >> tg & 1)
				cd.tg[half] = tg;
		}
		sets[half] &= ~(1u << cd.tg[half]);
	}
	return cd;
}

void fuzz_tell_granules(const struct oracle *o, uint16_t asid,
			void (*note)(void *opaque, const struct smmuinv_cd *cd),
			void *opaque)
{
	unsigned int sets[2] = {
		oracle_granules(o, asid, false),
		oracle_granules(o, asid, true),
	};

	if (!(o->notes & ORACLE_LOWER))
		return;
	do {
		struct smmuinv_cd cd = next_cd(sets, oracle_shown(o));

		cd.asid = asid;
		note(opaque, &cd);
	} while (sets[0] || sets[1]);
}

void fuzz_tell_all(const struct oracle *o,
		   const struct smmuinv_command *commands, size_t count,
		   void (*note)(void *opaque, const struct smmuinv_cd *cd),
		   void *opaque)
{
	size_t i;

	for (i = 0; i < o->count; i++)
		fuzz_tell_granules(o, o->entries[i].asid, note, opaque);
	for (i = 0; i < count; i++) {
		if (fuzz_opcode(&commands[i]) == SMMUINV_CMD_TLBI_NH_VA)
			fuzz_tell_granules(
				o, (uint16_t)(le64toh(commands[i].dw[0]) >> 48),
				note, opaque);
	}
}

/* Whatever a host may answer, and what it may not. */
static const int32_t fuzz_errors[] = {
	0,       -EIO,    -ETIMEDOUT, -ENOMEM,     -EINTR,    -EAGAIN, -EFAULT,
	-EINVAL, -ENOENT, -EPERM,     -EOPNOTSUPP, -ENOTTY,   -EPROTO, -ENODEV,
	-ENOMEM, 1,       4096,       INT32_MAX,   INT32_MIN, -4096,
};

/*
 * A lie that nobody could see through is not told: success for as many
 * commands as were given, without having executed them. No call has 0 commands
 * or 2^32 - 2.
 */
static void believable(struct smmuinv_mock_fault *fault)
{
	if (!fault->error && fault->count && fault->count != UINT32_MAX - 1)
		fault->executed = UINT32_MAX;
}

static void inject(struct fuzz_world *w, const struct fuzz_fault *bytes)
{
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.call = (bytes->call - 1u) % (SMMUINV_MOCK_DESTROY + 1u),
		.pass = bytes->pass % 8u,
		.error = fuzz_errors[bytes->error % ARRAY_SIZE(fuzz_errors)],
		.executed = bytes->executed,
		.count = bytes->count,
		.vanish = bytes->vanish & 1,
		.vsid = w->stream[(bytes->vanish >> 1) % FUZZ_STREAMS].vsid,
	};

	if (!bytes->call)
		return;
	if (bytes->count == 0xff)
		fault.count = SMMUINV_MOCK_COUNT_AS_GIVEN;
	if (bytes->count == 0xfe)
		fault.count = UINT32_MAX - 1;
	believable(&fault);
	must(!smmuinv_mock_inject(w->smmu[bytes->smmu % FUZZ_SMMUS].mock,
				  &fault));
	w->faults++;
}

/* Objects of the second mock have other names than those of the first. */
#define NAMES 0x10000u

static struct fuzz_smmu *smmu_of(struct fuzz_world *w, uint32_t name)
{
	must(name / NAMES < FUZZ_SMMUS);
	return &w->smmu[name / NAMES];
}

static uint32_t name_of(unsigned int smmu, uint32_t id)
{
	must(id < NAMES);
	return smmu * NAMES + id;
}

static int both_device_info(void *context, uint32_t dev_id,
			    struct smmuinv_device_info *info)
{
	return smmuinv_backend_device_info(smmu_of(context, dev_id)->behind,
					   dev_id % NAMES, info);
}

static int both_vdevice_alloc(void *context, uint32_t viommu_id,
			      uint32_t dev_id, uint64_t virt_id,
			      uint32_t *vdevice_id)
{
	int rc;

	must(viommu_id / NAMES == dev_id / NAMES);
	rc = smmuinv__backend_vdevice_alloc(smmu_of(context, viommu_id)->behind,
					    viommu_id % NAMES, dev_id % NAMES,
					    (uint32_t)virt_id, vdevice_id);
	if (!rc)
		*vdevice_id = name_of(viommu_id / NAMES, *vdevice_id);
	return rc;
}

static int both_destroy(void *context, uint32_t id)
{
	return smmuinv__backend_destroy(smmu_of(context, id)->behind,
					id % NAMES);
}

/* Nothing is sent where nothing has to be done. */
static int both_invalidate(void *context, uint32_t viommu_id,
			   const struct smmuinv_command *commands,
			   uint32_t *count)
{
	struct fuzz_smmu *smmu = smmu_of(context, viommu_id);

	must(smmu->there && *count);
	return smmuinv__backend_invalidate(smmu->behind, viommu_id % NAMES,
					   commands, count);
}

static const struct smmuinv_backend_ops both_ops = {
	.size = sizeof(both_ops),
	.device_info = both_device_info,
	.vdevice_alloc = both_vdevice_alloc,
	.destroy = both_destroy,
	.invalidate = both_invalidate,
};

static bool repeats(const struct fuzz_world_head *head, uint32_t hw_flags)
{
	switch ((head->policy >> 2 & 3u) % 3u) {
	case SMMUINV_REPEAT_AS_HOST:
		return hw_flags & SMMUINV_HW_INFO_REPEAT;
	case SMMUINV_REPEAT_ALWAYS:
		return true;
	default:
		return false;
	}
}

static void open_smmu(struct fuzz_world *w, struct fuzz_smmu *smmu,
		      const struct fuzz_world_head *head, bool repeat)
{
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = smmu->host,
		.kernel = (head->policy & 3u) % 3u,
		.caches = smmu->caches,
	};

	smmu->hw_flags = repeat ? SMMUINV_HW_INFO_REPEAT : 0;
	smmu->repeat = repeats(head, smmu->hw_flags);
	smmu->by_pages = spec_feature_get(&w->guest, SMMUINV_FEATURE_RIL) &&
			 !spec_feature_get(&smmu->host, SMMUINV_FEATURE_RIL);
	must(!smmuinv_mock_new(&mock, &smmu->mock));
	must(!smmuinv_mock_backend(smmu->mock, &smmu->behind));
	must(!smmuinv_mock_add_viommu(smmu->mock, &smmu->viommu));
}

/* The first vIOMMU comes along or is added, which is the same. */
static void open_vsmmu(struct fuzz_world *w, const struct fuzz_world_head *head)
{
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.check_flags = w->check_flags,
		.guest = w->guest,
		.repeat = (head->policy >> 2 & 3u) % 3u,
		.plan = head->policy >> 4 & 1 ? SMMUINV_PLAN_AS_WRITTEN :
						SMMUINV_PLAN_FEWEST,
		.pages_max = head->pages_max,
	};

	must(!smmuinv_backend_new(&both_ops, w, &w->backend));
	vsmmu.backend = w->backend;
	w->as_written = vsmmu.plan == SMMUINV_PLAN_AS_WRITTEN;
	if (!(head->smmus & FUZZ_NO_SMMU_0) && head->policy >> 5 & 1) {
		vsmmu.viommu_id = name_of(0, w->smmu[0].viommu);
		vsmmu.host = w->smmu[0].host;
		vsmmu.hw_flags = w->smmu[0].hw_flags;
		w->smmu[0].there = true;
	}
	must(!smmuinv_vsmmu_new(&vsmmu, &w->vsmmu));
	if (!(head->smmus & FUZZ_NO_SMMU_0) && !w->smmu[0].there)
		fuzz_world_toggle_smmu(w, 0);
	if (head->smmus & FUZZ_SMMU_1_THERE)
		fuzz_world_toggle_smmu(w, 1);
}

static bool chosen(const struct fuzz_world *w, unsigned int n, uint32_t vsid)
{
	unsigned int s;

	for (s = 0; s < n; s++) {
		if (w->stream[s].vsid == vsid)
			return true;
	}
	return false;
}

/* vSIDs that commands name, so that not all of them are strangers. */
static void choose_vsids(struct fuzz_world *w,
			 const struct fuzz_world_head *head,
			 const struct smmuinv_command *commands, size_t count)
{
	unsigned int named = 0;
	unsigned int s;
	size_t i;

	for (s = 0; s < FUZZ_STREAMS; s++)
		w->stream[s].vsid = head->vsid[s];
	for (i = 0; i < count && named < FUZZ_STREAMS; i++) {
		if (fuzz_names_stream(&commands[i]) &&
		    !chosen(w, named, fuzz_sid(&commands[i])))
			w->stream[named++].vsid = fuzz_sid(&commands[i]);
	}
}

static void note_cd(void *opaque, const struct smmuinv_cd *cd)
{
	struct fuzz_world *w = opaque;

	must(!smmuinv_vsmmu_note_cd(w->vsmmu, cd));
}

static void open_oracle(struct fuzz_world *w, struct fuzz_smmu *smmu,
			uint8_t notes, const struct smmuinv_command *commands,
			size_t count)
{
	size_t i;

	oracle_init(&smmu->oracle, &w->guest, notes);
	for (i = 0; i < count; i++)
		oracle_aim(&smmu->oracle, &commands[i]);
	must(!smmuinv_caches_new(ORACLE_ENTRIES, &smmu->caches));
	oracle_fill(&smmu->oracle, smmu->caches);
}

/* The second SMMU is the first, or differs from it in ranges. */
static void open_smmus(struct fuzz_world *w, const struct fuzz_world_head *head,
		       const struct smmuinv_command *commands, size_t count)
{
	struct smmuinv_features *second = &w->smmu[1].host;
	unsigned int i;

	fuzz_host(&w->smmu[0].host, head->host_idr,
		  head->flags & FUZZ_HOST_ATS);
	fuzz_guest(&w->guest, &w->smmu[0].host, head->guest_idr);
	w->carried = fuzz_carried(&w->guest, &w->smmu[0].host);
	*second = w->smmu[0].host;
	if (head->smmus & FUZZ_SMMU_1_RIL)
		spec_feature_set(
			second, SMMUINV_FEATURE_RIL,
			!spec_feature_get(second, SMMUINV_FEATURE_RIL));
	for (i = 0; i < FUZZ_SMMUS; i++) {
		open_oracle(w, &w->smmu[i], head->notes, commands, count);
		open_smmu(w, &w->smmu[i], head,
			  i ? head->smmus & FUZZ_SMMU_1_REPEAT :
			      head->flags & FUZZ_HW_REPEAT);
	}
}

static void open_stream(struct fuzz_world *w, unsigned int s,
			const struct fuzz_world_head *head)
{
	bool ats = spec_feature_get(&w->guest, SMMUINV_FEATURE_ATS);
	struct fuzz_stream *stream = &w->stream[s];
	uint32_t id;

	stream->smmu = head->smmus >> s & 1;
	stream->wants_stage1 = head->states >> s & 1;
	/* EATS is ignored without IDR0.ATS (5.2) */
	stream->wants_ats = ats && head->states >> (s + 3) & 1;
	stream->can_ats = !s || head->states >> (s + 5) & 1;
	must(!smmuinv_mock_add_device(w->smmu[stream->smmu].mock, &id));
	stream->device = name_of(stream->smmu, id);
	if (head->plugged >> s & 1)
		fuzz_world_toggle(w, s);
}

void fuzz_world_open(struct fuzz_world *w, const struct fuzz_world_head *head,
		     const struct smmuinv_command *commands, size_t count)
{
	unsigned int s;
	size_t i;

	memset(w, 0, sizeof(*w));
	w->foreseen = true;
	w->check_flags = head->flags & FUZZ_STRICT ? SMMUINV_CHECK_STRICT : 0;
	open_smmus(w, head, commands, count);
	open_vsmmu(w, head);
	fuzz_tell_all(&w->smmu[0].oracle, commands, count, note_cd, w);
	choose_vsids(w, head, commands, count);
	for (s = 0; s < FUZZ_STREAMS; s++)
		open_stream(w, s, head);
	for (i = 0; i < FUZZ_FAULTS; i++)
		inject(w, &head->faults[i]);
}

void fuzz_world_close(struct fuzz_world *w)
{
	unsigned int i;

	smmuinv_vsmmu_free(w->vsmmu);
	smmuinv_backend_free(w->backend);
	for (i = 0; i < FUZZ_SMMUS; i++) {
		smmuinv_backend_free(w->smmu[i].behind);
		smmuinv_mock_free(w->smmu[i].mock);
		smmuinv_caches_free(w->smmu[i].caches);
	}
}

const struct fuzz_stream *fuzz_world_stream(const struct fuzz_world *w,
					    uint32_t vsid)
{
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		if (w->stream[s].plugged && w->stream[s].vsid == vsid)
			return &w->stream[s];
	}
	return NULL;
}

static struct smmuinv_streams *table_of(const struct fuzz_world *w)
{
	return smmuinv_vsmmu_streams(w->vsmmu);
}

/* The table says what was said to it. */
static void found_as_told(const struct fuzz_world *w,
			  const struct fuzz_stream *stream)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };
	int rc = smmuinv_streams_find(table_of(w), stream->vsid, &info);
	const struct fuzz_stream *there = fuzz_world_stream(w, stream->vsid);

	must((rc == 0) == (there != NULL));
	if (!there)
		return;
	must(info.dev_id == there->device && info.vsid == there->vsid);
	must(info.translates == there->translates && info.ats == there->ats);
}

/* What it has cached of itself is nothing that anybody relies on. */
static void forget_stream(struct fuzz_world *w, uint32_t vsid)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++)
		oracle_forget_stream(&w->smmu[i].oracle, vsid);
}

uint32_t fuzz_world_set(struct fuzz_world *w, unsigned int stream,
			bool translates, bool ats)
{
	struct fuzz_stream *s = &w->stream[stream % FUZZ_STREAMS];
	bool may = spec_feature_get(&w->guest, SMMUINV_FEATURE_ATS);
	int rc;

	if (!s->plugged)
		return s->vsid;
	rc = smmuinv_streams_set(table_of(w), s->vsid, translates, ats && may);
	must(!rc);
	s->wants_stage1 = s->translates = translates;
	s->wants_ats = ats && may;
	s->ats = translates && s->wants_ats && s->can_ats;
	found_as_told(w, s);
	forget_stream(w, s->vsid);
	return s->vsid;
}

static void plug_in(struct fuzz_world *w, unsigned int which)
{
	struct fuzz_stream *s = &w->stream[which];
	const struct fuzz_smmu *smmu = &w->smmu[s->smmu];
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.viommu_id = name_of(s->smmu, smmu->viommu),
		.dev_id = s->device,
		.vsid = s->vsid,
		.ats = s->can_ats,
	};
	bool there = fuzz_world_stream(w, s->vsid);
	size_t faults = fuzz_world_faults_left(w);
	uint32_t sid_bits = w->guest.idr[1] & 63;
	int rc = smmuinv_vsmmu_add_stream(w->vsmmu, &params);

	s->plugged = !rc;
	if (sid_bits < 32 && s->vsid >> sid_bits)
		must(rc == -ERANGE);
	else if (!smmu->there)
		must(rc == -EXDEV);
	else if (there)
		must(rc == -EEXIST);
	else if (!w->faults)
		must(!rc);
	else
		must(!rc || fuzz_world_faults_left(w) < faults ||
		     rc == -EEXIST); /* a vDEVICE that would not go */
	if (rc)
		return;
	s->translates = s->ats = false; /* until it is told */
	found_as_told(w, s);
	fuzz_world_set(w, which, s->wants_stage1, s->wants_ats);
}

static void unplug(struct fuzz_world *w, struct fuzz_stream *s)
{
	int rc = smmuinv_vsmmu_remove_stream(w->vsmmu, s->vsid);

	/* A vDEVICE that would not go keeps its stream. */
	must(!rc || w->faults);
	s->plugged = rc && rc != -ENOENT;
}

uint32_t fuzz_world_toggle(struct fuzz_world *w, unsigned int stream)
{
	unsigned int which = stream % FUZZ_STREAMS;
	struct fuzz_stream *s = &w->stream[which];

	if (s->plugged)
		unplug(w, s);
	else
		plug_in(w, which);
	found_as_told(w, s);
	forget_stream(w, s->vsid);
	return s->vsid;
}

void fuzz_world_replug(struct fuzz_world *w, uint32_t vsid)
{
	unsigned int s = 0;

	/* The VMM may have unplugged it by itself since the call failed. */
	if (!fuzz_world_stream(w, vsid))
		return;
	while (!w->stream[s].plugged || w->stream[s].vsid != vsid)
		s++;
	fuzz_world_toggle(w, s);
	fuzz_world_toggle(w, s);
}

static bool has_streams(const struct fuzz_world *w, unsigned int smmu)
{
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		if (w->stream[s].plugged && w->stream[s].smmu == smmu)
			return true;
	}
	return false;
}

static void refill(struct fuzz_smmu *smmu)
{
	oracle_reset(&smmu->oracle);
	smmuinv_caches_refill(smmu->caches);
}

void fuzz_world_toggle_smmu(struct fuzz_world *w, unsigned int smmu)
{
	struct fuzz_smmu *s = &w->smmu[smmu % FUZZ_SMMUS];
	const struct smmuinv_viommu_params params = {
		.size = sizeof(params),
		.viommu_id = name_of(smmu % FUZZ_SMMUS, s->viommu),
		.hw_flags = s->hw_flags,
		.host = s->host,
	};
	int rc;

	if (!s->there) {
		must(!smmuinv_vsmmu_add_viommu(w->vsmmu, &params));
		s->there = true;
		must(smmuinv_vsmmu_add_viommu(w->vsmmu, &params) == -EEXIST);
		refill(s);
		return;
	}
	rc = smmuinv_vsmmu_remove_viommu(w->vsmmu, params.viommu_id);
	must(rc == (has_streams(w, smmu % FUZZ_SMMUS) ? -EBUSY : 0));
	s->there = rc;
	if (!rc)
		refill(s);
}

static unsigned int all_smmus(const struct fuzz_world *w)
{
	unsigned int mask = 0;
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++)
		mask |= w->smmu[i].there ? 1u << i : 0;
	return mask;
}

enum smmuinv_rule fuzz_world_rule(const struct fuzz_world *w,
				  const struct smmuinv_command *raw)
{
	const struct fuzz_stream *s = fuzz_world_stream(w, fuzz_sid(raw));

	if (!all_smmus(w))
		return SMMUINV_RULE_NO_VIOMMU;
	if (!fuzz_names_stream(raw))
		return SMMUINV_RULE_NONE;
	if (!s)
		return SMMUINV_RULE_STREAM_UNKNOWN;
	if (fuzz_opcode(raw) == SMMUINV_CMD_ATC_INV)
		return s->ats ? SMMUINV_RULE_NONE : SMMUINV_RULE_ATS_OFF;
	return s->translates ? SMMUINV_RULE_NONE : SMMUINV_RULE_NOT_TRANSLATING;
}

unsigned int fuzz_world_concerned(const struct fuzz_world *w,
				  const struct smmuinv_command *raw)
{
	if (fuzz_world_rule(w, raw) != SMMUINV_RULE_NONE)
		return 0;
	if (!fuzz_names_stream(raw))
		return all_smmus(w);
	return 1u << fuzz_world_stream(w, fuzz_sid(raw))->smmu;
}

void fuzz_world_rely(struct fuzz_world *w, const struct smmuinv_command *raw,
		     unsigned int smmus)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++) {
		if (smmus >> i & 1)
			oracle_execute(&w->smmu[i].oracle, raw);
	}
}

static void rely(struct fuzz_world *w, uint64_t dw0, uint64_t dw1,
		 unsigned int smmus)
{
	const struct smmuinv_command raw = { { htole64(dw0), htole64(dw1) } };

	fuzz_world_rely(w, &raw, smmus);
}

/* Everything of the streams and SMMUs of these. */
static void rely_on_everything(struct fuzz_world *w, unsigned int smmus,
			       const struct fuzz_stream *only)
{
	bool ssids = spec_feature_get(&w->guest, SMMUINV_FEATURE_SSIDSIZE);
	unsigned int i;

	rely(w, SMMUINV_CMD_TLBI_NH_ALL, 0, smmus);
	for (i = 0; i < FUZZ_STREAMS; i++) {
		const struct fuzz_stream *s = &w->stream[i];
		uint64_t sid = (uint64_t)s->vsid << 32;
		uint64_t ssv_global = 1 << 11 | 1 << 9;

		if (!s->plugged || (only && s != only))
			continue;
		if (s->translates)
			rely(w, sid | SMMUINV_CMD_CFGI_CD_ALL, 0,
			     1u << s->smmu);
		if (!s->ats)
			continue;
		rely(w, sid | SMMUINV_CMD_ATC_INV, 52, 1u << s->smmu);
		if (ssids)
			rely(w, sid | ssv_global | SMMUINV_CMD_ATC_INV, 52,
			     1u << s->smmu);
	}
}

/* What it asks of a host that fails nobody can rely on. */
static bool was_done(const struct fuzz_world *w, int rc)
{
	must(!rc || w->faults);
	return !rc;
}

/* Calls that neither a queue nor a batch has made, since there were @before. */
static void count_others(struct fuzz_world *w, uint64_t before)
{
	struct smmuinv_counters now = { .size = sizeof(now) };
	struct smmuinv_counters *e = &w->expected;

	must(!smmuinv_vsmmu_counters(w->vsmmu, &now));
	must(now.ioctls >= e->ioctls && now.host_commands >= e->host_commands);
	/* An interrupted one is one that the library repeats by itself. */
	must(now.ioctls - e->ioctls <= fuzz_world_calls(w) - before);
	must(w->faults ||
	     now.ioctls - e->ioctls == fuzz_world_calls(w) - before);
	e->ioctls = now.ioctls;
	e->host_commands = now.host_commands;
}

void fuzz_world_invalidate_all(struct fuzz_world *w)
{
	uint64_t before = fuzz_world_calls(w);

	if (was_done(w, smmuinv_invalidate_all(w->vsmmu, NULL)))
		rely_on_everything(w, all_smmus(w), NULL);
	count_others(w, before);
}

void fuzz_world_invalidate_stream(struct fuzz_world *w, unsigned int stream)
{
	const struct fuzz_stream *s =
		fuzz_world_stream(w, w->stream[stream % FUZZ_STREAMS].vsid);
	uint32_t vsid = w->stream[stream % FUZZ_STREAMS].vsid;
	uint64_t before = fuzz_world_calls(w);
	int rc = smmuinv_invalidate_stream(w->vsmmu, vsid);

	count_others(w, before);
	if (!s)
		must(rc == -ENOENT);
	else if (was_done(w, rc))
		rely_on_everything(w, 1u << s->smmu, s);
}

/*
 * Whatever states streams are in; an ATC went when the VMM detached. What was to
 * wait for a CMD_SYNC is done with it.
 */
static void rely_on_a_reset(struct fuzz_world *w)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++)
		oracle_forget_atcs(&w->smmu[i].oracle);
	rely(w, SMMUINV_CMD_TLBI_NH_ALL, 0, all_smmus(w));
	for (i = 0; i < FUZZ_STREAMS; i++) {
		const struct fuzz_stream *s = &w->stream[i];

		if (s->plugged)
			rely(w,
			     (uint64_t)s->vsid << 32 | SMMUINV_CMD_CFGI_CD_ALL,
			     0, 1u << s->smmu);
	}
	fuzz_world_judge(w);
}

void fuzz_world_reset(struct fuzz_world *w)
{
	uint64_t before = fuzz_world_calls(w);
	unsigned int s;

	if (was_done(w, smmuinv_reset(w->vsmmu, NULL)))
		rely_on_a_reset(w);
	count_others(w, before);
	/* The guest's tables stay as they are, and are what is cached next. */
	fuzz_tell_all(&w->smmu[0].oracle, NULL, 0, note_cd, w);
	for (s = 0; s < FUZZ_STREAMS; s++) {
		if (!w->stream[s].plugged)
			continue;
		w->stream[s].translates = w->stream[s].ats = false;
		found_as_told(w, &w->stream[s]);
		forget_stream(w, w->stream[s].vsid);
	}
}

bool fuzz_world_repeats(const struct fuzz_world *w)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++) {
		if (w->smmu[i].there && w->smmu[i].repeat)
			return true;
	}
	return false;
}

bool fuzz_world_by_pages(const struct fuzz_world *w)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++) {
		if (w->smmu[i].there && w->smmu[i].by_pages)
			return true;
	}
	return false;
}

bool fuzz_world_is_exact(const struct fuzz_world *w)
{
	return w->as_written && !fuzz_world_repeats(w) &&
	       !fuzz_world_by_pages(w);
}

uint64_t fuzz_world_calls(const struct fuzz_world *w)
{
	return smmuinv_mock_calls(w->smmu[0].mock) +
	       smmuinv_mock_calls(w->smmu[1].mock);
}

size_t fuzz_world_faults_left(const struct fuzz_world *w)
{
	return smmuinv_mock_faults_left(w->smmu[0].mock) +
	       smmuinv_mock_faults_left(w->smmu[1].mock);
}

void fuzz_world_record(struct fuzz_world *w, bool clear)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++) {
		if (clear)
			smmuinv_mock_forget(w->smmu[i].mock);
		w->smmu[i].recorded =
			smmuinv_mock_executed(w->smmu[i].mock, NULL);
	}
}

size_t fuzz_world_executed(const struct fuzz_world *w, unsigned int smmu,
			   bool all, const struct smmuinv_command **commands)
{
	const struct fuzz_smmu *s = &w->smmu[smmu];
	size_t first = all ? 0 : s->recorded;
	size_t n = smmuinv_mock_executed(s->mock, commands);

	if (n)
		*commands += first;
	return n - first;
}

/*
 * Single commands at the worst, as planned and then as written, and both rounds
 * of the erratum; each fault may halve the calls.
 */
uint64_t fuzz_calls_max(uint64_t commands)
{
	return FUZZ_SMMUS *
	       (4 * (commands + 3) + 4 * (UINT64_C(1) << FUZZ_FAULTS));
}

void fuzz_judge(const struct oracle *oracle,
		const struct smmuinv_caches *caches)
{
	int stale = oracle_stale(oracle, caches);

	if (stale >= 0) {
		const struct smmuinv_cache_entry *e = &oracle->entries[stale];

		fprintf(stderr,
			"stale: kind %u asid %u%s tg %u level %u address "
			"%#llx length %#llx sid %#x ssid %#x%s\n",
			e->kind, e->asid, e->global ? " global" : "", e->tg,
			e->level, (unsigned long long)e->address,
			(unsigned long long)e->length, e->sid, e->ssid,
			e->ssv ? " ssv" : "");
	}
	must(stale < 0);
}

void fuzz_world_judge(const struct fuzz_world *w)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++) {
		fuzz_judge(&w->smmu[i].oracle, w->smmu[i].caches);
		/* Whatever the guest wrote, no host queue has stopped. */
		must(!smmuinv_mock_wedged(w->smmu[i].mock));
	}
}

void fuzz_world_refill(struct fuzz_world *w)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++)
		refill(&w->smmu[i]);
}

static uint64_t sum(const uint64_t *numbers, size_t n)
{
	uint64_t all = 0;

	while (n--)
		all += numbers[n];
	return all;
}

void fuzz_world_counted(const struct fuzz_world *w, bool all_read)
{
	struct smmuinv_counters now = { .size = sizeof(now) };
	const struct smmuinv_counters *e = &w->expected;

	must(!smmuinv_vsmmu_counters(w->vsmmu, &now));
	must(now.forwarded == e->forwarded && now.dropped == e->dropped);
	must(now.vmm == e->vmm && now.illegal == e->illegal);
	must(now.ioctls == e->ioctls && now.host_commands == e->host_commands);
	must(!w->foreseen || now.read <= e->read);
	must(!w->foreseen || !all_read || now.read == e->read);
	must(now.read >= now.forwarded + now.dropped + now.vmm + now.illegal);
	/* What one SMMU merged may wait for what another has failed at. */
	must(w->faults || now.merged <= now.forwarded * FUZZ_SMMUS);
	must(now.repeats <= now.host_commands);
	must(now.failed <= now.ioctls && (w->faults || !now.failed));
	must(now.retries <= now.ioctls && (w->faults || !now.retries));
	must(sum(now.by_opcode, SMMUINV_COUNTED_OPCODES) == now.read);
	must(sum(now.by_rule, SMMUINV_COUNTED_RULES) ==
	     now.dropped + now.illegal);
}
