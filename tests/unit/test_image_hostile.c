/*
 * Images that are damaged, cut off, from elsewhere, or made to hurt: each
 * gets one clear sentence.
 */
#include "image_try.h"

#include <elf.h>
#include <errno.h>
#include <zstd.h>

/* Every bit of the file is covered by some check, for both encodings. */
static void test_every_byte(void **state)
{
	(void)state;
	for (int level = 0; level < 2; level++) {
		cleanup_bytes struct bytes b = small_image(level);
		cleanup_close int fd = memfd_of(b.at, b.len);

		for (size_t i = 0; i < b.len; i++) {
			/* Within pages one byte in 61 will do. */
			uint8_t broken = b.at[i] ^ (uint8_t)(1U << i % 8);
			cleanup_error struct error *err = NULL;

			if (level == 0 && i > PAGE && i < 3 * PAGE && i % 61)
				continue;
			assert_int_equal(fd_pwrite(fd, &broken, 1, i), 0);
			assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
			if (read_all_fd(fd, false, &err) >= 0)
				fail_msg("byte %zu of %zu is not covered", i, b.len);
			assert_int_equal(error_count(err), 1);
			assert_int_equal(error_outcome(err), OUTCOME_REFUSED);
			assert_int_equal(fd_pwrite(fd, &b.at[i], 1, i), 0);
		}
		assert_int_equal(read_all(b.at, b.len, NULL), 0);
	}
}

static void test_every_length(void **state)
{
	cleanup_bytes struct bytes b = small_image(0);

	(void)state;
	for (size_t len = 0; len < b.len; len++) {
		struct bytes cut = {b.at, len};
		const char *why = len == 0 ? "x.stasis is empty" :
				  len < IMAGE_HEADER_SIZE ? "x.stasis ends in the middle of its" :
							    "it was not written completely";

		/* Every length around the edges of things, and some within the pages. */
		if (len > PAGE + 16 && len < 3 * PAGE - 16 && len % 97)
			continue;
		assert_refused(&cut, why);
	}
}

/* Cut within memory that nobody read: still found. */
static void test_cut_and_skipped(void **state)
{
	cleanup_bytes struct bytes b = small_image(0);
	cleanup_close int fd = memfd_of(b.at, 2 * PAGE);

	(void)state;
	assert_int_equal(read_all_fd(fd, true, NULL), -EBADMSG);
}

static void test_sentences(void **state)
{
	cleanup_bytes struct bytes b = small_image(0);

	(void)state;
	b.at[b.len - IMAGE_END_SIZE - IMAGE_FRAME_HEADER_SIZE - 1] ^= 1;
	assert_refused(&b, "x.stasis is damaged: in frame 2 (memory, at byte 124), the checksum does not match");
	b.len -= IMAGE_END_SIZE + IMAGE_FRAME_HEADER_SIZE;
	b.at[b.len - 1] ^= 1;
	assert_refused(&b, "x.stasis ends after 3 frames without an end mark");
	b.len--;
	assert_refused(&b, "x.stasis ends in the middle of frame 2: it was not written completely");
	b.at[IMAGE_HEADER_SIZE + IMAGE_FRAME_HEADER_SIZE] ^= 1;
	assert_refused(&b, "in frame 0 (record 2, at byte 32), the checksum does not match");
	b.at[IMAGE_HEADER_SIZE] ^= 1;
	assert_refused(&b, "in frame 0 (at byte 32), the checksum of its header does not match");
}

static void test_something_behind(void **state)
{
	cleanup_bytes struct bytes b = small_image(0);

	(void)state;
	bytes_add(&b, "", 1);
	assert_refused(&b, "something follows its end");
}

static void test_not_an_image(void **state)
{
	char text[] = "#!/bin/sh\necho this is something else entirely\n";
	struct bytes b = {(uint8_t *)text, sizeof text};

	(void)state;
	assert_refused(&b, "x.stasis is not a Stasis image");
	b.len = 3;
	assert_refused(&b, "x.stasis is not a Stasis image");
}

static void test_text_mode(void **state)
{
	cleanup_bytes struct bytes b = small_image(0);

	(void)state;
	memmove(b.at + 4, b.at + 5, b.len - 5); /* \r\n became \n */
	assert_refused(&b, "took it for text");
	b.at[0] &= 0x7f;
	assert_refused(&b, "took it for text");
}

static void assert_header_refused(struct image_header h, const char *why)
{
	cleanup_bytes struct bytes b = {0};

	add_header(&b, &h);
	add_end(&b);
	assert_refused(&b, why);
}

static void test_headers(void **state)
{
	struct image_header good = image_header_here(), h = good;
	cleanup_bytes struct bytes b = {0};

	(void)state;
	h.major = IMAGE_MAJOR + 1;
	assert_header_refused(h, "a newer version of Stasis");
	h.major = 0;
	assert_header_refused(h, "an older version of Stasis");
	h = good;
	h.arch = good.arch == EM_AARCH64 ? EM_X86_64 : EM_AARCH64;
	assert_header_refused(h, "x.stasis was made on");
	h.arch = 4711;
	assert_header_refused(h, "an unknown machine (ELF machine 4711)");
	h = good;
	h.page_shift = 60000;
	assert_header_refused(h, "pages of 2^60000 bytes");
	h = good;
	h.flags = 1;
	assert_header_refused(h, "needs a feature");

	/* A later minor version is read. */
	h = good;
	h.minor = 99;
	add_header(&b, &h);
	add_end(&b);
	assert_int_equal(read_all(b.at, b.len, NULL), 0);
}

static void assert_frame_refused(uint32_t type, uint32_t flags, const void *payload, size_t len,
				 const char *why)
{
	cleanup_bytes struct bytes b = {0};

	add_header(&b, NULL);
	add_frame(&b, type, flags, payload, len);
	add_end(&b);
	assert_refused(&b, why);
}

static void test_frames(void **state)
{
	cleanup_bytes struct bytes b = {0};

	(void)state;
	assert_frame_refused(0, 0, "", 0, "is of type 0");
	assert_frame_refused(0x20000, 0, "abc", 3, "is of type 0x20000");
	assert_frame_refused(2, 0x80, "", 0, "frame 0 has flags 0x80");
	assert_frame_refused(IMAGE_TYPE_MEMORY, 0, "abc", 3, "the length is out of bounds");
	assert_frame_refused(IMAGE_TYPE_END, 0, "abc", 3, "the length is out of bounds");
	assert_frame_refused(IMAGE_TYPE_END, 0, "abcdefghabcdefghabcdefgh", 24,
			     "the checksum of the whole does not match");

	/* Later versions may add what can be passed over. */
	add_header(&b, NULL);
	add_frame(&b, 0x20000, IMAGE_FRAME_OPTIONAL | 0x10000, "abc", 3);
	add_frame(&b, 99, IMAGE_FRAME_OPTIONAL, "abc", 3);
	add_end(&b);
	assert_int_equal(read_all(b.at, b.len, NULL), 0);
}

/* A length that the file does not have: what came is what is told. */
static void test_lying_lengths(void **state)
{
	static const uint64_t lengths[] = {
		5, 1 << 20, IMAGE_MAX_RECORD, IMAGE_MAX_RECORD + 1, 1ULL << 40, UINT64_MAX,
	};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		cleanup_bytes struct bytes b = {0};
		struct image_frame_header h = {2, 0, lengths[i], 0};
		uint8_t bytes[IMAGE_FRAME_HEADER_SIZE];

		add_header(&b, NULL);
		image_frame_header_encode(&h, bytes);
		bytes_add(&b, bytes, sizeof bytes);
		bytes_add(&b, "abcd", 4);
		assert_refused(&b, lengths[i] > IMAGE_MAX_RECORD ? "the length is out of bounds" :
								   "ends in the middle of frame 0");
	}
}

static void assert_memory_refused(struct image_memory m, struct page_run run, const void *data,
				  size_t len, const char *why)
{
	cleanup_bytes struct bytes b = {0};
	struct page_run runs[4] = {run, {1, 0, PAGE}, {1, 0, PAGE}, {1, 0, PAGE}};

	add_header(&b, NULL);
	add_memory(&b, &m, runs, m.run_count <= 4 ? m.run_count : 4, data, len);
	add_end(&b);
	assert_refused(&b, why);
}

static void test_memory(void **state)
{
	static uint8_t data[4 * PAGE];
	static const struct page_run fine = {1, 0, PAGE};

	(void)state;
#define REFUSED(count, encoding, raw, run, len, why)                                               \
	assert_memory_refused((struct image_memory){count, encoding, raw}, run, data, len, why)
	REFUSED(0, 0, PAGE, fine, PAGE, "its number of runs");
	REFUSED(1025, 0, PAGE, fine, PAGE, "its number of runs");
	REFUSED(UINT32_MAX, 0, PAGE, fine, PAGE, "its number of runs");
	REFUSED(1024, 0, PAGE, fine, PAGE, "does not fit");
	REFUSED(1, 2, PAGE, fine, PAGE, "its encoding");
	REFUSED(1, 0, 0, fine, 0, "its amount of data");
	REFUSED(1, 0, IMAGE_MAX_RAW + PAGE, fine, PAGE, "its amount of data");
	REFUSED(1, 0, UINT64_MAX, fine, PAGE, "its amount of data");
	REFUSED(1, 0, PAGE + 1, fine, PAGE + 1, "not a whole number of pages");
	REFUSED(1, 0, PAGE, fine, 2 * PAGE, "does not fit");
	REFUSED(1, 0, 2 * PAGE, fine, PAGE, "does not fit");
	REFUSED(1, 1, PAGE, fine, 0, "does not fit");
	REFUSED(1, 1, PAGE, fine, PAGE + 1, "does not fit");
	REFUSED(1, 1, PAGE, fine, 100, "cannot be decompressed");
	REFUSED(2, 0, PAGE, fine, PAGE, "longer than its data");
	REFUSED(1, 0, 2 * PAGE, fine, 2 * PAGE, "shorter than its data");
	REFUSED(1, 0, PAGE, ((struct page_run){1, 0, 0}), PAGE, "whole number of pages");
	REFUSED(1, 0, PAGE, ((struct page_run){1, 1, PAGE}), PAGE, "whole number of pages");
	REFUSED(1, 0, PAGE, ((struct page_run){1, 0, 1ULL << 63}), PAGE, "longer than its data");
	REFUSED(1, 0, PAGE, ((struct page_run){1, -(uint64_t)PAGE, PAGE}), PAGE, "beyond the end");
#undef REFUSED
}

/* Compressed data that is more, or less, than it says. */
static void test_zstd_bombs(void **state)
{
	static uint8_t zeros[4 * PAGE];
	uint8_t packed[256];
	size_t n = ZSTD_compress(packed, sizeof packed, zeros, sizeof zeros, 1);

	(void)state;
	assert_false(ZSTD_isError(n));
	assert_memory_refused((struct image_memory){1, IMAGE_MEMORY_ZSTD, PAGE},
			      (struct page_run){1, 0, PAGE}, packed, n, "cannot be decompressed");
	assert_memory_refused((struct image_memory){1, IMAGE_MEMORY_ZSTD, 8 * PAGE},
			      (struct page_run){1, 0, 8 * PAGE}, packed, n,
			      "cannot be decompressed");
}

static void assert_not_unpacked(const void *payload, size_t len,
				const ProtobufCMessageDescriptor *d, const char *why)
{
	struct image_frame frame = {.type = 2, .payload = payload, .length = len};
	cleanup_error struct error *err = NULL;
	ProtobufCMessage *m = NULL;

	assert_int_equal(image_unpack(&frame, d, &m, &err), -EBADMSG);
	assert_null(m);
	assert_non_null(strstr(error_why(err, 0), why));
	assert_int_equal(error_outcome(err), OUTCOME_REFUSED);
}

static void test_unpack(void **state)
{
	struct image_frame empty = {.type = 2};
	ProtobufCMessage *m = NULL;
	const size_t len = 2 << 20;
	uint8_t *areas = malloc(len);

	(void)state;
	assert_int_equal(image_unpack(&empty, &rec__task__descriptor, &m, NULL), 0);
	protobuf_c_message_free_unpacked(m, NULL);

	assert_not_unpacked("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11,
			    &rec__task__descriptor, "malformed");
	assert_not_unpacked("\x2a\x05oh", 4, &rec__task__descriptor, "malformed");
	/* "areas", each with no byte: two bytes that become a struct. */
	for (size_t i = 0; i < len; i += 2) {
		areas[i] = 14 << 3 | 2;
		areas[i + 1] = 0;
	}
	assert_not_unpacked(areas, len, &rec__memory__descriptor, "too much memory");
	free(areas);
}

/* What unpack refuses because of its depth cannot be written with a schema that has none. */
static unsigned schema_depth(const ProtobufCMessageDescriptor *d, unsigned depth)
{
	unsigned deepest = depth;

	assert_true(depth < 8);
	for (unsigned i = 0; i < d->n_fields; i++)
		if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE) {
			unsigned n = schema_depth(d->fields[i].descriptor, depth + 1);

			deepest = n > deepest ? n : deepest;
		}
	return deepest;
}

static void test_schema_is_flat(void **state)
{
	(void)state;
	assert_int_equal(schema_depth(&rec__task__descriptor, 0), 1);
	assert_int_equal(schema_depth(&rec__memory__descriptor, 0), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_cut_and_skipped),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_something_behind),
		cmocka_unit_test(test_not_an_image),
		cmocka_unit_test(test_text_mode),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_lying_lengths),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_zstd_bombs),
		cmocka_unit_test(test_unpack),
		cmocka_unit_test(test_schema_is_flat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
