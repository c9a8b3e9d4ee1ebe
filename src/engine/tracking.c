#include "engine/tracking.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/ranges.h"
#include "engine/source.h"

#define MEND_WHOLE "make a whole one: stasis checkpoint --track, without --parent; the next can build on that"

void tracking_free(struct tracking *t)
{
	chain_link_free(&t->parent);
	tracked_free(&t->held);
	free_strp(&t->hint);
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int read_parent(struct tracking *t, const struct checkpoint_options *o, struct error **err)
{
	int r = same_file(o->output, o->parent)
			? refuse(err, EINVAL, "write to another file",
				 "%s cannot be replaced by an image that needs it", o->parent)
			: chain_read(o->parent, &t->parent, err);

	if (r == 0 && t->parent.depth >= CHAIN_MAX)
		r = refuse(err, ELOOP, MEND_WHOLE, "%s stands on %u others, and that is enough", o->parent,
			   t->parent.depth);
	if (r < 0)
		return r;
	t->incremental = true;
	t->record.identity_low = t->parent.identity.low;
	t->record.identity_high = t->parent.identity.high;
	t->record.depth = t->parent.depth + 1;
	t->record.path = t->hint = chain_hint(o->output, o->parent);
	return t->hint ? 0 : fail(err, ENOMEM, "out of memory");
}

int tracking_begin(struct tracking *t, const struct checkpoint_options *o, struct error **err)
{
	int r = 0;

	/* Of what is ended nothing is written any more. */
	t->wanted = o->track && o->then != THEN_KILL;
	if (o->track || o->parent)
		t->how = track_probe();
	if (o->track && t->how == TRACK_NOTHING)
		r = refuse(err, ENOTSUP, "leave out --track: every image is then whole",
			   "this kernel does not tell what a program writes: it has neither userfaultfd "
			   "with asynchronous write protection (Linux 6.7) nor soft-dirty pages");
	if (r == 0 && o->parent)
		r = read_parent(t, o, err);
	if (r < 0)
		error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
	return r;
}

static bool is_watched(const struct member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		vec_each(a, &members[i].task->areas.list)
			if (a->flags & VM_FLAG(UFFD_WP))
				return true;
	return false;
}

/* A mapping has one userfaultfd at most: where ours is welcome again there is no other one. */
static void take_over(struct member *m, const struct held *h)
{
	m->known = true;
	if (h->uffd < 0)
		return;
	m->uffd = fcntl(h->uffd, F_DUPFD_CLOEXEC, 3);
	vec_each(a, &m->task->areas.list)
		if ((a->flags & VM_FLAG(UFFD_WP)) && m->uffd >= 0 &&
		    track_register(m->uffd, a->start, a->end) == 0)
			a->flags &= ~VM_FLAG(UFFD_WP);
}

static int check_identity(const struct tracking *t, bool found, pid_t pid, struct error **err)
{
	const struct image_identity *have = &t->held.image;

	if (!found)
		return refuse(err, ENODATA, MEND_WHOLE,
			      "nobody knows what process %d has written since %s was made: it was made "
			      "without --track, or the tracking has ended since", pid, t->parent.path);
	if (have->low != t->parent.identity.low || have->high != t->parent.identity.high)
		return refuse(err, ESTALE, MEND_WHOLE,
			      "%s is not the image since which the writes of process %d are known (that is "
			      "%016" PRIx64 "%016" PRIx64 ")", t->parent.path, pid, have->high, have->low);
	return 0;
}

int tracking_meet(struct tracking *t, const struct tracked *watched, struct member *members,
		  size_t count, struct error **err)
{
	const struct task *root = members[0].task;
	bool found;

	for (size_t i = 0; i < count; i++) {
		const struct task *task = members[i].task;
		const struct held *h = held_find(watched, task->pid, task->stat.starttime);

		if (h && !task->zombie)
			take_over(&members[i], h);
	}
	if (!t->wanted && !t->incremental && !is_watched(members, count))
		return 0;
	found = holder_find(root->pid, root->stat.starttime, &t->held);
	for (size_t i = 0; found && i < count; i++) {
		const struct task *task = members[i].task;
		const struct held *h = held_find(&t->held, task->pid, task->stat.starttime);

		if (h && !task->zombie)
			take_over(&members[i], h);
	}
	return t->incremental ? check_identity(t, found, root->pid, err) : 0;
}

static int open_pagemap(const struct task *task, struct error **err)
{
	int fd = openat(task->proc, "pagemap", O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? fd
		       : fail_errno(err, errno, "cannot see the pages of process %d", task->pid);
}

static bool is_private(const Rec__Area *a)
{
	return !a->special && (a->flags & MAP_TYPE) == MAP_PRIVATE;
}

/* What is there and was not written.  What is not there is no part of it: a hole may be new. */
static int find_clean(int pagemap, enum track_how how, const Rec__Area *a, struct page_ranges *ret)
{
	struct page_ranges there cleanup_ranges = {0}, written cleanup_ranges = {0};
	int r;

	if (how == TRACK_UFFD)
		return area_clean_pages(pagemap, a, ret);
	r = track_written(pagemap, how, a->start, a->end, &written);
	if (r < 0 || (written.list.count == 1 && written.list.items[0].start == a->start &&
		      written.list.items[0].end == a->end))
		return r;
	r = area_pages(pagemap, a, &there);
	return r < 0 ? r : ranges_without(&there, &written, ret);
}

int tracking_find_clean(const struct tracking *t, struct member *m, struct error **err)
{
	const struct chain_memory *then = m->memory ? chain_memory_of(&t->parent, m->memory->pid) : NULL;
	struct page_ranges all cleanup_ranges = {0};
	cleanup_close int pagemap = -1;
	int r = 0;

	if (!t->incremental || !m->known || !then)
		return 0;
	pagemap = open_pagemap(m->task, err);
	if (pagemap < 0)
		return pagemap;
	for (size_t i = 0; i < m->memory->n_areas && r == 0; i++)
		if (is_private(m->memory->areas[i]))
			r = find_clean(pagemap, t->held.how, m->memory->areas[i], &all);
	/*
	 * What it had from its parent process then is not in that image under its own number.
	 */
	if (r == 0)
		r = ranges_without(&all, &then->inherited, &m->clean);
	return r < 0 ? fail_errno(err, -r, "cannot see what process %d has written", m->task->pid) : 0;
}

int tracking_fill_record(const struct tracking *t, struct member *m, struct error **err)
{
	struct page_ranges inherited cleanup_ranges = {0}, unchanged cleanup_ranges = {0};
	int r;

	if (!t->incremental || !m->memory)
		return 0;
	r = ranges_of_record(m->memory->n_inherited, m->memory->inherited, &inherited);
	if (r == 0)
		r = ranges_without(&m->clean, &inherited, &unchanged);
	if (r == 0)
		r = ranges_to_record(&unchanged, &m->memory->n_unchanged, &m->memory->unchanged);
	return r < 0 ? fail(err, ENOMEM, "out of memory") : 0;
}

/* Its main thread makes the userfaultfd; no thread is in. */
static int make_uffd(struct member *m, struct error **err)
{
	struct thread *t = task_leader(m->task);
	int r, uffd = -1;

	m->in->wary = t->wary;
	r = inject_enter(m->in, t->tid, &t->regs, t->sigmask, err);
	if (r == 0)
		r = uffd = track_make(m->in, m->task->pidfd, err);
	if (m->in->tid && inject_leave(m->in, r < 0 ? NULL : err) < 0 && r >= 0)
		r = -ESRCH;
	m->uffd = uffd;
	return r < 0 ? r : 0;
}

/* -ESRCH: the userfaultfd is that of the memory before an execve(2). */
static int watch(struct member *m, int pagemap)
{
	int r = 0;

	for (size_t i = 0; i < m->memory->n_areas && r != -ESRCH; i++) {
		const Rec__Area *a = m->memory->areas[i];

		if (!is_private(a))
			continue;
		r = track_register(m->uffd, a->start, a->end);
		/* What cannot be watched counts as written each time. */
		if (r == 0)
			r = track_arm(pagemap, a->start, a->end);
	}
	return r == -ESRCH ? r : 0;
}

static int renew(const struct tracking *t, struct member *m, struct error **err)
{
	cleanup_close int pagemap = -1;
	int r;

	if (t->how == TRACK_SOFT_DIRTY) {
		r = track_clear_soft_dirty(m->task->proc);
		return r < 0 ? fail_errno(err, -r, "process %d cannot be watched", m->task->pid) : 0;
	}
	pagemap = open_pagemap(m->task, err);
	if (pagemap < 0)
		return pagemap;
	r = m->uffd >= 0 ? watch(m, pagemap) : -ESRCH;
	if (r == 0)
		return 0;
	close_fdp(&m->uffd);
	r = make_uffd(m, err);
	return r < 0 ? r : watch(m, pagemap);
}

int tracking_renew(struct tracking *t, struct member *members, size_t count, struct error **err)
{
	int r;

	if (!t->wanted)
		return 0;
	/* Before it is told what is new the holder must not say any more that it knows what is. */
	r = holder_end(&t->held, err);
	for (size_t i = 0; i < count && r == 0; i++)
		if (members[i].memory)
			r = renew(t, &members[i], err);
	return r;
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int tracking_keep(struct tracking *t, const struct member *members, size_t count,
		  const struct image_identity *identity, struct error **err)
{
	const struct task *root = members[0].task;
	struct tracked next = {.socket = -1, .image = *identity, .how = t->how, .since = now()};
	int r = 0;

	if (!t->wanted)
		return t->incremental ? holder_end(&t->held, err) : 0;
	for (size_t i = 0; i < count && r == 0; i++) {
		struct held *h = members[i].memory ? vec_push(&next.processes) : NULL;

		if (members[i].memory && !h)
			r = fail(err, ENOMEM, "out of memory");
		if (h)
			*h = (struct held){members[i].task->pid, members[i].task->stat.starttime,
					   members[i].uffd, members[i].task->pidfd};
	}
	if (r == 0)
		r = holder_start(&next, root->pid, root->stat.starttime, err);
	vec_free(&next.processes);
	return error_wrap(err, r, "the image is complete, but the next one cannot build on it");
}
