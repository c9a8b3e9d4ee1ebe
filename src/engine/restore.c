/* A restore from beginning to end: read, refuse, make, build, fill, revive, let go. */
#include "engine/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/afford.h"
#include "engine/animate.h"
#include "engine/load.h"
#include "engine/offspring.h"
#include "engine/pin.h"
#include "engine/pledge.h"
#include "engine/space.h"
#include "engine/standard.h"
#include "engine/terminal.h"
#include "engine/work.h"
#include "image/reader.h"
#include "inject/trace.h"
#include "kind/kind.h"
#include "priv/calls.h"
#include "priv/priv.h"

static void kill_task(struct rebuilt_task *t)
{
	if (t->pid > 0)
		kill(t->pid, SIGKILL);
}

/*
 * We trace all of them, and are told of their ends; of the process's own only then.  Which threads
 * there are the kernel says: one may have been made that we have not heard of.
 */
static void wait_for_task(struct rebuilt_task *t)
{
	char path[32];
	struct dirent *e;
	DIR *threads;

	if (t->pid <= 0)
		return;
	snprintf(path, sizeof path, "/proc/%d/task", t->pid);
	threads = opendir(path);
	while (threads && (e = readdir(threads))) {
		pid_t tid = (pid_t)atoi(e->d_name);

		if (tid > 0 && tid != t->pid)
			waitpid(tid, NULL, __WALL);
	}
	if (threads)
		closedir(threads);
	waitpid(t->pid, NULL, __WALL);
}

void end_tasks(struct rebuild *r)
{
	vec_each(t, &r->tasks)
		kill_task(*t);
	vec_each(t, &r->stand_ins)
		kill_task(*t);
	/* Children first: they are ours only as long as we trace them. */
	for (size_t i = r->stand_ins.count; i-- > 0;)
		wait_for_task(r->stand_ins.items[i]);
	for (size_t i = r->tasks.count; i-- > 0;)
		wait_for_task(r->tasks.items[i]);
}

/* Objects that outlive processes, made by those that are gone now. */
static void undo_objects(const struct rebuild *r)
{
	vec_each(f, &r->files)
		if (f->kind->file->undo)
			f->kind->file->undo(r, f->message);
	vec_each(s, &r->states)
		if (s->kind->state->undo)
			s->kind->state->undo(r, s->message);
}

void work_end(struct work *w)
{
	pin_release(&w->birth.pin);
	if (!w->alive) {
		end_tasks(&w->rebuild);
		undo_objects(&w->rebuild);
	}
	if (w->alive)
		nsinit_free(&w->birth.init);
	else
		nsinit_end(&w->birth.init);
	if (w->limit_raised)
		setrlimit(RLIMIT_NOFILE, &w->files);
	chain_free(&w->chain);
	fill_free(&w->fill);
	lazy_free(&w->lazy);
	close_fdp(&w->lazy_report);
	image_reader_freep(&w->reader);
	plan_free(&w->plan);
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
	/* Other ends, and what contents are written through, may be as many again. */
	if (need + w->rebuild.files.count <= w->files.rlim_cur)
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

/*
 * The table of descriptors grows now, and at once: when the init of a private namespace shares it, each
 * time that it doubles waits until no processor looks at the old one (expand_fdtable(), fs/file.c).
 */
static void widen_table(const struct rebuild *r)
{
	size_t each = 4; /* of a process: its directory in /proc, its memory, ... */
	int any = open("/", O_PATH | O_CLOEXEC);
	int last = fcntl(any, F_DUPFD_CLOEXEC, r->files.count + each * r->tasks.count + 64);

	close_fdp(&last);
	close_fdp(&any);
}

/* Everything that can be known to fail is found before anything is made. */
static int check_all(struct work *w, struct error **err)
{
	struct rebuild *r = &w->rebuild;
	struct error *found = NULL;
	int res;

	check_space(r, &found);
	afford_memory(r, machine_memory(), &found);
	if (!priv_may(&w->priv, PRIV_SET_MM_MAP))
		refuse(&found, EPERM, "use a kernel with CONFIG_CHECKPOINT_RESTORE",
		       "this kernel lets no program say where its heap, arguments and environment "
		       "are (PR_SET_MM_MAP)");
	if (r->options->lazy)
		lazy_check(r, w->reader, priv_may(&w->priv, PRIV_KERNEL_FAULTS), &found);
	terminals_valid(r, &found);
	plan_tree(r, keeps_session(r), &w->plan, &found);
	plan_numbers(r, &w->priv, &w->birth, &found);
	raise_file_limit(w, &found);
	widen_table(r);
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

int open_file(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	int moved, res = f->kind->file->open(r, f, err);

	if (res < 0)
		return error_wrap(err, res, "%s", f->kind->name);
	if (f->fd < 0)
		f->fd = res;
	/* 0, 1 and 2 are ours until the end; dup3 in the task needs them out of its way. */
	if (f->fd >= 0 && f->fd <= 2) {
		moved = fcntl(f->fd, F_DUPFD_CLOEXEC, 3);
		if (moved < 0)
			return fail_errno(err, errno, "cannot move a descriptor");
		close(f->fd);
		f->fd = moved;
	}
	return 0;
}

static int open_files(struct rebuild *r, struct error **err)
{
	int res = 0;

	vec_each(f, &r->files)
		if (res == 0 && !f->replaced && !f->kind->file->open_late)
			res = open_file(r, f, err);
	return res;
}

/*
 * What contents were written through is not needed any more; and a file that is
 * open for writing cannot be executed (ETXTBSY).
 */
void close_shared(struct rebuild *r)
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

static bool has_ended_children(const struct rebuild *r, const struct rebuilt_task *t)
{
	vec_each(it, &r->stand_ins)
		if ((*it)->parent == t)
			return true;
	vec_each(it, &r->tasks)
		if ((*it)->parent == t && (*it)->record->zombie)
			return true;
	return false;
}

/* Zombies have no memory, and who shares another's has it already. */
static int build_memory(struct work *w, struct rebuilt_task *t, struct error **err)
{
	struct rebuild *r = &w->rebuild;
	int res;

	if (!t->memory)
		return 0;
	res = build_space(r, t, t->injection, err);
	if (res < 0)
		return res;
	/* The first one's is in the template. */
	if (w->template && t == r->tasks.items[0])
		return fill_skip(r, &w->fill, err);
	if (r->options->lazy && lazy_takes(r, t))
		return lazy_note(&w->lazy, r, t, &w->fill, err);
	pin_release(&w->birth.pin);
	res = fill_memory(r, t, &w->chain, &w->fill, err);
	pin_hold(&w->birth.pin);
	return res;
}

static void note_main_thread(struct rebuilt_task *t)
{
	if (t->threads.count) {
		t->threads.items[0].tid = t->pid;
		t->threads.items[0].ns_tid = t->ns_pid;
	}
}

/* The whole tree: each process with its memory before its children are forked from it. */
static int make_tasks(struct work *w, struct error **err)
{
	struct rebuild *r = &w->rebuild;

	vec_each(step, &w->plan.steps) {
		struct rebuilt_task *t = step->task;
		int res;

		if (step->what == PLAN_BIRTH && !step->other)
			res = w->template ? template_fork(w->template, r, t, &w->birth, err)
					  : give_birth(r, t, &w->birth, err);
		else
			res = carry_out(r, step, &w->birth, err);
		if (res == 0 && step->what == PLAN_BIRTH) {
			note_main_thread(t);
			res = build_memory(w, t, err);
		}
		if (res < 0)
			return res;
		/* Ended and told to us: its parent, or nobody, has it now. */
		if (step->what == PLAN_END) {
			t->ended_pid = t->pid;
			t->pid = 0;
		}
	}
	vec_each(t, &r->tasks) {
		int res = has_ended_children(r, *t) ? forget_children(*t, err) : 0;

		if (res < 0)
			return res;
	}
	return fill_end(&w->fill, err);
}

/* Descriptors of what names processes cannot be inherited from before there are any. */
static int prepare_late_files(struct rebuild *r, struct error **err)
{
	bool some = false;
	int pair[2];

	vec_each(f, &r->files)
		some = some || f->kind->file->open_late;
	if (!some)
		return 0;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_errno(err, errno, "cannot make a socket pair");
	r->late_socket[0] = pair[0];
	r->late_socket[1] = pair[1];
	return 0;
}

static int release_files(struct rebuild *r, struct error **err)
{
	vec_each(f, &r->files) {
		int res = f->kind->file->release && f->fd >= 0 && !f->replaced
				  ? f->kind->file->release(r, f, err) : 0;

		if (res < 0)
			return error_wrap(err, res, "%s", f->kind->name);
	}
	return 0;
}

/* The tool's own copies go before the program runs: they would keep pipes and sockets alive. */
static void close_files(struct rebuild *r)
{
	vec_each(f, &r->files)
		close_fdp(&f->fd);
	close_shared(r);
	close_fdp(&r->late_socket[0]);
	close_fdp(&r->late_socket[1]);
}

/*
 * A thread that runs already may end the process before the others are released.  Those are then reported
 * to us, their tracer, before its parent can hear of the end; our own child's end
 * is left for revived_wait().
 */
static void release_thread(const struct work *w, const struct rebuilt_task *t, pid_t tid)
{
	struct stop stop;

	bool ours = t == w->rebuild.tasks.items[0] && tid == t->pid &&
		    (!w->birth.init.pid || w->template);

	if (trace_detach(tid, 0) != -ESRCH || ours)
		return;
	while (trace_wait(tid, &stop) == 0 && stop.kind != STOP_GONE)
		trace_detach(tid, 0);
}

/* What has to be done while nothing of it runs. */
static int make_ready(struct work *w, struct error **err)
{
	struct rebuild *r = &w->rebuild;
	int res = release_files(r, err);

	if (res < 0)
		return res;
	close_files(r);
	if (r->options->progress)
		r->options->progress(r->options->progress_arg, UINT64_MAX);
	vec_each(t, &r->tasks)
		if ((*t)->record->stop_signal)
			kill((*t)->pid, SIGSTOP);
	return 0;
}

/* Our death is not theirs any more: whose it is then, somebody else has to know. */
static int outlive_us(struct work *w, struct error **err)
{
	unsigned long options = birth_trace_options(&w->rebuild) & ~(unsigned long)PTRACE_O_EXITKILL;
	char byte = 0;

	vec_each(t, &w->rebuild.tasks)
		vec_each(th, &(*t)->threads) {
			int r = trace_set_options(th->tid, options);

			if (r < 0)
				return fail_errno(err, -r, "cannot let process %d go", (*t)->pid);
		}
	if (w->birth.init.pid && write(w->birth.init.socket, &byte, 1) != 1)
		return fail(err, ECHILD, "the private namespace has ended");
	return 0;
}

static void run(struct work *w, struct revived *ret)
{
	struct rebuild *r = &w->rebuild;

	give_own_terminal(r);
	for (size_t i = r->tasks.count; i-- > 0;) {
		const struct rebuilt_task *t = r->tasks.items[i];

		for (size_t k = t->threads.count; k-- > 0;)
			release_thread(w, t, t->threads.items[k].tid);
		if (t->record->stop_signal)
			task_await_stop(t->proc);
	}
	*ret = (struct revived){r->tasks.items[0]->pid, w->birth.init.pid,
				fd_steal(&w->birth.init.socket), w->template != NULL, fd_steal(&w->lazy_report)};
}

/* One process is killed whole by its tracer's death, and a private namespace by its init's. */
static int pledge_works(const struct work *works, size_t count, struct pledge *ret,
			struct error **err)
{
	VEC(pid_t) pids = {0};
	int res = 0;

	for (size_t i = 0; i < count; i++)
		vec_each(t, &works[i].rebuild.tasks) {
			pid_t *pid = (*t)->pid > 0 ? vec_push(&pids) : NULL;

			if (pid)
				*pid = (*t)->pid;
			else if ((*t)->pid > 0)
				res = fail(err, ENOMEM, "out of memory");
		}
	if (res == 0 && (count > 1 || (!works->birth.init.pid && pids.count > 1)))
		res = pledge_make(ret, pids.items, pids.count, err);
	vec_free(&pids);
	return res;
}

int works_let_go(struct work *works, size_t count, struct revived *ret, struct error **err)
{
	struct pledge pledge __attribute__((cleanup(pledge_end))) = PLEDGE_NONE;
	int res = 0;

	for (size_t i = 0; i < count && res == 0; i++)
		res = make_ready(&works[i], err);
	if (res == 0)
		res = pledge_works(works, count, &pledge, err);
	for (size_t i = 0; i < count && res == 0; i++)
		if (pledge.pid || works[i].birth.init.pid)
			res = outlive_us(&works[i], err);
	if (res == 0)
		res = pledge_keep(&pledge, err);
	for (size_t i = 0; i < count && res == 0; i++)
		works[i].alive = true;
	for (size_t i = 0; i < count && res == 0; i++)
		run(&works[i], &ret[i]);
	return res;
}

int work_prepare(struct work *w, const char *image, struct error **err)
{
	int res = image_reader_open(&w->reader, image, err);

	if (res == 0)
		res = load_image(w->reader, &w->rebuild, &w->fill.frame, &w->fill.more, err);
	if (res == 0)
		res = chain_open(&w->chain, image, w->rebuild.parent, err);
	if (res == 0)
		res = replace_standard(&w->rebuild, err);
	w->fill.reader = w->reader;
	return res == 0 ? check_all(w, err) : res;
}

int work_make(struct work *w, struct error **err)
{
	struct rebuild *r = &w->rebuild;
	int res = prepare_birth(r, &w->birth, err);

	if (res == 0)
		res = prepare_late_files(r, err);
	if (res == 0)
		res = open_files(r, err);
	if (res == 0)
		res = fill_contents(r, &w->fill, err);
	if (res == 0)
		res = fill_done(r, err);
	if (res == 0) {
		close_shared(r);
		pin_choose(&w->birth.pin);
		pin_hold(&w->birth.pin);
		res = make_tasks(w, err);
	}
	/* From here on their memory may be touched, by the kernel as well. */
	if (res == 0) {
		pin_release(&w->birth.pin);
		res = lazy_begin(&w->lazy, r, &w->lazy_report, err);
		pin_hold(&w->birth.pin);
	}
	if (res == 0)
		res = bring_late_files(r, err);
	if (res == 0)
		res = animate_tasks(r, &w->birth, err);
	pin_release(&w->birth.pin);
	return res;
}

int engine_restore(const char *image, const struct restore_options *o, struct revived *ret,
		   struct error **err)
{
	struct work w __attribute__((cleanup(work_end))) = WORK_INIT(o);
	int res = work_prepare(&w, image, err);

	if (res < 0) {
		error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
		return res;
	}
	res = work_make(&w, err);
	if (res == 0)
		res = works_let_go(&w, 1, ret, err);
	/* Undone is not untouched. */
	if (res < 0)
		error_set_outcome(err ? *err : NULL, OUTCOME_FAILED);
	return res;
}

/* The init of its namespace tells of every change. */
static int wait_through_init(struct revived *p, bool stops, int *ret_status, struct error **err)
{
	struct nsinit_report report;

	do {
		if (fd_read(p->parent_socket, &report, sizeof report) != sizeof report) {
			waitpid(p->parent, NULL, 0);
			return fail(err, ECHILD, "the program's private namespace was ended");
		}
	} while (WIFSTOPPED(report.status) && !stops);
	if (!WIFSTOPPED(report.status) && !report.others)
		waitpid(p->parent, NULL, 0);
	*ret_status = report.status;
	return 0;
}

/* The init that looks after others tells when the last of the namespace is gone, or that some are not. */
static void await_init(struct revived *p)
{
	struct nsinit_report report = {0};

	if (fd_read(p->parent_socket, &report, sizeof report) == sizeof report && report.others)
		return;
	waitpid(p->parent, NULL, 0);
}

/* The end of a program whose memory was lost is no end of its own. */
static int was_served(const struct revived *p, struct error **err)
{
	char why[512];
	ssize_t n = p->report < 0 ? 0 : read(p->report, why, sizeof why - 1);

	if (n <= 0)
		return 0;
	why[n] = '\0';
	return fail(err, EIO, "the program was ended, for its memory could not be served: %s", why);
}

int revived_wait(struct revived *p, bool stops, int *ret_status, struct error **err)
{
	int status = 0;

	if (p->parent_socket >= 0 && !p->ours) {
		int res = wait_through_init(p, stops, ret_status, err);

		return res < 0 || WIFSTOPPED(*ret_status) ? res : was_served(p, err);
	}
	while (waitpid(p->pid, &status, stops ? WUNTRACED : 0) < 0)
		if (errno != EINTR)
			return fail_errno(err, errno, "cannot wait for process %d", p->pid);
	*ret_status = status;
	if (p->parent_socket >= 0 && !WIFSTOPPED(status))
		await_init(p);
	return WIFSTOPPED(status) ? 0 : was_served(p, err);
}

void revived_free(struct revived *p)
{
	close_fdp(&p->parent_socket);
	close_fdp(&p->report);
}
