/*
 * The path of an inode that inotify watches.  The kernel tells its numbers only, and
 * opening it by its handle needs a privilege: so it is searched for, where programs watch
 * things, with a bound.
 */
#pragma once

#include "proc/fdinfo.h"
#include "task/capture.h"

/* As the task sees it, malloc'ed; NULL: not found. */
char *watched_path(const struct capture *c, const struct task *task,
		   const struct fd_inotify_watch *w);
