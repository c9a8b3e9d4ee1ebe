/*
 * THE table: every kind that Stasis knows.  The order matters for files only: the
 * first whose claims() says yes has it, and refused has whatever is left.
 * State is restored in this order within a phase.
 */
#include "kind/kind.h"

extern const struct kind kind_credentials, kind_filesystem, kind_limits, kind_locks, kind_owners,
	kind_scheduling, kind_seccomp, kind_signals, kind_switches, kind_thread_signals, kind_timers;
extern const struct kind kind_device, kind_directory, kind_epoll, kind_eventfd, kind_generated,
	kind_inotify, kind_io_uring, kind_memfd, kind_message_queue, kind_path_only, kind_pidfd,
	kind_pipe, kind_regular, kind_refused, kind_signalfd, kind_socket, kind_sysv_shm,
	kind_terminal, kind_terminal_master, kind_timerfd;
extern const struct kind kind_sysv, kind_sysv_undo;

const struct kind *const kinds[] = {
	&kind_filesystem,
	&kind_limits,
	&kind_signals,
	&kind_thread_signals,
	&kind_timers,
	&kind_owners,
	&kind_locks,
	&kind_sysv,
	&kind_sysv_undo,
	&kind_scheduling,
	&kind_switches,
	&kind_seccomp, /* while the thread may still do so */
	&kind_credentials,

	&kind_path_only, /* before all that look at the file's type */
	&kind_io_uring, /* before memfd: its memory may be one */
	&kind_memfd,
	&kind_sysv_shm,
	&kind_message_queue,
	&kind_generated,
	&kind_regular,
	&kind_directory,
	&kind_device,
	&kind_terminal_master,
	&kind_terminal,
	&kind_pipe,
	&kind_eventfd,
	&kind_timerfd,
	&kind_signalfd,
	&kind_epoll,
	&kind_inotify,
	&kind_pidfd,
	&kind_socket,
	&kind_refused,
};

const size_t kinds_count = sizeof kinds / sizeof kinds[0];
