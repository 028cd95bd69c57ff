/* SPDX-License-Identifier: MIT */
/* A program of somebody else's, as C and as C++. */
#include <stdio.h>

#include <smmuinv/mock.h>
#include <smmuinv/smmuinv.h>

int main(void)
{
	struct smmuinv_features features = { { 0x101a, 0x10, 0, 0, 0, 0x14 } };
	struct smmuinv_command command;
	struct smmuinv_mock_params params = { sizeof(params), features };
	struct smmuinv_mock *mock;

	if (smmuinv_command_tlbi_nh_asid(&command, 5))
		return 1;
	if (smmuinv_check(&command, &features, &features, NULL) !=
	    SMMUINV_FORWARD)
		return 1;
	if (smmuinv_mock_new(&params, &mock))
		return 1;
	smmuinv_mock_free(mock);
	printf("%s\n", smmuinv_version());
	return 0;
}
