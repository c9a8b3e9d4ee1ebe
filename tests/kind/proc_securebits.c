/* LEVELS: root */
/* The secure bits, locked ones among them. */
#include <linux/securebits.h>
#include <sys/prctl.h>

#include "check.h"

int main(void)
{
	const int bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_KEEP_CAPS |
			 SECBIT_NO_CAP_AMBIENT_RAISE;

	if (prctl(PR_SET_SECUREBITS, bits) < 0)
		SKIP("secure bits may not be set here");

	test_ready();

	CHECK_EQ(prctl(PR_GET_SECUREBITS), bits);
	test_passed();
}
