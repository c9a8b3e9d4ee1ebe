/*
 * Shows: calls that were interrupted once before (here by SIGSTOP and SIGCONT) and that the kernel
 * has made restart_syscall(2) of are still what they were.
 */
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "waiting.h"

static long in_poll(struct waiter *waiter)
{
	struct pollfd p = {.fd = waiter->fd, .events = POLLIN};

	return poll(&p, 1, -1);
}

static long in_poll_timeout(struct waiter *waiter)
{
	struct pollfd p = {.fd = waiter->fd, .events = POLLIN};

	return poll(&p, 1, SLEEP_SECONDS * 1000);
}

static long in_nanosleep(struct waiter *waiter)
{
	(void)waiter;
	return nanosleep(&(struct timespec){.tv_sec = SLEEP_SECONDS}, NULL);
}

static long in_sem(struct waiter *waiter)
{
	struct timespec until = in_seconds(CLOCK_REALTIME, 1000);

	return sem_timedwait(waiter->arg, &until);
}

/* Stops this process and continues it. */
static void stop_for_a_moment(void)
{
	pid_t me = getpid(), child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		char path[64], line[512] = "";

		snprintf(path, sizeof path, "/proc/%d/stat", me);
		CHECK(kill(me, SIGSTOP) == 0);
		for (int tries = 0; tries < 5000 && strrchr(line, ')') == NULL; tries++) {
			int fd = open(path, O_RDONLY);

			CHECK(fd >= 0 && read(fd, line, sizeof line - 1) > 0);
			close(fd);
			if (strncmp(strrchr(line, ')'), ") T", 3) != 0)
				memset(line, 0, sizeof line);
			test_nap(2);
		}
		kill(me, SIGCONT);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void check_restarted(const struct waiter *waiter)
{
	char path[64], line[256] = "";
	int fd;

	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", waiter->tid);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, line, sizeof line - 1) > 0);
	close(fd);
	CHECK_EQ(atol(line), SYS_restart_syscall);
}

int main(void)
{
	int ends[2], never[2];
	sem_t sem;
	struct waiter poller = {.call = in_poll}, timed = {.call = in_poll_timeout};
	struct waiter sleeper = {.call = in_nanosleep}, locked = {.call = in_sem, .arg = &sem};
	struct waiter *all[] = {&poller, &timed, &sleeper, &locked};

	CHECK(pipe(ends) == 0 && pipe(never) == 0 && sem_init(&sem, 0, 0) == 0);
	poller.fd = ends[0];
	timed.fd = never[0];
	for (int i = 0; i < 4; i++)
		waiter_start(all[i]);
	stop_for_a_moment();
	for (int i = 0; i < 4; i++) {
		await_asleep(all[i]->tid);
		check_restarted(all[i]);
	}

	test_ready();

	CHECK(!waiter_ended(&poller) && !waiter_ended(&locked));
	CHECK_TIMED_OUT(&timed, 0);
	CHECK_TIMED_OUT(&sleeper, 0);
	CHECK(!waiter_ended(&poller) && !waiter_ended(&locked));
	CHECK(write(ends[1], "x", 1) == 1 && sem_post(&sem) == 0);
	CHECK_EQ(waiter_result(&poller), 1);
	CHECK_EQ(waiter_result(&locked), 0);
	test_passed();
}
