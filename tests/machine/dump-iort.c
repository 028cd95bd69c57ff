/* SPDX-License-Identifier: MIT */
/*
 * The /init of a first, short boot: prints the machine's ACPI table IORT as
 * hex, for iort.py.
 */
#include "guest/machine.h"

#include <errno.h>
#include <stdio.h>

#define BYTES_PER_LINE 32

int main(void)
{
	unsigned char line[BYTES_PER_LINE];
	size_t count;
	FILE *table;

	machine_boot_init();
	table = fopen("/sys/firmware/acpi/tables/IORT", "rb");
	if (!table)
		machine_fail("the table IORT", errno);
	while ((count = fread(line, 1, sizeof(line), table)) > 0) {
		printf("IORT: ");
		for (size_t i = 0; i < count; i++)
			printf("%02x", line[i]);
		printf("\n");
	}
	machine_power_off(0);
}
