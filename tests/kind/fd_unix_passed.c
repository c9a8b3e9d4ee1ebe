/* Descriptors on their way through Unix sockets, in no table: files, pipes, sockets, also the very ones. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

static void send_with(int to, const char *text, const int *fds, size_t count)
{
	_Alignas(struct cmsghdr) char control[256] = {0};
	struct cmsghdr *head = (struct cmsghdr *)control;
	struct iovec iov = {(void *)text, strlen(text)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};

	*head = (struct cmsghdr){CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	m.msg_controllen = CMSG_SPACE(count * sizeof(int));
	CHECK_EQ(sendmsg(to, &m, 0), strlen(text));
}

static void receive_with(int from, const char *text, int *fds, size_t count)
{
	_Alignas(struct cmsghdr) char control[256] = {0};
	struct cmsghdr *head = (struct cmsghdr *)control;
	char got[64] = "";
	struct iovec iov = {got, strlen(text)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};

	m.msg_controllen = sizeof(control);
	CHECK_EQ(recvmsg(from, &m, 0), strlen(text));
	CHECK(!memcmp(got, text, strlen(text)));
	if (!count) {
		CHECK_EQ(m.msg_controllen, 0);
		return;
	}
	CHECK(head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(count * sizeof(int)));
	memcpy(fds, CMSG_DATA(head), count * sizeof(int));
}

static int listener(struct sockaddr_un *name, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	name->sun_family = AF_UNIX;
	strcpy(name->sun_path + 1, test_name());
	*len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(test_name());
	CHECK(bind(fd, (struct sockaddr *)name, *len) == 0 && listen(fd, 3) == 0);
	return fd;
}

int main(void)
{
	int stream[2], packets[2], ends[2], self[2], inner[2], fds[3], old, client;
	int kept = open("kept", O_CREAT | O_RDWR, 0600), fd = open("file", O_CREAT | O_RDWR, 0600);
	struct sockaddr_un name = {0};
	char text[16] = "";
	socklen_t len;

	CHECK(write(fd, "passed", 6) == 6 && write(kept, "kept", 4) == 4);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, stream) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, self) == 0 && pipe(ends) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, inner) == 0);
	CHECK_EQ(write(stream[0], "before", 6), 6);
	send_with(stream[0], "x", &fd, 1);
	CHECK_EQ(write(stream[0], "behind", 6), 6);
	send_with(stream[0], "y", (int[]){fd, kept, ends[1]}, 3);
	CHECK(write(ends[1], "in flight", 9) == 9 && close(ends[1]) == 0 && close(fd) == 0);
	/* Both ends in the queue of one of them; one end within the other. */
	send_with(self[0], "self", self, 2);
	send_with(inner[0], "inner", &inner[0], 1);
	CHECK(write(inner[1], "back", 4) == 4 && close(inner[0]) == 0);
	send_with(packets[1], "pair", &inner[1], 1);
	CHECK(close(inner[1]) == 0 && close(self[0]) == 0);
	old = listener(&name, &len);
	send_with(packets[1], "listener", &old, 1);
	CHECK(close(old) == 0);

	test_ready();

	receive_with(stream[1], "before", NULL, 0);
	receive_with(stream[1], "x", &fd, 1);
	CHECK(pread(fd, text, 6, 0) == 6 && strcmp(text, "passed") == 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	receive_with(stream[1], "behind", NULL, 0);
	receive_with(stream[1], "y", fds, 3);
	/* The same description twice, one that was in the table all the time, and a pipe. */
	CHECK(lseek(fds[0], 2, SEEK_SET) == 2 && lseek(fd, 0, SEEK_CUR) == 2);
	CHECK(lseek(fds[1], 1, SEEK_SET) == 1 && lseek(kept, 0, SEEK_CUR) == 1);
	CHECK(read(ends[0], text, sizeof(text)) == 9 && !memcmp(text, "in flight", 9));
	CHECK(write(fds[2], "on", 2) == 2 && close(fds[2]) == 0);
	CHECK(read(ends[0], text, sizeof(text)) == 2 && read(ends[0], text, sizeof(text)) == 0);
	receive_with(self[1], "self", fds, 2);
	CHECK(write(fds[0], "to", 2) == 2 && read(self[1], text, sizeof(text)) == 2);
	receive_with(packets[0], "pair", &inner[1], 1);
	receive_with(inner[1], "inner", &inner[0], 1);
	CHECK(read(inner[0], text, sizeof(text)) == 4 && !memcmp(text, "back", 4));
	CHECK(write(inner[0], "to", 2) == 2 && read(inner[1], text, sizeof(text)) == 2);
	receive_with(packets[0], "listener", &old, 1);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(connect(client, (struct sockaddr *)&name, len) == 0 && accept(old, NULL, NULL) >= 0);
	test_passed();
}
