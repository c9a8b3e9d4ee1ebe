#include "priv/priv.h"

#include <stddef.h>

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
		.probe = probe_exact_pid,
		.without = "a private pid namespace, in which every number is free",
	},
	[PRIV_USER_NAMESPACE] = {
		.name = "own user and pid namespace",
		.purpose = "restored processes see the numbers they had, and the host others",
		.rule = "any user, within user.max_user_namespaces, not from a chroot; "
			"AppArmor, seccomp or kernel.unprivileged_userns_clone (Debian's) may "
			"forbid it",
		.since = "3.8; in it set_tid as for an exact pid",
		.source = "kernel/user_namespace.c: create_user_ns()",
		.needs = LEVEL_USERNS,
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
		.probe = probe_private_proc,
		.without = "the restore is refused with that reason",
	},
	[PRIV_SET_MM_MAP] = {
		.name = "memory map of a process",
		.purpose = "command line, environment, heap and auxiliary vector show as they did",
		.rule = "anybody, for itself, in a kernel with CONFIG_CHECKPOINT_RESTORE",
		.since = "3.18; to gate it was proposed in 2026",
		.source = "kernel/sys.c: prctl_set_mm_map()",
		.needs = LEVEL_NONE,
		.probe = probe_set_mm_map,
		.without = "ps shows another command line, and brk() begins elsewhere",
	},
	[PRIV_EXE_LINK] = {
		.name = "executable link",
		.purpose = "/proc/PID/exe shows the program, also one whose file is gone",
		.rule = "PR_SET_MM_MAP with exe_fd: " CR " in the process's own user namespace",
		.since = "5.9; before, CAP_SYS_ADMIN there, or to be its root",
		.source = "kernel/sys.c: prctl_set_mm_map()",
		.needs = LEVEL_CAP,
		.probe = probe_exe_link,
		.without = "the process executes the original file and is rebuilt in place",
	},
	[PRIV_MAP_FILES_OPEN] = {
		.name = "files behind mappings",
		.purpose = "the content of mapped files that have no name any more",
		.rule = "following a link of /proc/PID/map_files: " CR " in the initial user "
			"namespace, and ptrace access to the process",
		.since = "5.9; CAP_SYS_ADMIN alone 4.3 to 5.8",
		.source = "fs/proc/base.c: proc_map_files_get_link()",
		.needs = LEVEL_CAP,
		.probe = probe_map_files_open,
		.without = "files are found by their names, and what has none is read through the "
			   "process itself; of a private mapping only the mapped pages",
	},
	[PRIV_KCMP] = {
		.name = "kcmp",
		.purpose = "which descriptors show the same open file",
		.rule = "ptrace access to both processes, CONFIG_KCMP",
		.since = "3.5; seccomp of containers may forbid it",
		.source = "kernel/kcmp.c",
		.needs = LEVEL_NONE,
		.probe = probe_kcmp,
		.without = "the checkpoint of a process with open files is refused",
	},
	[PRIV_TIMER_IDS] = {
		.name = "POSIX timer ids",
		.purpose = "timers have the ids that the program knows them by",
		.rule = "PR_TIMER_CREATE_RESTORE_IDS: anybody, for itself",
		.since = "6.15; before, ids can only be used up one by one",
		.source = "kernel/time/posix-timers.c: posixtimer_create_prctl()",
		.needs = LEVEL_NONE,
		.probe = probe_timer_ids,
		.without = "timers are made and deleted until the id comes up",
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
