/* EXPECT-REFUSAL: userfaultfd */
/*
 * Shows: memory that a userfaultfd watches is refused, and its faults still
 * arrive where they should.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "maps.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static char *memory;
static volatile char seen;

static void *touch(void *arg)
{
	seen = *(volatile char *)memory;
	return arg;
}

int main(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register watch = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	char page[PAGE] __attribute__((aligned(4096))) = "provided";
	struct uffdio_copy copy = {.src = (unsigned long)page, .len = PAGE};
	struct uffd_msg message;
	pthread_t thread;
	int fd = (int)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
		SKIP("this kernel gives no userfaultfd: %s", strerror(errno));
	memory = map_alone(PAGE, PROT_READ | PROT_WRITE);
	watch.range.start = copy.dst = (unsigned long)memory;
	watch.range.len = PAGE;
	CHECK(ioctl(fd, UFFDIO_REGISTER, &watch) == 0);

	test_ready();

	CHECK_EQ(pthread_create(&thread, NULL, touch, NULL), 0);
	CHECK(read(fd, &message, sizeof message) == sizeof message);
	CHECK_EQ(message.event, UFFD_EVENT_PAGEFAULT);
	CHECK(ioctl(fd, UFFDIO_COPY, &copy) == 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(seen, 'p');
	test_passed();
}
