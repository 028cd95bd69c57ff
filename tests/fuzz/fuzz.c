/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mock/kernel.h"
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

bool fuzz_is_atc(const struct smmuinv_command *command)
{
	return fuzz_opcode(command) == SMMUINV_CMD_ATC_INV;
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
	uint32_t lacking = SMMUINV_FEATURE_COUNT;
	int rc;

	read_idr(info.idr, idr);
	rc = smmuinv_features_from_hw_info(host, &info, ats, &lacking);
	if (!rc)
		return;
	must(rc == -EOPNOTSUPP && lacking < SMMUINV_FEATURE_COUNT);
	info.idr[0] &= ~(3u << 21 | 3u << 24); /* TTENDIAN, STALL_MODEL */
	info.idr[0] |= 2 << 2;                 /* TTF: AArch64 */
	info.idr[5] |= 1 << 4;                 /* GRAN4K */
	must(!smmuinv_features_from_hw_info(host, &info, ats, NULL));
}

/* A field that the host must have too. */
static void carried(struct smmuinv_features *guest,
		    const struct smmuinv_features *host,
		    enum smmuinv_feature feature)
{
	spec_feature_set(guest, feature,
			 spec_feature_get(guest, feature) &
				 spec_feature_get(host, feature));
}

void fuzz_guest(struct smmuinv_features *guest,
		const struct smmuinv_features *host, const uint8_t idr[24])
{
	static const enum smmuinv_feature both[] = {
		SMMUINV_FEATURE_ATS,     SMMUINV_FEATURE_ASID16,
		SMMUINV_FEATURE_GRAN4K,  SMMUINV_FEATURE_GRAN16K,
		SMMUINV_FEATURE_GRAN64K, SMMUINV_FEATURE_DS,
	};
	uint32_t ssid_bits = spec_feature_get(host, SMMUINV_FEATURE_SSIDSIZE);
	size_t i;

	read_idr(guest->idr, idr);
	for (i = 0; i < ARRAY_SIZE(both); i++)
		carried(guest, host, both[i]);
	if (spec_feature_get(guest, SMMUINV_FEATURE_SSIDSIZE) > ssid_bits)
		spec_feature_set(guest, SMMUINV_FEATURE_SSIDSIZE, ssid_bits);
	/* No host has them for a guest. */
	spec_feature_set(guest, SMMUINV_FEATURE_BTM, 0);
	spec_feature_set(guest, SMMUINV_FEATURE_D128, 0);
	must(smmuinv_features_compatible(guest, host, NULL, NULL) >= 0);
}

struct smmuinv_features fuzz_carried(const struct smmuinv_features *guest,
				     const struct smmuinv_features *host)
{
	struct smmuinv_features both = *host;

	spec_feature_set(&both, SMMUINV_FEATURE_RIL,
			 spec_feature_get(guest, SMMUINV_FEATURE_RIL) |
				 spec_feature_get(host, SMMUINV_FEATURE_RIL));
	return both;
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

/* Whatever a host may answer, and what it may not. */
static const int32_t fuzz_errors[] = {
	0,       -EIO,    -ETIMEDOUT, -ENOMEM,     -EINTR,    -EAGAIN, -EFAULT,
	-EINVAL, -ENOENT, -EPERM,     -EOPNOTSUPP, -ENOTTY,   -EPROTO, -ENODEV,
	-ENOMEM, 1,       4096,       INT32_MAX,   INT32_MIN, -4096,
};

/*
 * Success for as many commands as were given, without having executed them,
 * cannot be noticed. So no such lie is told. No call has 0 commands or 2^32
 * - 2.
 */
static void believable(struct smmuinv_mock_fault *fault)
{
	if (fault->call == SMMUINV_MOCK_INVALIDATE)
		fault->late = !fault->error && fault->count &&
			      fault->count != UINT32_MAX - 1;
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
	};

	if (!bytes->call)
		return;
	if (bytes->count == 0xff)
		fault.count = SMMUINV_MOCK_COUNT_AS_GIVEN;
	if (bytes->count == 0xfe)
		fault.count = UINT32_MAX - 1;
	if (fault.call == SMMUINV_MOCK_INVALIDATE) {
		fault.vanish = bytes->vanish & 1;
		fault.vsid =
			w->stream[(bytes->vanish >> 1) % FUZZ_STREAMS].vsid;
		fault.opcode = bytes->opcode;
	}
	believable(&fault);
	vm_inject_fault(&w->vm, bytes->smmu % FUZZ_SMMUS, &fault);
	/* Or it was never made. */
	w->vanishing =
		w->vanishing || fault.vanish ||
		(fault.call == SMMUINV_MOCK_VDEVICE_ALLOC && !fault.error);
	w->faults++;
}

/* What every call to a host keeps to, whatever the guest wrote. */
static int on_call(struct vm *vm, uint32_t which,
		   const struct smmuinv_command *commands, uint32_t *count)
{
	const struct fuzz_world *w = vm->hook_data;
	const struct fuzz_smmu *smmu = &w->smmu[which];
	uint32_t i;

	must(smmu->there && *count && *count <= SMMUINV_BATCH_CAPACITY_MAX);
	for (i = 0; i < *count; i++) {
		must(fuzz_is_atc(&commands[i]) == fuzz_is_atc(&commands[0]));
		must(smmuinv__kernel_accepts(&commands[i], &smmu->host));
	}
	return vm_pass(vm, which, commands, count);
}

static void open_smmu(struct fuzz_world *w, unsigned int i, bool repeat,
		      const struct fuzz_world_head *head,
		      const struct smmuinv_command *commands, size_t count)
{
	struct fuzz_smmu *smmu = &w->smmu[i];
	size_t k;

	smmu->host = w->smmu[0].host;
	if (i && head->smmus & FUZZ_SMMU_1_RIL)
		spec_feature_set(
			&smmu->host, SMMUINV_FEATURE_RIL,
			!spec_feature_get(&smmu->host, SMMUINV_FEATURE_RIL));
	smmu->there = true;
	smmu->repeat = repeat;
	smmu->by_pages = spec_feature_get(&w->guest, SMMUINV_FEATURE_RIL) &&
			 !spec_feature_get(&smmu->host, SMMUINV_FEATURE_RIL);
	oracle_init(&smmu->oracle, &w->guest);
	for (k = 0; k < count; k++)
		oracle_aim(&smmu->oracle, &commands[k]);
	must(!smmuinv_caches_new(ORACLE_ENTRIES, &smmu->caches));
	oracle_fill(&smmu->oracle, smmu->caches);
}

/* Both SMMUs are of the virtual one at first. */
static void open_vm(struct fuzz_world *w, const struct fuzz_world_head *head,
		    const struct smmuinv_command *commands, size_t count)
{
	const bool repeat[FUZZ_SMMUS] = {
		head->flags & FUZZ_HW_REPEAT,
		head->smmus & FUZZ_SMMU_1_REPEAT,
	};
	struct vm_options o = {
		.smmus = FUZZ_SMMUS,
		.kernel = (head->policy & 7u) %
			  (SMMUINV_MOCK_EXACT_QUARANTINE + 1u),
		.plan = head->policy & FUZZ_POLICY_AS_WRITTEN ?
				SMMUINV_PLAN_AS_WRITTEN :
				SMMUINV_PLAN_MERGED,
		.guest = &w->guest,
		.pages_max = head->pages_max,
		.retries_max = head->policy & FUZZ_POLICY_FEW_RETRIES ? 2 : 0,
		.timeouts_max = head->policy & FUZZ_POLICY_FEW_TIMEOUTS ? 1 : 0,
		.empty = true,
	};
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++) {
		open_smmu(w, i, repeat[i], head, commands, count);
		o.smmu[i] = (struct vm_smmu_options){
			.host = &w->smmu[i].host,
			.hw_flags = repeat[i] ? SMMUINV_HW_INFO_REPEAT : 0,
			.caches = w->smmu[i].caches,
		};
	}
	w->as_written = o.plan == SMMUINV_PLAN_AS_WRITTEN;
	w->patient = !o.retries_max && !o.timeouts_max;
	vm_open_with(&w->vm, &o);
	w->vm.hook = on_call;
	w->vm.hook_data = w;
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

/* vSIDs that commands name, so that not all of them are unknown. */
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

static void open_stream(struct fuzz_world *w, unsigned int s,
			const struct fuzz_world_head *head)
{
	bool ats = spec_feature_get(&w->guest, SMMUINV_FEATURE_ATS);
	struct fuzz_stream *stream = &w->stream[s];

	stream->smmu = head->smmus >> s & 1;
	stream->own = head->plugged >> (s + 3) & 1;
	/* EATS is ignored without IDR0.ATS (5.2). */
	stream->wants_ats = ats && head->states >> s & 1;
	stream->device = vm_device(&w->vm, stream->smmu);
	if (head->plugged >> s & 1)
		fuzz_world_toggle(w, s);
	if (head->states >> (s + 3) & 1)
		fuzz_world_silence(w, s, true);
}

void fuzz_world_open(struct fuzz_world *w, const struct fuzz_world_head *head,
		     const struct smmuinv_command *commands, size_t count)
{
	unsigned int s;
	size_t i;

	memset(w, 0, sizeof(*w));
	fuzz_host(&w->smmu[0].host, head->host_idr,
		  head->flags & FUZZ_HOST_ATS);
	fuzz_guest(&w->guest, &w->smmu[0].host, head->guest_idr);
	w->carried = fuzz_carried(&w->guest, &w->smmu[0].host);
	open_vm(w, head, commands, count);
	if (head->smmus & FUZZ_NO_SMMU_0)
		fuzz_world_toggle_smmu(w, 0);
	if (!(head->smmus & FUZZ_SMMU_1_THERE))
		fuzz_world_toggle_smmu(w, 1);
	choose_vsids(w, head, commands, count);
	for (s = 0; s < FUZZ_STREAMS; s++)
		open_stream(w, s, head);
	for (i = 0; i < FUZZ_FAULTS; i++)
		inject(w, &head->faults[i]);
}

/* Not vm_close(): faults that have not happened are none of its business. */
void fuzz_world_close(struct fuzz_world *w)
{
	unsigned int i;

	smmuinv_vsmmu_free(w->vm.vsmmu);
	must(w->faults || !w->vm.vdevices);
	smmuinv_backend_free(w->vm.backend);
	smmuinv_backend_free(w->vm.mock_backend);
	smmuinv_mock_free(w->vm.mock);
	for (i = 0; i < FUZZ_SMMUS; i++)
		smmuinv_caches_free(w->smmu[i].caches);
}

int fuzz_world_check(const struct fuzz_world *w,
		     const struct smmuinv_command *raw,
		     struct smmuinv_finding *finding)
{
	*finding = (struct smmuinv_finding){ .size = sizeof(*finding) };
	return smmuinv_check(raw, &w->guest, &w->carried, finding);
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

/* The library says of a stream what was said to it. */
static void found_as_told(const struct fuzz_world *w, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };
	const struct fuzz_stream *s = fuzz_world_stream(w, vsid);
	int rc = smmuinv_vsmmu_find_stream(w->vm.vsmmu, vsid, &info);

	must(rc == (s ? 0 : -ENOENT));
	if (!s)
		return;
	must(info.vsid == vsid && info.ats == s->ats && info.made == !s->own);
	must(info.viommu_id == w->vm.smmu[s->smmu].viommu);
	must(s->own ? info.vdevice_id == s->vdevice : info.dev_id == s->device);
	must(!info.owes || (w->faults || w->hung));
}

/* Nothing is asked for any more that only concerns it. */
static void forget_stream(struct fuzz_world *w, uint32_t vsid)
{
	size_t kept = 0;
	size_t i;

	for (i = 0; i < FUZZ_SMMUS; i++)
		oracle_forget_stream(&w->smmu[i].oracle, vsid);
	for (i = 0; i < w->pending_count; i++) {
		if (fuzz_sid(&w->pending[i]) != vsid)
			w->pending[kept++] = w->pending[i];
	}
	w->pending_count = kept;
}

uint32_t fuzz_world_set_ats(struct fuzz_world *w, unsigned int stream, bool ats)
{
	struct fuzz_stream *s = &w->stream[stream % FUZZ_STREAMS];
	bool may = spec_feature_get(&w->guest, SMMUINV_FEATURE_ATS);

	if (!s->plugged)
		return s->vsid;
	must(!smmuinv_vsmmu_set_ats(w->vm.vsmmu, s->vsid, ats && may));
	/* From on to on nothing changes. */
	if (s->ats != (ats && may))
		forget_stream(w, s->vsid);
	s->ats = ats && may;
	found_as_told(w, s->vsid);
	return s->vsid;
}

/* It is tried until no fault is left to make it fail. */
static void make_own_vdevice(struct fuzz_world *w, struct fuzz_stream *s)
{
	unsigned int i;

	s->vdevice = 0;
	for (i = 0; i <= FUZZ_FAULTS && !s->vdevice; i++) {
		int rc = smmuinv_mock_vdevice_alloc(
			w->vm.mock, w->vm.smmu[s->smmu].viommu, s->device,
			s->vsid, &s->vdevice);

		if (rc)
			s->vdevice = 0;
	}
}

static void destroy_own_vdevice(struct fuzz_world *w, struct fuzz_stream *s)
{
	unsigned int i;

	/* A lie of the host may be the first answer. */
	for (i = 0; i <= FUZZ_FAULTS; i++) {
		if (smmuinv_mock_destroy(w->vm.mock, s->vdevice) == -ENOENT)
			break;
	}
}

static void plugged_as_asked(const struct fuzz_world *w,
			     const struct fuzz_stream *s, int rc, bool there,
			     size_t faults)
{
	uint32_t sid_bits = w->guest.idr[1] & 63;

	if (sid_bits < 32 && s->vsid >> sid_bits)
		must(rc == -ERANGE);
	else if (!w->smmu[s->smmu].there)
		must(rc == -EXDEV);
	else if (there)
		must(rc == -EEXIST);
	else
		must(!rc || (!s->own && (fuzz_world_faults_left(w) < faults ||
					 /* a vDEVICE that would not go */
					 (w->faults && rc == -EEXIST))));
}

static void plug_in(struct fuzz_world *w, unsigned int which)
{
	struct fuzz_stream *s = &w->stream[which];
	struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.viommu_id = w->vm.smmu[s->smmu].viommu,
		.dev_id = s->device,
		.vsid = s->vsid,
	};
	bool there = fuzz_world_stream(w, s->vsid);
	size_t faults;
	int rc;

	if (s->own)
		make_own_vdevice(w, s);
	if (s->own && !s->vdevice)
		return;
	params.vdevice_id = s->own ? s->vdevice : 0;
	faults = fuzz_world_faults_left(w);
	rc = smmuinv_vsmmu_add_stream(w->vm.vsmmu, &params);
	plugged_as_asked(w, s, rc, there, faults);
	s->plugged = !rc;
	s->ats = false;
	if (s->own && rc)
		destroy_own_vdevice(w, s);
	if (!rc)
		fuzz_world_set_ats(w, which, s->wants_ats);
}

static void unplug(struct fuzz_world *w, struct fuzz_stream *s)
{
	int rc = smmuinv_vsmmu_remove_stream(w->vm.vsmmu, s->vsid);

	/* A vDEVICE that would not go keeps its stream. */
	must(!rc || (w->faults && !s->own));
	s->plugged = rc && rc != -ENOENT;
	if (s->own)
		destroy_own_vdevice(w, s);
}

uint32_t fuzz_world_toggle(struct fuzz_world *w, unsigned int stream)
{
	unsigned int which = stream % FUZZ_STREAMS;
	struct fuzz_stream *s = &w->stream[which];

	if (s->plugged)
		unplug(w, s);
	else
		plug_in(w, which);
	found_as_told(w, s->vsid);
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

void fuzz_world_replug_all(struct fuzz_world *w)
{
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		if (w->stream[s].plugged)
			fuzz_world_replug(w, w->stream[s].vsid);
	}
}

void fuzz_world_silence(struct fuzz_world *w, unsigned int stream, bool silent)
{
	struct fuzz_stream *s = &w->stream[stream % FUZZ_STREAMS];
	uint32_t reply = silent ? SMMUINV_MOCK_SILENT : SMMUINV_MOCK_ANSWERS;

	/* Without a vDEVICE there is no device that the mock could find. */
	if (smmuinv_mock_hang(w->vm.mock, w->vm.smmu[s->smmu].viommu, s->vsid,
			      reply))
		return;
	s->silent = silent;
	w->hung = w->hung || silent;
}

void fuzz_world_hang(struct fuzz_world *w, unsigned int smmu, bool hung)
{
	vm_hang_smmu(&w->vm, smmu % FUZZ_SMMUS, hung);
	w->hung = w->hung || hung;
}

void fuzz_world_mend(struct fuzz_world *w)
{
	unsigned int i;

	for (i = 0; i < FUZZ_STREAMS; i++)
		fuzz_world_silence(w, i, false);
	for (i = 0; i < FUZZ_SMMUS; i++)
		fuzz_world_hang(w, i, false);
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
	unsigned int which = smmu % FUZZ_SMMUS;
	const struct smmuinv_viommu_params params =
		vm_viommu_params(&w->vm, which);
	struct smmuinv_vsmmu *vsmmu = w->vm.vsmmu;
	struct fuzz_smmu *s = &w->smmu[which];
	int rc;

	if (!s->there) {
		must(!smmuinv_vsmmu_add_viommu(vsmmu, &params, NULL));
		s->there = true;
		must(smmuinv_vsmmu_add_viommu(vsmmu, &params, NULL) == -EEXIST);
		refill(s);
		return;
	}
	rc = smmuinv_vsmmu_remove_viommu(vsmmu, params.viommu_id);
	must(rc == (has_streams(w, which) ? -EBUSY : 0));
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

uint32_t fuzz_world_rule(const struct fuzz_world *w,
			 const struct smmuinv_command *raw)
{
	const struct fuzz_stream *s = fuzz_world_stream(w, fuzz_sid(raw));

	if (!all_smmus(w))
		return SMMUINV_RULE_NO_VIOMMU;
	if (!fuzz_names_stream(raw))
		return SMMUINV_RULE_NONE;
	if (!s)
		return SMMUINV_RULE_STREAM_UNKNOWN;
	if (fuzz_is_atc(raw) && !s->ats)
		return SMMUINV_RULE_ATS_OFF;
	return SMMUINV_RULE_NONE;
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

static void rely_now(struct fuzz_world *w, const struct smmuinv_command *raw,
		     unsigned int smmus)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++) {
		if (smmus >> i & 1)
			oracle_execute(&w->smmu[i].oracle, raw);
	}
}

void fuzz_world_rely(struct fuzz_world *w, const struct smmuinv_command *raw,
		     unsigned int smmus)
{
	if (!fuzz_is_atc(raw))
		rely_now(w, raw, smmus);
	else if (smmus && w->pending_count < FUZZ_PENDING)
		w->pending[w->pending_count++] = *raw;
}

void fuzz_world_synced(struct fuzz_world *w)
{
	size_t i;

	for (i = 0; i < w->pending_count; i++)
		rely_now(w, &w->pending[i],
			 fuzz_world_concerned(w, &w->pending[i]));
	w->pending_count = 0;
}

static void rely_on(struct fuzz_world *w, uint64_t dw0, uint64_t dw1,
		    unsigned int smmus)
{
	const struct smmuinv_command command = raw(dw0, dw1);

	rely_now(w, &command, smmus);
}

static bool owes(const struct fuzz_world *w, uint32_t vsid)
{
	struct smmuinv_stream_info info = { .size = sizeof(info) };

	return !smmuinv_vsmmu_find_stream(w->vm.vsmmu, vsid, &info) &&
	       info.owes;
}

/* For what is owed, the next CMD_SYNC waits. */
static void rely_on_atc(struct fuzz_world *w, const struct fuzz_stream *s,
			uint64_t dw0)
{
	const struct smmuinv_command all = raw(dw0, SMMUINV_ATC_SIZE_ALL);

	if (owes(w, s->vsid))
		fuzz_world_rely(w, &all, 1u << s->smmu);
	else
		rely_now(w, &all, 1u << s->smmu);
}

void fuzz_world_rely_on_everything(struct fuzz_world *w)
{
	bool ssids = spec_feature_get(&w->guest, SMMUINV_FEATURE_SSIDSIZE);
	unsigned int i;

	rely_on(w, SMMUINV_CMD_TLBI_NH_ALL, 0, all_smmus(w));
	for (i = 0; i < FUZZ_STREAMS; i++) {
		const struct fuzz_stream *s = &w->stream[i];
		uint64_t sid = (uint64_t)s->vsid << 32;
		uint64_t any_ssid = 1 << 11 | 1 << 9;

		if (!s->plugged)
			continue;
		rely_on(w, sid | SMMUINV_CMD_CFGI_CD_ALL, 0, 1u << s->smmu);
		if (!s->ats)
			continue;
		rely_on_atc(w, s, sid | SMMUINV_CMD_ATC_INV);
		if (ssids)
			rely_on_atc(w, s, sid | any_ssid | SMMUINV_CMD_ATC_INV);
	}
}

bool fuzz_world_may_fail(const struct fuzz_world *w, size_t faults_left)
{
	size_t happened = faults_left - fuzz_world_faults_left(w);

	return w->hung || w->vanishing || happened > (w->patient ? 1 : 0);
}

static bool is_vsid(const struct fuzz_world *w, uint64_t vsid)
{
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		if (w->stream[s].vsid == vsid)
			return true;
	}
	return false;
}

static bool is_viommu(const struct fuzz_world *w, uint32_t id)
{
	return id == w->vm.smmu[0].viommu || id == w->vm.smmu[1].viommu;
}

void fuzz_world_blamed(const struct fuzz_world *w,
		       const struct smmuinv_fault *f, int error,
		       uint32_t cerror)
{
	bool owed = cerror == SMMUINV_CERROR_ATC_INV_SYNC;

	must((f->source == SMMUINV_SOURCE_NONE) == (!error && !cerror));
	must(error || owed || !f->error);
	must(!error || f->error == error);
	must((f->source == SMMUINV_SOURCE_CALLBACK) ==
	     (f->callback != SMMUINV_CALLBACK_NONE));
	must(f->source == SMMUINV_SOURCE_GUEST || (!f->rule && !f->field));
	must(f->source == SMMUINV_SOURCE_HOST ? is_viommu(w, f->viommu_id) :
						!f->viommu_id);
	/* A device that is gone, or that does not answer. */
	must(f->vsid == SMMUINV_VSID_NONE ||
	     (is_vsid(w, f->vsid) && f->source == SMMUINV_SOURCE_HOST &&
	      (f->error == -ENODEV || f->error == -ETIMEDOUT)));
	/* Devices that were asked together are not told apart. */
	must(f->vsid != SMMUINV_VSID_NONE || error != -ENODEV ||
	     f->source != SMMUINV_SOURCE_HOST);
	must(!owed ||
	     (f->source == SMMUINV_SOURCE_HOST && f->error == -ETIMEDOUT));
}

/* What a call has cost that the VMM itself asked for. */
static void count_costs(struct fuzz_world *w, const struct smmuinv_result *r)
{
	struct smmuinv_counters *e = &w->expected;

	e->host_commands += r->host_commands;
	e->ioctls += r->ioctls;
	e->retries += r->retries;
	e->timeouts += r->timeouts;
	e->replaced += r->replaced;
	fuzz_world_counted(w);
}

void fuzz_world_invalidate_all(struct fuzz_world *w)
{
	struct smmuinv_result r = { .size = sizeof(r) };
	size_t faults = fuzz_world_faults_left(w);
	int rc = smmuinv_vsmmu_invalidate_all(w->vm.vsmmu, &r);

	must(rc <= 0 && (!rc || fuzz_world_may_fail(w, faults)));
	fuzz_world_blamed(w, &r.fault, rc, r.cerror);
	must(!r.completed && r.fault_index == SMMUINV_INDEX_NONE);
	w->in_vain = w->in_vain || rc;
	if (!rc)
		fuzz_world_rely_on_everything(w);
	count_costs(w, &r);
}

/* ATCs went when the VMM detached, so no device is asked. */
void fuzz_world_reset(struct fuzz_world *w)
{
	struct smmuinv_result r = { .size = sizeof(r) };
	size_t faults = fuzz_world_faults_left(w);
	int rc = smmuinv_vsmmu_reset(w->vm.vsmmu, &r);
	unsigned int s;

	must(rc <= 0 && (!rc || fuzz_world_may_fail(w, faults)));
	fuzz_world_blamed(w, &r.fault, rc, r.cerror);
	for (s = 0; s < FUZZ_STREAMS; s++)
		w->stream[s].ats = false;
	for (s = 0; s < FUZZ_STREAMS; s++) {
		forget_stream(w, w->stream[s].vsid);
		found_as_told(w, w->stream[s].vsid);
	}
	w->in_vain = w->in_vain || rc;
	if (!rc)
		fuzz_world_rely_on_everything(w);
	count_costs(w, &r);
}

bool fuzz_world_owes(const struct fuzz_world *w)
{
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		if (owes(w, w->stream[s].vsid))
			return true;
	}
	return false;
}

uint64_t fuzz_world_calls(const struct fuzz_world *w)
{
	return smmuinv_mock_calls(w->vm.mock);
}

size_t fuzz_world_faults_left(const struct fuzz_world *w)
{
	return smmuinv_mock_faults_left(w->vm.mock);
}

const struct smmuinv_command *fuzz_world_executed(const struct fuzz_world *w,
						  unsigned int smmu, size_t *at)
{
	const struct smmuinv_mock_record *records;
	size_t count = smmuinv_mock_executed(w->vm.mock, &records);

	while (*at < count) {
		const struct smmuinv_mock_record *r = &records[(*at)++];

		if (r->viommu_id == w->vm.smmu[smmu].viommu)
			return &r->command;
	}
	return NULL;
}

/* Windows of one command, each with all retries that it may have. */
uint64_t fuzz_calls_max(uint64_t commands)
{
	return FUZZ_SMMUS * 100 * (commands + 2);
}

void fuzz_world_judge(const struct fuzz_world *w)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++)
		fuzz_judge(&w->smmu[i].oracle, w->smmu[i].caches);
	/* Whatever the guest wrote, no host queue has stopped. */
	must(!smmuinv_mock_wedged(w->vm.mock));
}

void fuzz_world_refill(struct fuzz_world *w)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++)
		refill(&w->smmu[i]);
	w->pending_count = 0;
}

void fuzz_world_counted(const struct fuzz_world *w)
{
	struct smmuinv_counters now = { .size = sizeof(now) };
	const struct smmuinv_counters *e = &w->expected;

	must(!smmuinv_vsmmu_counters(w->vm.vsmmu, &now));
	must(now.forwarded == e->forwarded && now.dropped == e->dropped);
	must(now.vmm == e->vmm && now.illegal == e->illegal);
	must(now.ioctls == e->ioctls && now.host_commands == e->host_commands);
	must(now.retries == e->retries && now.timeouts == e->timeouts);
	must(now.replaced == e->replaced);
	must(now.read >= now.forwarded + now.dropped + now.vmm + now.illegal);
	must(now.repeats <= now.host_commands);
	must(now.failed <= now.ioctls && now.timeouts <= now.failed);
	must(now.retries <= now.ioctls);
	must(w->faults || w->hung || (!now.failed && !now.retries));
}
