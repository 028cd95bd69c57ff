#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds docs/review-points.md against the tests.

Each test that the list names is in the file that it names, and runs; and each
test of tests/property/review.c is in the list.
"""
import argparse
import pathlib
import re
import sys

NAMED = re.compile(r"`(tests/\w+/\w+\.c)`: `(\w+)`")
ROW = re.compile(r"^\| (?!point \||-)", re.MULTILINE)


def tests_of(path):
    """The tests that a program runs and that it defines."""
    text = path.read_text()
    defined = re.findall(r"\b(\w+)\(void \*\*state\)", text)
    lists = re.findall(r"struct CMUnitTest \w+\[\] = \{(.*?)\};", text,
                       re.DOTALL)
    listed = re.findall(r"\(\s*(\w+)", "".join(lists))
    return set(defined) & set(listed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=pathlib.Path)
    root = parser.parse_args().root
    page = (root / "docs" / "review-points.md").read_text()
    rows = [line for line in page.split("\n") if ROW.match(line)]
    problems = []
    named = set()
    for row in rows:
        point = row.split("|")[1].strip()
        tests = NAMED.findall(row)
        if not tests:
            problems.append(f"'{point}' has no test")
        for file, test in tests:
            named.add((file, test))
            path = root / file
            if not path.is_file() or test not in tests_of(path):
                problems.append(f"'{point}': {file} has no test {test}")
    review = "tests/property/review.c"
    for test in sorted(tests_of(root / review)):
        if (review, test) not in named:
            problems.append(f"{test} of {review} is not in the list")
    if problems or not rows:
        sys.exit("\n".join(problems) or "no points")
    print(f"{len(rows)} points, {len(named)} tests")


if __name__ == "__main__":
    main()
