/*
 * Changes records through their descriptors, as an adversary would who can compute
 * checksums: numbers at the edges, strings and bytes of odd lengths, lists that are
 * empty or too long, messages that are not there.
 *
 * Everything follows from one seed.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/record.h"

struct dice {
	uint64_t state;
};

static inline uint64_t dice_any(struct dice *d)
{
	/* splitmix64: every seed is as good as any other. */
	uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline size_t dice_below(struct dice *d, size_t n)
{
	return (size_t)(dice_any(d) % n);
}

static inline uint64_t mutate_number(struct dice *d, uint64_t v)
{
	switch (dice_below(d, 9)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return UINT64_MAX;
	case 3:
		return v + 1;
	case 4:
		return v - 1;
	case 5:
		return v ^ UINT64_C(1) << dice_below(d, 64);
	case 6:
		return UINT64_C(1) << dice_below(d, 64);
	case 7:
		return v * 2;
	default:
		return dice_below(d, 4096);
	}
}

/* Of a number in a message, however wide. */
static inline void mutate_at(struct dice *d, void *at, size_t size)
{
	uint64_t v = 0;

	memcpy(&v, at, size);
	v = mutate_number(d, v);
	memcpy(at, &v, size);
}

static inline char *mutated_string(struct dice *d, const char *old)
{
	static const char *const odd[] = {
		"", "/", "relative", "../../etc", "/dev/null", "/dev/zero", "/proc/self/mem",
		"/tmp", "/nonexistent/\x1b[31m\n", "/proc/self/exe", "//", "\xff\xfe",
	};
	size_t n = sizeof odd / sizeof *odd, len = strlen(old), which = dice_below(d, n + 3);
	char *s;

	if (which < n)
		return strdup(odd[which]);
	if (which == n)
		return strndup(old, dice_below(d, len + 1));
	s = calloc(1, len + 100000);
	memcpy(s, old, len);
	memset(s + len, which == n + 1 ? 'x' : '/', which == n + 1 ? 5000 : 99999);
	return s;
}

static inline void mutate_bytes(struct dice *d, ProtobufCBinaryData *b)
{
	size_t len = b->len;

	switch (dice_below(d, 4)) {
	case 0:
		len = 0;
		break;
	case 1:
		len = len ? dice_below(d, len) : 1;
		break;
	case 2:
		len += 1 + dice_below(d, 9000);
		break;
	default:
		if (len)
			b->data[dice_below(d, len)] ^= (uint8_t)(1U << dice_below(d, 8));
		return;
	}
	b->data = realloc(b->data, len + 1);
	if (len > b->len)
		memset(b->data + b->len, (int)dice_any(d), len - b->len);
	b->len = len;
}

static inline ProtobufCMessage *message_copy(const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = malloc(len + 1);
	ProtobufCMessage *copy;

	protobuf_c_message_pack(m, bytes);
	copy = protobuf_c_message_unpack(m->descriptor, NULL, len, bytes);
	free(bytes);
	return copy;
}

static inline ProtobufCMessage *message_empty(const ProtobufCMessageDescriptor *d)
{
	return protobuf_c_message_unpack(d, NULL, 0, NULL);
}

static inline void mutate_message(struct dice *d, ProtobufCMessage *m);

/* from NULL: an element that has nothing in it. */
static inline void list_append(char **list, size_t *count, const ProtobufCFieldDescriptor *f,
			       const void *from)
{
	size_t size = record_value_size(f->type);
	char *to;

	*list = realloc(*list, (*count + 1) * size);
	to = *list + (*count)++ * size;
	memset(to, 0, size);
	if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		*(ProtobufCMessage **)to = from ? message_copy(*(ProtobufCMessage *const *)from)
						: message_empty(f->descriptor);
	} else if (f->type == PROTOBUF_C_TYPE_BYTES && from) {
		const ProtobufCBinaryData *b = from;
		ProtobufCBinaryData *copy = (ProtobufCBinaryData *)to;

		*copy = (ProtobufCBinaryData){b->len, malloc(b->len + 1)};
		if (b->len)
			memcpy(copy->data, b->data, b->len);
	} else if (from) {
		memcpy(to, from, size);
	}
}

static inline void list_drop_last(char *list, size_t *count, const ProtobufCFieldDescriptor *f)
{
	char *last = list + --*count * record_value_size(f->type);

	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		protobuf_c_message_free_unpacked(*(ProtobufCMessage **)last, NULL);
	else if (f->type == PROTOBUF_C_TYPE_BYTES)
		free(((ProtobufCBinaryData *)last)->data);
}

static inline void list_swap(struct dice *d, char *list, size_t count, size_t size)
{
	char *a = list + dice_below(d, count) * size, *b = list + dice_below(d, count) * size;
	char between[sizeof(ProtobufCBinaryData)];

	memcpy(between, a, size);
	memmove(a, b, size);
	memcpy(b, between, size);
}

static inline void mutate_list(struct dice *d, char **list, size_t *count,
			       const ProtobufCFieldDescriptor *f)
{
	size_t size = record_value_size(f->type), action = dice_below(d, *count ? 9 : 2);
	char *one = *count ? *list + dice_below(d, *count) * size : NULL;
	size_t times = 1;

	switch (action) {
	case 0:
		list_append(list, count, f, NULL);
		return;
	case 1: /* many: whoever believes in a number of them is found out */
		times = 1 + dice_below(d, 3000);
		/* Lists of long lists would be millions of messages: ours, and no image's. */
		if (*count > 100 || (f->type == PROTOBUF_C_TYPE_MESSAGE && *count &&
				     protobuf_c_message_get_packed_size(
					     *(ProtobufCMessage *const *)*list) > 100))
			times = 1;
		while (times--) {
			size_t which = *count ? dice_below(d, *count) : 0;

			/* The list may move while it grows. */
			char *copy = malloc(size);

			if (*count)
				memcpy(copy, *list + which * size, size);
			list_append(list, count, f, *count ? copy : NULL);
			free(copy);
		}
		return;
	case 2:
		while (*count)
			list_drop_last(*list, count, f);
		return;
	case 3:
		list_drop_last(*list, count, f);
		return;
	case 4:
		list_swap(d, *list, *count, size);
		return;
	default:
		break;
	}
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		mutate_message(d, *(ProtobufCMessage **)one);
	else if (f->type == PROTOBUF_C_TYPE_BYTES)
		mutate_bytes(d, (ProtobufCBinaryData *)one);
	else if (f->type != PROTOBUF_C_TYPE_STRING)
		mutate_at(d, one, size);
}

static inline void mutate_field(struct dice *d, ProtobufCMessage *m,
				const ProtobufCFieldDescriptor *f)
{
	char *at = (char *)m + f->offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		mutate_list(d, (char **)at, (size_t *)((char *)m + f->quantifier_offset), f);
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		ProtobufCMessage **part = (ProtobufCMessage **)at;

		if (*part && dice_below(d, 4)) {
			mutate_message(d, *part);
		} else if (*part) {
			protobuf_c_message_free_unpacked(*part, NULL);
			*part = NULL;
		} else {
			*part = message_empty(f->descriptor);
		}
	} else if (f->type == PROTOBUF_C_TYPE_STRING) {
		char **s = (char **)at, *old = *s;

		*s = mutated_string(d, old);
		if (old != f->default_value && old != protobuf_c_empty_string)
			free(old);
	} else if (f->type == PROTOBUF_C_TYPE_BYTES) {
		mutate_bytes(d, (ProtobufCBinaryData *)at);
	} else if (f->type == PROTOBUF_C_TYPE_BOOL) {
		*(protobuf_c_boolean *)at ^= 1;
	} else {
		mutate_at(d, at, record_value_size(f->type));
	}
}

static inline void mutate_message(struct dice *d, ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *s = m->descriptor;

	if (s->n_fields)
		mutate_field(d, m, &s->fields[dice_below(d, s->n_fields)]);
}
