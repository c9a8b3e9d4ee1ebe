/* How System V objects come back: found as they were left, or made anew by a task. */
#include "kind/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/priv.h"
#include "priv/userns.h"

/* Objects stand in a table; this much of a number is the place in it. */
#define INDEX_MASK 0x7fff

#define OWNER_RW 0600u

/* Names in rebuild.shared: a new object of a type. */
static uint32_t new_space(enum sysv_type type)
{
	return kind_sysv.tag << 8 | (uint32_t)type;
}

char *sysv_describe(enum sysv_type type, const Rec__SysvObject *m)
{
	static const char *const names[] = {
		[SYSV_SHM] = "shared memory segment",
		[SYSV_SEM] = "semaphore set",
		[SYSV_MSG] = "message queue",
	};

	return m->key ? str_format("System V %s %d (key 0x%x)", names[type], m->id,
				   (unsigned int)m->key)
		      : str_format("System V %s %d", names[type], m->id);
}

static bool is_same_boot(const struct rebuild *r)
{
	cleanup_free char *id = NULL;

	if (fd_slurp(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &id) < 0)
		return false;
	id[strcspn(id, "\n")] = '\0';
	return strcmp(id, r->inventory->boot_id) == 0;
}

static bool is_left_as_it_was(const struct rebuild *r, const struct sysv_object *o,
			      const Rec__SysvObject *m)
{
	return !m->in_use && o->key == m->key && o->uid == m->uid && o->gid == m->gid &&
	       (o->mode & ~(unsigned int)SHM_LOCKED) == m->mode && o->changed == m->changed &&
	       is_same_boot(r);
}

/* Whoever will make it may choose its number. */
static bool may_choose(const struct rebuild *r)
{
	struct priv priv = {0};

	/* In a user namespace of its own, a process has no rights over what is ours. */
	return !r->private_pids && priv_may(&priv, PRIV_IPC_IDS);
}

enum sysv_place sysv_plan(struct rebuild *r, enum sysv_type type, const Rec__SysvObject *m,
			  bool (*same)(const struct sysv_object *o, const void *arg),
			  const void *arg)
{
	struct sysv_table *table cleanup_sysv_table = NULL;

	if (sysv_look(&table, NULL) < 0)
		return SYSV_TAKEN;
	for (size_t i = 0; i < table->count; i++) {
		const struct sysv_object *o = &table->list[i];

		if (o->type != type)
			continue;
		if (o->id == m->id)
			return is_left_as_it_was(r, o, m) && same(o, arg) ? SYSV_THERE : SYSV_TAKEN;
		if ((o->id & INDEX_MASK) == (m->id & INDEX_MASK) || (m->key && o->key == m->key))
			return SYSV_TAKEN;
	}
	if (!may_choose(r))
		return SYSV_TAKEN;
	return rebuilt_share(r, new_space(type), (uint64_t)m->id) ? SYSV_NEW : SYSV_TAKEN;
}

bool sysv_is_new(const struct rebuild *r, enum sysv_type type, int id)
{
	if (r->private_ipc)
		return true;
	vec_each(it, &r->shared)
		if (it->space == new_space(type) && it->key == (uint64_t)id)
			return true;
	return false;
}

/* Why it is not to be had: one of the sentences of sysv_plan(), found anew. */
int sysv_check(const struct rebuild *r, enum sysv_type type, const Rec__SysvObject *m,
	       struct error **err)
{
	static const char mend[] = "remove it if nobody needs it (ipcrm), or use --pid=private";
	struct sysv_table *table cleanup_sysv_table = NULL;
	cleanup_free char *what = sysv_describe(type, m);
	int res = r->private_ipc || sysv_is_new(r, type, m->id) ? 0 : sysv_look(&table, err);

	if (res < 0 || !table) {
		/* In a user namespace there is nobody but us. */
		if (r->private_ipc && !priv_userns_knows(m->uid, m->gid))
			return refuse(err, EPERM, NULL, "the %s belongs to another user or group",
				      what);
		return res;
	}
	for (size_t i = 0; i < table->count; i++) {
		const struct sysv_object *o = &table->list[i];

		if (o->type != type)
			continue;
		if (o->id == m->id && is_left_as_it_was(r, o, m) && (type != SYSV_SHM || !o->count))
			return 0;
		if (o->id == m->id || (o->id & INDEX_MASK) == (m->id & INDEX_MASK) ||
		    (m->key && o->key == m->key))
			return refuse(err, EEXIST, mend,
				      "the place of the %s is taken: by number %d (key 0x%x), which is "
				      "another one, has been changed, or is in use",
				      what, o->id, (unsigned int)o->key);
	}
	return refuse(err, EPERM, "give the tool CAP_CHECKPOINT_RESTORE, or use --pid=private",
		      "the %s is gone, and the kernel does not let you choose the number of a new one",
		      what);
}

void sysv_add_number(enum sysv_type type, int id, struct batch *b)
{
	static const char *const files[] = {
		[SYSV_SHM] = "/proc/sys/kernel/shm_next_id",
		[SYSV_SEM] = "/proc/sys/kernel/sem_next_id",
		[SYSV_MSG] = "/proc/sys/kernel/msg_next_id",
	};
	char text[16];
	int length = snprintf(text, sizeof text, "%d", id);
	uint32_t fd, entry;

	fd = batch_call(b, 0, SYS_openat, (uint64_t)AT_FDCWD, batch_put_string(b, files[type]),
			O_WRONLY | O_CLOEXEC);
	entry = batch_call(b, 0, SYS_write, 0, batch_put(b, text, (size_t)length), (uint64_t)length);
	batch_refer(b, entry, 0, fd);
	entry = batch_call(b, 0, SYS_close, 0);
	batch_refer(b, entry, 0, fd);
}

void sysv_remove(const struct rebuild *r, enum sysv_type type, int id)
{
	/* A private namespace goes with its last process. */
	if (r->private_ipc || !sysv_is_new(r, type, id))
		return;
	if (type == SYSV_SHM)
		shmctl(id, IPC_RMID, NULL);
	else if (type == SYSV_SEM)
		semctl(id, 0, IPC_RMID);
	else
		msgctl(id, IPC_RMID, NULL);
}

/* It is made such that its maker can fill it. */
static uint64_t making_flags(const Rec__SysvObject *m)
{
	return IPC_CREAT | IPC_EXCL | m->mode | OWNER_RW;
}

/* Set when all else is done. */
static struct ipc_perm permissions(const Rec__SysvObject *m)
{
	return (struct ipc_perm){.uid = m->uid, .gid = m->gid, .mode = (unsigned short)m->mode};
}

static void make_set(const struct rebuild *r, const Rec__SysvSemaphores *m, struct batch *b)
{
	static const struct sembuf nothing = {.sem_flg = IPC_NOWAIT};
	uint64_t id = (uint64_t)m->object->id;
	uint64_t values = batch_space(b, m->n_values * sizeof(unsigned short));
	unsigned short *at = batch_at(b, values);

	for (size_t i = 0; !b->overflow && i < m->n_values; i++)
		at[i] = (unsigned short)m->values[i];
	if (sysv_is_new(r, SYSV_SEM, m->object->id)) {
		sysv_add_number(SYSV_SEM, m->object->id, b);
		batch_call(b, 0, SYS_semget, (uint64_t)m->object->key, m->n_values,
			   making_flags(m->object));
		/* A wait for zero, which it still is: programs tell by sem_otime who was first. */
		if (m->operated)
			batch_call(b, 0, SYS_semop, id, batch_put(b, &nothing, sizeof nothing), 1);
	}
	batch_call(b, 0, SYS_semctl, id, 0, SETALL, values);
	if (sysv_is_new(r, SYSV_SEM, m->object->id)) {
		struct semid_ds d = {.sem_perm = permissions(m->object)};

		batch_call(b, 0, SYS_semctl, id, 0, IPC_SET, batch_put(b, &d, sizeof d));
	}
}

static void send_message(uint64_t id, const Rec__SysvMessage *m, struct batch *b)
{
	uint64_t at = batch_space(b, sizeof(long) + m->text.len);
	char *bytes = batch_at(b, at);

	if (b->overflow)
		return;
	memcpy(bytes, &m->type, sizeof(long));
	if (m->text.len)
		memcpy(bytes + sizeof(long), m->text.data, m->text.len);
	batch_call(b, 0, SYS_msgsnd, id, at, m->text.len, IPC_NOWAIT);
}

/*
 * Its last user is the program again: by that the next checkpoint finds it.  A message is sent and taken
 * back, of a type that no other has.
 */
static void touch_queue(const Rec__SysvQueue *m, struct batch *b)
{
	uint64_t type = LONG_MAX, at;
	bool used;

	do {
		used = false;
		for (size_t i = 0; i < m->n_messages; i++)
			used = used || m->messages[i]->type == type;
		type -= used;
	} while (used);
	at = batch_put(b, &type, sizeof type);
	/* There may be no room: then messages tell whose it is. */
	batch_call(b, BATCH_MAY_FAIL, SYS_msgsnd, (uint64_t)m->object->id, at, 0, IPC_NOWAIT);
	batch_call(b, BATCH_MAY_FAIL, SYS_msgrcv, (uint64_t)m->object->id, at, 0, type, IPC_NOWAIT);
}

static void make_queue(const struct rebuild *r, const Rec__SysvQueue *m, struct batch *b)
{
	uint64_t id = (uint64_t)m->object->id;
	struct msqid_ds d = {.msg_perm = permissions(m->object), .msg_qbytes = m->limit};

	/* One that was left as it was has the messages that it had. */
	if (sysv_is_new(r, SYSV_MSG, m->object->id)) {
		sysv_add_number(SYSV_MSG, m->object->id, b);
		batch_call(b, 0, SYS_msgget, (uint64_t)m->object->key, making_flags(m->object));
		for (size_t i = 0; i < m->n_messages; i++)
			send_message(id, m->messages[i], b);
	}
	touch_queue(m, b);
	if (sysv_is_new(r, SYSV_MSG, m->object->id))
		batch_call(b, 0, SYS_msgctl, id, IPC_SET, batch_put(b, &d, sizeof d));
}

int sysv_rebuild(const struct rebuild *r, const struct rebuilt_thread *t, const ProtobufCMessage *base,
		 struct batch *b, struct error **err)
{
	const Rec__Sysv *m = (const Rec__Sysv *)base;
	int res = 0;

	for (size_t i = 0; m && i < m->n_semaphores; i++)
		make_set(r, m->semaphores[i], b);
	for (size_t i = 0; m && i < m->n_queues; i++)
		make_queue(r, m->queues[i], b);
	for (size_t i = 0; m && i < m->n_segments && res == 0; i++)
		res = sysv_shm_make(r, t->task, rebuilt_file(r, m->segments[i]), b, err);
	return res;
}
