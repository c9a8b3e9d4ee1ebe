/*
 * Images whose checksums are right and whose content is not: a real image, of which
 * records are changed, lost, doubled and put in another order.  Each of them is
 * refused with a sentence, or accepted; nothing crashes and nothing leaks.
 *
 *	unit-test_mutations [read COUNT [SEED]]        reads some thousands of them
 *	unit-test_mutations restore STASIS [COUNT] [UID] [SEED]
 *		lets STASIS restore COUNT of them that were accepted, as the user UID
 */
#include "image_try.h"
#include "mutate.h"

#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <grp.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#include "base/str.h"
#include "engine/load.h"
#include "engine/records.h"
#include "engine/space.h"
#include "engine/standard.h"
#include "kind/kind.h"
#include "stasis.h"

#define SEED UINT64_C(20240229)
#define VARIANTS 2500
#define SECONDS_MAX 10 /* with sanitizers on a busy machine it may be fewer of them */
#define ITEMS_MAX 256

/* ---- The program in the image: sleep(1) with one of each --------------------------- */

static void open_objects(void)
{
	char path[] = "/tmp/mutations-XXXXXX";
	struct itimerval in_an_hour = {.it_value = {3600, 0}};
	struct itimerspec soon = {{7, 0}, {1000, 0}};
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 42};
	int ends[2], pair[2], fd, epoll;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	setitimer(ITIMER_VIRTUAL, &in_an_hour, NULL);
	if (pipe(ends) < 0 || write(ends[1], "waiting", 7) != 7)
		_exit(1);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || write(pair[0], "too", 3) != 3)
		_exit(1);
	epoll = epoll_create1(0);
	epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event);
	epoll_ctl(epoll, EPOLL_CTL_ADD, pair[1], &event);
	fcntl(pair[1], F_SETOWN, getpid());
	eventfd(3, 0);
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	timerfd_settime(fd, 0, &soon, NULL);
	signalfd(-1, &set, 0);
	fd = inotify_init1(0);
	inotify_add_watch(fd, "/", IN_CREATE);
	fd = memfd_create("object", MFD_ALLOW_SEALING);
	if (write(fd, "memory", 6) != 6 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
		_exit(1);
	fd = mkstemp(path);
	unlink(path);
	if (write(fd, "content", 7) != 7 || flock(fd, LOCK_EX) < 0)
		_exit(1);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, 5) < 0)
		_exit(1);
	fd = posix_openpt(O_RDWR | O_NOCTTY);
	if (unlockpt(fd) < 0 || open(ptsname(fd), O_RDWR | O_NOCTTY) < 0 || write(fd, "a\nb", 3) != 3)
		_exit(1);
	open("/usr", O_RDONLY | O_DIRECTORY);
	open("/etc/passwd", O_RDONLY);
	open("/proc/self/status", O_RDONLY);
	open("/etc", O_PATH);
}

/* It is sleep(1) when it is returned. */
static pid_t start_target(void)
{
	int told[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		dup3(told[1], 3, O_CLOEXEC);
		close_range(4, ~0U, 0);
		open_objects();
		execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 0);
	close(told[0]);
	return pid;
}

/* ---- Images in pieces ----------------------------------------------------------------- */

struct item {
	uint32_t tag; /* IMAGE_TYPE_MEMORY: pages */
	ProtobufCMessage *message;
	struct page_run *runs;
	size_t run_count;
	void *data;
};

struct pieces {
	struct item items[ITEMS_MAX];
	size_t count;
};

static void item_free(struct item *it)
{
	message_free(it->message);
	free(it->runs);
	free(it->data);
}

static void pieces_free(struct pieces *p)
{
	for (size_t i = 0; i < p->count; i++)
		item_free(&p->items[i]);
	p->count = 0;
}

static void *copy_of(const void *bytes, size_t len)
{
	void *copy = malloc(len + 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return copy;
}

static size_t run_bytes(const struct item *it)
{
	size_t len = 0;

	for (size_t i = 0; i < it->run_count; i++)
		len += it->runs[i].length;
	return len;
}

static struct item item_copy(const struct item *it)
{
	struct item copy = {.tag = it->tag, .run_count = it->run_count};

	if (it->message) {
		copy.message = message_copy(it->message);
	} else {
		copy.runs = copy_of(it->runs, it->run_count * sizeof *it->runs);
		copy.data = copy_of(it->data, run_bytes(it));
	}
	return copy;
}

static void pieces_read(struct pieces *p, const char *image)
{
	cleanup_image_reader struct image_reader *r = NULL;
	struct image_frame frame;
	int n;

	assert_int_equal(image_reader_open(&r, image, NULL), 0);
	while ((n = image_reader_next(r, &frame, NULL)) > 0) {
		struct item *it = &p->items[p->count++];

		assert_true(p->count < ITEMS_MAX);
		*it = (struct item){.tag = frame.type};
		if (frame.type == IMAGE_TYPE_MEMORY) {
			it->run_count = frame.run_count;
			it->runs = copy_of(frame.runs, frame.run_count * sizeof *frame.runs);
			it->data = frame_data(r, &frame);
		} else {
			assert_int_equal(image_unpack(&frame, record_schema(frame.type),
						      &it->message, NULL), 0);
		}
	}
	assert_int_equal(n, 0);
}

/* Checkpointed through the library, like any program; it has ended then. */
static void pieces_make(struct pieces *p)
{
	cleanup_free char *path = str_format("/tmp/mutations-%d.stasis", getpid());
	struct stasis_checkpoint_options o = {.size = sizeof o, .then = STASIS_KILL};
	stasis_error *err = NULL;
	pid_t pid = start_target();
	int r = stasis_checkpoint(pid, path, &o, NULL, &err);

	if (r < 0) {
		kill(pid, SIGKILL);
		fail_msg("checkpoint: %s", stasis_error_why(err, 0));
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	pieces_read(p, path);
	unlink(path);
}

/* False: the writer itself does not write such a thing (a run that is not whole pages). */
static bool pieces_write(const struct pieces *p, int fd)
{
	cleanup_image_writer struct image_writer *w = NULL;
	int r = image_writer_open_fd(&w, fd, "x.stasis", NULL, NULL);

	for (size_t i = 0; i < p->count && r == 0; i++) {
		const struct item *it = &p->items[i];

		if (it->message)
			r = image_writer_record(w, it->tag, it->message, NULL);
		else
			r = image_writer_pages(w, it->runs, it->run_count, it->data, NULL);
	}
	return r == 0 && image_writer_commit(w, NULL) == 0;
}

/* ---- Changes ---------------------------------------------------------------------------- */

static void drop_item(struct pieces *p, size_t i)
{
	item_free(&p->items[i]);
	memmove(&p->items[i], &p->items[i + 1], (--p->count - i) * sizeof p->items[0]);
}

static void insert_item(struct pieces *p, size_t i, struct item it)
{
	memmove(&p->items[i + 1], &p->items[i], (p->count++ - i) * sizeof p->items[0]);
	p->items[i] = it;
}

static void mutate_order(struct dice *d, struct pieces *p, size_t i)
{
	size_t j = dice_below(d, p->count);
	struct item it = p->items[i];

	switch (dice_below(d, 5)) {
	case 0:
		drop_item(p, i);
		break;
	case 1:
		if (p->count < ITEMS_MAX)
			insert_item(p, j, item_copy(&it));
		break;
	case 2:
		p->items[i] = p->items[j];
		p->items[j] = it;
		break;
	case 3:
		if (it.message)
			p->items[i].tag = p->items[j].message ? p->items[j].tag : 1;
		break;
	default:
		if (!it.message)
			break;
		p->items[i].message = message_empty(it.message->descriptor);
		message_free(it.message);
	}
}

static void mutate_runs(struct dice *d, struct item *it)
{
	struct page_run *run = &it->runs[dice_below(d, it->run_count)];

	if (dice_below(d, 2))
		mutate_at(d, &run->object, sizeof run->object);
	else
		run->offset = mutate_number(d, run->offset / PAGE) * PAGE;
}

static void mutate_pieces(struct dice *d, struct pieces *p)
{
	size_t times = 1 + dice_below(d, 3);

	for (size_t k = 0; k < times && p->count > 1; k++) {
		size_t i = dice_below(d, p->count);
		struct item *it = &p->items[i];

		if (dice_below(d, 8) == 0)
			mutate_order(d, p, i);
		else if (it->message)
			mutate_message(d, it->message);
		else
			mutate_runs(d, it);
	}
}

/* One of the image's records with one change or some; false: it cannot be written. */
static bool write_variant(const struct pieces *whole, uint64_t seed, int fd)
{
	/* Seeds that are near one another are not alike: dice_any() mixes them first. */
	struct dice d = {seed};
	struct pieces p = {0};
	bool written;

	for (size_t i = 0; i < whole->count; i++)
		p.items[p.count++] = item_copy(&whole->items[i]);
	mutate_pieces(&d, &p);
	written = pieces_write(&p, fd);
	pieces_free(&p);
	return written && lseek(fd, 0, SEEK_SET) == 0;
}

/* ---- Reading them ------------------------------------------------------------------------ */

static const struct restore_options options = {.standard = {-1, -1, -1}};

/* As a restore does before it makes anything. */
static int check_hooks(struct rebuild *r, struct error **err)
{
	int res = replace_standard(r, err);

	if (res < 0)
		return res;
	check_space(r, err);
	vec_each(f, &r->files)
		if (f->kind->file->check && !f->replaced)
			f->kind->file->check(r, f->message, err);
	vec_each(s, &r->states)
		if (s->kind->state->check)
			s->kind->state->check(r, s->message, err);
	return err && *err ? -error_errno(*err) : 0;
}

static int read_variant(int fd, struct error **err)
{
	cleanup_rebuild struct rebuild r = {.options = &options, REBUILD_INIT};
	cleanup_image_reader struct image_reader *reader = NULL;
	struct image_frame frame;
	bool more = false;
	int res = image_reader_open_fd(&reader, fd, "x.stasis", err);

	if (res == 0)
		res = load_image(reader, &r, &frame, &more, err);
	return res < 0 ? res : check_hooks(&r, err);
}

static void assert_sentences(const struct error *err, uint64_t seed)
{
	if (error_count(err) == 0)
		fail_msg("variant %llu is refused without a word", (unsigned long long)seed);
	for (size_t i = 0; i < error_count(err); i++)
		if (!error_why(err, i)[0])
			fail_msg("variant %llu: an empty sentence", (unsigned long long)seed);
}

static size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static bool try_variant(const struct pieces *whole, uint64_t seed)
{
	cleanup_close int fd = memfd_create("variant", MFD_CLOEXEC);
	cleanup_error struct error *err = NULL;
	size_t descriptors = count_descriptors();
	int res = -1;

	if (!write_variant(whole, seed, fd))
		return false;
	res = read_variant(fd, &err);
	if (res < 0)
		assert_sentences(err, seed);
	else
		assert_null(err);
	if (count_descriptors() != descriptors)
		fail_msg("variant %llu leaks a descriptor", (unsigned long long)seed);
	return res == 0;
}

struct reading {
	struct pieces whole;
	uint64_t seed;
	unsigned int count;
	time_t seconds;
};

static void test_unchanged(void **state)
{
	const struct pieces *whole = &((struct reading *)*state)->whole;
	cleanup_close int fd = memfd_create("image", MFD_CLOEXEC);
	cleanup_error struct error *err = NULL;

	assert_true(pieces_write(whole, fd));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	if (read_variant(fd, &err) < 0)
		fail_msg("the image itself is refused: %s", error_why(err, 0));
}

static void test_variants(void **state)
{
	const struct reading *all = *state;
	time_t end = time(NULL) + all->seconds;
	unsigned int tried = 0, accepted = 0;
	size_t used = 0;

	for (; tried < all->count && time(NULL) < end; tried++) {
		if (tried == all->count / 10)
			used = mallinfo2().uordblks;
		accepted += try_variant(&all->whole, all->seed + tried);
	}
	/* malloc(3) keeps some for later, and calls it used.  (A sanitizer counts every byte.) */
	if (used)
		assert_true(mallinfo2().uordblks < used + (256 << 10));
	print_message("%u variants, %u of them accepted\n", tried, accepted);
	/* Else they are all refused for one reason that has nothing to do with them. */
	assert_true(accepted > tried / 50);
}

/* ---- Restoring them ---------------------------------------------------------------------- */

enum result { RUNS, REFUSED, FAILED, WRONG };

struct restorer {
	const char *stasis;
	char *image;
	uid_t uid;
};

static bool belongs_to(const char *pid, uid_t uid)
{
	cleanup_free char *path = str_format("/proc/%s", pid);
	struct stat st;

	return pid[0] >= '1' && pid[0] <= '9' && (pid_t)atoi(pid) != getpid() &&
	       stat(path, &st) == 0 && st.st_uid == uid;
}

/* The user has no other processes: whatever there is was left behind. */
static unsigned int count_processes(uid_t uid, bool end_them)
{
	DIR *dir = opendir("/proc");
	unsigned int n = 0;
	struct dirent *e;

	/* Orphans come to us (PR_SET_CHILD_SUBREAPER). */
	while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
		;
	while (dir && (e = readdir(dir))) {
		if (!belongs_to(e->d_name, uid))
			continue;
		n++;
		if (end_them)
			kill(atoi(e->d_name), SIGKILL);
	}
	closedir(dir);
	return n;
}

static bool all_gone(uid_t uid)
{
	for (int i = 0; i < 200; i++) {
		if (count_processes(uid, false) == 0)
			return true;
		usleep(10000);
	}
	return false;
}

static pid_t start_restore(const struct restorer *t, uint64_t seed, int output)
{
	static const char *const pids[] = {"--pid=auto", "--pid=new", "--pid=private"};
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(output, 1);
		dup2(output, 2);
		close_range(3, ~0U, 0);
		execl(t->stasis, "stasis", "restore", "--detach", pids[seed % 3], t->image, NULL);
		_exit(127);
	}
	return pid;
}

/* Ten seconds, or -1. */
static int wait_for(pid_t pid)
{
	int status;

	for (int i = 0; i < 2000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(5000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -1;
}

static enum result judge(int status, const char *said, uint64_t seed)
{
	int code = WEXITSTATUS(status);

	if (status == -1)
		printf("variant %llu: takes more than ten seconds\n", (unsigned long long)seed);
	else if (!WIFEXITED(status))
		printf("variant %llu: ended by signal %d\n", (unsigned long long)seed,
		       WTERMSIG(status));
	else if (code == 0 && atoi(said) > 0)
		return RUNS;
	else if ((code == 1 || code == 3) && str_starts(said, "stasis: restore: "))
		return code == 1 ? FAILED : REFUSED;
	else
		printf("variant %llu: exit code %d, and it says: %s\n", (unsigned long long)seed,
		       code, said);
	return WRONG;
}

static enum result restore_variant(const struct restorer *t, uint64_t seed)
{
	cleanup_close int output = memfd_create("output", MFD_CLOEXEC);
	int status = wait_for(start_restore(t, seed, output));
	char said[4096] = "";
	enum result result;

	if (fd_pread(output, said, sizeof said - 1, 0) < 0)
		return WRONG;
	result = judge(status, said, seed);
	/* What runs is ours to end; with its namespace, if it has one. */
	if (result == RUNS)
		kill(atoi(said), SIGKILL);
	if (!all_gone(t->uid)) {
		printf("variant %llu: leaves %u processes behind (%s)\n", (unsigned long long)seed,
		       count_processes(t->uid, true), said);
		all_gone(t->uid);
		result = WRONG;
	}
	return result;
}

/* False: it cannot be written, or is not accepted. */
static bool write_accepted(const struct restorer *t, const struct pieces *whole, uint64_t seed)
{
	cleanup_close int fd = open(t->image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return write_variant(whole, seed, fd) && read_variant(fd, NULL) == 0;
}

static void become(uid_t uid)
{
	if (geteuid() == 0) {
		assert_int_equal(setgroups(0, NULL), 0);
		assert_int_equal(setresgid(uid, uid, uid), 0);
		assert_int_equal(setresuid(uid, uid, uid), 0);
	}
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int restore_variants(const char *stasis, unsigned int count, uid_t uid, uint64_t seed)
{
	struct restorer t = {.stasis = stasis, .uid = uid};
	unsigned int results[WRONG + 1] = {0};
	struct pieces whole = {0};

	become(uid);
	if (count_processes(uid, false)) {
		fprintf(stderr, "user %u has other processes\n", uid);
		return 2;
	}
	t.image = str_format("/tmp/mutations-%d.variant", getpid());
	pieces_make(&whole);
	for (unsigned int done = 0; done < count; seed++) {
		if (!write_accepted(&t, &whole, seed))
			continue;
		results[restore_variant(&t, seed)]++;
		fflush(stdout);
		done++;
	}
	printf("%u accepted variants: %u ran, %u failed, %u were refused, %u went wrong\n", count,
	       results[RUNS], results[FAILED], results[REFUSED], results[WRONG]);
	unlink(t.image);
	free(t.image);
	pieces_free(&whole);
	return results[WRONG] ? 1 : 0;
}

/* ---- The command line ------------------------------------------------------------------- */

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise)
{
	return i < argc ? strtoull(argv[i], NULL, 10) : otherwise;
}

static int make_image(void **state)
{
	pieces_make(&((struct reading *)*state)->whole);
	return 0;
}

static int free_image(void **state)
{
	pieces_free(&((struct reading *)*state)->whole);
	return 0;
}

int main(int argc, char **argv)
{
	static struct reading reading = {.seed = SEED, .count = VARIANTS, .seconds = SECONDS_MAX};
	const struct CMUnitTest tests[] = {
		{"unchanged", test_unchanged, make_image, free_image, &reading},
		{"variants", test_variants, make_image, free_image, &reading},
	};

	if (argc > 2 && !strcmp(argv[1], "restore"))
		return restore_variants(argv[2], (unsigned int)number(argc, argv, 3, 300),
					(uid_t)number(argc, argv, 4, getuid()),
					number(argc, argv, 5, SEED));
	if (argc > 2 && !strcmp(argv[1], "read")) {
		reading.count = (unsigned int)number(argc, argv, 2, VARIANTS);
		reading.seed = number(argc, argv, 3, SEED);
		reading.seconds = 3600;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
