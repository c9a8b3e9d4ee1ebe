#!/bin/bash
# LEVELS: none cap root
# A chain of images, each with only what was written since the one before: the last one brings the
# program back as it was; whatever is in the way is refused by name, and nobody is left holding the tracking.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

cat >writer.py <<'PYTHON'
# 16 MiB; each SIGUSR1 rewrites 40 pages and drops, moves, unmaps, maps and zeroes some; SIGUSR2 says what is there.
import hashlib, mmap, os, random, signal
PAGE = 4096
random.seed(7)
memory = mmap.mmap(-1, 16 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
memory[:] = random.randbytes(16 << 20)
others, rounds = [], 0

def change():
    for _ in range(40):
        page = random.randrange(len(memory) // PAGE - 300)
        memory[page * PAGE:page * PAGE + 8] = random.randbytes(8)
    last = len(memory) // PAGE - 1 - rounds * 8
    memory.madvise(mmap.MADV_DONTNEED, (last - 1) * PAGE, PAGE)  # a hole
    memory.madvise(mmap.MADV_DONTNEED, (last - 3) * PAGE, PAGE)  # a hole that is looked at
    assert memory[(last - 3) * PAGE] == 0
    memory[(last - 5) * PAGE:(last - 4) * PAGE] = bytes(PAGE)    # zeros
    if rounds == 2:
        others.pop(0).close()
    other = mmap.mmap(-1, 64 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    other[:] = random.randbytes(64 * PAGE)
    others.append(other)
    if rounds == 3:
        others[0].resize(32768 * PAGE)  # mremap(2): moved

def show():
    digest = hashlib.sha256(memory)
    for other in others:
        digest.update(other)
    return digest.hexdigest()

def put(name, text):
    with open(name + ".new", "w") as file:
        file.write(text)
    os.rename(name + ".new", name)

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
put("said", "ready")
while True:
    if signal.sigwait({signal.SIGUSR1, signal.SIGUSR2}) == signal.SIGUSR1:
        change()
        rounds += 1
        put("said", f"round {rounds}")
    else:
        put("said", show())
PYTHON

says_now() { [[ $(cat w/said) == "$1" ]]; }
says_sum() { [[ $(cat w/said) =~ ^[0-9a-f]{64}$ ]]; }
told() {
	kill -USR1 "$pid"
	wait_for 20 says_now "round $1" || fail "the program is stuck"
}
sum() {
	rm -f w/said
	kill -USR2 "$1"
	wait_for 20 says_sum || fail "the program does not answer"
	cat w/said
}
bytes() { stat -c %s "$1"; }
held() { grep -aq "stasis-track/$(id -u)/$1/" /proc/net/unix; }
not_held() { ! held "$1"; }

start w python3 ../writer.py
wait_for 20 test -s w/said || fail "no program"

# Without tracking there is no parent.
expect 0 "$STASIS" checkpoint -o untracked "$pid"
refuses 3 "nobody knows what process $pid has written since untracked" "$STASIS" checkpoint --parent untracked -o x "$pid"

if ! "$STASIS" checkpoint --track -o 0.stasis "$pid" 2>said.err; then
	grep -q "does not tell what a program writes" said.err || fail "--track fails"
	skip "this kernel does not tell what a program writes"
fi
held "$pid" || fail "nobody holds the tracking"
# In the target nothing of it is left.
[[ -z $(find "/proc/$pid/fd" -lname '*userfaultfd*') ]] || fail "a userfaultfd is left in it"
# A plain checkpoint in between does not disturb it.
expect 0 "$STASIS" checkpoint -o between "$pid"
for round in 1 2 3 4 5; do
	told $round
	expect 0 "$STASIS" checkpoint --track --parent $((round - 1)).stasis -o $round.stasis "$pid"
	(($(bytes $round.stasis) * 10 < $(bytes 0.stasis))) ||
		fail "image $round has $(bytes $round.stasis) bytes, the first one $(bytes 0.stasis)"
	held "$pid" || fail "nobody holds the tracking after image $round"
done

refuses 3 "4.stasis is not the image since which" "$STASIS" checkpoint --track --parent 4.stasis -o x "$pid"
refuses 3 "cannot be replaced by an image that needs it" "$STASIS" checkpoint --parent 5.stasis -o 5.stasis "$pid"
held "$pid" || fail "a refusal has ended the tracking"
told 6
expect 0 "$STASIS" checkpoint --kill --parent 5.stasis -o 6.stasis "$pid"
last=$pid
killed "$last"
wait_for 10 not_held "$last" || fail "somebody still holds the tracking of what has ended"

expect 0 "$STASIS" show 6.stasis
grep -q "6 images below, all there" said.out || fail "show does not tell of the images below"
expect 0 "$STASIS" verify 6.stasis
bring() {
	pid=$("$STASIS" restore --detach --pid=auto "$1" </dev/null 3>&-) || fail "$1 is not restored"
	started+=("$pid")
}
bring between
for round in 1 2 3 4 5 6; do
	told $round
done
wanted=$(sum "$pid")
kill -KILL "$pid"
forget "$pid"
sleep 0.1
bring 6.stasis
[[ $(sum "$pid") == "$wanted" ]] || fail "the memory is another one"
kill -KILL "$pid"
forget "$pid"

# From a pipe, and from another place with all of them.
wait_for 10 is_gone "$pid"
mkdir elsewhere
mv ./*.stasis elsewhere
pid=$("$STASIS" restore --detach elsewhere/6.stasis </dev/null 3>&-) || fail "not restored from elsewhere"
started+=("$pid")
[[ $(sum "$pid") == "$wanted" ]] || fail "from elsewhere the memory is another one"
kill -KILL "$pid"
forget "$pid"
mv elsewhere/*.stasis .

# What is missing, changed or not whole is named.
mv 2.stasis aside
refuses 3 "3.stasis holds only what has changed since 2.stasis, which is not there" "$STASIS" restore --detach 6.stasis
refuses 3 "3.stasis holds only what has changed since 2.stasis, which is not there" "$STASIS" verify 6.stasis
cp between 2.stasis
refuses 3 "another image now than it was" "$STASIS" restore --detach 6.stasis
mv aside 2.stasis
python3 - <<'PYTHON'
with open("2.stasis", "r+b") as file:
    data = file.read()
    file.seek(len(data) - 70000)
    file.write(b"damaged!")
PYTHON
expect 3 "$STASIS" verify 6.stasis
