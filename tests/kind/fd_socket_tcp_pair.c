/*
 * TCP connections of a program with itself: their addresses, what waits in either end, halves that
 * are shut down, ends that are closed, options, and the listening socket that they came from.
 */
#include "tcp.h"

/* Sets both ends up in one way each; the second half of main() knows which. */
struct all {
	int listener;
	struct connection quiet, both_ways, half, both_halves, gone, forgotten;
};

static void set_up(struct all *a, int family)
{
	a->listener = tcp_listen(family);
	a->quiet = tcp_pair(family, a->listener);
	tcp_set(a->quiet.client, IPPROTO_TCP, TCP_NODELAY, 1);
	tcp_set(a->quiet.server, SOL_SOCKET, SO_KEEPALIVE, 1);
	tcp_set(a->quiet.server, IPPROTO_TCP, TCP_KEEPIDLE, 123);
	CHECK(fcntl(a->quiet.server, F_SETFL, O_NONBLOCK) == 0);

	a->both_ways = tcp_pair(family, a->listener);
	tcp_write(a->both_ways.client, "to the server");
	tcp_write(a->both_ways.server, "to the client");

	a->half = tcp_pair(family, a->listener);
	tcp_write(a->half.client, "the last words");
	CHECK(shutdown(a->half.client, SHUT_WR) == 0);

	a->both_halves = tcp_pair(family, a->listener);
	tcp_write(a->both_halves.client, "bye");
	CHECK(shutdown(a->both_halves.client, SHUT_WR) == 0);
	CHECK(shutdown(a->both_halves.server, SHUT_WR) == 0);

	a->gone = tcp_pair(family, a->listener);
	tcp_write(a->gone.server, "and off");
	close(a->gone.server);
	a->gone.server = -1;
	tcp_names(&a->gone, a->gone.names);

	a->forgotten = tcp_pair(family, a->listener);
	tcp_write(a->forgotten.client, "never read");
	close(a->forgotten.server); /* which resets the other end */
	a->forgotten.server = -1;
}

static void look(struct all *a, int family)
{
	struct connection fresh;
	char byte;

	tcp_same_names(&a->quiet);
	tcp_same_names(&a->both_ways);
	tcp_same_names(&a->half);
	tcp_same_names(&a->gone);

	CHECK_EQ(tcp_number(a->quiet.client, IPPROTO_TCP, TCP_NODELAY), 1);
	CHECK_EQ(tcp_number(a->quiet.server, IPPROTO_TCP, TCP_NODELAY), 0);
	CHECK_EQ(tcp_number(a->quiet.server, SOL_SOCKET, SO_KEEPALIVE), 1);
	CHECK_EQ(tcp_number(a->quiet.client, SOL_SOCKET, SO_KEEPALIVE), 0);
	CHECK_EQ(tcp_number(a->quiet.server, IPPROTO_TCP, TCP_KEEPIDLE), 123);
	CHECK_EQ(tcp_number(a->quiet.server, SOL_SOCKET, SO_REUSEADDR), 0);
	CHECK_EQ(tcp_number(a->quiet.client, SOL_SOCKET, SO_REUSEADDR), 0);
	CHECK_EQ(tcp_number(a->listener, SOL_SOCKET, SO_REUSEADDR), 0);
	CHECK_EQ(fcntl(a->quiet.server, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(fcntl(a->quiet.client, F_GETFL), O_RDWR);
	CHECK(recv(a->quiet.server, &byte, 1, 0) == -1 && errno == EAGAIN);
	CHECK(recv(a->quiet.client, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	tcp_write(a->quiet.client, "hello");
	tcp_expect(a->quiet.server, "hello");

	tcp_expect(a->both_ways.server, "to the server");
	tcp_expect(a->both_ways.client, "to the client");
	tcp_write(a->both_ways.server, "again");
	tcp_expect(a->both_ways.client, "again");

	tcp_expect(a->half.server, "the last words");
	tcp_expect_end(a->half.server);
	CHECK(send(a->half.client, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	tcp_write(a->half.server, "answer");
	tcp_expect(a->half.client, "answer");

	tcp_expect(a->both_halves.server, "bye");
	tcp_expect_end(a->both_halves.client);
	tcp_expect_end(a->both_halves.server);
	CHECK(send(a->both_halves.server, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);

	tcp_expect(a->gone.client, "and off");
	tcp_expect_end(a->gone.client);

	CHECK(recv(a->forgotten.client, &byte, 1, 0) == -1 && errno == ECONNRESET);
	CHECK(send(a->forgotten.client, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);

	fresh = tcp_pair(family, a->listener);
	tcp_write(fresh.server, "new");
	tcp_expect(fresh.client, "new");
}

int main(void)
{
	int six = tcp_listen_six();
	struct all four_all, six_all;

	close(six);
	set_up(&four_all, AF_INET);
	if (six >= 0)
		set_up(&six_all, AF_INET6);

	test_ready();

	look(&four_all, AF_INET);
	if (six >= 0)
		look(&six_all, AF_INET6);
	test_passed();
}
