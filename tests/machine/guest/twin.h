/* SPDX-License-Identifier: MIT */
/*
 * A backend that puts every question to the real kernel and to the mock's model
 * of that kernel, and compares the answers. The caller gets the kernel's.
 */
#ifndef GUEST_TWIN_H
#define GUEST_TWIN_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

#include "nested.h"

struct twin {
	const struct nested *nested;
	struct smmuinv_features host;
	struct smmuinv_mock *mock;
	struct smmuinv_backend *model;
	struct smmuinv_backend *backend; /* both of them */
	/* The kernel's objects, as the mock knows them. */
	uint32_t model_viommu;
	uint32_t model_device;
	uint32_t model_vdevice;
	uint64_t calls;
	uint64_t commands;
	uint64_t refused;
	uint64_t differing;
};

/* An answer of both. */
struct twin_answer {
	int error;
	uint32_t count;
	bool same;
};

/*
 * The mock is the @kernel one, with the features of @nested's host, a vIOMMU
 * and a device, and @nested's device must have no vDEVICE now.
 */
void twin_init(struct twin *twin, const struct nested *nested,
	       enum smmuinv_mock_kernel kernel);
void twin_free(struct twin *twin);

/* @count commands in one call, raw. */
struct twin_answer twin_ask(struct twin *twin,
			    const struct smmuinv_command *commands,
			    uint32_t count);

/* Gives the device a vDEVICE of this id, for both; and takes it away. */
uint32_t twin_plug(struct twin *twin, uint32_t vsid);
void twin_unplug(struct twin *twin, uint32_t vdevice);

#endif
