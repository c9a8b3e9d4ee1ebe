/*
 * Pseudo-terminals as the kinds and the engine see them: which descriptor is which side of
 * which, and who else has one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "task/capture.h"
#include "task/description.h"

/* The N of /dev/pts/N that a descriptor of ours is the master of, or -1. */
int terminal_of_master(int fd);
/* ... that it shows, also by the name /dev/tty, and as hung up; or -1. */
int terminal_of_slave(int fd, const struct stat *st);
/* The N of /dev/pts/N that is the controlling terminal of a task; or -1: another one, or none. */
int terminal_of_task(const struct task *task);

/* What a member of the tree has of /dev/pts/N, or NULL. */
struct file *terminal_master(const struct capture *c, int number);
/* mode: the access that it is open for, at least (O_RDONLY, O_WRONLY). */
struct file *terminal_slave(const struct capture *c, int number, int mode);

/*
 * A process that is neither in the tree nor this one has a side of /dev/pts/N open as well.
 * Processes that we may not look into are not seen.  The first question looks for all.
 */
bool terminal_outside(struct capture *c, int number, struct holder *ret);

/* Task.terminal: the master of the terminal that the task, as leader of its session, controls; or 0. */
uint32_t terminal_to_lead(const struct capture *c, const struct task *task);
