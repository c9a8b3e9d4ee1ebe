/* EXPECT-REFUSAL: fanotify */
/* A fanotify group. */
#include <sys/fanotify.h>

#include "check.h"

int main(void)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK, O_RDONLY);
	char byte;

	if (fd < 0)
		SKIP("fanotify is not permitted here: %s", strerror(errno));

	test_ready();

	CHECK(read(fd, &byte, 1) == -1);
	test_passed();
}
