#!/bin/bash
# Files that are no images, or not for this program: each is refused with its reason by
# restore, show and verify, and nothing is left behind.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

# refused_by_all WHY IMAGE [STATUS]
refused_by_all() {
	local command
	for command in restore show verify; do
		refuses 3 "$1" "$STASIS" "$command" "$2"
	done
}

counter target 24 # more memory than one frame holds
target=$pid
expect 0 "$STASIS" checkpoint --kill -o image "$target"
killed "$target"
size=$(stat -c %s image)

refused_by_all 'cannot open missing: No such file' missing
mkdir folder
refused_by_all 'folder' folder
: >empty
refused_by_all 'empty is empty' empty
echo "This is a letter to somebody else." >letter
refused_by_all 'letter is not a Stasis image' letter
head -c 20 image >short
refused_by_all 'short' short
sed 's/\r$//; s/$/\r/' image >as-text
refused_by_all 'as-text' as-text
if [[ $(id -u) != 0 ]]; then
	install -m 000 image closed
	refused_by_all 'cannot open closed: Permission denied' closed
fi

# Of another version, another machine.
make_image() {
	python3 "$STASIS_SOURCE/tests/cli/_image.py" "$1" image "$2"
}
make_image major newer
refused_by_all 'newer was made by a newer version of Stasis: its format is 2.0' newer
make_image arch foreign
refuses 3 'foreign was made on ' "$STASIS" restore foreign
make_image page large-pages
refuses 3 'large-pages' "$STASIS" restore large-pages
make_image flags flagged
refused_by_all 'flagged' flagged

# What only a higher minor version says is no obstacle: fields are added, never changed.
make_image minor later
expect 3 "$STASIS" verify later # but it is not the image that its END frame knows

# Truncated: in the records, it is found before anything is made; in memory, what was made is undone.
head -c 400 image >cut-records
refuses 3 'cut-records' "$STASIS" restore cut-records
head -c $((size / 2)) image >cut-memory
refuses 1 'cut-memory' "$STASIS" restore cut-memory
head -c $((size - 1)) image >cut-end
refuses 1 'cut-end' "$STASIS" restore cut-end
(cat image; echo more) >appended
refuses 1 'appended is damaged: something follows its end' "$STASIS" restore appended

# Damaged: one byte is another one.
damaged() {
	python3 - "$1" <<'PYTHON'
import sys
image = bytearray(open("image", "rb").read())
image[int(sys.argv[1])] ^= 0x10
open("damaged", "wb").write(image)
PYTHON
}
for at in 0 9 30 40 70 300; do
	damaged $at
	refuses 3 'damaged' "$STASIS" restore damaged
done
for at in $((size / 2)) $((size - 5)) $((size - 40)); do
	damaged $at
	refuses 1 'damaged' "$STASIS" restore damaged
done

# From a pipe it is the same.
(
	exec <cut-memory
	code=0
	"$STASIS" restore - >said.out 2>said.err || code=$?
	[[ $code == 1 ]] || fail "a truncated image on standard input: $code"
	says 'standard input'
)
nobody_left
(
	exec </dev/null
	code=0
	"$STASIS" restore - >said.out 2>said.err || code=$?
	[[ $code == 3 ]] || fail "no image on standard input: $code"
	says 'is empty'
)

# The program itself can still be brought back.
expect 0 "$STASIS" verify image
before=$(ticks target)
went_on() {
	(($(ticks target) > before))
}
"$STASIS" restore image >said.out 2>said.err &
restored=$!
started+=("$restored")
wait_for 10 went_on || fail "it does not go on"
kill -TERM "$restored"
code=0
wait "$restored" || code=$?
[[ $code == 7 ]] || fail "it ended with $code"
nobody_left
