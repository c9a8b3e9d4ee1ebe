/* EXPECT-REFUSAL: secret */
/* Memory of memfd_secret, which the kernel itself does not read: nobody can save it. */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "check.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

int main(void)
{
	int fd = (int)syscall(SYS_memfd_secret, 0);
	char *page;

	if (fd < 0)
		SKIP("this kernel has no memfd_secret");
	CHECK(ftruncate(fd, 4096) == 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(page != MAP_FAILED && close(fd) == 0);
	strcpy(page, "a key");

	test_ready();

	CHECK(strcmp(page, "a key") == 0);
	test_passed();
}
