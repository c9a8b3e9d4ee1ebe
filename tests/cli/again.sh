#!/bin/bash
# LEVELS: none cap root
# What was brought back can be saved and brought back again, also out of a private namespace, and knows
# itself by the same number each time.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

cat >who.py <<'PYTHON'
import os, time
me = os.getpid()
n = 0
while True:
    n += 1
    with open("log", "a") as log:
        print(os.getpid() == me, n, file=log)
    time.sleep(0.02)
PYTHON
start who python3 ../who.py
wait_for 20 test -s who/log || fail "no program"
for round in 1 2 3; do
	last=$pid
	expect 0 "$STASIS" checkpoint --kill -o "image.$round" "$last"
	forget "$last"
	lines=$(wc -l <who/log)
	policy=auto
	[[ $round != 1 ]] || policy=private
	pid=$("$STASIS" restore --detach --pid=$policy "image.$round" </dev/null 3>&-) || fail "round $round"
	started+=("$pid")
	grown() { (($(wc -l <who/log) > lines + 3)); }
	wait_for 20 grown || fail "it does not go on in round $round"
done
grep -q False who/log && fail "it had another number for a while"
# Each number once, in order: nothing was done twice or left out.
cut -d' ' -f2 who/log | awk '{ if ($1 != NR) exit 1 }' || fail "it counted wrongly"
