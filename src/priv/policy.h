/*
 * What the kernel should say: pure functions from "who tries what on whom" to its answer.
 * `stasis audit` holds them against what the kernel does say.
 *
 * There are three policies, which differ in what map_files, process numbers and the executable
 * link ask for.  All the rest (ptrace access, file modes, seals) they have in common.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum access {
	/* On a process. */
	ACCESS_PTRACE,
	ACCESS_MAPS,
	ACCESS_MAP_READDIR,
	ACCESS_MAP_READLINK,
	ACCESS_MAP_LSTAT,
	ACCESS_MAP_STAT,
	ACCESS_MAP_READ,
	ACCESS_MAP_WRITE,
	ACCESS_MAP_TRUNCATE,
	ACCESS_MAP_DMABUF,
	ACCESS_FD_READDIR,
	ACCESS_FD_READLINK,
	ACCESS_FD_OPEN,
	ACCESS_FILE_BY_PATH,
	ACCESS_REOPEN_FILE,
	ACCESS_REOPEN_MEMFD,
	ACCESS_REOPEN_SEALED,
	ACCESS_REOPEN_READONLY,
	ACCESS_GETFD,
	ACCESS_VM_READV,
	ACCESS_MEM,
	ACCESS_PAGEMAP,
	ACCESS_PAGEMAP_PFN,
	ACCESS_KCMP,
	ACCESS_ON_SELF, /* from here on there is no victim */
	/* Numbers, and what a process may change of itself. */
	ACCESS_SET_TID = ACCESS_ON_SELF,
	ACCESS_SET_TID_OWN,
	ACCESS_LAST_PID,
	ACCESS_LAST_PID_OWN,
	ACCESS_MM_MAP,
	ACCESS_MM_EXE,
	ACCESS_UFFD_USER,
	ACCESS_UFFD_FULL,
	ACCESS_UFFD_DEVICE,
	/* Memory that is shared with somebody who is not trusted. */
	ACCESS_SHARED_TRUNCATE,
	ACCESS_SHARED_READ,
	ACCESS_SHRINK_TRUNCATE,
	ACCESS_SHRINK_READ,
	ACCESS_FUTURE_WRITE,
	ACCESS_FUTURE_MAP,
	ACCESS_FUTURE_REOPEN,
	ACCESS_FUTURE_OLD_MAP,
	ACCESS_EXEC_CHMOD,
	ACCESS_EXEC_WRITE,
	ACCESSES,
};

/* A result is 0 (permitted), -errno, or one of these. */
enum {
	RESULT_HIDDEN = 1, /* permitted, but zeros are shown for what was asked */
	RESULT_SIGBUS,     /* the memory is there no more */
	RESULT_ABSENT,     /* this kernel, or this machine, has no such thing */
	RESULT_BROKEN,     /* the trial itself failed */
};

/* A user namespace. */
struct policy_ns {
	const struct policy_ns *parent; /* NULL: the initial one */
	uid_t owner;                    /* who made it, as known in the parent */
	bool one_user;                  /* only uid and gid mean anybody in it */
	uid_t uid;
	gid_t gid;
};

struct policy_caller {
	uid_t uid; /* real, effective, saved and of the file system */
	gid_t gid;
	uint64_t caps; /* permitted and effective, in ns */
	const struct policy_ns *ns;
};

struct policy_file {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

struct policy_victim {
	uid_t uid[3]; /* real, effective, saved */
	gid_t gid[3];
	bool dumpable;
	uint64_t permitted;
	const struct policy_ns *ns;
	const struct policy_ns *mm_ns; /* where its program was executed */
	struct policy_file folder, file; /* an open, mapped file and where it is */
};

/* What of this machine decides beside the credentials. */
struct policy_facts {
	int yama;              /* kernel.yama.ptrace_scope, 0 also without Yama */
	int hidepid;           /* of /proc: 0, 1, 2, or 4 for "ptraceable" */
	gid_t hidepid_gid;     /* whose members are exempt; 0: nobody */
	bool free_userfaultfd; /* vm.unprivileged_userfaultfd */
	bool perfmon_reads;    /* Linux 6.15: CAP_PERFMON will do to read about memory */
	bool list_by_mm;       /* 2026, and stable kernels since: so for the list of map_files */
	bool sys_read_only;    /* /proc/sys is mounted read-only */
	int memfd_noexec;      /* vm.memfd_noexec */
	int own_namespaces;    /* 0, or -errno that an ordinary user hears who wants one */
	bool no_namespaces;    /* user.max_user_namespaces or max_pid_namespaces is 0 */
	struct policy_file uffd_device;
	const struct policy_ns *initial;  /* user namespace */
	const struct policy_ns *pid_owner; /* of the pid namespace */
};

/* The clause that decided. */
enum policy_why {
	WHY_FREE,         /* nothing is asked for */
	WHY_OWNER,        /* same ids, dumpable, no capability more */
	WHY_BY_MODE,      /* the modes of a file and its folders let pass */
	WHY_SYS_PTRACE,   /* CAP_SYS_PTRACE over the process */
	WHY_PERFMON,      /* may observe every process */
	WHY_CAPABLE,      /* has the capability that is asked for */
	WHY_IDS,          /* other ids */
	WHY_NOT_DUMPABLE,
	WHY_MORE_CAPS,    /* the process is permitted what the caller is not, or is elsewhere */
	WHY_YAMA,
	WHY_HIDEPID,
	WHY_MODE,         /* of a file or a folder */
	WHY_INCAPABLE,    /* lacks the capability that is asked for */
	WHY_NO_FILE,      /* the thing itself cannot be opened */
	WHY_SEALED,
	WHY_TRUNCATED,
	WHY_NAMESPACES,   /* own namespaces are not to be had */
	WHY_MOUNT,        /* a read-only mount */
	WHYS,
};

struct policy_answer {
	int result;
	enum policy_why why;
};

enum policy {
	POLICY_BEFORE_5_9,    /* CAP_SYS_ADMIN */
	POLICY_SINCE_5_9,     /* that or CAP_CHECKPOINT_RESTORE */
	POLICY_PTRACE_ATTACH, /* of 2020: who may attach, may follow map_files */
	POLICIES,
};

/* victim is NULL from ACCESS_ON_SELF on. */
struct policy_answer policy_before_5_9(enum access access, const struct policy_caller *caller,
				       const struct policy_victim *victim,
				       const struct policy_facts *facts);
struct policy_answer policy_since_5_9(enum access access, const struct policy_caller *caller,
				      const struct policy_victim *victim,
				      const struct policy_facts *facts);
struct policy_answer policy_ptrace_attach(enum access access, const struct policy_caller *caller,
					  const struct policy_victim *victim,
					  const struct policy_facts *facts);

/* One of them by its number. */
struct policy_answer policy_ask(enum policy policy, enum access access,
				const struct policy_caller *caller,
				const struct policy_victim *victim,
				const struct policy_facts *facts);
const char *policy_name(enum policy policy);

/*
 * Which of them a kernel of this version should follow.  A distribution may
 * have taken CAP_CHECKPOINT_RESTORE back to an older one: who knows the capability follows
 * the newer policy.
 */
enum policy policy_of_kernel(unsigned int major, unsigned int minor, bool knows_capability);

enum verdict {
	VERDICT_AGREES,
	VERDICT_STRICTER,  /* the kernel refuses what the policy permits */
	VERDICT_LOOSER,    /* it permits what the policy refuses */
	VERDICT_DIFFERENT, /* both refuse, for different reasons; or the trial failed */
	VERDICT_UNKNOWN,   /* nothing could be tried */
	VERDICTS,
};
enum verdict policy_compare(int kernel, int policy);
const char *verdict_name(enum verdict verdict);

/* cap in ns for a caller: security/commoncap.c, cap_capable(). */
bool policy_capable(const struct policy_caller *caller, const struct policy_ns *ns, int cap);
