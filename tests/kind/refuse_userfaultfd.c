/* EXPECT-REFUSAL: userfaultfd */
/* Memory whose page faults the program handles by itself. */
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "check.h"

int main(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_zeropage zero = {.range.len = 4096};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0)
		SKIP("userfaultfd is not permitted here: %s", strerror(errno));
	CHECK(page != MAP_FAILED && ioctl(fd, UFFDIO_API, &api) == 0);
	range.range = (struct uffdio_range){(unsigned long)page, 4096};
	CHECK(ioctl(fd, UFFDIO_REGISTER, &range) == 0);

	test_ready();

	zero.range.start = (unsigned long)page;
	CHECK(ioctl(fd, UFFDIO_ZEROPAGE, &zero) == 0);
	CHECK_EQ(page[0], 0);
	test_passed();
}
