#include "engine/precopy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/mappings.h"
#include "engine/ranges.h"
#include "engine/source.h"
#include "engine/watch.h"
#include "inject/track.h"
#include "task/areas.h"

#define CHUNK ((size_t)1 << 20)
#define LITTLE (UINT64_C(2) << 20) /* is copied within the pause in a millisecond */
#define ROUNDS_MAX 12u

bool precopy_goes_on(unsigned int round, uint64_t copied, uint64_t before)
{
	if (copied <= LITTLE || round + 1 >= ROUNDS_MAX)
		return false;
	/* What does not shrink is written as fast as it is copied. */
	return round == 0 || copied < before - before / 4;
}

static bool is_copied(const struct vm_area *a)
{
	return !a->shared && !a->gate && area_special(a) == AREA_ORDINARY && a->prot != PROT_NONE;
}

/* As far as it still has the mappings that it had; what is new is not protected. */
static void disarm(const struct held *h)
{
	cleanup_free char *path = str_format("/proc/%d/maps", h->pid);
	struct vm_areas areas cleanup_maps = {0};

	if (path && areas_read(AT_FDCWD, path, &areas) == 0)
		vec_each(a, &areas.list)
			if (is_copied(a))
				track_disarm(h->uffd, a->start, a->end);
}

void precopy_free(struct precopy *p)
{
	vec_each(h, &p->watched.processes)
		disarm(h);
	vec_each(s, &p->spaces)
		vec_free(&s->have.list);
	vec_free(&p->spaces);
	tracked_free(&p->watched);
}

static struct precopied *space_of(const struct precopy *p, pid_t pid, uint64_t starttime)
{
	vec_each(s, &p->spaces)
		if (s->pid == pid && s->starttime == starttime)
			return s;
	return NULL;
}

static int by_start(const void *a, const void *b)
{
	const struct spooled *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* A space while it is copied. */
struct copying {
	struct page_source source;
	struct spool *spool;
	struct spooled_list *have;
	struct spooled_list added; /* in this round, behind all that was there before */
	char *buf;
	uint64_t copied;
};

static int copy_to(struct copying *c, uint64_t start, uint64_t end, uint64_t at)
{
	while (start < end) {
		size_t size = end - start < CHUNK ? end - start : CHUNK;
		int r = source_read(&c->source, start, c->buf, size);

		if (r == 0)
			r = fd_pwrite(c->spool->fd, c->buf, size, at);
		if (r < 0)
			return r;
		start += size;
		at += size;
		c->copied += size;
	}
	return 0;
}

static int copy_new(struct copying *c, uint64_t start, uint64_t end)
{
	struct spooled *new = start < end ? vec_push(&c->added.list) : NULL;

	if (!new)
		return start < end ? -ENOMEM : 0;
	*new = (struct spooled){start, end, c->spool->used, false};
	c->spool->used += end - start;
	return copy_to(c, start, end, new->at);
}

/* Later versions of a page stand where the first one did. */
static int copy_range(struct copying *c, struct page_range range)
{
	int r = 0;

	for (size_t i = spool_find(c->have, range.start); r == 0 && range.start < range.end; i++) {
		const struct spooled *old = i < c->have->list.count ? &c->have->list.items[i] : NULL;
		uint64_t limit = old && old->start < range.end ? old->start : range.end, end;

		if (range.start < limit) {
			r = copy_new(c, range.start, limit);
			range.start = limit;
		}
		if (r < 0 || range.start == range.end)
			break;
		end = old->end < range.end ? old->end : range.end;
		r = copy_to(c, range.start, end, old->at + (range.start - old->start));
		range.start = end;
	}
	return r;
}

/* What was copied of the range does not count any more. */
static int forget(struct spooled_list *have, uint64_t start, uint64_t end)
{
	struct spooled_list kept = {0};

	vec_each(it, &have->list) {
		const struct spooled parts[] = {
			{it->start, it->end < start ? it->end : start, it->at, false},
			{it->start > end ? it->start : end, it->end,
			 it->at + (it->start > end ? 0 : end - it->start), false},
		};

		for (size_t i = 0; i < 2; i++) {
			struct spooled *to = parts[i].start < parts[i].end ? vec_push(&kept.list) : NULL;

			if (to)
				*to = parts[i];
			else if (parts[i].start < parts[i].end)
				return vec_free(&kept.list), -ENOMEM;
		}
	}
	vec_free(&have->list);
	*have = kept;
	return 0;
}

/*
 * Protected before it is copied: a page that is written while it is being copied comes again.  The
 * list of mappings may be old already, and the range not be watched any more, or in part: then
 * some of it may have been protected without our being told which.
 */
static int copy_area(struct copying *c, const struct vm_area *a)
{
	struct page_ranges written cleanup_ranges = {0}, there cleanup_ranges = {0};
	struct page_ranges both cleanup_ranges = {0};
	int r = pagemap_take_written(c->source.pagemap, a->start, a->end, &written);

	if (r < 0)
		return r == -EPERM ? forget(c->have, a->start, a->end) : r;
	if (!written.list.count)
		return 0;
	r = a->inode ? pagemap_private(c->source.pagemap, a->start, a->end, &there)
		     : pagemap_anonymous(c->source.pagemap, a->start, a->end, &there);
	if (r == 0)
		r = ranges_both(&written, &there, &both);
	vec_each(range, &both.list)
		if (r == 0)
			r = copy_range(c, *range);
	return r;
}

static int keep_added(struct copying *c)
{
	vec_each(it, &c->added.list) {
		struct spooled *new = vec_push(&c->have->list);

		if (!new)
			return -ENOMEM;
		*new = *it;
	}
	if (c->added.list.count)
		qsort(c->have->list.items, c->have->list.count, sizeof *c->have->list.items, by_start);
	return 0;
}

/* One round in one address space. */
static int copy_space(const struct held *h, struct precopied *s, struct spool *spool, char *buf,
		      uint64_t *copied)
{
	struct copying c = {.spool = spool, .have = &s->have, .buf = buf};
	struct vm_areas areas cleanup_maps = {0};
	int r = watch_read(h, &areas, &c.source);

	vec_each(a, &areas.list)
		if (r == 0 && is_copied(a))
			r = copy_area(&c, a);
	if (r == 0)
		r = keep_added(&c);
	source_close(&c.source);
	vec_free(&c.added.list);
	*copied += c.copied;
	return r;
}

/* Who cannot be copied now is copied in the pause: what was copied so far is forgotten. */
static uint64_t copy_all(struct precopy *p, struct spool *spool, char *buf)
{
	uint64_t copied = 0;

	for (size_t i = 0; i < p->spaces.count; i++)
		if (p->spaces.items[i].pid &&
		    copy_space(&p->watched.processes.items[i], &p->spaces.items[i], spool, buf,
			       &copied) < 0) {
			p->spaces.items[i].pid = 0;
			p->spaces.items[i].have.list.count = 0;
		}
	return copied;
}

int precopy_run(struct precopy *p, pid_t pid, const struct checkpoint_options *o,
		struct spool *spool, struct error **err)
{
	cleanup_free char *buf = NULL;
	uint64_t copied = 0, before;
	unsigned int round = 0;
	int r;

	if (track_probe() != TRACK_UFFD)
		return 0;
	r = watch_tree(pid, o->only, &p->watched, err);
	if (r < 0 || !p->watched.processes.count)
		return r;
	buf = malloc(CHUNK);
	if (!buf || (spool_open_beside(spool, o->output) < 0 && spool->fd < 0))
		return fail(err, ENOMEM, "cannot copy memory beforehand");
	vec_each(h, &p->watched.processes) {
		struct precopied *s = vec_push(&p->spaces);

		if (!s)
			return fail(err, ENOMEM, "out of memory");
		s->pid = h->pid;
		s->starttime = h->starttime;
	}
	do {
		before = copied;
		copied = copy_all(p, spool, buf);
		p->copied += copied;
		p->rounds++;
	} while (precopy_goes_on(round++, copied, before));
	return 0;
}

int precopy_find_clean(const struct precopy *p, struct member *m, struct error **err)
{
	const struct precopied *s = space_of(p, m->task->pid, m->task->stat.starttime);
	struct page_ranges have cleanup_ranges = {0}, clean cleanup_ranges = {0};
	int pagemap = m->snapshot.target.pagemap, r = 0;

	if (!s || !m->memory || !s->have.list.count)
		return 0;
	for (size_t i = 0; i < m->memory->n_areas && r == 0; i++) {
		const Rec__Area *a = m->memory->areas[i];

		if (area_is_private(a))
			r = area_clean_pages(pagemap, a, &clean);
	}
	vec_each(it, &s->have.list)
		if (r == 0)
			r = pagemap_add(&have, it->start, it->end);
	if (r == 0)
		r = ranges_both(&have, &clean, &m->clean);
	return r < 0 ? fail_errno(err, -r, "cannot see what process %d has written", m->task->pid) : 0;
}

int precopy_hand_over(const struct precopy *p, struct member *m, struct error **err)
{
	const struct precopied *s = space_of(p, m->task->pid, m->task->stat.starttime);
	struct spooled_list *to = &m->snapshot.copied;

	if (!s)
		return 0;
	vec_each(range, &m->clean.list)
		for (size_t i = spool_find(&s->have, range->start);
		     i < s->have.list.count && s->have.list.items[i].start < range->end; i++) {
			const struct spooled *from = &s->have.list.items[i];
			struct spooled *new = vec_push(&to->list);

			if (!new)
				return fail(err, ENOMEM, "out of memory");
			new->start = from->start > range->start ? from->start : range->start;
			new->end = from->end < range->end ? from->end : range->end;
			new->at = from->at + (new->start - from->start);
		}
	if (to->list.count)
		qsort(to->list.items, to->list.count, sizeof *to->list.items, by_start);
	return 0;
}
