/* A restore from beginning to end: read, refuse, make, build, fill, revive, let go. */
#include "engine/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/arrange.h"
#include "engine/birth.h"
#include "engine/fill.h"
#include "engine/load.h"
#include "engine/revive.h"
#include "engine/space.h"
#include "engine/standard.h"
#include "image/reader.h"
#include "inject/trace.h"
#include "kind/kind.h"
#include "priv/calls.h"
#include "priv/priv.h"

/* All that must not be left behind. */
struct work {
	struct rebuild rebuild;
	struct birth birth;
	struct injection injection;
	struct priv priv;
	struct rlimit files; /* our own limit before */
	bool limit_raised;
	bool alive; /* the program runs: it is not ours to end any more */
};

static void end_work(struct work *w)
{
	vec_each(t, &w->rebuild.tasks) {
		if ((*t)->pid <= 0 || w->alive)
			continue;
		kill((*t)->pid, SIGKILL);
		vec_each(th, &(*t)->threads)
			if (th->tid > 0 && th->tid != (*t)->pid)
				waitpid(th->tid, NULL, __WALL);
		waitpid((*t)->pid, NULL, __WALL);
	}
	if (w->alive)
		nsinit_free(&w->birth.init);
	else
		nsinit_end(&w->birth.init);
	if (w->limit_raised)
		setrlimit(RLIMIT_NOFILE, &w->files);
	rebuild_free(&w->rebuild);
}

/* Every description is open in the tool at the same time: that may be more than it usually may. */
static int raise_file_limit(struct work *w, struct error **err)
{
	rlim_t need = w->rebuild.files.count + 64;
	struct rlimit all;

	getrlimit(RLIMIT_NOFILE, &w->files);
	vec_each(t, &w->rebuild.tasks) {
		const Rec__Task *m = (*t)->record;

		if (m->n_slots && m->slots[m->n_slots - 1]->fd + 1u > need)
			need = m->slots[m->n_slots - 1]->fd + 1u;
	}
	if (need <= w->files.rlim_cur)
		return 0;
	all = w->files;
	all.rlim_cur = all.rlim_max;
	if (need <= all.rlim_max && setrlimit(RLIMIT_NOFILE, &all) == 0) {
		w->limit_raised = true;
		return 0;
	}
	return refuse(err, EMFILE, "raise the limit: ulimit -n",
		      "the program needs %llu descriptors, and the limit is %llu",
		      (unsigned long long)need, (unsigned long long)w->files.rlim_max);
}

/* Everything that can be known to fail is found before anything is made. */
static int check_all(struct work *w, struct error **err)
{
	struct rebuild *r = &w->rebuild;
	struct error *found = NULL;
	int res;

	check_space(r, &found);
	if (!priv_may(&w->priv, PRIV_SET_MM_MAP))
		refuse(&found, EPERM, "use a kernel with CONFIG_CHECKPOINT_RESTORE",
		       "this kernel lets no program say where its heap, arguments and environment "
		       "are (PR_SET_MM_MAP)");
	plan_numbers(r, &w->priv, &w->birth, &found);
	raise_file_limit(w, &found);
	vec_each(f, &r->files)
		if (f->kind->file->check && !f->replaced)
			f->kind->file->check(r, f->message, &found);
	vec_each(s, &r->states)
		if (s->kind->state->check)
			s->kind->state->check(r, s->message, &found);
	res = found ? -error_errno(found) : 0;
	error_merge(err, &found);
	return res;
}

static int open_files(struct rebuild *r, struct error **err)
{
	vec_each(f, &r->files) {
		int res;

		if (f->replaced)
			continue;
		res = f->kind->file->open(r, f, err);
		if (res < 0)
			return error_wrap(err, res, "%s", f->kind->name);
		if (f->fd < 0)
			f->fd = res;
		/* 0, 1 and 2 are ours until the end; dup3 in the task needs them out of its way. */
		if (f->fd >= 0 && f->fd <= 2) {
			int moved = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);

			if (moved < 0)
				return fail_errno(err, errno, "cannot move a descriptor");
			close(f->fd);
			f->fd = moved;
		}
	}
	return 0;
}

static int open_proc(struct rebuilt_task *t, struct error **err)
{
	cleanup_free char *path = str_format("/proc/%d", t->pid);

	t->proc = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	t->mem = t->proc < 0 ? -1 : priv_open_newborn(t->proc, "mem", O_RDWR);
	return t->mem < 0 ? fail_errno(err, errno, "cannot open the memory of the new process") : 0;
}

/* In as many batches as the kind asks for. */
static int settle_file(struct rebuild *r, struct rebuilt_task *t, const struct rebuilt_file *f,
		       int fd, struct injection *in, struct batch *b, struct error **err)
{
	cleanup_free char *doing = str_format("restoring %s", f->kind->name);
	bool again;

	t->settled = 0;
	do {
		int res = f->kind->file->settle(r, t, f->message, fd, b, err);

		again = res > 0;
		if (res >= 0 && b->count)
			res = run_batch(in, b, doing ? doing : f->kind->name, err);
		if (res < 0)
			return res;
	} while (again);
	return 0;
}

/* What must happen in the task once its descriptors have their numbers. */
static int settle_files(struct rebuild *r, struct rebuilt_task *t, struct injection *in,
			struct error **err)
{
	struct batch b cleanup_batch = {0};
	uint32_t last = 0;
	int res = 0;

	if (batch_init(&b, in->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	vec_each(f, &r->files) {
		if (!f->kind->file->settle || !f->in_slot || f->id == last)
			continue;
		for (size_t i = 0; i < t->record->n_slots; i++) {
			if (t->record->slots[i]->file != f->id)
				continue;
			res = settle_file(r, t, f, (int)t->record->slots[i]->fd, in, &b, err);
			break;
		}
		if (res < 0)
			return res;
	}
	return 0;
}

/*
 * What contents were written through is not needed any more; and a file that is
 * open for writing cannot be executed (ETXTBSY).
 */
static void close_shared(struct rebuild *r)
{
	vec_each(s, &r->shared) {
		close_fdp(&s->fds[0]);
		close_fdp(&s->fds[1]);
	}
}

static int fill_done(struct rebuild *r, struct error **err)
{
	vec_each(f, &r->files) {
		int res = f->kind->file->fill_done && !f->replaced ? f->kind->file->fill_done(r, f, err) : 0;

		if (res < 0)
			return error_wrap(err, res, "%s", f->kind->name);
	}
	return 0;
}

static int build_task(struct work *w, struct rebuilt_task *t, struct error **err)
{
	struct injection *in = &w->injection;
	int res = give_birth(&w->rebuild, t, &w->birth, err);

	if (res == 0)
		res = open_proc(t, err);
	if (res == 0)
		res = build_space(&w->rebuild, t, in, err);
	return res;
}

static int animate_task(struct work *w, struct rebuilt_task *t, struct error **err)
{
	struct rebuild *r = &w->rebuild;
	struct injection *in = &w->injection;
	int res;

	t->threads.items[0].tid = t->pid;
	t->threads.items[0].ns_tid = t->ns_pid;
	res = rebuild_states(r, &t->threads.items[0], PHASE_EARLY, in, err);
	if (res == 0)
		res = arrange_descriptors(r, t, in, err);
	if (res == 0)
		res = settle_files(r, t, in, err);
	if (res == 0)
		res = make_threads(r, t, &w->birth, in, err);
	return res == 0 ? revive_threads(r, t, in, err) : res;
}

/* The tool's own copies go before the program runs: they would keep pipes and sockets alive. */
static void close_files(struct rebuild *r)
{
	vec_each(f, &r->files)
		close_fdp(&f->fd);
	vec_each(s, &r->shared) {
		close_fdp(&s->fds[0]);
		close_fdp(&s->fds[1]);
	}
}

/*
 * Before the program runs: else the first thing that it reads from the terminal stops it (SIGTTIN).
 * Whoever has the terminal gives it; the signal makes the program draw its screen again.
 */
static void give_terminal(const struct work *w, pid_t pid)
{
	cleanup_close int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
	sigset_t block, old;

	if (!w->rebuild.options->foreground || terminal < 0 || getsid(pid) != getsid(0) ||
	    tcgetpgrp(terminal) != getpgrp())
		return;
	sigemptyset(&block);
	sigaddset(&block, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &block, &old);
	tcsetpgrp(terminal, getpgid(pid));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	kill(pid, SIGWINCH);
}

/*
 * A thread that runs already may end the process before the others are released.  Those are then reported
 * to us, their tracer, before its parent can hear of the end; our own child's end
 * is left for revived_wait().
 */
static void release_thread(const struct work *w, const struct rebuilt_task *t, pid_t tid)
{
	struct stop stop;

	if (trace_detach(tid, 0) != -ESRCH || (tid == t->pid && !w->birth.init.pid))
		return;
	while (trace_wait(tid, &stop) == 0 && stop.kind != STOP_GONE)
		trace_detach(tid, 0);
}

static int let_go(struct work *w, struct rebuilt_task *t, struct error **err)
{
	char byte = 0;

	close_files(&w->rebuild);
	if (w->rebuild.options->progress)
		w->rebuild.options->progress(w->rebuild.options->progress_arg, UINT64_MAX);
	if (t->record->stop_signal)
		kill(t->pid, SIGSTOP);
	if (w->birth.init.pid && write(w->birth.init.socket, &byte, 1) != 1)
		return fail(err, ECHILD, "the private namespace has ended");
	w->alive = true;
	give_terminal(w, t->pid);
	for (size_t i = t->threads.count; i-- > 0;)
		release_thread(w, t, t->threads.items[i].tid);
	return 0;
}

int engine_restore(const char *image, const struct restore_options *o, struct revived *ret,
		   struct error **err)
{
	struct work w __attribute__((cleanup(end_work))) = {
		.birth = {.init = NSINIT_NONE},
		.rebuild = {.options = o, .root = AT_FDCWD},
	};
	cleanup_image_reader struct image_reader *reader = NULL;
	struct rebuilt_task *t;
	struct fill fill = {0};
	int res = image_reader_open(&reader, image, err);

	if (res == 0)
		res = load_image(reader, &w.rebuild, &fill.frame, &fill.more, err);
	if (res == 0)
		res = replace_standard(&w.rebuild, err);
	if (res == 0)
		res = check_all(&w, err);
	if (res < 0) {
		error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
		return res;
	}
	t = w.rebuild.tasks.items[0];
	fill.reader = reader;
	res = prepare_birth(&w.rebuild, &w.birth, err);
	if (res == 0)
		res = open_files(&w.rebuild, err);
	if (res == 0)
		res = fill_contents(&w.rebuild, &fill, err);
	if (res == 0)
		res = fill_done(&w.rebuild, err);
	if (res == 0) {
		close_shared(&w.rebuild);
		res = build_task(&w, t, err);
	}
	if (res == 0)
		res = fill_memory(&w.rebuild, &fill, err);
	if (res == 0)
		res = finish_space(&w.rebuild, t, &w.injection, err);
	if (res == 0)
		res = animate_task(&w, t, err);
	if (res == 0)
		res = let_go(&w, t, err);
	if (res < 0) {
		/* Undone is not untouched. */
		error_set_outcome(err ? *err : NULL, OUTCOME_FAILED);
		return res;
	}
	*ret = (struct revived){t->pid, w.birth.init.pid, fd_steal(&w.birth.init.socket)};
	return 0;
}

/* The init of its namespace tells of every change. */
static int wait_through_init(struct revived *p, bool stops, int *ret_status, struct error **err)
{
	int status;

	do {
		if (fd_read(p->parent_socket, &status, sizeof status) != sizeof status) {
			waitpid(p->parent, NULL, 0);
			return fail(err, ECHILD, "the program's private namespace was ended");
		}
	} while (WIFSTOPPED(status) && !stops);
	if (!WIFSTOPPED(status))
		waitpid(p->parent, NULL, 0);
	*ret_status = status;
	return 0;
}

int revived_wait(struct revived *p, bool stops, int *ret_status, struct error **err)
{
	int status = 0;

	if (p->parent_socket >= 0)
		return wait_through_init(p, stops, ret_status, err);
	while (waitpid(p->pid, &status, stops ? WUNTRACED : 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, errno, "cannot wait for process %d", p->pid);
	*ret_status = status;
	return 0;
}

void revived_free(struct revived *p)
{
	close_fdp(&p->parent_socket);
}
