/* A program that leads its own session still does. */
#include "check.h"

int main(void)
{
	setsid(); /* fails where the driver made it a leader already */
	CHECK_EQ(getsid(0), getpid());

	test_ready();

	CHECK_EQ(getsid(0), getpid());
	CHECK_EQ(getpgrp(), getpid());
	test_passed();
}
