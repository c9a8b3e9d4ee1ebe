/* EXPECT-REFUSAL: working directory */
/* A working directory that was removed has no path to come back by. */
#include <limits.h>
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	char start[PATH_MAX - 16], ready[PATH_MAX], go[PATH_MAX];

	CHECK(getcwd(start, sizeof(start)));
	snprintf(ready, sizeof(ready), "%s/ready", start);
	snprintf(go, sizeof(go), "%s/go", start);
	CHECK(mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);

	/* As test_ready(), which would look in the working directory. */
	CHECK(close(open(ready, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == 0);
	while (access(go, F_OK) < 0)
		test_nap(2);

	CHECK(!getcwd(start, sizeof(start)) && errno == ENOENT);
	test_passed();
}
