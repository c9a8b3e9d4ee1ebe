/*
 * Who is sent a signal when something happens to a description: F_SETOWN, F_SETSIG,
 * and O_ASYNC, which begins it and thus comes last.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/str.h"
#include "task/append.h"

#define SIGNALS 64

extern const struct kind kind_owners;

/* What the image calls a process or a group; 0: it is not in the tree. */
static pid_t name_owner(const struct tree *tree, const struct f_owner_ex *owner)
{
	vec_each(it, &tree->tasks) {
		const struct task *task = *it;

		if (owner->type == F_OWNER_PGRP) {
			/* A group of the tree has its leader there. */
			if (owner->pid == task->pid && task->ns_pgid == task->ns_pid)
				return task->ns_pid;
			continue;
		}
		vec_each(t, &task->threads)
			if ((*t)->tid == owner->pid &&
			    (owner->type == F_OWNER_TID || *t == task_leader(task)))
				return (*t)->ns_tid;
	}
	return 0;
}

static int capture_owner(const struct capture *c, const struct file *f, Rec__Owners *m,
			 struct error **err)
{
	cleanup_free char *whose = NULL;
	struct f_owner_ex owner = {0};
	int sig = fcntl(f->own, F_GETSIG);
	pid_t id = 0;
	Rec__Owner *o;

	/* O_PATH descriptions have none. */
	if (sig < 0 || fcntl(f->own, F_GETOWN_EX, &owner) < 0)
		return 0;
	if (!owner.pid && !sig && !(f->flags & O_ASYNC))
		return 0;
	if (owner.pid) {
		id = name_owner(&c->tree, &owner);
		whose = id ? NULL : file_describe(f);
		if (!id)
			return refuse(err, ENOTSUP, NULL,
				      "%s sends its signals to %s %d, which is not part of the "
				      "checkpoint", whose ? whose : "a descriptor",
				      owner.type == F_OWNER_PGRP ? "process group" : "process",
				      owner.pid);
	}
	o = message_append(&m->owners, &m->n_owners, &rec__owner__descriptor);
	if (!o)
		return fail(err, ENOMEM, "out of memory");
	o->fd = (uint32_t)f->fd;
	o->type = (uint32_t)owner.type;
	o->id = id;
	o->signal = (uint32_t)sig;
	return 0;
}

static int owners_capture(struct capture *c, const struct thread *t, const struct batch *b,
			  const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	Rec__Owners *m = kind_message(&kind_owners);
	int r = 0;

	(void)b, (void)asked;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	vec_each(it, &c->files.files) {
		int one = 0;

		if ((*it)->task == t->task && (*it)->fd >= 0 && (*it)->own >= 0)
			one = capture_owner(c, *it, m, err);
		r = one < 0 ? one : r;
	}
	if (r < 0 || !m->n_owners)
		message_free(&m->base);
	else
		*ret = &m->base;
	return r;
}

static int owners_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Owners *m = (const Rec__Owners *)message;

	for (size_t i = 0; i < m->n_owners; i++) {
		const Rec__Owner *o = m->owners[i];

		if (o->type > F_OWNER_PGRP || o->id < 0 || o->signal > SIGNALS ||
		    o->fd > INT32_MAX)
			return fail(err, EINVAL, "an impossible owner of descriptor %u", o->fd);
	}
	return 0;
}

static int owners_check(const struct rebuild *r, const ProtobufCMessage *message,
			struct error **err)
{
	const Rec__Owners *m = (const Rec__Owners *)message;
	const struct rebuilt_task *t = rebuilt_task(r, m->pid);

	for (size_t i = 0; t && i < m->n_owners; i++) {
		const Rec__Owner *o = m->owners[i];

		if (!rebuilt_slot(r, t, o->fd))
			return fail(err, EINVAL, "an owner of descriptor %u, which is not open",
				    o->fd);
		/* An image must not have signals sent to strangers. */
		if (o->id && !rebuilt_thread(r, (uint32_t)o->id))
			return fail(err, EINVAL, "descriptor %u is owned by %d, which is not in the "
				    "image", o->fd, o->id);
	}
	return 0;
}

static int owners_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			  const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__Owners *m = (const Rec__Owners *)message;

	for (size_t i = 0; m && i < m->n_owners; i++) {
		const Rec__Owner *o = m->owners[i];
		const struct rebuilt_file *f = rebuilt_slot(r, t->task, o->fd);
		const Rec__File *file = f ? kind_file(f->message) : NULL;
		struct f_owner_ex owner = {(int)o->type, o->id ? rebuilt_number(r, o->id) : 0};

		if (!batch_has_room(b, 4, sizeof owner))
			return fail(err, E2BIG, "%zu owners are too many", m->n_owners);
		if (owner.pid)
			batch_call(b, 0, SYS_fcntl, o->fd, F_SETOWN_EX,
				   batch_put(b, &owner, sizeof owner));
		if (o->signal)
			batch_call(b, 0, SYS_fcntl, o->fd, F_SETSIG, o->signal);
		if (!file || !(file->flags & O_ASYNC))
			continue;
		/* Switched on by this call, the description remembers this number for si_fd. */
		batch_call(b, 0, SYS_fcntl, o->fd, F_SETFL, file->flags & ~(uint32_t)O_ASYNC);
		batch_call(b, 0, SYS_fcntl, o->fd, F_SETFL, file->flags);
	}
	return 0;
}

const struct kind kind_owners = {
	.name = "owners",
	.tag = 73,
	.schema = &rec__owners__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_NORMAL,
		.capture = owners_capture,
		.validate = owners_validate,
		.check = owners_check,
		.rebuild = owners_rebuild,
	},
};
