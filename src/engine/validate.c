/* What records must be among themselves; what one record must be is its kind's to say. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "engine/chain.h"
#include "engine/family.h"
#include "engine/load.h"
#include "engine/mappings.h"
#include "engine/records.h"
#include "engine/timeout.h"
#include "kind/kind.h"

#define TASKS_MAX   65536u
#define THREADS_MAX 65536u
#define SLOTS_MAX (1u << 20)
#define PID_LIMIT (1u << 22) /* PID_MAX_LIMIT of the kernel */

static bool pid_valid(uint32_t pid)
{
	return pid >= 1 && pid <= PID_LIMIT;
}

static int bad(struct error **err, const char *what)
{
	return refuse(err, EBADMSG, NULL, "the image contradicts itself: %s", what);
}

/* Nothing that fills, locks or replaces memory on its way. */
static bool area_flags_known(uint32_t flags)
{
	const uint32_t known = MAP_TYPE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_NORESERVE |
			       MAP_HUGETLB;
	uint32_t rest = flags & ~known;

	return !rest || ((flags & MAP_HUGETLB) && !(rest & ~((uint32_t)MAP_HUGE_MASK << MAP_HUGE_SHIFT)));
}

/* What describes memory; other advice is an order to drop, to punch or to fetch. */
static bool advice_known(uint32_t advice)
{
	switch (advice) {
	case MADV_DONTFORK:
	case MADV_WIPEONFORK:
	case MADV_DONTDUMP:
	case MADV_MERGEABLE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_SEQUENTIAL:
	case MADV_RANDOM:
		return true;
	default:
		return false;
	}
}

static bool ranges_within(Rec__Range *const *ranges, size_t count, const Rec__Area *a)
{
	for (size_t i = 0; i < count; i++)
		if (ranges[i]->start < a->start || ranges[i]->end > a->end ||
		    ranges[i]->start >= ranges[i]->end)
			return false;
	return true;
}

/* Areas are in order, the kernel's own among them: the restore searches them. */
static int validate_place(const Rec__Area *a, uint64_t *last, struct error **err)
{
	/* It is never moved, and stands above all that is the program's. */
	if (a->special == AREA_VSYSCALL)
		return 0;
	if ((a->start | a->end | a->offset) & (ARCH_PAGE_SIZE - 1) || a->start >= a->end ||
	    a->start < *last || a->end > ARCH_USER_END_5LEVEL)
		return bad(err, "areas that overlap or do not stand on pages");
	*last = a->end;
	return 0;
}

static int validate_area(const struct rebuild *r, const Rec__Area *a, struct error **err)
{
	const struct rebuilt_file *f = a->file ? rebuilt_file(r, a->file) : NULL;
	uint32_t type = a->flags & MAP_TYPE;

	if (a->special)
		return a->special > AREA_VSYSCALL ? bad(err, "an area of an unknown sort") : 0;
	if (type != MAP_SHARED && type != MAP_PRIVATE)
		return bad(err, "an area that is neither shared nor private");
	if (a->prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC) || a->lock > 2)
		return bad(err, "an area with an unknown protection");
	if (!area_flags_known(a->flags))
		return bad(err, "an area with unknown flags");
	if ((a->flags & MAP_ANONYMOUS) ? a->file != 0 : !f)
		return bad(err, "an area without its file");
	for (size_t i = 0; i < a->n_advice; i++)
		if (!advice_known(a->advice[i]))
			return bad(err, "an area with unknown advice");
	if (!ranges_within(a->guards, a->n_guards, a) || !ranges_within(a->huge, a->n_huge, a))
		return bad(err, "guard or huge pages outside their area");
	return 0;
}

static int validate_memory(const struct rebuild *r, const struct rebuilt_task *t,
			   struct error **err)
{
	uint64_t last = 0;

	if (!t->memory || t->memory->n_areas == 0)
		return bad(err, "a process without memory");
	if (t->memory->auxv.len > 4096 || t->memory->auxv.len % 16)
		return bad(err, "an auxiliary vector of an odd size");
	if (t->memory->lock_future & ~(uint32_t)(MCL_FUTURE | MCL_ONFAULT))
		return bad(err, "memory that is locked in an unknown way");
	for (size_t i = 0; i < t->memory->n_areas; i++) {
		int res = validate_place(t->memory->areas[i], &last, err);

		if (res == 0)
			res = validate_area(r, t->memory->areas[i], err);
		if (res < 0)
			return res;
	}
	return unchanged_valid(t->memory, r->parent != NULL, err);
}

static int validate_threads(const struct rebuilt_task *t, struct error **err)
{
	if (t->threads.count == 0 || t->threads.count > THREADS_MAX ||
	    t->threads.count != t->record->n_tids)
		return bad(err, "a process whose threads are not all there");
	for (size_t i = 0; i < t->threads.count; i++) {
		const Rec__Thread *m = t->threads.items[i].record;

		if (m->tid != t->record->tids[i] || !pid_valid(m->tid))
			return bad(err, "threads with other numbers than their process says");
		if (m->registers.len != sizeof(struct arch_regs))
			return bad(err, "a thread without registers");
		if (!arch_xstate_valid(m->xstate.data, m->xstate.len))
			return bad(err, "a thread with an impossible processor state");
		if (m->restart_timed && !timeout_valid(m))
			return bad(err, "a thread with time left in a call that has none");
	}
	return t->threads.items[0].record->tid == t->record->pid
		       ? 0
		       : bad(err, "a process whose main thread has another number");
}

static int validate_slots(struct rebuild *r, const struct rebuilt_task *t, struct error **err)
{
	int64_t last = -1;

	if (t->record->n_slots > SLOTS_MAX)
		return bad(err, "too many descriptors");
	for (size_t i = 0; i < t->record->n_slots; i++) {
		const Rec__Slot *s = t->record->slots[i];
		struct rebuilt_file *f = rebuilt_file(r, s->file);

		if (!f || (int64_t)s->fd <= last || s->fd > INT_MAX)
			return bad(err, "descriptors without a file or out of order");
		last = s->fd;
		f->in_slot = true;
	}
	return 0;
}

static int validate_task(struct rebuild *r, struct rebuilt_task *t, struct error **err)
{
	struct rebuilt_file *exe = rebuilt_file(r, t->record->executable);
	int res;

	/* A group or session of 0 is outside of the program's own pid namespace. */
	if (!pid_valid(t->record->pid) || t->record->pgid > PID_LIMIT || t->record->sid > PID_LIMIT)
		return bad(err, "a process with impossible numbers");
	if (t->record->zombie)
		return 0;
	if (!exe)
		return bad(err, "a process without executable");
	exe->mapped = true;
	res = validate_threads(t, err);
	if (res == 0)
		res = validate_slots(r, t, err);
	if (t->record->memory_of)
		return res == 0 && t->memory ? bad(err, "memory of a process that has another's") : res;
	if (res == 0)
		res = validate_memory(r, t, err);
	for (size_t i = 0; res == 0 && i < t->memory->n_areas; i++) {
		const Rec__Area *a = t->memory->areas[i];
		struct rebuilt_file *f = a->special || !a->file ? NULL : rebuilt_file(r, a->file);

		if (!f)
			continue;
		f->mapped = true;
		if ((a->flags & MAP_TYPE) == MAP_SHARED &&
		    (kind_file(f->message)->flags & 3) == 2 /* O_RDWR */)
			f->map_write = true;
	}
	return res;
}

static int validate_states(const struct rebuild *r, struct error **err)
{
	vec_each(s, &r->states) {
		uint32_t owner = kind_owner(s->message);
		int res = s->kind->state->validate ? s->kind->state->validate(s->message, err) : 0;

		if (res < 0)
			return error_wrap(err, res, "the image is damaged (%s)", s->kind->name);
		if (s->kind->state->per_thread ? !rebuilt_thread(r, owner) : !rebuilt_task(r, owner))
			return bad(err, "state of a process or thread that it does not have");
	}
	return 0;
}

int validate_image(struct rebuild *r, struct error **err)
{
	int res;

	if (!r->inventory || r->tasks.count == 0)
		return bad(err, "it holds no process");
	if (r->tasks.count > TASKS_MAX)
		return bad(err, "too many processes");
	res = r->parent ? parent_valid(r->parent, err) : 0;
	if (res < 0)
		return res;
	vec_each(f, &r->files) {
		res = f->kind->file->validate ? f->kind->file->validate(f->message, err) : 0;

		if (res < 0)
			return error_wrap(err, res, "the image is damaged (%s)", f->kind->name);
	}
	vec_each(t, &r->tasks) {
		res = validate_task(r, *t, err);
		if (res < 0)
			return res;
	}
	res = family_link(r, err);
	return res < 0 ? res : validate_states(r, err);
}
