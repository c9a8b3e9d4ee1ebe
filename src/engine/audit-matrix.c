/* The matrix: judged against a policy, and shown.  No system call in here. */
#include "engine/audit.h"

#include <stdio.h>
#include <string.h>

#include "image/json.h"

#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define RED "\033[31m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

void audit_judge(struct audit_matrix *m, enum policy policy)
{
	m->counts = (struct audit_counts){0};
	for (size_t i = 0; i < sizeof m->cells / sizeof(struct audit_cell); i++) {
		struct audit_cell *cell = &m->cells[0][0][0] + i;

		cell->verdict = VERDICT_UNKNOWN;
		if (!cell->tried)
			continue;
		cell->verdict = policy_compare(cell->kernel, cell->answer[policy].result);
		m->counts.tried++;
		m->counts.by[cell->verdict]++;
	}
}

const char *audit_result_name(int result, char buf[24])
{
	static const char *const others[] = {"yes", "hidden", "SIGBUS", "not here", "broken"};
	const char *name = NULL;

	if (result >= 0)
		return others[result];
	name = strerrorname_np(-result);
	if (!name)
		snprintf(buf, 24, "errno %d", -result);
	return name ? name : buf;
}

void audit_cell_name(char *buf, size_t size, const struct audit_which *which)
{
	const char *access = audit_access(which->access)->name;
	const char *caller = audit_caller_name(which->caller);

	if (which->victim == AUDIT_SELF)
		snprintf(buf, size, "%s/%s", access, caller);
	else
		snprintf(buf, size, "%s@%s/%s", access, audit_victim_name(which->victim), caller);
}

/* ---- For people ------------------------------------------------------------------------ */

static const char *colour_of(const struct audit_cell *cell)
{
	switch (cell->verdict) {
	case VERDICT_LOOSER:
		return RED;
	case VERDICT_STRICTER:
	case VERDICT_DIFFERENT:
		return YELLOW;
	default:
		return cell->tried && cell->kernel == 0 ? GREEN : "";
	}
}

static char sign_of(const struct audit_cell *cell, enum policy policy)
{
	int result = cell->answer[policy].result;

	if (!cell->tried)
		return ' ';
	return result == 0 ? '+' : result == RESULT_HIDDEN ? '~' : result < 0 ? '-' : '!';
}

static void print_row(struct text *t, const char *name, const struct audit_cell *cells,
		      bool colour)
{
	char buf[24], shown[32];

	text_add(t, "  %-23s", name);
	for (unsigned int i = 0; i < CALLERS; i++) {
		const char *c = colour ? colour_of(&cells[i]) : "";
		bool differs = cells[i].tried && cells[i].verdict != VERDICT_AGREES &&
			       cells[i].verdict != VERDICT_UNKNOWN;

		snprintf(shown, sizeof shown, "%s%s",
			 cells[i].tried ? audit_result_name(cells[i].kernel, buf) : ".",
			 differs ? " *" : "");
		text_add(t, "%s%-9s%s", c, shown, *c ? PLAIN : "");
	}
	for (enum policy p = 0; p < POLICIES; p++) {
		text_add(t, "%s", p ? "  " : "| ");
		for (unsigned int i = 0; i < CALLERS; i++)
			text_add(t, "%c", sign_of(&cells[i], p));
	}
	text_add(t, "\n");
}

static void print_head(struct text *t, const char *title, bool colour)
{
	text_add(t, "\n%s%s%s\n  %-23s", colour ? BOLD : "", title, colour ? PLAIN : "", "");
	for (unsigned int i = 0; i < CALLERS; i++)
		text_add(t, "%-9s", audit_caller_name(i));
	text_add(t, "| ");
	/* In the columns of the policies: the first letters of the callers. */
	for (enum policy p = 0; p < POLICIES; p++) {
		text_add(t, "%s", p ? "  " : "");
		for (unsigned int i = 0; i < CALLERS; i++)
			text_add(t, "%c", audit_caller_name(i)[0]);
	}
	text_add(t, "\n");
}

static void print_facts(struct text *t, const struct audit_scene *s)
{
	const struct policy_facts *f = &s->facts;

	text_add(t, "Linux %s: by its version it follows %s\n", s->release, policy_name(s->policy));
	text_add(t,
		 "yama.ptrace_scope %d, hidepid %d, vm.unprivileged_userfaultfd %d, "
		 "vm.memfd_noexec %d, /proc/sys %s\n",
		 f->yama, f->hidepid, f->free_userfaultfd, f->memfd_noexec,
		 f->sys_read_only ? "read-only" : "writable");
	text_add(t, "%s user namespace, %s pid namespace%s%s\n",
		 s->ns == &s->initial ? "initial" : "not the initial",
		 f->pid_owner == s->ns ? "with its own" : "with another's",
		 *s->hardening ? "; security modules: " : "", s->hardening);
}

static void print_callers(struct text *t, const struct audit_scene *s)
{
	text_add(t, "\nwho tries:\n");
	for (unsigned int i = 0; i < CALLERS; i++) {
		const struct audit_party *p = &s->callers[i].party;

		if (p->unmade)
			text_add(t, "  %-9s cannot be made here: %s\n", p->name, p->why);
		else
			text_add(t, "  %-9s %s\n", p->name, p->about);
	}
}

static void print_policies(struct text *t)
{
	text_add(t,
		 "\non the right, a letter for each caller, what three policies say: + yes, - no, "
		 "~ hidden, ! SIGBUS\n"
		 "  before-5.9     CAP_SYS_ADMIN\n"
		 "  since-5.9      that or CAP_CHECKPOINT_RESTORE\n"
		 "  ptrace-attach  proposed in 2020: who may attach, may follow map_files\n");
}

static void print_differences(struct text *t, const struct audit_scene *s,
			      const struct audit_matrix *m)
{
	char name[80], kernel[24], policy[24];

	for (struct audit_which w = {0}; w.access < ACCESSES; w.access++)
		for (w.victim = 0; w.victim <= AUDIT_SELF; w.victim++)
			for (w.caller = 0; w.caller < CALLERS; w.caller++) {
				const struct audit_cell *c =
					&m->cells[w.access][w.victim][w.caller];

				if (!c->tried || c->verdict == VERDICT_AGREES ||
				    c->verdict == VERDICT_UNKNOWN)
					continue;
				audit_cell_name(name, sizeof name, &w);
				text_add(t, "%s: %s: the kernel says %s, %s says %s\n",
					 verdict_name(c->verdict), name,
					 audit_result_name(c->kernel, kernel),
					 policy_name(s->policy),
					 audit_result_name(c->answer[s->policy].result, policy));
			}
}

static void print_victim(struct text *t, const struct audit_scene *s, const struct audit_matrix *m,
			 unsigned int victim, bool colour)
{
	const struct audit_party *p = &s->victims[victim].party;
	char title[120];

	if (p->unmade) {
		text_add(t, "\n%s (@%s): cannot be made here: %s\n", p->about, p->name, p->why);
		return;
	}
	snprintf(title, sizeof title, "%s (@%s)", p->about, p->name);
	print_head(t, title, colour);
	for (enum access a = 0; a < ACCESS_ON_SELF; a++)
		print_row(t, audit_access(a)->name, m->cells[a][victim], colour);
}

void audit_print(struct text *t, const struct audit_scene *s, const struct audit_matrix *m,
		 bool colour)
{
	const struct audit_counts *n = &m->counts;

	print_facts(t, s);
	print_callers(t, s);
	print_policies(t);
	for (unsigned int v = 0; v < VICTIMS; v++)
		print_victim(t, s, m, v, colour);
	print_head(t, "for oneself", colour);
	for (enum access a = ACCESS_ON_SELF; a < ACCESSES; a++)
		print_row(t, audit_access(a)->name, m->cells[a][AUDIT_SELF], colour);
	text_add(t, "\n");
	print_differences(t, s, m);
	text_add(t, "%u cells tried: %u agree with %s, %u stricter, %u looser, %u different, "
		 "%u not here\n",
		 n->tried, n->by[VERDICT_AGREES], policy_name(s->policy), n->by[VERDICT_STRICTER],
		 n->by[VERDICT_LOOSER], n->by[VERDICT_DIFFERENT], n->by[VERDICT_UNKNOWN]);
}

/* ---- As JSON --------------------------------------------------------------------------- */

static void json_text(struct text *t, const char *name, const char *value)
{
	text_add(t, "\"%s\": ", name);
	if (value)
		json_string(t, value, strlen(value));
	else
		text_add(t, "null");
}

static void json_party(struct text *t, const struct audit_party *p, bool first)
{
	text_add(t, "%s\n    {", first ? "" : ",");
	json_text(t, "name", p->name);
	text_add(t, ", ");
	json_text(t, "about", p->about);
	text_add(t, ", \"made\": %s, ", p->unmade ? "false" : "true");
	json_text(t, "why_not", p->unmade ? p->why : NULL);
	text_add(t, "}");
}

static void json_facts(struct text *t, const struct audit_scene *s)
{
	const struct policy_facts *f = &s->facts;

	text_add(t, "{\n  ");
	json_text(t, "kernel", s->release);
	text_add(t, ",\n  ");
	json_text(t, "policy", policy_name(s->policy));
	text_add(t,
		 ",\n  \"facts\": {\"yama\": %d, \"hidepid\": %d, "
		 "\"unprivileged_userfaultfd\": %s, \"memfd_noexec\": %d, "
		 "\"sys_read_only\": %s, \"initial_user_namespace\": %s, "
		 "\"owns_pid_namespace\": %s, ",
		 f->yama, f->hidepid, f->free_userfaultfd ? "true" : "false", f->memfd_noexec,
		 f->sys_read_only ? "true" : "false", s->ns == &s->initial ? "true" : "false",
		 f->pid_owner == s->ns ? "true" : "false");
	json_text(t, "security_modules", s->hardening);
	text_add(t, "},\n  \"callers\": [");
	for (unsigned int i = 0; i < CALLERS; i++)
		json_party(t, &s->callers[i].party, i == 0);
	text_add(t, "\n  ],\n  \"victims\": [");
	for (unsigned int i = 0; i < VICTIMS; i++)
		json_party(t, &s->victims[i].party, i == 0);
	text_add(t, "\n  ],\n  \"cells\": [");
}

static void json_cell(struct text *t, const struct audit_which *w, const struct audit_cell *c,
		      bool first)
{
	char name[80], buf[24];

	audit_cell_name(name, sizeof name, w);
	text_add(t, "%s\n    {", first ? "" : ",");
	json_text(t, "cell", name);
	text_add(t, ", ");
	json_text(t, "access", audit_access(w->access)->name);
	text_add(t, ", ");
	json_text(t, "victim", w->victim == AUDIT_SELF ? NULL : audit_victim_name(w->victim));
	text_add(t, ", ");
	json_text(t, "caller", audit_caller_name(w->caller));
	text_add(t, ", ");
	json_text(t, "kernel", audit_result_name(c->kernel, buf));
	for (enum policy p = 0; p < POLICIES; p++) {
		text_add(t, ", ");
		json_text(t, policy_name(p), audit_result_name(c->answer[p].result, buf));
	}
	text_add(t, ", ");
	json_text(t, "verdict", verdict_name(c->verdict));
	text_add(t, "}");
}

void audit_print_json(struct text *t, const struct audit_scene *s, const struct audit_matrix *m,
		      const char *explanation)
{
	bool first = true;

	json_facts(t, s);
	for (struct audit_which w = {0}; w.access < ACCESSES; w.access++)
		for (w.victim = 0; w.victim <= AUDIT_SELF; w.victim++)
			for (w.caller = 0; w.caller < CALLERS; w.caller++) {
				const struct audit_cell *c =
					&m->cells[w.access][w.victim][w.caller];

				if (!c->tried)
					continue;
				json_cell(t, &w, c, first);
				first = false;
			}
	text_add(t, "\n  ],\n  ");
	if (explanation) {
		json_text(t, "explanation", explanation);
		text_add(t, ",\n  ");
	}
	text_add(t, "\"counts\": {\"tried\": %u", m->counts.tried);
	for (enum verdict v = 0; v < VERDICTS; v++)
		text_add(t, ", \"%s\": %u", verdict_name(v), m->counts.by[v]);
	text_add(t, "}\n}\n");
}
