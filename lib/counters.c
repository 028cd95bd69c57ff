/* SPDX-License-Identifier: MIT */
#include "counters.h"

#include <errno.h>

#include "params.h"
#include "vsmmu.h"

_Static_assert(SMMUINV_RULE_COUNT <= SMMUINV_COUNTED_RULES,
	       "every rule has a counter");

int smmuinv__counters_init(struct counters *counters)
{
	return pthread_mutex_init(&counters->lock, NULL) ? -ENOMEM : 0;
}

void smmuinv__counters_destroy(struct counters *counters)
{
	pthread_mutex_destroy(&counters->lock);
}

void smmuinv__counters_join(struct counters *counters, struct tally *tally)
{
	pthread_mutex_lock(&counters->lock);
	tally->next = counters->tallies;
	counters->tallies = tally;
	pthread_mutex_unlock(&counters->lock);
}

static void add(struct smmuinv_counters *sum,
		const struct smmuinv_counters *from)
{
	unsigned int i;

	sum->read += counter_read(&from->read);
	sum->forwarded += counter_read(&from->forwarded);
	sum->merged += counter_read(&from->merged);
	sum->dropped += counter_read(&from->dropped);
	sum->vmm += counter_read(&from->vmm);
	sum->illegal += counter_read(&from->illegal);
	sum->host_commands += counter_read(&from->host_commands);
	sum->ioctls += counter_read(&from->ioctls);
	sum->failed += counter_read(&from->failed);
	sum->retries += counter_read(&from->retries);
	sum->repeats += counter_read(&from->repeats);
	for (i = 0; i < SMMUINV_COUNTED_OPCODES; i++)
		sum->by_opcode[i] += counter_read(&from->by_opcode[i]);
	for (i = 0; i < SMMUINV_COUNTED_RULES; i++)
		sum->by_rule[i] += counter_read(&from->by_rule[i]);
	for (i = 0; i < SMMUINV_COUNTED_CERRORS; i++)
		sum->stops[i] += counter_read(&from->stops[i]);
}

void smmuinv__counters_leave(struct counters *counters, struct tally *tally)
{
	struct tally **link = &counters->tallies;

	pthread_mutex_lock(&counters->lock);
	while (*link != tally)
		link = &(*link)->next;
	*link = tally->next;
	add(&counters->past, &tally->now);
	pthread_mutex_unlock(&counters->lock);
}

static void add_calls(struct smmuinv_counters *now, const struct calls *calls)
{
	counter_add(&now->ioctls, calls->ioctls);
	counter_add(&now->host_commands, calls->commands);
	counter_add(&now->failed, calls->failed);
	counter_add(&now->retries, calls->retries);
	counter_add(&now->repeats, calls->repeats);
}

void smmuinv__counters_called(struct counters *counters,
			      const struct calls *calls)
{
	pthread_mutex_lock(&counters->lock);
	add_calls(&counters->past, calls);
	pthread_mutex_unlock(&counters->lock);
}

void smmuinv__tally_calls(struct tally *tally, const struct calls *calls)
{
	add_calls(&tally->now, calls);
}

void smmuinv__tally_read(struct tally *tally, uint8_t opcode, uint64_t n)
{
	struct smmuinv_counters *now = &tally->now;

	counter_add(&now->read, n);
	counter_add(
		&now->by_opcode[opcode < SMMUINV_COUNTED_OPCODES ? opcode : 0],
		n);
}

void smmuinv__tally_dropped(struct tally *tally, enum smmuinv_rule rule)
{
	counter_add(&tally->now.dropped, 1);
	counter_add(&tally->now.by_rule[rule], 1);
}

void smmuinv__tally_illegal(struct tally *tally, enum smmuinv_rule rule)
{
	counter_add(&tally->now.illegal, 1);
	counter_add(&tally->now.by_rule[rule], 1);
}

int smmuinv_vsmmu_counters(struct smmuinv_vsmmu *vsmmu,
			   struct smmuinv_counters *counters)
{
	struct smmuinv_counters sum;
	const struct tally *tally;

	if (!vsmmu || !counters || !PARAMS_WRITABLE(counters))
		return -EINVAL;
	pthread_mutex_lock(&vsmmu->counters.lock);
	sum = vsmmu->counters.past;
	for (tally = vsmmu->counters.tallies; tally; tally = tally->next)
		add(&sum, &tally->now);
	pthread_mutex_unlock(&vsmmu->counters.lock);
	PARAMS_STORE(counters, &sum);
	return 0;
}
