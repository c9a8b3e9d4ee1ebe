/* Objects without ends: counters, files, memory, watches, System V IPC. */
#include "soak.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#define PAGE 4096u

static bool is_ready(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	MUST(poll(&p, 1, 0) >= 0);
	return p.revents & POLLIN;
}

static bool eventfd_make(struct object *o)
{
	o->fd[0] = eventfd(o->option >> 8 & 3, o->option & 1 ? EFD_NONBLOCK : 0);
	return o->fd[0] >= 0;
}

static void eventfd_look(const struct object *o)
{
	MUST_BE(is_ready(o->fd[0]), (o->option >> 8 & 3) > 0);
}

static void eventfd_use(struct object *o)
{
	uint64_t five = 5;

	MUST_BE(write(o->fd[0], &five, sizeof five), sizeof five);
}

static void eventfd_see(struct object *o)
{
	uint64_t count;

	MUST_BE(read(o->fd[0], &count, sizeof count), sizeof count);
	MUST_BE(count, 5 + (o->option >> 8 & 3));
}

static const struct sort sort_eventfd = {"eventfd", eventfd_make, eventfd_look, eventfd_use,
					 eventfd_see, NULL};

static bool timerfd_make(struct object *o)
{
	static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
	struct itimerspec due = {.it_value.tv_sec = 1000 + o->option % 1000};

	due.it_interval.tv_sec = o->option >> 16 & 15;
	o->fd[0] = timerfd_create(clocks[o->option >> 8 & 1 ? 0 : o->seed % 3], TFD_NONBLOCK);
	return o->fd[0] >= 0 && timerfd_settime(o->fd[0], 0, &due, NULL) == 0;
}

static void timerfd_look(const struct object *o)
{
	struct itimerspec due;

	MUST(timerfd_gettime(o->fd[0], &due) == 0);
	MUST_BE(due.it_interval.tv_sec, o->option >> 16 & 15);
	MUST(due.it_value.tv_sec > 500 && due.it_value.tv_sec <= 1000 + o->option % 1000);
	MUST(!is_ready(o->fd[0]));
}

static void timerfd_use(struct object *o)
{
	struct itimerspec due = {.it_value.tv_nsec = 1};

	MUST(timerfd_settime(o->fd[0], 0, &due, NULL) == 0);
}

static void timerfd_see(struct object *o)
{
	struct pollfd p = {o->fd[0], POLLIN, 0};
	uint64_t count;

	MUST_BE(poll(&p, 1, 5000), 1);
	MUST_BE(read(o->fd[0], &count, sizeof count), sizeof count);
	MUST_BE(count, 1);
}

static const struct sort sort_timerfd = {"timerfd", timerfd_make, timerfd_look, timerfd_use,
					 timerfd_see, NULL};

/* Whoever reads from it gets signals of his own. */
static bool signalfd_make(struct object *o)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	o->fd[0] = signalfd(-1, &set, SFD_NONBLOCK);
	return o->fd[0] >= 0;
}

static void signalfd_see(struct object *o)
{
	union sigval value = {.sival_int = (int)(o->option >> 1)};
	struct signalfd_siginfo info;

	MUST(sigqueue(getpid(), SIGRTMIN + 3, value) == 0);
	MUST_BE(read(o->fd[0], &info, sizeof info), sizeof info);
	MUST_BE(info.ssi_int, value.sival_int);
	MUST_BE(info.ssi_pid, getpid());
}

static const struct sort sort_signalfd = {"signalfd", signalfd_make, NULL, NULL, signalfd_see,
					  NULL};

/* A file with a position and, at times, a lock, or without a name. */
#define CONTENT 20000

static bool file_make(struct object *o)
{
	static char data[CONTENT];

	snprintf(o->path, sizeof o->path, "%s/file%d", board->home, o->number);
	o->fd[0] = open(o->path, O_RDWR | O_CREAT | O_EXCL | (o->option & 1 ? O_APPEND : 0), 0600);
	MUST(o->fd[0] >= 0 && fchmod(o->fd[0], 0600) == 0);
	fill(data, sizeof data, o->seed);
	MUST_BE(write(o->fd[0], data, sizeof data), sizeof data);
	MUST_BE(lseek(o->fd[0], o->option >> 8 & 4095, SEEK_SET), o->option >> 8 & 4095);
	if (o->option & 2)
		MUST(flock(o->fd[0], LOCK_EX | LOCK_NB) == 0);
	if (o->option & 4)
		MUST(unlink(o->path) == 0);
	return true;
}

static void file_look(const struct object *o)
{
	char data[CONTENT];
	struct stat st;
	int other;

	MUST(fstat(o->fd[0], &st) == 0);
	MUST_BE(st.st_nlink, !(o->option & 4));
	MUST_BE(lseek(o->fd[0], 0, SEEK_CUR), o->option >> 8 & 4095);
	MUST_BE(!!(fcntl(o->fd[0], F_GETFL) & O_APPEND), o->option & 1);
	MUST_BE(pread(o->fd[0], data, sizeof data, 0), sizeof data);
	MUST(is_filled(data, sizeof data, o->seed));
	if (o->option & 4)
		return;
	other = open(o->path, O_RDONLY | O_CLOEXEC);
	MUST(other >= 0);
	if (o->option & 2)
		MUST(flock(other, LOCK_EX | LOCK_NB) == -1);
	close(other);
}

static void file_use(struct object *o)
{
	MUST_BE(lseek(o->fd[0], 123, SEEK_SET), 123);
}

static void file_see(struct object *o)
{
	MUST_BE(lseek(o->fd[0], 0, SEEK_CUR), 123);
}

static const struct sort sort_file = {"file", file_make, file_look, file_use, file_see, NULL};

/* A lock that belongs to its creator, seen by all others. */
static bool lock_make(struct object *o)
{
	struct flock lock = {.l_type = F_WRLCK, .l_start = o->option & 1023, .l_len = 10};

	if (board->members[o->creator].flags & SHARE_FILES)
		return false;
	snprintf(o->path, sizeof o->path, "%s/lock%d", board->home, o->number);
	o->fd[0] = open(o->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	return o->fd[0] >= 0 && fcntl(o->fd[0], F_SETLK, &lock) == 0;
}

static void lock_look(const struct object *o)
{
	struct flock lock = {.l_type = F_WRLCK};
	pid_t owner = board->members[o->creator].pid;

	for (int i = 0; i < board->member_count; i++)
		if (board->members[i].pid == getpid() && board->members[i].flags & SHARE_FILES)
			return;
	MUST(fcntl(o->fd[0], F_GETLK, &lock) == 0);
	MUST_BE(lock.l_type, owner == getpid() ? F_UNLCK : F_WRLCK);
	if (owner != getpid()) {
		MUST_BE(lock.l_pid, owner);
		MUST_BE(lock.l_start, o->option & 1023);
		MUST_BE(lock.l_len, 10);
	}
}

static const struct sort sort_lock = {"lock", lock_make, lock_look, NULL, NULL, NULL};

/* Memory of all holders, with a descriptor (memfd) or without. */
static bool memory_make(struct object *o)
{
	o->size = (1 + o->option % 40) * PAGE;
	if (o->option >> 8 & 1) {
		o->fd[0] = memfd_create("soak", MFD_ALLOW_SEALING);
		MUST(o->fd[0] >= 0 && ftruncate(o->fd[0], (off_t)o->size) == 0);
		if (o->option >> 9 & 1)
			MUST(fcntl(o->fd[0], F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	}
	o->memory = mmap(NULL, o->size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | (o->fd[0] < 0 ? MAP_ANONYMOUS : 0), o->fd[0], 0);
	MUST(o->memory != MAP_FAILED);
	fill((char *)o->memory + PAGE / 2, o->size - PAGE / 2, o->seed);
	return true;
}

static void memory_look(const struct object *o)
{
	MUST(is_filled((char *)o->memory + PAGE / 2, o->size - PAGE / 2, o->seed));
	if (o->fd[0] >= 0)
		MUST_BE(fcntl(o->fd[0], F_GET_SEALS), o->option >> 9 & 1 ? F_SEAL_SHRINK : 0);
}

static void memory_use(struct object *o)
{
	memcpy(o->memory, TOKEN, sizeof TOKEN);
}

static void memory_see(struct object *o)
{
	char text[sizeof TOKEN];

	MUST(memcmp(o->memory, TOKEN, sizeof TOKEN) == 0);
	if (o->fd[0] >= 0) {
		MUST_BE(pread(o->fd[0], text, sizeof text, 0), sizeof text);
		MUST(memcmp(text, TOKEN, sizeof TOKEN) == 0);
	}
}

static const struct sort sort_memory = {"memory", memory_make, memory_look, memory_use,
					memory_see, NULL};

/* Watches what else its creator holds, and is expected to find the same ready. */
static bool epoll_make(struct object *o)
{
	struct epoll_event event = {.events = EPOLLIN}, found[WATCHES];
	int watched = 0;

	o->fd[0] = epoll_create1(0);
	MUST(o->fd[0] >= 0);
	for (int i = o->number - 1; i >= 0 && watched < WATCHES; i--) {
		const struct object *other = &board->objects[i];

		if (!other->sort || !(other->holders >> o->creator & 1) || other->fd[0] < 0 ||
		    !strcmp(other->sort->name, "signalfd"))
			continue;
		event.data.u64 = (uint64_t)i;
		if (epoll_ctl(o->fd[0], EPOLL_CTL_ADD, other->fd[0], &event) == 0)
			o->watched[watched++] = i;
	}
	o->count = epoll_wait(o->fd[0], found, WATCHES, 0);
	return o->count >= 0;
}

static void epoll_look(const struct object *o)
{
	struct epoll_event found[WATCHES];

	MUST_BE(epoll_wait(o->fd[0], found, WATCHES, 0), o->count);
}

static const struct sort sort_epoll = {"epoll", epoll_make, epoll_look, NULL, NULL, NULL};

static bool inotify_make(struct object *o)
{
	snprintf(o->path, sizeof o->path, "%s/watch%d", board->home, o->number);
	MUST(mkdir(o->path, 0700) == 0 && chmod(o->path, 0700) == 0);
	o->fd[0] = inotify_init1(IN_NONBLOCK);
	return o->fd[0] >= 0 && inotify_add_watch(o->fd[0], o->path, IN_CREATE) >= 0;
}

static void inotify_use(struct object *o)
{
	char path[260];

	MUST(!is_ready(o->fd[0]));
	snprintf(path, sizeof path, "%s/new", o->path);
	MUST(mkdir(path, 0700) == 0);
}

static void inotify_see(struct object *o)
{
	char buffer[512] __attribute__((aligned(8)));
	const struct inotify_event *event = (void *)buffer;

	MUST(read(o->fd[0], buffer, sizeof buffer) > 0);
	MUST(event->mask & IN_CREATE && strcmp(event->name, "new") == 0);
}

static const struct sort sort_inotify = {"inotify", inotify_make, NULL, inotify_use, inotify_see,
					 NULL};

/* Its creator, in the hands of those below. */
static bool pidfd_make(struct object *o)
{
	o->fd[0] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	return o->fd[0] >= 0;
}

static void pidfd_look(const struct object *o)
{
	char path[48], text[400] = "", *found;
	int fd;

	MUST(!is_ready(o->fd[0]));
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", o->fd[0]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
	close(fd);
	found = strstr(text, "\nPid:");
	MUST(found);
	MUST_BE(strtol(found + 5, NULL, 10), board->members[o->creator].pid);
	MUST(syscall(SYS_pidfd_send_signal, o->fd[0], 0, NULL, 0) == 0);
}

static const struct sort sort_pidfd = {"pidfd", pidfd_make, pidfd_look, NULL, NULL, NULL};

static bool shm_make(struct object *o)
{
	o->size = (1 + o->option % 20) * PAGE;
	o->id = shmget(IPC_PRIVATE, o->size, IPC_CREAT | 0600);
	if (o->id < 0)
		return false;
	o->memory = shmat(o->id, NULL, 0);
	MUST(o->memory != (void *)-1);
	if (o->option >> 8 & 1)
		MUST(shmctl(o->id, IPC_RMID, NULL) == 0);
	fill((char *)o->memory + PAGE / 2, o->size - PAGE / 2, o->seed);
	return true;
}

static void shm_remove(struct object *o)
{
	if (!(o->option >> 8 & 1))
		MUST(shmctl(o->id, IPC_RMID, NULL) == 0);
}

static const struct sort sort_shm = {"shm", shm_make, memory_look, memory_use, memory_see,
				     shm_remove};

/* Two semaphores. */
static bool sem_make(struct object *o)
{
	struct sembuf up[] = {{0, (short)(1 + o->option % 50), 0}, {1, 3, 0}};

	o->id = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
	return o->id >= 0 && semop(o->id, up, 2) == 0;
}

static void sem_look(const struct object *o)
{
	MUST_BE(semctl(o->id, 0, GETVAL), 1 + o->option % 50);
	MUST_BE(semctl(o->id, 1, GETVAL), 3);
}

static void sem_use(struct object *o)
{
	struct sembuf down = {0, (short)-(1 + (short)(o->option % 50)), 0};

	MUST(semop(o->id, &down, 1) == 0);
}

static void sem_see(struct object *o)
{
	MUST_BE(semctl(o->id, 0, GETVAL), 0);
}

static void sem_remove(struct object *o)
{
	MUST(semctl(o->id, 0, IPC_RMID) == 0);
}

static const struct sort sort_sem = {"sem", sem_make, sem_look, sem_use, sem_see, sem_remove};

struct letter {
	long type;
	uint64_t number;
};

static bool msg_make(struct object *o)
{
	o->id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	o->count = 1 + (int)(o->option % 9);
	for (int i = 0; o->id >= 0 && i < o->count; i++) {
		struct letter letter = {1 + i % 3, o->seed + (uint64_t)i};

		MUST(msgsnd(o->id, &letter, sizeof letter.number, 0) == 0);
	}
	return o->id >= 0;
}

static void msg_look(const struct object *o)
{
	struct msqid_ds d;

	MUST(msgctl(o->id, IPC_STAT, &d) == 0);
	MUST_BE(d.msg_qnum, o->count);
}

static void msg_use(struct object *o)
{
	struct letter letter = {7, 77};

	MUST(msgsnd(o->id, &letter, sizeof letter.number, 0) == 0);
}

static void msg_see(struct object *o)
{
	struct letter letter;

	MUST_BE(msgrcv(o->id, &letter, 8, 7, IPC_NOWAIT), 8);
	MUST_BE(letter.number, 77);
	for (int i = 0; i < o->count; i++) {
		MUST_BE(msgrcv(o->id, &letter, 8, 0, IPC_NOWAIT), 8);
		MUST_BE(letter.type, 1 + i % 3);
		MUST(letter.number == o->seed + (uint64_t)i);
	}
}

static void msg_remove(struct object *o)
{
	MUST(msgctl(o->id, IPC_RMID, NULL) == 0);
}

static const struct sort sort_msg = {"msg", msg_make, msg_look, msg_use, msg_see, msg_remove};

const struct sort *const things[] = {
	&sort_eventfd, &sort_timerfd, &sort_signalfd, &sort_file,    &sort_lock,
	&sort_memory,  &sort_memory,  &sort_epoll,    &sort_inotify, &sort_pidfd,
	&sort_shm,     &sort_sem,     &sort_msg,
};
const unsigned thing_count = sizeof things / sizeof *things;
