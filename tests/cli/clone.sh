#!/bin/bash
# LEVELS: none cap root
# restore --clone: many copies of one program, which have its memory in common until they write, and
# nothing else; all or none.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

# ---- A program of 64 MiB, with a thread, an open file and a shared mapping ----
cat >program.py <<'PY'
import ctypes, mmap, os, signal, sys, threading, time
libc = ctypes.CDLL(None)
pages = 64 << 8
memory = mmap.mmap(-1, pages << 12, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for i in range(pages):
    memory[i << 12:(i << 12) + 8] = (i * 2654435761 + 1).to_bytes(8, "little")
shared = mmap.mmap(-1, 4096)
shared[:3] = b"all"
file = open("data", "w+")
file.write("0123456789")
file.flush()
file.seek(3)
ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.01)
threading.Thread(target=tick, daemon=True).start()
def answer(number, frame):
    whole = all(memory[i << 12:(i << 12) + 8] == (i * 2654435761 + 1).to_bytes(8, "little")
                for i in range(pages))
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc.madvise(ctypes.c_void_p(first + (5 << 12)), 4096, 4)
    zero = memory[5 << 12:(5 << 12) + 8] == bytes(8)
    memory[5 << 12:(5 << 12) + 8] = (5 * 2654435761 + 1).to_bytes(8, "little")
    word = shared[:3].decode()
    shared[:3] = b"own"
    with open(f"said.{os.getpid()}", "a") as said:
        said.write(f"whole {whole} zero {zero} shared {word} file {file.read(1)}\n")
signal.signal(signal.SIGUSR1, answer)
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
open("ready", "w").close()
while True:
    time.sleep(0.05)
PY
start target python3 ../program.py
wait_for 20 test -e target/ready || fail "no program"
original=$pid
expect 0 "$STASIS" checkpoint --kill -o image "$original"
killed "$original"

# has_lines NUMBER FILE
has_lines() { (($(wc -l <"$2") == $1)); }

# share_of PID: its part of the memory that it has, in KiB.
share_of() { awk '/^Pss:/ {print $2}' "/proc/$1/smaps_rollup"; }

# clone ARGUMENT...: detached; their numbers are in copies.
clone() {
	"$STASIS" restore --detach "$@" >pids 2>said.err </dev/null 3>&- ||
		fail "restore $*: exit status $?"
	mapfile -t copies <pids
	started+=("${copies[@]}")
}

for policy in auto new; do
	rm -f target/said.*
	clone --pid=$policy --clone 10 image
	((${#copies[@]} == 10)) || fail "not ten numbers: ${copies[*]}"
	# Ten that have written nothing take little more than one would.
	total=0
	for pid in "${copies[@]}"; do
		total=$((total + $(share_of "$pid")))
	done
	((total < 2 * 65536)) || fail "ten copies of 64 MiB take $total KiB"
	for pid in "${copies[@]}"; do
		kill -USR1 "$pid"
	done
	# Within, those of private namespaces have all the same number.
	wait_for 30 eval 'cat target/said.* >said.all && has_lines 10 said.all' ||
		fail "not ten answers: $(cat target/said.*)"
	[[ $(sort -u said.all) == "whole True zero True shared all file 3" ]] ||
		fail "copies are not as they were: $(sort -u said.all)"
	if [[ $policy == auto ]]; then
		[[ $(echo target/said.*) == "target/said.$original" ]] ||
			fail "they know themselves by other numbers"
	fi
	total=0
	for pid in "${copies[@]}"; do
		total=$((total + $(share_of "$pid")))
	done
	((total < 3 * 65536)) || fail "ten copies that have read 64 MiB take $total KiB"
	# One that ends leaves the others.
	kill -KILL "${copies[0]}"
	kill -USR1 "${copies[9]}"
	wait_for 30 eval 'cat target/said.* >said.all && has_lines 11 said.all' ||
		fail "the last one does not go on"
	grep -qx "whole True zero True shared own file 4" said.all || fail "the last one is not its own"
	kill -KILL "${copies[@]:1}"
	for pid in "${copies[@]}"; do
		wait_for 10 is_gone "$pid" || fail "a copy cannot be ended"
		forget "$pid"
	done
	nobody_left
done

# ---- In the foreground: signals for all, and the status of the first that does not end well ----
rm -f target/said.*
"$STASIS" restore --clone 3 image >said.out 2>said.err </dev/null 3>&- &
pid=$!
started+=("$pid")
three() {
	local list
	kill -USR1 "$pid" && sleep 0.2
	list=$(cat target/said.* | wc -l)
	((list >= 3))
}
# The tool takes signals once the copies run; so does bash before it becomes the tool.
takes_signals() { [[ $(<"/proc/$1/comm") == stasis ]] && ((0x$(awk '/^SigCgt:/ {print $2}' "/proc/$1/status") & 1 << 9)); }
wait_for 20 takes_signals "$pid" || fail "the copies do not run"
wait_for 20 three || fail "no copies"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
[[ $code == 7 ]] || fail "it ended with $code, not 7"
nobody_left

# ---- What is no use ----
for wrong in "--clone 0 image" "--clone x image" "--clone 2 --pid=same image" "--clone 2 -"; do
	expect 2 "$STASIS" restore $wrong
done

# ---- What only one can have: none of them comes ----
cat >listener.py <<'PY'
import socket, time
s = socket.create_server(("127.0.0.1", 0))
with open("port", "w") as f:
    f.write(str(s.getsockname()[1]))
while True:
    time.sleep(1)
PY
start listener python3 ../listener.py
wait_for 20 test -s listener/port || fail "no listener"
expect 0 "$STASIS" checkpoint --kill -o listening "$pid"
killed "$pid"
expect 1 "$STASIS" restore --detach --clone 2 listening
grep -q "copy 2 of 2: .*127.0.0.1" said.err || fail "the port is not named"
nobody_left
expect 0 "$STASIS" restore --detach --clone 1 listening
kill -KILL "$(cat said.out)"

# ---- A tree: its processes are each copy's own ----
cat >tree.py <<'PY'
import os, signal, sys, time
private = bytearray(os.urandom(4 << 20))
same = bytes(private)
child = os.fork()
if child == 0:
    own = bytearray(b"y" * (4 << 20))
    os.close(os.open("ready", os.O_CREAT))
    while not os.path.exists("go"):
        time.sleep(0.01)
    os._exit(9 if own == b"y" * (4 << 20) and private == same else 1)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
PY
start tree python3 ../tree.py
wait_for 20 test -e tree/ready || fail "no tree"
expect 0 "$STASIS" checkpoint --kill -o image.tree "$pid"
killed "$pid"
"$STASIS" restore --clone 3 image.tree >said.out 2>said.err </dev/null 3>&- &
pid=$!
started+=("$pid")
sleep 0.5
touch tree/go
code=0
wait "$pid" || code=$?
[[ $code == 9 ]] || fail "the tree ended with $code, not 9"
nobody_left
