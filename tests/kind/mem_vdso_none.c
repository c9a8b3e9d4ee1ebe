/* Shows: a program that has unmapped its vdso, as valgrind(1) does, comes back without one. */
#include <sys/syscall.h>

#include "maps.h"

/* The C library would look at the clock in the vdso. */
static void nap(void)
{
	syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 2000000}, NULL);
}

int main(void)
{
	struct map_info vdso;
	int fd;

	CHECK(map_find_name("[vdso]", &vdso));
	CHECK(munmap((void *)vdso.start, vdso.end - vdso.start) == 0);
	CHECK(!map_find_name("[vdso]", &vdso));

	fd = open("ready", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && close(fd) == 0);
	while (access("go", F_OK) < 0)
		nap();

	CHECK(!map_find_name("[vdso]", &vdso));
	test_passed();
}
