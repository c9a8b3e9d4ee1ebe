#include "priv/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/caps.h"

pid_t priv_clone3(const struct clone_args *args)
{
	cleanup_lower struct raised raised = {.cap = -1};
	long pid;

	if (args->set_tid_size)
		raised = priv_raise_cr();
	pid = syscall(SYS_clone3, args, sizeof *args);
	return pid < 0 ? -errno : (pid_t)pid;
}

int priv_open_newborn(int proc, const char *name, int flags, bool apart)
{
	cleanup_lower struct raised raised = {.cap = -1};

	/* Safe: these names of /proc lead to the process alone, which is of our own making. */
	if (!apart)
		raised = priv_raise(CAP_CHECKPOINT_RESTORE);
	return openat(proc, name, flags | O_CLOEXEC);
}

int priv_tcp_repair(int fd, int mode)
{
	/* Safe: it shows and sets what stands in a connection that the program has anyway. */
	cleanup_lower struct raised raised = priv_raise(CAP_NET_ADMIN);

	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &mode, sizeof mode) < 0 ? -errno : 0;
}

int priv_uffd_events(int fd)
{
	/* Safe: it is told of a process of ours, and of the children that this one makes. */
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_PTRACE);
	struct uffdio_api api = {.api = UFFD_API,
				 .features = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
					     UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP};

	return ioctl(fd, UFFDIO_API, &api) < 0 ? -errno : 0;
}

int priv_send_buffer(int fd, size_t size)
{
	cleanup_lower struct raised raised = priv_raise(CAP_NET_ADMIN);
	int value = size > INT32_MAX / 2 ? INT32_MAX / 2 : (int)size;

	return setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof value) < 0 ? -errno : 0;
}

int priv_lock_modes(int fd, const void *modes)
{
	cleanup_lower struct raised raised = priv_raise_cr();

	return ioctl(fd, TIOCSLCKTRMIOS, modes) < 0 ? -errno : 0;
}
