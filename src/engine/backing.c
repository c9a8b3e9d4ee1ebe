#include "engine/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/descriptors.h"
#include "task/areas.h"
#include "task/path.h"

/*
 * On btrfs and some overlays stat(2) gives another device than the mapping's line in
 * maps: only a mapping of our own can tell whether it is the same file.
 */
static bool maps_as(int fd, const struct vm_area *a)
{
	struct vm_areas own = {0};
	const struct vm_area *mine;
	void *at = mmap(NULL, ARCH_PAGE_SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	bool same = false;

	if (at == MAP_FAILED)
		return false;
	if (areas_read(AT_FDCWD, "/proc/self/maps", &own) == 0) {
		mine = maps_find(&own, (uint64_t)(uintptr_t)at);
		same = mine && mine->inode == a->inode && mine->dev_major == a->dev_major &&
		       mine->dev_minor == a->dev_minor;
	}
	maps_free(&own);
	munmap(at, ARCH_PAGE_SIZE);
	return same;
}

/* Where stat(2) gives the mapping's device there is no doubt: such a number is one file system's. */
static bool is_mapped(int fd, const struct vm_area *a)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_ino == a->inode &&
	    st.st_dev == makedev(a->dev_major, a->dev_minor))
		return true;
	return maps_as(fd, a);
}

/* Opens what a mapping's path names now, if that is still the mapped file; else -1. */
static int open_mapped_path(const struct vm_area *a)
{
	struct stat st;
	int fd;

	if (a->deleted || !a->path || a->path[0] != '/')
		return -1;
	/* A FIFO or a device by this name must not be opened: that may block or do things. */
	if (stat(a->path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != a->inode)
		return -1;
	fd = open(a->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || is_mapped(fd, a))
		return fd;
	close(fd);
	return -1;
}

/*
 * The name that the file was opened by is gone, but it has another beside it: so the C library makes
 * named semaphores.  Then it is no deleted file.
 */
static int open_other_name(const struct vm_area *a, char **ret_name)
{
	const struct stat st = {.st_mode = S_IFREG,
				.st_ino = a->inode,
				.st_dev = makedev(a->dev_major, a->dev_minor)};
	cleanup_free char *parent = a->deleted && a->path && a->path[0] == '/' ? path_parent(a->path)
									       : NULL;
	cleanup_free char *name = parent ? path_find_inode(parent, &st) : NULL;
	struct vm_area other = *a;
	int fd;

	other.path = name;
	other.deleted = false;
	fd = name ? open_mapped_path(&other) : -1;
	if (fd >= 0) {
		*ret_name = name;
		name = NULL;
	}
	return fd;
}

/* The numbers of System V segments are inodes too, and may be those of other shared memory. */
static bool is_segment(const char *name)
{
	return name && str_starts(name, "/SYSV");
}

static bool same_inode(const struct file *f, const struct vm_area *a)
{
	if (is_segment(f->link) != is_segment(a->path))
		return false;
	return f->st.st_ino == a->inode && major(f->st.st_dev) == a->dev_major &&
	       minor(f->st.st_dev) == a->dev_minor;
}

/* A descriptor of the same deleted file saves us the way through the mapping. */
static int borrow_descriptor(const struct capture *c, const struct vm_area *a)
{
	vec_each(f, &c->files.files)
		if ((*f)->own >= 0 && same_inode(*f, a) && ((*f)->flags & O_ACCMODE) != O_WRONLY &&
		    !((*f)->flags & O_PATH))
			return fcntl((*f)->own, F_DUPFD_CLOEXEC, 0);
	return -1;
}

static bool needs_write(const struct vm_area *a)
{
	return a->shared && (a->flags & VM_FLAG(MAYWRITE));
}

/* The File of who met it first: this one's id, when it was nobody.  0: no memory. */
static uint32_t share_backing(struct capture *c, const struct vm_area *a, int flags, uint32_t id)
{
	/* The number of a System V segment may be that of a memfd, on the same device. */
	uint64_t sysv = a->path && str_starts(a->path, "/SYSV") ? UINT64_C(1) << 63 : 0;

	return capture_share(c, flags == O_RDWR ? SPACE_BACKING_WRITABLE : SPACE_BACKING_READ_ONLY, a->inode,
			     makedev(a->dev_major, a->dev_minor) | sysv, id);
}

int find_backing(struct capture *c, struct task *task, const struct vm_area *a, uint32_t *ret_id,
		 struct error **err)
{
	int flags = needs_write(a) ? O_RDWR : O_RDONLY;
	struct file *f;

	*ret_id = share_backing(c, a, flags, c->files.last_id + 1);
	if (*ret_id && *ret_id <= c->files.last_id)
		return 0;
	f = capture_add_file(c, task);
	if (!f || !*ret_id)
		return fail(err, ENOMEM, "out of memory");
	f->area = a;
	f->flags = flags;
	f->deleted = a->deleted;
	f->link = strdup(a->path ? a->path : "");
	f->own = open_mapped_path(a);
	if (f->own < 0) {
		char *name = NULL;

		f->own = open_other_name(a, &name);
		if (f->own >= 0) {
			free(f->link);
			f->link = name;
			f->deleted = false;
		}
	}
	if (f->own < 0) {
		/* Whatever bears its name now is another file. */
		f->deleted = true;
		f->own = borrow_descriptor(c, a);
	}
	if (f->own >= 0 && fstat(f->own, &f->st) < 0)
		return fail_errno(err, errno, "cannot look at %s", f->link);
	if (f->own < 0)
		f->st.st_mode = S_IFREG | 0600;
	f->st.st_ino = a->inode;
	f->st.st_dev = makedev(a->dev_major, a->dev_minor);
	return 0;
}

/* Most members of a tree execute the same. */
static struct file *known_executable(const struct capture *c, const char *link,
				     const struct stat *st)
{
	vec_each(it, &c->files.files) {
		const struct file *f = *it;

		if (f->executable && f->st.st_ino == st->st_ino && f->st.st_dev == st->st_dev &&
		    !strncmp(link, f->link, strlen(f->link)) &&
		    !strcmp(link + strlen(f->link), f->deleted ? " (deleted)" : ""))
			return *it;
	}
	return NULL;
}

int find_executable(struct capture *c, struct task *task, uint32_t *ret_id, struct error **err)
{
	cleanup_free char *link = task_readlink(task, "exe");
	cleanup_close int fd = -1;
	struct file *f;
	struct stat st;

	if (!link)
		return fail_errno(err, errno, "cannot find the executable of process %d", task->pid);
	/* This link, unlike those of map_files, may be followed by whoever may ptrace. */
	fd = openat(task->proc, "exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_errno(err, errno, "cannot open the executable of process %d, %s",
				  task->pid, link);
	f = known_executable(c, link, &st);
	if (!f) {
		f = capture_add_file(c, task);
		if (!f)
			return fail(err, ENOMEM, "out of memory");
		file_take_link(f, link);
		link = NULL;
		f->executable = true;
		f->flags = O_RDONLY;
		f->own = fd_steal(&fd);
		f->st = st;
	}
	*ret_id = f->id;
	return 0;
}
