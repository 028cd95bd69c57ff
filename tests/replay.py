#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs examples/replay over every stream of tests/corpus and checks what it says.

For each stream, with the ID registers that its guest saw: every command was
read, every opcode has the fate that the registers give it, the mock executed
exactly the forwarded commands, and there was at most one ioctl for each run
between commands that are the VMM's.
"""
import argparse
import json
import pathlib
import subprocess
import sys

FORWARDED = {
    "CFGI_CD", "CFGI_CD_ALL", "TLBI_NH_ALL", "TLBI_NH_ASID", "TLBI_NH_VA",
    "TLBI_NH_VAA", "TLBI_NSNH_ALL", "ATC_INV",
}
STAGE1 = FORWARDED - {"TLBI_NSNH_ALL", "ATC_INV"}
DROPPED = {"PREFETCH_CONFIG", "PREFETCH_ADDR"}
RESERVED = "RESERVED_0x00"


def bits(register, low, width=1):
    return (register >> low) & ((1 << width) - 1)


def is_legal(opcode, idr):
    """The specification's conditions, written a second time."""
    if opcode == RESERVED:
        return False
    if opcode in STAGE1:
        return bits(idr[0], 1) == 1
    if opcode.startswith("TLBI_EL2"):
        return bits(idr[0], 9) == 1
    if opcode.startswith("TLBI_S"):
        return bits(idr[0], 0) == 1
    if opcode == "ATC_INV":
        return bits(idr[0], 10) == 1
    if opcode in ("RESUME", "STALL_TERM"):
        return bits(idr[0], 24, 2) != 1
    return True


def fate(opcode, idr):
    if not is_legal(opcode, idr):
        return "illegal"
    if opcode in FORWARDED:
        return "forwarded"
    return "dropped" if opcode in DROPPED else "vmm"


def replay(program, stream, idr, folder, *options):
    command = [program, "--json", "--idr", ",".join(hex(i) for i in idr),
               *options, str(folder / (stream["name"] + ".bin"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{stream['name']}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def expect(stream, what, seen, wanted):
    if seen != wanted:
        sys.exit(f"{stream['name']}: {what}: {seen}, not {wanted}")


def expected_counts(stream, idr):
    counts = {}
    for opcode, number in stream["opcodes"].items():
        row = dict.fromkeys(
            ("read", "forwarded", "vmm", "dropped", "illegal"), 0)
        row["read"] = number
        row[fate(opcode, idr)] = number
        counts[opcode] = row
    return counts


def check(program, stream, idr, folder, *options):
    result = replay(program, stream, idr, folder, *options)
    counts = expected_counts(stream, idr)
    expect(stream, "counts", result["by_opcode"], counts)
    for column in ("read", "forwarded", "vmm", "dropped", "illegal"):
        expect(stream, column, result[column],
               sum(row[column] for row in counts.values()))
    expect(stream, "record", result["record"], "equal")
    expect(stream, "errors", len(result["errors"]), result["illegal"])
    expect(stream, "host commands", result["host_commands"],
           result["forwarded"])
    groups = result["vmm"] + result["illegal"] + 1
    if not options and result["ioctls"] > groups:
        sys.exit(f"{stream['name']}: {result['ioctls']} ioctls, {groups} groups")
    return result


def without(idr, low):
    """The same SMMU without a feature of IDR0."""
    return [idr[0] & ~(1 << low)] + idr[1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="examples/replay")
    parser.add_argument("folder", type=pathlib.Path, help="tests/corpus")
    arguments = parser.parse_args()
    streams = json.loads((arguments.folder / "streams.json").read_text())
    passed = 0
    for stream in streams:
        idr = [int(register, 16) for register in stream["idr"]]
        # As the guest saw it; in a small ring that wraps; with few commands a
        # doorbell; and as an SMMU without stage 1, EL2, stage 2 or ATS.
        variants = [(idr, ()), (idr, ("--log2size", "3")),
                    (idr, ("--doorbell", "5"))]
        variants += [(without(idr, bit), ()) for bit in (0, 1, 9, 10)]
        for registers, options in variants:
            result = check(arguments.program, stream, registers,
                           arguments.folder, *options)
            passed += 1
            if registers is idr and not options:
                print(f"{stream['name']}: {result['read']} read, "
                      f"{result['forwarded']} forwarded, {result['vmm']} vmm, "
                      f"{result['dropped']} dropped, "
                      f"{result['illegal']} illegal, "
                      f"{result['ioctls']} ioctls")
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
