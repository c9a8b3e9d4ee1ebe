/*
 * What no checkpoint and no restore can be faster than: the same number of bytes, written to
 * the same file system or brought into fresh memory, and nothing else.  Prints nanoseconds.
 *
 *	floor write FILE BYTES		write(2) of the program's own memory, fsync(2)
 *	floor read FILE BYTES		read(2) into anonymous memory that no one touched yet
 *	floor uffd FILE BYTES		the same by UFFDIO_COPY, from a mapping, two threads
 *	floor idle MILLISECONDS		the longest gap in looking at the clock for so long
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

static int open_file(const char *file, int flags)
{
	int fd = open(file, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(file);
	return fd;
}

static uint64_t write_all(const char *file, size_t size)
{
	char *from = map_private(size, SMALL_PAGES);
	uint64_t start;
	int fd;

	fill(from, size);
	start = now();
	fd = open_file(file, O_WRONLY | O_CREAT | O_EXCL);
	for (ssize_t n; size; size -= (size_t)n, from += n) {
		n = write(fd, from, size < MIB ? size : MIB);
		if (n <= 0)
			die("write");
	}
	if (fsync(fd) < 0)
		die("fsync");
	close(fd);
	return now() - start;
}

static uint64_t read_all(const char *file, size_t size)
{
	uint64_t start = now();
	char *to = map_private(size, SMALL_PAGES);
	int fd = open_file(file, O_RDONLY);

	for (ssize_t n; size; size -= (size_t)n, to += n) {
		n = read(fd, to, size < MIB ? size : MIB);
		if (n <= 0)
			die("read");
	}
	return now() - start;
}

struct part {
	int uffd;
	char *to, *from;
	size_t size;
};

static void *copy_part(void *arg)
{
	const struct part *p = arg;

	for (size_t done = 0; done < p->size; done += 2 * MIB) {
		size_t left = p->size - done;
		struct uffdio_copy copy = {
			.dst = (uintptr_t)p->to + done,
			.src = (uintptr_t)p->from + done,
			.len = left < 2 * MIB ? left : 2 * MIB,
		};

		if (ioctl(p->uffd, UFFDIO_COPY, &copy) < 0)
			die("UFFDIO_COPY");
	}
	return NULL;
}

static uint64_t uffd_all(const char *file, size_t size)
{
	uint64_t start = now();
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	int fd = open_file(file, O_RDONLY);
	char *to = map_private(size, SMALL_PAGES), *from;
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {
		.range = {(uintptr_t)to, size},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	size_t half = size / 2 & ~(size_t)4095;
	struct part parts[2];
	pthread_t thread;

	from = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (uffd < 0 || from == MAP_FAILED || ioctl(uffd, UFFDIO_API, &api) < 0 ||
	    ioctl(uffd, UFFDIO_REGISTER, &range) < 0)
		die("userfaultfd");
	parts[0] = (struct part){uffd, to, from, half};
	parts[1] = (struct part){uffd, to + half, from + half, size - half};
	if (pthread_create(&thread, NULL, copy_part, &parts[0]) != 0)
		die("pthread_create");
	copy_part(&parts[1]);
	pthread_join(thread, NULL);
	return now() - start;
}

static uint64_t idle(size_t milliseconds)
{
	uint64_t start = now(), longest = 0;

	for (uint64_t last = start, t; last - start < milliseconds * 1000000; last = t) {
		t = now();
		if (t - last > longest)
			longest = t - last;
	}
	return longest;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	/* Whole pages, which is what the memory of programs consists of. */
	size_t size = argc == 4 ? strtoull(argv[3], NULL, 10) & ~(size_t)4095 : 0;
	uint64_t found;

	if (size && strcmp(what, "write") == 0)
		found = write_all(argv[2], size);
	else if (size && strcmp(what, "read") == 0)
		found = read_all(argv[2], size);
	else if (size && strcmp(what, "uffd") == 0)
		found = uffd_all(argv[2], size);
	else if (argc == 3 && strcmp(what, "idle") == 0)
		found = idle(strtoul(argv[2], NULL, 10));
	else
		return 2;
	printf("%" PRIu64 "\n", found);
	return 0;
}
