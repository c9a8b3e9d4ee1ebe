/*
 * An image on its way to a restore: all that is done before anything is made and that does not look
 * at the machine: loading, validating each record by its kind and all of them among themselves,
 * the plan, what forks leave shared.  And as stasis show prints it.
 * First byte: 1 checksums are put right; 2 the root keeps its session; 4, 8 how it is shown.
 */
#include <stdio.h>

#include "engine/inherit.h"
#include "engine/load.h"
#include "engine/plan.h"
#include "engine/show.h"
#include "engine/terminal.h"
#include "kind/kind.h"
#include "mutator.h"
#include "pieces.h"

static void refused_with_words(const struct error *err)
{
	if (error_count(err) == 0)
		abort();
	for (size_t i = 0; i < error_count(err); i++)
		if (!error_why(err, i)[0])
			abort();
}

/* Whoever is in the image is born once, after the one that makes it. */
static void births_are_right(const struct rebuild *r, const struct plan *plan)
{
	size_t births = 0;

	vec_each(step, &plan->steps)
		births += step->what == PLAN_BIRTH;
	if (births != r->tasks.count + r->stand_ins.count)
		abort();
}

static int inherit_all(const struct rebuild *r, struct error **err)
{
	vec_each(t, &r->tasks) {
		struct kept_list kept cleanup_kept = {0};
		int res = 0;

		if ((*t)->copy_of && (*t)->memory && (*t)->copy_of->memory)
			res = inherit_plan((*t)->memory, (*t)->copy_of->memory, &kept, err);
		if (res < 0)
			return res;
		vec_each(k, &kept.list)
			if (k->start >= k->end || k->start < k->area->start || k->end > k->area->end)
				abort();
	}
	return 0;
}

static int plan_all(struct rebuild *r, bool keep_session, struct error **err)
{
	struct plan plan = {0};
	int res = terminals_valid(r, err);

	if (res == 0)
		res = plan_tree(r, keep_session, &plan, err);
	if (res == 0)
		births_are_right(r, &plan);
	plan_free(&plan);
	return res < 0 ? res : inherit_all(r, err);
}

static void load(int fd, bool keep_session)
{
	static const struct restore_options options = {.standard = {-1, -1, -1}};
	cleanup_rebuild struct rebuild r = {.options = &options, REBUILD_INIT};
	cleanup_image_reader struct image_reader *reader = NULL;
	cleanup_error struct error *err = NULL;
	struct image_frame frame;
	bool more = false;
	int res = image_reader_open_fd(&reader, fd, "fuzz", &err);

	if (res == 0)
		res = load_image(reader, &r, &frame, &more, &err);
	if (res == 0)
		res = plan_all(&r, keep_session, &err);
	if (res < 0)
		refused_with_words(err);
	else if (err)
		abort();
}

static void show(int fd, enum show_format format)
{
	cleanup_error struct error *err = NULL;
	char path[64], *text = NULL;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (engine_show(path, format, &text, &err) < 0)
		refused_with_words(err);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_close int fd = size ? image_memfd(data + 1, size - 1, data[0] & 1) : -1;

	if (fd < 0)
		return 0;
	load(fd, data[0] & 2);
	if (data[0] & 12)
		show(fd, (data[0] >> 2 & 3) - 1);
	return 0;
}
