#!/bin/bash
# LEVELS: none cap
# Under Yama's ptrace_scope 1 a program that the tool was started beside is refused by its number and
# goes on; one that permits it, or that descends from who becomes the tool, is saved.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

scope=$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo "no Yama")
[[ $scope == 1 ]] || skip "ptrace_scope is not 1 here: $scope"

counter beside
refuses 3 "does not let us trace $pid: .*not permitted" "$STASIS" checkpoint -o image "$pid"
goes_on beside "after the refusal"
refuses 3 "does not let us trace $pid: .*not permitted" "$STASIS" checkpoint --kill -o image "$pid"
goes_on beside "after the refusal of --kill"

# prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY)
sed -i '1i import ctypes; ctypes.CDLL(None).prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0)' beside.py
start permits python3 ../beside.py 0
wait_for 20 test -s permits/ticks || fail "the program did not start"
expect 0 "$STASIS" checkpoint -o image "$pid"
goes_on permits "after its checkpoint"
expect 0 "$STASIS" checkpoint --kill -o image "$pid"
killed "$pid"
"$STASIS" restore --detach --pid=auto image >said.out 2>said.err </dev/null 3>&- || fail "not restored"
started+=("$(cat said.out)")
goes_on permits "after its restore"

# Who starts it becomes the tool: its ancestor.
sed -i 1d beside.py
mkdir -p below
expect 0 bash -c '(cd below; exec python3 ../beside.py 0 </dev/null >out 2>&1 3>&-) & pid=$!
	until [[ -s below/ticks ]]; do sleep 0.05; done
	echo $pid >pid
	exec "$STASIS" checkpoint -o image.below $pid 3>&-'
started+=("$(cat pid)")
goes_on below "after its checkpoint"
expect 0 "$STASIS" verify image.below
