/* SPDX-License-Identifier: MIT */
/* Sections are those of Arm IHI 0070. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/vsmmu.h"
#include "fixture.h"
#include "support.h"
#include "vmm.h"

#define LOG2SIZE 4
#define SIZE     (1u << LOG2SIZE)

/* A callback that was called, and what had been executed by then. */
struct call {
	char what;
	uint32_t first;
	uint32_t last;
	size_t executed;
};

/* What `seen` was told. */
struct seen_command {
	uint32_t index;
	struct smmuinv_command command;
	enum smmuinv_fate fate;
	enum smmuinv_rule rule;
};

/* What `cfgi_cd` was told, and what had been executed by then. */
struct cd_call {
	uint32_t sid;
	uint32_t ssid;
	bool all;
	size_t executed;
};

#define LOG_MAX 64

/* A VMM: a ring, the registers, and a record of what it was told. */
struct vmm {
	struct vmm_queue q; /* first */
	struct fixture f;
	struct call calls[LOG_MAX];
	unsigned int call_count;
	struct seen_command seen[LOG_MAX];
	unsigned int seen_count;
	struct cd_call cds[LOG_MAX];
	unsigned int cd_count;
	struct smmuinv_sync sync;
	struct smmuinv_command command;
	unsigned int reads[SIZE];
	int answer;  /* of every callback */
	int failing; /* MSIData of the CMD_SYNC whose callback fails, or -1 */
	int (*in_sync)(struct vmm *vmm);
	const char *text; /* see write_text() */
};

static int called(struct vmm *vmm, char what, uint32_t first, uint32_t last)
{
	assert_true(vmm->call_count < LOG_MAX);
	vmm->calls[vmm->call_count++] =
		(struct call){ what, first, last,
			       smmuinv_mock_executed(vmm->f.mock, NULL) };
	return vmm->answer;
}

static int on_read(void *opaque, uint32_t index,
		   struct smmuinv_command *command)
{
	struct vmm *vmm = opaque;

	assert_true(index < SIZE);
	vmm->reads[index]++;
	return vmm_read(&vmm->q, index, command);
}

static int on_cfgi_ste(void *opaque, uint32_t sid, bool leaf)
{
	return called(opaque, 'e', sid, leaf);
}

static int on_cfgi_ste_range(void *opaque, uint32_t first, uint32_t last,
			     bool leaf)
{
	(void)leaf;
	return called(opaque, 'r', first, last);
}

static int on_sync(void *opaque, const struct smmuinv_sync *sync)
{
	struct vmm *vmm = opaque;

	assert_true(test_is_zero(sync->reserved, sizeof(sync->reserved)));
	vmm->sync = *sync;
	if ((int)sync->msi_data == vmm->failing)
		return -ENODATA;
	if (vmm->in_sync)
		return vmm->in_sync(vmm);
	return called(vmm, 's', sync->msi_data, 0);
}

static int on_command(void *opaque, const struct smmuinv_command *command)
{
	struct vmm *vmm = opaque;

	vmm->command = *command;
	return called(vmm, 'c', smmuinv_command_opcode(command), 0);
}

static void on_seen(void *opaque, uint32_t index,
		    const struct smmuinv_command *command,
		    enum smmuinv_fate fate, enum smmuinv_rule rule)
{
	struct vmm *vmm = opaque;

	assert_true(vmm->seen_count < LOG_MAX);
	vmm->seen[vmm->seen_count++] =
		(struct seen_command){ index, *command, fate, rule };
}

static void on_cfgi_cd(void *opaque, uint32_t sid, uint32_t ssid, bool all)
{
	struct vmm *vmm = opaque;

	assert_true(vmm->cd_count < LOG_MAX);
	vmm->cds[vmm->cd_count++] =
		(struct cd_call){ sid, ssid, all,
				  smmuinv_mock_executed(vmm->f.mock, NULL) };
}

static const struct smmuinv_queue_ops all_ops = {
	.size = sizeof(all_ops),
	.read = on_read,
	.cfgi_ste = on_cfgi_ste,
	.cfgi_ste_range = on_cfgi_ste_range,
	.sync = on_sync,
	.command = on_command,
	.cfgi_cd = on_cfgi_cd,
	.seen = on_seen,
};

static const enum smmuinv_plan plans[] = { SMMUINV_PLAN_FEWEST,
					   SMMUINV_PLAN_AS_WRITTEN };

#define PLANS (sizeof(plans) / sizeof(plans[0]))

static void vmm_open_with(struct vmm *vmm, const struct smmuinv_queue_ops *ops,
			  enum way way, const struct smmuinv_features *features,
			  enum smmuinv_plan plan, uint32_t window)
{
	memset(vmm, 0, sizeof(*vmm));
	vmm->failing = -1;
	fixture_open_with(&vmm->f, features, features, plan);
	vmm_queue_open(&vmm->q, vmm->f.vsmmu, ops, way, LOG2SIZE, window);
}

static void vmm_open(struct vmm *vmm, const struct smmuinv_queue_ops *ops,
		     const struct smmuinv_features *features, uint32_t window)
{
	vmm_open_with(vmm, ops, SEEING, features, SMMUINV_PLAN_AS_WRITTEN,
		      window);
}

static void vmm_close(struct vmm *vmm)
{
	vmm_queue_close(&vmm->q);
	fixture_close(&vmm->f);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct vmm));
	vmm_open(*state, &all_ops, &everything, 0);
	return 0;
}

static int teardown(void **state)
{
	vmm_close(*state);
	free(*state);
	return 0;
}

static size_t executed(struct vmm *vmm)
{
	return smmuinv_mock_executed(vmm->f.mock, NULL);
}

/* 3.5.1: every pair of pointers of every small ring. */
static void every_pair_of_pointers(struct vmm *vmm)
{
	uint32_t log2size, prod, cons;

	for (log2size = 0; log2size <= LOG2SIZE; log2size++) {
		uint32_t size = 1u << log2size;

		for (prod = 0; prod < 2 * size; prod++) {
			for (cons = 0; cons < 2 * size; cons++) {
				uint32_t ahead = (prod - cons) & (2 * size - 1);
				struct smmuinv_progress progress = {
					.size = sizeof(progress),
				};
				struct smmuinv_ring ring = {
					.size = sizeof(ring),
					.base = vmm->q.by_callback ?
							NULL :
							vmm->q.ring,
					.log2size = log2size,
					/* Other bits of the registers. */
					.prod = prod | 0xfff00000,
					.cons = cons | 0x7f000000,
				};
				uint32_t i;

				for (i = 0; i < size; i++)
					vmm->q.ring[i] =
						tlbi_va((uint64_t)i << 12);
				vmm->seen_count = 0;
				smmuinv_mock_forget(vmm->f.mock);
				if (ahead > size) {
					assert_int_equal(smmuinv_queue_consume(
								 vmm->q.queue,
								 &ring,
								 &progress),
							 -ERANGE);
					assert_int_equal(progress.cons, cons);
					assert_int_equal(executed(vmm), 0);
					continue;
				}
				assert_int_equal(
					smmuinv_queue_consume(vmm->q.queue,
							      &ring, &progress),
					ahead);
				assert_int_equal(progress.cons, prod);
				assert_int_equal(progress.forwarded, ahead);
				assert_int_equal(progress.ioctls,
						 ahead ? 1 : 0);
				assert_int_equal(executed(vmm), ahead);
				for (i = 0; i < vmm->seen_count; i++)
					assert_int_equal(vmm->seen[i].index,
							 (cons + i) &
								 (size - 1));
			}
		}
	}
}

static void every_pair_of_pointers_is_consumed_or_refused(void **state)
{
	uint32_t w;

	(void)state;
	for (w = 0; w < WAYS; w++) {
		struct vmm vmm;

		vmm_open_with(&vmm, &all_ops, (enum way)w, &everything,
			      SMMUINV_PLAN_AS_WRITTEN, 0);
		every_pair_of_pointers(&vmm);
		vmm_close(&vmm);
	}
}

static void each_entry_is_read_exactly_once(void **state)
{
	struct vmm *vmm = *state;
	uint32_t i;

	vmm->q.by_callback = true;
	vmm->q.prod = vmm->q.cons = SIZE - 3;
	for (i = 0; i < 10; i++)
		vmm_write(&vmm->q,
			  i == 4 ? cmd_sync() : tlbi_va((uint64_t)i << 12));
	assert_int_equal(vmm_consume(&vmm->q), 10);
	for (i = 0; i < SIZE; i++)
		assert_int_equal(vmm->reads[i], (i + 3) % SIZE < 10 ? 1 : 0);
	assert_int_equal(vmm->q.cons, vmm->q.prod);
}

static void everything_before_a_callback_is_executed_in_order(void **state)
{
	struct vmm *vmm = *state;

	vmm_write(&vmm->q, raw(0x0000001000000003, 1)); /* CFGI_STE */
	vmm_write(&vmm->q, tlbi_va(0x1000));
	vmm_write(&vmm->q, tlbi_va(0x2000));
	vmm_write(&vmm->q, cmd_sync());
	vmm_write(&vmm->q, tlbi_va(0x3000));
	vmm_write(&vmm->q, raw(0x0000004000000004, 2)); /* CFGI_STE_RANGE */
	vmm_write(&vmm->q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm->q), 7);
	assert_int_equal(vmm->call_count, 5);
	assert_int_equal(vmm->calls[0].what, 'r');
	assert_int_equal(vmm->calls[0].first, FIXTURE_VSID);
	assert_int_equal(vmm->calls[0].last, FIXTURE_VSID);
	assert_int_equal(vmm->calls[0].executed, 0);
	assert_int_equal(vmm->calls[1].what, 'e');
	assert_int_equal(vmm->calls[1].first, FIXTURE_VSID);
	assert_int_equal(vmm->calls[1].last, 1);
	assert_int_equal(vmm->calls[1].executed, 0);
	/* A CFGI_CD_ALL of the library's; what is behind the CMD_SYNC. */
	assert_int_equal(vmm->calls[2].what, 's');
	assert_int_equal(vmm->calls[2].executed, 1 + 3);
	assert_int_equal(vmm->calls[3].what, 'r');
	assert_int_equal(vmm->calls[3].executed, 1 + 3);
	assert_int_equal(vmm->calls[4].what, 's');
	assert_int_equal(vmm->q.progress.forwarded, 3);
	assert_int_equal(vmm->q.progress.vmm, 4);
	assert_int_equal(vmm->q.progress.host_commands, 1 + 3);
	assert_int_equal(vmm->q.progress.ioctls, 2);
}

static void a_sync_with_nothing_before_it_costs_no_ioctl(void **state)
{
	struct vmm *vmm = *state;

	vmm_write(&vmm->q, cmd_sync());
	vmm_write(&vmm->q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.progress.ioctls, 0);
	assert_int_equal(vmm->call_count, 2);
}

/* 4.3.2: 2^(Range + 1) StreamIDs, aligned; 31 is all of them. */
static void cfgi_ste_range_names_the_first_and_last_stream(void **state)
{
	struct vmm *vmm = *state;
	uint32_t range;

	for (range = 0; range < 32; range++) {
		uint64_t span = UINT64_C(2) << range;
		uint32_t sid = 0xdeadbeef;

		vmm->call_count = 0;
		vmm->seen_count = 0;
		vmm_write(&vmm->q, raw((uint64_t)sid << 32 | 4, range));
		assert_int_equal(vmm_consume(&vmm->q), 1);
		assert_int_equal(vmm->calls[0].first, sid / span * span);
		assert_int_equal(vmm->calls[0].last,
				 sid / span * span + (span - 1));
	}
}

/* 4.7.3 */
static void a_sync_is_decoded_for_the_vmm(void **state)
{
	struct vmm *vmm = *state;

	/* CS=1, MSH=3, MSIAttr=0xf, MSIData, MSIAddress */
	vmm_write(&vmm->q, raw(0x123456780fc01046, 0xff00fedcba987654));
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_true(vmm->sync.irq);
	assert_true(vmm->sync.msi);
	assert_false(vmm->sync.sev);
	assert_int_equal(vmm->sync.msi_shareability, 3);
	assert_int_equal(vmm->sync.msi_attributes, 0xf);
	assert_int_equal(vmm->sync.msi_data, 0x12345678);
	assert_int_equal(vmm->sync.msi_address, 0xfedcba987654);

	/* An address of zero: an interrupt by wire. */
	vmm_write(&vmm->q, raw(0x1234567800001046, 0));
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_true(vmm->sync.irq);
	assert_false(vmm->sync.msi);
	assert_int_equal(vmm->sync.msi_data, 0);

	/* CS=2: an event. The MSI fields are IGNORED. */
	vmm_write(&vmm->q, raw(0x1234567800002046, 0x1000));
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_false(vmm->sync.irq);
	assert_false(vmm->sync.msi);
	assert_true(vmm->sync.sev);

	vmm_write(&vmm->q, raw(0x1234567800000046, 0x1000));
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_false(vmm->sync.irq || vmm->sync.msi || vmm->sync.sev);
}

static void
msi_and_sev_are_only_signalled_if_the_guest_was_shown_them(void **state)
{
	struct smmuinv_features features = everything;
	struct vmm vmm;

	(void)state;
	features.idr[0] &= ~(3u << 13);
	vmm_open(&vmm, &all_ops, &features, 0);
	vmm_write(&vmm.q, raw(0x1234567800001046, 0x1000));
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_true(vmm.sync.irq);
	assert_false(vmm.sync.msi);
	vmm_write(&vmm.q, raw(0x2046, 0));
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_false(vmm.sync.sev);
	vmm_close(&vmm);
}

/* 7.1: RD points at it, older commands take effect, later ones do not. */
static void an_illegal_command_stops_the_queue_exactly_there(void **state)
{
	struct vmm *vmm = *state;
	uint32_t bad, i;

	for (bad = 0; bad < 8; bad++) {
		uint32_t start = vmm->q.prod;

		smmuinv_mock_forget(vmm->f.mock);
		vmm->seen_count = 0;
		for (i = 0; i < 8; i++)
			vmm_write(&vmm->q, i == bad ?
						   raw(0xff, 0) :
						   tlbi_va((uint64_t)i << 12));
		assert_int_equal(vmm_consume(&vmm->q), bad);
		assert_int_equal(vmm->q.cons, (start + bad) % (2 * SIZE));
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ILL);
		assert_int_equal(vmm->q.progress.rule,
				 SMMUINV_RULE_RESERVED_OPCODE);
		assert_int_equal(executed(vmm), bad);
		assert_int_equal(vmm->seen_count, bad + 1);
		assert_int_equal(vmm->seen[bad].fate, SMMUINV_FATE_ILLEGAL);

		/* The guest overwrites it, and the queue goes on from there. */
		vmm->q.ring[vmm->q.cons % SIZE] = cmd_sync();
		assert_int_equal(vmm_consume(&vmm->q), 8 - bad);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(executed(vmm), 7);
	}
}

/* 7.1: commands after the bad one may be rewritten, and are read again. */
static void what_lies_behind_an_error_is_read_again(void **state)
{
	struct vmm *vmm = *state;
	struct smmuinv_command rewritten = tlbi_va(0x7000);

	vmm_write(&vmm->q, raw(0, 0));
	vmm_write(&vmm->q, tlbi_va(0x1000));
	assert_int_equal(vmm_consume(&vmm->q), 0);
	vmm->q.ring[0] = cmd_sync();
	vmm->q.ring[1] = rewritten;
	assert_int_equal(vmm_consume(&vmm->q), 2);
	assert_int_equal(times_executed(&vmm->f, &rewritten), 1);
	assert_int_equal(executed(vmm), 1);
}

/* 7.1: CERROR_ABT */
static void an_unreadable_command_is_cerror_abt_exactly_there(void **state)
{
	struct vmm *vmm = *state;
	int bad;

	vmm->q.by_callback = true;
	for (bad = 0; bad < 8; bad++) {
		uint32_t i;

		vmm->q.prod = vmm->q.cons = 0;
		vmm->q.unreadable = bad;
		vmm->seen_count = 0;
		smmuinv_mock_forget(vmm->f.mock);
		for (i = 0; i < 8; i++)
			vmm_write(&vmm->q, tlbi_va((uint64_t)i << 12));
		assert_int_equal(vmm_consume(&vmm->q), bad);
		assert_int_equal(vmm->q.cons, bad);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ABT);
		assert_int_equal(executed(vmm), bad);
		assert_int_equal(vmm->seen[bad].fate, SMMUINV_FATE_UNREADABLE);
		vmm->q.unreadable = -1;
		assert_int_equal(vmm_consume(&vmm->q), 8 - bad);
		assert_int_equal(executed(vmm), 8);
	}
}

/* A host failure is not the guest's fault. */
static void
a_host_failure_is_an_errno_and_the_queue_can_be_retried(void **state)
{
	const int errors[] = { -EIO, -ETIMEDOUT, -ENOENT, -EFAULT };
	struct vmm *vmm = *state;
	uint32_t e, i;

	for (e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		uint32_t start = vmm->q.prod;
		/* Only a refusal tells how far the kernel came. */
		uint32_t done = errors[e] == -EIO ? 2 : 0;

		smmuinv_mock_forget(vmm->f.mock);
		vmm->call_count = 0;
		vmm->seen_count = 0;
		for (i = 0; i < 4; i++)
			vmm_write(&vmm->q, tlbi_va((uint64_t)i << 12));
		vmm_write(&vmm->q, cmd_sync());
		inject(&vmm->f, errors[e], 0, 2);
		assert_int_equal(vmm_consume(&vmm->q), errors[e]);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(vmm->q.progress.consumed, done);
		assert_int_equal(vmm->q.progress.host_error, errors[e]);
		assert_int_equal(vmm->q.progress.host_count, 2);
		assert_int_equal(vmm->q.cons, (start + done) % (2 * SIZE));
		assert_int_equal(vmm->call_count, 0);
		assert_int_equal(vmm->seen_count, done);
		assert_int_equal(vmm_consume(&vmm->q), 5 - done);
		assert_int_equal(executed(vmm), 4);
		assert_int_equal(vmm->call_count, 1);
		assert_int_equal(vmm->seen_count, 5);
	}
}

/* Before every kind of stop, what is held back must get through first. */
static void a_host_failure_comes_before_what_stops_the_queue_later(void **state)
{
	const struct smmuinv_command stops[] = {
		raw(0xff, 0), /* illegal */
		raw(0x44, 0), /* RESUME, illegal here */
		raw(0x46, 0), /* the VMM's */
		raw(0x03, 1), /* CFGI_STE, the VMM's too */
	};
	struct vmm *vmm = *state;
	uint32_t i;

	for (i = 0; i < 5; i++) {
		vmm->q.by_callback = i == 4;
		vmm->seen_count = 0;
		vmm->call_count = 0;
		vmm_write(&vmm->q, tlbi_va(0x1000));
		vmm->q.unreadable = i == 4 ? (int)(vmm->q.prod % SIZE) : -1;
		vmm_write(&vmm->q, i < 4 ? stops[i] : tlbi_va(0));
		inject(&vmm->f, -EFAULT, 0, 0);
		assert_int_equal(vmm_consume(&vmm->q), -EFAULT);
		assert_int_equal(vmm->q.progress.consumed, 0);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(vmm->call_count, 0);
		assert_int_equal(vmm->seen_count, 0);
		vmm->q.prod = vmm->q.cons;
	}
}

static struct smmuinv_command atc_inv(void)
{
	return atc_inv_all(FIXTURE_VSID);
}

/* 7.1: CERROR_ATC_INV_SYNC: RD at the CMD_SYNC, no completion signalled. */
static void an_atc_timeout_stops_the_queue_at_its_sync(void **state)
{
	struct vmm *vmm = *state;
	uint32_t tries;

	vmm_write(&vmm->q, tlbi_va(0x1000));
	vmm_write(&vmm->q, atc_inv());
	vmm_write(&vmm->q, cmd_sync());
	vmm_write(&vmm->q, tlbi_va(0x2000));
	inject(&vmm->f, -ETIMEDOUT, 0, 1);
	assert_int_equal(vmm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.cons, 2);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_int_equal(vmm->q.progress.host_error, -ETIMEDOUT);
	assert_int_equal(vmm->q.progress.forwarded, 0);
	assert_int_equal(vmm->call_count, 0);
	assert_int_equal(vmm->seen_count, 0);

	/* The guest tries the CMD_SYNC again, once more in vain. */
	for (tries = 0; tries < 3; tries++) {
		inject(&vmm->f, -ETIMEDOUT, 0, 1);
		assert_int_equal(vmm_consume(&vmm->q), 0);
		assert_int_equal(vmm->q.cons, 2);
		assert_int_equal(vmm->q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
	}

	/* What lies before it is not lost: it completes with the CMD_SYNC. */
	assert_int_equal(vmm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(vmm->q.progress.forwarded, 3);
	assert_int_equal(executed(vmm), 3);
	assert_int_equal(vmm->call_count, 1);
	assert_int_equal(vmm->calls[0].executed, 3);
	assert_int_equal(vmm->seen_count, 4);
	assert_int_equal(vmm->seen[0].index, 0);
	assert_int_equal(vmm->seen[1].index, 1);
	assert_int_equal(vmm->seen[2].fate, SMMUINV_FATE_VMM);
}

static void
what_a_guest_overwrites_after_an_atc_timeout_is_still_done(void **state)
{
	struct vmm *vmm = *state;
	struct smmuinv_command lost = tlbi_va(0x1000);

	vmm_write(&vmm->q, lost);
	vmm_write(&vmm->q, atc_inv());
	vmm_write(&vmm->q, cmd_sync());
	inject(&vmm->f, -ETIMEDOUT, 0, 1);
	assert_int_equal(vmm_consume(&vmm->q), 2);
	/* The entries are the guest's again, and it uses them. */
	vmm->q.ring[0] = vmm->q.ring[1] = cmd_sync();
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_int_equal(times_executed(&vmm->f, &lost), 1);
}

static void a_timeout_away_from_a_sync_waits_for_the_next_one(void **state)
{
	struct vmm *vmm = *state;

	vmm_write(&vmm->q, tlbi_va(0x1000));
	vmm_write(&vmm->q, atc_inv());
	inject(&vmm->f, -ETIMEDOUT, 0, 1);
	assert_int_equal(vmm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(vmm->q.progress.host_error, -ETIMEDOUT);
	assert_int_equal(vmm->q.progress.forwarded, 0);
	vmm_write(&vmm->q, cmd_sync());
	inject(&vmm->f, -ETIMEDOUT, 0, 1);
	assert_int_equal(vmm_consume(&vmm->q), 0);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_int_equal(vmm->q.progress.forwarded, 2);
	assert_int_equal(executed(vmm), 2);
}

/* However few commands a call may consume, the guest gets to its CMD_SYNC. */
static void a_bound_does_not_keep_an_atc_timeout_from_its_sync(void **state)
{
	struct vmm *vmm = *state;
	uint32_t bound, i;

	for (bound = 1; bound < 12; bound++) {
		uint32_t calls;

		vmm->seen_count = 0;
		vmm->call_count = 0;
		vmm->q.max_commands = bound;
		for (i = 0; i < 10; i++)
			vmm_write(&vmm->q, atc_inv());
		vmm_write(&vmm->q, cmd_sync());
		for (calls = 0; calls < 11; calls++) {
			inject(&vmm->f, -ETIMEDOUT, 0, 0);
			assert_true(vmm_consume(&vmm->q) >= 0);
			if (vmm->q.progress.cerror)
				break;
		}
		assert_int_equal(vmm->q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
		assert_int_equal((vmm->q.prod - vmm->q.cons) % (2 * SIZE), 1);
		assert_int_equal(vmm->call_count, 0);
		assert_int_equal(vmm_consume(&vmm->q), 1);
		assert_int_equal(vmm->q.progress.forwarded, 10);
		assert_int_equal(vmm->call_count, 1);
	}
}

static void a_window_full_of_unanswered_atc_invs_is_an_errno(void **state)
{
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &all_ops, &everything, 2);
	vmm_write(&vmm.q, tlbi_va(0x1000));
	vmm_write(&vmm.q, atc_inv());
	vmm_write(&vmm.q, cmd_sync());
	inject(&vmm.f, -ETIMEDOUT, 0, 1);
	assert_int_equal(vmm_consume(&vmm.q), -ETIMEDOUT);
	assert_int_equal(vmm.q.progress.consumed, 0);
	assert_int_equal(vmm_consume(&vmm.q), 3);
	assert_int_equal(executed(&vmm), 2);
	vmm_close(&vmm);
}

/* A device that does not answer keeps the guest from nothing but its CMD_SYNC.
 */
static void carried_commands_wait_for_a_sync_and_hinder_no_other(void **state)
{
	uint32_t window, i;

	(void)state;
	for (window = 3; window < 6; window++) {
		struct vmm vmm;

		vmm_open(&vmm, &all_ops, &everything, window);
		vmm_write(&vmm.q, tlbi_va(0x1000));
		vmm_write(&vmm.q, atc_inv());
		vmm_write(&vmm.q, cmd_sync());
		inject(&vmm.f, -ETIMEDOUT, 0, 0);
		assert_int_equal(vmm_consume(&vmm.q), 2);
		/* Instead of the CMD_SYNC the guest now has other commands. */
		vmm.q.prod = vmm.q.cons;
		vmm_write(&vmm.q, raw(0x0000004200000003, 1)); /* CFGI_STE */
		for (i = 0; i < 6; i++)
			vmm_write(&vmm.q, tlbi_va((uint64_t)(i + 2) << 12));
		inject(&vmm.f, -EFAULT, 0, 0);
		assert_int_equal(vmm_consume(&vmm.q), -EFAULT);
		assert_int_equal(vmm.q.progress.consumed, 1);
		assert_int_equal(vmm.calls[0].what, 'r');
		assert_int_equal(vmm_consume(&vmm.q), 6);
		assert_int_equal(executed(&vmm), 6);
		assert_int_equal(vmm.seen_count, 7);
		vmm_write(&vmm.q, cmd_sync());
		assert_int_equal(vmm_consume(&vmm.q), 1);
		assert_int_equal(executed(&vmm), 8);
		assert_int_equal(vmm.seen_count, 10);
		vmm_close(&vmm);
	}
}

/* A partly executed carry: only what is left of it is sent again. */
static void carried_commands_that_are_done_are_not_repeated(void **state)
{
	struct vmm *vmm = *state;

	vmm_write(&vmm->q, tlbi_va(0x1000));
	vmm_write(&vmm->q, atc_inv());
	vmm_write(&vmm->q, cmd_sync());
	inject(&vmm->f, -ETIMEDOUT, 0, 1);
	assert_int_equal(vmm_consume(&vmm->q), 2);
	inject(&vmm->f, -EIO, 0, 1);
	assert_int_equal(vmm_consume(&vmm->q), -ENODEV);
	assert_int_equal(vmm->q.progress.fault_vsid, FIXTURE_VSID);
	assert_int_equal(vmm->q.progress.consumed, 0);
	assert_int_equal(vmm->q.progress.forwarded, 1);
	assert_int_equal(executed(vmm), 1);
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_int_equal(vmm->q.progress.forwarded, 1);
	assert_int_equal(executed(vmm), 2);
}

static void a_reset_forgets_what_was_carried(void **state)
{
	struct vmm *vmm = *state;

	vmm_write(&vmm->q, atc_inv());
	vmm_write(&vmm->q, cmd_sync());
	inject(&vmm->f, -ETIMEDOUT, 0, 0);
	assert_int_equal(vmm_consume(&vmm->q), 1);
	smmuinv_queue_reset(vmm->q.queue);
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_int_equal(vmm->q.progress.forwarded, 0);
	assert_int_equal(executed(vmm), 0);
}

static void a_failed_callback_is_presented_again(void **state)
{
	const struct smmuinv_command commands[] = {
		raw(0x0000004200000003, 1),
		raw(4, 1),
		cmd_sync(),
	};
	struct vmm *vmm = *state;
	uint32_t ahead, i;

	for (i = 0; i < 3; i++) {
		smmuinv_mock_forget(vmm->f.mock);
		vmm->call_count = 0;
		vmm_write(&vmm->q, tlbi_va(0x1000));
		vmm_write(&vmm->q, commands[i]);
		vmm_write(&vmm->q, tlbi_va(0x2000));
		vmm->answer = -ENODATA;
		/* What is behind a CMD_SYNC goes down with what is before. */
		ahead = smmuinv_command_opcode(&commands[i]) ==
			SMMUINV_CMD_SYNC;
		assert_int_equal(vmm_consume(&vmm->q), -ENODATA);
		assert_int_equal(vmm->q.progress.consumed, 1);
		assert_int_equal(executed(vmm), 1 + ahead);
		vmm->answer = 0;
		assert_int_equal(vmm_consume(&vmm->q), 2);
		assert_int_equal(vmm->call_count, 2);
		assert_int_equal(executed(vmm), 2 + ahead);
	}
}

/* IDR0: S1P, S2P, Hyp, PRI, stalling model 0; MPAM and DPT in IDR3. */
static const struct smmuinv_features emulated = {
	{ 0x0011721b, 0x00000520, 0, 0x00008480, 0, 0x000000f6 }
};

static void a_failed_command_callback_is_presented_again(void **state)
{
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &all_ops, &emulated, 0);
	vmm_write(&vmm.q, tlbi_va(0x1000));
	vmm_write(&vmm.q, raw(0x44, 0)); /* RESUME */
	vmm_write(&vmm.q, tlbi_va(0x2000));
	/* Mended by another call; what fails is the callback. */
	inject(&vmm.f, -EINTR, 0, 0);
	vmm.answer = -ENODATA;
	assert_int_equal(vmm_consume(&vmm.q), -ENODATA);
	assert_int_equal(vmm.q.progress.consumed, 1);
	assert_int_equal(vmm.q.progress.host_error, 0);
	assert_int_equal(executed(&vmm), 1);
	vmm.answer = 0;
	assert_int_equal(vmm_consume(&vmm.q), 2);
	assert_int_equal(vmm.call_count, 2);
	assert_int_equal(vmm.q.progress.vmm, 1);
	assert_int_equal(executed(&vmm), 2);
	vmm_close(&vmm);
}

static void a_callbacks_errno_is_told_apart_from_the_hosts(void **state)
{
	struct vmm *vmm = *state;

	vmm_write(&vmm->q, tlbi_va(0x1000));
	vmm_write(&vmm->q, tlbi_va(0x2000));
	vmm_write(&vmm->q, cmd_sync());
	/* Mended by smaller calls; what fails is the callback. */
	inject(&vmm->f, -ENOMEM, 0, SMMUINV_MOCK_COUNT_AS_GIVEN);
	vmm->answer = -ENODATA;
	assert_int_equal(vmm_consume(&vmm->q), -ENODATA);
	assert_int_equal(vmm->q.progress.host_error, 0);
	assert_int_equal(vmm->q.progress.forwarded, 2);
}

static void prefetches_need_nothing(void **state)
{
	struct vmm *vmm = *state;

	vmm_write(&vmm->q, raw(0x01, 0));
	vmm_write(&vmm->q, raw(0x02, 0));
	assert_int_equal(vmm_consume(&vmm->q), 2);
	assert_int_equal(vmm->q.progress.dropped, 2);
	assert_int_equal(vmm->q.progress.ioctls, 0);
	assert_int_equal(vmm->call_count, 0);
	assert_int_equal(vmm->seen[0].fate, SMMUINV_FATE_DROPPED);
	assert_int_equal(vmm->seen[0].rule, SMMUINV_RULE_PREFETCH);
}

static void a_bogus_streamid_is_complete_and_reaches_no_device(void **state)
{
	struct vmm *vmm = *state;

	vmm_write(&vmm->q, cfgi_cd(0xbad));
	vmm_write(&vmm->q, raw((uint64_t)0xbad << 32 | 0x40, 52));
	vmm_write(&vmm->q, cfgi_cd(FIXTURE_VSID));
	assert_int_equal(vmm_consume(&vmm->q), 3);
	assert_int_equal(vmm->q.progress.dropped, 2);
	assert_int_equal(vmm->q.progress.forwarded, 1);
	assert_int_equal(vmm->seen[1].rule, SMMUINV_RULE_STREAM_UNKNOWN);
	assert_int_equal(executed(vmm), 1);
}

static void what_the_registers_offer_goes_to_the_vmm(void **state)
{
	const uint8_t opcodes[] = { 0x07, 0x20, 0x21, 0x22, 0x23, 0x28,
				    0x2a, 0x41, 0x44, 0x45, 0x70, 0x73 };
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open(&vmm, &all_ops, &emulated, 0);
	for (i = 0; i < sizeof(opcodes); i++) {
		vmm_write(&vmm.q, raw(opcodes[i], 0));
		assert_int_equal(vmm_consume(&vmm.q), 1);
		assert_int_equal(vmm.q.progress.vmm, 1);
		assert_int_equal(vmm.calls[i].what, 'c');
		assert_int_equal(vmm.calls[i].first, opcodes[i]);
	}
	assert_int_equal(executed(&vmm), 0);
	vmm_close(&vmm);
}

static void what_the_registers_do_not_offer_is_illegal(void **state)
{
	const uint8_t opcodes[] = { 0x07, 0x20, 0x21, 0x22, 0x23, 0x28,
				    0x2a, 0x41, 0x44, 0x45, 0x70, 0x73 };
	struct vmm *vmm = *state;
	uint32_t i;

	for (i = 0; i < sizeof(opcodes); i++) {
		vmm_write(&vmm->q, raw(opcodes[i], 0));
		assert_int_equal(vmm_consume(&vmm->q), 0);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ILL);
		vmm->q.prod = vmm->q.cons;
	}
	assert_int_equal(vmm->call_count, 0);
}

static void
without_a_callback_such_a_command_is_illegal_and_not_lost(void **state)
{
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &ops, &emulated, 0);
	vmm_write(&vmm.q, tlbi_va(0x1000));
	vmm_write(&vmm.q, raw(0x44, 0));
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_int_equal(vmm.q.progress.cerror, SMMUINV_CERROR_ILL);
	assert_int_equal(vmm.q.progress.rule, SMMUINV_RULE_NOT_OFFERED);
	assert_int_equal(executed(&vmm), 1);
	vmm_close(&vmm);
}

static void optional_callbacks_may_be_missing(void **state)
{
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &ops, &everything, 0);
	vmm_write(&vmm.q, raw(0x03, 1));
	vmm_write(&vmm.q, raw(0x04, 31));
	vmm_write(&vmm.q, tlbi_va(0));
	vmm_write(&vmm.q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm.q), 4);
	assert_int_equal(vmm.q.progress.vmm, 3);
	/* And the CFGI_CD_ALL that goes with the CFGI_ALL (4.3.1). */
	assert_int_equal(executed(&vmm), 2);
	vmm_close(&vmm);
}

static void the_vmm_gets_commands_without_their_res0_bits(void **state)
{
	struct smmuinv_command clean = raw(0x0000001200003044, 0x0000beef);
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &all_ops, &emulated, 0);
	vmm_write(&vmm.q, raw(0x00000012ffffb844, 0xffffffffffffbeef));
	assert_int_equal(vmm_consume(&vmm.q), 1);
	assert_command_equal(&vmm.command, &clean);
	vmm_close(&vmm);
}

/* No compatible pair of SMMUs gives this; it is an errno and no CERROR. */
static void what_the_host_cannot_express_is_an_errno(void **state)
{
	struct smmuinv_features host = everything;
	struct vmm *vmm = *state;

	host.idr[1] = 0;
	smmuinv__check_compile(&vmm->f.vsmmu->check, &everything, &host, 0);
	vmm_write(&vmm->q, tlbi_va(0x1000));
	vmm_write(&vmm->q, raw(0x1005, 0)); /* CFGI_CD, SubstreamID 1 */
	inject(&vmm->f, -EFAULT, 0, 0);
	assert_int_equal(vmm_consume(&vmm->q), -EFAULT);
	assert_int_equal(vmm->q.progress.consumed, 0);
	assert_int_equal(vmm_consume(&vmm->q), -EOPNOTSUPP);
	assert_int_equal(vmm->q.progress.consumed, 1);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(vmm->q.progress.rule, SMMUINV_RULE_HOST_LACKS);
	assert_int_equal(executed(vmm), 1);
}

static void a_call_consumes_no_more_than_its_bound(void **state)
{
	struct vmm *vmm = *state;
	uint32_t i, bound;

	for (bound = 1; bound <= SIZE; bound++) {
		vmm->q.max_commands = bound;
		vmm->seen_count = 0;
		vmm->q.prod = vmm->q.cons;
		for (i = 0; i < SIZE; i++)
			vmm_write(&vmm->q, tlbi_va((uint64_t)i << 12));
		for (i = 0; i < SIZE; i += bound)
			assert_int_equal(vmm_consume(&vmm->q),
					 bound < SIZE - i ? bound : SIZE - i);
		assert_int_equal(vmm->q.cons, vmm->q.prod);
		assert_int_equal(vmm_consume(&vmm->q), 0);
	}
}

static void a_small_window_means_more_ioctls_and_the_same_effect(void **state)
{
	uint32_t window, i;

	(void)state;
	for (window = 1; window <= SIZE + 1; window++) {
		struct vmm vmm;

		vmm_open(&vmm, &all_ops, &everything, window);
		for (i = 0; i < SIZE; i++)
			vmm_write(&vmm.q, tlbi_va((uint64_t)i << 12));
		assert_int_equal(vmm_consume(&vmm.q), SIZE);
		assert_int_equal(executed(&vmm), SIZE);
		assert_int_equal(vmm.q.progress.ioctls,
				 (SIZE + window - 1) / window);
		assert_int_equal(vmm.seen_count, SIZE);
		vmm_close(&vmm);
	}
}

static void the_fate_of_every_command_is_told_in_order(void **state)
{
	struct vmm *vmm = *state;
	const struct smmuinv_command commands[] = {
		raw(0x01, 0), tlbi_va(0),      cfgi_cd(0xbad),
		cmd_sync(),   tlbi_va(0x1000), raw(0xff, 0),
	};
	const enum smmuinv_fate fates[] = {
		SMMUINV_FATE_DROPPED,   SMMUINV_FATE_FORWARDED,
		SMMUINV_FATE_DROPPED,   SMMUINV_FATE_VMM,
		SMMUINV_FATE_FORWARDED, SMMUINV_FATE_ILLEGAL,
	};
	uint32_t i;

	for (i = 0; i < 6; i++)
		vmm_write(&vmm->q, commands[i]);
	assert_int_equal(vmm_consume(&vmm->q), 5);
	assert_int_equal(vmm->seen_count, 6);
	for (i = 0; i < 6; i++) {
		assert_int_equal(vmm->seen[i].index, i);
		assert_int_equal(vmm->seen[i].fate, fates[i]);
		assert_command_equal(&vmm->seen[i].command, &commands[i]);
	}
}

static int remove_and_add_stream(struct vmm *vmm)
{
	assert_int_equal(
		smmuinv_vsmmu_remove_stream(vmm->f.vsmmu, FIXTURE_VSID), 0);
	return plug(vmm->f.vsmmu, vmm->f.device, FIXTURE_VSID + 1);
}

static void a_callback_may_change_the_streams(void **state)
{
	struct vmm *vmm = *state;

	vmm->in_sync = remove_and_add_stream;
	vmm_write(&vmm->q, cfgi_cd(FIXTURE_VSID));
	vmm_write(&vmm->q, cmd_sync());
	vmm_write(&vmm->q, cfgi_cd(FIXTURE_VSID));
	vmm_write(&vmm->q, cfgi_cd(FIXTURE_VSID + 1));
	assert_int_equal(vmm_consume(&vmm->q), 4);
	assert_int_equal(vmm->q.progress.forwarded, 2);
	assert_int_equal(vmm->q.progress.dropped, 1);
}

static int consume_again(struct vmm *vmm)
{
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_ring ring = {
		.size = sizeof(ring),
		.base = vmm->q.ring,
		.log2size = LOG2SIZE,
	};

	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, &progress),
			 -EBUSY);
	return 0;
}

static void a_callback_may_not_consume_its_own_queue(void **state)
{
	struct vmm *vmm = *state;

	vmm->in_sync = consume_again;
	vmm_write(&vmm->q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm->q), 1);
	vmm_write(&vmm->q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm->q), 1);
}

static void the_largest_queue_is_consumed_whole(void **state)
{
	uint32_t entries = 1u << SMMUINV_QUEUE_LOG2SIZE_MAX;
	struct smmuinv_command *ring = calloc(entries, sizeof(*ring));
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct vmm vmm;
	uint32_t i;

	(void)state;
	assert_non_null(ring);
	vmm_open(&vmm, &ops, &everything, SMMUINV_BATCH_CAPACITY_MAX);
	for (i = 0; i < entries; i++)
		ring[i] = tlbi_va((uint64_t)i << 12);
	assert_int_equal(smmuinv_queue_consume(
				 vmm.q.queue,
				 &(struct smmuinv_ring){
					 .size = sizeof(struct smmuinv_ring),
					 .base = ring,
					 .log2size = SMMUINV_QUEUE_LOG2SIZE_MAX,
					 .prod = entries,
				 },
				 &progress),
			 entries);
	assert_int_equal(progress.cons, entries);
	assert_int_equal(progress.ioctls, 2);
	vmm_close(&vmm);
	free(ring);
}

static void bad_arguments_are_refused(void **state)
{
	struct vmm *vmm = *state;
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct smmuinv_queue_params params = {
		.size = sizeof(params),
		.ops = &ops,
		.window = SMMUINV_BATCH_CAPACITY_MAX + 1,
	};
	struct smmuinv_progress progress = { .size = sizeof(progress) };
	const struct smmuinv_ring good = {
		.size = sizeof(good),
		.base = vmm->q.ring,
		.log2size = LOG2SIZE,
	};
	struct smmuinv_ring ring = good;
	struct smmuinv_queue *queue = NULL;
	size_t at;

	assert_int_equal(smmuinv_queue_new(vmm->f.vsmmu, &params, &queue),
			 -EINVAL);
	params.window = 1;
	for (at = 0;
	     test_only_byte(&params.reserved, sizeof(params.reserved), at);
	     at++)
		assert_int_equal(
			smmuinv_queue_new(vmm->f.vsmmu, &params, &queue),
			-EINVAL);
	assert_int_equal(smmuinv_queue_new(NULL, &params, &queue), -EINVAL);
	assert_int_equal(smmuinv_queue_new(vmm->f.vsmmu, NULL, &queue),
			 -EINVAL);
	assert_int_equal(smmuinv_queue_new(vmm->f.vsmmu, &params, NULL),
			 -EINVAL);
	ops.size = 1;
	assert_int_equal(smmuinv_queue_new(vmm->f.vsmmu, &params, &queue),
			 -EINVAL);
	params.ops = NULL;
	assert_int_equal(smmuinv_queue_new(vmm->f.vsmmu, &params, &queue),
			 -EINVAL);
	assert_null(queue);
	smmuinv_queue_free(NULL);

	assert_int_equal(smmuinv_queue_consume(NULL, &ring, &progress),
			 -EINVAL);
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, NULL, &progress),
			 -EINVAL);
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, NULL),
			 -EINVAL);
	ring.log2size = SMMUINV_QUEUE_LOG2SIZE_MAX + 1;
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, &progress),
			 -EINVAL);
	ring = good;
	ring.base = (const char *)vmm->q.ring + 4;
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, &progress),
			 -EINVAL);
	ring = good;
	ring.size = 0;
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &ring, &progress),
			 -EINVAL);
	progress.size = 0;
	assert_int_equal(smmuinv_queue_consume(vmm->q.queue, &good, &progress),
			 -EINVAL);
}

static void a_ring_needs_a_pointer_or_a_callback(void **state)
{
	struct smmuinv_queue_ops ops = { .size = sizeof(ops) };
	struct vmm vmm;

	(void)state;
	vmm_open(&vmm, &ops, &everything, 0);
	vmm.q.by_callback = true;
	assert_int_equal(vmm_consume(&vmm.q), -EINVAL);
	vmm_close(&vmm);
}

/*
 * Windows, by a text: each letter is a command, C: CFGI_CD, T: TLBI_NH_VA, A:
 * ATC_INV, S: CMD_SYNC. No two of them have anything in common.
 */
static struct smmuinv_command of_letter(char letter, uint32_t n)
{
	uint64_t sid = (uint64_t)FIXTURE_VSID << 32;

	switch (letter) {
	case 'C':
		return raw(sid | n << 12 | SMMUINV_CMD_CFGI_CD, 1);
	case 'T':
		return tlbi_va((uint64_t)n << 13);
	case 'A':
		return raw(sid | SMMUINV_CMD_ATC_INV, (uint64_t)n << 13);
	default:
		/* With an MSI, whose data say which one it was. */
		return raw((uint64_t)n << 32 | 1 << 12 | SMMUINV_CMD_SYNC,
			   0x1000);
	}
}

static bool is_sync(const struct vmm *vmm, uint32_t n)
{
	return vmm->text[n] == 'S';
}

/* Everything before the @n th letter has been executed. */
static void assert_executed_before(struct vmm *vmm, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct smmuinv_command command = of_letter(vmm->text[i], i);

		if (!is_sync(vmm, i))
			assert_true(times_executed(&vmm->f, &command) > 0);
	}
}

/* The CMD_SYNCs before the @n th letter were signaled, in order, and no more.
 */
static void assert_signaled_before(const struct vmm *vmm, uint32_t n)
{
	uint32_t signaled = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (!is_sync(vmm, i))
			continue;
		assert_true(signaled < vmm->call_count);
		assert_int_equal(vmm->calls[signaled++].first, i);
	}
	assert_int_equal(vmm->call_count, signaled);
}

static int sync_of_text(struct vmm *vmm)
{
	assert_executed_before(vmm, vmm->sync.msi_data);
	return called(vmm, 's', vmm->sync.msi_data, 0);
}

static void write_text(struct vmm *vmm, const char *text)
{
	uint32_t i;

	vmm->text = text;
	vmm->in_sync = sync_of_text;
	vmm->call_count = vmm->seen_count = vmm->cd_count = 0;
	vmm->f.call_count = 0;
	vmm->q.prod = vmm->q.cons = 0;
	smmuinv_mock_forget(vmm->f.mock);
	for (i = 0; text[i]; i++)
		vmm_write(&vmm->q, of_letter(text[i], i));
}

/* Every plan, and every way to read a queue. */
static void with_each(const struct smmuinv_features *features, uint32_t window,
		      void (*test)(struct vmm *vmm, enum smmuinv_plan plan))
{
	uint32_t p, w;

	for (p = 0; p < PLANS; p++) {
		for (w = 0; w < WAYS; w++) {
			struct vmm vmm;

			vmm_open_with(&vmm, &all_ops, (enum way)w, features,
				      plans[p], window);
			test(&vmm, plans[p]);
			vmm_close(&vmm);
		}
	}
}

static void assert_text_is_consumed(struct vmm *vmm, const char *text)
{
	uint32_t n = (uint32_t)strlen(text);

	write_text(vmm, text);
	assert_int_equal(vmm_consume(&vmm->q), n);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
	assert_int_equal(vmm->q.progress.ioctls, vmm->f.call_count);
	assert_int_equal(vmm->q.progress.forwarded + vmm->q.progress.vmm, n);
	assert_executed_before(vmm, n);
	assert_signaled_before(vmm, n);
}

static void one_kind(struct vmm *vmm, enum smmuinv_plan plan)
{
	const char *const texts[] = { "TSTTSSTS", "ASAS", "CSCCS", "STSS" };
	uint32_t i;

	(void)plan;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_text_is_consumed(vmm, texts[i]);
		assert_int_equal(vmm->f.call_count, 1);
		/* Each CMD_SYNC comes after all of it. */
		assert_int_equal(vmm->calls[0].executed, executed(vmm));
	}
}

static void runs_of_one_kind_between_syncs_go_down_in_one_call(void **state)
{
	(void)state;
	with_each(&everything, 0, one_kind);
}

/* C before T before A. */
static int rank_of(char letter)
{
	return (int)(strchr("CTA", letter) - "CTA");
}

/* What a CMD_SYNC puts after something of a lower rank is in a later call. */
static void assert_ranks_in_order(struct vmm *vmm)
{
	uint32_t a, b;

	for (a = 0; vmm->text[a]; a++) {
		bool separated = false;

		for (b = a + 1; vmm->text[b] && !is_sync(vmm, a); b++) {
			struct smmuinv_command first =
				of_letter(vmm->text[a], a);
			struct smmuinv_command then =
				of_letter(vmm->text[b], b);

			separated |= is_sync(vmm, b);
			if (!separated || is_sync(vmm, b) ||
			    rank_of(vmm->text[a]) >= rank_of(vmm->text[b]))
				continue;
			assert_true(last_call_of(&vmm->f, &first) <
				    last_call_of(&vmm->f, &then));
		}
	}
}

static void orders(struct vmm *vmm, enum smmuinv_plan plan)
{
	static const struct {
		const char *text;
		uint32_t calls;
		uint32_t as_written;
	} cases[] = {
		{ "TSAS", 2, 2 },
		{ "CSTS", 2, 2 },
		{ "CSAS", 2, 2 },
		{ "CSTSAS", 3, 3 },
		{ "TSSAS", 2, 2 },
		{ "CTAS", 1, 1 },
		{ "ATCS", 1, 1 },
		/* The other way round nobody can rely on it. */
		{ "ASTS", 1, 1 },
		{ "TSCS", 1, 1 },
		{ "ASCS", 1, 1 },
		{ "ASTSCS", 1, 1 },
		/* As written, each pair has its own end of a call. */
		{ "TSASTSAS", 2, 3 },
		{ "CSTSCSTSAS", 3, 4 },
		{ "TSATSAS", 2, 3 },
	};
	uint32_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_text_is_consumed(vmm, cases[i].text);
		assert_ranks_in_order(vmm);
		assert_int_equal(vmm->f.call_count,
				 plan == SMMUINV_PLAN_FEWEST ?
					 cases[i].calls :
					 cases[i].as_written);
	}
}

static void a_call_ends_only_between_ranks_that_a_sync_separates(void **state)
{
	(void)state;
	with_each(&everything, 0, orders);
}

static void random_orders(struct vmm *vmm, enum smmuinv_plan plan)
{
	char text[SIZE + 1] = { 0 };
	size_t round;
	uint32_t i;

	for (round = 0; round < test_iterations(3000); round++) {
		for (i = 0; i < SIZE; i++)
			text[i] = "CTASS"[test_random_below(5)];
		assert_text_is_consumed(vmm, text);
		assert_ranks_in_order(vmm);
		if (plan == SMMUINV_PLAN_FEWEST)
			assert_true(vmm->f.call_count <= 3);
	}
}

static void
ranks_are_in_order_in_random_windows_in_three_calls_at_most(void **state)
{
	(void)state;
	with_each(&everything, 0, random_orders);
}

#define WINDOW_TEXT "CSTTSASTSASCSTAS"

/* Everything else is consumed now, whatever was before. */
static void assert_rest_is_consumed(struct vmm *vmm)
{
	uint32_t n = (uint32_t)strlen(vmm->text);
	uint32_t left = n - vmm->q.cons;

	assert_int_equal(vmm_consume(&vmm->q), left);
	assert_int_equal(vmm->q.cons, vmm->q.prod);
	assert_executed_before(vmm, n);
	assert_signaled_before(vmm, n);
}

static void refusals(struct vmm *vmm, enum smmuinv_plan plan)
{
	uint32_t bad;

	(void)plan;
	for (bad = 0; bad < SIZE; bad++) {
		char letter = WINDOW_TEXT[bad];
		struct smmuinv_command culprit = of_letter(letter, bad);

		if (letter == 'S')
			continue;
		write_text(vmm, WINDOW_TEXT);
		vmm->f.refused = &culprit;
		assert_int_equal(vmm_consume(&vmm->q),
				 letter == 'T' ? -EIO : -ENODEV);
		assert_int_equal(vmm->q.progress.fault_vsid,
				 letter == 'T' ? 0 : FIXTURE_VSID);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(vmm->q.progress.host_error, -EIO);
		assert_int_equal(vmm->q.cons, bad);
		assert_executed_before(vmm, bad);
		assert_signaled_before(vmm, bad);
		assert_int_equal(times_executed(&vmm->f, &culprit), 0);
		vmm->f.refused = NULL;
		assert_rest_is_consumed(vmm);
	}
}

static void a_refused_command_is_the_one_that_cons_points_at(void **state)
{
	(void)state;
	with_each(&everything, 0, refusals);
}

static void failures(struct vmm *vmm, enum smmuinv_plan plan)
{
	const int errors[] = { -EFAULT, -ETIMEDOUT, -ENOENT, -EINVAL, -EIO };
	struct smmuinv_mock_fault fault = { .size = sizeof(fault) };
	uint32_t e, tries;

	(void)plan;
	for (e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		for (fault.pass = 0; fault.pass < 6; fault.pass++) {
			int rc = 0;

			fault.error = errors[e];
			fault.executed = fault.pass % 2;
			write_text(vmm, WINDOW_TEXT);
			assert_int_equal(
				smmuinv_mock_inject(vmm->f.mock, &fault), 0);
			for (tries = 0; vmm->q.cons != vmm->q.prod; tries++) {
				assert_true(tries < 3);
				rc = vmm_consume(&vmm->q);
				assert_signaled_before(vmm, vmm->q.cons);
				if (vmm->q.progress.cerror)
					assert_true(is_sync(vmm, vmm->q.cons));
				else if (rc < 0)
					assert_executed_before(vmm,
							       vmm->q.cons);
			}
			assert_executed_before(vmm, SIZE);
			/* A window of fewer calls than that. */
			while (smmuinv_mock_faults_left(vmm->f.mock)) {
				vmm_write(&vmm->q, tlbi_va(0));
				vmm_consume(&vmm->q);
				vmm->q.cons = vmm->q.prod;
			}
		}
	}
}

static void
no_failed_call_signals_a_sync_behind_what_it_left_undone(void **state)
{
	(void)state;
	with_each(&everything, 0, failures);
}

static void failing_callbacks(struct vmm *vmm, enum smmuinv_plan plan)
{
	uint32_t n;

	(void)plan;
	for (n = 0; n < SIZE; n++) {
		if (WINDOW_TEXT[n] != 'S')
			continue;
		write_text(vmm, WINDOW_TEXT);
		vmm->failing = (int)n;
		assert_int_equal(vmm_consume(&vmm->q), -ENODATA);
		assert_int_equal(vmm->q.progress.host_error, 0);
		assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_NONE);
		assert_int_equal(vmm->q.cons, n);
		assert_signaled_before(vmm, n);
		assert_executed_before(vmm, n);
		vmm->failing = -1;
		assert_rest_is_consumed(vmm);
	}
}

static void a_sync_whose_callback_fails_is_where_the_queue_stops(void **state)
{
	(void)state;
	with_each(&everything, 0, failing_callbacks);
}

static void only_syncs(struct vmm *vmm, enum smmuinv_plan plan)
{
	(void)plan;
	assert_text_is_consumed(vmm, "SSSSSSSSSSSSSSSS");
	assert_int_equal(vmm->f.call_count, 0);
	assert_text_is_consumed(vmm, "TSSSSTSSSSSATSSS");
	assert_ranks_in_order(vmm);
}

static void more_syncs_than_a_window_has_places_come_in_order(void **state)
{
	uint32_t window;

	(void)state;
	for (window = 1; window <= SIZE; window++)
		with_each(&everything, window, only_syncs);
}

/* Of several CMD_SYNCs, the first that an ATC_INV keeps is where it stops. */
static void timeouts(struct vmm *vmm, enum smmuinv_plan plan)
{
	/* The call with the ATC_INV, behind the one with the TLBI. */
	struct smmuinv_mock_fault fault = {
		.size = sizeof(fault),
		.pass = 1,
		.error = -ETIMEDOUT,
	};
	uint32_t tries;

	write_text(vmm, "TSASTSAS");
	for (tries = 0; tries < 3; tries++) {
		assert_int_equal(smmuinv_mock_inject(vmm->f.mock, &fault), 0);
		assert_int_equal(vmm_consume(&vmm->q), tries ? 0 : 3);
		assert_int_equal(vmm->q.cons, 3);
		assert_int_equal(vmm->q.progress.cerror,
				 SMMUINV_CERROR_ATC_INV_SYNC);
		assert_int_equal(vmm->q.progress.host_error, -ETIMEDOUT);
		assert_int_equal(vmm->q.progress.forwarded, tries ? 0 : 1);
		assert_signaled_before(vmm, 3);
		/* As written it is now with the TLBI that follows it. */
		fault.pass = plan == SMMUINV_PLAN_FEWEST ? 1 : 0;
	}
	assert_int_equal(vmm_consume(&vmm->q), 5);
	assert_int_equal(vmm->q.progress.forwarded, 3);
	assert_signaled_before(vmm, 8);
	assert_ranks_in_order(vmm);
}

static void
a_timeout_stops_the_queue_at_the_first_sync_that_waits_for_it(void **state)
{
	(void)state;
	with_each(&everything, 0, timeouts);
}

/* Commands that need nothing were where the guest now has others. */
static void traces(struct vmm *vmm, enum smmuinv_plan plan)
{
	uint32_t i;

	(void)plan;
	write_text(vmm, "ASCCS");
	for (i = 2; i < 4; i++)
		vmm->q.ring[i] = i % 2 ? cfgi_cd(0xbad) :
					 raw(SMMUINV_CMD_PREFETCH_CONFIG, 0);
	inject(&vmm->f, -ETIMEDOUT, 0, 0);
	assert_int_equal(vmm_consume(&vmm->q), 1);
	assert_int_equal(vmm->q.progress.cerror, SMMUINV_CERROR_ATC_INV_SYNC);
	/* 7.1: what is behind an error may be written anew. */
	vmm->text = "ASTTS";
	for (i = 2; i < 4; i++)
		vmm->q.ring[i] = of_letter('T', i);
	assert_rest_is_consumed(vmm);
	assert_int_equal(vmm->q.progress.forwarded, 3);
	assert_int_equal(vmm->q.progress.dropped, 0);
}

static void
what_was_dropped_before_an_error_drops_nothing_behind_it(void **state)
{
	(void)state;
	with_each(&everything, 0, traces);
}

/* 4.1.5 */
static void a_strict_queue_signals_only_syncs_without_res0_bits(void **state)
{
	uint32_t w;

	(void)state;
	for (w = 0; w < WAYS; w++) {
		struct vmm vmm;

		vmm_open_with(&vmm, &all_ops, (enum way)w, &everything,
			      SMMUINV_PLAN_AS_WRITTEN, 0);
		smmuinv__check_compile(&vmm.f.vsmmu->check, &everything,
				       &everything, SMMUINV_CHECK_STRICT);
		vmm_write(&vmm.q, tlbi_va(0x1000));
		vmm_write(&vmm.q, cmd_sync());
		vmm_write(&vmm.q, raw(SMMUINV_CMD_SYNC | 1 << 8, 0));
		assert_int_equal(vmm_consume(&vmm.q), 2);
		assert_int_equal(vmm.call_count, 1);
		assert_int_equal(vmm.q.progress.cerror, SMMUINV_CERROR_ILL);
		assert_int_equal(vmm.q.progress.rule, SMMUINV_RULE_RES0);
		vmm_close(&vmm);
	}
}

/* As everything, but for fewer granules or SubstreamIDs. */
static struct smmuinv_features narrower(unsigned int idr, uint32_t bits)
{
	struct smmuinv_features features = everything;

	features.idr[idr] = bits;
	return features;
}

static void cd_callbacks(struct vmm *vmm, enum smmuinv_plan plan)
{
	const uint64_t sid = (uint64_t)FIXTURE_VSID << 32;
	const struct smmuinv_command commands[] = {
		tlbi_va(0x1000),
		raw(sid | 3 << 12 | SMMUINV_CMD_CFGI_CD, 1),
		tlbi_va(0x2000),
		raw(SMMUINV_CMD_PREFETCH_CONFIG, 0),
		/* One bit of SubstreamID too many: nothing can be cached. */
		raw(sid | 16 << 12 | SMMUINV_CMD_CFGI_CD, 1),
		raw(sid | SMMUINV_CMD_CFGI_CD_ALL, 0),
		raw((uint64_t)0xbad << 32 | 1 << 12 | SMMUINV_CMD_CFGI_CD, 0),
		cmd_sync(),
	};
	const struct cd_call expected[] = {
		{ FIXTURE_VSID, 3, false, 0 },
		{ FIXTURE_VSID, 0, true, 0 },
		{ 0xbad, 1, false, 0 },
	};
	uint32_t start, i;

	(void)plan;
	/* At every place of the ring, and over its end. */
	for (start = 0; start < SIZE; start++) {
		write_text(vmm, "");
		vmm->in_sync = NULL;
		vmm->q.prod = vmm->q.cons = start;
		for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
			vmm_write(&vmm->q, commands[i]);
		assert_int_equal(vmm_consume(&vmm->q), i);
		assert_int_equal(vmm->cd_count, 3);
		for (i = 0; i < 3; i++) {
			assert_int_equal(vmm->cds[i].sid, expected[i].sid);
			assert_int_equal(vmm->cds[i].ssid, expected[i].ssid);
			assert_int_equal(vmm->cds[i].all, expected[i].all);
			/* It runs ahead of the host. */
			assert_int_equal(vmm->cds[i].executed, 0);
		}
	}
}

static void
every_cd_that_a_guest_changes_is_told_before_it_goes_down(void **state)
{
	/* SubstreamIDs of 4 bits */
	const struct smmuinv_features features = narrower(1, 0x00000120);

	(void)state;
	with_each(&features, 0, cd_callbacks);
}

static void pages(struct vmm *vmm, enum smmuinv_plan plan)
{
	uint32_t i;

	write_text(vmm, "");
	vmm->in_sync = NULL;
	for (i = 0; i < SIZE; i++)
		vmm_write(&vmm->q,
			  i % 5 == 4 ? cmd_sync() : tlbi_va((uint64_t)i << 12));
	assert_int_equal(vmm_consume(&vmm->q), SIZE);
	assert_int_equal(vmm->q.progress.ioctls, 1);
	assert_int_equal(vmm->q.progress.forwarded, 13);
	assert_int_equal(vmm->call_count, 3);
	/* Every fifth page is missing. */
	assert_int_equal(vmm->q.progress.host_commands,
			 plan == SMMUINV_PLAN_FEWEST ? 4 : 13);
}

static void
pages_in_a_row_are_one_host_command_and_all_are_counted(void **state)
{
	/* The 4K granule only */
	const struct smmuinv_features features = narrower(5, 0x00000014);

	(void)state;
	with_each(&features, 0, pages);
}

/* Whatever there is against a command of the plan's, the guest's are done. */
static void
a_refused_range_goes_down_as_the_pages_that_were_written(void **state)
{
	const struct smmuinv_features features = narrower(5, 0x00000014);
	struct smmuinv_command range;
	struct vmm vmm;
	uint32_t i;

	(void)state;
	vmm_open_with(&vmm, &all_ops, SEEING, &features, SMMUINV_PLAN_FEWEST,
		      0);
	for (i = 0; i < 4; i++)
		vmm_write(&vmm.q, tlbi_va((uint64_t)i << 12));
	vmm_write(&vmm.q, cmd_sync());
	assert_int_equal(vmm_consume(&vmm.q), 5);
	assert_int_equal(vmm.f.call_count, 1);
	assert_int_equal(vmm.f.calls[0].count, 1);
	range = vmm.f.calls[0].commands[0];

	vmm.f.refused = &range;
	smmuinv_mock_forget(vmm.f.mock);
	vmm.q.cons = 0;
	assert_int_equal(vmm_consume(&vmm.q), 5);
	assert_int_equal(vmm.q.progress.forwarded, 4);
	assert_int_equal(executed(&vmm), 4);
	vmm_close(&vmm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_of_pointers_is_consumed_or_refused),
		TEST(each_entry_is_read_exactly_once),
		TEST(everything_before_a_callback_is_executed_in_order),
		TEST(a_sync_with_nothing_before_it_costs_no_ioctl),
		TEST(cfgi_ste_range_names_the_first_and_last_stream),
		TEST(a_sync_is_decoded_for_the_vmm),
		cmocka_unit_test(
			msi_and_sev_are_only_signalled_if_the_guest_was_shown_them),
		TEST(an_illegal_command_stops_the_queue_exactly_there),
		TEST(what_lies_behind_an_error_is_read_again),
		TEST(an_unreadable_command_is_cerror_abt_exactly_there),
		TEST(a_host_failure_is_an_errno_and_the_queue_can_be_retried),
		TEST(a_host_failure_comes_before_what_stops_the_queue_later),
		TEST(an_atc_timeout_stops_the_queue_at_its_sync),
		TEST(what_a_guest_overwrites_after_an_atc_timeout_is_still_done),
		TEST(a_timeout_away_from_a_sync_waits_for_the_next_one),
		TEST(a_bound_does_not_keep_an_atc_timeout_from_its_sync),
		cmocka_unit_test(
			a_window_full_of_unanswered_atc_invs_is_an_errno),
		cmocka_unit_test(
			carried_commands_wait_for_a_sync_and_hinder_no_other),
		TEST(carried_commands_that_are_done_are_not_repeated),
		TEST(a_reset_forgets_what_was_carried),
		TEST(a_failed_callback_is_presented_again),
		cmocka_unit_test(a_failed_command_callback_is_presented_again),
		TEST(a_callbacks_errno_is_told_apart_from_the_hosts),
		TEST(prefetches_need_nothing),
		TEST(a_bogus_streamid_is_complete_and_reaches_no_device),
		cmocka_unit_test(what_the_registers_offer_goes_to_the_vmm),
		TEST(what_the_registers_do_not_offer_is_illegal),
		cmocka_unit_test(
			without_a_callback_such_a_command_is_illegal_and_not_lost),
		cmocka_unit_test(optional_callbacks_may_be_missing),
		cmocka_unit_test(the_vmm_gets_commands_without_their_res0_bits),
		TEST(what_the_host_cannot_express_is_an_errno),
		TEST(a_call_consumes_no_more_than_its_bound),
		cmocka_unit_test(
			a_small_window_means_more_ioctls_and_the_same_effect),
		TEST(the_fate_of_every_command_is_told_in_order),
		TEST(a_callback_may_change_the_streams),
		TEST(a_callback_may_not_consume_its_own_queue),
		cmocka_unit_test(the_largest_queue_is_consumed_whole),
		cmocka_unit_test(
			runs_of_one_kind_between_syncs_go_down_in_one_call),
		cmocka_unit_test(
			a_call_ends_only_between_ranks_that_a_sync_separates),
		cmocka_unit_test(
			ranks_are_in_order_in_random_windows_in_three_calls_at_most),
		cmocka_unit_test(
			a_refused_command_is_the_one_that_cons_points_at),
		cmocka_unit_test(
			no_failed_call_signals_a_sync_behind_what_it_left_undone),
		cmocka_unit_test(
			a_sync_whose_callback_fails_is_where_the_queue_stops),
		cmocka_unit_test(
			more_syncs_than_a_window_has_places_come_in_order),
		cmocka_unit_test(
			a_timeout_stops_the_queue_at_the_first_sync_that_waits_for_it),
		cmocka_unit_test(
			what_was_dropped_before_an_error_drops_nothing_behind_it),
		cmocka_unit_test(
			a_strict_queue_signals_only_syncs_without_res0_bits),
		cmocka_unit_test(
			every_cd_that_a_guest_changes_is_told_before_it_goes_down),
		cmocka_unit_test(
			pages_in_a_row_are_one_host_command_and_all_are_counted),
		cmocka_unit_test(
			a_refused_range_goes_down_as_the_pages_that_were_written),
		TEST(bad_arguments_are_refused),
		cmocka_unit_test(a_ring_needs_a_pointer_or_a_callback),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
