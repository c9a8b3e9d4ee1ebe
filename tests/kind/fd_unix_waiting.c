/* Connections that nobody has accepted yet, in the order in which they came. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

#define COUNT 5

static void come(const struct sockaddr_un *name, socklen_t len, int type, int listener,
		 int *clients)
{
	CHECK(bind(listener, (const struct sockaddr *)name, len) == 0 && listen(listener, COUNT) == 0);
	for (int i = 0; i < COUNT; i++) {
		clients[i] = socket(AF_UNIX, type, 0);
		CHECK(connect(clients[i], (const struct sockaddr *)name, len) == 0);
	}
	/* This one will not say anything. */
	CHECK(shutdown(clients[COUNT - 1], SHUT_WR) == 0);
}

static void meet(const struct sockaddr_un *name, socklen_t len, int type, int listener,
		 int *clients)
{
	char text[8];
	int more;

	for (int i = 0; i < COUNT; i++) {
		int server = accept(listener, NULL, NULL);

		CHECK(server >= 0);
		if (i < COUNT - 1)
			CHECK(send(clients[i], "hi", 2, 0) == 2 && recv(server, text, 8, 0) == 2);
		else
			CHECK_EQ(recv(server, text, sizeof(text), 0), 0);
		CHECK(send(server, "you", 3, 0) == 3 && recv(clients[i], text, 8, 0) == 3);
	}
	CHECK(fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
	CHECK(accept(listener, NULL, NULL) == -1 && errno == EAGAIN);
	more = socket(AF_UNIX, type, 0);
	CHECK(connect(more, (const struct sockaddr *)name, len) == 0 && accept(listener, NULL, NULL) >= 0);
}

int main(void)
{
	struct sockaddr_un abstract = {.sun_family = AF_UNIX}, path = {.sun_family = AF_UNIX};
	socklen_t at = offsetof(struct sockaddr_un, sun_path), len;
	/* One has a client before it, one behind. */
	int early = socket(AF_UNIX, SOCK_STREAM, 0), listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int streams[COUNT], packets[COUNT];

	strcpy(abstract.sun_path + 1, test_name());
	len = (socklen_t)(at + 1 + strlen(test_name()));
	strcpy(path.sun_path, "path");
	come(&abstract, len, SOCK_STREAM, early, streams);
	come(&path, (socklen_t)(at + sizeof("path")), SOCK_SEQPACKET, listener, packets);

	test_ready();

	meet(&abstract, len, SOCK_STREAM, early, streams);
	meet(&path, (socklen_t)(at + sizeof("path")), SOCK_SEQPACKET, listener, packets);
	test_passed();
}
