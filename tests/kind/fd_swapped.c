/* Many numbers of few descriptions in no order: moving them in place goes around in circles. */
#include <sys/eventfd.h>

#include "check.h"

#define FIRST 3
#define NUMBERS 120
#define DESCRIPTIONS 45

static int description_of(int number)
{
	return (int)((unsigned int)number * 2654435761u >> 8) % DESCRIPTIONS;
}

int main(void)
{
	int fds[DESCRIPTIONS], pipes[2], copy, members[DESCRIPTIONS] = {0};
	char c;

	for (int i = 0; i < DESCRIPTIONS; i++) {
		int fd = eventfd(0, EFD_NONBLOCK);

		CHECK(fd >= 0);
		fds[i] = fcntl(fd, F_DUPFD, 400);
		CHECK(fds[i] >= 0 && close(fd) == 0);
	}
	for (int n = FIRST; n < FIRST + NUMBERS; n++)
		CHECK(dup2(fds[description_of(n)], n) == n);
	for (int i = 0; i < DESCRIPTIONS; i++)
		close(fds[i]);
	/* Of this pipe the end for writing has the lower number. */
	CHECK(pipe(pipes) == 0);
	copy = dup(pipes[0]);
	CHECK(copy >= 0 && dup2(pipes[1], pipes[0]) == pipes[0]);
	CHECK(dup2(copy, pipes[1]) == pipes[1] && close(copy) == 0);

	test_ready();

	CHECK(write(pipes[0], "p", 1) == 1);
	CHECK(read(pipes[1], &c, 1) == 1 && c == 'p');
	/* Each number adds one to its description; the last of them finds all. */
	for (int n = FIRST; n < FIRST + NUMBERS; n++) {
		CHECK(write(n, &(uint64_t){1}, 8) == 8);
		members[description_of(n)]++;
	}
	for (int n = FIRST + NUMBERS - 1; n >= FIRST; n--) {
		int *left = &members[description_of(n)];
		uint64_t value;

		if (*left == 0) {
			CHECK(read(n, &value, sizeof value) < 0 && errno == EAGAIN);
			continue;
		}
		CHECK(read(n, &value, sizeof value) == sizeof value);
		CHECK_EQ(value, *left);
		*left = 0;
	}
	test_passed();
}
