#include "engine/plan.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#define HOST 0u /* the session and the group of whoever restores: no process has this number */
#define ANY  UINT32_MAX

/* What a task is in while the plan is carried out, and what it shall be in. */
struct state {
	struct rebuilt_task *task;
	uint32_t session, group;           /* now */
	uint32_t want_session, want_group; /* in the end */
	uint32_t born_in;                  /* the session that it must be born in; or ANY */
	bool leads;                        /* has called setsid(2) */
};

struct planner {
	struct rebuild *r;
	struct plan *plan;
	VEC(struct state) states; /* of the tasks in their order, then of stand-ins */
};

static uint32_t pid_of(const struct state *s)
{
	return s->task->record->pid;
}

/* The task or stand-in of this number; NULL: there is none (yet). */
static struct state *find(const struct planner *p, uint32_t pid)
{
	vec_each(s, &p->states)
		if (pid_of(s) == pid)
			return s;
	return NULL;
}

static struct state *state_of(const struct planner *p, const struct rebuilt_task *t)
{
	return t ? find(p, t->record->pid) : NULL;
}

static int add_step(struct planner *p, enum plan_do what, struct rebuilt_task *task,
		    struct rebuilt_task *other, unsigned long flags, struct error **err)
{
	struct plan_step *step = vec_push(&p->plan->steps);

	if (!step)
		return fail(err, ENOMEM, "out of memory");
	*step = (struct plan_step){what, task, other, flags};
	return 0;
}

static int lead_session(struct planner *p, struct state *s, struct error **err)
{
	s->leads = true;
	s->session = s->group = pid_of(s);
	return add_step(p, PLAN_SESSION, s->task, NULL, 0, err);
}

static int add_states(struct planner *p, bool keep_session, struct error **err)
{
	const Rec__Task *root = p->r->tasks.items[0]->record;
	uint32_t host_session = root->sid != root->pid || keep_session ? root->sid : ANY;
	uint32_t host_group = root->pgid != root->pid ? root->pgid : ANY;

	vec_each(t, &p->r->tasks) {
		const Rec__Task *m = (*t)->record;
		struct state *s = vec_push(&p->states);

		if (!s)
			return fail(err, ENOMEM, "out of memory");
		*s = (struct state){.task = *t, .born_in = ANY};
		s->want_session = m->sid == host_session ? HOST : m->sid;
		s->want_group = m->pgid == host_group ? HOST : m->pgid;
	}
	/* Children of a leader that it had before it became one were born where it was born. */
	for (size_t i = p->states.count; i-- > 0;) {
		struct state *s = &p->states.items[i], *parent = state_of(p, s->task->parent);
		const struct state *leader = find(p, s->want_session);

		if (s->want_session != pid_of(s))
			s->born_in = s->want_session;
		if (parent && s->born_in != ANY && s->born_in != pid_of(parent) &&
		    parent->want_session == pid_of(parent) &&
		    (s->born_in == HOST || (leader && leader < parent)))
			parent->born_in = s->born_in;
	}
	return 0;
}

/* It lives for the time of the restore, in the place of a process that had ended. */
static struct state *add_stand_in(struct planner *p, uint32_t pid, struct state *maker,
				  uint32_t exit_signal)
{
	struct rebuilt_task *t = calloc(1, sizeof *t), **slot;
	Rec__Task *m = calloc(1, sizeof *m);
	size_t at = (size_t)(maker - p->states.items);
	struct state *s;

	slot = t && m ? vec_push(&p->r->stand_ins) : NULL;
	s = slot ? vec_push(&p->states) : NULL;
	if (!slot) {
		free(t);
		free(m);
		return NULL;
	}
	rec__task__init(m);
	m->pid = m->sid = m->pgid = pid;
	m->zombie = true;
	m->exit_signal = exit_signal;
	*t = (struct rebuilt_task){.record = m, .proc = -1, .mem = -1};
	*slot = t;
	if (!s)
		return NULL;
	/* The list may have moved. */
	maker = &p->states.items[at];
	t->parent = maker->task;
	*s = (struct state){.task = t,
			    .session = maker->session,
			    .group = maker->group,
			    .want_session = maker->session,
			    .want_group = pid};
	return s;
}

static int no_way(const struct state *s, const char *what, struct error **err)
{
	return refuse(err, ENOTSUP, NULL,
		      "process %u cannot be brought back into its %s: no process of the image could "
		      "have made it there", pid_of(s), what);
}

/* CLONE_* of what it shares with others that were there before. */
static unsigned long sharing(const struct rebuilt_task *t)
{
	return (t->memory_of ? CLONE_VM : 0u) | (t->files_of ? CLONE_FILES : 0u) |
	       (t->fs_of ? CLONE_FS : 0u) | (t->signals_of ? CLONE_SIGHAND : 0u);
}

/* maker has all that t shares: it is the first that had it, or shares with the first, too. */
static bool can_give(const struct rebuilt_task *maker, const struct rebuilt_task *t)
{
	return (!t->memory_of || t->memory_of == maker || t->memory_of == maker->memory_of) &&
	       (!t->files_of || t->files_of == maker || t->files_of == maker->files_of) &&
	       (!t->fs_of || t->fs_of == maker || t->fs_of == maker->fs_of) &&
	       (!t->signals_of || t->signals_of == maker || t->signals_of == maker->signals_of);
}

/* Its parent, or a sibling that was there before, by CLONE_PARENT; NULL: nobody. */
static struct state *giver(const struct planner *p, size_t i)
{
	const struct rebuilt_task *t = p->states.items[i].task;

	if (can_give(t->parent, t))
		return state_of(p, t->parent);
	for (size_t k = 0; k < i; k++) {
		struct state *s = &p->states.items[k];

		if (s->task->parent == t->parent && can_give(s->task, t))
			return s;
	}
	return NULL;
}

/* Nobody who is to come must be born of it before it leads its session. */
static bool may_lead(const struct planner *p, const struct state *leader, size_t from)
{
	if (leader->leads || leader->want_session != pid_of(leader))
		return false;
	for (size_t i = from; i < p->r->tasks.count; i++) {
		const struct state *s = &p->states.items[i];

		if (s->task->parent == leader->task && s->born_in != ANY &&
		    s->born_in != pid_of(leader))
			return false;
	}
	return true;
}

/*
 * A process of the session that s must be born in: a sibling that leads it (s is an orphan, which
 * their parent has taken on), or a stand-in for a leader that is no more.
 */
static int make_leader(struct planner *p, struct state *s, struct state **maker,
		       unsigned long *flags, struct error **err)
{
	struct state *stand_in = find(p, s->born_in);
	size_t i = (size_t)(s - p->states.items);
	int res = 0;

	if (stand_in && stand_in < s && stand_in->task->parent == s->task->parent &&
	    may_lead(p, stand_in, i))
		res = lead_session(p, stand_in, err);
	if (res < 0)
		return res;
	if (stand_in && stand_in->task->parent == s->task->parent &&
	    stand_in->session == s->born_in) {
		*maker = stand_in;
		*flags |= CLONE_PARENT;
		return 0;
	}
	if (stand_in)
		return no_way(s, "session", err);
	stand_in = add_stand_in(p, s->born_in, *maker, s->task->record->exit_signal);
	if (!stand_in)
		return fail(err, ENOMEM, "out of memory");
	res = add_step(p, PLAN_BIRTH, stand_in->task, stand_in->task->parent, 0, err);
	if (res == 0)
		res = lead_session(p, stand_in, err);
	*maker = stand_in;
	*flags |= CLONE_PARENT;
	return res;
}

static int plan_birth(struct planner *p, size_t i, struct error **err)
{
	struct state *s = &p->states.items[i], *maker = state_of(p, s->task->parent);
	unsigned long flags = sharing(s->task);
	int res = 0;

	if (!maker)
		return add_step(p, PLAN_BIRTH, s->task, NULL, 0, err);
	if (flags) {
		maker = giver(p, i);
		if (!maker)
			return refuse(err, ENOTSUP, NULL,
				      "process %u shares memory, descriptors, directory or signal actions "
				      "with others, but neither its parent nor a sibling has all of that",
				      pid_of(s));
		flags |= maker->task != s->task->parent ? CLONE_PARENT : 0;
	}
	if (s->born_in != ANY && maker->session != s->born_in) {
		if (s->born_in == pid_of(maker) && !maker->leads)
			res = lead_session(p, maker, err);
		else if (sharing(s->task) || s->born_in == HOST)
			return no_way(s, "session", err);
		else
			res = make_leader(p, s, &maker, &flags, err);
		s = &p->states.items[i];
	}
	if (res < 0)
		return res;
	s->session = maker->session;
	s->group = maker->group;
	return add_step(p, PLAN_BIRTH, s->task, maker->task, flags, err);
}

/* The group is led by nobody any more: a stand-in makes it. */
static int make_group(struct planner *p, size_t i, struct state **ret, struct error **err)
{
	uint32_t group = p->states.items[i].want_group;
	struct state *g = find(p, group);
	int res;

	*ret = g;
	if (g)
		return 0;
	g = add_stand_in(p, group, &p->states.items[i], 0);
	if (!g)
		return fail(err, ENOMEM, "out of memory");
	g->group = group;
	*ret = g;
	res = add_step(p, PLAN_BIRTH, g->task, g->task->parent, 0, err);
	return res < 0 ? res : add_step(p, PLAN_GROUP, g->task, g->task, 0, err);
}

static int plan_group(struct planner *p, size_t i, struct error **err)
{
	struct state *leader, *s = &p->states.items[i];
	int res;

	if (s->group == s->want_group)
		return 0;
	if (s->want_group == HOST || s->session == pid_of(s))
		return no_way(s, "process group", err);
	res = make_group(p, i, &leader, err);
	if (res < 0)
		return res;
	s = &p->states.items[i];
	if (leader->session != s->session || leader->group != s->want_group)
		return no_way(s, "process group", err);
	s->group = s->want_group;
	return add_step(p, PLAN_GROUP, s->task, leader->task, 0, err);
}

static int plan_groups(struct planner *p, size_t tasks, struct error **err)
{
	int res = 0;

	for (size_t i = 0; i < tasks && res == 0; i++) {
		struct state *s = &p->states.items[i];

		if (s->want_session == pid_of(s) && !s->leads)
			res = lead_session(p, s, err);
	}
	/* Leaders first: others join them. */
	for (size_t i = 0; i < tasks && res == 0; i++) {
		struct state *s = &p->states.items[i];

		if (s->want_group != pid_of(s) || s->group == s->want_group)
			continue;
		s->group = s->want_group;
		res = add_step(p, PLAN_GROUP, s->task, s->task, 0, err);
	}
	for (size_t i = 0; i < tasks && res == 0; i++)
		res = plan_group(p, i, err);
	return res;
}

/* What was made last ends first: a stand-in may be the child of another. */
static int plan_ends(struct planner *p, struct error **err)
{
	int res = 0;

	for (size_t i = p->r->stand_ins.count; i-- > 0 && res == 0;) {
		struct rebuilt_task *t = p->r->stand_ins.items[i];

		res = add_step(p, PLAN_END, t, t->parent, 0, err);
	}
	for (size_t i = p->r->tasks.count; i-- > 0 && res == 0;) {
		struct rebuilt_task *t = p->r->tasks.items[i];

		if (t->record->zombie)
			res = add_step(p, PLAN_END, t, t->parent, 0, err);
	}
	return res;
}

int plan_tree(struct rebuild *r, bool keep_session, struct plan *ret, struct error **err)
{
	struct planner p = {.r = r, .plan = ret};
	int res = add_states(&p, keep_session, err);

	for (size_t i = 0; i < r->tasks.count && res == 0; i++)
		res = plan_birth(&p, i, err);
	if (res == 0)
		res = plan_groups(&p, r->tasks.count, err);
	if (res == 0)
		res = plan_ends(&p, err);
	vec_free(&p.states);
	return res;
}

void plan_free(struct plan *p)
{
	vec_free(&p->steps);
}
