/* SPDX-License-Identifier: MIT */
#include "counters.h"

#include <errno.h>

#include "params.h"
#include "vsmmu.h"

_Static_assert(SMMUINV_RULE_COUNT <= SMMUINV_COUNTED_RULES,
	       "every rule has a counter");

void smmuinv__counters_read(struct counters *counters, uint8_t opcode,
			    uint64_t n)
{
	counter_add(&counters->now.read, n);
	counter_add(&counters->now.by_opcode[opcode < SMMUINV_COUNTED_OPCODES ?
						     opcode :
						     0],
		    n);
}

void smmuinv__counters_dropped(struct counters *counters,
			       enum smmuinv_rule rule)
{
	counter_add(&counters->now.dropped, 1);
	counter_add(&counters->now.by_rule[rule], 1);
}

void smmuinv__counters_illegal(struct counters *counters,
			       enum smmuinv_rule rule)
{
	counter_add(&counters->now.illegal, 1);
	counter_add(&counters->now.by_rule[rule], 1);
}

void smmuinv__counters_refused(struct counters *counters, uint8_t opcode,
			       int verdict, enum smmuinv_rule rule)
{
	smmuinv__counters_read(counters, opcode, 1);
	if (verdict == SMMUINV_ILLEGAL)
		smmuinv__counters_illegal(counters, rule);
}

static uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void read_all(const struct smmuinv_counters *from,
		     struct smmuinv_counters *to)
{
	unsigned int i;

	to->read = counter_read(&from->read);
	to->forwarded = counter_read(&from->forwarded);
	to->merged = counter_read(&from->merged);
	to->dropped = counter_read(&from->dropped);
	to->vmm = counter_read(&from->vmm);
	to->illegal = counter_read(&from->illegal);
	to->host_commands = counter_read(&from->host_commands);
	to->ioctls = counter_read(&from->ioctls);
	to->retries = counter_read(&from->retries);
	to->repeats = counter_read(&from->repeats);
	for (i = 0; i < SMMUINV_COUNTED_OPCODES; i++)
		to->by_opcode[i] = counter_read(&from->by_opcode[i]);
	for (i = 0; i < SMMUINV_COUNTED_RULES; i++)
		to->by_rule[i] = counter_read(&from->by_rule[i]);
}

int smmuinv_vsmmu_counters(const struct smmuinv_vsmmu *vsmmu,
			   struct smmuinv_counters *counters)
{
	struct smmuinv_counters now = { 0 };

	if (!vsmmu || !counters || !PARAMS_WRITABLE(counters))
		return -EINVAL;
	read_all(&vsmmu->counters.now, &now);
	PARAMS_STORE(counters, &now);
	return 0;
}
