/*
 * Shows: a relative timeout, most of which has passed when the checkpoint comes, does not
 * begin again with the restore, and none ends early or with EINTR.
 */
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>

#include "waiting.h"

#define WHOLE_SECONDS 6
#define READY_SECONDS 4

/* From the restore on: clearly less than the whole time, clearly more than the rest of it. */
#define LATEST_SECONDS 4.5

static const struct timespec whole = {.tv_sec = WHOLE_SECONDS};

static long sleep_only(struct waiter *waiter)
{
	(void)waiter;
	return nanosleep(&whole, NULL);
}

static long sleep_with_rest(struct waiter *waiter)
{
	struct timespec rest;

	(void)waiter;
	return nanosleep(&whole, &rest);
}

static long sleep_in_place(struct waiter *waiter)
{
	struct timespec both = whole;

	(void)waiter;
	return nanosleep(&both, &both);
}

static long sleep_by_clock(struct waiter *waiter)
{
	(void)waiter;
	return clock_nanosleep(CLOCK_BOOTTIME, 0, &whole, NULL);
}

static long in_poll(struct waiter *waiter)
{
	struct pollfd want = {.fd = waiter->fd, .events = POLLIN};

	return poll(&want, 1, WHOLE_SECONDS * 1000);
}

/* Ended by an event, which is there at once after the restore, and not by its timeout. */
static long in_woken_poll(struct waiter *waiter)
{
	struct pollfd want = {.fd = waiter->fd, .events = POLLIN};
	int result = poll(&want, 1, 600 * 1000);

	CHECK_EQ(want.revents, POLLIN);
	return result;
}

static long in_futex(struct waiter *waiter)
{
	static int word = 42;

	(void)waiter;
	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 42, &whole, NULL, 0);
}

static long in_woken_futex(struct waiter *waiter)
{
	return syscall(SYS_futex, waiter->arg, FUTEX_WAIT_PRIVATE, 0,
		       &(struct timespec){.tv_sec = 600}, NULL, 0);
}

static void check_in_time(struct waiter *waiter, double restored, bool known)
{
	double ended;

	waiter_result(waiter);
	ended = now_seconds();
	CHECK(waiter->lasted > WHOLE_SECONDS - 0.001);
	if (known && ended - restored >= LATEST_SECONDS) {
		fprintf(stderr, "lasted %.3f s, of which %.3f s after the restore\n", waiter->lasted,
			ended - restored);
		CHECK(ended - restored < LATEST_SECONDS);
	}
}

int main(void)
{
	int never[2], ends[2], word = 0;

	CHECK(pipe(never) == 0 && pipe(ends) == 0);
	struct waiter rests[] = {{.call = sleep_with_rest}, {.call = sleep_in_place}};
	struct waiter others[] = {
		{.call = sleep_only},
		{.call = sleep_by_clock},
		{.call = in_poll, .fd = never[0]},
	};
	struct waiter futex = {.call = in_futex}, woken_futex = {.call = in_woken_futex, .arg = &word};
	struct waiter woken_poll = {.call = in_woken_poll, .fd = ends[0]};
	/* Only a kernel with this file tells how long the others have waited. */
	bool known = access("/proc/self/sched", F_OK) == 0;

	for (int i = 0; i < 2; i++)
		waiter_start(&rests[i]);
	for (int i = 0; i < 3; i++)
		waiter_start(&others[i]);
	waiter_start(&futex);
	waiter_start(&woken_futex);
	waiter_start(&woken_poll);
	test_nap(READY_SECONDS * 1000);

	test_ready();

	double restored = now_seconds();

	CHECK(!waiter_ended(&woken_poll) && !waiter_ended(&woken_futex));
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK_EQ(waiter_result(&woken_poll), 1);
	word = 1;
	CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	CHECK_EQ(waiter_result(&woken_futex), 0);
	for (int i = 0; i < 2; i++)
		check_in_time(&rests[i], restored, true);
	for (int i = 0; i < 3; i++)
		check_in_time(&others[i], restored, known);
	check_in_time(&futex, restored, known);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(rests[i].result, 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(others[i].result, 0);
	CHECK(futex.result == -1 && futex.error == ETIMEDOUT);
	test_passed();
}
