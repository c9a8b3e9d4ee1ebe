/* EXPECT-REFUSAL: connection that waits to be accepted, and through which something was sent */
/* EXPECT-REFUSAL: connection that waits to be accepted, whose other end is closed */
/* What was sent into a connection that nobody has accepted cannot be seen. */
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

static int listener(const char *suffix, struct sockaddr_un *name, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	name->sun_family = AF_UNIX;
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)sprintf(name->sun_path + 1, "%s%s", test_name(), suffix));
	CHECK(bind(fd, (struct sockaddr *)name, *len) == 0 && listen(fd, 3) == 0);
	return fd;
}

int main(void)
{
	struct sockaddr_un names[2] = {0};
	socklen_t lengths[2];
	int sent = listener("-sent", &names[0], &lengths[0]);
	int closed = listener("-closed", &names[1], &lengths[1]);
	int clients[2] = {socket(AF_UNIX, SOCK_STREAM, 0), socket(AF_UNIX, SOCK_STREAM, 0)};
	char text[8];

	for (int i = 0; i < 2; i++)
		CHECK(connect(clients[i], (struct sockaddr *)&names[i], lengths[i]) == 0);
	CHECK(write(clients[0], "early", 5) == 5 && close(clients[1]) == 0);

	test_ready();

	CHECK_EQ(read(accept(sent, NULL, NULL), text, sizeof(text)), 5);
	CHECK_EQ(read(accept(closed, NULL, NULL), text, sizeof(text)), 0);
	test_passed();
}
