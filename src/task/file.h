/*
 * Open file descriptions of the target, and what is known of them from outside.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/vec.h"
#include "proc/fdinfo.h"
#include "task/task.h"

struct kind;

/*
 * One open file description (or, for a mapping whose descriptor was closed, the
 * file behind it: then fd is -1 and area is set).
 */
struct file {
	uint32_t id;         /* unique in the image, from 1 */
	const struct kind *kind;       /* its record has been asked for */
	const struct kind *claimed_by; /* or NULL: not known yet */
	struct task *task;   /* one task that has it, and ... */
	int fd;              /* ... its number there; -1: only mapped */
	int own;             /* our duplicate (pidfd_getfd), or -1 */
	struct stat st;
	char *link;          /* the target of /proc/PID/fd/N; for a mapping its path */
	bool deleted;        /* link ended in " (deleted)", which is cut off */
	int flags;           /* F_GETFL */
	struct fdinfo info;
	const struct vm_area *area; /* first mapping of it, where fd is -1 */
	bool executable;     /* it is /proc/PID/exe */
	bool described;      /* some process has, or had, a descriptor of it */
	uint64_t lasting;    /* equal for equal descriptions (same.c) */
	struct file *before, *behind; /* in the tree of capture_find_description() */
	ProtobufCMessage *found; /* what discover() of its kind has seen already, for capture(); or NULL */
};

struct file_table {
	VEC(struct file *) files;
	uint32_t last_id;
};

void file_free(struct file *f);
void file_table_free(struct file_table *t);
struct file *file_by_id(const struct file_table *t, uint32_t id);
/* The description behind a number of a task's table, or NULL. */
struct file *file_by_fd(const struct file_table *t, const struct task *task, int fd);

/* Takes over what a link of /proc says: the name, and whether it has gone. */
void file_take_link(struct file *f, char *link);

/* Only mappings show it, and it has no name: its content has to be copied out through them. */
bool file_needs_spilling(const struct file *f);

/* "descriptor 5 (/tmp/x) of process 42": how obstacles name it; the caller frees. */
char *file_describe(const struct file *f);
