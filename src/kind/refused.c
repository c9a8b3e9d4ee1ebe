/*
 * Whatever no other kind has claimed: refused by its name, so that nobody loses
 * anything without being told.  It stands last in the table.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "base/str.h"

#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446
#endif

extern const struct kind kind_refused;

struct name {
	const char *link; /* how the link begins */
	const char *what;
	const char *mend; /* NULL: none */
};

#define CLOSES "try again when the program has closed it"

static const struct name by_link[] = {
	{"anon_inode:[userfaultfd]", "a userfaultfd", CLOSES},
	{"anon_inode:[fanotify]", "a fanotify group",
	 "let the program watch with inotify(7), or " CLOSES},
	{"anon_inode:[perf_event]", "a performance counter",
	 "end the profiling, or " CLOSES},
	{"anon_inode:[pidfd]", "a pidfd, which stands for another process", NULL},
	{"pidfd:", "a pidfd, which stands for another process", NULL},
	{"anon_inode:bpf", "a BPF object", CLOSES},
	{"anon_inode:btf", "a BPF object", CLOSES},
	{"anon_inode:[landlock-ruleset]", "a Landlock rule set",
	 "try again when the program has put it in force and closed it"},
	{"anon_inode:seccomp notify", "the listener of a seccomp filter", CLOSES},
	{"anon_inode:kvm-", "a virtual machine of KVM", NULL},
	{"anon_inode:[fscontext]", "a mount that is being configured",
	 "try again when it is mounted"},
	{"anon_inode:sync_file", "a fence of a graphics driver", NULL},
	{"anon_inode:[vfio", "a device handed to user space (VFIO)", NULL},
	{"/dmabuf:", "a buffer of a graphics driver (dma-buf)", NULL},
	{"/secretmem", "secret memory (memfd_secret), which may not be read", NULL},
	{"/[aio]", "the ring of asynchronous I/O (io_setup)", NULL},
	{"/dev/kvm", "the virtualization device KVM", NULL},
	{"/dev/fuse", "the server side of a FUSE file system", NULL},
	{"/dev/nvidia", "a graphics device", NULL},
	{"/dev/dri/", "a graphics device", NULL},
	{"/dev/snd/", "a sound device", NULL},
	{"/dev/input/", "an input device", NULL},
	{"/dev/ptmx", "the controlling side of a pseudo-terminal", NULL},
	{"socket:", "a socket", NULL},
};

struct file_system {
	unsigned long magic;
	const char *what;
};

static const struct file_system by_file_system[] = {
	{NSFS_MAGIC, "a namespace"},
	{PID_FS_MAGIC, "a pidfd, which stands for another process"},
	{SECRETMEM_MAGIC, "secret memory (memfd_secret), which may not be read"},
	{DMA_BUF_MAGIC, "a buffer of a graphics driver (dma-buf)"},
};

static const char *of_file_system(const struct file *f)
{
	struct statfs fs;

	if (f->own < 0 || fstatfs(f->own, &fs) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof by_file_system / sizeof by_file_system[0]; i++)
		if ((unsigned long)fs.f_type == by_file_system[i].magic)
			return by_file_system[i].what;
	return NULL;
}

static const struct name *of_link(const struct file *f)
{
	for (size_t i = 0; f->link && i < sizeof by_link / sizeof by_link[0]; i++)
		if (str_starts(f->link, by_link[i].link))
			return &by_link[i];
	return NULL;
}

static char *of_type(const struct file *f)
{
	unsigned int major = major(f->st.st_rdev), minor = minor(f->st.st_rdev);

	switch (f->st.st_mode & S_IFMT) {
	case S_IFCHR:
		return str_format("a character device (%u:%u) whose state is not known", major,
				  minor);
	case S_IFBLK:
		return str_format("a block device (%u:%u)", major, minor);
	case S_IFSOCK:
		return strdup("a socket");
	case S_IFDIR:
		return strdup("a directory that cannot be reached by its name");
	case S_IFREG:
		return strdup("a file that cannot be reached by its name");
	default:
		return strdup("an object of a kind that is not known");
	}
}

static bool refused_claims(const struct file *f)
{
	(void)f;
	return true;
}

static int refused_capture(struct capture *c, struct file *f, ProtobufCMessage **ret,
			   struct error **err)
{
	const struct name *name = of_link(f);
	const char *known = name ? name->what : of_file_system(f);
	cleanup_free char *which = file_describe(f);
	cleanup_free char *type = known ? NULL : of_type(f);

	(void)c;
	(void)ret;
	return refuse(err, ENOTSUP, name ? name->mend : NULL, "%s is %s, which is not supported",
		      which, known ? known : type);
}

/* No image has such a record. */
static int refused_validate(const ProtobufCMessage *m, struct error **err)
{
	(void)m;
	return fail(err, EINVAL, "a record of a kind that does not exist");
}

static int refused_open(struct rebuild *r, struct rebuilt_file *f, struct error **err)
{
	(void)r;
	return refused_validate(f->message, err);
}

const struct kind kind_refused = {
	.name = "refused",
	.tag = 255,
	.schema = &rec__file__descriptor,
	.file = &(const struct file_ops){
		.claims = refused_claims,
		.capture = refused_capture,
		.validate = refused_validate,
		.open = refused_open,
	},
};
