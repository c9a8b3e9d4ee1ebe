/*
 * A checkpoint in progress: what the kinds read from and add to.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vec.h"
#include "task/file.h"
#include "task/task.h"

struct kind;

/* A record for the image; message was malloc'ed in all its parts and is owned. */
struct record {
	const struct kind *kind;
	ProtobufCMessage *message;
};

/* Content for memory frames besides the address spaces: a range of a file that fd can pread(2). */
struct content {
	uint32_t object;  /* id of the File whose record carries it */
	int fd;           /* owned */
	uint64_t offset, length; /* multiples of the page size */
	uint64_t shift; /* where it stands behind fd: so much (modulo 2^64) farther */
};

/* One thing that several descriptions or mappings show (a pipe, a deleted inode, a memfd). */
struct shared {
	uint32_t space; /* the kind's tag */
	uint64_t key[2];
	uint32_t owner; /* id of the File that carries its content */
};

/* What becomes of a pipe or a connection whose other end is outside the tree. */
enum external {
	EXTERNAL_REFUSE,
	EXTERNAL_CLOSE,     /* it comes back with its other end closed */
	EXTERNAL_RECONNECT, /* it is connected again, to the same address */
	EXTERNAL_INHERIT,   /* the restore has to be given something in its place */
};

struct external_policy {
	enum external unix_sockets, pipes;
};

struct capture {
	struct tree tree;
	struct file_table files;
	struct file *by_description; /* those with a descriptor: the root of a tree */
	VEC(struct file *) by_kcmp;  /* the same, in the order of kcmp(2), when it was last asked for */
	size_t sorted_files; /* how many files there were then */
	pid_t self; /* ours, or 0: nobody has asked yet */
	VEC(struct file *) by_inode; /* all that were there when it was last asked for */
	VEC(struct record) records;
	VEC(struct content) contents;
	VEC(struct shared) shared;
	VEC(uint32_t) shared_table; /* hashed: 1 + the place in shared, 0: free */
	/* What sysv.h has found in the IPC namespace: memory of priv_shared(). */
	void *ipc;
	size_t ipc_size;
	bool leave_running;
	bool namespaces_known;
	struct namespaces namespaces; /* our own, once they are known */
	long processors; /* of this machine; 0: nobody has asked yet */
	struct external_policy external;
};

/* Adds a record.  -ENOMEM frees the message. */
int capture_record(struct capture *c, const struct kind *kind, ProtobufCMessage *message);

/* What is shared and no kind's own: no kind has these numbers as its tag. */
enum {
	SPACE_HOLDERS = UINT32_MAX - 16, /* processes outside that have a description */
	SPACE_TERMINAL_HOLDERS,          /* or a terminal */
	SPACE_TCP_PEERS,                 /* names of those that have other ends */
	SPACE_UNIX_WAITING,              /* sockets that wait to be accepted, by whom */
	SPACE_BACKING_READ_ONLY,         /* files behind mappings, by how they are open */
	SPACE_BACKING_WRITABLE,
};

/* Returns the id of the File that carries it: owner itself when nobody was there before. 0: no memory. */
uint32_t capture_share(struct capture *c, uint32_t space, uint64_t key0, uint64_t key1, uint32_t owner);

/* A new entry of c->files, met in this task; NULL: out of memory. */
struct file *capture_add_file(struct capture *c, struct task *task);

/*
 * The description that pid has as fd, among those that we have; else NULL, and where the pointer
 * to it belongs.  info: what fdinfo says of it.
 */
struct file *capture_find_description(struct capture *c, pid_t pid, int fd,
				      const struct fdinfo *info, struct file ***ret_at);

void capture_place_description(struct file *f, struct file **at);

/* All descriptions in the order of kcmp(2); *ret_count of them.  NULL: no memory. */
struct file *const *capture_descriptions(struct capture *c, size_t *ret_count);

/* Likewise, but 0 when nobody was there. */
uint32_t capture_shared(const struct capture *c, uint32_t space, uint64_t key0, uint64_t key1);

/* All files of the inode of f (st_dev, st_ino): *ret_count of them, at least f.  NULL: no memory. */
struct file *const *capture_same_inode(struct capture *c, const struct file *f, size_t *ret_count);

/*
 * The description behind a descriptor of ours that is in no task's table, as one that travels
 * in a socket: the file that shows it already, or a new one, which then owns fd; else fd is closed.
 */
struct file *capture_description(struct capture *c, struct task *task, int fd, struct error **err);

/* Takes a duplicate of fd; finds the data of the file by SEEK_DATA and adds it.  ranges: what goes in the record. */
int capture_content(struct capture *c, uint32_t object, int fd, uint64_t size, struct error **err);

/* Our own; capture_ipc() goes by what was read here. */
const struct namespaces *capture_namespaces(struct capture *c);

/*
 * For priv_within(): the pidfd of a process of the tree when its IPC namespace is another than
 * ours, as a restore has made it; else -1.
 */
int capture_ipc(const struct capture *c);

void capture_free(struct capture *c);
#define cleanup_capture __attribute__((cleanup(capture_free)))
