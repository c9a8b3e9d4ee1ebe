#include "engine/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/config.h"
#include "proc/mountinfo.h"

/* Settings that are files with one line. */
static const struct {
	enum setting_id id;
	const char *name, *path;
} files[] = {
	{SETTING_YAMA, "kernel.yama.ptrace_scope", "/proc/sys/kernel/yama/ptrace_scope"},
	{SETTING_USERFAULTFD, "vm.unprivileged_userfaultfd",
	 "/proc/sys/vm/unprivileged_userfaultfd"},
	{SETTING_USER_NAMESPACES, "user.max_user_namespaces",
	 "/proc/sys/user/max_user_namespaces"},
	{SETTING_PID_NAMESPACES, "user.max_pid_namespaces", "/proc/sys/user/max_pid_namespaces"},
	{SETTING_USERNS_CLONE, "kernel.unprivileged_userns_clone",
	 "/proc/sys/kernel/unprivileged_userns_clone"},
	{SETTING_USERNS_APPARMOR, "kernel.apparmor_restrict_unprivileged_userns",
	 "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"},
	{SETTING_LSM, "security modules", "/sys/kernel/security/lsm"},
};

static const struct {
	enum setting_id id;
	const char *name;
} options[] = {
	{SETTING_CONFIG_CHECKPOINT_RESTORE, "CONFIG_CHECKPOINT_RESTORE"},
	{SETTING_CONFIG_KCMP, "CONFIG_KCMP"},
	{SETTING_CONFIG_USER_NS, "CONFIG_USER_NS"},
	{SETTING_CONFIG_USERFAULTFD, "CONFIG_USERFAULTFD"},
};

static char *slurp_line(const char *path)
{
	char *text = NULL;

	if (fd_slurp(AT_FDCWD, path, &text) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void set(struct facts *f, enum setting_id id, const char *name, char *value)
{
	f->settings[id] = (struct setting){.name = name, .value = value};
}

bool facts_is(const struct facts *f, enum setting_id id, long number)
{
	const char *value = f->settings[id].value;
	char *end;

	return value && *value && strtol(value, &end, 10) == number && !*end;
}

static void read_settings(struct facts *f)
{
	struct text config cleanup_text = {0};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		set(f, files[i].id, files[i].name, slurp_line(files[i].path));
	kernel_config(f->uts.release, &config);
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		set(f, options[i].id, options[i].name,
		    config.len ? kernel_config_value(config.bytes, options[i].name) : NULL);
}

/* The first namespaces of a boot have inode numbers that never change (linux/proc_ns.h). */
static bool is_initial(const char *link, const char *inode)
{
	char target[64];
	ssize_t n = readlink(link, target, sizeof target - 1);

	if (n < 0)
		return true;
	target[n] = '\0';
	return strstr(target, inode) != NULL;
}

/* What shows a container: its engine's mark, namespaces that are not the first, a covered /proc. */
static char *container_signs(struct facts *f)
{
	cleanup_free char *text = NULL;
	struct mount_table mounts cleanup_mountinfo = {0};
	struct text signs = {0};
	ssize_t n = fd_slurp(AT_FDCWD, "/proc/self/mountinfo", &text);

	f->initial_user_namespace = is_initial("/proc/self/ns/user", "[4026531837]");
	if (access("/run/.containerenv", F_OK) == 0)
		text_add(&signs, "Podman's mark, ");
	if (access("/.dockerenv", F_OK) == 0)
		text_add(&signs, "Docker's mark, ");
	if (!f->initial_user_namespace)
		text_add(&signs, "an own user namespace, ");
	if (!is_initial("/proc/self/ns/pid", "[4026531836]"))
		text_add(&signs, "an own pid namespace, ");
	if (n >= 0 && mountinfo_parse(text, (size_t)n, &mounts) == 0)
		vec_each(m, &mounts.list)
			if (str_starts(m->point, "/proc/") &&
			    !str_starts(m->point, "/proc/sys/fs/binfmt_misc")) {
				text_add(&signs, "a /proc that is covered in places, ");
				break;
			}
	f->container = signs.len > 0;
	if (signs.len)
		signs.bytes[signs.len - 2] = '\0';
	return signs.bytes;
}

static char *seccomp_words(const struct proc_status *st)
{
	if (st->seccomp == 1)
		return strdup("strict");
	return st->seccomp ? str_format("%u filter%s", st->seccomp_filters,
					 st->seccomp_filters == 1 ? "" : "s")
			   : strdup("none");
}

/* Of the kernel's format only that it is there: which it gives is what the probes tell. */
static char *file_capability(struct facts *f)
{
	char value[64];

	f->has_file_capability = getxattr("/proc/self/exe", "security.capability", value,
					  sizeof value) > 0;
	return strdup(f->has_file_capability ? "yes" : "no");
}

static void read_own(struct facts *f)
{
	set(f, SETTING_NO_NEW_PRIVS, "no_new_privs", strdup(f->self.no_new_privs ? "1" : "0"));
	set(f, SETTING_SECCOMP, "seccomp, on ourselves", seccomp_words(&f->self));
	set(f, SETTING_FILE_CAPABILITIES, "capabilities of the program's file",
	    file_capability(f));
	set(f, SETTING_CONTAINER, "signs of a container", container_signs(f));
}

static void remark(struct facts *f, enum setting_id id, bool applies, const char *sentence)
{
	if (applies)
		f->settings[id].remark = sentence;
}

bool facts_is_off(const struct facts *f, enum setting_id id)
{
	return f->settings[id].value && strcmp(f->settings[id].value, "n") == 0;
}

static void add_remarks(struct facts *f)
{
	remark(f, SETTING_YAMA, facts_is(f, SETTING_YAMA, 1),
	       "only descendants of whoever saves them can be saved");
	remark(f, SETTING_YAMA, facts_is(f, SETTING_YAMA, 2), "only root may save processes");
	remark(f, SETTING_YAMA, facts_is(f, SETTING_YAMA, 3), "nobody may save processes");
	remark(f, SETTING_USER_NAMESPACES, facts_is(f, SETTING_USER_NAMESPACES, 0),
	       "no private numbers");
	remark(f, SETTING_PID_NAMESPACES, facts_is(f, SETTING_PID_NAMESPACES, 0),
	       "no private numbers");
	remark(f, SETTING_USERNS_CLONE, facts_is(f, SETTING_USERNS_CLONE, 0),
	       "no private numbers, but for root");
	remark(f, SETTING_USERNS_APPARMOR, facts_is(f, SETTING_USERNS_APPARMOR, 1),
	       "no private numbers, but for programs with a profile that allows them");
	remark(f, SETTING_CONFIG_CHECKPOINT_RESTORE, facts_is_off(f, SETTING_CONFIG_CHECKPOINT_RESTORE),
	       "this kernel was built without support for checkpoints");
	remark(f, SETTING_CONFIG_KCMP, facts_is_off(f, SETTING_CONFIG_KCMP),
	       "this kernel cannot tell which descriptors are the same");
	remark(f, SETTING_NO_NEW_PRIVS, f->self.no_new_privs,
	       "a capability of the program's file gives nothing here");
	remark(f, SETTING_SECCOMP, f->self.seccomp != 0, "some system calls may be forbidden");
}

int facts_gather(struct facts *f, struct error **err)
{
	cleanup_free char *text = NULL;
	struct priv priv = {0};
	char path[4096];
	ssize_t n = fd_slurp(AT_FDCWD, "/proc/self/status", &text);

	if (n < 0)
		return fail_errno(err, (int)-n, "cannot read /proc/self/status");
	if (status_parse(text, (size_t)n, &f->self) < 0)
		return fail(err, EINVAL, "cannot understand /proc/self/status");
	uname(&f->uts);
	n = readlink("/proc/self/exe", path, sizeof path - 1);
	if (n > 0)
		f->program = strndup(path, (size_t)n);
	for (enum priv_op op = 0; op < PRIV_OPS; op++)
		f->results[op] = priv_ask(&priv, op);
	f->level = priv_level(&priv);
	read_settings(f);
	read_own(f);
	add_remarks(f);
	return 0;
}

void facts_free(struct facts *f)
{
	status_free(&f->self);
	free(f->program);
	for (size_t i = 0; i < SETTINGS; i++)
		free(f->settings[i].value);
}
