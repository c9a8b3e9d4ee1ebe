/* Names of cells, and why one is as it is. */
#include "engine/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_ROOM 80

/* ---- Names ----------------------------------------------------------------------------- */

static bool next_cell(struct audit_which *w)
{
	if (++w->caller < CALLERS)
		return true;
	w->caller = 0;
	if (w->victim != AUDIT_SELF && ++w->victim < VICTIMS)
		return true;
	w->access++;
	w->victim = w->access < ACCESS_ON_SELF ? 0 : AUDIT_SELF;
	return w->access < ACCESSES;
}

/* "maps@same/none" may be called "maps/none". */
static void short_name(char *buf, const struct audit_which *w)
{
	struct audit_which same = *w;

	if (same.victim == VICTIM_SAME)
		same.victim = AUDIT_SELF;
	audit_cell_name(buf, NAME_ROOM, &same);
}

/* How many characters must be put in, taken out or changed to make one of the other. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[NAME_ROOM + 1];
	size_t len = strnlen(b, NAME_ROOM);

	for (size_t j = 0; j <= len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 0; a[i] && i < NAME_ROOM; i++) {
		unsigned int before = row[0]++;

		for (size_t j = 1; j <= len; j++) {
			unsigned int here = before + (a[i] != b[j - 1]);

			before = row[j];
			if (row[j] + 1 < here)
				here = row[j] + 1;
			if (row[j - 1] + 1 < here)
				here = row[j - 1] + 1;
			row[j] = here;
		}
	}
	return row[len];
}

enum { NEAREST = 3 };

static void find_nearest(const char *cell, char best[NEAREST][NAME_ROOM])
{
	unsigned int far[NEAREST] = {~0u, ~0u, ~0u};
	struct audit_which w = {0};

	do {
		char name[NAME_ROOM];
		unsigned int d;
		int at = NEAREST;

		short_name(name, &w);
		d = distance(cell, name);
		while (at > 0 && d < far[at - 1])
			at--;
		for (int i = NEAREST - 1; i > at; i--) {
			far[i] = far[i - 1];
			memcpy(best[i], best[i - 1], NAME_ROOM);
		}
		if (at < NEAREST) {
			far[at] = d;
			memcpy(best[at], name, NAME_ROOM);
		}
	} while (next_cell(&w));
}

int audit_parse_cell(const char *cell, struct audit_which *ret, struct error **err)
{
	char best[NEAREST][NAME_ROOM], whole[NAME_ROOM], brief[NAME_ROOM], mend[3 * NAME_ROOM + 40];
	struct audit_which w = {0};

	do {
		audit_cell_name(whole, sizeof whole, &w);
		short_name(brief, &w);
		if (strcmp(cell, whole) == 0 || strcmp(cell, brief) == 0) {
			*ret = w;
			return 0;
		}
	} while (next_cell(&w));
	find_nearest(cell, best);
	snprintf(mend, sizeof mend, "the nearest names are %s, %s and %s", best[0], best[1],
		 best[2]);
	refuse(err, EINVAL, mend, "there is no cell '%s' (ACCESS[@VICTIM]/CALLER)", cell);
	error_set_outcome(err ? *err : NULL, OUTCOME_USAGE);
	return -EINVAL;
}

/* ---- Reasons --------------------------------------------------------------------------- */

/* What the caller is or has, or what it meets. */
static const char *const reasons[WHYS] = {
	[WHY_FREE] = "needs no permission for it",
	[WHY_OWNER] = "has the ids of the process, which is dumpable and has no capability that the "
		      "caller lacks",
	[WHY_BY_MODE] = "is let pass by the modes of the file and of the folders on the way",
	[WHY_SYS_PTRACE] = "has CAP_SYS_PTRACE over the process",
	[WHY_PERFMON] = "has CAP_PERFMON or CAP_SYS_ADMIN, which from Linux 6.15 on will do to read "
			"about the memory of any process",
	[WHY_CAPABLE] = "has a capability that is asked for, where it is asked for",
	[WHY_IDS] = "has other ids than the process, and no CAP_SYS_PTRACE over it",
	[WHY_NOT_DUMPABLE] = "has no CAP_SYS_PTRACE where the program was executed, and the process "
			     "is not dumpable",
	[WHY_MORE_CAPS] = "lacks a capability that the process is permitted, or is in another user "
			  "namespace, and has no CAP_SYS_PTRACE over it",
	[WHY_YAMA] = "is no ancestor of the process, which Yama asks for",
	[WHY_HIDEPID] = "does not see the process at all, as /proc is mounted with hidepid",
	[WHY_MODE] = "is stopped by the mode of a file or a folder, which belongs to somebody else or "
		     "is closed",
	[WHY_INCAPABLE] = "lacks the capability that is asked for, where it is asked for",
	[WHY_NO_FILE] = "may follow the link, but the thing behind it cannot be opened by anybody",
	[WHY_SEALED] = "meets a seal",
	[WHY_TRUNCATED] = "meets memory that has been cut off",
	[WHY_NAMESPACES] = "gets no namespaces of its own here",
	[WHY_MOUNT] = "meets a read-only mount",
};

static void explain_kernel(struct text *t, const struct audit_scene *s, const struct audit_cell *c,
			   const struct audit_which *w)
{
	const struct audit_party *caller = &s->callers[w->caller].party;
	const struct audit_party *victim =
		w->victim == AUDIT_SELF ? NULL : &s->victims[w->victim].party;
	char buf[24];

	if (c->tried)
		text_add(t, "this kernel says %s", audit_result_name(c->kernel, buf));
	else
		text_add(t, "not tried (%s: %s)",
			 caller->unmade ? caller->name : victim ? victim->name : "?",
			 caller->unmade ? caller->why : victim ? victim->why : "?");
	for (enum policy p = 0; p < POLICIES; p++)
		text_add(t, "; %s %s", policy_name(p),
			 audit_result_name(c->answer[p].result, buf));
	text_add(t, "\n");
}

void audit_explain(struct text *t, const struct audit_scene *s, const struct audit_matrix *m,
		   const struct audit_which *w)
{
	const struct audit_cell *c = &m->cells[w->access][w->victim][w->caller];
	const struct policy_answer *a = &c->answer[s->policy];
	const struct audit_access *access = audit_access(w->access);
	char name[NAME_ROOM], buf[24];

	audit_cell_name(name, sizeof name, w);
	text_add(t, "%s: %s\n  ", name, access->about);
	explain_kernel(t, s, c, w);
	text_add(t, "  %s.\n  The caller, %s, %s, so that %s says %s", access->rule,
		 s->callers[w->caller].party.about, reasons[a->why], policy_name(s->policy),
		 audit_result_name(a->result, buf));
	if (c->tried && c->verdict != VERDICT_AGREES && c->verdict != VERDICT_UNKNOWN)
		text_add(t, "; that this kernel is %s must have a cause that the audit does not know",
			 verdict_name(c->verdict));
	text_add(t, ".\n  source: %s\n", access->source);
}
