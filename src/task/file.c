#include "task/file.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/str.h"

void file_free(struct file *f)
{
	if (!f)
		return;
	close_fdp(&f->own);
	free(f->link);
	fdinfo_free(&f->info);
	if (f->found)
		protobuf_c_message_free_unpacked(f->found, NULL);
	free(f);
}

void file_table_free(struct file_table *t)
{
	vec_each(f, &t->files)
		file_free(*f);
	vec_free(&t->files);
}

struct file *file_by_id(const struct file_table *t, uint32_t id)
{
	/* Ids are given in order from 1, and files are never taken out. */
	return id >= 1 && id <= t->files.count ? t->files.items[id - 1] : NULL;
}

struct file *file_by_fd(const struct file_table *t, const struct task *task, int fd)
{
	vec_each(s, &task->slots)
		if (s->fd == fd)
			return file_by_id(t, s->file);
	return NULL;
}

/* Names of mapped kernel objects that are no memory of files: their kinds refuse them by these. */
static bool is_other_object(const char *name)
{
	static const char *const names[] = {"/SYSV", "/[aio]", "/secretmem", "anon_inode:",
					    "/memfd:[io_uring]"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_starts(name, names[i]))
			return true;
	return false;
}

bool file_needs_spilling(const struct file *f)
{
	return f->own < 0 && f->area && !(f->link && is_other_object(f->link));
}

char *file_describe(const struct file *f)
{
	const char *link = f->link ? f->link : "?";

	if (f->executable)
		return str_format("the executable %s", link);
	if (f->fd >= 0)
		return str_format("descriptor %d (%s)", f->fd, link);
	if (f->area)
		return str_format("the mapping at 0x%" PRIx64 " (%s)", f->area->start, link);
	return str_format("%s", link);
}
