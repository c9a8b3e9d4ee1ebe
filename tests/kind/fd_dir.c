/* A directory that is half read: the entries that are left come, each of them once. */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "check.h"

#define ENTRIES 300

static int seen[ENTRIES];

/* Reads on by about 500 bytes of entries.  The raw call: readdir would read far ahead. */
static ssize_t read_some(int fd)
{
	union {
		struct dirent64 entry;
		char bytes[512];
	} buf;
	ssize_t n = syscall(SYS_getdents64, fd, &buf, sizeof(buf));

	for (ssize_t at = 0; at < n;) {
		struct dirent64 *entry = (struct dirent64 *)(buf.bytes + at);

		if (strncmp(entry->d_name, "entry", 5) == 0)
			seen[atoi(entry->d_name + 5)]++;
		at += entry->d_reclen;
	}
	CHECK(n >= 0);
	return n;
}

int main(void)
{
	off_t position;
	char name[32];
	int fd;

	CHECK(mkdir("many", 0700) == 0);
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "many/entry%d", i);
		CHECK(close(open(name, O_CREAT | O_WRONLY, 0600)) == 0);
	}
	fd = open("many", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	for (int i = 0; i < 5; i++)
		CHECK(read_some(fd) > 0);
	position = lseek(fd, 0, SEEK_CUR);

	test_ready();

	CHECK_EQ(lseek(fd, 0, SEEK_CUR), position);
	CHECK(fcntl(fd, F_GETFL) & O_DIRECTORY);
	while (read_some(fd) > 0)
		;
	for (int i = 0; i < ENTRIES; i++)
		CHECK_EQ(seen[i], 1);
	CHECK(faccessat(fd, "entry7", F_OK, 0) == 0);
	test_passed();
}
