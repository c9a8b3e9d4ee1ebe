/*
 * Where the audit takes place: who we are and whom we may play, a folder for the victims' files,
 * and a guardian, who removes it whatever becomes of us.
 */
#include "engine/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <dirent.h>
#include <linux/capability.h>

#include "base/fd.h"
#include "base/vec.h"
#include "priv/become.h"

#define FILE_IN_FOLDER "file"

/* ---- The folder and its guardian -------------------------------------------------------- */

/* By names that were fixed before anything was made: it needs to be told nothing. */
static void remove_folder(const char *folder)
{
	int top = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (top < 0)
		return;
	for (unsigned int i = 0; i < VICTIMS; i++) {
		const char *name = audit_victim_name(i);
		cleanup_close int sub = -1;

		fchmodat(top, name, 0700, 0);
		sub = openat(top, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (sub >= 0)
			unlinkat(sub, FILE_IN_FOLDER, 0);
		unlinkat(top, name, AT_REMOVEDIR);
	}
	close(top);
	rmdir(folder);
}

/* Waits until we end or close the pipe; in a session of its own: no signal to our group hits it. */
static void guard(const struct audit_scene *s)
{
	char c;

	setsid();
	if (s->life[0] > 0)
		syscall(SYS_close_range, 0, s->life[0] - 1, 0);
	syscall(SYS_close_range, s->life[0] + 1, ~0U, 0);
	while (read(s->life[0], &c, 1) < 0 && errno == EINTR)
		;
	remove_folder(s->folder);
	_exit(0);
}

static int make_guardian(struct audit_scene *s, struct error **err)
{
	static const char *const places[] = {"/tmp", "/var/tmp", "/dev/shm"};
	uint64_t random;
	size_t i = 0;

	while (i < 2 && access(places[i], W_OK | X_OK) < 0)
		i++;
	if (getrandom(&random, sizeof random, 0) < 0)
		return fail_errno(err, errno, "cannot think of a random name");
	snprintf(s->folder, sizeof s->folder, "%s/stasis-audit.%d.%016" PRIx64, places[i],
		 (int)s->pid, random);
	s->guardian = audit_fork(s, false, &s->guardian_fd);
	if (s->guardian == 0)
		guard(s);
	if (s->guardian < 0)
		return fail_errno(err, -(int)s->guardian, "cannot make a process");
	if (mkdir(s->folder, 0711) < 0 || chmod(s->folder, 0711) < 0)
		return fail_errno(err, errno, "cannot make the folder %s", s->folder);
	return 0;
}

/* ---- Who we may play ------------------------------------------------------------------- */

static bool is_used(const uid_t *used, size_t count, uid_t uid)
{
	for (size_t i = 0; i < count; i++)
		if (used[i] == uid)
			return true;
	return false;
}

/* Ids that no process has: who has one of theirs could trace our victims, and the other way round. */
static void choose_users(struct audit_scene *s)
{
	struct audit_ids *const ret[] = {&s->user, &s->other, &s->third};
	VEC(uid_t) used = {0};
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct stat st;
	uid_t uid = 64999;

	while (proc && (entry = readdir(proc))) {
		uid_t *slot;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    fstatat(dirfd(proc), entry->d_name, &st, 0) < 0)
			continue;
		slot = vec_push(&used);
		if (slot)
			*slot = st.st_uid;
	}
	if (proc)
		closedir(proc);
	for (size_t i = 0; i < sizeof ret / sizeof *ret; i++, uid--) {
		while (is_used(used.items, used.count, uid))
			uid--;
		*ret[i] = (struct audit_ids){uid, uid};
	}
	vec_free(&used);
}

static void read_ourselves(struct audit_scene *s)
{
	const uint64_t ids = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID;

	s->pid = getpid();
	s->self = (struct audit_ids){geteuid(), getegid()};
	s->user = s->other = s->third = s->self;
	s->permitted = priv_permitted();
	if (s->self.uid == 0 && (s->permitted & ids) == ids)
		choose_users(s);
}

/* ---- All of it ------------------------------------------------------------------------- */

int audit_scene_begin(struct audit_scene *s, struct error **err)
{
	int r;

	s->life[0] = s->life[1] = s->executable = s->udmabuf = s->guardian_fd = -1;
	for (unsigned int i = 0; i < VICTIMS; i++)
		s->victims[i].pidfd = s->victims[i].file = -1;
	read_ourselves(s);
	audit_facts(s);
	s->shared = mmap(NULL, sizeof *s->shared, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->shared == MAP_FAILED) {
		s->shared = NULL;
		return fail_errno(err, errno, "cannot share memory with children");
	}
	if (pipe2(s->life, O_CLOEXEC) < 0)
		return fail_errno(err, errno, "cannot make a pipe");
	s->executable = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	s->udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	r = make_guardian(s, err);
	if (r == 0)
		audit_callers_begin(s);
	if (r == 0 && s->callers[CALLER_NONE].party.unmade < 0) {
		/* A namespace in which the chosen ids mean nobody, or groups cannot be left. */
		s->user = s->other = s->third = s->self;
		audit_callers_begin(s);
	}
	if (r == 0)
		r = audit_victims_begin(s, err);
	if (r == 0)
		audit_probe_list(s);
	return r;
}

void audit_scene_end(struct audit_scene *s)
{
	audit_victims_end(s);
	close_fdp(&s->life[1]);
	close_fdp(&s->life[0]);
	if (s->guardian > 0)
		audit_reap(s->guardian, &s->guardian_fd);
	close_fdp(&s->executable);
	close_fdp(&s->udmabuf);
	if (s->shared)
		munmap(s->shared, sizeof *s->shared);
}
