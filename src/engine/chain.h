/*
 * The images below an incremental one: each names its parent by that one's identity.  All of them
 * are found, read through and checked before a restore makes anything.
 */
#pragma once

#include "base/error.h"
#include "image/pump.h"
#include "inject/pagemap.h"
#include "records.pb-c.h"

/* An incremental checkpoint of a deeper one is refused: a full one is due. */
#define CHAIN_MAX 512u

/* One address space in one of the images. */
struct chain_memory {
	uint32_t pid;
	uint64_t at; /* where its first memory frame stands; 0: it has none */
	uint64_t seen; /* over its frames: what is read later must be what was verified */
	struct page_ranges unchanged, inherited;
};

struct chain_link {
	int fd;
	char *path;
	struct image_identity identity;
	uint32_t depth;
	Rec__Parent *parent; /* NULL: it is whole */
	VEC(struct chain_memory) memories;
};

struct chain {
	VEC(struct chain_link) links; /* the parent first, the whole image last */
};

/* Record Parent in itself: 0, or refused.  Pure. */
int parent_valid(const Rec__Parent *p, struct error **err);
/* Memory.unchanged, in an image that has a parent or not.  Pure. */
int unchanged_valid(const Rec__Memory *m, bool has_parent, struct error **err);

/*
 * Reads all of an image but the data of its memory: *ret is verified, but for that.  Only regular
 * files are read.  Free it with chain_link_free() in any case.
 */
int chain_read(const char *path, struct chain_link *ret, struct error **err);
void chain_link_free(struct chain_link *l);

/*
 * Finds the images below the one at path, whose record is parent (NULL: none).  "-" and
 * descriptors have no folder: hints then count from the present one.
 */
int chain_open(struct chain *c, const char *path, const Rec__Parent *parent, struct error **err);
void chain_free(struct chain *c);

/*
 * Hands on the pages of m->unchanged, each once, from the newest image that has it.  All of it is
 * done, and was verified, when this returns 0.  Pages that are in none are zeros, or those of a
 * file.
 */
int chain_pages(const struct chain *c, const Rec__Memory *m, struct image_pump *pump,
		const struct image_sink *sink, struct error **err);

/* Is an image's memory of this process; NULL: it has none. */
const struct chain_memory *chain_memory_of(const struct chain_link *l, uint32_t pid);

/* Every hash of every image below is right: 0, or refused. */
int chain_verify(const struct chain *c, struct error **err);

/* How from an image (that will be) at path the one at parent is named; malloc'ed, NULL: no memory. */
char *chain_hint(const char *path, const char *parent);
