#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/../../scripts/lib.sh
. "$here/../../scripts/lib.sh"

usage() {
	cat <<'END'
usage: qemu.sh CACHE_DIR [--two-smmus]

Finds an emulator whose SMMUv3 does nested translation: the system's own, or
one from Debian's backports, unpacked in CACHE_DIR without installing it. The
last line on stdout is a folder with `qemu-system-aarch64` (a program or a
script that starts it), `QEMU_EFI.fd` (the firmware) and `version`.

  --two-smmus    one that can put several SMMUs into a machine (10.1 or newer);
                 if the system's cannot, the newest one that Debian has, with a
                 C library of its own

environment:
  QEMU=PROGRAM   use this emulator

exit status: 0 done, 1 failed, 77 this host lacks the means
END
}

# The first version with nested translation, as Debian numbers it.
oldest=1:9.2

# The folder tree of the firmware's package, below the root or an unpacked one.
firmware=usr/share/qemu-efi-aarch64/QEMU_EFI.fd

# qemu_nests PROGRAM: does its SMMUv3 take the nested stage? An emulator that
# does not know the property, or this value, refuses to start.
qemu_nests() {
	printf 'quit\n' | timeout 60 "$1" -S -nodefaults -display none \
		-serial none -monitor stdio -cpu max -m 64M \
		-machine virt,iommu=smmuv3,gic-version=3 \
		-global arm-smmuv3.stage=nested >/dev/null 2>&1
}

# qemu_has_two PROGRAM: can a machine have an SMMU for each PCI bus?
qemu_has_two() {
	printf 'quit\n' | timeout 60 "$1" -S -nodefaults -display none \
		-serial none -monitor stdio -cpu max -m 64M \
		-machine virt,gic-version=3 -global arm-smmuv3.stage=nested \
		-device arm-smmuv3,primary-bus=pcie.0 >/dev/null 2>&1
}

# Is the one of the system's own suite new enough?
suite_has_it() {
	local candidate
	[ -n "$(archive_mirror)" ] || quietly as_root apt-get update || true
	candidate=$(apt-cache policy qemu-system-arm |
		awk '$1 == "Candidate:" { print $2 }')
	[ -n "$candidate" ] && dpkg --compare-versions "$candidate" ge "$oldest"
}

# backport_list APT SUITE: PACKAGE=VERSION of the emulator, its firmware and
# every library that the system does not have yet.
backport_list() {
	archive_apt "$1" apt-get -o Dir::State::Status=/var/lib/dpkg/status \
		install --simulate --no-install-recommends \
		-t "$2" qemu-system-arm qemu-efi-aarch64 \
		2>"$cache/qemu.log" </dev/null |
		sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p' |
		grep -v '^libc6='
}

# backport_unpack DIR: the files of the backported emulator, nothing installed.
backport_unpack() {
	local dir=$1 codename suite
	local apt=$cache/apt-qemu
	local -a list
	codename=$(debian_codename)
	suite=$codename-backports
	archive_setup "$apt" "$codename" "$suite" ||
		skip "no network, and no emulator with nested SMMUv3 is cached"
	mapfile -t list < <(backport_list "$apt" "$suite")
	[ "${#list[@]}" -gt 0 ] || {
		tail -n 20 "$cache/qemu.log" >&2
		skip "$suite has no emulator that fits this system"
	}
	say "fetching ${#list[@]} packages: ${list[*]%%=*}"
	archive_unpack "$apt" "$dir/root" "${list[@]}" ||
		skip "the emulator's packages cannot be fetched"
}

# wrapper_write FILE: starts the emulator of the folder that FILE is in.
wrapper_write() {
	cat >"$1" <<'END'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
for dir in "$root"/usr/lib "$root"/usr/lib/*-linux-gnu \
	"$root"/usr/lib/*-linux-gnu/* "$root"/lib/*-linux-gnu; do
	[ ! -d "$dir" ] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$dir
done
export LD_LIBRARY_PATH
exec "$root/usr/bin/qemu-system-aarch64" -L "$root/usr/share/qemu" "$@"
END
	chmod +x "$1"
}

# Where Debian keeps its newest emulators, for whatever system.
newest_suites=(trixie trixie-backports)

# newest_unpack DIR: the files of the newest emulator and of all that it needs.
newest_unpack() {
	local apt=$cache/apt-qemu-newest root=$1/root
	local -a list
	archive_setup "$apt" "${newest_suites[@]}" ||
		skip "no network, and no emulator for two SMMUs is cached"
	mapfile -t list < <(archive_apt "$apt" apt-get install --simulate \
		--no-install-recommends -t "${newest_suites[-1]}" \
		qemu-system-arm qemu-efi-aarch64 2>"$cache/qemu.log" \
		</dev/null | sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p')
	[ "${#list[@]}" -gt 0 ] || {
		tail -n 20 "$cache/qemu.log" >&2
		skip "no emulator in ${newest_suites[*]}"
	}
	say "fetching ${#list[@]} packages, for an emulator of two SMMUs"
	archive_unpack "$apt" "$root" "${list[@]}" ||
		skip "the emulator's packages cannot be fetched"
	rm -rf "$root"/usr/share/{AAVMF,doc,man,locale} "$root"/usr/lib/*/gconv
}

# wrapper_newest FILE: as wrapper_write; the C library is the folder's, too.
wrapper_newest() {
	cat >"$1" <<'END'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
for loader in "$root"/usr/lib/*-linux-gnu/ld-linux-*.so.*; do
	exec "$loader" --library-path "${loader%/*}" \
		"$root/usr/bin/qemu-system-aarch64" \
		-L "$root/usr/share/qemu" "$@"
done
END
	chmod +x "$1"
}

# The emulator's version, and what the firmware's content is.
version_write() {
	"$1/qemu-system-aarch64" --version | sed -n 1p
	sha256sum <"$1/QEMU_EFI.fd"
}

# keep DIR: puts a complete folder in place.
keep() {
	version_write "$1" >"$1/version"
	rm -rf "$result"
	mv "$1" "$result"
	say "$(sed -n 1p "$result/version")"
}

from_system() {
	local program=$1 dir=$cache/.qemu.new
	if [ ! -r "/$firmware" ]; then
		packages_need qemu-efi-aarch64 ||
			skip "no firmware (package qemu-efi-aarch64)"
	fi
	rm -rf "$dir"
	mkdir -p "$dir"
	ln -s "$(command -v "$program")" "$dir/qemu-system-aarch64"
	ln -s "/$firmware" "$dir/QEMU_EFI.fd"
	keep "$dir"
}

from_backports() {
	local dir=$cache/.qemu.new
	rm -rf "$dir"
	mkdir -p "$dir"
	backport_unpack "$dir"
	wrapper_write "$dir/qemu-system-aarch64"
	# What the system has already is not among the packages.
	if [ -r "$dir/root/$firmware" ]; then
		ln -s "root/$firmware" "$dir/QEMU_EFI.fd"
	else
		ln -s "/$firmware" "$dir/QEMU_EFI.fd"
	fi
	qemu_nests "$dir/qemu-system-aarch64" ||
		die "the emulator from the backports does not start"
	keep "$dir"
}

from_newest() {
	local dir=$cache/.qemu.new
	rm -rf "$dir"
	mkdir -p "$dir"
	newest_unpack "$dir"
	wrapper_newest "$dir/qemu-system-aarch64"
	ln -s "root/$firmware" "$dir/QEMU_EFI.fd"
	qemu_has_two "$dir/qemu-system-aarch64" ||
		skip "the newest emulator does not start here, or has one SMMU"
	keep "$dir"
}

# A cached folder is good when it still starts, and is the one asked for.
cached() {
	local dir=$result
	[ -e "$dir/version" ] && [ -r "$dir/QEMU_EFI.fd" ] || return 1
	[ -z "${QEMU:-}" ] || [ "$(readlink "$dir/qemu-system-aarch64")" = \
		"$(command -v "$QEMU")" ] || return 1
	"$good" "$dir/qemu-system-aarch64" || return 1
	# The system's own may have been upgraded.
	version_write "$dir" >"$dir/version.now"
	mv "$dir/version.now" "$dir/version"
}

cache_open "$@"
case "${2:-}" in
'') result=$cache/qemu good=qemu_nests ;;
--two-smmus) result=$cache/qemu-two-smmus good=qemu_has_two ;;
*) die "unknown option $2 (see --help)" ;;
esac
exec 9>"$cache/.qemu.lock"
flock 9
trap 'rm -rf "$cache/.qemu.new"' EXIT
trap 'exit 1' INT TERM HUP

if cached; then
	:
elif [ "$good" = qemu_has_two ]; then
	if [ -n "${QEMU:-}" ]; then
		qemu_has_two "$QEMU" || skip "$QEMU has no place for two SMMUs"
		from_system "$QEMU"
	elif qemu_has_two qemu-system-aarch64; then
		from_system qemu-system-aarch64
	else
		from_newest
	fi
elif [ -n "${QEMU:-}" ]; then
	qemu_nests "$QEMU" || die "$QEMU has no SMMUv3 with nested translation"
	from_system "$QEMU"
elif qemu_nests qemu-system-aarch64; then
	from_system qemu-system-aarch64
elif suite_has_it; then
	packages_need qemu-system-arm qemu-efi-aarch64 ||
		skip "no emulator (package qemu-system-arm)"
	qemu_nests qemu-system-aarch64 ||
		die "the system's emulator has no SMMUv3 with nested translation"
	from_system qemu-system-aarch64
else
	from_backports
fi
printf '%s\n' "$result"
