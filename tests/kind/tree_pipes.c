/*
 * Shows: a pipeline of three generations: pipes with data in flight between members, ends that
 * nobody has any more, and one description of a file whose position all of them share.
 */
#include <sys/stat.h>

#include "tree.h"

static void copy_all(int from, int to)
{
	char buf[64];
	ssize_t n;

	while ((n = read(from, buf, sizeof buf)) > 0)
		CHECK_EQ(write(to, buf, (size_t)n), n);
	CHECK_EQ(n, 0);
}

int main(void)
{
	int first[2], second[2], file = open("log", O_CREAT | O_RDWR | O_TRUNC, 0600);
	char buf[32] = "";
	pid_t child;

	tree_begin();
	CHECK(pipe(first) == 0 && pipe(second) == 0);
	child = fork();
	if (child == 0) {
		pid_t below = fork();

		if (below == 0) {
			/* The source: what it has written waits, and more comes afterwards. */
			close(first[0]), close(second[0]), close(second[1]);
			CHECK_EQ(write(first[1], "before ", 7), 7);
			CHECK_EQ(write(file, "ab", 2), 2);
			tree_set_up();
			CHECK_EQ(write(first[1], "after", 5), 5);
			CHECK_EQ(write(file, "ef", 2), 2);
			_exit(0);
		}
		close(first[1]), close(second[0]);
		tree_set_up();
		tree_collect(below);
		copy_all(first[0], second[1]);
		_exit(0);
	}
	close(first[0]), close(first[1]), close(second[1]);
	tree_wait(2);
	CHECK_EQ(write(file, "cd", 2), 2);

	test_ready();

	for (size_t got = 0; got < 12; got += (size_t)read(second[0], buf + got, 12 - got))
		;
	CHECK(!strcmp(buf, "before after"));
	tree_collect(child);
	CHECK_EQ(read(second[0], buf, 1), 0);
	CHECK_EQ(lseek(file, 0, SEEK_CUR), 6);
	CHECK_EQ(pread(file, buf, 6, 0), 6);
	CHECK(!memcmp(buf, "abcdef", 6));
	test_passed();
}
