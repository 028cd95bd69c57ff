/* SPDX-License-Identifier: MIT */
/*
 * A whole guest: any ring, any registers, memory that changes while it is read,
 * callbacks that fail, answer what has no name and change streams, devices that
 * do not answer, and two SMMUs that come and go, fail and lie.
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
	uint8_t more;  /* bits 2:0 misaligned; above them work_max */
	uint8_t prod[4];
	uint8_t cons[4];
	uint8_t actions[20];
};

#define QUEUE_BY_POINTER  (1u << 2)
#define QUEUE_NOT_SETTLED (1u << 3) /* ops.settled is missing */
#define QUEUE_NO_COMMAND  (1u << 4) /* ops.command is missing */
#define QUEUE_NO_CALLBACK (1u << 5) /* as are sync and the others */
#define QUEUE_CHANGING    (1u << 6) /* memory changes once it was read */
#define QUEUE_WINDOW_4096 (1u << 7)

#define COMMANDS_MAX 256 /* in an input */
#define LIMIT_MAX    160 /* in a call */
#define CALLS_MAX    12
#define AIMED        10
#define TROUBLE_MAX  12 /* failures of callbacks and of reads */
#define EXPECTED_MAX (LIMIT_MAX * (1 + FUZZ_STREAMS))

/* A command that the guest wrote, and where. */
struct entry {
	struct smmuinv_command raw;
	uint32_t index;
	uint32_t rule;      /* why no SMMU had to do anything for it then */
	unsigned int smmus; /* those that had to, a bit for each */
	bool changed;       /* its stream, since then */
	unsigned int stes;  /* streams whose CDs go with a CFGI_STE */
};

/* One call of smmuinv_queue_consume(), as the guest sees it. */
struct call {
	struct smmuinv_ring ring;
	uint32_t limit;
	struct entry entries[LIMIT_MAX];
	uint32_t read;    /* entries that were read */
	uint32_t told;    /* entries that were settled */
	uint32_t shown;   /* unsettled: entries before the next to be shown */
	uint32_t applied; /* entries that the oracle has executed */
	uint32_t fates[SMMUINV_FATE_UNREADABLE + 1];
	uint32_t visits; /* of cfgi_ste */
	bool skipping;   /* it is smmuinv_queue_invalidate_all() */
	bool unreadable;
	bool stopped;     /* a fate that stops the queue was told */
	bool refused;     /* the callback has said that a command is illegal */
	int failed;       /* what the call returns because of a callback */
	uint32_t culprit; /* that callback */
};

struct vmm;

/* What callbacks are handed. */
struct opaque {
	struct vmm *vmm;
};

struct vmm {
	struct fuzz_world world;
	struct smmuinv_queue *queue;
	struct opaque opaques[2]; /* the queue's, a call's */
	uint32_t window;
	uint32_t work_max;
	uint32_t pages_max;
	uint8_t flags;
	uint8_t actions[20];
	unsigned int action;
	unsigned int trouble;
	unsigned int failures; /* in a row */
	unsigned int cuts;     /* likewise */
	struct smmuinv_command *memory;
	uint32_t memory_count;
	struct call call;
	/* What SMMUs that do exactly that have to execute in this call. */
	struct smmuinv_command expected[FUZZ_SMMUS][EXPECTED_MAX];
	uint32_t expected_count[FUZZ_SMMUS];
	bool vague; /* streams have changed meanwhile */
	/* The CFGI_STE or CFGI_STE_RANGE whose callbacks are under way. */
	struct entry *ste;
	uint64_t ste_next; /* StreamIDs below it have been presented */
	bool cut;          /* it goes on with them in the next call */
	/* Before the call. */
	size_t faults_left;
	bool owed;
};

static bool by_pointer(const struct vmm *v)
{
	return v->flags & QUEUE_BY_POINTER;
}

static bool is_told(const struct vmm *v)
{
	return !(v->flags & QUEUE_NOT_SETTLED);
}

static uint8_t next_action(struct vmm *v)
{
	return v->actions[v->action++ % sizeof(v->actions)];
}

/* The call's own, or the queue's. */
static struct vmm *vmm_of(const struct opaque *opaque)
{
	struct vmm *v = opaque->vmm;

	must(opaque == &v->opaques[v->call.ring.opaque ? 1 : 0]);
	return v;
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

/* It comes or goes, or its ATS goes on or off. */
static void change_stream(struct vmm *v, uint8_t action)
{
	unsigned int s = action % FUZZ_STREAMS;
	uint32_t vsid;
	uint32_t i;

	if (action & 4)
		vsid = fuzz_world_set_ats(&v->world, s, action & 2);
	else
		vsid = fuzz_world_toggle(&v->world, s);
	for (i = 0; i < v->call.read; i++) {
		if (fuzz_sid(&v->call.entries[i].raw) == vsid)
			v->call.entries[i].changed = true;
		v->call.entries[i].stes &= ~(1u << s);
	}
	v->vague = true;
}

static void may_not_use_the_queue(struct vmm *v)
{
	struct smmuinv_progress progress = { .size = sizeof(progress) };

	must(smmuinv_queue_consume(v->queue, &v->call.ring, &progress) ==
	     -EBUSY);
	must(smmuinv_queue_invalidate_all(v->queue, &v->call.ring, &progress) ==
	     -EBUSY);
}

/* The call returns before anything else happens. What was read first, does. */
static bool is_over(const struct call *c)
{
	return c->stopped || (c->failed && c->culprit != SMMUINV_CALLBACK_READ);
}

/* The call will return because of this. */
static int fail(struct vmm *v, uint32_t culprit, int answer)
{
	v->call.failed = answer < 0 ? answer : -EPROTO;
	v->call.culprit = culprit;
	return answer;
}

static int on_read(void *opaque, uint32_t index,
		   struct smmuinv_command *command)
{
	struct vmm *v = vmm_of(opaque);
	struct call *c = &v->call;
	uint8_t action = next_action(v);

	/* Each entry once, in order, and none beyond the bound. */
	must(!is_over(c) && !c->unreadable);
	must(c->read < c->limit);
	must(index == index_of(&c->ring, c->read));
	if ((action & 0xf0) == 0x10 && !c->skipping)
		change_stream(v, action);
	if (trouble(v, action)) {
		memset(command, 0x30, sizeof(*command));
		c->unreadable = true;
		return action & 0x10 || c->skipping ?
			       -EFAULT :
			       fail(v, SMMUINV_CALLBACK_READ, 1 + action);
	}
	*command = *memory_at(v, c->read);
	note_read(v, command);
	if (v->flags & QUEUE_CHANGING)
		scramble(memory_at(v, c->read - 1), action);
	return 0;
}

/* The guest relies on the CDs of these streams to be gone. */
static void rely_on_cds(struct vmm *v, unsigned int stes)
{
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		const struct fuzz_stream *stream = &v->world.stream[s];
		const struct smmuinv_command all = cfgi_cd_all(stream->vsid);

		if (stes >> s & 1)
			fuzz_world_rely(&v->world, &all, 1u << stream->smmu);
	}
}

/* The guest relies on the first @n commands of the call. */
static void apply(struct vmm *v, uint32_t n)
{
	struct call *c = &v->call;

	for (; c->applied < n; c->applied++) {
		const struct entry *e = &c->entries[c->applied];

		if (!fuzz_names_stream(&e->raw) || !e->changed)
			fuzz_world_rely(&v->world, &e->raw, e->smmus);
		rely_on_cds(v, e->stes);
	}
}

static int check(const struct vmm *v, const struct smmuinv_command *raw,
		 struct smmuinv_finding *finding)
{
	return fuzz_world_check(&v->world, raw, finding);
}

static bool is_ste(const struct entry *e)
{
	return fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE ||
	       fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE_RANGE;
}

/* A CFGI_STE that says what the one before it did, CMD_SYNCs between. */
static bool is_neighbour(const struct vmm *v, uint32_t n)
{
	const struct entry *entries = v->call.entries;
	struct smmuinv_finding mine;
	struct smmuinv_finding other;
	uint32_t i = n;

	(void)check(v, &entries[n].raw, &mine);
	while (i--) {
		if (check(v, &entries[i].raw, &other) != SMMUINV_VMM)
			return false;
		if (fuzz_opcode(&entries[i].raw) != SMMUINV_CMD_SYNC)
			return is_ste(&entries[i]) &&
			       fuzz_same(&mine.command, &other.command);
	}
	return false;
}

/* Does the VMM get a callback for it? */
static bool is_presented(const struct vmm *v, uint32_t n)
{
	const struct entry *e = &v->call.entries[n];
	struct smmuinv_finding finding;

	if (check(v, &e->raw, &finding) != SMMUINV_VMM)
		return false;
	if (is_ste(e))
		return !(v->flags & QUEUE_NO_CALLBACK) && !is_neighbour(v, n);
	if (fuzz_opcode(&e->raw) == SMMUINV_CMD_SYNC)
		return !(v->flags & QUEUE_NO_CALLBACK);
	return true;
}

/*
 * The entry that a callback is about: everything before it is settled, and it
 * is the next that is the VMM's.
 */
static struct entry *presented(struct vmm *v, bool sync)
{
	struct call *c = &v->call;
	uint32_t n = is_told(v) ? c->told : c->shown;

	for (;; n++) {
		catch_up(v, n + 1);
		must(n < c->read);
		if (is_presented(v, n))
			break;
	}
	must(!is_over(c) && !c->skipping);
	must(!is_told(v) || c->told == n);
	/* Reading goes on after a CMD_SYNC, before it is signaled. */
	must(sync || (c->read == n + 1 && !c->unreadable));
	c->shown = n + 1;
	apply(v, n);
	if (sync)
		fuzz_world_synced(&v->world);
	fuzz_world_judge(&v->world);
	return &c->entries[n];
}

static void change_memory(struct vmm *v, uint8_t action)
{
	scramble(memory_at(v, v->call.read + next_action(v) % 4u - 1), action);
}

/* What VMMs and guests do at such a moment. 0, or the callback fails so. */
static int act(struct vmm *v, uint32_t callback)
{
	uint8_t action = next_action(v);
	bool position_known =
		!(callback == SMMUINV_CALLBACK_SYNC && by_pointer(v));

	if (action & 0x10 && position_known)
		change_stream(v, action);
	if (action & 0x40)
		may_not_use_the_queue(v);
	if (action & 0x80 && position_known)
		change_memory(v, action);
	if (!trouble(v, action))
		return 0;
	if (action & 0x20)
		return fail(v, callback, 2 + (action >> 6));
	return fail(v, callback, action & 0x10 ? -EIO : -ENOMEM);
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

static bool leaf_of(const struct entry *e)
{
	return fuzz_opcode(&e->raw) == SMMUINV_CMD_CFGI_STE &&
	       le64toh(e->raw.dw[1]) & 1;
}

/* The stream with the lowest vSID from @first to @last; or NULL. */
static const struct fuzz_stream *lowest(const struct vmm *v, uint64_t first,
					uint32_t last)
{
	const struct fuzz_stream *found = NULL;
	unsigned int s;

	for (s = 0; s < FUZZ_STREAMS; s++) {
		const struct fuzz_stream *stream = &v->world.stream[s];

		if (stream->plugged && stream->vsid >= first &&
		    stream->vsid <= last &&
		    (!found || stream->vsid < found->vsid))
			found = stream;
	}
	return found;
}

/* Once, before the streams in it. */
static int on_cfgi_ste_range(void *opaque, uint32_t first, uint32_t last,
			     bool leaf)
{
	struct vmm *v = vmm_of(opaque);
	struct entry *e = presented(v, false);

	must(is_ste(e) && first == first_of(e) && last == last_of(e));
	must(leaf == leaf_of(e));
	v->ste = e;
	v->ste_next = first;
	return act(v, SMMUINV_CALLBACK_CFGI_STE_RANGE);
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

/* Its CDs go: by the kernel if the VMM attaches anew, or by the library. */
static int attach(struct vmm *v, struct entry *e, uint32_t sid)
{
	const struct fuzz_stream *stream = fuzz_world_stream(&v->world, sid);
	const struct smmuinv_command all = cfgi_cd_all(sid);

	/* The VMM itself has just unplugged it. */
	if (!stream)
		return next_action(v) & 1;
	e->stes |= 1u << (stream - v->world.stream);
	if (next_action(v) & 1) {
		smmuinv_caches_execute(v->world.smmu[stream->smmu].caches,
				       &all);
		return SMMUINV_STE_ATTACHED;
	}
	expect_on(v, &all, 1u << stream->smmu);
	return 0;
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	struct vmm *v = vmm_of(opaque);
	int rc;

	if (!v->ste) {
		/* It goes on where work_max has cut it off. */
		must(v->cut && !v->call.shown);
		v->ste = presented(v, false);
	}
	must(!is_over(&v->call));
	must(sid >= v->ste_next && sid <= last_of(v->ste));
	must(fuzz_world_stream(&v->world, sid) && leaf == leaf_of(v->ste));
	must(lowest(v, v->ste_next, sid)->vsid == sid);
	v->ste_next = (uint64_t)sid + 1;
	v->call.visits++;
	rc = act(v, SMMUINV_CALLBACK_CFGI_STE);
	return rc ? rc : attach(v, v->ste, sid);
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct vmm *v = vmm_of(opaque);
	const struct entry *e = presented(v, true);

	must(fuzz_opcode(&e->raw) == SMMUINV_CMD_SYNC);
	must(!(sync->irq && sync->sev) && (!sync->msi || sync->irq));
	must(sync->msi || (!sync->msi_address && !sync->msi_data));
	must(!(sync->msi_address & 3) && sync->msi_address >> 56 == 0);
	return act(v, SMMUINV_CALLBACK_SYNC);
}

static int on_command(void *opaque, const struct smmuinv_command *command)
{
	struct vmm *v = vmm_of(opaque);
	const struct entry *e = presented(v, false);
	int rc;

	must(fuzz_opcode(&e->raw) == fuzz_opcode(command) && !is_ste(e));
	must(!smmuinv_opcode_is_forwarded(fuzz_opcode(command)));
	must(!smmuinv_command_get(command, SMMUINV_FIELD_RES0));
	rc = act(v, SMMUINV_CALLBACK_COMMAND);
	if (rc)
		return rc;
	v->call.refused = (next_action(v) & 7) == 7;
	return v->call.refused ? SMMUINV_COMMAND_ILLEGAL : 0;
}

static bool is_rule_of_streams(uint32_t rule)
{
	return rule == SMMUINV_RULE_STREAM_UNKNOWN ||
	       rule == SMMUINV_RULE_ATS_OFF;
}

static bool matches_verdict(const struct vmm *v, const struct entry *e,
			    uint32_t fate, uint32_t rule)
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
			       (v->flags & QUEUE_NO_COMMAND || v->call.refused);
		return verdict == SMMUINV_ILLEGAL && rule == finding.rule;
	default:
		return false;
	}
}

static void expect(struct vmm *v, const struct entry *e)
{
	struct smmuinv_finding finding;

	must(check(v, &e->raw, &finding) == SMMUINV_FORWARD);
	expect_on(v, &finding.command, e->smmus);
}

/* Without callbacks the CDs of each stream go. */
static void expect_cds(struct vmm *v, struct entry *e)
{
	const struct fuzz_stream *stream;
	uint64_t next = first_of(e);

	/* Some may have gone in a call before. */
	v->vague = v->vague || v->work_max < LIMIT_MAX;
	while ((stream = lowest(v, next, last_of(e)))) {
		const struct smmuinv_command all = cfgi_cd_all(stream->vsid);

		e->stes |= 1u << (stream - v->world.stream);
		expect_on(v, &all, 1u << stream->smmu);
		next = (uint64_t)stream->vsid + 1;
	}
}

/* All streams of a CFGI_STE have been presented. */
static void end_ste(struct vmm *v, uint32_t n)
{
	struct entry *e = &v->call.entries[n];

	if (v->ste)
		must(!lowest(v, v->ste_next, last_of(e)));
	if (v->flags & QUEUE_NO_CALLBACK && !is_neighbour(v, n))
		expect_cds(v, e);
	v->ste = NULL;
}

/* Each command's fate once, as it was read, and in the order of the queue. */
static void on_settled(void *opaque, uint32_t index,
		       const struct smmuinv_command *command, uint32_t fate,
		       uint32_t rule)
{
	static const struct smmuinv_command none = { { 0 } };
	struct vmm *v = vmm_of(opaque);
	struct call *c = &v->call;
	uint8_t action = by_pointer(v) || c->skipping ? 0 : next_action(v);
	struct entry *e = &c->entries[c->told];

	must(!is_over(c) && fate <= SMMUINV_FATE_UNREADABLE);
	must(index == index_of(&c->ring, c->told));
	c->fates[fate]++;
	c->stopped =
		fate == SMMUINV_FATE_UNREADABLE || fate == SMMUINV_FATE_ILLEGAL;
	if (fate == SMMUINV_FATE_UNREADABLE) {
		must(c->unreadable && c->told == c->read);
		must(fuzz_same(command, &none) && !rule);
		return;
	}
	catch_up(v, c->told + 1);
	must(c->told < c->read && fuzz_same(command, &e->raw));
	must(c->skipping ? fate == SMMUINV_FATE_FORWARDED && !rule :
			   matches_verdict(v, e, fate, rule));
	if (fate == SMMUINV_FATE_FORWARDED && !c->skipping)
		expect(v, e);
	if (fate == SMMUINV_FATE_VMM && is_ste(e))
		end_ste(v, c->told);
	c->told += !c->stopped;
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
		.settled = on_settled,
	};
	struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.opaque = &v->opaques[0],
		.window = v->flags & QUEUE_WINDOW_4096 ? 0 : head->window,
		.work_max = head->more >> 3,
	};

	v->window = params.window ? params.window : 4096;
	v->work_max = params.work_max ? params.work_max : 65536;
	if (!is_told(v))
		ops.settled = NULL;
	if (v->flags & QUEUE_NO_COMMAND)
		ops.command = NULL;
	if (v->flags & QUEUE_NO_CALLBACK) {
		ops.cfgi_ste = NULL;
		ops.cfgi_ste_range = NULL;
		ops.sync = NULL;
	}
	must(!smmuinv_queue_new(v->world.vm.vsmmu, &params, &v->queue));
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
		ring->base = (const char *)v->memory + (head->more & 7);
}

/* No guest that follows the rules writes such registers. */
static bool is_nonsense(const struct smmuinv_ring *ring)
{
	return ring->log2size > SMMUINV_QUEUE_LOG2SIZE_MAX ||
	       produced(ring) > ring_size(ring);
}

static void start_call(struct vmm *v)
{
	struct call *c = &v->call;
	struct smmuinv_ring *ring = &c->ring;
	unsigned int own = next_action(v) & 1;

	memset(&c->limit, 0, sizeof(*c) - offsetof(struct call, limit));
	ring->opaque = own ? &v->opaques[1] : NULL;
	smmuinv_mock_forget(v->world.vm.mock);
	memset(v->expected_count, 0, sizeof(v->expected_count));
	v->faults_left = fuzz_world_faults_left(&v->world);
	v->owed = fuzz_world_owes(&v->world);
	v->ste = NULL;
	v->vague = false;
	if (is_nonsense(ring))
		return;
	if (ring->max_commands > LIMIT_MAX ||
	    (!ring->max_commands && produced(ring) > LIMIT_MAX))
		ring->max_commands = LIMIT_MAX;
	c->limit = produced(ring);
	if (ring->max_commands && ring->max_commands < c->limit)
		c->limit = ring->max_commands;
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
	must(p->more ==
	     (rc >= 0 && !p->cerror && p->consumed < produced(&c->ring)));
	catch_up(v, p->consumed);
	must(p->consumed <= c->read);
	must(!is_told(v) || c->told == p->consumed);
	switch (p->cerror) {
	case SMMUINV_CERROR_NONE:
		break;
	case SMMUINV_CERROR_ILL:
		must(rc >= 0 && p->consumed < c->limit && p->fault.rule);
		must(!is_told(v) || c->fates[SMMUINV_FATE_ILLEGAL] == 1);
		break;
	case SMMUINV_CERROR_ABT:
		must(rc >= 0 && c->unreadable && p->consumed < c->limit);
		break;
	case SMMUINV_CERROR_ATC_INV_SYNC:
		must(rc >= 0 && p->consumed < c->limit);
		must(v->vague || fuzz_world_owes(&v->world));
		catch_up(v, p->consumed + 1);
		must(fuzz_opcode(&c->entries[p->consumed].raw) ==
		     SMMUINV_CMD_SYNC);
		break;
	default:
		must(p->cerror <= SMMUINV_CERROR_ATC_INV_SYNC);
	}
}

static void the_numbers_add_up(const struct vmm *v,
			       const struct smmuinv_progress *p)
{
	const struct call *c = &v->call;

	must(p->ioctls <= p->host_commands && p->timeouts <= p->ioctls);
	must(p->forwarded + p->vmm + p->dropped == p->consumed);
	if (!is_told(v))
		return;
	must(p->forwarded == c->fates[SMMUINV_FATE_FORWARDED]);
	must(p->vmm == c->fates[SMMUINV_FATE_VMM]);
	must(p->dropped == c->fates[SMMUINV_FATE_DROPPED]);
}

static bool is_smooth(const struct vmm *v)
{
	return !v->world.hung && !v->world.vanishing && !v->call.failed &&
	       !v->owed && !fuzz_world_owes(&v->world) &&
	       fuzz_world_faults_left(&v->world) == v->faults_left;
}

/* It is exceeded by what one window takes: both rounds of an erratum. */
static void the_work_is_bounded(const struct vmm *v,
				const struct smmuinv_progress *p)
{
	uint64_t window = v->window < LIMIT_MAX ? v->window : LIMIT_MAX;
	uint64_t most = FUZZ_SMMUS * 2 * (window + v->pages_max + FUZZ_STREAMS);

	must(v->call.visits <= (uint64_t)v->work_max + FUZZ_STREAMS);
	must(!is_smooth(v) || p->host_commands <= v->work_max + most);
}

/* What the SMMUs have executed if nothing went wrong, command for command. */
static void the_record_is_that_of_the_plan(const struct vmm *v,
					   const struct smmuinv_progress *p)
{
	size_t sum = 0;
	unsigned int i;

	if (!is_told(v) || v->vague || !is_smooth(v) ||
	    v->world.smmu[0].repeat || v->world.smmu[1].repeat ||
	    v->world.smmu[0].by_pages || v->world.smmu[1].by_pages)
		return;
	for (i = 0; i < FUZZ_SMMUS; i++) {
		const struct smmuinv_command *next;
		size_t at = 0;
		uint32_t n = 0;

		while ((next = fuzz_world_executed(&v->world, i, &at))) {
			must(n < v->expected_count[i]);
			must(!v->world.as_written ||
			     fuzz_same(next, &v->expected[i][n]));
			n++;
		}
		must(!v->world.as_written || n == v->expected_count[i]);
		sum += n;
	}
	must(sum == p->host_commands);
}

/* An errno has a reason, and the reason is named. */
static void a_failure_has_a_reason(struct vmm *v, int rc,
				   const struct smmuinv_progress *p)
{
	const struct call *c = &v->call;
	int error = rc < 0 ? rc : 0;

	fuzz_world_blamed(&v->world, &p->fault, error, p->cerror);
	must(!error || !p->cerror);
	if ((c->failed && is_over(c)) ||
	    p->fault.source == SMMUINV_SOURCE_CALLBACK) {
		must(c->failed && rc == c->failed);
		must(p->fault.source == SMMUINV_SOURCE_CALLBACK);
		must(p->fault.callback == c->culprit);
		return;
	}
	if (p->cerror == SMMUINV_CERROR_ILL || p->cerror == SMMUINV_CERROR_ABT)
		must(p->fault.source == SMMUINV_SOURCE_GUEST);
	else
		must(p->fault.source == SMMUINV_SOURCE_NONE ||
		     p->fault.source == SMMUINV_SOURCE_HOST);
	must(p->fault.source != SMMUINV_SOURCE_HOST ||
	     fuzz_world_may_fail(&v->world, v->faults_left));
}

/* What this call says that it did, for the counters. */
static void count(struct vmm *v, const struct smmuinv_progress *p)
{
	struct smmuinv_counters *e = &v->world.expected;

	e->forwarded += p->forwarded;
	e->dropped += p->dropped;
	e->vmm += p->vmm;
	e->illegal += p->cerror == SMMUINV_CERROR_ILL;
	e->host_commands += p->host_commands;
	e->ioctls += p->ioctls;
	e->retries += p->retries;
	e->timeouts += p->timeouts;
	e->replaced += p->replaced;
	fuzz_world_counted(&v->world);
}

/* A CFGI_STE that was cut off goes on; what it has done so far is done. */
static void note_cut(struct vmm *v, int rc, const struct smmuinv_progress *p)
{
	struct call *c = &v->call;

	/* A call that does not reach it leaves it as it is. */
	if (v->ste || p->consumed)
		v->cut = rc >= 0 && p->more &&
			 v->ste == &c->entries[p->consumed];
	if (v->ste && v->cut)
		rely_on_cds(v, v->ste->stes);
	v->cuts = p->consumed || !p->more ? 0 : v->cuts + 1;
	must(v->cuts <= FUZZ_STREAMS);
}

/* What a VMM does about a host that has failed it. */
static void repair(struct vmm *v, int rc, const struct smmuinv_progress *p)
{
	if (p->fault.source != SMMUINV_SOURCE_HOST) {
		v->failures = 0;
		return;
	}
	v->failures++;
	if (rc == -ENODEV)
		fuzz_world_replug(&v->world, (uint32_t)p->fault.vsid);
	if (v->failures == 3)
		fuzz_world_mend(&v->world);
	if (v->failures == 6)
		fuzz_world_replug_all(&v->world);
	must(v->failures <= 6 + FUZZ_FAULTS);
}

/* One call of the VMM. */
static void drive(struct vmm *v, struct smmuinv_progress *p)
{
	struct call *c = &v->call;
	uint64_t calls = fuzz_world_calls(&v->world);
	int rc;

	start_call(v);
	*p = (struct smmuinv_progress){ .size = sizeof(*p) };
	rc = smmuinv_queue_consume(v->queue, &c->ring, p);
	calls = fuzz_world_calls(&v->world) - calls;
	must(calls <= fuzz_calls_max(c->limit * FUZZ_STREAMS));
	count(v, p);
	if (is_nonsense(&c->ring)) {
		must(rc == -ERANGE && !p->consumed && !p->ioctls);
		must(p->fault.source == SMMUINV_SOURCE_POINTERS);
		must(p->fault.error == -ERANGE && !c->read && !c->told);
		return;
	}
	the_end_is_where_it_says(v, rc, p);
	the_numbers_add_up(v, p);
	the_work_is_bounded(v, p);
	the_record_is_that_of_the_plan(v, p);
	a_failure_has_a_reason(v, rc, p);
	apply(v, p->consumed);
	note_cut(v, rc, p);
	fuzz_world_judge(&v->world);
	repair(v, rc, p);
}

/* Everything instead of the command at CONS. */
static void skip(struct vmm *v, struct smmuinv_progress *p)
{
	struct call *c = &v->call;
	struct smmuinv_finding finding;
	bool expected;
	int rc;

	start_call(v);
	if (!c->limit)
		return;
	c->skipping = true;
	*p = (struct smmuinv_progress){ .size = sizeof(*p) };
	rc = smmuinv_queue_invalidate_all(v->queue, &c->ring, p);
	catch_up(v, 1);
	count(v, p);
	fuzz_world_blamed(&v->world, &p->fault, rc < 0 ? rc : 0, p->cerror);
	must(rc < 0 || rc == (int)p->consumed);
	expected = !c->unreadable &&
		   check(v, &c->entries[0].raw, &finding) == SMMUINV_FORWARD;
	must(expected ?
		     rc == 1 || fuzz_world_may_fail(&v->world, v->faults_left) :
		     !rc);
	must(rc != 1 || !is_told(v) || c->told == 1);
	v->world.in_vain = v->world.in_vain || rc < 0;
	if (rc == 1)
		fuzz_world_rely_on_everything(&v->world);
	fuzz_world_judge(&v->world);
}

/* As Linux does: the command that stopped the queue becomes a CMD_SYNC. */
static void overwrite(struct vmm *v, uint8_t action)
{
	*memory_at(v, 0) = cmd_sync();
	if (action & 4)
		*memory_at(v, 0) = v->memory[action % v->memory_count];
}

/* What a VMM, and the hardware, does between two calls. */
static void rest(struct vmm *v, uint8_t action)
{
	switch (action >> 4) {
	case 1:
		fuzz_world_toggle_smmu(&v->world, action);
		break;
	case 2:
		if (!v->world.pending_count)
			fuzz_world_refill(&v->world);
		break;
	case 3:
		fuzz_world_invalidate_all(&v->world);
		break;
	case 4:
		fuzz_world_silence(&v->world, action, action & 8);
		break;
	case 5:
		fuzz_world_reset(&v->world);
		break;
	case 6:
		fuzz_world_hang(&v->world, action, action & 8);
		break;
	case 7:
		fuzz_world_toggle(&v->world, action);
		break;
	case 8:
		fuzz_world_set_ats(&v->world, action, action & 8);
		break;
	case 9:
		fuzz_world_mend(&v->world);
		break;
	default:
		break;
	}
	fuzz_world_judge(&v->world);
}

static void go_on(struct vmm *v, struct smmuinv_progress *p)
{
	struct smmuinv_ring *ring = &v->call.ring;
	uint8_t action = next_action(v);
	uint32_t cerror = p->cerror;

	rest(v, next_action(v));
	ring->cons = p->cons;
	/* There is memory for one entry at least. */
	if (ring->log2size > SMMUINV_QUEUE_LOG2SIZE_MAX)
		ring->log2size = 0;
	if (is_nonsense(ring))
		ring->cons = ring->prod;
	if (cerror == SMMUINV_CERROR_ILL ||
	    (cerror == SMMUINV_CERROR_ATC_INV_SYNC && action & 2))
		overwrite(v, action);
	if ((action & 0x70) == 0x70) {
		skip(v, p);
		ring->cons = v->call.limit ? p->cons : ring->cons;
	}
	if (cerror || produced(ring))
		return;
	ring->prod += action;
	ring->max_commands = next_action(v);
	if ((action & 7) == 7)
		ring->prod ^= UINT32_C(0x01010101) << (action >> 5);
}

static void run(struct vmm *v)
{
	struct smmuinv_progress p = { .size = sizeof(p) };
	unsigned int i;

	if ((uintptr_t)v->call.ring.base % 8) {
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
	v->opaques[0].vmm = v->opaques[1].vmm = v;
	v->pages_max = head.world.pages_max ? head.world.pages_max : 512;
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
