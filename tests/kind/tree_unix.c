/*
 * Shows: Unix sockets between members: what waits in pairs, descriptors on their way from one to
 * the other, who has sent it, connections by name, and those that nobody has accepted yet.
 */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tree.h"

static struct sockaddr_un server, letters;
static socklen_t server_len, letters_len;

static socklen_t name(struct sockaddr_un *un, const char *suffix)
{
	un->sun_family = AF_UNIX;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)sprintf(un->sun_path + 1, "%s%s", test_name(), suffix));
}

static void send_file(int to, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct cmsghdr *head = (struct cmsghdr *)control;
	struct iovec iov = {"file", 4};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};

	m.msg_controllen = sizeof(control);
	*head = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(to, &m, 0), 4);
}

/* What comes with a message: a descriptor, or who has sent it. */
static void receive(int from, const char *text, int type, void *ret, size_t size)
{
	_Alignas(struct cmsghdr) char control[64] = {0};
	struct cmsghdr *head = (struct cmsghdr *)control;
	char got[16];
	struct iovec iov = {got, strlen(text)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};

	m.msg_controllen = sizeof(control);
	CHECK_EQ(recvmsg(from, &m, 0), strlen(text));
	CHECK(!memcmp(got, text, strlen(text)) && head->cmsg_type == type);
	memcpy(ret, CMSG_DATA(head), size);
}

static void expect(int fd, const char *text)
{
	char got[32] = "";

	CHECK_EQ(recv(fd, got, sizeof(got), 0), strlen(text));
	CHECK(!strcmp(got, text));
}

/* Listens, has accepted one connection and not the next, and sends in its own name. */
static void child(int packets, int told, int listener)
{
	int accepted = accept(listener, NULL, NULL), post = socket(AF_UNIX, SOCK_DGRAM, 0);
	int file = open("own", O_CREAT | O_RDWR, 0600), next;

	CHECK(accepted >= 0 && write(accepted, "welcome", 7) == 7);
	CHECK(write(file, "content", 7) == 7);
	CHECK(send(packets, "one", 3, 0) == 3 && send(packets, "two!", 4, 0) == 4);
	send_file(packets, file);
	CHECK(close(file) == 0);
	CHECK(send(told, "who", 3, 0) == 3 && send(told, "again", 5, 0) == 5);
	CHECK_EQ(sendto(post, "letter", 6, 0, (struct sockaddr *)&letters, letters_len), 6);
	tree_set_up();
	expect(packets, "to the child");
	expect(accepted, "more");
	next = accept(listener, NULL, NULL);
	CHECK(next >= 0 && write(next, "next", 4) == 4);
	expect(next, "thanks");
	CHECK_EQ(recv(next, &file, 1, 0), 0);
	_exit(0);
}

int main(void)
{
	int packets[2], told[2], listener = socket(AF_UNIX, SOCK_STREAM, 0), on = 1, file;
	int box = socket(AF_UNIX, SOCK_DGRAM, 0), first = socket(AF_UNIX, SOCK_STREAM, 0);
	int second = socket(AF_UNIX, SOCK_STREAM, 0);
	struct ucred who;
	char text[8] = "";
	pid_t pid;

	tree_begin();
	server_len = name(&server, "-server");
	letters_len = name(&letters, "-letters");
	CHECK(bind(listener, (struct sockaddr *)&server, server_len) == 0 && listen(listener, 4) == 0);
	CHECK(bind(box, (struct sockaddr *)&letters, letters_len) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, told) == 0);
	CHECK(setsockopt(told[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
	CHECK(connect(first, (struct sockaddr *)&server, server_len) == 0);
	pid = fork();
	if (pid == 0) {
		close(packets[0]), close(told[0]), close(first), close(second), close(box);
		child(packets[1], told[1], listener);
	}
	close(packets[1]), close(listener);
	CHECK_EQ(send(packets[0], "to the child", 12, 0), 12);
	tree_wait(1);
	CHECK(connect(second, (struct sockaddr *)&server, server_len) == 0);

	test_ready();

	expect(packets[0], "one");
	expect(packets[0], "two!");
	receive(packets[0], "file", SCM_RIGHTS, &file, sizeof(file));
	CHECK(pread(file, text, 7, 0) == 7 && !strcmp(text, "content"));
	receive(told[0], "who", SCM_CREDENTIALS, &who, sizeof(who));
	CHECK_EQ(who.pid, pid);
	receive(told[0], "again", SCM_CREDENTIALS, &who, sizeof(who));
	CHECK(who.pid == pid && who.uid == getuid());
	expect(box, "letter");
	expect(first, "welcome");
	CHECK_EQ(send(first, "more", 4, 0), 4);
	expect(second, "next");
	CHECK(send(second, "thanks", 6, 0) == 6 && shutdown(second, SHUT_WR) == 0);
	tree_collect(pid);
	CHECK_EQ(recv(first, text, sizeof(text), 0), 0);
	CHECK_EQ(recv(packets[0], text, sizeof(text), 0), 0);
	test_passed();
}
