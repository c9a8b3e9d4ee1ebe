#include "engine/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/offspring.h"
#include "inject/inject.h"
#include "priv/attempt.h"
#include "priv/calls.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define FLAGS (O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)

static int try_call(const void *arg)
{
	(void)arg;
	syscall(SYS_userfaultfd, -1L);
	return 0;
}

/* The task is under the filters that we are under, and some filters kill. */
static bool is_survived(void)
{
	return prctl(PR_GET_SECCOMP) == 0 || attempt_with(try_call, NULL) != -ECANCELED;
}

/* Our duplicate of a descriptor of the task. */
static int fetch(const struct rebuilt_task *t, int fd)
{
	cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	int res = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	return res;
}

int uffd_open(const struct rebuilt_task *t, struct error **err)
{
	struct uffdio_api api = {.api = UFFD_API};
	cleanup_close int fd = -1;
	int64_t made, closed;
	int res;

	if (!is_survived())
		return -EOPNOTSUPP;
	res = call_in_task(t, SYS_userfaultfd, (const uint64_t[6]){FLAGS}, &made, err);
	if (res < 0)
		return res;
	if (made < 0)
		return -EOPNOTSUPP;
	fd = fetch(t, (int)made);
	res = call_in_task(t, SYS_close, (const uint64_t[6]){(uint64_t)made}, &closed, err);
	if (res < 0)
		return res;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
		return -EOPNOTSUPP;
	return fd_steal(&fd);
}

/* The device is for whoever may open it, also within a user namespace. */
static int make_by_device(const struct rebuilt_task *t, int64_t *ret, struct error **err)
{
	struct batch b cleanup_batch = {0};
	uint32_t device, made, closed;
	int res;

	if (batch_init(&b, t->injection->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	device = batch_call(&b, BATCH_MAY_FAIL, SYS_openat, (uint64_t)AT_FDCWD,
			    batch_put_string(&b, "/dev/userfaultfd"), O_RDWR | O_CLOEXEC);
	made = batch_call(&b, BATCH_MAY_FAIL, SYS_ioctl, 0, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	batch_refer(&b, made, 0, device);
	closed = batch_call(&b, BATCH_MAY_FAIL, SYS_close, 0);
	batch_refer(&b, closed, 0, device);
	res = inject_run(t->injection, &b, NULL, err);
	*ret = res < 0				? res
	       : batch_result(&b, device) < 0	? batch_result(&b, device)
						: batch_result(&b, made);
	return res;
}

int uffd_open_events(const struct rebuilt_task *t, struct error **err)
{
	cleanup_close int fd = -1;
	int64_t made, closed;
	int res;

	if (!is_survived())
		return refuse(err, EPERM, "restore it without --lazy",
			      "a seccomp filter of yours kills who calls userfaultfd(2)");
	res = make_by_device(t, &made, err);
	if (res == 0 && made < 0)
		res = call_in_task(t, SYS_userfaultfd, (const uint64_t[6]){O_CLOEXEC | O_NONBLOCK},
				   &made, err);
	if (res < 0)
		return res;
	if (made < 0)
		return fail_errno(err, (int)-made, "process %u may not have its memory served",
				  t->record->pid);
	fd = fetch(t, (int)made);
	res = call_in_task(t, SYS_close, (const uint64_t[6]){(uint64_t)made}, &closed, err);
	if (res < 0)
		return res;
	res = fd < 0 ? -errno : priv_uffd_events(fd);
	return res < 0 ? fail_errno(err, -res, "the memory of process %u cannot be served",
				    t->record->pid)
		       : fd_steal(&fd);
}

int uffd_register(int uffd, uint64_t start, uint64_t end)
{
	struct uffdio_register reg = {
		.range = {start, end - start},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	return ioctl(uffd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
}

int uffd_copy(int uffd, uint64_t to, const void *from, uint64_t size, uint64_t *ret_done)
{
	struct uffdio_copy copy = {.dst = to, .src = (uint64_t)(uintptr_t)from, .len = size};
	int res = ioctl(uffd, UFFDIO_COPY, &copy) < 0 ? -errno : 0;

	*ret_done = copy.copy > 0 ? (uint64_t)copy.copy : 0;
	return res;
}
