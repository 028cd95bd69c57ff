/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: an assertion that a fuzzer sees, the SMMUs that
 * an input describes, and a VMM to run against.
 *
 * An input is a head of fixed length, so that a mutation keeps its meaning, and
 * then guest commands. seeds.py writes the same heads.
 */
#ifndef SMMUINV_TESTS_FUZZ_H
#define SMMUINV_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

#include "oracle.h"
#include "vm.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), never compiled out, and abort() is what a fuzzer catches. */
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

#define must(condition) \
	((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

/* @n bytes at most, zeroes where the input is too short for a head. */
void fuzz_head(void *head, size_t n, const uint8_t *data, size_t size);

/* The commands after a head; returns how many, @max at most. */
size_t fuzz_commands(struct smmuinv_command *commands, size_t max, size_t head,
		     const uint8_t *data, size_t size);

uint32_t fuzz_u32(const uint8_t bytes[4]);

/* The opcode and StreamID bits of a raw command, read without the library. */
uint8_t fuzz_opcode(const struct smmuinv_command *command);
uint32_t fuzz_sid(const struct smmuinv_command *command);
bool fuzz_same(const struct smmuinv_command *a,
	       const struct smmuinv_command *b);
bool fuzz_is_atc(const struct smmuinv_command *command);

/* Is it executed for one stream rather than for the whole guest? */
bool fuzz_names_stream(const struct smmuinv_command *command);

#define FUZZ_STREAMS 3
#define FUZZ_FAULTS  6
#define FUZZ_SMMUS   2

/* A fault of the mock's, in eight bytes. */
struct fuzz_fault {
	uint8_t call; /* 0 for no fault, else 1 + enum smmuinv_mock_call */
	uint8_t pass;
	uint8_t error; /* index of fuzz_errors[] */
	uint8_t executed;
	uint8_t count;
	uint8_t vanish; /* bit 0, and which stream above it */
	uint8_t smmu;
	uint8_t opcode; /* only calls with it; 0 for any */
};

/* Which SMMUs there are, which kernel, and what goes wrong. */
struct fuzz_world_head {
	uint8_t host_idr[24];
	uint8_t guest_idr[24];
	uint8_t flags;  /* FUZZ_HOST_ATS, FUZZ_HW_REPEAT */
	uint8_t policy; /* kernel in bits 2:0; FUZZ_POLICY_* */
	uint8_t vsid[FUZZ_STREAMS];
	uint8_t plugged;   /* bits 2:0: streams that are there at first; 5:3:
			      whose vDEVICE is the VMM's */
	uint8_t states;    /* bits 2:0: streams with ATS; 5:3: whose device does
			      not answer */
	uint8_t pages_max; /* 0 for the default */
	uint8_t smmus;     /* FUZZ_*SMMU_*; bits 2:0: streams on the second */
	uint8_t spare;
	struct fuzz_fault faults[FUZZ_FAULTS];
};

#define FUZZ_HOST_ATS  (1u << 1)
#define FUZZ_HW_REPEAT (1u << 2)

#define FUZZ_POLICY_AS_WRITTEN   (1u << 4)
#define FUZZ_POLICY_FEW_RETRIES  (1u << 5)
#define FUZZ_POLICY_FEW_TIMEOUTS (1u << 6)

#define FUZZ_SMMU_1_THERE  (1u << 3)
#define FUZZ_SMMU_1_REPEAT (1u << 4)
#define FUZZ_SMMU_1_RIL    (1u << 5) /* unlike the first: it has, or has not */
#define FUZZ_NO_SMMU_0     (1u << 6)

/*
 * The registers of a head made into SMMUs that fit each other: whatever the
 * bytes are, a virtual SMMU can be made. The guest may have ranges on a host
 * without.
 */
void fuzz_host(struct smmuinv_features *host, const uint8_t idr[24], bool ats);
void fuzz_guest(struct smmuinv_features *guest,
		const struct smmuinv_features *host, const uint8_t idr[24]);

/*
 * The host with the guest's ranges, if it has none: what a virtual SMMU
 * carries, as smmuinv_check() is to be asked about it.
 */
struct smmuinv_features fuzz_carried(const struct smmuinv_features *guest,
				     const struct smmuinv_features *host);

/* Nothing is in @caches that @oracle says is gone. */
void fuzz_judge(const struct oracle *oracle,
		const struct smmuinv_caches *caches);

/* A physical SMMU, what it has cached, and the oracle that judges that. */
struct fuzz_smmu {
	struct smmuinv_features host;
	bool there; /* of the virtual one */
	bool repeat;
	bool by_pages; /* the guest has ranges and it has none */
	struct smmuinv_caches *caches;
	struct oracle oracle;
};

struct fuzz_stream {
	uint32_t device;
	uint32_t vsid;
	unsigned int smmu; /* that it is on */
	bool own;          /* the VMM makes its vDEVICE */
	bool wants_ats;    /* when it is plugged in */
	bool silent;       /* its device does not answer ATC_INVs */
	bool plugged;
	bool ats;
	uint32_t vdevice; /* with @own */
};

#define FUZZ_PENDING 512

/* A VMM with a virtual SMMU over two mocked ones. */
struct fuzz_world {
	struct vm vm;
	struct smmuinv_features guest;
	struct smmuinv_features carried;
	bool as_written;
	bool patient; /* the default budgets for retries and time-outs */
	struct fuzz_smmu smmu[FUZZ_SMMUS];
	struct fuzz_stream stream[FUZZ_STREAMS];
	size_t faults;  /* how many were injected */
	bool hung;      /* some device or SMMU has not answered */
	bool vanishing; /* a vDEVICE may go away by itself */
	bool in_vain;   /* the VMM's own invalidations have failed */
	struct smmuinv_counters expected; /* as the answers add up */
	/* ATC_INVs that the guest has not seen a CMD_SYNC after. */
	struct smmuinv_command pending[FUZZ_PENDING];
	size_t pending_count;
};

/* The world of @head, with caches that @commands may hit or just miss. */
void fuzz_world_open(struct fuzz_world *w, const struct fuzz_world_head *head,
		     const struct smmuinv_command *commands, size_t count);
void fuzz_world_close(struct fuzz_world *w);

/* What smmuinv_check() says of a guest command. */
int fuzz_world_check(const struct fuzz_world *w,
		     const struct smmuinv_command *raw,
		     struct smmuinv_finding *finding);

/* Add the stream if it is not there, else remove it; returns its vSID. */
uint32_t fuzz_world_toggle(struct fuzz_world *w, unsigned int stream);

/* ATS of the stream goes on or off; returns whose. */
uint32_t fuzz_world_set_ats(struct fuzz_world *w, unsigned int stream,
			    bool ats);

/* Its device stops answering, or answers again. */
void fuzz_world_silence(struct fuzz_world *w, unsigned int stream, bool silent);

/* The same for a whole SMMU. */
void fuzz_world_hang(struct fuzz_world *w, unsigned int smmu, bool hung);

/* Everything answers again. */
void fuzz_world_mend(struct fuzz_world *w);

/* Add the SMMU if it is not there, else remove it. */
void fuzz_world_toggle_smmu(struct fuzz_world *w, unsigned int smmu);

/* As a VMM after -ENODEV: the stream at fault, and only it, out and in again.
 */
void fuzz_world_replug(struct fuzz_world *w, uint32_t vsid);

void fuzz_world_replug_all(struct fuzz_world *w);

/* The stream of that vSID, or NULL. */
const struct fuzz_stream *fuzz_world_stream(const struct fuzz_world *w,
					    uint32_t vsid);

/* Why no SMMU has to do anything for it now, or SMMUINV_RULE_NONE. */
uint32_t fuzz_world_rule(const struct fuzz_world *w,
			 const struct smmuinv_command *raw);

/* Those that have, a bit for each. */
unsigned int fuzz_world_concerned(const struct fuzz_world *w,
				  const struct smmuinv_command *raw);

/*
 * The guest relies on what those of @smmus have executed for it; on an ATC_INV
 * only after fuzz_world_synced().
 */
void fuzz_world_rely(struct fuzz_world *w, const struct smmuinv_command *raw,
		     unsigned int smmus);
void fuzz_world_synced(struct fuzz_world *w);

/* The VMM invalidates everything, or the virtual SMMU is reset. */
void fuzz_world_invalidate_all(struct fuzz_world *w);
void fuzz_world_reset(struct fuzz_world *w);

/* What it takes for the guest, if it was done. */
void fuzz_world_rely_on_everything(struct fuzz_world *w);

/* Does the device of some stream owe? */
bool fuzz_world_owes(const struct fuzz_world *w);

/* How many calls there were, and faults that have not happened yet. */
uint64_t fuzz_world_calls(const struct fuzz_world *w);
size_t fuzz_world_faults_left(const struct fuzz_world *w);

/* The next command from *@at on that an SMMU has executed; NULL for none. */
const struct smmuinv_command *
fuzz_world_executed(const struct fuzz_world *w, unsigned int smmu, size_t *at);

/*
 * May the call have failed for the host's sake? @faults_left: before the call.
 * One call that goes wrong never shows.
 */
bool fuzz_world_may_fail(const struct fuzz_world *w, size_t faults_left);

/* Who failed is said, and makes sense. @error: what the call returned. */
void fuzz_world_blamed(const struct fuzz_world *w,
		       const struct smmuinv_fault *fault, int error,
		       uint32_t cerror);

/* How many calls may there be for so many commands at the worst? */
uint64_t fuzz_calls_max(uint64_t commands);

/* Nothing that the guest asked to be rid of is still cached. */
void fuzz_world_judge(const struct fuzz_world *w);

/* Everything is cached again, and nothing asked for. */
void fuzz_world_refill(struct fuzz_world *w);

/* The counters are what the answers to all calls add up to. */
void fuzz_world_counted(const struct fuzz_world *w);

#endif /* SMMUINV_TESTS_FUZZ_H */
