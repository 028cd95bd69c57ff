/* SPDX-License-Identifier: MIT */
/*
 * Random commands with a structure, so that both answers are frequent.
 */
#ifndef GUEST_SAMPLE_H
#define GUEST_SAMPLE_H

#include <stdint.h>

#include <smmuinv/smmuinv.h>

enum sample_kind {
	/* One of the eight that the kernel knows, every field in its range. */
	SAMPLE_VALID,
	/* That, with one of its 128 bits flipped. */
	SAMPLE_NEIGHBOUR,
	/* One of the eight opcodes, with some of the other bits set. */
	SAMPLE_SPARSE,
	/* Any opcode of the specification, with nothing but fields set. */
	SAMPLE_OPCODE,
	/* 128 random bits. */
	SAMPLE_NOISE,
	SAMPLE_KINDS
};

const char *sample_kind_name(enum sample_kind kind);

enum sample_kind sample_draw_kind(void);

/* Most of those that carry a StreamID have @vsid. */
struct smmuinv_command sample_draw(enum sample_kind kind, uint32_t vsid);

/* A SAMPLE_VALID that is no ATC_INV and, if it carries a StreamID, has @vsid.
 */
struct smmuinv_command sample_draw_plain(uint32_t vsid);

#endif
