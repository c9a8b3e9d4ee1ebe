/* What of this machine decides, beside the credentials: each fact is one that a policy asks for. */
#include "engine/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/caps.h"
#include "proc/mountinfo.h"

/* PROC_USER_INIT_INO: the inode of the initial user namespace is the same everywhere. */
#define INITIAL_USER_NAMESPACE 0xeffffffdu

static int read_number(const char *path, int otherwise)
{
	cleanup_free char *text = NULL;

	return fd_slurp(AT_FDCWD, path, &text) > 0 ? atoi(text) : otherwise;
}

/* "NAME=" in a comma-separated list of options. */
static const char *find_option(const char *options, const char *name)
{
	for (const char *at = options; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (str_starts(at, name))
			return at + strlen(name);
	return NULL;
}

static int hidepid_level(const char *value)
{
	static const char *const names[] = {"off", "noaccess", "invisible"};

	for (int i = 0; i < 3; i++)
		if (str_starts(value, names[i]))
			return i;
	return str_starts(value, "ptraceable") ? 4 : atoi(value);
}

static void read_mount_options(struct policy_facts *f)
{
	cleanup_mountinfo struct mount_table table = {0};
	cleanup_free char *text = NULL;
	ssize_t len = fd_slurp(AT_FDCWD, "/proc/self/mountinfo", &text);

	if (len < 0 || mountinfo_parse(text, (size_t)len, &table) < 0)
		return;
	/* The last one of that place is what is seen. */
	vec_each(m, &table.list) {
		const char *value;

		if (strcmp(m->point, "/proc") != 0 || strcmp(m->fs_type, "proc") != 0)
			continue;
		value = find_option(m->super_options, "hidepid=");
		f->hidepid = value ? hidepid_level(value) : 0;
		value = find_option(m->super_options, "gid=");
		f->hidepid_gid = value ? (gid_t)strtoul(value, NULL, 10) : 0;
	}
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* Who owns the pid namespace: we, or (what cannot be asked) somebody above us. */
static const struct policy_ns *pid_owner(const struct audit_scene *s)
{
	cleanup_close int pids = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	cleanup_close int owner = pids < 0 ? -1 : ioctl(pids, NS_GET_USERNS);
	struct stat st;

	if (owner >= 0 && fstat(owner, &st) == 0 && st.st_ino == inode_of("/proc/self/ns/user"))
		return s->ns;
	return &s->initial;
}

static void read_namespaces(struct audit_scene *s)
{
	s->ours = (struct policy_ns){.parent = &s->initial, .owner = (uid_t)-1};
	s->ns = inode_of("/proc/self/ns/user") == INITIAL_USER_NAMESPACE ? &s->initial : &s->ours;
	s->facts.initial = &s->initial;
	s->facts.pid_owner = pid_owner(s);
}

static void read_device(struct policy_facts *f)
{
	struct stat st;

	if (stat("/dev/userfaultfd", &st) == 0)
		f->uffd_device = (struct policy_file){st.st_uid, st.st_gid, st.st_mode & 0777};
}

/* For people who look for the reason of a kernel that is stricter. */
static void read_hardening(struct audit_scene *s)
{
	cleanup_free char *text = NULL;

	if (fd_slurp(AT_FDCWD, "/sys/kernel/security/lsm", &text) > 0)
		snprintf(s->hardening, sizeof s->hardening, "%.*s", (int)strcspn(text, "\n"), text);
}

/*
 * The version says which policy *should* hold: the one place where it counts.  What does hold is
 * what the trials are for.  A distribution's older kernel may know the capability.
 */
static void read_version(struct audit_scene *s)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	snprintf(s->release, sizeof s->release, "%s", u.release);
	sscanf(u.release, "%u.%u", &s->major, &s->minor);
	s->facts.perfmon_reads = s->major > 6 || (s->major == 6 && s->minor >= 15);
	s->policy = policy_of_kernel(s->major, s->minor,
				     prctl(PR_CAPBSET_READ, CAP_CHECKPOINT_RESTORE) >= 0);
}

void audit_facts(struct audit_scene *s)
{
	struct policy_facts *f = &s->facts;
	struct statvfs sys;

	read_version(s);
	read_namespaces(s);
	read_mount_options(f);
	read_device(f);
	read_hardening(s);
	f->yama = read_number("/proc/sys/kernel/yama/ptrace_scope", 0);
	f->free_userfaultfd = read_number("/proc/sys/vm/unprivileged_userfaultfd", 0) == 1;
	f->memfd_noexec = read_number("/proc/sys/vm/memfd_noexec", 0);
	f->no_namespaces = read_number("/proc/sys/user/max_user_namespaces", 1) == 0 ||
			   read_number("/proc/sys/user/max_pid_namespaces", 1) == 0;
	f->sys_read_only = statvfs("/proc/sys/kernel", &sys) == 0 && sys.f_flag & ST_RDONLY;
	s->has_map_files = access("/proc/self/map_files", F_OK) == 0;
}
