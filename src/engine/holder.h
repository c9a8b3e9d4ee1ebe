/*
 * Who keeps the tracking between two checkpoints: a small process of ours, which holds the
 * userfaultfds of all address spaces of a tree and knows which image they count from.  It
 * ends by itself: with the processes, or when another checkpoint takes over.
 *
 * The next checkpoint finds it by an abstract Unix socket, named by user, number and start of the
 * first process.  Both sides see to it that the other one is of the same user (or root).
 */
#pragma once

#include "base/error.h"
#include "base/vec.h"
#include "image/frame.h"
#include "inject/track.h"

struct held {
	pid_t pid;
	uint64_t starttime;
	int uffd;  /* -1: none (soft-dirty) */
	int pidfd; /* of holder_start() only; not owned */
};

struct tracked {
	int socket; /* to the holder; -1: there is none */
	struct image_identity image;
	enum track_how how;
	int64_t since; /* CLOCK_MONOTONIC when it began, ns */
	VEC(struct held) processes; /* their uffds are owned */
};

#define TRACKED_NONE ((struct tracked){.socket = -1})

/* Copies of what the holder of this process has; it goes on until holder_end().  1, or 0: none. */
int holder_find(pid_t pid, uint64_t starttime, struct tracked *ret);

/* Of pid; -1: it is not among them. */
const struct held *held_find(const struct tracked *t, pid_t pid, uint64_t starttime);

/* The holder ends: from here on it is for us alone.  0, or -errno: it may still be there. */
int holder_end(struct tracked *t, struct error **err);

/* Makes a new one, for the tree of this process; t->processes: with pidfds. */
int holder_start(const struct tracked *t, pid_t pid, uint64_t starttime, struct error **err);

/* Forgets our copies. */
void tracked_free(struct tracked *t);
