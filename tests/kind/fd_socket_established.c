/* RESTORE: --tcp-close */
/* MODES: move */
/*
 * TCP connections with a process outside, over IPv4 and IPv6: with --tcp-close they come back ended,
 * behind what was not read yet.  The listening socket of the program has a client that waits.
 */
#include "tcp.h"

/* Not our child any more, so that it is no member of the tree; ends when the test goes on. */
static void start_outsider(const int *listeners, int count)
{
	int clients[2];
	pid_t pid = fork();

	if (pid > 0) {
		CHECK_EQ(waitpid(pid, NULL, 0), pid);
		return;
	}
	setsid(); /* else the number of the session stays taken */
	if (fork() > 0)
		_exit(0);
	for (int i = 0; i < count; i++) {
		clients[i] = tcp_connect(i ? AF_INET6 : AF_INET, listeners[i]);
		tcp_write(clients[i], "unread");
		tcp_connect(i ? AF_INET6 : AF_INET, listeners[i]);
		close(listeners[i]);
	}
	for (int i = 0; i < 6000 && access("go", F_OK) < 0; i++)
		test_nap(10);
	_exit(0);
}

int main(void)
{
	int listeners[2] = {tcp_listen(AF_INET), tcp_listen_six()}, served[2];
	int count = listeners[1] < 0 ? 1 : 2;
	struct pollfd p = {.events = POLLIN};
	char byte;

	start_outsider(listeners, count);
	for (int i = 0; i < count; i++) {
		served[i] = accept(listeners[i], NULL, NULL);
		p.fd = served[i];
		CHECK(served[i] >= 0 && poll(&p, 1, 5000) == 1);
		p.fd = listeners[i]; /* the second one */
		CHECK(poll(&p, 1, 5000) == 1);
		CHECK(fcntl(served[i], F_SETFL, O_NONBLOCK) == 0);
	}

	test_ready();

	for (int i = 0; i < count; i++) {
		tcp_expect(served[i], "unread");
		tcp_expect_end(served[i]);
		CHECK_EQ(fcntl(served[i], F_GETFL), O_RDWR | O_NONBLOCK);
		if (send(served[i], "x", 1, MSG_NOSIGNAL) == 1)
			test_nap(20);
		CHECK(send(served[i], "x", 1, MSG_NOSIGNAL) == -1);
		CHECK(errno == EPIPE || errno == ECONNRESET);
		CHECK(fcntl(listeners[i], F_SETFL, O_NONBLOCK) == 0);
		CHECK(accept(listeners[i], NULL, NULL) == -1 && errno == EAGAIN);
		CHECK(fcntl(listeners[i], F_SETFL, 0) == 0);
		CHECK(read(listeners[i], &byte, 1) == -1);
		tcp_pair(i ? AF_INET6 : AF_INET, listeners[i]);
	}
	test_passed();
}
