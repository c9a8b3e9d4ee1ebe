/* The umask, and the mode of a file that is made afterwards. */
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	struct stat st;

	umask(0137);

	test_ready();

	close(open("made", O_CREAT | O_WRONLY | O_CLOEXEC, 0777));
	CHECK(stat("made", &st) == 0);
	CHECK_EQ(st.st_mode & 07777, 0640);
	CHECK_EQ(umask(022), 0137);
	test_passed();
}
