/* Victims: children that have a mapped file, some memory and descriptors, and do nothing. */
#include "engine/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/udmabuf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/become.h"
#include "priv/caps.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define GAINED (UINT64_C(1) << CAP_CHECKPOINT_RESTORE)

static const char *const names[VICTIMS] = {
	[VICTIM_SAME] = "same",       [VICTIM_NODUMP] = "nodump",   [VICTIM_GAINED] = "gained",
	[VICTIM_OTHER] = "other",     [VICTIM_DROPPED] = "dropped",
};

static const char *const about[VICTIMS] = {
	[VICTIM_SAME] = "a process of the same user",
	[VICTIM_NODUMP] = "one that is not dumpable, as after executing a set-user-ID program",
	[VICTIM_GAINED] = "one that has gained CAP_CHECKPOINT_RESTORE",
	[VICTIM_OTHER] = "a process of another user",
	[VICTIM_DROPPED] = "one that opened its file, called chroot and then gave up its privilege",
};

const char *audit_victim_name(unsigned int kind)
{
	return kind < VICTIMS ? names[kind] : "self";
}

/* ---- In the victim --------------------------------------------------------------------- */

static int make_memory(uint64_t content)
{
	int fd = memfd_create("stasis-audit", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 && errno == EACCES) /* vm.memfd_noexec=2 */
		fd = memfd_create("stasis-audit", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (fd < 0)
		return -errno;
	return ftruncate(fd, AUDIT_PAGE) < 0 || pwrite(fd, &content, sizeof content, 0) < 0
		       ? -errno
		       : fd;
}

/* own_fds: our /proc/self/fd, which we might no longer find. */
static int make_descriptors(struct audit_view *view, int own_fds)
{
	char name[16];
	int fd;

	view->memfd = make_memory(1);
	view->sealed = make_memory(2);
	fd = make_memory(3);
	if (view->memfd < 0 || view->sealed < 0 || fd < 0)
		return -EIO;
	if (fcntl(view->sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	snprintf(name, sizeof name, "%d", fd);
	view->read_only = openat(own_fds, name, O_RDONLY | O_CLOEXEC);
	if (view->read_only < 0)
		return -errno;
	close(fd);
	return 0;
}

static uint64_t map_page(int fd, int prot, int flags)
{
	void *at = mmap(NULL, AUDIT_PAGE, prot, flags, fd, 0);

	return at == MAP_FAILED ? 0 : (uintptr_t)at;
}

/* Memory that a device could be given; without it there is one row less. */
static uint64_t map_dmabuf(const struct audit_scene *s)
{
	struct udmabuf_create create = {.flags = UDMABUF_FLAGS_CLOEXEC, .size = AUDIT_PAGE};
	int memory, buffer;

	if (s->udmabuf < 0)
		return 0;
	memory = make_memory(4);
	if (memory < 0 || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return 0;
	create.memfd = (uint32_t)memory;
	buffer = ioctl(s->udmabuf, UDMABUF_CREATE, &create);
	return buffer < 0 ? 0 : map_page(buffer, PROT_READ, MAP_SHARED);
}

/* A folder that is empty, and that is gone when we are. */
static int enter_root(void)
{
	return chroot("/proc/self/fdinfo") < 0 || chdir("/") < 0 ? -errno : 0;
}

static int become_victim(const struct audit_scene *s, enum audit_victim_kind kind)
{
	const struct audit_victim *v = &s->victims[kind];
	int r = 0;

	if (kind == VICTIM_DROPPED) {
		if (v->creds.ns == &v->own)
			r = priv_become_own_root();
		if (r == 0)
			r = enter_root();
		if (r == 0 && v->creds.ns == &v->own)
			return priv_become(0, 0, 0);
	}
	if (r == 0)
		r = priv_become(v->creds.uid[0], v->creds.gid[0], v->creds.permitted);
	if (r == 0 && !v->creds.dumpable && prctl(PR_SET_DUMPABLE, 0) < 0)
		r = -errno;
	return r;
}

static int prepare(const struct audit_scene *s, enum audit_victim_kind kind,
		   struct audit_view *view)
{
	int own_fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = own_fds < 0 ? -errno : become_victim(s, kind);

	if (r == 0 && !audit_tied(s))
		r = -ESRCH;
	if (r == 0)
		r = make_descriptors(view, own_fds);
	if (r < 0)
		return r;
	view->file_at = map_page(s->victims[kind].file, PROT_READ, MAP_SHARED);
	view->word_at = map_page(-1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	if (!view->file_at || !view->word_at)
		return -ENOMEM;
	*(volatile uint64_t *)(uintptr_t)view->word_at = AUDIT_WORD; // NOLINT
	view->dmabuf_at = map_dmabuf(s);
	return 1;
}

static void live(const struct audit_scene *s, enum audit_victim_kind kind, int ready)
{
	struct audit_view *view = &s->shared->views[kind];
	char c = 0;

	view->ready = prepare(s, kind, view);
	if (write(ready, &c, 1) == 1 && view->ready == 1)
		while (read(s->life[0], &c, 1) < 0 && errno == EINTR)
			;
	_exit(0);
}

/* ---- In the audit ---------------------------------------------------------------------- */

/* Its file: open for us, and by its path for nobody who cannot pass all folders. */
static int make_file(struct audit_scene *s, struct audit_victim *v)
{
	const struct policy_file *f = &v->creds.file, *d = &v->creds.folder;
	char folder[80];
	cleanup_close int fd = -1;

	snprintf(folder, sizeof folder, "%s/%s", s->folder, v->party.name);
	snprintf(v->path, sizeof v->path, "%s/file", folder);
	if (mkdir(folder, 0700) < 0)
		return -errno;
	fd = open(v->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, AUDIT_FILE_SIZE) < 0 || fchmod(fd, f->mode) < 0)
		return -errno;
	if (f->uid != s->self.uid && fchown(fd, f->uid, f->gid) < 0)
		return -errno;
	v->file = open(v->path, O_RDONLY | O_CLOEXEC);
	if (v->file < 0 || chmod(folder, d->mode) < 0)
		return -errno;
	return d->uid != s->self.uid && chown(folder, d->uid, d->gid) < 0 ? -errno : 0;
}

static void set_creds(struct audit_scene *s, enum audit_victim_kind kind)
{
	struct audit_victim *v = &s->victims[kind];
	const struct audit_ids *who = kind == VICTIM_OTHER ? &s->third : &s->user;
	const struct policy_file mine = {who->uid, who->gid, 0};

	v->creds = (struct policy_victim){
		.uid = {who->uid, who->uid, who->uid},
		.gid = {who->gid, who->gid, who->gid},
		.dumpable = kind != VICTIM_NODUMP,
		.permitted = kind == VICTIM_GAINED ? GAINED : 0,
		.ns = s->ns,
		.mm_ns = s->ns,
		.folder = mine,
		.file = mine,
	};
	v->creds.file.mode = 0600;
	if (kind != VICTIM_DROPPED)
		return;
	if (s->user.uid != s->self.uid) {
		v->creds.folder = (struct policy_file){s->self.uid, s->self.gid, 0};
		v->creds.file = (struct policy_file){s->self.uid, s->self.gid, 0666};
		return;
	}
	v->own = (struct policy_ns){s->ns, who->uid, true, who->uid, who->gid};
	v->creds.ns = &v->own;
}

static const char *obstacle(const struct audit_scene *s, enum audit_victim_kind kind)
{
	if (kind == VICTIM_GAINED && !(s->permitted & GAINED))
		return "the audit is not permitted CAP_CHECKPOINT_RESTORE itself";
	if (kind == VICTIM_OTHER && s->third.uid == s->self.uid)
		return "only root can become another user";
	if (kind == VICTIM_DROPPED && s->victims[kind].creds.ns == &s->victims[kind].own)
		return s->callers[CALLER_USERNS].party.unmade < 0
			       ? s->callers[CALLER_USERNS].party.why
			       : NULL;
	if (kind == VICTIM_DROPPED && !(s->permitted >> CAP_SYS_CHROOT & 1))
		return "the audit is not permitted CAP_SYS_CHROOT itself";
	return NULL;
}

static int start(struct audit_scene *s, enum audit_victim_kind kind)
{
	struct audit_victim *v = &s->victims[kind];
	cleanup_close int told = -1, ready = -1;
	int ends[2];
	char c;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	told = ends[0];
	ready = ends[1];
	v->pid = audit_fork(s, true, &v->pidfd);
	if (v->pid == 0) {
		close(told);
		live(s, kind, ready);
	}
	if (v->pid < 0)
		return v->pid;
	close_fdp(&ready);
	/* It says something, or ends. */
	while (read(told, &c, 1) < 0 && errno == EINTR)
		;
	v->view = &s->shared->views[kind];
	return v->view->ready == 1 ? 0 : v->view->ready ? v->view->ready : -ECANCELED;
}

int audit_victims_begin(struct audit_scene *s, struct error **err)
{
	for (enum audit_victim_kind kind = 0; kind < VICTIMS; kind++) {
		struct audit_victim *v = &s->victims[kind];
		const char *why;

		v->party.name = names[kind];
		v->party.about = about[kind];
		set_creds(s, kind);
		why = obstacle(s, kind);
		v->party.unmade = why ? -EPERM : make_file(s, v);
		if (v->party.unmade == 0)
			v->party.unmade = start(s, kind);
		/* Its own; ours would only be inherited by everybody who comes after it. */
		if (v->file >= 0)
			close(v->file);
		if (v->party.unmade < 0)
			snprintf(v->party.why, sizeof v->party.why, "%s",
				 why ? why : strerror(-v->party.unmade));
	}
	if (s->victims[VICTIM_SAME].party.unmade < 0)
		return fail_errno(err, -s->victims[VICTIM_SAME].party.unmade,
				  "cannot make a process to try things on");
	return 0;
}

void audit_victims_end(struct audit_scene *s)
{
	for (unsigned int i = 0; i < VICTIMS; i++) {
		struct audit_victim *v = &s->victims[i];

		if (v->pid <= 0)
			continue;
		syscall(SYS_pidfd_send_signal, v->pidfd, SIGKILL, NULL, 0);
		audit_reap(v->pid, &v->pidfd);
	}
}
