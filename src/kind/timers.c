/*
 * Interval timers (setitimer(2)) and POSIX timers (timer_create(2)).
 *
 * Between checkpoint and restore a timer's clock stands still: each has as long to
 * go as it had.  That is so for absolute times, too; the kernel does not tell
 * which were absolute.
 *
 * A periodic timer whose signal waits counts the periods that pass, and tells
 * the number only to who takes the signal.  The target's own batch therefore takes
 * it and sends it to itself again, with the number in it.  For the
 * program nothing differs: were it to take the signal now, it would be told the same.
 */
#include "kind/kind.h"

#include <errno.h>
#include <linux/time_types.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "priv/priv.h"
#include "task/append.h"
#include "task/pending.h"

#ifndef PR_TIMER_CREATE_RESTORE_IDS
#define PR_TIMER_CREATE_RESTORE_IDS 77 /* Linux 6.15 */
#endif

#define SECOND UINT64_C(1000000000)
#define SIGNALS 64

/* ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF */
#define INTERVAL_TIMERS 3

/* Where ids cannot be chosen, they are handed out in turn: this many are gone through. */
#define IDS_IN_TURN 400

/* A clock of CPU time holds the inverse of a pid, and three bits (include/linux/posix-timers.h). */
#define CPU_CLOCK_PID(clock)      (~((clock) >> 3))
#define CPU_CLOCK_THREAD          4
#define CPU_CLOCK_WHICH           3
#define CPU_CLOCK_FD              3 /* not CPU time at all: the clock of a device */
#define CPU_CLOCK(pid, low3)      ((int)((~(unsigned int)(pid) << 3) | (unsigned int)(low3)))
#define OWN_THREAD_CLOCK          CPU_CLOCK(0, CPU_CLOCK_THREAD | 2)

extern const struct kind kind_timers;

static uint64_t nanoseconds(time_t seconds, long rest)
{
	return (uint64_t)seconds * SECOND + (uint64_t)rest;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / SECOND), (long)(ns % SECOND)};
}

/* ---- Capture ---------------------------------------------------------------- */

static size_t count_signal(const struct pending *p, int sig)
{
	size_t n = 0;

	vec_each(info, &p->list)
		n += info->si_signo == sig;
	return n;
}

static void take_and_return(const struct thread *t, struct batch *b, const siginfo_t *info,
			    bool shared)
{
	static const struct timespec at_once;
	uint64_t set = UINT64_C(1) << (info->si_signo - 1);
	uint64_t at = batch_put(b, info, sizeof *info);
	uint32_t taken = batch_call(b, BATCH_MAY_FAIL, SYS_rt_sigtimedwait,
				    batch_put(b, &set, sizeof set), at,
				    batch_put(b, &at_once, sizeof at_once), sizeof set);
	uint32_t back;

	/*
	 * Nothing to take (the timer was set anew since) makes the signal a
	 * negative number, which is refused: so nothing is returned either.
	 */
	if (shared) {
		back = batch_call(b, BATCH_MAY_FAIL, SYS_rt_sigqueueinfo,
				  (uint64_t)t->task->ns_pid, 0, at);
		batch_refer(b, back, 1, taken);
	} else {
		back = batch_call(b, BATCH_MAY_FAIL, SYS_rt_tgsigqueueinfo,
				  (uint64_t)t->task->ns_pid, (uint64_t)t->ns_tid, 0, at);
		batch_refer(b, back, 2, taken);
	}
}

/*
 * Only where the signal that is taken can be no other, and where there is room
 * for its return.  Elsewhere its count of overruns begins anew.
 */
static int ask_overruns(const struct thread *t, const struct posix_timers *timers, struct batch *b)
{
	cleanup_pending struct pending own = {0}, shared = {0};
	const struct proc_status *st = &t->status;
	uint64_t waiting = st->sig_pending | st->shared_pending;
	bool any = false;
	int r;

	vec_each(timer, &timers->list)
		any = any || (timer->signo >= 1 && timer->signo <= SIGNALS &&
			      waiting >> (timer->signo - 1) & 1);
	if (!any || st->signals_queued >= st->signals_limit)
		return 0;
	r = pending_read(t, false, &own, NULL);
	if (r == 0)
		r = pending_read(t, true, &shared, NULL);
	if (r < 0)
		return r;
	vec_each(timer, &timers->list) {
		const struct pending *queues[] = {&own, &shared};

		if (count_signal(&own, timer->signo) + count_signal(&shared, timer->signo) != 1)
			continue;
		for (int i = 0; i < 2; i++)
			vec_each(info, &queues[i]->list)
				if (pending_from(info, timer) && batch_has_room(b, 2, 512))
					take_and_return(t, b, info, i == 1);
	}
	return 0;
}

/*
 * a[0]: the interval timers; a[1]: what POSIX timers have left; a[2]: the first one's two calls; a[3]: how
 * many there are.
 */
static int timers_ask(const struct capture *c, const struct thread *t, struct batch *b,
		      struct asked *asked)
{
	cleanup_timers struct posix_timers timers = {0};
	int r = pending_timers(t->task, &timers, NULL);

	(void)c;
	if (r < 0)
		return r;
	asked->a[0] = batch_space(b, INTERVAL_TIMERS * sizeof(struct itimerval));
	for (unsigned int i = 0; i < INTERVAL_TIMERS; i++)
		batch_call(b, 0, SYS_getitimer, i, asked->a[0] + i * sizeof(struct itimerval));
	if (!batch_has_room(b, 2 * (uint32_t)timers.list.count + 64,
			    timers.list.count * sizeof(struct itimerspec)))
		return -E2BIG;
	asked->a[1] = batch_space(b, timers.list.count * sizeof(struct itimerspec));
	asked->a[2] = b->count;
	asked->a[3] = timers.list.count;
	for (size_t i = 0; i < timers.list.count; i++) {
		uint64_t id = (uint64_t)timers.list.items[i].id;

		batch_call(b, 0, SYS_timer_getoverrun, id);
		batch_call(b, 0, SYS_timer_gettime, id,
			   asked->a[1] + i * sizeof(struct itimerspec));
	}
	return ask_overruns(t, &timers, b);
}

static int capture_interval(Rec__Timers *m, const struct itimerval *its, struct error **err)
{
	for (unsigned int i = 0; i < INTERVAL_TIMERS; i++) {
		const struct timeval *v = &its[i].it_value, *p = &its[i].it_interval;
		Rec__IntervalTimer *t;

		uint64_t value = nanoseconds(v->tv_sec, v->tv_usec * 1000);
		uint64_t period = nanoseconds(p->tv_sec, p->tv_usec * 1000);

		if (!value && !period)
			continue;
		t = message_append(&m->interval, &m->n_interval, &rec__interval_timer__descriptor);
		if (!t)
			return fail(err, ENOMEM, "out of memory");
		t->which = i;
		/*
		 * While the SIGALRM of a periodic one waits, it does not run.  Expiring
		 * at once, it merges with that signal, and goes on when it is taken.
		 */
		t->value = value ? value : 1;
		t->period = period;
	}
	return 0;
}

/* The thread of the task that the timer's signal goes to; NULL: it has ended, or is none. */
static const struct thread *timer_thread(const struct task *task, const struct posix_timer *timer)
{
	if (timer->notify & SIGEV_THREAD_ID)
		vec_each(t, &task->threads)
			if ((*t)->tid == timer->target)
				return *t;
	return NULL;
}

static bool owns_clock(const struct task *task, int clock)
{
	pid_t pid = CPU_CLOCK_PID(clock);

	if (pid == 0 || pid == task->ns_pid)
		return true;
	if (clock & CPU_CLOCK_THREAD)
		vec_each(t, &task->threads)
			if ((*t)->ns_tid == pid)
				return true;
	return false;
}

/* The clock as any thread of the program could name it, or an obstacle. */
static int name_clock(const struct task *task, const struct posix_timer *timer, int *ret,
		      struct error **err)
{
	const struct thread *t = timer_thread(task, timer);

	*ret = timer->clockid;
	if (timer->clockid >= 0)
		return 0;
	if ((timer->clockid & CPU_CLOCK_WHICH) == CPU_CLOCK_FD)
		return refuse(err, ENOTSUP, NULL, "timer %d of process %d runs by a device's clock",
			      timer->id, task->pid);
	if (!owns_clock(task, timer->clockid))
		return refuse(err, ENOTSUP, NULL,
			      "timer %d of process %d runs by the CPU time of process %d",
			      timer->id, task->pid, CPU_CLOCK_PID(timer->clockid));
	if (timer->clockid != OWN_THREAD_CLOCK || task->threads.count == 1)
		return 0;
	/*
	 * "Of the thread that made it", and nobody tells which that was.  Whoever
	 * has a thread signalled measures that very thread (profilers do).
	 */
	if (!t)
		return refuse(err, ENOTSUP, NULL,
			      "timer %d of process %d runs by the CPU time of one of its threads, "
			      "and the kernel does not tell which", timer->id, task->pid);
	*ret = CPU_CLOCK(t->ns_tid, CPU_CLOCK_THREAD | 2);
	return 0;
}

static int find_waiting(const struct task *task, const struct posix_timer *timer,
			Rec__PosixTimer *m, struct error **err)
{
	const struct thread *own = timer_thread(task, timer);
	cleanup_pending struct pending p = {0};
	const struct thread *t = own ? own : task_leader(task);
	uint64_t waiting = own ? t->status.sig_pending : t->status.shared_pending;
	uint64_t overruns = 0;
	int r;

	if (timer->signo < 1 || timer->signo > SIGNALS || !(waiting >> (timer->signo - 1) & 1))
		return 0;
	r = pending_read(t, !own, &p, err);
	if (r < 0)
		return r;
	vec_each(info, &p.list) {
		if (!pending_from(info, timer))
			continue;
		/* The one that was returned, and perhaps the next: each stands for an expiry. */
		overruns += (unsigned int)info->si_overrun + (uint64_t)m->pending;
		m->pending = true;
	}
	/* Another signal of that number waits: the restore could not take the timer's own. */
	m->overrun = overruns > INT32_MAX ? INT32_MAX : (uint32_t)overruns;
	return 0;
}

static int capture_posix(const struct task *task, const struct posix_timer *timer,
			 const struct itimerspec *left, int64_t overrun, Rec__PosixTimer *m,
			 struct error **err)
{
	const struct thread *t = timer_thread(task, timer);
	int clock, r = name_clock(task, timer, &clock, err);

	if (r < 0)
		return r;
	m->id = (uint32_t)timer->id;
	m->clock = clock;
	m->notify = (uint32_t)timer->notify;
	m->signal = (uint32_t)timer->signo;
	m->sigval = timer->sigval;
	m->value = nanoseconds(left->it_value.tv_sec, left->it_value.tv_nsec);
	m->period = nanoseconds(left->it_interval.tv_sec, left->it_interval.tv_nsec);
	m->overrun = overrun > 0 ? (uint32_t)overrun : 0;
	if (timer->notify & SIGEV_THREAD_ID) {
		if (!t) {
			/* Its thread has ended: it signals nobody, but its id is there. */
			m->notify = SIGEV_NONE;
			return 0;
		}
		m->tid = (uint32_t)t->ns_tid;
	}
	return find_waiting(task, timer, m, err);
}

static int by_id(const void *a, const void *b)
{
	const Rec__PosixTimer *x = *(Rec__PosixTimer *const *)a, *y = *(Rec__PosixTimer *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int timers_capture(struct capture *c, const struct thread *t, const struct batch *b,
			  const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	cleanup_timers struct posix_timers timers = {0};
	const struct itimerspec *left = batch_at(b, asked->a[1]);
	Rec__Timers *m = kind_message(&kind_timers);
	int r;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	r = capture_interval(m, batch_at(b, asked->a[0]), err);
	if (r == 0 && asked->a[3])
		r = pending_timers(t->task, &timers, err);
	for (size_t i = 0; i < timers.list.count && r == 0; i++) {
		Rec__PosixTimer *timer = message_append(&m->posix, &m->n_posix,
							&rec__posix_timer__descriptor);

		if (!timer)
			r = fail(err, ENOMEM, "out of memory");
		else
			r = capture_posix(t->task, &timers.list.items[i], &left[i],
					  batch_result(b, (uint32_t)(asked->a[2] + 2 * i)), timer,
					  err);
	}
	if (m->n_posix)
		qsort(m->posix, m->n_posix, sizeof *m->posix, by_id);
	if (r < 0 || (!m->n_interval && !m->n_posix))
		message_free(&m->base);
	else
		*ret = &m->base;
	return r;
}

/* ---- Restore ---------------------------------------------------------------- */

static int validate_posix(const Rec__PosixTimer *t, struct error **err)
{
	uint32_t notify = t->notify & ~(uint32_t)SIGEV_THREAD_ID;

	if (t->id > INT32_MAX || t->overrun > INT32_MAX)
		return fail(err, EINVAL, "a timer with id %u and overrun %u", t->id, t->overrun);
	if (notify != SIGEV_SIGNAL && notify != SIGEV_NONE && notify != SIGEV_THREAD)
		return fail(err, EINVAL, "timer %u notifies in an unknown way", t->id);
	if (notify != SIGEV_NONE && (t->signal < 1 || t->signal > SIGNALS))
		return fail(err, EINVAL, "timer %u sends signal %u", t->id, t->signal);
	if (t->value > INT64_MAX || t->period > INT64_MAX)
		return fail(err, EINVAL, "timer %u runs for longer than any can", t->id);
	if (t->clock < 0 && (t->clock & CPU_CLOCK_WHICH) == CPU_CLOCK_FD)
		return fail(err, EINVAL, "timer %u runs by no clock", t->id);
	return 0;
}

static int timers_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Timers *m = (const Rec__Timers *)message;

	for (size_t i = 0; i < m->n_interval; i++) {
		const Rec__IntervalTimer *t = m->interval[i];

		if (t->which >= INTERVAL_TIMERS || t->value > INT64_MAX || t->period > INT64_MAX)
			return fail(err, EINVAL, "an impossible interval timer");
	}
	for (size_t i = 0; i < m->n_posix; i++) {
		if (validate_posix(m->posix[i], err) < 0)
			return -EINVAL;
		if (i && m->posix[i]->id <= m->posix[i - 1]->id)
			return fail(err, EINVAL, "timer %u is out of order", m->posix[i]->id);
	}
	return 0;
}

static bool ids_can_be_chosen(void)
{
	return priv_can(PRIV_TIMER_IDS);
}

static int timers_check(const struct rebuild *r, const ProtobufCMessage *message,
			struct error **err)
{
	const Rec__Timers *m = (const Rec__Timers *)message;
	int result = 0;

	(void)r;
	for (size_t i = 0; i < m->n_posix; i++) {
		const Rec__PosixTimer *t = m->posix[i];
		struct sigevent nobody = {.sigev_notify = SIGEV_NONE};
		int id;

		if (t->id >= IDS_IN_TURN && !ids_can_be_chosen())
			result = refuse(err, ENOTSUP, "use Linux 6.15 or later",
					"timer %u cannot get its number back on this kernel",
					t->id);
		if (t->clock < 0)
			continue;
		/* Alarm clocks need a capability, and a device that can wake the machine. */
		if (syscall(SYS_timer_create, t->clock, &nobody, &id) < 0)
			result = refuse(err, errno, NULL,
					"timer %u runs by clock %d, which is not to be had here (%s)",
					t->id, t->clock, strerror(errno));
		else
			syscall(SYS_timer_delete, id);
	}
	return result;
}

/* Rounded up: nothing left would stop it. */
static struct timeval to_timeval(uint64_t ns)
{
	uint64_t us = ns / 1000 + (ns % 1000 > 0);

	return (struct timeval){(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
}

static void rebuild_interval(const Rec__IntervalTimer *t, struct batch *b)
{
	const struct itimerval value = {
		.it_value = to_timeval(t->value), .it_interval = to_timeval(t->period),
	};

	batch_call(b, 0, SYS_setitimer, t->which, batch_put(b, &value, sizeof value), 0);
}

static int rebuilt_clock(const struct rebuild *r, int clock)
{
	pid_t pid = CPU_CLOCK_PID(clock);

	if (clock >= 0 || pid == 0)
		return clock;
	return CPU_CLOCK(rebuilt_number(r, pid), clock & 7);
}

static uint64_t add_create(const struct rebuild *r, const Rec__PosixTimer *t, struct batch *b)
{
	struct sigevent event = {
		.sigev_notify = (int)t->notify,
		.sigev_signo = (int)t->signal,
		.sigev_value.sival_ptr = (void *)(uintptr_t)t->sigval,
	};
	uint64_t id_at = batch_put(b, &(int){(int)t->id}, sizeof(int));

	if (t->notify & SIGEV_THREAD_ID)
		event._sigev_un._tid = rebuilt_number(r, (pid_t)t->tid);
	batch_call(b, 0, SYS_timer_create, (uint64_t)rebuilt_clock(r, t->clock),
		   batch_put(b, &event, sizeof event), id_at);
	return id_at;
}

/*
 * The time at which a timer must have expired first, so that by now it has done
 * so 1 + overrun times and the next time comes after value.
 */
static uint64_t first_expiry(const Rec__PosixTimer *t)
{
	struct timespec ts;
	uint64_t now, back;

	/* CPU time has only begun: nothing that waits can be older. */
	if (t->clock < 0 || clock_gettime(t->clock, &ts) < 0)
		return 1;
	now = nanoseconds(ts.tv_sec, ts.tv_nsec);
	/* Out of reach, also where the machine has not been up for so long: it expires once, now. */
	if (!t->period || t->value > t->period ||
	    __builtin_mul_overflow((uint64_t)t->overrun + 1, t->period, &back) ||
	    now + t->value <= back)
		return now;
	return now + t->value - back;
}

/* Its signal was taken: what timer_getoverrun(2) tells is what it was told then. */
static void add_take(const Rec__PosixTimer *t, struct batch *b)
{
	static const struct timespec at_once;
	uint64_t set = UINT64_C(1) << (t->signal - 1);

	batch_call(b, BATCH_MAY_FAIL, SYS_rt_sigtimedwait, batch_put(b, &set, sizeof set), 0,
		   batch_put(b, &at_once, sizeof at_once), sizeof set);
}

/* A count can only be restored by letting the timer expire, as if it had been set long ago. */
static bool must_expire(const Rec__PosixTimer *t)
{
	/* Set anew while its signal waited: it must not expire before its new time. */
	if (t->notify == SIGEV_NONE || (t->value && !t->period))
		return false;
	/* What a thread is sent only that thread could take; CPU time was not used up yet. */
	return t->pending ||
	       (t->overrun && t->value && t->notify == SIGEV_SIGNAL && t->clock >= 0);
}

static void add_settime(const Rec__PosixTimer *t, struct batch *b)
{
	bool expire = must_expire(t);
	struct itimerspec spec = {
		.it_value = to_timespec(expire ? first_expiry(t) : t->value),
		.it_interval = to_timespec(t->period),
	};

	if (!expire && !t->value)
		return;
	batch_call(b, 0, SYS_timer_settime, t->id, expire ? TIMER_ABSTIME : 0,
		   batch_put(b, &spec, sizeof spec), 0);
	if (expire && !t->pending)
		add_take(t, b);
}

/* The kernel counts up: timers that nobody wants fill the gaps, and go again. */
static int create_in_turn(const struct rebuild *r, Rec__PosixTimer *const *sorted, size_t count,
			  struct batch *b, struct error **err)
{
	const Rec__PosixTimer filler = {.clock = CLOCK_MONOTONIC, .notify = SIGEV_NONE};
	uint32_t next = 0;

	for (size_t i = 0; i < count; i++, next++) {
		for (; next < sorted[i]->id; next++) {
			if (!batch_has_room(b, 8, 1024))
				return fail(err, E2BIG, "timer %u cannot get its number back",
					    sorted[i]->id);
			add_create(r, &filler, b);
			batch_call(b, 0, SYS_timer_delete, next);
		}
		add_create(r, sorted[i], b);
	}
	return 0;
}

static int timers_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			  const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__Timers *m = (const Rec__Timers *)message;
	bool chosen = m && m->n_posix && ids_can_be_chosen();
	int result = 0;

	(void)t;
	if (!m)
		return 0;
	if (!batch_has_room(b, 4 * (uint32_t)m->n_posix + 8, m->n_posix * 256))
		return fail(err, E2BIG, "%zu timers are too many", m->n_posix);
	if (chosen) {
		batch_call(b, 0, SYS_prctl, PR_TIMER_CREATE_RESTORE_IDS, 1);
		for (size_t i = 0; i < m->n_posix; i++)
			add_create(r, m->posix[i], b);
		batch_call(b, 0, SYS_prctl, PR_TIMER_CREATE_RESTORE_IDS, 0);
	} else {
		result = create_in_turn(r, m->posix, m->n_posix, b, err);
	}
	for (size_t i = 0; i < m->n_posix && result == 0; i++)
		add_settime(m->posix[i], b);
	for (size_t i = 0; i < m->n_interval; i++)
		rebuild_interval(m->interval[i], b);
	return result;
}

const struct kind kind_timers = {
	.name = "timers",
	.tag = 68,
	.schema = &rec__timers__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_NORMAL,
		.ask = timers_ask,
		.capture = timers_capture,
		.validate = timers_validate,
		.check = timers_check,
		.rebuild = timers_rebuild,
	},
};
