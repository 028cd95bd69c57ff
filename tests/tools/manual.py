#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the manual pages against the headers and the symbol maps.

A header smmuinv/MODULE.h has the page smmuinv_MODULE.3, which documents its
functions, structures, enumerations and macros, and no others:

  - every function of the maps is in the NAME and the SYNOPSIS of exactly one
    page, with the prototype of the header, and is spoken of in DESCRIPTION;
    LIBRARY is that of its map;
  - every structure has a section "struct NAME" with its definition as in the
    header and a list of exactly its fields; every enumeration has one with
    exactly its constants; every macro is mentioned;
  - every errno that the header names stands in ERRORS.

Of every page, that of the overview included, mandoc accepts the format, the
examples compile, and what it refers to exists. The overview refers to all.
"""
import argparse
import collections
import pathlib
import re
import shutil
import subprocess
import sys

SECTIONS = ["NAME", "LIBRARY", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES",
            "EXAMPLES", "ERRORS", "SEE ALSO", "STANDARDS", "HISTORY",
            "CAVEATS"]
OPTIONAL = {"STANDARDS", "CAVEATS"}
# A header that declares no function has a page without these.
OF_FUNCTIONS = {"RETURN VALUES", "ERRORS"}
# Macros of the headers' own making, which no program uses.
INTERNAL = {"SMMUINV_API", "SMMUINV_BEGIN_DECLS", "SMMUINV_END_DECLS"}
COMPILE = ["cc", "-x", "c", "-std=c11", "-Wall", "-Wextra", "-Werror",
           "-fsyntax-only"]

problems = []


def problem(where, what):
    problems.append(f"{where}: {what}")


def same(where, what, page, header):
    for name in sorted(set(page) - set(header)):
        problem(where, f"{what} {name} is not in the header")
    for name in sorted(set(header) - set(page)):
        problem(where, f"{what} {name} is missing")


def normal(c):
    """C text with white space only where two words would grow together."""
    return re.sub(r"\s+(?=\W)|(?<=\W)\s+", "", re.sub(r"\s+", " ", c)).strip()


class Header:
    """What a public header declares."""

    def __init__(self, path):
        text = path.read_text()
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        self.functions = {
            name: normal(f"{result} {name}({arguments})")
            for result, name, arguments in re.findall(
                r"^SMMUINV_API\s+([^;{]*?)\b(smmuinv_\w+)\s*\(([^;]*)\);",
                code, re.MULTILINE)}
        self.structs = {
            name: (normal(f"struct {name} {{{body}}};"), fields_of(body))
            for name, body in re.findall(
                r"^struct (\w+) \{\n(.*?)^\};", code,
                re.MULTILINE | re.DOTALL)}
        self.enums = {
            name: re.findall(r"^\s*(SMMUINV_\w+)", body, re.MULTILINE)
            for name, body in re.findall(
                r"^enum (\w+) \{\n(.*?)^\};", code, re.MULTILINE | re.DOTALL)}
        self.macros = set(re.findall(r"^#define (\w+) ", code,
                                     re.MULTILINE)) - INTERNAL
        self.errors = set(re.findall(r"(?<!\w)-(E[A-Z]{2,})\b", text))


def fields_of(body):
    """The names of a structure's fields, functions included."""
    names = []
    for declaration in re.sub(r"\s+", " ", body).split(";"):
        match = (re.search(r"\(\*(\w+)\)", declaration) or
                 re.search(r"(\w+)\s*(?:\[\w+\])?$", declaration))
        if match:
            names.append(match.group(1))
    return names


def plain(lines):
    """Literal text without mdoc's escapes."""
    text = "\n".join(lines)
    return text.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")


def arguments_of(line):
    """A macro line's arguments, quotes taken off."""
    return [quoted or bare for quoted, bare in
            re.findall(r'"([^"]*)"|(\S+)', line)]


class Section:
    """The lines of a section, its literal blocks, its macros."""

    def __init__(self, lines):
        self.blocks = []
        self.lines = []
        block = None
        for line in lines:
            if line.startswith(".Bd -literal"):
                block = []
            elif line == ".Ed":
                self.blocks.append(plain(block))
                block = None
            elif block is not None:
                block.append(line)
            else:
                self.lines.append(line)

    def macro(self, name, start=""):
        """All arguments of a macro, wherever on a line it stands."""
        found = set()
        for line in self.lines:
            if line.startswith("." + start):
                found.update(re.findall(rf"(?:^\.|\s){name} (\w+)", line))
        return found


def sections_of(lines, macro):
    """A title and a Section for each .Sh or .Ss."""
    found = []
    for line in lines:
        if line.startswith(f".{macro} "):
            found.append((line[len(macro) + 2:], []))
        elif found:
            found[-1][1].append(line)
    return [(title, Section(body)) for title, body in found]


def prototypes_of(section):
    """The functions of a SYNOPSIS: a list of names and prototypes."""
    found = []
    result = name = None
    arguments = []
    for line in section.lines:
        words = arguments_of(line)
        macro, rest = words[0], words[1:]
        if macro == ".Ft":
            result = " ".join(rest)
        elif macro == ".Fo":
            name, arguments = rest[0], []
        elif macro == ".Fa":
            arguments.extend(rest)
        elif macro == ".Fn":
            name, arguments = rest[0], rest[1:]
        if macro in (".Fc", ".Fn"):
            found.append((name, normal(
                f"{result} {name}({', '.join(arguments)})")))
    return found


class Page:
    """A manual page."""

    def __init__(self, path):
        self.path = path
        self.name = path.name
        lines = path.read_text().split("\n")
        self.all = Section(lines)
        self.order = [title for title, _ in sections_of(lines, "Sh")]
        self.sections = collections.defaultdict(
            lambda: Section([]), sections_of(lines, "Sh"))
        description = []
        inside = False
        for line in lines:
            if line.startswith(".Sh "):
                inside = line == ".Sh DESCRIPTION"
            elif inside:
                description.append(line)
        self.subsections = dict(sections_of(description, "Ss"))
        self.names = [word for line in self.sections["NAME"].lines
                      if line.startswith(".Nm ")
                      for word in line.split()[1:] if word != ","]

    def has(self, kind):
        """The structures or enumerations that have a section."""
        return {title.split()[1] for title in self.subsections
                if title.startswith(kind + " ")}


def check_functions(page, header):
    where = page.name
    prototypes = prototypes_of(page.sections["SYNOPSIS"])
    described = page.sections["DESCRIPTION"].macro("Fn")
    stem = page.path.stem
    same(where, "in NAME, function", set(page.names) - {stem},
         set(header.functions) - {stem})
    if page.names[:1] != [stem]:
        problem(where, f"NAME does not begin with {stem}")
    same(where, "in SYNOPSIS, function", [n for n, _ in prototypes],
         header.functions)
    for name, prototype in prototypes:
        wanted = header.functions.get(name)
        if wanted and prototype != wanted:
            problem(where, f"says {prototype}, the header {wanted}")
    for name in set(header.functions) - described:
        problem(where, f"DESCRIPTION does not speak of {name}()")


def check_types(page, header):
    where = page.name
    same(where, "struct", page.has("struct"), header.structs)
    for name, (definition, fields) in header.structs.items():
        section = page.subsections.get(f"struct {name}", Section([]))
        same(where, f"in struct {name}, field", section.macro("Fa", "It"),
             fields)
        if definition not in map(normal, section.blocks):
            problem(where, f"struct {name} is defined in another way")
    same(where, "enum", page.has("enum"), header.enums)
    for name, constants in header.enums.items():
        section = page.subsections.get(f"enum {name}", Section([]))
        same(where, f"in enum {name}, constant", section.macro("Dv", "It"),
             constants)


def check_library(page, exported):
    """@exported: functions, with the library of each."""
    said = " ".join(page.sections["LIBRARY"].lines).split(" ")[0]
    for library in {exported[name] for name in page.names if name in exported}:
        if library != said:
            problem(page.name, f"LIBRARY is {said}, but {library} has it")


def check_module(page, header):
    where = page.name
    titles = [title for title in page.order if title in SECTIONS]
    if titles != page.order or titles != sorted(titles, key=SECTIONS.index):
        problem(where, f"other sections or order: {page.order}")
    optional = OPTIONAL if header.functions else OPTIONAL | OF_FUNCTIONS
    for title in set(SECTIONS) - optional - set(titles):
        problem(where, f"no section {title}")
    module = re.fullmatch(r"smmuinv_(\w+)\.3", where).group(1)
    if f".In smmuinv/{module}.h" not in page.sections["SYNOPSIS"].lines:
        problem(where, f"SYNOPSIS does not include <smmuinv/{module}.h>")
    check_functions(page, header)
    check_types(page, header)
    for name in header.macros - page.all.macro("Dv"):
        problem(where, f"macro {name} is missing")
    for name in header.errors - page.sections["ERRORS"].macro("Er"):
        problem(where, f"ERRORS lacks {name}, which the header names")


def check_references(page, pages, functions, constants):
    """@functions: of all headers, with the page of each."""
    for name in page.all.macro("Xr"):
        if name.startswith("smmuinv") and not any(
                p.path.stem == name for p in pages):
            problem(page.name, f"refers to a page {name}, which is not there")
    for name in page.all.macro("Fn") | set(page.names):
        if name.startswith("smmuinv") and name not in functions and not any(
                p.path.stem == name for p in pages):
            problem(page.name, f"speaks of {name}(), which does not exist")
        elif (home := functions.get(name)) and home != page.name and \
                home[:-2] not in page.all.macro("Xr"):
            problem(page.name, f"speaks of {name}() but not of {home}")
    for name in page.all.macro("Dv"):
        if name.startswith("SMMUINV") and name not in constants:
            problem(page.name, f"speaks of {name}, which does not exist")


def check_format(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning",
                           str(page.path)], capture_output=True, text=True,
                          check=False)
    if done.returncode or done.stdout or done.stderr:
        problem(page.name, "mandoc: " + (done.stdout + done.stderr).strip())


def check_examples(page, include):
    examples = page.sections["EXAMPLES"].blocks
    if not examples:
        problem(page.name, "no example")
    for example in examples:
        done = subprocess.run([*COMPILE, "-I", str(include), "-"],
                              input=example + "\n", capture_output=True,
                              text=True, check=False)
        if done.returncode:
            problem(page.name, f"example does not compile:\n{done.stderr}")


def check_exported(maps, pages, functions):
    """Each function of the maps is on one page, and on no other.

    Returns the functions, with the library of each.
    """
    exported = {}
    for path in maps:
        node, body = re.search(r"(\w+)_[\d.]+ \{\s*global:(.*?)local:",
                               path.read_text(), re.DOTALL).groups()
        exported.update(dict.fromkeys(re.findall(r"\w+", body),
                                      "lib" + node.replace("_", "-")))
    same("the maps", "function", functions, exported)
    homes = collections.Counter(
        name for page in pages for name in
        {n for n, _ in prototypes_of(page.sections["SYNOPSIS"])})
    for name in sorted(exported):
        if homes[name] != 1:
            problem(name, f"is documented on {homes[name]} pages")
    return exported


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--include", type=pathlib.Path, required=True)
    parser.add_argument("--map", type=pathlib.Path, action="append",
                        required=True)
    parser.add_argument("pages", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    if not shutil.which("mandoc"):
        sys.exit("no mandoc, which judges the pages: install the package "
                 "mandoc")
    pages = [Page(path) for path in sorted(arguments.pages)]
    headers = {f"smmuinv_{path.stem}.3": Header(path) for path in
               (arguments.include / "smmuinv").glob("*.h")
               if path.stem != "smmuinv"}
    functions = {name: page for page, header in headers.items()
                 for name in header.functions}
    constants = {name for header in headers.values() for name in
                 header.macros.union(*header.enums.values())}
    same("the pages", "page", [page.name for page in pages],
         [*headers, "smmuinv.7"])
    exported = check_exported(arguments.map, pages, functions)
    for page in pages:
        if page.name in headers:
            check_module(page, headers[page.name])
            check_library(page, exported)
        else:
            same(page.name, "reference to", page.all.macro("Xr") &
                 {p.path.stem for p in pages},
                 [p.path.stem for p in pages if p is not page])
        check_references(page, pages, functions, constants)
        check_format(page)
        check_examples(page, arguments.include)
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(exported)} functions on {len(pages)} pages")


if __name__ == "__main__":
    main()
