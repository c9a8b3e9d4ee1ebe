#include "engine/family.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "engine/inherit.h"

static int bad(struct error **err, const char *what)
{
	return refuse(err, EBADMSG, NULL, "the image contradicts itself: %s", what);
}

/* A living process before the i-th. */
static struct rebuilt_task *earlier(const struct rebuild *r, size_t i, uint32_t pid)
{
	for (size_t k = 0; k < i; k++)
		if (r->tasks.items[k]->record->pid == pid && !r->tasks.items[k]->record->zombie)
			return r->tasks.items[k];
	return NULL;
}

/* 0: it has its own. */
static int find_owner(const struct rebuild *r, size_t i, uint32_t pid, struct rebuilt_task **ret,
		      struct error **err)
{
	*ret = pid ? earlier(r, i, pid) : NULL;
	return pid && !*ret ? bad(err, "a process that shares with one which does not come before it")
			    : 0;
}

static int link_owners(const struct rebuild *r, size_t i, struct error **err)
{
	struct rebuilt_task *t = r->tasks.items[i];
	const Rec__Task *m = t->record;
	int res = find_owner(r, i, m->memory_of, &t->memory_of, err);

	if (res == 0)
		res = find_owner(r, i, m->files_of, &t->files_of, err);
	if (res == 0)
		res = find_owner(r, i, m->fs_of, &t->fs_of, err);
	if (res == 0)
		res = find_owner(r, i, m->signals_of, &t->signals_of, err);
	if (res == 0)
		res = find_owner(r, i, m->copy_of, &t->copy_of, err);
	if (res < 0)
		return res;
	if ((t->memory_of && t->memory_of->memory_of) || (t->files_of && t->files_of->files_of) ||
	    (t->fs_of && t->fs_of->fs_of) || (t->signals_of && t->signals_of->signals_of))
		return bad(err, "a process that shares with one which has it from another");
	if (t->signals_of && t->signals_of != t->memory_of &&
	    (!t->memory_of || t->signals_of->memory_of != t->memory_of))
		return bad(err, "a process that shares signal handlers and no memory (clone(2))");
	if (t->memory_of && t->memory_of->record->executable != m->executable)
		return bad(err, "processes that share their memory and not their executable");
	if (t->files_of && m->n_slots)
		return bad(err, "descriptors of a process that has another's");
	return 0;
}

static int check_copy(const struct rebuilt_task *t, struct error **err)
{
	struct kept_list kept cleanup_kept = {0};

	if (!t->copy_of)
		return t->memory && t->memory->n_inherited
			       ? bad(err, "memory of another process, and no such process")
			       : 0;
	if (!t->memory || !t->copy_of->memory || t->copy_of != t->parent ||
	    t->copy_of->record->executable != t->record->executable)
		return bad(err, "a copy of memory that is not its parent's");
	return inherit_plan(t->memory, t->copy_of->memory, &kept, err);
}

static int check_zombie(const struct rebuilt_task *t, struct error **err)
{
	const Rec__Task *m = t->record;
	int status = (int)m->wait_status;

	if (!t->parent || t->threads.count || t->memory || m->n_slots || m->n_tids || m->memory_of ||
	    m->files_of || m->fs_of || m->signals_of || m->copy_of)
		return bad(err, "a zombie that has what only living processes have");
	if (status & ~0xffff || (!WIFEXITED(status) && !WIFSIGNALED(status)) ||
	    (WIFSIGNALED(status) && WTERMSIG(status) >= NSIG))
		return bad(err, "a zombie that cannot have ended like that");
	return 0;
}

static int link_task(const struct rebuild *r, size_t i, struct error **err)
{
	struct rebuilt_task *t = r->tasks.items[i];
	int res;

	t->parent = i ? earlier(r, i, t->record->ppid) : NULL;
	if (i && !t->parent)
		return bad(err, "a process whose parent does not come before it");
	if (t->record->exit_signal >= NSIG)
		return bad(err, "a process whose end is told by an impossible signal");
	if (t->record->zombie)
		return check_zombie(t, err);
	res = link_owners(r, i, err);
	return res < 0 ? res : check_copy(t, err);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Threads and processes have their numbers from one range. */
static int check_numbers(const struct rebuild *r, struct error **err)
{
	VEC(uint32_t) numbers = {0};
	uint32_t *slot = NULL;
	bool doubled = false;

	vec_each(t, &r->tasks) {
		slot = vec_push(&numbers);
		if (slot)
			*slot = (*t)->record->pid;
		for (size_t i = 1; slot && i < (*t)->threads.count; i++) {
			slot = vec_push(&numbers);
			if (slot)
				*slot = (*t)->threads.items[i].record->tid;
		}
		if (!slot)
			break;
	}
	if (slot)
		qsort(numbers.items, numbers.count, sizeof *numbers.items, by_number);
	for (size_t i = 1; i < numbers.count; i++)
		doubled = doubled || numbers.items[i] == numbers.items[i - 1];
	vec_free(&numbers);
	if (!slot)
		return fail(err, ENOMEM, "out of memory");
	return doubled ? bad(err, "two processes or threads of one number") : 0;
}

int family_link(struct rebuild *r, struct error **err)
{
	for (size_t i = 0; i < r->tasks.count; i++) {
		int res = link_task(r, i, err);

		if (res < 0)
			return res;
	}
	return check_numbers(r, err);
}
