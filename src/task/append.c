#include "task/append.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *message_append(void *list, size_t *count, const ProtobufCMessageDescriptor *schema)
{
	ProtobufCMessage *m = calloc(1, schema->sizeof_message);
	void *old, *grown;

	/* Each field's array has a type of its own: its address is only ever copied. */
	memcpy(&old, list, sizeof old);
	grown = m ? reallocarray(old, *count + 1, sizeof m) : NULL;
	if (!grown) {
		free(m);
		return NULL;
	}
	protobuf_c_message_init(schema, m);
	memcpy((char *)grown + *count * sizeof m, &m, sizeof m);
	memcpy(list, &grown, sizeof grown);
	++*count;
	return m;
}

int bytes_append(ProtobufCBinaryData **list, size_t *count, const void *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	ProtobufCBinaryData *grown = copy ? reallocarray(*list, *count + 1, sizeof *grown) : NULL;

	if (!grown) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, bytes, size);
	grown[*count] = (ProtobufCBinaryData){.len = size, .data = copy};
	*list = grown;
	++*count;
	return 0;
}

int bytes_set(ProtobufCBinaryData *to, const void *bytes, size_t size)
{
	to->data = malloc(size ? size : 1);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, bytes, size);
	to->len = size;
	return 0;
}
