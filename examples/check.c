/* SPDX-License-Identifier: MIT */
/*
 * A VMM that has its own command queue, its own streams, and its own ioctl for
 * each command. It uses only pure functions: smmuinv_check() says what a
 * command is and what of it may go to the host. smmuinv_ste_read() makes of a
 * guest's STE what the kernel takes.
 *
 * See world.h for what is around it. bringup.c has a real host.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "world.h"

/* So often a call is made. */
#define TRIES 3

static uint32_t forward(struct world *world,
			const struct smmuinv_command *command);
static uint32_t emulate(struct world *world,
			const struct smmuinv_command *command);

/* 8< check: what the VMM adds, and calls for each command. */
static uint32_t handle(struct world *world,
		       const struct smmuinv_command *command)
{
	struct smmuinv_finding finding = { .size = sizeof(finding) };
	int verdict =
		smmuinv_check(command, &world->guest, &world->host, &finding);

	if (verdict == SMMUINV_FORWARD)
		return forward(world, &finding.command);
	if (verdict == SMMUINV_VMM)
		return emulate(world, &finding.command);
	if (verdict < 0) /* the host lacks what the guest was shown */
		world_stop(world, verdict);
	return verdict == SMMUINV_ILLEGAL ? SMMUINV_CERROR_ILL :
					    SMMUINV_CERROR_NONE;
}

/* The guest's STE may have changed. */
static int attach(struct world *world, uint32_t sid)
{
	struct smmuinv_ste ste = { .size = sizeof(ste) };

	/* With -EOPNOTSUPP it aborts, as with an illegal STE. */
	(void)smmuinv_ste_read(&ste, world->stes[sid], &world->guest,
			       &world->host);
	return world_attach(world, sid, &ste);
}
/* >8 */

/*
 * IOMMU_HWPT_INVALIDATE of one command. So its errno is about that command, and
 * it can be made again: each command can be executed twice.
 */
static int invalidate(struct world *world,
		      const struct smmuinv_command *command)
{
	uint32_t tries = 0;
	int rc;

	do {
		uint32_t count = 1;

		rc = smmuinv_mock_invalidate(world->mock, world->viommu_id,
					     command, &count);
	} while (rc && ++tries < TRIES);
	return rc;
}

static bool names_stream(const struct smmuinv_command *command)
{
	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_CFGI_CD:
	case SMMUINV_CMD_CFGI_CD_ALL:
	case SMMUINV_CMD_ATC_INV:
		return true;
	default:
		return false;
	}
}

/* The devices that have not answered an ATC_INV. */
static bool owes[WORLD_SIDS];

/* What the host does not execute is never shown to the guest as CERROR_ILL. */
static uint32_t forward(struct world *world,
			const struct smmuinv_command *command)
{
	uint32_t sid =
		(uint32_t)smmuinv_command_get(command, SMMUINV_FIELD_STREAMID);
	bool atc = smmuinv_command_opcode(command) == SMMUINV_CMD_ATC_INV;
	struct world_stream *stream = world_find(world, sid);
	int rc;

	/* An emulated device has no vDEVICE, and a device without ATS no ATC.
	 */
	if (names_stream(command) && (!stream || (atc && !stream->ats)))
		return SMMUINV_CERROR_NONE;
	if (atc && owes[sid])
		return SMMUINV_CERROR_NONE;
	rc = invalidate(world, command);
	if (rc == -ETIMEDOUT && atc)
		owes[sid] = true;
	else if (rc == -EIO && names_stream(command)) {
		world_detach(world, sid); /* no vDEVICE, or it hangs */
		world_unplug(world, sid);
	} else if (rc)
		world_stop(world, rc);
	return SMMUINV_CERROR_NONE;
}

/* A device that has not answered is asked for more, before the CMD_SYNC. */
static uint32_t sync_atcs(struct world *world)
{
	struct smmuinv_atc atc = {
		.size = sizeof(atc),
		.log2_pages = SMMUINV_ATC_SIZE_ALL,
	};
	struct smmuinv_command command;

	for (atc.sid = 0; atc.sid < WORLD_SIDS; atc.sid++) {
		if (!owes[atc.sid])
			continue;
		owes[atc.sid] = false;
		atc.ssv = atc.global = false;
		smmuinv_command_atc_inv(&command, &atc);
		forward(world, &command);
		/* What was cached for PASIDs needs a command of its own. */
		atc.ssv = atc.global = true;
		if (smmuinv_features_get(&world->guest,
					 SMMUINV_FEATURE_SSIDSIZE) &&
		    !smmuinv_command_atc_inv(&command, &atc))
			forward(world, &command);
		if (owes[atc.sid])
			return SMMUINV_CERROR_ATC_INV_SYNC;
	}
	return SMMUINV_CERROR_NONE;
}

static void cfgi_ste(struct world *world, uint32_t sid)
{
	int tries = 0, rc = 0;

	if (!world_find(world, sid))
		return;
	do
		rc = attach(world, sid);
	while (rc && ++tries < TRIES);
	if (rc)
		world_stop(world, rc);
}

static uint32_t emulate(struct world *world,
			const struct smmuinv_command *command)
{
	uint32_t cerror;
	uint32_t sid;

	switch (smmuinv_command_opcode(command)) {
	case SMMUINV_CMD_SYNC:
		cerror = sync_atcs(world);
		if (!cerror && !world->stopped)
			world_sync(world);
		return cerror;
	case SMMUINV_CMD_CFGI_STE:
		cfgi_ste(world, (uint32_t)smmuinv_command_get(
					command, SMMUINV_FIELD_STREAMID));
		return SMMUINV_CERROR_NONE;
	case SMMUINV_CMD_CFGI_STE_RANGE: /* more than the range does no harm */
		for (sid = 0; sid < WORLD_SIDS; sid++)
			cfgi_ste(world, sid);
		return SMMUINV_CERROR_NONE;
	default:
		return SMMUINV_CERROR_ILL;
	}
}

static void doorbell(struct world *world)
{
	const uint32_t mask = 2 * WORLD_ENTRIES - 1;

	if (((world->prod - world->cons) & mask) > WORLD_ENTRIES) {
		world_pointers(world);
		return;
	}
	while (world->cons != world->prod) {
		struct smmuinv_command command =
			world->ring[world->cons % WORLD_ENTRIES];
		uint32_t cerror = handle(world, &command);

		if (cerror)
			world_error(world, cerror);
		if (cerror || world->stopped)
			return;
		world->cons = (world->cons + 1) & mask;
	}
}

static int open_nothing(struct world *world)
{
	(void)world;
	return 0;
}

static void close_nothing(struct world *world)
{
	(void)world;
}

int main(int argc, char **argv)
{
	static const struct world_vmm vmm = {
		.open = open_nothing,
		.doorbell = doorbell,
		.close = close_nothing,
	};

	return world_main(argc, argv, &vmm);
}
