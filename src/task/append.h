/* Filling the repeated fields of a record, whose parts are all malloc'ed. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/*
 * Adds an initialised message to a repeated field: list is the address of its
 * array of pointers.  Returns the message, or NULL: no memory.
 *
 *	lock = message_append(&m->locks, &m->n_locks, &rec__lock__descriptor);
 */
void *message_append(void *list, size_t *count, const ProtobufCMessageDescriptor *schema);

/* Adds a copy of the bytes to a field of repeated bytes: 0 or -ENOMEM. */
int bytes_append(ProtobufCBinaryData **list, size_t *count, const void *bytes, size_t size);

/* A field of bytes becomes a copy of these: 0 or -ENOMEM. */
int bytes_set(ProtobufCBinaryData *to, const void *bytes, size_t size);
