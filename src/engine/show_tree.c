#include "engine/show_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DEEPEST 30u /* indentation ends somewhere */

int shown_tree_add(struct shown_tree *t, const Rec__Task *m)
{
	struct shown_task *s = vec_push(&t->list);

	if (!s)
		return -ENOMEM;
	*s = (struct shown_task){.pid = m->pid, .ppid = m->ppid, .zombie = m->zombie};
	s->order = t->list.count;
	snprintf(s->name, sizeof s->name, "%s", m->name);
	return 0;
}

static int compare_tasks(const void *x, const void *y)
{
	const struct shown_task *a = *(struct shown_task *const *)x;
	const struct shown_task *b = *(struct shown_task *const *)y;

	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

/* Only who comes before can be the parent: so there are no circles. */
static void find_parent(struct shown_tree *t, struct shown_task **by_pid, struct shown_task *s)
{
	const struct shown_task key = {.pid = s->ppid}, *wanted = &key;
	struct shown_task **found =
		bsearch(&wanted, by_pid, t->list.count, sizeof *by_pid, compare_tasks);
	struct shown_task *parent = found ? *found : NULL;

	if (!s->ppid || !parent || parent->order >= s->order)
		return;
	s->parent = parent->order;
	s->depth = parent->depth + 1;
	if (parent->last)
		t->list.items[parent->last - 1].next = s->order;
	else
		parent->child = s->order;
	parent->last = s->order;
}

static void print_task(const struct shown_task *s, struct text *text)
{
	unsigned int depth = s->depth < DEEPEST ? s->depth : DEEPEST;

	text_add(text, "process   %*s%u (%s)%s\n", (int)depth * 2, "", s->pid, s->name,
		 s->zombie ? ", has ended" : "");
}

/* From one task to the next in depth: down, else aside, else up and aside.  NULL: all were there. */
static struct shown_task *next_task(struct shown_tree *t, struct shown_task *s)
{
	if (s->child)
		return &t->list.items[s->child - 1];
	while (!s->next && s->parent)
		s = &t->list.items[s->parent - 1];
	return s->next ? &t->list.items[s->next - 1] : NULL;
}

void shown_tree_print(struct shown_tree *t, struct text *text)
{
	struct shown_task **by_pid = calloc(t->list.count + 1, sizeof *by_pid);

	for (size_t i = 0; by_pid && i < t->list.count; i++)
		by_pid[i] = &t->list.items[i];
	if (by_pid)
		qsort(by_pid, t->list.count, sizeof *by_pid, compare_tasks);
	for (size_t i = 0; by_pid && i < t->list.count; i++)
		find_parent(t, by_pid, &t->list.items[i]);
	for (size_t i = 0; i < t->list.count; i++)
		for (struct shown_task *s = t->list.items[i].parent ? NULL : &t->list.items[i]; s;
		     s = next_task(t, s))
			print_task(s, text);
	free(by_pid);
}

void shown_tree_free(struct shown_tree *t)
{
	vec_free(&t->list);
}
