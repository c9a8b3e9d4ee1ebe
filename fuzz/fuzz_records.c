/*
 * Single records: unpacked, validated by their kind, printed.
 * First two bytes: which tag; the rest is the message.
 */
#include "engine/records.h"
#include "image/json.h"
#include "image/reader.h"
#include "kind/kind.h"
#include "mutator-record.h"
#include "pieces.h"

/* Those of the engine itself are 1 to 5. */
static uint32_t tag_of(const uint8_t *data)
{
	size_t which = (size_t)(data[0] | data[1] << 8) % (kinds_count + 5);

	return which < 5 ? (uint32_t)which + 1 : kinds[which - 5]->tag;
}

static void validate(const struct kind *k, const ProtobufCMessage *m)
{
	cleanup_error struct error *err = NULL;
	int (*check)(const ProtobufCMessage *m, struct error **err) =
		k->file ? k->file->validate : k->state->validate;
	int n;

	if (k->file && !kind_file(m))
		return; /* refused before its kind is asked */
	n = check ? check(m, &err) : 0;
	if (n < 0 ? error_count(err) == 0 || !error_why(err, 0)[0] : error_count(err) != 0)
		abort();
	if (k->state)
		kind_owner(m);
}

static void use(uint32_t tag, const uint8_t *bytes, size_t len)
{
	struct image_frame frame = {.type = tag, .payload = bytes, .length = len};
	const ProtobufCMessageDescriptor *schema = record_schema(tag);
	const struct kind *k = kind_by_tag(tag);
	cleanup_text struct text t = {0};
	ProtobufCMessage *m = NULL;

	if (image_unpack(&frame, schema, &m, NULL) < 0)
		return;
	if (k)
		validate(k, m);
	json_message(&t, m);
	json_message_human(&t, m, 1);
	protobuf_c_message_free_unpacked(m, NULL);
}

#ifdef FUZZ_MUTATOR
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct dice d = {seed};
	struct piece it;

	if (size < 2 || dice_below(&d, 8) == 0)
		return LLVMFuzzerMutate(data, size, max);
	it = piece_of(tag_of(data), 0, data + 2, size - 2);
	mutate_record(&d, &it);
	if (it.len <= max - 2) {
		memcpy(data + 2, it.bytes, it.len);
		size = it.len + 2;
	}
	free(it.bytes);
	return size;
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 2)
		use(tag_of(data), data + 2, size - 2);
	return 0;
}
