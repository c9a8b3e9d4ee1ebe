#!/bin/bash
# LEVELS: none root
# The examples, built as their first lines say, do what they promise.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

if ! command -v cc >/dev/null || ! command -v pkg-config >/dev/null; then
	skip "there is no compiler"
fi
export PKG_CONFIG_PATH=$STASIS_PREFIX/lib/pkgconfig LD_LIBRARY_PATH=$STASIS_PREFIX/lib
read -ra flags < <(pkg-config --cflags --libs stasis)

cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o ping "$STASIS_SOURCE/examples/ping.c" "${flags[@]}"
expect 0 bash -c 'exec ./ping 3>&-'
grep -q '^it counted to 42$' said.out || fail "ping: $(cat said.out)"
grep -q 'ended by signal 9$' said.out || fail "the child was not ended: $(cat said.out)"
[[ ! -e ping.stasis ]] || fail "the image was left behind"
nobody_left
