/*
 * Runs a command and does something to it at one of its system calls: ends it there, lets the call
 * fail, lets it transfer less than was asked for, sends it a signal; or does something else (a line
 * for the shell) while it stands there.
 *
 *	step [--at N] [--kill | --signal S | --errno E | --short | --run LINE] [--report FILE]
 *	     -- COMMAND [ARGUMENT...]
 *
 * Calls are counted, over all threads of the command, from the first instruction of the program
 * on: what the dynamic loader does before is not its own.  Children of the command are left
 * alone.  So are calls that change nothing and cannot fail, and waiting in a loop: how often
 * that happens is chance.  --kill acts before call N is made.  FILE says, in one line, how many
 * calls were seen, which of them was hit (its number; -1: none), and the status of waitpid(2).
 *
 * strace(1) can inject faults as well, but follows either all children, which the command wants to trace
 * itself, or no threads.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)
#define THREADS 64

enum fault { FAULT_NONE, FAULT_KILL, FAULT_ERRNO, FAULT_SHORT, FAULT_RUN };

struct plan {
	enum fault fault;
	long at;
	int error, signal;
	const char *line, *report;
};

/* A thread of the command: is it within a call, and what shall the call return? */
struct thread {
	pid_t tid;
	bool inside, forged, yielded, changed;
	struct user_regs_struct before; /* of a call whose arguments were changed */
};

struct run {
	struct plan plan;
	pid_t pid;
	bool counting, done;
	long calls, hit;
	uint64_t entry;      /* where the program begins */
	long entry_word;     /* what stands there */
	struct thread threads[THREADS];
	int status;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "step: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static struct thread *thread_of(struct run *r, pid_t tid)
{
	struct thread *unused = NULL;

	for (size_t i = 0; i < THREADS; i++) {
		if (r->threads[i].tid == tid)
			return &r->threads[i];
		if (!r->threads[i].tid && !unused)
			unused = &r->threads[i];
	}
	if (!unused)
		die("too many threads");
	*unused = (struct thread){.tid = tid};
	return unused;
}

static bool is_thread(const struct run *r, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task/%d", r->pid, tid);
	return access(path, F_OK) == 0;
}

/* From the auxiliary vector: the entry point of the program, not of its interpreter. */
static uint64_t find_entry(pid_t pid)
{
	char path[64];
	Elf64_auxv_t a;
	uint64_t entry = 0;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/auxv", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	while (read(fd, &a, sizeof a) == sizeof a)
		if (a.a_type == AT_ENTRY)
			entry = a.a_un.a_val;
	close(fd);
	return entry;
}

static void stop_at_entry(struct run *r)
{
	r->entry = find_entry(r->pid);
	errno = 0;
	r->entry_word = ptrace(PTRACE_PEEKTEXT, r->pid, r->entry, 0);
	if (errno || ptrace(PTRACE_POKETEXT, r->pid, r->entry, (r->entry_word & ~0xffL) | 0xcc) < 0)
		die("breakpoint");
}

static bool at_entry(struct run *r)
{
	struct user_regs_struct regs;

	if (!r->entry || ptrace(PTRACE_GETREGS, r->pid, 0, &regs) < 0 || regs.rip != r->entry + 1)
		return false;
	regs.rip = r->entry;
	if (ptrace(PTRACE_POKETEXT, r->pid, r->entry, r->entry_word) < 0 ||
	    ptrace(PTRACE_SETREGS, r->pid, 0, &regs) < 0)
		die("breakpoint");
	r->entry = 0;
	return true;
}

/* The third argument is how much: read(2), write(2), pread(2), ..., or how many buffers. */
static void make_short(struct user_regs_struct *regs)
{
	switch (regs->orig_rax) {
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
		if (regs->rdx > 1)
			regs->rdx /= 2;
		break;
	case SYS_sendfile:
		if (regs->r10 > 1)
			regs->r10 /= 2;
		break;
	case SYS_copy_file_range:
	case SYS_splice:
		if (regs->r8 > 1)
			regs->r8 /= 2;
		break;
	default:
		break;
	}
}

static bool counts(struct thread *t, const struct user_regs_struct *regs)
{
	bool yielded = t->yielded;

	t->yielded = false;
	switch (regs->orig_rax) {
	case SYS_sched_yield:
		t->yielded = true;
		return false;
	case SYS_wait4:
		t->yielded = yielded;
		return !(yielded && regs->rdx & WNOHANG);
	case SYS_getpid:
	case SYS_gettid:
	case SYS_getppid:
	case SYS_getuid:
	case SYS_geteuid:
	case SYS_getgid:
	case SYS_getegid:
	case SYS_clock_gettime:
		return false;
	default:
		return true;
	}
}

static void enter_call(struct run *r, struct thread *t)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, t->tid, 0, &regs) < 0 || !counts(t, &regs))
		return;
	if (++r->calls != r->plan.at || r->plan.fault == FAULT_NONE)
		return;
	r->hit = (long)regs.orig_rax;
	switch (r->plan.fault) {
	case FAULT_KILL:
		kill(r->pid, r->plan.signal);
		break;
	case FAULT_RUN:
		/* Whatever comes of it. */
		if (system(r->plan.line) < 0)
			die("system");
		r->done = true;
		break;
	case FAULT_ERRNO:
		/*
		 * These do not come back, or must not be left out: the kernel, or the C library, which
		 * ends a program whose futex(2) says what it never says, or whose new thread gets no
		 * rseq(2), would be at a loss.
		 */
		if (r->hit == SYS_exit || r->hit == SYS_exit_group || r->hit == SYS_rt_sigreturn ||
		    r->hit == SYS_futex || r->hit == SYS_rseq)
			break;
		/* This one has no errors: it did not work when the break is where it was. */
		if (r->hit == SYS_brk) {
			t->before = regs;
			t->changed = true;
			regs.rdi = 0;
		} else {
			regs.orig_rax = (unsigned long)-1;
			t->forged = true;
		}
		ptrace(PTRACE_SETREGS, t->tid, 0, &regs);
		break;
	case FAULT_SHORT:
		t->before = regs;
		t->changed = true;
		make_short(&regs);
		ptrace(PTRACE_SETREGS, t->tid, 0, &regs);
		break;
	case FAULT_NONE:
		break;
	}
}

static void leave_call(struct run *r, struct thread *t)
{
	struct user_regs_struct regs;

	if ((!t->forged && !t->changed) || ptrace(PTRACE_GETREGS, t->tid, 0, &regs) < 0)
		return;
	/* A call leaves its arguments as they are, and whoever makes it counts on that. */
	if (t->changed) {
		regs.rdi = t->before.rdi;
		regs.rdx = t->before.rdx;
		regs.r10 = t->before.r10;
		regs.r8 = t->before.r8;
	} else {
		regs.rax = (unsigned long)-r->plan.error;
	}
	t->forged = t->changed = false;
	r->done = true;
	ptrace(PTRACE_SETREGS, t->tid, 0, &regs);
}

/* A child that is no thread is not ours: before its parent, which may want to trace it, goes on. */
static void leave_child(struct run *r, pid_t tid)
{
	unsigned long born;
	int status;

	if (ptrace(PTRACE_GETEVENTMSG, tid, 0, &born) < 0 || is_thread(r, (pid_t)born))
		return;
	if (waitpid((pid_t)born, &status, __WALL) > 0 && WIFSTOPPED(status))
		ptrace(PTRACE_DETACH, (pid_t)born, 0, 0);
}

/* Returns the signal that the thread is to be given. */
static int take_stop(struct run *r, pid_t tid, int status)
{
	struct thread *t = thread_of(r, tid);
	int signal = WSTOPSIG(status), event = status >> 16;

	if (signal == (SIGTRAP | 0x80)) {
		t->inside = !t->inside;
		if (!r->counting)
			return 0;
		if (t->inside)
			enter_call(r, t);
		else
			leave_call(r, t);
		return 0;
	}
	if (event == PTRACE_EVENT_EXEC) {
		stop_at_entry(r);
		return 0;
	}
	if (event == PTRACE_EVENT_CLONE)
		leave_child(r, tid);
	if (event)
		return 0;
	if (signal == SIGTRAP && at_entry(r)) {
		r->counting = true;
		return 0;
	}
	return signal;
}

static void follow(struct run *r)
{
	int status;
	pid_t tid;

	while ((tid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (tid < 0)
			continue;
		/* A child that stops before its parent's event comes: leave_child() would wait for ever. */
		if (WIFSTOPPED(status) && !is_thread(r, tid)) {
			ptrace(PTRACE_DETACH, tid, 0, 0);
			continue;
		}
		if (WIFSTOPPED(status)) {
			int signal = take_stop(r, tid, status);

			/* What happens after the fault happens at full speed. */
			ptrace(r->done ? PTRACE_CONT : PTRACE_SYSCALL, tid, 0, signal);
			continue;
		}
		*thread_of(r, tid) = (struct thread){0};
		if (tid == r->pid) {
			r->status = status;
			return;
		}
	}
	die("the command was lost");
}

static void start(struct run *r, char **command)
{
	int status;

	r->pid = fork();
	if (r->pid < 0)
		die("fork");
	if (r->pid == 0) {
		raise(SIGSTOP);
		execvp(command[0], command);
		die(command[0]);
	}
	if (waitpid(r->pid, &status, WUNTRACED) < 0 || !WIFSTOPPED(status))
		die("waitpid");
	if (ptrace(PTRACE_SEIZE, r->pid, 0, OPTIONS) < 0)
		die("ptrace");
	kill(r->pid, SIGCONT);
}

static void report(const struct run *r)
{
	FILE *f = r->plan.report ? fopen(r->plan.report, "w") : stderr;

	if (!f)
		die(r->plan.report);
	fprintf(f, "calls=%ld hit=%ld status=%d\n", r->calls, r->hit, r->status);
	if (f != stderr)
		fclose(f);
}

static char **parse(char **argv, struct plan *p)
{
	for (argv++; *argv && strcmp(*argv, "--"); argv++) {
		if (!strcmp(*argv, "--kill"))
			p->fault = FAULT_KILL, p->signal = SIGKILL;
		else if (!strcmp(*argv, "--signal") && argv[1])
			p->fault = FAULT_KILL, p->signal = atoi(*++argv);
		else if (!strcmp(*argv, "--run") && argv[1])
			p->fault = FAULT_RUN, p->line = *++argv;
		else if (!strcmp(*argv, "--short"))
			p->fault = FAULT_SHORT;
		else if (!strcmp(*argv, "--errno") && argv[1])
			p->fault = FAULT_ERRNO, p->error = atoi(*++argv);
		else if (!strcmp(*argv, "--at") && argv[1])
			p->at = atol(*++argv);
		else if (!strcmp(*argv, "--report") && argv[1])
			p->report = *++argv;
		else
			break;
	}
	return *argv && argv[1] && !strcmp(*argv, "--") ? argv + 1 : NULL;
}

int main(int argc, char **argv)
{
	struct run r = {.hit = -1};
	char **command = argc > 1 ? parse(argv, &r.plan) : NULL;

	if (!command) {
		fprintf(stderr, "usage: step [--at N] [--kill | --signal S | --errno E | --short | --run LINE] "
				"[--report FILE] -- COMMAND [ARGUMENT...]\n");
		return 2;
	}
	start(&r, command);
	follow(&r);
	report(&r);
	return WIFEXITED(r.status) ? WEXITSTATUS(r.status) : 128 + WTERMSIG(r.status);
}
