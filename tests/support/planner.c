/* SPDX-License-Identifier: MIT */
#include "planner.h"

#include <stdlib.h>

#include "feature.h"
#include "spec.h"

void planner_init(struct planner *p, const struct smmuinv_features *guest,
		  const struct smmuinv_features *host, uint32_t capacity,
		  uint32_t pages_max)
{
	bool ds = spec_feature_get(host, SMMUINV_FEATURE_DS);

	assert_int_equal(smmuinv__features_required(guest, host, NULL), 0);
	p->guest = *guest;
	p->host = *host;
	smmuinv__check_compile(&p->check, guest, guest);
	smmuinv__check_compile(&p->legal, host, host);
	p->commands = calloc(capacity, sizeof(*p->commands));
	p->marks = calloc(capacity, sizeof(*p->marks));
	assert_true(p->commands && p->marks);
	p->capacity = capacity;
	assert_int_equal(
		smmuinv__plan_init(&p->plan, capacity, guest, pages_max), 0);
	p->plan.ril = spec_feature_get(host, SMMUINV_FEATURE_RIL);
	p->plan.scale_max = ds ? 39 : 31;
}

void planner_free(struct planner *p)
{
	smmuinv__plan_free(&p->plan);
	free(p->commands);
	free(p->marks);
}

bool planner_canonical(const struct planner *p,
		       const struct smmuinv_command *raw,
		       struct smmuinv_command *canonical)
{
	struct check_found found;
	int verdict = smmuinv__check_run(&p->check, raw, &found);

	*canonical = found.command;
	return verdict == SMMUINV_FORWARD;
}

bool planner_legal(const struct planner *p,
		   const struct smmuinv_command *command)
{
	struct check_found found;
	int verdict = smmuinv__check_run(&p->legal, command, &found);

	return verdict == SMMUINV_FORWARD &&
	       test_command_equal(&found.command, command);
}

struct plan_window planner_window(struct planner *p,
				  const struct smmuinv_command *commands,
				  uint32_t count)
{
	struct plan_window w = {
		.commands = p->commands,
		.marks = p->marks,
		.count = count,
		.first_sync = ENTRY_NONE,
		.slot = 1,
		.plain = true,
	};
	uint32_t i = count;

	assert_true(count <= p->capacity);
	/* Each CMD_SYNC knows the next. */
	while (i--) {
		uint8_t opcode = smmuinv_command_opcode(&commands[i]);

		p->commands[i] = commands[i];
		p->marks[i] = (struct mark){ 0 };
		if (opcode == SMMUINV_CMD_SYNC) {
			p->marks[i] = (struct mark){ w.first_sync, ENTRY_SYNC };
			w.first_sync = i;
		} else if (command_names_stream(&commands[i])) {
			p->marks[i].slot = w.slot;
			w.plain = false;
		}
	}
	return w;
}

void planner_merged(struct planner *p, const struct smmuinv_command *commands,
		    uint32_t count)
{
	const struct plan_window window = planner_window(p, commands, count);

	smmuinv__plan_merged(&p->plan, &window);
}

void planner_as_written(struct planner *p,
			const struct smmuinv_command *commands, uint32_t count)
{
	const struct plan_window window = planner_window(p, commands, count);

	smmuinv__plan_as_written(&p->plan, &window);
}

void planner_assert(const struct planner *p,
		    const struct smmuinv_command *wanted, uint32_t count)
{
	const struct calls *calls = &p->plan.calls;
	uint32_t i;

	for (i = 0; i < calls->count && i < count; i++) {
		if (!test_command_equal(&calls->commands[i], &wanted[i]))
			fail_msg("%u: %s\nwanted %s", i,
				 test_text(&calls->commands[i]),
				 test_text(&wanted[i]));
	}
	assert_int_equal(calls->count, count);
}

void planner_assert_ends(const struct planner *p, const uint32_t *ends,
			 uint32_t count)
{
	const struct calls *calls = &p->plan.calls;
	uint32_t i;

	for (i = 0; i < calls->end_count && i < count; i++)
		assert_int_equal(calls->ends[i], ends[i]);
	assert_int_equal(calls->end_count, count);
	if (count)
		assert_int_equal(ends[count - 1], calls->count);
}

uint64_t planner_get(const struct smmuinv_command *command,
		     enum smmuinv_field field)
{
	const uint64_t dw[2] = { test_dw0(command), test_dw1(command) };

	return spec_field_get(dw, field);
}

unsigned int planner_entry_log2(unsigned int tg, unsigned int level)
{
	/* One table has a granule's worth of descriptors of eight bytes. */
	static const unsigned int granule[] = { 0, 12, 14, 16 };

	return granule[tg] + (3 - level) * (granule[tg] - 3);
}

bool is_by_address(const struct smmuinv_command *command)
{
	return smmuinv_command_opcode(command) == SMMUINV_CMD_TLBI_NH_VA ||
	       smmuinv_command_opcode(command) == SMMUINV_CMD_TLBI_NH_VAA;
}

struct reach planner_reach(const struct smmuinv_command *command)
{
	unsigned int tg = (unsigned int)planner_get(command, SMMUINV_FIELD_TG);
	uint64_t va = planner_get(command, SMMUINV_FIELD_VA);
	uint64_t units = planner_get(command, SMMUINV_FIELD_NUM) + 1;
	uint64_t scale = planner_get(command, SMMUINV_FIELD_SCALE);
	uint64_t half_end = va | UINT64_MAX >> 1;
	uint64_t length;

	if (!tg)
		return (struct reach){ va, va };
	length = units << (scale + planner_entry_log2(tg, 3));
	if (length - 1 > half_end - va)
		return (struct reach){ va, half_end };
	return (struct reach){ va, va + (length - 1) };
}

static struct planner opened;
static bool is_open;

void planner_close(void)
{
	if (is_open)
		planner_free(&opened);
	is_open = false;
}

int planner_teardown(void **state)
{
	(void)state;
	planner_close();
	return 0;
}

struct planner *planner_open_sized(unsigned int shown, enum planner_host kind,
				   uint32_t capacity)
{
	struct smmuinv_features guest = test_features_full();
	struct smmuinv_features host = test_features_full();
	bool ds = kind == WITH_LONG_RANGES;

	planner_close();
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN4K, shown & 1);
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN16K, shown >> 1 & 1);
	spec_feature_set(&guest, SMMUINV_FEATURE_GRAN64K, shown >> 2 & 1);
	spec_feature_set(&host, SMMUINV_FEATURE_RIL, kind != WITHOUT_RANGES);
	spec_feature_set(&host, SMMUINV_FEATURE_DS, ds);
	spec_feature_set(&guest, SMMUINV_FEATURE_DS, ds && shown != ONLY_64K);
	planner_init(&opened, &guest, &host, capacity, PLANNER_PAGES_MAX);
	is_open = true;
	return &opened;
}

struct planner *planner_open(unsigned int shown, enum planner_host kind)
{
	return planner_open_sized(shown, kind, PLANNER_CAPACITY);
}

struct smmuinv_command nh_va(uint16_t asid, uint64_t dw1)
{
	return test_command(SMMUINV_CMD_TLBI_NH_VA | (uint64_t)asid << 48, dw1);
}

struct smmuinv_command nh_vaa(uint64_t dw1)
{
	return test_command(SMMUINV_CMD_TLBI_NH_VAA, dw1);
}

struct smmuinv_command nh_asid(uint16_t asid)
{
	return test_command(SMMUINV_CMD_TLBI_NH_ASID | (uint64_t)asid << 48, 0);
}

struct smmuinv_command nh_all(void)
{
	return test_command(SMMUINV_CMD_TLBI_NH_ALL, 0);
}

struct smmuinv_command nsnh_all(void)
{
	return test_command(SMMUINV_CMD_TLBI_NSNH_ALL, 0);
}

struct smmuinv_command cd(uint32_t sid, uint32_t ssid, uint64_t leaf)
{
	return test_command(SMMUINV_CMD_CFGI_CD | (uint64_t)sid << 32 |
				    (uint64_t)ssid << 12,
			    leaf);
}

struct smmuinv_command cd_all(uint32_t sid)
{
	return test_command(SMMUINV_CMD_CFGI_CD_ALL | (uint64_t)sid << 32, 0);
}

struct smmuinv_command atc(uint32_t sid, uint64_t address, unsigned int size)
{
	return test_command(SMMUINV_CMD_ATC_INV | (uint64_t)sid << 32,
			    address | size);
}

struct smmuinv_command synced(void)
{
	return test_command(SMMUINV_CMD_SYNC, 0);
}

struct smmuinv_command ranged(struct smmuinv_command c, unsigned int tg,
			      unsigned int ttl, unsigned int scale,
			      unsigned int units)
{
	uint64_t dw0 = test_dw0(&c) | (uint64_t)(units - 1) << 12 |
		       (uint64_t)scale << 20;

	return test_command(dw0, test_dw1(&c) | (uint64_t)tg << 10 |
					 (uint64_t)ttl << 8);
}

struct smmuinv_command tagged(struct smmuinv_command c, uint32_t ssid,
			      bool global)
{
	return test_command(test_dw0(&c) | UINT64_C(1) << 11 |
				    (uint64_t)ssid << 12 |
				    (uint64_t)global << 9,
			    test_dw1(&c));
}

void fill_pages(struct smmuinv_command *commands, uint32_t n,
		struct smmuinv_command first, uint64_t step)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		commands[i] = test_command(test_dw0(&first),
					   test_dw1(&first) + i * step);
}

void reverse(struct smmuinv_command *commands, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n / 2; i++) {
		struct smmuinv_command swap = commands[i];

		commands[i] = commands[n - 1 - i];
		commands[n - 1 - i] = swap;
	}
}

void shuffle(struct smmuinv_command *commands, uint32_t n)
{
	while (n > 1) {
		uint32_t other = (uint32_t)test_random_below(n--);
		struct smmuinv_command swap = commands[n];

		commands[n] = commands[other];
		commands[other] = swap;
	}
}

void assert_plan(struct planner *p, const struct smmuinv_command *guest,
		 uint32_t asked, const struct smmuinv_command *host,
		 uint32_t count)
{
	struct smmuinv_command canonical;
	uint32_t i;

	for (i = 0; i < asked; i++) {
		if (smmuinv_command_opcode(&guest[i]) == SMMUINV_CMD_SYNC)
			continue;
		assert_true(planner_canonical(p, &guest[i], &canonical));
		assert_true(test_command_equal(&canonical, &guest[i]));
	}
	/* One command alone takes a way of its own: once more, said twice. */
	if (asked == 1) {
		const struct smmuinv_command twice[] = { guest[0], guest[0] };

		planner_merged(p, twice, 2);
		planner_assert(p, host, count);
	}
	planner_merged(p, guest, asked);
	planner_assert(p, host, count);
	for (i = 0; i < count; i++)
		assert_true(planner_legal(p, &p->plan.calls.commands[i]));
}
