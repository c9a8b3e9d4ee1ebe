#include "engine/standard.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "kind/kind.h"

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

int replace_standard(struct rebuild *r, struct error **err)
{
	Rec__Task *root = r->tasks.items[0]->record;

	for (size_t i = 0; i < root->n_slots && root->slots[i]->fd <= 2; i++) {
		Rec__Slot *slot = root->slots[i];
		uint32_t before = slot->file;
		struct rebuilt_file *f;
		int res;

		if (!r->options->standard_given[slot->fd])
			continue;
		res = replace_one(r, slot, r->options->standard[slot->fd], err);
		if (res < 0)
			return res;
		f = rebuilt_file(r, before);
		f->in_slot = is_shown(r, before);
		f->replaced = !f->in_slot && !f->mapped;
	}
	return 0;
}
