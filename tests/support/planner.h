/* SPDX-License-Identifier: MIT */
/*
 * A plan with all that it needs around it, as a batch has it.
 */
#ifndef TEST_PLANNER_H
#define TEST_PLANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "check.h"
#include "plan/plan.h"
#include "support.h"

struct planner {
	struct smmuinv_features guest;
	struct smmuinv_features host;
	struct check_table check; /* a guest's commands */
	struct check_table legal; /* commands on the host itself */
	struct smmuinv_command *commands;
	struct mark *marks;
	uint32_t capacity;
	struct plan plan;
};

/* The host must be able to carry the guest. */
void planner_init(struct planner *p, const struct smmuinv_features *guest,
		  const struct smmuinv_features *host, uint32_t capacity,
		  uint32_t pages_max);
void planner_free(struct planner *p);

/* Is it forwarded? Then its canonical form. */
bool planner_canonical(const struct planner *p,
		       const struct smmuinv_command *raw,
		       struct smmuinv_command *canonical);

/* Could the host's own driver have written it, just so? */
bool planner_legal(const struct planner *p,
		   const struct smmuinv_command *command);

/*
 * Canonical commands, CMD_SYNCs among them, as a window of vIOMMU 1. It is good
 * until the next.
 */
struct plan_window planner_window(struct planner *p,
				  const struct smmuinv_command *commands,
				  uint32_t count);

/* What becomes of them is in plan.calls. */
void planner_merged(struct planner *p, const struct smmuinv_command *commands,
		    uint32_t count);
void planner_as_written(struct planner *p,
			const struct smmuinv_command *commands, uint32_t count);

/* The plan has exactly these commands. */
void planner_assert(const struct planner *p,
		    const struct smmuinv_command *wanted, uint32_t count);

/* Its calls end after so many commands. */
void planner_assert_ends(const struct planner *p, const uint32_t *ends,
			 uint32_t count);

/* Where a TLBI by address is sure to reach: its first and its last byte. */
struct reach {
	uint64_t first;
	uint64_t last;
};

struct reach planner_reach(const struct smmuinv_command *command);

/* log2 of what an entry at the level maps (4.4.1.1). */
unsigned int planner_entry_log2(unsigned int tg, unsigned int level);

bool is_by_address(const struct smmuinv_command *command);

/* A field of a command, by the specification's tables. */
uint64_t planner_get(const struct smmuinv_command *command,
		     enum smmuinv_field field);

/*
 * What most tests plan with: a guest that was shown some granules, and a host.
 */
enum { ONLY_4K = 1, ONLY_16K = 2, ONLY_64K = 4, ALL_GRANULES = 7 };
enum planner_host { WITH_RANGES, WITH_LONG_RANGES, WITHOUT_RANGES };

#define PLANNER_CAPACITY  4096u
#define PLANNER_PAGES_MAX 16u

/* There is one at a time; the next, or planner_close(), frees it. */
struct planner *planner_open(unsigned int shown, enum planner_host kind);
struct planner *planner_open_sized(unsigned int shown, enum planner_host kind,
				   uint32_t capacity);
void planner_close(void);
int planner_teardown(void **state);

#define LEAF UINT64_C(1)
#define KIB  UINT64_C(1024)
#define MIB  (KIB * KIB)
#define GIB  (KIB * MIB)

/* Where the upper half begins. */
#define HIGH   UINT64_C(0xffff000000000000)
#define BIT_52 (UINT64_C(1) << 52)
#define BIT_55 (UINT64_C(1) << 55)

/* Commands in canonical form; @dw1 is an address and perhaps LEAF. */
struct smmuinv_command nh_va(uint16_t asid, uint64_t dw1);
struct smmuinv_command nh_vaa(uint64_t dw1);
struct smmuinv_command nh_asid(uint16_t asid);
struct smmuinv_command nh_all(void);
struct smmuinv_command nsnh_all(void);
struct smmuinv_command cd(uint32_t sid, uint32_t ssid, uint64_t leaf);
struct smmuinv_command cd_all(uint32_t sid);
struct smmuinv_command atc(uint32_t sid, uint64_t address, unsigned int size);
struct smmuinv_command synced(void);

/* The same command for @units << @scale granules. */
struct smmuinv_command ranged(struct smmuinv_command c, unsigned int tg,
			      unsigned int ttl, unsigned int scale,
			      unsigned int units);

/* An ATC_INV with a PASID, or of every PASID (4.5.1). */
struct smmuinv_command tagged(struct smmuinv_command c, uint32_t ssid,
			      bool global);

/* @n pages from @first on, in sequence. */
void fill_pages(struct smmuinv_command *commands, uint32_t n,
		struct smmuinv_command first, uint64_t step);
void reverse(struct smmuinv_command *commands, uint32_t n);
void shuffle(struct smmuinv_command *commands, uint32_t n);

/* The guest's commands, which must be canonical, become exactly the host's. */
void assert_plan(struct planner *p, const struct smmuinv_command *guest,
		 uint32_t asked, const struct smmuinv_command *host,
		 uint32_t count);

#define COMMANDS(...) ((const struct smmuinv_command[]){ __VA_ARGS__ })
#define COUNT(...)    ((uint32_t)ARRAY_SIZE(COMMANDS(__VA_ARGS__)))
#define LIST(...)     COMMANDS(__VA_ARGS__), COUNT(__VA_ARGS__)
#define ENDS(...)                            \
	((const uint32_t[]){ __VA_ARGS__ }), \
		(uint32_t)ARRAY_SIZE(((const uint32_t[]){ __VA_ARGS__ }))

/* They go down as they are. */
#define ASSERT_UNCHANGED(p, ...) \
	assert_plan(p, LIST(__VA_ARGS__), LIST(__VA_ARGS__))

#endif /* TEST_PLANNER_H */
