#!/bin/sh
# Lists sources for Meson, so that adding a kind or a test is adding a file.
# tools/build.sh configures again when the list has changed.
#
#	tools/list-sources.sh FOLDER SUFFIX    e.g. src/kind c: the files' names in there
#	tools/list-sources.sh --link FOLDER    "NAME LIBRARY..." from each file's LINK: comment
#	tools/list-sources.sh --all            everything that the build globs, for comparison
set -eu
LC_ALL=C
export LC_ALL
cd "$(dirname "$0")/.."

case $1 in
--all)
	find src cli examples tests/kind tests/soak tests/unit fuzz bench \( -name '*.c' -o -name '*.S' \) 2>/dev/null |
		sort
	grep -H 'LINK:' tests/kind/*.c tests/unit/*.c 2>/dev/null || true
	;;
--link)
	for file in "$2"/*.c; do
		[ -e "$file" ] || continue
		echo "${file##*/}" "$(sed -n 's|^/\* LINK: *\(.*[^ ]\) *\*/.*|\1|p' "$file")"
	done
	;;
*)
	find "$1" -maxdepth 1 -name "*.$2" | sed 's|.*/||' | sort
	;;
esac
