/* Unix sockets by name: listening (absolute, relative, abstract), and datagrams. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "check.h"

#define LISTENERS 3

static struct sockaddr_un names[5];
static socklen_t lengths[5];

static void name(int i, const char *path, size_t len)
{
	names[i].sun_family = AF_UNIX;
	memcpy(names[i].sun_path, path, len);
	lengths[i] = offsetof(struct sockaddr_un, sun_path) + len;
}

static void bind_to(int fd, int i)
{
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&names[i], lengths[i]) == 0);
}

static void same_name(int fd, int i)
{
	struct sockaddr_un now = {0};
	socklen_t len = sizeof(now);

	CHECK(getsockname(fd, (struct sockaddr *)&now, &len) == 0);
	CHECK(!strcmp(now.sun_path, names[i].sun_path));
	CHECK(!memcmp(now.sun_path, names[i].sun_path, len - offsetof(struct sockaddr_un, sun_path)));
}

static void serve(int listener, int i)
{
	int client = socket(AF_UNIX, SOCK_STREAM, 0), served;
	struct ucred who;
	socklen_t len = sizeof(who);
	char text[8] = "";

	CHECK(connect(client, (struct sockaddr *)&names[i], lengths[i]) == 0);
	CHECK(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == getpid());
	served = accept(listener, NULL, NULL);
	CHECK(served >= 0 && write(client, "hello", 5) == 5);
	CHECK(read(served, text, sizeof(text)) == 5 && strcmp(text, "hello") == 0);
	close(client);
	close(served);
}

int main(void)
{
	char path[100], abstract[40];
	int listeners[LISTENERS], server = socket(AF_UNIX, SOCK_DGRAM, 0);
	int client = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[8] = "";
	struct stat st;

	/* The folder of the test may be too long for an address. */
	snprintf(path, sizeof(path), "/tmp/%s", test_name());
	snprintf(abstract, sizeof(abstract), "%c%s", 0, test_name());
	name(0, path, strlen(path) + 1);
	name(1, "relative", sizeof("relative"));
	name(2, abstract, 1 + strlen(abstract + 1));
	name(3, "./server", sizeof("./server"));
	name(4, "client", sizeof("client"));
	for (int i = 0; i < LISTENERS; i++) {
		listeners[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		bind_to(listeners[i], i);
		CHECK(listen(listeners[i], 7) == 0);
	}
	bind_to(server, 3);
	bind_to(client, 4);
	CHECK(connect(client, (struct sockaddr *)&names[3], lengths[3]) == 0);
	CHECK(chmod("relative", 0614) == 0 && unlink("client") == 0);

	test_ready();

	for (int i = 0; i < LISTENERS; i++) {
		same_name(listeners[i], i);
		serve(listeners[i], i);
	}
	same_name(server, 3);
	same_name(client, 4);
	CHECK(stat("relative", &st) == 0 && (st.st_mode & 0777) == 0614);
	CHECK(stat("client", &st) == -1 && errno == ENOENT);
	CHECK(unlink(path) == 0);
	CHECK_EQ(write(client, "there", 5), 5);
	CHECK(read(server, text, sizeof(text)) == 5 && strcmp(text, "there") == 0);
	test_passed();
}
