/*
 * THE table of what the kernel gates.  The rules are those of Linux 6.18's source, with the
 * versions in which they were others; tests/unit/test_priv_ladder.c tries every row at every level.
 */
#include "priv/priv.h"

#include <linux/capability.h>
#include <stddef.h>

#include "priv/caps.h"
#include "priv/probe.h"

#define CR "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN"

static const struct priv_rule rules[PRIV_OPS] = {
	[PRIV_EXACT_PID] = {
		.name = "exact pid",
		.purpose = "restored processes and threads have the numbers they had",
		.rule = "clone3() with set_tid: " CR " in the user namespace that owns each pid "
			"namespace in which a number is chosen",
		.since = "5.9; CAP_SYS_ADMIN alone 5.5 to 5.8; before, writing ns_last_pid",
		.source = "kernel/pid.c: alloc_pid()",
		.needs = LEVEL_CAP,
		.capability = CAP_CHECKPOINT_RESTORE,
		.probe = probe_exact_pid,
		.without = "a private pid namespace, in which every number is free",
	},
	[PRIV_LAST_PID] = {
		.name = "last pid",
		.purpose = "the older way to a chosen number, which anybody's fork can spoil",
		.rule = "writing /proc/sys/kernel/ns_last_pid: " CR " in the user namespace that "
			"owns the pid namespace",
		.since = "5.9; CAP_SYS_ADMIN alone 3.3 to 5.8",
		.source = "kernel/pid_namespace.c: pid_ns_ctl_handler()",
		.needs = LEVEL_CAP,
		.capability = CAP_CHECKPOINT_RESTORE,
		.probe = probe_last_pid,
		.spare = true,
		.without = "nothing is lacking: pidfd_getfd(2), without which there is no checkpoint, "
			   "is younger (5.6) than set_tid (5.5), which asks for no more than this",
	},
	[PRIV_USER_NAMESPACE] = {
		.name = "private numbers",
		.purpose = "restored processes see the numbers they had, and the host others",
		.rule = "an own user and pid namespace: any user, within user.max_user_namespaces, "
			"not from a chroot; AppArmor, seccomp or kernel.unprivileged_userns_clone "
			"(Debian's) may forbid it",
		.since = "3.8; in it set_tid as for an exact pid",
		.source = "kernel/user_namespace.c: create_user_ns()",
		.needs = LEVEL_USERNS,
		.capability = NO_CAPABILITY,
		.probe = probe_user_namespace,
		.without = "new numbers, when the user asks for them; else the restore is refused",
	},
	[PRIV_PRIVATE_PROC] = {
		.name = "private /proc",
		.purpose = "programs in a private pid namespace find themselves in /proc",
		.rule = "in an own user, pid and mount namespace; EPERM where the visible "
			"/proc is covered in places or read-only, as in many containers",
		.since = "3.8",
		.source = "fs/namespace.c: mount_too_revealing()",
		.needs = LEVEL_USERNS,
		.capability = NO_CAPABILITY,
		.probe = probe_private_proc,
		.without = "the program sees the /proc of the host, where it has another number",
	},
	[PRIV_IPC_IDS] = {
		.name = "System V ids",
		.purpose = "semaphores, queues and shared memory have the ids they had",
		.rule = "writing {sem,msg,shm}_next_id: " CR " in the user namespace that owns the "
			"ipc namespace",
		.since = "5.16; root as the owner of the files 3.9 to 5.15",
		.source = "ipc/ipc_sysctl.c: ipc_permissions()",
		.needs = LEVEL_CAP,
		.capability = CAP_CHECKPOINT_RESTORE,
		.probe = probe_ipc_ids,
		.without = "what is still there is used again, or all is made in a private IPC "
			   "namespace",
	},
	[PRIV_TIMER_IDS] = {
		.name = "POSIX timer ids",
		.purpose = "timers have the ids that the program knows them by",
		.rule = "PR_TIMER_CREATE_RESTORE_IDS: anybody, for itself",
		.since = "6.15; before, ids can only be used up one by one",
		.source = "kernel/time/posix-timers.c: posixtimer_create_prctl()",
		.needs = LEVEL_NONE,
		.capability = NO_CAPABILITY,
		.probe = probe_timer_ids,
		.without = "timers are made and deleted until the id comes up; high ids are refused",
	},
	[PRIV_TRACE] = {
		.name = "tracing",
		.purpose = "processes of the user are stopped and read",
		.rule = "ptrace(2): the same user and group ids thrice, the capabilities a subset of "
			"ours, dumpable; Yama (kernel.yama.ptrace_scope) and other LSMs may want "
			"it to be a descendant, CAP_SYS_PTRACE, or nobody at all",
		.since = "2.6; Yama 3.4",
		.source = "kernel/ptrace.c: __ptrace_may_access(), security/yama/yama_lsm.c",
		.needs = LEVEL_NONE,
		.capability = CAP_SYS_PTRACE,
		.probe = probe_trace,
		.without = "only descendants of the caller can be saved, or nothing",
	},
	[PRIV_DESCRIPTORS] = {
		.name = "descriptors",
		.purpose = "what a process has open is looked at through duplicates",
		.rule = "pidfd_getfd(2): as ptrace(2)",
		.since = "5.6; seccomp of containers may forbid it",
		.source = "kernel/pid.c: pidfd_getfd()",
		.needs = LEVEL_NONE,
		.capability = NO_CAPABILITY,
		.probe = probe_descriptors,
		.without = "the checkpoint of a process with open files fails, and it goes on",
	},
	[PRIV_KCMP] = {
		.name = "kcmp",
		.purpose = "which descriptors show the same open file",
		.rule = "ptrace access to both processes, CONFIG_KCMP",
		.since = "3.5; seccomp of containers may forbid it",
		.source = "kernel/kcmp.c",
		.needs = LEVEL_NONE,
		.capability = NO_CAPABILITY,
		.probe = probe_kcmp,
		.without = "the checkpoint of a process with open files is refused",
	},
	[PRIV_OTHER_USERS] = {
		.name = "other users' processes",
		.purpose = "root saves what belongs to others",
		.rule = "ptrace(2) with CAP_SYS_PTRACE in the user namespace of the process",
		.since = "2.2",
		.source = "kernel/ptrace.c: __ptrace_may_access()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_PTRACE,
		.probe = probe_other_users,
		.without = "the checkpoint is refused",
	},
	[PRIV_NOT_DUMPABLE] = {
		.name = "non-dumpable processes",
		.purpose = "programs that hide from their own user (agents with keys, setuid ones)",
		.rule = "ptrace(2) with CAP_SYS_PTRACE in the user namespace of the memory",
		.since = "2.4; in the namespace of the memory 4.10",
		.source = "kernel/ptrace.c: __ptrace_may_access()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_PTRACE,
		.probe = probe_not_dumpable,
		.without = "the checkpoint is refused",
	},
	[PRIV_MAP_FILES_OPEN] = {
		.name = "files behind mappings",
		.purpose = "the unmapped rest of a deleted file that is mapped privately, which is not used",
		.rule = "following a link of /proc/PID/map_files: " CR " in the initial user "
			"namespace, and ptrace access to the process",
		.since = "5.9; CAP_SYS_ADMIN alone 4.3 to 5.8",
		.source = "fs/proc/base.c: proc_map_files_get_link()",
		.needs = LEVEL_CAP,
		.capability = CAP_CHECKPOINT_RESTORE,
		.probe = probe_map_files_open,
		.without = "files are found by their names, and what has none is read through the "
			   "process itself; of a private mapping only the mapped pages",
	},
	[PRIV_FILTERS_READ] = {
		.name = "reading seccomp filters",
		.purpose = "sandboxed programs come back with their filters",
		.rule = "PTRACE_SECCOMP_GET_FILTER: CAP_SYS_ADMIN in the initial user namespace, no "
			"filter on the caller, CONFIG_CHECKPOINT_RESTORE",
		.since = "4.4",
		.source = "kernel/seccomp.c: seccomp_get_filter()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_ADMIN,
		.probe = probe_filters_read,
		.without = "only filters that tool and program have inherited from one ancestor, as in "
			   "a container; else the checkpoint is refused",
	},
	[PRIV_FILTERS_SUSPEND] = {
		.name = "suspending seccomp filters",
		.purpose = "a filtered program survives being asked what it is",
		.rule = "PTRACE_O_SUSPEND_SECCOMP: CAP_SYS_ADMIN in the initial user namespace, no "
			"filter on the caller, CONFIG_CHECKPOINT_RESTORE",
		.since = "4.3",
		.source = "kernel/ptrace.c: check_ptrace_options()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_ADMIN,
		.probe = probe_filters_suspend,
		.without = "as for reading them",
	},
	[PRIV_SET_MM_MAP] = {
		.name = "memory map",
		.purpose = "command line, environment, heap and auxiliary vector are where they were",
		.rule = "PR_SET_MM_MAP: anybody, for itself, in a kernel with CONFIG_CHECKPOINT_RESTORE",
		.since = "3.18; to gate it was proposed in 2026",
		.source = "kernel/sys.c: prctl_set_mm_map()",
		.needs = LEVEL_NONE,
		.capability = NO_CAPABILITY,
		.probe = probe_set_mm_map,
		.without = "the restore is refused: brk(2) would begin elsewhere",
	},
	[PRIV_EXE_LINK] = {
		.name = "executable link",
		.purpose = "/proc/PID/exe shows the program, also one whose file is gone",
		.rule = "PR_SET_MM_MAP with exe_fd: " CR " in the process's own user namespace",
		.since = "5.9; before, CAP_SYS_ADMIN there, or to be its root",
		.source = "kernel/sys.c: prctl_set_mm_map()",
		.needs = LEVEL_CAP,
		.capability = CAP_CHECKPOINT_RESTORE,
		.probe = probe_exe_link,
		.spare = true,
		.without = "nothing is lacking: the process executes the original file, at every level, "
			   "and is rebuilt in place",
	},
	[PRIV_TCP_REPAIR] = {
		.name = "TCP repair",
		.purpose = "established connections are taken up again",
		.rule = "TCP_REPAIR, and SO_SNDBUFFORCE beside it: CAP_NET_ADMIN in the user namespace "
			"that owns the network one",
		.since = "3.5",
		.source = "net/ipv4/tcp.c: tcp_can_repair_sock()",
		.needs = LEVEL_ROOT,
		.capability = CAP_NET_ADMIN,
		.probe = probe_tcp_repair,
		.without = "with --tcp-close they come back closed by the peer; else the restore is refused",
	},
	[PRIV_HANDLES] = {
		.name = "files by handle",
		.purpose = "what inotify watches, when its name is unknown",
		.rule = "open_by_handle_at(2): CAP_DAC_READ_SEARCH in the initial user namespace; from "
			"6.11 on also over a file system and mount of an own one",
		.since = "2.6.39",
		.source = "fs/fhandle.c: may_decode_fh()",
		.needs = LEVEL_ROOT,
		.capability = CAP_DAC_READ_SEARCH,
		.probe = probe_handles,
		.without = "what is watched is looked for by name: what the program has open or has "
			   "worked in, by inode; what is not found is refused",
	},
	[PRIV_KERNEL_FAULTS] = {
		.name = "page faults of the kernel",
		.purpose = "memory that arrives after the program runs, also when a system call needs it",
		.rule = "userfaultfd(2) without UFFD_USER_MODE_ONLY: CAP_SYS_PTRACE in the initial user "
			"namespace, access to /dev/userfaultfd, or vm.unprivileged_userfaultfd=1; to be "
			"told of forks (UFFD_FEATURE_EVENT_FORK): CAP_SYS_PTRACE",
		.since = "5.11 (the flag), 6.1 (the device)",
		.source = "fs/userfaultfd.c: userfaultfd_syscall_allowed()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_PTRACE,
		.probe = probe_kernel_faults,
		.spare = true,
		.without = "all memory is put in place before the program runs; restore --lazy is "
			   "refused",
	},
	[PRIV_TERMINAL_LOCKS] = {
		.name = "terminal locks",
		.purpose = "modes of a terminal that were locked against change are so again",
		.rule = "TIOCSLCKTRMIOS: " CR " in the initial user namespace",
		.since = "6.8; CAP_SYS_ADMIN alone before",
		.source = "drivers/tty/tty_ioctl.c: tty_mode_ioctl()",
		.needs = LEVEL_CAP,
		.capability = CAP_CHECKPOINT_RESTORE,
		.probe = probe_terminal_locks,
		.without = "the restore of a pseudo-terminal of the program's own that has some is refused",
	},
	[PRIV_CHANGE_USER] = {
		.name = "other user ids",
		.purpose = "programs come back with user ids that are not the caller's",
		.rule = "setresuid(2): CAP_SETUID, in the user namespace",
		.since = "2.2",
		.source = "kernel/sys.c: __sys_setresuid()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SETUID,
		.probe = probe_change_user,
		.without = "the restore of a program with other ids is refused",
	},
	[PRIV_CHANGE_GROUP] = {
		.name = "other group ids",
		.purpose = "programs come back with groups that are not the caller's",
		.rule = "setresgid(2), setgroups(2): CAP_SETGID, in the user namespace",
		.since = "2.2",
		.source = "kernel/groups.c: may_setgroups()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SETGID,
		.probe = probe_change_group,
		.without = "the restore of a program with other groups is refused",
	},
	[PRIV_SECURE_BITS] = {
		.name = "secure bits",
		.purpose = "secure bits and bounding set of programs that gave rights up",
		.rule = "PR_SET_SECUREBITS, PR_CAPBSET_DROP: CAP_SETPCAP, in the user namespace",
		.since = "2.6.26",
		.source = "security/commoncap.c: cap_task_prctl()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SETPCAP,
		.probe = probe_secure_bits,
		.without = "other secure bits are refused; a larger bounding set is let be, as any program "
			   "of the user's has it",
	},
	[PRIV_CHANGE_ROOT] = {
		.name = "root directory",
		.purpose = "programs in a chroot(2) come back in it",
		.rule = "chroot(2): CAP_SYS_CHROOT, in the user namespace",
		.since = "2.2",
		.source = "fs/open.c: SYSCALL_DEFINE1(chroot)",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_CHROOT,
		.probe = probe_change_root,
		.without = "the restore of a program with another root directory is refused",
	},
	[PRIV_RAISE_LIMITS] = {
		.name = "higher limits",
		.purpose = "resource limits above the hard limits of the caller",
		.rule = "setrlimit(2): CAP_SYS_RESOURCE in the initial user namespace",
		.since = "2.2",
		.source = "kernel/sys.c: do_prlimit()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_RESOURCE,
		.probe = probe_raise_limits,
		.without = "the restore is refused; but for the limits of processes and pending signals, "
			   "which are as high as they may be",
	},
	[PRIV_LOWER_OOM_SCORE] = {
		.name = "lower OOM score",
		.purpose = "programs that the kernel shall not end when memory is short",
		.rule = "writing oom_score_adj below the least that a privileged process has set: "
			"CAP_SYS_RESOURCE in the initial user namespace",
		.since = "2.6.36",
		.source = "fs/proc/base.c: __set_oom_adj()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_RESOURCE,
		.probe = probe_lower_oom_score,
		.without = "the restore is refused from a session whose score is higher",
	},
	[PRIV_LOWER_NICE] = {
		.name = "lower nice value",
		.purpose = "programs that come before others",
		.rule = "setpriority(2): within RLIMIT_NICE, else CAP_SYS_NICE in the initial user "
			"namespace",
		.since = "2.6.12",
		.source = "kernel/sched/syscalls.c: can_nice()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_NICE,
		.probe = probe_lower_nice,
		.without = "the restore is refused where RLIMIT_NICE does not allow the value",
	},
	[PRIV_REAL_TIME] = {
		.name = "real-time priority",
		.purpose = "SCHED_FIFO and SCHED_RR threads",
		.rule = "sched_setscheduler(2): within RLIMIT_RTPRIO, else CAP_SYS_NICE in the initial "
			"user namespace",
		.since = "2.6.12",
		.source = "kernel/sched/syscalls.c: user_check_sched_setscheduler()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_NICE,
		.probe = probe_real_time,
		.without = "the restore is refused where RLIMIT_RTPRIO does not allow the priority",
	},
	[PRIV_DEADLINE] = {
		.name = "deadlines",
		.purpose = "SCHED_DEADLINE threads",
		.rule = "sched_setattr(2): CAP_SYS_NICE in the initial user namespace",
		.since = "3.14",
		.source = "kernel/sched/syscalls.c: user_check_sched_setscheduler()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_NICE,
		.probe = probe_deadline,
		.without = "the restore is refused",
	},
	[PRIV_IO_REAL_TIME] = {
		.name = "real-time I/O",
		.purpose = "threads whose reads and writes come before all others",
		.rule = "ioprio_set(2): CAP_SYS_NICE or CAP_SYS_ADMIN in the initial user namespace",
		.since = "5.14; CAP_SYS_ADMIN alone before",
		.source = "block/ioprio.c: ioprio_check_cap()",
		.needs = LEVEL_ROOT,
		.capability = CAP_SYS_NICE,
		.probe = probe_io_real_time,
		.without = "the restore is refused",
	},
};

const struct priv_rule *priv_rule(enum priv_op op)
{
	return &rules[op];
}

const char *level_name(enum level level)
{
	static const char *const names[] = {
		[LEVEL_NONE] = "none",
		[LEVEL_USERNS] = "userns",
		[LEVEL_CAP] = "cap",
		[LEVEL_ROOT] = "root",
	};

	return names[level];
}
