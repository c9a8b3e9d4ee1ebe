#include "image/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/fd.h"
#include "image/hash.h"

#define PAGE_ALIGN ((size_t)1 << IMAGE_MAX_PAGE_SHIFT)
/* No frame needs more, and a stranger's image shall not take more. */
#define MAX_WINDOW_LOG 23

_Static_assert(IMAGE_MEMORY_PROLOGUE_SIZE + IMAGE_MAX_RUNS * IMAGE_RUN_SIZE + PAGE_ALIGN <=
		       IMAGE_PIECE, "what precedes the data is read in one piece");
_Static_assert(IMAGE_MAX_RAW == (size_t)1 << MAX_WINDOW_LOG, "a window holds a whole frame");

struct image_decoder {
	struct image_data what;
	XXH3_state_t *hash;
	XXH3_state_t *table; /* of what comes before the data */
	uint8_t *in;
	uint8_t *out; /* decompressed; made when it is needed first */
	size_t out_used;
	ZSTD_DCtx *zstd;
	bool unfinished; /* a zstd frame has not ended yet */
	bool broken;     /* cannot be decompressed: told unless the checksum does not match either */
	size_t passed;   /* bytes passed on */
	size_t run;      /* where the next ones belong: this run, */
	uint64_t run_at; /* after so many bytes of it */
};

int image_decoder_new(struct image_decoder **ret, struct error **err)
{
	cleanup_image_decoder struct image_decoder *d = calloc(1, sizeof *d);

	if (d) {
		d->hash = XXH3_createState();
		d->table = XXH3_createState();
		d->in = aligned_alloc(PAGE_ALIGN, IMAGE_PIECE);
	}
	if (!d || !d->hash || !d->table || !d->in)
		return fail(err, ENOMEM, "out of memory");
	*ret = d;
	d = NULL;
	return 0;
}

void image_decoder_free(struct image_decoder *d)
{
	if (!d)
		return;
	XXH3_freeState(d->hash);
	XXH3_freeState(d->table);
	ZSTD_freeDCtx(d->zstd);
	free(d->in);
	free(d->out);
	free(d);
}

void image_decoder_freep(struct image_decoder **d)
{
	image_decoder_free(*d);
	*d = NULL;
}

static int damaged(const struct image_decoder *d, const char *why, struct error **err)
{
	const struct image_stored *s = &d->what.stored;

	return refuse(err, EBADMSG, NULL, "%s is damaged: in frame %llu (memory, at byte %llu), %s",
		      d->what.name, (unsigned long long)s->index,
		      (unsigned long long)s->payload_offset - IMAGE_FRAME_HEADER_SIZE, why);
}

/* The next len bytes of the decompressed data: whole pages. */
static int pass_on(struct image_decoder *d, const uint8_t *bytes, size_t len, struct error **err)
{
	const struct image_sink *sink = &d->what.sink;

	d->passed += len;
	if (!sink->put)
		return 0;
	while (len > 0) {
		const struct page_run *run = &d->what.runs[d->run];
		struct page_run part = {run->object, run->offset + d->run_at, run->length - d->run_at};
		int res;

		if (part.length > len)
			part.length = len;
		res = sink->put(sink->arg, &part, bytes, err);
		if (res < 0)
			return res;
		bytes += part.length;
		len -= part.length;
		d->run_at += part.length;
		if (d->run_at == run->length) {
			d->run++;
			d->run_at = 0;
		}
	}
	return 0;
}

static int have_zstd(struct image_decoder *d, struct error **err)
{
	if (!d->out)
		d->out = aligned_alloc(PAGE_ALIGN, IMAGE_PIECE);
	if (!d->zstd) {
		d->zstd = ZSTD_createDCtx();
		/* Once only: amid a frame it would be refused. */
		if (d->zstd)
			ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, MAX_WINDOW_LOG);
	}
	return d->out && d->zstd ? 0 : fail(err, ENOMEM, "out of memory");
}

/* One step of zstd.  False: there is nothing more to be had of these bytes. */
static bool decompress_step(struct image_decoder *d, ZSTD_inBuffer *in, size_t room)
{
	ZSTD_outBuffer out = {d->out, room, d->out_used};
	size_t was = in->pos, n = ZSTD_decompressStream(d->zstd, &out, in);
	bool moved = in->pos > was || out.pos > d->out_used;

	/* What finds no room is more than the frame said. */
	d->broken = ZSTD_isError(n) || (!moved && in->pos < in->size);
	d->out_used = out.pos;
	d->unfinished = n != 0;
	return !d->broken && (in->pos < in->size || (n != 0 && room && out.pos == room));
}

static int decompress(struct image_decoder *d, const void *bytes, size_t len, struct error **err)
{
	ZSTD_inBuffer in = {bytes, len, 0};
	int res = have_zstd(d, err);

	for (bool more = !d->broken; res == 0 && more;) {
		size_t left = d->what.stored.raw_length - d->passed;
		size_t room = left < IMAGE_PIECE ? left : IMAGE_PIECE, full;

		more = decompress_step(d, &in, room);
		if (d->broken || d->out_used < room)
			continue;
		full = d->out_used;
		d->out_used = 0;
		res = pass_on(d, d->out, full, err);
	}
	return res;
}

void image_decoder_begin(struct image_decoder *d, const struct image_data *what, const void *hash)
{
	d->what = *what;
	XXH3_copyState(d->hash, hash);
	if (d->zstd)
		ZSTD_DCtx_reset(d->zstd, ZSTD_reset_session_only);
	d->out_used = 0;
	d->unfinished = d->broken = false;
	d->passed = d->run = 0;
	d->run_at = 0;
}

int image_decoder_feed(struct image_decoder *d, const void *bytes, size_t len, struct error **err)
{
	image_hash_update(d->hash, bytes, len);
	return d->what.stored.encoding == IMAGE_MEMORY_RAW ? pass_on(d, bytes, len, err)
							    : decompress(d, bytes, len, err);
}

int image_decoder_end(struct image_decoder *d, struct error **err)
{
	if (XXH3_64bits_digest(d->hash) != d->what.stored.hash)
		return damaged(d, "the checksum does not match", err);
	if (d->broken || d->unfinished || d->passed != d->what.stored.raw_length)
		return damaged(d, "the data cannot be decompressed", err);
	return 0;
}

/* Exactly len bytes of the image, into d->in. */
static int read_piece(struct image_decoder *d, const struct image_file *file, uint64_t at,
		      size_t len, struct error **err)
{
	ssize_t n = fd_pread(file->fd, d->in, len, file->base + at);

	if (n < 0)
		return fail_errno(err, (int)-n, "cannot read %s", file->name);
	if ((size_t)n < len)
		return refuse(err, EBADMSG, NULL,
			      "%s ends in the middle of frame %llu: it was not written completely",
			      file->name, (unsigned long long)d->what.stored.index);
	return 0;
}

int image_decoder_read(struct image_decoder *d, const struct image_file *file,
		       const struct image_data *what, struct error **err)
{
	const struct image_stored *s = &what->stored;
	int res;

	d->what = *what;
	res = read_piece(d, file, s->payload_offset, s->data_at, err);
	if (res < 0)
		return res;
	XXH3_64bits_reset(d->table);
	image_hash_update(d->table, d->in, s->data_at);
	if (XXH3_64bits_digest(d->table) != s->table_hash)
		return damaged(d, "the checksum does not match", err);
	image_decoder_begin(d, what, d->table);
	for (uint64_t at = s->data_at; at < s->length && res == 0;) {
		size_t len = s->length - at < IMAGE_PIECE ? (size_t)(s->length - at) : IMAGE_PIECE;

		res = read_piece(d, file, s->payload_offset + at, len, err);
		if (res == 0)
			res = image_decoder_feed(d, d->in, len, err);
		at += len;
	}
	return res < 0 ? res : image_decoder_end(d, err);
}
