/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char faults_help[] =
	"  ERRNO[:pass=N][:times=N][:executed=N][:count=N][:opcode=N]\n"
	"                  invalidate calls fail, for instance EIO\n"
	"  lie[:pass=N]    an invalidate call does nothing, and reports "
	"success\n"
	"  vanish=VSID[:pass=N]\n"
	"                  the vDEVICE of VSID is destroyed\n"
	"  silent=VSID[:until=N]\n"
	"                  the device does not answer ATC_INVs, until the "
	"guest\n"
	"                  has seen N errors\n"
	"  silent=smmu     the SMMU does not answer\n"
	"  attach=ERRNO[:times=N]\n"
	"                  the VMM cannot attach an STE\n"
	"  pointers        the guest writes a wrong CMDQ_PROD\n";

static const struct {
	const char *name;
	int value;
} errnos[] = {
	{ "EAGAIN", EAGAIN }, { "EBADF", EBADF },
	{ "EBUSY", EBUSY },   { "EFAULT", EFAULT },
	{ "EINTR", EINTR },   { "EINVAL", EINVAL },
	{ "EIO", EIO },       { "ENODEV", ENODEV },
	{ "ENOENT", ENOENT }, { "ENOMEM", ENOMEM },
	{ "ENOSPC", ENOSPC }, { "ENOTTY", ENOTTY },
	{ "EPERM", EPERM },   { "EPROTO", EPROTO },
	{ "ERANGE", ERANGE }, { "EOPNOTSUPP", EOPNOTSUPP },
	{ "ENXIO", ENXIO },   { "ETIMEDOUT", ETIMEDOUT },
};

#define ERRNOS (sizeof(errnos) / sizeof(errnos[0]))

const char *faults_errno_name(int error)
{
	size_t i;

	for (i = 0; i < ERRNOS; i++) {
		if (errnos[i].value == -error)
			return errnos[i].name;
	}
	return strerror(-error);
}

static int errno_of(const char *name)
{
	size_t i;

	for (i = 0; i < ERRNOS; i++) {
		if (strcmp(errnos[i].name, name) == 0)
			return -errnos[i].value;
	}
	return 0;
}

static bool number(const char *text, uint32_t *value)
{
	unsigned long n;
	char *end;

	n = strtoul(text, &end, 0);
	*value = (uint32_t)n;
	return end != text && !*end && n < UINT32_MAX;
}

void faults_init(struct faults *faults)
{
	*faults = (struct faults){
		.call = {
			.size = sizeof(faults->call),
			.count = SMMUINV_MOCK_COUNT_AS_GIVEN,
		},
		.silent = FAULTS_SID_NONE,
	};
}

static bool parse_option(struct faults *faults, const char *name,
			 const char *value)
{
	uint32_t n;

	if (!number(value, &n))
		return false;
	if (strcmp(name, "pass") == 0)
		faults->call.pass = n;
	else if (strcmp(name, "times") == 0)
		faults->times = n;
	else if (strcmp(name, "executed") == 0)
		faults->call.executed = n;
	else if (strcmp(name, "count") == 0)
		faults->call.count = n;
	else if (strcmp(name, "opcode") == 0)
		faults->call.opcode = (uint8_t)n;
	else if (strcmp(name, "until") == 0)
		faults->until = n;
	else
		return false;
	return true;
}

static bool parse_kind(struct faults *faults, const char *name,
		       const char *value)
{
	faults->times = 1;
	if (!value && strcmp(name, "pointers") == 0) {
		faults->times = 0;
		faults->pointers = true;
		return true;
	}
	if (!value && strcmp(name, "lie") == 0) {
		faults->lie = true;
		return true;
	}
	if (!value) {
		faults->call.error = errno_of(name);
		return faults->call.error;
	}
	if (strcmp(name, "attach") == 0) {
		faults->attach = errno_of(value);
		return faults->attach;
	}
	if (strcmp(name, "vanish") == 0) {
		faults->call.vanish = true;
		faults->call.count = 0;
		return number(value, &faults->call.vsid);
	}
	faults->times = 0;
	faults->until = UINT32_MAX;
	if (strcmp(name, "silent") != 0)
		return false;
	if (strcmp(value, "smmu") != 0)
		return number(value, &faults->silent);
	faults->silent = FAULTS_SID_SMMU;
	return true;
}

bool faults_parse(struct faults *faults, char *text)
{
	char *rest = NULL;
	char *part = strtok_r(text, ":", &rest);
	bool first = true;

	if (!part)
		return false;
	for (; part; part = strtok_r(NULL, ":", &rest), first = false) {
		char *value = strchr(part, '=');

		if (value)
			*value++ = '\0';
		if (first ? !parse_kind(faults, part, value) :
			    !value || !parse_option(faults, part, value))
			return false;
	}
	return true;
}

int faults_inject(const struct faults *faults, struct smmuinv_mock *mock,
		  uint32_t viommu_id)
{
	struct smmuinv_mock_fault fault = faults->call;
	uint32_t i;
	int rc = 0;

	if (faults->silent == FAULTS_SID_SMMU)
		return smmuinv_mock_hang_smmu(mock, viommu_id, true);
	if (faults->silent != FAULTS_SID_NONE)
		return smmuinv_mock_hang(mock, viommu_id, faults->silent,
					 SMMUINV_MOCK_SILENT);
	if (!fault.error && !fault.vanish && !faults->lie)
		return 0;
	for (i = 0; i < faults->times && !rc; i++) {
		rc = smmuinv_mock_inject(mock, &fault);
		fault.pass = 0; /* the next call fails, too */
	}
	return rc;
}
