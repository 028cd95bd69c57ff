#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints what the project's size is held to, and what it is.

 - public functions of the library, and public headers, the mock's included
 - lines of lib/ without the mock, comments and empty lines included
 - lines that a VMM adds: the marked parts of examples/*.c that are not empty
 - distinct functions that one TLBI_NH_VA and its CMD_SYNC run through, and how
   deep they call each other: counted by -finstrument-functions, inline
   functions of lib/ included

Instructions are measured by scripts/bench. Exits with 1 if a target is missed.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

MOCK = {"mock.h", "caches.h"}

# The marked part of an example, and its target.
PARTS = {
    ("batch.c", "qemu"): 30,
    ("batch.c", "openvmm"): 40,
    ("batch.c", "setup"): None,
    ("check.c", "check"): None,
    ("queue.c", "setup"): None,
    ("queue.c", "callbacks"): None,
    ("queue.c", "doorbell"): None,
}


def headers(root):
    return sorted((root / "include/smmuinv").glob("*.h"))


def functions(header):
    """What is declared there as public."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    text = re.sub(r"^#.*$", "", text, flags=re.M)
    return re.findall(r"\bSMMUINV_API\b[^;(]*?\b(smmuinv_\w+)\s*\(", text)


def lines_of(folder):
    return sum(len(source.read_text().splitlines())
               for source in folder.rglob("*")
               if source.suffix in (".c", ".h")
               and "mock" not in source.relative_to(folder).parts)


def part(source, name):
    """The lines between "8< NAME" and ">8" that are not empty."""
    match = re.search(rf"^/\* 8< {name}\b.*?\*/\n(.*?)^/\* >8 \*/$",
                      source.read_text(), flags=re.S | re.M)
    if not match:
        sys.exit(f"{source}: no part {name}")
    return sum(bool(line.strip()) for line in match[1].splitlines())


def path(root):
    """Functions, and depth, of path.c's one window."""
    sources = [*(root / "lib").glob("*.c"), *(root / "lib/plan").glob("*.c"),
               root / "tests/tools/path.c"]
    with tempfile.TemporaryDirectory() as work:
        program = pathlib.Path(work) / "path"
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-g", "-no-pie",
                        "-finstrument-functions",
                        "-finstrument-functions-exclude-file-list=/usr",
                        "-I", root / "include",
                        *sources, "-pthread", "-o", program], check=True)
        output = subprocess.run([program], check=True, text=True,
                                stdout=subprocess.PIPE).stdout.split()
        names = subprocess.run(["addr2line", "-f", "-e", program, *output[2:]],
                               check=True, text=True, stdout=subprocess.PIPE
                               ).stdout.splitlines()
    # A name, then its place. An inline function is one, wherever it stands.
    ours = {name for name, place in zip(names[::2], names[1::2])
            if "/lib/" in place}
    return len(ours), int(output[1])


def rows(root):
    public = [name for header in headers(root) if header.name not in MOCK
              for name in functions(header)]
    yield "public functions of the library", len(set(public)), 55
    yield "public headers", len(headers(root)), 13
    yield "lines of lib/ without the mock", lines_of(root / "lib"), 6000
    count, depth = path(root)
    yield "functions for a TLBI_NH_VA and its CMD_SYNC", count, 60
    yield "depth of their calls", depth, 10
    for (source, name), target in PARTS.items():
        yield (f"lines of examples/{source}, {name}",
               part(root / "examples" / source, name), target)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("root", type=pathlib.Path, nargs="?",
                        default=pathlib.Path(__file__).parents[2])
    missed = 0
    for what, value, target in rows(parser.parse_args().root):
        over = target is not None and value > target
        missed += over
        limit = "" if target is None else f"  at most {target}"
        print(f"{what:44}{value:6}{limit}{'  MISSED' if over else ''}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
