#include "engine/lazy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/offspring.h"
#include "engine/pages.h"
#include "engine/paste.h"
#include "engine/uffd.h"
#include "image/reader.h"

/* A shorter area is read sooner than it is asked for. */
#define WORTH_WAITING (UINT64_C(1) << 20)
/* Holes that are shorter are registered with what is around them: each range splits a mapping. */
#define HOLE (UINT64_C(1) << 20)

int lazy_check(const struct rebuild *r, const struct image_reader *reader, bool may,
	       struct error **err)
{
	struct image_file file;

	if (!may)
		return refuse(err, EPERM, "restore it as root (CAP_SYS_PTRACE), or without --lazy",
			      "the kernel does not let you serve the memory of a program that runs "
			      "(userfaultfd(2))");
	if (!image_reader_file(reader, &file))
		return refuse(err, ESPIPE, "restore it from a file, or without --lazy",
			      "the image is no regular file: its memory cannot be read when it is "
			      "asked for");
	if (r->parent)
		return refuse(err, ENOTSUP, "restore it without --lazy, or make a full image",
			      "the image is an incremental one: its memory stands in several files");
	return 0;
}

static bool may_wait(const Rec__Area *a)
{
	return !a->special && !a->file && !a->lock && (a->flags & MAP_TYPE) == MAP_PRIVATE &&
	       !(a->flags & (MAP_HUGETLB | MAP_GROWSDOWN)) && a->end - a->start >= WORTH_WAITING;
}

bool lazy_takes(const struct rebuild *r, const struct rebuilt_task *t)
{
	if (t->copy_of || t->memory->n_unchanged)
		return false;
	vec_each(other, &r->tasks)
		if ((*other)->copy_of == t)
			return false;
	return true;
}

/* ---- Reading the image ------------------------------------------------------------------ */

/* The first area that ends behind address. */
static size_t area_behind(const Rec__Memory *m, uint64_t address)
{
	size_t lo = 0, hi = m->n_areas;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->areas[mid]->end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Parts of a run, one after the other: false, there are no more. */
static bool next_part(const Rec__Memory *m, const struct page_run *run, uint64_t *at,
		      struct page_run *ret, bool *ret_waits)
{
	uint64_t end = run->offset + run->length;
	size_t i = area_behind(m, *at);

	if (*at >= end)
		return false;
	*ret = (struct page_run){run->object, *at, end - *at};
	*ret_waits = false;
	if (i < m->n_areas && m->areas[i]->start <= *at) {
		*ret_waits = may_wait(m->areas[i]);
		if (m->areas[i]->end < end)
			ret->length = m->areas[i]->end - *at;
	}
	*at += ret->length;
	return true;
}

struct at_once {
	const struct rebuilt_task *task;
	struct paste *paste;
};

/* A piece of a frame that is partly of areas that do not wait. */
static int put_at_once(void *arg, const struct page_run *run, const void *data, struct error **err)
{
	const struct at_once *now = arg;
	struct page_run part;
	bool waits;
	int res = 0;

	for (uint64_t at = run->offset; res == 0 && next_part(now->task->memory, run, &at, &part, &waits);)
		if (!waits)
			res = paste_write(now->paste, part.offset,
					  (const char *)data + (part.offset - run->offset),
					  part.length, err);
	return res;
}

static int out_of_memory(struct error **err)
{
	return fail(err, ENOMEM, "out of memory");
}

/* Whether something of it waits, and whether something does not. */
static int note_runs(struct lazy_memory *m, const struct image_frame *frame, bool *ret_waits,
		     bool *ret_hurries, struct error **err)
{
	struct page_run part;
	bool waits;

	*ret_waits = *ret_hurries = false;
	for (size_t i = 0; i < frame->run_count; i++) {
		struct page_run *slot = vec_push(&m->runs);

		if (frame->runs[i].object != frame->runs[0].object)
			return refuse(err, EBADMSG, NULL,
				      "the image has memory of two processes in one frame");
		if (!slot)
			return out_of_memory(err);
		*slot = frame->runs[i];
		for (uint64_t at = slot->offset; next_part(m->task->memory, slot, &at, &part, &waits);) {
			struct lazy_place *place = waits ? vec_push(&m->places) : NULL;

			*(waits ? ret_waits : ret_hurries) = true;
			if (waits && !place)
				return out_of_memory(err);
			if (place)
				*place = (struct lazy_place){
					part.offset, part.offset + part.length, m->frames.count - 1,
					area_behind(m->task->memory, part.offset)};
		}
	}
	return 0;
}

static int note_frame(struct lazy_memory *m, struct fill *fill, struct paste *paste,
		      struct image_decoder *decoder, struct error **err)
{
	struct at_once now = {m->task, paste};
	struct lazy_frame *slot = vec_push(&m->frames);
	bool waits, hurries;
	int res;

	if (!slot)
		return out_of_memory(err);
	*slot = (struct lazy_frame){.stored = fill->frame.stored,
				    .first_run = m->runs.count,
				    .run_count = fill->frame.run_count};
	res = note_runs(m, &fill->frame, &waits, &hurries, err);
	if (res == 0 && hurries) {
		struct image_file file;
		struct image_data data = {.stored = fill->frame.stored,
					  .runs = fill->frame.runs,
					  .run_count = fill->frame.run_count,
					  .sink = {put_at_once, &now}};

		image_reader_file(fill->reader, &file);
		data.name = file.name;
		res = image_decoder_read(decoder, &file, &data, err);
	}
	if (res == 0)
		res = image_reader_leave_data(fill->reader, err);
	if (res == 0)
		res = image_reader_next(fill->reader, &fill->frame, err);
	fill->more = res > 0;
	/* Its runs are the last that came. */
	slot->done = !waits;
	m->left += waits;
	return res < 0 ? res : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct lazy_place *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The image has them in any order. */
static int sort_places(struct lazy_memory *m, struct error **err)
{
	struct todo *todo = &m->spaces.items[0].todo;
	uint64_t end = 0;

	if (m->places.count)
		qsort(m->places.items, m->places.count, sizeof *m->places.items, by_start);
	vec_each(p, &m->places) {
		if (p->start < end)
			return refuse(err, EBADMSG, NULL, "the image has the memory at 0x%" PRIx64
							  " twice", p->start);
		end = p->end;
		if (todo_append(todo, p->start, p->end) < 0)
			return out_of_memory(err);
	}
	return 0;
}

int lazy_note(struct lazy *l, struct rebuild *r, struct rebuilt_task *t, struct fill *fill,
	      struct error **err)
{
	struct paste paste cleanup_paste = PASTE_NONE;
	cleanup_image_decoder struct image_decoder *decoder = NULL;
	struct lazy_memory *m = vec_push(&l->memories);
	struct lazy_space *space;
	int res;

	(void)r;
	if (!m)
		return out_of_memory(err);
	*m = (struct lazy_memory){.task = t};
	space = vec_push(&m->spaces);
	if (!space)
		return out_of_memory(err);
	*space = (struct lazy_space){.uffd = -1};
	paste.task = t;
	res = image_decoder_new(&decoder, err);
	while (res == 0 && fill->more && fill->frame.type == IMAGE_TYPE_MEMORY &&
	       fill->frame.runs[0].object == MEMORY_OBJECT(t->record->pid))
		res = note_frame(m, fill, &paste, decoder, err);
	if (res == 0)
		res = sort_places(m, err);
	if (res == 0 && l->fd < 0) {
		struct image_file file;

		image_reader_file(fill->reader, &file);
		l->fd = fcntl(file.fd, F_DUPFD_CLOEXEC, 3);
		l->base = file.base;
		if (l->fd < 0)
			res = fail_errno(err, errno, "cannot keep the image open");
	}
	return res;
}

/* ---- Handing it over -------------------------------------------------------------------- */

static int register_places(const struct lazy_memory *m, struct error **err)
{
	const struct lazy_place *p = m->places.items;

	for (size_t i = 0, n; i < m->places.count; i += n) {
		uint64_t start = p[i].start, end = p[i].end;
		int res;

		for (n = 1; i + n < m->places.count && p[i + n].area == p[i].area &&
			    p[i + n].start - end < HOLE; n++)
			end = p[i + n].end;
		res = uffd_register(m->spaces.items[0].uffd, start, end);
		if (res < 0)
			return fail_errno(err, -res, "cannot register the memory at 0x%" PRIx64,
					  start);
	}
	return 0;
}

static int open_space(struct lazy_memory *m, struct error **err)
{
	struct lazy_space *space = &m->spaces.items[0];
	int res = enter_task(m->task, err);

	if (res < 0 || !m->left)
		return res;
	res = uffd_open_events(m->task, err);
	if (res < 0)
		return res;
	space->uffd = res;
	return register_places(m, err);
}

static int add_targets(struct lazy *l, const struct rebuild *r, struct error **err)
{
	vec_each(t, &r->tasks) {
		struct lazy_target *slot = (*t)->pid > 0 ? vec_push(&l->targets) : NULL;

		if ((*t)->pid <= 0)
			continue;
		if (!slot)
			return out_of_memory(err);
		*slot = (struct lazy_target){(*t)->pid, (int)syscall(SYS_pidfd_open, (*t)->pid, 0)};
		if (slot->pidfd < 0)
			return fail_errno(err, errno, "cannot watch process %d", (*t)->pid);
	}
	return 0;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Of the tool's and the program's descriptors none must be kept open by us. */
static void keep_own(const struct lazy *l, const int pair[2])
{
	VEC(int) keep = {0};
	int next = 0, *slot;

#define KEEP(fd) ((slot = vec_push(&keep)) ? (void)(*slot = (fd)) : _exit(127))
	KEEP(pair[0]);
	KEEP(pair[1]);
	KEEP(l->fd);
	KEEP(l->report);
	vec_each(m, &l->memories)
		KEEP(m->spaces.items[0].uffd);
	vec_each(t, &l->targets)
		KEEP(t->pidfd);
#undef KEEP
	qsort(keep.items, keep.count, sizeof(int), by_number);
	vec_each(fd, &keep) {
		if (*fd > next)
			syscall(SYS_close_range, next, *fd - 1, 0);
		next = *fd >= next ? *fd + 1 : next;
	}
	syscall(SYS_close_range, next, ~0U, 0);
	vec_free(&keep);
}

/* Nobody's child, of no terminal, and nobody's to interrupt. */
static void set_apart(const char *name)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, name);
	if (chdir("/") < 0)
		_exit(127);
}

__attribute__((noreturn)) static void start_both(struct lazy *l)
{
	int pair[2];
	pid_t pid;

	set_apart("stasis memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		_exit(errno);
	/* Before the tool goes on: it, too, closes what the program alone shall have. */
	keep_own(l, pair);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		prctl(PR_SET_NAME, "stasis guard");
		lazy_guard(l, pair[1]);
	}
	if (pid < 0)
		_exit(errno);
	close(pair[1]);
	pid = fork();
	if (pid == 0)
		lazy_serve(l, pair[0]);
	_exit(pid < 0 ? errno : 0);
}

int lazy_begin(struct lazy *l, const struct rebuild *r, int *ret_report, struct error **err)
{
	size_t left = 0;
	int res = 0, status = 0, pair[2];
	pid_t pid;

	vec_each(m, &l->memories) {
		left += m->left;
		if (res == 0)
			res = open_space(m, err);
	}
	if (res < 0 || !left)
		return res;
	res = add_targets(l, r, err);
	if (res < 0)
		return res;
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail_errno(err, errno, "cannot make a pipe");
	*ret_report = pair[0];
	l->report = pair[1];
	pid = fork();
	if (pid == 0)
		start_both(l);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return fail_errno(err, pid < 0 ? errno : WEXITSTATUS(status) ?: ECHILD,
				  "cannot start the process that serves memory");
	/* Who serves has them; should we keep them, memory would wait for ever when that one ends. */
	lazy_free(l);
	return 0;
}

void lazy_free(struct lazy *l)
{
	close_fdp(&l->fd);
	close_fdp(&l->report);
	vec_each(m, &l->memories) {
		vec_each(s, &m->spaces) {
			close_fdp(&s->uffd);
			todo_free(&s->todo);
		}
		vec_free(&m->spaces);
		vec_free(&m->frames);
		vec_free(&m->places);
		vec_free(&m->runs);
	}
	vec_free(&l->memories);
	vec_each(t, &l->targets)
		close_fdp(&t->pidfd);
	vec_free(&l->targets);
}
