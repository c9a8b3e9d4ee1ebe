/* EXPECT-REFUSAL(none cap): seccomp */
/*
 * A thread with a filter of its own, on top of the one that all have.
 */
#include "seccomp_thread.h"

int main(void)
{
	int answers[2];

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(forbid(SYS_setpriority, SECCOMP_RET_ERRNO | EXFULL, 0) == 0);
	seccomp_thread_start(SYS_getpriority);

	test_ready();

	CHECK_EQ(answer_of(SYS_setpriority), EXFULL);
	CHECK(forbid(SYS_sysinfo, SECCOMP_RET_ERRNO | EMLINK, SECCOMP_FILTER_FLAG_TSYNC) > 0);
	seccomp_thread_ask(answers);
	CHECK_EQ(answers[0], EDOM);
	CHECK(answers[1] != EMLINK);
	CHECK(answer_of(SYS_getpriority) != EDOM);
	test_passed();
}
