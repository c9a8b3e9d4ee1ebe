/*
 * An image as hostile input, through the reader, the unpacking of records and the printer.
 * First byte: 1 checksums are put right; 2 the data of memory is passed over.
 */
#include "image/json.h"
#include "image/reader.h"
#include "engine/records.h"
#include "mutator.h"
#include "pieces.h"

static void use_record(const struct image_frame *frame)
{
	const ProtobufCMessageDescriptor *schema = record_schema(frame->type);
	cleanup_text struct text t = {0};
	ProtobufCMessage *m = NULL;

	if (!schema || image_unpack(frame, schema, &m, NULL) < 0)
		return;
	json_message(&t, m);
	json_message_human(&t, m, 1);
	protobuf_c_message_free_unpacked(m, NULL);
}

/* The reader promises that these bytes are there, and that they are whole pages of a run. */
static int use_part(void *arg, const struct page_run *part, const void *data, struct error **err)
{
	const volatile uint8_t *bytes = data;
	uint64_t *left = arg;

	(void)err;
	if (part->length == 0 || part->length > *left)
		abort();
	*left -= part->length;
	(void)bytes[0];
	(void)bytes[part->length - 1];
	return 0;
}

static int use_memory(struct image_reader *r, const struct image_frame *frame, struct error **err)
{
	uint64_t left = frame->stored.raw_length;
	int n = image_reader_data(r, &(struct image_sink){use_part, &left}, err);

	if (n == 0 && left)
		abort();
	return n;
}

static void read_image(int fd, bool skip)
{
	cleanup_image_reader struct image_reader *r = NULL;
	cleanup_error struct error *err = NULL;
	struct image_frame frame;
	int n;

	if (image_reader_open_fd(&r, fd, "fuzz", &err) < 0)
		return;
	if (skip)
		image_reader_skip_data(r);
	while ((n = image_reader_next(r, &frame, &err)) > 0) {
		if (frame.type != IMAGE_TYPE_MEMORY)
			use_record(&frame);
		else if (!skip)
			n = use_memory(r, &frame, &err);
		if (n < 0)
			break;
	}
	if (n < 0 && error_count(err) != 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_close int fd = size ? image_memfd(data + 1, size - 1, data[0] & 1) : -1;

	if (fd >= 0)
		read_image(fd, data[0] & 2);
	return 0;
}
