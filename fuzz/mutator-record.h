/* One record is changed: its fields (tests/unit/mutate.h), or its bytes. */
#pragma once

#ifdef FUZZ_MUTATOR

#include "engine/records.h"
#include "image/reader.h"
#include "mutate.h"
#include "pieces.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

/* Grown by a quarter at most, and by 64 bytes. */
static inline void mutate_blindly(struct piece *it)
{
	size_t max = it->len + it->len / 4 + 64;

	it->bytes = realloc(it->bytes, max + 1);
	it->len = LLVMFuzzerMutate(it->bytes, it->len, max);
}

static inline void mutate_record(struct dice *d, struct piece *it)
{
	struct image_frame frame = {.type = it->type, .payload = it->bytes, .length = it->len};
	const ProtobufCMessageDescriptor *schema = record_schema(it->type);
	ProtobufCMessage *m = NULL;

	if (!schema || dice_below(d, 8) == 0 || image_unpack(&frame, schema, &m, NULL) < 0) {
		mutate_blindly(it);
		return;
	}
	for (size_t n = 1 + dice_below(d, 3); n > 0; n--)
		mutate_message(d, m);
	free(it->bytes);
	it->len = protobuf_c_message_get_packed_size(m);
	it->bytes = malloc(it->len + 1);
	protobuf_c_message_pack(m, it->bytes);
	protobuf_c_message_free_unpacked(m, NULL);
}

#endif
