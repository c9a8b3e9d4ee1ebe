#include "engine/template.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "engine/afford.h"
#include "engine/hand_over.h"
#include "engine/load.h"
#include "engine/offspring.h"
#include "engine/source.h"
#include "engine/space.h"
#include "engine/work.h"
#include "image/reader.h"
#include "inject/pagemap.h"
#include "inject/trace.h"
#include "kind/kind.h"
#include "priv/calls.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGE_PAGE (UINT64_C(2) << 20)

static const char doing[] = "preparing the template";

/* What fork(2) gives to a child as its own. */
static bool is_shareable(const Rec__Area *a)
{
	return a->special || (a->flags & MAP_TYPE) == MAP_PRIVATE;
}

/* Each copy maps the others itself. */
static void drop_shared_areas(Rec__Memory *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n_areas; i++) {
		if (is_shareable(m->areas[i]))
			m->areas[kept++] = m->areas[i];
		else
			rec__area__free_unpacked(m->areas[i], NULL);
	}
	m->n_areas = kept;
}

static bool is_needed(const struct rebuilt_task *t, uint32_t file)
{
	if (t->record->executable == file)
		return true;
	for (size_t i = 0; i < t->memory->n_areas; i++)
		if (t->memory->areas[i]->file == file)
			return true;
	return false;
}

/* The executable and what is mapped: a template has no descriptors of the program. */
static int open_needed(struct template *template, struct error **err)
{
	struct rebuild *r = &template->rebuild;
	const struct rebuilt_task *t = template->task;
	int res = 0;

	vec_each(f, &r->files) {
		struct stat st;
		struct template_file *slot;

		f->replaced = !is_needed(t, f->id);
		if (f->replaced)
			continue;
		res = open_file(r, f, err);
		slot = res < 0 ? NULL : vec_push(&template->files);
		if (res < 0)
			return res;
		if (!slot || fstat(f->fd, &st) < 0)
			return fail(err, ENOMEM, "out of memory");
		*slot = (struct template_file){f->id, st.st_dev, st.st_ino};
	}
	return 0;
}

/* Contents of what is mapped come first in the image; others are passed over. */
static int fill_needed(struct rebuild *r, struct fill *fill, struct error **err)
{
	int res = fill_known_contents(r, fill, err);

	vec_each(f, &r->files)
		if (res == 0 && f->kind->file->fill_done && !f->replaced) {
			res = f->kind->file->fill_done(r, f, err);
			error_wrap(err, res, "%s", f->kind->name);
		}
	close_shared(r);
	return res;
}

static int read_image(struct template *t, const char *image, struct image_reader *reader,
		      struct fill *fill, struct error **err)
{
	int res = load_image(reader, &t->rebuild, &fill->frame, &fill->more, err);

	if (res < 0)
		return res;
	fill->reader = reader;
	t->task = t->rebuild.tasks.items[0];
	drop_shared_areas(t->task->memory);
	res = chain_open(&t->chain, image, t->rebuild.parent, err);
	return res < 0 ? res : open_needed(t, err);
}

/*
 * Huge pages, where all of one is there and there is none yet (template_note_huge()).  The advice of
 * the area stays as it is, and a page that a copy writes is a small one again.
 */
static int collapse(const struct rebuilt_task *t, struct error **err)
{
	cleanup_close int pagemap = priv_open_newborn(t->proc, "pagemap", O_RDONLY, false);
	struct page_ranges pages = {0};
	struct batch b cleanup_batch = {0};
	int res = batch_init(&b, t->injection->region) < 0 ? fail(err, ENOMEM, "out of memory") : 0;

	for (size_t i = 0; i < t->memory->n_areas && res == 0; i++) {
		const Rec__Area *a = t->memory->areas[i];

		if (!a->special && !a->file && a->end - a->start >= HUGE_PAGE && pagemap >= 0 &&
		    area_pages(pagemap, a, &pages) < 0)
			res = fail(err, EIO, "cannot read which pages the template has");
	}
	vec_each(p, &pages.list) {
		uint64_t start = (p->start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
		uint64_t end = p->end & ~(HUGE_PAGE - 1);

		if (start >= end || res < 0)
			continue;
		res = make_room(t->injection, &b, 1, doing, err);
		batch_call(&b, BATCH_MAY_FAIL, SYS_madvise, start, end - start, MADV_COLLAPSE);
	}
	if (res == 0)
		res = run_batch(t->injection, &b, doing, err);
	vec_free(&pages.list);
	return res;
}

/* But for the socket, by which each copy gets its own. */
static int close_descriptors(const struct rebuild *r, const struct rebuilt_task *t,
			     struct error **err)
{
	struct batch b cleanup_batch = {0};
	uint64_t socket = (uint64_t)r->late_socket[1];

	if (batch_init(&b, t->injection->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	batch_call(&b, 0, SYS_close_range, 0, socket - 1);
	batch_call(&b, 0, SYS_close_range, socket + 1, ~0u);
	return run_batch(t->injection, &b, doing, err);
}

static int make_process(struct template *t, struct fill *fill, struct error **err)
{
	struct rebuild *r = &t->rebuild;
	struct birth birth = {.init = NSINIT_NONE};
	int pair[2], res;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, errno, "cannot make a socket pair");
	r->late_socket[0] = pair[0];
	r->late_socket[1] = pair[1];
	res = give_birth(r, t->task, &birth, err);
	if (res == 0)
		res = build_space(r, t->task, t->task->injection, err);
	if (res == 0)
		res = fill_memory(r, t->task, &t->chain, fill, err);
	if (res == 0)
		res = collapse(t->task, err);
	if (res == 0)
		res = close_descriptors(r, t->task, err);
	return res;
}

/* Of a single process: the image was read to its end, and verified. */
static int end_fill(const struct rebuild *r, struct fill *fill, struct error **err)
{
	vec_each(t, &r->tasks)
		if ((*t)->memory && *t != r->tasks.items[0])
			return 0;
	return fill_end(fill, err);
}

int template_make(struct template *ret, const char *image, const struct restore_options *o,
		  struct error **err)
{
	cleanup_image_reader struct image_reader *reader = NULL;
	cleanup_fill struct fill fill = {0};
	int res;

	*ret = (struct template){.rebuild = {.options = o, REBUILD_INIT}};
	res = image_reader_open(&reader, image, err);
	if (res == 0)
		res = read_image(ret, image, reader, &fill, err);
	if (res == 0)
		res = template_note_huge(ret, image, err);
	/* These were not there when it was asked whether this machine has room for them. */
	if (res == 0)
		res = afford_memory(&ret->rebuild, machine_memory(), err);
	if (res == 0)
		res = fill_needed(&ret->rebuild, &fill, err);
	if (res == 0)
		res = make_process(ret, &fill, err);
	if (res == 0)
		res = end_fill(&ret->rebuild, &fill, err);
	vec_each(f, &ret->rebuild.files)
		close_fdp(&f->fd);
	ret->bytes = fill.done;
	return res;
}

/* All that the template has is the copy's; what it would not need was never filled. */
static int inherit_all(struct rebuilt_task *root, struct rebuilt_task *template,
		       struct error **err)
{
	Rec__Memory *m = root->memory;

	m->inherited = calloc(m->n_areas + 1, sizeof *m->inherited);
	for (size_t i = 0; i < m->n_areas && m->inherited; i++) {
		Rec__Range *range;

		if (m->areas[i]->special || !is_shareable(m->areas[i]))
			continue;
		range = malloc(sizeof *range);
		if (!range)
			return fail(err, ENOMEM, "out of memory");
		rec__range__init(range);
		range->start = m->areas[i]->start;
		range->end = m->areas[i]->end;
		m->inherited[m->n_inherited++] = range;
	}
	root->copy_of = template;
	return m->inherited ? 0 : fail(err, ENOMEM, "out of memory");
}

/* Between the template and a copy: it has the memory of the one and the namespaces of the other. */
struct middle {
	struct rebuilt_task task;
	Rec__Task record;
};

static int make_middle(struct template *t, struct middle *m, struct error **err)
{
	struct clone_args args = {.flags = CLONE_VM | CLONE_PARENT};
	struct stop stop;
	int res;

	*m = (struct middle){.task = {.memory_of = t->task, .proc = -1, .mem = -1}};
	rec__task__init(&m->record);
	m->record.pid = t->task->record->pid;
	m->task.record = &m->record;
	res = clone_in(t->task, &args, 0, &m->task.ns_pid, err);
	if (res < 0)
		return res;
	m->task.pid = t->task->injection->born;
	m->task.injection = t->task->injection;
	if (trace_wait(m->task.pid, &stop) < 0 || stop.kind != STOP_INTERRUPT)
		return fail(err, ECHILD, "the new process ended before it began");
	return enter_task(&m->task, err);
}

/* The pidfd is among what it gets: at the same number, too. */
static int give_descriptors(const struct template *t, const struct rebuild *r,
			    const struct middle *m, int pidfd, struct error **err)
{
	int *fds = calloc(r->files.count + 2, sizeof *fds), res;
	size_t count = 0;

	if (!fds)
		return fail(err, ENOMEM, "out of memory");
	if (pidfd >= 0)
		fds[count++] = pidfd;
	if (r->late_socket[1] >= 0)
		fds[count++] = r->late_socket[1];
	vec_each(f, &r->files)
		if (f->fd >= 0)
			fds[count++] = f->fd;
	res = hand_over(m->task.injection, t->rebuild.late_socket[0], t->rebuild.late_socket[1],
			fds, count, err);
	free(fds);
	return res;
}

static int enter_namespaces(const struct rebuild *r, const struct middle *m, int pidfd,
			    struct error **err)
{
	uint64_t flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
			 (r->private_ipc ? CLONE_NEWIPC : 0u);
	int64_t done = 0;
	int res = call_in_task(&m->task, SYS_setns, (const uint64_t[6]){(uint64_t)pidfd, flags},
			       &done, err);

	return res == 0 && done < 0
		       ? fail_errno(err, (int)-done, "a copy cannot enter its private namespaces")
		       : res;
}

static int fork_middle(struct middle *m, struct rebuilt_task *root, const struct birth *b,
		       struct error **err)
{
	struct clone_args args = {.flags = CLONE_PARENT};
	pid_t number = b->exact ? (pid_t)root->record->pid : 0;
	struct stop stop;
	int res = clone_in(&m->task, &args, number, &root->ns_pid, err);

	if (res < 0)
		return res;
	root->pid = m->task.injection->born;
	/* The maker is told the number of its own namespace. */
	if (number)
		root->ns_pid = number;
	if (trace_wait(root->pid, &stop) < 0 || stop.kind != STOP_INTERRUPT)
		return fail(err, ECHILD, "a copy ended before it began");
	return 0;
}

static void end_middle(struct template *t, struct middle *m)
{
	if (m->task.pid <= 0)
		return;
	if (end_process(&m->task, 0, NULL) < 0) {
		kill(m->task.pid, SIGKILL);
		waitpid(m->task.pid, NULL, __WALL);
	}
	t->task->injection->tid = 0;
}

static bool is_shown_elsewhere(const struct rebuild *r, const struct rebuilt_file *f)
{
	vec_each(t, &r->tasks)
		for (size_t i = 0; (*t)->memory && i < (*t)->memory->n_areas; i++)
			if ((*t)->memory->areas[i]->file == f->id &&
			    !is_shareable((*t)->memory->areas[i]))
				return true;
	return f->in_slot;
}

/* A file that is made anew for each is another one in the template: nobody may notice. */
static int check_files(const struct template *t, const struct rebuild *r, struct error **err)
{
	vec_each(it, &t->files) {
		const struct rebuilt_file *f = rebuilt_file(r, it->id);
		struct stat st;

		if (!f || f->fd < 0 || fstat(f->fd, &st) < 0)
			continue;
		if ((st.st_dev != it->dev || st.st_ino != it->ino) && is_shown_elsewhere(r, f))
			return refuse(err, ENOTSUP, "restore it without --clone",
				      "the program has a private mapping of a %s that it can also "
				      "write to, which each copy has its own of", f->kind->name);
	}
	return 0;
}

int template_fork(struct template *t, struct rebuild *r, struct rebuilt_task *root,
		  struct birth *b, struct error **err)
{
	struct middle m = {.task = {.pid = 0}};
	int pidfd = b->init.pid ? b->init.pidfd : -1;
	int res = check_files(t, r, err);

	if (res == 0)
		res = make_middle(t, &m, err);

	if (res == 0)
		res = give_descriptors(t, r, &m, pidfd, err);
	if (res == 0 && pidfd >= 0)
		res = enter_namespaces(r, &m, pidfd, err);
	if (res == 0)
		res = fork_middle(&m, root, b, err);
	end_middle(t, &m);
	if (res == 0)
		res = open_newborn(r, root, err);
	if (res == 0)
		res = take_injection(root, t->task, err);
	if (res < 0)
		return res;
	/* The template's way back means nothing here. */
	inject_end(root->injection);
	res = inherit_all(root, t->task, err);
	return res == 0 && b->init.pid ? nsinit_adopt(&b->init, root->ns_pid, err) : res;
}

void template_end(struct template *t)
{
	end_tasks(&t->rebuild);
	chain_free(&t->chain);
	vec_free(&t->files);
	rebuild_free(&t->rebuild);
}
