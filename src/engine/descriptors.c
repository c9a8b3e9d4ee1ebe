#include "engine/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kind/kind.h"

struct file *add_file(struct capture *c, struct task *task)
{
	struct file *f = calloc(1, sizeof *f), **slot;

	slot = f ? vec_push(&c->files.files) : NULL;
	if (!slot) {
		free(f);
		return NULL;
	}
	*f = (struct file){.id = ++c->files.last_id, .task = task, .fd = -1, .own = -1};
	*slot = f;
	return f;
}

/* Takes the link apart: the kernel marks what has no name any more. */
static char *read_link(const struct task *task, const char *name, bool *ret_deleted)
{
	char *link = task_readlink(task, name);

	*ret_deleted = link && str_ends(link, " (deleted)");
	if (*ret_deleted)
		link[strlen(link) - strlen(" (deleted)")] = '\0';
	return link;
}

static int read_fdinfo(const struct task *task, int fd, struct fdinfo *ret)
{
	cleanup_free char *name = str_format("fdinfo/%d", fd);
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp(task, name, &text) : -ENOMEM;

	return n < 0 ? (int)n : fdinfo_parse(text, (size_t)n, ret);
}

/* kcmp(2) orders descriptions: less than 0, 0 or more than 0, as it is told of a and (task, fd). */
static int compare_description(const struct file *a, const struct task *task, int fd)
{
	switch (syscall(SYS_kcmp, a->task->pid, task->pid, KCMP_FILE, a->fd, fd)) {
	case 0:
		return 0;
	case 1:
		return -1;
	default:
		return 1;
	}
}

/* Where (task, fd) stands, or would stand, among the descriptions in their order. */
static size_t find_description(const struct capture *c, const struct task *task, int fd,
			       struct file **ret_known)
{
	size_t lo = 0, hi = c->by_description.count;

	*ret_known = NULL;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = compare_description(c->by_description.items[mid], task, fd);

		if (order == 0)
			*ret_known = c->by_description.items[mid];
		if (order == 0)
			return mid;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int insert_description(struct capture *c, size_t at, struct file *f)
{
	if (!vec_push(&c->by_description))
		return -ENOMEM;
	memmove(&c->by_description.items[at + 1], &c->by_description.items[at],
		(c->by_description.count - 1 - at) * sizeof(struct file *));
	c->by_description.items[at] = f;
	return 0;
}

/* A description that was not met before: what can be seen of it. */
static int look_at(struct file *f, struct task *task, int fd, struct fdinfo *info,
		   struct error **err)
{
	cleanup_free char *name = str_format("fd/%d", fd);

	f->fd = fd;
	f->flags = (int)(info->flags & ~(unsigned int)O_CLOEXEC);
	f->info = *info;
	*info = (struct fdinfo){0};
	f->own = (int)syscall(SYS_pidfd_getfd, task->pidfd, fd, 0);
	if (f->own < 0)
		return fail_errno(err, errno, "cannot duplicate descriptor %d of process %d", fd,
				  task->pid);
	f->link = name ? read_link(task, name, &f->deleted) : NULL;
	if (!f->link || fstat(f->own, &f->st) < 0)
		return fail_errno(err, errno, "cannot look at descriptor %d of process %d", fd,
				  task->pid);
	return 0;
}

static int read_descriptor(struct capture *c, struct task *task, int fd, struct error **err)
{
	struct fdinfo info cleanup_fdinfo = {0};
	struct slot *slot = vec_push(&task->slots);
	struct file *f;
	size_t at;
	int r = read_fdinfo(task, fd, &info);

	if (!slot)
		return fail(err, ENOMEM, "out of memory");
	if (r < 0)
		return fail_errno(err, -r, "cannot read fdinfo of descriptor %d of process %d", fd,
				  task->pid);
	*slot = (struct slot){.fd = fd, .cloexec = (info.flags & O_CLOEXEC) != 0};
	at = find_description(c, task, fd, &f);
	if (!f) {
		f = add_file(c, task);
		if (!f || insert_description(c, at, f) < 0)
			return fail(err, ENOMEM, "out of memory");
		r = look_at(f, task, fd, &info, err);
	}
	slot->file = f->id;
	return r;
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int read_descriptors(struct capture *c, struct task *task, struct error **err)
{
	int dirfd = openat(task->proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = dirfd < 0 ? NULL : fdopendir(dirfd);
	VEC(int) numbers = {0};
	struct dirent *e;

	if (!dir) {
		close_fdp(&dirfd);
		return fail_errno(err, errno, "cannot list the descriptors of process %d", task->pid);
	}
	while ((e = readdir(dir))) {
		int *n = e->d_name[0] == '.' ? NULL : vec_push(&numbers);

		if (n)
			*n = atoi(e->d_name);
	}
	closedir(dir);
	if (numbers.count)
		qsort(numbers.items, numbers.count, sizeof(int), compare_ints);
	/* Without kcmp(2) shared descriptions would be taken for different ones. */
	if (numbers.count && syscall(SYS_kcmp, task->pid, task->pid, KCMP_FILE, numbers.items[0],
				     numbers.items[0]) != 0)
		r = refuse(err, ENOSYS, "use a kernel with CONFIG_KCMP, and no filter that forbids it",
			   "descriptors cannot be compared here: kcmp(2): %s", strerror(errno));
	for (size_t i = 0; i < numbers.count && r == 0; i++)
		r = read_descriptor(c, task, numbers.items[i], err);
	vec_free(&numbers);
	return r;
}

static const struct kind *kind_of(const struct file *f)
{
	for (size_t i = 0; i < kinds_count; i++)
		if (kinds[i]->file && kinds[i]->file->claims(f))
			return kinds[i];
	return NULL;
}

static void fill_common(const struct file *f, ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(m->descriptor, 1);
	Rec__File *common = calloc(1, sizeof *common);
	Rec__File **at = (Rec__File **)((char *)m + field->offset);

	if (!common)
		return;
	rec__file__init(common);
	common->id = f->id;
	common->flags = (uint32_t)f->flags;
	common->position = (uint64_t)f->info.pos;
	common->mode = f->st.st_mode;
	*at = common;
}

/* What is found may lead to more. */
static int discover_files(struct capture *c, struct error **err)
{
	for (size_t i = 0; i < c->files.files.count; i++) {
		struct file *f = c->files.files.items[i];
		const struct kind *kind = kind_of(f);
		int r = kind && kind->file->discover ? kind->file->discover(c, f, err) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

int capture_files(struct capture *c, enum files_part part, struct error **err)
{
	int first = part == FILES_AT_HAND ? discover_files(c, err) : 0;

	/* A kind may add files for others to see (mappings first): count is read anew each time. */
	for (size_t i = 0; i < c->files.files.count; i++) {
		struct file *f = c->files.files.items[i];
		ProtobufCMessage *m = NULL;
		int r;

		if (f->kind || (part == FILES_AT_HAND && file_needs_spilling(f)))
			continue;
		f->kind = kind_of(f);
		if (!f->kind) {
			cleanup_free char *what = file_describe(f);

			r = refuse(err, ENOTSUP, NULL, "%s is of a kind that is not supported", what);
		} else {
			r = f->kind->file->capture(c, f, &m, err);
		}
		if (r == 0 && m) {
			fill_common(f, m);
			r = capture_record(c, f->kind, m);
		}
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}
