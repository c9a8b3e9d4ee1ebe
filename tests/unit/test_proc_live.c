/*
 * The parsers of /proc against this kernel: states that the test sets up for
 * itself, and every process of this machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "proc_try.h"
#include "task/areas.h"

static const struct vm_area *own_area(struct vm_areas *areas, const void *at)
{
	cleanup_free char *text = NULL;
	ssize_t len = fd_slurp(AT_FDCWD, "/proc/self/smaps", &text);

	assert_true(len > 0);
	assert_int_equal(maps_parse(text, (size_t)len, areas), 0);
	return maps_find(areas, (uintptr_t)at);
}

static void test_own_file_mapping(void **state)
{
	char path[] = "/tmp/stasis (deleted)\nXXXXXX";
	cleanup_close int fd = mkstemp(path);
	cleanup_maps struct vm_areas areas = {0}, later = {0};
	const struct vm_area *area;
	struct stat st;
	char *at;

	(void)state;
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	assert_int_equal(ftruncate(fd, 8192), 0);
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 4096);
	assert_true(at != MAP_FAILED);
	*at = 1;
	madvise(at, 4096, MADV_DONTFORK);
	area = own_area(&areas, at);
	assert_non_null(area);
	assert_string_equal(area->path, path);
	assert_true(!area->deleted && !area->shared && area->offset == 4096);
	assert_true(area->inode == st.st_ino && area->anonymous == 4096);
	assert_true(area->flags & VM_FLAG(DONTCOPY));
	unlink(path);
	area = own_area(&later, at);
	assert_true(area && area->deleted && strcmp(area->path, path) == 0);
	munmap(at, 4096);
}

static void test_own_nasty_name(void **state)
{
	static const char name[] = ") R (\\a\nb\\n) S";
	cleanup_free char *status_text = NULL, *stat_text = NULL;
	cleanup_status struct proc_status status = {0};
	struct proc_stat stat;
	ssize_t status_len, stat_len;
	char before[16];

	(void)state;
	prctl(PR_GET_NAME, before);
	prctl(PR_SET_NAME, name);
	status_len = fd_slurp(AT_FDCWD, "/proc/thread-self/status", &status_text);
	stat_len = fd_slurp(AT_FDCWD, "/proc/thread-self/stat", &stat_text);
	prctl(PR_SET_NAME, before);
	assert_true(status_len > 0 && stat_len > 0);
	assert_int_equal(status_parse(status_text, (size_t)status_len, &status), 0);
	assert_int_equal(stat_parse(stat_text, (size_t)stat_len, &stat), 0);
	assert_string_equal(status.name, name);
	assert_string_equal(stat.comm, name);
	assert_true(status.tgid == getpid() && stat.ppid == getppid());
	assert_true(status.uid[1] == geteuid() && status.ns_pid.count >= 1);
}

static void own_fdinfo(int fd, struct fdinfo *ret)
{
	cleanup_free char *path = str_format("/proc/self/fdinfo/%d", fd), *text = NULL;
	ssize_t len = fd_slurp(AT_FDCWD, path, &text);

	assert_true(len > 0);
	assert_int_equal(fdinfo_parse(text, (size_t)len, ret), 0);
}

static void test_own_descriptors(void **state)
{
	cleanup_close int event = eventfd(0xabc, EFD_CLOEXEC);
	cleanup_close int timer = timerfd_create(CLOCK_BOOTTIME, 0);
	cleanup_close int epoll = epoll_create1(0);
	cleanup_close int inotify = inotify_init1(IN_NONBLOCK);
	cleanup_fdinfo struct fdinfo events = {0}, timers = {0}, epolls = {0}, watches = {0};
	struct epoll_event interest = {EPOLLIN | EPOLLET, {.u64 = UINT64_MAX}};
	struct itimerspec spec = {{1, 5}, {1000, 0}};
	int wd = inotify_add_watch(inotify, "/tmp", IN_CREATE);

	(void)state;
	assert_int_equal(timerfd_settime(timer, 0, &spec, NULL), 0);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, event, &interest), 0);
	own_fdinfo(event, &events);
	assert_true(events.lines & FDINFO_EVENTFD && events.eventfd_count == 0xabc);
	assert_true(events.flags == (O_RDWR | O_CLOEXEC));
	own_fdinfo(timer, &timers);
	assert_true(timers.lines & FDINFO_TIMERFD && timers.timer_clockid == CLOCK_BOOTTIME);
	assert_true(timers.timer_value.tv_sec == 999 && timers.timer_interval.tv_nsec == 5);
	own_fdinfo(epoll, &epolls);
	assert_true(epolls.epoll.count == 1 && epolls.epoll.items[0].fd == event);
	assert_true(epolls.epoll.items[0].data == UINT64_MAX);
	own_fdinfo(inotify, &watches);
	assert_true(watches.inotify.count == 1 && watches.inotify.items[0].wd == wd);
	assert_int_equal(watches.inotify.items[0].mask, IN_CREATE);
}

/* Everybody else of this machine: what can be read must be understood. */
static void try_file(int dir, const char *name, int (*parse)(const char *, size_t))
{
	cleanup_free char *text = NULL;
	ssize_t len = fd_slurp(dir, name, &text);
	int r;

	if (len <= 0) /* not ours to read, or gone */
		return;
	r = parse(text, (size_t)len);
	if (r < 0)
		fail_msg("%s: %d\n%s", name, r, text);
}

static void try_process(int proc, const char *pid)
{
	static const struct {
		const char *name;
		int (*parse)(const char *, size_t);
	} files[] = {
		{"maps", try_maps},           {"smaps", try_maps},     {"status", try_status},
		{"stat", try_stat},           {"auxv", try_auxv},      {"mountinfo", try_mountinfo},
		{"timers", try_timers},       {"sched", try_sched},    {"syscall", try_syscall},
	};
	cleanup_close int dir = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int infos = openat(dir, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = infos >= 0 ? fdopendir(infos) : NULL;
	struct dirent *entry;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		try_file(dir, files[i].name, files[i].parse);
	if (!list)
		return;
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.')
			try_file(infos, entry->d_name, try_fdinfo);
	closedir(list);
}

static void test_every_process_here(void **state)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	(void)state;
	assert_non_null(proc);
	while ((entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			try_process(dirfd(proc), entry->d_name);
	closedir(proc);
}

/* Far more text than is read at once. */
static void test_many_own_mappings(void **state)
{
	enum { COUNT = 3000, PAGE = 4096 };
	cleanup_maps struct vm_areas areas = {0}, whole = {0};
	char *at = mmap(NULL, COUNT * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(at != MAP_FAILED);
	for (size_t i = 0; i < COUNT; i += 2)
		assert_int_equal(mprotect(at + i * PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(areas_read(AT_FDCWD, "/proc/self/smaps", &areas), 0);
	own_area(&whole, at);
	for (size_t i = 0; i < COUNT; i++) {
		const struct vm_area *a = maps_find(&areas, (uintptr_t)at + i * PAGE);
		const struct vm_area *b = maps_find(&whole, (uintptr_t)at + i * PAGE);

		assert_true(a && a->detailed && a->prot == b->prot && a->flags == b->flags);
		/* The kernel may have joined the first or the last one with a neighbour. */
		assert_true(a->end == b->end);
	}
	assert_int_equal(munmap(at, COUNT * PAGE), 0);
	assert_int_equal(areas_read(AT_FDCWD, "/proc/self/status", &areas), -EINVAL);
	assert_int_equal(areas_read(AT_FDCWD, "/proc/self/nothing", &areas), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_own_mappings),
		cmocka_unit_test(test_own_file_mapping),
		cmocka_unit_test(test_own_nasty_name),
		cmocka_unit_test(test_own_descriptors),
		cmocka_unit_test(test_every_process_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
