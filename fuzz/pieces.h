/*
 * Images in pieces: taken apart, however damaged they are, and put together with right checksums.
 * Checksums would stop nearly every input of a fuzzer at the first frame.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/fd.h"
#include "image/frame.h"

#define PIECES_MAX 512
#define ARRAY_SIZE(a) (sizeof(a) / sizeof *(a))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Owned; with room for one byte more than there are. */
struct piece {
	uint32_t type, flags;
	uint8_t *bytes;
	size_t len;
};

struct pieces {
	struct piece items[PIECES_MAX];
	size_t count;
};

static inline void pieces_free(struct pieces *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->items[i].bytes);
	p->count = 0;
}

static inline struct piece piece_of(uint32_t type, uint32_t flags, const uint8_t *bytes, size_t len)
{
	struct piece it = {type, flags, malloc(len + 1), len};

	if (!it.bytes)
		abort();
	if (len)
		memcpy(it.bytes, bytes, len);
	return it;
}

/* One image, up to its END or the last of the bytes: returns how many it took. */
static inline size_t pieces_split(struct pieces *ret, const uint8_t *image, size_t size)
{
	size_t at = IMAGE_HEADER_SIZE;

	ret->count = 0;
	while (size > at && size - at >= IMAGE_FRAME_HEADER_SIZE && ret->count < PIECES_MAX) {
		struct image_frame_header h;
		size_t left = size - at - IMAGE_FRAME_HEADER_SIZE;

		/* A header whose hash is wrong still says a type and a length. */
		image_frame_header_decode(image + at, &h);
		if (h.length > left)
			h.length = left;
		at += IMAGE_FRAME_HEADER_SIZE;
		if (h.type != IMAGE_TYPE_END)
			ret->items[ret->count++] = piece_of(h.type, h.flags, image + at, h.length);
		at += h.length;
		if (h.type == IMAGE_TYPE_END)
			break;
	}
	return at < size ? at : size;
}

/* Bytes as they grow; what does not fit is noticed at the end. */
struct output {
	uint8_t *to;
	size_t len, max;
	bool full;
};

static inline void output_add(struct output *o, const void *bytes, size_t len)
{
	if (o->full || len > o->max - o->len) {
		o->full = true;
		return;
	}
	if (len)
		memcpy(o->to + o->len, bytes, len);
	o->len += len;
}

/* The data of raw memory begins at another place when what is before it has changed. */
static inline struct piece piece_aligned(const struct piece *it, uint64_t at)
{
	struct piece made = piece_of(it->type, it->flags, it->bytes, it->len);
	struct image_memory m;
	size_t table, data_at;

	if (it->type != IMAGE_TYPE_MEMORY || it->len < IMAGE_MEMORY_PROLOGUE_SIZE ||
	    image_memory_decode(it->bytes, 12, &m) || m.encoding != IMAGE_MEMORY_RAW)
		return made;
	table = IMAGE_MEMORY_PROLOGUE_SIZE + m.run_count * IMAGE_RUN_SIZE;
	if (it->len < table || it->len - table < m.raw_length)
		return made;
	data_at = image_memory_data_at(&m, at, 12);
	free(made.bytes);
	made.len = data_at + m.raw_length;
	made.bytes = calloc(1, made.len + 1);
	memcpy(made.bytes, it->bytes, table);
	memcpy(made.bytes + data_at, it->bytes + it->len - m.raw_length, m.raw_length);
	return made;
}

static inline void add_frame(struct output *o, XXH3_state_t *chain, const struct piece *it)
{
	uint8_t header[IMAGE_FRAME_HEADER_SIZE];
	struct image_frame_header h = {it->type, it->flags, it->len, XXH3_64bits(it->bytes, it->len)};

	image_frame_header_encode(&h, header);
	XXH3_128bits_update(chain, header, sizeof header);
	output_add(o, header, sizeof header);
	output_add(o, it->bytes, it->len);
}

/* A whole image with right checksums; returns its identity. */
static inline struct image_identity pieces_join(const struct pieces *p, struct output *o)
{
	struct image_header here = image_header_here();
	uint8_t header[IMAGE_HEADER_SIZE], end_bytes[IMAGE_END_SIZE];
	XXH3_state_t *chain = XXH3_createState();
	struct piece last = {IMAGE_TYPE_END, 0, end_bytes, sizeof end_bytes};
	struct image_end end = {.frames = p->count};
	size_t start = o->len;
	XXH128_hash_t hash;

	image_header_encode(&here, header);
	XXH3_128bits_reset(chain);
	XXH3_128bits_update(chain, header, sizeof header);
	output_add(o, header, sizeof header);
	for (size_t i = 0; i < p->count; i++) {
		struct piece it = piece_aligned(&p->items[i],
						o->len - start + IMAGE_FRAME_HEADER_SIZE);

		add_frame(o, chain, &it);
		free(it.bytes);
	}
	hash = XXH3_128bits_digest(chain);
	end.identity = (struct image_identity){hash.low64, hash.high64};
	image_end_encode(&end, end_bytes);
	add_frame(o, chain, &last);
	XXH3_freeState(chain);
	return end.identity;
}

static inline struct output output_room(size_t max)
{
	struct output o = {.to = malloc(max + 1), .max = max};

	if (!o.to)
		abort();
	return o;
}

/* What a target is given: its checksums put right if it is to be so. */
static inline int image_memfd(const uint8_t *image, size_t size, bool mended)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct output o = {0};

	if (fd < 0)
		abort();
	if (mended) {
		struct pieces *p = calloc(1, sizeof *p);

		/* Padding may take a page for each frame. */
		o = output_room(size + PIECES_MAX * (size_t)4096 + 256);
		pieces_split(p, image, size);
		pieces_join(p, &o);
		pieces_free(p);
		free(p);
	}
	if (fd_write(fd, mended ? o.to : image, mended ? o.len : size) < 0 || lseek(fd, 0, SEEK_SET))
		abort();
	free(o.to);
	return fd;
}
