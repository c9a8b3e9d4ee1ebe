#!/bin/bash
# LEVELS: none cap root
# System V objects outlive the program: what is restored finds them as they were left, makes them again
# when they are gone, and takes nobody else's.  A restore that fails leaves none of its own behind.
# Only root can have a number again that others on the machine take in the meantime: nobody else is here then.
if [[ $STASIS_LEVEL == root && -z ${ALONE-} ]]; then
	ALONE=yes exec unshare --ipc bash "$0"
fi
. "$STASIS_SOURCE/tests/cli/_lib.sh"

command -v cc >/dev/null && command -v ipcrm >/dev/null || skip "there is no compiler, or no ipcrm"
for name in ipc_shm ipc_shm_tree ipc_sem ipc_msg; do
	cc -std=gnu17 -D_GNU_SOURCE -o "$name.bin" "$STASIS_SOURCE/tests/kind/$name.c"
done

# Numbers of the objects in the image.
objects() {
	"$STASIS" show --json image | grep -oE '"object":\{"id":[0-9]+' | grep -oE '[0-9]+$' | sort -u
}

# exist LETTER: which of them are there (m: segments, s: sets, q: queues).
exist() {
	local id
	for id in $(objects); do
		ipcs "-$1" -i "$id" 2>/dev/null | grep -E "(shmid|semid|msqid)=$id\$" >/dev/null &&
			echo "$id" || true
	done
}

remove() {
	local id
	for id in $(objects); do
		ipcrm "-$1" "$id"
	done
	[[ -z $(exist "$1") ]] || fail "they could not be removed"
}

# prepare PROGRAM: it runs in a folder of this name and was checkpointed with the options.
prepare() {
	local name=$1
	shift
	rm -rf "$name" image
	start "$name" bash -c "exec ../$name.bin >>log 2>&1"
	wait_for 20 test -e "$name/ready" || fail "$name did not start: $(cat "$name/log")"
	expect 0 "$STASIS" checkpoint "$@" -o image "$pid"
	[[ ! " $* " == *" --kill "* ]] || killed "$pid"
}

# passes PROGRAM OPTION...: it is restored, and finds all as it was.
passes() {
	local name=$1
	shift
	expect 0 "$STASIS" restore --detach "$@" image
	started+=("$(cat said.out)")
	: >"$name/go"
	wait_for 20 grep -q '^passed$' "$name/log" || fail "$name did not pass: $(cat "$name/log")"
}

# Those that are there are used again, and are still the program's: what is gone then is made again.
for name in ipc_shm ipc_shm_tree ipc_sem ipc_msg; do
	letter=m
	[[ $name != ipc_sem ]] || letter=s
	[[ $name != ipc_msg ]] || letter=q
	prepare "$name" --kill
	[[ $(exist $letter) == "$(objects)" ]] || fail "--kill has removed some"
	expect 0 "$STASIS" restore --detach image
	again=$(cat said.out)
	[[ $(readlink "/proc/$again/ns/ipc") == "$(readlink /proc/self/ns/ipc)" ]] ||
		fail "$name does not use what is there"
	expect 0 "$STASIS" checkpoint --kill -o image "$again"
	wait_for 10 is_gone "$again"
	remove $letter
	passes "$name"
	wait_for 5 nobody_there
	[[ -z $(exist $letter) ]] || fail "$name left some: $(exist $letter)"
done

# The image is cut: that is found when segments have been made already.
prepare ipc_shm --kill
remove m
cp image whole
truncate -s -10 image
expect 1 "$STASIS" restore --detach image
mv whole image
[[ -z $(exist m) ]] || fail "a failed restore left some: $(exist m)"
nobody_left

# Somebody has attached it since, and that is not the program.
prepare ipc_shm_tree
expect 3 "$STASIS" restore --pid=new image
says 'the place of the System V shared memory segment .* is taken'
: >ipc_shm_tree/go
wait_for 20 grep -q '^passed$' ipc_shm_tree/log || fail "the original did not pass"
forget "$pid"
if [[ $STASIS_LEVEL == none ]]; then
	expect 3 "$STASIS" restore --pid=new image
	says 'is gone, and the kernel does not let you choose the number'
fi
nobody_left
