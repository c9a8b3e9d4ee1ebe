#!/bin/bash
# LEVELS: none cap root
# A good image that cannot be brought back here and now: refused with every reason, before anything is made.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

cat >reader.py <<'PYTHON'
import os, sys, time
os.set_inheritable(os.open("data", os.O_RDONLY), False)
log = os.open("log", os.O_WRONLY | os.O_APPEND)
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
os.write(log, b"went on\n")
PYTHON
mkdir reader
echo "some data" >reader/data
: >reader/log
start reader python3 ../reader.py
wait_for 20 test -e reader/ready || fail "no program"
reader=$pid

# ---- Its number is in use: it runs ----
expect 0 "$STASIS" checkpoint -o image "$reader"
if [[ $STASIS_LEVEL == none ]]; then
	refuses 3 'the kernel does not let you choose process numbers' \
		"$STASIS" restore --pid=same image
else
	refuses 3 "the number $reader of the program is in use by python3" \
		"$STASIS" restore --pid=same image
fi
says 'use --pid=private or --pid=new'

# ---- Several things at once: all are told ----
expect 0 "$STASIS" checkpoint --kill -o image "$reader"
killed "$reader"
cp -p reader/data data.before
mv reader/log log.before
echo "other data" >reader/data
refuses 3 'reader/data' "$STASIS" restore --detach image
says 'reader/log'
[[ $(grep -c '^stasis: restore: ' said.err) == 2 ]] || fail "not two reasons"
mv log.before reader/log
refuses 3 'reader/data.*(changed|not the)' "$STASIS" restore image
rm reader/data
refuses 3 'reader/data' "$STASIS" restore image

# What was to be made for it is not left behind, and what was there is not touched.
echo kept >kept
refuses 3 'reader/data' "$STASIS" restore --stdout new --stderr kept image
[[ $(cat kept) == kept ]] || fail "a refused restore wrote to a file"
expect 3 "$STASIS" restore --stdin missing image
says 'cannot open missing: No such file'
cp -p data.before reader/data

# ---- Too few descriptors ----
(
	ulimit -n 20
	refuses 3 'the program needs [0-9]+ descriptors, and the limit is 20' "$STASIS" restore image
)

# ---- Options ----
refuses 2 'one image is needed' "$STASIS" restore
refuses 2 'one image is needed' "$STASIS" restore image image
refuses 2 "--pid is auto, same, private or new, not 'old'" "$STASIS" restore --pid=old image
refuses 2 'there is no option --kill' "$STASIS" restore --kill image
refuses 2 '--stdin needs a value' "$STASIS" restore --stdin

# ---- Nothing of this has spoilt the image ----
touch reader/go
expect 0 "$STASIS" restore image
[[ $(cat reader/log) == "went on" ]] || fail "it did not go on"
nobody_left

# ---- Its number cannot be written: it runs, and that is said ----
start counter sh -c 'while :; do echo >>log; sleep 0.02; done'
expect 0 "$STASIS" checkpoint --kill -o again "$pid"
killed "$pid"
code=0
"$STASIS" restore --detach again >/dev/full 2>said.err || code=$?
[[ $code == 1 ]] || fail "exit status $code with a full standard output"
number=$(sed -n 's/^stasis: restore: process \([0-9]*\) runs, which could not be written.*/\1/p' said.err)
[[ -n $number ]] || fail "it does not say that the program runs"
started+=("$number")
lines=$(wc -l <counter/log)
more_lines() {
	[[ $(wc -l <counter/log) -gt $lines ]]
}
wait_for 20 more_lines || fail "it does not run"
kill -KILL "$number"
