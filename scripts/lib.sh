# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Common parts of the scripts: sourced by bash, not run. It needs no more than
# a minimal Debian, and names no mirror: the system's own is used.

# Exit status for "this host lacks the means", as Meson and automake read it.
export EXIT_SKIP=77

# Progress and errors go to stderr; stdout belongs to a script's result.
say() {
	printf '[%s] %s\n' "$(basename "$0" .sh)" "$*" >&2
}

die() {
	say "error: $*"
	exit 1
}

skip() {
	say "skipped: $*"
	exit "$EXIT_SKIP"
}

# as_root COMMAND...: directly, or by sudo without asking for a password.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	elif command -v sudo >/dev/null && [ -t 2 ] && sudo true; then
		sudo "$@"
	else
		say "needs root (or sudo without a password) for: $*"
		return 1
	fi
}

# quietly COMMAND...: shows the output only when the command fails.
quietly() {
	local output
	output=$(mktemp)
	if "$@" >"$output" 2>&1 </dev/null; then
		rm -f "$output"
		return 0
	fi
	tail -n 30 "$output" >&2
	rm -f "$output"
	return 1
}

is_debian() {
	[ -r /etc/debian_version ] && command -v apt-get >/dev/null &&
		command -v dpkg-query >/dev/null
}

debian_codename() {
	# shellcheck disable=SC1091 # exists on every Debian
	(. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-unknown}")
}

# packages_missing PKG...: those that are not installed, one a line.
packages_missing() {
	local package status
	for package in "$@"; do
		status=$(dpkg-query -W -f '${db:Status-Status} ' "$package" \
			2>/dev/null) || status=
		case " $status" in
		*" installed "*) ;;
		*) printf '%s\n' "$package" ;;
		esac
	done
}

# packages_need PKG...: installs what is missing, from the system's own suite.
packages_need() {
	local -a missing install
	is_debian || {
		say "not a Debian system; install by hand: $*"
		return 1
	}
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	say "installing: ${missing[*]}"
	install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y
		--no-install-recommends "${missing[@]}")
	# The package lists may be absent or too old for the mirror: the first
	# try says so, and then they are fetched.
	if ! as_root "${install[@]}" >/dev/null 2>&1 </dev/null; then
		quietly as_root apt-get update || true
		quietly as_root "${install[@]}" || {
			say "could not install: ${missing[*]}"
			return 1
		}
	fi
}

# The address of the mirror that serves the system's main Debian suite; the
# security and backports archives carry other labels.
archive_mirror() {
	local mirror
	# shellcheck disable=SC2016 # apt-get expands it
	mirror=$(apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 'Label: Debian' \
		2>/dev/null | sed -n 1p) || true
	[ -n "$mirror" ] || return 1
	printf '%s\n' "$mirror"
}

archive_keyring() {
	local keyring
	for keyring in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
		[ -r "$keyring" ] || continue
		printf '%s\n' "$keyring"
		return 0
	done
	return 1
}

# archive_apt DIR TOOL ARGUMENT...: apt-get or apt-cache by DIR's settings. The
# file comes after the system's, so a proxy set there is kept.
archive_apt() {
	local dir=$1 tool=$2
	shift 2
	"$tool" -c "$dir/apt.conf" "$@"
}

# archive_settings DIR ARCH: a private apt in DIR, with no installed packages.
archive_settings() {
	local dir=$1 arch=$2
	mkdir -p "$dir"/{lists/partial,cache/archives/partial,state}
	cat >"$dir/apt.conf" <<-SETTINGS
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear APT::Architectures;
		#clear APT::Default-Release;
		APT::Architecture "$arch";
		APT::Architectures "$arch";
		APT::Get::List-Cleanup "false";
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
		Acquire::Languages "none";
		Acquire::Retries "3";
		Acquire::http::Timeout "30";
		Dir::Etc::SourceList "$dir/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::State "$dir/state";
		Dir::State::Lists "$dir/lists";
		Dir::State::Status "/dev/null";
		Dir::Cache "$dir/cache";
		quiet "1";
	SETTINGS
}

# Lists younger than this many minutes are not fetched again.
ARCHIVE_FRESH_MINUTES=1440

# archive_setup DIR SUITE... [ARCH]: a private apt in DIR that knows these
# suites. A suite that the mirror no longer has is left out, with a word.
# Returns 1 when no list could be fetched and none is there from before; then
# archive_* must not be used.
archive_setup() {
	local dir=$1 arch mirror keyring suite
	local -a suites
	shift
	suites=("$@")
	arch=$(dpkg --print-architecture) || return 1
	case "${suites[-1]}" in
	amd64 | arm64)
		arch=${suites[-1]}
		unset 'suites[-1]'
		;;
	esac
	mkdir -p "$dir" && dir=$(cd "$dir" && pwd)

	if [ -n "$(find "$dir/fetched" -mmin "-$ARCHIVE_FRESH_MINUTES" \
		2>/dev/null)" ] &&
		[ "$(cat "$dir/fetched")" = "${suites[*]} $arch" ]; then
		return 0
	fi
	mirror=$(archive_mirror) || {
		quietly as_root apt-get update || true
		mirror=$(archive_mirror)
	} || {
		say "apt knows no mirror of Debian's main archive"
		[ -e "$dir/fetched" ]
		return
	}
	keyring=$(archive_keyring) || {
		say "the keyring of Debian's archive is not installed"
		return 1
	}
	archive_settings "$dir" "$arch"
	for suite in "${suites[@]}"; do
		printf 'deb [signed-by=%s] %s %s main\n' \
			"$keyring" "$mirror" "$suite"
	done >"$dir/sources.list"
	say "fetching the package lists of ${suites[*]} ($arch)"
	archive_update "$dir" || {
		[ -e "$dir/fetched" ] || return 1
		say "the lists could not be fetched; using older ones"
		return 0
	}
	printf '%s\n' "${suites[*]} $arch" >"$dir/fetched"
}

# archive_update DIR: all suites together, else those that still exist.
archive_update() {
	local dir=$1 all line kept='' lost=''
	quietly archive_apt "$dir" apt-get update && return 0
	all=$(cat "$dir/sources.list")
	while IFS= read -r line; do
		printf '%s\n' "$line" >"$dir/sources.list"
		if archive_apt "$dir" apt-get update >/dev/null 2>&1 \
			</dev/null; then
			kept+=$line$'\n'
		else
			lost+=" $(awk '{ print $4 }' <<<"$line")"
		fi
	done <<<"$all"
	if [ -z "$kept" ]; then
		printf '%s\n' "$all" >"$dir/sources.list"
		return 1
	fi
	say "the mirror lacks:$lost"
	printf '%s' "$kept" >"$dir/sources.list"
}

# archive_versions DIR PKG: the versions on offer, newest first.
archive_versions() {
	archive_apt "$1" apt-cache madison "$2" 2>/dev/null |
		awk -F ' *[|] *' '{ print $2 }' | versions_sort
}

# Sorts Debian versions (they are not what sort -V thinks: ~ comes first).
versions_sort() {
	local version
	local -a sorted=()
	local i
	while IFS= read -r version; do
		for ((i = 0; i < ${#sorted[@]}; i++)); do
			dpkg --compare-versions "$version" gt "${sorted[i]}" &&
				break
		done
		sorted=("${sorted[@]:0:i}" "$version" "${sorted[@]:i}")
	done
	[ "${#sorted[@]}" -eq 0 ] || printf '%s\n' "${sorted[@]}"
}

# archive_fetch DIR PKG[=VERSION]...: the .deb files, into the current folder.
archive_fetch() {
	local dir
	dir=$(cd "$1" && pwd)
	shift
	quietly archive_apt "$dir" apt-get download "$@"
}

# archive_unpack APT ROOT PKG[=VERSION]...: the packages' files below ROOT, and
# nothing is installed. APT is what archive_setup made; ROOT.debs is used, too.
archive_unpack() {
	local apt=$1 root=$2 deb
	shift 2
	rm -rf "$root.debs"
	mkdir -p "$root.debs"
	apt=$(cd "$apt" && pwd) || return 1
	(cd "$root.debs" && archive_fetch "$apt" "$@") || return 1
	for deb in "$root.debs"/*.deb; do
		dpkg-deb -x "$deb" "$root" || return 1
	done
	rm -rf "$root.debs"
}

# cache_open ARGUMENT...: for a script whose usage is one folder, which is made;
# sets "cache". Takes --help, too.
# shellcheck disable=SC2034 # for those who source this
cache_open() {
	case "${1:-}" in
	-h | --help)
		usage
		exit 0
		;;
	'' | -*)
		usage >&2
		exit 1
		;;
	esac
	host_supported
	mkdir -p "$1"
	cache=$(cd "$1" && pwd)
}

# What compiles for the guest. A native compiler has the long name too.
# shellcheck disable=SC2034 # for those who source this
CROSS=aarch64-linux-gnu-

cross_packages() {
	case "$(dpkg --print-architecture)" in
	arm64) printf '%s\n' gcc libc6-dev ;;
	*) printf '%s\n' gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
	esac
}

# host_supported: Debian on a machine that these scripts were made for.
host_supported() {
	is_debian || skip "not a Debian system"
	case "$(dpkg --print-architecture)" in
	amd64 | arm64) ;;
	*) skip "neither x86-64 nor arm64" ;;
	esac
}
