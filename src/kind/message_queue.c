/*
 * POSIX message queues (mq_overview(7)): descriptions of files that live in the IPC namespace.
 *
 * No call shows a message without taking it, so messages stay where they are: in the queue, which
 * lives on by its name when the program is ended.  A restore finds it as it was left, or makes
 * it anew if it was empty.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/userns.h"
#include "task/description.h"
#include "task/path.h"

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif

extern const struct kind kind_message_queue;

static bool queue_claims(const struct file *f)
{
	struct statfs fs;

	/* Its file system has no device. */
	return f->own >= 0 && S_ISREG(f->st.st_mode) && !(f->flags & O_PATH) &&
	       major(f->st.st_dev) == 0 &&
	       fstatfs(f->own, &fs) == 0 && (unsigned long)fs.f_type == MQUEUE_MAGIC;
}

/* The C library's calls work on a descriptor; a queue has no other handle. */
static int queue_attributes(int fd, struct mq_attr *ret)
{
	return syscall(SYS_mq_getsetattr, fd, NULL, ret) < 0 ? -errno : 0;
}

/* ---- Capture ---------------------------------------------------------------- */

/*
 * Reading a queue tells who is notified (mq_notify(3)); at an offset, it moves nothing.  A
 * description that may not be read does not say it; nor could its program have read the queue.
 */
static int check_notification(const struct file *f, struct error **err)
{
	char text[128] = "";
	const char *at;
	pid_t pid = 0;

	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return 0;
	if (fd_pread(f->own, text, sizeof text - 1, 0) < 0)
		return fail(err, EIO, "its state cannot be read");
	at = strstr(text, "NOTIFY_PID:");
	if (!at || sscanf(at, "NOTIFY_PID:%d", &pid) != 1 || pid == 0)
		return 0;
	return refuse(err, ENOTSUP, "end the notification: mq_notify(queue, NULL)",
		      "process %d is to be notified of its messages (mq_notify), which is not "
		      "supported",
		      pid);
}

static int queue_fill(struct capture *c, struct file *f, Rec__MessageQueue *m, struct error **err)
{
	struct mq_attr attr;
	int r = queue_attributes(f->own, &attr);

	if (r < 0)
		return fail_errno(err, -r, "its attributes cannot be read");
	r = check_notification(f, err);
	if (r < 0)
		return r;
	if (f->deleted && attr.mq_curmsgs)
		return refuse(err, ENOTSUP, "let the program receive them",
			      "its messages (%ld) cannot be saved, and it has no name any more by "
			      "which it would outlive the program",
			      attr.mq_curmsgs);
	if (attr.mq_curmsgs && capture_ipc(c) >= 0)
		return refuse(err, ENOTSUP, "let the program receive them",
			      "its messages (%ld) cannot be saved, and the private IPC namespace that "
			      "it lives in ends with the program",
			      attr.mq_curmsgs);
	m->object = capture_share(c, kind_message_queue.tag, f->st.st_dev, f->st.st_ino, f->id);
	m->name = strdup(f->link);
	if (!m->object || !m->name)
		return fail(err, ENOMEM, "out of memory");
	m->permissions = f->st.st_mode & 07777;
	m->uid = f->st.st_uid;
	m->gid = f->st.st_gid;
	m->max_messages = (uint64_t)attr.mq_maxmsg;
	m->message_size = (uint64_t)attr.mq_msgsize;
	m->messages = (uint64_t)attr.mq_curmsgs;
	m->removed = f->deleted;
	return 0;
}

static int queue_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			 struct error **err)
{
	Rec__MessageQueue *m = kind_message(&kind_message_queue);
	cleanup_error struct error *found = NULL;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	return path_captured(f, queue_fill(c, f, m, &found), &m->base, ret, &found, err);
}

static bool name_valid(const char *name)
{
	return name[0] == '/' && name[1] && strlen(name) <= NAME_MAX + 1 && !strchr(name + 1, '/');
}

static int queue_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__MessageQueue *m = (const Rec__MessageQueue *)base;
	int r = path_validate_file(m->file, S_IFREG, err);

	if (r < 0)
		return r;
	if (!name_valid(m->name) || !m->object || m->object > m->file->id ||
	    (m->permissions & ~07777U) || !m->max_messages || m->max_messages > INT_MAX ||
	    !m->message_size || m->message_size > INT_MAX || m->messages > m->max_messages ||
	    (m->removed && m->messages))
		return refuse(err, EINVAL, NULL, "message queue %u of the image makes no sense",
			      m->file->id);
	return 0;
}

/* ---- Restore ---------------------------------------------------------------- */

/* mq_open(2), which wants the name without its slash. */
struct opening {
	const char *name;
	int flags;
	unsigned int mode;
	struct mq_attr attr;
	bool unlink; /* once it is open */
	int fd;
};

static int open_by_name(void *arg)
{
	struct opening *o = arg;
	const char *name = o->name + 1;

	o->fd = (int)syscall(SYS_mq_open, name, o->flags | O_CLOEXEC, o->mode, &o->attr);
	if (o->fd < 0)
		return -errno;
	if (o->unlink)
		syscall(SYS_mq_unlink, name);
	return 0;
}

/* In the namespace where the program will live.  Returns the descriptor. */
static int open_within(int within, const struct opening *from)
{
	struct opening *o = priv_shared(sizeof *o);
	int r;

	if (!o)
		return -ENOMEM;
	*o = *from;
	r = priv_within(within, open_by_name, o);
	r = r < 0 ? r : o->fd;
	priv_unshare(o, sizeof *o);
	return r;
}

static const struct rebuilt_file *first_of(const struct rebuild *r, const Rec__MessageQueue *m)
{
	const struct rebuilt_file *f = rebuilt_file(r, (uint32_t)m->object);

	return f && f->kind == &kind_message_queue ? f : NULL;
}

/* The queue that has the name in our namespace: -ENOENT, or 0. */
static int look(const Rec__MessageQueue *m, struct mq_attr *ret)
{
	const struct opening o = {.name = m->name, .flags = (int)(m->file->flags & O_ACCMODE)};
	cleanup_close int fd = open_within(-1, &o);

	return fd < 0 ? fd : queue_attributes(fd, ret);
}

static bool is_as_it_was(const Rec__MessageQueue *m, const struct mq_attr *attr)
{
	return (uint64_t)attr->mq_maxmsg == m->max_messages &&
	       (uint64_t)attr->mq_msgsize == m->message_size &&
	       (uint64_t)attr->mq_curmsgs == m->messages;
}

/* Of a queue that is not there a new one can be made; but its messages are gone. */
static bool queue_taken(struct rebuild *r, const ProtobufCMessage *base)
{
	const Rec__MessageQueue *m = (const Rec__MessageQueue *)base;
	struct mq_attr attr;
	int res = m->removed ? -ENOENT : look(m, &attr);

	(void)r;
	/* Those that have messages live nowhere else: check() says what is wrong. */
	if (res == -ENOENT || m->messages)
		return false;
	return res < 0 || !is_as_it_was(m, &attr);
}

static int queue_check(const struct rebuild *r, const ProtobufCMessage *base, struct error **err)
{
	const Rec__MessageQueue *m = (const Rec__MessageQueue *)base;
	struct mq_attr attr;
	int res;

	if (!first_of(r, m))
		return refuse(err, EINVAL, NULL, "the image contradicts itself: message queue %s",
			      m->name);
	if (r->private_ipc && m->messages)
		return refuse(err, ENOTSUP,
			      "give the tool CAP_CHECKPOINT_RESTORE, or remove what is in the way "
			      "(ipcs, ipcrm)",
			      "the messages of the queue %s cannot be brought into the private IPC "
			      "namespace that the program needs",
			      m->name);
	if (r->private_ipc || m->removed)
		return 0;
	res = look(m, &attr);
	if (res == -ENOENT && !m->messages)
		return 0;
	if (res == -ENOENT)
		return refuse(err, ENOENT, NULL,
			      "the message queue %s is gone, and the messages that were in it (%" PRIu64
			      ") with it",
			      m->name, m->messages);
	if (res < 0)
		return refuse(err, -res, NULL, "the message queue %s cannot be opened: %s", m->name,
			      strerror(-res));
	if (is_as_it_was(m, &attr))
		return 0;
	return refuse(err, EEXIST, "bring it into the state that it had, or remove it",
		      "the message queue %s is not as it was left: it has %ld messages (of %ld with "
		      "%ld bytes), and had %" PRIu64 " (of %" PRIu64 " with %" PRIu64 ")",
		      m->name, attr.mq_curmsgs, attr.mq_maxmsg, attr.mq_msgsize, m->messages,
		      m->max_messages, m->message_size);
}

static int make_queue(struct rebuild *r, const Rec__MessageQueue *m, struct error **err)
{
	struct opening o = {
		.name = m->name,
		.flags = O_RDWR | O_CREAT | O_EXCL,
		.mode = m->permissions | 0600,
		.attr = {.mq_maxmsg = (long)m->max_messages, .mq_msgsize = (long)m->message_size},
		.unlink = m->removed,
	};
	char other[32];
	struct stat st;
	int fd = open_within(r->within, &o);

	if (fd == -EEXIST && m->removed) {
		/* Somebody has its name by now: it goes at once anyway. */
		snprintf(other, sizeof other, "/stasis-%d-%" PRIx64, getpid(), m->object);
		o.name = other;
		fd = open_within(r->within, &o);
	}
	if (fd < 0)
		return fail_errno(err, -fd, "cannot make the message queue %s", m->name);
	/* Our umask had its part in it. */
	if (fstat(fd, &st) < 0 || fchmod(fd, m->permissions) < 0 ||
	    ((m->uid != st.st_uid || m->gid != st.st_gid) && fchown(fd, m->uid, m->gid) < 0)) {
		fail_errno(err, errno, "cannot set owner and permissions of the message queue %s",
			   m->name);
		close(fd);
		return -EPERM;
	}
	return fd;
}

/* A descriptor of the queue, the same one for all its descriptions. */
static int get_queue(struct rebuild *r, const Rec__MessageQueue *m, struct error **err)
{
	struct rebuilt_shared *s = rebuilt_share(r, kind_message_queue.tag, m->object);
	const struct opening o = {.name = m->name, .flags = (int)(m->file->flags & O_ACCMODE)};
	int fd = -ENOENT;

	if (!s)
		return fail(err, ENOMEM, "out of memory");
	if (s->fds[0] >= 0)
		return s->fds[0];
	if (!m->removed)
		fd = open_within(r->within, &o);
	if (fd == -ENOENT) {
		fd = make_queue(r, m, err);
		/* Not removed, but made: undo() knows it by this. */
		if (fd >= 0 && !m->removed)
			rebuilt_file(r, (uint32_t)m->object)->made = true;
	} else if (fd < 0) {
		return fail_errno(err, -fd, "cannot open the message queue %s", m->name);
	}
	s->fds[0] = fd;
	return fd;
}

static int queue_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__MessageQueue *m = (const Rec__MessageQueue *)f->message;
	int queue = get_queue(r, m, err), fd;

	if (queue < 0)
		return queue;
	fd = description_reopen(queue, (int)(m->file->flags & (O_ACCMODE | O_NONBLOCK)));
	return fd < 0 ? fail_errno(err, -fd, "cannot open the message queue %s", m->name) : fd;
}

static void queue_undo(const struct rebuild *r, const ProtobufCMessage *base)
{
	const Rec__MessageQueue *m = (const Rec__MessageQueue *)base;
	const struct rebuilt_file *first = first_of(r, m);

	if (!r->private_ipc && first && first->made && first->message == base)
		mq_unlink(m->name);
}

const struct kind kind_message_queue = {
	.name = "POSIX message queue",
	.tag = 151,
	.schema = &rec__message_queue__descriptor,
	.file = &(const struct file_ops){
		.claims = queue_claims,
		.capture = queue_capture,
		.validate = queue_validate,
		.taken = queue_taken,
		.check = queue_check,
		.open = queue_open,
		.undo = queue_undo,
	},
};
