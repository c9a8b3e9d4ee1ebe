/* What all kinds' messages have in common. */
#include "kind/kind.h"

#include <stdlib.h>

const struct kind *kind_by_tag(uint32_t tag)
{
	for (size_t i = 0; i < kinds_count; i++)
		if (kinds[i]->tag == tag)
			return kinds[i];
	return NULL;
}

void *kind_message(const struct kind *kind)
{
	ProtobufCMessage *m = calloc(1, kind->schema->sizeof_message);

	if (m)
		protobuf_c_message_init(kind->schema, m);
	return m;
}

void message_free(ProtobufCMessage *m)
{
	if (m)
		protobuf_c_message_free_unpacked(m, NULL);
}

static const void *first_field(const ProtobufCMessage *m, ProtobufCType type)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(m->descriptor, 1);

	return f && f->type == type ? (const char *)m + f->offset : NULL;
}

Rec__File *kind_file(const ProtobufCMessage *m)
{
	Rec__File *const *file = first_field(m, PROTOBUF_C_TYPE_MESSAGE);

	return file ? *file : NULL;
}

uint32_t kind_owner(const ProtobufCMessage *m)
{
	const uint32_t *owner = first_field(m, PROTOBUF_C_TYPE_UINT32);

	return owner ? *owner : 0;
}
