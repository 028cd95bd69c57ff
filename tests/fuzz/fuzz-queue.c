/* SPDX-License-Identifier: MIT */
/*
 * A whole guest: any ring, any registers, memory that changes while it is read,
 * callbacks that fail and that change streams and their states, two SMMUs that
 * come and go, fail and lie.
 */
#include "fuzz.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct head {
	struct fuzz_world_head world;
	uint8_t log2size;
	uint8_t window;
	uint8_t flags; /* bits 1:0 max_commands; QUEUE_* */
	uint8_t misaligned;
	uint8_t prod[4];
	uint8_t cons[4];
	uint8_t actions[20];
};

#define QUEUE_BY_POINTER  (1u << 2)
#define QUEUE_NOT_SEEN    (1u << 3) /* ops.seen is missing */
#define QUEUE_NO_COMMAND  (1u << 4) /* ops.command is missing */
#define QUEUE_NO_CALLBACK (1u << 5) /* as are sync and the others */
#define QUEUE_CHANGING    (1u << 6) /* memory changes once it was read */
#define QUEUE_WINDOW_4096 (1u << 7)

#define COMMANDS_MAX 256 /* in an input */
#define LIMIT_MAX    160 /* in a call */
#define CALLS_MAX    10
#define AIMED        10
#define TROUBLE_MAX  12 /* failures of callbacks and of reads */
#define EXPECTED_MAX (LIMIT_MAX * (FUZZ_FAULTS + 1 + FUZZ_STREAMS))

/* A command that the guest wrote, and where. */
struct entry {
	struct smmuinv_command raw;
	uint32_t index;
	enum smmuinv_rule rule; /* why no SMMU had to do anything for it then */
	unsigned int smmus;     /* those that had to, a bit for each */
	bool changed;           /* its stream, since then */
	bool done;              /* before everything was cached again */
	unsigned int stes;      /* streams whose CDs a CFGI_STE took along */
};

/* One call of smmuinv_queue_consume(), as the guest sees it. */
struct call {
	struct smmuinv_ring ring;
	uint32_t limit;
	struct entry entries[LIMIT_MAX];
	uint32_t read;  /* entries that were read */
	uint32_t told;  /* entries whose fate is known */
	uint32_t shown; /* untold: entries before the next that may be shown */
	uint32_t applied; /* entries that the oracle has executed */
	uint32_t fates[SMMUINV_FATE_UNREADABLE + 1];
	bool unreadable;
	bool stopped; /* a fate that stops the queue was told */
	int failed;   /* what a callback answered */
};

struct vmm {
	struct fuzz_world world;
	struct smmuinv_queue *queue;
	uint8_t flags;
	uint8_t actions[20];
	unsigned int action;
	unsigned int trouble;
	unsigned int host_failures;
	struct smmuinv_command *memory;
	uint32_t memory_count;
	struct call call;
	/* Kept for the next CMD_SYNC after a time-out, their fate not told. */
	struct entry carried[LIMIT_MAX * FUZZ_FAULTS];
	uint32_t carried_first;
	uint32_t carried_end;
	bool may_carry; /* without ops.seen: there may be some */
	/* What SMMUs that do exactly that have to execute in this call. */
	struct smmuinv_command expected[FUZZ_SMMUS][EXPECTED_MAX];
	uint32_t expected_count[FUZZ_SMMUS];
	bool vague; /* two devices have had the same vSID */
	/* The CFGI_STE or CFGI_STE_RANGE whose callbacks are under way. */
	struct entry *ste;
	uint64_t ste_next; /* StreamIDs below it have been presented */
};

static bool by_pointer(const struct vmm *v)
{
	return v->flags & QUEUE_BY_POINTER;
}

static bool is_told(const struct vmm *v)
{
	return !(v->flags & QUEUE_NOT_SEEN);
}

static uint8_t next_action(struct vmm *v)
{
	return v->actions[v->action++ % sizeof(v->actions)];
}

/* May a callback fail now? Not for ever, so that there is an end to it. */
static bool trouble(struct vmm *v, uint8_t action)
{
	if ((action & 15) != 15 || v->trouble == TROUBLE_MAX)
		return false;
	v->trouble++;
	return true;
}

/* The registers' arithmetic, written a second time (3.5.1). */
static uint32_t ring_size(const struct smmuinv_ring *ring)
{
	return UINT32_C(1) << ring->log2size;
}

static uint32_t index_of(const struct smmuinv_ring *ring, uint32_t n)
{
	return (ring->cons + n) % ring_size(ring);
}

static uint32_t produced(const struct smmuinv_ring *ring)
{
	return (ring->prod - ring->cons) % (2 * ring_size(ring));
}

static struct smmuinv_command *memory_at(struct vmm *v, uint32_t n)
{
	return &v->memory[index_of(&v->call.ring, n) % v->memory_count];
}

static void scramble(struct smmuinv_command *command, uint8_t how)
{
	command->dw[how & 1] ^=
		htole64(UINT64_C(0x9e3779b97f4a7c15) << (how & 63));
}

static void note_read(struct vmm *v, const struct smmuinv_command *raw)
{
	struct call *c = &v->call;

	must(c->read < c->limit);
	c->entries[c->read] = (struct entry){
		.raw = *raw,
		.index = index_of(&c->ring, c->read),
		.rule = fuzz_world_rule(&v->world, raw),
		.smmus = fuzz_world_concerned(&v->world, raw),
	};
	c->read++;
}

/*
 * Reads by pointer cannot be seen. But memory and streams change only in those
 * of the VMM's callbacks where it is known how far the queue has come: not at a
 * CMD_SYNC, which does not end a window.
 */
static void catch_up(struct vmm *v, uint32_t read)
{
	while (by_pointer(v) && v->call.read < read)
		note_read(v, memory_at(v, v->call.read));
}

/* It comes or goes, or the guest's STE says something else. */
static void change_stream(struct vmm *v, uint8_t action)
{
	unsigned int s = action % FUZZ_STREAMS;
	uint32_t vsid;
	uint32_t i;

	if (action & 4)
		vsid = fuzz_world_set(&v->world, s, action & 1, action & 2);
	else
		vsid = fuzz_world_toggle(&v->world, s);
	for (i = 0; i < v->call.read; i++) {
		if (fuzz_sid(&v->call.entries[i].raw) == vsid)
			v->call.entries[i].changed = true;
		v->call.entries[i].stes &= ~(1u << s);
	}
}

static void may_not_use_the_queue(struct vmm *v)
{
	struct smmuinv_progress progress = { .size = sizeof(progress) };

	must(smmuinv_queue_consume(v->queue, &v->call.ring, &progress) ==
	     -EBUSY);
}

static int on_read(void *opaque, uint32_t index,
		   struct smmuinv_command *command)
{
	struct vmm *v = opaque;
	struct call *c = &v->call;
	uint8_t action = next_action(v);

	/* Each entry once, in order, and none beyond the bound. */
	must(!c->stopped && !c->unreadable && !c->failed);
	must(c->read < c->limit);
	must(index == index_of(&c->ring, c->read));
	if ((action & 0xf0) == 0x10)
		change_stream(v, action);
	if (trouble(v, action)) {
		memset(command, 0x30, sizeof(*command));
		c->unreadable = true;
		return -EFAULT;
	}
	*command = *memory_at(v, c->read);
	note_read(v, command);
	if (v->flags & QUEUE_CHANGING)
		scramble(memory_at(v, c->read - 1), action);
	return 0;
}

static struct smmuinv_command cd_all_of(const struct fuzz_stream *stream)
{
	const uint64_t dw0 =
		(uint64_t)stream->vsid << 32 | SMMUINV_CMD_CFGI_CD_ALL;

	return (struct smmuinv_command){ { htole64(dw0), 0 } };
}

/* The guest relies on the first @n commands of the call. */
static void apply(struct vmm *v, uint32_t n)
{
	struct call *c = &v->call;

	for (; c->applied < n; c->applied++) {
		const struct entry *e = &c->entries[c->applied];
		unsigned int s;

		if (e->done)
			continue;
		if (!fuzz_names_stream(&e->raw) || !e->changed)
			fuzz_world_rely(&v->world, &e->raw, e->smmus);
		for (s = 0; s < FUZZ_STREAMS; s++) {
			const struct fuzz_stream *stream = &v->world.stream[s];
			const struct smmuinv_command all = cd_all_of(stream);

			if (e->stes >> s & 1)
				fuzz_world_rely(&v->world, &all,
						1u << stream->smmu);
		}
	}
}

/* Entries up to @n whose fate was passed over wait for a CMD_SYNC. */
static void carry_upto(struct vmm *v, uint32_t n)
{
	struct call *c = &v->call;

	if (v->carried_first == v->carried_end)
		v->carried_first = v->carried_end = 0;
	for (; c->told < n; c->told++) {
		must(v->carried_end < ARRAY_SIZE(v->carried));
		v->carried[v->carried_end++] = c->entries[c->told];
	}
}

static bool nothing_is_carried(const struct vmm *v)
{
	return is_told(v) ? v->carried_first == v->carried_end : !v->may_carry;
}

static int check(const struct vmm *v, const struct smmuinv_command *raw,
		 struct smmuinv_finding *finding)
{
	*finding = (struct smmuinv_finding){ .size = sizeof(*finding) };
	return smmuinv_check(raw, &v->world.guest, &v->world.carried,
			     v->world.check_flags, finding);
}

/* Has the VMM a callback for it? */
static bool is_presented(const struct vmm *v, const struct smmuinv_command *raw)
{
	struct smmuinv_finding finding;

	if (check(v, raw, &finding) != SMMUINV_VMM)
		return false;
	switch (fuzz_opcode(raw)) {
	case SMMUINV_CMD_SYNC:
	case SMMUINV_CMD_CFGI_STE:
	case SMMUINV_CMD_CFGI_STE_RANGE:
		return !(v->flags & QUEUE_NO_CALLBACK);
	default:
		return true;
	}
}

/* The next entry that is the VMM's; those before it may wait for a CMD_SYNC. */
static uint32_t next_of_the_vmms(struct vmm *v)
{
	struct call *c = &v->call;
	uint32_t n = is_told(v) ? c->told : c->shown;

	for (;; n++) {
		catch_up(v, n + 1);
		must(n < c->read);
		if (is_presented(v, &c->entries[n].raw))
			return n;
	}
}

/*
 * The entry that a callback is about: everything before it is complete, but for
 * what waits for a CMD_SYNC, and before a CMD_SYNC that too.
 */
static struct entry *presented(struct vmm *v, bool sync)
{
	struct call *c = &v->call;
	uint32_t n = next_of_the_vmms(v);

	must(!c->stopped && !c->failed);
	/* Reading goes on behind a CMD_SYNC, before it is signaled. */
	must(sync || (c->read == n + 1 && !c->unreadable));
	c->shown = n + 1;
	if (is_told(v))
		carry_upto(v, n);
	if (sync)
		v->may_carry = false;
	must(!sync || nothing_is_carried(v));
	apply(v, n);
	if (nothing_is_carried(v))
		fuzz_world_judge(&v->world);
	return &c->entries[n];
}

/*
 * Everything is cached again, after what was read has been executed. But not
 * where one SMMU may have failed at what the other has done.
 */
static void refill(struct vmm *v)
{
	uint32_t i;

	if (v->world.faults && v->world.smmu[0].there && v->world.smmu[1].there)
		return;
	for (i = 0; i < v->call.read; i++)
		v->call.entries[i].done = true;
	fuzz_world_refill(&v->world);
}

static void change_memory(struct vmm *v, uint8_t action)
{
	scramble(memory_at(v, v->call.read + next_action(v) % 4u - 1), action);
}

/* What VMMs and guests do at such a moment. */
static int act(struct vmm *v, bool sync)
{
	struct call *c = &v->call;
	uint8_t action = next_action(v);
	bool position_known = !(sync && by_pointer(v));

	if (action & 0x10 && position_known)
		change_stream(v, action);
	if (action & 0x20 && position_known)
		refill(v);
	if (action & 0x40)
		may_not_use_the_queue(v);
	if (action & 0x80 && position_known)
		change_memory(v, action);
	if (trouble(v, action)) {
		c->failed = action & 0x10 ? -EIO : -ENOMEM;
		return c->failed;
	}
	return action & 1; /* what is not negative is no failure */
}

/* The StreamIDs of a CFGI_STE or CFGI_STE_RANGE, both included (4.3.2). */
static uint32_t first_of(const struct entry *e)
{
	uint64_t span = UINT64_C(2) << (le64toh(e->raw.dw[1]) & 31);

	if (fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE)
		return fuzz_sid(&e->raw);
	return (uint32_t)(fuzz_sid(&e->raw) / span * span);
}

static uint32_t last_of(const struct entry *e)
{
	uint64_t span = UINT64_C(2) << (le64toh(e->raw.dw[1]) & 31);

	if (fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE)
		return fuzz_sid(&e->raw);
	return first_of(e) + (uint32_t)(span - 1);
}

static bool is_ste(const struct entry *e)
{
	return fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE ||
	       fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE_RANGE;
}

/* With the states that streams have now, their CDs go. */
static void note_stes(const struct vmm *v, struct entry *e)
{
	unsigned int s;

	e->stes = 0;
	for (s = 0; s < FUZZ_STREAMS; s++) {
		const struct fuzz_stream *stream = &v->world.stream[s];

		if (stream->plugged && stream->translates &&
		    stream->vsid >= first_of(e) && stream->vsid <= last_of(e))
			e->stes |= 1u << s;
	}
}

/* No stream of the table is between @first and before @end. */
static void nobody_is_left_out(const struct vmm *v, uint64_t first,
			       uint64_t end)
{
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		const struct fuzz_stream *stream = &v->world.stream[s];

		must(!stream->plugged || stream->vsid < first ||
		     stream->vsid >= end);
	}
}

/* Once for each, and then for each stream that is in it. */
static int on_cfgi_ste_range(void *opaque, uint32_t first, uint32_t last,
			     bool leaf)
{
	struct vmm *v = opaque;
	struct entry *e = presented(v, false);
	int rc;

	must(is_ste(e) && first == first_of(e) && last == last_of(e));
	must(leaf == (fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE &&
		      le64toh(e->raw.dw[1]) & 1));
	v->ste = e;
	v->ste_next = first;
	rc = act(v, false);
	note_stes(v, e);
	return rc;
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct vmm *v = opaque;
	struct entry *e = v->ste;
	int rc;

	must(e && !v->call.failed);
	must(sid >= v->ste_next && sid <= last_of(e));
	must(fuzz_world_stream(&v->world, sid));
	must(leaf == (fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE &&
		      le64toh(e->raw.dw[1]) & 1));
	nobody_is_left_out(v, v->ste_next, sid);
	v->ste_next = (uint64_t)sid + 1;
	rc = act(v, false);
	note_stes(v, e);
	return rc;
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct vmm *v = opaque;
	const struct entry *e = presented(v, true);

	must(fuzz_opcode(&e->raw) == SMMUINV_CMD_SYNC);
	must(!(sync->irq && sync->sev) && (!sync->msi || sync->irq));
	must(sync->msi || (!sync->msi_address && !sync->msi_data));
	must(!(sync->msi_address & 3) && sync->msi_address >> 56 == 0);
	return act(v, true);
}

static int on_command(void *opaque, const struct smmuinv_command *command)
{
	struct vmm *v = opaque;
	const struct entry *e = presented(v, false);

	must(fuzz_opcode(&e->raw) == fuzz_opcode(command));
	must(!smmuinv_opcode_is_forwarded(fuzz_opcode(command)));
	must(!smmuinv_command_get(command, SMMUINV_FIELD_RES0));
	return act(v, false);
}

static void note_cd(void *opaque, const struct smmuinv_cd *cd)
{
	struct vmm *v = opaque;

	must(!smmuinv_vsmmu_note_cd(v->world.vsmmu, cd));
}

/*
 * As it is read, and ahead of the others. A granule that no table has makes the
 * library less certain, and nothing else.
 */
static void on_cfgi_cd(void *opaque, uint32_t sid, uint32_t ssid, bool all)
{
	struct vmm *v = opaque;
	uint8_t action = next_action(v);
	struct smmuinv_cd cd = {
		.size = sizeof(cd),
		.valid = action & 1,
		.asid = action >> 4,
		.walks = { true, action & 2 },
		.tg = { action >> 2 & 3, action >> 4 & 3 },
	};
	const struct entry *e;

	must(!v->call.stopped && !v->call.failed);
	must(!all || !ssid);
	if ((action & 12) == 12)
		note_cd(v, &cd);
	if (by_pointer(v))
		return;
	must(v->call.read);
	e = &v->call.entries[v->call.read - 1];
	must(sid == fuzz_sid(&e->raw));
	must(fuzz_opcode(&e->raw) ==
	     (all ? SMMUINV_CMD_CFGI_CD_ALL : SMMUINV_CMD_CFGI_CD));
}

static bool is_rule_of_streams(enum smmuinv_rule rule)
{
	return rule == SMMUINV_RULE_STREAM_UNKNOWN ||
	       rule == SMMUINV_RULE_NOT_TRANSLATING ||
	       rule == SMMUINV_RULE_ATS_OFF;
}

static bool matches_verdict(const struct vmm *v, const struct entry *e,
			    enum smmuinv_fate fate, enum smmuinv_rule rule)
{
	struct smmuinv_finding finding;
	int verdict = check(v, &e->raw, &finding);

	switch (fate) {
	case SMMUINV_FATE_FORWARDED:
		return verdict == SMMUINV_FORWARD && !rule &&
		       (e->changed || !e->rule);
	case SMMUINV_FATE_DROPPED:
		if (verdict == SMMUINV_FORWARD)
			return rule &&
			       (rule == e->rule ||
				(e->changed && is_rule_of_streams(rule)));
		return verdict == SMMUINV_IGNORE && rule;
	case SMMUINV_FATE_VMM:
		return verdict == SMMUINV_VMM && !rule;
	case SMMUINV_FATE_ILLEGAL:
		if (rule == SMMUINV_RULE_NOT_OFFERED)
			return verdict == SMMUINV_VMM &&
			       v->flags & QUEUE_NO_COMMAND;
		return verdict == SMMUINV_ILLEGAL && rule;
	default:
		return false;
	}
}

static bool is_entry(const struct entry *e, uint32_t index,
		     const struct smmuinv_command *command)
{
	return e->index == index && fuzz_same(command, &e->raw);
}

/* The next of those that wait for a CMD_SYNC? */
static bool carried_seen(struct vmm *v, uint32_t index,
			 const struct smmuinv_command *command,
			 enum smmuinv_fate fate)
{
	if (fate != SMMUINV_FATE_FORWARDED && fate != SMMUINV_FATE_DROPPED)
		return false;
	if (v->carried_first == v->carried_end ||
	    !is_entry(&v->carried[v->carried_first], index, command))
		return false;
	v->carried_first++;
	return true;
}

/* Those before it that were not told of wait for a CMD_SYNC. */
static void pass_over(struct vmm *v, uint32_t index,
		      const struct smmuinv_command *command)
{
	struct call *c = &v->call;
	uint32_t n = c->told;

	for (;; n++) {
		catch_up(v, n + 1);
		must(n < c->read);
		if (is_entry(&c->entries[n], index, command))
			break;
	}
	carry_upto(v, n);
}

static void expect_on(struct vmm *v, const struct smmuinv_command *canonical,
		      unsigned int smmus)
{
	unsigned int i;

	for (i = 0; i < FUZZ_SMMUS; i++) {
		if (!(smmus >> i & 1))
			continue;
		must(v->expected_count[i] < EXPECTED_MAX);
		v->expected[i][v->expected_count[i]++] = *canonical;
	}
}

/* The VMM may have changed the stream since then, but not the device's SMMU. */
static unsigned int executed_by(struct vmm *v,
				const struct smmuinv_command *raw)
{
	unsigned int smmus = 0;
	unsigned int s;

	if (!fuzz_names_stream(raw))
		return fuzz_world_concerned(&v->world, raw);
	for (s = 0; s < FUZZ_STREAMS; s++) {
		if (v->world.stream[s].vsid == fuzz_sid(raw))
			smmus |= 1u << v->world.stream[s].smmu;
	}
	v->vague = v->vague || smmus & (smmus - 1);
	return smmus;
}

static void expect(struct vmm *v, const struct smmuinv_command *raw)
{
	struct smmuinv_finding finding;

	must(check(v, raw, &finding) == SMMUINV_FORWARD);
	expect_on(v, &finding.command, executed_by(v, raw));
}

/* What the library has done behind a CFGI_STE, in the order of the vSIDs. */
static void expect_cds(struct vmm *v, struct entry *e)
{
	unsigned int left, s;

	note_stes(v, e);
	if (v->ste)
		nobody_is_left_out(v, v->ste_next, (uint64_t)last_of(e) + 1);
	v->ste = NULL;
	for (left = e->stes; left;) {
		unsigned int lowest = FUZZ_STREAMS;
		struct smmuinv_command all;

		for (s = 0; s < FUZZ_STREAMS; s++) {
			if (left >> s & 1 &&
			    (lowest == FUZZ_STREAMS ||
			     v->world.stream[s].vsid <
				     v->world.stream[lowest].vsid))
				lowest = s;
		}
		left &= ~(1u << lowest);
		all = cd_all_of(&v->world.stream[lowest]);
		expect_on(v, &all, 1u << v->world.stream[lowest].smmu);
	}
}

/*
 * Each command's fate once, as it was read, and in the order of the queue but
 * for those that waited for a CMD_SYNC, which keep their own order.
 */
static void on_seen(void *opaque, uint32_t index,
		    const struct smmuinv_command *command,
		    enum smmuinv_fate fate, enum smmuinv_rule rule)
{
	struct vmm *v = opaque;
	struct call *c = &v->call;
	uint8_t action = by_pointer(v) ? 0 : next_action(v);

	must(!c->stopped && !c->failed && fate <= SMMUINV_FATE_UNREADABLE);
	c->fates[fate]++;
	if (fate == SMMUINV_FATE_FORWARDED)
		expect(v, command);
	if (carried_seen(v, index, command, fate))
		return;
	c->stopped =
		fate == SMMUINV_FATE_UNREADABLE || fate == SMMUINV_FATE_ILLEGAL;
	if (fate == SMMUINV_FATE_UNREADABLE) {
		carry_upto(v, c->read);
		must(c->unreadable && index == index_of(&c->ring, c->told));
		return;
	}
	pass_over(v, index, command);
	must(c->told < c->read);
	must(fuzz_same(command, &c->entries[c->told].raw));
	must(matches_verdict(v, &c->entries[c->told], fate, rule));
	if (fate == SMMUINV_FATE_VMM && is_ste(&c->entries[c->told]))
		expect_cds(v, &c->entries[c->told]);
	if (!c->stopped)
		c->told++;
	if ((action & 0xf0) == 0x20)
		change_stream(v, action);
}

static void open_queue(struct vmm *v, const struct head *head)
{
	struct smmuinv_queue_ops ops = {
		.size = sizeof(ops),
		.read = on_read,
		.cfgi_ste = on_cfgi_ste,
		.cfgi_ste_range = on_cfgi_ste_range,
		.sync = on_sync,
		.command = on_command,
		.cfgi_cd = on_cfgi_cd,
		.seen = on_seen,
	};
	struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.opaque = v,
		.window = v->flags & QUEUE_WINDOW_4096 ? 0 : head->window,
	};

	if (!is_told(v))
		ops.seen = NULL;
	if (v->flags & QUEUE_NO_COMMAND)
		ops.command = NULL;
	if (v->flags & QUEUE_NO_CALLBACK) {
		ops.cfgi_ste = NULL;
		ops.cfgi_ste_range = NULL;
		ops.sync = NULL;
	}
	must(!smmuinv_queue_new(v->world.vsmmu, &params, &v->queue));
}

/* The ring at exactly its size by pointer, else what the input gives. */
static void open_memory(struct vmm *v, const struct head *head,
			const struct smmuinv_command *commands, size_t count)
{
	struct smmuinv_ring *ring = &v->call.ring;
	uint32_t i;

	*ring = (struct smmuinv_ring){
		.size = sizeof(*ring),
		.log2size = head->log2size % 24,
		.prod = fuzz_u32(head->prod),
		.cons = fuzz_u32(head->cons),
		.max_commands = (head->flags & 3u) * 5,
	};
	if (by_pointer(v) && ring->log2size <= SMMUINV_QUEUE_LOG2SIZE_MAX)
		ring->log2size %= 9;
	if (by_pointer(v) && ring->log2size <= SMMUINV_QUEUE_LOG2SIZE_MAX)
		v->memory_count = ring_size(ring);
	else
		v->memory_count = count ? (uint32_t)count : 1;
	v->memory = calloc(v->memory_count, sizeof(*v->memory));
	must(v->memory != NULL);
	for (i = 0; count && i < v->memory_count; i++)
		v->memory[i] = commands[i % count];
	if (by_pointer(v))
		ring->base = (const char *)v->memory + (head->misaligned & 7);
}

static bool ring_is_refused(const struct smmuinv_ring *ring)
{
	return ring->log2size > SMMUINV_QUEUE_LOG2SIZE_MAX ||
	       (uintptr_t)ring->base % 8;
}

static void start_call(struct vmm *v)
{
	struct call *c = &v->call;
	struct smmuinv_ring *ring = &c->ring;

	memset(&c->limit, 0, sizeof(*c) - offsetof(struct call, limit));
	if (produced(ring) > ring_size(ring))
		return;
	if (ring->max_commands > LIMIT_MAX ||
	    (!ring->max_commands && produced(ring) > LIMIT_MAX))
		ring->max_commands = LIMIT_MAX;
	c->limit = produced(ring);
	if (ring->max_commands && ring->max_commands < c->limit)
		c->limit = ring->max_commands;
}

/*
 * Entries that are consumed and not told of wait for a CMD_SYNC: which then
 * must find none. In a ring of one entry they cannot be told from later ones,
 * so no more can be asked for here.
 */
static void keep_carried(struct vmm *v, const struct smmuinv_progress *p)
{
	struct call *c = &v->call;

	/* A later trouble may be told instead of the time-out. */
	v->may_carry = v->may_carry || p->host_error || c->failed;
	if (!is_told(v))
		return;
	must(c->told <= p->consumed);
	carry_upto(v, p->consumed);
}

/* What the registers say afterwards, and what was told, are one story. */
static void the_end_is_where_it_says(struct vmm *v, int rc,
				     const struct smmuinv_progress *p)
{
	struct call *c = &v->call;
	uint32_t mask = 2 * ring_size(&c->ring) - 1;

	must(p->consumed <= c->limit);
	must(p->cons == ((c->ring.cons + p->consumed) & mask));
	must(rc < 0 || rc == (int)p->consumed);
	catch_up(v, p->consumed);
	must(p->consumed <= c->read);
	keep_carried(v, p);
	switch (p->cerror) {
	case SMMUINV_CERROR_NONE:
		must(rc < 0 || p->consumed == c->limit);
		break;
	case SMMUINV_CERROR_ILL:
		must(rc >= 0 && p->consumed < c->limit && p->rule);
		must(!is_told(v) || c->fates[SMMUINV_FATE_ILLEGAL] == 1);
		break;
	case SMMUINV_CERROR_ABT:
		must(rc >= 0 && c->unreadable && p->consumed < c->limit);
		break;
	case SMMUINV_CERROR_ATC_INV_SYNC:
		must(rc >= 0 && p->consumed < c->limit);
		catch_up(v, p->consumed + 1);
		must(fuzz_opcode(&c->entries[p->consumed].raw) ==
		     SMMUINV_CMD_SYNC);
		must(p->host_error == -ETIMEDOUT);
		break;
	default:
		must(p->cerror <= SMMUINV_CERROR_ATC_INV_SYNC);
	}
	must(!is_told(v) || c->told == p->consumed);
	/* Before what cannot be read, the queue may have stopped otherwise. */
	must(!c->unreadable || rc < 0 || p->cerror == SMMUINV_CERROR_ABT ||
	     p->cerror == SMMUINV_CERROR_ATC_INV_SYNC);
}

static void the_numbers_add_up(const struct vmm *v,
			       const struct smmuinv_progress *p)
{
	const struct call *c = &v->call;

	must(p->ioctls <= p->host_commands);
	/* One SMMU's part may have been done before another failed. */
	must(p->forwarded == 0 || p->ioctls != 0 || v->world.faults);
	if (!is_told(v))
		return;
	must(p->forwarded == c->fates[SMMUINV_FATE_FORWARDED]);
	must(p->vmm == c->fates[SMMUINV_FATE_VMM]);
	must(p->dropped == c->fates[SMMUINV_FATE_DROPPED]);
}

/* Everything before CMDQ_CONS is complete, but for what waits for a SYNC. */
static void what_is_consumed_is_done(struct vmm *v, uint32_t consumed)
{
	apply(v, consumed);
	if (nothing_is_carried(v))
		fuzz_world_judge(&v->world);
}

/* An errno has a reason, and a host that fails so often cannot go on so. */
static void a_failure_has_a_reason(struct vmm *v, int rc,
				   const struct smmuinv_progress *p)
{
	struct call *c = &v->call;

	if (c->failed) {
		must(rc == c->failed && !p->cerror && !p->host_error);
		return;
	}
	must(p->host_error && !p->cerror);
	v->host_failures++;
	/* Each fault fails one call, and may take a vDEVICE for another. */
	must(v->host_failures <= 2 * v->world.faults);
	if (rc == -ENODEV)
		fuzz_world_replug(&v->world, p->fault_vsid);
}

static void a_call_is_bounded(const struct vmm *v, uint64_t calls_before)
{
	uint64_t calls = fuzz_world_calls(&v->world) - calls_before;

	must(calls <= fuzz_calls_max(v->call.limit * FUZZ_STREAMS +
				     ARRAY_SIZE(v->carried)));
}

/* What the SMMUs have executed if nothing went wrong, command for command. */
static void the_record_is_that_of_the_plan(const struct vmm *v,
					   const struct smmuinv_progress *p)
{
	size_t sum = 0;
	unsigned int i;

	/* Behind a CMD_SYNC that failed there is more that was executed. */
	if (!is_told(v) || v->vague || v->world.faults || v->call.failed ||
	    fuzz_world_repeats(&v->world) || fuzz_world_by_pages(&v->world))
		return;
	for (i = 0; i < FUZZ_SMMUS; i++) {
		const struct smmuinv_command *executed;
		size_t n = fuzz_world_executed(&v->world, i, false, &executed);

		must(n <= v->expected_count[i]);
		if (v->world.as_written && n)
			must(!memcmp(executed, v->expected[i],
				     n * sizeof(*executed)));
		must(!v->world.as_written || n == v->expected_count[i]);
		sum += n;
	}
	must(sum == p->host_commands);
}

/* What is behind a CMD_SYNC that failed was done, and is going to be again. */
static void count_again(struct vmm *v)
{
	struct smmuinv_counters now = { .size = sizeof(now) };
	struct smmuinv_counters *e = &v->world.expected;

	must(!smmuinv_vsmmu_counters(v->world.vsmmu, &now));
	must(now.forwarded >= e->forwarded && now.dropped >= e->dropped);
	e->forwarded = now.forwarded;
	e->dropped = now.dropped;
}

/* What this call says that it did, for the counters. */
static void count(struct vmm *v, const struct smmuinv_progress *p)
{
	struct smmuinv_counters *e = &v->world.expected;

	e->forwarded += p->forwarded;
	e->dropped += p->dropped;
	e->vmm += p->vmm;
	e->illegal += p->cerror == SMMUINV_CERROR_ILL;
	e->ioctls += p->ioctls;
	e->host_commands += p->host_commands;
	/* How far it has looked cannot be seen where it reads by itself. */
	e->read += v->call.read;
	v->world.foreseen = v->world.foreseen && !by_pointer(v);
	if (v->call.failed)
		count_again(v);
	fuzz_world_counted(&v->world, false);
}

static int consume(struct vmm *v, struct smmuinv_progress *p)
{
	uint64_t calls = fuzz_world_calls(&v->world);
	int rc;

	*p = (struct smmuinv_progress){ .size = sizeof(*p) };
	fuzz_world_record(&v->world, true);
	memset(v->expected_count, 0, sizeof(v->expected_count));
	v->ste = NULL;
	v->vague = false;
	rc = smmuinv_queue_consume(v->queue, &v->call.ring, p);
	a_call_is_bounded(v, calls);
	count(v, p);
	return rc;
}

/* One call of the VMM's. */
static void drive(struct vmm *v, struct smmuinv_progress *p)
{
	struct call *c = &v->call;
	int rc;

	start_call(v);
	rc = consume(v, p);
	if (produced(&c->ring) > ring_size(&c->ring)) {
		must(rc == -ERANGE && !p->consumed && !p->ioctls);
		must(!v->call.read && !v->call.told);
		return;
	}
	must((rc != -ERANGE && rc != -EINVAL && rc != -EBUSY) ||
	     p->host_error == rc);
	the_end_is_where_it_says(v, rc, p);
	the_numbers_add_up(v, p);
	the_record_is_that_of_the_plan(v, p);
	what_is_consumed_is_done(v, p->consumed);
	if (rc < 0)
		a_failure_has_a_reason(v, rc, p);
}

/* As Linux does: the command that stopped the queue becomes a CMD_SYNC. */
static void overwrite(struct vmm *v, uint8_t action)
{
	struct smmuinv_command *at = memory_at(v, 0);

	*at = (struct smmuinv_command){ { htole64(SMMUINV_CMD_SYNC), 0 } };
	if (action & 4)
		*at = v->memory[action % v->memory_count];
}

static void reset(struct vmm *v)
{
	smmuinv_queue_reset(v->queue);
	v->carried_first = v->carried_end;
	v->may_carry = false;
	fuzz_world_refill(&v->world);
}

/* What a VMM does between two calls. */
static void rest(struct vmm *v, uint8_t action)
{
	switch (action & 0xf0) {
	case 0x10:
	case 0x20:
		fuzz_world_toggle_smmu(&v->world, action);
		break;
	case 0x30:
		fuzz_world_invalidate_all(&v->world);
		break;
	case 0x40:
		fuzz_world_invalidate_stream(&v->world, action);
		break;
	case 0x50:
		fuzz_world_reset(&v->world);
		reset(v);
		break;
	case 0x60:
	case 0x70:
		fuzz_world_toggle(&v->world, action);
		break;
	default:
		break;
	}
	if (nothing_is_carried(v))
		fuzz_world_judge(&v->world);
	fuzz_world_counted(&v->world, nothing_is_carried(v));
}

static void go_on(struct vmm *v, const struct smmuinv_progress *p)
{
	struct smmuinv_ring *ring = &v->call.ring;
	uint8_t action = next_action(v);

	rest(v, next_action(v));
	ring->cons = p->cons;
	if (produced(ring) > ring_size(ring))
		ring->cons = ring->prod;
	if (p->cerror == SMMUINV_CERROR_ILL ||
	    (p->cerror == SMMUINV_CERROR_ATC_INV_SYNC && action & 2))
		overwrite(v, action);
	if (p->cerror || produced(ring))
		return;
	ring->prod += action;
	ring->max_commands = next_action(v);
	if ((action & 7) == 7)
		ring->prod ^= UINT32_C(0x01010101) << (action >> 5);
	if ((action & 15) == 9)
		reset(v);
}

static void run(struct vmm *v)
{
	struct smmuinv_progress p = { .size = sizeof(p) };
	unsigned int i;

	if (ring_is_refused(&v->call.ring)) {
		must(smmuinv_queue_consume(v->queue, &v->call.ring, &p) ==
		     -EINVAL);
		return;
	}
	for (i = 0; i < CALLS_MAX; i++) {
		drive(v, &p);
		go_on(v, &p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smmuinv_command commands[COMMANDS_MAX];
	struct vmm *v = calloc(1, sizeof(*v));
	struct head head;
	size_t count =
		fuzz_commands(commands, COMMANDS_MAX, sizeof(head), data, size);

	must(v != NULL);
	fuzz_head(&head, sizeof(head), data, size);
	v->flags = head.flags;
	memcpy(v->actions, head.actions, sizeof(v->actions));
	fuzz_world_open(&v->world, &head.world, commands,
			count < AIMED ? count : AIMED);
	open_memory(v, &head, commands, count);
	open_queue(v, &head);
	run(v);
	smmuinv_queue_free(v->queue);
	free(v->memory);
	fuzz_world_close(&v->world);
	free(v);
	return 0;
}
