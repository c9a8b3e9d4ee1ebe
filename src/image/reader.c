#include "image/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/str.h"
#include "image/hash.h"
#include "image/input.h"

#define STEP IMAGE_PIECE /* hashed while it is still in the cache */
/* A record's buffer starts with this and doubles as its bytes arrive. */
#define RECORD_STEP ((size_t)64 << 10)
#define TABLE_SIZE (IMAGE_MAX_RUNS * IMAGE_RUN_SIZE + ((size_t)1 << IMAGE_MAX_PAGE_SHIFT))

enum state {
	READING,
	ENDED,
	BROKEN,
};

struct image_reader {
	struct image_input in;
	struct image_header header;
	enum state state;
	bool skip_data;
	bool sought; /* frames were left out: END cannot be checked */
	uint64_t frames;
	uint64_t frame_at; /* where the present one begins */
	XXH3_state_t *chain; /* over all headers */
	XXH3_state_t *hash;  /* over one payload */
	uint8_t *record;
	size_t record_room;
	uint8_t *table; /* runs and padding, as stored */
	struct page_run *runs;
	/* The data of the last memory frame that nobody has taken yet. */
	struct image_stored stored;
	size_t run_count;
	uint64_t left;
	struct image_decoder *decoder;
	uint8_t *piece;
	struct image_identity identity;
	struct image_stats stats;
};

/* What the present frame is called in sentences. */
static char *frame_name(const struct image_reader *r, const struct image_frame_header *h)
{
	unsigned long long n = r->frames, at = r->frame_at;

	if (!h)
		return str_format("frame %llu (at byte %llu)", n, at);
	if (h->type == IMAGE_TYPE_MEMORY)
		return str_format("frame %llu (memory, at byte %llu)", n, at);
	if (h->type == IMAGE_TYPE_END)
		return str_format("frame %llu (end, at byte %llu)", n, at);
	return str_format("frame %llu (record %u, at byte %llu)", n, h->type, at);
}

static int damaged(const struct image_reader *r, const struct image_frame_header *h,
		   const char *why, struct error **err)
{
	cleanup_free char *frame = frame_name(r, h);

	return refuse(err, EBADMSG, NULL, "%s is damaged: in %s, %s", r->in.shown,
		      frame ? frame : "a frame", why);
}

static int truncated(const struct image_reader *r, uint64_t frame, struct error **err)
{
	return refuse(err, EBADMSG, NULL,
		      "%s ends in the middle of frame %llu: it was not written completely",
		      r->in.shown, (unsigned long long)frame);
}

static int unended(const struct image_reader *r, struct error **err)
{
	return refuse(err, EBADMSG, NULL,
		      "%s ends after %llu frames without an end mark: it was not written completely",
		      r->in.shown, (unsigned long long)r->frames);
}

static int no_memory(const struct image_reader *r, struct error **err)
{
	return fail_errno(err, ENOMEM, "cannot read %s", r->in.shown);
}

/* Reads len bytes of the present payload and hashes them on the way. */
static int read_payload(struct image_reader *r, uint8_t *buf, size_t len, struct error **err)
{
	while (len > 0) {
		size_t step = len < STEP ? len : STEP;
		ssize_t n = image_input_read(&r->in, buf, step, err);

		if (n < 0)
			return (int)n;
		if ((size_t)n < step)
			return truncated(r, r->frames, err);
		image_hash_update(r->hash, buf, step);
		buf += step;
		len -= step;
	}
	return 0;
}

static int check_hash(struct image_reader *r, const struct image_frame_header *h,
		      struct error **err)
{
	if (XXH3_64bits_digest(r->hash) != h->hash)
		return damaged(r, h, "the checksum does not match", err);
	return 0;
}

static int read_record(struct image_reader *r, const struct image_frame_header *h,
		       struct error **err)
{
	size_t have = 0, len = (size_t)h->length;
	int n;

	if (h->length > IMAGE_MAX_RECORD)
		return damaged(r, h, "the length is out of bounds", err);
	while (have < len) {
		/* As much as came already, so that a lie about the length costs nothing. */
		size_t step = have < RECORD_STEP ? RECORD_STEP : have;

		if (step > len - have)
			step = len - have;
		if (have + step > r->record_room) {
			uint8_t *grown = realloc(r->record, have + step);

			if (!grown)
				return no_memory(r, err);
			r->record = grown;
			r->record_room = have + step;
		}
		n = read_payload(r, r->record + have, step, err);
		if (n < 0)
			return n;
		have += step;
	}
	return check_hash(r, h, err);
}

/* The prologue, the runs and the padding.  Returns where the data begins, or an error. */
static ssize_t read_runs(struct image_reader *r, const struct image_frame_header *h,
			 struct image_memory *m, struct error **err)
{
	uint64_t at = r->in.offset;
	uint8_t prologue[IMAGE_MEMORY_PROLOGUE_SIZE];
	unsigned shift = r->header.page_shift;
	const char *wrong;
	size_t data_at;
	int n;

	if (h->length < sizeof prologue)
		return damaged(r, h, "the length is out of bounds", err);
	n = read_payload(r, prologue, sizeof prologue, err);
	if (n < 0)
		return n;
	wrong = image_memory_decode(prologue, shift, m);
	if (wrong)
		return damaged(r, h, wrong, err);

	data_at = image_memory_data_at(m, at, shift);
	if (m->encoding == IMAGE_MEMORY_RAW ? h->length != data_at + m->raw_length :
	    h->length <= data_at || h->length > data_at + m->raw_length)
		return damaged(r, h, "the length does not fit what it holds", err);
	n = read_payload(r, r->table, data_at - sizeof prologue, err);
	if (n < 0)
		return n;
	image_runs_decode(r->table, m->run_count, r->runs);
	wrong = image_runs_check(r->runs, m->run_count, m->raw_length, shift);
	if (wrong)
		return damaged(r, h, wrong, err);
	return (ssize_t)data_at;
}

/* The data itself is had later: image_reader_data() and others. */
static int read_memory(struct image_reader *r, const struct image_frame_header *h,
		       struct image_frame *frame, struct error **err)
{
	uint64_t at = r->in.offset;
	struct image_memory m = {0};
	ssize_t data_at = read_runs(r, h, &m, err);

	if (data_at < 0)
		return (int)data_at;
	r->stored = (struct image_stored){
		.index = r->frames,
		.payload_offset = at,
		.length = h->length,
		.hash = h->hash,
		.table_hash = XXH3_64bits_digest(r->hash),
		.data_at = (size_t)data_at,
		.raw_length = (size_t)m.raw_length,
		.encoding = m.encoding,
	};
	r->run_count = m.run_count;
	r->left = h->length - (size_t)data_at;
	frame->runs = r->runs;
	frame->run_count = m.run_count;
	frame->stored = r->stored;
	r->stats.memory_frames++;
	r->stats.pages += m.raw_length >> r->header.page_shift;
	r->stats.raw_bytes += m.raw_length;
	r->stats.stored_bytes += r->left;
	return 1;
}

int image_reader_stored_data(struct image_reader *r, void *buf, size_t len, struct error **err)
{
	ssize_t n;

	if (len > r->left)
		return fail(err, EINVAL, "%s has no more data in frame %llu", r->in.shown,
			    (unsigned long long)r->stored.index);
	n = image_input_read(&r->in, buf, len, err);
	if (n >= 0 && (size_t)n < len)
		n = truncated(r, r->stored.index, err);
	if (n < 0) {
		r->state = BROKEN;
		return (int)n;
	}
	r->left -= len;
	return 0;
}

const void *image_reader_hash(const struct image_reader *r)
{
	return r->hash;
}

int image_reader_leave_data(struct image_reader *r, struct error **err)
{
	ssize_t n = image_input_skip(&r->in, (size_t)r->left, err);

	r->left = 0;
	return n < 0 ? (int)n : 0;
}

bool image_reader_file(const struct image_reader *r, struct image_file *ret)
{
	*ret = (struct image_file){r->in.shown, r->in.fd, r->in.base};
	return r->in.seekable;
}

static int decode_data(struct image_reader *r, const struct image_sink *sink, struct error **err)
{
	struct image_data what = {r->in.shown, r->stored, r->runs, r->run_count, *sink};
	int n = r->decoder ? 0 : image_decoder_new(&r->decoder, err);

	if (!r->piece)
		r->piece = malloc(IMAGE_PIECE);
	if (n == 0 && !r->piece)
		n = no_memory(r, err);
	if (n == 0)
		image_decoder_begin(r->decoder, &what, r->hash);
	while (n == 0 && r->left) {
		size_t len = r->left < IMAGE_PIECE ? (size_t)r->left : IMAGE_PIECE;

		n = image_reader_stored_data(r, r->piece, len, err);
		if (n == 0)
			n = image_decoder_feed(r->decoder, r->piece, len, err);
	}
	return n < 0 ? n : image_decoder_end(r->decoder, err);
}

int image_reader_data(struct image_reader *r, const struct image_sink *sink, struct error **err)
{
	int n = decode_data(r, sink, err);

	if (n < 0)
		r->state = BROKEN;
	return n;
}

/* Of the frame before, what nobody wanted. */
static int pass_data(struct image_reader *r, struct error **err)
{
	if (!r->left)
		return 0;
	if (r->skip_data && r->in.seekable)
		return image_reader_leave_data(r, err);
	return image_reader_data(r, &(struct image_sink){0}, err);
}

static int read_end(struct image_reader *r, const struct image_frame_header *h,
		    struct error **err)
{
	XXH128_hash_t hash = XXH3_128bits_digest(r->chain);
	uint8_t bytes[IMAGE_END_SIZE];
	struct image_end end;
	ssize_t n;

	if (h->length != sizeof bytes)
		return damaged(r, h, "the length is out of bounds", err);
	n = read_payload(r, bytes, sizeof bytes, err);
	if (n >= 0)
		n = check_hash(r, h, err);
	if (n < 0)
		return (int)n;
	image_end_decode(bytes, &end);
	if (!r->sought && (end.frames != r->frames || end.identity.low != hash.low64 ||
			   end.identity.high != hash.high64))
		return damaged(r, h, "the checksum of the whole does not match", err);
	r->stats.bytes = r->in.offset;
	n = image_input_read(&r->in, bytes, 1, err);
	if (n < 0)
		return (int)n;
	if (n > 0)
		return refuse(err, EBADMSG, NULL, "%s is damaged: something follows its end",
			      r->in.shown);
	r->identity = end.identity;
	r->state = ENDED;
	return 0;
}

/* 1: *ret is the next frame's header.  Negative: there is none, or it cannot be used. */
static int read_frame_header(struct image_reader *r, struct image_frame_header *ret,
			     struct error **err)
{
	uint8_t bytes[IMAGE_FRAME_HEADER_SIZE];
	ssize_t n = image_input_read(&r->in, bytes, sizeof bytes, err);

	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof bytes)
		return n > 0 ? truncated(r, r->frames, err) : unended(r, err);
	if (!image_frame_header_decode(bytes, ret))
		return damaged(r, NULL, "the checksum of its header does not match", err);
	if (ret->flags & IMAGE_FRAME_MUST_KNOW_FLAGS & ~IMAGE_FRAME_KNOWN_FLAGS)
		return refuse(err, EPROTONOSUPPORT, "use a newer version of Stasis",
			      "%s needs a feature that this program does not know (frame %llu has "
			      "flags %#x)", r->in.shown, (unsigned long long)r->frames, ret->flags);
	if (ret->type != IMAGE_TYPE_END)
		XXH3_128bits_update(r->chain, bytes, sizeof bytes);
	return 1;
}

/* As image_reader_next(), and 2: the frame was passed over. */
static int read_frame(struct image_reader *r, struct image_frame *ret, struct error **err)
{
	struct image_frame frame = {.index = r->frames, .file_offset = r->in.offset};
	struct image_frame_header h;
	int n;

	r->frame_at = r->in.offset;
	n = read_frame_header(r, &h, err);
	if (n < 0)
		return n;
	frame.type = h.type;
	frame.flags = h.flags;
	XXH3_64bits_reset(r->hash);
	if (h.type == IMAGE_TYPE_END)
		return read_end(r, &h, err);
	if (h.type == IMAGE_TYPE_MEMORY) {
		n = read_memory(r, &h, &frame, err);
	} else if (h.type > 0 && h.type <= IMAGE_TYPE_RECORD_MAX) {
		n = read_record(r, &h, err);
		frame.payload = r->record;
		frame.length = (size_t)h.length;
		r->stats.records += n == 0;
		n = n < 0 ? n : 1;
	} else if (h.flags & IMAGE_FRAME_OPTIONAL) {
		n = read_record(r, &h, err);
		n = n < 0 ? n : 2;
	} else {
		n = refuse(err, EPROTONOSUPPORT, "use a newer version of Stasis",
			   "%s needs a feature that this program does not know (frame %llu is of "
			   "type %#x)", r->in.shown, (unsigned long long)r->frames, h.type);
	}
	if (n < 0)
		return n;
	r->frames++;
	r->stats.bytes = r->in.offset;
	if (n == 1)
		*ret = frame;
	return n;
}

int image_reader_next(struct image_reader *r, struct image_frame *ret, struct error **err)
{
	int n;

	if (r->state == BROKEN)
		return fail(err, EBADMSG, "%s was given up after an earlier failure", r->in.shown);
	if (r->state == ENDED)
		return 0;
	n = pass_data(r, err);
	if (n == 0)
		do
			n = read_frame(r, ret, err);
		while (n > 1);
	if (n < 0)
		r->state = BROKEN;
	return n;
}

static int reader_new(struct image_reader **ret, const char *name, struct error **err)
{
	cleanup_image_reader struct image_reader *r = calloc(1, sizeof *r);

	if (!r)
		return fail_errno(err, ENOMEM, "cannot read %s", name);
	r->in = IMAGE_INPUT_NONE;
	r->chain = XXH3_createState();
	r->hash = XXH3_createState();
	r->table = malloc(TABLE_SIZE);
	r->runs = calloc(IMAGE_MAX_RUNS, sizeof *r->runs);
	if (!r->chain || !r->hash || !r->table || !r->runs)
		return fail_errno(err, ENOMEM, "cannot read %s", name);
	*ret = r;
	r = NULL;
	return 0;
}

static int read_header(struct image_reader *r, struct error **err)
{
	uint8_t bytes[IMAGE_HEADER_SIZE];
	ssize_t n = image_input_read(&r->in, bytes, sizeof bytes, err);

	if (n < 0)
		return (int)n;
	XXH3_128bits_reset(r->chain);
	XXH3_128bits_update(r->chain, bytes, (size_t)n);
	return image_header_decode(bytes, (size_t)n, r->in.shown, &r->header, err);
}

int image_reader_open(struct image_reader **ret, const char *path, struct error **err)
{
	cleanup_image_reader struct image_reader *r = NULL;
	int n = reader_new(&r, path, err);

	if (n >= 0)
		n = image_input_open(&r->in, path, err);
	if (n >= 0)
		n = read_header(r, err);
	if (n < 0)
		return n;
	*ret = r;
	r = NULL;
	return 0;
}

int image_reader_open_fd(struct image_reader **ret, int fd, const char *name, struct error **err)
{
	cleanup_image_reader struct image_reader *r = NULL;
	int n = reader_new(&r, name, err);

	if (n >= 0)
		n = image_input_open_fd(&r->in, fd, name, err);
	if (n >= 0)
		n = read_header(r, err);
	if (n < 0)
		return n;
	*ret = r;
	r = NULL;
	return 0;
}

void image_reader_free(struct image_reader *r)
{
	if (!r)
		return;
	image_input_close(&r->in);
	XXH3_freeState(r->chain);
	XXH3_freeState(r->hash);
	free(r->record);
	free(r->table);
	free(r->runs);
	free(r->piece);
	image_decoder_free(r->decoder);
	free(r);
}

void image_reader_freep(struct image_reader **r)
{
	image_reader_free(*r);
	*r = NULL;
}

void image_reader_skip_data(struct image_reader *r)
{
	r->skip_data = true;
}

int image_reader_seek(struct image_reader *r, uint64_t file_offset, struct error **err)
{
	int n = image_input_seek(&r->in, file_offset, err);

	r->left = 0;
	r->sought = true;
	r->state = n < 0 ? BROKEN : READING;
	return n;
}

const struct image_header *image_reader_header(const struct image_reader *r)
{
	return &r->header;
}

const struct image_stats *image_reader_stats(const struct image_reader *r)
{
	return &r->stats;
}

struct image_identity image_reader_identity(const struct image_reader *r)
{
	return r->identity;
}

const char *image_reader_name(const struct image_reader *r)
{
	return r->in.shown;
}
