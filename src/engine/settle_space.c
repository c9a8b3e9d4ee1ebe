/* What is said of memory once its content is there. */
#include <errno.h>
#include <inttypes.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "base/str.h"
#include "engine/mappings.h"
#include "engine/space.h"
#include "task/areas.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static const char doing[] = "finishing the program's memory";

static int advise_ranges(Rec__Range *const *ranges, size_t count, uint32_t flags, int advice,
			 struct injection *in, struct batch *b, struct error **err)
{
	for (size_t i = 0; i < count; i++) {
		int res = make_room(in, b, 1, doing, err);

		if (res < 0)
			return res;
		batch_call(b, flags, SYS_madvise, ranges[i]->start, ranges[i]->end - ranges[i]->start,
			   (uint64_t)advice);
	}
	return 0;
}

static int finish_area(const Rec__Area *a, struct injection *in, struct batch *b,
		       struct error **err)
{
	/* Huge where it was huge: asked for or not, some is not given while it is filled. */
	int res = advise_ranges(a->huge, a->n_huge, BATCH_MAY_FAIL, MADV_COLLAPSE, in, b, err);

	if (res == 0)
		res = advise_ranges(a->guards, a->n_guards, 0, MADV_GUARD_INSTALL, in, b, err);
	if (res == 0)
		res = make_room(in, b, (uint32_t)a->n_advice + 1, doing, err);
	if (res < 0)
		return res;
	for (size_t k = 0; k < a->n_advice; k++)
		if (a->advice[k] != MADV_HUGEPAGE && a->advice[k] != MADV_NOHUGEPAGE)
			batch_call(b, BATCH_MAY_FAIL, SYS_madvise, a->start, a->end - a->start,
				   a->advice[k]);
	if (a->lock)
		batch_call(b, 0, SYS_mlock2, a->start, a->end - a->start,
			   a->lock == 2 ? MLOCK_ONFAULT : 0);
	return 0;
}

/* What /proc/PID/{cmdline,environ,auxv,stat} show, and where brk(2) stands: PR_SET_MM_MAP takes no capability. */
static void add_layout(const Rec__Memory *m, struct batch *b)
{
	struct prctl_mm_map map = {
		.start_code = m->start_code,
		.end_code = m->end_code,
		.start_data = m->start_data,
		.end_data = m->end_data,
		.start_brk = m->start_brk,
		.brk = m->brk,
		.start_stack = m->start_stack,
		.arg_start = m->arg_start,
		.arg_end = m->arg_end,
		.env_start = m->env_start,
		.env_end = m->env_end,
		.auxv_size = (uint32_t)m->auxv.len,
		.exe_fd = (uint32_t)-1,
	};

	map.auxv = (void *)(uintptr_t)batch_put(b, m->auxv.data, m->auxv.len);
	batch_call(b, 0, SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, batch_put(b, &map, sizeof map),
		   sizeof map, 0);
}

int finish_space(const struct rebuild *r, struct rebuilt_task *t, struct injection *in,
		 struct error **err)
{
	struct batch b cleanup_batch = {0};
	int res;

	(void)r;
	if (batch_init(&b, in->region) < 0)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < t->memory->n_areas; i++) {
		const Rec__Area *a = t->memory->areas[i];

		if (a->special)
			continue;
		res = finish_area(a, in, &b, err);
		if (res < 0)
			return res;
	}
	res = make_room(in, &b, BATCH_ENTRIES, doing, err);
	if (res < 0)
		return res;
	add_layout(t->memory, &b);
	if (t->memory->lock_future)
		batch_call(&b, 0, SYS_mlockall, t->memory->lock_future);
	return run_batch(in, &b, doing, err);
}

static int check_vdso(const struct rebuilt_task *t, const struct vm_areas *own, const char *kernel,
		      struct error **err)
{
	struct utsname uts;

	/* It has none, and so no addresses in it: under valgrind, for example. */
	if (!t->memory->vdso.len)
		return 0;
	uname(&uts);
	vec_each(a, &own->list) {
		const ProtobufCBinaryData *want = &t->memory->vdso;
		size_t size = a->end - a->start;

		if (area_special(a) != AREA_VDSO || a->gate)
			continue;
		if (want->len == size &&
		    memcmp(want->data, (void *)(uintptr_t)a->start, size) == 0)
			return 0;
		return refuse(err, ENOTSUP, "restore it on the kernel that it ran on",
			      "the program holds addresses in the vdso of kernel %s, and this kernel, "
			      "%s, has another one",
			      kernel, uts.release);
	}
	return 0;
}

static int check_special_sizes(const struct rebuilt_task *t, const struct vm_areas *own,
			       struct error **err)
{
	for (size_t i = 0; i < t->memory->n_areas; i++) {
		const Rec__Area *want = t->memory->areas[i];
		bool found = false;

		if (!want->special || want->special == AREA_VSYSCALL)
			continue;
		vec_each(a, &own->list)
			if (area_special(a) == (enum area_special)want->special &&
			    a->end - a->start == want->end - want->start)
				found = true;
		if (!found)
			return refuse(err, ENOTSUP, "restore it on the kernel that it ran on",
				      "this kernel has no %s of the size that the program knows",
				      want->special == AREA_VDSO ? "vdso" : "vvar");
	}
	return 0;
}

int check_space(const struct rebuild *r, struct error **err)
{
	struct vm_areas own cleanup_maps = {0};
	/* Once: on a virtual machine each CPUID is an exit. */
	uint64_t features = arch_xfeatures();
	int res = 0;

	if (areas_read(AT_FDCWD, "/proc/self/maps", &own) < 0)
		return fail(err, EIO, "cannot read /proc/self/maps");
	vec_each(t, &r->tasks) {
		if ((*t)->memory) {
			res = check_special_sizes(*t, &own, err);
			if (res == 0)
				res = check_vdso(*t, &own, r->inventory->kernel, err);
		}
		vec_each(th, &(*t)->threads) {
			uint64_t missing = arch_xstate_missing(th->record->xstate.data,
							       th->record->xstate.len,
							       features);

			if (missing && res == 0)
				res = refuse(err, ENOTSUP,
					     "restore it on a processor like the one it ran on",
					     "this processor lacks features whose registers the "
					     "program uses (XSAVE bits 0x%" PRIx64 ")",
					     missing);
		}
	}
	return res;
}
