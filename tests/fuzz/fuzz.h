/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: an assertion that a fuzzer sees, the SMMUs that
 * an input describes, and a host to run against.
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

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), never compiled out, and abort() is what a fuzzer catches. */
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

#define must(condition) \
	((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

/* @n bytes at most, zeroes where the input is too short for a head. */
void fuzz_head(void *head, size_t n, const uint8_t *data, size_t size);

/* The commands behind a head; returns how many, @max at most. */
size_t fuzz_commands(struct smmuinv_command *commands, size_t max, size_t head,
		     const uint8_t *data, size_t size);

uint32_t fuzz_u32(const uint8_t bytes[4]);

/* The opcode and StreamID bits of a raw command, read without the library. */
uint8_t fuzz_opcode(const struct smmuinv_command *command);
uint32_t fuzz_sid(const struct smmuinv_command *command);
bool fuzz_same(const struct smmuinv_command *a,
	       const struct smmuinv_command *b);

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
	uint8_t spare;
};

/* Which SMMUs there are, which kernel, and what goes wrong. */
struct fuzz_world_head {
	uint8_t host_idr[24];
	uint8_t guest_idr[24];
	uint8_t flags;  /* FUZZ_* */
	uint8_t policy; /* kernel in bits 1:0, repeat in bits 3:2, plan in 4 */
	uint8_t vsid[FUZZ_STREAMS];
	uint8_t plugged;   /* a bit for each stream that is there at first */
	uint8_t notes;     /* ORACLE_*: what the VMM tells of granules */
	uint8_t pages_max; /* 0 for the default */
	uint8_t smmus;     /* FUZZ_*SMMU_*, and which stream is behind which */
	uint8_t states; /* a bit for each stream that translates, and that has
			   ATS in bits 5:3; that can have it, in 7:6 */
	struct fuzz_fault faults[FUZZ_FAULTS];
};

#define FUZZ_STRICT    (1u << 0)
#define FUZZ_HOST_ATS  (1u << 1)
#define FUZZ_HW_REPEAT (1u << 2)

/* Bits 2:0: the streams behind the second SMMU. */
#define FUZZ_SMMU_1_THERE  (1u << 3)
#define FUZZ_SMMU_1_REPEAT (1u << 4)
#define FUZZ_SMMU_1_RIL    (1u << 5) /* unlike the first: it has, or has not */
#define FUZZ_NO_SMMU_0     (1u << 6)

/*
 * The registers of a head made into SMMUs that fit each other: whatever the
 * bytes are, smmuinv_features_compatible() says yes. The guest may have ranges
 * on a host without.
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

/*
 * The granules of @asid's tables, told one by one: @note is called for each CD
 * that there is or was.
 */
void fuzz_tell_granules(const struct oracle *o, uint16_t asid,
			void (*note)(void *opaque, const struct smmuinv_cd *cd),
			void *opaque);

/* Of every ASID that the oracle or a TLBI_NH_VA of @commands has. */
void fuzz_tell_all(const struct oracle *o,
		   const struct smmuinv_command *commands, size_t count,
		   void (*note)(void *opaque, const struct smmuinv_cd *cd),
		   void *opaque);

/* Nothing is in @caches that @oracle says is gone. */
void fuzz_judge(const struct oracle *oracle,
		const struct smmuinv_caches *caches);

/* A physical SMMU, what it has cached, and the oracle that judges that. */
struct fuzz_smmu {
	struct smmuinv_features host;
	uint32_t hw_flags;
	bool there; /* behind the virtual one */
	bool repeat;
	bool by_pages; /* the guest's ranges are none of the host's */
	struct smmuinv_caches *caches;
	struct smmuinv_mock *mock;
	struct smmuinv_backend *behind; /* the mock's */
	uint32_t viommu;                /* the mock's name for it */
	struct oracle oracle;
	size_t recorded; /* of the mock's record, before the call */
};

struct fuzz_stream {
	uint32_t device;
	uint32_t vsid;
	unsigned int smmu; /* that it is behind */
	bool can_ats;
	bool wants_stage1; /* the guest's STE says so, when it is plugged in */
	bool wants_ats;
	bool plugged;
	bool translates;
	bool ats;
};

/* A virtual SMMU over two mocks. */
struct fuzz_world {
	struct smmuinv_features guest;
	struct smmuinv_features carried;
	uint32_t check_flags;
	bool as_written;
	struct fuzz_smmu smmu[FUZZ_SMMUS];
	struct fuzz_stream stream[FUZZ_STREAMS];
	struct smmuinv_backend *backend; /* to both of them */
	struct smmuinv_vsmmu *vsmmu;
	size_t faults; /* how many were injected */
	bool foreseen; /* the counters were never lost sight of */
	struct smmuinv_counters expected; /* as the answers add up */
};

/* The world of @head, with caches that @commands may hit or just miss. */
void fuzz_world_open(struct fuzz_world *w, const struct fuzz_world_head *head,
		     const struct smmuinv_command *commands, size_t count);
void fuzz_world_close(struct fuzz_world *w);

/* Add the stream if it is not there, else remove it; returns its vSID. */
uint32_t fuzz_world_toggle(struct fuzz_world *w, unsigned int stream);

/* The guest's STE says something else; returns whose. */
uint32_t fuzz_world_set(struct fuzz_world *w, unsigned int stream,
			bool translates, bool ats);

/* Add the SMMU if it is not there, else remove it. */
void fuzz_world_toggle_smmu(struct fuzz_world *w, unsigned int smmu);

/* As a VMM after -ENODEV: the stream at fault, and only it, out and in again.
 */
void fuzz_world_replug(struct fuzz_world *w, uint32_t vsid);

/* The stream of that vSID, or NULL. */
const struct fuzz_stream *fuzz_world_stream(const struct fuzz_world *w,
					    uint32_t vsid);

/* Why no SMMU has to do anything for it now, or SMMUINV_RULE_NONE. */
enum smmuinv_rule fuzz_world_rule(const struct fuzz_world *w,
				  const struct smmuinv_command *raw);

/* Those that have, a bit for each. */
unsigned int fuzz_world_concerned(const struct fuzz_world *w,
				  const struct smmuinv_command *raw);

/* The guest relies on what those of @smmus have executed for it. */
void fuzz_world_rely(struct fuzz_world *w, const struct smmuinv_command *raw,
		     unsigned int smmus);

/* What the VMM can ask for by itself. */
void fuzz_world_invalidate_all(struct fuzz_world *w);
void fuzz_world_invalidate_stream(struct fuzz_world *w, unsigned int stream);
void fuzz_world_reset(struct fuzz_world *w);

/* Does every SMMU get exactly the forwarded commands, in their order? */
bool fuzz_world_is_exact(const struct fuzz_world *w);
bool fuzz_world_repeats(const struct fuzz_world *w);
bool fuzz_world_by_pages(const struct fuzz_world *w);

/* How many calls there were, and faults that have not happened yet. */
uint64_t fuzz_world_calls(const struct fuzz_world *w);
size_t fuzz_world_faults_left(const struct fuzz_world *w);

/* What an SMMU has executed since fuzz_world_record(), or since it was cleared.
 */
void fuzz_world_record(struct fuzz_world *w, bool clear);
size_t fuzz_world_executed(const struct fuzz_world *w, unsigned int smmu,
			   bool all, const struct smmuinv_command **commands);

/* How many calls may there be for so many commands at the worst? */
uint64_t fuzz_calls_max(uint64_t commands);

/* Nothing that the guest asked to be rid of is still cached. */
void fuzz_world_judge(const struct fuzz_world *w);

/* Everything is cached again, and nothing asked for. */
void fuzz_world_refill(struct fuzz_world *w);

/*
 * The counters are what the answers to all calls add up to; that of commands
 * read too if none is left for the next call to count.
 */
void fuzz_world_counted(const struct fuzz_world *w, bool all_read);

#endif /* SMMUINV_TESTS_FUZZ_H */
