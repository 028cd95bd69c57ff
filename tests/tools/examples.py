#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs examples/check, batch and queue against everything that can fail below them.

The world around each example (examples/world.h) holds the proof: it fills the
host's caches with what each command of the guest has to remove, and looks at each
CMD_SYNC that the VMM signals whether all of it is gone. Exit status 1 means that
something was lost. Here stands what each fault has to lead to: whether the guest
comes to its end, is stopped, or gives up after CERROR_ATC_INV_SYNC.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import subprocess
import sys

DONE, LOST, STOPPED, GIVEN_UP = 0, 1, 3, 4
SYNCS = 8       # that the guest writes
TRIES = 3       # of each VMM

# What IOMMU_HWPT_INVALIDATE answers (iommufd and the driver), and what any ioctl may.
ERRNOS = ("EIO", "ETIMEDOUT", "ENOMEM", "EFAULT", "EINVAL", "ENOENT",
          "EOPNOTSUPP", "ENOTTY", "EINTR", "EAGAIN")
KERNELS = ("7.3", "6.13", "exact", "quarantine", "exact and quarantine")

FOREVER = 300   # more calls than a window may make

# How many commands of a call are executed, and how many it reports.
COUNTS = {
    "EIO": ("", ":count=0", ":executed=1:count=1", ":executed=999:count=0",
            ":count=1"),
    "ETIMEDOUT": ("", ":count=0", ":executed=1", ":executed=999:count=0"),
}

PLAIN_SID, ATS_SID = "0x10", "0x18"
CFGI_CD, CFGI_CD_ALL, NH_VA, ATC_INV = 0x05, 0x06, 0x12, 0x40

Run = collections.namedtuple("Run", "status text syncs calls")


class Way:
    """A VMM of the examples."""

    def __init__(self, name, program, *options):
        self.name = name
        self.command = [program, *options]
        self.uses_batch = "check" not in name
        self.calls = self.run().calls

    def run(self, fault=None, kernel=0):
        command = [*self.command, "--kernel", str(kernel)]
        if fault:
            command += ["--fault", fault]
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False, timeout=60)
        text = done.stdout + done.stderr
        last = re.search(r"(\d+) CMD_SYNCs are complete.* in (\d+) calls", text)
        if not last:
            sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{text}")
        return Run(done.returncode, text, int(last[1]), int(last[2]))


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


def expect_end(run, *statuses):
    """The guest's end, and what goes with it."""
    expect(run.status in statuses,
           f"exit {run.status}, not {' or '.join(map(str, statuses))}")
    expect("lost" not in run.text, "an invalidation is lost")
    if run.status == DONE:
        expect(run.syncs == SYNCS, f"{run.syncs} CMD_SYNCs")
        expect(run.text.count("CERROR_ILL") == 1, "CERROR_ILL is not seen once")
    else:
        expect(run.syncs < SYNCS, "all CMD_SYNCs")
        expect(run.text.count("CERROR_ILL") <= 1,
               "a failure of the host is shown as CERROR_ILL")
    stopped = "the guest is stopped" in run.text
    expect(stopped == (run.status == STOPPED), "stopped, and is not")


def nothing_fails(way):
    for kernel in range(len(KERNELS)):
        yield None, kernel, lambda run: expect_end(run, DONE)


def one_call_fails(way):
    """It is made again. No CMD_SYNC is signaled before."""
    def check(run):
        expect_end(run, DONE)
        expect("did not happen" not in run.text, "the fault did not happen")
        expect("is removed" not in run.text, "a stream was removed")

    for error in ERRNOS:
        for n in range(way.calls):
            for count in COUNTS.get(error, ("",)):
                yield f"{error}:pass={n}{count}", 0, check


def a_few_calls_fail(way):
    """Whatever becomes of the guest, nothing is lost."""
    for error in ERRNOS:
        for n in range(0, way.calls, 2):
            for times in (2, 3, 7):
                yield (f"{error}:pass={n}:times={times}", 0,
                       lambda run: expect_end(run, DONE, STOPPED, GIVEN_UP))


def all_calls_fail(way):
    """The guest is stopped with that errno, or sees its device hang."""
    for error in ERRNOS:
        def check(run, error=error):
            gone = run.text.count("is removed") == 2
            if error == "EIO" and gone and run.status == DONE:
                return expect_end(run, DONE)    # only their commands were left
            expect_end(run, STOPPED, GIVEN_UP)
            expect(run.status == STOPPED or error == "ETIMEDOUT",
                   "the guest sees what is not its device's fault")
            expect(run.status == GIVEN_UP or f"stopped: {error}\n" in run.text,
                   "another errno")

        # After these the library makes each call 1000 times.
        often = way.uses_batch and error in ("EINTR", "EAGAIN")
        times = 20000 if often else FOREVER
        for n in (0, way.calls - 1) if often else range(way.calls):
            yield f"{error}:pass={n}:times={times}", 0, check


def an_opcode_is_refused(way):
    """What covers it is executed instead, the stream goes, or the ATC is owed."""
    def check(opcode):
        def check_run(run):
            removed = "is removed" in run.text
            if opcode == NH_VA:
                expect_end(run, DONE if way.uses_batch else STOPPED)
            elif opcode == ATC_INV and way.uses_batch:
                expect_end(run, GIVEN_UP)
                expect(run.text.count("CERROR_ATC_INV_SYNC") == 3,
                       "the guest does not see the error three times")
            else:
                expect_end(run, DONE)
            expect(not removed or opcode not in (NH_VA,),
                   "a stream is removed for a TLBI")
        return check_run

    for opcode in (CFGI_CD, CFGI_CD_ALL, NH_VA, ATC_INV):
        yield f"EIO:opcode={opcode}:times={FOREVER}", 0, check(opcode)


def a_vdevice_vanishes(way):
    """Its stream is removed, and no other. The guest goes on."""
    for sid, other in ((PLAIN_SID, ATS_SID), (ATS_SID, PLAIN_SID)):
        def check(run, other=other):
            expect_end(run, DONE)
            expect(f"stream {other} is removed" not in run.text,
                   "the other stream is removed")

        def check_first(run, sid=sid, check=check):
            check(run)
            expect(f"stream {sid} is removed" in run.text, "it is not removed")

        for kernel in range(len(KERNELS)):
            for n in range(way.calls):
                yield (f"vanish={sid}:pass={n}", kernel,
                       check if n else check_first)


def a_device_hangs(way):
    """The guest sees CERROR_ATC_INV_SYNC, and all but its ATC is invalidated."""
    def check_forever(run):
        expect_end(run, GIVEN_UP)
        expect(run.text.count("CERROR_ATC_INV_SYNC") == 3,
               "the guest does not see the error three times")
        expect(run.syncs == 1, f"{run.syncs} CMD_SYNCs")

    def check_removed(run):
        expect_end(run, DONE)
        expect(f"stream {ATS_SID} is removed" in run.text, "it is not removed")

    for kernel, name in enumerate(KERNELS):
        alone = "quarantine" in name and not way.uses_batch
        yield (f"silent={ATS_SID}", kernel,
               check_removed if alone else check_forever)
        yield (f"silent={PLAIN_SID}", kernel,
               lambda run: expect_end(run, DONE))
        for tries in (1, 2):
            yield (f"silent={ATS_SID}:until={tries}", kernel,
                   lambda run: expect_end(run, DONE))


def an_smmu_hangs(way):
    """The guest is stopped, after a handful of time-outs."""
    def check(run):
        expect_end(run, STOPPED)
        expect("stopped: ETIMEDOUT\n" in run.text, "another errno")
        expect(run.syncs == 0, "a CMD_SYNC is signaled")
        expect(run.calls <= 30, f"{run.calls} calls of a second each")

    for kernel in range(len(KERNELS)):
        yield "silent=smmu", kernel, check


def an_ste_cannot_be_attached(way):
    """The VMM's own failure: it tries again, and then stops the guest."""
    def check_stopped(run):
        expect_end(run, STOPPED)
        expect("stopped: EBUSY\n" in run.text, "another errno")
        expect(run.syncs == 0, "a CMD_SYNC is signaled")

    for times in range(1, TRIES):
        yield (f"attach=EBUSY:times={times}", 0,
               lambda run: expect_end(run, DONE))
    # The host's errno for a device that is gone is nothing of the host's here.
    yield "attach=ENODEV", 0, lambda run: (
        expect_end(run, DONE),
        expect("is removed" not in run.text, "a stream is removed"))
    yield f"attach=EBUSY:times={TRIES}", 0, check_stopped


def pointers_are_wrong(way):
    """The queue is left alone until the guest resets it."""
    def check(run):
        expect_end(run, DONE)
        expect(run.text.count("contradicts") == 1, "it is not seen")

    yield "pointers", 0, check


def a_lie_is_seen(way):
    """The judge notices a kernel that reports what it has not executed."""
    def check(run):
        expect(run.status == LOST, f"exit {run.status}")
        expect("lost: " in run.text, "not lost")

    yield f"lie:pass=1:times={FOREVER}", 0, check


GROUPS = (nothing_fails, one_call_fails, a_few_calls_fail, all_calls_fail,
          an_opcode_is_refused, a_vdevice_vanishes, a_device_hangs,
          an_smmu_hangs, an_ste_cannot_be_attached, pointers_are_wrong,
          a_lie_is_seen)


def attempt(way, fault, kernel, check):
    run = way.run(fault, kernel)
    try:
        check(run)
    except Failure as failure:
        return (f"{way.name}, {KERNELS[kernel]}, {fault}: {failure}\n"
                f"{run.text}")
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", help="examples/check")
    parser.add_argument("batch", help="examples/batch")
    parser.add_argument("queue", help="examples/queue")
    arguments = parser.parse_args()
    ways = (
        Way("check", arguments.check),
        Way("batch, like QEMU", arguments.batch, "--way", "qemu"),
        Way("batch, like OpenVMM", arguments.batch, "--way", "openvmm"),
        Way("queue", arguments.queue),
        Way("queue, a little work a call", arguments.queue, "--work-max", "1"),
    )
    failures = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for group in GROUPS:
            runs = [pool.submit(attempt, way, *case)
                    for way in ways for case in group(way)]
            bad = [run.result() for run in runs if run.result()]
            failures += bad
            print(f"{group.__name__}: {len(runs) - len(bad)} passed, "
                  f"{len(bad)} failed")
    for failure in failures[:10]:
        print(failure)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
