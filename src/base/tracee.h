/*
 * ptrace(2) and waitpid(2) for a thread that is traced, and in the middle of something.
 *
 * That it has ended (ESRCH, ECHILD) is the one reason to give up on it.  After any other error they ask
 * once more: whoever is left halfway has a mapping, a descriptor or a mask that is not its own.
 */
#pragma once

#include <sys/types.h>

/* As ptrace(2): -1 and errno. */
long tracee_ask(long request, pid_t tid, void *address, void *data);

/* As waitpid(2), and EINTR comes through. */
pid_t tracee_wait(pid_t tid, int *ret_status, int options);

/* Until it has ended; options of waitid(2) beside WEXITED.  0 also where there is nothing to wait for. */
int tracee_wait_end(pid_t tid, int options);
