/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
		.vsid = w->vsid[(bytes->vanish >> 1) % FUZZ_STREAMS],
	};

	if (!bytes->call)
		return;
	if (bytes->count == 0xff)
		fault.count = SMMUINV_MOCK_COUNT_AS_GIVEN;
	if (bytes->count == 0xfe)
		fault.count = UINT32_MAX - 1;
	believable(&fault);
	must(!smmuinv_mock_inject(w->mock, &fault));
	w->faults++;
}

static bool repeats(const struct fuzz_world_head *head)
{
	switch ((head->policy >> 2 & 3u) % 3u) {
	case SMMUINV_REPEAT_AS_HOST:
		return head->flags & FUZZ_HW_REPEAT;
	case SMMUINV_REPEAT_ALWAYS:
		return true;
	default:
		return false;
	}
}

static void open_vsmmu(struct fuzz_world *w, const struct fuzz_world_head *head)
{
	struct smmuinv_mock_params mock = {
		.size = sizeof(mock),
		.host = w->host,
		.kernel = (head->policy & 3u) % 3u,
		.caches = w->caches,
	};
	struct smmuinv_vsmmu_params vsmmu = {
		.size = sizeof(vsmmu),
		.check_flags = w->check_flags,
		.guest = w->guest,
		.host = w->host,
		.hw_flags = head->flags & FUZZ_HW_REPEAT ?
				    SMMUINV_HW_INFO_REPEAT :
				    0,
		.repeat = (head->policy >> 2 & 3u) % 3u,
		.plan = head->policy >> 4 & 1 ? SMMUINV_PLAN_AS_WRITTEN :
						SMMUINV_PLAN_FEWEST,
		.pages_max = head->pages_max,
	};

	w->repeat = repeats(head);
	w->as_written = vsmmu.plan == SMMUINV_PLAN_AS_WRITTEN;
	w->by_pages = spec_feature_get(&w->guest, SMMUINV_FEATURE_RIL) &&
		      !spec_feature_get(&w->host, SMMUINV_FEATURE_RIL);
	must(!smmuinv_mock_new(&mock, &w->mock));
	must(!smmuinv_mock_backend(w->mock, &w->backend));
	must(!smmuinv_mock_add_viommu(w->mock, &vsmmu.viommu_id));
	vsmmu.backend = w->backend;
	must(!smmuinv_vsmmu_new(&vsmmu, &w->vsmmu));
}

static bool chosen(const struct fuzz_world *w, unsigned int n, uint32_t vsid)
{
	unsigned int s;

	for (s = 0; s < n; s++) {
		if (w->vsid[s] == vsid)
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
		w->vsid[s] = head->vsid[s];
	for (i = 0; i < count && named < FUZZ_STREAMS; i++) {
		if (fuzz_names_stream(&commands[i]) &&
		    !chosen(w, named, fuzz_sid(&commands[i])))
			w->vsid[named++] = fuzz_sid(&commands[i]);
	}
}

static void note_cd(void *opaque, const struct smmuinv_cd *cd)
{
	struct fuzz_world *w = opaque;

	must(!smmuinv_vsmmu_note_cd(w->vsmmu, cd));
}

static void open_oracle(struct fuzz_world *w, uint8_t notes,
			const struct smmuinv_command *commands, size_t count)
{
	size_t i;

	oracle_init(&w->oracle, &w->guest, notes);
	for (i = 0; i < count; i++)
		oracle_aim(&w->oracle, &commands[i]);
	must(!smmuinv_caches_new(ORACLE_ENTRIES, &w->caches));
	oracle_fill(&w->oracle, w->caches);
}

void fuzz_world_open(struct fuzz_world *w, const struct fuzz_world_head *head,
		     const struct smmuinv_command *commands, size_t count)
{
	unsigned int s;
	size_t i;

	memset(w, 0, sizeof(*w));
	fuzz_host(&w->host, head->host_idr, head->flags & FUZZ_HOST_ATS);
	fuzz_guest(&w->guest, &w->host, head->guest_idr);
	w->carried = fuzz_carried(&w->guest, &w->host);
	w->check_flags = head->flags & FUZZ_STRICT ? SMMUINV_CHECK_STRICT : 0;
	open_oracle(w, head->notes, commands, count);
	open_vsmmu(w, head);
	fuzz_tell_all(&w->oracle, commands, count, note_cd, w);
	choose_vsids(w, head, commands, count);
	for (s = 0; s < FUZZ_STREAMS; s++) {
		must(!smmuinv_mock_add_device(w->mock, &w->device[s]));
		if (head->plugged >> s & 1)
			fuzz_world_toggle(w, s);
	}
	for (i = 0; i < FUZZ_FAULTS; i++)
		inject(w, &head->faults[i]);
}

void fuzz_world_close(struct fuzz_world *w)
{
	smmuinv_vsmmu_free(w->vsmmu);
	smmuinv_backend_free(w->backend);
	smmuinv_mock_free(w->mock);
	smmuinv_caches_free(w->caches);
}

bool fuzz_world_has(const struct fuzz_world *w, uint32_t vsid)
{
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		if (w->plugged[s] && w->vsid[s] == vsid)
			return true;
	}
	return false;
}

static void plug(struct fuzz_world *w, unsigned int s)
{
	bool there = fuzz_world_has(w, w->vsid[s]);
	size_t faults = smmuinv_mock_faults_left(w->mock);
	uint32_t sid_bits = w->guest.idr[1] & 63;
	int rc = smmuinv_vsmmu_add_stream(w->vsmmu, w->device[s], w->vsid[s]);

	w->plugged[s] = !rc;
	if (sid_bits < 32 && w->vsid[s] >> sid_bits)
		must(rc == -ERANGE);
	else if (there)
		must(rc == -EEXIST);
	else if (!w->faults)
		must(!rc);
	else
		must(!rc || smmuinv_mock_faults_left(w->mock) < faults ||
		     rc == -EEXIST); /* a vDEVICE that would not go */
}

static void unplug(struct fuzz_world *w, unsigned int s)
{
	int rc = smmuinv_vsmmu_remove_stream(w->vsmmu, w->vsid[s]);

	/* A vDEVICE that would not go keeps its stream. */
	must(!rc || w->faults);
	w->plugged[s] = rc && rc != -ENOENT;
}

uint32_t fuzz_world_toggle(struct fuzz_world *w, unsigned int stream)
{
	unsigned int s = stream % FUZZ_STREAMS;
	struct smmuinv_streams *streams = smmuinv_vsmmu_streams(w->vsmmu);

	if (w->plugged[s])
		unplug(w, s);
	else
		plug(w, s);
	must((smmuinv_streams_find(streams, w->vsid[s], NULL) == 0) ==
	     fuzz_world_has(w, w->vsid[s]));
	oracle_forget_stream(&w->oracle, w->vsid[s]);
	return w->vsid[s];
}

void fuzz_world_replug(struct fuzz_world *w, uint32_t vsid)
{
	unsigned int s = 0;

	/* The VMM may have unplugged it by itself since the call failed. */
	if (!fuzz_world_has(w, vsid))
		return;
	while (!w->plugged[s] || w->vsid[s] != vsid)
		s++;
	fuzz_world_toggle(w, s);
	fuzz_world_toggle(w, s);
}

bool fuzz_world_is_exact(const struct fuzz_world *w)
{
	return w->as_written && !w->repeat && !w->by_pages;
}

/*
 * Single commands at the worst, as planned and then as written, and both rounds
 * of the erratum; each fault may halve the calls.
 */
uint64_t fuzz_calls_max(uint64_t commands)
{
	return 4 * (commands + 3) + 4 * (UINT64_C(1) << FUZZ_FAULTS);
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
	fuzz_judge(&w->oracle, w->caches);
	/* Whatever the guest wrote, no host queue has stopped. */
	must(!smmuinv_mock_wedged(w->mock));
}

void fuzz_world_refill(struct fuzz_world *w)
{
	oracle_reset(&w->oracle);
	smmuinv_caches_refill(w->caches);
}
