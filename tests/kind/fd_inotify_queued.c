/* EXPECT-REFUSAL: inotify */
/* Events that were not read yet could not be put into a new queue: they are not lost. */
#include <sys/inotify.h>
#include <sys/stat.h>

#include "check.h"

int main(void)
{
	struct {
		struct inotify_event head;
		char name[16];
	} event;
	int fd = inotify_init1(IN_NONBLOCK), watch;

	CHECK(mkdir("watched", 0700) == 0);
	watch = inotify_add_watch(fd, "watched", IN_CREATE);
	CHECK(watch > 0 && mkdir("watched/new", 0700) == 0);

	test_ready();

	memset(&event, 0, sizeof(event));
	CHECK(read(fd, &event, sizeof(event)) > 0);
	CHECK_EQ(event.head.wd, watch);
	CHECK_EQ(event.head.mask, IN_CREATE | IN_ISDIR);
	CHECK(strcmp(event.name, "new") == 0);
	test_passed();
}
