#!/bin/bash
# Makes the corpus anew, as root: images of the programs of tests/kind, made small, and text of /proc.
#
#	fuzz/make-corpus.sh BUILD FUZZ-BUILD [UID]
#
# Nothing of this machine gets into it: the programs run in a folder on a tmpfs of their own, with
# an empty environment and another host name, as a user UID that owns nothing else.  What was found
# by fuzzing and what once crashed is kept: fuzz/corpus/TARGET/found-*, crash-*.
set -euo pipefail
programs='cpu_rseq fd_dir fd_epoll fd_eventfd fd_flock fd_ghost fd_inotify fd_memfd_seals fd_path
fd_pidfd_self fd_pipe fd_posix_lock fd_pty_queued fd_io_uring fd_signalfd fd_socket_multicast
fd_socket_netlink fd_socket_tcp_pair fd_socket_unix fd_timerfd fd_unix_messages ipc_mqueue ipc_msg
ipc_sem_undo ipc_shm mem_guard mem_madvise mem_shared_anon sig_pending thread_sched timer_posix
tree_cow tree_forks tree_locks tree_pty_session tree_sessions tree_stopped tree_zombie'

if [[ ${1-} != --inside ]]; then
	cd "$(dirname "$0")/.."
	exec unshare --mount --uts --ipc "$0" --inside "$(realpath "$1")" "$(realpath "$2")" "${3:-47474}" "$PWD"
fi
build=$2 fuzz=$3 uid=$4 source=$5
hostname example
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/bin /mnt/images /mnt/raw
cp "$build/cli/stasis" "$build/fuzz/fuzz-trim" /mnt/bin/
for name in $programs; do cp "$build/tests/kind-$name" "/mnt/bin/$name"; done
chown "$uid" /mnt/images

as_user() { setpriv --reuid="$uid" --regid="$uid" --clear-groups env -i PATH=/usr/bin:/bin "$@"; }

# The program's own image in /mnt/images/NAME, and with a third argument two more on top of it.
checkpoint() {
	local name=$1 tracked=${2-} pid home=/mnt/$1
	mkdir "$home"
	chown "$uid" "$home"
	cd "$home"
	(
		# What the shell was given is nothing that the program should have.
		for fd in $(ls /proc/$BASHPID/fd); do ((fd <= 2)) || eval "exec $fd>&-"; done
		exec setpriv --reuid="$uid" --regid="$uid" --clear-groups \
			env -i PATH=/usr/bin:/bin setsid "/mnt/bin/$name"
	) </dev/null >out 2>&1 &
	pid=$!
	disown "$pid"
	for _ in {1..60}; do [[ -e ready ]] || sleep 0.05; done
	if [[ $tracked ]]; then
		as_user timeout 60 /mnt/bin/stasis checkpoint --compress --track -o /mnt/images/whole "$pid"
		as_user timeout 60 /mnt/bin/stasis checkpoint --compress --track --parent /mnt/images/whole \
			-o /mnt/images/second "$pid"
		as_user timeout 60 /mnt/bin/stasis checkpoint --compress --track --parent /mnt/images/second \
			-o /mnt/images/third "$pid" || echo "no incremental images" >&2
	else
		as_user timeout 60 /mnt/bin/stasis checkpoint --compress -o "/mnt/images/$name" "$pid" ||
			echo "no image of $name" >&2
	fi
	for p in /proc/[0-9]*; do
		[[ $(stat -c %u "$p" 2>/dev/null) == "$uid" ]] && kill -KILL "${p#/proc/}" 2>/dev/null || true
	done
}

for name in $programs; do checkpoint "$name" >/dev/null; done
cp /mnt/bin/mem_guard /mnt/bin/tracked
checkpoint tracked yes >/dev/null || true

trim=/mnt/bin/fuzz-trim
for target in load records reader pump chain runs proc; do mkdir -p "/mnt/raw/$target"; done
for name in $programs; do
	[[ -e /mnt/images/$name ]] || continue
	"$trim" 1 0 "/mnt/images/$name" >"/mnt/raw/load/$name"
	"$trim" --records /mnt/raw/records "/mnt/images/$name"
done
for name in fd_pipe fd_memfd_seals tree_cow; do
	"$trim" 1 20000 "/mnt/images/$name" >"/mnt/raw/reader/$name"
	"$trim" 1 20000 "/mnt/images/$name" >"/mnt/raw/pump/$name"
done
for first in 1 3 5 9; do "$trim" --large $first >"/mnt/raw/pump/large-$first"; done
"$trim" 1 30000 /mnt/images/third /mnt/images/second /mnt/images/whole >/mnt/raw/chain/three
"$trim" 1 30000 /mnt/images/third /mnt/images/whole >/mnt/raw/chain/gap
"$trim" 1 0 /mnt/images/second /mnt/images/whole >/mnt/raw/chain/empty
cd /proc/self
n=0
for text in maps status stat fdinfo/0 mountinfo timers sched syscall auxv; do
	# Mounts are this machine's own.
	if [[ $text == mountinfo ]]; then
		body='22 1 0:21 / /proc rw,relatime shared:1 - proc proc rw
28 1 8:1 / / rw - ext4 /dev/sda1 rw'
		{ printf "\\x$(printf %02x $n)"; echo "$body"; } >/mnt/raw/proc/$n
	else
		{ printf "\\x$(printf %02x $n)"; cat "$text"; } >/mnt/raw/proc/$n
	fi
	n=$((n + 1))
done
cd /
printf '\x07\x02\x05\x03\x04\x01\x06\x02\x03\x03\x02\x09\x03\x05' >/mnt/raw/runs/ranges

# What adds nothing goes, and what is known stays.
for target in load records reader pump chain runs proc; do
	folder=$source/fuzz/corpus/$target
	mkdir -p "$folder"
	find "$folder" -name 'seed-*' -delete
	mkdir -p "/mnt/kept/$target"
	TMPDIR=/mnt "$fuzz/fuzz/fuzz-$target" -merge=1 -max_len=262144 -rss_limit_mb=1024 \
		"/mnt/kept/$target" "/mnt/raw/$target" >/mnt/log 2>&1 || tail -5 /mnt/log
	for file in /mnt/kept/"$target"/*; do
		[[ -s $file ]] && cp "$file" "$folder/seed-$(sha1sum <"$file" | cut -c 1-12)"
	done
done
du -sb "$source"/fuzz/corpus/*
