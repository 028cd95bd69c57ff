#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the fuzz targets' seed inputs from the streams that real guests wrote.

An input is a head, whose layout is that of the targets' struct head, and then a
slice of a stream. With --run TARGET PROGRAM, the inputs of a target are given to
a program that runs them, and the exit status is 0 if all of them passed.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

SLICE = 48      # commands in an input
SLICES = 8      # inputs from a stream

HOST_ATS = 1 << 1       # FUZZ_HOST_ATS
RAW_GUEST = 1 << 7      # fuzz-command.c
BY_POINTER = 1 << 2     # QUEUE_BY_POINTER
NOT_SETTLED = 1 << 3    # QUEUE_NOT_SETTLED
# struct fuzz_world_head.smmus: one; a second with some of the streams, without,
# with the erratum, with ranges unlike the first; and none at all.
SMMUS = [0, 0x0a, 0x08, 0x1a, 0x2d, 0x0f, 0x4f, 0x40]
# And .plugged: all that there is, with whose vDEVICEs; .states: ATS for all, for
# none, for some, and a device that does not answer.
PLUGGED = [0x07, 0x3f, 0x17, 0x05, 0x0b]
STATES = [0x07, 0x07, 0x00, 0x0f, 0x05]
RIL = 1 << 10           # of IDR3

# call, pass, error, executed, count, vanish: struct fuzz_fault. The
# errors are indices of fuzz_errors[].
EIO, ETIMEDOUT, ENOMEM, EINTR = 1, 2, 3, 4
TROUBLES = [
    [],
    [(1, 1, EIO, 5, 9, 0)],
    [(1, 0, ETIMEDOUT, 0, 62, 0), (1, 0, EINTR, 0, 0xff, 0)],
    [(1, 0, ENOMEM, 0, 0xff, 0), (1, 0, ENOMEM, 0, 0xff, 0)],
    [(1, 0, 0, 0, 0, 1), (1, 1, 0, 7, 3, 0), (1, 0, 0, 0, 0, 0)],
    [(1, 2, ETIMEDOUT, 0, 62, 0), (1, 0, EIO, 0, 1, 0)],
    [(1, 2, ETIMEDOUT, 0, 62, 0), (1, 0, 0, 0, 0, 3), (1, 0, EIO, 9, 2, 0)],
]

# One of each opcode, and the operands that rules are about.
SYNTHETIC = [
    (0x30, 0), (0x10, 0), (0x0005 << 48 | 0x11, 0),
    (0x0005 << 48 | 0x12, 0x7fff12345001),
    (0x0005 << 48 | 3 << 12 | 2 << 20 | 0x12, 0xffff000012340000 | 1 << 10),
    (7 << 12 | 0x13, 0x40000000 | 2 << 10 | 2 << 8),
    (0x0105 << 48 | 0x12, 2 << 10 | 1 << 8), (0x0105 << 48 | 0x11, 0),
    (63 << 20 | 0x12, 0x1000 | 1 << 10),
    (31 << 12 | 39 << 20 | 0x13, 3 << 10),
    (31 << 12 | 39 << 20 | 0x12, 0x7ffffffffffff000 | 1 << 10),
    (31 << 12 | 4 << 20 | 0x12, 0xfffffffffffff000 | 1 << 10),
    (0x10 << 32 | 0x03, 1), (0x10 << 32 | 0x05, 1), (0x10 << 32 | 0x06, 0),
    (0x10 << 32 | 3 << 12 | 0x05, 0), (0x46, 0),
    (0x10 << 32 | 0x40, 52), (0x10 << 32 | 3 << 12 | 1 << 11 | 0x40, 0x5000),
    (0x11 << 32 | 1 << 11 | 1 << 9 | 0x40, 9), (0x1000 << 32 | 1 << 12 | 0x46, 4),
    (0x10 << 32 | 0x04, 3), (0x04, 31), (0x01, 0), (0x02, 0), (0x41, 0),
    (0x44, 0), (0x45, 0), (0x20, 0), (0x28, 0), (0x2a, 0), (0x07, 0), (0x70, 0),
    (0x10 << 32 | 1 << 10 | 0x05, 0), (0x46 | 3 << 12, 0), (0x18, 0), (0x80, 0),
]
EVERYTHING = [0x0108741a, 0x00000520, 0, 0x00000400, 0, 0x000000f6]
NO_DS = [0x0108741a, 0x00000520, 0, 0x00000400, 0, 0x00000070]
PLAIN = [0x0100000a, 0x00000010, 0, 0, 0, 0x00000010]

# Hosts and guests: alike, a guest that sees less, hosts that have too little.
PAIRS = [(EVERYTHING, EVERYTHING), (EVERYTHING, PLAIN), (NO_DS, EVERYTHING),
         (PLAIN, EVERYTHING)]


def registers(idr):
    return struct.pack("<6I", *idr)


def smmus(host, guest, number):
    """The registers, and flags that go with them; the host without ranges now
    and then.
    """
    if number % 5 == 4:
        host = host[:3] + [host[3] & ~RIL] + host[4:]
    flags = HOST_ATS if host[0] >> 10 & 1 else 0
    return registers(host) + registers(guest), flags | (number % 3 == 2) << 2


def world(host, guest, number):
    """struct fuzz_world_head: every kernel in turn."""
    idr, flags = smmus(host, guest, number // 4)
    faults = b""
    for fault in TROUBLES[number % len(TROUBLES)]:
        faults += bytes(fault) + bytes([number // 3 % 2, 0])
    policy = (number % 5 | (number % 4 == 1) << 4 | (number % 9 == 1) << 5
              | (number % 11 == 1) << 6)
    pages_max = number * 7 % 90
    head = idr + bytes([flags, policy, 8, 16, 24,
                        PLUGGED[number // 3 % len(PLUGGED)],
                        STATES[number // 2 % len(STATES)], pages_max,
                        SMMUS[number * 3 // 2 % len(SMMUS)], 0])
    return (head + faults).ljust(106, b"\0")


def command_input(host, guest, number, commands):
    idr, flags = smmus(host, guest, number)
    if guest != host:
        flags |= RAW_GUEST
    which = number * 5 % (len(commands) // 16) * 16
    return idr + commands[which:which + 16] + bytes([flags])


def queue_input(host, guest, number, commands):
    count = len(commands) // 16
    flags = BY_POINTER if number % 2 else 0
    flags |= NOT_SETTLED if number % 4 > 1 else 0
    head = bytes([7, 16 if number % 4 else 3, flags, number * 5 % 64])
    head += struct.pack("<2I", 120 + count, 120)
    actions = bytes((number * 37 + 11 * i) & 0x7f for i in range(20))
    return world(host, guest, number) + head + actions + commands


def batch_input(host, guest, number, commands):
    head = bytes([20 + number % 100, 0])
    actions = bytes((number * 29 + 13 * i) & 0xff for i in range(18))
    return world(host, guest, number) + head + actions + commands


def plan_input(host, guest, number, commands):
    idr, flags = smmus(host, guest, number)
    head = bytes([flags, number * 7 % 90, number % 4, number * 11 % 64,
                  *([0, 0, 0, number % 3]), 0, number % 5, 0, 0])
    return (idr + head).ljust(64, b"\0") + commands


def order_input(host, guest, number, commands):
    """Letters are made of the stream's bytes: any will do."""
    letters = bytes((byte * 37 + number * 11 + index * 7) & 0xff
                    for index, byte in enumerate(commands[:160]))
    return bytes([number & 15]).ljust(8, b"\0") + letters


TARGETS = {
    "command": command_input,
    "queue": queue_input,
    "batch": batch_input,
    "plan": plan_input,
    "order": order_input,
}


def slices(data):
    """Some slices of a stream, spread over all of it."""
    width = SLICE * 16
    starts = range(0, len(data), width)
    step = max(1, len(starts) // SLICES)
    return [data[start:start + width] for start in starts[::step]]


def material(corpus):
    """The host's registers, the guest's, and commands."""
    for stream in json.loads((corpus / "streams.json").read_text()):
        idr = [int(register, 16) for register in stream["idr"]]
        data = (corpus / (stream["name"] + ".bin")).read_bytes()
        for part in slices(data):
            yield idr, idr, part
    synthetic = b"".join(struct.pack("<2Q", *dws) for dws in SYNTHETIC)
    for host, guest in PAIRS:
        for _ in SYNTHETIC:
            yield host, guest, synthetic


def make(corpus, folder):
    """Writes FOLDER/TARGET/NUMBER; returns the files of each target."""
    files = {}
    for target, build in TARGETS.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        files[target] = []
        for number, parts in enumerate(material(corpus)):
            path = folder / target / f"{number:03}"
            host, guest, commands = parts
            path.write_bytes(build(host, guest, number, commands))
            files[target].append(path)
    return files


def run(programs, files):
    status = 0
    for target, program in programs:
        print(f"{target}: ", end="", flush=True)
        status |= subprocess.run([program, *files[target]],
                                 check=False).returncode != 0
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=pathlib.Path, help="tests/corpus")
    parser.add_argument("--out", type=pathlib.Path, help="write them here")
    parser.add_argument("--run", action="append", default=[], nargs=2,
                        metavar=("TARGET", "PROGRAM"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or pathlib.Path(temporary)
        return run(arguments.run, make(arguments.corpus, folder))


if __name__ == "__main__":
    sys.exit(main())
