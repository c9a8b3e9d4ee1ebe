#include "engine/standard.h"

#include <errno.h>
#include <fcntl.h>
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

static int replace_one(struct rebuild *r, Rec__Slot *slot, int given, struct error **err)
{
	uint32_t last = r->files.count ? r->files.items[r->files.count - 1].id : 0;
	struct rebuilt_file *f;
	int fd = fcntl(given, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return refuse(err, errno, NULL, "descriptor %d, given for the program's %u, is not open",
			      given, slot->fd);
	/* Files stay sorted by their ids. */
	f = last < UINT32_MAX ? vec_push(&r->files) : NULL;
	if (!f) {
		close(fd);
		return fail(err, ENOMEM, "out of memory");
	}
	*f = (struct rebuilt_file){.id = last + 1, .kind = &kind_given, .fd = fd, .in_slot = true};
	slot->file = f->id;
	return 0;
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

int replace_standard(struct rebuild *r, struct error **err)
{
	Rec__Task *root = r->tasks.items[0]->record;

	for (size_t i = 0; i < root->n_slots && root->slots[i]->fd <= 2; i++) {
		Rec__Slot *slot = root->slots[i];
		uint32_t before = slot->file;
		int source = source_for(r, slot->fd, rebuilt_file(r, before)), res;
		struct rebuilt_file *f;

		if (source < 0)
			continue;
		res = replace_one(r, slot, source, err);
		if (res < 0)
			return res;
		f = rebuilt_file(r, before);
		f->in_slot = is_shown(r, before);
		f->replaced = !f->in_slot && !f->mapped;
	}
	return 0;
}
