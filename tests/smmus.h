/* SPDX-License-Identifier: MIT */
/*
 * Several physical SMMUs, each a mock of its own, behind one virtual one.
 */
#ifndef SMMUINV_TESTS_SMMUS_H
#define SMMUINV_TESTS_SMMUS_H

#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

#define SMMUS_MAX 4

struct smmu {
	/* To be chosen between smmus_init() and smmus_open(). */
	struct smmuinv_features host;
	uint32_t hw_flags;
	uint32_t kernel;
	struct smmuinv_caches *caches;

	struct smmuinv_mock *mock;
	struct smmuinv_backend *behind; /* the mock's */
	uint32_t viommu;                /* the mock's name for it */
};

struct smmus {
	uint32_t count;
	struct smmu smmu[SMMUS_MAX];
	/* To be chosen likewise; backend, vIOMMU and host are not looked at. */
	struct smmuinv_vsmmu_params params;
	/* Told of each call after an SMMU got it; may be NULL. */
	void (*watch)(void *watcher, uint32_t which,
		      const struct smmuinv_command *commands, uint32_t asked,
		      int rc);
	void *watcher;

	struct smmuinv_backend *backend;
	struct smmuinv_vsmmu *vsmmu;
	struct smmuinv_streams *streams;
};

/* With everything, and what is asked for is what goes down. */
void smmus_init(struct smmus *s, uint32_t count);

/* The first is among the parameters, the others are added. */
void smmus_open(struct smmus *s);
void smmus_close(struct smmus *s);

/* The library's names of objects. */
uint32_t smmus_viommu(const struct smmus *s, uint32_t which);
uint32_t smmus_add_device(struct smmus *s, uint32_t which);

struct smmuinv_viommu_params smmus_viommu_params(const struct smmus *s,
						 uint32_t which);

/* smmuinv_vsmmu_add_viommu() and _remove_viommu() */
int smmus_attach(struct smmus *s, uint32_t which);
int smmus_detach(struct smmus *s, uint32_t which);

/* A device behind it, with stage 1 attached and its ATS on. */
void smmus_plug(struct smmus *s, uint32_t which, uint32_t vsid);

/* Let the next call to one SMMU go wrong. */
void smmus_inject(struct smmus *s, uint32_t which, int error, uint32_t executed,
		  uint32_t count);

/* What one has executed since smmus_forget(). */
size_t smmus_executed(struct smmus *s, uint32_t which);
size_t smmus_times(struct smmus *s, uint32_t which,
		   const struct smmuinv_command *command);
uint64_t smmus_calls(struct smmus *s, uint32_t which);
void smmus_forget(struct smmus *s);
size_t smmus_faults_left(struct smmus *s);

#endif /* SMMUINV_TESTS_SMMUS_H */
