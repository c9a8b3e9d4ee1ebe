/* As many descriptors as the limit permits, all of them pairs with something in them, or widows. */
#include <sys/resource.h>
#include <sys/socket.h>

#include "check.h"

#define LIMIT 700

int main(void)
{
	struct rlimit limit;
	static int ends[LIMIT];
	int count = 0, pair[2];
	char text[16], want[16];

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = LIMIT;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	while (count < LIMIT - 40) {
		CHECK(socketpair(AF_UNIX, count % 3 ? SOCK_STREAM : SOCK_SEQPACKET, 0, pair) == 0);
		snprintf(text, sizeof(text), "number %d", count);
		CHECK_EQ(send(pair[0], text, strlen(text), 0), strlen(text));
		ends[count++] = pair[1];
		if (count % 5 == 0)
			ends[count++] = pair[0];
		else
			CHECK(close(pair[0]) == 0);
	}

	test_ready();

	for (int i = 0; i < count; i++) {
		if (i % 5 == 0 && i > 0)
			continue; /* the writer of the one before */
		snprintf(want, sizeof(want), "number %d", i);
		CHECK_EQ(recv(ends[i], text, sizeof(text), 0), strlen(want));
		CHECK(!memcmp(text, want, strlen(want)));
		if (i % 5 != 4)
			CHECK_EQ(recv(ends[i], text, sizeof(text), 0), 0);
	}
	test_passed();
}
