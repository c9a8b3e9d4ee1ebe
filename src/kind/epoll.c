/*
 * epoll(7).
 *
 * What it watches is a pair: an open file description, and the number that it
 * had when it was added, which may mean another by now, and in each process that
 * shares the epoll something else.  kcmp(2) tells the description.  One process that has all of
 * them adds them again itself, when its descriptors have their numbers: so a signalfd
 * among them watches the right process.  A number that shows something else is lent for
 * the moment of the adding.
 *
 * Whatever is ready is reported anew, also to EPOLLET watches, whose users must
 * expect that.  An EPOLLONESHOT watch that has fired stays silent, but for errors and
 * hangups that come later: EPOLL_CTL_ADD always includes these.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "task/description.h"

/* What one batch adds: a watch whose number is lent takes six calls. */
#define ITEMS_PER_BATCH ((BATCH_ENTRIES - 64) / 6)
/* What an image may ask for. */
#define ITEMS_MAX (1u << 22)

/* Bits of an item beside the events that it waits for. */
#define FLAGS ((uint32_t)(EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE))
#define FIRED_MAX 256

/* Linux 6.9 */
struct busy_poll {
	uint32_t usecs;
	uint16_t budget;
	uint8_t prefer, pad;
};
#define EPOLL_SET_BUSY_POLL _IOW(0x8A, 1, struct busy_poll)
#define EPOLL_GET_BUSY_POLL _IOR(0x8A, 2, struct busy_poll)

extern const struct kind kind_epoll;

static bool epoll_claims(const struct file *f)
{
	return f->link && !strcmp(f->link, "anon_inode:[eventpoll]");
}

static const struct slot *slot_of(const struct task *task, int fd)
{
	size_t lo = 0, hi = task->slots.count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct slot *s = &task->slots.items[mid];

		if (s->fd == fd)
			return s;
		if (s->fd < fd)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool has_file(const struct task *task, uint32_t id)
{
	vec_each(s, &task->slots)
		if (s->file == id)
			return true;
	return false;
}

/* A watch, and how many before it were added with the same number. */
struct ranked {
	const struct fd_epoll_watch *watch;
	uint32_t rank;
};

static int compare_numbers(const void *x, const void *y)
{
	const struct fd_epoll_watch *a = ((const struct ranked *)x)->watch;
	const struct fd_epoll_watch *b = ((const struct ranked *)y)->watch;

	if (a->fd != b->fd)
		return a->fd < b->fd ? -1 : 1;
	return a < b ? -1 : a > b;
}

static int compare_places(const void *x, const void *y)
{
	const struct ranked *a = x, *b = y;

	return a->watch < b->watch ? -1 : a->watch > b->watch;
}

/* The kernel's lists are in one order.  The caller frees; NULL: no memory. */
static struct ranked *rank(const struct file *f)
{
	size_t count = f->info.epoll.count;
	struct ranked *ranks = calloc(count + 1, sizeof *ranks);

	if (!ranks)
		return NULL;
	for (size_t i = 0; i < count; i++)
		ranks[i].watch = &f->info.epoll.items[i];
	qsort(ranks, count, sizeof *ranks, compare_numbers);
	for (size_t i = 1; i < count; i++)
		if (ranks[i].watch->fd == ranks[i - 1].watch->fd)
			ranks[i].rank = ranks[i - 1].rank + 1;
	qsort(ranks, count, sizeof *ranks, compare_places);
	return ranks;
}

/*
 * As kcmp(2) orders them: 0 the same, 1 and 2 before and behind; -1: it cannot tell.  By our own
 * descriptor: of what is under way in a socket no process may have another one.
 */
static long compare(const struct file *candidate, const struct file *f, struct kcmp_epoll_slot *slot)
{
	return syscall(SYS_kcmp, getpid(), f->task->pid, KCMP_EPOLL_TFD, candidate->own, slot);
}

/* The description that it watches; NULL: no process of the tree has it. */
static const struct file *watched(struct capture *c, const struct file *f,
				  const struct ranked *ranked)
{
	const struct fd_epoll_watch *w = ranked->watch;
	struct kcmp_epoll_slot slot = {(uint32_t)f->fd, (uint32_t)w->fd, ranked->rank};
	const struct slot *now = slot_of(f->task, w->fd);
	const struct file *likely = now ? file_by_id(&c->files, now->file) : NULL;
	struct file *const *all;
	size_t lo = 0, hi = 0;

	if (likely && compare(likely, f, &slot) == 0)
		return likely;
	all = capture_descriptions(c, &hi);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		switch (compare(all[mid], f, &slot)) {
		case 0:
			return all[mid];
		case 1:
			lo = mid + 1;
			break;
		case 2:
			hi = mid;
			break;
		default:
			return NULL;
		}
	}
	return NULL;
}

static int add_items(struct capture *c, const struct file *f, const struct ranked *ranks,
		     Rec__Epoll *m, struct error **err)
{
	int r = 0;

	for (size_t i = 0; i < f->info.epoll.count; i++) {
		const struct fd_epoll_watch *w = ranks[i].watch;
		const struct file *file = watched(c, f, &ranks[i]);
		Rec__EpollItem *item;

		if (!file) {
			r = refuse(err, ENOTSUP,
				   "checkpoint the process that has it as well, if there is one",
				   "descriptor %d is an epoll that watches a file by the number %d, "
				   "which no process that is checkpointed has open any more", f->fd, w->fd);
			continue;
		}
		item = malloc(sizeof *item);
		if (!item)
			return fail(err, ENOMEM, "out of memory");
		rec__epoll_item__init(item);
		item->fd = (uint32_t)w->fd;
		item->events = w->events;
		item->data = w->data;
		item->file = file->id;
		m->items[m->n_items++] = item;
	}
	return r;
}

static int capture_items(struct capture *c, const struct file *f, Rec__Epoll *m,
			 struct error **err)
{
	struct ranked *ranks = rank(f);
	int r;

	m->items = calloc(f->info.epoll.count + 1, sizeof *m->items);
	r = m->items && ranks ? add_items(c, f, ranks, m, err)
			      : fail(err, ENOMEM, "out of memory");
	free(ranks);
	return r;
}

/* It has all of what m watches; *ret_exact: each by the number that it was added with. */
static bool has_all(const struct task *task, const Rec__Epoll *m, bool *ret_exact)
{
	*ret_exact = true;
	for (size_t i = 0; i < m->n_items; i++) {
		const struct slot *s = slot_of(task, (int)m->items[i]->fd);

		if (s && s->file == m->items[i]->file)
			continue;
		*ret_exact = false;
		if (!has_file(task, m->items[i]->file))
			return false;
	}
	return true;
}

/* Parents come first: they are more likely to have added what their children inherited. */
static int choose_member(const struct capture *c, const struct file *f, Rec__Epoll *m,
			 struct error **err)
{
	vec_each(t, &c->tree.tasks) {
		bool exact;

		if (!has_file(*t, f->id) || !has_all(*t, m, &exact))
			continue;
		if (exact || !m->member)
			m->member = (uint32_t)(*t)->ns_pid;
		if (exact)
			break;
	}
	if (!m->member && m->n_items)
		return refuse(err, ENOTSUP, NULL,
			      "descriptor %d is an epoll that watches files of several processes, "
			      "and none has all of them and the epoll", f->fd);
	return 0;
}

static void capture_busy_poll(const struct file *f, Rec__Epoll *m)
{
	struct busy_poll p = {0};

	if (ioctl(f->own, EPOLL_GET_BUSY_POLL, &p) < 0)
		return;
	m->busy_poll_usecs = p.usecs;
	m->busy_poll_budget = p.budget;
	m->prefer_busy_poll = p.prefer;
}

static int epoll_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			 struct error **err)
{
	Rec__Epoll *m = kind_message(&kind_epoll);
	int r;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	r = capture_items(c, f, m, err);
	if (r == 0)
		r = choose_member(c, f, m, err);
	if (r < 0) {
		message_free(&m->base);
		return r;
	}
	capture_busy_poll(f, m);
	*ret = &m->base;
	return 0;
}

static int epoll_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Epoll *m = (const Rec__Epoll *)message;

	if (m->n_items > ITEMS_MAX || m->member > INT32_MAX || m->busy_poll_usecs > INT32_MAX ||
	    m->busy_poll_budget > UINT16_MAX)
		return fail(err, EINVAL, "an epoll with %zu watches", m->n_items);
	for (size_t i = 0; i < m->n_items; i++)
		if (m->items[i]->fd > INT32_MAX)
			return fail(err, EINVAL, "an epoll with an impossible number");
	return 0;
}

static int epoll_check(const struct rebuild *r, const ProtobufCMessage *message, struct error **err)
{
	const Rec__Epoll *m = (const Rec__Epoll *)message;

	if (m->member && !rebuilt_task(r, m->member))
		return refuse(err, EINVAL, NULL, "an epoll of a process that the image does not have");
	for (size_t i = 0; i < m->n_items; i++)
		if (m->items[i]->file && !rebuilt_file(r, m->items[i]->file))
			return refuse(err, EINVAL, NULL,
				      "an epoll that watches what the image does not have");
	return 0;
}

static int epoll_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Epoll *m = (const Rec__Epoll *)f->message;
	const struct busy_poll p = {m->busy_poll_usecs, (uint16_t)m->busy_poll_budget,
				    m->prefer_busy_poll, 0};

	(void)r;
	f->fd = epoll_create1(EPOLL_CLOEXEC);
	if (f->fd < 0)
		return fail_errno(err, errno, "cannot make an epoll");
	if ((p.usecs || p.budget || p.prefer) && ioctl(f->fd, EPOLL_SET_BUSY_POLL, &p) < 0)
		return fail_errno(err, errno, "cannot set how an epoll polls its network devices");
	return description_set_status(f->fd, m->file->flags, O_ASYNC | O_NONBLOCK, err);
}

static uint32_t epoll_settler(const ProtobufCMessage *message)
{
	return ((const Rec__Epoll *)message)->member;
}

/* A number of the task that shows the description; -1: none. */
static int number_of(const struct rebuilt_task *t, uint32_t file)
{
	for (size_t i = 0; i < t->record->n_slots; i++)
		if (t->record->slots[i]->file == file)
			return (int)t->record->slots[i]->fd;
	return -1;
}

static void add_item(int epoll, const Rec__EpollItem *item, uint64_t event, struct batch *b)
{
	/* A standard descriptor may be another thing now that cannot be watched: a file. */
	uint32_t flags = item->fd <= 2 ? BATCH_MAY_FAIL : 0;

	batch_call(b, flags, SYS_epoll_ctl, (uint64_t)epoll, EPOLL_CTL_ADD, item->fd, event);
}

/* The number is given to what is watched for a moment, and back to what it shows. */
static void add_item_lent(int epoll, const Rec__EpollItem *item, uint64_t event, int source,
			  const Rec__Slot *owner, struct batch *b)
{
	uint32_t spare = 0, entry;

	if (owner)
		spare = batch_call(b, 0, SYS_fcntl, item->fd, F_DUPFD_CLOEXEC, 0);
	batch_call(b, 0, SYS_dup3, (uint64_t)source, item->fd, O_CLOEXEC);
	add_item(epoll, item, event, b);
	if (!owner) {
		batch_call(b, 0, SYS_close, item->fd);
		return;
	}
	entry = batch_call(b, 0, SYS_dup3, 0, item->fd, owner->cloexec ? O_CLOEXEC : 0);
	batch_refer(b, entry, 0, spare);
	entry = batch_call(b, 0, SYS_close, 0);
	batch_refer(b, entry, 0, spare);
}

static const Rec__Slot *rebuilt_number_slot(const struct rebuilt_task *t, uint32_t fd)
{
	size_t lo = 0, hi = t->record->n_slots;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const Rec__Slot *s = t->record->slots[mid];

		if (s->fd == fd)
			return s;
		if (s->fd < fd)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int settle_item(const struct rebuilt_task *t, const Rec__EpollItem *item, int epoll,
		       uint64_t event, struct batch *b, struct error **err)
{
	const Rec__Slot *slot = rebuilt_number_slot(t, item->fd);
	int source;

	if (slot && (!item->file || slot->file == item->file)) {
		add_item(epoll, item, event, b);
		return 0;
	}
	source = item->file ? number_of(t, item->file) : -1;
	if (source < 0)
		return fail(err, EINVAL, "an epoll that watches %u, which is not open", item->fd);
	add_item_lent(epoll, item, event, source, slot, b);
	return 0;
}

/*
 * EPOLLONESHOT and it has fired.  Should what it fired for be an error or a hangup, it is
 * ready once more now; being taken, it is silent again.
 */
static bool has_fired(const Rec__EpollItem *item)
{
	return (item->events & EPOLLONESHOT) && !(item->events & ~FLAGS);
}

/* Those that have fired come first, so that taking their events takes nobody else's. */
static int epoll_settle(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *message,
			int fd, struct batch *b, struct error **err)
{
	const Rec__Epoll *m = (const Rec__Epoll *)message;
	const size_t n = m->n_items;
	unsigned int added = 0;

	(void)r;
	for (; t->settled < 2 * n && added < ITEMS_PER_BATCH; t->settled++) {
		const Rec__EpollItem *item = m->items[t->settled % n];
		struct epoll_event event = {.events = item->events, .data.u64 = item->data};
		int res;

		if (t->settled == n)
			batch_call(b, 0, SYS_epoll_wait, (uint64_t)fd,
				   batch_space(b, FIRED_MAX * sizeof event), FIRED_MAX, 0);
		if (has_fired(item) != (t->settled < n))
			continue;
		res = settle_item(t, item, fd, batch_put(b, &event, sizeof event), b, err);
		if (res < 0)
			return res;
		added++;
	}
	return t->settled < 2 * n;
}

const struct kind kind_epoll = {
	.name = "epoll",
	.tag = 137,
	.schema = &rec__epoll__descriptor,
	.file = &(const struct file_ops){
		.claims = epoll_claims,
		.capture = epoll_capture,
		.validate = epoll_validate,
		.check = epoll_check,
		.open = epoll_open,
		.settle = epoll_settle,
		.settles_last = true,
		.settler = epoll_settler,
	},
};
