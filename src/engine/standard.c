#include "engine/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kind/kind.h"
#include "task/description.h"

static int given_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	(void)r;
	(void)err;
	return f->fd;
}

/* What is given is open already, whatever it is: a kind of no image. */
static const struct kind kind_given = {
	.name = "given descriptor",
	.file = &(const struct file_ops){.open = given_open},
};

/* A new entry for a descriptor, which it then owns; 0: no memory. */
static uint32_t add_given(struct rebuild *r, int fd)
{
	uint32_t last = r->files.count ? r->files.items[r->files.count - 1].id : 0;
	/* Files stay sorted by their ids. */
	struct rebuilt_file *f = last < UINT32_MAX ? vec_push(&r->files) : NULL;

	if (!f) {
		close(fd);
		return 0;
	}
	*f = (struct rebuilt_file){.id = last + 1, .kind = &kind_given, .fd = fd, .in_slot = true};
	return f->id;
}

/* In a slot of some task, still. */
static bool is_shown(const struct rebuild *r, uint32_t id)
{
	vec_each(t, &r->tasks)
		for (size_t i = 0; i < (*t)->record->n_slots; i++)
			if ((*t)->record->slots[i]->file == id)
				return true;
	return false;
}

/* Kinds whose other end can be outside have a field for it: 1 + the descriptor that it was. */
static uint32_t came_from_outside(const struct rebuilt_file *f)
{
	const ProtobufCFieldDescriptor *field =
		f->message ? protobuf_c_message_descriptor_get_field_by_name(f->message->descriptor,
									     "standard")
			   : NULL;

	return field && field->type == PROTOBUF_C_TYPE_UINT32
		       ? *(const uint32_t *)((const char *)f->message + field->offset)
		       : 0;
}

/* Two descriptions of one terminal, pipe or file are the same to the user. */
static bool same_object(int a, int b)
{
	struct stat x, y;

	if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return true; /* ours is closed: nothing to take */
	if (S_ISCHR(x.st_mode) && S_ISCHR(y.st_mode))
		return x.st_rdev == y.st_rdev;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What takes the place of descriptor n: -1: its own file. */
static int source_for(const struct rebuild *r, uint32_t n, const struct rebuilt_file *f)
{
	uint32_t was = came_from_outside(f);

	if (r->options->standard_given[n])
		return r->options->standard[n];
	/* One description from outside for several numbers (2>&1), that are different things now. */
	if (was && was - 1 != n &&
	    !same_object(standard_source(r, was - 1), standard_source(r, n)))
		return standard_source(r, n);
	return -1;
}

/* What nobody shows any more is not opened. */
static void retire(struct rebuild *r, uint32_t before, uint32_t after)
{
	struct rebuilt_file *f = rebuilt_file(r, before);

	f->in_slot = is_shown(r, before);
	f->replaced = !f->in_slot && !f->mapped;
	f->given = after;
}

/* ---- Descriptors that were given by number ---- */

static Rec__Slot *find_slot(const struct rebuild *r, const struct inherited *in)
{
	const struct rebuilt_task *t = in->pid ? rebuilt_task(r, in->pid) : r->tasks.items[0];

	for (size_t i = 0; t && i < t->record->n_slots; i++)
		if (t->record->slots[i]->fd == in->fd)
			return t->record->slots[i];
	return NULL;
}

/* A duplicate, or what an O_PATH descriptor names, opened as it was open before. */
static int open_given(const struct inherited *in, uint32_t flags, struct error **err)
{
	static const char *const access[] = {"reading", "writing", "reading and writing"};
	int wanted = (int)flags & O_ACCMODE, have = fcntl(in->given, F_GETFL), fd, res;

	if (have >= 0 && (have & O_PATH)) {
		fd = description_reopen(in->given, wanted | ((int)flags & O_APPEND) | O_NONBLOCK | O_NOCTTY);
		errno = fd < 0 ? -fd : 0;
	} else {
		fd = have < 0 ? -1 : fcntl(in->given, F_DUPFD_CLOEXEC, 3);
	}
	if (fd < 0)
		return refuse(err, errno, NULL, "what was given for descriptor %u cannot be opened for %s: "
			      "%s", in->fd, access[wanted % 3], strerror(errno));
	have = fcntl(fd, F_GETFL) & O_ACCMODE;
	res = have == O_RDWR || have == wanted
		      ? description_set_status(fd, flags, O_NONBLOCK, err)
		      : refuse(err, EBADF, NULL, "what was given for descriptor %u is not open for %s",
			       in->fd, access[wanted % 3]);
	if (res < 0) {
		close(fd);
		return res;
	}
	return fd;
}

/* All numbers of all tasks that showed the same description show what was given. */
static int replace_inherited(struct rebuild *r, const struct inherited *in, struct error **err)
{
	Rec__Slot *slot = find_slot(r, in);
	uint32_t before = slot ? slot->file : 0, after;
	const struct rebuilt_file *f = slot ? rebuilt_file(r, before) : NULL;
	int fd;

	if (!slot)
		return refuse(err, EBADF, NULL, "the program has no descriptor %u to be given", in->fd);
	if (!f->message)
		return refuse(err, EINVAL, NULL, "descriptor %u is given twice", in->fd);
	fd = open_given(in, kind_file(f->message)->flags, err);
	if (fd < 0)
		return fd;
	after = add_given(r, fd);
	if (!after)
		return fail(err, ENOMEM, "out of memory");
	vec_each(t, &r->tasks)
		for (size_t i = 0; i < (*t)->record->n_slots; i++)
			if ((*t)->record->slots[i]->file == before)
				(*t)->record->slots[i]->file = after;
	retire(r, before, after);
	return 0;
}

/* ---- Standard descriptors ---- */

/* What the root's 0, 1 and 2 showed, and what takes its place; 0: nothing. */
struct change {
	uint32_t before[3], after[3];
};

static int plan_change(struct rebuild *r, struct change *c, struct error **err)
{
	const Rec__Task *root = r->tasks.items[0]->record;

	for (size_t i = 0; i < root->n_slots && root->slots[i]->fd <= 2; i++) {
		uint32_t n = root->slots[i]->fd;
		int source, fd;

		c->before[n] = root->slots[i]->file;
		source = source_for(r, n, rebuilt_file(r, c->before[n]));
		if (source < 0)
			continue;
		fd = fcntl(source, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return refuse(err, errno, NULL,
				      "descriptor %d, given for the program's %u, is not open", source, n);
		c->after[n] = add_given(r, fd);
		if (!c->after[n])
			return fail(err, ENOMEM, "out of memory");
	}
	return 0;
}

/*
 * A number that shows what the root had as 0, 1 or 2: the same number follows it; others do when
 * none of those that had it has it still, as output rather than as input.
 */
static uint32_t follow(const struct change *c, const Rec__Slot *slot)
{
	static const unsigned int order[] = {1, 2, 0};
	uint32_t after = 0;

	if (slot->fd <= 2 && c->before[slot->fd] == slot->file)
		return c->after[slot->fd];
	for (unsigned int i = 0; i < 3; i++) {
		unsigned int n = order[i];

		if (c->before[n] == slot->file && !c->after[n])
			return 0;
		if (c->before[n] == slot->file && !after)
			after = c->after[n];
	}
	return after;
}

static void apply_change(struct rebuild *r, const struct change *c)
{
	vec_each(t, &r->tasks)
		for (size_t i = 0; i < (*t)->record->n_slots; i++) {
			Rec__Slot *slot = (*t)->record->slots[i];
			uint32_t after = follow(c, slot);

			if (after)
				slot->file = after;
		}
	for (int n = 0; n < 3; n++)
		if (c->after[n])
			retire(r, c->before[n], c->after[n]);
}

int replace_standard(struct rebuild *r, struct error **err)
{
	struct change c = {0};
	int res = 0;

	for (size_t i = 0; i < r->options->inherit_count && res == 0; i++)
		res = replace_inherited(r, &r->options->inherit[i], err);
	if (res == 0)
		res = plan_change(r, &c, err);
	if (res == 0)
		apply_change(r, &c);
	return res;
}
