/*
 * A restore in progress: what the kinds read from and add to.
 *
 * The tool opens every description of the image once (files[].fd); the tasks
 * inherit these descriptors under the same numbers and move them to their
 * places by dup3(2) in a batch.
 */
#pragma once

#include <fcntl.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/vec.h"
#include "records.pb-c.h"

struct injection;
struct kind;

/* A description that is being restored. */
struct rebuilt_file {
	uint32_t id;
	const struct kind *kind;
	ProtobufCMessage *message;
	int fd;       /* in the tool and, until the descriptors are arranged, in the tasks; -1: not open */
	bool in_slot; /* some descriptor of some task shows it */
	bool mapped;  /* some mapping shows it, or it is an executable */
	bool map_write; /* ... shared and writable */
	bool made;     /* a task has made what it shows, or will: of kinds that are made by tasks */
	bool replaced; /* another one was given for it: it is not opened */
	uint32_t given; /* id of that one; 0: none */
	bool late;     /* opened when all processes exist, which were given it under other numbers */
};

struct rebuilt_thread {
	struct rebuilt_task *task;
	Rec__Thread *record;
	pid_t tid;     /* as the tool sees it */
	pid_t ns_tid;  /* as the program sees it: the old number, or a new one with --pid=new */
};

/* Where a task has a file that came late. */
struct rebuilt_late {
	uint32_t file;
	int fd;
};

struct rebuilt_task {
	Rec__Task *record;
	Rec__Memory *memory; /* NULL: another's, or a zombie's */
	VEC(struct rebuilt_thread) threads; /* the main one first */
	/* As the records say, all of them before it in the image; NULL: none. */
	struct rebuilt_task *parent, *memory_of, *files_of, *fs_of, *signals_of, *copy_of;
	struct injection *injection; /* of its address space: its own, or that of memory_of */
	VEC(struct rebuilt_late) late;
	pid_t pid;   /* as the tool sees it; 0: it is not there yet */
	pid_t ended_pid; /* of a zombie, whose pid is 0 */
	pid_t ns_pid;
	int proc; /* directory descriptor of /proc/PID */
	int mem;
	size_t settled; /* how far a settle() of several batches has got; 0 at its first call */
	/* Of a program without a vdso: this kernel's, which the restore works in, to be unmapped last. */
	uint64_t lent_code;
	uint64_t lent_size;
};

/* The memory that the task has, its own or another's; NULL: a zombie's. */
static inline const Rec__Memory *rebuilt_memory(const struct rebuilt_task *t)
{
	return t->memory_of ? t->memory_of->memory : t->memory;
}

/* State of a process or a thread, to be restored by its kind. */
struct rebuilt_state {
	const struct kind *kind;
	ProtobufCMessage *message;
};

struct rebuilt_shared {
	uint32_t space;
	uint64_t key;
	int fds[2]; /* -1: none */
	bool done;  /* for what its kind does once */
};

enum pid_policy {
	PID_AUTO,    /* the same numbers; else the same in a private namespace */
	PID_SAME,
	PID_PRIVATE,
	PID_NEW,     /* whatever the kernel gives */
};

/* A descriptor of ours for one of the program; O_PATH: to be opened as the program had it open. */
struct inherited {
	uint32_t pid; /* as the image has it; 0: the root */
	uint32_t fd;
	int given;
};

struct restore_options {
	enum pid_policy pid_policy;
	int standard[3];            /* descriptors of ours that take the place of external 0, 1, 2; -1: our own */
	bool standard_given[3];
	bool unix_close;            /* Unix connections to outside come back closed, not connected again */
	const struct inherited *inherit;
	size_t inherit_count;
	bool tcp_close;             /* established TCP connections become closed ones */
	/*
	 * Told of the bytes of memory that were put in place, now and then, and of UINT64_MAX when
	 * all is there and the program is about to run; may be NULL.
	 */
	void (*progress)(void *arg, uint64_t bytes);
	void *progress_arg;
	bool foreground;            /* the tool stays as the parent */
	bool lazy;                  /* memory comes when it is asked for */
	size_t copies;              /* so many are made at a time; 0: one */
};

struct rebuild {
	const struct restore_options *options;
	Rec__Inventory *inventory;
	Rec__Parent *parent; /* of an incremental image, else NULL */
	VEC(struct rebuilt_task *) tasks; /* the root first, parents before children */
	/* For leaders of sessions and groups that had ended: they live only as long as it takes. */
	VEC(struct rebuilt_task *) stand_ins;
	VEC(struct rebuilt_file) files;
	VEC(struct rebuilt_state) states; /* sorted by tag and owner */
	VEC(struct rebuilt_shared) shared;
	bool private_pids; /* the tasks live in a private user, pid and mount namespace */
	bool private_ipc;  /* ... and a private IPC namespace */
	int within; /* pidfd of a process of that IPC namespace (not owned), or -1: it is ours */
	int root; /* of that: the program's files are opened there; AT_FDCWD: they see what we see */
	int late_socket[2]; /* ours, and the one that all tasks have: for files that come late; -1: none do */
};

struct rebuilt_file *rebuilt_file(const struct rebuild *r, uint32_t id);
/* The description that a number of the task shows, or NULL. */
struct rebuilt_file *rebuilt_slot(const struct rebuild *r, const struct rebuilt_task *t, uint32_t fd);
/* By the number that the image knows it by; NULL: there is none. */
struct rebuilt_task *rebuilt_task(const struct rebuild *r, uint32_t pid);
struct rebuilt_thread *rebuilt_thread(const struct rebuild *r, uint32_t tid);
/* What a pid or tid of the image is now, as the program sees it (another one with --pid=new only). */
pid_t rebuilt_number(const struct rebuild *r, pid_t old);

/* Finds or makes the entry of (space, key); a new one has fds {-1, -1}.  NULL: no memory. */
struct rebuilt_shared *rebuilt_share(struct rebuild *r, uint32_t space, uint64_t key);

/* Every field that is not zero at first. */
#define REBUILD_INIT .root = AT_FDCWD, .within = -1, .late_socket = {-1, -1}

/* A task that is no longer wanted: all it owns. */
void rebuilt_task_free(struct rebuilt_task *t);
void rebuild_free(struct rebuild *r);
#define cleanup_rebuild __attribute__((cleanup(rebuild_free)))
