/* Locks of flock(2) are held by the description: exclusive, shared, and through a duplicate. */
#include <sys/file.h>

#include "check.h"

/* Whether a description of its own could take the lock at once. */
static int lockable(const char *path, int operation)
{
	int fd = open(path, O_RDWR), result;

	CHECK(fd >= 0);
	result = flock(fd, operation | LOCK_NB);
	CHECK(result == 0 || errno == EWOULDBLOCK);
	close(fd);
	return result == 0;
}

int main(void)
{
	int exclusive = open("exclusive", O_CREAT | O_RDWR, 0600), copy = dup(exclusive);
	int shared = open("shared", O_CREAT | O_RDONLY, 0600);
	int first = open("both", O_CREAT | O_RDWR, 0600), second = open("both", O_RDONLY);

	CHECK(exclusive >= 0 && copy >= 0 && shared >= 0 && first >= 0 && second >= 0);
	CHECK(flock(exclusive, LOCK_EX) == 0 && flock(shared, LOCK_SH) == 0);
	CHECK(flock(first, LOCK_SH) == 0 && flock(second, LOCK_SH) == 0);

	test_ready();

	CHECK(!lockable("exclusive", LOCK_SH) && !lockable("exclusive", LOCK_EX));
	CHECK(lockable("shared", LOCK_SH) && !lockable("shared", LOCK_EX));
	CHECK(close(exclusive) == 0);
	CHECK(!lockable("exclusive", LOCK_SH));
	CHECK(flock(copy, LOCK_UN) == 0);
	CHECK(lockable("exclusive", LOCK_EX));
	CHECK(flock(shared, LOCK_UN) == 0 && lockable("shared", LOCK_EX));
	CHECK(flock(first, LOCK_UN) == 0 && !lockable("both", LOCK_EX));
	CHECK(close(second) == 0 && lockable("both", LOCK_EX));
	test_passed();
}
