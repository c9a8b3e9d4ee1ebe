/* Controlling terminals of sessions of the image. */
#pragma once

#include "base/error.h"
#include "task/rebuild.h"

/* What the image says of them makes sense, or -EBADMSG. */
int terminals_valid(const struct rebuild *r, struct error **err);

/*
 * The task has just called setsid(2): it takes the terminal that its session had.  Before it has
 * children, who inherit that.
 */
int take_terminal(const struct rebuild *r, const struct rebuilt_task *t, struct error **err);

/* All processes are in their groups: one of each session comes to the foreground. */
int give_foreground(const struct rebuild *r, struct error **err);

/* The same for the terminal of whoever restores, as long as that is ours to give. */
void give_own_terminal(const struct rebuild *r);
