/* The address space of a stopped task, as records. */
#pragma once

#include "base/error.h"
#include "records.pb-c.h"
#include "task/capture.h"

/*
 * The Memory record of a task without what only the task itself can tell (brk).  Files
 * behind mappings are added to c->files; obstacles are collected in *err.  Areas with
 * gate set are not the program's and are left out.
 */
int capture_mappings(struct capture *c, struct task *task, Rec__Memory **ret, struct error **err);

/* What an area is to the restore. */
enum area_special {
	AREA_ORDINARY,
	AREA_VDSO = 1,
	AREA_VVAR = 2,
	AREA_VVAR_VCLOCK = 3,
	AREA_VSYSCALL = 4,
};
enum area_special area_special(const struct vm_area *area);
/* It has a file, or an object that the kernel treats as one. */
bool area_has_file(const struct vm_area *area);
