#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/../../scripts/lib.sh
. "$here/../../scripts/lib.sh"

usage() {
	cat <<'END'
usage: boot.sh --kernel DIR --qemu DIR --init PROGRAM [options]

Boots PROGRAM, a static arm64 executable, as /init of a machine with a nested
SMMUv3 and two "edu" devices, and prints the machine's console.

  --kernel DIR        what kernel.sh printed
  --qemu DIR          what qemu.sh printed
  --init PROGRAM      becomes /init
  --file NAME=PATH    puts PATH at /NAME; may be repeated
  --trace FILE        QEMU writes down the commands its SMMU executed
  --timeout SECONDS   the machine is ended after this time (default 120)
  --append TEXT       more for the kernel's command line; may be repeated
  --qemu-arg ARGUMENT one more argument for QEMU; may be repeated
  --machine NAME      QEMU's machine type (default virt)
  --two-smmus         the second device is on an SMMU of its own; QEMU 10.1
                      or newer
  --log FILE          keeps the console
  --allow-warnings    a WARN of the kernel is no failure
  --raw-acpi          leaves the machine's IORT as it is: no vIOMMU

PROGRAM reports its verdict in a line "MACHINE: exit N" before it powers off.

exit status: N; 98 the kernel warned or crashed; 99 no verdict, or no time
left; 77 this host lacks the means; 1 wrong usage or a failure of this script
END
}

kernel='' qemu='' init='' trace='' log='' machine=virt
timeout=120 raw_acpi=no allow_warnings=no two_smmus=no
append='' files=() qemu_arguments=()

while [ $# -gt 0 ]; do
	case "$1" in
	-h | --help)
		usage
		exit 0
		;;
	--raw-acpi) raw_acpi=yes ;;
	--two-smmus) two_smmus=yes ;;
	--allow-warnings) allow_warnings=yes ;;
	--*)
		[ $# -ge 2 ] || die "$1 wants a value"
		case "$1" in
		--kernel) kernel=$2 ;;
		--qemu) qemu=$2 ;;
		--init) init=$2 ;;
		--file) files+=("$2") ;;
		--trace) trace=$2 ;;
		--timeout) timeout=$2 ;;
		--append) append+=" $2" ;;
		--qemu-arg) qemu_arguments+=("$2") ;;
		--machine) machine=$2 ;;
		--log) log=$2 ;;
		*) die "unknown option $1 (see --help)" ;;
		esac
		shift
		;;
	*) die "unknown argument $1 (see --help)" ;;
	esac
	shift
done

[ -n "$init" ] || die "--init is missing (see --help)"
[ -f "$init" ] || die "no such program: $init"
[ -f "$kernel/Image" ] || die "no kernel in '$kernel' (--kernel)"
[ -x "$qemu/qemu-system-aarch64" ] || die "no emulator in '$qemu' (--qemu)"
[ -f "$qemu/QEMU_EFI.fd" ] || die "no firmware in '$qemu' (--qemu)"
kernel=$(cd "$kernel" && pwd)
qemu=$(cd "$qemu" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP

machine_line=(-global arm-smmuv3.stage=nested
	-cpu max -smp 1 -m 1G -nodefaults
	-device 'edu,dma_mask=0xffffffffffff')
if [ "$two_smmus" = yes ]; then
	machine_line+=(-machine "$machine,gic-version=3"
		-device 'arm-smmuv3,primary-bus=pcie.0'
		-device 'pxb-pcie,id=pcie.1,bus=pcie.0,bus_nr=64'
		-device 'arm-smmuv3,primary-bus=pcie.1'
		-device 'pcie-root-port,id=port.1,bus=pcie.1,chassis=1'
		-device 'edu,bus=port.1,dma_mask=0xffffffffffff')
else
	machine_line+=(-machine "$machine,iommu=smmuv3,gic-version=3"
		-device 'edu,dma_mask=0xffffffffffff')
fi

# tree_add TREE NAME PATH: a copy of PATH as /NAME of the initramfs.
tree_add() {
	[ -f "$3" ] || die "no such file: $3"
	mkdir -p "$1/$(dirname "$2")"
	cp "$3" "$1/$2"
}

# pack TREE OUTPUT: uncompressed; the kernel looks for ACPI tables before it
# can unpack anything.
pack() {
	(cd "$1" && find . -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
		cpio -o --quiet -H newc -R 0:0) >"$2"
}

# run INITRAMFS CONSOLE [QEMU_ARGUMENT...]: boots; the console, freed of what
# only a terminal understands, goes to stdout and to the file CONSOLE.
run() {
	local initramfs=$1 console=$2
	shift 2
	timeout -k 5 "$timeout" "$qemu/qemu-system-aarch64" \
		"${machine_line[@]}" -nographic -serial stdio -monitor none \
		-no-reboot -bios "$qemu/QEMU_EFI.fd" -kernel "$kernel/Image" \
		-initrd "$initramfs" \
		-append "console=ttyAMA0 acpi=force panic=-1$append" \
		"$@" </dev/null 2>&1 |
		sed -u -e 's/\x1b\[[0-9;?=]*[A-Za-z]//g' -e 's/\r//g' |
		tee "$console" || return "${PIPESTATUS[0]}"
}

# verdict CONSOLE STATUS: the exit status for a run that ended with STATUS.
verdict() {
	local said
	said=$(sed -n 's/.*MACHINE: exit \([0-9]\{1,3\}\)$/\1/p' "$1" |
		tail -n 1)
	if [ "$2" -eq 124 ] || [ "$2" -eq 137 ]; then
		say "no end after $timeout s"
		return 99
	elif grep -Eq 'Kernel panic|Oops|BUG:|Unable to handle kernel' "$1"; then
		say "the kernel crashed"
		return 98
	elif [ -z "$said" ]; then
		say "the machine went off without a verdict (emulator: $2)"
		return 99
	elif [ "$allow_warnings" = no ] && grep -q 'WARNING: ' "$1"; then
		say "the kernel warned (the program said: exit $said)"
		return 98
	fi
	return "$said"
}

# iort: prints the path of the patched table; made once for each emulator,
# firmware and machine line.
iort() {
	local key table tree=$work/dump
	key=$({
		cat "$qemu/version" "$here/iort.py"
		printf '%s\n' "${machine_line[@]}" "${qemu_arguments[@]}"
	} | sha256sum | cut -c 1-12)
	table=$(dirname "$qemu")/iort/$key.aml
	if [ ! -e "$table" ]; then
		say "reading the machine's IORT"
		mkdir -p "$tree" "$(dirname "$table")"
		"${CROSS}gcc" -static -O1 -o "$tree/init" \
			"$here/dump-iort.c" "$here/guest/machine.c"
		pack "$tree" "$work/dump.cpio"
		run "$work/dump.cpio" "$work/dump.log" \
			"${qemu_arguments[@]}" >/dev/null || true
		python3 "$here/iort.py" "$work/dump.log" "$work/iort.aml" || {
			tail -n 20 "$work/dump.log" >&2
			return 1
		}
		mv "$work/iort.aml" "$table.$$"
		mv "$table.$$" "$table"
	fi
	printf '%s\n' "$table"
}

host_supported
mapfile -t packages < <(cross_packages && printf '%s\n' cpio python3)
packages_need "${packages[@]}" || skip "missing packages"

tree=$work/tree
mkdir -p "$tree"
install -m 755 "$init" "$tree/init"
for file in "${files[@]}"; do
	case "$file" in
	?*=?*) tree_add "$tree" "${file%%=*}" "${file#*=}" ;;
	*) die "--file wants NAME=PATH, not '$file'" ;;
	esac
done
if [ "$raw_acpi" = no ]; then
	table=$(iort) || die "no patched IORT"
	tree_add "$tree" kernel/firmware/acpi/IORT.aml "$table"
fi
pack "$tree" "$work/initramfs.cpio"

arguments=("${qemu_arguments[@]}")
if [ -n "$trace" ]; then
	arguments+=(-trace 'smmuv3_cmdq*' -trace 'smmu*inv*' -D "$trace")
fi
status=0
run "$work/initramfs.cpio" "$work/console" "${arguments[@]}" || status=$?
[ -z "$log" ] || cp "$work/console" "$log"
status_of_program=0
verdict "$work/console" "$status" || status_of_program=$?
exit "$status_of_program"
