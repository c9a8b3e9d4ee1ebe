/*
 * Ghosts: files that are open or mapped but have no name any more.  Their
 * content is in the image.  At restore each becomes a nameless file (O_TMPFILE)
 * where its old name was, so that it lies on the same kind of file system;
 * every description of it is then opened on that one inode.
 *
 * Nothing that has a name is made on the way: whenever the tool dies, nothing is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "kind/regular.h"
#include "task/content.h"
#include "task/path.h"

#define TMPFILE_BIT  (O_TMPFILE & ~O_DIRECTORY)
#define NSEC_PER_SEC UINT64_C(1000000000)

int ghost_capture(struct capture *c, struct file *f, const struct stat *st, Rec__Regular *m,
		  struct error **err)
{
	int r;

	if (st->st_nlink > 0)
		return refuse(err, ENOENT, "give it a name in the directory where it was opened",
			      "the file still has a name, but not the one it was opened by, "
			      "and its other name is not known");
	m->path = strdup(f->link);
	if (!m->path)
		return fail(err, ENOMEM, "out of memory");
	m->deleted = true;
	/*
	 * The kernel does not show whether O_EXCL was said beside O_TMPFILE: that
	 * the file can be given a name is the common case, and the harmless one.
	 */
	m->linkable = f->flags & TMPFILE_BIT;
	m->content = capture_share(c, kind_regular.tag, st->st_dev, st->st_ino, f->id);
	if (!m->content)
		return fail(err, ENOMEM, "out of memory");
	if (m->content != f->id)
		return 0;
	r = capture_content(c, f->id, f->own, m->size, err);
	if (r < 0)
		return r;
	return content_ranges(c, f->id, &m->n_data, &m->data) < 0
		       ? fail(err, ENOMEM, "out of memory")
		       : 0;
}

int ghost_validate(const Rec__Regular *m, struct error **err)
{
	if (!m->content || m->content > m->file->id || (m->content != m->file->id && m->n_data))
		return refuse(err, EINVAL, NULL, "deleted file %u of the image has no content",
			      m->file->id);
	if (!content_ranges_valid(m->n_data, m->data, m->size))
		return refuse(err, EINVAL, NULL,
			      "the content of deleted file %u of the image is out of order",
			      m->file->id);
	return 0;
}

static const Rec__Regular *ghost_record(const struct rebuilt_file *f)
{
	const Rec__Regular *m;

	if (!f || f->kind != &kind_regular)
		return NULL;
	m = (const Rec__Regular *)f->message;
	return m->deleted ? m : NULL;
}

/* What is known of one inode from all its descriptions together. */
struct ghost {
	const Rec__Regular *owner; /* the one that carries the content */
	int flags;      /* to make it with; O_TMPFILE's own description keeps that flag */
	bool linkable;
	bool executed;  /* some mapping may execute it, or the program itself was it */
};

static int ghost_look(const struct rebuild *r, uint32_t content, struct ghost *ret,
		      struct error **err)
{
	struct ghost g = {.owner = ghost_record(rebuilt_file(r, content)), .flags = O_RDWR};

	if (!g.owner || g.owner->content != content)
		return refuse(err, EINVAL, NULL, "the image lacks the content of deleted file %u",
			      content);
	vec_each(f, &r->files) {
		const Rec__Regular *m = ghost_record(f);

		if (!m || m->content != content)
			continue;
		g.executed |= f->mapped;
		if (m->linkable && (m->file->flags & TMPFILE_BIT)) {
			g.linkable = true;
			g.flags = (int)m->file->flags &
				  (O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_DIRECT |
				   O_NOATIME);
		}
	}
	*ret = g;
	return 0;
}

/* A nameless file in a directory, or -errno. */
static int make_nameless(int root, const char *directory, const struct ghost *g)
{
	cleanup_close int dir = path_open(root, directory, O_PATH | O_DIRECTORY);
	struct statvfs fs;
	int fd;

	if (dir < 0)
		return dir;
	if (g->executed && fstatvfs(dir, &fs) == 0 && (fs.f_flag & ST_NOEXEC))
		return -EACCES;
	fd = openat(dir, ".", O_TMPFILE | O_CLOEXEC | g->flags | (g->linkable ? 0 : O_EXCL), 0600);
	return fd < 0 ? -errno : fd;
}

static int ghost_make(const struct rebuild *r, const struct ghost *g, struct error **err)
{
	cleanup_free char *parent = path_parent(g->owner->path);
	const char *const places[] = {parent, "/tmp", "/dev/shm"};
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < sizeof places / sizeof places[0]; i++)
		if (places[i])
			fd = make_nameless(r->root, places[i], g);
	/* Memory is always there, and is a regular file too. */
	if (fd < 0)
		fd = memfd_create("deleted", MFD_CLOEXEC);
	if (fd < 0)
		return fail_errno(err, errno, "cannot make a file in place of the deleted %s",
				  g->owner->path);
	return fd;
}

/*
 * The inode, made when it is first asked for.  fds[0] of the result is for its
 * content; fds[1] the description that O_TMPFILE made, until ghost_open()
 * takes it: no second opening of the file would have that flag.
 */
static int ghost_inode(struct rebuild *r, uint32_t content, struct rebuilt_shared **ret,
		       struct error **err)
{
	const Rec__File plain = {.id = content, .flags = O_RDWR, .mode = S_IFREG};
	struct rebuilt_shared *s = rebuilt_share(r, kind_regular.tag, content);
	struct ghost g = {0};
	bool own;
	int n;

	if (!s)
		return fail(err, ENOMEM, "out of memory");
	*ret = s;
	if (s->fds[0] >= 0)
		return 0;
	n = ghost_look(r, content, &g, err);
	if (n < 0)
		return n;
	n = ghost_make(r, &g, err);
	if (n < 0)
		return n;
	/* Memory in its place has no such flag. */
	own = g.linkable && (fcntl(n, F_GETFL) & TMPFILE_BIT);
	s->fds[own] = n;
	if (own) {
		n = path_reopen_fd(s->fds[1], &plain, err);
		if (n < 0)
			return n;
		s->fds[0] = n;
	}
	if (ftruncate(s->fds[0], (off_t)g.owner->size) < 0)
		return fail_errno(err, errno, "cannot make %s as large as it was", g.owner->path);
	return 0;
}

int ghost_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Regular *m = (const Rec__Regular *)f->message;
	struct rebuilt_shared *s = NULL;
	int n = ghost_inode(r, m->content, &s, err);

	if (n < 0)
		return n;
	if (!(m->linkable && (m->file->flags & TMPFILE_BIT)) || s->fds[1] < 0)
		return path_reopen_fd(s->fds[0], m->file, err);
	if (m->file->position && lseek(s->fds[1], (off_t)m->file->position, SEEK_SET) < 0)
		return fail_errno(err, errno, "cannot set the position of %s", m->path);
	return fd_steal(&s->fds[1]);
}

/* Its content is in: now what writing would have changed, or its mode would have forbidden. */
int ghost_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	const Rec__Regular *m = (const Rec__Regular *)f->message;
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{(time_t)(m->mtime / NSEC_PER_SEC), (long)(m->mtime % NSEC_PER_SEC)},
	};
	struct rebuilt_shared *s = rebuilt_share(r, kind_regular.tag, m->content);
	struct stat st;

	if (!s || s->fds[0] < 0 || m->content != m->file->id)
		return 0;
	/* Memory frames are whole pages: the last one may have made it longer. */
	if (ftruncate(s->fds[0], (off_t)m->size) < 0 || fstat(s->fds[0], &st) < 0)
		return fail_errno(err, errno, "cannot make %s as large as it was", m->path);
	/* Only root may give files away; to others it stays theirs, as whatever they make. */
	if ((st.st_uid != m->uid || st.st_gid != m->gid) &&
	    fchown(s->fds[0], m->uid, m->gid) < 0 && errno != EPERM && errno != EINVAL)
		return fail_errno(err, errno, "cannot set the owner of %s", m->path);
	if (fchmod(s->fds[0], m->file->mode & 07777) < 0 || futimens(s->fds[0], times) < 0)
		return fail_errno(err, errno, "cannot set the mode and time of %s", m->path);
	return 0;
}
