#include "engine/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/ranges.h"

#define HUGE_PAGE (UINT64_C(2) << 20)

bool area_is_private(const Rec__Area *a)
{
	return !a->special && (a->flags & MAP_TYPE) == MAP_PRIVATE;
}

static bool has_advice(const Rec__Area *a, uint32_t advice)
{
	for (size_t i = 0; i < a->n_advice; i++)
		if (a->advice[i] == advice)
			return true;
	return false;
}

/*
 * Not what fork(2) leaves out; and not huge pages of the pool: when it has no page left for what the
 * target writes, the kernel takes the clone's.
 */
static bool clone_freezes(const Rec__Area *a)
{
	return !(a->flags & MAP_HUGETLB) && !has_advice(a, MADV_DONTFORK) &&
	       !has_advice(a, MADV_WIPEONFORK);
}

void snapshot_weigh(const struct task *task, const Rec__Memory *m, const struct page_ranges *clean,
		    struct freeze_facts *facts)
{
	facts->clean += ranges_size(clean) / ARCH_PAGE_SIZE;
	for (size_t i = 0; i < m->n_areas; i++) {
		const Rec__Area *a = m->areas[i];
		const struct vm_area *seen = maps_find(&task->areas, a->start);
		uint64_t size, huge;

		/* Who last attached or detached a System V segment is on record: shmctl(2). */
		if (seen && seen->shared && seen->path && str_starts(seen->path, "/SYSV"))
			facts->may_clone = false;
		if (!seen || !area_is_private(a))
			continue;
		size = a->flags & MAP_HUGETLB ? a->end - a->start : seen->anonymous + seen->swap;
		huge = seen->anon_huge < size ? seen->anon_huge : size;
		facts->huge_pages += huge / HUGE_PAGE;
		facts->pages += (size - huge) / ARCH_PAGE_SIZE;
		if (!clone_freezes(a))
			facts->unfreezable += size / ARCH_PAGE_SIZE;
	}
}

/*
 * What is there of an area between what is clean: mostly so little that to ask for each is less
 * than a pass over all pages.  *next: of clean, the first that ends behind the area's start.
 */
static int find_between(const struct snapshot *s, const Rec__Area *a,
			const struct page_ranges *clean, size_t *next, struct page_ranges *ret)
{
	uint64_t at = a->start;
	int r = 0;

	while (at < a->end && r == 0) {
		const struct page_range *c =
			*next < clean->list.count ? &clean->list.items[*next] : NULL;
		uint64_t end = c && c->start < a->end ? c->start : a->end;

		if (at < end)
			r = area_part_pages(s->target.pagemap, a, (struct page_range){at, end}, ret);
		if (!c || c->end > a->end)
			break;
		at = c->end > at ? c->end : at;
		++*next;
	}
	return r;
}

/* What is there of the areas that no clone will have, perhaps without some of what is clean. */
static int find_pages(const struct snapshot *s, const Rec__Memory *m,
		      const struct page_ranges *clean, struct page_ranges *ret)
{
	struct page_walk walk = {0};
	size_t next = 0;
	int r = 0;

	for (size_t i = 0; i < m->n_areas && r == 0; i++) {
		const Rec__Area *a = m->areas[i];

		if (!area_is_private(a) || (s->freeze == FREEZE_CLONE && clone_freezes(a)))
			continue;
		while (next < clean->list.count && clean->list.items[next].end <= a->start)
			next++;
		/* That is found between what is clean. */
		walk.limit = next < clean->list.count ? clean->list.items[next].start : 0;
		if (walk.limit && walk.limit < a->end)
			r = find_between(s, a, clean, &next, ret);
		else
			r = source_ranges(&s->target, &walk, a,
					  (struct page_range){a->start, a->end}, ret);
	}
	vec_free(&walk.found.list);
	return r;
}

/* But what the parent image or the parent process has: nobody will ask for that. */
static int copy_areas(struct snapshot *s, const Rec__Memory *m, const struct page_ranges *clean,
		      struct spool *spool, uint64_t *copied)
{
	struct page_ranges there cleanup_ranges = {0}, changed cleanup_ranges = {0};
	struct page_ranges inherited cleanup_ranges = {0}, own cleanup_ranges = {0};
	int r = find_pages(s, m, clean, &there);

	if (r == 0)
		r = ranges_without(&there, clean, &changed);
	if (r == 0)
		r = ranges_of_record(m->n_inherited, m->inherited, &inherited);
	if (r == 0)
		r = ranges_without(&changed, &inherited, &own);
	if (r == 0)
		r = spool_add(spool, &s->copied, &own, source_read, &s->target);
	*copied += ranges_size(&own) / ARCH_PAGE_SIZE;
	return r;
}

/* When memory runs out it goes first. */
static void offer_to_oom(const struct twin *t)
{
	cleanup_free char *path = str_format("/proc/%d/oom_score_adj", t->pid);
	cleanup_close int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;

	if (fd >= 0)
		(void)fd_write(fd, "1000", 4);
}

/* A shared mapping is something to others: to seals of a memfd, to leases. */
static int unmap_shared(struct twin *t, struct batch *b, const Rec__Memory *m, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < m->n_areas && r == 0; i++) {
		const Rec__Area *a = m->areas[i];

		if (a->special || area_is_private(a))
			continue;
		if (!batch_has_room(b, 1, 0)) {
			r = inject_run(&t->in, b, NULL, err);
			batch_clear(b);
		}
		batch_call(b, 0, SYS_munmap, a->start, a->end - a->start);
	}
	return r;
}

/*
 * Nothing of the target's stays open by it: not even for a moment, for it still shares the table
 * that it leaves.  Signals to the target's process group are none of its own.
 */
static int detach_clone(struct twin *t, const Rec__Memory *m, struct error **err)
{
	struct batch b cleanup_batch = {0};
	int r;

	if (batch_init(&b, t->in.region) < 0)
		return fail(err, ENOMEM, "out of memory");
	batch_call(&b, 0, SYS_close_range, 0, UINT_MAX, CLOSE_RANGE_UNSHARE);
	batch_call(&b, 0, SYS_setsid);
	offer_to_oom(t);
	r = unmap_shared(t, &b, m, err);
	return r == 0 ? inject_run(&t->in, &b, NULL, err) : r;
}

bool snapshot_may_clone(const struct task *task)
{
	const struct thread *t = task->zombie ? NULL : task_leader(task);

	/*
	 * Filters that are suspended while we trace are there again when we die, and would judge the
	 * program's wait for what it has made.
	 */
	return !t || !t->status.seccomp || t->wary;
}

/* All with the thread in. */
static int clone_within(struct snapshot *s, struct injection *in, const Rec__Memory *m,
			struct error **err)
{
	int r = twin_copy(in, &s->twin, err);

	if (r == 0)
		r = detach_clone(&s->twin, m, err);
	return r == 0 ? source_of_twin(&s->clone, &s->twin, err) : r;
}

static int clone_task(struct snapshot *s, const struct task *task, struct injection *in,
		      const Rec__Memory *m, struct error **err)
{
	const struct thread *t = task_leader(task);
	int r;

	in->wary = t->wary;
	r = inject_enter(in, t->tid, &t->regs, t->sigmask, err);
	if (r == 0)
		r = clone_within(s, in, m, err);
	if (in->tid && inject_leave(in, r < 0 ? NULL : err) < 0 && r == 0)
		r = -ESRCH;
	return r;
}

int snapshot_open(struct snapshot *s, const struct task *task, struct error **err)
{
	*s = SNAPSHOT_NONE;
	return source_of_task(&s->target, task, err);
}

int snapshot_take(struct snapshot *s, enum freeze how, const struct task *task,
		  struct injection *in, const Rec__Memory *m, const struct page_ranges *clean,
		  struct spool *spool, uint64_t *copied, struct error **err)
{
	int r;

	s->freeze = how;
	if (how == FREEZE_HOLD)
		return 0;
	source_of_spool(&s->spool, spool, &s->copied);
	r = copy_areas(s, m, clean, spool, copied);
	if (r < 0)
		return fail_errno(err, -r, "cannot copy the memory of process %d", task->pid);
	return how == FREEZE_CLONE ? clone_task(s, task, in, m, err) : 0;
}

/* The helper has its descriptors for itself, and everything else in common with the target. */
static int help_within(struct snapshot *s, struct injection *in, struct error **err)
{
	struct batch b cleanup_batch = {0};
	int r = twin_help(in, &s->twin, err);

	if (r == 0 && batch_init(&b, s->twin.in.region) < 0)
		r = fail(err, ENOMEM, "out of memory");
	if (r < 0)
		return r;
	batch_call(&b, 0, SYS_close_range, 0, UINT_MAX, CLOSE_RANGE_UNSHARE);
	return inject_run(&s->twin.in, &b, NULL, err);
}

void snapshot_assist(struct snapshot *s, const struct task *task, struct injection *in)
{
	const struct thread *t = task_leader(task);

	if (s->freeze != FREEZE_HOLD || !snapshot_may_clone(task))
		return;
	in->wary = t->wary;
	if (inject_enter(in, t->tid, &t->regs, t->sigmask, NULL) == 0 &&
	    help_within(s, in, NULL) == 0)
		return;
	snapshot_dismiss(s, in);
}

void snapshot_dismiss(struct snapshot *s, struct injection *in)
{
	if (s->freeze != FREEZE_HOLD || !in->tid)
		return;
	twin_end(&s->twin, in, NULL);
	inject_leave(in, NULL);
}

const struct page_source *snapshot_whole(const struct snapshot *s)
{
	return s->clone.pid ? &s->clone : &s->target;
}

const struct page_source *snapshot_source(const struct snapshot *s, const Rec__Area *a)
{
	if (s->freeze == FREEZE_HOLD)
		return &s->target;
	return s->freeze == FREEZE_CLONE && clone_freezes(a) ? &s->clone : &s->spool;
}

void snapshot_end(struct snapshot *s)
{
	twin_end(&s->twin, NULL, NULL);
	source_close(&s->target);
	source_close(&s->clone);
	vec_free(&s->copied.list);
	*s = SNAPSHOT_NONE;
}
