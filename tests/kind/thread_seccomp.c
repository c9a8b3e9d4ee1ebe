/* EXPECT-REFUSAL(none cap): seccomp */
/*
 * A filter that all threads have in common stays one object: the program can go on adding to it
 * for all of them (SECCOMP_FILTER_FLAG_TSYNC refuses otherwise).
 */
#include "seccomp_thread.h"

int main(void)
{
	int answers[2];

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(forbid(SYS_setpriority, SECCOMP_RET_ERRNO | EXFULL, 0) == 0);
	seccomp_thread_start(-1);

	test_ready();

	CHECK_EQ(answer_of(SYS_setpriority), EXFULL);
	CHECK_EQ(forbid(SYS_sysinfo, SECCOMP_RET_ERRNO | EMLINK, SECCOMP_FILTER_FLAG_TSYNC), 0);
	seccomp_thread_ask(answers);
	CHECK(answers[0] != EDOM);
	CHECK_EQ(answers[1], EMLINK);
	test_passed();
}
