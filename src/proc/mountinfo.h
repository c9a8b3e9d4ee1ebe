/*
 * /proc/PID/mountinfo: the mounts that a process sees.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct mount_entry {
	int id, parent;
	uint32_t dev_major, dev_minor;
	char *root;          /* unescaped; ends with "//deleted" when that directory is gone */
	char *point;         /* unescaped, relative to the reader's root */
	char *options;       /* of the mount: "rw,nosuid" */
	char *fs_type;
	char *source;        /* may be "" */
	char *super_options; /* of the file system */
	int shared, master;  /* peer groups; 0: none */
};

struct mount_table {
	VEC(struct mount_entry) list;
};

int mountinfo_parse(const char *text, size_t len, struct mount_table *ret);

/* By mnt_id as fdinfo gives it; NULL when that mount is not visible here. */
const struct mount_entry *mountinfo_find(const struct mount_table *table, int id);

void mountinfo_free(struct mount_table *table);
#define cleanup_mountinfo __attribute__((cleanup(mountinfo_free)))
