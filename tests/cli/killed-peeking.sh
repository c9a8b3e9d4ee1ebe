#!/bin/bash
# LEVELS: none
# What waits in a socket is looked at through a mark (SO_PEEK_OFF) that belongs to the program: it
# is as it was, also after stasis was killed in the middle.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

cat >program.py <<'PY'
import os, socket, time

SO_PEEK_OFF = 42
pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(4)]
for writer, reader in pairs:
    for i in range(200):
        writer.send(b"message %d" % i)
marks = [-1, 0, 5, 1000]
for mark, (_, reader) in zip(marks, pairs):
    reader.setsockopt(socket.SOL_SOCKET, SO_PEEK_OFF, mark)
with open("ready", "w"):
    pass
while not os.path.exists("go"):
    time.sleep(0.001)
for mark, (_, reader) in zip(marks, pairs):
    assert reader.getsockopt(socket.SOL_SOCKET, SO_PEEK_OFF) == mark
for writer, reader in pairs:
    for i in range(200):
        assert reader.recv(100) == b"message %d" % i
with open("well", "w"):
    pass
PY
start program /usr/bin/python3 ../program.py
wait_for 10 test -e program/ready || fail "the program did not start"
program=$pid

for i in $(seq 60); do
	"$STASIS" checkpoint -o "image" "$program" 2>/dev/null 3>&- &
	victim=$!
	sleep "0.0$((i % 30 + 10))"
	kill -KILL "$victim" 2>/dev/null || true
	wait "$victim" 2>/dev/null || true
done
# The process that puts the mark back outlives it.
sleep 0.2
touch program/go
wait_for 10 test -e program/well || fail "the program is not as it was: $(cat program/out)"
