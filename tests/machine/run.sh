#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=SCRIPTDIR/../../scripts/lib.sh
. "$root/scripts/lib.sh"

usage() {
	cat <<'END'
usage: tests/machine/run.sh [--bench FILE]

The machine test: the library over a real Linux kernel with a real SMMUv3 driver
and real DMA, in an emulator. What it proves: tests/machine/README.md.

  --bench FILE       no test: measures, and puts lines of JSON into FILE and what
                     the emulator's SMMU looked up into FILE.trace; scripts/bench
                     reads them

environment:
  KERNEL=X.Y         this kernel instead of the newest on offer (6.13 or newer);
                     skipped when it can neither be built nor is in the cache
  QEMU=PROGRAM       this emulator
  SMMUINV_CACHE=DIR  where the emulator, builds and records are kept (default:
                     build/machine)
  SMMUINV_KERNELS=DIR
                     where kernels are kept, for every clone of this project
                     (default: smmuinv/kernels in the user's cache folder)
  SMMUINV_TEST_SEED=N, SMMUINV_TEST_SCALE=X
                     other random commands for the comparison of kernel and
                     mock, and X times as many

exit status: 0 passed, 1 failed, 77 this host lacks the means
END
}

# Streams of tests/corpus that guest/test-corpus.c replays.
streams=(02-lk73-both-lazy-io 03-lk73-both-vfio-map 04-lk73-16k-both-io-vfio
	07-lk61-both-lazy-vfio 09-lk73-both-noril-io 29-lk73-l2guest-noril)

# Nested SMMUv3s exist since this Linux.
oldest=6.13

# The machine has no clock to speak of: the unit tests do less there.
unit_scale=0.01

# uapi_complete: a definition that is not held against the kernel's is found.
uapi_complete() {
	local name
	local -a names
	mapfile -t names < <(grep -oE '\b(UAPI_|uapi_)[A-Za-z0-9_]+' \
		"$root/lib/iommufd-uapi.h" | sort -u)
	for name in "${names[@]}"; do
		grep -qw "$name" "$here/uapi-check.c" ||
			die "uapi-check.c does not look at $name"
	done
}

# uapi_check HEADERS: lib/iommufd-uapi.h against the kernel's header.
uapi_check() {
	local name flags=()
	for name in OUT_MAX_PASID_LOG2 PCI_ATS_NOT_SUPPORTED \
		ERRATA_REPEAT_TLBI_CFGI; do
		! grep -qiE "$name\b" "$1/linux/iommufd.h" ||
			flags+=("-DHAVE_$name")
	done
	uapi_complete
	"${CROSS}gcc" -std=c11 -fsyntax-only -Wall -Wno-sign-compare \
		-I "$root/include" -I "$root/lib" -isystem "$1" \
		"${flags[@]}" "$here/uapi-check.c" ||
		die "lib/iommufd-uapi.h is not what the kernel's header says"
}

# cross_file HEADERS CMOCKA: what a cross file cannot know beforehand.
cross_file() {
	cat <<-END
		[properties]
		pkg_config_libdir = ['$2/pkgconfig']
		[built-in options]
		c_args = ['-isystem', '$1']
	END
}

# cross_build HEADERS CMOCKA [TARGET]: the whole project, or only this of it, for
# arm64; sets "build". The folder is this source tree's and this configuration's
# own.
cross_build() {
	local key file=$cache/cross-$$.ini
	cross_file "$1" "$2" >"$file"
	key=$({
		printf '%s\n' "$root"
		cat "$here/aarch64.cross" "$file"
	} | sha256sum | cut -c 1-12)
	build=$cache/build-$key
	mkdir -p "$build"
	mv "$file" "$build/host.ini"
	[ -e "$build/build.ninja" ] ||
		quietly meson setup "$build" "$root" -Ddefault_library=static \
			--cross-file "$here/aarch64.cross" \
			--cross-file "$build/host.ini" ||
		die "the project cannot be configured for arm64"
	quietly ninja -C "$build" ${3:+"$3"} ||
		die "the project does not compile for arm64"
}

# files_list CMOCKA: boot.sh's --file options: what the programs are linked with,
# the streams and, except for benchmarks, the examples and the unit tests.
files_list() {
	local name program
	for name in ld-linux-aarch64.so.1 libc.so.6; do
		printf '%s\n' --file \
			"lib/$name=$("${CROSS}gcc" -print-file-name="$name")"
	done
	printf '%s\n' --file "lib/libcmocka.so.0=$1/lib/libcmocka.so.0"
	for name in "${streams[@]}"; do
		printf '%s\n' --file \
			"corpus/$name.bin=$root/tests/corpus/$name.bin"
	done
	[ -z "$bench" ] || return 0
	for name in bringup replay; do
		printf '%s\n' --file "$name=$build/examples/$name"
	done
	for program in "$build"/tests/test-*; do
		[ ! -f "$program" ] || [ ! -x "$program" ] ||
			printf '%s\n' --file \
				"unit/${program##*/}=$program"
	done
}

# progress: a line for each test that ended; of the unit tests, for each program.
progress() {
	local line units=no running=''
	while IFS= read -r line; do
		case "$units $line" in
		'no [ RUN      ] '*) running=${line#*] } ;;
		"no [       OK ] $running") say "ok: $running" ;;
		"no [  FAILED  ] $running")
			say "FAILED: $running"
			# cmocka names it once more at the end.
			running=
			;;
		*' UNITS begin') units=yes ;;
		*' UNIT '*' 0') line=${line#UNIT } && say "ok: on arm64: ${line% 0}" ;;
		*' UNIT '*) say "FAILED: on arm64: ${line#UNIT }" ;;
		esac
	done
}

# failed CONSOLE MESSAGE: what it has to say, and where the rest is.
failed() {
	grep -vE '^(SENT|CALL|RESULT|WINDOW) ' "$1" |
		grep -E -B 2 -A 8 'ERROR|FAILED|DIFFERS|WARNING: |^failed|Oops|Kernel panic' |
		head -n 60 >&2 || tail -n 30 "$1" >&2 || true
	die "$2; records: $records"
}

# boot CMOCKA CONSOLE OPTION...: runs tests, with these of boot.sh's options; the
# records are left in "records".
boot() {
	local console=$records/$2 status=0
	local -a files
	mapfile -t files < <(files_list "$1")
	shift 2
	: >"$console"
	"$here/boot.sh" --kernel "$kernel" --qemu "$qemu" \
		--init "$build/tests/machine/machine-test" "${files[@]}" \
		--log "$console" "$@" | progress || status=$?
	case "$status" in
	0) ;;
	"$EXIT_SKIP") exit "$EXIT_SKIP" ;;
	*) failed "$console" "the machine's tests failed (boot.sh: $status)" ;;
	esac
}

# boot_differential CMOCKA: kernel and mock compared. Without a trace, which would
# be of gigabytes, and by itself, because the last thing it does to an older
# kernel is to stop the host's queue.
boot_differential() {
	local name
	local -a options=(--append SMMUINV_TESTS=differential)
	for name in SMMUINV_TEST_SEED SMMUINV_TEST_SCALE; do
		[ -z "${!name:-}" ] || options+=(--append "$name=${!name}")
	done
	boot "$1" console-differential "${options[@]}" --timeout 600
}

# boot_bench CMOCKA FILE: what the kernel takes, as lines of JSON; and what the
# emulator's SMMU looked up for the device, with the time.
boot_bench() {
	local event
	local -a options=(--qemu-arg -D --qemu-arg "$records/trace-bench"
		--qemu-arg -msg --qemu-arg timestamp=on)
	for event in smmu_iotlb_lookup_hit smmu_iotlb_lookup_miss smmu_get_pte \
		smmuv3_translate_success; do
		options+=(--qemu-arg -trace --qemu-arg "$event")
	done
	boot "$1" console-bench --append SMMUINV_TESTS=bench \
		"${options[@]}" --timeout 900
	{
		printf '{"bench": "machine", "kernel": "%s", "emulator": "%s"}\n' \
			"$(cat "$kernel/version")" \
			"$(sed -n '1s/.* version \([^ ]*\).*/\1/p' "$qemu/version")"
		grep '^{"bench"' "$records/console-bench"
	} >"$2"
	cp "$records/trace-bench" "$2.trace"
}

# boot_two_smmus CMOCKA: two devices on two SMMUs, if there is an emulator for
# that; sets "two", which says how it went.
boot_two_smmus() {
	local status=0 qemu console=$records/console-two-smmus
	local trace=$records/trace-two-smmus
	rm -f "$console"
	qemu=$("$here/qemu.sh" "$cache" --two-smmus | tail -n 1) || status=$?
	case "$status" in
	0) ;;
	"$EXIT_SKIP")
		two="not tested"
		return 0
		;;
	*) exit "$status" ;;
	esac
	boot "$1" console-two-smmus --two-smmus --trace "$trace" \
		--append SMMUINV_TESTS=two-smmus --timeout 120
	two=$("$here/compare-trace.py" "$console" "$trace") ||
		die "with two SMMUs, QEMU's trace is not what the library sent;" \
			"records: $records"
	two="$(expected '^\[       OK \]' tests -two-smmus) tests passed, $two;"
	two+=" $(sed -n 1p "$qemu/version")"
}

# total WORD: the sum of the consoles' "CASES WORD N".
total() {
	awk -v word="$1" '$1 == "CASES" && $2 == word { n += $3 }
		END { print n + 0 }' "$records"/console{,-differential}
}

# expected PATTERN WHAT [SUFFIX...]: how many there are in these consoles; a run
# without any has proved nothing. The unit tests' own lines do not count.
expected() {
	local pattern=$1 what=$2
	shift 2
	[ $# -gt 0 ] || set -- '' -differential
	sed -s '/^UNITS begin$/,${/^UNIT /!d}' "${@/#/$records/console}" |
		grep -cE "$pattern" ||
		failed "$records/console$1" "no $what in the machine's console"
}

# summary_differential: kernel and mock. No difference is let pass by the tests;
# the numbers say of how many.
summary_differential() {
	local word hostile wedges
	for word in differential batches hostile asked; do
		[ "$(total "$word")" -gt 0 ] ||
			failed "$records/console-differential" "no case of $word"
	done
	[ "$(total agreed)" -eq "$(total asked)" ] ||
		failed "$records/console-differential" "kernel and mock differ"
	hostile=$(total hostile)
	wedges=$(total wedges)
	say "kernel and mock: $(total differential) random commands" \
		"($(total differential-accepted) accepted)," \
		"$(total differential-canonical) canonical ones (all accepted)," \
		"$(total batches) random batches of $(total batched) commands" \
		"($(total batches-accepted) accepted):" \
		"$(total agreed) of $(total asked) answers agree"
	say "hostile guests: $hostile commands, $(total hostile-forwarded)" \
		"forwarded, no CMDQ error, no CMD_SYNC timeout"
	[ "$wedges" -eq 0 ] ||
		say "the host's queue stopped on purpose $wedges times, as" \
			"predicted; $(total withheld) random commands withheld"
}

summary() {
	local tests units
	tests=$(expected '^\[       OK \]' tests)
	units=$(expected '^UNIT .* 0$' 'unit tests')
	say "Linux $(cat "$kernel/version"), $(sed -n 1p "$qemu/version")"
	say "$tests tests passed, and $units unit test programs on arm64"
	say "$(total raw) raw and $(total canonical) canonical commands were" \
		"answered by the kernel as predicted"
	say "$(total corpus) commands of ${#streams[@]} guests replayed;" \
		"$(total stes) random STEs taken by the kernel;" \
		"$(total lives) lives; unplugged under load" \
		"$(total unplugged) times"
	say "$compared; $spoiled"
	say "two SMMUs: $two"
	summary_differential
	say "passed in $SECONDS s; records: $records"
}

bench=
case "${1:-}" in
-h | --help)
	usage
	exit 0
	;;
--bench)
	[ $# -eq 2 ] || die "--bench wants a file (see --help)"
	bench=$2
	;;
?*)
	usage >&2
	exit 1
	;;
esac

host_supported
[ -z "${KERNEL:-}" ] || dpkg --compare-versions "$KERNEL" ge "$oldest" ||
	skip "KERNEL=$KERNEL: nested SMMUv3s exist since Linux $oldest"
mapfile -t packages < <(cross_packages &&
	printf '%s\n' meson ninja-build pkg-config python3)
packages_need "${packages[@]}" || skip "missing packages"
mkdir -p "${SMMUINV_CACHE:-$root/build/machine}"
cache=$(cd "${SMMUINV_CACHE:-$root/build/machine}" && pwd)

# One run at a time in a cache; the lock goes with this process.
exec 8>"$cache/.run.lock"
flock 8

kernel=$("$here/kernel.sh" "$cache" 8>&- | tail -n 1) || exit $?
qemu=$("$here/qemu.sh" "$cache" 8>&- | tail -n 1) || exit $?
cmocka=$("$here/cmocka.sh" "$cache" 8>&- | tail -n 1) || exit $?
records=$cache/records-$(cat "$kernel/version")
mkdir -p "$records"
build=
two=

say "Linux $(cat "$kernel/version"): its header, the build for arm64, the boot"
uapi_check "$kernel/headers/include"
if [ -n "$bench" ]; then
	cross_build "$kernel/headers/include" "$cmocka" \
		tests/machine/machine-test 8>&-
	boot_bench "$cmocka" "$bench" 8>&-
	exit 0
fi
cross_build "$kernel/headers/include" "$cmocka" 8>&-
boot "$cmocka" console --trace "$records/trace" \
	--append "SMMUINV_TEST_SCALE=$unit_scale" --timeout 900 8>&-
boot_differential "$cmocka" 8>&-
boot_two_smmus "$cmocka" 8>&-
compared=$("$here/compare-trace.py" "$records/console" "$records/trace") ||
	die "QEMU's trace is not what the library sent; records: $records"
spoiled=$("$here/compare-trace.py" --self-test "$records/console" \
	"$records/trace") || die "the comparer is broken; records: $records"
summary
