#!/bin/sh
# The first process of the virtual machine of tests/kernels/run.py.  Its console is read by that:
# "guest: ..." says what the lines after it are of.
export PATH=/usr/bin:/usr/sbin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755,size=70% var /var/tmp
mount -t mqueue mqueue /dev/mqueue 2>/dev/null
ln -sf /proc/self/fd /dev/fd
ip link set lo up
for module in unix_diag inet_diag tcp_diag udp_diag af_packet_diag udmabuf; do
	[ ! -e /modules/$module.ko ] || insmod /modules/$module.ko
done
sysctl -q kernel.printk=1 kernel.unprivileged_userns_clone=1 2>/dev/null

# Root, since who is to have which capability only root can say: all callers, all victims.
audit() {
	if /stasis/prefix/bin/stasis audit --json >/tmp/audit 2>&1; then
		echo "1 passed, 0 failed, 0 skipped"
	else
		echo "FAILED  audit: exit status $?"
		sed 's/^/    /' /tmp/audit
		echo "0 passed, 1 failed, 0 skipped"
	fi
}

# Of the scripts of tests/cli those are for scope 1 that are about it: the others start programs that
# do not permit it to be traced by a tool beside them, and would see a refusal.
pattern=$(cat /etc/pattern)
for scope in $(cat /etc/scopes); do
	sysctl -q kernel.yama.ptrace_scope=$scope
	machine="Linux $(uname -r), ptrace_scope $(cat /proc/sys/kernel/yama/ptrace_scope)"
	echo "guest: $machine, audit"
	audit
	echo "guest: $machine"
	[ "$scope" = 0 ] || pattern="^(?=kind/|cli/yama).*?(?:$pattern)"
	# Emulated processors are slow: ten times the patience.
	# shellcheck disable=SC2046 # these are several words
	/usr/bin/python3 /stasis/source/tests/run.py --installed /stasis -k "$pattern" \
		$(cat /etc/levels) --time-scale 10 -j 2 -v
done
# The end of the first process would be a panic, and of the machine (panic=-1, -no-reboot).
echo o >/proc/sysrq-trigger
sleep 100
