/* A thousand descriptors, some of them with numbers up to the limit, and nothing between them. */
#include <sys/resource.h>

#include "check.h"

#define FILES 1000
#define ENOUGH (FILES + 100)

/* How many numbers below limit are descriptors. */
static int count(rlim_t limit)
{
	int n = 0;

	for (int fd = 0; fd < (int)limit; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int main(void)
{
	static int fds[FILES];
	struct rlimit limit;
	int fd = open("file", O_CREAT | O_RDWR, 0600), step, before;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (limit.rlim_max < ENOUGH)
		SKIP("only %llu descriptors are allowed", (unsigned long long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
	CHECK(fd >= 0 && setrlimit(RLIMIT_NOFILE, &limit) == 0);
	step = (int)(limit.rlim_cur - 100) / FILES;
	for (int i = 0; i < FILES; i++) {
		int again = open("file", i % 2 ? O_RDONLY : O_RDWR);

		CHECK(again >= 0);
		fds[i] = (int)limit.rlim_cur - 1 - i * step;
		if (again != fds[i])
			CHECK(dup2(again, fds[i]) == fds[i] && close(again) == 0);
		CHECK_EQ(lseek(fds[i], i, SEEK_SET), i);
	}
	before = count(limit.rlim_cur);

	test_ready();

	for (int i = 0; i < FILES; i++) {
		CHECK_EQ(lseek(fds[i], 0, SEEK_CUR), i);
		CHECK_EQ(fcntl(fds[i], F_GETFL) & O_ACCMODE, i % 2 ? O_RDONLY : O_RDWR);
	}
	CHECK_EQ(count(limit.rlim_cur), before);
	test_passed();
}
