/* EXPECT-REFUSAL(none cap): seccomp */
/*
 * A filter that all threads have in common stays one object: the program can go on adding to it
 * for all of them (SECCOMP_FILTER_FLAG_TSYNC refuses otherwise).
 */
#include <pthread.h>

#include "seccomp.h"

static volatile int ready, go_on, done, answers[2];

static void *thread(void *arg)
{
	__atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&go_on, __ATOMIC_SEQ_CST))
		test_nap(2);
	answers[0] = answer_of(SYS_getpriority);
	answers[1] = answer_of(SYS_sysinfo);
	__atomic_store_n(&done, 1, __ATOMIC_SEQ_CST);
	for (;;)
		test_nap(1000);
	return arg;
}

int main(void)
{
	pthread_t id;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(forbid(SYS_setpriority, SECCOMP_RET_ERRNO | EXFULL, 0) == 0);
	CHECK(pthread_create(&id, NULL, thread, NULL) == 0);
	while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST))
		test_nap(1);

	test_ready();

	CHECK_EQ(answer_of(SYS_setpriority), EXFULL);
	CHECK_EQ(forbid(SYS_sysinfo, SECCOMP_RET_ERRNO | EMLINK, SECCOMP_FILTER_FLAG_TSYNC), 0);
	__atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&done, __ATOMIC_SEQ_CST))
		test_nap(1);
	CHECK(answers[0] != EDOM);
	CHECK_EQ(answers[1], EMLINK);
	test_passed();
}
