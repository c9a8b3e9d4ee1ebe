/* Leases on files: both kinds are still held; only a real break is told of. */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"

static volatile sig_atomic_t breaks;

static void on_break(int sig)
{
	(void)sig;
	breaks++;
}

/* Whether another process gets at the file at once. */
static int opens(const char *path, int flags)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0)
		_exit(open(path, flags | O_NONBLOCK) >= 0 ? 0 : errno == EWOULDBLOCK ? 1 : 2);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	return WEXITSTATUS(status) == 0;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_break, .sa_flags = SA_RESTART};
	int written = open("written", O_CREAT | O_RDWR, 0600), read;

	CHECK(written >= 0 && close(open("read", O_CREAT | O_WRONLY, 0600)) == 0);
	read = open("read", O_RDONLY);
	CHECK(sigaction(SIGIO, &sa, NULL) == 0 && sigaction(SIGUSR1, &sa, NULL) == 0);
	CHECK(fcntl(written, F_SETLEASE, F_WRLCK) == 0);
	CHECK(fcntl(read, F_SETSIG, SIGUSR1) == 0);
	CHECK(fcntl(read, F_SETLEASE, F_RDLCK) == 0);

	test_ready();

	CHECK_EQ(breaks, 0);
	CHECK_EQ(fcntl(written, F_GETLEASE), F_WRLCK);
	CHECK_EQ(fcntl(read, F_GETLEASE), F_RDLCK);
	CHECK_EQ(fcntl(read, F_GETSIG), SIGUSR1);
	CHECK(opens("read", O_RDONLY));
	CHECK_EQ(breaks, 0);
	CHECK(!opens("read", O_WRONLY));
	CHECK_EQ(breaks, 1);
	CHECK(!opens("written", O_RDONLY));
	CHECK_EQ(breaks, 2);
	test_passed();
}
