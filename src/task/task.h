/*
 * What a checkpoint knows: a tree of tasks, each with its threads, mappings and
 * descriptors.  "task" is a process here; the kernel's word for its parts is thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch/arch.h"
#include "base/error.h"
#include "base/vec.h"
#include "inject/inject.h"
#include "proc/fdinfo.h"
#include "proc/maps.h"
#include "proc/stat.h"
#include "proc/status.h"
#include "task/namespaces.h"

struct task;

/* PTRACE_GET_RSEQ_CONFIGURATION; all zeros: none, or a kernel that has no such thing. */
struct rseq_setting {
	uint64_t pointer;
	uint32_t size, signature, flags, pad;
};

struct thread {
	struct task *task;
	pid_t tid;      /* as the tool sees it */
	pid_t ns_tid;   /* as the program sees it */
	struct proc_status status;
	struct arch_regs regs; /* at the stop, unmended: the target continues with these */
	struct arch_regs saved; /* what the image holds: mended so that a new thread can continue */
	uint64_t sigmask;
	struct rseq_setting rseq;
	int group_stop; /* not 0: it was stopped by this signal (SIGSTOP, SIGTSTP, ...) */
	bool attached;
	bool wary;      /* it is under seccomp filters, which are ours, too (engine/filters.h) */
	bool stopped;   /* ... and stands still */

	/* In a call with a relative timeout (engine/timeout.h): what is left of it, in ns. */
	bool timed;
	uint64_t remaining;
	struct {
		bool seen; /* asleep in such a call, before it was interrupted */
		uint64_t since, switches;
		int cpu;
	} wait;
};

/* A number in a task's descriptor table. */
struct slot {
	int fd;
	bool cloexec;
	uint32_t file; /* id of the open file description */
};

struct own_lock {
	int fd;
	struct fd_lock lock;
};

struct task {
	pid_t pid;    /* as the tool sees it */
	pid_t ns_pid; /* as the program sees it */
	pid_t ns_ppid, ns_pgid, ns_sid;
	int pidfd;
	int proc; /* directory descriptor of /proc/PID */
	int mem;  /* /proc/PID/mem, for reading and writing */
	struct proc_stat stat;
	bool stat_known; /* it was read since the tree stands still */
	struct vm_areas areas;
	VEC(struct thread *) threads; /* the main one first; owned */
	VEC(struct slot) slots;       /* by number */
	VEC(struct own_lock) locks;   /* POSIX locks: on each of its descriptors of the file */
	struct leftovers leftovers;   /* of killed checkpoints */
	struct namespaces namespaces; /* of a process that was stopped */

	bool early;                   /* areas are from before it was stopped (engine/early.h) */
	bool adopts;                  /* it gets the orphans among its descendants (subreaper, init) */
	struct task *parent;          /* NULL: it is not in the tree */
	bool zombie;                  /* ended and not waited for: it has no threads here */
	/* With whom it shares what threads share (clone(2)), one that comes before it in the tree; or NULL. */
	struct task *memory_of, *files_of, *fs_of, *signals_of;
};

struct tree {
	VEC(struct task *) tasks; /* parents before children; owned */
	VEC(struct task *) by_pid; /* the same, by the numbers that the tool sees */
};

/* Takes the task over, as the last one: 0 or -ENOMEM, and then it is freed. */
int tree_add(struct tree *tree, struct task *task);
/* Takes it out and frees it. */
void tree_drop(struct tree *tree, struct task *task);
/* By the number that the tool sees; NULL: it is not in the tree. */
struct task *tree_find(const struct tree *tree, pid_t pid);

/*
 * Opens what a task is looked at through.  -ESRCH: there is no such process,
 * -EPERM and others as open(2) and pidfd_open(2).  The error says it in a sentence.
 */
int task_open(struct task **ret, pid_t pid, struct error **err);
void task_free(struct task *task);
void tree_free(struct tree *tree);
#define cleanup_tree __attribute__((cleanup(tree_free)))

struct thread *task_leader(const struct task *task);

/* A file below /proc/PID, whole; the caller frees *ret.  Returns the length or -errno. */
ssize_t task_slurp(const struct task *task, const char *name, char **ret);
/* The same of a file that is one record (fd_slurp_record()). */
ssize_t task_slurp_record(const struct task *task, const char *name, char **ret);
/*
 * A stopped process that its tracer lets go of wakes for a moment, and stops again by itself: waits
 * for that, so that nobody who runs already sees it awake.  A second at most; proc: its /proc/PID.
 */
void task_await_stop(int proc);

/* The target of a link below /proc/PID, malloc'ed, however long; or NULL with errno set. */
char *task_readlink(const struct task *task, const char *name);

/* Reads or writes the target's memory whatever its protection (FOLL_FORCE): 0 or -errno. */
int task_read_memory(const struct task *task, uint64_t address, void *buf, size_t size);
int task_write_memory(const struct task *task, uint64_t address, const void *buf, size_t size);

/* As above, but never forced: for what the program could read itself. */
ssize_t task_peek(const struct task *task, uint64_t address, void *buf, size_t size);
