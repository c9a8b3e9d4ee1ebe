/* The server of engine/lazy.h: one thread, that puts pages where they are asked for, and the rest meanwhile. */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "engine/lazy.h"
#include "engine/uffd.h"

#define WHOLE_PAGES (~(uint64_t)(ARCH_PAGE_SIZE - 1))

struct fault {
	size_t memory, space;
	uint64_t page;
};

struct server {
	struct lazy *lazy;
	int guard;
	struct image_decoder *decoder;
	char *buffer; /* IMAGE_MAX_RAW bytes: a frame, until it is known to be right */
	size_t used;
	VEC(struct fault) faults;
	VEC(struct pollfd) polls;
};

static struct lazy_space *space_of(const struct server *s, size_t memory, size_t space)
{
	return &s->lazy->memories.items[memory].spaces.items[space];
}

/* ---- What the kernel tells -------------------------------------------------------------- */

/* The guard keeps it, too, so that the child is not let go should we be killed. */
static int tell_guard(const struct server *s, char word, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.align = {.cmsg_len = CMSG_LEN(sizeof fd),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {&word, 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.align), &fd, sizeof fd);
		m.msg_control = control.buf;
		m.msg_controllen = sizeof control.buf;
	}
	return sendmsg(s->guard, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A child that lacks what its parent lacks. */
static int add_child(struct server *s, size_t memory, size_t parent, int uffd)
{
	struct lazy_memory *m = &s->lazy->memories.items[memory];
	struct lazy_space *slot = vec_push(&m->spaces);

	if (!slot)
		return -ENOMEM;
	*slot = (struct lazy_space){.uffd = uffd};
	if (todo_copy(&slot->todo, &m->spaces.items[parent].todo) < 0)
		return -ENOMEM;
	return tell_guard(s, LAZY_FORKED, uffd);
}

static int add_fault(struct server *s, size_t memory, size_t space, uint64_t address)
{
	struct fault *slot = vec_push(&s->faults);

	if (!slot)
		return -ENOMEM;
	*slot = (struct fault){memory, space, address & WHOLE_PAGES};
	return 0;
}

static int take_message(struct server *s, size_t memory, size_t space, const struct uffd_msg *m)
{
	struct todo *todo = &space_of(s, memory, space)->todo;

	switch (m->event) {
	case UFFD_EVENT_PAGEFAULT:
		return add_fault(s, memory, space, m->arg.pagefault.address);
	case UFFD_EVENT_FORK:
		return add_child(s, memory, space, (int)m->arg.fork.ufd);
	case UFFD_EVENT_REMAP:
		return todo_move(todo, m->arg.remap.from, m->arg.remap.to, m->arg.remap.len);
	case UFFD_EVENT_REMOVE:
	case UFFD_EVENT_UNMAP:
		return todo_remove(todo, m->arg.remove.start, m->arg.remove.end);
	default:
		return -EPROTO;
	}
}

/* All that it has to say.  While something is unsaid, pages cannot be put there (-EAGAIN). */
static int listen_to(struct server *s, size_t memory, size_t space)
{
	struct uffd_msg m;
	int res = 0;

	while (res == 0) {
		ssize_t n = read(space_of(s, memory, space)->uffd, &m, sizeof m);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		res = n == sizeof m ? take_message(s, memory, space, &m) : -EPROTO;
	}
	return res;
}

/* ---- Putting pages in place ------------------------------------------------------------- */

/*
 * Copies to one mapping.  *ret_done: so far it went; -EAGAIN: something has to be heard first.  What has
 * gone, or is there already, is passed over.
 */
static int copy_part(struct lazy_space *space, uint64_t to, const char *from, uint64_t size,
		     uint64_t *ret_done)
{
	uint64_t done = 0, most = size;
	int res = 0;

	while (done < size && res == 0) {
		uint64_t n, want = size - done < most ? size - done : most;

		res = uffd_copy(space->uffd, to + done, from + done, want, &n);
		done += n;
		if (res == 0 || (n && res == -EAGAIN)) {
			res = 0;
		} else if (res == -EEXIST) {
			done += ARCH_PAGE_SIZE;
			res = 0;
		} else if (res == -ENOENT || res == -EINVAL) {
			/* Across two mappings, or into none. */
			if (want > ARCH_PAGE_SIZE)
				most = want / 2 & WHOLE_PAGES;
			else
				done += ARCH_PAGE_SIZE;
			res = 0;
		} else if (res == -ESRCH || res == -ENOSPC) {
			/* The last of its processes has ended. */
			space->gone = true;
			done = size;
			res = 0;
		}
	}
	*ret_done = done;
	return res;
}

/* A run of the image, to wherever this address space lacks it. */
static int put_run(struct server *s, size_t memory, size_t space, const struct page_run *run,
		   const char *data)
{
	struct todo_range part;
	size_t at = 0;
	uint64_t done;
	int res;

	while (!space_of(s, memory, space)->gone &&
	       todo_showing(&space_of(s, memory, space)->todo, &at, run->offset,
			    run->offset + run->length, &part)) {
		res = copy_part(space_of(s, memory, space), part.start,
				data + (part.origin - run->offset), part.end - part.start, &done);
		if (res < 0 && res != -EAGAIN)
			return res;
		/* The list changes: it is looked through again. */
		at = 0;
		if (todo_remove(&space_of(s, memory, space)->todo, part.start, part.start + done) < 0)
			return -ENOMEM;
		if (res == -EAGAIN && (res = listen_to(s, memory, space)) < 0)
			return res;
	}
	return 0;
}

static int collect(void *arg, const struct page_run *part, const void *data, struct error **err)
{
	struct server *s = arg;

	if (part->length > IMAGE_MAX_RAW - s->used)
		return fail(err, EBADMSG, "a frame is larger than it may be");
	memcpy(s->buffer + s->used, data, part->length);
	s->used += part->length;
	return 0;
}

/* A frame, to all address spaces that lack some of it: also to those that appear meanwhile. */
static int put_frame(struct server *s, size_t memory, size_t frame, struct error **err)
{
	const struct lazy_memory *m = &s->lazy->memories.items[memory];
	struct lazy_frame *f = &m->frames.items[frame];
	const struct page_run *runs = &m->runs.items[f->first_run];
	const struct image_file file = {"the image", s->lazy->fd, s->lazy->base};
	const struct image_data what = {.name = file.name,
					.stored = f->stored,
					.runs = runs,
					.run_count = f->run_count,
					.sink = {collect, s}};
	int res;

	s->used = 0;
	res = image_decoder_read(s->decoder, &file, &what, err);
	for (size_t i = 0; i < m->spaces.count && res == 0; i++) {
		const char *data = s->buffer;

		for (size_t k = 0; k < f->run_count && res == 0; k++) {
			res = put_run(s, memory, i, &runs[k], data);
			data += runs[k].length;
		}
		if (res < 0)
			fail_errno(err, -res, "memory cannot be put in place");
	}
	f->done = true;
	s->lazy->memories.items[memory].left--;
	return res;
}

/* The frame that holds the address; false: none does. */
static bool find_frame(const struct lazy_memory *m, uint64_t origin, size_t *ret)
{
	size_t lo = 0, hi = m->places.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->places.items[mid].end <= origin)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == m->places.count || m->places.items[lo].start > origin)
		return false;
	*ret = m->places.items[lo].frame;
	return !m->frames.items[*ret].done;
}

/* What the image does not have is zeros: a hole, or what was dropped since. */
static int put_zeros(struct server *s, const struct fault *f)
{
	struct lazy_space *space = space_of(s, f->memory, f->space);
	struct uffdio_zeropage zero = {.range = {f->page, ARCH_PAGE_SIZE}};
	int res;

	do {
		res = ioctl(space->uffd, UFFDIO_ZEROPAGE, &zero) < 0 ? -errno : 0;
		if (res == -EAGAIN && listen_to(s, f->memory, f->space) < 0)
			return -EIO;
		space = space_of(s, f->memory, f->space);
	} while (res == -EAGAIN);
	space->gone = space->gone || res == -ESRCH;
	return res == -EEXIST || res == -ENOENT || res == -EINVAL || res == -ESRCH ? 0 : res;
}

static int answer(struct server *s, const struct fault *f, struct error **err)
{
	const struct lazy_memory *m = &s->lazy->memories.items[f->memory];
	struct lazy_space *space = space_of(s, f->memory, f->space);
	const struct todo_range *r = todo_find(&space->todo, f->page);
	struct uffdio_range page = {f->page, ARCH_PAGE_SIZE};
	size_t frame;
	int res = 0;

	if (space->gone)
		return 0;
	if (r && find_frame(m, r->origin + (f->page - r->start), &frame))
		res = put_frame(s, f->memory, frame, err);
	else if ((res = put_zeros(s, f)) < 0)
		fail_errno(err, -res, "zeros cannot be put in place");
	/* Where the page was there already nobody has been woken. */
	ioctl(space_of(s, f->memory, f->space)->uffd, UFFDIO_WAKE, &page);
	return res;
}

/* ---- In turns --------------------------------------------------------------------------- */

static int add_poll(struct server *s, int fd)
{
	struct pollfd *p = vec_push(&s->polls);

	if (!p)
		return -ENOMEM;
	*p = (struct pollfd){.fd = fd, .events = POLLIN};
	return 0;
}

/* wait: until somebody has something to say.  -EPIPE: the guard is gone. */
static int listen_to_all(struct server *s, bool wait)
{
	size_t next = 0;
	int res;

	s->polls.count = 0;
	res = add_poll(s, s->guard);
	vec_each(m, &s->lazy->memories)
		vec_each(space, &m->spaces)
			if (res == 0)
				res = add_poll(s, space->gone ? -1 : space->uffd);
	if (res < 0)
		return res;
	if (poll(s->polls.items, s->polls.count, wait ? -1 : 0) < 0)
		return errno == EINTR ? 0 : -errno;
	if (s->polls.items[next++].revents)
		return -EPIPE;
	for (size_t i = 0; i < s->lazy->memories.count && res == 0; i++) {
		size_t count = s->lazy->memories.items[i].spaces.count;

		/* Those that appear now come next time. */
		for (size_t k = 0; k < count && next < s->polls.count && res == 0; k++)
			if (s->polls.items[next++].revents)
				res = listen_to(s, i, k);
	}
	return res;
}

static int answer_all(struct server *s, struct error **err)
{
	int res = 0;

	/* The list may grow while it is worked on. */
	for (size_t i = 0; i < s->faults.count && res == 0; i++) {
		struct fault f = s->faults.items[i];

		res = answer(s, &f, err);
	}
	s->faults.count = 0;
	return res;
}

static bool anybody_left(const struct lazy_memory *m)
{
	vec_each(space, &m->spaces)
		if (!space->gone)
			return true;
	return false;
}

/* The next frame that nobody has asked for.  0: there is none. */
static int go_on(struct server *s, struct error **err)
{
	for (size_t i = 0; i < s->lazy->memories.count; i++) {
		struct lazy_memory *m = &s->lazy->memories.items[i];

		while (m->next < m->frames.count && m->frames.items[m->next].done)
			m->next++;
		if (m->next < m->frames.count && anybody_left(m)) {
			int res = put_frame(s, i, m->next, err);

			return res < 0 ? res : 1;
		}
	}
	return 0;
}

static bool work_left(const struct server *s)
{
	vec_each(m, &s->lazy->memories)
		if (m->left && anybody_left(m))
			return true;
	return false;
}

static int serve_all(struct server *s, struct error **err)
{
	int res;

	do {
		res = listen_to_all(s, false);
		if (res < 0)
			return fail_errno(err, -res, "the process that guards it has ended");
		/* Who waits comes first. */
		res = s->faults.count ? answer_all(s, err) : go_on(s, err);
	} while (res > 0 || (res == 0 && work_left(s)));
	return res;
}

/* Holes are asked for until the guard has let go, too: then they are filled by the kernel. */
static void take_leave(struct server *s)
{
	int res = tell_guard(s, LAZY_DONE, -1);

	while (res == 0) {
		res = listen_to_all(s, true);
		if (res == 0)
			res = answer_all(s, NULL);
	}
}

void lazy_serve(struct lazy *l, int other)
{
	struct server s = {.lazy = l, .guard = other};
	struct error *err = NULL;
	int res;

	s.buffer = mmap(NULL, IMAGE_MAX_RAW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	res = s.buffer == MAP_FAILED ? fail(&err, ENOMEM, "out of memory")
				     : image_decoder_new(&s.decoder, &err);
	if (res == 0)
		res = serve_all(&s, &err);
	if (res < 0) {
		lazy_end_program(l, err ? error_why(err, 0) : "unknown");
		_exit(1);
	}
	take_leave(&s);
	_exit(0);
}
