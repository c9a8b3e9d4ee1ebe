/*
 * Making the process that is to become the restored one: with its old number or a new
 * one, and executing the original file, stopped before its first instruction.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "engine/nsinit.h"
#include "engine/pin.h"
#include "priv/priv.h"
#include "task/rebuild.h"

struct birth {
	bool exact;         /* its threads get their old numbers too */
	struct nsinit init; /* the parent of the new process, when that is not us */
	struct pin pin;     /* where the tool and the new processes take turns */
};

/* How numbers will be given, or why they cannot be: obstacles are collected. */
int plan_numbers(struct rebuild *r, struct priv *priv, struct birth *ret, struct error **err);

/* What the program's files need before they are opened: the mount namespace that it will have. */
int prepare_birth(struct rebuild *r, struct birth *b, struct error **err);

/* /proc/PID and the memory of a process that was just made, or has just executed its file. */
int open_newborn(const struct rebuild *r, struct rebuilt_task *t, struct error **err);

/*
 * The root led a session on a terminal that is not of the image: a session can be led anew only
 * without the terminal that it had, so it goes on in that of whoever restores.
 */
bool keeps_session(const struct rebuild *r);

/* PTRACE_O_*, as all processes of the restore are traced. */
unsigned long birth_trace_options(const struct rebuild *r);

/* The root process is seized (PTRACE_O_EXITKILL) and stands at its first instruction: t->pid is set. */
int give_birth(struct rebuild *r, struct rebuilt_task *t, struct birth *b, struct error **err);
