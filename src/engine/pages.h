/* The content of memory: which pages there are, and their way into the image. */
#pragma once

#include "base/error.h"
#include "engine/engine.h"
#include "engine/snapshot.h"
#include "image/writer.h"
#include "records.pb-c.h"
#include "task/capture.h"

/* Private memory of an address space is the object MEMORY_OBJECT(pid); content of a File is its id. */
#define MEMORY_OBJECT(pid) (UINT64_C(1) << 32 | (uint32_t)(pid))

/*
 * Finds guard pages (MADV_GUARD_INSTALL) and transparent huge pages and puts them into the
 * areas of m.  Kernels that cannot tell have none of the former (or are one of 6.13 to 6.15).
 */
int capture_page_kinds(const struct task *task, Rec__Memory *m, struct error **err);

/* Writes all private pages of the task that are not zero, as its snapshot has them. */
int write_memory(struct image_writer *w, const struct checkpoint_options *o,
		 const struct task *task, const Rec__Memory *m, struct snapshot *snapshot,
		 struct error **err);

/* Writes the contents of files (deleted ones, memfds, shared memory). */
int write_contents(struct image_writer *w, const struct checkpoint_options *o,
		   const struct capture *c, struct error **err);
