/*
 * userfaultfd(2) of a task that is being rebuilt: its missing pages are put in place by whoever
 * has the descriptor, without being zeroed first.  Only faults of the program itself would
 * be told by it (UFFD_USER_MODE_ONLY), so no privilege is needed.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "task/rebuild.h"

/*
 * Made by the task, which is stopped, and had by us alone: it keeps none.  Returns the descriptor;
 * -EOPNOTSUPP: this kernel, or a filter, does not give it (no words).
 */
int uffd_open(const struct rebuilt_task *t, struct error **err);

/*
 * The same for a task that will run: faults of the kernel are told, too, and what becomes of the
 * mappings (fork(2), mremap(2), munmap(2), madvise(2)), each of which waits until it was read.
 */
int uffd_open_events(const struct rebuilt_task *t, struct error **err);

/* From now on whoever touches a page that is not there waits for it.  0 or -errno. */
int uffd_register(int uffd, uint64_t start, uint64_t end);

/* Puts pages in place that are not there.  *ret_done: how many bytes.  0 or -errno. */
int uffd_copy(int uffd, uint64_t to, const void *from, uint64_t size, uint64_t *ret_done);
