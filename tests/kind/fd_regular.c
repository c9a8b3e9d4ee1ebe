/* Regular files: access mode, flags, position and number; reading goes on from where it was. */
#include <sys/stat.h>

#include "check.h"

#define FILES 12

struct opened {
	int fd, flags, fd_flags;
	off_t position;
	struct stat stat;
};

static void look(struct opened *file)
{
	file->flags = fcntl(file->fd, F_GETFL);
	file->fd_flags = fcntl(file->fd, F_GETFD);
	file->position = lseek(file->fd, 0, SEEK_CUR);
	CHECK(file->flags >= 0 && file->fd_flags >= 0 && file->position >= 0);
	CHECK(fstat(file->fd, &file->stat) == 0);
}

static int open_at(int flags, off_t position)
{
	int fd = open("file", flags);

	CHECK(fd >= 0 && lseek(fd, position, SEEK_SET) == position);
	return fd;
}

static void set_up(struct opened file[FILES])
{
	static const int flags[FILES - 1] = {
		O_RDONLY, O_RDONLY | O_CLOEXEC, O_WRONLY, O_RDWR, O_RDWR | O_APPEND,
		O_RDWR | O_NONBLOCK, O_WRONLY | O_SYNC, O_WRONLY | O_DSYNC | O_APPEND,
		O_RDONLY | O_NOATIME, O_RDONLY | O_NOFOLLOW, O_RDWR | O_LARGEFILE,
	};
	int fd = open("file", O_CREAT | O_WRONLY, 0600);

	CHECK(fd >= 0);
	for (int i = 0; i < 1000; i++)
		CHECK(dprintf(fd, "line %4d\n", i) == 10);
	CHECK(close(fd) == 0);
	for (int i = 0; i < FILES - 1; i++)
		file[i].fd = open_at(flags[i], i * 10);
	CHECK_EQ(dup3(file[1].fd, 700, O_CLOEXEC), 700);
	CHECK(close(file[1].fd) == 0);
	file[1].fd = 700;
	file[FILES - 1].fd = open_at(O_RDWR, 1L << 40); /* far behind the end */
}

int main(void)
{
	struct opened before[FILES], after;
	char line[11] = "";

	set_up(before);
	for (int i = 0; i < FILES; i++)
		look(&before[i]);

	test_ready();

	for (int i = 0; i < FILES; i++) {
		after.fd = before[i].fd;
		look(&after);
		CHECK_EQ(after.flags, before[i].flags);
		CHECK_EQ(after.fd_flags, before[i].fd_flags);
		CHECK_EQ(after.position, before[i].position);
		CHECK_EQ(after.stat.st_ino, before[i].stat.st_ino);
		CHECK_EQ(after.stat.st_dev, before[i].stat.st_dev);
		CHECK_EQ(after.stat.st_size, 10000);
		CHECK_EQ(after.stat.st_mtim.tv_sec, before[i].stat.st_mtim.tv_sec);
		CHECK_EQ(after.stat.st_mtim.tv_nsec, before[i].stat.st_mtim.tv_nsec);
	}
	CHECK(read(before[3].fd, line, 10) == 10 && strcmp(line, "line    3\n") == 0);
	CHECK(read(before[0].fd, line, 10) == 10 && strcmp(line, "line    0\n") == 0);
	CHECK(write(before[2].fd, "LINE", 4) == 4 && pread(before[0].fd, line, 10, 20) == 10);
	CHECK(strcmp(line, "LINE    2\n") == 0);
	CHECK(write(before[4].fd, "end", 3) == 3 && lseek(before[0].fd, 0, SEEK_END) == 10003);
	CHECK(write(before[0].fd, "x", 1) == -1 && errno == EBADF);
	CHECK(read(before[2].fd, line, 1) == -1 && errno == EBADF);
	test_passed();
}
