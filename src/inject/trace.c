#include "inject/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "base/str.h"
#include "base/tracee.h"

/* How often to look before sleeping. */
#define AWAKE_ROUNDS 200u

int trace_seize(pid_t tid, unsigned long options, struct error **err)
{
	if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)options) == 0)
		return 0;
	if (errno == ESRCH)
		return fail(err, ESRCH, "thread %d has ended", tid);
	return refuse(err, errno, "stasis doctor tells what forbids it",
		      "the kernel does not let us trace %d: %s", tid, strerror(errno));
}

int trace_interrupt(pid_t tid)
{
	return tracee_ask(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ? -errno : 0;
}

int trace_set_options(pid_t tid, unsigned long options)
{
	return tracee_ask(PTRACE_SETOPTIONS, tid, NULL, (void *)options) < 0 ? -errno : 0;
}

static struct stop stop_of(int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (!WIFSTOPPED(status))
		return (struct stop){.kind = STOP_GONE, .signal = status};
	if (event == PTRACE_EVENT_STOP)
		return (struct stop){.kind = signal == SIGTRAP ? STOP_INTERRUPT : STOP_GROUP,
				     .signal = signal};
	if (event)
		return (struct stop){.kind = STOP_EVENT, .event = event};
	if (signal == (SIGTRAP | 0x80))
		return (struct stop){.kind = STOP_SYSCALL};
	return (struct stop){.kind = STOP_SIGNAL, .signal = signal};
}

/*
 * Nearly all stop within microseconds: to sleep for them costs more than to look again.  Whoever
 * is on the same processor is let through.
 */
static pid_t wait_awake(pid_t tid, int *ret_status)
{
	pid_t pid = 0;

	for (unsigned int rounds = 0; rounds < AWAKE_ROUNDS && pid == 0; rounds++) {
		pid = tracee_wait(tid, ret_status, __WALL | WNOHANG);
		if (pid == 0)
			sched_yield();
	}
	return pid;
}

int trace_wait_near(pid_t tid, struct stop *ret)
{
	int status;

	while (tracee_wait(tid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	*ret = stop_of(status);
	return 0;
}

int trace_wait(pid_t tid, struct stop *ret)
{
	int status;
	pid_t pid = wait_awake(tid, &status);

	if (pid < 0 && errno != EINTR)
		return -errno;
	if (pid <= 0)
		return trace_wait_near(tid, ret);
	*ret = stop_of(status);
	return 0;
}

/* It has ended, or there is no such thread any more. */
static bool has_ended(pid_t tid)
{
	cleanup_free char *path = str_format("/proc/%d/stat", tid), *text = NULL;
	ssize_t n = path ? fd_slurp(AT_FDCWD, path, &text) : -ENOMEM;
	const char *end = n < 0 ? NULL : strrchr(text, ')');

	return !end || end[1] == '\0' || end[2] == 'Z' || end[2] == 'X';
}

int trace_wait_leader(pid_t tid, struct stop *ret)
{
	struct timespec nap = {.tv_nsec = 20000};

	for (;;) {
		siginfo_t info = {0};
		int status;
		pid_t pid = wait_awake(tid, &status);

		if (pid < 0 && errno != EINTR)
			return -errno;
		if (pid > 0) {
			*ret = stop_of(status);
			return 0;
		}
		/* Whatever happens to any of ours, which stays to be waited for. */
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL) < 0 ||
		    info.si_pid == tid)
			continue;
		if (has_ended(tid)) {
			*ret = (struct stop){.kind = STOP_GONE, .signal = SIGKILL};
			return 0;
		}
		/* Another's stop, or a child of the caller's that he has not waited for. */
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < 1000000)
			nap.tv_nsec *= 2;
	}
}

int trace_wait_for(pid_t tid, unsigned int milliseconds, struct stop *ret)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	unsigned int naps = 0;
	int status;

	for (;;) {
		pid_t pid = tracee_wait(tid, &status, __WALL | WNOHANG);

		if (pid < 0 && errno != EINTR)
			return -errno;
		if (pid > 0) {
			*ret = stop_of(status);
			return 0;
		}
		/* Nearly all stop within microseconds: the first rounds only give way. */
		if (naps >= 200 + milliseconds)
			return -ETIMEDOUT;
		if (naps++ < 200)
			sched_yield();
		else
			nanosleep(&nap, NULL);
	}
}

int trace_event_pid(pid_t tid, pid_t *ret)
{
	unsigned long message;

	if (tracee_ask(PTRACE_GETEVENTMSG, tid, NULL, &message) < 0)
		return -errno;
	*ret = (pid_t)message;
	return 0;
}

int trace_continue(pid_t tid, int signal)
{
	return tracee_ask(PTRACE_CONT, tid, NULL, (void *)(long)signal) < 0 ? -errno : 0;
}

int trace_continue_to_syscall(pid_t tid)
{
	return tracee_ask(PTRACE_SYSCALL, tid, NULL, NULL) < 0 ? -errno : 0;
}

int trace_detach(pid_t tid, int signal)
{
	return tracee_ask(PTRACE_DETACH, tid, NULL, (void *)(long)signal) < 0 ? -errno : 0;
}

int trace_get_sigmask(pid_t tid, uint64_t *ret)
{
	uint64_t mask;

	if (tracee_ask(PTRACE_GETSIGMASK, tid, (void *)sizeof mask, &mask) < 0)
		return -errno;
	*ret = mask;
	return 0;
}

int trace_set_sigmask(pid_t tid, uint64_t mask)
{
	return tracee_ask(PTRACE_SETSIGMASK, tid, (void *)sizeof mask, &mask) < 0 ? -errno : 0;
}

static int poke_words(pid_t tid, uint64_t address, const unsigned char *bytes, size_t size)
{
	while (size > 0) {
		size_t n = size < sizeof(long) ? size : sizeof(long);
		long word = 0;

		if (n < sizeof(long)) {
			errno = 0;
			word = ptrace(PTRACE_PEEKDATA, tid, (void *)(uintptr_t)address, NULL);
			if (errno)
				return -errno;
		}
		memcpy(&word, bytes, n);
		if (tracee_ask(PTRACE_POKEDATA, tid, (void *)(uintptr_t)address, (void *)word) < 0)
			return -errno;
		bytes += n;
		address += n;
		size -= n;
	}
	return 0;
}

int trace_poke(pid_t tid, int mem, uint64_t address, const void *bytes, size_t size)
{
	int r = fd_pwrite(mem, bytes, size, address);

	return r == 0 || r == -ESRCH ? r : poke_words(tid, address, bytes, size);
}
