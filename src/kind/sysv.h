/*
 * System V IPC: sysv.c has what sets and queues are in an image, sysv-look.c finds them,
 * sysv-make.c makes them again; sysv-undo.c, sysv-shm.c and sysv-shm-open.c are kinds of their own.
 *
 * An object belongs to nobody: it is there until somebody removes it, and who knows its number may
 * use it.  It is the tree's when a process of the tree has attached it, made it, was the last to
 * use it, or stands in a call on it.  In an IPC namespace that is not the tool's, as a restore
 * makes it, all are the tree's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/types.h>

#include "kind/kind.h"

extern const struct kind kind_sysv, kind_sysv_undo, kind_sysv_shm;

enum sysv_type {
	SYSV_SHM,
	SYSV_SEM,
	SYSV_MSG,
};

/* As the kernel tells it. */
struct sysv_object {
	enum sysv_type type;
	int id;
	key_t key;
	uid_t uid;
	gid_t gid;
	unsigned int mode;   /* permissions, and SHM_DEST, SHM_LOCKED */
	uint64_t changed;
	uint64_t size;       /* bytes of a segment or of a queue's limit, semaphores of a set */
	uint64_t count;      /* attachments, messages */
	uint64_t used[2];    /* otime of a set; stime and rtime of a queue; atime and dtime */
	pid_t outsider;      /* of a set or queue: somebody else used it as well; 0: nobody */
	uint32_t user;       /* 1 + the index in the tree of the first process whose it is; 0: none */
};

/* A process of the tree. */
struct sysv_process {
	pid_t pid;           /* as the tool sees it */
	uid_t uid;
	uint64_t began;      /* seconds since the epoch */
	uint32_t user;       /* 1 + its index in the tree */
};

struct sysv_table {
	size_t count;
	size_t bytes;        /* of this memory */
	size_t process_count;
	struct sysv_process *processes; /* in the order of their numbers */
	size_t used;         /* so many at the beginning of the list are the tree's */
	bool refused;        /* whoever fills it may not read sets of others that are closed */
	struct sysv_object list[];
};

/* All objects of our IPC namespace. */
int sysv_look(struct sysv_table **ret, struct error **err);
/* All objects of the tree's, each with its user. */
int sysv_scan(const struct capture *c, struct sysv_table **ret, struct error **err);
/* The same, once for all of a checkpoint.  NULL: *err says why. */
const struct sysv_table *sysv_look_at(struct capture *c, struct error **err);
void sysv_table_free(struct sysv_table **t);
#define cleanup_sysv_table __attribute__((cleanup(sysv_table_free)))

/* When it was used last, or changed. */
uint64_t sysv_last_use(const struct sysv_object *o);
/* Clock ticks since the boot as seconds since the epoch. */
uint64_t sysv_time(uint64_t ticks);

const struct sysv_object *sysv_find(const struct sysv_table *t, enum sysv_type type, int id);
/* For priv_within(): a process of the tree when its IPC namespace is another one than ours, else -1. */
int sysv_within(const struct capture *c);

Rec__SysvObject *sysv_record(const struct capture *c, const struct sysv_object *o);
bool sysv_object_valid(const Rec__SysvObject *m);

/* "System V semaphore set 3 (key 0x1234)": the caller frees. */
char *sysv_describe(enum sysv_type type, const Rec__SysvObject *m);

/* How an object of an image comes back. */
enum sysv_place {
	SYSV_NEW,   /* it is made, with its number and key */
	SYSV_THERE, /* it is still there, just as it was left, and nobody uses it */
	SYSV_TAKEN, /* another one has its number or key, or somebody uses it */
};

/* Decides that, and remembers SYSV_NEW.  same: beyond what all have, it is as it was. */
enum sysv_place sysv_plan(struct rebuild *r, enum sysv_type type, const Rec__SysvObject *m,
			  bool (*same)(const struct sysv_object *o, const void *arg),
			  const void *arg);
/* Why it cannot be had, if that is so. */
int sysv_check(const struct rebuild *r, enum sysv_type type, const Rec__SysvObject *m,
	       struct error **err);
/* It is to be made, by a task. */
bool sysv_is_new(const struct rebuild *r, enum sysv_type type, int id);
/* The next object of its type gets this number. */
void sysv_add_number(enum sysv_type type, int id, struct batch *b);
/* What was made goes again. */
void sysv_remove(const struct rebuild *r, enum sysv_type type, int id);

/* At most so many calls make one segment. */
#define SYSV_SHM_CALLS 80u

/* The calls that make the sets and queues of a record, and segments that nobody maps. */
int sysv_rebuild(const struct rebuild *r, const struct rebuilt_thread *t, const ProtobufCMessage *base,
		 struct batch *b, struct error **err);
/* The calls that make a segment or fill one that is there, if no task has done it yet. */
int sysv_shm_make(const struct rebuild *r, const struct rebuilt_task *t, struct rebuilt_file *f,
		  struct batch *b, struct error **err);

/* sysv-shm-open.c for sysv-shm.c. */
bool sysv_shm_taken(struct rebuild *r, const ProtobufCMessage *base);
int sysv_shm_check(const struct rebuild *r, const ProtobufCMessage *base, struct error **err);
int sysv_shm_open(struct rebuild *r, struct rebuilt_file *f, struct error **err);
int sysv_shm_map(const struct rebuild *r, const struct rebuilt_task *t, struct rebuilt_file *f,
		 const Rec__Area *a, struct batch *b, struct error **err);
void sysv_shm_undo(const struct rebuild *r, const ProtobufCMessage *base);
