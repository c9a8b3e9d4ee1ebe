#!/bin/bash
# LEVELS: none cap root
# A tree in the middle of a pipeline comes back with other standard descriptors: all members that
# have them from the first one follow it, also under other numbers; and a member's own
# standard input, from outside, is that of the restore.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

cat >program.py <<'PY'
import os, sys, time

def wait():
    while not os.path.exists("go"):
        time.sleep(0.01)

os.dup2(1, 10)
child = os.fork()
if child == 0:
    # Input of its own, which the first process does not have.
    os.dup2(9, 0)
    os.close(9)
    with open("child", "w"):
        pass
    wait()
    os.write(1, b"child out\n")
    os.write(2, b"child err\n")
    os.write(10, b"child ten\n")
    os.write(1, b"child in: " + os.read(0, 100))
    os._exit(0)
os.close(9)
os.close(0)
os.open("/dev/null", os.O_RDONLY)
while not os.path.exists("child"):
    time.sleep(0.01)
with open("pid.new", "w") as file:
    print(os.getpid(), file=file)
os.rename("pid.new", "pid")
wait()
os.waitpid(child, 0)
os.write(1, b"parent out\n")
os.write(2, b"parent err\n")
PY

exec 9< <(exec sleep 1000 3>&-)
started+=($!)
(exec 3>&-; exec setsid /usr/bin/python3 program.py </dev/null 2>&1 | cat >first) &
exec 9<&-
wait_for 10 test -s pid || fail "the program did not start"
pid=$(cat pid)
started+=("$pid")
expect 0 "$STASIS" checkpoint --kill -o image "$pid"
killed "$pid"
touch go

printf 'typed\n' | "$STASIS" restore image >out 2>err
printf 'child out\nchild ten\nchild in: typed\nparent out\n' | cmp - out || fail "output: $(cat out)"
printf 'child err\nparent err\n' | cmp - err || fail "error output: $(cat err)"

printf 'typed\n' >typed
"$STASIS" restore --stdout given --stderr given.err image <typed >nothing 2>nothing
[[ ! -s nothing ]] || fail "something went to where the restore has its own: $(cat nothing)"
printf 'child out\nchild ten\nchild in: typed\nparent out\n' | cmp - given || fail "output: $(cat given)"
printf 'child err\nparent err\n' | cmp - given.err || fail "error output: $(cat given.err)"

# Not only 0 to 2, and of a member: all that show it.
child=$("$STASIS" show --json image | /usr/bin/python3 -c '
import json, sys
for record in json.load(sys.stdin)["records"]:
    if record["name"] == "process" and record["record"]["ppid"]:
        print(record["record"]["pid"])
')
printf 'lent\n' >lent
"$STASIS" restore --inherit "$child:0=lent" image </dev/null >out 2>err
grep -qx 'child in: lent' out || fail "not given to a member: $(cat out)"
