#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds what the library said it sent against what QEMU's SMMU executed.

usage: compare-trace.py [--self-test] CONSOLE TRACE

CONSOLE is the machine's console: guest/recorder.h says which lines count. TRACE
is QEMU's, of its SMMU's commands and invalidations. In every window the two must
agree command for command: opcode, every operand that the trace shows, order, and
the CMD_SYNC that the kernel puts after each 63 commands and at a call's end.

With --self-test, the records are spoiled in several ways, and each must be found.

exit status: 0 they agree, 1 they do not, 2 wrong usage or unreadable input
"""

import re
import sys
from collections import namedtuple

# TLBI_NH_ASID with these ASIDs mark a window (guest/recorder.h).
ASID_BEGIN = 0xBE91
ASID_END = 0xE0D1

# The kernel hands commands to the hardware in blocks of so many.
BLOCK = 63

EIO = -5

NAMES = {
    0x05: "CFGI_CD",
    0x06: "CFGI_CD_ALL",
    0x10: "TLBI_NH_ALL",
    0x11: "TLBI_NH_ASID",
    0x12: "TLBI_NH_VA",
    0x13: "TLBI_NH_VAA",
    0x30: "TLBI_NSNH_ALL",
    0x40: "ATC_INV",
}

ADDRESSED = ("TLBI_NH_VA", "TLBI_NH_VAA")

# One executed command: its name, and its operands as a tuple of (name, value).
Command = namedtuple("Command", "name operands")
SYNC = Command("SYNC", ())

# One ioctl: the commands that must have been executed, and those that the kernel
# counted before it refused one. No kernel so far executes the latter; one that
# counts exactly would execute all of them.
Call = namedtuple("Call", "sure counted")

Window = namedtuple("Window", "name calls")


class Disagreement(Exception):
    pass


class Unreadable(Exception):
    pass


def bits(word, high, low):
    return word >> low & (1 << (high - low + 1)) - 1


def command(name, **operands):
    return Command(name, tuple(sorted(operands.items())))


def text(executed):
    if executed is None:
        return "nothing"
    words = [f"{name}={value:#x}" for name, value in executed.operands]
    return " ".join([executed.name] + words)


def decode_address(name, dw0, dw1):
    """TLBI_NH_VA and TLBI_NH_VAA: an address or a range (IHI 0070, 4.4.1.1)."""
    granule = bits(dw1, 11, 10)
    pages = 1
    if granule:
        pages = (bits(dw0, 16, 12) + 1) << min(bits(dw0, 25, 20), 39)
    return command(
        name,
        asid=bits(dw0, 63, 48) if name == "TLBI_NH_VA" else -1,
        addr=dw1 & ~0xFFF,
        tg=granule,
        num_pages=pages,
        ttl=bits(dw1, 9, 8),
        leaf=bits(dw1, 0, 0),
    )


def decode(dw0, dw1, sids):
    """What the hardware has to execute for a command that a VMM sent."""
    name = NAMES.get(bits(dw0, 7, 0))
    if name in ("CFGI_CD", "CFGI_CD_ALL"):
        virtual = bits(dw0, 63, 32)
        if virtual not in sids:
            raise Disagreement(f"{name} was sent for the vSID {virtual:#x}")
        return command(name, sid=sids[virtual])
    if name in ADDRESSED:
        return decode_address(name, dw0, dw1)
    if name == "TLBI_NH_ASID":
        return command(name, asid=bits(dw0, 63, 48))
    if name in ("TLBI_NH_ALL", "TLBI_NSNH_ALL"):
        # The kernel narrows the second to the guest.
        return command("TLBI_NH_ALL")
    raise Disagreement(f"sent: {dw0:016x} {dw1:016x}, which is no command")


class ConsoleReader:
    """The windows of a console."""

    LINES = (
        ("device", r"DEVICE \S+ sid (0x[0-9a-f]+) vsid (0x[0-9a-f]+)"),
        ("begin", r"WINDOW begin (\w+)"),
        ("end", r"WINDOW end"),
        ("call", r"CALL (\d+)"),
        ("sent", r"SENT ([0-9a-f]{16}) ([0-9a-f]{16})"),
        ("result", r"RESULT (-?\d+) (\d+)"),
    )

    def __init__(self):
        self.sids = {}
        self.windows = []
        self.window = None
        self.announced = 0
        self.commands = []

    def read(self, lines):
        for line in lines:
            for name, pattern in self.LINES:
                match = re.fullmatch(pattern, line)
                if match:
                    getattr(self, "on_" + name)(*match.groups())
                    break
        if self.window:
            raise Unreadable(f"the window {self.window.name} does not end")
        return self.windows

    def on_device(self, physical, virtual):
        self.sids[int(virtual, 16)] = int(physical, 16)

    def on_begin(self, name):
        if self.window:
            raise Unreadable(f"{name} begins within {self.window.name}")
        self.window = Window(name, [])

    def on_end(self):
        if not self.window:
            raise Unreadable("a window ends that did not begin")
        self.windows.append(self.window)
        self.window = None

    def on_call(self, count):
        self.announced = int(count)
        self.commands = []

    def on_sent(self, dw0, dw1):
        self.commands.append((int(dw0, 16), int(dw1, 16)))

    def on_result(self, error, count):
        if not self.window or len(self.commands) != self.announced:
            raise Unreadable(
                f"{len(self.commands)} commands stand for a call of {self.announced}"
            )
        error, count = int(error), int(count)
        if error not in (0, EIO) or count > self.announced:
            raise Disagreement(
                f"{self.window.name}: the kernel answered {error} with {count}"
                f" of {self.announced}"
            )
        sure = count if error == 0 else count // BLOCK * BLOCK
        done = [decode(*words, self.sids) for words in self.commands[:count]]
        self.window.calls.append(Call(done[:sure], done[sure:]))


OPCODE = re.compile(r"smmuv3_cmdq_opcode <--- SMMU_CMD_(\w+)")
DETAILS = (
    re.compile(r"(smmuv3_range_inval) (.*) stage=\d+"),
    re.compile(r"(smmuv3_cmdq_tlbi_nh_asid) (asid=\d+)"),
    re.compile(r"(smmuv3_cmdq_cfgi_cd) (sid=0x[0-9a-f]+)"),
    re.compile(r"(smmuv3_cmdq_tlbi_nh) (vmid=\d+)"),
)
VMID = re.compile(r"\bvmid=(-?\d+)")


def operands_of(line):
    for pattern in DETAILS:
        match = pattern.search(line)
        if match:
            pairs = (word.split("=") for word in match.group(2).split())
            return {name: int(value, 0) for name, value in pairs}
    return None


def joined(pieces):
    """QEMU cuts a range into powers of two: one command again.

    Where the address is not aligned to the granule, there are pieces smaller than
    a page, with num_pages=0.
    """
    first, last = pieces[0], pieces[-1]
    shift = 2 * first["tg"] + 10 if first["tg"] else 12
    for one, after in zip(pieces, pieces[1:]):
        gap = (after["addr"] - one["addr"]) % (1 << 64)
        size = one["num_pages"] << shift
        if gap != size and not (size == 0 and gap < 1 << shift):
            raise Disagreement(f"pieces of a range do not meet: {one} {after}")
    length = (last["addr"] - first["addr"]) % (1 << 64)
    length += max(last["num_pages"] << shift, 1)
    return {**first, "num_pages": -(-length >> shift)}


def trace_read(lines):
    """All commands of a trace, each with the VMIDs that it was executed with."""
    commands = []
    name, details, vmids = None, [], set()

    def finish():
        if name is None:
            return
        operands = {}
        if name in ADDRESSED and details:
            operands = joined(details)
        elif details:
            operands = details[0]
        operands.pop("vmid", None)
        commands.append((command(name, **operands), frozenset(vmids)))

    for line in lines:
        match = OPCODE.search(line)
        if match:
            finish()
            name, details, vmids = match.group(1), [], set()
            continue
        vmids.update(int(vmid) for vmid in VMID.findall(line))
        detail = operands_of(line)
        if detail is not None:
            details.append(detail)
    finish()
    return commands


def windows_of_trace(commands):
    """The windows, each with its two marks and the first one's CMD_SYNC."""
    windows, window = [], None
    begin = command("TLBI_NH_ASID", asid=ASID_BEGIN)
    end = command("TLBI_NH_ASID", asid=ASID_END)
    for executed in commands:
        if executed[0] == begin:
            window = []
        if window is not None:
            window.append(executed)
        if executed[0] == end:
            if not window or window[1][0] != SYNC:
                raise Unreadable("trace: a window without a begin")
            windows.append(window)
            window = None
    return windows


def with_syncs(commands):
    out = []
    for start in range(0, len(commands), BLOCK):
        out += commands[start : start + BLOCK] + [SYNC]
    return out


def expected(window, exact):
    """What the hardware has executed if the kernel is the @exact one."""
    out = []
    for call in window.calls:
        out += with_syncs(call.sure + call.counted if exact else call.sure)
    return out


def compare_window(window, executed, exact):
    """Returns how many commands agree, CMD_SYNCs not counted."""
    want = expected(window, exact)
    have = [one for one, _ in executed[2:-1]]
    for i in range(max(len(want), len(have))):
        sent = want[i] if i < len(want) else None
        done = have[i] if i < len(have) else None
        if sent != done:
            raise Disagreement(
                f"{window.name}, command {i}: sent {text(sent)},"
                f" executed {text(done)}"
            )
    # The marks are the guest's too, so that there is one to compare with.
    vmids = set().union(*(ids for _, ids in executed))
    if len(vmids) != 1:
        raise Disagreement(f"{window.name}: executed with the VMIDs {vmids}")
    return sum(one != SYNC for one in have)


def compare_all(windows, executed, exact):
    if not windows or len(windows) != len(executed):
        raise Disagreement(
            f"{len(windows)} windows on the console, {len(executed)} in the trace"
        )
    return sum(
        compare_window(window, done, exact)
        for window, done in zip(windows, executed)
    )


def compare(console, trace):
    """Returns the number of windows, and of the commands that agree in them."""
    windows = ConsoleReader().read(console)
    executed = windows_of_trace(trace_read(trace))
    try:
        return len(windows), compare_all(windows, executed, exact=False)
    except Disagreement:
        if all(not call.counted for one in windows for call in one.calls):
            raise
        try:
            return len(windows), compare_all(windows, executed, exact=True)
        except Disagreement:
            pass
        raise


# Where the records are spoiled: windows in which every command is executed, and
# which are short enough to be read many times.
SPOILED = r"^WINDOW begin \w+_makes_stale_dma_fresh$"

MARK = re.compile(r"smmuv3_cmdq_tlbi_nh_asid asid=(\d+)$")


def console_spans(console):
    """The windows of a console, as spans of its lines."""
    begins = [i for i, line in enumerate(console) if line.startswith("WINDOW begin ")]
    ends = [i for i, line in enumerate(console) if line == "WINDOW end"]
    return list(zip(begins, ends))


def trace_spans(trace):
    marks = [(i, MARK.search(line)) for i, line in enumerate(trace)]
    asids = [(i, int(match.group(1))) for i, match in marks if match]
    begins = [i for i, asid in asids if asid == ASID_BEGIN]
    ends = [i for i, asid in asids if asid == ASID_END]
    return list(zip(begins, ends))


def selected(console, trace):
    """Both records, cut down to the windows that are to be spoiled."""
    keep = [line for line in console if line.startswith("DEVICE ")]
    out = []
    for (a, b), (c, d) in zip(console_spans(console), trace_spans(trace)):
        if re.search(SPOILED, console[a]):
            keep += console[a : b + 1]
            # The line with the mark's opcode is before its operands.
            out += trace[c - 1 : d + 1]
    return keep, out


def places(lines, pattern, number=3):
    """Some of the lines that match: from the begin, the middle and the end."""
    found = [i for i, line in enumerate(lines) if re.search(pattern, line)]
    if not found:
        raise Unreadable(f"nothing to spoil: no line has {pattern}")
    return sorted({found[len(found) * i // number] for i in range(number)})


def changed(lines, i, pattern, replacement):
    line = re.sub(pattern, replacement, lines[i], count=1)
    if line == lines[i]:
        raise Unreadable(f"cannot spoil: {line}")
    return lines[:i] + [line] + lines[i + 1 :]


def spoiled_consoles(console):
    for i in places(console, r"^CALL 1$"):
        yield "a call not recorded", console[:i] + console[i + 3 :]
        yield "a call recorded twice", console[: i + 3] + console[i:]
    for i in places(console, r"^SENT .{14}1[123] "):
        yield "another opcode", changed(console, i, "1. ", "10 ")
    for i in places(console, r"^SENT .{14}1[12] "):
        yield "another ASID", changed(console, i, "SENT .", "SENT 8")
    for i in places(console, r"^SENT .{14}1[23] "):
        yield "another address", changed(console, i, "...$", "fff")
    for i in places(console, r"^SENT .{14}06 ", 1):
        yield "another StreamID", changed(console, i, "SENT .", "SENT 1")
    for i in places(console, r"^RESULT 0 1$"):
        yield "a time-out", changed(console, i, "0 1", "-110 0")
        yield "a refusal", changed(console, i, "0 1", "-5 0")


def spoiled_traces(trace):
    for i in places(trace, r"SMMU_CMD_TLBI_NH_VA$"):
        yield "a command not executed", trace[:i] + trace[i + 2 :]
        yield "a command executed twice", trace[: i + 2] + trace[i:]
        yield "another opcode executed", changed(trace, i, "NH_VA", "NH_VAA")
        for name in ("vmid", "asid", "addr", "num_pages", "tg", "ttl", "leaf"):
            yield f"another {name}", changed(
                trace, i + 1, rf"\b{name}=\S+", f"{name}=0x9"
            )
    for i in places(trace, r"smmuv3_cmdq_cfgi_cd "):
        yield "another sid", changed(trace, i, "0x", "0x1")
    for i in places(trace, r"smmuv3_range_inval .* tg=1"):
        yield "a piece of a range missing", trace[:i] + trace[i + 1 :]
    for i in places(trace, r"SMMU_CMD_SYNC$"):
        yield "a sync missing", trace[:i] + trace[i + 1 :]


def self_test(console, trace):
    """Every spoiled record must be found out. Returns how many there were."""
    console, trace = selected(console, trace)
    compare(console, trace)
    cases = [(what, lines, trace) for what, lines in spoiled_consoles(console)]
    cases += [(what, console, lines) for what, lines in spoiled_traces(trace)]
    for what, *records in cases:
        try:
            compare(*records)
        except (Disagreement, Unreadable):
            continue
        raise Disagreement(f"the comparer did not notice: {what}")
    return len(cases)


def read_lines(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().split("\n")


def main(arguments):
    spoil = arguments[:1] == ["--self-test"]
    paths = arguments[spoil:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    if len(paths) != 2 or paths[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        console, trace = map(read_lines, paths)
        if spoil:
            print(f"{self_test(console, trace)} spoiled records found out")
        else:
            windows, commands = compare(console, trace)
            print(f"{commands} commands agree, in {windows} windows")
    except (OSError, Unreadable) as error:
        print(f"compare-trace: {error}", file=sys.stderr)
        return 2
    except Disagreement as error:
        print(f"compare-trace: they differ: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
