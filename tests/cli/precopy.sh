#!/bin/bash
# LEVELS: none cap root
# Memory is copied while the program runs: hardly a page is left for the pause of one that rests, and of one that
# maps, unmaps, moves, drops, forks and writes all the time the image is of one moment.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

cat >rest.py <<'PYTHON'
import os, time
ballast = bytearray(os.urandom(48 << 20))
open("said", "w").write("ready")
while True:
    time.sleep(1000)
PYTHON
start rest python3 ../rest.py
wait_for 20 test -s rest/said || fail "no program"
expect 0 "$STASIS" checkpoint --precopy --json -o rest.stasis "$pid"
copied=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["copied"])' <said.out)
# Elsewhere it is a clone's memory that is read, or all is copied: nothing is gained.
marks_by_itself() {
	python3 - <<'PYTHON'
import ctypes, fcntl, struct, sys
uffd = ctypes.CDLL(None).syscall(323, 0o2000000 | 1)  # userfaultfd(2), of what the program does only
try:
    fcntl.ioctl(uffd, 0xC018AA3F, struct.pack("QQQ", 0xAA, 1 << 15, 0))  # UFFD_FEATURE_WP_ASYNC
except OSError:
    sys.exit(1)
PYTHON
}
if marks_by_itself; then
	((copied > 0 && copied < 400)) || fail "$copied pages were copied within the pause"
fi
[[ -z $(find "/proc/$pid/fd" -lname '*userfaultfd*') ]] || fail "a userfaultfd is left in it"
kill -KILL "$pid"
forget "$pid"

cat >churn.py <<'PYTHON'
# Every page counts the rounds; a page of another moment is one round off, and is found within the next round.
import ctypes, mmap, os, random, struct, sys, time
PAGE, PAGES = 4096, 2048

def anonymous(pages):
    m = mmap.mmap(-1, pages * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    m.madvise(mmap.MADV_NOHUGEPAGE)
    return m

def bad(what):
    open("bad", "a").write(what + "\n")
    os._exit(1)

def fill(m, value):
    for at in range(0, len(m), PAGE):
        struct.pack_into("<Q", m, at, value)

def check(m, value, what):
    for at in range(0, len(m), PAGE):
        if struct.unpack_from("<Q", m, at)[0] != value:
            bad(f"{what}: page {at // PAGE} is {struct.unpack_from('<Q', m, at)[0]}, not {value}")

memory, others, step = anonymous(PAGES), [], 0
generation = 0
while True:
    generation += 1
    for page in range(PAGES):
        if struct.unpack_from("<Q", memory, page * PAGE)[0] != generation - 1:
            bad(f"page {page} is {struct.unpack_from('<Q', memory, page * PAGE)[0]} in round {generation}")
        struct.pack_into("<Q", memory, page * PAGE, generation)
        if page % 64:
            continue
        step += 1
        time.sleep(0.002)
        for m, value in others:
            check(m, value, "another")
        if len(others) < 6:
            m = anonymous(random.choice((1, 7, 40)))
            fill(m, step)
            others.append((m, step))
        elif step % 4 == 0:
            others.pop(random.randrange(6))[0].close()
        elif step % 4 == 1:
            m, value = others.pop(0)
            m.madvise(mmap.MADV_DONTNEED)
            others.append((m, 0))
        elif step % 4 == 2:
            m, value = others[0]
            m.resize(len(m) + 64 * PAGE)
            check(memoryview(m)[:PAGE], value, "moved")
            fill(m, value)
        else:
            child = os.fork()
            if child == 0:
                check(memory[:page * PAGE], generation, "child") if page else None
                os._exit(0)
            if os.waitpid(child, 0)[1]:
                bad("child")
    with open("said.new", "w") as file:
        file.write(f"{generation}")
    os.rename("said.new", "said")
PYTHON
start churn python3 ../churn.py
wait_for 20 test -s churn/said || fail "no program"
rounds_on() { (($(cat churn/said) > $1)); }
# Its children have its number, too, as that of their group.
group_gone() { ! kill -0 -- "-$pid" 2>/dev/null; }
lives() { ! is_gone "$pid" || fail "it has ended: $(cat churn/bad churn/out 2>/dev/null)"; }
for _ in 1 2; do
	before=$(cat churn/said)
	expect 0 "$STASIS" checkpoint --precopy -o image "$pid"
	wait_for 60 rounds_on $((before + 2)) || fail "the program does not go on"
	[[ ! -e churn/bad ]] || fail "the program was harmed: $(cat churn/bad)"
	kill -KILL "$pid"
	forget "$pid"
	wait_for 10 is_gone "$pid"
	wait_for 10 group_gone || fail "somebody of its group is left"
	expect 0 "$STASIS" verify image
	before=$(cat churn/said)
	pid=$("$STASIS" restore --detach image </dev/null 3>&-) || fail "not restored"
	started+=("$pid")
	before=$((before + 4))
	wait_for 40 rounds_on $before || fail "what was restored does not go on: $(cat churn/bad churn/out)"
	[[ ! -e churn/bad ]] || fail "the image is not of one moment: $(cat churn/bad)"
	lives
done
kill -KILL "$pid"
forget "$pid"
nobody_left
refuses 2 'precopy has no place' "$STASIS" checkpoint --precopy --parent image -o y "$pid"
