/* Watches on files and directories: their numbers (with a hole) and masks; events go on coming. */
#include <sys/inotify.h>
#include <sys/stat.h>

#include "check.h"

/* Takes one event, with a name of up to 15 bytes or none; it has to be there already. */
static void expect(int fd, int wd, uint32_t mask, const char *name)
{
	struct {
		struct inotify_event head;
		char name[16];
	} event;

	memset(&event, 0, sizeof(event));
	CHECK(read(fd, &event, sizeof(event.head) + (*name ? 16 : 0)) > 0);
	CHECK_EQ(event.head.wd, wd);
	CHECK_EQ(event.head.mask, mask);
	CHECK(strcmp(event.name, name) == 0);
}

int main(void)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), directory, hole, file, link, next;
	char byte;

	CHECK(mkdir("watched", 0700) == 0 && symlink("watched", "link") == 0);
	CHECK(close(open("file", O_CREAT | O_WRONLY, 0600)) == 0);
	directory = inotify_add_watch(fd, "watched", IN_CREATE | IN_DELETE | IN_ONLYDIR);
	hole = inotify_add_watch(fd, "/", IN_DELETE_SELF);
	file = inotify_add_watch(fd, "file", IN_MODIFY | IN_ATTRIB);
	link = inotify_add_watch(fd, "link", IN_DELETE_SELF | IN_DONT_FOLLOW);
	CHECK(directory > 0 && hole > 0 && file > 0 && link > 0);
	CHECK(inotify_rm_watch(fd, hole) == 0);
	expect(fd, hole, IN_IGNORED, "");

	test_ready();

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK(read(fd, &byte, 1) == -1 && errno == EAGAIN);
	CHECK(close(open("watched/new", O_CREAT | O_WRONLY, 0600)) == 0);
	expect(fd, directory, IN_CREATE, "new");
	CHECK(unlink("watched/new") == 0);
	expect(fd, directory, IN_DELETE, "new");
	CHECK(chmod("file", 0640) == 0);
	expect(fd, file, IN_ATTRIB, "");
	CHECK(unlink("link") == 0);
	expect(fd, link, IN_DELETE_SELF, "");
	expect(fd, link, IN_IGNORED, "");
	CHECK(read(fd, &byte, 1) == -1 && errno == EAGAIN);
	next = inotify_add_watch(fd, "/", IN_DELETE_SELF);
	CHECK(next > 0 && next != directory && next != file && next != link);
	CHECK_EQ(inotify_add_watch(fd, "watched", IN_CREATE), directory);
	CHECK_EQ(inotify_rm_watch(fd, file), 0);
	test_passed();
}
