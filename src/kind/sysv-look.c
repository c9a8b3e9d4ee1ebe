/* Finding System V objects: those of an IPC namespace, and whose they are. */
#include "kind/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/priv.h"
#include "priv/userns.h"
#include "proc/scan.h"

/* Older headers lack those that ask for no permission (Linux 4.17). */
#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif
#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY 20
#endif
#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#endif

/* IPCMNI: a namespace has no more objects of one type. */
#define OBJECTS_MAX (3u * 32768u)

/* The fourth argument of semctl(2). */
union semun {
	int val;
	struct semid_ds *buf;
	struct seminfo *info;
	unsigned short *array;
};

uint64_t sysv_last_use(const struct sysv_object *o)
{
	uint64_t used = o->used[0] > o->used[1] ? o->used[0] : o->used[1];

	/* SETVAL, for one, does not count as an operation. */
	return used > o->changed ? used : o->changed;
}

/* The kernel's clock of seconds lags behind by a tick, and by more in a virtual machine. */
#define CLOCK_LAG INT64_C(100000000)

uint64_t sysv_time(uint64_t ticks)
{
	const int64_t second = 1000000000, hertz = sysconf(_SC_CLK_TCK);
	struct timespec now, running;
	int64_t boot, began;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &running);
	boot = (now.tv_sec - running.tv_sec) * second + now.tv_nsec - running.tv_nsec;
	began = boot + (int64_t)ticks * (second / hertz) - CLOCK_LAG;
	return began > 0 ? (uint64_t)(began / second) : 0;
}

/*
 * The kernel keeps numbers, which others get in turn.  A process that began after the last use of
 * what is another user's only has the number of who used it.  With what is its own user's
 * we do not rely on the clock, which may have been set: too much is saved rather than too little.
 */
static bool may_have_used(const struct sysv_process *p, const struct sysv_object *o)
{
	return p->uid == o->uid || p->began <= sysv_last_use(o);
}

static int compare_pids(const void *x, const void *y)
{
	const struct sysv_process *a = x, *b = y;

	return a->pid < b->pid ? -1 : a->pid > b->pid;
}

static uint32_t user_of(const struct sysv_table *t, const struct sysv_object *o, pid_t pid)
{
	const struct sysv_process key = {.pid = pid};
	const struct sysv_process *p = bsearch(&key, t->processes, t->process_count, sizeof key,
					       compare_pids);

	return p && may_have_used(p, o) ? p->user : 0;
}

static void note_user(struct sysv_object *o, uint32_t user)
{
	if (user && (!o->user || user < o->user))
		o->user = user;
}

/* Whoever was the last to use it, or a part of it. */
static void note_use(const struct sysv_table *t, struct sysv_object *o, pid_t pid)
{
	uint32_t user = user_of(t, o, pid);

	if (user)
		note_user(o, user);
	else if (pid > 0)
		o->outsider = pid;
}

static struct sysv_object *add(struct sysv_table *t, enum sysv_type type, int id,
			       const struct ipc_perm *perm, uint64_t changed)
{
	struct sysv_object *o;

	if (t->count == OBJECTS_MAX)
		return NULL;
	o = &t->list[t->count++];
	*o = (struct sysv_object){
		.type = type,
		.id = id,
		.key = perm->__key,
		.uid = perm->uid,
		.gid = perm->gid,
		.mode = perm->mode,
		.changed = changed,
	};
	return o;
}

static void add_segment(struct sysv_table *t, int id, const struct shmid_ds *d)
{
	struct sysv_object *o = add(t, SYSV_SHM, id, &d->shm_perm, (uint64_t)d->shm_ctime);

	if (!o)
		return;
	o->size = d->shm_segsz;
	o->count = d->shm_nattch;
	o->used[0] = (uint64_t)d->shm_atime;
	o->used[1] = (uint64_t)d->shm_dtime;
	note_user(o, user_of(t, o, d->shm_cpid));
	note_user(o, user_of(t, o, d->shm_lpid));
}

/* Each semaphore has its own last user, whom the kernel tells to those that may read the set. */
static void add_set(struct sysv_table *t, int id, const struct semid_ds *d)
{
	struct sysv_object *o = add(t, SYSV_SEM, id, &d->sem_perm, (uint64_t)d->sem_ctime);
	bool is_private = !(d->sem_perm.mode & 0044) && !priv_owns(d->sem_perm.uid) &&
			  !priv_owns(d->sem_perm.cuid);

	if (!o)
		return;
	o->size = d->sem_nsems;
	o->used[0] = (uint64_t)d->sem_otime;
	if (is_private && t->refused)
		return;
	for (size_t n = 0; t->process_count && n < d->sem_nsems; n++) {
		pid_t pid = semctl(id, (int)n, GETPID);

		/* A right over one that is closed to others is a right over all of them. */
		t->refused = t->refused || (pid < 0 && errno == EACCES && is_private);
		if (pid < 0)
			return;
		note_use(t, o, pid);
	}
}

static void add_queue(struct sysv_table *t, int id, const struct msqid_ds *d)
{
	struct sysv_object *o = add(t, SYSV_MSG, id, &d->msg_perm, (uint64_t)d->msg_ctime);

	if (!o)
		return;
	o->size = d->msg_qbytes;
	o->count = d->msg_qnum;
	o->used[0] = (uint64_t)d->msg_stime;
	o->used[1] = (uint64_t)d->msg_rtime;
	note_use(t, o, d->msg_lspid);
	note_use(t, o, d->msg_lrpid);
}

/* Each returns the id of what it added; -1: there is none, or not this one (want < 0: any). */
static int look_at_segment(struct sysv_table *t, int index, int want)
{
	struct shmid_ds d;
	int id = shmctl(index, SHM_STAT_ANY, &d);

	if (id < 0 || (want >= 0 && id != want))
		return -1;
	add_segment(t, id, &d);
	return id;
}

static int look_at_set(struct sysv_table *t, int index, int want)
{
	struct semid_ds d;
	int id = semctl(index, 0, SEM_STAT_ANY, (union semun){.buf = &d});

	if (id < 0 || (want >= 0 && id != want))
		return -1;
	add_set(t, id, &d);
	return id;
}

static int look_at_queue(struct sysv_table *t, int index, int want)
{
	struct msqid_ds d;
	int id = msgctl(index, MSG_STAT_ANY, &d);

	if (id < 0 || (want >= 0 && id != want))
		return -1;
	add_queue(t, id, &d);
	return id;
}

/* The objects of one type in this namespace. */
struct shelf {
	const char *list; /* of the kernel's, readable for all */
	int (*look_at)(struct sysv_table *t, int index, int want);
	int used, last; /* how many there are, and the highest index */
};

/* An id is the index and, above it, how often that was given away; ipcmni_extend moves the limit. */
static void look_up(struct sysv_table *t, const struct shelf *shelf, int id)
{
	if (shelf->look_at(t, id & 0x7fff, id) < 0)
		shelf->look_at(t, id & 0xffffff, id);
}

/* Each line but the first begins with the key and the id. */
static void look_at_line(struct sysv_table *t, const struct shelf *shelf, struct scan line)
{
	int id;

	scan_signed(&line);
	id = scan_int(&line);
	if (!line.bad && id >= 0)
		look_up(t, shelf, id);
}

static void look_at_listed(struct sysv_table *t, const struct shelf *shelf, int list)
{
	char text[4096];
	size_t kept = 0;
	ssize_t n;

	while ((n = read(list, text + kept, sizeof text - kept)) > 0) {
		struct scan rest = scan_of(text, kept + (size_t)n), line;

		while (memchr(rest.at, '\n', scan_left(&rest)) && scan_line(&rest, &line))
			look_at_line(t, shelf, line);
		kept = scan_left(&rest);
		memmove(text, rest.at, kept);
	}
}

/*
 * Indices are given out in turn: where there once were many objects those that are left
 * stand far apart, and a list of them is shorter than the way past all.
 */
static void look_at_shelf(struct sysv_table *t, const struct shelf *shelf)
{
	bool sparse = shelf->last / 4 > shelf->used + 64;
	cleanup_close int list = sparse && shelf->used ? open(shelf->list, O_RDONLY | O_CLOEXEC) : -1;

	if (list >= 0) {
		look_at_listed(t, shelf, list);
		return;
	}
	for (int i = 0, seen = 0; i <= shelf->last && seen < shelf->used; i++)
		seen += shelf->look_at(t, i, -1) >= 0;
}

static void look_at_segments(struct sysv_table *t)
{
	struct shm_info info = {0};
	int last = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);

	look_at_shelf(t, &(struct shelf){"/proc/sysvipc/shm", look_at_segment, info.used_ids, last});
}

static void look_at_sets(struct sysv_table *t)
{
	struct seminfo info = {0};
	int last = semctl(0, 0, SEM_INFO, (union semun){.info = &info});

	look_at_shelf(t, &(struct shelf){"/proc/sysvipc/sem", look_at_set, info.semusz, last});
}

static void look_at_queues(struct sysv_table *t)
{
	struct msginfo info = {0};
	int last = msgctl(0, MSG_INFO, (struct msqid_ds *)&info);

	look_at_shelf(t, &(struct shelf){"/proc/sysvipc/msg", look_at_queue, info.msgpool, last});
}

static int look(void *arg)
{
	struct sysv_table *t = arg;

	look_at_segments(t);
	look_at_sets(t);
	look_at_queues(t);
	return 0;
}

static struct sysv_table *new_table(size_t processes)
{
	size_t bytes = sizeof(struct sysv_table) + OBJECTS_MAX * sizeof(struct sysv_object) +
		       processes * sizeof(struct sysv_process);
	struct sysv_table *t = priv_shared(bytes);

	if (t) {
		t->bytes = bytes;
		t->process_count = processes;
		t->processes = (struct sysv_process *)&t->list[OBJECTS_MAX];
	}
	return t;
}

void sysv_table_free(struct sysv_table **t)
{
	if (*t)
		priv_unshare(*t, (*t)->bytes);
	*t = NULL;
}

int sysv_look(struct sysv_table **ret, struct error **err)
{
	*ret = new_table(0);
	return *ret ? look(*ret) : fail(err, ENOMEM, "out of memory");
}

/* The thread's system call waits on a set or queue, or works on it. */
static bool stands_in_call(const struct thread *t, enum sysv_type *ret)
{
	switch (arch_syscall_nr(&t->regs)) {
	case SYS_semop:
	case SYS_semtimedop:
		*ret = SYSV_SEM;
		return true;
	case SYS_msgsnd:
	case SYS_msgrcv:
		*ret = SYSV_MSG;
		return true;
	default:
		return false;
	}
}

static void note_waiting(const struct capture *c, struct sysv_table *table)
{
	for (size_t i = 0; i < c->tree.tasks.count; i++)
		vec_each(t, &c->tree.tasks.items[i]->threads) {
			const struct sysv_object *o = NULL;
			enum sysv_type type;

			if (stands_in_call(*t, &type))
				o = sysv_find(table, type, (int)arch_syscall_arg(&(*t)->regs, 0));
			if (o)
				note_user(&table->list[o - table->list], (uint32_t)i + 1);
		}
}

/* Those of the tree's come first, in their order. */
static void partition(struct sysv_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct sysv_object o = t->list[i];

		if (!o.user)
			continue;
		memmove(&t->list[t->used + 1], &t->list[t->used], (i - t->used) * sizeof o);
		t->list[t->used++] = o;
	}
}

int sysv_scan(const struct capture *c, struct sysv_table **ret, struct error **err)
{
	struct sysv_table *t = new_table(c->tree.tasks.count);
	int within = capture_ipc(c), r;

	*ret = t;
	if (!t)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < t->process_count; i++) {
		const struct task *task = c->tree.tasks.items[i];
		struct stat st = {0};

		fstat(task->proc, &st);
		t->processes[i] = (struct sysv_process){task->pid, st.st_uid,
							sysv_time(task->stat.starttime),
							(uint32_t)i + 1};
	}
	qsort(t->processes, t->process_count, sizeof *t->processes, compare_pids);
	r = priv_within(within, look, t);
	if (r < 0)
		return refuse(err, -r, "run the tool in that namespace",
			      "it lives in another IPC namespace, which cannot be entered: %s",
			      strerror(-r));
	for (size_t i = 0; within >= 0 && i < t->count; i++) {
		t->list[i].user = 1;
		t->list[i].outsider = 0;
	}
	note_waiting(c, t);
	partition(t);
	return 0;
}

/* Once for a tree: it stands still. */
const struct sysv_table *sysv_look_at(struct capture *c, struct error **err)
{
	struct sysv_table *t = NULL;

	if (c->ipc)
		return c->ipc;
	if (sysv_scan(c, &t, err) < 0) {
		sysv_table_free(&t);
		return NULL;
	}
	c->ipc = t;
	c->ipc_size = t->bytes;
	return t;
}

const struct sysv_object *sysv_find(const struct sysv_table *t, enum sysv_type type, int id)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i].type == type && t->list[i].id == id)
			return &t->list[i];
	return NULL;
}
