#include "engine/mappings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/str.h"
#include "engine/backing.h"
#include "records.pb-c.h"
#include "task/append.h"

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

enum area_special area_special(const struct vm_area *a)
{
	static const struct {
		const char *name;
		enum area_special special;
	} names[] = {
		{"[vdso]", AREA_VDSO},
		{"[vvar]", AREA_VVAR},
		{"[vvar_vclock]", AREA_VVAR_VCLOCK},
		{"[vsyscall]", AREA_VSYSCALL},
	};

	for (size_t i = 0; a->path && i < sizeof names / sizeof *names; i++)
		if (strcmp(a->path, names[i].name) == 0)
			return names[i].special;
	return AREA_ORDINARY;
}

bool area_has_file(const struct vm_area *a)
{
	/* Private huge pages have a file within the kernel, but no one else sees it. */
	if (a->path && !a->shared && str_starts(a->path, "/anon_hugepage"))
		return false;
	/* Inode 0 is one, too: that of the first System V segment after a boot. */
	return a->inode != 0 || a->shared || (a->path && a->path[0] == '/');
}

/* Properties of a mapping that no system call of an ordinary user can make anew. */
static void refuse_flags(const struct vm_area *a, struct error **err)
{
	static const struct {
		uint64_t flag;
		const char *what, *mend;
	} refused[] = {
		{VM_FLAG(SEALED), "is sealed by mseal(2): it could never be moved to its place",
		 "run the program without sealing (glibc: GLIBC_TUNABLES=glibc.rtld.seal=0)"},
		{VM_FLAG(SHADOW_STACK), "is a shadow stack, which is not supported",
		 "run the program with GLIBC_TUNABLES=glibc.cpu.hwcaps=-SHSTK"},
		{VM_FLAG(UFFD_MISSING) | VM_FLAG(UFFD_WP) | VM_FLAG(UFFD_MINOR),
		 "is watched by a userfaultfd, which is not supported", NULL},
		{VM_FLAG(PFNMAP) | VM_FLAG(IO) | VM_FLAG(MIXEDMAP), "is memory of a device", NULL},
		{VM_FLAG(SYNC), "is a MAP_SYNC mapping, which is not supported", NULL},
		{VM_FLAG(DROPPABLE), "is droppable memory, which is not supported yet", NULL},
		{VM_FLAG(UNKNOWN), "has a property that this version does not know", NULL},
	};

	/* Its kind says what becomes of it. */
	if (a->path && strcmp(a->path, "anon_inode:[io_uring]") == 0)
		return;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (a->flags & refused[i].flag)
			refuse(err, ENOTSUP, refused[i].mend, "the mapping at 0x%" PRIx64 "%s%s%s %s",
			       a->start, a->path ? " (" : "", a->path ? a->path : "",
			       a->path ? ")" : "", refused[i].what);
}

static const struct {
	uint64_t flag;
	uint32_t advice;
} advices[] = {
	{VM_FLAG(DONTCOPY), MADV_DONTFORK},     {VM_FLAG(WIPEONFORK), MADV_WIPEONFORK},
	{VM_FLAG(DONTDUMP), MADV_DONTDUMP},     {VM_FLAG(MERGEABLE), MADV_MERGEABLE},
	{VM_FLAG(HUGEPAGE), MADV_HUGEPAGE},     {VM_FLAG(NOHUGEPAGE), MADV_NOHUGEPAGE},
	{VM_FLAG(SEQ_READ), MADV_SEQUENTIAL},   {VM_FLAG(RAND_READ), MADV_RANDOM},
};
#define ADVICES (sizeof advices / sizeof *advices)

static int fill_advice(const struct vm_area *a, Rec__Area *r)
{
	for (size_t i = 0; i < ADVICES; i++) {
		if (!(a->flags & advices[i].flag))
			continue;
		/* Most have none, and there may be very many of them. */
		if (!r->advice)
			r->advice = calloc(ADVICES, sizeof *r->advice);
		if (!r->advice)
			return -ENOMEM;
		r->advice[r->n_advice++] = advices[i].advice;
	}
	return 0;
}

static uint32_t map_flags(const struct vm_area *a)
{
	uint32_t flags = a->shared ? MAP_SHARED : MAP_PRIVATE;

	if (!area_has_file(a))
		flags |= MAP_ANONYMOUS;
	if (a->flags & VM_FLAG(GROWSDOWN))
		flags |= MAP_GROWSDOWN;
	if (a->flags & VM_FLAG(NORESERVE))
		flags |= MAP_NORESERVE;
	if (a->flags & VM_FLAG(HUGETLB))
		flags |= MAP_HUGETLB | (uint32_t)__builtin_ctzll(a->page_size) << MAP_HUGE_SHIFT;
	return flags;
}

static int capture_area(struct capture *c, struct task *task, const struct vm_area *a,
			Rec__Area *r, struct error **err)
{
	rec__area__init(r);
	r->start = a->start;
	r->end = a->end;
	r->prot = (uint32_t)a->prot;
	r->special = area_special(a);
	r->flags = map_flags(a);
	if (r->special)
		return 0;
	refuse_flags(a, err);
	/* Execute-only memory has a key of the kernel's own choice, and gets one again. */
	if (a->pkey && a->prot != PROT_EXEC)
		refuse(err, ENOTSUP, NULL,
		       "the mapping at 0x%" PRIx64 " has protection key %u, which is not supported "
		       "yet",
		       a->start, a->pkey);
	r->pkey = a->pkey;
	if (a->flags & VM_FLAG(LOCKED))
		r->lock = a->flags & VM_FLAG(LOCKONFAULT) ? 2 : 1;
	if (fill_advice(a, r) < 0)
		return fail(err, ENOMEM, "out of memory");
	if (!area_has_file(a))
		return 0;
	r->offset = a->offset;
	return find_backing(c, task, a, &r->file, err);
}

static void fill_layout(const struct task *task, Rec__Memory *m)
{
	const struct proc_stat *s = &task->stat;

	m->pid = (uint32_t)task->ns_pid;
	m->start_code = s->start_code;
	m->end_code = s->end_code;
	m->start_data = s->start_data;
	m->end_data = s->end_data;
	m->start_brk = s->start_brk;
	m->start_stack = s->start_stack;
	m->arg_start = s->arg_start;
	m->arg_end = s->arg_end;
	m->env_start = s->env_start;
	m->env_end = s->env_end;
}

static int fill_vdso(const struct task *task, Rec__Memory *m, struct error **err)
{
	vec_each(a, &task->areas.list) {
		cleanup_free char *bytes = NULL;
		size_t size = a->end - a->start;

		if (area_special(a) != AREA_VDSO)
			continue;
		bytes = malloc(size);
		if (!bytes || task_read_memory(task, a->start, bytes, size) < 0)
			return fail(err, EIO, "cannot read the vdso of process %d", task->pid);
		/* What killed checkpoints left in it is not the kernel's. */
		inject_hide_leftovers(&task->leftovers, a->start, bytes, size);
		return bytes_set(&m->vdso, bytes, size) < 0 ? fail(err, ENOMEM, "out of memory")
							     : 0;
	}
	return 0;
}

int capture_mappings(struct capture *c, struct task *task, Rec__Memory **ret, struct error **err)
{
	Rec__Memory *m = calloc(1, sizeof *m);
	cleanup_free char *auxv = NULL;
	ssize_t n = task_slurp(task, "auxv", &auxv);
	int r = 0;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	rec__memory__init(m);
	fill_layout(task, m);
	m->areas = calloc(task->areas.list.count + 1, sizeof *m->areas);
	if (!m->areas || n < 0 || bytes_set(&m->auxv, auxv, (size_t)n) < 0)
		r = fail(err, ENOMEM, "out of memory");
	if (r == 0)
		r = fill_vdso(task, m, err);
	vec_each(a, &task->areas.list) {
		Rec__Area *area;

		if (r < 0)
			break;
		if (a->gate)
			continue;
		area = malloc(sizeof *area);
		if (!area) {
			r = fail(err, ENOMEM, "out of memory");
			break;
		}
		m->areas[m->n_areas++] = area;
		r = capture_area(c, task, a, area, err);
	}
	if (r < 0) {
		rec__memory__free_unpacked(m, NULL);
		return r;
	}
	*ret = m;
	return 0;
}
