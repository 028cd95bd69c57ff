#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=SCRIPTDIR/../../scripts/lib.sh
. "$here/../../scripts/lib.sh"

usage() {
	cat <<'END'
usage: cmocka.sh CACHE_DIR

Fetches Debian's cmocka for arm64, without installing it, or reuses the one in
CACHE_DIR. The last line on stdout is a folder with `pkgconfig` (for a cross
file's pkg_config_libdir), `include` and `lib` (libcmocka.so.0 in it).

exit status: 0 done, 1 failed, 77 this host lacks the means
END
}

# The headers and the library in a tree of their own, and a .pc that says so.
keep() {
	local from=$1 to=$2 version
	mkdir -p "$to"/{include,lib,pkgconfig}
	cp "$from"/usr/include/cmocka*.h "$to/include/"
	cp -P "$from"/usr/lib/aarch64-linux-gnu/libcmocka.so* "$to/lib/"
	version=$(sed -n 's/^Version: //p' \
		"$from/usr/lib/aarch64-linux-gnu/pkgconfig/cmocka.pc")
	# shellcheck disable=SC2016 # pkg-config expands it
	printf '%s\n' 'prefix=${pcfiledir}/..' 'Name: cmocka' \
		'Description: unit testing for C' "Version: $version" \
		'Cflags: -I${prefix}/include' 'Libs: -L${prefix}/lib -lcmocka' \
		>"$to/pkgconfig/cmocka.pc"
}

cache_open "$@"
# The C library that it runs with is this system's, so it is of the same suite.
codename=$(debian_codename)
result=$cache/cmocka-$codename
exec 9>"$cache/.cmocka.lock"
flock 9

if [ ! -e "$result/pkgconfig/cmocka.pc" ]; then
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	trap 'exit 1' INT TERM HUP
	archive_setup "$cache/apt-cmocka" "$codename" arm64 9>&- ||
		skip "no network, and no cmocka for arm64 is cached"
	archive_unpack "$cache/apt-cmocka" "$work/root" \
		libcmocka-dev libcmocka0 9>&- ||
		skip "cmocka for arm64 cannot be fetched"
	rm -rf "$result"
	keep "$work/root" "$work/result"
	mv "$work/result" "$result"
	say "cmocka for arm64 is ready"
fi
printf '%s\n' "$result"
