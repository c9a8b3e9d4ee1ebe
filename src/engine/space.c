#include "engine/space.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/inherit.h"
#include "engine/mappings.h"
#include "inject/place.h"
#include "kind/kind.h"
#include "priv/calls.h"
#include "task/areas.h"

#define VDSO_ROOM (64u * 1024u)
#define SPECIAL_CALLS 32u /* more than it takes to move the vdso and its data */

static const char clearing[] = "clearing the new process";
static const char mapping[] = "mapping the program's memory";

int run_batch(struct injection *in, struct batch *b, const char *doing, struct error **err)
{
	uint32_t failed;
	int r = inject_run(in, b, &failed, err);

	if (r < 0 && failed != UINT32_MAX) {
		const struct batch_entry *e = batch_entry(b, failed);

		r = fail_errno(err, -r, "%s failed (system call %" PRIu64 ", 0x%" PRIx64 ")", doing,
			       e->nr, e->args[0]);
	}
	batch_clear(b);
	return r;
}

int make_room(struct injection *in, struct batch *b, uint32_t entries, const char *doing,
	      struct error **err)
{
	return batch_has_room(b, entries, 4096) ? 0 : run_batch(in, b, doing, err);
}

static int by_start(const void *a, const void *b)
{
	const struct vm_area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Where neither the executed file has anything mapped nor the image: both lists as one. */
static int find_boot_place(const struct vm_areas *now, const Rec__Memory *m, uint64_t *ret,
			   struct error **err)
{
	struct vm_areas all = {0};

	for (size_t i = 0; i < m->n_areas; i++) {
		struct vm_area *a = vec_push(&all.list);

		if (a)
			*a = (struct vm_area){.start = m->areas[i]->start, .end = m->areas[i]->end};
	}
	for (size_t i = 0; i < now->list.count; i++) {
		struct vm_area *a = vec_push(&all.list);

		if (a)
			*a = (struct vm_area){.start = now->list.items[i].start,
					      .end = now->list.items[i].end};
	}
	if (all.list.count < m->n_areas + now->list.count) {
		vec_free(&all.list);
		return fail(err, ENOMEM, "out of memory");
	}
	qsort(all.list.items, all.list.count, sizeof *all.list.items, by_start);
	*ret = inject_find_gap(&all, BATCH_REGION_SIZE + VDSO_ROOM);
	vec_free(&all.list);
	return *ret ? 0 : fail(err, ENOMEM, "there is no room in the address space to work in");
}

static const Rec__Area *wanted_special(const Rec__Memory *m, enum area_special special)
{
	for (size_t i = 0; i < m->n_areas; i++)
		if (m->areas[i]->special == (uint32_t)special)
			return m->areas[i];
	return NULL;
}

/* The vdso and its data, one mapping after another: through a place that is nobody's. */
static void move_specials(struct rebuilt_task *t, struct injection *in,
			  const struct vm_areas *now, uint64_t via, struct batch *b)
{
	uint64_t cell = in->cell;
	uint64_t first = 0;

	vec_each(a, &now->list) {
		const Rec__Area *want = wanted_special(t->memory, area_special(a));
		uint64_t size = a->end - a->start;
		bool has_cell = cell >= a->start && cell < a->end;

		if (area_special(a) == AREA_ORDINARY || a->gate)
			continue;
		first = first ? first : a->start;
		if (!want && !has_cell) {
			batch_call(b, 0, SYS_munmap, a->start, size);
			continue;
		}
		batch_call(b, 0, SYS_mremap, a->start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			   via + (a->start - first));
		if (!want) {
			t->lent_code = via + (a->start - first);
			t->lent_size = size;
		}
		if (has_cell)
			in->cell = cell - a->start + (want ? want->start : t->lent_code);
	}
	vec_each(a, &now->list) {
		const Rec__Area *want = wanted_special(t->memory, area_special(a));
		uint64_t size = a->end - a->start;

		if (area_special(a) != AREA_ORDINARY && !a->gate && want)
			batch_call(b, 0, SYS_mremap, via + (a->start - first), size, size,
				   MREMAP_MAYMOVE | MREMAP_FIXED, want->start);
	}
}

/* Unmaps [start, end) without what is kept. */
static int clear_range(uint64_t start, uint64_t end, const struct kept_list *kept,
		       struct injection *in, struct batch *b, struct error **err)
{
	vec_each(k, &kept->list) {
		int res;

		if (k->end <= start || k->start >= end)
			continue;
		res = make_room(in, b, 1, clearing, err);
		if (res < 0)
			return res;
		if (k->start > start)
			batch_call(b, 0, SYS_munmap, start, k->start - start);
		start = k->end;
	}
	if (start < end)
		batch_call(b, 0, SYS_munmap, start, end - start);
	return 0;
}

static int clear_space(struct injection *in, const struct vm_areas *now,
		       const struct kept_list *kept, struct batch *b, struct error **err)
{
	vec_each(a, &now->list) {
		int res = make_room(in, b, 1, clearing, err);

		if (res == 0 && !a->gate && area_special(a) == AREA_ORDINARY)
			res = clear_range(a->start, a->end, kept, in, b, err);
		if (res < 0)
			return res;
	}
	/* What follows has room, too. */
	return make_room(in, b, SPECIAL_CALLS, clearing, err);
}

static int map_part(const struct rebuild *r, const struct rebuilt_task *t, const Rec__Area *a,
		    uint64_t start, uint64_t end, struct injection *in, struct batch *b,
		    struct error **err)
{
	struct rebuilt_file *f = a->file ? rebuilt_file(r, a->file) : NULL;
	int res = make_room(in, b, 3, mapping, err);

	if (res < 0)
		return res;
	if (f && f->fd < 0)
		return fail(err, EBADF, "the file behind the mapping at 0x%" PRIx64 " is not open",
			    a->start);
	if (f && f->kind->file->map) {
		/* Shared, and so never in parts; its calls have a batch of their own. */
		res = run_batch(in, b, mapping, err);
		if (res == 0)
			res = f->kind->file->map(r, t, f, a, b, err);
		return res == 0 ? run_batch(in, b, f->kind->name, err) : res;
	}
	batch_call(b, 0, SYS_mmap, start, end - start, a->prot, a->flags | MAP_FIXED_NOREPLACE,
		   f ? (uint64_t)f->fd : (uint64_t)-1, a->offset + (f ? start - a->start : 0));
	/* Before the content, so that it comes in huge pages. */
	for (size_t k = 0; k < a->n_advice; k++)
		if (a->advice[k] == MADV_HUGEPAGE || a->advice[k] == MADV_NOHUGEPAGE)
			batch_call(b, BATCH_MAY_FAIL, SYS_madvise, start, end - start, a->advice[k]);
	return 0;
}

/* What was forked stays, but for the pages that are not the parent's any more. */
static int keep_part(const Rec__Memory *m, const struct kept *k, struct injection *in,
		     struct batch *b, struct error **err)
{
	uint64_t at = k->start;
	int res = make_room(in, b, 1, mapping, err);

	if (res < 0)
		return res;
	batch_call(b, 0, SYS_mprotect, k->start, k->end - k->start, k->area->prot);
	for (size_t i = k->first; i <= k->last; i++) {
		uint64_t to = i < k->last ? m->inherited[i]->start : k->end;

		res = make_room(in, b, 1, mapping, err);
		if (res < 0)
			return res;
		if (to > at)
			batch_call(b, 0, SYS_madvise, at, to - at, MADV_DONTNEED);
		at = i < k->last ? m->inherited[i]->end : k->end;
	}
	return 0;
}

static int map_areas(const struct rebuild *r, const struct rebuilt_task *t,
		     const struct kept_list *kept, struct injection *in, struct batch *b,
		     struct error **err)
{
	size_t next = 0;

	for (size_t i = 0; i < t->memory->n_areas; i++) {
		const Rec__Area *a = t->memory->areas[i];
		uint64_t at = a->start;
		int res = 0;

		if (a->special)
			continue;
		for (; next < kept->list.count && kept->list.items[next].area == a && res == 0;
		     next++) {
			const struct kept *k = &kept->list.items[next];

			if (k->start > at)
				res = map_part(r, t, a, at, k->start, in, b, err);
			if (res == 0)
				res = keep_part(t->memory, k, in, b, err);
			at = k->end;
		}
		if (res == 0 && at < a->end)
			res = map_part(r, t, a, at, a->end, in, b, err);
		if (res < 0)
			return res;
	}
	return run_batch(in, b, mapping, err);
}

static int read_areas(const struct rebuild *r, const struct rebuilt_task *t, struct vm_areas *ret,
		      struct error **err)
{
	cleanup_close int fd = priv_open_newborn(t->proc, "maps", O_RDONLY, r->private_pids);

	if (fd < 0 || areas_read_open(fd, ret) < 0)
		return fail(err, EIO, "cannot read the mappings of the new process");
	return 0;
}

int build_space(const struct rebuild *r, struct rebuilt_task *t, struct injection *in,
		struct error **err)
{
	struct vm_areas now cleanup_maps = {0};
	struct kept_list kept cleanup_kept = {0};
	struct batch b cleanup_batch = {0};
	struct leftovers none;
	struct arch_regs regs;
	uint64_t boot;
	int res = read_areas(r, t, &now, err);

	if (res == 0 && t->copy_of)
		res = inherit_plan(t->memory, t->copy_of->memory, &kept, err);
	if (res < 0)
		return res;
	res = find_boot_place(&now, t->memory, &boot, err);
	if (res < 0)
		return res;
	inject_look(t->mem, &now, &none);
	res = inject_begin(in, t->pid, t->mem, &now, &none, boot, 0, 0, 0, err);
	in->alone = in->near = true;
	if (res == 0 && arch_get_regs(t->pid, &regs) < 0)
		res = fail(err, ESRCH, "the new process has ended");
	/* What it cures to does not matter: should we die, it dies (PTRACE_O_EXITKILL). */
	if (res == 0)
		res = inject_enter(in, t->pid, &regs, 0, err);
	if (res == 0)
		res = inject_map(in, err);
	if (res == 0 && batch_init(&b, in->region) < 0)
		res = fail(err, ENOMEM, "out of memory");
	if (res == 0)
		res = clear_space(in, &now, &kept, &b, err);
	if (res < 0)
		return res;
	move_specials(t, in, &now, boot + BATCH_REGION_SIZE + ARCH_PAGE_SIZE, &b);
	return map_areas(r, t, &kept, in, &b, err);
}
