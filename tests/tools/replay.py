#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs examples/replay over every stream of tests/corpus and checks what it says.

Each stream is replayed with the ID registers that its guest saw. Every command was
read, and every opcode has the fate that the registers give it.

As written, the mock executed exactly the forwarded commands, and a CFGI_CD_ALL for
each stream that a CFGI_STE or CFGI_STE_RANGE names (4.3.1; once for equal
neighbours). There was at most one ioctl for each run between commands that are the
VMM's, and one for each of these.

With the plan it executed no more than those, with their effect, in at most three
ioctls a window. On a host without ranges a guest's ranges have their effect, too.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys

FORWARDED = {
    "CFGI_CD", "CFGI_CD_ALL", "TLBI_NH_ALL", "TLBI_NH_ASID", "TLBI_NH_VA",
    "TLBI_NH_VAA", "TLBI_NSNH_ALL", "ATC_INV",
}
STAGE1 = FORWARDED - {"TLBI_NSNH_ALL", "ATC_INV"}
DROPPED = {"PREFETCH_CONFIG", "PREFETCH_ADDR"}
RESERVED = "RESERVED_0x00"

# Of the raw commands: those that name a stream, and those for its STE.
CFGI_STE, CFGI_STE_RANGE, SYNC = 0x03, 0x04, 0x46
NAMES_STREAM = {CFGI_STE, 0x05, 0x06, 0x40}

# Commands that the library lets wait for one another: the queue's default.
WINDOW = 4096


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


def expected_cd_alls(stream, idr, folder):
    """For each CFGI_STE and CFGI_STE_RANGE, the streams that it names: at least
    and at most, because one that follows its equal may be done with it.
    """
    data = (folder / (stream["name"] + ".bin")).read_bytes()
    commands = [(dw0 & 0xff, dw0 >> 32, dw1)
                for dw0, dw1 in struct.iter_unpack("<2Q", data)]
    sids = {sid for opcode, sid, _ in commands
            if opcode in NAMES_STREAM and not sid >> bits(idr[1], 0, 6)}
    least = most = 0
    last = None
    for command in commands:
        opcode, sid, dw1 = command
        if opcode == SYNC:
            continue
        number = 0
        if opcode == CFGI_STE:
            number = sid in sids
        elif opcode == CFGI_STE_RANGE:
            shift = bits(dw1, 0, 5) + 1
            number = sum(s >> shift == sid >> shift for s in sids)
        most += number
        least += number if command != last else 0
        last = command
    return least, most


def stes_of(stream):
    return sum(stream["opcodes"].get(name, 0)
               for name in ("CFGI_STE", "CFGI_STE_RANGE"))


def groups_of(stream, result):
    """Runs of commands that nothing of the VMM but CMD_SYNCs stands between."""
    syncs = stream["opcodes"].get("SYNC", 0)
    return (result["vmm"] - syncs + result["illegal"] + result["doorbells"]
            + result["forwarded"] // WINDOW + 1 + stes_of(stream))


def check_as_written(stream, result):
    runs = (result["vmm"] + result["illegal"] + result["doorbells"]
            + stes_of(stream))
    if result["ranges_as_pages"]:
        return
    expect(stream, "record", result["record"], "equal")
    expect(stream, "host commands", result["host_commands"],
           result["forwarded"] + result["cd_alls"])
    if result["ioctls"] > runs + result["forwarded"] // WINDOW:
        sys.exit(f"{stream['name']}: {result['ioctls']} ioctls, {runs} runs")


def check_fewest(stream, result):
    groups = groups_of(stream, result)
    if result["ioctls"] > 3 * groups:
        sys.exit(f"{stream['name']}: {result['ioctls']} ioctls, "
                 f"{groups} windows")
    if (not result["ranges_as_pages"]
            and result["host_commands"] > result["forwarded"]
            + result["cd_alls"]):
        sys.exit(f"{stream['name']}: {result['host_commands']} host commands "
                 f"for {result['forwarded']}")


def check(program, stream, idr, folder, *options):
    result = replay(program, stream, idr, folder, *options)
    counts = expected_counts(stream, idr)
    expect(stream, "counts", result["by_opcode"], counts)
    for column in ("read", "forwarded", "vmm", "dropped", "illegal"):
        expect(stream, column, result[column],
               sum(row[column] for row in counts.values()))
    least, most = expected_cd_alls(stream, idr, folder)
    if not least <= result["cd_alls"] <= most:
        sys.exit(f"{stream['name']}: {result['cd_alls']} CFGI_CD_ALLs, "
                 f"not {least} to {most}")
    expect(stream, "effect", result["effect"], "kept")
    expect(stream, "errors", len(result["errors"]), result["illegal"])
    result["ranges_as_pages"] = has_ril(result["idr"]) and not has_ril(
        result["host_idr"])
    if result["plan"] == "fewest":
        check_fewest(stream, result)
    else:
        check_as_written(stream, result)
    return result


def has_ril(idr):
    return bits(int(idr[3], 16), 10) == 1


def without(idr, low):
    """The same SMMU without a feature of IDR0."""
    return [idr[0] & ~(1 << low)] + idr[1:]


def variants_of(stream, idr):
    """Registers and options: as the guest saw it; in a small ring that wraps;
    with few commands a doorbell, or one CMD_SYNC; with the granule known; on a
    host without ranges; and as an SMMU without stage 1, EL2, stage 2 or ATS.
    """
    known = ("--host-ril", "on", "--granule", stream["granule"])
    for plan in ("fewest", "as-written"):
        for options in ((), ("--log2size", "3"), ("--doorbell", "5"),
                        ("--doorbell", "sync"), known,
                        (*known, "--doorbell", "5"),
                        ("--host-ril", "off"),
                        ("--host-ril", "off", "--doorbell", "sync")):
            yield idr, ("--plan", plan, *options)
        for bit in (0, 1, 9, 10):
            yield without(idr, bit), ("--plan", plan)


# The columns of the table: what a guest's commands cost. "SYNC" rings the
# doorbell at each CMD_SYNC, as a guest with one CPU does; "ring" when it is full.
COLUMNS = [
    ("as written, SYNC", ("--plan", "as-written", "--doorbell", "sync")),
    ("as written, ring", ("--plan", "as-written")),
    ("plan, SYNC", ("--doorbell", "sync")),
    ("plan, ring", ()),
    ("granule known, SYNC", ("GRANULE", "--doorbell", "sync")),
    ("granule known, ring", ("GRANULE",)),
    ("host without RIL, SYNC", ("--host-ril", "off", "--doorbell", "sync")),
]


def options_of(stream, options):
    known = ("--host-ril", "on", "--granule", stream["granule"])
    return sum(((known if option == "GRANULE" else (option,))
                for option in options), ())


def figures(program, streams, folder):
    """Host commands and ioctls of each stream, in several ways."""
    print("\nguest commands -> host commands / ioctls")
    print(f"{'stream':26} {'guest':>6} "
          + " ".join(f"{title:>22}" for title, _ in COLUMNS))
    for stream in streams:
        idr = [int(register, 16) for register in stream["idr"]]
        cells = [check(program, stream, idr, folder,
                       *options_of(stream, options))
                 for _, options in COLUMNS]
        print(f"{stream['name']:26} {cells[0]['forwarded']:6} " + " ".join(
            f"{cell['host_commands']:>13} / {cell['ioctls']:6}"
            for cell in cells))
        yield stream["name"], cells


def check_target(rows):
    """A guest without ranges, of which one command in ten is enough."""
    cells = rows["29-lk73-l2guest-noril"]
    forwarded = 4554 + 1
    for cell in (cells[4], cells[5]):
        # The TLBI_NSNH_ALL is not one of the 4554.
        if cell["host_tlbis"] - 1 > 462:
            sys.exit(f"stream 29: {cell['host_tlbis']} host TLBIs")
    print(f"stream 29, granule known: {forwarded} TLBIs -> "
          f"{cells[4]['host_tlbis']} (a doorbell at each CMD_SYNC), "
          f"{cells[5]['host_tlbis']} (one for all)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="examples/replay")
    parser.add_argument("folder", type=pathlib.Path, help="tests/corpus")
    arguments = parser.parse_args()
    streams = json.loads((arguments.folder / "streams.json").read_text())
    passed = 0
    for stream in streams:
        idr = [int(register, 16) for register in stream["idr"]]
        for registers, options in variants_of(stream, idr):
            result = check(arguments.program, stream, registers,
                           arguments.folder, *options)
            passed += 1
            if registers is idr and options == ("--plan", "fewest"):
                print(f"{stream['name']}: {result['read']} read, "
                      f"{result['forwarded']} forwarded, {result['vmm']} vmm, "
                      f"{result['dropped']} dropped, "
                      f"{result['illegal']} illegal")
    check_target(dict(figures(arguments.program, streams, arguments.folder)))
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main()
