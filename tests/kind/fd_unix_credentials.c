/* Who has sent what waits: the receiver of a pair is told. */
#include <sys/socket.h>

#include "check.h"

static void passes(int fd)
{
	int on = 1;

	CHECK(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
}

static void get(int fd, const char *text)
{
	_Alignas(struct cmsghdr) char control[64];
	struct cmsghdr *head = (struct cmsghdr *)control;
	char got[32];
	struct iovec iov = {got, strlen(text)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct ucred who;

	m.msg_controllen = sizeof(control);
	CHECK_EQ(recvmsg(fd, &m, 0), strlen(text));
	CHECK(!memcmp(got, text, strlen(text)) && head->cmsg_type == SCM_CREDENTIALS);
	memcpy(&who, CMSG_DATA(head), sizeof(who));
	CHECK_EQ(who.pid, getpid());
	CHECK_EQ(who.uid, getuid());
	CHECK_EQ(who.gid, getgid());
}

int main(void)
{
	int stream[2], datagrams[2];
	char text[8];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams) == 0);
	passes(stream[0]);
	passes(datagrams[1]);
	CHECK(send(stream[1], "bytes", 5, 0) == 5 && send(stream[0], "untold", 6, 0) == 6);
	CHECK(send(datagrams[0], "one", 3, 0) == 3 && send(datagrams[0], "two", 3, 0) == 3);

	test_ready();

	get(stream[0], "bytes");
	CHECK_EQ(recv(stream[1], text, sizeof(text), 0), 6);
	get(datagrams[1], "one");
	get(datagrams[1], "two");
	CHECK(send(stream[1], "again", 5, 0) == 5);
	get(stream[0], "again");
	test_passed();
}
