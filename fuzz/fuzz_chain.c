/*
 * Incremental images: up to four, the newest first, each of which is named by the one before it.
 * Checksums are right, and names lead to these images and nowhere else.
 * First byte: 1 the records "parent image" say the right identity and depth.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "engine/chain.h"
#include "engine/load.h"
#include "engine/records.h"
#include "engine/show.h"
#include "kind/kind.h"
#include "mutator.h"
#include "pieces.h"

#define IMAGES_MAX 4

struct image_set {
	struct pieces images[IMAGES_MAX]; /* the newest first */
	size_t count;
};

/* The name that a record gives to the image below leads nowhere else, mended or not. */
static void name_parent(struct piece *it, int fd, struct image_identity id, uint32_t depth,
			bool right)
{
	Rec__Parent *m = rec__parent__unpack(NULL, it->len, it->bytes);
	char path[64];

	if (!m)
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (m->path != protobuf_c_empty_string)
		free(m->path);
	m->path = strdup(path);
	if (right) {
		m->identity_low = id.low;
		m->identity_high = id.high;
		m->depth = depth;
	}
	free(it->bytes);
	it->len = rec__parent__get_packed_size(m);
	it->bytes = malloc(it->len + 1);
	rec__parent__pack(m, it->bytes);
	rec__parent__free_unpacked(m, NULL);
}

static bool has_parent(const struct pieces *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].type == TAG_PARENT)
			return true;
	return false;
}

/* From the lowest up, for each names the one below. */
static void write_images(struct image_set *set, int fds[IMAGES_MAX], bool right)
{
	struct image_identity below = {0};
	uint32_t depth = 0;

	for (size_t i = set->count; i-- > 0;) {
		struct output o = output_room((size_t)4 << 20);
		struct pieces *p = &set->images[i];

		depth = has_parent(p) ? depth + 1 : 0;
		fds[i] = memfd_create("image", MFD_CLOEXEC);
		for (size_t k = 0; k < p->count; k++)
			if (p->items[k].type == TAG_PARENT)
				name_parent(&p->items[k], i + 1 < set->count ? fds[i + 1] : fds[i], below,
					    depth, right);
		below = pieces_join(p, &o);
		if (fds[i] < 0 || fd_write(fds[i], o.to, o.len) < 0 || lseek(fds[i], 0, SEEK_SET))
			abort();
		free(o.to);
	}
}

struct wanted {
	const Rec__Memory *m;
	atomic_ullong bytes;
};

/* Nothing but what was asked for. */
static int take_part(void *arg, const struct page_run *part, const void *data, struct error **err)
{
	struct wanted *w = arg;
	const volatile uint8_t *bytes = data;

	(void)err;
	(void)bytes[part->length - 1];
	atomic_fetch_add(&w->bytes, part->length);
	for (size_t i = 0; i < w->m->n_unchanged; i++)
		if (part->offset >= w->m->unchanged[i]->start &&
		    part->offset + part->length <= w->m->unchanged[i]->end)
			return 0;
	abort();
}

static int use_chain(struct rebuild *r, const struct chain *c, struct error **err)
{
	cleanup_image_pump struct image_pump *pump = NULL;
	int res = image_pump_new(&pump, err);

	vec_each(t, &r->tasks) {
		struct wanted w = {.m = (*t)->memory};

		if (res == 0 && w.m)
			res = chain_pages(c, w.m, pump, &(struct image_sink){take_part, &w}, err);
	}
	return res;
}

static void restore(int fd)
{
	static const struct restore_options options = {.standard = {-1, -1, -1}};
	cleanup_rebuild struct rebuild r = {.options = &options, REBUILD_INIT};
	cleanup_image_reader struct image_reader *reader = NULL;
	cleanup_error struct error *err = NULL;
	struct chain chain = {0};
	struct image_frame frame;
	bool more = false;
	int res = image_reader_open_fd(&reader, fd, "fuzz", &err);

	if (res == 0)
		res = load_image(reader, &r, &frame, &more, &err);
	if (res == 0)
		res = chain_open(&chain, "image", r.parent, &err);
	if (res == 0)
		res = use_chain(&r, &chain, &err);
	if (res < 0 ? error_count(err) == 0 : error_count(err) != 0)
		abort();
	chain_free(&chain);
}

static void verify(int fd)
{
	cleanup_error struct error *err = NULL;
	struct image_identity identity;
	struct image_stats stats;
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (engine_verify(path, &stats, &identity, &err) < 0 && error_count(err) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_set *set;
	int fds[IMAGES_MAX];

	if (size < 1)
		return 0;
	set = calloc(1, sizeof *set);
	for (size_t at = 1; at < size && set->count < IMAGES_MAX;)
		at += pieces_split(&set->images[set->count++], data + at, size - at);
	if (set->count)
		write_images(set, fds, data[0] & 1);
	if (set->count) {
		verify(fds[0]);
		restore(fds[0]);
	}
	for (size_t i = 0; i < set->count; i++) {
		close(fds[i]);
		pieces_free(&set->images[i]);
	}
	free(set);
	return 0;
}
