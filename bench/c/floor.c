/*
 * What no checkpoint and no restore can be faster than: the same number of bytes, written to
 * the same file system or brought into fresh memory, and nothing else.  Prints nanoseconds.
 *
 *	floor write FILE BYTES		write(2) of the program's own memory, fsync(2)
 *	floor read FILE BYTES		read(2) into anonymous memory that no one touched yet
 *	floor uffd FILE BYTES		the same by UFFDIO_COPY, from a mapping, two threads
 *	floor place FILE BYTES		as uffd, but the same 256 KiB again and again, of no file
 *	floor collapse FILE BYTES	as uffd, then MADV_COLLAPSE, which copies it to huge pages
 *	floor huge FILE BYTES		read(2) into huge pages, two threads
 *	floor through FILE BYTES	the same by way of a buffer, where it can be verified
 *	floor zero FILE BYTES		huge pages are made, two threads, and nothing is read
 *	floor idle MILLISECONDS		the longest gap in looking at the clock for so long
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
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

enum way { PLACE, UFFD, HUGE, THROUGH, ZERO };

struct part {
	enum way way;
	int uffd, fd;
	char *to, *from;
	size_t at, size; /* of the file, and of the memory that becomes its copy */
};

static void place(const struct part *p, size_t at, const char *from, size_t size)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)p->to + at,
		.src = (uintptr_t)from,
		.len = size,
	};

	if (ioctl(p->uffd, UFFDIO_COPY, &copy) < 0)
		die("UFFDIO_COPY");
}

static void read_piece(const struct part *p, char *to, size_t at, size_t size)
{
	if (pread(p->fd, to, size, (off_t)at) != (ssize_t)size)
		die("pread");
}

/* As who puts pages into another process's memory. */
static void write_piece(const struct part *p, size_t at, char *from, size_t size)
{
	struct iovec local = {from, size}, remote = {p->to + at, size};

	if (process_vm_writev(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)size)
		die("process_vm_writev");
}

static void *copy_part(void *arg)
{
	const struct part *p = arg;
	size_t step = p->way == UFFD || p->way == ZERO ? 2 * MIB : MIB / 4;
	char *buffer = map_private(MIB / 4, SMALL_PAGES);

	memset(buffer, 1, MIB / 4);
	for (size_t at = p->at, end = p->at + p->size; at < end; at += step) {
		size_t size = end - at < step ? end - at : step;

		if (p->way == PLACE || p->way == UFFD)
			place(p, at, p->way == PLACE ? buffer : p->from + at, size);
		else if (p->way == ZERO)
			p->to[at] = 0;
		else
			read_piece(p, p->way == HUGE ? p->to + at : buffer, at, size);
		if (p->way == THROUGH)
			write_piece(p, at, buffer, size);
	}
	return NULL;
}

static void copy_by_two(const struct part *whole)
{
	size_t half = whole->size / 2 & ~(2 * MIB - 1);
	struct part parts[2] = {*whole, *whole};
	pthread_t thread;

	parts[0].size = half;
	parts[1].at = half;
	parts[1].size = whole->size - half;
	if (pthread_create(&thread, NULL, copy_part, &parts[0]) != 0)
		die("pthread_create");
	copy_part(&parts[1]);
	pthread_join(thread, NULL);
}

static uint64_t uffd_all(const char *file, size_t size, enum way way, int collapse)
{
	uint64_t start = now();
	struct part p = {.way = way, .size = size};
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};

	p.uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	p.fd = open_file(file, O_RDONLY);
	p.to = map_private(size, collapse ? ANY_PAGES : SMALL_PAGES);
	p.from = mmap(NULL, size, PROT_READ, MAP_PRIVATE, p.fd, 0);
	range.range = (struct uffdio_range){(uintptr_t)p.to, size};
	if (p.uffd < 0 || p.from == MAP_FAILED || ioctl(p.uffd, UFFDIO_API, &api) < 0 ||
	    ioctl(p.uffd, UFFDIO_REGISTER, &range) < 0)
		die("userfaultfd");
	copy_by_two(&p);
	if (collapse && (ioctl(p.uffd, UFFDIO_UNREGISTER, &range.range) < 0 ||
			 madvise(p.to, size & ~(2 * MIB - 1), MADV_COLLAPSE) < 0))
		die("MADV_COLLAPSE");
	return now() - start;
}

static uint64_t huge_all(const char *file, size_t size, enum way way)
{
	uint64_t start = now();
	struct part p = {.way = way, .size = size};

	p.fd = open_file(file, O_RDONLY);
	p.to = map_private(size, HUGE_PAGES);
	copy_by_two(&p);
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
		found = uffd_all(argv[2], size, UFFD, 0);
	else if (size && strcmp(what, "place") == 0)
		found = uffd_all(argv[2], size, PLACE, 0);
	else if (size && strcmp(what, "collapse") == 0)
		found = uffd_all(argv[2], size, UFFD, 1);
	else if (size && strcmp(what, "huge") == 0)
		found = huge_all(argv[2], size, HUGE);
	else if (size && strcmp(what, "through") == 0)
		found = huge_all(argv[2], size, THROUGH);
	else if (size && strcmp(what, "zero") == 0)
		found = huge_all(argv[2], size, ZERO);
	else if (argc == 3 && strcmp(what, "idle") == 0)
		found = idle(strtoul(argv[2], NULL, 10));
	else
		return 2;
	printf("%" PRIu64 "\n", found);
	return 0;
}
