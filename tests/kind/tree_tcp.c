/*
 * A server with workers that share its listening socket, and clients, all of one tree: connections
 * between members go on, with the answers that are on their way; and new ones are accepted.
 */
#include "tcp.h"

#define CLIENTS 4

/* Serves whoever comes, one after the other. */
static void worker(int listener)
{
	char buf[256];
	ssize_t n;

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		CHECK(fd >= 0);
		while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
			CHECK_EQ(send(fd, buf, (size_t)n, MSG_NOSIGNAL), n);
		close(fd);
	}
}

/* One conversation before, one across, and one after. */
static void client(int family, int listener, int said)
{
	int fd = tcp_connect(family, listener);

	tcp_write(fd, "before");
	tcp_expect(fd, "before");
	tcp_write(fd, "across");
	CHECK(write(said, "x", 1) == 1);
	while (access("go", F_OK) < 0)
		test_nap(2);
	tcp_expect(fd, "across");
	tcp_write(fd, "after");
	tcp_expect(fd, "after");
	close(fd);
	fd = tcp_connect(family, listener);
	tcp_write(fd, "new");
	tcp_expect(fd, "new");
	_exit(0);
}

static pid_t start(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		alarm(120);
	return pid;
}

int main(void)
{
	int listeners[2] = {tcp_listen(AF_INET), tcp_listen_six()}, said[2], status;
	pid_t workers[CLIENTS + 2], clients[CLIENTS];
	size_t count = 0;
	char byte;

	if (listeners[1] < 0)
		listeners[1] = tcp_listen(AF_INET);
	CHECK(pipe(said) == 0);
	/* One more than there are clients waits in accept(2). */
	for (int i = 0; i < CLIENTS + 2; i++) {
		workers[count] = start();
		if (workers[count++] == 0)
			worker(listeners[i % 2]);
	}
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = start();
		if (clients[i] == 0)
			client(tcp_family(listeners[i % 2]), listeners[i % 2], said[1]);
		CHECK(read(said[0], &byte, 1) == 1);
	}
	test_nap(20);

	test_ready();

	for (int i = 0; i < CLIENTS; i++)
		CHECK(waitpid(clients[i], &status, 0) == clients[i] && status == 0);
	for (size_t i = 0; i < count; i++) {
		CHECK(waitpid(workers[i], &status, WNOHANG) == 0);
		CHECK(kill(workers[i], SIGKILL) == 0);
		CHECK(waitpid(workers[i], &status, 0) == workers[i]);
	}
	test_passed();
}
