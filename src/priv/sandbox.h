/* A filter on system calls for a process of ours that reads what a stranger has written. */
#pragma once

#include <stdbool.h>

/* False: this build has none (libseccomp), or sanitizers watch over it instead. */
bool priv_sandbox_built(void);

/*
 * From now on the process can compute, have memory that is not executable, start threads, open
 * files for reading, and write to out; for anything else it is killed.  Who is not root gives up
 * all capabilities; nobody gains any.  0 or -errno: there is no filter, where none may be set.
 */
int priv_sandbox_enter(int out);
