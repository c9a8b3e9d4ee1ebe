/*
 * libFuzzer target: an image as hostile input, through the reader, the
 * unpacking of records and the printer.
 *
 * Checksums would stop nearly every input at the first frame.  So the first
 * byte says whether they are put right before the image is read: with that,
 * everything behind them is reached as well.
 *
 *	protoc-c --proto_path=src/image --c_out=gen src/image/records.proto
 *	clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -Isrc -Igen \
 *		fuzz/fuzz_reader.c gen/records.pb-c.c src/base/[a-z]*.c src/image/[a-z]*.c \
 *		-lprotobuf-c -lzstd -lxxhash -o fuzz_reader
 *	./fuzz_reader -max_len=65536 CORPUS
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/fd.h"
#include "image/json.h"
#include "image/reader.h"
#include "records.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With many fields and with nested messages: the others are no different. */
static const ProtobufCMessageDescriptor *const descriptors[] = {
	&rec__inventory__descriptor, &rec__task__descriptor,   &rec__thread__descriptor,
	&rec__memory__descriptor,    &rec__signals__descriptor, &rec__regular__descriptor,
	&rec__locks__descriptor,     &rec__pipe__descriptor,
};

static void mend_frame(uint8_t *at, size_t len, struct image_frame_header *h)
{
	/* A header whose hash is wrong still says a type and a length: read them as they stand. */
	memcpy(&h->type, at, sizeof h->type);
	memcpy(&h->flags, at + 4, sizeof h->flags);
	memcpy(&h->length, at + 8, sizeof h->length);
	if (h->length > len - IMAGE_FRAME_HEADER_SIZE)
		h->length %= len - IMAGE_FRAME_HEADER_SIZE + 1;
	h->hash = XXH3_64bits(at + IMAGE_FRAME_HEADER_SIZE, h->length);
	image_frame_header_encode(h, at);
}

/* Makes all checksums right. */
static void mend(uint8_t *image, size_t size)
{
	struct image_header header = image_header_here();
	XXH3_state_t *chain = XXH3_createState();
	struct image_end end = {0};
	size_t at = IMAGE_HEADER_SIZE;

	if (size >= IMAGE_HEADER_SIZE)
		image_header_encode(&header, image);
	XXH3_128bits_reset(chain);
	XXH3_128bits_update(chain, image, size < IMAGE_HEADER_SIZE ? size : IMAGE_HEADER_SIZE);
	while (size > at && size - at >= IMAGE_FRAME_HEADER_SIZE) {
		struct image_frame_header h;

		mend_frame(image + at, size - at, &h);
		if (h.type == IMAGE_TYPE_END && h.length == IMAGE_END_SIZE) {
			XXH128_hash_t hash = XXH3_128bits_digest(chain);

			end.identity = (struct image_identity){hash.low64, hash.high64};
			image_end_encode(&end, image + at + IMAGE_FRAME_HEADER_SIZE);
			mend_frame(image + at, size - at, &h);
		}
		XXH3_128bits_update(chain, image + at, IMAGE_FRAME_HEADER_SIZE);
		at += IMAGE_FRAME_HEADER_SIZE + h.length;
		end.frames++;
	}
	XXH3_freeState(chain);
}

static void use_record(const struct image_frame *frame)
{
	size_t n = sizeof descriptors / sizeof *descriptors;
	cleanup_text struct text t = {0};
	ProtobufCMessage *m = NULL;

	if (image_unpack(frame, descriptors[frame->type % n], &m, NULL) < 0)
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

	if (lseek(fd, 0, SEEK_SET) < 0 || image_reader_open_fd(&r, fd, "fuzz", &err) < 0)
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
	cleanup_close int fd = -1;
	uint8_t *image;

	if (size < 1)
		return 0;
	image = malloc(size);
	if (!image)
		return 0;
	memcpy(image, data + 1, size - 1);
	if (data[0] & 1)
		mend(image, size - 1);
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd >= 0 && fd_write(fd, image, size - 1) == 0)
		read_image(fd, data[0] & 2);
	free(image);
	return 0;
}
