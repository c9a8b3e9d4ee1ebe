#!/bin/bash
# What cannot be checkpointed, and where an image cannot be written: one clear sentence, the
# exit code of the contract, nothing left behind, and the target goes on.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

# ---- Processes that cannot be saved ----

refuses 3 'no process 4194304' "$STASIS" checkpoint -o image 4194304
refuses 2 "'soon' is not a process number" "$STASIS" checkpoint soon
refuses 2 "'-1' is not a process number" "$STASIS" checkpoint -- -1

if [[ $(id -u) != 0 ]]; then
	refuses 3 'it belongs to user 0' "$STASIS" checkpoint -o image 1
	refuses 3 'it belongs to user 0' "$STASIS" show 1
fi

if [[ -r /proc/2/stat ]] && (($(awk '{print $9}' /proc/2/stat) & 0x200000)); then
	refuses 3 '2 \(kthreadd\) is a kernel thread' "$STASIS" checkpoint -o image 2
fi

# shellcheck disable=SC2016
refuses 3 'is this program itself' bash -c 'exec "$STASIS" checkpoint -o image $$'

cat >fork.py <<'PYTHON'
import os, time
pid = os.fork()
if pid == 0:
    os._exit(0)
with open("child", "w") as file:
    print(pid, file=file)
time.sleep(1000)
PYTHON
start parent python3 ../fork.py
wait_for 10 test -s parent/child || fail "no child"
child=$(cat parent/child)
wait_for 10 state_is "$child" Z || fail "no zombie"
started+=("$child")
refuses 3 "$child \(python3\) has ended already: it is a zombie" "$STASIS" checkpoint -o image "$child"
"$STASIS" checkpoint -o image "$pid" || fail "a process with a zombie"
"$STASIS" show image >shown || fail "show"
grep -q "^process     $child (python3), has ended$" shown || fail "the zombie is not shown: $(<shown)"
rm image

cat >proud.py <<'PYTHON'
import ctypes, time
ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE
open("ready", "w").close()
time.sleep(1000)
PYTHON
if [[ $(id -u) != 0 ]]; then
	start proud python3 ../proud.py
	wait_for 10 test -e proud/ready || fail "no program"
	refuses 3 'it is not dumpable' "$STASIS" checkpoint -o image "$pid"
fi

# All that follows is about the target's good health.
counter target 20
target=$pid
goes_on target

cat >tracer.py <<'PYTHON'
import ctypes, sys, time
assert ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, None) == 0  # PTRACE_SEIZE
open("ready", "w").close()
time.sleep(1000)
PYTHON
start tracer python3 ../tracer.py "$target"
wait_for 10 test -e tracer/ready || fail "no tracer"
refuses 3 "it is being traced by process $pid \(python3\)" "$STASIS" checkpoint -o image "$target"
goes_on target "after somebody else traced it"
kill -KILL "$pid"
not_traced() {
	grep -q '^TracerPid:.0$' "/proc/$target/status"
}
wait_for 5 not_traced || fail "still traced"

# ---- Places where no image can be written ----

refuses 3 'cannot create missing/image: No such file' "$STASIS" checkpoint -o missing/image "$target"
mkdir folder
refuses 3 'cannot create folder: Is a directory' "$STASIS" checkpoint -o folder "$target"
if [[ $(id -u) != 0 ]]; then
	mkdir -m 500 closed
	refuses 3 'cannot create closed/image: Permission denied' \
		"$STASIS" checkpoint -o closed/image "$target"
fi
goes_on target "after places that cannot be written"

# /dev/full is a disk that is full.
refuses 1 'the disk is full: /dev/full could not be written' \
	"$STASIS" checkpoint -o /dev/full "$target"
goes_on target "after a full disk"
refuses 1 'the disk is full' "$STASIS" checkpoint --kill -o /dev/full "$target"
goes_on target "after a full disk, with --kill"

# So is one that ends in the middle of memory; what stood under the name before stays.
(
	ulimit -f 1024
	refuses 1 'image would be larger than a file may be here' \
		"$STASIS" checkpoint --kill -o image "$target"
	echo before >there
	refuses 1 'there would be larger' "$STASIS" checkpoint --kill -o there "$target"
	[[ $(cat there) == before ]] || fail "a failed checkpoint changed the old image"
)
goes_on target "after an image that was too large"

(
	set +e
	"$STASIS" checkpoint -o - "$target" 2>said.err | head -c 100 >/dev/null
	[[ ${PIPESTATUS[0]} == 1 ]] || fail "with a reader that left, it ended with ${PIPESTATUS[0]}"
	says 'standard output could not be written: nobody reads it any more'
)
goes_on target "after a reader that left"

(
	ulimit -n 6
	expect 3 "$STASIS" checkpoint -o image "$target"
	says 'Too many open files'
)
[[ ! -e image ]] || fail "an image without descriptors"
goes_on target "after too few descriptors"

# ---- Options ----

refuses 2 'one process number is needed' "$STASIS" checkpoint
refuses 2 'one process number is needed' "$STASIS" checkpoint "$target" "$target"
refuses 2 'exclude each other' "$STASIS" checkpoint --kill --leave-stopped "$target"
refuses 2 'compression level' "$STASIS" checkpoint --compress=20 "$target"
refuses 2 'compression level' "$STASIS" checkpoint --compress=fast "$target"
refuses 3 'cannot open nowhere' "$STASIS" checkpoint --parent nowhere "$target"
refuses 2 'there is no option --unknown' "$STASIS" checkpoint --unknown "$target"
refuses 2 '-o needs a value' "$STASIS" checkpoint "$target" -o
expect 2 "$STASIS"
grep -q '^usage: stasis COMMAND' said.err || fail "no usage"
expect 2 "$STASIS" sleep
grep -q "there is no command 'sleep'" said.err || fail "no such command"
expect 1 bash -c '"$STASIS" --help >/dev/full'
says() { :; }
for command in checkpoint restore show verify; do
	expect 0 "$STASIS" "$command" --help
	grep -q "^usage: stasis $command " said.out || fail "$command --help"
done
goes_on target
