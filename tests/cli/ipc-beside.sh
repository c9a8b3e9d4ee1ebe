#!/bin/bash
# LEVELS: none cap root
# System V objects when their places are taken: a program goes on, and another one is restored beside it, with
# objects of the same numbers in a private IPC namespace.  That one is checkpointed again, there, and
# comes back once more.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

command -v cc >/dev/null || skip "there is no compiler"
for name in ipc_shm ipc_sem ipc_msg ipc_sem_undo ipc_sem_wait; do
	cc -std=gnu17 -D_GNU_SOURCE -o "$name.bin" "$STASIS_SOURCE/tests/kind/$name.c"
done

passed() {
	[[ $(grep -c '^passed$' "$1/log") == "$2" ]]
}

for name in ipc_shm ipc_sem ipc_msg ipc_sem_undo ipc_sem_wait; do
	# Appending: several write to it.
	start "$name" bash -c "exec ../$name.bin >>log 2>&1"
	wait_for 20 test -e "$name/ready" || fail "$name did not start: $(cat "$name/log")"
	expect 0 "$STASIS" checkpoint -o image "$pid"

	expect 0 "$STASIS" restore --detach image
	copy=$(cat said.out)
	started+=("$copy")
	[[ $copy != "$pid" ]] || fail "it has the number of the original"
	[[ $(readlink "/proc/$copy/ns/ipc") != "$(readlink /proc/self/ns/ipc)" ]] ||
		fail "$name was restored into our IPC namespace"
	expect 0 "$STASIS" checkpoint --kill -o second "$copy"
	expect 0 "$STASIS" restore --detach second
	started+=("$(cat said.out)")

	: >"$name/go"
	wait_for 20 passed "$name" 2 || fail "$name did not pass twice: $(cat "$name/log")"
	rm -f image second
done
nobody_left
