/* Connections between sockets with names: abstract, paths (also removed), chosen by the kernel. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "check.h"

struct name {
	struct sockaddr_un address;
	socklen_t len;
};

static struct name abstract(const char *suffix)
{
	struct name n = {.address.sun_family = AF_UNIX};
	int len = snprintf(n.address.sun_path + 1, 100, "%s%s", test_name(), suffix);

	n.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	return n;
}

static struct name path(const char *text)
{
	struct name n = {.address.sun_family = AF_UNIX};

	strcpy(n.address.sun_path, text);
	n.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(text) + 1);
	return n;
}

static int bound(int type, const struct name *n)
{
	int fd = socket(AF_UNIX, type, 0);

	CHECK(fd >= 0 && (!n || bind(fd, (const struct sockaddr *)&n->address, n->len) == 0));
	return fd;
}

static void connected(int fd, const struct name *to)
{
	CHECK(connect(fd, (const struct sockaddr *)&to->address, to->len) == 0);
}

struct names {
	struct sockaddr_un own, peer;
	socklen_t own_len, peer_len;
};

static struct names names_of(int fd)
{
	struct names n = {.own_len = sizeof(n.own), .peer_len = sizeof(n.peer)};

	CHECK(getsockname(fd, (struct sockaddr *)&n.own, &n.own_len) == 0);
	if (getpeername(fd, (struct sockaddr *)&n.peer, &n.peer_len) < 0)
		n.peer_len = 0;
	return n;
}

#define LINKS 6

static int servers[LINKS], clients[LINKS], listeners[LINKS];
static struct name server_names[LINKS];

static void link_up(int i, int type, struct name server, const struct name *client)
{
	int on = 1;

	server_names[i] = server;
	listeners[i] = bound(type, &server);
	CHECK(listen(listeners[i], 5) == 0);
	clients[i] = bound(type, client);
	/* With it and without a name, connect(2) chooses one. */
	if (i == 4)
		CHECK(setsockopt(clients[i], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
	connected(clients[i], &server);
	servers[i] = accept(listeners[i], NULL, NULL);
	CHECK(servers[i] >= 0 && send(servers[i], "greeting", 8, 0) == 8);
}

static void try_link(int i, const struct names *before)
{
	struct names now[2] = {names_of(servers[i]), names_of(clients[i])};
	char text[16];

	CHECK(!memcmp(now, before, sizeof(now)));
	CHECK(recv(clients[i], text, sizeof(text), 0) == 8 && !memcmp(text, "greeting", 8));
	CHECK(send(clients[i], "to", 2, 0) == 2 && recv(servers[i], text, sizeof(text), 0) == 2);
	CHECK(send(servers[i], "fro", 3, 0) == 3 && recv(clients[i], text, sizeof(text), 0) == 3);
}

static void try_listener(int i, int type)
{
	int client = bound(type, NULL);

	connected(client, &server_names[i]);
	CHECK(accept(listeners[i], NULL, NULL) >= 0);
	close(client);
}

int main(void)
{
	struct name client = abstract("-client"), file = path("client");
	struct names before[LINKS][2], widowed;
	struct stat st;
	char text[8];
	int widow, second;

	link_up(0, SOCK_STREAM, abstract("-0"), NULL);
	link_up(1, SOCK_STREAM, abstract("-1"), &client);
	link_up(2, SOCK_SEQPACKET, path("relative"), &file);
	link_up(3, SOCK_STREAM, path("./gone"), NULL);
	link_up(4, SOCK_STREAM, abstract("-4"), NULL);
	link_up(5, SOCK_STREAM, path("ended"), NULL);
	/* Two that were accepted at one socket; a listener that has ended; a file that was removed. */
	second = bound(SOCK_STREAM, NULL);
	connected(second, &server_names[0]);
	CHECK((widow = accept(listeners[0], NULL, NULL)) >= 0 && send(second, "will", 4, 0) == 4);
	CHECK(close(second) == 0 && unlink("gone") == 0 && close(listeners[5]) == 0);
	CHECK(chmod("relative", 0640) == 0);
	for (int i = 0; i < LINKS; i++) {
		before[i][0] = names_of(servers[i]);
		before[i][1] = names_of(clients[i]);
	}
	CHECK(before[4][1].own_len > 2);
	widowed = names_of(widow);

	test_ready();

	for (int i = 0; i < LINKS; i++)
		try_link(i, before[i]);
	CHECK(names_of(widow).own_len == widowed.own_len);
	CHECK(recv(widow, text, sizeof(text), 0) == 4 && recv(widow, text, sizeof(text), 0) == 0);
	try_listener(0, SOCK_STREAM);
	try_listener(1, SOCK_STREAM);
	try_listener(2, SOCK_SEQPACKET);
	try_listener(4, SOCK_STREAM);
	CHECK(stat("relative", &st) == 0 && (st.st_mode & 0777) == 0640);
	CHECK(access("gone", F_OK) == -1 && stat("ended", &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK(stat("client", &st) == 0 && S_ISSOCK(st.st_mode));
	test_passed();
}
