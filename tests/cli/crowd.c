/*
 * A program that has many of one thing, for calls.py.
 *
 *	crowd THING COUNT
 *
 * Writes a line when it is ready, and then does nothing.  Its children end with it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *sleep_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void make_threads(size_t count)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64u << 10);
	for (size_t i = 0; i < count; i++)
		if (pthread_create(&thread, &attr, sleep_for_ever, NULL))
			die("pthread_create");
}

static void make_processes(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			sleep_for_ever(NULL);
		}
	}
}

/* Neighbours differ in their protection, or the kernel would make one mapping of them. */
static void make_mappings(size_t count)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, count * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	memset(p, 7, count * page);
	for (size_t i = 0; i < count; i += 2)
		if (mprotect(p + i * page, page, PROT_READ) < 0)
			die("mprotect");
}

static void make_descriptors(const char *thing, size_t count)
{
	struct rlimit limit;
	int ends[2];

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(thing, "files") && open("/proc/self/exe", O_RDONLY) < 0)
			die("open");
		if (!strcmp(thing, "events") && eventfd(0, 0) < 0)
			die("eventfd");
		if (!strcmp(thing, "pipes") && i % 2 == 0 && pipe(ends) < 0)
			die("pipe");
	}
}

int main(int argc, char **argv)
{
	const char *thing = argc == 3 ? argv[1] : "";
	size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

	if (!strcmp(thing, "threads"))
		make_threads(count);
	else if (!strcmp(thing, "processes"))
		make_processes(count);
	else if (!strcmp(thing, "mappings"))
		make_mappings(count);
	else
		make_descriptors(thing, count);
	puts("ready");
	fflush(stdout);
	sleep_for_ever(NULL);
}
