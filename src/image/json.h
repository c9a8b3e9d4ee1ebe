/*
 * Prints any message through its descriptor, so that what the schema gains is
 * shown without a line of code.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/str.h"

/*
 * One JSON object, keys as in the schema.  Fields without presence are always
 * there, absent optional ones never.  Enums by name; bytes as hex digits, or
 * {"bytes": N} beyond JSON_MAX_HEX; a byte of a string that is not UTF-8
 * becomes U+DC80..U+DCFF, so that the name of a file survives.
 */
#define JSON_MAX_HEX 64
void json_message(struct text *t, const ProtobufCMessage *m);

/* One JSON string, quotes included. */
void json_string(struct text *t, const void *bytes, size_t len);

/*
 * For people: a "name: value" line for each field, indented by indent levels
 * of two spaces, without what is zero or empty.  A message within it stands
 * on one line, as {name=value name=value}.
 */
void json_message_human(struct text *t, const ProtobufCMessage *m, unsigned indent);
