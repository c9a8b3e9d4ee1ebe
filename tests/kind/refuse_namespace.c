/* EXPECT-REFUSAL: namespace */
/* LEVELS: none cap */
/* A program that went into namespaces of its own, as an ordinary user may. */
#include <sched.h>

#include "check.h"

int main(void)
{
	char name[64] = "";

	if (unshare(CLONE_NEWUSER | CLONE_NEWUTS) < 0)
		SKIP("user namespaces are not permitted here");
	CHECK(sethostname("elsewhere", 9) == 0);

	test_ready();

	CHECK(gethostname(name, sizeof(name)) == 0 && strcmp(name, "elsewhere") == 0);
	test_passed();
}
