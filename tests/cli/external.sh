#!/bin/bash
# LEVELS: none root
# Connections to processes that are not saved: refused with their names, or closed, connected
# again, or left to the restore, as the user says.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

cat >server.py <<'PY'
import os, socket, threading

def serve(connection, number):
    connection.sendall(b"greeting")
    while data := connection.recv(100):
        connection.sendall(b"%d:%s" % (number, data))

listener = socket.socket(socket.AF_UNIX)
listener.bind("../server.sock")
listener.listen()
os.close(os.open("ready", os.O_CREAT, 0o600))
number = 0
while True:
    connection, _ = listener.accept()
    number += 1
    threading.Thread(target=serve, args=(connection, number), daemon=True).start()
PY

# Descriptor 5 is a connection, 6 a pipe to somebody, 7 one from somebody, each of them if given.
cat >program.py <<'PY'
import os, socket, sys, time

def attempt(*calls):
    said = b""
    for call in calls:
        try:
            said += call() + b"."
        except OSError as error:
            said += error.strerror.encode() + b"."
    return said

if "bound" in sys.argv:
    bound = socket.socket(socket.AF_UNIX)
    bound.bind("own.sock")
    bound.listen()
if "socket" in sys.argv:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("../server.sock")
    os.dup2(connection.fileno(), 5)
    connection.close()
with open("ready", "w") as file:
    print(os.getpid(), file=file)
while not os.path.exists("go"):
    time.sleep(0.01)
with open("said", "wb") as file:
    if "socket" in sys.argv:
        file.write(attempt(lambda: os.read(5, 8), lambda: b"%d" % os.write(5, b"hello"),
                           lambda: os.read(5, 100)))
    if "out" in sys.argv:
        file.write(attempt(lambda: b"%d" % os.write(6, b"out")))
    if "in" in sys.argv:
        file.write(attempt(lambda: os.read(7, 100), lambda: os.read(7, 100)))
PY

start server /usr/bin/python3 ../server.py
server=$pid
wait_for 10 test -e server/ready || fail "no server"

# run NAME WORD...: the program, with descriptors as it is told.
run() {
	local name=$1
	shift
	mkdir "$name"
	(cd "$name" && exec setsid /usr/bin/python3 ../program.py "$@" </dev/null >out 2>&1 3>&-) &
	started+=($!)
	wait_for 10 test -s "$name/ready" || fail "the program did not start"
	pid=$(cat "$name/ready")
}

# back NAME OPTION...: the restore, to the end; what the program has said.
back() {
	local name=$1
	shift
	touch "$name/go"
	expect 0 "$STASIS" restore "$@" "$name.img"
	cat "$name/said"
	rm "$name/go" "$name/said"
}

save() {
	local name=$1
	shift
	expect 0 "$STASIS" checkpoint --kill "$@" -o "$name.img" "$pid"
	killed "$pid"
}

run closed socket
refuses 3 "is a Unix socket connected to process $server \(python3\)" "$STASIS" checkpoint "$pid"
save closed --external unix=close
[[ $(back closed) == "greeting.Broken pipe.." ]] || fail "not closed"

run again socket
save again --external unix=reconnect
[[ $(back again) == "greeting.5.3:hello." ]] || fail "not connected again"
[[ $(back again --external unix=close) == ".Broken pipe.." ]] || fail "not closed at the restore"

# A restore that fails leaves no file of a socket behind.
run failing bound socket
save failing --external unix=reconnect
rm failing/own.sock
kill -KILL "$server"
wait_for 10 is_gone "$server" || fail "the server did not end"
refuses 1 'cannot connect a socket to ../server.sock again' "$STASIS" restore failing.img
[[ $(back failing --external unix=close) == ".Broken pipe.." && -S failing/own.sock ]] ||
	fail "not closed when the server has gone"
rm server/ready server.sock
start server /usr/bin/python3 ../server.py
wait_for 10 test -e server/ready || fail "no server"

run left socket
save left --external unix=inherit
refuses 3 'descriptor 5 of process [0-9]+ came from outside' "$STASIS" restore left.img
grep -q -- '--inherit 5=' said.err || fail "it does not say how to give one"
printf 'in place' >file
[[ $(back left --inherit 5=file) == "in place.5.." ]] || fail "not given"
[[ $(cat file) == "in placehello" ]] || fail "not written"
exec 9<>file
[[ $(back left --inherit 5=fd:9) == "in place.5.." ]] || fail "not given by number"
exec 9>&-

exec 6> >(exec cat >/dev/null 3>&-)
started+=($!)
run pipes out 6>&6
exec 6>&-
refuses 3 'is a pipe whose other end is held by process [0-9]+ \(cat\)' "$STASIS" checkpoint "$pid"
refuses 2 'pipe=close or pipe=inherit' "$STASIS" checkpoint --external pipe=reconnect "$pid"
save pipes --external unix=close,pipe=inherit
refuses 3 'descriptor 6 of process [0-9]+ came from outside' "$STASIS" restore pipes.img
refuses 3 'cannot open nothing: No such file' "$STASIS" restore --inherit 6=nothing pipes.img
refuses 3 'has no descriptor 66' "$STASIS" restore --inherit 66=file pipes.img
refuses 2 'not .6.' "$STASIS" restore --inherit 6 pipes.img
exec 9<file
refuses 3 'given for descriptor 6 is not open for writing' "$STASIS" restore --inherit 6=fd:9 pipes.img
exec 9<&-
: >file
[[ $(back pipes --inherit 6=file) == "3." && $(cat file) == out ]] || fail "not given for a pipe"

exec 7< <(printf 'in the pipe'; exec sleep 1000 3>&-)
started+=($!)
run drained in 7<&7
exec 7<&-
save drained --external pipe=close
[[ $(back drained) == "in the pipe.." ]] || fail "the pipe did not come back closed"
