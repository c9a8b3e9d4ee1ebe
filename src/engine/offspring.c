#include "engine/offspring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/space.h"
#include "engine/terminal.h"
#include "inject/inject.h"
#include "inject/trace.h"

int enter_task(const struct rebuilt_task *t, struct error **err)
{
	struct injection *in = t->injection;
	struct arch_regs regs;
	int res;

	if (in->tid == t->pid)
		return 0;
	res = inject_leave(in, err);
	if (res == 0 && arch_get_regs(t->pid, &regs) < 0)
		res = fail(err, ESRCH, "the new process has ended");
	return res < 0 ? res : inject_enter(in, t->pid, &regs, 0, err);
}

int call_in_task(const struct rebuilt_task *t, long nr, const uint64_t args[6], int64_t *ret,
		 struct error **err)
{
	int res = enter_task(t, err);

	return res < 0 ? res : inject_call(t->injection, nr, args, ret, err);
}

/* A number that was freed a moment ago can be in use for some 50 ms more. */
int clone_in(const struct rebuilt_task *maker, struct clone_args *args, pid_t number,
		    pid_t *ret, struct error **err)
{
	struct batch b cleanup_batch = {0};
	int64_t made = 0;
	int res = enter_task(maker, err);

	if (res < 0)
		return res;
	if (batch_init(&b, maker->injection->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	for (int tries = 0; tries < 100; tries++) {
		uint32_t at;

		batch_clear(&b);
		if (number) {
			args->set_tid = batch_put(&b, &number, sizeof number);
			args->set_tid_size = 1;
		}
		at = batch_call(&b, BATCH_MAY_FAIL, SYS_clone3, batch_put(&b, args, sizeof *args),
				sizeof *args);
		res = inject_run(maker->injection, &b, NULL, err);
		if (res < 0)
			return res;
		made = batch_result(&b, at);
		if (made != -EEXIST)
			break;
		usleep(2000);
	}
	if (made < 0)
		return fail_errno(err, (int)-made, "cannot make process %d", number);
	*ret = (pid_t)made;
	return 0;
}

int take_injection(struct rebuilt_task *t, const struct rebuilt_task *maker,
			  struct error **err)
{
	if (t->memory_of) {
		t->injection = t->memory_of->injection;
		return 0;
	}
	t->injection = malloc(sizeof *t->injection);
	if (!t->injection)
		return fail(err, ENOMEM, "out of memory");
	*t->injection = *maker->injection;
	t->injection->pid = t->pid;
	t->injection->mem = t->mem;
	t->injection->tid = 0;
	return 0;
}

static int leave_exec(const struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	struct stop stop;

	/* Out of the system call: what is set within it, its end would overwrite. */
	if (trace_interrupt(t->pid) < 0 || trace_continue(t->pid, 0) < 0 ||
	    trace_wait_near(t->pid, &stop) < 0 || stop.kind != STOP_INTERRUPT)
		return fail(err, ECHILD, "the new process has ended");
	t->injection->tid = 0;
	close_fdp(&t->mem);
	return open_newborn(r, t, err);
}

/* In the region that it still has of its maker stands what execveat(2) is told. */
static int execute_file(const struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	const struct rebuilt_file *exe = rebuilt_file(r, t->record->executable);
	struct {
		uint64_t argv[2];
		uint64_t envp[1];
		char name[8];
		char empty[8];
	} words = {.name = "stasis"};
	uint64_t at = t->injection->region + BATCH_CODE_SIZE + BATCH_SCRATCH_AT;
	int64_t done;
	int res;

	words.argv[0] = at + offsetof(__typeof__(words), name);
	res = fd_pwrite(t->mem, &words, sizeof words, at);
	if (res < 0)
		return fail_errno(err, -res, "cannot write into the new process");
	res = call_in_task(t, SYS_personality, (const uint64_t[6]){t->record->personality}, &done,
			   err);
	if (res == 0)
		res = call_in_task(t, SYS_execveat,
				   (const uint64_t[6]){
					   (uint64_t)exe->fd,
					   at + offsetof(__typeof__(words), empty),
					   at + offsetof(__typeof__(words), argv),
					   at + offsetof(__typeof__(words), envp),
					   AT_EMPTY_PATH,
				   },
				   &done, err);
	if (res == 0 && done < 0)
		res = fail_errno(err, (int)-done, "cannot execute the file of process %u",
				 t->record->pid);
	return res < 0 ? res : leave_exec(r, t, err);
}

/* The process whose memory a new one is a copy of: a stand-in's is that of its own maker. */
static const struct rebuilt_task *memory_source(const struct rebuilt_task *maker)
{
	while (!maker->record->executable && maker->parent)
		maker = maker->parent;
	return maker;
}

static int give_birth_by(const struct rebuild *r, const struct plan_step *step,
			 const struct birth *b, struct error **err)
{
	struct rebuilt_task *t = step->task, *maker = step->other;
	struct clone_args args = {.flags = step->flags};
	struct stop stop;
	int res;

	if (!(step->flags & CLONE_PARENT))
		args.exit_signal = t->record->exit_signal;
	res = clone_in(maker, &args, b->exact ? (pid_t)t->record->pid : 0, &t->ns_pid, err);
	if (res < 0)
		return res;
	t->pid = maker->injection->born;
	if (trace_wait_near(t->pid, &stop) < 0 || stop.kind != STOP_INTERRUPT)
		return fail(err, ECHILD, "process %u ended before it began", t->record->pid);
	res = open_newborn(r, t, err);
	if (res == 0)
		res = take_injection(t, maker, err);
	if (res < 0 || t->record->zombie || t->memory_of)
		return res;
	if (memory_source(maker)->record->executable != t->record->executable)
		return execute_file(r, t, err);
	/* The maker's way back means nothing here. */
	inject_end(t->injection);
	return 0;
}

static int call_or_fail(const struct rebuilt_task *t, long nr, const uint64_t args[6],
			const char *what, struct error **err)
{
	int64_t done;
	int res = call_in_task(t, nr, args, &done, err);

	return res == 0 && done < 0 ? fail_errno(err, (int)-done, "process %u cannot %s",
						 t->record->pid, what)
				    : res;
}

static int call_exit(const struct rebuilt_task *t, uint64_t code, struct error **err)
{
	struct arch_regs regs;
	int res = enter_task(t, err);

	if (res < 0)
		return res;
	regs = t->injection->regs;
	arch_prepare_syscall(&regs, t->injection->cell + arch_cell_call(), SYS_exit_group,
			     (const uint64_t[6]){code});
	return arch_set_regs(t->pid, &regs) < 0 ? -ESRCH : 0;
}

static int take_signal(const struct rebuilt_task *t, int sig)
{
	/* A core would be one more, and in another place. */
	const struct rlimit none = {0, 0};

	if (prlimit(t->pid, RLIMIT_CORE, &none, NULL) < 0 || trace_set_sigmask(t->pid, 0) < 0)
		return -ESRCH;
	return kill(t->pid, sig) < 0 ? -errno : 0;
}

int end_process(const struct rebuilt_task *t, int status, struct error **err)
{
	struct stop stop = {.kind = STOP_INTERRUPT};
	int res = WIFEXITED(status) ? call_exit(t, (uint64_t)WEXITSTATUS(status), err)
				    : take_signal(t, WTERMSIG(status));

	while (res == 0 && stop.kind != STOP_GONE) {
		trace_continue(t->pid, stop.kind == STOP_SIGNAL ? stop.signal : 0);
		res = trace_wait_near(t->pid, &stop);
	}
	if (res < 0)
		return fail(err, ECHILD, "process %u cannot be ended as it was", t->record->pid);
	return 0;
}

static bool is_stand_in(const struct rebuild *r, const struct rebuilt_task *t)
{
	vec_each(it, &r->stand_ins)
		if (*it == t)
			return true;
	return false;
}

/* Of a stand-in nothing may be left but its number in others' sessions and groups. */
static int bury(const struct rebuilt_task *t, const struct rebuilt_task *parent, struct error **err)
{
	return call_or_fail(parent, SYS_wait4,
			    (const uint64_t[6]){(uint64_t)t->ns_pid, 0, __WALL | WNOHANG},
			    "wait for a child", err);
}

int carry_out(const struct rebuild *r, const struct plan_step *step, const struct birth *b,
	      struct error **err)
{
	struct rebuilt_task *t = step->task;
	int res;

	switch (step->what) {
	case PLAN_BIRTH:
		return give_birth_by(r, step, b, err);
	case PLAN_SESSION:
		res = call_or_fail(t, SYS_setsid, (const uint64_t[6]){0}, "lead a session", err);
		return res < 0 ? res : take_terminal(r, t, err);
	case PLAN_GROUP:
		return call_or_fail(t, SYS_setpgid, (const uint64_t[6]){0, (uint64_t)step->other->ns_pid},
				    "join its process group", err);
	case PLAN_END:
		res = end_process(t, (int)t->record->wait_status, err);
		if (res == 0 && is_stand_in(r, t))
			res = bury(t, step->other, err);
		return res;
	}
	return -EINVAL;
}

int forget_children(const struct rebuilt_task *t, struct error **err)
{
	const uint64_t only = 1u << (SIGCHLD - 1), no_time[2] = {0, 0};
	struct batch b cleanup_batch = {0};
	int res = enter_task(t, err);

	if (res < 0)
		return res;
	if (batch_init(&b, t->injection->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	/* A signal that is no real-time signal waits once for a thread, and once for the process. */
	for (int i = 0; i < 2; i++)
		batch_call(&b, BATCH_MAY_FAIL, SYS_rt_sigtimedwait, batch_put(&b, &only, sizeof only),
			   0, batch_put(&b, no_time, sizeof no_time), sizeof only);
	return run_batch(t->injection, &b, "forgetting what ended", err);
}
