/* SPDX-License-Identifier: MIT */
/*
 * /init of the machine: all tests, one after the other, or with SMMUINV_TESTS a
 * group of them; some run only so: "differential" compares kernel and mock,
 * "two-smmus" wants a machine with two, and "bench" are the benchmarks. The
 * console is the record; run.sh and compare-trace.py read it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "machine.h"
#include "rig.h"
#include "second.h"
#include "tests.h"

static void print_kernel(void)
{
	struct utsname name;

	if (!uname(&name))
		printf("KERNEL %s\n", name.release);
}

static void take_device(struct pci_device *device, unsigned int nth)
{
	int error = pci_device_take(device, EDU_VENDOR, EDU_DEVICE, nth);

	if (error)
		machine_fail("the edu device", error);
}

static void print_device(const struct pci_device *device, uint32_t vsid)
{
	printf("DEVICE %s sid 0x%x vsid 0x%x\n", device->cdev, device->sid,
	       vsid);
}

/* They want a kernel log in which nothing else happened, and no trace. */
static int run_differential(void)
{
	int failed = test_hostile();

	failed += test_differential();
	return failed + test_wedge();
}

static const struct {
	const char *name;
	int (*run)(void);
	bool apart; /* not without being asked for */
} groups[] = {
	{ .name = "differential", .run = run_differential, .apart = true },
	{ .name = "two-smmus", .run = test_two_smmus, .apart = true },
	{ .name = "bench", .run = test_bench, .apart = true },
	{ .name = "bringup", .run = test_bringup },
	{ .name = "dma", .run = test_dma },
	{ .name = "plan", .run = test_plan },
	{ .name = "refusal", .run = test_refusal },
	{ .name = "opcodes", .run = test_opcodes },
	{ .name = "ste", .run = test_ste },
	{ .name = "unplug", .run = test_unplug },
	{ .name = "lifecycle", .run = test_lifecycle },
	{ .name = "pair", .run = test_pair },
	{ .name = "corpus", .run = test_corpus },
	{ .name = "unit", .run = test_unit },
};

/* An unknown name runs nothing, which has failed. */
static int run(const char *name)
{
	int failed = 0;
	bool found = false;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (name ? strcmp(name, groups[i].name) != 0 : groups[i].apart)
			continue;
		failed += groups[i].run();
		found = true;
	}
	return found ? failed : 1;
}

int main(void)
{
	int failed;

	machine_boot_init();
	print_kernel();
	take_device(&rig_device, 0);
	take_device(&second_device, 1);
	print_device(&rig_device, RIG_VSID);
	print_device(&second_device, SECOND_VSID);
	failed = run(getenv("SMMUINV_TESTS"));
	machine_power_off(failed != 0);
}
