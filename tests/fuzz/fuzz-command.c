/* SPDX-License-Identifier: MIT */
/*
 * One command, any two SMMUs: what is judged, printed, and would go to the
 * host.
 */
#include "fuzz.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "command.h"
#include "mock/kernel.h"

struct head {
	uint8_t host_idr[24];
	uint8_t guest_idr[24];
	uint8_t command[16];
	uint8_t flags; /* FUZZ_HOST_ATS, RAW_* */
};

/* The registers as they are, SMMUs that could never be included. */
#define RAW_HOST  (1u << 6)
#define RAW_GUEST (1u << 7)

/* What smmuinv_check() is asked, and what it answers. */
struct question {
	struct smmuinv_command raw;
	struct smmuinv_features host;
	struct smmuinv_features guest;
	int verdict;
	struct smmuinv_finding finding;
};

static int ask(const struct question *q, const struct smmuinv_command *command,
	       struct smmuinv_finding *finding)
{
	*finding = (struct smmuinv_finding){ .size = sizeof(*finding) };
	return smmuinv_check(command, &q->guest, &q->host, finding);
}

static bool same_finding(const struct smmuinv_finding *a,
			 const struct smmuinv_finding *b)
{
	return fuzz_same(&a->command, &b->command) && a->rule == b->rule &&
	       a->field == b->field;
}

/* Only a virtual SMMU makes pages of ranges. */
static bool ranges_are_lacking(const struct question *q)
{
	uint32_t ril = UINT32_C(1) << 10;

	return q->guest.idr[3] & ril && !(q->host.idr[3] & ril);
}

static void the_answer_makes_sense(const struct question *q)
{
	const struct smmuinv_finding *f = &q->finding;
	struct smmuinv_finding again;

	must(q->verdict == SMMUINV_FORWARD || q->verdict == SMMUINV_VMM ||
	     q->verdict == SMMUINV_IGNORE || q->verdict == SMMUINV_ILLEGAL ||
	     q->verdict == -EOPNOTSUPP);
	must(f->rule < SMMUINV_RULE_COUNT);
	must(f->field < SMMUINV_FIELD_COUNT);
	must(strcmp(smmuinv_rule_text(f->rule), "?") != 0);
	must((q->verdict == SMMUINV_FORWARD || q->verdict == SMMUINV_VMM) ==
	     (f->rule == SMMUINV_RULE_NONE));
	must(ask(q, &q->raw, &again) == q->verdict);
	must(same_finding(f, &again));
	must(smmuinv_check(&q->raw, &q->guest, &q->host, NULL) == q->verdict);
	must((q->verdict == -EOPNOTSUPP) ==
	     (f->rule == SMMUINV_RULE_HOST_LACKS));
	must(q->verdict != -EOPNOTSUPP || ranges_are_lacking(q) ||
	     smmuinv_features_compatible(&q->guest, &q->host, NULL, NULL) ==
		     -EOPNOTSUPP);
}

/* A legal command in its canonical form is its own canonical form. */
static void the_canonical_form_is_a_fixed_point(const struct question *q)
{
	struct smmuinv_finding again;

	if (q->verdict != SMMUINV_FORWARD && q->verdict != SMMUINV_VMM)
		return;
	must(!smmuinv_command_get(&q->finding.command, SMMUINV_FIELD_RES0));
	must(fuzz_opcode(&q->finding.command) == fuzz_opcode(&q->raw));
	must(ask(q, &q->finding.command, &again) == q->verdict);
	must(same_finding(&q->finding, &again));
}

static void only_what_a_kernel_takes_is_forwarded(const struct question *q)
{
	uint64_t vmid = UINT64_C(0xffff) << 32;

	if (q->verdict != SMMUINV_FORWARD) {
		must(q->verdict != SMMUINV_VMM ||
		     !smmuinv_opcode_is_forwarded(fuzz_opcode(&q->raw)));
		return;
	}
	must(smmuinv_opcode_is_forwarded(fuzz_opcode(&q->raw)));
	must(smmuinv__kernel_accepts(&q->finding.command, &q->host));
	must(fuzz_names_stream(&q->raw) ||
	     !(le64toh(q->finding.command.dw[0]) & vmid));
	must(!fuzz_names_stream(&q->raw) ||
	     fuzz_sid(&q->raw) == fuzz_sid(&q->finding.command));
}

/* Whatever the guest's command removes, its canonical form removes too. */
static void nothing_is_under_invalidated(const struct question *q)
{
	struct smmuinv_caches *caches;
	struct oracle oracle;

	if (q->verdict != SMMUINV_FORWARD && q->verdict != SMMUINV_IGNORE)
		return;
	oracle_init(&oracle, &q->guest);
	oracle_aim(&oracle, &q->raw);
	must(!smmuinv_caches_new(ORACLE_ENTRIES, &caches));
	oracle_fill(&oracle, caches);
	oracle_execute(&oracle, &q->raw);
	if (q->verdict == SMMUINV_FORWARD)
		smmuinv_caches_execute(caches, &q->finding.command);
	must(oracle_stale(&oracle, caches) < 0);
	smmuinv_caches_free(caches);
}

static void the_text_fits(const struct smmuinv_command *command)
{
	char text[SMMUINV_COMMAND_TEXT_MAX];
	char cut[SMMUINV_COMMAND_TEXT_MAX];
	int n = smmuinv_command_print(command, text, sizeof(text));
	size_t size;

	must(n > 0 && n < SMMUINV_COMMAND_TEXT_MAX);
	must(strlen(text) == (size_t)n);
	must(smmuinv_command_print(command, NULL, 0) == n);
	for (size = 1; size <= (size_t)n + 1; size += 7) {
		memset(cut, '#', sizeof(cut));
		must(smmuinv_command_print(command, cut, size) == n);
		must(strlen(cut) == size - 1);
		must(!strncmp(cut, text, size - 1));
		must(cut[size] == '#' || size == sizeof(cut));
	}
}

static void every_field_can_be_read(const struct smmuinv_command *command)
{
	uint8_t opcode = smmuinv_command_opcode(command);
	unsigned int i;

	must(opcode == fuzz_opcode(command));
	must(smmuinv_opcode_name(opcode) != NULL);
	for (i = 0; i < SMMUINV_FIELD_COUNT; i++) {
		(void)smmuinv_command_get(command, (enum smmuinv_field)i);
		(void)smmuinv__opcode_has_field(opcode, (enum smmuinv_field)i);
	}
	must(!smmuinv_command_get(command, SMMUINV_FIELD_COUNT));
}

static void registers(struct question *q, const struct head *head)
{
	size_t i;

	fuzz_host(&q->host, head->host_idr, head->flags & FUZZ_HOST_ATS);
	fuzz_guest(&q->guest, &q->host, head->guest_idr);
	for (i = 0; i < 6; i++) {
		if (head->flags & RAW_HOST)
			q->host.idr[i] = fuzz_u32(head->host_idr + 4 * i);
		if (head->flags & RAW_GUEST)
			q->guest.idr[i] = fuzz_u32(head->guest_idr + 4 * i);
	}
}

static void judge(struct question *q)
{
	q->verdict = ask(q, &q->raw, &q->finding);
	the_answer_makes_sense(q);
	the_canonical_form_is_a_fixed_point(q);
	only_what_a_kernel_takes_is_forwarded(q);
	nothing_is_under_invalidated(q);
	the_text_fits(&q->raw);
	every_field_can_be_read(&q->raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct question q = { 0 };
	struct head head;

	fuzz_head(&head, sizeof(head), data, size);
	registers(&q, &head);
	memcpy(&q.raw, head.command, sizeof(q.raw));
	judge(&q);
	return 0;
}
