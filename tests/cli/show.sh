#!/bin/bash
# show tells what is in an image and what is in the way of a process; verify reads all of it;
# what they print with --json is JSON.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

# json EXPRESSION: of the document d that the last command printed.
json() {
	python3 -c "import json, sys; d = json.load(open('said.out')); sys.exit(0 if $1 else 1)" ||
		fail "not in its JSON: $1"
}

counter target 2
target=$pid
expect 0 "$STASIS" checkpoint --json -o image "$target"
json "d['pid'] == $target and d['image'] == 'image' and d['bytes'] == $(stat -c %s image)"
json "2 << 20 <= d['memory'] <= d['bytes'] and 0 < d['pause_ns']"
expect 2 "$STASIS" checkpoint --json -o - "$target"

# ---- An image ----
expect 0 "$STASIS" show image
grep -q python3 said.out || fail "show does not name the program"
grep -q "$target" said.out || fail "show does not tell its number"
expect 0 "$STASIS" show --all image
grep -q eventfd said.out && fail "there is no eventfd in it"
expect 0 "$STASIS" show --json image
json "len(d['records']) > 5"
python3 -m json.tool <said.out >/dev/null || fail "not JSON"
expect 0 bash -c '"$STASIS" show --json - <image'
python3 -m json.tool <said.out >/dev/null || fail "from standard input: not JSON"

expect 0 "$STASIS" verify image
grep -q '^image: whole: [0-9]* records' said.out || fail "verify does not say that it is whole"
identity=$(awk '{print $NF}' said.out)
expect 0 bash -c '"$STASIS" verify - <image'
grep -q "$identity" said.out || fail "another identity through a pipe"

# ---- A process ----
expect 0 "$STASIS" show "$target"
grep -q "process $target can be checkpointed" said.out || fail "show PID"
expect 0 "$STASIS" show --json "$target"
json "d == {'pid': $target, 'obstacles': []}"
goes_on target "after show"

cat >refused.py <<'PYTHON'
import os, time
# A directory that was removed, which no path leads to.
os.mkdir("removed")
held = os.open("removed", os.O_RDONLY)
os.rmdir("removed")
open("ready", "w").close()
time.sleep(1000)
PYTHON
start refused python3 ../refused.py
wait_for 20 test -e refused/ready || fail "no program"
refused=$pid
expect 3 "$STASIS" show "$refused"
says 'the directory was removed'
expect 3 "$STASIS" show --json "$refused"
json "d['pid'] == $refused and 'was removed' in d['obstacles'][0]['why'] and d['obstacles'][0]['mend']"

# A file of that name comes first.
cp image 4242
expect 0 "$STASIS" show 4242
grep -q python3 said.out || fail "the file 4242 was not shown"

expect 2 "$STASIS" show
expect 2 "$STASIS" verify
expect 2 "$STASIS" show --unknown image
expect 0 "$STASIS" --version
grep -qE '^stasis [0-9]+\.[0-9]+' said.out || fail "--version"
