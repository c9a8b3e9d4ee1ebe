/*
 * System V semaphores and message queues, as state of the first process of the tree whose they
 * are; and shared memory that no process has attached, of which only the number stands here.
 *
 * Their values and messages are read without taking anything: GETALL, and msgrcv(2) with
 * MSG_COPY.  What SEM_UNDO has in store is sysv-undo.c's.
 */
#include "kind/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/userns.h"
#include "proc/stat.h"
#include "task/append.h"

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

/* All of it is made by one batch: so many calls for an object, and for a segment; and data. */
#define OBJECT_CALLS  10u
#define SEGMENT_CALLS (SYSV_SHM_CALLS)
#define MESSAGES_MAX  1000u
#define BYTES_MAX     (200u * 1024u)
#define VALUES_MAX    32000u /* SEMMSL */

/* The fourth argument of semctl(2). */
union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

/* What is read of one object, perhaps by a child in its namespace. */
struct reading {
	int id;
	size_t count;        /* of values or messages */
	size_t used;         /* of bytes */
	struct {
		long type;
		size_t size;
	} messages[MESSAGES_MAX];
	unsigned short values[VALUES_MAX];
	char bytes[BYTES_MAX + 65536];
};

Rec__SysvObject *sysv_record(const struct capture *c, const struct sysv_object *o)
{
	Rec__SysvObject *m = malloc(sizeof *m);

	if (!m)
		return NULL;
	rec__sysv_object__init(m);
	m->id = o->id;
	m->key = o->key;
	m->uid = o->uid;
	m->gid = o->gid;
	m->mode = o->mode & 0777;
	m->changed = o->changed;
	/* In a private namespace it is nobody else's, and ends with the program. */
	m->in_use = c->leave_running || capture_ipc(c) >= 0;
	return m;
}

bool sysv_object_valid(const Rec__SysvObject *m)
{
	return m && m->id >= 0 && !(m->mode & ~0777u);
}

/* ---- Validation ------------------------------------------------------------- */

static bool values_valid(const Rec__SysvSemaphores *m)
{
	for (size_t i = 0; i < m->n_values; i++)
		if (m->values[i] > SHRT_MAX) /* SEMVMX */
			return false;
	return m->n_values > 0;
}

static bool messages_valid(const Rec__SysvQueue *m)
{
	for (size_t i = 0; i < m->n_messages; i++)
		if (m->messages[i]->type < 1 || m->messages[i]->type > LONG_MAX)
			return false;
	return m->limit <= LONG_MAX;
}

/* It can be made by one batch. */
static bool is_moderate(const Rec__Sysv *m)
{
	size_t calls = m->n_segments * SEGMENT_CALLS, values = 0, bytes = 0;

	if (m->n_segments > BATCH_ENTRIES || m->n_semaphores > BATCH_ENTRIES ||
	    m->n_queues > BATCH_ENTRIES)
		return false;
	for (size_t i = 0; i < m->n_semaphores; i++) {
		calls += OBJECT_CALLS;
		values += m->semaphores[i]->n_values;
	}
	for (size_t i = 0; i < m->n_queues; i++) {
		calls += OBJECT_CALLS + m->queues[i]->n_messages;
		for (size_t k = 0; k < m->queues[i]->n_messages; k++)
			bytes += m->queues[i]->messages[k]->text.len + 32;
	}
	return calls <= BATCH_ENTRIES && values <= VALUES_MAX && bytes <= BYTES_MAX;
}

static int sysv_validate(const ProtobufCMessage *base, struct error **err)
{
	const Rec__Sysv *m = (const Rec__Sysv *)base;

	for (size_t i = 0; i < m->n_semaphores; i++)
		if (!sysv_object_valid(m->semaphores[i]->object) || !values_valid(m->semaphores[i]))
			return fail(err, EINVAL, "an impossible semaphore set");
	for (size_t i = 0; i < m->n_queues; i++)
		if (!sysv_object_valid(m->queues[i]->object) || !messages_valid(m->queues[i]))
			return fail(err, EINVAL, "an impossible message queue");
	return is_moderate(m) ? 0 : fail(err, EINVAL, "more System V objects than can be made");
}

/* ---- Capture ---------------------------------------------------------------- */

static int read_values(void *arg)
{
	struct reading *in = arg;

	return semctl(in->id, 0, GETALL, (union semun){.array = in->values}) < 0 ? -errno : 0;
}

static int read_messages(void *arg)
{
	struct reading *in = arg;

	for (;;) {
		/* The type, then the text. */
		long *at = (long *)(void *)&in->bytes[in->used];
		ssize_t n;

		if (in->count == MESSAGES_MAX || in->used > BYTES_MAX)
			return -E2BIG;
		n = msgrcv(in->id, at, sizeof in->bytes - in->used - sizeof *at,
			   (long)in->count, MSG_COPY | IPC_NOWAIT);
		if (n < 0)
			return errno == ENOMSG ? 0 : -errno;
		in->messages[in->count].type = *at;
		in->messages[in->count++].size = (size_t)n;
		in->used += (sizeof *at + (size_t)n + 15) & ~(size_t)15;
	}
}

static int add_set(const struct capture *c, const struct sysv_object *o, struct reading *in,
		   Rec__Sysv *m, struct error **err)
{
	Rec__SysvSemaphores *set;
	int r;

	if (o->size > VALUES_MAX)
		return fail(err, E2BIG, "it has too many semaphores");
	r = priv_within(capture_ipc(c), read_values, in);
	if (r < 0)
		return fail_errno(err, -r, "its values cannot be read");
	set = message_append(&m->semaphores, &m->n_semaphores, &rec__sysv_semaphores__descriptor);
	if (!set)
		return fail(err, ENOMEM, "out of memory");
	set->object = sysv_record(c, o);
	set->operated = o->used[0] != 0;
	set->values = calloc(o->size + 1, sizeof *set->values);
	if (!set->object || !set->values)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < o->size; i++)
		set->values[set->n_values++] = in->values[i];
	return 0;
}

static int add_queue(const struct capture *c, const struct sysv_object *o, struct reading *in,
		     Rec__Sysv *m, struct error **err)
{
	Rec__SysvQueue *queue;
	const char *at = in->bytes;
	int r = priv_within(capture_ipc(c), read_messages, in);

	if (r == -ENOSYS)
		return refuse(err, ENOTSUP, "use a kernel with CONFIG_CHECKPOINT_RESTORE",
			      "this kernel shows no message without taking it");
	if (r == -E2BIG)
		return refuse(err, ENOTSUP, "let the program read some of them",
			      "it holds more messages than can be saved");
	if (r < 0)
		return fail_errno(err, -r, "its messages cannot be read");
	queue = message_append(&m->queues, &m->n_queues, &rec__sysv_queue__descriptor);
	if (!queue)
		return fail(err, ENOMEM, "out of memory");
	queue->object = sysv_record(c, o);
	queue->limit = o->size;
	queue->sent = o->used[0];
	queue->received = o->used[1];
	if (!queue->object)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < in->count; i++) {
		Rec__SysvMessage *message = message_append(&queue->messages, &queue->n_messages,
							   &rec__sysv_message__descriptor);
		size_t size = in->messages[i].size;

		if (!message || bytes_set(&message->text, at + sizeof(long), size) < 0)
			return fail(err, ENOMEM, "out of memory");
		message->type = (uint64_t)in->messages[i].type;
		at += (sizeof(long) + size + 15) & ~(size_t)15;
	}
	return 0;
}

static bool is_attached(const struct capture *c, int id)
{
	vec_each(task, &c->tree.tasks)
		vec_each(a, &(*task)->areas.list)
			if (a->path && str_starts(a->path, "/SYSV") && a->inode == (uint64_t)id)
				return true;
	return false;
}

/* Its content and all else of it is another kind's: a file that nothing shows. */
static int add_segment(struct capture *c, struct task *task, const struct sysv_object *o,
		       Rec__Sysv *m, struct error **err)
{
	struct file *f = calloc(1, sizeof *f), **slot = f ? vec_push(&c->files.files) : NULL;
	uint32_t *ids = realloc(m->segments, (m->n_segments + 1) * sizeof *ids);

	m->segments = ids ? ids : m->segments;
	if (!slot || !ids) {
		free(f);
		return fail(err, ENOMEM, "out of memory");
	}
	*f = (struct file){.id = ++c->files.last_id, .task = task, .fd = -1, .own = -1};
	*slot = f;
	f->flags = 02; /* O_RDWR */
	f->deleted = true;
	f->st.st_mode = S_IFREG | 0600;
	f->st.st_ino = (ino_t)o->id;
	f->link = str_format("/SYSV%08x", (unsigned int)o->key);
	ids[m->n_segments++] = f->id;
	return f->link ? 0 : fail(err, ENOMEM, "out of memory");
}

/* When a process began, in seconds since the epoch; UINT64_MAX: it is gone. */
static uint64_t beginning_of(pid_t pid)
{
	cleanup_free char *path = str_format("/proc/%d/stat", pid), *text = NULL;
	ssize_t n = path ? fd_slurp(AT_FDCWD, path, &text) : -ENOMEM;
	struct proc_stat st;

	if (n < 0 || stat_parse(text, (size_t)n, &st) < 0 || st.state == 'Z')
		return UINT64_MAX;
	return sysv_time(st.starttime);
}

/* Another program uses it, too.  Who began after the last use only has the number of one that is gone. */
static int check_outsider(const struct sysv_object *o, struct error **err)
{
	if (!o->outsider || beginning_of(o->outsider) > sysv_last_use(o))
		return 0;
	return refuse(err, EBUSY, "checkpoint all of its users together, or end that process",
		      "process %d, which is not part of the program, uses it as well", o->outsider);
}

static int add_object(struct capture *c, struct task *task, const struct sysv_object *o,
		      Rec__Sysv *m, struct error **err)
{
	static const char *const names[] = {
		[SYSV_SEM] = "semaphore set",
		[SYSV_MSG] = "message queue",
	};
	struct error *found = NULL;
	struct reading *in;
	int r;

	if (o->type == SYSV_SHM)
		return is_attached(c, o->id) ? 0 : add_segment(c, task, o, m, err);
	in = priv_shared(sizeof *in);
	if (!in)
		return fail(err, ENOMEM, "out of memory");
	in->id = o->id;
	r = check_outsider(o, &found);
	if (r == 0)
		r = o->type == SYSV_SEM ? add_set(c, o, in, m, &found)
					: add_queue(c, o, in, m, &found);
	priv_unshare(in, sizeof *in);
	error_wrap(&found, 0, "System V %s %d (key 0x%x)", names[o->type], o->id,
		   (unsigned int)o->key);
	error_merge(err, &found);
	return r;
}

static int sysv_capture(struct capture *c, const struct thread *t, const struct batch *b,
			const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	const struct sysv_table *table = sysv_look_at(c, err);
	Rec__Sysv *m = table ? kind_message(&kind_sysv) : NULL;
	int first = 0;

	(void)b;
	(void)asked;
	if (!table)
		return -EPERM;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	for (size_t i = 0; i < table->used; i++) {
		const struct sysv_object *o = &table->list[i];
		int r;

		if (c->tree.tasks.items[o->user - 1] != t->task)
			continue;
		r = add_object(c, t->task, o, m, err);
		if (r < 0 && first == 0)
			first = r;
	}
	if (first == 0 && !is_moderate(m))
		first = refuse(err, E2BIG, "let the program take messages, or remove objects (ipcs, ipcrm)",
			       "it has more System V semaphores and messages than can be saved");
	if (first == 0 && m->n_semaphores + m->n_queues + m->n_segments) {
		*ret = &m->base;
		return 0;
	}
	message_free(&m->base);
	return first;
}

/* ---- Before the restore ----------------------------------------------------- */

static bool same_set(const struct sysv_object *o, const void *arg)
{
	return o->size == ((const Rec__SysvSemaphores *)arg)->n_values;
}

/* Its messages are those of the image as long as nobody has sent or received since. */
static bool same_queue(const struct sysv_object *o, const void *arg)
{
	const Rec__SysvQueue *m = arg;

	return o->size == m->limit && o->count == m->n_messages && o->used[0] == m->sent &&
	       o->used[1] == m->received;
}

static bool sysv_taken(struct rebuild *r, const ProtobufCMessage *base)
{
	const Rec__Sysv *m = (const Rec__Sysv *)base;
	bool taken = false;

	for (size_t i = 0; i < m->n_semaphores; i++)
		if (sysv_plan(r, SYSV_SEM, m->semaphores[i]->object, same_set, m->semaphores[i]) ==
		    SYSV_TAKEN)
			taken = true;
	for (size_t i = 0; i < m->n_queues; i++)
		if (sysv_plan(r, SYSV_MSG, m->queues[i]->object, same_queue, m->queues[i]) ==
		    SYSV_TAKEN)
			taken = true;
	return taken;
}

static int sysv_check_all(const struct rebuild *r, const ProtobufCMessage *base,
			  struct error **err)
{
	const Rec__Sysv *m = (const Rec__Sysv *)base;
	int first = 0, n;

	for (size_t i = 0; i < m->n_semaphores; i++) {
		n = sysv_check(r, SYSV_SEM, m->semaphores[i]->object, err);
		first = first ? first : n;
	}
	for (size_t i = 0; i < m->n_queues; i++) {
		n = sysv_check(r, SYSV_MSG, m->queues[i]->object, err);
		first = first ? first : n;
	}
	for (size_t i = 0; i < m->n_segments; i++) {
		const struct rebuilt_file *f = rebuilt_file(r, m->segments[i]);

		if (!f || f->kind != &kind_sysv_shm)
			return refuse(err, EINVAL, NULL, "the image lacks a System V segment");
	}
	return first;
}

static void sysv_undo_all(const struct rebuild *r, const ProtobufCMessage *base)
{
	const Rec__Sysv *m = (const Rec__Sysv *)base;

	for (size_t i = 0; i < m->n_semaphores; i++)
		sysv_remove(r, SYSV_SEM, m->semaphores[i]->object->id);
	for (size_t i = 0; i < m->n_queues; i++)
		sysv_remove(r, SYSV_MSG, m->queues[i]->object->id);
}

const struct kind kind_sysv = {
	.name = "System V IPC",
	.tag = 90,
	.schema = &rec__sysv__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_EARLY,
		.capture = sysv_capture,
		.validate = sysv_validate,
		.taken = sysv_taken,
		.check = sysv_check_all,
		.rebuild = sysv_rebuild,
		.undo = sysv_undo_all,
	},
};
