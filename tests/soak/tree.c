/*
 * The life of a member, from its birth to its end; see soak.h.
 *
 *	soak-tree SEED         runs
 *	soak-tree SEED plan    only tells what it would make
 */
/* TIMEOUT: 60 */
#include "soak.h"

#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define STACK 262144
#define PATIENCE 30000 /* milliseconds */

struct board *board;

static void live(struct member *m);

/* The member that this is, or -1; it may share memory, so that nothing in it can tell. */
static int who(void)
{
	for (int i = 0; i < board->member_count; i++)
		if (board->members[i].pid == getpid())
			return i;
	return -1;
}

void fail(const char *file, int line, const char *what, long long value)
{
	char text[400];
	int n;

	n = snprintf(text, sizeof text, "seed %llu, member %d (%d): %s:%d: failed: %s (%lld)\n",
		     (unsigned long long)board->seed, who(), getpid(), file, line, what, value);
	(void)!write(2, text, (size_t)n);
	board->has_failed = true;
	_exit(1);
}

static void arrive(enum step step)
{
	int all = 0;

	for (int i = 0; i < board->member_count; i++)
		all += !(board->members[i].flags & ZOMBIE);
	board->arrived[step]++;
	for (int i = 0; board->arrived[step] < all; i++) {
		if (board->has_failed)
			_exit(1);
		if (i == PATIENCE)
			fail(__FILE__, step, "all members arrive at this step; these did",
			     board->arrived[step]);
		test_nap(1);
	}
}

static int start(void *arg)
{
	struct member *m = arg;

	test_allow_tracing();
	live(m);
	_exit(0);
}

static pid_t give_birth(struct member *m)
{
	static const struct {
		unsigned flag;
		int clone;
	} shares[] = {{SHARE_MEMORY, CLONE_VM}, {SHARE_FILES, CLONE_FILES},
		      {SHARE_DIRECTORY, CLONE_FS}, {SHARE_ACTIONS, CLONE_SIGHAND}};
	int flags = SIGCHLD;
	char *stack;
	pid_t pid;

	if (!(m->flags & SHARE_ANY)) {
		pid = fork();
		if (pid == 0)
			start(m);
		return pid;
	}
	for (unsigned i = 0; i < sizeof shares / sizeof *shares; i++)
		flags |= m->flags & shares[i].flag ? shares[i].clone : 0;
	stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(stack != MAP_FAILED);
	return clone(start, stack + STACK, flags, m);
}

/* Born of a process that ends: whoever reaps orphans takes it on. */
static pid_t give_birth_to_orphan(struct member *m)
{
	pid_t between = fork();

	if (between == 0)
		_exit(give_birth(m) < 0);
	return waitpid(between, NULL, 0) == between ? 0 : -1;
}

static void die_early(struct member *m)
{
	int signals[] = {SIGKILL, SIGTERM, SIGUSR2};
	sigset_t none;

	if (m->seed % 2)
		_exit((int)(m->seed >> 8 & 127));
	sigemptyset(&none);
	signal(SIGTERM, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	kill(getpid(), signals[m->seed / 2 % 3]);
	_exit(0);
}

static void bear(struct member *m)
{
	siginfo_t info;
	pid_t pid;
	int status;

	if (m->flags & ZOMBIE) {
		pid = fork();
		if (pid == 0)
			die_early(m);
		MUST(pid > 0);
		m->pid = pid;
		MUST(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
		m->own.ended = info.si_status;
		return;
	}
	pid = m->flags & ORPHAN ? give_birth_to_orphan(m) : give_birth(m);
	MUST(pid >= 0);
	for (int i = 0; !m->is_set_up && !board->has_failed; i++) {
		MUST(i < PATIENCE);
		test_nap(1);
	}
	if (m->flags & STOPPED) {
		MUST(kill(pid, SIGSTOP) == 0);
		MUST(waitpid(pid, &status, WUNTRACED | __WALL) == pid);
		MUST(WIFSTOPPED(status));
	}
}

static bool holds(const struct member *m, const struct object *o)
{
	return o->sort && o->holders >> m->number & 1;
}

/* What the parent holds and this one does not. */
static void let_go(struct member *m)
{
	for (int i = 0; m->parent >= 0 && i < board->object_count; i++) {
		struct object *o = &board->objects[i];

		if (!holds(&board->members[m->parent], o) || holds(m, o))
			continue;
		for (int k = 0; k < 2; k++)
			if (o->fd[k] >= 0)
				close(o->fd[k]);
	}
}

static void set_up(struct member *m)
{
	struct member *collector = &board->members[m->number ? m->collector : 0];

	m->pid = getpid();
	for (int i = 0; m->flags & ORPHAN && getppid() != collector->pid; i++) {
		MUST(i < PATIENCE);
		test_nap(1);
	}
	if (m->flags & NEW_SESSION)
		MUST(setsid() > 0);
	if (m->flags & NEW_GROUP)
		MUST(setpgid(0, 0) == 0);
	m->ppid = getppid();
	m->pgid = getpgrp();
	m->sid = getsid(0);
	let_go(m);
	own_set_up(m);
	for (int i = 0; i < board->object_count; i++) {
		struct object *o = &board->objects[i];

		if (o->creator == m->number && o->sort && !o->sort->make(o))
			o->sort = NULL;
	}
	for (int i = m->number + 1; i < board->member_count; i++)
		if (board->members[i].parent == m->number)
			bear(&board->members[i]);
	own_start_threads(m);
}

/* Each waits in its own way for the go. */
static void pass_the_time(const struct member *m)
{
	struct pollfd gate = {board->gate[0], POLLIN, 0};
	char byte;

	m->number == 0 ? test_ready() : (void)0;
	if (m->number == 0) {
		board->go = 1;
		syscall(SYS_futex, &board->go, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
		for (int i = 0; i < MEMBERS * 2; i++)
			MUST(write(board->gate[1], "x", 1) == 1);
	}
	if (m->number && m->pastime == READS_PIPE)
		MUST(read(board->gate[0], &byte, 1) == 1);
	else if (m->number && m->pastime == POLLS_PIPE)
		MUST(poll(&gate, 1, -1) == 1);
	while (!board->go) {
		if (m->pastime == WAITS_FUTEX)
			syscall(SYS_futex, &board->go, FUTEX_WAIT, 0, NULL, NULL, 0);
		else
			test_nap(2);
	}
}

static char state_of(pid_t pid)
{
	char path[32], text[512] = "";
	char *end;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	close(fd);
	end = strrchr(text, ')');
	MUST(end);
	return end[2];
}

static void continue_stopped(const struct member *m)
{
	for (int i = 1; i < board->member_count; i++) {
		const struct member *child = &board->members[i];

		if (child->parent != m->number || !(child->flags & STOPPED))
			continue;
		MUST_BE(state_of(child->pid), 'T');
		MUST(kill(child->pid, SIGCONT) == 0);
	}
}

static void collect(const struct member *m)
{
	for (int i = 1; i < board->member_count; i++) {
		const struct member *child = &board->members[i];
		int status = -1;

		if (child->collector != m->number)
			continue;
		MUST_BE(waitpid(child->pid, &status, __WALL), child->pid);
		if (!(child->flags & ZOMBIE))
			MUST_BE(status, 0);
		else if (WIFEXITED(status))
			MUST_BE(WEXITSTATUS(status), child->own.ended);
		else
			MUST_BE(WTERMSIG(status), child->own.ended);
	}
}

static void look_at_all(const struct member *m)
{
	for (int i = 0; i < board->object_count; i++) {
		const struct object *o = &board->objects[i];

		if (holds(m, o) && o->sort->look)
			o->sort->look(o);
	}
}

static void go_on(struct member *m)
{
	continue_stopped(m);
	if (m->number)
		MUST_BE(getppid(), m->ppid);
	MUST_BE(getpid(), m->pid);
	MUST_BE(getpgrp(), m->pgid);
	MUST_BE(getsid(0), m->sid);
	own_check(m);
	look_at_all(m);
	arrive(AT_LOOK);
	for (int i = 0; i < board->object_count; i++) {
		struct object *o = &board->objects[i];

		if (o->user == m->number && o->sort && o->sort->use)
			o->sort->use(o);
	}
	arrive(AT_USE);
	for (int i = 0; i < board->object_count; i++) {
		struct object *o = &board->objects[i];

		if (o->seer == m->number && o->sort && o->sort->see)
			o->sort->see(o);
	}
	own_end_threads(m);
	arrive(AT_SEE);
	for (int i = 0; i < board->object_count; i++) {
		struct object *o = &board->objects[i];

		if (o->creator == m->number && o->sort && o->sort->remove)
			o->sort->remove(o);
	}
}

static void live(struct member *m)
{
	set_up(m);
	m->is_set_up = true;
	pass_the_time(m);
	go_on(m);
	collect(m);
}

int main(int argc, char **argv)
{
	const struct sort *sorts[64];
	unsigned count = 0;

	CHECK(argc == 2 || argc == 3);
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	CHECK(board != MAP_FAILED);
	CHECK(getcwd(board->home, sizeof board->home) && pipe(board->gate) == 0);
	for (unsigned i = 0; i < stream_count; i++)
		sorts[count++] = streams[i];
	for (unsigned i = 0; i < thing_count; i++)
		sorts[count++] = things[i];
	make_plan(strtoull(argv[1], NULL, 0), sorts, count);
	if (argc == 3) {
		print_plan();
		return 0;
	}
	live(&board->members[0]);
	test_passed();
}
