/* SPDX-License-Identifier: MIT */
/*
 * Long windows with CMD_SYNCs among them, on hardware that orders nothing
 * inside a call and makes stale entries again from others: what is gone after
 * the guest's order is gone after the library's calls (order_model.h). The
 * property test has every short window, and this one looks for long ones.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "order_model.h"
#include "spec.h"

struct head {
	uint8_t flags; /* ORDER_* */
	uint8_t spare[7];
};

#define ORDER_HOST_RIL   (1u << 0)
#define ORDER_GUEST_RIL  (1u << 1)
#define ORDER_AS_WRITTEN (1u << 2)
#define ORDER_ONE_TG     (1u << 3) /* the guest is only shown 4 KiB */

#define LETTERS_MAX 24
#define REMOVED_MAX 8192 /* a range may be some pages */
#define CALLS_MAX   64
#define VIOMMU      1u

/* A command of the window, in four bytes. */
struct letter {
	uint8_t opcode;
	uint8_t whose; /* an ASID, or a stream and its SubstreamID */
	uint8_t where; /* an address, Leaf, TG and TTL */
	uint8_t length;
};

/* What one group after the other removes: at CMD_SYNCs, or calls. */
struct groups {
	order_set removed[REMOVED_MAX];
	size_t ends[CALLS_MAX];
	size_t count;
};

struct trial {
	bool host_ril;
	bool guest_ril;
	struct groups guest;
	struct groups host;
	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_batch *batch;
};

static size_t end_of(const struct groups *g)
{
	return g->count ? g->ends[g->count - 1] : 0;
}

static int note_call(void *context, uint32_t viommu_id,
		     const struct smmuinv_command *commands, uint32_t *count)
{
	struct trial *t = context;
	struct groups *g = &t->host;
	size_t end = end_of(g);
	uint32_t i;

	must(viommu_id == VIOMMU && *count);
	must(g->count < CALLS_MAX && end + *count <= REMOVED_MAX);
	for (i = 0; i < *count; i++) {
		must(fuzz_is_atc(&commands[i]) == fuzz_is_atc(&commands[0]));
		g->removed[end++] = order_removed(&commands[i], t->host_ril);
	}
	g->ends[g->count++] = end;
	return 0;
}

static uint64_t address_of(const struct letter *l)
{
	static const uint64_t addresses[] = {
		ORDER_X,          ORDER_Y,   ORDER_Z,
		ORDER_BLOCK,      ORDER_64K, ORDER_X | UINT64_C(0xfff) << 52,
		ORDER_X - 0x1000, 0,
	};

	return addresses[l->where & 7];
}

static struct smmuinv_command tlbi_of(const struct letter *l, uint8_t opcode)
{
	uint64_t asid = ORDER_A + (l->whose & 1);
	uint64_t dw0 = opcode | (uint64_t)(l->length & 31) << 12 |
		       (uint64_t)(l->length >> 5 & 3) << 20;
	uint64_t dw1 = address_of(l) | (l->where >> 3 & 1) |
		       (uint64_t)(l->where >> 4 & 3) << 8 |
		       (uint64_t)(l->where >> 6 & 3) << 10;

	if (opcode != SMMUINV_CMD_TLBI_NH_VAA)
		dw0 |= asid << 48;
	return raw(dw0, dw1);
}

static struct smmuinv_command cd_of(const struct letter *l, uint8_t opcode)
{
	uint64_t sid = l->whose & 1 ? ORDER_SECOND : ORDER_FIRST;
	uint64_t ssid = l->whose >> 1 & 1;

	return raw(sid << 32 | ssid << 12 | opcode, l->where >> 3 & 1);
}

static struct smmuinv_command atc_of(const struct letter *l)
{
	struct smmuinv_command c = cd_of(l, SMMUINV_CMD_ATC_INV);
	uint64_t ssv = l->whose >> 2 & 1;
	uint64_t global = l->whose >> 3 & 1;
	uint64_t size = l->length % 54;

	c = raw(c.dw[0] | ssv << 11 | (ssv & global) << 9,
		address_of(l) | (size > 52 ? 52 : size % 12));
	return c;
}

static struct smmuinv_command command_of(const struct letter *l)
{
	switch (l->opcode % 12) {
	case 0:
	case 1:
	case 2:
		return tlbi_of(l, SMMUINV_CMD_TLBI_NH_VA);
	case 3:
		return tlbi_of(l, SMMUINV_CMD_TLBI_NH_VAA);
	case 4:
		return raw((uint64_t)(ORDER_A + (l->whose & 1)) << 48 |
				   SMMUINV_CMD_TLBI_NH_ASID,
			   0);
	case 5:
		return l->whose & 1 ? tlbi_all() :
				      raw(SMMUINV_CMD_TLBI_NSNH_ALL, 0);
	case 6:
		return cd_of(l, SMMUINV_CMD_CFGI_CD);
	case 7:
		return cfgi_cd_all(l->whose & 1 ? ORDER_SECOND : ORDER_FIRST);
	case 8:
		return atc_of(l);
	default:
		return cmd_sync();
	}
}

static void plug_in(struct trial *t, uint32_t vsid)
{
	const struct smmuinv_stream_params params = {
		.size = sizeof(params),
		.vsid = vsid,
		.viommu_id = VIOMMU,
		.vdevice_id = vsid,
	};

	must(!smmuinv_vsmmu_add_stream(t->vsmmu, &params));
	must(!smmuinv_vsmmu_set_ats(t->vsmmu, vsid, true));
}

static void open_trial(struct trial *t, const struct head *head)
{
	const struct smmuinv_backend_ops ops = {
		.size = sizeof(ops),
		.invalidate = note_call,
	};
	struct smmuinv_vsmmu_params params = {
		.size = sizeof(params),
		.viommu_id = VIOMMU,
		.guest = everything,
		.host = everything,
		.plan = head->flags & ORDER_AS_WRITTEN ?
				SMMUINV_PLAN_AS_WRITTEN :
				SMMUINV_PLAN_MERGED,
	};

	t->host_ril = head->flags & ORDER_HOST_RIL;
	t->guest_ril = head->flags & ORDER_GUEST_RIL;
	spec_feature_set(&params.host, SMMUINV_FEATURE_RIL, t->host_ril);
	spec_feature_set(&params.guest, SMMUINV_FEATURE_RIL, t->guest_ril);
	if (head->flags & ORDER_ONE_TG) {
		spec_feature_set(&params.guest, SMMUINV_FEATURE_GRAN16K, 0);
		spec_feature_set(&params.guest, SMMUINV_FEATURE_GRAN64K, 0);
	}
	must(!smmuinv_backend_new(&ops, t, &t->backend));
	params.backend = t->backend;
	must(!smmuinv_vsmmu_new(&params, &t->vsmmu, NULL));
	must(!smmuinv_batch_new(t->vsmmu, LETTERS_MAX, &t->batch));
	plug_in(t, ORDER_FIRST);
	plug_in(t, ORDER_SECOND);
}

static void close_trial(struct trial *t)
{
	smmuinv_batch_free(t->batch);
	smmuinv_vsmmu_free(t->vsmmu);
	smmuinv_backend_free(t->backend);
	free(t);
}

static void end_group(struct groups *g, size_t end)
{
	if (end > end_of(g))
		g->ends[g->count++] = end;
}

/* The guest waits at each CMD_SYNC, and at the end. */
static void write_window(struct trial *t, const uint8_t *data, size_t count)
{
	struct groups *g = &t->guest;
	size_t end = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		struct letter l;
		struct smmuinv_command c;

		memcpy(&l, data + i * sizeof(l), sizeof(l));
		c = command_of(&l);
		if (fuzz_opcode(&c) == SMMUINV_CMD_SYNC) {
			must(!smmuinv_batch_sync(t->batch));
			end_group(g, end);
		} else if (smmuinv_batch_add(t->batch, &c, NULL) ==
			   SMMUINV_FORWARD) {
			g->removed[end++] = order_removed(&c, t->guest_ril);
		}
	}
	end_group(g, end);
}

static order_set left_of(order_set chain, const struct groups *g)
{
	size_t start = 0;
	size_t i;

	for (i = 0; chain && i < g->count; i++) {
		chain = order_left(chain, &g->removed[start],
				   g->ends[i] - start);
		start = g->ends[i];
	}
	return chain;
}

/* A guest has a chain only of granules that it was shown. */
static void nothing_is_left(const struct trial *t, bool one_tg)
{
	static order_set *chains[2];
	static size_t counts[2];
	size_t i;

	if (!chains[one_tg])
		counts[one_tg] =
			order_chains(one_tg ? order_64k() : 0, &chains[one_tg]);
	for (i = 0; i < counts[one_tg]; i++) {
		order_set chain = chains[one_tg][i];

		must(left_of(chain, &t->guest) || !left_of(chain, &t->host));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trial *t = calloc(1, sizeof(*t));
	struct head head;
	size_t count = size > sizeof(head) ?
			       (size - sizeof(head)) / sizeof(struct letter) :
			       0;

	must(t != NULL);
	fuzz_head(&head, sizeof(head), data, size);
	open_trial(t, &head);
	if (count)
		write_window(t, data + sizeof(head),
			     count < LETTERS_MAX ? count : LETTERS_MAX);
	must(!smmuinv_batch_flush(t->batch, NULL));
	nothing_is_left(t, head.flags & ORDER_ONE_TG);
	close_trial(t);
	return 0;
}
