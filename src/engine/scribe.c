#include "engine/scribe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"

/* What is hashed is still in the processor's cache; and stopping for each load costs next to nothing. */
#define FRAME_SIZE ((size_t)4 << 20)
#define LOAD_FRAMES 4
/* Zeros are looked for at the beginning of every so many pages. */
#define BLOCK ((uint64_t)8 * ARCH_PAGE_SIZE)
#define REPAIR_STEP ((size_t)128 << 10)
/* One vector less than there may be (IOV_MAX): it is for what a frame begins with. */
#define MOST_RUNS (IMAGE_MAX_RUNS - 1)

struct frame {
	struct page_run runs[MOST_RUNS];
	size_t count, bytes;
	uint64_t offset; /* in the image */
	uint64_t front;  /* what it begins with there, in the batch */
	size_t front_len;
	int64_t done;    /* what pwritev(2) returned */
};

/* What is written by one batch. */
struct load {
	struct frame frames[LOAD_FRAMES];
	size_t count;
};

struct scribe {
	struct twin *twin;
	const struct page_source *source;
	struct image_writer *w;
	const struct checkpoint_options *options;
	int image; /* the number of the image in its table */
	bool mute; /* it cannot write after all: a limit on the size of files */
	bool busy; /* with the load that is not the current one */
	unsigned int current;
	struct load loads[2];
	struct batch batch;
	unsigned char block[BLOCK];
	unsigned char step[REPAIR_STEP];
};

/* ---- The image comes to it through a socket of its own --------------------------------- */

struct passage {
	struct msghdr message;
	struct iovec text;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char byte;
};

static int send_image(const struct twin *t, int socket, int image)
{
	cleanup_close int fd = (int)syscall(SYS_pidfd_getfd, t->pidfd, socket, 0);
	struct passage p = {.text = {.iov_len = 1}};
	struct cmsghdr *c = (struct cmsghdr *)p.control;

	if (fd < 0)
		return -errno;
	p.text.iov_base = &p.byte;
	p.message = (struct msghdr){.msg_iov = &p.text, .msg_iovlen = 1,
				    .msg_control = p.control, .msg_controllen = sizeof p.control};
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof image), .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &image, sizeof image);
	return sendmsg(fd, &p.message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int receive_image(struct scribe *s, const int sockets[2], struct error **err)
{
	struct batch *b = &s->batch;
	uint64_t at = batch_space(b, sizeof(struct passage));
	struct passage *p = batch_at(b, at);
	int r;

	p->text = (struct iovec){(void *)(uintptr_t)(at + offsetof(struct passage, byte)), 1};
	p->message = (struct msghdr){
		.msg_iov = (void *)(uintptr_t)(at + offsetof(struct passage, text)),
		.msg_iovlen = 1,
		.msg_control = (void *)(uintptr_t)(at + offsetof(struct passage, control)),
		.msg_controllen = sizeof p->control};
	batch_call(b, 0, SYS_recvmsg, (uint64_t)sockets[0], at, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	batch_call(b, 0, SYS_close, (uint64_t)sockets[0]);
	batch_call(b, 0, SYS_close, (uint64_t)sockets[1]);
	r = inject_run(&s->twin->in, b, NULL, err);
	if (r == 0 && p->message.msg_controllen < CMSG_LEN(sizeof(int)))
		r = fail(err, EMFILE, "a clone cannot be given the image");
	if (r == 0)
		memcpy(&s->image, CMSG_DATA((struct cmsghdr *)p->control), sizeof(int));
	batch_clear(b);
	return r;
}

static int pass_image(struct scribe *s, struct error **err)
{
	struct batch *b = &s->batch;
	uint64_t pair = batch_space(b, sizeof(int[2]));
	int sockets[2], r;

	batch_call(b, 0, SYS_socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair);
	r = inject_run(&s->twin->in, b, NULL, err);
	memcpy(sockets, batch_at(b, pair), sizeof sockets);
	batch_clear(b);
	if (r == 0)
		r = send_image(s->twin, sockets[1], image_writer_fd(s->w));
	return r == 0 ? receive_image(s, sockets, err) : r;
}

int scribe_open(struct scribe **ret, struct twin *twin, const struct page_source *source,
		struct image_writer *w, const struct checkpoint_options *o, struct error **err)
{
	struct error *why = NULL;
	struct scribe *s;
	int r;

	*ret = NULL;
	if (!twin->pid || !image_writer_takes_reserve(w))
		return 0;
	s = calloc(1, sizeof *s);
	if (!s || batch_init(&s->batch, twin->in.region) < 0) {
		scribe_free(s);
		return fail(err, ENOMEM, "out of memory");
	}
	s->twin = twin;
	s->source = source;
	s->w = w;
	s->options = o;
	r = inject_rehearse(&twin->in, SYS_pwritev, &why);
	if (r == 0)
		r = pass_image(s, &why);
	if (r == 0) {
		*ret = s;
		return 0;
	}
	scribe_free(s);
	if (r == -ESRCH)
		error_merge(err, &why);
	error_free(why);
	return r == -ESRCH ? r : 0;
}

/* ---- Writing --------------------------------------------------------------------------- */

/* One call writes all of the frame. */
static int add_frame(struct scribe *s, struct frame *f, struct error **err)
{
	struct batch *b = &s->batch;
	struct image_room room;
	struct iovec *iov;
	uint64_t at;
	int r = image_writer_reserve(s->w, f->runs, f->count, &room, err);

	if (r < 0)
		return r;
	f->done = -ENOTSUP;
	f->offset = room.offset;
	f->front_len = room.front_len;
	f->front = batch_put(b, room.front, room.front_len);
	at = batch_space(b, (f->count + 1) * sizeof *iov);
	if (b->overflow)
		return fail(err, ENOMEM, "out of memory");
	iov = batch_at(b, at);
	*iov++ = (struct iovec){(void *)(uintptr_t)f->front, f->front_len};
	for (size_t i = 0; i < f->count; i++)
		*iov++ = (struct iovec){(void *)(uintptr_t)f->runs[i].offset, f->runs[i].length};
	batch_call(b, BATCH_MAY_FAIL, SYS_pwritev, (uint64_t)s->image, at, f->count + 1, f->offset);
	return 0;
}

static int start(struct scribe *s, struct load *l, struct error **err)
{
	int r = 0;

	batch_clear(&s->batch);
	for (size_t i = 0; i < l->count && r == 0; i++)
		r = add_frame(s, &l->frames[i], err);
	if (r < 0 || s->mute)
		return r;
	r = inject_start(&s->twin->in, &s->batch, err);
	s->busy = r == 0;
	return r;
}

/* Reads the frame and writes it, in the place of who could not. */
static int repair(struct scribe *s, const struct frame *f, struct error **err)
{
	uint64_t to = f->offset + f->front_len;
	int fd = image_writer_fd(s->w);
	int r = fd_pwrite(fd, batch_at(&s->batch, f->front), f->front_len, f->offset);

	for (size_t i = 0; i < f->count && r == 0; i++)
		for (uint64_t at = 0; at < f->runs[i].length && r == 0; at += REPAIR_STEP) {
			uint64_t address = f->runs[i].offset + at;
			size_t left = f->runs[i].length - at;
			size_t size = left < REPAIR_STEP ? left : REPAIR_STEP;

			r = source_read(s->source, address, s->step, size);
			if (r < 0)
				return fail_errno(err, -r, "cannot read memory at 0x%" PRIx64,
						  address);
			r = fd_pwrite(fd, s->step, size, to);
			to += size;
		}
	return r < 0 ? image_writer_unfilled(s->w, -r, err) : 0;
}

/* Waits for what is being written, and sees how far that went. */
static int wait(struct scribe *s, struct load *l, struct error **err)
{
	int r = s->busy ? inject_finish(&s->twin->in, &s->batch, NULL, err) : 0;

	for (size_t i = 0; i < l->count && r == 0; i++) {
		struct frame *f = &l->frames[i];

		if (s->busy)
			f->done = batch_result(&s->batch, (uint32_t)i);
		/* A limit on the size of files, a filter: the next will not do any better. */
		if (f->done < 0 && f->done != -EFAULT)
			s->mute = true;
		if (f->done != (int64_t)(f->front_len + f->bytes))
			r = repair(s, f, err);
	}
	s->busy = false;
	return r;
}

static int settle(struct scribe *s, struct load *l, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < l->count && r == 0; i++)
		r = image_writer_filled(s->w, err);
	l->count = 0;
	if (r == 0 && s->options->progress)
		s->options->progress(s->options->progress_arg, image_writer_progress(s->w));
	return r;
}

/* The current load begins to be written as soon as the other one is, which is then settled. */
static int turn(struct scribe *s, struct error **err)
{
	struct load *now = &s->loads[s->current], *before = &s->loads[!s->current];
	int r = wait(s, before, err);

	if (r == 0 && now->count)
		r = start(s, now, err);
	if (r == 0)
		r = settle(s, before, err);
	s->current = !s->current;
	return r;
}

/* The frame that is being gathered; its load has room. */
static struct frame *gathered(struct scribe *s)
{
	struct load *l = &s->loads[s->current];

	return &l->frames[l->count];
}

static int close_frame(struct scribe *s, struct error **err)
{
	struct load *l = &s->loads[s->current];
	struct frame *f = gathered(s);
	int r = 0;

	if (!f->count)
		return 0;
	if (++l->count == LOAD_FRAMES)
		r = turn(s, err);
	f = gathered(s);
	f->count = f->bytes = 0;
	return r;
}

static int add_run(struct scribe *s, uint64_t object, struct page_range range,
		   struct error **err)
{
	while (range.start < range.end) {
		struct frame *f = gathered(s);
		struct page_run *last = f->count ? &f->runs[f->count - 1] : NULL;
		uint64_t size = range.end - range.start, room = FRAME_SIZE - f->bytes;

		if (size > room)
			size = room;
		if (size && last && last->object == object &&
		    last->offset + last->length == range.start)
			last->length += size;
		else if (size && f->count < MOST_RUNS)
			f->runs[f->count++] = (struct page_run){object, range.start, size};
		else {
			int r = close_frame(s, err);

			if (r < 0)
				return r;
			continue;
		}
		f->bytes += size;
		range.start += size;
	}
	return 0;
}

static bool is_zero(const unsigned char *page)
{
	return page[0] == 0 && memcmp(page, page + 1, ARCH_PAGE_SIZE - 1) == 0;
}

/* A block, or what there is of it: its first word tells mostly that it is no stretch of zeros. */
static int add_block(struct scribe *s, uint64_t object, struct page_range range,
		     struct error **err)
{
	uint64_t word = 0;
	size_t size = range.end - range.start;

	if (fd_pread(s->source->mem, &word, sizeof word, range.start) != (ssize_t)sizeof word || word ||
	    source_read(s->source, range.start, s->block, size) < 0)
		return add_run(s, object, range, err);
	for (size_t at = 0; at < size; at += ARCH_PAGE_SIZE) {
		uint64_t page = range.start + at;
		int r = is_zero(s->block + at)
				? 0
				: add_run(s, object,
					  (struct page_range){page, page + ARCH_PAGE_SIZE}, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int scribe_add(struct scribe *s, uint64_t object, struct page_range range, bool keep_zeros,
	       struct error **err)
{
	int r = 0;

	if (keep_zeros)
		return add_run(s, object, range, err);
	while (range.start < range.end && r == 0) {
		uint64_t end = (range.start | (BLOCK - 1)) + 1;
		struct page_range part = {range.start, end < range.end ? end : range.end};

		r = add_block(s, object, part, err);
		range.start = part.end;
	}
	return r;
}

int scribe_finish(struct scribe *s, struct error **err)
{
	int r = close_frame(s, err);

	/* The current load, and then the wait for it. */
	for (int i = 0; i < 2 && r == 0; i++)
		r = turn(s, err);
	return r;
}

void scribe_free(struct scribe *s)
{
	if (!s)
		return;
	batch_free(&s->batch);
	free(s);
}
