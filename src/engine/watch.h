/* Beginning to watch what a tree writes, for as long as the tool lives. */
#pragma once

#include "base/error.h"
#include "engine/holder.h"
#include "engine/source.h"
#include "proc/maps.h"

/*
 * Stops the tree for a moment, in which each address space makes a userfaultfd for us; those that
 * somebody holds already are taken over.  Who cannot is not among them.  Refused: as a checkpoint.
 */
int watch_tree(pid_t pid, bool only, struct tracked *ret, struct error **err);

/* Its mappings (without details) and its memory, while it runs. */
int watch_read(const struct held *h, struct vm_areas *ret_areas, struct page_source *ret_source);
