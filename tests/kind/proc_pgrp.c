/* A program that leads its own process group still does. */
#include "check.h"

int main(void)
{
	setpgid(0, 0); /* fails for the leader of a session, which leads its group anyway */
	CHECK_EQ(getpgrp(), getpid());

	test_ready();

	CHECK_EQ(getpgrp(), getpid());
	test_passed();
}
