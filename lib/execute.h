/* SPDX-License-Identifier: MIT */
/*
 * The only code that asks a host to invalidate. It walks the calls of a plan on
 * one vIOMMU, and repairs what fails: it tries again, in smaller parts; it
 * sends a suspect alone; it replaces what stays refused by a wider command; it
 * records what a device owes that does not answer.
 */
#ifndef SMMUINV_LIB_EXECUTE_H
#define SMMUINV_LIB_EXECUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "calls.h"
#include "stream.h"

/*
 * What became of a window, on all vIOMMUs so far. A command is named by its
 * origin, the first entry of the window that it stands for. SMMUINV_INDEX_NONE
 * is none.
 */
struct account {
	struct smmuinv_fault fault; /* at the earliest command */
	uint64_t owed_vsid;
	uint32_t fault_index;
	uint32_t undone; /* everything before it is executed or owed */
	uint32_t owed;   /* the first ATC_INV that a device owes */
	uint32_t owed_viommu;
	bool owed_before; /* some device owed when the window began */
	bool fresh;       /* one has just not answered */
	/* Summed up from window to window. */
	struct smmuinv_counters counters;
};

/* Nothing has happened to @count entries; the counters stay. */
void smmuinv__account_open(struct account *a, uint32_t count);

/* Calls one vIOMMU for a window. */
struct executor {
	/* What executes, and where. */
	const struct smmuinv_backend *backend;
	struct streams *streams;
	struct viommu viommu;
	bool ssids;       /* ATC entries may have PASIDs */
	uint64_t changes; /* of @streams, when commands were resolved */
	/* What is left of the limits for failures. */
	uint32_t retries_left;
	uint32_t timeouts_left;
	/* How it went. */
	int error;      /* the last failure, or 0 */
	bool failed;    /* some call has, so more of them are retries */
	bool hints_lie; /* the count of a refusal has named a wrong command */
	bool paying;    /* what streams owe is being sent */
	bool answers;   /* the SMMU does, although a device does not */
	struct account *account;
};

/* Without the lock of @streams. */
void smmuinv__execute_calls(struct executor *x, const struct calls *calls);

/* Which streams' commands, for smmuinv__execute_streams(). */
enum stream_commands {
	STREAM_CDS,  /* CFGI_CD_ALL of each stream */
	STREAM_ATCS, /* ATC_INV of everything, of each with ATS */
	STREAM_DEBTS /* the same, of each that owes */
};

/*
 * The same for every stream of the vIOMMU. A stream whose ATC was invalidated
 * no longer owes.
 */
void smmuinv__execute_streams(struct executor *x, enum stream_commands which);

#endif /* SMMUINV_LIB_EXECUTE_H */
