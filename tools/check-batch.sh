#!/bin/sh
# The batch is copied into another process and runs wherever it lands: a
# relocation in it would be a jump into nowhere.  Fails when there is one.
#
#	tools/check-batch.sh ARCHIVE-OR-OBJECT STAMP
set -eu
headers=$(readelf -SW "$1")
if ! echo "$headers" | grep -q ' \.batch  *PROGBITS'; then
	echo "check-batch: $1 has no section .batch" >&2
	exit 1
fi
if echo "$headers" | grep -q ' \.rela\{0,1\}\.batch '; then
	echo "check-batch: the batch has relocations:" >&2
	readelf -rW "$1" >&2
	exit 1
fi
: >"$2"
