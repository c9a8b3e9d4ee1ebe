/* Unix sockets that were shut down, in each way, with something in them: stream, packets, datagrams. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
static const int ways[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};

#define TYPES 3
#define WAYS 3

static int pairs[TYPES][WAYS][2];

/* What the kernel does then differs by type and version: it is asked before, of a pair that is alike. */
static int behaviour(const int pair[2], char *ret)
{
	int n = 0;
	char text[8];

	for (int end = 0; end < 2; end++) {
		ret[n++] = (char)('0' + recv(pair[end], text, sizeof(text), MSG_DONTWAIT));
		ret[n++] = (char)('0' + recv(pair[end], text, sizeof(text), MSG_DONTWAIT));
		ret[n++] = (char)('0' + send(pair[end], "new", 3, MSG_DONTWAIT | MSG_NOSIGNAL));
	}
	ret[n++] = (char)('0' + recv(pair[0], text, sizeof(text), MSG_DONTWAIT));
	ret[n] = '\0';
	return n;
}

static void make(int type, int way, int pair[2])
{
	CHECK(socketpair(AF_UNIX, type, 0, pair) == 0);
	CHECK(send(pair[0], "there", 5, 0) == 5 && send(pair[1], "back", 4, 0) == 4);
	CHECK(shutdown(pair[0], way) == 0);
}

int main(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				    (size_t)sprintf(name.sun_path + 1, "%s", test_name()));
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	char expected[TYPES][WAYS][16], text[16];
	int server, like[2];

	for (int t = 0; t < TYPES; t++)
		for (int w = 0; w < WAYS; w++) {
			make(types[t], ways[w], like);
			behaviour(like, expected[t][w]);
			CHECK(close(like[0]) == 0 && close(like[1]) == 0);
			make(types[t], ways[w], pairs[t][w]);
		}
	CHECK(bind(listener, (struct sockaddr *)&name, len) == 0 && listen(listener, 1) == 0);
	CHECK(connect(client, (struct sockaddr *)&name, len) == 0);
	CHECK((server = accept(listener, NULL, NULL)) >= 0 && send(client, "ask", 3, 0) == 3);
	CHECK(shutdown(client, SHUT_WR) == 0);

	test_ready();

	for (int t = 0; t < TYPES; t++)
		for (int w = 0; w < WAYS; w++) {
			behaviour(pairs[t][w], text);
			if (strcmp(text, expected[t][w]) != 0)
				printf("type %d, way %d: %s, not %s\n", types[t], ways[w], text,
				       expected[t][w]);
			fflush(stdout);
			CHECK(!strcmp(text, expected[t][w]));
		}
	CHECK(recv(server, text, sizeof(text), 0) == 3 && recv(server, text, sizeof(text), 0) == 0);
	CHECK(send(server, "answer", 6, 0) == 6 && recv(client, text, sizeof(text), 0) == 6);
	test_passed();
}
