/* EXPECT-REFUSAL: socket */
/* A descriptor that is on its way through a socket: it is in no table, and must not get lost. */
#include <sys/socket.h>

#include "check.h"

static struct msghdr *message(struct iovec *iov, void *control, size_t len)
{
	static struct msghdr m;

	m = (struct msghdr){.msg_iov = iov, .msg_iovlen = 1, .msg_control = control};
	m.msg_controllen = len;
	return &m;
}

int main(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct cmsghdr *head = (struct cmsghdr *)control;
	struct iovec iov = {"x", 1};
	char text[8] = "", byte;
	int pair[2], fd = open("file", O_CREAT | O_RDWR, 0600);

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && fd >= 0);
	CHECK(write(fd, "passed", 6) == 6);
	*head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(pair[0], message(&iov, control, sizeof(control)), 0), 1);
	CHECK(close(fd) == 0);

	test_ready();

	iov = (struct iovec){&byte, 1};
	CHECK_EQ(recvmsg(pair[1], message(&iov, control, sizeof(control)), 0), 1);
	CHECK_EQ(head->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	CHECK(pread(fd, text, 6, 0) == 6 && strcmp(text, "passed") == 0);
	test_passed();
}
