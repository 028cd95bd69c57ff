/* SPDX-License-Identifier: MIT */
/*
 * /init of the machine: all tests, one after the other, or with
 * SMMUINV_TESTS=differential those that compare kernel and mock, or with
 * SMMUINV_TESTS=bench the benchmarks. The console is the record; run.sh and
 * compare-trace.py read it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "machine.h"
#include "rig.h"
#include "tests.h"

static void print_kernel(void)
{
	struct utsname name;

	if (!uname(&name))
		printf("KERNEL %s\n", name.release);
}

static void take_device(void)
{
	int error = pci_device_take(&rig_device, EDU_VENDOR, EDU_DEVICE, 0);

	if (error)
		machine_fail("the edu device", error);
	printf("DEVICE %s sid 0x%x vsid 0x%x\n", rig_device.cdev,
	       rig_device.sid, RIG_VSID);
}

/* They want a kernel log in which nothing else happened, and no trace. */
static int run_differential(void)
{
	int failed = test_hostile();

	failed += test_differential();
	return failed + test_wedge();
}

static int run_all_others(void)
{
	int failed = test_bringup();

	failed += test_dma();
	failed += test_plan();
	failed += test_refusal();
	failed += test_opcodes();
	failed += test_corpus();
	return failed + test_unit();
}

int main(void)
{
	const char *tests;
	int failed;

	machine_boot_init();
	print_kernel();
	take_device();
	tests = getenv("SMMUINV_TESTS");
	if (tests && !strcmp(tests, "differential"))
		failed = run_differential();
	else if (tests && !strcmp(tests, "bench"))
		failed = test_bench();
	else
		failed = run_all_others();
	machine_power_off(failed != 0);
}
