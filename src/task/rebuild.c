#include "task/rebuild.h"

#include <stdlib.h>

#include "base/fd.h"

struct rebuilt_file *rebuilt_file(const struct rebuild *r, uint32_t id)
{
	/* Sorted by id when the image was read. */
	size_t lo = 0, hi = r->files.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->files.items[mid].id == id)
			return &r->files.items[mid];
		if (r->files.items[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

struct rebuilt_file *rebuilt_slot(const struct rebuild *r, const struct rebuilt_task *t,
				  uint32_t fd)
{
	for (size_t i = 0; i < t->record->n_slots; i++)
		if (t->record->slots[i]->fd == fd)
			return rebuilt_file(r, t->record->slots[i]->file);
	return NULL;
}

struct rebuilt_task *rebuilt_task(const struct rebuild *r, uint32_t pid)
{
	vec_each(t, &r->tasks)
		if ((*t)->record->pid == pid)
			return *t;
	return NULL;
}

struct rebuilt_thread *rebuilt_thread(const struct rebuild *r, uint32_t tid)
{
	vec_each(t, &r->tasks)
		vec_each(th, &(*t)->threads)
			if (th->record && th->record->tid == tid)
				return th;
	return NULL;
}

pid_t rebuilt_number(const struct rebuild *r, pid_t old)
{
	const struct rebuilt_thread *th = rebuilt_thread(r, (uint32_t)old);
	const struct rebuilt_task *t = th ? NULL : rebuilt_task(r, (uint32_t)old);

	/* Of a zombie only the process is left. */
	if (t)
		return t->ns_pid ? t->ns_pid : old;
	return th && th->ns_tid ? th->ns_tid : old;
}

struct rebuilt_shared *rebuilt_share(struct rebuild *r, uint32_t space, uint64_t key)
{
	struct rebuilt_shared *s;

	vec_each(it, &r->shared)
		if (it->space == space && it->key == key)
			return it;
	s = vec_push(&r->shared);
	if (s)
		*s = (struct rebuilt_shared){space, key, {-1, -1}, false};
	return s;
}

void rebuilt_task_free(struct rebuilt_task *t)
{
	close_fdp(&t->proc);
	close_fdp(&t->mem);
	vec_each(th, &t->threads)
		if (th->record)
			rec__thread__free_unpacked(th->record, NULL);
	vec_free(&t->threads);
	vec_free(&t->late);
	if (t->memory)
		rec__memory__free_unpacked(t->memory, NULL);
	if (t->record)
		rec__task__free_unpacked(t->record, NULL);
	if (!t->memory_of)
		free(t->injection);
	free(t);
}

void rebuild_free(struct rebuild *r)
{
	vec_each(f, &r->files) {
		close_fdp(&f->fd);
		if (f->message)
			protobuf_c_message_free_unpacked(f->message, NULL);
	}
	vec_free(&r->files);
	vec_each(it, &r->states)
		protobuf_c_message_free_unpacked(it->message, NULL);
	vec_free(&r->states);
	vec_each(s, &r->shared) {
		close_fdp(&s->fds[0]);
		close_fdp(&s->fds[1]);
	}
	vec_free(&r->shared);
	vec_each(t, &r->tasks)
		rebuilt_task_free(*t);
	vec_free(&r->tasks);
	vec_each(t, &r->stand_ins)
		rebuilt_task_free(*t);
	vec_free(&r->stand_ins);
	if (r->inventory)
		rec__inventory__free_unpacked(r->inventory, NULL);
	if (r->parent)
		rec__parent__free_unpacked(r->parent, NULL);
	close_fdp(&r->root);
	close_fdp(&r->late_socket[0]);
	close_fdp(&r->late_socket[1]);
}
