/*
 * Kinds of state, without an engine: this process is asked and rebuilt by
 * batches that it executes itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kind/kind.h"
#include "priv/caps.h"
#include "task/append.h"
#include "task/pending.h"

/* Last: it has a macro named fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

extern const struct kind kind_credentials, kind_filesystem, kind_limits, kind_locks, kind_owners,
	kind_scheduling, kind_signals, kind_switches, kind_thread_signals, kind_timers;

/* Addresses in it are addresses here. */
static void batch_here(struct batch *b)
{
	assert_int_equal(batch_init(b, 0), 0);
	b->region = (uint64_t)(uintptr_t)b->data - BATCH_CODE_SIZE;
}

/* As the runner does: the index of the entry that ended it, or the number of entries. */
static uint32_t run_here(struct batch *b)
{
	for (uint32_t i = 0; i < b->count; i++) {
		struct batch_entry *e = batch_entry(b, i);
		uint64_t a[6];
		long r;

		for (int k = 0; k < 6; k++)
			a[k] = e->refs >> k & 1 ? (uint64_t)batch_result(b, (uint32_t)e->args[k])
						: e->args[k];
		r = syscall((long)e->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		e->ret = r < 0 ? -errno : r;
		if (r < 0 && !(e->flags & BATCH_MAY_FAIL))
			return i;
	}
	return b->count;
}

struct self {
	struct capture capture;
	struct task *task;
	struct thread *thread;
	struct rebuild rebuild;
	struct rebuilt_task rebuilt_task;
	struct rebuilt_thread rebuilt;
};

static void self_open(struct self *s)
{
	cleanup_free char *text = NULL;
	ssize_t n;

	*s = (struct self){0};
	assert_int_equal(task_open(&s->task, getpid(), NULL), 0);
	s->thread = calloc(1, sizeof *s->thread);
	assert_non_null(s->thread);
	*vec_push(&s->task->threads) = s->thread;
	s->thread->task = s->task;
	s->thread->tid = s->thread->ns_tid = s->task->ns_pid = getpid();
	n = task_slurp(s->task, "status", &text);
	assert_true(n > 0 && status_parse(text, (size_t)n, &s->thread->status) == 0);
	s->rebuilt_task = (struct rebuilt_task){
		.pid = getpid(), .ns_pid = getpid(), .proc = s->task->proc, .mem = -1,
	};
	s->rebuilt = (struct rebuilt_thread){
		.task = &s->rebuilt_task, .tid = getpid(), .ns_tid = getpid(),
	};
}

static void self_close(struct self *s)
{
	task_free(s->task);
}

static ProtobufCMessage *capture_self(struct self *s, const struct kind *k)
{
	struct batch b cleanup_batch = {0};
	struct asked asked = {0};
	ProtobufCMessage *m = NULL;

	batch_here(&b);
	if (k->state->ask)
		assert_int_equal(k->state->ask(&s->capture, s->thread, &b, &asked), 0);
	assert_int_equal(run_here(&b), b.count);
	assert_int_equal(k->state->capture(&s->capture, s->thread, &b, &asked, &m, NULL), 0);
	if (m)
		assert_int_equal(k->state->validate(m, NULL), 0);
	return m;
}

/* How many calls it takes; they are made. */
static uint32_t rebuild_self(struct self *s, const struct kind *k, const ProtobufCMessage *m)
{
	struct batch b cleanup_batch = {0};
	uint32_t count;

	batch_here(&b);
	assert_int_equal(k->state->rebuild(&s->rebuild, &s->rebuilt, m, &b, NULL), 0);
	assert_false(b.overflow);
	count = b.count;
	assert_int_equal(run_here(&b), count);
	if (k->state->rebuild_outside)
		assert_int_equal(k->state->rebuild_outside(&s->rebuild, &s->rebuilt, m, NULL), 0);
	return count;
}

static int validates(const struct kind *k, const void *m)
{
	return k->state->validate(m, NULL);
}

/* ---- What is as it should be is left alone ---------------------------------- */

static void test_nothing_to_do(void **state)
{
	struct self s;
	ProtobufCMessage *credentials, *limits;

	(void)state;
	self_open(&s);
	credentials = capture_self(&s, &kind_credentials);
	limits = capture_self(&s, &kind_limits);
	assert_int_equal(kind_credentials.state->check(&s.rebuild, credentials, NULL), 0);
	assert_int_equal(kind_limits.state->check(&s.rebuild, limits, NULL), 0);
	/* The one call is PR_SET_PDEATHSIG, which cannot fail. */
	assert_int_equal(rebuild_self(&s, &kind_credentials, credentials), 1);
	assert_int_equal(rebuild_self(&s, &kind_limits, limits), 0);
	message_free(credentials);
	message_free(limits);
	self_close(&s);
}

/* Each comes back as it was captured, whatever happened in between. */
static void test_round_trip(void **state)
{
	static const struct kind *const list[] = {
		&kind_filesystem, &kind_limits, &kind_switches, &kind_scheduling,
		&kind_credentials,
	};
	struct self s;

	(void)state;
	self_open(&s);
	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		ProtobufCMessage *before = capture_self(&s, list[i]), *after;
		size_t len = protobuf_c_message_get_packed_size(before);
		uint8_t *a = malloc(len + 1), *b;

		protobuf_c_message_pack(before, a);
		rebuild_self(&s, list[i], before);
		after = capture_self(&s, list[i]);
		assert_int_equal(protobuf_c_message_get_packed_size(after), len);
		b = malloc(len + 1);
		protobuf_c_message_pack(after, b);
		assert_memory_equal(a, b, len);
		free(a);
		free(b);
		message_free(before);
		message_free(after);
	}
	self_close(&s);
}

static void test_limits_are_exact_or_refused(void **state)
{
	struct rlimit own;
	struct error *err cleanup_error = NULL;
	Rec__Limit files = {.resource = RLIMIT_NOFILE};
	Rec__Limit queue = {.resource = RLIMIT_SIGPENDING, .soft = UINT64_MAX, .hard = UINT64_MAX};
	Rec__Limit *list[] = {&files, &queue};
	Rec__Limits m = REC__LIMITS__INIT;
	struct self s;

	(void)state;
	rec__limit__init(&files);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &own), 0);
	if (priv_has_permitted(CAP_SYS_RESOURCE) || own.rlim_max == RLIM_INFINITY)
		skip();
	self_open(&s);
	files = (Rec__Limit){files.base, RLIMIT_NOFILE, own.rlim_cur, own.rlim_max + 1};
	m.limits = list;
	m.n_limits = 2;
	m.oom_score_adj = 1000;
	assert_int_equal(kind_limits.state->check(&s.rebuild, &m.base, &err), -EPERM);
	assert_int_equal(error_outcome(err), OUTCOME_REFUSED);
	/* The other belongs to the machine: as much of it as there is. */
	assert_int_equal(error_count(err), 1);
	files.hard = own.rlim_max;
	assert_int_equal(kind_limits.state->check(&s.rebuild, &m.base, NULL), 0);
	self_close(&s);
}

/* ---- Timers ------------------------------------------------------------------- */

static int make_timer(clockid_t clock, int sig, long value)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = sig};
	int id = -1;

	event.sigev_value.sival_ptr = (void *)value;
	assert_int_equal(syscall(SYS_timer_create, clock, &event, &id), 0);
	return id;
}

static void read_timers(struct posix_timers *ret)
{
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(AT_FDCWD, "/proc/self/timers", &text);

	assert_true(n > 0);
	assert_int_equal(timers_parse(text, (size_t)n, ret), 0);
}

/* In a new process, whose timers would get other numbers. */
static void restore_timers(const ProtobufCMessage *m, const struct posix_timers *want)
{
	cleanup_timers struct posix_timers got = {0};
	struct itimerspec left;
	struct self s;

	self_open(&s);
	rebuild_self(&s, &kind_timers, m);
	self_close(&s);
	read_timers(&got);
	assert_int_equal(got.list.count, want->list.count);
	for (size_t i = 0; i < got.list.count; i++) {
		const struct posix_timer *a = &want->list.items[i], *b = NULL;

		vec_each(it, &got.list)
			if (it->id == a->id)
				b = it;
		assert_non_null(b);
		assert_true(a->signo == b->signo && a->sigval == b->sigval);
		assert_true(a->notify == b->notify && a->clockid == b->clockid);
		assert_int_equal(syscall(SYS_timer_gettime, a->id, &left), 0);
		assert_true(left.it_value.tv_sec >= 99 && left.it_value.tv_sec <= 100);
		assert_int_equal(left.it_interval.tv_sec, 7);
		/* Of the clock of this process, and none left for it yet. */
		assert_int_equal(syscall(SYS_timer_getoverrun, a->id), 0);
	}
}

static void test_timers_keep_their_numbers(void **state)
{
	static const struct itimerspec set = {{7, 0}, {100, 0}};
	cleanup_timers struct posix_timers before = {0};
	ProtobufCMessage *m;
	int ids[6], status;
	struct self s;
	pid_t pid;

	(void)state;
	for (int i = 0; i < 6; i++) {
		ids[i] = make_timer(i % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME, SIGRTMIN + i, i * 1000);
		assert_int_equal(syscall(SYS_timer_settime, ids[i], 0, &set, NULL), 0);
	}
	syscall(SYS_timer_delete, ids[0]);
	syscall(SYS_timer_delete, ids[3]);
	self_open(&s);
	m = capture_self(&s, &kind_timers);
	assert_int_equal(kind_timers.state->check(&s.rebuild, m, NULL), 0);
	read_timers(&before);
	pid = fork();
	if (pid == 0) {
		restore_timers(m, &before);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (int i = 0; i < 6; i++)
		syscall(SYS_timer_delete, ids[i]);
	message_free(m);
	self_close(&s);
}

/* ---- Signals -------------------------------------------------------------------- */

/* A stopped child in which these wait: one without room for its siginfo. */
static pid_t child_with_signals(void)
{
	struct rlimit none = {0, 0};
	sigset_t all;
	pid_t pid = fork();

	if (pid == 0) {
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 1});
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 2});
		setrlimit(RLIMIT_SIGPENDING, &none);
		kill(getpid(), SIGUSR1);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(pid, NULL, WUNTRACED);
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);
	return pid;
}

static void test_waiting_signals(void **state)
{
	cleanup_pending struct pending p = {0};
	cleanup_free char *text = NULL;
	pid_t pid = child_with_signals();
	struct task *task = NULL;
	struct thread t = {.tid = pid};
	bool user = false;
	int values = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(task_open(&task, pid, NULL), 0);
	t.task = task;
	n = task_slurp(task, "status", &text);
	assert_true(n > 0 && status_parse(text, (size_t)n, &t.status) == 0);
	assert_int_equal(pending_read(&t, true, &p, NULL), 0);
	vec_each(info, &p.list) {
		if (info->si_signo == SIGRTMIN + 1)
			values = values * 10 + info->si_value.sival_int;
		if (info->si_signo == SIGUSR1)
			user = info->si_code == SI_USER;
	}
	assert_int_equal(values, 12);
	assert_true(user);
	status_free(&t.status);
	task_free(task);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
}

/* ---- Hostile images ---------------------------------------------------------------- */

static void test_signals_validated(void **state)
{
	siginfo_t info = {.si_signo = SIGUSR1};
	Rec__SignalAction a = REC__SIGNAL_ACTION__INIT, b = REC__SIGNAL_ACTION__INIT;
	Rec__SignalAction *actions[] = {&a, &b};
	ProtobufCBinaryData waiting = {sizeof info, (uint8_t *)&info};
	Rec__Signals m = REC__SIGNALS__INIT;

	(void)state;
	a.signal = SIGHUP;
	b.signal = SIGRTMAX;
	m.actions = actions;
	m.n_actions = 2;
	m.pending = &waiting;
	m.n_pending = 1;
	assert_int_equal(validates(&kind_signals, &m), 0);
	b.signal = 65;
	assert_int_equal(validates(&kind_signals, &m), -EINVAL);
	b.signal = SIGHUP;
	assert_int_equal(validates(&kind_signals, &m), -EINVAL);
	b.signal = SIGKILL;
	assert_int_equal(validates(&kind_signals, &m), -EINVAL);
	b.signal = SIGINT;
	waiting.len--;
	assert_int_equal(validates(&kind_signals, &m), -EINVAL);
	waiting.len++;
	info.si_signo = SIGSTOP;
	assert_int_equal(validates(&kind_signals, &m), -EINVAL);
	info.si_signo = -1;
	assert_int_equal(validates(&kind_signals, &m), -EINVAL);
}

static void test_timers_validated(void **state)
{
	Rec__PosixTimer a = REC__POSIX_TIMER__INIT, b = REC__POSIX_TIMER__INIT;
	Rec__PosixTimer *timers[] = {&a, &b};
	Rec__Timers m = REC__TIMERS__INIT;

	(void)state;
	a.notify = b.notify = SIGEV_SIGNAL;
	a.signal = b.signal = SIGALRM;
	b.id = 3;
	m.posix = timers;
	m.n_posix = 2;
	assert_int_equal(validates(&kind_timers, &m), 0);
	b.id = 0;
	assert_int_equal(validates(&kind_timers, &m), -EINVAL);
	b.id = 1u << 31;
	assert_int_equal(validates(&kind_timers, &m), -EINVAL);
	b.id = 3;
	b.value = UINT64_MAX;
	assert_int_equal(validates(&kind_timers, &m), -EINVAL);
	b.value = 1;
	b.signal = 0;
	assert_int_equal(validates(&kind_timers, &m), -EINVAL);
	b.signal = 1;
	b.clock = -5; /* the clock of descriptor 0 */
	assert_int_equal(validates(&kind_timers, &m), -EINVAL);
}

static void test_others_validated(void **state)
{
	Rec__Limit l = REC__LIMIT__INIT, *limits[] = {&l};
	Rec__Limits m = REC__LIMITS__INIT;
	Rec__Lock k = REC__LOCK__INIT, *locks[] = {&k};
	Rec__Locks n = REC__LOCKS__INIT;
	Rec__FileSystem fs = REC__FILE_SYSTEM__INIT;
	Rec__Credentials c = REC__CREDENTIALS__INIT;

	(void)state;
	m.limits = limits;
	m.n_limits = 1;
	l.soft = 2;
	l.hard = 1;
	assert_int_equal(validates(&kind_limits, &m), -EINVAL);
	l.hard = 2;
	assert_int_equal(validates(&kind_limits, &m), 0);
	l.resource = 16;
	assert_int_equal(validates(&kind_limits, &m), -EINVAL);

	n.locks = locks;
	n.n_locks = 1;
	k.mode = LOCK_EX;
	k.end = UINT64_MAX;
	assert_int_equal(validates(&kind_locks, &n), 0);
	k.mode = LOCK_UN;
	assert_int_equal(validates(&kind_locks, &n), -EINVAL);
	k.mode = F_WRLCK;
	k.type = REC__LOCK__TYPE__POSIX;
	k.start = UINT64_MAX;
	assert_int_equal(validates(&kind_locks, &n), -EINVAL);

	fs.root = (char *)"/";
	fs.cwd = (char *)"relative";
	assert_int_equal(validates(&kind_filesystem, &fs), -EINVAL);
	fs.cwd = (char *)"/";
	assert_int_equal(validates(&kind_filesystem, &fs), 0);

	c.cap_effective = 1;
	assert_int_equal(validates(&kind_credentials, &c), -EINVAL);
	c.cap_permitted = 1;
	assert_int_equal(validates(&kind_credentials, &c), 0);
	c.cap_ambient = 1;
	assert_int_equal(validates(&kind_credentials, &c), -EINVAL);
}

static void test_append(void **state)
{
	Rec__Signals *m = kind_message(&kind_signals);

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		Rec__SignalAction *a = message_append(&m->actions, &m->n_actions,
						      &rec__signal_action__descriptor);

		a->signal = i;
		assert_int_equal(bytes_append(&m->pending, &m->n_pending, "abc", i), 0);
	}
	assert_int_equal(m->n_actions, 3);
	assert_int_equal(m->actions[2]->signal, 2);
	assert_int_equal(m->pending[2].len, 2);
	message_free(&m->base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_limits_are_exact_or_refused),
		cmocka_unit_test(test_timers_keep_their_numbers),
		cmocka_unit_test(test_waiting_signals),
		cmocka_unit_test(test_signals_validated),
		cmocka_unit_test(test_timers_validated),
		cmocka_unit_test(test_others_validated),
		cmocka_unit_test(test_append),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
