#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/../../scripts/lib.sh
. "$here/../../scripts/lib.sh"

usage() {
	cat <<'END'
usage: kernel.sh CACHE_DIR

Builds the arm64 kernel of the machine test from Debian's linux-source
package, or reuses one that was built from the same source in the same way. The
last line on stdout is a folder with Image, headers/include (the uapi headers),
config, version and package.

environment:
  KERNEL=X.Y           this version instead of the newest (6.13 or newer)
  SMMUINV_KERNELS=DIR  where kernels are kept, for every clone of this project
                       (default: smmuinv/kernels in the user's cache folder, or
                       CACHE_DIR if that cannot be written)

exit status: 0 done, 1 failed, 77 this host lacks the means
END
}

# Nesting through iommufd exists since this version.
oldest=6.13

# Where Debian keeps its newest kernels. Sources are of no architecture, so a
# suite other than the system's own does no harm.
suites=(trixie-backports bookworm-backports trixie)

build_packages() {
	cross_packages
	printf '%s\n' make gcc libc6-dev bc bison flex libssl-dev libelf-dev \
		cpio xz-utils kmod rsync python3
}

# kernels_folder: where kernels are kept.
kernels_folder() {
	local dir=${SMMUINV_KERNELS:-}
	if [ -z "$dir" ]; then
		dir=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}
		dir+=/smmuinv/kernels
	fi
	if ! mkdir -p "$dir" 2>/dev/null || [ ! -w "$dir" ]; then
		[ -z "${SMMUINV_KERNELS:-}" ] || die "cannot write to $dir"
		dir=$cache/kernel
	fi
	(cd "$dir" && pwd)
}

# recipe: changes when the kernel would come out differently.
recipe() {
	{
		cat "$here/kernel.config" "$here/kernel.sh"
		"${CROSS}gcc" --version | head -n 1
	} | sha256sum | cut -c 1-12
}

# series_newest APT: the newest X.Y that has a linux-source-X.Y on offer.
series_newest() {
	local candidate
	archive_apt "$1" apt-cache search --names-only \
		'^linux-source-[0-9]+[.][0-9]+$' |
		sed 's/^linux-source-\([^ ]*\) .*/\1/' |
		while IFS= read -r candidate; do
			! dpkg --compare-versions "$candidate" ge "$oldest" ||
				printf '%s\n' "$candidate"
		done | sort -rV | sed -n 1p
}

# cached_newest RECIPE SERIES: a complete kernel, for when the archive is out of
# reach; one of this recipe if there is any. An empty SERIES is any.
cached_newest() {
	local pattern dir release
	for pattern in "*-$1" '*'; do
		# shellcheck disable=SC2231 # the pattern is to be expanded
		for dir in "$kernels"/$pattern; do
			release=$(cat "$dir/version" 2>/dev/null) || continue
			case "$release." in
			"${2:+$2.}"*) printf '%s\t%s\n' "$release" "$dir" ;;
			esac
		done | sort -rV | cut -f 2 | sed -n 1p | grep . && return 0
	done
	return 1
}

# offline WHY RECIPE: ends the script with a cached kernel, or skips.
offline() {
	local dir
	dir=$(cached_newest "$2" "${KERNEL:-}") ||
		skip "$1, and no kernel ${KERNEL:-} is cached"
	say "$1; using the cached $(cat "$dir/version")"
	case "$dir" in
	*-"$2") ;;
	*) say "beware: it was built by another recipe than today's" ;;
	esac
	printf '%s\n' "$dir"
	exit 0
}

# progress LOG PID: a line every 15 seconds while PID runs.
progress() {
	local start=$SECONDS next=15
	while kill -0 "$2" 2>/dev/null; do
		sleep 1
		[ $((SECONDS - start)) -ge "$next" ] || continue
		next=$((next + 15))
		say "$(grep -c '^  [A-Z]' "$1") objects built," \
			"$((SECONDS - start)) s"
	done
}

# logged COMMAND...: into the log; its tail is shown on failure.
logged() {
	"$@" >>"$log" 2>&1 </dev/null || {
		tail -n 40 "$log" >&2
		die "failed: $* (all of it: $log)"
	}
}

# make_set: the command that all steps of the build begin with.
make_set() {
	make=(make -C "$source" O="$work/out" ARCH=arm64 CROSS_COMPILE="$CROSS"
		KBUILD_BUILD_USER=machine KBUILD_BUILD_HOST=test)
}

# The options that kconfig dropped, for want of something they depend on.
config_lost() {
	grep '^CONFIG_' "$here/kernel.config" |
		grep -vxFf "$work/out/.config" || true
}

source_fetch() {
	say "fetching linux-source-$series $version"
	(cd "$work" && archive_fetch "$apt" "linux-source-$series=$version")
}

source_unpack() {
	source=$work/linux-source-$series
	dpkg-deb --fsys-tarfile "$work"/*.deb |
		tar -xO "./usr/src/linux-source-$series.tar.xz" |
		tar -xJ -C "$work"
	rm -f "$work"/*.deb
}

kernel_build() {
	local lost
	logged "${make[@]}" KCONFIG_ALLCONFIG="$here/kernel.config" allnoconfig
	lost=$(config_lost)
	[ -z "$lost" ] || die "options that this kernel does not take:" "$lost"
	"${make[@]}" -j"$(nproc)" Image >>"$log" 2>&1 </dev/null &
	build=$!
	progress "$log" "$build"
	wait "$build" || {
		tail -n 40 "$log" >&2
		die "the kernel did not build (all of it: $log)"
	}
	logged "${make[@]}" INSTALL_HDR_PATH="$work/result/headers" headers_install
}

# finish_if_kept: ends the script if the kernel is there.
finish_if_kept() {
	[ -e "$result/version" ] || return 0
	touch "$result"
	printf '%s\n' "$result"
	exit 0
}

# Kernels that no clone has used for so many days are dropped.
kept_days=60

# kernel_keep: puts the result in place, in one step.
kernel_keep() {
	mkdir -p "$work/result"
	cp "$work/out/arch/arm64/boot/Image" "$work/result/"
	cp "$work/out/.config" "$work/result/config"
	"${make[@]}" -s kernelrelease | tail -n 1 >"$work/result/version"
	printf '%s\n' "linux-source-$series $version" >"$work/result/package"
	rm -rf "$kernels/.new" "$result"
	cp -a "$work/result" "$kernels/.new"
	mv "$kernels/.new" "$result"
	find "$kernels" -mindepth 1 -maxdepth 1 -type d -name '*-*' \
		-mtime "+$kept_days" -exec rm -rf {} +
}

cache_open "$@"
mkdir -p "$cache/kernel"
apt=$cache/apt-kernel
work=$cache/kernel/.work
kernels=$(kernels_folder)

# A lock goes with this process. This one is for the package lists.
exec 9>"$cache/kernel/.lock"
flock 9

mapfile -t packages < <(build_packages)
packages_need "${packages[@]}" || offline "the build's packages are missing" -
key=$(recipe)
archive_setup "$apt" "${suites[@]}" ||
	offline "the package lists cannot be fetched" "$key"
series=${KERNEL:-$(series_newest "$apt")}
[ -n "$series" ] || offline "no linux-source of $oldest or newer on offer" "$key"
version=$(archive_versions "$apt" "linux-source-$series" | sed -n 1p)
[ -n "$version" ] || offline "no linux-source-$series on offer" "$key"

result=$kernels/$version-$key
finish_if_kept
# One build at a time. Another clone may have made this one meanwhile.
exec 9>"$kernels/.lock"
flock 9
finish_if_kept

log=$cache/kernel/build-$series.log
build=
make=()
rm -rf "$work"
mkdir -p "$work/out"
trap '[ -z "$build" ] || kill "$build" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
: >"$log"
source_fetch 9>&- || offline "linux-source-$series cannot be fetched" "$key"
say "building Linux $version with $(nproc) jobs; log: $log"
source_unpack 9>&-
make_set
kernel_build 9>&-
kernel_keep
say "Linux $(cat "$result/version") is ready"
printf '%s\n' "$result"
