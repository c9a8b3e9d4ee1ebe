/* Files on a tmpfs (/dev/shm): one with a name, one that has lost it. */
/* NEEDS-FILE: /dev/shm */
#include <sys/mman.h>
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	char name[64], text[16] = "";
	int named, lost;
	struct stat st;

	snprintf(name, sizeof(name), "/%s", test_name());
	lost = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK(lost >= 0 && shm_unlink(name) == 0);
	named = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	CHECK(named >= 0);
	CHECK(write(named, "named", 5) == 5 && write(lost, "unlinked", 8) == 8);

	test_ready();

	CHECK_EQ(lseek(named, 0, SEEK_CUR), 5);
	CHECK_EQ(lseek(lost, 0, SEEK_CUR), 8);
	CHECK(pread(named, text, sizeof(text), 0) == 5 && strcmp(text, "named") == 0);
	CHECK(pread(lost, text, sizeof(text), 0) == 8 && strcmp(text, "unlinked") == 0);
	CHECK(fstat(named, &st) == 0 && st.st_nlink == 1);
	CHECK(fstat(lost, &st) == 0 && st.st_nlink == 0);
	CHECK(shm_unlink(name) == 0);
	test_passed();
}
