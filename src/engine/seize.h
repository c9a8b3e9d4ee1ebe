/* Stopping a tree of tasks, and reading what they are while they stand still. */
#pragma once

#include <sys/ptrace.h>

#include "base/error.h"
#include "engine/early.h"
#include "task/capture.h"
#include "task/task.h"

/* Never PTRACE_O_EXITKILL here: a target outlives us. */
#define CAPTURE_OPTIONS ((unsigned long)PTRACE_O_TRACESYSGOOD)

/*
 * Who can never be checkpointed, and why, without stopping anybody: no such
 * process, a kernel thread, a zombie, another user's, one that is traced, ...
 */
int survey_task(const struct task *task, const struct proc_stat *stat, struct error **err);

/* What a running target may change until it is stopped: namespaces, rights.  Adds obstacles. */
void survey_stopped(const struct task *task, const struct namespaces *ours, struct error **err);

/*
 * The tree has its root: all threads of that and of its descendants are stopped, who become
 * members.  only: the root alone.  *ret_began gets the time (CLOCK_MONOTONIC) of the first
 * interrupt.  On failure all go on.
 */
int seize_tree(struct tree *tree, bool only, uint64_t *ret_began, struct error **err);

/*
 * Reads status, registers and mappings of the stopped task, after those of its parent.  early: what is
 * known of mappings already.
 */
int read_task(struct task *task, const struct early_list *early, struct error **err);
/* The little that a zombie is. */
int read_zombie(struct task *task, struct error **err);

/* Lets all threads go on (a group-stop stays one). */
void release_task(struct task *task, int signal);

/* Right after the stop: reads the registers, and mends what our stopping did to a system call. */
int mend_interrupted(struct thread *t);

/*
 * Mends the registers of all threads: regs, with which the target goes on, where it was in a
 * restartable sequence; saved, for a new thread that has no kernel state of a system call.
 */
int mend_task(struct task *task, struct error **err);
