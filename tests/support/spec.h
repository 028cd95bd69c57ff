/* SPDX-License-Identifier: MIT */
/*
 * The specification's tables, written down a second time for the tests: from
 * Arm IHI 0070 and not from lib/. Where the two differ, one of them is wrong.
 */
#ifndef SMMUINV_TESTS_SPEC_H
#define SMMUINV_TESTS_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/command.h>
#include <smmuinv/features.h>

/* A command's name and its fields (4.1.1, 4.2 to 4.7). */
struct spec_opcode {
	const char *name;
	uint64_t fields; /* 1 << enum smmuinv_field */
};

/* NULL for an opcode that is reserved or IMPLEMENTATION DEFINED. */
const struct spec_opcode *spec_opcode(uint8_t opcode);

bool spec_opcode_has_field(uint8_t opcode, enum smmuinv_field field);

/* A field's bits: which doubleword, and where in it. */
struct spec_field {
	const char *name; /* as it is printed */
	unsigned int word;
	uint64_t mask;
	bool address; /* read in place, as bytes */
};

extern const struct spec_field spec_fields[SMMUINV_FIELD_RES0];

/* The value of a field in a pair of doublewords, and putting one in. */
uint64_t spec_field_get(const uint64_t dw[2], enum smmuinv_field field);
void spec_field_put(uint64_t dw[2], enum smmuinv_field field, uint64_t value);

/* Largest value of a field; of an address, its mask. */
uint64_t spec_field_max(enum smmuinv_field field);

/*
 * Every bit of a doubleword that is in some field of the opcode. Of DPTI_PA
 * every bit is: its layout is in a figure only (4.6.2), and it is not decoded.
 */
uint64_t spec_opcode_mask(uint8_t opcode, unsigned int word);

/* An ID register's field (6.3.1 to 6.3.6). */
struct spec_feature {
	const char *name;
	unsigned int idr;
	uint32_t mask;
};

extern const struct spec_feature spec_features[SMMUINV_FEATURE_COUNT];

uint32_t spec_feature_get(const struct smmuinv_features *features,
			  enum smmuinv_feature feature);
void spec_feature_set(struct smmuinv_features *features,
		      enum smmuinv_feature feature, uint32_t value);

/* Largest value that the specification gives the field a meaning for. */
uint32_t spec_feature_max(enum smmuinv_feature feature);

/* Could there be an SMMU with these registers? NULL, or what speaks against. */
const char *spec_smmu_impossible(const struct smmuinv_features *features);

#endif /* SMMUINV_TESTS_SPEC_H */
