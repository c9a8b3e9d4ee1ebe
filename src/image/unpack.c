/*
 * A record's bytes become a message.  protobuf-c trusts its input with depth
 * (it recurses) and with memory (two bytes can become a whole struct), so
 * both are limited here.
 */
#include "image/reader.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_DEPTH 16U
/* What a message may take: this many bytes, and so many for each of its own. */
#define BUDGET_BASE ((size_t)1 << 20)
#define BUDGET_FACTOR ((size_t)64)

struct budget {
	size_t left;
	bool exceeded;
};

/* The memory is malloc's own, so that the message can be freed without the budget. */
static void *budget_alloc(void *data, size_t size)
{
	struct budget *b = data;

	if (size > b->left) {
		b->exceeded = true;
		return NULL;
	}
	b->left -= size;
	return malloc(size);
}

static void budget_free(void *data, void *p)
{
	(void)data;
	free(p);
}

/* A base-128 number of at most 10 bytes. */
static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
		uint8_t byte = *(*at)++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* Passes over one field; *ret_len is not 0 when it has a length: then its bytes end at *at. */
static bool next_field(const uint8_t **at, const uint8_t *end, uint64_t *ret_key,
		       uint64_t *ret_len)
{
	uint64_t n = 0;

	*ret_len = 0;
	if (!get_varint(at, end, ret_key))
		return false;
	switch (*ret_key & 7) {
	case 0:
		return get_varint(at, end, &n);
	case 1:
		n = 8;
		break;
	case 2:
		if (!get_varint(at, end, &n))
			return false;
		*ret_len = n;
		break;
	case 5:
		n = 4;
		break;
	default:
		return false;
	}
	if (n > (uint64_t)(end - *at))
		return false;
	*at += n;
	return true;
}

static bool depth_is_fine(const ProtobufCMessageDescriptor *d, const uint8_t *at,
			  const uint8_t *end, unsigned depth)
{
	if (depth > MAX_DEPTH)
		return false;
	while (at < end) {
		const ProtobufCFieldDescriptor *field;
		uint64_t key, len;

		if (!next_field(&at, end, &key, &len))
			return false;
		field = protobuf_c_message_descriptor_get_field(d, (unsigned)(key >> 3));
		if (len == 0 || !field || field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (!depth_is_fine(field->descriptor, at - len, at, depth + 1))
			return false;
	}
	return true;
}

int image_unpack(const struct image_frame *frame, const ProtobufCMessageDescriptor *d,
		 ProtobufCMessage **ret, struct error **err)
{
	struct budget budget = {.left = BUDGET_BASE + BUDGET_FACTOR * frame->length};
	ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
	unsigned long long n = frame->index;
	ProtobufCMessage *m;

	if (frame->type == 0 || frame->type > IMAGE_TYPE_RECORD_MAX)
		return refuse(err, EBADMSG, NULL, "frame %llu of the image is no record", n);
	/* An empty record has no payload at all. */
	if (frame->length && !depth_is_fine(d, frame->payload, frame->payload + frame->length, 0))
		return refuse(err, EBADMSG, NULL,
			      "frame %llu of the image (%s) is malformed", n, d->name);
	m = protobuf_c_message_unpack(d, &allocator, frame->length, frame->payload);
	if (!m && budget.exceeded)
		return refuse(err, EBADMSG, NULL,
			      "frame %llu of the image (%s) would need too much memory", n, d->name);
	if (!m)
		return refuse(err, EBADMSG, NULL,
			      "frame %llu of the image (%s) is malformed", n, d->name);
	*ret = m;
	return 0;
}
