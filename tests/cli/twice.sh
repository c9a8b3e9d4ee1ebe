#!/bin/bash
# LEVELS: none cap root
# Two programs from one image, at the same time, while the original runs: each in a private namespace, each
# with the number that it knows itself by.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

cat >who.py <<'PYTHON'
import os, sys, time
me = os.getpid()
n = 0
while True:
    n += 1
    assert os.getpid() == me
    # One line at a time: several of us write.
    fd = os.open("log", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.write(fd, b"%d %d\n" % (me, n))
    os.close(fd)
    time.sleep(0.02)
PYTHON
start who python3 ../who.py
wait_for 20 test -s who/log || fail "no program"
original=$pid
expect 0 "$STASIS" checkpoint -o image "$original"
before=$(tail -n 1 who/log | cut -d' ' -f2)

for i in 1 2; do
	"$STASIS" restore --pid=private image >"out.$i" 2>"err.$i" </dev/null 3>&- &
	restored[i]=$!
	started+=("$!")
done
# Three counters that pass the same numbers.
thrice() {
	(($(sort who/log | uniq -c | awk -v n="$((before + 20))" '$3 > n && $1 >= 3' | wc -l) > 0))
}
wait_for 20 thrice || fail "not three programs: $(cat err.*)"
[[ $(cut -d' ' -f1 who/log | sort -u) == "$original" ]] || fail "some have another number"
for i in 1 2; do
	kill -TERM "${restored[i]}"
	code=0
	wait "${restored[i]}" || code=$?
	[[ $code == 143 ]] || fail "one of them ended with $code"
done
nobody_left
