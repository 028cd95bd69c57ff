/* SPDX-License-Identifier: MIT */
/*
 * The faults of an example's host, as its command line names them.
 */
#ifndef EXAMPLE_FAULTS_H
#define EXAMPLE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include <smmuinv/mock.h>

/* The grammar of --fault. */
extern const char faults_help[];

/* A device, or with SID_SMMU the whole SMMU, that does not answer. */
#define FAULTS_SID_NONE UINT32_MAX
#define FAULTS_SID_SMMU (UINT32_MAX - 1)

struct faults {
	struct smmuinv_mock_fault call; /* what the mock injects */
	bool lie;                       /* it reports success */
	uint32_t times;                 /* so often */
	uint32_t silent;                /* FAULTS_SID_*, or a vSID */
	uint32_t until; /* it answers again after so many failures */
	int attach;     /* attaching an STE fails, @times */
	bool pointers;  /* the guest writes a wrong CMDQ_PROD */
};

void faults_init(struct faults *faults);

/* False if @text is no fault. */
bool faults_parse(struct faults *faults, char *text);

/* Those of the mock. Returns 0 or a negative errno. */
int faults_inject(const struct faults *faults, struct smmuinv_mock *mock,
		  uint32_t viommu_id);

/* "EIO" */
const char *faults_errno_name(int error);

#endif /* EXAMPLE_FAULTS_H */
