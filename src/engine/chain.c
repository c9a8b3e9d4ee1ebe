#include "engine/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/pages.h"
#include "engine/ranges.h"
#include "engine/records.h"
#include "image/reader.h"
#include "kind/kind.h"

#define MEND_LOST "put that image back, beside this one or where it was; it cannot be done without"

void chain_link_free(struct chain_link *l)
{
	close_fdp(&l->fd);
	free_strp(&l->path);
	if (l->parent)
		rec__parent__free_unpacked(l->parent, NULL);
	l->parent = NULL;
	vec_each(m, &l->memories) {
		ranges_free(&m->unchanged);
		ranges_free(&m->inherited);
	}
	vec_free(&l->memories);
}

void chain_free(struct chain *c)
{
	vec_each(l, &c->links)
		chain_link_free(l);
	vec_free(&c->links);
}

const struct chain_memory *chain_memory_of(const struct chain_link *l, uint32_t pid)
{
	vec_each(m, &l->memories)
		if (m->pid == pid)
			return m;
	return NULL;
}

static int take_memory(struct chain_link *l, const Rec__Memory *m, struct error **err)
{
	struct chain_memory *cm;
	int r = unchanged_valid(m, l->parent != NULL, err);

	if (r < 0)
		return r;
	if (chain_memory_of(l, m->pid) || !ranges_in_order(m->n_inherited, m->inherited))
		return refuse(err, EBADMSG, NULL, "the image contradicts itself about a process's memory");
	cm = vec_push(&l->memories);
	if (!cm)
		return fail(err, ENOMEM, "out of memory");
	cm->pid = m->pid;
	r = ranges_of_record(m->n_unchanged, m->unchanged, &cm->unchanged);
	if (r == 0)
		r = ranges_of_record(m->n_inherited, m->inherited, &cm->inherited);
	return r < 0 ? fail(err, ENOMEM, "out of memory") : 0;
}

static int take_record(struct chain_link *l, const struct image_frame *frame, struct error **err)
{
	ProtobufCMessage *m;
	int r;

	if (frame->type != TAG_PARENT && frame->type != TAG_MEMORY)
		return 0;
	r = image_unpack(frame, record_schema(frame->type), &m, err);
	if (r < 0)
		return r;
	if (frame->type == TAG_MEMORY) {
		r = take_memory(l, (Rec__Memory *)m, err);
	} else if (l->parent || l->memories.count) {
		r = refuse(err, EBADMSG, NULL, "the image names a parent where none is expected");
	} else {
		r = parent_valid((Rec__Parent *)m, err);
		l->parent = r == 0 ? (Rec__Parent *)m : NULL;
		m = r == 0 ? NULL : m;
	}
	if (m)
		message_free(m);
	return r;
}

/* With its hash, a frame's data is in it, too. */
static uint64_t add_seen(uint64_t seen, const struct image_frame *frame)
{
	const uint64_t what[] = {frame->file_offset, frame->stored.length, frame->stored.hash};

	return XXH3_64bits_withSeed(what, sizeof what, seen);
}

/* Frames of one address space follow each other: where the first of them stands is enough. */
static void take_frame(struct chain_link *l, const struct image_frame *frame)
{
	uint64_t object = frame->runs[0].object;

	vec_each(m, &l->memories) {
		if (object != MEMORY_OBJECT(m->pid))
			continue;
		m->at = m->at ? m->at : frame->file_offset;
		m->seen = add_seen(m->seen, frame);
	}
}

/* A FIFO would wait for somebody, and a device may do anything. */
static int open_regular(const char *path, struct error **err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return fail_errno(err, errno, "cannot open %s", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return fail(err, EINVAL, "%s is not a regular file", path);
}

int chain_read(const char *path, struct chain_link *ret, struct error **err)
{
	cleanup_image_reader struct image_reader *reader = NULL;
	struct image_frame frame;
	int r;

	*ret = (struct chain_link){.fd = open_regular(path, err), .path = strdup(path)};
	if (ret->fd < 0 || !ret->path)
		return ret->fd < 0 ? ret->fd : fail(err, ENOMEM, "out of memory");
	r = image_reader_open_fd(&reader, ret->fd, path, err);
	if (r < 0)
		return r;
	image_reader_skip_data(reader);
	while ((r = image_reader_next(reader, &frame, err)) > 0) {
		if (frame.type == IMAGE_TYPE_MEMORY) {
			take_frame(ret, &frame);
			continue;
		}
		r = take_record(ret, &frame, err);
		if (r < 0)
			return error_wrap(err, r, "%s", path);
	}
	ret->identity = image_reader_identity(reader);
	ret->depth = ret->parent ? ret->parent->depth : 0;
	return r;
}

static bool is_meant(const struct chain_link *l, const Rec__Parent *p)
{
	return l->identity.low == p->identity_low && l->identity.high == p->identity_high &&
	       l->depth == p->depth - 1;
}

/* The folder of an image; malloc'ed. */
static char *folder_of(const char *path)
{
	const char *slash = strcmp(path, "-") == 0 ? NULL : strrchr(path, '/');

	return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("");
}

/* Where it was, and under its name beside the image that names it. */
static int try_places(const char *image, const Rec__Parent *p, struct chain_link *ret,
		      struct error **err)
{
	cleanup_free char *folder = folder_of(image);
	const char *slash = strrchr(p->path, '/');
	const char *names[] = {p->path, slash ? slash + 1 : NULL};
	bool other = false;

	for (size_t i = 0; folder && i < 2; i++) {
		bool absolute = names[i] && names[i][0] == '/';
		cleanup_free char *path = names[i] ? str_format("%s%s", absolute ? "" : folder, names[i])
						   : NULL;
		struct error *why = NULL;

		if (!path)
			continue;
		if (chain_read(path, ret, &why) == 0 && is_meant(ret, p))
			return 0;
		other = other || ret->fd >= 0;
		error_free(why);
		chain_link_free(ret);
	}
	return other ? refuse(err, ESTALE, MEND_LOST,
			      "%s holds only what has changed since %s, and that is another image now "
			      "than it was, or damaged", image, p->path)
		     : refuse(err, ENOENT, MEND_LOST,
			      "%s holds only what has changed since %s, which is not there", image,
			      p->path);
}

int chain_open(struct chain *c, const char *path, const Rec__Parent *parent, struct error **err)
{
	while (parent) {
		struct chain_link *l = vec_push(&c->links);
		int r;

		if (!l)
			return fail(err, ENOMEM, "out of memory");
		l->fd = -1;
		/* The depth goes down by one each time, and so comes to an end. */
		r = try_places(path, parent, l, err);
		if (r < 0)
			return r;
		path = l->path;
		parent = l->parent;
	}
	return 0;
}

/* Where one image's pages of one address space go. */
struct delivery {
	const struct page_ranges *wanted;
	const struct image_sink *sink;
	uint64_t seen;
};

/* The first range that ends behind address. */
static size_t find_range(const struct page_ranges *r, uint64_t address)
{
	size_t lo = 0, hi = r->list.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->list.items[mid].end <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool has_wanted(const struct delivery *d, const struct page_run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t k = find_range(d->wanted, runs[i].offset);

		if (k < d->wanted->list.count &&
		    d->wanted->list.items[k].start < runs[i].offset + runs[i].length)
			return true;
	}
	return false;
}

/* What is wanted of a run, from any thread. */
static int deliver_run(void *arg, const struct page_run *run, const void *data,
		       struct error **err)
{
	const struct delivery *d = arg;
	uint64_t end = run->offset + run->length;
	int r = 0;

	for (size_t i = find_range(d->wanted, run->offset); i < d->wanted->list.count && r == 0; i++) {
		struct page_range w = d->wanted->list.items[i];
		struct page_run part = *run;

		if (w.start >= end)
			break;
		part.offset = w.start > run->offset ? w.start : run->offset;
		part.length = (w.end < end ? w.end : end) - part.offset;
		r = d->sink->put(d->sink->arg, &part,
				 (const char *)data + (part.offset - run->offset), err);
	}
	return r;
}

/* The frames of this object, which follow each other. */
static int deliver_frames(struct image_reader *reader, uint64_t object, struct delivery *d,
			  struct image_pump *pump, struct error **err)
{
	const struct image_sink sink = {deliver_run, d};
	struct image_frame frame;
	int r;

	while ((r = image_reader_next(reader, &frame, err)) > 0) {
		if (frame.type != IMAGE_TYPE_MEMORY || frame.runs[0].object != object)
			return 0;
		d->seen = add_seen(d->seen, &frame);
		for (size_t i = 0; i < frame.run_count; i++)
			if (frame.runs[i].object != object)
				return refuse(err, EBADMSG, NULL,
					      "%s has memory of two processes in one frame",
					      image_reader_name(reader));
		if (has_wanted(d, frame.runs, frame.run_count))
			r = image_pump_frame(pump, reader, &frame, &sink, err);
		if (r < 0)
			break;
	}
	return r;
}

static int deliver_image(const struct chain_link *l, const struct chain_memory *m,
			 struct delivery *d, struct image_pump *pump, struct error **err)
{
	cleanup_image_reader struct image_reader *reader = NULL;
	struct error *own = NULL;
	int r = lseek(l->fd, 0, SEEK_SET) < 0 ? fail_errno(err, errno, "cannot read %s", l->path) : 0;

	if (r == 0)
		r = image_reader_open_fd(&reader, l->fd, l->path, err);
	if (r == 0)
		r = image_reader_seek(reader, m->at, err);
	if (r < 0)
		return r;
	image_reader_skip_data(reader);
	r = deliver_frames(reader, MEMORY_OBJECT(m->pid), d, pump, &own);
	if (r == 0 && d->seen != m->seen)
		r = refuse(&own, ESTALE, NULL, "%s has changed while it was read", l->path);
	return image_pump_wait(pump, r, &own, err);
}

int chain_pages(const struct chain *c, const Rec__Memory *m, struct image_pump *pump,
		const struct image_sink *sink, struct error **err)
{
	struct page_ranges wanted cleanup_ranges = {0};
	int r = ranges_of_record(m->n_unchanged, m->unchanged, &wanted);

	vec_each(l, &c->links) {
		const struct chain_memory *cm = chain_memory_of(l, m->pid);
		struct delivery d = {&wanted, sink, 0};
		struct page_ranges below = {0};

		if (r < 0 || !wanted.list.count)
			break;
		if (!cm)
			return refuse(err, EBADMSG, NULL, "%s has no memory of process %u", l->path, m->pid);
		if (cm->at)
			r = deliver_image(l, cm, &d, pump, err);
		if (r < 0)
			return r;
		r = ranges_both(&wanted, &cm->unchanged, &below);
		ranges_free(&wanted);
		wanted = below;
	}
	return r < 0 ? fail_errno(err, -r, "cannot read the images below") : 0;
}

int chain_verify(const struct chain *c, struct error **err)
{
	vec_each(l, &c->links) {
		int r = image_verify(l->path, NULL, NULL, err);

		if (r < 0)
			return r;
	}
	return 0;
}

char *chain_hint(const char *path, const char *parent)
{
	cleanup_free char *folder = folder_of(path), *other = folder_of(parent);
	cleanup_free char *here = folder ? realpath(*folder ? folder : ".", NULL) : NULL;
	cleanup_free char *there = other ? realpath(*other ? other : ".", NULL) : NULL;
	const char *slash = strrchr(parent, '/');

	if (here && there && strcmp(path, "-") != 0 && strcmp(here, there) == 0)
		return strdup(slash ? slash + 1 : parent);
	return realpath(parent, NULL);
}

int parent_valid(const Rec__Parent *p, struct error **err)
{
	if (p->depth == 0 || p->depth > CHAIN_MAX)
		return refuse(err, EBADMSG, NULL, "the image names a parent in an impossible depth (%u)",
			      p->depth);
	if (!p->path || !p->path[0])
		return refuse(err, EBADMSG, NULL, "the image names a parent without a name");
	return 0;
}

/* *at: the area that it begins in is not before this one. */
static bool in_private_areas(const Rec__Memory *m, const Rec__Range *range, size_t *at)
{
	uint64_t next = range->start;

	for (; *at < m->n_areas; ++*at) {
		const Rec__Area *a = m->areas[*at];

		if (a->end <= next)
			continue;
		if (a->start > next || a->special || (a->flags & MAP_TYPE) != MAP_PRIVATE)
			return false;
		next = a->end;
		if (next >= range->end)
			return true;
	}
	return false;
}

int unchanged_valid(const Rec__Memory *m, bool has_parent, struct error **err)
{
	size_t k = 0, at = 0;
	bool good = ranges_in_order(m->n_unchanged, m->unchanged);

	if (m->n_unchanged && !has_parent)
		return refuse(err, EBADMSG, NULL,
			      "the image contradicts itself: memory of a parent image, and it has none");
	for (size_t i = 0; i < m->n_unchanged && good; i++) {
		good = in_private_areas(m, m->unchanged[i], &at);
		while (k < m->n_inherited && m->inherited[k]->end <= m->unchanged[i]->start)
			k++;
		if (k < m->n_inherited && m->inherited[k]->start < m->unchanged[i]->end)
			good = false;
	}
	return good ? 0
		    : refuse(err, EBADMSG, NULL,
			     "the image contradicts itself: memory of the parent image in places that "
			     "cannot have it");
}
