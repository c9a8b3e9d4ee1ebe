/* The audit from its beginning to its end. */
#include "engine/audit.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/engine.h"

static void try_cell(const struct audit_scene *s, struct audit_matrix *m,
		     const struct audit_which *w)
{
	struct audit_cell *cell = &m->cells[w->access][w->victim][w->caller];
	const struct audit_caller *caller = &s->callers[w->caller];
	const struct audit_victim *victim =
		w->victim == AUDIT_SELF ? NULL : &s->victims[w->victim];

	/* What the policies say of who cannot be made is known; what the kernel says is not guessed. */
	for (enum policy p = 0; p < POLICIES; p++)
		cell->answer[p] = policy_ask(p, w->access, &caller->creds,
					     victim ? &victim->creds : NULL, &s->facts);
	if (caller->party.unmade || (victim && victim->party.unmade))
		return;
	cell->kernel = audit_try(s, audit_access(w->access)->try, victim, caller);
	cell->tried = true;
}

static bool is_wanted(const struct audit_which *only, const struct audit_which *w)
{
	return !only || (only->access == w->access && only->victim == w->victim &&
			 only->caller == w->caller);
}

void audit_run(const struct audit_scene *s, struct audit_matrix *m, const struct audit_which *only)
{
	for (struct audit_which w = {0}; w.access < ACCESSES; w.access++) {
		bool on_self = w.access >= ACCESS_ON_SELF;

		for (w.victim = on_self ? AUDIT_SELF : 0;
		     w.victim < (on_self ? AUDIT_SELF + 1 : VICTIMS); w.victim++)
			for (w.caller = 0; w.caller < CALLERS; w.caller++)
				if (is_wanted(only, &w))
					try_cell(s, m, &w);
	}
}

static void print(struct text *t, const struct audit_options *o, const struct audit_scene *s,
		  const struct audit_matrix *m, const struct audit_which *only)
{
	struct text why cleanup_text = {0};

	if (only)
		audit_explain(&why, s, m, only);
	if (o->json)
		audit_print_json(t, s, m, why.bytes);
	else if (only)
		text_add(t, "%s", why.bytes ? why.bytes : "");
	else
		audit_print(t, s, m, o->colour);
	t->failed = t->failed || why.failed;
}

int engine_audit(const struct audit_options *o, char **ret, struct audit_result *result,
		 struct error **err)
{
	struct audit_which which, *only = NULL;
	struct text t cleanup_text = {0};
	struct audit_scene *s = calloc(1, sizeof *s);
	struct audit_matrix *m = calloc(1, sizeof *m);
	int r = s && m ? 0 : fail(err, ENOMEM, "out of memory");

	if (r == 0 && o->cell) {
		r = audit_parse_cell(o->cell, &which, err);
		only = &which;
	}
	if (r == 0) {
		r = audit_scene_begin(s, err);
		if (r == 0) {
			audit_run(s, m, only);
			audit_judge(m, s->policy);
			print(&t, o, s, m, only);
			*result = (struct audit_result){
				.tried = m->counts.tried,
				.agree = m->counts.by[VERDICT_AGREES],
				.stricter = m->counts.by[VERDICT_STRICTER],
				.looser = m->counts.by[VERDICT_LOOSER],
				.different = m->counts.by[VERDICT_DIFFERENT],
				.absent = m->counts.by[VERDICT_UNKNOWN],
			};
		}
		audit_scene_end(s);
	}
	free(s);
	free(m);
	if (r == 0 && t.failed)
		r = fail(err, ENOMEM, "out of memory");
	if (r < 0)
		return r;
	*ret = t.bytes;
	t.bytes = NULL;
	return 0;
}
