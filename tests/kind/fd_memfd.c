/* A file in memory (memfd): name, size, holes, mode, positions; mapped, and opened twice. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "procfs.h"

#define LEN (64 << 20)

int main(void)
{
	int fd = memfd_create("a name (deleted) ", MFD_CLOEXEC), copy = dup(fd), reader, flags;
	char path[32], text[16] = "", *map, *link;
	struct stat before, after;

	CHECK(fd >= 0 && copy >= 0 && ftruncate(fd, LEN) == 0 && fchmod(fd, 0640) == 0);
	CHECK(pwrite(fd, "begin", 5, 0) == 5 && pwrite(fd, "end", 3, LEN - 3) == 3);
	map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, LEN - 8192);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	CHECK(map != MAP_FAILED && reader >= 0);
	CHECK(lseek(fd, 2, SEEK_SET) == 2 && lseek(reader, -3, SEEK_END) == LEN - 3);
	CHECK(fstat(fd, &before) == 0);
	link = fd_link(fd);
	flags = fcntl(fd, F_GETFL);

	test_ready();

	CHECK(strcmp(fd_link(fd), link) == 0 && strcmp(fd_link(reader), link) == 0);
	CHECK(fstat(fd, &after) == 0);
	CHECK_EQ(after.st_size, LEN);
	CHECK_EQ(after.st_mode, before.st_mode);
	CHECK(after.st_blocks <= before.st_blocks);
	CHECK_EQ(fcntl(fd, F_GETFL), flags);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(copy, F_GETFD), 0);
	CHECK_EQ(fcntl(reader, F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK(read(copy, text, 3) == 3 && strcmp(text, "gin") == 0);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	CHECK(read(reader, text, 3) == 3 && strcmp(text, "end") == 0);
	CHECK(memcmp(map + 8189, "end", 3) == 0);
	memcpy(map, "mapped", 6);
	CHECK(pread(reader, text, 6, LEN - 8192) == 6 && strcmp(text, "mapped") == 0);
	CHECK_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL); /* the default: none can be added */
	test_passed();
}
