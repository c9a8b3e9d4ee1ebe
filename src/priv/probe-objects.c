/* Probes of kernel objects that are made or changed: sockets, terminals, handles, numbers. */
#include "priv/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/attempt.h"
#include "priv/calls.h"
#include "priv/caps.h"

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00) /* Linux 6.1 */
#endif

static int told(long result)
{
	return result < 0 ? -errno : 0;
}

/* Nothing is written: the kernel asks for the privilege before it looks at what. */
static int job_last_pid(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise_cr();
	cleanup_close int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);

	(void)ids;
	return fd < 0 ? -errno : told(write(fd, "", 0));
}

int probe_last_pid(void)
{
	return attempt_in_child(0, job_last_pid);
}

static int job_ipc_ids(const struct attempt_ids *ids)
{
	static const char *const names[] = {
		"/proc/sys/kernel/sem_next_id",
		"/proc/sys/kernel/msg_next_id",
		"/proc/sys/kernel/shm_next_id",
	};
	cleanup_lower struct raised raised = priv_raise_cr();

	(void)ids;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		cleanup_close int fd = open(names[i], O_WRONLY | O_CLOEXEC);

		if (fd < 0)
			return -errno;
	}
	return 0;
}

int probe_ipc_ids(void)
{
	return attempt_in_child(0, job_ipc_ids);
}

static int job_tcp_repair(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_NET_ADMIN);
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	(void)ids;
	return fd < 0 ? -errno : told(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on));
}

int probe_tcp_repair(void)
{
	return attempt_in_child(0, job_tcp_repair);
}

/* A handle of nothing: who may not open by handle hears EPERM, everybody else something else. */
static int job_handles(const struct attempt_ids *ids)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + 8];
	} nothing = {.handle = {.handle_bytes = 8, .handle_type = 1}};
	cleanup_lower struct raised raised = priv_raise(CAP_DAC_READ_SEARCH);
	cleanup_close int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = -1;

	(void)ids;
	if (root < 0)
		return -errno;
	fd = open_by_handle_at(root, &nothing.handle, O_PATH | O_CLOEXEC);
	return fd < 0 && (errno == EPERM || errno == ENOSYS) ? -errno : 0;
}

int probe_handles(void)
{
	return attempt_in_child(0, job_handles);
}

static int job_kernel_faults(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise(CAP_SYS_PTRACE);
	cleanup_close int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC), device = -1;
	int r = fd < 0 ? -errno : 0;

	(void)ids;
	if (r < 0)
		device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device >= 0)
		fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	/* To be told of forks asks for more than to be told of faults. */
	return fd < 0 ? r : priv_uffd_events(fd);
}

int probe_kernel_faults(void)
{
	return attempt_in_child(0, job_kernel_faults);
}

/* Of a pseudo-terminal of our own; nothing is locked that was not. */
static int job_terminal_locks(const struct attempt_ids *ids)
{
	cleanup_lower struct raised raised = priv_raise_cr();
	cleanup_close int pty = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios none = {0};

	(void)ids;
	if (pty < 0)
		return -errno;
	return told(ioctl(pty, TIOCSLCKTRMIOS, &none));
}

int probe_terminal_locks(void)
{
	return attempt_in_child(0, job_terminal_locks);
}
