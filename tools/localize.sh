#!/bin/sh
# One object with everything in it, in which only the public symbols are
# global: a program that links the archive can have names of its own.
#
#	tools/localize.sh OUTPUT.a ARCHIVE...
set -eu
out=$1
shift
object=${out%.a}.o
rm -f "$out"
ld -r -o "$object" --whole-archive "$@"
objcopy --localize-hidden "$object"
ar rcsD "$out" "$object"
rm -f "$object"
