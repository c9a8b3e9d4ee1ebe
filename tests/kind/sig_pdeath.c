/* The signal that the process asked to get when its parent ends. */
#include <signal.h>
#include <sys/prctl.h>

#include "check.h"

int main(void)
{
	int sig = 0;

	/* Ignored by default: it may really come, when the parent is a tool that ends. */
	CHECK(prctl(PR_SET_PDEATHSIG, SIGURG) == 0);

	test_ready();

	CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0);
	CHECK_EQ(sig, SIGURG);
	test_passed();
}
