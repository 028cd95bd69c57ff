/* SPDX-License-Identifier: MIT */
/*
 * Which commands Linux 7.3 accepts for a vIOMMU. Written from the kernel's
 * behaviour and not from lib/check.c, which it is there to judge. Pure.
 */
#ifndef SMMUINV_MOCK_KERNEL_H
#define SMMUINV_MOCK_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/command.h>
#include <smmuinv/features.h>

/* Would the kernel let this command through to an SMMU with these features? */
bool smmuinv__kernel_accepts(const struct smmuinv_command *command,
			     const struct smmuinv_features *host);

/* Is it one of the eight opcodes that every kernel takes? */
bool smmuinv__kernel_knows(uint8_t opcode);

/* Does the kernel look the command's StreamID up among the vDEVICEs? */
bool smmuinv__kernel_resolves_vsid(const struct smmuinv_command *command);

/* The StreamID of such a command. */
uint32_t smmuinv__kernel_vsid(const struct smmuinv_command *command);

#endif /* SMMUINV_MOCK_KERNEL_H */
