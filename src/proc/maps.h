/*
 * /proc/PID/maps and /proc/PID/smaps: the mappings of a process, in the order
 * of their addresses.  One parser reads both; what maps does not say is zero.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vec.h"

/* VmFlags.  The comments are the two letters the kernel writes. */
enum vm_flag {
	VM_FLAG_READ,         /* rd */
	VM_FLAG_WRITE,        /* wr */
	VM_FLAG_EXEC,         /* ex */
	VM_FLAG_SHARED,       /* sh */
	VM_FLAG_MAYREAD,      /* mr */
	VM_FLAG_MAYWRITE,     /* mw */
	VM_FLAG_MAYEXEC,      /* me */
	VM_FLAG_MAYSHARE,     /* ms */
	VM_FLAG_GROWSDOWN,    /* gd */
	VM_FLAG_PFNMAP,       /* pf */
	VM_FLAG_LOCKED,       /* lo */
	VM_FLAG_IO,           /* io */
	VM_FLAG_SEQ_READ,     /* sr */
	VM_FLAG_RAND_READ,    /* rr */
	VM_FLAG_DONTCOPY,     /* dc: MADV_DONTFORK */
	VM_FLAG_DONTEXPAND,   /* de */
	VM_FLAG_LOCKONFAULT,  /* lf */
	VM_FLAG_ACCOUNT,      /* ac */
	VM_FLAG_NORESERVE,    /* nr */
	VM_FLAG_HUGETLB,      /* ht */
	VM_FLAG_SYNC,         /* sf: MAP_SYNC */
	VM_FLAG_ARCH_1,       /* ar */
	VM_FLAG_WIPEONFORK,   /* wf */
	VM_FLAG_DONTDUMP,     /* dd */
	VM_FLAG_SOFTDIRTY,    /* sd */
	VM_FLAG_MIXEDMAP,     /* mm */
	VM_FLAG_HUGEPAGE,     /* hg */
	VM_FLAG_NOHUGEPAGE,   /* nh */
	VM_FLAG_MERGEABLE,    /* mg */
	VM_FLAG_UFFD_MISSING, /* um */
	VM_FLAG_UFFD_WP,      /* uw */
	VM_FLAG_UFFD_MINOR,   /* ui */
	VM_FLAG_SHADOW_STACK, /* ss */
	VM_FLAG_SEALED,       /* sl: mseal(2) */
	VM_FLAG_DROPPABLE,    /* dp: MAP_DROPPABLE */
	VM_FLAG_GUARD,        /* gu: may hold MADV_GUARD_INSTALL pages */
	VM_FLAG_UNKNOWN,      /* at least one that this list does not know */
};

#define VM_FLAG(name) (UINT64_C(1) << VM_FLAG_##name)

struct vm_area {
	uint64_t start, end;
	int prot;    /* PROT_READ | PROT_WRITE | PROT_EXEC */
	bool shared; /* "s" of rwxs; for MAP_SHARED of a read-only file the kernel says "s" too */
	bool gate;   /* above the user's addresses ([vsyscall]): not a mapping of this process */
	uint64_t offset;
	uint32_t dev_major, dev_minor;
	uint64_t inode;

	/*
	 * Unescaped, without " (deleted)"; NULL when there is none.  Not only
	 * files: "[heap]", "[anon:NAME]", "/memfd:NAME", "/SYSV...".  The
	 * kernel's text is ambiguous: a file really named "x (deleted)", or
	 * with the four letters \012 in its name, cannot be told from a
	 * deleted "x" and a newline.  Compare dev and inode after opening.
	 */
	char *path;
	bool deleted;

	/* The rest is of smaps only. */
	bool detailed;
	uint64_t page_size; /* KernelPageSize */
	uint64_t rss, anonymous, swap, locked, anon_huge; /* bytes */
	uint32_t pkey;
	uint64_t flags; /* VM_FLAG(...) */
};

struct vm_areas {
	VEC(struct vm_area) list;
};

/* The text need not end with a newline.  Returns 0, -EINVAL or -ENOMEM. */
int maps_parse(const char *text, size_t len, struct vm_areas *ret);

/*
 * The same for a text that comes in pieces: adds what whole lines say, also to the area that is the
 * last one.  Returns how many bytes these were, -EINVAL or -ENOMEM; the next piece begins with the
 * rest.
 */
ssize_t maps_parse_piece(const char *text, size_t len, struct vm_areas *areas);

/* The area that holds addr, or NULL. */
const struct vm_area *maps_find(const struct vm_areas *areas, uint64_t addr);

/* The two letters of a flag, for showing. */
const char *vm_flag_name(enum vm_flag flag);

void maps_free(struct vm_areas *areas);
#define cleanup_maps __attribute__((cleanup(maps_free)))
