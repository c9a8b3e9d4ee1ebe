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

static int read_fdinfo(const struct task *task, int fd, struct fdinfo *ret)
{
	cleanup_free char *name = str_format("fdinfo/%d", fd);
	cleanup_free char *text = NULL;
	ssize_t n = name ? task_slurp_record(task, name, &text) : -ENOMEM;

	return n < 0 ? (int)n : fdinfo_parse(text, (size_t)n, ret);
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
	file_take_link(f, name ? task_readlink(task, name) : NULL);
	if (!f->link || fstat(f->own, &f->st) < 0)
		return fail_errno(err, errno, "cannot look at descriptor %d of process %d", fd,
				  task->pid);
	return 0;
}

/* Who holds a POSIX lock is the process, whoever else has the description. */
static int take_locks(struct task *task, int fd, const struct fdinfo *info)
{
	vec_each(l, &info->locks) {
		struct own_lock *own = l->type == FD_LOCK_POSIX ? vec_push(&task->locks) : NULL;

		if (own)
			*own = (struct own_lock){fd, *l};
		else if (l->type == FD_LOCK_POSIX)
			return -ENOMEM;
	}
	return 0;
}

static int read_descriptor(struct capture *c, struct task *task, int fd, struct error **err)
{
	struct fdinfo info cleanup_fdinfo = {0};
	struct slot *slot = vec_push(&task->slots);
	struct file *f, **at;
	int r = read_fdinfo(task, fd, &info);

	if (!slot)
		return fail(err, ENOMEM, "out of memory");
	if (r == -ENOENT)
		return refuse(err, EBUSY, "try again",
			      "descriptor %d of process %d went away while it was looked at: the "
			      "process was killed, or an io_uring has requests in flight", fd,
			      task->pid);
	if (r < 0)
		return fail_errno(err, -r, "cannot read fdinfo of descriptor %d of process %d", fd,
				  task->pid);
	if (take_locks(task, fd, &info) < 0)
		return fail(err, ENOMEM, "out of memory");
	*slot = (struct slot){.fd = fd, .cloexec = (info.flags & O_CLOEXEC) != 0};
	f = capture_find_description(c, task->pid, fd, &info, &at);
	if (!f) {
		f = capture_add_file(c, task);
		if (!f)
			return fail(err, ENOMEM, "out of memory");
		r = look_at(f, task, fd, &info, err);
		if (r < 0)
			return r;
		capture_place_description(f, at);
	}
	slot->file = f->id;
	return 0;
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

static const struct kind *find_kind(const struct file *f)
{
	for (size_t i = 0; i < kinds_count; i++)
		if (kinds[i]->file && kinds[i]->file->claims(f))
			return kinds[i];
	return NULL;
}

/* What a file shows us stays as it is, once there is a descriptor of it. */
static const struct kind *kind_of(struct file *f)
{
	if (f->own < 0)
		return find_kind(f);
	if (!f->claimed_by)
		f->claimed_by = find_kind(f);
	return f->claimed_by;
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

static int capture_file(struct capture *c, struct file *f, struct error **err)
{
	ProtobufCMessage *m = NULL;
	int r;

	f->kind = kind_of(f);
	if (!f->kind) {
		cleanup_free char *what = file_describe(f);

		return refuse(err, ENOTSUP, NULL, "%s is of a kind that is not supported", what);
	}
	r = f->kind->file->capture(c, f, &m, err);
	if (r < 0 || !m)
		return r;
	fill_common(f, m);
	return capture_record(c, f->kind, m);
}

int capture_files(struct capture *c, enum files_part part, struct error **err)
{
	int first = part == FILES_AT_HAND ? discover_files(c, err) : 0;

	/* A kind may add files for others to see (mappings first): count is read anew each time. */
	for (size_t i = 0; i < c->files.files.count; i++) {
		struct file *f = c->files.files.items[i];
		struct error *found = NULL;
		int r;

		if (f->kind || (part == FILES_AT_HAND && file_needs_spilling(f)))
			continue;
		r = capture_file(c, f, &found);
		if (r < 0 && first == 0)
			first = r;
		error_wrap(&found, 0, "process %d (%s)", f->task->pid, f->task->stat.comm);
		error_merge(err, &found);
	}
	return first;
}

static struct file *file_of(const struct capture *c, const struct record *rec)
{
	struct file *f = rec->kind->file ? file_by_id(&c->files, kind_file(rec->message)->id) : NULL;

	return f && f->own >= 0 ? f : NULL;
}

int files_may_end(const struct capture *c, struct error **err)
{
	vec_each(rec, &c->records) {
		const struct file *f = file_of(c, rec);
		int r;

		if (!f || !f->kind->file->may_end)
			continue;
		r = f->kind->file->may_end(f, rec->message, err);
		if (r < 0)
			return error_wrap(err, r, "the image is complete, but process %d is not ended",
					  f->task->pid);
	}
	return 0;
}

void files_ended(const struct capture *c)
{
	vec_each(rec, &c->records) {
		struct file *f = file_of(c, rec);

		if (f && f->kind->file->ended)
			f->kind->file->ended(f, rec->message);
	}
}
