#include "engine/animate.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/arrange.h"
#include "engine/offspring.h"
#include "engine/revive.h"
#include "engine/space.h"
#include "engine/states.h"
#include "engine/terminal.h"
#include "kind/kind.h"

/* ---- Files that come late ---- */

static int open_late_files(struct rebuild *r, bool *ret_some, struct error **err)
{
	*ret_some = false;
	vec_each(f, &r->files) {
		int res;

		if (!f->kind->file->open_late || f->replaced)
			continue;
		res = f->kind->file->open_late(r, f, err);
		if (res < 0)
			return error_wrap(err, res, "%s", f->kind->name);
		if (f->fd < 0)
			f->fd = res;
		f->late = true;
		*ret_some = true;
	}
	return 0;
}

/* SCM_RIGHTS, for one descriptor. */
struct passing {
	struct msghdr header;
	struct iovec part;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
};

static int pass(int socket, int fd, struct error **err)
{
	struct passing p = {.byte = 0};
	struct cmsghdr *c;

	p.part = (struct iovec){&p.byte, 1};
	p.header = (struct msghdr){.msg_iov = &p.part,
				   .msg_iovlen = 1,
				   .msg_control = p.control.buf,
				   .msg_controllen = sizeof p.control.buf};
	c = CMSG_FIRSTHDR(&p.header);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	return sendmsg(socket, &p.header, MSG_NOSIGNAL) == 1
		       ? 0
		       : fail_errno(err, errno, "cannot pass a descriptor on");
}

/* The task receives it: the same structure, in its memory. */
static int take(const struct rebuilt_task *t, int socket, int *ret, struct error **err)
{
	struct batch b cleanup_batch = {0};
	struct passing p = {.byte = 0}, *got;
	uint64_t at;
	int res;

	if (batch_init(&b, t->injection->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	at = batch_space(&b, sizeof p);
	p.part = (struct iovec){(void *)(uintptr_t)(at + offsetof(struct passing, byte)), 1};
	p.header = (struct msghdr){
		.msg_iov = (void *)(uintptr_t)(at + offsetof(struct passing, part)),
		.msg_iovlen = 1,
		.msg_control = (void *)(uintptr_t)(at + offsetof(struct passing, control)),
		.msg_controllen = sizeof p.control.buf};
	memcpy(batch_at(&b, at), &p, sizeof p);
	batch_call(&b, 0, SYS_recvmsg, (uint64_t)socket, at, MSG_DONTWAIT);
	res = inject_run(t->injection, &b, NULL, err);
	if (res < 0)
		return err && *err ? res : fail_errno(err, -res, "cannot take a descriptor");
	got = batch_at(&b, at);
	memcpy(ret, CMSG_DATA(&got->control.align), sizeof *ret);
	return 0;
}

static int give_late_files(struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	for (size_t i = 0; i < t->record->n_slots; i++) {
		const struct rebuilt_file *f = rebuilt_file(r, t->record->slots[i]->file);
		struct rebuilt_late *late;
		bool known = false;
		int res;

		vec_each(l, &t->late)
			known = known || l->file == f->id;
		if (!f->late || known)
			continue;
		late = vec_push(&t->late);
		if (!late)
			return fail(err, ENOMEM, "out of memory");
		*late = (struct rebuilt_late){f->id, -1};
		res = pass(r->late_socket[0], f->fd, err);
		if (res == 0)
			res = take(t, r->late_socket[1], &late->fd, err);
		if (res < 0)
			return res;
	}
	return 0;
}

int bring_late_files(struct rebuild *r, struct error **err)
{
	bool some;
	int res = open_late_files(r, &some, err);

	vec_each(it, &r->tasks) {
		struct rebuilt_task *t = *it;

		if (res < 0 || !some)
			break;
		if (t->record->n_slots == 0)
			continue;
		res = enter_task(t, err);
		if (res == 0)
			res = give_late_files(r, t, err);
	}
	return res;
}

/* ---- What must happen in a task once its descriptors have their numbers ---- */

/* The task in which it is settled, and the number there; NULL: nobody shows it. */
static struct rebuilt_task *find_settler(const struct rebuild *r, const struct rebuilt_file *f,
					 int *ret_fd)
{
	uint32_t pid = f->kind->file->settler ? f->kind->file->settler(f->message) : 0;

	vec_each(t, &r->tasks) {
		const Rec__Task *m = (*t)->record;

		if (pid && m->pid != pid)
			continue;
		for (size_t i = 0; i < m->n_slots; i++)
			if (m->slots[i]->file == f->id) {
				*ret_fd = (int)m->slots[i]->fd;
				return *t;
			}
	}
	return NULL;
}

/* In as many batches as the kind asks for. */
static int settle_file(struct rebuild *r, const struct rebuilt_file *f, struct error **err)
{
	cleanup_free char *doing = str_format("restoring %s", f->kind->name);
	struct batch b cleanup_batch = {0};
	struct rebuilt_task *t;
	bool again;
	int fd, res;

	t = find_settler(r, f, &fd);
	if (!t)
		return 0;
	res = enter_task(t, err);
	if (res < 0)
		return res;
	if (batch_init(&b, t->injection->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	t->settled = 0;
	do {
		res = f->kind->file->settle(r, t, f->message, fd, &b, err);
		again = res > 0;
		if (res >= 0 && b.count)
			res = run_batch(t->injection, &b, doing ? doing : f->kind->name, err);
	} while (again && res >= 0);
	return res < 0 ? res : 0;
}

static int settle_files(struct rebuild *r, struct error **err)
{
	int res = 0;

	/* Who watches others comes when these are what they will be. */
	for (int last = 0; last < 2; last++)
		vec_each(f, &r->files)
			if (res == 0 && f->kind->file->settle && f->in_slot &&
			    f->kind->file->settles_last == last)
				res = settle_file(r, f, err);
	return res;
}

/* ---- One task after another, in steps that all must have done ---- */

static int prepare_task(const struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	struct state_calls calls cleanup_states = {0};
	int res = enter_task(t, err);

	if (res == 0 && !t->memory_of)
		res = finish_space(r, t, t->injection, err);
	if (res == 0)
		res = states_begin(&calls, t->injection, err);
	if (res == 0)
		res = states_add(r, &t->threads.items[0], PHASE_EARLY, t->injection, &calls, err);
	return res == 0 ? states_run(t->injection, &calls, err) : res;
}

/* Those that share its descriptors have read from the tool's, which are closed now. */
static int arrange_task(const struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	int res = enter_task(t, err);

	return res < 0 ? res : arrange_descriptors(r, t, err);
}

int animate_tasks(struct rebuild *r, const struct birth *b, struct error **err)
{
	int res = give_foreground(r, err);

	vec_each(t, &r->tasks)
		if (res == 0 && !(*t)->record->zombie)
			res = prepare_task(r, *t, err);
	vec_each(t, &r->tasks)
		if (res == 0 && !(*t)->record->zombie && !(*t)->files_of)
			res = arrange_task(r, *t, err);
	if (res == 0)
		res = settle_files(r, err);
	vec_each(t, &r->tasks)
		if (res == 0 && !(*t)->record->zombie)
			res = make_threads(r, *t, b, err);
	/* Backwards: who lends its memory comes after those that it is lent to. */
	for (size_t i = r->tasks.count; i-- > 0 && res == 0;)
		if (!r->tasks.items[i]->record->zombie)
			res = revive_threads(r, r->tasks.items[i], err);
	return res;
}
