#include "image/json.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "image/record.h"

/* Messages of our schema nest a few levels; what is deeper is cut off. */
#define MAX_DEPTH 32U

enum style {
	JSON,
	HUMAN,
};

/* One value: where it is, and what its field says about it. */
struct value {
	const ProtobufCFieldDescriptor *field;
	const uint8_t *at;
};

static void add_message(struct text *t, const ProtobufCMessage *m, enum style style,
			unsigned depth);

/* The length of the UTF-8 sequence at s (RFC 3629), 0: there is none. */
static size_t utf8_length(const uint8_t *s, size_t len)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		   s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Longer than need be, a surrogate, or beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void add_escape(struct text *t, uint8_t c)
{
	static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (size_t i = 0; letters[i]; i += 2)
		if ((uint8_t)letters[i] == c) {
			text_add(t, "\\%c", letters[i + 1]);
			return;
		}
	text_add(t, "\\u%04x", c);
}

void json_string(struct text *t, const void *bytes, size_t len)
{
	const uint8_t *s = bytes, *plain = s, *end = s + len;

	text_add_bytes(t, "\"", 1);
	while (s < end) {
		size_t n = utf8_length(s, (size_t)(end - s));

		if (n > 1 || (n == 1 && *s >= 0x20 && *s != '"' && *s != '\\' && *s != 0x7f)) {
			s += n;
			continue;
		}
		text_add_bytes(t, plain, (size_t)(s - plain));
		if (n == 0)
			text_add(t, "\\udc%02x", *s);
		else
			add_escape(t, *s);
		plain = ++s;
	}
	text_add_bytes(t, plain, (size_t)(s - plain));
	text_add_bytes(t, "\"", 1);
}

static void add_bytes(struct text *t, const ProtobufCBinaryData *b, enum style style)
{
	if (b->len > JSON_MAX_HEX) {
		text_add(t, style == JSON ? "{\"bytes\":%zu}" : "(%zu bytes)", b->len);
		return;
	}
	if (style == JSON)
		text_add(t, "\"");
	for (size_t i = 0; i < b->len; i++)
		text_add(t, "%02x", b->data[i]);
	if (style == JSON)
		text_add(t, "\"");
}

static void add_double(struct text *t, double v)
{
	if (isfinite(v))
		text_add(t, "%.17g", v);
	else
		text_add(t, "null"); /* JSON has no word for these */
}

static void add_enum(struct text *t, const ProtobufCEnumDescriptor *d, int32_t v,
		     enum style style)
{
	const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(d, v);

	if (!known)
		text_add(t, "%d", v);
	else
		text_add(t, style == JSON ? "\"%s\"" : "%s", known->name);
}

/* Members of a message have the alignment of their type, so a copy is as good as a cast. */
#define LOAD(T, at)                               \
	({                                        \
		T loaded_;                        \
		memcpy(&loaded_, (at), sizeof loaded_); \
		loaded_;                          \
	})

static void add_value(struct text *t, struct value v, enum style style, unsigned depth)
{
	const char *s;

	switch (v.field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		text_add(t, "%d", LOAD(int32_t, v.at));
		return;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		text_add(t, "%u", LOAD(uint32_t, v.at));
		return;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		text_add(t, "%lld", (long long)LOAD(int64_t, v.at));
		return;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		text_add(t, "%llu", (unsigned long long)LOAD(uint64_t, v.at));
		return;
	case PROTOBUF_C_TYPE_FLOAT:
		add_double(t, (double)LOAD(float, v.at));
		return;
	case PROTOBUF_C_TYPE_DOUBLE:
		add_double(t, LOAD(double, v.at));
		return;
	case PROTOBUF_C_TYPE_BOOL:
		text_add(t, "%s", LOAD(protobuf_c_boolean, v.at) ? "true" : "false");
		return;
	case PROTOBUF_C_TYPE_ENUM:
		add_enum(t, v.field->descriptor, LOAD(int32_t, v.at), style);
		return;
	case PROTOBUF_C_TYPE_STRING:
		s = LOAD(const char *, v.at);
		json_string(t, s ? s : "", s ? strlen(s) : 0);
		return;
	case PROTOBUF_C_TYPE_BYTES:
		add_bytes(t, (const ProtobufCBinaryData *)(const void *)v.at, style);
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		add_message(t, LOAD(const ProtobufCMessage *, v.at), style, depth);
		return;
	}
}

/* Zero or empty: what a field without presence has when nobody set it. */
static bool is_default(struct value v)
{
	static const uint8_t zeros[8];
	const char *s;

	switch (v.field->type) {
	case PROTOBUF_C_TYPE_STRING:
		s = LOAD(const char *, v.at);
		return !s || !*s;
	case PROTOBUF_C_TYPE_BYTES:
		return LOAD(ProtobufCBinaryData, v.at).len == 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !LOAD(const void *, v.at);
	default:
		return memcmp(v.at, zeros, record_value_size(v.field->type)) == 0;
	}
}

/* How many values the field has in m, and where the first is. */
static size_t field_values(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
			   enum style style, struct value *ret)
{
	const uint8_t *base = (const uint8_t *)m, *quantifier = base + f->quantifier_offset;

	*ret = (struct value){f, base + f->offset};
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = LOAD(size_t, quantifier);

		ret->at = LOAD(const uint8_t *, ret->at);
		return n;
	}
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return LOAD(uint32_t, quantifier) == f->id;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return !is_default(*ret);
	if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type == PROTOBUF_C_TYPE_STRING)
		return LOAD(const char *, ret->at) != NULL;
	if (f->label == PROTOBUF_C_LABEL_OPTIONAL)
		return LOAD(protobuf_c_boolean, quantifier) != 0;
	return style == JSON || !is_default(*ret);
}

static void add_values(struct text *t, struct value v, size_t count, enum style style,
		       unsigned depth)
{
	bool list = v.field->label == PROTOBUF_C_LABEL_REPEATED;

	if (list)
		text_add(t, "[");
	for (size_t i = 0; i < count; i++, v.at += record_value_size(v.field->type)) {
		if (i > 0)
			text_add(t, style == JSON ? "," : " ");
		add_value(t, v, style, depth);
	}
	if (list)
		text_add(t, "]");
}

static void add_message(struct text *t, const ProtobufCMessage *m, enum style style,
			unsigned depth)
{
	bool first = true;

	text_add(t, "{");
	for (unsigned i = 0; m && depth < MAX_DEPTH && i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		struct value v;
		size_t count = field_values(m, f, style, &v);
		bool list = f->label == PROTOBUF_C_LABEL_REPEATED;

		if (count == 0 && (style == HUMAN || !list))
			continue;
		if (!first)
			text_add(t, style == JSON ? "," : " ");
		first = false;
		text_add(t, style == JSON ? "\"%s\":" : "%s=", f->name);
		add_values(t, v, count, style, depth + 1);
	}
	text_add(t, "}");
}

void json_message(struct text *t, const ProtobufCMessage *m)
{
	add_message(t, m, JSON, 0);
}

void json_message_human(struct text *t, const ProtobufCMessage *m, unsigned indent)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		struct value v;
		size_t count = field_values(m, f, HUMAN, &v);

		for (size_t k = 0; k < count; k++, v.at += record_value_size(f->type)) {
			/* Messages have a line each, plain values of one field share one. */
			if (k == 0 || f->type == PROTOBUF_C_TYPE_MESSAGE)
				text_add(t, "%s%*s%s:", k ? "\n" : "", (int)(2 * indent), "",
					 f->name);
			text_add(t, " ");
			add_value(t, v, HUMAN, 1);
		}
		if (count > 0)
			text_add(t, "\n");
	}
}
