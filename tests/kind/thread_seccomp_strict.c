/* EXPECT-REFUSAL(none cap): seccomp */
/*
 * A thread that seccomp would kill for any call but a few: it must not be made
 * to do one, and the refusal has to look at every thread to know.  Root suspends it.
 */
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "check.h"

static volatile int strict, go_on;
static int ends[2];

static void *thread(void *arg)
{
	char c;

	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	__atomic_store_n(&strict, 1, __ATOMIC_SEQ_CST);
	if (read(ends[0], &c, 1) == 1 && c == 'x')
		__atomic_store_n(&go_on, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_exit, 0); /* of this thread; one of the four calls that it has */
	return arg;
}

int main(void)
{
	pthread_t id;

	CHECK(pipe(ends) == 0 && pthread_create(&id, NULL, thread, NULL) == 0);
	while (!__atomic_load_n(&strict, __ATOMIC_SEQ_CST))
		test_nap(1);
	test_nap(20);

	test_ready();

	CHECK_EQ(write(ends[1], "x", 1), 1);
	for (int i = 0; i < 1000 && !__atomic_load_n(&go_on, __ATOMIC_SEQ_CST); i++)
		test_nap(10);
	CHECK_EQ(__atomic_load_n(&go_on, __ATOMIC_SEQ_CST), 1);
	test_passed();
}
