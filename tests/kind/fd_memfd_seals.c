/* Sealed files in memory: every set of seals is the same, and holds. */
#include <sys/mman.h>

#include "check.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define FILES 6

int main(void)
{
	static const int seals[FILES] = {
		0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
		F_SEAL_FUTURE_WRITE | F_SEAL_GROW, F_SEAL_SEAL | F_SEAL_SHRINK,
	};
	char text[16] = "", *map = NULL;
	int fds[FILES];

	for (int i = 0; i < FILES; i++) {
		fds[i] = memfd_create("sealed", MFD_ALLOW_SEALING);
		CHECK(fds[i] >= 0 && write(fds[i], "0123456789", 10) == 10);
		if (i == 4) { /* this one goes on being written by a mapping of before */
			map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
			CHECK(map != MAP_FAILED);
		}
		if (seals[i])
			CHECK(fcntl(fds[i], F_ADD_SEALS, seals[i]) == 0);
	}

	test_ready();

	for (int i = 0; i < FILES; i++) {
		CHECK_EQ(fcntl(fds[i], F_GET_SEALS), seals[i]);
		CHECK(pread(fds[i], text, 10, 0) == 10 && strcmp(text, "0123456789") == 0);
		CHECK_EQ(lseek(fds[i], 0, SEEK_CUR), 10);
	}
	CHECK(ftruncate(fds[1], 5) == -1 && errno == EPERM);
	CHECK(ftruncate(fds[2], 500) == -1 && errno == EPERM);
	CHECK(pwrite(fds[3], "x", 1, 0) == -1 && errno == EPERM);
	CHECK(pwrite(fds[4], "x", 1, 0) == -1 && errno == EPERM);
	memcpy(map, "still", 5);
	CHECK(pread(fds[4], text, 10, 0) == 10 && strcmp(text, "still56789") == 0);
	CHECK(fcntl(fds[5], F_ADD_SEALS, F_SEAL_GROW) == -1 && errno == EPERM);
	CHECK(fcntl(fds[0], F_ADD_SEALS, F_SEAL_GROW) == 0);
	test_passed();
}
