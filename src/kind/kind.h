/*
 * What a kind of kernel object is to the engine: how it is captured, validated,
 * restored and shown.  One kind, one file, one line in kinds.c, one message in
 * records.proto, one test (docs/ADDING-A-KIND.md).
 *
 * Two families share the table:
 * - files: kinds of open file descriptions (struct file_ops),
 * - state: what a process or a thread has (struct state_ops).
 *
 * Hooks return 0 or -errno with the error filled.  Obstacles are added with
 * refuse(), and the engine goes on asking the others, so that the user
 * hears of all at once.  Messages and all their parts are malloc'ed: the
 * engine frees them with protobuf_c_message_free_unpacked().
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "inject/batch.h"
#include "records.pb-c.h"
#include "task/capture.h"
#include "task/file.h"
#include "task/rebuild.h"
#include "task/task.h"

struct file_ops {
	/* This description is of this kind.  The first kind of the table that says so has it. */
	bool (*claims)(const struct file *f);
	/*
	 * Adds, by capture_description(), what nobody's table shows and only this one leads to
	 * (optional): descriptors that are on their way in a socket.  Called before any capture().
	 */
	int (*discover)(struct capture *c, struct file *f, struct error **err);
	/*
	 * Its record.  Changes nothing of the target: what f->own shows belongs
	 * to it (never read(2), lseek(2) or fcntl(F_SET...) on it).
	 * The engine fills the File message (field 1).
	 */
	int (*capture)(struct capture *c, struct file *f, ProtobufCMessage **ret,
		       struct error **err);
	/* Before the target is ended (--kill): nothing that matters has changed since (optional). */
	int (*may_end)(const struct file *f, const ProtobufCMessage *m, struct error **err);
	/*
	 * The target was ended (--kill), and f->own is the last that shows the description:
	 * now what its being closed would leave in the way of a restore (optional).
	 */
	void (*ended)(struct file *f, const ProtobufCMessage *m);
	/* The message is consistent in itself.  Pure: hostile input ends here. */
	int (*validate)(const ProtobufCMessage *m, struct error **err);
	/* It can be restored here and now (optional).  Changes nothing. */
	int (*check)(const struct rebuild *r, const ProtobufCMessage *m, struct error **err);
	/*
	 * Makes the description in the tool and returns its descriptor, with the
	 * access mode, status flags and position of the image.  Called once
	 * for each description, in the order of ids.
	 */
	int (*open)(struct rebuild *r, struct rebuilt_file *f, struct error **err);
	/*
	 * All contents are written, through the descriptors of rebuilt_share(),
	 * which are closed after this: now what writing would have changed or been
	 * forbidden by (optional).  Called for each description, in the order of ids.
	 */
	int (*fill_done)(struct rebuild *r, struct rebuilt_file *f, struct error **err);
	/*
	 * Instead of open(), for what names processes: called once all of them exist and before
	 * one of them runs.  The descriptor is handed to the tasks through a socket.
	 */
	int (*open_late)(struct rebuild *r, struct rebuilt_file *f, struct error **err);
	/*
	 * Adds calls that must be made by the task itself, once the descriptors of all tasks
	 * have their numbers (optional).  fd: its number there.  Called for one slot of each
	 * description: in the task that settler() names, else in the first that has it.
	 * Returns 1 when there is more than one batch holds: it is called again when these calls
	 * were made, and keeps in t->settled where it is.
	 */
	int (*settle)(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *m, int fd,
		      struct batch *b, struct error **err);
	bool stays; /* no process can hand it to another (SCM_RIGHTS) */
	bool settles_last; /* it watches others, which a settle() may replace */
	/* The process (its number in the image) that settle() is for; 0: any (optional). */
	uint32_t (*settler)(const ProtobufCMessage *m);
	/* The program is about to run, and nothing else can fail: now what others shall notice (optional). */
	int (*release)(struct rebuild *r, struct rebuilt_file *f, struct error **err);
	/* Adds the calls by which a task maps an area of it, where mmap(2) of f->fd would not do (optional). */
	int (*map)(const struct rebuild *r, const struct rebuilt_task *t, struct rebuilt_file *f,
		   const Rec__Area *area, struct batch *b, struct error **err);
	/* As those of struct state_ops. */
	bool (*taken)(struct rebuild *r, const ProtobufCMessage *m);
	void (*undo)(const struct rebuild *r, const ProtobufCMessage *m);
};

/* Where a hook finds what it asked for: any small numbers it likes. */
struct asked {
	uint64_t a[4];
};

enum state_phase {
	PHASE_EARLY,  /* before memory and descriptors are in place */
	PHASE_NORMAL, /* with memory and descriptors in place */
	PHASE_LATE,   /* last: what takes rights away */
};

struct state_ops {
	bool per_thread; /* else per process: asked in its main thread */
	enum state_phase phase;
	/* Adds calls whose results capture() wants (optional). They must not change the target. */
	int (*ask)(const struct capture *c, const struct thread *t, struct batch *b,
		   struct asked *asked);
	/* Its record; *ret may stay NULL: all as in a fresh process. */
	int (*capture)(struct capture *c, const struct thread *t, const struct batch *b,
		       const struct asked *asked, ProtobufCMessage **ret, struct error **err);
	int (*validate)(const ProtobufCMessage *m, struct error **err);
	int (*check)(const struct rebuild *r, const ProtobufCMessage *m, struct error **err);
	/*
	 * Adds calls that the restored thread makes (optional).  m is NULL when the
	 * image has no record: the kind may then reset what a fresh process inherits.
	 */
	int (*rebuild)(const struct rebuild *r, const struct rebuilt_thread *t,
		       const ProtobufCMessage *m, struct batch *b, struct error **err);
	/* What the tool does from outside, the thread being stopped, after rebuild() (optional). */
	int (*rebuild_outside)(const struct rebuild *r, const struct rebuilt_thread *t,
			       const ProtobufCMessage *m, struct error **err);
	/*
	 * It cannot have its name or number in our IPC namespace: it takes a private one
	 * (rebuild.private_ipc).  Asked before check(), and again when private_pids is set (optional).
	 */
	bool (*taken)(struct rebuild *r, const ProtobufCMessage *m);
	/* The restore failed: what was made and outlives processes goes (optional). */
	void (*undo)(const struct rebuild *r, const ProtobufCMessage *m);
};

struct kind {
	const char *name;  /* as shown to users: "eventfd" */
	uint32_t tag;      /* the frame type (records.proto) */
	const ProtobufCMessageDescriptor *schema;
	const struct file_ops *file;   /* exactly one of the two */
	const struct state_ops *state;
};

/* THE table. */
extern const struct kind *const kinds[];
extern const size_t kinds_count;

const struct kind *kind_by_tag(uint32_t tag);

/* A new message of the kind, initialised; NULL: no memory. */
void *kind_message(const struct kind *kind);
void message_free(ProtobufCMessage *m);

/* Field 1 of a file kind's message; NULL in a message that lacks it. */
Rec__File *kind_file(const ProtobufCMessage *m);
/* Field 1 of a state kind's message: the tid or pid. */
uint32_t kind_owner(const ProtobufCMessage *m);
