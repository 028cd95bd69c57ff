#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds a library's symbols against its map and its headers.

The functions that the headers declare with SMMUINV_API, the names in the
symbol map, and what the shared library exports are the same set, with one
version node and the soname that was asked for. In the static library every
global symbol begins with smmuinv_, so that it cannot collide with a program's
own.
"""
import argparse
import pathlib
import re
import subprocess
import sys


def declared(headers):
    names = set()
    for header in headers:
        text = re.sub(r"/\*.*?\*/", "", pathlib.Path(header).read_text(),
                      flags=re.DOTALL)
        for match in re.finditer(r"^SMMUINV_API\s[^;{]*?\b(smmuinv_\w+)\s*\(",
                                 text, flags=re.MULTILINE):
            names.add(match.group(1))
    return names


def mapped(path):
    body = re.search(r"global:(.*?)local:", path.read_text(), re.DOTALL)
    return set(re.findall(r"\w+", body.group(1)))


def nm(library, *options):
    out = subprocess.run(["nm", *options, library], check=True,
                         capture_output=True, text=True).stdout
    return [line.split() for line in out.splitlines()
            if len(line.split()) == 3]


def exported(library):
    rows = nm(library, "-D", "--defined-only")
    foreign = [name for _, _, name in rows if not name.startswith("smmuinv_")]
    if foreign:
        sys.exit(f"{library} exports {foreign}")
    return {name.split("@")[0] for _, kind, name in rows if kind in "TDBRW"}


def soname(library):
    out = subprocess.run(["objdump", "-p", library], check=True,
                         capture_output=True, text=True).stdout
    return re.search(r"SONAME\s+(\S+)", out).group(1)


def same(what, one, other):
    if one != other:
        sys.exit(f"{what}: only here {sorted(one - other)}, "
                 f"only there {sorted(other - one)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--map", type=pathlib.Path, required=True)
    parser.add_argument("--shared", required=True)
    parser.add_argument("--static", required=True)
    parser.add_argument("--soname", required=True)
    parser.add_argument("headers", nargs="+")
    arguments = parser.parse_args()
    wanted = declared(arguments.headers)
    if not wanted:
        sys.exit("no declaration found")
    same("headers and map", wanted, mapped(arguments.map))
    same("headers and shared library", wanted, exported(arguments.shared))
    if soname(arguments.shared) != arguments.soname:
        sys.exit(f"soname {soname(arguments.shared)}")
    foreign = [name for _, _, name in nm(arguments.static, "-g",
                                         "--defined-only")
               if not name.startswith("smmuinv_")]
    if foreign:
        sys.exit(f"{arguments.static} has the global symbols {foreign}")
    print(f"{len(wanted)} symbols")


if __name__ == "__main__":
    main()
