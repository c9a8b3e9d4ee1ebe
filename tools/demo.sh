#!/bin/bash
# Shows the main job: an ordinary user saves a running program and brings it back.
#
#	tools/demo.sh STASIS
#
# The program is Debian's python3 with a computation that knows nothing of
# all this.  Ends with 0 only if all went as told.
set -euo pipefail

bold='' plain='' faint=''
if [[ -t 1 ]]; then
	bold=$'\e[1m' plain=$'\e[0m' faint=$'\e[2m'
fi

say() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

fail() {
	echo "demo: $*" >&2
	[[ ! -s said ]] || cat said >&2
	exit 1
}

# The program shall have its three standard descriptors and none that happened
# to be open in whatever started the demo (a pipe of make or of a terminal program).
close_inherited() {
	local fd
	for fd in "/proc/$$/fd/"*; do
		fd=${fd##*/}
		if [[ $fd -gt 2 && $fd -ne 255 ]]; then
			eval "exec $fd>&-"
		fi
	done
}

# Shows a command as one would type it, and runs it.
run() {
	echo "  \$ stasis $*"
	"$stasis" "$@" 2>said || fail "'stasis $*' ended with $?"
}

write_program() {
	cat <<'PYTHON'
import sys, time

LIMIT = 100_000_000

def primes(limit):
    sieve = bytearray(b"\1") * limit          # 100 MB of data
    sieve[0:2] = b"\0\0"
    for n in range(2, int(limit ** 0.5) + 1):
        if sieve[n]:
            sieve[n * n::n] = bytes(len(range(n * n, limit, n)))
    n = sieve.find(1)
    while n >= 0:
        yield n
        n = sieve.find(1, n + 1)

count = total = twins = digits = previous = 0
shown = time.monotonic()
for prime in primes(LIMIT):
    count += 1
    total += prime
    twins += prime - previous == 2 and previous > 2
    digits += sum(map(int, str(prime)))
    previous = prime
    if count % 1024 == 0 and time.monotonic() - shown > 0.2:
        shown = time.monotonic()
        print(f"{prime / LIMIT:6.1%}  {count} primes, their sum {total}", flush=True)
print(f"result: {count} primes, sum {total}, {twins} twins, {digits} for their digits", flush=True)
PYTHON
}
# What number theory says about the primes below 100 million.
expected='result: 5761455 primes, sum 279209790387276, 440312 twins, 209217129 for their digits'

progress_lines() {
	grep -c '%' progress || true
}

last_progress() {
	grep '%' progress | tail -n 1
}

# Waits until there are more than $1 lines of progress, while process $2 lives.
await_progress() {
	local tries=0
	until [[ $(progress_lines) -gt $1 ]]; do
		kill -0 "$2" 2>/dev/null || return 1
		tries=$((tries + 1))
		[[ $tries -lt 1200 ]] || return 1
		sleep 0.05
	done
}

watch() { # SECONDS
	local seen
	seen=$(progress_lines)
	sleep "$1"
	grep '%' progress | tail -n "+$((seen + 1))" | sed "s/^/  $faint| /; s/\$/$plain/"
}

job=''
restore=''
end_job() {
	[[ -z $job ]] || kill -KILL "$job" 2>/dev/null || true
	[[ -z $restore ]] || kill -TERM "$restore" 2>/dev/null || true
}

demonstrate() {
	local before status
	trap end_job EXIT
	say "1. An ordinary user ($(id -u)) with no capability ($(awk '/CapEff/ { print $2 }' \
		/proc/self/status)) starts a program. It is not prepared in any way."
	write_program >primes.py
	echo "  \$ python3 primes.py &"
	/usr/bin/python3 primes.py </dev/null >progress 2>&1 &
	job=$!
	await_progress 4 $job || fail "the program did not start: $(cat progress)"
	watch 0.8

	say "2. It is saved, and goes on."
	run checkpoint -o first.stasis $job
	watch 0.8
	kill -0 $job || fail "the program is gone"
	[[ -s first.stasis ]] || fail "there is no image"

	say "3. It is saved and ended."
	echo "  \$ stasis checkpoint --kill -o job.stasis $job"
	# The shell's own word about the end of its job goes to the file, too.
	{
		status=0
		"$stasis" checkpoint --kill -o job.stasis $job || status=$?
		wait $job || true
	} 2>said
	[[ $status -eq 0 ]] || fail "the checkpoint ended with $status"
	! kill -0 $job 2>/dev/null || fail "the program is still there"
	job=''
	before=$(progress_lines)
	sleep 0.5
	[[ $(progress_lines) -eq $before ]] || fail "something still makes progress"
	echo "  The process is gone. What is left is its image: $(du -h job.stasis | cut -f 1)"

	say "4. What is in the image?"
	echo "  \$ stasis show job.stasis"
	"$stasis" show job.stasis >shown || fail "stasis show ended with $?"
	sed -n 's/^/  /; 1,16p' shown
	[[ $(wc -l <shown) -le 16 ]] || echo "  [...]"

	say "5. It is brought back, and goes on from where it was: $(last_progress)"
	echo "  \$ stasis restore job.stasis"
	"$stasis" restore job.stasis </dev/null 2>said &
	restore=$!
	await_progress "$before" $restore || fail "it makes no progress"
	watch 0.8
	wait $restore || fail "stasis restore ended with $?"
	restore=''
	echo "  $(tail -n 1 progress)"
	judge "$before"
}

judge() { # LINES-BEFORE-THE-RESTORE
	[[ $(progress_lines) -gt $1 ]] || fail "there was no progress after the restore"
	grep '%' progress | tr -d '%' | sort -n -c 2>/dev/null ||
		fail "the progress went backwards: it was not the same run"
	[[ $(grep -c result: progress) -eq 1 && $(tail -n 1 progress) == "$expected" ]] ||
		fail "the result is wrong, expected: $expected"
	say "The result is right, and was computed once: the program never noticed."
}

# The user's part runs in a folder of his own.
if [[ ${1-} == --as-user ]]; then
	cd "$2"
	stasis=$2/stasis
	close_inherited
	demonstrate
	exit 0
fi

stasis=$(realpath "$1")
folder=$(mktemp -d "${TMPDIR:-/var/tmp}/stasis-demo.XXXXXX")
trap 'rm -rf "$folder"' EXIT
cp "$stasis" "$folder/stasis"
cp "$0" "$folder/demo.sh"
as_user=()
if [[ $(id -u) -eq 0 ]]; then
	uid=1000
	while getent passwd $uid >/dev/null || \
		{ stat -c %u /proc/[0-9]* 2>/dev/null || true; } | grep -qx $uid; do
		uid=$((uid + 1))
	done
	chown -R $uid:$uid "$folder"
	as_user=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups --inh-caps=-all)
fi
"${as_user[@]}" env -C "$folder" HOME="$folder" \
	bash "$folder/demo.sh" --as-user "$folder"
