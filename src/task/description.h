/*
 * What several kinds of open file descriptions need: who else holds the object
 * behind one, and the standard descriptors, whose other ends are outside.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "task/capture.h"
#include "task/rebuild.h"

struct holder {
	pid_t pid;
	char name[17]; /* comm */
};

/*
 * A process that is neither in the tree nor this one and has the pipe or socket f open as well.
 * Processes that we may not look into are not seen.  The first question about
 * any of them looks for the holders of all.
 */
bool holder_outside(struct capture *c, const struct file *f, struct holder *ret);
/* The same for a socket that only its inode is known of. */
bool holder_of_socket(struct capture *c, uint32_t inode, struct holder *ret);
/* The name of a process as the kernel shows it; "?" when it is gone. */
void holder_name(pid_t pid, char ret[17]);

/*
 * 0, 1 or 2 when the description, or one of the same object and access mode,
 * is that descriptor of a task; else -1.
 */
int standard_of(const struct capture *c, const struct file *f);

/* The user's replacement of the program's descriptor n (0, 1 or 2): one of the tool's own. */
int standard_source(const struct rebuild *r, unsigned int n);
/* It is open, and for at least the access mode of flags: else refuses. */
int standard_check(const struct rebuild *r, unsigned int n, uint32_t flags, struct error **err);
/* What the image left out is to be given (--inherit): refuses, with the number to give it for. */
int hole_check(const struct rebuild *r, uint32_t file, struct error **err);
/* A duplicate of it, made O_NONBLOCK or not as flags say. */
int standard_open(const struct rebuild *r, unsigned int n, uint32_t flags, struct error **err);

/* Sets those of mask (O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME, O_NONBLOCK) as flags have them. */
int description_set_status(int fd, uint32_t flags, uint32_t mask, struct error **err);

/* Another description of what a descriptor of ours shows (open(2) through /proc/self/fd): or -errno. */
int description_reopen(int fd, int flags);
