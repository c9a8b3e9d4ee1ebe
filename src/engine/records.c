#include "engine/records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/backing.h"
#include "kind/kind.h"
#include "task/append.h"

static const struct {
	uint32_t tag;
	const char *name;
	const ProtobufCMessageDescriptor *schema;
} own[] = {
	{TAG_INVENTORY, "inventory", &rec__inventory__descriptor},
	{TAG_TASK, "process", &rec__task__descriptor},
	{TAG_THREAD, "thread", &rec__thread__descriptor},
	{TAG_MEMORY, "memory", &rec__memory__descriptor},
	{TAG_PARENT, "parent image", &rec__parent__descriptor},
};

const ProtobufCMessageDescriptor *record_schema(uint32_t tag)
{
	const struct kind *k = kind_by_tag(tag);

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (own[i].tag == tag)
			return own[i].schema;
	return k ? k->schema : NULL;
}

const char *record_name(uint32_t tag)
{
	const struct kind *k = kind_by_tag(tag);

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (own[i].tag == tag)
			return own[i].name;
	return k ? k->name : NULL;
}

static int fill_slots(const struct task *task, Rec__Task *m)
{
	vec_each(s, &task->slots) {
		Rec__Slot *slot = message_append(&m->slots, &m->n_slots, &rec__slot__descriptor);

		if (!slot)
			return -ENOMEM;
		slot->fd = (uint32_t)s->fd;
		slot->file = s->file;
		slot->cloexec = s->cloexec;
	}
	return 0;
}

static uint32_t number_of(const struct task *task)
{
	return task ? (uint32_t)task->ns_pid : 0;
}

static int fill_task(struct capture *c, struct task *task, Rec__Task *m, struct error **err)
{
	cleanup_free char *personality = NULL;

	m->name = strdup(task_leader(task)->status.name);
	m->tids = calloc(task->threads.count, sizeof *m->tids);
	if (!m->name || !m->tids || fill_slots(task, m) < 0)
		return fail(err, ENOMEM, "out of memory");
	vec_each(t, &task->threads)
		m->tids[m->n_tids++] = (uint32_t)(*t)->ns_tid;
	m->stop_signal = (uint32_t)task_leader(task)->group_stop;
	if (task_slurp_record(task, "personality", &personality) > 0)
		m->personality = (uint32_t)strtoul(personality, NULL, 16);
	m->memory_of = number_of(task->memory_of);
	m->files_of = number_of(task->files_of);
	m->fs_of = number_of(task->fs_of);
	m->signals_of = number_of(task->signals_of);
	m->foreground = task->stat.tty_nr != 0 && task->stat.tpgid == task->stat.pgrp;
	return find_executable(c, task, &m->executable, err);
}

/* What also a zombie is. */
static void fill_identity(const struct task *task, Rec__Task *m)
{
	m->pid = (uint32_t)task->ns_pid;
	m->ppid = (uint32_t)task->ns_ppid;
	m->pgid = (uint32_t)task->ns_pgid;
	m->sid = (uint32_t)task->ns_sid;
	m->exit_signal = task->stat.exit_signal > 0 ? (uint32_t)task->stat.exit_signal : 0;
}

static int fill_zombie(const struct task *task, Rec__Task *m, struct error **err)
{
	m->zombie = true;
	m->wait_status = (uint32_t)task->stat.exit_code;
	m->name = strdup(task->stat.comm);
	return m->name ? 0 : fail(err, ENOMEM, "out of memory");
}

int make_task_record(struct capture *c, struct task *task, Rec__Task **ret, struct error **err)
{
	Rec__Task *m = calloc(1, sizeof *m);
	int r;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	rec__task__init(m);
	fill_identity(task, m);
	r = task->zombie ? fill_zombie(task, m, err) : fill_task(c, task, m, err);
	if (r < 0) {
		rec__task__free_unpacked(m, NULL);
		return r;
	}
	*ret = m;
	return 0;
}
