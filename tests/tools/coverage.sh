#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
set -euo pipefail

usage() {
	cat <<'END'
usage: tests/tools/coverage.sh [BUILD]

Runs the unit tests in a build folder with coverage (default build/coverage), and
demands that they reach every line and every branch of lib/. There is no
exception.
END
}

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
	usage
	exit 0
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:-$root/build/coverage}

[ -f "$build/build.ninja" ] ||
	meson setup --buildtype=debug -Db_coverage=true "$build" "$root" \
		>/dev/null
find "$build" -name '*.gcda' -delete
# What is random or exhaustive reaches everything with few repetitions.
SMMUINV_TEST_SCALE=0.02 meson test -C "$build" --suite unit --print-errorlogs
cd "$build"
gcovr --root "$root" --filter "$root/lib/" --exclude-throw-branches \
	--exclude-unreachable-branches --fail-under-line 100 \
	--fail-under-branch 100 --print-summary .
