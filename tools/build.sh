#!/bin/sh
# Builds into a folder, which it sets up first, or again when a source file was added or removed.
#
#	tools/build.sh BUILD-FOLDER [MESON-OPTION...]
set -eu
cd "$(dirname "$0")/.."
build=$1
shift

sources=$(tools/list-sources.sh --all)
if [ ! -e "$build/build.ninja" ]; then
	mkdir -p "$build"
	log=$(meson setup "$build" "$@" 2>&1) || {
		echo "$log" >&2
		exit 1
	}
elif [ "$sources" != "$(cat "$build/sources.list" 2>/dev/null)" ]; then
	meson setup --reconfigure "$build" >/dev/null
fi
echo "$sources" >"$build/sources.list"
exec ninja --quiet -C "$build"
