/*
 * A program that watches itself without pause: registers, memory, signals, timers, descriptors,
 * mappings, threads, children.  What it sees stands in a file that it has mapped:
 *
 *	victim BEAT [KIBIBYTES [CHILDREN [all]]]
 *
 * Each of its threads counts there what it has done; the first thing that is not as it was is written
 * there as a sentence.  More mappings than in the beginning are no fault: their number is told.
 * Its children do the same, each in a place of its own in the file.  "all": signals that are
 * ignored by default are caught as well.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAP_NS 2000000

enum { REGISTERS, DESCRIPTORS, MEMORY, COUNTERS };

struct beat {
	uint64_t counters[COUNTERS]; /* what each thread has done */
	uint64_t mappings;           /* more than in the beginning */
	uint64_t failed;
	char why[232];
};

static struct beat *beat;
static uint64_t *words, sum; /* in memory, which children share until they write */
static size_t word_count;
static int children;
static volatile sig_atomic_t alarms;

__attribute__((format(printf, 1, 2))) static _Noreturn void broken(const char *format, ...)
{
	va_list args;
	char why[sizeof beat->why];

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	if (!__atomic_exchange_n(&beat->failed, 1, __ATOMIC_SEQ_CST))
		memcpy(beat->why, why, sizeof why);
	_exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 17;
}

/* Known values in registers, while a loop runs long enough to be stopped in. */
static void *watch_registers(void *arg)
{
	for (;;) {
		uint64_t x = next_random(arg), bad;

		__asm__ volatile("mov %1, %%rbx\n"
				 "lea 1(%1), %%r12\n"
				 "lea 2(%1), %%r13\n"
				 "lea 3(%1), %%r14\n"
				 "lea 4(%1), %%r15\n"
				 "movq %1, %%xmm0\n"
				 "movq %%r12, %%xmm7\n"
				 "movq %%r15, %%xmm15\n"
				 "mov $50000, %%ecx\n"
				 "std\n"
				 "1: dec %%ecx\n"
				 "jnz 1b\n"
				 "pushfq\n"
				 "pop %0\n"
				 "cld\n"
				 "not %0\n"
				 "and $0x400, %0\n"
				 "sub %1, %%rbx\n"
				 "or %%rbx, %0\n"
				 "lea 1(%1), %%rbx\n"
				 "sub %%rbx, %%r12\n"
				 "or %%r12, %0\n"
				 "movq %%xmm7, %%r12\n"
				 "sub %%rbx, %%r12\n"
				 "or %%r12, %0\n"
				 "lea 2(%1), %%rbx\n"
				 "sub %%rbx, %%r13\n"
				 "or %%r13, %0\n"
				 "lea 3(%1), %%rbx\n"
				 "sub %%rbx, %%r14\n"
				 "or %%r14, %0\n"
				 "lea 4(%1), %%rbx\n"
				 "sub %%rbx, %%r15\n"
				 "or %%r15, %0\n"
				 "movq %%xmm15, %%r15\n"
				 "sub %%rbx, %%r15\n"
				 "or %%r15, %0\n"
				 "movq %%xmm0, %%rbx\n"
				 "sub %1, %%rbx\n"
				 "or %%rbx, %0\n"
				 : "=&r"(bad)
				 : "r"(x)
				 : "rbx", "rcx", "r12", "r13", "r14", "r15", "xmm0", "xmm7", "xmm15", "cc",
				   "memory");
		if (bad)
			broken("a register changed");
		beat->counters[REGISTERS]++;
	}
	return NULL;
}

static void check_naps(void)
{
	uint64_t before = now();
	struct timespec ts = {0, NAP_NS};

	if (nanosleep(&ts, NULL) < 0)
		broken("nanosleep: %s", strerror(errno));
	if (now() - before < NAP_NS)
		broken("nanosleep ended too soon");
	before = now();
	if (poll(NULL, 0, 2) != 0)
		broken("poll: %s", strerror(errno));
	if (now() - before < NAP_NS)
		broken("poll ended too soon");
}

static void check_pipe(const int ends[2], uint64_t *random)
{
	unsigned char out[512], in[512];

	for (size_t i = 0; i < sizeof out; i++)
		out[i] = (unsigned char)next_random(random);
	if (write(ends[1], out, sizeof out) != sizeof out || read(ends[0], in, sizeof in) != sizeof in)
		broken("a pipe: %s", strerror(errno));
	if (memcmp(out, in, sizeof out))
		broken("a pipe has other bytes");
}

/* Has all signals blocked: nothing may interrupt its calls. */
static void *watch_descriptors(void *arg)
{
	int ends[2], count = eventfd(0, EFD_NONBLOCK);
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec every = {{0, 5000000}, {0, 5000000}};
	uint64_t value, got;

	if (pipe(ends) < 0 || count < 0 || timer < 0 || timerfd_settime(timer, 0, &every, NULL) < 0)
		broken("set-up: %s", strerror(errno));
	__atomic_store_n(&beat->counters[DESCRIPTORS], 1, __ATOMIC_SEQ_CST);
	for (;;) {
		check_pipe(ends, arg);
		value = next_random(arg) | 1;
		if (write(count, &value, sizeof value) != sizeof value)
			broken("an eventfd: %s", strerror(errno));
		if (read(count, &got, sizeof got) != sizeof got || got != value)
			broken("an eventfd: %s", strerror(errno));
		check_naps();
		if (read(timer, &value, sizeof value) != sizeof value || value == 0)
			broken("a timerfd: %s", strerror(errno));
		beat->counters[DESCRIPTORS]++;
	}
	return NULL;
}

static void count_alarm(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (info->si_code != SI_TIMER || info->si_value.sival_int != 42)
		broken("an alarm that is not the timer's (%d)", info->si_code);
	alarms++;
}

static void unexpected(int signal, siginfo_t *info, void *context)
{
	(void)context;
	broken("signal %d (code %d)", signal, info->si_code);
}

static void catch_signals(bool all)
{
	struct sigaction a = {.sa_sigaction = unexpected, .sa_flags = SA_SIGINFO};

	for (int s = 1; s < 65; s++)
		if (s != SIGKILL && s != SIGSTOP &&
		    (all || (s != SIGURG && s != SIGWINCH && s != SIGCONT)))
			sigaction(s, &a, NULL); /* two of them are the C library's */
	a.sa_sigaction = count_alarm;
	a.sa_flags |= SA_RESTART;
	sigaction(SIGALRM, &a, NULL);
}

static size_t count_entries(const char *folder)
{
	DIR *d = opendir(folder);
	size_t n = 0;

	if (!d)
		broken("%s: %s", folder, strerror(errno));
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static size_t count_mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	size_t n = 0;

	if (!f)
		broken("/proc/self/maps: %s", strerror(errno));
	for (int c; (c = getc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

struct self {
	size_t descriptors, threads, mappings;
	sigset_t mask;
};

static struct self look(void)
{
	struct self s = {
		.descriptors = count_entries("/proc/self/fd"),
		.threads = count_entries("/proc/self/task"),
		.mappings = count_mappings(),
	};

	pthread_sigmask(SIG_SETMASK, NULL, &s.mask);
	return s;
}

static void compare(const struct self *then)
{
	struct self s = look();

	if (s.descriptors != then->descriptors)
		broken("%zu descriptors instead of %zu", s.descriptors - 3, then->descriptors - 3);
	if (s.threads != then->threads)
		broken("%zu threads instead of %zu", s.threads - 2, then->threads - 2);
	if (memcmp(&s.mask, &then->mask, sizeof s.mask))
		broken("another signal mask");
	errno = 0;
	if (waitpid(-1, NULL, __WALL | WNOHANG) != (children ? 0 : -1) ||
	    (!children && errno != ECHILD))
		broken("a child that nobody made, or that ended");
	beat->mappings = s.mappings > then->mappings ? s.mappings - then->mappings : 0;
}

/* The sum over all words is known at any time. */
static void watch_memory(void)
{
	const struct timespec nap = {0, 1000000};
	uint64_t random = 3;
	struct self then = look();

	for (;;) {
		uint64_t real = 0;
		int before = alarms;

		for (int i = 0; i < 20000; i++) {
			size_t at = next_random(&random) % word_count;
			uint64_t value = next_random(&random);

			sum += value - words[at];
			words[at] = value;
		}
		for (size_t i = 0; i < word_count; i++)
			real += words[i];
		if (real != sum)
			broken("memory changed");
		compare(&then);
		/* Rounds and not time, which goes by while it is an image. */
		for (int i = 0; alarms == before; i++) {
			nanosleep(&nap, NULL);
			if (i == 20000)
				broken("the timer does not run any more");
		}
		beat->counters[MEMORY]++;
	}
}

static void start_timer(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM,
				 .sigev_value.sival_int = 42};
	struct itimerspec every = {{0, 3000000}, {0, 3000000}};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
	    timer_settime(timer, 0, &every, NULL) < 0)
		broken("set-up: %s", strerror(errno));
}

static void fill_memory(size_t size)
{
	uint64_t random = 4;

	word_count = size / sizeof *words;
	words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED)
		_exit(2);
	for (size_t i = 0; i < word_count; i++)
		sum += words[i] = next_random(&random);
}

static void map_beats(const char *path, int count)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	size_t size = (size_t)count * sizeof *beat;

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		_exit(2);
	beat = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (beat == MAP_FAILED)
		_exit(2);
}

static void make_children(void)
{
	for (int i = 1, all = children; i <= all; i++) {
		pid_t pid = fork();

		if (pid < 0)
			_exit(2);
		if (pid == 0) {
			beat += i;
			children = 0;
			return;
		}
	}
}

int main(int argc, char **argv)
{
	static uint64_t seeds[2] = {1, 2};
	pthread_t id;
	sigset_t all;

	if (argc < 2)
		return 2;
	children = argc > 3 ? atoi(argv[3]) : 0;
	fill_memory((argc > 2 ? (size_t)atol(argv[2]) : 512) << 10);
	map_beats(argv[1], children + 1);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	catch_signals(argc > 4);
	make_children();
	if (pthread_create(&id, NULL, watch_registers, &seeds[0]) ||
	    pthread_create(&id, NULL, watch_descriptors, &seeds[1]))
		return 2;
	/* All that it opens and maps is there before it is counted. */
	while (!__atomic_load_n(&beat->counters[DESCRIPTORS], __ATOMIC_SEQ_CST))
		sched_yield();
	pthread_sigmask(SIG_UNBLOCK, &all, NULL);
	start_timer();
	look();
	watch_memory();
}
