#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compiles each public header by itself, as C11 and as C++17, twice included.

No warning is accepted, not even of padding in a structure, and nothing but the
standard C headers may be needed: each header is also searched for other
includes.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys

STANDARD = {"stdbool.h", "stddef.h", "stdint.h"}
LANGUAGES = (("cc", "c", "-std=c11"), ("c++", "c++", "-std=c++17"))


def compile_alone(compiler, language, standard, include, name):
    source = f"#include <smmuinv/{name}>\n#include <smmuinv/{name}>\n"
    command = [compiler, "-x", language, standard, "-Wall", "-Wextra",
               "-Wpedantic", "-Wconversion", "-Wundef", "-Wpadded", "-Werror",
               "-fsyntax-only", "-I", str(include), "-"]
    done = subprocess.run(command, input=source, text=True, check=False,
                          capture_output=True)
    if done.returncode:
        sys.exit(f"{name} as {standard}:\n{done.stderr}")


def check_includes(header):
    for name in re.findall(r"#include <([^>]+)>", header.read_text()):
        if name not in STANDARD and not name.startswith("smmuinv/"):
            sys.exit(f"{header.name} includes <{name}>")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("include", type=pathlib.Path)
    arguments = parser.parse_args()
    headers = sorted((arguments.include / "smmuinv").glob("*.h"))
    if not headers:
        sys.exit("no headers")
    for header in headers:
        check_includes(header)
        for compiler, language, standard in LANGUAGES:
            if not shutil.which(compiler):
                sys.exit(f"no {compiler}")
            compile_alone(compiler, language, standard, arguments.include,
                          header.name)
    print(f"{len(headers)} headers as C11 and C++17")


if __name__ == "__main__":
    main()
