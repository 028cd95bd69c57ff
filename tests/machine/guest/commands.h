/* SPDX-License-Identifier: MIT */
/*
 * The commands that a guest of the tests writes. TLBIs by address are of the
 * rig's ASID and, without another word, for leaves.
 */
#ifndef GUEST_COMMANDS_H
#define GUEST_COMMANDS_H

#include <stdint.h>

#include <smmuinv/command.h>

struct smmuinv_command guest_tlbi_va(uint64_t va);

/* It drops the tables on the way to @va, too (Leaf=0). */
struct smmuinv_command guest_tlbi_tables(uint64_t va);

/* (@num + 1) << @scale pages of 4K from @va, at level @ttl; 0 is any level. */
struct smmuinv_command guest_tlbi_range(uint64_t va, uint8_t ttl, uint8_t num,
					uint8_t scale);

struct smmuinv_command guest_tlbi_asid(uint16_t asid);
struct smmuinv_command guest_tlbi_all(void);
struct smmuinv_command guest_cfgi_cd(uint32_t vsid);
struct smmuinv_command guest_cfgi_cd_all(uint32_t vsid);

/* A page of a device's ATC. */
struct smmuinv_command guest_atc_inv(uint32_t vsid, uint64_t address);

#endif
