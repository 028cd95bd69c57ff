#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts instructions by callgrind, and makes docs/performance.md of what was measured.

  bench.py instructions PROGRAM   bench-path under callgrind; ends with 1 if a
                                  target is missed, with 77 without valgrind
  bench.py render RESULTS DOCS    tables and plots from the lines of JSON in the
                                  folder RESULTS; scripts/bench fills it
"""
import argparse
import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

SKIP = 77

# The targets: instructions for a forwarded command and for a call by itself, the
# library's time against memcpy's, how flat the growth is from 2^6 commands on, and
# the kernel's time.
INSTRUCTIONS = {"as-written": 25, "merged": 40}
CALL = 1200
MEMCPY = 8
FLAT, FLAT_FROM = 1.5, 64
GUARD_FROM = 256  # what a regression would be: a call costs something by itself
KERNEL = {"each": 10, "run": 3}
TLBIS_29 = 462

UNMAP, SCATTERED = "unmap-512", "scattered"
NO_RIL = ("09-lk73-both-noril-io", "29-lk73-l2guest-noril")
UNMAPS = 8  # of a made-up stream

STAGES = ("check", "as-written", "merged")
WAYS = {
    "each": "one ioctl for each command",
    "run": "one for each run between CMD_SYNCs",
    "library-to-sync": "library, a call at each CMD_SYNC",
    "library-64": "library, 64 commands a call",
    "library": "library, all in one call",
}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- instructions ----------------------------------------------------------

def dumps(folder):
    """What bench-path dumped: name -> instructions."""
    counted = {}
    for path in folder.glob("dump.*"):
        text = path.read_text()
        name = re.search(r"^desc: Trigger: Client Request: (\S+)$", text, re.M)
        total = re.search(r"^totals: (\d+)$", text, re.M)
        if name and total:
            counted[name[1]] = int(total[1])
    return counted


def count_instructions(program, corpus):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        command = ["valgrind", "--tool=callgrind", "--collect-atstart=no",
                   f"--callgrind-out-file={folder}/dump", program, "--json",
                   *(["--corpus", corpus] if corpus else []), "stages", "growth"]
        done = subprocess.run(command, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stderr[-2000:]}")
        counted = dumps(folder)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        name = "{bench}/{stream}/{stage}/{consumed}".format(**row)
        if name not in counted:
            sys.exit(f"{name} was not counted: valgrind/callgrind.h was "
                     "missing when the program was built")
        row["instructions"] = counted[name]
        del row["ns"]
    return rows


def each_forwarded(row):
    return row["instructions"] / row["forwarded"]


def each_consumed(row, what="instructions"):
    return row[what] / row["consumed"]


def select(rows, **wanted):
    return [row for row in rows
            if all(row.get(key) == value for key, value in wanted.items())]


def one(rows, **wanted):
    return select(rows, **wanted)[0]


def flatness(rows, stream, stage, what="instructions", start=FLAT_FROM):
    """The dearest command of all sizes against the cheapest."""
    costs = [each_consumed(row, what)
             for row in select(rows, bench="growth", stream=stream, stage=stage)
             if row["consumed"] >= start]
    return max(costs) / min(costs)


def call_by_itself(rows, stage):
    """A call with one command, without what the command costs among many, and
    without what measuring costs: that of copying one.
    """
    single = {"bench": "growth", "stream": UNMAP, "consumed": 1}
    return (one(rows, stage=stage, **single)["instructions"] -
            one(rows, stage="memcpy", **single)["instructions"] -
            each_forwarded(one(rows, bench="stages", stream=UNMAP, stage=stage)))


def guards(rows):
    """What a change must not take back: (target, measured, met)"""
    for stage, most in INSTRUCTIONS.items():
        row = one(rows, bench="stages", stream=UNMAP, stage=stage)
        yield (f"at most {most} instructions for a forwarded command, {stage}, "
               f"{UNMAP}", f"{each_forwarded(row):.1f}",
               each_forwarded(row) <= most)
        cost = call_by_itself(rows, stage)
        yield (f"at most {CALL} instructions for a call by itself, {stage}",
               f"{cost:.0f}", cost <= CALL)
    for stream in (UNMAP, SCATTERED):
        for stage in INSTRUCTIONS:
            flat = flatness(rows, stream, stage, start=GUARD_FROM)
            yield (f"instructions for a command flat within {FLAT} from "
                   f"{GUARD_FROM} to 2^19, {stage}, {stream}", f"{flat:.2f}",
                   flat <= FLAT)


def instruction_targets(rows):
    """(target, measured, met)"""
    yield from guards(rows)
    for stream in (UNMAP, SCATTERED):
        for stage in INSTRUCTIONS:
            flat = flatness(rows, stream, stage)
            yield (f"instructions for a command flat within {FLAT} from 2^6 to "
                   f"2^19, {stage}, {stream}", f"{flat:.2f}", flat <= FLAT)


def instructions(arguments):
    if not shutil.which("valgrind"):
        print("skipped: no valgrind", file=sys.stderr)
        return SKIP
    print("counting instructions", file=sys.stderr)
    rows = count_instructions(arguments.program, arguments.corpus)
    if arguments.json:
        for row in rows:
            print(json.dumps(row))
        return 0
    print(f"{'part':8} {'stream':26} {'stage':11} {'consumed':>9} "
          f"{'forwarded':>9} {'instructions':>12} {'/consumed':>9} "
          f"{'/forwarded':>10}")
    for row in rows:
        forwarded = f"{each_forwarded(row):10.1f}" if row["forwarded"] else ""
        print(f"{row['bench']:8} {row['stream']:26} {row['stage']:11} "
              f"{row['consumed']:9} {row['forwarded']:9} "
              f"{row['instructions']:12} {each_consumed(row):9.1f} {forwarded}")
    for target, measured, met in instruction_targets(rows):
        print(f"{'met' if met else 'MISSED'}: {target}: {measured}")
    return 0 if all(met for _, _, met in guards(rows)) else 1


# --- plots -----------------------------------------------------------------

def gnuplot(path, settings, plots):
    """@plots: (title, style, [(x, y)]); x may be a label."""
    blocks, items = [], []
    for number, (title, style, points) in enumerate(plots):
        data = "\n".join(f'"{x}" {y}' if isinstance(x, str) else f"{x} {y}"
                         for x, y in points)
        using = "2:xtic(1)" if isinstance(points[0][0], str) else "1:2"
        blocks.append(f"$data{number} << END\n{data}\nEND")
        items.append(f"$data{number} using {using} with {style} title '{title}'")
    script = "\n".join([
        "set terminal svg size 880,440 background 'white' font 'sans,13'",
        f"set output '{path}'", "set grid ytics",
        "set key outside top horizontal reverse Left noenhanced",
        *settings, *blocks,
        "plot " + ", \\\n".join(items)]) + "\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


HISTOGRAM = ["set style data histogram", "set style histogram cluster gap 1",
             "set style fill solid 0.8 border -1", "set boxwidth 0.9",
             "set xtics noenhanced"]
LOG_LOG = ["set logscale x 2", "set logscale y 10", "set format x '2^{%L}'",
           "set xlabel 'commands in one call'"]


def short(stream):
    """"09-lk73-both-noril-io" is "09"."""
    return stream.split("-")[0] if stream[0].isdigit() else stream


def plot_instructions(results, folder):
    rows = select(results["instructions"], bench="stages")
    gnuplot(folder / "instructions.svg",
            [*HISTOGRAM, "set ylabel 'instructions for a consumed command'",
             "set yrange [0:*]"],
            [(stage, "histogram",
              [(short(row["stream"]), each_consumed(row))
               for row in select(rows, stage=stage)]) for stage in STAGES])


def plot_growth(results, folder):
    for name, rows, what, label, stages in (
            ("growth-instructions", results["instructions"], "instructions",
             "instructions for a command", ("as-written", "merged")),
            ("growth-time", results["path"], "ns", "ns for a command",
             ("as-written", "merged", "memcpy"))):
        gnuplot(folder / f"{name}.svg", [*LOG_LOG, f"set ylabel '{label}'"],
                [(f"{stage}, {stream}", "linespoints pointsize 0.5",
                  [(row["consumed"], each_consumed(row, what))
                   for row in select(rows, bench="growth", stream=stream,
                                     stage=stage)])
                 for stream in (UNMAP, SCATTERED) for stage in stages
                 if (stage, stream) != ("memcpy", SCATTERED)])


def plot_latency(results, folder):
    rows = select(results["path"], bench="latency", window=4096)
    gnuplot(folder / "latency.svg",
            [*LOG_LOG, "set xlabel 'smmuinv\\_ring.max\\_commands'",
             "set ylabel 'longest call, us'"],
            [(stream, "linespoints pointsize 0.5",
              [(row["bound"], row["longest_ns"] / 1e3)
               for row in select(rows, stream=stream)])
             for stream in dict.fromkeys(row["stream"] for row in rows)])


def streams_of(rows):
    return list(dict.fromkeys(row["stream"] for row in rows
                              if row["bench"] == "ways"))


def plot_ways(results, folder):
    rows = results["machine"]
    plots = []
    for way, title in list(WAYS.items())[1:]:
        points = []
        for stream in streams_of(rows):
            each = one(rows, stream=stream, way="each")["host_ns"]
            mine = one(rows, stream=stream, way=way)["host_ns"]
            points.append((short(stream), each / mine))
        plots.append((title, "histogram", points))
    gnuplot(folder / "ways.svg",
            [*HISTOGRAM, "set logscale y 10", "set yrange [0.5:*]",
             "set ylabel 'times less in the kernel than one by one'"], plots)


def plot_pages(results, folder):
    rows = results["machine"]
    pages = [(row["count"], row["ns"] / 1e3) for row in select(rows, bench="pages")]
    everything = one(rows, bench="all")["ns"] / 1e3
    gnuplot(folder / "pages.svg",
            [*LOG_LOG, "set ylabel 'us in the kernel, emulated'"],
            [("so many TLBI_NH_VA", "linespoints pointsize 0.5", pages),
             ("one TLBI_NH_ALL", "lines",
              [(count, everything) for count, _ in pages])])


# --- docs/performance.md ---------------------------------------------------

def table(head, rows):
    out = ["| " + " | ".join(head) + " |",
           "|" + "|".join("---" if i == 0 else "--:"
                          for i in range(len(head))) + "|"]
    out += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(out)


def number(value):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def kernel_ratio(results, streams, way, base):
    rows = results["machine"]

    def time(name):
        return sum(one(rows, stream=stream, way=name)["host_ns"]
                   for stream in streams)
    return time(base) / time(way)


def memcpy_ratio(rows, **wanted):
    return (one(rows, stage="merged", **wanted)["ns"] /
            one(rows, stage="memcpy", **wanted)["ns"])


def targets(results):
    yield from instruction_targets(results["instructions"])
    for stream in (SCATTERED, *NO_RIL):
        for stage, most in INSTRUCTIONS.items():
            cost = each_forwarded(one(results["instructions"], bench="stages",
                                      stream=stream, stage=stage))
            yield (f"at most {most} instructions for a forwarded command, "
                   f"{stage}, {stream}", f"{cost:.1f}", cost <= most)
    for stage in INSTRUCTIONS:
        flat = flatness(results["path"], UNMAP, stage, "ns")
        yield (f"time for a command flat within {FLAT} from 2^6 to 2^19, "
               f"{stage}, {UNMAP}", f"{flat:.2f}", flat <= FLAT)
    for stream in (UNMAP, SCATTERED, *NO_RIL):
        ratio = memcpy_ratio(results["path"], bench="stages", stream=stream)
        yield (f"at most {MEMCPY} times memcpy of the same ring in cache, {stream}",
               f"{ratio:.1f}", ratio <= MEMCPY)
    ratio = memcpy_ratio(results["path"], bench="growth", stream=UNMAP,
                         consumed=512)
    yield (f"the same, {UNMAP}, 512 commands only, so that the copy stays in "
           "the first-level cache", f"{ratio:.1f}", ratio <= MEMCPY)
    to_sync = one(results["ways"], stream=UNMAP, way="library-to-sync")
    yield ("512-page unmap: 1 host command and 1 ioctl",
           f"{to_sync['commands'] / UNMAPS:g} and {to_sync['ioctls'] / UNMAPS:g}",
           to_sync["commands"] == to_sync["ioctls"] == UNMAPS)
    to_sync = one(results["ways"], stream=SCATTERED, way="library-to-sync")
    yield ("512 scattered pages: 1 ioctl", f"{to_sync['ioctls'] / UNMAPS:g}",
           to_sync["ioctls"] == UNMAPS)
    # Its one TLBI_NSNH_ALL is not among the 4554.
    tlbis = {way: one(results["ways"], stream=NO_RIL[1], way=way)["tlbis"] - 1
             for way in ("library-to-sync", "library")}
    yield (f"stream 29: at most {TLBIS_29} host TLBI commands for its 4554",
           f"{tlbis['library-to-sync']}, a call at each CMD_SYNC; "
           f"{tlbis['library']} in one call",
           tlbis["library-to-sync"] <= TLBIS_29)
    for base, least in KERNEL.items():
        for way in ("library", "library-64", "library-to-sync"):
            ratio = kernel_ratio(results, NO_RIL, way, base)
            yield (f"streams 09 and 29 at least {least} times less in the kernel "
                   f"than {WAYS[base]}; {WAYS[way]}", f"{ratio:.1f}",
                   ratio >= least)


def targets_table(results):
    return table(("target", "measured", ""),
                 [(target, measured, "met" if met else "**missed**")
                  for target, measured, met in targets(results)])


def ways_table(rows):
    out = []
    for stream in streams_of(rows):
        each = one(rows, stream=stream, way="each")
        run = one(rows, stream=stream, way="run")
        for way, title in WAYS.items():
            row = one(rows, stream=stream, way=way)
            out.append((short(stream) if way == "each" else "", title,
                        f"{row['commands']:,}", f"{row['ioctls']:,}",
                        f"{row['syncs']:,}", number(row["host_ns"] / 1e3),
                        number(row["longest_ns"] / 1e3),
                        number(each["host_ns"] / row["host_ns"]),
                        number(run["host_ns"] / row["host_ns"])))
    return table(("stream", "way", "host commands", "ioctls", "host syncs",
                  "us in the kernel", "longest call, us", "times less than each",
                  "than run"), out)


def counts_table(rows, streams):
    return table(
        ("stream", "forwarded", *WAYS.values()),
        [(stream, f"{one(rows, stream=stream, way='each')['forwarded']:,}",
          *(f"{row['commands']:,} in {row['ioctls']:,}" for row in
            (one(rows, stream=stream, way=way) for way in WAYS)))
         for stream in streams])


def stages_table(results):
    out = []
    for stream in dict.fromkeys(row["stream"] for row in
                                select(results["path"], bench="stages")):
        wanted = {"bench": "stages", "stream": stream}
        counted = [one(results["instructions"], stage=stage, **wanted)
                   for stage in STAGES]
        timed = [one(results["path"], stage=stage, **wanted)
                 for stage in (*STAGES, "memcpy")]
        out.append((stream, f"{timed[0]['consumed']:,}",
                    f"{timed[0]['forwarded']:,}",
                    *(f"{each_consumed(row):.1f} / {each_forwarded(row):.1f}"
                      for row in counted),
                    *(f"{each_consumed(row, 'ns'):.1f}" for row in timed)))
    return table(("stream", "commands", "forwarded", *STAGES,
                  *(f"{stage}, ns" for stage in (*STAGES, "memcpy"))), out)


def growth_table(results):
    out = []
    for log2 in range(0, 20):
        row = [f"2^{log2}"]
        for stream in (UNMAP, SCATTERED):
            for stage in ("as-written", "merged"):
                wanted = {"bench": "growth", "stream": stream, "stage": stage,
                          "consumed": 1 << log2}
                row.append(f"{each_consumed(one(results['instructions'], **wanted)):.1f}")
                row.append(f"{each_consumed(one(results['path'], **wanted), 'ns'):.1f}")
        out.append(row)
    return table(("commands", *(f"{stream}, {stage}, {unit}"
                                for stream in (UNMAP, SCATTERED)
                                for stage in ("as-written", "merged")
                                for unit in ("instructions", "ns"))), out)


def latency_table(results):
    return table(
        ("stream", "window", "max_commands", "calls", "longest call, us"),
        [(row["stream"], row["window"], f"{row['bound']:,}",
          f"{row['calls']:,}", number(row["longest_ns"] / 1e3))
         for row in select(results["path"], bench="latency")])


def lookups(trace):
    """(address, hit, table reads) of the device's translations."""
    now = None
    for line in trace.read_text().splitlines():
        seen = re.search(r":smmu_iotlb_lookup_(hit|miss) .*asid=(\d+) .*"
                         r"addr=(0x[0-9a-f]+)", line)
        if seen:
            now = [int(seen[3], 16), seen[1] == "hit", 0]
        elif ":smmu_get_pte" in line and now:
            now[2] += 1
        elif ":smmuv3_translate_success" in line and now:
            yield tuple(now)
            now = None


def refills(results):
    """(after what, pages in use, of them still cached, table reads for each)"""
    for row in select(results["machine"], bench="refill"):
        pages = row["pages"]
        end = row["va"] + pages * 4096
        mine = [look for look in results["trace"] if row["va"] <= look[0] < end]
        # The first look at each page is before the invalidation.
        again = mine[pages:]
        yield (row["after"], pages, sum(look[1] for look in again),
               sum(look[2] for look in again) / pages)


def refill_table(results):
    what = {"pages": "4096 TLBI_NH_VA of other pages",
            "all": "one TLBI_NH_ALL"}
    return table(("after", "pages still cached", "table reads for each page"),
                 [(what[after], f"{cached} of {pages}", f"{reads:g}")
                  for after, pages, cached, reads in refills(results)])


def pages_table(results):
    rows = results["machine"]
    everything = one(rows, bench="all")["ns"]
    return table(
        ("pages", "us", "times one TLBI_NH_ALL"),
        [(f"{row['count']:,}", number(row["ns"] / 1e3),
          f"{row['ns'] / everything:.1f}")
         for row in select(rows, bench="pages")] +
        [("all", number(everything / 1e3), "1")])


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def version(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0] if done.stdout else "unknown"


def plain_streams(results):
    """Those that the machine's SMMU cannot take."""
    measured = streams_of(results["machine"])
    return [stream for stream in streams_of(results["ways"])
            if stream not in measured]


DOCUMENT = """\
<!-- Made by scripts/bench; do not edit. The text is in tests/bench/bench.py. -->
# Performance

    scripts/bench                 # measures everything below and writes this file
    scripts/bench --no-machine    # without the real kernel, and prints only

Times are of one machine ({processor}; {compiler}, buildtype=release) and are here as ratios; instructions and counts are the
same on every x86-64 with the same compiler. The real kernel is Linux {kernel} in QEMU {emulator}, software emulation: what it takes is
comparable within one run, and not with hardware.

A guest waits for its CMD_SYNC as a rule: the streams of the corpus were written with {doorbells}. A VMM that consumes
the queue at each doorbell, with one virtual CPU at work, gets no more than one run between CMD_SYNCs to plan. It gets more when CPUs
meet, and when it was busy with the call before. So the library is measured with a call at each CMD_SYNC (the least it can get), with
64 commands a call, and with everything in one call.

## Targets

{targets}

{missed}

## What reaches the kernel

![Time in the kernel](performance/ways.svg)

On the real kernel, the time in its ioctl; "host syncs" are the kernel's own, one for each 63 commands of a call. Each guest is shown one granule, its own: one that is
shown several keeps its pages, in one ioctl. The longest call is the library's with all that it does, and the ioctl's where there is no library; the library too runs emulated here.
Differences of a tenth are the emulator's.

    tests/machine/run.sh --bench machine.json

{ways}

"{unmap}" is {unmaps} unmaps of 512 pages, "{scattered}" the same with scattered pages. The emulated SMMU has neither ATS nor SubstreamIDs; of
streams with them only the counts, on the mock:

    build/bench/tests/bench/bench-ways {plain}

{counts}

## What the library takes

![Instructions](performance/instructions.svg)

With a host that takes no time. "check" is the legality of each command alone, "as-written" the queue with SMMUINV_PLAN_AS_WRITTEN,
"merged" the queue with SMMUINV_PLAN_MERGED; "memcpy" copies the same commands. A CMD_SYNC is consumed and not forwarded: its cost is in the
figures for a forwarded command. Instructions are for a consumed / for a forwarded command, times for a consumed one.

    tests/bench/bench.py instructions build/bench/tests/bench/bench-path
    build/bench/tests/bench/bench-path stages

{stages}

## Growth

![Instructions by size](performance/growth-instructions.svg)
![Time by size](performance/growth-time.svg)

One call with so many commands; for a command:

    tests/bench/bench.py instructions build/bench/tests/bench/bench-path
    build/bench/tests/bench/bench-path growth

{growth}

## Latency

![The longest call](performance/latency.svg)

The longest of the calls that a stream takes, when each may consume `max_commands`; of each call, the shortest of several times. "{scattered}"
is the dearest there is: nothing to merge, everything to sort.

    build/bench/tests/bench/bench-path latency

{latency}

## Pages or everything: pages_max

![Pages or everything](performance/pages.svg)

A guest with ranges on a host without: a range becomes pages, and beyond `pages_max` pages of one window, one TLBI_NH_ALL. In the
kernel, in one call:

    tests/machine/run.sh --bench machine.json

{pages}

What the device pays after it, from QEMU's trace of its SMMU; {in_use} pages were in use, each by one DMA before and one after:

{refill}

So a TLBI_NH_ALL costs what one page costs, and every page in use {reads} table reads with the next DMA (two stages, the tables of the upper
stage cached). With pages, nothing that is in use is lost. The break-even is where

    pages x (cost of a TLBI_NH_VA)  =  entries in use x (cost of a walk)

In this emulator a page costs {page_ns:.0f} ns in the kernel, {default} of them {default_us:.0f} us: as much as {walks:.0f} walks of 1 us. **What emulation cannot tell** is
the cost of a walk and of a TLBI on hardware, and how many entries a real TLB holds; it can tell that both sides are linear, and what
each is made of. The default, {default}, is where Linux itself gives up pages on an SMMU without ranges (CMDQ_MAX_TLBI_OPS, 512 with
4K pages), because a longer row of TLBIs kept a CPU busy too long. It bounds the host's time: no window of
a guest's makes more than {default} page commands out of ranges. A VMM that knows its SMMU sets another.
"""


def fill(text):
    """Paragraphs as wide as those of the other documents."""
    return "\n\n".join(
        part if re.match(r"[|#!<]|    ", part) else textwrap.fill(
            part, 100, break_long_words=False, break_on_hyphens=False)
        for part in text.strip().split("\n\n")) + "\n"


def missed_text(results):
    missed = [target for target, _, met in targets(results) if not met]
    if not missed:
        return "All are met."
    return MISSED


MISSED = """\
Why some are missed. Two by nature: with a call at each CMD_SYNC there are as many ioctls as there are runs, whoever makes them, and an ioctl costs
what {fixed:.0f} further commands in it cost. Stream 09 has {per_run:.1f} commands in a run. All that is left to save there is commands. And a stream in which every
second command is a CMD_SYNC pays for each of them its order, its place and its callback, which the figures for a forwarded command
include. As written, a call ends at each CMD_SYNC, so it also pays for the call. The others are by choice. A call costs {call:.0f} instructions by itself,
of which one with 64 commands carries a 64th for each; that is a fortieth of its ioctl. Scattered pages take {sorting:.0f} instructions more than as they
were written: a quarter for the sort, and the rest for taking each apart, looking for its like and for its neighbours, and finding none,
which is a quarter of what the kernel takes for it. Only the plan finds out that they are scattered."""


def instruction_facts(rows):
    def cost(**wanted):
        return each_forwarded(one(rows, **wanted))
    return {
        "sorting": cost(bench="stages", stream=SCATTERED, stage="merged") -
                   cost(bench="stages", stream=SCATTERED, stage="as-written"),
        "call": call_by_itself(rows, "merged"),
    }


def fixed_cost(rows):
    """What a call costs, in page commands."""
    pages = {row["count"]: row["ns"] for row in select(rows, bench="pages")}
    slope = (pages[4096] - pages[64]) / (4096 - 64)
    return pages[1] / slope, slope


def render(arguments):
    folder = arguments.results
    results = {name: lines(folder / f"{name}.json")
               for name in ("path", "ways", "instructions", "machine")}
    results["trace"] = list(lookups(folder / "machine.json.trace"))
    plots = arguments.docs / "performance"
    plots.mkdir(parents=True, exist_ok=True)
    for plot in (plot_instructions, plot_growth, plot_latency, plot_ways,
                 plot_pages):
        plot(results, plots)
    machine = one(results["machine"], bench="machine")
    fixed, slope = fixed_cost(results["machine"])
    run_09 = one(results["machine"], stream=NO_RIL[0], way="run")
    _, in_use, _, reads = list(refills(results))[-1]
    default = 512  # PLAN_PAGES_MAX_DEFAULT
    text = DOCUMENT.format(
        processor=processor(), compiler=version("cc", "--version"),
        kernel=machine["kernel"], emulator=machine["emulator"],
        doorbells="one doorbell for each, by the traces of their capture",
        targets=targets_table(results),
        missed=missed_text(results).format(
            fixed=fixed, per_run=run_09["commands"] / run_09["ioctls"],
            **instruction_facts(results["instructions"])),
        ways=ways_table(results["machine"]), unmap=UNMAP, scattered=SCATTERED,
        unmaps=UNMAPS, plain=" ".join(plain_streams(results)),
        counts=counts_table(results["ways"], plain_streams(results)),
        stages=stages_table(results), growth=growth_table(results),
        latency=latency_table(results), pages=pages_table(results),
        refill=refill_table(results),
        in_use=in_use, reads=f"{reads:g}", page_ns=slope, default=default,
        default_us=slope * default / 1e3, walks=slope * default / 1e3)
    (arguments.docs / "performance.md").write_text(fill(text))
    for target, measured, met in targets(results):
        print(f"{'met' if met else 'MISSED'}: {target}: {measured}")
    return 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    counting = commands.add_parser("instructions", help="by callgrind")
    counting.add_argument("program", help="bench-path")
    counting.add_argument("--corpus", help="where tests/corpus is")
    counting.add_argument("--json", action="store_true",
                          help="a line of JSON for each; no verdict")
    rendering = commands.add_parser("render", help="docs/performance.md")
    rendering.add_argument("results", type=pathlib.Path)
    rendering.add_argument("docs", type=pathlib.Path)
    arguments = parser.parse_args()
    return {"instructions": instructions, "render": render}[arguments.command](
        arguments)


if __name__ == "__main__":
    sys.exit(main())
