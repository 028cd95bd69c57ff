#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# musl.sh ROOT: the library with musl, static, and its locks under load there.
set -euo pipefail

root=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

musl-gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -static \
	-I"$root/include" "$root"/lib/*.c "$root"/lib/plan/*.c \
	"$root/tests/property/fair.c" -o "$work/fair"
"$work/fair"
