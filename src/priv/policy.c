#include "priv/policy.h"

#include <errno.h>
#include <linux/capability.h>
#include <stddef.h>

#include "priv/caps.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38 /* Linux 5.8 */
#endif

#define CALL const struct policy_caller *caller, const struct policy_victim *victim, \
	     const struct policy_facts *facts

static struct policy_answer permit(enum policy_why why)
{
	return (struct policy_answer){0, why};
}

static struct policy_answer deny(int errnum, enum policy_why why)
{
	return (struct policy_answer){-errnum, why};
}

/* ---- What all kernels have in common --------------------------------------------------- */

/*
 * A capability counts in its own namespace and those below it; who made a
 * namespace has all of them over it.
 */
bool policy_capable(const struct policy_caller *caller, const struct policy_ns *ns, int cap)
{
	for (; ns; ns = ns->parent) {
		if (ns == caller->ns)
			return caller->caps >> cap & 1;
		if (ns->parent == caller->ns && ns->owner == caller->uid)
			return true;
	}
	return false;
}

/* kernel/ptrace.c: __ptrace_may_access(), with the hooks of commoncap and Yama behind it. */
static struct policy_answer may_ptrace(CALL, bool attach)
{
	bool capable = policy_capable(caller, victim->ns, CAP_SYS_PTRACE);
	bool same = true;

	for (int i = 0; i < 3; i++)
		same = same && caller->uid == victim->uid[i] && caller->gid == victim->gid[i];
	if (!same && !capable)
		return deny(EPERM, WHY_IDS);
	if (!victim->dumpable && !policy_capable(caller, victim->mm_ns, CAP_SYS_PTRACE))
		return deny(EPERM, WHY_NOT_DUMPABLE);
	if (!capable && (caller->ns != victim->ns || victim->permitted & ~caller->caps))
		return deny(EPERM, WHY_MORE_CAPS);
	/* A caller of the audit is neither an ancestor nor the declared tracer of a victim. */
	if (attach && (facts->yama >= 3 || (facts->yama >= 1 && !capable)))
		return deny(EPERM, WHY_YAMA);
	return permit(same && victim->dumpable && !(victim->permitted & ~caller->caps)
			      ? WHY_OWNER
			      : WHY_SYS_PTRACE);
}

/* A capability over files counts for those whose owner means somebody in the namespace. */
static bool capable_over_file(const struct policy_caller *caller, const struct policy_file *file,
			      int cap)
{
	const struct policy_ns *ns = caller->ns;

	if (ns->one_user && (file->uid != ns->uid || file->gid != ns->gid))
		return false;
	return caller->caps >> cap & 1;
}

enum { MODE_SEARCH = 1, MODE_WRITE = 2, MODE_READ = 4 };

/* fs/namei.c: generic_permission(), for files that nobody executes. */
static bool mode_permits(const struct policy_caller *caller, const struct policy_file *file,
			 unsigned int want)
{
	unsigned int bits = file->mode;

	if (caller->uid == file->uid)
		bits >>= 6;
	else if (caller->gid == file->gid)
		bits >>= 3;
	if ((bits & want) == want)
		return true;
	return capable_over_file(caller, file, CAP_DAC_OVERRIDE) ||
	       (!(want & MODE_WRITE) && capable_over_file(caller, file, CAP_DAC_READ_SEARCH));
}

/*
 * The way to /proc/PID/NAME, of this mode: the mount option hidepid, and then the mode.  What is
 * not dumpable belongs to root (task_dump_owner()).
 */
static struct policy_answer proc_entry(CALL, mode_t mode, unsigned int want)
{
	const struct policy_file entry = {
		.uid = victim->dumpable ? victim->uid[1] : 0,
		.gid = victim->dumpable ? victim->gid[1] : 0,
		.mode = mode,
	};

	if (facts->hidepid && may_ptrace(caller, victim, facts, false).result < 0 &&
	    (facts->hidepid == 4 || !facts->hidepid_gid || caller->gid != facts->hidepid_gid))
		return deny(facts->hidepid == 2 ? ENOENT : EPERM, WHY_HIDEPID);
	if (!mode_permits(caller, &entry, want))
		return deny(EACCES, WHY_MODE);
	return permit(WHY_FREE);
}

/* EACCES is what the system calls on files say for a refused ptrace. */
static struct policy_answer as_file(struct policy_answer a)
{
	return a.result < 0 ? deny(EACCES, a.why) : a;
}

/* An entry of /proc/PID that is opened. */
static struct policy_answer proc_open(CALL, mode_t mode, bool attach)
{
	struct policy_answer a = proc_entry(caller, victim, facts, mode, MODE_READ);

	return a.result < 0 ? a : as_file(may_ptrace(caller, victim, facts, attach));
}

/* kernel/fork.c: mm_access(), which lets those read of memory who may observe every process. */
static struct policy_answer mm_access(CALL, mode_t mode, unsigned int want)
{
	struct policy_answer a = proc_entry(caller, victim, facts, mode, want);

	if (a.result < 0)
		return a;
	a = as_file(may_ptrace(caller, victim, facts, false));
	if (a.result < 0 && facts->perfmon_reads &&
	    (policy_capable(caller, facts->initial, CAP_PERFMON) ||
	     policy_capable(caller, facts->initial, CAP_SYS_ADMIN)))
		return permit(WHY_PERFMON);
	return a;
}

/* The links in /proc/PID/fd: a folder that only its owner may search, then ptrace read. */
static struct policy_answer fd_link(CALL)
{
	struct policy_answer a = proc_entry(caller, victim, facts, 0500, MODE_SEARCH);

	return a.result < 0 ? a : as_file(may_ptrace(caller, victim, facts, false));
}

/* The file behind a link counts with its own mode, and the folders on its path do not. */
static struct policy_answer file_behind(struct policy_answer link,
					const struct policy_caller *caller,
					const struct policy_file *file, unsigned int want)
{
	if (link.result < 0 || mode_permits(caller, file, want))
		return link;
	return deny(EACCES, WHY_MODE);
}

static struct policy_answer reopen(CALL, enum access access)
{
	struct policy_answer link = fd_link(caller, victim, facts);
	const struct policy_file memory = {victim->uid[1], victim->gid[1], 0666};

	if (access == ACCESS_FD_OPEN)
		return file_behind(link, caller, &victim->file, MODE_READ);
	if (access == ACCESS_REOPEN_FILE)
		return file_behind(link, caller, &victim->file, MODE_READ | MODE_WRITE);
	link = file_behind(link, caller, &memory, MODE_READ | MODE_WRITE);
	/* A descriptor for writing is given, and then what is written refused. */
	if (link.result == 0 && access == ACCESS_REOPEN_SEALED)
		return deny(EPERM, WHY_SEALED);
	return link;
}

static struct policy_answer by_path(const struct policy_caller *caller,
				    const struct policy_victim *victim)
{
	if (!mode_permits(caller, &victim->folder, MODE_SEARCH) ||
	    !mode_permits(caller, &victim->file, MODE_READ | MODE_WRITE))
		return deny(EACCES, WHY_MODE);
	return permit(WHY_BY_MODE);
}

static struct policy_answer page_frames(CALL)
{
	struct policy_answer a = mm_access(caller, victim, facts, 0400, MODE_READ);

	if (a.result < 0)
		return a;
	return policy_capable(caller, facts->initial, CAP_SYS_ADMIN)
		       ? permit(WHY_CAPABLE)
		       : (struct policy_answer){RESULT_HIDDEN, WHY_INCAPABLE};
}

static struct policy_answer on_process(enum access access, CALL)
{
	switch (access) {
	case ACCESS_PTRACE:
	case ACCESS_GETFD:
	case ACCESS_VM_READV:
		return may_ptrace(caller, victim, facts, true);
	case ACCESS_KCMP:
		return may_ptrace(caller, victim, facts, false);
	case ACCESS_MAPS:
		return mm_access(caller, victim, facts, 0444, MODE_READ);
	case ACCESS_MEM:
		return proc_open(caller, victim, facts, 0600, true);
	case ACCESS_PAGEMAP:
		return mm_access(caller, victim, facts, 0400, MODE_READ);
	case ACCESS_MAP_LSTAT:
		return mm_access(caller, victim, facts, 0500, MODE_SEARCH);
	case ACCESS_PAGEMAP_PFN:
		return page_frames(caller, victim, facts);
	case ACCESS_MAP_READDIR:
		return facts->list_by_mm ? mm_access(caller, victim, facts, 0500, MODE_READ)
					 : proc_open(caller, victim, facts, 0500, false);
	case ACCESS_MAP_READLINK:
	case ACCESS_FD_READLINK:
		return fd_link(caller, victim, facts);
	case ACCESS_FD_READDIR:
		return proc_entry(caller, victim, facts, 0500, MODE_READ);
	case ACCESS_FILE_BY_PATH:
		return by_path(caller, victim);
	default:
		return reopen(caller, victim, facts, access);
	}
}

static struct policy_answer sealed(enum access access, const struct policy_facts *facts)
{
	switch (access) {
	case ACCESS_SHARED_READ:
		return (struct policy_answer){RESULT_SIGBUS, WHY_TRUNCATED};
	case ACCESS_SHARED_TRUNCATE:
	case ACCESS_SHRINK_READ:
	case ACCESS_FUTURE_OLD_MAP:
		return permit(WHY_FREE);
	case ACCESS_EXEC_WRITE:
		/* Where no memfd may be executable there is none to be tried. */
		return facts->memfd_noexec >= 2 ? deny(EACCES, WHY_MODE) : deny(EPERM, WHY_SEALED);
	default:
		return deny(EPERM, WHY_SEALED);
	}
}

/* fs/userfaultfd.c: a capability in the initial namespace, or a device that one may open. */
static struct policy_answer userfault(enum access access, const struct policy_caller *caller,
				      const struct policy_facts *facts)
{
	if (access == ACCESS_UFFD_USER)
		return permit(WHY_FREE);
	if (access == ACCESS_UFFD_DEVICE)
		return mode_permits(caller, &facts->uffd_device, MODE_READ | MODE_WRITE)
			       ? permit(WHY_BY_MODE)
			       : deny(EACCES, WHY_MODE);
	if (facts->free_userfaultfd)
		return permit(WHY_FREE);
	return policy_capable(caller, facts->initial, CAP_SYS_PTRACE)
		       ? permit(WHY_CAPABLE)
		       : deny(EPERM, WHY_INCAPABLE);
}

/* In namespaces of one's own making one has every capability: what counts is to get there. */
static struct policy_answer in_own_namespaces(const struct policy_caller *caller,
					      const struct policy_facts *facts)
{
	int refused = facts->own_namespaces;

	/* Debian's kernel.unprivileged_userns_clone=0 is for those who are not. */
	if (refused == -EPERM && policy_capable(caller, facts->initial, CAP_SYS_ADMIN))
		refused = 0;
	if (refused == 0 && facts->no_namespaces)
		refused = -ENOSPC;
	return refused ? deny(-refused, WHY_NAMESPACES) : permit(WHY_CAPABLE);
}

/* ---- What they differ in --------------------------------------------------------------- */

/* The capabilities that will do, any of them, as a mask. */
#define ADMIN (UINT64_C(1) << CAP_SYS_ADMIN)
#define ADMIN_OR_CR (ADMIN | UINT64_C(1) << CAP_CHECKPOINT_RESTORE)

static struct policy_answer any_of(uint64_t caps, const struct policy_caller *caller,
				   const struct policy_ns *ns, int errnum)
{
	for (int cap = 0; cap < 64; cap++)
		if (caps >> cap & 1 && policy_capable(caller, ns, cap))
			return permit(WHY_CAPABLE);
	return deny(errnum, WHY_INCAPABLE);
}

/* To where a link of map_files leads, once it may be followed. */
static struct policy_answer mapped_file(enum access access, const struct policy_caller *caller,
					const struct policy_victim *victim,
					struct policy_answer link)
{
	const struct policy_file buffer = {victim->uid[1], victim->gid[1], 0600};

	switch (access) {
	case ACCESS_MAP_STAT:
		return link;
	case ACCESS_MAP_READ:
		return file_behind(link, caller, &victim->file, MODE_READ);
	case ACCESS_MAP_DMABUF:
		link = file_behind(link, caller, &buffer, MODE_READ);
		/* Its inode has no open function. */
		return link.result < 0 ? link : deny(ENXIO, WHY_NO_FILE);
	default:
		return file_behind(link, caller, &victim->file, MODE_WRITE);
	}
}

static bool follows_map_files(enum access access)
{
	return access >= ACCESS_MAP_STAT && access <= ACCESS_MAP_DMABUF;
}

/* caps: what stands for "checkpoint and restore"; exe_errno: the refusal of an executable link. */
static struct policy_answer by_capability(uint64_t caps, int exe_errno, enum access access, CALL)
{
	struct policy_answer link;

	switch (access) {
	case ACCESS_SET_TID:
		return any_of(caps, caller, facts->pid_owner, EPERM);
	case ACCESS_LAST_PID:
		if (facts->sys_read_only)
			return deny(EROFS, WHY_MOUNT);
		return any_of(caps, caller, facts->pid_owner, EPERM);
	case ACCESS_LAST_PID_OWN:
		if (facts->sys_read_only)
			return deny(EROFS, WHY_MOUNT);
		return in_own_namespaces(caller, facts);
	case ACCESS_SET_TID_OWN:
		return in_own_namespaces(caller, facts);
	case ACCESS_MM_EXE:
		return any_of(caps, caller, caller->ns, exe_errno);
	case ACCESS_MM_MAP:
		return permit(WHY_FREE);
	case ACCESS_UFFD_USER:
	case ACCESS_UFFD_FULL:
	case ACCESS_UFFD_DEVICE:
		return userfault(access, caller, facts);
	default:
		break;
	}
	if (access > ACCESS_ON_SELF)
		return sealed(access, facts);
	if (!follows_map_files(access))
		return on_process(access, caller, victim, facts);
	link = fd_link(caller, victim, facts);
	if (link.result == 0)
		link = any_of(caps, caller, facts->initial, EPERM);
	return mapped_file(access, caller, victim, link);
}

struct policy_answer policy_before_5_9(enum access access, CALL)
{
	return by_capability(ADMIN, EINVAL, access, caller, victim, facts);
}

struct policy_answer policy_since_5_9(enum access access, CALL)
{
	return by_capability(ADMIN_OR_CR, EPERM, access, caller, victim, facts);
}

/* It was about map_files alone. */
struct policy_answer policy_ptrace_attach(enum access access, CALL)
{
	struct policy_answer link;

	if (!follows_map_files(access))
		return policy_since_5_9(access, caller, victim, facts);
	link = fd_link(caller, victim, facts);
	if (link.result == 0)
		link = may_ptrace(caller, victim, facts, true);
	return mapped_file(access, caller, victim, link);
}

struct policy_answer policy_ask(enum policy policy, enum access access, CALL)
{
	switch (policy) {
	case POLICY_BEFORE_5_9:
		return policy_before_5_9(access, caller, victim, facts);
	case POLICY_PTRACE_ATTACH:
		return policy_ptrace_attach(access, caller, victim, facts);
	default:
		return policy_since_5_9(access, caller, victim, facts);
	}
}

const char *policy_name(enum policy policy)
{
	static const char *const names[] = {
		[POLICY_BEFORE_5_9] = "before-5.9",
		[POLICY_SINCE_5_9] = "since-5.9",
		[POLICY_PTRACE_ATTACH] = "ptrace-attach",
	};

	return names[policy];
}

enum policy policy_of_kernel(unsigned int major, unsigned int minor, bool knows_capability)
{
	return knows_capability || major > 5 || (major == 5 && minor >= 9) ? POLICY_SINCE_5_9
									   : POLICY_BEFORE_5_9;
}

/* ---- The kernel against a policy ------------------------------------------------------- */

enum verdict policy_compare(int kernel, int policy)
{
	if (kernel == RESULT_ABSENT)
		return VERDICT_UNKNOWN;
	if (kernel == policy)
		return VERDICT_AGREES;
	if (kernel == RESULT_BROKEN || kernel == RESULT_SIGBUS || policy == RESULT_SIGBUS)
		return VERDICT_DIFFERENT;
	/* Hidden is more than refused, and less than permitted. */
	if (kernel == 0 || (kernel == RESULT_HIDDEN && policy < 0))
		return VERDICT_LOOSER;
	return policy == 0 || policy == RESULT_HIDDEN ? VERDICT_STRICTER : VERDICT_DIFFERENT;
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {
		[VERDICT_AGREES] = "agrees",       [VERDICT_STRICTER] = "stricter",
		[VERDICT_LOOSER] = "looser",       [VERDICT_DIFFERENT] = "different",
		[VERDICT_UNKNOWN] = "unknown",
	};

	return names[verdict];
}
