/*
 * Reading the mappings of a process: in pieces, for the text of many is larger than all that is
 * kept of it.
 */
#pragma once

#include "proc/maps.h"

/*
 * A file like /proc/PID/maps or smaps: 0 and *ret, which the caller frees (maps_free()), or -errno;
 * -EINVAL: it is no such text.
 */
int areas_read(int dirfd, const char *path, struct vm_areas *ret);
int areas_read_open(int fd, struct vm_areas *ret);
