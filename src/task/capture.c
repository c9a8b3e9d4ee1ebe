#include "task/capture.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"

int capture_record(struct capture *c, const struct kind *kind, ProtobufCMessage *message)
{
	struct record *r = vec_push(&c->records);

	if (!r) {
		protobuf_c_message_free_unpacked(message, NULL);
		return -ENOMEM;
	}
	*r = (struct record){kind, message};
	return 0;
}

uint32_t capture_share(struct capture *c, uint32_t space, uint64_t key0, uint64_t key1,
		       uint32_t owner)
{
	struct shared *s;

	vec_each(it, &c->shared)
		if (it->space == space && it->key[0] == key0 && it->key[1] == key1)
			return it->owner;
	s = vec_push(&c->shared);
	if (!s)
		return 0;
	*s = (struct shared){space, {key0, key1}, owner};
	return owner;
}

void capture_free(struct capture *c)
{
	vec_each(r, &c->records)
		protobuf_c_message_free_unpacked(r->message, NULL);
	vec_free(&c->records);
	vec_each(it, &c->contents)
		close_fdp(&it->fd);
	vec_free(&c->contents);
	vec_free(&c->shared);
	vec_free(&c->by_description);
	file_table_free(&c->files);
	tree_free(&c->tree);
}
