#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=SCRIPTDIR/../../scripts/lib.sh
. "$root/scripts/lib.sh"

usage() {
	cat <<'END'
usage: tests/fuzz/run.sh [--seconds N] [--seed N] [TARGET...]

Installs what is missing, builds the fuzz targets with clang under libFuzzer,
AddressSanitizer and UBSan in build/fuzz, makes their seeds from the streams in
tests/corpus, and runs each target, two at a time:

  command  one command, any two SMMUs
  queue    a whole queue: registers, memory that changes, callbacks, streams that
           come and go, devices that do not answer, two SMMUs that fail
  batch    added and submitted commands, likewise
  plan     one window of commands: what the host is asked for instead
  order    long windows: no stale entry is made again from another

Without --seconds each tries a fixed number of inputs, at most two minutes', and
with the same compiler always the same ones: what passes on one machine passes on
another. With --seconds each runs for so long, is also led by the values that the
code compares, which no two runs have alike, and starts from what earlier runs
have found out (build/fuzz/corpus): this is how to look for what is new.
--seed tries other inputs (default 1; 0 for others each time).

An input that fails is kept in build/fuzz/found; build/native/tests/fuzz/
replay-TARGET FILE runs it without libFuzzer.

exit status: 0 nothing was found; 1 something was, or the build failed; 77 this
host lacks the means
END
}

packages=(
	clang libclang-rt-dev libc6-dev binutils meson ninja-build pkg-config
	libcmocka-dev python3
)
all_targets=(queue batch order plan command)
build=$root/build/fuzz
seconds=
seed=1
targets=() failed=0

# Without --seconds: so many inputs.
declare -A inputs=(
	[command]=1000000 [queue]=60000 [batch]=80000 [plan]=150000
	[order]=60000
)

# An input is a head and at most this many bytes of commands: fuzz-queue.c.
INPUT_MAX=4300

while [ $# -gt 0 ]; do
	case "$1" in
	-h | --help)
		usage
		exit 0
		;;
	--seconds)
		[[ ${2-} =~ ^[1-9][0-9]*$ ]] || die "--seconds needs a number"
		seconds=$2
		shift
		;;
	--seed)
		[[ ${2-} =~ ^[0-9]+$ ]] || die "--seed needs a number"
		seed=$2
		shift
		;;
	-*) die "unknown argument $1 (see --help)" ;;
	*)
		[ -f "$here/fuzz-$1.c" ] || die "unknown target $1 (see --help)"
		targets+=("$1")
		;;
	esac
	shift
done
[ ${#targets[@]} -gt 0 ] || targets=("${all_targets[@]}")

build_targets() {
	[ -f "$build/build.ninja" ] ||
		CC=clang quietly meson setup -Dfuzz=true -Db_lundef=false \
			-Db_sanitize=address,undefined "$build" "$root" ||
		return 1
	quietly ninja -C "$build" "${targets[@]/#/tests/fuzz/fuzz-}"
}

# figures LOG: libFuzzer's own, in words.
figures() {
	awk '/^stat::number_of_executed_units/ { executions = $2 }
		$2 == "DONE" { edges = $4; features = $6 }
		END { printf "%d executions, %d edges, %d features\n",
			executions, edges, features }' "$1"
}

# fuzz TARGET: its output goes to a log, of which a failure shows the end. What
# came of it is in a file.
fuzz() {
	local target=$1 log=$build/$1.log corpus=$build/corpus/$1
	local started=$SECONDS bounds=(-max_total_time="$seconds")
	if [ -z "$seconds" ]; then
		corpus=$build/fixed/$target
		rm -rf "$corpus"
		# Values that are compared are addresses, too, which differ.
		bounds=(-runs="${inputs[$target]}" -use_cmp=0)
	fi
	mkdir -p "$corpus" "$build/found"
	say "$target: ${seconds:+$seconds s}$([ "$seconds" ] ||
		echo "${inputs[$target]} inputs")"
	if UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		"$build/tests/fuzz/fuzz-$target" "${bounds[@]}" -seed="$seed" \
		-timeout=60 -rss_limit_mb=2048 -max_len="$INPUT_MAX" \
		-print_final_stats=1 \
		-artifact_prefix="$build/found/$target-" \
		"$corpus" "$build/seeds/$target" >"$log" 2>&1; then
		echo "$target: nothing found in $((SECONDS - started)) s: $(
			figures "$log"
		)" >"$build/$target.result"
		return
	fi
	grep -vE '^#[0-9]+|^"' "$log" | tail -n 60 >&2 || true
	echo "$target: FAILED: $(grep -o 'Test unit written to .*' "$log" ||
		echo "see $log")" >"$build/$target.result"
	return 1
}

packages_need "${packages[@]}" ||
	skip "the packages above are missing and cannot be installed"
build_targets || die "the fuzz targets cannot be built"
rm -rf "$build/seeds"
python3 "$here/seeds.py" "$root/tests/corpus" --out "$build/seeds"
running=0
for target in "${targets[@]}"; do
	if [ "$running" -eq 2 ]; then
		wait -n || failed=1
		running=$((running - 1))
	fi
	fuzz "$target" &
	running=$((running + 1))
done
for ((; running > 0; running--)); do
	wait -n || failed=1
done
for target in "${targets[@]}"; do
	cat "$build/$target.result"
done
[ "$failed" -eq 0 ] || exit 1
