/*
 * Advisory locks on files (flock(2), POSIX, open file description locks), and leases.
 *
 * /proc/PID/fdinfo/N lists those of the description, and the process's own POSIX
 * locks on the file: these show on every descriptor of the file and are taken once.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/append.h"
#include "task/path.h"

extern const struct kind kind_locks;

/* The descriptor with which the process could have set it. */
static bool may_set(const struct file *f, const struct fd_lock *l)
{
	int mode = f->flags & O_ACCMODE;

	if (f->flags & O_PATH)
		return false;
	if (l->type != FD_LOCK_POSIX)
		return true;
	return mode == O_RDWR || mode == (l->access == F_WRLCK ? O_WRONLY : O_RDONLY);
}

static bool same_lock(const struct fd_lock *a, const struct fd_lock *b)
{
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       a->inode == b->inode && a->start == b->start && a->end == b->end &&
	       a->access == b->access;
}

typedef VEC(struct fd_lock) seen_locks;

static bool seen_before(seen_locks *seen, const struct fd_lock *l)
{
	vec_each(it, seen)
		if (same_lock(it, l))
			return true;
	return false;
}

/* What cannot be kept is told; false: it is. */
static int lock_type(const struct file *f, const struct fd_lock *l, Rec__Lock__Type *ret,
		     struct error **err)
{
	cleanup_free char *whose = NULL;

	switch (l->type) {
	case FD_LOCK_FLOCK:
		*ret = REC__LOCK__TYPE__FLOCK;
		return 0;
	case FD_LOCK_POSIX:
		*ret = REC__LOCK__TYPE__POSIX;
		return 0;
	case FD_LOCK_OFD:
		*ret = REC__LOCK__TYPE__OFD;
		return 0;
	case FD_LOCK_LEASE:
		*ret = REC__LOCK__TYPE__LEASE;
		if (l->lease == FD_LEASE_ACTIVE)
			return 0;
		whose = file_describe(f);
		return refuse(err, EBUSY, "try again in a moment",
			      "the lease on %s is being broken: somebody waits for the file",
			      whose ? whose : "a descriptor");
	default:
		whose = file_describe(f);
		return refuse(err, ENOTSUP, NULL, "%s has a lock of a kind that is not supported",
			      whose ? whose : "a descriptor");
	}
}

static int capture_lock(const struct file *f, int fd, const struct fd_lock *l, Rec__Locks *m,
			seen_locks *seen, struct error **err)
{
	Rec__Lock__Type type;
	Rec__Lock *lock;
	int r;

	if (!may_set(f, l))
		return 0;
	if (l->type == FD_LOCK_POSIX) {
		struct fd_lock *slot;

		if (seen_before(seen, l))
			return 0;
		slot = vec_push(seen);
		if (!slot)
			return fail(err, ENOMEM, "out of memory");
		*slot = *l;
	}
	r = lock_type(f, l, &type, err);
	if (r < 0)
		return r;
	lock = message_append(&m->locks, &m->n_locks, &rec__lock__descriptor);
	if (!lock)
		return fail(err, ENOMEM, "out of memory");
	lock->type = type;
	lock->fd = (uint32_t)fd;
	lock->mode = (uint32_t)l->access;
	if (type == REC__LOCK__TYPE__FLOCK)
		lock->mode = l->access == F_WRLCK ? LOCK_EX : LOCK_SH;
	lock->start = l->start;
	lock->end = l->end;
	return 0;
}

static int locks_capture(struct capture *c, const struct thread *t, const struct batch *b,
			 const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	Rec__Locks *m = kind_message(&kind_locks);
	seen_locks seen = {0};
	int r = 0;

	(void)b, (void)asked;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	vec_each(it, &c->files.files) {
		const struct file *f = *it;

		if (f->task != t->task || f->fd < 0)
			continue;
		vec_each(l, &f->info.locks) {
			int one = l->type == FD_LOCK_POSIX
					  ? 0
					  : capture_lock(f, f->fd, l, m, &seen, err);

			r = one < 0 ? one : r;
		}
	}
	vec_each(own, &t->task->locks) {
		const struct file *f = file_by_fd(&c->files, t->task, own->fd);
		int one = f ? capture_lock(f, own->fd, &own->lock, m, &seen, err) : 0;

		r = one < 0 ? one : r;
	}
	vec_free(&seen);
	if (r < 0 || !m->n_locks)
		message_free(&m->base);
	else
		*ret = &m->base;
	return r;
}

static int locks_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Locks *m = (const Rec__Locks *)message;

	for (size_t i = 0; i < m->n_locks; i++) {
		const Rec__Lock *l = m->locks[i];
		bool flock = l->type == REC__LOCK__TYPE__FLOCK;

		if (l->type > REC__LOCK__TYPE__LEASE || l->fd > INT32_MAX ||
		    (flock && l->mode != LOCK_SH && l->mode != LOCK_EX) ||
		    (!flock && l->mode != F_RDLCK && l->mode != F_WRLCK))
			return fail(err, EINVAL, "an impossible lock on descriptor %u", l->fd);
		if (l->start > l->end || l->start > INT64_MAX ||
		    (l->end != UINT64_MAX && l->end >= INT64_MAX))
			return fail(err, EINVAL, "descriptor %u has a lock on no bytes", l->fd);
	}
	return 0;
}

static struct flock lock_range(const Rec__Lock *l)
{
	return (struct flock){
		.l_type = (short)l->mode,
		.l_whence = SEEK_SET,
		.l_start = (off_t)l->start,
		.l_len = l->end == UINT64_MAX ? 0 : (off_t)(l->end - l->start + 1),
	};
}

static const char *path_of(const struct rebuilt_file *f)
{
	const Rec__Regular *m = (const Rec__Regular *)f->message;

	return f->message->descriptor == &rec__regular__descriptor && !m->deleted ? m->path : NULL;
}

/* Somebody else may hold what the program held.  With flock(2) only trying tells. */
static int check_free(const Rec__Lock *l, const struct rebuilt_file *f, struct error **err)
{
	struct flock range = lock_range(l);
	const char *path = path_of(f);
	cleanup_close int fd = -1;

	if (l->type != REC__LOCK__TYPE__POSIX && l->type != REC__LOCK__TYPE__OFD)
		return 0;
	if (!path)
		return 0;
	fd = path_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	/* Our own owner, hence in the way of none but others. */
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &range) < 0 || range.l_type == F_UNLCK)
		return 0;
	if (range.l_pid > 0)
		return refuse(err, EBUSY, "end that process, or wait until it has unlocked the file",
			      "%s is locked by process %d", path, range.l_pid);
	return refuse(err, EBUSY, "wait until it is unlocked", "%s is locked by somebody else", path);
}

static int locks_check(const struct rebuild *r, const ProtobufCMessage *message,
		       struct error **err)
{
	const Rec__Locks *m = (const Rec__Locks *)message;
	const struct rebuilt_task *t = rebuilt_task(r, m->pid);
	const struct rebuilt_file *told = NULL;
	int result = 0;

	for (size_t i = 0; t && i < m->n_locks; i++) {
		const struct rebuilt_file *f = rebuilt_slot(r, t, m->locks[i]->fd);

		if (!f)
			return fail(err, EINVAL, "a lock on descriptor %u, which is not open",
				    m->locks[i]->fd);
		if (f == told || check_free(m->locks[i], f, err) == 0)
			continue;
		told = f;
		result = -EBUSY;
	}
	return result;
}

static int add_lock(const Rec__Lock *l, struct batch *b)
{
	struct flock range = lock_range(l);

	if (!batch_has_room(b, 1, sizeof range))
		return -E2BIG;
	switch (l->type) {
	case REC__LOCK__TYPE__FLOCK:
		batch_call(b, 0, SYS_flock, l->fd, l->mode | LOCK_NB);
		break;
	case REC__LOCK__TYPE__LEASE:
		batch_call(b, 0, SYS_fcntl, l->fd, F_SETLEASE, l->mode);
		break;
	default:
		batch_call(b, 0, SYS_fcntl, l->fd,
			   l->type == REC__LOCK__TYPE__OFD ? F_OFD_SETLK : F_SETLK,
			   batch_put(b, &range, sizeof range));
	}
	return 0;
}

/*
 * The description is also ours: what the task will be refused, we are, and can say
 * it.  The task then takes it itself, so that it is shown as the task's.
 */
static int try_flock(const struct rebuilt_file *f, const Rec__Lock *l, struct error **err)
{
	const char *path = path_of(f);

	if (flock(f->fd, (int)l->mode | LOCK_NB) < 0)
		return fail(err, errno, "%s is locked by somebody else", path ? path : "a file");
	flock(f->fd, LOCK_UN);
	return 0;
}

static int try_lease(const struct rebuilt_file *f, const Rec__Lock *l, struct error **err)
{
	struct f_owner_ex owner = {0};
	const char *path = path_of(f);
	int sig = fcntl(f->fd, F_GETSIG), r;

	fcntl(f->fd, F_GETOWN_EX, &owner);
	/* Whoever looked into the file a moment ago may be about to close it. */
	for (int tries = 0; tries < 20; tries++) {
		r = fcntl(f->fd, F_SETLEASE, (int)l->mode);
		if (r == 0 || errno != EAGAIN)
			break;
		usleep(5000);
	}
	if (r < 0)
		return fail_errno(err, errno, "there can be no lease on %s, which others have open",
				  path ? path : "a file");
	/* With a lease goes what was said of its signals. */
	fcntl(f->fd, F_SETLEASE, F_UNLCK);
	fcntl(f->fd, F_SETOWN_EX, &owner);
	fcntl(f->fd, F_SETSIG, sig);
	return 0;
}

static int locks_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			 const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__Locks *m = (const Rec__Locks *)message;

	for (size_t i = 0; m && i < m->n_locks; i++) {
		const Rec__Lock *l = m->locks[i];
		const struct rebuilt_file *f = rebuilt_slot(r, t->task, l->fd);
		int res = 0;

		if (l->type == REC__LOCK__TYPE__FLOCK && f && f->fd >= 0)
			res = try_flock(f, l, err);
		else if (l->type == REC__LOCK__TYPE__LEASE && f && f->fd >= 0)
			res = try_lease(f, l, err);
		if (res < 0)
			return res;
		if (add_lock(l, b) < 0)
			return fail(err, E2BIG, "%zu locks are too many", m->n_locks);
	}
	return 0;
}

const struct kind kind_locks = {
	.name = "locks",
	.tag = 72,
	.schema = &rec__locks__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_NORMAL,
		.capture = locks_capture,
		.validate = locks_validate,
		.check = locks_check,
		.rebuild = locks_rebuild,
	},
};
