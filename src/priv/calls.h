/*
 * The privileged calls.  Each raises what it needs around one system call, and
 * works without, as far as the kernel lets it.
 */
#pragma once

#include <linux/sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * clone3(2) as fork: without CLONE_VM, so it returns twice.  For set_tid the
 * capability is raised; the child, too, has it lowered when this returns.
 * Returns the pid, 0 in the child, or -errno.  In a program with several
 * threads the child must call nothing that takes a lock.
 */
pid_t priv_clone3(const struct clone_args *args);

/*
 * openat(2) of name in proc, the /proc/PID of a process that the caller made.  A newborn may have
 * been given the capability, to choose the numbers of its threads; the kernel then shows its
 * memory only to who has it effective as well (cap_ptrace_access_check()).
 *
 * apart: it lives in a user namespace of our user, who may look into it anyway.  Then nothing is
 * raised: while that namespace's init shares our descriptors (engine/nsinit.c), our user could put
 * another one in the place of proc.
 */
int priv_open_newborn(int proc, const char *name, int flags, bool apart);

/* TIOCSLCKTRMIOS of a terminal of ours: modes is a struct termios of the kernel.  0, or -errno. */
int priv_lock_modes(int fd, const void *modes);

/*
 * TCP_REPAIR of a TCP socket of ours (a duplicate of the program's): 1 on, 0 off, -1 off without a
 * word to the peer.  0 or -errno.
 */
int priv_tcp_repair(int fd, int mode);

/*
 * UFFDIO_API of a new userfaultfd(2) that tells of faults and of what becomes of the mappings, forks
 * included.  0 or -errno.
 */
int priv_uffd_events(int fd);

/* Room for so many bytes to be sent in a socket, beyond net.core.wmem_max.  0 or -errno. */
int priv_send_buffer(int fd, size_t size);
