#include "task/areas.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"

/* More than the longest line, which has a path of PATH_MAX with each character written as four. */
#define PIECE ((size_t)64 << 10)

static int add_pieces(int fd, char *piece, struct vm_areas *areas)
{
	size_t kept = 0;

	for (;;) {
		size_t room = PIECE - kept;
		ssize_t n = fd_read_records(fd, piece + kept, room), used;

		if (n < 0)
			return (int)n;
		used = maps_parse_piece(piece, kept + (size_t)n, areas);
		if (used < 0)
			return (int)used;
		kept = kept + (size_t)n - (size_t)used;
		if ((size_t)n < room)
			return kept ? -EINVAL : 0;
		if (used == 0)
			return -EINVAL;
		memmove(piece, piece + used, kept);
	}
}

int areas_read_open(int fd, struct vm_areas *ret)
{
	struct vm_areas areas cleanup_maps = {0};
	cleanup_free char *piece = malloc(PIECE);
	int r = piece ? add_pieces(fd, piece, &areas) : -ENOMEM;

	if (r < 0)
		return r;
	*ret = areas;
	areas = (struct vm_areas){0};
	return 0;
}

int areas_read(int dirfd, const char *path, struct vm_areas *ret)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : areas_read_open(fd, ret);
}
