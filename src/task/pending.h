/*
 * Signals that wait: the queue that a thread has of its own, and the one that
 * all threads of a process share.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <signal.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/vec.h"
#include "proc/timers.h"
#include "task/rebuild.h"
#include "task/task.h"

struct pending {
	VEC(siginfo_t) list; /* in the order of their arrival */
};

/* Reads a queue of the stopped thread: the shared one, or its own. */
int pending_read(const struct thread *t, bool shared, struct pending *ret, struct error **err);
void pending_free(struct pending *p);
#define cleanup_pending __attribute__((cleanup(pending_free)))

/* /proc/PID/timers */
int pending_timers(const struct task *task, struct posix_timers *ret, struct error **err);

/* It was sent by the timer. */
bool pending_from(const siginfo_t *info, const struct posix_timer *timer);

/*
 * Puts a queue into a field of repeated bytes, without what the task's POSIX
 * timers sent: these fire anew when they are restored.
 */
int pending_record(const struct thread *t, bool shared, ProtobufCBinaryData **list, size_t *count,
		   struct error **err);

/* Each is a siginfo_t of a signal that may wait. */
int pending_validate(const ProtobufCBinaryData *list, size_t count, struct error **err);

/* What to queue in the restored program: a sender of the image by its number of now. */
siginfo_t pending_rebuilt(const struct rebuild *r, const ProtobufCBinaryData *recorded);
