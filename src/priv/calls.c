#include "priv/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
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

#ifndef DMA_BUF_MAGIC
#define DMA_BUF_MAGIC 0x444d4142
#endif
#ifndef SECRETMEM_MAGIC
#define SECRETMEM_MAGIC 0x5345434d
#endif
#ifndef ANON_INODE_FS_MAGIC
#define ANON_INODE_FS_MAGIC 0x09041934
#endif

pid_t priv_clone3(const struct clone_args *args)
{
	cleanup_lower struct raised raised = {.cap = -1};
	long pid;

	if (args->set_tid_size)
		raised = priv_raise_cr();
	pid = syscall(SYS_clone3, args, sizeof *args);
	return pid < 0 ? -errno : (pid_t)pid;
}

int priv_open_newborn(int proc, const char *name, int flags)
{
	/* Safe: these names of /proc lead to the process alone, which is of our own making. */
	cleanup_lower struct raised raised = priv_raise(CAP_CHECKPOINT_RESTORE);

	return openat(proc, name, flags | O_CLOEXEC);
}

static bool is_harmless(int fd)
{
	struct stat st;
	struct statfs fs;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 || !S_ISREG(st.st_mode))
		return false;
	return fs.f_type != DMA_BUF_MAGIC && fs.f_type != SECRETMEM_MAGIC &&
	       fs.f_type != ANON_INODE_FS_MAGIC;
}

int priv_open_map_file(int proc, uint64_t start, uint64_t end, struct error **err)
{
	char name[64], self[32];
	cleanup_close int path = -1;
	int fd;

	snprintf(name, sizeof name, "map_files/%" PRIx64 "-%" PRIx64, start, end);
	{
		/*
		 * Safe: O_PATH calls nothing of the file behind the link, and
		 * the kernel checks that we may ptrace the process.
		 */
		cleanup_lower struct raised raised = priv_raise_cr();

		path = openat(proc, name, O_PATH | O_CLOEXEC);
	}
	if (path < 0)
		return fail_errno(err, errno, "cannot follow %s", name);
	if (!is_harmless(path))
		return fail(err, ENXIO, "%s is not a file that may be opened", name);
	/*
	 * The file that was looked at, whatever is mapped there by now; and without the
	 * capability, so that its own permissions count.
	 */
	snprintf(self, sizeof self, "/proc/self/fd/%d", path);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? fail_errno(err, errno, "cannot open the file behind %s", name) : fd;
}

int priv_tcp_repair(int fd, int mode)
{
	/* Safe: it shows and sets what stands in a connection that the program has anyway. */
	cleanup_lower struct raised raised = priv_raise(CAP_NET_ADMIN);

	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &mode, sizeof mode) < 0 ? -errno : 0;
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
