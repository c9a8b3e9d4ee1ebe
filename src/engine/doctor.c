#include "engine/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "image/json.h"

#define WIDTH 98 /* columns of what people read */

/* Without these nothing can be saved, or nothing be brought back. */
static const enum priv_op vital[] = {PRIV_TRACE, PRIV_DESCRIPTORS, PRIV_KCMP, PRIV_SET_MM_MAP};

static bool is_usable(const struct facts *f)
{
	for (size_t i = 0; i < sizeof vital / sizeof *vital; i++)
		if (f->results[vital[i]] < 0)
			return false;
	return true;
}

struct report {
	struct facts facts;
	pid_t pid; /* 0: nobody was asked about */
	struct ward ward;
	struct error *obstacles;
};

static void report_free(struct report *r)
{
	facts_free(&r->facts);
	ward_free(&r->ward);
	error_free(r->obstacles);
}

/* ---- For people ------------------------------------------------------------------ */

/* The words from column at on, which the text has reached, broken so that they keep to it. */
static void add_wrapped(struct text *t, size_t at, const char *words)
{
	size_t column = at;

	while (*words) {
		size_t len = strcspn(words, " ");

		if (column > at && column + 1 + len > WIDTH) {
			text_add(t, "\n%*s", (int)at, "");
			column = at;
		} else if (column > at) {
			text_add(t, " ");
			column++;
		}
		text_add_bytes(t, words, len);
		column += len;
		words += len + (words[len] == ' ');
	}
	text_add(t, "\n");
}

static void say_operations(struct text *t, const struct facts *f)
{
	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		const struct priv_rule *rule = priv_rule(op);
		bool works = f->results[op] == 0;

		if (!works && rule->spare)
			continue;
		text_add(t, "  %-3s  %-26s  ", works ? "yes" : "no", rule->name);
		add_wrapped(t, 35, works ? rule->purpose : rule->without);
	}
}

/* One remedy may be that of many rows: it is said once. */
static void say_remedies(struct text *t, const struct facts *f)
{
	bool said[PRIV_OPS] = {false}, first = true;

	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		cleanup_remedy struct remedy r = remedy_for(f, op);
		struct text rows cleanup_text = {0};

		if (!r.mend || said[op] || priv_rule(op)->spare)
			continue;
		for (enum priv_op other = op; other < PRIV_OPS; other++) {
			cleanup_remedy struct remedy same = remedy_for(f, other);

			if (!same.mend || strcmp(same.mend, r.mend) != 0 ||
			    priv_rule(other)->spare)
				continue;
			said[other] = true;
			text_add(&rows, "%s%s", rows.len ? ", " : "", priv_rule(other)->name);
		}
		if (first)
			text_add(t, "\nWhat would make the rest work\n");
		first = false;
		text_add(t, "  ");
		add_wrapped(t, 2, r.mend);
		text_add(t, "      for:         ");
		add_wrapped(t, 19, rows.bytes ? rows.bytes : "");
		text_add(t, "      gives away:  ");
		add_wrapped(t, 19, r.cost ? r.cost : "nothing");
	}
}

static void say_settings(struct text *t, const struct facts *f)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		const struct setting *s = &f->settings[i];

		if (!s->value)
			continue;
		text_add(t, "  %-45s ", s->name);
		if (s->remark) {
			cleanup_free char *words = str_format("%s: %s", s->value, s->remark);

			add_wrapped(t, 48, words ? words : s->value);
		} else {
			add_wrapped(t, 48, s->value);
		}
	}
}

static void say_count(struct text *t, long n, const char *what)
{
	if (n < 0)
		text_add(t, ", %ss not shown", what);
	else
		text_add(t, ", %ld %s%s", n, what, n == 1 ? "" : "s");
}

static void say_tree(struct text *t, const struct ward *w)
{
	vec_each(p, &w->patients) {
		text_add(t, "  %d (%s), user %u", p->pid, p->status.name, p->status.uid[0]);
		say_count(t, p->status.threads, "thread");
		say_count(t, p->descriptors, "descriptor");
		say_count(t, p->mappings, "mapping");
		text_add(t, ", %" PRIu64 " KiB in use\n", p->memory / 1024);
	}
}

static bool tree_needs(const struct report *r, enum priv_op op)
{
	vec_each(p, &r->ward.patients)
		if (p->needs[op])
			return true;
	return false;
}

static void say_process(struct text *t, const struct report *r)
{
	bool first = true;

	text_add(t, "\nProcess %d\n", r->pid);
	say_tree(t, &r->ward);
	text_add(t, r->obstacles ? "It cannot be saved:\n" : "It can be saved.\n");
	for (size_t i = 0; i < error_count(r->obstacles); i++) {
		const char *mend = error_mend(r->obstacles, i);

		text_add(t, "  ");
		add_wrapped(t, 2, error_why(r->obstacles, i));
		if (mend) {
			text_add(t, "      ");
			add_wrapped(t, 6, mend);
		}
	}
	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		if (r->facts.results[op] == 0 || !tree_needs(r, op))
			continue;
		if (first)
			text_add(t, "To save and restore it takes what you do not have here:\n");
		first = false;
		text_add(t, "  %-26s  ", priv_rule(op)->name);
		add_wrapped(t, 30, priv_rule(op)->without);
	}
}

static void say(struct text *t, const struct report *r)
{
	const struct facts *f = &r->facts;

	text_add(t, "Stasis %s on Linux %s, %s; user %u, level %s\n", STASIS_VERSION, f->uts.release,
		 f->uts.machine, f->self.uid[1], level_name(f->level));
	text_add(t, is_usable(f) ? "Processes can be saved and brought back here.\n"
				 : "Processes cannot be saved or cannot be brought back here.\n");
	if (r->pid) {
		say_process(t, r);
		return;
	}
	text_add(t, "\nWhat works; or what is done without\n");
	say_operations(t, f);
	text_add(t, "\nSettings\n");
	say_settings(t, f);
	say_remedies(t, f);
}

/* ---- For programs ---------------------------------------------------------------- */

static void json_text(struct text *t, const char *key, const char *value)
{
	text_add(t, "\"%s\": ", key);
	if (value)
		json_string(t, value, strlen(value));
	else
		text_add(t, "null");
}

static void json_operation(struct text *t, const struct facts *f, enum priv_op op)
{
	const struct priv_rule *rule = priv_rule(op);
	cleanup_remedy struct remedy r = remedy_for(f, op);
	int result = f->results[op];

	text_add(t, "    {");
	json_text(t, "name", rule->name);
	text_add(t, ", \"works\": %s, ", result == 0 ? "true" : "false");
	json_text(t, "error", result == 0 ? NULL : strerrorname_np(-result));
	text_add(t, ", \"needs\": \"%s\", ", level_name(rule->needs));
	json_text(t, "purpose", rule->purpose);
	text_add(t, ", ");
	json_text(t, "rule", rule->rule);
	text_add(t, ", ");
	json_text(t, "since", rule->since);
	text_add(t, ", ");
	json_text(t, "source", rule->source);
	text_add(t, ", ");
	json_text(t, "without", rule->without);
	text_add(t, ", ");
	json_text(t, "mend", r.mend);
	text_add(t, ", ");
	json_text(t, "gives_away", r.mend ? r.cost : NULL);
	text_add(t, "}");
}

static void json_settings(struct text *t, const struct facts *f)
{
	text_add(t, "  \"settings\": [");
	for (size_t i = 0; i < SETTINGS; i++) {
		text_add(t, "%s\n    {", i ? "," : "");
		json_text(t, "name", f->settings[i].name);
		text_add(t, ", ");
		json_text(t, "value", f->settings[i].value);
		text_add(t, ", ");
		json_text(t, "in_the_way", f->settings[i].remark);
		text_add(t, "}");
	}
	text_add(t, "\n  ],\n");
}

static void json_count(struct text *t, const char *key, long n)
{
	if (n < 0)
		text_add(t, ", \"%s\": null", key);
	else
		text_add(t, ", \"%s\": %ld", key, n);
}

static void json_tree(struct text *t, const struct ward *w)
{
	text_add(t, "    \"tree\": [");
	vec_each(p, &w->patients) {
		text_add(t, "%s\n      {\"pid\": %d, \"parent\": %d, ",
			 p == w->patients.items ? "" : ",", p->pid, p->parent);
		json_text(t, "name", p->status.name);
		text_add(t, ", \"uid\": %u, \"threads\": %u", p->status.uid[0], p->status.threads);
		json_count(t, "descriptors", p->descriptors);
		json_count(t, "mappings", p->mappings);
		text_add(t, ", \"memory\": %" PRIu64 "}", p->memory);
	}
	text_add(t, "\n    ],\n");
}

static void json_process(struct text *t, const struct report *r)
{
	bool first = true;

	if (!r->pid) {
		text_add(t, "  \"process\": null\n");
		return;
	}
	text_add(t, "  \"process\": {\n    \"pid\": %d,\n    \"can_be_saved\": %s,\n", r->pid,
		 r->obstacles ? "false" : "true");
	json_tree(t, &r->ward);
	text_add(t, "    \"obstacles\": [");
	for (size_t i = 0; i < error_count(r->obstacles); i++) {
		text_add(t, "%s\n      {", i ? "," : "");
		json_text(t, "why", error_why(r->obstacles, i));
		text_add(t, ", ");
		json_text(t, "mend", error_mend(r->obstacles, i));
		text_add(t, "}");
	}
	text_add(t, "%s],\n    \"lacking\": [", error_count(r->obstacles) ? "\n    " : "");
	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		if (r->facts.results[op] == 0 || !tree_needs(r, op))
			continue;
		text_add(t, first ? "" : ", ");
		json_string(t, priv_rule(op)->name, strlen(priv_rule(op)->name));
		first = false;
	}
	text_add(t, "]\n  }\n");
}

static void say_json(struct text *t, const struct report *r)
{
	const struct facts *f = &r->facts;

	text_add(t, "{\n  \"version\": \"%s\",\n  ", STASIS_VERSION);
	json_text(t, "kernel", f->uts.release);
	text_add(t, ",\n  ");
	json_text(t, "machine", f->uts.machine);
	text_add(t, ",\n  \"uid\": %u,\n  \"level\": \"%s\",\n  \"usable\": %s,\n",
		 f->self.uid[1], level_name(f->level), is_usable(f) ? "true" : "false");
	text_add(t, "  \"operations\": [");
	for (enum priv_op op = 0; op < PRIV_OPS; op++) {
		text_add(t, op ? ",\n" : "\n");
		json_operation(t, f, op);
	}
	text_add(t, "\n  ],\n");
	json_settings(t, f);
	json_process(t, r);
	text_add(t, "}\n");
}

/* ---------------------------------------------------------------------------------- */

static int examine(struct report *r, struct error **err)
{
	int res = ward_gather(&r->ward, r->pid, &r->facts.self, err);

	if (res < 0)
		return res;
	if (engine_survey(r->pid, &r->obstacles) < 0 && !r->obstacles)
		return fail(err, ENOMEM, "out of memory");
	return 0;
}

int engine_doctor(pid_t pid, bool json, char **ret, struct error **err)
{
	struct report r __attribute__((cleanup(report_free))) = {.pid = pid};
	struct text t cleanup_text = {0};
	int res = facts_gather(&r.facts, err);

	if (res == 0 && pid)
		res = examine(&r, err);
	if (res < 0)
		return res;
	if (json)
		say_json(&t, &r);
	else
		say(&t, &r);
	if (t.failed)
		return fail(err, ENOMEM, "out of memory");
	*ret = t.bytes;
	t.bytes = NULL;
	return r.obstacles ? VERDICT_OBSTACLES : is_usable(&r.facts) ? VERDICT_WELL : VERDICT_UNUSABLE;
}
