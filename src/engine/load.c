#include "engine/load.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/records.h"
#include "kind/kind.h"

static int out_of_memory(struct error **err)
{
	return fail(err, ENOMEM, "out of memory");
}

static int take_inventory(struct rebuild *r, ProtobufCMessage *m, struct error **err)
{
	if (r->inventory) {
		message_free(m);
		return refuse(err, EBADMSG, NULL, "the image has two inventories");
	}
	r->inventory = (Rec__Inventory *)m;
	return 0;
}

static int take_parent(struct rebuild *r, ProtobufCMessage *m, struct error **err)
{
	if (r->parent) {
		message_free(m);
		return refuse(err, EBADMSG, NULL, "the image has two parents");
	}
	r->parent = (Rec__Parent *)m;
	return 0;
}

static int take_task(struct rebuild *r, ProtobufCMessage *m, struct error **err)
{
	struct rebuilt_task *t = calloc(1, sizeof *t), **slot;

	slot = t ? vec_push(&r->tasks) : NULL;
	if (!slot) {
		free(t);
		message_free(m);
		return out_of_memory(err);
	}
	*t = (struct rebuilt_task){.record = (Rec__Task *)m, .proc = -1, .mem = -1};
	*slot = t;
	return 0;
}

/* The task must have come before: records of a task follow its own. */
static int take_memory(struct rebuild *r, ProtobufCMessage *m, struct error **err)
{
	struct rebuilt_task *t = rebuilt_task(r, ((Rec__Memory *)m)->pid);

	if (!t || t->memory) {
		message_free(m);
		return refuse(err, EBADMSG, NULL, "the image has memory of a process it does not have");
	}
	t->memory = (Rec__Memory *)m;
	return 0;
}

static int take_thread(struct rebuild *r, ProtobufCMessage *m, struct error **err)
{
	struct rebuilt_task *t = rebuilt_task(r, ((Rec__Thread *)m)->pid);
	struct rebuilt_thread *th = t ? vec_push(&t->threads) : NULL;

	if (!th) {
		message_free(m);
		return t ? out_of_memory(err)
			 : refuse(err, EBADMSG, NULL,
				  "the image has a thread of a process it does not have");
	}
	*th = (struct rebuilt_thread){.task = t, .record = (Rec__Thread *)m};
	return 0;
}

static int take_file(struct rebuild *r, const struct kind *k, ProtobufCMessage *m,
		     struct error **err)
{
	const Rec__File *common = kind_file(m);
	struct rebuilt_file *f;

	if (!common || common->id == 0) {
		message_free(m);
		return refuse(err, EBADMSG, NULL, "the image has a file (%s) without an id", k->name);
	}
	f = vec_push(&r->files);
	if (!f) {
		message_free(m);
		return out_of_memory(err);
	}
	*f = (struct rebuilt_file){.id = common->id, .kind = k, .message = m, .fd = -1};
	return 0;
}

static int take_state(struct rebuild *r, const struct kind *k, ProtobufCMessage *m,
		      struct error **err)
{
	struct rebuilt_state *s = vec_push(&r->states);

	if (!s) {
		message_free(m);
		return out_of_memory(err);
	}
	*s = (struct rebuilt_state){k, m};
	return 0;
}

static int take_record(struct rebuild *r, const struct image_frame *frame, struct error **err)
{
	const ProtobufCMessageDescriptor *schema = record_schema(frame->type);
	const struct kind *k = kind_by_tag(frame->type);
	ProtobufCMessage *m;
	int res;

	if (!schema && (frame->flags & IMAGE_FRAME_OPTIONAL))
		return 0;
	if (!schema)
		return refuse(err, ENOTSUP, "use the version that made the image, or a later one",
			      "the image has a record (type %u) that this version does not know",
			      frame->type);
	res = image_unpack(frame, schema, &m, err);
	if (res < 0)
		return res;
	if (!r->inventory && frame->type != TAG_INVENTORY) {
		message_free(m);
		return refuse(err, EBADMSG, NULL, "the image does not begin with its inventory");
	}
	switch (frame->type) {
	case TAG_INVENTORY:
		return take_inventory(r, m, err);
	case TAG_PARENT:
		return take_parent(r, m, err);
	case TAG_TASK:
		return take_task(r, m, err);
	case TAG_MEMORY:
		return take_memory(r, m, err);
	case TAG_THREAD:
		return take_thread(r, m, err);
	default:
		return k->file ? take_file(r, k, m, err) : take_state(r, k, m, err);
	}
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = ((const struct rebuilt_file *)a)->id, y = ((const struct rebuilt_file *)b)->id;

	return x < y ? -1 : x > y;
}

static int by_tag_and_owner(const void *a, const void *b)
{
	const struct rebuilt_state *x = a, *y = b;
	uint32_t p = kind_owner(x->message), q = kind_owner(y->message);

	if (x->kind->tag != y->kind->tag)
		return x->kind->tag < y->kind->tag ? -1 : 1;
	return p < q ? -1 : p > q;
}

/*
 * A thread looks for its states among those of thousands.  Of two of one kind nobody could say which
 * is to be restored.
 */
static int sort_states(struct rebuild *r, struct error **err)
{
	if (r->states.count)
		qsort(r->states.items, r->states.count, sizeof *r->states.items, by_tag_and_owner);
	for (size_t i = 1; i < r->states.count; i++)
		if (by_tag_and_owner(&r->states.items[i - 1], &r->states.items[i]) == 0)
			return refuse(err, EBADMSG, NULL, "the image has the same state (%s) twice",
				      r->states.items[i].kind->name);
	return 0;
}

/* rebuilt_file() searches them by id. */
static int sort_files(struct rebuild *r, struct error **err)
{
	if (r->files.count)
		qsort(r->files.items, r->files.count, sizeof *r->files.items, by_id);
	for (size_t i = 1; i < r->files.count; i++)
		if (r->files.items[i].id == r->files.items[i - 1].id)
			return refuse(err, EBADMSG, NULL, "the image has two files of one id");
	return 0;
}

int load_image(struct image_reader *reader, struct rebuild *r, struct image_frame *ret_frame,
	       bool *ret_more, struct error **err)
{
	for (;;) {
		int n = image_reader_next(reader, ret_frame, err);

		if (n < 0)
			return n;
		*ret_more = n > 0;
		if (n == 0 || ret_frame->type == IMAGE_TYPE_MEMORY) {
			n = sort_files(r, err);
			if (n == 0)
				n = sort_states(r, err);
			return n < 0 ? n : validate_image(r, err);
		}
		n = take_record(r, ret_frame, err);
		if (n < 0)
			return n;
	}
}
