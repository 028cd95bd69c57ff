#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: consumer.sh SOURCE VERSION
#
# Installs the project into an empty folder, and builds a program against it as
# others would: by pkg-config, shared and static, as C and as C++, and as a
# subproject. Each program runs and prints the library's version.
set -euo pipefail

source=$1
version=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

quietly() {
	"$@" >"$work/log" 2>&1 || {
		cat "$work/log"
		echo "failed: $*"
		exit 1
	}
}

expect_version() {
	local said
	said=$("$@")
	[ "$said" = "$version" ] || {
		echo "$*: said '$said', not '$version'"
		exit 1
	}
}

quietly meson setup --prefix "$work/usr" --libdir lib -Dtests=false \
	-Ddefault_library=both "$work/build" "$source"
quietly meson install -C "$work/build"
export PKG_CONFIG_PATH="$work/usr/lib/pkgconfig"
[ "$(pkg-config --modversion smmuinv)" = "$version" ]
[ "$(pkg-config --modversion smmuinv-mock)" = "$version" ]

program="$source/tests/abi/consumer/consumer.c"
read -ra flags <<<"$(pkg-config --cflags --libs smmuinv-mock smmuinv)"
read -ra cflags <<<"$(pkg-config --cflags smmuinv-mock smmuinv)"
read -ra static <<<"$(pkg-config --libs --static smmuinv-mock smmuinv)"

quietly cc -std=c11 -Wall -Werror -o "$work/shared" "$program" "${flags[@]}"
quietly c++ -std=c++17 -x c++ -Wall -Werror -o "$work/shared++" "$program" \
	-x none "${flags[@]}"
quietly cc -std=c11 -Wall -Werror -static -o "$work/static" "$program" \
	"${cflags[@]}" "${static[@]}"

expect_version env LD_LIBRARY_PATH="$work/usr/lib" "$work/shared"
expect_version env LD_LIBRARY_PATH="$work/usr/lib" "$work/shared++"
expect_version "$work/static"

# The program needs the soname, and not the release.
objdump -p "$work/shared" | grep -q 'NEEDED *libsmmuinv\.so\.0$'

# Folders outside the prefix, as distributions with several outputs have them.
quietly meson setup --prefix "$work/usr2" --libdir "$work/lib2" \
	--includedir "$work/include2" -Dtests=false "$work/build2" "$source"
quietly meson install -C "$work/build2"
export PKG_CONFIG_PATH="$work/lib2/pkgconfig"
read -ra flags <<<"$(pkg-config --cflags --libs smmuinv-mock smmuinv)"
quietly cc -std=c11 -Wall -Werror -o "$work/apart" "$program" "${flags[@]}"
expect_version env LD_LIBRARY_PATH="$work/lib2" "$work/apart"

mkdir -p "$work/project/subprojects"
cp "$source/tests/abi/consumer/"{meson.build,consumer.c} "$work/project/"
ln -s "$source" "$work/project/subprojects/smmuinv"
cat >"$work/project/subprojects/smmuinv.wrap" <<-'END'
	[wrap-file]
	directory = smmuinv
	[provide]
	dependency_names = smmuinv, smmuinv-mock
END
unset PKG_CONFIG_PATH
quietly meson setup "$work/subproject" "$work/project"
quietly ninja -C "$work/subproject"
expect_version "$work/subproject/consumer"

# Who wants everything static gets it.
quietly meson setup -Ddefault_library=static "$work/static-subproject" \
	"$work/project"
quietly ninja -C "$work/static-subproject"
expect_version "$work/static-subproject/consumer"
! objdump -p "$work/static-subproject/consumer" | grep -q libsmmuinv || {
	echo "a static subproject is linked as a shared library"
	exit 1
}
echo "pkg-config shared, shared as C++, static, with folders apart, and as a" \
	"subproject, shared and static"
