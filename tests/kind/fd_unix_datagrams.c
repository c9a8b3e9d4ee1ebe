/* Datagrams that wait in sockets with names: of senders that are there, are gone, have no name. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

struct name {
	struct sockaddr_un address;
	socklen_t len;
};

static struct name named(const char *text, bool abstract)
{
	struct name n = {.address.sun_family = AF_UNIX};
	int at = abstract ? 1 : 0;
	int len = snprintf(n.address.sun_path + at, 100, "%s%s", abstract ? test_name() : "", text);

	n.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)(len + 1));
	return n;
}

static int bound(const struct name *n)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	CHECK(fd >= 0 && (!n || bind(fd, (const struct sockaddr *)&n->address, n->len) == 0));
	return fd;
}

static void post(int fd, const struct name *to, const char *text)
{
	CHECK_EQ(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&to->address, to->len),
		 strlen(text));
}

static void get(int fd, const char *text, const struct name *from)
{
	struct sockaddr_un sender = {0};
	socklen_t len = sizeof(sender);
	char got[32] = "";

	CHECK_EQ(recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&sender, &len), strlen(text));
	CHECK(!memcmp(got, text, strlen(text)));
	CHECK(from ? len == from->len && !memcmp(&sender, &from->address, len) : len == 0);
}

int main(void)
{
	struct name server = named("-server", true), abstract = named("-client", true);
	struct name file = named("file", false), gone = named("gone", false);
	struct name left = named("-left", true), lost = named("lost", false);
	int receiver = bound(&server), client = bound(&abstract), by_path = bound(&file), temp;
	int unlinked = bound(&lost), both[2], none = bound(NULL);

	/* Connected to a socket whose name is gone; both to each other, with names. */
	CHECK(connect(by_path, (struct sockaddr *)&lost.address, lost.len) == 0 && unlink("lost") == 0);
	CHECK_EQ(send(by_path, "nameless", 8, 0), 8);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, both) == 0);
	CHECK(bind(both[0], (struct sockaddr *)&left.address, left.len) == 0);
	CHECK(send(both[0], "a", 1, 0) == 1 && send(both[1], "bc", 2, 0) == 2);
	post(client, &server, "first");
	post(temp = bound(&gone), &server, "second");
	CHECK(close(temp) == 0 && unlink("gone") == 0);
	post(none, &server, "");
	post(by_path, &server, "fourth");
	/* From now on only one may send to it, what was there stays. */
	CHECK(connect(receiver, (struct sockaddr *)&abstract.address, abstract.len) == 0);
	post(client, &server, "fifth");

	test_ready();

	get(receiver, "first", &abstract);
	get(receiver, "second", &gone);
	get(receiver, "", NULL);
	get(receiver, "fourth", &file);
	get(receiver, "fifth", &abstract);
	get(unlinked, "nameless", &file);
	CHECK(send(by_path, "still", 5, 0) == 5);
	get(unlinked, "still", &file);
	get(both[1], "a", &left);
	get(both[0], "bc", NULL);
	CHECK(send(receiver, "answer", 6, 0) == 6);
	get(client, "answer", &server);
	CHECK(sendto(none, "x", 1, 0, (struct sockaddr *)&server.address, server.len) == -1);
	CHECK_EQ(errno, EPERM);
	CHECK(access("gone", F_OK) == -1 && access("lost", F_OK) == -1);
	test_passed();
}
