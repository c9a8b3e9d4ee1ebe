#!/bin/bash
# LEVELS: none cap root
# stasis restore in the foreground is like the program itself, and with --detach it leaves;
# standard input, output and error can be given; images go through pipes.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

# wait_status CODE PID
wait_status() {
	local code=0
	wait "$2" || code=$?
	[[ $code == "$1" ]] || fail "it ended with $code, not $1"
}

# restore ARGUMENT...: in the background; its number is in $pid.
restore() {
	"$STASIS" restore "$@" >said.out 2>said.err </dev/null 3>&- &
	pid=$!
	started+=("$pid")
}

counter target
expect 0 "$STASIS" checkpoint --kill -o image "$pid"
killed "$pid"
[[ ! -s said.out && ! -s said.err ]] || fail "a checkpoint that went well said something"

# capabilities_of PID: those that it could use, as the kernel shows them.
capabilities_of() {
	awk '/^Cap(Prm|Eff|Inh|Amb):/ {printf "%s ", $2}' "/proc/$1/status"
}

# ---- Signals reach it, and its exit status is ours ----
restore image
goes_on target
if [[ $STASIS_LEVEL != root ]]; then
	for number in "$pid" "$(program_of "$pid")"; do
		[[ $(capabilities_of "$number") =~ ^[0\ ]*$ ]] ||
			fail "$number has capabilities: $(capabilities_of "$number")"
	done
fi
kill -USR1 "$pid"
wait_for 10 test -s target/usr1 || fail "SIGUSR1 did not reach it"
kill -TERM "$pid"
wait_status 7 "$pid"
nobody_left

# ---- Its death by a signal is ours ----
restore image
goes_on target
kill -INT "$pid" # Python's own handler ends it by the same signal
wait_status 130 "$pid"
restore image
goes_on target
kill -ABRT "$(program_of "$pid")"
wait_status 134 "$pid"
[[ ! -e core ]] || fail "a core of our own"
nobody_left

# ---- --detach says its number and leaves ----
expect 0 "$STASIS" restore --detach image
detached=$(cat said.out)
[[ $detached =~ ^[0-9]+$ ]] || fail "that is no number: $detached"
goes_on target
[[ $(cat "/proc/$detached/comm") == python3 ]] || fail "$detached is another process"
kill -TERM "$detached"
wait_for 10 is_gone "$detached" || fail "SIGTERM did not end it"
nobody_left

# ---- Private numbers, asked for ----
expect 0 "$STASIS" restore --detach --pid=private image
detached=$(cat said.out)
goes_on target
[[ $(awk '/^NSpid:/ {print NF}' "/proc/$detached/status") -gt 2 ]] || fail "not in a namespace"
kill -TERM "$detached"
nobody_left

# ---- Standard input, output and error ----
cat >echo.py <<'PYTHON'
import os, sys, time
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.01)
sys.stdout.write("out: " + sys.stdin.readline())
sys.stderr.write("err\n")
PYTHON
start echo python3 ../echo.py
wait_for 20 test -e echo/ready || fail "no program"
expect 0 "$STASIS" checkpoint --kill -o echo.image "$pid"
killed "$pid"
touch echo/go
echo "some input" >input
echo "before" >output
expect 0 "$STASIS" restore --stdin input --stdout output --stderr errors echo.image
[[ $(cat output) == $'before\nout: some input' ]] || fail "output: $(cat output)"
[[ $(cat errors) == err ]] || fail "errors: $(cat errors)"
[[ ! -s echo/out ]] || fail "it wrote to its old output"
# Without them all is as it was.
expect 0 "$STASIS" restore echo.image
[[ $(cat echo/out) == $'out: \nerr' || $(cat echo/out) == $'err\nout: ' ]] ||
	fail "its old output: $(cat echo/out)"

# ---- An image in a pipe, from one tool to the other ----
counter piped 20
before=$(ticks piped)
"$STASIS" checkpoint --kill -o - "$pid" 2>said.err | "$STASIS" restore --detach - >said.out 2>>said.err
killed "$pid"
goes_on piped "through a pipe"
moved_on piped "$before" || fail "it began anew"
kill -TERM "$(cat said.out)"
nobody_left

# ---- Compressed, it is smaller and the same ----
counter zeros 20
expect 0 "$STASIS" checkpoint -o raw "$pid"
expect 0 "$STASIS" checkpoint --compress -o small "$pid"
expect 0 "$STASIS" checkpoint --compress=12 --kill -o smaller "$pid"
killed "$pid"
(($(stat -c %s small) < $(stat -c %s raw))) || fail "--compress does not make it smaller"
[[ $(stat -c %a small) == 600 ]] || fail "anybody may read the image"
restore smaller
goes_on zeros "compressed"
kill -TERM "$pid"
wait_status 7 "$pid"

# ---- Without the three descriptors that everybody else has ----
counter plain
before=$pid
bash -c 'exec "$STASIS" checkpoint -o closed "$1" <&- >&- 2>&-' bash "$before" ||
	fail "a checkpoint without descriptors 0 to 2"
expect 0 "$STASIS" verify closed
goes_on plain
kill -KILL "$before"
killed "$before"
bash -c 'exec "$STASIS" restore --detach closed <&- 2>&-' >said.out ||
	fail "a restore without descriptors 0 and 2"
goes_on plain "restored without descriptors 0 and 2"
for program in $(strangers | awk '{print $1}'); do
	kill -TERM "$program" || true
done
nobody_left
