/* Many copies of one program: restore --clone. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/work.h"
#include "kind/kind.h"

struct copies {
	struct template template;
	struct work *works;
	size_t count;
	struct rlimit files; /* our own limit before */
};

static int refuse_what_is_not_cloned(const struct rebuild *r, struct error **err)
{
	const Rec__Memory *m = r->tasks.items[0]->memory;

	for (size_t i = 0; i < m->n_areas; i++)
		if ((m->areas[i]->flags & MAP_TYPE) == MAP_PRIVATE && (m->areas[i]->flags & MAP_HUGETLB))
			return refuse(err, ENOTSUP, "restore it without --clone",
				      "the program has private memory in pages of hugetlbfs, of which "
				      "the kernel does not promise each copy its own");
	vec_each(f, &r->files)
		if (f->kind->file->stays)
			return refuse(err, ENOTSUP, "restore it without --clone",
				      "the program has an open file (%s) that the kernel lets nobody "
				      "hand to a copy", f->kind->name);
	return 0;
}

static int make_copy(struct copies *c, size_t i, const char *image, struct error **err)
{
	struct work *w = &c->works[i];
	int res = i ? work_prepare(w, image, err) : 0;

	w->template = &c->template;
	return res == 0 ? work_make(w, err) : res;
}

static int make_all(struct copies *c, const char *image, const struct restore_options *o,
		    struct error **err)
{
	int res = template_make(&c->template, image, o, err);

	for (size_t i = 0; i < c->count && res == 0; i++) {
		res = make_copy(c, i, image, err);
		if (res < 0)
			error_wrap(err, res, "copy %zu of %zu", i + 1, c->count);
	}
	return res;
}

/* The descriptors of all are open at a time. */
static void raise_limit(struct copies *c)
{
	struct rlimit all;

	getrlimit(RLIMIT_NOFILE, &c->files);
	all = (struct rlimit){c->files.rlim_max, c->files.rlim_max};
	setrlimit(RLIMIT_NOFILE, &all);
}

static void end_all(struct copies *c)
{
	for (size_t i = c->count; i-- > 0;)
		work_end(&c->works[i]);
	template_end(&c->template);
	free(c->works);
	setrlimit(RLIMIT_NOFILE, &c->files);
}

int engine_restore_copies(const char *image, const struct restore_options *o, size_t count,
			  struct revived *ret, struct error **err)
{
	struct restore_options inside = *o;
	struct copies c __attribute__((cleanup(end_all))) = {
		.works = calloc(count, sizeof *c.works),
		.template = {.rebuild = {REBUILD_INIT}},
	};
	int res;

	raise_limit(&c);
	if (!c.works)
		return fail(err, ENOMEM, "out of memory");
	inside.copies = count;
	/* A terminal has one foreground. */
	inside.foreground = o->foreground && count == 1;
	for (; c.count < count; c.count++)
		c.works[c.count] = (struct work)WORK_INIT(&inside);
	res = work_prepare(&c.works[0], image, err);
	if (res == 0)
		res = refuse_what_is_not_cloned(&c.works[0].rebuild, err);
	if (res < 0) {
		error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
		return res;
	}
	res = make_all(&c, image, &inside, err);
	if (res == 0)
		res = works_let_go(c.works, count, ret, err);
	if (res < 0)
		error_set_outcome(err ? *err : NULL, OUTCOME_FAILED);
	return res;
}
