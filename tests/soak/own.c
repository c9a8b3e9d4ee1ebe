/* What each member has for itself: memory, signals, timers, threads, attributes. */
#include "soak.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define REGIONS 16
#define THREADS 3
#define PAGE 4096u

/* Private memory: each process has its own copy of this table, which tells what is where. */
struct region {
	unsigned char *start;
	unsigned pages;
	uint64_t seeds[48]; /* 0: nobody has written to the page */
};

static struct region regions[REGIONS];
static unsigned region_count;

static pthread_t threads[THREADS];
static __thread uint64_t of_thread;

static void on_signal(int sig)
{
	(void)sig;
}

static void new_region(uint64_t *state)
{
	struct region *r = &regions[region_count];

	if (region_count == REGIONS)
		return;
	r->pages = 1 + below(state, 48);
	r->start = mmap(NULL, r->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	MUST(r->start != MAP_FAILED);
	region_count++;
}

/* Some pages are the member's own from now on, the others stay those of its ancestors. */
static void write_memory(uint64_t *state)
{
	for (unsigned i = below(state, 3); i; i--)
		new_region(state);
	for (unsigned i = 0; i < region_count; i++) {
		struct region *r = &regions[i];

		for (unsigned k = 0; k < r->pages; k++) {
			if (!chance(state, 30))
				continue;
			r->seeds[k] = draw(state) | 1;
			fill(r->start + k * PAGE, PAGE, r->seeds[k]);
		}
	}
	if (region_count && chance(state, 20)) {
		struct region *r = &regions[below(state, region_count)];

		MUST(mprotect(r->start, r->pages * PAGE, PROT_READ) == 0);
		MUST(mprotect(r->start, r->pages * PAGE, PROT_READ | PROT_WRITE) == 0);
		MUST(madvise(r->start, PAGE, MADV_DONTNEED) == 0);
		r->seeds[0] = 0;
	}
}

static void check_memory(void)
{
	static const unsigned char zeros[PAGE];

	for (unsigned i = 0; i < region_count; i++) {
		const struct region *r = &regions[i];

		for (unsigned k = 0; k < r->pages; k++) {
			const unsigned char *page = r->start + k * PAGE;

			if (r->seeds[k])
				MUST(is_filled(page, PAGE, r->seeds[k]));
			else
				MUST(memcmp(page, zeros, PAGE) == 0);
		}
	}
}

/* Everything is blocked, so that what is sent waits. */
static void set_up_signals(struct member *m, uint64_t *state)
{
	sigset_t all;

	sigfillset(&all);
	MUST(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
	m->own.queued = below(state, 5);
	for (unsigned i = 0; i < m->own.queued; i++)
		MUST(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = (int)i}) == 0);
	m->own.interrupted = chance(state, 30);
	if (m->own.interrupted)
		MUST(kill(getpid(), SIGHUP) == 0);
	if (!(m->flags & SHARE_ACTIONS)) {
		struct sigaction action = {.sa_handler = chance(state, 50) ? on_signal : SIG_IGN};

		action.sa_flags = chance(state, 50) ? SA_RESTART : 0;
		sigemptyset(&action.sa_mask);
		sigaddset(&action.sa_mask, 1 + (int)below(state, 8));
		MUST(sigaction(SIGUSR2, &action, NULL) == 0);
	}
	MUST(sigaction(SIGUSR2, NULL, &m->own.action) == 0);
}

static int take(int sig, siginfo_t *info)
{
	struct timespec now = {0, 0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return (int)syscall(SYS_rt_sigtimedwait, &set, info, &now, 8);
}

static void check_signals(const struct member *m)
{
	struct sigaction action;
	siginfo_t info = {0};

	for (unsigned i = 0; i < m->own.queued; i++) {
		MUST_BE(take(SIGRTMIN + 1, &info), SIGRTMIN + 1);
		MUST_BE(info.si_value.sival_int, i);
		MUST_BE(info.si_pid, m->pid);
	}
	MUST_BE(take(SIGRTMIN + 1, &info), -1);
	MUST_BE(take(SIGHUP, &info), m->own.interrupted ? SIGHUP : -1);
	MUST(sigaction(SIGUSR2, NULL, &action) == 0);
	MUST(action.sa_handler == m->own.action.sa_handler);
	MUST_BE(action.sa_flags, m->own.action.sa_flags);
	MUST(memcmp(&action.sa_mask, &m->own.action.sa_mask, 8) == 0);
}

/* The first member stays where "ready" and "go" are. */
static void set_up_directory(struct member *m, uint64_t *state)
{
	struct own *own = &m->own;

	if (!(m->flags & SHARE_DIRECTORY)) {
		umask((mode_t)below(state, 0100));
		if (m->number && chance(state, 50)) {
			char path[200];

			snprintf(path, sizeof path, "%s/%d", board->home, m->number);
			MUST(mkdir(path, 0700) == 0 && chmod(path, 0700) == 0 && chdir(path) == 0);
		}
	}
	own->umask = umask(0);
	umask(own->umask);
	MUST(getcwd(own->cwd, sizeof own->cwd));
}

void own_set_up(struct member *m)
{
	struct rlimit limit;
	uint64_t state = m->seed;
	struct own *own = &m->own;

	if (!(m->flags & SHARE_MEMORY))
		write_memory(&state);
	set_up_signals(m, &state);
	set_up_directory(m, &state);
	snprintf(own->name, sizeof own->name, "soak %d (%x", m->number, below(&state, 4096));
	MUST(prctl(PR_SET_NAME, own->name) == 0);
	if (chance(&state, 30))
		MUST(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + 1) == 0);
	own->nice = getpriority(PRIO_PROCESS, 0);
	own->death_signal = chance(&state, 30) ? SIGKILL : 0;
	MUST(prctl(PR_SET_PDEATHSIG, own->death_signal) == 0);
	own->slack = 50000 + below(&state, 1000);
	MUST(prctl(PR_SET_TIMERSLACK, own->slack) == 0);
	MUST(getrlimit(RLIMIT_CORE, &limit) == 0);
	if (limit.rlim_max == RLIM_INFINITY)
		limit.rlim_cur = below(&state, 10000) * PAGE;
	own->core = limit.rlim_cur;
	MUST(setrlimit(RLIMIT_CORE, &limit) == 0);
	if (m->flags & REAPER)
		MUST(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	if (chance(&state, 40)) {
		struct itimerval timer = {.it_value = {2000 + (time_t)below(&state, 1000), 0}};

		own->alarm = timer.it_value.tv_sec;
		MUST(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	}
}


static void *run_thread(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	char name[16] = "", want[16];

	of_thread = seed * 3;
	snprintf(want, sizeof want, "thread %u", (unsigned)(seed % 1000));
	MUST(prctl(PR_SET_NAME, want) == 0);
	while (!board->go) {
		if (seed % 2)
			syscall(SYS_futex, &board->go, FUTEX_WAIT, 0, NULL, NULL, 0);
		else
			test_nap(3);
	}
	MUST(of_thread == seed * 3);
	MUST(prctl(PR_GET_NAME, name) == 0 && strcmp(name, want) == 0);
	return (void *)(uintptr_t)of_thread;
}

static uint64_t seed_of_thread(const struct member *m, int i)
{
	return (m->seed >> 16 & 0xfffff0) | (unsigned)i;
}

/* The C library can make threads only in processes that it has made itself. */
void own_start_threads(struct member *m)
{
	for (int i = m->number; i >= 0; i = board->members[i].parent)
		if (board->members[i].flags & SHARE_ANY)
			return;
	for (int i = 1; i < board->member_count; i++)
		if (board->members[i].parent == m->number &&
		    board->members[i].flags & SHARE_ANY)
			return;
	m->own.threads = (int)(m->seed >> 40 & 7) - 4;
	for (int i = 0; i < m->own.threads; i++)
		MUST(pthread_create(&threads[i], NULL, run_thread,
				    (void *)(uintptr_t)seed_of_thread(m, i)) == 0);
}

void own_end_threads(struct member *m)
{
	for (int i = 0; i < m->own.threads; i++) {
		void *told = NULL;

		MUST(pthread_join(threads[i], &told) == 0);
		MUST((uintptr_t)told == seed_of_thread(m, i) * 3);
	}
}

/* umask(2) would change it for those that share it. */
static mode_t umask_now(void)
{
	char text[1024] = "", *found;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	close(fd);
	found = strstr(text, "Umask:");
	MUST(found);
	return (mode_t)strtoul(found + 6, NULL, 8);
}

void own_check(struct member *m)
{
	const struct own *own = &m->own;
	struct itimerval timer;
	struct rlimit limit;
	char name[16], cwd[200];
	int number = 0;

	check_memory();
	check_signals(m);
	MUST(prctl(PR_GET_NAME, name) == 0 && strcmp(name, own->name) == 0);
	MUST(getcwd(cwd, sizeof cwd) && strcmp(cwd, own->cwd) == 0);
	MUST_BE(umask_now(), own->umask);
	MUST_BE(getpriority(PRIO_PROCESS, 0), own->nice);
	MUST(prctl(PR_GET_PDEATHSIG, &number) == 0);
	MUST_BE(number, own->death_signal);
	MUST_BE(prctl(PR_GET_TIMERSLACK), own->slack);
	MUST(getrlimit(RLIMIT_CORE, &limit) == 0);
	MUST(limit.rlim_cur == own->core);
	MUST(prctl(PR_GET_CHILD_SUBREAPER, &number) == 0);
	MUST_BE(number != 0, (m->flags & REAPER) != 0);
	MUST(getitimer(ITIMER_REAL, &timer) == 0);
	MUST(own->alarm ? timer.it_value.tv_sec > own->alarm - 600 &&
				  timer.it_value.tv_sec <= own->alarm :
			  timer.it_value.tv_sec == 0);
}
