/* SPDX-License-Identifier: MIT */
/*
 * /init of the machine: all tests, one after the other. The console is the
 * record; run.sh and compare-trace.py read it.
 */
#include <stdio.h>
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

int main(void)
{
	int failed;

	machine_boot_init();
	print_kernel();
	take_device();
	failed = test_bringup();
	failed += test_dma();
	failed += test_refusal();
	failed += test_opcodes();
	failed += test_corpus();
	failed += test_unit();
	machine_power_off(failed != 0);
}
